"""Walking the graph from an artifact or a job: up to what it was made from, down to what was made of it."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from roar.model import is_around, members_folder
from roar.query.folders import load_parts
from roar.query.graph import Graph, GraphArtifact, GraphEdge, graph_artifact, iter_graph_uses
from roar.query.history import JobLine, load_lines
from roar.query.parts import READ_AT, WRITTEN_AT, uses_of_parts
from roar.query.pointed import Pointed, load_pointed, load_pointed_by
from roar.query.references import ArtifactReference, FolderReference, JobReference, TrackerRunReference
from roar.query.within import (
    Given,
    find_around,
    find_beginners,
    has_inner,
    load_given,
    load_given_by,
    load_printed,
    load_takers,
)
from roar.record.database import encoded
from roar.record.dependencies import MARGIN, Maker, makers_at
from roar.record.roles import INPUT, OUTPUT


class Direction(StrEnum):
    """Which way to walk."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input of a job in a lineage, and the jobs (uids) that made it: none where nothing recorded did.

    Then `meanwhile` is the uid of one that wrote there while it was read, if there is any.
    """

    artifact: GraphArtifact
    makers: tuple[str, ...] = ()
    meanwhile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symlink through which a job found what it read, `path` of several `links`; the job (uid) that made them."""

    path: str
    target: str
    links: int
    maker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A job on the walk. `distance` counts jobs from the root; it is negative downwards.

    Attributes:
        sources: up: everything it read, but not what it only read later than what is asked about lay there; down: what
            it read that lies on the walk.
        outputs: up: what it wrote that lies on the walk; down: everything it wrote.
        unknown: up: path and note of what it read whose content is not known.
        printed: uids of the jobs that it ran, and of which it took by a pipe what they printed.
        links: up: symlinks through which it found what it read, of jobs that wrote nothing of that; down: likewise,
            of jobs that lie on the walk.
    """

    job: JobLine
    distance: int
    sources: tuple[Source, ...]
    outputs: tuple[GraphArtifact, ...]
    unknown: tuple[tuple[str, str | None], ...] = ()
    printed: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What lies around an artifact, a job or a folder.

    Attributes:
        root: digest of the artifact, uid of the job, or path of the folder.
        hops: upwards first, nearest first; then downwards.
        graph: the same as jobs, artifacts and edges.
        own: uids of the jobs that the root is itself, or that wrote to it where it is a tracker run.
        same_content: uids of other jobs that wrote the same content as the root; the walk takes the last one.
        cut: whether the walk ended at `depth` although there is more.
        folder_cut: whether the folder has more in it than was taken.
    """

    root: str
    hops: tuple[Hop, ...]
    graph: Graph
    own: tuple[str, ...] = ()
    same_content: tuple[str, ...] = ()
    cut: bool = False
    folder_cut: bool = False


def load_lineage(database: sqlite3.Connection,
                 root: ArtifactReference | JobReference | FolderReference | TrackerRunReference, *,
                 direction: Direction = Direction.UP, depth: int | None = None, given: bool = False,
                 links: bool = True) -> Lineage:
    """The lineage of `root`, at most `depth` jobs far each way (None: all of it).

    With `given` also between a job and one that ran it, by what that had put there for it and has not left; without
    `links` not between one that made symlinks and those that found other files through them.

    A job that ran others goes on meanwhile: what lay there when one of them began did not come from that one.
    """
    walk = _Walk(database, depth, given=given, links=links)
    same_content: tuple[str, ...] = ()
    own: list[int] = []
    folder_cut = False
    if isinstance(root, JobReference):
        ups = downs = own = [root.row_id]
        walk.root_name = root.uid
    elif isinstance(root, TrackerRunReference):
        ups = downs = own = list(reversed(root.job_ids))
        walk.root_name = root.url or ""
    elif isinstance(root, FolderReference):
        parts = load_parts(database, root.path, root.place)
        ups, downs = (sorted({link.job_id for link in links}, reverse=True) for links in (parts.makers, parts.readers))
        walk.root_name = root.path
        walk.add_roots(parts.artifacts, made_as={(link.artifact_id, link.part_id) for link in parts.makers},
                       read_as={(link.artifact_id, link.part_id) for link in parts.readers})
        folder_cut = parts.cut
    else:
        makers = _makers(database, root.row_id, root.path)
        ups = [maker.job_id for maker in makers]
        same_content = tuple(walk.uid(job_id) for job_id in _wrote(database, root) if job_id not in ups)
        readers = _readers(database, root)
        downs = sorted({job_id for job_id, _ in readers})
        walk.root_name = root.digest
        walk.add_root(root.row_id, root.path, made_as={maker.artifact_id for maker in makers},
                      read_as={artifact_id for _, artifact_id in readers})
    artifact_id = root.row_id if isinstance(root, ArtifactReference) else None
    if direction is not Direction.DOWN:
        walk.up(ups, artifact_id)
    if direction is not Direction.UP:
        walk.down(downs, () if artifact_id is None else ups)
    hops = walk.hops()
    return Lineage(root=walk.root_name, hops=tuple(hops), graph=walk.graph(hops),
                   own=tuple(map(walk.uid, own)), same_content=same_content, cut=walk.cut,
                   folder_cut=folder_cut)


