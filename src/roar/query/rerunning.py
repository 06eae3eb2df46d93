"""What makes again what a step has made, where steps edit each other's files in place.

Such a step, run by itself, would edit its own result once more. So what wrote the file runs again in the order in
which it did, from the job that had made it anew; what lies there is put aside until all of that went well, for nobody
knows what a command needs besides (a download its server). A log, to which each run only adds, needs none of that.
"""

import json
import os
import sqlite3
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from roar.model import APPENDED, AS_STDOUT_APPENDED, REDACTED, members_folder
from roar.query.files_now import dataset_is_unchanged, holds
from roar.query.repository import is_inside, run_git
from roar.shell import quoted_path
from roar.workspace import Workspace

_MOST_FILES = 5
"""Up to so many files are put aside before they are made again."""
_MOST_RUNS = 10
_DATABASES = (".db", ".db3", ".sqlite", ".sqlite3", ".duckdb")
_LOGS = ("-wal", "-journal", ".wal")
"""What SQLite and DuckDB put behind the name of a database, for a file of what is not in it yet, or not yet for good
(https://sqlite.org/tempfiles.html); it stays where a program was killed."""


class NoCommandError(Exception):
    """No command is known that only mends; the text says what is in the way."""


class Plan(NamedTuple):
    """What to do in place of a step alone.

    Attributes:
        removed: the absolute paths of files that are made anew.
        steps: the numbers of the steps, in the order in which they run.
        lacks: what one of them has read, that none before it makes, and that is gone, as it is told; None without one.
        aside: the folder for what is put aside.
    """

    removed: tuple[str, ...]
    steps: tuple[int, ...]
    lacks: str | None
    aside: str

    def refuse_changes(self) -> None:
        """Refuse where a later step finds what an earlier one has changed in a file that git tracks."""
        tracked = (path for path in self.removed if run_git(os.path.dirname(path), "ls-files", "--", path))
        if len(self.steps) > 1 and (path := next(tracked, None)) is not None:
            raise NoCommandError(f"{os.path.relpath(path)} is edited in place, and git tracks it")

    def refuse_lack(self) -> None:
        """Refuse where something is gone that has to be there."""
        if self.lacks is not None:
            raise NoCommandError(self.lacks)

    def commands(self) -> list[str]:
        """What to type in the current folder."""
        return put_aside(self.removed, self.aside, [f"roar run @{number}" for number in self.steps])


def put_aside(paths: Iterable[str], folder: str, commands: Sequence[str]) -> list[str]:
    """Commands with some files out of their way, which are removed once all went well.

    Args:
        paths: of the files, absolute.
        folder: where to put them; on the same disk, and not looked at by the commands.
        commands: as they are typed in the current folder.
    """
    places: dict[str, str] = {}
    for path in paths:
        names = (f"{folder}/{os.path.basename(path)}.old{number or ''}" for number in count())
        places[path] = next(name for name in names if name not in places.values() and not os.path.lexists(name))
    away = [f"mv {_typed(path)} {_typed(place)}" for path, place in places.items()]
    return [*away, *commands, *([f"rm {' '.join(map(_typed, places.values()))}"] if places else [])]


def refuse_secret(name: str, command: Iterable[str]) -> None:
    """Refuse to hint the command of a job where a secret was taken out of it."""
    if any(REDACTED in word for word in command):
        raise NoCommandError(f"the command of {name} held a secret, which is not in the record")


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


