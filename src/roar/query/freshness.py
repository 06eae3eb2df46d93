"""Whether the session's outputs are still what a rerun would give, and still what was recorded."""

import itertools
import json
import os
import sqlite3
import stat
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, partial
from typing import Any, NamedTuple

from roar.analyze.datasets import ancestors
from roar.analyze.memory import without_collection
from roar.model import CHANGED_AT_LAST, CHANGED_MEANWHILE, is_location, members_folder
from roar.query.beside import find_written_beside
from roar.query.counted import Counted, PathsUsed, follows
from roar.query.deletions import find_deletions
from roar.query.files_now import (
    Change,
    DatasetLook,
    digest_now,
    find_change_of_files,
    is_absence,
    key_of,
    recorded_members,
)
from roar.query.graph import EDITED, Step, find_rewritten, is_made_of, load_bare_steps, overwrites
from roar.query.hard_links import find_linked_inputs, find_other_name
from roar.query.likeness import likeness
from roar.query.repointed import find_repointed, read_link
from roar.query.staleness import Reason, Stale
from roar.query.within import Given, is_removed_within
from roar.record import digests
from roar.record.database import encoded
from roar.record.dependencies import content_below
from roar.workspace import Workspace


class Freshness(StrEnum):
    """What an output is worth now."""

    FRESH = "fresh"
    STALE = "stale"  # an input of its job has changed since, or that of a job before it
    CHANGED = "changed"  # no longer what the job wrote
    GONE = "gone"
    UNREADABLE = "unreadable"  # it may be what the job wrote, or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of the session as it lies there now.

    Attributes:
        digest: of its content; None for symlinks that led to other steps' files when they were made.
        reason: why it is not fresh.
        failed: it is what a job left that did not end well.
        again: another step wrote it again, which its own step edits: that is to be run again.
        shared: what changed it is one file with what its own step reads (a hard link): nothing is lost with it.
    """

    path: str
    digest: str | None
    step: int
    freshness: Freshness
    reason: str | None = None
    failed: bool = False
    again: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The session's steps, with what is stale by the files as they are now, and its outputs.

    Attributes:
        orphans: the paths of what was read, is gone, and was not made again by the step that had made it.
    """

    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    orphans: frozenset[str] = frozenset()


class _Content(NamedTuple):
    """An artifact under a path, as rows of the record."""

    path_id: int
    artifact_id: int


def load_status(database: sqlite3.Connection, workspace: Workspace, session: int,
                meanwhile: Callable[[], object] = lambda: None) -> Status:
    """Compare the jobs that count with the files as they are now. Files are read only where stat(2) differs.

    Objects in a store are not asked for: they count neither as changed nor as up to date.

    Args:
        database: the record.
        workspace: it belongs to.
        session: row of the session.
        meanwhile: called where another process looks at many files, perhaps several times.
    """
    with without_collection():
        return _load_status(database, workspace, session, meanwhile)


def _load_status(database: sqlite3.Connection, workspace: Workspace, session: int, meanwhile: Callable[[], object]
                 ) -> Status:
    steps, counted = load_bare_steps(database, session)
    written = _load_written(database, counted)
    read = _load_read(database, counted)
    files = _FilesNow(database, workspace, read.keys() | written.keys(), meanwhile)
    stale = Stale(database, counted)
    rewritten = find_rewritten(database, counted)
    stale.put_off(reason for reason in rewritten if EDITED in reason.text)  # what a step mends is told first
    stale.add(reason for reason in rewritten if EDITED not in reason.text)
    stale.add_failed()
    stale.add(find_repointed(database, workspace, [
        job_id for jobs in counted.latest.values() for job_id in jobs if job_id not in counted.idle]))
    stale.add(_changed_meanwhile(database, counted))
    orphans = _find_orphans(database, files, read, written, counted)
    made = written.keys() - orphans
    missed = _without_meant(database, files, {content: readers for content, readers in read.items()
                                              if _is_missed(content, files, made)}, written, counted)
    stale.add(_changed_inputs(database, files, missed, counted, stale, orphans=orphans))
    stale.add(find_written_beside(database, workspace, counted))
    stale.add_put_off()
    last_writes = _without_replaced(database, files, _last_writes(database, files, written, counted), written, counted)
    undone: dict[_Content, str] = {}
    for content, job_id in last_writes.items():
        if files.state(content) is Freshness.CHANGED and files.is_dataset(content):
            undone |= _forgive_followers(database, files, content, job_id, counted)
    covered, by_dataset = _within_datasets(database, files, last_writes, written, counted)
    last_writes = {content: job_id for content, job_id in last_writes.items() if content not in covered}
    again = _written_again(database, files, written, counted) | by_dataset | undone
    last_writes = _with_edited(last_writes, [content for content, text in again.items()
                                             if text.startswith(_BY_ITS_LIKE)], written, counted)
    last_writes = _without_removed_within(database, files, last_writes)
    since = _deleted_since(database, session, files, last_writes) | again
    failed = _failed(database, counted, last_writes.values())
    shared = _shared(database, workspace, files, {
        content: job_id for content, job_id in last_writes.items() if content not in since}, counted)
    since |= shared
    outputs = []
    for content, job_id in last_writes.items():
        if _is_listed(files.state(content), job_id, counted):
            told = min(stale.left.keys() & counted.logs.last(job_id, content.path_id), default=job_id)
            output = _output(files, content, counted.step_of[told], failed.get(job_id) or stale.left.get(told),
                             since.get(content))
            outputs.append(replace(output, failed=job_id in failed, again=content in again,
                                   shared=content in shared))
    reasons = stale.of_steps()
    outputs += _stale_links(database, workspace, counted, reasons, {output.step for output in outputs})
    return Status(steps=tuple(replace(step, stale=reasons.get(step.number)) for step in steps),
                  outputs=tuple(sorted(outputs, key=lambda output: output.path)),
                  orphans=frozenset(files.paths[content.path_id] for content in orphans))


