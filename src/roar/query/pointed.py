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


def load_last_pointers(database: sqlite3.Connection, readers: Iterable[int]) -> list[tuple[int, int]]:
    """Each of some jobs that found files so, with the last job of the maker's step that made the same symlink."""
    known: dict[str, dict[tuple[int, str], int]] = {}
    last = []
    for pointed in load_pointed(database, readers):
        if pointed.path not in known:
            known[pointed.path] = {(step, text): job_id for step, text, job_id in database.execute(
                _LAST_OF_STEPS, (encoded(pointed.path),))}
        step, = database.execute("SELECT step_id FROM job WHERE id = ?", (pointed.maker,)).fetchone()
        last.append((pointed.reader, known[pointed.path][step, pointed.text]))
    return last


def _joined(database: sqlite3.Connection, select: str, values: dict[str, object]) -> list[Pointed]:
    found: dict[tuple[int, int], Pointed] = {}
    for reader, maker, path, text in database.execute(select, values):
        known = found.get((reader, maker))
        found[reader, maker] = Pointed(reader, maker, path, text, 1) if known is None else known._replace(
            links=known.links + 1)
    return list(found.values())


# The last that had touched the symlink when the reader ended.
_LAST = """
SELECT last.job_id FROM symlink AS last CROSS JOIN job ON job.id = last.job_id
WHERE last.path_id = used.path_id AND last.job_id < reader.id AND last.made > 0 AND job.ended_at <= reader.ended_at
ORDER BY last.job_id DESC LIMIT 1
"""
_ROWS = """
SELECT reader_id, maker_id, path.path, used.target FROM used
JOIN symlink AS made ON made.job_id = maker_id AND made.path_id = used.path_id AND made.made = 1
    AND made.target = used.target
JOIN path ON path.id = used.path_id
WHERE NOT EXISTS (SELECT 1 FROM dependency WHERE consumer_id = reader_id AND producer_id = maker_id)
ORDER BY reader_id, path.path
"""
_FOUND = f"""
WITH used AS MATERIALIZED (SELECT reader.id AS reader_id, ({_LAST}) AS maker_id, used.path_id, used.target
    FROM json_each(:jobs) AS one CROSS JOIN job AS reader ON reader.id = one.value
    CROSS JOIN symlink AS used ON used.job_id = reader.id AND used.made <> 1)
{_ROWS}"""  # noqa: S608  texts of our own
_MADE = f"""
WITH used AS MATERIALIZED (SELECT reader.id AS reader_id, ({_LAST}) AS maker_id, used.path_id, used.target
    FROM symlink AS its CROSS JOIN symlink AS used ON used.path_id = its.path_id AND used.job_id > its.job_id
        AND used.made <> 1 AND used.target = its.target
    CROSS JOIN job AS reader ON reader.id = used.job_id WHERE its.job_id = :job AND its.made = 1)
{_ROWS.replace("WHERE", "WHERE maker_id = :job AND")}"""  # noqa: S608  likewise
_LAST_OF_STEPS = """
SELECT step_id, target, max(job.id) FROM path CROSS JOIN symlink AS made ON made.path_id = path.id AND made.made = 1
JOIN job ON job.id = made.job_id WHERE path.path = CAST(? AS TEXT) GROUP BY step_id, target
"""
