"""Programs and shared libraries whose version is not recorded: of no package of Python, nor of the system."""

import os
import re
from collections.abc import Iterable, Iterator

from roar.analyze.fold import Uses
from roar.analyze.packages import DIST_INFO, INSTALLED, entries_of, is_python, normalised, package_of
from roar.analyze.plumbing import KEPT, Plumbing
from roar.model import Package
from roar.observe.trace import Process

NO_VERSION = "unversioned"
"""The category of what has a version that is not recorded."""

_OF_THE_ADMINISTRATOR = "/usr/local/"  # put there by no package of the system (FHS 3.0, section 4.9)
_WITH_THE_SYSTEM = ("/usr/lib", "/lib", "/usr/local/nvidia/")  # the last comes with the driver, as of the host's facts
_LIBRARY = re.compile(r"/(?!libpython)[^/]+\.so(?:\.\d+)*$")
_OF_LANGUAGES = frozenset({"interpreter", "settings", NO_VERSION})
_WITHOUT_EFFECT = frozenset({"uv", "uvx", "pixi", "conda", "mamba", "micromamba", "mise", "asdf", "just", "task",
                             "direnv", "git", "git-lfs", "nvidia-smi", "rocm-smi"})
"""What only starts something else, moves files or reports: another version of it changes no output."""
_CHOOSING = re.compile(r".*/\.?(?:pyenv|rbenv|goenv|nodenv|asdf|mise)/(?:(?:plugins/[^/]+/)?(?:shims|libexec|bin)/"
                       r"|pyenv\.d/)|.*/\.volta/(?:bin|tools/shim)/")
"""What chooses one of several interpreters and starts that, which has its own version."""


def sort_programs(processes: Iterable[Process], plumbing: Plumbing) -> tuple[dict[str, str], set[Package]]:
    """The programs, each with the category that its path has by itself; and distributions that others came with.

    A program counts as of the distribution of its name that is installed for the Python beside it, such as `ninja`.
    """
    unversioned: dict[str, str] = {}
    packages: set[Package] = set()
    for path, process in {process.executable: process for process in processes}.items():
        if os.path.basename(path) in _WITHOUT_EFFECT or _CHOOSING.match(path) or INSTALLED.match(path) or (
                is_python(process)):
            continue
        category = plumbing.category(path)
        if path.startswith(_OF_THE_ADMINISTRATOR) or category in _OF_LANGUAGES:
            package = _distribution(path)
            if package is None:
                unversioned[path] = category
            else:
                packages.add(package)
    return unversioned, packages


def unversioned_libraries(uses: Uses, plumbing: Plumbing) -> dict[str, str]:
    """The shared libraries, as `sort_programs` has the programs: in `~/.local/lib`, and where data may lie."""
    found = {path: plumbing.category(path) for path in _iter_libraries(uses) if not INSTALLED.match(path)}
    return {path: category for path, category in found.items() if path.startswith(_OF_THE_ADMINISTRATOR)
            or (category == "libraries" and ("/.local/lib" in path
                                             or plumbing.category(f"{os.path.dirname(path)}/_") == KEPT))}


def _iter_libraries(uses: Uses) -> Iterator[str]:
    for path in uses.opened:
        if ".so" in path and not path.startswith(_WITH_THE_SYSTEM) and _LIBRARY.search(path):
            yield path
    for folder, files in uses.folders.items():
        if b".so" in files.names and not f"{folder}/".startswith(_WITH_THE_SYSTEM):
            yield from (path for name in files.list_names() if _LIBRARY.search(path := f"{folder}/{name}"))


def _distribution(program: str) -> Package | None:
    folder, name = os.path.split(program)
    libraries = os.path.join(os.path.dirname(folder), "lib")
    for version in entries_of(libraries) if os.path.basename(folder) == "bin" else ():
        for packages in ("site-packages", "dist-packages") if version.startswith("python") else ():
            for entry in entries_of(os.path.join(libraries, version, packages)):
                match = DIST_INFO.match(entry)
                if match and normalised(match["name"]) == normalised(name):
                    return package_of(match["name"], match["version"])
    return None
