"""Many files at once, folder by folder, from the native program `roar-folders` (native/folders.h, version 1).

A job that reads a hundred thousand images opens each of them once and does nothing else with it. What it did with a
folder of such files is one entry here: a loop over them in Python happens only where somebody asks for a single file.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from roar.observe.environ import environment
from roar.observe.trace import Signature

_PROGRAM: Final = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_native", "roar-folders")
_MAGIC: Final = 0x46524F4C44524F52
_VERSION: Final = 1
_HEADER: Final = struct.Struct("=QIIQQ")
_FOLDER: Final = struct.Struct("=QQQ")
_TIME: Final = struct.Struct("=Q")
_SIGNATURE: Final = struct.Struct("=QQqqqI4x")
_CTIME: Final = 4  # of the 8-byte numbers of a signature
_BLOCK: Final = 1 << 20
_STAMP_SIZE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFiles:
    """Files directly in one folder.

    Attributes:
        folder: its path; absolute in a trace, else relative to the folder that was asked for.
        names: of the files, sorted by their bytes, each ended by NUL.
        times: of the first read, 8 bytes each, as Event.time_ns; zero where nothing was read.
        signatures: as in native/event_log.h, 48 bytes each.
    """

    folder: str
    names: bytes
    times: bytes
    signatures: bytes

    @property
    def count(self) -> int:
        """How many files."""
        return len(self.times) // _TIME.size

    def has(self, name: bytes) -> bool:
        """Whether a file of this name is among them."""
        ended = name + b"\0"
        return self.names.startswith(ended) or b"\0" + ended in self.names

    def list_names(self) -> list[str]:
        """Their names, in order."""
        return self.names.decode("utf-8", "surrogateescape").split("\0")[:-1]

    def ctimes(self) -> Sequence[int]:
        """The time of the last change of each, nanoseconds since the epoch as in `Signature`."""
        return memoryview(self.signatures).cast("q")[_CTIME::_SIGNATURE.size // 8].tolist()

    def iter_files(self) -> Iterator[tuple[str, int, Signature]]:
        """Name, time of the first read and signature of each."""
        times = (time for (time,) in _TIME.iter_unpack(self.times))
        return zip(self.list_names(), times, map(Signature._make, _SIGNATURE.iter_unpack(self.signatures)),
                   strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFolders:
    """An event log, taken apart.

    Attributes:
        others: where in the log the records stand that belong to no folder.
        folders: those whose files were only read.
    """

    others: tuple[int, ...]
    folders: tuple[FolderFiles, ...]


def read_log_folders(log: str | os.PathLike[str]) -> LogFolders | None:
    """Take an event log apart; None where the native program cannot do it."""
    return _parse(_Asked(["read", os.fspath(log)], b"").answer())


def stat_files(folder: str, names: bytes) -> tuple[FolderFiles, ...] | None:
    """What stat(2) says now of files below a folder; symlinks are followed.

    Args:
        folder: absolute.
        names: paths relative to it, each ended by NUL.

    Returns:
        Folder by folder, relative to `folder`; None where one of the files is not there or is not a regular file, and
        where the native program cannot be had.
    """
    return StatInBackground(folder, names).files()


class StatInBackground:
    """`stat_files` that goes on while something else is done. `files` is called once, whatever happens between."""

    def __init__(self, folder: str, names: bytes) -> None:
        self._asked = _Asked(["stat", folder], names)

    def files(self) -> tuple[FolderFiles, ...] | None:
        """What `stat_files` returns."""
        answer = _parse(self._asked.answer())
        return None if answer is None else answer.folders


def fold_files(files: Iterable[tuple[str, Signature]]) -> list[FolderFiles]:
    """The same form for paths and signatures at hand, each path once."""
    by_folder: dict[str, list[tuple[bytes, Signature]]] = {}
    for path, signature in files:
        folder, _, name = path.rpartition("/")
        by_folder.setdefault(folder, []).append((name.encode("utf-8", "surrogateescape"), signature))
    for inside in by_folder.values():
        inside.sort()
    return [FolderFiles(folder=folder, names=b"".join(name + b"\0" for name, _ in inside),
                        times=bytes(_TIME.size * len(inside)),
                        signatures=b"".join(_SIGNATURE.pack(*signature) for _, signature in inside))
            for folder, inside in by_folder.items()]


def stamp(root: str, folders: Iterable[FolderFiles], context: bytes = b"") -> bytes:
    """One hash, 16 bytes, over the relative paths and signatures of all files: equal stamps are equal content.

    Args:
        root: what the paths are taken relative to; every folder lies at or below it.
        folders: all files.
        context: what else the stamp is to stand for.
    """
    from blake3 import blake3  # noqa: PLC0415  only where there are folders

    start = len(root) + 1 if root else 0
    hasher = blake3(struct.pack("=Q", len(context)) + context)
    for files in sorted(folders, key=lambda files: files.folder):
        folder = os.fsencode(files.folder[start:])
        hasher.update(struct.pack("=QQQ", len(folder), len(files.names), len(files.signatures)) + folder)
        hasher.update(files.names)
        hasher.update(files.signatures)
    return hasher.digest(length=_STAMP_SIZE)


def _parse(answer: bytes | None) -> LogFolders | None:
    if answer is None or len(answer) < _HEADER.size:
        return None
    magic, version, signature_size, others, folders = _HEADER.unpack_from(answer)
    if magic != _MAGIC or version != _VERSION or signature_size != _SIGNATURE.size:
        return None
    at = _HEADER.size
    places = struct.unpack_from(f"={others}Q", answer, at)
    at += 8 * others
    found = []
    for _ in range(folders):
        count, path_length, names_length = _FOLDER.unpack_from(answer, at)
        at += _FOLDER.size
        path = answer[at:at + path_length].decode("utf-8", "surrogateescape")
        names = answer[at + path_length:at + path_length + names_length]
        at += (path_length + names_length + 7) & ~7
        middle = at + _TIME.size * count
        end = middle + _SIGNATURE.size * count
        found.append(FolderFiles(folder=path, names=names, times=answer[at:middle], signatures=answer[middle:end]))
        at = end
    return LogFolders(others=places, folders=tuple(found))


class _Asked:
    """The native program at work. It reads all before it writes."""

    def __init__(self, arguments: list[str], given: bytes) -> None:
        theirs_in, ours_in = os.pipe2(os.O_CLOEXEC)
        self._from_it, theirs_out = os.pipe2(os.O_CLOEXEC)
        files = [(os.POSIX_SPAWN_DUP2, theirs_in, 0), (os.POSIX_SPAWN_DUP2, theirs_out, 1),
                 (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
        try:
            self._pid = os.posix_spawn(_PROGRAM, [_PROGRAM, *arguments], environment(), file_actions=files)
        except OSError:
            self._pid = 0
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        try:
            if self._pid:
                _send(ours_in, given)
        finally:
            os.close(ours_in)

    def answer(self) -> bytes | None:
        """What it says in the end; None unless it ended well."""
        try:
            answer = _receive(self._from_it)
        finally:
            os.close(self._from_it)
        ended = os.waitpid(self._pid, 0)[1] if self._pid else 1
        return answer if ended == 0 else None


def _send(descriptor: int, text: bytes) -> None:
    view = memoryview(text)
    try:
        while view:
            view = view[os.write(descriptor, view):]
    except BrokenPipeError:
        return  # its exit status says the rest


def _receive(descriptor: int) -> bytes:
    blocks = []
    while block := os.read(descriptor, _BLOCK):
        blocks.append(block)
    return b"".join(blocks)
