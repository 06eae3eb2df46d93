"""The symlinks that have to be there before each job of a plan: those that it went through and did not make itself."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from roar.analyze.datasets import ancestors
from roar.model import Job, is_location, members_folder
from roar.query.jobs import load_datasets
from roar.query.repository import find_around, find_work_trees, is_inside, links_from_code
from roar.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symlink that has to be there before a job, or that must not be there any more.

    Attributes:
        path: as recorded.
        target: its text: relative where it leads into the folder that is reproduced, else absolute; None where one
            that was there for an earlier job has to go.
    """

    path: str
    target: str | None


class Links(NamedTuple):
    """The links of a plan by the uid of the job that needs them, and why some cannot or may not do, as sentences."""

    of_job: Mapping[str, tuple[Link, ...]]
    obstacles: tuple[str, ...]
    doubts: tuple[str, ...]


class _Recorded(NamedTuple):
    """A symlink as a job had it, both absolute."""

    place: str
    destination: str
    made: bool


def find_links(database: sqlite3.Connection, workspace: Workspace, jobs: Sequence[Job], patches: Mapping[str, bytes]
               ) -> Links:
    """The links of a plan whose jobs run in this order; `patches` has their uncommitted changes by digest."""
    recorded = {job.uid: tuple(_load(database, workspace, job)) for job in jobs}
    if not any(recorded.values()):
        return Links({}, (), ())
    there = _There(database, workspace, find_around(workspace, find_work_trees(workspace, jobs)))
    tracked = links_from_code(workspace, [job for job in jobs if recorded[job.uid]], patches)
    found = {}
    obstacles: list[str] = []
    for job in jobs:
        links = recorded[job.uid]
        own = {link.place for link in links}
        needed = [link for link in links if not link.made and there.is_reproduced(link)]
        found[job.uid] = (*there.to_remove(job, own), *there.to_make(needed, tracked.get(job.uid, frozenset())))
        obstacles += [f"{link.path} was a folder when @{before.step} {before.uid[:8]} ran, and a symlink to"
                      f" {link.target} when @{job.step} {job.uid[:8]} ran: carry the plan out by hand, and put the"
                      " link in the folder's place between the two."
                      for link in found[job.uid] if link.target and (before := there.folders.get(link.path))]
        there.note(job, links)
    outside = dict.fromkeys(link for links in recorded.values() for link in links if there.leads_back(link))
    doubts = [f"The symlink {link.place} is used where it lies, and leads to {link.destination}, not into the"
              " reproduction." for link in outside]
    return Links(found, tuple(obstacles), tuple(doubts))


class _There:
    """Which links and folders are where while the jobs of a plan run one after the other."""

    def __init__(self, database: sqlite3.Connection, workspace: Workspace, around: str) -> None:
        self._database = database
        self._workspace = workspace
        self._around = around
        self._links: dict[str, str] = {}
        self.folders: dict[str, Job] = {}

    def is_reproduced(self, link: _Recorded) -> bool:
        return is_inside(link.place, self._around)

    def leads_back(self, link: _Recorded) -> bool:
        return not link.made and not self.is_reproduced(link) and is_inside(link.destination, self._around)

    def to_remove(self, job: Job, own: set[str]) -> Iterator[Link]:
        """Links of earlier jobs that stand where a job had files or folders."""
        used = self._used(job) if self._links else frozenset()
        for place in [place for place in self._links if place in used and place not in own]:
            del self._links[place]
            yield Link(path=self._workspace.relative(place), target=None)

    def to_make(self, links: Sequence[_Recorded], tracked: frozenset[str]) -> Iterator[Link]:
        """What of these is not there yet, and does not come with the code."""
        for link in links:
            if link.place in tracked:
                self._links.pop(link.place, None)
            elif self._links.get(link.place) != link.destination:
                self._links[link.place] = link.destination
                yield Link(path=self._workspace.relative(link.place), target=self._text(link))

    def _text(self, link: _Recorded) -> str:
        if is_inside(link.destination, self._around):
            return os.path.relpath(link.destination, os.path.dirname(link.place))
        return link.destination

    def note(self, job: Job, links: Sequence[_Recorded]) -> None:
        """A job has run."""
        self._links.update({link.place: link.destination for link in links if link.made})
        for place in self._used(job):
            self._links.pop(place, None)
        for use in (*job.inputs, *job.outputs):
            for folder in ancestors(members_folder(use.path).rstrip("/") if use.files else os.path.dirname(use.path)):
                self.folders.setdefault(folder, job)

    def _used(self, job: Job) -> frozenset[str]:
        """The files and folders that a job had, as far as it used files there; absolute."""
        uses = [use for use in (*job.inputs, *job.outputs) if not is_location(use.path)]
        used = {above for use in uses for above in ancestors(self._workspace.absolute(use.path))}
        for use in uses:
            folder = self._workspace.absolute(members_folder(use.path))
            if use.files is not None and any(is_inside(place, folder) for place in self._links):
                used |= {above for dataset in load_datasets(self._database, [use.digest] if use.digest else [])
                         for member in dataset.members for above in ancestors(os.path.join(folder, member.path))}
        return frozenset(used)


def _load(database: sqlite3.Connection, workspace: Workspace, job: Job) -> Iterator[_Recorded]:
    rows = database.execute("SELECT path.path, target, made FROM symlink JOIN path ON path.id = path_id"
                            " WHERE job_id = (SELECT id FROM job WHERE uid = ?) ORDER BY path.path", (job.uid,))
    inputs = {use.path for use in job.inputs}
    for path, target, made in rows.fetchall():
        place = workspace.absolute(path)
        if made is None:  # recorded by an older roar: where a file's name led
            yield _Recorded(place, workspace.absolute(target), target not in inputs)
        else:
            yield _Recorded(place, os.path.normpath(os.path.join(os.path.dirname(place), target)), made == 1)
