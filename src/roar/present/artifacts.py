"""Artifacts, sessions and the state of outputs as text."""

from collections.abc import Sequence

from roar.model import Kind
from roar.present.jobs import SHORT, outcome, outcome_colour
from roar.present.text import count_text, paint, printable, short_command, size_text, table, time_text
from roar.query.artifacts import Artifact, ArtifactUse
from roar.query.freshness import Freshness, Output, Status
from roar.query.sessions import Session

_SHOWN = 20
_COLOURS = {Freshness.STALE: "yellow", Freshness.CHANGED: "yellow", Freshness.GONE: "red", Freshness.FRESH: "green"}


def render_artifact(artifact: Artifact, *, everything: bool = False) -> str:
    """An artifact: names, who made it, who used it, and the members of a dataset; `everything` cuts no list."""
    most = None if everything else _SHOWN
    members = f", {count_text(artifact.files, 'file')}" if artifact.files is not None else ""
    lines = [f"{artifact.kind} {artifact.digest}  {size_text(artifact.size)}{members}"]
    lines += _section("names", [printable(name) for name in artifact.names], most)
    lines += _section("made by", _use_lines(artifact.produced_by), most) or ["  made by: nothing that is recorded"]
    lines += _section("used by", _use_lines(artifact.used_by), most)
    lines += _section("part of", [f"dataset {digest[:SHORT]}" for digest in artifact.datasets], most)
    labels = [f"{printable(key)}={printable(value)}" for key, value in artifact.labels.items()]
    lines += _section("labels", labels, None)
    if artifact.kind is Kind.DATASET:
        rows = [(member.digest[:SHORT], size_text(member.size), printable(member.path)) for member in artifact.members]
        lines += _section("members", table(rows, right=(1,)), most)
    return "\n".join(lines) + "\n"


def _section(title: str, lines: Sequence[str], most: int | None) -> list[str]:
    if not lines:
        return []
    listed = lines if most is None else lines[:most]
    more = [f"    … and {len(lines) - len(listed):,} more: --all"] if len(listed) < len(lines) else []
    return [f"  {paint(title, 'dim')}", *(f"    {line}" for line in listed), *more]


def _use_lines(uses: Sequence[ArtifactUse]) -> list[str]:
    return table([(f"@{use.step}", use.job[:8], "as " + printable(use.path)
                   + (" (in a tracker's store)" if use.role == "payload" else "")) for use in uses])


def render_sessions(sessions: Sequence[Session]) -> str:
    """Sessions, one line each."""
    rows = [(session.uid[:8], time_text(session.started_at), count_text(session.jobs, "job"),
             " ".join(f"{printable(key)}={printable(value)}" for key, value in session.labels.items()))
            for session in sessions]
    return "".join(f"{line}\n" for line in table(rows, right=(2,)))


def render_status(session: Session, status: Status, pending: int, *, everything: bool = False) -> str:
    """The session at a glance: its size, what did not end well, and outputs that are not fresh."""
    size = f"{count_text(len(status.steps), 'step')}, {count_text(session.jobs, 'job')}"
    lines = [f"session {session.uid[:8]}  {size}, since {time_text(session.started_at)}"]
    if pending:
        lines.append(f"{count_text(pending, 'job')} running or not recorded yet: roar recover")
    failed = [step for step in status.steps if step.job.state != "done" or step.job.exit_code != 0]
    rows = [(f"@{step.number}", paint(outcome(step.job.state, step.job.exit_code),
                                      outcome_colour(step.job.state, step.job.exit_code)),
             short_command(step.job.command)) for step in failed]
    lines += _section("last attempt did not end well", table(rows), None if everything else _SHOWN)
    for state, title in ((Freshness.STALE, "stale"), (Freshness.CHANGED, "changed"), (Freshness.GONE, "gone")):
        lines += _section(title, _output_lines(status, state), None if everything else _SHOWN)
    fresh = sum(output.freshness is Freshness.FRESH for output in status.outputs)
    lines.append(f"{count_text(fresh, 'output')} up to date")
    return "\n".join(lines) + "\n"


def _output_lines(status: Status, state: Freshness) -> list[str]:
    outputs: list[Output] = [output for output in status.outputs if output.freshness is state]
    return table([(paint(printable(output.path), _COLOURS[state]), f"@{output.step}", printable(output.reason or ""))
                  for output in outputs])
