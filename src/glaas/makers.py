"""Which job made what another one read: one rule for job pages, lineage and exports.

A job read what was written last before its end at the path that it read, as a file or within a dataset, by a job of
its own session if one did; else what was written last anywhere, but not by a job that read it there itself, nor by one
that wrote it only to other folders after it, or an earlier job of the reader's session, had found it in that one: it
made, or got, a copy of what was renamed since; nor after
an earlier job of its session found it there, by itself or within a dataset, nor by a job that started after what it
read, or that earlier job, had come to lie there unchanged; elsewhere a file that was written by
itself goes before datasets with it. Of jobs that ran side by side it is the one that ended last. A dataset that no job
wrote as a whole came from those that wrote its members. Empty files are alike without having to do with each other, so
one came only from a job of the same session that wrote it at the very path; so did a dataset of nothing else. That is
the rule of the client's own record, which has one session after the other in one folder; here two people may have
written the same path.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import blake3
from sqlalchemy import BigInteger, Connection, Select, String, bindparam, select, true

from glaas import models
from glaas.access import Viewer, members_are_seen, uses_seen_by, visible
from glaas.db import QUERIES_KEPT, ForEach, in_parts
from glaas.models import Role, path_key
from glaas.times import moment_after
from roar.wire import Kind, folder_of_use, members_folder, shards_path

WRITERS_LOOKED_AT = 20
WHOLES_LOOKED_AT = 50
WHOLES_WALKED = 1000
MEMBERS_TRIED = 50
MEMBERS_USED = 1000
MEMBERS_COMPARED = 5
MEMBERS_SHARED = 5
SESSION_DATASETS = 2000
SESSION_EMPTIES = 2000
NEIGHBOURS = 50
PATH_USES_LOOKED_AT = 100
READS_LOOKED_AT = 100
READERS_APART = 100
REGISTERED_LATER = 2000  # jobs

_ALWAYS = "9999"
LAST = 2**62  # the key of no job
EMPTY = blake3.blake3().digest()


class Reader(NamedTuple):
    """A job that read; `ended_at` is None where that is not known."""

    key: int
    session: bytes
    ended_at: str | None


class Reading(NamedTuple):
    """An artifact at the path where `reader` found it; None where only the artifact is asked for.

    `files` counts the members of a dataset; `whole` is digest and path of the dataset that a file was read within;
    `since` is when it certainly lay there unchanged, where that is known.
    """

    reader: Reader | None
    digest: bytes
    path: str
    kind: Kind
    files: int | None = None
    whole: tuple[bytes, str] | None = None
    size: int | None = None
    since: str | None = None

    @property
    def node(self) -> bytes:
        """What stands for it in a graph."""
        return node_key(self.digest, self.path, self.size)


class Maker(NamedTuple):
    """A job that made what was read: when it ended, its key, and the artifact that it wrote.

    `here` tells whether it wrote that at the very path; `node` stands for the artifact in a graph.
    """

    ended_at: str
    key: int
    digest: bytes
    here: bool
    node: bytes


class _Written(NamedTuple):
    """Some content as a job wrote it: by itself, or within the dataset `digest`, at `path` all the same.

    `ended_at` is when the job started where its end is not known; `node` stands in a graph for what it wrote.
    """

    started_at: str
    ended_at: str
    key: int
    session: bytes
    digest: bytes
    path: str
    node: bytes


class _Place(NamedTuple):
    """Where a job used a file, and the folder that this is about: its own, or that of the dataset it is in."""

    path: str
    folder: str


def node_key(digest: bytes, path: str, size: int | None) -> bytes:
    """What stands for an artifact in a graph: its digest, and of an empty one its path besides.

    Empty ones are alike without having to do with each other.
    """
    return digest + path.encode() if size == 0 else digest


def reading_of(row: Any) -> Reading:
    """What a job read, from a row of a use with `session`, `started_at` and `duration_s` of the job."""
    return Reading(reader_of(row), row.digest, row.path, Kind(row.kind), row.files, size=row.size,
                   since=row.unchanged_since)


def reader_of(row: Any) -> Reader:
    """The reader from a row with `job_id`, `session`, `started_at` and `duration_s`."""
    return Reader(row.job_id, row.session, moment_after(row.started_at, row.duration_s))


def find_makers(connection: Connection, viewer: Viewer, readings: Iterable[Reading]
                ) -> dict[Reading, tuple[Maker, ...]]:
    """The visible jobs that made what was read, for each reading where there are any: several for a dataset alone."""
    return Makers(connection, viewer).of(readings)


def ages_of(connection: Connection, ids: Sequence[int]) -> dict[tuple[int, bytes, str], str]:
    """By job, digest and path of what was read, when it certainly lay there unchanged; where that is known."""
    use = models.file_use.c
    query = select(use.job_id, use.digest, use.path, use.unchanged_since).where(
        use.role == int(Role.INPUT), use.unchanged_since.is_not(None))
    return {(row.job_id, row.digest, row.path): row.unchanged_since for part in in_parts(ids)
            for row in connection.execute(query.where(use.job_id.in_(part)))}


def readers_of(connection: Connection, viewer: Viewer, digests: Sequence[bytes], *, limit: int, not_job: int = 0,
               after: int | None = None) -> dict[bytes, list[Any]]:
    """The visible jobs that read each content and were registered last; or first `after` another job."""
    found: dict[bytes, list[Any]] = {}
    query = uses_of(viewer, limit, read=True) if after is None else _readers_after(viewer, limit)
    bounds = {} if after is None else {"after": after}
    for digest, row in query.rows(connection, digests, not_job=not_job, **bounds):
        found.setdefault(digest, []).append(row)
    return found


def readers_at_paths(connection: Connection, viewer: Viewer, paths: Sequence[str], *, not_job: int = 0
                     ) -> list[Any]:
    """The visible jobs that read something at these paths, among the uses of each that were registered last."""
    keys = {path_key(path): path for path in paths}
    return [row for key, row in _uses_at_path(viewer).rows(connection, sorted(keys), not_job=not_job)
            if row.role == Role.INPUT and row.path == keys[key]]


class Shared(NamedTuple):
    """A file that a dataset has in common with another one: its path in each."""

    other: bytes
    digest: bytes
    path: str
    other_path: str


class Makers:
    """Looks for makers, and remembers what it has seen of the tables: for one transaction.

    Attributes:
        cut: whether a session has more empty files than were looked at.
    """

    def __init__(self, connection: Connection, viewer: Viewer) -> None:
        self._connection = connection
        self._viewer = viewer
        self._members_known: dict[bytes, list[tuple[bytes, str]]] = {}
        self._wholes_known: dict[bytes, list[tuple[bytes, str]]] = {}
        self._written_known: dict[bytes, list[_Written]] = {}
        self._sessions_known: dict[bytes, list[Any]] = {}
        self._shared_known: dict[tuple[bytes, bytes], list[Shared]] = {}
        self._datasets_written_known: dict[bytes, dict[str, list[_Written]]] = {}
        self._empties_written_known: dict[bytes, dict[str, list[_Written]]] = {}
        self._empties_read_known: dict[bytes, dict[str, list[Any]]] = {}
        self._empties_inside_known: dict[bytes, set[str]] = {}
        self._makers_of_empty_known: dict[Reading, Maker | None] = {}
        self.cut = False

    def of(self, wanted: Iterable[Reading]) -> dict[Reading, tuple[Maker, ...]]:
        """See `find_makers`."""
        readings = list(dict.fromkeys(wanted))
        chosen = self._chosen(readings)
        found: dict[Reading, tuple[Maker, ...]] = {
            reading: (maker,) for reading, maker in chosen.items() if maker.here or reading.kind is Kind.FILE}
        open_datasets = [one for one in readings if one.kind is Kind.DATASET and one not in found]
        if not open_datasets:
            return found
        found |= {one: (maker,) for one, maker in self._makers_of_empty(
            one for one in open_datasets if one not in chosen)}
        members = {one: [Reading(one.reader, digest, members_folder(one.path) + path, Kind.FILE,
                                 whole=(one.digest, one.path), since=one.since)
                         for digest, path in dict.fromkeys((*self._members(one), *self._members_around(one)))]
                   for one in open_datasets}
        parts = self._chosen(list(dict.fromkeys(part for some in members.values() for part in some)))
        for one, some in members.items():
            makers = {parts[part] for part in some if part in parts}
            here = {maker for maker in makers if maker.here}
            if one in chosen:  # what nobody wrote at its path came with the whole
                left = [part for part in some if part not in parts or not parts[part].here]
                copied = self._only_copied({part: [chosen[one].key] for part in left})
                if not some or any(chosen[one].key not in copied[part] for part in left):
                    makers = here.union((chosen[one],))
                elif not left:
                    makers = here
            if makers:
                found[one] = tuple(sorted(makers, reverse=True))
        return found

    def _members(self, dataset: Reading) -> list[tuple[bytes, str]]:
        """Digests and paths of members: those that some job wrote by themselves, and some out of all."""
        if dataset.digest not in self._members_known:
            member = models.dataset_member.c
            files = dataset.files or MEMBERS_TRIED
            some = sorted({index * files // MEMBERS_TRIED for index in range(MEMBERS_TRIED)})
            rows = list(self._connection.execute(select(member.digest, member.path).where(
                member.dataset == dataset.digest, member.position.in_(some), member.digest != EMPTY,
                members_are_seen(self._viewer, member.dataset))))
            if files > MEMBERS_TRIED or not dataset.files:
                rows += [row for _, row in members_used(self._viewer, read=False).rows(
                    self._connection, [dataset.digest])]
            self._members_known[dataset.digest] = list(dict.fromkeys((row[0], row[1]) for row in rows))
        return self._members_known[dataset.digest]

    def _members_around(self, dataset: Reading) -> list[tuple[bytes, str]]:
        """Members that it shares with datasets which jobs of the same session wrote in, at or around its folder."""
        if dataset.reader is None:
            return []
        others = self.around(dataset.reader.session, dataset.digest, dataset.path, read=False)
        return [(one.digest, one.path) for one in self.shared(dataset.digest, others)]

    def around(self, session: bytes, digest: bytes, path: str, *, read: bool) -> list[bytes]:
        """The other datasets that jobs of a session read, or wrote, in or around the folders of one; newest first."""
        known = self._datasets_of(session)
        folders = {members_folder(path), *(members_folder(row.path) for row in known if row.digest == digest)}
        found = {row.digest: None for row in known
                 if (row.role == Role.INPUT) == read and row.digest != digest
                 and _is_near(members_folder(row.path), folders)}
        return list(found)[:NEIGHBOURS]

    def _datasets_of(self, session: bytes) -> list[Any]:
        if session not in self._sessions_known:
            self._sessions_known[session] = [row for _, row in _datasets_of_session(self._viewer).rows(
                self._connection, [session])]
        return self._sessions_known[session]

    def readers_of_empty(self, session: bytes, places: AbstractSet[str]) -> list[Any]:
        """Who of a session read something empty at one of these paths, or in one of these folders (`a/b/`)."""
        known = self._empties_read(session) if places else {}
        return list({id(row): row for place in sorted(places) for row in known.get(place, ())}.values())

    def _empties_read(self, session: bytes) -> dict[str, list[Any]]:
        """Reads of what is empty, by path and by each folder around it."""
        if session not in self._empties_read_known:
            known = self._empties_read_known[session] = {}
            empty = [row for row in self._datasets_of(session) if row.role == Role.INPUT and row.size == 0]
            for row in [*self._empties_of(session, read=True), *empty]:
                for place in {row.path, *_folders(row.path)}:
                    known.setdefault(place, []).append(row)
        return self._empties_read_known[session]

    def _empties_written(self, session: bytes) -> dict[str, list[_Written]]:
        """Empty files by path."""
        if session not in self._empties_written_known:
            known = self._empties_written_known[session] = {}
            for row in self._empties_of(session, read=False):
                known.setdefault(row.path, []).append(_written(row))
        return self._empties_written_known[session]

    def _datasets_written(self, session: bytes) -> dict[str, list[_Written]]:
        """Datasets, of any size, by their folder."""
        if session not in self._datasets_written_known:
            known = self._datasets_written_known[session] = {}
            for row in self._datasets_of(session):
                if row.role != Role.INPUT:
                    known.setdefault(members_folder(row.path), []).append(_written(row))
        return self._datasets_written_known[session]

    def _empties_of(self, session: bytes, *, read: bool) -> list[Any]:
        query = _empties_of_session(self._viewer, read=read)
        rows = [row for _, row in query.rows(self._connection, [session])]
        self.cut |= len(rows) >= SESSION_EMPTIES
        return rows

    def _makers_of_empty(self, readings: Iterable[Reading]) -> Iterator[tuple[Reading, Maker]]:
        """Who of their own session wrote what is empty where it was read: a dataset, or a file, also within one."""
        for reading in readings:
            if reading not in self._makers_of_empty_known:
                written = _before(reading, self._written_empty(reading))
                self._makers_of_empty_known[reading] = _last(reading, written, here=True) if written else None
            maker = self._makers_of_empty_known[reading]
            if maker is not None:
                yield reading, maker

    def _written_empty(self, reading: Reading) -> list[_Written]:
        if reading.reader is None:
            query = uses_of(self._viewer, WRITERS_LOOKED_AT, read=False, empty_too=True)
            digests = [] if reading.digest == EMPTY else [reading.digest]
            return [_written(row) for _, row in query.rows(self._connection, digests)]
        session = reading.reader.session
        datasets = self._datasets_written(session)
        if reading.digest != EMPTY:
            return [one for one in datasets.get(members_folder(reading.path), ())
                    if (one.digest, one.path) == (reading.digest, reading.path)]
        around = [one for folder in _folders(reading.path) for one in datasets.get(folder, ())]
        inside = self._empties_inside({one.digest for one in around})
        return self._empties_written(session).get(reading.path, []) + [
            one._replace(path=reading.path) for one in around
            if reading.path.removeprefix(members_folder(one.path)) in inside[one.digest]]

    def _empties_inside(self, datasets: AbstractSet[bytes]) -> dict[bytes, set[str]]:
        """The paths of the empty files of datasets."""
        new = set(datasets).difference(self._empties_inside_known)
        self._empties_inside_known.update((digest, set()) for digest in new)
        for digest, path in self._paths_inside(EMPTY, new):
            self._empties_inside_known[digest].add(path)
        return self._empties_inside_known

    def shared(self, dataset: bytes, others: Sequence[bytes]) -> list[Shared]:
        """Some of the files that others have in common with a dataset, as far as one of their first is."""
        new = [other for other in others if (dataset, other) not in self._shared_known]
        first = [(other, row) for other, row in first_members(self._viewer, MEMBERS_TRIED).rows(self._connection, new)]
        inside: dict[bytes, str] = {}
        member = models.dataset_member.c
        for some in in_parts(sorted({row.digest for _, row in first})):
            inside.update((row.digest, row.path) for row in self._connection.execute(select(
                member.digest, member.path).where(member.digest.in_(some), member.dataset == dataset,
                                                  members_are_seen(self._viewer, member.dataset))))
        self._shared_known.update(((dataset, other), []) for other in new)
        for other, row in first:
            known = self._shared_known[dataset, other]
            if row.digest in inside and len(known) < MEMBERS_SHARED:
                known.append(Shared(other, row.digest, inside[row.digest], row.path))
        return [one for other in others for one in self._shared_known[dataset, other]]

    def _chosen(self, readings: list[Reading]) -> dict[Reading, Maker]:
        """For each the last job that wrote it as it is, or a dataset with it."""
        empty = [one for one in readings if one.digest == EMPTY]
        readings = [one for one in readings if one.digest != EMPTY]
        wholes = self._wholes({one.digest for one in readings if one.kind is Kind.FILE})
        digests = {one.digest for one in readings}
        digests.update(whole for digest in list(digests) for whole, _ in wholes.get(digest, ()))
        written = self._written(digests)
        known = {digest: written.get(digest, []) + [
            each._replace(path=members_folder(each.path) + inside) for whole, inside in wholes.get(digest, ())
            for each in written.get(whole, ())] for digest in {one.digest for one in readings}}
        crowded: dict[Reader | None, list[Reading]] = {}
        for one in readings:
            some = wholes.get(one.digest, ())
            if len(some) >= WHOLES_LOOKED_AT or (
                    any(len(written.get(digest, ())) >= WRITERS_LOOKED_AT
                        for digest in (one.digest, *(whole for whole, _ in some)))
                    and not any(each.path == one.path for each in _before(one, known[one.digest]))):
                crowded.setdefault(one.reader, []).append(one)
        more = self._among_many(crowded)
        chosen = dict(self._makers_of_empty(empty))
        elsewhere: dict[Reading, list[_Written]] = {}
        for one in readings:
            possible = _before(one, [*known[one.digest], *more.get(one, ())])
            here = [each for each in possible if each.path == one.path]
            if here:
                chosen[one] = _last(one, here, here=True)
            elif possible:
                elsewhere[one] = possible
        chosen.update(self._brought(elsewhere))
        return chosen

    def _among_many(self, crowded: dict[Reader | None, list[Reading]]) -> dict[Reading, list[_Written]]:
        """Of content that very many jobs wrote: who wrote it at its path, and who wrote it shortly before the reader.

        What started before a job is mostly registered before it, or soon after. Very many readers are taken together.
        """
        found: dict[Reading, list[_Written]] = {}
        readers = [reader for reader in crowded if reader is not None]
        if len(readers) > READERS_APART:
            last = max(readers, key=lambda reader: reader.key)._replace(ended_at=None)
            crowded = {None: crowded.get(None, []), last: [one for reader in readers for one in crowded[reader]]}
        for reader, readings in crowded.items():
            for one, each in self._shortly_before(reader, readings):
                found.setdefault(one, []).append(each)
        return found

    def _shortly_before(self, reader: Reader | None, readings: list[Reading]) -> Iterator[tuple[Reading, _Written]]:
        bounds = {} if reader is None else {"until": reader.ended_at or _ALWAYS,
                                            "registered": reader.key + REGISTERED_LATER}
        written: dict[bytes, list[_Written]] = {}
        if bounds:
            looked_for = {one.digest for one in readings}
            looked_for.update(whole for digest in list(looked_for) for whole, _ in self._wholes_known.get(digest, ()))
            for digest, each in self._iter_written(sorted(looked_for), **bounds):
                written.setdefault(digest, []).append(each)
        paths = {path for one in readings for path in _places(one.path)}
        there: dict[str, list[_Written]] = {}
        for _, row in _uses_at_path(self._viewer).rows(
                self._connection, sorted({path_key(path) for path in paths}), **bounds):
            if row.role != Role.INPUT and row.digest is not None and row.path in paths:
                there.setdefault(row.path, []).append(_written(row))
        for one in readings:
            yield from ((one, each) for each in written.get(one.digest, ()))
            yield from ((one, each._replace(path=members_folder(each.path) + inside))
                        for whole, inside in self._wholes_known.get(one.digest, ()) for each in written.get(whole, ()))
            around = [each for path in _places(one.path) for each in there.get(path, ())]
            places = self._paths_inside(one.digest, {each.digest for each in around} - {one.digest})
            for each in around:
                if each.path == one.path if each.digest == one.digest else (
                        each.digest, one.path.removeprefix(members_folder(each.path))) in places:
                    yield one, each._replace(path=one.path)

    def _brought(self, elsewhere: dict[Reading, list[_Written]]) -> Iterator[tuple[Reading, Maker]]:
        """Of writers elsewhere the last that can have brought what was read to where it was read."""
        if not elsewhere:
            return
        copied = self._only_copied({one: [each.key for each in some] for one, some in elsewhere.items()})
        first = self._first_reads(elsewhere)
        for reading, written in elsewhere.items():
            found_at = min(first.get(reading, _ALWAYS), reading.since or _ALWAYS)
            possible = [one for one in written if one.key not in copied[reading] and one.started_at <= found_at]
            if reading.whole is None:  # who wrote the file by itself before those that wrote a dataset with it
                possible = [one for one in possible if one.digest == reading.digest] or possible
            if possible:
                yield reading, _last(reading, possible, here=False)

    def _only_copied(self, writers: Mapping[Reading, Sequence[int]]) -> dict[Reading, set[int]]:
        """Of writers those that read something there themselves, or had, or got, a copy of what was in that folder."""
        digests = {reading.digest for reading in writers}
        keys = {key for some in writers.values() for key in some}
        read = self._own_uses(keys, digests, read=True)
        earlier = self._found_in(writers)
        job = models.job.c
        started = {row.id: row.started_at for some in in_parts(sorted(keys)) for row in self._connection.execute(
            select(job.id, job.started_at).where(job.id.in_(some)))} if any(earlier.values()) else {}
        near = {(key, reading): places for reading, some in writers.items() for key in some
                if (places := [*_near(reading, read.get((key, reading.digest), ())), *(
                    place._replace(path="") for place, found_at in earlier[reading] if found_at < started[key])])}
        written = self._own_uses({key for key, _ in near}, {reading.digest for _, reading in near}, read=False)
        found: dict[Reading, set[int]] = {reading: set() for reading in writers}
        for (key, reading), places in near.items():
            is_in = _lies_in if reading.whole is None else str.startswith
            if any(place.path == reading.path for place in places) or (reading.kind is Kind.FILE and not any(
                    is_in(other.path, place.folder) for other in written.get((key, reading.digest), ())
                    for place in places)):
                found[reading].add(key)
        return found

    def _found_in(self, readings: Iterable[Reading]) -> dict[Reading, list[tuple[_Place, str]]]:
        """Where earlier jobs of the reader's session had found the same file, and by when: in that folder alone."""
        found: dict[Reading, list[tuple[_Place, str]]] = {}
        by_session: dict[bytes, list[Reading]] = {}
        for reading in readings:
            found[reading] = []
            if reading.reader is not None and reading.kind is Kind.FILE:
                by_session.setdefault(reading.reader.session, []).append(reading)
        for session, some in by_session.items():
            inside = self._holding({reading.digest for reading in some})
            rows = _first_reads_of_session(self._viewer).rows(
                self._connection, sorted(inside), session=session,
                registered=max(reading.reader.key for reading in some if reading.reader is not None))
            known: dict[bytes, list[tuple[int, _Place, str]]] = {}
            for _, row in rows:
                if (end := moment_after(row.started_at, row.duration_s)) is not None:
                    found_at = min(end, row.unchanged_since or _ALWAYS)
                    known.setdefault(row.digest, []).append((row.job_id, _place(row.path, row.path), found_at))
                    for digest, path in inside[row.digest]:
                        place = _place(row.path, members_folder(row.path) + path)
                        known.setdefault(digest, []).append((row.job_id, place, found_at))
            for reading in some:
                assert reading.reader is not None
                found[reading] = [(near, found_at) for key, place, found_at in known.get(reading.digest, ())
                                  if key < reading.reader.key for near in _near(reading, [place])]
        return found

    def _holding(self, digests: Iterable[bytes]) -> dict[bytes, list[tuple[bytes, str]]]:
        """Files, and the datasets that they are in, each with those of the files and their paths there."""
        inside: dict[bytes, list[tuple[bytes, str]]] = {}
        for digest in digests:
            inside.setdefault(digest, [])
            for whole, path in self._wholes_known.get(digest, ()):
                inside.setdefault(whole, []).append((digest, path))
        return inside

    def _own_uses(self, jobs: AbstractSet[int], digests: AbstractSet[bytes], *, read: bool
                  ) -> dict[tuple[int, bytes], list[_Place]]:
        """By job and digest where jobs read something, or wrote it, by itself or within a dataset."""
        use = models.file_use.c
        inside = self._holding(digests)
        found: dict[tuple[int, bytes], list[_Place]] = {}
        role = use.role == int(Role.INPUT) if read else use.role > int(Role.INPUT)
        for some_jobs in in_parts(sorted(jobs)):
            for some in in_parts(sorted(inside)):
                for row in self._connection.execute(select(use.job_id, use.digest, use.path).where(
                        use.job_id.in_(some_jobs), role, use.digest.in_(some))):
                    found.setdefault((row.job_id, row.digest), []).append(_place(row.path, row.path))
                    for digest, path in inside[row.digest]:
                        place = _place(row.path, members_folder(row.path) + path)
                        found.setdefault((row.job_id, digest), []).append(place)
        return found

    def _first_reads(self, elsewhere: Iterable[Reading]) -> dict[Reading, str]:
        """By when the first job of the reader's session found it, or a dataset with it, at this path."""
        wanted = {one: (one.reader, self._found_as(one)) for one in elsewhere if one.reader is not None}
        ended = self._reads_at({path for _, paths in wanted.values() for path in paths},
                               registered=max((reader.key for reader, _ in wanted.values()), default=0))
        around = {one: {(digest, path): end for path in paths
                        for digest, end in ended.get((reader.session, path), {}).items()}
                  for one, (reader, paths) in wanted.items()}
        holders = self._holders({one: {digest for digest, _ in reads} for one, reads in around.items()})
        found: dict[Reading, str] = {}
        for one, reads in around.items():
            found_as, having = one.whole or (one.digest, one.path), holders.get(one.digest, set())
            ends = [end for (digest, path), end in reads.items() if (digest, path) == found_as
                    or (one.whole is None and (digest, one.path.removeprefix(members_folder(path))) in having)]
            if ends:
                found[one] = min(ends)
        return found

    def _reads_at(self, paths: AbstractSet[str], *, registered: int) -> dict[tuple[bytes, str], dict[bytes, str]]:
        """By session and path what was read there, with by when the first job that did had found it."""
        first: dict[tuple[bytes, str], dict[bytes, tuple[str, str]]] = {}
        keys = sorted({path_key(path) for path in paths})
        for _, row in _uses_at_path(self._viewer).rows(self._connection, keys, registered=registered):
            end = moment_after(row.started_at, row.duration_s)
            if end is not None and row.role == Role.INPUT and row.digest is not None:
                known = first.setdefault((row.session, row.path), {})
                read = end, row.unchanged_since or _ALWAYS
                known[row.digest] = min(read, known.get(row.digest, read))
        return {place: {digest: min(times) for digest, times in known.items()} for place, known in first.items()}

    def _found_as(self, reading: Reading) -> list[str]:
        """The paths of what jobs can have read there: the artifact, and datasets that the file is in."""
        if reading.whole is not None:
            return [reading.whole[1]]
        wholes = self._wholes_known.get(reading.digest, ())
        names = {name for _, name in wholes}
        return [reading.path, *(place for place in _places(reading.path)[1:] if len(wholes) >= WHOLES_LOOKED_AT
                                or reading.path.removeprefix(members_folder(place)) in names)]

    def _holders(self, around: Mapping[Reading, AbstractSet[bytes]]) -> dict[bytes, set[tuple[bytes, str]]]:
        """For each file the datasets that it is in, among those around what was read of it, with its path there."""
        datasets: dict[bytes, set[bytes]] = {}
        for reading, some in around.items():
            if reading.whole is None and reading.kind is Kind.FILE:
                datasets.setdefault(reading.digest, set()).update(some - {reading.digest})
        found: dict[bytes, set[tuple[bytes, str]]] = {}
        for digest, some in datasets.items():
            wholes = self._wholes_known.get(digest, [])
            found[digest] = self._paths_inside(digest, some) if len(wholes) >= WHOLES_LOOKED_AT else set(wholes)
        return found

    def learn_wholes(self, wholes: Mapping[bytes, Sequence[Any]]) -> None:
        """Take what was asked of `wholes_of` already: files with the datasets that they are in."""
        for digest, rows in wholes.items():
            self._wholes_known.setdefault(digest, [(row.dataset, row.path) for row in rows[:WHOLES_LOOKED_AT]])

    def _wholes(self, digests: set[bytes]) -> dict[bytes, list[tuple[bytes, str]]]:
        """Datasets of files, with the path inside."""
        new = sorted(digests.difference(self._wholes_known))
        self._wholes_known.update((digest, []) for digest in new)
        for digest, row in wholes_of(self._viewer, WHOLES_LOOKED_AT).rows(self._connection, new):
            self._wholes_known[digest].append((row.dataset, row.path))
        return self._wholes_known

    def _written(self, digests: set[bytes]) -> dict[bytes, list[_Written]]:
        """Who wrote each content, as far as it was registered last."""
        new = sorted(digests.difference(self._written_known))
        self._written_known.update((digest, []) for digest in new)
        for digest, one in self._iter_written(new):
            self._written_known[digest].append(one)
        return self._written_known

    def _iter_written(self, digests: list[bytes], **bounds: Any) -> Iterator[tuple[bytes, _Written]]:
        query = uses_of(self._viewer, WRITERS_LOOKED_AT, read=False)
        for digest, row in query.rows(self._connection, digests, **bounds):
            yield digest, _written(row)

    def _paths_inside(self, digest: bytes, datasets: set[bytes]) -> set[tuple[bytes, str]]:
        member = models.dataset_member.c
        found: set[tuple[bytes, str]] = set()
        for some in in_parts(sorted(datasets)):
            found.update((row.dataset, row.path) for row in self._connection.execute(select(
                member.dataset, member.path).where(member.digest == digest, member.dataset.in_(some),
                                                   members_are_seen(self._viewer, member.dataset))))
        return found


