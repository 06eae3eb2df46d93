"""What `roar get` and `roar put` have in common: moving under a progress bar, recording the job, saying so."""

import argparse
import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roar.analyze.digest import digest_files, find_regular, identity
from roar.commands.arguments import Parser
from roar.config import load_settings
from roar.errors import RoarError, WorkspaceError
from roar.model import Job
from roar.observe.redaction import redact_command, redact_labels, redact_text
from roar.present.answer import print_json
from roar.present.progress import moving
from roar.present.text import printable
from roar.present.transfer import render_transfer, transfer_shape
from roar.record import digests
from roar.record.database import open_database
from roar.record.writer import now
from roar.transfer.job import INTERRUPTED, Transfer, record
from roar.transfer.moving import Moved, Progress, State
from roar.workspace import Workspace, find_workspace, open_workspace

Move = Callable[[Progress, Callable[[Moved], None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The record of the current folder; `database` is None, and `reason` says why, where nothing can be written."""

    workspace: Workspace
    database: sqlite3.Connection | None
    reason: str = ""


def add_options(result: Parser) -> None:
    """Add what both verbs take."""
    result.add_argument("--force", action="store_true", help="replace what is there with other content")
    result.add_argument("--name", metavar="N", help="a name for the job")
    result.add_argument("--label", metavar="K=V", action="append", default=[], type=_label,
                        help="a label for the job; may be given several times")
    result.add_argument("-q", "--quiet", action="store_true", help="say nothing on stderr but errors")
    result.add_json()


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{redact_text(text)!r} is not KEY=VALUE")
    return key, value


def open_or_explain() -> Record:
    """The record of the current folder, made where it is missing. Where that fails, files are moved all the same."""
    try:
        workspace = open_workspace(create=True)
        return Record(workspace=workspace, database=open_database(workspace.database))
    except WorkspaceError as error:
        return Record(workspace=find_workspace(), database=None, reason=error.message)


def carry_out(command: Sequence[str], arguments: argparse.Namespace, opened: Record, move: Move,
              group_of: Callable[[Moved], int] = lambda _: 0) -> int:
    """Move files, record what was moved even if not all of it was, and print the answer.

    Args:
        command: `roar`, the verb, what to move and where to; how the verb was to speak of it is no matter.
        arguments: those of `add_options`.
        opened: where to record it.
        move: does it; told whom to tell about progress, and about every file.
        group_of: which number of group a file belongs to.
    """
    moved: list[Moved] = []
    failure: BaseException | None = None
    started_at, began = now(), time.monotonic()
    try:
        with moving("sending" if command[1] == "put" else "fetching", quiet=arguments.quiet) as show:
            move(Progress(show), moved.append)
    except (RoarError, KeyboardInterrupt) as error:
        failure = error
    if failure is None or moved:
        groups: dict[int, list[Moved]] = {}
        for one in sorted(moved, key=lambda one: one.path):
            groups.setdefault(group_of(one), []).append(one)
        job = _record(opened, Transfer(
            kind=command[1], command=redact_command(command), groups=tuple(groups.values()),
            started_at=started_at, duration_s=round(time.monotonic() - began, 6),
            exit_code=0 if failure is None else INTERRUPTED if isinstance(failure, KeyboardInterrupt) else 1,
            name=arguments.name, labels=redact_labels(dict(arguments.label))), quiet=arguments.quiet)
        _say(job, moved, opened.workspace, arguments)
    if failure is not None:
        raise failure
    return 0


def _record(opened: Record, transfer: Transfer, *, quiet: bool) -> Job | None:
    reason = opened.reason
    if opened.database is not None:
        try:
            threshold = load_settings(opened.workspace).number("datasets.threshold")
            job = record(opened.database, opened.workspace, transfer, threshold=threshold)
            with contextlib.suppress(RoarError):  # the job is recorded; this is a cache
                _remember(opened.database, transfer)
            return job
        except RoarError as error:
            reason = error.message
    if not quiet:
        sys.stderr.write(f"roar: this job was not recorded: {printable(reason)}\n")
    return None


def _remember(database: sqlite3.Connection, transfer: Transfer) -> None:
    """Keep the digests of fetched files by their signatures: the next job may edit them at once.

    Each is read once more: within the tick of the clock in which it was written another one may have written, too.
    """
    fetched = {one.path: one.digest for group in transfer.groups for one in group
               if transfer.kind == "get" and one.state is State.MOVED}
    there = {path: signature for path in fetched if (signature := find_regular(path)) is not None}
    digests.remember(database, [
        (identity(done.signature), done.digest) for path, done in digest_files(there, {}).items()
        if done.settled and done.signature is not None and done.digest is not None and done.digest == fetched[path]])


def _say(job: Job | None, moved: Sequence[Moved], workspace: Workspace, arguments: argparse.Namespace) -> None:
    fresh = [one for one in moved if one.state is State.MOVED]
    if job is not None and not arguments.quiet:
        sys.stderr.write(render_transfer(job, files=len(fresh), size=sum(one.size for one in fresh),
                                         there=len(moved) - len(fresh)))
    if arguments.json:
        print_json(transfer_shape(job, [
            {"path": workspace.relative(one.path), "url": one.location.url, "digest": one.digest, "size": one.size,
             "state": str(one.state)} for one in sorted(moved, key=lambda one: one.path)]))

