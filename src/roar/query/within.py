"""Jobs within others, as by `roar run` in a script: which ones are around a job, and what it got from them.

A script may write a file for each of them, or begin a table to which they add. It leaves nothing of that, or something
else, so that it is among its outputs no more. What somebody types in a shell that runs under roar is no script.
"""

import json
import os
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from roar.model import APPENDED, AS_STDOUT_APPENDED
from roar.record.database import encoded
from roar.record.dependencies import LAID, MARGIN


class Given(NamedTuple):
    """That a job read at a path what one that ran it had put there, be it that it has not left that. All are rows."""

    outer: int
    reader: int
    path: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Nesting:
    """Which of some jobs ran which others, and what they gave them.

    Attributes:
        given: what those inside got from those around them.
        anew: by reader and path, of that what the job around had made there without having read anything there, if it
            is the last one of its step: run again, it makes that again. So it does with what another job in it had
            made, and has been replaced since while the one around ran.
        inner: by job those inside it, directly or not.
    """

    given: frozenset[Given]
    anew: frozenset[tuple[int, int]]
    inner: Mapping[int, Collection[int]]


_RAN = "job AS around JOIN inner_job ON outer = around.uid JOIN job AS ran ON ran.uid = inner_job.uid"
"""The pairs of a job and one that it ran, directly or not."""

# The alias `around` is a job, and `path` one of the record.
IS_ANEW = """
NOT EXISTS (SELECT 1 FROM file_read AS used WHERE used.job_id = around.id AND used.path_id = path.id AND NOT EXISTS (
    SELECT 1 FROM inner_job JOIN job AS ran USING (uid) JOIN file_written AS made ON made.job_id = ran.id
    WHERE outer = around.uid AND made.path_id = path.id AND made.artifact_id = used.artifact_id))
"""
"""Whether the job has read nothing there but what those had put there that it ran."""


def has_inner(database: sqlite3.Connection) -> bool:
    """Whether any job is known to have run another one."""
    return database.execute("SELECT 1 FROM inner_job LIMIT 1").fetchone() is not None


def load_nesting(database: sqlite3.Connection, jobs: Iterable[int]) -> Nesting:
    """How some jobs, by their rows, lie in each other."""
    inner: dict[int, dict[int, None]] = {}  # in the order of recording
    for inside, around in load_pairs(database, jobs):
        inner.setdefault(around, {})[inside] = None
    given = [one for one in load_given(database, {job for inside in inner.values() for job in inside})
             if one.outer in inner]
    passing = load_passing(database, {one for inside in inner.values() for one in inside})
    anew = {(one.reader, one.path) for one in (*given, *passing) if one.outer in inner
            and database.execute(_MADE_ANEW, (one.outer, one.path)).fetchone()}
    return Nesting(given=frozenset(given), anew=frozenset(anew), inner=inner)


def load_pairs(database: sqlite3.Connection, jobs: Iterable[int]) -> list[tuple[int, int]]:
    """Each of some jobs with each script among them that ran it: in the order of recording, the outermost first."""
    rows = json.dumps(sorted(jobs) if has_inner(database) else [])
    return [(inside, around) for inside, around, command in database.execute(_PAIRS, (rows, rows))
            if not is_typed(command)]


_PAIRS = """
SELECT ran.id, around.id, command FROM json_each(?) AS one JOIN job AS ran ON ran.id = one.value
JOIN inner_job USING (uid) JOIN job AS around ON around.uid = outer JOIN step ON step.id = around.step_id
WHERE around.id IN (SELECT value FROM json_each(?)) ORDER BY ran.id, around.started_at
"""
_MADE_ANEW = """
SELECT 1 FROM job AS around, path WHERE around.id = ? AND path.id = ?
AND around.id = (SELECT max(id) FROM job WHERE step_id = around.step_id) AND """ + IS_ANEW  # noqa: S608


@cache
def is_typed(command: str) -> bool:
    """Whether a command, as a JSON array, is one in which somebody types: a shell without a script, a notebook."""
    program, *words = json.loads(command)
    name = os.path.basename(program)
    if name in _NOTEBOOKS:
        return True
    return _TYPED.fullmatch(name) is not None and all(word[:1] == "-" and word != "-c" for word in words)


_TYPED = re.compile(r"(ba|z|da|k|tc|c|fi)?sh|i?python[\d.]*|R|julia|xonsh|nu")
_NOTEBOOKS = {"jupyter", "jupyter-lab", "jupyter-notebook", "jupyter-console", "tmux", "screen", "script"}


