"""Whether someone else could make these jobs again: a checklist in which nothing is ticked that was not checked."""

import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import NamedTuple

from roar.analyze.elsewhere import ELSEWHERE
from roar.analyze.programs import NO_VERSION
from roar.errors import RoarError
from roar.model import PATCH_TOO_LARGE, REDACTED, UNKNOWN_VERSION, Job, JobState, is_location
from roar.observe.code import find_refusal
from roar.observe.inflow import UNNAMED, find_unrecorded
from roar.observe.log import OTHER_LISTENS, OUTLIVED
from roar.observe.redaction import redact_command, redact_patch, redact_text
from roar.query.added import Added, find_added
from roar.query.asked import Asked, load_asked
from roar.query.committing import Commit, find_commit, git_in
from roar.query.freshness import GONE, Freshness, Output, Status, load_status
from roar.query.inputs_now import is_worth_a_try
from roar.query.jobs import load_left_out, load_patch, load_patches
from roar.query.left_alone import LeftAlone, find_left_alone
from roar.query.leftovers import first_of
from roar.query.mending import LOOK, Mending
from roar.query.obstacles import NoCommandError
from roar.query.read_before import find_read_before
from roar.query.references import ArtifactReference, JobReference, resolve
from roar.query.repository import (
    FromCommits,
    find_in_commits,
    find_submodules,
    find_work_tree,
    inputs_of,
    is_inside,
    lacks_commit,
    run_git,
)
from roar.query.roots import Root, find_roots
from roar.query.sessions import session_of
from roar.query.staleness import waits_for
from roar.query.within import find_around, find_beginners, find_runners, given_paths
from roar.record.database import encoded
from roar.shell import joined, quoted, quoted_path
from roar.workspace import Workspace

_HIDDEN = re.compile(rf"^\+.*{re.escape(REDACTED)}", re.MULTILINE)
_ON_A_REMOTE = "the commits are on a remote"
_NOT_TOLD = "has code of which git did not tell the version"
NO_COMMAND = "no command mends it: "
"""How the last problem of an item begins that has no hint, where something is in the way of one."""
SOURCE_LABEL = "source"
"""The label on an artifact that says where it can be had: `roar label PATH source=URL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the checklist.

    Attributes:
        title: what was checked.
        passed: None where it could not be checked.
        problems: what is wrong, one phrase each.
        hint: the command that mends it.
        rest: names of jobs that the title only counts.
    """

    title: str
    passed: bool | None
    problems: tuple[str, ...] = ()
    hint: str | None = None
    rest: tuple[str, ...] = ()


def check_reproducibility(database: sqlite3.Connection, workspace: Workspace, jobs: Sequence[Job]) -> list[Item]:
    """Check jobs (in the order they started) as they are recorded, with git and the files as they are now."""
    asked = load_asked(database, workspace, jobs)
    row_ids = [asked.rows[job.uid].row_id for job in jobs]
    silence = _find_silence(asked)
    session = session_of(database, row_ids[-1]) if row_ids else 0
    status = load_status(database, workspace, session) if row_ids else Status(steps=(), outputs=())
    steps = {job.step for job in jobs if asked.rows[job.uid].session == session}
    status = replace(status, outputs=tuple(output for output in status.outputs if output.step in steps))
    fresh = _fresh(asked, session, status) if row_ids else Item(
        title=_FRESH, passed=None, problems=("there is no job",))
    is_other_session = bool(jobs) and session != asked.session
    stale = {} if is_other_session else {step.number: step.stale for step in status.steps if step.stale}
    first = _InputsFirst(asked, fresh.hint, stale)
    commit = cache(partial(_commit_before, asked)) if silence is None else lambda _: ""
    return [replace(item, hint=_committed_first(item.hint, commit)) for item in (
        replace(_check(_well(asked), asked, asked.last, _ended,
                       lambda job: first.of(job) or first.with_its_script(job) or _look_or_run(asked, job)),
                rest=tuple(map(asked.name, asked.tries[_FEW:]))),
        _check("every job was observed without gaps", asked, asked.makers, _observed,
               lambda job: _see_all(asked, job, silence)),
        _as_far_as_seen(asked, _in_commit(asked, silence, first)),
        replace(silence, title=_ON_A_REMOTE) if silence else _pushed(asked),
        _as_far_as_seen(asked, _sourced(asked, silence)),
        _in_known_environment(asked),
        _as_far_as_seen(asked, _without_numbers(fresh) if is_other_session else fresh),
        _without_secrets(asked),
    )]


