"""What a step left itself and goes on from, where that keeps new data from it: its checkpoints, a cache."""

import json
import os
import re
import sqlite3
from collections.abc import Collection, Container, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache, cached_property

from roar.model import APPENDED, AS_STDOUT_APPENDED, members_folder
from roar.query.files_now import holds, lies_at
from roar.query.obstacles import NoCommandError, refuse_tracked
from roar.query.repository import is_inside
from roar.workspace import Workspace

MOST_FILES = 5
"""Up to so many files are put aside before they are made again."""
_APPENDED = json.dumps([APPENDED, AS_STDOUT_APPENDED])
_NUMBER = re.compile(r"\d+")


class OwnFiles:
    """The files that the jobs of a step left, as far as they lie there.

    Args:
        database: the record.
        workspace: it belongs to.
        session: row of the session.
        number: of the step.
    """

    def __init__(self, database: sqlite3.Connection, workspace: Workspace, session: int, number: int) -> None:
        self._database = database
        self._workspace = workspace
        self._session = session
        self._number = number

    def find_in_the_way(self) -> list[str] | None:
        """What has to be out of the way of a run on what has changed: files and whole folders, absolute; or None.

        It is what the last job went on from as it passed over what had changed, with all that the step left beside
        that; or all that it left, where that job made nothing as it was there. Where it had gone on from a job that
        did not end well, the two did what one does that runs through: on other data all of it is to be done anew. Of
        a last job that did not end well itself it is what that left, where what it had read is another now.

        Raises:
            NoCommandError: where that is not to be put aside.
        """
        last, ended_well = self._database.execute(_LAST, (self._session, self._number)).fetchone()
        chain = json.dumps([job for job, _ in self._load_chain(last)])
        if not ended_well and self.find_made(chain):
            return self._find_unfinished(last, chain)
        last, since = self._database.execute(_LAST_GOOD, (self._session, self._number)).fetchone() or (0, "")
        if self._has_passed_over(_PASSED_OVER, last, since):
            going = self._find_beside(self._find_taken(last, edited=False))
        elif self._has_passed_over(_SKIPPED, last, since):
            going = set(filter(os.path.lexists, self.left))
        else:
            going = (self._find_beside(self._find_taken(last, edited=True))
                     if self._is_resumed_on_other_data(last) else set())
            if not going:
                return None
        return self._checked(going, self.left.keys())

    def _find_unfinished(self, last: int, chain: str) -> list[str] | None:
        """What the last job, which did not end well, and those that it had gone on from made; or None.

        Where nobody knows whether the step goes on from that, and it is not to be put aside, it stays.
        """
        read = self._database.execute(_FED, {"jobs": chain}).fetchall()
        if not any(self._is_other_now(path, *version) for path, *version in read):
            return None
        made = self.find_made(chain)
        try:
            return self._checked(made, made)
        except NoCommandError:
            if self._database.execute(_GOES_ON, {"job": last}).fetchone() is not None:
                raise
            return None

    def find_made(self, chain: str) -> set[str]:
        """What lies there of what some jobs, in JSON, made that was not there before them."""
        return {place for path, member in self._database.execute(_MADE, {"jobs": chain}).fetchall()
                if os.path.lexists(place := self.place_of(path, member))}

    @cached_property
    def left(self) -> dict[str, set[str]]:
        """The digests of what the step has written, by place."""
        left: dict[str, set[str]] = {}
        for path, member, digest in self._database.execute(_LEFT, {"session": self._session, "number": self._number}):
            left.setdefault(self.place_of(path, member), set()).add(digest.hex())
        return left

    def place_of(self, path: str, member: str | None) -> str:
        """Where a file lies, or one of a dataset, absolute."""
        return self._workspace.absolute(path if member is None else members_folder(path) + member)

    def _has_passed_over(self, rows: str, last: int, since: str) -> bool:
        """Whether something had changed before the last job began that this did not read."""
        chain = json.dumps([job for job, _ in self._load_chain(last)])
        return any(self._has_changed_before(path, digest.hex(), since)
                   for path, digest, _ in self._database.execute(rows, {"job": last, "chain": chain}).fetchall())

    def _has_changed_before(self, path: str, digest: str, since: str) -> bool:
        place = self._workspace.absolute(path)
        try:
            changed = datetime.fromtimestamp(os.stat(place).st_mtime, UTC)
        except OSError:
            return False
        return changed < datetime.fromisoformat(since) and not holds(self._database, place, {digest})

    def _is_resumed_on_other_data(self, last: int) -> bool:
        """Whether the last job went on from one that did not end well, and all read the same, which has changed."""
        chain = self._load_chain(last)
        if all(ended_well for _, ended_well in chain):
            return False
        read: dict[str, tuple[int | None, bool]] = {}
        for path, *version in self._database.execute(_FED, {"jobs": json.dumps([job for job, _ in chain])}).fetchall():
            if read.setdefault(path, (*version,)) != (*version,):
                return False
        return any(self._is_other_now(path, *version) for path, version in read.items())

    def _load_chain(self, last: int) -> list[tuple[int, bool]]:
        """See `_CHAIN`."""
        return self._database.execute(_CHAIN, {"job": last, "appended": _APPENDED}).fetchall()

    def _is_other_now(self, path: str, artifact: int | None, is_dataset: bool) -> bool:
        place = self._workspace.absolute(members_folder(path) if is_dataset else path)
        return (artifact is not None and os.path.lexists(place)
                and not lies_at(self._database, self._workspace, path, artifact))

    def _find_taken(self, last: int, *, edited: bool) -> list[str]:
        """What the last job took from what was left; with what it wrote anew then, appended lines excepted, or not."""
        rows = self._database.execute(_TAKEN, {"job": last, "kept": _APPENDED if edited else "null"})
        return [place for path, member in rows.fetchall() if (place := self.place_of(path, member)) in self.left]

    def _find_beside(self, taken: Iterable[str]) -> set[str]:
        """Some files, with what was left in their folders, and in others that differ in a number or in one name.

        The next run would go on from that. In the workspace's own folder there are the results, too: of what lies
        there only files that differ in a number.
        """
        kinds = {kind for place in taken for kind in self._kinds(place)}
        alike = {place for place in self.left if not kinds.isdisjoint(self._kinds(place))}
        folders = {os.path.dirname(place) for place in alike} - {self._workspace.root}
        return {place for place in self.left if os.path.lexists(place)
                and (place in alike or not folders.isdisjoint(self._folders_of(place)))}

    def _kinds(self, place: str) -> Iterator[tuple[str, ...]]:
        """What a file has in common with others of its kind: the path but for the numbers, and but for one folder."""
        names = [_NUMBER.sub("0", name) for name in self._workspace.relative(place).split("/")]
        yield tuple(names)
        for at in range(1, len(names) - 1):
            yield (*names[:at], "*", *names[at + 1:])

    def _folders_of(self, place: str) -> Iterator[str]:
        """The folders that a file lies in, below the workspace's."""
        while is_inside(place := os.path.dirname(place), self._workspace.root) and place != self._workspace.root:
            yield place

    def _checked(self, going: set[str], known: Collection[str]) -> list[str]:
        """Some files, as folders where these hold only known ones; refuse what is not to be put aside."""
        elsewhere = next((place for place in going if not is_inside(place, self._workspace.root)), None)
        if elsewhere is not None:
            raise NoCommandError(f"@{self._number} goes on from what it left elsewhere, as {elsewhere}")
        links = self.find_links(going)
        found = _in_folders([*going, *links], {*known, *links}, self._workspace.root)
        if not 0 < len(found) <= MOST_FILES:
            raise NoCommandError(f"@{self._number} goes on from what it left, and what that was made of has changed")
        for place in self.left:
            if os.path.isfile(place) and any(is_inside(place, one) for one in found) and not holds(
                    self._database, place, self.left[place]):
                raise NoCommandError(f"{os.path.relpath(place)} is no longer what @{self._number} left there")
        self.refuse_links(found)
        refuse_tracked(found)
        return found

    def find_links(self, going: Collection[str]) -> set[str]:
        """The symlinks that the step made, and that lead to some files, or a folder of them, now: `latest`."""
        rows = self._database.execute(_LINKS, {"session": self._session, "number": self._number, "made": 1})
        places = {self._workspace.absolute(path) for path, in rows.fetchall()}
        return {place for place in places if is_inside(place, self._workspace.root)
                and any(is_inside(one, target) for target in _leads_to(place) for one in going)}

    def refuse_links(self, found: Collection[str]) -> None:
        """Refuse where a symlink that the step went through and did not make would lead nowhere."""
        rows = self._database.execute(_LINKS, {"session": self._session, "number": self._number, "made": 0})
        for path, in rows.fetchall():
            place = self._workspace.absolute(path)
            if any(is_inside(target, one) and not is_inside(place, one)
                   for target in _leads_to(place) for one in found):
                raise NoCommandError(f"{path} leads to what @{self._number} left, which would have to be put aside")


