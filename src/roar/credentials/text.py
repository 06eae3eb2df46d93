"""Secrets in any text: told by the shape, by the name of what they are the value of, by their place in an address.

Every rule takes time in proportion to the length of the text, whatever the text is: arguments, patches and what a
client sends come from anywhere. Runs of characters are therefore matched possessively (`++`), from their beginning
only, and what looks ahead looks no further than a constant.
"""

import functools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from roar.credentials import structures
from roar.credentials.table import (
    CURL_FLAGS,
    MOST_JOINED,
    NEED_REACH,
    NUMBER_LENGTH,
    PROGRAMS,
    SHAPES,
    SIGNED_QUERY,
    STORE_SCHEMES,
    USER_OPTIONS,
    Need,
    Program,
    Shape,
)
from roar.credentials.values import (
    LITERAL_LENGTH,
    LONG_NAME,
    PATH_START,
    SEGMENT_SECRET,
    SHORT_SECRET,
    is_no_value,
    is_password_name,
    is_path,
    is_readable,
    is_readable_path,
    is_secret_argument,
    is_secret_name,
    is_weak_secret,
    looks_random,
    says_secret,
    strength_of_name,
    strength_of_option,
)
from roar.model import REDACTED

_NEEDS = {Need.NOTHING: (), Need.DIGIT: ("[0-9]",), Need.MIXED: ("[0-9]", "[A-Z]", "[a-z]"),
          Need.NUMBER: (f"[0-9]{{{NUMBER_LENGTH}}}",)}
_BOUNDARY = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-F]{2})|(?<=\\[nrt]))"
PEM_BEGIN = r"-----BEGIN\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----"
PEM_END = r"-----END\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----"


def _shape_pattern(shape: Shape) -> str:
    inside, starts = str(shape.letters), "|".join(map(re.escape, shape.prefixes))
    body = f"[{inside}]{{{shape.least}}}(?![{inside}])" if shape.exact else f"[{inside}]{{{shape.least},}}+"
    needs = "".join(f"(?=[{inside}]{{0,{NEED_REACH}}}?{need})" for need in _NEEDS[shape.need])
    return f"(?:{starts}){needs}{body}"


@functools.cache
def _shapes() -> re.Pattern[str]:
    return re.compile("|".join((
        rf"{_BOUNDARY}(?:{'|'.join(f'(?P<s{n}>{_shape_pattern(shape)})' for n, shape in enumerate(SHAPES))})",
        rf"(?P<key>{PEM_BEGIN}(?:.*?{PEM_END}|.*))",
        # RFC 7519; the second form is for one that stands behind a dash, as in a file's name
        r"(?P<jwt>(?:(?<![\w\-])eyJ[\w\-]{8,}+|\beyJ[\w\-]{8,300}+)\.eyJ[\w\-]{8,}+\.[\w\-]*+)",
    )), re.DOTALL)


_SHAPE_STARTS = (*(prefix for shape in SHAPES for prefix in shape.prefixes), "eyJ", "-----BEGIN")
_OTHER_KINDS = {"key": "a private key", "jwt": "a JSON Web Token"}

_URL_USER = re.compile(r"://(?!\[\^)([^/\s?#'\"]*)@")
_HOST = re.compile(r"[^/\s'\"]*+(/?)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*$")
_QUERY = re.compile(r"([?&;#])([\w.\-]++)=(?=[^&;#\s'\"])")
_QUERY_VALUE = re.compile(r"[^&;#\s'\"]++")
_OPTION_IN_TEXT = re.compile(r"(?<![^\s\"'`(\[])(--?[A-Za-z][\w.\-]*+)[\"'`]?(?:[ \t]|\\\r?\n)++(?![-=:])")
_USER_IN_A_LIST = re.compile(  # ["curl", "-u", "USER:X"]
    r"[\"'](--?[A-Za-z][\w\-]{0,20})[\"'][ \t]{0,8},\s{0,80}[\"']([^\s\"']{0,400}+)")
