"""Why a step is not to be run again by a command that is only pasted: it would fail, or something would be lost."""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from roar.analyze.datasets import ancestors
from roar.analyze.sources import is_source
from roar.model import REDACTED, members_folder
from roar.observe.inflow import find_unrecorded
from roar.observe.patches import name_of, sections_of
from roar.query.files_now import lies_at
from roar.query.jobs import load_blob, load_job, load_patch, paths_read
from roar.query.likeness import likeness
from roar.query.repointed import load_links, read_link, removed_by_hand
from roar.query.repository import is_inside, run_git
from roar.query.within import find_environments, find_removals, find_runners, is_typed, load_given, load_passing
from roar.record.database import encoded
from roar.workspace import Workspace

_DATABASES = (".db", ".db3", ".sqlite", ".sqlite3", ".duckdb")
_LOGS = ("-wal", "-journal", ".wal")
"""What SQLite and DuckDB put behind the name of a database, for a file of what is not in it yet, or not yet for good
(https://sqlite.org/tempfiles.html); it stays where a program was killed."""
_MANY = 3


class NoCommandError(Exception):
    """No command is known that only mends; the text says what is in the way."""


class OuterRunsItError(NoCommandError):
    """A step cannot run by itself, but another one, `outer`, runs it with what it needs."""

    def __init__(self, text: str, outer: int) -> None:
        super().__init__(text)
        self.outer = outer


def is_one_of_many(workspace: Workspace, path: str, read: Iterable[str], command: Iterable[str]) -> bool:
    """Whether an input that is gone was hardly read by its name: others of its kind lie beside where it was.

    Args:
        workspace: the paths are of.
        path: of the input.
        read: all that the job read.
        command: of the job; what it names it needs.
    """
    folder, name = os.path.split(path)
    kind = os.path.splitext(name)[1]
    beside = [other for other in read if os.path.dirname(other) == folder and os.path.splitext(other)[1] == kind
              and os.path.lexists(workspace.absolute(other))]
    return len(beside) >= _MANY and not any(is_named(name, word) for word in command)


def find_lost(database: sqlite3.Connection, workspace: Workspace, job: int, command: Sequence[str]
              ) -> Iterator[str]:
    """What a job would miss at symlinks that it found there: such as are gone, and what others lead to in vain.

    Not one of many links, that is hardly asked for by its name.
    """
    links = load_links(database, workspace, [job]).get(job, {})
    texts = {place: read_link(place) for place in links}
    for place in removed_by_hand(database, workspace, [place for place in links if texts[place] is None]):
        path = workspace.relative(place)
        if not is_one_of_many(workspace, path, map(workspace.relative, links), command):
            yield path
    for place in links:
        if texts[place] and not os.path.exists(place):
            yield workspace.relative(os.path.realpath(place))


def is_named(name: str, word: str) -> bool:
    """Whether a word of a command holds a file's name, be it in a path or in a shell's text."""
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", word) is not None


def refuse_secret(name: str, command: Iterable[str]) -> None:
    """Refuse to hint the command of a job where a secret was taken out of it."""
    if any(REDACTED in word for word in command):
        raise NoCommandError(f"the command of {name} held a secret, which is not in the record")


def refuse_tracked(paths: Iterable[str]) -> None:
    """Refuse to put aside what git tracks: without it the work tree is another than the commit."""
    path = next((path for path in paths if run_git(os.path.dirname(path), "ls-files", "--", path)), None)
    if path is not None:
        raise NoCommandError(f"{os.path.relpath(path)} would have to be put aside, and git tracks it")


class LastJob(NamedTuple):
    """The last job of a step, with the row of that, its command, its code, and what could have been missed of it."""

    row: int
    step: int
    command: list[str]
    cwd: str
    commit: str | None
    patch: str | None
    gaps: list[str]


def find_last_job(database: sqlite3.Connection, session: int, number: int) -> LastJob:
    """The job of a session's step that was recorded last."""
    row, step, command, cwd, commit, patch, gaps = database.execute(_LAST_JOB, (session, number)).fetchone()
    return LastJob(row, step, json.loads(command), cwd, commit, patch, json.loads(gaps))


class _StepOf(NamedTuple):
    """The step of a job, by its number, and whether it is the last job of that."""

    number: int
    is_last: bool


