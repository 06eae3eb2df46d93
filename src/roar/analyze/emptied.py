"""Files that are opened for writing alone and then cut to nothing: no byte of what they held can have been read."""

import os
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
