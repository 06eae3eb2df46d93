"""Walking the graph from an artifact or a job: up to what it was made from, down to what was made of it."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from roar.model import Kind
from roar.query.graph import Graph, GraphArtifact, GraphEdge, iter_graph_uses
from roar.query.history import JobLine, load_lines
from roar.query.references import ArtifactReference, JobReference
from roar.record.database import encoded
from roar.record.roles import INPUT


class Direction(StrEnum):
    """Which way to walk."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input of a job in a lineage, and the jobs (uids) that made it: none where nothing recorded did."""

    artifact: GraphArtifact
    makers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A job on the walk. `distance` counts jobs from the root; it is negative downwards.

    Attributes:
        sources: up: everything it read; down: what it read that lies on the walk.
        outputs: up: what it wrote that lies on the walk; down: everything it wrote.
    """

    job: JobLine
    distance: int
    sources: tuple[Source, ...]
    outputs: tuple[GraphArtifact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What lies around an artifact or a job.

    Attributes:
        root: digest of the artifact, or uid of the job.
        hops: upwards first, nearest first; then downwards.
        graph: the same as jobs, artifacts and edges.
        same_content: uids of other jobs that wrote the same content as the root; the walk takes the last one.
        cut: whether the walk ended at `depth` although there is more.
    """

    root: str
    hops: tuple[Hop, ...]
    graph: Graph
    same_content: tuple[str, ...] = ()
    cut: bool = False


def load_lineage(database: sqlite3.Connection, root: ArtifactReference | JobReference, *,
                 direction: Direction = Direction.UP, depth: int | None = None) -> Lineage:
    """The lineage of `root`, at most `depth` jobs far each way (None: all of it)."""
    walk = _Walk(database, depth)
    same_content: tuple[str, ...] = ()
    if isinstance(root, JobReference):
        ups, downs = [root.row_id], [root.row_id]
        walk.root_name = root.uid
    else:
        ups, others = _makers(database, root.row_id, root.path)
        same_content = tuple(walk.uid(job) for job in others)
        downs = _readers(database, root.row_id)
        walk.root_name = root.digest
        walk.add_root(root.row_id, root.path)
    if direction is not Direction.DOWN:
        walk.up(ups)
    if direction is not Direction.UP:
        walk.down(downs)
    hops = walk.hops()
    return Lineage(root=walk.root_name, hops=tuple(hops), graph=walk.graph(hops), same_content=same_content,
                   cut=walk.cut)


class _Walk:
    """Breadth first over the jobs; `distance` remembers each job's first visit."""

    def __init__(self, database: sqlite3.Connection, depth: int | None) -> None:
        self._database = database
        self._depth = depth
        self._uids: dict[int, str] = {}
        self._uses: dict[int, list[tuple[int, int, GraphArtifact]]] = {}
        self._root: GraphArtifact | None = None
        self._root_id: int | None = None
        self.root_name = ""
        self.distance: dict[int, int] = {}
        self.taken: dict[int, set[tuple[int, int, int]]] = {}  # consumer → (artifact, producer, produced)
        self.cut = False

    def add_root(self, artifact_id: int, path: str | None) -> None:
        self._root_id = artifact_id
        digest, size, files, last_path = self._database.execute(
            "SELECT digest, size, files, (SELECT path.path FROM path WHERE path.id = coalesce("
            " (SELECT path_id FROM file_written WHERE artifact_id = artifact.id ORDER BY job_id DESC LIMIT 1),"
            " (SELECT path_id FROM file_read WHERE artifact_id = artifact.id ORDER BY job_id DESC LIMIT 1)))"
            " FROM artifact WHERE id = ?", (artifact_id,)).fetchone()
        self._root = _artifact(digest, size, files, path or last_path)

    def uid(self, job_id: int) -> str:
        if job_id not in self._uids:
            row = self._database.execute("SELECT uid FROM job WHERE id = ?", (job_id,)).fetchone()
            self._uids[job_id] = row[0]
        return self._uids[job_id]

    def up(self, start: Iterable[int]) -> None:
        self._run(start, 1, self._producers)

    def down(self, start: Iterable[int]) -> None:
        self._run(start, -1, self._consumers)

    def _run(self, start: Iterable[int], sign: int, following: Callable[[int], list[int]]) -> None:
        level = list(dict.fromkeys(start))
        distance = sign
        seen: set[int] = set()
        while level:
            if self._depth is not None and abs(distance) > self._depth:
                self.cut = True
                return
            for job_id in level:
                self.distance.setdefault(job_id, distance)
            seen.update(level)
            level = [job for job in dict.fromkeys(other for job_id in level for other in following(job_id))
                     if job not in seen]
            distance += sign

    def _producers(self, job_id: int) -> list[int]:
        rows = self._database.execute(
            "SELECT artifact_id, producer_id, produced_id FROM dependency WHERE consumer_id = ?", (job_id,)).fetchall()
        self.taken.setdefault(job_id, set()).update(rows)
        return [producer_id for _, producer_id, _ in rows]

    def _consumers(self, job_id: int) -> list[int]:
        rows = self._database.execute(
            "SELECT consumer_id, artifact_id, produced_id FROM dependency WHERE producer_id = ?", (job_id,)).fetchall()
        for consumer_id, artifact_id, produced_id in rows:
            self.taken.setdefault(consumer_id, set()).add((artifact_id, job_id, produced_id))
        return [consumer_id for consumer_id, _, _ in rows]

    def uses(self, job_id: int) -> list[tuple[int, int, GraphArtifact]]:
        if job_id not in self._uses:
            self._uses[job_id] = iter_graph_uses(self._database, job_id)
        return self._uses[job_id]

    def hops(self) -> list[Hop]:
        order = sorted(self.distance, key=lambda job_id: (self.distance[job_id] < 0, abs(self.distance[job_id]),
                                                          -job_id))
        lines = load_lines(self._database, order)
        wanted = {produced for taken in self.taken.values() for _, _, produced in taken}
        if self._root_id is not None:
            wanted.add(self._root_id)
        return [self._hop(line, wanted) for line in lines]

    def _hop(self, line: JobLine, wanted: set[int]) -> Hop:
        upwards = self.distance[line.row_id] > 0
        makers: dict[int, list[str]] = {}
        for artifact_id, producer_id, _ in sorted(self.taken.get(line.row_id, ())):
            makers.setdefault(artifact_id, []).append(self.uid(producer_id))
        inputs = [(row_id, artifact) for row_id, role, artifact in self.uses(line.row_id) if role == INPUT]
        outputs = [(row_id, artifact) for row_id, role, artifact in self.uses(line.row_id) if role != INPUT]
        return Hop(job=line, distance=self.distance[line.row_id],
                   sources=tuple(Source(artifact=artifact, makers=tuple(makers.get(row_id, ())))
                                 for row_id, artifact in inputs
                                 if upwards or row_id in makers or row_id == self._root_id),
                   outputs=tuple(artifact for row_id, artifact in outputs if not upwards or row_id in wanted))

    def graph(self, hops: Iterable[Hop]) -> Graph:
        artifacts: dict[str, GraphArtifact] = {} if self._root is None else {self._root.digest: self._root}
        edges: dict[GraphEdge, None] = {}
        for hop in hops:
            for source in hop.sources:
                artifacts.setdefault(source.artifact.digest, source.artifact)
                edges[GraphEdge(source=source.artifact.digest, target=hop.job.uid, role="input")] = None
            for artifact in hop.outputs:
                artifacts.setdefault(artifact.digest, artifact)
                edges[GraphEdge(source=hop.job.uid, target=artifact.digest, role="output")] = None
        for edge in self._member_edges():
            edges[edge] = None
        return Graph(jobs=tuple(hop.job for hop in hops), artifacts=tuple(artifacts.values()), edges=tuple(edges))

    def _member_edges(self) -> list[GraphEdge]:
        digests = {row_id: artifact.digest for job_id in self.distance for row_id, _, artifact in self.uses(job_id)}
        pairs = {(produced, read) for consumer, taken in self.taken.items() if consumer in self.distance
                 for read, producer, produced in taken if produced != read and producer in self.distance}
        return [GraphEdge(source=digests[produced], target=digests[read], role="member")
                for produced, read in sorted(pairs)]


