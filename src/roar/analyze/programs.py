"""Programs, scripts and shared libraries whose version is not recorded: of no package of Python, nor of the system."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from roar.analyze.fold import Uses
from roar.analyze.packages import DIST_INFO, INSTALLED, entries_of, is_python, normalised, package_of, read_list
from roar.analyze.plumbing import KEPT, Plumbing
from roar.model import Package
from roar.observe.trace import Process

NO_VERSION = "unversioned"
"""The category of what has a version that is not recorded."""

_OF_THE_ADMINISTRATOR = "/usr/local/"  # put there by no package of the system (FHS 3.0, section 4.9)
_WITH_THE_SYSTEM = ("/usr/lib", "/lib", "/usr/local/nvidia/")  # the last comes with the driver, as of the host's facts
_LIBRARY = re.compile(r"/(?!libpython)[^/]+\.so(?:\.\d+)*$")
_SCRIPTS = (".py", ".sh", ".bash", ".pl", ".pm", ".R", ".r", ".jl", ".lua", ".rb")
_OF_THE_USER = "/.local/"
_ELF = b"\x7fELF"
_BESIDE = b"../../../"  # from the folder of the packages to that of the environment (PEP 376)
_OF_LANGUAGES = frozenset({"interpreter", "settings", NO_VERSION})
_WITHOUT_EFFECT = frozenset({"uv", "uvx", "pixi", "conda", "mamba", "micromamba", "mise", "asdf", "just", "task",
                             "direnv", "git", "git-lfs", "nvidia-smi", "rocm-smi"})
"""What only starts something else, moves files or reports: another version of it changes no output."""
_CHOOSING = re.compile(r".*/\.?(?:pyenv|rbenv|goenv|nodenv|asdf|mise)/(?:(?:plugins/[^/]+/)?(?:shims|libexec|bin)/"
                       r"|pyenv\.d/)|.*/\.volta/(?:bin|tools/shim)/")
"""What chooses one of several interpreters and starts that, which has its own version."""


def sort_programs(processes: Iterable[Process], plumbing: Plumbing) -> tuple[dict[str, str], dict[Package, str]]:
    """The programs, each with the category that its path has by itself; and distributions that others came with.

    Returns:
        The first by path, such as `/usr/local/bin/duckdb`; of the others (`ninja`, `ruff`) the environment each is
        installed in.
    """
    unversioned: dict[str, str] = {}
    for path, process in {process.executable: process for process in processes}.items():
        if os.path.basename(path) in _WITHOUT_EFFECT or _CHOOSING.match(path) or INSTALLED.match(path) or (
                is_python(process)):
            continue
        category = plumbing.category(path)
        if path.startswith(_OF_THE_ADMINISTRATOR) or category in _OF_LANGUAGES:
            unversioned[path] = category
    packages: dict[Package, str] = {}
    for path, package in _find_owners(list(unversioned)):
        packages[package] = os.path.dirname(os.path.dirname(os.path.realpath(path)))
        del unversioned[path]
    return unversioned, packages


def unversioned_libraries(uses: Uses, plumbing: Plumbing) -> dict[str, str]:
    """The shared libraries, as `sort_programs` has the programs: in `~/.local/lib`, and where data may lie.

    Also what an interpreter read below `~/.local`, by whatever name it was started: scripts and modules.
    """
    found = {path: plumbing.category(path) for path in _iter_libraries(uses) if not INSTALLED.match(path)}
    libraries = {path: category for path, category in found.items() if path.startswith(_OF_THE_ADMINISTRATOR)
                 or (category == "libraries" and ("/.local/lib" in path
                                                  or plumbing.category(f"{os.path.dirname(path)}/_") == KEPT))}
    scripts = {path: category for path in _iter_scripts(uses) if (category := plumbing.category(path)) == "settings"
               and plumbing.category(os.path.realpath(path)) in {*_OF_LANGUAGES, KEPT} and not _is_binary(path)}
    return {**libraries, **_without_installed(scripts)}


def _iter_scripts(uses: Uses) -> Iterator[str]:
    """What was read below `~/.local` and may be a program's text: by its suffix, or as it lies in `bin`."""
    for path, use in uses.opened.items():
        if _OF_THE_USER in path and use.read and _may_be_script(path):
            yield path
    for folder, files in uses.folders.items():
        if _OF_THE_USER in f"{folder}/":
            yield from (path for name in files.list_names() if _may_be_script(path := f"{folder}/{name}"))


