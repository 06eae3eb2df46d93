"""Every schema that was ever released comes up to date with what is in it, on both databases."""

import random
import string
from importlib.resources import files

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from databases import plan_of, run_sql
from registrations import WANDB_URL, body, digest, digits, uid
from sqlalchemy import MetaData, insert, select
from starlette.testclient import TestClient

from glaas.app import create_app
from glaas.db import open_engine
from glaas.models import metadata
from glaas.schema import migrate, schema_versions
from glaas.settings import Settings

VERSIONS = sorted(path.name[:4] for path in (files("glaas") / "migrations" / "versions").iterdir()
                  if path.name[0].isdigit())


def test_versions_follow_each_other():
    assert VERSIONS[0] == "0001"
    assert len(set(VERSIONS)) == len(VERSIONS)


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/old.db"
    server = request.getfixturevalue("postgresql")
    name = f"old{abs(hash(request.node.name))}"
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    return server.get_uri(name)


def copy_rows(source, target):
    """All rows of `source` into the tables that `target` has, as far as it has their columns."""
    tables = MetaData()
    with source.connect() as read, target.begin() as write:
        tables.reflect(write)
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            now = metadata.tables[table.name]
            write.execute(table.delete())
            names = [column.name for column in table.columns if column.name in now.c]
            rows = [row._asdict() for row in read.execute(select(*[now.c[name] for name in names]))]
            if rows:
                write.execute(insert(metadata.tables[table.name]), rows)


def test_an_entity_that_no_index_could_hold_is_cut(client, registered, old):
    engine = open_engine(old)
    migrate(engine, "0005")
    copy_rows(client.app.state.engine, engine)
    runs = metadata.tables["tracker_run"]
    noise = "".join(random.Random(1).choices(string.ascii_letters, k=20_000))  # compression must not save it
    with engine.begin() as connection:
        connection.execute(runs.update().values(entity=noise))
    migrate(engine)
    with engine.connect() as connection:
        assert set(connection.execute(select(runs.c.entity)).scalars()) == {noise[:255]}
    engine.dispose()


@pytest.mark.parametrize("field", ["tracker", "project", "entity", "state"])
def test_tracker_runs_are_found_by_index_whatever_they_are_filtered_by(database, field):
    """Rows in the order of the index are the newest first: nothing has to be sorted, and the list stops at its end."""
    runs = metadata.tables["tracker_run"]
    query = select(runs.c.id).where(runs.c[field] == "x").order_by(runs.c.id.desc()).limit(10)
    plan = plan_of(database, query)
    assert f"ix_tracker_run_{field}_id" in plan
    assert "sort" not in plan.lower()
    assert "temp b-tree" not in plan.lower()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # where the rows come from makes no difference
@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_a_filled_database_comes_up_to_date(client, registered, old, version):
    engine = open_engine(old)
    migrate(engine, version)
    assert schema_versions(engine)[0] == version
    copy_rows(client.app.state.engine, engine)
    migrate(engine)
    assert schema_versions(engine) == (VERSIONS[-1], VERSIONS[-1])
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
    engine.dispose()
    with TestClient(create_app(Settings(database=old))) as migrated:
        for path in (f"/api/v1/jobs/{uid(2)}", f"/api/v1/sessions/{registered}", "/api/v1/tracker-runs?state=online",
                     f"/api/v1/artifacts/{digest('model.pt')}/lineage?depth=3", f"/api/v1/search?q={WANDB_URL}"):
            assert migrated.get(path).status_code == 200
            assert migrated.get(path).json() == client.get(path).json()
        answer = migrated.post("/api/v1/sessions", content=body(digits()),
                               headers={"content-type": "application/json"})
        assert answer.json()["created"] is False
