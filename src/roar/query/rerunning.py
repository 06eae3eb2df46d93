"""What makes again what a step has made, where steps edit each other's files in place.

Such a step, run by itself, would edit its own result once more. So what wrote the file runs again in the order in
which it did, from the job that had made it anew. A log, to which each run only adds, needs none of that.
"""

import json
import os
import sqlite3
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from roar.model import APPENDED, AS_STDOUT_APPENDED, members_folder
from roar.query.files_now import dataset_is_unchanged, holds
from roar.query.jobs import iter_jobs, load_patches
from roar.query.repository import find_in_commits, find_work_tree, inputs_of
from roar.query.roots import find_roots
from roar.shell import quoted_path
from roar.workspace import Workspace

_MOST_FILES = 5
"""Up to so many files are removed before they are made again; more are hardly appended to by what makes them."""
_MOST_RUNS = 10


class Plan(NamedTuple):
    """What to do in place of a step alone.

    Attributes:
        before: commands that bring back what git has, before anything is committed.
        removed: the absolute paths of files that are made anew.
        steps: the numbers of the steps, in the order in which they run.
    """

    before: tuple[str, ...]
    removed: tuple[str, ...]
    steps: tuple[int, ...]

    def commands(self) -> list[str]:
        """All but what comes before a commit, as they are typed in the current folder."""
        names = " ".join(quoted_path(os.path.relpath(path)) for path in self.removed)
        return [*([f"rm {names}"] if names else []), *(f"roar run @{number}" for number in self.steps)]


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
    before: dict[str, None]
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

    def plan(self, number: int, stale: Container[int] = ()) -> Plan | None:
        """What to run for a step of the session; None where nothing is known that makes the same.

        Args:
            number: of the step.
            stale: the steps that have to run again anyway.
        """
        found = _Found({}, {}, {}, set())
        todo = [number]
        while todo:
            step = todo.pop()
            if step in found.asked:
                continue
            found.asked.add(step)
            for path_id, path in self._edited_paths(step):
                if not self._follow(found, step, path_id, path, stale):
                    return None
            todo += found.jobs.values()
        steps = [step for _, step in sorted(found.jobs.items())]
        steps += [] if number in steps else [number]
        if len(steps) > _MOST_RUNS:
            return None
        removed = found.removed if len(found.removed) <= _MOST_FILES else ()
        return Plan(tuple(found.before), tuple(removed), tuple(steps))

    def _edited_paths(self, number: int) -> list[tuple[int, str]]:
        """The paths that a step has written, where any job read and wrote the same."""
        rows = self._database.execute(_EDITED_PATHS, {"session": self._session, "number": number})
        return [(path_id, path) for path_id, path in rows]

    def _follow(self, found: _Found, step: int, path_id: int, path: str, stale: Container[int]) -> bool:
        """Add what one path needs; False where that cannot be had."""
        writes = self._load_writes(path_id)
        last = next((at for at in reversed(range(len(writes))) if self._lies_there(writes[at], path)), None)
        if last is None:
            return True
        first = _find_start(writes, last)
        chain = writes[first:last + 1]
        if step not in {write.number for write in chain if write.session == self._session}:
            self._go_on(found, step, chain, writes[:first], stale)
            return True
        is_made = not chain[0].edits
        if is_made and (len(chain) == 1 or all(write.appends for write in chain)):
            return True
        again = _without_failures(chain)
        if any(write.session != self._session for write in again):
            return False
        if not is_made and not self._restore(found, chain[0], path):
            return False
        if is_made and not chain[0].is_dataset:
            found.removed[self._workspace.absolute(path)] = None
        found.jobs |= {write.job: write.number for write in again}
        return self._feed(found, again, None)

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

    def _go_on(self, found: _Found, step: int, chain: Sequence[_Write], before: Sequence[_Write],
               stale: Container[int]) -> None:
        """Where the file was made anew since, those that edited the earlier one and are not done yet, up to a step."""
        earlier = _without_failures(before[_find_start(before, len(before) - 1):]) if before else []
        done = [write.step for write in _without_failures(chain)]
        rest = earlier[len(done):]
        at = next((at for at, write in enumerate(rest) if write.number == step), None)
        if at is None or [write.step for write in earlier[:len(done)]] != done or any(
                write.session != self._session for write in rest[:at]):
            return
        found.jobs |= {write.job: write.number for write in rest[:at + 1]}
        self._feed(found, [*earlier[:len(done)], *rest[:at + 1]], stale)

    def _feed(self, found: _Found, chain: Sequence[_Write], stale: Container[int] | None) -> bool:
        """Add what made of the file what a later job of the chain edits it with; False where that is elsewhere."""
        rows = self._database.execute(_FEEDERS, {"chain": json.dumps([write.job for write in chain]),
                                                 "first": chain[0].job, "last": chain[-1].job}).fetchall()
        if stale is not None:
            rows = [row for row in rows if row[1] in stale]
        found.jobs |= {job: number for job, number, _ in rows}
        return all(session == self._session for *_, session in rows)

    def _restore(self, found: _Found, write: _Write, path: str) -> bool:
        """Bring back what the first of a chain found, where its commit has that."""
        (job,) = iter_jobs(self._database, [write.job])
        roots = [root for root in find_roots(self._database, [write.job]) if root.path == path]
        tree = find_work_tree(self._workspace, job)
        if not roots or tree is None or job.git is None or job.git.commit is None:
            return False
        code = find_in_commits(self._database, self._workspace, [job], inputs_of(roots),
                               load_patches(self._database, [job]))
        if any(code.lacks(root) or code.later for root in roots):
            return False
        place = quoted_path(os.path.relpath(self._workspace.absolute(path)))
        found.before[f"git checkout {job.git.commit[:12]} -- {place}"] = None
        return True


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
