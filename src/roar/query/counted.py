"""Which jobs of a session's steps count: a step that is run again may make only part of its outputs, or fail."""

import json
import sqlite3
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import NamedTuple

from roar.model import APPENDED, AS_STDOUT_APPENDED
from roar.query.pointed import load_last_pointers
from roar.query.within import IS_ANEW, Nesting, load_nesting, load_printed


class StepJob(NamedTuple):
    """A job of a step: its row, its uid, and whether it ended well."""

    row_id: int
    uid: str
    ended_well: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The jobs that count, by their rows.

    Attributes:
        step_of: by job the number of its step: the steps in their order, and of each its jobs in theirs.
        jobs: the same the other way round.
        well: those that ended well.
        latest: by step its last job, and the last that ended well where the last did not; where one before that wrote
            the same and more, as make(1) does that now finds all up to date and writes its log, also that one, and
            those that wrote last what that wrote.
        settled: job and path of what was read, but read or written again since by a later job of the step; of what
            the job itself has edited not by one that goes on with that. So is what a script took from a job in it,
            where later runs of it have written again all but what that job was given, or one that began before it.
        superseded: those after which one of their step (the next that ended well and wrote something, or the last
            such; or any where none of the step ever wrote) has read all that they had read, and has written over all
            that they had written, or only elsewhere: what they left is an earlier version.
        idle: those of whose outputs later ones of their step left none, and a last one that failed without any beside
            others, where no other took something from them: what they read says nothing of the outputs.
        logs: the files to which these jobs only added.
        nesting: how these jobs lie in each other.
    """

    step_of: Mapping[int, int]
    jobs: Mapping[int, Sequence[int]]
    well: frozenset[int]
    latest: Mapping[int, Sequence[int]]
    settled: frozenset[tuple[int, int]]
    superseded: frozenset[int]
    idle: frozenset[int]
    logs: "Logs"
    nesting: Nesting

    def later(self, job_id: int) -> Sequence[int]:
        """The jobs of the same step after one."""
        jobs = self.jobs[self.step_of[job_id]]
        return () if job_id == jobs[-1] else jobs[jobs.index(job_id) + 1:]

    def went_on_from(self, database: sqlite3.Connection, job_id: int) -> bool:
        """Whether a later job of the same step took something from one, not by way of a script, and ended well."""
        around = [outer for outer, inner in self.nesting.inner.items() if job_id in inner]
        return any(later in self.well and follows(database, later, job_id, but=around) for later in self.later(job_id))


def follows(database: sqlite3.Connection, job_id: int, other_id: int, *, but: Iterable[int] = ()) -> bool:
    """Whether a job took something from an earlier one, directly or not; by way of some not."""
    return database.execute(_SOURCES + "SELECT 1 FROM source WHERE id = :first",  # noqa: S608  a text of our own
                            {"job": job_id, "first": other_id, "but": json.dumps(list(but))}).fetchone() is not None


_SOURCES = """
WITH RECURSIVE source (id) AS (VALUES (:job)
UNION SELECT producer_id FROM source JOIN dependency ON consumer_id = source.id
    WHERE producer_id >= :first AND producer_id NOT IN (SELECT value FROM json_each(:but))
UNION SELECT ran.id FROM source CROSS JOIN job AS around ON around.id = source.id
    CROSS JOIN inner_job ON outer = around.uid AND piped CROSS JOIN job AS ran ON ran.uid = inner_job.uid
    WHERE ran.id >= :first)