_ARGUMENT = re.compile(r"\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|[^\s;|&\"'`)]++", re.DOTALL)
_VARIABLE = re.compile(r"\"?\$(?:\w+|\{\w+\})\"?")
USER_AND_PASSWORD = re.compile(r"[\"']?(?!\d+:\d+(?!\S))[\w.@+%\-]++:(?![/~.$])[^\s\"';|&]++[\"']?")
_CALL = re.compile(rf"(?<![\w.\-])(?P<program>{'|'.join(map(re.escape, PROGRAMS))})(?=[ \t])[^;|&\n\r]*+")
_SHORT_OPTIONS = re.compile(r"-[A-Za-z]+")
_JOINED_USER = re.compile(rf"-[{CURL_FLAGS}]+[uU]")
_WORD = re.compile(r"(?:\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|[^\s\"'`)])++")
_BEARER = re.compile(r"(?<![\w/.\-])(Bearer|Basic|Token)([ \t]{1,8})([A-Za-z0-9._~+/=\-]{8,}+)", re.IGNORECASE)

_ASSIGNED = re.compile(
    r"""
    (?<![\w.\-]) (?P<name>[\w.\-]++)
    (?P<closed>\\{0,2}["'`])? \]?
    (?P<sign>
        (?: (?P<type>[ \t]{0,8} :) [ \t]{0,8} [A-Za-z_.]{1,40} (?:\[[\w.,|\ ]{0,60}\])? (?:[ ]?\|[ ]?\w{1,20}){0,3}
            (?=[ \t]{0,8}=) | [ \t]{1,4} string (?=[ \t]{0,8}=) )?
        [ \t]{0,8} (?: := | => | <{1,2}- | ={1,3} | != | : ) [ \t]{0,8}
      | (?<=["'`]) [ \t]{0,8} , [ \t]{0,8}
    )
    (?P<onward> (?:\\|\()? [ \t]{0,8} \r?\n [+\-\ ]? [ \t]{0,80} (?=[bBrRuUfF]{0,2}["'`](?!["']{2})) )?
    (?P<tag>![\w!/:.\-]{0,40}[ \t]{1,8})?
    (?P<open>[bBrRuUfF]{0,2}\\{0,2}(?:\"\"\"|'''|["'`]))?
    """,
    re.VERBOSE,
)
_ONWARD = re.compile(  # a value that begins on the next line
    r"[=:,][ \t]{0,8}[\\(]?[ \t]{0,8}\r?\n[+\- ]?[ \t]{0,80}[bBrRuUfF]{0,2}[\"'`](?![\"']{2})")
_VALUE = re.compile(r"[^\s\"'`&;,}]++")
_FOLDER_VALUE = re.compile(r"[^\s\"'`&;,}/]*+")
_REST_OF_HEADER = re.compile(r"(?:(?:Bearer|Basic|Token|Digest)[ \t]++)?([^\s\"'`][^\"'`\r\n]*+)", re.IGNORECASE)
_LITERALS = {  # what stands between quotes, up to and without the closing quote
    '"': re.compile(r'((?:[^"\\\n]|\\.)*+)"'),
    "'": re.compile(r"((?:[^'\\\n]|\\.)*+)'"),
    "`": re.compile(r"([^`\n]*+)`"),
    '"""': re.compile(r'(.*?)"""', re.DOTALL),
    "'''": re.compile(r"(.*?)'''", re.DOTALL),
}
_ESCAPED_LITERAL = re.compile(r"([^\\\"'`\n]*+)\\{1,2}[\"'`]")
_AFTER_A_STRING = tuple(" \t,)+%;]}.")  # what follows a quote that ends a string: `print("token: ", x)`
_DEFAULT = re.compile(r"\bdefault[ \t]{0,4}=[ \t]{0,4}[bru]?([\"'])")  # of an argument or a field
_DECLARED = re.compile(r"[\"'](--?[A-Za-z][\w.\-]{0,60})[\"']")  # add_argument("--api-key", …
_FIELD = re.compile(  # api_key: str = field(
    r"(?<![\w.])([A-Za-z]\w{0,60})[ \t]{0,4}(?::[^=\n()]{1,60})?=[ \t]{0,4}[\w.]{1,40}\($")
_CALL_REACH = 300  # characters before a default in which the call begins
_OTHERWISE = re.compile(r"\$\{\w{1,40}:?[-=]([^}\s\"'$]{4,200})(?=\})")  # TOKEN=${1:-X}
_NAMED_BEFORE = re.compile(r"(?<![\w.])(\w{1,60})=[\"']?$")
_GIVEN = re.compile(  # by a here-string, or by echo and a pipe, to what reads a secret there
    r"(?:--[\w\-]{0,40}stdin|--with-token|\bread(?:[ \t]+-\w+){0,4}[ \t]+(?P<name>\w{1,60}))[ \t]*<<<[ \t]*[\"']?"
    r"(?P<here>[^\s\"'$;|&][^\s\"';|&]*+)"
    r"|\b(?:echo|printf)(?:[ \t]+(?:-\w+|[\"']?%s(?:\\n)?[\"']?)){0,4}[ \t]+[\"']?"
    r"(?P<sent>[^\s\"'$;|&\-%][^\s\"';|&]*+)[\"']?[ \t]*\|(?=[^|\n]{1,120}?(?:-stdin|--with-token)\b)")
