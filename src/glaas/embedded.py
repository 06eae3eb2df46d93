"""glaas inside another program, the client's one door to it.

Its pages of one workspace, on loopback, over a SQLite file that is made anew; and its exports, without any database.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping

from glaas.errors import ProblemError
from glaas.exports import Document, Format, Noun, Subject, export, make_lineage
from roar.errors import RoarError
from roar.wire import dag_digest

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
    from glaas.access import OWNER  # noqa: PLC0415  an export needs no web server, which takes a second to load
    from glaas.app import create_app  # noqa: PLC0415
    from glaas.cli import serve  # noqa: PLC0415
    from glaas.db import open_engine  # noqa: PLC0415
    from glaas.ingest import register  # noqa: PLC0415
    from glaas.schema import prepare_database  # noqa: PLC0415
    from glaas.settings import Settings  # noqa: PLC0415
    from glaas.web import LOOPBACK_NAMES  # noqa: PLC0415

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


def export_registration(body: bytes, noun: str, name: str | None, format_name: str, *, members: bool = False,
                        packed: Mapping[str, str] | None = None) -> Document:
    """What `body` registers as a document of another format: the same as a server gives that it is registered with.

    Args:
        body: an encoded registration.
        noun: what it is of: `session`, `job`, `artifact` or `tracker run`.
        name: of that; None for a session, whose name is its DAG's digest.
        format_name: a `Format`.
        members: whether datasets are told with every file.
        packed: for RO-Crate, the files that lie beside the document: by digest their paths.

    Raises:
        RoarError: a server would refuse the registration, for example because it holds a secret.
    """
    from glaas.ingest import parse_registration  # noqa: PLC0415  the pages have their own way to it

    try:
        registration = parse_registration(body)
    except ProblemError as problem:
        where = f" (at {problem.flaws[0].pointer})" if problem.flaws else ""
        raise RoarError(f"{problem.detail.rstrip('.')}{where}.") from None
    subject = Subject(noun=Noun(noun), name=dag_digest(registration) if name is None else name)
    lineage = make_lineage(subject, registration.session, registration.jobs, registration.datasets,
                           registration.payloads, members=members)
    return export(lineage, Format(format_name), packed)