def _committed_first(hint: str | None, commit: Callable[[int], str]) -> str | None:
    """A hint with what has to be in a commit before its steps run, so that these need not run once more for that."""
    if hint is None or hint.startswith("git "):
        return hint
    commands = dict.fromkeys(filter(None, (commit(int(step)) for step in _RUN_AGAIN.findall(hint))))
    return " && ".join([*commands, hint])


def _commit_before(asked: Asked, step: int) -> str:
    """What brings the code that a step of this session would run into a commit; "" where nothing has to, or can."""
    job = asked.last_of(step)
    if job is None or find_work_tree(asked.workspace, job) is None:
        return ""
    commit = find_commit(asked.database, asked.workspace, job)
    return "" if commit.obstacle or commit.undone else commit.command


_RUN_AGAIN = re.compile(r"\broar run @(\d+)")


class _InputsFirst(NamedTuple):
    """What the outputs need first, and which steps are stale, so that this makes their inputs before they run."""

    asked: Asked
    hint: str | None
    stale: Mapping[int, str]

    def of(self, job: Job, *, others: bool = False) -> str | None:
        """The command that comes before a job; with `others` only where other steps have to run for its sake."""
        reason = self.stale.get(job.step) if self.asked.rows[job.uid].session == self.asked.session else None
        if reason is None or (others and waits_for(reason) is None) or self.hint is None:
            return None
        return None if self.hint.startswith(LOOK) else self.hint

    def with_its_script(self, job: Job) -> str | None:
        """The command that the outputs need, where that runs the job that ran this one when it ran last."""
        row = self.asked.rows[job.uid]
        if self.hint is None or row.session != self.asked.session:
            return None
        again = {int(step) for step in _RUN_AGAIN.findall(self.hint)}
        runs = again and again.intersection(find_runners(self.asked.database, row.session, [row.row_id]))
        return self.hint if runs else None


def _without_numbers(fresh: Item) -> Item:
    """The steps of another session have no `@N` by which they could run again."""
    reason = () if fresh.hint is None else (f"{NO_COMMAND}what has to run again are steps of another session",)
    return replace(fresh, hint=None, problems=(*fresh.problems, *reason))


def _well(asked: Asked) -> str:
    if not asked.tries:
        return "every step ended well"
    more = f" and {len(asked.tries) - _FEW:,} more" if len(asked.tries) > _FEW else ""
    names = ", ".join(map(asked.name, asked.tries[:_FEW])) + more
    nothing = "of which nothing is left" if any(job.outputs for job in asked.tries) else "that left nothing"
    return f"every step ended well, but for tries {nothing}: {names}"


_FEW = 5
"""Up to so many are named in a title."""
_TRIED = 8
"""So many jobs of a line are asked for a command at most."""


def _check(title: str, asked: Asked, jobs: Iterable[Job], problem: Callable[[Job], str | None],
           mend: Callable[[Job], str | None]) -> Item:
    """An item that holds for each job by itself."""
    found = [(job, text) for job in jobs if (text := problem(job)) is not None]
    hint, obstacle = _first_hint(partial(mend, job) for job, _ in found[:_TRIED])
    return Item(title=title, passed=not found, hint=hint,
                problems=(*(f"{asked.name(job)} {text}" for job, text in found), *obstacle))


def _first_hint(ways: Iterable[Callable[[], str | None]]) -> tuple[str | None, tuple[str, ...]]:
    """The first command that one of some ways gives; without one, why there is none, as a problem."""
    obstacles: list[str] = []
    for way in ways:
        try:
            hint = way()
        except NoCommandError as error:
            obstacles.append(f"{NO_COMMAND}{error}")
        else:
            if hint is not None:
                return hint, ()
    return None, tuple(obstacles[:1])


def _find_silence(asked: Asked) -> Item | None:
    """What there is to say where git is missing, or does not answer for a repository that the jobs ran in."""
    trees = dict.fromkeys(tree for job in asked.makers
                          if (tree := find_work_tree(asked.workspace, job)) is not None)
    if shutil.which("git") is None:
        return Item(title="", passed=None, problems=("git is missing",))
    refusal = next(filter(None, map(find_refusal, sorted(trees, key=len))), None)
    return None if refusal is None else Item(title="", passed=None, problems=(f"git says: {refusal.reason}",),
                                             hint=refusal.hint)


def _ended(job: Job) -> str | None:
    return None if job.exit_code == 0 else f"{job.state} with exit status {job.exit_code}"


def _has_failed(job: Job) -> bool:
    """Whether a job failed by itself, so that it would again where nothing is mended before."""
    return job.state == JobState.DONE and job.exit_code != 0


