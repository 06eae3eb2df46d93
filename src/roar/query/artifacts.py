"""What the record knows of one artifact."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from roar.model import Kind
from roar.query.jobs import iter_members
from roar.wire import DatasetMember

_ROLES = {1: "input", 2: "output", 3: "payload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactUse:
    """One use of an artifact.

    Attributes:
        job, session: uids of the job and of its session.
        step: of the job, in its session.
        role: `input`, `output` or `payload`.
        path: where the job saw it.
    """

    job: str
    session: str
    step: int
    role: str
    path: str


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


def load_artifact(database: sqlite3.Connection, row_id: int) -> Artifact:
    """The artifact in row `row_id`."""
    digest, size, files = database.execute("SELECT digest, size, files FROM artifact WHERE id = ?",
                                           (row_id,)).fetchone()
    uses = _load_uses(database, row_id)
    datasets = database.execute(
        "SELECT DISTINCT artifact.digest FROM dataset_member JOIN artifact ON artifact.id = dataset_id"
        " WHERE artifact_id = ? ORDER BY dataset_id DESC", (row_id,)).fetchall()
    return Artifact(
        digest=digest.hex(), kind=Kind.FILE if files is None else Kind.DATASET, size=size, files=files,
        names=_names(database, row_id, uses),
        produced_by=tuple(use for use in uses if use.role != "input"),
        used_by=tuple(use for use in uses if use.role == "input"),
        datasets=tuple(row[0].hex() for row in datasets),
        members=() if files is None else tuple(iter_members(database, row_id)),
        labels=dict(database.execute("SELECT key, value FROM label WHERE artifact_id = ? ORDER BY key", (row_id,))))


def _load_uses(database: sqlite3.Connection, row_id: int) -> list[ArtifactUse]:
    rows = database.execute(
        "SELECT job.uid, session.uid, number, role, path.path FROM"
        " (SELECT job_id, role, path_id FROM file_read WHERE artifact_id = :artifact"
        "  UNION ALL SELECT job_id, role, path_id FROM file_written WHERE artifact_id = :artifact) AS used"
        " JOIN job ON job.id = job_id JOIN step ON step.id = step_id JOIN session ON session.id = session_id"
        " JOIN path ON path.id = path_id ORDER BY job_id DESC, role", {"artifact": row_id})
    return [ArtifactUse(job=uid, session=session, step=step, role=_ROLES[role], path=path)
            for uid, session, step, role, path in rows]


def _names(database: sqlite3.Connection, row_id: int, uses: Sequence[ArtifactUse]) -> tuple[str, ...]:
    """The paths of the uses, and for a member of datasets its paths below them."""
    names = dict.fromkeys(use.path for use in uses)
    rows = database.execute(
        "SELECT path.path, member.path FROM dataset_member AS member"
        " JOIN file_read AS used ON used.artifact_id = member.dataset_id"
        " JOIN path ON path.id = used.path_id WHERE member.artifact_id = :artifact"
        " UNION SELECT path.path, member.path FROM dataset_member AS member"
        " JOIN file_written AS made ON made.artifact_id = member.dataset_id"
        " JOIN path ON path.id = made.path_id WHERE member.artifact_id = :artifact", {"artifact": row_id})
    names.update(dict.fromkeys(folder + name for folder, name in rows))
    return tuple(names)
