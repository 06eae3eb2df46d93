"""The root inputs of a graph: what its jobs read and none of them made."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from roar.model import Kind
from roar.query.lineage import Direction, load_lineage
from roar.query.references import ArtifactReference, JobReference, Reference, SessionReference, TrackerRunReference
from roar.query.sessions import session_job_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One root input.

    Attributes:
        path, digest, size, kind, files, note: as in FileUse.
        used_by: uids of the jobs that read it.
        made_by: uid of the recorded job outside the graph that made it; None where nothing recorded did.
    """

    path: str
    digest: str | None
    size: int | None
    kind: Kind
    files: int | None
    note: str | None
    used_by: tuple[str, ...]
    made_by: str | None


def jobs_behind(database: sqlite3.Connection, found: Reference) -> list[int]:
    """The rows of the jobs of a session, or of those that led to an artifact, a job or a tracker run."""
    if isinstance(found, SessionReference):
        return session_job_ids(database, found.row_id)
    if isinstance(found, TrackerRunReference):
        jobs: set[int] = set()
        for job_id in found.job_ids:
            jobs.update(_behind(database, JobReference(job_id, "")))
        return sorted(jobs)
    return _behind(database, found)


def _behind(database: sqlite3.Connection, found: ArtifactReference | JobReference) -> list[int]:
    return [hop.job.row_id for hop in load_lineage(database, found, direction=Direction.UP).hops]


def find_roots(database: sqlite3.Connection, job_ids: Sequence[int]) -> list[Root]:
    """The root inputs of the graph that these jobs form, sorted by path."""
    roots: dict[tuple[str, str | None], Root] = {}
    inside = set(job_ids)
    for job_id in job_ids:
        uid = database.execute("SELECT uid FROM job WHERE id = ?", (job_id,)).fetchone()[0]
        for root in _roots_of_job(database, job_id, uid, inside):
            key = root.path, root.digest
            known = roots.get(key)
            roots[key] = root if known is None else _joined(known, root)
    return [roots[key] for key in sorted(roots, key=lambda key: (key[0], key[1] or ""))]


def _joined(one: Root, other: Root) -> Root:
    return Root(path=one.path, digest=one.digest, size=one.size, kind=one.kind, files=one.files, note=one.note,
                used_by=tuple(dict.fromkeys((*one.used_by, *other.used_by))), made_by=one.made_by or other.made_by)


def _roots_of_job(database: sqlite3.Connection, job_id: int, uid: str, inside: Collection[int]) -> list[Root]:
    makers: dict[int, int] = {}
    made_inside: set[int] = set()
    for artifact_id, producer_id in database.execute(
            "SELECT artifact_id, producer_id FROM dependency WHERE consumer_id = ?", (job_id,)):
        makers[artifact_id] = max(producer_id, makers.get(artifact_id, 0))
        if producer_id in inside:
            made_inside.add(artifact_id)
    rows = database.execute(
        "SELECT path.path, artifact_id, digest, coalesce(artifact.size, used.size),"
        " coalesce(artifact.files, used.files), used.note FROM file_read AS used"
        " JOIN path ON path.id = used.path_id LEFT JOIN artifact ON artifact.id = used.artifact_id"
        " WHERE used.job_id = ? ORDER BY used.ordinal", (job_id,)).fetchall()
    return [Root(path=path, digest=None if digest is None else digest.hex(), size=size, files=files, note=note,
                 kind=Kind.FILE if files is None else Kind.DATASET, used_by=(uid,),
                 made_by=_uid(database, makers.get(artifact_id)))
            for path, artifact_id, digest, size, files, note in rows if artifact_id not in made_inside]


def _uid(database: sqlite3.Connection, job_id: int | None) -> str | None:
    if job_id is None:
        return None
    uid: str = database.execute("SELECT uid FROM job WHERE id = ?", (job_id,)).fetchone()[0]
    return uid
