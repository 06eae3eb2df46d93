"""`roar lineage`: what an artifact was made from, and what was made of it."""

import sys
from argparse import Namespace
from typing import TypeGuard

from roar.commands.arguments import Parser
from roar.commands.opening import Opened, open_record, say_lost
from roar.errors import NotFoundError, UsageError
from roar.present.answer import print_json
from roar.present.graphs import render_lineage
from roar.present.text import command_text, printable, short_command
from roar.query.history import load_lines
from roar.query.jobs import iter_jobs
from roar.query.lineage import Direction, load_lineage
from roar.query.references import (
    ArtifactReference,
    FolderReference,
    JobReference,
    Reference,
    TrackerRunReference,
    find_current_session,
    resolve_or_folder,
)
from roar.query.roots import find_foreign
from roar.shell import joined, quoted, quoted_path

_Root = ArtifactReference | JobReference | FolderReference | TrackerRunReference


def parser() -> Parser:
    """The command line of `roar lineage`."""
    result = Parser("lineage", "Show what an artifact or job was made from (up), what was made of it (down), or both.")
    result.add_argument("ref", metavar="REF", help="an artifact or folder (path or digest), a job, or a tracker run's"
                        " URL or id")
    result.add_argument("--direction", dest="ways", action="append", choices=tuple(Direction), type=Direction,
                        help="which way to walk (default: up); up and down together are both")
    for way in Direction:
        result.add_argument(f"--{way}", dest="ways", action="append_const", const=way, help=f"--direction {way}")
    result.add_argument("--depth", type=int, metavar="N", help="at most N jobs far (default: all)")
    result.add_argument("--all", action="store_true", help="list all files of each job, and all jobs that made each")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Walk and print."""
    arguments = parser().parse_args(argv)
    if arguments.depth is not None and arguments.depth < 1:
        raise UsageError("--depth must be 1 or more.", hint="roar lineage --help")
    ways = set(arguments.ways or [Direction.UP])
    arguments.direction = ways.pop() if len(ways) == 1 else Direction.BOTH
    opened = open_record(only_answers=True)
    found = resolve_or_folder(opened.database, opened.workspace, arguments.ref)
    root = found if isinstance(found, FolderReference) or _has_several_jobs(found) else as_root(
        opened, arguments.ref, found)
    lineage = load_lineage(opened.database, root, direction=arguments.direction, depth=arguments.depth,
                           given=True)
    if arguments.json:
        from roar.wire import to_json  # noqa: PLC0415  only here

        lines = lineage.graph.jobs
        jobs = [{**to_json(job), "session": line.session} for line, job in zip(
            lines, iter_jobs(opened.database, [line.row_id for line in lines]), strict=True)]
        print_json({"root": lineage.root or arguments.ref, "kind": _kind(root), "jobs": jobs,
                    "artifacts": lineage.graph.artifacts, "edges": lineage.graph.edges,
                    "same_content": lineage.same_content, "truncated": lineage.cut or lineage.folder_cut})
    else:
        current = find_current_session(opened.database)
        sys.stdout.write(render_lineage(lineage, _title(opened, root, arguments.ref), every_file=arguments.all,
                                        session=current.uid if current else None, command=_command(arguments),
                                        foreign=find_foreign(opened.database, lineage)))
    say_lost(opened, found)
    return 0


def _command(arguments: Namespace) -> str:
    """The same question without --all and --depth."""
    way = [] if arguments.direction is Direction.UP else [f"--{arguments.direction}"]
    return f"{joined(['roar', 'lineage', *way])} {quoted_path(arguments.ref)}"


def as_root(opened: Opened, ref: str, found: Reference) -> ArtifactReference | JobReference:
    """The artifact or job to walk from; a tracker run stands for the job that wrote to it.

    Raises:
        NotFoundError: it is a session, or a run that several jobs wrote to; these are the candidates.
    """
    if isinstance(found, TrackerRunReference):
        lines = load_lines(opened.database, found.job_ids)
        if len(lines) > 1:
            raise NotFoundError(f"{len(lines):,} jobs wrote to the tracker run {ref}: name one of them.",
                                hint=f"roar show {quoted(ref)}", candidates=tuple(
                                    f"job {line.uid[:12]}  {short_command(line.command)}" for line in lines))
        return JobReference(lines[0].row_id, lines[0].uid)
    if not isinstance(found, (ArtifactReference, JobReference)):
        raise NotFoundError(f"{ref!r} is a session: its graph is the DAG.", hint=f"roar dag {quoted(ref)}")
    return found


def _has_several_jobs(found: Reference) -> TypeGuard[TrackerRunReference]:
    return isinstance(found, TrackerRunReference) and len(found.job_ids) > 1


def _kind(root: _Root) -> str:
    """What the root is; its name alone does not tell."""
    return {FolderReference: "folder", JobReference: "job", ArtifactReference: "artifact",
            TrackerRunReference: "tracker run"}[type(root)]


def _title(opened: Opened, root: _Root, ref: str) -> str:
    if isinstance(root, FolderReference):
        return f"folder {printable(root.path)}"
    if isinstance(root, TrackerRunReference):
        return f"tracker run {printable(root.url or ref)}  of {len(root.job_ids):,} jobs"
    if isinstance(root, ArtifactReference):
        return f"{printable(root.path)}  {root.digest}" if root.path else root.digest
    import json  # noqa: PLC0415  only for a job

    command = opened.database.execute("SELECT command FROM job JOIN step ON step.id = step_id WHERE job.id = ?",
                                      (root.row_id,)).fetchone()[0]
    return f"job {root.uid}  {command_text(json.loads(command))}"
