"""Jobs as text: a list of them, and one in full."""

from collections.abc import Mapping, Sequence

from roar.model import UNKNOWN_VERSION, FileUse, Job, Kind, Python, Repository, TrackerRun, TrackerRunState
from roar.present.runs import iter_cut
from roar.present.text import (
    category_text,
    columns_of,
    command_text,
    count_text,
    cut,
    cut_inside,
    duration_text,
    on_one_line,
    paint,
    printable,
    seconds_since,
    short_command,
    table,
    time_text,
    width,
)
from roar.query.history import JobLine
from roar.query.running import RunningJob
from roar.wire import size_text

SHORT = 12
_FILES_SHOWN = 40
_NARROW = 110
_VERY_NARROW = 60


def render_log(lines: Sequence[JobLine]) -> str:
    """A list of jobs, one line each; where they are of several sessions, each session has a heading."""
    columns = width()
    rows = [_row(line, columns) for line in lines]
    texts = table(rows, right=() if columns is not None and columns < _VERY_NARROW else (3,))
    headings = len({line.session for line in lines if line.session}) > 1
    session, result = "", ""
    for text, row, line in zip(texts, rows, lines, strict=True):
        if headings and line.session and line.session != session:
            session = line.session
            result += paint(f"session {session[:8]}", "dim") + "\n"
        result += f"{_painted(_fitting(text, row[-1], columns), line)}\n"
    return result


def _fitting(text: str, title: str, columns: int | None) -> str:
    """A line with its title cut where both do not fit: jobs often differ in how their commands end."""
    if columns is None or columns_of(text) <= columns:
        return text
    room = columns - columns_of(text) + columns_of(title)
    return cut(text.removesuffix(title) + cut_inside(title, max(room, 1)), columns)


def _row(line: JobLine, columns: int | None) -> tuple[str, ...]:
    """The columns of one line, without those for which the command would find no room."""
    narrow = columns is not None and columns < _NARROW
    if columns is not None and columns < _VERY_NARROW:
        return (f"@{line.step}" if line.step else line.uid[:8], outcome(line.state, line.exit_code), _title(line))
    started = time_text(line.started_at)
    step, count = (f"@{line.step}", f"{line.inputs} in, {line.outputs} out") if line.step else ("", "")
    files = () if narrow else (count,)
    return (step, line.uid[:8], started[5:16] if narrow else started, duration_text(line.duration_s),
            outcome(line.state, line.exit_code), *files, _title(line))


def _title(line: JobLine) -> str:
    labels = list(dict.fromkeys(run.label for run in line.tracker_runs))
    trackers = f"  [{', '.join(printable(label) for label in labels)}]" if labels else ""
    name = f"{printable(line.name)}: " if line.name else ""
    return f"{name}{command_of(line)}{trackers}"


def command_of(line: JobLine) -> str:
    """`short_command` of a job, with the folder that it ran in where that is not the workspace's own."""
    return short_command(line.command) + ("" if line.cwd == "." else f"  (in {printable(line.cwd)})")


def outcome(state: str, exit_code: int | None) -> str:
    """How a job ended, in a word or two."""
    if state != "done":
        return state
    return "ok" if exit_code == 0 else f"exit {exit_code}"


def outcome_colour(state: str, exit_code: int | None) -> str:
    """The colour for `outcome`."""
    if state != "done":
        return "yellow"
    return "green" if exit_code == 0 else "red"


def _painted(text: str, line: JobLine) -> str:
    word = outcome(line.state, line.exit_code)
    head, found, tail = text.partition(f" {word} ")
    if not found:
        return text
    return f"{head} {paint(word, outcome_colour(line.state, line.exit_code))} {tail}"


def render_job(job: Job, *, left_out: Mapping[str, int] | None = None, symlinks: Mapping[str, str] | None = None,
               everything: bool = False, session: str | None = None) -> str:
    """One job in full.

    Args:
        job: as loaded.
        symlinks: that it went through or made, with their targets.
        left_out: category of plumbing to number of paths.
        everything: list all inputs, outputs and tracker runs, however many, and the packages.
        session: uid of its session where that is an earlier one, of which `@N` does not stand for it.
    """
    word = outcome(job.state, job.exit_code)
    step = f"@{job.step}" if session is None else f"step {job.step} of session {session[:8]}"
    head = f"job {job.uid}  {step}  {paint(word, outcome_colour(job.state, job.exit_code))}"
    lines = [head + (f"  {printable(job.name)}" if job.name else ""), f"  {paint(command_text(job.command), 'bold')}"]
    lines += _tracker_runs(job, everything=everything)
    lines += _facts(job, everything=everything)
    lines += _files(job, "inputs", job.inputs, everything=everything)
    lines += _files(job, "outputs", job.outputs, everything=everything)
    lines += _symlinks(job, symlinks or {}, everything=everything)
    lines += _packages(job) if everything else []
    lines += _left_out(job, left_out or {})
    return "\n".join(lines) + "\n"


