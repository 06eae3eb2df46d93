"""What a path led to by the symlinks that jobs went through, wherever these lead now."""

import json
import os
import sqlite3

from roar.analyze.datasets import ancestors
from roar.model import members_folder
from roar.query.repointed import destination
from roar.query.versions import paths_above
from roar.record.database import encoded
from roar.wire import raw
from roar.workspace import Workspace

_MOST = 1000
"""Of so many symlinks in a folder is asked where they led."""


def find_led_from(database: sqlite3.Connection, workspace: Workspace, folder: str) -> list[str]:
    """What jobs used through symlinks in a folder: the datasets and files that these led to, as they are recorded.

    Args:
        database: the record.
        workspace: whose record it is.
        folder: as it is recorded, with `/` at its end.
    """
    start = raw(folder)
    rows = database.execute(
        "SELECT path.path, target FROM symlink JOIN path ON path.id = path_id"
        " WHERE path >= CAST(? AS TEXT) AND path < CAST(? AS TEXT) ORDER BY path LIMIT ?",
        (start, start[:-1] + b"0", _MOST)).fetchall()
    led = (workspace.relative(os.path.normpath(os.path.join(os.path.dirname(workspace.absolute(path)), text)))
           for path, text in rows)
    return list(dict.fromkeys(used for place in led if (used := _find_used(database, place)) is not None))


def _find_used(database: sqlite3.Connection, place: str) -> str | None:
    """The path itself or as a folder, if jobs used that, else that of a dataset which has it as a file."""
    for path in (place, f"{place}/"):
        if database.execute(_USED_AT, {"path": encoded(path)}).fetchone():
            return path
    return next((path for path in paths_above(place) if database.execute(
        _HELD_AT, {"path": encoded(path), "name": encoded(place[len(members_folder(path)):])}).fetchone()), None)


_USES_AT = """
SELECT artifact_id FROM path CROSS JOIN file_read ON path_id = path.id WHERE path = CAST(:path AS TEXT)
UNION ALL
SELECT artifact_id FROM path CROSS JOIN file_written ON path_id = path.id WHERE path = CAST(:path AS TEXT)
"""
_USED_AT = f"{_USES_AT} LIMIT 1"
_HELD_AT = (f"SELECT 1 FROM dataset_member WHERE dataset_id IN ({_USES_AT}) AND path = CAST(:name AS TEXT)"  # noqa: S608  our own text
            " LIMIT 1")


def find_through_links(database: sqlite3.Connection, workspace: Workspace, ref: str) -> dict[str, set[int]]:
    """The paths that `ref` led to, as they are recorded, each with the rows of the jobs for which it did."""
    place = os.path.abspath(ref)
    above = {workspace.relative(folder) for folder in (place, *ancestors(place))}
    jobs = {job_id for path in above for (job_id,) in database.execute(
        "SELECT job_id FROM symlink JOIN path ON path.id = path_id WHERE path = CAST(? AS TEXT)", (encoded(path),))}
    links: dict[int, dict[str, str]] = {}
    for job_id, path, text in database.execute(
            "SELECT job_id, path.path, target FROM symlink JOIN path ON path.id = path_id"
            " WHERE job_id IN (SELECT value FROM json_each(?))", (json.dumps(sorted(jobs)),)):
        links.setdefault(job_id, {})[workspace.absolute(path)] = text
    found: dict[str, set[int]] = {}
    for job_id, known in links.items():
        led = destination(place, known)
        if led != place:
            found.setdefault(workspace.relative(led), set()).add(job_id)
    return found
