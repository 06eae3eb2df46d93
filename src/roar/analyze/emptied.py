"""Files that are opened and then cut to nothing: no byte of what they held was read."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from roar.observe.trace import Event, EventKind

TO_NOTHING: Final = 1  # flags of a TRUNCATE event (native/event_log.h)


def with_emptied(events: Sequence[Event]) -> Sequence[Event]:
    """Events in which such an open is one with O_TRUNC. Those that only tell of an open file's emptying are left out.

    Not so where the file was opened otherwise in between: what it held may have been read.

    Args:
        events: in order of time.
    """
    if any(map(_makes_anew, events)):
        events = _without_probes(events)
    if not any(_empties(event) for event in events):
        return events
    found: list[Event] = []
    to_write: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)  # by file, where its opens stand in `found`
    for event in events:
        file = event.signature[:2] if event.signature is not None else ()
        if _empties(event):
            for place in to_write.pop(file, ()):
                found[place] = found[place]._replace(flags=found[place].flags | os.O_TRUNC)
        elif event.kind is EventKind.OPEN and file:
            if event.flags & (os.O_ACCMODE | os.O_PATH) == os.O_WRONLY:
                to_write[file].append(len(found))
            else:
                to_write.pop(file, None)
        if event.kind is not EventKind.EMPTY:
            found.append(event)
    return found


def _empties(event: Event) -> bool:
    return event.kind is EventKind.EMPTY or (event.kind is EventKind.TRUNCATE and event.flags == TO_NOTHING)


_HDF5 = re.compile(r"\.(?:h5|hdf5?|he5|nc4?|h5ad|loom)$")
"""The names of its files. Others are known by their first bytes, if they are there in the end."""
_FIRST_BYTES = b"\x89HDF\r\n\x1a\n"
_AT_ONCE_NS = 50_000_000
_HOW = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC


def _without_probes(events: Sequence[Event]) -> Sequence[Event]:
    """Events without the opens by which HDF5 sees whether a file is there that it then opens with O_TRUNC.

    It reads nothing in between: H5F_open() of H5Fint.c, "tentative open".
    """
    probes: set[int] = set()
    last: dict[int, tuple[int, Event]] = {}
    for place, event in enumerate(events):
        if event.kind is EventKind.LED:
            continue
        before = last.get(event.pid)
        if before is not None and _is_probe(before[1], event) and _is_hdf5(event.path):
            probes.add(before[0])
        last[event.pid] = place, event
    return [event for place, event in enumerate(events) if place not in probes] if probes else events


def _is_hdf5(path: str) -> bool:
    if _HDF5.search(path):
        return True
    if not os.path.isfile(path):  # a pipe would wait
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(_FIRST_BYTES)) == _FIRST_BYTES
    except OSError:
        return False


def _is_probe(event: Event, then: Event) -> bool:
    """Whether a process opened a file to change it, and the very next thing it did was to open it with O_TRUNC."""
    return (_makes_anew(then) and event.kind is EventKind.OPEN and event.path == then.path
            and event.flags & _HOW == os.O_RDWR and then.time_ns - event.time_ns < _AT_ONCE_NS)


def _makes_anew(event: Event) -> bool:
    """Whether a file is opened as HDF5 opens one that it makes."""
    return event.flags & _HOW == os.O_RDWR | os.O_CREAT | os.O_TRUNC and event.kind is EventKind.OPEN
