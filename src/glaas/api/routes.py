"""`/api/v1`: registering, and reading what is registered."""

import dataclasses
import re
from http import HTTPStatus
from typing import Annotated, Any, Literal

import blake3
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine
from starlette.responses import JSONResponse

from glaas import catalog, others, uploads
from glaas.access import Viewer, require_writer
from glaas.accounts import tokens_of
from glaas.api import views
from glaas.compare import compare
from glaas.db import writing
from glaas.errors import PROBLEM_JSON, ProblemError, not_found
from glaas.graph import MOST_JOBS, Direction, dag_graph, lineage, uses_by_way
from glaas.identities import identities_of
from glaas.ingest import REGISTRATION, register
from glaas.models import Role
from glaas.search import LONGEST_QUERY, search, similar_jobs
from glaas.state import (
    LARGEST_POSITION,
    Reading,
    ViewerNow,
    cursor_or_422,
    digest_or_404,
    engine_of,
    job_by_prefix,
    number_or_422,
    position_or_422,
    reads,
    settings_of,
    uid_or_404,
)
from glaas.web import read_body, read_part
from roar.wire import Job, Registration, find_secret

PROBLEM = {"content": {PROBLEM_JSON: {"schema": {
    "type": "object", "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object", "properties": {
            "pointer": {"type": "string"}, "detail": {"type": "string"}}}},
    }}}}}


def _problems(**statuses: str) -> dict[int | str, dict[str, Any]]:
    return {int(status.removeprefix("s")): PROBLEM | {"description": text} for status, text in statuses.items()}


_EVERYTHING_KNOWN: dict[int | str, dict[str, Any]] = {200: {"description": "Everything was registered before."}}
NOT_FOUND = _problems(s404="There is no such thing, or you may not see it.", s422="The request is off.")
router = APIRouter(prefix="/api/v1", responses=_problems(s421="Not this server's name."))
Cursor = Annotated[str | None, Query(description="`next` of the page before", max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000, description="how many at most")]
UseRole = Annotated[Literal["input", "output", "payload"], Query(description=(
    "`input` for those that read it, `output` for those that wrote it, `payload` for those that wrote it into a"
    " tracker's store"))]


def answer(request: Request, shape: Any) -> Response:
    """`shape` as JSON with an entity tag; 304 where the client has it already."""
    return tagged(request, JSONResponse(shape))


