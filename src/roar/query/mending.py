"""What to run first where a session's outputs are not up to date, if there is a command that does no harm."""

import contextlib
import itertools
import json
import os
import re
import sqlite3
from collections.abc import Collection, Container, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial

from roar.model import JobState, is_location, members_folder, place_of
from roar.query.beside import BESIDE
from roar.query.files_now import holds, lies_at
from roar.query.freshness import GONE, NOT_AGAIN, Freshness, Output, Status
from roar.query.graph import EDITED
from roar.query.inputs_now import is_worth_a_try
from roar.query.jobs import load_job, paths_read
from roar.query.obstacles import NoCommandError, OuterRunsItError, is_named, is_one_of_many, refuse_secret
from roar.query.pointed import load_pointed
from roar.query.repointed import find_repointed, load_links, read_link
from roar.query.repository import run_git
from roar.query.rerunning import MAKERS, Own, Plan, Reruns
from roar.query.staleness import OUTDATED, WAS_PRINTED, waits_for
from roar.query.within import find_inner, find_run, find_runners, given_paths
from roar.record.database import encoded
from roar.workspace import Workspace

_ROOT_IS_GONE = re.compile(rf"its input (?!.* has changed since: )(.*) {GONE}", re.DOTALL)
_IS_GONE = re.compile(f"{_ROOT_IS_GONE.pattern}(?:{NOT_AGAIN})?".format("[0-9]+"), re.DOTALL)
_ROOT_IS_UNREADABLE = re.compile(r"its input (.*?) cannot be read: .*", re.DOTALL)
_WRITTEN_AGAIN = re.compile(r" was written again by @(\d+)$")
LOOK = "roar show "
"""Begins what mends nothing."""

