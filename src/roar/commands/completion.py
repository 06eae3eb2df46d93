"""`roar completion`: completion for bash, zsh and fish."""

import contextlib
import io
import os
import re
import sys
from importlib import import_module
from itertools import pairwise
from typing import NamedTuple

from roar.commands import VERBS
from roar.commands.arguments import Parser
from roar.errors import RoarError

_BASH = """\
_roar() {
    local IFS=$'\\n'
    COMPREPLY=($(roar completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 0 ]] || return 0
    compopt -o default
    [[ "${COMP_WORDS[1]}" != run ]] || _roar_recorded
}
_roar_recorded() {  # what completes the command that is to be recorded
    local at=2 offset
    while [[ $at -lt $COMP_CWORD ]]; do
        case "${COMP_WORDS[at]}" in
            --) at=$((at + 1)); break ;;
            --name | --label)  # an equals sign is a word of its own, before the value and in it
                [[ "${COMP_WORDS[at + 1]}" == "=" ]] || at=$((at - 1))
                at=$((at + 3))
                while [[ $at -le $COMP_CWORD && "${COMP_WORDS[at]}" == "=" ]]; do at=$((at + 2)); done ;;
            -*) at=$((at + 1)) ;;
            *) break ;;
        esac
    done
    if [[ $at -gt $COMP_CWORD ]]; then  # it is a value that is typed
        compopt +o default
    elif [[ $at -eq $COMP_CWORD ]]; then
        COMPREPLY=($(compgen -c -- "${COMP_WORDS[at]}" | sort -u |
            while IFS= read -r offset; do type -P -- "$offset" > /dev/null && echo "$offset"; done))
        return 0
    fi
    for offset in _comp_command_offset _command_offset; do
        if declare -F "$offset" > /dev/null; then IFS=$' \t\n' "$offset" "$at"; return; fi
    done
}
complete -F _roar roar
"""

_ZSH = """\
#compdef roar
_roar() {
    local -a found
    found=("${(@f)$(roar completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -a found
    elif [[ "$words[2]" = run ]]; then _roar_recorded
    else
        [[ "$words[CURRENT]" != --*=* ]] || compset -P 1 '*='  # a path behind an option's equals sign
        _default
    fi
}
_roar_recorded() {  # what completes the command that is to be recorded
    local -i at=3
    while (( at < CURRENT )); do
        case "$words[at]" in
            --) (( at++ )); break ;;
            --name|--label) (( at += 2 )) ;;
            -*) (( at++ )) ;;
            *) break ;;
        esac
    done
    (( at <= CURRENT )) || return 1  # it is a value that is typed
    words=("${(@)words[at,-1]}")
    (( CURRENT -= at - 1 ))
    _normal
}
if [[ "${funcstack[1]}" = "_roar" ]]; then _roar "$@"; else compdef _roar roar; fi
"""

