"""What jobs of earlier sessions read, and lies there with other content by now.

The state of a session is that of its own jobs. What it made from the outputs of an earlier one is asked about here.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

from roar.query.asked import Asked
from roar.query.freshness import Freshness, load_status
from roar.query.inputs_now import find_changed_inputs
from roar.query.mending import Mending
from roar.query.obstacles import NoCommandError
from roar.query.staleness import waits_for
from roar.record.evidence import was_written

_STEP = re.compile(r"@(\d+)\b")
_RUNS_FIRST = re.compile(r"roar run @(\d+)")


class ReadBefore(NamedTuple):
    """A job of another session that would not make the same again.

    Attributes:
        text: why, as a phrase.
        mend: the command that mends it; it raises NoCommandError where none does.
    """

    text: str
    mend: Callable[[], str]


def find_read_before(asked: Asked, session: int) -> Iterator[ReadBefore]:
    """Of the jobs behind those that are asked about, in the order of the record; only those of other sessions.

    A root input, which no job wrote or edits in place, has changed if what lies there is other content; what is gone
    has not. For all else there is what their own session says of their steps.
    """
    state = cache(lambda other: _Elsewhere(asked, other))
    for job in asked.behind:
        other = asked.rows[job.uid].session
        if other == session:
            continue
        changed = list(find_changed_inputs(asked.database, asked.workspace, job.inputs,
                                           partial(was_written, asked.database, asked.workspace)))
        for path in changed:
            yield ReadBefore(f"{path} has changed since {asked.name(job)} read it", partial(asked.run_again, job))
        stale = None if changed or not asked.is_last_of_step(job) else state(other).stale.get(job.step)
        if stale is not None:
            yield ReadBefore(f"{asked.name(job)}, of another session: {stale}", state(other).mend)


class _Elsewhere:
    """The state of another session, whose steps are called by the jobs that count: `@N` would be one of this session.

    Attributes:
        stale: why a step is stale, by its number, but for those that wait for others.
    """

    def __init__(self, asked: Asked, session: int) -> None:
        self._asked = asked
        self._session = session
        self._status = load_status(asked.database, asked.workspace, session)
        self._jobs = {job.step: job for job in asked.behind if asked.rows[job.uid].session == session}
        self.stale = {step.number: self._named(step.stale) for step in self._status.steps
                      if step.stale and waits_for(step.stale) is None}

    def mend(self) -> str:
        """The command that runs again in this session what has to run first in that one.

        Raises:
            NoCommandError: there is none.
        """
        wrong = [output for output in self._status.outputs if output.step in self._jobs
                 and output.freshness not in {Freshness.FRESH, Freshness.GONE}]
        try:
            first = Mending(self._asked.database, self._asked.workspace, self._session, self._status).first(wrong)
        except NoCommandError as error:
            raise NoCommandError(self._named(str(error))) from error
        step = _RUNS_FIRST.match(first)
        if step is None or int(step[1]) not in self._jobs:
            raise NoCommandError("what has to run again are steps of another session")
        return self._asked.run_again(self._jobs[int(step[1])])

    def _named(self, text: str) -> str:
        uids = {step.number: step.job.uid for step in self._status.steps}
        return _STEP.sub(lambda match: uids[int(match[1])][:8] if int(match[1]) in uids else match[0], text)