def _artifact(digest: bytes, size: int, files: int | None, path: str | None) -> GraphArtifact:
    return GraphArtifact(digest=digest.hex(), size=size, files=files, path=path or "",
                         kind=Kind.FILE if files is None else Kind.DATASET)


def find_maker(database: sqlite3.Connection, artifact: ArtifactReference) -> int | None:
    """The row of the last job that wrote the artifact: under the path that it was named by, if one did."""
    return next(iter(_writers(database, artifact.row_id, artifact.path)), None)


def _writers(database: sqlite3.Connection, artifact_id: int, path: str | None) -> list[int]:
    """The jobs that wrote the very content, the last one first, but those that wrote it to `path` before all others.

    A copy of a file is not what the file was made by.
    """
    return [row[0] for row in database.execute(
        "SELECT job_id FROM file_written JOIN path ON path.id = path_id WHERE artifact_id = ?"
        " GROUP BY job_id ORDER BY max(path IS CAST(? AS TEXT)) DESC, job_id DESC",
        (artifact_id, None if path is None else encoded(path)))]


def _makers(database: sqlite3.Connection, artifact_id: int, path: str | None) -> tuple[list[int], list[int]]:
    """The jobs to walk up from, and those besides that wrote the very same content."""
    direct = _writers(database, artifact_id, path)
    if direct:
        return direct[:1], sorted(direct[1:], reverse=True)
    writers = database.execute(
        "SELECT max(job_id) FROM file_written WHERE artifact_id IN"
        " (SELECT dataset_id FROM dataset_member WHERE artifact_id = :artifact"
        "  UNION SELECT other_id FROM shared_content WHERE dataset_id = :artifact"
        "  UNION SELECT dataset_id FROM shared_content WHERE other_id = :artifact)"
        " GROUP BY artifact_id ORDER BY 1 DESC", {"artifact": artifact_id}).fetchall()
    is_file = database.execute("SELECT files IS NULL FROM artifact WHERE id = ?", (artifact_id,)).fetchone()[0]
    return [row[0] for row in (writers[:1] if is_file else writers)], []


def _readers(database: sqlite3.Connection, artifact_id: int) -> list[int]:
    """The jobs that read the artifact, by itself or within a dataset."""
    return [row[0] for row in database.execute(
        "SELECT job_id FROM file_read WHERE artifact_id = :artifact"
        " UNION SELECT job_id FROM file_read WHERE artifact_id IN"
        " (SELECT dataset_id FROM dataset_member WHERE artifact_id = :artifact) ORDER BY 1",
        {"artifact": artifact_id})]
