"""`roar reproduce`: print what it takes to make something again; with --run do it, and compare digests."""

import os
import shutil
import subprocess
import sys

from roar.commands.arguments import Parser
from roar.commands.opening import Opened, open_record
from roar.errors import RoarError, WorkspaceError
from roar.model import Job, Kind, is_location
from roar.present.answer import print_json
from roar.present.reproduction import Compared, render_compared, render_plan
from roar.query.files_now import dataset_is_unchanged, digest_now
from roar.query.jobs import iter_members, load_job
from roar.query.references import resolve, resolve_job
from roar.query.repository import run_git
from roar.query.reproduction import Plan, load_patch, load_plan
from roar.query.roots import Root
from roar.record.database import open_database
from roar.workspace import Workspace


def parser() -> Parser:
    """The command line of `roar reproduce`."""
    result = Parser("reproduce", "Print the plan that makes an artifact, job or session again: its code, its inputs,"
                    " its commands. With --run carry it out in a new folder and compare the digests that come out.")
    result.add_argument("ref", metavar="REF", help="an artifact (path or digest), a job, or a tracker run's URL or id")
    result.add_argument("--run", action="store_true", help="carry the plan out")
    result.add_argument("--into", metavar="FOLDER", help="where to (default: a new folder beside the workspace)")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print the plan; with --run the exit status is 0 only when every output came out the same."""
    arguments = parser().parse_args(argv)
    opened = open_record()
    plan = load_plan(opened.database, opened.workspace, resolve(opened.database, opened.workspace, arguments.ref))
    if not arguments.run:
        if arguments.json:
            print_json(plan)
        else:
            sys.stdout.write(render_plan(plan))
        return 1 if plan.obstacles else 0
    if plan.obstacles:
        raise RoarError(f"It cannot be reproduced: {plan.obstacles[0]}", hint=f"roar reproduce {arguments.ref}")
    folder = _new_folder(opened.workspace, arguments.into)
    results = _carry_out(opened, plan, folder)
    if arguments.json:
        print_json({"folder": folder, "outputs": [result._asdict() for result in results],
                    "exit_codes": [job.exit_code for job in plan.jobs]})
    else:
        sys.stdout.write(render_compared(results, plan.jobs))
        print(f"in {folder}")
    return 0 if all(result.outcome == "same" for result in results) else 1


def _new_folder(workspace: Workspace, wanted: str | None) -> str:
    folder = os.path.abspath(wanted) if wanted else f"{workspace.root}-reproduced"
    number = 1
    while not wanted and os.path.exists(folder):
        number += 1
        folder = f"{workspace.root}-reproduced-{number}"
    if os.path.exists(folder):
        raise WorkspaceError(f"{folder} is there already; a reproduction starts in a new folder.",
                             hint="roar reproduce REF --run --into NEW_FOLDER")
    try:
        os.makedirs(folder)
    except OSError as error:
        raise WorkspaceError(f"{folder} cannot be made: {error.strerror}.",
                             hint="roar reproduce REF --run --into NEW_FOLDER") from error
    return folder


def _carry_out(opened: Opened, plan: Plan, folder: str) -> list[Compared]:
    if any(job.git is not None for job in plan.jobs):
        _git(None, "clone", "--quiet", "--no-checkout", opened.workspace.root, folder)
    os.makedirs(os.path.join(folder, ".roar"), exist_ok=True)
    uses = [(job, root) for job in plan.jobs for root in plan.roots
            if job.uid in root.used_by and not is_location(root.path)]
    for job, root in uses:
        source = os.path.join(opened.workspace.root, root.path)
        if not (_is_recorded(opened, root, source) or _is_tracked(job, root, folder)):
            raise _lost(root)
    for job in plan.jobs:
        _place_code(opened, job, folder)
        for user, root in uses:
            if user is job:
                _place_root(opened, root, folder)
        _run(job, folder)
    return _compare(plan, folder)


def _place_code(opened: Opened, job: Job, folder: str) -> None:
    """The work tree as it was: the commit, and the uncommitted changes on top."""
    if job.git is None or job.git.commit is None:
        return
    _git(folder, "checkout", "--quiet", "--force", "--detach", job.git.commit)
    patch = load_patch(opened.database, job)
    if patch is not None:
        _git(folder, "apply", "--whitespace=nowarn", "-", content=patch)


def _git(folder: str | None, *arguments: str, content: bytes | None = None) -> None:
    place = [] if folder is None else ["-C", folder]
    try:
        done = subprocess.run(["git", *place, *arguments], input=content, capture_output=True, check=False)
    except OSError as error:
        raise WorkspaceError(f"git cannot be started: {error.strerror}.", hint="git --version") from error
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().splitlines()
        raise WorkspaceError(f"git {arguments[0]} failed: {said[-1] if said else 'no reason given'}.")


def _place_root(opened: Opened, root: Root, folder: str) -> None:
    """Copy a root input, once its content is the recorded one, unless the checkout has brought it already.

    One outside the workspace is used where it lies.
    """
    target = os.path.join(folder, root.path)
    if not os.path.isabs(root.path) and _is_recorded(opened, root, target):
        return
    source = os.path.join(opened.workspace.root, root.path)
    if not _is_recorded(opened, root, source):
        raise _lost(root)
    if os.path.isabs(root.path):
        return
    if root.kind is Kind.FILE:
        _copy(source, target)
        return
    for member in iter_members(opened.database, _artifact(opened, root)):
        _copy(*(os.path.join(os.path.dirname(place), member.path) for place in (source, target)))


def _copy(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy2(source, target)


def _lost(root: Root) -> WorkspaceError:
    digest = (root.digest or "")[:12]
    return WorkspaceError(f"{root.path} no longer holds the content that was read ({digest}).",
                          hint=f"roar show {digest}")


def _is_tracked(job: Job, root: Root, folder: str) -> bool:
    """Whether the job's commit brings something at the path of a root input."""
    if job.git is None or job.git.commit is None or os.path.isabs(root.path):
        return False
    return run_git(folder, "cat-file", "-e", f"{job.git.commit}:{root.path.rstrip('/')}") is not None


