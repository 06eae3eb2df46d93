"""`roar doctor`: check that roar works here, each failing line with what mends it."""

import os
import platform
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from roar import __version__
from roar.commands.arguments import Parser
from roar.config import load_settings
from roar.errors import RoarError, WorkspaceError, install_hint
from roar.observe.code import find_refusal, find_repository
from roar.present.answer import print_json
from roar.present.text import count_text, paint, printable
from roar.shell import quoted
from roar.wire import size_text
from roar.workspace import ASIDE, Workspace, check_folder, check_root, find_workspace

_LEAST_FREE = 1 << 30  # bytes


class Check(NamedTuple):
    """One thing looked at. `ok` is None where it is only told, neither right nor wrong."""

    name: str
    ok: bool | None
    text: str
    hint: str | None = None


def parser() -> Parser:
    """The command line of `roar doctor`."""
    result = Parser("doctor", "Check that roar works here: what can be observed, the record, the settings, git. Exit"
                    " status 1 if something is wrong.")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Look at everything and print what was found."""
    arguments = parser().parse_args(argv)
    workspace = find_workspace()
    checks = [check for look in _LOOKS for check in look(workspace)]
    if arguments.json:
        print_json({"checks": [check._asdict() for check in checks]})
    else:
        for check in checks:
            print(_line(check))
    return 1 if any(check.ok is False for check in checks) else 0


def _line(check: Check) -> str:
    mark = {True: paint("ok   ", "green"), False: paint("wrong", "red"), None: "     "}[check.ok]
    hint = f"\n        try: {check.hint}" if check.hint else ""
    return f"{mark} {check.name}: {printable(check.text)}{hint}"


def _versions(_workspace: Workspace) -> Iterator[Check]:
    yield Check("roar", None, f"{__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
                f" {platform.system()} {platform.release()} {platform.machine()}")


def _tracer(_workspace: Workspace) -> Iterator[Check]:
    """Every mode is told; it is wrong only if none works."""
    try:
        from roar.observe.tracing import available_modes  # noqa: PLC0415  starts the tracer: only here

        modes = available_modes()
    except (ImportError, OSError, RoarError) as error:
        yield Check("tracer", False, f"cannot be started: {error}", install_hint())
        return
    works = [mode for mode, reason in modes.items() if reason is None]
    yield Check("tracer", bool(works), f"{works[0]} mode will be used" if works else
                "no mode works here: commands run, but nothing is observed")
    for mode, reason in modes.items():
        yield Check(f"tracer mode {mode}", None, "works" if reason is None else reason)


def _io_uring(_workspace: Workspace) -> Iterator[Check]:
    """Told where a program can make a ring: what leaves the gap in a job, and what would not."""
    try:
        with open("/proc/sys/kernel/io_uring_disabled", encoding="ascii") as file:  # since Linux 6.6
            disabled = file.read().strip() == "2"
    except OSError:
        disabled = False
    if not disabled and platform.system() == "Linux":
        yield Check("io_uring", None, "a job that makes a ring may have missed files opened through it, though some"
                    " use it for the network alone, as torchrun does (libuv). Where the machine gives none"
                    " (sysctl kernel.io_uring_disabled=2) torchrun does without, and its jobs have no such gap")


def _git(workspace: Workspace) -> Iterator[Check]:
    root = find_repository(workspace.root)
    refusal = find_refusal(root) if root is not None else None
    if refusal is not None:
        yield Check("git", False, f"{refusal.reason}: the code's commit and changes are not recorded", refusal.hint)
        return
    found = shutil.which("git")
    yield Check("git", bool(found), found or "is not installed: the code's commit and changes are not recorded",
                None if found else "apt-get install git")


def _workspace(workspace: Workspace) -> Iterator[Check]:
    try:
        check_root(workspace)
        check_folder(workspace)
    except WorkspaceError as error:
        yield Check("workspace", False, error.message, error.hint)
        return
    if not os.path.isdir(workspace.folder):
        yield Check("workspace", None, f"none yet; the first job makes {workspace.folder}")
        return
    writable = os.access(workspace.folder, os.W_OK)
    yield Check("workspace", writable, workspace.root if writable else f"{workspace.folder} cannot be written",
                None if writable else f"ls -ld {quoted(workspace.folder)}")
    free = shutil.disk_usage(workspace.folder).free
    yield Check("disk", free >= _LEAST_FREE, f"{size_text(free)} free", None if free >= _LEAST_FREE else "df -h .")
    try:
        waiting = workspace.pending_uids()
    except WorkspaceError as error:
        yield Check("evidence", False, error.message, error.hint)
        return
    yield Check("evidence", None, f"{count_text(len(waiting), 'job')} running or not recorded yet" if waiting else
                "every job is recorded", "roar recover" if waiting else None)


def _aside(workspace: Workspace) -> Iterator[Check]:
    """What hints have put aside and nobody has removed: roar never looks at it again, and does not know its worth."""
    folder = os.path.dirname(workspace.database)
    try:
        found = [entry.path for entry in os.scandir(folder) if _ASIDE.fullmatch(entry.name)]
    except OSError:
        return
    if found:
        yield Check("aside", None, f"{count_text(len(found), 'file')} put aside before a step ran anew,"
                    f" {size_text(sum(map(_size_of, found)))}; roar has no need of that, and never removes it",
                    f"ls -ld {quoted(folder)}/*{ASIDE}*")


_ASIDE = re.compile(rf".+{re.escape(ASIDE)}\d*", re.DOTALL)


def _size_of(path: str) -> int:
    """Bytes, of all files where it is a folder."""
    places = [path, *(os.path.join(at, name) for at, _, names in os.walk(path) for name in names)]
    return sum(os.lstat(place).st_size for place in places if os.path.lexists(place) and not os.path.isdir(place))


_FLAWS = 5  # of a damaged record so many are told


def _record(workspace: Workspace) -> Iterator[Check]:
    if not os.path.lexists(workspace.database):
        return
    from roar.record.database import open_database  # noqa: PLC0415  a broken record must not stop the other checks

    try:
        database = open_database(workspace.database)
        found = [row[0] for row in database.execute(f"PRAGMA integrity_check({_FLAWS + 1})")]
        dangling, = database.execute("SELECT count(*) FROM pragma_foreign_key_check").fetchone()
        jobs, artifacts = database.execute(
            "SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM artifact)").fetchone()
    except RoarError as error:
        yield Check("record", False, error.message, error.hint)
        return
    except sqlite3.Error as error:
        yield Check("record", False, f"{workspace.database} is broken: {error}",
                    f"sqlite3 {quoted(workspace.database)} .recover")
        return
    ok = found == ["ok"] and not dangling
    size = size_text(os.path.getsize(workspace.database))
    more = [f"and more: sqlite3 {quoted(workspace.database)} 'PRAGMA integrity_check'"] if len(found) > _FLAWS else []
    yield Check("record", ok, f"{count_text(jobs, 'job')}, {count_text(artifacts, 'artifact')}, {size}" if ok else
                f"{workspace.database} is damaged: {'; '.join([*found[:_FLAWS], *more])};"
                f" {count_text(dangling, 'dangling row')}",
                None if ok else f"sqlite3 {quoted(workspace.database)} .recover")


def _settings(workspace: Workspace) -> Iterator[Check]:
    try:
        check_root(workspace)
        check_folder(workspace)
    except WorkspaceError:
        return  # told already: its settings cannot be read either
    try:
        settings = load_settings(workspace)
    except RoarError as error:
        yield Check("settings", False, error.message, error.hint)
        return
    yield Check("settings", True, "readable")
    from roar.analyze.trackers.discovery import known_trackers  # noqa: PLC0415  finds plug-ins: only here

    known = known_trackers()
    for tracker in known:
        if tracker.problem:
            yield Check(f"tracker {tracker.name}", False, tracker.problem, f"pip install --upgrade {tracker.source}")
    for name in settings.named_trackers():
        if name not in {tracker.name for tracker in known}:
            yield Check("settings", False, f"{settings.tracker(name).origin} switches the tracker {name!r}, which is"
                        " not installed", "roar trackers")


_LOOKS: tuple[Callable[[Workspace], Iterator[Check]], ...] = (
    _versions, _tracer, _io_uring, _git, _workspace, _aside, _record, _settings)
