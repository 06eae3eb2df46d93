"""Start a command under the native tracer, and wait for it."""

import contextlib
import errno
import os
import select
import signal
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any, Final

from roar.observe.trace import Ended
from roar.observe.witness import Addressee, Witness

__all__ = ["Ended", "Traced", "available_modes", "start"]

_NATIVE: Final = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_native")
_TRACER: Final = os.path.join(_NATIVE, "roar-tracer")
_LIBRARY: Final = os.path.join(_NATIVE, "libroar-preload.so")
_CANARY: Final = os.path.join(_NATIVE, "roar-canary")

_MODES: Final = ("full", "seccomp", "preload")
_IGNORED: Final = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_PASSED_ON: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_FROM_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT)
_NOT_OBSERVED: Final = "nothing was observed"


class Traced:
    """A command that has been started.

    Until `wait` returns, this process leaves the terminal's stop signals to the command, and passes SIGINT, SIGQUIT,
    SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 on to it, unless the command got the same signal itself: from the terminal,
    which signals the whole foreground group, or because somebody signalled the group of both (`kill -- -PGID`,
    or timeout(1), which signals first its child and then the group). Use from the main thread.

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
        self._handlers: dict[signal.Signals, Any] = {}
        self._wake: tuple[int, int, int] | None = None  # our pipe's ends, and the wake-up descriptor before
        self._witness = witness
        self._asking: set[int] = set()  # signals whose addressee is being found out

    def wait(self) -> Ended:
        """Wait until the command has ended; not for what it leaves in the background."""
        if self._ended is None:
            try:
                self._ended = self._wait_for_messages() if self._messages else self._wait_for_child()
            finally:
                self._restore_signals()
        return self._ended

    def is_running(self) -> bool:
        """Whether nothing has been heard of the command since it was started; does not wait."""
        if self._messages is None:
            return self._ended is None
        return not select.select([self._messages.descriptor], [], [], 0)[0]

    def _take_signals(self) -> None:
        """Python runs a handler between two steps of its own: a signal just before a read would wait for its end.

        Hence the wake-up descriptor, which the signal itself makes readable.
        """
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake = (reader, writer, signal.set_wakeup_fd(writer, warn_on_full_buffer=False))
        if self._messages is None:
            self._handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in _IGNORED:
            self._handlers[number] = signal.signal(number, signal.SIG_IGN)
        for number in _PASSED_ON:  # also one that we were told to ignore (nohup, `&`): the command may handle it
            self._handlers[number] = signal.signal(number, self._pass_on)

    def _restore_signals(self) -> None:
        self._witness.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._handlers.clear()
        if self._wake is not None:
            reader, writer, before = self._wake
            signal.set_wakeup_fd(before)
            os.close(reader)
            os.close(writer)
            self._wake = None

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if number in self._asking:
            return  # the same signal again within a moment, which counts as one
        self._asking.add(number)
        try:
            if self._is_for_us_to_pass_on(number):
                self._signal(number)
        finally:
            self._asking.discard(number)

    def _is_for_us_to_pass_on(self, number: int) -> bool:
        addressee = self._witness.addressee(number)
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
        """The command has been stopped: so are we, for the shell to see; when continued, so is the command."""
        if _state_of(self.pid) == "T":
            os.kill(os.getpid(), signal.SIGSTOP)
            self._signal(signal.SIGCONT)

    def _wait_for_child(self) -> Ended:
        if not self.pid:
            assert self._ended is not None
            return self._ended
        while True:
            found, status, use = os.wait4(self.pid, os.WUNTRACED | os.WNOHANG)
            if not found:
                assert self._wake is not None
                select.select([self._wake[0]], [], [])
                os.read(self._wake[0], 4096)
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
                    os.read(wake, 4096)
                if self.descriptor not in ready:
                    continue
            more = os.read(self.descriptor, 4096)
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
          environment_names: Iterable[str] = ()) -> Traced:
    """Start `command` in the current folder, environment and terminal, and return once it is about to run.

    Never fails because of the tracer: where that cannot work the command runs all the same, and `mode` is `none`.

    Args:
        command: what to run and its arguments, looked up on PATH.
        log: where the event log is to be made; must not exist. Removed by the caller, after `load_trace`.
        mode: `auto`, `full`, `seccomp`, `preload` or `none`. A mode that cannot be had gives way to the next.
        environment_names: variables to note at each exec; a name that ends in `*` is a prefix.
    """
    if mode == "none":
        return _start_untraced(command, ())
    _reap_guards()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_inheritable(writer, True)
    arguments = [
        _TRACER, "--log", os.path.abspath(log), "--mode", mode, "--library", _LIBRARY, "--canary", _CANARY,
        "--status", str(writer), "--environment", ":".join(environment_names), "--", *command,
    ]  # fmt: skip
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_IGNORED, *_PASSED_ON})
    try:
        tracer = _spawn(_TRACER, arguments, before)
    except OSError as error:
        os.close(writer)
        os.close(reader)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return _start_untraced(command, (f"{_NOT_OBSERVED}: the tracer cannot be started ({error.strerror})",))
    try:
        os.close(writer)
        witness = Witness()  # before the command is told to start
        traced = _first_message(_Messages(reader, tracer), witness)
        if isinstance(traced, Traced):
            traced._take_signals()  # noqa: SLF001  its own module
            return traced
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    witness.stop()
    return _start_untraced(command, (f"{_NOT_OBSERVED}: {traced}",))  # gives the command the mask that is in force


def _first_message(messages: _Messages, witness: Witness) -> Traced | str:
    """The command that is about to run, or why the tracer cannot run it."""
    kind, _, rest = messages.read().partition(" ")
    if kind == "L":
        messages.close()
        return f"the event log cannot be made ({os.strerror(int(rest))})"
    if kind != "S":
        messages.close()
        return "the tracer failed at its start"
    pid, mode, reasons = rest.split(" ", 2)
    gaps = tuple(reason for reason in reasons.split("; ") if reason)
    if mode == "none":
        gaps = (_NOT_OBSERVED, *gaps)
    return Traced(pid=int(pid), mode=mode, gaps=gaps, messages=messages, witness=witness)


def _spawn(program: str, arguments: Sequence[str], mask: Iterable[int]) -> int:
    """Start a program with the signals that a shell would give it; Python itself ignores two of them."""
    default = [signal.SIGPIPE, signal.SIGXFSZ]
    return os.posix_spawnp(program, list(arguments), os.environ, setsigmask=mask, setsigdef=default)


def _spawn_as_shell(command: Sequence[str], mask: Iterable[int]) -> int:
    """As execvp(3) does: a script without a first line that names its interpreter is the shell's."""
    try:
        return _spawn(command[0], command, mask)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        import shutil  # noqa: PLC0415  only on this path

        return _spawn("/bin/sh", ["sh", shutil.which(command[0]) or command[0], *command[1:]], mask)


def _start_untraced(command: Sequence[str], gaps: tuple[str, ...]) -> Traced:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_IGNORED, *_PASSED_ON})
    traced = Traced(pid=0, mode="none", gaps=gaps or (_NOT_OBSERVED,), messages=None, witness=Witness())
    try:
        traced.pid = _spawn_as_shell(command, before)
        traced._take_signals()  # noqa: SLF001  its own module
    except OSError as error:
        traced._ended = _not_started(error.errno or 0)  # noqa: SLF001  its own module
        traced._witness.stop()  # noqa: SLF001  its own module
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return traced


def _not_started(error: int) -> Ended:
    if error in (errno.ENOENT, errno.ENOTDIR):
        return Ended(exit_code=127, error="not found")
    return Ended(exit_code=126, error="not executable")


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
