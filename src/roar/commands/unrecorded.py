"""`roar run` where roar does not even start: the command runs all the same.

Nothing is imported here but what Python has loaded, or has within itself.
"""

import _signal  # type: ignore[import-not-found]  # what `signal` wraps, which may be what fails
import os
import sys
from errno import ENOENT, ENOEXEC, ENOTDIR


def run_unrecorded(arguments: list[str], reason: Exception) -> int:
    """Become the command of `roar run`; returns an exit status only where that cannot be run.

    Args:
        arguments: those of `roar run`.
        reason: why it cannot be recorded; raised where there is no telling what the command is.
    """
    command = _command([*arguments])
    if not command:
        raise reason
    sys.stderr.write(f"roar: this job was not recorded: {type(reason).__name__}: {reason}\n")
    sys.stderr.flush()
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # which Python ignores
        _signal.signal(number, _signal.SIG_DFL)
    try:
        _execute(command)
    except OSError as error:
        sys.stderr.write(f"roar: {command[0]}: {error.strerror}\n")
        status = 127 if error.errno in {ENOENT, ENOTDIR} else 126
    return status


def _command(words: list[str]) -> list[str]:
    """Behind the options of `roar run`; none where it is a step of the record."""
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--":
            return words
        if option in {"--name", "--label"}:
            words[:1] = []
    return [] if words[:1] and words[0].startswith("@") else words


def _execute(command: list[str]) -> None:
    """As execvp(3) does: a script without a first line that names its interpreter is the shell's."""
    try:
        os.execvp(command[0], command)  # noqa: S606  the user's
    except OSError as error:
        if error.errno != ENOEXEC:
            raise
    places = [command[0]] if "/" in command[0] else [os.path.join(place, command[0]) for place in os.get_exec_path()]
    found = next((place for place in places if os.access(place, os.X_OK)), command[0])
    os.execv("/bin/sh", ["sh", found, *command[1:]])  # noqa: S606  the user's
