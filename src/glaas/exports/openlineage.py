"""OpenLineage run events (spec 2-0-2), built with the OpenLineage client's own models.

Each job has one event that starts it and one that ends it, which tells what it read and wrote. A job of OpenLineage is
a command that recurs and a run of it is a job of ours: its name is the job's name, or else its step.
"""

import shlex
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

import attr
from openlineage.client.event_v2 import InputDataset, OutputDataset, Run, RunEvent, RunState
from openlineage.client.event_v2 import Job as JobOfEvent
from openlineage.client.generated.base import DatasetFacet, JobFacet, RunFacet
from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
from openlineage.client.generated.documentation_job import DocumentationJobFacet
from openlineage.client.generated.error_message_run import ErrorMessageRunFacet
from openlineage.client.generated.input_statistics_input_dataset import InputStatisticsInputDatasetFacet
from openlineage.client.generated.job_type_job import JobTypeJobFacet
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
from openlineage.client.generated.processing_engine_run import ProcessingEngineRunFacet
from openlineage.client.generated.source_code_location_job import SourceCodeLocationJobFacet
from openlineage.client.generated.tags_run import TagsRunFacet, TagsRunFacetFields
from openlineage.client.serde import Serde

from glaas.exports.lineage import PRODUCER, Lineage, ended_at, repository_url, web_url
from roar import __version__
from roar.wire import FileUse, Job, JobState, Kind


@attr.define
class TrackerRunReference:
    """One run in an experiment tracker, as in roar's own JSON."""

    tracker: str
    label: str
    runId: str  # noqa: N815  as OpenLineage spells its fields
    name: str | None
    project: str | None
    entity: str | None
    state: str
    url: str | None
    howToView: str | None  # noqa: N815


@attr.define
class TrackerRunsRunFacet(RunFacet):
    """The tracker runs of a run. OpenLineage has no facet for them, so this is one of roar's own."""

    runs: list[TrackerRunReference] = attr.field(factory=list)
    _additional_skip_redact: ClassVar[list[str]] = []

    @staticmethod
    def _get_schema() -> str:
        return "urn:roar:facets:1-0-0:TrackerRunsRunFacet"


def openlineage_events(lineage: Lineage) -> list[dict[str, Any]]:
    """The events in the order of the jobs, a job's start before its end."""
    names = _job_names(lineage)
    datasets = _WrittenDatasets(lineage)
    return [Serde.to_dict(event) for job in lineage.jobs for event in _iter_events(lineage, job, names[job.uid],
                                                                                   datasets.of(job))]


def _job_names(lineage: Lineage) -> dict[str, str]:
    """By uid. Steps of several sessions may have the same number; they are not the same job for that."""
    names: dict[str, str] = {}
    commands: dict[str, tuple[tuple[str, ...], str]] = {}
    for job in lineage.jobs:
        name = job.name or f"step-{job.step}"
        command = job.command, job.cwd
        if job.name is None and commands.setdefault(name, command) != command:
            name = f"{name}-{job.uid[:8]}"
        names[job.uid] = name
    return names


def _iter_events(lineage: Lineage, job: Job, name: str, more: list[OutputDataset]) -> Iterator[RunEvent]:
    end = ended_at(job) if job.state is not JobState.RUNNING else None
    of = JobOfEvent(namespace=f"roar:{lineage.session}", name=name, facets=_job_facets(job))
    run = Run(runId=str(uuid.UUID(job.uid)), facets=_run_facets(job))
    inputs = [_input(lineage, use) for use in job.inputs if use.digest is not None]
    outputs = [_output(lineage, use) for use in job.outputs if use.digest is not None] + more
    if end is None:  # where no end is known the start tells it all
        yield RunEvent(eventType=RunState.START, eventTime=job.started_at, producer=PRODUCER, job=of, run=run,
                       inputs=inputs, outputs=outputs)
        return
    yield RunEvent(eventType=RunState.START, eventTime=job.started_at, producer=PRODUCER, job=of, run=run)
    yield RunEvent(eventType=_outcome(job), eventTime=end, producer=PRODUCER, job=of, run=run, inputs=inputs,
                   outputs=outputs)


