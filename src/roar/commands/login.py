"""`roar login`: get an API token from a glaas server and keep it."""

import sys

from roar.commands.arguments import Parser
from roar.commands.register import find_server_url
from roar.errors import PublishError
from roar.publish.credentials import keep_token
from roar.publish.login import log_in, who_am_i
from roar.publish.server import parse_server


def parser() -> Parser:
    """The command line of `roar login`."""
    result = Parser("login", "Connect this user to a glaas server: approve it in the browser, and the server's token"
                             " is kept for `roar register`.")
    result.add_argument("--server", metavar="URL", help="the server (default: the setting glaas.url)")
    result.add_argument("--token", action="store_true", help="read a token from standard input instead")
    result.add_argument("--no-browser", action="store_true", help="only print the address to open")
    return result


def main(argv: list[str]) -> int:
    """Log in."""
    arguments = parser().parse_args(argv)
    server = parse_server(find_server_url(arguments.server))
    if not who_am_i(server).accounts:
        print(f"{server.url} has no accounts; nothing needs a login.")
        return 0
    token = _read_token() if arguments.token else log_in(server, _Shown(browser=not arguments.no_browser))
    identity = who_am_i(parse_server(server.url, token))
    path = keep_token(server.url, token)
    print(f"Logged in to {server.url} as {identity.user}; the token is in {path}.")
    return 0


def _read_token() -> str:
    if sys.stdin.isatty():
        import getpass  # noqa: PLC0415  only to ask a person

        token = getpass.getpass("Token: ").strip()
    else:
        token = sys.stdin.readline().strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise PublishError("That is no token.", hint="roar login --token < FILE")
    return token


class _Shown:
    """Shows where to approve, and opens it."""

    def __init__(self, *, browser: bool) -> None:
        self._browser = browser

    def __call__(self, address: str, code: str) -> None:
        print(f"Open {address}\nand check that it shows {code}.", flush=True)
        if self._browser:
            import webbrowser  # noqa: PLC0415  only to open one

            webbrowser.open(address)
