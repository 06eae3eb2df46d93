"""From one job's facts to its trackers' files and runs."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from roar.analyze.fold import Uses
from roar.analyze.memory import without_collection
from roar.analyze.trackers.contract import Findings, Owned, Ownership, RunUpdate, Tracker
from roar.analyze.trackers.discovery import load_trackers
from roar.analyze.trackers.evidence import Evidence, JobEvidence, TrackerFacts
from roar.analyze.trackers.moves import References
from roar.analyze.trackers.urls import clean_base, clean_url, without_user_info
from roar.model import TrackerRun, TrackerRunState

_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")
_IDENTITY = ("server", "entity", "project")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerAnalysis:
    """What the trackers made of a job.

    Attributes:
        owned: by path; `noise` is left out for good, a `payload` until another job reads it.
        runs: each once, in the order in which they were found.
        updates: what this job changed in runs of earlier jobs.
        warnings: full sentences; a tracker that raised is named once.
    """

    owned: Mapping[str, Owned]
    runs: tuple[TrackerRun, ...] = ()
    updates: tuple[RunUpdate, ...] = ()
    warnings: tuple[str, ...] = ()


def analyze_trackers(facts: TrackerFacts, enabled: Mapping[str, bool]) -> TrackerAnalysis:
    """Ask every tracker that is on.

    Args:
        facts: what was observed.
        enabled: by tracker name; one that is missing is on, unless `*` says otherwise.
    """
    loaded = load_trackers(enabled)
    with without_collection():
        return analyze_with(loaded.trackers, facts, loaded.warnings)


def analyze_with(trackers: Iterable[Tracker], facts: TrackerFacts, warnings: tuple[str, ...] = ()) -> TrackerAnalysis:
    """Ask these trackers, those of shared formats last. A tracker that raises is named once and skipped."""
    owned: dict[str, Owned] = {}
    job = JobEvidence(facts, owned)
    runs: list[TrackerRun] = []
    updates: list[RunUpdate] = []
    problems = list(warnings)
    for tracker in sorted(trackers, key=lambda tracker: tracker.last):
        try:
            findings = _ask(tracker, job)
        except Exception as error:  # noqa: BLE001  a plugin may raise anything; it is named and skipped
            problems.append(f"The tracker {tracker.name} failed and was skipped: {type(error).__name__}: {error}.")
            continue
        claims = {ownership: Owned(tracker.name, ownership) for ownership in Ownership}
        for path, ownership in findings.owned.items():
            owned.setdefault(path, claims[ownership])
        runs += map(_safe, findings.runs)
        updates += (replace(update, becomes=_safe(update.becomes)) for update in findings.updates)
    return TrackerAnalysis(
        owned=owned, runs=tuple(merge_runs(runs)), updates=tuple(dict.fromkeys(updates)), warnings=tuple(problems),
    )


def refresh(
    run: TrackerRun, *, environ: Mapping[str, str], home: str, workspace: str,
) -> TrackerRun | None:
    """A recorded offline run as it is now, where something proves that it was uploaded since; else None.

    Args:
        run: as recorded.
        environ: the current environment. A tracker may use credentials in it to ask its own server.
        home: the user's folder.
        workspace: root of the workspace.
    """
    trackers = load_trackers({"*": False, run.tracker: True}).trackers
    facts = TrackerFacts(
        uses=Uses({}), environment=environment_of(trackers, environ), cwd=workspace, home=home,
        tmpdir=os.path.join(workspace, ".roar"), started_at=0, ended_at=0, workspace=workspace,
    )
    for tracker in trackers:
        found = tracker.refresh(run, Evidence(JobEvidence(facts, {}), tracker), environ)
        if found is not None and _safe(found) != run:
            return _safe(found)
    return None


def initial_environment(environ: Mapping[str, str], enabled: Mapping[str, bool] | None = None) -> dict[str, str]:
    """The variables that the trackers declare, without any secret; a host inside a token under a name of its own."""
    return environment_of(load_trackers(enabled or {}).trackers, environ)


def environment_of(trackers: Iterable[Tracker], environ: Mapping[str, str]) -> dict[str, str]:
    """As `initial_environment`, for these trackers."""
    found: dict[str, str] = {}
    for tracker in trackers:
        for declared in tracker.environment:
            for name in _expanded(declared, environ):
                if environ.get(name) and not is_secret(name):
                    found[name] = without_user_info(environ[name])
        for host in tracker.token_hosts:
            base = host.decode(environ[host.variable]) if environ.get(host.variable) else None
            if base:
                found[host.name] = base
    return found


def _expanded(declared: str, environ: Mapping[str, str]) -> list[str]:
    return [name for name in environ if name.startswith(declared[:-1])] if declared.endswith("*") else [declared]


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is one."""
    return any(word in name.upper() for word in _SECRET_WORDS)


