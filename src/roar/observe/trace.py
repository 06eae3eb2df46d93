"""What the tracer saw of one command, as Python values. `roar.observe.log` reads it from the native event log."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from roar.observe.folders import FolderFiles


COMPLETE = frozenset({"full", "seccomp"})
"""Modes in which all programs are seen, whatever they do it by."""


class EventKind(IntEnum):
    """What happened to a path. Values are those of native/event_log.h, but for TAKEN: see roar.analyze.inner."""

    OPEN = 1
    UNLINK = 2
    RENAME = 3
    LINK = 4
    SYMLINK = 5
    TRUNCATE = 6
    MKNOD = 7
    MKDIR = 8
    RMDIR = 9
    EMPTY = 10
    LED = 11
    TAKEN = 256


class Signature(NamedTuple):
    """Identity and version of a file at one moment, as fstat(2) gives it. Times are nanoseconds since the epoch."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int


def is_symlink(signature: Signature | None) -> bool:
    """Whether a signature is known, and a symlink's own."""
    return signature is not None and stat.S_ISLNK(signature.mode)


def signature_of(status: os.stat_result) -> Signature:
    """The signature in the tracer's form."""
    return Signature(status.st_dev, status.st_ino, status.st_size, in_64_bits(status.st_mtime_ns),
                     in_64_bits(status.st_ctime_ns), status.st_mode)


def in_64_bits(time_ns: int) -> int:
    """A time as the tracer and the record have it; after the year 2262 it goes on with the least number."""
    return time_ns if -_HALF <= time_ns < _HALF else (time_ns + _HALF) % (2 * _HALF) - _HALF


_HALF = 1 << 63


class Event(NamedTuple):
    """One file event.

    Attributes:
        time_ns: CLOCK_MONOTONIC-like order across processes, nanoseconds.
        pid: process (thread group) that did it.
        kind: what happened.
        path: absolute; lexically normalised (no `.`, `..`, `//`), symlinks not resolved. For RENAME, LINK the old
            name; for SYMLINK the link's target text as given; for EMPTY, an open file cut to nothing, "".
        path2: for RENAME, LINK, SYMLINK the new name, absolute; for LED, which follows an OPEN that may write, where
            the file really lay then; else "".
        flags: open(2) flags for OPEN, renameat2(2) flags for RENAME; 1 for a SYMLINK that was not made, but was there
            and is about to be removed, moved or replaced, and for a TRUNCATE that leaves nothing.
        result: the call's return value, None where it was recorded before the call was made. Calls known to have
            failed are left out.
        signature: of the file before this open could change it; None where not taken, or where nothing was there.
        existed: for OPEN, whether the path was there just before; None where not looked at.
    """

    time_ns: int
    pid: int
    kind: EventKind
    path: str
    path2: str
    flags: int
    result: int | None
    signature: Signature | None
    existed: bool | None


@dataclass(slots=True, kw_only=True)
class Process:
    """One process image of the job's tree: a new one for each exec. Times as in Event.

    Attributes:
        environment: only the names that were asked for, never a secret.
        exit_code: the shell's: 128 + N for signal N. Of the last image of a process; None where its end was not seen.
        max_rss: bytes, at most at one time; None where not known. As are the times, of the process itself, in all its
            images, without its children.
        user_s: seconds of processor time.
        system_s: seconds of processor time.
    """

    pid: int
    ppid: int
    argv: tuple[str, ...]
    executable: str
    cwd: str
    started_ns: int
    environment: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    max_rss: int | None = None
    user_s: float | None = None
    system_s: float | None = None


def opening(path: str, signature: Signature | None, *, time_ns: int, pid: int = 0, flags: int = os.O_RDONLY) -> Event:
    """An open of a file that was there, as an event."""
    return Event(time_ns, pid, EventKind.OPEN, path, "", flags, None, signature, existed=True)


def list_reads(folders: "Iterable[FolderFiles]") -> Iterator[Event]:
    """The reads that closed folders stand for, one by one."""
    for files in folders:
        for name, time_ns, signature in files.iter_files():
            yield opening(f"{files.folder}/{name}", signature, time_ns=time_ns)


class ConsoleLine(NamedTuple):
    """A line written to descriptor 1 or 2 that may hold a link; escape sequences and wrapping as written."""

    time_ns: int
    pid: int
    descriptor: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended.

    Attributes:
        exit_code: the shell's: 128 + N for signal N, 127 not found, 126 for every other error.
        signal: that ended it, or None.
        error: `not found`, `not executable`, or the system's words; None where the command was started.
        max_rss: bytes; of the command and the children it waited for, as are the times.
        user_s: seconds of processor time.
        system_s: seconds of processor time.
    """

    exit_code: int
    signal: int | None = None
    error: str | None = None
    max_rss: int = 0
    user_s: float = 0.0
    system_s: float = 0.0

    @classmethod
    def from_wait_status(cls, status: int, *, max_rss: int, user_s: float, system_s: float) -> "Ended":
        """From wait(2)'s status."""
        code = os.waitstatus_to_exitcode(status)
        return cls(
            exit_code=code if code >= 0 else 128 - code,
            signal=-code if code < 0 else None,
            max_rss=max_rss,
            user_s=user_s,
            system_s=system_s,
        )


@dataclass(slots=True, kw_only=True)
class Trace:
    """Everything observed of one command.

    Attributes:
        mode: `full`, `seccomp`, `preload` or `none`.
        gaps: what could have been missed, one short phrase each (`io_uring`, `supervisor was killed`, …).
        events: in order of time.
        folders: the files that were only read, where their whole folder can stand for them; `events` has no others
            of these folders.
        duration_s: from the start of the tracer to the end of the command, without what it left in the background;
            None where its end was not seen.
        ended_ns: that moment, CLOCK_MONOTONIC in nanoseconds.
    """

    mode: str
    duration_s: float | None = None
    ended_ns: int | None = None
    gaps: tuple[str, ...] = ()
    events: list[Event] = field(default_factory=list)
    folders: "tuple[FolderFiles, ...]" = ()
    processes: list[Process] = field(default_factory=list)
    console: list[ConsoleLine] = field(default_factory=list)