class Obstacles:
    """What is in the way of the steps of one session.

    Args:
        database: the record.
        workspace: it belongs to.
        session: row of the session.
    """

    def __init__(self, database: sqlite3.Connection, workspace: Workspace, session: int) -> None:
        self._database = database
        self._workspace = workspace
        self._session = session

    def refuse(self, steps: Sequence[int]) -> None:
        """Refuse to run steps in this order.

        Args:
            steps: their numbers.

        Raises:
            NoCommandError: if one of them cannot run, or what others have made would be lost.
        """
        for at, step in enumerate(steps):
            last = find_last_job(self._database, self._session, step)
            self._refuse_unnamed(step, last, steps[:at])
            self._refuse_environment(step, last, steps[:at])
            self._refuse_gone_source(step, last)
            self._refuse_other_place(step, last)
            self._refuse_open_database(step)
            self._refuse_inner(step, last, steps[:at])
            self._refuse_removed(step, last, steps[:at])
            self._refuse_variant(step, last, steps[:at])
            self._refuse_overwriting(step, steps[at + 1:])

    def _refuse_gone_source(self, step: int, last: LastJob) -> None:
        """Refuse a command whose folder or script is not there any more: it would only fail."""
        place = self._workspace.absolute(last.cwd)
        if not os.path.isdir(place):
            raise NoCommandError(f"{last.cwd}, in which @{step} ran, is gone")
        gone = [name for names in _sources_of(last.command)
                if not any(os.path.lexists(os.path.join(place, name)) for name in names) for name in names]
        lost = next(filter(self._had(last, place), gone), None) if gone else None
        if lost is not None:
            raise NoCommandError(f"{lost}, which @{step} ran, is gone")

    def _refuse_other_place(self, step: int, last: LastJob) -> None:
        """Refuse a command that names where the workspace lay before it was moved or copied: that may be there yet."""
        named = [os.path.normpath(word) for part in last.command for word in part.split("=") if word.startswith("/")]
        outside = [word for word in named if not is_inside(word, self._workspace.root)]
        used = [path for (path,) in self._database.execute(_PATHS_OF_JOB, (last.row,))] if outside else []
        within = {folder for path in used if not path.startswith("/") for folder in ancestors(path.rstrip("/"))}
        for word in outside:
            here = max((path for path in within if word.endswith(f"/{path}")), key=len, default="")
            here = here or self._find_own_code(word, last)
            if here and not any(f"{path}/".startswith(f"{word}/") for path in used) and not _is_same_place(
                    word, self._workspace.absolute(here)):
                raise NoCommandError(f"the command of @{step} names {word}, where {here} of this workspace lay before")

    def _find_own_code(self, word: str, last: LastJob) -> str:
        """The workspace's own code that a path outside named when the workspace lay there; "" where it named none.

        Code of another project, or of none, would be an input by that path, and what is installed lies in no project.
        """
        if not is_source(word):
            return ""
        had = self._had(last, self._workspace.absolute(last.cwd))
        names = word.strip("/").split("/")
        for at in range(1, len(names)):
            path = "/".join(names[at:])
            place = os.path.join("/", *names[:at])
            lay_there = not os.path.lexists(word) or any(
                os.path.lexists(os.path.join(place, mark)) for mark in (".roar", ".git"))
            if lay_there and had(self._workspace.absolute(path)):
                return path
        return ""

    def _had(self, last: LastJob, place: str) -> Callable[[str], bool]:
        """Whether a file by its name in a folder was there when a job began: as code, or as an input."""
        root = (run_git(place, "rev-parse", "--show-toplevel") or place).strip("\n")
        patch = load_blob(self._database, last.patch) if last.patch is not None else None
        known = {*map(self._workspace.absolute, paths_read(self._database, last.row)),
                 *(os.path.join(root, name) for name in map(name_of, sections_of(patch or b"")) if name)}

        def had(name: str) -> bool:
            path = os.path.normpath(os.path.join(place, name))
            return path in known or (last.commit is not None and run_git(
                root, "cat-file", "-e", f"{last.commit}:{os.path.relpath(path, root)}") is not None)
        return had

    def _paths_of(self, step: int) -> list[str]:
        return [path for (path,) in self._database.execute(_PATHS_OF_STEP, (self._session, step))]

    def _refuse_open_database(self, step: int) -> None:
        """Refuse to write again a database that a program has open, or left so: its file alone is not its content."""
        for path in self._paths_of(step):
            beside = _LOGS if path.endswith(_DATABASES) else [""] if path.endswith(_LOGS) else []
            for log in (path + end for end in beside):
                place = self._workspace.absolute(log)
                if os.path.isfile(place) and os.path.getsize(place):
                    raise NoCommandError(f"{log} holds changes that are not in the database yet")

    def _refuse_inner(self, step: int, last: LastJob, before: Container[int]) -> None:
        """Refuse by itself what another step has run with what that had put there, and what does not lie there now.

        Where it was what that has left in the end, what it left when it ran last stands for it, unless the script has
        been edited so that it runs that no more.
        """
        passing = load_passing(self._database, [last.row])
        for given, artifact in {**load_given(self._database, [last.row]), **passing}.items():
            row = self._database.execute(_OUTER, {
                "session": self._session, "artifact": artifact, **given._asdict()}).fetchone()
            if row is None or row[1] in before or is_typed(row[2]):
                continue
            path, outer, _, is_other, left, runs_it_yet = row
            if lies_at(self._database, self._workspace, path, artifact) or (
                    left is not None and lies_at(self._database, self._workspace, path, left)
                    and (runs_it_yet or self._is_the_same_script(given.outer, outer))):
                continue
            text = (f"{path} is what @{outer} has left there, which had run @{step} before that" if is_other
                    else f"{path} was what a job in @{outer} had made for @{step}, which that ran, too"
                    if given in passing else f"{path} was what @{outer} had put there for @{step}, which it ran")
            raise _left_to(outer, text, runs_it_yet=runs_it_yet)

    def _refuse_unnamed(self, step: int, last: LastJob, before: Container[int]) -> None:
        """Refuse by itself what read a pipe: only a script that ran it gives it that again."""
        unrecorded = find_unrecorded(last.gaps)
        if unrecorded is not None:
            runners = find_runners(self._database, self._session, [last.row])
            if not runners:
                raise NoCommandError(f"@{step} read {unrecorded}, which is not in the record")
            if runners[-1] not in before:
                raise _left_to(runners[-1], f"@{step} read {unrecorded}", runs_it_yet=True)

    def _refuse_environment(self, step: int, last: LastJob, before: Container[int]) -> None:
        """Refuse by itself what a script ran in another environment than its own."""
        for row, (first, *more) in find_environments(self._database, last.row):
            of = self._step_of(row, before)
            if of is not None:
                raise _left_to(of.number, f"@{of.number} ran @{step} with {first}"
                               f"{f' and {len(more)} more' if more else ''} set otherwise in the environment",
                               runs_it_yet=of.is_last)

    def _refuse_removed(self, step: int, last: LastJob, before: Container[int]) -> None:
        """Refuse by itself what another step ran with files that this removed in the end: the script runs both."""
        removals = find_removals(self._database, last.row)
        own = {path if member is None else members_folder(path) + member for path, member in self._database.execute(
            _FILES_OF_JOB, (last.row,))} if removals else ()
        for script, path in removals:
            is_gone = path in own and not os.path.lexists(self._workspace.absolute(path))
            of = self._step_of(script, before) if is_gone else None
            if of is not None:
                raise _left_to(of.number, f"{path}, which @{step} used, was removed by @{of.number}, which ran it",
                               runs_it_yet=of.is_last)

    def _step_of(self, row: int, before: Container[int]) -> _StepOf | None:
        """A job's step; None where that is another session's, or among those that run before."""
        found = self._database.execute(_STEP_OF, (row, self._session)).fetchone()
        return None if found is None or found[0] in before else _StepOf(*found)

    def _is_the_same_script(self, row: int, step: int) -> bool:
        """Whether what a job names of code is as it is for the last job of its step."""
        return self._code_of(row) == self._code_of(find_last_job(self._database, self._session, step).row)

    def _code_of(self, row: int) -> list[tuple[str | None, bytes, list[tuple[int]]]]:
        """What tells the content of each source that a job's command names: in the commit, in the patch, as read."""
        job = load_job(self._database, row)
        place = self._workspace.absolute(job.cwd)
        root = (run_git(place, "rev-parse", "--show-toplevel") or place).strip("\n")
        sections = {name_of(section): section for section in sections_of(load_patch(self._database, job) or b"")}
        commit = job.git.commit if job.git is not None else None
        found = []
        for path in (os.path.normpath(os.path.join(place, name)) for names in _sources_of(job.command)
                     for name in names):
            name = os.path.relpath(path, root)
            read = self._database.execute(_ARTIFACTS_READ, (row, encoded(self._workspace.relative(path)))).fetchall()
            found.append((commit and run_git(root, "rev-parse", "-q", "--verify", f"{commit}:{name}"),
                          sections.get(name, b""), read))
        return found

    def _refuse_variant(self, step: int, last: LastJob, before: Container[int]) -> None:
        """Refuse a step in whose place one of the same kind has used what lies there now, as in a sweep.

        What it had read was another step's; that has to be made again first, over the present one.
        """
        for path, maker, earlier, other, command in self._database.execute(_VARIANTS, {
                "session": self._session, "job": last.row, "step": last.step}):
            if maker != step and earlier not in before and likeness(json.loads(command)) == likeness(last.command):
                raise NoCommandError(f"{path} is what @{maker} has made since, and @{other} has used that:"
                                     f" @{step} had read what @{earlier} made")

    def find_rewriters(self, step: int, stale: Container[int] = ()) -> dict[int, str]:
        """The steps that have put anew since what lies where a step wrote, with a path; before them the stale ones.

        Not those from which it took something: it runs behind these.
        """
        last = find_last_job(self._database, self._session, step)
        named = {"session": self._session, "job": last.row, "step": last.step}
        rows = self._database.execute(_WRITTEN_SINCE, named).fetchall()
        sources = {of for (of,) in self._database.execute(_SOURCES, named)} if rows else set()
        return {other: path for path, other, _, is_last in rows if other not in sources
                and (is_last or other in stale) and os.path.lexists(self._workspace.absolute(path))}

    def _refuse_overwriting(self, step: int, after: Container[int]) -> None:
        """Refuse a step that would write over what another one has put there since, which does not run after it."""
        for other, path in self.find_rewriters(step).items():
            if other not in after:
                raise NoCommandError(f"{path} is what @{other} has made since, and @{step} would write over it")


