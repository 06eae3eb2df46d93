"""What recording costs beside what it must cost: digesting by hand, and roar-cli where it can do the same.

No load deletes many files, and none writes where many were deleted: ext4 passes over the inodes of files that were
deleted in the last minutes one by one, so that writing 100,000 files took 63 s then instead of 4.

usage: recording.py [--long] [--only NAME] [--folder DIR] [--markdown FILE]

Every figure is a ratio within one run. roar-cli is taken from the program that ROAR_CLI names (installed in an
environment of its own); without it its columns stay empty. --long adds the loads of 100,000 files.
"""

import argparse
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from blake3 import blake3

ROAR = [sys.executable, "-m", "roar"]
READ_ALL = "import os, sys\nfor d, _, fs in os.walk(sys.argv[1]):\n  for f in fs: open(f'{d}/{f}', 'rb').read()"
DIGEST_LARGE = """
import sys, time
from blake3 import blake3
began = time.perf_counter()
blake3(max_threads=blake3.AUTO).update_mmap(sys.argv[1]).digest()
print(time.perf_counter() - began)
"""
REPEAT = 3
READ_WRITE = """
import os, sys
source, target = sys.argv[1:]
for folder, _, files in os.walk(source):
    out = folder.replace(source, target, 1)
    os.makedirs(out, exist_ok=True)
    for name in files:
        with open(f'{folder}/{name}', 'rb') as one, open(f'{out}/{name}', 'wb') as other:
            other.write(one.read()[::-1])
"""



def timed(command, cwd, env=None):
    """Wall seconds and peak memory (bytes) of one command that must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, use = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:4]} ended with {process.returncode}: {errors.decode(errors='replace')[-2000:]}")
    process.stderr.close()
    return time.perf_counter() - began, use.ru_maxrss * 1024


def make_files(folder, count, size=2000, per_folder=500):
    """`count` different small files."""
    for number in range(count):
        place = folder / str(number // per_folder)
        if number % per_folder == 0:
            place.mkdir(parents=True)
        (place / f"{number}.bin").write_bytes(os.urandom(size))
    os.sync()


def workspace(base):
    """An empty git work tree."""
    base.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=base, check=True)
    (base / ".gitignore").write_text(".roar/\nin/\nout*/\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "add", "."], cwd=base, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "start"], cwd=base, check=True)
    return base


def after_command(base, command):
    """Seconds from the command's end to that of `roar run`, and its peak memory."""
    _, memory = timed([*ROAR, "run", "-q", *command], base)
    ended = time.time()
    shown = subprocess.run([*ROAR, "show", "@-1", "--json"], cwd=base, check=True, capture_output=True).stdout
    job = json.loads(shown)
    return ended - datetime.fromisoformat(job["started_at"]).timestamp() - job["duration_s"], memory


def digest_by_hand(folder):
    """Seconds for a plain thread pool over blake3."""
    paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]

    def one(path):
        with open(path, "rb") as file:
            return blake3(file.read()).digest()

    began = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, paths, chunksize=64))
    return time.perf_counter() - began


def same_job_s(base, command):
    """What a job costs after its command when its input is small: the same interpreter and packages, no content."""
    return statistics.median(after_command(base, command)[0] for _ in range(5))


def small_inputs(base, rows):
    """20,000 small inputs, first and second run."""
    make_files(base / "in", 20_000)
    by_hand, first, second = [], [], []
    for _ in range(3):
        shutil.rmtree(base / ".roar", ignore_errors=True)
        by_hand.append(digest_by_hand(base / "in"))
        first.append(after_command(base, [sys.executable, "-c", READ_ALL, "in"])[0])
        second.append(after_command(base, [sys.executable, "-c", READ_ALL, "in"])[0])
    hand = statistics.median(by_hand)
    rows.append(("20,000 small inputs: time after the command / thread pool over blake3",
                 statistics.median(first) / hand, "1.5"))
    rows.append(("the same again / the first time", statistics.median(second) / statistics.median(first), "0.15"))


def large_input(base, rows):
    """One input of 2 GiB."""
    block = os.urandom(1 << 20)
    (base / "in").mkdir()
    large = base / "in" / "large.bin"
    with large.open("wb") as file:
        for number in range(2048):
            file.write(number.to_bytes(8, "little") + block[8:])
    os.sync()
    peek = [sys.executable, "-c", "open('in/large.bin','rb').read(10)"]
    (base / "in" / "small.bin").write_bytes(block[:10])
    floor = same_job_s(base, [word.replace("large", "small") for word in peek])
    by_hand, first, second = [], [], []
    for _ in range(3):
        shutil.rmtree(base / ".roar", ignore_errors=True)
        by_hand.append(float(subprocess.run([sys.executable, "-c", DIGEST_LARGE, large], check=True,
                                            capture_output=True, text=True).stdout))
        first.append(after_command(base, peek)[0] - floor)
        second.append(after_command(base, peek)[0] - floor)
    rows.append(("one input of 2 GiB, beyond the same job with a small one / blake3 with all threads",
                 statistics.median(first) / statistics.median(by_hand), "1.1"))
    rows.append(("the same again, milliseconds beyond the same job with a small one",
                 statistics.median(second) * 1000, "50"))


