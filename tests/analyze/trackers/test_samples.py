"""Recorded runs of the real trackers: the right references, nothing of a tracker left, nothing of the user's lost."""

import json
import tarfile
from pathlib import Path

import pytest

from roar.analyze.fold import Made
from roar.analyze.trackers import analyze_trackers

ARCHIVE = Path(__file__).parents[2] / "data" / "tracker-samples.tar.gz"
with tarfile.open(ARCHIVE) as archive:
    NAMES = sorted({member.name.split("/")[0] for member in archive if "/" in member.name})


@pytest.mark.parametrize("name", NAMES)
def test_sample(name, samples, replay):
    expected = json.loads((samples / name / "expected.json").read_text())
    world = replay(name)

    analysis = analyze_trackers(world.facts(), {})

    assert not analysis.warnings
    kept = _outputs(world) - {path.removeprefix(f"{world.cwd}/") for path in analysis.owned}
    if expected.get("optional"):
        assert set(expected["kept"]) <= kept
        return
    assert kept - set(expected.get("may_keep", ())) == set(expected["kept"])
    loose = {run["tracker"] for run in expected["runs"] if run.get("compare") == "tracker"}
    wanted = [run for run in expected["runs"] if run["tracker"] not in loose]
    found = [run for run in analysis.runs if run.tracker not in loose]
    assert sorted((run.tracker, run.url or run.run_id) for run in found) == sorted(
        (run["tracker"], run["url"] or run["run_id"]) for run in wanted
    )
    assert loose <= {run.tracker for run in analysis.runs}
    for run in wanted:
        match = next(other for other in found if run["run_id"] in (None, other.run_id))
        assert (match.url or None) == run["url"]
        for field in ("project", "entity"):
            assert not run[field] or getattr(match, field) == run[field]


def _outputs(world):
    kept = (use.path for use in world.uses.values() if use.written and use.exists and use.made is not Made.DIRECTORY)
    return {path.removeprefix(f"{world.cwd}/") for path in kept if path.startswith(f"{world.cwd}/")}
