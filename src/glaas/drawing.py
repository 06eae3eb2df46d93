"""Drawing a graph of jobs and artifacts: fold it, put it in layers from left to right, and give every box its place.

The result is plain numbers and texts; a template writes the SVG, so that every text is escaped in one place.
"""

import itertools
import shlex
from collections import defaultdict
from dataclasses import dataclass

import igraph  # type: ignore[import-untyped]

from glaas.catalog import JobLine
from glaas.graph import ArtifactNode, Graph
from glaas.models import Role
from glaas.words import file_name, plural, size_text

BOX_WIDTH = 190
BOX_HEIGHT = 44
COLUMN_GAP = 56
ROW_GAP = 14
MARGIN = 12
TEXT_LENGTH = 25
LISTED = 12
FEW_FILES = 3
FEW_GROUPS = 60
ROUNDS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A job, an artifact, or several artifacts that come from and go to the same jobs.

    Attributes:
        css: `job`, `artifact`, `dataset` or `files`, and for a job its state.
        text, detail: two lines inside the box.
        title: everything, shown on hover and read aloud.
        href: where a click leads; None for several artifacts.
        x, y: of the upper left corner, in pixels.
    """

    css: str
    text: str
    detail: str
    title: str
    href: str | None
    x: float = 0
    y: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve from one box to another as SVG path data."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What a template needs to write the SVG. Sizes in pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    hidden_reruns: int


@dataclass(frozen=True, slots=True)
class _Version:
    """An artifact as one job wrote it, or as it came from outside (`maker` is None)."""

    maker: int | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Group:
    """Artifacts that one job wrote (None: from outside) and the same jobs read; the root is alone in its group."""

    maker: int | None
    users: tuple[int, ...]
    root: bool


def draw(graph: Graph, *, fold_reruns: bool = True, root: bytes | None = None) -> Drawing:
    """Lay `graph` out. `root` is an artifact that stays a box of its own, marked."""
    jobs, runs_of = _latest_runs(graph.jobs) if fold_reruns else (list(graph.jobs), {})
    boxes: list[Box] = [_job_box(job, runs_of.get(job.key, 1)) for job in jobs]
    place = {job.key: index for index, job in enumerate(jobs)}
    links: list[tuple[int, int]] = []
    groups = _groups(graph, jobs, root)
    apart = FEW_FILES if len(groups) < FEW_GROUPS else 1
    for group, digests in groups.items():
        for shown in [[digest] for digest in digests] if len(digests) <= apart else [digests]:
            node = len(boxes)
            boxes.append(_artifact_box([graph.artifacts[digest] for digest in shown], root))
            links += [(place[group.maker], node)] if group.maker is not None else []
            links += [(node, place[user]) for user in group.users]
    return _lay_out(boxes, links, len(graph.jobs) - len(jobs))


def _latest_runs(jobs: tuple[JobLine, ...]) -> tuple[list[JobLine], dict[int, int]]:
    """The last run of each step, and how often each step ran."""
    latest: dict[int, JobLine] = {}
    counts: dict[int, int] = defaultdict(int)
    for job in jobs:
        latest[job.step] = job
        counts[job.step] += 1
    kept = {job.key for job in latest.values()}
    return [job for job in jobs if job.key in kept], {job.key: counts[step] for step, job in latest.items()}


def _groups(graph: Graph, jobs: list[JobLine], root: bytes | None) -> dict[_Group, list[bytes]]:
    """Artifacts by who made them and who used them, in order of appearance."""
    groups: dict[_Group, list[bytes]] = {}
    for version, users in _users_of_versions(graph, [job.key for job in jobs]).items():
        key = _Group(version.maker, tuple(users), version.digest == root)
        groups.setdefault(key, []).append(version.digest)
    return groups


def _users_of_versions(graph: Graph, order: list[int]) -> dict[_Version, list[int]]:
    """Each version of each artifact with the jobs that read it. A job reads what the last job before it wrote."""
    reads: dict[int, list[bytes]] = defaultdict(list)
    writes: dict[int, list[bytes]] = defaultdict(list)
    for edge in graph.edges:
        (reads if edge.role is Role.INPUT else writes)[edge.job].append(edge.artifact)
    datasets: dict[bytes, list[bytes]] = defaultdict(list)
    for member, dataset in graph.members:
        datasets[dataset].append(member)
    maker_of: dict[bytes, int] = {}
    users: dict[_Version, list[int]] = {}
    for job in order:
        for digest in reads[job]:
            for found in _made_parts(digest, datasets, maker_of):
                users.setdefault(_Version(maker_of.get(found), found), []).append(job)
        for digest in dict.fromkeys(writes[job]):
            if digest not in reads[job]:
                maker_of[digest] = job
                users.setdefault(_Version(job, digest), [])
    return users


def _made_parts(digest: bytes, datasets: dict[bytes, list[bytes]], maker_of: dict[bytes, int]) -> list[bytes]:
    """`digest` itself, or for a dataset that nobody wrote as a whole the members that some job wrote."""
    if digest in maker_of:
        return [digest]
    return [digest, *(member for member in datasets.get(digest, ()) if member in maker_of)]


# ------------------------------------------------------------------------------------------------------ boxes


def _job_box(job: JobLine, runs: int) -> Box:
    command = shlex.join(job.command)
    failed = job.state == "done" and job.exit_code not in {0, None}
    times = f" \N{MULTIPLICATION SIGN}{runs}" if runs > 1 else ""
    detail = f"@{job.step}{times}"
    if failed:
        detail += f" · exit {job.exit_code}"
    elif job.state != "done":
        detail += f" · {job.state}"
    if job.tracker_runs:
        detail += " · " + ", ".join(dict.fromkeys(run.label for run in job.tracker_runs))
    return Box(css=f"job {'failed' if failed else job.state}", text=_cut(job.name or _brief(job.command)),
               detail=_cut(detail), title=f"Step {job.step}: {command[:400]}", href=f"/jobs/{job.uid}")


def _brief(command: tuple[str, ...]) -> str:
    """The words of a command that tell it apart: the program's name, and a script's name rather than its folder."""
    words = [file_name(command[0])] + [file_name(word) if "/" in word else word for word in command[1:]]
    return " ".join(words)


def _artifact_box(nodes: list[ArtifactNode], root: bytes | None) -> Box:
    size = sum(node.size or 0 for node in nodes)
    if len(nodes) > 1:
        listed = [node.path for node in nodes[:LISTED]] + (["…"] if len(nodes) > LISTED else [])
        return Box(css="files", text=plural(len(nodes), "file"), detail=_cut(f"{file_name(nodes[0].path)} … · "
                   f"{size_text(size)}"), title="\n".join(listed), href=None)
    node = nodes[0]
    dataset = node.kind == "dataset"
    detail = f"{node.digest.hex()[:10]} · {size_text(node.size)}"
    if dataset and node.files is not None:
        detail = f"{plural(node.files, 'file')} · {size_text(node.size)}"
    css = "dataset" if dataset else "artifact"
    return Box(css=css + (" root" if node.digest == root else ""), text=_cut(file_name(node.path) + "/" * dataset),
               detail=_cut(detail), title=node.path, href=f"/artifacts/{node.digest.hex()}")


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= TEXT_LENGTH else text[:TEXT_LENGTH - 1] + "…"


# ----------------------------------------------------------------------------------------------------- layout


def _lay_out(boxes: list[Box], links: list[tuple[int, int]], hidden_reruns: int) -> Drawing:
    if not boxes:
        return Drawing(width=0, height=0, boxes=(), lines=(), hidden_reruns=hidden_reruns)
    layers = _layers(len(boxes), links)
    whole = igraph.Graph(n=len(boxes), edges=links, directed=True)
    xs, ys = [0.0] * len(boxes), [0.0] * len(boxes)
    lines: list[Line] = []
    top = float(MARGIN)
    for component in sorted(whole.connected_components(mode="weak"), key=lambda part: (-len(part), part[0])):
        points, routes = _lay_out_component(whole, component, layers)
        low = min(y for _, y in points.values())
        for node, (x, y) in points.items():
            if node < len(boxes):
                xs[node], ys[node] = x, y - low + top
        lines += [Line(path=_curve([(x, y - low + top) for x, y in route])) for route in routes]
        top += max(y for _, y in points.values()) - low + BOX_HEIGHT + 2 * ROW_GAP
    placed = tuple(Box(css=b.css, text=b.text, detail=b.detail, title=b.title, href=b.href, x=round(x, 1),
                       y=round(y, 1)) for b, x, y in zip(boxes, xs, ys, strict=True))
    return Drawing(width=round(max(xs) + BOX_WIDTH + MARGIN), height=round(top - 2 * ROW_GAP + MARGIN), boxes=placed,
                   lines=tuple(lines), hidden_reruns=hidden_reruns)


def _layers(count: int, links: list[tuple[int, int]]) -> list[int]:
    """Column of each box: behind all that leads to it; a box that nothing leads to stands before its first user."""
    after: dict[int, list[int]] = defaultdict(list)
    waiting = [0] * count
    for source, target in links:
        after[source].append(target)
        waiting[target] += 1
    layer = [0] * count
    ready = [node for node in range(count) if not waiting[node]]
    sources = set(ready)
    while ready:
        node = ready.pop()
        for target in after[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for node in sources:
        if after[node]:
            layer[node] = min(layer[target] for target in after[node]) - 1
    return layer


Point = tuple[float, float]


def _lay_out_component(whole: igraph.Graph, component: list[int], layers: list[int]
                       ) -> tuple[dict[int, Point], list[list[Point]]]:
    """Places of the boxes of one connected part, and the points that each of its lines passes."""
    part = whole.induced_subgraph(component)
    first = min(layers[node] for node in component)
    levels = [layers[node] - first for node in component]
    chains = _chains(part.get_edgelist(), levels)
    steps = [step for chain in chains for step in itertools.pairwise(chain)]
    layout = igraph.Graph(n=len(levels), edges=steps, directed=True).layout_sugiyama(
        layers=levels, hgap=BOX_HEIGHT + ROW_GAP, vgap=BOX_WIDTH + COLUMN_GAP, maxiter=ROUNDS)
    points = [(MARGIN + column, across) for across, column in layout]
    routes = [_route([points[node] for node in chain]) for chain in chains]
    return {node: points[index] for index, node in enumerate(component)}, routes


def _chains(edges: list[tuple[int, int]], levels: list[int]) -> list[list[int]]:
    """Each edge as the nodes that it passes, one in every level; the bends are new nodes, appended to `levels`."""
    chains = []
    for source, target in edges:
        between = range(levels[source] + 1, levels[target])
        bends = list(range(len(levels), len(levels) + len(between)))
        levels.extend(between)
        chains.append([source, *bends, target])
    return chains


def _route(points: list[Point]) -> list[Point]:
    """From the right side of the first box, straight across the columns of the bends, to the left side of the last."""
    middle = BOX_HEIGHT / 2
    (x, y), *bends, (last_x, last_y) = points
    route = [(x + BOX_WIDTH, y + middle)]
    for bend_x, bend_y in bends:
        route += [(bend_x, bend_y + middle), (bend_x + BOX_WIDTH, bend_y + middle)]
    return [*route, (last_x, last_y + middle)]


def _curve(route: list[Point]) -> str:
    """A smooth line through points: straight across each column, an S between columns."""
    (x, y), *rest = route
    path = [f"M{x:.0f} {y:.0f}"]
    for nx, ny in rest:
        if ny == y:
            path.append(f"H{nx:.0f}")
        else:
            half = (x + nx) / 2
            path.append(f"C{half:.0f} {y:.0f} {half:.0f} {ny:.0f} {nx:.0f} {ny:.0f}")
        x, y = nx, ny
    return "".join(path)
