"""Drawing a graph of jobs and artifacts: fold it, put it in layers from left to right, and give every box its place.

The result is plain numbers and texts; a template writes the SVG, so that every text is escaped in one place.
"""

import functools
import itertools
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from glaas.catalog import JobLine
from glaas.graph import ArtifactNode, Graph
from glaas.igraph_alone import load_igraph
from glaas.models import Role
from glaas.words import file_name, plural, script_place, use_path
from roar.wire import Kind, parameters_of, size_text

BOX_WIDTH = 196
BOX_HEIGHT = 44
COLUMN_GAP = 56
ROW_GAP = 14
MARGIN = 12
TEXT_LENGTH = 22
DETAIL_LENGTH = 28
LISTED = 12
FEW_FILES = 3
FEW_GROUPS = 60
ROUNDS = 24
SWEEPS = 4  # more make the lines no shorter
BEND_GAP = 12
MOST_JOBS = 3000
MOST_LINES = 20_000
MANY_CROSSED = 3000
MOST_BENDS = 20_000
NEAR = 12
MOST_LOOKS = 2000


class Box(NamedTuple):
    """A job, an artifact, or several artifacts that come from and go to the same jobs.

    Attributes:
        css: `job`, `artifact`, `dataset` or `files`, for a job its state, and `again` for what is drawn elsewhere too.
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

    @property
    def is_job(self) -> bool:
        """Whether it is a job, and no artifact."""
        return self.css.startswith("job")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What a template needs to write the SVG. Sizes in pixels.

    Attributes:
        lines: curves from one box to another as SVG path data: letters and numbers.
        hidden_reruns: earlier runs of a step, folded into the last one.
        hidden_jobs: earlier jobs of a session with more than can be drawn.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    hidden_reruns: int
    hidden_jobs: int

    @property
    def repeats(self) -> bool:
        """Whether some box is drawn more than once."""
        return any(box.css.endswith(" again") for box in self.boxes)


@dataclass(slots=True, eq=False)
class _Version:
    """An artifact as one step wrote it, or as it came from outside.

    Attributes:
        path: where it was read or written first.
        step: that wrote it, in one run or several; None where it came from outside, or in parts.
        makers: the drawn runs that wrote it.
        users: jobs that read it.
        parts: of a dataset that was written file by file.
        readers: jobs that read it, or a dataset with it.
    """

    digest: bytes
    path: str
    step: int | None = None
    makers: list[int] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    parts: tuple["_Version", ...] = ()
    readers: set[int] = field(default_factory=set)

    @property
    def all_makers(self) -> tuple[int, ...]:
        """None where it came from outside, several where each wrote a part of it, or each wrote it alike."""
        return tuple(sorted({maker for one in (self, *self.parts) for maker in one.makers}))

    @property
    def is_drawn(self) -> bool:
        """Whether anything of it is to see: what is only read within a dataset is drawn as that dataset."""
        return bool(self.users or (self.makers and not self.readers))


@dataclass(frozen=True, slots=True)
class _Group:
    """Artifacts that the same jobs wrote and the same jobs read; the root is alone in its group."""

    makers: tuple[int, ...]
    users: tuple[int, ...]
    root: bool


def draw(graph: Graph, *, fold_reruns: bool = True, root: bytes | None = None) -> Drawing:
    """Lay `graph` out. `root` is an artifact that stays a box of its own, marked.

    Of a graph that no browser could show the last jobs are drawn.
    """
    jobs, runs_of = _latest_runs(graph.jobs) if fold_reruns else (list(graph.jobs), {})
    drawn = jobs[-MOST_JOBS:]
    boxes, links = _boxes_and_links(graph, drawn, runs_of, root)
    while len(links) > MOST_LINES and len(drawn) > 1:
        drawn = drawn[len(drawn) // 2:]
        boxes, links = _boxes_and_links(graph, drawn, runs_of, root)
    hidden_reruns, hidden_jobs = len(graph.jobs) - len(jobs), len(jobs) - len(drawn)
    layers = _layers(len(boxes), links)
    if _crossed(links, layers) > MANY_CROSSED:
        _repeat_far_artifacts(boxes, links, layers)
        layers = _layers(len(boxes), links)
    return _lay_out(boxes, links, layers, hidden_reruns=hidden_reruns, hidden_jobs=hidden_jobs)


def _boxes_and_links(graph: Graph, jobs: list[JobLine], runs_of: dict[int, int], root: bytes | None
                     ) -> tuple[list[Box], list[tuple[int, int]]]:
    """The boxes of `jobs` and of what they read and wrote, and which leads to which."""
    boxes: list[Box] = [_job_box(job, text, runs_of.get(job.key, 1))
                        for job, text in zip(jobs, _job_texts(jobs), strict=True)]
    place = {job.key: index for index, job in enumerate(jobs)}
    links: list[tuple[int, int]] = []
    groups = _groups(graph, jobs, root)
    apart = FEW_FILES if len(groups) < FEW_GROUPS else 1
    for group, nodes in groups.items():
        for shown in [[one] for one in nodes] if len(nodes) <= apart else [nodes]:
            node = len(boxes)
            boxes.append(_artifact_box(shown, root))
            links += [(place[maker], node) for maker in group.makers]
            links += [(node, place[user]) for user in group.users]
    return boxes, links


def _crossed(links: list[tuple[int, int]], layers: list[int]) -> int:
    """How often all lines together cross a column on their way."""
    return sum(max(0, layers[target] - layers[source] - 1) for source, target in links)


def _repeat_far_artifacts(boxes: list[Box], links: list[tuple[int, int]], layers: list[int]) -> None:
    """Draw an artifact again near those who read it far from where it was made; `boxes` and `links` are changed.

    Else one file that every step of a long chain reads draws a line from the first step to each of the others.
    """
    copies: dict[tuple[int, int], int] = {}
    for index, (source, target) in enumerate(links):
        stretch = (layers[target] - layers[source] - 1) // NEAR
        if stretch <= 0 or boxes[source].is_job:
            continue
        copy = copies.get((source, stretch))
        if copy is None:
            copy = copies[source, stretch] = len(boxes)
            boxes.append(boxes[source]._replace(css=f"{boxes[source].css} again"))
        links[index] = (copy, target)


def _latest_runs(jobs: tuple[JobLine, ...]) -> tuple[list[JobLine], dict[int, int]]:
    """The last run of each step, and how often each step ran."""
    latest: dict[int, JobLine] = {}
    counts: dict[int, int] = defaultdict(int)
    for job in jobs:
        latest[job.step] = job
        counts[job.step] += 1
    kept = {job.key for job in latest.values()}
    return [job for job in jobs if job.key in kept], {job.key: counts[step] for step, job in latest.items()}


def _groups(graph: Graph, jobs: list[JobLine], root: bytes | None) -> dict[_Group, list[ArtifactNode]]:
    """Artifacts by who made them and who used them, in order of appearance, each under the path that it had there."""
    groups: dict[_Group, list[ArtifactNode]] = {}
    for version in _Versions(graph, jobs, root).found():
        key = _Group(version.all_makers, tuple(version.users),
                     graph.artifacts[version.digest].digest == root)
        groups.setdefault(key, []).append(graph.artifacts[version.digest]._replace(path=version.path))
    return groups


class _Versions:
    """Each version of each artifact with the jobs that wrote and read it.

    A job reads what was written last before it at the path that it read, or else anywhere.
    Runs of one step that wrote the same content wrote one version, unless the later run came of the earlier one's.
    What a job wrote file by file and others only read as part of a dataset is drawn as that dataset; so is a file that
    a job wrote within a dataset. The root is drawn itself, with those that made or read it so.
    """

    def __init__(self, graph: Graph, drawn: list[JobLine], root: bytes | None) -> None:
        self._graph = graph
        self._drawn = {job.key for job in drawn}
        steps = {job.step for job in drawn}
        self._jobs = [job for job in graph.jobs if job.step in steps]
        self._root = root if root in graph.artifacts else None
        self._root_path = graph.artifacts[root].path if root in graph.artifacts else ""
        self._reads: dict[int, dict[bytes, list[str]]] = defaultdict(dict)
        self._writes: dict[int, dict[bytes, list[str]]] = defaultdict(dict)
        for edge in graph.edges:
            side = self._reads if edge.role is Role.INPUT else self._writes
            side[edge.job].setdefault(edge.artifact, []).extend(edge.paths)
        self._root_read_as = set() if self._root is None else graph.read_as(self._root)
        self._root_made_as = set() if self._root is None else graph.made_as(self._root)
        self._current: dict[bytes, _Version] = {}
        self._at: dict[tuple[bytes, str], _Version] = {}
        self._datasets: dict[tuple[bytes, tuple[int, ...]], _Version] = {}
        self._all: list[_Version] = []
        self._read_by: dict[int, list[_Version]] = defaultdict(list)

    def found(self) -> list[_Version]:
        """All versions that are drawn, in order of appearance."""
        for job in self._jobs:
            if job.key in self._drawn:
                for digest, paths in self._reads[job.key].items():
                    self._read(job.key, digest, paths)
            for digest, paths in self._writes[job.key].items():
                read = self._reads[job.key].get(digest, ())
                if copies := [path for path in paths if path not in read]:
                    self._write(job, digest, copies)
            made = self._writes[job.key]
            if self._root is not None and self._root not in made and not self._root_made_as.isdisjoint(made):
                self._write(job, self._root, [self._root_path])
        return [version for version in self._all if version.is_drawn]

    def _read(self, job: int, digest: bytes, paths: Sequence[str]) -> None:
        version = next((self._at[digest, path] for path in paths if (digest, path) in self._at),
                       self._current.get(digest))
        parts = tuple(self._current[made] for made in self._graph.taken.get((job, digest), ())
                      if made in self._current and self._current[made].step is not None)
        if len(parts) == 1 and self._graph.artifacts[digest].kind is Kind.FILE and digest != self._root:
            version, parts = parts[0], ()
        elif parts:
            key = digest, tuple(map(id, parts))
            if key not in self._datasets:
                self._datasets[key] = self._new(_Version(digest, paths[0], parts=parts))
            version = self._datasets[key]
        elif version is None:
            version = self._current[digest] = self._new(_Version(digest, paths[0]))
        if job not in version.users:
            version.users.append(job)
        for one in (version, *parts):
            one.readers.add(job)
            self._read_by[job].append(one)
        if digest in self._root_read_as and self._root is not None and self._root not in self._reads[job]:
            if self._root not in self._current:
                self._current[self._root] = self._new(_Version(self._root, self._root_path))
            if job not in self._current[self._root].users:
                self._current[self._root].users.append(job)

    def _write(self, job: JobLine, digest: bytes, paths: Sequence[str]) -> None:
        version = next((one for path in paths if (one := self._at.get((digest, path)))), self._current.get(digest))
        if version is None or version.step != job.step or self._comes_of(job.key, version):
            version = self._new(_Version(digest, paths[0], step=job.step))
        self._current[digest] = version
        self._at.update(dict.fromkeys(((digest, path) for path in paths), version))
        if job.key in self._drawn:
            version.makers.append(job.key)

    def _new(self, version: _Version) -> _Version:
        self._all.append(version)
        return version

    def _comes_of(self, job: int, version: _Version) -> bool:
        """Whether what `job` read came of `version`, or may have: a line back to it would make a circle."""
        if not version.readers:
            return False
        seen, ahead, looks = {job}, [job], 0
        while ahead:
            one = ahead.pop()
            if one in version.readers:
                return True
            for read in self._read_by[one]:
                looks += 1
                if looks > MOST_LOOKS:
                    return True
                ahead += [maker for maker in read.makers if maker not in seen]
                seen.update(read.makers)
        return False


# ------------------------------------------------------------------------------------------------------ boxes


def _job_texts(jobs: list[JobLine]) -> list[str]:
    """What tells each job apart: its name or script, and the parameters in which it differs from others like it."""
    alike: dict[str, list[int]] = defaultdict(list)
    for index, job in enumerate(jobs):
        alike[job.name or file_name(job.command[script_place(job.command)])].append(index)
    texts = [""] * len(jobs)
    for stem, places in alike.items():
        parameters = [parameters_of(jobs[index].command) for index in places]
        names = dict.fromkeys(name for given in parameters for name in given)
        apart = [name for name in names if len({given.get(name) for given in parameters}) > 1]
        for index, given in zip(places, parameters, strict=True):
            words = [_parameter_text(name, given[name]) for name in apart if name in given]
            job = jobs[index]
            texts[index] = " ".join([stem, *words]) if words or job.name else _brief(job.command)
    return texts


def _parameter_text(name: str, value: str) -> str:
    if name.startswith("-"):
        return name if value == "given" else f"{name} {value}"
    return file_name(value) if name == "program" or name.startswith("word ") else f"{name}={value}"


def _job_box(job: JobLine, text: str, runs: int) -> Box:
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
    return Box(css=f"job {'failed' if failed else job.state}", text=_cut(text, TEXT_LENGTH),
               detail=_cut(detail, DETAIL_LENGTH), title=f"Step {job.step}: {command[:400]}", href=f"/jobs/{job.uid}")


def _brief(command: tuple[str, ...]) -> str:
    """A command from its script on, which is a name here rather than a path, as are all its words."""
    return " ".join(file_name(word) if "/" in word else word for word in command[script_place(command):])


def _artifact_box(nodes: list[ArtifactNode], root: bytes | None) -> Box:
    size = sum(node.size or 0 for node in nodes)
    if len(nodes) > 1:
        listed = [node.path for node in nodes[:LISTED]] + (["…"] if len(nodes) > LISTED else [])
        return Box(css="files", text=plural(len(nodes), "file"), detail=_cut(f"{file_name(nodes[0].path)} … · "
                   f"{size_text(size)}", DETAIL_LENGTH), title="\n".join(listed), href=None)
    node = nodes[0]
    dataset = node.kind == "dataset"
    detail = f"{node.digest.hex()[:10]} · {size_text(node.size)}"
    if dataset and node.files is not None:
        detail = f"{plural(node.files, 'file')} · {size_text(node.size)}"
    css = ("dataset" if dataset else "artifact") + (" root" if node.digest == root else "")
    end = "/" if use_path(node.path, node.kind).endswith("/") else ""
    return Box(css=css, text=_cut(file_name(node.path) + end, TEXT_LENGTH),
               detail=_cut(detail, DETAIL_LENGTH), title=node.path, href=f"/artifacts/{node.digest.hex()}")


def _cut(text: str, length: int) -> str:
    """`text` on one line, cut to the room of `length` letters of common width."""
    text = " ".join(text.split())
    room = float(length)
    for place, letter in enumerate(text):
        room -= _room_of(letter)
        if room < 0:
            return text[:max(place - 1, 0)] + "…"
    return text


@functools.lru_cache(maxsize=4096)
def _room_of(letter: str) -> float:
    """The width of a letter, in letters of common width, in any font that has no serifs."""
    if unicodedata.east_asian_width(letter) in "WF":
        return 2
    return 1.6 if letter in "MWmw@%—…" else 1.25 if letter.isupper() or not letter.isascii() else 1


# ----------------------------------------------------------------------------------------------------- layout


def _lay_out(boxes: list[Box], links: list[tuple[int, int]], layers: list[int], *, hidden_reruns: int,
             hidden_jobs: int) -> Drawing:
    if not boxes:
        return Drawing(width=0, height=0, boxes=(), lines=(), hidden_reruns=hidden_reruns, hidden_jobs=hidden_jobs)
    bent, straight = _longest_apart(links, layers)
    whole = load_igraph().Graph(n=len(boxes), edges=bent, directed=True)
    xs, ys = [0.0] * len(boxes), [0.0] * len(boxes)
    lines: list[str] = []
    top = float(MARGIN)
    for component in sorted(whole.connected_components(mode="weak"), key=lambda part: (-len(part), part[0])):
        points, routes = _lay_out_component(whole, component, layers)
        low = min(y for _, y in points.values()) - BOX_HEIGHT / 2
        for node, (x, y) in points.items():
            xs[node], ys[node] = x, y - low + top
        lines += [_curve([(x, y - low + top) for x, y in route]) for route in routes]
        top += max(y for _, y in points.values()) + BOX_HEIGHT / 2 - low + 2 * ROW_GAP
    lines += [_curve(_route([(xs[node], ys[node]) for node in link])) for link in straight]
    placed = tuple(box._replace(x=round(x, 1), y=round(y - BOX_HEIGHT / 2, 1))
                   for box, x, y in zip(boxes, xs, ys, strict=True))
    return Drawing(width=round(max(xs) + BOX_WIDTH + MARGIN), height=round(top - 2 * ROW_GAP + MARGIN), boxes=placed,
                   lines=tuple(lines), hidden_reruns=hidden_reruns, hidden_jobs=hidden_jobs)


def _longest_apart(links: list[tuple[int, int]], layers: list[int]
                   ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The links whose lines find a way around boxes, and the longest ones, where that would take too long for all."""
    if _crossed(links, layers) <= MOST_BENDS:
        return links, []
    room = MOST_BENDS
    bent: list[tuple[int, int]] = []
    straight: list[tuple[int, int]] = []
    farthest: dict[int, int] = defaultdict(int)
    for link in sorted(links, key=lambda link: layers[link[1]] - layers[link[0]]):
        crossed = layers[link[1]] - layers[link[0]] - 1
        room -= max(0, crossed - farthest[link[0]])
        farthest[link[0]] = max(farthest[link[0]], crossed)
        (bent if room >= 0 else straight).append(link)
    return bent, straight


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


