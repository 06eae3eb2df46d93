"""What the command `glaas` starts: the server, or one sentence where it is not installed."""

import sys

from roar.errors import install_hint


def main() -> int:
    """Run `glaas ARGV…`; the exit status."""
    try:
        from glaas.cli import main as run  # noqa: PLC0415  loads all that the server needs
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"glaas", "roar"}:
            raise
        print(f"glaas: The server part is not installed ({error.name} is missing).\n  try: {install_hint('server')}",
              file=sys.stderr)
        return 1
    return run()
