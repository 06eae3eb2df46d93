"""`roar recover`: finish the record of jobs whose `roar run` did not live to do it."""

import os
import sys
from errno import EDQUOT, ENOSPC
from typing import NamedTuple

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
    failed = dict(broken)
    if abandoned and not arguments.list:
        open_database(workspace.database).close()  # a broken one is told once, and is no reason to discard evidence
        _finish(workspace, abandoned, recovered, failed)
    if arguments.json:
        print_json({"running": [pending.uid for pending in running], "recovered": recovered,
                    "failed": {uid: failure.reason for uid, failure in failed.items()},
                    "waiting": [pending.uid for pending in abandoned if pending.uid not in {*recovered, *failed}]})
    else:
        _print(running, abandoned, recovered, failed)
    return 1 if failed else 0


class _Failure(NamedTuple):
    """Why a job is not recorded, and what to do about it; without a hint its evidence may as well be deleted."""

    reason: str
    hint: str | None = None


def _finish(workspace: Workspace, abandoned: list[Pending], recovered: list[str], failed: dict[str, _Failure]) -> None:
    from roar.commands.run import finish_pending, finishing  # noqa: PLC0415  only where there is something to finish

    left = [pending.uid for pending in abandoned]
    with finishing(left):
        while left:
            try:
                finish_pending(workspace, left[0])
                recovered.append(left[0])
            except RoarError as error:
                is_whole = isinstance(error, WorkspaceError)  # the record is at fault
                failed[left[0]] = _Failure(error.message, error.hint or "roar doctor" if is_whole else None)
            del left[0]


def _sorted(workspace: Workspace) -> tuple[list[Pending], list[Pending], dict[str, _Failure]]:
    """Jobs that run, jobs that were abandoned as they are to be recorded, and by uid why evidence cannot be read."""
    running: list[Pending] = []
    abandoned: list[Pending] = []
    broken: dict[str, _Failure] = {}
    for uid in workspace.pending_uids():
        folder = workspace.pending_job(uid)
        if not os.access(folder, os.R_OK | os.X_OK):
            broken[uid] = _Failure(f"its evidence in {folder} is for its owner to read, who has to run roar recover",
                                   _LOOK)
            continue
        if not os.path.exists(os.path.join(folder, JOB)):
            broken[uid] = _Failure(f"its evidence in {folder} holds nothing of the command, as when the disk was full")
            continue
        try:
            pending = load_pending(folder)
        except RoarError as error:
            broken[uid] = _Failure(error.message)
            continue
        (abandoned if pending.abandoned() else running).append(pending)
    return running, in_order(abandoned), broken


_LOOK = "ls -l .roar/pending"
_FULL = ("disk is full", os.strerror(ENOSPC), os.strerror(EDQUOT))
"""What SQLite and the system say where room is all that is missing: the evidence is whole."""


def _print(running: list[Pending], abandoned: list[Pending], recovered: list[str], failed: dict[str, _Failure]
           ) -> None:
    for pending in running:
        print(f"{pending.uid[:8]}  is running      {command_text(pending.command)}")
    for pending in abandoned:
        if pending.uid not in failed:
            word = "is recorded now" if pending.uid in recovered else "was cut short "
            print(f"{pending.uid[:8]}  {word} {command_text(pending.command)}")
    for uid, (reason, known) in failed.items():
        is_full = any(text in reason for text in _FULL)
        hint = "df -h .roar" if is_full else known or f"roar recover --discard {uid[:8]}"
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
                             hint=_LOOK) from error
    print(f"The evidence of job {found[0][:8]} is deleted; that job is not in the record.")
    return 0
