"""Large registrations that arrive in parts, so that a broken connection costs no more than one of them.

An upload is named by the digest of all its bytes: to ask what has arrived needs no state but the bytes themselves, and
any process of the server answers. It belongs to who sends it, and is thrown away after a day.
"""

import zlib

import blake3
from sqlalchemy import ColumnElement, Connection, delete, func, select

from glaas import models
from glaas.access import Viewer
from glaas.db import insert_new, lock
from glaas.errors import ProblemError
from glaas.times import now

LARGEST_PART = 16 * 1024 * 1024
KEPT_S = 24 * 3600
MOST_UPLOADS = 4
GZIP = b"\x1f\x8b"


def received(connection: Connection, viewer: Viewer, digest: str) -> int:
    """How many bytes of an upload are here, from its first on."""
    part = models.upload_part
    return int(connection.execute(select(func.coalesce(func.sum(part.c.size), 0)).where(
        *_of(viewer, digest))).scalar_one())


def add_part(connection: Connection, viewer: Viewer, digest: str, position: int, body: bytes, *, limit: int) -> int:
    """Keep a part that begins at `position`; how many bytes are here now. A part that is here already changes nothing.

    Raises:
        ProblemError: 409 where bytes before the part are missing, 413 where it is all too much.
    """
    part = models.upload_part
    lock(connection, int.from_bytes(bytes.fromhex(digest)[:8], signed=True))
    connection.execute(delete(part).where(part.c.expires_at < now()))
    here = received(connection, viewer, digest)
    if position < here or not body:
        return here
    if position > here:
        raise ProblemError(409, f"{here} bytes of this upload are here; the next part begins there.")
    if here + len(body) > limit:
        raise ProblemError(413, f"An upload may have {limit} bytes.")
    others = connection.execute(select(func.coalesce(func.sum(part.c.size), 0)).where(
        part.c.owner == _owner(viewer))).scalar_one()
    if others + len(body) > MOST_UPLOADS * limit:
        raise ProblemError(413, "Too many uploads have begun and not ended; those that go no further end in a day.")
    connection.execute(insert_new(connection, part), {
        "owner": _owner(viewer), "digest": bytes.fromhex(digest), "position": position, "size": len(body),
        "body": body, "expires_at": now(later_s=KEPT_S)})
    return here + len(body)


def take(connection: Connection, viewer: Viewer, digest: str, *, limit: int) -> bytes:
    """All bytes of an upload, decompressed where they are gzip.

    Raises:
        ProblemError: 404 where nothing of it is here, 409 where not all of it is, 413 and 400 as for any other body.
    """
    part = models.upload_part
    parts = connection.execute(select(part.c.body).where(*_of(viewer, digest)).order_by(part.c.position)).scalars()
    body = b"".join(parts)
    if not body:
        raise ProblemError(404, "There is nothing of this upload on this server.")
    if blake3.blake3(body).hexdigest() != digest:
        raise ProblemError(409, f"{len(body)} bytes of this upload are here, and they are not those of its digest.")
    if not body.startswith(GZIP):
        return body
    decoder = zlib.decompressobj(wbits=31)
    try:
        plain = decoder.decompress(body, limit + 1)
    except zlib.error:
        raise ProblemError(400, "The upload begins as gzip does, and is none.") from None
    if len(plain) > limit:
        raise ProblemError(413, f"A request may have {limit} bytes.")
    if not decoder.eof:
        raise ProblemError(400, "The gzip data of the upload is cut short.")
    return plain


def drop(connection: Connection, viewer: Viewer, digest: str) -> None:
    """Forget an upload."""
    connection.execute(delete(models.upload_part).where(*_of(viewer, digest)))


def _owner(viewer: Viewer) -> int:
    return viewer.user_id or 0


def _of(viewer: Viewer, digest: str) -> tuple[ColumnElement[bool], ...]:
    part = models.upload_part
    return part.c.owner == _owner(viewer), part.c.digest == bytes.fromhex(digest)
