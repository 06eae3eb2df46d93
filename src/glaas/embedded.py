"""glaas inside another program: the pages of one workspace, on loopback, over a SQLite file that is made anew."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

from glaas.access import OWNER
from glaas.app import create_app
from glaas.cli import serve
from glaas.db import open_engine
from glaas.errors import ProblemError
from glaas.ingest import register
from glaas.schema import prepare_database
from glaas.settings import Settings
from glaas.urls import LOOPBACK_NAMES

Feed = Callable[[threading.Event], Iterator[bytes]]


def serve_workspace(file: str, port: int, feed: Feed, on_ready: Callable[[str], None],
                    on_refused: Callable[[str], None]) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM.

    Args:
        file: path of the SQLite file; what is in it is thrown away.
        port: to listen on, 0 for a free one.
        feed: called in a thread of its own; yields encoded registrations, waiting for new ones until the event is set.
        on_ready: called with the address as soon as it answers.
        on_refused: called with the reason where a registration is refused.
    """
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file + ending)
    url = f"sqlite:///{file}"
    prepare_database(url)
    engine = open_engine(url)
    stop = threading.Event()

    def run() -> None:
        for body in feed(stop):
            try:
                register(engine, body, OWNER)
            except ProblemError as problem:
                on_refused(problem.detail)

    feeder = threading.Thread(target=run, name="feed", daemon=True)
    feeder.start()
    try:
        settings = Settings(database=url, hosts=LOOPBACK_NAMES, secure_cookies=False)
        serve(create_app(settings), "127.0.0.1", port, on_ready)
    finally:
        stop.set()
        feeder.join(10)
        engine.dispose()
