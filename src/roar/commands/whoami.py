"""`roar whoami`: whom a glaas server takes us for."""

import dataclasses

from roar.commands.arguments import Parser
from roar.commands.register import find_server_url
from roar.present.answer import print_json
from roar.publish.credentials import find_token
from roar.publish.login import who_am_i
from roar.publish.server import parse_server


def parser() -> Parser:
    """The command line of `roar whoami`."""
    result = Parser("whoami", "Say whom a glaas server takes you for.")
    result.add_argument("--server", metavar="URL", help="the server (default: the setting glaas.url)")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Print the name; exit status 1 where the server knows nobody by that token."""
    arguments = parser().parse_args(argv)
    url = parse_server(find_server_url(arguments.server)).url
    identity = who_am_i(parse_server(url, find_token(url)))
    if arguments.json:
        print_json({"server": url, **dataclasses.asdict(identity)})
    elif not identity.accounts:
        print(f"{url} has no accounts.")
    else:
        print(f"{identity.user or 'nobody'} on {url}{'' if identity.can_write else ', may only read'}")
    return int(identity.accounts and identity.user is None)
