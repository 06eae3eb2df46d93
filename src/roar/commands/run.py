"""`roar run`: run a command untouched, and record what it read and wrote.

Two laws: the exit status is always the command's, and a failure of ours never fails it. The command starts first;
facts about code and machine are gathered while it runs, but for what the command itself may change at once: what is
uncommitted. For that it waits some milliseconds.
"""

import contextlib
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from roar.analyze.caches import VARIABLES, find_moved_caches
from roar.analyze.trackers.discovery import check_switches, concerns, environment_names, load_trackers
from roar.config import load_settings, tracker_switches
from roar.errors import NotFoundError, RoarError, SettingsError, UsageError
from roar.model import REDACTED, UNKNOWN_VERSION, Job, Redirections
from roar.observe.code import begin_comparison, find_repository, read_head
from roar.observe.inflow import find_missing, find_read, find_unrecorded, look_at_inflows
from roar.observe.pending import (
    Pending,
    add_facts,
    find_abandoned,
    find_ancestors,
    load_pending,
    make_room,
    start_ticks,
    write_pending,
)
from roar.observe.redaction import redact_command, redact_labels, redact_text
from roar.observe.signals import Given, hold
from roar.observe.streams import STDERR, STDIN, STDOUT, find_pipe, find_streams, is_redirected
from roar.observe.tracing import Ended, Traced, become, start
from roar.workspace import Workspace, find_workspace, open_workspace, unwritable

if TYPE_CHECKING:
    from roar.config import Settings
    from roar.observe.code import Code
    from roar.observe.comparison import Comparison
    from roar.record.evidence import Recorded

USAGE = """usage: roar run [--name N] [--label K=V]... [-q] [--] CMD ARG...

Run CMD untouched and record what it reads and writes. The exit status is CMD's.

  --name N       a name for the job
  --label K=V    a label for the job; may be given several times
  -q, --quiet    say nothing on stderr, unless the job could not be recorded
  --             all that follows is the command

  roar run @N [ARG...]   run step N of this session again, with ARGs changed or added; from and to the same files
                         where it had `< FILE` or `> FILE`, unless it is given others; under its name where no ARG
                         is given. `--lr 0.1` replaces the value of --lr, `--layers 8 8` all numbers behind it
"""


@dataclass(slots=True)
class Request:
    """The command line of `roar run`, parsed; `literal` says that the command stands behind `--`."""

    command: list[str] = field(default_factory=list)
    name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    quiet: bool = False
    literal: bool = False

    @property
    def step(self) -> str | None:
        """`@N` where a step of the session is to run again; behind `--` that is a command's name."""
        return self.command[0] if self.command[0].startswith("@") and not self.literal else None


def parse(argv: Sequence[str]) -> Request:
    """Parse by hand: nothing after the command's first word is ever looked at.

    Raises:
        UsageError: an option of ours is unknown or incomplete, or there is no command.
    """
    request = Request()
    words = list(argv)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            request.literal = True
            break
        option, has_value, value = word.partition("=")
        if option in {"-q", "--quiet"} and not has_value:
            request.quiet = True
        elif option in {"--name", "--label"}:
            if not has_value:
                if not words:
                    raise UsageError(f"{option} needs a value.", hint="roar run --help")
                value = words.pop(0)
            _set(request, option, value)
        else:
            raise UsageError(f"roar run has no option {word}.", hint="roar run --help")
    if not words:
        raise UsageError("roar run needs a command.", hint="roar run python train.py")
    request.command = words
    return request


def _set(request: Request, option: str, value: str) -> None:
    if option == "--name":
        request.name = value
        return
    key, equals, text = value.partition("=")
    if not equals or not key:
        raise UsageError(f"--label takes KEY=VALUE, not {value!r}.", hint="roar run --label owner=alice CMD")
    request.labels[key] = text


def main(argv: list[str]) -> int:
    """Run the command and record it; return the command's exit status, or -N where signal N ended it."""
    if argv[:1] in (["--help"], ["-h"]):
        sys.stdout.write(USAGE)
        return 0
    request = parse(argv)
    given = pending = None
    try:
        settings = load_settings(find_workspace())
        check_switches(settings)
        workspace = open_workspace(create=True)
        again = request.step
        if again is not None:
            request = _again(workspace, request, again)
        if again is None or tuple(request.command[:2]) not in _TRANSFERS:
            given = hold()  # a signal that comes from here on is the command's: what is begun is not left behind
            pending = _begin(workspace, request)
    except (UsageError, SettingsError, NotFoundError):
        raise  # what was asked for cannot be
    except Exception as error:  # whatever is wrong with the record must not stop the command
        if request.step is not None:
            raise  # which command that is stands in the record alone
        return _run_unrecorded(request, error, given)
    return _run(workspace, settings, request, pending, given) if pending and given else _move(request)


