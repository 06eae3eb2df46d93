"""The command `glaas`: serve the pages and the API, and look after the database."""

import argparse
import contextlib
import gc
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy.exc import DatabaseError, OperationalError

from glaas import administration
from glaas.accounts import count_users
from glaas.db import open_engine, without_password
from glaas.schema import migrate, prepare_database, schema_versions
from glaas.settings import CLIENT_SECRET, Settings, SignOn, database_from_environment
from glaas.urls import LOOPBACK_NAMES, issuer_flaw, split_web_url
from roar.errors import RoarError, SettingsError, UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LONGEST_DRAIN_S = 3600
SWITCH_S = 0.0005  # a quick answer gives the processor away dozens of times, and waits for each slow one each time


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
    except DatabaseError as error:  # that of SQLAlchemy: the database cannot be reached, opened or written, or is none
        if type(error) not in {DatabaseError, OperationalError}:
            raise  # a mistake of ours
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
    serve.add_argument("--sign-ins-per-minute", type=int, default=60, metavar="N",
                       help="sign-ins that one address may begin in a minute; 0 for any number (default: 60)")
    serve.add_argument("--trusted-proxy", metavar="ADDRESS[,…]",
                       help="believe X-Forwarded-For and -Proto of the reverse proxy at this address or network")
    _add_sign_on(serve.add_argument_group("single sign-on by OpenID Connect", description=(
        f"Each switch has a variable too: $GLAAS_OIDC_ISSUER and so on. The client's secret is only ever read from"
        f" ${CLIENT_SECRET}; without one, the client is public and PKCE protects it.")))
    serve.add_argument("--access-log", action="store_true",
                       help="log to stderr as lines of JSON, with one for each request")
    serve.add_argument("--drain", type=float, default=0.0, metavar="SECONDS",
                       help="when told to stop, say so at /readyz and go on for this long, until a load balancer has"
                       " seen it (default: 0)")
    serve.add_argument("--no-metrics", action="store_true", help="do not serve /metrics")
    serve.set_defaults(call=_serve)


def _add_sign_on(group: "argparse._ArgumentGroup") -> None:
    def add(name: str, **more: Any) -> None:
        group.add_argument(f"--oidc-{name}", default=os.environ.get(f"GLAAS_OIDC_{name.replace('-', '_').upper()}"),
                           **more)

    add("issuer", metavar="URL", help="the provider's issuer identifier; with it, people may sign in there")
    add("client-id", metavar="ID", help="what the provider knows this server as; its redirect URI is"
        " PUBLIC_URL/login/sso/done")
    add("label", metavar="TEXT", help="the provider's name, for the button (default: the issuer's host)")
    add("user-claim", metavar="CLAIM", help="claim that a new account is named after (default: preferred_username)")
    group.add_argument("--oidc-new-users", action="store_true", default=os.environ.get("GLAAS_OIDC_NEW_USERS") == "1",
                       help="who signs in for the first time gets an account (variable: 1); without it, an"
                       " administrator links people: glaas user link")
    add("email-domains", metavar="DOMAIN[,…]", help="only people with a verified e-mail address in one of these")
    add("groups", metavar="GROUP[,…]", help="only people in one of these groups")
    add("groups-claim", metavar="CLAIM", help="claim that lists a person's groups (default: groups)")
    add("scopes", metavar="SCOPE[,…]", help="to ask for besides openid (default: profile,email)")


def sign_on_settings(arguments: argparse.Namespace) -> SignOn | None:
    """Single sign-on as the command line and the environment say; None where they name no issuer.

    Raises:
        UsageError: the issuer is none, or other settings are missing or have no meaning without it.
    """
    given = {name.removeprefix("oidc_"): value for name, value in vars(arguments).items()
             if name.startswith("oidc_") and value}
    if "issuer" not in given:
        if given:
            raise UsageError(f"--oidc-{min(given).replace('_', '-')} means nothing without the provider's issuer.",
                             hint="glaas serve --oidc-issuer URL")
        return None
    issuer = given["issuer"]
    if (flaw := issuer_flaw(issuer)) is not None:
        raise UsageError(f"{issuer!r} is no OpenID issuer. {flaw}")
    if "client_id" not in given:
        raise UsageError("Single sign-on needs the client id that the provider knows this server as.",
                         hint="glaas serve --oidc-client-id ID")
    if arguments.no_accounts:
        raise UsageError("A server without accounts has no use for single sign-on.")
    if not arguments.public_url and not _is_loopback(arguments.host):
        raise UsageError("Single sign-on needs the address to which the provider sends people back.",
                         hint="glaas serve --public-url https://HOST")
    values: dict[str, Any] = {key: given[key] for key in ("label", "user_claim", "groups_claim") if key in given}
    values |= {key: frozenset(_listed(given[key])) for key in ("groups",) if key in given}
    if "email_domains" in given:
        values["email_domains"] = frozenset(name.lower().lstrip("@") for name in _listed(given["email_domains"]))
    if "scopes" in given:
        values["scopes"] = tuple(_listed(given["scopes"]))
    return SignOn(issuer=issuer, client_id=given["client_id"], client_secret=os.environ.get(CLIENT_SECRET) or None,
                  new_users=bool(given.get("new_users")),
                  **({"label": urlsplit(issuer).hostname} | values))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _migrate(arguments: argparse.Namespace) -> int:
    engine = open_engine(arguments.database)
    migrate(engine)
    print(f"The schema is at version {schema_versions(engine)[1]}.")
    return 0


