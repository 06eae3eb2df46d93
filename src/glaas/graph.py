"""The graph between jobs and artifacts: a whole DAG, or what lies around one artifact."""

import functools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from glaas import models
from glaas.access import Viewer, members_are_seen
from glaas.catalog import JobLine, dag_job_lines, find_job_lines
from glaas.db import QUERIES_KEPT, ForEach, in_parts
from glaas.makers import (
    EMPTY,
    MEMBERS_COMPARED,
    WHOLES_LOOKED_AT,
    WHOLES_WALKED,
    Maker,
    Makers,
    Reader,
    Reading,
    ages_of,
    find_makers,
    first_members,
    members_used,
    node_key,
    reader_of,
    readers_of,
    reading_of,
    uses_of,
    wholes_of,
)
from glaas.member_sizes import MemberSizes
from glaas.models import Role
from roar.wire import Kind, members_folder

MOST_JOBS = 100
FILES_PER_JOB = 20
PLACES_LOOKED_AT = 20
READINGS_FOR_EACH_JOB = 4
_ROLES = {int(role): role for role in Role}  # a look-up is much quicker than Role(…), for thousands of rows
_KINDS = {str(kind): kind for kind in Kind}


class Direction(StrEnum):
    """Which way to walk: `up` to what made an artifact, `down` to what it went into, or `both`."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


class Edge(NamedTuple):
    """A job read (`input`) or wrote (`output`) what `Graph.artifacts` has under a key; at several `paths` perhaps."""

    job: int
    artifact: bytes
    role: Role
    paths: list[str]


_Edges = dict[tuple[int, bytes, Role], Edge]  # by job, artifact and role


class ArtifactNode(NamedTuple):
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
        artifacts: by digest; what is empty by digest and path, for it is alike without having to do with each other.
        taken: by job and by what it read, what that came from where it is not the same: a dataset that a job wrote and
            in which it is a file, or parts of the dataset that it is.
        members: what jobs wrote, or the artifact that was asked for, with what of it others read or what has it: pairs
            of artifacts of which one is part of the other, or which share files.
        truncated: whether there is more than was walked.
    """

    jobs: tuple[JobLine, ...]
    artifacts: dict[bytes, ArtifactNode]
    edges: tuple[Edge, ...]
    taken: Mapping[tuple[int, bytes], tuple[bytes, ...]] = field(default_factory=dict)
    members: tuple[tuple[bytes, bytes], ...] = ()
    truncated: bool = False

    def made_as(self, artifact: bytes) -> set[bytes]:
        """What jobs wrote with the artifact in it, or of which it is made."""
        return {made for made, read in self.members if self.artifacts[read].digest == artifact}

    def read_as(self, artifact: bytes) -> set[bytes]:
        """What jobs read with the artifact in it, or of it."""
        return {read for made, read in self.members if self.artifacts[made].digest == artifact}


class PartUse(NamedTuple):
    """A job that used a dataset with an artifact in it, or part of the dataset that it is: its digest, and where."""

    job: JobLine
    digest: str
    path: str


def uses_by_way(graph: Graph, root: bytes) -> tuple[list[PartUse], list[PartUse]]:
    """Those that made the artifact by way of another one, and those that used it so, each once; newest first."""
    lines = {line.key: line for line in graph.jobs}
    made_as, read_as = graph.made_as(root), graph.read_as(root)
    made: dict[int, PartUse] = {}
    read: dict[int, PartUse] = {}
    for edge in sorted(graph.edges, key=lambda edge: edge.job, reverse=True):
        ways, found = (read_as, read) if edge.role is Role.INPUT else (made_as, made)
        if edge.artifact in ways:
            digest = graph.artifacts[edge.artifact].digest.hex()
            found.setdefault(edge.job, PartUse(lines[edge.job], digest, edge.paths[0]))
    return list(made.values()), list(read.values())


# -------------------------------------------------------------------------------------------------- one DAG


