"""Connections and bulk writing. The only module that knows which database it talks to."""

import contextlib
import json
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Select,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    select,
    text,
    true,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError

from roar.errors import SettingsError

Row = Mapping[str, Any]
_T = TypeVar("_T")
MANY_ROWS = 200
ANALYSIS_LIMIT = 400
BUSY_TIMEOUT_MS = 30_000
QUERIES_KEPT = 512  # of each kind; they differ by who asks
MOST_ATTEMPTS = 6
QUICKER = frozenset({"23505", "40001", "40P01"})  # PostgreSQL: unique violation, serialization failure, deadlock


def open_engine(url: str, *, pool_size: int = 8) -> Engine:
    """An engine for `url`: `sqlite:///FILE` (write-ahead log) or `postgresql://…` (psycopg).

    Raises:
        SettingsError: the URL is neither.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError("What was given as the database's URL is not a URL.", hint="glaas serve --database sqlite:///glaas.db"
                            ) from error
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend == "postgresql":
        try:
            return create_engine(parsed, hide_parameters=True, pool_size=pool_size, max_overflow=pool_size,
                                 pool_pre_ping=True)
        except NoSuchModuleError as error:  # pragma: no cover  another driver was named in the URL
            raise SettingsError(f"{error}") from error
    raise SettingsError(f"glaas keeps its data in SQLite or PostgreSQL, not in {backend!r}.",
                        hint="glaas serve --database postgresql://USER@HOST/DATABASE")


def without_password(url: str) -> str:
    """A database's URL as it may be shown and logged."""
    return make_url(url).render_as_string(hide_password=True)


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """Leave BEGIN to us (`_begin_sqlite`), and set what SQLite forgets with every connection."""
    connection.isolation_level = None
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON",
                   "cache_size=-65536", "temp_store=MEMORY", "mmap_size=268435456",
                   f"analysis_limit={ANALYSIS_LIMIT}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Writers take their lock at the start: a reader that becomes a writer half-way cannot wait for another."""
    write = connection.get_execution_options().get("glaas_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One connection with one consistent view of the data."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901  same object
        with connection.begin():
            yield connection


def in_parts(values: Sequence[_T], size: int = 1000) -> Iterator[Sequence[_T]]:
    """The values, so many at a time: a statement has room for some thousand."""
    for start in range(0, len(values), size):
        yield values[start:start + size]


class Query:
    """A query that is compiled once, and asked past SQLAlchemy, which takes longer than a look-up takes.

    Making one takes longer than asking it, so callers keep them (`functools.lru_cache`).

    Args:
        query: with a bind parameter that has a default for whatever differs between calls. Of what it selects only
            JSON is converted.
    """

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        columns = list(query.selected_columns)
        self._row = namedtuple("Row", [column.name for column in columns])._make  # type: ignore[attr-defined]  # noqa: PYI024
        self._json = [place for place, column in enumerate(columns) if isinstance(column.type, JSON)]
        self._asked: dict[str, _Asked] = {}

    def all(self, connection: Connection, **parameters: Any) -> list[Any]:
        """The rows, each with its columns as attributes."""
        asked = self._ask(connection, self._query)
        return [self._row(row) for row in self._converted(connection, asked.rows(connection, parameters))]

    def first(self, connection: Connection, **parameters: Any) -> Any | None:
        """The first row."""
        return next(iter(self.all(connection, **parameters)), None)

    def _ask(self, connection: Connection, query: Select[Any]) -> "_Asked":
        dialect = connection.dialect
        if dialect.name not in self._asked:
            compiled = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            statement = str(compiled).replace("%(wanted)s", "%(wanted)b")  # binary: digests take longer as text
            self._asked[dialect.name] = _Asked(statement, compiled.params, getattr(compiled, "positiontup", None))
        return self._asked[dialect.name]

    def _converted(self, connection: Connection, rows: list[tuple[Any, ...]]) -> list[Any]:
        """PostgreSQL's driver knows JSON, SQLite has text."""
        if not self._json or connection.dialect.name == "postgresql":
            return rows
        changed = [list(row) for row in rows]
        for row in changed:
            for place in self._json:
                row[place] = None if row[place] is None else json.loads(row[place])
        return changed


class ForEach(Query):
    """A query that is asked for many values of one column at a time; its LIMIT counts for each value by itself.

    That is what keeps a question about many files quick when one of them is in a million jobs: asked with IN and one
    LIMIT, PostgreSQL has to guess how often each is there, and reads whole tables when it guesses wrong. It is one
    query there, with a look-up in an index for each value; SQLite, which has no LATERAL and is in this very process,
    is asked once for each.

    Args:
        query: see `Query`.
        column: of the query's tables; the values that are asked for are of its type.
    """

    def __init__(self, query: Select[Any], column: ColumnElement[Any]) -> None:
        super().__init__(query)
        self._one = query.where(column == bindparam("wanted", None))
        array = bindparam("wanted", None, ARRAY(column.type))
        wanted = func.unnest(array).table_valued(sql_column("value", column.type), name="wanted").render_derived()
        part = query.where(column == wanted.c.value).lateral("part")
        self._all = select(part, wanted.c.value).select_from(wanted.join(part, true()))

    def rows(self, connection: Connection, values: Sequence[Any], **parameters: Any) -> Iterator[tuple[Any, Any]]:
        """Each of the `values` with each of its rows."""
        if not values:
            return
        if connection.dialect.name == "postgresql":
            asked = self._ask(connection, self._all)
            for row in asked.rows(connection, {**parameters, "wanted": list(values)}):
                yield row[-1], self._row(row[:-1])
            return
        asked = self._ask(connection, self._one)
        for value in values:
            for row in self._converted(connection, asked.rows(connection, {**parameters, "wanted": value})):
                yield value, self._row(row)


class _Asked(NamedTuple):
    """A statement for a driver: its text, its parameters, and their order where they have no names there."""

    statement: str
    defaults: Mapping[str, Any]
    order: Sequence[str] | None

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        driver_connection = connection.connection.driver_connection
        assert driver_connection is not None
        given = {**self.defaults, **parameters}
        with _told_by_driver(connection, self.statement):
            if self.order is not None:
                return driver_connection.execute(  # type: ignore[no-any-return]
                    self.statement, [given[name] for name in self.order]).fetchall()
            return driver_connection.cursor(binary=True).execute(  # type: ignore[no-any-return]
                self.statement, given).fetchall()


@contextlib.contextmanager
def _told_by_driver(connection: Connection, statement: str) -> Iterator[None]:
    """Errors of the driver become SQLAlchemy's, also where it is asked past SQLAlchemy."""
    driver = connection.dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        raise DBAPIError.instance(statement, None, error, driver.Error, hide_parameters=True,
                                  dialect=connection.dialect) from error


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it or nothing."""
    with engine.connect().execution_options(glaas_write=True) as connection, connection.begin():
        yield connection


def write_at_last(engine: Engine, write: Callable[[Connection], _T]) -> _T:
    """What `write` returns, called in a transaction that writes; called again where another one was quicker.

    Two transactions that add the same row, or wait for each other, cannot both end well. The one that lost sees what
    the other wrote when it begins anew, so it must find out everything again: `write` keeps nothing between calls.
    """
    for _ in range(MOST_ATTEMPTS - 1):
        try:
            with writing(engine) as connection:
                return write(connection)
        except (IntegrityError, OperationalError) as error:
            if getattr(error.orig, "sqlstate", None) not in QUICKER:
                raise
    with writing(engine) as connection:
        return write(connection)


def insert_new(connection: Connection, table: Table) -> Insert:
    """An INSERT that leaves rows alone which are already there."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row], *, keep_existing: bool = False) -> None:
    """Insert many rows at once; with `keep_existing`, rows whose key is there already are left as they are.

    All rows name the same columns, none of them JSON. Large numbers of rows go past SQLAlchemy's handling of each:
    to PostgreSQL by COPY, to SQLite by one prepared statement.
    """
    if not rows:
        return
    if len(rows) >= MANY_ROWS and connection.dialect.name == "postgresql":
        _copy(connection, table, rows, keep_existing=keep_existing)
    elif len(rows) >= MANY_ROWS:
        _insert_prepared(connection, table, rows, keep_existing=keep_existing)
    elif keep_existing:
        connection.execute(insert_new(connection, table), list(rows))
    else:
        connection.execute(table.insert(), list(rows))


def _copy(connection: Connection, table: Table, rows: Sequence[Row], *, keep_existing: bool) -> None:
    names = list(rows[0])
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in names)
    target = quote(table.name)
    into = target
    if keep_existing:
        into = quote(f"new_{table.name}")
        connection.execute(text(f"CREATE TEMPORARY TABLE {into} (LIKE {target}) ON COMMIT DROP"))
    driver_connection = connection.connection.driver_connection
    assert driver_connection is not None
    statement = f"COPY {into} ({columns}) FROM STDIN"
    with _told_by_driver(connection, statement), driver_connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])
    if keep_existing:
        connection.execute(text(
            f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {into} ON CONFLICT DO NOTHING"  # noqa: S608  names of our own tables
        ))
        connection.execute(text(f"DROP TABLE {into}"))


def _insert_prepared(connection: Connection, table: Table, rows: Sequence[Row], *, keep_existing: bool) -> None:
    names = list(rows[0])
    quote = connection.dialect.identifier_preparer.quote
    verb = "INSERT OR IGNORE" if keep_existing else "INSERT"
    statement = (f"{verb} INTO {quote(table.name)} ({', '.join(map(quote, names))})"
                 f" VALUES ({', '.join('?' * len(names))})")
    connection.exec_driver_sql(statement, [tuple(row[name] for name in names) for row in rows])


def refresh_statistics(engine: Engine, *tables: Table) -> None:
    """Let the planner see what a large registration changed; PostgreSQL's own daemon would come a minute late."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "postgresql":
            quote = connection.dialect.identifier_preparer.quote
            connection.execute(text(f"ANALYZE {', '.join(quote(table.name) for table in tables)}"))
        else:
            connection.execute(text("PRAGMA optimize"))


def lock(connection: Connection, key: int) -> None:
    """Let only one transaction at a time pass here for the same `key`, until it ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
