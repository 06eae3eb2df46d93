"""Since when what a job read lay where it was read, unchanged: by the time of its last change (inode(7), ctime).

No program can set that time, so what is older than a job is no copy of what this job wrote: a copy, a rename, even
chmod(2) leaves a later one.
"""

import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final

from roar.analyze.contents import Content
from roar.analyze.digest import COARSE_NS, SECOND_NS
from roar.model import FileUse, Kind, members_folder
from roar.observe.folders import FolderFiles
from roar.wire import Dataset, DatasetMember

_BY_OUR_CLOCK: Final = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs",
                                  "tmpfs", "xfs", "zfs"})
_BY_A_SERVER_S_CLOCK: Final = frozenset({"beegfs", "ceph", "gpfs", "lustre", "nfs", "nfs4"})
"""File systems that keep the time themselves. FAT, FUSE and others may show one that a program can set."""

_TICKS_NS: Final = 100_000_000  # ten ticks of the slowest kernel, by which file times lag behind
_ASTRAY_NS: Final = 24 * 3600 * SECOND_NS  # so much the clock of another machine may be wrong
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


class FileSystems:
    """How far the times of files can be trusted, by where they are mounted (proc_pid_mountinfo(5))."""

    def __init__(self, mountinfo: str) -> None:
        self._mounts: dict[str, str] = {}
        for line in mountinfo.splitlines():
            fields, _, source = line.partition(" - ")
            place, kind = fields.split()[4:5], source.split()[:1]
            if place and kind:
                self._mounts[_ESCAPE.sub(lambda code: chr(int(code[1], 8)), place[0])] = kind[0]
        self._kinds = functools.cache(self._kinds_of)

    @classmethod
    def here(cls) -> "FileSystems":
        """Those that this process sees."""
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                return cls(file.read())
        except OSError:
            return cls("")

    def margin_ns(self, folder: str, name: str) -> int | None:
        """How much later than its ctime says a file may have been changed; None where that tells nothing.

        Args:
            folder: absolute, no symlinks.
            name: of a file in it; "" for all below it.
        """
        own = self._mounts.get(os.path.join(folder, name)) if name else None
        kinds = self._kinds(folder, below=not name) if own is None else {own}
        if not kinds or not kinds <= _BY_OUR_CLOCK | _BY_A_SERVER_S_CLOCK:
            return None
        return _TICKS_NS if kinds <= _BY_OUR_CLOCK else _ASTRAY_NS

    def _kinds_of(self, folder: str, *, below: bool) -> AbstractSet[str]:
        above = max((mount for mount in self._mounts if _is_in(folder, mount)), key=len, default=None)
        return {self._mounts[mount] for mount in self._mounts if mount == above or (below and _is_in(mount, folder))}


class Ages:
    """Since when what a job read lay there unchanged.

    Args:
        root: what relative paths start from, absolute.
        file_systems: asked once, if at all.
    """

    def __init__(self, root: str, file_systems: Callable[[], FileSystems] = FileSystems.here) -> None:
        self._root = root
        self._file_systems = functools.cache(file_systems)
        self._real = functools.cache(os.path.realpath)

    def of_uses(self, uses: Iterable[FileUse], datasets: Iterable[Dataset], contents: Iterable[Content]
                ) -> dict[tuple[str, str], str]:
        """By path and digest of inputs, the time by which they certainly lay there, where it is known.

        Args:
            uses: as they are to be recorded.
            datasets: those among them.
            contents: what was read, file by file.
        """
        ctimes = {content.path: content.use.signature.ctime_ns for content in contents
                  if content.use.signature is not None}
        members = {dataset.digest: dataset.members for dataset in datasets}
        return {(use.path, use.digest): since for use in uses if use.digest is not None and (since := self._since(
            use.path, use.kind, [ctimes.get(path, 0) for path in _paths(use, members)])) is not None}

    def of_folders(self, path: str, folders: Iterable[FolderFiles]) -> str | None:
        """The same of a dataset at a path, as it is recorded, all of whose files are in some folders."""
        return self._since(path, Kind.DATASET, [ctime for files in folders for ctime in files.ctimes()])

    def _since(self, path: str, kind: Kind, ctimes_ns: Sequence[int]) -> str | None:
        """Of what was last changed at these times; one that is not known, or does not fit into 64 bits, is below 1."""
        if min(ctimes_ns, default=0) <= 0:
            return None
        folder, name = os.path.split(path)
        margin_ns = self._file_systems().margin_ns(self._real(os.path.join(self._root, folder)),
                                                   name if kind is Kind.FILE else "")
        if margin_ns is None:
            return None
        last = max(ctimes_ns)
        return rfc3339(last + margin_ns + (0 if last % SECOND_NS else COARSE_NS))


def _paths(use: FileUse, members: Mapping[str, Sequence[DatasetMember]]) -> Iterator[str]:
    if use.kind is Kind.FILE:
        return iter((use.path,))
    folder = members_folder(use.path)
    return (folder + member.path for member in members[use.digest or ""])


def rfc3339(time_ns: int) -> str:
    """A time as the record writes it, from nanoseconds since the epoch."""
    moment = datetime.fromtimestamp(time_ns // SECOND_NS, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ns // 1000 % 1_000_000:06d}Z"


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))
