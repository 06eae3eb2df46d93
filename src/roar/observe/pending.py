"""The evidence of a job that is not recorded yet: a folder in `.roar/pending/` with `job.json` and the event log.

It is written before the command starts, so that whatever happens to roar, the record can still be finished from it.
What is learnt while the command runs is written into files that are there by then: a command that reads the workspace
as a whole (tar) finds no folder changed.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from roar.errors import WorkspaceError
from roar.model import Git, Host, git_of
from roar.observe.streams import Stream
from roar.observe.trace import Signature
from roar.observe.variables import find_changed

JOB, FACTS, LOG, PATCH = "job.json", "facts.json", "events.log", "patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What is known of a job before it is analysed. Everything in it is free of secrets.

    Attributes:
        folder: where this evidence lies.
        command: arguments with secrets replaced.
        cwd: absolute.
        started_ns: wall clock at the start, nanoseconds since the epoch.
        began_ns: the same moment by CLOCK_MONOTONIC; 0 where it is not known.
        owner: process id of the `roar` that runs it, and the clock tick it started at (proc_pid_stat(5)).
        ancestors: the same of its parent, that one's parent, and so on.
        environment: what the trackers asked to see of the initial environment.
        compared: whether all that was uncommitted was known before the command started.
        pid: process id of the command, once it is started.
        duration_s, exit_code, signal: how the command ended; None while it runs.
        mode, gaps: the tracer's, as known so far.
        streams: the files that are the command's standard input and output.
        pipes: of standard output and error, each None where it is no pipe: see `find_pipe`.
    """

    folder: str
    uid: str
    command: tuple[str, ...]
    cwd: str
    started_ns: int
    owner: tuple[int, int]
    ancestors: tuple[tuple[int, int], ...] = ()
    began_ns: int = 0
    name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    home: str = ""
    caches: dict[str, str] = field(default_factory=dict)
    tmpdir: str = ""
    repository: str | None = None
    git: Git | None = None
    host: Host | None = None
    code_note: str | None = None
    compared: bool = False
    pid: int | None = None
    duration_s: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    mode: str | None = None
    gaps: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()
    pipes: tuple[tuple[int, int] | None, ...] = (None, None)

    @property
    def log(self) -> str:
        """Where the tracer writes its event log."""
        return os.path.join(self.folder, LOG)

    @property
    def patch(self) -> bytes | None:
        """The patch of uncommitted changes, None for a clean tree."""
        try:
            with open(os.path.join(self.folder, PATCH), "rb") as file:
                return file.read() or None
        except FileNotFoundError:
            return None

    def ended(self, *, duration_s: float, exit_code: int, signal: int | None, mode: str, gaps: tuple[str, ...],
              streams: tuple[Stream, ...]) -> "Pending":
        """The same with how the command ended."""
        return replace(self, duration_s=duration_s, exit_code=exit_code, signal=signal, mode=mode, gaps=gaps,
                       streams=streams)

    def is_own(self) -> bool:
        """Whether this process is the `roar` that runs this job."""
        pid = os.getpid()
        return self.owner == (pid, start_ticks(pid))

    def abandoned(self) -> bool:
        """Whether the `roar` that ran this job is gone, and the command is not observed any more."""
        pid, ticks = self.owner
        return start_ticks(pid) != ticks and not is_traced(self.log)

    def remove(self) -> None:
        """Forget the evidence, once it is recorded."""
        shutil.rmtree(self.folder, ignore_errors=True)


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 where there is none, or only a zombie."""
    return _parent_and_start(pid)[1]


def find_ancestors(pid: int) -> tuple[tuple[int, int], ...]:
    """The processes above one, each with the clock tick it started at: its parent first."""
    found: list[tuple[int, int]] = []
    parent = _parent_and_start(pid)[0]
    while parent:
        above, ticks = _parent_and_start(parent)
        found.append((parent, ticks))
        parent = above
    return tuple(found)


def _parent_and_start(pid: int) -> tuple[int, int]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
            return (0, 0) if words[0] in {b"Z", b"X"} else (int(words[1]), int(words[19]))
    except (OSError, IndexError, ValueError):
        return 0, 0


def write_pending(pending: Pending) -> None:
    """Write or replace the evidence, in one step that a crash cannot tear."""
    os.makedirs(pending.folder, mode=0o700, exist_ok=True)
    path = os.path.join(pending.folder, JOB)
    _write(path + ".new", _as_json(pending))
    os.replace(path + ".new", path)


def make_room(pending: Pending) -> None:
    """Make the files for `add_facts`, empty."""
    for name in (FACTS, PATCH):
        _write(os.path.join(pending.folder, name), b"")


def add_facts(pending: Pending, *, patch: bytes | None = None) -> None:
    """Write what is known by now while the command runs; where it is torn, `write_pending` counts."""
    if patch is not None:
        _write(os.path.join(pending.folder, PATCH), patch)
    _write(os.path.join(pending.folder, FACTS), _as_json(pending))


def _as_json(pending: Pending) -> bytes:
    values = asdict(pending)
    values["folder"] = os.path.realpath(pending.folder)
    return json.dumps(values).encode()


def _write(path: str, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)


def load_pending(folder: str) -> Pending:
    """Read the evidence in one folder.

    Raises:
        WorkspaceError: there is none, or it is not whole.
    """
    path = os.path.join(folder, JOB)
    try:
        values = _load_values(folder)
        values |= {"command": tuple(values["command"]), "owner": tuple(values["owner"]),
                   "ancestors": tuple(map(tuple, values.get("ancestors", ()))), "gaps": tuple(values["gaps"]),
                   "git": git_of(values["git"]) if values["git"] else None, "host": _host(values["host"]),
                   "streams": tuple(map(_stream, values.get("streams", ()))),
                   "pipes": tuple(pipe and tuple(pipe) for pipe in values.get("pipes", (None, None)))}
        return Pending(**{**values, "folder": folder})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"the evidence of an unfinished job in {path} cannot be read: {error}") from error


def _load_values(folder: str) -> dict[str, Any]:
    with open(os.path.join(folder, JOB), encoding="utf-8") as file:
        values: dict[str, Any] = json.load(file)
    if values.get("exit_code") is None:
        with contextlib.suppress(OSError, ValueError), open(os.path.join(folder, FACTS), encoding="utf-8") as file:
            values = {**values, **json.load(file)}
    return values


def _is_copy(folder: str) -> bool:
    """Whether the command copied its workspace, with the evidence of itself: the job is the original's."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        with open(os.path.join(folder, JOB), encoding="utf-8") as file:
            place = json.load(file)["folder"]
        return place != os.path.realpath(folder) and os.path.isdir(os.path.dirname(place))
    return False


