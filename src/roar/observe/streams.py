"""The regular files that a command is given open, as standard input and output above all: the shell did it before.

Nothing here reads, writes or seeks. An offset is shared with the command, so that it tells whether the command did.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace

from roar.observe.trace import Signature, signature_of

STDIN, STDOUT, STDERR = 0, 1, 2
_SHELLS = re.compile(r"(?:ba|da|z|k|mk|a|fi|c|tc|)sh[\d.-]*|busybox|g?make")
_WAITS = re.compile("timeout|time|flock|sudo|strace|ltrace|perf|setsid|unshare|systemd-run")  # each starts one command
_SAVED = 10  # "descriptors from 10 on are the shell's own" (POSIX, Shell Command Language, 2.7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A file behind a descriptor of the command, as it was when the command began.

    Attributes:
        descriptor: 0 for standard input, 1 for standard output, or another one but 2.
        path: absolute, symlinks resolved.
        offset: bytes.
        appends: whether what others wrote there has to stay: behind `>>`, and where the caller of roar has it, too.
        only_read: whether it is open for reading only.
        moved: whether the offset was another when the command had ended; None where that was not seen.
        continues: whether the shell that is around roar had it redirected for several commands, as of a loop, and it
            was written to before: it is the command's where another command that was recorded has left it so.
    """

    descriptor: int
    path: str
    offset: int
    appends: bool
    signature: Signature
    only_read: bool = False
    moved: bool | None = None
    continues: bool = False

    @property
    def is_input(self) -> bool:
        """Whether the command may read it, and not write."""
        return self.descriptor == STDIN or self.only_read

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
            return not self.is_input and signature_of(os.stat(self.path)) != self.signature
        except OSError:
            return False


def find_streams(callers: Iterable[int]) -> tuple[Stream, ...]:
    """Those of this process, which its command will have, too.

    Args:
        callers: the processes above this one, its parent first.
    """
    caller = next((pid for pid in callers if not _WAITS.fullmatch(_program(pid))), 0)
    descriptors = {STDIN, STDOUT, *map(int, os.listdir("/proc/self/fd"))} - {STDERR}
    found: dict[str, Stream] = {}
    for descriptor in sorted(descriptors):
        if (stream := _find(descriptor, caller)) is not None:
            found.setdefault(stream.path, stream)
    return tuple(found.values())


def find_pipe(descriptor: int) -> tuple[int, int] | None:
    """Device and inode of what this process and its command have there, where that is no file, device or terminal.

    So it is a pipe, a socket, or a file without a name: whoever made it reads from it what the command printed.
    """
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    nameless = stat.S_ISREG(status.st_mode) and status.st_nlink == 0
    is_pipe = stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)
    return (status.st_dev, status.st_ino) if is_pipe or nameless else None


def is_redirected(callers: Iterable[int]) -> bool:
    """Whether standard output was made the file that it is for this command, and not for a script that it stands in.

    Args:
        callers: the processes above this one, its parent first. Those that only wait for it, as timeout(1) does, have
            the file of the command; a shell has it that was redirected itself.
    """
    status = os.fstat(STDOUT)
    for pid in callers:
        if not _has(pid, STDOUT, status):
            return True
        if _is_shell(pid):
            return _has_saved_output(pid)
    return True


def _is_shell(pid: int) -> bool:
    return _SHELLS.fullmatch(_program(pid)) is not None


def _program(pid: int) -> str:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def _redirects_itself(pid: int) -> bool:
    """Whether a shell is redirected for one command only: dash(1), which does not do so in the command's process."""
    return _program(pid) == "dash" and _has_saved_output(pid)


def _has_saved_output(pid: int) -> bool:
    """Whether a shell has its own output aside, at a high descriptor: it is redirected for one command, as by dash."""
    try:
        return any(_is_kept_output(f"/proc/{pid}/fdinfo/{name}") for name in os.listdir(f"/proc/{pid}/fd")
                   if int(name) >= _SAVED)
    except (OSError, ValueError, IndexError):
        return True


def _is_kept_output(path: str) -> bool:
    """Whether a descriptor is open for writing, and no command inherits it (proc(5), fdinfo)."""
    with open(path, encoding="ascii") as file:
        flags = int(file.read().split("flags:", 1)[1].split()[0], 8)
    return flags & os.O_ACCMODE != os.O_RDONLY and bool(flags & os.O_CLOEXEC)


def _find(descriptor: int, caller: int) -> Stream | None:
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
                        appends=bool(flags & os.O_APPEND), signature=signature_of(status),
                        only_read=flags & os.O_ACCMODE == os.O_RDONLY)
    except (OSError, ValueError):
        return None
    if flags & os.O_ACCMODE == {STDIN: os.O_WRONLY, STDOUT: os.O_RDONLY}.get(descriptor, -1):
        return None
    return stream if stream.is_input else _as_output(stream, status, caller)


def _as_output(stream: Stream, status: os.stat_result, caller: int) -> Stream | None:
    """None for a log: of roar's own report, or of a script that has written to it before this command began."""
    if _has(os.getpid(), STDERR, status):
        return None
    is_the_callers = _has(caller, stream.descriptor, status)
    shared = is_the_callers and not _redirects_itself(caller)
    if (stream.offset and not stream.appends) or (shared and status.st_size):
        of_several = (is_the_callers and stream.descriptor == STDOUT and stream.offset == status.st_size
                      and _is_shell(caller) and _has_saved_output(caller))
        return replace(stream, appends=True, continues=True) if of_several else None
    return replace(stream, appends=stream.appends or shared)


def _has(pid: int, descriptor: int, status: os.stat_result) -> bool:
    """Whether a process has this file at a descriptor: roar's caller is a script, or a program such as timeout(1)."""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/fd/{descriptor}"), status)
    except OSError:
        return False
