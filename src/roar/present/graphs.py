"""Graphs as text: a session's steps as a tree, and the jobs around one artifact.

A tree puts each step below the last of the steps that it took inputs from: the one with the longest way to it. The
last follower of a step continues it straight below (`↳`), so that a long chain stays narrow; like followers of one
step are folded into one line.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from roar.present.jobs import SHORT, command_of, meanwhile_text, outcome, outcome_colour
from roar.present.order import depths, sources_in_order
from roar.present.text import (
    columns_of,
    count_text,
    cut,
    duration_text,
    on_one_line,
    paint,
    printable,
    short_command,
    table,
    time_text,
    width,
)
from roar.query.graph import GraphArtifact, Step
from roar.query.history import JobLine
from roar.query.likeness import likeness
from roar.query.lineage import Hop, Lineage, Link, Source
from roar.wire import size_text

FOLD = 4
"""How many like followers of one step are shown one by one."""

Earlier = Mapping[int, Sequence[JobLine]]
"""By number of a step its earlier jobs."""

_NAMES = 3
_COMMAND = 20
_OUTPUTS = 12
_MAKERS = 5
_SHOWN = 12


@dataclass(slots=True)
class _Node:
    """One line of the tree: like steps, and what follows them.

    Attributes:
        others: numbers of the steps that these took inputs from and do not stand below.
    """

    steps: list[Step]
    others: list[int]
    children: "list[_Node]"


class _Line(NamedTuple):
    """A line of the tree: what stands in front of the command, the command, its outputs, and what is behind these.

    `is_cut` says whether there are more outputs than those.
    """

    head: str
    command: str
    made: str = ""
    behind: str = ""
    is_cut: bool = False

    def fitting(self, columns: int | None, *, every_output: bool) -> str:
        """The line in so many columns: the command is cut down before the outputs are, what is behind them last."""
        if columns is None:
            return f"{self.head}{self.command}{self.made}{self.behind}"
        room = columns - columns_of(self.head + self.behind)
        least = min(columns_of(self.command), _COMMAND)
        made = self.made if every_output else cut(self.made, max(room - least, _OUTPUTS))
        command = cut(self.command, max(room - columns_of(made), least if every_output else 1))
        text = f"{self.head}{command}{made}{self.behind}"
        return text if every_output else cut(text, columns)


def render_dag(steps: Sequence[Step], earlier: Earlier | None = None, *, command: str = "roar dag") -> str:
    """The steps of a session as a tree; with their earlier jobs nothing is folded: every job has its own line.

    Args:
        steps: of the session.
        earlier: by number of a step its earlier jobs.
        command: what shows this graph.

    On a terminal each line is cut to its width, the command first; with the earlier jobs only the command.
    """
    parents = _parents(steps)
    roots, folded = _nodes(steps, parents, unfold=earlier is not None)
    columns = width()
    shown = _Cut(FOLD if earlier is None else None, command)
    found = [line for node in roots for line in _iter_lines(node, "", earlier, shown)]
    lines = [line.fitting(columns, every_output=earlier is not None) for line in found]
    if any(line.is_cut or line.made + line.behind not in text for line, text in zip(found, lines, strict=True)):
        lines.append(paint(f"Outputs are cut; all of them in full: {command} --all", "dim"))
    if folded:
        lines.append(paint(f"Like steps are folded; each by itself: {command} --all", "dim"))
    return "".join(f"{line}\n" for line in lines)


def _parents(steps: Sequence[Step]) -> dict[int, int]:
    """By step the one that it stands below, so that nothing stands beside or above what it took inputs from."""
    sources = sources_in_order(steps)
    depth = depths(sources)
    return {number: max(before, key=lambda source: (depth[source], source))
            for number, before in sources.items() if before}


def _nodes(steps: Sequence[Step], parents: dict[int, int], *, unfold: bool) -> tuple[list[_Node], bool]:
    """The tree, and whether any of it is folded; iterative, for a chain may be as long as the session."""
    below: dict[int, list[Step]] = {}
    for step in steps:
        below.setdefault(parents.get(step.number, 0), []).append(step)
    roots = _grouped(below.get(0, ()), parents, unfold=unfold)
    waiting = list(roots)
    folded = False
    while waiting:
        node = waiting.pop()
        folded = folded or len(node.steps) > 1
        followers = [child for step in node.steps for child in below.get(step.number, ())]
        node.children = _grouped(followers, parents, unfold=unfold)
        waiting += node.children
    return roots, folded


def _grouped(steps: Iterable[Step], parents: dict[int, int], *, unfold: bool) -> list[_Node]:
    """Nodes for followers of the same step or steps: one for all that are alike where these are many."""
    alike: dict[tuple[str, ...], list[Step]] = {}
    for step in steps:
        alike.setdefault((str(step.number),) if unfold else likeness(step.job.command), []).append(step)
    groups = []
    for members in alike.values():
        groups += [members] if len(members) > FOLD else [[step] for step in members]
    groups.sort(key=lambda members: members[0].number)
    return [_Node(members, _others(members, parents), []) for members in groups]


def _others(steps: Sequence[Step], parents: dict[int, int]) -> list[int]:
    above = {parents.get(step.number) for step in steps}
    return sorted({source for step in steps for source in step.sources} - above)


def _iter_lines(node: _Node, prefix: str, earlier: Earlier | None, shown: "_Cut") -> Iterator[_Line]:
    """The lines of a node and of all below it; `prefix` draws the tree in front of them."""
    stack: list[tuple[str, str, str, _Node]] = [(prefix, prefix, "●", node)]
    while stack:
        first, rest, mark, current = stack.pop()
        line = (_step_line(mark, current.steps[0], None if earlier is not None else _NAMES)
                if len(current.steps) == 1 else _folded_line(mark, current.steps))
        yield line._replace(head=first + line.head, behind=line.behind + _taken_text(current.others, shown))
        below = [_stale_text(current.steps)]
        below += [paint(f"  {earlier_text(job)}", "dim") for job in (earlier or {}).get(current.steps[0].number, ())]
        more = bool(current.children)
        for text in filter(None, below):
            yield _Line(rest + ("│ " if more else "  "), text)
        if current.children:
            stack.append((rest, rest, "↳", current.children[-1]))
        stack += [(f"{rest}├─", f"{rest}│ ", "●", child) for child in reversed(current.children[:-1])]


def _taken_text(others: Sequence[int], shown: "_Cut") -> str:
    """The steps that a node took inputs from and does not stand below."""
    if not others:
        return ""
    parts = _parts(others)
    if shown.most is None or len(parts) <= shown.most:
        return f"  (also from {', '.join(map(_part_text, parts))})"
    more = len(others) - sum(last - first + 1 for first, last in parts[:shown.most])
    listed = ", ".join(map(_part_text, parts[:shown.most]))
    return f"  (also from {listed} and {more:,} more: {shown.command} --all)"


def _step_line(mark: str, step: Step, most: int | None) -> _Line:
    """The line of a step, with the names of so many outputs; None: of all."""
    word = outcome(step.job.state, step.job.exit_code)
    state = "" if word == "ok" else f" {paint(word, outcome_colour(step.job.state, step.job.exit_code))}"
    runs = f" x{len(step.earlier) + 1}" if step.earlier else ""
    name = f"{printable(step.job.name)}: " if step.job.name else ""
    foreign = f"  (also from {count_text(len(step.foreign), 'job')} of earlier sessions)" if step.foreign else ""
    made, more = _outputs_texts(step, most)
    trackers = list(dict.fromkeys(run.label for run in step.job.tracker_runs))
    tracked = f" [{', '.join(map(printable, trackers))}]" if trackers else ""
    mark = paint(mark, "yellow" if step.stale else outcome_colour(step.job.state, step.job.exit_code))
    return _Line(f"{mark} {paint(f'@{step.number}', 'bold')}{runs}{state} {name}", command_of(step.job), made,
                 f"{more}{tracked}{foreign}", is_cut=bool(more))


def _folded_line(mark: str, steps: Sequence[Step]) -> _Line:
    words = [outcome(step.job.state, step.job.exit_code) for step in steps]
    counts = ", ".join(f"{words.count(word):,} {word}" for word in dict.fromkeys(words))
    stale = sum(step.stale is not None for step in steps)
    aside = f", {stale:,} stale" if stale else ""
    jobs = sum(len(step.earlier) + 1 for step in steps)
    times = "" if jobs == len(steps) else f" in {count_text(jobs, 'job')}"
    worst = next((step for step in steps if step.job.exit_code != 0), steps[0])
    mark = paint(mark, outcome_colour(worst.job.state, worst.job.exit_code))
    command = short_command(likeness(steps[0].job.command))
    numbers = paint(ranges([step.number for step in steps]), "bold")
    return _Line(f"{mark} {numbers} ", command, behind=f" …  {len(steps):,} steps{times}: {counts}{aside}")


def _stale_text(steps: Sequence[Step]) -> str:
    if len(steps) > 1 or steps[0].stale is None:
        return ""
    return paint(f"  stale: {on_one_line(steps[0].stale)}", "yellow")


def earlier_text(line: JobLine) -> str:
    """An earlier job of a step."""
    return (f"before: {line.uid[:8]}  {time_text(line.started_at)}  {duration_text(line.duration_s)}"
            f"  {outcome(line.state, line.exit_code)}")


def _outputs_texts(step: Step, most: int | None) -> tuple[str, str]:
    """The names of the first outputs of a step, all with None, and how many more there are."""
    if not step.outputs:
        return "", ""
    names = step.outputs[:most]
    more = f" +{step.job.outputs - len(names):,}" if step.job.outputs > len(names) else ""
    return f" → {', '.join(map(printable, names))}", more


def ranges(numbers: Sequence[int]) -> str:
    """Step numbers in short: `@2, @5..@190`."""
    parts = _parts(numbers)
    if len(parts) <= FOLD:
        return ", ".join(map(_part_text, parts))
    return f"{', '.join(map(_part_text, parts[:FOLD]))} … @{parts[-1][1]}"


def _parts(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of the numbers that follow each other."""
    parts: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1] = parts[-1][0], number
        else:
            parts.append((number, number))
    return parts


