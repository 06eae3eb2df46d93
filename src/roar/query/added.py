"""Files that somebody put into a folder after a step had read it: a dataset that has grown.

Nobody can tell whether the step would read them. It rather does where it had read all files of that kind there.
"""

import json
import os
import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from roar.model import is_location
from roar.record.database import encoded
from roar.workspace import Workspace

_NANOSECONDS = 10**9


class Added(NamedTuple):
    """A folder of which a step had read all, and what lies there now beside.

    Attributes:
        folder: its path, which ends in `/`; "" for the workspace's own.
        step: the number of the step.
        job: the uid of the step's last job that ended well, which read it.
        files: paths in the folder, sorted.
    """

    folder: str
    step: int
    job: str
    files: tuple[str, ...]


class _Read(NamedTuple):
    """What a job read in a folder: the paths in it, and whether those of folders below belong to it."""

    folder: str
    known: set[str]
    is_deep: bool


def find_added(database: sqlite3.Connection, workspace: Workspace, session: int) -> Iterator[Added]:
    """What was added to what the steps of a session read, in the order of the steps.

    That is a dataset, or eight files of one suffix in one folder at least, none of which the command names. Files are
    told that have such a suffix, came there after the job had ended, and were written by no recorded job: what a step
    made is told of where it is about that step. Not where others of the kind were there before the job and were left:
    the step chooses then. Nor are hidden files. Several datasets of one folder (a folder for each class) are taken as
    one.
    """
    for step, job, uid, started_at, ended_at, command in database.execute(_JOBS, (session,)).fetchall():
        began, ended = map(_nanoseconds, (started_at, ended_at))
        named = {os.path.basename(word) for word in json.loads(command)}
        for read in _load_read(database, workspace, job, ended):
            if named.isdisjoint(map(os.path.basename, read.known)):
                found = sorted(_added_to(workspace.absolute(read.folder), read, began, ended))
                new = tuple(name for name in found if not _is_written(database, read.folder, name))
                if new:
                    yield Added(read.folder, step, uid, new)


def _nanoseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * _NANOSECONDS)


def _load_read(database: sqlite3.Connection, workspace: Workspace, job: int, since: int) -> Iterator[_Read]:
    """What a job read in folders that have changed since."""
    rows = [(path, dataset) for path, dataset in database.execute(_READ, (job,)) if not is_location(path)]
    folders = _together([(path, dataset) for path, dataset in rows if path.endswith("/")])
    beside: dict[tuple[str, str], set[str]] = {}
    for path, _ in rows:
        if not path.endswith("/"):
            beside.setdefault((_parent(path), os.path.splitext(path)[1]), set()).add(path)
    for folder, datasets in folders.items():
        if _has_changed(workspace.absolute(folder), since):
            known = {inner[len(folder):] + member for inner, dataset in datasets for (member,) in database.execute(
                "SELECT path FROM dataset_member WHERE dataset_id = ?", (dataset,))}
            yield _Read(folder, known | {path[len(folder):] for path, _ in rows if path.startswith(folder)}, True)
    for (folder, _), paths in beside.items():
        if len(paths) >= _MANY and not any(folder.startswith(root) for root in folders) and _is_newer(
                workspace.absolute(folder), since):
            yield _Read(folder, {path[len(folder):] for path in paths}, False)


_MANY = 8
"""So many files of one kind are hardly read by their names."""


def _together(datasets: Sequence[tuple[str, int]]) -> dict[str, list[tuple[str, int]]]:
    """The folders to look into, with the datasets in each: several of one folder are looked at from there."""
    parents = Counter(_parent(folder) for folder, _ in datasets)
    found: dict[str, list[tuple[str, int]]] = {}
    for folder, dataset in datasets:
        parent = _parent(folder)
        found.setdefault(parent if parent and parents[parent] > 1 else folder, []).append((folder, dataset))
    return found


def _parent(path: str) -> str:
    return path[:path.rstrip("/").rfind("/") + 1]


def _is_newer(place: str, since: int) -> bool:
    """Whether names may have come into a folder since."""
    try:
        return os.stat(place).st_mtime_ns > since
    except OSError:
        return False


def _has_changed(place: str, since: int) -> bool:
    """Whether names may have come into a folder, or into one below it."""
    pending = [place]
    while pending:
        folder = pending.pop()
        try:
            status = os.stat(folder)
            if status.st_mtime_ns > since:
                return True
            if status.st_nlink != _NO_FOLDERS:
                with os.scandir(folder) as entries:
                    pending += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
    return False


_NO_FOLDERS = 2
"""So many names a folder has where none is below it; but on Btrfs, where each has one."""


def _added_to(place: str, read: _Read, began: int, ended: int) -> list[str]:
    """Files of the kinds that a job read and that came after it; none where it left others that had been there before.

    The times are in nanoseconds since 1970.
    """
    kinds = {os.path.splitext(name)[1] for name in read.known}
    found: list[str] = []
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if read.is_deep and not name.startswith(".")]
        inside = folder[len(place.rstrip("/")) + 1:]
        for name in names:
            relative = f"{inside}/{name}" if inside else name
            if relative in read.known or name.startswith(".") or os.path.splitext(name)[1] not in kinds:
                continue
            try:
                status = os.stat(os.path.join(folder, name))
            except OSError:
                continue
            if not stat.S_ISREG(status.st_mode):
                continue
            if status.st_ctime_ns <= began:
                return []
            if status.st_ctime_ns > ended:
                found.append(relative)
    return found


def _is_written(database: sqlite3.Connection, folder: str, name: str) -> bool:
    """Whether a recorded job wrote a file, by itself or as one of a dataset."""
    whole = folder + name
    folders = [whole[:at + 1] for at, letter in enumerate(whole) if letter == "/"]
    return database.execute(
        "SELECT 1 FROM path JOIN file_written ON path_id = path.id WHERE path.path = CAST(? AS TEXT)",
        (encoded(whole),)).fetchone() is not None or any(
            database.execute(_MEMBERS, (encoded(parent), encoded(whole[len(parent):]))).fetchone() is not None
            for parent in folders)


# The last job of each step that ended well.
_JOBS = """
SELECT number, job.id, job.uid, job.started_at, job.ended_at, step.command FROM step JOIN job ON job.step_id = step.id
WHERE session_id = ? AND job.id = (SELECT max(id) FROM job AS one WHERE one.step_id = step.id AND exit_code = 0)
ORDER BY number
"""

_READ = """
SELECT path.path, file_read.artifact_id FROM file_read JOIN path ON path.id = path_id
WHERE job_id = ? AND file_read.artifact_id IS NOT NULL ORDER BY path.path
"""

_MEMBERS = """
SELECT 1 FROM path JOIN file_written ON path_id = path.id JOIN dataset_member ON dataset_id = file_written.artifact_id
WHERE path.path = CAST(? AS TEXT) AND dataset_member.path = CAST(? AS TEXT)
"""
