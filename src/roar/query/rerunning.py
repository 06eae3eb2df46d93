"""What makes again what a step has made, where steps edit each other's files in place.

Such a step, run by itself, would edit its own result once more. So what wrote the file runs again in the order in
which it did, from the job that had made it anew; what lies there is put aside until all of that went well, for nobody
knows what a command needs besides (a download its server). A log, to which each run only adds, needs none of that.
"""

import contextlib
import itertools
import json
import os
import sqlite3
import stat
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from typing import NamedTuple

from roar.analyze.datasets import ancestors
from roar.model import APPENDED, AS_STDOUT_APPENDED, is_around, is_location, place_of
from roar.query.files_now import lies_at
from roar.query.going_on import MOST_FILES, OwnFiles
from roar.query.graph import READ_EDITED
from roar.query.hard_links import Inode
from roar.query.jobs import paths_read
from roar.query.likeness import likeness
from roar.query.making_room import Room, find_room
from roar.query.obstacles import (
    NoCommandError,
    Obstacles,
    OuterRunsItError,
    find_last_job,
    find_lost,
    is_one_of_many,
    refuse_tracked,
)
from roar.query.repository import is_inside
from roar.query.within import (
    find_around,
    find_beginner,
    find_begun,
    find_edited,
    find_run,
    find_runners,
    folders_made,
    paths_made_within,
)
from roar.record.database import encoded
from roar.shell import quoted_path
from roar.workspace import ASIDE, Workspace

_MOST_RUNS = 10
_LONGEST_NAME = 240
"""Bytes; the system takes 255."""


class Own(Enum):
    """What to do with what a step has made itself, and edits: its checkpoint, a database, a table that grows."""

    KEPT = auto()  # it goes on from that
    ANEW = auto()  # it is made again
    AS_IT_WAS = auto()  # made again where all its runs took the same, otherwise kept


class Plan(NamedTuple):
    """What to do in place of a step alone.

    Attributes:
        removed: the absolute paths of files that are made anew.
        steps: the numbers of the steps, in the order in which they run.
        lacks: what some of them have read, that none before them makes, and that is gone: path and step.
        aside: the folder for what is put aside.
        folders: in which they write, as they are typed, that none of them makes, and that are gone.
        keeps: whether that stays there: nobody knows whether all of it is made again.
        room: what is put aside for a step that refuses to write over it.
    """

    removed: tuple[str, ...]
    steps: tuple[int, ...]
    lacks: tuple[tuple[str, int], ...]
    aside: str
    folders: tuple[str, ...] = ()
    keeps: bool = False
    room: Room | None = None

    def refuse_changes(self) -> None:
        """Refuse where a step finds a file changed that git tracks, be it by an earlier one."""
        refuse_tracked(self.removed)

    def refuse_lack(self, *, but: Container[tuple[str, int]] = ()) -> None:
        """Refuse where something is gone that has to be there; some paths have not, for some steps."""
        lack = next((lack for lack in self.lacks if lack not in but), None)
        if lack is not None:
            raise NoCommandError(f"{lack[0]}, which @{lack[1]} read, is gone")

    def commands(self) -> list[str]:
        """What to type in the current folder."""
        runs = [f"roar run @{number}" for number in self.steps]
        if self.room is not None:
            return make_room(self.room, self.aside, runs)
        new = [f"mkdir -p {' '.join(self.folders)}"] if self.folders else []
        return [*new, *put_aside(self.removed, self.aside, runs, keeps=self.keeps)]


def put_aside(paths: Iterable[str], folder: str, commands: Sequence[str], *, keeps: bool = False) -> list[str]:
    """Commands with some files out of their way, which are removed once all went well.

    Args:
        paths: of the files, absolute.
        folder: where to put them; on the same disk, and not looked at by the commands.
        commands: as they are typed in the current folder.
        keeps: whether they stay there.

    Raises:
        NoCommandError: made anew, one of them would be another than it is, whatever it holds.
    """
    places = _places_aside(paths, folder)
    away = [f"mv {_typed(path)} {_typed(place)}" for path, place in places.items()]
    return [*away, *commands, *([f"rm {' '.join(map(_typed, places.values()))}"] if places and not keeps else [])]


