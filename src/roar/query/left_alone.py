"""Outputs that a later run of their step left as they were, though it read other data than the run that made them.

A training that goes on from its checkpoints does so where it finds all epochs done. So may a program that has seen
that its outputs need not be made again, and one that uses them in this run and makes them in another, as a setting
says: nobody can tell them apart.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from roar.model import LOGGED
from roar.record.database import encoded


class LeftAlone(NamedTuple):
    """An output, its step with the job that made it, and the input that a later one read anew, by their paths.

    `is_used` where that later one read the output itself, or a file of it: without it that run may do something else.
    """

    output: str
    step: int
    job: int
    changed: str
    is_used: bool


def find_left_alone(database: sqlite3.Connection, session: int, outputs: Iterable[tuple[str, int]]
                    ) -> Iterator[LeftAlone]:
    """Those of outputs, each a path and the number of its step.

    Not where the run that wrote it last is the last of its step that ended well, nor where that wrote something else
    than a log: that is what it may have made of the other data, as one with a cache does. What an earlier run of the
    step had left at that path with the same content it has not made of other data.
    """
    wanted: dict[int, list[str]] = {}
    for path, step in outputs:
        wanted.setdefault(step, []).append(path)
    again = database.execute("SELECT number FROM step JOIN job ON job.step_id = step.id WHERE session_id = ?"
                             " AND number IN (SELECT value FROM json_each(?)) GROUP BY step.id HAVING count(*) > 1",
                             (session, json.dumps([*wanted]))).fetchall()
    for (step,) in again:
        for path in wanted[step]:
            before, star, _ = path.partition("*")
            start = os.fsencode(before if star else f"{path.rstrip('/')}/")
            found = database.execute(_LEFT_ALONE, {
                "session": session, "step": step, "path": encoded(path), "logs": json.dumps(LOGGED), "start": start,
                "end": start + b"\xff"}).fetchone()
            if found is not None:
                job, changed, is_used = found
                yield LeftAlone(path, step, job, changed, bool(is_used))


# The job of a step that wrote a path last, a path at which the last that ended well read something else, none of the
# step's outputs, and whether that last one read the first path or one of its files.
_LEFT_ALONE = """
WITH own AS (SELECT job.id, exit_code FROM step JOIN job ON job.step_id = step.id
             WHERE session_id = :session AND number = :step),
last AS (SELECT max(id) AS id FROM own WHERE exit_code = 0),
maker AS (SELECT max(job_id) AS id FROM path JOIN file_written ON path_id = path.id AND role = 2
          WHERE path.path = CAST(:path AS TEXT) AND job_id IN (SELECT id FROM own))
SELECT maker.id, path.path, EXISTS (
    SELECT 1 FROM file_read JOIN path AS own ON own.id = path_id WHERE job_id = last.id AND (
        own.path = CAST(:path AS TEXT) OR own.path >= CAST(:start AS TEXT) AND own.path < CAST(:end AS TEXT)))
FROM last, maker
JOIN file_read AS now ON now.job_id = last.id JOIN file_read AS before ON before.job_id = maker.id
    AND before.path_id = now.path_id AND before.artifact_id <> now.artifact_id
JOIN path ON path.id = now.path_id
WHERE last.id > maker.id AND NOT EXISTS (
    SELECT 1 FROM file_written AS anew WHERE job_id = last.id
    AND ifnull(note, '') NOT IN (SELECT value FROM json_each(:logs))
    AND NOT EXISTS (SELECT 1 FROM file_written AS old WHERE old.path_id = anew.path_id AND old.job_id < last.id
                    AND old.job_id IN (SELECT id FROM own) AND old.artifact_id = anew.artifact_id))
AND NOT EXISTS (SELECT 1 FROM file_written WHERE path_id = now.path_id AND role = 2
                                         AND job_id IN (SELECT id FROM own))
LIMIT 1
"""
