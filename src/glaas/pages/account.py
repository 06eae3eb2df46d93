"""Signing in and out, one's own tokens, and approving a `roar login`."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from starlette.responses import RedirectResponse

from glaas import accounts
from glaas.access import Viewer
from glaas.db import writing
from glaas.errors import ProblemError
from glaas.pages.rendering import render
from glaas.state import Reading, ViewerNow, cookie_name, engine_of, reads, require_same_origin, settings_of

router = APIRouter(include_in_schema=False)
Short = Annotated[str, Form(max_length=200)]


def _user_id(viewer: Viewer) -> int:
    """The viewer's number.

    Raises:
        ProblemError: 401 where nobody is signed in.
    """
    if viewer.user_id is None:
        raise ProblemError(401, "Sign in first.")
    return viewer.user_id


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


def _local(target: str) -> str:
    """`target` if it is a page of this server, else the home page."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() else "/"


@router.get("/login")
def login_page(request: Request, viewer: ViewerNow, next: Annotated[str, Query(max_length=2000)] = "/"  # noqa: A002  the usual name
               ) -> Response:
    """The form."""
    return render(request, "login.html", target=_local(next), wrong=False, who=viewer)


@router.post("/login")
def login(request: Request, name: Short, password: Annotated[str, Form(max_length=1000)],
          target: Annotated[str, Form(max_length=2000)] = "/") -> Response:
    """Start a browser session for who knows the password."""
    require_same_origin(request)
    with writing(engine_of(request)) as connection:
        secret = accounts.sign_in(connection, name.replace("\0", ""), password, _address(request))
    if secret is None:
        return render(request, "login.html", status=401, target=_local(target), wrong=True, who=None)
    response = RedirectResponse(_local(target), 303)
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
    response = RedirectResponse("/", 303)
    response.delete_cookie(name, path="/", secure=settings_of(request).secure_cookies, httponly=True, samesite="lax")
    return response


@router.get("/account")
@reads
def account_page(request: Request, viewer: ViewerNow, connection: Reading) -> Response:
    """One's tokens."""
    if viewer.user_id is None:
        return RedirectResponse("/login?next=/account", 303)
    return render(request, "account.html", tokens=accounts.tokens_of(connection, viewer.user_id), fresh=None)


@router.post("/account/tokens")
def add_token(request: Request, viewer: ViewerNow, name: Short, scope: Short = "write", days: Short = "90"
              ) -> Response:
    """Make a token and show it, this one time."""
    require_same_origin(request)
    user_id = _user_id(viewer)
    if scope not in {"read", "write"} or not days.isascii() or not days.isdigit() or not 1 <= int(days[:5]) <= 3660:  # noqa: PLR2004  ten years
        raise ProblemError(422, "A token's scope is read or write, and it lives for 1 to 3660 days.")
    with writing(engine_of(request)) as connection:
        fresh = accounts.add_token(connection, user_id, name.replace("\0", ""), scope=scope, days=int(days))
        tokens = accounts.tokens_of(connection, user_id)
    return render(request, "account.html", headers={"Cache-Control": "no-store"}, tokens=tokens, fresh=fresh)


@router.post("/account/tokens/{token_id}/revoke")
def revoke_token(request: Request, token_id: int, viewer: ViewerNow) -> Response:
    """Make one of one's tokens worthless."""
    require_same_origin(request)
    with writing(engine_of(request)) as connection:
        accounts.revoke_token(connection, token_id, user_id=_user_id(viewer))
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
        done = accounts.approve_device_login(connection, code, _user_id(viewer))
    return render(request, "device.html", code=code, done=done)
