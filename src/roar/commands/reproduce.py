"""`roar reproduce`: print what it takes to make something again; with --run do it, and compare digests."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from roar.commands.arguments import Parser
from roar.commands.opening import Opened, open_record, say
from roar.commands.redirecting import open_input, open_output
from roar.errors import RoarError, UsageError, WorkspaceError
from roar.model import FileUse, Job, Kind, Redirections, is_location, members_folder
from roar.observe.code import git_environment, refusal_of
from roar.observe.environ import environment
from roar.present.answer import print_json
from roar.present.reproduction import Compared, render_compared, render_plan
from roar.present.text import printable, told
from roar.query.files_now import DatasetLook, digest_now, find_change_of_files, holds, is_absence
from roar.query.jobs import files_of, load_datasets, load_job
from roar.query.placements import Step
from roar.query.protection import can_protect, protect
from roar.query.references import resolve_or_folder
from roar.query.repository import (
    APPLY,
    find_around,
    find_submodules,
    find_work_tree,
    find_work_trees,
    is_inside,
    patched_names,
    run_git,
    without_submodules,
)
from roar.query.reproduction import Plan, find_written_over, load_plan
from roar.query.roots import Root, members_of
from roar.query.standing_in import patch_to_apply, run_by
from roar.query.versions import iter_places
from roar.record.database import open_database
from roar.shell import quoted, quoted_path
from roar.workspace import Workspace

_ROAR = (sys.executable, "-P", os.path.join(os.path.dirname(os.path.dirname(__file__)), "__main__.py"))
"""`-m roar` would look for Python's own modules in the current folder first."""