def _look_or_run(asked: Asked, job: Job) -> str | None:
    if is_worth_a_try(asked.database, asked.workspace, job) if _has_failed(job) else (
            not asked.was_interrupted_twice(job)):
        return asked.run_again(job, resume=True)
    steps = [other for other in asked.makers if asked.rows[other.uid].step_id == asked.rows[job.uid].step_id]
    room = asked.make_room(job) if any(map(_committed, steps)) else None  # as the line of the code has it
    if room is not None:
        return room
    asked.refuse_abandoned(job)
    return f"roar show {asked.ref(job)}"


def _as_far_as_seen(asked: Asked, item: Item) -> Item:
    """An item that would be ticked as nothing is known of a job: what it ran, read and wrote."""
    blind = next((job for job in asked.makers if _observed(job) == _UNSEEN), None)
    if blind is None or not item.passed:
        return item
    return replace(item, passed=None, problems=(f"{asked.name(blind)} {_UNSEEN}",))


_UNSEEN = "was not observed at all"


def _observed(job: Job) -> str | None:
    if job.tracer.mode == "none":
        return _UNSEEN
    missed = [gap for gap in job.tracer.gaps if not gap.startswith(PATCH_TOO_LARGE)]
    found = [f"may have missed {', '.join(missed)}"] if missed else []
    found += [f"was recorded without code: {gap}" for gap in job.tracer.gaps if gap not in missed]
    return " and ".join(found) or None


def _see_all(asked: Asked, job: Job, silence: Item | None) -> str | None:
    """What leaves the first gap of a job no reason the next time."""
    if job.tracer.gaps and job.tracer.gaps[0].startswith(PATCH_TOO_LARGE):
        return silence.hint if silence else _commit_and_run(
            asked, job, find_commit(asked.database, asked.workspace, job))
    unrecorded = find_unrecorded(job.tracer.gaps)
    if unrecorded == UNNAMED:
        return asked.run_again(job, stdin="FILE")
    if unrecorded is not None:
        raise NoCommandError(f"{asked.name(job)} read {unrecorded}, which is not in the record")
    if job.tracer.gaps and job.tracer.gaps[0].endswith(ELSEWHERE):
        raise NoCommandError("what is done elsewhere is observed only where roar runs there")
    if _committed(job) == _NOT_TOLD:
        return silence.hint if silence else asked.run_again(job)
    return asked.run_again(job) if any(gap.endswith(_NOT_LASTING) for gap in job.tracer.gaps) else "roar doctor"


_NOT_LASTING = OUTLIVED, OTHER_LISTENS
"""What leaves no gap where the job runs again by itself: `roar run` within another one's command is such a case."""


def _in_commit(asked: Asked, silence: Item | None, first: _InputsFirst) -> Item:
    def mend(job: Job) -> str | None:
        return silence.hint if silence else _commit_and_run(
            asked, job, find_commit(asked.database, asked.workspace, job), first)

    item = _check("the code is in a commit", asked, asked.makers, _committed, mend)
    is_open = not item.passed and all(_committed(job) in {None, _NOT_TOLD} for job in asked.makers)
    return replace(item, passed=None if is_open else item.passed)


def _commit_and_run(asked: Asked, job: Job, commit: Commit, first: _InputsFirst | None = None) -> str | None:
    """A commit alone mends nothing, and may take what the job has edited.

    Raises:
        NoCommandError: where the job cannot run again, or would with other code than it had.
    """
    if commit.obstacle:
        raise NoCommandError(commit.obstacle)
    if commit.undone and not asked.is_made_again(job):
        raise NoCommandError(f"the changes of {commit.undone} that {asked.name(job)} ran with were undone")
    before = first.of(job, others=True) if first is not None else None
    if before is not None:
        return f"{commit.command} && {before}" if commit.command else before
    hint = asked.run_again(job, commit=commit.command)
    others = (_commit_before(asked, int(step)) for step in _RUN_AGAIN.findall(hint))  # as of the script that runs it
    wider = next((other for other in others if other != commit.command and other.endswith(commit.command)), None)
    return hint if wider is None else asked.run_again(job, commit=wider)


def _committed(job: Job) -> str | None:
    if job.kind != "run":
        return None  # roar's own code moved the files
    if job.git is None and any(gap.startswith(UNKNOWN_VERSION) for gap in job.tracer.gaps):
        return _NOT_TOLD
    if job.git is None:
        return "ran outside any git repository"
    if job.git.commit is None:
        return "ran before the first commit"
    return "ran with uncommitted changes" if job.git.dirty or job.git.patch else None


_WITH_VERSIONS_OF_THEIR_OWN = frozenset({NO_VERSION, "interpreter", "libraries", "packages", "settings"})
"""Categories of plumbing that are of no release of the operating system."""


