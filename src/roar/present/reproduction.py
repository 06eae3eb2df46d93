"""A plan, and how its outcome compares, as text."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from roar.model import Job, Redirections
from roar.present.text import command_text, count_text, paint, printable
from roar.query.placements import Step
from roar.query.reproduction import Plan
from roar.query.roots import Root
from roar.shell import quoted, quoted_path
from roar.wire import size_text

SHOWN = 20


class Compared(NamedTuple):
    """One output of a reproduction: `same`, `differs` or `missing`.

    One that is the same may not have been written: it lay there as an input or an earlier output.
    """

    path: str
    outcome: str
    digest: str | None
    found: str | None
    written: bool


def render_plan(plan: Plan, whole: str) -> str:
    """The steps to take, in order, for a person to read or to follow by hand.

    Args:
        plan: as made.
        whole: the command that cuts no list.
    """
    lines = [paint(f"{count_text(len(plan.jobs), 'job')} to run again", "bold")]
    brought = set(plan.from_commits)
    first = {placed.root for step in plan.steps for placed in step.placements if placed.after is None}
    lines += _root_lines("before: have these inputs in place", [root for root in plan.roots if root in first], whole)
    lines += _root_lines("git brings these inputs", [root for root in plan.roots if root.path in brought],
                         whole)
    names = {job.uid: f"@{job.step} {job.uid[:8]}" for job in plan.jobs}
    for job, step in zip(plan.jobs, plan.steps, strict=True):
        lines.append(names[job.uid])
        if job.git is not None and job.git.commit is not None:
            lines.append(f"  git checkout {job.git.commit[:12]}{_patch_text(job, plan.within.get(job.uid, ()))}")
            lines += [f"  git checkout {job.git.commit[:12]} -- {quoted_path(path)}" for path in step.restored]
            lines += [f"  git checkout {later.commit[:12]} -- {quoted_path(later.path)}" for later in step.later]
        lines += [f"  {line}" for line in _step_lines(step, names, whole)]
        lines.append(f"  {_command_line(job)}")
        inner = [f"@{one.step} {one.uid[:8]}" for one in plan.within.get(job.uid, ())]
        lines += [f"  # runs {', '.join(inner[:SHOWN])}{_more(len(inner), whole)} itself"] if inner else []
    lines += [paint(f"cannot: {sentence}", "red") for sentence in plan.obstacles]
    lines += [f"note: {sentence}" for sentence in plan.doubts]
    return "\n".join(lines) + "\n"


def _patch_text(job: Job, within: Sequence[Job]) -> str:
    """Whose uncommitted changes come on top, each only once."""
    first: dict[str, Job] = {}
    for one in (job, *within):
        if one.git is not None and one.git.patch is not None:
            first.setdefault(one.git.patch, one)
    if not first:
        return ""
    others = [f"@{one.step} {one.uid[:8]}" for one in first.values() if one is not job]
    of = "" if not others else " of " if len(others) == len(first) else ", and that of "
    return f", then the recorded patch{of}{', '.join(others)}"


def _more(count: int, whole: str) -> str:
    return f" and {count - SHOWN} more ({whole})" if count > SHOWN else ""


def _command_line(job: Job) -> str:
    """What to type in the workspace's folder; the files that it is redirected to are named from there."""
    command = f"{'' if job.cwd == '.' else f'cd {quoted_path(job.cwd)} && '}{command_text(job.command)}"
    again = Redirections.of(job)
    files = [(sign, path) for sign, path in (("<", again.stdin), (">>" if again.appends else ">", again.stdout))
             if path is not None]
    if files and job.cwd != ".":
        command = f"({command})"
    return " ".join([command, *(f"{sign} {quoted(path)}" for sign, path in files)])


def _step_lines(step: Step, names: Mapping[str, str], whole: str) -> list[str]:
    """What is to be done between the code and the command of a job."""
    placed: dict[str, list[Root]] = {}
    for placement in step.placements:
        if placement.after is not None:
            placed.setdefault(names[placement.after], []).append(placement.root)
    lines = [line for name, roots in placed.items()
             for line in _root_lines(f"now, and not before {name} is done: put these inputs in place", roots, whole)]
    lines += [f"rm -f {quoted_path(link.path)}" for link in step.links if link.target is None]
    lines += [f"mkdir -p {' '.join(map(quoted_path, step.folders))}"] if step.folders else []
    return lines + [f"ln -sfn {quoted_path(link.target)} {quoted_path(link.path)}" for link in step.links
                    if link.target is not None]


def _root_lines(title: str, roots: Sequence[Root], whole: str) -> list[str]:
    if not roots:
        return []
    more = [f"  … and {len(roots) - SHOWN} more: {whole}"] if len(roots) > SHOWN else []
    return [title, *(f"  {(root.digest or 'unknown')[:12]}  {size_text(root.size):>9}  {printable(root.path)}"
                     for root in roots[:SHOWN]), *more]


def render_compared(results: Sequence[Compared], jobs: Sequence[Job]) -> str:
    """Each output that was compared, the differing ones first; where there was none, how the jobs ended again."""
    if not results:
        ends = ", ".join(f"@{job.step} {job.uid[:8]} ended with exit status {job.exit_code} again" for job in jobs)
        return f"no output to compare; {ends}\n"
    order = sorted(results, key=lambda result: (result.outcome == "same", result.path))
    lines = [f"  {result.outcome:<8} {(result.digest or '')[:12]} {printable(result.path)}{_not_written(result)}"
             for result in order]
    same = sum(result.outcome == "same" for result in results)
    return "\n".join([*lines, f"{same} of {count_text(len(results), 'output')} came out the same"]) + "\n"


def _not_written(result: Compared) -> str:
    return "" if result.written or result.outcome == "missing" else " - lay there already, not written again"
