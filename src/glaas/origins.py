"""What exports are made of: a registered DAG, or a job or an artifact with all the jobs that it came from.

Which job made what another one read is found as for pages (see `glaas.makers`).
"""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, func, select

from glaas import catalog, models
from glaas.access import Viewer, members_are_seen
from glaas.db import in_parts
from glaas.errors import ProblemError, not_found
from glaas.exports import Lineage, Noun, Subject, make_lineage
from glaas.makers import EMPTY, Makers, Reading, reader_of
from glaas.member_sizes import MemberSizes
from glaas.models import Role
from roar.wire import Dataset, DatasetMember, Job, Kind, Payload

MOST_JOBS = 5000
MOST_USES = 100_000
MOST_MEMBERS = 100_000


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
    read = Reading(None, bytes.fromhex(digest), artifact.names[0] if artifact.names else "", artifact.kind,
                   artifact.files)
    if read.digest == EMPTY:
        raise ProblemError(404, "All empty files are one artifact, whoever wrote them: export a job or a session.")
    makers = _makers_of(Makers(connection, viewer), [read])
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
    makers = Makers(connection, viewer)
    seen = set(start)
    level = seen
    while level:
        if len(seen) > MOST_JOBS:
            raise ProblemError(422, f"The {subject.noun} {subject.name} came from more than {MOST_JOBS} jobs: export a"
                                    " session instead.")
        level = _makers_of(makers, _inputs_of(connection, level)) - seen
        seen |= level
    return seen


def _makers_of(makers: Makers, readings: Iterable[Reading]) -> set[int]:
    return {maker.key for found in makers.of(readings).values() for maker in found}


def _inputs_of(connection: Connection, keys: Iterable[int]) -> Iterator[Reading]:
    """What these jobs read."""
    use, job = models.file_use, models.job
    query = (select(use.c.job_id, use.c.digest, use.c.path, use.c.kind, use.c.files, job.c.session, job.c.started_at,
                    job.c.duration_s, use.c.unchanged_since)
             .join(job).where(use.c.role == int(Role.INPUT), use.c.digest.is_not(None)))
    for part in in_parts(sorted(keys)):
        for row in connection.execute(query.where(use.c.job_id.in_(part))):
            yield Reading(reader_of(row), row.digest, row.path, Kind(row.kind), row.files, since=row.unchanged_since)


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
    known = members_are_seen(viewer, table.c.dataset)
    query = select(table).where(known).order_by(
        table.c.dataset, table.c.position)
    if members:
        count = sum(connection.execute(select(func.count()).where(table.c.dataset.in_(part), known)).scalar_one()
                    for part in in_parts(wanted))
        if count > MOST_MEMBERS:
            raise ProblemError(422, f"Its datasets have {count} files, more than the {MOST_MEMBERS} that one export"
                                    " lists: ask for it without them, or export it where it was recorded.")
    else:
        query = query.where(table.c.digest.in_(select(use.c.digest).where(use.c.job_id.in_(keys))))
    found: dict[bytes, list[DatasetMember]] = {digest: [] for digest in wanted}
    sizes = MemberSizes(connection, viewer, wanted)
    for part in in_parts(wanted):
        for row in connection.execute(query.where(table.c.dataset.in_(part))):
            found[row.dataset].append(DatasetMember(path=row.path, digest=row.digest.hex(), size=sizes.of(row)))
    return (Dataset(digest=digest.hex(), members=tuple(listed)) for digest, listed in found.items())


def _payloads(connection: Connection, jobs: Iterable[Job], keys: list[int]) -> Iterator[Payload]:
    for job, key in zip(jobs, keys, strict=True):
        for use in catalog.file_uses(connection, key, Role.PAYLOAD):
            if use.digest is not None and use.size is not None:
                yield Payload(job=job.uid, path=use.path, digest=use.digest, size=use.size)
