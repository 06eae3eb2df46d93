"""For whoever keeps the server running: health, readiness, metrics, and one structured line for each request."""

import json
import logging
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glaas import models
from glaas.errors import ProblemError
from glaas.state import engine_of, settings_of

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
router = APIRouter(include_in_schema=False)
access_log = logging.getLogger("glaas.access")


@dataclass(slots=True)
class Measures:
    """What this process has answered since it started."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # method, route, status
    buckets: Counter[tuple[str, float]] = field(default_factory=Counter)  # route, upper edge in seconds
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests[method, route, status] += 1
        self.counts[route] += 1
        self.seconds[route] += seconds
        for edge in BUCKETS_S:
            if seconds <= edge:
                self.buckets[route, edge] += 1

    def text(self) -> str:
        """Everything in the Prometheus text format 0.0.4. Routes are templates, so their number is bounded."""
        lines = ["# TYPE glaas_requests_total counter"]
        lines += [f'glaas_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
                  for (method, route, status), count in sorted(self.requests.items())]
        lines.append("# TYPE glaas_request_seconds histogram")
        for route in sorted(self.counts):
            lines += [f'glaas_request_seconds_bucket{{route="{route}",le="{edge}"}} {self.buckets[route, edge]}'
                      for edge in BUCKETS_S]
            lines.append(f'glaas_request_seconds_bucket{{route="{route}",le="+Inf"}} {self.counts[route]}')
            lines.append(f'glaas_request_seconds_sum{{route="{route}"}} {self.seconds[route]:.6f}')
            lines.append(f'glaas_request_seconds_count{{route="{route}"}} {self.counts[route]}')
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Meter:
    """Counts every request, and writes a line of JSON about it where access logging is on."""

    app: ASGIApp
    measures: Measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = scope.setdefault("state", {})["began"] = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            seconds = time.perf_counter() - start
            method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST", "PUT", "DELETE"} else "other"
            route = getattr(scope.get("route"), "path", None) or "other"
            self.measures.add(method, route, status, seconds)
            if access_log.isEnabledFor(logging.INFO):
                viewer = scope.get("state", {}).get("viewer")
                access_log.info("request", extra={"fields": {
                    "method": method, "path": scope["path"], "status": status, "ms": round(seconds * 1000, 1),
                    "address": (scope.get("client") or [None])[0], "user": viewer and viewer.name}})


@router.get("/healthz")
def health() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def ready(request: Request) -> Response:
    """The process answers, is not about to stop, and reaches its database with the right tables in it."""
    if request.app.state.stopping:
        return JSONResponse({"process": "is stopping"}, 503)
    try:
        with engine_of(request).connect() as connection:
            connection.execute(select(models.project.c.id).limit(1))
    except SQLAlchemyError:
        return JSONResponse({"database": "cannot be used"}, 503)
    return PlainTextResponse("ready\n")


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """For Prometheus; of this process only."""
    if not settings_of(request).metrics:
        raise ProblemError(404, "There is nothing at this address.")
    measures: Measures = request.app.state.measures
    return PlainTextResponse(measures.text(), media_type="text/plain; version=0.0.4")


class JsonLines(logging.Formatter):
    """Each message as one line of JSON, its traceback included, so that nothing that collects logs splits it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
                "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logs() -> None:
    """Everything that is logged goes to stderr as lines of JSON, and with it a line for each request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    access_log.setLevel(logging.INFO)