_TRANSFERS = frozenset({("roar", "get"), ("roar", "put")})


def _move(request: Request) -> int:
    """`roar run @N` of a step that roar itself carried out."""
    from importlib import import_module  # noqa: PLC0415  only for a rerun

    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as when that verb is given by hand
    status: int = import_module(f"roar.commands.{request.command[1]}").main(
        [*request.command[2:], *(["--quiet"] if request.quiet else [])])
    return status


def _run(workspace: Workspace, settings: "Settings", request: Request, pending: Pending, given: Given) -> int:
    """Start the command first, do everything else while it runs, record it when it has ended."""
    before = _look_at_code(pending.repository)
    switches = tracker_switches(settings)
    inflows = look_at_inflows()
    began = time.monotonic()
    pending = replace(pending, started_ns=time.time_ns(), began_ns=int(began * 1e9))
    try:
        traced = start(request.command, log=pending.log, mode=settings.text("tracer.mode"),
                       environment_names=(*environment_names(switches), *VARIABLES), given=given)
    except OSError as error:
        pending.remove()
        return _run_in_place(request, _NO_PROCESS.format(error.strerror), before, given)
    try:
        pending = _gather(replace(pending, pid=traced.pid, mode=traced.mode, gaps=traced.gaps), before, switches)
        _prepare(workspace, pending, switches, traced)
    except Exception as error:  # noqa: BLE001  the command runs: whatever we cannot learn must not disturb it
        with contextlib.suppress(Exception):  # as where memory does not even suffice to say so
            _warn(request, f"facts about the code and the machine are missing: {error}")
    ended = _wait(traced)
    unseen = find_read(inflows)
    if ended.error is not None:
        pending.remove()
        _tell_not_started(request, ended.error)
        return ended.exit_code
    pending = pending.ended(duration_s=round(time.monotonic() - began, 6), exit_code=ended.exit_code,
                            signal=ended.signal, mode=traced.mode, gaps=(*traced.gaps, *unseen),
                            streams=tuple(stream.ended() for stream in pending.streams))
    with contextlib.suppress(Exception, KeyboardInterrupt):  # what cannot even be told: the status is the command's
        try:
            _finish(workspace, settings, request, pending)
        finally:
            _ignore_interrupts()
    return _status(ended)


def _wait(traced: Traced) -> Ended:
    try:
        return traced.wait(_interrupt_recording)
    except KeyboardInterrupt:  # just after the command had ended
        return traced.wait()


def _interrupt_recording(number: int, _frame: FrameType | None) -> None:
    """What was meant for the command is of no concern any more; nor is a terminal that is gone."""
    if number in _INTERRUPTING:
        _ignore_interrupts()
        raise KeyboardInterrupt


_INTERRUPTING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def _ignore_interrupts() -> None:
    for number in _INTERRUPTING:
        signal.signal(number, signal.SIG_IGN)


def _status(ended: Ended) -> int:
    return ended.exit_code if ended.signal is None else -ended.signal


def _tell_not_started(request: Request, error: str) -> None:
    """In the words of bash."""
    from roar.present.text import printable  # noqa: PLC0415  only where no command was started

    name = request.command[0]
    if error == "not executable":
        reason = "Is a directory" if os.path.isdir(name) else "Permission denied"
    elif error != "not found":
        reason = error
    elif "/" not in name:
        reason = "command not found"
    else:
        missing = not os.path.exists(name)
        reason = "No such file or directory" if missing else "cannot execute: required file not found"
    _say(f"roar: {printable(name)}: {reason}\n")


def _run_unrecorded(request: Request, error: Exception, given: Given | None) -> int:
    """The command must run even where nothing can be written."""
    reason = (error.message if isinstance(error, RoarError) else f"{type(error).__name__}: {error}") + _try(error)
    given = given or hold()
    try:
        traced = start(request.command, log="", mode="none", given=given)
    except OSError:
        return _run_in_place(request, reason, _CodeBefore(), given)
    ended = _wait(traced)
    if ended.error is not None:
        _tell_not_started(request, ended.error)
    else:
        _tell(f"this job was not recorded: {reason}")
    return _status(ended)


