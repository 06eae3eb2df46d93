"""What lies where a step refuses to write over it, as gzip(1), mkdir(2), link(2) and `open(…, "x")` do.

That a program does so is not in the record. It can be told from a run that failed and left nothing, while all that an
earlier one made lies there. And what is a hard link to what the step reads is never to be written over.
"""

import itertools
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from roar.model import LOGGED
from roar.query.files_now import holds
from roar.query.going_on import MOST_FILES, OwnFiles, holds_only
from roar.query.hard_links import Inode, find_inode, find_linked_inputs
from roar.query.obstacles import NoCommandError, refuse_tracked
from roar.query.repository import is_inside
from roar.workspace import Workspace


class Room(NamedTuple):
    """What has to be out of the way of a step.

    Attributes:
        paths: of files and whole folders, absolute.
        folders: those of them that are to be there again, empty: the step did not make them itself.
        links: what has other names (hard links) that the step gives it again.
        is_read: whether that is what the step reads, so that the step must not run without.
        keeps: whether any of it has no other name that stays: then it is kept.
    """

    paths: tuple[str, ...]
    folders: tuple[str, ...]
    links: frozenset[Inode]
    is_read: bool
    keeps: bool


class _Run(NamedTuple):
    """A job of the step: its row, how it ended, its code, and to how many files it wrote that are no logs."""

    job: int
    is_done: bool
    ended_well: bool
    git: int | None
    written: int


def find_room(database: sqlite3.Connection, workspace: Workspace, session: int, number: int) -> Room | None:
    """What has to be put aside for a step; None where it is not known to refuse anything.

    Args:
        database: the record.
        workspace: it belongs to.
        session: row of the session.
        number: of the step.

    Raises:
        NoCommandError: it would write over what it reads, and that is not to be put aside.
    """
    named = {"session": session, "number": number, "logs": json.dumps(LOGGED)}
    runs = [_Run(*row) for row in database.execute(_RUNS, named)]
    good = next((run for run in runs if run.ended_well), None)
    if good is None:
        return None
    own = OwnFiles(database, workspace, session, number)
    logs = {workspace.absolute(path) for (path,) in database.execute(_LOGS_OF_STEP, named)}
    made = own.find_made(json.dumps([good.job])) - logs
    has_links = any(find_inode(place)[1] > 1 for place in made)
    read = find_linked_inputs(database, workspace, good.job).keys() if has_links else set()
    has_failed = runs[0].is_done and not runs[0].ended_well
    going = made if has_failed else {place for place in made if find_inode(place)[0] in read}
    if not going or (has_failed and not _is_refusal(runs)) or _takes_own(database, own, named, logs):
        return None
    going |= own.find_links(going)
    folders = [workspace.absolute(path) for (path,) in database.execute(_MADE_FOLDERS, named)]
    try:
        paths, again = _group(going, {*own.left, *going}, folders, workspace.root)
        _refuse_others(database, own, paths, read)
    except NoCommandError:
        if has_failed:
            return None
        raise
    files = Counter(map(find_inode, _files_of(paths)))
    whole = {inode for (inode, names), times in files.items() if names == times > 1}
    return Room(paths, again, frozenset(read | whole), is_read=not has_failed,
                keeps=not all(inode in read for inode, _ in files))


def _is_refusal(runs: Sequence[_Run]) -> bool:
    """Whether the last run left nothing, and no other has failed with its code since one ended well.

    So that what fails for another reason is tried once without its outputs, and then looked at.
    """
    last, *before = runs
    failed = itertools.takewhile(lambda run: not run.ended_well, before)
    return not last.written and all(run.git != last.git for run in failed)


def _files_of(paths: Iterable[str]) -> Iterator[str]:
    """Some files, and those below folders among them."""
    for path in paths:
        if os.path.isdir(path) and not os.path.islink(path):
            yield from (os.path.join(at, name) for at, _, names in os.walk(path) for name in names)
        else:
            yield path


def _takes_own(database: sqlite3.Connection, own: OwnFiles, named: Mapping[str, object], logs: Container[str]) -> bool:
    """Whether a step has read what it left itself, logs excepted: it would begin anew without that."""
    return any((place := own.place_of(path, member)) in own.left and place not in logs
               for path, member in database.execute(_READ_BY_STEP, named).fetchall())


def _group(going: Iterable[str], known: Container[str], made: Collection[str], root: str
           ) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Some files, each by the folder that the step made itself, or, where these are many, by the one that it lies in.

    Args:
        going: the files.
        known: what else may go with them.
        made: the folders that the step made.
        root: of the workspace.

    Returns:
        All paths; and those of the folders that the step did not make.

    Raises:
        NoCommandError: they are more than a few, or lie elsewhere.
    """
    whole = cache(lambda folder: folder != root and is_inside(folder, root) and holds_only(folder, known))
    by_file = {place: next((folder for folder in made if is_inside(place, folder) and whole(folder)), place)
               for place in sorted(going)}
    paths = dict.fromkeys(by_file.values())
    again: dict[str, None] = {}
    if len(paths) > MOST_FILES:
        again = dict.fromkeys(os.path.dirname(path) for path in paths if path in by_file)
        paths = dict.fromkeys((*(path for path in paths if path not in by_file), *again))
    elsewhere = next((path for path in paths if not is_inside(path, root)), None)
    if elsewhere is not None or len(paths) > MOST_FILES or not all(map(whole, again)) or any(
            is_inside(path, other) for path, other in itertools.permutations(paths, 2)):
        raise NoCommandError(f"{elsewhere or os.path.relpath(min(going))} would have to be put aside, and"
                             f" {'lies elsewhere' if elsewhere else 'more than a few files with it'}")
    return tuple(paths), tuple(again)


def _refuse_others(database: sqlite3.Connection, own: OwnFiles, paths: Collection[str], links: Container[Inode]
                   ) -> None:
    """Refuse to put aside what is no longer as the step left it, but for links, or is needed where it lies."""
    for place, digests in own.left.items():
        if any(is_inside(place, path) for path in paths) and os.path.lexists(place) and (
                find_inode(place)[0] not in links and not holds(database, place, digests)):
            raise NoCommandError(f"{os.path.relpath(place)} is no longer what was left there")
    own.refuse_links(paths)
    refuse_tracked(paths)


# The jobs of a step, the last one first.
_RUNS = """
SELECT job.id, state = 'done', state = 'done' AND exit_code IS 0, git_id,
(SELECT count(*) FROM file_written WHERE job_id = job.id AND role = 2
    AND ifnull(note, '') NOT IN (SELECT value FROM json_each(:logs)))
FROM step JOIN job ON job.step_id = step.id WHERE session_id = :session AND number = :number ORDER BY job.id DESC
"""

_LOGS_OF_STEP = """
SELECT path.path FROM step JOIN job ON job.step_id = step.id JOIN file_written AS made ON made.job_id = job.id
JOIN path ON path.id = path_id WHERE session_id = :session AND number = :number
AND note IN (SELECT value FROM json_each(:logs))
"""

_READ_BY_STEP = """
SELECT DISTINCT path.path, dataset_member.path FROM step JOIN job ON job.step_id = step.id
JOIN file_read ON job_id = job.id JOIN path ON path.id = path_id
LEFT JOIN dataset_member ON dataset_id = file_read.artifact_id
WHERE session_id = :session AND number = :number AND instr(path.path, '://') = 0
"""

_MADE_FOLDERS = """
SELECT DISTINCT made_folder.path FROM step JOIN job ON job.step_id = step.id JOIN made_folder ON job_id = job.id
WHERE session_id = :session AND number = :number ORDER BY length(made_folder.path)
"""
