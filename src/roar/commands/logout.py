"""`roar logout`: forget the API token of a glaas server."""

from roar.commands.arguments import Parser
from roar.commands.register import find_server_url
from roar.publish.credentials import forget_token
from roar.publish.server import parse_server


def parser() -> Parser:
    """The command line of `roar logout`."""
    result = Parser("logout", "Forget the token of a glaas server. On the server it lives until it expires or is"
                              " revoked on the page /account.")
    result.add_argument("--server", metavar="URL", help="the server (default: the setting glaas.url)")
    return result


def main(argv: list[str]) -> int:
    """Forget it."""
    arguments = parser().parse_args(argv)
    url = parse_server(find_server_url(arguments.server)).url
    print(f"The token for {url} is forgotten." if forget_token(url) else f"There was no token for {url}.")
    return 0