def _place(path: str, file: str) -> _Place:
    """The place of a file that was used at a path, by itself or within a dataset."""
    return _Place(file, folder_of_use(path, file))


def _near(reading: Reading, places: Iterable[_Place]) -> list[_Place]:
    """Those of places that are about the folder where something was read, with the larger of these folders."""
    if reading.whole is None:
        return [place for place in places if _lies_in(reading.path, place.folder)]
    folder = members_folder(reading.whole[1])
    return [_Place(place.path, min(folder, place.folder, key=len)) for place in places
            if place.path.startswith(folder) or _lies_in(reading.path, place.folder)]


def _lies_in(path: str, folder: str) -> bool:
    """Whether a path lies in a folder, or below it unless that is the workspace, where all kinds of things lie."""
    return path.startswith(folder) if folder else "/" not in path


def _is_near(folder: str, folders: Iterable[str]) -> bool:
    """Whether a folder is one of these, or in one, or around one."""
    return any(folder.startswith(other) or other.startswith(folder) for other in folders)


def _folders(path: str) -> list[str]:
    """The folders around a path, each with a slash at its end; the one that has no name is the workspace."""
    return ["", *(path[:place + 1] for place, letter in enumerate(path) if letter == "/")]


def _places(path: str) -> list[str]:
    """Where a file may have been used: at its path, or with a dataset of shards or one of the folders around it."""
    folders = [path[:place] for place, letter in enumerate(path) if letter == "/" and place]
    shards = shards_path(path)
    return [path, *(f"{folder}{end}" for folder in folders for end in ("/", "")), *([shards] if shards else ())]