def _leads_to(place: str) -> list[str]:
    """Where a symlink leads, at the next step and in the end; nowhere for what is none."""
    if not os.path.islink(place):
        return []
    return [os.path.normpath(os.path.join(os.path.dirname(place), os.readlink(place))), os.path.realpath(place)]


def _in_folders(files: Iterable[str], known: Container[str], root: str) -> list[str]:
    """Some files, each by the highest folder below another one in which nothing but known ones lies."""
    @cache
    def is_whole(folder: str) -> bool:
        return holds_only(folder, known)

    found: dict[str, None] = {}
    for file in sorted(files):
        if any(is_inside(file, folder) for folder in found):
            continue
        place = file
        while is_inside(folder := os.path.dirname(place), root) and folder != root and is_whole(folder):
            place = folder
        found[place] = None
        if len(found) > MOST_FILES:
            break
    return [place for place in found if not any(is_inside(place, other) for other in found if other != place)]


def holds_only(folder: str, known: Container[str]) -> bool:
    """Whether nothing but known files and symlinks lies in a folder and those below it."""
    return all(os.path.join(at, name) in known for at, folders, names in os.walk(folder)
               for name in (*names, *(name for name in folders if os.path.islink(os.path.join(at, name)))))


_LAST_GOOD = """
SELECT job.id, job.started_at FROM job JOIN step ON step.id = job.step_id
WHERE session_id = ? AND number = ? AND state = 'done' AND exit_code IS 0 ORDER BY job.id DESC LIMIT 1
"""

