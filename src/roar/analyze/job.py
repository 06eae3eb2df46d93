"""From what was observed to what is recorded: inputs, outputs, code, packages, tracker runs."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from roar.analyze.age import Ages
from roar.analyze.bytecode import add_sources
from roar.analyze.caches import caches_of
from roar.analyze.carried import find_renamed, without_folder_exchanges
from roar.analyze.contents import Content, Contents, shaped
from roar.analyze.datasets import ancestors, fold_datasets, fold_unknown
from roar.analyze.elsewhere import ELSEWHERE, find_started_elsewhere
from roar.analyze.fifos import without_fifos
from roar.analyze.fold import Made, PathUse, Uses, find_content, fold
from roar.analyze.inner import InnerJobs, may_have_inner
from roar.analyze.kept import Kept
from roar.analyze.one_name import with_one_name
from roar.analyze.packages import package_order, python_of, read_python
from roar.analyze.plumbing import KEPT, Plumbing, environment_roots
from roar.analyze.programs import NO_VERSION, sort_programs, unversioned_libraries
from roar.analyze.streams import add_events, add_notes
from roar.analyze.surroundings import InnerJob, Remembered, Surroundings
from roar.analyze.symlinks import Followed, Places, follow_links, settled
from roar.analyze.unchanged import UnchangedDatasets
from roar.model import FileUse, Kind, Python, TrackerRun, TrackerSummary
from roar.observe.folders import FolderFiles
from roar.observe.inflow import BY_FIFO
from roar.observe.trace import COMPLETE, Signature, Trace, list_reads
from roar.wire import Dataset

if TYPE_CHECKING:
    from roar.analyze.trackers.analysis import TrackerAnalysis


@dataclass(slots=True, kw_only=True)
class Analysis:
    """What a job did, ready to record.

    Attributes:
        payloads: files that stand only inside a tracker's store.
        digests: every digest that was had, by the signature of its content; to be remembered.
        stamps: digests of datasets by the stamp of all their files; to be remembered.
        corrected: whether one of `digests` is another than was remembered before.
        sources: source files of the repository that were read, absolute.
        left_out: by category, how many paths are not artifacts.
        links: symlinks by which the job named files, and those it made, as they are to be shown; each with its text.
        made_links: those of them that it made.
        left_links: those that it found, named files by, and did not leave as they were; each with its first text.
        tracker_analysis: with updates to earlier runs.
        folders: those that the job made itself and left outputs in, the highest of them, as they are to be shown.
        deleted: files that the job read, code too, or that one which it ran wrote, and that it then deleted or moved
            away, as they are to be shown.
        given: files that the job wrote, that one that it ran read, as they are to be shown.
        ages: by path and digest of inputs, the time by which they certainly lay there as they were read.
        inner: uids of the jobs that it ran itself.
        seen_whole: those of them all of whose programs loaded the preload library, as this job saw.
        moved: by absolute path of a folder or file that was there before, where the job moved it.
        gaps: what is lost of the job although it was seen, one short phrase each.
    """

    inputs: tuple[FileUse, ...] = ()
    outputs: tuple[FileUse, ...] = ()
    payloads: tuple[FileUse, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    python: Python | None = None
    tracker_runs: tuple[TrackerRun, ...] = ()
    trackers: dict[str, TrackerSummary] = field(default_factory=dict)
    digests: list[tuple[Signature, str]] = field(default_factory=list)
    stamps: list[tuple[bytes, str]] = field(default_factory=list)
    corrected: bool = False
    sources: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    made_links: tuple[str, ...] = ()
    left_links: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    tracker_analysis: "TrackerAnalysis | None" = None
    folders: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    ages: dict[tuple[str, str], str] = field(default_factory=dict)
    inner: tuple[str, ...] = ()
    seen_whole: tuple[str, ...] = ()
    moved: dict[str, str] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()


def analyze(trace: Trace, around: Surroundings, known: Remembered,
            progress: Callable[[int, int], None] | None = None) -> Analysis:
    """Turn a trace into inputs, outputs and references.

    Args:
        trace: everything that was seen; its events are used up. Where roar itself is among the processes, every
            event has to be there by itself.
        around: where, when and under which settings.
        known: looks up what earlier jobs left.
        progress: told (bytes done, bytes in all) while files are digested.
    """
    around = replace(around, caches=caches_of(trace.processes, around))
    add_events(trace, around)
    add_sources(trace)
    trace.events = without_folder_exchanges(trace.events)
    inner = InnerJobs(trace, known, (stream.path for stream in around.streams)) if may_have_inner(trace) else None
    followed = follow_links(trace.events)
    trace.events = []  # a million of them would weigh more than all that follows
    stands = Places()
    named = with_one_name(followed.events, around.started_ns, stands, always=inner is not None)
    followed.places |= named.places
    followed.events, fifos = without_fifos(named.events, inner.is_own if inner is not None else lambda _: True)
    if inner is not None:
        followed.events = inner.apart(followed.events)
        inner.without(trace)
    folders = _without_followed(trace.folders, followed)
    uses = Uses(fold(followed.events, around.started_ns, inner.written if inner is not None else ()), folders)
    places = _find_places(followed, uses)
    renamed = find_renamed(followed.events)
    followed.events.clear()
    result = Analysis(moved=_moved(uses, renamed), inner=inner.uids if inner is not None else (),
                      seen_whole=inner.seen_whole(trace) if inner is not None else ())
    plumbing = Plumbing(home=around.home, roots=environment_roots(uses, trace.processes), base=around.root,
                        add=around.filter_add, remove=around.filter_remove, moved=around.caches)
    owned = _trackers(trace, uses, around, result) if _may_hold_trackers(trace, uses, around, plumbing) else {}
    if inner is not None:
        result.tracker_runs = tuple(run for run in result.tracker_runs if (run.tracker, run.run_id) not in inner.runs)
    kept = Kept(around, uses, owned, plumbing, stands=stands, places=places)
    unchanged = UnchangedDatasets(uses, kept, around, known)
    kept.note_ways(named.ways)
    _note_kept(result, kept, uses, around, [*known.others_within(result.inner), *([] if inner is None else [inner])])
    _note_links(result, kept, {path: target for path, target in followed.links.items()
                               if plumbing.category(path) == KEPT}, around)
    result.gaps = (*([BY_FIFO] if any(plumbing.category(path) == KEPT for path in fifos) else ()),
                   *_count_elsewhere(kept.uses), *(_missing(uses, kept, renamed) if trace.mode in COMPLETE else ()),
                   *(f"what {name}{ELSEWHERE}" for name in find_started_elsewhere(trace.processes)))
    contents = Contents(around, uses, known)
    earlier = [[contents.read(use) for use in kept.earlier[at]] for at in sorted(kept.earlier)]
    inputs = [contents.read(use) for use in kept.uses if use.read]
    outputs = [contents.written(use) for use in kept.uses if use.written]
    payloads = [contents.written(use) for use in kept.payloads]
    contents.digest(progress)
    add_notes(around.streams, inputs, outputs)
    above = {folder for root in unchanged.found for folder in ancestors(root)}
    uses_in, sets_in, ages = _fold_inputs(inputs, earlier, around, above)
    result.ages = unchanged.ages | ages
    uses_out, sets_out = fold_datasets(shaped(outputs), threshold=around.threshold, whole=around.whole())
    folded = fold_unknown(uses_in, _changed(inputs), threshold=around.threshold, keep=above, whole=around.whole())
    result.inputs = tuple(sorted((*folded, *unchanged.found.values()), key=lambda use: use.path))
    result.outputs, result.payloads = tuple(uses_out), tuple(shaped(payloads))
    result.datasets = tuple({dataset.digest: dataset for dataset in (*sets_in, *sets_out)}.values())
    result.stamps = list(unchanged.stamps(_by_folder(uses_in, sets_in), _by_folder(uses_out, sets_out), contents))
    result.digests, result.corrected = contents.remembered(), contents.corrected
    _note_environment(result, trace, uses, plumbing)
    return result


def _note_environment(result: Analysis, trace: Trace, uses: Uses, plumbing: Plumbing) -> None:
    result.python = read_python(uses, trace.processes)
    programs, packages = sort_programs(trace.processes, plumbing)
    programs |= unversioned_libraries(uses, plumbing)
    if result.python is None:
        result.python = python_of(packages.values())
    if result.python is not None and packages:
        found = {*result.python.packages, *packages}
        result.python = replace(result.python, packages=tuple(sorted(found, key=package_order)))
    kept, others = result.left_out, Counter(category for category in programs.values() if category != KEPT)
    numbers = {category: count - others[category] for category, count in kept.items()}
    numbers[NO_VERSION] = numbers.get(NO_VERSION, 0) + others.total()
    result.left_out = {category: count for category, count in numbers.items() if count > 0}


def _changed(contents: Iterable[Content]) -> set[str]:
    """The paths, as they are shown, of what the job itself changed, deleted or moved after it had read it."""
    return {content.path for content in contents if content.use.written or content.use.deleted or content.use.away}


def _note_kept(result: Analysis, kept: Kept, uses: Uses, around: Surroundings,
               within: Sequence[InnerJob | InnerJobs]) -> None:
    """Note what is kept of the files; `within` are the jobs that this one ran."""
    result.left_out = dict(kept.left_out)
    result.sources = tuple(sorted(kept.sources))
    result.trackers = {name: TrackerSummary(filtered_files=n) for name, n in sorted(kept.filtered.items())}
    made_within = {path for jobs in within for path in jobs.written}
    result.folders = tuple(sorted(around.shown(path) for path in _made_folders(uses, kept, made_within)))
    code = (uses.opened[path] for path in kept.sources if path in uses.opened)
    result.deleted = tuple(sorted({around.shown(use.path) for use in chain(kept.uses, code)
                                   if use.read and not use.exists and (use.deleted or use.away)}))
    _note_within(result, uses, around, within, made_within)


def _note_within(result: Analysis, uses: Uses, around: Surroundings, within: Sequence[InnerJob | InnerJobs],
                 made: Iterable[str]) -> None:
    """Note what the job gave to those that it ran, and what it removed of theirs, as a script does in the end."""
    read = {path for jobs in within for path in jobs.read}
    result.given = tuple(sorted({around.shown(use.path) for path in read if (
        use := uses.opened.get(path)) is not None and (use.given if use.shared else use.written)}))
    removed = {around.shown(use.path) for path in made if (
        use := uses.opened.get(path)) is not None and not use.exists and (use.deleted or use.away)}
    result.deleted = tuple(sorted({*result.deleted, *removed}))


def _note_links(result: Analysis, kept: Kept, left: Mapping[str, str], around: Surroundings) -> None:
    result.links = {around.shown(path): target for path, target in kept.links.items()}
    result.made_links = tuple(map(around.shown, kept.made_links))
    result.left_links = {around.shown(path): target for path, target in left.items()}


def _fold_inputs(inputs: Sequence[Content], earlier: Sequence[Sequence[Content]], around: Surroundings,
                 keep: Collection[str]) -> tuple[list[FileUse], list[Dataset], dict[tuple[str, str], str]]:
    """What was read, folded, the latest content of each path last; and since when that lay there."""
    read = shaped(inputs)
    uses, datasets = fold_datasets(read, threshold=around.threshold, keep=keep, whole=around.whole())
    ages = Ages(around.root).of_uses(uses, datasets, inputs)
    for uses_then, sets_then in _fold_earlier(earlier, read, around):
        uses, datasets = [*uses_then, *uses], [*sets_then, *datasets]
    return uses, datasets, ages


def _fold_earlier(earlier: Sequence[Sequence[Content]], read: Iterable[FileUse], around: Surroundings
                  ) -> Iterator[tuple[list[FileUse], list[Dataset]]]:
    """What was read until other jobs replaced it, the latest first; each content at a path once."""
    known = {(use.path, use.digest) for use in read} if earlier else set()
    for replaced in reversed(earlier):
        uses = [use for use in shaped(replaced) if (use.path, use.digest) not in known]
        known.update((use.path, use.digest) for use in uses)
        yield fold_datasets(uses, threshold=around.threshold, whole=around.whole())


def _without_followed(folders: Sequence[FolderFiles], followed: Followed) -> list[FolderFiles]:
    """The folders in which files were only read, after links, too: the files of the others become events."""
    touched = set(map(os.path.dirname, followed.places))
    opened = [files for files in folders if files.folder in touched]
    if opened:
        followed.events += list_reads(opened)
        followed.events.sort(key=lambda event: event.time_ns)
    return [files for files in folders if files.folder not in touched]


def _find_places(followed: Followed, uses: Uses) -> set[str]:
    """The paths of uses that are where a file really lay.

    What lay there is not there any more where a link leads from it to somewhere else now.
    """
    places = set(settled(followed, uses.opened)) if followed.places or followed.folders else set()
    for place in places:
        folder = os.path.dirname(place)
        if os.path.realpath(folder) != folder:
            uses.opened[place].exists, uses.opened[place].status = False, None
    return places


def _missing(uses: Uses, kept: Kept, renamed: Collection[str]) -> Iterator[str]:
    """Outputs that are gone although the job neither removed nor moved them: others did, or the mount is gone.

    Of a job that moved folders itself, or made symlinks, nobody can tell so easily.
    """
    if not kept.missing or renamed or any(use.made is Made.SYMLINK or use.linked for use in uses.opened.values()):
        return
    place = kept.stands.of
    own = {there for path, use in uses.opened.items() if use.deleted or use.away for there in (path, place(path))}
    count = sum(own.isdisjoint((*ancestors(path), *ancestors(place(path)))) for path in kept.missing)
    if count:
        yield f"{count} written file{'s' if count > 1 else ''} gone by the end, not by what was seen"


def _count_elsewhere(uses: Iterable[PathUse]) -> Iterator[str]:
    if count := sum(use.elsewhere for use in uses):
        yield f"{count} file{'s' if count > 1 else ''} named through symlinks that something else changed meanwhile"


def _moved(uses: Uses, renamed: Mapping[str, str]) -> dict[str, str]:
    """Where content from before the job is now, as far as nothing else took its old place."""
    found = {path: there for source, place in renamed.items() if os.path.isdir(place)
             for path, there in _vacated(source, place)}
    return found | {use.path: there.path for use in uses.opened.values()
                    if use.read and not use.written and use.moved_to is not None and not use.exists
                    and (there := find_content(uses, use)) is not None and there.exists}


def _vacated(source: str, place: str) -> Iterator[tuple[str, str]]:
    """What of a renamed folder is gone from its old name: all of it, or what a new folder there does not hold."""
    if not os.path.lexists(source):
        yield source, place
    elif os.path.isdir(place) and os.path.isdir(source) and not os.path.islink(place):
        for name in os.listdir(place):
            yield from _vacated(f"{source}/{name}", f"{place}/{name}")


def _made_folders(uses: Uses, kept: Kept, made_within: Iterable[str]) -> set[str]:
    """The highest folders that the job made itself, as far as it left something in them, or those that it ran."""
    new = {path for path, use in uses.opened.items() if use.new}
    made = {os.path.realpath(path) for path in new if os.path.dirname(path) not in new}
    folders = {os.path.dirname(use.path) for use in kept.uses if use.written and use.exists} if made else set()
    folders.update(map(os.path.dirname, made_within) if made else ())
    return {inside[-1] for folder in folders if (inside := [path for path in ancestors(folder) if path in made])}


def _may_hold_trackers(trace: Trace, uses: Uses, around: Surroundings, plumbing: Plumbing) -> bool:
    """Whether there is anything that a tracker could have left: otherwise none of them is loaded."""
    return bool(trace.console or around.environment
                or any(plumbing.category(path) == KEPT for path in uses.opened)
                or any(plumbing.category(f"{folder}/_") == KEPT for folder in uses.closed))


def _by_folder(uses: list[FileUse], datasets: list[Dataset]) -> dict[str, Dataset]:
    """The datasets that are whole folders, by their path."""
    by_digest = {dataset.digest: dataset for dataset in datasets}
    return {use.path[:-1]: by_digest[use.digest] for use in uses
            if use.kind is Kind.DATASET and use.path.endswith("/") and use.digest is not None}


def _trackers(trace: Trace, uses: Uses, around: Surroundings, result: Analysis) -> Mapping[
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