def _left_to(outer: int, text: str, *, runs_it_yet: bool) -> NoCommandError:
    """Why a step is not to be run by itself that another one, `outer`, ran: that one is, if it runs it yet."""
    return OuterRunsItError(f"{text}: roar run @{outer} runs both", outer) if runs_it_yet else NoCommandError(text)


def _is_same_place(one: str, other: str) -> bool:
    """Whether two names lead to one place."""
    return os.path.realpath(one) == os.path.realpath(other)


def _sources_of(command: Sequence[str]) -> list[list[str]]:
    """The sources that a command names, each by the files that it may be: of a module of Python there are two."""
    found = [[word] for word in command if is_source(word)]
    kind = likeness(command)
    if "-m" in kind[:-1]:
        module = kind[kind.index("-m") + 1].replace(".", "/")
        found.append([f"{module}.py", f"{module}/__main__.py"])
    return found


_LAST_JOB = """
SELECT job.id, step.id, step.command, step.cwd, git."commit", git.patch, tracer_gaps
FROM step JOIN job ON job.step_id = step.id LEFT JOIN git ON git.id = job.git_id
WHERE session_id = ? AND number = ? ORDER BY job.id DESC LIMIT 1
"""

_PATHS_OF_JOB = "SELECT path.path FROM file_use JOIN path ON path.id = path_id WHERE job_id = ?"

