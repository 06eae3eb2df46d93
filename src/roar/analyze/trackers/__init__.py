"""Experiment trackers: recognise, filter, reference.

The names below are loaded when they are first used: `environment_names` is needed before the command starts, the rest
while it runs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roar.analyze.trackers.analysis import TrackerAnalysis as TrackerAnalysis
    from roar.analyze.trackers.analysis import analyze_trackers as analyze_trackers
    from roar.analyze.trackers.analysis import initial_environment as initial_environment
    from roar.analyze.trackers.analysis import refresh as refresh
    from roar.analyze.trackers.contract import Owned as Owned
    from roar.analyze.trackers.contract import Ownership as Ownership
    from roar.analyze.trackers.contract import RunUpdate as RunUpdate
    from roar.analyze.trackers.discovery import KnownTracker as KnownTracker
    from roar.analyze.trackers.discovery import environment_names as environment_names
    from roar.analyze.trackers.discovery import known_trackers as known_trackers
    from roar.analyze.trackers.evidence import TrackerFacts as TrackerFacts

_PLACES = {
    "KnownTracker": "discovery",
    "Owned": "contract",
    "Ownership": "contract",
    "RunUpdate": "contract",
    "TrackerAnalysis": "analysis",
    "TrackerFacts": "evidence",
    "analyze_trackers": "analysis",
    "environment_names": "discovery",
    "initial_environment": "analysis",
    "known_trackers": "discovery",
    "refresh": "analysis",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415  only where something is really asked for

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
