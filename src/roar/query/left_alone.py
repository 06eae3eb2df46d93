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
    `taker` is the step that took the output beside what that later one made, if that made something.
    """

    output: str
    step: int
    job: int
    changed: str
    is_used: bool
    taker: int | None


def find_left_alone(database: sqlite3.Connection, session: int, outputs: Iterable[tuple[str, int]]
                    ) -> Iterator[LeftAlone]:
    """Those of outputs, each a path and the number of its step.

    Not where the run that wrote it last is the last of its step that ended well, nor where that wrote something else
    than a log: that is what it may have made of the other data, as one with a cache does. What an earlier run of the
    step had left at that path with the same content it has not made of other data.

    Where it wrote something else, too, and another step took both, the output is told of if that run had read again
    all that the earlier one had, and took nothing from it: it may have been left over, as the checkpoints of epochs
    that there are no more.
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
                "end": start + b"\xff"}).fetchone() or database.execute(_LEFT_OVER, {
                    "session": session, "step": step, "path": encoded(path)}).fetchone()
            if found is not None:
                job, changed, is_used, taker = found
                yield LeftAlone(path, step, job, changed, bool(is_used), taker)


# A job of a step whose output at a path another step has taken beside one of the last that ended well, a path at which
# that one read something else, and that other step.
_LEFT_OVER = """
WITH own AS (SELECT job.id, exit_code, step_id FROM step JOIN job ON job.step_id = step.id
             WHERE session_id = :session AND number = :step),
last AS (SELECT max(id) AS id FROM own WHERE exit_code = 0)
SELECT own.id, path.path, 0, taker.number FROM path AS place
JOIN file_written AS its ON its.path_id = place.id AND its.role = 2 JOIN own ON own.id = its.job_id
JOIN last ON last.id > own.id
JOIN dependency AS taken ON taken.producer_id = own.id AND taken.produced_id = its.artifact_id
    AND taken.consumer_id > last.id
JOIN dependency AS beside ON beside.consumer_id = taken.consumer_id AND beside.producer_id = last.id
JOIN job AS reader ON reader.id = taken.consumer_id AND reader.step_id <> own.step_id
JOIN step AS taker ON taker.id = reader.step_id
JOIN file_read AS now ON now.job_id = last.id
JOIN file_read AS before ON before.job_id = own.id AND before.path_id = now.path_id
    AND before.artifact_id <> now.artifact_id
JOIN path ON path.id = now.path_id
WHERE place.path = CAST(:path AS TEXT)
AND NOT EXISTS (SELECT 1 FROM job AS later WHERE later.step_id = reader.step_id AND later.id > reader.id)
AND NOT EXISTS (SELECT 1 FROM dependency WHERE consumer_id = last.id AND producer_id = own.id)
AND NOT EXISTS (SELECT 1 FROM file_read AS all_read WHERE all_read.job_id = own.id AND NOT EXISTS (
    SELECT 1 FROM file_read AS again WHERE again.job_id = last.id AND again.path_id = all_read.path_id))
LIMIT 1
"""

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
        own.path = CAST(:path AS TEXT) OR own.path >= CAST(:start AS TEXT) AND own.path < CAST(:end AS TEXT))), NULL
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
