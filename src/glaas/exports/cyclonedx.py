"""CycloneDX 1.6 ML-BOM, built with the CycloneDX library where it can.

An artifact is a component: a file, data (a dataset), or a machine learning model. So is a package. What the export is
of (the artifact, else the session) is the component that the document describes; the tracker runs are its external
references. The jobs are tasks of one workflow.

By hand, because the library (11.12) knows no such classes: `formulation`, `modelCard` and a component's `data`; and
the lists of components and dependencies, because its `Bom` looks through all of them for each of them, which takes
hours for a hundred thousand. Each component in the list is one of the library's.
"""

import json
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema.schema import SchemaVersion1Dot6
from packageurl import PackageURL

from glaas.exports.lineage import (
    Lineage,
    Noun,
    ended_at,
    iter_artifacts,
    package_ref,
    packages,
    repository_url,
    run_title,
    tracker_runs,
    web_url,
)
from glaas.words import file_name
from roar import __version__
from roar.wire import FileUse, Job, Kind, TrackerRun

Node = dict[str, Any]
MODEL_ENDINGS = (".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".pkl", ".joblib", ".h5", ".keras", ".gguf",
                 ".tflite", ".bin", ".pb", ".mlmodel", ".xgb", ".cbm")


def cyclonedx_bom(lineage: Lineage) -> Node:
    """The lineage as a bill of materials. The same lineage has the same serial number."""
    artifacts = {use.digest: use for use in iter_artifacts(lineage) if use.digest is not None}
    trained = _trained_with(lineage)
    about = artifacts.pop(lineage.subject.name, None) if lineage.subject.noun is Noun.ARTIFACT else None
    subject = _subject(lineage) if about is None else _artifact(about, trained, references=_references(lineage))
    bom = Bom(serial_number=lineage.uuid, metadata=BomMetaData(
        timestamp=datetime.fromisoformat(lineage.last_seen_at), component=subject,
        tools=ToolRepository(components=[Component(type=ComponentType.APPLICATION, name="roar",
                                                   version=__version__, bom_ref="roar")])))
    document: Node = json.loads(JsonV1Dot6(bom).output_as_string())
    components = [_with_data(_node(_artifact(use, trained)), use, trained) for use in artifacts.values()]
    components += [_node(package) for package in _iter_packages(lineage)]
    if about is not None:
        _with_data(document["metadata"]["component"], about, trained)
    root = document["metadata"]["component"]["bom-ref"]
    document["components"] = components
    document["dependencies"] = [
        {"ref": root, "dependsOn": sorted({node["bom-ref"] for node in components})}, *_members(lineage, root)]
    document["formulation"] = [{"bom-ref": f"formula:{lineage.uuid}", "workflows": [_workflow(lineage)]}]
    return document


def _node(component: Component) -> Node:
    node: Node = json.loads(component.as_json(view_=SchemaVersion1Dot6))  # type: ignore[attr-defined]
    return node


def _subject(lineage: Lineage) -> Component:
    return Component(type=ComponentType.APPLICATION, bom_ref=f"{lineage.subject.noun}:{lineage.uuid}",
                     name=lineage.title, version=lineage.subject.name[:12], external_references=_references(lineage))


def _trained_with(lineage: Lineage) -> dict[str, list[str]]:
    """The models by digest, each with the datasets that the jobs which wrote it had read."""
    found: dict[str, list[str]] = {}
    for job in lineage.jobs:
        for use in job.outputs:
            if use.digest and use.kind is Kind.FILE and file_name(use.path).lower().endswith(MODEL_ENDINGS):
                datasets = found.setdefault(use.digest, [])
                datasets += [read.digest for read in job.inputs if read.digest and read.kind is Kind.DATASET
                             and read.digest not in datasets]
    return found


def _artifact(use: FileUse, trained: dict[str, list[str]], references: list[ExternalReference] | None = None
              ) -> Component:
    kind = ComponentType.FILE
    if use.kind is Kind.DATASET:
        kind = ComponentType.DATA
    elif use.digest in trained:
        kind = ComponentType.MACHINE_LEARNING_MODEL
    properties = [("roar:kind", str(use.kind)), ("roar:size", use.size), ("roar:files", use.files)]
    assert use.digest is not None
    return Component(
        type=kind, bom_ref=f"blake3:{use.digest}", name=use.path, external_references=references,
        # the digest of a dataset is that of its list of members, not of any bytes
        hashes=[HashType(alg=HashAlgorithm.BLAKE3, content=use.digest)] if use.kind is Kind.FILE else None,
        version=use.digest[:12], properties=_properties(properties))


