"""Text for a terminal or a pipe: colours where they are wanted, and nothing that could act on the terminal."""

import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from roar.shell import joined
from roar.wire import shown

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ODD_BYTE = re.compile(r"(?<!\\)((?:\\\\)*)\\udc([89a-f][0-9a-f])")
_LIKE_ESCAPED = re.compile(r"\\(?:[ntr\\]|x[0-9a-f]{2}|u[0-9a-f]{4})")
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_WORD = 60
_MINUTE_S = 60
_HOUR_S = 3600
_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def printable(text: str) -> str:
    r"""`text` on one line, with control characters and odd bytes written as `\n`, `\x1b` and the like.

    No two texts look alike: where anything is written so, or could be taken for it, a backslash itself is ``\\``.
    """
    if "\\" in text and (_LIKE_ESCAPED.search(text) or on_one_line(text) != text):
        text = text.replace("\\", "\\\\")
    return on_one_line(text)


def on_one_line(text: str) -> str:
    """`printable` for a text of several parts, each of which is to be read as it is: a sentence, a command."""
    return _UNSAFE.sub(_escape, shown(text))


def told(sentence: str) -> str:
    r"""`on_one_line` for a sentence that may hold a word as repr() shows it: an odd byte is ``\xNN`` there too."""
    return on_one_line(_ODD_BYTE.sub(r"\1\\x\2", sentence))


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def command_text(command: Sequence[str]) -> str:
    """A command as one would type it, on one line."""
    return joined(command)


def short_command(command: Sequence[str]) -> str:
    """A command for a list: an absolute program by its name alone, long words (code, file lists) cut."""
    program, *words = command
    name = os.path.basename(program) if os.path.isabs(program) else program
    return command_text([name, *(cut(_first_line(word), _WORD) for word in words)])


def _first_line(word: str) -> str:
    line, *more = word.strip().split("\n", 1)
    return f"{line}…" if more else line or word


def wants_colour() -> bool:
    """Whether stdout may hold colours: NO_COLOR and FORCE_COLOR decide, else whether it is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, *names: str) -> str:
    """`text` in the colours `names`, where colours are wanted."""
    if not text or not wants_colour():
        return text
    return f"\x1b[{';'.join(_COLOURS[name] for name in names)}m{text}\x1b[0m"


def width() -> int | None:
    """The columns of the terminal; None where stdout is none and lines may be of any length."""
    if not sys.stdout.isatty():
        return None
    import shutil  # noqa: PLC0415  only on a terminal

    return shutil.get_terminal_size().columns


def cut(text: str, columns: int | None) -> str:
    """`text` in at most `columns`, its end replaced by `…` where it is longer; colours are kept."""
    if columns is None or columns_of(text) <= columns:
        return text
    room, kept = columns - 1, ""
    for plain, code in zip(_COLOUR.split(text), [*_COLOUR.findall(text), ""], strict=True):
        for letter in plain:
            if _columns(letter) > room:
                room = 0
                break
            room -= _columns(letter)
            kept += letter
        kept += code
    return kept + "…"


def cut_inside(text: str, columns: int) -> str:
    """Plain `text` in at most `columns`, with `…` in place of what is between its beginning and its end."""
    if columns_of(text) <= columns:
        return text
    tail, room = "", columns * 2 // 5
    for letter in reversed(text):
        if _columns(letter) > room:
            break
        room -= _columns(letter)
        tail = letter + tail
    return cut(text, columns - columns_of(tail)) + tail


def columns_of(text: str) -> int:
    """How many columns `text` takes on a terminal."""
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    if text.isascii():
        return len(text)
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def duration_text(seconds: float | None) -> str:
    """A duration for a person."""
    if seconds is None:
        return "?"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"
    if seconds < _HOUR_S:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02} min"


def time_text(moment: str) -> str:
    """A recorded time in the local time zone, to the second."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def seconds_since(moment: str) -> float:
    """How long ago a recorded time was."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def count_text(number: int, noun: str) -> str:
    """`1 file`, `2 files`, `12,000 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


_ONE = {"libraries": "library", "packages": "package", "settings": "setting"}


def category_text(number: int, category: str) -> str:
    """How many paths of a category were left out: `3 system`, `2 packages`, `1 package`."""
    return f"{number:,} {_ONE.get(category, category) if number == 1 else category}"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Lines of aligned columns, two spaces apart; those in `right` are flush right, the last is not padded."""
    if not rows:
        return []
    widths = [max(columns_of(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(_cell(text, wide, flush_right=column in right, last=column == len(row) - 1)
                      for column, (text, wide) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]


def _cell(text: str, wide: int, *, flush_right: bool, last: bool) -> str:
    padding = " " * (wide - columns_of(text))
    if flush_right:
        return padding + text
    return text if last else text + padding
