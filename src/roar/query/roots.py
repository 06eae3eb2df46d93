"""The root inputs of a graph: what its jobs read and none of them made."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from roar.model import Kind, members_folder
from roar.query.jobs import iter_members
from roar.query.lineage import Direction, Lineage, load_lineage, written_meanwhile
from roar.query.parts import Files, Writings
from roar.query.references import (
    ArtifactReference,
    FolderReference,
    JobReference,
    Reference,
    SessionReference,
    TrackerRunReference,
)
from roar.query.sessions import session_job_ids
from roar.query.within import find_around, find_beginners, load_given
from roar.record.dependencies import Maker, content_below, makers_at
from roar.wire import DatasetMember

_FEW = 20
"""Up to so many files of a dataset that was made without them are root inputs of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One root input.

    Attributes:
        path, digest, size, kind, files, note: as in FileUse.
        used_by: uids of the jobs that read it.
        made_by: uid of the recorded job that made it: one outside the graph, or one in it that made it elsewhere; None
            where nothing recorded did.
        members: of a dataset that jobs in the graph made without some of its files, the names of these; else none.
        meanwhile: uid of a job that wrote there while this was read, and has not left that, if there is one.
    """

    path: str
    digest: str | None
    size: int | None
    kind: Kind
    files: int | None
    note: str | None
    used_by: tuple[str, ...]
    made_by: str | None
    members: tuple[str, ...] = ()
    meanwhile: str | None = None


def members_of(database: sqlite3.Connection, root: Root) -> Iterator[DatasetMember]:
    """The files of a dataset that are the root input: all, or those that the jobs of the graph do not make."""
    row = database.execute("SELECT id FROM artifact WHERE digest = ?", (bytes.fromhex(root.digest or ""),)).fetchone()
    wanted = set(root.members)
    for member in iter_members(database, row[0]):
        if not wanted or member.path in wanted:
            yield member


def jobs_behind(database: sqlite3.Connection, found: Reference | FolderReference, *, given: bool = False,
                links: bool = True) -> list[int]:
    """The rows of the jobs of a session, or of those that led to an artifact, a job, a tracker run or a folder.

    given, links: as in `load_lineage`.
    """
    if isinstance(found, SessionReference):
        return session_job_ids(database, found.row_id)
    if isinstance(found, TrackerRunReference):
        jobs: set[int] = set()
        for job_id in found.job_ids:
            jobs.update(_behind(database, JobReference(job_id, ""), given=given, links=links))
        return sorted(jobs)
    return _behind(database, found, given=given, links=links)


def _behind(database: sqlite3.Connection, found: ArtifactReference | JobReference | FolderReference, *, given: bool,
            links: bool) -> list[int]:
    return [hop.job.row_id for hop in load_lineage(database, found, direction=Direction.UP, given=given,
                                                       links=links).hops]


def makers_of(database: sqlite3.Connection, found: Reference | FolderReference) -> list[int]:
    """The rows of the jobs that made something, or that it stands for; none for a session."""
    if isinstance(found, SessionReference):
        return []
    if isinstance(found, TrackerRunReference):
        return list(found.job_ids)
    if isinstance(found, JobReference):
        return [found.row_id]
    return [hop.job.row_id for hop in load_lineage(database, found, direction=Direction.UP, depth=1).hops]


def find_roots(database: sqlite3.Connection, job_ids: Sequence[int], *, copies: bool = False) -> list[Root]:
    """The root inputs of the graph that these jobs form, sorted by path.

    With `copies` also what they read where none of them wrote it, though one of them made it elsewhere, or did not
    leave it: nothing that is recorded brought it to where it was read.
    """
    roots: dict[tuple[str, str | None, str | None], Root] = {}
    graph = _Graph(database, job_ids, copies=copies)
    for job_id in job_ids:
        for root in graph.roots_of(job_id):
            key = root.path, root.digest, root.made_by if root.members else None
            known = roots.get(key)
            roots[key] = root if known is None else _joined(known, root)
    return [roots[key] for key in sorted(roots, key=lambda key: (key[0], key[1] or "", key[2] or ""))]


def find_foreign(database: sqlite3.Connection, lineage: Lineage) -> dict[tuple[str, str], list[str]]:
    """By job and dataset that it read on the way up, the files in it that no recorded job made, though others were.

    The job is given by its uid, the dataset by its path, the files by theirs.
    """
    hops = [hop for hop in lineage.hops if hop.distance > 0]
    wanted = {hop.job.uid: paths for hop in hops if (paths := {
        source.artifact.path for source in hop.sources if source.makers and source.artifact.files is not None})}
    if not wanted:
        return {}
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for root in find_roots(database, [hop.job.row_id for hop in hops]):
        readings = [(uid, path) for uid in root.used_by for path in wanted.get(uid, ())]
        for uid, path in readings if root.made_by is None else ():
            if root.path == path:
                found[uid, path] += (members_folder(path) + name for name in root.members)
            elif root.kind is Kind.FILE and root.path.startswith(members_folder(path)):
                found[uid, path].append(root.path)
    return found


def _joined(one: Root, other: Root) -> Root:
    members = sorted({*one.members, *other.members}) if one.members and other.members else ()
    return replace(one, used_by=tuple(dict.fromkeys((*one.used_by, *other.used_by))), members=tuple(members),
                   made_by=one.made_by or other.made_by, meanwhile=one.meanwhile or other.meanwhile)


class _Graph:
    """Some jobs, and what they read."""

    def __init__(self, database: sqlite3.Connection, job_ids: Collection[int], *, copies: bool) -> None:
        self._database = database
        self._inside = set(job_ids)
        self._copies = copies
        self._writings = Writings(database)
        self._gifts: dict[int, set[tuple[str, int | None]]] = {}
        self._known: dict[tuple[str, int, tuple[Maker, ...]], list[Root]] = {}

    def roots_of(self, job_id: int) -> Iterator[Root]:
        """The root inputs among what one of the jobs read."""
        makers: dict[int, list[tuple[Maker, str]]] = {}
        for artifact_id, started_at, *maker in self._database.execute(
                "SELECT artifact_id, started_at, producer_id, produced_id FROM dependency"
                " JOIN job ON job.id = producer_id WHERE consumer_id = ? ORDER BY producer_id DESC",
                (job_id,)).fetchall():
            makers.setdefault(artifact_id, []).append((Maker(*maker), started_at))
        rows = self._database.execute(
            "SELECT path.path, artifact_id, digest, coalesce(artifact.size, used.size),"
            " coalesce(artifact.files, used.files), used.note, used.unchanged_since FROM file_read AS used"
            " JOIN path ON path.id = used.path_id LEFT JOIN artifact ON artifact.id = used.artifact_id"
            " WHERE used.job_id = ? ORDER BY used.ordinal", (job_id,)).fetchall()
        for path, artifact_id, digest, size, files, note, since in rows:
            root = Root(path=path, digest=None if digest is None else digest.hex(), size=size, files=files, note=note,
                        kind=Kind.FILE if files is None else Kind.DATASET, used_by=(self._uid(job_id),), made_by=None)
            found = [maker for maker, started_at in makers.get(artifact_id, ())  # others made it for another path
                     if since is None or started_at <= since or self._writings.is_at(maker, path)]
            if not found and (path, artifact_id) in self._given_to(job_id):
                continue
            if not found:
                yield replace(root, meanwhile=written_meanwhile(self._database, job_id, path, since))
            elif self._is_made_whole(root, artifact_id, found):
                if self._inside.isdisjoint(maker.job_id for maker in found) and not (
                        self._ran(job_id, found[0].job_id)):
                    yield replace(root, made_by=self._uid(found[0].job_id))
            else:
                for part in self._parts(job_id, root, artifact_id, found):
                    yield replace(part, used_by=root.used_by)

    def _ran(self, job_id: int, maker_id: int) -> bool:
        """Whether a job ran the one that made what it read: what came of that is not asked for where that is not."""
        return job_id in find_around(self._database, maker_id)

    def _given_to(self, job_id: int) -> set[tuple[str, int | None]]:
        """What other jobs of the graph gave to one of it, by path and artifact; with `copies` that is nothing."""
        if job_id not in self._gifts:
            begun = {} if self._copies else find_beginners(self._database, job_id)
            self._gifts[job_id] = {(path, None) for path, outer in begun.items() if outer in self._inside}
            self._gifts[job_id] |= set() if self._copies else {
                (self._database.execute("SELECT path FROM path WHERE id = ?", (given.path,)).fetchone()[0], artifact)
                for given, artifact in load_given(self._database, [job_id]).items() if given.outer in self._inside}
        return self._gifts[job_id]

    def _is_made_whole(self, root: Root, artifact_id: int, makers: Sequence[Maker]) -> bool:
        """Whether one of the jobs made all of it; with `copies` in that very place."""
        if self._copies:
            return any(root.path in self._writings.paths(maker) for maker in makers
                       if maker.artifact_id == artifact_id)
        return root.kind is Kind.FILE or any(maker.artifact_id == artifact_id for maker in makers)

    def _parts(self, job_id: int, root: Root, artifact_id: int, makers: Sequence[Maker]) -> list[Root]:
        """The files of an input that no job in the graph made, or not in that place.

        They are the same for all that read it from the same jobs, unless there are empty files: who made these is not
        among the dependencies.
        """
        key = root.path, artifact_id, tuple(makers)
        if key in self._known:
            return self._known[key]
        folder = members_folder(root.path) if root.kind is Kind.DATASET else root.path[:root.path.rfind("/") + 1]
        files = content_below(self._database, artifact_id, root.path, folder)
        parts: list[Root] = []
        for maker_id, left in self._left(job_id, folder, files, makers).items():
            made = replace(root, made_by=None if maker_id is None else self._uid(maker_id))
            if left == files:
                parts.append(made)
            elif left:
                parts += self._some(made, folder, {name for name, _ in left})
        if not self._empty(files):
            self._known[key] = parts
        return parts

    def _left(self, job_id: int, folder: str, files: Files, makers: Sequence[Maker]) -> dict[int | None, Files]:
        """Of files in a folder those that no job in the graph made there, by who made them.

        As for dependencies, who wrote a file there comes first, and an empty file is made only where it was written.
        """
        open_files = set(files)
        left: dict[int | None, Files] = {}
        for maker in makers:
            here = open_files & self._writings.below(maker, folder)
            open_files -= here
            if maker.job_id not in self._inside:
                left.setdefault(maker.job_id, set()).update(here)
        for name, artifact_id in self._empty(open_files):
            at_path = makers_at(self._database, artifact_id, folder + name)
            if at_path and at_path[0].job_id < job_id:
                open_files.remove((name, artifact_id))
                if at_path[0].job_id not in self._inside:
                    left.setdefault(at_path[0].job_id, set()).add((name, artifact_id))
        solid = open_files - self._empty(open_files)
        for maker in makers if solid else ():
            elsewhere = self._writings.anywhere(maker, solid)
            solid -= elsewhere
            open_files -= elsewhere
            if self._copies or maker.job_id not in self._inside:
                left.setdefault(maker.job_id, set()).update(elsewhere)
        return left | {None: open_files}

    def _some(self, root: Root, folder: str, names: set[str]) -> Iterator[Root]:
        """Some files of a dataset: by themselves where they are few, else as a part of it."""
        some = replace(root, members=tuple(sorted(names)), note=f"{len(names):,} of its {root.files or 0:,} files"
                       + (" were made by no recorded job" if root.made_by is None else ""))
        if len(names) > _FEW:
            yield some
            return
        for member in members_of(self._database, some):
            yield replace(root, path=folder + member.path, digest=member.digest, size=member.size, kind=Kind.FILE,
                          files=None, note=None)

    def _empty(self, files: Files) -> Files:
        rows = self._database.execute(
            "SELECT id FROM artifact WHERE id IN (SELECT value FROM json_each(?)) AND size = 0",
            (json.dumps([artifact_id for _, artifact_id in files]),))
        ids = {artifact_id for (artifact_id,) in rows}
        return {file for file in files if file[1] in ids}

    def _uid(self, job_id: int) -> str:
        uid: str = self._database.execute("SELECT uid FROM job WHERE id = ?", (job_id,)).fetchone()[0]
        return uid
