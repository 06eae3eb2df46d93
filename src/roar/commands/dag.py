"""`roar dag`: the session's graph as a tree, as JSON, or drawn."""

import dataclasses
import sys
from argparse import Namespace

from roar.commands.arguments import Parser
from roar.commands.opening import Opened, open_record
from roar.errors import NotFoundError, UsageError, WorkspaceError
from roar.present.answer import print_json
from roar.present.graphs import Earlier, render_dag
from roar.query.freshness import load_status
from roar.query.graph import Step, last_jobs, load_earlier, load_graph, load_steps
from roar.query.references import SessionReference, find_current_session, resolve
from roar.query.sessions import session_job_ids
from roar.shell import quoted


def parser() -> Parser:
    """The command line of `roar dag`."""
    result = Parser("dag", "Show the session's graph: each step below the latest of the steps that it took inputs"
                    " from. Reruns of a step are folded into it, like followers of one step into one line. Which"
                    " steps are stale is told by the files as they are now, of an earlier session by its record.")
    result.add_argument("session", metavar="SESSION", nargs="?", default="@", help="another session, by its uid")
    result.add_argument("--all", action="store_true",
                        help="fold nothing: each step by itself, with all its outputs and its earlier jobs (in a"
                             " drawing: in its tooltip)")
    result.add_argument("--svg", metavar="FILE",
                        help="draw the graph into FILE instead (- for stdout); with --json as well")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print or draw the graph."""
    arguments = parser().parse_args(argv)
    if arguments.json and arguments.svg == "-":
        raise UsageError("The drawing and the JSON cannot both go to stdout.",
                         hint=f"{_command(arguments.session)} --json --svg FILE")
    opened = open_record(only_answers=True)
    session = _session(opened, arguments.session)
    steps = [] if session is None else load_steps(opened.database, session.row_id, every_output=arguments.all,
                                                  stale=_stale_now(opened, session))
    earlier = load_earlier(opened.database, steps) if arguments.all else None
    if arguments.svg:
        _draw(opened, steps, arguments, earlier)
    if arguments.json:
        print_json(_shape(opened, session, steps, everything=arguments.all))
    elif arguments.svg:
        return 0
    elif not steps:
        print("This session has no jobs yet: roar run COMMAND")
    else:
        sys.stdout.write(render_dag(steps, earlier, command=_command(arguments.session)))
    return 0


def _command(session: str) -> str:
    return "roar dag" if session == "@" else f"roar dag {quoted(session)}"


def _session(opened: Opened, ref: str) -> SessionReference | None:
    if ref == "@":
        return find_current_session(opened.database)
    found = resolve(opened.database, opened.workspace, ref)
    if not isinstance(found, SessionReference):
        raise NotFoundError(f"{ref!r} is not a session.", hint="roar log --all")
    return found


def _stale_now(opened: Opened, session: SessionReference) -> dict[int, str] | None:
    """Why steps of the current session are stale as the files are now; of an earlier one the record alone tells."""
    current = find_current_session(opened.database)
    if current is None or current.row_id != session.row_id:
        return None
    status = load_status(opened.database, opened.workspace, session.row_id)
    return {step.number: step.stale for step in status.steps if step.stale is not None}


def _shape(opened: Opened, session: SessionReference | None, steps: list[Step], *,
           everything: bool) -> dict[str, object]:
    """Nodes are jobs and artifacts; an edge goes from what was there first to what came of it."""
    if session is None:
        return {"nodes": [], "edges": []}
    find = session_job_ids if everything else last_jobs
    graph = load_graph(opened.database, find(opened.database, session.row_id))
    of_step = {step.number: step for step in steps}
    nodes: list[dict[str, object]] = []
    for job in graph.jobs:
        step = of_step[job.step]
        nodes.append({"id": job.uid, "type": "job", "step": job.step, "name": job.name, "command": job.command,
                      "started_at": job.started_at, "duration_s": job.duration_s, "exit_code": job.exit_code,
                      "state": job.state, "tracker_runs": job.tracker_runs,
                      "earlier": [] if everything else step.earlier,
                      "stale": step.stale if job.uid == step.job.uid else None})
    nodes += [{"id": artifact.digest, "type": "artifact", "path": artifact.path, "kind": artifact.kind.value,
               "size": artifact.size, "files": artifact.files} for artifact in graph.artifacts]
    return {"nodes": nodes, "edges": [dataclasses.asdict(edge) for edge in graph.edges]}


def _draw(opened: Opened, steps: list[Step], arguments: Namespace, earlier: Earlier | None) -> None:
    from roar.commands.overwriting import check_overwriting  # noqa: PLC0415  only where something is drawn
    from roar.present.drawing import draw_dag  # noqa: PLC0415

    path: str = arguments.svg
    if path != "-":
        whole = " --all" if arguments.all else ""
        check_overwriting(opened, path, instead=f"{_command(arguments.session)}{whole} --svg NEW_FILE")
    picture = draw_dag(steps, earlier, command=_command(arguments.session))
    if path == "-":
        sys.stdout.write(picture)
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(picture)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror}.") from error
