"""Which jobs a checklist asks about, how it names them, and what runs each of them again to some effect."""

import json
import os
import sqlite3
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from roar.model import LOGGED, Job, JobState, Kind, Redirections, is_location
from roar.query.counted import StepJob, load_counted
from roar.query.files_now import holds
from roar.query.hard_links import Inode, find_inode
from roar.query.jobs import iter_jobs
from roar.query.likeness import likeness
from roar.query.obstacles import NoCommandError, OuterRunsItError, refuse_secret, refuse_tracked
from roar.query.references import find_current_session
from roar.query.repository import is_inside
from roar.query.rerunning import Own, Reruns, put_aside
from roar.record.database import encoded
from roar.shell import joined, quoted, quoted_path
from roar.workspace import Workspace

_FEW = 5
"""Up to so many outputs are named in a command that removes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """Where a job stands: the rows of itself, of its step and of its session."""

    row_id: int
    step_id: int
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The jobs that a checklist is about.

    Attributes:
        jobs: all, with those of other sessions from which they took their inputs, in the order in which they started.
        last: of each step the last one.
        tries: the last of each step of which no job ended well or left anything, or nothing is left and none that
            counts took something from it: they are asked nothing more.
        left: by the row of a step of which no job ended well, and from which none that counts took anything, what is
            still there as its jobs left it.
        makers: those that made what counts: of each step the last one, where that failed also the last that ended
            well, where that wrote nothing also the last that did, but none whose outputs another step has made again;
            of other sessions all.
        behind: the makers with all that they took something from, directly or not.
        rows: where each of them stands, by its uid.
        session: the row of the session that `@N` is about.
    """

    database: sqlite3.Connection
    workspace: Workspace
    jobs: Sequence[Job]
    last: Sequence[Job]
    tries: Sequence[Job]
    left: Mapping[int, Sequence[str]]
    makers: Sequence[Job]
    behind: Sequence[Job]
    rows: Mapping[str, _Row]
    session: int

    def name(self, job: Job) -> str:
        """A job of this session by its step, with its uid where that has run again since; others by their uid."""
        row = self.rows[job.uid]
        if row.session != self.session:
            return job.uid[:8]
        return f"@{job.step} {job.uid[:8]}" if self._since(row) else f"@{job.step}"

    def ref(self, job: Job) -> str:
        """What a command takes for the job."""
        return self.name(job).split()[-1]

    def refuse_abandoned(self, job: Job) -> None:
        """Refuse to look at a step that failed, where one like it (of a sweep) ended well later: that is past."""
        row = self.rows[job.uid]
        left = self.left.get(row.step_id)
        if left and any(_ended_well(other) and other.started_at > job.started_at and other.cwd == job.cwd
                        and self.rows[other.uid].step_id != row.step_id
                        and likeness(other.command) == likeness(job.command) for other in self.jobs):
            raise NoCommandError(f"what {self.ref(job)} left, {left[0]}, is still there")

    def run_again(self, job: Job, stdin: str | None = None, commit: str | None = None, *, resume: bool = False) -> str:
        """What makes again what a job made, so that it is another job's; or goes on with that (`resume`).

        A step that found all done the last time does so again, until its outputs are gone. What a job of another
        session made can be made again in this one; then what read it has to read it again. So it has where the step
        has made all anew since. With `stdin` the own standard input is to come from a file. A `commit`, which may be
        nothing, is made first; then each step has to find all that git tracks as it is there.

        Raises:
            NoCommandError: where running it again does not make that, or does harm.
        """
        seen: set[str] = set()
        while self.rows[job.uid].session != self.session:
            seen.add(job.uid)
            if not _is_made_again(self.database, self.rows[job.uid], self.session):
                self._refuse_vain(job)
                return _and(commit, self._whole_command(job, None if len(seen) > 1 else stdin))
            reader = next((other for other in self._readers(job) if other.uid not in seen), None)
            if reader is None:
                raise NoCommandError(f"{self.name(job)} was made again in this session, but nothing has read that")
            job = reader
        if stdin and not seen:
            return _and(commit, self._whole_command(job, stdin))
        while self._is_made_anew(job):
            seen.add(job.uid)
            reader = next((other for other in self._readers(job) if other.uid not in seen
                           and self.rows[other.uid].session == self.session), None)
            if reader is None:
                break
            job = reader
        return self._plan_again(job, commit, resume=resume)

    def _refuse_vain(self, job: Job) -> None:
        """Refuse where the command of a job of another session ran in this one since, and failed or made nothing."""
        row = self.database.execute(_VAIN, {"session": self.session, "job": self.rows[job.uid].row_id,
                                            "logs": json.dumps(LOGGED)}).fetchone()
        if row is not None:
            step, status = row
            how = f"ended with exit status {status}" if status else (
                f"found all done and made nothing. Move away what it goes on from, then roar run @{step}")
            raise NoCommandError(f"@{step}, the command of {self.name(job)} once more, {how}")

    def last_of(self, step: int) -> Job | None:
        """The last of the jobs that were recorded for a step of this session."""
        return next((job for job in reversed(self.jobs) if job.step == step
                     and self.rows[job.uid].session == self.session), None)

    def is_last_of_step(self, job: Job) -> bool:
        """Whether no job of the same step was recorded later."""
        row = self.rows[job.uid]
        later = self.database.execute("SELECT 1 FROM job WHERE step_id = ? AND id > ?", (row.step_id, row.row_id))
        return later.fetchone() is None

    def is_made_again(self, job: Job) -> bool:
        """Whether all that a job wrote was made again since by the same command, so that what read it has to run."""
        row = self.rows[job.uid]
        return self._is_made_anew(job) if row.session == self.session else _is_made_again(
            self.database, row, self.session)

    def _is_made_anew(self, job: Job) -> bool:
        """Whether the last job of the step ended well and wrote all that an earlier one had."""
        return self.database.execute(_MADE_ANEW, {"job": self.rows[job.uid].row_id}).fetchone() is not None

    def make_room(self, job: Job) -> str | None:
        """What runs a step of this session again that refuses to write over what it left; None for others.

        Raises:
            NoCommandError: where that does harm.
        """
        if self.rows[job.uid].session != self.session or self._reruns.make_room(job.step) is None:
            return None
        return self._plan_again(job, None, resume=False)

    @property
    def _reruns(self) -> Reruns:
        return Reruns(self.database, self.workspace, self.session)

    def _plan_again(self, job: Job, commit: str | None, *, resume: bool) -> str:
        try:
            return self._plan_alone(job, commit, resume=resume)
        except OuterRunsItError as error:
            outer = self.last_of(error.outer)
            if outer is None or outer.step == job.step:
                raise
            return self._plan_alone(outer, commit, resume=resume)

    def _plan_alone(self, job: Job, commit: str | None, *, resume: bool) -> str:
        room = self._reruns.make_room(job.step)
        plan = room or self._reruns.plan(job.step, own=Own.KEPT if resume else Own.ANEW)
        plan.refuse_lack()
        self._refuse_replaced(job, room.room.links if room is not None and room.room is not None else ())
        refuse_secret(self.name(job), job.command)
        if room is not None:
            return _and(commit, *room.commands())
        if commit is not None:
            plan.refuse_changes()
        since = self._since(self.rows[job.uid])
        if len(plan.steps) > 1 or not since or since[-1][0] != JobState.DONE:
            return _and(commit, *plan.commands())
        if since[-1][1] != 0:
            raise NoCommandError(f"@{job.step} ended with exit status {since[-1][1]} when it ran last")
        left = self._find_left(job)
        if commit is not None:
            refuse_tracked(left)
        return _and(commit, *put_aside(left, plan.aside, [f"roar run @{job.step}"], keeps=True))

    def _refuse_replaced(self, job: Job, links: Container[Inode]) -> None:
        """Refuse where what another step made, or nobody recorded, lies now where this job's output did.

        links: what the job reads under another name, which may have changed.
        """
        places = {use.path: self.workspace.absolute(use.path) for use in job.outputs
                  if use.kind is Kind.FILE and not is_location(use.path)}
        for path, place in places.items():
            own = self.database.execute(_OWN, {"path": encoded(path), "job": self.rows[job.uid].row_id,
                                               "step": self.rows[job.uid].step_id})
            if os.path.lexists(place) and find_inode(place)[0] not in links and not holds(
                    self.database, place, {digest.hex() for (digest,) in own}):
                raise NoCommandError(f"{path} is no longer what {self.name(job)} left there: it would be lost")

    def was_interrupted_twice(self, job: Job) -> bool:
        """Whether a job of this session was interrupted, and so was the one of its step before."""
        rows = self.database.execute("SELECT state FROM job WHERE step_id = ? AND id <= ? ORDER BY started_at DESC,"
                                     " id DESC LIMIT 2", (self.rows[job.uid].step_id, self.rows[job.uid].row_id))
        return [state for (state,) in rows] == [JobState.INTERRUPTED] * 2

    def _since(self, row: _Row) -> list[tuple[str, int | None, int]]:
        """State, exit status and number of outputs of the later jobs of a step, the last one last."""
        return self.database.execute(
            "SELECT job.state, job.exit_code, (SELECT count(*) FROM file_use WHERE job_id = job.id AND role = 2)"
            " FROM job JOIN job AS this ON this.id = ? WHERE job.step_id = this.step_id"
            " AND (job.started_at, job.id) > (this.started_at, this.id) ORDER BY job.started_at, job.id",
            (row.row_id,)).fetchall()

    def _readers(self, job: Job) -> list[Job]:
        """Those of the jobs that took something from one of them, in their order: one may have read another's output.

        Of other sessions only what is behind those that are asked about.
        """
        ids = {row_id for (row_id,) in self.database.execute(
            "SELECT DISTINCT consumer_id FROM dependency WHERE producer_id = ?", (self.rows[job.uid].row_id,))}
        behind = {other.uid for other in self.behind}
        readers = [other for other in self.jobs if self.rows[other.uid].row_id in ids and (
            other.uid in behind or self.rows[other.uid].session == self.session)]
        return sorted(readers, key=lambda other: self.rows[other.uid].row_id)

    def _whole_command(self, job: Job, stdin: str | None) -> str:
        """The command of a job, in its folder, from and to its files."""
        refuse_secret(self.name(job), job.command)
        cwd = self.workspace.absolute(job.cwd)
        redirected = Redirections.of(job)
        words = [*(["--"] if job.command[0][:1] in {"-", "@"} else []), *job.command]
        appends = any(use.path == redirected.stdout for use in job.inputs)
        files = [(sign, quoted(os.path.relpath(self.workspace.absolute(path), cwd))) for sign, path in (
            ("<", redirected.stdin), (">>" if appends else ">", redirected.stdout)) if path]
        files = [("<", stdin), *files] if stdin else files
        command = " ".join(["roar run" if job.kind == "run" else "", joined(words),
                            *(f"{sign} {path}" for sign, path in files)]).strip()
        place = os.path.relpath(cwd)
        return command if place == "." else f"(cd {quoted_path(place)} && {command})"

    def _find_left(self, job: Job) -> list[str]:
        """What a job left that lies there as it left it, absolute.

        Refused where that is more than a few files, data that lie elsewhere, or what the job itself had found.
        """
        left = [use for use in job.outputs if os.path.lexists(self.workspace.absolute(use.path)) and (
            use.kind is not Kind.FILE or holds(self.database, self.workspace.absolute(use.path), {use.digest}))]
        read = {use.path for use in job.inputs}
        if len(left) > _FEW or not all(
                use.kind is Kind.FILE and not is_location(use.path) and use.path not in read
                and is_inside(self.workspace.absolute(use.path), self.workspace.root) for use in left):
            raise NoCommandError(f"@{job.step} found all done when it ran last, and its outputs are more than a few"
                                 " files to put aside")
        return [self.workspace.absolute(use.path) for use in left]