def parser() -> Parser:
    """The command line of `roar reproduce`."""
    result = Parser("reproduce", "Print the plan that makes an artifact, job or session again: its code, its inputs,"
                    " its commands. With --run carry it out in a new folder and compare the digests that come out.")
    result.add_argument("ref", metavar="REF", help="an artifact or folder (path or digest), a job, or a tracker run's"
                        " URL or id")
    result.add_argument("--run", action="store_true", help="carry the plan out")
    result.add_argument("--into", metavar="FOLDER",
                        help="with --run: where to (default: a new folder beside the git work tree or workspace)")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print the plan; with --run the exit status is 0 only when every output came out the same."""
    arguments = parser().parse_args(argv)
    if arguments.into and not arguments.run:
        raise UsageError("--into has no effect without --run, which carries the plan out.",
                         hint=f"roar reproduce {quoted_path(arguments.ref)} --run --into {quoted(arguments.into)}")
    opened = open_record()
    found = resolve_or_folder(opened.database, opened.workspace, arguments.ref)
    plan = load_plan(opened.database, opened.workspace, found)
    if not arguments.run:
        if arguments.json:
            print_json(plan)
        else:
            sys.stdout.write(render_plan(plan, f"roar reproduce {quoted_path(arguments.ref)} --json"))
        return 1 if plan.obstacles else 0
    if plan.obstacles:
        raise RoarError(f"It cannot be reproduced: {plan.obstacles[0]}",
                        hint=f"roar reproduce {quoted_path(arguments.ref)}")
    target = _Target(opened.workspace, plan.jobs, _submodules(opened, plan), arguments.into)
    every = (*plan.jobs, *chain.from_iterable(plan.within.values()))
    foreign = find_written_over(opened.database, opened.workspace, every, target.folder)
    if foreign is not None:
        raise WorkspaceError(f"From {target.folder} the jobs may write over {foreign}, which none of them left so.",
                             hint=f"roar reproduce {quoted_path(arguments.ref)} --run")
    for doubt in plan.doubts:
        sys.stderr.write(f"roar: {told(doubt)}\n")
    results = _carry_out(opened, plan, target)
    if arguments.json:
        print_json({"folder": target.root, "outputs": [result._asdict() for result in results],
                    "exit_codes": [job.exit_code for job in plan.jobs]})
    else:
        sys.stdout.write(render_compared(results, plan.jobs))
        print(f"in {printable(target.root)}")
    return 0 if all(result.outcome == "same" for result in results) else 1


def _submodules(opened: Opened, plan: Plan) -> dict[str, dict[str, str]]:
    """By uid of a job the commits of its submodules, by their names, those first that lie around others."""
    found = {}
    for job in plan.jobs:
        tree = find_work_tree(opened.workspace, job)
        found[job.uid] = {} if tree is None or job.git is None or job.git.commit is None else {
            one.name: one.commit for one in find_submodules(tree, job.git.commit, _patch(opened, plan, job))
            if one.is_kept}
    return found


def _patch(opened: Opened, plan: Plan, job: Job) -> bytes | None:
    return patch_to_apply(opened.database, job, plan.within.get(job.uid, ()))


class _Target:
    """Where a reproduction goes: a new folder, which stands for the workspace, or for the work tree around it.

    Attributes:
        folder: the new folder.
        root: what stands for the workspace's root, in it.
        clones: by work tree of the jobs and by submodule in it where its clone goes.
        submodules: by uid of a job the commits of the submodules that it found, by their names.
    """

    def __init__(self, workspace: Workspace, jobs: Sequence[Job], submodules: Mapping[str, Mapping[str, str]],
                 wanted: str | None) -> None:
        trees = find_work_trees(workspace, jobs)
        around = find_around(workspace, trees)
        self._workspace = workspace
        self.submodules = submodules
        self._around = around
        self._protected = can_protect(around)
        self.folder = _new_folder(around, wanted)
        self.root = os.path.normpath(os.path.join(self.folder, os.path.relpath(workspace.root, around)))
        self.clones = {tree: os.path.normpath(os.path.join(self.folder, os.path.relpath(tree, around)))
                       for tree in trees if is_inside(tree, around)}
        for tree in list(self.clones):
            self.clones |= {os.path.join(tree, name): os.path.join(self.clones[tree], name)
                            for job in jobs if find_work_tree(workspace, job) == tree
                            for name in submodules[job.uid]}
        self._highest = self.folder
        while not os.path.lexists(os.path.dirname(self._highest)):
            self._highest = os.path.dirname(self._highest)

    @property
    def limits(self) -> str:
        """What a command finds otherwise than before, as a sentence."""
        return f" What it writes into {self._around} fails." if self._protected else ""

    def protection(self, cwd: str) -> Callable[[], None] | None:
        """What makes the original read-only to a command that starts in `cwd`, where that can be."""
        return protect(self._around, but=self.folder, cwd=cwd) if self._protected else None

    def place(self, path: str) -> str | None:
        """What stands for a recorded path here; None for one that is used where it lies."""
        absolute = self._workspace.absolute(path)
        if not is_inside(absolute, self._around):
            return None
        return os.path.normpath(os.path.join(self.folder, os.path.relpath(absolute, self._around)))

    def clear_way(self, place: str) -> None:
        """No symlink stands at a place in the folder or on the way to it: nothing is written through one."""
        way = self.folder
        for name in os.path.relpath(place, self.folder).split("/") if is_inside(place, self.folder) else ():
            way = os.path.join(way, name)
            if os.path.islink(way):
                os.unlink(way)

    def make(self) -> None:
        """Make the folders, and the clones in them.

        Raises:
            WorkspaceError: it cannot be made, or git fails.
        """
        _make_folder(self.folder)
        if self._around in self.clones:
            _git(None, "clone", "--quiet", "--no-checkout", self._around, self.folder)
        workspace = Workspace(self.root)
        os.makedirs(workspace.folder, exist_ok=True)
        for tree, clone in sorted(self.clones.items(), key=lambda pair: len(pair[0])):
            if tree != self._around:  # set up like the submodule that it is, so that its jobs find the workspace
                store = os.path.join(workspace.folder, "modules", os.path.relpath(clone, self.folder))
                os.makedirs(os.path.dirname(store), exist_ok=True)
                _git(None, "clone", "--quiet", "--no-checkout", "--separate-git-dir", store, tree, clone)

    def remove(self) -> None:
        """Leave nothing of what was made."""
        shutil.rmtree(self._highest, ignore_errors=True)


def _make_folder(path: str, *, exist_ok: bool = False) -> None:
    try:
        os.makedirs(path, exist_ok=exist_ok)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be made: {error.strerror}.",
                             hint="roar reproduce REF --run --into NEW_FOLDER") from error


def _new_folder(around: str, wanted: str | None) -> str:
    folder = os.path.realpath(wanted) if wanted else f"{around}-reproduced"
    number = 1
    while not wanted and os.path.lexists(folder):
        number += 1
        folder = f"{around}-reproduced-{number}"
    if os.path.lexists(folder):
        raise WorkspaceError(f"{folder} is there already; a reproduction starts in a new folder.",
                             hint="roar reproduce REF --run --into NEW_FOLDER")
    return folder


def _carry_out(opened: Opened, plan: Plan, target: _Target) -> list[Compared]:
    """Run every job anew; what was made is kept once one of them has run, for a look at what it did."""
    uses = [(job, root) for job in plan.jobs for root in plan.roots
            if job.uid in root.used_by and root.digest is not None and not is_location(root.path)]
    roots = set(plan.roots)
    uses += [(job, placed.root) for job, step in zip(plan.jobs, plan.steps, strict=True) for placed in step.placements
             if placed.root not in roots]
    started = False
    try:
        target.make()
        later = {(step.job, later.path) for step in plan.steps for later in step.later}
        for job, root in uses:
            if (job.uid, root.path) not in later:
                _check(opened, job, root, target)
        for job, step in zip(plan.jobs, plan.steps, strict=True):
            _place_code(opened, job, step, _patch(opened, plan, job), target)
            _prepare(opened, step, [root for user, root in uses if user is job], target)
            started = True
            _run(opened, job, target)
    except BaseException as error:
        if not started:
            target.remove()
        elif isinstance(error, KeyboardInterrupt):
            say(f"interrupted; what was made so far lies in {target.folder}")
        raise
    return _compare(opened, plan, target)


def _prepare(opened: Opened, step: Step, roots: Sequence[Root], target: _Target) -> None:
    """Put in place what a job finds besides its code."""
    for link in step.links:
        if link.target is None:
            target.clear_way(target.place(link.path) or link.path)
    for root in roots:
        _place_root(opened, root, target)
    for folder in step.folders:
        place = target.place(folder) or folder
        target.clear_way(place)
        _make_folder(place, exist_ok=True)
    for link in step.links:
        if link.target is not None:
            _place_link(target.place(link.path) or link.path, link.target)


def _check(opened: Opened, job: Job, root: Root, target: _Target) -> None:
    """Before anything runs: an input is there, or the job's commit may bring it."""
    if _find_sources(opened, root, target) is None and not _is_tracked(job, root, target):
        raise _lost(opened, root)


