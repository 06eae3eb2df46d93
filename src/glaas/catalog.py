"""Questions to the tables, answered in the nouns of `roar.wire` and views of them. Every answer is access-checked."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    true,
)

from glaas import models
from glaas.access import Viewer, members_are_seen, sees_everything, uses_seen_by, visible
from glaas.db import QUERIES_KEPT, ForEach, Query
from glaas.makers import uses_of
from glaas.member_sizes import MemberSizes
from glaas.models import Role
from roar.wire import (
    FileUse,
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

PAGE = 100
USES_SHOWN = 50  # of an artifact, in each role
FACTS_LOOKED_AT = 20
WHOLES_NAMED = 5
RUNS_LOOKED_AT = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """A job in a list.

    Attributes:
        key: the row's number, for cursors.
        inputs, outputs: how many there are.
    """

    key: int
    uid: str
    step: int
    name: str | None
    command: tuple[str, ...]
    started_at: str
    duration_s: float | None
    exit_code: int | None
    state: JobState
    inputs: int
    outputs: int
    project: str
    tracker_runs: tuple[TrackerRun, ...] = ()
    labels: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DagLine:
    """A registered DAG in a list."""

    digest: str
    session: str
    registered_at: str
    jobs: int
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job with what the server knows around it. Uses may be cut short; the counts are not.

    Attributes:
        dags: that hold the job, newest first.
        inputs, outputs: how many there are in all.
    """

    key: int
    job: Job
    session: str
    project: str
    registered_at: str
    dags: tuple[DagLine, ...]
    inputs: int
    outputs: int

    @property
    def whole_dag(self) -> DagLine | None:
        """Of the DAGs that hold the job the one that has the most of its session."""
        return whole(self.dags)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactUse:
    """One job that read or wrote an artifact, and the path it knew it under."""

    key: tuple[int, int]
    job: JobLine
    path: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Some content as the viewer may see it."""

    digest: str
    kind: Kind
    size: int | None
    files: int | None
    names: tuple[str, ...]
    produced_by: tuple[ArtifactUse, ...]
    used_by: tuple[ArtifactUse, ...]
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a dataset; `position` is its place among all members, sorted by path."""

    position: int
    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFolder:
    """A folder inside a dataset; `path` ends in a slash, and `files` are in it and its folders."""

    path: str
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerRunLine:
    """A tracker run in a list, with the job that made it."""

    key: int
    run: TrackerRun
    job: JobLine


# ------------------------------------------------------------------------------------------------------- jobs

_JOB_LINE = (
    models.job.c.id, models.job.c.uid, models.job.c.step, models.job.c.name, models.job.c.command,
    models.job.c.started_at, models.job.c.duration_s, models.job.c.exit_code, models.job.c.state,
    models.job.c.inputs, models.job.c.outputs, models.project.c.name.label("project"),
)


def _job_lines(viewer: Viewer) -> Select[Any]:
    return select(*_JOB_LINE).select_from(models.job).join(models.project).where(
        visible(viewer, models.job.c.project_id))


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _line_of_job(viewer: Viewer) -> ForEach:
    return ForEach(_job_lines(viewer), models.job.c.id)


def _as_lines(connection: Connection, rows: Sequence[Any], *, brief: bool = False, labelled: bool = True
              ) -> tuple[JobLine, ...]:
    ids = [] if brief else [row.id for row in rows]
    runs = tracker_runs_of(connection, ids)
    labels = labels_of(connection, ids if labelled else ())
    return tuple(JobLine(
        key=row.id, uid=row.uid.hex(), step=row.step, name=row.name, command=tuple(row.command),
        started_at=row.started_at, duration_s=row.duration_s, exit_code=row.exit_code, state=JobState(row.state),
        inputs=row.inputs, outputs=row.outputs, project=row.project, tracker_runs=tuple(runs.get(row.id, ())),
        labels=labels.get(row.id, {}),
    ) for row in rows)


