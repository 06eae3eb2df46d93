"""Secrets in data and configuration: lists, pairs of a name and a value, blocks, lines of netrc and of Dockerfiles.

What names the secret stands apart from it here, often on another line. Each rule gives the spans of a text that are
secrets, none of which holds an end of line, in the order in which they stand.
"""

import re
from collections.abc import Iterator

from roar.credentials.values import (
    LITERAL_LENGTH,
    SHORT_SECRET,
    is_listed_secret,
    is_no_value,
    is_password_name,
    is_secret_argument,
    looks_random,
    may_list_secrets,
    says_secret,
)

Span = tuple[int, int]

_LIST = re.compile(  # `"tokens": [`, `PASSWORDS: list[str] = (`
    r"(?<![\w.\-])(?P<name>[\w.\-]++)[\"'`]?\]?"
    r"(?:[ \t]{0,8}:[ \t]{0,8}[A-Za-z_.]{1,40}(?:\[[\w.,|\[\] ]{0,60}\])?(?=[ \t]{0,8}=))?"
    r"[ \t]{0,8}(?::=|=>|[=:])[ \t]{0,8}(?:[\w.]{1,40}\()?[\[({]")
_ITEM = re.compile(  # the next text in a list, or the next pair of texts in a mapping
    r"[\s,+\-\[({]{0,200}[bBrRuU]{0,2}(?P<quote>[\"'])(?P<value>[^\"'\\\n]*+)(?P=quote)(?P<key>[ \t]{0,8}(?::|=>))?")
_PAIR = re.compile(  # `- name: X`, `value: Y`, as Kubernetes and ECS have variables
    r"(?<![\w.\-])[\"']?(?:name|key)[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?(?P<name>[\w.\-]{1,200})[\"']?[ \t]{0,8},?"
    r"[ \t]{0,8}(?:\r?\n[+\-]?[ \t]{0,80})?[\"']?(?:value|default)[\"']?[ \t]{0,8}[:=][ \t]{0,8}"
    r"(?:(?P<quote>[\"'])(?P<literal>[^\"'\n]{1,400})(?P=quote)|(?P<value>[^\s\"'{}\[\],;&]{1,400}))", re.IGNORECASE)
_SET = re.compile(  # of a Dockerfile, csh and fish
    r"(?<![^\s;&|(])(?:ENV|setenv|set(?:[ \t]{1,8}-[A-Za-z]{1,8}){1,3})[ \t]{1,8}(?P<name>[A-Za-z_]\w{0,100})"
    r"[ \t]{1,8}(?P<quote>[\"']?)(?P<value>[^\s\"';|&]{1,400})(?P=quote)")
_NETRC = re.compile(  # https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html
    r"(?<![\w.\-])machine[ \t]{1,8}\S{1,200}\s{1,80}(?:(?:login|account)[ \t]{1,8}\S{1,200}\s{1,80}){1,2}"
    r"password[ \t]{1,8}(?P<value>\S{1,200})")
_PASSWORD_LINE = re.compile(r"(?m:^)[+\-]?[ \t]{0,80}password[ \t]{1,8}(?P<value>[^\s:=]\S{0,200})[ \t]{0,8}(?m:$)")
_LITERAL_BLOCK = re.compile(  # NAME = """, the secret on a line of its own
    r"(?<![\w.\-])(?P<name>[\w.\-]++)[ \t]{0,8}[=:][ \t]{0,8}[bBrRuUfF]{0,2}(?P<quote>\"\"\"|''')\\?\r?\n"
    r"[+\-]?[ \t]{0,80}(?P<value>[^\s\"'\\]{1,400})(?:[ \t]{0,8}\\?\r?\n[+\-]?[ \t]{0,80})?(?P=quote)")
