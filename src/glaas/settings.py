"""Settings of one server process, from the command line and `GLAAS_*` environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_DATABASE = "sqlite:///glaas.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server process needs to know.

    Attributes:
        database: SQLAlchemy-like URL, `sqlite:///FILE` or `postgresql://…`.
        accounts: whether people and clients must say who they are to write and to see what is not public.
        secure_cookies: set `Secure` on cookies; off only where pages are served over plain HTTP on loopback.
        max_body: bytes of one request body, after decompression.
        writes_per_minute: registrations that one user or address may send in a minute to this process; 0 for any.
        public_url: where people reach this server, for links sent to clients; None to use the request's own address.
        pool_size: connections kept open to PostgreSQL.
        hosts: names under which the server may be addressed; None for any.
        metrics: whether `/metrics` is served.
    """

    database: str = DEFAULT_DATABASE
    accounts: bool = False
    secure_cookies: bool = True
    max_body: int = 256 * 1024 * 1024
    writes_per_minute: int = 0
    public_url: str | None = None
    pool_size: int = 8
    hosts: frozenset[str] | None = None
    metrics: bool = True


def database_from_environment(environ: Mapping[str, str] = os.environ) -> str:
    """The database URL of `GLAAS_DATABASE`, or the default SQLite file in the current folder."""
    return environ.get("GLAAS_DATABASE") or DEFAULT_DATABASE
