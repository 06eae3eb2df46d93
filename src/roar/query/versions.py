"""What was recorded at a path: an artifact by itself, or a member of a dataset that was recorded at a folder above."""

import os
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from roar.analyze.datasets import ancestors
from roar.model import is_location, members_folder, shards_path
from roar.record.database import encoded
from roar.wire import raw


def find_versions(database: sqlite3.Connection, path: str) -> list[tuple[int, str]]:
    """Row and digest of the artifacts recorded at `path`, the one that was used last first."""
    latest = {artifact_id: job_id for artifact_id, job_id, _ in _used_at(database, path)}
    if not path.endswith("/"):
        for above in paths_above(path):
            name = path[len(members_folder(above)):]
            for dataset_id, job_id, _ in _used_at(database, above):
                artifact_id = _find_member(database, dataset_id, name)
                if artifact_id is not None:
                    latest[artifact_id] = max(job_id, latest.get(artifact_id, 0))
    rows = sorted(latest, key=lambda artifact_id: (latest[artifact_id], artifact_id), reverse=True)
    return [(row_id, database.execute("SELECT digest FROM artifact WHERE id = ?", (row_id,)).fetchone()[0].hex())
            for row_id in rows]


def is_used(database: sqlite3.Connection, path: str) -> bool:
    """Whether a job read or wrote anything at `path`, by itself or in a dataset."""
    return bool(find_versions(database, path)) or database.execute(
        f"SELECT 1 FROM path WHERE path = CAST(? AS TEXT) AND ({_USED})", (encoded(path),)).fetchone() is not None  # noqa: S608  our own text


def iter_places(database: sqlite3.Connection, digest: str) -> Iterator[str]:
    """The paths at which jobs read or wrote this content, by itself or in a dataset, those used last first."""
    rows = database.execute(_PLACES, {"digest": bytes.fromhex(digest)}).fetchall()
    for path, name in rows:
        if not is_location(path):
            yield path if name is None else members_folder(path) + name


_PLACES = """
WITH file AS MATERIALIZED (SELECT id FROM artifact WHERE digest = :digest),
content AS MATERIALIZED (SELECT id, NULL AS name FROM file
    UNION ALL SELECT dataset_id, dataset_member.path FROM file JOIN dataset_member ON artifact_id = file.id),
used AS (SELECT artifact_id, path_id, job_id FROM file_read
    UNION ALL SELECT artifact_id, path_id, job_id FROM file_written)
SELECT path.path, name FROM content JOIN used ON used.artifact_id = content.id JOIN path ON path.id = used.path_id
GROUP BY path.id, name ORDER BY max(job_id) DESC
"""


def places_written(database: sqlite3.Connection, digest: str, but_by: str) -> set[str]:
    """The paths at which jobs other than `but_by`, a uid, wrote this content, by itself or in a dataset."""
    rows = database.execute(_PLACES_WRITTEN, {"digest": bytes.fromhex(digest), "job": but_by})
    return {path if name is None else members_folder(path) + name for path, name in rows}


_PLACES_WRITTEN = """
WITH file AS MATERIALIZED (SELECT id FROM artifact WHERE digest = :digest),
content AS MATERIALIZED (SELECT id, NULL AS name FROM file
    UNION ALL SELECT dataset_id, dataset_member.path FROM file JOIN dataset_member ON artifact_id = file.id)
SELECT path.path, content.name FROM content JOIN file_written AS made ON made.artifact_id = content.id
JOIN job ON job.id = made.job_id JOIN path ON path.id = path_id WHERE job.uid <> :job
"""


def is_written_by_others(database: sqlite3.Connection, path: str, but_by: str) -> bool:
    """Whether a job other than `but_by`, a uid, wrote any content at a path, by itself or in a dataset."""
    for place in (path, *paths_above(path)):
        rows = database.execute(
            "SELECT DISTINCT artifact_id FROM path CROSS JOIN file_written AS made ON made.path_id = path.id"
            " JOIN job ON job.id = made.job_id WHERE path.path = CAST(? AS TEXT) AND job.uid <> ?",
            (encoded(place), but_by)).fetchall()
        if any(place == path or (artifact_id is not None and _find_member(
                database, artifact_id, path[len(members_folder(place)):]) is not None) for (artifact_id,) in rows):
            return True
    return False


class Used(NamedTuple):
    """What was used last at a path, by which job, and whether that job wrote it."""

    path: str
    artifact_id: int
    job_id: int
    is_written: bool


