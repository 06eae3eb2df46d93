"""Finding trackers: the entry points of every installed distribution, the built-in ones among them."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from roar.analyze.trackers.environment import ENVIRONMENT, TOKENS
from roar.errors import SettingsError

if TYPE_CHECKING:
    from roar.analyze.trackers.contract import Tracker
    from roar.config import Settings

GROUP = "roar.trackers"
PACKAGE = "roar.analyze.trackers"
_ALL = "*"


class KnownTracker(NamedTuple):
    """A tracker that could be used.

    Attributes:
        name: settings key.
        label: for people; the name where the tracker cannot be loaded.
        source: the distribution that brings it, or the module where it is run from a source tree.
        problem: why it cannot be loaded, or None.
    """

    name: str
    label: str
    source: str
    problem: str | None = None


class Loaded(NamedTuple):
    """The trackers that are on, and what could not be loaded."""

    trackers: "tuple[Tracker, ...]"
    warnings: tuple[str, ...]


class _Candidate(NamedTuple):
    name: str
    target: str
    source: str


def is_enabled(name: str, enabled: Mapping[str, bool]) -> bool:
    """Whether the settings leave a tracker on: its own entry, else that for `*`, else yes."""
    return enabled.get(name, enabled.get(_ALL, True))


def check_switches(settings: "Settings") -> None:
    """Refuse a switch of a tracker that is not there, such as one with a letter wrong.

    Raises:
        SettingsError: names file (or variable), line, key and the closest tracker's name.
    """
    unknown = unknown_switches(settings)
    if not unknown:
        return
    from difflib import get_close_matches  # noqa: PLC0415  only for an error

    from roar.config import TRACKERS_KEY  # noqa: PLC0415

    key = f"{TRACKERS_KEY}.{unknown[0]}"
    close = get_close_matches(unknown[0], [candidate.name for candidate in _candidates()], n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    raise SettingsError(f"{settings.tracker(unknown[0]).origin}: there is no setting {key!r}, as no tracker of this"
                        f" name is installed.{meant}", hint="roar trackers")


def unknown_switches(settings: "Settings") -> list[str]:
    """The names that the settings switch although no tracker has them. Plug-ins are looked for only if it matters."""
    unknown = [name for name in settings.named_trackers() if name not in ENVIRONMENT]
    if not unknown:
        return []
    known = {candidate.name for candidate in _candidates()}
    return [name for name in unknown if name not in known]


def load_trackers(enabled: Mapping[str, bool]) -> Loaded:
    """The trackers that the settings leave on. One that cannot be loaded becomes a warning."""
    trackers, warnings = [], []
    for candidate in _candidates():
        if is_enabled(candidate.name, enabled):
            tracker, problem = _load(candidate)
            if tracker is not None:
                trackers.append(tracker)
            else:
                warnings.append(f"The tracker {candidate.name} ({candidate.source}) cannot be loaded: {problem}.")
    return Loaded(tuple(trackers), tuple(warnings))


def known_trackers() -> list[KnownTracker]:
    """Every tracker that is installed, by name."""
    known = []
    for candidate in _candidates(complete=True):
        tracker, problem = _load(candidate)
        known.append(KnownTracker(
            candidate.name, tracker.label if tracker else candidate.name, candidate.source, problem,
        ))
    return sorted(known)


def environment_names(enabled: Mapping[str, bool]) -> tuple[str, ...]:
    """The variables to keep of the environments that processes are started with; one that ends in `*` is a prefix.

    This runs before the command starts: only trackers of other distributions are loaded for it, if there are any.
    """
    names = {name for tracker, names in ENVIRONMENT.items() if is_enabled(tracker, enabled) for name in names}
    if _has_plugins():
        for candidate in _candidates():
            if candidate.name not in ENVIRONMENT and is_enabled(candidate.name, enabled):
                tracker, _ = _load(candidate)
                names |= set(tracker.environment) if tracker else set()
    return tuple(sorted(names))


def concerns(environ: Mapping[str, str], enabled: Mapping[str, bool]) -> bool:
    """Whether a tracker that is on looks at any variable of `environ`. Loads nothing but other distributions'."""
    if _has_plugins():
        return True
    tokens = {name for tracker, names in TOKENS.items() if is_enabled(tracker, enabled) for name in names}
    declared = tokens.union(environment_names(enabled))
    prefixes = tuple(name[:-1] for name in declared if name.endswith("*"))
    return any(name in declared or (prefixes and name.startswith(prefixes)) for name in environ)


def _candidates(*, complete: bool = False) -> list[_Candidate]:
    """All entry points, each name once: a built-in tracker cannot be replaced by another distribution.

    Args:
        complete: ask for the built-in ones too, for the name of the distribution that brings them.
    """
    found = {name: _Candidate(name, f"{PACKAGE}.{name}:TRACKER", f"{PACKAGE}.{name}") for name in ENVIRONMENT}
    if not complete and not _has_plugins():
        return list(found.values())
    from importlib.metadata import entry_points  # noqa: PLC0415  44 ms

    for point in entry_points(group=GROUP):
        built_in = point.module.startswith(PACKAGE + ".")
        if point.name not in ENVIRONMENT or built_in:
            source = point.dist.name if point.dist else point.module
            found[point.name] = _Candidate(point.name, point.value, source)
    return list(found.values())


def _load(candidate: _Candidate) -> "tuple[Tracker | None, str | None]":
    module, _, attribute = candidate.target.partition(":")
    try:
        loaded = import_module(module)
        for part in attribute.split("."):
            loaded = getattr(loaded, part)
        tracker = loaded() if isinstance(loaded, type) else loaded
        if tracker.name != candidate.name:
            return None, f"it calls itself {tracker.name!r}"
        return tracker, None
    except Exception as error:  # noqa: BLE001  a plugin may raise anything; it is named and skipped
        return None, f"{type(error).__name__}: {error}"


@cache
def _has_plugins() -> bool:
    return any(_folders_with_plugins())


def _folders_with_plugins(search: Sequence[str] | None = None) -> Iterator[str]:
    """Metadata folders of other distributions that bring trackers.

    A look at file names is 40 ms quicker than `importlib.metadata`.
    """
    for place in dict.fromkeys(search if search is not None else sys.path):
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) and not name.startswith("roar_lineage-"):
                try:
                    with open(os.path.join(place, name, "entry_points.txt"), "rb") as file:
                        if f"[{GROUP}]".encode() in file.read():
                            yield os.path.join(place, name)
                except OSError:
                    continue
