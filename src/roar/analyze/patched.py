"""Distributions of which a module that was loaded is no longer what was installed (PEP 376: RECORD has its hash)."""

import base64
import contextlib
import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from roar.analyze.bytecode import source_beside
from roar.analyze.fold import Uses
from roar.analyze.packages import iter_named

_SLACK_NS = 2_000_000_000  # RECORD is written last; file systems round times
_MOST = 500  # so many are read; of more, as in an environment that was copied without its times, sizes have to do
_SHOWN = 12  # characters of a digest


def find_patched(folder: str, owners: Mapping[str, str], uses: Uses) -> dict[str, str]:
    """The distributions in a folder that were changed since they were installed, each with a digest of what was.

    Only what was written after RECORD is looked at, as it lies there now.

    Args:
        folder: such as `…/site-packages`.
        owners: the folder of the metadata of the distribution that has an importable name, by that.
        uses: every path that the job opened.
    """
    later: defaultdict[str, list[str]] = defaultdict(list)
    recorded_at = cache(lambda entry: _written_at(os.path.join(folder, entry, "RECORD")))
    for source in _loaded(os.path.join(folder, ""), uses):
        entry = owners.get(source[len(folder) + 1:].partition("/")[0].removesuffix(".py"))
        installed = None if entry is None else recorded_at(entry)
        if entry is None or installed is None:
            continue
        written = _written_at(source)
        if written is not None and written > installed + _SLACK_NS:
            later[entry].append(source)
    reads = sum(map(len, later.values())) <= _MOST
    changed = {entry: sorted(_iter_changed(folder, entry, sources, reads=reads)) for entry, sources in later.items()}
    return {entry: _digest(files) for entry, files in changed.items() if files}


def _loaded(below: str, uses: Uses) -> set[str]:
    """The sources of the modules that were loaded, compiled or not."""
    named = (path for path in iter_named(uses, (".py", ".pyc")) if path.startswith(below))
    return {source for path in named if (source := path if path.endswith(".py") else source_beside(path)) is not None}


def _written_at(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def _iter_changed(folder: str, entry: str, sources: Iterable[str], *, reads: bool
                  ) -> Iterator[tuple[str, str]]:
    """Those of the sources that have another size or, where they are read, another hash than RECORD says.

    Each by its name in the folder, with the hash that it has.
    """
    wanted = {os.path.relpath(source, folder): source for source in sources}
    try:
        with open(os.path.join(folder, entry, "RECORD"), encoding="utf-8", newline="") as file:
            rows = {row[0]: row for row in csv.reader(file) if len(row) > 2 and row[0] in wanted}  # noqa: PLR2004
    except (OSError, UnicodeDecodeError, csv.Error):
        return
    for name, (_, expected, size, *_) in rows.items():
        with contextlib.suppress(OSError):
            if _differs(wanted[name], expected, size, reads=reads):
                yield name, _hash(wanted[name], "sha256")


def _differs(path: str, expected: str, size: str, *, reads: bool) -> bool:
    if size.isdecimal() and os.stat(path).st_size != int(size):
        return True
    kind, _, digest = expected.partition("=")
    return reads and kind in hashlib.algorithms_guaranteed and _hash(path, kind) != digest


def _hash(path: str, kind: str) -> str:
    """As RECORD has it: URL-safe base64 without padding."""
    with open(path, "rb") as file:
        return base64.urlsafe_b64encode(hashlib.file_digest(file, kind).digest()).rstrip(b"=").decode()


def _digest(files: Iterable[tuple[str, str]]) -> str:
    whole = hashlib.sha256()
    for name, digest in files:
        whole.update(os.fsencode(f"{name}\0{digest}\0"))
    return whole.hexdigest()[:_SHOWN]