def _part_text(part: tuple[int, int]) -> str:
    first, last = part
    return f"@{first}" if first == last else f"@{first}..@{last}"


def render_lineage(lineage: Lineage, title: str, *, session: str | None, command: str, every_file: bool = False,
                   foreign: Mapping[tuple[str, str], Sequence[str]] | None = None) -> str:
    """The jobs around an artifact or a job, nearest first: what each took and from whom, or what it made.

    Args:
        lineage: as walked.
        title: what it is the lineage of, one line.
        session: uid of the current session: the steps of another are not called @N, as that would name another job.
        command: what gives this answer, without --all and --depth.
        every_file: list all files of each job, however many.
        foreign: by the uid of a job and the path of a dataset that it read, files in it that no recorded job made.
    """
    shown = _Cut(None if every_file else _SHOWN, command)
    steps = {job.uid: _name(job, session) for job in lineage.graph.jobs}
    up = [hop for hop in lineage.hops if hop.distance > 0]
    down = [hop for hop in lineage.hops if hop.distance < 0]
    lines = [paint(title, "bold")]
    if lineage.same_content:
        others = count_text(len(lineage.same_content), "other job")
        lines.append(f"  {others} wrote the very same content, the latest {lineage.same_content[0][:8]}:"
                     f" roar show {lineage.root[:SHORT]}")
    for hop in up:
        lines += ["", _hop_title(_verb(hop, lineage, "made by", "before it"), hop, steps)]
        lines += _source_lines(hop, steps, shown, foreign or {})
    for hop in down:
        lines += ["", _hop_title(_verb(hop, lineage, "used by", "after it"), hop, steps)]
        lines += shown.lines([*(f"    took  {_artifact_text(source.artifact)}" for source in hop.sources),
                              *(f"    took  {_PRINTED} by {steps.get(uid, uid[:8])}" for uid in hop.printed),
                              *(f"    took  {_link_text(link)} by {steps.get(link.maker, link.maker[:8])}"
                                for link in hop.links)])
        lines += shown.lines([f"    made  {_artifact_text(artifact)}" for artifact in hop.outputs])
    if not lineage.hops:
        lines.append("  nothing that is recorded lies that way")
    if lineage.folder_cut:
        lines += ["", "… the folder has more files than were taken: name one below it"]
    if lineage.cut:
        lines += ["", f"… there is more beyond this depth: {command}"]
    return "\n".join(lines) + "\n"


