"""`roar ui`: this workspace's own pages, served on loopback and kept up to date while they are open."""

import contextlib
import os
import sys
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator

from roar.commands.arguments import Parser
from roar.commands.opening import open_record
from roar.errors import RoarError, SettingsError, install_hint
from roar.publish.register import encode
from roar.publish.registration import make_registration
from roar.query.sessions import list_sessions, load_publishable
from roar.record.database import open_database
from roar.workspace import Workspace

_LOOK_EVERY_S = 2.0
_FILE = "ui.db"
_LAST_PORT = 65_535


def parser() -> Parser:
    """The command line of `roar ui`."""
    result = Parser("ui", "Serve this workspace's own pages on 127.0.0.1, and open them in the browser. New jobs"
                          " appear while it runs. Nothing leaves this machine.")
    result.add_argument("--port", type=_port, default=0, metavar="N", help="port to listen on (default: a free one)")
    result.add_argument("--no-browser", action="store_true", help="only print the address")
    return result


def main(argv: list[str]) -> int:
    """Serve until Ctrl-C."""
    arguments = parser().parse_args(argv)
    opened = open_record()
    workspace = opened.workspace
    opened.database.close()
    try:
        from glaas.embedded import serve_workspace  # noqa: PLC0415  the one door from the client to the server
    except ImportError as error:
        raise RoarError(f"The pages need roar's server part, which is not installed ({error.name} is missing).",
                        hint=install_hint("server")) from error
    try:
        with _folder(workspace) as folder:
            serve_workspace(os.path.join(folder, _FILE), arguments.port, _Feed(workspace).registrations,
                            lambda address: _ready(address, browser=not arguments.no_browser), _complain)
    except SettingsError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise RoarError(f"roar ui cannot listen on 127.0.0.1 port {arguments.port}: {error.__cause__.strerror}.",
                        hint="roar ui") from error
    return 0


@contextlib.contextmanager
def _folder(workspace: Workspace) -> Iterator[str]:
    """Where the pages' own file may lie: in `.roar/`, or in a temporary folder where that may only be read."""
    if os.access(workspace.folder, os.W_OK):
        yield workspace.folder
        return
    from tempfile import TemporaryDirectory  # noqa: PLC0415  only here

    with TemporaryDirectory(prefix="roar-ui-") as folder:
        yield folder


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise ArgumentTypeError(f"{text!r} is no port: those go from 1 to {_LAST_PORT}, and 0 is a free one")
    return int(text)


def _ready(address: str, *, browser: bool) -> None:
    print(f"This workspace's pages are at {address}", flush=True)
    print("Ctrl-C stops.", file=sys.stderr, flush=True)
    if browser:
        import webbrowser  # noqa: PLC0415  only to open one

        webbrowser.open(address)


def _complain(reason: str) -> None:
    print(f"roar ui: a session cannot be shown: {reason}", file=sys.stderr, flush=True)


class _Feed:
    """The sessions of a workspace as registrations: all of them, the newest first, then those that change."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._sent: dict[str, int] = {}

    def registrations(self, stop: threading.Event) -> Iterator[bytes]:
        """Encoded registrations until `stop` is set."""
        database = open_database(self._workspace.database)
        try:
            version = None
            while not stop.is_set():
                now = database.execute("PRAGMA data_version").fetchone()
                if now != version:
                    version = now
                    for session in list_sessions(database):
                        if stop.is_set():
                            return
                        body = encode(make_registration(load_publishable(database, session.row_id), self._workspace))
                        if session.jobs and self._sent.get(session.uid) != hash(body):
                            self._sent[session.uid] = hash(body)
                            yield body
                stop.wait(_LOOK_EVERY_S)
        finally:
            database.close()
