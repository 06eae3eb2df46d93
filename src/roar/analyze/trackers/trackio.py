"""Trackio: one SQLite file per project below the Hugging Face cache; a server or Space is known from the console.

Recognised: the folder `trackio` in the Hugging Face cache (`HF_HOME`), or `TRACKIO_DIR`.
Filtered: all of it; media and artifacts as payloads.
Kept: your files.
Link: the server or Space that Trackio prints, opened at the project: no address of a run is printed. Write tokens
    are dropped.
Missing: local runs: the `trackio show` that is shown.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from roar.analyze.trackers.contract import Findings, Proof, Reads, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.urls import clean_base
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_TABLES = frozenset({"metrics", "configs"})
_SERVER = re.compile(
    r"\* (?:Trackio metrics will be sent to self-hosted server|Found existing space|Creating new space): "
    r"(?P<url>https?://\S+)",
)
_PROJECT = re.compile(r"Trackio project initialized: (?P<project>.+)")
_RUN = re.compile(r"\* (?:Created new|Resumed existing) run: (?P<name>.+)")


class Trackio(Tracker):
    """See the module."""

    name = "trackio"
    label = "Trackio"
    environment = ENVIRONMENT["trackio"]
    packages = ("trackio",)
    reads = (
        Reads(
            pattern="*.db", limit=16, part="ids and names of the runs (not their configurations)",
            tables={"configs": ("run_id", "run_name", "created_at")},
        ),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """The store's folder is Trackio's alone; runs are rows of its databases."""
        findings = Findings()
        for root in _roots(evidence):
            for path in evidence.paths.below(root):
                kept = path.startswith((f"{root}/artifacts/", f"{root}/media/"))
                claim = findings.payload if kept and evidence.was_written(path) else findings.noise
                claim(path)
            for name in evidence.paths.files_in(root):
                if name.endswith(".db") and evidence.was_written(f"{root}/{name}"):
                    findings.runs += self._local(evidence, f"{root}/{name}")
        findings.runs += self._on_server(evidence)
        return findings

    def _local(self, evidence: Evidence, database: str) -> Iterator[TrackerRun]:
        if not evidence.tables(database) >= _TABLES:
            return
        project = database.rpartition("/")[2].removesuffix(".db")
        rows = evidence.rows(database, "configs", ("run_id", "run_name", "created_at")) or [
            (name, name, created) for name, created in evidence.rows(database, "configs", ("run_name", "created_at"))
        ]
        folder = database.rpartition("/")[0]
        elsewhere = "" if folder.endswith("/.cache/huggingface/trackio") else f"TRACKIO_DIR={quoted(folder)} "
        for run_id, name, created in rows:
            if not evidence.was_read(database) or _is_recent(evidence, created):
                yield TrackerRun(
                    tracker=self.name, label=self.label, run_id=str(run_id), project=project, name=str(name),
                    state=TrackerRunState.LOCAL, evidence=Proof.FILE,
                    how_to_view=f"{elsewhere}trackio show --project {quoted(project)}",
                )

    def _on_server(self, evidence: Evidence) -> Iterator[TrackerRun]:
        """A server prints its address, but no run's; the project's page is what can be opened."""
        for match, line in evidence.console.matches(_SERVER, containing="* "):
            server = clean_base(match["url"])
            near = [other for other in evidence.console.lines if other.pid == line.pid]
            project = next((found["project"] for other in near if (found := _PROJECT.search(other.text))), None)
            name = next((found["name"] for other in near if (found := _RUN.search(other.text))), None)
            if server and (name or project):
                run = TrackerRun(
                    tracker=self.name, label=self.label, run_id=name or project or "", project=project, name=name,
                    server=server, evidence=Proof.CONSOLE,
                )
                page = f"{server}/?project={quote(project)}" if project and "/spaces/" not in server else server
                yield replace(
                    run, url=page, state=TrackerRunState.ONLINE,
                    note="Trackio prints no run's address: this opens the project.",
                )


def _roots(evidence: Evidence) -> set[str]:
    found = {f"{evidence.home}/.cache/huggingface/trackio"}
    found |= {os.path.join(value, "trackio") for value in evidence.settings("HF_HOME")}
    found |= set(evidence.settings("TRACKIO_DIR"))
    return {os.path.normpath(os.path.join(evidence.cwd, os.path.expanduser(folder))) for folder in found}


def _is_recent(evidence: Evidence, created: object) -> bool:
    try:
        return evidence.in_job_ms(datetime.fromisoformat(str(created)).timestamp() * 1000)
    except ValueError:
        return False


TRACKER = Trackio()
