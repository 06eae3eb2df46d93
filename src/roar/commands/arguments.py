"""The parser that every verb uses: argparse whose complaints are usage errors of ours."""

import argparse
import os
import re
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from roar.errors import UsageError


class Parser(argparse.ArgumentParser):
    """A verb's command line.

    Args:
        verb: the verb as typed.
        description: what it does, one or more sentences.
    """

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"roar {verb}", description=description, allow_abbrev=False, formatter_class=_Formatter)
        self._verb = verb

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as a usage error."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=f"roar {self._verb} --help")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End after `--help`."""
        assert message is None
        raise SystemExit(status)

    def choices(self, option: str | None) -> list[str]:
        """The values that an option, or the argument that is none, takes; empty where these are not a few words."""
        found = next((action for action in self._actions if (
            option in action.option_strings if option else not action.option_strings)), None)
        return [] if found is None else [str(value) for value in found.choices or ()]

    def add_json(self) -> None:
        """Add `--json`."""
        self.add_argument("--json", action="store_true", help="print JSON on stdout")


class _Formatter(argparse.HelpFormatter):
    """Knows the width without shutil, which argparse would import with each option that is added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def moment(text: str) -> str:
    """A time on the command line as the record writes it: an ISO date or time, or an age such as `2h` or `3 days`."""
    age = re.fullmatch(r"(\d+)\s*(s|m|min|h|d|w)\w*(?:\s+ago)?", text.strip())
    try:
        if age:
            unit = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}[age[2]]
            when = datetime.now(UTC) - timedelta(seconds=int(age[1]) * unit)
        else:
            when = datetime.fromisoformat(text)
        return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} lies before all time") from None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time (2026-11-22, 2026-11-22T10:00) nor an age (2h, 3d)") from None