def make_room(room: Room, folder: str, commands: Sequence[str]) -> list[str]:
    """Commands with what they would refuse to write over put aside; where they fail and leave nothing, it comes back.

    Arguments and errors are those of `put_aside`.
    """
    places = _places_aside(room.paths, folder, room.links)
    away = [f"mv {_typed(path)} {_typed(place)}" for path, place in places.items()]
    back = [f"mv {'-T' if os.path.isdir(path) else '-nT'} {_typed(place)} {_typed(path)}"
            for path, place in places.items()]  # onto an empty folder at most
    ending = back[0] if len(back) == 1 else f"{{ {'; '.join(back)}; }}"
    if not room.keeps:
        commands = [*commands, f"rm -r {' '.join(map(_typed, places.values()))}"]
    return [*away, *(f"mkdir {_typed(path)}" for path in room.folders), f"{' && '.join(commands)} || {ending}"]


def _places_aside(paths: Iterable[str], folder: str, links: Container[Inode] = ()) -> dict[str, str]:
    """Where some files are put, by their paths."""
    places: dict[str, str] = {}
    for path in paths:
        _refuse_loss(path, links)
        names = (f"{folder}/{_shortened(os.path.basename(path))}{ASIDE}{number or ''}" for number in count())
        places[path] = next(name for name in names if name not in places.values() and not os.path.lexists(name))
    return places


def _refuse_loss(path: str, links: Container[Inode]) -> None:
    """Refuse to have a file, or one of a folder's, made anew that has other rights than a new one, or another name.

    links: those that get these names again.
    """
    forbidden = _read_umask()
    for place in (path, *(os.path.join(at, name) for at, folders, files in os.walk(path)
                          for name in (*folders, *files))):
        with contextlib.suppress(OSError):
            status = os.lstat(place)
            is_folder = stat.S_ISDIR(status.st_mode)
            if not is_folder and status.st_nlink > 1 and Inode(status.st_dev, status.st_ino) not in links:
                raise NoCommandError(f"{os.path.relpath(place)} has another name (a hard link), under which it would"
                                     " stay as it is")
            usual = (0o777 if is_folder else 0o666) & ~forbidden
            if usual & ~status.st_mode:
                raise NoCommandError(f"{os.path.relpath(place)} has rights of its own (mode"
                                     f" {stat.S_IMODE(status.st_mode):o}), which it would not have once made anew")


def _read_umask() -> int:
    """Rights that new files do not get, as proc(5) gives them: to ask by umask(2) would change them meanwhile."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        found = next((line for line in file if line.startswith("Umask:")), "Umask: 022")
    return int(found.split()[1], 8)


def _shortened(name: str) -> str:
    """A file's name with room for what is put behind it."""
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[:-1]
    return name


def _typed(path: str) -> str:
    return quoted_path(os.path.relpath(path))


class _Write(NamedTuple):
    """One job's write to a path.

    Attributes:
        read: what the job read there before, the row of an artifact.
    """

    job: int
    step: int
    number: int
    session: int
    ended_well: bool
    digest: str
    artifact: int
    is_dataset: bool
    appends: bool
    edits: bool
    read: int | None


class _Time(NamedTuple):
    """When a job that wrote to a path ran, and whether it had read that."""

    job: int
    started: str
    ended: str
    edits: bool


@dataclass(slots=True)
class _Found:
    """What a plan is made of: steps by the jobs that they repeat.

    Attributes:
        after: jobs that have to come behind later ones, by the jobs that these are.
        behind: steps that run at last, as they wrote over what others of them write.
    """

    jobs: dict[int, int] = field(default_factory=dict)
    after: dict[int, int] = field(default_factory=dict)
    behind: dict[int, str] = field(default_factory=dict)
    removed: dict[str, None] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)

    def in_order(self) -> list[tuple[int, int]]:
        """The jobs and their steps as they have to run."""
        return sorted(self.jobs.items(), key=lambda item: (self.after.get(item[0], item[0]), item[0] in self.after,
                                                           item[0]))


