"""Symlinks that the job itself made, removed, moved, or pointed elsewhere.

A path in an event stands as the program named it. Where it led is looked up in the end, when the job is over; for the
links that may be other ones by then, the events tell what they were at each moment (see path_resolution(7)).
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from roar.analyze.carried import RENAME_EXCHANGE, find_carried_links, is_folder_rename
from roar.analyze.datasets import ancestors
from roar.analyze.fold import LINKS
from roar.analyze.nameless import AT_SYMLINK_FOLLOW
from roar.observe.trace import Event, EventKind, is_symlink

WAS_THERE = 1  # flags of a SYMLINK event that only tells of a link (native/event_log.h)

_OF_THE_NAME_ITSELF = frozenset({EventKind.UNLINK, EventKind.RENAME, EventKind.SYMLINK,
                                 EventKind.MKNOD, EventKind.MKDIR, EventKind.RMDIR})


class Places:
    """Where names stand now, the symlinks on the way to them followed; each folder is looked at once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}
        self._newest: dict[str, int] = {}

    def folder(self, path: str) -> str:
        """Where a folder really lies."""
        real = self._folders.get(path)
        if real is None:
            real = self._folders[path] = os.path.realpath(path)
        return real

    def of(self, path: str) -> str:
        """Where a name stands, be it a symlink's own."""
        folder, _, name = path.rpartition("/")
        return os.path.join(self.folder(folder or "/"), name)


    def changed_ns(self, path: str, *, last: bool) -> int:
        """When the newest symlink on the way to a file was made, nanoseconds since the epoch; 0 where there is none.

        last: whether the name itself is one.
        """
        folder, _, name = path.rpartition("/")
        newest = self._newest.get(folder)
        if newest is None:
            newest = self._newest[folder] = max(_made_ns("/", folder), default=0)
        return max(newest, *_made_ns(self.folder(folder or "/"), name)) if last else newest


def _made_ns(folder: str, path: str) -> list[int]:
    try:
        return [os.lstat(place).st_ctime_ns for place, _ in walk_links(folder, path)]
    except OSError:  # gone this very moment
        return [time.time_ns()]


def walk_links(folder: str, path: str) -> Iterator[tuple[str, str]]:
    """Each symlink that is followed from a folder along a path, as in path_resolution(7): its place and its text."""
    names = path.split("/")[::-1]
    followed = 0
    while names and followed < LINKS:
        place = os.path.normpath(os.path.join(folder, names.pop()))
        try:
            target = os.readlink(place)
        except OSError:
            folder = place
            continue
        yield place, target
        followed += 1
        names += target.split("/")[::-1]
        if target.startswith("/"):
            folder = "/"


@dataclass(slots=True)
class Followed:
    """Events after such links were followed.

    Attributes:
        events: without those that only tell of a link.
        places: the paths in them that are where a file really lay then, whatever leads there now.
        folders: folders that were renamed, in the place of which there was a link then: so is what lay in them.
        links: those there before the job that it went through and did not leave so; each with its first text.
    """

    events: list[Event]
    places: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)


def settled(followed: Followed, paths: Iterable[str]) -> Iterator[str]:
    """Those of `paths` that are where a file really lay, whatever leads there now."""
    for path in paths:
        if path in followed.places or (followed.folders and not followed.folders.isdisjoint(ancestors(path))):
            yield path


def follow_links(events: list[Event]) -> Followed:
    """Replace names that led through a link which the job made or did not leave so by where they led then.

    Args:
        events: in order of time.
    """
    if not any(event.kind is EventKind.SYMLINK or _is_of_a_link(event) or is_folder_rename(event) for event in events):
        return Followed(events)
    changed, before = _find_changed(events)
    found = Followed([])
    links = _Links(before, changed)
    for event in events:
        if not _only_tells(event):
            found.events.append(_follow(event, links, changed, found))
            links.take(event)
    return found


def _is_of_a_link(event: Event) -> bool:
    """Whether an event gives a symlink a second name (`cp -al`)."""
    return event.kind is EventKind.LINK and is_symlink(event.signature) and not event.flags & AT_SYMLINK_FOLLOW


def _only_tells(event: Event) -> bool:
    return event.kind is EventKind.SYMLINK and event.flags == WAS_THERE


def _find_changed(events: Sequence[Event]) -> tuple[set[str], dict[str, str]]:
    """The places of links that the job made or did not leave so, and the text of those that were there before."""
    made = {event.path2 for event in events if event.kind is EventKind.SYMLINK and not _only_tells(event)}
    before = {place: text for place, text in find_carried_links(events) if place not in made}
    links = _Links(before)
    changed = set(before)
    linked: dict[str, str] = {}
    for event in events:
        if not _only_tells(event):
            if _is_of_a_link(event):
                place, other = links.place(event.path), links.place(event.path2)
                if place not in changed:
                    linked[place] = links.text(place) or links.text(other) or ""
                changed.add(other)
            changed.update(links.take(event))
        elif (place := links.place(event.path2)) not in changed:
            before[place] = event.path
            changed.update(links.tell(place, event.path))
    for place, text in linked.items():
        if text and place not in before:  # no event tells of it: it is as it was, under one of its names
            before[place] = text
            changed.add(place)
    return changed, before


