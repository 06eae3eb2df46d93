"""A file that is being written: under another name beside its target until it is whole and on the disk."""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterable
from typing import Self

from blake3 import blake3

from roar.errors import TransferError

_NAME = re.compile(r"\.roar-([0-9a-f]{16})-[0-9a-f]{16}\.part")
_BLOCK = 4 * 1024 * 1024


def is_part(name: str) -> bool:
    """Whether a file of this name is one that is, or was, being written."""
    return _NAME.fullmatch(name) is not None


class Part:
    """A context: open and locked inside; what was not finished stays on the disk, to be taken up again.

    Args:
        target: where the file is to stand, absolute.
        content: what tells this content from others; what an earlier attempt at another one left is not taken up.

    Raises:
        TransferError: another process is at it.
        OSError: it cannot be made.
    """

    def __init__(self, target: str, content: str) -> None:
        self.target = target
        folder, name = os.path.split(target)
        self._path = os.path.join(folder, f".roar-{_tag(name)}-{_tag(content)}.part")
        self._descriptor = -1
        self.size = 0

    def __enter__(self) -> Self:
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(error.errno, "a part of its path is a file, not a folder") from error
        while True:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            self._lock()
            status = os.fstat(self._descriptor)
            with contextlib.suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == status.st_ino:
                    self.size = status.st_size
                    return self
            os.close(self._descriptor)  # another process has just finished it and moved it away

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise TransferError(f"Another roar is writing {self.target} right now.") from None
        except OSError:
            return  # a file system without locks: the digest tells whether two were at it

    def take_up(self, hasher: blake3) -> None:
        """Feed what an earlier attempt left to `hasher`; writing goes on behind it."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while block := os.read(self._descriptor, _BLOCK):
            hasher.update(block)

    def restart(self) -> None:
        """Forget what was written."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.ftruncate(self._descriptor, 0)
        self.size = 0

    def write(self, block: bytes) -> None:
        """Add a block at the end."""
        view = memoryview(block)
        while view:
            done = os.write(self._descriptor, view)
            view = view[done:]
            self.size += done

    def finish(self) -> os.stat_result:
        """Put the file in its place, whole and on the disk, over what stands there; its status."""
        os.fsync(self._descriptor)
        os.replace(self._path, self.target)
        return os.fstat(self._descriptor)

    def discard(self) -> None:
        """Delete what was written."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def tidy(targets: Iterable[str]) -> None:
    """Write the names of files that are in place now to the disk, and delete what attempts at them have left."""
    tags: dict[str, set[str]] = {}
    for target in targets:
        tags.setdefault(os.path.dirname(target), set()).add(_tag(os.path.basename(target)))
    for folder, mine in tags.items():
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if (found := _NAME.fullmatch(name)) and found[1] in mine:
                    os.unlink(os.path.join(folder, name))
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _tag(text: str) -> str:
    return blake3(os.fsencode(text)).hexdigest()[:16]