def _in_known_environment(asked: Asked) -> Item:
    """Of Python the packages are recorded, of the operating system its release; of other programs nothing."""
    item = _check("the environment is known", asked, asked.makers, _environment, asked.run_again)
    unknown = [problem for job in asked.makers for problem in _unversioned(asked, job)]
    return replace(item, passed=None, problems=tuple(unknown)) if item.passed and unknown else item


def _unversioned(asked: Asked, job: Job) -> Iterator[str]:
    left_out = load_left_out(asked.database, job.uid).keys() if job.kind == "run" else frozenset()
    if _WITH_VERSIONS_OF_THEIR_OWN & left_out if job.python is None else NO_VERSION in left_out:
        yield (f"{asked.name(job)} may have run programs or loaded libraries that are neither Python's nor the"
               " operating system's: their versions are not recorded")
    names = job.python.unversioned() if job.python is not None else ()
    if names:
        yield (f"{asked.name(job)} imported modules that no installed package names, without a version:"
               f" {', '.join(names)}")
    if job.python is not None and (names := job.python.changed()):
        yield (f"{asked.name(job)} imported packages that were edited where they are installed: {', '.join(names)}")


def _environment(job: Job) -> str | None:
    if job.host is None:
        return "has no facts about its machine"
    program = os.path.basename(job.command[0])
    if program.startswith(("python", "pypy")) and job.python is None:
        return "is Python, but its version and packages are not known"
    return None


def _pushed(asked: Asked) -> Item:
    """Each commit must be in some branch of a remote, as far as this clone knows."""
    title = _ON_A_REMOTE
    jobs = asked.makers
    commits = {job.git.commit: job for job in jobs if job.git is not None and job.git.commit is not None}
    if not jobs:
        return Item(title=title, passed=None, problems=("there is no job",))
    if not commits:
        first = next((job for job in jobs if job.git is not None), jobs[0])
        hint, obstacle = _first_hint([partial(_commit_first, asked, first)])
        return Item(title=title, passed=None, problems=("there is no commit", *obstacle), hint=hint)
    obstacle = ()
    problems: list[str] = []
    unknown: dict[str, Callable[[], str]] = {}
    unpushed: dict[str, list[str]] = {}
    for place in _places_of_code(asked, commits):
        name = f"{place.name}{asked.name(place.job)}"
        if place.commit is None:
            unknown[f"the commit of {name} is not known"] = partial(_run_from_commit, asked, place.job)
            continue
        branches = _remote_branches(place.folder, place.commit)
        if branches is None:
            unknown[f"{place.commit[:12]} of {name} is not in the repository here"] = partial(
                _find_again, asked, place)
        elif not branches:
            problems.append(f"{place.commit[:12]} of {name} is in no branch of a remote")
            unpushed.setdefault(place.folder, []).append(place.commit)
    hint = " && ".join(_push(folder, found) for folder, found in unpushed.items()) or None
    if hint is None and unknown:
        hint, obstacle = min((_first_hint([way]) for way in unknown.values()), key=lambda way: (
            way[0] is None, way[0] is not None and way[0].endswith(_FETCH)))
    return Item(title=title, passed=False if problems else None if unknown else True,
                problems=(*problems, *unknown, *obstacle), hint=hint)


class _Place(NamedTuple):
    """A repository that holds code of a job.

    Attributes:
        name: which it is, as the job's name goes on with; "" for the one that the job ran in.
        folder: its work tree.
        commit: that was checked out; None where that is not known.
        nested: its path from the one around and where it came from, for one that no commit around names.
    """

    name: str
    folder: str
    commit: str | None
    job: Job
    nested: str = ""


def _places_of_code(asked: Asked, commits: Mapping[str, Job]) -> list[_Place]:
    """Where the code of the jobs lies: their commits, the submodules of these, and what they found checked out within.

    Args:
        asked: has the jobs.
        commits: each with a job that ran at it.
    """
    trees = {job.uid: find_work_tree(asked.workspace, job) for job in asked.makers if job.git is not None}
    found = [_Place(f"submodule {submodule.name} of ", os.path.join(tree, submodule.name), submodule.commit, job)
             for commit, job in commits.items() if (tree := trees[job.uid]) is not None
             for submodule in find_submodules(tree, commit, None)]
    for job in asked.makers:
        found += _found_within(asked, job, trees.get(job.uid))
    found += [_Place("", trees[job.uid] or asked.workspace.absolute(job.cwd), commit, job)
              for commit, job in commits.items()]
    return list({(place.folder, place.commit): place for place in found}.values())