def _place_code(opened: Opened, job: Job, step: Step, patch: bytes | None, target: _Target) -> None:
    """The work tree as it was: the commit, and the uncommitted changes on top."""
    if job.git is None or job.git.commit is None:
        return
    folder = target.clones[str(find_work_tree(opened.workspace, job))]
    _git(folder, "checkout", "--quiet", "--force", "--detach", job.git.commit)
    if patch is not None:
        _clear_for_patch(folder, patch, target)
    commits = {folder: job.git.commit}
    for name, commit in target.submodules[job.uid].items():
        commits[os.path.join(folder, name)] = commit
        _git(os.path.join(folder, name), "checkout", "--quiet", "--force", "--detach", commit)
    if files := without_submodules(patch or b""):
        _git(folder, *APPLY, "-", content=files)
    for path in step.restored:
        place = str(target.place(path))
        clone = max((clone for clone in commits if is_inside(place, clone)), key=len)
        _git(clone, "--literal-pathspecs", "checkout", "--quiet", "--force", commits[clone], "--", place)
    for later in step.later:
        _git(folder, "--literal-pathspecs", "checkout", "--quiet", "--force", later.commit, "--",
             str(target.place(later.path)))


def _clear_for_patch(clone: str, patch: bytes, target: _Target) -> None:
    """Remove the untracked files that an earlier step's patch added and this one adds, too."""
    names = patched_names(clone, patch)
    listed = run_git(clone, "ls-files", "-z")
    for name in set(names) - set((listed or "").split("\0")):
        place = os.path.join(clone, name)
        target.clear_way(place)
        if os.path.isfile(place):
            os.unlink(place)


