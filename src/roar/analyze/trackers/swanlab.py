"""SwanLab: `swanlog/run-<time>-<id>/` with `run-<id>.swanlab` (0.6: `backup.swanlab`).

Recognised: a folder `run-<time>-<id>` with that log, or with `files/swanlab-metadata.json`. The name `swanlog` is
    not required.
Filtered: the run folder, and `.gitignore` and `runs.swanlab` beside it.
Kept: your files.
Link: the printed address, also where it is wrapped at 80 columns; else the first record with `SWANLAB_WEB_HOST` or
    `SWANLAB_API_HOST`, where `SWANLAB_MODE` says online.
Missing: let SwanLab print its lines. Offline runs: the `swanlab sync` that is shown.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from roar.analyze.trackers.contract import Findings, Proof, Reads, RunUpdate, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.records import iter_fields, iter_records, text_fields
from roar.analyze.trackers.urls import before, clean_base, clean_url, segments
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_FOLDER = re.compile(r"run-\d{8}_\d{6}-(?P<id>[A-Za-z0-9_-]+)")
_BESIDE_RUNS = re.compile(r"\.gitignore|runs\.swanlab(-wal|-shm|-journal)?|\.swanlab_test_[a-z0-9_]{8}")
_SYNCED = re.compile(
    r"View synced run at\s*(?P<url>https?://[^\s@]+/@[^/\s]+/[^/\s]+/runs/[A-Za-z0-9_-]+?)(?:swanlab: .*)?\s*",
)
_WRAPPED = 78
_MAGIC = b":SWL"
_START = 10
_START_FIELDS = {1: "project", 2: "workspace", 4: "name", 7: "group", 10: "run_id"}
_SEGMENTS = 4
_OFFICIAL_API = frozenset({"https://api.swanlab.cn", "https://api.swanlab.cn/api"})
_OFFICIAL_PAGES = "https://swanlab.cn"


class _Folder(NamedTuple):
    """One run folder below `store` (usually `swanlog`)."""

    path: str
    store: str
    run_id: str
    log: str


class SwanLab(Tracker):
    """See the module."""

    name = "swanlab"
    label = "SwanLab"
    environment = ENVIRONMENT["swanlab"]
    reads = (
        Reads(pattern="*/run-*.swanlab", limit=65536, part="the first record: project, workspace, name, group, id"),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """Confirmed run folders and the runs that the job made in them."""
        findings = Findings()
        folders = sorted(set(_run_folders(evidence)))
        for folder in folders:
            findings.noise(*(path for path in evidence.paths.below(folder.path)))
            findings.noise(*(
                f"{folder.store}/{name}"
                for name in evidence.paths.files_in(folder.store) if _BESIDE_RUNS.fullmatch(name)
            ))
        made = [folder for folder in folders if evidence.was_made(folder.log)]
        for folder in sorted(made, key=lambda folder: evidence.first_seen([folder.log])):
            findings.runs.append(self._run(evidence, folder))
        findings.updates += self._uploads(evidence, [folder for folder in folders if folder not in made])
        return findings

    def _uploads(self, evidence: Evidence, folders: list[_Folder]) -> Iterator[RunUpdate]:
        """What `swanlab sync` says of earlier jobs' runs, in their order: an upload makes a new id."""
        urls = list(_printed_by_sync(evidence))
        synced = sorted(
            (folder for folder in folders if evidence.was_read(folder.log)),
            key=lambda folder: evidence.first_seen([folder.log]),
        )
        if len(urls) == len(synced):
            for folder, url in zip(synced, urls, strict=True):
                run_id = segments(url)[-1]
                yield RunUpdate(
                    tracker=self.name, run_id=folder.run_id,
                    becomes=self._addressed(replace(self._run(evidence, folder), run_id=run_id), url),
                )

    def _run(self, evidence: Evidence, folder: _Folder) -> TrackerRun:
        record = _start_record(evidence, folder)
        run = TrackerRun(
            tracker=self.name, label=self.label, run_id=record.get("run_id") or folder.run_id,
            project=record.get("project") or _value(evidence, "SWANLAB_PROJECT", "SWANLAB_PROJ_NAME"),
            entity=record.get("workspace") or _value(evidence, "SWANLAB_WORKSPACE"), name=record.get("name"),
            group=record.get("group"), evidence=Proof.FILE,
        )
        if url := _printed(evidence, run.run_id):
            return self._addressed(run, url)
        mode = _value(evidence, "SWANLAB_MODE")
        if mode == "local" or evidence.was_written(f"{folder.store}/runs.swanlab"):
            return replace(
                run, state=TrackerRunState.LOCAL, how_to_view=f"swanlab watch {quoted(folder.store)}",
            )
        server, proof = _web_host(evidence)
        if mode in {"online", "cloud"} and server and run.entity and run.project:
            url = clean_url(f"{server}/@{quote(run.entity)}/{quote(run.project)}/runs/{quote(run.run_id)}")
            return replace(run, server=server, url=url, state=TrackerRunState.ONLINE, evidence=proof)
        if mode in {"online", "cloud"}:
            return replace(run, server=server, note="Nothing proves which server the run was sent to.")
        return replace(run, state=TrackerRunState.OFFLINE, how_to_view=f"swanlab sync {quoted(folder.path)}")


    def _addressed(self, run: TrackerRun, url: str) -> TrackerRun:
        entity, project = segments(url)[-_SEGMENTS:][:2]
        return replace(
            run, url=url, server=before(url, _SEGMENTS), entity=entity.removeprefix("@"), project=project,
            state=TrackerRunState.ONLINE, evidence=Proof.CONSOLE, how_to_view=None, note=None,
        )


