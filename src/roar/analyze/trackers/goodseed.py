"""GoodSeed: `~/.goodseed/projects/<workspace>/<project>/runs/<run>.sqlite`; the path is the reference.

Recognised: such files below `~/.goodseed` or `GOODSEED_HOME`.
Filtered: they.
Kept: your files.
Link: there is none: `goodseed serve` shows the runs.
Missing: not applicable.
"""

import re

from roar.analyze.trackers.contract import Findings, Proof, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_DATABASE = re.compile(
    r".+/projects/(?P<workspace>[^/]+)/(?P<project>[^/]+)/runs/(?P<run>[^/]+)\.sqlite(?P<side>-wal|-shm|-journal)?",
)


class GoodSeed(Tracker):
    """See the module."""

    name = "goodseed"
    label = "GoodSeed"
    environment = ENVIRONMENT["goodseed"]

    def analyze(self, evidence: Evidence) -> Findings:
        """Databases below GoodSeed's folder."""
        findings = Findings()
        homes = {f"{evidence.home}/.goodseed", *evidence.settings("GOODSEED_HOME")}
        for home in homes:
            for path in evidence.paths.below(f"{home}/projects"):
                match = _DATABASE.fullmatch(path)
                if match is None:
                    continue
                findings.noise(path)
                if not match["side"] and evidence.was_written(path):
                    findings.runs.append(TrackerRun(
                        tracker=self.name, label=self.label, run_id=match["run"], project=match["project"],
                        entity=match["workspace"], state=TrackerRunState.LOCAL, evidence=Proof.FILE,
                        how_to_view=f"goodseed serve {quoted(home + '/projects')}",
                    ))
        return findings


TRACKER = GoodSeed()
