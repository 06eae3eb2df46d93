"""Publishing: a registration goes to a glaas server, and comes back as the addresses of its pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from roar.errors import PublishError
from roar.publish.server import Server, post
from roar.wire import Registration, canonical_json

SESSIONS = "/api/v1/sessions"


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
    query = f"?{urlencode({'project': project})}" if project else ""
    answer = post(server, SESSIONS + query, body)
    try:
        return Published(
            dag=str(answer["dag"]), url=_absolute(server, answer["url"]), created=bool(answer["created"]),
            job_urls={str(job["uid"]): _absolute(server, job["url"]) for job in answer["jobs"]})
    except (KeyError, TypeError) as error:
        raise PublishError(f"{server.url} answered, but not as a glaas server does.",
                           hint="is this the right address?") from error


def _absolute(server: Server, path: str) -> str:
    return path if "://" in path else server.url + path
