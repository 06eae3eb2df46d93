"""Take secrets out of text before it is stored anywhere.

What counts as a secret: the value of a name that says so (`--api-key X`, `TOKEN=X`, `?write_token=X`,
`{"password": "X"}`), user info in a URL, `-u user:password`, the options by which well-known programs take a password
(`mysql -pX`, `sshpass -p X`, `docker login -p X`), and strings in the published shapes of well-known
credentials. The shapes follow the issuers' own documentation (GitHub, GitLab, Hugging Face, AWS, Slack, OpenAI,
Anthropic, Google, Stripe, npm, PyPI; JSON Web Tokens: RFC 7519).

The paths of files are not looked through: a path says which file it was, and a record with another path would be
wrong. A file that is *named* like a credential is recorded under that name; `roar.wire.without_secrets` takes the
secret out of it, and out of everything else, before anything is published or exported.

Every rule takes time in proportion to the length of the text, whatever the text is: arguments and patches come from
anywhere, and arguments are looked through before the command starts. Runs of characters are therefore matched
possessively (`++`), from their beginning only.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from roar.model import REDACTED

_NAMES = (
    r"api[_-]?key|apikey|access[_-]?key|secret[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|"
    r"account[_-]?key|auth[_-]?key|license[_-]?key|token|secret|passwd|password|passphrase|pwd|credentials?|"
    r"client[_-]?secret|authorization|bearer|signature|sas|cookie"
)
_LONG_NAME = 200  # characters of a name's end that are looked at
_SECRET_NAME = re.compile(
    rf"(?:^|[_\-.])(?:{_NAMES})(?:$|[_\-.\d])"
    r"|(?:^|[_\-.])(?:db|user|http|https|ftp|proxy|smtp|imap|ssh|admin|root|basic|mail|email)[_-](?:pass|auth)$"
    r"|(?:password|passwd|passphrase|secret|token|apikey|(?:secret|private|access|account|auth|signing)key)\d*$",
    re.IGNORECASE)
_NOT_SECRET_NAME = re.compile(
    r"(?:^|[_\-.])(?:max|min|num|new|n|special|pad|eos|bos|unk|mask|sep|cls|stop|image|per|add|use|total|tokens?|vocab|"
    r"prompt|completion|sort|group|join|partition|primary|foreign|label|dict|column|feature|target|index|map|next|prev|"
    r"previous|last|first|start|end|begin|input|output|current|cur|audio|video|sub|de|bad|special|word|text)[_-]?"
    r"(?:key|tokens?)$|tokens$|tokeni[sz]e|token[_-](?:ids?|type|count|limit|length|budget|dropout|embed\w*|dim)",
    re.IGNORECASE,
)
_SECRET_OPTIONS = frozenset({"pass", "auth"})
_PLAIN_KEY = re.compile(r"(?:^|[_\-.])(?:key|pat)$", re.IGNORECASE)  # `key="name"` is more often code than a secret
_ABOUT_A_SECRET = re.compile(
    r"[_\-.](?:file|path|url|uri|dir|name|field|env|var|header|prompt|help|id|type|regex|pattern|format|len|length|size)$",
    re.IGNORECASE)
_PASSWORD_NAME = re.compile(r"(?:pass|passwd|password|passphrase|pwd)\d*$", re.IGNORECASE)
_SIGNED_QUERY = frozenset({"sig", "x-amz-signature", "x-goog-signature"})

_OPTION = re.compile(r"(--?[A-Za-z][\w.\-]*+|\+{0,2}[A-Za-z_][\w.\-]*+)=(.*)", re.DOTALL)
_URL_USER = re.compile(r"://(?!\[\^)([^/\s?#'\"]*)@")
_QUERY = re.compile(r"([?&;#])([\w.\-]++)=([^&;#\s'\"]++)")
_OPTION_IN_TEXT = re.compile(r"(?<![^\s\"'`(\[])(--?[A-Za-z][\w.\-]*+)(?:[ \t]|\\\r?\n)++(?![-=:])")
_ARGUMENT = re.compile(r"\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|[^\s;|&\"'`)]++", re.DOTALL)
_VARIABLE = re.compile(r"\"?\$(?:\w+|\{\w+\})\"?")
_USER_AND_PASSWORD = re.compile(r"[\"']?(?!\d+:\d+(?!\S))[\w.@+%\-]++:(?![/~.$])[^\s\"';|&]++[\"']?")
_USER_OPTIONS = frozenset({"-u", "-U", "--user", "--proxy-user"})
_HEADER_OPTIONS = frozenset({"-H", "--header", "--proxy-header"})
_MYSQL = (frozenset({"-p"}), frozenset[str]())
_SHORT = (frozenset({"-p"}), frozenset({"-p"}))
_PASSWORD_OPTIONS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {  # joined with the value; before the value
    **dict.fromkeys(("mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlshow", "mariadb", "mariadb-dump",
                     "mariadb-admin", "7z", "7za", "7zz", "rar", "unrar"), _MYSQL),
    **dict.fromkeys(("sshpass", "login", "mongo", "mongosh", "mongodump", "mongorestore", "mongoexport",
                     "mongoimport"), _SHORT),  # `login` of docker, podman, az, helm
    "redis-cli": (frozenset(), frozenset({"-a"})),
    "openssl": (frozenset({"pass:"}), frozenset({"-k", "-K"})),
    "zip": (frozenset({"-P"}), frozenset({"-P"})),
    "unzip": (frozenset({"-P"}), frozenset({"-P"})),
    "sqlcmd": (frozenset({"-P"}), frozenset({"-P"})),
    "bcp": (frozenset({"-P"}), frozenset({"-P"})),
    "ldapsearch": (frozenset({"-w"}), frozenset({"-w"})),
    "ldapmodify": (frozenset({"-w"}), frozenset({"-w"})),
}
_CALL = re.compile(rf"(?<![\w.\-])(?P<program>{'|'.join(map(re.escape, _PASSWORD_OPTIONS))})(?=[ \t])[^;|&\n\r]*+")
_WORD = re.compile(r"(?:\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|[^\s\"'`)])++")
_BEARER = re.compile(r"\b(Bearer|Basic|Token)([ \t]{1,8})([A-Za-z0-9._~+/=\-]{8,}+)", re.IGNORECASE)
_HEADER = re.compile(r"([\w\-]++)(\s*+:\s*+(?:(?:Bearer|Basic|Token|Digest)\s++)?)(\S.*)", re.IGNORECASE | re.DOTALL)

_ASSIGNED = re.compile(
    r"""
    (?<![\w.\-]) (?P<name>[\w.\-]++)
    (?P<closed>\\{0,2}["'`])? \]?
    (?P<sign>
        (?: [ \t]{0,8} : [ \t]{0,8} [A-Za-z_.]{1,40} (?:\[[\w.,|\ ]{0,60}\])? (?:[ ]?\|[ ]?\w{1,20}){0,3}
            (?=[ \t]{0,8}=) )?  # a type
        [ \t]{0,8} (?: := | => | ={1,3} | != | : ) [ \t]{0,8}
      | (?<=["'`]) [ \t]{0,8} , [ \t]{0,8}
    )
    (?P<open>[bBrRuUfF]{0,2}\\{0,2}(?:\"\"\"|'''|["'`]))?
    """,
    re.VERBOSE,
)
_VALUE = re.compile(r"[^\s\"'`&;,}]++")
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
_SETTER = re.compile(r"(?:set|get|put|env|header)\w{0,20}\([ \t]{0,4}[bru]?[\"']$", re.IGNORECASE)
_SETTER_REACH = 40  # characters before a name in which the call that sets it is looked for
_LITERAL_LENGTH = 4  # characters; a shorter one between quotes is no secret
_SHORT_SECRET = 6  # characters of an unquoted value
_LONG_SECRET = 12  # characters of a value that is told by its looks alone
_PLACEHOLDER = re.compile(
    r"\$.*|//.*|\{.*\}|<.*>|\[[A-Za-z_]+\]\W*|%\(?\w+\)?s?|None|null|nil|true|false|True|False|\.{3}|\*+", re.DOTALL)
_TYPE = re.compile(
    r"(?:str|bytes|string|bool|any|object|char|number|u?int\d*|b?float\d*|complex\d*|Optional\b.*|SecretStr|Final)",
    re.IGNORECASE)
_EXPRESSION = re.compile(r"[A-Za-z_][\w.]*+[(\[]")  # a call or an index
_NO_SECRET_CONSTANT = re.compile(r"\d{1,5}(?:\.\d*)?$|[(\[{]")
_NAMES_A_SECRET = re.compile(r"(?:self|cls|config|cfg|args|settings|os|env)\.|.*(?:pass|pwd?$|secret)", re.IGNORECASE)
_RANDOM = re.compile(r"[A-Za-z0-9_\-./+=~!@#$%^*:]+")
_PEM_BEGIN = r"-----BEGIN\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----"
_PEM_END = r"-----END\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----"
_SHAPES = re.compile(
    rf"""
    \bgh[pousr]_[A-Za-z0-9]{{20,}}+ | \bgithub_pat_\w{{20,}}+ | \bglpat-[\w\-]{{16,}}+ | \bhf_[A-Za-z0-9]{{20,}}+
    | \b(?:AKIA|ASIA)[A-Z0-9]{{16}}\b | \bxox[abeoprs]-[A-Za-z0-9\-]{{10,}}+ | \bsk-[A-Za-z0-9_\-]{{20,}}+
    | \b[rs]k_(?:live|test)_[A-Za-z0-9]{{16,}}+ | \bAIza[\w\-]{{35}}\b | \bya29\.[\w\-]{{20,}}+
    | \bnpm_[A-Za-z0-9]{{30,}}+ | \bpypi-[\w\-]{{40,}}+ | \bdckr_pat_[\w\-]{{20,}}+ | \bdapi[0-9a-f]{{32}}\b
    | \bwandb_v\d_\w{{20,}}+ | \blin_api_\w{{20,}}+
    | (?:(?<![\w\-])eyJ[\w\-]{{8,}}+|\beyJ[\w\-]{{8,300}}+)\.eyJ[\w\-]{{8,}}+\.[\w\-]*+
    | {_PEM_BEGIN}(?:.*?{_PEM_END}|.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_SHAPE_STARTS = ("gh", "github_", "glpat-", "hf_", "AKIA", "ASIA", "xox", "sk-", "k_live_", "k_test_", "AIza", "ya29",
                 "npm_", "pypi-", "dckr_", "dapi", "wandb_v", "lin_api", "eyJ", "-----BEGIN")
_KEY_BEGINS, _KEY_ENDS = re.compile(_PEM_BEGIN), re.compile(_PEM_END)
_KEY_BODY = re.compile(r"\s*[\"']?[A-Za-z0-9+/=]{4,100}(?:\\n)?[\"']?,?\s*")
_HUNK = re.compile(r"(@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@)(.*)", re.DOTALL)


@functools.lru_cache(maxsize=1024)
def _says_secret(name: str) -> bool:
    if name in {"PWD", "OLDPWD"}:  # the shell's working folders
        return False
    return bool(_SECRET_NAME.search(name) or _PLAIN_KEY.search(name)) and not _NOT_SECRET_NAME.search(name)


def is_secret_name(name: str) -> bool:
    """Whether a variable, option or field of this name is taken to hold a secret."""
    return _says_secret(name[-_LONG_NAME:])


def _is_plain_key(name: str) -> bool:
    return not _SECRET_NAME.search(name[-_LONG_NAME:]) and bool(_PLAIN_KEY.search(name[-_LONG_NAME:]))


def redact_text(text: str) -> str:
    """`text` with every secret that can be told by its surroundings or its shape replaced by `[redacted]`."""
    if any(start in text for start in _SHAPE_STARTS):
        text = _SHAPES.sub(REDACTED, text)
    if "://" in text:
        text = redact_url(text)
    if "-" in text:
        text = _replace(text, _OPTION_IN_TEXT, _argument)
        if any(program in text for program in _PASSWORD_OPTIONS):
            text = _CALL.sub(_without_password, text)
    text = _BEARER.sub(_without_bearer, text)
    if "=" in text or ":" in text or "," in text:
        text = _replace(text, _ASSIGNED, _assigned)
    return text


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


def _without_user(match: re.Match[str]) -> str:
    user = match[1]
    if user == "git" or (":" not in user and match.string.endswith(("ssh", "SSH"), 0, match.start())):
        return match[0]  # a login name that everyone uses, with no password
    return "://"


def _without_value(match: re.Match[str]) -> str:
    mark, name, _ = match.groups()
    return f"{mark}{name}={REDACTED}" if is_secret_name(name) or name.lower() in _SIGNED_QUERY else match[0]


def _without_bearer(match: re.Match[str]) -> str:
    scheme, space, value = match.groups()
    if scheme.lower() != "bearer" and not re.search(r"\d|=$|[a-z][A-Z]", value):
        return match[0]  # `basic training`, `token embedding`
    return f"{scheme}{space}{REDACTED}"


def _without_password(call: re.Match[str]) -> str:
    """A call of a well-known program in a text, without the password among its words."""
    program, before = call["program"], ""

    def replaced(word: re.Match[str]) -> str:
        nonlocal before
        one, before = _password_word(word[0], before, program), word[0]
        return one

    return program + _WORD.sub(replaced, call[0][len(program):])


def _password_word(word: str, before: str, program: str) -> str:
    """A word behind a program of _PASSWORD_OPTIONS, without what is a password there."""
    joined, apart = _PASSWORD_OPTIONS[program]
    if before in apart and not word.startswith("-") and not _VARIABLE.fullmatch(word):
        return REDACTED
    for option in joined:
        if word.startswith(option) and len(word) > len(option) and not _VARIABLE.fullmatch(word, len(option)):
            return f"{option}{REDACTED}"
    return word


def _is_secret_option(option: str) -> bool:
    name = option.lstrip("-+")
    return is_secret_name(name) or (option.startswith("-") and name.lower() in _SECRET_OPTIONS)


def _argument(match: re.Match[str]) -> tuple[int, int, bool]:
    text, at = match.string, match.end()
    if match[1] in _USER_OPTIONS:
        value = _USER_AND_PASSWORD.match(text, at)
    else:
        value = _ARGUMENT.match(text, at) if _is_secret_option(match[1]) else None
    if value is None or _VARIABLE.fullmatch(value[0]):
        return at, at, False
    return at, value.end(), True


def _assigned(match: re.Match[str]) -> tuple[int, int, bool]:
    """Where the value of an assignment lies, and whether it is a secret."""
    text, at, name = match.string, match.end(), match["name"]
    if not is_secret_name(name):
        return _short_name(match) or (at, at, False)
    if match["open"]:
        literal = _literal(text, at, match["open"].lstrip("bBrRuUfF"))
        if literal is not None:
            secret = _is_secret_literal(match, literal[0])
            return at, literal[1] if secret else at, secret
    if ":" in match["sign"] and _is_header(name):
        rest = _REST_OF_HEADER.match(text, at)
        if rest and not _is_no_value(rest[1]) and not _TYPE.fullmatch(rest[1].split()[0]):
            return rest.start(1), rest.end(), True
    value = _VALUE.match(text, at)
    if value is None or "," in match["sign"]:
        return at, at, False
    return at, value.end(), _is_secret_value(match, value[0], text[value.end():value.end() + 1])


def _short_name(match: re.Match[str]) -> tuple[int, int, bool] | None:
    """`{"pass": "X"}`, where X looks like a password: `{"pass": "green"}` is a result."""
    if match["name"] != "pass" or not (match["closed"] and match["open"]):
        return None
    literal = _literal(match.string, match.end(), match["open"].lstrip("bBrRuUfF"))
    return (match.end(), literal[1], True) if literal and _looks_random(literal[0], _SHORT_SECRET) else None


def _literal(text: str, at: int, quote: str) -> tuple[str, int] | None:
    """What stands between quotes from `at` on, and where it ends; None where the quote rather ended a string."""
    found = (_ESCAPED_LITERAL if quote.startswith("\\") else _LITERALS[quote]).match(text, at)
    return None if found is None or found[1].startswith(_AFTER_A_STRING) else (found[1], found.end(1))


def _is_secret_literal(match: re.Match[str], value: str) -> bool:
    name, sign = match["name"], match["sign"].strip()
    if _is_no_value(value) or ("{" in value and "f" in (match["open"] or "").lower() and not _looks_random(value)):
        return False
    if sign == "," and _is_plain_key(name):
        return False
    said = not _is_plain_key(name) and not _ABOUT_A_SECRET.search(name) and sign not in {"==", "===", "!="}
    if sign == ",":
        before = match.string[max(0, match.start() - _SETTER_REACH):match.start()]
        said = said and not value.startswith("-") and bool(_SETTER.search(before))
    return _looks_random(value) or (said and (len(value) >= _LITERAL_LENGTH or (name.isupper() and bool(value))))


def _is_header(name: str) -> bool:
    """Whether a name is in the form of an HTTP header that holds a secret: X-Api-Key, PRIVATE-TOKEN, Cookie."""
    return name in {"Authorization", "Cookie"} or (
        "-" in name and name[0] != "-" and (not name.islower() or name.startswith("x-")))


def _is_secret_value(match: re.Match[str], value: str, follows: str) -> bool:
    """Whether a value without quotes is a secret. `token = tokenizer(x)` and `f(token=token1, x=2)` are code."""
    name, sign = match["name"], match["sign"]
    if _is_no_value(value) or _EXPRESSION.match(value) or (":" in sign and _TYPE.fullmatch(value)):
        return False
    if _looks_random(value):
        return True
    if sign.strip() not in {"=", ":"} or match["closed"]:
        return False
    if sign != sign.strip() and _NO_SECRET_CONSTANT.match(value):
        return False  # `LONGEST_KEY = 600`, `TOKENS = (`
    return name.isupper() or (
        not _is_plain_key(name) and follows not in {",", ")"} and _is_short_secret(name, sign, value))


def _is_short_secret(name: str, sign: str, value: str) -> bool:
    """Whether a value without quotes, too short to be told by its looks, is a secret for its name and place."""
    is_password = bool(_PASSWORD_NAME.search(name))
    if is_password and sign == "=" and not _NAMES_A_SECRET.match(value) and not re.search(r"[()\[\]{}]", value):
        return True  # `user=ann password=geheim`
    return (is_password or sign == "=" or ":" in sign) and _looks_random(value, _SHORT_SECRET)


def _is_no_value(value: str) -> bool:
    """Whether a value only stands for one: a variable, a constant, or what was redacted before."""
    return bool(_PLACEHOLDER.fullmatch(value))


def _looks_random(value: str, length: int = _LONG_SECRET) -> bool:
    """Whether a value is more likely a credential than an expression: long, of one piece, letters and digits."""
    return (len(value) >= length and bool(_RANDOM.fullmatch(value)) and bool(re.search(r"\d", value))
            and bool(re.search(r"[A-Za-z]", value)))


def redact_command(command: Sequence[str]) -> tuple[str, ...]:
    """The arguments of a command with secrets replaced, one for one."""
    redacted: list[str] = []
    before, program, secret_follows = "", "", False
    for word in command:
        if secret_follows and not word.startswith("--"):
            redacted.append(REDACTED)
            before, secret_follows = "", False
            continue
        known = _password_word(word, before, program) if program else word
        redacted.append(_redact_word(word, before) if known == word else known)
        name = word.rpartition("/")[2]
        program = name if name in _PASSWORD_OPTIONS and before not in {"-p", "-a", "-P", "-w"} else program
        before, secret_follows = word, word.startswith("-") and "=" not in word and _is_secret_option(word)
    return tuple(redacted)


def _redact_word(word: str, before: str) -> str:
    if before in _USER_OPTIONS and _USER_AND_PASSWORD.fullmatch(word):
        return REDACTED
    if before in _HEADER_OPTIONS and (header := _HEADER.fullmatch(word)) and is_secret_name(header[1]):
        return f"{header[1]}{header[2]}{REDACTED}"
    option = _OPTION.fullmatch(word)
    if option and option[2]:
        if _is_secret_option(option[1]) or (option[1] in _USER_OPTIONS and _USER_AND_PASSWORD.fullmatch(option[2])):
            return f"{option[1]}={REDACTED}"
    elif word.startswith("-u") and _USER_AND_PASSWORD.fullmatch(word, 2):
        return f"-u{REDACTED}"
    return redact_text(word)


def redact_url(url: str) -> str:
    """A URL without user info and without secret query values."""
    return _QUERY.sub(_without_value, _URL_USER.sub(_without_user, url))


def redact_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without the values whose key, or whose shape, says that they are secrets."""
    return {key: REDACTED if is_secret_name(key) else redact_text(value) for key, value in labels.items()}


def redact_patch(patch: str) -> str:
    """A patch in git's form without secrets, line for line: prefixes, hunks and their counts stay as they are.

    Changed lines, the context around them and the text behind a hunk's second `@@` are looked through; a private key
    goes as a whole. The names of files stay, and so does binary data. Where a secret stood on a context or a removed
    line, the patch no longer applies there by itself.
    """
    lines = patch.split("\n")
    at = 0
    while at < len(lines):
        hunk = _HUNK.fullmatch(lines[at])
        at += 1
        if hunk is None:
            continue
        lines[at - 1] = hunk[1] + redact_text(hunk[4])
        end = _end_of_hunk(lines, at, int(hunk[2] or 1), int(hunk[3] or 1))
        lines[at:end] = _redact_hunk(lines[at:end])
        at = end
    return "\n".join(lines)


def _end_of_hunk(lines: Sequence[str], at: int, old: int, new: int) -> int:
    while at < len(lines) and (old > 0 or new > 0 or lines[at].startswith("\\")):
        old -= lines[at][:1] in {"-", " ", ""}
        new -= lines[at][:1] in {"+", " ", ""}
        at += 1
    return at


def _redact_hunk(lines: list[str]) -> list[str]:
    cut: list[tuple[int, int] | None] = [(0, 0)] * len(lines)
    if any("PRIVATE KEY" in line for line in lines):
        for side in ("-", "+"):
            for index, span in _key_spans([(i, line[1:]) for i, line in enumerate(lines) if line[:1] in {side, " "}]):
                cut[index] = span
    return [_redact_line(line, span) for line, span in zip(lines, cut, strict=True)]


def _redact_line(line: str, span: tuple[int, int] | None) -> str:
    if line.startswith("\\"):
        return line  # "\ No newline at end of file"
    prefix, text, end = line[:1], line[1:].removesuffix("\r"), "\r" if line[1:].endswith("\r") else ""
    if span is None:
        return prefix + REDACTED + end
    start, stop = span
    if stop == 0:
        return prefix + redact_text(text) + end
    return prefix + redact_text(text[:start]) + REDACTED + redact_text(text[stop:]) + end


def _key_spans(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, tuple[int, int] | None]]:
    """The lines of one side of a hunk that belong to a private key: which part of each, or None for all of it."""
    inside = False
    for place, (index, text) in enumerate(lines):
        begins, ends = _KEY_BEGINS.search(text), _KEY_ENDS.search(text)
        if inside:
            yield index, (0, ends.end()) if ends else None
            inside = ends is None
        elif begins:
            inside = not _KEY_ENDS.search(text, begins.end())
            if inside:
                yield index, (begins.start(), len(text))
        elif ends:  # a key that began above the hunk
            for before, body in reversed(lines[:place]):
                if not _KEY_BODY.fullmatch(body):
                    break
                yield before, None
                yield index, (0, ends.end())
