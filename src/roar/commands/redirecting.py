"""Open the files that a command is redirected from and to, as a shell does for `< FILE > FILE`."""

import os

from roar.errors import NotFoundError, WorkspaceError
from roar.shell import quoted


def open_input(path: str) -> int:
    """A descriptor to read from.

    Raises:
        NotFoundError: it cannot be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFoundError(f"The standard input, {path}, cannot be opened: {error.strerror}.",
                            hint=f"ls -ld {quoted(path)}") from error


def open_output(path: str, *, appends: bool) -> int:
    """A descriptor to write to, of a file that is new, empty or continued; its folder is made where it is gone.

    Raises:
        WorkspaceError: it cannot be opened.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if appends else os.O_TRUNC)
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise WorkspaceError(f"The standard output, {path}, cannot be opened: {error.strerror}.",
                             hint=f"ls -ld {quoted(os.path.dirname(path))}") from error


def put_at(descriptor: int, number: int) -> None:
    """Make a descriptor the one of this number, which commands inherit."""
    if descriptor == number:
        os.set_inheritable(descriptor, True)
    else:
        os.dup2(descriptor, number)
        os.close(descriptor)