def iter_around(database: sqlite3.Connection, folder: str) -> Iterator[Used]:
    """The datasets that have files of a folder (`a/b/`) in them, the one that was used last first."""
    found = [Used(above, *use) for above in paths_above(folder.rstrip("/")) for use in _used_at(database, above)]
    for used in sorted(found, key=lambda used: used.job_id, reverse=True):
        if database.execute(f"SELECT 1 FROM ({_MEMBERS_BELOW}) LIMIT 1", _below(used, folder)).fetchone():  # noqa: S608  our own text
            yield used


def members_below(database: sqlite3.Connection, used: Used, folder: str) -> set[tuple[str, int]]:
    """The files of a dataset that lie in a folder below it, each as its path there and its artifact."""
    inside = len(folder) - len(members_folder(used.path))
    return {(path[inside:], artifact_id)
            for path, artifact_id in database.execute(_MEMBERS_BELOW, _below(used, folder))}


_MEMBERS_BELOW = """
SELECT path, artifact_id FROM dataset_member WHERE dataset_id = :dataset
AND substr(CAST(path AS BLOB), 1, length(:inside)) = :inside
"""


def _below(used: Used, folder: str) -> dict[str, int | bytes]:
    return {"dataset": used.artifact_id, "inside": raw(folder[len(members_folder(used.path)):])}


def find_below(database: sqlite3.Connection, folder: str, limit: int) -> list[tuple[int, str]]:
    """Row and text of the first paths in a folder (`a/b/`, `./`) at which jobs used anything, in their order."""
    start = raw(folder)
    where = _IN_THE_WORKSPACE if folder == "./" else _IN_A_FOLDER
    return database.execute(
        f"SELECT id, path FROM path WHERE {where} AND ({_USED}) ORDER BY path LIMIT :limit",  # noqa: S608  our own text
        {"start": start, "end": start[:-1] + b"0", "limit": limit}).fetchall()


_USED = ("EXISTS (SELECT 1 FROM file_written WHERE path_id = path.id) OR"
         " EXISTS (SELECT 1 FROM file_read WHERE path_id = path.id)")
_IN_A_FOLDER = "path >= CAST(:start AS TEXT) AND path < CAST(:end AS TEXT)"  # "0" comes right after "/"
_IN_THE_WORKSPACE = "substr(path, 1, 1) <> '/' AND instr(path, '://') = 0"


def paths_above(path: str) -> Iterator[str]:
    """The paths at which a dataset may be recorded that has this file in it."""
    if (shards := shards_path(path)) is not None:
        yield shards
    for folder in ancestors(os.path.dirname(path)):
        if folder not in {"", "/"}:
            yield f"{folder}/"
            yield f"{folder}/*"
    if not path.startswith("/"):
        yield "*"


def _used_at(database: sqlite3.Connection, path: str) -> list[tuple[int, int, bool]]:
    """The artifacts that jobs used at exactly this path, each with the last of these jobs, and whether it wrote it."""
    return database.execute(_USED_AT, {"path": encoded(path)}).fetchall()


# The highest role of a job's uses comes last: what it wrote is what it left there.
_USED_AT = """
WITH here AS MATERIALIZED (SELECT id FROM path WHERE path = CAST(:path AS TEXT))
SELECT artifact_id, job_id, role >= 2 FROM (SELECT artifact_id, job_id, role, max(job_id * 4 + role) FROM (
    SELECT artifact_id, job_id, role FROM here CROSS JOIN file_written ON path_id = id UNION ALL
    SELECT artifact_id, job_id, role FROM here CROSS JOIN file_read ON path_id = id
) WHERE artifact_id IS NOT NULL GROUP BY artifact_id)
"""


def _find_member(database: sqlite3.Connection, dataset_id: int, name: str) -> int | None:
    """The row of a dataset's member. They are stored in the order of their paths: each look halves what is left."""
    first, last = database.execute(_ENDS, {"dataset": dataset_id}).fetchone()
    while first is not None and first <= last:
        middle = (first + last) // 2
        row_id, artifact_id, found, before = database.execute(_FROM, {
            "dataset": dataset_id, "row": middle, "name": encoded(name)}).fetchone()
        if found:
            return int(artifact_id)
        first, last = (row_id + 1, last) if before else (first, middle - 1)
    return None


# Two questions, each of which the index answers with one look: asked as one it reads all rows.
_ENDS = """
SELECT (SELECT min(id) FROM dataset_member WHERE dataset_id = :dataset),
       (SELECT max(id) FROM dataset_member WHERE dataset_id = :dataset)
"""

_FROM = """
SELECT id, artifact_id, path = CAST(:name AS TEXT), path < CAST(:name AS TEXT) FROM dataset_member
WHERE dataset_id = :dataset AND id >= :row ORDER BY id LIMIT 1
"""
