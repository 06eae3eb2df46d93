"""Files that a renamed folder took along although nothing ever happened to them by name.

Only the folder's rename is in the trace. What lay in it is still there when the command has ended: each such file is
followed back through the renames to the name that it had before the first of them.
"""

import bisect
import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from roar.analyze.datasets import ancestors
from roar.analyze.nameless import is_nameless
from roar.observe.trace import Event, EventKind, Signature, is_symlink, signature_of

RENAME_EXCHANGE: Final = 2  # linux/fs.h
BETWEEN: Final = "\x1fexchanged-"
"""In the third name of an exchange, which nothing has on any disk."""


def is_folder_rename(event: Event) -> bool:
    """Whether a folder got another name, by which its files did, too."""
    return (event.kind is EventKind.RENAME and event.signature is not None and stat.S_ISDIR(event.signature.mode)
            and event.path != event.path2 != "/" and not event.flags & RENAME_EXCHANGE
            and (event.result is None or event.result >= 0))


def without_folder_exchanges(events: list[Event]) -> list[Event]:
    """Events in which folders that were exchanged were renamed one by one instead, by way of a third name."""
    if not any(event.kind is EventKind.RENAME and _exchanges_folders(event) for event in events):
        return events
    return [step for event in events for step in (_one_by_one(event) if _exchanges_folders(event) else (event,))]


def _exchanges_folders(event: Event) -> bool:
    """Whether one of the two is a folder, and the other one, too, or a symlink."""
    if event.kind is not EventKind.RENAME or not event.flags & RENAME_EXCHANGE or event.path == event.path2 or (
            event.signature is None):
        return False
    return stat.S_ISDIR(event.signature.mode) or (
        is_symlink(event.signature) and os.path.isdir(event.path) and not os.path.islink(event.path))


def _one_by_one(event: Event) -> Iterator[Event]:
    """The first goes by way of the third name, or the second where that is the folder."""
    one, other = event.path, event.path2
    moved, replacing = event.signature, _came_to(event)
    if is_symlink(moved):
        one, other, moved, replacing = other, one, replacing, moved
    between = f"{one}{BETWEEN}{event.time_ns}"
    steps = (one, between, moved), (other, one, replacing), (between, other, moved)
    for number, (path, path2, signature) in enumerate(steps):
        yield event._replace(path=path, path2=path2, flags=0, time_ns=event.time_ns + number, signature=signature)


def _came_to(event: Event) -> Signature | None:
    """What the second of two names that were exchanged was: the trace tells that of the first alone."""
    try:
        there = signature_of(os.lstat(event.path))
    except OSError:
        return event.signature
    return there if is_symlink(there) or stat.S_ISDIR(there.mode) else event.signature


def find_renamed(events: Iterable[Event]) -> dict[str, str]:
    """Folders that were renamed, each by the name that it had first, with the place where it lies in the end."""
    renames = _Renames(events)
    places: dict[str, str] = {}
    for number, event in enumerate(renames.events):
        places.setdefault(event.path, renames.last_place(number))
    return {path: place for path, place in places.items() if path != place and BETWEEN not in path}


def find_carried(events: Sequence[Event], started_ns: int, settled: Collection[str] = ()
                 ) -> Mapping[Event, list[tuple[str, Signature | None]]]:
    """By the rename of a folder, the files in it that the job had not made there.

    Args:
        events: in order of time.
        started_ns: when the job began, as signatures have it.
        settled: files, by their names before the rename, that are as they were then although they are younger.

    Returns:
        Paths relative to the folder, each with its signature unless it may have changed since the job began; for a
        folder that is renamed again and again only at the first rename. Files that the job itself gave a name below
        the folder's name are left out: their events say what became of them.
    """
    renames = _Renames(events)
    if not renames.events:
        return {}
    found: dict[Event, dict[str, Signature | None]] = defaultdict(dict)
    for path, signature, before, made in _seen_later(events, renames):
        first, name = renames.trace_back(path, before, made)
        if first is not None:
            old = signature is not None and (max(signature.mtime_ns, signature.ctime_ns) < started_ns
                                             or f"{first.path}/{name}" in settled)
            if is_symlink(signature):
                found[first][name] = signature  # it was opened as the file that it led to
            else:
                found[first].setdefault(name, signature if old else None)
    return {event: list(files.items()) for event, files in found.items()}


