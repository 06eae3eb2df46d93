"""Modules in `site-packages` that no distribution's metadata name: copied by hand, or installed without any.

Each stands among the packages with a digest of its modules that were loaded in the place of a version.
"""

import os
from collections.abc import Iterable, Iterator, Mapping

from roar.analyze.bytecode import source_beside
from roar.analyze.digest import digest_files
from roar.analyze.fold import Uses
from roar.analyze.packages import DIST_INFO, as_listed, entries_of, iter_named, read_list
from roar.model import UNVERSIONED, Package
from roar.observe.trace import Signature, signature_of

_OF_ENVIRONMENTS = "_virtualenv"  # virtualenv(1) and uv(1) put it there
_SHOWN = 16  # characters of a digest
_LISTS = ("RECORD", "installed-files.txt")


def unversioned_packages(unnamed: Mapping[str, Iterable[str]], uses: Uses) -> Iterator[Package]:
    """The modules, by their top-level names.

    Args:
        unnamed: by folder, the names below it of which the distributions there say nothing in the first place.
        uses: every path that the job opened.
    """
    for folder, names in unnamed.items():
        modules = _loaded(os.path.join(folder, ""), names, uses)
        for name in modules.keys() - (_listed(folder, modules) if modules else ()):
            yield Package(name=name, version=UNVERSIONED + _digest(folder, modules[name], uses))


def _loaded(below: str, names: Iterable[str], uses: Uses) -> dict[str, set[str]]:
    """By name, the files of the modules that were loaded; compiled ones stand for their sources."""
    modules: dict[str, set[str]] = {name: set() for name in names if name.isidentifier() and name != _OF_ENVIRONMENTS}
    for path in iter_named(uses, (".py", ".pyc", ".so")) if modules else ():
        if path.startswith(below):
            source = source_beside(path) or path
            name = source[len(below):].partition("/")[0].partition(".")[0]
            if name in modules:
                modules[name].add(source)
    return {name: files for name, files in modules.items() if files}


def _listed(folder: str, names: Iterable[str]) -> set[str]:
    """Those of the names that lists of installed files have: top_level.txt need not name all."""
    entries = (os.path.join(folder, entry) for entry in entries_of(folder) if DIST_INFO.match(entry))
    lists = [read_list(f"{entry}/{name}").replace(b"\n../", b"\n") for entry in entries for name in _LISTS]
    wanted = as_listed(names)
    return {wanted[text] for listed in lists for text in wanted if text in listed}


def _digest(folder: str, files: Iterable[str], uses: Uses) -> str:
    """Of what lies there as it was loaded; `?` where some of it does not."""
    from blake3 import blake3  # noqa: PLC0415  hardly any module has no metadata

    signed = {path: signature for path in files if (signature := _signature(path, uses)) is not None}
    found = digest_files(signed, {})
    if found.keys() != {*files}:
        return "?"
    whole = blake3()
    for path in sorted(files):
        whole.update(f"{os.path.relpath(path, folder)}\0{found[path].digest}\0".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()[:_SHOWN]


def _signature(path: str, uses: Uses) -> Signature | None:
    try:
        signature = signature_of(os.stat(path))
    except OSError:
        return None
    opened = uses.opened.get(path)
    return signature if opened is None or opened.signature in {None, signature} else None
