"""A session's graph as an SVG: a box for each step or group of like steps, from left to right, without any script.

Columns by longest path, order within a column by the mean place of the neighbours (Sugiyama's second and third phase).
What leads past a column has a place of its own in it, so that no line crosses a box.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from roar.present.graphs import FOLD, Earlier, earlier_text, ranges
from roar.present.jobs import command_of, outcome
from roar.present.order import sources_in_order
from roar.present.text import command_text, count_text, cut, on_one_line, printable, short_command
from roar.query.graph import Step
from roar.query.likeness import likeness

_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 230, 52, 70, 18, 20
_BEND = 12  # what a line takes of the height of a column that it passes
_MOST_BENDS = 20_000  # of what is further apart the lines are drawn straight, behind the boxes
_SWEEPS = 8
_TEXT = 34  # letters in a box
_STYLE = """
svg { font: 12px system-ui, sans-serif; background: #fff; color: #222 }
rect { fill: #f4f7fb; stroke: #7a8aa0; rx: 6px } .failed { fill: #fdecec; stroke: #c0392b }
.stale { stroke: #b9770e; stroke-dasharray: 5 3 } path { fill: none; stroke: #9aa7b8; stroke-width: 1.3 }
text { fill: currentColor } .number { font-weight: 600 } .small { fill: #5c6b7d; font-size: 11px }
@media (prefers-color-scheme: dark) {
  svg { background: #16191d; color: #e6e9ed } rect { fill: #232a33; stroke: #66768c }
  .failed { fill: #3a2222; stroke: #e06c5c } path { stroke: #5b6878 } .small { fill: #a3b0c0 }
}
"""


@dataclass(frozen=True, slots=True)
class _Box:
    """One step, or several that are alike; `sources` are the places of earlier boxes in the list of all."""

    steps: tuple[Step, ...]
    sources: tuple[int, ...]


@dataclass(slots=True)
class _Layout:
    """Boxes and bends in columns. A place below the number of boxes is a box, any other a bend of a line.

    Attributes:
        columns: places by column, in the order in which they are drawn.
        links: from each place to places of the next column.
        straight: links of boxes that are further apart.
    """

    columns: list[list[int]]
    links: list[tuple[int, int]]
    straight: list[tuple[int, int]]


def draw_dag(steps: Sequence[Step], earlier: Earlier | None = None, *, command: str = "roar dag") -> str:
    """The SVG of these steps, with a tooltip for each box; like steps share one where no `earlier` jobs are given.

    `command` is what shows this graph: a tooltip that does not tell all says what draws it so that it does.
    """
    boxes = _boxes(steps, unfold=earlier is not None)
    layout = _lay_out(boxes)
    count = len(boxes)
    heights = [sum(_BEND if place >= count else _HIGH + _GAP_Y for place in column) for column in layout.columns]
    tallest = max(heights, default=_HIGH + _GAP_Y)
    wide = 2 * _EDGE + max(len(layout.columns), 1) * (_WIDE + _GAP_X) - _GAP_X
    high = 2 * _EDGE + tallest - _GAP_Y
    middles: dict[int, tuple[int, int]] = {}
    for x, (column, height) in enumerate(zip(layout.columns, heights, strict=True)):
        top = _EDGE + (tallest - height) // 2
        for place in column:
            bend = place >= count
            middles[place] = (_EDGE + x * (_WIDE + _GAP_X), top + (_BEND - _GAP_Y if bend else _HIGH) // 2)
            top += _BEND if bend else _HIGH + _GAP_Y
    edges = [_edge(middles[source], middles[target]) for source, target in (*layout.links, *layout.straight)]
    across = [f'<path d="M{x} {y} H{x + _WIDE}"/>' for place, (x, y) in middles.items() if place >= count]
    drawn = [_draw_box(box, earlier or {}, f"{command} --all --svg FILE",
                       middles[place][0], middles[place][1] - _HIGH // 2)
             for place, box in enumerate(boxes)]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
            f' role="img"><title>{count_text(len(steps), "step")}</title><style>{_STYLE}</style>\n'
            + "\n".join([*edges, *across, *drawn]) + "\n</svg>\n")


def _boxes(steps: Sequence[Step], *, unfold: bool) -> list[_Box]:
    """Steps are alike when their program is, and that of the steps that they took inputs from, back to the roots."""
    by_number = {step.number: step for step in steps}
    sources = sources_in_order(steps)
    kinds: dict[object, int] = {}
    kind_of: dict[int, int] = {}
    for number, before in sources.items():
        key = number if unfold else (likeness(by_number[number].job.command),
                                     frozenset(kind_of[source] for source in before))
        kind_of[number] = kinds.setdefault(key, len(kinds))
    members: dict[object, list[Step]] = {}
    for step in steps:
        members.setdefault(kind_of[step.number], []).append(step)
    groups = [group for found in members.values() for group in ([found] if len(found) > FOLD else
                                                                [[step] for step in found])]
    group_of = {step.number: index for index, group in enumerate(groups) for step in group}
    before_group = [{group_of[source] for step in group for source in sources[step.number]} for group in groups]
    order = _in_order([group[0].number for group in groups], before_group)
    place = {index: position for position, index in enumerate(order)}
    return [_Box(tuple(groups[index]), tuple(sorted(place[source] for source in before_group[index])))
            for index in order]


def _in_order(numbers: Sequence[int], before: Sequence[set[int]]) -> list[int]:
    """Places in `numbers`, each behind those `before` it, and else by number."""
    after: list[list[int]] = [[] for _ in numbers]
    for place, earlier in enumerate(before):
        for source in earlier:
            after[source].append(place)
    waiting = [len(earlier) for earlier in before]
    ready = [(number, place) for place, number in enumerate(numbers) if not waiting[place]]
    heapq.heapify(ready)
    order = []
    while ready:
        _, place = heapq.heappop(ready)
        order.append(place)
        for target in after[place]:
            waiting[target] -= 1
            if not waiting[target]:
                heapq.heappush(ready, (numbers[target], target))
    return order


def _lay_out(boxes: Sequence[_Box]) -> _Layout:
    """Boxes in columns, each behind all that it took inputs from, with bends where a line passes a column.

    All lines of one box to boxes further on share their bends.
    """
    column_of: list[int] = []
    for box in boxes:
        column_of.append(1 + max((column_of[source] for source in box.sources), default=-1))
    columns: list[list[int]] = [[] for _ in range(1 + max(column_of, default=-1))]
    for place, x in enumerate(column_of):
        columns[x].append(place)
    layout = _Layout(columns, [], [])
    bends: list[list[int]] = [[] for _ in boxes]  # of the lines of each box, column by column
    places = len(boxes)
    for place, box in enumerate(boxes):
        for source in box.sources:
            between = column_of[place] - column_of[source] - 1
            if places - len(boxes) + between - len(bends[source]) > _MOST_BENDS:
                layout.straight.append((source, place))
                continue
            while len(bends[source]) < between:
                layout.links.append((bends[source][-1] if bends[source] else source, places))
                columns[column_of[source] + len(bends[source]) + 1].append(places)
                bends[source].append(places)
                places += 1
            layout.links.append((bends[source][between - 1] if between else source, place))
    _sort_columns(layout, places)
    return layout


def _sort_columns(layout: _Layout, places: int) -> None:
    """Put each place near the mean of its neighbours in the column before it, and in the one behind it, in turns."""
    before: list[list[int]] = [[] for _ in range(places)]
    after: list[list[int]] = [[] for _ in range(places)]
    for source, target in layout.links:
        before[target].append(source)
        after[source].append(target)
    height = {place: float(y) for column in layout.columns for y, place in enumerate(column)}
    for sweep in range(_SWEEPS):
        neighbours = after if sweep % 2 else before
        for column in reversed(layout.columns) if sweep % 2 else layout.columns:
            means = {place: sum(height[other] for other in neighbours[place]) / len(neighbours[place])
                     if neighbours[place] else height[place] for place in column}
            column.sort(key=means.__getitem__)
            height.update((place, float(y)) for y, place in enumerate(column))


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, x2 = start[0] + _WIDE, end[0]
    bend = max((x2 - x1) // 2, 20)
    return f'<path d="M{x1} {start[1]} C{x1 + bend} {start[1]} {x2 - bend} {end[1]} {x2} {end[1]}"/>'


def _draw_box(box: _Box, earlier: Earlier, whole: str, x: int, y: int) -> str:
    title, command, made, tooltip = _words(box, earlier, whole)
    classes = " ".join(name for name, wanted in (
        ("failed", any(step.job.exit_code not in {0, None} for step in box.steps)),
        ("stale", any(step.stale is not None for step in box.steps))) if wanted)
    return (f"<g><title>{_text(tooltip)}</title>"
            f'<rect class="{classes}" x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}"/>'
            f'<text class="number" x="{x + 10}" y="{y + 16}">{_text(cut(title, _TEXT))}</text>'
            f'<text x="{x + 10}" y="{y + 31}">{_text(cut(command, _TEXT))}</text>'
            f'<text class="small" x="{x + 10}" y="{y + 45}">{_text(cut(made, _TEXT))}</text></g>')


def _words(box: _Box, earlier: Earlier, whole: str) -> tuple[str, str, str, str]:
    """The three lines of a box and its tooltip; `whole` is the command that draws it with nothing cut."""
    numbers = ranges([step.number for step in box.steps])
    if len(box.steps) > 1:
        command = short_command(likeness(box.steps[0].job.command)) + " …"
        failed = sum(step.job.exit_code != 0 for step in box.steps)
        made = count_text(len(box.steps), "step") + (f", {failed} failed" if failed else "")
        return numbers, command, made, f"{numbers}\n{command}\n{made}; each by itself: {whole}"
    step = box.steps[0]
    word = outcome(step.job.state, step.job.exit_code)
    more = f" x{len(step.earlier) + 1}" if step.earlier else ""
    made = ", ".join(map(printable, step.outputs)) or "no outputs"
    hidden = step.job.outputs - len(step.outputs)
    more_made = f" and {hidden:,} more: {whole}" if hidden else ""
    tooltip = f"{numbers} {command_text(step.job.command)}\n{word}, made {made}{more_made}"
    if step.stale is not None:
        tooltip += f"\nstale: {step.stale}"
    tooltip += "".join(f"\n{earlier_text(line)}" for line in earlier.get(step.number, ()))
    return (f"{numbers}{more}" + ("" if word == "ok" else f" {word}"), command_of(step.job),
            made + (", …" if hidden else ""), tooltip)


def _text(text: str) -> str:
    """`text` with what XML reserves escaped; control characters that are not written out yet are."""
    return escape("\n".join(map(on_one_line, text.split("\n"))))