"""
"""A job with all from which it took something, directly or not, back to a first one; by way of some not."""


def load_counted(database: sqlite3.Connection, jobs: Mapping[int, Sequence[StepJob]]) -> Counted:
    """Of each step the latest jobs, and earlier ones from which one that counts took something.

    Args:
        database: the record.
        jobs: by step its jobs, the latest first.
    """
    latest = {number: _latest(database, rows) for number, rows in jobs.items()}
    rows = {row for found in latest.values() for row in found}
    earlier = [job.row_id for found in jobs.values() for job in found[1:]]
    logs = _find_logs(database, {job.row_id: number for number, found in jobs.items() for job in found})
    rows |= _find_makers(database, rows, earlier, logs)
    order = {number: [job for job in reversed(found) if job.row_id in rows] for number, found in jobs.items()}
    said = _Reruns(database, [found for found in order.values() if len(found) > 1])
    counted = Counted(
        step_of={job.row_id: number for number, found in order.items() for job in found}, latest=latest,
        jobs={number: [job.row_id for job in found] for number, found in order.items()},
        well=frozenset(job.row_id for found in order.values() for job in found if job.ended_well),
        settled=frozenset(said.settled), superseded=frozenset(said.superseded), idle=frozenset(said.covered),
        logs=logs.of(rows), nesting=load_nesting(database, rows))
    counted = replace(counted, settled=counted.settled | {*_find_left_out(database, counted)})
    return replace(counted, idle=counted.idle - _find_taken(database, counted)) if said.covered else counted


def _find_left_out(database: sqlite3.Connection, counted: Counted) -> Iterator[tuple[int, int]]:
    """What scripts took from jobs in them that had no part in what is left of theirs: that lay there before."""
    for script in counted.nesting.inner:
        again = [later for later in counted.later(script) if later in counted.well]
        if not again:
            continue
        given = dict(database.execute(_GIVEN_WITHIN, (script,)).fetchall())
        left = [path for (path,) in database.execute(_LEFT, (script, json.dumps(again)))]
        if left and all(path in given for path in left):
            began = max(given[path] for path in left)
            yield from ((script, path) for (path,) in database.execute(_TAKEN_WITHIN, (script, began)))


# What a job made for those that it ran, with when the first of them began that read it, none of them having made it.
_GIVEN_WITHIN = """
SELECT path.id, min(ran.started_at) FROM given_file JOIN path USING (path)
JOIN job AS around ON around.id = given_file.job_id JOIN inner_job ON outer = around.uid
JOIN job AS ran ON ran.uid = inner_job.uid
JOIN file_read AS used ON used.job_id = ran.id AND used.path_id = path.id
JOIN file_written AS made ON made.job_id = around.id AND made.path_id = path.id AND made.role = 2
    AND made.artifact_id IS used.artifact_id
WHERE around.id = ? GROUP BY path.id
"""
# What it has left that some other jobs have not written again.
_LEFT = """
SELECT path_id FROM file_written WHERE job_id = ?1 AND role = 2 AND path_id NOT IN (
    SELECT path_id FROM file_written WHERE role = 2 AND job_id IN (SELECT value FROM json_each(?2)))
"""
# What it read of those in it that began at a time or later.
_TAKEN_WITHIN = """
SELECT DISTINCT used.path_id FROM job AS around JOIN inner_job ON outer = around.uid
JOIN job AS ran ON ran.uid = inner_job.uid AND ran.started_at >= ?2
JOIN file_written AS made ON made.job_id = ran.id AND made.role = 2
JOIN file_read AS used ON used.job_id = around.id AND used.path_id = made.path_id
    AND used.artifact_id = made.artifact_id WHERE around.id = ?1
"""


def _latest(database: sqlite3.Connection, jobs: Sequence[StepJob]) -> list[int]:
    good = next((job for job in jobs if job.ended_well), jobs[0])
    found = [jobs[0].row_id, good.row_id]
    while len(jobs) > 1 and (more := database.execute(_MADE_MORE, {"job": found[-1]}).fetchone()) is not None:
        found.append(more[0])
    if found[-1] != good.row_id:
        found += sorted(job for job, in database.execute(_MADE_SINCE, {"job": found[-1]}))
    return list(dict.fromkeys(found))


# The last earlier job of the step that ended well and wrote all that a job wrote in the workspace, and more there; or
# more at all, where that wrote nothing.
_MADE_MORE = """
WITH own (path_id) AS (SELECT path_id FROM file_use JOIN path ON path.id = path_id
    WHERE job_id = :job AND role = 2 AND path NOT LIKE '/%')
SELECT job.id FROM job JOIN job AS this ON this.id = :job AND job.step_id = this.step_id
AND (job.started_at, job.id) < (this.started_at, this.id)
WHERE job.state = 'done' AND job.exit_code IS 0
AND NOT EXISTS (SELECT 1 FROM own WHERE path_id NOT IN (
    SELECT path_id FROM file_use WHERE job_id = job.id AND role = 2))
