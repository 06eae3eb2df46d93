"""Jobs within the job: what another `roar run` below the command recorded is that job's, and not this one's, too.

The processes of each inner job are those below its tracer. They count for it where it could see them itself: it has
no filter of its own, as the kernel allows one listener only, so that programs which do not load its library are left
to this job, as are files that are not in its record although one of its programs wrote them. What roar itself looked
at (by git, to take digests) counts for neither.
"""

import bisect
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from itertools import chain

from roar.analyze.carried import is_folder_rename
from roar.analyze.surroundings import Remembered
from roar.observe.trace import COMPLETE, Event, EventKind, Process, Trace

_TRACER = "/_native/roar-tracer"
_LIBRARY = "/_native/libroar-preload.so"
_LOG = "--log"
_SCRIPT = "roar"
_WITH_VALUE = {("-X",), ("-W",), ("--check-hash-based-pycs",)}
_SCRIPT_SIZE = 4096  # bytes of a script in which it says what it is

_AT_PATH = frozenset({EventKind.UNLINK, EventKind.RENAME, EventKind.TRUNCATE, EventKind.MKNOD})
_AT_PATH2 = frozenset({EventKind.RENAME, EventKind.LINK, EventKind.SYMLINK})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the tree of processes one stands: below roar itself, or (`uid`) below the tracer of an inner job."""

    uid: str | None = None


class InnerJobs:
    """The inner jobs of a trace.

    Attributes:
        uids: of them all, recorded or not.
        runs: tracker and id of their tracker runs.
        written: what they wrote, absolute.
        read: what they read, likewise.

    Args:
        trace: with every event by itself.
        known: what of it is in the record.
        own: files that this job was given open, and that it may share with them.
    """

    def __init__(self, trace: Trace, known: Remembered, own: Iterable[str] = ()) -> None:
        self._own = frozenset(own)
        self._digests = known.digests
        self._continued: set[str] = set()
        self._made = known.made_since()
        self._images = _by_pid(trace.processes)
        self._starts = {pid: [image.started_ns for image in images] for pid, images in self._images.items()}
        self._places = _find_places(trace.processes)
        self._jobs = {place.uid: known.inner(place.uid) for place in set(self._places.values()) if place.uid}
        self.uids = tuple(sorted(self._jobs))
        self._tracers = [process for process in trace.processes if process.executable.endswith(_TRACER)]
        self._seen = self._with_library(trace)
        self.runs = {run for job in self._jobs.values() if job is not None for run in job.runs}
        self.written = {path for job in self._jobs.values() if job is not None for path in job.written}
        self.written.update(self._made)
        self.read = {path for job in self._jobs.values() if job is not None for path in job.read}

    def seen_whole(self, trace: Trace) -> tuple[str, ...]:
        """The uids of the recorded ones all of whose programs loaded their library, where this job saw all of them."""
        if trace.mode not in COMPLETE or trace.gaps:
            return ()
        missed = {place.uid for image in chain.from_iterable(self._images.values())
                  if (place := self._places.get(id(image))) is not None and id(image) not in self._seen
                  and not image.executable.endswith(_TRACER)}
        return tuple(uid for uid in self.uids if self._jobs[uid] is not None and uid not in missed)

    def without(self, trace: Trace) -> None:
        """Take what is not this job's out of processes and lines on the terminal."""
        trace.processes = [process for process in trace.processes if not self._is_theirs(process)]
        trace.console = [line for line in trace.console if not self._is_theirs(self._image(line.pid, line.time_ns))]

    def apart(self, events: Iterable[Event]) -> list[Event]:
        """The events that are this job's; for others that changed something, a word that it is not this job's now."""
        tracers = sorted(self._tracers, key=_started, reverse=True)
        found: list[Event] = []
        for event in events:
            while tracers and tracers[-1].started_ns <= event.time_ns:
                self._give_streams(found, event, tracers.pop())
            place = self._place_of_other(event)
            if place is None:
                found += [*self._give_left(event), event]
            elif _is_of(self._made if not place.uid else self._known(place.uid), event):
                found += [_taken(event, path) for path in _changed(event)]
            elif not _only_reads(event):
                found.append(event)
        return found

    def is_own(self, event: Event) -> bool:
        """Whether this job did something, and neither roar itself nor an inner one that was recorded."""
        return self._place_of_other(event) is None

    def _place_of_other(self, event: Event) -> _Place | None:
        image = self._image(event.pid, event.time_ns)
        place = None if image is None else self._places.get(id(image))
        return place if place is not None and (not place.uid or self._is_theirs(image)) else None

    def _give_streams(self, found: list[Event], event: Event, tracer: Process) -> None:
        """What this job's shell opened for an inner job, by a redirection, is that job's, which begins now."""
        job = self._jobs.get(_uid_of(tracer) or "")
        if job is None:
            return
        found += [_taken(event, path) for path in sorted(job.written - self._own)]
        self._continued |= job.continued - self._own
        roar = self._image(tracer.ppid, event.time_ns)
        pids = {roar.pid, roar.ppid} if roar is not None else set()
        for path in job.streams:
            at = next((at for at in range(len(found) - 1, -1, -1) if found[at].path == path), None)
            if at is not None and found[at].pid in pids and _only_reads(found[at]):
                del found[at]

    def _give_left(self, event: Event) -> Iterator[Event]:
        """What an inner job left as its standard output is its own, where this job opens it just so to go on in it."""
        if event.path in self._continued and event.signature is not None and not _only_reads(event):
            self._continued.discard(event.path)
            if self._digests([event.signature]):
                yield _taken(event, event.path)

    def _known(self, uid: str) -> AbstractSet[str]:
        """What is in the record of an inner job."""
        job = self._jobs[uid]
        return frozenset() if job is None else job.written | job.read

    def _image(self, pid: int, time_ns: int) -> Process | None:
        starts = self._starts.get(pid)
        return self._images[pid][max(0, bisect.bisect_right(starts, time_ns) - 1)] if starts else None

    def _is_theirs(self, image: Process | None) -> bool:
        """Whether a process is roar's own, or one of an inner job that saw it itself."""
        place = None if image is None else self._places.get(id(image))
        if place is None or not place.uid:
            return place is not None
        job = self._jobs[place.uid]
        return job is not None and (job.mode in COMPLETE or id(image) in self._seen)

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