def many_inputs(base, rows):
    """100,000 inputs: what remains beyond digesting, and what the next job with them costs."""
    make_files(base / "in", 100_000, size=100)
    hand = digest_by_hand(base / "in")
    first, _ = after_command(base, [sys.executable, "-c", READ_ALL, "in"])
    database = base / ".roar" / "roar.db"
    subprocess.run([*ROAR, "log"], cwd=base, check=True, stdout=subprocess.DEVNULL)
    before = size_of(database)
    again, _ = after_command(base, [sys.executable, "-c", READ_ALL, "in"])
    grown = size_of(database) - before
    rows.append(("100,000 inputs: seconds beyond digesting them by hand", first - hand, "2"))
    rows.append(("the same dataset in the next job: seconds in all", again, ""))
    rows.append(("the same: kB more in the database", grown / 1000, "20"))


def size_of(database):
    """Bytes in use by a SQLite file."""
    with sqlite3.connect(database) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        return (pages - free) * connection.execute("PRAGMA page_size").fetchone()[0]


def beside_roar_cli(base, other, count, bounds, rows, *, ask=True):
    """A command that reads and writes `count` files, under both; roar-cli is asked about it where `ask` says so."""
    make_files(base / "in", count, size=500)
    plain_times, our_times = [], []
    for turn in range(REPEAT):
        shutil.rmtree(base / ".roar", ignore_errors=True)
        os.sync()  # what was written before is nobody's to wait for
        plain_times.append(timed([sys.executable, "-c", READ_WRITE, "in", f"out-plain{turn}"], base)[0])
        os.sync()
        spent, memory = timed([*ROAR, "run", "-q", sys.executable, "-c", READ_WRITE, "in", f"out{turn}"], base)
        our_times.append(spent)
        shutil.rmtree(base / f"out-plain{turn}")
    plain, ours = statistics.median(plain_times), statistics.median(our_times)
    rows.append((f"{count:,} files read and {count:,} written: seconds of the plain command", plain, ""))
    rows.append(("the same: roar run / plain", ours / plain, ""))
    rows.append(("the same: peak memory of roar, MB", memory / 1e6, bounds[1]))
    cli = os.environ.get("ROAR_CLI")
    if cli:
        shutil.copytree(base / "in", other / "in")
        subprocess.run([cli, "init", "-n"], cwd=other, check=False, capture_output=True)
        # Its default as root, eBPF, records no file at all on some kernels; this one sees the load.
        subprocess.run([cli, "config", "set", "tracer.default", "preload"], cwd=other, check=True, capture_output=True)
        os.sync()
        theirs, their_memory = timed([cli, "run", sys.executable, "-c", READ_WRITE, "in", "out1"], other)
        rows.append(("the same: seconds of roar-cli run", theirs, ""))
        rows.append(("the same: roar run / roar-cli run", ours / theirs, bounds[0]))
        rows.append(("the same: peak memory of roar-cli, MB", their_memory / 1e6, ""))
    for verb, *words in (["status"], ["dag"], ["lineage", f"out{turn}/"]):
        one = statistics.median(timed([*ROAR, verb, *words], base)[0] for _ in range(3))
        rows.append((f"the same: seconds of roar {verb}", one, "0.3"))
        if cli and ask and not words:  # it has no lineage of a folder
            rows.append((f"the same: roar {verb} / roar-cli {verb}", one / timed([cli, verb], other)[0], ""))


def main():
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="", help="loads whose name contains this")
    parser.add_argument("--folder", default=os.environ.get("BENCH_FOLDER", "/var/tmp"), help="where the files are made"
                        " (default: $BENCH_FOLDER, or /var/tmp): what a disk does at the same time is not in the"
                        " numbers of a tmpfs")
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    rows = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    with tempfile.TemporaryDirectory(prefix="roar-bench-", dir=args.folder) as folder:
        if args.only in "beside roar-cli":  # first: a process starts with the peak memory of the one that starts it
            beside_roar_cli(workspace(Path(folder, "a")), workspace(Path(folder, "b")), 10_000, ("1/20", ""), rows)
        for load in (small_inputs, large_input, many_inputs):
            if args.only in load.__name__:
                load(workspace(Path(folder, load.__name__)), rows)
        if args.long and args.only in "beside roar-cli":
            beside_roar_cli(workspace(Path(folder, "c")), workspace(Path(folder, "d")), 100_000, ("1/25", "400"), rows,
                            ask=False)  # its status takes minutes
    lines = ["| load | measured | at most |", "|---|--:|--:|"]
    lines += [f"| {name} | {value:.3g} | {bound} |" for name, value, bound in rows]
    kind = subprocess.run(["stat", "-f", "-c", "%T", args.folder], capture_output=True, text=True, check=True).stdout
    lines += ["", f"The files lay on {kind.strip()}."]
    print("\n".join(lines))
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
