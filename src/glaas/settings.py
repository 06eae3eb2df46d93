"""Settings of one server process, from the command line and `GLAAS_*` environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_DATABASE = "sqlite:///glaas.db"
CLIENT_SECRET = "GLAAS_OIDC_CLIENT_SECRET"  # noqa: S105  the variable's name


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOn:
    """Single sign-on by an OpenID Connect provider.

    Attributes:
        issuer: the provider's issuer identifier, an https URL (http only on loopback); its discovery document is at
            `/.well-known/openid-configuration` below it.
        client_id: what the provider knows this server as.
        client_secret: None for a public client, which PKCE alone protects.
        label: what people call the provider, for the button `Sign in with LABEL`.
        user_claim: the claim that a new user is named after.
        new_users: whether people without an account get one when they sign in for the first time.
        email_domains: if any, only people whose verified e-mail address is in one of them may sign in this way.
        groups: if any, only people in one of them may sign in this way.
        groups_claim: the claim that lists a person's groups.
        scopes: asked for besides `openid`.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    label: str = "single sign-on"
    user_claim: str = "preferred_username"
    new_users: bool = False
    email_domains: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    groups_claim: str = "groups"
    scopes: tuple[str, ...] = ("profile", "email")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server process needs to know.

    Attributes:
        database: SQLAlchemy-like URL, `sqlite:///FILE` or `postgresql://…`.
        accounts: whether people and clients must say who they are to write and to see what is not public.
        secure_cookies: set `Secure` on cookies; off only where pages are served over plain HTTP on loopback.
        max_body: bytes of one request body, after decompression.
        writes_per_minute: registrations that one user or address may send in a minute to this process; 0 for any.
        sign_ins_per_minute: sign-ins that one address may begin in a minute at this process; 0 for any number.
        public_url: where people reach this server, for links sent to clients; None to use the request's own address.
        pool_size: connections kept open to PostgreSQL.
        hosts: names under which the server may be addressed; None for any.
        metrics: whether `/metrics` is served.
        sign_on: single sign-on beside the passwords of this server; None for passwords alone.
    """

    database: str = DEFAULT_DATABASE
    accounts: bool = False
    secure_cookies: bool = True
    max_body: int = 256 * 1024 * 1024
    writes_per_minute: int = 0
    sign_ins_per_minute: int = 60
    public_url: str | None = None
    pool_size: int = 8
    hosts: frozenset[str] | None = None
    metrics: bool = True
    sign_on: SignOn | None = None


def database_from_environment(environ: Mapping[str, str] = os.environ) -> str:
    """The database URL of `GLAAS_DATABASE`, or the default SQLite file in the current folder."""
    return environ.get("GLAAS_DATABASE") or DEFAULT_DATABASE
