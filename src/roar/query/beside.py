"""Files that a step wrote since beside those that another one had read all of, as one more shard."""

import json
import os
import re
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache, partial
from itertools import chain

from roar.model import is_location, members_folder
from roar.query.counted import Counted
from roar.query.staleness import Reason
from roar.record.roles import INPUT, OUTPUT
from roar.workspace import Workspace

_SEVERAL = 2
"""Who read a single file of a folder need not want its neighbours."""
_DIGITS = re.compile(r"\d+")


def find_written_beside(database: sqlite3.Connection, workspace: Workspace, counted: Counted) -> Iterator[Reason]:
    """Why jobs are stale that read all files of a kind which a run of another step had left in a folder.

    Only where a later run of that step wrote one more there, which lies there still, and no job had written by then.
    Asked of each step is the last of its jobs that ended well: where that ran since, it had its choice.
    """
    readers = {well[-1] for jobs in counted.jobs.values() if (well := [job for job in jobs if job in counted.well])}
    files = cache(partial(_used, database, datasets=False))
    datasets = cache(partial(_used, database, datasets=True))
    for step, reader in _takings(database, counted, readers):
        jobs = counted.jobs[step]
        before = max((job for job in jobs if job < reader), default=None)
        since = [job for job in jobs if job > reader and job in counted.well]
        if before is None or not since or counted.step_of[reader] == step or reader in counted.idle:
            continue
        of_files = _one_more(files(before, OUTPUT), files(reader, INPUT).keys(), [files(job, OUTPUT) for job in since])
        of_datasets = _one_more_member(database, datasets(before, OUTPUT), datasets(reader, INPUT),
                                       [datasets(job, OUTPUT) for job in since])
        more = chain((path for path, path_id in of_files if not _was_there(database, path_id, reader)), of_datasets)
        place = next((path for path in more if os.path.lexists(workspace.absolute(path))), None)
        if place is not None:
            yield Reason(reader, f"{place} was written beside its inputs by @{step} since")


def _takings(database: sqlite3.Connection, counted: Counted, readers: Container[int]) -> list[tuple[int, int]]:
    """Steps that ran again, each with those of some jobs that took something from its earlier runs."""
    step_of = {job: step for step, jobs in counted.jobs.items() for job in jobs[:-1]}
    rows = database.execute("SELECT producer_id, consumer_id FROM dependency"
                            " WHERE producer_id IN (SELECT value FROM json_each(?))",
                            (json.dumps(list(step_of)),)) if step_of else ()
    return sorted({(step_of[producer], consumer) for producer, consumer in rows if consumer in readers})


def _used(database: sqlite3.Connection, job_id: int, role: int, *, datasets: bool) -> dict[str, int]:
    """What a job read or wrote: paths of files, with their rows, or of datasets, with those of the artifacts."""
    return {path: artifact_id if datasets else path_id
            for path, path_id, artifact_id in database.execute(_USED, (job_id, role, datasets))
            if not is_location(path)}


_USED = """
SELECT path.path, path.id, artifact.id FROM file_use JOIN path ON path.id = path_id
JOIN artifact ON artifact.id = artifact_id
WHERE job_id = ? AND role = ? AND (artifact.files IS NOT NULL) = ? ORDER BY ordinal
"""


def _one_more_member(database: sqlite3.Connection, before: Mapping[str, int], read: Mapping[str, int],
                     since: Iterable[Mapping[str, int]]) -> Iterator[str]:
    """The files that a dataset has since, of those of which all that had been written before was read."""
    whole = {path: dataset for path, dataset in before.items() if read.get(path) == dataset}
    for written in since if whole else ():
        for path, dataset in whole.items():
            if (later := written.get(path, dataset)) != dataset:
                names = database.execute(_NEW_MEMBERS, (later, dataset))
                yield from (members_folder(path) + name for (name,) in names)


_NEW_MEMBERS = """
SELECT path FROM dataset_member WHERE dataset_id = ? EXCEPT SELECT path FROM dataset_member WHERE dataset_id = ?
"""


def _one_more(before: Mapping[str, int], read: Container[str], since: Iterable[Mapping[str, int]]
              ) -> Iterator[tuple[str, int]]:
    """What was written since that is of a kind of which all that had been written before was read."""
    kinds: dict[str, list[str]] = {}
    for path in before:
        kinds.setdefault(_kind(path), []).append(path)
    wanted = {kind for kind, paths in kinds.items() if len(paths) >= _SEVERAL and all(path in read for path in paths)}
    for written in since if wanted else ():
        yield from ((path, path_id) for path, path_id in written.items()
                    if path not in before and path not in read and _kind(path) in wanted)


def _kind(path: str) -> str:
    """The folder of a file and its suffix; without one its name, whatever numbers are in it."""
    folder, name = os.path.split(path)
    suffix = os.path.splitext(name)[1]
    return f"{folder}/*{suffix}" if suffix else f"{folder}/{_DIGITS.sub('0', name)}"


def _was_there(database: sqlite3.Connection, path_id: int, job_id: int) -> bool:
    """Whether a job, or one before it, had written a file: that one left it alone as it was."""
    return database.execute("SELECT 1 FROM file_written WHERE path_id = ? AND job_id <= ? LIMIT 1",
                            (path_id, job_id)).fetchone() is not None
