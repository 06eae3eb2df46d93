"""Files that a renamed folder took along although nothing ever happened to them by name.

Only the folder's rename is in the trace. What lay in it is still there when the command has ended: each such file is
followed back through the renames to the name that it had before the first of them.
"""

import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from roar.analyze.digest import signature_of
from roar.observe.trace import Event, EventKind, Signature

RENAME_EXCHANGE: Final = 2  # linux/fs.h


def is_folder_rename(event: Event) -> bool:
    """Whether a folder got another name, by which its files did, too."""
    return (event.kind is EventKind.RENAME and event.signature is not None and stat.S_ISDIR(event.signature.mode)
            and event.path != event.path2 != "/" and not event.flags & RENAME_EXCHANGE)


def find_renamed(events: Sequence[Event]) -> dict[str, str]:
    """Folders that were renamed, each by the name that it had first, with the place where it lies in the end."""
    renames = [event for event in events if is_folder_rename(event) and (event.result or 0) >= 0]
    places = {event.path: _last_place(renames, number) for number, event in reversed(list(enumerate(renames)))}
    return {path: place for path, place in places.items() if path != place}


def find_carried(events: Sequence[Event], started_ns: int) -> Mapping[Event, list[tuple[str, Signature | None]]]:
    """By the rename of a folder, the files in it that the job had not made there.

    Args:
        events: in order of time.
        started_ns: when the job began, as signatures have it.

    Returns:
        Paths relative to the folder, each with its signature unless it may have changed since the job began; for a
        folder that is renamed again and again only at the first rename. Files that the job itself gave a name below
        any of the folder's names are left out: their events say what became of them.
    """
    renames = [event for event in events if is_folder_rename(event)]
    if not renames:
        return {}
    found: dict[Event, dict[str, Signature | None]] = defaultdict(dict)
    for path, signature, before, made in _seen_later(events, renames):
        first, name = _trace_back(path, renames[:before], made)
        if first is not None:
            old = signature is not None and max(signature.mtime_ns, signature.ctime_ns) < started_ns
            found[first].setdefault(name, signature if old else None)
    return {event: list(files.items()) for event, files in found.items()}


def _trace_back(path: str, renames: Sequence[Event], made: Collection[str]) -> tuple[Event | None, str]:
    """The first of the renames that took a file along, and the file's path relative to the folder."""
    first, name = None, ""
    for event in reversed(renames):
        if path in made:
            break
        if path.startswith(event.path2 + "/"):
            first, name = event, path[len(event.path2) + 1:]
            path = f"{event.path}/{name}"
    return first, name


def _seen_later(events: Sequence[Event], renames: Sequence[Event]
                ) -> Iterator[tuple[str, Signature | None, int, Collection[str]]]:
    """Files that were still there after the rename of a folder.

    Returns:
        Path, signature, how many of the renames came before, and the names at which the job had put something new by
        then: first as they were used one by one, then as they lie there in the end.
    """
    before = 0
    made: set[str] = set()
    for event in events:
        if is_folder_rename(event):
            before += 1
        elif before and _takes(event):
            yield event.path, event.signature, before, made
        if path := _makes(event):
            made.add(path)
    for path in _files_in({_last_place(renames, number) for number in range(len(renames))}):
        with contextlib.suppress(OSError):
            yield path, signature_of(os.lstat(path)), len(renames), made


def _takes(event: Event) -> bool:
    """Whether an event uses the content of a file that was there before it."""
    if event.kind is EventKind.OPEN:
        folder = event.signature is not None and stat.S_ISDIR(event.signature.mode)
        return event.existed is True and not folder and not event.flags & (os.O_TRUNC | os.O_PATH)
    return event.kind in (EventKind.RENAME, EventKind.LINK)


def _makes(event: Event) -> str | None:
    """The name at which an event puts something new, if it does."""
    match event.kind:
        case EventKind.OPEN:
            new = event.flags & os.O_TRUNC or (event.flags & os.O_CREAT and event.existed is not True)
            return event.path if new else None
        case EventKind.MKNOD:
            return event.path
        case EventKind.RENAME:
            return None if event.flags & RENAME_EXCHANGE else event.path2
        case EventKind.LINK | EventKind.SYMLINK:
            return event.path2
        case _:
            return None


def _last_place(renames: Sequence[Event], number: int) -> str:
    """Where the folder of a rename lies in the end."""
    place = renames[number].path2
    for event in renames[number + 1:]:
        if place == event.path or place.startswith(event.path + "/"):
            place = event.path2 + place[len(event.path):]
    return place


def _files_in(folders: set[str]) -> Iterator[str]:
    for folder in folders:
        if any(folder.startswith(other + "/") for other in folders):
            continue
        for place, _, names in os.walk(folder):
            for name in names:
                yield f"{place}/{name}"
