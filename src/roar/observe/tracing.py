"""Start a command under the native tracer, and wait for it."""

import contextlib
import errno
import os
import resource  # noqa: F401  os.wait4 loads it otherwise, when there may be no memory left
import select
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any, Final, NoReturn

from roar.observe.environ import environment
from roar.observe.signals import (
    DEFAULT,
    IGNORE,
    OUR_WRITING,
    PASSED_ON,
    STOPPING,
    Given,
    become_command,
    discard,
    hold,
    release,
    set_handler,
)
from roar.observe.trace import Ended
from roar.observe.witness import Addressee, Witness

__all__ = ["Ended", "Traced", "available_modes", "become", "start"]

_NATIVE: Final = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_native")
_TRACER: Final = os.path.join(_NATIVE, "roar-tracer")
_LIBRARY: Final = os.path.join(_NATIVE, "libroar-preload.so")
_CANARY: Final = os.path.join(_NATIVE, "roar-canary")

_MODES: Final = ("full", "seccomp", "preload")
_FROM_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT)
_LITTLE: Final = 256  # bytes: read without asking the system for memory
_MOST_PIPES: Final = 2  # to the tracer and the witness one end each, and both of that which wakes us up
_NOT_OBSERVED: Final = "nothing was observed"


class Traced:
    """A command that has been started.

    Until `wait` returns, this process leaves the terminal's stop signals to the command, and passes all others that it
    can (`signals.PASSED_ON`) on to it, unless the command got the same signal itself: from the terminal, which signals
    the whole foreground group, or because somebody signalled the group of both (`kill -- -PGID`, or timeout(1), which
    signals first its child and then the group). Use from the main thread.

    Attributes:
        pid: the command's process id; 0 where it could not be started.
        mode: `full`, `seccomp`, `preload` or `none`.
        gaps: why a better mode was not to be had, or why nothing is observed; one phrase each.
    """

    def __init__(self, *, pid: int, mode: str, gaps: tuple[str, ...], messages: "_Messages | None",
                 witness: Witness) -> None:
        self.pid = pid
        self.mode = mode
        self.gaps = gaps
        self._messages = messages
        self._ended: Ended | None = None
        self._handlers: dict[int, Any] = {}
        self._wake: tuple[int, int, int] | None = None  # our pipe's ends, and the wake-up descriptor before
        self._witness = witness
        self._given: Given | None = None
        self._arrived: dict[int, float] = {}  # signals whose addressee is to be found out, and when they came
        self._asking = False

    def wait(self, afterwards: Callable[[int, FrameType | None], None] | None = None) -> Ended:
        """Wait until the command has ended; not for what it leaves in the background.

        afterwards: the handler, from then on, of the signals that were passed on, but for those that this process was
            told to ignore; None gives back the handlers that were there.
        """
        if self._ended is None:
            try:
                self._ended = self._wait_for_messages() if self._messages else self._wait_for_child()
            finally:
                self._restore_signals(afterwards)
        return self._ended

    def is_running(self) -> bool:
        """Whether nothing has been heard of the command since it was started; does not wait."""
        if self._messages is None:
            return self._ended is None
        return not select.select([self._messages.descriptor], [], [], 0)[0]

    def _take_signals(self, given: Given) -> None:
        """Python runs a handler between two steps of its own: a signal just before a read would wait for its end.

        Hence the wake-up descriptor, which the signal itself makes readable.
        """
        self._given = given
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake = (reader, writer, signal.set_wakeup_fd(writer, warn_on_full_buffer=False))
        if self._messages is None:
            self._handlers[signal.SIGCHLD] = set_handler(signal.SIGCHLD, lambda _number, _frame: None)
        for stopping in STOPPING:
            self._handlers[stopping] = set_handler(stopping, IGNORE)
        for number in PASSED_ON:  # also one that we were told to ignore (nohup, `&`): the command may handle it
            self._handlers[number] = set_handler(number, self._pass_on)

    def _restore_signals(self, afterwards: Callable[[int, FrameType | None], None] | None) -> None:
        self._witness.stop()
        for number, before in self._handlers.items():
            handler = DEFAULT if before is None else before
            if afterwards is not None and number in PASSED_ON and before != IGNORE:
                handler = afterwards
            set_handler(number, handler)
        self._handlers.clear()
        if self._given is not None:
            release(self._given)
        if self._wake is not None:
            reader, writer, before = self._wake
            signal.set_wakeup_fd(before)
            os.close(reader)
            os.close(writer)
            self._wake = None

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._arrived.setdefault(number, time.monotonic())  # the same again within a moment counts as one
        while self._arrived and not self._asking:
            self._asking = True
            while self._arrived:  # asked once more: another call may have come between the two lines before
                first = list(self._arrived)[0]  # noqa: RUF015  in one step: another call changes what is iterated over
                if self._is_for_us_to_pass_on(first, self._arrived[first]):
                    self._signal(first)
                del self._arrived[first]
            self._asking = False

    def _is_for_us_to_pass_on(self, number: int, at: float) -> bool:
        addressee = self._witness.addressee(number, at)
        if addressee is Addressee.UNKNOWN:
            return number not in _FROM_TERMINAL
        if addressee is Addressee.GROUP:
            return not self._is_in_our_group()
        return addressee is Addressee.ROAR

    def _is_in_our_group(self) -> bool:
        try:
            return os.getpgid(self.pid) == os.getpgrp()
        except ProcessLookupError:
            return True

    def _signal(self, number: int) -> None:
        if self.pid and self._ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _wait_for_messages(self) -> Ended:
        assert self._messages is not None
        while line := self._messages.read(self._wake[0] if self._wake else None):
            kind, _, rest = line.partition(" ")
            if kind == "T":
                self._stop_too()
            elif kind == "X":
                return _not_started(int(rest))
            elif kind == "E":
                self._messages.close()
                status, rss, user, system = map(int, rest.split())
                return Ended.from_wait_status(
                    status, max_rss=rss * 1024, user_s=user / 1e6, system_s=system / 1e6
                )
        self.gaps = (*self.gaps, "tracer was killed")
        return self._wait_for_orphan()

    def _stop_too(self) -> None:
        """The command has been stopped: so are we, for the shell to see. SIGCONT is passed on as others are."""
        if _state_of(self.pid) == "T":
            os.kill(os.getpid(), signal.SIGSTOP)

    def _wait_for_child(self) -> Ended:
        if not self.pid:
            assert self._ended is not None
            return self._ended
        while True:
            found, status, use = os.wait4(self.pid, os.WUNTRACED | os.WNOHANG)
            if not found:
                assert self._wake is not None
                select.select([self._wake[0]], [], [])
                os.read(self._wake[0], _LITTLE)
                continue
            if os.WIFSTOPPED(status):
                self._stop_too()
                continue
            return Ended.from_wait_status(
                status, max_rss=use.ru_maxrss * 1024, user_s=use.ru_utime, system_s=use.ru_stime
            )

    def _wait_for_orphan(self) -> Ended:
        """Guard and supervisor are gone: nobody can tell the exit status any more, only that it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return Ended(exit_code=128 + signal.SIGKILL, signal=signal.SIGKILL)
        select.select([descriptor], [], [])
        os.close(descriptor)
        return Ended(exit_code=128 + signal.SIGKILL, signal=signal.SIGKILL)


class _Messages:
    """The tracer's messages, one line each (see native/launcher.c)."""

    def __init__(self, descriptor: int, tracer: int) -> None:
        self.descriptor = descriptor
        self.tracer = tracer
        self.buffer = b""

    def read(self, wake: int | None = None) -> str:
        """The next line, or "" when the tracer has closed its end. wake: becomes readable when a signal arrives."""
        while b"\n" not in self.buffer:
            if wake is not None:
                ready, _, _ = select.select([self.descriptor, wake], [], [])
                if wake in ready:
                    os.read(wake, _LITTLE)
                if self.descriptor not in ready:
                    continue
            more = os.read(self.descriptor, _LITTLE)
            if not more:
                self.close()
                return ""
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode(errors="replace")

    def close(self) -> None:
        """The guard lives as long as the command's background processes do: it is reaped when there is an occasion."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            _guards.append(self.tracer)
        _reap_guards()

    def end(self) -> None:
        """Of a tracer that has started nothing: it is gone then, and the command can have its place."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.tracer, 0)
        self.close()