def _lay_out_component(whole: Any, component: list[int], layers: list[int]
                       ) -> tuple[dict[int, Point], list[list[Point]]]:
    """Left ends and middles of the boxes of one connected part, and the points that each of its lines passes.

    igraph finds the order in each column (Sugiyama's method); the places follow from it.
    """
    part = whole.induced_subgraph(component)
    first = min(layers[node] for node in component)
    levels = [layers[node] - first for node in component]
    chains = _chains(part.get_edgelist(), levels)
    steps = list(dict.fromkeys(step for chain in chains for step in itertools.pairwise(chain)))
    layout = load_igraph().Graph(n=len(levels), edges=steps, directed=True).layout_sugiyama(
        layers=levels, hgap=1, vgap=1, maxiter=ROUNDS)
    columns: list[list[int]] = [[] for _ in range(max(levels) + 1)]
    for node in sorted(range(len(levels)), key=lambda node: layout[node][0]):
        columns[levels[node]].append(node)
    across = _settle(columns, steps, len(component))
    points = [(MARGIN + level * (BOX_WIDTH + COLUMN_GAP), y) for level, y in zip(levels, across, strict=True)]
    routes = [_route([points[node] for node in chain]) for chain in _branches(chains)]
    return {node: points[index] for index, node in enumerate(component)}, routes


