"""What the name of a setting says of its value, and whether a value looks like a secret."""

import functools
import re

from roar.credentials.table import (
    ABOUT_ENDS,
    NAMES_OF_FOLDERS,
    NO_SECRET_AFTER,
    NO_SECRET_BEFORE,
    PASS_OWNERS,
    SECRET_ENDS,
    SECRET_OPTIONS,
    SECRET_PARTS,
    WEAK_ENDS,
)
from roar.model import REDACTED


def _any_of(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(word).replace("_", "[_-]?") for word in words)


LONG_NAME = 200  # characters of a name's end that are looked at
_SECRET_NAME = re.compile(
    rf"(?:^|[_\-.])(?:{_any_of(SECRET_PARTS)})(?:$|[_\-.\d])"
    rf"|(?:^|[_\-.])(?:{_any_of(PASS_OWNERS)})[_\-.](?:pass|auth)$"
    rf"|(?:{_any_of(SECRET_ENDS)})\d*$", re.IGNORECASE)
_WEAK_NAME = re.compile(rf"(?:^|[_\-.])(?:{_any_of(WEAK_ENDS)})$", re.IGNORECASE)
_ABOUT_A_SECRET = re.compile(rf"[_\-.](?:{_any_of(ABOUT_ENDS)})$", re.IGNORECASE)
_PASSWORD_NAME = re.compile(r"(?:pass|passwd|password|passphrase|pwd)\d*$", re.IGNORECASE)


_TOKENS = re.compile(r"(?:^|[_\-.])tokens\d*$", re.IGNORECASE)
_PLURAL_PASSWORD = re.compile(r"(?:passwd|password|passphrase|pwd)s\d*$", re.IGNORECASE)


@functools.cache
def _no_secret_name() -> re.Pattern[str]:
    """Made when it is asked for, as the others that are functions: half the time that all patterns take is theirs."""
    return re.compile(rf"(?:^|[_\-.])(?:{_any_of(NO_SECRET_BEFORE)})[_-]?(?:key|tokens?)$|tokens$|tokeni[sz]e"
                      rf"|token[_-](?:{_any_of(NO_SECRET_AFTER)})", re.IGNORECASE)


@functools.cache
def _no_secret_tokens() -> re.Pattern[str]:
    return re.compile(rf"(?:^|[_\-.])(?:{_any_of(NO_SECRET_BEFORE)})[_-]?tokens\d*$", re.IGNORECASE)


SHORT_SECRET = 6  # characters of an unquoted value
SEGMENT_SECRET = 8  # characters of a folder's name
LONG_SECRET = 12  # characters of a value that is told by its looks alone
_LONG_WORD = 24  # letters; longer ones are no word of a language
LITERAL_LENGTH = 4  # characters; a shorter one between quotes is no secret
_PLACEHOLDER = re.compile(
    r"\$.*|\{.*\}|<.*>|\[[A-Za-z_]+\]\W*|%\(?\w+\)?s?|None|null|nil|true|false|True|False|\.{3}|…|\*+|x{3,}"
    rf"|redacted|{re.escape(REDACTED)}(?:\W.*)?", re.DOTALL)
_RANDOM = re.compile(r"[A-Za-z0-9_\-./+=~!@#$%^*:]+")
_BETWEEN_WORDS = re.compile(r"[^A-Za-z0-9]+")
_READABLE = re.compile(  # group, epoch10, 2024, 7b
    r"[A-Za-z]*\d{0,4}|\d{1,8}[A-Za-z]{0,2}|[A-Za-z]\d{1,4}[A-Za-z]{0,2}")
PATH_START = re.compile(r"\.{0,2}/|~/|[A-Za-z][A-Za-z0-9+.\-]*://")
_FILE_END = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$|/$")


# ------------------------------------------------------------------------------------------------------- names