_guards: list[int] = []


def _reap_guards() -> None:
    for guard in tuple(_guards):
        try:
            pid, _ = os.waitpid(guard, os.WNOHANG)
        except ChildProcessError:
            pid = guard
        if pid:
            _guards.remove(guard)


def start(command: Sequence[str], *, log: str | os.PathLike[str], mode: str = "auto",
          environment_names: Iterable[str] = (), given: Given | None = None) -> Traced:
    """Start `command` in the current folder, environment and terminal, and return once it is about to run.

    Never fails because of the tracer: where that cannot work the command runs all the same, and `mode` is `none`.

    Args:
        command: what to run and its arguments, looked up on PATH.
        log: where the event log is to be made; must not exist. Removed by the caller, after `load_trace`.
        mode: `auto`, `full`, `seccomp`, `preload` or `none`. A mode that cannot be had gives way to the next.
        environment_names: variables to note at each exec; a name that ends in `*` is a prefix.
        given: from `signals.hold`, where that was called before. What came since then is the command's.

    Raises:
        OSError: no process can be started for the command; nothing has been.
    """
    _reap_guards()
    _give_back_locale()
    given = given or hold()
    try:
        _require_descriptors()
        if mode == "none":
            return _start_untraced(command, (), given)
        traced = _start_traced(command, _arguments(log, mode, environment_names, given))
        if isinstance(traced, str):
            with contextlib.suppress(OSError):
                os.unlink(log)  # nothing came of it
            return _start_untraced(command, (f"{_NOT_OBSERVED}: {traced}",), given)
        traced._take_signals(given)  # noqa: SLF001  its own module
        return traced
    finally:
        release(given, heard=PASSED_ON | {signal.SIGCHLD})  # the command may unblock them


