"""The parameters of a command changed, as `roar run @N ARG...` asks for it."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise, takewhile
from typing import NamedTuple

from roar.analyze.sources import is_source
from roar.errors import UsageError
from roar.observe.redaction import redact_command
from roar.shell import joined
from roar.wire import ends_value

_SETTING = re.compile(r"([+~]{0,2}[A-Za-z_][^=\s]*)=")


class _Option(NamedTuple):
    """One option of those given; the name is empty for a word that is none."""

    name: str
    values: list[str]
    words: list[str]

    @property
    def is_one(self) -> bool:
        """Whether it has one value whatever follows: `--lr=1`."""
        return len(self.words) == 1

    @property
    def is_switch(self) -> bool:
        """Whether it is an option as `--lr` is, and not a word or `lr=0.01`."""
        return self.name.startswith("-") and self.name != "--"

    def key_among(self, settings: "Sequence[_Setting]") -> str:
        """The key of its one value where it belongs with these: `alpha` of `-P alpha=0.7`; else empty."""
        if not settings or len(self.values) != 1 or not self.name.startswith("-"):
            return ""
        found = _SETTING.match(self.values[0])
        key = found[1] if found else self.values[0]
        return key if found or any(key == setting.key for setting in settings) else ""


class _Setting(NamedTuple):
    """One KEY=VALUE that a command gives an option (`-P alpha=0.5`, `--set=lr=1`), and the place of its word."""

    key: str
    at: int


def changed(command: Sequence[str], arguments: Sequence[str], step: str = "@N") -> list[str]:
    """`command` with options of the same name replaced by those in `arguments`, and the others added at the end.

    Where the command has a `--` that ends its options, an option that is added goes in front of that.

    `--lr 0.01` replaces the value behind `--lr`, `--lr=0.01` or Hydra's `lr=0.01` one of the same form; `--layers 8 8`
    replaces all numbers behind `--layers`. Of an option that comes several times the last is replaced, or as many of
    the last as are given. Where its values are KEY=VALUE (`-P alpha=0.5 -P l1=0.1`) this holds of each key by itself,
    and a new key is added behind them.

    Raises:
        UsageError: nobody can tell how many of the words behind an option are its values, or what its `--` is for; or
            an option that has a value is given without one.
    """
    result = [[word] for word in command]
    added: list[list[str]] = [[] for _ in command]  # behind each word of the command
    given = list(_options(arguments))
    settings = {option.name: _settings(command, option.name) for option in given}
    aims = [(option.name, option.key_among(settings[option.name])) for option in given]
    places = {(name, key): _places(command, name, key)[-count:] for (name, key), count in Counter(aims).items()}
    for option, aim in zip(given, aims, strict=True):
        key = aim[1]
        if not places[aim]:
            behind = _place_behind(command, option, settings[option.name], step) if key else -1
            if not key and option.is_switch:
                behind = _end_of_options(command, option, step) - 1
            added[behind] += option.words
            continue
        at = places[aim].pop(0)
        if key:
            is_joined = command[at].startswith(f"{option.name}=")
            result[at] = [f"{option.name}={option.values[0]}" if is_joined else option.values[0]]
        else:
            _replace(result, command, at, option, step)
    return [word for words in zip(result, added, strict=True) for word in chain.from_iterable(words)]


def _replace(result: list[list[str]], command: Sequence[str], at: int, option: _Option, step: str) -> None:
    """Put an option in the place of one of the command, and its values in that of the old ones."""
    if not option.values:
        if command[at] == option.name and _values(command[at + 1:]):
            raise UsageError(f"{option.name} of {step} has a value already, and none is given: nothing would change.",
                             hint=f"roar run {step} {option.name} VALUE")
        result[at] = option.words
    elif command[at] != option.name and len(option.values) == 1:
        result[at] = [f"{option.name}={option.values[0]}"]
    else:
        end = at + 1 + (_giving_way(command, at, option, step) if command[at] == option.name else 0)
        result[at:end] = [[option.name, *option.values], *([] for _ in range(at + 1, end))]


def _places(command: Sequence[str], name: str, key: str) -> list[int]:
    """Where a command has an option, or the settings of a key that it gives this option."""
    if key:
        return [setting.at for setting in _settings(command, name) if setting.key == key]
    return [at for at, word in enumerate(command) if at and _is_option(word, name)]


def _is_option(word: str, name: str) -> bool:
    return bool(name) and (word == name or word.startswith(f"{name}="))


def _settings(command: Sequence[str], name: str) -> list[_Setting]:
    settings = []
    for at in _places(command, name, ""):
        if command[at] == name:
            behind = takewhile(bool, map(_SETTING.match, command[at + 1:]))
            settings += [_Setting(found[1], place) for place, found in enumerate(behind, at + 1) if found]
        elif found := _SETTING.match(command[at], len(name) + 1):
            settings.append(_Setting(found[1], at))
    return settings


def _place_behind(command: Sequence[str], option: _Option, settings: Sequence[_Setting], step: str) -> int:
    """The word of a command behind which one more setting of an option goes."""
    if len(settings) > 1 and len(_places(command, option.name, "")) == 1:
        raise _unclear(option, [command[setting.at] for setting in settings], step, "give the whole command",
                       f"roar show {step}")
    return settings[-1].at


_LAUNCHERS = frozenset({
    "accelerate", "apptainer", "bun", "cargo", "chrt", "conda", "deepspeed", "deno", "direnv", "docker", "doppler",
    "dotenv", "dotnet", "env", "go", "hatch", "ionice", "kubectl", "mamba", "micromamba", "mpiexec", "mpirun", "nice",
    "nix", "node", "nohup", "npm", "npx", "numactl", "pdm", "perf", "pipenv", "pixi", "pnpm", "podman", "poetry",
    "ray", "rye", "setsid", "singularity", "sky", "srun", "ssh", "stdbuf", "strace", "sudo", "taskset", "time",
    "timeout", "torchrun", "uv", "uvx", "xargs", "yarn"})
"""Behind the first `--` of these stands what they start, or what that is to get; that takes options of its own."""
_INTERPRETER = re.compile(r"(?:python|pypy)[\d.]*|(?:ba|da|k|z)?sh|Rscript|julia|perl|ruby")
_SHELL = re.compile(r"(?:ba|da|k|z)?sh")
_TEXT = re.compile(r"-\w*c")  # the option of a shell in front of a text, which others may be put before: `-euc`


def _end_of_options(command: Sequence[str], option: _Option, step: str) -> int:
    """The place of the `--` in front of which a new option of a command goes; without one, the number of its words.

    Raises:
        UsageError: what stands behind `--` may be a command of its own, or options.
    """
    start = 0
    for at in [at for at, word in enumerate(command) if word == "--" and not _is_name_of_text(command, at)]:
        front, behind = command[start:at], command[at + 1:]
        program = os.path.basename(front[0]) if front else ""
        if program == "git":
            return at
        if not any(map(_is_code, front)) and (
                not front or program in _LAUNCHERS or _INTERPRETER.fullmatch(program)):
            start = at + 1
            continue
        if any(ends_value(word) or _is_code(word) for word in behind) or any(
                _INTERPRETER.fullmatch(os.path.basename(word)) for word in behind[:1]):
            raise UsageError(f"What follows -- in the command of {step} ({joined(behind)}) may be a command, or take"
                             f" options: nobody can tell on which side of it {option.name} goes. Give the whole"
                             " command.", hint=f"roar show {step}")
        return at
    return len(command)


def _is_name_of_text(command: Sequence[str], at: int) -> bool:
    """Whether a word stands behind the text of `sh -c TEXT`, where it is `$0` (sh(1)) and ends no options."""
    *before, option = command[:max(at - 1, 1)]
    names = [word for earlier, word in pairwise(["", *before])
             if word[:1] not in {"-", "+"} and earlier not in {"-o", "+o", "-O", "+O"}]
    return bool(_TEXT.fullmatch(option) and names and _SHELL.fullmatch(os.path.basename(names[-1])))


def _is_code(word: str) -> bool:
    """Whether a word names a script, or says that a module or a text to run follows."""
    return is_source(word) or word in {"-m", "-c"}


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
            elif values and _SETTING.match(values[0]):
                del values[1:]
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
