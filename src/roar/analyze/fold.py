"""Fold the tracer's events into one use per path: what was read, what was written, what is left at the end.

The fold follows names through time. A read counts only for content that the job did not write itself; a file that is
moved takes its history along; what is deleted before the end is temporary unless its earlier content was read.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from roar.analyze.carried import BETWEEN, RENAME_EXCHANGE, find_carried, is_folder_rename
from roar.analyze.emptied import TO_NOTHING, with_emptied
from roar.analyze.hard_links import HardLinks
from roar.analyze.led import Led, found_at, moved_to
from roar.analyze.nameless import is_nameless
from roar.observe.folders import FolderFiles
from roar.observe.trace import Event, EventKind, Signature, is_symlink, signature_of

O_ACCMODE = os.O_ACCMODE
LINKS = 40  # that one name may lead through, path_resolution(7)


class Made(StrEnum):
    """What a path is, as far as the events tell."""

    FILE = "file"
    SYMLINK = "symlink"
    DIRECTORY = "directory"


class Edit(NamedTuple):
    """An open for writing: by which name, of what file as it was just before (None where not looked at), and when."""

    path: str
    signature: Signature | None
    time_ns: int


@dataclass(slots=True, kw_only=True)
class PathUse:
    """All that one job did with one path.

    Attributes:
        path: absolute, as in the events.
        read: content that the job had not itself written was opened for reading, and was there.
        written: opened for writing, created, renamed to, linked or truncated.
        replaced: the first write left nothing of earlier content (new, truncated or renamed over).
        appended: it was written at its end alone (O_APPEND), and not read by what wrote it.
        mappable: what stands here was open for reading and writing: a mapping may change it, and its times not tell.
        exists: the path is there after the command has ended.
        status: what lstat(2) says of it then; None where it is gone, or was not looked at.
        made: `symlink` when the job made a symlink here; its `target` is the link's text.
        linked: the job made a symlink here at some time, and may have written through it since.
        changed: a later read found other content than the first, which the job had not written there.
        signature: of the content at the first read, or just before the first write that kept content; None where
            it was not taken or nothing was there.
        moved_to: the content went to this path by a rename or a link, None otherwise; `moved_ns` says when.
        kept_at: where the content from before the job went so, before something else was put here; `kept_ns`: when.
        away: it went by a rename, and nothing was put in its place since.
        only_moved: it is `read` only as it went by a rename: the job opened the content under none of its names.
        deleted: the job removed what stood here, and put nothing in its place.
        original: what stands here is the file that stood here before the job, or nothing at all.
        edited: how that file was first opened for writing, by this name or one that it got; None where it was not.
        origin: where the file that stands here stood before the job, if it came by renames or links alone.
        led: where its name led when something was put there, as far as the tracer told; None otherwise.
        elsewhere: a symlink on the way to it led elsewhere then: where the file lies is not known.
        new: a folder that the job made where it had found nothing.
        before: what the job did with what stood here until another job put its own content here; None without one.
        given: the job had written here before another one put its own content here for the first time.
        shared: another one did.
        first_ns: time of the first event, as in Event.time_ns.
        last_ns: time of the last write, 0 without one.
    """

    path: str
    read: bool = False
    written: bool = False
    changed: bool = False
    replaced: bool = False
    appended: bool = False
    mappable: bool = False
    exists: bool = True
    status: Signature | None = None
    made: Made = Made.FILE
    target: str | None = None
    linked: bool = False
    signature: Signature | None = None
    moved_to: str | None = None
    moved_ns: int = 0
    kept_at: str | None = None
    kept_ns: int = 0
    away: bool = False
    only_moved: bool = False
    deleted: bool = False
    original: bool = True
    edited: Edit | None = None
    origin: str | None = None
    led: Led | None = None
    elsewhere: bool = False
    new: bool = False
    before: "PathUse | None" = None
    given: bool = False
    shared: bool = False
    first_ns: int = 0
    last_ns: int = 0


class Uses(Mapping[str, PathUse]):
    """All uses of a job by absolute path. Asking for a path opens its folder; iterating opens all.

    Args:
        opened: the uses that are known one by one.
        folders: those in which files were only read, each still closed: one entry stands for all files.

    Attributes:
        opened: the uses that are known one by one so far.
        closed: by path, the folders whose files nobody has asked for.
        folders: all folders that were closed at first.
    """

    def __init__(self, opened: dict[str, PathUse], folders: Iterable[FolderFiles] = ()) -> None:
        self.opened = opened
        self.folders = {files.folder: files for files in folders}
        self.closed = dict(self.folders)

    def __getitem__(self, path: str) -> PathUse:
        use = self.opened.get(path)
        if use is not None:
            return use
        folder = path.rpartition("/")[0]
        if folder in self.closed:
            self.open(folder)
        return self.opened[path]

    def __iter__(self) -> Iterator[str]:
        for folder in list(self.closed):
            self.open(folder)
        return iter(self.opened)

    def __len__(self) -> int:
        return len(self.opened) + sum(files.count for files in self.closed.values())

    def open(self, folder: str) -> list[PathUse]:
        """The uses of the files in a closed folder, looked up in the file system now."""
        found = []
        for name, time_ns, signature in self.closed.pop(folder).iter_files():
            path = f"{folder}/{name}"
            use = self.opened.get(path)
            if use is None:
                use = self.opened[path] = PathUse(path=path, read=True, signature=signature, first_ns=time_ns)
                look_up(use)
            found.append(use)
        return found


class _Fold:
    """The uses so far, by the name each file has at this moment of the job.

    Args:
        carried: by the rename of a folder, what else it took along, relative to it.
    """

    def __init__(self, carried: Mapping[Event, list[tuple[str, Signature | None]]]) -> None:
        self.carried = carried
        self.uses: dict[str, PathUse] = {}
        self.step = {
            EventKind.OPEN: self.open,
            EventKind.UNLINK: self.unlink,
            EventKind.RENAME: self.rename,
            EventKind.LINK: self.link,
            EventKind.SYMLINK: self.symlink,
            EventKind.TRUNCATE: self.truncate,
            EventKind.MKNOD: self.create,
            EventKind.MKDIR: self.make_directory,
            EventKind.RMDIR: self.unlink,
            EventKind.TAKEN: self.taken,
            EventKind.LED: self.note_led,
        }
        self.inside: defaultdict[str, list[str]] = defaultdict(list)  # by folder the uses and folders directly in it
        self.unopened: dict[str, PathUse] = {}  # by its name now, where content was that was only moved so far
        self.names = HardLinks()

    def at(self, path: str, event: Event) -> PathUse:
        """The use of `path`, begun now if it is new."""
        use = self.uses.get(path)
        if use is None:
            use = self.uses[path] = PathUse(path=path, first_ns=event.time_ns)
            if path not in self.inside:
                self._note_place(path)
        return use

    def _note_place(self, path: str) -> None:
        """Note in which folder something lies, and in which that lies, as far as that is new: each stands once."""
        folder = path.rpartition("/")[0]
        while path != folder:
            known = folder in self.inside or folder in self.uses
            self.inside[folder].append(path)
            if known:
                return
            path, folder = folder, folder.rpartition("/")[0]

    def below(self, folder: str) -> list[str]:
        """The paths of the uses at and below a folder."""
        found, todo = [], [folder]
        while todo:
            path = todo.pop()
            if path in self.uses:
                found.append(path)
            todo += reversed(self.inside.get(path, ()))
        return found

    def open(self, event: Event) -> None:
        flags = event.flags
        if flags & os.O_TMPFILE == os.O_TMPFILE or flags & os.O_PATH:
            return
        access = flags & O_ACCMODE
        creates = bool(flags & os.O_CREAT)
        writes = access != os.O_RDONLY or bool(flags & os.O_TRUNC)
        if event.existed is False and not creates:
            return  # recorded before a call that then failed
        if flags & os.O_DIRECTORY or (event.signature is not None and stat.S_ISDIR(event.signature.mode)):
            return
        use = self.at(event.path, event)
        fresh = creates and event.existed is False
        if writes and not fresh:
            self.edit(use, event)
        if writes or fresh:
            appends = access == os.O_WRONLY and bool(flags & os.O_APPEND) and not flags & os.O_TRUNC
            if fresh:
                self.names.lose(use.path)
            self.write(use, event, replaces=fresh or bool(flags & os.O_TRUNC), reads=access == os.O_RDWR,
                       appends=appends)
            use.mappable = use.mappable or access == os.O_RDWR
            self.write_others(use, event, replaces=bool(flags & os.O_TRUNC))
        elif not use.written:
            self.read(use, event)
        else:
            use.appended = False
            self.note_opened(use.path)

    def edit(self, use: PathUse, event: Event) -> None:
        """Another content is put into the file that stands here, which may have other names."""
        file = use if use.original else self.uses.get(use.origin or "")
        if file is not None and file.edited is None:
            file.edited = Edit(use.path, event.signature, event.time_ns)

    def write_others(self, use: PathUse, event: Event, *, replaces: bool) -> None:
        """What is written into a file changes under its other names, too."""
        for path in self.names.others(use.path):
            other = self.at(path, event)
            self.edit(other, event)
            other.mappable = other.mappable or use.mappable
            self.write(other, event, replaces=replaces, reads=False)

    def note_opened(self, path: str) -> None:
        """Content that may be from before the job was opened where it is now."""
        before = self.unopened.pop(path, None)
        if before is not None:
            before.only_moved = False

    def read(self, use: PathUse, event: Event) -> None:
        use.only_moved = False
        if not use.read:
            use.read = True
            use.signature = event.signature
        elif differ(use.signature, event.signature):
            use.changed = True

    def write(self, use: PathUse, event: Event, *, replaces: bool, reads: bool, appends: bool = False) -> None:
        """A write that keeps earlier content also reads it: an edit in place, or an append."""
        use.appended = appends and (use.appended if use.written else not use.read)
        if not use.written:
            use.replaced = replaces
            use.kept_at, use.kept_ns = use.moved_to, use.moved_ns
            if not replaces and not use.read and (event.existed or event.signature is not None):
                use.read = True
                use.signature = event.signature
            elif not replaces and event.existed is None and reads and not use.read:
                use.read = True
            elif not replaces and use.read and differ(use.signature, event.signature):
                use.changed = True
        if replaces:
            self.unopened.pop(use.path, None)
        else:
            use.only_moved = False
            self.note_opened(use.path)
        use.written = True
        use.away = False
        use.moved_to = None
        use.origin = None
        use.made = Made.FILE
        use.target = None
        use.last_ns = event.time_ns

    def note_led(self, event: Event) -> None:
        """Where the kernel found what was opened to be written."""
        use = self.uses.get(event.path)
        if use is not None and use.written and event.path2 != event.path:
            use.led = found_at(use.led, event.path2)

    def create(self, event: Event) -> None:
        self.names.lose(event.path)
        self.write(self.at(event.path, event), event, replaces=True, reads=False)

    def truncate(self, event: Event) -> None:
        use = self.at(event.path, event)
        self.edit(use, event)
        self.write(use, event, replaces=event.flags == TO_NOTHING, reads=True)
        self.write_others(use, event, replaces=event.flags == TO_NOTHING)

    def make_directory(self, event: Event) -> None:
        new = event.path not in self.uses and event.path not in self.inside
        use = self.at(event.path, event)
        use.made = Made.DIRECTORY
        use.new = use.new or new

    def symlink(self, event: Event) -> None:
        use = self.at(event.path2, event)
        self.names.lose(event.path2)
        self.write(use, event, replaces=True, reads=False)
        use.original = False
        use.made = Made.SYMLINK
        use.target = event.path
        use.linked = True

    def unlink(self, event: Event) -> None:
        use = self.at(event.path, event)
        self.names.lose(event.path)
        use.last_ns = event.time_ns
        use.deleted = True
        use.original = False
        use.led = None
        if not use.written and not use.read and use.signature is None:
            use.signature = event.signature

    def taken(self, event: Event) -> None:
        """What stands here, or below here, is another job's from now on."""
        for path in self.below(event.path):
            use = self.uses[path]
            self.unopened.pop(path, None)
            self.names.lose(path)
            given = use.given or (use.written and not use.shared)
            if was_file(use):
                use.written = False
                use = self.uses[path] = PathUse(path=path, first_ns=event.time_ns, before=use)
            use.given, use.shared = given, True
            use.written = use.original = False
            use.led = None
            use.moved_to = use.origin = use.target = None
            use.made = Made.FILE

    def link(self, event: Event) -> None:
        self.arrive(event, self.uses.get(event.path), moved=False)

    def rename(self, event: Event) -> None:
        if event.path == event.path2 or self.names.are_one(event.path, event.path2):
            return  # two names of one file: both stay
        if event.flags & RENAME_EXCHANGE:
            self.exchange(event)
            return
        if event.path in self.inside or is_folder_rename(event):
            self.move_folder(event)
            return
        self.arrive(event, self.uses.get(event.path), moved=True)

    def arrive(self, event: Event, source: PathUse | None, *, moved: bool, below: str = "") -> None:
        """The content of `event.path` now stands at `event.path2`, as that of a folder above does (`below` it)."""
        led = moved_to(None if source is None else source.led, event, below)
        if below:
            event = event._replace(path=event.path + below, path2=event.path2 + below)
        if source is None and not is_nameless(event):
            source = self.at(event.path, event)
            if is_symlink(event.signature):
                source.made = Made.SYMLINK
            else:
                source.signature = event.signature
        written_here = source is None or source.written
        if source is not None and source.made is not Made.SYMLINK and not source.written and not source.read:
            source.read = True  # content from before the job, or of another one: the new name's input
            source.only_moved = moved
            source.signature = event.signature or source.signature
        untouched = source if source is not None and not source.written and source.only_moved else None
        before = self.unopened.get(event.path, untouched)
        if not moved:
            self.note_opened(event.path)
        target = self.at(event.path2, event)
        origin = _origin(source)
        self.write(target, event, replaces=True, reads=False)
        target.origin, target.original, target.led = origin, False, led
        target.mappable = source is None or source.mappable
        if source is None:
            self.names.lose(target.path)
            return
        (self.names.move if moved else self.names.link)(source.path, target.path)
        source.original = source.original and not moved
        source.led = None if moved else source.led
        if moved and before is not None:
            self.unopened.pop(event.path, None)
            self.unopened[event.path2] = before
        target.made, target.target = source.made, source.target
        target.linked = target.linked or source.made is Made.SYMLINK
        if moved and written_here:
            source.last_ns = event.time_ns
        source.moved_to, source.moved_ns = event.path2, event.time_ns
        source.away = moved

    def exchange(self, event: Event) -> None:
        one, other = self.at(event.path, event), self.at(event.path2, event)
        if not one.written and not one.read:
            one.signature = event.signature
        for use in (one, other):
            use.only_moved = False
            self.note_opened(use.path)
            if not use.written and not use.read:
                use.read = True
        self.names.exchange(one.path, other.path)
        origins = _origin(one), _origin(other)
        one.mappable, other.mappable = other.mappable, one.mappable
        for use, partner, origin in ((one, other, origins[1]), (other, one, origins[0])):
            self.write(use, event, replaces=True, reads=False)
            use.origin, use.original, use.led = origin, False, None
            use.moved_to, use.moved_ns = partner.path, event.time_ns

    def move_folder(self, event: Event) -> None:
        """A folder was renamed: everything known below it goes along."""
        prefix = event.path + "/"
        moving = self.below(event.path)
        for name, signature in self.carried.get(event, ()):
            use = self.at(prefix + name, event)
            if not use.read and not use.written:
                if is_symlink(signature):
                    use.made = Made.SYMLINK
                else:
                    use.read, use.only_moved, use.signature = True, True, signature
                moving.append(prefix + name)
        self.make_directory(event._replace(path=event.path2))
        for old in moving:
            new = event.path2 + old[len(event.path):]
            source = self.uses[old]
            if source.made is Made.DIRECTORY:
                self.make_directory(event._replace(path=new))
            elif not source.away and (source.written or source.read or source.made is Made.SYMLINK):
                self.arrive(event, source, moved=True, below=old[len(event.path):])
                if BETWEEN in event.path:
                    source.read = source.written = False  # on the way between two names it was nobody's