def written_meanwhile(database: sqlite3.Connection, reader_id: int, path: str, since: str | None = None) -> str | None:
    """The last job that wrote at a path while another one read there what nothing recorded made: its uid.

    What it wrote in between is not known, only what it left; where that is nothing, it is one that ran the reader. Not
    a job that started after what was read had lain there unchanged `since` some time.
    """
    row = database.execute(_WRITTEN_MEANWHILE, {"reader": reader_id, "path": encoded(path), "since": since}).fetchone()
    return None if row is None else row[0]


_WRITTEN_MEANWHILE = """
SELECT * FROM (SELECT job.uid FROM path CROSS JOIN file_written AS made ON made.path_id = path.id
JOIN job ON job.id = made.job_id JOIN job AS reader ON reader.id = :reader
WHERE path.path = CAST(:path AS TEXT) AND job.id <> reader.id
AND job.started_at < reader.ended_at AND job.ended_at > reader.started_at
AND (:since IS NULL OR job.started_at <= :since) ORDER BY job.id DESC LIMIT 1)
UNION ALL SELECT around.uid FROM job AS reader CROSS JOIN inner_job USING (uid)
CROSS JOIN job AS around ON around.uid = outer CROSS JOIN given_file ON given_file.job_id = around.id
    AND given_file.path = CAST(:path AS TEXT)
WHERE reader.id = :reader AND around.started_at <= :since LIMIT 1
"""


class _Step(NamedTuple):
    """A job to go on from; with what of it is asked for: up what was there by a moment, down what was not before."""

    job_id: int
    moment: str | None = None


