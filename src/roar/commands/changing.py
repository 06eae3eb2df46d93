"""The parameters of a command changed, as `roar run @N ARG...` asks for it."""

from collections.abc import Iterator, Sequence
from itertools import chain, takewhile
from typing import NamedTuple

from roar.analyze.plumbing import is_source
from roar.errors import UsageError
from roar.observe.redaction import redact_command
from roar.shell import joined
from roar.wire import ends_value


class _Option(NamedTuple):
    """One option of those given; the name is empty for a word that is none."""

    name: str
    values: list[str]
    words: list[str]

    @property
    def is_one(self) -> bool:
        """Whether it has one value whatever follows: `--lr=1`."""
        return len(self.words) == 1


def changed(command: Sequence[str], arguments: Sequence[str], step: str = "@N") -> list[str]:
    """`command` with options of the same name replaced by those in `arguments`, and the others added at the end.

    `--lr 0.01` replaces the value behind `--lr`, `--lr=0.01` or Hydra's `lr=0.01` one of the same form; `--layers 8 8`
    replaces all numbers behind `--layers`. Of an option that comes several times the last is replaced, or as many of
    the last as are given.

    Raises:
        UsageError: nobody can tell how many of the words behind an option are its values.
    """
    result = [[word] for word in command]
    given = list(_options(arguments))
    places: dict[str, list[int]] = {}
    for name in {option.name for option in given if option.name}:
        found = [at for at, old in enumerate(command) if at and (old == name or old.startswith(f"{name}="))]
        places[name] = found[-sum(name == option.name for option in given):]
    for option in given:
        if not places.get(option.name):
            result.append(option.words)
            continue
        at = places[option.name].pop(0)
        if not option.values:
            result[at] = option.words
        elif command[at] != option.name and len(option.values) == 1:
            result[at] = [f"{option.name}={option.values[0]}"]
        else:
            end = at + 1 + (_giving_way(command, at, option, step) if command[at] == option.name else 0)
            result[at:end] = [[option.name, *option.values], *([] for _ in range(at + 1, end))]
    return list(chain.from_iterable(result))


def _options(arguments: Sequence[str]) -> Iterator[_Option]:
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, text = word.partition("=")
        if equals or not ends_value(word):
            yield _Option(name, [text], [word]) if equals else _Option("", [], [word])
        else:
            values = _values(rest)
            if values and _is_number(values[0]):
                values = list(takewhile(_is_number, values))
            del rest[:len(values)]
            yield _Option(word, values, [word, *values])


def _values(words: Sequence[str]) -> list[str]:
    """The words that may be values of the option before them: up to the next, or to a `name=value` after the first."""
    return [word for _, word in takewhile(lambda one: not ends_value(one[1]) and not (one[0] and "=" in one[1]),
                                          enumerate(words))]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _giving_way(command: Sequence[str], at: int, option: _Option, step: str) -> int:
    """How many of the words behind an option of a command give way to the values of the one that is given."""
    old = _values(command[at + 1:])
    if len(old) <= 1 or option.is_one:
        return min(len(old), 1)
    numbers = len(list(takewhile(_is_number, old)))
    several = len(option.values) > 1
    is_followed = numbers == len(old) and at + 1 + numbers < len(command)
    if numbers and all(map(_is_number, option.values)) and (numbers == 1 or several or is_followed):
        return numbers
    if several:
        raise _unclear(option, old, step, "give the whole command", f"roar show {step}")
    if numbers == 1 or (is_source(old[1]) and not is_source(old[0])):
        return 1
    raise _unclear(option, old, step, "with = the first of them alone is changed",
                   f"roar run {step} {joined(redact_command([f'{option.name}={option.values[0]}']))}")


def _unclear(option: _Option, old: Sequence[str], step: str, way: str, hint: str) -> UsageError:
    return UsageError(f"What follows {option.name} in the command of {step} ({joined(old)}) may be several values of"
                      f" it, or arguments of their own: {way}.", hint=hint)