def _stale_links(database: sqlite3.Connection, workspace: Workspace, counted: Counted, stale: Mapping[int, str],
                 told: Container[int]) -> Iterator[Output]:
    """The symlinks that stale steps made which left nothing else: several of a folder as that folder."""
    for step, reason in stale.items():
        made = database.execute("SELECT path.path, target FROM symlink JOIN path ON path.id = path_id"
                                " WHERE job_id = ? AND made = 1 ORDER BY path.path", (counted.latest[step][0],)
                                ).fetchall() if step not in told else ()
        places: dict[str, list[str]] = {}
        for path, text in made:
            if read_link(workspace.absolute(path)) == text:
                places.setdefault(os.path.dirname(path), []).append(path)
        for folder, paths in places.items():
            path = paths[0] if len(paths) == 1 else f"{folder}/" if folder else "./"
            yield Output(path=path, digest=None, step=step, freshness=Freshness.STALE, reason=reason)


def _failed(database: sqlite3.Connection, counted: Counted, jobs: Iterable[int]) -> dict[int, str]:
    """Of the jobs that did not end well, what is to be said of their outputs.

    Not of those from which a later one of the step went on that ended well, as a training does from its checkpoints.
    """
    rows = database.execute(
        "SELECT job.id, number, state = 'done', exit_code FROM job JOIN step ON step.id = step_id"
        " WHERE NOT (state = 'done' AND exit_code IS 0) AND job.id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(set(jobs))),))
    return {job_id: f"@{step}, which wrote it, {f'ended with exit status {status}' if done else 'was interrupted'}"
            for job_id, step, done, status in rows.fetchall()
            if not counted.went_on_from(database, job_id)}


def _shared(database: sqlite3.Connection, workspace: Workspace, files: "_FilesNow",
            last_writes: Mapping[_Content, int], counted: Counted) -> dict[_Content, str]:
    """What is to be said of what has changed only as it is one file with an input of its job (a hard link)."""
    inputs = cache(partial(find_linked_inputs, database, workspace))
    told = {}
    for content, job_id in last_writes.items():
        if files.state(content) is Freshness.CHANGED:
            dataset = content.artifact_id if files.is_dataset(content) else None
            other = find_other_name(database, workspace, files.paths[content.path_id], dataset,
                                    partial(inputs, job_id))
            if other is not None:
                told[content] = (f"no longer what @{counted.step_of[job_id]} wrote: it is one file with {other}"
                                 " (a hard link)")
    return told


def _is_listed(state: Freshness | None, job_id: int, counted: Counted) -> bool:
    """Whether an output is told of: what has gone of the earlier jobs of a step is not, as old checkpoints."""
    return state is not None and (state is not Freshness.GONE
                                  or job_id in counted.latest[counted.step_of[job_id]])


def _load_written(database: sqlite3.Connection, counted: Counted) -> dict[_Content, int]:
    """What the jobs that count wrote, with the latest of the jobs that wrote it."""
    written: dict[_Content, int] = {}
    for job_id in sorted(counted.step_of):
        rows = database.execute("SELECT path_id, artifact_id FROM file_use WHERE job_id = ? AND role = 2"
                                " AND artifact_id IS NOT NULL", (job_id,))
        written.update((_Content(*row), job_id) for row in rows)
    return written


def _last_writes(database: sqlite3.Connection, files: "_FilesNow", written: Mapping[_Content, int], counted: Counted
                 ) -> dict[_Content, int]:
    """Of what was written to the same path, the content of the latest step, and datasets that left more there.

    That of a step before it is the later one where its job took something from that of the latest step, and where the
    two are variants, neither of which edits what the other one writes.
    """
    at_path: dict[int, list[_Content]] = {}
    place = {job_id: at for at, job_id in enumerate(counted.step_of)}
    for content in sorted(written, key=lambda content: place[written[content]], reverse=True):
        at_path.setdefault(content.path_id, []).append(content)
    for contents in at_path.values():
        latest = written[contents[0]]
        if files.state(contents[0]) is Freshness.CHANGED and len(contents) > 1:
            there = {content for content in contents if files.state(content) is Freshness.FRESH}
            later = {content for content in contents if written[content] > latest and _takes_its_place(
                database, (content, contents[0]), written, counted, fresh=content in there)}
            contents.sort(key=lambda one: (one not in later or one not in there, one not in later))
    return {content: written[content] for contents in at_path.values()
            for content in (contents[0], *files.left_of(contents))}


def _without_replaced(database: sqlite3.Connection, files: "_FilesNow", last_writes: dict[_Content, int],
                      written: Mapping[_Content, int], counted: Counted) -> dict[_Content, int]:
    """Without datasets of which only that is there which later runs of their step wrote file by file, as fewer."""
    replaced = set()
    for content, job_id in last_writes.items():
        if files.is_dataset(content) and files.state(content) is Freshness.CHANGED:
            again = {files.paths[one.path_id] for one, other in written.items() if other > job_id
                     and counted.step_of[other] == counted.step_of[job_id] and not files.is_dataset(one)}
            folder = members_folder(files.paths[content.path_id])
            rest = {name for name, _, _ in recorded_members(database, content.artifact_id)
                    if folder + name not in again}
            if any(path.startswith(folder) for path in again) and rest <= files.names_gone(content):
                replaced.add(content)
    return {content: job_id for content, job_id in last_writes.items() if content not in replaced}


def _with_edited(last_writes: dict[_Content, int], again: Iterable[_Content], written: Mapping[_Content, int],
                 counted: Counted) -> dict[_Content, int]:
    """Of what is to be edited again, what the last step left that edited it, in place of what lies there."""
    place = {job_id: at for at, job_id in enumerate(counted.step_of)}
    edited = {content.path_id: content for content in sorted(again, key=lambda content: place[written[content]])}
    kept = {content: job for content, job in last_writes.items() if content.path_id not in edited}
    return kept | {content: written[content] for content in edited.values()} if edited else last_writes


def _within_datasets(database: sqlite3.Connection, files: "_FilesNow", last_writes: Mapping[_Content, int],
                     written: Mapping[_Content, int], counted: Counted) -> tuple[set[_Content], dict[_Content, str]]:
    """Of files by themselves those that a later job has written as part of a dataset, where that lies there.

    Returns:
        Those of which that dataset tells, as the later job is one of the same step, or of a later one.
        What is to be said of those that the earlier job had edited, and that have to be edited again.
    """
    paths = sorted((files.paths[content.path_id], content) for content in last_writes if not files.is_dataset(content))
    covered: set[_Content] = set()
    again: dict[_Content, str] = {}
    for dataset, later in written.items() if paths else ():
        if not files.is_dataset(dataset) or files.state(dataset) is not Freshness.FRESH:
            continue
        folder = members_folder(files.paths[dataset.path_id])
        below = paths[bisect_left(paths, (folder,)):bisect_left(paths, (_end_of(folder),))] if folder else paths
        names = {name for (name,) in database.execute(
            "SELECT path FROM dataset_member WHERE dataset_id = ?", (dataset.artifact_id,))} if below else set()
        for path, content in below:
            job_id = last_writes[content]
            if job_id > later or path[len(folder):] not in names:
                continue
            step, other = counted.step_of[job_id], counted.step_of[later]
            if step != other and not follows(database, later, job_id) and _edits(
                    database, counted, (content, job_id), other):
                again[content] = f"written again by @{other} since: roar run @{step}"
            elif step <= other or follows(database, later, job_id):
                covered.add(content)
    return covered - again.keys(), again


def _forgive_followers(database: sqlite3.Connection, files: "_FilesNow", content: _Content, job_id: int,
                       counted: Counted) -> dict[_Content, str]:
    """What later jobs of the session wrote in a dataset, or took away from there, is no change of it.

    But for what a step wrote again that the dataset's own job had edited. What is to be said of that is the answer.
    """
    folder = members_folder(files.paths[content.path_id])
    step = counted.step_of[job_id]

    @cache
    def undoes(later: int) -> bool:
        other = counted.step_of.get(later, step)
        return other != step and not follows(database, later, job_id) and _edits(
            database, counted, (content, job_id), other)

    events: list[tuple[int, int, int | None, str]] = [
        (later_id, 1, artifact_id, path)
        for later_id, artifact_id, path in _near(database, _WRITTEN_LATER, job_id, folder)]
    events += [(later_id, 0, None, path) for later_id, path in database.execute(_TAKEN_LATER, {
        "job": job_id, "first": encoded(folder), "end": encoded(_end_of(folder))})]
    files.forgive(content, [(artifact_id, path) for later, _, artifact_id, path in sorted(
        events, key=lambda one: one[:2]) if artifact_id is None or not undoes(later)])
    undoing = [later for later, _, artifact_id, _ in events if artifact_id is not None and undoes(later)]
    if not undoing or files.state(content) is not Freshness.CHANGED:
        return {}
    return {content: f"written again by @{counted.step_of[max(undoing)]} since: roar run @{step}"}


def _near(database: sqlite3.Connection, query: str, job: int | str, folder: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a query of a job and a range of paths, for all paths in a folder and those of the folders above."""
    above = [f"{path}/" for path in ancestors(os.path.dirname(folder.rstrip("/")))]
    for first, end in [(folder, _end_of(folder)), *((path, f"{path}\0") for path in above)]:
        yield from database.execute(query, {"job": job, "first": encoded(first), "end": encoded(end)})


def _end_of(folder: str) -> str:
    """What comes after all paths in a folder that ends in `/`, or in the workspace."""
    return f"{folder[:-1]}0" if folder else "\U0010ffff"


# What jobs of the same session wrote after a job at the paths from one to before another. Begins with these paths:
# they are few beside all that was written since.
_WRITTEN_LATER = """
SELECT made.job_id, made.artifact_id, path.path FROM path CROSS JOIN file_written AS made ON made.path_id = path.id
JOIN job ON job.id = made.job_id JOIN step ON step.id = step_id
WHERE path.path >= CAST(:first AS TEXT) AND path.path < CAST(:end AS TEXT)
AND made.job_id > :job AND made.artifact_id IS NOT NULL AND session_id = (
    SELECT session_id FROM job JOIN step ON step.id = step_id WHERE job.id = :job)
"""

# What they took away from there, having read it.
_TAKEN_LATER = """
SELECT job_id, path FROM job JOIN step ON step.id = step_id CROSS JOIN deleted_file ON job_id = job.id
WHERE path >= CAST(:first AS TEXT) AND path < CAST(:end AS TEXT) AND job.id > :job AND session_id = (
    SELECT session_id FROM job JOIN step ON step.id = step_id WHERE job.id = :job)
"""


def _load_read(database: sqlite3.Connection, counted: Counted) -> dict[_Content, list[int]]:
    """What these jobs read, each once with all that read it: many steps may have read the same.

    Of several contents of a path, which other jobs within that job put there, it is the last.
    """
    jobs = [job_id for job_id in counted.step_of if job_id not in counted.idle]
    rows = database.execute(
        "SELECT job_id, path_id, artifact_id, artifact.files FROM file_use JOIN artifact ON artifact.id = artifact_id"
        " WHERE role = 1 AND job_id IN (SELECT value FROM json_each(?))", (json.dumps(jobs),))
    last = {(job_id, path_id): (artifact_id, files) for job_id, path_id, artifact_id, files in rows}
    read: dict[_Content, list[int]] = {}
    for (job_id, path_id), (artifact_id, files) in last.items():
        if files is not None or job_id in counted.superseded or (job_id, path_id) not in counted.settled:
            read.setdefault(_Content(path_id, artifact_id), []).append(job_id)
    return read


def _changed_meanwhile(database: sqlite3.Connection, counted: Counted) -> list[Reason]:
    """Inputs that others changed while a job ran, whose content at the time is not known."""
    jobs = [job_id for job_id in counted.step_of if job_id not in counted.idle]
    rows = database.execute(
        "SELECT job_id, path_id, path.path FROM file_use JOIN path ON path.id = path_id WHERE role = 1"
        " AND artifact_id IS NULL AND (note LIKE ? OR note = ?) AND job_id IN (SELECT value FROM json_each(?))"
        " ORDER BY job_id, ordinal",
        (f"{CHANGED_MEANWHILE}%", CHANGED_AT_LAST, json.dumps(jobs)))
    return [Reason(job_id, f"its input {path} was changed while it ran", settled=(job_id, path_id) in counted.settled)
            for job_id, path_id, path in rows]


def _is_missed(content: _Content, files: "_FilesNow", written: Container[_Content]) -> bool:
    """Whether an input is not there as it was read. What is gone is not missed where a step can make it again."""
    state = files.state(content)
    return state in {Freshness.CHANGED, Freshness.UNREADABLE} or (
        state is Freshness.GONE and content not in written)


def _find_orphans(database: sqlite3.Connection, files: "_FilesNow", read: Mapping[_Content, Sequence[int]],
                  written: Mapping[_Content, int], counted: Counted) -> dict[_Content, int]:
    """Of what other steps read, and is gone, what its step makes no more, with the number of that.

    It has read since all that it had read to make that and that is there, made again all else that it had made then,
    and ended well: it would make that no more if it ran once more. What make(1) had no need to make again it did not
    read for either.
    """
    gone = {content: counted.step_of[written[content]] for content in read.keys() & written.keys()
            if files.state(content) is Freshness.GONE}
    gone = {content: step for content, step in gone.items() if any(
        counted.step_of[reader] != step for reader in read[content])}
    left: dict[int, set[int]] = {}
    for content, job_id in written.items() if gone else ():
        if files.state(content) is not Freshness.GONE:
            left.setdefault(job_id, set()).add(content.path_id)
    rounds = {step: _Rounds(database, [job for job in counted.jobs[step] if job in counted.well], files.is_there)
              for step in {*gone.values()}}
    return {content: step for content, step in gone.items() if rounds[step].is_made_no_more(
        written[content], content.path_id, left.get(written[content], set()))}


class _Rounds:
    """The runs of a step that ended well, by the rows of their jobs, in their order."""

    def __init__(self, database: sqlite3.Connection, jobs: Sequence[int], is_there: Callable[[int], bool]) -> None:
        self._jobs = jobs
        self._is_there = is_there
        self._used = PathsUsed(database, jobs)
        self._last = {path_id: job for job in jobs for path_id in self._used.written(job)}

    def is_made_no_more(self, job: int, path_id: int, left: AbstractSet[int]) -> bool:
        """Whether later runs, of which the next and the last are asked, made all again of one but a path.

        left: what is there yet of those paths at which that one made last what lies there.
        """
        if job not in self._jobs[:-1]:
            return False
        own = self._used.written(job)
        again = {path for path in own if self._last[path] != job}
        after = self._jobs[self._jobs.index(job) + 1:]
        return path_id not in again and not left - again and bool(again) and any(
            not any(map(self._is_there, self._used.read(job) - own - self._used.read(later)))
            for later in (after[0], after[-1]))


def _without_meant(database: sqlite3.Connection, files: "_FilesNow", missed: Mapping[_Content, Sequence[int]],
                   written: Mapping[_Content, int], counted: Counted) -> dict[_Content, Sequence[int]]:
    """The missed inputs with their readers, without those that had to be before what lies there now.

    So it is where that is what a job made of what they made, or within them. What the job around them had made for
    them they get again, whatever lies there; where that had been there before it, so it is if that is gone.
    """
    here = {content.path_id: job_id for content, job_id in written.items()
            if files.state(content) is Freshness.FRESH} if missed else {}
    given = {(reader, path_id) for _, reader, path_id in counted.nesting.given}
    left = {}
    for content, every in missed.items():
        known = given if files.state(content) is Freshness.GONE else counted.nesting.anew
        readers = [reader for reader in every if (reader, content.path_id) not in known]
        left[content] = readers if content.path_id not in here else _not_before(
            database, content, here[content.path_id], readers, counted)
    return {content: readers for content, readers in left.items() if readers}


def _not_before(database: sqlite3.Connection, content: _Content, writer: int, readers: Sequence[int], counted: Counted
                ) -> Sequence[int]:
    """Those of the readers of a content that had not to be before the job that has put another in its place.

    Of each step its last job is asked. Steps that edit the file itself go with the others: where all of these had to
    be before. So a step had, too, where that job ran within it, and it read nothing there afterwards.
    """
    last = {counted.step_of[reader]: reader for (reader,) in database.execute(_ONLY_READ, content)
            if reader in counted.step_of and reader != writer}
    before = {step for step, reader in last.items() if (
        follows(database, writer, reader) or Given(writer, reader, content.path_id) in counted.nesting.given
        if reader < writer else _is_within(database, writer, reader))}
    if before == last.keys():
        return () if before else readers
    return [reader for reader in readers if counted.step_of[reader] not in before]


# The jobs that read this content at this path, and wrote nothing there themselves.
_ONLY_READ = """
SELECT job_id FROM file_read AS used WHERE path_id = ? AND artifact_id = ? AND NOT EXISTS (
    SELECT 1 FROM file_written WHERE job_id = used.job_id AND path_id = used.path_id AND role = 2) ORDER BY job_id
"""


def _is_within(database: sqlite3.Connection, job_id: int, later_id: int) -> bool:
    """Whether a job ran while one did that was recorded after it."""
    return database.execute("SELECT 1 FROM job AS one JOIN job AS later ON one.started_at >= later.started_at"
                            " WHERE one.id = ? AND later.id = ?", (job_id, later_id)).fetchone() is not None


def _is_part_of_made(database: sqlite3.Connection, content: _Content, path: str, job_id: int,
                     makers: Container[int]) -> bool:
    """Whether each file of what a job read was written there by one of some jobs, be it as part of more."""
    files = content_below(database, content.artifact_id, path, "")
    for producer_id, produced_id, place in database.execute(_MADE_OF, (job_id, content.artifact_id)).fetchall():
        if producer_id in makers:
            files -= content_below(database, produced_id, place, "")
    return not files


_MADE_OF = """
SELECT DISTINCT producer_id, produced_id, path.path FROM dependency
JOIN file_written AS made ON made.job_id = producer_id AND made.artifact_id = produced_id
JOIN path ON path.id = made.path_id WHERE consumer_id = ? AND dependency.artifact_id = ?
"""


def _changed_inputs(database: sqlite3.Connection, files: "_FilesNow",
                    missed: Mapping[_Content, Collection[int]], counted: Counted, stale: Stale, *,
                    orphans: Mapping[_Content, int]) -> list[Reason]:
    """By job that is not stale already, the first of its inputs that is among the missed, but for what is put off."""
    open_jobs = {job_id: at for at, job_id in enumerate(counted.step_of) if job_id not in stale.left}
    first: dict[tuple[int, bool], tuple[int, Reason]] = {}
    for content, readers in missed.items():
        state = files.state(content)
        path = files.paths[content.path_id]
        for job_id, ordinal in database.execute(_READERS, {
                "path": content.path_id, "artifact": content.artifact_id, "gone": state is Freshness.GONE,
                "place": encoded(path),
                "dataset": files.is_dataset(content), "jobs": json.dumps(readers)}):
            reason = _change_of_input(database, files, content, job_id, counted) if (
                job_id in open_jobs and not stale.is_put_off(job_id, path)) else None
            if reason is None or ordinal >= first.get((job_id, reason.settled), (ordinal + 1,))[0]:
                continue
            if content in orphans:
                reason = reason._replace(text=reason.text + NOT_AGAIN.format(orphans[content]))
            if state is not Freshness.GONE or content in orphans or not _is_part_of_made(
                    database, content, path, job_id, open_jobs):  # what took from a stale job is not among them
                first[job_id, reason.settled] = ordinal, reason
    return sorted((reason for _, reason in first.values()), key=lambda reason: (open_jobs[reason.job], reason.settled))


def _change_of_input(database: sqlite3.Connection, files: "_FilesNow", content: _Content, job_id: int,
                     counted: Counted) -> Reason | None:
    """What is to be said of an input that is not there as it was read; None where a job of the step knows of that.

    One that has read a dataset again knows which of its files are gone.
    """
    if job_id in counted.idle:
        return None
    if files.is_dataset(content):
        later = counted.later(job_id)
        known = _known_files(database, files, content, (job_id, *later), counted)
        if (job_id, content.path_id) in counted.settled:
            known |= files.names_gone(content)
        text = _change_text(files, content, known)
        if text is not None or job_id not in counted.superseded:
            return None if text is None else Reason(job_id, text)
        text = _change_text(files, content, _known_files(database, files, content, (job_id,), counted))
        return None if text is None else Reason(job_id, text, settled=True)
    settled = (job_id, content.path_id) in counted.settled
    text = None if settled and job_id not in counted.superseded else _change_text(files, content, set())
    return None if text is None else Reason(job_id, text, settled)


def _change_text(files: "_FilesNow", content: _Content, known: Collection[str]) -> str | None:
    """What is to be said; None where nothing but known files of a dataset is no longer as it was read."""
    path, state = files.paths[content.path_id], files.state(content)
    assert state is not None
    reason = f"its input {path} {_WORDS.get(state, files.trouble(content))}"
    if not known:
        return reason + files.loss(content)
    change = files.change_without(content, known)
    if change is None:
        return None
    return reason + (_loss_text(path, change.gone) if state is Freshness.CHANGED else files.loss(content))


def _known_files(database: sqlite3.Connection, files: "_FilesNow", content: _Content, job_ids: Sequence[int],
                 counted: Counted) -> set[str]:
    """The names of the files in a dataset's folder that its reader, the first of the jobs, wrote or deleted itself.

    Those that later jobs of its step did so, or read again and ended well, are among them.
    """
    folder = members_folder(files.paths[content.path_id])
    jobs = json.dumps(job_ids)
    uses = [*_near(database, _WRITTEN_BY, jobs, folder)]
    uses += _near(database, _READ_BY, json.dumps([job for job in job_ids[1:] if job in counted.well]), folder)
    own = {name for artifact_id, path in uses for name, _ in content_below(database, artifact_id, path, folder)}
    own.update(path[len(folder):] for (path,) in database.execute(
        "SELECT path FROM deleted_file WHERE job_id IN (SELECT value FROM json_each(?))", (jobs,))
        if path.startswith(folder))
    return own


def _loss_text(path: str, gone: str | None) -> str:
    """Which file a changed dataset has lost, as the end of a sentence."""
    return "" if gone is None else f": {members_folder(path)}{gone} {GONE}"


# The paths come first (the plus keeps the job's outputs from being looked through once for each).
_WRITTEN_BY = """
SELECT artifact_id, path.path FROM path CROSS JOIN file_written AS made ON made.path_id = path.id
WHERE path.path >= CAST(:first AS TEXT) AND path.path < CAST(:end AS TEXT)
AND +job_id IN (SELECT value FROM json_each(:job)) AND role = 2 AND artifact_id IS NOT NULL
"""
_READ_BY = _WRITTEN_BY.replace("file_written", "file_read").replace("role = 2", "role = 1")

# Jobs that read this content at this path, and did not write that file themselves. What is gone is not missed by those
# that deleted it or moved it away, be it into a tracker's store, and by those that sent it to where it is stored.
_READERS = """
SELECT job_id, ordinal FROM file_read AS used WHERE path_id = :path AND artifact_id = :artifact
AND job_id IN (SELECT value FROM json_each(:jobs))
AND (:dataset OR NOT EXISTS (SELECT 1 FROM file_use WHERE job_id = used.job_id AND role = 2 AND path_id = used.path_id
                             AND artifact_id IS NOT NULL))
AND NOT (:gone AND EXISTS (
    SELECT 1 FROM file_written AS made JOIN path ON path.id = made.path_id WHERE made.job_id = used.job_id
    AND made.artifact_id = used.artifact_id AND (role = 3 OR instr(path.path, '://') > 0)))
AND NOT (:gone AND EXISTS (SELECT 1 FROM deleted_file WHERE job_id = used.job_id AND path = CAST(:place AS TEXT)))
"""

GONE = "is gone"
NOT_AGAIN = ", which @{} did not make again"
_WORDS = {Freshness.CHANGED: "has changed since", Freshness.GONE: GONE}


def _takes_its_place(database: sqlite3.Connection, contents: tuple[_Content, _Content],
                     written: Mapping[_Content, int], counted: Counted, *, fresh: bool) -> bool:
    """Whether what a later job of an earlier step wrote, the first of two, stands for what a later step had written.

    fresh: whether it lies there now.
    """
    after, before = contents
    if follows(database, written[after], written[before]):
        return fresh
    return (overwrites(database, after.artifact_id, before.artifact_id)
            and not _edits(database, counted, (before, written[before]), counted.step_of[written[after]]))


def _edits(database: sqlite3.Connection, counted: Counted, write: tuple[_Content, int], step: int) -> bool:
    """Whether a job made some content of what an earlier one of another step had written there."""
    content, job_id = write
    return is_made_of(database, job_id, [earlier for earlier in counted.jobs[step] if earlier < job_id], content)


def _written_again(database: sqlite3.Connection, files: "_FilesNow", written: Mapping[_Content, int],
                   counted: Counted) -> dict[_Content, str]:
    """What is to be said of what another step, which took nothing from it, has written over with what lies there.

    The later step edits what the other one writes, and is to be run again.
    """
    here = {content.path_id: content for content in written if files.state(content) is Freshness.FRESH}
    told = {}
    alike = cache(partial(_alike, database, counted))
    for content, job in written.items():
        now = here.get(content.path_id)
        if now is None or files.state(content) is not Freshness.CHANGED or written[now] <= job:
            continue
        step, other = counted.step_of[job], counted.step_of[written[now]]
        if (step != other and overwrites(database, now.artifact_id, content.artifact_id)
                and not follows(database, written[now], job)):
            if _edits(database, counted, (content, job), other):
                told[content] = f"written again by @{other} since: roar run @{step}"
            elif step not in alike(other) and any(
                    _edits(database, counted, (content, job), one) for one in alike(other)):
                told[content] = f"{_BY_ITS_LIKE}@{other} since: roar run @{step}"
    return told


_BY_ITS_LIKE = "written anew by "  # where it is not the step that made what was edited, but one of its kind


def _alike(database: sqlite3.Connection, counted: Counted, step: int) -> list[int]:
    """A step, and those whose commands are of its kind: `roar run @N --lr 0.1` makes such a one."""
    commands = {number: json.loads(command) for number, command in database.execute(
        "SELECT DISTINCT number, command FROM job JOIN step ON step.id = step_id"
        " WHERE job.id IN (SELECT value FROM json_each(?))", (json.dumps(list(counted.step_of)),))}
    kind = likeness(commands[step])
    return [other for other, words in commands.items() if likeness(words) == kind]


def _without_removed_within(database: sqlite3.Connection, files: "_FilesNow", writers: Mapping[_Content, int]
                            ) -> dict[_Content, int]:
    """Without what a job wrote, and the script removed that ran it: temporary files, which nobody misses."""
    gone = {content: path for content in writers if files.state(content) is Freshness.GONE
            and (path := files.missing(content)) is not None}
    removed = {content for content, path in gone.items()
               if is_removed_within(database, writers[content], path)}
    return {content: job_id for content, job_id in writers.items() if content not in removed}


def _deleted_since(database: sqlite3.Connection, session: int, files: "_FilesNow", writers: Mapping[_Content, int]
                   ) -> dict[_Content, str]:
    """What is to be said of what is gone, or has lost a file, where a job took that away after it had been written."""
    lost = {content: path for content in writers if (path := files.missing(content)) is not None}
    deletions = find_deletions(database, session, set(lost.values()))
    told = {}
    for content, path in lost.items():
        if path in deletions and deletions[path].job_id > writers[content]:
            away = f"deleted or moved away by {deletions[path].job}"
            told[content] = away if files.state(content) is Freshness.GONE else f"{path} was {away}"
    return told


def _output(files: "_FilesNow", content: _Content, step: int, stale: str | None, since: str | None) -> Output:
    state = files.state(content) or Freshness.FRESH
    reason = {Freshness.CHANGED: since or f"no longer what @{step} wrote{files.loss(content)}",
              Freshness.GONE: since or "no longer there", Freshness.UNREADABLE: files.trouble(content)}.get(state)
    if state is Freshness.FRESH and stale is not None:
        state, reason = Freshness.STALE, stale
    return Output(path=files.paths[content.path_id], digest=files.digests[content.artifact_id].hex(), step=step,
                  freshness=state, reason=reason)


class _FilesNow:
    """The present content of recorded paths; looks the whole lot up in the digest cache at once.

    Attributes:
        paths: by row.
        digests: of the artifacts, by row.
    """

    def __init__(self, database: sqlite3.Connection, workspace: Workspace, contents: Collection[_Content],
                 meanwhile: Callable[[], object]) -> None:
        self._database = database
        self._workspace = workspace
        self.paths: dict[int, str] = dict(_rows(database, "SELECT id, path FROM path",
                                                {content.path_id for content in contents}))
        self.digests: dict[int, bytes] = {}
        datasets: set[int] = set()
        self._datasets = datasets
        for row_id, digest, is_dataset in _rows(database, "SELECT id, digest, files IS NOT NULL FROM artifact",
                                                {content.artifact_id for content in contents}):
            self.digests[row_id] = digest
            if is_dataset:
                datasets.add(row_id)
        files = {content.path_id for content in contents if content.artifact_id not in datasets}
        self._troubles: dict[int, OSError] = {}
        self._lost: dict[_Content, str] = {}
        self._keys = {path_id: self._stat_key(path_id) for path_id in files if not is_location(self.paths[path_id])}
        self._now = digests.find(database, (key for key in self._keys.values() if key is not None))
        here = [content for content in contents if not is_location(self.paths[content.path_id])]
        self._states = {content: self._file_state(content) for content in here if content.artifact_id not in datasets}
        self._states.update(self._dataset_states([content for content in here if content.artifact_id in datasets],
                                                 meanwhile))

    def state(self, content: _Content) -> Freshness | None:
        """Whether the recorded content still lies at its path; None for an object in a store."""
        return self._states.get(content)

    def trouble(self, content: _Content) -> str:
        """What keeps an unreadable content from being read; "" for others."""
        error = self._troubles.get(content.path_id)
        if error is None:
            return ""
        return f"cannot be read: {error.strerror}" + (f" ({error.filename})" if error.filename else "")

    def loss(self, content: _Content) -> str:
        """Which file a changed dataset has lost, as the end of a sentence; "" for others."""
        return _loss_text(self.paths[content.path_id], self._lost.get(content))

    def missing(self, content: _Content) -> str | None:
        """The path of a file that is not there, where the content is gone or has lost it."""
        path = self.paths[content.path_id]
        if content in self._lost:
            return members_folder(path) + self._lost[content]
        if self.state(content) is not Freshness.GONE:
            return None
        first = self._database.execute("SELECT path FROM dataset_member WHERE dataset_id = ? ORDER BY id LIMIT 1",
                                       (content.artifact_id,)).fetchone() if self.is_dataset(content) else None
        return path if first is None else members_folder(path) + first[0]

    def names_gone(self, content: _Content) -> set[str]:
        """The names of the files of a dataset where nothing lies; all of them where its folder is gone."""
        folder = self._workspace.absolute(members_folder(self.paths[content.path_id]))
        return {name for name, _, _ in recorded_members(self._database, content.artifact_id)
                if not os.path.lexists(f"{folder}/{name}")}

    def is_there(self, path_id: int) -> bool:
        """Whether something lies at a path, be that of another file than these."""
        if path_id not in self.paths:
            self.paths.update(_rows(self._database, "SELECT id, path FROM path", [path_id]))
        return is_location(self.paths[path_id]) or os.path.lexists(self._absolute(path_id))

    def is_dataset(self, content: _Content) -> bool:
        """Whether it is more than a file."""
        return content.artifact_id in self._datasets

    def left_of(self, contents: Sequence[_Content]) -> Iterator[_Content]:
        """The datasets at one path, the latest first, that have a file there of which none before them tells."""
        names: set[str] = set()
        for content in contents if len(contents) > 1 else ():
            own = {name for name, _, _ in recorded_members(self._database, content.artifact_id)} - names
            folder = self._workspace.absolute(members_folder(self.paths[content.path_id]))
            if names and any(os.path.lexists(f"{folder}/{name}") for name in own):
                yield content
            names |= own

    def forgive(self, content: _Content, later: Iterable[tuple[int | None, str]]) -> None:
        """What is as it was left later is not to count as changed in a dataset; one that was all taken away is gone.

        Args:
            content: the dataset.
            later: artifacts and paths in the order in which they were written, None for a file that was taken away.
        """
        path = self.paths[content.path_id]
        folder = members_folder(path)
        members = dict(content_below(self._database, content.artifact_id, path, folder))
        expected = self._as_left(members, folder, later)
        if expected == members:
            return
        known = {row_id: (size, digest) for row_id, size, digest in _rows(
            self._database, "SELECT id, size, digest FROM artifact", set(expected.values()))}
        try:
            change = find_change_of_files(self._database, self._workspace.absolute(folder),
                                          [(name, *known[row_id]) for name, row_id in expected.items()])
        except OSError:
            return
        self._lost.pop(content, None)
        if change is not None and change.gone is not None:
            self._lost[content] = change.gone
        if change is None:
            self._states[content] = Freshness.FRESH if expected else Freshness.GONE

    def _as_left(self, members: Mapping[str, int], folder: str, later: Iterable[tuple[int | None, str]]
                 ) -> dict[str, int]:
        """The members of a dataset as they should lie there: what was taken away may be there again as it was."""
        left: dict[str, int | None] = dict(members)
        for artifact_id, place in later:
            if artifact_id is None:
                left[place[len(folder):]] = None
            else:
                left.update(content_below(self._database, artifact_id, place, folder))
        place = self._workspace.absolute(folder).rstrip("/")
        expected = {name: members[name] if left[name] is None and os.path.lexists(f"{place}/{name}") else left[name]
                    for name in members}
        return {name: row_id for name, row_id in expected.items() if row_id is not None}

    def change_without(self, content: _Content, names: Container[str]) -> Change | None:
        """What is no longer as recorded of the files of a dataset that have none of these names."""
        members = recorded_members(self._database, content.artifact_id)
        try:
            return find_change_of_files(self._database, self._workspace.absolute(members_folder(
                self.paths[content.path_id])), [member for member in members if member[0] not in names])
        except OSError:
            return Change()

    def _absolute(self, path_id: int) -> str:
        path = self.paths[path_id]  # normal as recorded, so that `Workspace.absolute` has nothing to do
        return path if path.startswith("/") else f"{self._workspace.root}/{path}"

    def _stat_key(self, path_id: int) -> digests.Key | None:
        """The digest cache's key of the regular file there; None where there is none, or where nobody may look."""
        try:
            status = os.stat(self._absolute(path_id))
        except OSError as error:
            if not is_absence(error):
                self._troubles[path_id] = OSError(error.errno, error.strerror)
            return None
        return key_of(status) if stat.S_ISREG(status.st_mode) else None

    def _file_state(self, content: _Content) -> Freshness:
        key = self._keys[content.path_id]
        if key is not None and key not in self._now and content.path_id not in self._troubles:
            try:
                self._now[key] = digest_now(self._database, self._absolute(content.path_id))
            except OSError as error:
                self._troubles[content.path_id] = error
        if content.path_id in self._troubles:
            return Freshness.UNREADABLE
        if key is None:
            return Freshness.GONE
        same = self._now[key] == self.digests[content.artifact_id].hex()
        return Freshness.FRESH if same else Freshness.CHANGED

    def _dataset_states(self, contents: Iterable[_Content], meanwhile: Callable[[], object]
                        ) -> Iterator[tuple[_Content, Freshness]]:
        """Two at a time: while one is looked at by the native program, the names of the next are read."""
        begun: deque[tuple[_Content, DatasetLook]] = deque()
        for content in contents:
            path = self.paths[content.path_id]
            folder = self._workspace.absolute(members_folder(path))
            if not os.path.isdir(folder):
                yield content, self._state_without_folder(content, folder)
                continue
            if not path.endswith("/") and not self._any_member(content, folder):
                yield content, Freshness.GONE
                continue
            begun.append((content, DatasetLook(self._database, folder, content.artifact_id)))
            if len(begun) > 1:
                meanwhile()
                yield self._state_of(*begun.popleft())
        if begun:
            meanwhile()
        yield from itertools.starmap(self._state_of, begun)

    def _any_member(self, content: _Content, folder: str) -> bool:
        """Whether one of several files that have no folder of their own is there, as far as can be seen."""
        names = self._database.execute("SELECT path FROM dataset_member WHERE dataset_id = ?", (content.artifact_id,))
        return any(os.path.lexists(f"{folder}/{name}") for (name,) in names.fetchall())

    def _state_without_folder(self, content: _Content, folder: str) -> Freshness:
        """What it says of a dataset that no folder is to be seen there."""
        try:
            os.stat(folder)
        except OSError as error:
            if not is_absence(error):
                self._troubles[content.path_id] = OSError(error.errno, error.strerror)
                return Freshness.UNREADABLE
        return Freshness.GONE

    def _state_of(self, content: _Content, look: DatasetLook) -> tuple[_Content, Freshness]:
        try:
            change = look.find_change()
        except OSError as error:
            self._troubles[content.path_id] = error
            return content, Freshness.UNREADABLE
        if change is not None and change.gone is not None:
            self._lost[content] = change.gone
        return content, Freshness.FRESH if change is None else Freshness.CHANGED


def _rows(database: sqlite3.Connection, select: str, ids: Iterable[int]) -> Iterator[tuple[Any, ...]]:
    return database.execute(f"{select} WHERE id IN (SELECT value FROM json_each(?))",  # noqa: S608  texts of our own
                            (json.dumps(sorted(ids)),))
