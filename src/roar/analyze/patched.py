"""Distributions of which a module that was loaded is no longer what was installed (PEP 376: RECORD has its hash)."""

import base64
import contextlib
import csv
import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping
from functools import cache
from itertools import chain

from roar.analyze.bytecode import source_beside
from roar.analyze.fold import Uses
from roar.analyze.packages import DIST_INFO, entries_of, iter_named

_SLACK_NS = 2_000_000_000  # RECORD is written last; file systems round times
_MOST = 500  # so many are read; of more, as in an environment that was copied without its times, sizes have to do
_HASHES = frozenset({"sha256", "sha384", "sha512"})  # PEP 427 asks for one as good as the first
_SHOWN = 12  # characters of a digest


def find_patched(folder: str, owners: Mapping[str, Collection[str]], uses: Uses) -> dict[str, str]:
    """The distributions in a folder that were changed since they were installed, each with a digest of what was.

    Only what was written after RECORD is looked at, as it lies there now. Of a file that several brought it is enough
    that one of them did so as it is.

    Args:
        folder: such as `…/site-packages`.
        owners: by importable name the folders of the metadata of the distributions that have it.
        uses: every path that the job opened.
    """
    recorded_at = cache(lambda entry: _written_at(os.path.join(folder, entry, "RECORD")))
    later: dict[str, list[str]] = {}  # by source, the metadata of all that may have brought it
    for source in _loaded(os.path.join(folder, ""), uses):
        name = os.path.relpath(source, folder)
        entries = [entry for entry in owners.get(name.partition("/")[0].removesuffix(".py"), ()) if recorded_at(entry)]
        if entries and _written_at(source) > min(map(recorded_at, entries)) + _SLACK_NS:
            later[name] = entries
    records = _Records(folder, later)
    changed: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, entries in sorted(later.items()):
        with contextlib.suppress(OSError):
            listing = records.that_differ(name, entries)
            digest = _hash(os.path.join(folder, name), "sha256") if listing else ""
            for entry in listing:
                changed[entry].append((name, digest))
    return {entry: _digest(files) for entry, files in changed.items()}


class _Records:
    """What the distributions in a folder brought of some files, by their names there."""

    def __init__(self, folder: str, names: Collection[str]) -> None:
        self._folder = folder
        self._reads = len(names) <= _MOST
        self._rows = cache(lambda entry: _read_rows(os.path.join(folder, entry, "RECORD"), names))

    def that_differ(self, name: str, first: Collection[str]) -> list[str]:
        """The metadata of those that list a file, where it is as none of them brought it; else none.

        Those that are not among the `first` are asked only where these do not tell.
        """
        listing: list[str] = []
        others = (one for one in entries_of(self._folder) if one not in first and DIST_INFO.match(one))
        for entry in chain(first, others):
            row = self._rows(entry).get(name)
            if row is not None and not _differs(os.path.join(self._folder, name), *row, reads=self._reads):
                return []
            listing += [entry] if row is not None else []
        return listing


def _loaded(below: str, uses: Uses) -> set[str]:
    """The sources of the modules that were loaded, compiled or not."""
    named = (path for path in iter_named(uses, (".py", ".pyc")) if path.startswith(below))
    return {source for path in named if (source := path if path.endswith(".py") else source_beside(path)) is not None}


def _written_at(path: str) -> int:
    """When a file was last written, nanoseconds since the epoch; 0 where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return status.st_mtime_ns if stat.S_ISREG(status.st_mode) else 0


def _read_rows(record: str, wanted: Container[str]) -> dict[str, tuple[str, str]]:
    """Hash and size of those files, by name, that a RECORD lists; none where it cannot be read."""
    try:
        with open(record, encoding="utf-8", newline="") as file:
            return {row[0]: (row[1], row[2]) for row in csv.reader(file)
                    if len(row) > 2 and row[0] in wanted}  # noqa: PLR2004  name, hash, size
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}


def _differs(path: str, expected: str, size: str, *, reads: bool) -> bool:
    if size and size != str(os.stat(path).st_size):
        return True
    kind, _, digest = expected.partition("=")
    return reads and kind in _HASHES and _hash(path, kind) != digest


def _hash(path: str, kind: str) -> str:
    """As RECORD has it: URL-safe base64 without padding."""
    with open(path, "rb") as file:
        return base64.urlsafe_b64encode(hashlib.file_digest(file, kind).digest()).rstrip(b"=").decode()


def _digest(files: Iterable[tuple[str, str]]) -> str:
    whole = hashlib.sha256()
    for name, digest in files:
        whole.update(os.fsencode(f"{name}\0{digest}\0"))
    return whole.hexdigest()[:_SHOWN]
