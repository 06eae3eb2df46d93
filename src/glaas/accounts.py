"""People and programs that say who they are: users, API tokens, browser sessions, the device login, the audit log.

No secret is kept: passwords as scrypt (RFC 7914), tokens and cookies as digests of 256 random bits.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any

import blake3
from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from glaas import models
from glaas.access import Viewer
from glaas.errors import ProblemError
from glaas.times import now
from roar.errors import NotFoundError, UsageError

TOKEN_PREFIX = "glaas_"  # noqa: S105  what makes a token recognisable to secret scanners
SESSION_S = 12 * 3600
DEVICE_S = 15 * 60
DEVICE_INTERVAL_S = 2
MOST_FAILURES = 8
FAILURES_WITHIN_S = 300
SHORTEST_PASSWORD = 10
LARGEST_ID = 2**63 - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so no words; nothing that looks like a digit
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token as its owner may see it: never its secret."""

    id: int
    name: str
    scope: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


def digest_of(secret: str) -> bytes:
    """What is kept of a random secret."""
    return blake3.blake3(secret.encode()).digest()


def note(connection: Connection, action: str, subject: str, *, user_id: int | None = None, address: str | None = None
         ) -> None:
    """Write a line of the audit log."""
    connection.execute(insert(models.audit), {"at": now(), "user_id": user_id, "action": action,
                                              "subject": subject[:1000], "address": address})


# ------------------------------------------------------------------------------------------------------ users


def hash_password(password: str) -> str:
    """The password as it is kept."""
    salt = secrets.token_bytes(16)
    key = hashlib.scrypt(password.encode(), salt=salt, dklen=32, **_SCRYPT)
    return f"scrypt${_SCRYPT['n']}${_SCRYPT['r']}${_SCRYPT['p']}${salt.hex()}${key.hex()}"


def matches(password: str, kept: str) -> bool:
    """Whether `password` is the one that `kept` was made of."""
    _, n, r, p, salt, key = kept.split("$")
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), dklen=32, n=int(n), r=int(r), p=int(p))
    return hmac.compare_digest(found, bytes.fromhex(key))


def add_user(connection: Connection, name: str, password: str | None, *, admin: bool = False) -> int:
    """A new user; its number.

    Raises:
        UsageError: the name or password is not fit, or the name is taken.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no user name: letters, digits and . _ @ - only.")
    if connection.execute(select(models.user.c.id).where(models.user.c.name == name)).first() is not None:
        raise UsageError(f"There is a user {name} already.")
    result = connection.execute(insert(models.user).returning(models.user.c.id), {
        "name": name, "password": None if password is None else _checked_hash(password), "admin": admin,
        "active": True, "created_at": now()})
    note(connection, "user added", name)
    return int(result.scalar_one())


def _checked_hash(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise UsageError(f"A password has at least {SHORTEST_PASSWORD} characters.")
    return hash_password(password)


def set_password(connection: Connection, name: str, password: str) -> None:
    """Another password; all browser sessions of the user end."""
    user_id = find_user_id(connection, name)
    connection.execute(update(models.user).where(models.user.c.id == user_id), {"password": _checked_hash(password)})
    end_sessions(connection, user_id)
    note(connection, "password changed", name)


def set_active(connection: Connection, name: str, *, active: bool) -> None:
    """Let a user in again, or no more: tokens and browser sessions stop working at once."""
    user_id = find_user_id(connection, name)
    connection.execute(update(models.user).where(models.user.c.id == user_id), {"active": active})
    end_sessions(connection, user_id)
    note(connection, "user enabled" if active else "user disabled", name)


def set_admin(connection: Connection, name: str, *, admin: bool) -> None:
    """Let a user see and write everything, or no more than others."""
    user_id = find_user_id(connection, name)
    connection.execute(update(models.user).where(models.user.c.id == user_id), {"admin": admin})
    note(connection, "user promoted" if admin else "user demoted", name)


def find_user_id(connection: Connection, name: str) -> int:
    """The number of the user `name`.

    Raises:
        NotFoundError: there is none.
    """
    user_id = connection.execute(select(models.user.c.id).where(models.user.c.name == name)).scalar()
    if user_id is None:
        names = connection.execute(select(models.user.c.name).order_by(models.user.c.name)).scalars()
        raise NotFoundError(f"There is no user {name}.", candidates=tuple(names))
    return int(user_id)


def count_users(connection: Connection) -> int:
    """How many users may sign in."""
    return int(connection.execute(select(func.count()).select_from(models.user).where(models.user.c.active)
                                  ).scalar_one())


# -------------------------------------------------------------------------------------------- browser sessions


def sign_in(connection: Connection, name: str, password: str, address: str | None) -> str | None:
    """The secret of a new browser session for who knows the password; None for anyone else.

    Raises:
        ProblemError: 429 after too many failures for this name.
    """
    audit = models.audit
    failures = connection.execute(select(func.count()).select_from(audit).where(
        audit.c.action == "sign-in failed", audit.c.subject == name[:1000],
        audit.c.at > now(later_s=-FAILURES_WITHIN_S))).scalar_one()
    if failures >= MOST_FAILURES:
        raise ProblemError(429, "Too many attempts for this name. Try again in five minutes.",
                           headers={"Retry-After": str(FAILURES_WITHIN_S)})
    row = connection.execute(select(models.user).where(models.user.c.name == name, models.user.c.active)).first()
    kept = row.password if row is not None and row.password else _NOBODYS_PASSWORD
    if not matches(password, kept) or row is None or not row.password:
        note(connection, "sign-in failed", name, address=address)
        return None
    note(connection, "signed in", name, user_id=row.id, address=address)
    return start_session(connection, row.id)


_NOBODYS_PASSWORD = hash_password(secrets.token_hex())  # an unknown name takes as long as a wrong password


def start_session(connection: Connection, user_id: int) -> str:
    """The secret of a new browser session."""
    secret = secrets.token_urlsafe(32)
    connection.execute(delete(models.browser_session).where(models.browser_session.c.expires_at < now()))
    connection.execute(insert(models.browser_session), {
        "secret": digest_of(secret), "user_id": user_id, "expires_at": now(later_s=SESSION_S)})
    return secret


def end_sessions(connection: Connection, user_id: int) -> None:
    """End all browser sessions of a user, and the device logins that were approved in them and not yet taken."""
    for table in (models.browser_session, models.device_login):
        connection.execute(delete(table).where(table.c.user_id == user_id))


def sign_out(connection: Connection, secret: str) -> None:
    """End a browser session."""
    connection.execute(delete(models.browser_session).where(models.browser_session.c.secret == digest_of(secret)))


def viewer_by_session(connection: Connection, secret: str) -> Viewer | None:
    """Who a browser session belongs to."""
    session = models.browser_session
    row = connection.execute(select(models.user).join(session, session.c.user_id == models.user.c.id).where(
        session.c.secret == digest_of(secret), session.c.expires_at > now(), models.user.c.active)).first()
    return None if row is None else _viewer(row, can_write=True)


def _viewer(row: Row[Any], *, can_write: bool) -> Viewer:
    return Viewer(user_id=row.id, name=row.name, admin=row.admin, can_write=can_write)


# ------------------------------------------------------------------------------------------------------ tokens


def add_token(connection: Connection, user_id: int, name: str, *, scope: str = "write", days: int | None = 90) -> str:
    """A new API token, which is shown this one time. `days` until it expires; None for never."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    connection.execute(insert(models.token), {
        "user_id": user_id, "name": name[:100] or "token", "secret": digest_of(secret), "scope": scope,
        "created_at": now(), "expires_at": None if days is None else now(later_s=days * 86400), "revoked_at": None})
    note(connection, "token added", name, user_id=user_id)
    return secret