def _git(folder: str | None, *arguments: str, content: bytes | None = None) -> None:
    place = [] if folder is None else ["-C", folder]
    try:
        done = subprocess.run(["git", *place, *arguments], input=content or b"", env=git_environment(),
                              capture_output=True, check=False)
    except OSError as error:
        raise WorkspaceError(f"git cannot be started: {error.strerror}.", hint="git --version") from error
    if done.returncode:
        said = refusal_of(done.stderr)
        verb = next(word for word in arguments if not word.startswith("-"))
        raise WorkspaceError(f"git {verb} failed: {said.reason.rstrip('.')}.", hint=said.hint)


def _place_root(opened: Opened, root: Root, target: _Target) -> None:
    """Copy a root input from where its content lies, unless the checkout has brought it already.

    One outside the workspace and its work tree is used where it lies.
    """
    place = target.place(root.path)
    if place is not None and _is_recorded(opened, root, place):
        return
    sources = _find_sources(opened, root, target)
    if sources is None:
        raise _lost(opened, root)
    if place is None:
        return
    for name, source in sources.items():
        _copy(source, place if root.kind is Kind.FILE else os.path.join(_folder_of(root, place), name), target)


def _find_sources(opened: Opened, root: Root, target: _Target) -> dict[str, str] | None:
    """Where each file of a root input lies now with its content, by its name in it; None where one does not.

    That is its own path, or any other that was recorded with this content, unless it is used where it lies.
    """
    source = opened.workspace.absolute(root.path)
    if root.kind is Kind.FILE:
        files = [("", source, root.digest or "")]
    else:
        folder = _folder_of(root, source)
        files = [(member.path, os.path.join(folder, member.path), member.digest)
                 for member in members_of(opened.database, root)]
    if _is_recorded(opened, root, source):
        return {name: place for name, place, _ in files}
    found = {}
    for name, place, digest in files if target.place(root.path) is not None else ():
        copy = next((path for path in chain([place], _copies(opened, digest))
                     if holds(opened.database, path, {digest})), None)
        if copy is None:
            return None
        found[name] = copy
    return found or None


def _copies(opened: Opened, digest: str) -> Iterator[str]:
    yield from map(opened.workspace.absolute, iter_places(opened.database, digest))


def _place_link(place: str, text: str) -> None:
    try:
        if os.path.lexists(place):
            os.unlink(place)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.symlink(text, place)
    except OSError as error:
        raise WorkspaceError(f"The symlink {place} cannot be put in place: {error.strerror}.",
                             hint=f"ls -ld {quoted(place)}") from error


def _folder_of(root: Root | FileUse, place: str) -> str:
    """The folder of a dataset that lies at `place`: that itself where it is a whole one."""
    return place if root.path.endswith("/") else os.path.dirname(place)


def _copy(source: str, place: str, target: _Target) -> None:
    target.clear_way(place)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    shutil.copy2(source, place)


