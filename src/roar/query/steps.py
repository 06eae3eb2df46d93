"""The steps of a session: a command in its folder."""

import json
import os

from roar.query.references import resolve_job
from roar.record.database import open_database
from roar.workspace import Workspace


def load_step_command(workspace: Workspace, ref: str) -> tuple[list[str], str]:
    """The command of the job that `ref` (such as `@3`) names, and the absolute folder it ran in.

    Raises:
        NotFoundError: there is no such job.
    """
    if not os.path.lexists(workspace.database):
        from roar.errors import NotFoundError  # noqa: PLC0415  only for an error

        raise NotFoundError("No job has been recorded yet.", hint="roar run COMMAND")
    database = open_database(workspace.database)
    try:
        job = resolve_job(database, workspace, ref)
        command, cwd = database.execute("SELECT command, cwd FROM job JOIN step ON step.id = step_id WHERE job.id = ?",
                                        (job.row_id,)).fetchone()
    finally:
        database.close()
    return json.loads(command), workspace.absolute(cwd)