def _found_within(asked: Asked, job: Job, tree: str | None) -> Iterator[_Place]:
    """The repositories that a job found within its work tree, as far as it read code of them."""
    if tree is None or job.git is None:
        return
    for inner in job.git.repositories:
        folder = os.path.join(tree, inner.path)
        if inner.kind == "nested":
            yield _Place(f"nested repository {inner.path} of ", folder, inner.commit, job,
                         f"{inner.path}{f' (of {inner.remote})' if inner.remote else ''}")
            continue
        commit = inner.commit
        if commit is None and job.git.commit is not None:  # git keeps no log there; the repository around tells
            patch = load_patch(asked.database, job)
            commit = next((one.commit for one in find_submodules(tree, job.git.commit, patch)
                           if one.name == inner.path), None)
        yield _Place(f"submodule {inner.path} of ", folder, commit, job)


def _run_from_commit(asked: Asked, job: Job) -> str:
    """What runs a job at a commit that is known then; a commit is made first where it takes one."""
    return _commit_and_run(asked, job, find_commit(asked.database, asked.workspace, job)) or asked.run_again(job)


def _commit_first(asked: Asked, job: Job) -> str:
    """What makes the first commit, or brings a job to one that is there by now."""
    commit = find_commit(asked.database, asked.workspace, job)
    if commit.obstacle:
        raise NoCommandError(commit.obstacle)
    return commit.command or asked.run_again(job)


_FETCH = "fetch --all"


def _find_again(asked: Asked, place: _Place) -> str:
    """What may bring a commit of a job that is not known here, or makes again what the job made of another one.

    It is fetched before anything runs; not where that has been done since the job, or nothing is there to fetch from.
    """
    folder, job = place.folder, place.job
    if not os.path.lexists(os.path.join(folder, ".git")):
        if place.nested:
            raise NoCommandError(f"there is no repository in {place.nested} any more")
        return f"git {_FETCH}"
    fetch = f"{git_in(folder)} {_FETCH}"
    if asked.rows[job.uid].session != asked.session or not _has_fetched_since(folder, job):
        return fetch
    with suppress(NoCommandError):
        return _commit_and_run(asked, job, find_commit(asked.database, asked.workspace, job)) or fetch
    return fetch


def _has_fetched_since(folder: str, job: Job) -> bool:
    """Whether a fetch is of no use: git writes `FETCH_HEAD` with each (git-fetch(1))."""
    if not run_git(folder, "remote"):
        return True
    path = run_git(folder, "rev-parse", "--git-path", "FETCH_HEAD") or ""
    try:
        fetched_at = os.stat(os.path.join(folder, path)).st_mtime
    except OSError:
        return False
    return bool(path) and fetched_at > datetime.fromisoformat(job.started_at).timestamp()


def _remote_branches(folder: str, commit: str) -> str | None:
    """The remote branches that hold a commit; None where git does not know it."""
    return run_git(folder, "branch", "--remotes", "--contains", commit)


def _push(folder: str, commits: Iterable[str]) -> str:
    """The command that brings commits to a remote: each by a branch that has it, the one that is checked out first.

    That one is merged with what was pushed to it before; where that does not go by itself, the commit gets a branch.
    """
    git = git_in(folder)
    remotes = (run_git(folder, "remote") or "").splitlines()
    name = quoted("origin" if "origin" in remotes or not remotes else remotes[0])
    here = run_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    is_tracking = run_git(folder, "rev-parse", "--verify", "--quiet", "@{push}") is not None
    behind = is_tracking and (run_git(folder, "rev-list", "--count", "HEAD..@{push}") or "0") != "0"
    is_apart = behind and not _merges(folder)
    sources: dict[str, None] = {}
    plain = False
    for commit in commits:
        branches = (run_git(folder, "for-each-ref", f"--contains={commit}", "--format=%(refname:short)", "refs/heads")
                    or "").splitlines()
        own = [branch for branch in branches if branch != here or not is_apart]
        if here not in own:
            sources[own[0] if own else f"{commit[:12]}:refs/heads/run-{commit[:12]}"] = None
        elif is_tracking:
            plain = True
        else:
            sources[str(here)] = None
    commands = [] if remotes else [f"{git} remote add origin URL"]
    commands += [f"{git} pull --no-rebase"] if plain and behind else []
    commands += [f"{git} push"] if plain else []
    commands += [f"{git} push -u {name} {joined(list(sources))}"] if sources else []
    return " && ".join(commands)


def _merges(folder: str) -> bool:
    """Whether the branch that is checked out can be merged with where it is pushed to; git tells it from 2.38 on."""
    ends = [run_git(folder, "rev-parse", "--abbrev-ref", end) for end in ("@{upstream}", "@{push}")]
    return ends[0] == ends[1] and run_git(folder, "merge-tree", "--write-tree", "HEAD", "@{push}") is not None


