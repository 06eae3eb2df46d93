"""Labbook for roar: `labbook/<run>/entry.json` names the run and its page."""

import json

from roar.analyze.trackers.contract import Findings, Reads, Tracker
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState


class Labbook(Tracker):
    """A tracker with a file that carries the reference."""

    name = "labbook"
    label = "Labbook"
    environment = ("LABBOOK_URL", "LABBOOK_TEAM_*")
    reads = (Reads(pattern="*/labbook/*/entry.json", part="`id`", limit=1000),)

    def analyze(self, evidence: Evidence) -> Findings:
        """Entries with an id are runs; the whole entry is Labbook's."""
        findings = Findings()
        for path in evidence.paths.named("entry.json"):
            folder = path.removesuffix("/entry.json")
            try:
                run_id = str(json.loads(evidence.head(path))["id"])
            except (ValueError, KeyError, TypeError, PermissionError):
                continue
            findings.noise(*evidence.paths.below(folder))
            server = evidence.setting("LABBOOK_URL")
            findings.runs.append(TrackerRun(
                tracker=self.name, label=self.label, run_id=run_id, evidence=server.source if server else "file",
                url=f"{server.value}/runs/{run_id}" if server else None,
                state=TrackerRunState.ONLINE if server else TrackerRunState.PARTIAL,
            ))
        return findings


TRACKER = Labbook()