def _require_descriptors() -> None:
    """Raises OSError where fewer can be opened than it takes to start a command: none may fail in the middle."""
    opened: list[int] = []
    try:
        for _ in range(_MOST_PIPES):
            opened += os.pipe2(os.O_CLOEXEC)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _arguments(log: str | os.PathLike[str], mode: str, environment_names: Iterable[str], given: Given) -> list[str]:
    """The tracer's, but for the descriptor and the command."""
    left, interval = (round(seconds * 1e6) for seconds in given.alarm)
    blocked = sum(1 << (number - 1) for number in given.blocked)
    return [_TRACER, "--log", os.path.abspath(log), "--mode", mode, "--library", _LIBRARY, "--canary", _CANARY,
            "--environment", ":".join(environment_names), "--blocked", f"{blocked:x}", "--alarm", f"{left}:{interval}"]


def _start_traced(command: Sequence[str], arguments: Sequence[str]) -> "Traced | str":
    """The command that is about to run, or why there is no tracer for it. While every signal is blocked."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_inheritable(writer, True)
    try:
        tracer = _spawn(_TRACER, [*arguments, "--status", str(writer), "--", *command])
    except OSError as error:
        os.close(reader)
        return f"the tracer cannot be started ({error.strerror})"
    finally:
        os.close(writer)
    _heed_children()
    witness = Witness()  # before the command is told to start
    traced = _first_message(_Messages(reader, tracer), witness)
    if isinstance(traced, str):
        witness.stop()
    return traced


def _give_back_locale() -> None:
    """Where the locale is C, Python has set LC_CTYPE for itself (PEP 538). /proc has what roar was started with."""
    if os.environ.get("LC_CTYPE") not in {"C.UTF-8", "C.utf8", "UTF-8"}:
        return
    try:
        with open("/proc/self/environ", "rb") as file:
            given = dict(entry.split(b"=", 1) for entry in file.read().split(b"\0") if b"=" in entry)
    except OSError:
        return
    if b"LC_CTYPE" not in given:
        del os.environ["LC_CTYPE"]
    else:
        os.environb[b"LC_CTYPE"] = given[b"LC_CTYPE"]


def _heed_children() -> None:
    """Where SIGCHLD is ignored, a child's status is lost."""
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _first_message(messages: _Messages, witness: Witness) -> Traced | str:
    """The command that is about to run, or why the tracer cannot run it."""
    kind, _, rest = messages.read().partition(" ")
    if kind != "S":
        messages.end()
    if kind == "L":
        return f"the event log cannot be made ({os.strerror(int(rest))})"
    if kind == "N":
        return f"the tracer cannot be started ({os.strerror(int(rest))})"
    if kind != "S":
        return "the tracer failed at its start"
    pid, mode, handed_over, reasons = rest.split(" ", 3)
    signals = int(handed_over, 16)
    discard(frozenset(number for number in range(1, signals.bit_length() + 1) if signals >> (number - 1) & 1))
    gaps = tuple(reason for reason in reasons.split("; ") if reason)
    if mode == "none":
        gaps = (_NOT_OBSERVED, *gaps)
    return Traced(pid=int(pid), mode=mode, gaps=gaps, messages=messages, witness=witness)


