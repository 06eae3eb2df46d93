"""Loading jobs from the record, one or many at once."""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from roar.model import (
    FileUse,
    Git,
    Host,
    Job,
    JobState,
    Kind,
    Package,
    Python,
    Tracer,
    TrackerRun,
    TrackerRunState,
    TrackerSummary,
    git_of,
    members_folder,
)
from roar.record.roles import INPUT, PAYLOAD
from roar.wire import Age, Dataset, DatasetMember, Payload


def load_job(database: sqlite3.Connection, job_id: int) -> Job:
    """The job in row `job_id`, with all that belongs to it."""
    return next(iter_jobs(database, [job_id]))


def iter_jobs(database: sqlite3.Connection, job_ids: Sequence[int]) -> Iterator[Job]:
    """The jobs in these rows, in this order. Loads them some hundred at a time, so that many cost little memory."""
    shared = _Shared(database)
    for start in range(0, len(job_ids), 500):
        batch = job_ids[start:start + 500]
        yield from _load_batch(database, batch, shared)


def load_payloads(database: sqlite3.Connection, job_ids: Sequence[int]) -> list[Payload]:
    """The files that these jobs wrote only inside a tracker's store."""
    payloads = []
    for job_id, role, use in _iter_uses(database, job_ids, ">= 3"):
        if role == PAYLOAD and use.digest is not None:
            uid = database.execute("SELECT uid FROM job WHERE id = ?", (job_id,)).fetchone()[0]
            payloads.append(Payload(job=uid, path=use.path, digest=use.digest, size=use.size or 0))
    return payloads


def load_ages(database: sqlite3.Connection, job_ids: Sequence[int]) -> list[Age]:
    """By when what these jobs read lay there, where that is known."""
    rows = database.execute(
        "SELECT job.uid, ordinal, unchanged_since FROM file_use JOIN job ON job.id = job_id"  # noqa: S608  places are question marks
        f" WHERE job_id IN ({_places(job_ids)}) AND role = 1 AND unchanged_since IS NOT NULL ORDER BY job_id, ordinal",
        job_ids)
    return [Age(job=uid, input=ordinal, unchanged_since=since) for uid, ordinal, since in rows]


def load_datasets(database: sqlite3.Connection, digests: Iterable[str]) -> list[Dataset]:
    """The datasets of these digests with their members; those without stored members are left out."""
    datasets = []
    for digest in digests:
        row = database.execute("SELECT id FROM artifact WHERE digest = ? AND files IS NOT NULL",
                               (bytes.fromhex(digest),)).fetchone()
        members = () if row is None else tuple(iter_members(database, row[0]))
        if members:
            datasets.append(Dataset(digest=digest, members=members))
    return datasets


def iter_members(database: sqlite3.Connection, dataset_id: int) -> Iterator[DatasetMember]:
    """The members of the dataset in row `dataset_id`, sorted by path."""
    rows = database.execute(
        "SELECT dataset_member.path, artifact.digest, artifact.size FROM dataset_member"
        " JOIN artifact ON artifact.id = dataset_member.artifact_id WHERE dataset_id = ? ORDER BY dataset_member.id",
        (dataset_id,))
    for path, digest, size in rows:
        yield DatasetMember(path=path, digest=digest.hex(), size=size)


class UsedFile(NamedTuple):
    """A file that a job used, by itself or in a dataset; `path` as recorded."""

    path: str
    digest: str | None
    size: int | None


def files_of(database: sqlite3.Connection, use: FileUse) -> Iterator[UsedFile]:
    """The files that a use stands for; none for a dataset whose digest is not known."""
    if use.kind is Kind.FILE:
        yield UsedFile(use.path, use.digest, use.size)
        return
    for dataset in load_datasets(database, [] if use.digest is None else [use.digest]):
        for member in dataset.members:
            yield UsedFile(members_folder(use.path) + member.path, member.digest, member.size)


def load_offline_runs(database: sqlite3.Connection) -> list[tuple[int, TrackerRun]]:
    """Tracker runs that were not uploaded as far as the record knows, each with its row."""
    rows = database.execute(
        "SELECT id, tracker, label, run_id, project, entity, name, run_group, server, url, state, how_to_view,"
        " evidence, note FROM tracker_run WHERE state = 'offline' ORDER BY id")
    return [(row[0], _tracker_run(row[1:])) for row in rows]