class Reruns:
    """Plans for the steps of one session.

    Args:
        database: the record.
        workspace: it belongs to.
        session: row of the session.
    """

    def __init__(self, database: sqlite3.Connection, workspace: Workspace, session: int) -> None:
        self._database = database
        self._workspace = workspace
        self._session = session
        self._obstacles = Obstacles(database, workspace, session)
        self._kinds: dict[int, tuple[str, ...]] = {}
        self._at_once: dict[int, bool] = {}

    def plan(self, number: int, stale: Container[int] = (), own: Own = Own.AS_IT_WAS) -> Plan:
        """What to run for a step of the session.

        Args:
            number: of the step.
            stale: the steps that have to run again anyway.
            own: what to do with what the step has made itself, and edits.

        Raises:
            NoCommandError: where nothing is known that makes the same.
        """
        found = _Found()
        todo = [number]
        while todo:
            step = todo.pop()
            if step in found.asked:
                continue
            found.asked.add(step)
            if own is not Own.KEPT:
                self._remove_begun(found, step)
            for path_id, path in self._edited_paths(step):
                self._follow(found, step, (path_id, path), stale, own)
            job = find_last_job(self._database, self._session, step).row
            for artifact, path_id, path in self._database.execute(_READ_BEFORE_EDIT, {"job": job}).fetchall():
                self._follow_reader(found, (job, step), (path_id, path), artifact)
            if own is Own.AS_IT_WAS:
                found.behind |= self._obstacles.find_rewriters(step, stale)
                self._follow_round(found, step, stale)
            todo += [*found.jobs.values(), *found.behind]
        inner = find_run(self._database, find_last_job(self._database, self._session, number).row) - {number}
        found.behind = {step: path for step, path in found.behind.items() if step not in inner}
        jobs = [(job, step) for job, step in found.in_order() if step not in inner]  # a script runs those itself
        steps = [step for _, step in jobs]
        steps += [] if number in steps else [number]
        if not self._is_in_order(jobs):
            raise NoCommandError(f"what @{number} edits in place was made in another order than that of its steps")
        steps += [other for other in found.behind if other not in steps]
        if len(steps) > _MOST_RUNS or len(found.removed) > MOST_FILES:
            raise NoCommandError(f"more than {_MOST_RUNS} runs or {MOST_FILES} files would have to be made again with"
                                 f" what @{number} writes")
        self._obstacles.refuse(steps)
        return self._plan(found.removed, jobs, steps)

    def start_over(self, number: int) -> Plan | None:
        """What to run for a step that passes over what has changed, as it goes on from what it left; None for others.

        Raises:
            NoCommandError: where what it left is not to be put aside.
        """
        own = OwnFiles(self._database, self._workspace, self._session, number).find_in_the_way()
        if own is None:
            return None
        self._obstacles.refuse([number])
        self._refuse_grown(number, own)
        return self._plan(own, [], [number])._replace(keeps=True)

    def make_room(self, number: int) -> Plan | None:
        """What to run for a step that refuses to write over what it left; None for others.

        Raises:
            NoCommandError: what it would write over is what it reads, and is not to be put aside.
        """
        room = find_room(self._database, self._workspace, self._session, number)
        if room is None:
            return None
        plan = self.plan(number)
        if plan.steps != (number,) or plan.removed:
            return None
        plan = plan._replace(keeps=True, room=room)
        try:
            plan.refuse_lack()
            plan.commands()
        except NoCommandError:
            if room.is_read:
                raise
            return None
        return plan

    def _refuse_grown(self, number: int, folders: Iterable[str]) -> None:
        """Refuse where what a step left there is what its runs made of several versions, which nothing makes again."""
        for path_id, path in self._edited_paths(number):
            if any(is_inside(self._workspace.absolute(path), folder) for folder in folders):
                writes = self._load_writes(path_id)
                first, last = self._find_chain(writes, path)
                version = self._find_version(_without_failures(writes[first:last])) if first < last else None
                if version is not None and not all(write.appends for write in writes[first:last]):
                    raise NoCommandError(f"{path} is what runs of @{version[0]} made with several versions of"
                                         f" {version[1]}")

    def _plan(self, removed: Iterable[str], jobs: Sequence[tuple[int, int]], steps: Sequence[int]) -> Plan:
        repeated = {step for _, step in jobs}
        others = [(find_last_job(self._database, self._session, step).row, step)
                  for step in steps if step not in repeated]
        return Plan(tuple(removed), tuple(steps), tuple(self._find_lacks([*jobs, *others])),
                    os.path.dirname(self._workspace.database), self._find_gone_folders([*jobs, *others]))

    def _is_in_order(self, jobs: Sequence[tuple[int, int]]) -> bool:
        """Whether the steps stand as they have to: each behind those of which it took something when it ran last.

        A step that ran once more since stands where that job does.
        """
        before: set[int] = set()
        inside = {number for _, number in jobs}
        for job, number in jobs:
            makers = {of for (of,) in self._database.execute(MAKERS, (job, self._session))}
            if not makers & inside <= before | {number}:
                return False
            before.add(number)
        return True

    def _find_gone_folders(self, jobs: Iterable[tuple[int, int]]) -> tuple[str, ...]:
        """See `Plan.folders`."""
        made: set[str] = set()
        gone: dict[str, None] = {}
        for job, _ in jobs:
            made |= folders_made(self._database, job)
            for (path,) in self._database.execute(_PATHS_MADE, (job,)):
                folder = os.path.dirname(path)
                if folder and not is_location(path) and made.isdisjoint(ancestors(folder)) and (
                        not os.path.lexists(self._workspace.absolute(folder))):
                    gone[quoted_path(folder) if folder.startswith("/") else _typed(self._workspace.absolute(folder))
                         ] = None
        return tuple(gone)

    def _find_lacks(self, jobs: Iterable[tuple[int, int]]) -> Iterator[tuple[str, int]]:
        """See `Plan.lacks`."""
        made: set[str] = set()
        for job, step in jobs:
            read = paths_read(self._database, job)
            made |= paths_made_within(self._database, job)
            for path in read:
                if (path not in made and not is_location(path) and not self._is_there(path)
                        and not is_one_of_many(self._workspace, path, read, self._command_of(job))):
                    yield path, step
            lost = find_lost(self._database, self._workspace, job, self._command_of(job))
            yield from ((path, step) for path in lost if not any(is_around(path, place) for place in made))
            made |= {path for (path,) in self._database.execute(_PATHS_MADE, (job,))}

    def _is_there(self, path: str) -> bool:
        """Whether something lies at the place of what was read, and no folder where that was a file."""
        place = place_of(path)
        absolute = self._workspace.absolute(place)
        return os.path.lexists(absolute) and (place != path or path.endswith("/") or not os.path.isdir(absolute))

    def _command_of(self, job: int) -> list[str]:
        text, = self._database.execute("SELECT command FROM job JOIN step ON step.id = step_id WHERE job.id = ?",
                                       (job,)).fetchone()
        return list(json.loads(text))

    def _edited_paths(self, number: int) -> list[tuple[int, str]]:
        """The paths that a step has written, where any job read and wrote the same."""
        return self._database.execute(_EDITED_PATHS, {"session": self._session, "number": number}).fetchall()

    def _follow(self, found: _Found, step: int, place: tuple[int, str], stale: Container[int], own: Own) -> None:
        """Add what one path, by its row and its name, needs; refuse where that cannot be had."""
        path_id, path = place
        if os.path.lexists(self._workspace.absolute(path)) and self._is_of_several_at_once(path_id):
            raise NoCommandError(f"{path} was edited by jobs that ran at the same time, and nobody knows what each of"
                                 " them has left")
        writes = self._load_writes(path_id)
        first, last = self._find_chain(writes, path)
        chain = writes[first:last]
        if not chain:
            return
        if step not in {write.number for write in chain if write.session == self._session}:
            self._go_on(found, step, place, (chain, writes[:first]), stale)
            return
        self._refuse_shared(path, chain)
        is_made = not chain[0].edits
        if is_made and (len(chain) == 1 or all(write.appends for write in chain)):
            return
        if is_made and len({write.step for write in chain}) == 1 and (own is Own.KEPT or (
                own is Own.AS_IT_WAS and self._find_version(_without_failures(chain)) is not None)):
            return
        self._make_again(found, place, chain, {write.job for write in writes})

    def _is_of_several_at_once(self, path_id: int) -> bool:
        """Whether jobs that ran side by side wrote to a path since one by itself has made it anew, and one edited it.

        Not such as one of them has run itself.
        """
        if path_id not in self._at_once:
            rows = [_Time(*row) for row in self._database.execute(_TIMES, {"path": path_id})]
            several: set[int] = set()
            running: list[_Time] = []
            edited = 0
            for row in rows:
                running = [other for other in running if other.ended > row.started]
                around = find_around(self._database, row.job) if running else set()
                for other in running:
                    if other.job not in around:
                        several |= {row.job, other.job}
                        edited = max(edited, min(row.job, other.job) if row.edits or other.edits else 0)
                running.append(row)
            anew = max((row.job for row in rows if not row.edits and row.job not in several), default=0)
            self._at_once[path_id] = edited > anew
        return self._at_once[path_id]

    def _find_chain(self, writes: Sequence[_Write], path: str) -> tuple[int, int]:
        """The first and the end of those of all writes to a path that made what lies there."""
        last = next((at for at in reversed(range(len(writes))) if self._lies_there(writes[at], path)), None)
        return (0, 0) if last is None else (_find_start(writes, last), last + 1)

    def _follow_reader(self, found: _Found, reader: tuple[int, int], place: tuple[int, str], artifact: int) -> None:
        """Add what makes again what a job, of a step, had read before it was edited, where it lies there edited."""
        job, number = reader
        writes = self._load_writes(place[0])
        made = next((write for write in reversed(writes) if write.job < job), None)
        if made is None or made.artifact != artifact:
            return
        first, last = self._find_chain(writes, place[1])
        chain = writes[first:last]
        before = next((one for one, then in itertools.pairwise(chain) if one.step == made.step != then.step), None)
        if before is not None and not all(write.appends for write in chain):
            self._make_again(found, place, chain, {write.job for write in writes})
            found.jobs[job] = number
            found.after[job] = before.job

    def _follow_round(self, found: _Found, step: int, stale: Container[int]) -> None:
        """Add what lies between a step and those that put something else in the place of what it makes.

        Where they make that of what it had made (a copy that is cleaned and copied back), they run behind all that.
        Where such a one has written over what the step itself had read, that is made again before it. Where it is
        itself such a one, and what it replaces was made again, others read that before it.
        """
        last = find_last_job(self._database, self._session, step).row
        for other, path in found.behind.items():
            end = find_last_job(self._database, self._session, other).row
            first = self._find_before(step, end)
            between = [] if first is None else self._find_feeders([first, end])
            if first is not None and between and all(session == self._session for *_, session in between):
                found.jobs |= {first: step, end: other} | {job: number for job, number, _ in between}
                for path_id, artifact in self._database.execute(_WRITTEN_AT, (first, encoded(path))).fetchall():
                    found.jobs |= self._find_readers(path_id, artifact, (first, end))
        found.jobs |= dict(self._database.execute(_MADE_ROUND, {"job": last, "session": self._session}).fetchall())
        for path_id, artifact, first in self._database.execute(_MADE_ANEW, {"job": last}).fetchall():
            readers = self._find_readers(path_id, artifact, (first, last))
            found.jobs |= {job: number for job, number in readers.items() if number in stale}

    def _find_before(self, step: int, job: int) -> int | None:
        """The last job of a step before another one."""
        row: tuple[int | None] = self._database.execute(_BEFORE, (self._session, step, job)).fetchone()
        return row[0]

    def _find_feeders(self, chain: Sequence[int]) -> list[tuple[int, int, int]]:
        """The jobs between the first and the last of some, with steps and sessions: see `_FEEDERS`."""
        return self._database.execute(_FEEDERS, {"chain": json.dumps(chain), "first": chain[0], "last": chain[-1]}
                                      ).fetchall()

    def _make_again(self, found: _Found, place: tuple[int, str], chain: Sequence[_Write], writers: Container[int]
                    ) -> None:
        """Add all that makes a file again, with what read it in between."""
        path_id, path = place
        is_made = not chain[0].edits
        again = _without_failures(chain)
        if any(write.session != self._session for write in again):
            raise NoCommandError(f"{path} is edited in place, and was in another session, too")
        if not is_made:
            self._refuse_unmade(path, chain)
        version = self._find_version(again)
        if version is not None:
            raise NoCommandError(f"{path} is what runs of @{version[0]} made with several versions of {version[1]}")
        self._remove(found, chain[0].job, path, is_dataset=chain[0].is_dataset)
        found.jobs |= {write.job: write.number for write in again}
        for one, then in itertools.pairwise(again):
            found.jobs |= self._find_readers(path_id, one.artifact, (one.job, then.job))
        self._feed(found, path, again, None, writers)

    def _refuse_shared(self, path: str, chain: Sequence[_Write]) -> None:
        """Refuse to make again by itself a part of what several jobs have made within another one."""
        outer = find_runners(self._database, self._session, {write.job for write in chain}) if (
            len(chain) > 1 and not chain[0].edits) else []
        if outer:
            raise OuterRunsItError(f"{path} is what several jobs have made that @{outer[0]} ran: roar run @{outer[0]}"
                                   " makes it anew", outer[0])

    def _refuse_unmade(self, path: str, chain: Sequence[_Write]) -> None:
        """Refuse what was edited and no step has made, be it that one around all those that edited it had begun it."""
        outer = find_beginner(self._database, self._session, path, [write.job for write in chain])
        if outer is None:
            raise NoCommandError(f"{path} is edited in place, and no step has made it")
        raise OuterRunsItError(f"{path} is edited in place, and @{outer} had begun it: roar run @{outer} makes it"
                               " anew", outer)

    def _remove_begun(self, found: _Found, step: int) -> None:
        """Let be made anew what those edited that a step ran, and it or one of them had begun; refuse the rest.

        A log to which all only add is left as it is.
        """
        job = find_last_job(self._database, self._session, step).row
        begun = find_begun(self._database, job)
        for path_id, path in find_edited(self._database, job):
            writes = self._load_writes(path_id)
            first, last = self._find_chain(writes, path)
            chain = writes[first:last]
            if not chain:
                continue
            is_own = step in find_runners(self._database, self._session, {write.job for write in chain})
            if is_own and (path in begun or not chain[0].edits):
                self._remove(found, job, path)
            elif chain[0].edits or not all(write.appends for write in chain):
                raise NoCommandError(f"{path} is edited in place by what @{step} runs, and was made by others")

    def _find_readers(self, path_id: int, artifact: int, between: tuple[int, int]) -> dict[int, int]:
        """The last jobs of other steps, with these, that read something at a path between two jobs."""
        return dict(self._database.execute(_READ_BETWEEN, (path_id, artifact, *between, self._session)).fetchall())

    def _find_version(self, chain: Sequence[_Write]) -> tuple[int, str] | None:
        """Of what runs of one step, its number, took several versions, which cannot be had again."""
        steps = Counter(write.number for write in chain)
        for number in (number for number, times in steps.items() if times > 1):
            jobs = json.dumps([write.job for write in chain if write.number == number])
            other = self._database.execute(_OTHER_VERSIONS, {
                "jobs": jobs, "chain": json.dumps([write.job for write in chain])}).fetchone()
            if other is not None:
                return number, other[0] or "the code"
        return None

    def _load_writes(self, path_id: int) -> list[_Write]:
        """What was written to a path, in the order of recording."""
        rows = self._database.execute(_WRITES, {"path": path_id, "appended": json.dumps(
            [APPENDED, AS_STDOUT_APPENDED])})
        return [_Write(job, step, number, session, bool(well), digest.hex(), artifact, bool(dataset), bool(appends),
                       bool(edits), read)
                for job, step, number, session, well, digest, artifact, dataset, appends, edits, read in rows]

    def _lies_there(self, write: _Write, path: str) -> bool:
        return lies_at(self._database, self._workspace, path, write.artifact)

    def _go_on(self, found: _Found, step: int, place: tuple[int, str],
               writes: tuple[Sequence[_Write], Sequence[_Write]], stale: Container[int]) -> None:
        """Where the file was made anew since, those that edited the earlier one and are not done yet, up to a step.

        writes: those that made what lies there, and those before them.
        """
        path_id, path = place
        chain, before = writes
        edit = next((at for at, write in reversed(list(enumerate(before))) if write.ended_well
                     and (write.number, write.session) == (step, self._session)), None)
        earlier = [] if edit is None else _without_failures(before[_find_start(before, edit):edit + 1])
        done = [self._kind(write) for write in _without_failures(chain)]
        rest = earlier[len(done):]
        at = next((at for at, write in enumerate(rest) if write.number == step), None)
        if at is None or [self._kind(write) for write in earlier[:len(done)]] != done or any(
                write.session != self._session for write in rest[:at]):
            return
        found.jobs |= {write.job: write.number for write in rest[:at + 1]}
        again = [*earlier[:len(done)], *rest[:at + 1]]
        for one, then in itertools.pairwise(again[max(len(done) - 1, 0):]):
            readers = self._find_readers(path_id, one.artifact, (one.job, then.job))
            found.jobs |= {job: number for job, number in readers.items() if number in stale}
        self._feed(found, path, again, stale, {write.job for write in before})

    def _kind(self, write: _Write) -> tuple[str, ...]:
        """What the step of a write has in common with those that have other parameters."""
        if write.step not in self._kinds:
            command, = self._database.execute("SELECT command FROM step WHERE id = ?", (write.step,)).fetchone()
            self._kinds[write.step] = likeness(json.loads(command))
        return self._kinds[write.step]

    def _feed(self, found: _Found, path: str, chain: Sequence[_Write], stale: Container[int] | None,
              writers: Container[int]) -> None:
        """Add what made of a file what a later job of the chain edits it with; refuse where that is elsewhere."""
        rows = [row for row in self._find_feeders([write.job for write in chain])
                if row[0] not in writers and (stale is None or row[1] in stale)]
        found.jobs |= {job: number for job, number, _ in rows}
        if any(session != self._session for *_, session in rows):
            raise NoCommandError(f"{path} is edited in place with what another session's jobs made of it")

    def _remove(self, found: _Found, job: int, path: str, *, is_dataset: bool = False) -> None:
        """Let a file of the workspace be made anew; not a folder, nor what a job reached by a symlink."""
        place = self._workspace.absolute(path)
        found.removed[place] = None
        linked = self._database.execute("SELECT 1 FROM symlink WHERE job_id = ?", (job,)).fetchone()
        if is_dataset or linked is not None or not is_inside(place, self._workspace.root):
            what = "is a folder" if is_dataset else "may lie behind a symlink" if linked else "lies elsewhere"
            raise NoCommandError(f"{path} is edited in place and {what}: it is not put aside")


