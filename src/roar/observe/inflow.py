"""What a command is given by descriptors that have no name: a pipe, or an unnamed file.

Standard input may be a socket, too (Node's child processes have one). Some shells make an unnamed file of a
here-document; process substitution, `<(CMD)`, is a pipe at another descriptor. What comes so is in no record. Nothing
here reads; whether the command did is told by what waits before and after.
"""

import array
import fcntl
import os
import re
import select
import stat
import termios
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from roar.observe.streams import STDIN

UNNAMED = "what came by a pipe or a here-document as standard input"
BY_FIFO = "what came by a named pipe"
_BESIDE = "what came by a pipe or a here-document at descriptor "  # and the numbers


def find_unrecorded(gaps: Iterable[str]) -> str | None:
    """What a job read that its command alone does not bring again; None where there is no such gap."""
    return next((gap for gap in gaps if gap in {UNNAMED, BY_FIFO} or gap.startswith(_BESIDE)), None)


class Inflow(NamedTuple):
    """A descriptor at one moment.

    Attributes:
        waiting: bytes that are there to be read, of an unnamed file its offset with the sign changed.
        closed: whether nothing more can come.
    """

    waiting: int
    closed: bool


def look_at_inflows() -> dict[int, Inflow]:
    """By descriptor those that have no name, and that data comes by."""
    return {descriptor: inflow for descriptor in (STDIN, *_find_others())
            if (inflow := _look_at(descriptor)) is not None}


def find_read(before: Mapping[int, Inflow]) -> tuple[str, ...]:
    """The gaps that they leave by which something was read meanwhile.

    That is as far as can be told: a part of what goes on and on cannot.
    """
    read = [descriptor for descriptor, inflow in before.items() if _was_read(inflow, _look_at(descriptor))]
    others = " and ".join(str(descriptor) for descriptor in read if descriptor != STDIN)
    return (*([UNNAMED] if STDIN in read else []), *([f"{_BESIDE}{others}"] if others else []))


def _find_others() -> list[int]:
    """The command's pipes and unnamed files beside standard input that are open for reading alone.

    Not those of which it has the other end, too: the tokens of make(1) go round by such a pipe.
    """
    found: dict[tuple[int, int], int] = {}
    more = set()
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            status = os.fstat(descriptor)
            reads = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            is_given = os.get_inheritable(descriptor)
        except OSError:  # that of the list itself
            continue
        if reads and is_given and descriptor != STDIN and (stat.S_ISFIFO(status.st_mode) or _is_unnamed(status)):
            found.setdefault((status.st_dev, status.st_ino), descriptor)
        elif is_given:
            more.add((status.st_dev, status.st_ino))
    return sorted(descriptor for file, descriptor in found.items() if file not in more)


def _is_unnamed(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and not status.st_nlink


def _look_at(descriptor: int) -> Inflow | None:
    """None where it has a name, or is none that data comes by."""
    try:
        status = os.fstat(descriptor)
        if _is_unnamed(status):
            return Inflow(-os.lseek(descriptor, 0, os.SEEK_CUR), closed=True)
        if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
            return None
        count = array.array("i", [0])
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLRDHUP)
        return Inflow(count[0], closed=any(events & (select.POLLHUP | select.POLLRDHUP) for _, events in poll.poll(0)))
    except OSError:
        return None


def _was_read(before: Inflow, after: Inflow | None) -> bool:
    if after is None:
        return False
    came_to_its_end = after.closed and not after.waiting and not (before.closed and not before.waiting)
    return after.waiting < before.waiting or came_to_its_end


def find_missing(gaps: Iterable[str]) -> list[int]:
    """The descriptors by which something came to a job that is in no record, and that this process has no such at."""
    wanted = [STDIN if gap == UNNAMED else int(number) for gap in gaps if gap == UNNAMED or gap.startswith(_BESIDE)
              for number in re.findall(r"\d+", gap) or [STDIN]]
    return [descriptor for descriptor in wanted if not _is_given(descriptor)]


def _is_given(descriptor: int) -> bool:
    """Whether a descriptor is a file, a pipe or a socket: not a terminal, nor one that is always empty."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
