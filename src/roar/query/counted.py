"""Which jobs of a session's steps count: a step that is run again may make only part of its outputs, or fail."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple


class StepJob(NamedTuple):
    """A job of a step: its row, its uid, and whether it ended well."""

    row_id: int
    uid: str
    ended_well: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The jobs that count, by their rows.

    Attributes:
        step_of: by job the number of its step: the steps in their order, and of each its jobs in theirs.
        jobs: the same the other way round.
        well: those that ended well.
        latest: by step its last job, and the last that ended well where the last did not; where that wrote nothing, as
            make(1) that finds all up to date, also the last that wrote something.
        settled: job and path of what was read, but read or written again since by a later job of the step.
        idle: those of whose outputs later ones of their step left none, and a last one that failed without any beside
            others: what they read says nothing of the outputs.
    """

    step_of: Mapping[int, int]
    jobs: Mapping[int, Sequence[int]]
    well: frozenset[int]
    latest: Mapping[int, Sequence[int]]
    settled: frozenset[tuple[int, int]]
    idle: frozenset[int]

    def later(self, job_id: int) -> Sequence[int]:
        """The jobs of the same step after one."""
        jobs = self.jobs[self.step_of[job_id]]
        return () if job_id == jobs[-1] else jobs[jobs.index(job_id) + 1:]


def load_counted(database: sqlite3.Connection, jobs: Mapping[int, Sequence[StepJob]]) -> Counted:
    """Of each step the latest jobs, and earlier ones from which one that counts took something.

    Args:
        database: the record.
        jobs: by step its jobs, the latest first.
    """
    latest = {number: _latest(database, rows) for number, rows in jobs.items()}
    rows = {row for found in latest.values() for row in found}
    rows |= _find_makers(database, rows, [job.row_id for found in jobs.values() for job in found[1:]])
    order = {number: [job for job in reversed(found) if job.row_id in rows] for number, found in jobs.items()}
    settled, idle = _find_settled(database, [found for found in order.values() if len(found) > 1])
    return Counted(
        step_of={job.row_id: number for number, found in order.items() for job in found}, latest=latest,
        jobs={number: [job.row_id for job in found] for number, found in order.items()},
        well=frozenset(job.row_id for found in order.values() for job in found if job.ended_well),
        settled=frozenset(settled), idle=frozenset(idle))


def _latest(database: sqlite3.Connection, jobs: Sequence[StepJob]) -> list[int]:
    good = next((job for job in jobs if job.ended_well), jobs[0])
    found = [jobs[0].row_id, good.row_id]
    if len(jobs) > 1 and not _has_outputs(database, good.row_id):
        found += islice((job.row_id for job in jobs if job.ended_well and _has_outputs(database, job.row_id)), 1)
    return list(dict.fromkeys(found))


def _has_outputs(database: sqlite3.Connection, job_id: int) -> bool:
    return database.execute("SELECT 1 FROM file_use WHERE job_id = ? AND role = 2 LIMIT 1",
                            (job_id,)).fetchone() is not None


def _find_makers(database: sqlite3.Connection, counted: Iterable[int], earlier: Sequence[int]) -> set[int]:
    """Those of the earlier jobs from which one that counts took something, directly or by way of each other."""
    makers: dict[int, list[int]] = {}
    for consumer_id, producer_id in database.execute(
            "SELECT consumer_id, producer_id FROM dependency WHERE producer_id IN (SELECT value FROM json_each(?))",
            (json.dumps(earlier),)) if earlier else ():
        makers.setdefault(consumer_id, []).append(producer_id)
    found: set[int] = set()
    rest = list(counted)
    while rest:
        more = set(makers.get(rest.pop(), ())) - found
        found |= more
        rest += more
    return found


def _find_settled(database: sqlite3.Connection, steps: Sequence[Sequence[StepJob]]
                  ) -> tuple[set[tuple[int, int]], set[int]]:
    """See `Counted`; the jobs are in their order."""
    uses: dict[tuple[int, int], set[int]] = {}
    for job_id, role, path_id in database.execute(
            "SELECT job_id, role, path_id FROM file_use WHERE role <= 2"
            " AND job_id IN (SELECT value FROM json_each(?))",
            (json.dumps([job.row_id for jobs in steps for job in jobs]),)) if steps else ():
        uses.setdefault((job_id, role), set()).add(path_id)
    settled: set[tuple[int, int]] = set()
    idle: set[int] = set()
    for jobs in steps:
        written: set[int] = set()
        read: set[int] = set()
        for job in reversed(jobs):
            own_read, own_written = uses.get((job.row_id, 1), set()), uses.get((job.row_id, 2), set())
            if own_written <= written and (job is not jobs[-1] or not job.ended_well):
                idle.add(job.row_id)
            else:
                settled |= {(job.row_id, path_id) for path_id in own_read if path_id in read or path_id in written}
            written |= own_written
            read |= own_read if job.ended_well else set()
    return settled, idle