class _Walk:
    """Breadth first over the jobs; `distance` remembers each job's first visit."""

    def __init__(self, database: sqlite3.Connection, depth: int | None, *, given: bool, links: bool) -> None:
        self._database = database
        self._depth = depth
        self._nested = has_inner(database)
        self._given = given and self._nested
        self._links = links
        self._uids: dict[int, str] = {}
        self._uses: dict[int, list[tuple[int, int, GraphArtifact]]] = {}
        self._roots: Mapping[int, GraphArtifact] = {}
        self._made_as: set[tuple[int, int]] = set()
        self._read_as: set[tuple[int, int]] = set()
        self.root_name = ""
        self.distance: dict[int, int] = {}
        self.taken: dict[int, set[tuple[int, int, int]]] = {}  # consumer → (artifact, producer, produced)
        self._later: dict[int, set[int]] = {}  # by job what it only read later than what is asked about lay there
        self._earlier: dict[int, set[int]] = {}  # by job what it had made before what is asked about was there
        self._printed: dict[int, list[int]] = {}
        self._pointed: dict[int, list[Pointed]] = {}
        self.cut = False

    def add_root(self, artifact_id: int, path: str | None, *, made_as: Iterable[int], read_as: Iterable[int]) -> None:
        """Start at an artifact that jobs made and read as these: as itself, within a dataset, or in parts."""
        digest, size, files, last_path = self._database.execute(
            "SELECT digest, size, files, (SELECT path.path FROM path WHERE path.id = coalesce("
            " (SELECT path_id FROM file_written WHERE artifact_id = artifact.id ORDER BY job_id DESC LIMIT 1),"
            " (SELECT path_id FROM file_read WHERE artifact_id = artifact.id ORDER BY job_id DESC LIMIT 1)))"
            " FROM artifact WHERE id = ?", (artifact_id,)).fetchone()
        self.add_roots({artifact_id: graph_artifact(digest, path or last_path or "", size, files)},
                       made_as={(made, artifact_id) for made in (artifact_id, *made_as)},
                       read_as={(read, artifact_id) for read in (artifact_id, *read_as)})

    def add_roots(self, roots: Mapping[int, GraphArtifact], *, made_as: set[tuple[int, int]],
                  read_as: set[tuple[int, int]]) -> None:
        """Start at several, by row; each pair is what a job made or read, and the root that this is or shares with."""
        self._roots = roots
        self._made_as = made_as
        self._read_as = read_as

    def uid(self, job_id: int) -> str:
        if job_id not in self._uids:
            row = self._database.execute("SELECT uid FROM job WHERE id = ?", (job_id,)).fetchone()
            self._uids[job_id] = row[0]
        return self._uids[job_id]

    def _times(self, job_id: int) -> tuple[str, str]:
        """When a job started and ended."""
        times: tuple[str, str] = self._database.execute("SELECT started_at, ended_at FROM job WHERE id = ?",
                                                        (job_id,)).fetchone()
        return times

    def up(self, start: Iterable[int], artifact: int | None = None) -> None:
        """From jobs, where these made an artifact from when that lay there, as one that they ran found it there."""
        self._run([_Step(job, self._laid_by(job, artifact)) for job in start], 1, self._producers)

    def down(self, start: Iterable[int], makers: Collection[int] = ()) -> None:
        """From jobs; where they ran one of the makers of what they read, that was not there before that."""
        began = {job: min((self._times(maker)[0] for maker in makers if job in find_around(self._database, maker)),
                          default=None) for job in start} if self._nested else dict.fromkeys(start)
        self._run([_Step(job, since) for job, since in began.items()], -1, self._consumers)

    def _laid_by(self, job_id: int, artifact: int | None) -> str | None:
        """When an artifact that a job made certainly lay there, as one that it ran read it; None where none did."""
        if artifact is None or not self._nested:
            return None
        return min((self._found_by(given) for given, of in load_given_by(self._database, job_id).items()
                    if of == artifact), default=None)

    def _run(self, level: list[_Step], sign: int, following: Callable[[_Step], list[_Step]]) -> None:
        distance = sign
        seen: dict[int, str | None] = {}
        while level := self._not_seen(level, seen, sign):
            if self._depth is not None and abs(distance) > self._depth:
                self.cut = self.cut or any(job_id not in self.distance for job_id, _ in level)
                return
            for job_id, _ in level:
                self.distance.setdefault(job_id, distance)
            level = [other for step in level for other in following(step)]
            distance += sign

    @staticmethod
    def _not_seen(steps: Iterable[_Step], seen: dict[int, str | None], sign: int) -> list[_Step]:
        """Each job once, with all that is asked for of it, if that is more than was seen of it."""
        new = {}
        for job_id, moment in steps:
            known = seen.get(job_id, "")
            if known == "" or (known is not None and (
                    moment is None or (moment > known if sign > 0 else moment < known))):
                seen[job_id] = moment
                new[job_id] = _Step(job_id, moment)
        return list(new.values())

    def _producers(self, step: _Step) -> list[_Step]:
        job_id, until = step
        if not self._nested:
            rows = self._database.execute("SELECT artifact_id, producer_id, produced_id FROM dependency"
                                          " WHERE consumer_id = ?", (job_id,)).fetchall()
            self.taken.setdefault(job_id, set()).update(rows)
            return [*(_Step(producer) for _, producer, _ in rows), *self._pointers(job_id)]
        rows = self._database.execute(_PRODUCERS, (job_id,)).fetchall()
        later = self._began_later(job_id, until)
        self._later[job_id] = {artifact for artifact, producer, *_ in rows if producer in later}
        rows = [row for row in rows if row[1] not in later]
        ended_at = self._times(job_id)[1]
        begun = {}
        if self._given:
            rows += [(artifact, given.outer, artifact, self._found_by(given)) for given, artifact in load_given(
                self._database, [job_id]).items()]
            begun = find_beginners(self._database, job_id)
        self._printed[job_id] = [printer for _, printer in load_printed(self._database, [job_id])
                                 if printer not in later]
        self.taken.setdefault(job_id, set()).update(row[:3] for row in rows)
        return [*(_Step(producer, found_by) for _, producer, _, found_by in rows),
                *(_Step(outer, ended_at) for outer in begun.values()), *map(_Step, self._printed[job_id]),
                *self._pointers(job_id, but=later)]

    def _pointers(self, job_id: int, but: Container[int] = ()) -> Iterator[_Step]:
        """Those that made the symlinks through which a job found what it read; some not."""
        found = load_pointed(self._database, [job_id]) if self._links else ()
        self._pointed[job_id] = [pointed for pointed in found if pointed.maker not in but]
        return (_Step(pointed.maker) for pointed in self._pointed[job_id])

    def _began_later(self, job_id: int, until: str | None) -> set[int]:
        """Those of the jobs that one ran that began after a moment."""
        return set() if until is None else {row_id for (row_id,) in self._database.execute(
            _BEGAN_LATER, (job_id, until))}

    def _found_by(self, given: Given) -> str:
        """When what a job was given certainly lay there: before that it was not read.

        That is no later than when the reader began where it may have lain there by then, for all that the clocks tell.
        """
        row = self._database.execute(_FOUND_BY, (given.reader, given.path)).fetchone()
        found_by: str = row[0]
        return found_by

    def _consumers(self, step: _Step) -> list[_Step]:
        job_id, since = step
        if since is not None:
            self._earlier[job_id] = {artifact for given, artifact in load_given_by(self._database, job_id).items()
                                     if self._found_by(given) <= since}
        rows = self._database.execute(_CONSUMERS, {"job": job_id, "since": since}).fetchall()
        if self._given:
            rows += [(given.reader, artifact, artifact) for given, artifact in load_given_by(
                self._database, job_id).items() if since is None or self._found_by(given) > since]
        for consumer_id, artifact_id, produced_id in rows:
            self.taken.setdefault(consumer_id, set()).add((artifact_id, job_id, produced_id))
        pointed = load_pointed_by(self._database, job_id) if self._links else []
        for one in pointed:
            self._pointed.setdefault(one.reader, []).append(one)
        consumers = [*(row[0] for row in rows), *(one.reader for one in pointed)]
        if not self._nested:
            return list(map(_Step, consumers))
        takers = load_takers(self._database, job_id)
        for taker in takers:
            self._printed.setdefault(taker, []).append(job_id)
        around = find_around(self._database, job_id)
        began = self._times(job_id)[0]
        return [_Step(consumer, began if consumer in around else None)
                for consumer in (*consumers, *takers)]

    def uses(self, job_id: int) -> list[tuple[int, int, GraphArtifact]]:
        if job_id not in self._uses:
            self._uses[job_id] = [*iter_graph_uses(self._database, job_id), *self._gave(job_id)]
        return self._uses[job_id]

    def _gave(self, job_id: int) -> Iterator[tuple[int, int, GraphArtifact]]:
        """What a job put there for those that it ran, as its output."""
        for given, artifact in load_given_by(self._database, job_id).items() if self._given else ():
            is_left = self._database.execute(
                "SELECT 1 FROM file_written WHERE job_id = ? AND path_id = ? AND artifact_id = ?",
                (job_id, given.path, artifact)).fetchone()
            if is_left:
                continue
            row = self._database.execute("SELECT digest, path.path, size, files FROM artifact, path"
                                         " WHERE artifact.id = ? AND path.id = ?", (artifact, given.path)).fetchone()
            yield artifact, OUTPUT, graph_artifact(*row)

    def hops(self) -> list[Hop]:
        order = sorted(self.distance, key=lambda job_id: (self.distance[job_id] < 0, abs(self.distance[job_id]),
                                                          -job_id if self.distance[job_id] > 0 else job_id))
        lines = load_lines(self._database, order)
        wanted = {produced for taken in self.taken.values() for _, _, produced in taken}
        wanted.update(made for made, _ in self._made_as)
        read_as = {read for read, _ in self._read_as}
        return [self._hop(line, wanted, read_as) for line in lines]

    def _hop(self, line: JobLine, wanted: set[int], read_as: set[int]) -> Hop:
        upwards = self.distance[line.row_id] > 0
        makers: dict[int, list[tuple[int, int]]] = {}
        for artifact_id, producer_id, produced_id in sorted(self.taken.get(line.row_id, ())):
            makers.setdefault(artifact_id, []).append((producer_id, produced_id))
        inputs = [(row_id, artifact) for row_id, role, artifact in self.uses(line.row_id) if role == INPUT]
        outputs = [(row_id, artifact) for row_id, role, artifact in self.uses(line.row_id) if role != INPUT]
        paths: dict[int, list[str]] = defaultdict(list)
        for row_id, artifact in inputs:
            paths[row_id].append(artifact.path)
        ages = self._ages(line.row_id) if inputs else {}
        return Hop(job=line, distance=self.distance[line.row_id],
                   sources=tuple(self._source(line.row_id, artifact, paths[row_id], makers.get(row_id, ()),
                                              ages.get((row_id, artifact.path)))
                                 for row_id, artifact in inputs
                                 if row_id in makers or (row_id not in self._later.get(line.row_id, ()) if upwards
                                                         else row_id in read_as)),
                   printed=tuple(self.uid(job) for job in dict.fromkeys(self._printed.get(line.row_id, ()))),
                   links=tuple(Link(path=one.path, target=one.text, links=one.links, maker=self.uid(one.maker))
                               for one in dict.fromkeys(self._pointed.get(line.row_id, ()))),
                   outputs=tuple(artifact for row_id, artifact in outputs if (
                       row_id in wanted if upwards else row_id not in self._earlier.get(line.row_id, ()))),
                   unknown=tuple(self._database.execute(_UNKNOWN, (line.row_id,)).fetchall()) if upwards else ())

    def _source(self, job_id: int, artifact: GraphArtifact, paths: Sequence[str], makers: Iterable[tuple[int, int]],
                since: str | None) -> Source:
        """An input of a job, which read the same at all these paths; at this one it lay there unchanged `since`."""
        made_by = self._makers_at(artifact, paths, makers, since)
        return Source(artifact=artifact, makers=made_by, meanwhile=None if made_by else written_meanwhile(
            self._database, job_id, artifact.path, since))

    def _ages(self, job_id: int) -> dict[tuple[int, str], str]:
        """By artifact and path since when what a job read there had lain there unchanged, where that is known."""
        rows = self._database.execute(
            "SELECT artifact_id, path.path, unchanged_since FROM file_read JOIN path ON path.id = path_id"
            " WHERE job_id = ? AND unchanged_since IS NOT NULL", (job_id,)).fetchall()
        return {(artifact_id, path): since for artifact_id, path, since in rows}

    def _makers_at(self, artifact: GraphArtifact, paths: Sequence[str], makers: Iterable[tuple[int, int]],
                   since: str | None) -> tuple[str, ...]:
        """Of those that made what a job read at several paths the ones that made it at the artifact's.

        Those that wrote it there go before those that wrote it elsewhere; what is empty came from no others. Nobody
        made it there who started after `since`.
        """
        all_makers = dict.fromkeys(job_id for job_id, _ in makers)
        chosen = list(all_makers)
        if len(paths) > 1:
            all_makers = dict.fromkeys(job_id for job_id in all_makers
                                       if since is None or self._times(job_id)[0] <= since)
            wrote = {path: [job_id for job_id, produced_id in makers if self._wrote_at(path, job_id, produced_id)]
                     for path in paths}
            chosen = wrote[artifact.path]
            if not chosen and artifact.size:
                there = {job_id for job_ids in wrote.values() for job_id in job_ids}
                chosen = [job_id for job_id in all_makers if job_id not in there] or [
                    job_id for job_id in all_makers if not self._read_at(artifact, job_id)]
        return tuple(map(self.uid, dict.fromkeys(chosen)))

    def _read_at(self, artifact: GraphArtifact, job_id: int) -> bool:
        """Whether a job itself read the same at the same path."""
        return any(role == INPUT and (read.path, read.digest) == (artifact.path, artifact.digest)
                   for _, role, read in self.uses(job_id))

    def _wrote_at(self, path: str, job_id: int, artifact_id: int) -> bool:
        """Whether a job wrote an artifact at a path, around it, or in it."""
        places = [made.path for row_id, role, made in self.uses(job_id) if role != INPUT and row_id == artifact_id]
        return any(is_around(path, place) for place in places)

    def graph(self, hops: Iterable[Hop]) -> Graph:
        artifacts: dict[str, GraphArtifact] = {root.digest: root for root in self._roots.values()}
        edges: dict[GraphEdge, None] = {}
        hops = list(hops)
        there = {hop.job.uid for hop in hops}
        for hop in hops:
            for source in hop.sources:
                artifacts.setdefault(source.artifact.digest, source.artifact)
                edges[GraphEdge(source=source.artifact.digest, target=hop.job.uid, role="input")] = None
            for artifact in hop.outputs:
                artifacts.setdefault(artifact.digest, artifact)
                edges[GraphEdge(source=hop.job.uid, target=artifact.digest, role="output")] = None
            for uid in filter(there.__contains__, hop.printed):
                edges[GraphEdge(source=uid, target=hop.job.uid, role="printed")] = None
            for link in hop.links:
                if link.maker in there:
                    edges[GraphEdge(source=link.maker, target=hop.job.uid, role="linked")] = None
        for edge in self._member_edges():
            edges[edge] = None
        return Graph(jobs=tuple(hop.job for hop in hops), artifacts=tuple(artifacts.values()), edges=tuple(edges))

    def _member_edges(self) -> list[GraphEdge]:
        digests = {row_id: artifact.digest for job_id in self.distance for row_id, _, artifact in self.uses(job_id)}
        pairs = {(produced, read) for consumer, taken in self.taken.items() if consumer in self.distance
                 for read, producer, produced in taken if producer in self.distance}
        digests |= {row_id: root.digest for row_id, root in self._roots.items()}
        pairs.update((made, root) for made, root in self._made_as if made in digests)
        pairs.update((root, read) for read, root in self._read_as if read in digests)
        return [GraphEdge(source=digests[produced], target=digests[read], role="member")
                for produced, read in sorted(pairs) if produced != read]


