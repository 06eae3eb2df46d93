"""The parser that every verb uses: argparse whose complaints are usage errors of ours."""

import argparse
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
        super().__init__(prog=f"roar {verb}", description=description, allow_abbrev=False)
        self._verb = verb

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as a usage error."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=f"roar {self._verb} --help")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End after `--help`."""
        assert message is None
        raise SystemExit(status)

    def add_json(self) -> None:
        """Add `--json`."""
        self.add_argument("--json", action="store_true", help="print JSON on stdout")


def moment(text: str) -> str:
    """A time on the command line as the record writes it: an ISO date or time, or an age such as `2h` or `3 days`."""
    age = re.fullmatch(r"(\d+)\s*(s|m|min|h|d|w)\w*(?:\s+ago)?", text.strip())
    if age:
        unit = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}[age[2]]
        when = datetime.now(UTC) - timedelta(seconds=int(age[1]) * unit)
    else:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is neither a time (2026-11-22, 2026-11-22T10:00) nor an age (2h, 3d)") from None
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
