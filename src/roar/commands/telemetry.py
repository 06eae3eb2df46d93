"""`roar telemetry`: what roar sends about itself. It sends nothing, and says so."""

from roar.commands.arguments import Parser
from roar.present.answer import print_json


def parser() -> Parser:
    """The command line of `roar telemetry`."""
    result = Parser("telemetry", "Say what roar sends about itself.")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print the answer."""
    if parser().parse_args(argv).json:
        print_json({"enabled": False, "sends": []})
    else:
        print("roar sends nothing about itself or its use. It talks to a server only where a command is about one:"
              " register, get, put, login, logout, whoami, trackers refresh.")
    return 0