AND EXISTS (SELECT 1 FROM file_use JOIN path ON path.id = path_id WHERE job_id = job.id AND role = 2
    AND path_id NOT IN (SELECT path_id FROM own) AND (path NOT LIKE '/%' OR NOT EXISTS (
        SELECT 1 FROM file_use WHERE job_id = :job AND role = 2)))
ORDER BY job.started_at DESC, job.id DESC LIMIT 1
"""


# The jobs of the step that ended well and wrote last what one of them wrote.
_MADE_SINCE = """
SELECT DISTINCT (SELECT max(job.id) FROM job JOIN file_use AS made ON made.job_id = job.id
    WHERE job.step_id = this.step_id AND made.role = 2 AND made.path_id = own.path_id
    AND job.state = 'done' AND job.exit_code IS 0)
FROM job AS this JOIN file_use AS own ON own.job_id = this.id AND own.role = 2 WHERE this.id = :job
"""


def _find_makers(database: sqlite3.Connection, counted: Iterable[int], earlier: Sequence[int], logs: "Logs"
                 ) -> set[int]:
    """Those of the earlier jobs from which one that counts took something, directly or by way of each other.

    Not those to whose log it only added.
    """
    makers: dict[int, list[int]] = {}
    for consumer_id, producer_id, artifact_id in database.execute(
            "SELECT consumer_id, producer_id, artifact_id FROM dependency"
            " WHERE producer_id IN (SELECT value FROM json_each(?))",
            (json.dumps(earlier),)).fetchall() if earlier else ():
        if not logs.are_side_by_side(database, consumer_id, artifact_id, producer_id):
            makers.setdefault(consumer_id, []).append(producer_id)
    for taker, printer in load_printed(database, {*counted, *earlier}) if earlier else ():
        makers.setdefault(taker, []).append(printer)
    found: set[int] = set()
    rest = list(counted)
    while rest:
        more = set(makers.get(rest.pop(), ())) - found
        found |= more
        rest += more
    return found


class PathsUsed:
    """What some jobs read and wrote: rows of paths, by rows of jobs."""

    def __init__(self, database: sqlite3.Connection, jobs: Collection[int]) -> None:
        self._uses: dict[tuple[int, int], set[int]] = {}
        for job_id, role, path_id in database.execute(
                "SELECT job_id, role, path_id FROM file_use WHERE role <= 2"
                " AND job_id IN (SELECT value FROM json_each(?))", (json.dumps(list(jobs)),)) if jobs else ():
            self._uses.setdefault((job_id, role), set()).add(path_id)

    def read(self, job_id: int) -> AbstractSet[int]:
        """Where a job read."""
        return self._uses.get((job_id, 1), frozenset())

    def written(self, job_id: int) -> AbstractSet[int]:
        """Where a job wrote."""
        return self._uses.get((job_id, 2), frozenset())


class _Reruns:
    """What later jobs of a step say of its earlier ones: see `Counted`; the jobs of each step are in their order.

    Attributes:
        covered: those that are idle unless another took something from them.
    """

    def __init__(self, database: sqlite3.Connection, steps: Sequence[Sequence[StepJob]]) -> None:
        self.settled: set[tuple[int, int]] = set()
        self.superseded: set[int] = set()
        self.covered: set[int] = set()
        self._database = database
        self._sources: dict[int, AbstractSet[int]] = {}
        self._used = PathsUsed(database, [job.row_id for jobs in steps for job in jobs])
        for jobs in steps:
            self._look_at(jobs)

    def _before(self, job_id: int, first: StepJob) -> AbstractSet[int]:
        """A job with all from which it took something, directly or not, back to another one."""
        if job_id not in self._sources:
            self._sources[job_id] = frozenset(row_id for (row_id,) in self._database.execute(
                _SOURCES + "SELECT id FROM source",  # noqa: S608  a text of our own
                {"job": job_id, "first": first.row_id, "but": "[]"}))
        return self._sources[job_id]

    def _look_at(self, jobs: Sequence[StepJob]) -> None:
        written: set[int] = set()
        read: set[int] = set()
        of_the_step = {path_id for job in jobs for path_id in self._used.written(job.row_id)}
        editor: dict[int, int] = {}
        later: list[tuple[AbstractSet[int], AbstractSet[int]]] = []
        none_wrote = not any(self._used.written(job.row_id) for job in jobs)
        for job in reversed(jobs):
            own_read, own_written = self._used.read(job.row_id), self._used.written(job.row_id)
            if own_written <= written and (job is not jobs[-1] or not job.ended_well):
                self.covered.add(job.row_id)
            if any(own_read - of_the_step <= again and (made >= own_written or not made & own_written)
                   for again, made in (*later[:1], *later[-1:])):
                self.superseded.add(job.row_id)
            self.settled |= {(job.row_id, path_id) for path_id in own_read - own_written
                             if path_id in read or path_id in written}
            self.settled |= {(job.row_id, path_id) for path_id in own_read & own_written
                             if path_id in editor and job.row_id not in self._before(editor[path_id], jobs[0])}
            if job.ended_well:
                editor = dict.fromkeys(own_read & own_written, job.row_id) | editor
            written |= own_written
            read |= own_read if job.ended_well else set()
            if job.ended_well and (own_written or none_wrote):
                later.append((own_read, own_written))


PRINTED = 0
POINTED = -1


class Taking(NamedTuple):
    """What one job took from another.

    Attributes:
        artifact: as the consumer read it, its row; `PRINTED` where it took by a pipe what the producer printed,
            `POINTED` where it found files through a symlink that the producer made.
        produced: as the producer wrote it, likewise.
        settled: a later job of the consumer's step has read the same paths again, or taken by a pipe what another job
            of the producer's step printed, or found files through a symlink of such a one.
    """

    consumer: int
    artifact: int
    producer: int
    produced: int
    settled: bool


def load_takings(database: sqlite3.Connection, counted: Counted, producers: Collection[int]) -> Iterator[Taking]:
    """What jobs that count took from these. What a later job of the producer's step wrote again came from that one.

    Args:
        database: the record.
        counted: the jobs that count.
        producers: rows of some of them.
    """
    rows = database.execute(
        "SELECT consumer_id, artifact_id, producer_id, produced_id FROM dependency"
        " WHERE producer_id IN (SELECT value FROM json_each(?))", (json.dumps(list(producers)),)).fetchall()
    logs = counted.logs
    for consumer, artifact, producer, produced in rows:
        if consumer in counted.step_of and producer != consumer and not logs.are_side_by_side(
                database, consumer, artifact, producer):
            log = logs.taken(database, consumer, artifact, producer)
            same = counted.step_of[consumer] == counted.step_of[producer]
            later = () if same else counted.later(producer)
            last = _last_maker(database, later, artifact, produced) if later else None
            settled = _is_settled(database, counted, consumer, artifact)
            yield Taking(consumer, artifact, last or producer, produced, settled)
            for other in logs.others(log, producer, consumer) if log is not None else ():
                yield Taking(consumer, artifact, other, produced, settled)
    yield from _handed_on(counted, load_printed(database, counted.step_of), producers, PRINTED)
    yield from _handed_on(counted, load_last_pointers(database, counted.step_of), producers, POINTED)


def _handed_on(counted: Counted, pairs: Sequence[tuple[int, int]], producers: Container[int], kind: int
               ) -> Iterator[Taking]:
    """What jobs took from others that is no artifact: `PRINTED` or `POINTED`; pairs of a consumer and a producer."""
    took = {(consumer, counted.step_of.get(producer)) for consumer, producer in pairs}
    for consumer, producer in pairs:
        if producer in producers:
            yield Taking(consumer, kind, producer, kind, any(
                (later, counted.step_of.get(producer)) in took
                for later in counted.later(consumer) if later in counted.well))


class Logs:
    """The files to which all that wrote them only added, as rows of paths, since a script began them anew, if one did.

    Args:
        rows: a job and such a file, by the row of the job.
        step_of: by job its step.

    Attributes:
        paths: by job those to which it added.
    """

    def __init__(self, rows: Iterable[tuple[int, int]], step_of: Mapping[int, int]) -> None:
        self._step_of = step_of
        self._writers: dict[int, list[int]] = {}
        self.paths: dict[int, set[int]] = {}
        for job_id, path_id in rows:
            self.paths.setdefault(job_id, set()).add(path_id)
            self._writers.setdefault(path_id, []).append(job_id)

    def of(self, jobs: Container[int]) -> "Logs":
        """The same of some jobs."""
        return Logs(((job, path) for path, found in self._writers.items() for job in found if job in jobs),
                    self._step_of)

    def taken(self, database: sqlite3.Connection, consumer: int, artifact: int, producer: int) -> int | None:
        """The log that one job read, and another had added to."""
        if producer not in self.paths:
            return None
        read = [path_id for (path_id,) in database.execute(
            "SELECT path_id FROM file_read WHERE job_id = ? AND artifact_id = ?", (consumer, artifact))]
        return next((path_id for path_id in read if path_id in self.paths[producer]), None)

    def are_side_by_side(self, database: sqlite3.Connection, consumer: int, artifact: int, producer: int) -> bool:
        """Whether what one job took from another is a log, to which it only added."""
        return consumer in self.paths and self.taken(database, consumer, artifact, producer) in self.paths[consumer]

    def others(self, log: int, producer: int, before: int) -> list[int]:
        """The last jobs of the other steps that had added to a log when one job read what another one left."""
        last = {self._step_of[job]: job for job in self._writers[log] if job < before}
        return [job for step, job in last.items() if step != self._step_of[producer]]

    def last(self, job_id: int, path_id: int) -> list[int]:
        """A job with the last ones of the other steps that added to the same log, if that is one."""
        found = self._writers.get(path_id, ()) if path_id in self.paths.get(job_id, ()) else ()
        return [job_id, *({self._step_of[job]: job for job in found} | {self._step_of[job_id]: job_id}).values()]


def _find_logs(database: sqlite3.Connection, step_of: Mapping[int, int]) -> Logs:
    """The logs of some jobs, each with its step."""
    return Logs(database.execute(_LOGS, {"jobs": json.dumps(list(step_of)), "first": APPENDED,
                                         "second": AS_STDOUT_APPENDED}), step_of)


_LOGS = """
WITH asked (id) AS (SELECT value FROM json_each(:jobs)),
noted (id) AS (SELECT DISTINCT path_id FROM file_use
    WHERE role = 2 AND note IN (:first, :second) AND job_id IN (SELECT id FROM asked)),
