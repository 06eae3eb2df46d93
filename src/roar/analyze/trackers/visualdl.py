"""VisualDL (PaddlePaddle): `vdlrecords.<time>.log` files.

Recognised: the files' names.
Filtered: they, as payloads; VisualDL's settings in the home folder.
Kept: your files.
Link: there is none: `visualdl --logdir` shows the folder.
Missing: not applicable.
"""

import re

from roar.analyze.trackers.contract import Findings, Proof, Tracker
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_RECORDS = re.compile(r"vdlrecords\.\d{10}\.(.*\.)?log")


class VisualDl(Tracker):
    """See the module."""

    name = "visualdl"
    label = "VisualDL"
    last = True

    def analyze(self, evidence: Evidence) -> Findings:
        """One reference per folder; sub-folders of a run's folder belong to it."""
        findings = Findings()
        folders: set[str] = set()
        for path in evidence.paths.starting("vdlrecords."):
            folder, _, name = path.rpartition("/")
            if _RECORDS.fullmatch(name) and evidence.was_written(path) and evidence.owner(path) is None:
                findings.payload(path)
                folders.add(folder)
        settings = f"{evidence.home}/.visualdl/conf/config.json"
        if folders and settings in evidence:
            findings.noise(settings)
        for folder in sorted(folders):
            findings.runs.append(TrackerRun(
                tracker=self.name, label=self.label,
                run_id=evidence.from_workspace(folder),
                state=TrackerRunState.LOCAL, evidence=Proof.FILE,
                how_to_view=f"visualdl --logdir {quoted(folder)}",
            ))
        return findings


TRACKER = VisualDl()
