"""MLflow 2 and 3: the file store, the SQLite store under any name, and servers over HTTP (only the console tells).

Recognised: a `meta.yaml` that names its own run, logged model or experiment; a SQLite file with MLflow's tables.
    The names `mlruns` and `mlflow.db` are not required.
Filtered: `meta.yaml`, `metrics/`, `params/`, `tags/`, `inputs/`, `outputs/` of runs and logged models, experiments,
    traces, the model registry, the database with its side files. `artifacts/` of runs and logged models are
    payloads: the edge from their producer appears when another job reads them.
Kept: everything else in a run's folder, such as Lightning's `checkpoints/`.
Link: the line `View run … at: URL` (servers and Databricks); else `MLFLOW_TRACKING_URI` with the run's id from its
    artifact folder. Of a database that was there before, the runs of the job's time and program.
Missing: end the run (`with mlflow.start_run():`) so that the line is printed; do not set
    `MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT`. For local stores run the command that is shown.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from roar.analyze.trackers.contract import Findings, Proof, Reads, Tracker
from roar.analyze.trackers.environment import ENVIRONMENT
from roar.analyze.trackers.evidence import Evidence
from roar.analyze.trackers.urls import clean_base, clean_url
from roar.model import TrackerRun, TrackerRunState
from roar.shell import quoted

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_EXPERIMENT_ID = re.compile(r"\d+")
_OF_A_RUN = frozenset({"metrics", "params", "tags", "inputs", "outputs"})
_OF_A_MODEL = frozenset({"metrics", "params", "tags"})
_OF_AN_EXPERIMENT = frozenset({"tags", "datasets", "traces"})
_TABLES = frozenset({"alembic_version", "experiments", "runs", "latest_metrics"})
_SIDE_FILES = ("-journal", "-wal", "-shm")
_DATABASE_EXTENSIONS = ("db", "sqlite", "sqlite3")
_SQLITE = b"SQLite format 3\0"
_VIEW_RUN = re.compile(
    r"View run (?P<name>.*) at:? (?P<url>(?P<server>https?://\S+?)/(?:\?[^\s#/]*)?(?:#|ml)/experiments/(?P<experiment>\d+)"
    r"/runs/(?P<run>[0-9a-f]{32})\S*)",
)


@dataclass(slots=True)
class _FileStore:
    """A folder with experiments: `root/<experiment>/<run>/meta.yaml`."""

    root: str
    runs: list[str] = field(default_factory=list)


class Mlflow(Tracker):
    """See the module."""

    name = "mlflow"
    label = "MLflow"
    environment = ENVIRONMENT["mlflow"]
    packages = ("mlflow",)
    reads = (
        Reads(pattern="*/meta.yaml",
              part="`run_id`, `run_name`, `experiment_id`, `lifecycle_stage`, `model_id`, `name`"),
        Reads(
            pattern="*", limit=16,
            part="of databases that the job used: magic number and tables' names; of MLflow's own these columns",
            tables={
                "runs": ("run_uuid", "name", "experiment_id", "start_time", "end_time"),
                "experiments": ("experiment_id", "name"),
                "logged_models": ("model_id",),
                "tags": ("run_uuid", "key", "value"),
            },
        ),
    )

    def analyze(self, evidence: Evidence) -> Findings:
        """Stores on disk, then the addresses that the console gave; one reference per run id."""
        findings = Findings()
        runs: dict[str, TrackerRun] = {}
        for store in _file_stores(evidence):
            self._analyze_file_store(evidence, store, findings, runs)
        for database in _databases(evidence):
            self._analyze_database(evidence, database, findings, runs)
        for run in self._printed(evidence):
            known = runs.get(run.run_id)
            runs[run.run_id] = replace(run, project=known.project if known else None)
        self._from_environment(evidence, findings, runs)
        for folder in {f"{evidence.home}/.config", *evidence.settings("XDG_CONFIG_HOME")}:
            names = (f"{folder}/mlflow/telemetry.{extension}" for extension in ("json", "tmp"))
            findings.noise(*(name for name in names if name in evidence))
        findings.runs += runs.values()
        return findings

    def _run(self, run_id: str, name: object, project: str | None, how_to_view: str) -> TrackerRun:
        return TrackerRun(
            tracker=self.name, label=self.label, run_id=run_id, name=str(name) if name else None, project=project,
            state=TrackerRunState.LOCAL, how_to_view=how_to_view, evidence=Proof.FILE,
        )

    def _analyze_file_store(
        self, evidence: Evidence, store: _FileStore, findings: Findings, runs: dict[str, TrackerRun],
    ) -> None:
        for place in evidence.paths.folders_in(store.root):
            claim = _claim_registry if place == "models" else _claim_experiment
            claim(evidence, f"{store.root}/{place}", findings)
        allow = "MLFLOW_ALLOW_FILE_STORE=true " if evidence.settings("MLFLOW_ALLOW_FILE_STORE") else ""
        view = f"{allow}mlflow ui --backend-store-uri {quoted(store.root)}"
        names: dict[str, str | None] = {}
        for folder in store.runs:
            if evidence.was_written(f"{folder}/meta.yaml"):
                experiment, _, run_id = folder.rpartition("/")
                if experiment not in names:
                    names[experiment] = _entries(evidence, f"{experiment}/meta.yaml").get("name")
                name = _entries(evidence, f"{folder}/meta.yaml").get("run_name")
                runs[run_id] = self._run(run_id, name, names[experiment], view)

    def _analyze_database(
        self, evidence: Evidence, database: str, findings: Findings, runs: dict[str, TrackerRun],
    ) -> None:
        findings.noise(*(path for suffix in ("", *_SIDE_FILES) if (path := database + suffix) in evidence))
        _claim_artifacts(evidence, database, findings)
        if not evidence.was_written(database):
            return
        view = f"mlflow ui --backend-store-uri {quoted('sqlite:///' + quote(os.fsencode(database)))}"
        experiments = {row[0]: row[1] for row in evidence.rows(database, "experiments", ("experiment_id", "name"))}
        for run_id, name, experiment in _new_runs(evidence, database):
            project = experiments.get(experiment)
            runs[run_id] = self._run(run_id, name, str(project) if project else None, view)

    def _printed(self, evidence: Evidence) -> Iterator[TrackerRun]:
        for match, _ in evidence.console.matches(_VIEW_RUN, containing="View run "):
            url, server = clean_url(match["url"]), clean_base(match["server"])
            if url:
                yield TrackerRun(
                    tracker=self.name, label=self.label, run_id=match["run"], name=match["name"], server=server,
                    url=url, state=TrackerRunState.ONLINE, evidence=Proof.CONSOLE,
                )

    def _from_environment(self, evidence: Evidence, findings: Findings, runs: dict[str, TrackerRun]) -> None:
        """Servers that let clients write to a shared folder, and servers that printed nothing.

        The run's id stands in the environment, or in the place of its artifacts.
        """
        server = evidence.setting("MLFLOW_TRACKING_URI")
        base = clean_base(server.value) if server else None
        for folder, experiment, run_id in _artifact_folders(evidence):
            if run_id in runs:
                _claim_payload(evidence, folder, findings)
            elif server and base and any(map(evidence.was_written, evidence.paths.below(folder))):
                _claim_payload(evidence, folder, findings)
                runs[run_id] = self._composed(evidence, base, experiment, run_id, server.source)
        if server is None or base is None:
            return
        for run_id in evidence.settings("MLFLOW_RUN_ID"):
            if _RUN_ID.fullmatch(run_id) and run_id not in runs:
                experiment_id = evidence.setting("MLFLOW_EXPERIMENT_ID")
                runs[run_id] = self._composed(
                    evidence, base, experiment_id.value if experiment_id else None, run_id, server.source,
                )

    def _composed(
        self, evidence: Evidence, base: str, experiment: str | None, run_id: str, proof: Proof,
    ) -> TrackerRun:
        run = TrackerRun(tracker=self.name, label=self.label, run_id=run_id, server=base, evidence=proof)
        if not experiment or not _EXPERIMENT_ID.fullmatch(experiment):
            return replace(run, note="The server is known, but nothing proves the run's experiment.")
        workspace = evidence.setting("MLFLOW_WORKSPACE")
        query = f"?workspace={quote(workspace.value)}" if workspace and workspace.value != "default" else ""
        url = clean_url(f"{base}/#/experiments/{experiment}/runs/{run_id}{query}")
        return replace(run, url=url, state=TrackerRunState.ONLINE)


def _entries(evidence: Evidence, path: str) -> dict[str, str]:
    """The plain `key: value` lines of a meta.yaml."""
    found = {}
    for line in evidence.text(path).splitlines():
        match = re.fullmatch(r"(run_id|run_name|experiment_id|lifecycle_stage|model_id|name): (.*)", line)
        if match:
            found[match[1]] = match[2].strip().strip("'\"")
    return found


def _file_stores(evidence: Evidence) -> Iterable[_FileStore]:
    """Stores with at least one run, logged model or experiment whose `meta.yaml` names itself."""
    stores: dict[str, _FileStore] = {}
    only_read: list[str] = []
    for path in evidence.paths.named("meta.yaml"):
        folder = path.removesuffix("/meta.yaml")
        is_run = _RUN_ID.fullmatch(folder.rpartition("/")[2]) is not None
        if is_run and not evidence.was_written(path):
            only_read.append(folder)
        elif root := _root_named_by(evidence, folder):
            store = stores.setdefault(root, _FileStore(root))
            store.runs += [folder] if is_run else []
    for folder in only_read:
        root = folder.rpartition("/")[0].rpartition("/")[0]
        if root in stores or _root_named_by(evidence, folder):
            stores.setdefault(root, _FileStore(root)).runs.append(folder)
    return stores.values()


def _root_named_by(evidence: Evidence, folder: str) -> str | None:
    """The store's root, where the folder is a run, a logged model or an experiment whose `meta.yaml` names it."""
    parent, _, name = folder.rpartition("/")
    above = parent.rpartition("/")[0]
    entries = _entries(evidence, f"{folder}/meta.yaml")
    if _RUN_ID.fullmatch(name):
        return above if entries.get("run_id") == name else None
    if _MODEL_ID.fullmatch(name):
        return above.rpartition("/")[0] if entries.get("model_id") == name else None
    if _EXPERIMENT_ID.fullmatch(name) and "lifecycle_stage" in entries:
        return parent if entries.get("experiment_id") == name else None
    return None


