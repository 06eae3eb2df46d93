"""Pluto (pluto-ml): `.pluto/<project>/<run>/`; the address is printed.

Recognised: the client's own files in such a folder.
Filtered: they.
Kept: other files below `.pluto/`.
Link: the line `View run … at URL`.
Missing: let Pluto print its lines.
"""

import re

from roar.analyze.trackers.contract import Findings, Proof, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.urls import clean_url, segments
from roar.model import TrackerRun, TrackerRunState

_OWN = re.compile(r"pluto\.log|sys\.(json|log)|sync\.db(-wal|-shm|-journal)?|\.sync\.pid")
_VIEW_RUN = re.compile(r"pluto: .*View run (?P<name>\S+) at (?P<url>https?://\S+)")
_SEGMENTS = 5


class Pluto(Tracker):
    """See the module."""

    name = "pluto"
    label = "Pluto"
    environment = ENVIRONMENT["pluto"]
    packages = ("pluto",)

    def analyze(self, evidence: Evidence) -> Findings:
        """The run folders' own files, and the addresses that were printed."""
        findings = Findings()
        for root in evidence.paths.folders_named(".pluto"):
            for path in evidence.paths.below(root):
                parts = path[len(root) + 1:].split("/")
                if (len(parts) == 3 and _OWN.fullmatch(parts[2])) or parts == [".login_ok"]:  # noqa: PLR2004  project/run/file
                    findings.noise(path)
        runs: dict[str, TrackerRun] = {}
        for match, _ in evidence.console.matches(_VIEW_RUN, containing="View run "):
            url = clean_url(match["url"])
            parts = segments(url) if url else []
            if url and len(parts) >= _SEGMENTS and parts[-3] == "projects":
                runs[url] = TrackerRun(
                    tracker=self.name, label=self.label, run_id=parts[-1], project=parts[-2], entity=parts[-4],
                    name=match["name"], url=url, server=url.partition("/o/")[0], state=TrackerRunState.ONLINE,
                    evidence=Proof.CONSOLE,
                )
        findings.runs += runs.values()
        return findings


TRACKER = Pluto()
