"""Jobs within others, as by `roar run` in a script: which ones are around a job, and what it got from these.

A script may write a file for each of them, or begin a table to which they add. It leaves nothing of that, or something
else, so that it is among its outputs no more.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from roar.record.database import encoded


class Given(NamedTuple):
    """That a job read at a path what one that ran it had put there, and has left something else there, or nothing.

    All are rows.
    """

    outer: int
    reader: int
    path: int


def find_around(database: sqlite3.Connection, inner_id: int) -> set[int]:
    """The jobs that ran a job themselves, as by `roar run` in their script, directly or not."""
    return {row_id for (row_id,) in database.execute(
        "SELECT around.id FROM job JOIN inner_job USING (uid) JOIN job AS around ON around.uid = outer"
        " WHERE job.id = ?", (inner_id,))}


def load_given(database: sqlite3.Connection, readers: Iterable[int]) -> dict[Given, int]:
    """What some jobs were given: it came to lie there while both ran, and no recorded job has made it there.

    Returns:
        The rows of the contents.
    """
    rows = database.execute(_GIVEN, {"readers": json.dumps(list(readers)), "margin": _MARGIN})
    return {Given(*row[:-1]): row[-1] for row in rows}


def load_given_by(database: sqlite3.Connection, outer_id: int) -> dict[Given, int]:
    """What a job gave to those that it ran; see `load_given`."""
    inner = [job_id for (job_id,) in database.execute(
        "SELECT ran.id FROM job JOIN inner_job ON outer = job.uid JOIN job AS ran ON ran.uid = inner_job.uid"
        " WHERE job.id = ?", (outer_id,))]
    return {given: artifact for given, artifact in load_given(database, inner).items() if given.outer == outer_id}


def given_paths(database: sqlite3.Connection, readers: Iterable[int]) -> set[str]:
    """The paths of what some jobs were given."""
    paths = json.dumps([given.path for given in load_given(database, readers)])
    return {path for (path,) in database.execute(
        "SELECT path FROM path WHERE id IN (SELECT value FROM json_each(?))", (paths,))}


_MARGIN = 0.1 / 86400  # days; `unchanged_since` is that much later than the change, or far more (roar.analyze.age)
_GIVEN = """
SELECT around.id, reader.id, path.id, used.artifact_id FROM json_each(:readers) AS one
CROSS JOIN job AS reader ON reader.id = one.value CROSS JOIN inner_job USING (uid)
CROSS JOIN job AS around ON around.uid = outer
    AND EXISTS (SELECT 1 FROM given_file WHERE given_file.job_id = around.id)
CROSS JOIN file_read AS used ON used.job_id = reader.id AND used.artifact_id IS NOT NULL
CROSS JOIN path ON path.id = used.path_id
CROSS JOIN given_file ON given_file.job_id = around.id AND given_file.path = path.path
WHERE julianday(used.unchanged_since) BETWEEN julianday(around.started_at) + :margin
    AND julianday(reader.ended_at) + 2 * :margin
AND NOT EXISTS (SELECT 1 FROM file_written AS made WHERE made.path_id = path.id
    AND made.artifact_id = used.artifact_id AND (made.job_id < reader.id OR made.job_id = around.id))
"""

_IS_BEGUN = """
NOT EXISTS (SELECT 1 FROM file_read AS used WHERE used.job_id = around.id AND used.path_id = path.id AND NOT EXISTS (
    SELECT 1 FROM inner_job JOIN job AS ran USING (uid) JOIN file_written AS made ON made.job_id = ran.id
    WHERE outer = around.uid AND made.path_id = path.id AND made.artifact_id = used.artifact_id))
"""
"""Whether the job `around` has read nothing at `path` but what those had put there that it ran."""


def is_begun_for(database: sqlite3.Connection, reader: int, path: str) -> bool:
    """Whether the job around another one had begun itself what that read at a path, be its content not known."""
    return database.execute(_BEGUN_FOR, (reader, encoded(path))).fetchone() is not None


_BEGUN_FOR = """
SELECT 1 FROM job AS reader CROSS JOIN inner_job USING (uid) CROSS JOIN job AS around ON around.uid = outer
CROSS JOIN given_file ON given_file.job_id = around.id CROSS JOIN path USING (path)
WHERE reader.id = ? AND path.path = CAST(? AS TEXT) AND """ + _IS_BEGUN


def find_begun(database: sqlite3.Connection, job_id: int) -> list[str]:
    """The paths at which jobs edited what the one that ran them had begun, and nobody else has written since."""
    return [path for (path,) in database.execute(_BEGUN, (job_id,))]


_BEGUN = """
SELECT path.path FROM job AS around JOIN given_file ON given_file.job_id = around.id JOIN path USING (path)
WHERE around.id = ? AND """ + _IS_BEGUN + """
AND NOT EXISTS (SELECT 1 FROM file_written WHERE job_id = around.id AND path_id = path.id)
AND (SELECT EXISTS (SELECT 1 FROM inner_job WHERE uid = job.uid AND outer = around.uid)
        AND EXISTS (SELECT 1 FROM file_read WHERE job_id = job.id AND path_id = path.id)
    FROM file_written AS made JOIN job ON job.id = made.job_id WHERE made.path_id = path.id AND role = 2
    ORDER BY job.id DESC LIMIT 1)
"""  # noqa: S608  texts of our own


def find_beginner(database: sqlite3.Connection, session: int, path: str, job_ids: Iterable[int]) -> int | None:
    """The step of the job around these that began what they have edited at a path, if it is the last of its step."""
    row = database.execute(_BEGINNER, {"path": encoded(path), "session": session, "jobs": json.dumps(list(job_ids))}
                           ).fetchone()
    return None if row is None else int(row[0])


_BEGINNER = """
SELECT step.number FROM path JOIN given_file USING (path) JOIN job AS around ON around.id = given_file.job_id
JOIN step ON step.id = around.step_id
WHERE path.path = CAST(:path AS TEXT) AND session_id = :session AND """ + _IS_BEGUN + """
AND around.id = (SELECT max(id) FROM job WHERE step_id = step.id)
AND NOT EXISTS (SELECT 1 FROM json_each(:jobs) AS one JOIN job ON job.id = one.value
    WHERE NOT EXISTS (SELECT 1 FROM inner_job WHERE uid = job.uid AND outer = around.uid)) LIMIT 1
"""  # noqa: S608  texts of our own
