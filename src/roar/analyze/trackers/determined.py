"""Determined: in a cluster the environment names the run. Its checkpoints are the user's, so nothing is filtered.

Recognised: `DET_EXPERIMENT_ID` in the environment.
Filtered: nothing.
Kept: everything.
Link: `DET_MASTER`, as the container knows it.
Missing: off a cluster there is no run.
"""

from dataclasses import replace

from roar.analyze.trackers.contract import Findings, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.urls import clean_base
from roar.model import TrackerRun, TrackerRunState


class Determined(Tracker):
    """See the module."""

    name = "determined"
    label = "Determined"
    environment = ENVIRONMENT["determined"]

    def analyze(self, evidence: Evidence) -> Findings:
        """The experiment that the cluster runs this command for."""
        findings = Findings()
        experiment = evidence.setting("DET_EXPERIMENT_ID")
        if experiment is None or not experiment.value.isdecimal():
            return findings
        run = TrackerRun(
            tracker=self.name, label=self.label, run_id=experiment.value, evidence=experiment.source,
            note="Nothing proves the master's address.",
        )
        master = evidence.setting("DET_MASTER")
        server = clean_base(master.value) if master else None
        if server:
            run = replace(
                run, server=server, url=f"{server}/det/experiments/{experiment.value}", state=TrackerRunState.ONLINE,
                note="The address is the one that the container uses; from outside it may be another.",
            )
        findings.runs.append(run)
        return findings


TRACKER = Determined()
