"""What it takes to make an artifact again: the jobs in order, their code, and what has to be there before."""

import heapq
import json
import os
import re
import sqlite3
import stat
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from roar.analyze.datasets import ancestors
from roar.model import REDACTED, FileUse, Job, is_location
from roar.observe.code import find_refusal
from roar.observe.patches import name_of, sections_of
from roar.query.environments import find_environments, links_to
from roar.query.files_now import holds
from roar.query.jobs import files_of, iter_jobs, load_patches
from roar.query.leftovers import find_leftovers, first_of
from roar.query.links import Link, find_links
from roar.query.placements import Step, find_steps
from roar.query.protection import can_protect
from roar.query.references import FolderReference, Reference
from roar.query.repository import (
    FromCommits,
    find_around,
    find_in_commits,
    find_lost_submodules,
    find_unpatchable,
    find_work_tree,
    find_work_trees,
    inputs_of,
    is_inside,
    lacks_commit,
    run_git,
)
from roar.query.roots import Root, find_roots, makers_of
from roar.query.standing_in import StandingIn, jobs_to_run
from roar.shell import joined
from roar.workspace import Workspace

_PATH_ENDS = re.compile(r"[\s'\";:,|&<>()]")
_ROUNDABOUT = re.compile(r"\.\.|~|\$\{?(HOME|PWD|OLDPWD)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to reproduce something.

    Attributes:
        jobs: in the order in which they ran, each behind those that it took inputs from where it started before these;
            with what those read and wrote that it runs itself.
        within: those, by the uid of the job that runs them, in the order of recording.
        roots: what none of them makes where it is read; the steps say when each has to be there.
        wanted: the outputs that a reproduction is compared with, the last version of each path; of a folder also an
            earlier dataset with files that no later one has.
        from_commits: paths of the roots that the checkouts bring as they were read.
        steps: one for each job, in the same order: what has to be there before it.
        obstacles: why it cannot be carried out, one full sentence each; none when it can.
        doubts: what may make a difference, one full sentence each.
    """

    jobs: tuple[Job, ...]
    within: dict[str, tuple[Job, ...]]
    roots: tuple[Root, ...]
    wanted: tuple[FileUse, ...]
    from_commits: tuple[str, ...]
    steps: tuple[Step, ...]
    obstacles: tuple[str, ...]
    doubts: tuple[str, ...]


def load_plan(database: sqlite3.Connection, workspace: Workspace, found: Reference | FolderReference) -> Plan:
    """The plan for an artifact, a folder, a job, a session or the job of a tracker run.

    What was sent to a store is not sent again: such a job makes nothing here.
    """
    rows = jobs_to_run(database, found)
    every = dict(zip(rows, iter_jobs(database, rows), strict=True))
    sent = [every[row] for row in StandingIn(database, every).outer if every[row].kind == "put"]
    again = {row: job for row, job in every.items() if job.kind != "put"}
    roots = tuple(find_roots(database, list(again), copies=True))
    standing_in = StandingIn(database, again)
    copies = [root for root in roots if root.made_by is not None and not root.members]
    if needless := _find_needless(database, workspace, makers_of(database, found), standing_in, copies):
        again = {row: job for row, job in again.items() if row not in needless}
        roots = tuple(find_roots(database, list(again), copies=True))
        standing_in = StandingIn(database, again)
    whole = tuple(again.values())
    within = {again[row].uid: tuple(standing_in.inside(row).values()) for row in set(standing_in.outer.values())}
    patches = load_patches(database, whole)
    again, roots = standing_in.jobs(patches), tuple(standing_in.roots(roots))
    jobs = _in_order(database, again)
    links = find_links(database, workspace, jobs, patches)
    around = find_around(workspace, find_work_trees(workspace, jobs))
    protected = can_protect(around)
    over_foreign, over_own = _in_the_way(database, workspace, whole, around, protected=protected)
    environments = find_environments(workspace, jobs, around) if protected else []
    steps = find_steps(database, again, jobs, roots, links.of_job)
    if environments:
        placed = (placement.root for step in steps for placement in step.placements)
        brought = _brought(workspace, jobs, [*roots, *placed], patches)
        steps = _with_links(steps, links_to(environments, workspace, brought))
    code = find_in_commits(database, workspace, jobs, _inputs(roots, steps), patches)
    hidden = [job for job in jobs if job.git is not None
              and REDACTED.encode() in patches.get(job.git.patch or "", b"")]
    git = {job.uid: job.git for job in whole}
    return Plan(jobs=tuple(replace(job, git=git[job.uid]) for job in jobs), within=within, roots=roots,
                wanted=tuple(_wanted(database, jobs)),
                from_commits=code.paths(roots), steps=tuple(_with_code(step, code) for step in steps),
                obstacles=(*_obstacles(jobs, filter(code.lacks, roots)), *_lost_code(workspace, jobs),
                           *_lost_changes(workspace, jobs, patches, hidden), *links.obstacles, *over_foreign),
                doubts=(*_doubts(jobs, hidden),
                        *(f"{joined(job.command)} is run again by the script that ran it." for job in sent),
                        *_lacking_submodules(workspace, jobs, patches), *links.doubts,
                        *find_leftovers(database, workspace, jobs),
                        *_named_there(workspace, jobs, around, environments), *over_own))


def _find_needless(database: sqlite3.Connection, workspace: Workspace, wanted: Collection[int],
                   standing_in: StandingIn, copies: Sequence[Root]) -> set[int]:
    """The jobs from which others only took what their own commits bring.

    A file in a commit may be equal to what a job once made elsewhere (`{}`).

    Args:
        database: the record.
        workspace: it belongs to.
        wanted: the rows of the jobs that are to run anyway; where there are none, all are.
        standing_in: for the jobs.
        copies: of their root inputs what one of them made elsewhere.
    """
    if not wanted or not copies:
        return set()
    again = standing_in.again
    code = find_in_commits(database, workspace, again.values(), inputs_of(copies),
                           load_patches(database, again.values()))
    brought = {(uid, root.path, root.digest) for uid, root in code.brought}
    makers: dict[int, set[int]] = defaultdict(set, {row: set(outer) for row, outer in standing_in.gave.items()})
    for consumer, producer, digest in database.execute(
            "SELECT consumer_id, producer_id, digest FROM dependency JOIN artifact ON artifact.id = artifact_id"
            " WHERE consumer_id IN (SELECT value FROM json_each(?))", (json.dumps(list(again)),)):
        read = (use for use in again[consumer].inputs if use.digest == digest.hex())
        if not all((again[consumer].uid, use.path, use.digest) in brought for use in read):
            makers[consumer].add(producer)
    needed, todo = set(wanted), list(wanted)
    while todo:
        more = makers[todo.pop()] - needed
        needed |= more
        todo += more
    return again.keys() - needed


def _in_order(database: sqlite3.Connection, again: Mapping[int, Job]) -> tuple[Job, ...]:
    """By their starts, but one behind all that it took inputs from, as far as these are not in its own lineage.

    That is so of a job that started another one within itself, and used what that made.
    """
    waits: dict[int, set[int]] = {row: set() for row in again}
    followers: dict[int, list[int]] = defaultdict(list)
    for consumer, producer in database.execute(
            "SELECT DISTINCT consumer_id, producer_id FROM dependency"
            " WHERE consumer_id IN (SELECT value FROM json_each(?))", (json.dumps(list(again)),)):
        if producer in again and producer != consumer:
            waits[consumer].add(producer)
            followers[producer].append(consumer)
    started = sorted(again, key=lambda row: again[row].started_at)
    ready = [(place, row) for place, row in enumerate(started) if not waits[row]]
    places = {row: place for place, row in enumerate(started)}
    order: dict[int, Job] = {}
    rest = iter(started)
    while len(order) < len(again):
        row = heapq.heappop(ready)[1] if ready else next(row for row in rest if row not in order)  # of a circle
        order[row] = again[row]
        for follower in followers[row]:
            waits[follower].discard(row)
            if not waits[follower] and follower not in order:
                heapq.heappush(ready, (places[follower], follower))
    return tuple(order.values())


def _wanted(database: sqlite3.Connection, jobs: Sequence[Job]) -> Iterator[FileUse]:
    versions: dict[str, dict[str, FileUse]] = defaultdict(dict)  # by path and digest, the last one last
    for job in jobs:
        for use in job.outputs:
            if use.digest is not None:
                versions[use.path].pop(use.digest, None)
                versions[use.path][use.digest] = use
    for path in sorted(versions):
        later: set[str] = set()
        chosen: list[FileUse] = []
        for use in reversed(versions[path].values()):
            names = {file.path for file in files_of(database, use)} if len(versions[path]) > 1 else set()
            if not chosen or names - later:
                chosen.append(use)
            later |= names
        yield from reversed(chosen)


def _inputs(roots: Sequence[Root], steps: Sequence[Step]) -> dict[str, list[Root]]:
    """What each job has to find, by its uid."""
    found = inputs_of(roots)
    for step in steps:
        found.setdefault(step.job, []).extend(placed.root for placed in step.placements)
    return found


def _with_code(step: Step, code: FromCommits) -> Step:
    """A step without the placements that its checkout does."""
    placements = tuple(placed for placed in step.placements if (step.job, placed.root) not in code.brought)
    return replace(step, restored=code.restored.get(step.job, ()), later=code.later.get(step.job, ()),
                   placements=placements)


def _brought(workspace: Workspace, jobs: Iterable[Job], roots: Iterable[Root], patches: Mapping[str, bytes]
             ) -> Iterator[str]:
    """Absolute paths of what the plan brings or makes besides the commits: changes, inputs and outputs."""
    for job in jobs:
        patch = patches.get(job.git.patch or "") if job.git is not None else None
        tree = find_work_tree(workspace, job) if patch else None
        if patch and tree is not None:
            yield from (os.path.join(tree, name) for section in sections_of(patch) if (name := name_of(section)))
        yield from (workspace.absolute(use.path).rstrip("/") for use in job.outputs)
    yield from (workspace.absolute(root.path).rstrip("/") for root in roots)


def _with_links(steps: tuple[Step, ...], links: tuple[Link, ...]) -> tuple[Step, ...]:
    """The steps with these links before the first of them."""
    return (replace(steps[0], links=(*steps[0].links, *links)), *steps[1:]) if steps and links else steps


def _named_there(workspace: Workspace, jobs: Sequence[Job], around: str, environments: Sequence[str]) -> list[str]:
    """What commands name by an absolute path in the original: there they find what lies there now."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        written = {place for use in job.outputs for place in ancestors(workspace.absolute(use.path).rstrip("/"))}
        for path in dict.fromkeys(path for word in job.command for path in _paths_in(word)):
            if is_inside(path, around) and os.path.lexists(path) and path not in written and not any(
                    is_inside(path, environment) for environment in environments):
                found.setdefault(f"@{job.step} {job.uid[:8]}", []).append(path)
    return [f"{name} names {first_of(paths)} by its absolute path: it finds there what lies there now, not what was"
            " recorded." for name, paths in found.items()]


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


def _lost_changes(workspace: Workspace, jobs: Sequence[Job], patches: Mapping[str, bytes], hidden: Sequence[Job]
                  ) -> list[str]:
    return [f"The uncommitted changes of @{job.step} {job.uid[:8]} do not apply to its commit"
            + (": they hold a secret that was not stored." if job in hidden else ".")
            for job in find_unpatchable(workspace, patches, jobs)]


def _lacking_submodules(workspace: Workspace, jobs: Sequence[Job], patches: Mapping[str, bytes]) -> list[str]:
    found = []
    for job, submodule in find_lost_submodules(workspace, jobs, patches):
        name = f"submodule {submodule.name} of @{job.step} {job.uid[:8]}"
        found.append(f"The uncommitted changes in the {name} were not recorded." if submodule.is_kept else
                     f"The {name} does not come with its code: it is not here with commit {submodule.commit[:12]}.")
    return found


def _in_the_way(database: sqlite3.Connection, workspace: Workspace, jobs: Sequence[Job], around: str, *,
                protected: bool) -> tuple[list[str], list[str]]:
    """What the jobs write over outside of the reproduction: what none of them left there, and the rest."""
    foreign: dict[tuple[str, str], list[str]] = defaultdict(list)
    own: dict[tuple[str, str], list[str]] = defaultdict(list)
    failing: list[str] = []
    outside = _left_outside(database, workspace, jobs, around, protected=protected)
    links = _made_links(database, workspace, jobs)
    for place, (job, left) in outside.items():
        name = f"@{job.step} {job.uid[:8]}"
        inside = is_inside(place, around)
        if inside and protected:
            failing.append(name)
        elif (link := None if inside else _link_on(place)) or os.path.lexists(place):
            found = own if link is None and holds(database, place, left) else foreign
            verb = "may write" if inside else "writes" if found is own else "would write"
            found[name, verb].append(link or place)
    return ([f"{name} {verb} over {first_of(places)}, which no job of the plan left so: move that away first."
             for (name, verb), places in foreign.items()]
            + [f"@{job.step} {job.uid[:8]} makes {folder} anew, in which no job of the plan left {file}:"
               " move that away first."
             for job, folder in _made_outside(database, workspace, jobs, around)
             if (file := _first_added(folder, {*outside, *links}, _ended_at(job))) is not None],
            [f"{name} {verb} again over {first_of(places)}, outside of the reproduction."
             for (name, verb), places in own.items()]
            + [f"{name} may write into {around} itself by its path, which fails: a reproduction leaves that as it is."
               for name in dict.fromkeys(failing)])


def find_written_over(database: sqlite3.Connection, workspace: Workspace, jobs: Sequence[Job], folder: str
                      ) -> str | None:
    """What lies where the jobs would write if their ways out of the workspace, `../out`, start in `folder`."""
    around = find_around(workspace, find_work_trees(workspace, jobs))
    outside = {place: left for place, (_, left) in _left_outside(
        database, workspace, jobs, around, protected=True).items() if not is_inside(place, around)}

    def moved(place: str) -> str:
        return os.path.normpath(os.path.join(folder, os.path.relpath(place, around)))

    found = (moved(place) for place, left in outside.items() if moved(place) != place and os.path.lexists(moved(place))
             and (os.path.islink(moved(place)) or not holds(database, moved(place), left)))
    known = {moved(place) for place in (*outside, *_made_links(database, workspace, jobs))}
    added = (_first_added(moved(made), known, 0)
             for _, made in _made_outside(database, workspace, jobs, around) if moved(made) != made)
    return next(chain(found, filter(None, added)), None)


def _link_on(place: str) -> str | None:
    """The first symlink on the way to a place that was recorded without any."""
    return next((way for way in reversed(ancestors(place)) if os.path.islink(way)), None)


def _made_links(database: sqlite3.Connection, workspace: Workspace, jobs: Iterable[Job]) -> list[str]:
    return [workspace.absolute(path) for job in jobs for (path,) in database.execute(
        "SELECT path.path FROM symlink JOIN job ON job.id = job_id JOIN path ON path.id = path_id"
        " WHERE uid = ? AND made", (job.uid,)).fetchall()]


def _made_outside(database: sqlite3.Connection, workspace: Workspace, jobs: Iterable[Job], around: str
                  ) -> Iterator[tuple[Job, str]]:
    """The folders outside of `around` that jobs made themselves; to do so a command may remove what is there first."""
    for job in jobs:
        for (path,) in database.execute("SELECT path FROM made_folder JOIN job ON job.id = job_id WHERE uid = ?",
                                        (job.uid,)).fetchall():
            folder = workspace.absolute(path)
            if not is_inside(folder, around):
                yield job, folder


def _first_added(folder: str, known: Container[str], since: float) -> str | None:
    """A file in a folder which is not `known`, and has come there or has changed after a time (in seconds).

    What a job left besides its outputs, such as a log or a cache, is not told from files of others otherwise.
    """
    for place, folders, files in os.walk(folder):
        for path in (os.path.join(place, name) for name in (*folders, *files)):
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if path not in known and not stat.S_ISDIR(status.st_mode) and status.st_ctime > since:
                return path
    return None


def _ended_at(job: Job) -> float:
    return datetime.fromisoformat(job.started_at).timestamp() + (job.duration_s or 0)


def _left_outside(database: sqlite3.Connection, workspace: Workspace, jobs: Sequence[Job], around: str, *,
                  protected: bool) -> dict[str, tuple[Job, set[str | None]]]:
    """By path what jobs write outside of `around`, or may in it: the last of them, and digests that they left."""
    found: dict[str, tuple[Job, set[str | None]]] = {}
    for job in jobs:
        for place, digest in _written_outside(database, workspace, job, around, protected=protected):
            found[place] = job, {digest, *found.get(place, (job, ()))[1]}
    return found


def _written_outside(database: sqlite3.Connection, workspace: Workspace, job: Job, around: str, *, protected: bool
                     ) -> Iterator[tuple[str, str | None]]:
    """Path and digest of each file that a job wrote elsewhere, or to where its command says with an absolute path.

    Where `around` is not protected, also of those to which it may come otherwise.
    """
    named = {around} if not protected and _goes_round(database, job) else {
        path for word in job.command for path in _paths_in(word) if is_inside(path, around)}
    for use in job.outputs:
        path = os.path.normpath(workspace.absolute(use.path))
        if is_location(use.path) or (is_inside(path, around) and named.isdisjoint(ancestors(path))):
            continue
        yield from ((os.path.normpath(workspace.absolute(file.path)), file.digest) for file in files_of(database, use))


def _goes_round(database: sqlite3.Connection, job: Job) -> bool:
    """Whether a command may come back into its workspace from elsewhere: by `..`, the home folder, or a symlink."""
    links = database.execute("SELECT target FROM symlink JOIN job ON job.id = job_id WHERE uid = ?", (job.uid,))
    return (any(map(_ROUNDABOUT.search, job.command))
            or any(target.startswith("/") or ".." in target for target, in links))


def _paths_in(word: str) -> Iterator[str]:
    """What a word of a command names by absolute paths, without symlinks: what lies there, or may have lain there."""
    for start in (place for place, letter in enumerate(word) if letter == "/" and word[place - 1:place] != "/"):
        ends = [match.start() for match in _PATH_ENDS.finditer(word, start + 1)] + [len(word)]
        there = [word[start:end] for end in ends if os.path.lexists(word[start:end])]
        yield from map(os.path.realpath, {word[start:ends[0]], *there[-1:]})


def _doubts(jobs: Sequence[Job], hidden: Iterable[Job]) -> list[str]:
    found = [f"@{job.step} {job.uid[:8]} did not end well (exit status {job.exit_code})."
             for job in jobs if job.exit_code]
    found += [f"@{job.step} {job.uid[:8]} was not seen whole: {', '.join(job.tracer.gaps)}."
              for job in jobs if job.tracer.gaps]
    versions = sorted({job.python.version for job in jobs if job.python is not None})
    if len(versions) > 1:
        found.append(f"The jobs ran with different versions of Python: {', '.join(versions)}.")
    found += [f"The uncommitted changes of @{job.step} {job.uid[:8]} hold a secret that was not stored."
              for job in hidden]
    return found