def viewer_by_token(connection: Connection, secret: str) -> Viewer | None:
    """Who a token belongs to; None for a token that is unknown, expired or revoked."""
    token = models.token
    row = connection.execute(
        select(models.user, token.c.scope).join(token, token.c.user_id == models.user.c.id).where(
            token.c.secret == digest_of(secret), token.c.revoked_at.is_(None), models.user.c.active,
            or_(token.c.expires_at.is_(None), token.c.expires_at > now()))).first()
    return None if row is None else _viewer(row, can_write=row.scope == "write")


def tokens_of(connection: Connection, user_id: int) -> tuple[Token, ...]:
    """A user's tokens, newest first."""
    rows = connection.execute(select(models.token).where(models.token.c.user_id == user_id)
                              .order_by(models.token.c.id.desc()))
    return tuple(Token(id=row.id, name=row.name, scope=row.scope, created_at=row.created_at,
                       expires_at=row.expires_at, revoked_at=row.revoked_at) for row in rows)


def revoke_token(connection: Connection, token_id: int, *, user_id: int | None = None) -> bool:
    """Make a token worthless; with `user_id` only if it is that user's. Whether there was one."""
    if not 0 < token_id <= LARGEST_ID:
        return False
    token = models.token
    mine = token.c.id == token_id if user_id is None else and_(token.c.id == token_id, token.c.user_id == user_id)
    done = connection.execute(update(token).where(mine, token.c.revoked_at.is_(None)), {"revoked_at": now()})
    if done.rowcount:
        note(connection, "token revoked", str(token_id), user_id=user_id)
    return bool(done.rowcount)


# ------------------------------------------------------------------------------------------------ device login


def start_device_login(connection: Connection) -> tuple[str, str]:
    """The device code that a client polls with, and the code that a person types (RFC 8628)."""
    device = secrets.token_urlsafe(32)
    letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
    user_code = f"{letters[:4]}-{letters[4:]}"
    login = models.device_login
    connection.execute(delete(login).where(login.c.expires_at < now()))
    connection.execute(insert(login), {"device": digest_of(device), "user_code": user_code, "user_id": None,
                                       "expires_at": now(later_s=DEVICE_S)})
    return device, user_code


def approve_device_login(connection: Connection, user_code: str, user_id: int) -> bool:
    """A signed-in person says that the client which shows `user_code` is theirs."""
    login = models.device_login
    letters = re.sub(r"[^A-Z]", "", user_code.upper())
    done = connection.execute(update(login).where(
        login.c.user_code == f"{letters[:4]}-{letters[4:]}", login.c.user_id.is_(None), login.c.expires_at > now()),
        {"user_id": user_id})
    if done.rowcount:
        note(connection, "device approved", user_code, user_id=user_id)
    return bool(done.rowcount)


def finish_device_login(connection: Connection, device: str) -> str | None:
    """The new token for a device that was approved; None while it waits.

    Raises:
        ProblemError: 400 for a device code that is unknown or expired.
    """
    login = models.device_login
    row = connection.execute(select(login).where(login.c.device == digest_of(device),
                                                 login.c.expires_at > now())).first()
    if row is None:
        raise ProblemError(400, "The code is unknown or has expired; start again.")
    if row.user_id is None:
        return None
    taken = connection.execute(delete(login).where(login.c.device == digest_of(device)))
    if not taken.rowcount:
        raise ProblemError(400, "The code has been used; start again.")
    return add_token(connection, row.user_id, "roar login")
