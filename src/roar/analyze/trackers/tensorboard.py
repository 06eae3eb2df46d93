"""TensorBoard's event files and their kin, as written by torch, tensorboardX, TensorFlow, Keras and Lightning.

Recognised: `events.out.tfevents.<10 digits>.…` whose first record says `brain.Event:2` (or that is empty yet),
    unless it lies in another tracker's folder.
Filtered: event files, profiles, embedding side files, Lightning's `hparams.yaml` and `metrics.csv`: all as
    payloads, since scripts do read them again.
Kept: checkpoints, and `runs/` folders without event files.
Link: there is none: the log folder is the reference, `tensorboard --logdir` shows it.
Missing: not applicable.
"""

import re
from collections import Counter

from roar.analyze.fold import Made
from roar.analyze.trackers.contract import Findings, Proof, Reads, Tracker
from roar.analyze.trackers.evidence import Evidence
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_EVENT_FILE = re.compile(r"events\.out\.tfevents\.\d{10}\..+", re.DOTALL)
_VERSION = b"\x1a\x0dbrain.Event:2"
_VERSION_AT = 21
_LIGHTNING = re.compile(r"version_\d+")
_LIGHTNING_FILES = ("hparams.yaml", "metrics.csv")
_STEP = re.compile(r"\d{5}")
_EMBEDDING_FILES = frozenset({"tensors.tsv", "metadata.tsv", "sprite.png"})
_ENOUGH = 10
"""After so many proven event files in one folder, the names of the others there are enough."""
_PARTS = frozenset({"eval", "test", "train", "val", "validation"})


class Tensorboard(Tracker):
    """See the module."""

    name = "tensorboard"
    label = "TensorBoard"
    last = True
    reads = (
        Reads(pattern="*/events.out.tfevents.*", limit=64, part="the first record: the format's version"),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """Event files and what their writers put beside them. They are payloads: scripts do read them again."""
        findings = Findings()
        folders: set[str] = set()
        written: set[str] = set()
        proven: Counter[str] = Counter()
        for path in evidence.paths.starting("events.out.tfevents."):
            folder, _, name = path.rpartition("/")
            use = evidence.use(path)
            moved = evidence.was_moved_away(path)
            if use is None or not (use.written or moved) or not _EVENT_FILE.fullmatch(name) or evidence.owner(path):
                continue
            if use.made is Made.SYMLINK:
                findings.noise(path)
            elif proven[folder] >= _ENOUGH or _is_event_file(evidence, path):
                proven[folder] += 1
                findings.payload(path)
                folders.add(folder)
                if evidence.was_written(path):
                    written.add(folder)
        for folder in folders:
            _claim_beside(evidence, folder, findings)
        _claim_lightning(evidence, folders, findings)
        findings.runs += [self._run(evidence, folder) for folder in _log_folders(written)]
        return findings

    def _run(self, evidence: Evidence, folder: str) -> TrackerRun:
        return TrackerRun(
            tracker=self.name, label=self.label, run_id=evidence.from_workspace(folder),
            state=TrackerRunState.LOCAL, evidence=Proof.FILE,
            how_to_view=f"tensorboard --logdir {quoted(folder)}",
        )


def _is_event_file(evidence: Evidence, path: str) -> bool:
    start = evidence.head(path, _VERSION_AT + len(_VERSION))
    return not start or start[_VERSION_AT:] == _VERSION


def _claim_beside(evidence: Evidence, folder: str, findings: Findings) -> None:
    index = evidence.paths
    for place in (folder, folder.rpartition("/")[0]):
        findings.payload(*_put_below(evidence, f"{place}/plugins/profile"))
    if f"{folder}/projector_config.pbtxt" not in evidence:
        return
    findings.payload(f"{folder}/projector_config.pbtxt")
    for step in index.folders_in(folder):
        if _STEP.fullmatch(step):
            findings.payload(*(
                path for path in _put_below(evidence, f"{folder}/{step}")
                if path.rpartition("/")[2] in _EMBEDDING_FILES
            ))


def _put_below(evidence: Evidence, folder: str) -> list[str]:
    return [path for path in evidence.paths.below(folder) if _is_put(evidence, path)]


def _is_put(evidence: Evidence, path: str) -> bool:
    """Whether it is there as the job wrote it, or was there until the job moved it."""
    return evidence.was_written(path) or evidence.was_moved_away(path)


def _claim_lightning(evidence: Evidence, folders: set[str], findings: Findings) -> None:
    """Lightning's `version_N/hparams.yaml` and `metrics.csv`, beside an event file or each other."""
    for name in _LIGHTNING_FILES:
        for path in evidence.paths.named(name):
            folder = path.rpartition("/")[0]
            if not _is_put(evidence, path) or evidence.owner(path):
                continue
            both = all(f"{folder}/{other}" in evidence for other in _LIGHTNING_FILES)
            versioned = _LIGHTNING.fullmatch(folder.rpartition("/")[2]) is not None
            if (versioned and (both or folder in folders)) or (name == "hparams.yaml" and folder in folders):
                findings.payload(path)


def _log_folders(folders: set[str]) -> list[str]:
    """One folder per run: sub-runs count with the folder above, `train` and `validation` with their parent."""
    grouped = {folder.rpartition("/")[0] if folder.rpartition("/")[2] in _PARTS else folder for folder in folders}
    return sorted(folder for folder in grouped if not any(above in grouped for above in _above(folder)))


def _above(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]


TRACKER = Tensorboard()