def _lost(opened: Opened, root: Root) -> WorkspaceError:
    place = opened.workspace.absolute(root.path)
    try:
        _is_unchanged(opened, root, place)
    except OSError as error:
        if not is_absence(error):
            path = root.path if root.kind is Kind.FILE else os.path.join(_folder_of(root, root.path), error.filename)
            return WorkspaceError(f"{path} cannot be read now: {error.strerror}.",
                                  hint=f"ls -ld {quoted(opened.workspace.absolute(path))}")
    digest = (root.digest or "")[:12]
    is_there = os.path.lexists(place if root.kind is Kind.FILE else _folder_of(root, place))
    said = "no longer holds the content" if is_there else "is gone, with the content"
    return WorkspaceError(f"{root.path} {said} that was read ({digest}).", hint=f"roar show {digest}")


def _is_tracked(job: Job, root: Root, target: _Target) -> bool:
    """Whether the job's commit brings something at the path of a root input."""
    place = target.place(root.path)
    if job.git is None or job.git.commit is None or place is None:
        return False
    return any(is_inside(place, clone) and run_git(
        clone, "cat-file", "-e", f"{job.git.commit}:{os.path.relpath(place, clone)}") is not None
        for clone in target.clones.values())


def _artifact(opened: Opened, root: Root | FileUse) -> int:
    row = opened.database.execute("SELECT id FROM artifact WHERE digest = ?", (bytes.fromhex(root.digest or ""),))
    artifact_id: int = row.fetchone()[0]
    return artifact_id


def _is_recorded(opened: Opened, root: Root, place: str) -> bool:
    try:
        return root.digest is not None and _is_unchanged(opened, root, place)
    except OSError:
        return False


def _is_unchanged(opened: Opened, root: Root, place: str) -> bool:
    """Whether a root input lies at `place` with the recorded content.

    Raises:
        OSError: that cannot be read; `filename` is a dataset's member.
    """
    if root.kind is Kind.FILE:
        return digest_now(opened.database, place) == root.digest
    folder = _folder_of(root, place)
    if not root.members:
        return DatasetLook(opened.database, folder, _artifact(opened, root)).find_change() is None
    members = members_of(opened.database, root)
    return find_change_of_files(opened.database, folder, [
        (member.path, member.size, bytes.fromhex(member.digest)) for member in members]) is None


def _run(opened: Opened, job: Job, target: _Target) -> None:
    """Under `roar run`, so that the reproduction has a record of its own; output that went to no file goes to stderr.

    A `roar get` records itself.
    """
    cwd = os.path.normpath(os.path.join(target.root, job.cwd))
    target.clear_way(cwd)
    os.makedirs(cwd, exist_ok=True)
    words = ["run", "--quiet", "--", *job.command] if job.kind == "run" else [*job.command[1:], "--quiet"]
    with contextlib.ExitStack() as redirected:
        stdin, stdout = _redirect(opened, job, target, redirected)
        done = subprocess.run([*_ROAR, *words], cwd=cwd, check=False, stdin=stdin, env={**environment(), "PWD": cwd},
                              stdout=sys.stderr if stdout is None else stdout, preexec_fn=target.protection(cwd))
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    if status != job.exit_code:
        name = f"@{job.step} {job.uid[:8]}"
        raise RoarError(f"{name} ended with {status} instead of {job.exit_code}, in {cwd}.{target.limits}",
                        hint=f"cd {quoted(target.root)} && roar show @-1")


def _redirect(opened: Opened, job: Job, target: _Target, redirected: contextlib.ExitStack
              ) -> tuple[int | None, int | None]:
    """The descriptors of a job's standard input and output as long as it runs; None where it had no file there."""
    again = Redirections.of(job)
    stdin = stdout = None
    if again.stdin is not None:
        stdin = open_input(target.place(again.stdin) or opened.workspace.absolute(again.stdin))
        redirected.callback(os.close, stdin)
    if again.stdout is not None:
        place = target.place(again.stdout) or opened.workspace.absolute(again.stdout)
        target.clear_way(place)
        _make_folder(os.path.dirname(place), exist_ok=True)
        stdout = open_output(place, appends=again.appends)
        redirected.callback(os.close, stdout)
    return stdin, stdout


