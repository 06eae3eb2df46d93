"""From what was observed to what is recorded: inputs, outputs, code, packages, tracker runs."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from roar.analyze.datasets import fold_datasets
from roar.analyze.digest import Digested, digest_files, find_regular, identity
from roar.analyze.fold import Made, PathUse, fold, look_up
from roar.analyze.packages import read_python
from roar.analyze.plumbing import KEPT, Plumbing, environment_roots, is_source
from roar.model import FileUse, Python, TrackerRun, TrackerSummary
from roar.observe.trace import Signature, Trace
from roar.wire import Dataset

if TYPE_CHECKING:
    from roar.analyze.trackers.analysis import TrackerAnalysis

Known = Callable[[Iterable[Signature]], Mapping[tuple[int, int, int, int, int], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where and when the command ran, and what the settings say.

    Attributes:
        root: the workspace's root folder, symlinks resolved.
        cwd: the command's working folder.
        repository: root of the git work tree, or None.
        environment: what the trackers asked to see of the initial environment; never a secret.
        started_ns, ended_ns: wall clock, nanoseconds since the epoch.
        trackers: by name, whether a tracker is analysed; `*` stands for all others.
        made: whether a recorded job wrote a file at this absolute path.
        threshold: how many files below one folder make a dataset; 0 for never.
    """

    root: str
    cwd: str
    home: str
    tmpdir: str
    repository: str | None
    environment: Mapping[str, str]
    started_ns: int
    ended_ns: int
    trackers: Mapping[str, bool]
    made: Callable[[str], bool] = lambda _: False
    filter_add: Sequence[str] = ()
    filter_remove: Sequence[str] = ()
    threshold: int = 0