def _find_start(writes: Sequence[_Write], last: int) -> int:
    """Where the jobs begin that made the last of some writes: at one that made the file, or found another's there."""
    at = last
    while at and writes[at].edits and writes[at].read == writes[at - 1].artifact:
        at -= 1
    return at


def _without_failures(chain: Sequence[_Write]) -> list[_Write]:
    """The jobs that ended well; where the one that made the file did not and none of its step did, that one, too."""
    well = [write for write in chain if write.ended_well]
    return well if chain[0].step in {write.step for write in well} else [chain[0], *well]


_EDITED_PATHS = """
SELECT DISTINCT path.id, path.path FROM step JOIN job ON job.step_id = step.id
JOIN file_use AS made ON made.job_id = job.id AND made.role = 2 JOIN path ON path.id = made.path_id
WHERE step.session_id = :session AND step.number = :number AND made.artifact_id IS NOT NULL
AND instr(path.path, '://') = 0
AND EXISTS (SELECT 1 FROM file_written AS other JOIN file_read AS used ON used.path_id = other.path_id
            AND used.job_id = other.job_id WHERE other.path_id = made.path_id AND other.role = 2)
ORDER BY path.id
"""

_WRITES = """
SELECT job.id, step.id, step.number, step.session_id, job.state = 'done' AND job.exit_code IS 0, artifact.digest,
artifact.id, artifact.files IS NOT NULL, coalesce(made.note IN (SELECT value FROM json_each(:appended)), 0),
EXISTS (SELECT 1 FROM file_read WHERE path_id = made.path_id AND job_id = job.id),
(SELECT artifact_id FROM file_read WHERE path_id = made.path_id AND job_id = job.id ORDER BY ordinal DESC LIMIT 1)
FROM file_written AS made JOIN artifact ON artifact.id = made.artifact_id JOIN job ON job.id = made.job_id
JOIN step ON step.id = job.step_id WHERE made.path_id = :path AND made.role = 2 ORDER BY job.id
"""

