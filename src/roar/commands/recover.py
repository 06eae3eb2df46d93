"""`roar recover`: finish the record of jobs whose `roar run` did not live to do it."""

import os
import sys
from errno import EDQUOT, ENOSPC

from roar.commands.arguments import Parser
from roar.errors import NotFoundError, RoarError, WorkspaceError
from roar.observe.pending import JOB, Pending, in_order, load_pending
from roar.present.answer import print_json
from roar.present.text import command_text, count_text, printable
from roar.record.database import open_database
from roar.workspace import Workspace, open_workspace


def parser() -> Parser:
    """The command line of `roar recover`."""
    result = Parser("recover", "Finish the record of jobs whose `roar run` was killed or could not write. Jobs that"
                    " are still running are left alone.")
    result.add_argument("--list", action="store_true", help="only say which there are")
    result.add_argument("--discard", metavar="UID", help="delete the evidence of one job instead")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Finish what can be finished; exit status 1 if something could not."""
    arguments = parser().parse_args(argv)
    workspace = open_workspace()
    if arguments.discard:
        return _discard(workspace, arguments.discard)
    running, abandoned, broken = _sorted(workspace)
    recovered: list[str] = []
    failed: dict[str, str] = dict(broken)
    hints: dict[str, str] = {}
    if abandoned and not arguments.list:
        open_database(workspace.database).close()  # a broken one is told once, and is no reason to discard evidence
        _finish(workspace, abandoned, recovered, failed, hints)
    if arguments.json:
        print_json({"running": [pending.uid for pending in running], "recovered": recovered, "failed": failed,
                    "waiting": [pending.uid for pending in abandoned if pending.uid not in {*recovered, *failed}]})
    else:
        _print(running, abandoned, recovered, failed, hints)
    return 1 if failed else 0


def _finish(workspace: Workspace, abandoned: list[Pending], recovered: list[str], failed: dict[str, str],
            hints: dict[str, str]) -> None:
    from roar.commands.run import finish_pending, finishing  # noqa: PLC0415  only where there is something to finish

    left = [pending.uid for pending in abandoned]
    with finishing(left):
        while left:
            try:
                finish_pending(workspace, left[0])
                recovered.append(left[0])
            except RoarError as error:
                failed[left[0]] = error.message
                if isinstance(error, WorkspaceError):  # the record is at fault, and the evidence whole
                    hints[left[0]] = error.hint or "roar doctor"
            del left[0]


def _sorted(workspace: Workspace) -> tuple[list[Pending], list[Pending], dict[str, str]]:
    """Jobs that run, jobs that were abandoned as they are to be recorded, and by uid why evidence cannot be read."""
    running: list[Pending] = []
    abandoned: list[Pending] = []
    broken: dict[str, str] = {}
    for uid in workspace.pending_uids():
        folder = workspace.pending_job(uid)
        if not os.access(folder, os.R_OK | os.X_OK):
            broken[uid] = f"its evidence in {folder} {_OF_OTHERS}"
            continue
        if not os.path.exists(os.path.join(folder, JOB)):
            broken[uid] = f"its evidence in {folder} holds nothing of the command, as when the disk was full"
            continue
        try:
            pending = load_pending(folder)
        except RoarError as error:
            broken[uid] = error.message
            continue
        (abandoned if pending.abandoned() else running).append(pending)
    return running, in_order(abandoned), broken


_OF_OTHERS = "is for its owner to read, who has to run roar recover"
_FULL = ("disk is full", os.strerror(ENOSPC), os.strerror(EDQUOT))
"""What SQLite and the system say where room is all that is missing: the evidence is whole."""


def _print(running: list[Pending], abandoned: list[Pending], recovered: list[str], failed: dict[str, str],
           hints: dict[str, str]) -> None:
    for pending in running:
        print(f"{pending.uid[:8]}  is running      {command_text(pending.command)}")
    for pending in abandoned:
        if pending.uid not in failed:
            word = "is recorded now" if pending.uid in recovered else "was cut short "
            print(f"{pending.uid[:8]}  {word} {command_text(pending.command)}")
    for uid, reason in failed.items():
        hint = "df -h .roar" if any(text in reason for text in _FULL) else hints.get(
            uid, "ls -l .roar/pending" if reason.endswith(_OF_OTHERS) else f"roar recover --discard {uid[:8]}")
        sys.stderr.write(f"roar: job {uid[:8]} cannot be recorded: {printable(reason)}\n  try: {hint}\n")
    if not running and not abandoned and not failed:
        print("Every job is recorded.")
    elif recovered:
        print(f"{count_text(len(recovered), 'job')} recovered.")


def _discard(workspace: Workspace, uid: str) -> int:
    found = [name for name in workspace.pending_uids() if name.startswith(uid)]
    if len(found) != 1:
        raise NotFoundError(f"No single job with evidence that is not recorded starts with {uid!r}.",
                            hint="roar recover --list", candidates=tuple(found))
    import shutil  # noqa: PLC0415  only here

    folder = workspace.pending_job(found[0])
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise WorkspaceError(f"The evidence in {folder} cannot be deleted: {error.strerror}.",
                             hint="ls -l .roar/pending") from error
    print(f"The evidence of job {found[0][:8]} is deleted; that job is not in the record.")
    return 0
