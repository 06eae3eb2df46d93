"""What was moved as a job: `get` reads objects and writes files, `put` reads files and writes objects."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from roar.analyze.datasets import fold_datasets
from roar.model import FileUse, Job, JobState, Tracer
from roar.observe.machine import read_host
from roar.record.writer import write_job
from roar.transfer.moving import Moved, State
from roar.wire import Dataset
from roar.workspace import Workspace

INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ended."""

WAS_THERE = "was there already, and was not fetched"
"""The note on an output of `get` that it found: the job has all of what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One `roar get` or `roar put` that has ended.

    Attributes:
        kind: `get` or `put`.
        command: as typed, without secrets.
        groups: what was moved: what belongs to one folder, or all single files, in a list each.
        started_at: as the record writes it.
        name, labels: as for `roar run`.
    """

    kind: str
    command: tuple[str, ...]
    groups: Sequence[Sequence[Moved]]
    started_at: str
    duration_s: float
    exit_code: int
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def record(database: sqlite3.Connection, workspace: Workspace, transfer: Transfer, *, threshold: int) -> Job:
    """Write the job; `threshold` files of one folder are one dataset, on both sides."""
    files: list[FileUse] = []
    objects: list[FileUse] = []
    datasets: list[Dataset] = []
    for group in transfer.groups:
        found = _files(workspace, group, fetched=transfer.kind == "get")
        files_here, datasets_here = fold_datasets(found, threshold=threshold, whole=_never_whole())
        objects_there, datasets_there = _fold_objects(group, threshold)
        files += files_here
        objects += objects_there
        datasets += datasets_here + datasets_there
    reads, writes = (files, objects) if transfer.kind == "put" else (objects, files)
    interrupted = transfer.exit_code == INTERRUPTED
    job = Job(uid=os.urandom(16).hex(), step=0, kind=transfer.kind, name=transfer.name, command=transfer.command,
              cwd=workspace.relative(os.path.realpath(os.getcwd())), started_at=transfer.started_at,
              duration_s=transfer.duration_s, exit_code=transfer.exit_code,
              state=JobState.INTERRUPTED if interrupted else JobState.DONE, host=read_host(),
              tracer=Tracer(mode="transfer"), inputs=_sorted(reads), outputs=_sorted(writes),
              labels=dict(transfer.labels))
    return write_job(database, job, datasets=tuple({dataset.digest: dataset for dataset in datasets}.values()))


def _files(workspace: Workspace, group: Sequence[Moved], *, fetched: bool) -> list[FileUse]:
    paths = {workspace.relative(moved.path): moved for moved in group}
    return [FileUse(path=path, digest=moved.digest, size=moved.size,
                    note=WAS_THERE if fetched and moved.state is State.THERE else None)
            for path, moved in paths.items()]


def _fold_objects(group: Sequence[Moved], threshold: int) -> tuple[list[FileUse], list[Dataset]]:
    """A dataset's members are called as the files are, so that it has the same digest on both sides."""
    by_name = {moved.location.plain: moved for moved in group}
    uses, datasets = fold_datasets([FileUse(path=name, digest=moved.digest, size=moved.size)
                                    for name, moved in by_name.items()], threshold=threshold)
    return [replace(use, path=by_name[use.path].location.url if use.path in by_name
                    else group[0].location.of_plain(use.path).url) for use in uses], datasets


def _never_whole() -> tuple[str, ...]:
    """Folders that are never one dataset, as for jobs that are observed."""
    home = os.path.expanduser("~")
    return home, os.path.dirname(home), os.environ.get("TMPDIR", "/tmp"), "/tmp", "/var/tmp"  # noqa: S108  compared only


def _sorted(uses: Sequence[FileUse]) -> tuple[FileUse, ...]:
    return tuple(sorted(uses, key=lambda use: use.path))
