"""The command `glaas`: serve the pages and the API, and look after the database."""

import argparse
import contextlib
import gc
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from glaas import administration
from glaas.accounts import count_users
from glaas.db import open_engine, without_password
from glaas.schema import migrate, prepare_database, schema_versions
from glaas.settings import Settings, database_from_environment
from glaas.web import LOOPBACK_NAMES
from roar.errors import RoarError, SettingsError, UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def main(argv: list[str] | None = None) -> int:
    """Run `glaas ARGV…`; the exit status."""
    arguments = _parser().parse_args(sys.argv[1:] if argv is None else argv)
    call: Callable[[argparse.Namespace], int] = arguments.call
    try:
        return call(arguments)
    except RoarError as error:
        print(f"glaas: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  try: {error.hint}", file=sys.stderr)
        return error.exit_status
    except OperationalError as error:  # that of SQLAlchemy: the database cannot be reached, opened or written
        reason = " ".join(str(error.orig).split())
        print(f"glaas: The database {without_password(arguments.database)} cannot be used: {reason}\n"
              "  try: glaas doctor --database URL", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="glaas", description="The lineage server.")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    database = argparse.ArgumentParser(add_help=False)
    database.add_argument("--database", default=database_from_environment(), metavar="URL",
                          help="sqlite:///FILE or postgresql://… (default: $GLAAS_DATABASE, else sqlite:///glaas.db)")
    _add_serve(verbs.add_parser("serve", parents=[database], help="serve pages and API"))
    verbs.add_parser("migrate", parents=[database], help="bring the database's schema up to date").set_defaults(
        call=_migrate)
    administration.add_verbs(verbs, database)
    return parser


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, default=8420, help="port to listen on; 0 takes a free one (default: 8420)")
    who = serve.add_mutually_exclusive_group()
    who.add_argument("--accounts", action="store_true",
                     help="people sign in and clients bring tokens (always so on other addresses than loopback)")
    who.add_argument("--no-accounts", action="store_true",
                     help="let everyone who can reach the server see and register everything")
    serve.add_argument("--public-url", metavar="URL", help="where people reach this server, such as https://glaas.example")
    serve.add_argument("--plain-http", action="store_true",
                       help="with accounts: send cookies without TLS too (only for trying things out)")
    serve.add_argument("--writes-per-minute", type=int, default=0, metavar="N",
                       help="registrations that one sender may send in a minute (default: any number)")
    serve.add_argument("--access-log", action="store_true", help="write one line of JSON for each request to stderr")
    serve.add_argument("--no-metrics", action="store_true", help="do not serve /metrics")
    serve.set_defaults(call=_serve)


def _migrate(arguments: argparse.Namespace) -> int:
    engine = open_engine(arguments.database)
    migrate(engine)
    print(f"The schema is at version {schema_versions(engine)[1]}.")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    loopback = _is_loopback(arguments.host)
    accounts = arguments.accounts or not (loopback or arguments.no_accounts)
    prepare_database(arguments.database)
    if accounts:
        _require_users(arguments)
    open_to_all = accounts or arguments.no_accounts
    hosts = None if open_to_all else LOOPBACK_NAMES | {arguments.host.lower()}
    settings = Settings(
        database=arguments.database, accounts=accounts, hosts=hosts, public_url=arguments.public_url,
        secure_cookies=not (arguments.plain_http or loopback), writes_per_minute=arguments.writes_per_minute,
        metrics=not arguments.no_metrics)
    from glaas.app import create_app  # noqa: PLC0415  other verbs need no web framework
    from glaas.operation import set_up_access_log  # noqa: PLC0415

    if arguments.access_log:
        set_up_access_log()
    serve(create_app(settings), arguments.host, arguments.port)
    return 0


def _require_users(arguments: argparse.Namespace) -> None:
    """A server with accounts and nobody who could sign in is a mistake.

    Raises:
        UsageError: there is no user yet.
    """
    engine = open_engine(arguments.database)
    with engine.connect() as connection:
        users = count_users(connection)
    engine.dispose()
    if not users:
        raise UsageError(
            f"There are no accounts yet, and without them all who can reach {arguments.host} could see and register"
            " everything.",
            hint=f"glaas user add NAME --admin --database {without_password(arguments.database)}, or glaas serve"
                 " --no-accounts")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _say_address(address: str) -> None:
    print(f"glaas is at {address}", flush=True)


def serve(app: "ASGIApp", host: str, port: int, on_ready: Callable[[str], None] = _say_address) -> None:
    """Serve `app` until SIGINT or SIGTERM; requests under way are answered first.

    `on_ready` is called with the address once it answers.
    """
    import uvicorn  # noqa: PLC0415  other verbs need no web server

    listener = _listen(host, port)
    real_port = listener.getsockname()[1]

    class _Server(uvicorn.Server):
        """Says where it is as soon as it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.collect()
            gc.freeze()  # what is there now stays; looking through it for garbage stops all requests for 0.1 s
            name = f"[{host}]" if ":" in host else host
            on_ready(f"http://{name}:{real_port}/")

    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False,
                            timeout_graceful_shutdown=30, proxy_headers=False)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has stopped by then, and raises the signal again
        _Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"glaas cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}.",
                            hint="glaas serve --port 0") from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
