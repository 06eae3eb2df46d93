"""A job's tracker runs, as many of each tracker as a person reads."""

from collections.abc import Iterator, Sequence

from roar.model import TrackerRun

SHOWN = 10  # runs of each tracker; a search for parameters may make hundreds


def iter_cut(runs: Sequence[TrackerRun], *, everything: bool = False) -> Iterator[tuple[str, list[TrackerRun], int]]:
    """The runs tracker by tracker: its label, the first of its runs, and how many more there are."""
    by_label: dict[str, list[TrackerRun]] = {}
    for run in runs:
        by_label.setdefault(run.label, []).append(run)
    for label, all_runs in by_label.items():
        listed = all_runs if everything else all_runs[:SHOWN]
        yield label, listed, len(all_runs) - len(listed)
