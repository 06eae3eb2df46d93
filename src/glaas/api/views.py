"""Views of the catalog as JSON-ready dictionaries. Nouns of the contract keep their shapes; the rest adds to them."""

from typing import Any

from glaas.accounts import Token
from glaas.catalog import (
    Artifact,
    ArtifactUse,
    DagLine,
    JobLine,
    Member,
    MemberFolder,
    StoredJob,
    TrackerRunLine,
)
from glaas.graph import ArtifactNode, Graph, PartUse
from glaas.identities import Identity
from glaas.models import Role
from glaas.others import OtherJob
from glaas.search import ArtifactHit, Found
from roar.wire import FileUse, to_json

Shape = dict[str, Any]


def job_shape(stored: StoredJob, run_before: str | None) -> Shape:
    """A job in the contract's shape, where it is registered, and which job ran the same step before it."""
    shape: Shape = to_json(stored.job)
    return shape | {"session": stored.session, "project": stored.project, "dags": [dag.digest for dag in stored.dags],
                    "registrations": [dag_shape(dag) for dag in stored.dags], "inputs_count": stored.inputs,
                    "outputs_count": stored.outputs, "run_before": run_before}


def stored_job_line_shape(stored: StoredJob) -> Shape:
    """A job as it stands in a list."""
    job = stored.job
    return {"uid": job.uid, "step": job.step, "name": job.name, "command": list(job.command),
            "started_at": job.started_at, "duration_s": job.duration_s, "exit_code": job.exit_code,
            "state": str(job.state), "inputs_count": stored.inputs, "outputs_count": stored.outputs,
            "project": stored.project, "tracker_runs": to_json(job.tracker_runs), "labels": job.labels}


def input_shape(use: FileUse, other: OtherJob | None) -> Shape:
    """What a job read, with the job that wrote it before, or one that wrote the same content later."""
    shape: Shape = to_json(use)
    return shape | {"written_by": None if other is None or other.later else _brief_shape(other.job),
                    "written_later_by": _brief_shape(other.job) if other is not None and other.later else None,
                    "written_by_others": 0 if other is None else other.others}


def output_shape(use: FileUse, other: OtherJob | None) -> Shape:
    """What a job wrote, with the other job that read it last."""
    shape: Shape = to_json(use)
    return shape | {"read_by": None if other is None else _brief_shape(other.job)}


def _brief_shape(line: JobLine) -> Shape:
    return {"uid": line.uid, "step": line.step, "name": line.name, "command": list(line.command)}


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


def artifact_shape(artifact: Artifact, made: list[PartUse], used: list[PartUse]) -> Shape:
    """An artifact and the jobs around it, also those that made and used it by way of another one."""
    return {"digest": artifact.digest, "kind": str(artifact.kind), "size": artifact.size, "files": artifact.files,
            "names": list(artifact.names), "produced_by": [use_shape(use) for use in artifact.produced_by],
            "used_by": [use_shape(use) for use in artifact.used_by], "datasets": list(artifact.datasets),
            "produced_as": [part_use_shape(use) for use in made], "used_as": [part_use_shape(use) for use in used]}


def use_shape(use: ArtifactUse) -> Shape:
    """A job that read or wrote an artifact, and the path it knew it under."""
    return {"path": use.path, "role": use.role.name.lower(), "job": job_line_shape(use.job)}


def part_use_shape(use: PartUse) -> Shape:
    """A job that read or wrote another artifact which has this one in it, or shares files with it."""
    return {"path": use.path, "digest": use.digest, "job": job_line_shape(use.job)}


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
    """Jobs, artifacts, and edges from what was read to what read it, and from what wrote to what was written.

    An edge has the paths at which that was. All empty files are one artifact; those at different paths have nothing to
    do with each other.
    """
    uids = {job.key: job.uid for job in graph.jobs}
    used: dict[tuple[str, str, str], list[str]] = {}
    for edge in graph.edges:
        job, digest = uids[edge.job], graph.artifacts[edge.artifact].digest.hex()
        source, target = (digest, job) if edge.role is Role.INPUT else (job, digest)
        used.setdefault((source, target, edge.role.name.lower()), []).extend(edge.paths)
    edges: list[Shape] = [{"source": source, "target": target, "role": role, "paths": paths}
                          for (source, target, role), paths in used.items()]
    edges += [{"source": graph.artifacts[member].digest.hex(), "target": graph.artifacts[dataset].digest.hex(),
               "role": "member"} for member, dataset in graph.members]
    nodes = {node.digest: node for node in graph.artifacts.values()}
    return {"jobs": [job_line_shape(job) for job in graph.jobs],
            "artifacts": [_node_shape(node) for node in nodes.values()], "edges": edges, "truncated": graph.truncated}


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


def account_shape(name: str | None, *, admin: bool, tokens: tuple[Token, ...], identities: tuple[Identity, ...]
                  ) -> Shape:
    """What a user's own page shows. No secret is kept, so none can be shown."""
    return {"user": name, "admin": admin,
            "tokens": [{"id": token.id, "name": token.name, "scope": token.scope, "created_at": token.created_at,
                        "expires_at": token.expires_at, "revoked_at": token.revoked_at} for token in tokens],
            "identities": [{"issuer": one.issuer, "subject": one.subject, "linked_at": one.linked_at}
                           for one in identities]}
