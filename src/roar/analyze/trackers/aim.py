"""Aim: a repository `.aim/`; a run's hash is the name of its folder of chunks. Remote tracking leaves no trace.

Recognised: `.aim/` with `run_metadata.sqlite` or chunk folders named by a hash.
Filtered: all of it.
Kept: your files.
Link: there is none: `aim up --repo` shows the run.
Missing: runs on a remote server (`aim://`) leave neither files nor output and are not recognised.
"""

import re

from roar.analyze.trackers.contract import Findings, Proof, Tracker
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_HASH = re.compile(r"[0-9a-f]{24}")


class Aim(Tracker):
    """See the module."""

    name = "aim"
    label = "Aim"

    def analyze(self, evidence: Evidence) -> Findings:
        """Repositories with their database or with chunks; the runs whose chunks the job wrote."""
        findings = Findings()
        index = evidence.paths
        for repository in index.folders_named(".aim"):
            chunks = [name for name in index.folders_in(f"{repository}/meta/chunks") if _HASH.fullmatch(name)]
            if f"{repository}/run_metadata.sqlite" not in evidence and not chunks:
                continue
            findings.noise(*index.below(repository))
            parent = repository.rpartition("/")[0]
            findings.runs += [
                TrackerRun(
                    tracker=self.name, label=self.label, run_id=name, state=TrackerRunState.LOCAL,
                    how_to_view=f"aim up --repo {quoted(parent)}", evidence=Proof.FILE,
                )
                for name in chunks if _was_made(evidence, f"{repository}/meta/chunks/{name}")
            ]
        return findings


def _was_made(evidence: Evidence, folder: str) -> bool:
    """Readers only take the lock; writers leave logs and tables."""
    return any(evidence.was_written(path) and not path.endswith("/LOCK") for path in evidence.paths.below(folder))


TRACKER = Aim()
