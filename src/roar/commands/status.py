"""`roar status`: this session at a glance, and which outputs are stale, changed or gone."""

import sqlite3
import sys
from collections.abc import Sequence
from typing import Any

from roar.commands.arguments import Parser
from roar.commands.opening import open_record
from roar.errors import NotFoundError
from roar.query.added import find_added
from roar.query.freshness import load_status
from roar.query.references import find_current_session
from roar.query.running import RunningJob, load_running
from roar.query.sessions import load_session
from roar.workspace import Workspace


def parser() -> Parser:
    """The command line of `roar status`."""
    result = Parser("status", "Show this session: steps that did not end well, and outputs that are stale (an input"
                    " of their job has changed since, a symlink to it leads to something else now, it cannot be read,"
                    " is gone and no step made it, or the job did not end well), changed (no longer what the job"
                    " wrote), gone or unreadable; and what was put into a folder of which a step had read all.")
    result.add_argument("--all", action="store_true", help="cut no list")
    result.add_argument("--checklist", action="store_true",
                        help="check instead whether someone else could make this session again; exit status 1 if not")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print the status."""
    arguments = parser().parse_args(argv)
    workspace, database = open_record(only_answers=True)
    pending = workspace.pending_uids()
    running = load_running(workspace)
    current = find_current_session(database)
    if current is None:
        if arguments.json:
            _print({"session": None, "steps": [], "outputs": [], "running": _shapes(running), "pending": pending,
                    "added": []})
        else:
            from roar.present.status import render_unrecorded  # noqa: PLC0415  as below

            sys.stdout.write(render_unrecorded(running, len(pending) - len(running)) or
                             "No job has been recorded yet: roar run COMMAND\n")
        return 1 if arguments.checklist else 0
    if arguments.checklist:
        return _checklist(workspace, database, current.row_id, as_json=arguments.json, everything=arguments.all)
    session = load_session(database, current.row_id)
    status = load_status(database, workspace, current.row_id, _load_presentation)
    added = list(find_added(database, workspace, current.row_id))
    if arguments.json:
        steps = [{"step": step.number, "job": step.job.uid, "command": step.job.command, "state": step.job.state,
                  "exit_code": step.job.exit_code, "stale": step.stale} for step in status.steps]
        outputs = [{"path": output.path, "digest": output.digest, "step": output.step,
                    "state": output.freshness.value, "reason": output.reason} for output in status.outputs]
        _print({"session": session.uid, "steps": steps, "outputs": outputs, "running": _shapes(running),
                "pending": pending, "added": [one._asdict() for one in added]})
    else:
        from roar.present.status import render_status  # noqa: PLC0415  loaded while files are looked at

        sys.stdout.write(render_status(session, status, added, running, len(pending) - len(running),
                                       everything=arguments.all))
    return 0


def _load_presentation() -> None:
    """It takes as long as a look at ten thousand files."""
    import roar.present.status  # noqa: F401, PLC0415


def _print(value: Any) -> None:
    from roar.present.answer import print_json  # noqa: PLC0415  as above

    print_json(value)


def _shapes(running: Sequence[RunningJob]) -> list[dict[str, Any]]:
    return [{"job": one.job.uid, "command": one.job.command, "started_at": one.job.started_at, "pid": one.pid}
            for one in running]


def _checklist(workspace: Workspace, database: sqlite3.Connection, session: int, *, as_json: bool, everything: bool
               ) -> int:
    from roar.present.checklist import render_checklist  # noqa: PLC0415  starts git: only when asked
    from roar.query.checklist import check_reproducibility  # noqa: PLC0415
    from roar.query.sessions import load_publishable  # noqa: PLC0415

    jobs = load_publishable(database, session).jobs
    if not jobs:
        raise NotFoundError("This session has no jobs yet.", hint="roar run COMMAND")
    items = check_reproducibility(database, workspace, jobs)
    if as_json:
        _print({"checklist": items})
    else:
        sys.stdout.write(render_checklist(items, more=None if everything else "roar status --checklist --all"))
    return 0 if all(item.passed for item in items) else 1
