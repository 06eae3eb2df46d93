"""Guild AI: the command runs inside `<home>/runs/<id>/`, so all but `.guild/` and copied sources is the user's.

Recognised: `runs/<id>/.guild/opref`.
Filtered: `.guild/`, source copies that its manifest lists, Guild's cache.
Kept: everything else in the run's folder.
Link: there is none: `guild runs info` shows the run.
Missing: not applicable.
"""

import re

from roar.analyze.trackers.contract import Findings, Proof, Reads, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_RUN_ID = re.compile(r"[0-9a-f]{32}")


class Guild(Tracker):
    """See the module."""

    name = "guild"
    label = "Guild AI"
    environment = ENVIRONMENT["guild"]
    reads = (Reads(pattern="*/.guild/manifest", limit=1_000_000, part="the names of copied source files"),)

    def analyze(self, evidence: Evidence) -> Findings:
        """Run folders with `.guild/opref`."""
        findings = Findings()
        for path in evidence.paths.named("opref"):
            folder = path.removesuffix("/.guild/opref")
            store, _, run_id = folder.rpartition("/")
            if folder == path or not _RUN_ID.fullmatch(run_id) or not store.endswith("/runs"):
                continue
            findings.noise(*evidence.paths.below(f"{folder}/.guild"))
            findings.noise(*(
                f"{folder}/{source}" for source in _sources(evidence, folder) if f"{folder}/{source}" in evidence
            ))
            findings.noise(*evidence.paths.below(f"{store.removesuffix('/runs')}/cache"))
            if evidence.was_written(path):
                home = store.removesuffix("/runs")
                findings.runs.append(TrackerRun(
                    tracker=self.name, label=self.label, run_id=run_id, state=TrackerRunState.LOCAL,
                    how_to_view=f"guild -H {quoted(home)} runs info {run_id[:8]}", evidence=Proof.FILE,
                ))
        return findings


def _sources(evidence: Evidence, folder: str) -> list[str]:
    """Lines of the manifest are `s <path> <digest> <original>`."""
    lines = (line.split(" ") for line in evidence.text(f"{folder}/.guild/manifest").splitlines())
    return [words[1] for words in lines if words[0] == "s" and len(words) > 1]


TRACKER = Guild()
