"""What has to be there before each job of a plan: folders, and inputs that the jobs before it do not leave there."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from roar.analyze.datasets import ancestors
from roar.model import FileUse, Job, Kind, is_location, members_folder
from roar.query.jobs import load_datasets, load_payloads
from roar.query.links import Link
from roar.query.repository import Later, inputs_of
from roar.query.roots import Root, members_of
from roar.query.within import folders_made


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """An input that has to be put in place before a job.

    Attributes:
        root: a root input, or what a job of the plan made and another one has replaced since.
        after: uid of the last job before, which has other content there; None where it may lie there from the start.
    """

    root: Root
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What has to be done before a job of the plan runs.

    Attributes:
        job: its uid.
        restored: files that have to be as in the commit, not as in the uncommitted changes.
        later: root inputs that another commit brings than the job's.
        folders: that have to be there, without the folders above them: it wrote in them and did not make them itself.
        links: symlinks that have to be there, and those that have to go.
        placements: what has to be put in place, in the order of the paths.
    """

    job: str
    restored: tuple[str, ...] = ()
    later: tuple[Later, ...] = ()
    folders: tuple[str, ...]
    links: tuple[Link, ...]
    placements: tuple[Placement, ...]


def find_steps(database: sqlite3.Connection, rows: Mapping[int, Job], jobs: Sequence[Job], roots: Sequence[Root],
               links: Mapping[str, tuple[Link, ...]]) -> tuple[Step, ...]:
    """The steps of a plan.

    Args:
        database: the record.
        rows: the jobs by their rows.
        jobs: the same, in the order in which they are to run.
        roots: what none of them makes where it is read.
        links: by the uid of the job that needs them.
    """
    row_of = {job.uid: row for row, job in rows.items()}
    payloads: dict[str, list[FileUse]] = defaultdict(list)
    for payload in load_payloads(database, list(rows)):
        payloads[payload.job].append(FileUse(path=payload.path, digest=payload.digest, size=payload.size))
    wrote = {job.uid: (*job.outputs, *payloads[job.uid]) for job in jobs}
    used = [use.path for job in jobs for use in (*job.inputs, *wrote[job.uid])]
    places = _Places(database, [*used, *(root.path for root in roots)])
    roots_of = inputs_of(roots)
    steps = []
    for job in jobs:
        placements = tuple(places.before(job, roots_of.get(job.uid, ())))
        needed = links.get(job.uid, ())
        steps.append(Step(job=job.uid, folders=_folders(database, row_of[job.uid], job, needed), links=needed,
                          placements=placements))
        places.use(job.uid, job.inputs)
        places.use(job.uid, wrote[job.uid])
    return tuple(steps)


def _folders(database: sqlite3.Connection, row_id: int, job: Job, links: Sequence[Link]) -> tuple[str, ...]:
    """The folders that a job wrote in and did not make, as far as the record knows, and those of the links."""
    made = folders_made(database, row_id)
    wanted = {_found(folder, made) for use in job.outputs if job.kind == "run" and not is_location(use.path)
              for folder in _written_in(database, use, made)}
    wanted |= {os.path.dirname(link.path) for link in links if link.target is not None}
    above = {folder for path in wanted for folder in ancestors(path)[1:]}
    return tuple(sorted(wanted - above - {"", "/"}))


def _written_in(database: sqlite3.Connection, use: FileUse, made: set[str]) -> set[str]:
    """The folders in which the files of an output lie."""
    if use.kind is Kind.FILE:
        return {os.path.dirname(use.path)}
    start = members_folder(use.path)
    if _found(start[:-1], made) != start[:-1]:
        return {start[:-1]}
    return {os.path.dirname(path) for path in _files(database, use.path, use.digest)} or {start[:-1]}


def _found(folder: str, made: set[str]) -> str:
    """A folder, or the nearest one above that a job did not make itself."""
    highest = [above for above in ancestors(folder) if above in made]
    return os.path.dirname(highest[-1]) if highest else folder


def _files(database: sqlite3.Connection, path: str, digest: str | None) -> dict[str, str | None]:
    """The digests of the files that a use stands for, by their paths."""
    for dataset in load_datasets(database, [] if digest is None else [digest]):
        return {members_folder(path) + member.path: member.digest for member in dataset.members}
    return {path: digest}


