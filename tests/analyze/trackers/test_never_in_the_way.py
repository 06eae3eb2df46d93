"""The tracker's files, its network calls and the command's output are the same with and without roar."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.skipif(find_spec("wandb") is None or find_spec("mlflow") is None, reason="the SDKs are not installed"),
]
KEY = "k" * 40
SCRIPT = """
import hashlib, json, os, sys
from pathlib import Path
import mlflow, wandb

run = wandb.init(project="demo", name="first")
run.log({"loss": 0.5})
Path(run.dir, "mine.txt").write_text("mine")
run.finish()
mlflow.set_tracking_uri("sqlite:///store.db")
with mlflow.start_run(run_name="calm-owl"):
    mlflow.log_metric("loss", 0.5)
    Path("model.txt").write_text("model")
    mlflow.log_artifact("model.txt")
print("the command's own last words")
os.execv(sys.executable, [sys.executable, "manifest.py"])
"""
MANIFEST = """
import hashlib, json, os, time
from pathlib import Path

time.sleep(2)  # whatever the tracker's service still writes
files = [path for top in ("wandb", "store.db", "mlruns") for path in [Path(top), *sorted(Path(top).rglob("*"))]]
state = {}
for path in files:
    stat = path.lstat()
    content = os.readlink(path) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
    state[str(path)] = [stat.st_mode, stat.st_mtime_ns, hashlib.sha256(content.encode()).hexdigest()]
Path(os.environ["MANIFEST"]).write_text(json.dumps(state))
"""


@pytest.fixture
def broken_plugin(tmp_path):
    """A folder for PYTHONPATH with a tracker that raises, as an installer would leave it."""
    site = tmp_path / "site"
    shutil.copytree(Path(__file__).parents[2] / "plugin_package" / "src", site)
    info = site / "labbook_roar-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: labbook-roar\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[roar.trackers]\nbroken = labbook_roar.broken:TRACKER\n")
    return site


def environment(desk, server, manifest):
    return {
        "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_RUN_ID": "fixedid1", "MANIFEST": str(manifest),
        "WANDB_ERROR_REPORTING": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def state(folder, names):
    found = {}
    for name in names:
        path = Path(folder, name)
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
        stat = path.lstat()
        found[name] = [stat.st_mode, stat.st_mtime_ns, hashlib.sha256(content.encode()).hexdigest()]
    return found


def calls(server):
    """What was asked of the server; how often the client repeats itself is its own affair."""
    return {
        (request.method, re.sub(r"\?.*", "", request.path), request.json.get("operationName"))
        for request in server.requests
    }


def lines(text):
    """Printed lines without what differs from run to run: times and progress."""
    text = re.sub(r"\d{8}_\d{6}", "TIME", text)
    text = re.sub(r"\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d", "TIME", text)
    progress = re.compile(r"updating run metadata|uploading|Synced|calm-river")
    return {line for line in text.splitlines() if not progress.search(line)}


def test_files_calls_and_output_are_the_same(desk, wandb_server, broken_plugin, tmp_path):
    desk.init()
    desk.write("train.py", SCRIPT)
    desk.write("manifest.py", MANIFEST)
    manifest = tmp_path / "manifest.json"
    env = environment(desk, wandb_server, manifest)
    command = [sys.executable, "train.py"]
    plain = subprocess.run(command, cwd=desk.root, env={**desk.env, **env}, capture_output=True, text=True, check=True)
    expected_calls = calls(wandb_server)
    for analyzer, more in (("on", {}), ("off", {"ROAR_ANALYZERS_EXPERIMENT_TRACKERS": "false"}),
                           ("raising", {"PYTHONPATH": str(broken_plugin)})):
        for name in ("wandb", "mlruns"):
            shutil.rmtree(desk.root / name)
        (desk.root / "store.db").unlink()
        wandb_server.requests.clear()
        wandb_server.runs.clear()
        compare(desk, wandb_server, {**env, **more}, analyzer, manifest, plain, expected_calls)


def compare(desk, wandb_server, env, analyzer, manifest, plain, expected_calls):
    done = desk.roar("run", *(["-q"] if analyzer != "raising" else []), sys.executable, "train.py", env=env)

    said = json.loads(manifest.read_text())
    assert state(desk.root, said) == said
    assert {str(path.relative_to(desk.root)) for path in (desk.root / "wandb").rglob("*")} <= said.keys()
    assert not list(desk.root.glob("store.db-*"))
    assert calls(wandb_server) == expected_calls
    assert done.stdout == plain.stdout
    assert lines(plain.stderr) <= lines(done.stderr)
    job = desk.job()
    assert bool(job["tracker_runs"]) is (analyzer != "off")
    if analyzer == "raising":
        assert done.stderr.count("broken") == 1
    else:
        assert lines(done.stderr) == lines(plain.stderr)
    if analyzer == "off":
        paths = {output["path"] for output in job["outputs"]}
        assert "store.db" in paths
        assert any(path.startswith("wandb") for path in paths)
