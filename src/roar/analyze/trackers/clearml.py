"""ClearML: `~/.clearml/.session.json`, offline sessions, and the lock file that carries the task's id.

Recognised: the session file, folders and archives `offline/offline-<id>`, `clearml_<id>.lock` in the temporary
    folder.
Filtered: the cache folder, offline sessions (data in them as payloads), locks.
Kept: your files.
Link: the line `ClearML results page: URL`; else the session file's task with the web server from
    `CLEARML_WEB_HOST`, from the `clearml.conf` that the job opened, or derived from the API's address as the SDK
    does it.
Missing: set `api.web_server` in `clearml.conf`, or `CLEARML_WEB_HOST`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from roar.analyze.trackers.contract import Findings, Proof, Reads, RunUpdate, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.urls import clean_base, clean_url, segments
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_TASK = re.compile(r"(?:offline-)?[0-9a-f]{32}")
_OFFLINE = re.compile(r"(offline-[0-9a-f]{32})(\.zip)?")
_LOCK = re.compile(r"clearml_((?:offline-)?[0-9a-f]{32})\.lock")
_PAGE = re.compile(r"ClearML (?:results|pipeline|dataset|hyper-dataset) page: (?P<url>https?://\S+)")
_SESSION = ".session.json"
_HOSTS = re.compile(
    r"""^\s*"?(?P<key>api_server|web_server)"?\s*[:=]\s*"?(?P<url>https?://[^\s"#,}]+)""", re.MULTILINE,
)
_API_PORT, _WEB_PORT = ":8008", ":8080"


class _Task(NamedTuple):
    """An entry of the session file."""

    run_id: str
    project: str | None
    name: str | None
    api: str | None


