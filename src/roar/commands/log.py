"""`roar log`: the jobs, newest first."""

import os
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import chain

from roar.commands.arguments import Parser, moment
from roar.commands.opening import Opened, open_record
from roar.errors import NotFoundError
from roar.model import Job, is_location
from roar.present.answer import needs_ascii, print_json
from roar.present.jobs import render_log
from roar.present.text import command_text, count_text
from roar.query.history import (
    JobFilter,
    find_jobs,
    is_pattern,
    is_recorded_tracker,
    line_of_unrecorded,
    load_lines,
    passes_unrecorded,
)
from roar.query.references import find_current_session, meant_paths, recorded_forms
from roar.query.running import load_running
from roar.query.sessions import sessions_of

_SHOWN = 30


def parser() -> Parser:
    """The command line of `roar log`."""
    result = Parser("log", "List the jobs of this session, newest first.")
    result.add_argument("text", nargs="*", metavar="TEXT", help="words that the command, name or a label must hold")
    result.add_argument("--status", choices=("ok", "failed", "done", "interrupted", "running"),
                        help="only jobs that ended like this")
    result.add_argument("--since", type=moment, metavar="WHEN", help="only jobs started then or later: 2h, 2026-11-22")
    result.add_argument("--until", type=moment, metavar="WHEN", help="only jobs started before then")
    result.add_argument("--tracker", metavar="NAME", help="only jobs with a run of this tracker (wandb, mlflow, …)")
    result.add_argument("--path", metavar="PATH",
                        help="only jobs that read or wrote this path, below it, or, where none is called so, a"
                             " pattern such as '*.pt'")
    result.add_argument("--label", action="append", default=[], metavar="KEY[=VALUE]",
                        help="only jobs with this label")
    result.add_argument("--all", action="store_true", help="the jobs of every session")
    result.add_argument("-n", "--number", type=_count, metavar="N",
                        help=f"at most N jobs, 0 for no limit (default: {_SHOWN}; with --json no limit)")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print the jobs that pass the filters, and say where the list is cut."""
    arguments = parser().parse_args(argv)
    opened = open_record(only_answers=True)
    _check_tracker(opened, arguments.tracker)
    session = None if arguments.all else find_current_session(opened.database)
    wanted = JobFilter(session=session.row_id if session else None, status=arguments.status, since=arguments.since,
                       until=arguments.until, tracker=arguments.tracker, paths=_paths(opened, arguments.path),
                       through=_through(opened, arguments.path),
                       text=tuple(arguments.text), labels=tuple(_label(text) for text in arguments.label))
    running = [one.job for one in load_running(opened.workspace) if passes_unrecorded(wanted, one.job)]
    found = find_jobs(opened.database, wanted)
    if not found and (meant := _meant(opened, arguments.path)) != arguments.path:
        arguments.path = meant
        wanted = replace(wanted, paths=_paths(opened, meant), through=_through(opened, meant))
        found = find_jobs(opened.database, wanted)
    default = len(found) if arguments.json else _SHOWN
    limit = default if arguments.number is None else arguments.number or len(found)
    if arguments.json:
        _print_json(opened, running, found[:limit])
    else:
        lines = [line_of_unrecorded(job) for job in running] + load_lines(opened.database, found[:limit])
        sys.stdout.write(render_log(lines))
        if not lines:
            print(_nothing(opened, wanted))
    if len(found) > limit:
        sys.stdout.flush()
        sys.stderr.write(f"… and {count_text(len(found) - limit, 'earlier job')}: {_without_limit(arguments)}\n")
    return 0


def _without_limit(arguments: Namespace) -> str:
    """The command that lists the same jobs, however many."""
    words = ["roar", "log", "-n", "0"]
    for option in ("status", "since", "until", "tracker", "path"):
        value = getattr(arguments, option)
        words += [] if value is None else [f"--{option}={value}"]
    words += [f"--label={label}" for label in arguments.label]
    words += [f"--{option}" for option in ("all", "json") if getattr(arguments, option)]
    return command_text([*words, *(["--", *arguments.text] if arguments.text else [])])


def _check_tracker(opened: Opened, name: str | None) -> None:
    """Refuse a name that no recorded run and no installed tracker has."""
    if name is None or is_recorded_tracker(opened.database, name):
        return
    from difflib import get_close_matches  # noqa: PLC0415  only where nothing can be found

    from roar.analyze.trackers import known_trackers  # noqa: PLC0415

    known = [tracker.name for tracker in known_trackers()]
    if name not in known:
        raise NotFoundError(f"There is no tracker {name!r}.", hint="roar trackers",
                            candidates=tuple(get_close_matches(name, known)))


def _print_json(opened: Opened, running: list[Job], job_ids: list[int]) -> None:
    """One job after the other, so that a long history needs little memory. A job that runs has no step yet."""
    import json  # noqa: PLC0415  only here

    from roar.query.jobs import iter_jobs  # noqa: PLC0415
    from roar.wire import to_json  # noqa: PLC0415

    if not job_ids and not running:
        print_json({"jobs": []})
        return
    between = '{"jobs": [\n'
    sessions = sessions_of(opened.database, job_ids)
    for job in chain(running, iter_jobs(opened.database, job_ids)):
        shape = {**to_json(job), "step": job.step or None, "session": sessions.get(job.uid)}
        sys.stdout.write(between + json.dumps(shape, ensure_ascii=needs_ascii()))
        between = ",\n"
    sys.stdout.write("\n]}\n")


def _meant(opened: Opened, path: str | None) -> str | None:
    """The path as it is meant: one that no job used as typed is taken as answers show it, as in other commands."""
    if path is None or is_location(path):
        return path
    return next((one for one in (path, *meant_paths(opened.workspace, path)) if find_jobs(opened.database, JobFilter(
        paths=_paths(opened, one), through=_through(opened, one)))), path)


def _paths(opened: Opened, path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    holds_workspace = f"{opened.workspace.root}/".startswith(os.path.join(os.path.realpath(path), ""))
    return (*_patterns(opened, path), *recorded_forms(opened.workspace, path),
            *(["."] if holds_workspace else []))


def _patterns(opened: Opened, path: str) -> list[str]:
    """The pattern that a path is: as typed or, where it leads through `.` or `..`, from the workspace's root."""
    if not is_pattern(path):
        return []
    dots = {".", ".."}.intersection(path.split("/"))
    return [opened.workspace.relative(os.path.abspath(path)) if dots else path]


def _through(opened: Opened, path: str | None) -> Mapping[str, Collection[int]]:
    if path is None or is_location(path):
        return {}
    from roar.query.linked import find_through_links  # noqa: PLC0415  only for a path

    return find_through_links(opened.database, opened.workspace, path)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number of jobs")
    return int(text)


def _label(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    return key, value if equals else None


def _nothing(opened: Opened, wanted: JobFilter) -> str:
    others = len(find_jobs(opened.database, JobFilter()))
    if not others:
        return "No job has been recorded yet: roar run COMMAND"
    if wanted == JobFilter(session=wanted.session):
        return f"This session has no jobs yet; earlier sessions have {others:,}: roar log --all"
    return f"No job of {others:,} passes these filters." if wanted.session is None else (
        "No job of this session passes these filters; look in all: --all")