_FISH = """\
function __roar_words
    set -l typed (commandline -opc) (commandline -ct)
    roar completion words -- $typed[2..-1] 2>/dev/null
end
function __roar_takes_path
    set -l typed (commandline -opc)
    set -l option (string match -r -- '^--[^=]+(?==)' (commandline -ct)); or set option $typed[-1]
    if test "$typed[2]" = run
        __roar_recorded >/dev/null
        return
    end
    contains -- "$option" --into --output --path --svg; and return 0
    contains -- "$option" --direction --format --status --tracker; and return 1
    contains -- "$typed[2]" diff export get inputs label lineage log put register reproduce show
end
function __roar_recorded  # the command that is to be recorded, as far as it is typed; not where it is a value
    set -l typed (commandline -opc)
    set -e typed[1..2]
    while set -q typed[1]
        switch $typed[1]
            case --
                set -e typed[1]
                break
            case --name --label
                set -e typed[1]
                set -q typed[1]; or return 1
                set -e typed[1]
            case '-*'
                set -e typed[1]
            case '*'
                break
        end
    end
    set -l last (commandline -ct)
    set -q typed[1]; and set typed (string escape -- $typed)  # without any it would read standard input
    echo (string join ' ' -- $typed "$last")
end
function __roar_runs
    set -l typed (commandline -opc)
    test "$typed[2]" = run; and __roar_recorded >/dev/null
end
complete -c roar -f -a '(__roar_words)'
complete -c roar -n __roar_runs -a '(complete -C (__roar_recorded))'
complete -c roar -n __roar_takes_path -F
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_TAKES_REF = frozenset({"reproduce", "show", "lineage", "diff", "label", "inputs", "register", "export", "run"})
_GENERAL = ("--help", "--version")
_STEPS = 100


def parser() -> Parser:
    """The command line of `roar completion`."""
    result = Parser("completion", "Print the completion script of a shell. bash: source <(roar completion bash);"
                    " zsh: source <(roar completion zsh); fish: roar completion fish | source")
    result.add_argument("shell", choices=tuple(_SCRIPTS), metavar="SHELL", help="bash, zsh or fish")
    return result


def main(argv: list[str]) -> int:
    """Print a script, or the words that may stand next."""
    if argv[:2] == ["words", "--"]:  # what the scripts call with all that is typed after `roar`, `--` included
        for word in words(argv[2:]):
            print(word)
        return 0
    sys.stdout.write(_SCRIPTS[parser().parse_args(argv).shell])
    return 0


def words(typed: list[str]) -> list[str]:
    """What may stand in the place of the last of `typed`: verbs, a verb's options and their values, steps.

    Files are the shell's.
    """
    start = typed[-1] if typed else ""
    if len(typed) <= 1:
        known = _GENERAL if start.startswith("-") else [verb for group in VERBS.values() for verb in group]
        return [word for word in known if word.startswith(start)]
    verb = typed[0]
    if verb == "run" and (start == "=" or typed[-2] == "=" or _is_recorded(typed[1:-1])):
        return []
    option, before, start = _valued(typed)
    if (option or not start.startswith("-")) and (values := _values(verb, option)):
        return [before + value for value in values if value.startswith(start)]
    if start.startswith("-"):
        return [option for option in _options(verb) if option.startswith(start)]
    if start.startswith("@") and verb in _TAKES_REF:
        return [step for step in _steps() if step.startswith(start)]
    return [word for word in _settings(typed[1:-1]) if word.startswith(start)] if verb == "config" else []


def _is_recorded(earlier: list[str]) -> bool:
    """Whether the word behind these is one of the command that `roar run` is to record, or an option's value."""
    from roar.commands.run import parse  # noqa: PLC0415  only for this verb

    whole: list[str] = []  # bash takes an equals sign for a word of its own
    for before, word in pairwise(["", *earlier]):
        if whole and "=" in {before, word}:
            whole[-1] += word
        else:
            whole.append(word)
    try:
        return "--" in earlier or len(parse([*whole, "word"]).command) > 1
    except RoarError:
        return True


def _settings(earlier: list[str]) -> list[str]:
    """The keys, or the values of the key before where these are a few words."""
    from roar.config import SETTINGS  # noqa: PLC0415  only for this verb

    if not earlier:
        return [setting.key for setting in SETTINGS]
    found = next((setting for setting in SETTINGS if [setting.key] == earlier), None)
    if found is None:
        return []
    return ["true", "false"] if found.type is bool else list(found.choices)


class _Valued(NamedTuple):
    """An option whose value is being typed, or None; what of the word stands before that value, and its start."""

    option: str | None
    before: str
    start: str


def _valued(typed: list[str]) -> _Valued:
    """`--status=fa` is three words for bash, two as long as nothing stands behind the `=`, and one for the others."""
    *earlier, word = typed
    if word.startswith("--") and "=" in word:
        option, _, start = word.partition("=")
        return _Valued(option, f"{option}=", start)
    if word == "=":
        word = ""
    elif earlier[-1] == "=":
        earlier.pop()
    return _Valued(earlier[-1] if earlier[-1].startswith("-") else None, "", word)


def _values(verb: str, option: str | None) -> list[str]:
    """The values that a verb's option takes, or the argument that is none, where these are a few words."""
    if (verb, option) == ("log", "--tracker"):
        from roar.analyze.trackers import known_trackers  # noqa: PLC0415  only for this option

        return [tracker.name for tracker in known_trackers()]
    if not _is_verb(verb) or verb == "run":
        return []
    parser_of_verb: Parser = import_module(f"roar.commands.{verb}").parser()
    return parser_of_verb.choices(option)


def _is_verb(verb: str) -> bool:
    return any(verb in group for group in VERBS.values())


def _options(verb: str) -> list[str]:
    """The options that a verb's own help lists: those at the beginning of its lines, not those in its sentences."""
    if not _is_verb(verb):
        return []
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit, RoarError):
        import_module(f"roar.commands.{verb}").main(["--help"])
    return sorted(set(re.findall(r"^ {2}(?:-\w(?: [A-Z]+)?, )?(--[a-z][\w-]*)", text.getvalue(), re.MULTILINE)))


def _steps() -> list[str]:
    """The last steps of this session."""
    from roar.query.references import find_current_session  # noqa: PLC0415  only for a REF
    from roar.record.database import open_database  # noqa: PLC0415
    from roar.workspace import find_workspace  # noqa: PLC0415

    workspace = find_workspace()
    if not os.path.exists(workspace.database):
        return []
    database = open_database(workspace.database)
    session = find_current_session(database)
    if session is None:
        return []
    last = database.execute("SELECT max(number) FROM step WHERE session_id = ?", (session.row_id,)).fetchone()[0] or 0
    return ["@-1", *(f"@{number}" for number in range(last, max(last - _STEPS, 0), -1))]