def find_carried_links(events: Sequence[Event]) -> Iterator[tuple[str, str]]:
    """The symlinks that a folder took along: where each stood before the job, and its text."""
    renames = _Renames(events)
    for entry in filter(os.DirEntry.is_symlink, _entries_in(renames.last_places())):
        first, name = renames.trace_back(entry.path, len(renames.events), {})
        with contextlib.suppress(OSError):
            if first is not None:
                yield f"{first.path}/{name}", os.readlink(entry.path)


class _Renames:
    """The renames of folders, found by the names that they took away and gave. Each is known by its place in the list.

    Attributes:
        events: in order of time.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = [event for event in events if is_folder_rename(event)]
        self._from: dict[str, list[int]] = defaultdict(list)
        self._to: dict[str, list[int]] = defaultdict(list)
        for number, event in enumerate(self.events):
            self._from[event.path].append(number)
            self._to[event.path2].append(number)

    def trace_back(self, path: str, before: int, made: Mapping[str, Sequence[int]]) -> tuple[Event | None, str]:
        """The first of the renames before one that took a file along, and the file's path relative to the folder.

        made: by name, after how many of the renames the job had put something new there each time.
        """
        first, name = None, ""
        while True:
            numbers = [self._to[folder] for folder in ancestors(os.path.dirname(path)) if folder in self._to]
            came = max((one[at - 1] for one in numbers if (at := bisect.bisect_left(one, before))), default=-1)
            times = made.get(path, ())
            if came < 0 or bisect.bisect_right(times, before) > bisect.bisect_right(times, came):
                return first, name
            first, before = self.events[came], came
            name = path[len(first.path2) + 1:]
            path = f"{first.path}/{name}"

    def last_place(self, number: int) -> str:
        """Where the folder of a rename lies in the end."""
        place, last = self.events[number].path2, len(self.events)
        while number < last:
            numbers = [self._from[folder] for folder in ancestors(place) if folder in self._from]
            number = min((one[at] for one in numbers if (at := bisect.bisect_right(one, number)) < len(one)),
                         default=last)
            if number < last:
                place = self.events[number].path2 + place[len(self.events[number].path):]
        return place

    def last_places(self) -> set[str]:
        """Where all these folders lie in the end."""
        return {self.last_place(number) for number in range(len(self.events))}


def _seen_later(events: Sequence[Event], renames: _Renames
                ) -> Iterator[tuple[str, Signature | None, int, Mapping[str, Sequence[int]]]]:
    """Files that were still there after the rename of a folder.

    Returns:
        Path, signature, how many of the renames came before, and by name after how many of them the job had put
        something new there by then: first as they were used one by one, then as they lie there in the end.
    """
    before, count = 0, len(renames.events)
    made: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        if event.result is not None and event.result < 0:
            continue
        if before < count and event is renames.events[before]:
            before += 1
        elif before and _takes(event):
            yield event.path, event.signature, before, made
        if path := _makes(event):
            made[path].append(before)
    for path in (entry.path for entry in _entries_in(renames.last_places())):
        with contextlib.suppress(OSError):
            if not os.path.isdir(path):  # where a symlink leads nobody may be allowed to ask, or can
                yield path, signature_of(os.lstat(path)), count, made


def _takes(event: Event) -> bool:
    """Whether an event uses the content of a file that was there before it."""
    if event.kind is EventKind.OPEN:
        folder = event.signature is not None and stat.S_ISDIR(event.signature.mode)
        return event.existed is True and not folder and not event.flags & (os.O_TRUNC | os.O_PATH)
    return event.kind in (EventKind.RENAME, EventKind.LINK) and not is_nameless(event)


def _makes(event: Event) -> str | None:
    """The name at which an event puts something new, if it does."""
    match event.kind:
        case EventKind.OPEN:
            new = event.flags & os.O_TRUNC or (event.flags & os.O_CREAT and event.existed is not True)
            return event.path if new else None
        case EventKind.MKNOD | EventKind.TAKEN:
            return event.path
        case EventKind.RENAME:
            return None if event.flags & RENAME_EXCHANGE else event.path2
        case EventKind.LINK | EventKind.SYMLINK:
            return event.path2
        case _:
            return None


def _entries_in(places: Collection[str]) -> Iterator["os.DirEntry[str]"]:
    """What lies in these folders and those below them, but for folders; symlinks are not followed."""
    todo = [top for top in places if not any(above in places for above in ancestors(os.path.dirname(top)))]
    while todo:
        with contextlib.suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
                else:
                    yield entry
