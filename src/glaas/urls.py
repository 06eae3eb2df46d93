"""URLs: which may become links, and which are the same page of a tracker."""

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import blake3

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
LONGEST_URL = 4000
LONGEST_KEY = 600  # an index entry of PostgreSQL has room for 2,700 bytes
UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
_UNSAFE = re.compile(rf"[\x00-\x20{UNSEEN}\\<>\"`]|\s")
_RUN_PART = re.compile(r"[^/?#&=;,]+")
_RUN_NAMES = ("customId", "runIdentificationKey", "project")  # of Neptune Scale and Trackio; the first one counts
_SAME_HOSTS = {"app.wandb.ai": "wandb.ai", "comet.ml": "comet.com", "localhost": "127.0.0.1", "::1": "127.0.0.1"}
_SAME_PAGES = (
    (re.compile(r"^/projects/[^/]+/(?:experiments|tasks)/([0-9a-f]{32})(?=/|$).*"), r"/experiments/\1"),  # ClearML
    (re.compile(r"^/o/([^/]+)/org/([^/]+)(?=/)"), r"/\1/\2"),  # Neptune
)
_METRIC_PAGE = re.compile(r'^/metric[^?]*\?(?=.*\bruns=\["(\w+)"\])(?=.*\bexperiments=\["(\w+)"\])')  # MLflow
_WITHOUT_SCHEME = re.compile(r"(?:[\w-]+(?:\.[\w-]+)+|localhost)(?::\d+)?/\S+")
_USER_INFO = re.compile(r"^(https?://)[^/@?#]*@")


def split_web_url(url: str) -> SplitResult | None:
    """The parts of `url` if it is an absolute http or https URL that a page may link to, else None.

    White space, what is not seen, quotes, user info and unreadable hosts or ports disqualify it.
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
    """What two addresses of one tracker run have in common: host, path, fragment's path, what names it in the query.

    None if it is no web URL.

    The scheme, the rest of the query (`?workspace=…`, `?nw=…`), a trailing slash and the case of the host are left
    out, and other names of a host and other pages of a run are as the usual ones. MLflow, ClearML and others keep the
    page in the fragment (`/#/experiments/1/runs/…`).
    """
    keys = _parts_of_key(url)
    return None if keys is None else _short_key("".join(keys))


def url_keys(url: str) -> list[str]:
    """The keys that a run at `url`, or at an address that `url` is a sub-page of, may have; the longest first.

    A run that a query names is only at addresses with that query.
    """
    keys = _parts_of_key(url)
    if keys is None:
        return []
    page, name = keys
    pages = _and_above(page)
    named = [_short_key(page + name) for page in pages] if name else []
    return named + [_short_key(page) for page in pages[:-1]]


def former_url_keys(url: str) -> list[str]:
    """The keys that runs were registered with which have other ones by now."""
    parts = split_web_url(url)
    if parts is None:
        return []
    host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    fragment = parts.fragment.partition("?")[0]
    page = parts.path.rstrip("/") + (f"/#{fragment}" if fragment.startswith("/") else "")
    usual = _parts_of_key(url) or ("", "")
    return _and_above((host + unquote(page)).rstrip("/")[:LONGEST_KEY]) + _and_above(usual[0][:LONGEST_KEY])


def _and_above(page: str) -> list[str]:
    """`page`, and what is left of it as its last parts go: a run's sub-pages (`…/runs/ID/logs`) lead to the run."""
    pages = [page]
    while "/" in pages[-1]:
        pages.append(pages[-1].rpartition("/")[0].rstrip("#/"))
    return pages


def _short_key(key: str) -> str:
    if len(key) <= LONGEST_KEY:
        return key
    return key[:LONGEST_KEY - 65] + "#" + blake3.blake3(key.encode("utf-8", "surrogatepass")).hexdigest()


def _parts_of_key(url: str) -> tuple[str, str] | None:
    """Host and page, and what the query names."""
    parts = split_web_url(url)
    if parts is None:
        return None
    values: dict[str, str] = dict(parse_qsl(parts.query, errors="replace"))
    name = next((f"?{name}={values[name]}" for name in _RUN_NAMES if name in values), "")
    peeked = values.get("peekPath", "")  # W&B shows a run beside the list of runs
    path = peeked if peeked.startswith("/") else unquote(parts.path)
    page = re.sub("/+", "/", path).rstrip("/") + _page_in_fragment(unquote(parts.fragment))
    for pattern, usual in _SAME_PAGES:
        page = pattern.sub(usual, page)
    return (_host_key(parts) + page).rstrip("/"), name


def _host_key(parts: SplitResult) -> str:
    name = (parts.hostname or "").lower().rstrip(".").removeprefix("www.")
    usual_port = 443 if parts.scheme == "https" else 80
    return _SAME_HOSTS.get(name, name) + ("" if parts.port in {None, usual_port} else f":{parts.port}")


def _page_in_fragment(fragment: str) -> str:
    if fragment.startswith("mlflow/"):  # Databricks
        return "/ml/" + fragment.removeprefix("mlflow/").partition("?")[0]
    if metric := _METRIC_PAGE.match(fragment):
        return f"/#/experiments/{metric[2]}/runs/{metric[1]}"
    return "/#" + fragment.partition("?")[0] if fragment.startswith("/") else ""


def pasted_urls(text: str) -> list[str]:
    """The web addresses that a text may mean: as it is, without what stands around it, with a scheme."""
    bare = _USER_INFO.sub(r"\1", text.strip().removeprefix("<").rstrip(">"))
    forms = [text, bare, bare.rstrip(").,;:!?]>'\"")]
    if "://" not in text:
        forms = [f"https://{form}" for form in forms if _WITHOUT_SCHEME.fullmatch(form)]
    return [form for form in dict.fromkeys(forms) if is_web_url(form)]


def possible_run_ids(url: str) -> list[str]:
    """Every part of a URL that may be a tracker's run id, in order, without the host."""
    parts = urlsplit(url)
    return [unquote(part).strip('[]"') for part in _RUN_PART.findall(f"{parts.path}/{parts.query}/{parts.fragment}")]
