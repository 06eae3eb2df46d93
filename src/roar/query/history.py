"""The list of jobs, with filters. Reads only what a list shows, so that a long history costs little."""

import json
import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roar.model import Job, TrackerRun, members_folder
from roar.query.jobs import load_tracker_runs
from roar.query.versions import paths_above
from roar.record.database import encoded


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list; what is None or empty does not restrict.

    Attributes:
        session: row of a session.
        status: `ok` (exit code 0), `failed`, or a job's state.
        since, until: times as the record writes them.
        tracker: settings key of a tracker that a run of the job belongs to.
        paths: forms in which one path may be recorded; where none is, a `*` makes the first a glob pattern.
        through: what else the path led to by symlinks that jobs went through, with the rows of those jobs.
        text: each word must be in the command, the name or a label.
        labels: each must be there, with this value unless that is None.
    """

    session: int | None = None
    status: str | None = None
    since: str | None = None
    until: str | None = None
    tracker: str | None = None
    paths: Sequence[str] = ()
    through: Mapping[str, Collection[int]] = field(default_factory=dict)
    text: Sequence[str] = ()
    labels: Sequence[tuple[str, str | None]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """What a list shows of a job: its row in the record, the uid of its session, the rest as in Job."""

    row_id: int
    uid: str
    session: str
    step: int
    name: str | None
    command: tuple[str, ...]
    cwd: str
    started_at: str
    duration_s: float | None
    exit_code: int | None
    state: str
    inputs: int
    outputs: int
    tracker_runs: tuple[TrackerRun, ...]


def passes_unrecorded(wanted: JobFilter, job: Job) -> bool:
    """Whether a job that still runs, and so has no files or tracker runs yet, passes `wanted`; sessions aside."""
    words = _HoldsWords(wanted.text)
    labels = " ".join(f"{key}={value}" for key, value in job.labels.items())
    return (wanted.status in {None, job.state} and wanted.tracker is None and not wanted.paths
            and (wanted.since is None or job.started_at >= wanted.since)
            and (wanted.until is None or job.started_at < wanted.until)
            and all(key in job.labels and value in {None, job.labels[key]} for key, value in wanted.labels)
            and bool(words(json.dumps(job.command).encode(), os.fsencode(f"{job.name or ''} {labels}"))))


def line_of_unrecorded(job: Job) -> JobLine:
    """What a list shows of a job that still runs; `row_id` and `step` are 0."""
    return JobLine(row_id=0, uid=job.uid, session="", step=0, name=job.name, command=job.command,
                   cwd=job.cwd, started_at=job.started_at, duration_s=None, exit_code=None, state=job.state, inputs=0,
                   outputs=0, tracker_runs=())


def find_jobs(database: sqlite3.Connection, wanted: JobFilter) -> list[int]:
    """The rows of the jobs that pass `wanted`, newest first."""
    conditions, values = _conditions(database, wanted)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = database.execute(
        f"SELECT job.id FROM job JOIN step ON step.id = job.step_id {where} ORDER BY started_at DESC, job.id DESC",  # noqa: S608  our own conditions
        values)
    return [row[0] for row in rows]


def is_recorded_tracker(database: sqlite3.Connection, name: str) -> bool:
    """Whether a recorded run belongs to the tracker with this settings key."""
    return database.execute("SELECT 1 FROM tracker_run WHERE tracker = CAST(? AS TEXT) LIMIT 1",
                            (encoded(name),)).fetchone() is not None


def load_lines(database: sqlite3.Connection, job_ids: Sequence[int]) -> list[JobLine]:
    """What a list shows of these jobs, in this order."""
    runs = load_tracker_runs(database, job_ids)
    return [_line(database, job_id, tuple(runs.get(job_id, ()))) for job_id in job_ids]


def _line(database: sqlite3.Connection, job_id: int, runs: tuple[TrackerRun, ...]) -> JobLine:
    uid, session, step, name, command, cwd, started_at, duration_s, code, state, inputs, outputs = database.execute(
        "SELECT job.uid, session.uid, number, name, command, cwd, job.started_at, duration_s, exit_code, state,"
        " (SELECT count(*) FROM file_use WHERE job_id = job.id AND role = 1),"
        " (SELECT count(*) FROM file_use WHERE job_id = job.id AND role = 2)"
        " FROM job JOIN step ON step.id = step_id JOIN session ON session.id = session_id WHERE job.id = ?",
        (job_id,)).fetchone()
    return JobLine(row_id=job_id, uid=uid, session=session, step=step, name=name, command=tuple(json.loads(command)),
                   cwd=cwd, started_at=started_at, duration_s=duration_s, exit_code=code, state=state, inputs=inputs,
                   outputs=outputs, tracker_runs=runs)


def _conditions(database: sqlite3.Connection, wanted: JobFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    simple = (("session_id = ?", wanted.session), ("started_at >= ?", wanted.since), ("started_at < ?", wanted.until),
              ("job.id IN (SELECT job_id FROM tracker_run WHERE tracker = ?)", wanted.tracker))
    for condition, value in simple:
        if value is not None:
            conditions.append(condition)
            values.append(value)
    if wanted.status is not None:
        conditions.append(_STATUS.get(wanted.status, "state = ?"))
        values += [] if wanted.status in _STATUS else [wanted.status]
    for key, value in wanted.labels:
        conditions.append("job.id IN (SELECT job_id FROM label WHERE job_id IS NOT NULL AND key = CAST(? AS TEXT)"
                          " AND value = coalesce(CAST(? AS TEXT), value))")
        values += [encoded(key), None if value is None else encoded(value)]
    if wanted.paths:
        conditions.append("job.id IN (SELECT value FROM json_each(?))")
        jobs = _jobs_with_path(database, wanted.paths).union(
            *(_jobs_with_path(database, [path]).intersection(rows) for path, rows in wanted.through.items()))
        values.append(json.dumps(sorted(jobs)))
    if wanted.text:
        database.create_function("holds_words", 2, _HoldsWords(wanted.text), deterministic=True)
        conditions.append("(holds_words(CAST(command AS BLOB), CAST(coalesce(name, '') || ' ' || coalesce((SELECT"
                          " group_concat(key || '=' || value, ' ') FROM label WHERE job_id = job.id), '') AS BLOB)))")
    return conditions, values


_STATUS = {"ok": "exit_code = 0", "failed": "exit_code <> 0"}


class _HoldsWords:
    """The SQL function `holds_words(command, more)`: whether every word is in the command or in `more`.

    It takes bytes: what is not UTF-8 cannot be handed over as text.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = [word.casefold() for word in words]

    def __call__(self, command: bytes, more: bytes) -> bool:
        text = f"{' '.join(json.loads(command))} {os.fsdecode(more)}".casefold()
        return all(word in text for word in self._words)