_BLOCK = re.compile(  # NAME: of YAML, with lines of a text, of a list or of a mapping below it
    r"(?P<indent>[ \t]*)(?:-[ \t]+)?[\"']?(?P<name>[\w.\-]++)[\"']?[ \t]{0,8}:[ \t]*(?:![\w!]{1,20}[ \t]*)?"
    r"(?P<text>[>|][+\-\d]{0,2})?[ \t]*(?:\#.*)?\r?")
_ENTRY = re.compile(
    r"[ \t]*(?:-[ \t]+)?(?P<key>[\"']?[\w.\-]+[\"']?:[ \t]+)?(?:![\w!]{1,20}[ \t]+)?"
    r"[\"']?(?P<value>[^\s\"'#]+)[\"']?\r?")
_LISTS_TELL = re.compile(r"key|token|secret|passw|pwd|passphrase|credential|jwt", re.IGNORECASE)


def without(text: str, spans: Iterator[Span], stand_in: str) -> str:
    """`text` with something else in the place of these spans."""
    parts: list[str] = []
    kept = 0
    for start, end in spans:
        parts += (text[kept:start], stand_in)
        kept = end
    return "".join((*parts, text[kept:])) if parts else text


def iter_listed(text: str) -> Iterator[Span]:
    """The secrets among the values of a list or a mapping whose name says that it holds some."""
    if ('"' not in text and "'" not in text) or not _LISTS_TELL.search(text):
        return
    at = 0
    while found := _LIST.search(text, at):
        at, name = found.end(), found["name"]
        if not may_list_secrets(name):
            continue
        while item := _ITEM.match(text, at):
            at = item.end()
            if item["key"] is None and is_listed_secret(name, item["value"]):
                yield item.span("value")


def iter_named(text: str) -> Iterator[Span]:
    """The values of names that stand beside them: `{"name": "TOKEN", "value": "X"}`, `ENV TOKEN X`, `password X`."""
    yield from sorted(set(_iter_named(text)))


def _iter_named(text: str) -> Iterator[Span]:
    if "alue" in text or "ALUE" in text or "efault" in text:
        for found in _PAIR.finditer(text):
            yield from _named(found, "literal" if found["quote"] else "value")
    if "ENV" in text or "set" in text:
        for found in _SET.finditer(text):
            yield from _named(found, "value")
    if "password" in text:
        for found in _NETRC.finditer(text):
            if not is_no_value(found["value"]):
                yield found.span("value")
        for found in _PASSWORD_LINE.finditer(text):
            if looks_random(found["value"], SHORT_SECRET) and not is_no_value(found["value"]):
                yield found.span("value")


def _named(found: "re.Match[str]", group: str) -> Iterator[Span]:
    value = found[group]
    if len(value) >= LITERAL_LENGTH and is_secret_argument(found["name"], value) and (
            is_password_name(found["name"]) or found["name"].isupper() or looks_random(value, SHORT_SECRET)):
        yield found.span(group)


def iter_blocks(text: str) -> Iterator[Span]:
    """The secrets that stand on lines below their names: in blocks of YAML, between triple quotes."""
    yield from sorted(_iter_blocks(text))


def _iter_blocks(text: str) -> Iterator[Span]:
    if not _LISTS_TELL.search(text):
        return
    for found in _LITERAL_BLOCK.finditer(text):
        if says_secret(found["name"]) and is_listed_secret(found["name"], found["value"]):
            yield found.span("value")
    name, is_text, depth, at = "", False, 0, 0
    for line in text.split("\n"):
        inner = len(line) - len(line.lstrip())
        if name and line.strip() and (inner < depth or (inner == depth and (is_text or line[inner:inner + 1] != "-"))):
            name = ""
        if name:
            entry = _ENTRY.fullmatch(line)
            if entry and (entry["key"] is None or not is_text) and is_listed_secret(name, entry["value"]):
                yield at + entry.start("value"), at + entry.end("value")
        elif (begins := _BLOCK.fullmatch(line)) and may_list_secrets(begins["name"]):
            name, is_text, depth = begins["name"], begins["text"] is not None, len(begins["indent"])
        at += len(line) + 1
