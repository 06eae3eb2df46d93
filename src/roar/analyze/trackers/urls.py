"""Addresses as they may be stored and shown: http or https, without anything secret in them."""

import re
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

MAX_URL = 2000
_CLEAN_NETWORK = re.compile(r"[A-Za-z0-9.\-_:\[\]%]+")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff<>\"`]")
_KEPT_PARAMETERS = frozenset({
    "customId", "project", "runFilter", "runIdentificationKey", "runs", "type", "workspace", "wsid",
})
_TRAILING = ".,;:!?'\")]}>"


def clean_url(text: str) -> str | None:
    """The address without user info and secret query parameters; None if it is not a web address.

    Query parameters are kept by name (those that trackers need to find the page), all others are dropped.
    """
    text = text.strip().rstrip(_TRAILING)
    if len(text) > MAX_URL or _UNPRINTABLE.search(text):
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    network = parts.netloc.rpartition("@")[2]
    if parts.scheme.lower() not in {"http", "https"} or not host or not _CLEAN_NETWORK.fullmatch(network):
        return None
    fragment, mark, inner = parts.fragment.partition("?")
    fragment += mark and _kept_query(inner) and "?" + _kept_query(inner)
    return urlunsplit((parts.scheme.lower(), network, parts.path, _kept_query(parts.query), fragment))


def clean_base(text: str | None) -> str | None:
    """A server's base address: as `clean_url`, without query, fragment and trailing slash."""
    url = clean_url(text) if text else None
    if url is None:
        return None
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def without_user_info(value: str) -> str:
    """A setting's value; where it is an address, without user info and query."""
    head, mark, rest = value.partition("://")
    if not mark:
        return value
    place, slash, path = rest.partition("/")
    if "@" in path and not re.fullmatch(r"[^:@]*(:\d*)?", place):
        place, slash, path = rest.rpartition("@")[2].partition("/")  # a password with a slash in it
    return head + mark + place.rpartition("@")[2].partition("?")[0] + slash + path.partition("?")[0]


def segments(url: str) -> list[str]:
    """The decoded path segments of an address, without empty ones."""
    return [unquote(part) for part in urlsplit(url).path.split("/") if part]


def before(url: str, count: int) -> str:
    """The base of an address: scheme, host and all path segments but the last `count`."""
    parts = urlsplit(url)
    kept = [part for part in parts.path.split("/") if part][:-count]
    return urlunsplit((parts.scheme, parts.netloc, "/".join(["", *kept]) if kept else "", "", ""))


def _kept_query(query: str) -> str:
    pairs = [(key, value) for key, value in parse_qsl(query) if key in _KEPT_PARAMETERS]
    return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs)
