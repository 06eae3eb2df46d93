"""`/api/v1/…/export/{name}`: sessions, jobs and artifacts in formats of others."""

import threading
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from glaas import origins
from glaas.api.routes import NOT_FOUND, PROBLEM, tagged
from glaas.errors import ProblemError
from glaas.exports import MEDIA_TYPES, Format, Lineage, export
from glaas.state import Reading, ViewerNow, digest_or_404, reads, uid_or_404

_FORMATS = "CycloneDX 1.6, OpenLineage run events (a list), PROV-JSON, or an RO-Crate 1.2 metadata document."
_ANSWERS: dict[int | str, dict[str, Any]] = NOT_FOUND | {
    503: PROBLEM | {"description": "Too many large exports at once."},
    200: {"description": "The document.", "content": {media_type: {} for media_type in sorted(set(
        MEDIA_TYPES.values()))}}}
Members = Annotated[bool, Query(description="list every file of datasets too, not only those that a job here used")]
router = APIRouter(prefix="/api/v1")
LARGE = 5000
"""Files and members; more take seconds and memory, so only LARGE_AT_ONCE such documents are made at a time."""
LARGE_AT_ONCE = 2
_turns = threading.BoundedSemaphore(LARGE_AT_ONCE)


@router.get("/sessions/{dag}/export/{name}", responses=_ANSWERS, summary="A registered DAG in another format",
            description=_FORMATS)
@reads
def export_session(request: Request, dag: str, name: Format, *, viewer: ViewerNow, connection: Reading,
                   members: Members = False) -> Response:
    """The DAG as one document."""
    return _answer(request, origins.dag_lineage(connection, viewer, digest_or_404(dag, "session"), members=members),
                   name)


@router.get("/jobs/{uid}/export/{name}", responses=_ANSWERS, summary="A job and what it came from in another format",
            description=_FORMATS)
@reads
def export_job(request: Request, uid: str, name: Format, *, viewer: ViewerNow, connection: Reading,
               members: Members = False) -> Response:
    """The job with the jobs that it came from as one document."""
    return _answer(request, origins.job_lineage(connection, viewer, uid_or_404(uid), members=members), name)


@router.get("/artifacts/{digest}/export/{name}", responses=_ANSWERS,
            summary="What an artifact came from in another format", description=_FORMATS)
@reads
def export_artifact(request: Request, digest: str, name: Format, *, viewer: ViewerNow, connection: Reading,
                    members: Members = False) -> Response:
    """The jobs that the artifact came from as one document."""
    lineage = origins.artifact_lineage(connection, viewer, digest_or_404(digest, "artifact"), members=members)
    return _answer(request, lineage, name)


def _answer(request: Request, lineage: Lineage, name: Format) -> Response:
    size = sum(len(job.inputs) + len(job.outputs) for job in lineage.jobs) + sum(
        len(dataset.members) for dataset in lineage.datasets)
    if size <= LARGE:
        return _document(request, lineage, name)
    if not _turns.acquire(blocking=False):
        raise ProblemError(503, "The server is busy with other large exports.", headers={"Retry-After": "30"})
    try:
        return _document(request, lineage, name)
    finally:
        _turns.release()


def _document(request: Request, lineage: Lineage, name: Format) -> Response:
    document = export(lineage, name)
    return tagged(request, Response(document.body, media_type=document.media_type, headers={
        "Content-Disposition": f'attachment; filename="{document.file_name}"'}))
