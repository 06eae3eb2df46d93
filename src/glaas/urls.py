"""URLs: which may become links, and which are the same page of a tracker."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
LONGEST_URL = 4000
LONGEST_KEY = 600  # an index entry of PostgreSQL has room for 2,700 bytes
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\\<>\"`]|\s")
_RUN_PART = re.compile(r"[^/?#&=]+")


def split_web_url(url: str) -> SplitResult | None:
    """The parts of `url` if it is an absolute http or https URL that a page may link to, else None.

    White space, control characters, quotes, user info and unreadable hosts or ports disqualify it.
    """
    if len(url) > LONGEST_URL or _UNSAFE.search(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    return parts


def is_web_url(url: str) -> bool:
    """Whether `url` may become a link."""
    return split_web_url(url) is not None


def is_https_or_local(url: object) -> bool:
    """Whether `url` is an https URL, or an http one on this machine."""
    parts = split_web_url(url) if isinstance(url, str) else None
    return parts is not None and (parts.scheme == "https" or parts.hostname in LOOPBACK_NAMES)


def issuer_flaw(issuer: str) -> str | None:
    """What is wrong with the identifier of an OpenID issuer, as a sentence; None for a good one."""
    parts = split_web_url(issuer)
    if parts is None or not is_https_or_local(issuer):
        return "An issuer is an https URL (http only on loopback)."
    return "An issuer's URL has no query and no fragment." if parts.query or parts.fragment else None


def url_key(url: str) -> str | None:
    """What two addresses of one tracker run have in common: host, path and fragment's path; None if it is no web URL.

    The scheme, the query (`?workspace=…`, `?nw=…`), a trailing slash and the case of the host are left out.
    MLflow, ClearML and others keep the page in the fragment (`/#/experiments/1/runs/…`).
    """
    parts = split_web_url(url)
    if parts is None:
        return None
    host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    fragment = parts.fragment.partition("?")[0]
    page = parts.path.rstrip("/") + (f"/#{fragment}" if fragment.startswith("/") else "")
    return (host + unquote(page)).rstrip("/")[:LONGEST_KEY]


def url_key_prefixes(key: str) -> list[str]:
    """`key` and what is left of it as its last parts go: a run's sub-pages (`…/runs/ID/logs`) lead to the run."""
    prefixes = []
    while "/" in key:
        prefixes.append(key)
        key = key.rpartition("/")[0].rstrip("#/")
    return prefixes


def possible_run_ids(url: str) -> list[str]:
    """Every part of a URL that may be a tracker's run id, in order, without the host."""
    parts = urlsplit(url)
    return [unquote(part) for part in _RUN_PART.findall(f"{parts.path}/{parts.query}/{parts.fragment}")]
