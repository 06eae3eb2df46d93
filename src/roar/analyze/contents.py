"""The content of what a job read and wrote: where it can be digested, and what it was."""

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from roar.analyze.digest import TICK_NS, Digested, digest_files, find_regular, identity, is_settled
from roar.analyze.fold import Edit, PathUse, Uses, find_content
from roar.analyze.surroundings import Remembered, Surroundings
from roar.model import CHANGED_MEANWHILE, FileUse
from roar.observe.trace import Signature

if TYPE_CHECKING:
    from roar.analyze.age import FileSystems

_CHANGED_SINCE = "was changed after the command had ended, and before it was recorded"
_ELSEWHERE: Final = "was named through a symlink that something else changed meanwhile: where it lies is not known"
_CHANGED: Final = "was read with more than one content; this is the first"


@dataclass(slots=True, kw_only=True)
class Content:
    """One use whose digest is to be had.

    Attributes:
        path: as it is recorded.
        at: the place that holds the content now, None when it is gone.
        changed: it was read with other contents, too.
        drop: it is no content, or none of this job's.
    """

    use: PathUse
    path: str
    at: str | None = None
    signature: Signature | None = None
    digest: str | None = None
    size: int | None = None
    note: str | None = None
    changed: bool = False
    drop: bool = False


class Contents:
    """Find where the content of each use can be digested, digest it, remember it.

    Of what the job may have changed through a mapping the signature is no proof: another job may have read it, and its
    digest been remembered by that signature, before the last change.

    Attributes:
        corrected: whether a digest that was remembered is not that of the file.
    """

    def __init__(self, around: Surroundings, uses: Uses, known: Remembered) -> None:
        self._around = around
        self._uses = uses
        self._look_up = known.digests
        self._committed = known.committed
        self._known: Mapping[tuple[int, int, int, int, int], str] = {}
        self._read: list[Content] = []
        self._written: list[Content] = []
        self._done: dict[str, Digested] = {}
        self._file_systems: FileSystems | None = None
        self.corrected = False

    def read(self, use: PathUse) -> Content:
        """The content as it was when it was read."""
        content = Content(use=use, path=self._around.shown(use.path), signature=use.signature,
                          size=use.signature.size if use.signature else None, changed=use.changed)
        self._read.append(content)
        if (use.signature is not None and not stat.S_ISREG(use.signature.mode)) or _is_lock(content):
            content.drop = True
            return content
        now = _regular_now(use)
        if now is None and use.exists and not use.written and use.signature is None:
            content.drop = True  # a folder, a device, a socket: not content, as far as is known
        elif now is not None and self._may_hide(use, now):
            content.signature = None  # that is of what the job wrote, too
        elif now is not None and (self._unchanged(use, now) or self._only_touched(use, now)):
            content.at, content.signature, content.size = use.path, now, now.size
        elif use.edited is not None:
            self._find_as_opened(content, use.edited)
        elif use.moved_to is not None or use.kept_at is not None:
            self._follow(content)
        if content.at is None and content.note is None:
            content.note = _why_gone(use, now)
        return content

    def _unchanged(self, use: PathUse, now: Signature) -> bool:
        if use.signature is not None:
            return identity(use.signature) == identity(now)
        return not use.written and max(now.mtime_ns, now.ctime_ns) < self._around.started_ns

    def _only_touched(self, use: PathUse, now: Signature) -> bool:
        """Whether only its change time is another, as after chmod(2), or link(2).

        A write by others, once the job had opened it, shows in its modification time, unless they set that back.
        """
        before = use.signature
        return (before is not None and not use.written and before[:4] == now[:4]
                and is_settled(before._replace(ctime_ns=before.mtime_ns), self._first_tick(use)))

    def _may_hide(self, use: PathUse, now: Signature) -> bool:
        """Whether what the job found may have been as new, for the clock of its times, as what it wrote there."""
        if not use.written or use.signature is None or identity(use.signature) != identity(now):
            return False
        return not is_settled(now, self._first_tick(use))

    def _first_tick(self, use: PathUse) -> int:
        """A time by the clock of file times that is before the job used a file first."""
        first_ns = use.first_ns + self._around.clock_ns - TICK_NS if self._around.clock_ns else 0
        return max(first_ns, self._around.started_ns)

    def _follow(self, content: Content) -> None:
        """The job itself moved or linked the file, perhaps on and on: only its change time may differ."""
        use = content.use
        if use.kept_at is not None:
            use = replace(use, moved_to=use.kept_at, moved_ns=use.kept_ns)
        target = find_content(self._uses, use)
        there = find_regular(target.path) if target is not None else None
        if target is None or there is None:
            return
        before = content.signature
        if there[:4] == before[:4] if before is not None else there.mtime_ns < self._around.started_ns:
            content.at, content.signature, content.size = target.path, there, there.size

    def _find_as_opened(self, content: Content, edit: Edit) -> None:
        """The job moved the file and then opened it for writing: it is as it was if its change time tells of no more.

        It does not where a change may have come in the tick of the clock in which the file was moved.
        """
        before, opened = content.signature, edit.signature
        if before is None or opened is None or before[:4] != opened[:4] or not self._around.clock_ns:
            return
        there = find_regular(edit.path)
        if (there is not None and identity(there) == identity(opened)
                and is_settled(opened, edit.time_ns + self._around.clock_ns - TICK_NS)):
            content.at, content.signature, content.size = edit.path, there, there.size

    def written(self, use: PathUse) -> Content:
        """The content that the job left."""
        now = _regular_now(use)
        content = Content(use=use, path=self._around.shown(use.path), at=use.path, signature=now,
                          size=now.size if now else None)
        same = (now is not None and use.signature is not None and not use.replaced
                and identity(now) == identity(use.signature) and not self._may_hide(use, now))
        content.drop = (now is None and not use.elsewhere) or same or _is_lock(content)
        if use.elsewhere:
            content.at, content.note = None, _ELSEWHERE
        elif now is not None and self._around.is_late and self._is_of_others(use.path, now):
            content.at = content.signature = content.size = None
            content.note = _CHANGED_SINCE
        self._written.append(content)
        return content

    def _is_of_others(self, path: str, now: Signature) -> bool:
        """Whether a file was changed once the command had ended, as far as its file system tells."""
        from roar.analyze.age import FileSystems  # noqa: PLC0415  only after an interruption; it reads these contents

        if self._file_systems is None:
            self._file_systems = FileSystems.here()
        margin_ns = self._file_systems.margin_ns(*os.path.split(path))
        return margin_ns is not None and now.ctime_ns > self._around.ended_ns + margin_ns

    def digest(self, progress: Callable[[int, int], None] | None) -> None:
        """Fill in digest and note of every content."""
        self._find_moved()
        live = [content for content in (*self._read, *self._written) if not content.drop]
        mapped = {identity(content.signature): content for content in self._written
                  if content.use.mappable and not content.drop and content.signature is not None}
        earlier = self._look_up([content.signature for content in live if content.signature is not None])
        known = {key: digest for key, digest in earlier.items() if key not in mapped}
        wanted = {content.at: content.signature for content in live if content.at and content.signature}
        self._done = digest_files(wanted, known, progress=progress)
        found = self._gone_but_digested(live)
        self._known = {**found, **known} if found else known
        for content in live:
            self._fill(content)
        self.corrected = any(earlier.get(key, content.digest) != content.digest for key, content in mapped.items())
        self._find_committed()
        self._drop_kept()

    def _find_committed(self) -> None:
        """Of what was read as it lay there when the command started, and is gone, a commit may have the content."""
        lost: dict[str, Content] = {}
        seen: dict[str, Signature] = {}
        for content in self._read:
            before = content.signature if content.digest is None and not content.drop else None
            if (before is not None and max(before.mtime_ns, before.ctime_ns) < self._around.started_ns
                    and not self._lies_there(content)):
                lost[content.use.path], seen[content.use.path] = content, before
        for path, digest in self._committed(seen).items() if seen else ():
            lost[path].digest = digest
            lost[path].note = _CHANGED if lost[path].changed else None

    def _lies_there(self, content: Content) -> bool:
        """Whether what lay at the path when the command started lies there still: then another file was read."""
        now = content.use.status
        return content.use.elsewhere or (
            now is not None and max(now.mtime_ns, now.ctime_ns) < self._around.started_ns
            and content.signature is not None and identity(now) != identity(content.signature))

    def _drop_kept(self) -> None:
        """What is as it was in the end was only read: opened to be edited (touch(1)), or moved away and back."""
        read = {content.use.path: content.digest for content in self._read if content.digest is not None}
        for content in self._written:
            kept = not content.use.replaced or content.use.origin == content.use.path
            if kept and content.digest is not None:
                content.drop = content.drop or read.get(content.use.path) == content.digest

    def _find_moved(self) -> None:
        """Look for what is gone among what the job left: the very file, moved on and on, has only another ctime."""
        lost = [content for content in self._read if content.at is None and content.use.edited is None]
        moved = [content for content in self._written if content.use.origin is not None and not content.drop]
        left = {(content.use.origin, content.signature[:4]): content for content in moved
                if content.signature is not None}
        for content in lost:
            there = left.get((content.use.path, content.signature[:4])) if content.signature is not None else None
            if there is not None:
                content.at, content.signature, content.note = there.at, there.signature, None

    def _gone_but_digested(self, live: Iterable[Content]) -> dict[tuple[int, int, int, int, int], str]:
        """Digests of what cannot be found where it was read, but was digested under another name."""
        gone = {identity(content.signature) for content in live
                if content.at is None and content.signature is not None}
        return {key: done.digest for done in (self._done.values() if gone else ())
                if done.settled and done.signature is not None and done.digest is not None
                and (key := identity(done.signature)) in gone}

    def _fill(self, content: Content) -> None:
        if content.at is not None:
            done = self._done[content.at]
            content.digest, content.note = done.digest, done.note
        elif content.signature is not None:
            content.digest = self._known.get(identity(content.signature))
            content.note = None if content.digest else content.note
        if content.changed and content.digest:
            content.note = _CHANGED

    def by_path(self, *, read: bool) -> dict[str, Content]:
        """What was read (or what was written), by path as it is recorded."""
        return {content.path: content for content in (self._read if read else self._written)
                if not content.drop}

    def proves(self, content: Content) -> bool:
        """Whether the signature of a content stands for its digest from now on."""
        if content.signature is None or content.digest is None:
            return False
        done = self._done.get(content.at) if content.at is not None else None
        return (done is not None and done.settled) or identity(content.signature) in self._known

    def remembered(self) -> list[tuple[Signature, str]]:
        """Digests whose signature proves them from now on."""
        return [(done.signature, done.digest) for done in self._done.values()
                if done.settled and done.signature is not None and done.digest is not None]


def _regular_now(use: PathUse) -> Signature | None:
    """The signature of the regular file that stands at the path after the command, symlinks already followed."""
    return use.status if use.status is not None and stat.S_ISREG(use.status.mode) else None


def _is_lock(content: Content) -> bool:
    """Also the logs of SQLite, which are empty once all that they held is in the database."""
    return content.size == 0 and content.use.path.endswith((".lock", "-wal", "-journal"))


def _why_gone(use: PathUse, now: Signature | None) -> str:
    if use.elsewhere:
        return _ELSEWHERE
    if use.edited is not None and use.away:
        return "was moved and opened for writing by this job, and no earlier record proves what it held"
    if use.written:
        return "was changed by this job after it was read, and no earlier record proves what it held"
    if now is None:
        return "was deleted after it was read, and no earlier record proves what it held"
    return f"{CHANGED_MEANWHILE}, and no earlier record proves what it held"


def shaped(contents: Iterable[Content]) -> list[FileUse]:
    """Contents as they are recorded."""
    return [FileUse(path=c.path, digest=c.digest, size=c.size, note=c.note)
            for c in contents if not c.drop]