def _written(row: Any) -> _Written:
    return _Written(row.started_at, moment_after(row.started_at, row.duration_s) or row.started_at, row.job_id,
                    row.session, row.digest, row.path, node_key(row.digest, row.path, row.size))


def _before(reading: Reading, written: Iterable[_Written]) -> list[_Written]:
    """Those that can have made what was read."""
    reader = reading.reader
    if reader is None:
        return list(written)
    return [one for one in written if one.key != reader.key
            and (reader.ended_at is None or one.started_at <= reader.ended_at)]


def _last(reading: Reading, written: Iterable[_Written], *, here: bool) -> Maker:
    """The one that ended last, and one of the reader's own session before all others."""
    session = None if reading.reader is None else reading.reader.session
    last = max(written, key=lambda one: (one.session == session, one.ended_at, one.key))
    return Maker(last.ended_at, last.key, last.digest, here, last.node)


# ---------------------------------------------------------------------------------------------------- queries


@functools.lru_cache(maxsize=QUERIES_KEPT)
def uses_of(viewer: Viewer, limit: int, *, read: bool | None = None, empty_too: bool = False) -> ForEach:
    """The jobs that read a content, or wrote it, or either; of each role those that were registered last.

    Nobody is found to have used what is empty, unless that is asked for.
    """
    use = models.file_use.c
    role = true() if read is None else use.role == int(Role.INPUT) if read else use.role > int(Role.INPUT)
    query = _uses_before(viewer).where(role, true() if empty_too else use.size.is_distinct_from(0))
    return ForEach(query.order_by(None).order_by(use.role.desc(), use.job_id.desc()).limit(limit), use.digest)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _uses_at_path(viewer: Viewer) -> ForEach:
    """The uses of a path registered last, whatever was there."""
    use = models.file_use.c
    return ForEach(_uses_before(viewer).limit(PATH_USES_LOOKED_AT), use.path_key)


