"""What a REF selects to be published or exported: a session, or something with all that it came from."""

import sqlite3

from roar.errors import NotFoundError
from roar.query.references import FolderReference, Reference, SessionReference, find_current_session, resolve_or_folder
from roar.query.roots import jobs_behind
from roar.query.sessions import Publishable, load_publishable, session_of
from roar.workspace import Workspace


def select(database: sqlite3.Connection, workspace: Workspace, ref: str | None
           ) -> tuple[Reference | FolderReference, Publishable]:
    """What `ref` names (None: the current session), and its jobs with all that they came from.

    Raises:
        NotFoundError: nothing is recorded, or `ref` names nothing that a job had to do with.
    """
    found = find_current_session(database) if ref is None else resolve_or_folder(database, workspace, ref)
    if found is None:
        raise NotFoundError("No job has been recorded yet.", hint="roar run COMMAND")
    if isinstance(found, SessionReference):
        publishable = load_publishable(database, found.row_id)
    else:
        job_ids = jobs_behind(database, found)
        if not job_ids:
            raise NotFoundError(f"No recorded job made {ref}: nothing led to it.", hint="roar log --all")
        publishable = load_publishable(database, session_of(database, max(job_ids)), job_ids)
    if not publishable.jobs:
        raise NotFoundError("This session has no jobs yet.", hint="roar run COMMAND, or name another session")
    return found, publishable
