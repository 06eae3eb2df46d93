"""Neptune: the 1.x client (`.neptune/async/run__<uuid>…`) and neptune-scale (`run_operations.sqlite3`).

Recognised: `.neptune/{async,sync,offline}/run__<uuid>…` (also `model__`, `project__` and older layouts);
    `run_operations.sqlite3` in a folder that ends in a time of 19 digits.
Filtered: everything in those folders.
Kept: other files below `.neptune/`.
Link: the line `Open in the app: URL` of the same process; for neptune-scale the address below `View your run in the
    app:`, once the client has removed its folder, which is when all was sent.
Missing: the short id (`PROJ-42`) is in no file: leave the client's log on. Unsent runs: the `neptune sync` that is
    shown.
"""

import base64
import json
import re
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from roar.analyze.trackers.console import Line
from roar.analyze.trackers.contract import Findings, Proof, Reads, TokenHost, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.urls import before, clean_base, clean_url, segments
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_CONTAINER = re.compile(rf"(?P<kind>run|model|model_version|project)__(?P<id>{_UUID})(?:__(?P<pid>\d+)__[a-z0-9]+)?")
_FIRST_LAYOUT = re.compile(_UUID)
_MODES = ("async", "sync", "offline")
_OPERATIONS = "run_operations.sqlite3"
_SCALE_FOLDER = re.compile(r".*_\d{19}")
_OPEN_IN_APP = re.compile(r"Open in the app: (?P<url>https?://\S+/(?:e|m|mv)/\S+)")
_OPEN_PROJECT = "Open in the app: "
_VIEW_SCALE = re.compile(r"View your run in the app:\s*(?P<url>https?://\S+)?")
_ADDRESS = re.compile(r"https?://\S+")