class ClearMl(Tracker):
    """See the module."""

    name = "clearml"
    label = "ClearML"
    environment = ENVIRONMENT["clearml"]
    packages = ("clearml", "trains")
    reads = (
        Reads(pattern="*/.session.json", limit=1_000_000, part="of each task: API server, project, name, id, time"),
        Reads(pattern="*/clearml.conf", limit=65536, part="`api_server`, `web_server`; only when the job opened it"),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """The cache, offline sessions and locks; one reference per task id."""
        findings = Findings()
        tasks: dict[str, _Task] = {task.run_id: task for task in _session_tasks(evidence)}
        for run_id in (*_locks(evidence, findings), *_offline_sessions(evidence, findings), *_of_children(evidence)):
            tasks.setdefault(run_id, _Task(run_id, None, None, None))
        _claim_cache(evidence, findings)
        links: dict[str, str] = {}
        for match, _ in evidence.console.matches(_PAGE, containing="ClearML "):
            url = clean_url(match["url"])
            ids = [part for part in segments(url) if _TASK.fullmatch(part)] if url else []
            if url and ids:
                links[ids[-1]] = url
        imported = _imported_session(evidence)
        for run_id in dict.fromkeys((*tasks, *links)):
            task = tasks.get(run_id, _Task(run_id, None, None, None))
            run = self._run(evidence, task, links.get(run_id))
            if imported and not tasks and len(links) == 1:
                findings.updates.append(RunUpdate(tracker=self.name, run_id=imported, becomes=run))
            else:
                findings.runs.append(run)
        return findings

    def _run(self, evidence: Evidence, task: _Task, url: str | None) -> TrackerRun:
        run = TrackerRun(
            tracker=self.name, label=self.label, run_id=task.run_id, project=task.project, name=task.name,
            evidence=Proof.FILE,
        )
        if url:
            parts = urlsplit(url)
            server = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
            return replace(run, url=url, server=server, state=TrackerRunState.ONLINE, evidence=Proof.CONSOLE)
        if task.run_id.startswith("offline-"):
            archive = next(iter(evidence.paths.named(f"{task.run_id}.zip")), f"{task.run_id}.zip")
            upload = f"clearml-task --import-offline-session {quoted(archive)}"
            return replace(run, state=TrackerRunState.OFFLINE, how_to_view=upload)
        base, proof = _web_server(evidence, task.api)
        if base is None:
            return replace(run, note="Nothing proves which server the task was sent to.")
        page = clean_url(f"{base}/projects/*/experiments/{task.run_id}/output/log")
        return replace(run, server=base, url=page, state=TrackerRunState.ONLINE, evidence=proof)


def _session_tasks(evidence: Evidence) -> Iterator[_Task]:
    """Tasks that this job put into the session file: all of a file that it made itself, else those of its time."""
    for path in evidence.paths.named(_SESSION):
        if not evidence.was_written(path) or not path.endswith(f"/.clearml/{_SESSION}"):
            continue
        try:
            content = json.loads(evidence.head(path))
            entries = [(key, entry) for kind in content.values() for key, entry in kind.items()]
        except (ValueError, AttributeError, RecursionError):
            continue
        for key, entry in entries:
            server = re.match(r"<([^>]*)>:<", key)
            run_id = str(entry.get("id", "")) if isinstance(entry, dict) else ""
            if _TASK.fullmatch(run_id) and (not evidence.was_read(path) or _is_recent(evidence, entry.get("time"))):
                yield _Task(run_id, entry.get("project"), entry.get("name"), server[1] if server else None)


def _is_recent(evidence: Evidence, seconds: object) -> bool:
    return isinstance(seconds, (int, float)) and evidence.in_job_ms(seconds * 1000)


def _locks(evidence: Evidence, findings: Findings) -> Iterator[str]:
    for path in evidence.paths.with_extension("lock"):
        match = _LOCK.fullmatch(path.rpartition("/")[2])
        if match and evidence.was_written(path):
            findings.noise(path)
            yield match[1]


def _offline_sessions(evidence: Evidence, findings: Findings) -> Iterator[str]:
    for place in evidence.paths.folders_named("offline"):
        for name in (*evidence.paths.folders_in(place), *evidence.paths.files_in(place)):
            match = _OFFLINE.fullmatch(name)
            if match is None:
                continue
            paths = [f"{place}/{name}"] if match[2] else list(evidence.paths.below(f"{place}/{name}"))
            for path in paths:
                claim = findings.payload if "/data/" in path and evidence.was_written(path) else findings.noise
                claim(path)
            if any(evidence.was_written(path) for path in paths):
                yield match[1]


def _imported_session(evidence: Evidence) -> str | None:
    """The offline session whose archive the job only read, if it is one: its upload is a task with a new id."""
    read = [
        match[1] for path in evidence.paths.with_extension("zip")
        if (match := _OFFLINE.fullmatch(path.rpartition("/")[2])) and not evidence.was_written(path)
    ]
    return read[0] if len(read) == 1 else None


def _of_children(evidence: Evidence) -> Iterator[str]:
    """`CLEARML_PROC_MASTER_ID` of the job's children is `<pid>:<task id>`."""
    for value in evidence.settings("CLEARML_PROC_MASTER_ID"):
        run_id = value.rpartition(":")[2]
        if _TASK.fullmatch(run_id):
            yield run_id


def _claim_cache(evidence: Evidence, findings: Findings) -> None:
    fixed = (f"{evidence.home}/.clearml", f"{evidence.tmpdir}/clearml_cache")
    for folder in (*fixed, *evidence.settings("CLEARML_CACHE_DIR")):
        findings.noise(*(path for path in evidence.paths.below(folder) if path not in findings.owned))


def _web_server(evidence: Evidence, api: str | None) -> tuple[str | None, Proof]:
    """The pages' address: as set, as in the configuration file that the job opened, else as the SDK derives it."""
    setting = evidence.setting("CLEARML_WEB_HOST", "TRAINS_WEB_HOST")
    if setting and (base := clean_base(setting.value)):
        return base, setting.source
    configured = evidence.setting("CLEARML_CONFIG_FILE", "TRAINS_CONFIG_FILE")
    for path in (configured.value if configured else "", f"{evidence.home}/clearml.conf"):
        if path.endswith("/clearml.conf") and evidence.was_read(path):
            hosts = {match["key"]: match["url"] for match in _HOSTS.finditer(evidence.text(path))}
            if base := clean_base(hosts.get("web_server")):
                return base, Proof.CONFIG_FILE
            api = api or hosts.get("api_server")
    base = clean_base(api)
    return (_derived(base) if base else None), Proof.FILE


def _derived(api: str) -> str | None:
    """The SDK's own rule from the API's address to that of the pages; None where it does not apply."""
    if "://api." in api:
        return api.replace("://api.", "://app.", 1)
    return api.removesuffix(_API_PORT) + _WEB_PORT if api.endswith(_API_PORT) else None


TRACKER = ClearMl()