def load_blob(database: sqlite3.Connection, digest: str) -> bytes | None:
    """Content that roar keeps itself, such as a patch; None where it is not kept."""
    row = database.execute("SELECT content FROM blob WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
    return None if row is None else zlib.decompress(row[0])


def load_patch(database: sqlite3.Connection, job: Job) -> bytes | None:
    """The uncommitted changes of a job, as `git apply` takes them."""
    return load_blob(database, job.git.patch) if job.git is not None and job.git.patch is not None else None


def uids_with_patch(database: sqlite3.Connection, digest: str) -> list[str]:
    """The jobs that ran with these uncommitted changes, the first one first."""
    return [uid for (uid,) in database.execute(
        "SELECT uid FROM job JOIN git ON git.id = git_id WHERE patch = ? ORDER BY job.id", (digest,))]


def load_patches(database: sqlite3.Connection, jobs: Iterable[Job]) -> dict[str, bytes]:
    """The uncommitted changes of jobs by their digest, as far as they are kept."""
    digests = {job.git.patch for job in jobs if job.git is not None and job.git.patch is not None}
    return {digest: patch for digest in digests if (patch := load_blob(database, digest)) is not None}


def paths_read(database: sqlite3.Connection, row_id: int) -> list[str]:
    """The paths of what a job read, as it lists them."""
    return [path for (path,) in database.execute(
        "SELECT path.path FROM file_read JOIN path ON path.id = path_id WHERE job_id = ? ORDER BY ordinal", (row_id,))]


def load_left_out(database: sqlite3.Connection, uid: str) -> dict[str, int]:
    """How many paths of each category were left out of job `uid` as plumbing, the most first."""
    return dict(database.execute(
        "SELECT category, files FROM left_out WHERE job_id = (SELECT id FROM job WHERE uid = ?)"
        " ORDER BY files DESC, category", (uid,)))


def load_symlinks(database: sqlite3.Connection, uid: str) -> dict[str, str]:
    """The symlinks that job `uid` went through or made, with their targets."""
    return dict(database.execute(
        "SELECT path.path, target FROM symlink JOIN path ON path.id = path_id"
        " WHERE job_id = (SELECT id FROM job WHERE uid = ?) ORDER BY path.path", (uid,)))


class _Shared:
    """Rows that many jobs refer to, each read and decoded once."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._git: dict[int, Git] = {}
        self._host: dict[int, Host] = {}
        self._python: dict[int, Python] = {}

    def git(self, row_id: int | None) -> Git | None:
        if row_id is None:
            return None
        if row_id not in self._git:
            commit, branch, remote, dirty, patch, worktree, repositories = self._database.execute(
                'SELECT "commit", branch, remote, dirty, patch, worktree, repositories FROM git WHERE id = ?',
                (row_id,)).fetchone()
            self._git[row_id] = git_of({
                "commit": commit, "branch": branch, "remote": remote, "dirty": bool(dirty), "patch": patch,
                "worktree": worktree, "repositories": json.loads(repositories or "[]")})
        return self._git[row_id]

    def host(self, row_id: int | None) -> Host | None:
        if row_id is None:
            return None
        if row_id not in self._host:
            content = json.loads(self._database.execute(
                "SELECT content FROM host WHERE id = ?", (row_id,)).fetchone()[0])
            self._host[row_id] = Host(**{**content, "gpus": tuple(content["gpus"])})
        return self._host[row_id]

    def python(self, row_id: int | None) -> Python | None:
        if row_id is None:
            return None
        if row_id not in self._python:
            version, packages = self._database.execute(
                "SELECT version, packages FROM python WHERE id = ?", (row_id,)).fetchone()
            self._python[row_id] = Python(version=version, packages=tuple(
                Package(name=name, version=number) for name, number in json.loads(packages)))
        return self._python[row_id]


class _Parts(NamedTuple):
    """What belongs to one job and lies in other tables."""

    inputs: list[FileUse]
    outputs: list[FileUse]
    tracker_runs: list[TrackerRun]
    trackers: dict[str, TrackerSummary]
    labels: dict[str, str]


def _load_batch(database: sqlite3.Connection, job_ids: Sequence[int], shared: _Shared) -> Iterator[Job]:
    parts = {job_id: _Parts([], [], [], {}, {}) for job_id in job_ids}
    for job_id, role, use in _iter_uses(database, job_ids, "< 3"):
        (parts[job_id].inputs if role == INPUT else parts[job_id].outputs).append(use)
    for job_id, runs in load_tracker_runs(database, job_ids).items():
        parts[job_id].tracker_runs.extend(runs)
    places = _places(job_ids)
    for job_id, tracker, filtered in database.execute(
            f"SELECT job_id, tracker, filtered_files FROM tracker_summary WHERE job_id IN ({places})", job_ids):  # noqa: S608  places are question marks
        parts[job_id].trackers[tracker] = TrackerSummary(filtered_files=filtered)
    for job_id, key, value in database.execute(
            f"SELECT job_id, key, value FROM label WHERE job_id IN ({places}) ORDER BY key", job_ids):  # noqa: S608  places are question marks
        parts[job_id].labels[key] = value
    rows = {row[0]: row[1:] for row in database.execute(
        "SELECT job.id, uid, number, kind, name, command, cwd, started_at, duration_s, exit_code, state, git_id,"  # noqa: S608  places are question marks
        " host_id, python_id, tracer_mode, tracer_gaps FROM job JOIN step ON step.id = job.step_id"
        f" WHERE job.id IN ({places})", job_ids)}
    for job_id in job_ids:
        yield _job(rows[job_id], parts[job_id], shared)


def _job(row: tuple[Any, ...], parts: _Parts, shared: _Shared) -> Job:
    (uid, step, kind, name, command, cwd, started_at, duration_s, exit_code, state, git_id, host_id, python_id, mode,
     gaps) = row
    return Job(
        uid=uid, step=step, kind=kind, name=name, command=tuple(json.loads(command)), cwd=cwd, started_at=started_at,
        duration_s=duration_s, exit_code=exit_code, state=JobState(state), git=shared.git(git_id),
        host=shared.host(host_id), python=shared.python(python_id),
        tracer=Tracer(mode=mode, gaps=tuple(json.loads(gaps))), inputs=tuple(parts.inputs),
        outputs=tuple(parts.outputs), tracker_runs=tuple(parts.tracker_runs), trackers=parts.trackers,
        labels=parts.labels)


def _iter_uses(database: sqlite3.Connection, job_ids: Sequence[int], roles: str) -> Iterator[tuple[int, int, FileUse]]:
    """The uses of these jobs whose role compares as `roles` says: job, role and use, in each job's own order."""
    rows = database.execute(
        "SELECT job_id, role, path.path, artifact.digest, coalesce(artifact.size, file_use.size),"  # noqa: S608  our own text
        " coalesce(artifact.files, file_use.files), note FROM file_use JOIN path ON path.id = path_id"
        " LEFT JOIN artifact ON artifact.id = artifact_id"
        f" WHERE job_id IN ({_places(job_ids)}) AND role {roles} ORDER BY job_id, role, ordinal", job_ids)
    for job_id, role, path, digest, size, files, note in rows:
        yield job_id, role, FileUse(path=path, digest=None if digest is None else digest.hex(), size=size,
                                    kind=Kind.FILE if files is None else Kind.DATASET, files=files, note=note)


def load_tracker_runs(database: sqlite3.Connection, job_ids: Sequence[int]) -> dict[int, list[TrackerRun]]:
    """The tracker runs of these jobs, by the job's row."""
    runs: dict[int, list[TrackerRun]] = {}
    for row in database.execute(
            "SELECT job_id, tracker, label, run_id, project, entity, name, run_group, server, url, state, how_to_view,"  # noqa: S608  places are question marks
            f" evidence, note FROM tracker_run WHERE job_id IN ({_places(job_ids)}) ORDER BY id", job_ids):
        runs.setdefault(row[0], []).append(_tracker_run(row[1:]))
    return runs


def _tracker_run(row: tuple[str, ...]) -> TrackerRun:
    tracker, label, run_id, project, entity, name, group, server, url, state, how_to_view, evidence, note = row
    return TrackerRun(tracker=tracker, label=label, run_id=run_id, project=project, entity=entity, name=name,
                      group=group, server=server, url=url, state=TrackerRunState(state), how_to_view=how_to_view,
                      evidence=evidence, note=note)


def _places(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
