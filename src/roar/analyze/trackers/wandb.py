"""Weights & Biases: `wandb/run-<time>-<id>/` with its transaction log `run-<id>.wandb`, the same from 0.12 to 0.31.

Recognised: a folder `run-…`, `offline-run-…` or `dryrun-…` below `wandb/` or `.wandb/` whose name and whose log
    `run-<id>.wandb` agree (a log that is not empty must start with `:W&B`); where no log was opened,
    `logs/debug.log` in such a folder. A run that you moved: any folder whose `run-<id>.wandb` names the same run.
Filtered: the log, `logs/`, `tmp/`, the client's own files in `files/` (`config.yaml`, `output.log`, `media/`,
    `code/`, …), every symlink there, what lies beside the runs (`latest-run`, `debug.log`, sweep configurations),
    W&B's caches and settings in the home folder, its temporary files. Staged copies of artifacts are payloads.
Kept: files that you write to `wandb.run.dir`, checkpoints, and downloads in `artifacts/NAME:vN/`.
Link: the line `View run … at URL`; else the run record and `finishing run ENTITY/PROJECT/ID` in `logs/debug.log`,
    with the server from the login line, `WANDB_BASE_URL` (of `wandb-core`, of the command, of its children) or a
    settings file that the job opened. There is no default server, and the log must say that the run was started.
    An offline run gains its link from `wandb sync` under `roar run`.
Missing: let W&B print its address (no `WANDB_SILENT`), or set `WANDB_BASE_URL` and `WANDB_ENTITY`; call
    `run.finish()`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from roar.analyze.trackers.contract import Findings, Proof, Reads, RunUpdate, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.records import iter_fields, iter_records, text_fields
from roar.analyze.trackers.urls import before, clean_base, clean_url, segments
from roar.model import TrackerRun, TrackerRunState
from roar.shell import iter_words, quoted

_FOLDER = re.compile(r"(?P<mode>run|offline-run|dryrun)-\d{8}_\d{6}-(?P<rest>.+)")
_LOG = re.compile(r"run-(?P<id>.+)\.wandb(?P<side>\.synced|\.syncstate)?")
_MAGIC = b":W&B"
_RUN_RECORD = 17
_STEPS = (1024, 8192, 65536)
_RUN_FIELDS = {
    1: "run_id", 2: "entity", 3: "project", 6: "group", 8: "name", 12: "sweep",
}
_WRITTEN_BY_WANDB = re.compile(
    r"run-[^/]+\.wandb(\.synced|\.syncstate)?|(logs|tmp)/.*"
    r"|files/(config\.yaml|wandb-summary\.json|wandb-metadata\.json|requirements\.txt|output\.log"
    r"|conda-environment\.yaml|diff\.patch|diff_[0-9a-f]+\.patch|upstream_diff_[0-9a-f]+\.patch"
    r"|wandb-(history|events)\.jsonl|(media|code)/.*)",
    re.DOTALL,
)
_WRITTEN_WHEREVER = re.compile(
    r"run-[^/]+\.wandb(\.synced|\.syncstate)?|logs/debug(-internal|-core)?\.log"
    r"|files/(config\.yaml|wandb-[a-z]+\.jsonl?|requirements\.txt|output\.log|conda-environment\.yaml|media/.*)",
    re.DOTALL,
)
_MOVED = "moved"
_BESIDE_RUNS = re.compile(
    r"(latest-run|debug\.log|debug-internal\.log)(\.\d+)?|debug-cli\..+\.log|wandb-resume\.json",
)
_SWEEP_CONFIG = re.compile(r"config-.+\.(yaml|json)")
_TEMPORARY = re.compile(
    r"wandb-\d+-\d+-\d+|tmp[a-z0-9_]+wandb(-media|-artifacts)?|wandb_(symon|gpu_stats|xpu)-\d+-\d+-\d+\.sock"
    r"|wandb-symon-portfile-\d+|\.system-monitor-portfile\d+|debug-cli\..+\.log",
)
_PORT_FILE = re.compile(r"port-\d+\.txt(\.tmp)?")
_VIEW_RUN = re.compile(r"wandb: (?:.*?View run (?:(?P<name>.*?) )?at:? |Synced (?P<old_name>.*?): )(?P<url>https?://\S+)")
_SYNCED = re.compile(r"\[(?P<project>[^\]]*)/(?P<id>[^/\]]+)\] View run .*?at:? (?P<url>https?://\S+)")
_SYNCING = re.compile(r"Syncing: (?P<url>https?://\S+?/runs/\S+)")
_LOGGED_IN = re.compile(r"wandb: .*(?:Loaded credentials for|logged in as: .* to) (?P<url>https?://\S+)")
_STARTED = "run started, returning control to user process"
_BASE_IN_LOG = re.compile(r"Loading settings from environment variables: \{'base_url': '([^']+)'")
_NEW_HOSTS = frozenset({"forge.coreweave.com", "api.forge.coreweave.com"})
_SEGMENTS_OF_A_RUN = 4


class _Link(NamedTuple):
    """A run's address as the console gave it."""

    url: str
    name: str | None


