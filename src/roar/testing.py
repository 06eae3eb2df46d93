"""Checks for authors of tracker plug-ins: the ones that the built-in trackers pass.

Example::

    from roar.testing import Recording, check_tracker
    from mypackage.roar import TRACKER

    def test_tracker(tmp_path):
        recording = Recording(tmp_path)
        recording.write("mytracker/run-1/log.bin", b"...")
        recording.write("model.pt", b"...")
        findings = check_tracker(TRACKER, recording)
        assert [run.run_id for run in findings.runs] == ["1"]
        assert f"{recording.cwd}/model.pt" not in findings.owned
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path

from roar.analyze.fold import Made, PathUse, Uses
from roar.analyze.trackers.analysis import TrackerAnalysis, analyze_with, environment_of, is_secret
from roar.analyze.trackers.contract import Tracker
from roar.analyze.trackers.evidence import TrackerFacts
from roar.analyze.trackers.urls import clean_url
from roar.model import TrackerRunState
from roar.observe.trace import ConsoleLine, Process

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NEEDS_COMMAND = (TrackerRunState.OFFLINE, TrackerRunState.LOCAL)


class TrackerCheckError(AssertionError):
    """A tracker breaks its contract; the message says how."""


@dataclass(slots=True)
class Recording:
    """A job made up for a test: real files below `root`, and what a tracer would have seen of them.

    Attributes:
        root: an empty folder; `cwd`, `home` and `tmp` are made in it.
        environment: of the command at its start.
    """

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    uses: dict[str, PathUse] = field(default_factory=dict)
    console: list[ConsoleLine] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    clock: int = 0

    def __post_init__(self) -> None:
        for folder in (self.cwd, self.home, self.tmp):
            os.makedirs(folder, exist_ok=True)

    @property
    def cwd(self) -> str:
        """The command's folder, which is also the workspace."""
        return os.path.join(self.root, "cwd")

    @property
    def home(self) -> str:
        """The user's folder."""
        return os.path.join(self.root, "home")

    @property
    def tmp(self) -> str:
        """The folder for temporary files."""
        return os.path.join(self.root, "tmp")

    def write(self, path: str, content: bytes = b"", *, remains: bool = True) -> str:
        """The job writes a file (relative to `cwd`, or absolute); without `remains` it is gone at the end."""
        use = self._use(path)
        use.written, use.exists = True, remains
        if remains:
            self._place(use.path, content)
        return use.path

    def read(self, path: str, content: bytes = b"") -> str:
        """The job reads a file that was there before."""
        use = self._use(path)
        use.read = True
        self._place(use.path, content)
        return use.path

    def symlink(self, path: str, target: str) -> str:
        """The job makes a symlink."""
        use = self._use(path)
        use.written, use.made, use.target = True, Made.SYMLINK, target
        os.makedirs(os.path.dirname(use.path), exist_ok=True)
        os.symlink(target, use.path)
        return use.path

    def say(self, text: str, *, pid: int = 1, descriptor: int = 1) -> None:
        """A process prints lines."""
        for line in text.splitlines():
            self.clock += 1
            self.console.append(ConsoleLine(self.clock, pid, descriptor, line))

    def start(self, executable: str, environment: Mapping[str, str] | None = None, *, pid: int = 1) -> None:
        """A process starts a program with an environment."""
        self.clock += 1
        self.processes.append(Process(
            pid=pid, ppid=0, argv=(executable,), executable=executable, cwd=self.cwd, started_ns=self.clock,
            environment=dict(environment or {}),
        ))

    def facts(self, tracker: Tracker) -> TrackerFacts:
        """What a tracker would be told of the job."""
        return TrackerFacts(
            uses=Uses(self.uses), processes=self.processes, console=self.console,
            environment=environment_of([tracker], self.environment), cwd=self.cwd, home=self.home, tmpdir=self.tmp,
            started_at=0, ended_at=2**63, workspace=self.cwd,
        )

    def _use(self, path: str) -> PathUse:
        self.clock += 1
        path = os.path.join(self.cwd, path)
        return self.uses.setdefault(path, PathUse(path=path, first_ns=self.clock))

    def _place(self, path: str, content: bytes) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)


def check_tracker(tracker: Tracker, recording: Recording) -> TrackerAnalysis:
    """Run a tracker on a recording and on harder versions of it, and return what it found.

    Checked: what it declares; that it claims only what the job used, names only its own runs, shows no address that
    is not one, gives a command where one is due; that it opens nothing but what it declared and changes nothing; that
    it finds nothing in an empty job or in folders that merely have similar names; that it survives files that are
    empty, cut short, nonsense or gone.

    Raises:
        TrackerCheckError: with what is wrong.
    """
    _check_declaration(tracker)
    before = _contents(recording)
    found = _analyze(tracker, recording.facts(tracker), "the recording")
    _check_runs(tracker, found)
    if _contents(recording) != before:
        raise TrackerCheckError(f"{tracker.name} changed files while it was looking.")
    if again := _difference(found, _analyze(tracker, recording.facts(tracker), "the recording again")):
        raise TrackerCheckError(f"{tracker.name} does not find the same twice: {again}.")
    _check_empty(tracker, recording)
    _check_damaged(tracker, recording, before)
    return found


