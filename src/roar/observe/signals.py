"""What roar's caller has set up of signals, which is the command's: roar sets it aside, and passes it on."""

import _signal  # type: ignore[import-not-found]  # what `signal` wraps: it takes 10 µs less for each real-time signal
import os
import signal
from typing import Final, NamedTuple

__all__ = ["ALL", "DEFAULT", "IGNORE", "PASSED_ON", "STOPPING", "Given", "become_command", "discard", "hold",
           "release", "set_handler"]

ALL: Final[frozenset[int]] = frozenset(_signal.valid_signals())
STOPPING: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
OUR_WRITING: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})  # Python ignores them: a write fails instead
_OUR_FAULTS: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP,
                                signal.SIGSYS})
PASSED_ON: Final = ALL - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD} - STOPPING - OUR_WRITING - _OUR_FAULTS

set_handler: Final = _signal.signal
DEFAULT: Final = _signal.SIG_DFL
IGNORE: Final = _signal.SIG_IGN


class Given(NamedTuple):
    """What the command is to find as roar did.

    Attributes:
        blocked: the mask.
        alarm: seconds until SIGALRM, 0.0 for never, and between later ones: exec keeps this timer, fork does not.
        deaf_to_children: SIGCHLD was ignored, so that no status of a child is kept.
    """

    blocked: frozenset[int]
    alarm: tuple[float, float]
    deaf_to_children: bool


def hold() -> Given:
    """Block every signal and stop the alarm, until `release`."""
    blocked = frozenset(_signal.pthread_sigmask(signal.SIG_BLOCK, ALL))
    return Given(blocked, signal.setitimer(signal.ITIMER_REAL, 0), _signal.getsignal(signal.SIGCHLD) == IGNORE)


def release(given: Given, *, heard: frozenset[int] = frozenset()) -> None:
    """Let the signals that have waited come. heard: also these, that roar was started to block."""
    _signal.pthread_sigmask(signal.SIG_SETMASK, given.blocked - heard)


def discard(numbers: frozenset[int]) -> None:
    """Forget signals that wait, as the command has been given them."""
    for number in numbers:
        _signal.sigtimedwait([number], 0)


def become_command(given: Given, missed: frozenset[int]) -> None:
    """In the process that is about to be the command, and was started by fork: set all up as it was given to roar.

    missed: signals that came before there was this process.
    """
    for number in ALL:
        if number in OUR_WRITING or callable(_signal.getsignal(number)):
            set_handler(number, DEFAULT)
    if given.deaf_to_children:
        set_handler(signal.SIGCHLD, IGNORE)
    if given.alarm[0]:
        signal.setitimer(signal.ITIMER_REAL, *given.alarm)
    for number in missed:
        os.kill(os.getpid(), number)