def _run_folders(evidence: Evidence) -> Iterator[_Folder]:
    for path in evidence.paths.with_extension("swanlab"):
        folder, _, name = path.rpartition("/")
        match = _FOLDER.fullmatch(folder.rpartition("/")[2])
        if match and name in {f"run-{match['id']}.swanlab", "backup.swanlab"}:
            yield _Folder(folder, folder.rpartition("/")[0], match["id"], path)
    for path in evidence.paths.named("swanlab-metadata.json"):
        folder = path.removesuffix("/files/swanlab-metadata.json")
        match = _FOLDER.fullmatch(folder.rpartition("/")[2])
        logs = (f"{folder}/run-{match['id']}.swanlab", f"{folder}/backup.swanlab") if match else ()
        if match and folder != path and not any(log in evidence for log in logs):
            yield _Folder(folder, folder.rpartition("/")[0], match["id"], path)


def _start_record(evidence: Evidence, folder: _Folder) -> dict[str, str]:
    if not folder.log.endswith(f"/run-{folder.run_id}.swanlab"):
        return {}
    for size in (1024, 65536):
        for record in islice(iter_records(evidence.head(folder.log, size), _MAGIC), 1):
            for field, value in iter_fields(record):
                if field == _START:
                    return text_fields(value, _START_FIELDS)
    return {}


def _printed(evidence: Evidence, run_id: str) -> str | None:
    """The run's address: SwanLab wraps its lines at 80 columns, in the middle of a word if need be."""
    pattern = re.compile(rf"https?://[^\s@]+/@[^/\s]+/[^/\s]+/runs/{re.escape(run_id)}")
    match = next(evidence.console.wrapped(pattern), None)
    return clean_url(match[0]) if match else None


def _printed_by_sync(evidence: Evidence) -> Iterator[str]:
    """Addresses of uploads; a line goes on below where it is full, or where only the address is missing."""
    for line in evidence.console.lines:
        if "View synced run at" not in line.text:
            continue
        text = line.text[line.text.index("View synced run at"):]
        last = line.text
        for following in line.following:
            if len(last) < _WRAPPED and not text.rstrip().endswith(" at"):
                break
            text, last = text + following, following
        match = _SYNCED.fullmatch(text)
        url = clean_url(match["url"]) if match else None
        if url:
            yield url


def _value(evidence: Evidence, *names: str) -> str | None:
    setting = evidence.setting(*names)
    return setting.value if setting else None


def _web_host(evidence: Evidence) -> tuple[str | None, Proof]:
    web = evidence.setting("SWANLAB_WEB_HOST")
    if web and (base := clean_base(web.value)):
        return base, web.source
    api = evidence.setting("SWANLAB_API_HOST")
    base = clean_base(api.value) if api else None
    if api and base:
        if base in _OFFICIAL_API:
            return _OFFICIAL_PAGES, api.source
        parts = urlsplit(base)
        return f"{parts.scheme}://{parts.netloc}", api.source
    return None, Proof.FILE


TRACKER = SwanLab()