def _may_be_script(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return ((path.endswith(_SCRIPTS) or folder.endswith("/.local/bin")) and name not in _WITHOUT_EFFECT
            and name != "env" and not _CHOOSING.match(path))  # uv and rustup put `env` there, which only sets PATH


def _is_binary(path: str) -> bool:
    """Whether a file is a program in machine code (elf(5)), which somebody only looked into."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError:
        return False


def _without_installed(scripts: Mapping[str, str]) -> dict[str, str]:
    """The scripts that no distribution's RECORD names, as they are now, and no environment of conda holds."""
    listed: dict[str, dict[bytes, bytes]] = {}
    return {path: category for path, category in scripts.items() if not _is_installed(os.path.realpath(path), listed)}


def _is_installed(path: str, listed: dict[str, dict[bytes, bytes]]) -> bool:
    """Whether a list names a file, in its folder or in one above; `listed` keeps the lists by folder."""
    folder = os.path.dirname(path)
    while folder != "/":
        if folder not in listed:
            listed[folder] = dict(_iter_listed(folder))
        row = listed[folder].get(os.fsencode(os.path.relpath(path, folder)))
        if (row is not None and _is_as_installed(path, row)) or os.path.isdir(f"{folder}/conda-meta"):
            return True
        folder = os.path.dirname(folder)
    return False


def _iter_listed(folder: str) -> Iterator[tuple[bytes, bytes]]:
    """The files of distributions in a folder, or in an environment there: the name from there, the row of RECORD."""
    beside = [(entry, _BESIDE) for entry in _iter_distributions(folder, frozenset())]
    direct = [(os.path.join(folder, entry), b"") for entry in entries_of(folder) if entry.endswith(".dist-info")]
    for entry, above in (*beside, *direct):
        for row in read_list(os.path.join(entry, "RECORD")).splitlines():
            name = row.partition(b",")[0]
            if name and name.startswith(above):
                yield name[len(above):], row


def _iter_libraries(uses: Uses) -> Iterator[str]:
    for path in uses.opened:
        if ".so" in path and not path.startswith(_WITH_THE_SYSTEM) and _LIBRARY.search(path):
            yield path
    for folder, files in uses.folders.items():
        if b".so" in files.names and not f"{folder}/".startswith(_WITH_THE_SYSTEM):
            yield from (path for name in files.list_names() if _LIBRARY.search(path := f"{folder}/{name}"))


def _find_owners(programs: Collection[str]) -> Iterator[tuple[str, Package]]:
    """Of programs beside a Python's packages the distributions that installed them, as their RECORD says (PEP 376)."""
    by_folder: dict[str, dict[bytes, str]] = {}
    for program in programs:
        folder, name = os.path.split(os.path.realpath(program))  # a tool's own environment is linked from elsewhere
        if os.path.basename(folder) == "bin":
            by_folder.setdefault(folder, {})[b"\n../../../bin/" + os.fsencode(name) + b","] = program
    for folder, wanted in by_folder.items():
        for entry in _iter_distributions(os.path.dirname(folder), set(map(os.path.basename, wanted.values()))):
            match = DIST_INFO.match(os.path.basename(entry))
            listed = read_list(os.path.join(entry, "RECORD")) if match else b""
            for line in [line for line in wanted if line in listed]:
                row = listed[listed.index(line) + 1:].partition(b"\n")[0]
                if match and _is_as_installed(wanted[line], row):
                    yield wanted.pop(line), package_of(match["name"], match["version"])
            if not wanted:
                break


def _iter_distributions(prefix: str, first: AbstractSet[str]) -> Iterator[str]:
    """The metadata of the distributions of an environment, those of some names first."""
    libraries = os.path.join(prefix, "lib")
    names = {normalised(name) for name in first}
    for version in entries_of(libraries):
        for packages in ("site-packages", "dist-packages") if version.startswith("python") else ():
            folder = os.path.join(libraries, version, packages)
            entries = [entry for entry in entries_of(folder) if entry.endswith(".dist-info")]
            entries.sort(key=lambda entry: normalised(entry.partition("-")[0]) not in names)
            yield from (os.path.join(folder, entry) for entry in entries)


def _is_as_installed(program: str, row: bytes) -> bool:
    """Whether a program has the size that its row in a list of installed files gives it, if that gives one."""
    size = row.strip().rpartition(b",")[2]
    try:
        return not size or (size.isdigit() and os.stat(program).st_size == int(size))
    except OSError:
        return False
