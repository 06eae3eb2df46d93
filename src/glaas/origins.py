"""What exports are made of: a registered DAG, or a job or an artifact with all the jobs that it came from.

An input counts as made by the last visible job that started before the reader ended and wrote the same content, at the
same path if there is one, as in the client's own record. A dataset that no job wrote as a whole came from the jobs
that wrote its members, and a file that is only known as part of a dataset from the job that wrote that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, func, select

from glaas import catalog, models
from glaas.access import Viewer, visible
from glaas.errors import ProblemError, not_found
from glaas.exports import Lineage, Noun, Subject, make_lineage
from glaas.exports.lineage import moment_after
from glaas.models import Role
from roar.wire import Dataset, DatasetMember, Job, Kind, Payload, members_folder

MOST_JOBS = 5000
MOST_USES = 100_000
MOST_MEMBERS = 100_000
PART = 1000
CROWD = 50_000
"""Writers that are looked at together. Where content has more (a file that holds `1`), each reader asks by itself."""


def dag_lineage(connection: Connection, viewer: Viewer, dag: str, *, members: bool = False) -> Lineage:
    """The registered DAG `dag`.

    Raises:
        ProblemError: 404; 422 where `members` are too many.
    """
    line = catalog.find_dag(connection, viewer, dag)
    if line is None:
        raise not_found(f"session {dag}")
    lines = catalog.dag_job_lines(connection, viewer, dag)
    return _lineage(connection, viewer, Subject(noun=Noun.SESSION, name=dag), lines, members=members)


def job_lineage(connection: Connection, viewer: Viewer, uid: str, *, members: bool = False) -> Lineage:
    """The job `uid` with the jobs that it came from, as far as `viewer` may see them.

    Raises:
        ProblemError: 404; 422 where it is too much.
    """
    stored = catalog.find_job(connection, viewer, uid, files=0)
    if stored is None:
        raise not_found(f"job {uid}")
    return _walked(connection, viewer, Subject(noun=Noun.JOB, name=uid), {stored.key}, members=members)


def artifact_lineage(connection: Connection, viewer: Viewer, digest: str, *, members: bool = False) -> Lineage:
    """The jobs that the artifact `digest` came from, as far as `viewer` may see them.

    Raises:
        ProblemError: 404 also where no visible job wrote it; 422 where it is too much.
    """
    artifact = catalog.find_artifact(connection, viewer, digest, limit=1)
    if artifact is None:
        raise not_found(f"artifact {digest}")
    use = _Use(None, bytes.fromhex(digest), artifact.names[0] if artifact.names else "", artifact.kind)
    makers = _Makers(connection, viewer).of([use])
    if not makers:
        raise ProblemError(404, f"No job that you may see here wrote artifact {digest}, so nothing is known of where"
                                " it came from.")
    return _walked(connection, viewer, Subject(noun=Noun.ARTIFACT, name=digest), makers, members=members)


def _walked(connection: Connection, viewer: Viewer, subject: Subject, start: set[int], *, members: bool) -> Lineage:
    keys = _jobs_behind(connection, viewer, start, subject)
    lines = sorted(catalog.find_job_lines(connection, viewer, sorted(keys)).values(),
                   key=lambda line: (line.started_at, line.key))
    return _lineage(connection, viewer, subject, lines, members=members)


def _jobs_behind(connection: Connection, viewer: Viewer, start: set[int], subject: Subject) -> set[int]:
    makers = _Makers(connection, viewer)
    seen = set(start)
    level = seen
    while level:
        if len(seen) > MOST_JOBS:
            raise ProblemError(422, f"The {subject.noun} {subject.name} came from more than {MOST_JOBS} jobs: export a"
                                    " session instead.")
        level = makers.of(list(makers.inputs_of(level))) - seen
        seen |= level
    return seen


def _lineage(connection: Connection, viewer: Viewer, subject: Subject, lines: Sequence[catalog.JobLine], *,
             members: bool) -> Lineage:
    uses = sum(line.inputs + line.outputs for line in lines)
    if uses > MOST_USES:
        raise ProblemError(422, f"It names {uses} files, more than the {MOST_USES} of one export here: `roar export`"
                                " where it was recorded has no such limit.")
    found = [catalog.find_job(connection, viewer, line.uid) for line in lines]
    stored = [job for job in found if job is not None]
    jobs, keys = tuple(job.job for job in stored), [job.key for job in stored]
    digests = {use.digest for job in jobs for use in (*job.inputs, *job.outputs)
               if use.kind is Kind.DATASET and use.digest is not None}
    return make_lineage(subject, stored[-1].session if stored else "", jobs,
                        _datasets(connection, viewer, sorted(digests), keys, members=members),
                        _payloads(connection, jobs, keys), members=members)


def _datasets(connection: Connection, viewer: Viewer, digests: list[str], keys: list[int], *, members: bool
              ) -> Iterator[Dataset]:
    """The datasets with all members that the viewer may know, or with those that these jobs used by themselves."""
    table, use = models.dataset_member, models.file_use
    wanted = [bytes.fromhex(digest) for digest in digests]
    known = catalog.members_are_seen(viewer, table.c.dataset)
    query = select(table.c.dataset, table.c.path, table.c.digest, table.c.size).where(known).order_by(
        table.c.dataset, table.c.position)
    if members:
        count = sum(connection.execute(select(func.count()).where(table.c.dataset.in_(part), known)).scalar_one()
                    for part in _parts(wanted))
        if count > MOST_MEMBERS:
            raise ProblemError(422, f"Its datasets have {count} files, more than the {MOST_MEMBERS} that one export"
                                    " lists: ask for it without them, or export it where it was recorded.")
    else:
        query = query.where(table.c.digest.in_(select(use.c.digest).where(use.c.job_id.in_(keys))))
    found: dict[bytes, list[DatasetMember]] = {digest: [] for digest in wanted}
    for part in _parts(wanted):
        for row in connection.execute(query.where(table.c.dataset.in_(part))):
            found[row.dataset].append(DatasetMember(path=row.path, digest=row.digest.hex(), size=row.size))
    return (Dataset(digest=digest.hex(), members=tuple(listed)) for digest, listed in found.items())


def _payloads(connection: Connection, jobs: Iterable[Job], keys: list[int]) -> Iterator[Payload]:
    for job, key in zip(jobs, keys, strict=True):
        for use in catalog.file_uses(connection, key, Role.PAYLOAD):
            if use.digest is not None and use.size is not None:
                yield Payload(job=job.uid, path=use.path, digest=use.digest, size=use.size)


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), PART):
        yield values[start:start + PART]


# ------------------------------------------------------------------------------------------- who made what


@dataclass(frozen=True, slots=True)
class _Reader:
    """The job that read; `ended_at` is None where that is not known."""

    key: int
    ended_at: str | None


class _Use(NamedTuple):
    """An artifact at the path where `reader` found it; None where only the artifact is asked for."""

    reader: _Reader | None
    digest: bytes
    path: str
    kind: Kind


class _Writer(NamedTuple):
    """A job that wrote what was looked for, and where; they compare by when the job started."""

    started_at: str
    key: int
    path: str


class _Makers:
    """Finds the jobs that made what other jobs read."""

    def __init__(self, connection: Connection, viewer: Viewer) -> None:
        self._connection = connection
        self._viewer = viewer

    def inputs_of(self, keys: Iterable[int]) -> Iterator[_Use]:
        """What these jobs read. An empty file is the same everywhere and leads nowhere."""
        use, job = models.file_use, models.job
        query = (select(use.c.job_id, use.c.digest, use.c.path, use.c.kind, job.c.started_at, job.c.duration_s)
                 .join(job).where(use.c.role == int(Role.INPUT), use.c.digest.is_not(None), use.c.size > 0))
        for part in _parts(sorted(keys)):
            for row in self._connection.execute(query.where(use.c.job_id.in_(part))):
                reader = _Reader(row.job_id, moment_after(row.started_at, row.duration_s))
                yield _Use(reader, row.digest, row.path, Kind(row.kind))

    def of(self, uses: list[_Use]) -> set[int]:
        """The jobs that made them."""
        direct = self._writers(uses)
        found, left = set(), []
        for use in uses:
            writer = _last(direct.get(use.digest, ()), use.reader, use.path)
            if writer is None:
                left.append(use)
            else:
                found.add(writer)
        return found | self._of_members(left) | self._of_datasets(left)

    def _writers(self, uses: list[_Use]) -> dict[bytes, list[_Writer]]:
        use, job = models.file_use, models.job
        query = self._visible(select(use.c.digest.label("wanted"), use.c.path, use.c.job_id, job.c.started_at))
        return self._by_wanted(query, use.c.digest, uses, lambda row: row.path, use.c.path)

    def _of_members(self, uses: list[_Use]) -> set[int]:
        """The last writers of each of the members of datasets."""
        use, job, member = models.file_use, models.job, models.dataset_member
        query = self._visible(
            select(member.c.dataset.label("wanted"), member.c.path.label("member"), use.c.path, use.c.job_id,
                   job.c.started_at).join_from(member, use, use.c.digest == member.c.digest)).where(member.c.size > 0)
        datasets = [one for one in uses if one.kind is Kind.DATASET]
        rows: dict[bytes, dict[str, list[_Writer]]] = {}
        for part in _parts(sorted({one.digest for one in datasets})):
            for row in self._connection.execute(query.where(member.c.dataset.in_(part))):
                rows.setdefault(row.wanted, {}).setdefault(row.member, []).append(
                    _Writer(row.started_at, row.job_id, row.path))
        return {writer for one in datasets for name, writers in rows.get(one.digest, {}).items()
                if (writer := _last(writers, one.reader, members_folder(one.path) + name)) is not None}

    def _of_datasets(self, uses: list[_Use]) -> set[int]:
        """The last writers of datasets that files are part of."""
        use, job, member = models.file_use, models.job, models.dataset_member
        query = self._visible(
            select(member.c.digest.label("wanted"), member.c.path.label("member"), use.c.path, use.c.job_id,
                   job.c.started_at).join_from(member, use, use.c.digest == member.c.dataset))
        files = [one for one in uses if one.kind is Kind.FILE]
        writers = self._by_wanted(query, member.c.digest, files, lambda row: members_folder(row.path) + row.member)
        return {writer for one in files
                if (writer := _last(writers.get(one.digest, ()), one.reader, one.path)) is not None}

    def _visible(self, query: Select[Any]) -> Select[Any]:
        use, job = models.file_use, models.job
        return query.join(job, job.c.id == use.c.job_id).where(
            use.c.role.in_([int(Role.OUTPUT), int(Role.PAYLOAD)]), use.c.size > 0,
            visible(self._viewer, job.c.project_id))

    def _by_wanted(self, query: Select[Any], column: Any, uses: list[_Use], path_of: Callable[[Row[Any]], str],
                   path_column: Any = None) -> dict[bytes, list[_Writer]]:
        found: dict[bytes, list[_Writer]] = {}
        for part in _parts(sorted({one.digest for one in uses})):
            together = self._connection.execute(query.where(column.in_(part)).limit(CROWD)).all()
            rows: Iterable[Row[Any]] = together
            if len(together) == CROWD:
                wanted = set(part)
                rows = self._one_by_one(query, column, (one for one in uses if one.digest in wanted), path_column)
            for row in rows:
                found.setdefault(row.wanted, []).append(_Writer(row.started_at, row.job_id, path_of(row)))
        return found

    def _one_by_one(self, query: Select[Any], column: Any, uses: Iterable[_Use], path_column: Any
                    ) -> Iterator[Row[Any]]:
        """For each use the last writer that can have made it, and the last one at its very path."""
        job = models.job
        for one in uses:
            last = query.where(column == one.digest).order_by(job.c.started_at.desc(), job.c.id.desc()).limit(1)
            if one.reader is not None:
                last = last.where(job.c.id != one.reader.key)
                if one.reader.ended_at is not None:
                    last = last.where(job.c.started_at <= one.reader.ended_at)
            yield from self._connection.execute(last)
            if path_column is not None:
                yield from self._connection.execute(last.where(path_column == one.path))


def _last(writers: Iterable[_Writer], reader: _Reader | None, path: str) -> int | None:
    """The last of the writers that can have made what was read, one that wrote it at `path` before all others."""
    possible = [writer for writer in writers if reader is None or (
        writer.key != reader.key and (reader.ended_at is None or writer.started_at <= reader.ended_at))]
    if not possible:
        return None
    if reader is not None:
        possible = [writer for writer in possible if writer.path == path] or possible
    return max(possible).key