def load_printed(database: sqlite3.Connection, jobs: Iterable[int]) -> list[tuple[int, int]]:
    """Each of some jobs that took by a pipe what others printed that it ran, with each of these."""
    rows = json.dumps(list(jobs) if has_inner(database) else [])
    return [(taker, printer) for taker, printer, command in database.execute(_PRINTED, (rows,))
            if not is_typed(command)]


def load_takers(database: sqlite3.Connection, printer: int) -> list[int]:
    """The jobs that took what one printed, as in `load_printed`."""
    return [taker for taker, command in database.execute(_TAKERS, (printer,)) if not is_typed(command)]


_PRINTED = """
SELECT around.id, ran.id, command FROM json_each(?) AS one CROSS JOIN job AS around ON around.id = one.value
CROSS JOIN inner_job ON outer = around.uid AND piped CROSS JOIN job AS ran ON ran.uid = inner_job.uid
JOIN step ON step.id = around.step_id
"""
_TAKERS = """
SELECT around.id, command FROM job AS ran JOIN inner_job USING (uid) JOIN job AS around ON around.uid = outer
JOIN step ON step.id = around.step_id WHERE ran.id = ? AND piped
"""


def find_around(database: sqlite3.Connection, inner_id: int) -> set[int]:
    """The jobs that ran a job themselves, as by `roar run` in their script, directly or not."""
    return {row_id for (row_id,) in database.execute(
        "SELECT around.id FROM job JOIN inner_job USING (uid) JOIN job AS around ON around.uid = outer"
        " WHERE job.id = ?", (inner_id,))}


def is_removed_within(database: sqlite3.Connection, job_id: int, path: str) -> bool:
    """Whether a script that ran a job has removed a file that lay at a path."""
    return any(not is_typed(command) for *_, command in database.execute(
        f"{_REMOVED} AND deleted_file.path = CAST(? AS TEXT)", (job_id, encoded(path))))


def find_removals(database: sqlite3.Connection, job_id: int) -> list[tuple[int, str]]:
    """What the scripts that ran a job have removed of any job's, each with its row, the innermost first."""
    return [(around, path) for around, path, command in database.execute(
        f"{_REMOVED} ORDER BY around.started_at DESC", (job_id,)) if not is_typed(command)]


def find_removed(database: sqlite3.Connection, jobs: Iterable[int]) -> set[str]:
    """The paths of the files that some jobs have removed."""
    return {path for (path,) in database.execute(
        "SELECT path FROM deleted_file WHERE job_id IN (SELECT value FROM json_each(?))", (json.dumps(list(jobs)),))}


_REMOVED = f"""
SELECT around.id, deleted_file.path, command FROM {_RAN} JOIN step ON step.id = around.step_id
JOIN deleted_file ON job_id = around.id WHERE ran.id = ?
"""  # noqa: S608  a text of our own


def find_environments(database: sqlite3.Connection, job_id: int) -> list[tuple[int, list[str]]]:
    """The scripts that ran a job with other variables in the environment, the innermost first, with their names."""
    return [(around, json.loads(names)) for around, names, command in database.execute(_ENVIRONMENTS, (job_id,))
            if not is_typed(command)]


_ENVIRONMENTS = f"""
SELECT around.id, environment, command FROM {_RAN} JOIN step ON step.id = around.step_id
WHERE ran.id = ? AND environment IS NOT NULL ORDER BY around.started_at DESC
"""  # noqa: S608  likewise


def find_script(database: sqlite3.Connection, inner_id: int) -> int | None:
    """The outermost script of its session that ran a job itself, directly or not."""
    return next((around for around, command in database.execute(_SCRIPTS, (inner_id,)) if not is_typed(command)), None)


_SCRIPTS = """
SELECT around.id, step.command FROM job JOIN inner_job USING (uid) JOIN job AS around ON around.uid = outer
JOIN step ON step.id = around.step_id JOIN step AS own ON own.id = job.step_id AND own.session_id = step.session_id
WHERE job.id = ? ORDER BY around.started_at
"""


def find_inner(database: sqlite3.Connection, jobs: Iterable[int]) -> set[int]:
    """The jobs that the scripts among some jobs ran."""
    rows = database.execute(f"SELECT ran.id, command FROM {_RAN} JOIN step ON step.id = around.step_id"  # noqa: S608
                            " WHERE around.id IN (SELECT value FROM json_each(?))", (json.dumps(list(jobs)),))
    return {inside for inside, command in rows if not is_typed(command)}


def find_runners(database: sqlite3.Connection, session: int, job_ids: Collection[int]) -> list[int]:
    """The steps of a session whose last jobs ran all of these, the outermost first, as scripts do."""
    jobs = list(job_ids)
    rows = database.execute(_RUNNERS, {"session": session, "jobs": json.dumps(jobs), "count": len(jobs),
                                       "first": jobs[0]})
    return [number for number, command in rows if not is_typed(command)]


