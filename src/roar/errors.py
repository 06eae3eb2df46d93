"""The errors that roar and glaas show to a person.

    RoarError                  one full sentence that names the thing; `hint` is a command to type
    ├── UsageError             the command line is off (exit status 2)
    ├── SettingsError          a configuration file is broken: names file, line and key
    ├── NotFoundError          no such job, artifact or path; carries candidates
    ├── WorkspaceError         `.roar/` or a settings file cannot be made, read or upgraded
    ├── ObservationError       the command could not be observed
    ├── PublishError           a glaas server could not be reached or refused
    └── TransferError          an object could not be moved, or is not what it should be

Errors of libraries are translated into these at the boundary that knows the file or URL, and caught once, in
`roar.cli.main` (and `glaas.cli.main`). Anything else that reaches the top is a bug and keeps its traceback.
"""


class RoarError(Exception):
    """A problem to tell the user in one sentence.

    Args:
        message: full sentence naming the thing.
        hint: a command to type next, or None.
        details: what else there is to say, one line each.
    """

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


def install_hint(part: str = "") -> str:
    """The command that installs roar anew, with `server` or `storage` as one of its parts. It is on no index."""
    return "in a clone of roar: pip install " + (f"'.[{part}]'" if part else ".")


class UsageError(RoarError):
    """The command line is off."""

    exit_status = 2


class SettingsError(RoarError):
    """A configuration file is broken; the message names file, line and key."""


class NotFoundError(RoarError):
    """A reference names nothing, or more than one thing.

    Args:
        candidates: what may have been meant, one printable line each.
    """

    def __init__(self, message: str, *, hint: str | None = None, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint, details=candidates)
        self.candidates = candidates


class WorkspaceError(RoarError):
    """`.roar/` or a settings file cannot be made, read or upgraded."""


class ObservationError(RoarError):
    """The command could not be observed."""


class PublishError(RoarError):
    """A glaas server could not be reached or refused what was sent.

    Args:
        passing: whether the same may go well a moment later.
        secret: whether the server takes a text for a secret.
    """

    def __init__(self, message: str, *, hint: str | None = None, details: tuple[str, ...] = (), passing: bool = False,
                 secret: bool = False) -> None:
        super().__init__(message, hint=hint, details=details)
        self.passing = passing
        self.secret = secret


class TransferError(RoarError):
    """An object store could not be reached or refused, or what came is not what it should be.

    Args:
        passing: whether the same may go well a moment later.
        denied: whether it was refused for want of a right.
    """

    def __init__(self, message: str, *, hint: str | None = None, passing: bool = False, denied: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.passing = passing
        self.denied = denied
