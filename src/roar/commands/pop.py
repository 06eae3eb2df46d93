"""`roar pop`: forget the last job of the session. The user's files stay, unless asked otherwise."""

import os
import subprocess
import sys
from collections.abc import Sequence

from roar.commands.arguments import Parser
from roar.commands.opening import Opened, open_record, say
from roar.errors import WorkspaceError
from roar.model import Job, is_location
from roar.observe.code import find_refusal, git_environment
from roar.present.answer import print_json
from roar.present.text import command_text, count_text, printable, short_command
from roar.query.jobs import files_of, load_job
from roar.query.own_outputs import iter_own
from roar.query.references import resolve_job
from roar.query.running import RunningJob, load_running
from roar.query.within import find_script
from roar.record.database import transaction
from roar.record.writer import pop_job


def parser() -> Parser:
    """The command line of `roar pop`."""
    result = Parser("pop", "Forget the last job of this session that is recorded: one that still runs is not yet. A"
                    " script that ran others by `roar run` goes before these. No file is touched.")
    result.add_argument("--delete-outputs", action="store_true",
                        help="also delete the files that the job wrote: only those that are still as it wrote them,"
                             " that it did not read as well, that were not there before it (unless a recorded job had"
                             " made them; what it put in the place of another file by a rename goes, too), that no"
                             " other job wrote with this content, and that git does not track;"
                             " of what it read or moved the last copy stays. Refused while a job runs, which may be"
                             " about to read them")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Forget the job, and delete what was asked for."""
    arguments = parser().parse_args(argv)
    opened = open_record()
    with transaction(opened.database):  # no other `roar pop` comes between
        last = resolve_job(opened.database, opened.workspace, "@-1").row_id
        job = load_job(opened.database, find_script(opened.database, last) or last)
    running = load_running(opened.workspace)
    if arguments.delete_outputs:
        _refuse_running(running, job)
    doomed = _doomed(opened, job) if arguments.delete_outputs else []
    written = [opened.workspace.absolute(file.path) for use in job.outputs if not is_location(use.path)
               for file in files_of(opened.database, use)]
    if not pop_job(opened.database, job.uid):
        raise WorkspaceError(f"Another roar pop has just forgotten job {job.uid[:8]} (@{job.step}): nothing else was"
                             " forgotten.", hint="roar pop, which forgets the one before it")
    deleted = [path for path in doomed if _delete(path)]
    kept = [path for path in dict.fromkeys(written) if os.path.lexists(path)]
    for one in running:
        say(f"{_told(one)} still runs: it is not recorded yet, and stays. Forgotten is the last job before it.")
    if arguments.json:
        print_json({"popped": job.uid, "deleted": list(map(opened.workspace.relative, deleted)),
                    "kept": list(map(opened.workspace.relative, kept))})
        return 0
    print(f"Forgot job {job.uid[:8]} (@{job.step}): {command_text(job.command)}")
    for path in deleted:
        print(f"deleted {printable(opened.workspace.relative(path))}")
    if kept:
        if arguments.delete_outputs:
            for path in kept:
                print(f"kept    {printable(opened.workspace.relative(path))}")
        why = "; only what is surely this job's alone is deleted: roar pop --help" if arguments.delete_outputs else ""
        print(f"{count_text(len(kept), 'output')} left in place{why}.")
    return 0


def _refuse_running(running: Sequence[RunningJob], job: Job) -> None:
    """Refuse to delete what a job that runs may be about to read.

    Raises:
        WorkspaceError: one does.
    """
    if running:
        several = len(running) > 1
        more = f" and {count_text(len(running) - 1, 'other job')}" if several else ""
        raise WorkspaceError(f"{_told(running[0])}{more} still {'run' if several else 'runs'} and may read what"
                             f" @{job.step} wrote: nothing is deleted or forgotten until"
                             f" {'they have' if several else 'it has'} ended.",
                             hint="roar pop, which deletes no file; what runs: roar log --status running")


def _told(running: RunningJob) -> str:
    return f"Job {running.job.uid[:8]} ({short_command(running.job.command)})"


def _doomed(opened: Opened, job: Job) -> list[str]:
    """Absolute paths of the job's outputs that may go."""
    own = list(iter_own(opened.database, opened.workspace, job))
    tracked = _tracked(own)
    return [path for path in own if path not in tracked]


def _tracked(paths: list[str]) -> set[str]:
    """Those of `paths` that git tracks. Where git cannot tell although there is a repository: all of them."""
    tracked: set[str] = set()
    trees: dict[str, str | None] = {}
    inside: dict[str, list[str]] = {}
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in trees:
            trees[folder] = _work_tree(folder)
        tree = trees[folder]
        if tree is not None:
            inside.setdefault(tree, []).append(path)
    for tree, members in inside.items():
        listed = _listed(tree)
        tracked.update(members if listed is None else listed.intersection(members))
    return tracked


def _work_tree(folder: str) -> str | None:
    """The root of the git work tree that holds `folder`."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def _listed(tree: str) -> set[str] | None:
    """Absolute paths of all files that git tracks in a work tree; None where it cannot tell."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=tree, env=git_environment(), capture_output=True,
                              check=False)
    except OSError:
        done = None
    if done is None or done.returncode:
        refusal = find_refusal(tree)
        why = f" (it says: {refusal.reason})" if refusal is not None else ""
        hint = f"\n  try: {refusal.hint}" if refusal is not None and refusal.hint else ""
        sys.stderr.write(f"roar: git cannot tell what it tracks in {printable(tree + why)}; nothing there is deleted"
                         f"{hint}\n")
        return None
    return {os.path.join(tree, os.fsdecode(name)) for name in done.stdout.split(b"\0") if name}


def _delete(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError as error:
        sys.stderr.write(f"roar: {printable(path)} stays: {error.strerror}\n")
        return False
    return True