# What a job, later ones of its step, and others that edited what they found wrote to a path.
_OWN = """
SELECT digest FROM path JOIN file_written AS made ON made.path_id = path.id AND made.role = 2
JOIN artifact ON artifact.id = made.artifact_id JOIN job ON job.id = made.job_id
WHERE path.path = CAST(:path AS TEXT) AND made.job_id >= :job AND (job.step_id = :step
    OR EXISTS (SELECT 1 FROM file_read WHERE job_id = made.job_id AND path_id = made.path_id))
"""


# Of a job with outputs the last one of its step, if it is later and wrote all these.
_MADE_ANEW = """
SELECT 1 FROM job AS this JOIN job ON job.step_id = this.step_id AND job.state = 'done' AND job.exit_code IS 0
AND job.id = (SELECT max(id) FROM job AS other WHERE other.step_id = this.step_id) AND job.id > this.id
WHERE this.id = :job AND EXISTS (SELECT 1 FROM file_use WHERE job_id = this.id AND role = 2)
AND NOT EXISTS (SELECT 1 FROM file_use WHERE job_id = this.id AND role = 2 AND path_id NOT IN (
    SELECT path_id FROM file_use WHERE job_id = job.id AND role = 2))
"""


def load_asked(database: sqlite3.Connection, workspace: Workspace, jobs: Sequence[Job]) -> Asked:
    """What a checklist of these jobs (in the order they started) is about: a session's, or what led to something."""
    rows = _load_rows(database, [job.uid for job in jobs])
    own = rows[jobs[-1].uid].session if jobs else 0
    counted = load_counted(database, _by_step(rows, jobs))
    latest = {job_id for found in counted.latest.values() for job_id in found}
    left = _find_left_behind(database, workspace, counted.step_of, _find_unfinished(rows, jobs))
    tries = _find_tries(rows, jobs, {step for step, paths in left.items() if not paths})
    latest -= {rows[job.uid].row_id for job in tries}
    given = {row.row_id for row in rows.values()}
    behind = _find_sources(database, latest)
    foreign = [job_id for job_id, session in sorted(behind.items()) if job_id not in given and session != own]
    others = list(iter_jobs(database, foreign))
    rows |= _load_rows(database, [job.uid for job in others])
    together = sorted((*jobs, *others), key=lambda job: (job.started_at, rows[job.uid].row_id))
    in_order = sorted(together, key=lambda job: (rows[job.uid].session, job.step))
    by_step = {rows[job.uid].step_id: job for job in in_order}
    current = find_current_session(database)
    return Asked(
        database=database, workspace=workspace, jobs=together, tries=tries, left=left, rows=rows,
        last=[job for job in by_step.values() if job not in tries],
        behind=[job for job in together if rows[job.uid].row_id in behind],
        makers=[job for job in in_order if rows[job.uid].session != own or (
            rows[job.uid].row_id in latest and not _is_made_again(database, rows[job.uid], own)
            and not _is_written_over(database, rows[job.uid], counted.step_of))],
        session=own if current is None else current.row_id)


