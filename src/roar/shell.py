"""Words of a command as they are shown to a person, who pastes them into a shell; and such a command read again."""

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_PLAIN = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_SPECIAL_IN_DOUBLE_QUOTES = re.compile(r'["$`\\!]')
_NAMED = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\", "'": r"\'"}
_PIECE = re.compile(r"""\$'((?:[^'\\]|\\.)*)'|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\])""", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_MEANT = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class Word(NamedTuple):
    """One word of a command, and where it stands in its text."""

    text: str
    start: int
    end: int


def quoted(word: str) -> str:
    r"""`word` as one word for a shell, printable and on one line.

    What cannot be printed (control characters, bytes that are not UTF-8) is written in octal inside `$'…'`, which
    POSIX.1-2024, bash, zsh and ksh read; `\xHH` may swallow the digit behind it.
    """
    if _PLAIN.fullmatch(word):
        return word
    if not word.isprintable():
        return f"$'{''.join(map(_escaped, word))}'"
    if "'" not in word:
        return f"'{word}'"
    if not _SPECIAL_IN_DOUBLE_QUOTES.search(word):
        return f'"{word}"'
    return "'" + word.replace("'", "'\"'\"'") + "'"


def quoted_path(path: str) -> str:
    """A path as a word that no program takes for an option."""
    return quoted(f"./{path}" if path.startswith("-") else path)


def joined(words: Sequence[str]) -> str:
    """A command as one would type it."""
    return " ".join(map(quoted, words))


def _escaped(letter: str) -> str:
    if letter in _NAMED:
        return _NAMED[letter]
    return letter if letter.isprintable() else "".join(f"\\{byte:03o}" for byte in os.fsencode(letter))


def iter_words(command: str) -> Iterator[Word]:
    """The words of a command that was quoted by `quoted` or `shlex.quote`; nothing is expanded."""
    at = 0
    while at < len(command):
        start, text = at, ""
        while at < len(command) and (piece := _PIECE.match(command, at)):
            text += _meaning(piece)
            at = piece.end()
        if at > start:
            yield Word(text, start, at)
        else:
            at += 1  # a blank, or a quote that nothing closes


def _meaning(piece: re.Match[str]) -> str:
    if piece[1] is not None:
        return os.fsdecode(unescaped(os.fsencode(piece[1])))
    if piece[3] is not None:
        return re.sub(r'\\(["\\$`])', r"\1", piece[3])
    return next(part for part in piece.groups() if part is not None)


def unescaped(text: bytes) -> bytes:
    """What stands between the quotes of `$'…'` or of a name as git quotes it, without its escapes."""
    return _ESCAPE.sub(_byte, text)


def _byte(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 8) & 0xFF]) if len(escape[1]) > 1 else _MEANT.get(escape[1], escape[1])
