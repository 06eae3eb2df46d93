"""DVCLive: a folder with `metrics.json`, `params.yaml` and `plots/`. DVC's own files (`dvc.yaml`, `*.dvc`) stay.

Recognised: the three together, under any folder name.
Filtered: they and the report, as payloads (later stages of a pipeline may read them).
Kept: `dvc.yaml`, `*.dvc`, a lone `metrics.json` or `params.yaml`.
Link: there is none here: the experiment's name from `.git/refs/exps/`, or the folder.
Missing: a page in DVC Studio cannot be derived offline.
"""

import re
from collections.abc import Iterator

from roar.analyze.trackers.contract import Findings, Proof, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_PLOTS = ("custom", "images", "metrics", "sklearn")
_FILES = ("metrics.json", "params.yaml", "report.md", "report.html", "report.ipynb", "dvc.yaml", ".gitignore")
_COMMIT_START, _COMMIT_REST = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{38}")


class DvcLive(Tracker):
    """See the module."""

    name = "dvclive"
    label = "DVCLive"
    environment = ENVIRONMENT["dvclive"]

    def analyze(self, evidence: Evidence) -> Findings:
        """Folders with the whole trio. They are payloads: a pipeline's later stages may read them."""
        findings = Findings()
        folders = list(live_folders(evidence))
        for folder in folders:
            paths = [f"{folder}/{name}" for name in _FILES]
            paths += [path for kind in _PLOTS for path in evidence.paths.below(f"{folder}/plots/{kind}")]
            findings.payload(*(path for path in paths if evidence.was_written(path)))
        experiments = list(_experiments(evidence)) or evidence.settings("DVC_EXP_NAME")
        for number, folder in enumerate(folders):
            name = experiments[min(number, len(experiments) - 1)] if experiments else None
            findings.runs.append(TrackerRun(
                tracker=self.name, label=self.label, name=name,
                run_id=name or evidence.from_workspace(folder),
                state=TrackerRunState.LOCAL, evidence=Proof.FILE,
                how_to_view="dvc exp show" if name else f"cat {quoted(f'{folder}/metrics.json')}",
            ))
        return findings


def live_folders(evidence: Evidence) -> Iterator[str]:
    """The folders that DVCLive wrote in this job."""
    for plots in evidence.paths.folders_named("plots"):
        folder = plots.rpartition("/")[0]
        kinds = set(evidence.paths.folders_in(plots)) & set(_PLOTS)
        beside = (f"{folder}/metrics.json", f"{folder}/params.yaml")
        if kinds and all(path in evidence for path in beside) and any(map(evidence.was_written, beside)):
            yield folder


def _experiments(evidence: Evidence) -> Iterator[str]:
    """Names of experiments that DVC saved as `.git/refs/exps/<2>/<38>/<name>`."""
    index = evidence.paths
    for root in index.folders_named("exps"):
        if root.endswith("/refs/exps"):
            for start in filter(_COMMIT_START.fullmatch, index.folders_in(root)):
                for rest in filter(_COMMIT_REST.fullmatch, index.folders_in(f"{root}/{start}")):
                    for name in index.files_in(f"{root}/{start}/{rest}"):
                        if not name.endswith(".lock") and evidence.was_written(f"{root}/{start}/{rest}/{name}"):
                            yield name


TRACKER = DvcLive()