_FOUND_AT = f"""
CASE WHEN julianday(unchanged_since) - {MARGIN} <= julianday(job.started_at) THEN min(unchanged_since, job.started_at)
ELSE coalesce(unchanged_since, job.ended_at) END
"""
"""When what a job read certainly lay there: at the latest as it began, where that may be as far as clocks tell."""

# What a job took from which others, and by when it certainly lay there.
_PRODUCERS = f"""
SELECT dependency.artifact_id, producer_id, produced_id, (
    SELECT max({_FOUND_AT}) FROM file_read AS used
    WHERE used.job_id = consumer_id AND used.artifact_id = dependency.artifact_id)
FROM dependency JOIN job ON job.id = consumer_id WHERE consumer_id = ?
"""  # noqa: S608  a text of our own

# Who took what from a job, but for what lay there before some moment.
_CONSUMERS = f"""
SELECT consumer_id, dependency.artifact_id, produced_id FROM dependency WHERE producer_id = :job
AND (:since IS NULL OR EXISTS (SELECT 1 FROM file_read AS used JOIN job ON job.id = used.job_id
    WHERE used.job_id = consumer_id AND used.artifact_id = dependency.artifact_id
    AND {_FOUND_AT} > :since))
"""  # noqa: S608  likewise

_BEGAN_LATER = """
SELECT ran.id FROM job AS around JOIN inner_job ON outer = around.uid JOIN job AS ran ON ran.uid = inner_job.uid
WHERE around.id = ? AND ran.started_at >= ?
"""
_FOUND_BY = f"""
SELECT max({_FOUND_AT}) FROM file_read JOIN job ON job.id = job_id WHERE job_id = ? AND path_id = ?
"""  # noqa: S608  likewise

