"""CycloneDX 1.6 ML-BOM: artifacts and packages are components, jobs are tasks of one workflow (`formulation`)."""

import shlex
import uuid
from typing import Any
from urllib.parse import quote

from glaas.exports.session import Session, ended_at, iter_artifacts, web_url
from glaas.words import file_name
from roar import __version__
from roar.wire import FileUse, Job, Kind, TrackerRun

Node = dict[str, Any]
MODEL_ENDINGS = (".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".pkl", ".joblib", ".h5", ".keras", ".gguf",
                 ".tflite", ".bin", ".pb", ".mlmodel", ".xgb", ".cbm")


def cyclonedx_bom(session: Session) -> Node:
    """The session as a bill of materials. The same DAG has the same serial number."""
    written = {use.digest for job in session.jobs for use in job.outputs}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, session.dag)}", "version": 1,
        "metadata": {
            "timestamp": session.registered_at,
            "tools": {"components": [{"type": "application", "name": "roar", "version": __version__}]},
            "component": {"type": "application", "bom-ref": f"dag:{session.dag}", "name": f"session {session.session}",
                          "version": session.dag[:12]},
        },
        "components": [*(_component(use, written) for use in iter_artifacts(session)), *_packages(session)],
        "formulation": [{"bom-ref": f"formula:{session.dag}", "workflows": [_workflow(session)]}],
    }


def _component(use: FileUse, written: set[str | None]) -> Node:
    node: Node = {"type": "file", "bom-ref": f"blake3:{use.digest}", "name": use.path}
    if use.kind == Kind.DATASET:
        node |= {"type": "data", "data": [{"type": "dataset", "name": use.path}]}
    elif use.digest in written and file_name(use.path).lower().endswith(MODEL_ENDINGS):
        node["type"] = "machine-learning-model"
    if use.kind == Kind.FILE:  # the digest of a dataset is that of its list of members, not of any bytes
        node["hashes"] = [{"alg": "BLAKE3", "content": use.digest}]
    node["properties"] = [{"name": "roar:kind", "value": str(use.kind)}]
    if use.size is not None:
        node["properties"].append({"name": "roar:size", "value": str(use.size)})
    return node


def _packages(session: Session) -> list[Node]:
    packages = sorted({(p.name, p.version) for job in session.jobs if job.python for p in job.python.packages})
    return [{"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
            for name, version in packages
            for purl in [f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version)}"]]


def _workflow(session: Session) -> Node:
    return {"bom-ref": f"workflow:{session.dag}", "uid": session.session, "name": f"session {session.session}",
            "taskTypes": ["other"], "tasks": [_task(job) for job in session.jobs]}


def _task(job: Job) -> Node:
    task: Node = {
        "bom-ref": f"job:{job.uid}", "uid": job.uid, "name": job.name or f"step {job.step}", "taskTypes": ["other"],
        "description": shlex.join(job.command),
        "steps": [{"name": "command", "commands": [{"executed": shlex.join(job.command)}]}],
        "timeStart": job.started_at,
        "inputs": _ends(job.inputs), "outputs": [{"type": "artifact", **end} for end in _ends(job.outputs)],
        "resourceReferences": [reference for run in job.tracker_runs if (reference := _reference(run))],
        "properties": [{"name": "roar:state", "value": str(job.state)},
                       {"name": "roar:exitCode", "value": str(job.exit_code)},
                       *({"name": f"roar:trackerRun:{run.tracker}", "value": run.run_id} for run in job.tracker_runs)],
    }
    if (end := ended_at(job)) is not None:
        task["timeEnd"] = end
    return {key: value for key, value in task.items() if value != []}


def _ends(uses: tuple[FileUse, ...]) -> list[Node]:
    digests = dict.fromkeys(use.digest for use in uses if use.digest is not None)
    return [{"resource": {"ref": f"blake3:{digest}"}} for digest in digests]


def _reference(run: TrackerRun) -> Node | None:
    url = web_url(run)
    if url is None:
        return None
    return {"externalReference": {"type": "other", "url": url, "comment": f"{run.label} run {run.name or run.run_id}"}}
