"""Opening the record for a verb that reads it."""

import os
import sqlite3
import sys
from typing import NamedTuple

from roar.errors import WorkspaceError
from roar.record.database import open_database
from roar.workspace import Workspace, open_workspace


class Opened(NamedTuple):
    """The workspace of the current folder and its record."""

    workspace: Workspace
    database: sqlite3.Connection


def _say(what: str) -> None:
    from roar.present.text import told  # noqa: PLC0415  hardly ever

    sys.stderr.write(f"roar: {told(what)}\n")


def open_record() -> Opened:
    """Open the record of the current folder's workspace; jobs that were cut short are finished first.

    Raises:
        WorkspaceError: nothing has been recorded here, or the record cannot be opened.
    """
    workspace = open_workspace()
    if not os.path.exists(workspace.database) and not os.access(workspace.folder, os.W_OK):
        raise WorkspaceError(f"Nothing has been recorded in {workspace.root} yet.", hint="roar run COMMAND")
    database = open_database(workspace.database, waits=_say)  # first: that it is broken is told once, not for each job
    if workspace.pending_uids() and os.access(workspace.folder, os.W_OK):
        from roar.commands.run import finish_abandoned  # noqa: PLC0415  only where a `roar run` did not end well

        finish_abandoned(workspace)
    return Opened(workspace, database)
