"""A folder that no job used as one dataset: what is recorded in it, who made that, and who read it.

The parts of a folder are what was used last at each path below it, and of the datasets around it the files that lie in
it. The number of questions to the record does not depend on the number of files.
"""

import itertools
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from roar.model import Kind, is_location, members_folder
from roar.query.artifacts import ROLES, ArtifactUse
from roar.query.files_now import find_changed, holds, recorded_members
from roar.query.graph import GraphArtifact, graph_artifact
from roar.query.leftovers import first_of
from roar.query.parts import Writings, uses_of_parts
from roar.query.references import FolderReference
from roar.query.versions import Used, find_below, find_versions, iter_around, members_below
from roar.record.dependencies import makers_at

MOST = 20_000
"""Up to so many paths in a folder are taken, in their order."""

MOST_FILES = 1_000_000
"""Up to so many files of datasets are looked at, those that were used last."""


class Link(NamedTuple):
    """A job that made or read a part: what it wrote or read, and the row of the part."""

    job_id: int
    artifact_id: int
    part_id: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What is recorded in a folder.

    Attributes:
        artifacts: by row, each under the first path that it has in the folder.
        places: every path and the row of what is there.
        files: every file and the row of what is there.
        makers, readers: the jobs.
        cut: whether the folder has more paths than were taken.
    """

    artifacts: dict[int, GraphArtifact]
    places: tuple[tuple[str, int], ...]
    files: dict[str, int]
    makers: frozenset[Link]
    readers: frozenset[Link]
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder as an artifact is told; it has no digest, for no job used all of it as one.

    Attributes:
        path: as recorded, with `/` at its end.
        size, files: of what is recorded in it, each file once.
        gone: the files that are not there now, relative to it; none where it is a folder of objects.
        changed: those that are there with other content than was recorded last.
        produced_by, used_by, names, datasets, labels: as of an artifact.
        members: what is recorded in it, the paths relative to it.
        truncated: whether it has more paths than were taken.
    """

    path: str
    digest: str | None = None
    kind: str = "folder"
    size: int
    files: int
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    names: tuple[str, ...]
    produced_by: tuple[ArtifactUse, ...]
    used_by: tuple[ArtifactUse, ...]
    datasets: tuple[str, ...] = ()
    members: tuple[GraphArtifact, ...]
    labels: dict[str, str] = field(default_factory=dict)
    truncated: bool


def load_parts(database: sqlite3.Connection, folder: str, place: str | None = None) -> Parts:
    """What is recorded in a folder (`a/b/`, `./`), who made it and who read it.

    Of several datasets that were recorded at one path the last one counts; with `place`, where the folder lies now,
    also the earlier ones that have files of their own there.
    """
    paths = find_below(database, folder, MOST + 1)
    below = _uses_at(database, [path_id for path_id, _ in paths[:MOST]])
    around = list(iter_around(database, folder))
    uses = [*(below if place else _last_at_each_path(below)), *(around if place else around[:1])]
    held, cut = _held_by_each(database, uses, folder)
    if place is not None:
        start = "" if folder == "./" else folder
        last = {*_last_at_each_path(below), *around[:1]}
        held = {use: files for use, files in held.items() if use in last or any(
            os.path.lexists(os.path.join(place, path.removeprefix(start))) for path in files)}
    inside = {use: {(path[len(folder):], artifact_id) for path, artifact_id in held[use].items()}
              for use in around if use in held}
    uses = [use for use in below if use in held]
    makers = _makers(database, uses).union(*(_makers_inside(database, use, folder, files)
                                             for use, files in inside.items()))
    places = sorted({(folder + name, artifact_id) for files in inside.values() for name, artifact_id in files}
                    | {(use.path, use.artifact_id) for use in uses})
    artifacts = _load_artifacts(database, {artifact_id: path for path, artifact_id in reversed(places)})
    return Parts(artifacts=artifacts, places=tuple(places), makers=frozenset(makers),
                 files={path: artifact_id for files in held.values() for path, artifact_id in files.items()},
                 readers=frozenset(_readers(database, folder, artifacts)), cut=cut or len(paths) > MOST)


def load_folder(database: sqlite3.Connection, reference: FolderReference) -> Folder:
    """What is to be told of a folder."""
    folder = "" if reference.path == "./" else reference.path
    parts = load_parts(database, reference.path, reference.place)
    members = [replace(parts.artifacts[row_id], path=path.removeprefix(folder) or "./")
               for path, row_id in parts.places]
    files = {path.removeprefix(folder): artifact_id for path, artifact_id in parts.files.items()}
    gone, changed = find_lost(database, reference, files)
    return Folder(
        path=reference.path, names=(reference.path,), members=tuple(members), truncated=parts.cut,
        size=_total_size(database, files.values()), files=len(files), gone=gone, changed=changed,
        produced_by=_load_uses(database, "file_written", parts.makers, folder),
        used_by=_load_uses(database, "file_read", parts.readers, folder))


