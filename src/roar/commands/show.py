"""`roar show`: all about a job, an artifact, a session or a tracker run."""

import os
import sys
from argparse import Namespace
from dataclasses import replace

from roar.commands.arguments import Parser
from roar.commands.opening import Opened, open_record
from roar.errors import NotFoundError
from roar.present.answer import print_json
from roar.present.jobs import render_job, render_log, render_running
from roar.present.text import count_text, printable
from roar.query.history import load_lines
from roar.query.jobs import iter_jobs, load_blob, load_job, load_left_out, load_symlinks, uids_with_patch
from roar.query.references import (
    SHORTEST_UID,
    ArtifactReference,
    FolderReference,
    JobReference,
    SessionReference,
    TrackerRunReference,
    find_current_session,
    find_patch,
    iter_named,
    resolve_or_folder,
)
from roar.query.running import RunningJob, find_running_job, load_running
from roar.query.sessions import jobs_of_other_sessions, sessions_of
from roar.shell import quoted_path


def parser() -> Parser:
    """The command line of `roar show`."""
    result = Parser("show", "Show all about a job, an artifact or dataset, a folder of them, a session, or a tracker"
                    " run (by its URL or id); or the uncommitted changes of a job as a patch.")
    result.add_argument("ref", metavar="REF", nargs="?", default="@-1",
                        help="@N, a uid, a digest, a path, a tracker run's URL or id, the digest of a patch, or @ for"
                             " this session (default: the last job)")
    result.add_argument("--all", action="store_true",
                        help="cut no list, name the packages, and tell what was left out and why")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print what REF names."""
    arguments = parser().parse_args(argv)
    opened = open_record(only_answers=True)
    running = _find_running(opened, arguments.ref)
    if running is not None:
        _show_running(running, arguments.json)
        return 0
    patch = None if os.path.lexists(arguments.ref) else find_patch(opened.database, arguments.ref)
    if patch is not None:
        _show_patch(opened, patch, as_json=arguments.json)
        return 0
    found = resolve_or_folder(opened.database, opened.workspace, arguments.ref)
    if isinstance(found, JobReference):
        _show_job(opened, found, arguments.json, arguments.all)
    elif isinstance(found, ArtifactReference):
        _show_artifact(opened, found, arguments)
    elif isinstance(found, FolderReference):
        _show_folder(opened, found, arguments)
    elif isinstance(found, SessionReference):
        _show_session(opened, found, arguments.json, arguments.all)
    else:
        _show_tracker_run(opened, found, arguments)
    return 0


def _find_running(opened: Opened, ref: str) -> RunningJob | None:
    """The running job that `ref` names, unless the record knows something of that name.

    Raises:
        NotFoundError: more than one job that runs, or a step where there is none but a running job.
    """
    jobs = load_running(opened.workspace)
    if jobs and ref.startswith("@") and find_current_session(opened.database) is None:
        raise NotFoundError("No job has been recorded yet; one is running.", hint=f"roar show {jobs[0].job.uid[:8]}")
    found = find_running_job(jobs, ref, SHORTEST_UID)
    return None if found is None or any(iter_named(opened.database, ref)) else found


def _show_running(running: RunningJob, as_json: bool) -> None:
    if as_json:
        from roar.wire import to_json  # noqa: PLC0415  only here

        print_json({**to_json(running.job), "step": None, "pid": running.pid})
    else:
        sys.stdout.write(render_running(running))


def _show_patch(opened: Opened, digest: str, *, as_json: bool) -> None:
    """Uncommitted changes as `git apply` takes them; on a terminal without what could steer it."""
    content = load_blob(opened.database, digest)
    if content is None:
        raise NotFoundError(f"The patch {digest} is not kept.", hint="roar log")
    text = content.decode("utf-8", "backslashreplace")
    if as_json:
        print_json({"patch": digest, "jobs": uids_with_patch(opened.database, digest), "content": text})
    elif sys.stdout.isatty():
        sys.stdout.write("".join(f"{printable(line)}\n" for line in text.splitlines()))
    else:
        sys.stdout.buffer.write(content)


def _show_job(opened: Opened, found: JobReference, as_json: bool, everything: bool) -> None:
    job = load_job(opened.database, found.row_id)
    left_out = load_left_out(opened.database, job.uid)
    symlinks = load_symlinks(opened.database, job.uid)
    session = sessions_of(opened.database, [found.row_id])[job.uid]
    if as_json:
        from roar.wire import to_json  # noqa: PLC0415  only here

        print_json(to_json(job) | {"session": session} | ({"symlinks": symlinks} if symlinks else {})
                   | ({"left_out": left_out} if everything else {}))
        return
    other = jobs_of_other_sessions(opened.database, [job.uid])
    sys.stdout.write(render_job(job, left_out=left_out, symlinks=symlinks, everything=everything,
                                session=session if other else None))
    if everything:
        _show_rules(left_out)


def _show_rules(left_out: dict[str, int]) -> None:
    from roar.analyze.plumbing import RULES, WITHOUT_RULE  # noqa: PLC0415  only for --all

    reasons = WITHOUT_RULE | {rule.category: "; ".join(dict.fromkeys(
        other.why for other in RULES if other.category == rule.category)) for rule in RULES}
    for category in left_out:
        if category in reasons:
            print(f"    {category}: {reasons[category]}")


def _command(arguments: Namespace) -> str:
    return f"roar show {quoted_path(arguments.ref)}"


def _show_artifact(opened: Opened, found: ArtifactReference, arguments: Namespace) -> None:
    from roar.present.artifacts import render_artifact  # noqa: PLC0415  a job needs none of it
    from roar.present.cut import cut_of  # noqa: PLC0415  as above
    from roar.query.artifacts import load_artifact  # noqa: PLC0415

    artifact = load_artifact(opened.database, found.row_id, found.path)
    if arguments.json:
        print_json(artifact)
    else:
        current = find_current_session(opened.database)
        sys.stdout.write(render_artifact(artifact, session=current.uid if current else None,
                                         shown=cut_of(_command(arguments), everything=arguments.all)))


def _show_folder(opened: Opened, found: FolderReference, arguments: Namespace) -> None:
    from roar.present.artifacts import render_folder  # noqa: PLC0415  a job needs none of it
    from roar.present.cut import cut_of  # noqa: PLC0415  as above
    from roar.query.folders import load_folder  # noqa: PLC0415

    folder = load_folder(opened.database, found)
    if arguments.json:
        print_json(folder)
    else:
        current = find_current_session(opened.database)
        sys.stdout.write(render_folder(folder, session=current.uid if current else None,
                                       shown=cut_of(_command(arguments), everything=arguments.all)))


def _show_session(opened: Opened, found: SessionReference, as_json: bool, everything: bool) -> None:
    from roar.present.status import render_sessions  # noqa: PLC0415
    from roar.query.sessions import load_session, session_job_ids  # noqa: PLC0415

    session = load_session(opened.database, found.row_id)
    job_ids = session_job_ids(opened.database, found.row_id)
    if as_json:
        print_json({"uid": session.uid, "started_at": session.started_at, "labels": session.labels,
                    "jobs": list(iter_jobs(opened.database, job_ids))})
        return
    sys.stdout.write("session " + render_sessions([session]))
    listed = job_ids if everything else job_ids[-30:]
    sys.stdout.write(render_log(load_lines(opened.database, list(reversed(listed)))))
    if len(listed) < len(job_ids):
        print(f"… and {count_text(len(job_ids) - len(listed), 'earlier job')}: roar show {session.uid[:8]} --all")


def _show_tracker_run(opened: Opened, found: TrackerRunReference, arguments: Namespace) -> None:
    """Which job was this, and what did it make? Of its runs the one that was asked for comes first."""
    jobs = list(iter_jobs(opened.database, found.job_ids))
    if arguments.json:
        print_json({"url": found.url, "jobs": jobs})
        return
    if found.url is not None:
        print(f"tracker run {printable(found.url)}")
    for job in jobs:
        runs = sorted(job.tracker_runs, key=lambda run: arguments.ref != run.run_id if found.url is None
                      else found.url != run.url)
        sys.stdout.write(render_job(replace(job, tracker_runs=tuple(runs)), everything=arguments.all,
                                    left_out=load_left_out(opened.database, job.uid),
                                    symlinks=load_symlinks(opened.database, job.uid)))
