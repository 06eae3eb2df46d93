"""Opening the record for a verb that reads it."""

import os
import sqlite3
import sys
from typing import TYPE_CHECKING, NamedTuple

from roar.errors import WorkspaceError
from roar.present.progress import digesting
from roar.record.database import open_database
from roar.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from roar.query.references import FolderReference, Reference


class Opened(NamedTuple):
    """The workspace of the current folder and its record."""

    workspace: Workspace
    database: sqlite3.Connection


def say(what: str) -> None:
    """Tell something beside the answer."""
    from roar.present.text import told  # noqa: PLC0415  hardly ever

    sys.stderr.write(f"roar: {told(what)}\n")


def say_lost(opened: Opened, found: "Reference | FolderReference") -> None:
    """Beside an answer about a folder: what of it is not as it was recorded."""
    from roar.query.folders import explain_lost  # noqa: PLC0415  only for a folder
    from roar.query.references import FolderReference  # noqa: PLC0415

    if isinstance(found, FolderReference):
        for sentence in explain_lost(opened.database, found):
            say(sentence)


def open_record(*, only_answers: bool = False) -> Opened:
    """Open the record of the current folder's workspace; jobs that were cut short are finished first.

    Args:
        only_answers: whether the verb changes nothing, so that it may do without those whose recording is interrupted.

    Raises:
        WorkspaceError: nothing has been recorded here, or the record cannot be opened.
    """
    workspace = open_workspace()
    if not os.path.exists(workspace.database) and not os.access(workspace.folder, os.W_OK):
        raise WorkspaceError(f"Nothing has been recorded in {workspace.root} yet.", hint="roar run COMMAND")
    # first: that it is broken is told once, not for each job
    database = open_database(workspace.database, waits=say, watches=digesting)
    if workspace.pending_uids() and os.access(workspace.folder, os.W_OK):
        from roar.commands.run import finish_abandoned  # noqa: PLC0415  only where a `roar run` did not end well

        finish_abandoned(workspace, can_do_without=only_answers)
    return Opened(workspace, database)