def _jobs_with_path(database: sqlite3.Connection, paths: Sequence[str]) -> set[int]:
    """The jobs that read or wrote the path, a file below it, or a dataset that holds it; `.` is the workspace."""
    jobs = _jobs_with_path_ids(database, _path_ids(database, paths))
    for path in paths:
        jobs |= _jobs_with_member(database, path)
    return _jobs_with_path_like(database, paths[0]) if not jobs and is_pattern(paths[0]) else jobs


def _jobs_with_path_ids(database: sqlite3.Connection, path_ids: Sequence[int]) -> set[int]:
    jobs: set[int] = set()
    for path_id in path_ids:
        jobs |= {row[0] for row in database.execute(
            "SELECT job_id FROM file_read WHERE path_id = ? UNION SELECT job_id FROM file_written WHERE path_id = ?",
            (path_id, path_id))}
    return jobs


def _jobs_with_path_like(database: sqlite3.Connection, pattern: str) -> set[int]:
    rows = database.execute("SELECT id FROM path WHERE path GLOB CAST(? AS TEXT)", (encoded(pattern),))
    return (_jobs_with_path_ids(database, [row[0] for row in rows])
            | _jobs_with_member_like(database, pattern))


def is_pattern(path: str) -> bool:
    """Whether a path is one for many, as GLOB of SQLite has it."""
    return any(letter in path for letter in "*?[")


def _path_ids(database: sqlite3.Connection, paths: Sequence[str]) -> list[int]:
    ids = []
    if "." in paths:
        ids += [row[0] for row in database.execute("SELECT id FROM path WHERE path NOT GLOB '/*' AND"
                                                   " instr(path, '://') = 0")]
    for path in paths:
        below = path.rstrip("/") + "/"
        ids += [row[0] for row in database.execute(
            "SELECT id FROM path WHERE path = CAST(? AS TEXT)"
            " OR (path >= CAST(? AS TEXT) AND path < CAST(? AS TEXT))",
            (encoded(path), encoded(below), encoded(below[:-1] + "0")))]
    return ids


def _jobs_with_member_like(database: sqlite3.Connection, pattern: str) -> set[int]:
    """The jobs that read or wrote a dataset with a file of which the whole path is like the pattern."""
    jobs: set[int] = set()
    for dataset_id, path_id, path in database.execute(_DATASETS).fetchall():
        found = database.execute("SELECT 1 FROM dataset_member WHERE dataset_id = ?"
                                 " AND CAST(? || path AS TEXT) GLOB CAST(? AS TEXT) LIMIT 1",
                                 (dataset_id, encoded(members_folder(path)), encoded(pattern))).fetchone()
        if found is not None:
            jobs |= {job for (job,) in database.execute(_JOBS_WITH_DATASET, {"dataset": dataset_id, "place": path_id})}
    return jobs


_DATASETS = """
SELECT artifact_id, path_id, path.path FROM (
    SELECT artifact_id, path_id FROM artifact CROSS JOIN file_read ON artifact_id = artifact.id
    WHERE artifact.files IS NOT NULL
    UNION SELECT artifact_id, path_id FROM artifact CROSS JOIN file_written ON artifact_id = artifact.id
    WHERE artifact.files IS NOT NULL) JOIN path ON path.id = path_id
"""
_JOBS_WITH_DATASET = """
SELECT job_id FROM file_read WHERE artifact_id = :dataset AND path_id = :place
UNION SELECT job_id FROM file_written WHERE artifact_id = :dataset AND path_id = :place
"""


def _jobs_with_member(database: sqlite3.Connection, path: str) -> set[int]:
    path = path.rstrip("/")
    jobs: set[int] = set()
    for above in paths_above(path):
        row = database.execute("SELECT id FROM path WHERE path = CAST(? AS TEXT)", (encoded(above),)).fetchone()
        if row is not None:
            member = path[len(members_folder(above)):]
            jobs |= {job for (job,) in database.execute(_JOBS_WITH_MEMBER, {
                "place": row[0], "member": encoded(member), "below": encoded(f"{member}/"),
                "end": encoded(f"{member}0")})}
    return jobs


_JOBS_WITH_MEMBER = """
SELECT job_id FROM
    (SELECT job_id, artifact_id FROM file_read WHERE path_id = :place
     UNION SELECT job_id, artifact_id FROM file_written WHERE path_id = :place) AS used
WHERE EXISTS (SELECT 1 FROM dataset_member WHERE dataset_id = used.artifact_id
              AND (path = CAST(:member AS TEXT) OR (path >= CAST(:below AS TEXT) AND path < CAST(:end AS TEXT))))
"""
