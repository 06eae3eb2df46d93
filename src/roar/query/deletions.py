"""Which job deleted a file, or moved it away."""

import sqlite3
from collections.abc import Collection
from itertools import islice
from typing import NamedTuple

from roar.record.database import encoded

_AT_ONCE = 10_000  # SQLite takes 32,766 values in a statement


class Deletion(NamedTuple):
    """The last job that deleted a file: its row and its name, which is `@N` where it belongs to the session."""

    job_id: int
    job: str


def find_deletions(database: sqlite3.Connection, session: int, paths: Collection[str]) -> dict[str, Deletion]:
    """By path who deleted a file there last; paths at which no job did are left out."""
    found = {}
    rest = iter(paths)
    while batch := list(islice(rest, _AT_ONCE)):
        places = ",".join(["CAST(? AS TEXT)"] * len(batch))
        for path, job_id, uid, number, is_here in database.execute(
                "SELECT path, last, uid, number, session_id = ? FROM ("  # noqa: S608  places are question marks
                f" SELECT path, max(job_id) AS last FROM deleted_file WHERE path IN ({places}) GROUP BY path)"
                " JOIN job ON job.id = last JOIN step ON step.id = step_id", [session, *map(encoded, batch)]):
            found[path] = Deletion(job_id, f"@{number}" if is_here else uid[:8])
    return found