log (id) AS (SELECT id FROM noted WHERE NOT EXISTS (SELECT 1 FROM file_written
    WHERE path_id = noted.id AND role = 2 AND (note IS NULL OR note NOT IN (:first, :second))))
SELECT job_id, path_id FROM log JOIN file_written ON path_id = log.id
WHERE role = 2 AND job_id IN (SELECT id FROM asked)
AND NOT EXISTS (SELECT 1 FROM given_file JOIN path USING (path) JOIN job AS around ON around.id = given_file.job_id
    JOIN job AS writer ON writer.id = file_written.job_id
    WHERE path.id = log.id AND around.started_at > writer.ended_at AND """ + IS_ANEW + """) ORDER BY job_id
"""  # noqa: S608  texts of our own


def _last_maker(database: sqlite3.Connection, jobs: Sequence[int], artifact: int, produced: int) -> int | None:
    found: int | None = database.execute(
        "SELECT max(job_id) FROM file_use WHERE role = 2 AND job_id IN (SELECT value FROM json_each(:jobs))"
        " AND (artifact_id IN (:artifact, :produced) OR EXISTS (SELECT 1 FROM dataset_member"
        " WHERE dataset_id = file_use.artifact_id AND dataset_member.artifact_id = :artifact))",
        {"jobs": json.dumps(list(jobs)), "artifact": artifact, "produced": produced}).fetchone()[0]
    return found


def _is_settled(database: sqlite3.Connection, counted: Counted, job_id: int, artifact: int) -> bool:
    """Whether all paths at which a job read an artifact are settled."""
    if not counted.later(job_id):
        return False
    paths = database.execute("SELECT path_id FROM file_use WHERE job_id = ? AND role = 1 AND artifact_id = ?",
                             (job_id, artifact)).fetchall()
    return bool(paths) and all((job_id, path_id) in counted.settled for (path_id,) in paths)


def _find_taken(database: sqlite3.Connection, counted: Counted) -> set[int]:
    """Those of the idle jobs from which one that is not idle took something, directly or by way of each other."""
    consumers: dict[int, set[int]] = {}
    for taking in load_takings(database, counted, counted.idle):
        consumers.setdefault(taking.producer, set()).add(taking.consumer)
    taken: set[int] = set()
    for job_id in sorted(counted.idle, reverse=True):
        if any(other not in counted.idle or other in taken for other in consumers.get(job_id, ())):
            taken.add(job_id)
    return taken
