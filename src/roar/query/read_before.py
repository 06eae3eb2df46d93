"""What jobs of earlier sessions read, and lies there with other content by now.

The state of a session is that of its own jobs. What it made from the outputs of an earlier one is asked about here.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple

from roar.model import FileUse, Job, is_location, members_folder
from roar.query.asked import Asked
from roar.query.files_now import dataset_is_unchanged, find_changed
from roar.record.evidence import was_written


class ReadBefore(NamedTuple):
    """A root input, by its path, that has changed since a job of another session read it."""

    job: Job
    path: str


def find_read_before(asked: Asked, session: int) -> Iterator[ReadBefore]:
    """Of the jobs behind those that are asked about, in the order of the record; only those of other sessions.

    Not what some job wrote, or edits in place: the session in which it did so has the state of that. What is gone has
    not changed.
    """
    for job in asked.behind:
        if asked.rows[job.uid].session != session:
            yield from (ReadBefore(job, path) for path in _changed_roots(asked, job))


def _changed_roots(asked: Asked, job: Job) -> Iterator[str]:
    places = {use: asked.workspace.absolute(use.path) for use in job.inputs
              if use.digest is not None and not is_location(use.path)}
    roots = {use: place for use, place in places.items()
             if os.path.lexists(place) and not was_written(asked.database, asked.workspace, place)}
    changed = set(find_changed(asked.database, {place: (use.size or 0, use.digest or "")
                                                for use, place in roots.items() if use.files is None}))
    for use, place in roots.items():
        if place in changed or (use.files is not None and not _is_unchanged(asked, use)):
            yield use.path


def _is_unchanged(asked: Asked, dataset: FileUse) -> bool:
    row = asked.database.execute("SELECT id FROM artifact WHERE digest = ?",
                                 (bytes.fromhex(dataset.digest or ""),)).fetchone()
    return row is None or dataset_is_unchanged(asked.database,
                                               asked.workspace.absolute(members_folder(dataset.path)), row[0])
