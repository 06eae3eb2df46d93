"""RO-Crate 1.2 metadata documents, built with the `rocrate` library.

The crate follows the Process Run Crate profile of the Workflow Run RO-Crate collection
(https://w3id.org/ro/wfrun/process/0.5): it is for executions of tools whose composition "may have been done by hand",
which is what a session is. The collection's two other profiles, Workflow Run Crate and Provenance Run Crate, demand
the workflow itself as a file, `ComputationalWorkflow`, that planned the executions; roar observes what ran and knows
no plan. No version of the profile was made for RO-Crate 1.2 (0.5 extends 1.1, and 0.6 extends 1.3); 0.5 uses only
terms that mean the same in 1.1 and 1.2.

The server has no file's content, so its documents are detached crates: each file has an identifier of the document's
own (`#…`) and its path as `localPath`, as RO-Crate 1.2 says for files that are described but not present
(https://www.researchobject.org/ro-crate/specification/1.2/data-entities). A package that holds files names those by
their place in it.
"""

import posixpath
import shlex
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from glaas.exports.lineage import (
    Lineage,
    Noun,
    content_key,
    ended_at,
    iter_artifacts,
    package_ref,
    packages,
    repository_url,
    run_key,
    run_title,
    tracker_runs,
    web_url,
)
from glaas.words import file_name, plural
from roar import __version__
from roar.wire import FileUse, Git, Job, JobState, Kind, Package, TrackerRun

VERSION = "1.2"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
NO_LICENSE = {"name": "No license recorded", "description": "Ask whoever made these files before you use them."}
MOST_NAMED = 3
SCRIPT_ENDINGS = (".py", ".sh", ".R", ".r", ".jl", ".pl", ".rb", ".js", ".ipynb")
_STATUS = "http://schema.org/"
Reference = dict[str, str]


