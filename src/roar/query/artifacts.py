"""What the record knows of one artifact."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from roar.model import Kind, members_folder
from roar.query.jobs import iter_members
from roar.query.parts import PartUse, Writings, uses_of_parts
from roar.record.dependencies import makers_at
from roar.wire import DatasetMember

ROLES = {1: "input", 2: "output", 3: "payload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactUse:
    """One use of an artifact.

    Attributes:
        job, session: uids of the job and of its session.
        step: of the job, in its session.
        role: `input`, `output` or `payload`.
        path: where the job saw it.
        used_as: digest of what the job used where that is a dataset with the artifact in it, a part of the dataset
            that it is, or another dataset with some of its files; None where it is the artifact itself.
    """

    job: str
    session: str
    step: int
    role: str
    path: str
    used_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Some content and where it was seen.

    Attributes:
        names: the paths it was seen at, the latest first.
        produced_by, used_by: the latest first.
        datasets: digests of the datasets that it is a member of.
        members: of a dataset.
    """

    digest: str
    kind: Kind
    size: int
    files: int | None
    names: tuple[str, ...]
    produced_by: tuple[ArtifactUse, ...]
    used_by: tuple[ArtifactUse, ...]
    datasets: tuple[str, ...]
    members: tuple[DatasetMember, ...]
    labels: dict[str, str] = field(default_factory=dict)


def load_artifact(database: sqlite3.Connection, row_id: int, path: str | None = None) -> Artifact:
    """The artifact in row `row_id`; `path` where it was named by one.

    Empty files have nothing to do with each other but at the same path: of one that was named by its path no other is
    told.
    """
    digest, size, files = database.execute("SELECT digest, size, files FROM artifact WHERE id = ?",
                                           (row_id,)).fetchone()
    uses = _load_uses(database, row_id)
    here = path if files is None and not size else None
    if here is not None:
        uses = [use for use in uses if use.path == here]
    made = [use for use in uses if use.role != "input"]
    read = [use for use in uses if use.role == "input"]
    if files is not None:
        read += _reads_of_parts(database, row_id)
        made = made or _makers_of_parts(database, row_id, path, read)
    datasets = database.execute(
        "SELECT DISTINCT artifact.digest FROM dataset_member JOIN artifact ON artifact.id = dataset_id"
        " WHERE artifact_id = ? ORDER BY dataset_id DESC", (row_id,)).fetchall()
    wholes = [row[0].hex() for row in datasets]
    if here is not None:
        wholes = [whole for whole in wholes if any(use.used_as == whole for use in uses)]
    own = [*made, *read] if files is None else [use for use in (*made, *read) if use.used_as is None]
    return Artifact(
        digest=digest.hex(), kind=Kind.FILE if files is None else Kind.DATASET, size=size, files=files,
        names=tuple(dict.fromkeys(use.path for use in own)), produced_by=tuple(made), used_by=tuple(read),
        datasets=tuple(wholes),
        members=() if files is None else tuple(iter_members(database, row_id)),
        labels=dict(database.execute("SELECT key, value FROM label WHERE artifact_id = ? ORDER BY key", (row_id,))))


def _load_uses(database: sqlite3.Connection, row_id: int) -> list[ArtifactUse]:
    """The uses of an artifact, and of the datasets that a file is in at the path where it lay there."""
    found = [(job_id, ArtifactUse(job=uid, session=session, step=step, role=ROLES[role],
                                  used_as=None if whole is None else whole.hex(),
                                  path=path if whole is None else members_folder(path) + inside))
             for job_id, uid, session, step, role, path, whole, inside
             in database.execute(_USES, {"artifact": row_id})]
    return [use for _, use in sorted(found, key=lambda one: (-one[0], one[1].role))]


_USES = """
WITH own AS MATERIALIZED (
    SELECT :artifact AS id, NULL AS whole, NULL AS inside UNION ALL
    SELECT dataset_id, digest, dataset_member.path FROM dataset_member JOIN artifact ON artifact.id = dataset_id
    WHERE artifact_id = :artifact)
SELECT job_id, job.uid, session.uid, number, role, path.path, whole, inside FROM (
    SELECT job_id, role, path_id, whole, inside FROM own CROSS JOIN file_read ON artifact_id = own.id UNION ALL
    SELECT job_id, role, path_id, whole, inside FROM own CROSS JOIN file_written ON artifact_id = own.id
) JOIN job ON job.id = job_id JOIN step ON step.id = step_id JOIN session ON session.id = session_id
JOIN path ON path.id = path_id
"""


def _reads_of_parts(database: sqlite3.Connection, row_id: int) -> list[ArtifactUse]:
    """The jobs that read part of a dataset."""
    return [_part_use(database, use, "input") for use in uses_of_parts(database, row_id)]


def _makers_of_parts(database: sqlite3.Connection, row_id: int, path: str | None, read: Sequence[ArtifactUse]
                     ) -> list[ArtifactUse]:
    """The jobs that made a dataset which none wrote as a whole, as it lies at a path, or else as it was read last."""
    if path is None:
        path = next((use.path for use in read if use.used_as is None), None)
    makers = [] if path is None else makers_at(database, row_id, path)
    writings = Writings(database)
    return [_part_use(database, PartUse(*maker, place), "output") for maker in dict.fromkeys(makers)
            for place in sorted(writings.paths(maker))]


def _part_use(database: sqlite3.Connection, use: PartUse, role: str) -> ArtifactUse:
    uid, session, step, digest = database.execute(
        "SELECT job.uid, session.uid, number, digest FROM job JOIN step ON step.id = step_id"
        " JOIN session ON session.id = session_id JOIN artifact ON artifact.id = ? WHERE job.id = ?",
        (use.artifact_id, use.job_id)).fetchone()
    return ArtifactUse(job=uid, session=session, step=step, role=role, path=use.path, used_as=digest.hex())