def _sourced(asked: Asked, silence: Item | None) -> Item:
    """A root input is sourced if a recorded job made it, its readers' commits bring it, or its place is known.

    That is known of an object that `roar get` fetched, and where a label says so. The job that ran a reader, and wrote
    what that read, made it as well.
    """
    database, jobs = asked.database, asked.behind
    roots = find_roots(database, [asked.rows[job.uid].row_id for job in jobs])
    is_given = _find_given(asked)
    open_roots = [root for root in roots if root.made_by is None and not is_location(root.path)
                  and not is_given(root) and not _has_source(database, root)]
    code = find_in_commits(database, asked.workspace, jobs, inputs_of(open_roots), load_patches(database, jobs))
    open_roots = [root for root in open_roots if code.lacks(root)]
    title = "every root input has a source"
    if open_roots and silence:
        return replace(silence, title=title)
    unpushed = _find_unpushed(asked, code)
    hidden = _find_hidden(asked, open_roots)
    problems = [*_without_source(database, open_roots, hidden),
                *(f"{path} is in {commit[:12]}, which is in no branch of a remote" for path, _, commit in unpushed)]
    hint, obstacle = _first_hint([lambda: _give_source(asked, open_roots)] if open_roots else [])
    if unpushed and not open_roots:
        _, tree, commit = unpushed[0]
        hint = _push(tree, [commit])
    passed = not problems or (None if len(problems) == len(hidden) else False)
    return Item(title=title, passed=passed, problems=(*problems, *obstacle), hint=hint)


def _find_unpushed(asked: Asked, code: FromCommits) -> list[tuple[str, str, str]]:
    """The root inputs that a later commit brings, which is on no remote: path, work tree, commit."""
    found: dict[tuple[str, str, str], None] = {}
    for job in asked.behind:
        tree = find_work_tree(asked.workspace, job)
        for later in code.later.get(job.uid, ()) if tree is not None else ():
            found[later.path, str(tree), later.commit] = None
    return [one for one in found if not _remote_branches(*one[1:])]


def _find_hidden(asked: Asked, roots: Iterable[Root]) -> dict[Root, str]:
    """Of which root inputs nobody can tell whether they come with a job's commit, as that is not here any more."""
    readers = {uid for root in roots if root.digest is not None for uid in root.used_by}
    lacks = cache(lacks_commit)
    gone = {job.uid: (tree, f"{job.git.commit[:12]} of {asked.name(job)}") for job in asked.behind
            if job.uid in readers and job.git is not None and job.git.commit is not None
            and (tree := find_work_tree(asked.workspace, job)) is not None and lacks(tree, job.git.commit)}
    return {root: gone[uid][1] for root in roots if root.digest is not None for uid in root.used_by
            if uid in gone and is_inside(asked.workspace.absolute(root.path), gone[uid][0])}


def _without_source(database: sqlite3.Connection, roots: Sequence[Root], hidden: Mapping[Root, str]) -> Iterator[str]:
    times = Counter(root.path for root in roots)
    for root in roots:
        if root.digest is None:
            yield f"{root.path} is not known with the content that was read"
            continue
        name = f"{root.path}{f' ({root.digest[:12]})' if times[root.path] > 1 else ''}"
        if root in hidden:
            yield f"{name} may come with {hidden[root]}, which is not in the repository here"
        elif root.meanwhile is not None:
            yield f"{name} was read while job {root.meanwhile[:8]} wrote there, and has not left that"
        elif said := next((value for value in _said_sources(database, root) if value.strip()), None):
            yield f"{name} has the label {SOURCE_LABEL}={quoted(said)}, which names no place"
        else:
            yield f"{name} has no known source"


def _give_source(asked: Asked, roots: Sequence[Root]) -> str:
    """The command for the first of them, or for all of its folder where these are many.

    One that lies there with other content now has to be named by its digest. Content that is not known cannot be
    labelled; a job that runs again finds what is there then, which is what another one has left that wrote meanwhile,
    unless that is the one that ran it.
    """
    labelled = [root for root in roots if root.digest is not None and (
        root.meanwhile is None or _is_from_around(asked, root))]
    if not labelled:
        path, uids = roots[0].path, set(roots[0].used_by)
        reader = next(job for job in asked.behind if job.uid in uids)
        again = asked.run_again(reader)
        if any(use.path == path for use in reader.outputs):  # jobs that add to one table at the same time
            raise NoCommandError(f"{asked.name(reader)} changed {path} as well, and would do so again")
        return again
    beside = [root for root in labelled if os.path.dirname(root.path) == os.path.dirname(labelled[0].path)]
    names = dict.fromkeys(_named(asked, one) for one in (beside if len(beside) >= _MANY else labelled[:1]))
    return f"roar label {' '.join(names)} {SOURCE_LABEL}=URL"


