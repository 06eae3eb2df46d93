"""Jobs that made the symlinks through which others found what they read: `latest`, `best`, a folder of chosen files.

What was read is the file that a symlink led to, and came from who wrote that. Who made the symlink chose it.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from roar.record.database import encoded


class Pointed(NamedTuple):
    """That a job found files through symlinks that another one had made, and took no file from that one.

    Attributes:
        reader, maker: their rows.
        path: of the first of these symlinks.
        text: where it leads, as it stands in the symlink.
        links: how many they are.
    """

    reader: int
    maker: int
    path: str
    text: str
    links: int


def load_pointed(database: sqlite3.Connection, readers: Iterable[int]) -> list[Pointed]:
    """What some jobs found through symlinks of others: of these the last that had touched the symlink by then."""
    return _joined(database, _FOUND, {"jobs": json.dumps(list(readers))})


def load_pointed_by(database: sqlite3.Connection, maker: int) -> list[Pointed]:
    """What others found through the symlinks that one job made."""
    return _joined(database, _MADE, {"job": maker})


def find_last_pointer(database: sqlite3.Connection, pointed: Pointed) -> int:
    """The last job of the maker's step that made the same symlink."""
    found: int | None = database.execute(_LAST_OF_STEP, {
        "maker": pointed.maker, "path": encoded(pointed.path), "text": encoded(pointed.text)}).fetchone()[0]
    return pointed.maker if found is None else found


def _joined(database: sqlite3.Connection, select: str, values: dict[str, object]) -> list[Pointed]:
    found: dict[tuple[int, int], Pointed] = {}
    for reader, maker, path, text in database.execute(select, values):
        known = found.get((reader, maker))
        found[reader, maker] = Pointed(reader, maker, path, text, 1) if known is None else known._replace(
            links=known.links + 1)
    return list(found.values())


_OWN = """
AND made.target = used.target AND made.job_id = (
    SELECT last.job_id FROM symlink AS last JOIN job ON job.id = last.job_id
    WHERE last.path_id = used.path_id AND last.made > 0 AND job.id <> reader.id AND job.ended_at <= reader.ended_at
    ORDER BY job.ended_at DESC, job.id DESC LIMIT 1)
AND NOT EXISTS (SELECT 1 FROM dependency WHERE consumer_id = reader.id AND producer_id = made.job_id)
ORDER BY reader.id, path.path
"""
_FOUND = f"""
SELECT reader.id, made.job_id, path.path, used.target FROM json_each(:jobs) AS one
CROSS JOIN job AS reader ON reader.id = one.value
CROSS JOIN symlink AS used ON used.job_id = reader.id AND used.made <> 1
CROSS JOIN symlink AS made ON made.path_id = used.path_id AND made.made = 1
JOIN path ON path.id = used.path_id {_OWN}
"""  # noqa: S608  a text of our own
_MADE = f"""
SELECT reader.id, made.job_id, path.path, used.target FROM symlink AS made
CROSS JOIN symlink AS used ON used.path_id = made.path_id AND used.made <> 1
CROSS JOIN job AS reader ON reader.id = used.job_id
JOIN path ON path.id = used.path_id WHERE made.job_id = :job AND made.made = 1 {_OWN}
"""  # noqa: S608  likewise
_LAST_OF_STEP = """
SELECT max(job.id) FROM job AS maker CROSS JOIN path ON path.path = CAST(:path AS TEXT)
CROSS JOIN symlink AS made ON made.path_id = path.id AND made.made = 1 AND made.target = CAST(:text AS TEXT)
JOIN job ON job.id = made.job_id AND job.step_id = maker.step_id WHERE maker.id = :maker
"""