_TIMES = """
SELECT job.id, started_at, ended_at, EXISTS (SELECT 1 FROM file_read WHERE path_id = :path AND job_id = job.id)
FROM file_written AS made JOIN job ON job.id = made.job_id WHERE made.path_id = :path AND made.role = 2
ORDER BY started_at
"""

# The jobs between the first and the last of a chain that took something from one of it, directly or not, and from
# which one of it took something.
_FEEDERS = """
WITH RECURSIVE chain (id) AS (SELECT value FROM json_each(:chain)),
after (id) AS (SELECT id FROM chain UNION SELECT consumer_id FROM after JOIN dependency ON producer_id = after.id
    WHERE consumer_id < :last),
before (id) AS (SELECT id FROM chain UNION SELECT producer_id FROM before JOIN dependency ON consumer_id = before.id
    WHERE producer_id > :first)
SELECT job.id, step.number, step.session_id FROM after JOIN before USING (id) JOIN job USING (id)
JOIN step ON step.id = job.step_id WHERE job.id NOT IN (SELECT id FROM chain)
"""

# What lay where a job put something else without having read it, and who had made that, where its step has made it
# again since.
_MADE_ANEW = """
SELECT own.path_id, old.artifact_id, max(old.job_id) FROM file_written AS own
JOIN file_written AS now ON now.path_id = own.path_id AND now.role = 2 AND now.job_id > own.job_id
JOIN job AS making ON making.id = now.job_id
JOIN job AS before ON before.step_id = making.step_id AND before.id < own.job_id
JOIN file_written AS old ON old.job_id = before.id AND old.path_id = own.path_id AND old.role = 2
WHERE own.job_id = :job AND own.role = 2 AND old.artifact_id IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM file_read WHERE job_id = own.job_id AND path_id = own.path_id) GROUP BY own.path_id
"""

