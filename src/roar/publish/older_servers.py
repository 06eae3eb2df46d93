"""What older servers take.

One that does not know `raw_path`, or how `roar.wire.member_line` writes a backslash or a newline, gets no list of the
files of a dataset with such a name.

What follows is of a glaas before the common table (`roar.credentials`), which takes for a secret what is none. Such a
server refuses names of models that begin as tokens do, and folders like `secret=group_a_2024/`. Only where one has
refused a registration is it sent as the clients of that time did: without them. Nothing here is looked for otherwise,
and no rule is to be added: a server with the table goes by the table.
"""

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any

from roar.credentials.words import redact_words
from roar.model import REDACTED
from roar.wire import DatasetMember, Registration, find_secret, number_of_secret, to_json

_STAND_IN = r"(?:\*+|…|<redacted>|\[redacted\]|redacted|x{3,}|\$\{?\w+\}?)"
_REFUSED = (
    re.compile(rf"://(?P<hide>[^/\s:@]*:(?!{_STAND_IN}@)[^/\s@]+@)"),
    re.compile(r"\b(?P<hide>hf_[A-Za-z0-9]{30,})\b"),
    re.compile(r"\b(?P<hide>sk-(?=[\w-]{0,200}\d)(?=[\w-]{0,200}[A-Za-z0-9]{16})[\w-]{32,})"),
    re.compile(r"\b(?P<hide>xox[abposr]-[\w-]{10,})"),
    re.compile(
        rf"[?&;#](?:[\w.-]{{0,60}}[_.-])?(?:token|sig|signature|secret|passw(?:or)?d|pwd|api[_-]?key|access[_-]?key|"
        rf"credentials?)=(?!{_STAND_IN}(?:[&;#\s'\"/]|$))(?P<hide>[^&;#\s'\"]{{6,}})", re.IGNORECASE),
    re.compile(
        rf"(?:api[_-]?key|secret|passw(?:or)?d|access[_-]?token|auth[_-]?token|write_token)\s{{0,8}}[=:]\s{{0,8}}"
        rf"(?!{_STAND_IN}(?:\W|$))(?=\S{{0,200}}\d)(?=\S{{0,200}}[a-z])(?P<hide>[\w./+=~!@#$%^*:-]{{12,}})",
        re.IGNORECASE),
)
_Hide = Callable[[str], str]


def is_refused_before(text: str) -> bool:
    """Whether a server of before refuses this text, as far as one with the table takes it."""
    return any(rule.search(text) for rule in _REFUSED)


def without_odd_names(registration: Registration) -> Registration:
    """The registration without the datasets with a file whose name is not UTF-8 or has a backslash or a newline."""
    return dataclasses.replace(registration, datasets=tuple(
        dataset for dataset in registration.datasets if not any(map(_has_odd_name, dataset.members))))


def _has_odd_name(member: DatasetMember) -> bool:
    return "\\" in member.path or "\n" in member.path or "raw_path" in to_json(member)


def for_older_servers(registration: Registration, path_key: Callable[[], bytes]) -> Any:
    """The registration's JSON without what such a server refuses; paths that become alike are numbered."""
    shape = to_json(without_odd_names(registration))
    if not _holds_any(shape):
        return shape
    shape["datasets"] = [dataset for dataset in shape["datasets"] if not _holds_any(dataset)]  # its digest is of paths
    key = path_key()
    return _without(shape, lambda _: REDACTED, lambda secret: f"{REDACTED}#{number_of_secret(secret, key)}")


def _holds_any(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_any(f"{name}={one}" if isinstance(one, str) else one) for name, one in value.items())
    if isinstance(value, list):
        together = " ".join(one for one in value if isinstance(one, str))
        return is_refused_before(together) or any(_holds_any(one) for one in value if not isinstance(one, str))
    return isinstance(value, str) and is_refused_before(value)


def _without(value: Any, hide: _Hide, hide_in_path: _Hide) -> Any:
    if isinstance(value, dict):
        return {name: _setting(name, one, hide, hide_in_path) for name, one in value.items()}
    if isinstance(value, list):
        cleaned = [_without(one, hide, hide_in_path) for one in value]
        if all(isinstance(one, str) for one in cleaned):  # what is left of a harmless word need not look so any more
            cleaned = list(redact_words(cleaned))
        side_by_side = is_refused_before(" ".join(one for one in cleaned if isinstance(one, str)))
        return [REDACTED] if side_by_side else cleaned
    return _cleaned(value, hide) if isinstance(value, str) else value


def _setting(name: str, value: Any, hide: _Hide, hide_in_path: _Hide) -> Any:
    if not isinstance(value, str):
        return _without(value, hide, hide_in_path)
    cleaned = _cleaned(value, hide_in_path if name == "path" else hide)
    return REDACTED if is_refused_before(f"{name}={cleaned}") else cleaned


def _cleaned(text: str, hide: _Hide) -> str:
    for rule in _REFUSED:
        text = rule.sub(functools.partial(_hidden, hide), text)
    return hide(text) if is_refused_before(text) or find_secret(text) is not None else text


def _hidden(hide: _Hide, match: re.Match[str]) -> str:
    start, end = (place - match.start() for place in match.span("hide"))
    instead = "" if match[0].startswith("://") else hide(match["hide"])
    return match[0][:start] + instead + match[0][end:]
