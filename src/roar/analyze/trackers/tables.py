"""Rows out of a tracker's SQLite file, without leaving a trace in its folder.

A plain read-only connection would create `-shm` and `-wal` files beside a database in WAL mode, and cannot read one
with a hot journal. So: a database at rest is opened as it is; one with unfinished side files is copied to a private
folder first. An authorizer refuses every table and column that the tracker did not declare.
"""

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import quote

MAX_COPIED = 256 * 1024 * 1024
_MAGIC = b"SQLite format 3\0"
_WAL = 2
_HEADER = 20
_LIMIT = 10_000

Columns = Mapping[str, tuple[str, ...]]


class TableError(Exception):
    """The file is no database, or not in a state in which it can be read."""


def is_regular(path: str) -> bool:
    """Whether a plain file is there; a symlink is not."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size if is_regular(path) else 0
    except OSError:
        return 0


def _header(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _HEADER)
    finally:
        os.close(descriptor)


@contextmanager
def _connected(path: str) -> Iterator[sqlite3.Connection]:
    if not is_regular(path):
        raise TableError(path)
    header = _header(path)
    side_files = [path + suffix for suffix in ("-wal", "-journal") if _size(path + suffix)]
    if header[:16] != _MAGIC and not (side_files and not header):
        raise TableError(path)
    if side_files:
        with tempfile.TemporaryDirectory(prefix="roar-") as folder:
            if sum(map(_size, (path, *side_files))) > MAX_COPIED:
                raise TableError(path)
            for file in (path, *side_files):
                shutil.copyfile(file, os.path.join(folder, "copy" + file.removeprefix(path)), follow_symlinks=False)
            with _opened(os.path.join(folder, "copy"), "?mode=rw") as connection:
                yield connection
        return
    at_rest_in_wal_mode = len(header) == _HEADER and _WAL in header[18:20]
    with _opened(path, "?mode=ro&immutable=1" if at_rest_in_wal_mode else "?mode=ro") as connection:
        yield connection


@contextmanager
def _opened(path: str, mode: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect("file:" + quote(os.fsencode(path)) + mode, uri=True, timeout=0.2)
    try:
        yield connection
    finally:
        connection.close()


def _only(allowed: Columns) -> "sqlite3._AuthorizerCallback":  # type: ignore[name-defined]
    def authorize(action: int, table: str | None, column: str | None, *_: str | None) -> int:
        if action in {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION}:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and column in ("", *allowed.get(table or "", ())):
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY
    return authorize


def table_names(path: str) -> frozenset[str]:
    """Names of the database's tables; empty where it is none."""
    try:
        with _connected(path) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return frozenset(row[0] for row in names)
    except (TableError, sqlite3.Error, OSError):
        return frozenset()


def select(
    path: str, table: str, columns: Sequence[str], allowed: Columns, *, where: str = "", values: Sequence[object] = (),
) -> list[tuple[object, ...]]:
    """Rows of one table, at most 10,000; empty where file, table or a column is missing.

    Raises:
        PermissionError: the table or a column was not declared. That is a bug of the tracker.
    """
    if not set(columns) <= set(allowed.get(table, ())):
        raise PermissionError(f"{table}({', '.join(columns)}) is not declared to be read.")
    names = ", ".join(f'"{column}"' for column in columns)
    statement = f'SELECT {names} FROM "{table}" {"WHERE " + where if where else ""} LIMIT {_LIMIT}'  # noqa: S608  names are checked above
    try:
        with _connected(path) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.set_authorizer(_only(allowed))
            return connection.execute(statement, tuple(values)).fetchall()
    except (TableError, sqlite3.Error, OSError):
        return []