def _check_numbers_and_addresses(arguments: argparse.Namespace) -> None:
    """Say what of the switches of `glaas serve` cannot be meant.

    Raises:
        UsageError: with one sentence about the first of them.
    """
    for switch, value in (("--writes-per-minute", arguments.writes_per_minute),
                          ("--sign-ins-per-minute", arguments.sign_ins_per_minute)):
        if value < 0:
            raise UsageError(f"{switch} is a number from 0, and {value} is none; 0 stands for any number.")
    if not 0 <= arguments.drain <= LONGEST_DRAIN_S:
        raise UsageError(f"--drain takes 0 to {LONGEST_DRAIN_S} seconds, and {arguments.drain:g} is not among them.")
    url = arguments.public_url
    if url is not None and ((parts := split_web_url(url)) is None or parts.query or parts.fragment):
        raise UsageError(f"{url!r} is no address of a server: --public-url is an http or https URL without query.",
                         hint="glaas serve --public-url https://HOST")
    if arguments.trusted_proxy is not None:
        _check_proxies(arguments.trusted_proxy)


def _check_proxies(proxies: str) -> None:
    for name in _listed(proxies) or [""]:
        try:
            if name != "*":  # whoever reaches the server
                ipaddress.ip_network(name)
        except ValueError:
            raise UsageError(f"--trusted-proxy takes addresses and networks, and {name!r} is neither.",
                             hint="glaas serve --trusted-proxy 10.0.0.0/8") from None


def _serve(arguments: argparse.Namespace) -> int:
    _check_numbers_and_addresses(arguments)
    loopback = _is_loopback(arguments.host)
    sign_on = sign_on_settings(arguments)
    accounts = arguments.accounts or sign_on is not None or not (loopback or arguments.no_accounts)
    prepare_database(arguments.database)
    if accounts and not (sign_on and sign_on.new_users):
        _require_users(arguments)
    open_to_all = accounts or arguments.no_accounts
    hosts = None if open_to_all else LOOPBACK_NAMES | {arguments.host.lower()}
    settings = Settings(
        database=arguments.database, accounts=accounts, hosts=hosts, public_url=arguments.public_url,
        secure_cookies=not (arguments.plain_http or loopback), writes_per_minute=arguments.writes_per_minute,
        sign_ins_per_minute=arguments.sign_ins_per_minute, metrics=not arguments.no_metrics, sign_on=sign_on)
    from glaas.app import create_app  # noqa: PLC0415  other verbs need no web framework
    from glaas.operation import set_up_logs  # noqa: PLC0415

    if arguments.access_log:
        set_up_logs()
    app = create_app(settings)

    def say_that_it_stops() -> None:
        app.state.stopping = True

    serve(app, arguments.host, arguments.port, trusted_proxy=arguments.trusted_proxy, drain_s=arguments.drain,
          on_stop=say_that_it_stops, json_logs=arguments.access_log)
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


def serve(app: "ASGIApp", host: str, port: int, on_ready: Callable[[str], None] = _say_address, *,
          trusted_proxy: str | None = None, drain_s: float = 0.0, on_stop: Callable[[], None] = lambda: None,
          json_logs: bool = False) -> None:
    """Serve `app` until SIGINT or SIGTERM; requests under way are answered first.

    Args:
        app: what answers.
        host: to listen on.
        port: to listen on, 0 for a free one.
        on_ready: called with the address once it answers.
        trusted_proxy: address or network of a reverse proxy that tells where requests really come from.
        drain_s: how long to go on after the first signal to stop; a second one stops at once.
        on_stop: called with the first signal to stop.
        json_logs: whether the process's own logging is set up, and the web server's must not be.
    """
    import uvicorn  # noqa: PLC0415  other verbs need no web server

    sys.setswitchinterval(SWITCH_S)
    listener = _listen(host, port)
    real_port = listener.getsockname()[1]

    class _Server(uvicorn.Server):
        """Says where it is as soon as it answers, and when it is about to stop."""

        drained = False

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.collect()
            gc.freeze()  # what is there now stays; looking through it for garbage stops all requests for 0.1 s
            name = f"[{host}]" if ":" in host else host
            on_ready(f"http://{name}:{real_port}/")

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """Signals to stop come here; what has begun is answered in any case."""
            stop = super().handle_exit
            if drain_s > 0 and not self.drained:
                self.drained = True
                on_stop()
                timer = threading.Timer(drain_s, stop, (sig, frame))
                timer.daemon = True
                timer.start()
                return
            stop(sig, frame)

    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False,
                            timeout_graceful_shutdown=30, proxy_headers=trusted_proxy is not None,
                            forwarded_allow_ips=trusted_proxy,
                            log_config=None if json_logs else uvicorn.config.LOGGING_CONFIG)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has stopped by then, and raises the signal again
        _Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except socket.gaierror as error:
        listener.close()
        raise SettingsError(f"glaas cannot listen on {host}: it is no address of this machine.",
                            hint="glaas serve --host 127.0.0.1") from error
    except OverflowError as error:
        listener.close()
        raise UsageError(f"{port} is no port: a port is a number from 0 to 65535.",
                         hint="glaas serve --port 8420") from error
    except OSError as error:
        listener.close()
        raise SettingsError(f"glaas cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}.",
                            hint="glaas serve --port 0") from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
