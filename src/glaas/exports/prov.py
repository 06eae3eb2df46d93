"""PROV-JSON (W3C member submission of 24 April 2013): artifacts are entities, jobs are activities."""

import shlex
from typing import Any

from glaas.exports.session import PRODUCER, Session, ended_at, iter_artifacts, web_url
from roar.wire import FileUse, Job

Node = dict[str, Any]


def prov_document(session: Session) -> Node:
    """The session as one PROV-JSON document."""
    document: dict[str, Node] = {
        "prefix": {"roar": f"{PRODUCER}:"}, "entity": {}, "activity": {}, "used": {}, "wasGeneratedBy": {}}
    for use in iter_artifacts(session):
        document["entity"][f"roar:artifact_{use.digest}"] = _entity(use)
    for job in session.jobs:
        _add_job(document, job)
    return {name: part for name, part in document.items() if part}


def _entity(use: FileUse) -> Node:
    node: Node = {"prov:label": use.path, "roar:blake3": use.digest, "roar:kind": str(use.kind)}
    if use.size is not None:
        node["roar:size"] = {"$": str(use.size), "type": "xsd:long"}
    return node


def _add_job(document: dict[str, Node], job: Job) -> None:
    name = f"roar:job_{job.uid}"
    activity: Node = {"prov:label": job.name or shlex.join(job.command), "roar:command": shlex.join(job.command),
                      "prov:startTime": job.started_at}
    if (end := ended_at(job)) is not None:
        activity["prov:endTime"] = end
    if job.exit_code is not None:
        activity["roar:exitCode"] = {"$": str(job.exit_code), "type": "xsd:int"}
    if job.git is not None and job.git.commit:
        activity["roar:commit"] = job.git.commit
    document["activity"][name] = activity
    for number, use in enumerate(job.inputs):
        if use.digest is not None:
            document["used"][f"_:{job.uid}_i{number}"] = {
                "prov:activity": name, "prov:entity": f"roar:artifact_{use.digest}", "roar:path": use.path}
    for number, use in enumerate(job.outputs):
        if use.digest is not None:
            document["wasGeneratedBy"][f"_:{job.uid}_o{number}"] = {
                "prov:activity": name, "prov:entity": f"roar:artifact_{use.digest}", "roar:path": use.path}
    for number, run in enumerate(job.tracker_runs):
        key = f"roar:trackerRun_{job.uid}_{number}"
        entity: Node = {"prov:label": f"{run.label} {run.name or run.run_id}", "roar:tracker": run.tracker,
                        "roar:runId": run.run_id, "prov:type": "roar:TrackerRun"}
        if (url := web_url(run)) is not None:
            entity["prov:location"] = {"$": url, "type": "xsd:anyURI"}
        document["entity"][key] = entity
        document["wasGeneratedBy"][f"_:{job.uid}_t{number}"] = {"prov:activity": name, "prov:entity": key}