def _analyze(tracker: Tracker, facts: TrackerFacts, what: str) -> TrackerAnalysis:
    with _watched_opens() as opened:
        found = analyze_with([tracker], facts)
    patterns = [re.compile(translate(reads.pattern)) for reads in tracker.reads]
    for path in opened:
        if path in facts.uses and not any(pattern.match(path) for pattern in patterns):
            raise TrackerCheckError(f"{tracker.name} opened {path}, which it does not declare to read.")
    if found.warnings:
        raise TrackerCheckError(f"On {what}: {found.warnings[0]}")
    return found


_opened: list[str] | None = None
_watching = False


@contextmanager
def _watched_opens() -> Iterator[list[str]]:
    """The paths that Python opens meanwhile. An audit hook cannot be taken out again, so there is one for good."""
    global _opened, _watching  # noqa: PLW0603  see above
    if not _watching:
        sys.addaudithook(_note_open)
        _watching = True
    opened: list[str] = []
    _opened = opened
    try:
        yield opened
    finally:
        _opened = None


def _note_open(event: str, arguments: tuple[object, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], (str, bytes)):
        _opened.append(os.fsdecode(arguments[0]))


def _check_declaration(tracker: Tracker) -> None:
    if not _NAME.fullmatch(tracker.name):
        raise TrackerCheckError(f"The name {tracker.name!r} is no settings key: lower-case letters, digits, _.")
    if not tracker.label:
        raise TrackerCheckError(f"{tracker.name} has no label.")
    for name in tracker.environment:
        if is_secret(name):
            raise TrackerCheckError(f"{tracker.name} asks for {name}, which is a secret: use token_hosts.")
    for reads in tracker.reads:
        if not reads.part or reads.limit <= 0:
            raise TrackerCheckError(f"{tracker.name} does not say which part of {reads.pattern} it reads.")


def _check_runs(tracker: Tracker, found: TrackerAnalysis) -> None:
    for run in found.runs:
        if not run.run_id:
            raise TrackerCheckError(f"{tracker.name} reports a run without an id.")
        if run.label != tracker.label:
            raise TrackerCheckError(f"{tracker.name} labels its run {run.label!r}, itself {tracker.label!r}.")
        if run.url is not None and clean_url(run.url) != run.url:
            raise TrackerCheckError(f"{run.url} is not an address that may be shown.")
        if run.state in _NEEDS_COMMAND and not run.how_to_view:
            raise TrackerCheckError(f"The {run.state} run {run.run_id} has no command in how_to_view.")
        if run.state is TrackerRunState.ONLINE and not run.evidence:
            raise TrackerCheckError(f"Nothing is said to prove the address of {run.run_id}.")


def _check_empty(tracker: Tracker, recording: Recording) -> None:
    """Nothing in an empty job; nothing where only names of folders are alike."""
    empty = Recording(recording.root / "empty")
    found = _analyze(tracker, empty.facts(tracker), "an empty job")
    if found.owned or found.runs:
        raise TrackerCheckError(f"{tracker.name} finds something in a job that did nothing.")
    for folder in (tracker.name, f".{tracker.name}", "runs", "logs"):
        empty.write(f"{folder}/results.csv", b"a,b\n1,2\n")
    found = _analyze(tracker, empty.facts(tracker), "a user's folders of similar names")
    if found.owned or found.runs:
        raise TrackerCheckError(f"{tracker.name} takes a user's file for its own: {[*found.owned][:1]}.")


def _check_damaged(tracker: Tracker, recording: Recording, before: Mapping[str, bytes]) -> None:
    """The same paths with other content must not make it raise."""
    facts = recording.facts(tracker)
    try:
        for what, damage in (
            ("empty files", lambda _: b""), ("files cut short", lambda content: content[:len(content) // 2]),
            ("nonsense", lambda content: bytes(byte ^ 0x5A for byte in content)),
        ):
            for path, content in before.items():
                Path(path).write_bytes(damage(content))
            _analyze(tracker, facts, what)
        for path in before:
            os.unlink(path)
        _analyze(tracker, facts, "files that are gone")
    finally:
        for path, content in before.items():
            Path(path).write_bytes(content)


def _contents(recording: Recording) -> dict[str, bytes]:
    return {
        path: Path(path).read_bytes()
        for path, use in recording.uses.items() if use.made is Made.FILE and os.path.isfile(path)
    }


def _difference(one: TrackerAnalysis, other: TrackerAnalysis) -> str | None:
    if one.owned != other.owned:
        return "other files"
    return "other runs" if one.runs != other.runs else None