def ro_crate(lineage: Lineage, packed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The metadata document of a lineage.

    Args:
        lineage: what it is of.
        packed: where a package holds files, by digest the URI paths of their places in it, a dataset's with `/` at its
            end. None for a document that stands alone.
    """
    return _Crate(lineage, packed).document()


class _Crate:
    """One document in the making. `add` keeps one entity for each identifier."""

    def __init__(self, lineage: Lineage, packed: Mapping[str, str] | None) -> None:
        self._lineage = lineage
        self._packed = packed or {}
        # an address of an archive that is nowhere on the web (https://www.w3.org/TR/2018/NOTE-arcp): a detached
        # crate's root has an absolute one
        root = f"arcp://uuid,{lineage.uuid}/" if packed is None else "./"
        self._crate = ROCrate(version=VERSION, root_dataset_id=root)
        self._code: dict[str, Reference] = {}
        self._members = {dataset.digest: dataset.members for dataset in lineage.datasets}
        self._roles = _roles(lineage)

    def document(self) -> dict[str, Any]:
        """The whole document."""
        files = [self._artifact(use) for use in iter_artifacts(self._lineage)]
        runs = [self._tracker_run(key, run) for key, run in tracker_runs(self._lineage).items()]
        actions = [self._action(job) for job in self._lineage.jobs]
        self._describe_root([*files, *self._code.values()], actions, runs)
        document: dict[str, Any] = self._crate.metadata.generate()
        return document

    def _add(self, name: str, kind: str | list[str], properties: Mapping[str, Any]) -> Reference:
        if name not in self._crate:
            known = {key: _compact(value) for key, value in properties.items() if value not in (None, [])}
            self._crate.add(ContextEntity(self._crate, name, properties={"@type": kind, **known}))
        return {"@id": name}

    def _describe_root(self, files: list[Reference], actions: list[Reference], runs: list[Reference]) -> None:
        lineage = self._lineage
        profile = self._add(PROFILE, ["CreativeWork", "Profile"], {"name": "Process Run Crate", "version": "0.5"})
        root = self._crate.root_dataset
        root["name"] = lineage.title
        root["description"] = (f"{plural(len(actions), 'job')} recorded by roar {__version__}, with the files that "
                               f"they read and wrote. Digests are BLAKE3.")
        root["datePublished"] = _moment(lineage.last_seen_at)
        root["license"] = self._add("#no-license", "CreativeWork", NO_LICENSE)
        root["conformsTo"] = profile
        root["identifier"] = self._add(f"#identifier-{lineage.uuid}", "PropertyValue", {
            "name": f"{lineage.subject.noun} in roar", "value": lineage.subject.name,
            "propertyID": f"urn:roar:{lineage.subject.noun.replace(' ', '-')}"})
        if files:
            root["hasPart"] = _compact(files)
        if actions:
            root["mentions"] = _compact([*actions, *runs])
        if lineage.subject.noun is Noun.ARTIFACT and (name := self._name(lineage.subject.name)) in self._crate:
            root["mainEntity"] = {"@id": name}

    def _name(self, digest: str) -> str:
        return self._packed.get(digest, f"#artifact-{digest}")

    def _artifact(self, use: FileUse) -> Reference:
        assert use.digest is not None
        packed = use.digest in self._packed
        renamed = packed and unquote(self._packed[use.digest]) != use.path
        shared = {"name": use.path, "localPath": None if packed else use.path,
                  "alternateName": use.path if renamed else None, "identifier": f"blake3:{use.digest}"}
        roles = self._roles.get(use.digest, "part of a dataset")
        if use.kind is Kind.DATASET:
            members = dict.fromkeys(self._name(member.digest) for member in self._members.get(use.digest, ()))
            return self._add(self._name(use.digest), "Dataset", {
                **shared, "description": f"{_dataset_description(use)}, {roles}",
                "hasPart": [{"@id": member} for member in members]})
        return self._add(self._name(use.digest), "File", {
            **shared, "contentSize": None if use.size is None else str(use.size), "description": roles})

    def _tracker_run(self, key: str, run: TrackerRun) -> Reference:
        """A reference to what is kept elsewhere. Without a proven address it has none."""
        words = [f"{run.label} keeps this run", f"in the project {run.project}" if run.project else None,
                 f"of {run.entity}" if run.entity else None]
        how = f" {run.state}: {run.how_to_view}" if run.how_to_view else ""
        return self._add(f"#tracker-run-{key}", "WebPage" if web_url(run) else "CreativeWork", {
            "name": run_title(run), "identifier": run.run_id, "url": web_url(run),
            "description": f"{' '.join(word for word in words if word)}.{how}"})

    def _action(self, job: Job) -> Reference:
        end = ended_at(job)
        results = self._uses(job.outputs)
        return self._add(uuid.UUID(job.uid).urn, "CreateAction" if results else "ActivateAction", {
            "name": job.name or f"step {job.step}", "description": shlex.join(job.command) or "no command",
            "startTime": _moment(job.started_at), "endTime": None if end is None else _moment(end),
            **_status(job), "instrument": self._instrument(job), "object": self._uses(job.inputs), "result": results,
            "subjectOf": [{"@id": f"#tracker-run-{key}"} for key in
                          dict.fromkeys(run_key(run) for run in job.tracker_runs)],
            "additionalProperty": [self._label(key, value) for key, value in sorted(job.labels.items())]})

    def _uses(self, uses: Iterable[FileUse]) -> list[Reference]:
        return [{"@id": name} for name in dict.fromkeys(self._name(use.digest) for use in uses if use.digest)]

    def _label(self, key: str, value: str) -> Reference:
        return self._add(f"#label-{content_key([key, value])}", "PropertyValue", {"name": key, "value": value})

    def _instrument(self, job: Job) -> Reference:
        """What ran: the script that the command names among its inputs, else its program.

        A script is a file that is source code. So is a program here, although it may be no source: RO-Crate 1.2
        demands of a `SoftwareApplication` an address and a version, and of most programs nobody knows them.
        """
        path = _script(job)
        git = job.git if job.git is not None and job.git.commit else None
        url = repository_url(git.remote) if git else None
        name = f"#code-{content_key([path, git, job.python])}"
        self._code[name] = self._add(name, ["File", "SoftwareSourceCode"], {
            "name": file_name(path), "localPath": path, "version": git.commit if git else None,
            "description": _changes(git) if git else None, "codeRepository": url,
            "url": url if url and url.startswith("http") else None,
            "programmingLanguage": self._python(job.python.version) if job.python else None,
            "softwareRequirements": [self._package(package) for package in packages([job])]})
        return self._code[name]

    def _python(self, version: str) -> Reference:
        return self._add(f"#python-{content_key(version)}", ["ComputerLanguage", "SoftwareApplication"], {
            "name": f"Python {version}", "alternateName": "Python", "version": version, "url": "https://www.python.org/"})

    def _package(self, package: Package) -> Reference:
        ref = package_ref(package)
        return self._add(ref, "SoftwareApplication", {
            "name": package.name or "unnamed", "version": package.version or "unknown", "url": ref})


def _roles(lineage: Lineage) -> dict[str, str]:
    """What the jobs did with each artifact, by its digest: `written by train, read by step 3`."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for job in lineage.jobs:
        for word, uses in (("written", job.outputs), ("read", job.inputs)):
            for use in uses:
                if use.digest is not None:
                    roles = found.setdefault(use.digest, {})
                    roles.setdefault(word, {})[job.name or f"step {job.step}"] = None
    return {digest: ", ".join(f"{word} by {_listed(list(roles[word]))}" for word in sorted(roles, reverse=True))
            for digest, roles in found.items()}


def _listed(names: list[str]) -> str:
    return " and ".join(names) if len(names) <= MOST_NAMED else f"{len(names)} jobs"


def _script(job: Job) -> str:
    """The first argument of the command that is one of the files it read; where there is none the program.

    A file whose name says that it is source code is recorded by its commit and not as an input.
    """
    read = {use.path for use in job.inputs}
    for word in job.command[1:]:
        if word in {"-c", "-m"}:
            break
        path = posixpath.normpath(posixpath.join(job.cwd, word))
        if path in read or (job.git is not None and word.endswith(SCRIPT_ENDINGS)):
            return path
    return job.command[0] if job.command else "unknown"


def _compact(value: Any) -> Any:
    """One value instead of a list of one, as the compacted JSON-LD that RO-Crate asks for."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _dataset_description(use: FileUse) -> str:
    files = "files" if use.files is None else plural(use.files, "file")
    return f"{files}, {use.size} bytes in all" if use.size is not None else files


def _changes(git: Git) -> str:
    if not git.dirty:
        return f"commit {git.commit}"
    patch = f" (their patch has the digest {git.patch})" if git.patch else ""
    return f"commit {git.commit} with uncommitted changes{patch}"


def _status(job: Job) -> dict[str, str]:
    if job.state is JobState.RUNNING:
        return {"actionStatus": f"{_STATUS}ActiveActionStatus"}
    if job.state is JobState.DONE and job.exit_code in {0, None}:
        return {"actionStatus": f"{_STATUS}CompletedActionStatus"}
    why = "interrupted" if job.state is JobState.INTERRUPTED else "failed"
    return {"actionStatus": f"{_STATUS}FailedActionStatus",
            "error": why if job.exit_code is None else f"{why}, exit code {job.exit_code}"}


def _moment(time: str) -> str:
    """To the millisecond, with the offset written out: the validators of the profile know no other form."""
    return datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="milliseconds")
