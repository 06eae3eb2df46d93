"""`roar config`: settings, their values, and where each comes from."""

import os

from roar.commands.arguments import Parser
from roar.config import SETTINGS, TRACKERS_KEY, Entry, Settings, Value, load_settings, parsed, user_config
from roar.errors import SettingsError, UsageError
from roar.present.answer import print_json
from roar.present.text import paint, printable, table
from roar.workspace import find_workspace, open_workspace


def parser() -> Parser:
    """The command line of `roar config`."""
    result = Parser("config", "List the settings with their values and where each comes from, or read or set one.")
    result.add_argument("key", metavar="KEY", nargs="?", help="a setting, such as glaas.url")
    result.add_argument("value", metavar="VALUE", nargs="?", help="its new value; lists are separated by commas")
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
        _write(path, arguments.key, arguments.value)
        print(f"{printable(path)}: {arguments.key} is {'unset' if arguments.unset else 'set'}.")
        return 0
    settings = load_settings(find_workspace())
    entries = _entries(settings)
    if arguments.key is not None:
        parsed_key = next((key for key in entries if key == arguments.key), None)
        if parsed_key is None:
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
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def _write(path: str, key: str, text: str | None) -> None:
    """Change one line of a settings file, and nothing else in it."""
    value = None if text is None else parsed(key, text, "roar config").value
    try:
        with open(path, encoding="utf-8") as file:
            old = file.read()
    except FileNotFoundError:
        old = ""
    new = _edited(old, key, value)
    _check(path, new, key, value)
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)


def _edited(text: str, key: str, value: Value) -> str:
    section, _, name = key.rpartition(".")
    lines = text.splitlines()
    start = next((place for place, line in enumerate(lines) if line.split("#")[0].strip() == f"[{section}]"), None)
    if start is None:
        if value is None:
            return text
        return "\n".join([*lines, *([""] if lines else []), f"[{section}]", f"{name} = {_toml(value)}", ""])
    end = next((place for place in range(start + 1, len(lines)) if lines[place].lstrip().startswith("[")), len(lines))
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
        raise SettingsError(f"{path} is written in a way that roar cannot edit {key} in.", hint=f"edit {path}")


def _toml(value: Value) -> str:
    import json  # noqa: PLC0415  a TOML basic string is a JSON string, but for DEL

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F") if isinstance(value, str) else str(value)


