"""What a REF selects to be published or exported: a session, or something with all that it came from."""

import sqlite3

from roar.errors import NotFoundError
from roar.query.references import (
    ArtifactReference,
    JobReference,
    Reference,
    SessionReference,
    TrackerRunReference,
    find_current_session,
    resolve,
)
from roar.query.sessions import Publishable, load_publishable, session_of
from roar.workspace import Workspace


def select(database: sqlite3.Connection, workspace: Workspace, ref: str | None) -> tuple[Reference, Publishable]:
    """What `ref` names (None: the current session), and its jobs with all that they came from.

    Raises:
        NotFoundError: nothing is recorded, or `ref` names nothing that a job had to do with.
    """
    found = find_current_session(database) if ref is None else resolve(database, workspace, ref)
    if found is None:
        raise NotFoundError("No job has been recorded yet.", hint="roar run COMMAND")
    if isinstance(found, SessionReference):
        publishable = load_publishable(database, found.row_id)
    else:
        job_ids = _job_ids(database, found)
        if not job_ids:
            raise NotFoundError(f"No recorded job has to do with {ref}.", hint="roar log --all")
        publishable = load_publishable(database, session_of(database, max(job_ids)), job_ids)
    if not publishable.jobs:
        raise NotFoundError("This session has no jobs yet.", hint="roar run COMMAND, or name another session")
    return found, publishable


def _job_ids(database: sqlite3.Connection, found: JobReference | ArtifactReference | TrackerRunReference) -> list[int]:
    """The jobs that a job, artifact or tracker run came from, itself included."""
    from roar.query.lineage import load_lineage  # noqa: PLC0415  a whole session needs no walk

    if isinstance(found, TrackerRunReference):
        uids = [database.execute("SELECT uid FROM job WHERE id = ?", (job_id,)).fetchone()[0]
                for job_id in found.job_ids]
        roots = [JobReference(row_id, uid) for row_id, uid in zip(found.job_ids, uids, strict=True)]
        return sorted({job_id for root in roots for job_id in _job_ids(database, root)})
    ids = {line.row_id for line in load_lineage(database, found).graph.jobs}
    return sorted(ids | ({found.row_id} if isinstance(found, JobReference) else set()))
