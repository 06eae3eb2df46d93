"""The regular files that are a command's standard input and output: the shell has opened them before roar begins.

Nothing here reads, writes or seeks. An offset is shared with the command, so that it tells whether the command did.
"""

import fcntl
import os
import stat
from dataclasses import dataclass, replace

from roar.observe.trace import Signature, signature_of

STDIN, STDOUT, STDERR = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A file behind a descriptor of the command, as it was when the command began.

    Attributes:
        descriptor: 0 or 1.
        path: absolute, symlinks resolved.
        offset: bytes.
        appends: whether what others wrote there has to stay: behind `>>`, and where the caller of roar has it, too.
        moved: whether the offset was another when the command had ended; None where that was not seen.
    """

    descriptor: int
    path: str
    offset: int
    appends: bool
    signature: Signature
    moved: bool | None = None

    def ended(self) -> "Stream":
        """The same, just after the command has ended."""
        try:
            return replace(self, moved=os.lseek(self.descriptor, 0, os.SEEK_CUR) != self.offset)
        except OSError:
            return self

    def was_used(self) -> bool:
        """Whether the command read or wrote it; where its end was not seen, whether the output is another now."""
        if self.moved is not None:
            return self.moved
        try:
            return self.descriptor == STDOUT and signature_of(os.stat(self.path)) != self.signature
        except OSError:
            return False


def find_streams() -> tuple[Stream, ...]:
    """Those of this process, which its command will have, too."""
    found = map(_find, (STDIN, STDOUT))
    return tuple(stream for stream in found if stream is not None)


def _find(descriptor: int) -> Stream | None:
    """None where it is no regular file, or one that has no name, or is not the command's to read or write."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not os.get_inheritable(descriptor):
            return None
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if not os.path.samestat(os.stat(path), status):
            return None
        stream = Stream(descriptor=descriptor, path=path, offset=os.lseek(descriptor, 0, os.SEEK_CUR),
                        appends=bool(flags & os.O_APPEND), signature=signature_of(status))
    except (OSError, ValueError):
        return None
    if flags & os.O_ACCMODE == (os.O_WRONLY if descriptor == STDIN else os.O_RDONLY):
        return None
    return stream if descriptor == STDIN else _as_output(stream, status)


def _as_output(stream: Stream, status: os.stat_result) -> Stream | None:
    """None for a log: of roar's own report, or of a script that has written to it before this command began."""
    shared = _has(os.getppid(), STDOUT, status)
    if _has(os.getpid(), STDERR, status) or (stream.offset and not stream.appends) or (shared and status.st_size):
        return None
    return replace(stream, appends=stream.appends or shared)


def _has(pid: int, descriptor: int, status: os.stat_result) -> bool:
    """Whether a process has this file at a descriptor: roar's caller is a script, or a program such as timeout(1)."""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/fd/{descriptor}"), status)
    except OSError:
        return False
