"""Getting an API token from a glaas server by way of a browser (RFC 8628), and asking who a token belongs to."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from roar.errors import PublishError
from roar.publish.server import Server, get, post

_BAD_REQUEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a server takes us for. `accounts` is false where it asks nobody who they are."""

    user: str | None
    can_write: bool
    accounts: bool


def who_am_i(server: Server) -> Identity:
    """Whom `server` takes us for.

    Raises:
        PublishError: it cannot be reached, or the token is no good.
    """
    answer = get(server, "/api/v1/whoami")
    try:
        return Identity(user=answer["user"], can_write=bool(answer["can_write"]), accounts=bool(answer["accounts"]))
    except (KeyError, TypeError) as error:
        raise _odd(server) from error


def log_in(server: Server, show: Callable[[str, str], None]) -> str:
    """A new token, once a person has approved it in a browser.

    Args:
        server: whose token.
        show: called with the address to open and the code that the page must show.

    Raises:
        PublishError: the server cannot be reached, has no accounts, or nobody approved in time.
    """
    begun = post(server, "/api/v1/device", b"{}")
    try:
        device, code = str(begun["device_code"]), str(begun["user_code"])
        deadline = time.monotonic() + float(begun["expires_in"])
        interval_s = float(begun["interval"])
    except (KeyError, TypeError, ValueError) as error:
        raise _odd(server) from error
    show(f"{server.url}/device?code={code}", code)
    ask = json.dumps({"device_code": device}).encode()
    while time.monotonic() < deadline:
        time.sleep(interval_s)
        answer = post(server, "/api/v1/device/token", ask, also_fine=frozenset({_BAD_REQUEST}))
        if not isinstance(answer, dict):
            raise _odd(server)
        if "access_token" in answer:
            return str(answer["access_token"])
        if answer.get("error") != "authorization_pending":
            break
    raise PublishError("Nobody approved the login in time.", hint="roar login")


def _odd(server: Server) -> PublishError:
    return PublishError(f"{server.url} answered, but not as a glaas server does.", hint="is this the right address?")
