"""The measurements' short cut: rows loaded in bulk are those that registering writes, in the migrations' schema."""

import itertools
import sys
from pathlib import Path

import psycopg
import pytest
from databases import run_sql
from registrations import body
from starlette.testclient import TestClient

from glaas.app import create_app
from glaas.settings import Settings

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from registry import fill, world

SESSIONS = 6
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
CONSTRAINTS = ("SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
               " WHERE connamespace = 'public'::regnamespace")


@pytest.fixture(scope="module")
def both(postgresql):
    """A database that was filled in bulk, and one where the same sessions were registered one by one."""
    for name in ("bulk", "registered"):
        run_sql(postgresql, f"CREATE DATABASE {name} TEMPLATE {'template0' if name == 'bulk' else 'template'}")
    fill.fill(postgresql.get_uri("bulk"), SESSIONS, processes=1)
    url = postgresql.get_uri("registered")
    with psycopg.connect(url) as connection:
        fill.add_projects(connection)
    with TestClient(create_app(Settings(database=url))) as client:
        for _, project, registration in world.make_sessions(0, SESSIONS):
            answer = client.post(f"/api/v1/sessions?project={project}", content=body(registration),
                                 headers={"content-type": "application/json"})
            assert answer.status_code == 201
    with psycopg.connect(postgresql.get_uri("bulk")) as one, psycopg.connect(url) as other:
        yield one, other


def rows(connection, table):
    """All rows by column name; a job's number becomes its uid, and when and in what bytes it came is left out."""
    uids = dict(connection.execute("SELECT id, encode(uid, 'hex') FROM job").fetchall())
    found = connection.execute(f'SELECT * FROM "{table}"')
    names = [column.name for column in found.description]
    left_out = {"registered_at", "body"} if table in {"session", "dag"} else set()
    if table in {"job", "tracker_run"}:
        left_out = {"id"}
    return sorted(str([(name, uids[value] if name == "job_id" else value)
                       for name, value in zip(names, row, strict=True) if name not in left_out]) for row in found)


@pytest.mark.parametrize("table", fill.FILLED)
def test_a_table_holds_what_registering_writes(both, table):
    bulk, registered = (rows(connection, table) for connection in both)
    if table in {"environment", "package"}:  # the short cut loads all environments of the world
        assert set(registered) <= set(bulk)
    else:
        assert bulk == registered
    assert len(registered) > SESSIONS - 1


def test_the_schema_is_as_it_was(both):
    for query in (INDEXES, CONSTRAINTS):
        bulk, registered = (sorted(connection.execute(query).fetchall()) for connection in both)
        assert bulk == registered


def test_the_world_has_what_makes_a_registry_hard():
    sessions = [registration for _, _, registration in world.make_sessions(0, 200)]
    jobs = list(itertools.chain.from_iterable(session.jobs for session in sessions))
    uses = [use for job in jobs for use in (*job.inputs, *job.outputs)]
    read = [use.digest for job in jobs for use in job.inputs]
    assert 18 < len(jobs) / len(sessions) < 23
    assert len(uses) > 10 * len(jobs)
    assert max(map(read.count, set(read[:500]))) > len(jobs) / 10
    assert {run.tracker for job in jobs for run in job.tracker_runs} == {"wandb", "mlflow", "tensorboard"}
    assert any(use.kind == "dataset" for use in uses)
    written = {use.digest: index for index, session in enumerate(sessions) for job in session.jobs
               for use in job.outputs}
    assert any(written.get(use.digest, index) != index for index, session in enumerate(sessions)
               for job in session.jobs for use in job.inputs), "no session starts from another's release"
