"""Search: one box for digests, uids, paths, words of a command, labels, packages and addresses of tracker runs."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, bindparam, func, select, true

from glaas import models
from glaas.access import Viewer, members_are_seen, sees_everything, uses_seen_by, visible
from glaas.catalog import (
    JobLine,
    StoredJob,
    TrackerRunLine,
    as_tracker_run_lines,
    find_job_lines,
    find_member,
    find_run_before,
    is_seen,
    read_tracker_run_lines,
)
from glaas.db import QUERIES_KEPT, ForEach, Query
from glaas.ingest import LONGEST_NAME
from glaas.member_sizes import MemberSizes
from glaas.models import path_key
from glaas.terms import LONGEST_TERM
from glaas.urls import former_url_keys, pasted_urls, possible_run_ids, url_key, url_keys
from glaas.words import file_name, script_place
from roar.wire import Kind, members_folder, shards_path

LONGEST_QUERY = 4000
SHORTEST_PREFIX = 4
SHORTEST_RUN_ID = 6
MOST_WORDS = 8
MOST_COMPLETIONS = 10
USES_LOOKED_AT = 2000
ENVIRONMENTS_LOOKED_AT = 500
DATASETS_LOOKED_AT = 10
FORMER_KEYS_LOOKED_AT = 500
_HEX = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactHit:
    """An artifact found by its digest or by a path it was seen under."""

    digest: str
    kind: Kind
    size: int | None
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found, best first.

    Attributes:
        tracker_runs: that have the address or id searched for. `exact` tells whether the address itself is known;
            where it is false only the run's id is the same, and the page must say so.
        dags: digests of registered DAGs.
    """

    query: str
    tracker_runs: tuple[TrackerRunLine, ...] = ()
    exact: bool = True
    jobs: tuple[JobLine, ...] = ()
    artifacts: tuple[ArtifactHit, ...] = ()
    dags: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many things were found."""
        return len(self.tracker_runs) + len(self.jobs) + len(self.artifacts) + len(self.dags)


def search(connection: Connection, viewer: Viewer, text: str, *, limit: int = 20) -> Found:
    """What `text` names. An address is looked up as one; everything else as digest, uid, run id, path and words."""
    query = text.replace("\0", "").strip()[:LONGEST_QUERY]
    if not query:
        return Found(query=query)
    urls = pasted_urls(query)
    for url in urls:
        if runs := _runs_at(connection, viewer, url, limit):
            return Found(query=query, tracker_runs=runs)
    if urls and "://" in query:
        ids = [part for url in urls for part in possible_run_ids(url) if len(part) >= SHORTEST_RUN_ID]
        return Found(query=query, tracker_runs=_tracker_runs_by_id(connection, viewer, ids, limit), exact=False)
    prefix = query.lower()
    by_prefix = _HEX.fullmatch(prefix) is not None and len(prefix) >= SHORTEST_PREFIX
    job_ids = dict.fromkeys(_jobs_by_uid(connection, viewer, prefix, limit) if by_prefix else ())
    job_ids |= dict.fromkeys(_jobs_by_words(connection, viewer, query, limit))
    artifacts = {hit.digest: hit for hit in _artifacts_by_path(connection, viewer, query, limit)}
    if by_prefix:
        artifacts = {hit.digest: hit for hit in _artifacts_by_digest(connection, viewer, prefix, limit)} | artifacts
    lines = find_job_lines(connection, viewer, list(job_ids))
    return Found(
        query=query,
        tracker_runs=_tracker_runs_by_id(connection, viewer, [query], limit),
        jobs=tuple(lines[key] for key in job_ids if key in lines)[:limit],
        artifacts=tuple(artifacts.values())[:limit],
        dags=_dags_by_digest(connection, viewer, prefix, limit) if by_prefix else (),
    )


def similar_jobs(connection: Connection, viewer: Viewer, stored: StoredJob, *, limit: int = 20) -> tuple[JobLine, ...]:
    """Jobs that one would compare a job with: the run before, those that name the same script, those of its session.

    Of each kind the newest, and in that order.
    """
    job = models.job.c
    command = stored.job.command
    script = file_name(command[script_place(command)]).lower()
    seen = visible(viewer, job.project_id)
    before = find_run_before(connection, viewer, stored)
    queries = [select(job.id).where(job.uid == bytes.fromhex(before or ""), seen),
               _jobs_with_words(viewer, [script]).limit(limit + 1),
               select(job.id).where(job.session == bytes.fromhex(stored.session), seen)
               .order_by(job.id.desc()).limit(limit + 1)]
    ids = dict.fromkeys(key for query in queries for key in connection.execute(query).scalars() if key != stored.key)
    lines = find_job_lines(connection, viewer, list(ids)[:limit])
    return tuple(lines[key] for key in ids if key in lines)


# ------------------------------------------------------------------------------------------------ tracker runs


def _runs_at(connection: Connection, viewer: Viewer, url: str, limit: int) -> tuple[TrackerRunLine, ...]:
    """The runs at an address, or at the nearest one above it. Keys were made otherwise once: the addresses decide."""
    keys = url_keys(url)
    table = models.tracker_run
    ids = [part for part in possible_run_ids(url) if len(part) >= SHORTEST_RUN_ID]
    for where, most in ((table.c.url_key.in_(keys), limit),
                        (table.c.url_key.in_(former_url_keys(url)), FORMER_KEYS_LOOKED_AT),
                        (table.c.run_id.in_(ids), limit)):
        query = _visible_runs(viewer).where(where).order_by(table.c.id.desc()).limit(most)
        found = [(key, line) for line in read_tracker_run_lines(connection, viewer, query)
                 if (key := url_key(line.run.url or "")) in keys]
        if found:
            best = min(keys.index(key) for key, _ in found)
            return tuple(line for key, line in found if key == keys[best])[:limit]
    return ()


def _visible_runs(viewer: Viewer) -> Select[Any]:
    return select(models.tracker_run).join(models.job).where(visible(viewer, models.job.c.project_id))


def _tracker_runs_by_id(connection: Connection, viewer: Viewer, ids: list[str], limit: int
                        ) -> tuple[TrackerRunLine, ...]:
    rows = [row for _, row in _runs_with_id(viewer, limit).rows(connection, sorted(set(ids)))]
    return as_tracker_run_lines(connection, viewer, sorted(rows, key=lambda row: row.id, reverse=True)[:limit])


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _runs_with_id(viewer: Viewer, limit: int) -> ForEach:
    table = models.tracker_run
    return ForEach(_visible_runs(viewer).order_by(table.c.id.desc()).limit(limit), table.c.run_id)


# ---------------------------------------------------------------------------------------------------- prefixes


def _hex_range(column: ColumnElement[bytes]) -> ColumnElement[bool]:
    """`column` begins with the hexadecimal digits from which `_bounds` are made."""
    return column.between(bindparam("low", b"", column.type), bindparam("high", b"", column.type))


def _bounds(prefix: str, width: int) -> dict[str, bytes]:
    """The least and the greatest value of `width` digits with this prefix."""
    return {"low": bytes.fromhex(prefix.ljust(width, "0")), "high": bytes.fromhex(prefix.ljust(width, "f"))}


def _jobs_by_uid(connection: Connection, viewer: Viewer, prefix: str, limit: int) -> Iterator[int]:
    if len(prefix) <= 32:  # noqa: PLR2004  digits of a uid
        yield from (row.id for row in _jobs_in_range(viewer, limit).all(connection, **_bounds(prefix, 32)))


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _jobs_in_range(viewer: Viewer, limit: int) -> Query:
    job = models.job.c
    return Query(select(job.id).where(_hex_range(job.uid), visible(viewer, job.project_id)).limit(limit))


def _dags_by_digest(connection: Connection, viewer: Viewer, prefix: str, limit: int) -> tuple[str, ...]:
    rows = _dags_in_range(viewer, limit).all(connection, **_bounds(prefix, 64))
    return tuple(row.digest.hex() for row in rows)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _dags_in_range(viewer: Viewer, limit: int) -> Query:
    digest = models.dag.c.digest
    return Query(select(digest).join(models.session).where(
        _hex_range(digest), visible(viewer, models.session.c.project_id)).limit(limit))


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _artifacts_in_range(viewer: Viewer, limit: int) -> Query:
    digest = models.artifact.c.digest
    return Query(select(digest).where(_hex_range(digest), is_seen(viewer, digest)).order_by(digest).limit(limit))


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _newest_use(viewer: Viewer) -> ForEach:
    use = models.file_use.c
    query = uses_seen_by(viewer, select(use.digest, use.kind, use.size, use.path))
    return ForEach(query.order_by(use.role.desc(), use.job_id.desc()).limit(1), use.digest)


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _part_of_dataset(viewer: Viewer) -> ForEach:
    member = models.dataset_member.c
    return ForEach(select(member.dataset, member.position, member.size, member.path).where(
        members_are_seen(viewer, member.dataset)).limit(1), member.digest)


def _artifacts_by_digest(connection: Connection, viewer: Viewer, prefix: str, limit: int) -> Iterator[ArtifactHit]:
    """Artifacts in the order of their digests, each with the path of its newest use, or its path in a dataset."""
    digests = [row.digest for row in _artifacts_in_range(viewer, limit * 5).all(connection, **_bounds(prefix, 64))]
    found = {digest: _hit(row) for digest, row in _newest_use(viewer).rows(connection, digests)}
    only_inside = [digest for digest in digests if digest not in found]
    inside = dict(_part_of_dataset(viewer).rows(connection, only_inside))
    sizes = MemberSizes(connection, viewer, (row.dataset for row in inside.values()))
    for digest, row in inside.items():
        found[digest] = ArtifactHit(digest=digest.hex(), kind=Kind.FILE, size=sizes.of(row), path=row.path)
    yield from [found[digest] for digest in digests if digest in found][:limit]


def _hit(row: Any) -> ArtifactHit:
    return ArtifactHit(digest=row.digest.hex(), kind=Kind(row.kind), size=row.size, path=row.path)


# -------------------------------------------------------------------------------------------- paths and words


def _artifacts_by_path(connection: Connection, viewer: Viewer, text: str, limit: int) -> Iterator[ArtifactHit]:
    """Artifacts at the path `text`, or else in datasets; then where the path ends in it, or the name begins with it.

    Of a name that is everywhere only the newest uses are looked at.
    """
    use = models.file_use
    path = text.removeprefix("./")
    name = path.rstrip("/").rpartition("/")[2][:LONGEST_NAME]
    if not name:
        return
    keys = sorted({path_key(form) for form in (path, path.rstrip("/"), path.rstrip("/") + "/")})
    rows = [row for _, row in _newest_with(viewer, "path_key", limit).rows(connection, keys)]
    yield from map(_hit, _newest_first(rows))
    if not rows:
        yield from _members_at(connection, viewer, path)
    if name == path:
        names = _completions(connection, viewer, use.c.file_name, name)
        rows = [row for _, row in _newest_with(viewer, "file_name", limit).rows(connection, names)]
    else:
        newest = _seen_uses(viewer).where(use.c.file_name == name).limit(USES_LOOKED_AT).subquery()
        ending = newest.c.path.endswith("/" + path.lstrip("/"), autoescape=True)
        rows = list(connection.execute(select(newest).where(ending).order_by(newest.c.job_id.desc()).limit(limit)))
    yield from map(_hit, _newest_first(rows))


def _members_at(connection: Connection, viewer: Viewer, path: str) -> Iterator[ArtifactHit]:
    """Files at a path within the newest datasets that jobs used in one of the folders around it, or as its shards."""
    datasets = {path[:place + end] for place, letter in enumerate(path) if letter == "/" for end in (0, 1)}
    datasets |= {shards_path(path) or "", "*"} | {f"{folder}*" for folder in datasets if folder.endswith("/")}
    rows = [row for _, row in _newest_with(viewer, "path_key", USES_LOOKED_AT).rows(
        connection, sorted(map(path_key, datasets - {""}))) if row.kind == Kind.DATASET and row.path in datasets]
    newest = dict.fromkeys((row.digest.hex(), members_folder(row.path)) for row in _newest_first(rows))
    for digest, folder in list(newest)[:DATASETS_LOOKED_AT]:
        member = find_member(connection, viewer, digest, path.removeprefix(folder))
        if member is not None:
            yield ArtifactHit(digest=member.digest, kind=Kind.FILE, size=member.size, path=path)


def _seen_uses(viewer: Viewer) -> Select[Any]:
    use = models.file_use.c
    query = select(use.digest, use.kind, use.size, use.path, use.job_id).where(use.digest.is_not(None))
    return uses_seen_by(viewer, query).order_by(use.job_id.desc())


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _newest_with(viewer: Viewer, column: str, limit: int) -> ForEach:
    return ForEach(_seen_uses(viewer).limit(limit), models.file_use.c[column])


def _newest_first(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: row.job_id, reverse=True)


def _completions(connection: Connection, viewer: Viewer, column: Column[str], prefix: str) -> list[str]:
    """The first few different values of an indexed column of jobs that begin with `prefix`, in order.

    Those that only hidden jobs have neither appear nor take another's place, however many there are.
    """
    end = prefix + "\U0010ffff"  # sorts behind everything that begins with the prefix
    return [row.value for row in _first_values(viewer, column).all(connection, start=prefix, end=end)]


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _first_values(viewer: Viewer, column: Column[str]) -> Query:
    """Each value is looked up by itself, so that one with a million rows costs as much as one with a single row.

    The databases walk on only until enough are found. What asks whether a value is seen is no EXISTS, for PostgreSQL
    might read all rows at once to answer that.
    """
    start, end = bindparam("start", "", column.type), bindparam("end", "", column.type)
    first = select(func.min(column).label("value")).where(column >= start, column <= end).cte("walk", recursive=True)
    behind = select(func.min(column)).where(column > first.c.value, column <= end).scalar_subquery()
    walk = first.union_all(select(behind).where(first.c.value.is_not(None)))
    query = select(walk.c.value).where(walk.c.value.is_not(None)).limit(MOST_COMPLETIONS)
    if not sees_everything(viewer):
        job = models.job.c
        seen = select(job.id).join_from(column.table, models.job).where(
            column == walk.c.value, visible(viewer, job.project_id)).limit(1)
        query = query.where(seen.scalar_subquery().is_not(None))
    return Query(query)


def _jobs_by_words(connection: Connection, viewer: Viewer, text: str, limit: int) -> Iterator[int]:
    """Jobs that have every word of `text` in their command, name, labels, code or tracker runs, newest first.

    The last word may be cut. A single word may also be a package, with or without `==VERSION`.
    """
    *whole, last = text.lower().split()[:MOST_WORDS]
    found: set[int] = set()
    for word in _completions(connection, viewer, models.term.c.term, last[:LONGEST_TERM]):
        found |= set(connection.execute(_jobs_with_words(viewer, [word, *whole]).limit(limit)).scalars())
    yield from sorted(found, reverse=True)[:limit]
    if not whole:
        yield from _jobs_by_package(connection, viewer, last, limit)


def _jobs_with_words(viewer: Viewer, words: list[str]) -> Select[Any]:
    """Jobs that have all these whole words, newest first. The index gives each word's jobs in that order."""
    first = models.term.alias()
    query = select(first.c.job_id).where(first.c.term == words[0]).order_by(first.c.job_id.desc())
    for word in words[1:]:
        other = models.term.alias()
        query = query.join(other, other.c.job_id == first.c.job_id).where(other.c.term == word)
    if not sees_everything(viewer):
        job = models.job
        query = query.join(job, job.c.id == first.c.job_id).where(visible(viewer, job.c.project_id))
    return query


def _jobs_by_package(connection: Connection, viewer: Viewer, word: str, limit: int) -> Iterator[int]:
    job = models.job
    name, _, version = word.partition("==")
    rows = _environments_with(viewer, any_version=not version).all(connection, package=name, version=version)
    if rows:
        environments = [row.environment for row in rows]
        yield from connection.execute(
            select(job.c.id).where(job.c.environment.in_(environments), visible(viewer, job.c.project_id))
            .order_by(job.c.id.desc()).limit(limit)).scalars()


@functools.lru_cache(maxsize=QUERIES_KEPT)
def _environments_with(viewer: Viewer, *, any_version: bool) -> Query:
    package, job = models.package.c, models.job.c
    version = package.version == bindparam("version", "", package.version.type)
    seen = select(job.id).where(job.environment == package.environment, visible(viewer, job.project_id)).limit(1)
    return Query(select(package.environment).where(
        package.name == bindparam("package", "", package.name.type), true() if any_version else version,
        true() if sees_everything(viewer) else seen.scalar_subquery().is_not(None)).limit(ENVIRONMENTS_LOOKED_AT))
