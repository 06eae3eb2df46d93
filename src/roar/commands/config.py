"""`roar config`: settings, their values, and where each comes from."""

import os
from collections.abc import Sequence

from roar.analyze.trackers.discovery import check_switches
from roar.commands.arguments import Parser
from roar.config import SETTINGS, TRACKERS_KEY, Entry, Settings, Value, check_key, load_settings, parsed, user_config
from roar.errors import SettingsError, UsageError
from roar.present.answer import print_json
from roar.present.text import paint, printable, table
from roar.shell import quoted
from roar.workspace import find_workspace, open_workspace


def parser() -> Parser:
    """The command line of `roar config`."""
    result = Parser("config", "List the settings with their values and where each comes from, or read or set one.")
    result.add_argument("key", metavar="KEY", nargs="?", help="a setting, such as glaas.url")
    result.add_argument("value", metavar="VALUE", nargs="?",
                        help="its new value; a list as in a, b or in TOML: ['a', 'b']")
    result.add_argument("--unset", action="store_true", help="remove KEY from the file")
    result.add_argument("--user", action="store_true",
                        help="write the user's settings instead of the workspace's")
    result.add_json()
    return result


def main(argv: list[str]) -> int:
    """Show or change settings."""
    arguments = parser().parse_args(argv)
    if arguments.value is not None or arguments.unset:
        if arguments.key is None or (arguments.value is not None and arguments.unset):
            raise UsageError("--unset takes a KEY and no VALUE.", hint="roar config --help")
        path = _file(user=arguments.user)
        covered = _write(path, arguments.key, arguments.value)
        print(f"{printable(path)}: {arguments.key} is {'unset' if arguments.unset else 'set'}"
              f"{f', in place of the switches there of {printable(covered)}' if covered else ''}.")
        return 0
    settings = load_settings(find_workspace())
    check_switches(settings)
    entries = _entries(settings)
    if arguments.key is not None:
        parsed_key = next((key for key in entries if key == arguments.key), None)
        if parsed_key is None:
            check_key(arguments.key)
            raise SettingsError(f"There is no setting {arguments.key!r}.", hint="roar config")
        entries = {parsed_key: entries[parsed_key]}
    if arguments.json:
        print_json({key: {"value": entry.value, "origin": entry.origin} for key, entry in entries.items()})
    elif arguments.key is not None:
        print(_text(entries[arguments.key].value))
    else:
        for line in table([(key, _text(entry.value) or "(not set)", paint(printable(entry.origin), "dim"))
                           for key, entry in entries.items()]):
            print(line)
    return 0


def _entries(settings: Settings) -> dict[str, Entry]:
    entries = {}
    for setting in SETTINGS:
        entries[setting.key] = settings.entry(setting.key)
        if setting.key == TRACKERS_KEY:
            entries |= {f"{TRACKERS_KEY}.{name}": settings.tracker(name) for name in settings.named_trackers()}
    return entries


def _text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(printable, value)) if isinstance(value, tuple) else printable(str(value))


def _file(*, user: bool) -> str:
    if not user:
        return open_workspace(create=True).config_file
    path = user_config(os.environ)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{os.path.dirname(path)} cannot be made: {error.strerror}.") from error
    return path


def _write(path: str, key: str, text: str | None) -> str:
    """Change one line of a settings file, and nothing else in it but what cannot stand beside that line.

    Returns:
        The trackers with switches of their own that one for all of them has replaced.
    """
    entry = None if text is None else parsed(key, text, "command line")
    if entry is not None:
        check_switches(Settings({key: entry}))
    value = None if entry is None else entry.value
    try:
        with open(path, encoding="utf-8") as file:
            old = file.read()
    except FileNotFoundError:
        old = ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{path} cannot be read: {reason}.") from error
    kept, covered = _without_table(old, key) if key == TRACKERS_KEY else (old, [])
    new = _edited(kept, key, value)
    if text is None and new == old:
        check_key(key)  # one that is in the file can be taken out of it, whatever it is called
    _check(path, new, key, value)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(new)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from error
    return ", ".join(covered)


def _without_table(text: str, name: str) -> tuple[str, list[str]]:
    """The text without its table `name`, which a value of that name would contradict, and the keys it had."""
    lines = text.splitlines()
    start = _header(lines, name)
    if start is None:
        return text, []
    end = _end_of_table(lines, start)
    keys = [line.split("=")[0].strip() for line in lines[start + 1:end] if "=" in line.split("#")[0]]
    return "\n".join([*lines[:start], *lines[end:], ""]), keys


def _header(lines: Sequence[str], section: str) -> int | None:
    return next((place for place, line in enumerate(lines) if line.split("#")[0].strip() == f"[{section}]"), None)


def _end_of_table(lines: Sequence[str], start: int) -> int:
    return next((place for place in range(start + 1, len(lines)) if lines[place].lstrip().startswith("[")), len(lines))


def _edited(text: str, key: str, value: Value) -> str:
    section, _, name = key.rpartition(".")
    lines = text.splitlines()
    start = _header(lines, section)
    if start is None:
        if value is None:
            return text
        return "\n".join([*lines, *([""] if lines else []), f"[{section}]", f"{name} = {_toml(value)}", ""])
    end = _end_of_table(lines, start)
    at = next((place for place in range(start + 1, end) if lines[place].split("=")[0].strip() == name), None)
    new = [] if value is None else [f"{name} = {_toml(value)}"]
    if at is None:
        lines[start + 1:start + 1] = new
    else:
        lines[at:at + 1] = new
    return "\n".join([*lines, ""])


def _check(path: str, text: str, key: str, value: Value) -> None:
    """Refuse an edit that would not say what was meant, such as one line of a list that spans several."""
    import tomllib  # noqa: PLC0415  only where something is written

    try:
        content: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        content = None
    for name in key.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    found = tuple(content) if isinstance(content, list) else content
    if found != value:
        raise SettingsError(f"{path} is written in a way that roar cannot edit {key} in.", hint=f"edit {quoted(path)}")


def _toml(value: Value) -> str:
    import json  # noqa: PLC0415  a TOML basic string is a JSON string, but for DEL

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F") if isinstance(value, str) else str(value)


