"""Registering a session: check everything, then write all of it or nothing.

A registration becomes a frozen DAG under its own digest. Its jobs are stored once, whatever number of DAGs name them:
a job that is over never changes again, only its labels and the places of its tracker runs may be learned later, and a
secret that an older client let pass may be hidden.
"""

import functools
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import blake3
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine, Row, bindparam, delete, insert, select, update

from glaas import models
from glaas.access import OWNER, Viewer, project_for_writing
from glaas.catalog import file_uses, find_job
from glaas.db import ForEach, in_parts, insert_new, insert_rows, lock, refresh_statistics, write_at_last
from glaas.errors import Flaw, ProblemError
from glaas.makers import EMPTY
from glaas.models import Role, path_key
from glaas.sameness import same_files, same_job
from glaas.terms import iter_terms
from glaas.times import now
from glaas.urls import is_web_url, url_key
from roar.wire import (
    UNDIGESTED,
    Dataset,
    DatasetMember,
    FileUse,
    Host,
    Job,
    JobState,
    Kind,
    Python,
    Registration,
    TrackerRun,
    find_secret,
    git_of,
    iter_secrets,
    member_line,
    raw,
    shown,
    to_json,
)

MOST_FLAWS = 20
CHUNK = 5000
LARGE_BODY = 1_000_000
LONGEST_TEXT = 1_000_000
LONGEST_LINE = 10_000
LONGEST_NAME = 255
LARGEST_INTEGER = 2**31 - 1
LARGEST_SIZE = 2**63 - 1
REGISTRATION = TypeAdapter(Registration)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"([0-9a-f]{2})+")
_LIKE_A_LINE = re.compile(rb"\n[0-9a-f]{64}  ")
_UID = re.compile(r"[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The answer to a registration; `created` is false when everything was there already."""

    dag: str
    jobs: tuple[str, ...]
    created: bool


def register(engine: Engine, body: bytes, viewer: Viewer, project: str | None = None) -> Registered:
    """Register the session in `body`, the JSON of a `roar.wire.Registration`.

    Args:
        engine: where to write.
        body: the request's body, decompressed.
        viewer: who sends it.
        project: name of the project that a new session joins; None for the viewer's default.

    Raises:
        ProblemError: 422 with every flaw found, 409 where a known job has other content or the session is in another
            project than the one named, 403 without permission.
    """
    body_digest = blake3.blake3(body).digest()
    known = _find_known(engine, body_digest, viewer, project)
    if known is not None:
        return known
    registration = parse_registration(body)
    shape = to_json(registration)
    for name in UNDIGESTED:
        shape.pop(name)
    digest = _shape_digest(shape)

    def write(connection: Connection) -> Registered:
        lock(connection, int.from_bytes(bytes.fromhex(registration.session)[:8], signed=True))
        return _write(connection, registration, shape, digest=digest, body_digest=body_digest, viewer=viewer,
                      project=project)

    answer = write_at_last(engine, write)
    if answer.created and len(body) >= LARGE_BODY:
        refresh_statistics(engine, models.file_use, models.artifact, models.dataset_member, models.job)
    return answer


def parse_registration(body: bytes) -> Registration:
    """The registration in `body`.

    Raises:
        ProblemError: 422, with up to MOST_FLAWS flaws.
    """
    try:
        registration = REGISTRATION.validate_json(body)
    except ValidationError as error:
        flaws = tuple(Flaw(_pointer(entry["loc"]), entry["msg"]) for entry in error.errors(
            include_url=False, include_input=False, include_context=False)[:MOST_FLAWS])
        raise ProblemError(422, "The registration does not have the shape of a session.", flaws=flaws) from None
    secret = tuple(itertools.islice(_secret_flaws(registration), MOST_FLAWS))
    flaws = secret or tuple(itertools.islice(iter_flaws(registration), MOST_FLAWS))
    if not flaws and b"\\u0000" in body:
        flaws = _nul_flaws(to_json(registration))
    if flaws:
        raise ProblemError(422, f"The registration cannot be kept: {flaws[0].detail}.", flaws=flaws)
    return registration


def _pointer(location: Iterable[Any]) -> str:
    texts = ("…" if find_secret(str(part)) else str(part) for part in location)
    return "".join("/" + text.replace("~", "~0").replace("/", "~1") for text in texts)


def _nul_flaws(value: Any, pointer: str = "") -> tuple[Flaw, ...]:
    if isinstance(value, str):
        return (Flaw(pointer, "text may not hold a NUL character"),) if "\0" in value else ()
    if isinstance(value, list):
        return tuple(flaw for i, v in enumerate(value) for flaw in _nul_flaws(v, f"{pointer}/{i}"))
    if isinstance(value, dict):
        return tuple(flaw for key, inner in value.items()
                     for flaw in _nul_flaws(key, pointer) + _nul_flaws(inner, f"{pointer}/{key}"))
    return ()


# ---------------------------------------------------------------------------------------------------- checking


def iter_flaws(registration: Registration) -> Iterator[Flaw]:
    """What is wrong in a registration of the right shape, in order."""
    if not _UID.fullmatch(registration.session):
        yield Flaw("/session", "a session's uid is 32 lower-case hexadecimal digits")
    if not 1 <= registration.version <= LARGEST_INTEGER:
        yield Flaw("/version", "the wire version is a number from 1")
    seen: set[str] = set()
    for index, job in enumerate(registration.jobs):
        if job.uid in seen:
            yield Flaw(f"/jobs/{index}/uid", "each job appears once")
        seen.add(job.uid)
        yield from _job_flaws(job, f"/jobs/{index}")
        yield from _part_flaws(job, f"/jobs/{index}")
    yield from _payload_flaws(registration, seen)
    yield from _age_flaws(registration)
    for index, dataset in enumerate(registration.datasets):
        yield from _dataset_flaws(dataset, f"/datasets/{index}")
    yield from _size_flaws(registration)


def _secret_flaws(registration: Registration) -> Iterator[Flaw]:
    """Texts that hold what looks like a secret: the client should have redacted it, and we do not keep it."""
    for pointer, kind in iter_secrets(registration):
        yield Flaw(pointer, f"the text holds what looks like {kind}; redact it before it is sent")


def _job_flaws(job: Job, pointer: str) -> Iterator[Flaw]:
    if not _UID.fullmatch(job.uid):
        yield Flaw(f"{pointer}/uid", "a job's uid is 32 lower-case hexadecimal digits")
    if not _is_time(job.started_at):
        yield Flaw(f"{pointer}/started_at", "a time is written like 2026-11-22T10:00:00.123456Z")
    if not 0 <= job.step <= LARGEST_INTEGER:
        yield Flaw(f"{pointer}/step", "a step is a number from 0")
    if job.exit_code is not None and abs(job.exit_code) > LARGEST_INTEGER:
        yield Flaw(f"{pointer}/exit_code", "the exit code is no exit code")
    if job.duration_s is not None and not 0 <= job.duration_s < LARGEST_INTEGER:
        yield Flaw(f"{pointer}/duration_s", "a duration is a number of seconds from 0")
    if not job.command or sum(map(len, job.command)) > LONGEST_TEXT:
        yield Flaw(f"{pointer}/command", "a command has one to a million characters")
    if not 0 < len(job.kind) <= 20:  # noqa: PLR2004  width of the column
        yield Flaw(f"{pointer}/kind", "a kind has at most 20 characters")
    yield from _count_flaws(job, pointer)


def _count_flaws(job: Job, pointer: str) -> Iterator[Flaw]:
    host = job.host
    if host is not None and not 0 <= host.cpus <= LARGEST_INTEGER:
        yield Flaw(f"{pointer}/host/cpus", "the number of CPUs is a number from 0")
    if host is not None and host.memory is not None and not 0 <= host.memory <= LARGEST_SIZE:
        yield Flaw(f"{pointer}/host/memory", "a size is a number of bytes from 0")
    for tracker, summary in job.trackers.items():
        if not 0 <= summary.filtered_files <= LARGEST_INTEGER:
            yield Flaw(f"{pointer}/trackers/{tracker}/filtered_files", "the number of files is a number from 0")


def _part_flaws(job: Job, pointer: str) -> Iterator[Flaw]:
    for key in job.labels:
        if not 0 < len(key) <= LONGEST_NAME:
            yield Flaw(f"{pointer}/labels", f"a label's key has 1 to {LONGEST_NAME} characters")
    for index, package in enumerate(job.python.packages if job.python else ()):
        if not 0 < len(package.name) <= LONGEST_NAME or len(package.version) > LONGEST_NAME:
            yield Flaw(f"{pointer}/python/packages/{index}", f"a name or version has 1 to {LONGEST_NAME} characters")
    yield from _text_flaws(job, pointer)
    yield from _line_flaws(job, pointer)
    for field, uses in (("inputs", job.inputs), ("outputs", job.outputs)):
        for index, use in enumerate(uses):
            yield from _use_flaws(use, f"{pointer}/{field}/{index}")
    for index, run in enumerate(job.tracker_runs):
        yield from _tracker_run_flaws(run, f"{pointer}/tracker_runs/{index}")


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _text_flaws(job: Job, pointer: str) -> Iterator[Flaw]:
    texts = [("command", " ".join(job.command)), ("name", job.name or ""), ("cwd", job.cwd)]
    texts += [(f"labels/{key}", value) for key, value in job.labels.items()]
    if job.git is not None:
        texts += [("git/remote", job.git.remote or ""),
                  *((f"git/repositories/{n}/{field}", text) for n, inner in enumerate(job.git.repositories)
                    for field, text in (("path", inner.path), ("remote", inner.remote or "")))]
    for index, run in enumerate(job.tracker_runs):
        texts += [(f"tracker_runs/{index}/{field}", text)
                  for field, text in (("url", run.url), ("server", run.server), ("how_to_view", run.how_to_view),
                                      ("note", run.note), ("label", run.label), ("name", run.name),
                                      ("group", run.group), ("evidence", run.evidence)) if text]
    for field, text in texts:
        if len(text) > LONGEST_TEXT:
            yield Flaw(f"{pointer}/{field}", "the text is too long")


def _line_flaws(job: Job, pointer: str) -> Iterator[Flaw]:
    """Texts that a machine made, which are short. They are kept as JSON, so no column bounds them."""
    git, host = job.git, job.host
    lines = [("tracer/mode", job.tracer.mode), *((f"tracer/gaps/{n}", gap) for n, gap in enumerate(job.tracer.gaps))]
    if git is not None:
        lines += [("git/commit", git.commit or ""), ("git/branch", git.branch or ""), ("git/patch", git.patch or ""),
                  ("git/worktree", git.worktree or ""),
                  *((f"git/repositories/{n}/commit", inner.commit or "") for n, inner in enumerate(git.repositories))]
    if host is not None:
        lines += [("host/os", host.os), ("host/machine", host.machine), ("host/cpu", host.cpu or "")]
        lines += [(f"host/gpus/{n}", gpu) for n, gpu in enumerate(host.gpus)]
    if job.python is not None:
        lines.append(("python/version", job.python.version))
    for field, line in lines:
        if len(line) > LONGEST_LINE:
            yield Flaw(f"{pointer}/{field}", f"the text is longer than {LONGEST_LINE} characters")


def _use_flaws(use: FileUse, pointer: str) -> Iterator[Flaw]:
    if not use.path:
        yield Flaw(f"{pointer}/path", "a path is not empty")
    if use.digest is not None and not _DIGEST.fullmatch(use.digest):
        yield Flaw(f"{pointer}/digest", "a digest is 64 lower-case hexadecimal digits")
    if use.size is not None and not 0 <= use.size <= LARGEST_SIZE:
        yield Flaw(f"{pointer}/size", "a size is a number of bytes from 0")
    elif use.size and use.digest == EMPTY.hex():
        yield Flaw(f"{pointer}/size", "the digest is that of nothing, whose size is 0")
    elif use.size == 0 and use.kind is Kind.FILE and use.digest not in {None, EMPTY.hex()}:
        yield Flaw(f"{pointer}/size", "a file of size 0 has the digest of nothing, and this is another one. If an "
                   "older roar recorded it: `roar reset`, run the steps again, and register that")
    if use.files is not None and not 0 <= use.files <= LARGEST_INTEGER:
        yield Flaw(f"{pointer}/files", "the number of files is a number from 0")


def _tracker_run_flaws(run: TrackerRun, pointer: str) -> Iterator[Flaw]:
    for field, text in (("run_id", run.run_id), ("project", run.project), ("entity", run.entity)):
        if text is not None and len(text) > LONGEST_NAME:
            yield Flaw(f"{pointer}/{field}", f"the text is longer than {LONGEST_NAME} characters")
    if not run.run_id or not run.tracker or len(run.tracker) > 50:  # noqa: PLR2004  width of the column
        yield Flaw(pointer, "a tracker run has an id and its tracker's name")
    if run.url is not None and not is_web_url(run.url):
        yield Flaw(f"{pointer}/url", "the address of a tracker run is an http or https URL")


def _payload_flaws(registration: Registration, jobs: set[str]) -> Iterator[Flaw]:
    for index, payload in enumerate(registration.payloads):
        pointer = f"/payloads/{index}"
        if payload.job not in jobs:
            yield Flaw(f"{pointer}/job", "a payload belongs to one of the jobs")
        yield from _use_flaws(FileUse(path=payload.path, digest=payload.digest, size=payload.size), pointer)


def _age_flaws(registration: Registration) -> Iterator[Flaw]:
    inputs = {job.uid: len(job.inputs) for job in registration.jobs}
    for index, age in enumerate(registration.ages):
        if not 0 <= age.input < inputs.get(age.job, 0):
            yield Flaw(f"/ages/{index}/input", "an age is that of an input of one of the jobs")
        if not _is_time(age.unchanged_since):
            yield Flaw(f"/ages/{index}/unchanged_since", "a time is written like 2026-11-22T10:00:00.123456Z")


def _dataset_flaws(dataset: Dataset, pointer: str) -> Iterator[Flaw]:
    if not _DIGEST.fullmatch(dataset.digest):
        yield Flaw(f"{pointer}/digest", "a digest is 64 lower-case hexadecimal digits")
    elif not _is_of_members(dataset):
        yield Flaw(f"{pointer}/digest", "the digest is not that of the members")
    paths: set[bytes] = set()
    for index, member in enumerate(dataset.members):
        if not _is_shown(member):
            yield Flaw(f"{pointer}/members/{index}/raw_path", "the path does not show these bytes")
        if (path := _path_bytes(member)) in paths:
            yield Flaw(f"{pointer}/members/{index}/path", "each member appears once")
        paths.add(path)
        yield from _use_flaws(FileUse(path=member.path, digest=member.digest, size=member.size),
                              f"{pointer}/members/{index}")


def _is_of_members(dataset: Dataset) -> bool:
    """Whether the digest is BLAKE3 over the members, sorted by the bytes of their paths, one line each.

    An older roar wrote `DIGEST  PATH` for names with a backslash or a newline, too. That is taken but for a name that
    looks like two such lines, by which somebody could give the digest of another dataset.
    """
    members = sorted((_path_bytes(member), member.digest) for member in dataset.members)
    if dataset.digest == blake3.blake3(b"".join(member_line(*member) for member in members)).hexdigest():
        return True
    older = b"".join(b"%s  %s\n" % (digest.encode(), path) for path, digest in members)
    return (dataset.digest == blake3.blake3(older).hexdigest()
            and not any(_LIKE_A_LINE.search(path) for path, _ in members))


def _path_bytes(member: DatasetMember) -> bytes:
    """The bytes of a member's path, of which the path may be only what is shown."""
    return raw(member.path) if member.raw_path is None or not _is_shown(member) else bytes.fromhex(member.raw_path)


def _is_shown(member: DatasetMember) -> bool:
    """Whether the path is how its bytes are shown, where these are given because they are not UTF-8."""
    if member.raw_path is None:
        return True
    if not _HEX.fullmatch(member.raw_path):
        return False
    path = bytes.fromhex(member.raw_path).decode("utf-8", "surrogateescape")
    return path != member.path == shown(path)


def _iter_uses(registration: Registration) -> Iterator[tuple[str, FileUse]]:
    for j, job in enumerate(registration.jobs):
        for i, use in enumerate(job.inputs):
            yield f"/jobs/{j}/inputs/{i}", use
        for i, use in enumerate(job.outputs):
            yield f"/jobs/{j}/outputs/{i}", use
    for i, payload in enumerate(registration.payloads):
        yield f"/payloads/{i}", FileUse(path=payload.path, digest=payload.digest, size=payload.size)


def _size_flaws(registration: Registration) -> Iterator[Flaw]:
    """One digest has one size, whoever names it."""
    sizes: dict[str, int] = {}
    for pointer, use in _iter_uses(registration):
        if use.digest is None or use.size is None:
            continue
        if sizes.setdefault(use.digest, use.size) != use.size:
            yield Flaw(f"{pointer}/size", "the same digest is given with another size elsewhere")
    for d, dataset in enumerate(registration.datasets):
        for m, member in enumerate(dataset.members):
            if sizes.setdefault(member.digest, member.size) != member.size:
                yield Flaw(f"/datasets/{d}/members/{m}/size", "the same digest is given with another size elsewhere")
    has_content = {dataset.digest: any(member.size for member in dataset.members) for dataset in registration.datasets}
    for pointer, use in _iter_uses(registration):
        if use.digest in has_content and use.size is not None and has_content[use.digest] != (use.size > 0):
            yield Flaw(f"{pointer}/size", "a dataset has the size of its members, which is 0 only where all are empty")


# ----------------------------------------------------------------------------------------------------- writing


def _find_known(engine: Engine, body_digest: bytes, viewer: Viewer, project: str | None) -> Registered | None:
    """The answer to a request that was answered before, without reading it again."""
    query = (select(models.dag.c.digest, models.session.c.project_id).select_from(models.dag).join(models.session)
             .where(models.dag.c.body == body_digest))
    with engine.connect() as connection:
        row = connection.execute(query).first()
        if row is None:
            return None
        _known_project(connection, viewer, row.project_id, project)
        uids = connection.execute(
            select(models.job.c.uid).join(models.dag_job).where(models.dag_job.c.dag == row.digest)
            .order_by(models.dag_job.c.position)).scalars()
        return Registered(dag=row.digest.hex(), jobs=tuple(uid.hex() for uid in uids), created=False)


def _write(connection: Connection, registration: Registration, shape: dict[str, Any], *, digest: bytes,
           body_digest: bytes, viewer: Viewer, project: str | None) -> Registered:
    session = bytes.fromhex(registration.session)
    project_id = _session_project(connection, session, viewer, project)
    answer = Registered(dag=digest.hex(), jobs=tuple(job.uid for job in registration.jobs), created=True)
    if connection.execute(select(models.dag.c.digest).where(models.dag.c.digest == digest)).first() is not None:
        return Registered(dag=answer.dag, jobs=answer.jobs, created=False)
    _write_artifacts(connection, registration, project_id)
    _write_datasets(connection, registration.datasets, project_id)
    ids = _write_jobs(connection, registration, shape["jobs"], session, project_id)
    connection.execute(insert(models.dag), {
        "digest": digest, "session": session, "body": body_digest, "client": registration.client[:200],
        "wire_version": registration.version, "registered_at": now(), "registered_by": viewer.user_id,
        "jobs": len(registration.jobs)})
    insert_rows(connection, models.dag_job, [{"dag": digest, "position": position, "job_id": ids[job.uid]}
                                             for position, job in enumerate(registration.jobs)])
    return answer


def _session_project(connection: Connection, session: bytes, viewer: Viewer, project: str | None) -> int:
    """The session's project, where the viewer may write; a new session joins `project`."""
    project_id = connection.execute(
        select(models.session.c.project_id).where(models.session.c.uid == session)).scalar()
    if project_id is not None:
        return _known_project(connection, viewer, project_id, project)
    project_id = project_for_writing(connection, viewer, name=project)
    connection.execute(insert(models.session), {"uid": session, "project_id": project_id, "registered_at": now()})
    return project_id


def _known_project(connection: Connection, viewer: Viewer, project_id: int, named: str | None) -> int:
    """The project that a session is in already. Whoever names another one must not believe that it went there."""
    project_for_writing(connection, viewer, project_id=project_id)
    name = connection.execute(select(models.project.c.name).where(models.project.c.id == project_id)).scalar_one()
    if named is not None and named != name:
        raise ProblemError(409, f"This session is in the project {name} already and stays there.")
    return project_id


def _write_artifacts(connection: Connection, registration: Registration, project_id: int) -> None:
    rows: dict[bytes, dict[str, Any]] = {}
    for dataset in registration.datasets:
        for member in dataset.members:
            key = bytes.fromhex(member.digest)
            rows[key] = {"digest": key, "kind": "file", "size": member.size, "files": None}
    for _, use in _iter_uses(registration):
        if use.digest is not None:
            key = bytes.fromhex(use.digest)
            rows[key] = {"digest": key, "kind": str(use.kind), "size": use.size, "files": use.files}
    table = models.artifact
    otherwise: dict[bytes, int] = {}
    for chunk in in_parts(sorted(rows), CHUNK):
        for known in connection.execute(select(table.c.digest, table.c.size).where(table.c.digest.in_(chunk))):
            size = rows.pop(known.digest)["size"]
            if size is not None and size != known.size:
                otherwise[known.digest] = size
    _check_sizes(connection, otherwise, project_id)
    for chunk in in_parts(sorted(otherwise), CHUNK):
        connection.execute(update(table).where(table.c.digest.in_(chunk)).values(size=None))
    insert_rows(connection, table, [rows[key] for key in sorted(rows)], keep_existing=True)


def _check_sizes(connection: Connection, sizes: Mapping[bytes, int], project_id: int) -> None:
    """A digest has one size within a project. What others say is theirs: it neither binds nor is told anybody.

    Raises:
        ProblemError: 422 where the project has another size of one.
    """
    digests = sorted(sizes)
    known = [(digest, row.size) for digest, row in _size_used().rows(connection, digests, project=project_id)]
    known += [(digest, row.size if row.sizes is None else row.sizes[row.position])
              for digest, row in _size_inside().rows(connection, digests, project=project_id)]
    for digest, size in known:
        if size != sizes[digest]:
            raise ProblemError(422, f"Artifact {digest.hex()} is registered with another size in this project.")


@functools.lru_cache(maxsize=1)
def _size_used() -> ForEach:
    """The size of an artifact as jobs of a project said."""
    use, job = models.file_use.c, models.job.c
    return ForEach(select(use.size).join_from(models.file_use, models.job).where(
        job.project_id == bindparam("project", 0, job.project_id.type), use.size.is_not(None)).limit(1), use.digest)


@functools.lru_cache(maxsize=1)
def _size_inside() -> ForEach:
    """The size of a file as a project told the members of a dataset."""
    member, told = models.dataset_member, models.dataset_project
    return ForEach(select(member.c.size, member.c.position, told.c.sizes).join(
        told, told.c.dataset == member.c.dataset).where(
        told.c.project_id == bindparam("project", 0, told.c.project_id.type)).limit(1), member.c.digest)


def _write_datasets(connection: Connection, datasets: tuple[Dataset, ...], project_id: int) -> None:
    """The members of datasets that this project did not tell before, as the first project told them or otherwise."""
    told = models.dataset_project
    new = {bytes.fromhex(dataset.digest): dataset for dataset in datasets if dataset.members}
    for chunk in in_parts(sorted(new), CHUNK):
        for key in connection.execute(select(told.c.dataset).where(
                told.c.project_id == project_id, told.c.dataset.in_(chunk))).scalars().all():
            del new[key]
    alike = []
    for key in sorted(new):
        sizes = _write_members(connection, key, new[key])
        if sizes is None:
            alike.append({"dataset": key, "project_id": project_id})
        else:
            connection.execute(insert_new(connection, told), {
                "dataset": key, "project_id": project_id, "sizes": sizes})
    insert_rows(connection, told, alike, keep_existing=True)


def _write_members(connection: Connection, key: bytes, dataset: Dataset) -> list[int] | None:
    """Keep the members of a dataset; their sizes by position where others are kept already."""
    table = models.dataset_member
    members = sorted(dataset.members, key=lambda member: (member.path, member.digest))
    sizes = [member.size for member in members]
    kept = connection.execute(select(table.c.size).where(table.c.dataset == key).order_by(table.c.position)
                              ).scalars().all()
    if not kept:
        insert_rows(connection, table, [
            {"dataset": key, "position": n, "path": m.path, "digest": bytes.fromhex(m.digest), "size": m.size}
            for n, m in enumerate(members)], keep_existing=True)
    return sizes if kept and kept != sizes else None


def _write_jobs(connection: Connection, registration: Registration, shapes: list[dict[str, Any]], session: bytes,
                project_id: int) -> dict[str, int]:
    """Write the jobs that are new, finish those that were running, and learn what may be learned later. Ids by uid."""
    contents = {job.uid: _content_digest(shape) for job, shape in zip(registration.jobs, shapes, strict=True)}
    known = _known_jobs(connection, [bytes.fromhex(job.uid) for job in registration.jobs])
    new = [job for job in registration.jobs if job.uid not in known]
    payloads: defaultdict[str, list[FileUse]] = defaultdict(list)
    for payload in registration.payloads:
        payloads[payload.job].append(FileUse(path=payload.path, digest=payload.digest, size=payload.size))
    _write_environments(connection, new)
    ids = {uid: row.id for uid, row in known.items()}
    ids |= _insert_jobs(connection, new, contents, session, project_id)
    for job, shape in zip(registration.jobs, shapes, strict=True):
        if job.uid in known:
            row = known[job.uid]
            if row.project_id != project_id:
                raise ProblemError(409, f"Job {job.uid} is registered in another project.")
            changed = row.content != contents[job.uid]
            if changed and (row.state == JobState.RUNNING
                            or _hides_a_secret(connection, job.uid, shape, payloads[job.uid])):
                _replace_job(connection, job, row.id, contents[job.uid])
                new.append(job)
                _learn(connection, job, row.id)
                continue
            if changed:  # known by this form from now on, so that it is not compared again
                connection.execute(update(models.job).where(models.job.c.id == row.id).values(
                    content=contents[job.uid]))
            _learn(connection, _as_kept(job, row), row.id)
    _write_uses(connection, payloads, new, ids, {(age.job, age.input): age.unchanged_since
                                                 for age in registration.ages})
    return ids


def _content_digest(shape: dict[str, Any]) -> bytes:
    return _shape_digest(_content(shape))


def _content(shape: dict[str, Any]) -> dict[str, Any]:
    """What never changes of a job."""
    return {key: value for key, value in shape.items() if key not in {"tracker_runs", "labels"}}


def _hides_a_secret(connection: Connection, uid: str, shape: dict[str, Any], payloads: list[FileUse]) -> bool:
    """Whether a job that is over is to be kept as in `shape`: only where a secret is in what is kept of it now.

    Raises:
        ProblemError: 409 where the two differ in anything but what they hide.
    """
    stored = find_job(connection, OWNER, uid)
    assert stored is not None
    kept = file_uses(connection, stored.key, Role.PAYLOAD)
    content = replace(stored.job, tracker_runs=(), labels={})
    has_secret = next(iter_secrets([content, *kept]), None) is not None
    if not same_job(_content(to_json(content)), _content(shape)) or (
            has_secret and not same_files(to_json(kept), to_json(payloads))):
        raise ProblemError(409, f"Job {uid} is registered with other content, and a job never changes.")
    return has_secret


def _shape_digest(shape: Any) -> bytes:
    """BLAKE3 over the canonical JSON of what `to_json` made, which `canonical_json` would make a second time."""
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return blake3.blake3(text.encode()).digest()


def _known_jobs(connection: Connection, uids: list[bytes]) -> dict[str, Any]:
    """Rows of the jobs that are there. No other registration learns anything about them before this one ends."""
    table = models.job
    columns = (select(table.c.id, table.c.uid, table.c.content, table.c.state, table.c.project_id, table.c.command,
                      table.c.name, table.c.git).order_by(table.c.uid)
               .with_for_update())  # SQLite has one writer at a time anyway, and no such words
    return {row.uid.hex(): row for chunk in in_parts(sorted(uids), CHUNK)
            for row in connection.execute(columns.where(table.c.uid.in_(chunk)))}


def _as_kept(job: Job, row: Row[Any]) -> Job:
    """A known job with what is searched for of it as it is kept: another form may show what that hides."""
    return replace(job, command=tuple(row.command), name=row.name, git=None if row.git is None else git_of(row.git))


@functools.lru_cache(maxsize=64)
def _environment(host: Host | None, python: Python | None) -> tuple[bytes, dict[str, Any]]:
    """Digest and body. The jobs of a session mostly share one, with hundreds of packages."""
    body = {"host": to_json(host), "python": to_json(python)}
    return _shape_digest(body), body


def _write_environments(connection: Connection, jobs: list[Job]) -> None:
    bodies = dict(_environment(job.host, job.python) for job in jobs)
    packages: set[tuple[str, str, bytes]] = set()
    for digest in sorted(bodies):
        connection.execute(insert_new(connection, models.environment), {"digest": digest, "body": bodies[digest]})
        for entry in (bodies[digest]["python"] or {}).get("packages", []):
            packages.add((entry["name"].lower(), entry["version"], digest))
    insert_rows(connection, models.package, [
        {"name": name, "version": version, "environment": digest} for name, version, digest in sorted(packages)
    ], keep_existing=True)


def _job_row(job: Job, content: bytes, session: bytes, project_id: int) -> dict[str, Any]:
    return {
        "uid": bytes.fromhex(job.uid), "session": session, "project_id": project_id, "step": job.step,
        "kind": job.kind, "name": job.name, "command": list(job.command), "cwd": job.cwd,
        "started_at": job.started_at, "duration_s": job.duration_s, "exit_code": job.exit_code,
        "state": str(job.state), "git": to_json(job.git), "environment": _environment(job.host, job.python)[0],
        "tracer": to_json(job.tracer), "trackers": to_json(job.trackers), "content": content,
        "inputs": len(job.inputs), "outputs": len(job.outputs),
    }


def _insert_jobs(connection: Connection, jobs: list[Job], contents: dict[str, bytes], session: bytes,
                 project_id: int) -> dict[str, int]:
    if not jobs:
        return {}
    rows = [_job_row(job, contents[job.uid], session, project_id) for job in jobs]
    inserted = connection.execute(
        insert(models.job).returning(models.job.c.id, models.job.c.uid, sort_by_parameter_order=True), rows)
    ids = {row.uid.hex(): row.id for row in inserted}
    for job in jobs:
        _learn(connection, job, ids[job.uid])
    return ids


def _replace_job(connection: Connection, job: Job, job_id: int, content: bytes) -> None:
    """A job that was registered while it ran is over now, or one that showed a secret hides it now."""
    before = connection.execute(select(models.job.c.environment).where(models.job.c.id == job_id)).scalar_one()
    _write_environments(connection, [job])
    row = _job_row(job, content, b"", 0)
    del row["session"], row["project_id"]
    connection.execute(update(models.job).where(models.job.c.id == job_id), row)
    connection.execute(delete(models.file_use).where(models.file_use.c.job_id == job_id))
    if before != row["environment"]:
        _forget_secret_environment(connection, before)


def _forget_secret_environment(connection: Connection, digest: bytes) -> None:
    """Delete an environment that no job has any more, if it holds a secret: nobody can register that again."""
    table = models.environment
    used = connection.execute(select(models.job.c.id).where(models.job.c.environment == digest).limit(1)).first()
    body = connection.execute(select(table.c.body).where(table.c.digest == digest)).scalar_one()
    if used is None and next(iter_secrets(body), None) is not None:
        connection.execute(delete(models.package).where(models.package.c.environment == digest))
        connection.execute(delete(table).where(table.c.digest == digest))


def _write_uses(connection: Connection, payloads: Mapping[str, list[FileUse]], jobs: list[Job], ids: dict[str, int],
                ages: Mapping[tuple[str, int], str]) -> None:
    rows: list[dict[str, Any]] = []
    for job in jobs:
        rows += [row | {"unchanged_since": ages.get((job.uid, row["position"]))}
                 for row in _use_rows(job.inputs, Role.INPUT, ids[job.uid])]
        rows += _use_rows(job.outputs, Role.OUTPUT, ids[job.uid])
        rows += _use_rows(payloads.get(job.uid, ()), Role.PAYLOAD, ids[job.uid])
    insert_rows(connection, models.file_use, rows)


def _use_rows(uses: Iterable[FileUse], role: Role, job_id: int) -> list[dict[str, Any]]:
    return [{
        "job_id": job_id, "role": int(role), "position": position, "path": use.path, "path_key": path_key(use.path),
        "file_name": (use.path.rstrip("/").rpartition("/")[2] or use.path)[:LONGEST_NAME],
        "digest": None if use.digest is None else bytes.fromhex(use.digest), "size": use.size,
        "kind": str(use.kind), "files": use.files, "note": use.note, "unchanged_since": None,
    } for position, use in enumerate(uses)]


# ------------------------------------------------------------------------------- what may be learned later


def _learn(connection: Connection, job: Job, job_id: int) -> None:
    """Labels as they are now, tracker runs that were not known, and URLs that were not known."""
    connection.execute(delete(models.label).where(models.label.c.job_id == job_id))
    insert_rows(connection, models.label, [
        {"job_id": job_id, "key": key, "value": value} for key, value in job.labels.items()])
    _learn_tracker_runs(connection, job, job_id)
    connection.execute(delete(models.term).where(models.term.c.job_id == job_id))
    insert_rows(connection, models.term, [
        {"term": word, "job_id": job_id} for word in sorted(set(iter_terms(job)))], keep_existing=True)


def _learn_tracker_runs(connection: Connection, job: Job, job_id: int) -> None:
    table = models.tracker_run
    known = list(connection.execute(select(table).where(table.c.job_id == job_id)))
    for run in job.tracker_runs:
        same = [row for row in known if (row.tracker, row.run_id) == (run.tracker, run.run_id)
                and (None in (row.url, run.url) or row.url == run.url)]
        if not same:
            connection.execute(insert(table), {"job_id": job_id, **_tracker_run_row(run)})
        elif (same[0].url is None and run.url is not None) or _holds_another_text_with_a_secret(same[0], run):
            connection.execute(update(table).where(table.c.id == same[0].id), _tracker_run_row(run))


def _holds_another_text_with_a_secret(row: Row[Any], run: TrackerRun) -> bool:
    """Whether what is kept of a tracker run differs from it, and holds a secret that an older client let pass."""
    kept = {name: getattr(row, name) for name in _tracker_run_row(run)}
    return kept != _tracker_run_row(run) and next(iter_secrets(kept), None) is not None


def _tracker_run_row(run: TrackerRun) -> dict[str, Any]:
    return {**to_json(run), "url_key": None if run.url is None else url_key(run.url)}
