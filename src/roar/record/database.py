"""Opening `.roar/roar.db`: made or upgraded where needed, its errors as sentences.

Paths may hold bytes that are not UTF-8. They are stored as they are: bound as bytes through `encoded`, cast to TEXT in
the statement (`CAST(? AS TEXT)`), and read back with `surrogateescape`.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator

from roar.errors import WorkspaceError, install_hint
from roar.shell import quoted
from roar.workspace import unreadable

SCHEMA_VERSION = 11
BUSY_TIMEOUT_S = 60.0
_PATIENCE_S = 2.0  # of silence
_APPLICATION_ID = 0x726F6172  # "roar"
_MIGRATIONS: tuple[str, ...] = (  # step N (from 0) upgrades version N+1 to N+2
    "CREATE TABLE dataset_cache (stamp BLOB PRIMARY KEY, digest BLOB NOT NULL) STRICT, WITHOUT ROWID;",
    ("CREATE TABLE made_folder (job_id INTEGER NOT NULL REFERENCES job (id), path TEXT NOT NULL,"
     " PRIMARY KEY (job_id, path)) STRICT, WITHOUT ROWID;"),
    ("ALTER TABLE symlink ADD COLUMN made INTEGER;\n"
     "CREATE TABLE deleted_file (job_id INTEGER NOT NULL REFERENCES job (id), path TEXT NOT NULL,"
     " PRIMARY KEY (job_id, path)) STRICT, WITHOUT ROWID;"),
    "ALTER TABLE git ADD COLUMN worktree TEXT;\nALTER TABLE git ADD COLUMN repositories TEXT;",
    "ALTER TABLE file_use ADD COLUMN unchanged_since TEXT;",
    ("CREATE TABLE inner_job (job_id INTEGER NOT NULL REFERENCES job (id), uid TEXT NOT NULL,"
     " PRIMARY KEY (job_id, uid)) STRICT, WITHOUT ROWID;\nCREATE INDEX inner_job_by_uid ON inner_job (uid);"),
    ("ALTER TABLE inner_job RENAME TO ran;\n"
     "CREATE TABLE inner_job (uid TEXT NOT NULL, outer TEXT NOT NULL, PRIMARY KEY (uid, outer))"
     " STRICT, WITHOUT ROWID;\n"
     "CREATE INDEX inner_job_by_outer ON inner_job (outer);\n"
     "INSERT INTO inner_job (uid, outer) SELECT ran.uid, job.uid FROM ran JOIN job ON job.id = job_id;\n"
     "DROP TABLE ran;\n"
     "CREATE TABLE given_file (job_id INTEGER NOT NULL REFERENCES job (id), path TEXT NOT NULL,"
     " PRIMARY KEY (job_id, path)) STRICT, WITHOUT ROWID;\n"
     "INSERT INTO given_file (job_id, path) SELECT DISTINCT made.job_id, path.path FROM inner_job"
     " JOIN job AS reader USING (uid) JOIN job AS around ON around.uid = outer"
     " JOIN file_use AS made ON made.job_id = around.id AND made.role = 2"
     " JOIN file_use AS used ON used.job_id = reader.id AND used.role = 1 AND used.path_id = made.path_id"
     " JOIN path ON path.id = made.path_id;"),
    "ALTER TABLE inner_job ADD COLUMN piped INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE inner_job ADD COLUMN environment TEXT;",
    "CREATE INDEX symlink_by_path ON symlink (path_id, job_id);",
)


Watches = Callable[[], contextlib.AbstractContextManager[Callable[[int, int], None] | None]]


class _Record(sqlite3.Connection):
    """A connection.

    Attributes:
        waits: is told, in one phrase, when another process keeps us waiting for the write lock.
        watches: begins to show how far digesting is.
        copy_of: the path of the record, where this is a copy in memory that is thrown away.
    """

    waits: Callable[[str], None] | None = None
    watches: Watches | None = None
    copy_of: str | None = None


def open_database(path: str, *, waits: Callable[[str], None] | None = None, watches: Watches | None = None
                  ) -> sqlite3.Connection:
    """Open the record at `path`, making it where it is missing and upgrading it where it is older.

    A record that may only be read is opened for reading, an older one as a copy in memory. `waits` is told when
    another process keeps us waiting; `watches` begins to show how far the digesting of files is that are asked about.

    Raises:
        WorkspaceError: the file is not a record, is broken, is locked, or was written by a newer roar.
    """
    connection: _Record | None = None
    try:
        connection = _connect(path)
        connection.waits, connection.watches = waits, watches
        _prepare(connection, path)
    except (sqlite3.Error, WorkspaceError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, WorkspaceError):
            raise
        raise translated(error, path) from error
    return connection


def watched(connection: sqlite3.Connection) -> contextlib.AbstractContextManager[Callable[[int, int], None] | None]:
    """Gives what is told (bytes done, bytes in all) while files are digested; None where nobody looks."""
    watches = connection.watches if isinstance(connection, _Record) else None
    return contextlib.nullcontext() if watches is None else watches()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Hold the one write lock of the record; commit at the end, roll back on any error."""
    try:
        _begin(connection)
    except sqlite3.Error as error:
        raise translated(error, _path_of(connection)) from error
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error) and is_about_the_file(error):
            raise translated(error, _path_of(connection)) from error
        raise


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock; who waits longer than a person has patience for is told."""
    waits = connection.waits if isinstance(connection, _Record) else None
    if waits is not None:
        connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_S * 1000:.0f}")
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        else:
            return
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
        waits(f"waiting for {_path_of(connection)}, which another process has locked")
    connection.execute("BEGIN IMMEDIATE")


def encoded(text: str) -> str | bytes:
    """`text` as it may be bound to `CAST(? AS TEXT)`, lone surrogates included."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that stands for no byte: it cannot be a path
        return text.encode("utf-8", "replace")