_FILES_OF_JOB = """
SELECT path.path, member.path FROM file_use JOIN path ON path.id = path_id
LEFT JOIN dataset_member AS member ON dataset_id = file_use.artifact_id WHERE job_id = ?
"""

# Of a job of a session its step's number, and whether it is the last of that.
_STEP_OF = """
SELECT number, job.id = (SELECT max(id) FROM job WHERE step_id = step.id) FROM job JOIN step ON step.id = step_id
WHERE job.id = ? AND session_id = ?
"""

_PATHS_OF_STEP = """
SELECT DISTINCT path.path FROM step JOIN job ON job.step_id = step.id
JOIN file_use ON file_use.job_id = job.id AND role = 2 JOIN path ON path.id = file_use.path_id
WHERE session_id = ? AND number = ?
"""

_ARTIFACTS_READ = """
SELECT artifact_id FROM file_read JOIN path ON path.id = path_id WHERE job_id = ? AND path.path = CAST(? AS TEXT)
"""

# Of what a job was given: the path, number and command of the step of the job around it, whether that has left
# something else there, what that step left there when it ran last if that job left the same, and whether it ran the
# job's step then.
_OUTER = """
SELECT path.path, step.number, step.command, EXISTS (
    SELECT 1 FROM file_written WHERE job_id = around.id AND path_id = :path AND role = 2
    AND artifact_id IS NOT :artifact), (
    SELECT now.artifact_id FROM file_written AS own JOIN file_written AS now ON now.path_id = own.path_id
    WHERE own.job_id = around.id AND own.path_id = :path AND own.artifact_id = :artifact AND own.role = 2
    AND now.role = 2 AND now.job_id = (SELECT max(id) FROM job WHERE step_id = step.id)), EXISTS (
    SELECT 1 FROM job AS again JOIN inner_job AS ran ON ran.uid = again.uid JOIN job AS last ON last.uid = ran.outer
    WHERE again.step_id = this.step_id AND last.id = (SELECT max(id) FROM job WHERE step_id = step.id))
FROM job AS this JOIN job AS around ON around.id = :outer JOIN step ON step.id = around.step_id
JOIN path ON path.id = :path WHERE this.id = :reader AND session_id = :session
"""

