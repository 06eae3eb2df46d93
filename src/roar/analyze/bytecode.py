"""Python sources behind compiled ones: with `__pycache__/NAME.TAG.pyc` at hand Python does not open NAME.py.

See PEP 3147 for the names. With PYTHONPYCACHEPREFIX, or `-X pycache_prefix`, NAME.TAG.pyc lies in a tree of its own,
below the absolute path of the source's folder.
"""

import os
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, pairwise

from roar.analyze.caches import COMPILED
from roar.observe.folders import FolderFiles
from roar.observe.trace import Event, EventKind, Process, Trace, list_reads, opening

_CACHE = "__pycache__"
_OPTION = "pycache_prefix="
_KNOWN_OTHERWISE = ("/site-packages/", "/dist-packages/", "/lib/python3")  # by version, or not at all


def add_sources(trace: Trace) -> None:
    """Put the opening of a source beside that of what was compiled from it, where it is there and was not opened."""
    found = dict(_compiled(trace.events, trace.folders, {prefix for process in trace.processes
                                                         if (prefix := _prefix(process))}))
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


def _prefix(process: Process) -> str | None:
    """The folder below which a Python program keeps what it compiled, if that is not beside the sources."""
    prefix = process.environment.get(COMPILED) or ""
    for before, word in pairwise(process.argv):
        if before == "-X" and word.startswith(_OPTION):
            prefix = word.removeprefix(_OPTION)
    return os.path.normpath(os.path.join(process.cwd, prefix)) if prefix else None


def _compiled(events: Iterable[Event], folders: Iterable[FolderFiles], prefixes: Collection[str]
              ) -> Iterator[tuple[str, Event]]:
    """By source the opening of what was compiled from it."""
    below = tuple(f"{prefix.rstrip('/')}/" for prefix in prefixes)
    caches = (files for files in folders if files.folder.endswith(f"/{_CACHE}")
              or (below and f"{files.folder}/".startswith(below)))
    for event in chain(events, list_reads(caches)):
        if event.kind is EventKind.OPEN and event.path.endswith(".pyc") and event.existed:
            source = _source(event.path, below)
            if source is not None and not event.flags & os.O_ACCMODE:
                yield source, event


def source_beside(path: str) -> str | None:
    """The source of what lies in a `__pycache__`; None for what lies elsewhere."""
    folder, _, name = path.rpartition("/")
    home, _, cache = folder.rpartition("/")
    return f"{home}/{name.partition('.')[0]}.py" if cache == _CACHE and home else None


def _source(path: str, prefixes: Iterable[str]) -> str | None:
    if not path.endswith(".pyc") or any(part in path for part in _KNOWN_OTHERWISE):
        return None
    folder, _, name = path.rpartition("/")
    if folder.endswith(f"/{_CACHE}"):
        return source_beside(path)
    home = next((f"/{folder[len(prefix):]}" for prefix in prefixes if path.startswith(prefix)), "")
    return f"{home}/{name.partition('.')[0]}.py" if home else None
