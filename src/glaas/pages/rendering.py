"""Templates: strict escaping, strict undefined names, and the few filters that pages need."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import blake3
from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.filters import do_truncate
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from glaas.errors import ProblemError
from glaas.urls import UNSEEN, is_web_url
from glaas.words import command_text, duration_text, file_name, plural, time_text, use_path
from roar import __version__
from roar.wire import size_text

PACKAGE = Path(str(files("glaas")))
STATIC = PACKAGE / "static"
LONGEST_SHOWN = 4000  # so long an address may be
LONGEST_FIELD = 300
MOST_SHOWN = 50  # labels, tracker runs or packages of one job
_UNSEEN = re.compile(f"[{UNSEEN}]")


def link_or_none(url: str | None) -> str | None:
    """`url` if a page may link to it. What was stored is not trusted: it is looked at again here."""
    return url if url is not None and is_web_url(url) else None


def visible_text(value: Any) -> Any:
    r"""Text with control characters and those that change the direction of writing as `\u202e`, cut where it is long.

    Otherwise a file name could show itself as another one. The API has the whole text.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if len(value) > LONGEST_SHOWN:
        value = value[:LONGEST_SHOWN] + "…"
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), value)


def curves(lines: Sequence[str]) -> Markup:
    """The lines of a drawing, at once: there may be a thousand, and they are numbers."""
    return Markup("\n").join(Markup(f'<path d="{line}" marker-end="url(#arrow)"/>') for line in lines)  # noqa: S704


@cache
def static_url(name: str) -> str:
    """Address of a static file that changes with its content, so that browsers may keep it for ever."""
    digest = blake3.blake3((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def environment() -> Environment:
    """The templates. Every value is escaped, in whatever file it stands."""
    env = Environment(loader=FileSystemLoader(PACKAGE / "templates"), autoescape=True, undefined=StrictUndefined,
                      finalize=visible_text, trim_blocks=True, lstrip_blocks=True)
    env.filters |= {"size": size_text, "duration": duration_text, "when": time_text, "file_name": file_name,
                    "use_path": use_path, "command": command_text, "short": lambda digest: digest[:10],
                    "link": link_or_none, "curves": curves,
                    "cut": lambda text: do_truncate(env, text, LONGEST_FIELD, True, "…")}
    env.globals |= {"static_url": static_url, "plural": plural, "version": __version__, "LONGEST_SHOWN": LONGEST_SHOWN,
                    "MOST_SHOWN": MOST_SHOWN}
    return env


def render(request: Request, name: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any
           ) -> Response:
    """The page `name` with `values`."""
    text = environment().get_template(name).render(**_common(request) | values)
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), status, headers=headers)


def _common(request: Request) -> dict[str, Any]:
    return {"path": request.url.path, "query": "", "settings": request.app.state.settings,
            "viewer": getattr(request.state, "viewer", None)}


def problem_page(request: Request, problem: ProblemError) -> Response:
    """A problem for people."""
    return render(request, "problem.html", status=int(problem.status), headers=problem.headers, problem=problem)