_NO_PROCESS = "no process can be started beside roar's own ({})"


def _run_in_place(request: Request, reason: str, before: "_CodeBefore", given: Given) -> int:
    """Where no other process can be had, this one becomes the command; what there is to say is said before."""
    if before.comparison is not None:
        before.comparison.end()
    _tell(f"this job was not recorded: {reason}")
    ended = become(request.command, given)
    assert ended.error is not None
    _tell_not_started(request, ended.error)
    return ended.exit_code


def _begin(workspace: Workspace, request: Request) -> Pending:
    """Write down what is known before the command starts."""
    uid = os.urandom(16).hex()
    pid = os.getpid()
    ancestors = find_ancestors(pid)
    cwd, home, tmpdir = os.getcwd(), os.path.expanduser("~"), _temporary_folder()
    pending = Pending(folder=workspace.pending_job(uid), uid=uid, command=redact_command(request.command), cwd=cwd,
                      started_ns=time.time_ns(), owner=(pid, start_ticks(pid)), ancestors=ancestors,
                      name=redact_text(request.name) if request.name else None, labels=redact_labels(request.labels),
                      home=home, tmpdir=tmpdir, repository=find_repository(cwd),
                      streams=find_streams(pid for pid, _ in ancestors), pipes=(find_pipe(STDOUT), find_pipe(STDERR)),
                      caches=find_moved_caches(os.environ, workspace.root, (home, tmpdir), cwd))
    try:
        write_pending(pending)
        make_room(pending)
    except OSError as error:
        pending.remove()
        raise unwritable(workspace.pending, error) from error
    return pending


def _temporary_folder() -> str:
    """Where programs put their temporary files (environ(7), and Python's tempfile; importing that takes 10 ms)."""
    return next((os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), "/tmp")  # noqa: S108


class _CodeBefore(NamedTuple):
    """The commit before the command can make another, and what is uncommitted before it can change anything."""

    head: str | None = None
    comparison: "Comparison | None" = None
    in_time: bool = False


def _look_at_code(repository: str | None) -> _CodeBefore:
    head = read_head(repository) if repository else None
    if repository is None or head is None:
        return _CodeBefore(head)
    comparison = None
    with contextlib.suppress(Exception):
        comparison = begin_comparison(repository, head)
        if comparison is not None:
            comparison.wait()
    return _CodeBefore(head, comparison, in_time=comparison is not None and comparison.has_ended())


def _gather(pending: Pending, before: _CodeBefore, switches: Mapping[str, bool]) -> Pending:
    """The facts that need time: code, machine, and what trackers want of the environment."""
    from roar.observe.code import read_code  # noqa: PLC0415  while the command runs
    from roar.observe.machine import read_host  # noqa: PLC0415

    code = read_code(pending.cwd, head=before.head, comparison=before.comparison)
    pending = replace(pending, host=read_host(), environment=_environment(switches),
                      git=code.git if code else None, code_note=_code_note(pending, code), compared=before.in_time)
    add_facts(pending, patch=code.patch if code else None)
    import roar.record.evidence  # noqa: F401, PLC0415  loaded while the command runs, so that recording starts at once

    return pending


def _prepare(workspace: Workspace, pending: Pending, switches: Mapping[str, bool], traced: Traced) -> None:
    """As long as the command runs, load what recording may need: then it has less to do when the command has ended."""
    from roar.analyze.plumbing import prepare  # noqa: PLC0415  while the command runs

    if traced.is_running():
        prepare(pending.home, workspace.root)
    if traced.is_running() and any(switches.values()):
        import roar.analyze.trackers.analysis  # noqa: F401, PLC0415

        load_trackers(switches)


def _code_note(pending: Pending, code: "Code | None") -> str | None:
    """What is missing from the facts about the code."""
    if code is not None or pending.repository is None:
        return code.note if code is not None else None
    from roar.observe.code import find_refusal  # noqa: PLC0415  while the command runs

    refusal = find_refusal(pending.repository)
    if refusal is None:
        return f"{UNKNOWN_VERSION}git is missing, or does not answer for this repository"
    return f"{UNKNOWN_VERSION}git says: {refusal.reason.partition(' at ')[0]}"  # paths are no part of a job's gaps


