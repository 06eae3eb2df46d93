"""Which jobs are stale: for a reason of their own, or as they took something from one that is."""

import itertools
import json
import sqlite3
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from roar.model import members_folder
from roar.query.counted import PRINTED, Counted, Taking, load_takings
from roar.query.within import find_begun


class Reason(NamedTuple):
    """Why a job is stale by itself.

    Attributes:
        job: its row.
        text: what is to be said.
        settled: a later job of its step has read the same again, and ended well.
        path: of the input that it is about, where that was written again.
    """

    job: int
    text: str
    settled: bool = False
    path: str = ""


class Stale:
    """What is stale; the graph is looked at only where something is.

    What is settled says nothing of what the step has made since, nor of what it left as it was: make(1) makes again
    what has to be. But a superseded job left an earlier version, which is stale where what it read has changed.

    A job within another one, as by `roar run` in a script, is stale with that one: what the script read may have come
    to it in any way, as arguments, by a pipe, or in a file. Where only what jobs within the script have made makes
    that stale, it is stale if such a one had ended before, and the script took by a pipe what that printed, or has
    put something there for this one since.

    Attributes:
        own: by job, why it is stale for its step.
        left: by job, why what it left is stale.
    """

    def __init__(self, database: sqlite3.Connection, counted: Counted) -> None:
        self._database = database
        self._counted = counted
        self._consumers: dict[int, list[Taking]] | None = None
        self._from_outside: set[int] = set()
        self._given: dict[tuple[int, int], list[int]] | None = None
        self._put_off: dict[tuple[int, str], Reason] = {}
        self.own: dict[int, str] = {}
        self.left: dict[int, str] = {}

    def add(self, reasons: Iterable[Reason]) -> None:
        """Jobs that are stale by themselves, the first of several reasons counting, with all that took from them."""
        self._spread([job for job, text, settled, _ in reasons
                      if self._mark(job, text, settled=settled) or self._is_new_from_outside(job)])

    def put_off(self, reasons: Iterable[Reason]) -> None:
        """Keep reasons for `add_put_off`: others come before them."""
        self._put_off |= {(reason.job, reason.path): reason for reason in reasons}

    def is_put_off(self, job: int, path: str) -> bool:
        """Whether a reason is kept that is about this input of a job."""
        return (job, path) in self._put_off

    def add_put_off(self) -> None:
        """Add what was kept."""
        self.add(self._put_off.values())

    def add_failed(self) -> None:
        """What jobs took from those that did not end well, but for what their step went on with, and ended well.

        A training goes on from its own checkpoints. What another step had made, and a job edited in place until it
        failed, is only in part what it should be, whatever goes on with it.
        """
        failed = [job for job in self._counted.step_of if job not in self._counted.well]
        went_on = {job for job in failed if self._counted.went_on_from(self._database, job)}
        new = []
        within = set()
        for taking in itertools.chain.from_iterable(map(self._taken_from, failed)):
            step = self._counted.step_of[taking.producer]
            if taking.artifact == PRINTED:  # whoever took that by a pipe has seen how the job ended
                continue
            text: str | None = f"@{step}{_FAILED}" if taking.producer not in went_on else None
            if step == self._counted.step_of[taking.consumer]:
                spoilt = self._database.execute(_SPOILT, (taking.producer, taking.produced)).fetchone()
                text = f"a run of it that did not end well had edited {spoilt[0]} before" if spoilt else None
            if self._mark(taking.consumer, text, settled=taking.settled):
                new.append(taking.consumer)
                if taking.producer in self._counted.nesting.inner.get(taking.consumer, ()):
                    within.add(taking.consumer)
        for job in failed:  # a table that such a one began for those in it may lack the rest
            begun = find_begun(self._database, job) if job in self._counted.nesting.inner else {}
            text = f"@{self._counted.step_of[job]}{_FAILED}"
            new += [writer for writer in begun.values() if writer in self._counted.step_of
                    and self._mark(writer, text, settled=bool(self._counted.later(writer)))]
        self._spread(new, within)

    def _spread(self, new: list[int], within: Container[int] = ()) -> None:
        """Mark what took from stale jobs, and what those ran that are stale by more than that.

        within: those of them that are stale only by what jobs within them have made.
        """
        self._from_outside.update(job for job in new if job in self.own and job not in within)
        while new:
            job = new.pop(0)
            for taking in self._taken_from(job):
                consumer = taking.consumer
                if consumer in self._counted.nesting.inner.get(job, ()):
                    continue
                is_new = self._mark(consumer, self._text_for(taking), settled=taking.settled)
                if job not in self._counted.nesting.inner.get(consumer, ()) and self._is_new_from_outside(consumer):
                    self._from_outside.add(consumer)
                    is_new = True
                if is_new:
                    new.append(consumer)
                if job in self._counted.nesting.inner.get(consumer, ()):
                    new += self._mark_later(consumer, taking)
            if job in self._from_outside:
                text = f"@{self._counted.step_of[job]}{_RAN}"
                new += [inner for inner in self._counted.nesting.inner.get(job, ())
                        if self._mark(inner, text, settled=bool(self._counted.later(inner)))]

    def _mark_later(self, outer: int, taking: Taking) -> Iterator[int]:
        """Mark the jobs that one ran after another one in it, of which it took something: see above."""
        known = self.own.keys() | self.left.keys()
        rest = [job for job in self._counted.nesting.inner[outer] if job not in known]
        text = f"@{self._counted.step_of[outer]}{_RAN}"
        for (job,) in self._database.execute(_LATER, (taking.producer, json.dumps(rest))).fetchall() if rest else ():
            if (taking.artifact == PRINTED or self._was_given_after(outer, job, taking.producer)) and self._mark(
                    job, text, settled=bool(self._counted.later(job))):
                yield job

    def _was_given_after(self, outer: int, reader: int, before: int) -> bool:
        """Whether a job was given something by the one around it once another one had ended."""
        if self._given is None:
            self._given = {}
            for given in self._counted.nesting.given:
                self._given.setdefault((given.outer, given.reader), []).append(given.path)
        return self._database.execute(_GIVEN_AFTER, (reader, json.dumps(self._given.get((outer, reader), [])), before)
                                      ).fetchone() is not None

    def _is_new_from_outside(self, job: int) -> bool:
        """Whether it is stale for its step, and was known to be so only by what jobs within it have made."""
        return job in self.own and job not in self._from_outside and job in self._counted.nesting.inner

    def of_steps(self) -> dict[int, str]:
        """By step, why it is stale: the last of its jobs that is says so."""
        return {step: self.own[job] for step, jobs in self._counted.jobs.items() for job in jobs if job in self.own}

    def _mark(self, job: int, text: str | None, *, settled: bool) -> bool:
        """Whether that was not known."""
        if text is None or job in self._counted.idle:
            return False
        known = len(self.own) + len(self.left)
        if not settled:
            self.own.setdefault(job, text)
        if not settled or job in self._counted.superseded:
            self.left.setdefault(job, text)
        return len(self.own) + len(self.left) > known

    def _text_for(self, taking: Taking) -> str | None:
        """What a stale job means to one that took something from it."""
        step, own = self._counted.step_of[taking.producer], self.own.get(taking.producer)
        if step == self._counted.step_of[taking.consumer]:
            return own
        if taking.artifact == PRINTED:
            return f"what @{step}{WAS_PRINTED}"
        if own is not None:
            return f"@{step}{_WAITS}"
        path = self._written_again(taking)
        return (f"what it took from @{step}{OUTDATED}" if path is None
                else f"its input {path} was written again by @{step}")

    def _written_again(self, taking: Taking) -> str | None:
        """The path at which a consumer read something, where a later job of the producer's step wrote there again."""
        return next((path for path, place in self._database.execute(_WRITTEN_AGAIN, {
            "consumer": taking.consumer, "artifact": taking.artifact, "producer": taking.producer,
            "produced": taking.produced, "later": json.dumps(self._counted.later(taking.producer))})
            if path == place or path.startswith(members_folder(place))), None)

    def _taken_from(self, job: int) -> Iterable[Taking]:
        if self._consumers is None:
            self._consumers = {}
            for taking in load_takings(self._database, self._counted, self._counted.step_of):
                self._consumers.setdefault(taking.producer, []).append(taking)
        return self._consumers.get(job, ())