_RUNNERS = """
SELECT step.number, command FROM job AS first JOIN inner_job USING (uid) JOIN job AS around ON around.uid = outer
JOIN step ON step.id = around.step_id
WHERE first.id = :first AND session_id = :session AND around.id = (SELECT max(id) FROM job WHERE step_id = step.id)
AND :count = (SELECT count(*) FROM json_each(:jobs) AS one JOIN job AS ran ON ran.id = one.value
    JOIN inner_job AS pair ON pair.uid = ran.uid AND pair.outer = around.uid) ORDER BY around.id DESC
"""


def find_run(database: sqlite3.Connection, job_id: int) -> set[int]:
    """The numbers of the steps that a job ran itself."""
    return {number for (number,) in database.execute(
        f"SELECT number FROM {_RAN} JOIN step ON step.id = ran.step_id WHERE around.id = ?",  # noqa: S608
        (job_id,))}


def find_printing(database: sqlite3.Connection, taker: int) -> set[int]:
    """The numbers of the steps of whose jobs one took what these printed, as in `load_printed`."""
    printers = json.dumps([printer for _, printer in load_printed(database, [taker])])
    return {number for (number,) in database.execute(
        "SELECT number FROM job JOIN step ON step.id = step_id WHERE job.id IN (SELECT value FROM json_each(?))",
        (printers,))}


def paths_made_within(database: sqlite3.Connection, job_id: int) -> set[str]:
    """The paths of what those wrote that a job ran."""
    return {path for (path,) in database.execute(
        f"SELECT path.path FROM {_RAN} JOIN file_written AS made ON made.job_id = ran.id"  # noqa: S608
        " JOIN path ON path.id = made.path_id WHERE around.id = ?", (job_id,))}


def folders_made(database: sqlite3.Connection, job_id: int) -> set[str]:
    """The folders that a job made, or those that it ran, and left outputs in."""
    return {path for (path,) in database.execute(
        "SELECT path FROM made_folder WHERE job_id = :job OR job_id IN ("  # noqa: S608  a text of our own
        f" SELECT ran.id FROM {_RAN} WHERE around.id = :job)", {"job": job_id})}


def load_given(database: sqlite3.Connection, readers: Iterable[int]) -> dict[Given, int]:
    """What some jobs were given: it came to lie there while both ran, and no other job had made it there meanwhile.

    Returns:
        The rows of the contents.
    """
    rows = database.execute(_GIVEN, {"readers": json.dumps(list(readers)), "margin": MARGIN})
    return {Given(*row[:-1]): row[-1] for row in rows}


# What the job around it has made, or one in it, and no earlier one.
_GIVEN = f"""
SELECT outer, reader, path, artifact FROM ({LAID}) AS laid
WHERE NOT EXISTS (SELECT 1 FROM file_written AS made JOIN job ON job.id = made.job_id WHERE made.path_id = laid.path
    AND made.artifact_id = laid.artifact AND made.job_id < laid.reader AND job.ended_at >= laid.started_at)
"""  # noqa: S608  texts of our own


def load_passing(database: sqlite3.Connection, readers: Iterable[int]) -> dict[Given, int]:
    """What some jobs read that another one in the job around them had made anew, and that was replaced in there.

    Returns:
        The rows of the contents.
    """
    rows = database.execute(_PASSING, {"readers": json.dumps(list(readers)), "first": APPENDED,
                                       "second": AS_STDOUT_APPENDED})
    return {Given(*row[:-1]): row[-1] for row in rows}


_PASSING = """
SELECT DISTINCT around.id, reader.id, used.path_id, used.artifact_id FROM json_each(:readers) AS one
CROSS JOIN job AS reader ON reader.id = one.value CROSS JOIN inner_job AS its ON its.uid = reader.uid
CROSS JOIN job AS around ON around.uid = its.outer
CROSS JOIN file_read AS used ON used.job_id = reader.id AND used.artifact_id IS NOT NULL
CROSS JOIN file_written AS made ON made.path_id = used.path_id AND made.artifact_id = used.artifact_id
    AND made.job_id < reader.id AND coalesce(made.note, '') NOT IN (:first, :second)
CROSS JOIN job AS maker ON maker.id = made.job_id
WHERE EXISTS (SELECT 1 FROM inner_job WHERE uid = maker.uid AND outer = around.uid)
AND NOT EXISTS (SELECT 1 FROM file_read WHERE job_id = made.job_id AND path_id = made.path_id)
AND EXISTS (SELECT 1 FROM file_written AS since JOIN job AS later ON later.id = since.job_id
    WHERE since.path_id = used.path_id AND since.artifact_id IS NOT used.artifact_id AND since.job_id > reader.id
    AND (later.id = around.id OR EXISTS (SELECT 1 FROM inner_job WHERE uid = later.uid AND outer = around.uid)))
"""