def _about_code(pending: Pending) -> Iterator[str]:
    """What git says where it has kept the code's version to itself."""
    from roar.observe.code import find_refusal  # noqa: PLC0415  loaded after the command has ended

    refusal = find_refusal(pending.repository) if pending.git is None and pending.repository is not None else None
    if refusal is not None:
        yield (f"The code's version is not recorded, as git says: {refusal.reason}."
               f"{f' Try: {refusal.hint}' if refusal.hint else ''}")


def _environment(switches: Mapping[str, bool]) -> dict[str, str]:
    """What the trackers want to see of the initial environment; never a secret."""
    if not concerns(os.environ, switches):
        return {}
    from roar.analyze.trackers.analysis import initial_environment  # noqa: PLC0415  loads every tracker

    return initial_environment(os.environ, switches)


def _finish(workspace: Workspace, settings: "Settings", request: Request, pending: Pending) -> None:
    """Record the job and say so; on failure keep the evidence and say that."""
    if not os.path.isdir(pending.folder):  # nor is a record begun in its place
        _tell(f"job {pending.uid[:8]} is not recorded: {pending.folder}, where its evidence was, is gone; where that"
              " was moved with its workspace, `roar recover` records it there")
        return
    try:
        with contextlib.suppress(OSError):  # a full disk: recording says so below
            write_pending(pending)
        recorded = _record(workspace, settings, request, pending)
    except KeyboardInterrupt:
        _tell(f"recording was interrupted; `roar recover` finishes job {pending.uid[:8]}")
        return
    except Exception as error:  # noqa: BLE001  whatever goes wrong, the status is the command's and the evidence stays
        reason = error.message.rstrip(".") if isinstance(error, RoarError) else f"{type(error).__name__}: {error}"
        _tell(f"job {pending.uid[:8]} is not recorded yet ({reason}); `roar recover` tries again")
        return
    from roar.present.closing import render_closing  # noqa: PLC0415  loaded after the command has ended

    for warning in (*recorded.analysis.warnings, *_about_code(pending)):
        _warn(request, warning)
    if not request.quiet:
        _say(render_closing(recorded.job, recorded.analysis.left_out, recorded.recording_s))


def _record(workspace: Workspace, settings: "Settings", request: Request, pending: Pending) -> "Recorded":
    from roar.present.progress import digesting  # noqa: PLC0415  loaded after the command has ended
    from roar.record.evidence import record_pending  # noqa: PLC0415

    with digesting(quiet=request.quiet) as progress:
        return record_pending(workspace, settings, pending, progress=progress,
                              waits=None if request.quiet else _tell)


def _warn(request: Request, message: str) -> None:
    if not request.quiet:
        _tell(message)


def _tell(message: str) -> None:
    """Even a quiet `roar run` tells that a job is not in the record."""
    from roar.present.text import told  # noqa: PLC0415  loaded after the command has ended

    _say(f"roar: {told(message)}\n")