@dataclass(slots=True, kw_only=True)
class Analysis:
    """What a job did, ready to record.

    Attributes:
        payloads: files that stand only inside a tracker's store.
        digests: every digest that was had, by the signature of its content; to be remembered.
        sources: source files of the repository that were read, absolute.
        left_out: by category, how many paths are not artifacts.
        links: symlinks by which the job named files, and those it made, with where they lead.
        tracker_analysis: with updates to earlier runs.
    """

    inputs: tuple[FileUse, ...] = ()
    outputs: tuple[FileUse, ...] = ()
    payloads: tuple[FileUse, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    python: Python | None = None
    tracker_runs: tuple[TrackerRun, ...] = ()
    trackers: dict[str, TrackerSummary] = field(default_factory=dict)
    digests: list[tuple[Signature, str]] = field(default_factory=list)
    sources: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    tracker_analysis: "TrackerAnalysis | None" = None


def analyze(trace: Trace, around: Surroundings, known: Known,
            progress: Callable[[int, int], None] | None = None) -> Analysis:
    """Turn a trace into inputs, outputs and references.

    Args:
        trace: everything that was seen; its events are used up.
        around: where, when and under which settings.
        known: looks up digests of earlier content by signature.
        progress: told (bytes done, bytes in all) while files are digested.
    """
    uses = fold(trace.events)
    trace.events.clear()  # a million of them would weigh more than all that follows
    _add_programs(uses, trace)
    result = Analysis()
    plumbing = Plumbing(home=around.home, roots=environment_roots(uses), base=around.root, add=around.filter_add,
                        remove=around.filter_remove)
    categories = {path: plumbing.category(path) for path in uses}
    nothing = not trace.console and not around.environment and KEPT not in categories.values()
    owned = {} if nothing else _trackers(trace, uses, around, result)
    kept = _Kept(around, uses, owned, categories, plumbing)
    result.left_out = dict(kept.left_out)
    result.sources = tuple(sorted(kept.sources))
    inside = os.path.join(around.root, "")
    result.links = {path.removeprefix(inside): target.removeprefix(inside) for path, target in kept.links.items()}
    result.trackers = {name: TrackerSummary(filtered_files=n) for name, n in sorted(kept.filtered.items())}
    contents = _Contents(around, uses, known)
    inputs = [contents.read(use) for use in kept.uses if use.read]
    outputs = [contents.written(use) for use in kept.uses if use.written]
    payloads = [contents.written(use) for use in kept.payloads]
    contents.digest(progress)
    result.digests = contents.remembered()
    keep = (around.home, around.tmpdir, "/tmp", "/var/tmp", os.path.dirname(around.home))  # noqa: S108  compared only
    uses_in, sets_in = fold_datasets(_shaped(inputs, around), threshold=around.threshold, keep=keep)
    uses_out, sets_out = fold_datasets(_shaped(outputs, around), threshold=around.threshold, keep=keep)
    result.inputs, result.outputs = tuple(uses_in), tuple(uses_out)
    result.payloads = tuple(_shaped(payloads, around))
    result.datasets = tuple({dataset.digest: dataset for dataset in (*sets_in, *sets_out)}.values())
    result.python = read_python(uses, trace.processes)
    return result


def _add_programs(uses: dict[str, PathUse], trace: Trace) -> None:
    """A program that was executed is read content: the user's own binary may be the output of an earlier job."""
    for process in trace.processes:
        path = process.executable
        if path.startswith("/") and path not in uses:
            uses[path] = PathUse(path=path, read=True, first_ns=process.started_ns)
            look_up(uses[path])


def _trackers(trace: Trace, uses: Mapping[str, PathUse], around: Surroundings, result: Analysis) -> Mapping[
        str, tuple[str, bool]]:
    """By path, the tracker that owns it and whether it is payload. A failure of the layer loses nothing else."""
    if not any(around.trackers.values()):
        return {}
    from roar.analyze.trackers.analysis import analyze_trackers  # noqa: PLC0415  only where there is evidence
    from roar.analyze.trackers.contract import Ownership  # noqa: PLC0415
    from roar.analyze.trackers.evidence import TrackerFacts  # noqa: PLC0415

    facts = TrackerFacts(uses=uses, processes=trace.processes, console=trace.console, environment=around.environment,
                         cwd=around.cwd, home=around.home, tmpdir=around.tmpdir, started_at=around.started_ns,
                         ended_at=around.ended_ns, workspace=around.root)
    try:
        found = analyze_trackers(facts, around.trackers)
    except Exception as error:  # noqa: BLE001  the record must survive whatever a tracker's files hold
        result.warnings = (f"experiment trackers were not analysed: {type(error).__name__}: {error}",)
        return {}
    result.tracker_analysis = found
    result.tracker_runs = found.runs
    result.warnings = found.warnings
    return {path: (mine.tracker, mine.ownership is Ownership.PAYLOAD) for path, mine in found.owned.items()}


class _Kept:
    """The uses that may be artifacts, under their real paths, and counts of the others."""

    def __init__(self, around: Surroundings, uses: Mapping[str, PathUse], owned: Mapping[str, tuple[str, bool]],
                 categories: Mapping[str, str], plumbing: Plumbing) -> None:
        self.left_out: Counter[str] = Counter()
        self.filtered: Counter[str] = Counter()
        self.sources: set[str] = set()
        self.links: dict[str, str] = {}
        self.payloads: list[PathUse] = []
        self._around = around
        self._owned = owned
        self._real: dict[str, str] = {}
        self._by_path: dict[str, PathUse] = {}
        self._categories = categories
        self._plumbing = plumbing
        for use in uses.values():
            if use.made is not Made.DIRECTORY and (use.read or use.written):
                self._sort(use)
        self.uses = list(self._by_path.values())

    def _sort(self, use: PathUse) -> None:
        tracker, payload = self._owned.get(use.path, ("", False))
        if tracker and not (payload and use.read and not use.written):
            self.filtered[tracker] += 1
            if payload and use.written and use.exists:
                self.payloads.append(use)
            return
        category = self._categories[use.path]
        if category != KEPT:
            self.left_out[category] += 1
        elif use.made is Made.SYMLINK and use.written:
            self.left_out["links"] += 1
            self.links[use.path] = use.target or os.path.realpath(use.path)
        elif not use.exists and not (use.read and (use.signature is not None or use.moved_to is not None)):
            self.left_out["temporary"] += 1
        else:
            self._resolve(use)

    def _resolve(self, use: PathUse) -> None:
        path = self._real_path(use)
        if path != use.path:
            category = self._plumbing.category(path)
            if category != KEPT:
                self.left_out[category] += 1
                return
            self.links[use.path] = path
            use = replace(use, path=path)
            look_up(use)
        if self._is_code(use):
            self.sources.add(path)
            self.left_out["code"] += 1
            return
        other = self._by_path.get(path)
        self._by_path[path] = use if other is None else _merged(other, use)

    def _real_path(self, use: PathUse) -> str:
        folder, name = os.path.split(use.path)
        real = self._real.get(folder)
        if real is None:
            real = self._real[folder] = os.path.realpath(folder)
        if use.status is not None and stat.S_ISLNK(use.status.mode):
            return os.path.realpath(use.path)
        return use.path if real == folder else os.path.join(real, name)

    def _is_code(self, use: PathUse) -> bool:
        """Source that a repository holds is recorded with the commit and its patch, not as data."""
        repository = self._around.repository
        return (repository is not None and not use.written and is_source(use.path)
                and use.path.startswith(os.path.join(repository, "")) and not self._around.made(use.path))


def _merged(one: PathUse, other: PathUse) -> PathUse:
    """Two names of one file: what came first decides whether its content was read."""
    first, second = (one, other) if one.first_ns <= other.first_ns else (other, one)
    reads = first.read or (second.read and not first.written)
    return replace(first, read=reads, written=first.written or second.written,
                   replaced=first.replaced if first.written else second.replaced,
                   signature=first.signature or (second.signature if not first.written else None),
                   last_ns=max(first.last_ns, second.last_ns))


@dataclass(slots=True, kw_only=True)
class _Content:
    """One use whose digest is to be had: `at` names the place that holds the content now, None when it is gone."""

    use: PathUse
    at: str | None = None
    signature: Signature | None = None
    digest: str | None = None
    size: int | None = None
    note: str | None = None
    drop: bool = False


class _Contents:
    """Find where the content of each use can be digested, digest it, remember it."""

    def __init__(self, around: Surroundings, uses: Mapping[str, PathUse], known: Known) -> None:
        self._around = around
        self._uses = uses
        self._known = known
        self._all: list[_Content] = []
        self._done: dict[str, Digested] = {}

    def read(self, use: PathUse) -> _Content:
        """The content as it was when it was read."""
        content = _Content(use=use, signature=use.signature, size=use.signature.size if use.signature else None)
        self._all.append(content)
        if use.signature is not None and not stat.S_ISREG(use.signature.mode):
            content.drop = True
            return content
        now = _regular_now(use)
        if now is None and use.exists and not use.written:
            content.drop = True  # a folder, a device, a socket: not content
        elif now is not None and self._unchanged(use, now):
            content.at, content.signature, content.size = use.path, now, now.size
        elif use.moved_to is not None:
            self._follow(content)
        if content.at is None and content.note is None:
            content.note = _why_gone(use, now)
        return content

    def _unchanged(self, use: PathUse, now: Signature) -> bool:
        if use.signature is not None:
            return identity(use.signature) == identity(now)
        return not use.written and max(now.mtime_ns, now.ctime_ns) < self._around.started_ns

    def _follow(self, content: _Content) -> None:
        """The job itself moved or linked the file, perhaps on and on: only its change time may differ."""
        path, moved_ns = content.use.moved_to or "", content.use.moved_ns
        target = self._uses.get(path)
        while target is not None and target.moved_to is not None and target.last_ns == target.moved_ns > moved_ns:
            path, moved_ns = target.moved_to, target.moved_ns
            target = self._uses.get(path)
        there = find_regular(path)
        if there is None or target is None or target.last_ns != moved_ns:
            return
        before = content.signature
        if there[:4] == before[:4] if before is not None else there.mtime_ns < self._around.started_ns:
            content.at, content.signature, content.size = path, there, there.size

    def written(self, use: PathUse) -> _Content:
        """The content that the job left."""
        now = _regular_now(use)
        content = _Content(use=use, at=use.path, signature=now, size=now.size if now else None)
        same = (now is not None and use.signature is not None and not use.replaced
                and identity(now) == identity(use.signature))
        content.drop = now is None or same or (now.size == 0 and use.path.endswith(".lock"))
        self._all.append(content)
        return content

    def digest(self, progress: Callable[[int, int], None] | None) -> None:
        """Fill in digest and note of every content."""
        live = [content for content in self._all if not content.drop]
        known = self._known([content.signature for content in live if content.signature is not None])
        wanted = {content.at: content.signature for content in live if content.at and content.signature}
        total = sum(s.size for s in wanted.values() if identity(s) not in known)
        done = 0

        def report(size: int) -> None:
            nonlocal done
            done += size
            if progress is not None:
                progress(done, total)

        self._done = digest_files(wanted, known, progress=report)
        for content in live:
            self._fill(content, known)

    def _fill(self, content: _Content, known: Mapping[tuple[int, int, int, int, int], str]) -> None:
        if content.at is not None:
            done = self._done[content.at]
            content.digest, content.note = done.digest, done.note
        elif content.signature is not None:
            content.digest = known.get(identity(content.signature))
            content.note = None if content.digest else content.note

    def remembered(self) -> list[tuple[Signature, str]]:
        """Digests whose signature proves them from now on."""
        return [(done.signature, done.digest) for done in self._done.values()
                if done.settled and done.signature is not None and done.digest is not None]


def _regular_now(use: PathUse) -> Signature | None:
    """The signature of the regular file that stands at the path after the command, symlinks already followed."""
    return use.status if use.status is not None and stat.S_ISREG(use.status.mode) else None


def _why_gone(use: PathUse, now: Signature | None) -> str:
    if use.written:
        return "was changed by this job after it was read, and its earlier content was not recorded before"
    if now is None:
        return "was deleted after it was read, and its content was not recorded before"
    return "changed after it was read, and its earlier content was not recorded before"


def _shaped(contents: Iterable[_Content], around: Surroundings) -> list[FileUse]:
    inside = os.path.join(around.root, "")
    return [FileUse(path=c.use.path.removeprefix(inside), digest=c.digest, size=c.size, note=c.note)
            for c in contents if not c.drop]