def _find_tries(rows: Mapping[str, _Row], jobs: Sequence[Job], gone: Container[int]) -> list[Job]:
    """See `Asked`; none where there is nothing else. `gone`: the steps of which nothing is left."""
    made = {rows[job.uid].step_id for job in jobs if _ended_well(job) or job.outputs or job.tracker_runs}
    made = {step for step in made if step not in gone}
    last = {rows[job.uid].step_id: job for job in jobs}
    return [job for step, job in last.items() if step not in made] if made else []


def _find_unfinished(rows: Mapping[str, _Row], jobs: Iterable[Job]) -> set[int]:
    """The steps that left files and of which no job ended well; a run that a tracker keeps is no try."""
    kept = {rows[job.uid].step_id for job in jobs if _ended_well(job) or job.tracker_runs}
    return {rows[job.uid].step_id for job in jobs if job.outputs} - kept


_TAKEN_FROM = """
SELECT 1 FROM job JOIN dependency ON producer_id = job.id JOIN job AS reader ON reader.id = consumer_id
JOIN step ON step.id = job.step_id JOIN step AS other ON other.id = reader.step_id
WHERE job.step_id = :step AND reader.step_id <> :step
AND (other.session_id <> step.session_id OR reader.id IN (SELECT value FROM json_each(:counted)))
"""
_LEFT_BEHIND = """
SELECT DISTINCT path.path, artifact.digest, coalesce(artifact.files, made.files) FROM job
JOIN file_use AS made ON made.job_id = job.id AND made.role = 2
JOIN path ON path.id = made.path_id LEFT JOIN artifact ON artifact.id = made.artifact_id
WHERE job.step_id = :step AND NOT EXISTS (
    SELECT 1 FROM file_written AS later JOIN job AS other ON other.id = later.job_id
    WHERE later.path_id = made.path_id AND later.role = 2 AND later.job_id > made.job_id
    AND other.state = 'done' AND other.exit_code IS 0 AND other.step_id <> :step)
"""