def _properties(pairs: list[tuple[str, Any]]) -> list[Property]:
    return [Property(name=name, value=str(value)) for name, value in pairs if value is not None]


def _with_data(node: Node, use: FileUse, trained: dict[str, list[str]]) -> Node:
    if use.kind is Kind.DATASET:
        node["data"] = [{"type": "dataset", "name": use.path}]
    elif datasets := trained.get(use.digest or ""):
        node["modelCard"] = {"modelParameters": {"datasets": [{"ref": f"blake3:{digest}"} for digest in datasets]}}
    return node


def _iter_packages(lineage: Lineage) -> Iterator[Component]:
    for package in packages(lineage.jobs):
        ref = package_ref(package)
        yield Component(type=ComponentType.LIBRARY, bom_ref=ref, name=package.name or "unnamed",
                        version=package.version or None,
                        purl=PackageURL.from_string(ref) if ref.startswith("pkg:") else None)


def _members(lineage: Lineage, root: str) -> list[Node]:
    parts = {f"blake3:{dataset.digest}": sorted({f"blake3:{member.digest}" for member in dataset.members})
             for dataset in lineage.datasets if dataset.members}
    return [{"ref": ref, "dependsOn": members} for ref, members in parts.items() if ref != root]


def _references(lineage: Lineage) -> list[ExternalReference]:
    """The tracker runs that have an address, and the repositories."""
    runs = [ExternalReference(type=ExternalReferenceType.LOG, url=XsUri(url), comment=run_title(run))
            for run in tracker_runs(lineage).values() if (url := web_url(run)) is not None]
    remotes = {repository_url(job.git.remote) for job in lineage.jobs if job.git is not None}
    return runs + [ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(url)) for url in remotes if url]


# ---------------------------------------------------------------------------------------------------- formulation


def _workflow(lineage: Lineage) -> Node:
    return {"bom-ref": f"workflow:{lineage.uuid}", "uid": str(lineage.uuid), "name": lineage.title,
            "taskTypes": ["other"], "tasks": [_task(job) for job in lineage.jobs]}


def _task(job: Job) -> Node:
    command = shlex.join(job.command)
    git = job.git
    properties: list[tuple[str, Any]] = [
        ("roar:state", str(job.state)), ("roar:exitCode", job.exit_code), ("roar:cwd", job.cwd),
        ("roar:observed", job.tracer.mode), *(("roar:couldBeMissed", gap) for gap in job.tracer.gaps),
        ("roar:python", job.python.version if job.python else None),
        *((("roar:commit", git.commit), ("roar:uncommittedChanges", git.dirty), ("roar:patch", git.patch))
          if git else ()),
        *((f"roar:label:{key}", value) for key, value in sorted(job.labels.items())),
        *(pair for run in job.tracker_runs for pair in _run_properties(run))]
    task: Node = {
        "bom-ref": f"job:{job.uid}", "uid": job.uid, "name": job.name or f"step {job.step}", "taskTypes": ["other"],
        "description": command, "steps": [{"name": "command", "commands": [{"executed": command}]}],
        "timeStart": job.started_at, "timeEnd": ended_at(job),
        "inputs": _ends(job.inputs), "outputs": [{"type": "artifact", **end} for end in _ends(job.outputs)],
        "resourceReferences": _run_references(job),
        "properties": [{"name": name, "value": str(value)} for name, value in properties if value is not None],
    }
    return {key: value for key, value in task.items() if value not in ([], None)}


def _run_properties(run: TrackerRun) -> Iterator[tuple[str, str]]:
    yield f"roar:trackerRun:{run.tracker}", run.run_id
    if run.how_to_view is not None:
        yield f"roar:trackerRun:{run.tracker}:howToView", run.how_to_view


def _run_references(job: Job) -> list[Node]:
    found = {url: run_title(run) for run in job.tracker_runs if (url := web_url(run)) is not None}
    return [{"externalReference": {"type": "log", "url": str(XsUri(url)), "comment": title}}
            for url, title in found.items()]


def _ends(uses: tuple[FileUse, ...]) -> list[Node]:
    digests = dict.fromkeys(use.digest for use in uses if use.digest is not None)
    return [{"resource": {"ref": f"blake3:{digest}"}} for digest in digests]
