"""What a request needs from its application: settings, database, and who asks."""

import functools
import inspect
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from urllib.parse import urlsplit

from anyio import from_thread
from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection, Engine

from glaas import accounts, catalog
from glaas.access import ANYONE, OWNER, Viewer
from glaas.db import reading
from glaas.errors import ProblemError, not_found
from glaas.settings import Settings

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[0-9a-f]{32}")
LARGEST_KEY = 2**63 - 1
LARGEST_POSITION = 2**31 - 1
AT_ONCE = 2
LONGEST_WAIT_S = 0.2
LEFT_AFTER_S = 0.1
GONE = 499  # what nginx notes of a client that closed its connection; nobody gets it


def settings_of(request: Request) -> Settings:
    """The application's settings."""
    settings: Settings = request.app.state.settings
    return settings


def engine_of(request: Request) -> Engine:
    """The application's database."""
    engine: Engine = request.app.state.engine
    return engine


def turns_of(request: Request) -> "Turns":
    """Whose turn it is among the requests that read."""
    turns: Turns = request.app.state.turns
    return turns


def base_url(request: Request) -> str:
    """Where people reach this server, without a slash at the end."""
    return str(settings_of(request).public_url or request.base_url).rstrip("/")


async def viewer_of(request: Request) -> Viewer:
    """Who asks: by API token, else by the cookie of a browser session, else anyone.

    Only what must look into the database waits for a thread.

    Raises:
        ProblemError: 401 for a token that is no good; 403 for a form that another site sent.
    """
    if not settings_of(request).accounts:
        return OWNER
    viewer = await run_in_threadpool(lambda: _viewer_by_token(request) or _viewer_by_cookie(request)) or ANYONE
    request.state.viewer = viewer
    return viewer


def _viewer_by_token(request: Request) -> Viewer | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    with engine_of(request).connect() as connection:
        viewer = accounts.viewer_by_token(connection, secret.strip())
    if viewer is None:
        raise ProblemError(401, "The API token is unknown, expired or revoked.",
                           headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return viewer


def _viewer_by_cookie(request: Request) -> Viewer | None:
    secret = request.cookies.get(cookie_name(settings_of(request)))
    if not secret:
        return None
    require_same_origin(request)
    with engine_of(request).connect() as connection:
        return accounts.viewer_by_session(connection, secret)


def address_of(request: Request) -> str | None:
    """Where a request comes from, for the audit log."""
    return request.client.host if request.client else None


def limit_sign_ins(request: Request) -> None:
    """Count a sign-in.

    Raises:
        ProblemError: 429 where one address begins too many.
    """
    request.app.state.sign_in_limit.check(address_of(request) or "")


def cookie_name(settings: Settings) -> str:
    """`__Host-` makes browsers insist on HTTPS, this host and the path `/`."""
    return "__Host-glaas" if settings.secure_cookies else "glaas"


def require_same_origin(request: Request) -> None:
    """Refuse what changes something unless this server's own page sent it.

    Browsers say where a request comes from: Sec-Fetch-Site, which no page can forge, or at least Origin. One that says
    neither is refused too.

    Raises:
        ProblemError: 403.
    """
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    host = request.headers.get("host", "")
    if site == "same-origin" or (site is None and origin is not None and urlsplit(origin).netloc == host):
        return
    raise ProblemError(403, "This form was not sent from a page of this server.")


class Turns:
    """Has a process work on few requests at a time, first come, first served.

    All threads of a process share one processor: side by side, each request would take as long as all of them take
    together. One that has waited LONGEST_WAIT_S goes ahead nevertheless, for those before it may be slow ones, or wait
    for the database.
    """

    def __init__(self) -> None:
        self._free = threading.Semaphore(AT_ONCE)

    @contextmanager
    def wait(self) -> Iterator[None]:
        """A turn."""
        mine = self._free.acquire(timeout=LONGEST_WAIT_S)
        try:
            yield
        finally:
            if mine:
                self._free.release()


async def _is_gone(request: Request) -> bool:
    """Whether the client has closed the connection. The first thing that a server says of a request is its body."""
    return await request.is_disconnected() or await request.is_disconnected()


def reads(endpoint: Callable[..., Response]) -> Callable[..., Response]:
    """Call `endpoint` in its turn, with a connection for reading as `connection`, given back in the same thread.

    A connection that waited between the threads of a request (as a dependency of FastAPI's would) could be held by a
    request that waits for a thread, while all threads wait for a connection. Where the client has gone away while its
    request waited, nothing is done for it.
    """
    signature = inspect.signature(endpoint)

    @functools.wraps(endpoint)
    def call(request: Request, **arguments: Any) -> Response:
        with turns_of(request).wait():
            if time.perf_counter() - request.state.began > LEFT_AFTER_S and from_thread.run(_is_gone, request):
                return Response(status_code=GONE)
            with reading(engine_of(request)) as connection:
                return endpoint(request=request, connection=connection, **arguments)

    call.__signature__ = signature.replace(parameters=[  # type: ignore[attr-defined]
        parameter for name, parameter in signature.parameters.items() if name != "connection"])
    return call


ViewerNow = Annotated[Viewer, Depends(viewer_of)]
Reading = Connection


def digest_or_404(digest: str, noun: str) -> str:
    """`digest` if it is one; else the answer is the same as for an unknown one."""
    if not _DIGEST.fullmatch(digest):
        raise not_found(f"{noun} {_short(digest)}")
    return digest


def uid_or_404(uid: str) -> str:
    """`uid` if it is one."""
    if not _UID.fullmatch(uid):
        raise not_found(f"job {_short(uid)}")
    return uid


def find_job_by_prefix(connection: Connection, viewer: Viewer, prefix: str) -> catalog.StoredJob | None:
    """The one job whose uid begins with `prefix` (4 or more digits), if there is just one."""
    text = prefix.strip().lower()
    uid = catalog.find_uid(connection, viewer, text) if re.fullmatch(r"[0-9a-f]{4,32}", text) else None
    return None if uid is None else catalog.find_job(connection, viewer, uid)


def job_by_prefix(connection: Connection, viewer: Viewer, prefix: str) -> catalog.StoredJob:
    """The one job whose uid begins with `prefix` (4 or more digits).

    Raises:
        ProblemError: 404 where there is none, or more than one.
    """
    stored = find_job_by_prefix(connection, viewer, prefix)
    if stored is None:
        raise not_found(f"one job {_short(prefix.strip().lower())}")
    return stored


def number_or_422(text: str, *, largest: int = LARGEST_KEY) -> int:
    """A number in a cursor that a former page gave out; a column of a database holds none above `largest`."""
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or int(text) > largest:
        raise ProblemError(422, "The cursor is not one that this server gave out.")
    return int(text)


def cursor_or_422(cursor: str | None) -> int | None:
    """The key in a cursor."""
    return None if cursor is None else number_or_422(cursor)


def position_or_422(cursor: str | None) -> int | None:
    """The position in a cursor."""
    return None if cursor is None else number_or_422(cursor, largest=LARGEST_POSITION)


def _short(text: str) -> str:
    return ascii(text[:64])