def _settle(columns: list[list[int]], steps: list[tuple[int, int]], boxes: int) -> list[float]:
    """Middles of boxes (nodes below `boxes`) and bends: near their neighbours, in order, not overlapping."""
    count = sum(map(len, columns))
    near: list[list[int]] = [[] for _ in range(count)]
    for source, target in steps:
        weight = 1 + 3 * (source >= boxes) + 3 * (target >= boxes)  # long lines want to be straight
        near[source] += [target] * weight
        near[target] += [source] * weight
    places = [0.0] * count
    place_of = places.__getitem__
    offsets = [_offsets(column, boxes) for column in columns]
    for column, offset in zip(columns, offsets, strict=True):
        for node, place in zip(column, offset, strict=True):
            places[node] = place - offset[-1] / 2
    pulls = [[near[node] or [node] for node in column] for column in columns]
    for sweep in range(SWEEPS):
        turn = range(len(columns)) if sweep % 2 == 0 else range(len(columns) - 1, -1, -1)
        for level in turn:
            wanted = [sum(map(place_of, others)) / len(others) for others in pulls[level]]
            for node, place in zip(columns[level], _nearest_in_order(wanted, offsets[level]), strict=True):
                places[node] = place
    return places


def _offsets(column: list[int], boxes: int) -> list[float]:
    """Least distances of the nodes of a column from its first, between the middles of boxes and bends."""
    offsets = [0.0]
    for above, below in itertools.pairwise(column):
        around = (above < boxes) + (below < boxes)
        offsets.append(offsets[-1] + around * BOX_HEIGHT / 2 + (ROW_GAP if around == 2 else BEND_GAP))  # noqa: PLR2004
    return offsets