def _host(values: dict[str, Any] | None) -> Host | None:
    return Host(**{**values, "gpus": tuple(values["gpus"])}) if values else None


def _stream(values: dict[str, Any]) -> Stream:
    return Stream(**{**values, "signature": Signature(*values["signature"])})


def is_traced(log: str) -> bool:
    """Whether a tracer still writes to this event log: the command has outlived its `roar run`."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", "rb") as file:
                if file.read().strip() != b"roar-tracer":
                    continue
            with open(f"/proc/{pid}/maps", "rb") as file:
                if os.fsencode(os.path.realpath(log)) in file.read():
                    return True
        except OSError:
            continue  # it has ended meanwhile, or is another user's
    return False


def find_abandoned(pending_folder: str) -> list[str]:
    """The folders of abandoned jobs, in the order in which they are to be recorded."""
    return [pending.folder for pending in in_order(_load_all(pending_folder)) if pending.abandoned()]


def in_order(jobs: Iterable[Pending]) -> list[Pending]:
    """Oldest first, but a job within another one before that one, which looks for what it has in its record."""
    rest = sorted(jobs, key=lambda job: job.started_ns)
    found: list[Pending] = []

    def add(job: Pending) -> None:
        rest.remove(job)
        for inner in [one for one in rest if job.owner in one.ancestors]:
            if inner in rest:
                add(inner)
        found.append(job)

    while rest:
        add(rest[0])
    return found


class Around(NamedTuple):
    """What a job that ran another one has to do with it.

    Attributes:
        takes: whether it took by a pipe what that one printed.
        changed: the names of variables of the environment that it, or a script of it, set or changed for that one.
    """

    takes: bool
    changed: tuple[str, ...]


def find_outer(pending_folder: str, inner: Pending) -> dict[str, Around]:
    """The jobs that ran this one themselves, and are not recorded yet, by their uids.

    What this one printed was taken by the first one around it that has not got that pipe from outside.
    """
    around = sorted((job for job in _load_all(pending_folder) if job.owner in inner.ancestors),
                    key=lambda job: inner.ancestors.index(job.owner))
    printed = inner.pipes[0]
    taker = None if printed is None else next((job for job in around if printed not in job.pipes), None)
    return {job.uid: Around(job is taker, _find_set(job, inner)) for job in around}


def _find_set(outer: Pending, inner: Pending) -> tuple[str, ...]:
    """As `find_changed`, of the `roar` of one job and what that of another one started, in its environment.

    Nothing where one of them is gone, whatever has its process id now.
    """
    below = (inner.owner, *inner.ancestors)[inner.ancestors.index(outer.owner)]
    are_there = all(start_ticks(pid) == ticks for pid, ticks in (inner.owner, below))
    return find_changed(inner.owner[0], below[0]) if are_there else ()


def find_running(pending_folder: str) -> list[Pending]:
    """The jobs whose command runs, or that are being recorded just now, oldest first."""
    return [pending for pending in _load_all(pending_folder) if not pending.abandoned()]


def _load_all(pending_folder: str) -> list[Pending]:
    """All evidence that can be read, oldest first."""
    try:
        names = os.listdir(pending_folder)
    except OSError:
        return []
    found = []
    for name in names:
        folder = os.path.join(pending_folder, name)
        try:
            pending = load_pending(folder)
        except WorkspaceError:
            continue
        if not _is_copy(folder):
            found.append(pending)
    return sorted(found, key=lambda pending: pending.started_ns)
