"""Publishing: a registration goes to a glaas server, and comes back as the addresses of its pages."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from roar.errors import PublishError
from roar.publish.server import LARGE_TIMEOUT_S, TIMEOUT_S, Server, get, post, put
from roar.wire import Registration, canonical_json

SESSIONS = "/api/v1/sessions"
UPLOADS = "/api/v1/uploads"
PART_BYTES = 4 * 1024 * 1024
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a server answered.

    Attributes:
        dag: digest of the frozen DAG.
        url: the DAG's page.
        job_urls: by uid, the jobs' pages.
        created: false when the server had it already.
    """

    dag: str
    url: str
    job_urls: Mapping[str, str]
    created: bool


def encode(registration: Registration) -> bytes:
    """The registration as it is sent. The same registration has the same bytes."""
    return canonical_json(registration)


def register(server: Server, body: bytes, *, project: str | None = None) -> Published:
    """Send the encoded registration `body`, to `project` if the server has several. Sending it again changes nothing.

    Raises:
        PublishError: the server cannot be reached, refuses, or answers nonsense.
    """
    query = {"project": project} if project else {}
    timeout_s = LARGE_TIMEOUT_S if len(body) > PART_BYTES else TIMEOUT_S
    packed = gzip.compress(body, 1, mtime=0) if len(body) > PART_BYTES else b""
    if len(packed) > PART_BYTES and (digest := _upload(server, packed)) is not None:
        body, query = b"", query | {"upload": digest}
    answer = post(server, SESSIONS + (f"?{urlencode(query)}" if query else ""), body, timeout_s=timeout_s)
    try:
        return Published(
            dag=str(answer["dag"]), url=_absolute(server, answer["url"]), created=bool(answer["created"]),
            job_urls={str(job["uid"]): _absolute(server, job["url"]) for job in answer["jobs"]})
    except (KeyError, TypeError) as error:
        raise _odd(server) from error


def _upload(server: Server, packed: bytes) -> str | None:
    """Send a large registration in parts, from where an earlier attempt got to; its digest.

    None for an older server, which takes it in one piece only.
    """
    import blake3  # noqa: PLC0415  exports share this module and need it not

    digest = blake3.blake3(packed).hexdigest()
    address = f"{UPLOADS}/{digest}"
    answer = get(server, address, also_fine=frozenset({_NOT_FOUND}))
    try:
        if "received" not in answer:
            return None
        while (received := int(answer["received"])) < len(packed):
            part = packed[received:received + PART_BYTES]
            answer = put(server, f"{address}?offset={received}", part)
            if not received < int(answer["received"]) <= len(packed):
                raise _odd(server)
    except (KeyError, TypeError, ValueError) as error:
        raise _odd(server) from error
    return digest


def _odd(server: Server) -> PublishError:
    return PublishError(f"{server.url} answered, but not as a glaas server does.", hint="is this the right address?")


def _absolute(server: Server, path: str) -> str:
    return path if "://" in path else server.url + path
