"""The application: settings in, an ASGI application out."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from glaas.api.device import router as device_router
from glaas.api.exports import router as exports_router
from glaas.api.routes import registration_schema
from glaas.api.routes import router as api_router
from glaas.db import open_engine
from glaas.errors import PROBLEM_JSON, Flaw, ProblemError
from glaas.operation import Measures, Meter
from glaas.operation import router as operation_router
from glaas.pages import rendering
from glaas.pages.account import router as account_router
from glaas.pages.routes import router as pages_router
from glaas.settings import Settings, SignOn
from glaas.state import Turns
from glaas.web import Gate, RateLimit
from roar import __version__

log = logging.getLogger("glaas")
READ_ONLY = "25006"  # what PostgreSQL says while another server takes over from it


def create_app(settings: Settings) -> FastAPI:
    """The application over `settings.database`, whose schema must be up to date (`glaas.schema`)."""
    engine = open_engine(settings.database, pool_size=settings.pool_size)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    app = FastAPI(title="glaas", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan,
                  openapi_url="/api/v1/openapi.json", description="Lineage of what was run: jobs, artifacts, DAGs.")
    app.state.settings = settings
    app.state.engine = engine
    app.state.measures = Measures()
    app.state.turns = Turns()
    app.state.rate_limit = RateLimit(settings.writes_per_minute, "registrations")
    app.state.sign_in_limit = RateLimit(settings.sign_ins_per_minute, "sign-ins")
    app.state.provider = None
    app.state.stopping = False
    app.include_router(api_router)
    app.include_router(exports_router)
    app.include_router(device_router)
    app.include_router(operation_router)
    app.include_router(pages_router)
    if settings.accounts:
        app.include_router(account_router)
        if settings.sign_on is not None:
            _add_sign_on(app, settings.sign_on)
    app.mount("/static", StaticFiles(directory=rendering.STATIC), name="static")
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(OperationalError, _on_database_trouble)
    app.add_exception_handler(InternalError, _on_internal_error)
    app.add_exception_handler(PoolTimeout, _on_database_trouble)
    app.add_exception_handler(Exception, _on_bug)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=3)
    app.add_middleware(Gate, hosts=settings.hosts)
    app.add_middleware(Meter, measures=app.state.measures)
    return app


def _add_sign_on(app: FastAPI, settings: SignOn) -> None:
    from glaas.openid import Provider  # noqa: PLC0415  cryptography takes long to import, and few servers need it
    from glaas.pages.sign_on import router  # noqa: PLC0415  as above

    app.state.provider = Provider(settings)
    app.include_router(router)


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema.setdefault("components", {}).setdefault("schemas", {}).update(registration_schema())
        app.openapi_schema = schema
    return app.openapi_schema


def _problem_response(request: Request, problem: ProblemError) -> Response:
    """A document for programs, a page for people."""
    if not request.url.path.startswith("/api/") and request.method in {"GET", "HEAD", "POST"}:
        return rendering.problem_page(request, problem)
    return JSONResponse(problem.document() | {"instance": request.url.path}, int(problem.status),
                        headers=problem.headers, media_type=PROBLEM_JSON)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _problem_response(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = "There is nothing at this address." if error.status_code == 404 else str(error.detail)  # noqa: PLR2004
    headers = dict(error.headers or {})
    if "GET" in (allowed := headers.get("Allow", "").split(", ")) and "HEAD" not in allowed:
        headers["Allow"] = ", ".join([*allowed, "HEAD"])  # `Gate` answers it as GET
    return _problem_response(request, ProblemError(error.status_code, detail, headers=headers))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    flaws = tuple(Flaw("/" + "/".join(str(part) for part in entry["loc"]), entry["msg"]) for entry in error.errors())
    return _problem_response(request, ProblemError(422, "The request is not as this address expects it.", flaws=flaws))


async def _on_database_trouble(request: Request, error: Exception) -> Response:
    log.error("database trouble: %s", error)
    return _problem_response(request, ProblemError(503, "The database cannot be reached right now.",
                                                   headers={"Retry-After": "5"}))


async def _on_internal_error(request: Request, error: Exception) -> Response:
    """A database that may only be read for now is no mistake of ours; all else that lands here is one."""
    if getattr(getattr(error, "orig", None), "sqlstate", None) != READ_ONLY:
        raise error
    return await _on_database_trouble(request, error)


async def _on_bug(request: Request, _error: Exception) -> Response:
    """Starlette logs the traceback after this answer is sent."""
    return _problem_response(request, ProblemError(500, "Something is wrong inside the server."))


