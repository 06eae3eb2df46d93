"""Loading many registrations into an empty PostgreSQL by COPY: the rows that registering each would have written.

Registering one session after the other pays for every index entry, statement and commit by itself, which takes hours
for a million jobs. Here the rows, made by the same functions of `glaas.ingest`, go into tables whose indexes and
constraints are taken away first and made again at the end, as they were. `tests/glaas/test_bulk_load.py` says that
both ways lead to the same rows, and that the schema is the same afterwards.
"""

import json
import multiprocessing
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from glaas import ingest, models
from glaas.db import open_engine
from glaas.models import Role
from glaas.schema import migrate
from glaas.terms import iter_terms
from registry import world
from roar.wire import UNDIGESTED, Registration, to_json

FILLED = ("session", "environment", "package", "job", "file_use", "dag", "dag_job", "dataset_member", "tracker_run",
          "label", "term", "artifact")
BATCH = 200  # sessions between two rounds of COPY
REGISTERED_AT = "2026-11-22T10:00:00.000000Z"
JOB_ID_STEP = world.MOST_JOBS
Rows = dict[str, list[dict[str, Any]]]


def columns_of(table: str) -> list[str]:
    """The columns that are loaded: all but the number of a tracker run, which PostgreSQL gives."""
    names = [column.name for column in models.metadata.tables[table].columns]
    return [name for name in names if (table, name) != ("tracker_run", "id")]


def rows_of(number: int, project_id: int, registration: Registration) -> Rows:
    """What registering one session writes, by table; without environments, packages and artifacts, which it shares."""
    session = bytes.fromhex(registration.session)
    shape = to_json(registration)
    body = ingest._shape_digest(shape)  # noqa: SLF001  as all below: what registering calls
    for name in UNDIGESTED:
        shape.pop(name)
    dag = ingest._shape_digest(shape)  # noqa: SLF001
    rows: Rows = {table: [] for table in FILLED}
    rows["session"].append({"uid": session, "project_id": project_id, "registered_at": REGISTERED_AT})
    rows["dag"].append({"digest": dag, "session": session, "body": body, "client": registration.client,
                        "wire_version": registration.version, "registered_at": REGISTERED_AT, "registered_by": None,
                        "jobs": len(registration.jobs)})
    for dataset in registration.datasets:
        rows["dataset_member"] += [
            {"dataset": bytes.fromhex(dataset.digest), "position": n, "path": m.path,
             "digest": bytes.fromhex(m.digest), "size": m.size}
            for n, m in enumerate(sorted(dataset.members, key=lambda m: m.path))]
    for position, (job, job_shape) in enumerate(zip(registration.jobs, shape["jobs"], strict=True)):
        job_id = number * JOB_ID_STEP + position + 1
        row = ingest._job_row(job, ingest._content_digest(job_shape), session, project_id)  # noqa: SLF001
        rows["job"].append({"id": job_id} | row)
        rows["dag_job"].append({"dag": dag, "position": position, "job_id": job_id})
        rows["file_use"] += ingest._use_rows(job.inputs, Role.INPUT, job_id)  # noqa: SLF001
        rows["file_use"] += ingest._use_rows(job.outputs, Role.OUTPUT, job_id)  # noqa: SLF001
        rows["label"] += [{"job_id": job_id, "key": key, "value": value} for key, value in job.labels.items()]
        rows["tracker_run"] += [{"job_id": job_id, **ingest._tracker_run_row(run)} for run in job.tracker_runs]  # noqa: SLF001
        rows["term"] += [{"term": word, "job_id": job_id} for word in sorted(set(iter_terms(job)))]
    return rows


def _environment_rows() -> Rows:
    rows: Rows = {"environment": [], "package": []}
    for number in range(world.ENVIRONMENTS):
        host, python = world.environment(number)
        digest, body = ingest._environment(host, python)  # noqa: SLF001
        rows["environment"].append({"digest": digest, "body": body})
        rows["package"] += [{"name": name, "version": version, "environment": digest} for name, version in sorted(
            {(package.name.lower(), package.version) for package in python.packages})]
    return rows