def _find_given(asked: Asked) -> Callable[[Root], bool]:
    """Tells whether each of the jobs that read a root input had got it from the one that ran it."""

    @cache
    def known(reader: str) -> set[tuple[str, bool]]:
        row = asked.rows[reader].row_id
        return {*((path, True) for path in given_paths(asked.database, [row])),
                *((path, False) for path in find_beginners(asked.database, row))}

    return lambda root: all((root.path, root.digest is not None) in known(reader) for reader in root.used_by)


def _is_from_around(asked: Asked, root: Root) -> bool:
    """Whether the job that wrote there meanwhile is one that ran the reader."""
    writer, = asked.database.execute("SELECT id FROM job WHERE uid = ?", (root.meanwhile,)).fetchone()
    return all(writer in find_around(asked.database, asked.rows[uid].row_id) for uid in root.used_by)


_MANY = 10
"""So many files of one folder rather come from one place."""


def _named(asked: Asked, root: Root) -> str:
    assert root.digest is not None
    path = os.path.relpath(asked.workspace.absolute(root.path))
    is_name = "=" not in path and path[:1] != "@" and _lies_there(asked.database, asked.workspace, root)
    return quoted_path(path) if is_name else root.digest[:12]


def _lies_there(database: sqlite3.Connection, workspace: Workspace, root: Root) -> bool:
    """Whether a root input's path stands for it: what lies there is what was read."""
    try:
        found = resolve(database, workspace, workspace.absolute(root.path))
    except RoarError:
        return False
    return isinstance(found, ArtifactReference) and found.digest == root.digest


def _has_source(database: sqlite3.Connection, root: Root) -> bool:
    """Whether a label on the root input says where it can be had, or one on a dataset that it is in."""
    return any(_PLACE.match(value) for value in _said_sources(database, root))


_PLACE = re.compile(  # an address, a DOI, an absolute path, a host with a path, an e-mail address
    r"\s*(?:[A-Za-z][\w+.\-]*:\S|10\.\d{4,}/\S|/\S|~\S*/|[\w\-]+(?:\.[\w\-]+)+/\S|[\w.+\-]+@[\w\-]+\.\w)")


def _said_sources(database: sqlite3.Connection, root: Root) -> Iterator[str]:
    """The values of the labels that are to say where a root input can be had."""
    if root.digest is not None:
        for value, in database.execute(
                "SELECT value FROM label JOIN artifact ON artifact.digest = ? WHERE key = CAST(? AS TEXT)"
                " AND (artifact_id = artifact.id OR artifact_id IN"
                " (SELECT dataset_id FROM dataset_member WHERE dataset_member.artifact_id = artifact.id))",
                (bytes.fromhex(root.digest), encoded(SOURCE_LABEL))):
            yield value if isinstance(value, str) else bytes(value).decode("utf-8", "surrogateescape")


_FRESH = "the outputs are up to date"


def _fresh(asked: Asked, session: int, status: Status) -> Item:
    """No output that is asked about may be stale, changed or unreadable; what is gone can be made again."""
    wrong = [output for output in status.outputs if output.freshness not in {Freshness.FRESH, Freshness.GONE}]
    if status.outputs and all(output.freshness is Freshness.GONE for output in status.outputs):
        return Item(title=_FRESH, passed=None, problems=("none of them is there",))
    stale = {step.number: step.stale for step in status.steps if step.stale}
    gone = [output for output in status.outputs
            if output.freshness is Freshness.GONE and not stale.get(output.step, GONE).endswith(GONE)]
    if gone and not wrong:
        mending = Mending(asked.database, asked.workspace, session, status)
        gone = [output for output in gone if not mending.ran_without(output.step)]
    if gone and not wrong:
        hint, obstacle = _mend(asked, session, status, gone)
        return Item(title=_FRESH, passed=None, hint=hint, problems=(
            *(f"{output.path} is gone; of @{output.step}: {stale[output.step]}" for output in gone), *obstacle))
    if not wrong and (kept := list(find_left_alone(asked.database, session, (
            (output.path, output.step) for output in status.outputs if output.freshness is Freshness.FRESH)))):
        return _left_alone(asked, kept)
    if not wrong and (earlier := list(find_read_before(asked, session))):
        hint, obstacle = _first_hint(one.mend for one in earlier[:_TRIED])
        return Item(title=_FRESH, passed=None, hint=hint, problems=(*(one.text for one in earlier), *obstacle))
    if not wrong and (added := list(find_added(asked.database, asked.workspace, session))):
        return _grown(asked, added)
    hint, obstacle = _mend(asked, session, status, wrong) if wrong else (None, ())
    return Item(title=_FRESH, passed=not wrong, hint=hint,
                problems=(*(f"{output.path}: {output.reason}" for output in wrong), *obstacle))


