"""Standard input that has no name: a pipe, a socket (Node's child processes have one), or an unnamed file.

Some shells make such a file of a here-document. What comes by it is in no record. Nothing here reads; whether the
command did is told by what waits before and after.
"""

import array
import fcntl
import os
import select
import stat
import termios
from typing import NamedTuple

from roar.observe.streams import STDIN

UNNAMED = "what came by a pipe or a here-document as standard input"


class Inflow(NamedTuple):
    """Standard input at one moment.

    Attributes:
        waiting: bytes that are there to be read, of an unnamed file its offset with the sign changed.
        closed: whether nothing more can come.
    """

    waiting: int
    closed: bool


def look_at_inflow() -> Inflow | None:
    """None where it has a name, or is none that data comes by."""
    try:
        status = os.fstat(STDIN)
        if stat.S_ISREG(status.st_mode) and not status.st_nlink:
            return Inflow(-os.lseek(STDIN, 0, os.SEEK_CUR), closed=True)
        if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
            return None
        count = array.array("i", [0])
        fcntl.ioctl(STDIN, termios.FIONREAD, count)
        poll = select.poll()
        poll.register(STDIN, select.POLLIN | select.POLLRDHUP)
        return Inflow(count[0], closed=any(events & (select.POLLHUP | select.POLLRDHUP) for _, events in poll.poll(0)))
    except OSError:
        return None


def is_given() -> bool:
    """Whether standard input is a file, a pipe or a socket: not a terminal, nor one that is always empty."""
    try:
        mode = os.fstat(STDIN).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def was_read(before: Inflow | None, after: Inflow | None) -> bool:
    """Whether something was read meanwhile, as far as can be told: a part of what goes on and on cannot."""
    if before is None or after is None:
        return False
    came_to_its_end = after.closed and not after.waiting and not (before.closed and not before.waiting)
    return after.waiting < before.waiting or came_to_its_end
