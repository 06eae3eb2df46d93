"""A tracker of another distribution, installed for real."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the plug-in as an installer would leave it."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "package"
    subprocess.run(["cp", "-r", PACKAGE, source], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", target, source], check=True)
    return target


def ask(installed, question, **environment):
    """What a fresh interpreter that has the plug-in answers."""
    script = f"import json, roar.analyze.trackers as trackers\nprint(json.dumps({question}))"
    paths = f"{installed}:{Path(__file__).parents[3] / 'src'}"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True,
        env={"PYTHONPATH": paths, "PATH": "/usr/bin:/bin", **environment},
    )
    return json.loads(done.stdout)


def test_plugin_is_known_with_its_distribution(installed):
    known = {name: [label, source] for name, label, source, _ in ask(installed, "trackers.known_trackers()")}
    assert known["labbook"] == ["Labbook", "labbook-roar"]
    assert known["wandb"][0] == "W&B"


def test_plugin_that_cannot_be_loaded_says_why(installed):
    problems = {name: problem for name, _, _, problem in ask(installed, "trackers.known_trackers()")}
    assert "No module named" in problems["missing"]
    assert problems["labbook"] is None


def test_its_environment_is_seen_before_the_command_starts(installed):
    assert {"LABBOOK_URL", "LABBOOK_TEAM_*"} <= set(ask(installed, "trackers.environment_names({})"))
    assert "LABBOOK_URL" not in ask(installed, "trackers.environment_names({'labbook': False})")


def test_its_files_and_runs_are_found_and_a_broken_one_is_named_once(installed, tmp_path):
    entry = tmp_path / "labbook" / "7" / "entry.json"
    entry.parent.mkdir(parents=True)
    entry.write_text('{"id": 7}')
    question = f"""(lambda found: [
        [run.url for run in found.runs], list(found.owned), found.warnings,
    ])(trackers.analyze_trackers(trackers.TrackerFacts(
        uses=(fold := __import__('roar.analyze.fold').analyze.fold).Uses(
            {{{str(entry)!r}: fold.PathUse(path={str(entry)!r})}}),
        environment=trackers.initial_environment({{'LABBOOK_URL': 'https://book.example'}}), cwd='/', home='/',
        tmpdir='/', started_at=0, ended_at=1, workspace='/',
    ), {{}}))"""
    urls, owned, warnings = ask(installed, question)
    assert urls == ["https://book.example/runs/7"]
    assert owned == [str(entry)]
    assert sum("broken" in warning and "a bug in the plug-in" in warning for warning in warnings) == 1


def test_without_plugins_no_metadata_is_loaded_before_the_command_starts():
    script = (
        "import sys; from roar.analyze.trackers.discovery import environment_names; environment_names({});"
        "assert 'importlib.metadata' not in sys.modules; assert 'dataclasses' not in sys.modules"
    )
    source = str(Path(__file__).parents[3] / "src")
    subprocess.run([sys.executable, "-S", "-c", script], check=True, env={"PYTHONPATH": source, "PATH": "/usr/bin"})
