"""People known by an OpenID provider: sign-ins under way, and which account someone has.

A person is linked to an account by (issuer, subject), which the provider never gives to anyone else; never by a name
or an e-mail address, which it may. Who signs in for the first time gets a new account, or is told what to do.
"""

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import blake3
from sqlalchemy import Connection, delete, insert, select

from glaas import accounts, models
from glaas.db import lock
from glaas.settings import SignOn
from glaas.times import now
from roar.errors import UsageError

ATTEMPT_S = 600
NEW_USER_LOCK = 0x6F70656E6964


class RefusedError(Exception):
    """What came back from the provider does not prove who someone is; the message is the end of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What ties one sign-in together. All of it follows from two random texts, so none of it needs to be kept.

    Attributes:
        state: goes to the provider and comes back.
        secret: stays with the browser, in a cookie.
    """

    state: str
    secret: str

    @property
    def nonce(self) -> str:
        """What the provider has to put into the ID token."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """What proves to the provider that who exchanges the code began the attempt (RFC 7636)."""
        return self._derived("PKCE verifier")

    def _derived(self, purpose: str) -> str:
        key = blake3.blake3(self.secret.encode(), derive_key_context=f"glaas 2026 OpenID Connect {purpose}")
        return key.update(self.state.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who the provider says someone is. Only issuer and subject together identify them."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]


def new_attempt() -> Attempt:
    """An attempt that nobody can guess."""
    return Attempt(state=secrets.token_urlsafe(32), secret=secrets.token_urlsafe(32))



@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in that was begun here: where it leads, and who wants to be linked (None: to sign in)."""

    target: str
    user_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a provider calls a user."""

    issuer: str
    subject: str
    linked_at: str


def begin(connection: Connection, attempt: Attempt, target: str, *, user_id: int | None = None) -> None:
    """Remember an attempt for ten minutes."""
    table = models.sign_on_attempt
    connection.execute(delete(table).where(table.c.expires_at < now()))
    connection.execute(insert(table), {
        "state": accounts.digest_of(attempt.state), "browser": accounts.digest_of(attempt.secret), "target": target,
        "user_id": user_id, "expires_at": now(later_s=ATTEMPT_S)})


def take(connection: Connection, attempt: Attempt) -> Begun | None:
    """The attempt, which is over from now on; None for one that is unknown, finished, expired or another browser's."""
    table = models.sign_on_attempt
    done = connection.execute(delete(table).where(
        table.c.state == accounts.digest_of(attempt.state), table.c.browser == accounts.digest_of(attempt.secret),
        table.c.expires_at > now()).returning(table.c.target, table.c.user_id)).first()
    return None if done is None else Begun(target=done.target, user_id=done.user_id)


def admit(connection: Connection, person: Person, settings: SignOn) -> int:
    """The number of the user that `person` is, who gets an account where the settings say so.

    Raises:
        RefusedError: they may not sign in, or have no account.
    """
    check_membership(person, settings)
    lock(connection, NEW_USER_LOCK)
    user = models.user
    row = connection.execute(select(user.c.id, user.c.active).join(models.identity).where(
        models.identity.c.issuer == person.issuer, models.identity.c.subject == person.subject)).first()
    if row is not None:
        if not row.active:
            raise RefusedError("this account is disabled")
        return int(row.id)
    if not settings.new_users:
        raise RefusedError(f"no account of this server is linked to you. {_how_to_link(person)}")
    name = person.claims.get(settings.user_claim)
    if not isinstance(name, str):
        raise RefusedError(f"the provider does not say your {settings.user_claim}, which accounts are named after")
    if settings.user_claim == "email":
        _require_verified_email(person)
    if connection.execute(select(user.c.id).where(user.c.name == name)).first() is not None:
        raise RefusedError(f"there is an account {name} already, and nothing proves that it is yours. If it is, sign"
                           f" in with its password and link it on your account's page. {_how_to_link(person)}")
    try:
        user_id = accounts.add_user(connection, name, None)
    except UsageError as error:
        raise RefusedError(f"your {settings.user_claim} makes no account: {error.message}") from error
    link(connection, user_id, person.issuer, person.subject)
    return user_id


def check_membership(person: Person, settings: SignOn) -> None:
    """Whether the settings let `person` in: by the domain of a verified e-mail address, and by group.

    Raises:
        RefusedError: they do not.
    """
    if settings.email_domains:
        email = person.claims.get("email")
        domain = email.rpartition("@")[2].lower() if isinstance(email, str) else ""
        if domain not in settings.email_domains:
            raise RefusedError("your e-mail address is in none of the domains that may sign in here")
        _require_verified_email(person)
    if settings.groups:
        groups = person.claims.get(settings.groups_claim)
        mine = {group for group in groups if isinstance(group, str)} if isinstance(groups, list) else set()
        if not mine & settings.groups:
            raise RefusedError("you are in none of the groups that may sign in here")


def _require_verified_email(person: Person) -> None:
    if person.claims.get("email_verified") is not True:
        raise RefusedError("the provider has not verified your e-mail address")


def _how_to_link(person: Person) -> str:
    return f"An administrator can link it: glaas user link NAME {shlex.quote(person.subject)} --issuer {person.issuer}"


def link(connection: Connection, user_id: int, issuer: str, subject: str) -> None:
    """Let whom `issuer` calls `subject` sign in as this user.

    Raises:
        UsageError: they sign in as another one already.
    """
    table = models.identity
    owner = connection.execute(select(table.c.user_id).where(
        table.c.issuer == issuer, table.c.subject == subject)).scalar()
    if owner == user_id:
        return
    if owner is not None:
        raise UsageError("This identity is linked to another account already.")
    connection.execute(insert(table), {"issuer": issuer, "subject": subject, "user_id": user_id, "linked_at": now()})
    accounts.note(connection, "identity linked", f"{issuer} {subject}", user_id=user_id)


def unlink(connection: Connection, user_id: int) -> int:
    """Let nobody sign in as this user by a provider any more, and end their browser sessions; how many were linked."""
    gone = connection.execute(delete(models.identity).where(models.identity.c.user_id == user_id)).rowcount
    if gone:
        accounts.end_sessions(connection, user_id)
        accounts.note(connection, "identity unlinked", str(gone), user_id=user_id)
    return int(gone)


def identities_of(connection: Connection, user_id: int) -> tuple[Identity, ...]:
    """What providers call a user."""
    table = models.identity
    rows = connection.execute(select(table).where(table.c.user_id == user_id).order_by(table.c.linked_at))
    return tuple(Identity(issuer=row.issuer, subject=row.subject, linked_at=row.linked_at) for row in rows)
