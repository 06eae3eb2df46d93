"""Take secrets out of text before it is stored anywhere.

What counts as a secret: the value of a name that says so (`--api-key X`, `TOKEN=X`, `?write_token=X`), user info in a
URL, and strings in the published shapes of well-known credentials. The shapes follow the issuers' own documentation
(GitHub, GitLab, Hugging Face, AWS, Slack, OpenAI, Anthropic, Google, Stripe, npm, PyPI; JSON Web Tokens: RFC 7519).
"""

import re
from collections.abc import Mapping, Sequence

REDACTED = "[redacted]"

_NAMES = (
    r"api[_-]?key|apikey|access[_-]?key|secret[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|"
    r"account[_-]?key|auth[_-]?key|license[_-]?key|token|secret|passwd|password|passphrase|pwd|credentials?|"
    r"client[_-]?secret|authorization|bearer|signature|sas|cookie"
)
_SECRET_NAME = re.compile(rf"(?:^|[_\-.])(?:{_NAMES})(?:$|[_\-.\d])|(?:^|[_\-.])(?:key|pat)$", re.IGNORECASE)
_NOT_SECRET_NAME = re.compile(
    r"(?:max|min|num|new|n|special|pad|eos|bos|unk|mask|sep|cls|stop|image|per|add|use|total|tokens?|vocab|prompt|"
    r"completion|sort|group|join|partition|primary|foreign|label|dict|column|feature|target|index|map)[_-]"
    r"(?:key|tokens?)$|tokens$|tokeni[sz]e|token[_-](?:ids?|type|count|limit|length|budget|dropout|embed\w*|dim)",
    re.IGNORECASE,
)
_OPTION = re.compile(r"^(--?[A-Za-z][\w.\-]*|\+{0,2}[A-Za-z_][\w.\-]*)(=)(.*)$", re.DOTALL)
_URL_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://)([^/\s?#@'\"]*)@")
_QUERY = re.compile(r"([?&;#])([\w.\-]+)=([^&;#\s'\"]+)")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][\w.\-]*)(?P<sign>\"?'?\s*[=:]\s*[\"']?)(?P<value>[^\s\"'&;,}]+)")
_OPTION_IN_TEXT = re.compile(r"(?<!\S)(--?[A-Za-z][\w.\-]*)(\s+)(?!-)([^\s;|&]+)")
_BEARER = re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=\-]{8,}", re.IGNORECASE)
_SHAPES = re.compile(
    r"""
    \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,} | \bglpat-[\w\-]{16,} | \bhf_[A-Za-z0-9]{20,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b | \bxox[abeoprs]-[A-Za-z0-9\-]{10,} | \bsk-[A-Za-z0-9_\-]{20,}
    | \b[rs]k_(?:live|test)_[A-Za-z0-9]{16,} | \bAIza[\w\-]{35}\b | \bya29\.[\w\-]{20,} | \bnpm_[A-Za-z0-9]{30,}
    | \bpypi-[\w\-]{40,} | \bdckr_pat_[\w\-]{20,} | \bdapi[0-9a-f]{32}\b | \bwandb_v\d_\w{20,} | \blin_api_\w{20,}
    | \beyJ[\w\-]{8,}\.eyJ[\w\-]{8,}\.[\w\-]*
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----(?:.*?-----END\ [A-Z\ ]*PRIVATE\ KEY-----|.*)
    """,
    re.VERBOSE | re.DOTALL,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable, option or field of this name is taken to hold a secret."""
    if name in {"PWD", "OLDPWD"}:  # the shell's working folders
        return False
    return bool(_SECRET_NAME.search(name)) and not _NOT_SECRET_NAME.search(name)


def redact_text(text: str) -> str:
    """`text` with every secret that can be told by its surroundings or its shape replaced by `[redacted]`."""
    if "://" in text:
        text = _URL_USER.sub(_without_user, text)
        text = _QUERY.sub(_without_value, text)
    text = _OPTION_IN_TEXT.sub(_without_argument, text)
    text = _BEARER.sub(rf"\1 {REDACTED}", text)
    text = _ASSIGNMENT.sub(_without_assigned, text)
    return _SHAPES.sub(REDACTED, text)


def _without_user(match: re.Match[str]) -> str:
    scheme, user = match.groups()
    if user == "git" or (":" not in user and scheme.lower() in {"ssh://", "git+ssh://"}):
        return match.group(0)  # a login name that everyone uses, with no password
    return scheme


def _without_value(match: re.Match[str]) -> str:
    mark, name, _ = match.groups()
    return f"{mark}{name}={REDACTED}" if is_secret_name(name) or name.lower() == "x-amz-signature" else match.group(0)


def _without_argument(match: re.Match[str]) -> str:
    option, space, _ = match.groups()
    return f"{option}{space}{REDACTED}" if is_secret_name(option.lstrip("-")) else match.group(0)


def _without_assigned(match: re.Match[str]) -> str:
    if not is_secret_name(match["name"]) or match["value"].startswith(REDACTED):
        return match.group(0)
    if not match["name"].isupper() and not _looks_random(match["value"]):
        return match.group(0)  # `token = tokenizer(...)` is code
    if match["value"] in {"None", "null", "true", "false", "True", "False"} or match["value"].startswith(("$", "//")):
        return match.group(0)
    return f"{match['name']}{match['sign']}{REDACTED}"


def _looks_random(value: str) -> bool:
    """Whether a value is more likely a credential than an expression: long, of one piece, letters and digits."""
    plain = len(value) >= 12 and re.fullmatch(r"[A-Za-z0-9_\-./+=~!@#$%^*:]+", value)  # noqa: PLR2004  bytes of a key
    return bool(plain) and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def redact_command(command: Sequence[str]) -> tuple[str, ...]:
    """The arguments of a command with secrets replaced, one for one."""
    redacted: list[str] = []
    secret_follows = False
    for word in command:
        if secret_follows and not word.startswith("--"):
            redacted.append(REDACTED)
            secret_follows = False
            continue
        redacted.append(_redact_word(word))
        secret_follows = word.startswith("-") and "=" not in word and is_secret_name(word.lstrip("-"))
    return tuple(redacted)


def _redact_word(word: str) -> str:
    option = _OPTION.match(word)
    if option and is_secret_name(option[1].lstrip("-+")) and option[3]:
        return f"{option[1]}={REDACTED}"
    return redact_text(word)


def redact_url(url: str) -> str:
    """A URL without user info and without secret query values."""
    return _QUERY.sub(_without_value, _URL_USER.sub(_without_user, url))


def redact_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without the values whose key, or whose shape, says that they are secrets."""
    return {key: REDACTED if is_secret_name(key) else redact_text(value) for key, value in labels.items()}