def merge_runs(runs: Iterable[TrackerRun]) -> list[TrackerRun]:
    """Each run once: the same tracker and id, with server, entity and project that do not contradict each other."""
    merged: list[TrackerRun] = []
    by_id: dict[tuple[str, str], list[int]] = {}
    for run in runs:
        places = by_id.setdefault((run.tracker, run.run_id), [])
        place = next((place for place in places if _same(merged[place], run)), None)
        if place is None:
            places.append(len(merged))
            merged.append(run)
        else:
            merged[place] = _joined(merged[place], run)
    return merged


def _same(one: TrackerRun, other: TrackerRun) -> bool:
    if one.url and other.url and one.url != other.url:
        return False
    pairs = ((getattr(one, name), getattr(other, name)) for name in _IDENTITY)
    return all(first is None or second is None or first == second for first, second in pairs)


def _joined(one: TrackerRun, other: TrackerRun) -> TrackerRun:
    """The better proven of the two, completed from the other."""
    better, rest = (other, one) if other.url and not one.url else (one, other)
    missing = {
        item.name: getattr(rest, item.name)
        for item in fields(TrackerRun)
        if getattr(better, item.name) is None and item.name not in {"how_to_view", "note", "url"}
    }
    return replace(better, **missing)


def _ask(tracker: Tracker, job: JobEvidence) -> Findings:
    """What a tracker finds, with its files where they are now: the job may have moved them."""
    evidence = Evidence(job, tracker)
    findings = tracker.analyze(evidence)
    _check(tracker, findings, job.facts)
    if job.moves.find_copies(findings.owned, evidence.is_anchor, job.paths.named):
        evidence = Evidence(job, tracker)
        findings = tracker.analyze(evidence)
        _check(tracker, findings, job.facts)
    carried = job.moves.carried(findings.owned, evidence.is_anchor)
    for path, place in carried.items():
        findings.owned.setdefault(place, findings.owned[path])
    references = References(findings.owned, carried, evidence.is_anchor, job.moves, job.facts.workspace,
                            takes_files=getattr(tracker, "takes_files", False))
    findings.runs = [references.now(run) for run in findings.runs]
    return findings


def _check(tracker: Tracker, findings: Findings, facts: TrackerFacts) -> None:
    """A tracker that claims what the job never touched has a bug; better to skip it than to believe it."""
    for path in findings.owned:
        if path not in facts.uses:
            raise ValueError(f"it claims {path}, which the job did not use")
    for run in (*findings.runs, *(update.becomes for update in findings.updates)):
        if run.tracker != tracker.name:
            raise ValueError(f"it reports a run of {run.tracker}")


def _safe(run: TrackerRun) -> TrackerRun:
    """The run with addresses that may be shown; without one it cannot be online."""
    if run.url is None and run.server is None and run.state is not TrackerRunState.ONLINE:
        return run
    url = clean_url(run.url) if run.url else None
    server = clean_base(run.server) if run.server else None
    state = TrackerRunState.PARTIAL if run.state is TrackerRunState.ONLINE and url is None else run.state
    return replace(run, url=url, server=server, state=state)