def _origin(use: PathUse | None) -> str | None:
    """Where the file that stands here now stood before the job; None where the job made it."""
    if use is None:
        return None
    return use.path if use.original and not use.replaced else use.origin


def differ(one: Signature | None, other: Signature | None) -> bool:
    """Whether two signatures are known and of different content, whatever became of the file's name and rights."""
    return one is not None and other is not None and one[:4] != other[:4]


def fold(events: Sequence[Event], started_ns: int = 0, settled: Collection[str] = ()) -> dict[str, PathUse]:
    """One PathUse per path, temporary ones included.

    Args:
        events: in order of time, as `roar.observe.log.load_trace` gives them.
        started_ns: when the job began, nanoseconds since the epoch: what is older is as it was then.
        settled: files that others wrote meanwhile, which are as these left them.

    Returns:
        By absolute path. `exists` and `status` are looked up in the file system now.
    """
    events = with_emptied(events)
    carried = find_carried(events, started_ns, settled)
    uses = _follow(events, carried)
    idle = _find_idle(events, uses)
    return uses if not idle else _follow([event for event in events if event not in idle], carried)


def _follow(events: Iterable[Event], carried: Mapping[Event, list[tuple[str, Signature | None]]]
            ) -> dict[str, PathUse]:
    state = _Fold(carried)
    for event in events:
        if event.result is not None and event.result < 0:
            continue
        state.step[event.kind](event)
    for use in state.uses.values():
        look_up(use)
        for earlier in earlier_uses(use) if use.before is not None else ():
            look_up(earlier)
    return state.uses


