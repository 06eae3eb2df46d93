"""The reproducibility checklist as text."""

from collections.abc import Sequence

from roar.present.text import on_one_line, paint, printable
from roar.query.checklist import NO_COMMAND, Item

_SHOWN = 5


def render_checklist(items: Sequence[Item], *, more: str | None = None) -> str:
    """One line for each item, what is wrong below it, and the command that mends it.

    Args:
        items: of the checklist.
        more: the command that cuts nothing; None for this one.
    """
    lines = []
    most = None if more is None else _SHOWN
    for item in items:
        mark = {True: paint("[x]", "green"), False: paint("[ ]", "red"), None: paint("[?]", "yellow")}[item.passed]
        lines.append(f"{mark} {item.title}" + (f": {more}" if item.rest and more is not None else ""))
        lines += [f"      {', '.join(item.rest)}"] if item.rest and more is None else []
        problems = [problem for problem in item.problems if not problem.startswith(NO_COMMAND)]
        lines += [f"      {printable(problem)}" for problem in problems[:most]]
        if most is not None and len(problems) > most:
            lines.append(f"      … and {len(problems) - most:,} more: {more}")
        lines += [f"      {printable(problem)}" for problem in item.problems if problem.startswith(NO_COMMAND)]
        if item.hint:
            lines.append(f"      try: {on_one_line(item.hint)}")
    return "".join(f"{line}\n" for line in lines)