def find_job_lines(connection: Connection, viewer: Viewer, ids: Sequence[int], *, brief: bool = False,
                   labelled: bool = True) -> dict[int, JobLine]:
    """The jobs with these row numbers that the viewer may see; `brief` leaves out tracker runs and labels."""
    rows = [row for _, row in _line_of_job(viewer).rows(connection, ids)]
    return {line.key: line for line in _as_lines(connection, rows, brief=brief, labelled=labelled)}


def recent_jobs(connection: Connection, viewer: Viewer, *, before: int | None = None, limit: int = 30,
                project: str | None = None) -> tuple[JobLine, ...]:
    """Jobs in the order they were registered, newest first; `before` is the key of the last one seen."""
    query = _job_lines(viewer).order_by(models.job.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(models.job.c.id < before)
    if project is not None:
        query = query.where(models.project.c.name == project)
    return _as_lines(connection, connection.execute(query).all())


def find_uid(connection: Connection, viewer: Viewer, prefix: str) -> str | None:
    """The uid of the one visible job whose uid begins with `prefix`."""
    column = models.job.c.uid
    low, high = (bytes.fromhex(prefix.ljust(32, digit)) for digit in "0f")
    query = select(column).where(column.between(low, high), visible(viewer, models.job.c.project_id)).limit(2)
    found = connection.execute(query).scalars().all()
    return found[0].hex() if len(found) == 1 else None


def find_run_before(connection: Connection, viewer: Viewer, stored: StoredJob) -> str | None:
    """The uid of the job that ran the same step of the same session before this one."""
    row = _run_before(viewer).first(connection, session=bytes.fromhex(stored.session), step=stored.job.step,
                                    started=stored.job.started_at)
    return None if row is None else str(row.uid.hex())


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _run_before(viewer: Viewer) -> Query:
    job = models.job.c
    return Query(select(job.uid).where(
        job.session == bindparam("session", b"", job.session.type), job.step == bindparam("step", 0, job.step.type),
        job.started_at < bindparam("started", "", job.started_at.type), visible(viewer, job.project_id))
        .order_by(job.started_at.desc()).limit(1))


def tracker_runs_of(connection: Connection, job_ids: Sequence[int]) -> dict[int, list[TrackerRun]]:
    """Tracker runs by row number of their job."""
    found: dict[int, list[TrackerRun]] = {}
    for job_id, row in _runs_of_job().rows(connection, job_ids):
        found.setdefault(job_id, []).append(_tracker_run(row))
    return found


@functools.lru_cache(maxsize=1)
def _runs_of_job() -> ForEach:
    table = models.tracker_run
    return ForEach(select(table).order_by(table.c.id), table.c.job_id)


def labels_of(connection: Connection, job_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """Labels by row number of their job."""
    found: dict[int, dict[str, str]] = {}
    for job_id, row in _labels_of_job().rows(connection, job_ids):
        found.setdefault(job_id, {})[row.key] = row.value
    return found


@functools.lru_cache(maxsize=1)
def _labels_of_job() -> ForEach:
    label = models.label.c
    return ForEach(select(label.key, label.value).order_by(label.key), label.job_id)


def _tracker_run(row: Any) -> TrackerRun:
    return TrackerRun(
        tracker=row.tracker, label=row.label, run_id=row.run_id, project=row.project, entity=row.entity,
        name=row.name, group=row.group, server=row.server, url=row.url, state=TrackerRunState(row.state),
        how_to_view=row.how_to_view, evidence=row.evidence, note=row.note)


def find_job(connection: Connection, viewer: Viewer, uid: str, *, files: int | None = None) -> StoredJob | None:
    """The job `uid`, with at most `files` inputs and outputs each (None: all)."""
    row = _whole_job(viewer).first(connection, job=bytes.fromhex(uid))
    if row is None:
        return None
    return StoredJob(
        key=row.id, job=_job(connection, row, files), session=row.session.hex(), project=row.project,
        registered_at=row.registered_at, dags=_dags_of_job(connection, row.id), inputs=row.inputs,
        outputs=row.outputs)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _whole_job(viewer: Viewer) -> Query:
    job = models.job.c
    return Query(select(models.job, models.project.c.name.label("project"), models.environment.c.body,
                        models.session.c.registered_at)
                 .select_from(models.job).join(models.project, job.project_id == models.project.c.id)
                 .join(models.environment).join(models.session, models.session.c.uid == job.session)
                 .where(job.uid == bindparam("job", b"", job.uid.type), visible(viewer, job.project_id)))


def _job(connection: Connection, row: Any, files: int | None) -> Job:
    return Job(
        uid=row.uid.hex(), step=row.step, kind=row.kind, name=row.name, command=tuple(row.command), cwd=row.cwd,
        started_at=row.started_at, duration_s=row.duration_s, exit_code=row.exit_code, state=JobState(row.state),
        git=None if row.git is None else git_of(row.git), host=_host(row.body["host"]),
        python=_python(row.body["python"]),
        tracer=Tracer(mode=row.tracer["mode"], gaps=tuple(row.tracer["gaps"])),
        inputs=file_uses(connection, row.id, Role.INPUT, limit=files),
        outputs=file_uses(connection, row.id, Role.OUTPUT, limit=files),
        tracker_runs=tuple(tracker_runs_of(connection, [row.id]).get(row.id, ())),
        trackers={key: TrackerSummary(**value) for key, value in row.trackers.items()},
        labels=labels_of(connection, [row.id]).get(row.id, {}))


def _host(body: dict[str, Any] | None) -> Host | None:
    return None if body is None else Host(**{**body, "gpus": tuple(body["gpus"])})


def _python(body: dict[str, Any] | None) -> Python | None:
    if body is None:
        return None
    return Python(version=body["version"], packages=tuple(Package(**package) for package in body["packages"]))


def file_uses(connection: Connection, job_id: int, role: Role, *, after: int = -1, limit: int | None = None
              ) -> tuple[FileUse, ...]:
    """What a job read or wrote, in the order it was registered, behind position `after`."""
    rows = _uses_of_job(limit).all(connection, job=job_id, role=int(role), after=after)
    return tuple(FileUse(path=row.path, digest=None if row.digest is None else row.digest.hex(), size=row.size,
                         kind=Kind(row.kind), files=row.files, note=row.note) for row in rows)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _uses_of_job(limit: int | None) -> Query:
    use = models.file_use.c
    return Query(select(use.path, use.digest, use.size, use.kind, use.files, use.note).where(
        use.job_id == bindparam("job", 0, use.job_id.type), use.role == bindparam("role", 0, use.role.type),
        use.position > bindparam("after", -1, use.position.type)).order_by(use.position).limit(limit))


# ------------------------------------------------------------------------------------------------------- DAGs


def _dag_lines(viewer: Viewer) -> Select[Any]:
    return (select(models.dag, models.project.c.name.label("project")).select_from(models.dag).join(models.session)
            .join(models.project, models.session.c.project_id == models.project.c.id)
            .where(visible(viewer, models.session.c.project_id)))


def _dag_line(row: Any) -> DagLine:
    return DagLine(digest=row.digest.hex(), session=row.session.hex(), registered_at=row.registered_at, jobs=row.jobs,
                   project=row.project)


def find_dag(connection: Connection, viewer: Viewer, digest: str) -> DagLine | None:
    """The registered DAG `digest`."""
    row = connection.execute(_dag_lines(viewer).where(models.dag.c.digest == bytes.fromhex(digest))).first()
    return None if row is None else _dag_line(row)


def whole(dags: Iterable[DagLine]) -> DagLine | None:
    """The registration of a session that has the most of it, the newest of several.

    A part that is registered later, for one artifact or job, does not stand for the session.
    """
    return max(dags, key=lambda dag: (dag.jobs, dag.registered_at), default=None)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _whole_dag(viewer: Viewer) -> ForEach:
    dag = models.dag.c
    return ForEach(_dag_lines(viewer).order_by(dag.jobs.desc(), dag.registered_at.desc()).limit(1), dag.session)


def recent_sessions(connection: Connection, viewer: Viewer, *, limit: int = 10) -> tuple[DagLine, ...]:
    """The sessions registered last, each by the DAG that has the most of it (see `whole`)."""
    dag = models.dag.c
    latest = _dag_lines(viewer).with_only_columns(dag.session).order_by(dag.registered_at.desc()).limit(limit * 20)
    sessions = list(dict.fromkeys(connection.execute(latest).scalars()))[:limit]
    found = {session: _dag_line(row) for session, row in _whole_dag(viewer).rows(connection, sessions)}
    return tuple(found[session] for session in sessions if session in found)


def registered_dags(connection: Connection, viewer: Viewer, *, session: str | None = None,
                    before: tuple[str, str] | None = None, limit: int = 30) -> tuple[DagLine, ...]:
    """DAGs, newest first; `before` is time and digest of the last one seen."""
    dag = models.dag
    query = _dag_lines(viewer).order_by(dag.c.registered_at.desc(), dag.c.digest.desc()).limit(limit)
    if session is not None:
        query = query.where(dag.c.session == bytes.fromhex(session))
    if before is not None:
        time, digest = before
        query = query.where(dag.c.registered_at <= time, or_(
            dag.c.registered_at < time, dag.c.digest < bytes.fromhex(digest)))
    return tuple(_dag_line(row) for row in connection.execute(query))


def session_dags(connection: Connection, viewer: Viewer, session: str) -> tuple[DagLine, ...]:
    """The DAGs of one session as it grew, newest first."""
    rows = connection.execute(_dag_lines(viewer).where(models.dag.c.session == bytes.fromhex(session))
                              .order_by(models.dag.c.registered_at.desc()))
    return tuple(_dag_line(row) for row in rows)


def _dags_of_job(connection: Connection, job_id: int) -> tuple[DagLine, ...]:
    """A job's DAGs are all of its own project, so who sees the job sees them."""
    return tuple(_dag_line(row) for row in _dags_with_job().all(connection, job=job_id))


@functools.lru_cache(maxsize=1)
def _dags_with_job() -> Query:
    job_id = models.dag_job.c.job_id
    return Query(select(models.dag, models.project.c.name.label("project")).select_from(models.dag)
                 .join(models.session).join(models.project, models.session.c.project_id == models.project.c.id)
                 .join(models.dag_job).where(job_id == bindparam("job", 0, job_id.type))
                 .order_by(models.dag.c.registered_at.desc()))


def dag_job_lines(connection: Connection, viewer: Viewer, digest: str) -> tuple[JobLine, ...]:
    """The jobs of a DAG in their order."""
    return _as_lines(connection, _jobs_of_dag(viewer).all(connection, dag=bytes.fromhex(digest)))


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _jobs_of_dag(viewer: Viewer) -> Query:
    place = models.dag_job.c
    return Query(_job_lines(viewer).join(models.dag_job).where(
        place.dag == bindparam("dag", b"", place.dag.type)).order_by(place.position))


# -------------------------------------------------------------------------------------------------- artifacts


def is_seen(viewer: Viewer, digest: ColumnElement[Any]) -> ColumnElement[bool]:
    """Some visible job used the artifact, or it is part of a dataset whose members the viewer may know.

    It is no EXISTS, for PostgreSQL might read all uses at once to answer that.
    """
    if sees_everything(viewer):
        return true()
    use, members = models.file_use.c, models.dataset_member.c
    direct = uses_seen_by(viewer, select(use.job_id)).where(use.digest == digest).limit(1).scalar_subquery()
    inside = select(members.dataset).where(
        members.digest == digest, members_are_seen(viewer, members.dataset)).limit(1).scalar_subquery()
    return direct.is_not(None) | inside.is_not(None)


def find_artifact(connection: Connection, viewer: Viewer, digest: str, *, limit: int = USES_SHOWN,
                  known: Iterable[JobLine] = ()) -> Artifact | None:
    """The artifact `digest`, with the jobs around it that the viewer may see, newest first; some are `known` already.

    What it is comes from those jobs too: what others say of the same digest, such as its size, is theirs.
    """
    key = bytes.fromhex(digest)
    wholes = _datasets_with(viewer, limit).all(connection, digest=key)
    found: dict[Role, list[Any]] = {role: [] for role in Role}
    newest = _newest_uses(viewer, max(limit, FACTS_LOOKED_AT))
    for role, row in newest.rows(connection, [int(role) for role in Role], digest=key):
        found[Role(role)].append(row)
    facts = sorted(itertools.chain.from_iterable(found.values()), key=lambda row: row.job_id, reverse=True)
    if not facts and not wholes:
        return None
    first = facts[0] if facts else None
    size = next((row.size for row in facts if row.size is not None), None)
    if size is None and wholes:
        size = MemberSizes(connection, viewer, [wholes[0].dataset]).of(wholes[0])
    shown = {role: rows[:limit] for role, rows in found.items()}
    lines = {line.key: line for line in known}
    lines |= find_job_lines(connection, viewer, sorted(
        {row.job_id for rows in shown.values() for row in rows}.difference(lines)))
    by_role = {role: tuple(ArtifactUse(key=(row.job_id, row.position), job=lines[row.job_id], path=row.path, role=role)
                           for row in rows) for role, rows in shown.items()}
    uses, used = by_role[Role.OUTPUT] + by_role[Role.PAYLOAD], by_role[Role.INPUT]
    names = [each.path for each in [*uses, *used]]
    names += _names_within(connection, viewer, {row.dataset: row.path for row in wholes[:WHOLES_NAMED]})
    return Artifact(digest=digest, kind=Kind(first.kind) if first else Kind.FILE, size=size,
                    files=first.files if first else None,
                    names=tuple(dict.fromkeys(names)), produced_by=uses, used_by=used,
                    datasets=tuple(dict.fromkeys(row.dataset.hex() for row in wholes)))


def knows_artifact(connection: Connection, viewer: Viewer, digest: str) -> bool:
    """Whether `find_artifact` finds it."""
    key = bytes.fromhex(digest)
    used = next(_newest_uses(viewer, 1).rows(connection, [int(role) for role in Role], digest=key), None)
    return used is not None or _datasets_with(viewer, 1).first(connection, digest=key) is not None


def _names_within(connection: Connection, viewer: Viewer, inside: dict[bytes, str]) -> Iterator[str]:
    """The paths of a file within datasets, where visible jobs used these."""
    for digest, row in uses_of(viewer, FACTS_LOOKED_AT).rows(connection, sorted(inside)):
        yield members_folder(row.path) + inside[digest]


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _datasets_with(viewer: Viewer, limit: int) -> Query:
    member = models.dataset_member.c
    return Query(select(member.dataset, member.position, member.path, member.size).where(
        member.digest == bindparam("digest", b"", member.digest.type),
        members_are_seen(viewer, member.dataset)).limit(limit))


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _newest_uses(viewer: Viewer, limit: int) -> ForEach:
    """The uses of an artifact `digest` registered last, role by role."""
    use = models.file_use.c
    query = uses_seen_by(viewer, select(use.job_id, use.position, use.path, use.kind, use.size, use.files)).where(
        use.digest == bindparam("digest", b"", use.digest.type))
    return ForEach(query.order_by(use.job_id.desc()).limit(limit), use.role)


def artifact_uses(connection: Connection, viewer: Viewer, digest: str, role: Role, *,
                  before: tuple[int, int] | None = None, limit: int = PAGE) -> tuple[ArtifactUse, ...]:
    """The jobs that used an artifact in one role, newest first; `before` is the key of the last one seen."""
    use = models.file_use.c
    query = (uses_seen_by(viewer, select(use.job_id, use.position, use.path))
             .where(use.digest == bytes.fromhex(digest), use.role == int(role))
             .order_by(use.job_id.desc(), use.position.desc()).limit(limit))
    if before is not None:
        job_id, position = before
        query = query.where(use.job_id <= job_id, or_(use.job_id < job_id, use.position < position))
    rows = connection.execute(query).all()
    lines = find_job_lines(connection, viewer, sorted({row.job_id for row in rows}))
    return tuple(ArtifactUse(key=(row.job_id, row.position), job=lines[row.job_id], path=row.path, role=role)
                 for row in rows)


def dataset_members(connection: Connection, viewer: Viewer, digest: str, *, after: int = -1, folder: str = "",
                    within: str = "", limit: int = PAGE) -> tuple[Member, ...]:
    """Members of a dataset that the viewer may know, by path, behind position `after`, in folders of `folder` too.

    `within` keeps the members whose path holds that text, in whatever case.
    """
    table = models.dataset_member
    wanted = and_(table.c.dataset == bytes.fromhex(digest), table.c.position > after,
                  members_are_seen(viewer, table.c.dataset))
    if folder:
        start, end = _Members(connection, viewer, bytes.fromhex(digest)).range_of(folder)
        wanted = and_(wanted, table.c.position >= start, table.c.position < end)
    if within:
        wanted = and_(wanted, table.c.path.icontains(within, autoescape=True))
    rows = connection.execute(select(table).where(wanted).order_by(table.c.position).limit(limit))
    sizes = MemberSizes(connection, viewer, [bytes.fromhex(digest)])
    return tuple(_member(row, sizes) for row in rows)


def _member(row: Row[Any], sizes: MemberSizes) -> Member:
    return Member(position=row.position, path=row.path, digest=row.digest.hex(), size=sizes.of(row))


def dataset_folder(connection: Connection, viewer: Viewer, digest: str, folder: str = "", *, start: int | None = None,
                   limit: int = PAGE) -> tuple[tuple[MemberFolder | Member, ...], int | None]:
    """What lies directly in `folder` (`a/b/`; empty for the top) of a dataset, by path, and where to go on.

    Args:
        connection: to read with.
        viewer: who may know no members; then there are none.
        digest: of the dataset.
        folder: ends in a slash, or is empty.
        start: the position to go on at, which a former answer gave.
        limit: how many entries at most.
    """
    key = bytes.fromhex(digest)
    if _dataset_is_told(viewer).first(connection, dataset=key) is None:
        return (), None
    members = _Members(connection, viewer, key)
    first, end = members.range_of(folder)
    position = first if start is None else max(first, start)
    entries: list[MemberFolder | Member] = []
    while position < end and len(entries) < limit:
        row = members.at(position)
        name, slash, _ = row.path[len(folder):].partition("/")
        if not slash:
            entries.append(_member(row, members.sizes))
            position += 1
            continue
        behind = members.behind(f"{folder}{name}/", position, end)
        entries.append(MemberFolder(path=f"{folder}{name}/", files=behind - position))
        position = behind
    return tuple(entries), position if position < end else None


def find_member(connection: Connection, viewer: Viewer, digest: str, path: str) -> Member | None:
    """The file at `path` in a dataset, where there is one and the viewer may know it."""
    key = bytes.fromhex(digest)
    if _dataset_is_told(viewer).first(connection, dataset=key) is None:
        return None
    return _Members(connection, viewer, key).find(path)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _dataset_is_told(viewer: Viewer) -> Query:
    told = models.dataset_project.c
    return Query(select(told.dataset).where(told.dataset == bindparam("dataset", b"", told.dataset.type),
                                            visible(viewer, told.project_id)).limit(1))


class _Members:
    """The members of one dataset by position. They are sorted by path, so those of a folder lie side by side.

    Where a folder begins and ends is found by halving, so that a folder of a million files costs twenty look-ups.
    Paths are compared here, by code point as `ingest` sorted them, for databases compare by other rules.
    """

    def __init__(self, connection: Connection, viewer: Viewer, dataset: bytes) -> None:
        self.sizes = MemberSizes(connection, viewer, [dataset])
        self._connection = connection
        table = models.dataset_member
        self._query = select(table).where(table.c.dataset == dataset)
        last = connection.execute(select(func.max(table.c.position)).where(table.c.dataset == dataset)).scalar()
        self._count = 0 if last is None else int(last) + 1
        self._known: dict[int, Row[Any]] = {}

    def at(self, position: int) -> Row[Any]:
        """The member at `position`; a hundred at once are read where one after the other is asked for."""
        if position not in self._known:
            column = models.dataset_member.c.position
            ahead = PAGE if position - 1 in self._known or position == 0 else 1
            for row in self._connection.execute(self._query.where(column >= position, column < position + ahead)):
                self._known[row.position] = row
        return self._known[position]

    def range_of(self, folder: str) -> tuple[int, int]:
        """Positions of the first member in `folder`, and behind the last."""
        if not folder:
            return 0, self._count
        low = self._first_from(folder)
        return low, self.behind(folder, low, self._count)

    def find(self, path: str) -> Member | None:
        """The member at `path`."""
        position = self._first_from(path)
        row = self.at(position) if position < self._count else None
        return _member(row, self.sizes) if row is not None and row.path == path else None

    def _first_from(self, path: str) -> int:
        """The position of the first member at `path` or behind it."""
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self.at(middle).path < path:
                low = middle + 1
            else:
                high = middle
        return low

    def behind(self, folder: str, low: int, high: int) -> int:
        """The first position from `low` on whose member is not in `folder`; all of its members lie before `high`."""
        step = 1
        while low + step < high and self.at(low + step).path.startswith(folder):  # most folders are small
            low, step = low + step, step * 2
        high = min(high, low + step)
        while low < high:
            middle = (low + high) // 2
            if self.at(middle).path.startswith(folder):
                low = middle + 1
            else:
                high = middle
        return low


# ----------------------------------------------------------------------------------------------- tracker runs


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerRunFilter:
    """Which tracker runs to list; None takes all."""

    tracker: str | None = None
    project: str | None = None
    entity: str | None = None
    state: str | None = None


def tracker_run_lines(connection: Connection, viewer: Viewer, wanted: TrackerRunFilter, *, before: int | None = None,
                      limit: int = PAGE) -> tuple[TrackerRunLine, ...]:
    """Tracker runs, newest first, behind the key `before`."""
    table = models.tracker_run
    query = select(table).join(models.job).where(visible(viewer, models.job.c.project_id)).order_by(table.c.id.desc())
    for field in ("tracker", "project", "entity", "state"):
        if (value := getattr(wanted, field)) is not None:
            query = query.where(table.c[field] == value)
    if before is not None:
        query = query.where(table.c.id < before)
    return read_tracker_run_lines(connection, viewer, query.limit(limit))


def read_tracker_run_lines(connection: Connection, viewer: Viewer, query: Select[Any]
                           ) -> tuple[TrackerRunLine, ...]:
    """The lines of a query over the tracker run table: see `as_tracker_run_lines`."""
    return as_tracker_run_lines(connection, viewer, connection.execute(query).all())


def as_tracker_run_lines(connection: Connection, viewer: Viewer, rows: Sequence[Any]) -> tuple[TrackerRunLine, ...]:
    """Rows of the tracker run table as lines, without those whose job the viewer may not see."""
    lines = find_job_lines(connection, viewer, sorted({row.job_id for row in rows}))
    return tuple(TrackerRunLine(key=row.id, run=_tracker_run(row), job=lines[row.job_id])
                 for row in rows if row.job_id in lines)


def tracker_choices(connection: Connection, viewer: Viewer) -> tuple[tuple[str, str], ...]:
    """Name and label of the trackers among the visible runs that were registered last."""
    table = models.tracker_run
    newest = (select(table.c.tracker, table.c.label).join(models.job).where(visible(viewer, models.job.c.project_id))
              .order_by(table.c.id.desc()).limit(RUNS_LOOKED_AT).subquery())
    query = select(newest.c.tracker, func.max(newest.c.label).label("label")).group_by(newest.c.tracker)
    return tuple(sorted((row.tracker, row.label) for row in connection.execute(query)))
