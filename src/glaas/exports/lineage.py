"""What an export is made of, and what several formats need.

Every format is built from one `Lineage`, whether the server read it from its tables or the client from its record, so
the same jobs give the same document, byte for byte.
"""

import dataclasses
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit

import blake3
from packageurl import PackageURL

from glaas.times import moment_after
from glaas.urls import is_web_url
from roar.wire import (
    UNVERSIONED,
    Dataset,
    DatasetMember,
    FileUse,
    Job,
    Kind,
    Package,
    Payload,
    TrackerRun,
    canonical_json,
    members_folder,
)

PRODUCER = "urn:roar:roar"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, PRODUCER)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_SCP_LIKE = re.compile(r"(?P<user>[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[\w.~/+-]+)")
_PACKAGE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_T = TypeVar("_T")


class Noun(StrEnum):
    """What a lineage is the lineage of."""

    SESSION = "session"
    JOB = "job"
    ARTIFACT = "artifact"
    TRACKER_RUN = "tracker run"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is exported: a whole session, or something with all that it came from.

    Attributes:
        noun: what it is.
        name: digest of a session's DAG or of an artifact, uid of a job, address of a tracker run, path of a folder.
    """

    noun: Noun
    name: str

    @property
    def short(self) -> str:
        """The start of its name, fit for a file's name."""
        return re.sub(r"[^\w-]+", "-", self.name.rstrip("/").rpartition("/")[2])[:12] or "lineage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Jobs in full, with the datasets that they used.

    Attributes:
        session: uid of the session of the last job.
        jobs: in the order they started; a file written into a tracker's store is an output where a job here read it.
        datasets: with those of their members that are to be told.
    """

    subject: Subject
    session: str
    jobs: tuple[Job, ...]
    datasets: tuple[Dataset, ...] = ()

    @property
    def title(self) -> str:
        """A name for people."""
        if self.subject.noun is Noun.SESSION:
            return f"session {self.session}"
        return f"lineage of {self.subject.noun} {self.subject.name}"

    @property
    def uuid(self) -> uuid.UUID:
        """A UUID that only this lineage has, and always has."""
        return uuid.uuid5(_NAMESPACE, content_key(
            {"subject": dataclasses.asdict(self.subject), "jobs": self.jobs, "datasets": self.datasets}))

    @property
    def last_seen_at(self) -> str:
        """When the last of the jobs is known to have ended, or else started. The document is as old as that."""
        return max((ended_at(job) or job.started_at for job in self.jobs), default="1970-01-01T00:00:00.000000Z")


def make_lineage(subject: Subject, session: str, jobs: Iterable[Job], datasets: Iterable[Dataset],
                 payloads: Iterable[Payload], *, members: bool = False) -> Lineage:
    r"""A lineage, with control characters in its texts written as `\x1b`: no format, and no reader, chokes on them.

    Args:
        subject: what it is the lineage of.
        session: as in Lineage.
        jobs: in the order they started.
        datasets: the datasets among their files, at least with the members that the jobs used by themselves.
        payloads: what the jobs wrote into trackers' stores.
        members: whether every member of a dataset is told, or only those that a job here used by itself.
    """
    jobs = tuple(_plain(job) for job in jobs)
    datasets = tuple(_plain(dataset) for dataset in datasets)
    read = {use.digest for job in jobs for use in job.inputs}
    read |= {member.digest for dataset in datasets if dataset.digest in read for member in dataset.members}
    written: dict[str, list[FileUse]] = {}
    for payload in payloads:
        if payload.digest in read and payload.size:
            written.setdefault(payload.job, []).append(_plain(FileUse(
                path=payload.path, digest=payload.digest, size=payload.size, note="in a tracker's store")))
    jobs = tuple(dataclasses.replace(
        job, outputs=(*job.outputs, *written.get(job.uid, ())),
        tracker_runs=tuple(sorted(job.tracker_runs, key=lambda run: (run.tracker, run.run_id, run.url or ""))))
        for job in jobs)
    used = {use.digest for job in jobs for use in (*job.inputs, *job.outputs)}
    kept = (dataclasses.replace(dataset, members=tuple(sorted((
        _as_shown(member) for member in dataset.members if members or (member.digest in used and member.size)),
        key=lambda member: (member.path, member.digest))))
        for dataset in datasets if dataset.digest in used)
    return Lineage(subject=_plain(subject), session=session, jobs=jobs,
                   datasets=tuple(sorted(kept, key=lambda dataset: dataset.digest)))


def _as_shown(member: DatasetMember) -> DatasetMember:
    """A member by what is shown of its path, which is all that a server keeps."""
    return member if member.raw_path is None else dataclasses.replace(member, raw_path=None)


def _plain(value: _T) -> _T:
    """`value` with the control characters in all its texts escaped."""
    return _escaped(value)  # type: ignore[no-any-return]


def _escaped(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, StrEnum):
        return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
    if isinstance(value, tuple):
        return tuple(_escaped(item) for item in value)
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: _escaped(getattr(value, f.name)) for f in dataclasses.fields(value)})
    return value


# ------------------------------------------------------------------------------------------- what formats share


def iter_artifacts(lineage: Lineage) -> Iterator[FileUse]:
    """Each artifact with a digest once, under the first path it has; then the members that are told."""
    seen: set[str] = set()
    folders: dict[str, str] = {}
    for job in lineage.jobs:
        for use in (*job.inputs, *job.outputs):
            if use.digest is None or use.digest in seen:
                continue
            seen.add(use.digest)
            if use.kind is Kind.DATASET:
                folders[use.digest] = members_folder(use.path)
            yield use
    for dataset in lineage.datasets:
        for member in dataset.members:
            if member.digest not in seen:
                seen.add(member.digest)
                yield FileUse(path=folders[dataset.digest] + member.path, digest=member.digest, size=member.size)


def content_key(value: Any) -> str:
    """What stands for `value` in an identifier: 32 hexadecimal digits that only the same value has."""
    return blake3.blake3(canonical_json(value)).hexdigest()[:32]


def ended_at(job: Job) -> str | None:
    """When a job ended, RFC 3339; None where that is not known."""
    return moment_after(job.started_at, job.duration_s)


def web_url(run: TrackerRun) -> str | None:
    """The run's address where it may be a link."""
    return run.url if run.url is not None and is_web_url(run.url) else None