class _Seen(NamedTuple):
    """An artifact as a job had it last at a path; `order` grows from one use to the next."""

    order: int
    job: str
    digest: str | None


class _Places:
    """What lies where while the jobs of a plan run one after the other, as far as they used it."""

    def __init__(self, database: sqlite3.Connection, paths: Iterable[str]) -> None:
        self._database = database
        self._near = _overlapping(set(paths))
        self._last: dict[str, _Seen] = {}
        self._order = 0
        self._known: dict[tuple[str, str | None], dict[str, str | None]] = {}

    def use(self, uid: str, uses: Iterable[FileUse]) -> None:
        """A job reads or writes these."""
        self._order += 1
        for use in uses:
            self._last[use.path] = _Seen(self._order, uid, use.digest)

    def before(self, job: Job, roots: Sequence[Root]) -> Iterator[Placement]:
        """What has to be put in place before a job, given its root inputs, by path."""
        for root in roots:
            wrong = self._wrong(root.path, root.digest, partial(self._files_of, root))
            if wrong is not None:
                yield Placement(root=root, after=_latest(wrong))
        whole = {(root.path, root.digest) for root in roots if not root.members}
        for use in job.inputs:
            if use.digest is None or (use.path, use.digest) in whole:
                continue
            wrong = self._wrong(use.path, use.digest, partial(self._files, use.path, use.digest))
            for files in map(self._files_of, roots if wrong else ()):
                wrong = {path: last for path, last in (wrong or {}).items() if path not in files}
            if wrong:
                yield Placement(root=self._replaced(job, use, wrong), after=_latest(wrong))

    def _replaced(self, job: Job, use: FileUse, paths: Collection[str]) -> Root:
        """What a job of the plan made, as an input: of a dataset the files that were replaced since."""
        start = len(members_folder(use.path))
        members = () if len(paths) == (use.files or 1) else tuple(sorted(path[start:] for path in paths))
        return Root(path=use.path, digest=use.digest, size=use.size, kind=use.kind, files=use.files, note=use.note,
                    used_by=(job.uid,), made_by=None, members=members)

    def _files_of(self, root: Root) -> dict[str, str | None]:
        if not root.members:
            return self._files(root.path, root.digest)
        return {members_folder(root.path) + member.path: member.digest for member in members_of(self._database, root)}

    def _files(self, path: str, digest: str | None) -> dict[str, str | None]:
        if (path, digest) not in self._known:
            self._known[path, digest] = _files(self._database, path, digest)
        return self._known[path, digest]

    def _lies_there(self, path: str, digest: str | None) -> bool:
        """Whether a use at this very path left it like that, and none that overlaps with it came later."""
        last = self._last.get(path)
        return (last is not None and last.digest == digest is not None
                and all(self._last[near].order <= last.order for near in self._near[path] if near in self._last))

    def _wrong(self, path: str, digest: str | None, files: Callable[[], Mapping[str, str | None]]
               ) -> dict[str, _Seen] | None:
        """By path, the last uses of those of the files that lie there with other content; None where all lie right."""
        if self._lies_there(path, digest):
            return None
        seen = [(self._last[near], near) for near in (path, *self._near[path]) if near in self._last]
        if not seen:
            return {}
        wanted = files()
        now: dict[str, tuple[str | None, _Seen]] = {}
        for last, near in sorted(seen, key=lambda one: one[0].order):
            there = self._files(near, last.digest)
            now.update((name, (there[name], last)) for name in wanted.keys() & there.keys())
        wrong = {name: last for name, (found, last) in now.items() if found is None or found != wanted[name]}
        return wrong if wrong or len(now) < len(wanted) else None


def _latest(wrong: Mapping[str, _Seen]) -> str | None:
    """The uid of the last of these jobs."""
    return max(wrong.values(), key=lambda last: last.order).job if wrong else None


def _overlapping(paths: set[str]) -> dict[str, set[str]]:
    """By path the others that stand for files in the same folder: a dataset, and what lies below its folder."""
    datasets: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        if (folder := members_folder(path)) != f"{path}/":
            datasets[folder].add(path)
    found: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        for folder in ancestors(os.path.dirname(path)):
            for other in datasets.get(f"{folder}/" if folder not in {"", "/"} else folder, ()):
                if other != path:
                    found[path].add(other)
                    found[other].add(path)
    return found
