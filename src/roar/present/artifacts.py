"""Artifacts, sessions and the state of outputs as text."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from roar.present.jobs import SHORT, command_of, outcome, outcome_colour, render_log
from roar.present.text import count_text, on_one_line, paint, printable, table, time_text
from roar.query.artifacts import Artifact, ArtifactUse
from roar.query.folders import Folder
from roar.query.freshness import Freshness, Output, Status
from roar.query.graph import GraphArtifact, Step
from roar.query.history import line_of_unrecorded
from roar.query.running import RunningJob
from roar.query.sessions import Session
from roar.wire import DatasetMember, size_text

_Item = TypeVar("_Item")
_SHOWN = 20
_COLOURS = {Freshness.STALE: "yellow", Freshness.CHANGED: "yellow", Freshness.GONE: "red",
            Freshness.UNREADABLE: "red", Freshness.FRESH: "green"}
_NOT_FRESH = (Freshness.STALE, Freshness.CHANGED, Freshness.GONE, Freshness.UNREADABLE)


class Cut(NamedTuple):
    """After how many items a list is cut, None for never, and the command that shows all."""

    most: int | None
    command: str

    def line(self, number: int) -> list[str]:
        """What to say below a list of so many."""
        return [] if self.most is None or number <= self.most else [
            f"    … and {number - self.most:,} more: {self.command} --all"]


def cut_of(command: str, *, everything: bool) -> Cut:
    """How the lists of an answer are cut that this command gives, without `--all`."""
    return Cut(None if everything else _SHOWN, command)


def render_artifact(artifact: Artifact, *, session: str | None, shown: Cut) -> str:
    """An artifact: names, who made it, who used it, and the members of a dataset.

    Args:
        artifact: as loaded.
        session: uid of the current session: the steps of another are not called @N, as that would name another job.
        shown: how lists are cut.
    """
    members = f", {count_text(artifact.files, 'file')}" if artifact.files is not None else ""
    lines = [f"{artifact.kind} {artifact.digest}  {size_text(artifact.size)}{members}"]
    lines += _section("names", artifact.names, lambda names: list(map(printable, names)), shown)
    use_lines = partial(_use_lines, session=session, within=artifact.files is None)
    lines += _section("made by", artifact.produced_by, use_lines, shown) or ["  made by: nothing that is recorded"]
    lines += _section("used by", artifact.used_by, use_lines, shown)
    lines += _section("part of", artifact.datasets,
                      lambda digests: [f"dataset {digest[:SHORT]}" for digest in digests], shown)
    lines += _section("labels", tuple(artifact.labels.items()), _label_lines, Cut(None, ""))
    lines += _section("members", artifact.members, _member_lines, shown)
    return "\n".join(lines) + "\n"


def render_folder(folder: Folder, *, session: str | None, shown: Cut) -> str:
    """A folder: who made what is recorded in it, who used that, and what it is. Arguments as of `render_artifact`."""
    job_lines = partial(_job_lines, session=session)
    made, used = _by_job(folder.produced_by), _by_job(folder.used_by)
    lines = [f"folder {printable(folder.path)}  {size_text(folder.size)}, {count_text(folder.files, 'recorded file')}"]
    lines += _section("made by", made, job_lines, shown) or ["  made by: nothing that is recorded"]
    lines += _section("used by", used, job_lines, shown)
    lines += _section("recorded in it", folder.members, _member_lines, shown)
    lines += _section("no longer there", folder.gone, lambda names: list(map(printable, names)), shown)
    lines += _section("no longer as recorded", folder.changed, lambda names: list(map(printable, names)), shown)
    lines += ["  … it has more files than were taken: name one below it"] if folder.truncated else []
    return "\n".join(lines) + "\n"


def _section(title: str, items: Sequence[_Item], render: Callable[[Sequence[_Item]], list[str]], shown: Cut
             ) -> list[str]:
    """A titled list, perhaps cut: only what is shown is rendered, for there may be a million."""
    if not items:
        return []
    listed = items if shown.most is None else items[:shown.most]
    return [f"  {paint(title, 'dim')}", *(f"    {line}" for line in render(listed)), *shown.line(len(items))]


def _label_lines(labels: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{printable(key)}={printable(value)}" for key, value in labels]


def _member_lines(members: Sequence[DatasetMember | GraphArtifact]) -> list[str]:
    return table([(member.digest[:SHORT], size_text(member.size), printable(member.path)) for member in members],
                 right=(1,))


def _use_lines(uses: Sequence[ArtifactUse], session: str | None, *, within: bool) -> list[str]:
    return table([(f"@{use.step}" if use.session == session else "", use.job[:8], _use_text(use, within=within))
                  for use in uses])


def _by_job(uses: Sequence[ArtifactUse]) -> list[list[ArtifactUse]]:
    found: dict[str, list[ArtifactUse]] = {}
    for use in uses:
        found.setdefault(use.job, []).append(use)
    return list(found.values())


def _job_lines(jobs: Sequence[Sequence[ArtifactUse]], session: str | None) -> list[str]:
    """One line for each job, with the first of its uses."""
    more = [f" and {count_text(len(uses) - 1, 'other')}" if len(uses) > 1 else "" for uses in jobs]
    lines = _use_lines([uses[0] for uses in jobs], session, within=False)
    return [line + rest for line, rest in zip(lines, more, strict=True)]


def _use_text(use: ArtifactUse, *, within: bool) -> str:
    """Where the job used it, and whether that was all of it and it alone."""
    place = printable(use.path)
    if use.role == "payload":
        return f"as {place} (in a tracker's store)"
    if use.used_as is None:
        return f"as {place}"
    return f"as {place} (in dataset {use.used_as[:SHORT]})" if within else f"part of it: {place}"


def render_sessions(sessions: Sequence[Session]) -> str:
    """Sessions, one line each."""
    rows = [(session.uid[:8], time_text(session.started_at), count_text(session.jobs, "job"),
             " ".join(f"{printable(key)}={printable(value)}" for key, value in session.labels.items()))
            for session in sessions]
    return "".join(f"{line}\n" for line in table(rows, right=(2,)))


def render_unrecorded(running: Sequence[RunningJob], waiting: int) -> str:
    """The jobs that run, and how many others wait to be recorded; "" where there are none."""
    jobs = render_log([line_of_unrecorded(one.job) for one in running]).splitlines()
    lines = [f"{count_text(len(running), 'job')} running", *(f"  {line.strip()}" for line in jobs)] if running else []
    if waiting > 0:
        lines.append(f"{count_text(waiting, 'job')} not recorded yet: roar recover")
    return "".join(f"{line}\n" for line in lines)


def render_status(session: Session, status: Status, running: Sequence[RunningJob] = (), waiting: int = 0, *,
                  everything: bool = False) -> str:
    """The session at a glance: its size, what did not end well, and outputs that are not fresh."""
    size = f"{count_text(len(status.steps), 'step')}, {count_text(session.jobs, 'job')}"
    lines = [f"session {session.uid[:8]}  {size}, since {time_text(session.started_at)}"]
    lines += render_unrecorded(running, waiting).splitlines()
    failed = [step for step in status.steps if step.job.state != "done" or step.job.exit_code != 0]
    shown = cut_of("roar status", everything=everything)
    lines += _section("last attempt did not end well", failed, _failed_lines, shown)
    for state in _NOT_FRESH:
        found = [output for output in status.outputs if output.freshness is state]
        lines += _section(state.value, found, _output_lines, shown)
    fresh = sum(output.freshness is Freshness.FRESH for output in status.outputs)
    lines.append(f"{count_text(fresh, 'output')} up to date")
    return "\n".join(lines) + "\n"


def _failed_lines(steps: Sequence[Step]) -> list[str]:
    return table([(f"@{step.number}", paint(outcome(step.job.state, step.job.exit_code),
                                            outcome_colour(step.job.state, step.job.exit_code)),
                   command_of(step.job)) for step in steps])


def _output_lines(outputs: Sequence[Output]) -> list[str]:
    return table([(paint(printable(output.path), _COLOURS[output.freshness]), f"@{output.step}",
                   on_one_line(output.reason or "")) for output in outputs])