def _spawn(program: str, arguments: Sequence[str]) -> int:
    """Start a program with the two signals that Python itself ignores as a shell would give them."""
    return os.posix_spawnp(program, list(arguments), environment(), setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])


def _start_untraced(command: Sequence[str], gaps: tuple[str, ...], given: Given) -> Traced:
    """While every signal is blocked. Raises OSError where no process can be started."""
    witness = Witness()
    _heed_children()
    try:
        pid, failed = _fork(command, given)
    except OSError:
        witness.stop()  # the command is to have its place
        pid, failed = _fork(command, given)
    traced = Traced(pid=pid, mode="none", gaps=gaps or (_NOT_OBSERVED,), messages=None, witness=witness)
    if failed:
        traced._ended = _not_started(failed)  # noqa: SLF001  its own module
        witness.stop()
    else:
        traced._take_signals(given)  # noqa: SLF001  its own module
    return traced


def _fork(command: Sequence[str], given: Given) -> tuple[int, int]:
    """The process id of the command and 0, or 0 and why it cannot be run; raises OSError where there is no process.

    posix_spawn would not do: it can neither have a signal ignored nor set an alarm.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    missed = frozenset(signal.sigpending()) - {signal.SIGCHLD} - OUR_WRITING
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if not pid:
        try:
            _run_here(command, given, missed)
        except OSError as error:
            os.write(writer, str(error.errno).encode())
        finally:
            os._exit(127)
    discard(missed)
    os.close(writer)
    with open(reader, "rb") as answer:
        failed = answer.read()
    if failed:
        os.waitpid(pid, 0)
        return 0, int(failed)
    return pid, 0


def become(command: Sequence[str], given: Given) -> Ended:
    """Run a command in the place of this process, as a shell's `exec` does; returns only where it cannot be run.

    given: from `signals.hold`.
    """
    _give_back_locale()
    try:
        _run_here(command, given, frozenset())
    except OSError as error:
        return _not_started(error.errno or 0)


def _run_here(command: Sequence[str], given: Given, missed: frozenset[int]) -> NoReturn:
    become_command(given, missed)
    release(given)
    _execute(command)


def _execute(command: Sequence[str]) -> NoReturn:
    """As execvp(3) does: a script without a first line that names its interpreter is the shell's."""
    try:
        os.execvp(command[0], list(command))  # noqa: S606  the user's
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    import shutil  # noqa: PLC0415  only on this path

    os.execv("/bin/sh", ["sh", shutil.which(command[0]) or command[0], *command[1:]])  # noqa: S606  the user's


def _not_started(error: int) -> Ended:
    if error in (errno.ENOENT, errno.ENOTDIR):
        return Ended(exit_code=127, error="not found")
    return Ended(exit_code=126, error="not executable" if error == errno.EACCES else os.strerror(error))


def _state_of(pid: int) -> str:
    """One letter, as in proc(5); "" once it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return chr(file.read().rpartition(b") ")[2][0])
    except (OSError, IndexError):
        return ""


def available_modes() -> dict[str, str | None]:
    """Each mode, with None if it works here, else one sentence why not. Runs `true` under each."""
    import tempfile  # noqa: PLC0415  only `roar doctor` asks

    found: dict[str, str | None] = {}
    for mode in _MODES:
        with tempfile.TemporaryDirectory() as folder:
            traced = start(["true"], log=os.path.join(folder, "log"), mode=mode)
            traced.wait()
            gaps = [gap.removeprefix(f"{mode}: ") for gap in traced.gaps if gap.startswith(f"{mode}: ")]
            reason = gaps[0] if gaps else traced.gaps[-1] if traced.gaps else "it gave way to another mode"
            found[mode] = None if traced.mode == mode else f"{reason[0].upper()}{reason[1:]}."
    return found