def tagged(request: Request, response: Response) -> Response:
    """`response` with an entity tag; 304 where the client has it already."""
    tag = f'"{blake3.blake3(response.body).hexdigest()[:32]}"'
    known = {text.strip().removeprefix("W/") for text in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return response


@router.post(
    "/sessions", status_code=201, summary="Register a session",
    responses=_EVERYTHING_KNOWN | _problems(
        s400="The body cannot be read.", s401="Say who you are.", s403="You may not write here.",
        s404="There is no such project.",
        s409="A job is registered with other content or in another project, or the session is in another project.",
        s413="The body is too large.", s415="The body is not JSON.", s422="The registration is not sound.",
        s429="Too many registrations."),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Registration"}}}}},
)
async def register_session(request: Request, viewer: ViewerNow,
                           project: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
                           upload: Annotated[str | None, Query(max_length=100, description=(
                               "digest of an upload that holds the registration; then the body is empty"))] = None,
                           ) -> Response:
    """Freeze a session under the digest of its graph. Sending the same thing twice changes nothing.

    A text may have 1,000,000 characters; one that describes code, machine, interpreter or tracer 10,000; the name of a
    label, a package or a tracker's project, entity or run id 255.
    """
    request.app.state.rate_limit.check(str(viewer.user_id or (request.client and request.client.host)))
    limit = settings_of(request).max_body
    body = await read_body(request, limit)
    if upload is not None:
        digest_or_404(upload, "upload")
        body = await run_in_threadpool(_take_upload, engine_of(request), viewer, upload, limit)
    if project is not None and ("\0" in project or find_secret(project)):
        raise ProblemError(422, "A project's name has no NUL, and holds no secret.")
    try:
        done = await run_in_threadpool(register, engine_of(request), body, viewer, project)
    except ProblemError as problem:
        if upload is not None and problem.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            await run_in_threadpool(_drop_upload, engine_of(request), viewer, upload)  # it may hold a secret
        raise
    if upload is not None:
        await run_in_threadpool(_drop_upload, engine_of(request), viewer, upload)
    shape = {"dag": done.dag, "url": f"/dag/{done.dag}", "created": done.created,
             "jobs": [{"uid": uid, "url": f"/jobs/{uid}"} for uid in done.jobs]}
    return JSONResponse(shape, 201 if done.created else 200, headers={"Location": f"/api/v1/sessions/{done.dag}"})


def _take_upload(engine: Engine, viewer: Viewer, digest: str, limit: int) -> bytes:
    require_writer(viewer)
    try:
        with engine.connect() as connection:
            return uploads.take(connection, viewer, digest, limit=limit)
    except ProblemError:
        _drop_upload(engine, viewer, digest)  # who says that it is complete can only begin again
        raise


def _drop_upload(engine: Engine, viewer: Viewer, digest: str) -> None:
    with writing(engine) as connection:
        uploads.drop(connection, viewer, digest)


UPLOAD = _problems(
    s401="Say who you are.", s403="You may not write here.", s404="This is no digest.",
    s409="Bytes before this part are missing.", s413="The part or the upload is too large.",
    s415="The part is not application/octet-stream.", s422="The request is off.")


@router.get("/uploads/{digest}", responses=UPLOAD, summary="How much of an upload has arrived")
@reads
def read_upload(request: Request, digest: str, viewer: ViewerNow, connection: Reading) -> Response:
    """`received` bytes of your upload of this BLAKE3 digest are here; the next part begins there."""
    require_writer(viewer)
    return answer(request, {"received": uploads.received(connection, viewer, digest_or_404(digest, "upload"))})


@router.put("/uploads/{digest}", responses=UPLOAD, summary="Send a part of a large registration", openapi_extra={
    "requestBody": {"required": True, "content": {"application/octet-stream": {
        "schema": {"type": "string", "format": "binary"}}}}})
async def send_part(request: Request, digest: str, viewer: ViewerNow,
                    offset: Annotated[int, Query(ge=0, le=2**40, description="of its first byte")]) -> Response:
    """Keep at most 16 MiB of an upload, plain JSON or gzip, for a day. What is here already may be sent again."""
    require_writer(viewer)
    digest_or_404(digest, "upload")
    limit = settings_of(request).max_body
    part = await read_part(request, min(uploads.LARGEST_PART, limit))

    def add() -> int:
        with writing(engine_of(request)) as connection:
            return uploads.add_part(connection, viewer, digest, offset, part, limit=limit)

    return JSONResponse({"received": await run_in_threadpool(add)})


@router.get("/sessions", responses=NOT_FOUND, summary="Registered DAGs, newest first")
@reads
def list_sessions(request: Request, *, viewer: ViewerNow, connection: Reading,
                  session: Annotated[str | None, Query(max_length=100, description="only DAGs of this session, by uid")
                                     ] = None, cursor: Cursor = None, limit: Limit = 30) -> Response:
    """DAGs in the order they were registered, newest first: a session that grows has several."""
    lines = catalog.registered_dags(connection, viewer, session=None if session is None else uid_or_404(session),
                                    before=_dag_cursor(cursor), limit=limit)
    return answer(request, {"sessions": [views.dag_shape(line) for line in lines],
                            "next": f"{lines[-1].registered_at}~{lines[-1].digest}" if len(lines) == limit else None})


def _dag_cursor(cursor: str | None) -> tuple[str, str] | None:
    if cursor is None:
        return None
    time, _, digest = cursor.partition("~")
    if not re.fullmatch(r"[0-9T:.Z-]{27}", time, re.ASCII) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ProblemError(422, "The cursor is not one that this server gave out.")
    return time, digest


@router.get("/sessions/{dag}", responses=NOT_FOUND, summary="A registered DAG")
@reads
def read_session(request: Request, dag: str, viewer: ViewerNow, connection: Reading) -> Response:
    """The DAG: its jobs, artifacts and edges."""
    line = catalog.find_dag(connection, viewer, digest_or_404(dag, "session"))
    if line is None:
        raise not_found(f"session {dag}")
    return answer(request, views.dag_shape(line) | views.graph_shape(dag_graph(connection, viewer, dag)))


@router.get("/jobs", responses=NOT_FOUND, summary="Jobs, newest first")
@reads
def list_jobs(request: Request, *, viewer: ViewerNow, connection: Reading, cursor: Cursor = None,
              limit: Limit = 30) -> Response:
    """Jobs in the order they were registered, newest first, without their files."""
    jobs = catalog.recent_jobs(connection, viewer, before=cursor_or_422(cursor), limit=limit)
    return answer(request, {"jobs": [views.job_line_shape(job) for job in jobs],
                            "next": str(jobs[-1].key) if len(jobs) == limit else None})


@router.get("/jobs/{uid}", responses=NOT_FOUND | {200: {"model": Job}}, summary="A job")
@reads
def read_job(request: Request, uid: str, viewer: ViewerNow, connection: Reading) -> Response:
    """The job with everything it read and wrote."""
    stored = _job_or_404(connection, viewer, uid)
    return answer(request, views.job_shape(stored, catalog.find_run_before(connection, viewer, stored)))


@router.get("/jobs/{uid}/similar", responses=NOT_FOUND, summary="Jobs to compare a job with")
@reads
def list_similar(request: Request, uid: str, viewer: ViewerNow, connection: Reading,
                 limit: Annotated[int, Query(ge=1, le=100, description="how many at most")] = 20) -> Response:
    """The run before, then the newest jobs that name the same script, then the newest of its session."""
    stored = _job_or_404(connection, viewer, uid, files=0)
    lines = similar_jobs(connection, viewer, stored, limit=limit)
    return answer(request, {"jobs": [views.job_line_shape(line) for line in lines]})


@router.get("/jobs/{uid}/{role}", responses=NOT_FOUND, summary="A job's inputs or outputs, page by page")
@reads
def list_uses(request: Request, uid: str, role: str, *, viewer: ViewerNow, connection: Reading, cursor: Cursor = None,
              limit: Limit = 100) -> Response:
    """What a job read (`inputs`) or wrote (`outputs`), in order.

    Each input with the job that you may see which wrote it (`written_by`): of all others that started before this job
    ended, the last that wrote it at this very path, by itself or within a dataset, one of the same session before all
    others; else the last that wrote the same content elsewhere, but not if it read it here itself, nor after an
    earlier job of the reader's session had read it here, by itself or within a dataset. Where none did,
    `written_later_by` names one that wrote the same content later: this job read another copy. Each output with the
    other job that read last what this job wrote (`read_by`), by itself, within a dataset or in part; at this path if
    any did. Of a dataset made by several jobs the one that ended last is named, and how many more there are
    (`written_by_others`).
    """
    if role not in {"inputs", "outputs"}:
        raise not_found(f"list of jobs' {role[:20]!a}")
    stored = _job_or_404(connection, viewer, uid, files=0)
    after = position_or_422(cursor)
    start = -1 if after is None else after
    reading = role == "inputs"
    uses, beside = others.uses_and_others(connection, viewer, stored, reading=reading, after=start, limit=limit)
    shape_of = views.input_shape if reading else views.output_shape
    return answer(request, {
        role: [shape_of(use, beside.get((use.path, use.digest or ""))) for use in uses],
        "next": str(start + limit) if len(uses) == limit else None})


def _job_or_404(connection: Reading, viewer: ViewerNow, uid: str, files: int | None = None) -> catalog.StoredJob:
    stored = catalog.find_job(connection, viewer, uid_or_404(uid), files=files)
    if stored is None:
        raise not_found(f"job {uid}")
    return stored


@router.get("/compare", responses=NOT_FOUND, summary="What differs between two jobs")
@reads
def read_comparison(request: Request, viewer: ViewerNow, connection: Reading,
                    a: Annotated[str, Query(description="uid, or its first digits", max_length=100)],
                    b: Annotated[str, Query(description="uid, or its first digits", max_length=100)]) -> Response:
    """What differs, as `roar diff` tells it.

    `likely_causes` names which of `parameters`, `inputs`, `code`, `packages` and `host` differ, the likely cause
    first; not `parameters` where only the order of the words differs, and something else does.
    """
    one, other = (job_by_prefix(connection, viewer, prefix) for prefix in (a, b))
    shape = dataclasses.asdict(compare(one.job, other.job))
    jobs = [views.stored_job_line_shape(stored) for stored in (one, other)]
    return answer(request, {"a": one.job.uid, "b": other.job.uid, "jobs": jobs} | shape)


@router.get("/artifacts/{digest}", responses=NOT_FOUND, summary="An artifact")
@reads
def read_artifact(request: Request, digest: str, viewer: ViewerNow, connection: Reading) -> Response:
    """Some content: the names it was seen under, the jobs that wrote it and those that read it.

    Of many jobs the newest are named; `/uses` lists them all. `produced_as` and `used_as` name those that did not
    write or read this very content, but a dataset with it, or part of the dataset that it is: digest and path of that.
    """
    graph = lineage(connection, viewer, digest_or_404(digest, "artifact"), depth=1, most_jobs=catalog.USES_SHOWN)
    artifact = catalog.find_artifact(connection, viewer, digest, known=graph.jobs)
    if artifact is None:
        raise not_found(f"artifact {digest}")
    return answer(request, views.artifact_shape(artifact, *uses_by_way(graph, bytes.fromhex(digest))))


def _require_artifact(connection: Reading, viewer: ViewerNow, digest: str) -> None:
    if not catalog.knows_artifact(connection, viewer, digest_or_404(digest, "artifact")):
        raise not_found(f"artifact {digest}")


@router.get("/artifacts/{digest}/uses", responses=NOT_FOUND, summary="All jobs that read or wrote an artifact")
@reads
def list_artifact_uses(request: Request, digest: str, *, viewer: ViewerNow, connection: Reading, role: UseRole,
                       cursor: Cursor = None, limit: Limit = 100) -> Response:
    """The jobs with the path that each knew the artifact under, newest first."""
    _require_artifact(connection, viewer, digest)
    uses = catalog.artifact_uses(connection, viewer, digest, Role[role.upper()], before=_use_cursor(cursor),
                                 limit=limit)
    return answer(request, {"uses": [views.use_shape(use) for use in uses],
                            "next": "{}~{}".format(*uses[-1].key) if len(uses) == limit else None})


def _use_cursor(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    job, _, position = cursor.partition("~")
    return number_or_422(job), number_or_422(position, largest=LARGEST_POSITION)


@router.get("/artifacts/{digest}/members", responses=NOT_FOUND, summary="The files of a dataset")
@reads
def list_members(request: Request, digest: str, *, viewer: ViewerNow, connection: Reading,
                 cursor: Cursor = None,
                 within: Annotated[str, Query(max_length=1000, description="text that a path holds")] = "",
                 folder: Annotated[str | None, Query(max_length=4000, description=(
                     "only what lies directly in this folder, which ends in a slash or is empty for the top; folders"
                     " in it are told with how many files they have"))] = None,
                 limit: Limit = 100) -> Response:
    """The members of a dataset, sorted by path: all of them, or one folder after the other."""
    _require_artifact(connection, viewer, digest)
    after = position_or_422(cursor)
    if folder is not None and not within:
        entries, onward = catalog.dataset_folder(connection, viewer, digest, _clean(folder), start=after, limit=limit)
        return answer(request, views.folder_shape(entries) | {"next": None if onward is None else str(onward)})
    members = catalog.dataset_members(connection, viewer, digest, folder=_clean(folder or ""), within=_clean(within),
                                      after=-1 if after is None else after, limit=limit)
    return answer(request, {"members": [views.member_shape(member) for member in members],
                            "next": str(members[-1].position) if len(members) == limit else None})


def _clean(text: str) -> str:
    if "\0" in text:
        raise ProblemError(422, "No path holds a NUL.")
    return text


@router.get("/artifacts/{digest}/lineage", responses=NOT_FOUND, summary="The graph around an artifact")
@reads
def read_lineage(request: Request, digest: str, *, viewer: ViewerNow, connection: Reading,
                 direction: Annotated[Direction, Query(description="`up`, `down` or `both`")] = Direction.BOTH,
                 depth: Annotated[int, Query(ge=1, le=100)] = 5,
                 jobs: Annotated[int, Query(ge=1, le=5000, description="in each direction at most")] = MOST_JOBS,
                 ) -> Response:
    """What made the artifact (`up`), what it went into (`down`), or both; `truncated` tells whether there is more."""
    _require_artifact(connection, viewer, digest)
    graph = lineage(connection, viewer, digest, direction=direction, depth=depth, most_jobs=jobs)
    return answer(request, {"root": digest} | views.graph_shape(graph))


@router.get("/tracker-runs", responses=NOT_FOUND, summary="Tracker runs, newest first")
@reads
def list_tracker_runs(request: Request, *, viewer: ViewerNow, connection: Reading,
                      tracker: Annotated[str | None, Query(max_length=100)] = None,
                      project: Annotated[str | None, Query(max_length=1000)] = None,
                      entity: Annotated[str | None, Query(max_length=1000)] = None,
                      state: Annotated[str | None, Query(max_length=100)] = None,
                      cursor: Cursor = None, limit: Limit = 100) -> Response:
    """References to runs in experiment trackers, with the job that made each."""
    wanted = catalog.TrackerRunFilter(tracker=tracker, project=project, entity=entity, state=state)
    for value in dataclasses.astuple(wanted):
        _clean(value or "")
    lines = catalog.tracker_run_lines(connection, viewer, wanted, before=cursor_or_422(cursor), limit=limit)
    return answer(request, {"tracker_runs": [views.tracker_run_shape(line) for line in lines],
                            "next": str(lines[-1].key) if len(lines) == limit else None})


@router.get("/trackers", responses=NOT_FOUND, summary="Which trackers have runs here")
@reads
def list_trackers(request: Request, viewer: ViewerNow, connection: Reading) -> Response:
    """Name and label of the trackers of the newest runs; `tracker` of the list of runs takes the name."""
    choices = catalog.tracker_choices(connection, viewer)
    return answer(request, {"trackers": [{"tracker": name, "label": label} for name, label in choices]})


@router.get("/account", summary="Your own account",
            responses=_problems(s401="Say who you are.", s404="This server has no accounts."))
@reads
def read_account(request: Request, viewer: ViewerNow, connection: Reading) -> Response:
    """Your API tokens, without their secrets, and who you are to single sign-on."""
    if not settings_of(request).accounts:
        raise ProblemError(404, "This server has no accounts.")
    if viewer.user_id is None:
        raise ProblemError(401, "Say who you are, with an API token.", headers={"WWW-Authenticate": "Bearer"})
    return answer(request, views.account_shape(
        viewer.name, admin=viewer.admin, tokens=tokens_of(connection, viewer.user_id),
        identities=identities_of(connection, viewer.user_id)))


@router.get("/search", responses=NOT_FOUND, summary="Search")
@reads
def read_search(request: Request, viewer: ViewerNow, connection: Reading,
                q: Annotated[str, Query(max_length=LONGEST_QUERY)], limit: Annotated[int, Query(ge=1, le=100)] = 20,
                ) -> Response:
    """Digest prefix, uid prefix, path, words of a command, label, package, tracker run id or tracker run URL."""
    return answer(request, views.found_shape(search(connection, viewer, q, limit=limit)))


def registration_schema() -> dict[str, Any]:
    """The JSON schema of a registration and of everything in it, for the OpenAPI document."""
    schema = REGISTRATION.json_schema(ref_template="#/components/schemas/{model}")
    definitions: dict[str, Any] = schema.pop("$defs", {})
    return definitions | {Registration.__name__: schema}
