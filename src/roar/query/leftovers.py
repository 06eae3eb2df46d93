"""Files that a plan leaves in a folder for a later job which may not have been there when that job ran."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from roar.model import FileUse, Job, Kind, is_location, members_folder
from roar.query.jobs import files_of
from roar.workspace import Workspace


def find_leftovers(database: sqlite3.Connection, workspace: Workspace, jobs: Sequence[Job]) -> list[str]:
    """What jobs of a plan make in a folder that a later one read without them, and that is gone now; as sentences.

    Of what was deleted by hand it is not known when: before the job that did not read it, or since.
    """
    folders = {use.path for job in jobs for use in job.inputs if _is_folder(use)}
    deleted = set(_load_deleted(database, jobs)) if folders else set()
    made: dict[str, dict[str, Job]] = {folder: {} for folder in folders}
    told: dict[tuple[str, str], list[str]] = {}
    for job in jobs if folders else ():
        for use in filter(_is_folder, job.inputs):
            read = {file.path for file in files_of(database, use)} if made[use.path] else set()
            left = sorted(made[use.path].keys() - read - deleted)
            if left and any(os.path.lexists(workspace.absolute(path)) for path in read):
                gone = [path for path in left if not os.path.lexists(workspace.absolute(path))]
                for path in gone:
                    told.setdefault((_name(made[use.path][path]), _name(job)), []).append(path)
                deleted.update(gone)
        for use in job.outputs:
            near = [folder for folder in folders if use.path.startswith(folder) or (
                use.kind is Kind.DATASET and folder.startswith(members_folder(use.path)))]
            for file in files_of(database, use) if near else ():
                for folder in near:
                    if file.path.startswith(folder):
                        made[folder][file.path] = job
    return [f"{maker} makes {first_of(paths)} again, which {reader} did not read and which is gone now: it may have"
            f" been deleted before {reader} ran." for (maker, reader), paths in told.items()]


def _is_folder(use: FileUse) -> bool:
    return use.kind is Kind.DATASET and use.path.endswith("/") and not is_location(use.path)


def _load_deleted(database: sqlite3.Connection, jobs: Sequence[Job]) -> Iterator[str]:
    """What jobs deleted or moved away themselves."""
    for job in jobs:
        yield from (path for (path,) in database.execute(
            "SELECT path FROM deleted_file WHERE job_id = (SELECT id FROM job WHERE uid = ?)", (job.uid,)))


def _name(job: Job) -> str:
    return f"@{job.step} {job.uid[:8]}"


def first_of(paths: Iterable[str]) -> str:
    """The first of some paths, and how many more there are."""
    paths = list(dict.fromkeys(paths))
    return paths[0] + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")
