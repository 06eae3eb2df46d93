"""Sacred's file observer: `<store>/<n>/{run.json,config.json,cout.txt}`. Its database observers leave nothing here.

Recognised: the three together.
Filtered: they, `metrics.json`, `info.json`, copies of sources; copies of artifacts as payloads.
Kept: other files in the run's folder.
Link: there is none.
Missing: with MongoObserver and other databases nothing local tells of the run.
"""

import json
import re

from roar.analyze.trackers.contract import Findings, Proof, Reads, Tracker
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_TRIO = ("run.json", "config.json", "cout.txt")
_OWN = (*_TRIO, "metrics.json", "info.json")
_SOURCE = re.compile(r".+_[0-9a-f]{32}(\..+)?")


class Sacred(Tracker):
    """See the module."""

    name = "sacred"
    label = "Sacred"
    reads = (
        Reads(pattern="*/run.json", limit=1_000_000,
              part="`artifacts`: the names of copies beside it; the experiment's name"),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """Run folders with the whole trio; copies of artifacts are payloads."""
        findings = Findings()
        for path in evidence.paths.named("run.json"):
            folder = path.removesuffix("/run.json")
            if not all(f"{folder}/{name}" in evidence for name in _TRIO):
                continue
            findings.noise(*(f"{folder}/{name}" for name in _OWN if f"{folder}/{name}" in evidence))
            store, _, run_id = folder.rpartition("/")
            for kept in ("_sources", "_resources"):
                findings.noise(*(
                    f"{store}/{kept}/{name}"
                    for name in evidence.paths.files_in(f"{store}/{kept}") if _SOURCE.fullmatch(name)
                ))
            if evidence.was_written(path):
                name, artifacts = _known(evidence, path)
                copies = (f"{folder}/{artifact}" for artifact in artifacts)
                findings.payload(*(copy for copy in copies if evidence.was_written(copy)))
                findings.runs.append(TrackerRun(
                    tracker=self.name, label=self.label, run_id=run_id, name=name, state=TrackerRunState.LOCAL,
                    how_to_view=f"cat {quoted(f'{folder}/cout.txt')}", evidence=Proof.FILE,
                ))
        return findings


def _known(evidence: Evidence, path: str) -> tuple[str | None, list[str]]:
    """The experiment's name and the names of the artifacts' copies, as far as the file makes sense."""
    try:
        content = json.loads(evidence.head(path))
    except (ValueError, RecursionError):
        return None, []
    if not isinstance(content, dict):
        return None, []
    experiment, artifacts = content.get("experiment"), content.get("artifacts")
    name = experiment.get("name") if isinstance(experiment, dict) else None
    return (name if isinstance(name, str) else None,
            [copy for copy in artifacts if isinstance(copy, str)] if isinstance(artifacts, list) else [])


TRACKER = Sacred()
