"""Of a tracker's files only those in the documented table are opened, and of these only the documented part."""

import pickle
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from loading import load_tool

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "trackers.md"
ROW = re.compile(r"\| (?P<label>[^|]+) \| `(?P<pattern>[^`]+)` \| (?P<part>[^|]+) \| (?P<most>[^|]+) \|")
OPENED = re.compile(r'openat\([^,]+, "(?P<path>(?:[^"\\]|\\.)*)", (?P<flags>[^)]*)\)\s+= (?P<descriptor>\d+)')
READ = re.compile(r"(?:read|pread64|readv|preadv)\((?P<descriptor>\d+),.*\)\s+= (?P<size>\d+)")
CLOSED = re.compile(r"close\((?P<descriptor>\d+)")
WRITES = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")
SCRIPT = """
import pickle, sys
from roar.analyze.trackers import analyze_trackers
facts = pickle.load(sys.stdin.buffer)
analyze_trackers(facts, {"*": False})
open(sys.argv[1])
found = analyze_trackers(facts, {})
assert not found.warnings
"""
SAMPLES = [
    "aim-local", "clearml-offline", "clearml-online", "comet-offline", "dvclive-nogit", "guildai",
    "mlflow2-filestore-model", "mlflow3-sqlite-model", "neptune-async", "neptunescale-async-unsynced",
    "neptunescale-offline", "polyaxon-offline", "ray-tune", "sacred-file", "swanlab-online", "tensorboard-torch_tb",
    "trackio-local", "wandb-0.12.21-online", "wandb-nofinish", "wandb-online", "wandb-resume", "wandb-sweep",
]


def documented():
    """Pattern → the most bytes that may be read, None for a database (there the columns are the limit)."""
    rows = [match for line in PAGE.read_text().splitlines() if (match := ROW.fullmatch(line))]
    sizes = {row["pattern"]: re.search(r"([\d,]+) bytes", row["most"]) for row in rows}
    return {pattern: int(size[1].replace(",", "")) if size else None for pattern, size in sizes.items()}


def opened_below(trace, marker, root):
    """(path, flags, bytes read) of every file below root that was opened after the marker."""
    started, opens, current = False, [], {}
    for line in trace.splitlines():
        if match := OPENED.search(line):
            started = started or match["path"] == marker
            entry = [match["path"], match["flags"], 0]
            current[match["descriptor"]] = entry
            if started and match["path"].startswith(f"{root}/") and match["path"] != marker:
                opens.append(entry)
        elif match := READ.search(line):
            current.get(match["descriptor"], [0, 0, 0])[2] += int(match["size"])
        elif match := CLOSED.search(line):
            current.pop(match["descriptor"], None)
    return opens


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("name", SAMPLES)
def test_only_what_the_page_says_is_opened(name, replay, tmp_path):
    world = replay(name)
    marker = tmp_path / "marker"
    marker.touch()
    log = tmp_path / "trace"
    command = ["strace", "-f", "-s", "4096", "-e", "trace=openat,open,read,pread64,readv,preadv,close", "-o", log]
    subprocess.run(
        [*command, sys.executable, "-c", SCRIPT, marker], input=pickle.dumps(world.facts()), check=True,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    opens = opened_below(log.read_text(errors="replace"), str(marker), world.root)
    limits = documented()
    assert limits["*"] is None
    for path, flags, size in opens:
        assert not any(word in flags for word in WRITES), (path, flags)
        with open(path, "rb") as file:
            is_database = file.read(16) in {b"SQLite format 3\0", b""} or path.endswith(("-wal", "-journal"))
        if is_database:
            continue  # a row of the table for all databases; tables and columns have a test of their own
        allowed = [most for pattern, most in limits.items() if most is not None and fnmatch(path, pattern)]
        assert allowed, f"{path} is in no row of the table"
        assert size <= 2 * max(allowed), (path, size)
    if name.startswith(("wandb", "mlflow", "swanlab", "neptunescale", "sacred")):
        assert opens


def test_the_page_is_current():
    tool = load_tool("write_trackers")
    assert tool.page(PAGE.read_text()) == PAGE.read_text(), "run `make docs`"