class _Said(NamedTuple):
    """What the debug log says."""

    entity: str | None
    project: str | None
    base: str | None
    started: bool


@dataclass(slots=True)
class _Folder:
    """One run folder: `path` below `store` (the `wandb` folder). `moved` is the mode of one with another name."""

    path: str
    store: str
    mode: str
    run_id: str
    log: str


class Wandb(Tracker):
    """See the module."""

    name = "wandb"
    label = "W&B"
    environment = ENVIRONMENT["wandb"]
    takes_files = True
    reads = (
        Reads(pattern="*/run-*.wandb", limit=65536,
              part="header and run record: id, entity, project, group, name, sweep"),
        Reads(pattern="*/logs/debug.log", limit=16384,
              part="the lines `run started` and `finishing run ENTITY/PROJECT/ID`; up to 0.16 the server's address"),
        Reads(pattern="*/wandb/settings", part="`base_url`, `entity`, `project`; only when the job used it"),
        Reads(pattern="*/.wandb/settings", part="the same"),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """Confirmed run folders, what lies in and around them, and the runs that the job made in them."""
        findings = Findings()
        folders = list(_run_folders(evidence))
        for folder in folders:
            self._claim_folder(evidence, folder, findings)
        for store in {folder.store for folder in folders if folder.mode != _MOVED} | set(_sweep_stores(evidence)):
            _claim_store(evidence, store, findings)
        _claim_user_folders(evidence, findings)
        _claim_temporary(evidence, findings)
        _claim_settings(evidence, findings)
        links = _links(evidence)
        synced = _synced(evidence)
        for folder in sorted(folders, key=lambda folder: evidence.first_seen([folder.log])):
            known = [*links.get(folder.run_id, []), *synced.get(folder.run_id, [])]
            if evidence.was_made(folder.log) and folder.mode != _MOVED:
                findings.runs += self._runs(evidence, folder, known)
            elif _was_synced_here(evidence, folder):
                findings.updates += [
                    RunUpdate(tracker=self.name, run_id=folder.run_id, becomes=run)
                    for run in self._runs(evidence, folder, known) if run.url
                ]
        if not folders:
            findings.runs += self._seen_elsewhere(evidence)
        return findings

    def refresh(self, run: TrackerRun, evidence: Evidence, environ: Mapping[str, str]) -> TrackerRun | None:
        """The run's address, when its folder was uploaded since and the server is proven by the settings."""
        words = [word.text for word in iter_words(run.how_to_view or "")]
        if words[:2] != ["wandb", "sync"] or not os.path.lexists(f"{words[-1]}/run-{run.run_id}.wandb.synced"):
            return None
        store = os.path.dirname(words[-1])
        folder = _Folder(words[-1], store, "run", run.run_id, f"{words[-1]}/run-{run.run_id}.wandb")
        found = self._compose(evidence, folder, may_read_settings=True)
        found = replace(
            found, entity=found.entity or run.entity, project=found.project or run.project,
            name=run.name or found.name, group=run.group or found.group,
        )
        configured = _settings(evidence, store, unread=True).get("base_url")
        base = clean_base(_value(evidence, "WANDB_BASE_URL") or configured)
        if found.url is None and base and found.project and found.entity is None:
            from roar.analyze.trackers.wandb_api import find_entity  # noqa: PLC0415  an HTTP client, only needed here

            entity = find_entity(base, found.project, run.run_id, environ, evidence.home)
            found = self._addressed(found, _pages(base), Proof.CONFIG_FILE, entity)
        return found if found.url else replace(
            found, state=TrackerRunState.PARTIAL, how_to_view=None,
            note="It was uploaded, but nothing here proves to which server and entity.",
        )

    def _claim_folder(self, evidence: Evidence, folder: _Folder, findings: Findings) -> None:
        start = len(folder.path) + 1
        written = _WRITTEN_WHEREVER if folder.mode == _MOVED else _WRITTEN_BY_WANDB
        for path in evidence.paths.below(folder.path):
            tail = path[start:]
            if written.fullmatch(tail) or (tail.startswith("files/") and evidence.is_symlink(path)):
                findings.noise(path)

    def _runs(self, evidence: Evidence, folder: _Folder, links: list[_Link]) -> list[TrackerRun]:
        run = self._compose(evidence, folder)
        found = {link.url: self._from_link(run, link) for link in links}
        return list(found.values()) or [run]

    def _from_link(self, run: TrackerRun, link: _Link) -> TrackerRun:
        entity, project, _, run_id = segments(link.url)[-_SEGMENTS_OF_A_RUN:]
        return replace(
            run, run_id=run_id, entity=entity, project=project, name=link.name or run.name, url=link.url,
            server=before(link.url, _SEGMENTS_OF_A_RUN), state=TrackerRunState.ONLINE, evidence=Proof.CONSOLE,
            how_to_view=None, note=None,
        )

    def _compose(self, evidence: Evidence, folder: _Folder, *, may_read_settings: bool = False) -> TrackerRun:
        record = _run_record(evidence, folder.log)
        said = _from_debug_log(evidence, folder)
        settings = _settings(evidence, folder.store, unread=may_read_settings)
        entity = record.get("entity") or said.entity or _value(evidence, "WANDB_ENTITY") or settings.get("entity")
        project = record.get("project") or said.project or _value(evidence, "WANDB_PROJECT") or settings.get("project")
        run = TrackerRun(
            tracker=self.name, label=self.label, run_id=folder.run_id, project=project, entity=entity,
            name=record.get("name"), group=record.get("group") or record.get("sweep"), evidence=Proof.FILE,
        )
        if folder.mode != "run":
            return replace(
                run, state=TrackerRunState.OFFLINE, how_to_view=f"wandb sync {quoted(folder.path)}",
            )
        server, proof = _server(evidence, said.base, settings.get("base_url"))
        if not (said.started or may_read_settings):
            return replace(run, server=server, note="Nothing proves that the run reached its server.")
        if server and entity and project:
            return self._addressed(run, server, proof, entity)
        missing = [name for name, known in (("server", server), ("entity", entity), ("project", project)) if not known]
        return replace(run, server=server, note=f"Nothing proves the run's {' or '.join(missing)}.")

    def _addressed(self, run: TrackerRun, server: str, proof: Proof, entity: str | None) -> TrackerRun:
        """The run with the address that its parts make; without an entity as it is."""
        if not entity or not run.project:
            return run
        place = f"{quote(entity)}/{quote(run.project)}/runs/{quote(run.run_id, safe='=+&$@')}"
        return replace(
            run, entity=entity, server=server, url=clean_url(f"{server}/{place}"), state=TrackerRunState.ONLINE,
            evidence=proof, note=None,
        )

    def _seen_elsewhere(self, evidence: Evidence) -> list[TrackerRun]:
        """Runs of programs that a launcher started where nothing could be observed: only their lines are known."""
        runs = {}
        for match, line in evidence.console.matches(_VIEW_RUN, containing="wandb: "):
            link = _link(match)
            if link and evidence.console.is_from_elsewhere(line):
                blank = TrackerRun(tracker=self.name, label=self.label, run_id="")
                runs[link.url] = self._from_link(blank, link)
        return list(runs.values())


def _run_folders(evidence: Evidence) -> Iterator[_Folder]:
    """Folders whose name and transaction log agree; without any log, those with `logs/debug.log`."""
    found: dict[str, _Folder] = {}
    with_log = set()
    for extension in ("wandb", "syncstate", "synced"):
        for path in evidence.paths.with_extension(extension):
            folder, _, name = path.rpartition("/")
            match = _LOG.fullmatch(name)
            if match is None or folder in found:
                continue
            with_log.add(folder)
            log = f"{folder}/run-{match['id']}.wandb"
            here = _named_run_folder(folder, match["id"], log)
            if here is None and _run_record(evidence, log).get("run_id") == match["id"]:
                here = _Folder(folder, folder.rpartition("/")[0], _MOVED, match["id"], log)
            if here is not None and _is_log(evidence, log):
                found[folder] = here
    for path in evidence.paths.named("debug.log"):
        folder = path.removesuffix("/logs/debug.log")
        if folder != path and folder not in with_log and (here := _named_run_folder(folder, None, path)):
            found[folder] = here
    yield from found.values()


def _named_run_folder(folder: str, run_id: str | None, log: str) -> _Folder | None:
    store, _, name = folder.rpartition("/")
    match = _FOLDER.fullmatch(name)
    if match is None or store.rpartition("/")[2] not in {"wandb", ".wandb"}:
        return None
    rest = match["rest"]
    if run_id is None:
        run_id = rest
    elif rest != run_id and not re.fullmatch(re.escape(run_id) + r"-\d+", rest):
        return None
    return _Folder(folder, store, match["mode"], run_id, log)


def _is_log(evidence: Evidence, path: str) -> bool:
    start = evidence.head(path, len(_MAGIC))
    return not start or start == _MAGIC


def _sweep_stores(evidence: Evidence) -> Iterator[str]:
    for name in ("wandb", ".wandb"):
        for store in evidence.paths.folders_named(name):
            if any(_sweep_configs(evidence, store)):
                yield store


def _sweep_configs(evidence: Evidence, store: str) -> Iterator[str]:
    for folder in evidence.paths.folders_in(store):
        if folder.startswith("sweep-"):
            for name in evidence.paths.files_in(f"{store}/{folder}"):
                if _SWEEP_CONFIG.fullmatch(name):
                    yield f"{store}/{folder}/{name}"


def _claim_store(evidence: Evidence, store: str, findings: Findings) -> None:
    findings.noise(*(f"{store}/{name}" for name in evidence.paths.files_in(store) if _BESIDE_RUNS.fullmatch(name)))
    findings.noise(*_sweep_configs(evidence, store))
    findings.noise(*(
        f"{store}/logs/{name}" for name in evidence.paths.files_in(f"{store}/logs") if name.startswith("debug-sync.")
    ))


def _claim_user_folders(evidence: Evidence, findings: Findings) -> None:
    """Caches, logs and settings below the user's own folders; staging holds full copies of logged artifacts."""
    for setting, base, default in (
        ("WANDB_CACHE_DIR", "XDG_CACHE_HOME", ".cache"), ("WANDB_CONFIG_DIR", "XDG_CONFIG_HOME", ".config"),
        ("WANDB_DATA_DIR", "XDG_DATA_HOME", ".local/share"),
    ):
        folders = {f"{evidence.home}/{default}/wandb"}
        folders |= {f"{_absolute(evidence, value)}/wandb" for value in evidence.settings(base)}
        own = {_absolute(evidence, value) for value in evidence.settings(setting)}
        folders |= own | {f"{folder}/wandb" for folder in own}
        for folder in folders:
            for top in ("artifacts", "logs"):
                for path in evidence.paths.below(f"{folder}/{top}"):
                    claim = findings.payload if "/artifacts/staging/" in path else findings.noise
                    claim(path)
            findings.noise(*(f"{folder}/{name}" for name in evidence.paths.files_in(folder) if name == "settings"))
    if findings.owned and f"{evidence.home}/.netrc" in evidence:
        findings.noise(f"{evidence.home}/.netrc")


def _absolute(evidence: Evidence, value: str) -> str:
    return os.path.normpath(os.path.join(evidence.cwd, os.path.expanduser(value)))


def _claim_temporary(evidence: Evidence, findings: Findings) -> None:
    index = evidence.paths
    for name in index.files_in(evidence.tmpdir):
        if _TEMPORARY.fullmatch(name):
            findings.noise(f"{evidence.tmpdir}/{name}")
    for name in index.folders_in(evidence.tmpdir):
        folder = f"{evidence.tmpdir}/{name}"
        if _TEMPORARY.fullmatch(name):
            findings.noise(*index.below(folder))
        elif name.startswith("tmp"):
            findings.noise(*(f"{folder}/{file}" for file in index.files_in(folder) if _PORT_FILE.fullmatch(file)))


def _claim_settings(evidence: Evidence, findings: Findings) -> None:
    """A `settings` file counts only with an entry that `wandb init` writes."""
    for path in evidence.paths.named("settings"):
        store = path.rpartition("/")[0]
        if store.rpartition("/")[2] in {"wandb", ".wandb"} and _ini(evidence, path):
            findings.noise(path)


def _ini(evidence: Evidence, path: str) -> dict[str, str]:
    found = {}
    for line in evidence.text(path).splitlines():
        match = re.fullmatch(r"\s*(base_url|entity|project)\s*=\s*(\S.*?)\s*", line)
        if match:
            found[match[1]] = match[2]
    return found


def _settings(evidence: Evidence, store: str, *, unread: bool) -> dict[str, str]:
    """Entries of the settings files that the job opened; the one beside the runs wins."""
    found: dict[str, str] = {}
    for path in (f"{evidence.home}/.config/wandb/settings", f"{store}/settings"):
        if unread or evidence.was_read(path):
            found |= _ini(evidence, path)
    return found


def _run_record(evidence: Evidence, log: str) -> dict[str, str]:
    """The run record: the second of the log. Reading stops soon after it, in steps where it is long."""
    if not log.endswith(".wandb"):
        return {}
    for size in _STEPS:
        start = evidence.head(log, size)
        for record in islice(iter_records(start, _MAGIC), 2):
            for field, value in iter_fields(record):
                if field == _RUN_RECORD:
                    return text_fields(value, _RUN_FIELDS)
        if len(start) < size:
            break
    return {}


def _from_debug_log(evidence: Evidence, folder: _Folder) -> _Said:
    """What the client's own log says of the run. Without `run started`, no server has taken it."""
    path = f"{folder.path}/logs/debug.log"
    finishing = re.compile(rf"finishing run (?:([^/\s]+)/)?(.+)/{re.escape(folder.run_id)}\s*$", re.MULTILINE)
    head, tail = evidence.text(path), evidence.tail(path).decode("utf-8", "replace")
    match, base = finishing.search(tail), _BASE_IN_LOG.search(head)
    return _Said(
        entity=match[1] if match else None, project=match[2] if match else None, base=base[1] if base else None,
        started=match is not None or _STARTED in head or _STARTED in tail,
    )


def _value(evidence: Evidence, name: str) -> str | None:
    setting = evidence.setting(name, program="wandb-core")
    return setting.value if setting else None


def _server(evidence: Evidence, in_log: str | None, in_settings: str | None) -> tuple[str | None, Proof]:
    """The address of the pages of a proven server, and the proof. There is no default."""
    app = evidence.setting("WANDB_APP_URL", program="wandb-core")
    if app and (base := clean_base(app.value)):
        return base, app.source
    printed = {base for match, _ in evidence.console.matches(_LOGGED_IN) if (base := clean_base(match["url"]))}
    if printed:
        return (_pages(printed.pop()), Proof.CONSOLE) if len(printed) == 1 else (None, Proof.FILE)
    if base := clean_base(in_log):
        return _pages(base), Proof.FILE
    if evidence.settings("WANDB_BASE_URL"):
        setting = evidence.setting("WANDB_BASE_URL", program="wandb-core")
        base = clean_base(setting.value) if setting else None
        return (_pages(base), setting.source) if base and setting else (None, Proof.FILE)
    base = clean_base(in_settings)
    return (_pages(base), Proof.CONFIG_FILE) if base else (None, Proof.FILE)


def _pages(base: str) -> str:
    """The address of the pages that belong to an API address."""
    host = urlsplit(base).hostname
    if host in _NEW_HOSTS:
        return "https://forge.coreweave.com/wandb"
    if "://api.wandb." in base:
        return base.replace("://api.", "://", 1)
    return base.replace("://api.", "://app.", 1)


def _link(match: re.Match[str]) -> _Link | None:
    url = clean_url(match["url"])
    if url is None or len(segments(url)) < _SEGMENTS_OF_A_RUN or segments(url)[-2] != "runs":
        return None
    groups = match.groupdict()
    return _Link(url, groups.get("name") or groups.get("old_name"))


def _links(evidence: Evidence) -> dict[str, list[_Link]]:
    """By run id, the addresses that W&B printed; a later line of the same run adds its name."""
    found: dict[str, dict[str, _Link]] = {}
    for match, _ in evidence.console.matches(_VIEW_RUN, containing="wandb: "):
        link = _link(match)
        if link:
            known = found.setdefault(segments(link.url)[-1], {})
            known[link.url] = _Link(link.url, link.name or (known[link.url].name if link.url in known else None))
    return {run_id: list(links.values()) for run_id, links in found.items()}


def _synced(evidence: Evidence) -> dict[str, list[_Link]]:
    """By the id in the folder, the addresses that `wandb sync` printed: an upload may change the id."""
    found: dict[str, list[_Link]] = {}
    for pattern, containing in ((_SYNCED, "View run"), (_SYNCING, "Syncing: ")):
        for match, _ in evidence.console.matches(pattern, containing=containing):
            link = _link(match)
            if link:
                run_id = match.groupdict().get("id") or segments(link.url)[-1]
                found.setdefault(unquote(run_id), []).append(link)
    return found


def _was_synced_here(evidence: Evidence, folder: _Folder) -> bool:
    return any(evidence.was_written(folder.log + suffix) for suffix in (".synced", ".syncstate"))


TRACKER = Wandb()
