"""A session's graph as an SVG: one box for each step, in columns from left to right, no script and no outside file.

Columns by longest path, order within a column by the mean place of the neighbours (Sugiyama's second and third phase).
"""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from roar.present.jobs import outcome
from roar.present.text import command_text, cut, printable, short_command
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


def draw_dag(steps: Sequence[Step]) -> str:
    """The SVG of these steps; a text for screen readers and a tooltip for each box."""
    columns = _columns(steps)
    places = {number: (x, y) for x, column in enumerate(columns) for y, number in enumerate(column)}
    tallest = max((len(column) for column in columns), default=0)
    wide = 2 * _EDGE + max(len(columns), 1) * (_WIDE + _GAP_X) - _GAP_X
    high = 2 * _EDGE + max(tallest, 1) * (_HIGH + _GAP_Y) - _GAP_Y
    offsets = {x: (tallest - len(column)) * (_HIGH + _GAP_Y) // 2 for x, column in enumerate(columns)}
    corners = {number: (_EDGE + x * (_WIDE + _GAP_X), _EDGE + offsets[x] + y * (_HIGH + _GAP_Y))
               for number, (x, y) in places.items()}
    edges = [_edge(corners[source], corners[step.number]) for step in steps for source in step.sources
             if source in corners and places[source][0] < places[step.number][0]]
    boxes = [_box(step, *corners[step.number]) for step in steps]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
            f' role="img"><title>{len(steps)} steps</title><style>{_STYLE}</style>\n'
            + "\n".join([*edges, *boxes]) + "\n</svg>\n")


def _columns(steps: Sequence[Step]) -> list[list[int]]:
    """Step numbers by column, in the order in which each column is drawn."""
    sources = {step.number: [source for source in step.sources if source < step.number] for step in steps}
    column: dict[int, int] = {}
    for number in sorted(sources):
        column[number] = 1 + max((column[source] for source in sources[number] if source in column), default=-1)
    columns: list[list[int]] = [[] for _ in range(1 + max(column.values(), default=-1))]
    for number, place in column.items():
        columns[place].append(number)
    readers: dict[int, list[int]] = {number: [] for number in sources}
    for number, taken in sources.items():
        for source in taken:
            if source in readers:
                readers[source].append(number)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for numbers in columns if forward else reversed(columns):
            _sort_by_neighbours(numbers, sources if forward else readers, columns)
    return columns


def _sort_by_neighbours(numbers: list[int], neighbours: dict[int, list[int]], columns: list[list[int]]) -> None:
    place = {number: index for column in columns for index, number in enumerate(column)}

    def mean(number: int) -> float:
        near = [place[other] for other in neighbours[number] if other in place]
        return sum(near) / len(near) if near else place[number]

    numbers.sort(key=mean)


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDE, start[1] + _HIGH // 2
    x2, y2 = end[0], end[1] + _HIGH // 2
    bend = max((x2 - x1) // 2, 20)
    return f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"/>'


def _box(step: Step, x: int, y: int) -> str:
    command = command_text(step.job.command)
    word = outcome(step.job.state, step.job.exit_code)
    classes = " ".join(name for name, wanted in (("failed", step.job.exit_code not in {0, None}),
                                                 ("stale", step.stale is not None)) if wanted)
    more = f" x{len(step.earlier) + 1}" if step.earlier else ""
    more_made = ", …" if step.job.outputs > len(step.outputs) else ""
    made = (", ".join(map(printable, step.outputs)) or "no outputs") + more_made
    tooltip = f"@{step.number} {command}\n{word}, made {made}" + (f"\nstale: {step.stale}" if step.stale else "")
    title = f"@{step.number}{more}" + ("" if word == "ok" else f" {word}")
    return (f"<g><title>{_text(tooltip)}</title>"
            f'<rect class="{classes}" x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}"/>'
            f'<text class="number" x="{x + 10}" y="{y + 16}">{_text(title)}</text>'
            f'<text x="{x + 10}" y="{y + 31}">{_text(cut(short_command(step.job.command), _TEXT))}</text>'
            f'<text class="small" x="{x + 10}" y="{y + 45}">{_text(cut(made, _TEXT))}</text></g>')


def _text(text: str) -> str:
    """`text` with what XML reserves escaped; control characters are written out already."""
    return escape("\n".join(printable(line) for line in text.split("\n")))
