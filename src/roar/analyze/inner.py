"""Jobs within the job: what another `roar run` below the command recorded is that job's, and not this one's, too.

The processes of each inner job are those below its tracer. They count for it where it could see them itself: it has
no filter of its own, as the kernel allows one listener only, so that programs which do not load its library are left
to this job. What roar itself looked at (by git, to take digests) counts for neither.
"""

import bisect
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from roar.analyze.surroundings import Remembered
from roar.observe.trace import Event, EventKind, Process, Trace

_TRACER = "/_native/roar-tracer"
_LIBRARY = "/_native/libroar-preload.so"
_LOG = "--log"
_SCRIPT = "roar"
_MODULE = ("-m", "roar")
_SCRIPT_SIZE = 4096  # bytes of a script in which it says what it is
_COMPLETE = frozenset({"full", "seccomp"})  # modes in which an inner job missed nothing

_AT_PATH = frozenset({EventKind.UNLINK, EventKind.RENAME, EventKind.TRUNCATE, EventKind.MKNOD})
_AT_PATH2 = frozenset({EventKind.RENAME, EventKind.LINK, EventKind.SYMLINK})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the tree of processes one stands: below roar itself, or (`uid`) below the tracer of an inner job."""

    uid: str | None = None


class InnerJobs:
    """The inner jobs of a trace.

    Args:
        trace: with every event by itself.
        known: what of it is in the record.
    """

    def __init__(self, trace: Trace, known: Remembered) -> None:
        self._made = known.made_since()
        self._images = _by_pid(trace.processes)
        self._starts = {pid: [image.started_ns for image in images] for pid, images in self._images.items()}
        self._places = _find_places(trace.processes)
        self._modes = {place.uid: known.modes(place.uid) for place in set(self._places.values()) if place.uid}
        self._seen = self._with_library(trace)

    def without(self, trace: Trace) -> None:
        """Take what is not this job's out of processes and lines on the terminal."""
        trace.processes = [process for process in trace.processes if not self._is_theirs(process)]
        trace.console = [line for line in trace.console if not self._is_theirs(self._image(line.pid, line.time_ns))]

    def apart(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events that are this job's; for others that changed something, a word that it is not this job's now."""
        for event in events:
            image = self._image(event.pid, event.time_ns)
            place = None if image is None else self._places.get(id(image))
            if place is None or (place.uid and not self._is_theirs(image)):
                yield event
            elif place.uid or any(path in self._made for path in _changed(event)):
                yield from (event._replace(kind=EventKind.TAKEN, path=path, path2="") for path in _changed(event))
            elif not _only_reads(event):
                yield event

    def _image(self, pid: int, time_ns: int) -> Process | None:
        starts = self._starts.get(pid)
        return self._images[pid][max(0, bisect.bisect_right(starts, time_ns) - 1)] if starts else None

    def _is_theirs(self, image: Process | None) -> bool:
        """Whether a process is roar's own, or one of an inner job that saw it itself."""
        place = None if image is None else self._places.get(id(image))
        if place is None or not place.uid:
            return place is not None
        mode = self._modes[place.uid]
        return mode in _COMPLETE or (mode is not None and id(image) in self._seen)

    def _with_library(self, trace: Trace) -> set[int]:
        """id() of the images that loaded the library, and of those forked from one."""
        found = {id(image) for event in trace.events
                 if event.kind is EventKind.OPEN and event.path.endswith(_LIBRARY)
                 and (image := self._image(event.pid, event.time_ns)) is not None}
        for process in sorted(trace.processes, key=_started):
            if id(process) not in found and process is self._images[process.pid][0]:
                parent = self._image(process.ppid, process.started_ns)
                if parent is not None and id(parent) in found and parent.executable == process.executable:
                    found.add(id(process))
        return found


def may_have_inner(trace: Trace) -> bool:
    """Whether roar itself was among what the command started."""
    return any(process.executable.endswith(_TRACER) or _is_roar(process) for process in trace.processes)


def _started(process: Process) -> int:
    return process.started_ns


def _by_pid(processes: Sequence[Process]) -> dict[int, list[Process]]:
    images: dict[int, list[Process]] = {}
    for process in sorted(processes, key=_started):
        images.setdefault(process.pid, []).append(process)
    return images


def _find_places(processes: Sequence[Process]) -> dict[int, _Place]:
    """By id() of a process image, where it stands, if that is below roar."""
    places: dict[int, _Place] = {}
    last: dict[int, Process] = {}
    for process in sorted(processes, key=_started):
        before = last.get(process.pid)
        same = before is not None and before.exit_code is None
        parent = before if same else last.get(process.ppid)
        if process.executable.endswith(_TRACER):
            places[id(process)] = _Place(_uid_of(process))
        elif _is_roar(process):
            places[id(process)] = _Place()
        elif parent is not None and id(parent) in places:
            places[id(process)] = places[id(parent)]
        last[process.pid] = process
    return places


def _uid_of(tracer: Process) -> str | None:
    """The inner job's, from the name of the folder in which its tracer makes the log."""
    words = tracer.argv
    at = words.index(_LOG) + 1 if _LOG in words else len(words)
    return os.path.basename(os.path.dirname(words[at])) if at < len(words) else None


def _is_roar(process: Process) -> bool:
    """Whether a process is roar: its script by name and content, or `python -m roar`."""
    if process.argv[1:3] == _MODULE:
        return True
    return any(os.path.basename(name) == _SCRIPT and _is_our_script(os.path.join(process.cwd, name))
               for name in (process.executable, *process.argv[1:2]))


def _is_our_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"roar.cli" in file.read(_SCRIPT_SIZE)
    except (OSError, ValueError):
        return False


def _only_reads(event: Event) -> bool:
    return event.kind is EventKind.OPEN and not event.flags & (os.O_ACCMODE | os.O_TRUNC | os.O_CREAT)


def _changed(event: Event) -> Iterator[str]:
    """The paths at which an event put other content, or removed it."""
    if event.kind in _AT_PATH or (event.kind is EventKind.OPEN and not _only_reads(event)):
        yield event.path
    if event.kind in _AT_PATH2:
        yield event.path2
