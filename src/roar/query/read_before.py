"""What a session rests on that jobs of earlier sessions made, and would not make so again.

The state of a session is that of its own jobs. What it made from the outputs of an earlier one is asked about here.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

from roar.query.asked import Asked
from roar.query.freshness import Freshness, load_status
from roar.query.mending import Mending
from roar.query.obstacles import NoCommandError
from roar.query.staleness import waits_for

_STEP = re.compile(r"@(\d+)\b")
_RUN = re.compile(r"\broar run @(\d+)\b")


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

    There is what their own session says of their steps, but of those that only wait for others.
    """
    state_of = cache(partial(_Elsewhere, asked))
    for job in asked.behind:
        other = asked.rows[job.uid].session
        if other == session or not asked.is_last_of_step(job):
            continue
        state = state_of(other)
        if (stale := state.stale.get(job.step)) is not None:
            yield ReadBefore(f"{asked.name(job)}, of another session: {stale}", state.mend)


class _Elsewhere:
    """The state of another session, whose steps are called by their jobs: `@N` would be one of this session.

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
        """What runs in this session what would have to run again in that one.

        Once some of that was done, it goes on from there.

        Raises:
            NoCommandError: there is nothing that only mends.
        """
        again = next(filter(self._asked.is_made_again, self._jobs.values()), None)
        if again is not None:
            return self._asked.run_again(again)
        wrong = [output for output in self._status.outputs if output.step in self._jobs
                 and output.freshness not in {Freshness.FRESH, Freshness.GONE}]
        try:
            plan = Mending(self._asked.database, self._asked.workspace, self._session, self._status).first(wrong)
        except NoCommandError as error:
            raise NoCommandError(self._named(str(error))) from error
        if not self._jobs.keys() >= {int(step) for step in _RUN.findall(plan)}:
            raise NoCommandError("what has to run again are steps of another session")
        return _RUN.sub(lambda match: self._asked.run_again(self._jobs[int(match[1])]), plan)

    def _named(self, text: str) -> str:
        uids = {step.number: step.job.uid for step in self._status.steps}
        return _STEP.sub(lambda match: uids[int(match[1])][:8] if int(match[1]) in uids else match[0], text)
