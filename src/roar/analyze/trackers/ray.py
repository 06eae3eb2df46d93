"""Ray Tune: `<experiment>/<trial>/{result.json,params.json,params.pkl}`. Checkpoints are the user's.

Recognised: the three together.
Filtered: they, progress and event files, the experiment's state, all as payloads; Ray's own session folders.
Kept: `checkpoint_*/` and your files, also those in a trial's working folder.
Link: there is none: `tensorboard --logdir` shows the experiment.
Missing: not applicable.
"""

import re

from roar.analyze.trackers.contract import Findings, Proof, Tracker
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_TRIO = ("result.json", "params.json", "params.pkl")
_TRIAL_FILE = re.compile(
    r"result\.json|params\.(json|pkl)|progress\.csv|error\.(txt|pkl)|events\.out\.tfevents\.\d{10}\..+",
)
_EXPERIMENT_FILE = re.compile(
    r"(experiment_state|basic-variant-state|search_gen_state|searcher-state)-.+|tuner\.pkl|trainer\.pkl"
    r"|\.validate_storage_marker",
)
_SESSION = re.compile(r"/session_\d{4}-\d\d-\d\d_[\d-]+_\d+_\d+/")
_WORKING_FOLDERS = "/working_dirs/"


class Ray(Tracker):
    """See the module."""

    name = "ray"
    label = "Ray Tune"

    def analyze(self, evidence: Evidence) -> Findings:
        """Trials with the whole trio; one reference per experiment."""
        findings = Findings()
        experiments: dict[str, None] = {}
        for path in evidence.paths.named("result.json"):
            trial = path.removesuffix("/result.json")
            if _SESSION.search(path):
                continue
            if all(f"{trial}/{name}" in evidence for name in _TRIO):
                _claim(evidence, trial, _TRIAL_FILE, findings)
                experiment = trial.rpartition("/")[0]
                _claim(evidence, experiment, _EXPERIMENT_FILE, findings)
                if evidence.was_written(path):
                    experiments[experiment] = None
        for place in evidence.paths.folders_named("ray"):
            for name in evidence.paths.folders_in(place):
                if _SESSION.fullmatch(f"/{name}/"):
                    paths = evidence.paths.below(f"{place}/{name}")
                    findings.noise(*(path for path in paths if _WORKING_FOLDERS not in path))
        findings.runs += [
            TrackerRun(
                tracker=self.name, label=self.label, run_id=experiment.rpartition("/")[2], state=TrackerRunState.LOCAL,
                how_to_view=f"tensorboard --logdir {quoted(experiment)}", evidence=Proof.FILE,
            )
            for experiment in experiments
        ]
        return findings


def _claim(evidence: Evidence, folder: str, own: re.Pattern[str], findings: Findings) -> None:
    names = (name for name in evidence.paths.files_in(folder) if own.fullmatch(name))
    findings.payload(*(path for name in names if evidence.was_written(path := f"{folder}/{name}")))


TRACKER = Ray()