def _uses_before(viewer: Viewer) -> Select[Any]:
    """Uses of jobs that started by a time (`until`) and were `registered` before some job, the last one first."""
    use, job = models.file_use, models.job
    return select(use.c.job_id, use.c.role, use.c.path, use.c.digest, use.c.kind, job.c.started_at, job.c.duration_s,
                  job.c.session, use.c.files, use.c.size, use.c.unchanged_since).join(
        job, job.c.id == use.c.job_id).where(
        visible(viewer, job.c.project_id), job.c.started_at <= bindparam("until", _ALWAYS, String),
        use.c.job_id < bindparam("registered", LAST, BigInteger),
        use.c.job_id != bindparam("not_job", 0, BigInteger)).order_by(use.c.job_id.desc())


@functools.lru_cache(maxsize=QUERIES_KEPT)
def wholes_of(viewer: Viewer, limit: int) -> ForEach:
    """The datasets that a file is in, as far as `limit`, with its path there."""
    member = models.dataset_member.c
    return ForEach(select(member.dataset, member.path).where(
        member.digest != EMPTY, members_are_seen(viewer, member.dataset)).limit(limit), member.digest)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def first_members(viewer: Viewer, limit: int) -> ForEach:
    """The first members of a dataset: another one that shares most of its files mostly has one of these."""
    member = models.dataset_member.c
    return ForEach(select(member.digest, member.path).where(
        member.digest != EMPTY, members_are_seen(viewer, member.dataset)).order_by(member.position).limit(limit),
        member.dataset)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _datasets_of_session(viewer: Viewer) -> ForEach:
    """The datasets that the jobs of a session read and wrote, the last job first."""
    use, job = models.file_use.c, models.job.c
    return ForEach(_uses_in_session(viewer).where(use.kind == str(Kind.DATASET), use.digest.is_not(None))
                   .limit(SESSION_DATASETS), job.session)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _empties_of_session(viewer: Viewer, *, read: bool) -> ForEach:
    """The empty files that the jobs of a session read, or wrote, the last job first."""
    use, job = models.file_use.c, models.job.c
    roles = use.role.in_([int(role) for role in Role if (role is Role.INPUT) == read])  # as the index begins with them
    return ForEach(_uses_in_session(viewer).where(use.digest == EMPTY, roles).limit(SESSION_EMPTIES), job.session)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _first_reads_of_session(viewer: Viewer) -> ForEach:
    """The jobs of a `session` that read a content, of those `registered` before some job, the first one first."""
    use, job = models.file_use.c, models.job.c
    return ForEach(_uses_in_session(viewer).where(
        use.role == int(Role.INPUT), job.session == bindparam("session", None, job.session.type),
        use.job_id < bindparam("registered", LAST, BigInteger)).order_by(None).order_by(use.job_id)
        .limit(READS_LOOKED_AT), use.digest)


