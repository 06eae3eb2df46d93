"""API tokens of glaas servers, kept in the user's own configuration folder where only they can read them."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping

from roar.errors import SettingsError
from roar.shell import quoted

VARIABLE = "ROAR_GLAAS_TOKEN"


def find_token(url: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The token for the server at `url` (a `Server.url`): the environment's, else the one that `roar login` kept."""
    environ = os.environ if environ is None else environ
    return environ.get(VARIABLE) or _load(environ).get(url)


def keep_token(url: str, token: str, environ: Mapping[str, str] | None = None) -> str:
    """Keep the token for the server at `url`; the file that it is in."""
    environ = os.environ if environ is None else environ
    _save({**_load(environ), url: token}, environ)
    return credentials_file(environ)


def forget_token(url: str, environ: Mapping[str, str] | None = None) -> bool:
    """Forget the token for the server at `url`; whether there was one."""
    environ = os.environ if environ is None else environ
    tokens = _load(environ)
    known = tokens.pop(url, None) is not None
    if known:
        _save(tokens, environ)
    return known


def credentials_file(environ: Mapping[str, str]) -> str:
    """Where tokens are kept (XDG Base Directory Specification)."""
    home = environ.get("HOME") or os.path.expanduser("~")
    base = environ.get("XDG_CONFIG_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.join(home, ".config"), "roar", "credentials.json")


def _load(environ: Mapping[str, str]) -> dict[str, str]:
    path = credentials_file(environ)
    try:
        with open(path, encoding="utf-8") as file:
            tokens = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", hint=f"rm {quoted(path)}, then roar login") from error
    if not isinstance(tokens, dict) or not all(isinstance(token, str) for token in tokens.values()):
        raise SettingsError(f"{path} does not hold tokens.", hint=f"rm {quoted(path)}, then roar login")
    return tokens


def _save(tokens: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """Written beside and moved into place; mkstemp lets only the owner read it."""
    path = credentials_file(environ)
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor, new = tempfile.mkstemp(dir=folder, prefix=".credentials-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(tokens, file, indent=2)
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            raise
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from error