def _say(text: str) -> None:
    """On stderr; where nobody can hear it, as behind `2> FILE` on a full disk, the status is still the command's."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # what is left is written there at the end


def _try(error: Exception) -> str:
    return f" Try: {error.hint}" if isinstance(error, RoarError) and error.hint else ""


def finish_pending(workspace: Workspace, uid: str) -> "Recorded":
    """Record a job whose `roar run` did not live to do it.

    Raises:
        WorkspaceError: its evidence cannot be read.
    """
    from roar.present.progress import digesting  # noqa: PLC0415
    from roar.record.evidence import record_pending  # noqa: PLC0415

    pending = load_pending(workspace.pending_job(uid))
    with digesting() as progress:
        return record_pending(workspace, load_settings(workspace), pending, progress=progress)


@contextlib.contextmanager
def finishing(left: list[str], *, can_do_without: bool = False) -> Iterator[None]:
    """Say on a terminal that jobs are recorded which were cut short, and which of them Ctrl-C leaves for later.

    Args:
        left: their uids; each is taken out once it is done.
        can_do_without: whether what comes next does without those that a person does not want to wait for.
    """
    if not left or not sys.stderr.isatty():
        yield
        return
    were, them = ("was", "it") if len(left) == 1 else ("were", "them")
    try:
        _tell(f"recording {_jobs(left)}, which {were} cut short; Ctrl-C leaves {them} for later")
        yield
    except KeyboardInterrupt:
        if not left:
            raise
        without = f"; the answer is without {'it' if len(left) == 1 else 'them'}" if can_do_without else ""
        _tell(f"recording was interrupted; `roar recover` finishes {_jobs(left)}{without}")
        if not can_do_without:
            raise


def _jobs(uids: Sequence[str]) -> str:
    return f"job {uids[0][:8]}" if len(uids) == 1 else f"{len(uids):,} jobs"


def finish_abandoned(workspace: Workspace, *, can_do_without: bool = False) -> None:
    """Record every job whose `roar run` is gone. One that cannot be recorded keeps its evidence.

    Args:
        workspace: where they ran.
        can_do_without: as of `finishing`.
    """
    left = [os.path.basename(folder) for folder in find_abandoned(workspace.pending)]
    with finishing(left, can_do_without=can_do_without):
        while left:
            try:
                finish_pending(workspace, left[0])
            except RoarError as error:
                _tell(error.message)
            except Exception as error:  # noqa: BLE001  the jobs that are recorded can be asked for all the same
                _tell(f"job {left[0][:8]} cannot be recorded ({type(error).__name__}: {error}). Try: roar recover, or"
                      f" roar recover --discard {left[0][:8]}")
            del left[0]


def _again(workspace: Workspace, request: Request, step: str) -> Request:
    """`roar run @N ARG...`: the command of a step, in its folder, with parameters replaced or added."""
    from roar.commands.changing import changed  # noqa: PLC0415  only for a rerun
    from roar.query.steps import load_step  # noqa: PLC0415  as above

    job = load_step(workspace, step)
    cwd = workspace.absolute(job.cwd)
    try:
        _go_to(cwd)
    except OSError as error:
        from roar.shell import quoted  # noqa: PLC0415  only for an error

        raise NotFoundError(f"The folder of {step}, {cwd}, cannot be entered: {error.strerror}.",
                            hint=f"ls -ld {quoted(cwd)}") from error
    arguments = request.command[1:]
    wanted = changed(job.command, arguments[1:] if arguments[:1] == ["--"] else arguments, step)
    if any(REDACTED in word for word in wanted):
        raise UsageError(f"The command of {step} held a secret, which is not stored.",
                         hint=f"roar run {step} --OPTION SECRET, or give the whole command again")
    missing = find_missing(job.tracer.gaps)
    if missing:
        files = " ".join(f"{descriptor or ''}< FILE" for descriptor in missing)
        raise UsageError(f"{step} read {find_unrecorded(job.tracer.gaps)}, which is not in the record: it has to be"
                         " given again.", hint=f"roar run {step} {files}")
    _redirect(workspace, job)
    same = tuple(wanted) == tuple(job.command)
    return replace(request, command=wanted, literal=True, name=request.name or (job.name if same else None))


def _go_to(cwd: str) -> None:
    """As `cd` does in a shell: programs build paths from PWD, too (POSIX, environment variables)."""
    stays = os.path.exists(os.curdir) and os.path.samefile(os.curdir, cwd)
    os.chdir(cwd)
    if not stays and "PWD" in os.environ:
        os.environ["PWD"] = cwd


def _redirect(workspace: Workspace, job: Job) -> None:
    """Redirect this process, and so the command, as a job was; what was redirected for this command itself stays."""
    from roar.commands.redirecting import open_input, open_output, put_at  # noqa: PLC0415  only for a rerun

    again = Redirections.of(job)
    other_input = again.stdin is not None and _is_file(STDIN)  # the result is not the recorded file's then
    if again.stdin is not None and not other_input:
        put_at(open_input(workspace.absolute(again.stdin)), STDIN)
    if again.stdout is not None and not (
            _is_file(STDOUT) and (other_input or _is_meant(workspace.absolute(again.stdout)))):
        put_at(open_output(workspace.absolute(again.stdout), appends=again.appends), STDOUT)


def _is_file(descriptor: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _is_meant(path: str) -> bool:
    """Whether standard output is a file for this command, or the very one that the job wrote."""
    with contextlib.suppress(OSError):
        if os.path.samestat(os.fstat(STDOUT), os.stat(path)):
            return True
    return is_redirected(pid for pid, _ in find_ancestors(os.getpid()))