_LAST = """
SELECT job.id, state = 'done' AND exit_code IS 0 FROM job JOIN step ON step.id = job.step_id
WHERE session_id = ? AND number = ? ORDER BY job.id DESC LIMIT 1
"""

# What some of the earlier jobs of a step read last that another one did not, and that none of the step had made.
_NOT_READ = """
SELECT path.path, artifact.digest, max(job.id) FROM job AS this
JOIN job ON job.step_id = this.step_id AND job.id < this.id JOIN file_read AS used ON used.job_id = job.id
JOIN path ON path.id = used.path_id JOIN artifact ON artifact.id = used.artifact_id AND artifact.files IS NULL
WHERE this.id = :job AND used.path_id NOT IN (SELECT path_id FROM file_read WHERE job_id = :job)
AND NOT EXISTS (SELECT 1 FROM dependency JOIN job AS maker ON maker.id = producer_id
    WHERE consumer_id = job.id AND dependency.artifact_id = used.artifact_id AND maker.step_id = this.step_id) AND
"""

# Of one that went on from these.
_PASSED_OVER = _NOT_READ + """
job.id IN (SELECT value FROM json_each(:chain)) GROUP BY path.id
"""  # noqa: S608  texts of our own

# Of one that left nothing, where they had.
_SKIPPED = _NOT_READ + """
EXISTS (SELECT 1 FROM file_written WHERE job_id = job.id AND role = 2)
AND NOT EXISTS (SELECT 1 FROM file_written WHERE job_id = :job AND role = 2) GROUP BY path.id
"""  # noqa: S608  as above

# A job, and those of its step from which it took something but a log, directly or by each other: with whether they
# ended well.
_CHAIN = """
WITH RECURSIVE chain (id) AS (VALUES (:job)
    UNION SELECT maker.id FROM chain JOIN dependency ON consumer_id = chain.id
    JOIN job AS maker ON maker.id = producer_id
    WHERE maker.step_id = (SELECT step_id FROM job WHERE id = :job)
    AND EXISTS (SELECT 1 FROM file_read AS used WHERE used.job_id = chain.id
        AND used.artifact_id = dependency.artifact_id AND NOT EXISTS (SELECT 1 FROM file_written AS made
            WHERE made.job_id = chain.id AND made.path_id = used.path_id
            AND made.note IN (SELECT value FROM json_each(:appended)))))
SELECT id, state = 'done' AND exit_code IS 0 FROM chain JOIN job USING (id)
"""