@dataclass(slots=True)
class _Found:
    """What a plan is made of: steps by the jobs that they repeat."""

    jobs: dict[int, int]
    removed: dict[str, None]
    asked: set[int]


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

    def plan(self, number: int, stale: Container[int] = ()) -> Plan:
        """What to run for a step of the session.

        Args:
            number: of the step.
            stale: the steps that have to run again anyway.

        Raises:
            NoCommandError: where nothing is known that makes the same.
        """
        found = _Found({}, {}, set())
        todo = [number]
        while todo:
            step = todo.pop()
            if step in found.asked:
                continue
            found.asked.add(step)
            self._refuse_open_database(step)
            for path_id, path in self._edited_paths(step):
                self._follow(found, step, path_id, path, stale)
            todo += found.jobs.values()
        jobs = sorted(found.jobs.items())
        steps = [step for _, step in jobs]
        steps += [] if number in steps else [number]
        if len(steps) > _MOST_RUNS or len(found.removed) > _MOST_FILES:
            raise NoCommandError(f"more than {_MOST_RUNS} runs or {_MOST_FILES} files would have to be made again for"
                                 f" what @{number} edits in place")
        if not self._is_in_order(jobs):
            raise NoCommandError(f"what @{number} edits in place was made in another order than that of its steps")
        return Plan(tuple(found.removed), tuple(steps), self._find_lack(jobs, number),
                    os.path.dirname(self._workspace.database))

    def _is_in_order(self, jobs: Sequence[tuple[int, int]]) -> bool:
        """Whether the steps stand as they have to: each behind those of which it took something when it ran last.

        A step that ran once more since stands where that job does.
        """
        before: set[int] = set()
        inside = {number for _, number in jobs}
        for job, number in jobs:
            makers = {of for (of,) in self._database.execute(_MAKERS, (job,))}
            if not makers & inside <= before | {number}:
                return False
            before.add(number)
        return True

    def _find_lack(self, jobs: Sequence[tuple[int, int]], number: int) -> str | None:
        """See `Plan.lacks`; of a step that runs by itself what its last job has read."""
        made: set[str] = set()
        alone = self._database.execute(_LAST_JOB, (self._session, number)).fetchall() if not jobs else []
        for job, step in (*jobs, *alone):
            for path, in self._database.execute(_PATHS_READ, (job,)).fetchall():
                place = self._workspace.absolute(path)
                if "*" in os.path.basename(place):
                    place = os.path.dirname(place)  # of a dataset
                if path not in made and "://" not in path and not os.path.lexists(place):
                    return f"{path}, which @{step} read, is gone"
            made |= {path for (path,) in self._database.execute(_PATHS_MADE, (job,))}
        return None

    def _refuse_open_database(self, step: int) -> None:
        """Refuse to write again a database that a program has open, or left so: its file alone is not its content."""
        for (path,) in self._database.execute(_PATHS_OF_STEP, (self._session, step)).fetchall():
            beside = _LOGS if path.endswith(_DATABASES) else [""] if path.endswith(_LOGS) else []
            for log in (path + end for end in beside):
                place = self._workspace.absolute(log)
                if os.path.isfile(place) and os.path.getsize(place):
                    raise NoCommandError(f"{log} holds changes that are not in the database yet")

    def _edited_paths(self, number: int) -> list[tuple[int, str]]:
        """The paths that a step has written, where any job read and wrote the same."""
        return self._database.execute(_EDITED_PATHS, {"session": self._session, "number": number}).fetchall()

    def _follow(self, found: _Found, step: int, path_id: int, path: str, stale: Container[int]) -> None:
        """Add what one path needs; refuse where that cannot be had."""
        writes = self._load_writes(path_id)
        last = next((at for at in reversed(range(len(writes))) if self._lies_there(writes[at], path)), None)
        if last is None:
            return
        first = _find_start(writes, last)
        chain = writes[first:last + 1]
        if step not in {write.number for write in chain if write.session == self._session}:
            self._go_on(found, step, path, (chain, writes[:first]), stale)
            return
        is_made = not chain[0].edits
        if is_made and (len(chain) == 1 or all(write.appends for write in chain)):
            return
        again = _without_failures(chain)
        if any(write.session != self._session for write in again):
            raise NoCommandError(f"{path} is edited in place, and was in another session, too")
        if not is_made:
            raise NoCommandError(f"{path} is edited in place, and no step has made it")
        self._remove(found, chain[0], path)
        found.jobs |= {write.job: write.number for write in again}
        self._feed(found, path, again, None, {write.job for write in writes})

    def _load_writes(self, path_id: int) -> list[_Write]:
        """What was written to a path, in the order of recording."""
        rows = self._database.execute(_WRITES, {"path": path_id, "appended": json.dumps(
            [APPENDED, AS_STDOUT_APPENDED])})
        return [_Write(job, step, number, session, bool(well), digest.hex(), artifact, bool(dataset), bool(appends),
                       bool(edits), read)
                for job, step, number, session, well, digest, artifact, dataset, appends, edits, read in rows]

    def _lies_there(self, write: _Write, path: str) -> bool:
        place = self._workspace.absolute(path)
        if write.is_dataset:
            return dataset_is_unchanged(self._database, members_folder(place), write.artifact)
        return holds(self._database, place, {write.digest})

    def _go_on(self, found: _Found, step: int, path: str, writes: tuple[Sequence[_Write], Sequence[_Write]],
               stale: Container[int]) -> None:
        """Where the file was made anew since, those that edited the earlier one and are not done yet, up to a step.

        writes: those that made what lies there, and those before them.
        """
        chain, before = writes
        earlier = _without_failures(before[_find_start(before, len(before) - 1):]) if before else []
        done = [write.step for write in _without_failures(chain)]
        rest = earlier[len(done):]
        at = next((at for at, write in enumerate(rest) if write.number == step), None)
        if at is None or [write.step for write in earlier[:len(done)]] != done or any(
                write.session != self._session for write in rest[:at]):
            return
        found.jobs |= {write.job: write.number for write in rest[:at + 1]}
        again = [*earlier[:len(done)], *rest[:at + 1]]
        self._feed(found, path, again, stale, {write.job for write in before})

    def _feed(self, found: _Found, path: str, chain: Sequence[_Write], stale: Container[int] | None,
              writers: Container[int]) -> None:
        """Add what made of a file what a later job of the chain edits it with; refuse where that is elsewhere."""
        rows = self._database.execute(_FEEDERS, {"chain": json.dumps([write.job for write in chain]),
                                                 "first": chain[0].job, "last": chain[-1].job}).fetchall()
        rows = [row for row in rows if row[0] not in writers and (stale is None or row[1] in stale)]
        found.jobs |= {job: number for job, number, _ in rows}
        if any(session != self._session for *_, session in rows):
            raise NoCommandError(f"{path} is edited in place with what another session's jobs made of it")

    def _remove(self, found: _Found, write: _Write, path: str) -> None:
        """Let a file of the workspace be made anew; not a folder, nor what a job reached by a symlink."""
        place = self._workspace.absolute(path)
        found.removed[place] = None
        linked = self._database.execute("SELECT 1 FROM symlink WHERE job_id = ?", (write.job,)).fetchone()
        if write.is_dataset or linked is not None or not is_inside(place, self._workspace.root):
            what = "is a folder" if write.is_dataset else "may lie behind a symlink" if linked else "lies elsewhere"
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

_MAKERS = """
SELECT DISTINCT step.number FROM dependency JOIN job ON job.id = producer_id JOIN step ON step.id = job.step_id
WHERE consumer_id = ?
"""
_LAST_JOB = """
SELECT max(job.id), step.number FROM job JOIN step ON step.id = job.step_id
WHERE step.session_id = ? AND step.number = ? GROUP BY step.id
"""
_PATHS_OF_STEP = """
SELECT DISTINCT path.path FROM step JOIN job ON job.step_id = step.id
JOIN file_use ON file_use.job_id = job.id AND role = 2 JOIN path ON path.id = path_id
WHERE session_id = ? AND number = ?
"""
_PATHS_READ = """
SELECT path.path FROM file_read JOIN path ON path.id = path_id WHERE job_id = ? ORDER BY ordinal
"""
_PATHS_MADE = _PATHS_READ.replace("file_read", "file_written")
