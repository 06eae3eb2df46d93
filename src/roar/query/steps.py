"""The steps of a session: a command in its folder."""

import os

from roar.model import Job
from roar.query.jobs import load_job
from roar.query.references import resolve_job
from roar.record.database import open_database
from roar.workspace import Workspace


def load_step(workspace: Workspace, ref: str) -> Job:
    """The job that `ref` (such as `@3`) names.

    Raises:
        NotFoundError: there is no such job.
    """
    if not os.path.lexists(workspace.database):
        from roar.errors import NotFoundError  # noqa: PLC0415  only for an error

        raise NotFoundError("No job has been recorded yet.", hint="roar run COMMAND")
    database = open_database(workspace.database)
    try:
        return load_job(database, resolve_job(database, workspace, ref).row_id)
    finally:
        database.close()
