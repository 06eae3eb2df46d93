"""Comet: online only the console tells; offline experiments are `.cometml-runs/<key>.zip`.

Recognised: zip archives named by a key in `.cometml-runs/` or `COMET_OFFLINE_DIRECTORY`, or that hold an offline
    experiment.
Filtered: those archives and the client's temporary folders.
Kept: checkpoints below `.cometml-runs/`, other archives.
Link: the lines `Experiment is live on comet.com URL` and `url : URL` of the summary; for an offline experiment what
    `comet upload` prints under `roar run`.
Missing: keep Comet's log level at INFO. Offline experiments: the `comet upload` that is shown.
"""

import base64
import json
import re
from dataclasses import replace

from roar.analyze.trackers.contract import Findings, Proof, Reads, RunUpdate, TokenHost, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.urls import before, clean_base, clean_url, segments
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_KEY = re.compile(r"[0-9A-Za-z]{32,50}")
_ARCHIVE = re.compile(r"(?P<key>[0-9A-Za-z]{32,50})\.zip")
_LIVE = re.compile(r"Experiment is live on comet\S* (?P<url>https?://\S+)")
_SUMMARY = re.compile(r"COMET INFO:\s+url\s+: (?P<url>https?://\S+)")
_UPLOADED = re.compile(r"The offline experiment has been uploaded on comet\S* (?P<url>https?://\S+)")
_SEGMENTS = 3


def key_host(key: str) -> str | None:
    """The server's address inside an API key (`<random>*<base64 of JSON>`); nothing else of it is looked at."""
    encoded = key.partition("*")[2]
    try:
        return clean_base(str(json.loads(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))["baseUrl"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


class Comet(Tracker):
    """See the module."""

    name = "comet"
    label = "Comet"
    environment = ENVIRONMENT["comet"]
    packages = ("comet_ml",)
    token_hosts = (TokenHost("COMET_API_KEY", "COMET_BASE_ADDRESS", key_host),)
    reads = (
        Reads(pattern="*.zip", member="experiment.json", limit=65536,
              part="of an offline experiment the member `experiment.json`: project, workspace"),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """Printed addresses and offline archives, joined by the experiment's key."""
        findings = Findings()
        runs: dict[str, TrackerRun] = {}
        seen: set[str] = set()
        for path in self._archives(evidence):
            findings.noise(path)
            run = self._offline(evidence, path)
            if evidence.was_made(path):
                runs[run.run_id] = run
            else:
                seen.add(run.run_id)
        earlier = seen - runs.keys()
        for pattern, containing in ((_LIVE, "comet"), (_SUMMARY, "COMET"), (_UPLOADED, "comet")):
            for match, _ in evidence.console.matches(pattern, containing=containing):
                url = clean_url(match["url"])
                if url and len(segments(url)) >= _SEGMENTS and _KEY.fullmatch(segments(url)[-1]):
                    entity, project, key = segments(url)[-_SEGMENTS:]
                    runs[key] = TrackerRun(
                        tracker=self.name, label=self.label, run_id=key, project=project, entity=entity,
                        server=before(url, _SEGMENTS), url=url, state=TrackerRunState.ONLINE, evidence=Proof.CONSOLE,
                    )
        _claim_scratch(evidence, findings, in_use=bool(runs))
        findings.runs += [run for key, run in runs.items() if key not in earlier]
        findings.updates += [
            RunUpdate(tracker=self.name, run_id=key, becomes=run) for key, run in runs.items() if key in earlier
        ]
        return findings

    def _archives(self, evidence: Evidence) -> list[str]:
        """Zip files named by a key, in Comet's own folder or in the one that the settings name."""
        folders = {value.rstrip("/") for value in evidence.settings("COMET_OFFLINE_DIRECTORY")}
        folders |= {f"{evidence.cwd}/{folder}" for folder in folders if not folder.startswith("/")}
        found = []
        for path in evidence.paths.with_extension("zip"):
            folder, _, name = path.rpartition("/")
            ours = folder.endswith("/.cometml-runs") or folder in folders
            if _ARCHIVE.fullmatch(name) and (ours or b'"offline_id"' in evidence.member(path)):
                found.append(path)
        return found

    def _offline(self, evidence: Evidence, path: str) -> TrackerRun:
        try:
            known = json.loads(evidence.member(path))
            project, workspace = known.get("project_name"), known.get("workspace")
        except (ValueError, AttributeError, RecursionError):
            project = workspace = None
        run = TrackerRun(
            tracker=self.name, label=self.label, run_id=path.rpartition("/")[2].removesuffix(".zip"),
            project=project or _value(evidence, "COMET_PROJECT_NAME"),
            entity=workspace or _value(evidence, "COMET_WORKSPACE"), state=TrackerRunState.OFFLINE,
            how_to_view=f"comet upload {quoted(path)}", evidence=Proof.FILE,
        )
        return run if project is not None or workspace is not None else replace(
            run, note="The archive holds no experiment: the command may have been killed before it was written.",
        )


def _value(evidence: Evidence, name: str) -> str | None:
    setting = evidence.setting(name)
    return setting.value if setting else None


def _claim_scratch(evidence: Evidence, findings: Findings, *, in_use: bool) -> None:
    """The client's temporary folders."""
    for name in evidence.paths.folders_in(evidence.tmpdir):
        folder = f"{evidence.tmpdir}/{name}"
        files = set(evidence.paths.files_in(folder))
        known = "comet_messages.db" in files or {"messages.json", "experiment.json"} <= files
        if name.startswith("tmp") and (known or (in_use and "messages.json" in files)):
            findings.noise(*evidence.paths.below(folder))


TRACKER = Comet()
