"""What recognising experiment trackers costs: nine of ten files are a tracker's, at 1k to 1M paths.

usage: python benchmarks/trackers.py [--json FILE]

Each size is analysed with all trackers on and with all off; the cost is the difference of the medians. The paths lie
in one real folder with the files that carry references; the others are only names, as trackers look at names alone.
"""

import argparse
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path

from roar.analyze.fold import PathUse, Uses
from roar.analyze.trackers import TrackerFacts, analyze_trackers

SIZES = (1_000, 10_000, 100_000, 1_000_000)
RUN = "wandb/run-20261122_231729-abc12345"
MLFLOW_RUN = "0123456789abcdef0123456789abcdef"
LIMIT_S = 0.5


def job(root: Path, count: int) -> TrackerFacts:
    """A job of so many paths: user files, a W&B run full of media, an MLflow file store, event files."""
    names = [f"data/part-{number // 1000}/item-{number}.csv" for number in range(count // 10)]
    share = count * 3 // 10
    names += [f"{RUN}/files/media/images/image_{number}_{number * 7919:020x}.png" for number in range(share)]
    names += [f"{RUN}/run-abc12345.wandb", f"{RUN}/logs/debug.log", f"mlruns/0/{MLFLOW_RUN}/meta.yaml"]
    names += [f"mlruns/0/{MLFLOW_RUN}/metrics/loss_{number}" for number in range(share)]
    names += [f"runs/exp{number // 100}/events.out.tfevents.1795390710.host.{number}.0" for number in range(share)]
    paths = [f"{root}/{name}" for name in names]
    uses = {path: PathUse(path=path, written=True) for path in paths}
    return TrackerFacts(
        uses=Uses(uses), cwd=str(root), home=f"{root}/home", tmpdir=f"{root}/tmp", started_at=0,
        ended_at=time.time_ns(), workspace=str(root),
    )


def prepare(root: Path) -> None:
    """The few files that are really opened."""
    for name, content in (
        (f"{RUN}/run-abc12345.wandb", b":W&B\xe1\xbe\x00"),
        (f"{RUN}/logs/debug.log", b"finishing run team/project/abc12345\n"),
        (f"mlruns/0/{MLFLOW_RUN}/meta.yaml", f"run_id: {MLFLOW_RUN}\n".encode()),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def seconds(facts: TrackerFacts, enabled: dict[str, bool], times: int) -> float:
    """The median of some runs."""
    taken = []
    for _ in range(times):
        gc.collect()
        start = time.perf_counter()
        analyze_trackers(facts, enabled)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> int:
    """Measure, print, and say whether the limit at 100,000 paths holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    arguments = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(root)
        analyze_trackers(job(root, 1000), {})  # imports are paid once
        print(f"{'paths':>10}  {'seconds':>8}  {'µs per path':>12}")
        for size in arguments.sizes:
            facts = job(root, size)
            times = 5 if size <= SIZES[2] else 3
            cost = seconds(facts, {}, times) - seconds(facts, {"*": False}, times)
            figures[str(size)] = cost
            print(f"{size:>10}  {cost:>8.3f}  {cost / size * 1e6:>12.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(figures.get(str(SIZES[2]), 0) > LIMIT_S)


if __name__ == "__main__":
    raise SystemExit(main())