def find_lost(database: sqlite3.Connection, reference: FolderReference, files: Mapping[str, int]
              ) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of a folder's files that are not there, and those with other content than this row's."""
    if is_location(reference.path):
        return (), ()
    if reference.place is None:
        return tuple(sorted(files)), ()
    place = reference.place
    gone = sorted(name for name in files if not os.path.lexists(os.path.join(place, name)))
    content = {row_id: (size, digest.hex()) for row_id, size, digest in database.execute(
        "SELECT id, size, digest FROM artifact WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(set(files.values()))),))}
    recorded = {os.path.join(place, name): content[row_id] for name, row_id in files.items()}
    return tuple(gone), tuple(sorted(os.path.relpath(path, place) for path in find_changed(database, recorded)))


def explain_lost(database: sqlite3.Connection, reference: FolderReference) -> list[str]:
    """What of a folder is not, or no longer, as it was recorded; as sentences."""
    folder = "" if reference.path == "./" else reference.path
    files = load_parts(database, reference.path, reference.place).files
    gone, changed = find_lost(database, reference, {
        path.removeprefix(folder): artifact_id for path, artifact_id in files.items()})
    if gone and len(gone) == len(files):
        return [f"Nothing that was recorded in {reference.path} is there now."]
    found = ((names, what) for names, what in ((gone, "not there now"), (changed, "no longer as recorded")) if names)
    return [f"{first_of(names)} in {reference.path} {'is' if len(names) == 1 else 'are'} {what}."
            for names, what in found]


def holds_more(database: sqlite3.Connection, reference: FolderReference, dataset_id: int) -> bool:
    """Whether files lie in a folder as they were recorded there that a dataset recorded there has not."""
    path, place = reference.path, reference.place
    if place is None:
        return False
    if len(find_below(database, path, 2)) == 1:
        versions = [row_id for row_id, _ in find_versions(database, path)]
        if len(versions) == 1 or not (any(iter_around(database, path)) or _name_more(database, versions, dataset_id)):
            return False
    members = {name for name, _, _ in recorded_members(database, dataset_id)}
    more = {name: artifact_id for name, artifact_id in (
        (file[len(path):], artifact_id) for file, artifact_id in load_parts(database, path, place).files.items())
        if name not in members and os.path.lexists(os.path.join(place, name))}
    known = dict(database.execute("SELECT id, digest FROM artifact WHERE id IN (SELECT value FROM json_each(?))",
                                  (json.dumps(list(set(more.values()))),)))
    return any(holds(database, os.path.join(place, name), {known[artifact_id].hex()})
               for name, artifact_id in more.items())


def _name_more(database: sqlite3.Connection, datasets: Sequence[int], dataset_id: int) -> bool:
    """Whether one of some datasets has a file by a name that no file of this one has."""
    return database.execute(
        "SELECT path FROM dataset_member WHERE dataset_id IN (SELECT value FROM json_each(?))"
        " EXCEPT SELECT path FROM dataset_member WHERE dataset_id = ? LIMIT 1",
        (json.dumps([row_id for row_id in datasets if row_id != dataset_id]), dataset_id)).fetchone() is not None


def _total_size(database: sqlite3.Connection, artifact_ids: Collection[int]) -> int:
    sizes = dict(database.execute("SELECT id, size FROM artifact WHERE id IN (SELECT value FROM json_each(?))",
                                  (json.dumps(list(set(artifact_ids))),)).fetchall())
    return sum(sizes[artifact_id] for artifact_id in artifact_ids)


def _uses_at(database: sqlite3.Connection, path_ids: Sequence[int]) -> list[Used]:
    """The last use of each artifact with a digest at each of these paths, the paths in their order."""
    rows = database.execute(_USES_AT, {"paths": json.dumps(path_ids)})
    return [Used(*row[:4]) for row in rows]


# Of the uses by one job what it wrote is what it left there.
_USES_AT = """
WITH here AS MATERIALIZED (SELECT path.id, path.path FROM json_each(:paths) AS one CROSS JOIN path
                           ON path.id = one.value)
