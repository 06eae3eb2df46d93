import json
import os
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from roar.analyze.fold import Made, PathUse
from roar.analyze.trackers import TrackerFacts, initial_environment
from roar.observe.trace import ConsoleLine, Process

ARCHIVE = Path(__file__).parents[2] / "data" / "tracker-samples.tar.gz"
START = 1_800_000_000_000_000_000
END = START + 60_000_000_000


@dataclass
class World:
    """A job's surroundings, and its facts as they pile up."""

    root: Path
    uses: dict[str, PathUse] = field(default_factory=dict)
    console: list[ConsoleLine] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    clock: int = 0

    def __post_init__(self):
        for top in ("cwd", "home", "tmp"):
            (self.root / top).mkdir(parents=True, exist_ok=True)
        self.cwd, self.home, self.tmp = (self.root / top for top in ("cwd", "home", "tmp"))

    def use(self, path, **given):
        self.clock += 1
        path = str(self.cwd / path) if not str(path).startswith("/") else str(path)
        use = self.uses.setdefault(path, PathUse(path=path, first_ns=self.clock))
        for name, value in given.items():
            setattr(use, name, value)
        return path

    def write(self, path, content=b"x", *, keep=True):
        path = self.use(path, written=True, exists=keep)
        if keep:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(self, path, content=b"x"):
        path = self.use(path, read=True)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path):
            Path(path).write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def link(self, path, target):
        path = self.use(path, written=True, made=Made.SYMLINK, target=str(target))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
        return path

    def say(self, text, *, pid=100, descriptor=2):
        for line in text.splitlines():
            self.clock += 1
            self.console.append(ConsoleLine(self.clock, pid, descriptor, line))

    def process(self, executable="/usr/bin/python3", pid=100, argv=(), **environment):
        self.clock += 1
        self.processes.append(Process(
            pid=pid, ppid=1, argv=tuple(argv) or (executable,), executable=executable, cwd=str(self.cwd),
            started_ns=self.clock, environment=environment,
        ))

    def facts(self, **changes):
        return TrackerFacts(**{
            "uses": self.uses, "processes": self.processes, "console": self.console,
            "environment": initial_environment(self.environ), "cwd": str(self.cwd), "home": str(self.home),
            "tmpdir": str(self.tmp), "started_at": START, "ended_at": END, "workspace": str(self.cwd), **changes,
        })


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "world")


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
    world.environ = {name: value.replace("$W", str(world.root)) for name, value in case.get("env", {}).items()}
    for child in case.get("child_exec_env") or ():
        world.process("/bin/true", pid=200, **child["env"])
    for text in case.get("config_reads", ()):
        if text.startswith("$W"):
            world.read(text.replace("$W", str(world.root)))


def _repeat(world, operation):
    path, kind = operation["path"].replace("$W", str(world.root)), operation["op"]
    source = operation.get("from", "").replace("$W", str(world.root))
    if kind == "mkdir":
        world.use(path, written=True, made=Made.DIRECTORY)
    elif kind == "symlink":
        world.use(path, written=True, made=Made.SYMLINK, target=source)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.lexists(path):
            os.symlink(source, path)
    elif kind in {"rename", "link"}:
        world.use(path, written=True, made=world.uses[source].made if source in world.uses else Made.FILE)
        if kind == "rename" and os.path.islink(source):
            os.rename(source, path)
    else:
        world.use(path, written=True)
        if kind == "write":
            world.uses[path].made = Made.FILE
