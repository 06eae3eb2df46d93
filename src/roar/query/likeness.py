"""Which commands are of one kind, as those of a sweep are."""

import os
import re
from collections.abc import Sequence

from roar.analyze.sources import is_source

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_SUBCOMMAND = re.compile(r"[A-Za-z][A-Za-z_-]*")  # what a sweep counts up has a digit


def likeness(words: Sequence[str]) -> tuple[str, ...]:
    """What like commands have in common: the program, and its script, module or subcommand if it has one."""
    if os.path.basename(words[0]) in _SHELLS and [*words[1:2]] == ["-c"] and (inner := " ".join(words[2:3]).split()):
        return words[0], "-c", *_program(inner)
    return _program(words)


def _program(words: Sequence[str]) -> tuple[str, ...]:
    if is_source(words[0]):
        return (words[0],)
    for at, word in enumerate(words[1:], 1):
        if is_source(word):
            return words[0], word
        if word in {"-m", "-c"}:
            return words[0], *words[at:at + 2]
    return words[0], *filter(_SUBCOMMAND.fullmatch, words[1:2])
