"""One name for what a job named by several: by a folder and by a symlink that leads there (`latest/m`, `run1/m`).

The fold follows names. A file that is written as `latest/m.tmp` and moved as `run1/m.tmp` would be two for it; so
would one that is written by a symlink of its own (`latest.ckpt`).
"""

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from roar.analyze.carried import is_folder_rename
from roar.analyze.datasets import ancestors
from roar.analyze.symlinks import Places, is_followed
from roar.observe.trace import Event, EventKind


@dataclass(slots=True)
class OneName:
    """Events in which what was named in several ways has the name of where it lies.

    Attributes:
        events: in their order.
        places: the paths that were replaced by where they lie.
        ways: by folder, the names that were used in its place, or in that of a file in it.
    """

    events: list[Event]
    places: set[str] = field(default_factory=set)
    ways: dict[str, set[str]] = field(default_factory=dict)


def with_one_name(events: list[Event], started_ns: int, stands: Places, *, always: bool = False) -> OneName:
    """Replace the names of files and folders that the job named in several ways.

    Args:
        events: in order of time, after the links that the job itself changed were followed.
        started_ns: when the job began, nanoseconds since the epoch. Links that are younger may have led elsewhere.
        stands: where folders lie now.
        always: whether one name is enough to be replaced by where that leads, as others named it so.
    """
    folders = {event.path.rpartition("/")[0] for event in events}
    folders.update(event.path2.rpartition("/")[0] for event in events if event.path2)
    turned = {folder: real for folder in folders if folder.startswith("/")
              and (real := stands.folder(folder)) != folder
              and stands.changed_ns(f"{folder}/_", last=False) < started_ns}
    files = {name: os.path.realpath(name) for name in _find_links(events, always=always)
             if stands.changed_ns(name, last=True) < started_ns}
    if not turned and not files:
        return OneName(events)
    ways = _Ways(turned, files)
    several = None if always else _Several(events, ways)
    found = OneName([])
    for event in events:
        path, path2 = event.path, event.path2
        if event.kind is not EventKind.SYMLINK:
            path = _renamed(path, ways, several, found, followed=is_followed(event))
        if event.kind is not EventKind.LED:
            path2 = _renamed(path2, ways, several, found, followed=False)
        found.events.append(event if (path, path2) == (event.path, event.path2)
                            else event._replace(path=path, path2=path2))
    return found


def _names(event: Event) -> Iterator[tuple[str, bool]]:
    """The names in an event, and whether a symlink that the name itself is was followed.

    Where a file lay that was written counts, too: it may have been read there, and nothing else in its folder.
    """
    if event.kind is not EventKind.SYMLINK and event.path.startswith("/"):  # its text is no name
        yield event.path, is_followed(event)
    if event.path2.startswith("/"):
        yield event.path2, False


class _Ways:
    """Where names lead by way of older symlinks.

    Args:
        turned: by folder as it was named, where it lies.
        files: by the name of a file's symlink, where the file lies.
    """

    def __init__(self, turned: Mapping[str, str], files: Mapping[str, str]) -> None:
        self._turned = turned
        self._files = files

    def place(self, name: str, *, followed: bool) -> str | None:
        """Where a name leads; None where there is no symlink on the way."""
        if followed and (file := self._files.get(name)) is not None:
            return file
        folder, slash, last = name.rpartition("/")
        real = self._turned.get(folder) if slash else None
        return None if real is None else f"{real.rstrip('/')}/{last}"

    def links_on(self, name: str, *, followed: bool) -> str:
        """The path on which there are the symlinks by which a name led."""
        return name if followed and name in self._files else os.path.dirname(name)


class _Several:
    """Which places were named in several ways, and the folders that were renamed."""

    def __init__(self, events: Collection[Event], ways: _Ways) -> None:
        self._through: dict[str, str] = {}
        self._places: set[str] = set()
        self._moved: set[str] = set()
        for event in events:
            for name, followed in _names(event):
                place = ways.place(name, followed=followed)
                if place is not None and self._through.setdefault(place, name) != name:
                    self._places.add(place)
            if is_folder_rename(event):
                self._moved.update(ways.place(name, followed=False) or name for name, _ in _names(event))
        self._places.update(name for event in events for name, _ in _names(event) if name in self._through)

    def has(self, place: str) -> bool:
        """Whether a place, or a folder around it that was renamed, may have been named in several ways."""
        return place in self._places or (bool(self._moved) and not self._moved.isdisjoint(ancestors(place)))


def _renamed(name: str, ways: _Ways, several: _Several | None, found: OneName, *, followed: bool) -> str:
    place = ways.place(name, followed=followed)
    if place is None or (several is not None and not several.has(place)):
        return name
    found.places.add(place)
    found.ways.setdefault(os.path.dirname(place), set()).add(ways.links_on(name, followed=followed))
    return place


def _find_links(events: Collection[Event], *, always: bool) -> Iterator[str]:
    """The symlinks by which files were named that may have been moved, linked or removed by another name.

    Without that, the names meet where the file lies when the command has ended.
    """
    strangers = _strangers(events)
    if not strangers and not always:
        return
    inodes = {event.signature[:2] for event in strangers if event.signature is not None}
    written = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC
    names = {event.path for event in events if is_followed(event) and (
        (event.kind is EventKind.OPEN and event.flags & written and not event.flags & os.O_PATH)
        or event.kind is EventKind.TRUNCATE or (event.signature is not None and event.signature[:2] in inodes))}
    for event in events:
        if event.kind is EventKind.RENAME:
            names -= {event.path, event.path2}  # no link stands there still
    for name in names:
        try:
            if name.startswith("/") and stat.S_ISLNK(os.lstat(name).st_mode):
                yield name
        except (OSError, ValueError):
            continue


def _strangers(events: Iterable[Event]) -> list[Event]:
    """What was done to names of files that the job had not made by these very names; renames of folders, too."""
    found: list[Event] = []
    made: set[str] = set()
    for event in events:
        if event.kind in _MOVES:
            if event.path not in made:
                found.append(event)
            made.add(event.path2)
        elif event.kind is EventKind.OPEN and event.flags & os.O_CREAT:
            made.add(event.path)
    return found


_MOVES = frozenset({EventKind.RENAME, EventKind.LINK, EventKind.UNLINK})