def load_given_by(database: sqlite3.Connection, outer_id: int) -> dict[Given, int]:
    """What a job gave to those that it ran; see `load_given`."""
    inner = [job_id for (job_id,) in database.execute(
        f"SELECT ran.id FROM {_RAN} WHERE around.id = ?", (outer_id,))]  # noqa: S608
    return {given: artifact for given, artifact in load_given(database, inner).items() if given.outer == outer_id}


def given_paths(database: sqlite3.Connection, readers: Iterable[int]) -> set[str]:
    """The paths of what some jobs were given."""
    paths = json.dumps([given.path for given in load_given(database, readers)])
    return {path for (path,) in database.execute(
        "SELECT path FROM path WHERE id IN (SELECT value FROM json_each(?))", (paths,))}


def find_beginners(database: sqlite3.Connection, reader: int) -> dict[str, int]:
    """By path of what a job read there, whose content is not known, the job around it that had begun that itself."""
    return dict(database.execute(_BEGINNERS, (reader,)).fetchall())


_BEGINNERS = """
SELECT path.path, around.id FROM job AS reader CROSS JOIN inner_job USING (uid)
CROSS JOIN job AS around ON around.uid = outer
CROSS JOIN file_read AS found ON found.job_id = reader.id AND found.artifact_id IS NULL
CROSS JOIN path ON path.id = found.path_id
CROSS JOIN given_file ON given_file.job_id = around.id AND given_file.path = path.path
WHERE reader.id = ? AND """ + IS_ANEW


def find_begun(database: sqlite3.Connection, job_id: int) -> dict[str, int]:
    """The paths at which jobs edited what the one around them had begun, with the last, if nobody else wrote since."""
    rows = database.execute(_BEGUN, (job_id,)).fetchall()
    return {path: writer for path, writer, is_inner in rows if is_inner}


_BEGUN = """
SELECT path.path, made.job_id, EXISTS (SELECT 1 FROM inner_job WHERE uid = job.uid AND outer = around.uid)
    AND EXISTS (SELECT 1 FROM file_read WHERE job_id = job.id AND path_id = path.id)
FROM job AS around JOIN given_file ON given_file.job_id = around.id JOIN path USING (path)
JOIN file_written AS made ON made.path_id = path.id AND made.role = 2 AND made.job_id = (
    SELECT max(job_id) FROM file_written WHERE path_id = path.id AND role = 2)
JOIN job ON job.id = made.job_id
WHERE around.id = ? AND """ + IS_ANEW + """
AND NOT EXISTS (SELECT 1 FROM file_written WHERE job_id = around.id AND path_id = path.id)
"""  # noqa: S608  texts of our own


def find_beginner(database: sqlite3.Connection, session: int, path: str, job_ids: Iterable[int]) -> int | None:
    """The step of the job around these that began what they have edited at a path, if it is the last of its step."""
    row = database.execute(_BEGINNER, {"path": encoded(path), "session": session, "jobs": json.dumps(list(job_ids))}
                           ).fetchone()
    return None if row is None or is_typed(row[1]) else int(row[0])


_BEGINNER = """
SELECT step.number, command FROM path JOIN given_file USING (path) JOIN job AS around ON around.id = given_file.job_id
JOIN step ON step.id = around.step_id
WHERE path.path = CAST(:path AS TEXT) AND session_id = :session AND """ + IS_ANEW + """
AND around.id = (SELECT max(id) FROM job WHERE step_id = step.id)
AND NOT EXISTS (SELECT 1 FROM json_each(:jobs) AS one JOIN job ON job.id = one.value
    WHERE NOT EXISTS (SELECT 1 FROM inner_job WHERE uid = job.uid AND outer = around.uid)) LIMIT 1
"""  # noqa: S608  texts of our own


def find_edited(database: sqlite3.Connection, job_id: int) -> list[tuple[int, str]]:
    """The paths, with their rows, of what those edited in place that a job ran."""
    return database.execute(_EDITED, (job_id,)).fetchall()


_EDITED = f"""
SELECT DISTINCT path.id, path.path FROM {_RAN} JOIN file_written AS made ON made.job_id = ran.id AND made.role = 2
JOIN file_read AS used ON used.job_id = ran.id AND used.path_id = made.path_id JOIN path ON path.id = made.path_id
WHERE around.id = ? AND instr(path.path, '://') = 0
"""  # noqa: S608  texts of our own
