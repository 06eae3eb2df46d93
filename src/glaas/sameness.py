"""Whether two records of one job say the same, but for what is hidden in them.

What looks like a secret is a matter of the client's version, and the number that stands for a secret in a path is one
of a key that may be lost. A job that is registered again then says `--key=[redacted]` where it said something else, or
the other way round, and is the same job nevertheless.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from roar.wire import REDACTED, without_path_numbers

MOST_PAIRED = 200
_BETWEEN_WORDS = "\0"


def same_but_for_secrets(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal where neither of them hides anything.

    `[redacted]` stands for any text, also for several words of a command. A list of files is the same in any order,
    for a path that hides something may sort elsewhere; with more than MOST_PAIRED such paths it is held to differ.
    """
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str):
        return _same_text(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_but_for_secrets(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        if all(isinstance(value, str) for value in (*one, *other)):
            return _same_text(_BETWEEN_WORDS.join(one), _BETWEEN_WORDS.join(other))
        return len(one) == len(other) and _pair_up(list(_missing_from(one, other)), list(_missing_from(other, one)))
    return False


def _same_text(one: str, other: str) -> bool:
    one, other = without_path_numbers(one), without_path_numbers(other)
    return _covers(one, other) or _covers(other, one)


def _covers(hiding: str, text: str) -> bool:
    """Whether `text` is `hiding` with something in the place of each `[redacted]`."""
    first, *rest = hiding.split(REDACTED)
    if not rest:
        return hiding == text
    *between, last = rest
    if not text.startswith(first):
        return False
    at = len(first)
    for piece in between:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - len(last) >= at and text.endswith(last)


def _missing_from(values: list[Any], others: list[Any]) -> Iterator[Any]:
    """Those of `values` that `others` has not, each as often as it has it less often."""
    there = Counter(_key(value) for value in others)
    for value in values:
        key = _key(value)
        if there[key]:
            there[key] -= 1
        else:
            yield value


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _pair_up(ones: list[Any], others: list[Any]) -> bool:
    """Whether each of `ones` is one of `others`."""
    if len(ones) > MOST_PAIRED:
        return False
    for one in ones:
        place = next((place for place, other in enumerate(others) if same_but_for_secrets(one, other)), None)
        if place is None:
            return False
        del others[place]
    return True
