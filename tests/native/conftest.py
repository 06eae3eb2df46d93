"""Runs programs under the native tracer itself, as root or as an ordinary user, and reads what it saw."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from roar.analyze.fold import PathUse, Uses, fold
from roar.observe import log as event_log
from roar.observe import tracing
from roar.observe.trace import Trace

ORDINARY_USER = 65534
AS_ORDINARY_USER = ["setpriv", f"--reuid={ORDINARY_USER}", f"--regid={ORDINARY_USER}", "--clear-groups"]
STORIES = Path(__file__).parent


@dataclass
class Outcome:
    """What came of one traced run."""

    trace: Trace
    exit_code: int
    output: str
    mode: str
    messages: list[str]


def _run_traced(
    command: list[str], folder: Path, mode: str, *, user: str = "root", timeout: float = 120
) -> Outcome:
    log = folder / "event.log"
    reader, writer = os.pipe()
    tracer = [
        tracing._TRACER, "--log", str(log), "--mode", mode, "--library", tracing._LIBRARY,
        "--canary", tracing._CANARY, "--status", str(writer), "--environment", "HOME:STORY_*", "--", *command,
    ]  # fmt: skip
    if user != "root":
        tracer = [*AS_ORDINARY_USER, *tracer]
    done = subprocess.run(
        tracer, cwd=folder, pass_fds=[writer], capture_output=True, timeout=timeout, check=False, text=True
    )
    os.close(writer)
    with os.fdopen(reader) as file:
        messages = file.read().splitlines()
    trace = event_log.load_trace(log)
    assert _uses_by_folder(log) == {path: _seen(use) for path, use in fold(trace.events).items()}
    ended = event_log.load_ended(log)
    log.unlink(missing_ok=True)
    return Outcome(trace, ended.exit_code if ended else -1, done.stdout + done.stderr, trace.mode, messages)


def _uses_by_folder(log: Path) -> dict[str, PathUse]:
    """What the log says when it is taken apart by folder."""
    apart = event_log.load_trace(log, by_folder=True)
    return {path: _seen(use) for path, use in Uses(fold(apart.events), apart.folders).items()}


def _seen(use: PathUse) -> PathUse:
    """Without what the file system says now: a daemon may still be at work."""
    return replace(use, exists=True, status=None)


@pytest.fixture(scope="session")
def run_traced() -> Callable[..., Outcome]:
    return _run_traced


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that an ordinary user can reach; pytest's own can only be entered by their owner."""
    folder = Path(tempfile.mkdtemp(prefix="roar-native-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def build(open_folder, made_once) -> Callable[..., Path]:
    """Compile a C program once for all tests; skip where the compiler is missing or cannot do it."""
    made: dict[str, Path] = {}

    def compile_once(source: Path, *flags: str, compiler: str = "gcc") -> Path:
        if source.stem not in made:
            if shutil.which(compiler) is None:
                pytest.skip(f"{compiler} is not installed")

            def make(target: Path) -> None:
                command = [compiler, "-O1", "-Wall", "-o", str(target), str(source), *flags]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    pytest.fail(done.stderr)

            made[source.stem] = Path(shutil.copy(made_once(f"program-{source.stem}", make), open_folder))
        return made[source.stem]

    return compile_once


@pytest.fixture
def story_folder(open_folder) -> Iterator[Callable[[str], Path]]:
    """Make a folder with the files that the stories start from, owned by the user who will run them."""
    yield from _story_folders(open_folder)


@pytest.fixture
def quick_story_folder() -> Iterator[Callable[[str], Path]]:
    """The same in memory, for programs that make a great many files."""
    memory = Path("/dev/shm")
    yield from _story_folders(memory if memory.is_dir() else Path(tempfile.gettempdir()))


def _story_folders(base: Path) -> Iterator[Callable[[str], Path]]:
    made: list[Path] = []

    def make(user: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="roar-story-", dir=base))
        made.append(folder)
        (folder / "data").mkdir()
        for name in ("in.txt", "old.txt", "data/in.txt"):
            (folder / name).write_text("input\n")
        for path in (folder, *folder.rglob("*")):
            if user != "root":
                os.chown(path, ORDINARY_USER, ORDINARY_USER)
        return folder

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