def _name(job: JobLine, session: str | None) -> str:
    step = f"@{job.step} " if job.session == session else ""
    return f"{step}{job.uid[:8]}"


def _verb(hop: Hop, lineage: Lineage, next_to_it: str, further: str) -> str:
    """What a job has to do with the root; it may be the root itself, or have written to it where that is a run."""
    if hop.job.uid in lineage.own:
        return "the job" if hop.job.uid == lineage.root else "made by"
    return next_to_it if abs(hop.distance) == 1 else further


def _hop_title(verb: str, hop: Hop, names: dict[str, str]) -> str:
    word = outcome(hop.job.state, hop.job.exit_code)
    return (f"{verb} {paint(names[hop.job.uid], 'bold')}  {time_text(hop.job.started_at)}"
            f"  {paint(word, outcome_colour(hop.job.state, hop.job.exit_code))}  {command_of(hop.job)}")


class _Cut(NamedTuple):
    """How long a list may be, None for any length, and the command that shows all."""

    most: int | None
    command: str

    def lines(self, lines: list[str]) -> list[str]:
        if self.most is None or len(lines) <= self.most:
            return lines
        return [*lines[:self.most], f"    … and {len(lines) - self.most:,} more: {self.command} --all"]

    def makers(self, names: Sequence[str]) -> str:
        if self.most is None or len(names) <= _MAKERS:
            return ", ".join(names)
        return f"{', '.join(names[:_MAKERS])} and {len(names) - _MAKERS:,} more: {self.command} --all"