def render_running(running: RunningJob) -> str:
    """A job whose command still runs: all that is known of it."""
    job = running.job
    head = f"job {job.uid}  {paint(job.state, outcome_colour(job.state, None))}"
    facts = [("folder", printable(job.cwd)),
             ("started", f"{time_text(job.started_at)}, {duration_text(seconds_since(job.started_at))} ago"),
             ("pid", "not known" if running.pid is None else str(running.pid))]
    facts += [("label", f"{printable(key)}={printable(value)}") for key, value in job.labels.items()]
    lines = [head + (f"  {printable(job.name)}" if job.name else ""), f"  {paint(command_text(job.command), 'bold')}",
             *_fact_lines(facts), "  what it reads and writes is recorded when it has ended"]
    return "\n".join(lines) + "\n"


def _symlinks(job: Job, symlinks: Mapping[str, str], *, everything: bool) -> list[str]:
    if not symlinks:
        return []
    listed = list(symlinks.items())[:None if everything else _FILES_SHOWN]
    lines = [f"  {paint('symlinks', 'dim')} ({len(symlinks):,})"]
    lines += [f"    {printable(path)} → {printable(target)}" for path, target in listed]
    if len(listed) < len(symlinks):
        lines.append(f"    … and {len(symlinks) - len(listed):,} more: roar show {job.uid[:8]} --all")
    return lines


def _packages(job: Job) -> list[str]:
    versions = {} if job.python is None else job.python.versions()
    if not versions:
        return []
    rows = [(printable(name), printable(versions[name])) for name in sorted(versions, key=str.lower)]
    return [f"  {paint('imported packages', 'dim')} ({len(rows):,})", *(f"    {line}" for line in table(rows))]


def _facts(job: Job, *, everything: bool) -> list[str]:
    facts = [("folder", printable(job.cwd)),
             ("started", f"{time_text(job.started_at)}, took {duration_text(job.duration_s)}")]
    if job.kind == "run":
        facts.append(("code", _code(job)))
        facts += [("", _inner(one)) for one in (job.git.repositories if job.git is not None else ())]
    if job.host is not None:
        cpu = f", {printable(job.host.cpu)}" if job.host.cpu else ""
        gpus = f", {', '.join(map(printable, job.host.gpus))}" if job.host.gpus else ""
        memory = f", {size_text(job.host.memory)}" if job.host.memory else ""
        facts.append(("host", f"{printable(job.host.os)} {job.host.machine}{cpu}, {job.host.cpus} CPUs{memory}{gpus}"))
    if job.python is not None:
        how = "" if everything or not job.python.packages else f": roar show {job.uid[:8]} --all"
        facts.append(("python", f"{_python(job.python)}{how}"))
    facts.append(("seen by", _observed(job)))
    facts += [("label", f"{printable(key)}={printable(value)}") for key, value in job.labels.items()]
    return _fact_lines(facts)


def _python(python: Python) -> str:
    unversioned = ", ".join(map(printable, python.unversioned()))
    changed = ", ".join(map(printable, python.changed()))
    return (f"{python.version}, {count_text(len(python.packages), 'imported package')}"
            f"{f', without a version: {unversioned}' if unversioned else ''}"
            f"{f', edited where installed: {changed}' if changed else ''}")


def _fact_lines(facts: Sequence[tuple[str, str]]) -> list[str]:
    return [f"  {paint(name.ljust(8), 'dim')} {text}" for name, text in facts]


def _code(job: Job) -> str:
    if job.git is None:
        is_known = not any(gap.startswith(UNKNOWN_VERSION) for gap in job.tracer.gaps)
        return "no git repository" if is_known else "in a git repository, of a version that is not known"
    commit = job.git.commit[:SHORT] if job.git.commit else "no commit yet"
    branch = f" on {printable(job.git.branch)}" if job.git.branch else ""
    tree = f" in the linked work tree {printable(job.git.worktree)}" if job.git.worktree else ""
    if not job.git.dirty:
        return f"{commit}{branch}{tree}, clean"
    patch = f" (the patch: roar show {job.git.patch[:SHORT]})" if job.git.patch else ""
    return f"{commit}{branch}{tree}, with uncommitted changes{patch}"


