"""Whether a signal was sent to roar alone, or to the whole process group and so to the command as well."""

import contextlib
import os
import select
import signal
import time
from enum import Enum, auto
from typing import Final

from roar.observe.signals import ALL

_PROGRAM: Final = os.path.join(os.path.dirname(os.path.dirname(__file__)), "_native", "roar-witness")
_MOMENT_S: Final = 0.1  # timeout(1) signals its child first and then the group; the two may lie a little apart


class Addressee(Enum):
    """Whom a signal was sent to."""

    ROAR = auto()
    GROUP = auto()
    GROUP_BY_TERMINAL = auto()
    UNKNOWN = auto()


class Witness:
    """A process in roar's group that keeps every signal from itself and tells which ones it got (native/witness.c)."""

    def __init__(self) -> None:
        """Start it; where it cannot be started, every answer is `UNKNOWN`."""
        self._heard: dict[int, tuple[float, Addressee]] = {}
        self._reader = -1
        try:
            self._reader, writer = os.pipe2(os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.set_inheritable(writer, True)
            self._pid = os.posix_spawn(_PROGRAM, [_PROGRAM, str(writer)], {}, setsigmask=ALL)
        except OSError:
            os.close(self._reader)
            self._reader = -1
        finally:
            os.close(writer)

    def addressee(self, number: int, at: float) -> Addressee:
        """Whom the signal was sent to that roar got at this moment; waits for the witness, but not for long."""
        while True:
            heard_at, addressee = self._heard.get(number, (0.0, Addressee.ROAR))
            if heard_at > at - _MOMENT_S:
                return addressee
            if self._reader < 0:
                return Addressee.UNKNOWN
            if not select.select([self._reader], [], [], max(0.0, at + _MOMENT_S - time.monotonic()))[0]:
                return Addressee.ROAR
            self._listen()

    def _listen(self) -> None:
        words = os.read(self._reader, 512)
        if not words:
            self.stop()
        for number, by_kernel in zip(words[::2], words[1::2], strict=True):
            self._heard[number] = (time.monotonic(), Addressee.GROUP_BY_TERMINAL if by_kernel else Addressee.GROUP)

    def stop(self) -> None:
        """End it, also where somebody has stopped the group with SIGSTOP."""
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1
            with contextlib.suppress(ProcessLookupError, ChildProcessError):  # where SIGCHLD is ignored
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
