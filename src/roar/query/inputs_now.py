"""What a job read, beside what lies there now."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator

from roar.model import FileUse, Job, is_location, members_folder
from roar.query.files_now import dataset_is_unchanged, find_changed
from roar.query.repository import find_work_tree, run_git
from roar.workspace import Workspace


def find_changed_inputs(database: sqlite3.Connection, workspace: Workspace, uses: Iterable[FileUse],
                        passes: Callable[[str], bool] = lambda _: False) -> Iterator[str]:
    """The paths of files and datasets that lie there with other content. What is gone has not changed.

    Args:
        database: the record.
        workspace: it belongs to.
        uses: inputs, of which those in a store and those whose content is not known are passed over.
        passes: whether an input, by its absolute path, is passed over, too.
    """
    places = {use: workspace.absolute(use.path) for use in uses
              if use.digest is not None and not is_location(use.path)}
    places = {use: place for use, place in places.items() if os.path.lexists(place) and not passes(place)}
    changed = set(find_changed(database, {place: (use.size or 0, use.digest or "")
                                          for use, place in places.items() if use.files is None}))
    for use, place in places.items():
        if place in changed or (use.files is not None and not _is_unchanged(database, workspace, use)):
            yield use.path


def _is_unchanged(database: sqlite3.Connection, workspace: Workspace, dataset: FileUse) -> bool:
    row = database.execute("SELECT id FROM artifact WHERE digest = ?",
                           (bytes.fromhex(dataset.digest or ""),)).fetchone()
    return row is None or dataset_is_unchanged(database, workspace.absolute(members_folder(dataset.path)), row[0])


def is_worth_a_try(database: sqlite3.Connection, workspace: Workspace, job: Job) -> bool:
    """Whether what a job that failed had found is not the same any more: something that it read, or the code."""
    written = {use.path for use in job.outputs}
    return _has_other_code(workspace, job) or any(find_changed_inputs(
        database, workspace, (use for use in job.inputs if use.path not in written)))


def _has_other_code(workspace: Workspace, job: Job) -> bool:
    tree = find_work_tree(workspace, job) if job.git is not None and job.git.commit is not None else None
    if tree is None or job.git is None:
        return False
    head = run_git(tree, "rev-parse", "--verify", "--quiet", "HEAD")
    if head is None:
        return False
    return head != job.git.commit or (not job.git.dirty and run_git(tree, "diff", "--quiet", "HEAD") is None)