def _source_lines(hop: Hop, steps: dict[str, str], shown: _Cut, foreign: Mapping[tuple[str, str], Sequence[str]]
                  ) -> list[str]:
    """Inputs that a recorded job made come first: the rest of the lineage hangs on them."""
    rows = [(f"    from  {_artifact_text(source.artifact)}",
             f"← {shown.makers([steps.get(uid, uid[:8]) for uid in source.makers])}"
             + _foreign_text(foreign.get((hop.job.uid, source.artifact.path), ()), hop.job))
            for source in hop.sources if source.makers]
    rows += [(f"    from  {_PRINTED}", f"← {steps.get(uid, uid[:8])}") for uid in hop.printed]
    rows += [(f"    from  {_link_text(link)}", f"← {steps.get(link.maker, link.maker[:8])}") for link in hop.links]
    rows += [(f"    from  {_artifact_text(source.artifact)}", paint(_unmade_text(source, steps), "dim"))
             for source in hop.sources if not source.makers]
    rows += [(f"    from  {printable(path)}  {paint('no digest', 'dim')}", paint(printable(note or ""), "dim"))
             for path, note in hop.unknown]
    return shown.lines(table(rows)) or ["    from  nothing that was observed"]


_PRINTED = "what was printed"  # and taken by a pipe


def _link_text(link: Link) -> str:
    more = f" and {link.links - 1:,} more" if link.links > 1 else ""
    return f"symlink {printable(link.path)} → {printable(link.target)}{more}"


def _unmade_text(source: Source, steps: dict[str, str]) -> str:
    if source.meanwhile is None:
        return "nothing recorded made it"
    return meanwhile_text(steps.get(source.meanwhile, f"job {source.meanwhile[:8]}"))


def _foreign_text(names: Sequence[str], reader: JobLine) -> str:
    """What to say of the files in a dataset that no recorded job made."""
    if not names:
        return ""
    first = printable(names[0])
    if len(names) == 1:
        return f", but nothing recorded made {first}"
    return f", but nothing recorded made {len(names):,} of its files, as {first}: roar inputs {reader.uid[:8]}"


def _artifact_text(artifact: GraphArtifact) -> str:
    files = f", {count_text(artifact.files, 'file')}" if artifact.files is not None else ""
    return f"{printable(artifact.path)}  {paint(artifact.digest[:SHORT], 'dim')}  {size_text(artifact.size)}{files}"