def _copy(connection: psycopg.Connection[Any], rows: Rows) -> None:
    for table, part in rows.items():
        if not part:
            continue
        names = columns_of(table)
        columns = ", ".join(f'"{name}"' for name in names)
        with connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({columns}) FROM STDIN') as copy:
            for row in part:
                copy.write_row([json.dumps(value) if isinstance(value, (dict, list)) else value
                                for value in map(row.__getitem__, names)])


def _fill_part(url: str, start: int, stop: int, projects: dict[str, int]) -> None:
    """Load the sessions from `start` to before `stop`."""
    with psycopg.connect(url) as connection:
        for first in range(start, stop, BATCH):
            batch: Rows = {table: [] for table in FILLED}
            for number, project, registration in world.make_sessions(first, min(first + BATCH, stop)):
                for table, part in rows_of(number, projects[project], registration).items():
                    batch[table] += part
            _copy(connection, batch)
            connection.commit()


@contextmanager
def without_indexes(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Take away the constraints and indexes of the tables to fill, and make them again as they were."""
    tables = list(FILLED)
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid::regclass::text = ANY(%s) AND contype <> 'n'"
        " ORDER BY contype = 'f', conrelid::regclass::text, conname", [tables]).fetchall()
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname <> ALL(%s)"
        " ORDER BY tablename, indexname", [tables, [name for _, name, _ in constraints]]).fetchall()
    for table, name, _ in reversed(constraints):
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    connection.commit()
    yield
    connection.execute("SET maintenance_work_mem = '1GB'")
    for table, name, definition in constraints:
        connection.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
    for _, definition in indexes:
        connection.execute(definition)
    connection.commit()


def _add_artifacts(connection: psycopg.Connection[Any]) -> None:
    """Each artifact once; the world gives a digest the same size and kind wherever it appears."""
    connection.execute("SET work_mem = '1GB'")
    connection.execute(
        "INSERT INTO artifact (digest, kind, size, files) SELECT digest, min(kind), min(size), min(files)"
        " FROM file_use GROUP BY digest")
    connection.execute(
        "INSERT INTO artifact (digest, kind, size) SELECT DISTINCT digest, 'file', size FROM dataset_member"
        " WHERE NOT EXISTS (SELECT FROM file_use WHERE file_use.digest = dataset_member.digest)")
    connection.commit()


def add_projects(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The projects of the world by name; all are seen by every user."""
    names = [f"team-{number:02}" for number in range(world.PROJECTS)]
    for name in names:
        connection.execute("INSERT INTO project (name, visibility, created_at) VALUES (%s, 'internal', %s)",
                           [name, REGISTERED_AT])
    connection.commit()
    return dict(connection.execute("SELECT name, id FROM project WHERE name = ANY(%s)", [names]).fetchall())


def fill(url: str, sessions: int, processes: int = 2, tell: Any = lambda _: None) -> dict[str, float]:
    """Migrate the empty database at `url` and load the world's first `sessions` sessions; seconds by what was done."""
    seconds: dict[str, float] = {}
    start = time.perf_counter()

    def done(what: str) -> None:
        nonlocal start
        seconds[what] = time.perf_counter() - start
        start = time.perf_counter()
        tell(f"{what}: {seconds[what]:.0f} s")

    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    with psycopg.connect(url) as connection:
        projects = add_projects(connection)
        with without_indexes(connection):
            _copy(connection, _environment_rows())
            connection.commit()
            parts = _parts(sessions, processes)
            if processes == 1:
                _fill_part(url, 0, sessions, projects)
            else:
                with multiprocessing.get_context("spawn").Pool(processes) as pool:
                    pool.starmap(_fill_part, [(url, first, last, projects) for first, last in parts], chunksize=1)
            done("rows by COPY")
            _add_artifacts(connection)
            done("artifacts")
        connection.execute("SELECT setval(pg_get_serial_sequence('job', 'id'), (SELECT max(id) FROM job))")
        connection.commit()
        done("indexes and constraints")
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE, FREEZE)")
        done("VACUUM ANALYZE")
    return seconds


def _parts(sessions: int, processes: int) -> Iterable[tuple[int, int]]:
    """Even parts, several for each process."""
    step = max(1, -(-sessions // (processes * 8)))
    return [(first, min(first + step, sessions)) for first in range(0, sessions, step)]