def _mend(asked: Asked, session: int, status: Status, outputs: Sequence[Output]) -> tuple[str | None, tuple[str, ...]]:
    """What to run first for some outputs, or why nothing is; as `_first_hint`."""
    mending = Mending(asked.database, asked.workspace, session, status)
    return _first_hint([lambda: _unless_abandoned(asked, mending.first(outputs))])


def _unless_abandoned(asked: Asked, hint: str) -> str:
    """A hint that may be to look at a step that failed; not at one of which another line says that this is past."""
    looked_at = _LOOK_AT.fullmatch(hint)
    job = None if looked_at is None else asked.last_of(int(looked_at[1]))
    if job is not None:
        asked.refuse_abandoned(job)
    return hint


_LOOK_AT = re.compile(rf"{LOOK}@(\d+)")


def _grown(asked: Asked, added: Sequence[Added]) -> Item:
    """Whether a step would read what was put into a folder that it had read nobody can tell."""
    by_uid = {job.uid: job for job in asked.jobs}
    jobs = [by_uid[uid] for uid in dict.fromkeys(one.job for one in added) if uid in by_uid]
    hint, obstacle = _first_hint(partial(asked.run_again, job) for job in jobs[:_TRIED])
    return Item(title=_FRESH, passed=None, hint=hint, problems=(
        *(f"@{one.step} has not read {first_of(one.folder + name for name in one.files)}, put there since"
          for one in added), *obstacle))


def _left_alone(asked: Asked, kept: Sequence[LeftAlone]) -> Item:
    """Whether these outputs are up to date nobody can tell: their steps read other data, and left them so."""
    by_row = {asked.rows[job.uid].row_id: job for job in asked.jobs}
    jobs = [by_row[job] for job in dict.fromkeys(one.job for one in kept) if job in by_row]
    used = {one.job: one for one in reversed(kept) if one.is_used}
    steps_over = {one.job: one.step for one in kept if one.taker}

    def make_anew(job: Job) -> str:
        if (own := used.get(asked.rows[job.uid].row_id)) is not None:
            raise NoCommandError(f"@{own.step} read {own.output} itself, to go on from it or to use it; without it"
                                 f" that run might do something else. If not: move it away, then roar run @{own.step}")
        try:
            return asked.run_again(job)
        except NoCommandError:
            if (step := steps_over.get(asked.rows[job.uid].row_id)) is None:
                raise
            raise NoCommandError("nobody can tell what is left over. If it is that: move it away, then"
                                 f" roar run @{step}") from None

    hint, obstacle = _first_hint(partial(make_anew, job) for job in jobs[:_TRIED])
    return Item(title=_FRESH, passed=None, hint=hint, problems=(
        *(f"{one.output}: @{one.step} left it as it was, though it read a changed {one.changed}"
          + (f", and @{one.taker} took it beside what it made then" if one.taker else "") for one in kept),
        *obstacle))


def _without_secrets(asked: Asked) -> Item:
    """Commands, names, labels and patches are looked through once more with the rules that redact them."""
    problems: list[str] = []
    held: Job | None = None
    hidden: list[str] = []
    for job in asked.jobs:
        texts = {"name": job.name or "", **{f"label {key}": value for key, value in job.labels.items()}}
        places = [place for place, text in texts.items() if redact_text(text) != text]
        if redact_command(job.command) != job.command:
            places.append("command")
        patch = (load_patch(asked.database, job) or b"").decode("utf-8", "surrogateescape")
        if redact_patch(patch) != patch:
            places.append("patch of uncommitted changes")
        held = job if places else held
        problems += [f"{asked.name(job)} seems to hold a secret in its {place}, not in an environment variable"
                     for place in places]
        if _HIDDEN.search(patch):
            hidden.append(asked.name(job))
            problems.append(f"{hidden[-1]} ran code with what seems to be a secret, which is not in the record")
    if held is not None and asked.rows[held.uid].row_id != _last_job(asked):
        problems.append(f"{NO_COMMAND}{asked.name(held)} is not the last job, which alone can be forgotten (roar pop)")
        held = None
    elif hidden and held is None:
        problems.append(f"{NO_COMMAND}nothing brings back what was left out of the code of {hidden[0]}")
    return Item(title="no secrets that the rules of redaction know", passed=not problems, problems=tuple(problems),
                hint="roar pop" if held is not None else None)


def _last_job(asked: Asked) -> int | None:
    found = resolve(asked.database, asked.workspace, "@-1")
    return found.row_id if isinstance(found, JobReference) else None
