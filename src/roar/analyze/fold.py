"""Fold the tracer's events into one use per path: what was read, what was written, what is left at the end."""

from dataclasses import dataclass
from enum import StrEnum

from roar.observe.trace import Signature


class Made(StrEnum):
    """What a path is, as far as the events tell."""

    FILE = "file"
    SYMLINK = "symlink"
    DIRECTORY = "directory"


@dataclass(slots=True, kw_only=True)
class PathUse:
    """All that one job did with one path.

    Attributes:
        path: absolute, as in the events.
        read: content that the job had not itself written was opened for reading, and was there.
        written: opened for writing, created, renamed to, linked or truncated.
        exists: the path is there after the command has ended (lstat).
        made: `symlink` when the job made a symlink here; its `target` is the link's text.
        signature: of the content at the first read; None where it was not taken or nothing was read.
        first_ns: time of the first event, as in Event.time_ns.
    """

    path: str
    read: bool = False
    written: bool = False
    exists: bool = True
    made: Made = Made.FILE
    target: str | None = None
    signature: Signature | None = None
    first_ns: int = 0