def _taken(event: Event, path: str) -> Event:
    return event._replace(kind=EventKind.TAKEN, path=path, path2="")


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
            shell = last.get(before.ppid) if before is not None and same else None
            if before is not None and shell is not None and before.argv == shell.argv:
                places.setdefault(id(before), _Place())  # the shell's child, which opened what roar is redirected to
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
    """Whether a process is roar: its script by content, `python -m roar`, or the same by the path of that module."""
    if _is_our_script(process.executable):
        return True
    if "python" not in os.path.basename(process.executable):
        return False  # its words may name anything
    words = process.argv[1:]
    last = next((at for at, word in enumerate(words) if not word.startswith("-")
                 and words[at - 1:at] not in _WITH_VALUE), 0)  # behind the options of Python
    if words[last:last + 1] == (_SCRIPT,) and last and words[last - 1].endswith("m"):
        return True
    return any(_is_our_script(os.path.join(process.cwd, name)) for name in words[last:last + 1])


@cache
def _is_our_script(path: str) -> bool:
    """Whether it is roar's. Only a regular file is opened: a pipe would wait, a device may do what nobody asked."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            start = file.read(_SCRIPT_SIZE)
    except (OSError, ValueError):
        return False
    return b"roar.cli" in start and (start.startswith(b"#!") or path.endswith("/roar/__main__.py"))


def _only_reads(event: Event) -> bool:
    return event.kind is EventKind.OPEN and not event.flags & (os.O_ACCMODE | os.O_TRUNC | os.O_CREAT)


def _is_of(known: Collection[str], event: Event) -> bool:
    """Whether an event changes what a job knows of: one of its files, or a folder with such."""
    changed = tuple(_changed(event))
    if any(path in known for path in changed):
        return True
    below = tuple(f"{path}/" for path in changed) if is_folder_rename(event) else ()
    return bool(below) and any(path.startswith(below) for path in known)


def _changed(event: Event) -> Iterator[str]:
    """The paths at which an event put other content, or removed it."""
    if event.kind in _AT_PATH or (event.kind is EventKind.OPEN and not _only_reads(event)):
        yield event.path
    if event.kind in _AT_PATH2:
        yield event.path2
