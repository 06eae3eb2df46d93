"""The few lines that `roar run` says on stderr when the job is recorded."""

from collections.abc import Mapping, Sequence

from roar.model import FileUse, Job, JobState, Kind, TrackerRun, TrackerRunState
from roar.present.runs import iter_cut
from roar.present.text import category_text, count_text, on_one_line, printable

SHOWN = 4  # names of each direction; the rest is a number


def render_closing(job: Job, left_out: Mapping[str, int], recording_s: float) -> str:
    """What was recorded, for a person: files, tracker links, what was left out, how it was seen, what it cost."""
    lines = [f"roar: recorded @{job.step} {job.uid[:8]} · {_ending(job)}"]
    rows = file_rows(job)
    rows += _tracker_runs(job)
    rows += [("left out", _left_out(job, left_out)), ("seen by", _observed(job))]
    width = max(len(name) for name, _ in rows)
    lines += [f"  {name:<{width}}  {text}" for name, text in rows if text]
    lines[-1] += f" · recording took {recording_s:.2f} s"
    return "\n".join(map(on_one_line, lines)) + "\n"


def _ending(job: Job) -> str:
    seconds = "" if job.duration_s is None else f" after {job.duration_s:.1f} s"
    if job.state is JobState.INTERRUPTED:
        return f"interrupted{seconds}, exit status {job.exit_code}"
    return f"done{seconds}" if job.exit_code == 0 else f"failed{seconds}, exit status {job.exit_code}"


def file_rows(job: Job) -> list[tuple[str, str]]:
    """What a job read and wrote, the first names of each; behind the last that are cut the command that shows all."""
    rows = [("read", _files_text(job.inputs)), ("wrote", _files_text(job.outputs))]
    cut = [at for at, uses in enumerate((job.inputs, job.outputs)) if len(uses) > SHOWN]
    if cut:
        name, text = rows[cut[-1]]
        rows[cut[-1]] = name, f"{text}: roar show {job.uid[:8]} --all"
    return rows


def _files_text(uses: Sequence[FileUse]) -> str:
    """The first names of what a job read or wrote, and how many more there are; "" where there are none."""
    names = [printable(use.path) + (f" ({count_text(use.files or 0, 'file')})" if use.kind is Kind.DATASET else "")
             for use in uses[:SHOWN]]
    return ", ".join(names) + (f" and {len(uses) - SHOWN:,} more" if len(uses) > SHOWN else "")


def _tracker_runs(job: Job) -> list[tuple[str, str]]:
    rows = []
    for label, runs, more in iter_cut(job.tracker_runs):
        rows += [(label, _tracker(run)) for run in runs]
        rows += [(label, f"… and {more:,} more: roar show {job.uid[:8]} --all")] if more else []
    return rows


def _tracker(run: TrackerRun) -> str:
    if run.url is not None:
        return run.url
    if run.how_to_view is not None:
        verb = "upload it:" if run.state is TrackerRunState.OFFLINE else "see it:"
        return f"run {run.run_id} · {verb} {run.how_to_view}"
    return f"run {run.run_id} · {run.note or 'where it can be seen is not proven'}"


def _left_out(job: Job, left_out: Mapping[str, int]) -> str:
    parts = [f"{count_text(summary.filtered_files, 'file')} of {name}" for name, summary in job.trackers.items()]
    parts += [category_text(count, category)
              for category, count in sorted(left_out.items(), key=lambda item: -item[1])]
    return ", ".join(parts)


def _observed(job: Job) -> str:
    if job.tracer.mode == "none":
        return f"nothing: no file could be observed ({'; '.join(job.tracer.gaps) or 'no reason known'})"
    gaps = f"; may have missed: {', '.join(job.tracer.gaps)}" if job.tracer.gaps else ", nothing missed"
    return f"{job.tracer.mode} tracing{gaps}"