def _inner(repository: Repository) -> str:
    kind = "submodule" if repository.kind == "submodule" else "nested repository"
    commit = f"at {repository.commit[:SHORT]}" if repository.commit else "at no known commit"
    state = "with uncommitted changes" if repository.dirty else "clean"
    return f"{kind} {printable(repository.path)} {commit}, {state}"


_SEEN = {
    "full": "full tracing: every file event of the whole process tree",
    "seccomp": "seccomp tracing: every file event of the whole process tree, by the kernel's filter alone",
    "preload": "preload tracing: what programs do through libc's own functions",
}


def _observed(job: Job) -> str:
    if job.tracer.mode == "none":
        return paint("nothing: no file could be observed", "red") + _gaps(job)
    if job.tracer.mode == "transfer":
        return "roar itself, which moved the files"
    return _SEEN.get(job.tracer.mode, f"{printable(job.tracer.mode)} tracing") + _gaps(job)


def _gaps(job: Job) -> str:
    if not job.tracer.gaps:
        return "; nothing missed"
    return f"; may have missed: {', '.join(map(printable, job.tracer.gaps))}"


def tracker_run_lines(run: TrackerRun) -> list[str]:
    """A tracker run: its address, or how to see it, or what is not known."""
    name = f" ({printable(run.name)})" if run.name else ""
    label = paint(printable(run.label), "cyan")
    if run.url is not None:
        return [f"{label}{name}  {printable(run.url)}"]
    where = "/".join(printable(part) for part in (run.entity, run.project) if part)
    title = f"{label}{name}  run {printable(run.run_id)}{f' of {where}' if where else ''}"
    if run.how_to_view is not None:
        verb = "upload it" if run.state is TrackerRunState.OFFLINE else "see it"
        return [f"{title}, {run.state}; {verb}: {on_one_line(run.how_to_view)}"]
    return [f"{title}, {run.state}: {printable(run.note or 'nothing proves where it can be seen')}"]


def _tracker_runs(job: Job, *, everything: bool) -> list[str]:
    lines = []
    for label, runs, more in iter_cut(job.tracker_runs, everything=everything):
        lines += [f"  {line}" for run in runs for line in tracker_run_lines(run)]
        if more:
            lines.append(f"  {paint(printable(label), 'cyan')}  … and {more:,} more: roar show {job.uid[:8]} --all")
    return lines


def _files(job: Job, title: str, uses: Sequence[FileUse], *, everything: bool) -> list[str]:
    if not uses:
        return [f"  {paint(title, 'dim')}: none"]
    listed = uses if everything else uses[:_FILES_SHOWN]
    lines = [f"  {paint(title, 'dim')} ({len(uses):,})"]
    lines += [f"    {line}" for line in use_lines(listed)]
    if len(listed) < len(uses):
        lines.append(f"    … and {len(uses) - len(listed):,} more: roar show {job.uid[:8]} --all")
    return lines


def meanwhile_text(job: str) -> str:
    """Of an input that nothing recorded made: that a job, by its name here, wrote there while it was read."""
    return f"{job} wrote there meanwhile, and has not left that"


def use_lines(uses: Sequence[FileUse]) -> list[str]:
    """Inputs or outputs, one line each: digest, size, path."""
    rows = [(use.digest[:SHORT] if use.digest else "no digest", size_text(use.size), _path(use)) for use in uses]
    return table(rows, right=(1,))


def _path(use: FileUse) -> str:
    files = f"  ({count_text(use.files or 0, 'file')})" if use.kind is Kind.DATASET else ""
    note = f"  — {printable(use.note)}" if use.note else ""
    return f"{printable(use.path)}{files}{note}"


def _left_out(job: Job, left_out: Mapping[str, int]) -> list[str]:
    parts = [f"{count_text(summary.filtered_files, 'file')} of {printable(name)}"
             for name, summary in job.trackers.items() if summary.filtered_files]
    parts += [category_text(number, category) for category, number in left_out.items()]
    return [f"  {paint('left out', 'dim')} {', '.join(parts)}"] if parts else []
