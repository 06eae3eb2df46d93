"""Which outputs of a job may be deleted with it: what it alone wrote, and what else would not be lost."""

import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from itertools import chain

from roar.model import FileUse, Job, Kind, is_location, members_folder
from roar.query.birth import born_at
from roar.query.files_now import holds
from roar.query.jobs import UsedFile, files_of, iter_jobs
from roar.query.versions import is_written_by_others, iter_places, places_written
from roar.query.within import find_inner
from roar.workspace import Workspace

_TICK_S = 0.02
"""By so much the time of a file may be behind: it is taken from a clock that ticks (100 times a second or more)."""


def iter_own(database: sqlite3.Connection, workspace: Workspace, job: Job) -> Iterator[str]:
    """Absolute paths of the outputs that are still as the job wrote them, that no other job wrote, and not the user's.

    The user's is what the job read as well, and what it only brought from there, as `mv` does: the last copy stays.
    Where the job took away what it read, and that lies nowhere any more, all that it wrote stays.
    """
    inputs = [use for use in job.inputs if not is_location(use.path)]
    outputs = [use for use in job.outputs if not is_location(use.path) and not _was_there(job, use)]
    read = {file.path: file for use in inputs for file in files_of(database, use)}
    written = {file.path: file for use in outputs for file in files_of(database, use)}
    doomed = {workspace.absolute(path) for path in written}
    brought = {file.digest for file in read.values()}
    changed = tuple(members_folder(use.path) for use in inputs if use.digest is None and use.kind is Kind.DATASET)
    unknown = {use.size if use.kind is Kind.FILE else None for use in inputs if use.digest is None}

    @cache
    def others(digest: str) -> set[str]:
        return places_written(database, digest, job.uid)

    @cache
    def lies_elsewhere(digest: str) -> bool:
        return any(os.path.realpath(place) not in doomed and holds(database, place, {digest})
                   for place in map(workspace.absolute, iter_places(database, digest)))

    if any(path not in read or _is_lost(database, workspace, read[path]) for path in _taken_away(database, job)):
        return  # of code no content is recorded by itself
    for path, digest, size in written.values():
        place = workspace.absolute(path)
        if digest is None or os.path.realpath(place) != place or path in others(digest):
            continue
        if path in read or path.startswith(changed):
            continue
        if (digest in brought or not unknown.isdisjoint({None, size})) and not lies_elsewhere(digest):
            continue
        if _was_older(place, job) and not is_written_by_others(database, path, job.uid):
            continue  # what the user had put there may have been the same
        if holds(database, place, {digest}):
            yield place


def _was_older(place: str, job: Job) -> bool:
    """Whether the file at a place was made before the job began, which then only wrote into it."""
    born = born_at(place)
    return born is not None and born + _TICK_S < datetime.fromisoformat(job.started_at).timestamp()


def _was_there(job: Job, use: FileUse) -> bool:
    """Whether `roar get` found it, or some of its files: its note says so."""
    return job.kind == "get" and use.note is not None


def _taken_away(database: sqlite3.Connection, job: Job) -> list[str]:
    """The files that the job read and then deleted or moved, but for what jobs had made that it ran."""
    rows = database.execute("SELECT path FROM deleted_file JOIN job ON job.id = job_id WHERE uid = ?", (job.uid,))
    gone = [path for (path,) in rows]
    row_id, = database.execute("SELECT id FROM job WHERE uid = ?", (job.uid,)).fetchone()
    within = iter_jobs(database, sorted(find_inner(database, [row_id]))) if gone else ()
    made = {file.path for inner in within for use in inner.outputs for file in files_of(database, use)}
    return [path for path in gone if path not in made]


def _is_lost(database: sqlite3.Connection, workspace: Workspace, file: UsedFile) -> bool:
    """Whether what was read lies nowhere any more, as far as is recorded."""
    digest = file.digest
    return digest is None or not any(holds(database, workspace.absolute(path), {digest})
                                     for path in chain([file.path], iter_places(database, digest)))