# What the jobs of a step of some job read, file by file, whether that job did so, and the symlinks that they went
# through.
_SEEN = """
WITH every (id) AS (SELECT job.id FROM job AS this JOIN job ON job.step_id = this.step_id WHERE this.id = :job),
seen (path_id, artifact_id, is_read) AS (
    SELECT path_id, artifact_id, max(job_id = :job) FROM every JOIN file_read ON job_id = every.id GROUP BY 1, 2
    UNION ALL SELECT path_id, NULL, 0 FROM every JOIN symlink ON job_id = every.id AND made = 0)
SELECT path.path, member.path, max(is_read) FROM seen JOIN path ON path.id = path_id
LEFT JOIN dataset_member AS member ON dataset_id = seen.artifact_id GROUP BY path_id, member.path
"""
_WRITTEN = """
SELECT path.path, member.path FROM file_written AS made JOIN path ON path.id = path_id
LEFT JOIN dataset_member AS member ON dataset_id = made.artifact_id WHERE job_id = :job AND role = 2
"""
# The jobs of a job's step that read a path, by itself or as a member of that dataset.
_READERS = """
SELECT job.id FROM job AS this JOIN job ON job.step_id = this.step_id
JOIN file_read ON job_id = job.id JOIN path ON path.id = path_id
WHERE this.id = :job AND path.path = CAST(:path AS TEXT) AND (:member IS NULL OR EXISTS (
    SELECT 1 FROM dataset_member WHERE dataset_id = file_read.artifact_id AND path = CAST(:member AS TEXT)))
"""
# The step of the job that was the last to make or remove a symlink, with its session and what it did.
_LAST_TO_TOUCH = """
SELECT number, session_id, made FROM path JOIN symlink ON path_id = path.id JOIN job ON job.id = job_id
JOIN step ON step.id = step_id WHERE path.path = CAST(? AS TEXT) AND made > 0 ORDER BY job_id DESC LIMIT 1
"""


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
        self._workspace = workspace
        self._session = session
        self._status = status
        self._reruns = Reruns(database, workspace, session)
        self._refused: set[int] = set()
        self._done: dict[int, bool] = {}
        self._made_by: dict[int, set[int]] = {}
        self._unreadable = {output.step: output.path for output in status.outputs
                            if output.freshness is Freshness.UNREADABLE}
        self._jobs = {step.number: step.job for step in status.steps}
        self._stale = {step.number: step.stale for step in status.steps if step.stale}

    def first(self, wrong: Sequence[Output]) -> str:
        """What to do about these outputs.

        About what a failed job left; then where a step edits what was written again; and then about the step that ran
        first of those that are stale, be it one whose outputs are gone. No step mends an earlier version of its
        outputs that lies elsewhere, nor what was made from that. A job that failed by itself is looked at where there
        is nothing else to do.

        Raises:
            NoCommandError: where nothing is known that only mends.
        """
        by_hand = {output.step for output in wrong if output.freshness is Freshness.CHANGED
                   and not output.again and not output.shared
                   and GONE not in (output.reason or "") and not self._is_put_back(output.path)}
        left = [output for output in wrong if output.freshness is not Freshness.STALE and not output.failed]
        groups = ([output.step for output in wrong if output.failed and not self._ended_well(output.step)],
                  [output.step for output in wrong if output.again],
                  [output.step for output in self._status.outputs if output in left
                   or (output.step in self._stale and output.freshness is not Freshness.FRESH)])
        said: dict[int, NoCommandError] = {}
        failed: list[str] = []
        self._refused = {step for step in itertools.chain(*groups) if self._is_past_mending(step)}
        for step in dict.fromkeys(itertools.chain.from_iterable(map(self._in_order, groups))):
            try:
                goes_on = step in groups[0] and step not in self._stale
                command = self._begin_somehow(step, by_hand, Own.KEPT if goes_on else Own.AS_IT_WAS)
            except NoCommandError as error:
                said[step] = error
                if EDITED not in self._stale.get(step, ""):  # what it made of what was edited since can be read
                    self._refused.add(step)
                continue
            if not command.startswith(LOOK):
                return command
            failed.append(command)
            self._refused.add(step)
        if failed:
            return failed[0]
        asked = {output.step for output in wrong}
        raise min(said.items(), key=lambda item: item[0] not in asked, default=(0, NoCommandError(
            "what earlier versions were made from is not there any more")))[1]

    def _in_order(self, steps: Iterable[int]) -> list[int]:
        """Steps in the order in which they ran last, but for those that no command mends."""
        return sorted((step for step in set(steps) if not self._is_past_mending(step)),
                      key=lambda step: self._jobs[step].row_id)

    def _is_past_mending(self, step: int) -> bool:
        """Whether a step would leave what it has left of what is gone, or find the earlier versions again.

        Not where it has lost a symlink, which may be made to lead elsewhere.
        """
        return self.ran_without(step) or (
            self._is_outdated(step) and not self._finds_less(step) and not self._is_led_elsewhere(step)
            and not self._makers_of_gone_links(step))

    def ran_without(self, step: int) -> bool:
        """Whether a step ran well without the input whose loss makes it stale: what took from it has to run again."""
        gone = _IS_GONE.fullmatch(self._stale.get(step, ""))
        return gone is not None and self._ended_well(step) and gone[1] not in self._paths_read(step)

    def _is_outdated(self, step: int) -> bool:
        return self._stale.get(step, "").endswith(OUTDATED)

    def _finds_less(self, step: int) -> bool:
        """Whether something that a step had found is not there any more, which its command does not name."""
        gone = [path for path in self._paths_read(step)
                if not is_location(path) and not os.path.lexists(self._workspace.absolute(path))]
        return bool(gone) and not any(word in path for word in self._jobs[step].command[1:] for path in gone)

    def _is_led_elsewhere(self, step: int) -> bool:
        """Whether a symlink leads a step to something else now than its last job found."""
        return any(find_repointed(self._database, self._workspace, [self._jobs[step].row_id]))

    def _is_put_back(self, path: str) -> bool:
        """Whether git has put an earlier version of an output there, as by a checkout: then nothing is lost with it.

        That is one that a job had written at this path. Another one somebody has made and committed, as a correction;
        so may any file of a folder be, which are not looked at one by one.
        """
        place = self._workspace.absolute(path)
        folder, name = os.path.split(place)
        if not name or (run_git(folder, "cat-file", "-e", f"HEAD:./{name}") is None
                        or run_git(folder, "diff", "--quiet", "HEAD", "--", name) is None):
            return False
        return holds(self._database, place, {digest.hex() for (digest,) in self._database.execute(
            "SELECT digest FROM file_written JOIN path ON path.id = path_id JOIN artifact ON artifact.id = artifact_id"
            " WHERE path.path = CAST(? AS TEXT)", (encoded(path),))})

    def _begin_somehow(self, step: int, by_hand: set[int], own: Own) -> str:
        """What a step needs first, by the one that ran it where that has to run again anyway, if that is possible."""
        if self._stale_runner(step) is not None:
            with contextlib.suppress(NoCommandError):
                command = self._begin(step, by_hand, own)
                if not command.startswith(LOOK):
                    return command
        return self._begin(step, by_hand, own, alone=True)

    def _stale_runner(self, step: int) -> int | None:
        """The outermost step that ran another one when it ran last, and that is stale."""
        return next((outer for outer in find_runners(self._database, self._session, [self._jobs[step].row_id])
                     if outer in self._stale), None)

    def _begin(self, first: int, by_hand: set[int], own: Own, *, alone: bool = False) -> str:
        """What a step needs first: all that it takes inputs from, and what makes those of its inputs that are gone.

        Refused where a root input is gone, without which a step would only spoil what it has made, where somebody has
        edited what a step would write over, and where it would read what was edited in place since: it was made from
        what that had been. In place of what cannot run by itself stands the step that runs it; so it is for what is
        not to run `alone` where that is stale as well.
        """
        step = first
        passed: set[int] = set()
        stands_in = False  # a step for one that it runs
        while True:
            runner = None if alone else self._stale_runner(step)
            if runner is None or runner in passed:
                runner = None
                try:
                    plan = self._plan(step, own)
                except OuterRunsItError as error:
                    if error.outer in passed:
                        raise
                    runner = error.outer
            if runner is not None:
                stands_in = True
                passed |= {step, *find_run(self._database, self._jobs[runner].row_id)}
                step = runner
                continue
            if plan is None:
                return f"{LOOK}@{step}"
            self._refuse_edited(step, plan.steps)
            self._refuse_barred(plan.steps, by_hand)
            passed.update(plan.steps)
            before = self._find_before(plan.steps, passed, own)
            if before is None:
                is_alone = {*plan.steps} == {step} and not plan.removed and not plan.room
                if is_alone and self._is_done(step) and (not stands_in or self._is_done_within(step)):
                    raise NoCommandError(self._why_not_again(step))
                if plan.lacks and not self._is_outdated(step):
                    plan.refuse_lack(but=self._dispensable(plan.lacks))
                return " && ".join(plan.commands())
            step = before

    def _plan(self, step: int, own: Own) -> Plan | None:
        """What to run for a step; None where it failed for good."""
        room = self._reruns.make_room(step)
        if room is not None:
            return room
        if self._failed_for_good(step):
            return None
        plan = self._reruns.plan(step, self._stale, own)
        if own is not Own.KEPT and {*plan.steps} == {step}:
            plan = self._reruns.start_over(step) or plan
        return plan

    def _find_before(self, steps: Sequence[int], passed: Container[int], own: Own) -> int | None:
        """The step that has to run before some, other than those that were thought of."""
        return next((before for step in steps for before in (
            self._waits_for(step), *self._makers_of_gone(step), *self._makers_of_gone_links(step),
            *self._stale_pointers(step), *self._stale_makers(step))
                     if before is not None and before not in passed and not self.ran_without(before)
                     and not self._does_without(step, before) and not self._is_done(before)
                     and not self._is_stale_through(before, step) and not self._is_run_by(steps, before, own)), None)

    def _dispensable(self, lacks: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Of what is gone, and steps had read, that which they can do without: their commands do not name it.

        It is not made any more, or a step that feeds this one had read it as well, and has ended well without it
        since: that may choose what is read.
        """
        return {(path, step) for path, step in lacks
                if not any(is_named(os.path.basename(path), word) for word in self._jobs[step].command) and (
                    path in self._status.orphans or any(map(partial(self._does_without_now, path),
                                                            self._makers(step))))}

    def _does_without_now(self, path: str, step: int) -> bool:
        """Whether a step once read a file, but not when it ran last, and ended well."""
        if not self._ended_well(step) or (step in self._stale and not self.ran_without(step)):
            return False
        folders = [path[:at + 1] for at, letter in enumerate(path) if letter == "/"]
        readers = {job for folder in ("", *folders) for (job,) in self._database.execute(_READERS, {
            "job": self._jobs[step].row_id, "path": encoded(folder or path),
            "member": encoded(path[len(folder):]) if folder else None})}
        return bool(readers) and self._jobs[step].row_id not in readers

    def _is_stale_through(self, step: int, cause: int) -> bool:
        """Whether a step is stale only as another one is, by way of others."""
        seen = {step}
        while (of := waits_for(self._stale.get(step, ""))) is not None and of not in seen:
            if of == cause:
                return True
            seen.add(of)
            step = of
        return False

    def _is_run_by(self, steps: Collection[int], inner: int, own: Own) -> bool:
        """Whether a step cannot run by itself, and one of some others runs it with what it needs."""
        if not any(inner in self._runs_itself(step) for step in steps):
            return False
        try:
            self._plan(inner, own)
        except OuterRunsItError as error:
            return error.outer in steps
        except NoCommandError:
            pass  # said where it is asked for
        return False

    def _does_without(self, step: int, maker: int) -> bool:
        """Whether a step can run without what another one had made, and cannot make again, and that is gone, too."""
        if not _ROOT_IS_GONE.fullmatch(self._stale.get(maker, "")):
            return False
        made = {output.path: output.freshness for output in self._status.outputs if output.step == maker}
        read = self._paths_read(step)
        taken = [path for path in read if path in made]
        return bool(taken) and all(made[path] is Freshness.GONE and is_one_of_many(
            self._workspace, path, read, self._jobs[step].command) for path in taken)

    def _is_done(self, step: int) -> bool:
        """Whether a step ended well after all that it ever read, or went through, was there as it is now.

        It would make the same again: what is stale of it is an earlier version, or made of one. Not where something of
        it is to be made again anyway, where it passes over what has changed, and where what it runs itself has read
        that.
        """
        if step not in self._done:
            reason = self._stale.get(step, "")
            self._done[step] = BESIDE not in reason and not reason.endswith(WAS_PRINTED) and self._ended_well(
                step) and self._reruns.start_over(step) is None and all(
                output.freshness in {Freshness.FRESH, Freshness.STALE}
                for output in self._status.outputs if output.step == step) and not self._lacks_links(
                    step) and self._has_seen_all(step)
        return self._done[step]

    def _lacks_links(self, step: int) -> bool:
        """Whether a symlink that the last job of a step made is gone."""
        return any(not os.path.lexists(self._workspace.absolute(path)) for (path,) in self._database.execute(
            "SELECT path.path FROM symlink JOIN path ON path.id = path_id WHERE job_id = ? AND made = 1",
            (self._jobs[step].row_id,)))

    def _is_done_within(self, step: int) -> bool:
        """Whether all that a step runs has seen what is there now, and failed for good where it failed."""
        return all((self._ended_well(one) or self._failed_for_good(one)) and self._has_seen_all(
            one, but=given_paths(self._database, [self._jobs[one].row_id])) for one in self._runs_itself(step))

    def _runs_itself(self, step: int) -> set[int]:
        """The other steps that a step ran when it ran last."""
        return find_run(self._database, self._jobs[step].row_id) & self._jobs.keys() - {step}

    def _why_not_again(self, step: int) -> str:
        """Why a step that is done is not to run again: it would find what an earlier run of another one left there."""
        read = set(self._paths_read(step))
        again = self._stale.keys() | self._runs_itself(step)
        return next((f"@{step} would read {output.path}, which an earlier run of @{output.step} left:"
                     " move that away first" for output in self._status.outputs if output.path in read
                     and output.step not in again and output.freshness is Freshness.STALE),
                    f"@{step} would make the same again")

    def _has_seen_all(self, step: int, but: Container[str] = ()) -> bool:
        """Whether nothing that a step ever read was touched since its last job began, or ended where that wrote it.

        What a job that it ran has written it has written itself. What is gone, and that job did not read, it did
        without. Nothing is said of some paths.
        """
        last = self._jobs[step]
        ended, = self._database.execute("SELECT ended_at FROM job WHERE id = ?", (last.row_id,)).fetchone()
        written = {place for job in (last.row_id, *find_inner(self._database, [last.row_id]))
                   for place in self._database.execute(_WRITTEN, {"job": job})}
        began, end = map(datetime.fromisoformat, (last.started_at, ended))
        for path, member, is_read in self._database.execute(_SEEN, {"job": last.row_id}):
            touched = self._touched_at(path if member is None else members_folder(path) + member)
            if path not in but and ((is_read and not is_location(path)) if touched is None else touched > (
                    end if (path, member) in written else began)):
                return False
        return not self._is_led_elsewhere(step) and self._finds_the_same(last.row_id, {path for path, _ in written})

    def _finds_the_same(self, job_id: int, but: Container[str]) -> bool:
        """Whether what a job read lies there as it did, some paths aside: a folder may have been put in its place."""
        rows = self._database.execute(
            "SELECT path.path, artifact_id FROM file_read JOIN path ON path.id = path_id"
            " WHERE job_id = ? AND artifact_id IS NOT NULL", (job_id,)).fetchall()
        return all(path in but or is_location(path) or not os.path.lexists(self._workspace.absolute(place_of(path)))
                   or lies_at(self._database, self._workspace, path, artifact_id) for path, artifact_id in rows)

    def _touched_at(self, path: str) -> datetime | None:
        """When a file, or a symlink, was put or changed where it lies; None where there is none."""
        try:
            return datetime.fromtimestamp(os.lstat(self._workspace.absolute(path)).st_ctime, UTC)
        except OSError:
            return None

    def _waits_for(self, step: int) -> int | None:
        """The step before which another one is not to run: it is stale itself, and that takes something from it."""
        reason = self._stale.get(step, "")
        again = _WRITTEN_AGAIN.search(reason)
        writer = self._stale.get(int(again[1])) if again else None
        return int(again[1]) if again and writer is not None and EDITED not in writer else waits_for(reason)

    def _stale_pointers(self, step: int) -> list[int]:
        """The steps that made symlinks for another one's last job, and are stale: they may make others."""
        makers = {pointed.maker for pointed in load_pointed(self._database, [self._jobs[step].row_id])}
        return [number for (number,) in self._database.execute(
            "SELECT DISTINCT number FROM job JOIN step ON step.id = step_id WHERE session_id = ?"
            " AND job.id IN (SELECT value FROM json_each(?)) ORDER BY number", (self._session, json.dumps([*makers])))
            if number in self._stale]

    def _stale_makers(self, step: int) -> list[int]:
        """The stale steps that a step took inputs from, and that ran again since: it comes after them all the same.

        A step that is stale by itself does not say that it waits for another one. Not where steps feed each other.
        """
        return sorted(maker for maker in self._makers(step) & self._stale.keys()
                      if self._jobs[maker].row_id > self._jobs[step].row_id and not self._is_past_mending(maker)
                      and step not in self._all_makers(maker))

    def _makers(self, step: int) -> set[int]:
        """The other steps of which the last job of a step took something."""
        if step not in self._made_by:
            self._made_by[step] = {of for (of,) in self._database.execute(
                MAKERS, (self._jobs[step].row_id, self._session))} & self._jobs.keys() - {step}
        return self._made_by[step]

    def _all_makers(self, step: int) -> set[int]:
        found: set[int] = set()
        pending = {step}
        while pending:
            pending = {maker for one in pending for maker in self._makers(one)} - found
            found |= pending
        return found

    def _makers_of_gone_links(self, step: int) -> list[int]:
        """The steps that were the last to touch the symlinks which another one's last job found, if they made them.

        Only of such as are gone now.
        """
        row = self._jobs[step].row_id
        links = load_links(self._database, self._workspace, [row]).get(row, {})
        gone = [self._workspace.relative(place) for place in links if read_link(place) is None]
        makers = (self._database.execute(_LAST_TO_TOUCH, (encoded(path),)).fetchone() for path in gone)
        return list(dict.fromkeys(number for number, session, made in filter(None, makers)
                                  if session == self._session and made == 1 and number != step))

    def _refuse_edited(self, step: int, planned: Sequence[int]) -> None:
        """Refuse a step that is stale only as what it, or one before it, had read was edited then: it stays so."""
        reasons = {one: self._stale[one] for one in (step, *planned) if one in self._stale}
        edited = next((one for one, reason in reasons.items() if EDITED in reason), None)
        if edited is not None and (edited == step or all(EDITED in reason or waits_for(reason) in reasons
                                                         for reason in reasons.values())):
            raise NoCommandError(f"@{edited} would read what was edited since, and not what it had read")

    def _refuse_barred(self, steps: Sequence[int], by_hand: set[int]) -> None:
        for step in steps:
            reason = self._stale.get(step, "")
            self._refuse_unmended(step)
            for one in (step, *sorted(self._runs_itself(step))):
                self._refuse_gone(one)
            unreadable = _ROOT_IS_UNREADABLE.fullmatch(reason)
            if unreadable:
                raise NoCommandError(f"{unreadable[1]} cannot be read, which @{step} needs")
            if step in self._unreadable:
                raise NoCommandError(f"{self._unreadable[step]}, which @{step} wrote, cannot be read")
            if step in by_hand:
                raise NoCommandError(f"what @{step} wrote was changed since, and would be written over")
            refuse_secret(f"@{step}", self._jobs[step].command)

    def _refuse_gone(self, step: int) -> None:
        gone = _ROOT_IS_GONE.fullmatch(self._stale.get(step, ""))
        if gone and not is_one_of_many(self._workspace, gone[1], self._paths_read(step), self._jobs[step].command):
            raise NoCommandError(f"{gone[1]} {GONE}, which @{step} needs")

    def _refuse_unmended(self, step: int) -> None:
        """Refuse a step that would read what another one has to make again, for which there is no command.

        Where that is gone, it cannot be read: see `_find_before`.
        """
        unmended = {output.path for output in self._status.outputs if output.step in self._refused - {step}
                    and output.freshness not in {Freshness.FRESH, Freshness.GONE}}
        path = next((path for path in self._paths_read(step) if path in unmended), None) if unmended else None
        if path is not None:
            raise NoCommandError(f"@{step} would read {path}, which is not up to date")

    def _paths_read(self, step: int) -> list[str]:
        return paths_read(self._database, self._jobs[step].row_id)

    def _failed_for_good(self, step: int) -> bool:
        """Whether a step failed by itself, and would again as far as can be seen."""
        last = self._jobs[step]
        return (last.state == JobState.DONE and not self._ended_well(step) and not is_worth_a_try(
            self._database, self._workspace, load_job(self._database, last.row_id)))

    def _ended_well(self, step: int) -> bool:
        return self._jobs[step].state == JobState.DONE and self._jobs[step].exit_code == 0

    def _makers_of_gone(self, number: int) -> list[int]:
        """The steps that made inputs of another one's last job, where these inputs are gone.

        Such a step may have used other names when it ran last: then what that left is gone, too.
        """
        gone = {output.path: output.step for output in self._status.outputs
                if output.freshness is Freshness.GONE and output.path not in self._status.orphans}
        read = self._paths_read(number) if gone else []
        found = [gone[path] for path in read if gone.get(path, number) != number]
        if any(path not in gone and not is_location(path) and not os.path.lexists(self._workspace.absolute(
                place_of(path))) for path in read):
            makers = {of for (of,) in self._database.execute(MAKERS, (self._jobs[number].row_id, self._session))}
            found += sorted(makers & {*gone.values()} - {number, *found})
        return found