_UNKNOWN = """
SELECT path.path, note FROM file_read JOIN path ON path.id = path_id WHERE job_id = ? AND artifact_id IS NULL
ORDER BY ordinal
"""


def find_maker(database: sqlite3.Connection, artifact: ArtifactReference) -> int | None:
    """The row of the job that made the artifact: the last one, under the path that it was named by if one did."""
    return max((maker.job_id for maker in _makers(database, artifact.row_id, artifact.path)), default=None)


def _makers(database: sqlite3.Connection, artifact_id: int, path: str | None) -> list[Maker]:
    """The jobs to walk up from, each with what it wrote.

    Without a path it is the last job that wrote the content; a job that only made a copy of it did not make it.
    """
    if path is not None:
        return makers_at(database, artifact_id, path)
    wrote = database.execute(_WROTE, {"artifact": artifact_id}).fetchall()
    if wrote:
        read = {job_id for job_id, _ in database.execute(_READ, {"artifact": artifact_id})}
        return [Maker(*next((row for row in wrote if row[0] not in read), wrote[0]))]
    row = database.execute(_LAST_READ_AT, {"artifact": artifact_id}).fetchone()
    return [] if row is None else makers_at(database, artifact_id, row[0])


def _wrote(database: sqlite3.Connection, root: ArtifactReference) -> list[int]:
    """The jobs that wrote the very content, by itself or within a dataset, the last one first."""
    if root.path is not None and _is_empty(database, root.row_id):
        return sorted({job_id for job_id, _ in _uses_at(database, WRITTEN_AT, root.row_id, root.path)}, reverse=True)
    return list(dict.fromkeys(job_id for job_id, _ in database.execute(_WROTE, {"artifact": root.row_id})))


