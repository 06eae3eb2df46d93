"""Settings: `.roar/config.toml` over `[tool.roar]` in `pyproject.toml` over the user's `config.toml`, over defaults.

An environment variable `ROAR_SECTION_KEY` goes over all. SETTINGS declares every key; `docs/config.md` is generated
from it. Files that are not there cost nothing: tomllib is imported only to read one.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from roar.errors import SettingsError
from roar.workspace import Workspace, check_folder, unreadable

_TYPE_NAMES = {bool: "true or false", int: "a whole number", str: "text", tuple: "a list of texts"}
Value = bool | int | str | tuple[str, ...] | None
TRACKERS_KEY = "analyzers.experiment_trackers"
_ADDRESS = "glaas.url"
_LAST_PORT = 65_535


class Setting(NamedTuple):
    """One key: `section.name`, its type, default and meaning; `choices` where only some texts are allowed."""

    key: str
    type: type
    default: Value
    doc: str
    choices: tuple[str, ...] = ()


SETTINGS: tuple[Setting, ...] = (
    Setting(TRACKERS_KEY, bool, True, "Recognise experiment trackers: leave their own files out of lineage and record"
            " a reference to each tracker run. As a table, tracker by tracker:"
            " `[analyzers.experiment_trackers]` with `wandb = false`. Off means off: the tracker's files are recorded"
            " like any others. The tracker itself is never affected."),
    Setting(_ADDRESS, str, None, "Address of the glaas server that `roar register` publishes to."),
    Setting("tracer.mode", str, "auto", "How commands are observed. `auto` takes the best that works here; `preload`"
            " suits commands that call sudo, `seccomp` programs that must not be preloaded.",
            ("auto", "full", "seccomp", "preload", "none")),
    Setting("filters.add", tuple, (), "Glob patterns of paths to record although a rule would leave them out, or"
            " although their names say that they are source code (`data/*.ts`),"
            " relative to the workspace root or absolute. A pattern that matches a folder means all in it."
            " `*` matches `/`, too: `*.log` means those in every folder, `**/*.log` the same. `data [1].csv` means the"
            " file that is called so, too."),
    Setting("filters.remove", tuple, (), "Glob patterns of paths to leave out of every job, relative to the workspace"
            " root or absolute, as in `filters.add`. On the command line and in the variable:"
            " `*.log, scratch/` or `['*.log', 'scratch/']`."),
    Setting("datasets.threshold", int, 100, "How many files that one job reads or writes below one folder become one"
            " dataset. Of the workspace root, the home folder and those for temporary files it is what lies directly"
            " in them, and what lies in as many small folders there: that is then called `FOLDER/*`, in the root"
            " `*`. 0 keeps every file by itself."),
)

_DECLARED = {setting.key: setting for setting in SETTINGS}
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class Entry(NamedTuple):
    """A value and where it was set: `default`, a file with its line, or the name of an environment variable."""

    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force.

    Attributes:
        entries: by key; tracker by tracker switches under `analyzers.experiment_trackers.NAME`.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def entry(self, key: str) -> Entry:
        """The value of `key` and where it comes from."""
        return self.entries.get(key) or Entry(_DECLARED[key].default, "default")

    def flag(self, key: str) -> bool:
        """A setting that is true or false."""
        return bool(self.entry(key).value)

    def text(self, key: str) -> str:
        """A text; empty where it is not set."""
        return str(self.entry(key).value or "")

    def number(self, key: str) -> int:
        """A whole number."""
        value = self.entry(key).value
        assert isinstance(value, int)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.entry(key).value
        return value if isinstance(value, tuple) else ()

    def tracker(self, name: str) -> Entry:
        """Whether the tracker `name` is on, and what says so: its own switch, else that of the whole analyzer."""
        return self.entries.get(f"{TRACKERS_KEY}.{name}") or self.entry(TRACKERS_KEY)

    def trackers(self, names: Iterable[str]) -> dict[str, bool]:
        """For each tracker of `names`, whether it is on."""
        return {name: bool(self.tracker(name).value) for name in names}

    def named_trackers(self) -> list[str]:
        """The trackers that some file or variable switches by name, sorted."""
        prefix = f"{TRACKERS_KEY}."
        return sorted(key.removeprefix(prefix) for key in self.entries if key.startswith(prefix))


def tracker_switches(settings: Settings) -> dict[str, bool]:
    """By tracker name whether it is on; `*` stands for every tracker that has no switch of its own."""
    named = {name: bool(settings.tracker(name).value) for name in settings.named_trackers()}
    return {"*": settings.flag(TRACKERS_KEY), **named}


def load_settings(workspace: Workspace, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings that hold in `workspace`; `environ` is the process's own unless given.

    Raises:
        SettingsError: a file cannot be parsed, or a key or its type is wrong; names file, line and key.
        WorkspaceError: a file cannot be read, or something stands in the place of `.roar/`.
    """
    check_folder(workspace)
    environ = os.environ if environ is None else environ
    entries: dict[str, Entry] = {}
    own = user_config(environ)
    for path, table in ((own, ()), (os.path.join(workspace.root, "pyproject.toml"), ("tool", "roar")),
                        (workspace.config_file, ())):
        _overlay(entries, _read_file(path, table, may_be_closed=path == own))
    _overlay(entries, _read_environment(environ))
    return Settings(entries)