def dag_graph(connection: Connection, viewer: Viewer, digest: str) -> Graph:
    """The graph of one registered DAG."""
    jobs = dag_job_lines(connection, viewer, digest)
    ids = [job.key for job in jobs]
    artifacts, edges = _uses_of_jobs(connection, ids)
    taken = _taken(connection, viewer, ids, artifacts, edges)
    made = {made for some in taken.values() for made in some}
    read = {edge.artifact for edge in edges if edge.role is Role.INPUT} | made
    edges = tuple(edge for edge in edges if edge.role is not Role.PAYLOAD or edge.artifact in read)
    drawn = {edge.artifact for edge in edges}  # a payload stays out until a job reads it
    artifacts = {key: node for key, node in artifacts.items() if key in drawn}
    return Graph(jobs=jobs, artifacts=artifacts, edges=edges, taken=taken, members=_pairs(taken))


def _pairs(taken: Mapping[tuple[int, bytes], tuple[bytes, ...]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(dict.fromkeys((made, read) for (_, read), some in taken.items() for made in some))


def _uses_of_jobs(connection: Connection, ids: list[int]) -> tuple[dict[bytes, ArtifactNode], tuple[Edge, ...]]:
    use = models.file_use
    artifacts: dict[bytes, ArtifactNode] = {}
    edges: _Edges = {}
    query = select(use.c.job_id, use.c.role, use.c.path, use.c.digest, use.c.size, use.c.kind, use.c.files).where(
        use.c.digest.is_not(None)).order_by(use.c.job_id, use.c.role, use.c.position)
    for part in in_parts(ids):
        for job_id, role, path, digest, size, kind, files in connection.execute(query.where(use.c.job_id.in_(part))):
            key = node_key(digest, path, size)
            artifacts[key] = ArtifactNode(digest=digest, path=path, kind=_KINDS[kind], size=size, files=files)
            _note_edge(edges, (job_id, key, _ROLES[role]), path)
    return artifacts, tuple(edges.values())


def _note_edge(edges: _Edges, key: tuple[int, bytes, Role], path: str) -> None:
    known = edges.get(key)
    if known is None:
        edges[key] = Edge(*key, [path])
    else:
        known.paths.append(path)


def _taken(connection: Connection, viewer: Viewer, ids: Sequence[int], artifacts: Mapping[bytes, ArtifactNode],
           edges: Iterable[Edge]) -> dict[tuple[int, bytes], tuple[bytes, ...]]:
    """What these jobs read of what others of them wrote without being the same: see `Graph.taken`."""
    written = {(edge.artifact, path) for edge in edges if edge.role is not Role.INPUT for path in edge.paths}
    made = [artifacts[key] for key, _ in written]
    read = [artifacts[edge.artifact] for edge in edges if edge.role is Role.INPUT]
    around = _members_of(connection, sorted({node.digest for node in made if node.kind is Kind.DATASET}),
                         sorted({node.digest for node in read if node.kind is Kind.FILE}))
    readers = {row.job_id: reader_of(row) for row in _jobs(connection, ids)}
    since = ages_of(connection, ids)
    readings = []
    for edge in edges:
        node = artifacts[edge.artifact]
        if edge.role is Role.INPUT:
            within = node.kind is Kind.FILE
            readings += [Reading(readers[edge.job], node.digest, path, node.kind, node.files, size=node.size,
                                 since=since.get((edge.job, node.digest, path)))
                         for path in edge.paths
                         if (node.digest in around if within else (edge.artifact, path) not in written)]
    inside = set(ids)
    found: dict[tuple[int, bytes], dict[bytes, None]] = {}
    for reading, makers in find_makers(connection, viewer, readings).items():
        assert reading.reader is not None
        for maker in makers:
            if maker.digest != reading.digest and maker.key in inside and maker.node in artifacts:
                found.setdefault((reading.reader.key, reading.node), {})[maker.node] = None
    return {key: tuple(some) for key, some in found.items()}


def _members_of(connection: Connection, datasets: list[bytes], files: list[bytes]) -> set[bytes]:
    """Those of the files that are in one of the datasets."""
    member = models.dataset_member.c
    found: set[bytes] = set()
    for some in in_parts(files if datasets else []):
        for whole in in_parts(datasets):
            found.update(connection.execute(select(member.digest).where(
                member.digest.in_(some), member.dataset.in_(whole))).scalars())
    return found


def _jobs(connection: Connection, ids: Sequence[int]) -> Iterator[Any]:
    job = models.job.c
    for part in in_parts(ids):
        query = select(job.id.label("job_id"), job.session, job.started_at, job.duration_s)
        yield from connection.execute(query.where(job.id.in_(part)))


# -------------------------------------------------------------------------------------------------- lineage


def lineage(connection: Connection, viewer: Viewer, digest: str, *, direction: Direction = Direction.BOTH,
            depth: int = 5, most_jobs: int = MOST_JOBS, labelled: bool = True) -> Graph:
    """What made an artifact and what it went into, walking at most `depth` jobs far each way.

    Up, it begins with all jobs that wrote the very content, or the members of a dataset that none wrote as a whole,
    and goes on to those that made what each job read (see `glaas.makers`). Down, it begins with all that read the
    content, by itself or within a dataset, or a part of the dataset, and goes on to those that read what they wrote.

    Empty files are alike without having to do with each other: the walk passes through one only at its path and in
    its session, and none begins at their common digest.

    Of an artifact that very many jobs read the newest are walked, and no more than `most_jobs` in each direction; the
    graph says then that it is cut short. Jobs come without their labels where these are not asked for (`labelled`).
    """
    root = bytes.fromhex(digest)
    walk = _Walk(connection, viewer, root, most_jobs)
    ways = (Direction.UP, Direction.DOWN) if direction is Direction.BOTH else (direction,)
    for way in ways if root != EMPTY else ():
        walk.run(way, depth)
    walk.truncated |= walk.makers.cut
    jobs = find_job_lines(connection, viewer, sorted(walk.jobs), labelled=labelled)
    edges = tuple(edge for edge in walk.edges.values() if edge.job in jobs)
    members = dict.fromkeys((*walk.members, *_pairs(walk.taken)))
    if root not in walk.artifacts and any(root in pair for pair in members):
        walk.artifacts.update(_member_node(connection, viewer, root))
    return Graph(jobs=tuple(jobs[key] for key in sorted(jobs)), artifacts=walk.artifacts, edges=edges,
                 taken=walk.taken, truncated=walk.truncated, members=tuple(
                     (made, read) for made, read in members if {made, read} <= walk.artifacts.keys()))


def _member_node(connection: Connection, viewer: Viewer, digest: bytes) -> dict[bytes, ArtifactNode]:
    """A file that jobs used only within a dataset, under its path there, where the viewer may know that."""
    table = models.dataset_member.c
    row = connection.execute(select(table.dataset, table.position, table.path, table.size).where(
        table.digest == digest, members_are_seen(viewer, table.dataset)).limit(1)).first()
    if row is None:
        return {}
    size = MemberSizes(connection, viewer, [row.dataset]).of(row)
    return {digest: ArtifactNode(digest=digest, path=row.path, kind=Kind.FILE, size=size, files=None)}


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _uses_with_jobs(limit: int) -> ForEach:
    """What a job used, with when it was and of which session."""
    use, job = models.file_use.c, models.job.c
    return ForEach(select(
        use.job_id, use.role, use.path, use.digest, use.size, use.kind, use.files, use.unchanged_since, job.session,
        job.started_at, job.duration_s).join_from(models.file_use, models.job).where(
            use.digest.is_not(None)).limit(limit), use.job_id)


class _Use(NamedTuple):
    """What a job read or wrote."""

    role: Role
    reading: Reading


@dataclass(slots=True)
class _Related:
    """How an artifact that jobs read is related to the root of a walk.

    Attributes:
        has_root: it is a dataset with the root in it.
        places: where the root has a file of it, and where it has that itself: paths inside; an empty one for a file.
    """

    has_root: bool = False
    places: list[tuple[str, str]] = field(default_factory=list)

    def lies_in(self, folders: Iterable[str], reading: Reading) -> bool:
        """Whether it was read where the root, recorded as a dataset in these folders, has it."""
        start = members_folder(reading.path) if reading.kind is Kind.DATASET else reading.path
        return any(folder + there == start + here for folder in folders for there, here in self.places)


class _Walk:
    """One breadth-first walk: artifacts → jobs → artifacts, a whole level in each query."""

    def __init__(self, connection: Connection, viewer: Viewer, root: bytes, most_jobs: int) -> None:
        self.connection = connection
        self.viewer = viewer
        self.makers = Makers(connection, viewer)
        self.root = root
        self.most_jobs = most_jobs
        self.jobs: set[int] = set()
        self.artifacts: dict[bytes, ArtifactNode] = {}
        self.kinds: dict[bytes, Kind] = {}
        self.places: dict[tuple[bytes, bytes, str], None] = {}
        self.root_noted = False
        self.wholes: dict[bytes, list[Any]] = {}
        self.edges: _Edges = {}
        self.taken: dict[tuple[int, bytes], tuple[bytes, ...]] = {}
        self.members: dict[tuple[bytes, bytes], None] = {}
        self.truncated = False

    def run(self, way: Direction, depth: int) -> None:
        """Walk one way from the root."""
        seen: set[int] = set()
        jobs = self._makers_of_root() if way is Direction.UP else self._users_of(
            {self.root}, (), self._readings_of_empty((session, path, Kind.DATASET)
                                                     for _, session, path in self._places_of({self.root})))
        for distance in range(1, depth + 1):
            room = self.most_jobs - len(seen)
            if len(jobs) > room:
                self.truncated = True
                jobs = set(sorted(jobs, reverse=True)[:room])
            if not jobs:
                return
            seen |= jobs
            self.jobs |= jobs
            uses = self._uses_of(jobs)
            if way is Direction.UP:
                jobs = self._makers_of(uses) - seen
            else:
                written = [use.reading for use in uses if use.role is not Role.INPUT]
                made = {reading.digest for reading in written} - {EMPTY}
                empty = [(reading.reader.session, reading.path, reading.kind) for reading in written
                         if reading.reader and (reading.digest == EMPTY or reading.kind is Kind.DATASET)]
                if distance == depth and self._are_read_by_others(made, seen):
                    self.truncated = True
                    return
                jobs = self._users_of(made, seen, self._readings_of_empty(empty)) - seen
        self.truncated |= bool(jobs)

    def _are_read_by_others(self, made: set[bytes], seen: set[int]) -> bool:
        """Whether any other job read the very content: then there is more, and who made that need not be asked."""
        found = self._around(sorted(made), Direction.DOWN)
        return any(row.job_id not in seen for rows in found.values() for row in rows)

    def _makers_of_root(self) -> set[int]:
        """All that wrote the very content, within a dataset too; else those that made the parts of a dataset."""
        wholes = [row.dataset for _, row in self._wholes([self.root])]
        found = self._around([self.root, *wholes], Direction.UP)
        self.members.update(((whole, self.root), None) for whole in wholes if whole in found)
        jobs = {row.job_id for rows in found.values() for row in rows}
        if not jobs:
            read = self._around([self.root], Direction.DOWN).get(self.root, [])
            places = {row.path: Reading(None, self.root, row.path, Kind(row.kind), row.files) for row in read}
            for makers in self.makers.of(list(places.values())[:PLACES_LOOKED_AT]).values():
                self.members.update(((maker.digest, self.root), None) for maker in makers)
                jobs.update(maker.key for maker in makers)
        return jobs

    def _makers_of(self, uses: Iterable[_Use]) -> set[int]:
        """The jobs that made what was read."""
        found: set[int] = set()
        readings = [use.reading for use in uses if use.role is Role.INPUT]
        for reading, makers in self.makers.of(readings).items():
            found.update(maker.key for maker in makers)
            self._note_taken(reading, makers)
        return found

    def _note_taken(self, reading: Reading, makers: Iterable[Maker]) -> None:
        assert reading.reader is not None
        others = [maker.node for maker in makers if maker.digest != reading.digest]
        if others:
            key = reading.reader.key, reading.node
            self.taken[key] = tuple(dict.fromkeys((*self.taken.get(key, ()), *others)))

    def _users_of(self, made: set[bytes], makers: Collection[int], more: Iterable[Reading] = ()) -> set[int]:
        """The jobs that read what `makers` made, `more` of it besides; without any makers those that read the root."""
        found = {} if makers else self._around(sorted(made), Direction.DOWN)
        jobs = {row.job_id for rows in found.values() for row in rows}
        related = self._related(made)
        readings = self._readings_of(sorted(made.union(related) if makers else related), min(makers, default=0))
        readings += more
        explained = self.makers.of(readings)
        folders = [] if makers else [members_folder(path) for _, _, path in self._places_of(made)]
        sources = functools.cache(lambda: self._sources_of(found.get(self.root, ())))  # hardly ever asked for
        for reading in readings:
            assert reading.reader is not None
            among = explained.get(reading, ())
            made_here = made | {EMPTY} if makers else made
            taken = [maker for maker in among if maker.digest in made_here and (not makers or maker.key in makers)]
            self._note_taken(reading, taken)
            if taken:
                jobs.add(reading.reader.key)
            elif not makers and reading.digest in related:
                one = related[reading.digest]
                if one.has_root or (one.lies_in(folders, reading) and (
                        not among or any(maker.key in sources() for maker in among))):
                    self.members[self.root, reading.digest] = None
                    jobs.add(reading.reader.key)
        return jobs

    def _sources_of(self, read: Sequence[Any]) -> set[int]:
        """The jobs that wrote the parts of the root, a dataset that none wrote as such, for those that read it."""
        readings = [reading_of(row) for row in read[:PLACES_LOOKED_AT] if row.kind == Kind.DATASET]
        return {maker.key for makers in self.makers.of(readings).values() for maker in makers
                if maker.digest != self.root}

    def _readings_of(self, digests: list[bytes], maker: int) -> list[Reading]:
        """What jobs read of these, the newest and the first ones after `maker`, as many as may be walked."""
        rows: dict[tuple[int, bytes, str], Any] = {}
        for after in (None, maker):
            readers = readers_of(self.connection, self.viewer, digests, limit=self.most_jobs + 1, after=after)
            rows.update(((row.job_id, digest, row.path), row) for digest, some in readers.items() for row in some)
            if all(len(some) <= self.most_jobs for some in readers.values()):
                break
            self.truncated = True
        most = READINGS_FOR_EACH_JOB * self.most_jobs
        self.truncated |= len(rows) > most
        return [reading_of(rows[key]) for key in sorted(rows, reverse=True)[:most]]

    def _readings_of_empty(self, written: Iterable[tuple[bytes, str, Kind]]) -> list[Reading]:
        """What jobs read of empty files that were written in a session at a path, also within a dataset."""
        places: dict[bytes, set[str]] = defaultdict(set)
        for session, path, kind in written:
            places[session] |= {path, members_folder(path)} if kind is Kind.DATASET else {path}
        return [reading_of(row) for session, some in places.items()
                for row in self.makers.readers_of_empty(session, some)]

    def _related(self, made: set[bytes]) -> dict[bytes, _Related]:
        """What has one of these in it, is part of one, or shares files with one."""
        level = sorted(digest for digest in made if self.kinds.get(digest) is not Kind.FILE)
        found: dict[bytes, _Related] = defaultdict(_Related)
        shared: dict[bytes, dict[bytes, str]] = {}
        for digest, row in self._wholes(sorted(key for key in made if self.kinds.get(key) is not Kind.DATASET)):
            found[row.dataset].has_root |= digest == self.root
        for digest, row in first_members(self.viewer, MEMBERS_COMPARED).rows(self.connection, level):
            shared.setdefault(row.digest, {})[digest] = row.path
        for digest, row in wholes_of(self.viewer, WHOLES_LOOKED_AT).rows(self.connection, sorted(shared)):
            if row.dataset not in made:
                there = shared[digest].get(self.root)
                found[row.dataset].places += [] if there is None else [(there, row.path)]
        for digest, session, path in self._places_of(made):
            for both in self.makers.shared(digest, self.makers.around(session, digest, path, read=True)):
                found[both.other].places += [(both.path, both.other_path)] if digest == self.root else []
        for digest, row in members_used(self.viewer, read=True).rows(self.connection, level):
            found[row.digest].places += [(row.path, "")] if digest == self.root else []
        return {digest: one for digest, one in found.items() if digest not in made}

    def _wholes(self, digests: list[bytes]) -> list[tuple[bytes, Any]]:
        """Files with the datasets that they are in."""
        new = [digest for digest in digests if digest not in self.wholes]
        self.wholes.update((digest, []) for digest in new)
        for digest, row in wholes_of(self.viewer, WHOLES_WALKED).rows(self.connection, new):
            self.wholes[digest].append(row)
        self.makers.learn_wholes({digest: self.wholes[digest] for digest in new})
        self.truncated |= any(len(self.wholes[digest]) >= WHOLES_WALKED for digest in digests)
        return [(digest, row) for digest in digests for row in self.wholes[digest]]

    def _places_of(self, made: set[bytes]) -> list[tuple[bytes, bytes, str]]:
        """Digest, session and path of datasets among these, as far as they are known."""
        if self.root in made and self.kinds.get(self.root) is not Kind.FILE and not self.root_noted:
            self.root_noted = True
            rows = uses_of(self.viewer, PLACES_LOOKED_AT, empty_too=True).rows(self.connection, [self.root])
            self.places.update(((self.root, row.session, row.path), None) for _, row in rows
                               if row.kind == Kind.DATASET)
        return [place for place in self.places if place[0] in made]

    def _uses_of(self, jobs: set[int]) -> list[_Use]:
        """Everything these jobs read and wrote, noted as edges."""
        room = FILES_PER_JOB * self.most_jobs
        readers: dict[int, Reader] = {}
        found = []
        for number, (job_id, row) in enumerate(_uses_with_jobs(room).rows(self.connection, sorted(jobs)), 1):
            role, kind, digest, path, size = _ROLES[row.role], _KINDS[row.kind], row.digest, row.path, row.size
            self.kinds[digest] = kind
            key = node_key(digest, path, size)
            self.artifacts[key] = ArtifactNode(digest, path, kind, size, row.files)
            _note_edge(self.edges, (job_id, key, role), path)
            reader = readers.get(job_id) or readers.setdefault(job_id, reader_of(row))
            found.append(_Use(role, Reading(reader, digest, path, kind, row.files, size=size,
                                            since=row.unchanged_since)))
            if kind is Kind.DATASET and role is not Role.INPUT:
                self.places[digest, row.session, path] = None
            if number == room:
                self.truncated = True
                break
        return found

    def _around(self, digests: Sequence[bytes], way: Direction) -> dict[bytes, list[Any]]:
        """The newest jobs that wrote (`up`) or read (`down`) each, as many as may be walked."""
        found: dict[bytes, list[Any]] = {}
        query = uses_of(self.viewer, self.most_jobs + 1, read=way is Direction.DOWN, empty_too=self.root in digests)
        for part in in_parts(digests):
            for digest, row in query.rows(self.connection, part):
                self.kinds[digest] = _KINDS[row.kind]
                found.setdefault(digest, []).append(row)
        return found
