"""What it takes to make an artifact again: the jobs in order, their code, and what has to be there before."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from roar.model import REDACTED, FileUse, Job
from roar.observe.code import find_refusal
from roar.query.jobs import iter_jobs, load_blob
from roar.query.links import find_links
from roar.query.placements import Step, find_steps
from roar.query.references import Reference
from roar.query.repository import (
    FromCommits,
    find_in_commits,
    find_unpatchable,
    find_work_tree,
    inputs_of,
    lacks_commit,
    run_git,
)
from roar.query.roots import Root, find_roots, jobs_behind
from roar.shell import joined
from roar.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to reproduce something.

    Attributes:
        jobs: in the order in which they ran.
        roots: what none of them makes where it is read; the steps say when each has to be there.
        wanted: the outputs that a reproduction is compared with, the last version of each path.
        from_commits: paths of the roots that the checkouts bring as they were read.
        steps: one for each job, in the same order: what has to be there before it.
        obstacles: why it cannot be carried out, one full sentence each; none when it can.
        doubts: what may make a difference, one full sentence each.
    """

    jobs: tuple[Job, ...]
    roots: tuple[Root, ...]
    wanted: tuple[FileUse, ...]
    from_commits: tuple[str, ...]
    steps: tuple[Step, ...]
    obstacles: tuple[str, ...]
    doubts: tuple[str, ...]


def load_plan(database: sqlite3.Connection, workspace: Workspace, found: Reference) -> Plan:
    """The plan for an artifact, a job, a session or the job of a tracker run.

    What was sent to a store is not sent again: such a job makes nothing here.
    """
    rows = sorted(jobs_behind(database, found))
    again = {row: job for row, job in zip(rows, iter_jobs(database, rows), strict=True) if job.kind != "put"}
    jobs = tuple(sorted(again.values(), key=lambda job: job.started_at))
    roots = tuple(find_roots(database, list(again), copies=True))
    wanted = {use.path: use for job in jobs for use in job.outputs if use.digest is not None}
    patches = {job.git.patch: patch for job in jobs if job.git is not None and job.git.patch is not None
               for patch in (load_patch(database, job),) if patch is not None}
    links = find_links(database, workspace, jobs)
    steps = find_steps(database, again, jobs, roots, links.of_job)
    code = find_in_commits(database, workspace, jobs, _inputs(roots, steps))
    return Plan(jobs=jobs, roots=roots, wanted=tuple(wanted[path] for path in sorted(wanted)),
                from_commits=code.paths(roots), steps=tuple(_with_code(step, code) for step in steps),
                obstacles=(*_obstacles(jobs, filter(code.lacks, roots)), *_lost_code(workspace, jobs),
                           *_lost_changes(workspace, jobs, patches), *links.obstacles),
                doubts=(*_doubts(jobs), *_hidden(jobs, patches), *links.doubts))


def _inputs(roots: Sequence[Root], steps: Sequence[Step]) -> dict[str, list[Root]]:
    """What each job has to find, by its uid."""
    found = inputs_of(roots)
    for step in steps:
        found.setdefault(step.job, []).extend(placed.root for placed in step.placements)
    return found


def _with_code(step: Step, code: FromCommits) -> Step:
    """A step without the placements that its checkout does."""
    return replace(step, restored=code.restored.get(step.job, ()), placements=tuple(
        placed for placed in step.placements if (step.job, placed.root) not in code.brought))


def load_patch(database: sqlite3.Connection, job: Job) -> bytes | None:
    """The uncommitted changes that the job ran with, None for a clean tree."""
    return load_blob(database, job.git.patch) if job.git is not None and job.git.patch is not None else None


def _obstacles(jobs: Sequence[Job], lacking: Iterable[Root]) -> list[str]:
    found = [] if jobs else ["No recorded job made it."]
    found += [f"The command of @{job.step} {job.uid[:8]} holds a secret that was not stored."
              for job in jobs if any(REDACTED in word for word in job.command)]
    found += [f"The content of {root.path} when it was read is not known." for root in lacking if root.digest is None]
    found += [f"@{job.step} {job.uid[:8]} ran before the first commit of its repository."
              for job in jobs if job.git is not None and job.git.commit is None]
    return found


def _lost_code(workspace: Workspace, jobs: Sequence[Job]) -> list[str]:
    """What cannot be checked out, one sentence for each commit; it names the command that may bring it back."""
    found = {}
    for job in jobs:
        if job.git is None or job.git.commit is None or job.git.commit in found:
            continue
        work_tree = find_work_tree(workspace, job)
        name = f"commit {job.git.commit[:12]} of @{job.step} {job.uid[:8]}"
        if work_tree is None:
            found[job.git.commit] = f"The {name} cannot be had: its folder is in no git repository any more."
        elif (refusal := find_refusal(work_tree)) is not None:
            found[job.git.commit] = (f"The {name} cannot be had, as git says: {refusal.reason}"
                                     f"{f'. Try: {refusal.hint}' if refusal.hint else '.'}")
        elif lacks_commit(work_tree, job.git.commit):
            remotes = (run_git(work_tree, "remote") or "").splitlines()
            again = joined(["git", "-C", work_tree, "fetch", remotes[0] if remotes else "OTHER_CLONE", job.git.commit])
            found[job.git.commit] = (f"The {name} is no longer in the repository (git deletes what no branch holds);"
                                     f" another clone may have it: {again}")
    return list(found.values())


def _lost_changes(workspace: Workspace, jobs: Sequence[Job], patches: Mapping[str, bytes]) -> list[str]:
    return [f"The uncommitted changes of @{job.step} {job.uid[:8]} do not apply to its commit"
            + (": they hold a secret that was not stored." if job in _with_secrets(jobs, patches) else ".")
            for job in find_unpatchable(workspace, patches, jobs)]


def _hidden(jobs: Sequence[Job], patches: Mapping[str, bytes]) -> list[str]:
    return [f"The uncommitted changes of @{job.step} {job.uid[:8]} hold a secret that was not stored."
            for job in _with_secrets(jobs, patches)]


def _with_secrets(jobs: Iterable[Job], patches: Mapping[str, bytes]) -> list[Job]:
    return [job for job in jobs if job.git is not None and REDACTED.encode() in patches.get(job.git.patch or "", b"")]


def _doubts(jobs: Sequence[Job]) -> list[str]:
    found = [f"@{job.step} {job.uid[:8]} did not end well (exit status {job.exit_code})."
             for job in jobs if job.exit_code]
    found += [f"@{job.step} {job.uid[:8]} was not seen whole: {', '.join(job.tracer.gaps)}."
              for job in jobs if job.tracer.gaps]
    versions = sorted({job.python.version for job in jobs if job.python is not None})
    if len(versions) > 1:
        found.append(f"The jobs ran with different versions of Python: {', '.join(versions)}.")
    return found