def _nearest_in_order(wanted: list[float], offsets: list[float]) -> list[float]:
    """The places nearest to those wanted (least squares) that keep the order and the distances.

    Pool adjacent violators: what would overlap moves together, by its mean.
    """
    means: list[float] = []
    sizes: list[int] = []
    for place, offset in zip(wanted, offsets, strict=True):
        mean, size = place - offset, 1
        while means and means[-1] > mean:
            others = sizes.pop()
            mean = (means.pop() * others + mean * size) / (others + size)
            size += others
        means.append(mean)
        sizes.append(size)
    settled = itertools.chain.from_iterable(map(itertools.repeat, means, sizes))
    return [mean + offset for mean, offset in zip(settled, offsets, strict=True)]


def _chains(edges: list[tuple[int, int]], levels: list[int]) -> list[list[int]]:
    """Each edge as the nodes that it passes, one in every level.

    The bends are new nodes, appended to `levels`. Edges from one node share them: they are one line that branches.
    """
    bends: dict[int, list[int]] = defaultdict(list)
    chains = []
    for source, target in edges:
        passed, crossed = bends[source], max(0, levels[target] - levels[source] - 1)
        while len(passed) < crossed:
            passed.append(len(levels))
            levels.append(levels[source] + len(passed))
        chains.append([source, *passed[:crossed], target])
    return chains


def _branches(chains: list[list[int]]) -> list[list[int]]:
    """The chains, each from where it leaves what is drawn before it."""
    drawn: set[int] = set()
    branches = []
    for chain in chains:
        start = 0
        while chain[start + 1] in drawn:
            start += 1
        drawn.update(chain[1:-1])
        branches.append(chain[start:])
    return branches


def _route(points: list[Point]) -> list[Point]:
    """From the right side of the first box, straight across the columns of the bends, to the left side of the last."""
    (x, y), *bends, last = points
    route = [(x + BOX_WIDTH, y)]
    for bend_x, bend_y in bends:
        route += [(bend_x, bend_y), (bend_x + BOX_WIDTH, bend_y)]
    return [*route, last]


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