class _Links:
    """The links at one moment of the job.

    Attributes:
        before: by place, the text of each that was there before the job.
        now: by place, the text of each link that the events tell of; None where it is none at this moment.
    """

    def __init__(self, before: Mapping[str, str], others: Iterable[str] = ()) -> None:
        self.before = before
        self.now: dict[str, str | None] = dict.fromkeys(others)
        self._others: dict[str, str | None] = {}
        self._inside: defaultdict[str, set[str]] = defaultdict(set)  # by folder, what in it is or holds a link
        self._set(before)

    def text(self, place: str) -> str | None:
        """The text of the link at a place: at this moment, or of one that the job left alone."""
        if place in self.now:
            return self.now[place]
        if place not in self._others:
            try:
                self._others[place] = os.readlink(place)
            except (OSError, ValueError):
                self._others[place] = None
        return self._others[place]

    def resolve(self, path: str, *, last: bool) -> tuple[str, list[str]]:
        """Where a name leads at this moment, and the places on the way.

        last: whether a link that the name itself is, is followed.
        """
        names = path.split("/")[::-1]
        place, passed, followed = "", [], 0
        while names:
            name = names.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                place = place.rpartition("/")[0]
                continue
            place = f"{place}/{name}"
            passed.append(place)
            text = self.text(place) if names or last else None
            if text is None or followed == LINKS:
                continue
            followed += 1
            names += text.split("/")[::-1]
            place = "" if text.startswith("/") else place.rpartition("/")[0]
        return place or "/", passed

    def place(self, path: str) -> str:
        """Where a name stands at this moment."""
        return self.resolve(path, last=False)[0]

    def tell(self, place: str, text: str) -> list[str]:
        """There is a link that was there before the job; the places that this changes."""
        return self._set({place: text})

    def take(self, event: Event) -> list[str]:
        """What an event makes of the links; the places that it changes."""
        match event.kind:
            case EventKind.SYMLINK:
                return self._set({self.place(event.path2): event.path})
            case EventKind.UNLINK | EventKind.RMDIR:
                place = self.place(event.path)
                return self._set({place: None} if self.now.get(place) is not None else {})
            case EventKind.RENAME if event.path != event.path2:
                return self._rename(event)
            case EventKind.LINK if not event.flags & AT_SYMLINK_FOLLOW:
                text = self.text(self.place(event.path))
                return self._set({self.place(event.path2): text} if text is not None else {})
        return []

    def _rename(self, event: Event) -> list[str]:
        source, target = self.place(event.path), self.place(event.path2)
        if event.flags & RENAME_EXCHANGE:
            texts = {source: self.now.get(target), target: self.now.get(source)}
            return self._set({place: text for place, text in texts.items() if text != self.now.get(place)})
        changes: dict[str, str | None] = {}
        if self.now.get(source) is not None or self.now.get(target) is not None:
            changes = {source: None, target: self.now.get(source)}
        if is_folder_rename(event):
            for place in self._below(source):
                changes |= {place: None, target + place[len(source):]: self.now[place]}
        return self._set(changes)

    def _below(self, folder: str) -> list[str]:
        """The places below a folder at which there is a link now."""
        found, todo = [], [*self._inside.get(folder, ())]
        while todo:
            place = todo.pop()
            if self.now.get(place) is not None:
                found.append(place)
            todo += self._inside.get(place, ())
        return found

    def _set(self, changes: Mapping[str, str | None]) -> list[str]:
        self.now.update(changes)
        for place, text in changes.items():
            if text is None:
                self._leave(place)
            else:
                self._enter(place)
        return list(changes)

    def _enter(self, place: str) -> None:
        """Note a link in its folder, and that in its own, as far as that is new."""
        folder = place.rpartition("/")[0]
        while place != folder and place not in self._inside[folder]:
            self._inside[folder].add(place)
            place, folder = folder, folder.rpartition("/")[0]

    def _leave(self, place: str) -> None:
        """Forget a place that holds no link any more, and folders that hold none for it."""
        while place and self.now.get(place) is None and not self._inside.get(place):
            self._inside.pop(place, None)
            folder = place.rpartition("/")[0]
            self._inside[folder].discard(place)
            place = folder


def _follow(event: Event, links: _Links, changed: set[str], found: Followed) -> Event:
    path, path2 = event.path, event.path2
    if is_folder_rename(event) and (place := links.place(path)) in changed:
        found.folders.add(place)
    if event.kind is not EventKind.SYMLINK:
        path = _where(path, links, changed, found, last=is_followed(event))
    if path2 and event.kind is not EventKind.LED:
        path2 = _where(path2, links, changed, found, last=False)
    return event if (path, path2) == (event.path, event.path2) else event._replace(path=path, path2=path2)


def is_followed(event: Event) -> bool:
    """Whether a symlink that the path of an event itself is was followed."""
    if event.kind is EventKind.LINK:
        return bool(event.flags & AT_SYMLINK_FOLLOW)
    return event.kind not in _OF_THE_NAME_ITSELF and not event.flags & os.O_NOFOLLOW


def _where(path: str, links: _Links, changed: set[str], found: Followed, *, last: bool) -> str:
    if not path.startswith("/"):
        return path
    place, passed = links.resolve(path, last=last)
    on_the_way = changed.intersection(passed if last else passed[:-1])
    if not on_the_way:
        return path
    found.places.add(place)
    found.links |= {link: text for link in on_the_way
                    if (text := links.now[link]) is not None and text == links.before.get(link)}
    return place
