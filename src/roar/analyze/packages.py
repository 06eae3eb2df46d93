"""Which distributions a Python program really imported, from the files it opened (PEP 376, PEP 503)."""

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from roar.analyze.fold import Uses
from roar.model import Package, Python
from roar.observe.trace import Process

_PACKAGE_PATH = re.compile(r"(.*/(?:site-packages|dist-packages))/([^/]+)(/?)")
_OWN = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_native")  # loaded into programs, imported by none
_EGG = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+?)(?:-py\d(?:\.\d+)?)?(?:-[^/]*)?\.egg$")
DIST_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+?)(?:-py\d(?:\.\d+)?)?\.(?:dist-info|egg-info)$")
INSTALLED = re.compile(r".*(?:-packages|/lib(?:64)?/python\d(?:\.\d+)?t?)/", re.DOTALL)
_SYSTEM = ("/usr/lib/", "/usr/lib64/", "/lib/", "/lib64/")  # what lies there is of the system's release
_MOST_FOLDERS = 5000
_SETUPTOOLS = "distutils-precedence.pth"  # of no other package
_SHEBANG = 256  # bytes of a script's first line that the kernel reads
_INTERPRETER = re.compile(r"python(?:\d(?:\.\d+)?t?)?$")


def read_python(uses: Uses, processes: Iterable[Process]) -> Python | None:
    """The interpreter's version and the imported distributions; None when no Python was seen.

    Args:
        uses: every path that the job opened.
        processes: the process tree; the first Python in it is the one that counts.
    """
    executable = next(filter(None, map(_interpreter, processes)), None)
    if executable is None:
        return None
    version = _version(executable)
    if version is None:
        return None
    return Python(version=version, packages=tuple(_packages(uses)))


def python_of(environments: Iterable[str]) -> Python | None:
    """The interpreter of the first of these environments that has one; none of its packages was imported."""
    programs = (os.path.join(folder, "bin", name) for folder in environments for name in ("python3", "python"))
    version = next(filter(None, map(_version, filter(os.path.isfile, programs))), None)
    return None if version is None else Python(version=version)


def _interpreter(process: Process) -> str | None:
    """The Python that a process ran: itself, or what the first line of the script names (execve(2))."""
    if _INTERPRETER.search(os.path.basename(process.executable)):
        return process.executable
    words = _shebang(process.executable)
    return words[0] if words and _INTERPRETER.search(os.path.basename(words[0])) else None


def _shebang(script: str) -> list[str]:
    """The words of a script's first line that name its interpreter; none where it is no script."""
    try:
        with open(script, "rb") as file:
            first = file.readline(_SHEBANG)
    except OSError:
        return []
    return os.fsdecode(first[2:]).split() if first.startswith(b"#!") else []


def is_python(process: Process) -> bool:
    """Whether a process ran a Python, or a script of one."""
    return _interpreter(process) is not None or any(
        _INTERPRETER.search(os.path.basename(word)) for word in _shebang(process.executable)[1:])  # of env(1)


