"""One name for what a job named by several: by a folder and by a symlink that leads there (`latest/m`, `run1/m`).

The fold follows names. A file that is written as `latest/m.tmp` and moved as `run1/m.tmp` would be two for it.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from roar.analyze.carried import is_folder_rename
from roar.analyze.datasets import ancestors
from roar.analyze.symlinks import Places
from roar.observe.trace import Event, EventKind


@dataclass(slots=True)
class OneName:
    """Events in which what was named in several ways has the name of where it lies.

    Attributes:
        events: in their order.
        places: the paths that were replaced by where they lie.
        ways: by folder, those that were named in its place.
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
    if not turned:
        return OneName(events)
    several = None if always else _Several(events, turned)
    found = OneName([])
    for event in events:
        path, path2 = (_renamed(name, turned, several, found) for name in _both(event))
        found.events.append(event if (path, path2) == _both(event) else _with(event, path, path2))
    return found


class _Several:
    """Which places were named in several ways, and the folders that were renamed."""

    def __init__(self, events: Collection[Event], turned: Mapping[str, str]) -> None:
        self._through: dict[str, str] = {}
        self._places: set[str] = set()
        self._moved: set[str] = set()
        for event in events:
            for name in _names(event):
                place = _place(name, turned)
                if place is not None and self._through.setdefault(place, name) != name:
                    self._places.add(place)
            if is_folder_rename(event):
                self._moved.update(_place(name, turned) or name for name in _names(event))
        self._places.update(name for event in events for name in _names(event) if name in self._through)

    def has(self, place: str) -> bool:
        """Whether a place, or a folder around it that was renamed, may have been named in several ways."""
        return place in self._places or (bool(self._moved) and not self._moved.isdisjoint(ancestors(place)))


def _both(event: Event) -> tuple[str, str]:
    """The names in an event; the text of a symlink is none."""
    return "" if event.kind is EventKind.SYMLINK else event.path, event.path2


def _names(event: Event) -> Iterator[str]:
    return (name for name in _both(event) if name.startswith("/"))


def _with(event: Event, path: str, path2: str) -> Event:
    return event._replace(path=event.path if event.kind is EventKind.SYMLINK else path, path2=path2)


def _place(name: str, turned: Mapping[str, str]) -> str | None:
    """Where a name leads by way of a symlink; None without one."""
    folder, slash, last = name.rpartition("/")
    real = turned.get(folder) if slash else None
    return None if real is None else f"{real.rstrip('/')}/{last}"


def _renamed(name: str, turned: Mapping[str, str], several: _Several | None, found: OneName) -> str:
    place = _place(name, turned)
    if place is None or (several is not None and not several.has(place)):
        return name
    found.places.add(place)
    found.ways.setdefault(os.path.dirname(place), set()).add(os.path.dirname(name))
    return place