# What such jobs read and none of them wrote.
_FED = """
SELECT DISTINCT path.path, artifact_id, artifact.files IS NOT NULL FROM file_read AS used
JOIN path ON path.id = used.path_id LEFT JOIN artifact ON artifact.id = used.artifact_id
WHERE job_id IN (SELECT value FROM json_each(:jobs)) AND instr(path.path, '://') = 0
AND NOT EXISTS (SELECT 1 FROM file_written WHERE job_id IN (SELECT value FROM json_each(:jobs))
    AND path_id = used.path_id)
AND NOT EXISTS (SELECT 1 FROM dependency WHERE consumer_id = job_id AND dependency.artifact_id = used.artifact_id
    AND producer_id IN (SELECT value FROM json_each(:jobs)))
"""

# What the jobs of a step wrote.
_LEFT = """
SELECT path.path, NULL, artifact.digest FROM step JOIN job ON job.step_id = step.id
JOIN file_written AS made ON made.job_id = job.id AND made.role = 2 JOIN path ON path.id = made.path_id
JOIN artifact ON artifact.id = made.artifact_id AND artifact.files IS NULL
WHERE session_id = :session AND number = :number AND instr(path.path, '://') = 0
UNION SELECT path.path, dataset_member.path, artifact.digest FROM step JOIN job ON job.step_id = step.id
JOIN file_written AS made ON made.job_id = job.id AND made.role = 2 JOIN path ON path.id = made.path_id
JOIN dataset_member ON dataset_id = made.artifact_id JOIN artifact ON artifact.id = dataset_member.artifact_id
WHERE session_id = :session AND number = :number
"""

# The files that a job read and did not write, or where `kept` has them, wrote with none of these notes.
_TAKEN = """
SELECT path.path, NULL FROM file_read AS used JOIN path ON path.id = used.path_id
JOIN artifact ON artifact.id = used.artifact_id AND artifact.files IS NULL WHERE job_id = :job
AND path_id NOT IN (SELECT path_id FROM file_written WHERE job_id = :job
    AND (:kept = 'null' OR note IN (SELECT value FROM json_each(:kept))))
UNION SELECT path.path, dataset_member.path FROM file_read AS used JOIN path ON path.id = used.path_id
JOIN dataset_member ON dataset_id = used.artifact_id WHERE job_id = :job
"""

# What some jobs have made that was not there before them.
_MADE = """
WITH made AS (SELECT path_id, path.path, artifact.id AS artifact, artifact.files, min(job_id) AS first
    FROM file_written JOIN path ON path.id = path_id JOIN artifact ON artifact.id = artifact_id
    WHERE job_id IN (SELECT value FROM json_each(:jobs)) AND role = 2 AND instr(path.path, '://') = 0
    GROUP BY path_id, artifact.id),
new AS (SELECT * FROM made WHERE NOT EXISTS (SELECT 1 FROM file_read WHERE file_read.path_id = made.path_id
    AND job_id = (SELECT min(first) FROM made AS any_of WHERE any_of.path_id = made.path_id)))
SELECT path, NULL FROM new WHERE files IS NULL
UNION SELECT new.path, dataset_member.path FROM new JOIN dataset_member ON dataset_id = new.artifact
"""

# Whether any job of a step has taken something from another one of it.
_GOES_ON = """
SELECT 1 FROM job AS this JOIN job AS maker ON maker.step_id = this.step_id JOIN dependency ON producer_id = maker.id
JOIN job AS consumer ON consumer.id = consumer_id AND consumer.step_id = this.step_id WHERE this.id = :job LIMIT 1
"""

# The symlinks that jobs of a step made, or only went through.
_LINKS = """
SELECT path.path FROM symlink JOIN path ON path.id = path_id JOIN job ON job.id = job_id
JOIN step ON step.id = job.step_id WHERE session_id = :session AND number = :number
GROUP BY path.id HAVING max(coalesce(made, 0) > 0) = :made
"""
