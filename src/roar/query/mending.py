"""What to run first where a session's outputs are not up to date, if there is a command that does no harm."""

import re
import sqlite3
from collections.abc import Sequence

from roar.model import JobState
from roar.query.freshness import GONE, Freshness, Output, Status
from roar.query.graph import EDITED
from roar.query.rerunning import NoCommandError, Reruns, refuse_secret
from roar.query.staleness import OUTDATED, waits_for
from roar.workspace import Workspace

_ROOT_IS_GONE = re.compile(rf"its input (?!.* has changed since: ).* {GONE}", re.DOTALL)


class Mending:
    """The steps of a session that have to run again.

    Args:
        database: the record.
        workspace: it belongs to.
        session: row of the session.
        status: of the session.
    """

    def __init__(self, database: sqlite3.Connection, workspace: Workspace, session: int, status: Status) -> None:
        self._database = database
        self._status = status
        self._reruns = Reruns(database, workspace, session)
        self._jobs = {step.number: step.job for step in status.steps}
        self._stale = {step.number: step.stale for step in status.steps if step.stale}

    def first(self, wrong: Sequence[Output]) -> str:
        """What to do about these outputs.

        About what a failed job left; then where a step edits what was written again; and then about the first step
        that is stale by itself, be it one whose outputs are gone. No step mends an earlier version of its outputs that
        lies elsewhere, nor what was made from that.

        Raises:
            NoCommandError: where nothing is known that only mends.
        """
        by_hand = {output.step for output in wrong if output.freshness is Freshness.CHANGED and not output.again
                   and GONE not in (output.reason or "")}
        left = [output for output in wrong if output.freshness is not Freshness.STALE and not output.failed]
        steps = ([output.step for output in wrong if output.failed and not self._ended_well(output.step)]
                 or [output.step for output in wrong if output.again]
                 or [output.step for output in self._status.outputs if output.step in self._stale or output in left])
        said: list[NoCommandError] = []
        for step in sorted(set(steps)):
            if self._stale.get(step, "").endswith(OUTDATED):
                continue
            try:
                return self._begin(step, by_hand)
            except NoCommandError as error:
                said.append(error)
        raise said[0] if said else NoCommandError("what earlier versions were made from is not there any more")

    def _begin(self, first: int, by_hand: set[int]) -> str:
        """What a step needs first: all that it takes inputs from, and what makes those of its inputs that are gone.

        Refused where a root input is gone, without which a step would only spoil what it has made, where somebody has
        edited what a step would write over, and where it would read what was edited in place since: it was made from
        what that had been.
        """
        step = first
        passed: set[int] = set()
        while True:
            if self._jobs[step].state == JobState.DONE and not self._ended_well(step):
                return f"roar show @{step}"
            plan = self._reruns.plan(step, self._stale)
            self._refuse_barred(plan.steps, by_hand)
            passed.update(plan.steps)
            needed = (waits_for(self._stale.get(one)) or self._maker_of_gone(one) for one in plan.steps)
            before = next((one for one in needed if one is not None and one not in passed), None)
            if before is None:
                plan.refuse_lack()
                return " && ".join(plan.commands())
            step = before

    def _refuse_barred(self, steps: Sequence[int], by_hand: set[int]) -> None:
        for step in steps:
            reason = self._stale.get(step, "")
            if _ROOT_IS_GONE.fullmatch(reason):
                raise NoCommandError(f"{reason.removeprefix('its input ')}, which @{step} needs")
            if EDITED in reason:
                raise NoCommandError(f"@{step} would read what was edited since, and not what it had read")
            if step in by_hand:
                raise NoCommandError(f"what @{step} wrote was changed since, and would be written over")
            refuse_secret(f"@{step}", self._jobs[step].command)

    def _ended_well(self, step: int) -> bool:
        return self._jobs[step].state == JobState.DONE and self._jobs[step].exit_code == 0

    def _maker_of_gone(self, number: int) -> int | None:
        """The step that made an input of another one's last job, where that input is gone."""
        gone = {output.path: output.step for output in self._status.outputs if output.freshness is Freshness.GONE}
        rows = self._database.execute("SELECT path.path FROM file_read JOIN path ON path.id = path_id"
                                      " WHERE job_id = ?", (self._jobs[number].row_id,)) if gone else ()
        return next((gone[path] for (path,) in rows if gone.get(path, number) != number), None)
