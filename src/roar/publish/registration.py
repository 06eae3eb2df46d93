"""What is published: jobs of the record as a registration."""

import dataclasses
from functools import partial
from urllib.parse import urlsplit

from roar import __version__
from roar.model import Job, TrackerRun, TrackerRunState
from roar.publish.path_key import load_path_key
from roar.query.sessions import Publishable
from roar.wire import WIRE_VERSION, Registration, without_secrets
from roar.workspace import Workspace


def make_registration(publishable: Publishable, workspace: Workspace) -> Registration:
    """The registration of these jobs, as a glaas server accepts it: with no text that looks like a secret to it.

    Commands, names and labels were redacted when they were recorded. Paths are recorded as they are, for a record with
    others would not lead back to the files; a secret in one goes no further than this machine. Such paths are kept
    apart by the workspace's key, which is asked for only where there is one.
    """
    return without_secrets(Registration(
        version=WIRE_VERSION, client=f"roar {__version__}", session=publishable.session,
        jobs=tuple(_with_web_links(job) for job in publishable.jobs), datasets=publishable.datasets,
        payloads=publishable.payloads, ages=publishable.ages), partial(load_path_key, workspace))


def _with_web_links(job: Job) -> Job:
    """A tracker plugged in by someone else may name an address that is none; the reference is sent without it."""
    if all(run.url is None or _is_web_url(run.url) for run in job.tracker_runs):
        return job
    return dataclasses.replace(job, tracker_runs=tuple(map(_without_odd_url, job.tracker_runs)))


def _without_odd_url(run: TrackerRun) -> TrackerRun:
    if run.url is None or _is_web_url(run.url):
        return run
    state = TrackerRunState.PARTIAL if run.state is TrackerRunState.ONLINE else run.state
    return dataclasses.replace(run, url=None, state=state, note=run.note or "its address is no http or https URL")


def _is_web_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and not any(
        letter.isspace() or not letter.isprintable() or letter in '\\<>"`' for letter in url)