# The paths at which the consumer read it, with those at which a later job wrote again what the producer had written.
_WRITTEN_AGAIN = """
SELECT path.path, place.path FROM file_read AS used JOIN path ON path.id = used.path_id,
file_written AS made JOIN path AS place ON place.id = made.path_id
WHERE used.job_id = :consumer AND used.artifact_id = :artifact
AND made.job_id = :producer AND made.artifact_id = :produced AND EXISTS (
    SELECT 1 FROM file_written WHERE path_id = made.path_id AND job_id > :consumer
    AND job_id IN (SELECT value FROM json_each(:later)))
"""
# Those of some jobs that began once another one had ended.
_LATER = """
SELECT job.id FROM job AS before JOIN json_each(?2) AS one JOIN job ON job.id = one.value
WHERE before.id = ?1 AND job.started_at >= before.ended_at
"""
_GIVEN_AFTER = """
SELECT 1 FROM job JOIN file_read AS used ON used.job_id = job.id AND used.path_id IN (SELECT value FROM json_each(?2))
WHERE job.id = ?1 AND coalesce(used.unchanged_since, job.ended_at) >= (SELECT ended_at FROM job WHERE id = ?3)
"""
OUTDATED = " is of an earlier run of it, from inputs that have changed since"
_WAITS = ", which it took inputs from, is stale"
_RAN = ", which ran it, is stale"
WAS_PRINTED = " printed for it is from inputs that have changed since"  # it runs that again itself
_FAILED = ", which it took inputs from, did not end well"

# What a job left in place of what it had found there, and what no job of its step had left.
_SPOILT = """
SELECT path.path FROM file_written AS made JOIN path ON path.id = made.path_id
JOIN file_read AS used ON used.job_id = made.job_id AND used.path_id = made.path_id
WHERE made.job_id = ? AND made.role = 2 AND made.artifact_id = ? AND NOT EXISTS (
    SELECT 1 FROM job AS this JOIN job ON job.step_id = this.step_id AND job.id < this.id
    JOIN file_written AS own ON own.job_id = job.id
    WHERE this.id = made.job_id AND own.path_id = made.path_id AND own.artifact_id = used.artifact_id)
"""


def waits_for(reason: str | None) -> int | None:
    """The step that has to run first, where a step is stale for another one's sake; None where not."""
    ending = next((end for end in (_WAITS, _RAN, _FAILED) if reason is not None and reason.endswith(end)), None)
    return None if reason is None or ending is None else int(reason[1:-len(ending)])
