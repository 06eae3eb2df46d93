"""Named pipes: what is read from one is in no record, unless the job itself has put it there."""

import os
import stat
from collections import defaultdict
from collections.abc import Callable

from roar.observe.trace import Event, EventKind


def without_fifos(events: list[Event], is_own: Callable[[Event], bool]) -> tuple[list[Event], set[str]]:
    """The events without the opens of named pipes, and those of these that the job read and none of it wrote to.

    Args:
        events: in order of time.
        is_own: whether this job did it, and no other one within it.
    """
    opens = [event for event in events if _is_fifo(event)]
    if not opens:
        return events, set()
    rest = [event for event in events if not _is_fifo(event)]
    readers: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    fed: set[tuple[int, int]] = set()
    for event in filter(is_own, opens):
        assert event.signature is not None
        if _may_write(event):
            fed.add(event.signature[:2])
        else:
            readers[event.signature[:2]].add(event.path)
    unfed = [paths for file, paths in readers.items() if file not in fed]
    cut = {os.path.realpath(event.path) for event in rest if unfed and _is_cut(event) and is_own(event)}
    return rest, {path for paths in unfed if cut.isdisjoint(map(os.path.realpath, paths)) for path in paths}


def _is_fifo(event: Event) -> bool:
    return (event.kind is EventKind.OPEN and event.signature is not None and stat.S_ISFIFO(event.signature.mode)
            and not event.flags & os.O_PATH)


def _may_write(event: Event) -> bool:
    return event.flags & os.O_ACCMODE != os.O_RDONLY


def _is_cut(event: Event) -> bool:
    """Whether nobody looked what it was that was opened, as nothing stays of a file (O_TRUNC)."""
    return (event.kind is EventKind.OPEN and event.signature is None and _may_write(event)
            and bool(event.flags & os.O_TRUNC))
