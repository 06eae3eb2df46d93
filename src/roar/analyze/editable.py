"""Distributions installed as links to their sources (`pip install -e`, PEP 660), as far as these were opened.

Where the sources lie stands in `direct_url.json` beside the metadata (PEP 610), or, of older installations, in
`NAME.egg-link`; where modules are imported from, in `.pth` files (the `site` module of Python).
"""

import ast
import contextlib
import json
import os
from collections.abc import Iterable, Iterator

from roar.analyze.fold import Uses
from roar.analyze.packages import DIST_INFO, entries_of, iter_named, normalised, package_of
from roar.model import Package

_MODULES = (".py", ".pyc", ".so")
_LAYOUTS = ("", "src", "lib", "python")  # of a project, with its packages in that folder


def editable_packages(folders: Iterable[str], uses: Uses) -> Iterator[Package]:
    """The distributions linked from these `site-packages` folders whose modules a job opened."""
    opened = list(iter_named(uses, _MODULES))
    for folder in folders:
        imported_from = list(_iter_imported_from(folder))
        mapped = list(_iter_mapped(folder))
        for package, place, names in _iter_links(folder):
            places = dict.fromkeys((place, os.path.realpath(place)))
            roots = {os.path.join(one, layout).rstrip("/") for one in places for layout in _LAYOUTS}
            roots.update(root for root in imported_from if any(f"{root}/".startswith(f"{one}/") for one in places))
            modules = [f"{root}/{name}" for root in roots for name in names or _list_importable(root)]
            modules += [module for module in mapped if any(module.startswith(f"{one}/") for one in places)]
            wanted = tuple(f"{name}{end}" for module in modules for name in (module, os.path.realpath(module))
                           for end in ("/", ".py"))
            if any(path.startswith(wanted) for path in opened):
                yield package


def _iter_links(folder: str) -> Iterator[tuple[Package, str, list[str]]]:
    """Each linked distribution, its project's folder, and the names that it is imported by, where these are said."""
    for entry in entries_of(folder):
        path = os.path.join(folder, entry)
        match = DIST_INFO.match(entry)
        if match:
            place = _direct_url(os.path.join(path, "direct_url.json"))
            if place:
                yield package_of(match["name"], match["version"]), place, _names(path)
        elif entry.endswith(".egg-link"):
            yield from _egg_link(path, normalised(entry.removesuffix(".egg-link")))


def _egg_link(path: str, wanted: str) -> Iterator[tuple[Package, str, list[str]]]:
    place = next(iter(_lines(path)), "")
    for entry in entries_of(place) if place.startswith("/") else ():
        name = entry.removesuffix(".egg-info")
        if name != entry and normalised(name) == wanted:
            inside = os.path.join(place, entry)
            version = next((line[8:].strip() for line in _lines(os.path.join(inside, "PKG-INFO"))
                            if line.startswith("Version:")), None)
            if version:
                yield package_of(name, version), place.rstrip("/"), _names(inside)


def _direct_url(path: str) -> str | None:
    """The folder of an editable installation."""
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415  few have any

    try:
        with open(path, "rb") as file:
            values = json.load(file)
        if values["dir_info"]["editable"] is not True:
            return None
        url = urlsplit(values["url"])
        return unquote(url.path, errors="surrogateescape").rstrip("/") if url.scheme == "file" else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _names(metadata: str) -> list[str]:
    return list(filter(None, map(str.strip, _lines(os.path.join(metadata, "top_level.txt")))))


def _list_importable(root: str) -> list[str]:
    """The packages and modules that lie directly in a folder."""
    return [entry.removesuffix(".py") for entry in entries_of(root) if entry != "setup.py"
            and (entry.endswith(".py") or os.path.isfile(os.path.join(root, entry, "__init__.py")))]


def _iter_imported_from(folder: str) -> Iterator[str]:
    for entry in entries_of(folder):
        if entry.endswith(".pth"):
            yield from (line.rstrip("/") for line in _lines(os.path.join(folder, entry)) if line.startswith("/"))


def _iter_mapped(folder: str) -> Iterator[str]:
    """The places of modules for which setuptools left a finder: a line of it is a dict of them by name."""
    for entry in entries_of(folder):
        if entry.startswith("__editable__") and entry.endswith("_finder.py"):
            for line in _lines(os.path.join(folder, entry)):
                if line.startswith("MAPPING"):
                    with contextlib.suppress(ValueError, SyntaxError):
                        yield from (str(place).removesuffix(".py") for place in
                                    ast.literal_eval(line.partition("= ")[2]).values())


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []
