"""Which steps read an input through a symlink that leads to other content now, or in whose place that lies."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from roar.model import members_folder
from roar.query.files_now import dataset_is_unchanged, holds
from roar.query.staleness import Reason
from roar.workspace import Workspace

_HOPS = 40  # as the kernel: a link in a circle leads nowhere


class _Input(NamedTuple):
    """What a job read; the folder of its files for a dataset, else the file."""

    place: str
    artifact_id: int
    digest: str
    is_dataset: bool


def find_repointed(database: sqlite3.Connection, workspace: Workspace, jobs: Iterable[int]) -> Iterator[Reason]:
    """Why jobs are stale where a symlink that they found there was pointed elsewhere since, or replaced.

    Args:
        database: the record.
        workspace: whose record it is.
        jobs: those to look at, by row.
    """
    links = _load_links(database, workspace, jobs)
    text_now = {place: read_link(place) for found in links.values() for place in found}
    for job_id, found in links.items():
        changed = [place for place, text in found.items() if text_now[place] not in {text, None}]
        inputs = list(_load_inputs(database, workspace, job_id)) if changed else []
        elsewhere = next((place for place in changed if _leads_elsewhere(database, place, found, inputs)), None)
        if elsewhere is not None:
            text = text_now[elsewhere]
            now = f"leads to {text} now" if text else f"is a {'folder' if os.path.isdir(elsewhere) else 'file'} now"
            yield Reason(job_id, f"its symlink {workspace.relative(elsewhere)} {now}")


def _load_links(database: sqlite3.Connection, workspace: Workspace, jobs: Iterable[int]
                ) -> dict[int, dict[str, str]]:
    """By job, the text of each symlink that it found there, by its place."""
    links: dict[int, dict[str, str]] = {}
    for job_id, path, text in database.execute(
            "SELECT job_id, path.path, target FROM symlink JOIN path ON path.id = path_id WHERE made = 0"
            " AND job_id IN (SELECT value FROM json_each(?)) ORDER BY path.path", (json.dumps(list(jobs)),)):
        links.setdefault(job_id, {})[workspace.absolute(path)] = text
    return links


def read_link(place: str) -> str | None:
    """The text of a symlink; "" where something else lies in its place, None where nothing does."""
    try:
        return os.readlink(place)
    except OSError:
        return "" if os.path.lexists(place) else None


def _load_inputs(database: sqlite3.Connection, workspace: Workspace, job_id: int) -> Iterator[_Input]:
    for path, artifact_id, digest, files in database.execute(
            "SELECT path.path, artifact_id, digest, artifact.files FROM file_read JOIN path ON path.id = path_id"
            " JOIN artifact ON artifact.id = artifact_id WHERE job_id = ?", (job_id,)):
        place = workspace.absolute(path if files is None else members_folder(path))
        yield _Input(place.rstrip("/"), artifact_id, digest.hex(), files is not None)


def _leads_elsewhere(database: sqlite3.Connection, place: str, links: Mapping[str, str], inputs: Sequence[_Input]
                     ) -> bool:
    """Whether something that was read through a symlink is not found through it any more."""
    there = destination(place, links)
    for one in inputs:
        if one.place == there or one.place.startswith(f"{there}/"):
            now = place + one.place[len(there):]
            same = (dataset_is_unchanged(database, now, one.artifact_id) if one.is_dataset
                    else holds(database, now, {one.digest}))
            if not same:
                return True
    return False


def destination(place: str, links: Mapping[str, str]) -> str:
    """Where a symlink led in the end, by the texts of all that a job went through."""
    for _ in range(_HOPS):
        link = next((link for link in links if place == link or place.startswith(f"{link}/")), None)
        if link is None:
            break
        place = os.path.normpath(os.path.join(os.path.dirname(link), links[link]) + place[len(link):])
    return place