def _claim_experiment(evidence: Evidence, folder: str, findings: Findings) -> None:
    """An experiment's own files, its runs and its logged models; anything with another name is the user's."""
    index = evidence.paths
    if folder.endswith("/.trash"):
        for name in index.folders_in(folder):
            _claim_experiment(evidence, f"{folder}/{name}", findings)
        return
    findings.noise(*_present(evidence, f"{folder}/meta.yaml"))
    for name in index.folders_in(folder):
        inner = f"{folder}/{name}"
        if name in _OF_AN_EXPERIMENT:
            findings.noise(*index.below(inner))
        elif _RUN_ID.fullmatch(name) and _is_run(evidence, inner):
            _claim_entity(evidence, inner, _OF_A_RUN, findings)
        elif name == "models":
            for model in index.folders_in(inner):
                if _MODEL_ID.fullmatch(model):
                    _claim_entity(evidence, f"{inner}/{model}", _OF_A_MODEL, findings)


def _is_run(evidence: Evidence, folder: str) -> bool:
    meta = f"{folder}/meta.yaml"
    return not evidence.was_written(meta) or _entries(evidence, meta).get("run_id") == folder.rpartition("/")[2]


def _claim_registry(evidence: Evidence, registry: str, findings: Findings) -> None:
    """Registered models and their versions: metadata only."""
    index = evidence.paths
    for model in index.folders_in(registry):
        folder = f"{registry}/{model}"
        versions = [f"{folder}/{name}" for name in index.folders_in(folder) if name.startswith("version-")]
        for place in (folder, *versions):
            findings.noise(*_present(evidence, f"{place}/meta.yaml"))
            for name in ("tags", "aliases"):
                findings.noise(*index.below(f"{place}/{name}"))


