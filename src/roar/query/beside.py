"""Files that a step wrote since beside those that another one had read all of, as one more shard."""

import json
import os
import re
import sqlite3
from collections.abc import Container, Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

from roar.model import is_location, members_folder
from roar.query.counted import Counted
from roar.query.staleness import Reason
from roar.record.database import encoded
from roar.record.roles import INPUT, OUTPUT
from roar.workspace import Workspace

BESIDE = " was written beside its inputs by @"
"""What is said of such a job is this between the file and the step."""
_SEVERAL = 2
"""Who read a single file of a folder need not want its neighbours."""
_DIGITS = re.compile(r"\d+")


def find_written_beside(database: sqlite3.Connection, workspace: Workspace, counted: Counted) -> Iterator[Reason]:
    """Why jobs are stale that read all files of a kind which a run of another step had left in a folder.

    Only where a later run of that step wrote one more there, which lies there still, and no job had written by then.
    Asked of each step is the last of its jobs that ended well: where that ran since, it had its choice. By themselves
    or in a dataset, files are files.
    """
    readers = {well[-1] for jobs in counted.jobs.values() if (well := [job for job in jobs if job in counted.well])}
    load = lru_cache(maxsize=_KEPT)(lambda job, role: _Used(database, job, role))
    for step, reader in _takings(database, counted, readers):
        jobs = counted.jobs[step]
        until = sorted(job for job in jobs if job < reader)
        since = [job for job in jobs if job > reader and job in counted.well]
        if not until or not since or counted.step_of[reader] == step or reader in counted.idle:
            continue
        more = _one_more(load(until[-1], OUTPUT), load(reader, INPUT), [load(job, OUTPUT) for job in since])
        there = (path for path in more if os.path.lexists(workspace.absolute(path)))
        place = next((path for path in there if not _was_written(database, path, reader) and not any(
            path in load(job, OUTPUT).files for job in until[:-1])), None)
        if place is not None:
            yield Reason(reader, f"{place}{BESIDE}{step} since")


_KEPT = 32  # jobs whose files are kept: there may be many, with many files each


def _takings(database: sqlite3.Connection, counted: Counted, readers: Container[int]) -> list[tuple[int, int]]:
    """Steps that ran again, each with those of some jobs that took something from its earlier runs."""
    step_of = {job: step for step, jobs in counted.jobs.items() for job in jobs[:-1]}
    rows = database.execute("SELECT producer_id, consumer_id FROM dependency"
                            " WHERE producer_id IN (SELECT value FROM json_each(?))",
                            (json.dumps(list(step_of)),)) if step_of else ()
    return sorted({(step_of[producer], consumer) for producer, consumer in rows if consumer in readers})


class _Content(NamedTuple):
    """What is recorded at a path."""

    artifact: int
    is_dataset: bool


class _Used:
    """What a job read or wrote.

    Attributes:
        at: by path.
    """

    def __init__(self, database: sqlite3.Connection, job_id: int, role: int) -> None:
        self._database = database
        self.at = {path: _Content(artifact, files is not None)
                   for path, artifact, files in database.execute(_USED, (job_id, role)) if not is_location(path)}

    @cached_property
    def files(self) -> frozenset[str]:
        """All files, those in datasets too."""
        return frozenset(chain.from_iterable(
            self.members(path, content.artifact) if content.is_dataset else (path,)
            for path, content in self.at.items()))

    def members(self, path: str, dataset: int, but: int = 0) -> Iterator[str]:
        """The files of a dataset at a path, without those of another one."""
        folder = members_folder(path)
        return (folder + name for (name,) in self._database.execute(_NEW_MEMBERS, (dataset, but)))


_USED = """
SELECT path.path, artifact.id, artifact.files FROM file_use JOIN path ON path.id = path_id
JOIN artifact ON artifact.id = artifact_id WHERE job_id = ? AND role = ? ORDER BY ordinal
"""
_NEW_MEMBERS = """
SELECT path FROM dataset_member WHERE dataset_id = ? EXCEPT SELECT path FROM dataset_member WHERE dataset_id = ?
"""


def _one_more(before: _Used, read: _Used, since: Iterable[_Used]) -> Iterator[str]:
    """What was written since that is of a kind of which all that had been written before was read.

    In a dataset that was read whole it may be of any kind.
    """
    kinds: set[str] | None = None
    for written in since:
        new: list[str] = []
        for path, content in written.at.items():
            known = before.at.get(path)
            if known == content or (known is not None and not content.is_dataset):
                continue
            if not content.is_dataset:
                new.append(path)
                continue
            more = written.members(path, content.artifact, known.artifact if known is not None else 0)
            if known is not None and read.at.get(path) == known:
                yield from more
            else:
                new += more
        if new and kinds is None:
            kinds = _read_whole(before, read)
        yield from (path for path in new if kinds and _kind(path) in kinds and path not in before.files
                    and path not in read.files)


def _read_whole(before: _Used, read: _Used) -> set[str]:
    """The kinds of files of which all that were written were read."""
    kinds: dict[str, list[str]] = {}
    for path in before.files:
        kinds.setdefault(_kind(path), []).append(path)
    return {kind for kind, paths in kinds.items() if len(paths) >= _SEVERAL and read.files.issuperset(paths)}


def _kind(path: str) -> str:
    """The folder of a file and its suffix; without one its name, whatever numbers are in it."""
    folder, name = os.path.split(path)
    suffix = os.path.splitext(name)[1]
    return f"{folder}/*{suffix}" if suffix else f"{folder}/{_DIGITS.sub('0', name)}"


def _was_written(database: sqlite3.Connection, path: str, job_id: int) -> bool:
    """Whether a job, or one before it, had written a file: that one left it alone as it was."""
    return database.execute("SELECT 1 FROM path JOIN file_written ON path_id = path.id"
                            " WHERE path.path = CAST(? AS TEXT) AND job_id <= ? LIMIT 1",
                            (encoded(path), job_id)).fetchone() is not None
