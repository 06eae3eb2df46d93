"""PROV-JSON (W3C member submission of 24 April 2013), built with the `prov` library.

Artifacts are entities and jobs are activities. A dataset is a collection of its members. A job is associated with the
program that it ran, and with the code as its plan. A tracker run is an entity that the job had influence on.

What several jobs wrote is one artifact, but PROV lets an entity be generated only once (PROV-CONSTRAINTS, constraint
24), so each further writing has an entity of its own that is a specialization of the artifact.
"""

import shlex
from datetime import datetime
from typing import Any

from prov.constants import PROV_LABEL, PROV_LOCATION, PROV_TYPE, XSD_ANYURI, XSD_LONG
from prov.identifier import Namespace, QualifiedName
from prov.model import Literal, ProvActivity, ProvDocument
from prov.serializers.provjson import encode_json_document

from glaas.exports.lineage import (
    Lineage,
    content_key,
    ended_at,
    iter_artifacts,
    repository_url,
    run_key,
    run_title,
    tracker_runs,
    web_url,
)
from glaas.words import file_name
from roar.wire import FileUse, Job, Kind, TrackerRun

_ROAR = Namespace("roar", "urn:roar:")
_PROV = Namespace("prov", "http://www.w3.org/ns/prov#")
Attributes = dict[QualifiedName, Any]
Pairs = list[tuple[QualifiedName, Any]]


def prov_document(lineage: Lineage) -> dict[str, Any]:
    """The lineage as one PROV-JSON document."""
    document = ProvDocument()
    document.add_namespace(_ROAR)
    for use in iter_artifacts(lineage):
        document.entity(_artifact(use), _artifact_attributes(use))
    for dataset in lineage.datasets:
        for digest in sorted({member.digest for member in dataset.members}):
            document.membership(_ROAR[f"artifact_{dataset.digest}"], _ROAR[f"artifact_{digest}"])
    for key, run in tracker_runs(lineage).items():
        document.entity(_ROAR[f"trackerRun_{key}"], _run_attributes(run))
    generated: set[str] = set()
    for job in lineage.jobs:
        _add_job(document, job, generated)
    shape: dict[str, Any] = _in_order(encode_json_document(document))
    return shape


def _in_order(value: Any) -> Any:
    """The library keeps several values of one attribute as a set: here they get an order."""
    if isinstance(value, dict):
        return {key: _in_order(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((_in_order(item) for item in value), key=repr)
    return value


def _artifact(use: FileUse) -> QualifiedName:
    return _ROAR[f"artifact_{use.digest}"]


def _artifact_attributes(use: FileUse) -> Pairs:
    found: Attributes = {PROV_LABEL: use.path, _ROAR["blake3"]: use.digest, _ROAR["kind"]: str(use.kind)}
    if use.kind is Kind.DATASET:
        found[PROV_TYPE] = _PROV["Collection"]
        found[_ROAR["files"]] = use.files
    found[_ROAR["size"]] = None if use.size is None else Literal(str(use.size), XSD_LONG)
    return _known(found)


def _known(attributes: Attributes) -> Pairs:
    """What is known of them; each value of a list is an attribute of its own."""
    return [(name, one) for name, value in attributes.items() if value is not None
            for one in (value if isinstance(value, list) else [value])]


def _run_attributes(run: TrackerRun) -> Pairs:
    url = web_url(run)
    return _known({
        PROV_LABEL: run_title(run), PROV_TYPE: _ROAR["TrackerRun"], _ROAR["tracker"]: run.tracker,
        _ROAR["runId"]: run.run_id, _ROAR["project"]: run.project, _ROAR["entity"]: run.entity,
        _ROAR["state"]: str(run.state), _ROAR["howToView"]: run.how_to_view,
        PROV_LOCATION: None if url is None else Literal(url, XSD_ANYURI)})


def _add_job(document: ProvDocument, job: Job, generated: set[str]) -> None:
    end = ended_at(job)
    activity = document.activity(
        _ROAR[f"job_{job.uid}"], datetime.fromisoformat(job.started_at),
        None if end is None else datetime.fromisoformat(end), _job_attributes(job))
    for use in job.inputs:
        if use.digest is not None:
            document.usage(activity, _artifact(use), other_attributes={_ROAR["path"]: use.path})
    for use in job.outputs:
        if use.digest is not None:
            _add_output(document, job, use, generated)
    for key in dict.fromkeys(run_key(run) for run in job.tracker_runs):
        document.influence(_ROAR[f"trackerRun_{key}"], activity)
    _add_program(document, job, activity)


def _job_attributes(job: Job) -> Pairs:
    command = shlex.join(job.command)
    return _known({
        PROV_LABEL: job.name or command, _ROAR["command"]: command, _ROAR["cwd"]: job.cwd, _ROAR["step"]: job.step,
        _ROAR["state"]: str(job.state), _ROAR["exitCode"]: job.exit_code,
        _ROAR["host"]: f"{job.host.os} {job.host.machine}" if job.host else None,
        _ROAR["observed"]: job.tracer.mode, _ROAR["couldBeMissed"]: list(job.tracer.gaps),
        _ROAR["label"]: [f"{key}={value}" for key, value in job.labels.items()]})


def _add_output(document: ProvDocument, job: Job, use: FileUse, generated: set[str]) -> None:
    artifact = _artifact(use)
    assert use.digest is not None
    if use.digest in generated:
        written = _ROAR[f"artifact_{use.digest}_{content_key([job.uid, use.path])}"]
        document.entity(written, {PROV_LABEL: use.path, _ROAR["blake3"]: use.digest})
        document.specialization(written, artifact)
        artifact = written
    generated.add(use.digest)
    document.generation(artifact, f"roar:job_{job.uid}", other_attributes={_ROAR["path"]: use.path})


def _add_program(document: ProvDocument, job: Job, activity: ProvActivity) -> None:
    """The program is the agent, the code its plan; neither is there twice for jobs that share it."""
    if not job.command:
        return
    version = job.python.version if job.python else None
    agent = _ROAR[f"program_{content_key([job.command[0], version])}"]
    if not document.get_record(agent):
        document.agent(agent, _known({PROV_TYPE: _PROV["SoftwareAgent"], PROV_LABEL: file_name(job.command[0]),
                                      _ROAR["python"]: version}))
    plan = None
    if job.git is not None and job.git.commit:
        plan = _ROAR[f"code_{content_key(job.git)}"]
        if not document.get_record(plan):
            url = repository_url(job.git.remote)
            document.entity(plan, _known({
                PROV_TYPE: _PROV["Plan"], PROV_LABEL: f"commit {job.git.commit[:12]}", _ROAR["commit"]: job.git.commit,
                _ROAR["branch"]: job.git.branch, _ROAR["uncommittedChanges"]: job.git.dirty,
                _ROAR["patch"]: job.git.patch, PROV_LOCATION: None if url is None else Literal(url, XSD_ANYURI)}))
    document.association(activity, agent, plan)