def decoded(raw: bytes) -> str:
    """The text of a TEXT value, bytes that are not UTF-8 as lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def _connect(path: str) -> _Record:
    read_only = os.path.exists(path) and not (os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK))
    if read_only:
        from urllib.parse import quote  # noqa: PLC0415  only where nothing may be written

        # no write-ahead log can be begun there: share one that is there already, else read the file as it is
        how = "mode=ro" if os.path.exists(f"{path}-wal") else "immutable=1"
        connection = sqlite3.connect(f"file:{quote(os.fsencode(path))}?{how}", uri=True, factory=_Record)
        connection = _upgradable(connection, path)
    else:
        with contextlib.suppress(OSError):  # SQLite would let nobody else write it, whatever the umask says
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, factory=_Record)
    connection.isolation_level = None
    connection.text_factory = decoded
    return connection


def _upgradable(connection: _Record, path: str) -> _Record:
    """A copy of a record that may only be read, where it is older; otherwise itself."""
    if not 0 < _version(connection) < SCHEMA_VERSION:
        return connection
    with contextlib.closing(connection):
        copy = sqlite3.connect(":memory:", factory=_Record)
        connection.backup(copy)
    copy.copy_of = path
    return copy


def _prepare(connection: _Record, path: str) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -65536")
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise WorkspaceError(f"{path} was written by a newer roar (record version {version}, this one knows"
                             f" {SCHEMA_VERSION}).", hint=install_hint())
    if version == SCHEMA_VERSION:
        return
    if version == 0:
        connection.execute("PRAGMA journal_mode = WAL")
    with transaction(connection):
        _migrate(connection, path)
    if connection.copy_of is not None:
        connection.execute("PRAGMA query_only = ON")


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the schema up to date, holding the write lock: another process may have done it meanwhile."""
    version = _version(connection)
    if version == 0:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise WorkspaceError(f"{path} is an SQLite database but not a record of roar.")
        _execute_script(connection, _schema())
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        version = SCHEMA_VERSION
    for step in _MIGRATIONS[version - 1:]:
        _execute_script(connection, step)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _schema() -> str:
    with open(os.path.join(os.path.dirname(__file__), "schema.sql"), encoding="utf-8") as file:
        return file.read()


def _execute_script(connection: sqlite3.Connection, script: str) -> None:
    """Run each statement within the open transaction (`executescript` would commit it)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _path_of(connection: sqlite3.Connection) -> str:
    if isinstance(connection, _Record) and connection.copy_of is not None:
        return connection.copy_of
    path: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return path


def is_about_the_file(error: sqlite3.Error) -> bool:
    """Whether an error is about the file (broken, locked, full) and not a mistake of the statement or the caller."""
    if str(error).startswith(("no such ", "near ", "ambiguous ")):
        return False
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def translated(error: sqlite3.Error, path: str) -> WorkspaceError:
    """What SQLite says about the record at `path`, as a sentence."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return WorkspaceError(f"{path} is locked by another process.", hint=f"fuser {quoted(path)}")
    if "not a database" in text or "malformed" in text:
        return WorkspaceError(f"{path} is broken: {text}.", hint=f"mv {quoted(path)} {quoted(f'{path}.broken')}")
    if "unable to open" in text and os.path.lexists(path):
        try:
            with open(path, "rb"):
                pass
        except OSError as reason:
            return unreadable(path, reason)
    hint = f"df -h {quoted(path)}" if text.endswith(" full") else "roar doctor"
    return WorkspaceError(f"{path} cannot be used: {text}.", hint=hint)
