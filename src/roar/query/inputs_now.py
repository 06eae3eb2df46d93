"""Whether a job that failed would find something else by now."""

import os
import sqlite3
from collections.abc import Set as AbstractSet

from roar.analyze.datasets import ancestors
from roar.model import FileUse, Job, is_location, members_folder
from roar.query.files_now import dataset_is_unchanged, find_changed
from roar.query.repository import find_work_tree, run_git
from roar.workspace import Workspace


def is_worth_a_try(database: sqlite3.Connection, workspace: Workspace, job: Job) -> bool:
    """Whether what a job that failed had found is not the same any more: the code, or something that it read.

    Not what it wrote itself, what lies in a store, or what is gone.
    """
    written = {use.path: workspace.absolute(use.path) for use in job.outputs if not is_location(use.path)}
    places = {use: workspace.absolute(use.path) for use in job.inputs
              if use.digest is not None and use.path not in written and not is_location(use.path)}
    return (_has_other_code(workspace, job, set(written.values()))
            or any(find_changed(database, {place: (use.size or 0, use.digest or "")
                                           for use, place in places.items() if use.files is None}))
            or any(os.path.lexists(place) and not _is_unchanged(database, workspace, use)
                   for use, place in places.items() if use.files is not None))


def _is_unchanged(database: sqlite3.Connection, workspace: Workspace, dataset: FileUse) -> bool:
    row = database.execute("SELECT id FROM artifact WHERE digest = ?",
                           (bytes.fromhex(dataset.digest or ""),)).fetchone()
    return row is None or dataset_is_unchanged(database, workspace.absolute(members_folder(dataset.path)), row[0])


def _has_other_code(workspace: Workspace, job: Job, written: AbstractSet[str]) -> bool:
    """Whether git tracks other content now than when a job began, but for what that wrote, absolute.

    What was not committed then is not known as it was: then only what was committed since counts.
    """
    tree = find_work_tree(workspace, job)
    if job.git is None or job.git.commit is None or tree is None:
        return False
    names = run_git(tree, "diff", "--name-only", "--no-renames", "-z", job.git.commit,
                    *(["HEAD"] if job.git.dirty else []))
    places = (os.path.join(tree, name) for name in (names or "").split("\0") if name)
    return any(written.isdisjoint((place, *ancestors(place))) for place in places)
