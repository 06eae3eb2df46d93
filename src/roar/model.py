r"""The nouns of lineage as frozen dataclasses: job, file use, tracker run, and what surrounds them.

Their fields are the JSON that `--json` prints and that glaas serves, name for name (`roar.wire` turns them into
JSON and back). A path is text as `os.fsdecode` gives it: bytes that are not UTF-8 are lone surrogates (PEP 383)
inside the client, and are shown and sent as ``\xNN``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

_SHARD = re.compile(r"^(.*?)\d{5}(-of-\d{5}(?:\.[^/]*)?)$", re.DOTALL)
_SEVERAL = re.compile(r" and [\d,]+ more$")

REDACTED = "[redacted]"
"""What stands in a recorded text in place of a secret."""

UNVERSIONED = "blake3:"
"""Begins what stands in the place of a package's version where no metadata tell one."""

_CHANGED = "changed."
"""Before the digest in the local version of a package that was edited where it is installed."""

CHANGED_MEANWHILE = "changed after it was read"
"""Begins the note on an input that others changed while the job ran, where its content is not known."""
CHANGED_AT_LAST = "changed while it was digested"
"""The note on a use that others changed when its content was to be known."""
APPENDED = "written by appending"
AS_STDIN = "read as standard input"
AS_STDOUT = "written as standard output"
AS_STDOUT_APPENDED = "written as standard output, at the end"
"""The notes of uses by `< FILE`, `> FILE` and `>> FILE`, from which a command is redirected again."""
LOGGED = (APPENDED, AS_STDOUT, AS_STDOUT_APPENDED)
"""The notes of outputs that a run adds to, or that hold what it said."""
PATCH_TOO_LARGE = "the uncommitted changes are"
"""Begins a gap: so many MB and were not kept."""
UNKNOWN_VERSION = "the code's version: "
"""Begins a gap: why git did not tell it."""


class JobState(StrEnum):
    """How far a job has come."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"


class TrackerRunState(StrEnum):
    """Where a tracker run can be seen.

    `online` has a URL; `offline` needs the command in `how_to_view` to upload it; `local` is shown by that command;
    `partial` is known, but nothing proves where it can be seen.
    """

    ONLINE = "online"
    OFFLINE = "offline"
    LOCAL = "local"
    PARTIAL = "partial"


class Kind(StrEnum):
    """What an artifact is made of."""

    FILE = "file"
    DATASET = "dataset"


def is_location(path: str) -> bool:
    """Whether a recorded path is the URL of an object elsewhere; a path of the file system is normal, without `//`."""
    return "://" in path


def members_folder(path: str) -> str:
    """The folder that a dataset's members are named from: `in/` of `in/`, and of the shards `in/part-*-of-8`."""
    start = path[:path.rfind("/") + 1]
    return start if "*" in path[len(start):] or start == path else f"{path}/"


def folder_of_use(path: str, file: str) -> str:
    """The folder that a file is one of many in, which was used at `path`: by itself, or in a dataset.

    By itself that is the folder around its own, as that of a class lies beside those of others, if that is not the
    workspace, in which all kinds of things lie, and not outside it. "" is the workspace.
    """
    if path.endswith("/"):
        return path
    folder = file[:file.rfind("/") + 1]
    return folder if folder.startswith("/") else folder[:folder.rfind("/", 0, -1) + 1] or folder


def place_of(path: str) -> str:
    """What has to be there for something that is recorded at a path: of shards their folder."""
    start = path[:path.rfind("/") + 1]
    return start if "*" in path[len(start):] else path


def is_around(path: str, place: str) -> bool:
    """Whether what is recorded at a place is what is at a path, or holds it, or lies in it where that is a folder."""
    return place == path or path.startswith(members_folder(place)) or (path.endswith("/") and place.startswith(path))


