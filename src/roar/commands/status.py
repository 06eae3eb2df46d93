"""`roar status`: this session at a glance, and which outputs are stale, changed or gone."""

import sys

from roar.commands.arguments import Parser
from roar.commands.opening import open_record
from roar.present.answer import print_json
from roar.present.artifacts import render_status
from roar.query.freshness import load_status
from roar.query.references import find_current_session
from roar.query.sessions import load_session


def parser() -> Parser:
    """The command line of `roar status`."""
    result = Parser("status", "Show this session: steps that did not end well, and outputs that are stale (an input"
                    " of their job has changed since), changed (no longer what the job wrote) or gone.")
    result.add_argument("--all", action="store_true", help="cut no list")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print the status."""
    arguments = parser().parse_args(argv)
    workspace, database = open_record()
    pending = workspace.pending_uids()
    current = find_current_session(database)
    if current is None:
        if arguments.json:
            print_json({"session": None, "steps": [], "outputs": [], "pending": pending})
        else:
            print("No job has been recorded yet: roar run COMMAND")
        return 0
    session = load_session(database, current.row_id)
    status = load_status(database, workspace, current.row_id)
    if arguments.json:
        steps = [{"step": step.number, "job": step.job.uid, "command": step.job.command, "state": step.job.state,
                  "exit_code": step.job.exit_code, "stale": step.stale} for step in status.steps]
        outputs = [{"path": output.path, "digest": output.digest, "step": output.step,
                    "state": output.freshness.value, "reason": output.reason} for output in status.outputs]
        print_json({"session": session.uid, "steps": steps, "outputs": outputs, "pending": pending})
    else:
        sys.stdout.write(render_status(session, status, len(pending), everything=arguments.all))
    return 0
