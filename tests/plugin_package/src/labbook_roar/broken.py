"""A tracker with a bug."""

from roar.analyze.trackers.contract import Findings, Tracker
from roar.analyze.trackers.evidence import Evidence


class Broken(Tracker):
    """It raises whenever it is asked."""

    name = "broken"
    label = "Broken"

    def analyze(self, evidence: Evidence) -> Findings:
        """Fail."""
        raise RuntimeError("a bug in the plug-in")


TRACKER = Broken()
