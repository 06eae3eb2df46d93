import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from roar.analyze.fold import Made
from roar.analyze.trackers import analyze_trackers, initial_environment
from roar.analyze.trackers.wandb import TRACKER as WANDB
from roar.testing import Recording

sys.path.insert(0, str(Path(__file__).parents[2] / "fakes"))
from wandb_server import FakeWandb

ARCHIVE = Path(__file__).parents[2] / "data" / "tracker-samples.tar.gz"
START = 1_800_000_000_000_000_000
END = START + 60_000_000_000


class World(Recording):
    """A job's surroundings, and its facts as they pile up; all trackers may see them.

    What is printed counts as a client's own, unless `clients` is off.
    """

    clients = True

    def touch(self, path, **given):
        use = self._use(str(path))
        for name, value in given.items():
            setattr(use, name, value)
        return use.path

    def move(self, old, new):
        """The job renames a file or a folder."""
        old, new = os.path.join(self.cwd, old), os.path.join(self.cwd, new)
        os.makedirs(os.path.dirname(new), exist_ok=True)
        os.rename(old, new)
        moving = [path for path, use in self.uses.items()
                  if use.exists and (path == old or path.startswith(old + "/"))]
        self.clock += 1
        moved_ns = self.clock
        for path in moving:
            there = new + path[len(old):]
            use = self.touch(path, exists=False, moved_to=there, moved_ns=moved_ns)
            before = self.uses[use]
            self.touch(there, written=True, exists=True, moved_to=None, made=before.made, target=before.target,
                       last_ns=moved_ns)
            before.last_ns = moved_ns if before.written else 0

    def copy_away(self, old, new, **given):
        """The job copies a folder and removes the original."""
        old, new = os.path.join(self.cwd, old), os.path.join(self.cwd, new)
        shutil.copytree(old, new, **given)
        inside = [path for path, use in self.uses.items() if use.exists and path.startswith(old + "/")]
        for folder, folders, names in os.walk(new):
            for name in (*names, *(name for name in folders if os.path.islink(f"{folder}/{name}"))):
                path = self.touch(f"{folder}/{name}", written=True)
                if os.path.islink(path):
                    self.touch(path, made=Made.SYMLINK, target=os.readlink(path))
        shutil.rmtree(old)
        for path in inside:
            self.touch(path, exists=False)
            self.uses[path].last_ns = self.clock

    def load(self, *packages):
        """Import Python packages: a client that prints has been loaded."""
        for package in packages:
            self.touch(f"/venv/lib/python3.11/site-packages/{package}/__pycache__/__init__.cpython-311.pyc", read=True)

    def process(self, executable="/usr/bin/python3", *, pid=1, argv=(), **environment):
        self.start(executable, environment, pid=pid)
        self.processes[-1].argv = tuple(argv) or (executable,)

    def facts(self, tracker=WANDB, **changes):
        environment = initial_environment(self.environment)
        if self.console and self.clients:
            self.load("mlflow", "neptune", "clearml", "comet_ml", "pluto", "trackio")
        return replace(super().facts(tracker), environment=environment, started_at=START, ended_at=END, **changes)

    def analyze(self, enabled=None, **changes):
        found = analyze_trackers(self.facts(**changes), enabled or {})
        assert not found.warnings
        return found


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "world")


@pytest.fixture
def make_world():
    """More worlds than one: called with a folder for each."""
    return World


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def replay(samples, world):
    """The facts of a recorded run, its final files laid out in the world."""

    def replay(name):
        _lay_out(samples / name, world)
        return world

    return replay


def _lay_out(sample, world):
    case = json.loads((sample / "case.json").read_text())
    for top in ("cwd", "home", "tmp"):
        if (sample / top).is_dir():
            shutil.copytree(sample / top, world.root / top, symlinks=True, dirs_exist_ok=True)
    for line in (sample / "writes.jsonl").read_text().splitlines():
        _repeat(world, json.loads(line))
    for path, use in world.uses.items():
        use.exists = os.path.lexists(path)
    for output, descriptor in (("stdout.txt", 1), ("stderr.txt", 2)):
        if (sample / output).exists():
            world.say((sample / output).read_text(errors="replace"), descriptor=descriptor)
    world.environment = {name: value.replace("$W", str(world.root)) for name, value in case.get("env", {}).items()}
    for child in case.get("child_exec_env") or ():
        world.process("/bin/true", pid=200, **child["env"])
    for text in case.get("config_reads", ()):
        if text.startswith("$W"):
            world.touch(text.replace("$W", str(world.root)), read=True)


def _repeat(world, operation):
    path, kind = operation["path"].replace("$W", str(world.root)), operation["op"]
    source = operation.get("from", "").replace("$W", str(world.root))
    if kind == "mkdir":
        world.touch(path, written=True, made=Made.DIRECTORY)
    elif kind == "symlink":
        world.touch(path, written=True, made=Made.SYMLINK, target=source)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.lexists(path):
            os.symlink(source, path)
    elif kind in {"rename", "link"}:
        world.touch(path, written=True, made=world.uses[source].made if source in world.uses else Made.FILE)
        if kind == "rename" and os.path.islink(source):
            os.rename(source, path)
    else:
        world.touch(path, written=True)
        if kind == "write":
            world.uses[path].made = Made.FILE


@pytest.fixture
def train(desk):
    """Run a script under `roar run` and give the job."""
    desk.init()

    def train(script, *, status=0, python=sys.executable, **environment):
        desk.write("train.py", script)
        quiet = {"WANDB_ERROR_REPORTING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        desk.roar("run", python, "train.py", status=status, env={**quiet, **environment}, timeout=240)
        return desk.job()

    return train


@pytest.fixture
def wandb_server():
    with FakeWandb() as server:
        yield server


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory):
    """A real MLflow server on a free port."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
               "--backend-store-uri", "sqlite:///x.db"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(folder)}
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def pytest_collection_modifyitems(config, items):
    """Heavy tests make environments of their own; they run where they are asked for by name."""
    if not config.option.markexpr:
        for item in items:
            if item.get_closest_marker("heavy"):
                item.add_marker(pytest.mark.skip(reason="heavy: `make test-trackers` runs it"))