def _find_idle(events: Iterable[Event], uses: Mapping[str, PathUse]) -> set[Event]:
    """The renames from one older name of a file to another, which do nothing: rename(2). Both are there in the end.

    A name that leads to the other, as its folder became a link to the other's, is none.
    """
    stayed = {(use.path, use.moved_to, use.status[:2]) for use in uses.values()
              if use.away and use.status is not None and (there := uses.get(use.moved_to or "")) is not None
              and there.status is not None and there.status[:2] == use.status[:2]
              and _place(use.path) != _place(there.path)}
    if not stayed:
        return set()
    return {event for event in events if event.kind is EventKind.RENAME and event.signature is not None
            and (event.path, event.path2, event.signature[:2]) in stayed}


def _place(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return os.path.join(os.path.realpath(folder or "/"), name)


def is_link(use: PathUse) -> bool:
    """Whether a path was a symlink when the command had ended."""
    return is_symlink(use.status)


def was_file(use: PathUse) -> bool:
    """Whether a file was read here, be there a folder now that the job has put in its place."""
    return use.read and (use.made is not Made.DIRECTORY
                         or (use.signature is not None and stat.S_ISREG(use.signature.mode)))


def earlier_uses(use: PathUse) -> Iterator[PathUse]:
    """Those of the contents that other jobs replaced, the latest first."""
    earlier = use.before
    while earlier is not None:
        yield earlier
        earlier = earlier.before


def find_content(uses: Mapping[str, PathUse], use: PathUse) -> PathUse | None:
    """The use of the name that has the content of one that was moved or linked, perhaps on and on.

    None where something else was written there since.
    """
    moved_ns = use.moved_ns
    target = uses.get(use.moved_to or "")
    while target is not None and target.moved_to is not None and target.last_ns == target.moved_ns > moved_ns:
        moved_ns = target.moved_ns
        target = uses.get(target.moved_to)
    return target if target is not None and target.last_ns == moved_ns else None


def look_up(use: PathUse) -> None:
    """Set `exists` and `status` to what is there now."""
    try:
        use.status = signature_of(os.lstat(use.path))
        use.exists = True
    except (OSError, ValueError):
        use.status = None
        use.exists = False