# Where another step's job has made anew what a job read, made anew too, and that of a third one has read it so, which
# had not before: the path, the numbers of who made it now and at first, and of the third, with its command.
_VARIANTS = """
SELECT path.path, maker.number, first.number, other.number, other.command FROM file_read AS used
JOIN path ON path.id = used.path_id
JOIN file_written AS made ON made.path_id = used.path_id AND made.role = 2 AND made.job_id > :job
    AND made.artifact_id IS NOT used.artifact_id
    AND NOT EXISTS (SELECT 1 FROM file_read WHERE job_id = made.job_id AND path_id = made.path_id)
JOIN job AS making ON making.id = made.job_id JOIN step AS maker ON maker.id = making.step_id
JOIN file_read AS again ON again.path_id = used.path_id AND again.artifact_id = made.artifact_id
    AND again.job_id > made.job_id
JOIN job AS reading ON reading.id = again.job_id JOIN step AS other ON other.id = reading.step_id
JOIN file_written AS before ON before.path_id = used.path_id AND before.artifact_id = used.artifact_id
    AND before.role = 2 AND before.job_id < :job
    AND NOT EXISTS (SELECT 1 FROM file_read WHERE job_id = before.job_id AND path_id = before.path_id)
JOIN job AS origin ON origin.id = before.job_id JOIN step AS first ON first.id = origin.step_id
WHERE used.job_id = :job
AND other.session_id = :session AND maker.session_id = :session AND first.session_id = :session
AND other.id <> :step AND maker.id <> first.id
AND NOT EXISTS (SELECT 1 FROM file_written WHERE job_id = again.job_id AND path_id = again.path_id AND role = 2)
AND NOT EXISTS (SELECT 1 FROM file_read AS known JOIN job ON job.id = known.job_id
    WHERE job.step_id = other.id AND known.path_id = used.path_id AND known.artifact_id = used.artifact_id)
"""

# The files that a job wrote and did not edit, and that later jobs of other ones wrote since, the last
# of them anew: with the numbers of these, in the order of their jobs, and whether it is the last.
_WRITTEN_SINCE = """
WITH place AS (
    SELECT own.path_id, (SELECT max(job_id) FROM file_written WHERE path_id = own.path_id AND role = 2) AS last
    FROM file_written AS own JOIN artifact ON artifact.id = own.artifact_id AND artifact.files IS NULL
    WHERE own.job_id = :job AND own.role = 2
    AND NOT EXISTS (SELECT 1 FROM file_read WHERE job_id = :job AND path_id = own.path_id))
SELECT path.path, step.number, max(made.job_id) AS job_id, max(made.job_id) = place.last FROM place
JOIN file_written AS made ON made.path_id = place.path_id AND made.role = 2
JOIN path ON path.id = place.path_id JOIN job ON job.id = made.job_id JOIN step ON step.id = job.step_id
WHERE made.job_id > :job AND job.step_id <> :step AND session_id = :session
AND place.last IN (SELECT job.id FROM job WHERE job.step_id <> :step)
AND instr(path.path, '://') = 0
AND NOT EXISTS (SELECT 1 FROM file_read WHERE job_id = place.last AND path_id = made.path_id)
GROUP BY place.path_id, step.id ORDER BY job_id
"""

# The other steps from which a job took something, directly or not.
_SOURCES = """
WITH RECURSIVE source (id) AS (VALUES (:job)
    UNION SELECT producer_id FROM source JOIN dependency ON consumer_id = source.id)
SELECT DISTINCT step.number FROM source JOIN job USING (id) JOIN step ON step.id = job.step_id
WHERE session_id = :session AND step.id <> :step
"""