def _find_left_behind(database: sqlite3.Connection, workspace: Workspace, counted: Iterable[int], steps: Iterable[int]
                      ) -> dict[int, list[str]]:
    """By step what its jobs left that lies there as they left it, and that no other step has written over.

    Not the steps from which a job that counts, or one of another session, took something. A folder of data, what lies
    elsewhere, and content that is not known are taken for unchanged where anything is there.
    """
    ids = json.dumps(list(counted))
    return {step: [path for path, digest, files in database.execute(_LEFT_BEHIND, {"step": step})
                   if _is_still_there(database, workspace, path, None if files is not None else digest)]
            for step in steps
            if database.execute(_TAKEN_FROM, {"step": step, "counted": ids}).fetchone() is None}


def _is_still_there(database: sqlite3.Connection, workspace: Workspace, path: str, digest: bytes | None) -> bool:
    place = workspace.absolute(path)
    if is_location(path) or digest is None:
        return is_location(path) or os.path.lexists(place)
    return os.path.lexists(place) and (not os.access(place, os.R_OK)
                                       or holds(database, place, {digest.hex()}))


def _load_rows(database: sqlite3.Connection, uids: Iterable[str]) -> dict[str, _Row]:
    return {uid: _Row(row_id=row_id, step_id=step_id, session=session)
            for uid, row_id, step_id, session in database.execute(
                "SELECT uid, job.id, step_id, session_id FROM job JOIN step ON step.id = step_id"
                " WHERE uid IN (SELECT value FROM json_each(?))", (json.dumps(list(uids)),))}


