"""DVC itself, which pipelines and DVCLive use: its cache and scratch files. It makes no runs.

Recognised: `.dvc/` where the job opened its `config`, or wrote a DVCLive folder.
Filtered: `.dvc/cache`, `.dvc/tmp` and DVC's site cache.
Kept: `dvc.yaml`, `dvc.lock`, `*.dvc`, `.dvc/config`; what a symlink leads to in `.dvc/cache` (`cache.type symlink`):
    that is where your data lie then.
Link: there is none.
Missing: not applicable.
"""

from roar.analyze.trackers.contract import Findings, Tracker
from roar.analyze.trackers.dvclive import live_folders
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence


class Dvc(Tracker):
    """See the module."""

    name = "dvc"
    label = "DVC"
    environment = ENVIRONMENT["dvc"]

    def analyze(self, evidence: Evidence) -> Findings:
        """Files of DVC's own, in a repository with DVC's settings or beside a DVCLive folder."""
        findings = Findings()
        in_use = any(live_folders(evidence))
        roots = [root for root in evidence.paths.folders_named(".dvc") if in_use or f"{root}/config" in evidence]
        for root in roots:
            for part in ("cache", "tmp"):
                paths = evidence.paths.below(f"{root}/{part}")
                findings.noise(*(path for path in paths if not evidence.is_linked(path)))
        if in_use or roots:
            for folder in ("/var/tmp/dvc", *evidence.settings("DVC_SITE_CACHE_DIR")):  # noqa: S108  DVC's own default
                findings.noise(*evidence.paths.below(folder))
        return findings


TRACKER = Dvc()