_WRITTEN_AT = """
SELECT path_id, artifact_id FROM file_written JOIN path ON path.id = path_id
WHERE job_id = ? AND path.path = CAST(? AS TEXT) AND artifact_id IS NOT NULL
"""

_BEFORE = """
SELECT max(job.id) FROM step JOIN job ON job.step_id = step.id WHERE session_id = ? AND number = ? AND job.id < ?
"""

# Of what a job read, who made it, where another one has put something else there since that it made of what the job
# left, directly or not.
_MADE_ROUND = """
WITH RECURSIVE after (id) AS (VALUES (:job)
    UNION SELECT consumer_id FROM after JOIN dependency ON producer_id = after.id)
SELECT (SELECT max(made.job_id) FROM file_written AS made WHERE made.path_id = used.path_id AND made.role = 2
    AND made.artifact_id = used.artifact_id AND made.job_id < :job) AS maker, step.number
FROM file_read AS used JOIN job ON job.id = maker JOIN step ON step.id = job.step_id
WHERE used.job_id = :job AND step.session_id = :session AND EXISTS (
    SELECT 1 FROM file_written AS since WHERE since.path_id = used.path_id AND since.role = 2 AND since.job_id > :job
    AND since.job_id IN (SELECT id FROM after)
    AND since.job_id = (SELECT max(job_id) FROM file_written WHERE path_id = used.path_id AND role = 2)
    AND NOT EXISTS (SELECT 1 FROM file_read WHERE job_id = since.job_id AND path_id = since.path_id))
"""

