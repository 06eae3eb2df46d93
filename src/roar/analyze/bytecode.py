"""Python sources behind compiled ones: with `__pycache__/NAME.TAG.pyc` at hand Python does not open NAME.py.

See PEP 3147 for the names.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import chain

from roar.observe.folders import FolderFiles
from roar.observe.trace import Event, EventKind, Trace, list_reads, opening

_CACHE = "__pycache__"
_KNOWN_OTHERWISE = ("/site-packages/", "/dist-packages/", "/lib/python3")  # by version, or not at all


def add_sources(trace: Trace) -> None:
    """Put the opening of a source beside that of what was compiled from it, where it is there and was not opened."""
    found = dict(_compiled(trace.events, trace.folders))
    if not found:
        return
    opened = {event.path for event in trace.events if event.kind is EventKind.OPEN}
    opened.update(f"{files.folder}/{name}" for files in trace.folders if not files.folder.endswith(_CACHE)
                  for name in files.list_names() if name.endswith(".py"))
    missing = [opening(source, None, time_ns=event.time_ns, pid=event.pid) for source, event in found.items()
               if source not in opened and os.path.isfile(source)]
    if missing:
        trace.events += missing
        trace.events.sort(key=lambda event: event.time_ns)


def _compiled(events: Iterable[Event], folders: Iterable[FolderFiles]) -> Iterator[tuple[str, Event]]:
    """By source the opening of what was compiled from it."""
    caches = (files for files in folders if files.folder.endswith(f"/{_CACHE}"))
    for event in chain(events, list_reads(caches)):
        if event.kind is EventKind.OPEN and event.path.endswith(".pyc") and event.existed:
            source = _source(event.path)
            if source is not None and not event.flags & os.O_ACCMODE:
                yield source, event


def _source(path: str) -> str | None:
    folder, _, name = path.rpartition("/")
    home, _, cache = folder.rpartition("/")
    if cache != _CACHE or not name.endswith(".pyc") or any(part in path for part in _KNOWN_OTHERWISE):
        return None
    return f"{home}/{name.partition('.')[0]}.py"
