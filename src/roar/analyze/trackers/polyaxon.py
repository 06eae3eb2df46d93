"""Polyaxon: `<root>/<uuid>/run.plx.json` and `*.plx` files; in a cluster the environment names everything.

Recognised: `run.plx.json`, or events and resources as `*.plx`, in a folder named by a run's id.
Filtered: `*.plx`, `*.plx.json`, `outputs/env.json`; offline, copies in `outputs/` as payloads.
Kept: `outputs/` in a cluster: that is where your results go.
Link: `POLYAXON_RUN_INSTANCE` with `POLYAXON_PLATFORM_HOST` or `POLYAXON_HOST`.
Missing: offline runs: the `polyaxon ops push` that is shown.
"""

import json
import re
from dataclasses import replace
from urllib.parse import quote

from roar.analyze.trackers.contract import Findings, Proof, Reads, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.urls import clean_base, clean_url
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_CLUSTER = "/plx-context/artifacts"
_INSTANCE = re.compile(r"(?P<owner>[^.]+)\.(?P<project>.+)\.runs\.(?P<id>[0-9a-f]{32})")


class Polyaxon(Tracker):
    """See the module."""

    name = "polyaxon"
    label = "Polyaxon"
    environment = ENVIRONMENT["polyaxon"]
    reads = (Reads(pattern="*/run.plx.json", limit=1_000_000, part="`uuid`, `owner`, `project`, `name`"),)

    def analyze(self, evidence: Evidence) -> Findings:
        """Run folders; what a cluster's job writes to `outputs/` is the user's, offline it is the client's copy."""
        findings = Findings()
        runs: dict[str, TrackerRun] = {}
        for folder in _run_folders(evidence):
            self._claim(evidence, folder, findings)
            path = f"{folder}/run.plx.json"
            run_id = folder.rpartition("/")[2]
            if evidence.was_written(path):
                runs[run_id] = self._from_file(evidence, path, run_id)
        instance = evidence.setting("POLYAXON_RUN_INSTANCE")
        match = _INSTANCE.fullmatch(instance.value) if instance else None
        if instance and match:
            runs[match["id"]] = self._online(evidence, match, instance.source)
        findings.runs += runs.values()
        return findings

    def _claim(self, evidence: Evidence, folder: str, findings: Findings) -> None:
        in_cluster = folder.startswith((_CLUSTER, *evidence.settings("POLYAXON_ARTIFACTS_ROOT")))
        for path in evidence.paths.below(folder):
            tail = path[len(folder) + 1:]
            if tail.endswith((".plx", ".plx.json")) or tail == "outputs/env.json":
                findings.noise(path)
            elif not in_cluster and tail.startswith(("assets/", "outputs/")) and evidence.was_written(path):
                findings.payload(path)

    def _from_file(self, evidence: Evidence, path: str, run_id: str) -> TrackerRun:
        try:
            known = json.loads(evidence.head(path))
            owner, project, name = (known.get(key) for key in ("owner", "project", "name"))
        except (ValueError, AttributeError, RecursionError):
            owner = project = name = None
        folder = path.removesuffix("/run.plx.json")
        store = folder.rpartition("/")[0].removesuffix("/runs")
        return TrackerRun(
            tracker=self.name, label=self.label, run_id=run_id, project=project, entity=owner, name=name,
            state=TrackerRunState.OFFLINE, evidence=Proof.FILE,
            how_to_view=f"polyaxon ops push -uid {run_id} --path {quoted(store)}",
        )

    def _online(self, evidence: Evidence, match: re.Match[str], proof: Proof) -> TrackerRun:
        run = TrackerRun(
            tracker=self.name, label=self.label, run_id=match["id"], project=match["project"], entity=match["owner"],
            evidence=proof,
        )
        host = evidence.setting("POLYAXON_PLATFORM_HOST", "POLYAXON_HOST")
        server = clean_base(host.value) if host else None
        if server is None:
            return replace(run, note="Nothing proves the server's address.")
        place = f"{quote(match['owner'])}/{quote(match['project'])}"
        url = clean_url(f"{server}/ui/{place}/runs/{match['id']}")
        return replace(run, server=server, url=url, state=TrackerRunState.ONLINE)


def _run_folders(evidence: Evidence) -> set[str]:
    found = {path.removesuffix("/run.plx.json") for path in evidence.paths.named("run.plx.json")}
    for path in evidence.paths.with_extension("plx"):
        parts = path.rsplit("/", 3)
        if len(parts) == 4 and parts[1] in {"events", "resources"}:  # noqa: PLR2004  folder/events/kind/name
            found.add(parts[0])
    return {folder for folder in found if _RUN_ID.fullmatch(folder.rpartition("/")[2])}


TRACKER = Polyaxon()