SELECT path, artifact_id, job_id, role >= 2, max(job_id * 4 + role) FROM (
    SELECT path, path_id, artifact_id, job_id, role FROM here CROSS JOIN file_written ON path_id = here.id UNION ALL
    SELECT path, path_id, artifact_id, job_id, role FROM here CROSS JOIN file_read ON path_id = here.id
) WHERE artifact_id IS NOT NULL GROUP BY path_id, artifact_id ORDER BY path
"""


def _last_at_each_path(uses: Iterable[Used]) -> list[Used]:
    last: dict[str, Used] = {}
    for use in uses:
        if use.path not in last or _time(last[use.path]) < _time(use):
            last[use.path] = use
    return list(last.values())


def _time(use: Used) -> tuple[int, bool]:
    return use.job_id, use.is_written


def _held_by_each(database: sqlite3.Connection, uses: Sequence[Used], folder: str
                  ) -> tuple[dict[Used, dict[str, int]], bool]:
    """The files of a folder, each under the use that tells of it; and whether there are more than can be looked at.

    That is the last use, but what was only read, all of it as it lies in an earlier dataset, is told of by that.
    """
    held: dict[Used, dict[str, int]] = {}
    teller: dict[str, Used] = {}
    order = sorted(uses, key=_time, reverse=True)
    files_of, cut = _files(database, order, folder)
    datasets = _find_datasets(database, uses)
    for use in order:
        files = files_of.get(use, {})
        same = Counter(teller[path] for path, artifact_id in files.items() if path in teller
                       and not teller[path].is_written and held[teller[path]][path] == artifact_id)
        for other in [other for other, count in same.items()
                      if use.artifact_id in datasets and count == len(held[other])]:
            for path in held.pop(other):
                del teller[path]
        own = {path: artifact_id for path, artifact_id in files.items() if path not in teller}
        if own:
            held[use] = own
            teller.update(dict.fromkeys(own, use))
    return held, cut


def _find_datasets(database: sqlite3.Connection, uses: Iterable[Used]) -> set[int]:
    rows = database.execute("SELECT id FROM artifact WHERE files IS NOT NULL AND id IN"
                            " (SELECT value FROM json_each(?))", (json.dumps([use.artifact_id for use in uses]),))
    return {row_id for (row_id,) in rows}


def _files(database: sqlite3.Connection, uses: Sequence[Used], folder: str
           ) -> tuple[dict[Used, dict[str, int]], bool]:
    """By path the files in a folder of each use, and whether the last of the uses were left out."""
    sizes = dict(database.execute("SELECT id, files FROM artifact WHERE id IN (SELECT value FROM json_each(?))",
                                  (json.dumps([use.artifact_id for use in uses]),)).fetchall())
    until = list(itertools.accumulate(sizes[use.artifact_id] or 1 for use in uses))
    taken = [use for use, files in zip(uses, until, strict=True) if files <= max(MOST_FILES, until[0])]
    start = "" if folder == "./" else folder
    members: dict[int, list[tuple[str, int]]] = {}
    whole = {use.artifact_id for use in taken if use.path.startswith(start) and sizes[use.artifact_id] is not None}
    for dataset_id, *member in database.execute(
            "SELECT dataset_id, path, artifact_id FROM dataset_member"
            " WHERE dataset_id IN (SELECT value FROM json_each(?))", (json.dumps(list(whole)),)):
        members.setdefault(dataset_id, []).append((member[0], member[1]))
    found = {}
    for use in taken:
        if sizes[use.artifact_id] is None:
            found[use] = {use.path: use.artifact_id}
        elif use.path.startswith(start):
            above = members_folder(use.path)
            found[use] = {above + name: artifact_id for name, artifact_id in members.get(use.artifact_id, ())}
        else:
            found[use] = {folder + name: artifact_id for name, artifact_id in members_below(database, use, folder)}
    return found, len(taken) < len(uses)


def _makers(database: sqlite3.Connection, uses: Sequence[Used]) -> set[Link]:
    """Who made what was used last: the job that wrote it, or those from which the job that read it took it.

    What lies in a dataset that was only read may since have been written: that is looked up, one dataset at a time.
    """
    datasets = _find_datasets(database, uses)
    makers = {Link(use.job_id, use.artifact_id, use.artifact_id) for use in uses if use.is_written}
    read = [use for use in uses if not use.is_written]
    rows = database.execute(
        "SELECT producer_id, produced_id, artifact_id FROM json_each(?) AS one CROSS JOIN dependency"
        " ON consumer_id = json_extract(one.value, '$[0]') AND artifact_id = json_extract(one.value, '$[1]')",
        (json.dumps([(use.job_id, use.artifact_id) for use in read if use.artifact_id not in datasets]),))
    makers.update(Link(*row) for row in rows)
    for use in read:
        if use.artifact_id in datasets:
            makers.update(Link(*maker, use.artifact_id) for maker in makers_at(database, use.artifact_id, use.path))
    return makers


def _makers_inside(database: sqlite3.Connection, around: Used, folder: str, inside: set[tuple[str, int]]
                   ) -> set[Link]:
    """Who of the makers of the dataset around a folder made the files that lie in the folder."""
    makers = sorted(makers_at(database, around.artifact_id, around.path), reverse=True)
    made = Writings(database).makers(inside, folder, makers)
    wrote = {maker.job_id: maker.artifact_id for maker in makers}
    return {Link(job_id, wrote[job_id], artifact_id) for (_, artifact_id), job_id in made.items()}


def _readers(database: sqlite3.Connection, folder: str, artifacts: dict[int, GraphArtifact]) -> set[Link]:
    """Who read the parts, by themselves, within a dataset, or some of a dataset's files.

    Empty files are alike without having to do with each other: they were read where they lie.
    """
    solid = [row_id for row_id, artifact in artifacts.items() if artifact.size]
    empty = [row_id for row_id, artifact in artifacts.items() if not artifact.size]
    found = {Link(*row) for row in database.execute(_READ, {"parts": json.dumps(solid)})}
    start = "" if folder == "./" else folder
    for job_id, artifact_id, place, name in database.execute(_READ_EMPTY, {"parts": json.dumps(empty)}):
        path = place if name is None else members_folder(place) + name
        if path.startswith(start):
            row_id = next((row_id for row_id in empty if artifacts[row_id].path == path), empty[0])
            found.add(Link(job_id, artifact_id, row_id))
    for row_id, artifact in artifacts.items():
        if artifact.kind is Kind.DATASET:
            found.update(Link(use.job_id, use.artifact_id, row_id) for use in uses_of_parts(database, row_id))
    return found


_READ = """
WITH part AS MATERIALIZED (SELECT value AS id FROM json_each(:parts))
SELECT job_id, artifact_id, part.id FROM part CROSS JOIN file_read ON artifact_id = part.id
UNION SELECT job_id, file_read.artifact_id, part.id FROM part
CROSS JOIN dataset_member ON dataset_member.artifact_id = part.id
CROSS JOIN file_read ON file_read.artifact_id = dataset_id
"""

_READ_EMPTY = """
WITH part AS MATERIALIZED (SELECT value AS id FROM json_each(:parts))
SELECT job_id, artifact_id, path.path, NULL FROM part CROSS JOIN file_read ON artifact_id = part.id
JOIN path ON path.id = path_id
UNION SELECT job_id, file_read.artifact_id, path.path, dataset_member.path FROM part
CROSS JOIN dataset_member ON dataset_member.artifact_id = part.id
CROSS JOIN file_read ON file_read.artifact_id = dataset_id JOIN path ON path.id = path_id
"""


def _load_artifacts(database: sqlite3.Connection, places: dict[int, str]) -> dict[int, GraphArtifact]:
    rows = database.execute("SELECT id, digest, size, files FROM artifact"
                            " WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(places)),))
    return {row_id: graph_artifact(digest, places[row_id], size, files) for row_id, digest, size, files in rows}


def _load_uses(database: sqlite3.Connection, uses: str, links: Iterable[Link], start: str) -> tuple[ArtifactUse, ...]:
    """The uses by these jobs, the latest job first: those in the folder, of a job that has none there the others."""
    pairs = json.dumps(sorted({link[:2] for link in links}))
    rows = database.execute(
        "SELECT DISTINCT job.uid, session.uid, number, role, path.path, digest, job.id FROM json_each(?) AS one"  # noqa: S608  a name of our own
        f" CROSS JOIN {uses} AS used ON used.artifact_id = json_extract(one.value, '$[1]')"
        " AND used.job_id = json_extract(one.value, '$[0]') JOIN path ON path.id = path_id"
        " JOIN artifact ON artifact.id = used.artifact_id JOIN job ON job.id = used.job_id"
        " JOIN step ON step.id = step_id JOIN session ON session.id = session_id ORDER BY job.id DESC, path.path",
        (pairs,))
    found = [ArtifactUse(job=job, session=session, step=step, role=ROLES[role], path=path,
                         used_as=None if path.startswith(start) else digest.hex())
             for job, session, step, role, path, digest, _ in rows]
    inside = {use.job for use in found if use.used_as is None}
    return tuple(use for use in found if use.used_as is None or use.job not in inside)
