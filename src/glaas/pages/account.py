"""Signing in and out, one's own tokens, and approving a `roar login`."""

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from sqlalchemy import Connection
from starlette.responses import RedirectResponse

from glaas import accounts
from glaas.access import Viewer
from glaas.db import writing
from glaas.errors import ProblemError
from glaas.identities import identities_of
from glaas.pages.rendering import render
from glaas.state import (
    Reading,
    ViewerNow,
    address_of,
    base_url,
    cookie_name,
    engine_of,
    limit_sign_ins,
    reads,
    require_same_origin,
    settings_of,
)

router = APIRouter(include_in_schema=False)
_DAYS = re.compile("[0-9]{1,4}")
Short = Annotated[str, Form(max_length=200)]


def user_id_of(request: Request, viewer: Viewer) -> int:
    """The number of a person who signed in with a browser.

    A token is not enough: one that may only read, or that expires soon, could make itself another.

    Raises:
        ProblemError: 401 where nobody is signed in, 403 for a token.
    """
    if "authorization" in request.headers:
        raise ProblemError(403, "A token cannot do this; sign in with a browser.")
    if viewer.user_id is None:
        raise ProblemError(401, "Sign in first.")
    return viewer.user_id


def local_page(target: str) -> str:
    """`target` if it is a page of this server, else the home page."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() else "/"


@router.get("/login")
def login_page(request: Request, viewer: ViewerNow, next: Annotated[str, Query(max_length=2000)] = "/"  # noqa: A002  the usual name
               ) -> Response:
    """The form, for who is not signed in yet."""
    if viewer.user_id is not None:
        return RedirectResponse(local_page(next), 303)
    return render(request, "login.html", target=local_page(next), wrong=None)


@router.post("/login")
def login(request: Request, name: Short, password: Annotated[str, Form(max_length=1000)],
          target: Annotated[str, Form(max_length=2000)] = "/") -> Response:
    """Start a browser session for who knows the password."""
    require_same_origin(request)
    limit_sign_ins(request)
    with writing(engine_of(request)) as connection:
        secret = accounts.sign_in(connection, name.replace("\0", ""), password, address_of(request))
    if secret is None:
        return render(request, "login.html", status=401, target=local_page(target),
                      wrong="Name and password do not match.")
    return begin_session(request, secret, local_page(target))


def begin_session(request: Request, secret: str, target: str) -> Response:
    """Go to the page `target` with the cookie of a new browser session."""
    response = RedirectResponse(target, 303)
    settings = settings_of(request)
    response.set_cookie(cookie_name(settings), secret, max_age=accounts.SESSION_S, path="/", httponly=True,
                        secure=settings.secure_cookies, samesite="lax")
    return response


@router.post("/logout")
def logout(request: Request, viewer: ViewerNow) -> Response:
    """End the browser session."""
    require_same_origin(request)
    name = cookie_name(settings_of(request))
    if viewer.user_id is not None and name in request.cookies:
        with writing(engine_of(request)) as connection:
            accounts.sign_out(connection, request.cookies[name])
    provider = request.app.state.provider
    if provider is None:
        response: Response = RedirectResponse("/", 303)
    else:
        request.state.viewer = None
        response = render(request, "signed_out.html", label=provider.settings.label,
                          url=provider.end_session_url(base_url(request) + "/"))
    response.delete_cookie(name, path="/", secure=settings_of(request).secure_cookies, httponly=True, samesite="lax")
    return response


@router.get("/account")
@reads
def account_page(request: Request, viewer: ViewerNow, connection: Reading) -> Response:
    """One's tokens and links."""
    if viewer.user_id is None:
        return RedirectResponse("/login?next=/account", 303)
    return _account(request, connection, viewer.user_id)


def _account(request: Request, connection: Connection, user_id: int, fresh: str | None = None) -> Response:
    return render(request, "account.html", tokens=accounts.tokens_of(connection, user_id), fresh=fresh,
                  identities=identities_of(connection, user_id),
                  headers={"Cache-Control": "no-store"} if fresh else None)


@router.post("/account/tokens")
def add_token(request: Request, viewer: ViewerNow, name: Short, scope: Short = "write", days: Short = "90"
              ) -> Response:
    """Make a token and show it, this one time."""
    require_same_origin(request)
    user_id = user_id_of(request, viewer)
    if scope not in {"read", "write"} or not _DAYS.fullmatch(days) or not 1 <= int(days) <= 3660:  # noqa: PLR2004  ten years
        raise ProblemError(422, "A token's scope is read or write, and it lives for 1 to 3660 days.")
    with writing(engine_of(request)) as connection:
        fresh = accounts.add_token(connection, user_id, name.replace("\0", ""), scope=scope, days=int(days))
        return _account(request, connection, user_id, fresh)


@router.post("/account/tokens/{token_id}/revoke")
def revoke_token(request: Request, token_id: int, viewer: ViewerNow) -> Response:
    """Make one of one's tokens worthless."""
    require_same_origin(request)
    with writing(engine_of(request)) as connection:
        accounts.revoke_token(connection, token_id, user_id=user_id_of(request, viewer))
    return RedirectResponse("/account", 303)


@router.get("/device")
def device_page(request: Request, viewer: ViewerNow, code: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Where a person types the code that `roar login` shows."""
    if viewer.user_id is None:
        back = f"/device?{urlencode({'code': code})}"
        return RedirectResponse(f"/login?{urlencode({'next': back})}", 303)
    return render(request, "device.html", code=code, done=None)


@router.post("/device")
def approve_device(request: Request, viewer: ViewerNow, code: Annotated[str, Form(max_length=20)]) -> Response:
    """Give the client that shows this code a token."""
    require_same_origin(request)
    with writing(engine_of(request)) as connection:
        done = accounts.approve_device_login(connection, code, user_id_of(request, viewer))
    return render(request, "device.html", code=code, done=done)
