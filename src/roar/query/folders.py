"""A folder that no job used as one dataset: what is recorded in it, who made that, and who read it.

The parts of a folder are what was used last at each path below it, and of the dataset around it, if there is one, the
files that lie in it. The number of questions to the record does not depend on the number of files.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from roar.model import Kind, members_folder
from roar.query.artifacts import ROLES, ArtifactUse
from roar.query.graph import GraphArtifact, graph_artifact
from roar.query.parts import Writings, uses_of_parts
from roar.query.references import FolderReference
from roar.query.versions import Used, find_around, find_below, members_below
from roar.record.dependencies import makers_at

MOST = 20_000
"""Up to so many paths in a folder are taken, in their order."""


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
        makers, readers: the jobs.
        cut: whether the folder has more paths than were taken.
    """

    artifacts: dict[int, GraphArtifact]
    places: tuple[tuple[str, int], ...]
    makers: frozenset[Link]
    readers: frozenset[Link]
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder as an artifact is told; it has no digest, for no job used all of it as one.

    Attributes:
        path: as recorded, with `/` at its end.
        size, files: of what is recorded in it.
        produced_by, used_by, names, datasets, labels: as of an artifact.
        members: what is recorded in it, the paths relative to it.
        truncated: whether it has more paths than were taken.
    """

    path: str
    digest: str | None = None
    kind: str = "folder"
    size: int
    files: int
    names: tuple[str, ...]
    produced_by: tuple[ArtifactUse, ...]
    used_by: tuple[ArtifactUse, ...]
    datasets: tuple[str, ...] = ()
    members: tuple[GraphArtifact, ...]
    labels: dict[str, str] = field(default_factory=dict)
    truncated: bool


def load_parts(database: sqlite3.Connection, folder: str) -> Parts:
    """What is recorded in a folder (`a/b/`, `./`), who made it and who read it."""
    paths = find_below(database, folder, MOST + 1)
    uses = _last_uses(database, [path_id for path_id, _ in paths[:MOST]])
    around = find_around(database, folder)
    inside: set[tuple[str, int]] = set()
    if around is not None:
        inside = members_below(database, around, folder)
        files = {folder + name: artifact_id for name, artifact_id in inside}
        uses = [use for use in uses if not _is_told_by(use, around, files)]
        later = [use for use in uses if use.job_id > around.job_id]
        names = {use.path for use in later}.union(*_files(database, later).values())
        inside = {(name, artifact_id) for name, artifact_id in inside if folder + name not in names}
    uses = _without_told(database, uses)
    makers = _makers(database, uses)
    if around is not None:
        makers |= _makers_inside(database, around, folder, inside)
    places = sorted({(folder + name, artifact_id) for name, artifact_id in inside}
                    | {(use.path, use.artifact_id) for use in uses})
    artifacts = _load_artifacts(database, {artifact_id: path for path, artifact_id in reversed(places)})
    return Parts(artifacts=artifacts, places=tuple(places), makers=frozenset(makers),
                 readers=frozenset(_readers(database, folder, artifacts)), cut=len(paths) > MOST)


def load_folder(database: sqlite3.Connection, reference: FolderReference) -> Folder:
    """What is to be told of a folder."""
    folder = "" if reference.path == "./" else reference.path
    parts = load_parts(database, reference.path)
    members = [replace(parts.artifacts[row_id], path=path.removeprefix(folder)) for path, row_id in parts.places]
    return Folder(
        path=reference.path, names=(reference.path,), members=tuple(members), truncated=parts.cut,
        size=sum(one.size for one in members), files=sum(one.files or 1 for one in members),
        produced_by=_load_uses(database, "file_written", parts.makers, folder),
        used_by=_load_uses(database, "file_read", parts.readers, folder))


def _last_uses(database: sqlite3.Connection, path_ids: Sequence[int]) -> list[Used]:
    """What was used last at each of these paths, and had a digest."""
    rows = database.execute(_LAST_USES, {"paths": json.dumps(path_ids)})
    return [Used(*row[:4]) for row in rows]


# Of the uses by one job what it wrote is what it left there.
_LAST_USES = """
WITH here AS MATERIALIZED (SELECT path.id, path.path FROM json_each(:paths) AS one CROSS JOIN path
                           ON path.id = one.value)
SELECT path, artifact_id, job_id, role >= 2, max(job_id * 4 + role) FROM (
    SELECT path, path_id, artifact_id, job_id, role FROM here CROSS JOIN file_written ON path_id = here.id UNION ALL
    SELECT path, path_id, artifact_id, job_id, role FROM here CROSS JOIN file_read ON path_id = here.id
) WHERE artifact_id IS NOT NULL GROUP BY path_id ORDER BY path
"""


def _without_told(database: sqlite3.Connection, uses: Sequence[Used]) -> list[Used]:
    """Without the files that are told of by a dataset."""
    datasets = _find_datasets(database, uses)
    above: dict[str, list[Used]] = {}
    for use in uses:
        if use.artifact_id in datasets:
            above.setdefault(members_folder(use.path), []).append(use)
    covering = {use: [other for start in _starts(use.path) for other in above.get(start, ())]
                for use in uses if use.artifact_id not in datasets}
    files = _files(database, {other for others in covering.values() for other in others})
    return [use for use in uses if not any(_is_told_by(use, other, files[other]) for other in covering.get(use, ()))]


def _is_told_by(use: Used, dataset: Used, files: Mapping[str, int]) -> bool:
    """Whether a dataset with these files has a file in it: one that it replaced, or one that was only read since."""
    if use.path not in files:
        return False
    since = (use.job_id, use.is_written) > (dataset.job_id, dataset.is_written)
    return not since or (not use.is_written and files[use.path] == use.artifact_id)


def _starts(path: str) -> Iterator[str]:
    """The folders above a path, each with `/` at its end."""
    at = path.find("/") + 1
    while at:
        yield path[:at]
        at = path.find("/", at) + 1


def _find_datasets(database: sqlite3.Connection, uses: Iterable[Used]) -> set[int]:
    rows = database.execute("SELECT id FROM artifact WHERE files IS NOT NULL AND id IN"
                            " (SELECT value FROM json_each(?))", (json.dumps([use.artifact_id for use in uses]),))
    return {row_id for (row_id,) in rows}


def _files(database: sqlite3.Connection, uses: Collection[Used]) -> dict[Used, dict[str, int]]:
    """By path the files in each dataset."""
    members: dict[int, list[tuple[str, int]]] = {}
    for dataset_id, *member in database.execute(
            "SELECT dataset_id, path, artifact_id FROM dataset_member"
            " WHERE dataset_id IN (SELECT value FROM json_each(?))",
            (json.dumps([use.artifact_id for use in uses]),)):
        members.setdefault(dataset_id, []).append((member[0], member[1]))
    return {use: {members_folder(use.path) + name: artifact_id
                  for name, artifact_id in members.get(use.artifact_id, ())} for use in uses}


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