def shards_path(path: str) -> str | None:
    """The path of the dataset that a file is in if it is one of several shards; None where its name says otherwise."""
    match = _SHARD.search(path)
    return None if match is None else f"{match[1]}*{match[2]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUse:
    """One artifact as one job read or wrote it.

    Attributes:
        path: relative to the workspace root with `/`, or absolute where it lies outside; for an object in a store its
            URL without anything secret.
        digest: BLAKE3 of the bytes as used, 64 lower-case hex; None where it could not be had (`note` says why).
        size: bytes; for a dataset the sum over its members.
        files: the number of members of a dataset, None for a file.
        note: what a reader should know about this use, or None.
    """

    path: str
    digest: str | None
    size: int | None
    kind: Kind = Kind.FILE
    files: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerRun:
    """The reference to one run in an experiment tracker. Never a metric.

    Attributes:
        tracker: settings key of the tracker (`wandb`).
        label: its name for people (`W&B`).
        run_id: the tracker's own id of the run.
        server: base URL of the tracker's server where it is proven.
        url: the run's page, only with positive evidence of the host.
        how_to_view: for `offline` the command that uploads it, for `local` the one that shows it.
        evidence: what proved the reference: `console`, `file`, `environment`, `child environment`, `config file`.
        note: why the URL is missing, or another thing to know.
    """

    tracker: str
    label: str
    run_id: str
    project: str | None = None
    entity: str | None = None
    name: str | None = None
    group: str | None = None
    server: str | None = None
    url: str | None = None
    state: TrackerRunState = TrackerRunState.PARTIAL
    how_to_view: str | None = None
    evidence: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSummary:
    """What one tracker's analysis left out of lineage."""

    filtered_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository within the work tree that a job ran in, of which the job read sources.

    Attributes:
        path: the root of its own work tree, from the root of the one around.
        kind: `submodule` where the repository around has it as one (gitmodules(5)), else `nested`.
        commit: full object name of its HEAD when the command started; None before the first commit, or where HEAD
            moved while the command ran and from where is not certain.
        remote: URL of its branch's remote, without user info.
        dirty: whether sources that were read differed from `commit`.
    """

    path: str
    kind: Literal["submodule", "nested"]
    commit: str | None
    remote: str | None
    dirty: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """The code as it was when the command started.

    Attributes:
        commit: full object name of HEAD; None before the first commit.
        branch: None when HEAD is detached.
        remote: URL of the branch's remote, without user info.
        dirty: whether tracked files differed from `commit`.
        patch: digest of the stored patch of uncommitted changes, or None.
        worktree: the name of a linked work tree (git-worktree(1)); None in the main one.
        repositories: the submodules and nested repositories of which sources were read.
    """

    commit: str | None
    branch: str | None
    remote: str | None
    dirty: bool
    patch: str | None = None
    worktree: str | None = None
    repositories: tuple[Repository, ...] = ()


def git_of(values: Mapping[str, Any]) -> Git:
    """The facts about the code from their JSON object."""
    inner = tuple(Repository(**one) for one in values.get("repositories", ()))
    return Git(**{**values, "repositories": inner})


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine. `memory` is bytes."""

    os: str
    machine: str
    cpu: str | None
    cpus: int
    memory: int | None
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An imported distribution; or a module of none: its version is `UNVERSIONED` and a digest of what was loaded.

    One that somebody has edited where it is installed has a local version (PEP 440) with a digest of what was edited.
    """

    name: str
    version: str

    def as_changed(self, digest: str) -> "Package":
        """The same, edited; the digest is of hexadecimal digits."""
        mark = "." if "+" in self.version else "+"
        return Package(name=self.name, version=f"{self.version}{mark}{_CHANGED}{digest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """The interpreter that the command used and the distributions it really imported, or ran a program of.

    Where it used none, but programs that are installed in an environment of Python, the interpreter is that one's.
    """

    version: str
    packages: tuple[Package, ...] = ()

    def versions(self) -> dict[str, str]:
        """The distributions by name; of one that was imported in several versions all, separated by commas."""
        found: dict[str, str] = {}
        for package in self.packages:
            found[package.name] = ", ".join(filter(None, (found.get(package.name), package.version)))
        return found

    def unversioned(self) -> list[str]:
        """The modules that no distribution's metadata name."""
        return [package.name for package in self.packages if package.version.startswith(UNVERSIONED)]

    def changed(self) -> list[str]:
        """The distributions that were edited where they are installed."""
        return [package.name for package in self.packages if _CHANGED in package.version]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """How the job was observed.

    Attributes:
        mode: `full`, `seccomp`, `preload`, or `none` when nothing could be observed; `transfer` where roar itself
            moved the files.
        gaps: what could have been missed, one short phrase each.
    """

    mode: str
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recorded execution of a command.

    Attributes:
        uid: 32 lower-case hex.
        kind: `run`, `get` or `put`.
        step: number of this command in its folder within the session; a rerun has the same.
        cwd: relative to the workspace root (`.` for the root itself), absolute outside it.
        started_at: UTC, RFC 3339 with microseconds and `Z`.
        exit_code: the shell's: 128+N for signal N.
        trackers: by tracker name, what its analysis left out.
    """

    uid: str
    step: int
    kind: str = "run"
    name: str | None = None
    command: tuple[str, ...]
    cwd: str
    started_at: str
    duration_s: float | None
    exit_code: int | None
    state: JobState
    git: Git | None = None
    host: Host | None = None
    python: Python | None = None
    tracer: Tracer
    inputs: tuple[FileUse, ...] = ()
    outputs: tuple[FileUse, ...] = ()
    tracker_runs: tuple[TrackerRun, ...] = ()
    trackers: dict[str, TrackerSummary] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirections:
    """What a command was redirected from and to; paths as in FileUse, None where it was not.

    Attributes:
        appends: whether what stood in the output before was kept.
    """

    stdin: str | None = None
    stdout: str | None = None
    appends: bool = False

    @classmethod
    def of(cls, job: Job) -> "Redirections":
        """Those of a job, as the notes of its uses say."""
        stdout, appended = _noted(job.outputs, AS_STDOUT), _noted(job.outputs, AS_STDOUT_APPENDED)
        path = stdout if appended is None else appended
        return cls(stdin=_noted(job.inputs, AS_STDIN), stdout=path,
                   appends=appended is not None or any(use.path == path for use in job.inputs))


def _noted(uses: Iterable[FileUse], note: str) -> str | None:
    """The path of the file that has a note: that of a use, or of the one member of a dataset that is named in it."""
    for use in uses:
        if use.note == note:
            return use.path
        if use.kind is Kind.DATASET and use.note is not None and use.note.endswith(f": {note}"):
            name = use.note[:-len(f": {note}")]
            return None if _SEVERAL.search(name) else members_folder(use.path) + name
    return None
