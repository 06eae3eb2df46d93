"""The device login of RFC 8628, for clients without a browser of their own: `roar login`."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from starlette.responses import JSONResponse

from glaas import accounts
from glaas.api.routes import PROBLEM
from glaas.db import writing
from glaas.errors import ProblemError
from glaas.state import ViewerNow, base_url, engine_of, limit_sign_ins, settings_of

router = APIRouter(prefix="/api/v1", responses={421: PROBLEM | {"description": "Not this server's name."}})
NO_ACCOUNTS: dict[int | str, dict[str, Any]] = {
    404: PROBLEM | {"description": "This server has no accounts."},
    401: PROBLEM | {"description": "The token is no good."},
    422: PROBLEM | {"description": "The request is off."},
}


@router.post("/device", summary="Begin a device login",
             responses=NO_ACCOUNTS | {429: PROBLEM | {"description": "Too many sign-ins."}})
def begin(request: Request) -> Response:
    """A code for a person to type at `verification_uri`, and one for the client to ask with."""
    if not settings_of(request).accounts:
        raise ProblemError(404, "This server has no accounts; nothing needs a token.")
    limit_sign_ins(request)
    with writing(engine_of(request)) as connection:
        device, user_code = accounts.start_device_login(connection)
    base = base_url(request)
    return JSONResponse({
        "device_code": device, "user_code": user_code, "verification_uri": f"{base}/device",
        "verification_uri_complete": f"{base}/device?code={user_code}", "expires_in": accounts.DEVICE_S,
        "interval": accounts.DEVICE_INTERVAL_S}, headers={"Cache-Control": "no-store"})


@router.post("/device/token", summary="Ask whether a device login was approved",
             responses=NO_ACCOUNTS | {400: {"description": "Not yet (`authorization_pending`), or too late."}})
def finish(request: Request, device_code: Annotated[str, Body(embed=True, max_length=200)]) -> Response:
    """The token, once a person has approved."""
    headers = {"Cache-Control": "no-store"}
    with writing(engine_of(request)) as connection:
        try:
            token = accounts.finish_device_login(connection, device_code)
        except ProblemError:
            return JSONResponse({"error": "expired_token"}, 400, headers=headers)
    if token is None:
        return JSONResponse({"error": "authorization_pending"}, 400, headers=headers)
    return JSONResponse({"access_token": token, "token_type": "Bearer"}, headers=headers)


@router.get("/whoami", responses=NO_ACCOUNTS, summary="Who asks")
def who_am_i(request: Request, viewer: ViewerNow) -> Response:
    """The user that the token belongs to, and what it may do."""
    return JSONResponse({"user": viewer.name, "admin": viewer.admin, "can_write": viewer.can_write,
                         "accounts": settings_of(request).accounts})
