"""What all tests share: the real `roar` in a folder, home and environment of its own."""

import fcntl
import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not look beside a test module by itself

import warm

PROGRAM = [sys.executable, "-m", "roar"]


class Desk:
    """A project folder with its own home, where `roar` is run as a user would."""

    def __init__(self, base):
        self.root = base / "project"
        self.home = base / "home"
        self.tmp = base / "tmp"
        for folder in (self.root, self.home, self.tmp):
            folder.mkdir()
        kept = ("PATH", "LANG", "LC_ALL", "TERM", "PIP_", "SSL_")
        self.env = {k: v for k, v in os.environ.items() if k.startswith(kept)}
        self.env |= {"HOME": str(self.home), "TMPDIR": str(self.tmp), "DO_NOT_TRACK": "1", "NO_COLOR": "1",
                     "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}",
                     "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CEILING_DIRECTORIES": str(base)}
        self.program = [*PROGRAM]

    def be_anybody(self):
        """From now on `roar` has no right to read and write everywhere, which root has."""
        if os.geteuid() == 0:
            self.program = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *self.program]

    def write(self, name, text, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def git(self, *arguments):
        done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=self.root,
                              env=self.env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def init(self):
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "start")

    def start(self, *arguments, env=None, **more):
        return subprocess.Popen([*self.program, *arguments], cwd=more.pop("cwd", self.root),
                                env={**self.env, **(env or {})}, **more)

    def roar(self, *arguments, status=0, env=None, cwd=None, text=True, timeout=120, **more):
        run = functools.partial(warm.run, "roar.cli") if self.program == PROGRAM else warm.run_cold
        done = run(self.program, arguments, env={**self.env, **(env or {})}, cwd=cwd or self.root, text=text,
                   timeout=timeout, **more)
        if status is not None:
            assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments):
        return json.loads(self.roar(*arguments, "--json").stdout)

    def job(self, ref="@-1"):
        return self.json("show", ref)

    def python(self, code, *arguments, **more):
        """`roar run` of a few lines of Python."""
        return self.roar("run", "--", sys.executable, "-c", code, *arguments, **more)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Make a file or folder that all of pytest's workers share: `made_once(name, make)`, where `make` takes its path.

    What it raises the next one that asks meets anew.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def get(name, make):
        path, ready = shared / name, shared / f"{name}.ready"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready.exists():
                make(path)
                ready.touch()
        return path

    return get


@pytest.fixture(autouse=True, scope="session")
def signals_are_heard():
    """nohup(1) and `&` in a script leave signals ignored, and so would every command that a test starts."""
    for number, heard in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGQUIT, signal.SIG_DFL),
                          (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, heard)