_LOOKS_A_SECRET = re.compile(  # a string on its own with letters of either case and digits
    r"(?<![\w\\])[bru]?[\"'](?=[A-Za-z0-9+/=.~_\-]{0,200}[\"'])(?=[^\"']{0,200}?\d)(?=[^\"']{0,200}?[a-z])"
    r"(?=[^\"']{0,200}?[A-Z])(?P<value>[A-Za-z0-9+/=.~_\-]{16,200})[\"']")
_SAID_BEFORE = re.compile(r"(?<![\w\-])(?:\w{1,60}|(?<=[\"'])--?[\w\-]{1,60}(?=[\"']))")
_ASKS_FOR_A_SECRET = re.compile(r"\b(?:login|auth)[ \t]{0,4}[(=]|\bSecretStr\(")
_SETTER = re.compile(r"(?:set|get|put|env|header)\w{0,20}\([ \t]{0,4}[bru]?[\"']$", re.IGNORECASE)
_SETTER_REACH = 40  # characters before a name in which the call that sets it is looked for
_LINE_REACH = 200  # characters before a string in which a name may say that it is a secret
_TYPE = re.compile(
    r"(?:str|bytes|string|bool|any|object|char|number|u?int\d*|b?float\d*|complex\d*|Optional\b.*|SecretStr|Final)",
    re.IGNORECASE)
_EXPRESSION = re.compile(r"[A-Za-z_][\w.]*+[(\[]")  # a call or an index
_NO_SECRET_CONSTANT = re.compile(r"\d{1,5}(?:\.\d*)?$|[(\[{]")
_NAMES_A_SECRET = re.compile(r"(?:self|cls|config|cfg|args|settings|os|env)\.|.*(?:pass|pwd?$|secret)", re.IGNORECASE)
_FILE_NAME = re.compile(
    r"[A-Za-z][a-z]{0,20}(?:[_\-][a-z]{1,20}){0,5}\.(?:txt|json|ya?ml|toml|env|pem|key|crt|cfg|ini)")
ROUNDS = 5  # what goes may have been the quote before another secret
_TELLING = ("key", "token", "secret", "pass", "pwd", "credential", "authorization", "bearer", "cookie", "sig", "sas",
            "pat", "auth", "basic", "jwt")



def takes_user(option: str) -> bool:
    """Whether USER:PASSWORD may stand behind an option."""
    return option in USER_OPTIONS or _JOINED_USER.fullmatch(option) is not None


# ------------------------------------------------------------------------------------------------------- rules


def _replace(text: str, pattern: re.Pattern[str], find: "Callable[[re.Match[str]], tuple[int, int, bool]]") -> str:
    """Replace what `find` tells of each match: start, end, and whether that is a secret; go on at the end."""
    parts: list[str] = []
    kept = at = 0
    while match := pattern.search(text, at):
        start, at, secret = find(match)
        if secret:
            parts += (text[kept:start], REDACTED)
            kept = at
    return "".join((*parts, text[kept:])) if parts else text


def _without_shapes(text: str) -> str:
    return _shapes().sub(_without_shape, text) if any(start in text for start in _SHAPE_STARTS) else text