@functools.lru_cache(maxsize=1024)
def _strength(name: str) -> int:
    strong = bool(_SECRET_NAME.search(name))
    if not (strong or _WEAK_NAME.search(name)) or name in NAMES_OF_FOLDERS or _no_secret_name().search(name):
        return 0
    return 1 if not strong or _ABOUT_A_SECRET.search(name) else 2


def strength_of_name(name: str) -> int:
    """What a variable, option or field of this name holds: 2 a secret, 1 one if the value looks like one, 0 none."""
    return _strength(name[-LONG_NAME:])


def is_secret_name(name: str) -> bool:
    """Whether a variable, option or field of this name may hold a secret."""
    return strength_of_name(name) > 0


def says_secret(name: str) -> bool:
    """Whether whatever is the value of this name is a secret."""
    return strength_of_name(name) > 1


def strength_of_option(option: str) -> int:
    """The same for an option as it is typed, with its dashes."""
    name = option.lstrip("-+")
    return 2 if option.startswith("-") and name.lower() in SECRET_OPTIONS else strength_of_name(name)


# ------------------------------------------------------------------------------------------------------ values


def is_password_name(name: str) -> bool:
    """Whether a name says that its value is a password: one may be short, or look like a path."""
    return bool(_PASSWORD_NAME.search(name))


def is_no_value(value: str) -> bool:
    """Whether a value only stands for one: a variable, a constant, or what was redacted before."""
    return bool(_PLACEHOLDER.fullmatch(value))


def looks_random(value: str, length: int = LONG_SECRET) -> bool:
    """Whether a value is more likely a credential than an expression: long, of one piece, letters and digits."""
    return (len(value) >= length and bool(_RANDOM.fullmatch(value)) and bool(re.search(r"\d", value))
            and bool(re.search(r"[A-Za-z]", value)))


def is_readable(value: str) -> bool:
    """Whether a value is made of words and numbers, as names of folders are: `group_a_2024`, `epoch-10`, `7b`."""
    return all(len(piece) <= _LONG_WORD and _READABLE.fullmatch(piece) for piece in _BETWEEN_WORDS.split(value))


def is_path(value: str) -> bool:
    """Whether a value has the form of a path: it begins as one, or has folders and ends as the name of a file does."""
    return bool(PATH_START.match(value) or ("/" in value and _FILE_END.search(value[-SEGMENT_SECRET - 1:])))


def is_readable_path(value: str) -> bool:
    """Whether a value begins as a path and is made of words: the place of a secret rather than one."""
    return bool(PATH_START.match(value)) and is_readable(value)


def is_weak_secret(value: str) -> bool:
    """Whether the value of a name that says little is a secret."""
    return looks_random(value) and not is_readable(value) and not is_path(value)


def may_list_secrets(name: str) -> bool:
    """Whether what a list of this name holds may be secrets. Of `tokens` those that are no pieces of a text are."""
    name = name[-LONG_NAME:]
    return is_secret_name(name) or bool(_TOKENS.search(name) and not _no_secret_tokens().search(name))


def is_listed_secret(name: str, value: str) -> bool:
    """Whether one of the values of a name is a secret: `tokens = ["X", "Y"]`. It looks like one, or is a password."""
    if not may_list_secrets(name) or is_no_value(value) or is_readable_path(value):
        return False
    if says_secret(name):
        is_password = is_password_name(name) or _PLURAL_PASSWORD.search(name)
        return len(value) >= LITERAL_LENGTH if is_password else looks_random(value, SHORT_SECRET)
    return is_weak_secret(value) and not (_TOKENS.search(name) and "/" in value)


def is_secret_argument(option: str, value: str) -> bool:
    """Whether the value of an option or setting is a secret, as it is typed, quotes included."""
    strength, value = strength_of_option(option), value.strip("\"'")
    if strength == 0 or not value or is_no_value(value) or value.startswith("<<<") or value == "<-":
        return False
    if strength == 1:
        return is_weak_secret(value)
    return is_password_name(option) or not is_readable_path(value)
