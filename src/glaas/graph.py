"""The graph between jobs and artifacts: a whole DAG, or what lies around one artifact."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import Connection, select

from glaas import models
from glaas.access import Viewer, uses_seen_by
from glaas.catalog import JobLine, dag_job_lines, find_job_lines, members_are_seen
from glaas.db import QUERIES_KEPT, ForEach
from glaas.models import Role
from roar.wire import Kind

MOST_JOBS = 100
MOST_MEMBERS = 1000
FILES_PER_JOB = 20
PART = 1000
_ROLES = {int(role): role for role in Role}  # a look-up is much quicker than Role(…), for thousands of rows
_KINDS = {str(kind): kind for kind in Kind}
_T = TypeVar("_T")


class Direction(StrEnum):
    """Which way to walk: `up` to what made an artifact, `down` to what it went into."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Edge:
    """A job read (`input`) or wrote (`output`) an artifact.

    Attributes:
        paths: where it did, for what it read or wrote in several places.
    """

    job: int
    artifact: bytes
    role: Role
    paths: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactNode:
    """An artifact in a graph, under the path it was last seen at there."""

    digest: bytes
    path: str
    kind: Kind
    size: int | None
    files: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Jobs, artifacts and the edges between them.

    Attributes:
        members: (member, dataset) pairs where a job wrote a file that a job read as part of a dataset.
        truncated: whether there is more than was walked.
    """

    jobs: tuple[JobLine, ...]
    artifacts: dict[bytes, ArtifactNode]
    edges: tuple[Edge, ...]
    members: tuple[tuple[bytes, bytes], ...] = ()
    truncated: bool = False


# -------------------------------------------------------------------------------------------------- one DAG


def dag_graph(connection: Connection, viewer: Viewer, digest: str) -> Graph:
    """The graph of one registered DAG."""
    jobs = dag_job_lines(connection, viewer, digest)
    ids = [job.key for job in jobs]
    artifacts, edges = _uses_of_jobs(connection, ids)
    members = _members_between(connection, artifacts, edges)
    read = {edge.artifact for edge in edges if edge.role is Role.INPUT}.union(member for member, _ in members)
    edges = tuple(edge for edge in edges if edge.role is not Role.PAYLOAD or edge.artifact in read)
    drawn = {edge.artifact for edge in edges}  # a payload stays out until a job reads it
    artifacts = {key: node for key, node in artifacts.items() if key in drawn}
    return Graph(jobs=jobs, artifacts=artifacts, edges=edges, members=members)


def _uses_of_jobs(connection: Connection, ids: list[int]) -> tuple[dict[bytes, ArtifactNode], tuple[Edge, ...]]:
    use = models.file_use
    artifacts: dict[bytes, ArtifactNode] = {}
    edges: dict[Edge, Edge] = {}
    query = select(use.c.job_id, use.c.role, use.c.path, use.c.digest, use.c.size, use.c.kind, use.c.files).where(
        use.c.digest.is_not(None)).order_by(use.c.job_id, use.c.role, use.c.position)
    for part in _parts(ids):
        for job_id, role, path, digest, size, kind, files in connection.execute(query.where(use.c.job_id.in_(part))):
            artifacts[digest] = ArtifactNode(digest=digest, path=path, kind=_KINDS[kind], size=size, files=files)
            _note_edge(edges, Edge(job_id, digest, _ROLES[role]), path)
    return artifacts, tuple(edges)


def _note_edge(edges: dict[Edge, Edge], edge: Edge, path: str) -> None:
    edges.setdefault(edge, edge).paths.append(path)


def _members_between(connection: Connection, artifacts: dict[bytes, ArtifactNode], edges: Iterable[Edge]
                     ) -> tuple[tuple[bytes, bytes], ...]:
    """Which files that these jobs wrote are part of datasets that these jobs read."""
    written = {edge.artifact for edge in edges if edge.role is not Role.INPUT}
    datasets = [edge.artifact for edge in edges
                if edge.role is Role.INPUT and artifacts[edge.artifact].kind is Kind.DATASET]
    table = models.dataset_member
    found: dict[tuple[bytes, bytes], None] = {}
    for part in _parts(sorted(set(datasets))):
        for row in connection.execute(select(table.c.digest, table.c.dataset).where(table.c.dataset.in_(part))):
            if row.digest in written:
                found[row.digest, row.dataset] = None
    return tuple(found)


def _parts(values: list[_T]) -> Iterable[list[_T]]:
    for start in range(0, len(values), PART):
        yield values[start:start + PART]


# -------------------------------------------------------------------------------------------------- lineage


def lineage(connection: Connection, viewer: Viewer, digest: str, *, direction: Direction | None = None,
            depth: int = 5, most_jobs: int = MOST_JOBS) -> Graph:
    """What made an artifact and what it went into, walking at most `depth` jobs far each way.

    An empty file is the same artifact everywhere and proves no connection: the walk does not pass through one. Of an
    artifact that very many jobs read the newest are walked, and no more than `most_jobs` in each direction; the graph
    says then that it is cut short.
    """
    root = bytes.fromhex(digest)
    walk = _Walk(connection, viewer, most_jobs)
    for way in [direction] if direction is not None else list(Direction):
        walk.run(root, way, depth)
    jobs = find_job_lines(connection, viewer, sorted(walk.jobs))
    edges = tuple(edge for edge in walk.edges if edge.job in jobs)
    known = walk.artifacts.keys() | {root}  # what the viewer may see: a private dataset is not even named
    members = tuple((member, dataset) for member, dataset in walk.members if member in known and dataset in known)
    if root not in walk.artifacts and any(member == root for member, _ in members):
        walk.artifacts.update(_member_node(connection, viewer, root))
    return Graph(jobs=tuple(jobs[key] for key in sorted(jobs)), artifacts=walk.artifacts, edges=edges,
                 members=members, truncated=walk.truncated)


def _member_node(connection: Connection, viewer: Viewer, digest: bytes) -> dict[bytes, ArtifactNode]:
    """A file that jobs read only within a dataset, under its path there, where the viewer may know that."""
    table = models.dataset_member.c
    row = connection.execute(select(table.path, table.size).where(
        table.digest == digest, members_are_seen(viewer, table.dataset)).limit(1)).first()
    return {} if row is None else {
        digest: ArtifactNode(digest=digest, path=row.path, kind=Kind.FILE, size=row.size, files=None)}


@functools.cache
def _across_datasets(way: Direction) -> ForEach:
    """The members of datasets (`up`), as far as some job wrote them by themselves, or the datasets of members."""
    table, use = models.dataset_member, models.file_use
    query = select(table.c.digest, table.c.dataset).where(table.c.size > 0).limit(MOST_MEMBERS)
    if way is Direction.DOWN:
        return ForEach(query, table.c.digest)
    written = select(use.c.job_id).where(use.c.digest == table.c.digest, use.c.role > int(Role.INPUT)).exists()
    return ForEach(query.where(written), table.c.dataset)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _jobs_around(viewer: Viewer, way: Direction, limit: int) -> ForEach:
    """The newest jobs that wrote an artifact (`up`) or read it (`down`)."""
    use = models.file_use.c
    role = use.role > int(Role.INPUT) if way is Direction.UP else use.role == int(Role.INPUT)
    query = uses_seen_by(viewer, select(use.job_id).where(role))
    return ForEach(query.order_by(use.role.desc(), use.job_id.desc()).limit(limit), use.digest)


class _Walk:
    """One breadth-first walk: artifacts → jobs → artifacts, a whole level in each query."""

    def __init__(self, connection: Connection, viewer: Viewer, most_jobs: int) -> None:
        self.connection = connection
        self.viewer = viewer
        self.most_jobs = most_jobs
        self.jobs: set[int] = set()
        self.artifacts: dict[bytes, ArtifactNode] = {}
        self.edges: dict[Edge, Edge] = {}
        self.members: dict[tuple[bytes, bytes], None] = {}
        self.truncated = False

    def run(self, root: bytes, way: Direction, depth: int) -> None:
        seen_jobs: set[int] = set()
        seen = {root}
        level = {root}
        for _ in range(depth):
            level |= self._across_datasets(level, way)
            jobs = self._jobs(level, way) - seen_jobs
            room = self.most_jobs - len(seen_jobs)
            if len(jobs) > room:
                self.truncated = True
                jobs = set(sorted(jobs, reverse=True)[:room])
            if not jobs:
                return
            seen_jobs |= jobs
            self.jobs |= jobs
            level = self._artifacts_of(jobs, way) - seen
            seen |= level
        if self._jobs(level | self._across_datasets(level, way), way) - seen_jobs:
            self.truncated = True

    def _across_datasets(self, level: set[bytes], way: Direction) -> set[bytes]:
        """Up: a dataset was made by who made its members. Down: a member was used by who used its dataset."""
        if way is Direction.UP:  # an artifact that no node was made of is the root
            level = {key for key in level if key not in self.artifacts or self.artifacts[key].kind is Kind.DATASET}
        found = set()
        for part in _parts(sorted(level)):
            for _, row in _across_datasets(way).rows(self.connection, part):
                self.members[row.digest, row.dataset] = None
                found.add(row.digest if way is Direction.UP else row.dataset)
        return found

    def _jobs(self, level: set[bytes], way: Direction) -> set[int]:
        """Jobs that wrote (`up`) or read (`down`) what is on this level, of each artifact as many as may be walked."""
        query = _jobs_around(self.viewer, way, self.most_jobs + 1)
        found: set[int] = set()
        for part in _parts(sorted(level)):
            found.update(row.job_id for _, row in query.rows(self.connection, part))
        return found

    def _artifacts_of(self, jobs: set[int], way: Direction) -> set[bytes]:
        """Note everything these jobs read and wrote; what leads on in `way` is returned."""
        use = models.file_use
        onward: set[bytes] = set()
        leading = {Role.INPUT} if way is Direction.UP else {Role.OUTPUT, Role.PAYLOAD}
        room = FILES_PER_JOB * self.most_jobs
        columns = select(use.c.job_id, use.c.role, use.c.path, use.c.digest, use.c.size, use.c.kind, use.c.files)
        for part in _parts(sorted(jobs)):
            query = columns.where(use.c.job_id.in_(part), use.c.digest.is_not(None)).limit(room)
            rows = self.connection.execute(query).all()
            self.truncated |= len(rows) == room
            for job_id, role_number, path, digest, size, kind, files in rows:
                role = _ROLES[role_number]
                self.artifacts[digest] = ArtifactNode(digest=digest, path=path, kind=_KINDS[kind], size=size,
                                                      files=files)
                _note_edge(self.edges, Edge(job_id, digest, role), path)
                if role in leading and size != 0:
                    onward.add(digest)
        return onward
