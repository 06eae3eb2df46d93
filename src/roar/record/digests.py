"""The digest cache: a file that stat(2) describes as before is not read again."""

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from roar.record.database import transaction

CLOCK_GRANULARITY_NS = 20_000_000
"""A change may leave mtime and ctime as they were for this long: the kernel stamps files at its own tick (≤ 10 ms)."""

_LOOKUP_BATCH = 30_000  # parameters, below SQLite's 32,766

Key = tuple[int, int, int, int, int]
"""Device, inode, size, mtime_ns, ctime_ns: the first five fields of `roar.observe.trace.Signature`."""


class Digested(NamedTuple):
    """A file's digest and the moment from which its content was read.

    Attributes:
        digest: 64 hex.
        read_at_ns: wall clock just before the first byte was read, nanoseconds since the epoch.
    """

    key: Key
    digest: str
    read_at_ns: int


def find(database: sqlite3.Connection, keys: Iterable[Key]) -> dict[Key, str]:
    """The known digests of `keys`, 64 hex each; keys that are not known are absent."""
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


def remember(database: sqlite3.Connection, rows: Iterable[Digested]) -> int:
    """Keep digests, and return how many were kept, in one transaction of its own unless one is open.

    A file that changed less than CLOCK_GRANULARITY_NS before it was read is not kept: it could change once more
    without its times showing it.
    """
    safe = [row for row in rows
            if max(row.key[3], row.key[4]) + CLOCK_GRANULARITY_NS <= row.read_at_ns]
    if not safe:
        return 0
    if database.in_transaction:
        _insert(database, safe)
    else:
        with transaction(database):
            _insert(database, safe)
    return len(safe)


def _insert(database: sqlite3.Connection, rows: list[Digested]) -> None:
    database.executemany(
        "INSERT OR REPLACE INTO digest_cache (device, inode, size, mtime_ns, ctime_ns, digest) VALUES (?,?,?,?,?,?)",
        sorted((*map(_signed, row.key[:5]), bytes.fromhex(row.digest)) for row in rows))


def _signed(number: int) -> int:
    """Inode and device numbers are unsigned 64 bit; SQLite's integers are signed."""
    return number if number < 1 << 63 else number - (1 << 64)


def _unsigned(number: int) -> int:
    return number if number >= 0 else number + (1 << 64)