def _artifact(opened: Opened, root: Root) -> int:
    row = opened.database.execute("SELECT id FROM artifact WHERE digest = ?", (bytes.fromhex(root.digest or ""),))
    artifact_id: int = row.fetchone()[0]
    return artifact_id


def _is_recorded(opened: Opened, root: Root, place: str) -> bool:
    if root.digest is None:
        return False
    try:
        if root.kind is Kind.FILE:
            return digest_now(opened.database, place) == root.digest
        return dataset_is_unchanged(opened.database, os.path.dirname(place), _artifact(opened, root))
    except OSError:
        return False


def _run(job: Job, folder: str) -> None:
    """Under `roar run`, so that the reproduction has a record of its own; its output goes to stderr.

    A `roar get` records itself.
    """
    cwd = os.path.normpath(os.path.join(folder, job.cwd))
    os.makedirs(cwd, exist_ok=True)
    words = ["run", "--quiet", "--", *job.command] if job.kind == "run" else [*job.command[1:], "--quiet"]
    done = subprocess.run([sys.executable, "-m", "roar", *words], cwd=cwd, check=False, stdout=sys.stderr)
    if done.returncode != job.exit_code:
        name = f"@{job.step} {job.uid[:8]}"
        raise RoarError(f"{name} ended with {done.returncode} instead of {job.exit_code}, in {cwd}.",
                        hint=f"cd {folder} && roar show @-1")


def _compare(plan: Plan, folder: str) -> list[Compared]:
    """The outputs as the reproduction's own record has them, beside the recorded ones."""
    workspace = Workspace(os.path.realpath(folder))
    database = open_database(workspace.database)
    found: dict[str, str | None] = {}
    for number in range(len(plan.jobs), 0, -1):
        job = load_job(database, resolve_job(database, workspace, f"@-{number}").row_id)
        found.update({use.path: use.digest for use in job.outputs})
    database.close()
    results = []
    for use in plan.wanted:
        digest = found.get(use.path)
        outcome = "missing" if digest is None else "same" if digest == use.digest else "differs"
        results.append(Compared(use.path, outcome, use.digest, digest))
    return results
