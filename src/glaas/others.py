"""Which other job stands beside what a job read or wrote, on its page and in the API."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from glaas.access import Viewer
from glaas.catalog import JobLine, StoredJob, file_uses, find_job_lines
from glaas.makers import (
    EMPTY,
    WHOLES_LOOKED_AT,
    Makers,
    Reader,
    Reading,
    ages_of,
    find_makers,
    members_used,
    node_key,
    readers_at_paths,
    readers_of,
    reading_of,
    wholes_of,
)
from glaas.models import Role
from glaas.times import moment_after
from roar.wire import FileUse, Kind, members_folder

_Known = tuple[str, str]  # a path, and the digest of what a job read or wrote there
_Start = tuple[str, str, int]  # where a job read it, when it started, and its key
_CHECKED = 3  # readers of each, the first and the newest
_READINGS = 500
_PATHS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherJob:
    """The job that made what another one read, or that read last what another one wrote.

    Attributes:
        others: how many more jobs made parts of it.
        later: it wrote the content only after what that job read lay there, mostly after the job had ended: that was
            another copy.
    """

    job: JobLine
    others: int = 0
    later: bool = False


def makers_of(connection: Connection, viewer: Viewer, uses: Iterable[FileUse], reader: StoredJob
              ) -> dict[_Known, OtherJob]:
    """By path and digest that `reader` read the other visible job that made it; of several that made parts the last.

    Where none did, it is one that wrote the same content later.
    """
    job = reader.job
    who = Reader(reader.key, bytes.fromhex(reader.session), moment_after(job.started_at, job.duration_s))
    readings = _readings(uses, who, ages_of(connection, [reader.key]))
    found = find_makers(connection, viewer, readings)
    late = [one._replace(reader=who._replace(ended_at=None), since=None) for one in readings
            if one not in found and one.digest != EMPTY]
    chosen = {_known(one): makers for one, makers in found.items()}
    later = {_known(one): makers for one, makers in find_makers(connection, viewer, late).items()}
    among = {**chosen, **later}
    lines = _lines(connection, viewer, {one: max(makers).key for one, makers in among.items()})
    return {one: OtherJob(job=line, later=one in later, others=len({maker.key for maker in among[one]}) - 1)
            for one, line in lines.items()}


def _readings(uses: Iterable[FileUse], reader: Reader, ages: Mapping[tuple[int, bytes, str], str]) -> list[Reading]:
    known = ((use, bytes.fromhex(use.digest)) for use in uses if use.digest is not None)
    return [Reading(reader, digest, use.path, use.kind, use.files, since=ages.get((reader.key, digest, use.path)))
            for use, digest in known]


def _known(reading: Reading) -> _Known:
    return reading.path, reading.digest.hex()


def _lines(connection: Connection, viewer: Viewer, chosen: dict[_Known, int]) -> dict[_Known, JobLine]:
    """The jobs with these keys, as far as the viewer may see them."""
    lines = find_job_lines(connection, viewer, sorted(set(chosen.values())), brief=True)
    return {one: lines[key] for one, key in chosen.items() if key in lines}


def users_of(connection: Connection, viewer: Viewer, uses: Sequence[FileUse], writer: StoredJob
             ) -> dict[_Known, OtherJob]:
    """By path and digest that `writer` wrote, the other visible job that read it last, or a part or the whole of it.

    Only what `writer` made counts: a job that read the same content as somebody else wrote it did not read this.
    """
    written = {(use.path, bytes.fromhex(use.digest)): use for use in uses if use.digest is not None}
    empty = {path for path, digest in written if digest == EMPTY}
    look = Makers(connection, viewer)
    wanted = {digest for _, digest in written} - {EMPTY}
    paths = dict.fromkeys(path for path, _ in written)
    for digest, path in _related(connection, viewer, look, written, bytes.fromhex(writer.session)):
        wanted.add(digest)
        paths.update({} if path is None else {path: None})
    readers = readers_of(connection, viewer, sorted(wanted), not_job=writer.key, limit=_CHECKED)
    found = [row for rows in readers.values() for row in rows]
    crowd = [digest for digest, rows in readers.items() if len(rows) >= _CHECKED]
    if crowd:  # the newest readers are not all: also those that read it soon after it was made, and at these paths
        after = readers_of(connection, viewer, sorted(crowd), not_job=writer.key, after=writer.key, limit=_CHECKED)
        found += [row for rows in after.values() for row in rows]
        at_paths = readers_at_paths(connection, viewer, list(paths)[:_PATHS], not_job=writer.key)
        found += [row for row in at_paths if row.digest in wanted]
    for (path, _), use in written.items():
        empty |= {path, members_folder(path)} if use.kind is Kind.DATASET else set()
    found += look.readers_of_empty(bytes.fromhex(writer.session), empty)
    readings = {reading_of(row): row for row in found}
    makers = look.of(sorted(readings, key=lambda one: readings[one].job_id, reverse=True)[:_READINGS])
    last: dict[bytes, list[_Start]] = {}
    for reading, some in makers.items():
        row = readings[reading]
        for maker in some:
            if maker.key == writer.key:
                last.setdefault(maker.node, []).append((row.path, row.started_at, row.job_id))
    chosen: dict[_Known, int] = {}
    for (path, digest), use in written.items():
        starts = last.get(node_key(digest, path, use.size))
        if starts:
            chosen[path, digest.hex()] = max((at == path, started_at, key) for at, started_at, key in starts)[2]
    return {one: OtherJob(job=line) for one, line in _lines(connection, viewer, chosen).items()}


def _related(connection: Connection, viewer: Viewer, look: Makers, written: dict[tuple[str, bytes], FileUse],
             session: bytes) -> Iterator[tuple[bytes, str | None]]:
    """Datasets with these files in them, files in these datasets at their paths, and what shares files with them."""
    files = sorted({digest for (_, digest), use in written.items() if use.kind is Kind.FILE} - {EMPTY})
    folders = {digest: path for (path, digest), use in written.items() if use.kind is Kind.DATASET}
    for _, row in wholes_of(viewer, WHOLES_LOOKED_AT).rows(connection, files):
        yield row.dataset, None
    for digest, row in members_used(viewer, read=True).rows(connection, sorted(folders)):
        yield row.digest, members_folder(folders[digest]) + row.path
    for digest, path in folders.items():
        for one in look.shared(digest, look.around(session, digest, path, read=True)):
            yield one.other, None


def uses_and_others(connection: Connection, viewer: Viewer, stored: StoredJob, *, reading: bool, after: int, limit: int
                    ) -> tuple[tuple[FileUse, ...], dict[_Known, OtherJob]]:
    """What a job read with who made that, or what it wrote with who read that last; by path and digest, as each."""
    uses = file_uses(connection, stored.key, Role.INPUT if reading else Role.OUTPUT, after=after, limit=limit)
    find_others = makers_of if reading else users_of
    return uses, find_others(connection, viewer, uses, stored)
