"""Which other job stands beside what a job read or wrote, on its page and in the API."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from glaas.access import Viewer
from glaas.catalog import JobLine, StoredJob, file_uses, find_job_lines
from glaas.makers import (
    LAST,
    MEMBERS_USED,
    REGISTERED_LATER,
    WHOLES_LOOKED_AT,
    WRITERS_LOOKED_AT,
    Maker,
    Reader,
    Reading,
    find_makers,
    members_used,
    reader_of,
    readers_at_paths,
    readers_of,
    wholes_of,
)
from glaas.models import Role
from glaas.times import moment_after
from roar.wire import FileUse, Kind

_Known = tuple[str, str]  # a path, and the digest of what a job read or wrote there
_Start = tuple[bool, str, int]  # whether it was read at the same path, when a job started, and its key
_CHECKED = 5  # readers of each dataset or part


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherJob:
    """The job that made what another one read, or that read last what another one wrote.

    Attributes:
        later: it wrote the content only after the reading job had ended, so what that job read was another copy.
    """

    job: JobLine
    later: bool = False


def makers_of(connection: Connection, viewer: Viewer, uses: Iterable[FileUse], reader: StoredJob
              ) -> dict[_Known, OtherJob]:
    """By path and digest that `reader` read the other visible job that made it; of several that made parts the last.

    Where none did, it is one that wrote the same content later.
    """
    job = reader.job
    who = Reader(reader.key, bytes.fromhex(reader.session), moment_after(job.started_at, job.duration_s))
    readings = _readings(uses, who)
    found = find_makers(connection, viewer, readings)
    late = [one._replace(reader=who._replace(ended_at=None)) for one in readings if one not in found]
    chosen = {_known(one): max(makers) for one, makers in found.items()}
    later = {_known(one): max(makers) for one, makers in find_makers(connection, viewer, late).items()}
    lines = _lines(connection, viewer, {**chosen, **later})
    return {one: OtherJob(job=line, later=one in later) for one, line in lines.items()}


def _readings(uses: Iterable[FileUse], reader: Reader) -> list[Reading]:
    return [Reading(reader, bytes.fromhex(use.digest), use.path, use.kind, use.files)
            for use in uses if use.digest is not None and use.size != 0]


def _known(reading: Reading) -> _Known:
    return reading.path, reading.digest.hex()


def _lines(connection: Connection, viewer: Viewer, chosen: dict[_Known, Maker]) -> dict[_Known, JobLine]:
    lines = find_job_lines(connection, viewer, sorted({maker.key for maker in chosen.values()}), brief=True)
    return {one: lines[maker.key] for one, maker in chosen.items() if maker.key in lines}


def users_of(connection: Connection, viewer: Viewer, uses: Sequence[FileUse], writer: StoredJob
             ) -> dict[_Known, OtherJob]:
    """By path and digest that `writer` wrote, the other visible job that read it last.

    One that read it at that very path, or by way of a dataset, goes before those that read a copy.
    """
    written = {(use.path, use.digest): use for use in uses if use.digest is not None and use.size != 0}
    found: dict[_Known, list[_Start]] = {one: [] for one in written}
    paths: dict[str, list[str]] = {}
    for path, digest in written:
        paths.setdefault(digest, []).append(path)
    direct = readers_of(connection, viewer, sorted(map(bytes.fromhex, paths)), not_job=writer.key)
    for key, rows in direct.items():
        for path in paths[key.hex()]:
            starts = found[path, key.hex()]
            starts += [(row.path == path, row.started_at, row.job_id) for row in rows]
    crowded = [one for one, starts in found.items()
               if len(starts) >= WRITERS_LOOKED_AT and not any(here for here, _, _ in starts)]
    for row in readers_at_paths(connection, viewer, [path for path, _ in crowded], not_job=writer.key):
        if row.digest is not None and (row.path, row.digest.hex()) in found:
            found[row.path, row.digest.hex()].append((True, row.started_at, row.job_id))
    for one, start in _by_way_of_datasets(connection, viewer, written, writer):
        found[one].append(start)
    lines = find_job_lines(connection, viewer, sorted({max(some)[2] for some in found.values() if some}), brief=True)
    return {one: OtherJob(job=lines[max(starts)[2]]) for one, starts in found.items()
            if starts and max(starts)[2] in lines}


def _by_way_of_datasets(connection: Connection, viewer: Viewer, written: dict[_Known, FileUse], writer: StoredJob
                        ) -> list[tuple[_Known, _Start]]:
    """Who read a dataset with a file, or a file of a dataset, as far as `writer` made what they read."""
    files = {bytes.fromhex(use.digest) for use in written.values() if use.digest and use.kind is Kind.FILE}
    folders = {bytes.fromhex(use.digest) for use in written.values() if use.digest and use.kind is Kind.DATASET}
    related: dict[bytes, set[bytes]] = {}
    for digest, row in wholes_of(viewer, WHOLES_LOOKED_AT).rows(connection, sorted(files)):
        related.setdefault(row.dataset, set()).add(digest)
    for digest, row in members_used(viewer, read=True).rows(connection, sorted(folders)):
        related.setdefault(row.digest, set()).add(digest)
    readings = {}
    for registered in (writer.key + REGISTERED_LATER, LAST):  # those of this very version, and the newest
        readers = readers_of(connection, viewer, sorted(related), not_job=writer.key, registered=registered)
        readings.update({Reading(reader_of(row), digest, row.path, Kind(row.kind), row.files): row
                         for digest, rows in readers.items() for row in rows[:_CHECKED]})
    makers = find_makers(connection, viewer, list(readings)[:MEMBERS_USED])
    made = {(maker.digest, reading): row for reading, row in readings.items() for maker in makers.get(reading, ())
            if maker.key == writer.key}
    by_digest: dict[bytes, list[_Start]] = {}
    for (digest, _), row in made.items():
        by_digest.setdefault(digest, []).append((True, row.started_at, row.job_id))
    return [(one, start) for one in written for start in by_digest.get(bytes.fromhex(one[1]), ())]


def uses_and_others(connection: Connection, viewer: Viewer, stored: StoredJob, *, reading: bool, after: int, limit: int
                    ) -> tuple[tuple[FileUse, ...], dict[_Known, OtherJob]]:
    """What a job read with who made that, or what it wrote with who read that last; by path and digest, as each."""
    uses = file_uses(connection, stored.key, Role.INPUT if reading else Role.OUTPUT, after=after, limit=limit)
    find_others = makers_of if reading else users_of
    return uses, find_others(connection, viewer, uses, stored)
