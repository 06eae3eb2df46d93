"""What an export is made of, and what several formats need."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from glaas.urls import is_web_url
from roar.wire import FileUse, Job, TrackerRun

PRODUCER = "urn:roar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A registered DAG with its jobs in full, in their order."""

    dag: str
    session: str
    registered_at: str
    jobs: tuple[Job, ...]


def iter_artifacts(session: Session) -> Iterator[FileUse]:
    """Each artifact with a digest once, under the first path it has."""
    seen: set[str] = set()
    for job in session.jobs:
        for use in (*job.inputs, *job.outputs):
            if use.digest is not None and use.digest not in seen:
                seen.add(use.digest)
                yield use


def ended_at(job: Job) -> str | None:
    """When a job ended, RFC 3339; None where that is not known."""
    if job.duration_s is None:
        return None
    end = datetime.fromisoformat(job.started_at) + timedelta(seconds=job.duration_s)
    return end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def web_url(run: TrackerRun) -> str | None:
    """The run's address where it may be a link."""
    return run.url if run.url is not None and is_web_url(run.url) else None