def token_host(token: str) -> str | None:
    """The server's address inside an API token (base64 of JSON); nothing else of it is looked at."""
    try:
        decoded = json.loads(base64.b64decode(token + "=" * (-len(token) % 4)))
        return clean_base(str(decoded["api_address"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


class _Container(NamedTuple):
    """A folder of the 1.x client."""

    folder: str
    mode: str
    kind: str
    run_id: str
    pid: int | None
    first_ns: int
    exists: bool


class Neptune(Tracker):
    """See the module."""

    name = "neptune"
    label = "Neptune"
    environment = ENVIRONMENT["neptune"]
    packages = ("neptune", "neptune_scale")
    token_hosts = (TokenHost("NEPTUNE_API_TOKEN", "NEPTUNE_API_ADDRESS", token_host),)
    reads = (
        Reads(
            pattern="*/run_operations.sqlite3", limit=16, part="where the runs are sent",
            tables={"metadata": ("project", "run_id")},
        ),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """Both clients' folders, joined with the addresses that they printed."""
        findings = Findings()
        self._analyze_first(evidence, findings)
        self._analyze_scale(evidence, findings)
        return findings

    # The 1.x client

    def _analyze_first(self, evidence: Evidence, findings: Findings) -> None:
        containers = _containers(evidence, findings)
        links: dict[str, Line] = {}
        for match, line in evidence.console.matches(_OPEN_IN_APP, containing=_OPEN_PROJECT):
            url = clean_url(match["url"])
            if url:
                links.setdefault(url, line)
        paired = _pair(containers, [(url, line.pid) for url, line in links.items()])
        for container in containers:
            url = paired.get(container.run_id)
            findings.runs.append(self._online(url) if url else self._unlinked(evidence, container))
        for url in links:
            if url not in paired.values():
                findings.runs.append(self._online(url))

    def _online(self, url: str) -> TrackerRun:
        workspace, project, _, run_id = ["", "", "", "", *segments(url)][-4:]
        return TrackerRun(
            tracker=self.name, label=self.label, run_id=run_id, project=project or None, entity=workspace or None,
            server=before(url, 4), url=url, state=TrackerRunState.ONLINE, evidence=Proof.CONSOLE,
        )

    def _unlinked(self, evidence: Evidence, container: _Container) -> TrackerRun:
        setting = evidence.setting("NEPTUNE_PROJECT")
        entity, _, project = setting.value.rpartition("/") if setting else ("", "", "")
        run = TrackerRun(
            tracker=self.name, label=self.label, run_id=container.run_id, project=project or None,
            entity=entity or None, evidence=Proof.FILE,
        )
        sync = f"neptune sync --path {quoted(container.folder.rpartition('/.neptune/')[0])}"
        if container.mode == "offline":
            target = f" --project {quoted(f'{entity}/{project}')}" if project else ""
            return replace(
                run, state=TrackerRunState.OFFLINE, how_to_view=f"{sync} --object offline/{container.run_id}{target}",
            )
        host = evidence.setting("NEPTUNE_API_ADDRESS")
        waiting = f"; `{sync}` sends what is still unsent" if container.exists else ""
        return replace(
            run, server=clean_base(host.value) if host else None,
            note=f"Neptune did not print the run's address, and no file holds its short id{waiting}.",
        )

    # neptune-scale

    def _analyze_scale(self, evidence: Evidence, findings: Findings) -> None:
        addresses = _scale_addresses(evidence)
        seen: set[str] = set()
        for path in evidence.paths.starting(_OPERATIONS):
            folder = path.rpartition("/")[0]
            if not _SCALE_FOLDER.fullmatch(folder.rpartition("/")[2]):
                continue
            findings.noise(path)
            if folder in seen:
                continue
            seen.add(folder)
            findings.noise(*evidence.paths.below(f"{folder}/files"))
            database = f"{folder}/{_OPERATIONS}"
            if evidence.was_written(database):
                for project, run_id in evidence.rows(database, "metadata", ("project", "run_id")):
                    address = addresses.pop(str(run_id), None)
                    findings.runs.append(self._unsent(str(project), str(run_id), database, address))
        for run_id, url in addresses.items():
            findings.runs.append(self._sent(run_id, url))

    def _unsent(self, project: str, run_id: str, database: str, address: str | None) -> TrackerRun:
        """The client removes its folder when all is sent. It prints an address before it has reached any server."""
        return TrackerRun(
            tracker=self.name, label=self.label, run_id=run_id, project=project, evidence=Proof.FILE,
            entity=project.partition("/")[0] or None, server=_origin(address) if address else None,
            state=TrackerRunState.OFFLINE, how_to_view=f"neptune sync {quoted(database)}",
        )

    def _sent(self, run_id: str, url: str) -> TrackerRun:
        project = "/".join(segments(url)[:2])
        return TrackerRun(
            tracker=self.name, label=self.label, run_id=run_id, project=project, server=_origin(url), url=url,
            entity=project.partition("/")[0] or None, state=TrackerRunState.ONLINE, evidence=Proof.CONSOLE,
        )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _containers(evidence: Evidence, findings: Findings) -> list[_Container]:
    """The client's folders, in the order in which they were made. All in them is noise."""
    found: dict[str, _Container] = {}
    for root in evidence.paths.folders_named(".neptune"):
        for mode in _MODES:
            for name in evidence.paths.folders_in(f"{root}/{mode}"):
                match = _CONTAINER.fullmatch(name)
                if match is None and not _FIRST_LAYOUT.fullmatch(name):
                    continue
                folder = f"{root}/{mode}/{name}"
                paths = list(evidence.paths.below(folder))
                findings.noise(*paths)
                written = [path for path in paths if evidence.was_written(path)]
                made = [use for path in written if (use := evidence.use(path))]
                if written or not paths:
                    run_id = match["id"] if match else name
                    found.setdefault(run_id, _Container(
                        folder, mode, match["kind"] if match else "run", run_id,
                        int(match["pid"]) if match and match["pid"] else None,
                        evidence.first_seen(written), any(use.exists for use in made),
                    ))
    return sorted(found.values(), key=lambda container: container.first_ns)


def _pair(containers: list[_Container], links: list[tuple[str, int]]) -> dict[str, str]:
    """Container id → address.

    The process tells which belong together; within one process, and where the processes are unknown but the numbers
    agree, the order does.
    """
    waiting = [container for container in containers if container.mode in {"async", "sync"}]
    left = list(links)
    paired: dict[str, str] = {}
    for container in list(waiting):
        link = next((link for link in left if link[1] == container.pid), None)
        if link:
            paired[container.run_id] = link[0]
            left.remove(link)
            waiting.remove(container)
    if len(waiting) == len(left):
        paired |= {container.run_id: link[0] for container, link in zip(waiting, left, strict=True)}
    return paired


def _scale_addresses(evidence: Evidence) -> dict[str, str]:
    """Run id → address, as printed on or below the line that announces it."""
    found = {}
    for match, line in evidence.console.matches(_VIEW_SCALE, containing="View your run in the app"):
        address = _ADDRESS.search(" ".join((match["url"] or "", *line.following)))
        url = clean_url(address[0]) if address else None
        query = parse_qs(urlsplit(url).query) if url else {}
        run_id = query.get("customId", query.get("runIdentificationKey", [""]))[0]
        if url and run_id:
            found[run_id] = url
    return found


TRACKER = Neptune()
