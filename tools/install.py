"""Install packages with uv, as `pip install` would here, and with pip itself where uv fails.

Usage: install.py [--into PYTHON] ARGUMENT... of `pip install`, such as `-r requirements.txt`. PYTHON is the
interpreter of the environment; without it that is the one that runs this. uv reads none of pip's settings, so they are
handed on.
"""

import os
import subprocess
import sys

# Settings of `pip install` and what uv calls them: https://docs.astral.sh/uv/reference/environment/
_SETTINGS = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS",
             "constraint": "UV_CONSTRAINT", "cert": "SSL_CERT_FILE", "no-index": "UV_NO_INDEX",
             "trusted-host": "UV_INSECURE_HOST"}
_SEVERAL = {"UV_FIND_LINKS": ","}  # others that have several values: separated by spaces


def settings(pip: str) -> dict[str, str]:
    """What uv needs in its environment to find what pip finds.

    Args:
        pip: what `pip config list` prints, lines as `global.index-url='https://…'`.
    """
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # of all indexes, as pip
    for section in ("global.", "install.", ":env:."):  # the strongest last
        for line in pip.splitlines():
            key, _, value = line.partition("=")
            name = _SETTINGS.get(key.removeprefix(section))
            if name and name not in os.environ:
                words = value.strip("'\"").replace("\\n", " ").split()
                found[name] = _SEVERAL.get(name, " ").join(words)
    return found


def install(arguments: list[str], into: str = sys.executable) -> int:
    """Returns the exit status."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", into, *arguments]
    configured = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    done = subprocess.run(uv, env={**os.environ, **settings(configured)}, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return 0
    print(f"uv could not install this, so pip does:\n{done.stderr.strip()}", file=sys.stderr)
    return subprocess.run([*pip, "--python", into, "install", "--quiet", *arguments], check=False).returncode


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    if arguments[:1] == ["--into"]:
        return install(arguments[2:], arguments[1])
    return install(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
