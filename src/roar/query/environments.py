"""Virtual environments in the folder that is reproduced: they come neither with the code nor as inputs."""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from roar.analyze.datasets import ancestors
from roar.model import Job
from roar.query.links import Link
from roar.query.repository import is_inside, run_git
from roar.workspace import Workspace

_MARK = "pyvenv.cfg"


def find_environments(workspace: Workspace, jobs: Sequence[Job], around: str) -> list[str]:
    """Absolute paths of the virtual environments (PEP 405) that lie beside what the jobs used as their own.

    That is in the folders in which they ran, and in those above in the work tree. Not what git tracks, nor what a job
    of the plan makes itself.
    """
    folders = {folder for job in jobs for folder in ancestors(workspace.absolute(job.cwd))}
    return sorted(place for folder in folders | {workspace.root, around} if is_inside(folder, around)
                  for place in _environments_in(folder) if not _is_tracked(place) and not _is_made(place, jobs))


def links_to(environments: Iterable[str], workspace: Workspace) -> tuple[Link, ...]:
    """What has to be there of them: each is used where it lies."""
    return tuple(Link(path=workspace.relative(place), target=place) for place in environments)


def _environments_in(folder: str) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        place = os.path.join(folder, name)
        if not os.path.islink(place) and os.path.isfile(os.path.join(place, _MARK)):
            yield place


def _is_made(place: str, jobs: Sequence[Job]) -> bool:
    """Whether it was made while one of the jobs ran."""
    made_at = os.stat(os.path.join(place, _MARK)).st_mtime
    starts = ((datetime.fromisoformat(job.started_at).timestamp(), job.duration_s or 0) for job in jobs)
    return any(start <= made_at <= start + duration for start, duration in starts)


def _is_tracked(place: str) -> bool:
    """Whether git tracks anything in it."""
    return bool(run_git(os.path.dirname(place), "ls-files", "-z", "--", os.path.basename(place)))