# The jobs that wrote some content, and as what: by itself or within a dataset; the last one first.
_WROTE = """
SELECT job_id, artifact_id FROM file_written WHERE artifact_id = :artifact
UNION SELECT job_id, artifact_id FROM file_written WHERE artifact_id IN
 (SELECT dataset_id FROM dataset_member WHERE artifact_id = :artifact) ORDER BY 1 DESC
"""

# The jobs that read it, by itself or within a dataset.
_READ = """
SELECT job_id, artifact_id FROM file_read WHERE artifact_id = :artifact
UNION SELECT job_id, artifact_id FROM file_read WHERE artifact_id IN
 (SELECT dataset_id FROM dataset_member WHERE artifact_id = :artifact)
"""

_LAST_READ_AT = """
SELECT path.path FROM file_read JOIN path ON path.id = path_id WHERE artifact_id = :artifact
ORDER BY job_id DESC LIMIT 1
"""


def _readers(database: sqlite3.Connection, root: ArtifactReference) -> set[tuple[int, int]]:
    """The jobs that read the artifact, and as what: by itself, within a dataset, or in part.

    Empty files are alike without having to do with each other: one that was named by its path was read only there.
    """
    if root.path is not None and _is_empty(database, root.row_id):
        return _uses_at(database, READ_AT, root.row_id, root.path)
    parts = {(use.job_id, use.artifact_id) for use in uses_of_parts(database, root.row_id)}
    return parts.union(database.execute(_READ, {"artifact": root.row_id}))


def _is_empty(database: sqlite3.Connection, artifact_id: int) -> bool:
    return database.execute("SELECT 1 FROM artifact WHERE id = ? AND size = 0 AND files IS NULL",
                            (artifact_id,)).fetchone() is not None


def _uses_at(database: sqlite3.Connection, uses: str, artifact_id: int, path: str) -> set[tuple[int, int]]:
    """The jobs that used a file at its very path, and as what: by itself or within a dataset.

    Args:
        database: the record.
        uses: asks for the jobs that used an artifact, and where.
        artifact_id: the file.
        path: as recorded.
    """
    found = {(job_id, artifact_id) for job_id, place in database.execute(uses, (artifact_id,)) if place == path}
    for dataset_id, name in database.execute("SELECT dataset_id, path FROM dataset_member WHERE artifact_id = ?",
                                             (artifact_id,)).fetchall():
        if path.endswith(name):
            found.update((job_id, dataset_id) for job_id, place in database.execute(uses, (dataset_id,))
                         if members_folder(place) + name == path)
    return found