def _without_shape(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    shape = None if group in _OTHER_KINDS else SHAPES[int(group[1:])]
    if shape is None or not shape.kept:
        return REDACTED
    return next(prefix for prefix in shape.prefixes if match[0].startswith(prefix)) + REDACTED


def _without_users(text: str) -> str:
    return _URL_USER.sub(_without_user, text) if "://" in text else text


def _without_user(match: re.Match[str]) -> str:
    """An address without user and password. A login name alone is none, but for the web, where tokens stand there."""
    user, text = match[1], match.string
    found = _SCHEME.search(text, max(0, match.start() - 20), match.start())
    scheme = found[0].lower() if found else ""
    if user == "git" or (":" not in user and scheme.endswith("ssh")):
        return match[0]
    if scheme in STORE_SCHEMES:  # `s3://KEY:SECRET@BUCKET/NAME`, but `s3://BUCKET:NAME@VERSION`
        host = _HOST.match(text, match.end())
        if ":" not in user or (host and not host[1] and is_readable(user)):
            return match[0]
    if ":" not in user and scheme and "http" not in scheme and not scheme.startswith("ftp") and is_readable(user):
        return match[0]
    return "://"


def _without_queries(text: str) -> str:
    return _replace(text, _QUERY, _query) if "=" in text else text


def _query(match: re.Match[str]) -> tuple[int, int, bool]:
    mark, name = match.groups()
    at, signed = match.end(), name.lower() in SIGNED_QUERY
    if not (signed or is_secret_name(name)):
        return at, at, False  # its value may be an address with a query of its own
    found = _QUERY_VALUE.match(match.string, at)
    value = found[0] if found else ""
    secret = not is_no_value(value) and (signed or says_secret(name) or is_weak_secret(value)) and (
        mark in "?&" or looks_random(value))  # `x=1;token=tokenizer(a)`
    return at, at + len(value), secret


def _without_arguments(text: str) -> str:
    return _replace(text, _OPTION_IN_TEXT, _argument) if "-" in text else text


def _without_listed_users(text: str) -> str:
    return _replace(text, _USER_IN_A_LIST, _listed_user) if "-" in text and ":" in text else text


def _listed_user(match: re.Match[str]) -> tuple[int, int, bool]:
    return match.start(2), match.end(), takes_user(match[1]) and USER_AND_PASSWORD.fullmatch(match[2]) is not None


def _argument(match: re.Match[str]) -> tuple[int, int, bool]:
    text, at = match.string, match.end()
    if takes_user(match[1]):
        value = USER_AND_PASSWORD.match(text, at)
    elif strength_of_option(match[1]):
        value = _ARGUMENT.match(text, at)
        if value is not None and not is_secret_argument(match[1], value[0]):
            return at, at, False
    else:
        value = None
    if value is None or _VARIABLE.fullmatch(value[0]):
        return at, at, False
    return at, value.end(), True


def _without_passwords(text: str) -> str:
    return _CALL.sub(_without_password, text) if any(program in text for program in PROGRAMS) else text


def _without_password(call: re.Match[str]) -> str:
    """A call of a well-known program in a text, without the password among its words."""
    program, rest = call["program"], call[0][len(call["program"]):]
    kept = iter(hide_in_call(PROGRAMS[program], [match[0] for match in _WORD.finditer(rest)]))
    return program + _WORD.sub(lambda _: next(kept), rest)


def hide_in_call(program: Program, words: list[str]) -> list[str]:
    """The words behind a program's name, one for one, without what is a password there."""
    hidden, before, pairs = [], "", False
    for word in words:
        pair = pairs or (program.pair != "" and _is_apart(program.pair, before))
        hidden.append(_secret_pair(word) if pair else _password_word(program, word, before))
        before, pairs = word, pairs or (word == program.pairs != "")
    if program.last and any(_says_last(program.last, word) for word in words) and words[-1][:1] != "-":
        hidden[-1] = words[-1] if _VARIABLE.fullmatch(words[-1]) else REDACTED
    if program.login:
        hidden = [REDACTED if re.fullmatch(r"[\"']?[0-9a-f]{40}[\"']?", word) else word for word in hidden]
    return hidden


def _says_last(sign: str, word: str) -> bool:
    return word == sign or (sign[0] == "-" and bool(_SHORT_OPTIONS.fullmatch(word)) and sign[1] in word)


def _is_apart(sign: str, word: str) -> bool:
    return word == sign or (len(sign) == 2 and sign[0] == "-" and word[-1:] == sign[1]  # noqa: PLR2004  a letter
                            and len(word) <= MOST_JOINED + 1 and bool(_SHORT_OPTIONS.fullmatch(word)))


def _secret_pair(word: str) -> str:
    """`NAME=[redacted]`, or a word that is no such pair as it is."""
    quote = word[:1] if word[:1] in {"'", '"'} and word[-1:] == word[:1] and len(word) > 1 else ""
    name, sign, value = word.removeprefix(quote).removesuffix(quote).partition("=")
    if not (value and sign) or is_no_value(value) or word.startswith("-"):
        return word
    return f"{quote}{name}={REDACTED}{quote}"


def _password_word(program: Program, word: str, before: str) -> str:
    if _VARIABLE.fullmatch(word):
        return word
    if not word.startswith("-") and any(_is_apart(sign, before) for sign in program.apart):
        return REDACTED
    if program.user and before == program.user and USER_AND_PASSWORD.fullmatch(word):
        return REDACTED
    if program.named and not before.startswith("-") and not word.startswith("-") and says_secret(before) and (
            is_secret_argument(before, word)):
        return REDACTED
    for option in program.joined:
        if word.startswith(option) and len(word) > len(option) and not _VARIABLE.fullmatch(word, len(option)):
            return f"{option}{REDACTED}"
    return word


def _without_bearers(text: str) -> str:
    return _BEARER.sub(_without_bearer, text)


def _without_bearer(match: re.Match[str]) -> str:
    scheme, space, value = match.groups()
    if scheme.lower() != "bearer" and (is_readable(value) or not re.search(r"\d|=$|[a-z][A-Z]", value)):
        return match[0]  # `basic training`, `token embedding`
    return f"{scheme}{space}{REDACTED}"


def _without_assigned(text: str) -> str:
    told = "=" in text or ":" in text or "," in text or "<-" in text  # most lines of a patch have none
    return _replace(text, _ASSIGNED, _assigned) if told else text


def _assigned(match: re.Match[str]) -> tuple[int, int, bool]:
    """Where the value of an assignment lies, and whether it is a secret."""
    text, at = match.string, match.end()
    if text.startswith("//", at) and match["sign"] == ":":
        return at, at, False  # an address
    if match["onward"] and not (match["closed"] if ":" in match["sign"] else "=" in match["sign"] or (
            match["sign"].strip() == "," and match["name"].startswith("-"))):
        return match.start("onward"), match.start("onward"), False  # `class Token:`, and what describes it
    if not is_secret_name(match["name"]):
        return _short_name(match) or (at, at, False)
    literal = _literal(text, at, match["open"].lstrip("bBrRuUfF")) if match["open"] else None
    if literal is None:
        found = _header(match) or _unquoted(match)
    else:
        secret = _is_secret_literal(match, literal[0])
        found = at, literal[1] if secret else at, secret
    if not found[2] and match["type"]:
        return match.end("type"), match.end("type"), False  # `Credentials:gs_secret_access_key=X` has no type
    return found


def _without_defaults(text: str) -> str:
    return _replace(text, _DEFAULT, _default) if "default" in text else text


def _default(match: re.Match[str]) -> tuple[int, int, bool]:
    at = match.end()
    literal = _literal(match.string, at, match[1])
    if literal is None or is_no_value(literal[0]) or len(literal[0]) < LITERAL_LENGTH or (
            is_readable_path(literal[0]) or _FILE_NAME.fullmatch(literal[0])):
        return at, at, False
    return at, literal[1], _declares_secret(match.string[max(0, match.start() - _CALL_REACH):match.start()])


def _declares_secret(before: str) -> bool:
    """Whether a call whose arguments so far end a text declares something that holds a secret."""
    begin = max(before.rfind("("), before.rfind(")")) + 1
    field = _FIELD.search(before, max(0, begin - _CALL_REACH // 2), begin)
    return (field is not None and says_secret(field[1])) or any(
        says_secret(option.lstrip("-")) for option in _DECLARED.findall(before, begin))


def _without_lookalikes(text: str) -> str:
    return _replace(text, _LOOKS_A_SECRET, _lookalike) if "=" in text or "(" in text else text


def _lookalike(match: re.Match[str]) -> tuple[int, int, bool]:
    """A string that looks like a secret is one where its line names one before: `password or "X"`."""
    text, (start, end) = match.string, match.span("value")
    if not is_weak_secret(match["value"]):
        return end, end, False
    begin = max(text.rfind("\n", 0, start) + 1, start - _LINE_REACH)
    line = text[begin:match.start()]
    return start, end, _names_a_secret(line)


def _names_a_secret(line: str) -> bool:
    return bool(_ASKS_FOR_A_SECRET.search(line)) or any(says_secret(name) for name in _SAID_BEFORE.findall(line))


def _without_given(text: str) -> str:
    if "${" in text:
        text = _replace(text, _OTHERWISE, _otherwise)
    told = "<<<" in text or "-stdin" in text or "--with-token" in text
    return _replace(text, _GIVEN, _given) if told else text


def _otherwise(match: re.Match[str]) -> tuple[int, int, bool]:
    named = _NAMED_BEFORE.search(match.string, max(0, match.start() - 64), match.start())
    return (*match.span(1), named is not None and says_secret(named[1]))


def _given(match: re.Match[str]) -> tuple[int, int, bool]:
    group = "here" if match["here"] else "sent"
    return (*match.span(group), match["name"] is None or says_secret(match["name"]))


def _header(match: re.Match[str]) -> tuple[int, int, bool] | None:
    """The rest of the line behind the name of a header."""
    if ":" in match["sign"] and _is_header(match["name"]):
        rest = _REST_OF_HEADER.match(match.string, match.end())
        if rest and is_no_value(rest[1]):
            return rest.start(1), rest.start(1), False
        if rest and not _TYPE.fullmatch(rest[1].split()[0]):
            return rest.start(1), rest.end(), True
    return None


def _unquoted(match: re.Match[str]) -> tuple[int, int, bool]:
    text, at, name = match.string, match.end(), match["name"]
    if match["sign"] == "=" and text[max(0, match.start() - 1):match.start()] == "/" and not name.isupper():
        return _folder(name, text, at)
    value = _VALUE.match(text, at)
    if value is None or "," in match["sign"]:
        return at, at, False
    if match["sign"] == "=" and not match["closed"] and is_folder(name, value[0]):
        return _folder(name, text, at)
    return at, value.end(), _is_secret_value(match, value[0], text[value.end():value.end() + 1])


def _folder(name: str, text: str, at: int) -> tuple[int, int, bool]:
    """The value of a folder in a path, as partitioned data has them: `data/secret=group_a/part-0.parquet`."""
    found = _FOLDER_VALUE.match(text, at)
    value = found[0] if found else ""
    secret = says_secret(name) and looks_random(value, SEGMENT_SECRET) and not is_readable(value) and (
        not is_no_value(value))
    return at, at + len(value), secret


def is_folder(name: str, value: str) -> bool:
    """Whether NAME=VALUE by itself is a path in partitioned data: `secret=group_a/part-0.csv`."""
    return "/" in value and not name.isupper() and not PATH_START.match(value) and is_path(value)


def _short_name(match: re.Match[str]) -> tuple[int, int, bool] | None:
    """`{"pass": "X"}`, where X looks like a password: `{"pass": "green"}` is a result."""
    if match["name"] != "pass" or not (match["closed"] and match["open"]):
        return None
    literal = _literal(match.string, match.end(), match["open"].lstrip("bBrRuUfF"))
    return (match.end(), literal[1], True) if literal and looks_random(literal[0], SHORT_SECRET) else None


def _literal(text: str, at: int, quote: str) -> tuple[str, int] | None:
    """What stands between quotes from `at` on, and where it ends; None where the quote rather ended a string."""
    found = (_ESCAPED_LITERAL if quote.startswith("\\") else _LITERALS[quote]).match(text, at)
    return None if found is None or found[1].startswith(_AFTER_A_STRING) else (found[1], found.end(1))


def _is_secret_literal(match: re.Match[str], value: str) -> bool:
    name, sign = match["name"], match["sign"].strip()
    if is_no_value(value) or ("{" in value and "f" in (match["open"] or "").lower() and not looks_random(value)):
        return False
    if strength_of_name(name) == 1:
        return sign != "," and is_weak_secret(value)
    said = sign not in {"==", "===", "!="} and not is_readable_path(value)
    if sign == ",":
        before = match.string[max(0, match.start() - _SETTER_REACH):match.start()]
        said = said and not value.startswith("-") and bool(_SETTER.search(before))
    return looks_random(value) or (said and (len(value) >= LITERAL_LENGTH or (name.isupper() and bool(value))))


def _is_header(name: str) -> bool:
    """Whether a name is in the form of an HTTP header that holds a secret: X-Api-Key, PRIVATE-TOKEN, Cookie."""
    return name.lower() in {"authorization", "cookie"} or (
        "-" in name and name[0] != "-" and (not name.islower() or name.startswith("x-")))


def _is_secret_value(match: re.Match[str], value: str, follows: str) -> bool:
    """Whether a value without quotes is a secret. `token = tokenizer(x)` and `f(token=token1, x=2)` are code."""
    name, sign = match["name"], match["sign"]
    if is_no_value(value) or _EXPRESSION.match(value) or (":" in sign and _TYPE.fullmatch(value)):
        return False
    if match["tag"] or not says_secret(name):  # `!secret wifi_password` of YAML says where it is
        return is_weak_secret(value)
    if looks_random(value) or is_readable_path(value):
        return is_password_name(name) or not is_readable_path(value)
    if sign.strip() not in {"=", ":"} or match["closed"]:
        return False
    if sign != sign.strip() and _NO_SECRET_CONSTANT.match(value):
        return False  # `LONGEST_KEY = 600`, `TOKENS = (`
    return name.isupper() or (follows not in {",", ")"} and _is_short_secret(name, sign, value))


def _is_short_secret(name: str, sign: str, value: str) -> bool:
    """Whether a value without quotes, too short to be told by its looks, is a secret for its name and place."""
    is_password = is_password_name(name)
    if is_password and sign == "=" and not _NAMES_A_SECRET.match(value) and not re.search(r"[()\[\]{}]", value):
        return True  # `user=ann password=geheim`
    return (is_password or sign == "=" or ":" in sign) and looks_random(value, SHORT_SECRET)


class _Rule(NamedTuple):
    kind: str
    without: Callable[[str], str]


_RULES = (  # in this order: what a rule leaves, the next ones look through
    _Rule("a credential", _without_shapes),
    _Rule("a password in a URL", _without_users),
    _Rule("a secret in a URL's query", _without_queries),
    _Rule("a password on a command line", _without_passwords),
    _Rule("a secret as standard input", _without_given),
    _Rule("a secret as default", _without_defaults),
    _Rule("a secret in an expression", _without_lookalikes),
    _Rule("a secret behind an option", _without_arguments),
    _Rule("a secret in a header", _without_bearers),
    _Rule("a secret in a setting", _without_assigned),
    _Rule("a password behind a user", _without_listed_users),
    _Rule("a secret in a list", lambda text: structures.without(text, structures.iter_listed(text), REDACTED)),
    _Rule("a secret beside its name", lambda text: structures.without(text, structures.iter_named(text), REDACTED)),
)


def redact_text(text: str) -> str:
    """`text` with every secret that can be told by its surroundings or its shape replaced by `[redacted]`."""
    for _ in range(ROUNDS):
        before = text
        for rule in _RULES:
            text = rule.without(text)
        if text == before:
            break
    return text


def redact_over_lines(text: str) -> str:
    """`text` without the secrets that lines by themselves do not tell, as a name is on another one; line for line."""
    text = _without_listed_users(_without_defaults(_replace(text, _ONWARD, _onward)))
    for find in (structures.iter_listed, structures.iter_named, structures.iter_blocks):
        text = structures.without(text, find(text), REDACTED)
    return text


def _onward(match: re.Match[str]) -> tuple[int, int, bool]:
    text, at = match.string, match.end()
    begin = max(text.rfind("\n", 0, match.start()) + 1, match.start() - LONG_NAME)
    found = next((one for one in _ASSIGNED.finditer(text, begin, at) if one["onward"] and one.end() == at), None)
    return _assigned(found) if found is not None else (at, at, False)


def redact_url(url: str) -> str:
    """A URL without user info and without secret query values."""
    return _without_queries(_without_users(url))


def find_secret(text: str) -> str | None:
    """What kind of secret `text` seems to hold (`a GitHub token`), or None."""
    if not may_hold_secret(text):
        return None
    return next(_iter_kinds(text), None)


def _iter_kinds(text: str) -> Iterator[str]:
    if _without_shapes(text) != text:
        match = _shapes().search(text)
        group = (match.lastgroup if match else None) or ""
        yield _OTHER_KINDS.get(group) or SHAPES[int(group[1:])].kind
    for rule in _RULES[1:]:
        if rule.without(text) != text:
            yield rule.kind


def may_hold_secret(text: str) -> bool:
    """Whether any rule can apply: a look at a hundred thousand paths has to be quick."""
    if any(start in text for start in _SHAPE_STARTS) or ("://" in text and "@" in text):
        return True
    if ("'-" in text or '"-' in text) and ":" in text:
        return True
    blank = " " in text or "\t" in text
    if not (blank or "=" in text or ":" in text):
        return False
    lowered = text.lower()
    return any(telling in lowered for telling in _TELLING) or (
        blank and (("-" in text and ":" in text) or any(program in text for program in PROGRAMS)))
