"""OpenLineage run events (spec 2-0-2): one that starts and one that ends for each job."""

import shlex
import uuid
from typing import Any

from glaas.exports.session import PRODUCER, Session, ended_at, web_url
from roar.wire import FileUse, Job, JobState

Node = dict[str, Any]
SPEC = "https://openlineage.io/spec"
RUN_EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"


def openlineage_events(session: Session) -> list[Node]:
    """The session's events in the order of its jobs."""
    events = []
    for job in session.jobs:
        events.append(_event(session, job, "START", job.started_at))
        end = ended_at(job)
        if end is not None and job.state != JobState.RUNNING:
            events.append(_event(session, job, _outcome(job), end))
    return events


def _outcome(job: Job) -> str:
    if job.state == JobState.INTERRUPTED:
        return "ABORT"
    return "COMPLETE" if job.exit_code in {0, None} else "FAIL"


def _event(session: Session, job: Job, kind: str, time: str) -> Node:
    return {
        "eventType": kind, "eventTime": time, "producer": PRODUCER, "schemaURL": RUN_EVENT,
        "run": {"runId": str(uuid.UUID(job.uid)), "facets": _run_facets(job)},
        "job": {"namespace": f"roar:{session.session}", "name": job.name or f"step-{job.step}",
                "facets": _job_facets(job)},
        "inputs": [_dataset(use) for use in job.inputs if use.digest is not None],
        "outputs": [_dataset(use) for use in job.outputs if use.digest is not None],
    }


def _facet(schema: str, **values: Any) -> Node:
    return {"_producer": PRODUCER, "_schemaURL": schema, **values}


def _dataset(use: FileUse) -> Node:
    version = _facet(f"{SPEC}/facets/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet",
                     datasetVersion=f"blake3:{use.digest}")
    return {"namespace": "file", "name": use.path, "facets": {"version": version}}


def _run_facets(job: Job) -> Node:
    facets: Node = {}
    if job.exit_code not in {0, None} or job.state == JobState.INTERRUPTED:
        facets["errorMessage"] = _facet(
            f"{SPEC}/facets/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet",
            message=f"exit code {job.exit_code}", programmingLanguage="unknown")
    if job.tracker_runs:
        facets["roar_trackerRuns"] = _facet(f"{PRODUCER}:trackerRuns", runs=[
            {"tracker": run.tracker, "label": run.label, "runId": run.run_id, "name": run.name,
             "project": run.project, "entity": run.entity, "state": str(run.state), "url": web_url(run)}
            for run in job.tracker_runs])
    return facets


def _job_facets(job: Job) -> Node:
    facets: Node = {
        "jobType": _facet(f"{SPEC}/facets/2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet", processingType="BATCH",
                          integration="ROAR", jobType="COMMAND"),
        "documentation": _facet(f"{SPEC}/facets/1-0-1/DocumentationJobFacet.json#/$defs/DocumentationJobFacet",
                                description=shlex.join(job.command)),
    }
    if job.git is not None and job.git.commit and job.git.remote:
        facets["sourceCodeLocation"] = _facet(
            f"{SPEC}/facets/1-0-1/SourceCodeLocationJobFacet.json#/$defs/SourceCodeLocationJobFacet",
            type="git", url=job.git.remote, repoUrl=job.git.remote, version=job.git.commit,
            **({"branch": job.git.branch} if job.git.branch else {}))
    return facets