def user_config(environ: Mapping[str, str]) -> str:
    """The user's own settings file (XDG Base Directory Specification)."""
    home = environ.get("HOME") or os.path.expanduser("~")
    base = environ.get("XDG_CONFIG_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.join(home, ".config"), "roar", "config.toml")


def parsed(key: str, text: str, origin: str) -> Entry:
    """A setting given as text, on the command line or in the environment; lists are separated by commas, or TOML.

    Raises:
        SettingsError: there is no such key, or the text is no value for it.
    """
    declared = _find_declared(key)
    if declared is None:
        raise SettingsError(f"{origin}: there is no setting {key!r}.{_close(key)}", hint="roar config")
    value: object = text
    if declared.type is bool:
        value = text.lower() in _TRUE if text.lower() in _TRUE | _FALSE else text
    elif declared.type is int:
        value = int(text) if text.removeprefix("-").isdecimal() else text
    elif declared.type is tuple:
        value = _list(text)
    return Entry(_checked(declared, key, value, origin), origin)


def _list(text: str) -> object:
    """The items of a list as they are typed, or as a file has them; a pattern, too, may begin with a bracket."""
    if text.lstrip().startswith("["):
        import tomllib  # noqa: PLC0415  only where there is a list in TOML

        try:
            found = tomllib.loads(f"list = {text}")["list"]
        except tomllib.TOMLDecodeError:
            found = None
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return found
        if text.lstrip().startswith(('["', "['")):
            return text
    return [item.strip() for item in text.split(",") if item.strip()]


def check_key(key: str) -> None:
    """Look whether there is a setting of this name.

    Raises:
        SettingsError: there is none; with one of a like name.
    """
    if _find_declared(key) is None:
        raise SettingsError(f"There is no setting {key!r}.{_close(key)}", hint="roar config")


def _overlay(below: dict[str, Entry], above: Mapping[str, Entry]) -> None:
    """Put one layer over another. The analyzer's whole switch covers the single switches of the layers below it."""
    if TRACKERS_KEY in above:
        for key in [key for key in below if key.startswith(f"{TRACKERS_KEY}.")]:
            del below[key]
    below.update(above)


def _find_declared(key: str) -> Setting | None:
    if key.startswith(f"{TRACKERS_KEY}.") and key.count(".") == 2:  # noqa: PLR2004  section, name, tracker
        return _DECLARED[TRACKERS_KEY]
    return _DECLARED.get(key)


def _read_file(path: str, table: tuple[str, ...], *, may_be_closed: bool = False) -> dict[str, Entry]:
    """may_be_closed: under `sudo -u` and the like HOME is often another user's; as for git, that is no error."""
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        if may_be_closed and isinstance(error, PermissionError):
            return {}
        raise unreadable(path, error) from error
    if table and ".".join(table).encode() not in raw:
        return {}  # another tool's pyproject.toml, right or wrong, is not ours to judge
    import tomllib  # noqa: PLC0415  only where there is a file

    try:
        text = raw.decode()
        content = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    for name in table:
        content = content.get(name, {})
    return dict(_checked_entries(content, path, _Lines(text, table)))


def _checked_entries(content: Mapping[str, object], path: str, lines: "_Lines") -> Iterator[tuple[str, Entry]]:
    for key, value in _leaves(content, ""):
        origin = f"{path}:{lines.find(key)}"
        declared = _find_declared(key)
        if declared is None:
            raise SettingsError(f"{origin}: there is no setting {key!r}.{_close(key)}", hint="roar config")
        yield key, Entry(_checked(declared, key, value, origin), origin)


def _leaves(content: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in content.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _checked(declared: Setting, key: str, value: object, origin: str) -> Value:
    if declared.type is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if type(value) is not declared.type:
        raise SettingsError(f"{origin}: {key} must be {_TYPE_NAMES[declared.type]}, not {value!r}.",
                            hint=f"roar config {key} '*.a, b/'" if declared.type is tuple else None)
    if declared.choices and value not in declared.choices:
        raise SettingsError(f"{origin}: {key} must be one of {', '.join(declared.choices)}, not {value!r}.")
    if declared.type is int and isinstance(value, int) and value < 0:
        raise SettingsError(f"{origin}: {key} must not be negative, not {value}.")
    assert isinstance(value, (bool, int, str))
    if declared.key == _ADDRESS and not _is_web_address(str(value)):
        shown = "" if "@" in str(value) else f", not {value!r}"  # there may be a password in front of an @
        raise SettingsError(f"{origin}: {key} must be an http or https address without a user's name{shown}.",
                            hint="roar config glaas.url https://glaas.example.com")
    return value


def _is_web_address(text: str) -> bool:
    """Whether a text can be the address of a glaas server; without a scheme it may be, and empty it is none yet."""
    scheme, separator, rest = text.strip().partition("://")
    host = (rest if separator else scheme).replace("?", "/").replace("#", "/").partition("/")[0]
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, "0"
    known = not separator or scheme.lower() in {"http", "https"}
    named = bool(name) and "@" not in host and not any(letter.isspace() for letter in host)
    return not text or (known and named and port.isdecimal() and int(port) <= _LAST_PORT)


def _close(key: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  only for an error

    close = get_close_matches(key, _DECLARED, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _read_environment(environ: Mapping[str, str]) -> dict[str, Entry]:
    """The values of `ROAR_SECTION_KEY` variables. Variables of other names are not ours to judge."""
    entries = {}
    for setting in SETTINGS:
        name = variable(setting.key)
        if name in environ:
            entries[setting.key] = parsed(setting.key, environ[name], name)
    prefix = variable(TRACKERS_KEY) + "_"
    for name, text in environ.items():
        if name.startswith(prefix):
            key = f"{TRACKERS_KEY}.{name.removeprefix(prefix).lower()}"
            entries[key] = parsed(key, text, name)
    return entries


def variable(key: str) -> str:
    """The environment variable of a setting."""
    return "ROAR_" + key.replace(".", "_").upper()


class _Lines:
    """Where keys stand in a TOML text: tomllib does not tell, and an error should."""

    def __init__(self, text: str, table: tuple[str, ...]) -> None:
        self._prefix = "".join(f"{name}." for name in table)
        self._lines: dict[str, int] = {}
        header = ""
        for number, line in enumerate(text.splitlines(), start=1):
            bare = line.split("#", 1)[0].strip().replace('"', "").replace("'", "").replace(" ", "")
            if bare.startswith("["):
                header = bare.strip("[]") + "."
                self._lines.setdefault(header[:-1], number)
            elif "=" in bare:
                self._lines.setdefault(header + bare.split("=", 1)[0], number)

    def find(self, key: str) -> int:
        """The line of `key`, else of the closest table around it; 1 where it cannot be told."""
        full = self._prefix + key
        while full:
            if full in self._lines:
                return self._lines[full]
            full = full.rpartition(".")[0]
        return 1
