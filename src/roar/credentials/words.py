"""Secrets among the words of a command: an option tells of the word behind it, a program of its own options."""

import re
from collections.abc import Sequence

from roar.credentials.table import PROGRAMS, USER_OPTIONS
from roar.credentials.text import ROUNDS, USER_AND_PASSWORD, hide_in_call, is_folder, redact_text, takes_user
from roar.credentials.values import is_no_value, is_secret_argument, is_secret_name, strength_of_option
from roar.model import REDACTED

_OPTION = re.compile(r"(--?[A-Za-z][\w.\-]*+|\+{0,2}[A-Za-z_][\w.\-]*+)=(.*)", re.DOTALL)
_HEADER = re.compile(r"([\w\-]++)(\s*+:\s*+(?:(?:Bearer|Basic|Token|Digest)\s++)?)(\S.*)", re.IGNORECASE | re.DOTALL)
_HEADER_OPTIONS = frozenset({"-H", "--header", "--proxy-header"})
_NO_PROGRAM_BEHIND = frozenset({"-p", "-a", "-P", "-w"})  # `-p mysql` names no program
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "su"})
_SCRIPT_FOLLOWS = re.compile(r"-[a-z]*c")  # `bash -ec SCRIPT`
_PLAIN = re.compile(r"[a-z_+\-]{1,24}")


def redact_words(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a command with secrets replaced, one for one."""
    redacted = tuple(words)
    for _ in range(ROUNDS):
        before, redacted = redacted, _redact_once(redacted)
        if redacted == before:
            break
    return redacted


def _redact_once(words: Sequence[str]) -> tuple[str, ...]:
    redacted: list[str] = []
    known = _in_calls(words)
    before, option, shell = "", "", False
    for word, kept in zip(words, known, strict=True):
        if option and not word.startswith("--") and is_secret_argument(option, word):
            redacted.append(REDACTED)
            before, option = "", ""
            continue
        script = shell and _SCRIPT_FOLLOWS.fullmatch(before)
        redacted.append(kept if kept != word else redact_text(word) if script else _redact_word(word, before))
        before, shell = word, shell or word.rpartition("/")[2] in _SHELLS
        option = word if kept == word and word.startswith("-") and "=" not in word and strength_of_option(word) else ""
    return tuple(redacted)


def _in_calls(words: Sequence[str]) -> list[str]:
    """The words, without the passwords that stand behind the names of well-known programs."""
    kept = list(words)
    before, program = "", ""
    start = len(words)
    for place, word in enumerate(words):
        name = word.rpartition("/")[2]
        if name in PROGRAMS and before not in _NO_PROGRAM_BEHIND:
            kept[start:place] = hide_in_call(PROGRAMS[program], list(words[start:place])) if program else []
            program, start = name, place + 1
        before = word
    if program:
        kept[start:] = hide_in_call(PROGRAMS[program], list(words[start:]))
    return kept


def _redact_word(word: str, before: str) -> str:
    if takes_user(before) and USER_AND_PASSWORD.fullmatch(word):
        return REDACTED
    if before in _HEADER_OPTIONS and (header := _HEADER.fullmatch(word)) and is_secret_name(header[1]) and (
            not is_no_value(header[3])):
        return f"{header[1]}{header[2]}{REDACTED}"
    option = _OPTION.fullmatch(word)
    if option and option[2]:
        if _is_secret_setting(option[1], option[2]) or (
                option[1] in USER_OPTIONS and USER_AND_PASSWORD.fullmatch(option[2])):
            return f"{redact_text(option[1])}={REDACTED}"
    elif word.startswith("-u") and USER_AND_PASSWORD.fullmatch(word, 2):
        return f"-u{REDACTED}"
    return redact_text(word)


def _is_secret_setting(name: str, value: str) -> bool:
    """Whether the word NAME=VALUE gives a secret. `token=char` chooses how to split a text; so do folders of data."""
    if not is_secret_argument(name, value):
        return False
    if name.startswith("-") or name.isupper():
        return True
    last = name.rpartition(".")[2]
    return not (is_folder(name, value) or (last == "token" and _PLAIN.fullmatch(value)))