def _uses_in_session(viewer: Viewer) -> Select[Any]:
    use, job = models.file_use.c, models.job.c
    return select(use.job_id, use.role, use.path, use.digest, use.kind, use.size, use.files, use.unchanged_since,
                  job.session, job.started_at, job.duration_s).join_from(models.file_use, models.job).where(
        visible(viewer, job.project_id)).order_by(use.job_id.desc())


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _readers_after(viewer: Viewer, limit: int) -> ForEach:
    """The jobs that read a content and were registered soon after another one."""
    use = models.file_use.c
    query = _uses_before(viewer).where(use.role == int(Role.INPUT), use.size.is_distinct_from(0),
                                       use.job_id > bindparam("after", 0, BigInteger))
    return ForEach(query.order_by(None).order_by(use.job_id).limit(limit), use.digest)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def members_used(viewer: Viewer, *, read: bool) -> ForEach:
    """The members of a dataset that some job read by themselves, or wrote."""
    member, use = models.dataset_member.c, models.file_use.c
    role = use.role == int(Role.INPUT) if read else use.role > int(Role.INPUT)
    used = uses_seen_by(viewer, select(use.job_id)).where(use.digest == member.digest, role).exists()
    return ForEach(select(member.digest, member.path).where(
        member.digest != EMPTY, used, members_are_seen(viewer, member.dataset)).limit(MEMBERS_USED), member.dataset)
