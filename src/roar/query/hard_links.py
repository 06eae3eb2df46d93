"""Files with several names (hard links): what is written by one of them changes what lies under the others."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from typing import NamedTuple

from roar.model import members_folder
from roar.query.files_now import find_change_of_files, recorded_members
from roar.workspace import Workspace


class Inode(NamedTuple):
    """What makes files with different names one."""

    device: int
    number: int


def find_inode(place: str) -> tuple[Inode, int]:
    """The file at an absolute path, and how many names it has: none where nothing is there."""
    try:
        status = os.lstat(place)
    except OSError:
        return Inode(0, 0), 0
    return Inode(status.st_dev, status.st_ino), status.st_nlink


def find_linked_inputs(database: sqlite3.Connection, workspace: Workspace, job: int) -> dict[Inode, str]:
    """The files with several names that a job, by its row, read and did not edit, each by its path.

    Those of datasets are among them.
    """
    found: dict[Inode, str] = {}
    for path, member in database.execute(_READ, (job,)).fetchall():
        name = path if member is None else members_folder(path) + member
        inode, names = find_inode(workspace.absolute(name))
        if names > 1:
            found[inode] = name
    return found


def find_other_name(database: sqlite3.Connection, workspace: Workspace, path: str, dataset: int | None,
                    inputs: Callable[[], Mapping[Inode, str]]) -> str | None:
    """The input that an output is one file with, where that alone has changed it; of a dataset the first.

    Args:
        database: the record.
        workspace: it belongs to.
        path: of the output.
        dataset: row of what was written there; None of a file.
        inputs: gives those of its job that have several names. They are asked for where the output has.
    """
    folder = workspace.absolute(members_folder(path))
    members = [] if dataset is None else recorded_members(database, dataset)
    places = {name: f"{folder.rstrip('/')}/{name}" for name, _, _ in members} or {"": workspace.absolute(path)}
    inodes = {name: inode for name, place in places.items()
              for inode, names in [find_inode(place)] if names > 1}
    known = inputs() if inodes else {}
    shared = {name: known[inode] for name, inode in inodes.items()
              if inode in known and workspace.absolute(known[inode]) != places[name]}
    try:
        others = [member for member in members if member[0] not in shared]
        if not shared or find_change_of_files(database, folder, others) is not None:
            return None
    except OSError:
        return None
    return next(iter(shared.values()))


_READ = """
SELECT path.path, dataset_member.path FROM file_read JOIN path ON path.id = path_id
LEFT JOIN dataset_member ON dataset_id = file_read.artifact_id WHERE job_id = ? AND instr(path.path, '://') = 0
AND NOT EXISTS (SELECT 1 FROM file_written AS made
    WHERE made.job_id = file_read.job_id AND made.path_id = file_read.path_id AND role = 2)
"""
