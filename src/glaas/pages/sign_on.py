"""Single sign-on: to the OpenID provider, and back."""

import logging
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from glaas import accounts, identities
from glaas.access import Viewer
from glaas.db import writing
from glaas.errors import ProblemError
from glaas.identities import Attempt, Person, RefusedError
from glaas.openid import Provider, UnreachableError
from glaas.pages.account import begin_session, local_page, user_id_of
from glaas.pages.rendering import render
from glaas.settings import Settings
from glaas.state import (
    ViewerNow,
    address_of,
    base_url,
    engine_of,
    limit_sign_ins,
    require_same_origin,
    settings_of,
)
from roar.errors import UsageError

DONE = "/login/sso/done"
router = APIRouter(include_in_schema=False)
log = logging.getLogger("glaas")
Answer = Annotated[str | None, Query(max_length=2000)]


def _provider(request: Request) -> Provider:
    provider: Provider = request.app.state.provider
    return provider


def _cookie_name(settings: Settings) -> str:
    return "__Host-glaas-sign-on" if settings.secure_cookies else "glaas-sign-on"


def _redirect_uri(request: Request) -> str:
    return base_url(request) + DONE


def _unreachable(request: Request, error: UnreachableError) -> ProblemError:
    label = _provider(request).settings.label
    log.error("OpenID provider %s: %s", _provider(request).settings.issuer, str(error)[:300])
    detail = f"{label} cannot be reached right now. Try again in a moment, or sign in with a password."
    return ProblemError(503, detail, headers={"Retry-After": "10"})


def _begin(request: Request, target: str, user_id: int | None) -> tuple[str, Attempt]:
    limit_sign_ins(request)
    attempt = identities.new_attempt()
    try:
        url = _provider(request).authorization_url(attempt, _redirect_uri(request))
    except UnreachableError as error:
        raise _unreachable(request, error) from error
    with writing(engine_of(request)) as connection:
        identities.begin(connection, attempt, target, user_id=user_id)
    return url, attempt


def _keep(request: Request, response: Response, attempt: Attempt) -> Response:
    """The browser comes back from another site, so the cookie is lax; only a browser that has it may go on."""
    settings = settings_of(request)
    response.set_cookie(_cookie_name(settings), attempt.secret, max_age=identities.ATTEMPT_S, path="/", httponly=True,
                        secure=settings.secure_cookies, samesite="lax")
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get("/login/sso")
def sign_on(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:  # noqa: A002  the usual name
    """Send the browser to the provider."""
    url, attempt = _begin(request, local_page(next), None)
    return _keep(request, RedirectResponse(url, 303), attempt)


@router.post("/account/link")
def link(request: Request, viewer: ViewerNow) -> Response:
    """Send the browser to the provider, to link who signs in there to this account.

    The content security policy lets a form lead only to this server, so the answer is a page that goes on.
    """
    require_same_origin(request)
    url, attempt = _begin(request, "/account", user_id_of(request, viewer))
    response = render(request, "going_on.html", url=url, label=_provider(request).settings.label,
                      headers={"Refresh": f"0; url={url}"})
    return _keep(request, response, attempt)


@router.get(DONE)
def back(request: Request, viewer: ViewerNow, *, state: Answer = None, code: Answer = None, iss: Answer = None,
         error: Answer = None) -> Response:
    """The browser comes back from the provider, and signs in if that proves who it is."""
    settings = settings_of(request)
    secret = request.cookies.get(_cookie_name(settings), "")
    try:
        attempt = Attempt(state=state or "", secret=secret)
        begun = _take(request, attempt, viewer)
        person = _identify(request, attempt, code=code, issuer=iss, error=error)
        response = _finish(request, person, begun)
    except RefusedError as refused:
        return _refuse(request, str(refused))
    except UnreachableError as trouble:
        raise _unreachable(request, trouble) from trouble
    response.delete_cookie(_cookie_name(settings), path="/", secure=settings.secure_cookies, httponly=True,
                           samesite="lax")
    return response


def _take(request: Request, attempt: Attempt, viewer: Viewer) -> identities.Begun:
    """The attempt that ends now, however it ends."""
    with writing(engine_of(request)) as connection:
        begun = identities.take(connection, attempt)
    if begun is None:
        raise RefusedError("this sign-in was not begun in this browser, or is over. Begin again")
    if begun.user_id is not None and begun.user_id != viewer.user_id:
        raise RefusedError("you are not signed in any more as who wanted to link their account")
    return begun


def _identify(request: Request, attempt: Attempt, *, code: str | None, issuer: str | None, error: str | None
              ) -> Person:
    provider = _provider(request)
    provider.check_issuer(issuer)
    if error is not None:
        reason = error if error.isascii() and error.replace("_", "").isalpha() and len(error) <= 50 else "an error"  # noqa: PLR2004  RFC 6749 has no longer one
        raise RefusedError(f"the provider said {reason}")
    if not code:
        raise RefusedError("the provider sent no code")
    return provider.identify(attempt, code=code, issuer=issuer, redirect_uri=_redirect_uri(request))


def _finish(request: Request, person: Person, begun: identities.Begun) -> Response:
    settings = _provider(request).settings
    with writing(engine_of(request)) as connection:
        if begun.user_id is not None:
            identities.check_membership(person, settings)
            try:
                identities.link(connection, begun.user_id, person.issuer, person.subject)
            except UsageError as error:
                raise RefusedError("this identity is linked to another account already") from error
            return RedirectResponse(begun.target, 303)
        user_id = identities.admit(connection, person, settings)
        accounts.note(connection, "signed in by single sign-on", f"{person.issuer} {person.subject}", user_id=user_id,
                      address=address_of(request))
        secret = accounts.start_session(connection, user_id)
    return begin_session(request, secret, begun.target)


def _refuse(request: Request, reason: str) -> Response:
    label = _provider(request).settings.label
    with writing(engine_of(request)) as connection:
        accounts.note(connection, "single sign-on refused", reason, address=address_of(request))
    return render(request, "login.html", status=HTTPStatus.FORBIDDEN, target="/",
                  wrong=f"You could not be signed in with {label}: {reason}.")
