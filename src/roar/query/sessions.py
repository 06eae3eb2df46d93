"""Sessions: their jobs, ready to be shown or published."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from roar.model import Job, Kind
from roar.query.jobs import iter_jobs, load_ages, load_datasets, load_payloads
from roar.wire import Age, Dataset, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The jobs between two `roar reset`s.

    Attributes:
        row_id: its row in the record.
        uid: 32 hex.
        started_at: when the first of its jobs started, or else when it was begun.
        jobs: how many.
    """

    row_id: int
    uid: str
    started_at: str
    jobs: int
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishable:
    """Jobs with everything that belongs to them: what a registration is made of.

    Attributes:
        jobs: in the order they started.
        datasets: the datasets that they use, with their members.
        payloads: what they wrote only in a tracker's store.
        ages: of what they read.
    """

    session: str
    jobs: tuple[Job, ...]
    datasets: tuple[Dataset, ...]
    payloads: tuple[Payload, ...]
    ages: tuple[Age, ...] = ()


def load_session(database: sqlite3.Connection, row_id: int) -> Session:
    """The session in row `row_id`."""
    uid, started_at, jobs = database.execute(
        "SELECT session.uid, coalesce(min(job.started_at), session.started_at), count(job.id) FROM session"
        " LEFT JOIN step ON session_id = session.id LEFT JOIN job ON step_id = step.id WHERE session.id = ?",
        (row_id,)).fetchone()
    labels = dict(database.execute("SELECT key, value FROM label WHERE session_id = ? ORDER BY key", (row_id,)))
    return Session(row_id=row_id, uid=uid, started_at=started_at, jobs=jobs, labels=labels)


def list_sessions(database: sqlite3.Connection) -> list[Session]:
    """All sessions, the newest first."""
    rows = database.execute("SELECT id FROM session ORDER BY id DESC").fetchall()
    return [load_session(database, row[0]) for row in rows]


def session_of(database: sqlite3.Connection, job_id: int) -> int:
    """The row of the session that the job in row `job_id` belongs to."""
    row_id: int = database.execute("SELECT session_id FROM job JOIN step ON step.id = step_id WHERE job.id = ?",
                                   (job_id,)).fetchone()[0]
    return row_id


def sessions_of(database: sqlite3.Connection, job_ids: Iterable[int]) -> dict[str, str]:
    """By the uids of the jobs in these rows those of their sessions: `@N` is about one of them."""
    return dict(database.execute(
        "SELECT job.uid, session.uid FROM job JOIN step ON step.id = step_id JOIN session ON session.id = session_id"
        " WHERE job.id IN (SELECT value FROM json_each(?))", (json.dumps(list(job_ids)),)))


def jobs_of_other_sessions(database: sqlite3.Connection, uids: Iterable[str]) -> frozenset[str]:
    """Those of the jobs for which `@N` does not stand: it is about the session that the next job will belong to."""
    return frozenset(uid for (uid,) in database.execute(
        "SELECT uid FROM job JOIN step ON step.id = step_id WHERE uid IN (SELECT value FROM json_each(?))"
        " AND session_id < (SELECT max(id) FROM session)", (json.dumps(list(uids)),)))


def session_job_ids(database: sqlite3.Connection, session: int) -> list[int]:
    """The rows of a session's jobs, in the order they started."""
    return [row[0] for row in database.execute(
        "SELECT job.id FROM step JOIN job ON job.step_id = step.id WHERE session_id = ? ORDER BY started_at, job.id",
        (session,))]


def load_publishable(database: sqlite3.Connection, session: int, job_ids: Sequence[int] | None = None) -> Publishable:
    """The jobs of a session, or those in `job_ids` (also of earlier sessions), with all that belongs to them."""
    ids = session_job_ids(database, session) if job_ids is None else _in_order(database, job_ids)
    jobs = tuple(iter_jobs(database, ids))
    digests = dict.fromkeys(use.digest for job in jobs for use in (*job.inputs, *job.outputs)
                            if use.kind is Kind.DATASET and use.digest is not None)
    return Publishable(session=load_session(database, session).uid, jobs=jobs,
                       datasets=tuple(load_datasets(database, digests)),
                       payloads=tuple(load_payloads(database, ids)), ages=tuple(load_ages(database, ids)))


def _in_order(database: sqlite3.Connection, job_ids: Sequence[int]) -> list[int]:
    started = {job_id: database.execute("SELECT started_at FROM job WHERE id = ?", (job_id,)).fetchone()[0]
               for job_id in job_ids}
    return sorted(started, key=lambda job_id: (started[job_id], job_id))