def _version(executable: str) -> str | None:
    """Full version of an interpreter: of this one without asking, else from pyvenv.cfg, else by running `-V`."""
    if os.path.realpath(executable) == os.path.realpath(sys.executable):
        return sys.version.split()[0]
    try:
        with open(os.path.join(os.path.dirname(os.path.dirname(executable)), "pyvenv.cfg"), encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition("=")
                if name.strip() in {"version", "version_info"}:
                    return ".".join(value.strip().split(".")[:3])
    except (OSError, UnicodeDecodeError):
        pass
    import subprocess  # noqa: PLC0415  only for an interpreter that is not this one

    try:
        done = subprocess.run([executable, "-V"], capture_output=True, text=True, timeout=5, check=False,
                              stdin=subprocess.DEVNULL, start_new_session=True)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    words = (done.stdout or done.stderr).split()
    return words[1] if len(words) > 1 and words[0] == "Python" else None


def _iter_paths(uses: Uses) -> Iterator[str]:
    """Enough paths to know all packages: of a folder within one, any name stands for all."""
    yield from (path for path in uses.opened if "-packages/" in path and not path.startswith(_OWN))
    for folder, files in uses.folders.items():
        if folder.startswith(_OWN):
            continue
        if folder.endswith(("/site-packages", "/dist-packages")):
            yield from (f"{folder}/{name}" for name in files.list_names())
        elif folder.endswith("-packages/__pycache__"):
            yield from (f"{os.path.dirname(folder)}/{name.partition('.')[0]}.py" for name in files.list_names())
        elif "-packages/" in folder:
            yield f"{folder}/_"


def _packages(uses: Uses) -> list[Package]:
    opened: dict[str, set[str]] = {}
    seen: dict[str, set[str]] = {}
    editable: set[str] = set()
    for path in _iter_paths(uses):
        match = _PACKAGE_PATH.match(path)
        if match is None or match[2].startswith("~"):  # what pip(1) is about to delete
            continue
        folder, name, inside = match.groups()
        if name.endswith(".pth") and name != _SETUPTOOLS:
            editable.add(folder)
        if name == "__pycache__":  # of a module that is one file (PEP 3147)
            name, inside = os.path.basename(path), ""
        if not inside and not name.endswith(".egg"):
            name = "" if name.endswith(".pth") else name.partition(".")[0]
        if name.endswith((".dist-info", ".egg-info")):
            seen.setdefault(folder, set()).add(name)
        elif name not in {"__pycache__", ""}:
            opened.setdefault(folder, set()).add(name)
    for folder, name in _iter_imported_elsewhere(uses):
        opened.setdefault(folder, set()).add(name)
    found = _named(opened, seen, uses)
    if editable:
        from roar.analyze.editable import editable_packages  # noqa: PLC0415  most environments have no links

        found.update(editable_packages(editable, uses))
    return sorted(found, key=package_order)


def _named(opened: Mapping[str, set[str]], seen: Mapping[str, set[str]], uses: Uses) -> set[Package]:
    """What the names stand for that were opened in each folder."""
    found: set[Package] = set()
    unnamed: dict[str, set[str]] = {}
    for folder, names in opened.items():
        packages, left, owners = _distributions(folder, names, seen.get(folder, ()))
        own = folder.endswith("-packages") and not folder.startswith(_SYSTEM) and os.path.isdir(folder)
        found.update(_with_changes(packages, folder, owners, uses) if own and owners else packages)
        if left and own:
            unnamed[folder] = left
    if unnamed:
        from roar.analyze.unversioned import unversioned_packages  # noqa: PLC0415  hardly any module has no metadata

        found.update(unversioned_packages(unnamed, uses))
    return found


def _with_changes(packages: Iterable[Package], folder: str, owners: Mapping[str, Collection[str]], uses: Uses
                  ) -> list[Package]:
    """The distributions, those as changed of which somebody has edited what was loaded."""
    from roar.analyze.patched import find_patched  # noqa: PLC0415  it takes its names from here

    names = {entry: match for entries in owners.values() for entry in entries if (match := DIST_INFO.match(entry))}
    changes = {package_of(names[entry]["name"], names[entry]["version"]): digest
               for entry, digest in find_patched(folder, owners, uses).items() if entry in names}
    return [package.as_changed(changes[package]) if package in changes else package for package in packages]


def _iter_imported_elsewhere(uses: Uses) -> Iterator[tuple[str, str]]:
    """Folders that modules may have been imported from (`pip install --target` and PYTHONPATH), each with a name.

    That is the folder around the highest package, and, as packages may have no `__init__.py` (PEP 420), the one above.
    Sources in more folders than a program imports from are data.
    """
    modules: dict[str, set[str]] = {}
    for path in iter_named(uses, (".py",)):
        if not INSTALLED.match(path):
            folder, _, name = path.rpartition("/")
            modules.setdefault(folder, set()).add(name.removesuffix(".py"))
    for folder, names in modules.items() if len(modules) <= _MOST_FOLDERS else ():
        around, package = folder, ""
        while around and os.path.exists(os.path.join(around, "__init__.py")):
            around, _, package = around.rpartition("/")
        yield from ((around, name) for name in ({package} if package else names))
        yield os.path.split(around)


def iter_named(uses: Uses, ends: tuple[str, ...]) -> Iterator[str]:
    """The paths that end so."""
    yield from (path for path in uses.opened if path.endswith(ends))
    for folder, files in uses.folders.items():
        if any(f"{end}\0".encode() in files.names for end in ends):
            yield from (f"{folder}/{name}" for name in files.list_names() if name.endswith(ends))


def entries_of(folder: str) -> list[str]:
    """The names in a folder; none where it cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _distributions(folder: str, names: set[str], seen: Iterable[str]
                   ) -> tuple[list[Package], set[str], dict[str, set[str]]]:
    """The distributions in one site-packages folder that own the top-level `names`, and the names that none owns.

    The third are the folders of the metadata for each name that is owned: several may share one.

    seen: metadata that the job named, of distributions that may be gone by now.
    """
    installed: dict[str, tuple[str, str]] = {}  # distribution's folder → name, version
    for entry in (*sorted(seen), *entries_of(folder)):
        match = DIST_INFO.match(entry)
        if match:
            installed[entry] = (match["name"], match["version"])
    by_name = {normalised(name): entry for entry, (name, _) in installed.items()}  # what is there now comes last
    packages: list[Package] = []
    unknown: set[str] = set()
    owners: dict[str, set[str]] = {}
    for name in names:
        egg = _EGG.match(name)
        if egg:  # of `setup.py install`: a folder, or a zip archive
            packages.append(package_of(egg["name"], egg["version"]))
            continue
        owner = by_name.get(normalised(name))
        if owner is None:
            unknown.add(name)
        else:
            packages.append(package_of(*installed[owner]))
            owners[name] = {owner}
    for entry, brought in _owners(folder, installed, frozenset(unknown)):
        unknown -= brought
        for name in brought:
            owners.setdefault(name, set()).add(entry)
        package = package_of(*installed[entry])
        if package not in packages:
            packages.append(package)
    return packages, unknown, owners


def _owners(folder: str, installed: Iterable[str], names: AbstractSet[str]) -> Iterator[tuple[str, set[str]]]:
    """The distributions that brought importable names of other spelling than their own; several may share one."""
    wanted = as_listed(names)
    for entry in installed if wanted else ():
        listed = _listed(os.path.join(folder, entry))
        brought = {wanted[text] for text in wanted if text in listed}
        if brought:
            yield entry, brought


def as_listed(names: Iterable[str]) -> dict[bytes, str]:
    """How importable names stand in a list of names or files."""
    return {b"\n" + os.fsencode(name) + end: name for name in names for end in (b"/", b".", b"\n")}


def package_of(name: str, version: str) -> Package:
    """A distribution by its name as a file has it."""
    return Package(name=name.replace("_", "-"), version=version)


def package_order(package: Package) -> tuple[str, str]:
    """How packages are listed: by name in any case, then by version."""
    return package.name.lower(), package.version


def normalised(name: str) -> str:
    """What is equal of names that stand for the same distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(entry: str) -> bytes:
    """What a distribution installed, a line each: its importable names from top_level.txt, else its files."""
    return next(filter(None, (read_list(os.path.join(entry, name)) for name in ("top_level.txt", "RECORD"))), b"")


def read_list(path: str) -> bytes:
    """The lines of a file, each between two ends of lines; nothing where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return b"\n" + file.read() + b"\n"
    except OSError:
        return b""
