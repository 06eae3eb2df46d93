"""What starting roar costs: each command beside a bare Python, and a long history beside an empty workspace.

usage: startup.py [--repeat N] [--jobs N] [--json FILE]

All commands are timed in turn, N rounds, and compared by their medians. `--jobs` sets the length of the history
(default 10,000 jobs with 100 file uses each); 0 leaves it out. roar-cli is taken from the program that ROAR_CLI names
(installed in an environment of its own); without it its rows stay out.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from roar.model import FileUse, Job, JobState, Tracer
from roar.record.database import open_database
from roar.record.writer import write_job

BARE = [sys.executable, "-c", "pass"]
ROAR = [str(Path(sys.executable).with_name("roar"))]
USES = 50  # inputs, and as many outputs, of each job of the history
CHAIN = 200  # jobs that follow each other
BOUNDS = {"roar --help": 3, "roar log": 8, "roar run true": 12}
HISTORY_BOUND = 3


def timed(command, folder):
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def medians(commands, repeat):
    """Median seconds by name, the commands timed in turn; a first round warms the caches."""
    times = {name: [] for name in commands}
    for turn in range(repeat + 1):
        for name, (command, folder) in commands.items():
            seconds = timed(command, folder)
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def file(path):
    return FileUse(path=path, digest=hashlib.sha256(path.encode()).hexdigest(), size=1000)


def write_history(folder, jobs):
    """Chains of CHAIN jobs, each reading what the one before it wrote."""
    folder.mkdir()
    (folder / ".roar").mkdir()
    database = open_database(str(folder / ".roar" / "roar.db"))
    database.execute("PRAGMA synchronous = OFF")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(jobs):
        chain, level = divmod(number, CHAIN)
        started = (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        write_job(database, Job(
            uid=f"{number:032x}", step=0, command=("python", "step.py", str(chain), str(level)), cwd=".",
            started_at=started, duration_s=1.0, exit_code=0, state=JobState.DONE, tracer=Tracer(mode="full"),
            inputs=tuple(file(f"{chain}/{level}/{place}") for place in range(USES)),
            outputs=tuple(file(f"{chain}/{level + 1}/{place}") for place in range(USES))))
    database.close()
    return (folder / ".roar" / "roar.db").stat().st_size


def start_up(base, repeat):
    here = base / "few"
    here.mkdir()
    subprocess.run([*ROAR, "init", "--here"], cwd=here, check=True, stdout=subprocess.DEVNULL)
    commands = {"python3 -c pass": (BARE, here), "roar --help": ([*ROAR, "--help"], here),
                "roar log": ([*ROAR, "log"], here), "roar run true": ([*ROAR, "run", "true"], here)}
    other = os.environ.get("ROAR_CLI")
    if other:
        theirs = base / "theirs"
        theirs.mkdir()
        (theirs / ".gitignore").write_text(".roar/\n")  # it refuses a dirty tree
        for command in (["git", "init", "-q"], ["git", "add", "."],
                        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "start"],
                        [other, "init", "-n"], [other, "config", "set", "tracer.default", "preload"],
                        [other, "run", "true"]):
            subprocess.run(command, cwd=theirs, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        commands |= {f"roar-cli {' '.join(words)}": ([other, *words], theirs)
                     for words in (["--help"], ["log"], ["run", "true"])}
    times = medians(commands, repeat)
    bare = times["python3 -c pass"]
    print("| command | seconds | x bare Python | bound |\n|---|--:|--:|--:|")
    for name, seconds in times.items():
        print(f"| `{name}` | {seconds:.3f} | {seconds / bare:.1f} | {BOUNDS.get(name, '')} |")
    return {name: seconds / bare for name, seconds in times.items()}


def history(base, jobs, repeat):
    one, many = base / "one", base / "many"
    write_history(one, 1)
    began = time.perf_counter()
    size = write_history(many, jobs)
    writing = time.perf_counter() - began
    verbs = {"log": [], "show": ["@-1"], "lineage": ["@-1", "--depth", "20"]}
    commands = {(verb, place): ([*ROAR, verb, *arguments], folder) for verb, arguments in verbs.items()
                for place, folder in (("one", one), ("many", many))}
    times = medians(commands, repeat)
    print(f"\n{jobs:,} jobs, {2 * USES * jobs:,} file uses: {size / 1e6:.0f} MB, written in {writing:.0f} s\n")
    print("| command | one job | long history | ratio | bound |\n|---|--:|--:|--:|--:|")
    ratios = {}
    for verb, arguments in verbs.items():
        ratios[verb] = times[verb, "many"] / times[verb, "one"]
        print(f"| `roar {' '.join([verb, *arguments])}` | {times[verb, 'one']:.3f} | {times[verb, 'many']:.3f} |"
              f" {ratios[verb]:.2f} | {HISTORY_BOUND} |")
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = {"start_up": start_up(Path(folder), arguments.repeat)}
        if arguments.jobs:
            result["history"] = history(Path(folder), arguments.jobs, arguments.repeat)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    late = [name for name, bound in BOUNDS.items() if result["start_up"][name] > bound]
    late += [name for name, ratio in result.get("history", {}).items() if ratio > HISTORY_BOUND]
    if late:
        print(f"\nover the bound: {', '.join(late)}", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
