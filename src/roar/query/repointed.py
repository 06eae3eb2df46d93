"""Which steps read an input through a symlink that leads to other content now, or in whose place that lies."""

import itertools
import json
import os
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

from roar.analyze.datasets import ancestors
from roar.model import members_folder
from roar.query.files_now import dataset_is_unchanged, find_change_of_files, holds, recorded_members
from roar.query.staleness import Reason
from roar.record.database import encoded
from roar.workspace import Workspace

_HOPS = 40  # as the kernel: a link in a circle leads nowhere


_Members = Sequence[tuple[str, int, bytes]]  # path, size and digest


class _Input(NamedTuple):
    """What a job read; the folder of its files for a dataset, else the file."""

    place: str
    artifact_id: int
    digest: str
    is_dataset: bool


def find_repointed(database: sqlite3.Connection, workspace: Workspace, jobs: Iterable[int]) -> Iterator[Reason]:
    """Why jobs are stale where a symlink that they found there was pointed elsewhere since, replaced, or removed.

    One outside the workspace, or that a job made or removed, is not missed where it is gone.

    Args:
        database: the record.
        workspace: whose record it is.
        jobs: those to look at, by row.
    """
    links = load_links(database, workspace, jobs)
    members = cache(partial(_sorted_members, database))
    text_now = {place: read_link(place) for found in links.values() for place in found}
    for job_id, found in links.items():
        changed = [place for place, text in found.items() if text_now[place] not in {text, None}]
        changed += removed_by_hand(database, workspace, [place for place in found if text_now[place] is None])
        inputs = list(_load_inputs(database, workspace, job_id)) if changed else []
        place = next((one for one in changed if _leads_elsewhere(database, one, found, inputs, members)), None)
        if place is not None:
            yield Reason(job_id, f"its symlink {workspace.relative(place)} {_told(place, text_now[place])}")


def _told(place: str, text: str | None) -> str:
    """What is to be said of a symlink by its text now."""
    if text is None:
        return "is gone"
    return f"leads to {text} now" if text else f"is a {'folder' if os.path.isdir(place) else 'file'} now"


def removed_by_hand(database: sqlite3.Connection, workspace: Workspace, places: Iterable[str]) -> list[str]:
    """Those of symlinks that are gone which somebody is likely to miss."""
    return [place for place in places if not (path := workspace.relative(place)).startswith("/")
            and database.execute(_TOUCHED, (encoded(path),)).fetchone() is None]


_TOUCHED = """
SELECT 1 FROM path CROSS JOIN symlink ON path_id = path.id WHERE path.path = CAST(? AS TEXT) AND made > 0 LIMIT 1
"""


def load_links(database: sqlite3.Connection, workspace: Workspace, jobs: Iterable[int]
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


def _leads_elsewhere(database: sqlite3.Connection, place: str, links: Mapping[str, str], inputs: Sequence[_Input],
                     members: Callable[[int], _Members]) -> bool:
    """Whether something that was read through a symlink is not found through it any more."""
    there = destination(place, links)
    for one in inputs:
        if one.place == there or one.place.startswith(f"{there}/"):
            now = place + one.place[len(there):]
            same = (dataset_is_unchanged(database, now, one.artifact_id) if one.is_dataset
                    else holds(database, now, {one.digest}))
        elif one.is_dataset and there.startswith(f"{one.place}/"):
            same = _holds_part(database, place, there[len(one.place) + 1:], members(one.artifact_id))
        else:
            continue
        if not same:
            return True
    return False


def _sorted_members(database: sqlite3.Connection, dataset_id: int) -> _Members:
    return sorted(recorded_members(database, dataset_id))


def _holds_part(database: sqlite3.Connection, place: str, part: str, members: _Members) -> bool:
    """Whether what a dataset has as this file, or in this folder, is found at a place; so it is where it has none."""
    file = bisect_left(members, (part,))
    found = list(itertools.takewhile(lambda one: one[0] == part, members[file:file + 1]))
    below = itertools.islice(members, bisect_left(members, (f"{part}/",)), None)
    found += itertools.takewhile(lambda one: one[0].startswith(f"{part}/"), below)
    folder, name = os.path.split(place)
    try:
        return find_change_of_files(database, folder, [
            (name + path[len(part):], size, digest) for path, size, digest in found]) is None
    except OSError:
        return False


def destination(place: str, links: Mapping[str, str]) -> str:
    """Where a symlink led in the end, by the texts of all that a job went through."""
    for _ in range(_HOPS):
        link = next((link for link in reversed(ancestors(place)) if link in links), None)
        if link is None:
            break
        place = os.path.normpath(os.path.join(os.path.dirname(link), links[link]) + place[len(link):])
    return place
