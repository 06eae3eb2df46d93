"""Views of the catalog as JSON-ready dictionaries. Nouns of the contract keep their shapes; the rest adds to them."""

from typing import Any

from glaas.catalog import Artifact, ArtifactUse, DagLine, JobLine, Member, MemberFolder, StoredJob, TrackerRunLine
from glaas.graph import ArtifactNode, Graph
from glaas.models import Role
from glaas.search import ArtifactHit, Found
from roar.wire import to_json

Shape = dict[str, Any]


def job_shape(stored: StoredJob) -> Shape:
    """A job in the contract's shape, and where it is registered."""
    shape: Shape = to_json(stored.job)
    return shape | {"session": stored.session, "project": stored.project, "dags": [dag.digest for dag in stored.dags]}


def job_line_shape(line: JobLine) -> Shape:
    """A job in a list: without its files."""
    return {"uid": line.uid, "step": line.step, "name": line.name, "command": list(line.command),
            "started_at": line.started_at, "duration_s": line.duration_s, "exit_code": line.exit_code,
            "state": str(line.state), "inputs_count": line.inputs, "outputs_count": line.outputs,
            "project": line.project, "tracker_runs": to_json(line.tracker_runs), "labels": line.labels or {}}


def dag_shape(line: DagLine) -> Shape:
    """A registered DAG in a list."""
    return {"dag": line.digest, "session": line.session, "registered_at": line.registered_at,
            "jobs_count": line.jobs, "project": line.project}


def artifact_shape(artifact: Artifact) -> Shape:
    """An artifact and the jobs around it."""
    return {"digest": artifact.digest, "kind": str(artifact.kind), "size": artifact.size, "files": artifact.files,
            "names": list(artifact.names), "produced_by": [_use_shape(use) for use in artifact.produced_by],
            "used_by": [_use_shape(use) for use in artifact.used_by], "datasets": list(artifact.datasets)}


def _use_shape(use: ArtifactUse) -> Shape:
    return {"path": use.path, "role": use.role.name.lower(), "job": job_line_shape(use.job)}


def member_shape(member: Member) -> Shape:
    """A file of a dataset."""
    return {"path": member.path, "digest": member.digest, "size": member.size}


def folder_shape(entries: tuple[MemberFolder | Member, ...]) -> Shape:
    """What lies directly in a folder of a dataset."""
    return {"folders": [{"path": one.path, "files": one.files} for one in entries if isinstance(one, MemberFolder)],
            "members": [member_shape(one) for one in entries if isinstance(one, Member)]}


def tracker_run_shape(line: TrackerRunLine) -> Shape:
    """A tracker run and the job that made it."""
    shape: Shape = to_json(line.run)
    return shape | {"job": job_line_shape(line.job)}


def graph_shape(graph: Graph) -> Shape:
    """Jobs, artifacts, and edges from what was read to what read it, and from what wrote to what was written."""
    uids = {job.key: job.uid for job in graph.jobs}
    edges: list[Shape] = []
    for edge in graph.edges:
        job, digest = uids[edge.job], edge.artifact.hex()
        source, target = (digest, job) if edge.role is Role.INPUT else (job, digest)
        edges.append({"source": source, "target": target, "role": edge.role.name.lower()})
    edges += [{"source": member.hex(), "target": dataset.hex(), "role": "member"} for member, dataset in graph.members]
    return {"jobs": [job_line_shape(job) for job in graph.jobs],
            "artifacts": [_node_shape(node) for node in graph.artifacts.values()], "edges": edges,
            "truncated": graph.truncated}


def _node_shape(node: ArtifactNode) -> Shape:
    return {"digest": node.digest.hex(), "path": node.path, "kind": str(node.kind), "size": node.size,
            "files": node.files}


def found_shape(found: Found) -> Shape:
    """What a search found. `exact` is false where only a run's id is the same and its address is not known."""
    return {"query": found.query, "exact": found.exact,
            "tracker_runs": [tracker_run_shape(line) for line in found.tracker_runs],
            "jobs": [job_line_shape(line) for line in found.jobs],
            "artifacts": [_hit_shape(hit) for hit in found.artifacts], "dags": list(found.dags)}


def _hit_shape(hit: ArtifactHit) -> Shape:
    return {"digest": hit.digest, "kind": str(hit.kind), "size": hit.size, "path": hit.path}