# `:logs` are the notes on outputs that are only logs.
_MADE_AGAIN = """
SELECT 1 FROM job AS this JOIN step AS its ON its.id = this.step_id
JOIN step ON step.session_id = :session AND step.id <> its.id AND step.command = its.command AND step.cwd = its.cwd
JOIN job ON job.step_id = step.id AND job.state = 'done' AND job.exit_code IS 0
    AND (job.started_at, job.id) > (this.started_at, this.id)
WHERE this.id = :job AND (step.identity = its.identity AND (
        EXISTS (SELECT 1 FROM file_use WHERE job_id = job.id AND role = 2
                AND ifnull(note, '') NOT IN (SELECT value FROM json_each(:logs)))
        OR NOT EXISTS (SELECT 1 FROM file_use WHERE job_id = this.id AND role = 2))
    OR EXISTS (SELECT 1 FROM file_use WHERE job_id = this.id AND role = 2)
    AND NOT EXISTS (SELECT 1 FROM file_use AS made WHERE made.job_id = this.id AND made.role = 2
        AND NOT EXISTS (SELECT 1 FROM file_use WHERE job_id = job.id AND role = 2 AND path_id = made.path_id)))
"""


# The step of a session whose last job is one of the same command as an earlier job with outputs, and failed or made
# nothing but its logs, with its exit status.
_VAIN = """
SELECT step.number, job.exit_code FROM job AS this JOIN step AS its ON its.id = this.step_id
JOIN step ON step.session_id = :session AND step.id <> its.id AND step.identity = its.identity
JOIN job ON job.id = (SELECT max(id) FROM job AS other WHERE other.step_id = step.id)
WHERE this.id = :job AND job.id > this.id AND job.state = 'done'
AND EXISTS (SELECT 1 FROM file_use WHERE job_id = this.id AND role = 2)
AND (job.exit_code <> 0 OR NOT EXISTS (SELECT 1 FROM file_use WHERE job_id = job.id AND role = 2
                                       AND ifnull(note, '') NOT IN (SELECT value FROM json_each(:logs))))
"""


