"""Virtual environments in the folder that is reproduced: they come neither with the code nor as inputs."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
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


def links_to(environments: Iterable[str], workspace: Workspace, brought: Iterable[str]) -> tuple[Link, ...]:
    """What has to be there of them: each is used where it lies, but for what the plan itself brings or makes in it.

    Args:
        environments: their absolute paths.
        workspace: that the paths are relative to.
        brought: absolute paths of the code, inputs and outputs of the jobs.
    """
    places = list(environments)
    own = {folder for path in brought for place in places if is_inside(path, place)
           for folder in (path, *ancestors(path))}
    return tuple(Link(path=workspace.relative(part), target=part)
                 for place in places for part in _parts_beside(place, own))


def _parts_beside(place: str, own: Collection[str]) -> Iterator[str]:
    """A file or folder, or what it is made of where some of it is the plan's own."""
    if place not in own:
        yield place
    elif os.path.isdir(place) and not os.path.islink(place):
        for name in sorted(os.listdir(place)):
            if name != ".git":
                yield from _parts_beside(os.path.join(place, name), own)


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
