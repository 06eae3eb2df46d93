"""What a request needs from its application: settings, database, and who asks."""

import re
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from glaas import catalog
from glaas.access import OWNER, Viewer
from glaas.db import reading
from glaas.errors import ProblemError, not_found
from glaas.settings import Settings

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[0-9a-f]{32}")


def settings_of(request: Request) -> Settings:
    """The application's settings."""
    settings: Settings = request.app.state.settings
    return settings


def engine_of(request: Request) -> Engine:
    """The application's database."""
    engine: Engine = request.app.state.engine
    return engine


def viewer_of(_request: Request) -> Viewer:
    """Who asks."""
    return OWNER


def connection_of(request: Request) -> Iterator[Connection]:
    """A connection for reading, for as long as the request lasts."""
    with reading(engine_of(request)) as connection:
        yield connection


ViewerNow = Annotated[Viewer, Depends(viewer_of)]
Reading = Annotated[Connection, Depends(connection_of)]


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


def job_by_prefix(connection: Connection, viewer: Viewer, prefix: str) -> catalog.StoredJob:
    """The one job whose uid begins with `prefix` (4 or more digits).

    Raises:
        ProblemError: 404 where there is none, or more than one.
    """
    text = prefix.strip().lower()
    uid = catalog.find_uid(connection, viewer, text) if re.fullmatch(r"[0-9a-f]{4,32}", text) else None
    stored = None if uid is None else catalog.find_job(connection, viewer, uid)
    if stored is None:
        raise not_found(f"one job {_short(text)}")
    return stored


def cursor_or_422(cursor: str | None) -> int | None:
    """The key in a cursor that a former page gave out."""
    if cursor is None:
        return None
    if not re.fullmatch(r"\d{1,18}", cursor, re.ASCII):
        raise ProblemError(422, "The cursor is not one that this server gave out.")
    return int(cursor)


def _short(text: str) -> str:
    return ascii(text[:64])
