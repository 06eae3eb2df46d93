"""What an answer that goes to a file must not replace."""

import os

from roar.analyze.sources import is_source
from roar.commands.opening import Opened
from roar.errors import WorkspaceError
from roar.query.references import recorded_forms
from roar.query.repository import is_inside, run_git
from roar.query.versions import is_used


def check_overwriting(opened: Opened, path: str, *, instead: str) -> None:
    """Look whether there is code, data or the record at a path. `instead` is the command that writes elsewhere.

    Raises:
        WorkspaceError: so it is.
    """
    record = os.path.dirname(os.path.realpath(opened.workspace.database))
    if is_inside(os.path.realpath(path), record):
        raise WorkspaceError(f"{path} is in the folder of the record, and nothing else is written there.",
                             hint=instead)
    reason = _find_reason(opened, path) if os.path.isfile(path) else None
    if reason is not None:
        raise WorkspaceError(f"{path} {reason}, and is not overwritten.", hint=instead)


def _find_reason(opened: Opened, path: str) -> str | None:
    places = (os.path.abspath(path), os.path.realpath(path))
    if any(map(_is_tracked, places)):
        return "is tracked by git"
    if any(map(is_source, places)):
        return "is source code"
    if any(is_used(opened.database, form) for form in recorded_forms(opened.workspace, path)):
        return "was read or written by a recorded job"
    return None


def _is_tracked(place: str) -> bool:
    folder, name = os.path.split(place)
    return run_git(folder, "--literal-pathspecs", "ls-files", "--error-unmatch", "--", name) is not None