# The steps of a session from which a job took something.
MAKERS = """
SELECT DISTINCT step.number FROM dependency JOIN job ON job.id = producer_id JOIN step ON step.id = job.step_id
WHERE consumer_id = ? AND session_id = ?
"""
# What a job read, and a later one edited then.
_READ_BEFORE_EDIT = """
SELECT used.artifact_id, path.id, path.path FROM file_read AS used JOIN path ON path.id = used.path_id
WHERE used.job_id = :job AND used.artifact_id IS NOT NULL AND instr(path.path, '://') = 0
AND EXISTS (SELECT 1 FROM file_written AS made JOIN file_read AS found USING (path_id, job_id)
    WHERE made.path_id = used.path_id AND made.role = 2 AND made.job_id > :job)
AND NOT EXISTS (SELECT 1 FROM file_written WHERE job_id = :job AND path_id = used.path_id)
AND NOT EXISTS (""" + READ_EDITED.format(job=":job", path="used.path_id") + ")"  # noqa: S608  texts of our own

# The last jobs of other steps of a session that ended well and read some content of a file between two jobs.
_READ_BETWEEN = """
SELECT job.id, step.number FROM file_read JOIN job ON job.id = job_id JOIN step ON step.id = job.step_id
WHERE path_id = ? AND artifact_id = ? AND job_id > ? AND job_id < ? AND session_id = ?
AND state = 'done' AND exit_code IS 0 AND job.id = (SELECT max(id) FROM job AS other WHERE other.step_id = step.id)
AND NOT EXISTS (SELECT 1 FROM file_written AS made WHERE made.job_id = job.id AND made.path_id = file_read.path_id)
AND NOT EXISTS (""" + READ_EDITED.format(job="job.id", path="file_read.path_id") + ")"  # noqa: S608  as above

# A path of which jobs read several contents that none of a chain made; or null where they ran other code.
_OTHER_VERSIONS = """
SELECT path.path FROM file_read JOIN path ON path.id = path_id WHERE job_id IN (SELECT value FROM json_each(:jobs))
AND path_id NOT IN (SELECT path_id FROM file_written WHERE job_id IN (SELECT value FROM json_each(:chain)))
GROUP BY path_id HAVING count(DISTINCT coalesce(artifact_id, -job_id)) > 1
UNION ALL SELECT NULL WHERE (SELECT count(*) FROM (SELECT DISTINCT "commit", patch FROM job
    LEFT JOIN git ON git.id = git_id WHERE job.id IN (SELECT value FROM json_each(:jobs)))) > 1 LIMIT 1
"""

_PATHS_MADE = "SELECT path.path FROM file_written JOIN path ON path.id = path_id WHERE job_id = ?"