def run_key(run: TrackerRun) -> str:
    """What stands for a tracker run in identifiers, whichever job names it."""
    return content_key([run.tracker, run.run_id, run.url, run.project, run.entity])


def run_title(run: TrackerRun) -> str:
    """A tracker run for people: `W&B run silver-fox-3`."""
    return f"{run.label} run {run.name or run.run_id}"


def tracker_runs(lineage: Lineage) -> dict[str, TrackerRun]:
    """The tracker runs of all jobs by `run_key`, each once."""
    return {run_key(run): run for job in lineage.jobs for run in job.tracker_runs}


def package_ref(package: Package) -> str:
    """What stands for a Python package in identifiers: its package URL, if it can have one."""
    if not _PACKAGE_NAME.fullmatch(package.name) or package.version.startswith(UNVERSIONED):
        return f"urn:roar:package:{content_key(package)}"
    return PackageURL(type="pypi", name=package.name, version=package.version.strip() or None).to_string()


def packages(jobs: Iterable[Job]) -> list[Package]:
    """The packages that the jobs imported, each once."""
    found = {(p.name, p.version): p for job in jobs if job.python is not None for p in job.python.packages}
    by_ref = {package_ref(found[key]): found[key] for key in sorted(found, reverse=True)}
    return [by_ref[ref] for ref in sorted(by_ref)]


def repository_url(remote: str | None) -> str | None:
    """A git remote as a URI of a repository; None where it is none. `git@host:path` is one of SSH."""
    if remote is None:
        return None
    if is_web_url(remote):
        return remote
    match = None if "://" in remote else _SCP_LIKE.fullmatch(remote)
    if match is not None and (match["user"] or "." in match["host"]):
        remote = f"ssh://{match['user'] or ''}{match['host']}/{match['path'].lstrip('/')}"
    try:
        parts = urlsplit(remote)
    except ValueError:
        return None
    if parts.scheme not in {"ssh", "git"} or not re.fullmatch(r"([\w.-]+@)?[\w.-]+(:\d+)?", parts.netloc):
        return None
    return remote if re.fullmatch(r"[\w.~/+%-]*", parts.path) and not parts.query and not parts.fragment else None
