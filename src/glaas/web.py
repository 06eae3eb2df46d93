"""What every request passes through: allowed hosts, headers that keep a browser in bounds, limits on bodies."""

import math
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glaas.errors import PROBLEM_JSON, ProblemError, problem_document

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
MOST_SENDERS = 10_000


@dataclass(frozen=True, slots=True)
class Gate:
    """Outermost layer: refuses foreign host names, adds the security headers to every answer, and answers HEAD as GET.

    Attributes:
        app: what answers.
        hosts: names under which this server may be addressed; None for any. A server without accounts answers only to
            loopback names, so that a web page elsewhere cannot reach it by pointing its own name at 127.0.0.1.
    """

    app: ASGIApp
    hosts: frozenset[str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", _cache_control(scope, message["status"]))
            if is_head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        is_head = scope["method"] == "HEAD"
        if is_head:
            scope = {**scope, "method": "GET"}
        if self.hosts is not None and _host_name(Headers(scope=scope).get("host", "")) not in self.hosts:
            refusal = JSONResponse(problem_document(421, "This server does not answer to that host name."), 421,
                                   media_type=PROBLEM_JSON)
            await refusal(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)


def _cache_control(scope: Scope, status: int) -> str:
    """Static files are named by their content and may be kept for ever; all else is for one viewer, and may change."""
    if status == HTTPStatus.OK and scope["path"].startswith("/static/") and scope["query_string"].startswith(b"v="):
        return "public, max-age=31536000, immutable"
    return "private, no-cache"


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, lower-case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


class RateLimit:
    """How often someone may do something, counted in this process over a sliding minute.

    Args:
        per_minute: how often; 0 for any number.
        noun: what is counted, in the plural.
    """

    def __init__(self, per_minute: int, noun: str) -> None:
        self._per_minute = per_minute
        self._noun = noun
        self._times: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def check(self, who: str) -> None:
        """Count one.

        Raises:
            ProblemError: 429 where it is one too many.
        """
        if self._per_minute:
            with self._lock:
                self._count(who, time.monotonic())

    def _count(self, who: str, now: float) -> None:
        times = self._times.setdefault(who, deque())
        while times and times[0] < now - 60:
            times.popleft()
        if len(times) >= self._per_minute:
            wait_s = math.ceil(times[0] + 60 - now)
            raise ProblemError(429, f"Only {self._per_minute} {self._noun} a minute are taken from one sender.",
                               headers={"Retry-After": str(wait_s)})
        times.append(now)
        if len(self._times) > MOST_SENDERS:
            self._times = {name: kept for name, kept in self._times.items() if kept and kept[-1] > now - 60}


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a JSON request, decompressed.

    Raises:
        ProblemError: 413 above `limit` bytes, 415 for other content, 400 for a broken encoding.
    """
    require_media_type(request, "application/json")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise ProblemError(415, "The content encoding is gzip or none.", headers={"Accept-Encoding": "gzip"})
    return await _read(request, limit, zlib.decompressobj(wbits=31) if encoding == "gzip" else None)


async def read_part(request: Request, limit: int) -> bytes:
    """The body of a request that is taken as it is.

    Raises:
        ProblemError: 413 above `limit` bytes, 415 for other content than bytes.
    """
    require_media_type(request, "application/octet-stream")
    return await _read(request, limit, None)


def require_media_type(request: Request, wanted: str) -> None:
    """Refuse other content. No form of another site can send what is wanted here.

    Raises:
        ProblemError: 415.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != wanted:
        raise ProblemError(415, f"Send this as {wanted}.")


async def _read(request: Request, limit: int, decoder: Any) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            part = chunk if decoder is None else decoder.decompress(chunk, limit - size + 1)
            size += len(part)
            if size > limit:
                raise ProblemError(413, f"A request may have {limit} bytes.")
            parts.append(part)
    except zlib.error:
        raise ProblemError(400, "The body is not gzip as its header says.") from None
    except ClientDisconnect:
        raise ProblemError(400, "The client went away before its request was complete.") from None
    if decoder is not None and not decoder.eof:
        raise ProblemError(400, "The gzip body is cut short.")
    return b"".join(parts)
