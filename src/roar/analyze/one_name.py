"""One name for what a job named by several: by a folder and by a symlink that leads there (`latest/m`, `run1/m`).

The fold follows names. A file that is written as `latest/m.tmp` and moved as `run1/m.tmp` would be two for it.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from roar.analyze.datasets import ancestors
from roar.analyze.symlinks import Places, walk_links
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


def with_one_name(events: list[Event], started_ns: int, *, always: bool = False) -> OneName:
    """Replace the names of files in folders that the job named in several ways.

    Args:
        events: in order of time, after the links that the job itself changed were followed.
        started_ns: when the job began, nanoseconds since the epoch. Links that are younger may have led elsewhere.
        always: whether one name is enough to be replaced by where that leads, as others named it so.
    """
    stands = Places()
    folders = {os.path.dirname(name) for event in events for name in _names(event)}
    turned = {folder: real for folder in folders if (real := stands.folder(folder)) != folder
              and stands.changed_ns(f"{folder}/_", last=False) < started_ns}
    if turned and not always:
        turned = dict(_of_several_names(turned, folders, stands))
    if not turned:
        return OneName(events)
    found = OneName([])
    for event in events:
        path, path2 = (_renamed(name, turned, found) for name in _both(event))
        found.events.append(event if (path, path2) == _both(event) else _with(event, path, path2))
    return found


def _both(event: Event) -> tuple[str, str]:
    """The names in an event; the text of a symlink is none."""
    return "" if event.kind is EventKind.SYMLINK else event.path, event.path2


def _names(event: Event) -> Iterator[str]:
    return (name for name in _both(event) if name.startswith("/"))


def _with(event: Event, path: str, path2: str) -> Event:
    return event._replace(path=event.path if event.kind is EventKind.SYMLINK else path, path2=path2)


def _renamed(name: str, turned: Mapping[str, str], found: OneName) -> str:
    folder, slash, last = name.rpartition("/")
    real = turned.get(folder) if slash else None
    if real is None:
        return name
    place = f"{real.rstrip('/')}/{last}"
    found.places.add(place)
    found.ways.setdefault(real, set()).add(folder)
    return place


def _of_several_names(turned: Mapping[str, str], folders: Iterable[str], stands: Places
                      ) -> Iterator[tuple[str, str]]:
    """Those of the folders below which something was named without a symlink on the way, or by way of another."""
    links = {folder: {place: stands.folder(place) for place, _ in walk_links("/", folder)} for folder in turned}
    ways: defaultdict[str, set[str]] = defaultdict(set)  # by where links lead, how what lies there was named
    targets = {target for passed in links.values() for target in passed.values()}
    for folder in folders:
        passed = links.get(folder, {})
        for above in ancestors(stands.folder(folder)):
            if above in targets:
                ways[above].update([place for place, target in passed.items() if target == above] or [""])
    for folder, passed in links.items():
        if any(len(ways[target]) > 1 for target in passed.values()):
            yield folder, turned[folder]
