"""Files that are made without a name (O_TMPFILE), and get one by a link."""

import re
from typing import Final

from roar.observe.trace import Event, EventKind

AT_SYMLINK_FOLLOW: Final = 0x400  # linux/fcntl.h
AT_EMPTY_PATH: Final = 0x1000
_NAMELESS = re.compile(r"/#\d+ \(deleted\)$")  # how /proc/PID/fd shows such a file


def is_nameless(event: Event) -> bool:
    """Whether an event gives such a file a name: open(2) says how. Its old name stands for nothing."""
    return (event.kind is EventKind.LINK and bool(event.flags & (AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
            and _NAMELESS.search(event.path) is not None)
