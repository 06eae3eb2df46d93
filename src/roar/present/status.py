"""Sessions and the state of their outputs as text."""

from collections.abc import Sequence

from roar.present.cut import cut_of, section
from roar.present.jobs import command_of, outcome, outcome_colour, render_log
from roar.present.text import count_text, on_one_line, paint, printable, table, time_text
from roar.query.added import Added
from roar.query.freshness import Freshness, Output, Status
from roar.query.graph import Step
from roar.query.history import line_of_unrecorded
from roar.query.running import RunningJob
from roar.query.sessions import Session

_COLOURS = {Freshness.STALE: "yellow", Freshness.CHANGED: "yellow", Freshness.GONE: "red",
            Freshness.UNREADABLE: "red", Freshness.FRESH: "green"}
_NOT_FRESH = (Freshness.STALE, Freshness.CHANGED, Freshness.GONE, Freshness.UNREADABLE)


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


def render_status(session: Session, status: Status, added: Sequence[Added], running: Sequence[RunningJob] = (),
                  waiting: int = 0, *, everything: bool = False) -> str:
    """The session at a glance: its size, what did not end well, outputs that are not fresh, grown datasets."""
    size = f"{count_text(len(status.steps), 'step')}, {count_text(session.jobs, 'job')}"
    lines = [f"session {session.uid[:8]}  {size}, since {time_text(session.started_at)}"]
    lines += render_unrecorded(running, waiting).splitlines()
    failed = [step for step in status.steps if step.job.state != "done" or step.job.exit_code != 0]
    shown = cut_of("roar status", everything=everything)
    lines += section("last attempt did not end well", failed, _failed_lines, shown)
    for state in _NOT_FRESH:
        found = [output for output in status.outputs if output.freshness is state]
        lines += section(state.value, found, _output_lines, shown)
    lines += section("not read", added, _added_lines, shown)
    fresh = sum(output.freshness is Freshness.FRESH for output in status.outputs)
    lines.append(f"{count_text(fresh, 'output')} up to date")
    return "\n".join(lines) + "\n"


def _added_lines(added: Sequence[Added]) -> list[str]:
    return table([(paint(printable(one.folder + one.files[0]), "yellow")
                   + (f" and {len(one.files) - 1:,} more" if one.files[1:] else ""), f"@{one.step}",
                   f"put there since it read {printable(one.folder)}") for one in added])


def _failed_lines(steps: Sequence[Step]) -> list[str]:
    return table([(f"@{step.number}", paint(outcome(step.job.state, step.job.exit_code),
                                            outcome_colour(step.job.state, step.job.exit_code)),
                   command_of(step.job)) for step in steps])


def _output_lines(outputs: Sequence[Output]) -> list[str]:
    return table([(paint(printable(output.path), _COLOURS[output.freshness]), f"@{output.step}",
                   on_one_line(output.reason or "")) for output in outputs])
