"""A session's graph as an SVG: a box for each step or group of like steps, from left to right, without any script.

Columns by longest path, order within a column by the mean place of the neighbours (Sugiyama's second and third phase).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from roar.present.graphs import FOLD, likeness, ranges
from roar.present.jobs import outcome
from roar.present.text import command_text, count_text, cut, printable, short_command
from roar.query.graph import Step

_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 230, 52, 70, 18, 20
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


def draw_dag(steps: Sequence[Step], *, unfold: bool = False) -> str:
    """The SVG of these steps, with a tooltip for each box; like steps share one unless `unfold`."""
    boxes = _boxes(steps, unfold=unfold)
    columns = _columns(boxes)
    tallest = max((len(column) for column in columns), default=1)
    wide = 2 * _EDGE + max(len(columns), 1) * (_WIDE + _GAP_X) - _GAP_X
    high = 2 * _EDGE + tallest * (_HIGH + _GAP_Y) - _GAP_Y
    corners = {}
    for x, column in enumerate(columns):
        top = _EDGE + (tallest - len(column)) * (_HIGH + _GAP_Y) // 2
        for y, place in enumerate(column):
            corners[place] = (_EDGE + x * (_WIDE + _GAP_X), top + y * (_HIGH + _GAP_Y))
    edges = [_edge(corners[source], corners[place]) for place, box in enumerate(boxes) for source in box.sources]
    drawn = [_draw_box(box, *corners[place]) for place, box in enumerate(boxes)]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
            f' role="img"><title>{count_text(len(steps), "step")}</title><style>{_STYLE}</style>\n'
            + "\n".join([*edges, *drawn]) + "\n</svg>\n")


def _boxes(steps: Sequence[Step], *, unfold: bool) -> list[_Box]:
    """Steps are alike when their program is, and that of the steps that they took inputs from, back to the roots."""
    kinds: dict[object, int] = {}
    kind_of: dict[int, int] = {}
    for step in steps:
        sources = frozenset(kind_of[source] for source in step.sources if source in kind_of)
        key = (likeness(step), sources) if not unfold else step.number
        kind_of[step.number] = kinds.setdefault(key, len(kinds))
    members: dict[object, list[Step]] = {}
    for step in steps:
        members.setdefault(kind_of[step.number], []).append(step)
    grouped = [group for found in members.values() for group in ([found] if len(found) > FOLD else
                                                                 [[step] for step in found])]
    grouped.sort(key=lambda group: group[0].number)
    place = {step.number: index for index, group in enumerate(grouped) for step in group}
    return [_Box(tuple(group), tuple(sorted({place[source] for step in group for source in step.sources
                                             if place.get(source, index) < index})))
            for index, group in enumerate(grouped)]


def _columns(boxes: Sequence[_Box]) -> list[list[int]]:
    """The places of the boxes by column, in the order in which each column is drawn."""
    column: list[int] = []
    for box in boxes:
        column.append(1 + max((column[source] for source in box.sources), default=-1))
    columns: list[list[int]] = [[] for _ in range(1 + max(column, default=-1))]
    for place, x in enumerate(column):
        columns[x].append(place)
    readers: list[list[int]] = [[] for _ in boxes]
    for place, box in enumerate(boxes):
        for source in box.sources:
            readers[source].append(place)
    sources = [box.sources for box in boxes]
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for places in columns if forward else reversed(columns):
            _sort_by_neighbours(places, sources if forward else readers, columns)
    return columns


def _sort_by_neighbours(places: list[int], neighbours: Sequence[Sequence[int]], columns: list[list[int]]) -> None:
    height = {place: y for column in columns for y, place in enumerate(column)}

    def mean(place: int) -> float:
        near = [height[other] for other in neighbours[place]]
        return sum(near) / len(near) if near else height[place]

    places.sort(key=mean)


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDE, start[1] + _HIGH // 2
    x2, y2 = end[0], end[1] + _HIGH // 2
    bend = max((x2 - x1) // 2, 20)
    return f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"/>'


def _draw_box(box: _Box, x: int, y: int) -> str:
    title, command, made, tooltip = _words(box)
    classes = " ".join(name for name, wanted in (
        ("failed", any(step.job.exit_code not in {0, None} for step in box.steps)),
        ("stale", any(step.stale is not None for step in box.steps))) if wanted)
    return (f"<g><title>{_text(tooltip)}</title>"
            f'<rect class="{classes}" x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}"/>'
            f'<text class="number" x="{x + 10}" y="{y + 16}">{_text(cut(title, _TEXT))}</text>'
            f'<text x="{x + 10}" y="{y + 31}">{_text(cut(command, _TEXT))}</text>'
            f'<text class="small" x="{x + 10}" y="{y + 45}">{_text(cut(made, _TEXT))}</text></g>')


def _words(box: _Box) -> tuple[str, str, str, str]:
    """The three lines of a box and its tooltip."""
    numbers = ranges([step.number for step in box.steps])
    if len(box.steps) > 1:
        command = short_command([word for word in likeness(box.steps[0]) if word]) + " …"
        failed = sum(step.job.exit_code != 0 for step in box.steps)
        made = count_text(len(box.steps), "step") + (f", {failed} failed" if failed else "")
        return numbers, command, made, f"{numbers}\n{command}\n{made}"
    step = box.steps[0]
    word = outcome(step.job.state, step.job.exit_code)
    more = f" x{len(step.earlier) + 1}" if step.earlier else ""
    more_made = ", …" if step.job.outputs > len(step.outputs) else ""
    made = (", ".join(map(printable, step.outputs)) or "no outputs") + more_made
    tooltip = f"{numbers} {command_text(step.job.command)}\n{word}, made {made}"
    if step.stale is not None:
        tooltip += f"\nstale: {step.stale}"
    return (f"{numbers}{more}" + ("" if word == "ok" else f" {word}"), short_command(step.job.command), made, tooltip)


def _text(text: str) -> str:
    """`text` with what XML reserves escaped; control characters are written out already."""
    return escape("\n".join(printable(line) for line in text.split("\n")))