def _compare(opened: Opened, plan: Plan, target: _Target) -> list[Compared]:
    """The outputs as the reproduction's own record has them of the same jobs, beside the recorded ones."""
    workspace = Workspace(os.path.realpath(target.root))
    database = open_database(workspace.database)
    found: dict[FileUse, str | None] = {}
    done = [load_job(database, row_id) for (row_id,) in database.execute("SELECT id FROM job ORDER BY started_at, id")]
    for job, again, within in _again(database, done, plan.jobs):
        outputs = [use for one in (*within, again) for use in one.outputs]
        made = {use.path: use.digest for use in outputs}
        wanted = {use: _path_there(use, target, workspace) for use in plan.wanted if use in job.outputs}
        found |= {use: made[path] for use, path in wanted.items() if path in made}
        missing = {use: path for use, path in wanted.items() if path not in made}
        files = _files(database, outputs) if missing else {}
        found |= {use: _found_in_parts(opened, use, path, files) for use, path in missing.items()}
    database.close()
    return [_compared(use, found.get(use)) if found.get(use) is not None or not _lies_there(opened, use, target)
            else Compared(use.path, "same", use.digest, use.digest, written=False) for use in plan.wanted]


def _lies_there(opened: Opened, use: FileUse, target: _Target) -> bool:
    """Whether an output that was not written lies in the reproduction all the same, as `make` finds up to date."""
    place = target.place(use.path)
    if place is None or use.digest is None or not is_inside(os.path.realpath(place), os.path.realpath(target.folder)):
        return False
    if use.kind is Kind.FILE:
        return holds(opened.database, place, {use.digest})
    with contextlib.suppress(OSError):
        return DatasetLook(opened.database, _folder_of(use, place), _artifact(opened, use)).find_change() is None
    return False


def _again(database: sqlite3.Connection, done: Sequence[Job], jobs: Sequence[Job]
           ) -> Iterator[tuple[Job, Job, list[Job]]]:
    """Each job with the one that ran in its place, and those that this one ran by `roar run` itself."""
    for job in jobs:
        number = next((number for number, one in enumerate(done) if one.command == job.command), None)
        if number is not None:
            again, *later = done[number:]
            within = run_by(database, again, later)
            yield job, again, within
            done = [one for one in later if one not in within]


def _path_there(use: FileUse, target: _Target, workspace: Workspace) -> str:
    """The path that the reproduction's own record has for an output."""
    place = target.place(use.path)
    if place is None:
        return use.path
    path = workspace.relative(os.path.realpath(place))
    return f"{path}/" if use.path.endswith("/") else path


def _files(database: sqlite3.Connection, uses: Iterable[FileUse]) -> dict[str, str]:
    """The digest of each file among these, by itself or in a dataset, by its path."""
    return {file.path: file.digest for use in uses for file in files_of(database, use) if file.digest is not None}


def _found_in_parts(opened: Opened, use: FileUse, path: str, files: dict[str, str]) -> str | None:
    """The digest of an output that was recorded file by file there, or within a dataset; "" where files differ.

    How many files make a dataset is a setting, which the reproduction may not share.
    """
    if use.kind is Kind.FILE:
        return files.get(path)
    members = [member for dataset in load_datasets(opened.database, [use.digest or ""]) for member in dataset.members]
    now = [files.get(members_folder(path) + member.path) for member in members]
    if not any(now):
        return None
    return use.digest if now == [member.digest for member in members] else ""


def _compared(use: FileUse, digest: str | None) -> Compared:
    outcome = "missing" if digest is None else "same" if digest == use.digest else "differs"
    return Compared(use.path, outcome, use.digest, digest or None, written=digest is not None)