def _outcome(job: Job) -> RunState:
    if job.state is JobState.INTERRUPTED:
        return RunState.ABORT
    return RunState.COMPLETE if job.exit_code in {0, None} else RunState.FAIL


def _namespace(lineage: Lineage, path: str) -> str:
    """A path inside the workspace means nothing outside of it; an absolute one is a file as OpenLineage names them."""
    return "file" if path.startswith("/") else f"roar:{lineage.session}"


def _dataset_facets(use: FileUse) -> dict[str, DatasetFacet]:
    return {"version": DatasetVersionDatasetFacet(datasetVersion=f"blake3:{use.digest}", producer=PRODUCER)}


def _files(use: FileUse) -> int:
    return 1 if use.files is None else use.files


def _input(lineage: Lineage, use: FileUse) -> InputDataset:
    return InputDataset(
        namespace=_namespace(lineage, use.path), name=use.path, facets=_dataset_facets(use),
        inputFacets={"inputStatistics": InputStatisticsInputDatasetFacet(
            size=use.size, fileCount=_files(use), producer=PRODUCER)})


def _output(lineage: Lineage, use: FileUse) -> OutputDataset:
    return OutputDataset(
        namespace=_namespace(lineage, use.path), name=use.path, facets=_dataset_facets(use),
        outputFacets={"outputStatistics": OutputStatisticsOutputDatasetFacet(
            size=use.size, fileCount=_files(use), producer=PRODUCER)})


class _WrittenDatasets:
    """The datasets that a job wrote file by file and another read as one.

    OpenLineage joins runs by the names of datasets and knows no part of one, so the job that wrote members names the
    dataset among its outputs; without a version, for the job may not have written all of it.
    """

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._paths: dict[str, list[str]] = {}  # member's digest → paths of the datasets that hold it
        paths = {use.digest: use.path for job in lineage.jobs for use in (*job.inputs, *job.outputs)
                 if use.kind is Kind.DATASET}
        for dataset in lineage.datasets:
            for member in dataset.members:
                if member.size:
                    self._paths.setdefault(member.digest, []).append(paths[dataset.digest])

    def of(self, job: Job) -> list[OutputDataset]:
        """Those that `job` wrote something of."""
        named = {use.path for use in job.outputs}
        found = {path for use in job.outputs if use.digest for path in self._paths.get(use.digest, ())}
        return [OutputDataset(namespace=_namespace(self._lineage, path), name=path) for path in sorted(found - named)]


def _run_facets(job: Job) -> dict[str, RunFacet]:
    facets: dict[str, RunFacet] = {}
    if job.exit_code not in {0, None} or job.state is JobState.INTERRUPTED:
        facets["errorMessage"] = ErrorMessageRunFacet(
            message=f"exit code {job.exit_code}", programmingLanguage="unknown", producer=PRODUCER)
    if job.python is not None:
        facets["processing_engine"] = ProcessingEngineRunFacet(
            name="Python", version=job.python.version, openlineageAdapterVersion=__version__, producer=PRODUCER)
    if job.labels:
        facets["tags"] = TagsRunFacet(producer=PRODUCER, tags=[
            TagsRunFacetFields(key=key, value=value, source="roar") for key, value in sorted(job.labels.items())])
    if job.tracker_runs:
        facets["roar_trackerRuns"] = TrackerRunsRunFacet(producer=PRODUCER, runs=[
            TrackerRunReference(tracker=run.tracker, label=run.label, runId=run.run_id, name=run.name,
                                project=run.project, entity=run.entity, state=str(run.state), url=web_url(run),
                                howToView=run.how_to_view) for run in job.tracker_runs])
    return facets


def _job_facets(job: Job) -> dict[str, JobFacet]:
    facets: dict[str, JobFacet] = {
        "jobType": JobTypeJobFacet(processingType="BATCH", integration="ROAR", jobType="COMMAND", producer=PRODUCER),
        "documentation": DocumentationJobFacet(description=shlex.join(job.command), producer=PRODUCER)}
    url = repository_url(job.git.remote) if job.git is not None else None
    if url is not None and job.git is not None and job.git.commit:
        facets["sourceCodeLocation"] = SourceCodeLocationJobFacet(
            type="git", url=url, repoUrl=url, version=job.git.commit, branch=job.git.branch, producer=PRODUCER)
    return facets