def _claim_entity(evidence: Evidence, folder: str, kinds: frozenset[str], findings: Findings) -> None:
    findings.noise(*_present(evidence, f"{folder}/meta.yaml"))
    for kind in kinds:
        findings.noise(*evidence.paths.below(f"{folder}/{kind}"))
    _claim_payload(evidence, f"{folder}/artifacts", findings)


def _claim_payload(evidence: Evidence, folder: str, findings: Findings) -> None:
    """What the job wrote there; what it only read is its input."""
    findings.payload(*(path for path in evidence.paths.below(folder) if evidence.was_written(path)))


def _artifact_folders(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """(folder, experiment id, run id) of folders `<experiment>/<run>/artifacts`."""
    for folder in evidence.paths.folders_named("artifacts"):
        place, _, run_id = folder.removesuffix("/artifacts").rpartition("/")
        experiment = place.rpartition("/")[2]
        if _RUN_ID.fullmatch(run_id) and _EXPERIMENT_ID.fullmatch(experiment):
            yield folder, experiment, run_id


def _present(evidence: Evidence, path: str) -> tuple[str, ...]:
    return (path,) if path in evidence else ()


def _databases(evidence: Evidence) -> Iterator[str]:
    """MLflow's own among the SQLite files that the job wrote or that had a journal beside them."""
    candidates = dict.fromkeys(
        path.removesuffix(suffix)
        for suffix in _SIDE_FILES[:2]
        for path in evidence.paths.ending(suffix)
    )
    for extension in _DATABASE_EXTENSIONS:
        candidates |= dict.fromkeys(evidence.paths.with_extension(extension))
    for path in candidates:
        if path in evidence and evidence.head(path, 16) == _SQLITE and evidence.tables(path) >= _TABLES:
            yield path


def _new_runs(evidence: Evidence, database: str) -> Iterator[tuple[str, object, object]]:
    """The runs that this job made or ended: all of a database that it made itself, else those of its time."""
    rows = evidence.rows(database, "runs", ("run_uuid", "name", "experiment_id", "start_time", "end_time"))
    existed = evidence.was_read(database)
    shared = existed or any(map(_is_server, evidence.arguments))
    for run_id, name, experiment, started, ended in sorted(rows, key=lambda row: str(row[3])):
        recent = not existed or evidence.in_job_ms(started) or evidence.in_job_ms(ended)
        if recent and (not shared or _is_of_this_program(evidence, database, str(run_id))):
            yield str(run_id), name, experiment


def _is_server(argv: tuple[str, ...]) -> bool:
    """Whether a program is `mlflow server` or `mlflow ui`: what others send to it is not its own."""
    names = [os.path.basename(word) for word in argv]
    return "mlflow" in names and bool({"server", "ui"} & set(names))


def _is_of_this_program(evidence: Evidence, database: str, run_id: str) -> bool:
    """Whether the run's source may be a program of this job: other jobs may write to the same database meanwhile."""
    where = "run_uuid = ? AND key = 'mlflow.source.name'"
    rows = evidence.rows(database, "tags", ("value",), where, (run_id,))
    source = str(rows[0][0]) if rows and rows[0][0] else ""
    stem = os.path.basename(source).rpartition(".")[0]
    if not stem or os.path.normpath(os.path.join(evidence.cwd, source)) in evidence:
        return True
    words = (word for argv in evidence.arguments for word in argv)
    return any(stem in {os.path.basename(word).rpartition(".")[0], word.rpartition(".")[2]} for word in words)


def _claim_artifacts(evidence: Evidence, database: str, findings: Findings) -> None:
    """Artifacts of the database's runs and logged models, wherever they lie."""
    for folder in evidence.paths.folders_named("artifacts"):
        owner = folder.removesuffix("/artifacts").rpartition("/")[2]
        if _RUN_ID.fullmatch(owner):
            known = evidence.rows(database, "runs", ("run_uuid",), "run_uuid = ?", (owner,))
        elif _MODEL_ID.fullmatch(owner):
            known = evidence.rows(database, "logged_models", ("model_id",), "model_id = ?", (owner,))
        else:
            continue
        if known:
            _claim_payload(evidence, folder, findings)


TRACKER = Mlflow()
