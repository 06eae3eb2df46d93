"""What a path led to by the symlinks that jobs went through, wherever these lead now."""

import json
import os
import sqlite3

from roar.analyze.datasets import ancestors
from roar.query.repointed import destination
from roar.record.database import encoded
from roar.workspace import Workspace


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
