"""Talking to a glaas server over HTTP: one request at a time, with the standard library only."""

import gzip
import http.client
import ipaddress
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, NoReturn
from urllib.parse import urlsplit

from roar import __version__
from roar.errors import PublishError
from roar.present.progress import waiting

TIMEOUT_S = 60
LARGE_TIMEOUT_S = 120  # for a server that has much to write before it can answer
PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_BUSY = frozenset({502, 503, 504})
_LOOKS_LIKE = "the text holds what looks like "  # as glaas.ingest says it
_TOO_MANY = 429
_WHO = 401
_WORTH_COMPRESSING = 1000
_LONGEST_ANSWER = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a glaas server is.

    Attributes:
        url: base URL without a trailing slash.
        token: API token, or None where the server asks for none.
    """

    url: str
    token: str | None = None


def parse_server(url: str, token: str | None = None) -> Server:
    """The server at `url`; a missing scheme is taken as https, on loopback as http.

    Raises:
        PublishError: it is no address of a web server, or the token would travel in clear text.
    """
    text = url.strip()
    if "://" not in text:
        host = text.partition("/")[0].rpartition(":")[0] or text.partition("/")[0]
        text = ("http://" if _is_loopback(host) else "https://") + text
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise PublishError(f"{url!r} is not the address of a glaas server: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise PublishError(f"{url!r} is not the address of a glaas server.",
                           hint="roar register --server https://glaas.example.com")
    if token and parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise PublishError(f"The token is not sent to {parts.hostname} in clear text.", hint="use an https address")
    return Server(url=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", token=token)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A registration is not sent on to an address that the user did not name."""

    def redirect_request(self, *_: Any) -> None:
        """Let the redirect be an error."""


def _opener(server: Server) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
    if _is_loopback(urlsplit(server.url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def post(server: Server, path: str, body: bytes, *, also_fine: frozenset[int] = frozenset(),
         timeout_s: int = TIMEOUT_S) -> Any:
    """The JSON that the server answers to the JSON `body`. A request that was cut short is sent again.

    Args:
        server: whom to ask.
        path: what to ask for, from `/`.
        body: the request's body.
        also_fine: statuses besides success whose body is the answer.
        timeout_s: how long the server may be silent.

    Raises:
        PublishError: the server cannot be reached, or it refused; the message is its own.
    """
    headers = {"Content-Type": "application/json"}
    if len(body) >= _WORTH_COMPRESSING:
        body = gzip.compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return _send(server, path, body, headers, also_fine=also_fine, timeout_s=timeout_s)


def put(server: Server, path: str, body: bytes) -> Any:
    """The JSON that the server answers to some bytes, which may be sent twice.

    Raises:
        PublishError: as for `post`.
    """
    return _send(server, path, body, {"Content-Type": "application/octet-stream"}, method="PUT")


def get(server: Server, path: str, *, also_fine: frozenset[int] = frozenset()) -> Any:
    """The JSON at `path`; with one of the statuses `also_fine` too.

    Raises:
        PublishError: as for `post`.
    """
    return _send(server, path, None, {}, also_fine=also_fine)


def _send(server: Server, path: str, body: bytes | None, headers: Mapping[str, str], *,
          also_fine: frozenset[int] = frozenset(), method: str | None = None, timeout_s: int = TIMEOUT_S) -> Any:
    request = urllib.request.Request(server.url + path, data=body, method=method, headers={  # noqa: S310  parse_server let only http(s) pass
        **headers, "Accept": "application/json", "User-Agent": f"roar/{__version__}"})
    if server.token:
        request.add_unredirected_header("Authorization", f"Bearer {server.token}")
    opener = _opener(server)
    was_there = False
    for pause_s in (*PAUSES_S, None):
        try:
            with waiting(server.url, timeout_s), opener.open(request, timeout=timeout_s) as answer:
                return _read_json(server, answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in also_fine:
                    return _read_json(server, error)
                if pause_s is None or error.code not in _BUSY | {_TOO_MANY}:
                    _refused(server, error)
            was_there = True
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if pause_s is None or not (_was_cut_short(error) or (was_there and _was_refused(error))):
                reason = _reason(error, timeout_s)
                raise PublishError(f"{server.url} cannot be reached: {reason}.", passing=True) from error
            was_there = True
        time.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


def _was_cut_short(error: Exception) -> bool:
    """Whether the server was there and went away, so may come back; nothing that it takes twice changes anything."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(reason, (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected,
                               http.client.IncompleteRead))


def _was_refused(error: Exception) -> bool:
    """Whether nobody listens; from a server that was there a moment ago it means that it is being started again."""
    return isinstance(error.reason if isinstance(error, urllib.error.URLError) else error, ConnectionRefusedError)


def _reason(error: Exception, timeout_s: int) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"no answer within {timeout_s} s"
    if isinstance(reason, socket.gaierror):
        return "its name is not known"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror.lower()
    return str(reason).rstrip(".")


def _read_json(server: Server, answer: IO[bytes]) -> Any:
    text = answer.read(_LONGEST_ANSWER)
    missing = getattr(answer, "length", None)  # what was announced and did not come; reading up to a limit hides it
    if missing and len(text) < _LONGEST_ANSWER:
        raise http.client.IncompleteRead(text, missing)
    try:
        return json.loads(text)
    except ValueError as error:
        raise PublishError(f"{server.url} answered, but not as a glaas server does.",
                           hint="is this the right address?") from error


_FLAWS = 5  # so many are told at once


def _first_of(flaws: list[str]) -> tuple[str, ...]:
    more = [f"… and {len(flaws) - _FLAWS:,} more, to be told when these are mended"] if len(flaws) > _FLAWS else []
    return *flaws[:_FLAWS], *more


def _refused(server: Server, error: urllib.error.HTTPError) -> NoReturn:
    """Raise what the server's problem document says."""
    try:
        problem = json.loads(error.read(_LONGEST_ANSWER))
        detail = str(problem["detail"])
        flaws = [f"{flaw['pointer']}: {flaw['detail']}" for flaw in problem.get("errors", ())]
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        raise PublishError(f"{server.url} answered {error.code} {error.reason}, not as a glaas server does.",
                           hint="is this the right address?") from None
    hint = f"roar login --server {server.url}" if error.code == _WHO else None
    raise PublishError(f"{server.url} refused: {detail}", details=_first_of(flaws), hint=hint,
                       passing=error.code in _BUSY | {_TOO_MANY},
                       secret=any(_LOOKS_LIKE in flaw for flaw in flaws)) from None
