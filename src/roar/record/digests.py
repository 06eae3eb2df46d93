"""The digest cache: a file that stat(2) describes as before is not read again, nor is a folder of such files."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from roar.model import FileUse, Kind
from roar.record.database import transaction

Key = tuple[int, int, int, int, int]
"""Device, inode, size, mtime_ns, ctime_ns: the first five fields of `roar.observe.trace.Signature`."""


def find(database: sqlite3.Connection, keys: Iterable[Key]) -> dict[Key, str]:
    """The known digests of `keys`, 64 hex each; keys that are not known are absent."""
    if database.execute("SELECT 1 FROM digest_cache LIMIT 1").fetchone() is None:
        return {}
    wanted = {tuple(key[:5]) for key in keys}
    inodes = json.dumps(sorted({_signed(key[1]) for key in wanted}))
    rows = database.execute(
        "SELECT device, inode, size, mtime_ns, ctime_ns, digest FROM json_each(?) AS inodes"
        " CROSS JOIN digest_cache ON inode = inodes.value", (inodes,))
    found: dict[Key, str] = {}
    for row in rows:
        key = row[:5]
        if key[0] < 0 or key[1] < 0:
            key = (_unsigned(key[0]), _unsigned(key[1]), *key[2:])
        if key in wanted:
            found[key] = row[5].hex()
    return found


def remember(database: sqlite3.Connection, found: Iterable[tuple[Key, str]]) -> None:
    """Keep digests (64 hex) by their files' signatures, in one transaction of its own unless one is open.

    Only for digests that are settled (roar.analyze.digest): any later change of the file must show in its signature.
    """
    rows = sorted((_signed(inode), _signed(device), size, mtime_ns, ctime_ns, bytes.fromhex(digest))
                  for (device, inode, size, mtime_ns, ctime_ns), digest in found)
    _insert(database, "INSERT OR REPLACE INTO digest_cache (inode, device, size, mtime_ns, ctime_ns, digest)"
                      " VALUES (?,?,?,?,?,?)", rows)


def find_datasets(database: sqlite3.Connection, stamps: Iterable[bytes]) -> Mapping[bytes, FileUse]:
    """The datasets of the record that are known by these stamps (roar.observe.folders); their paths are empty."""
    found: dict[bytes, FileUse] = {}
    for stamp in stamps:
        row = database.execute(
            "SELECT digest, size, files FROM dataset_cache JOIN artifact USING (digest)"
            " WHERE stamp = ? AND EXISTS (SELECT 1 FROM dataset_member WHERE dataset_id = artifact.id)",
            (stamp,)).fetchone()
        if row is not None:
            found[stamp] = FileUse(path="", digest=row[0].hex(), size=row[1], kind=Kind.DATASET, files=row[2])
    return found


def remember_datasets(database: sqlite3.Connection, found: Iterable[tuple[bytes, str]]) -> None:
    """Keep the digests (64 hex) of datasets by the stamp of their files, each of which must be settled."""
    _insert(database, "INSERT OR REPLACE INTO dataset_cache (stamp, digest) VALUES (?,?)",
            [(stamp, bytes.fromhex(digest)) for stamp, digest in found])


def forget_datasets(database: sqlite3.Connection) -> None:
    """Know no dataset by its stamp any more: one may hold a file that is another than its signature stood for."""
    with transaction(database):
        database.execute("DELETE FROM dataset_cache")


def _insert(database: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if not rows:
        return
    if database.in_transaction:
        database.executemany(statement, rows)
        return
    with transaction(database):
        database.executemany(statement, rows)


def _signed(number: int) -> int:
    """Inode and device numbers are unsigned 64 bit; SQLite's integers are signed."""
    return number if number < 1 << 63 else number - (1 << 64)


def _unsigned(number: int) -> int:
    return number if number >= 0 else number + (1 << 64)