def _is_made_again(database: sqlite3.Connection, row: _Row, session: int) -> bool:
    """Whether the command of a job ran well later as a step of this session, and wrote all that it had written.

    Redirected otherwise it is another step; the same step, in another session, may write under other names.
    """
    return database.execute(_MADE_AGAIN, {"session": session, "job": row.row_id, "logs": json.dumps(LOGGED)}
                            ).fetchone() is not None


_WRITTEN_OVER = """
SELECT 1 WHERE EXISTS (SELECT 1 FROM file_use WHERE job_id = :job AND role = 2)
AND NOT EXISTS (SELECT 1 FROM dependency WHERE producer_id = :job
    AND consumer_id IN (SELECT value FROM json_each(:counted)))
AND NOT EXISTS (SELECT 1 FROM file_use AS made LEFT JOIN artifact ON artifact.id = made.artifact_id
    WHERE made.job_id = :job AND made.role = 2 AND (artifact.files IS NOT NULL OR NOT EXISTS (
        SELECT 1 FROM file_written AS later JOIN job ON job.id = later.job_id JOIN step ON step.id = job.step_id
        WHERE later.path_id = made.path_id AND later.role = 2 AND later.job_id > :job
        AND job.state = 'done' AND job.exit_code IS 0 AND step.session_id = :session AND step.id <> :step)))
"""


def _is_written_over(database: sqlite3.Connection, row: _Row, counted: Iterable[int]) -> bool:
    """Whether later jobs of other steps wrote over all that a job had written, and none that counts took from it."""
    return database.execute(_WRITTEN_OVER, {
        "job": row.row_id, "session": row.session, "step": row.step_id,
        "counted": json.dumps(list(counted))}).fetchone() is not None


def _by_step(rows: Mapping[str, _Row], jobs: Sequence[Job]) -> dict[int, list[StepJob]]:
    """By the row of a step its jobs, the latest first."""
    found: dict[int, list[StepJob]] = {}
    for job in reversed(jobs):
        row = rows[job.uid]
        found.setdefault(row.step_id, []).append(StepJob(row.row_id, job.uid, _ended_well(job)))
    return found


def _ended_well(job: Job) -> bool:
    return job.state == JobState.DONE and job.exit_code == 0


def _find_sources(database: sqlite3.Connection, row_ids: Iterable[int]) -> dict[int, int]:
    """These jobs and those from which they took something, directly or not, with their sessions."""
    return dict(database.execute(
        "WITH RECURSIVE source (id) AS (SELECT value FROM json_each(?) UNION SELECT producer_id FROM source"
        " JOIN dependency ON consumer_id = source.id) SELECT source.id, session_id FROM source"
        " JOIN job ON job.id = source.id JOIN step ON step.id = step_id", (json.dumps(list(row_ids)),)))


def _and(*commands: str | None) -> str:
    """One command of several, of which some may be nothing."""
    return " && ".join(filter(None, commands))
