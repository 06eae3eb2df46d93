"""From a job's evidence to its record: analyse, then write everything in one transaction."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from roar.analyze.age import rfc3339
from roar.analyze.digest import identity
from roar.analyze.inner import may_have_inner
from roar.analyze.job import Analysis, analyze
from roar.analyze.memory import without_collection
from roar.analyze.surroundings import InnerJob, Remembered, Surroundings
from roar.config import Settings, tracker_switches
from roar.model import (
    AS_STDIN,
    AS_STDOUT,
    AS_STDOUT_APPENDED,
    PATCH_TOO_LARGE,
    UNKNOWN_VERSION,
    Git,
    Job,
    JobState,
    Tracer,
    members_folder,
)
from roar.observe.code import PATCH_LIMIT, addition_patch, read_committed, untracked
from roar.observe.inner import find_inner
from roar.observe.log import NO_LIBRARY, OTHER_LISTENS, load_ended, load_trace
from roar.observe.pending import Pending, find_outer
from roar.observe.streams import Stream
from roar.observe.trace import Signature, Trace, signature_of
from roar.record import digests
from roar.record.database import encoded, open_database
from roar.record.roles import OUTPUT
from roar.record.writer import write_job
from roar.workspace import Workspace

INTERRUPTING = frozenset({1, 2, 3, 9, 15})  # HUP, INT, QUIT, KILL, TERM


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A job that has been written, with what a person may want to hear about it."""

    job: Job
    analysis: Analysis
    recording_s: float


def record_pending(workspace: Workspace, settings: Settings, pending: Pending, *,
                   progress: Callable[[int, int], None] | None = None,
                   waits: Callable[[str], None] | None = None) -> Recorded:
    """Analyse the evidence of one job, write the record, and remove the evidence.

    Args:
        workspace: where to record it.
        settings: those in force.
        pending: the evidence.
        progress: told (bytes done, bytes in all) while files are digested.
        waits: told in one phrase when another process keeps it waiting.

    Raises:
        WorkspaceError: the record cannot be written; the evidence is kept.
    """
    with without_collection():
        return _record(workspace, settings, pending, progress, waits)


def _record(workspace: Workspace, settings: Settings, pending: Pending,
            progress: Callable[[int, int], None] | None, waits: Callable[[str], None] | None) -> Recorded:
    began = time.monotonic()
    trace = _load(pending)
    pending = _with_end(pending, trace)
    database = open_database(workspace.database, waits=waits)
    try:
        own = [stream for stream in pending.streams if not stream.continues or _is_as_printed(
            database, workspace, stream)]
        around = _surroundings(workspace, settings, replace(pending, streams=tuple(own)),
                               lambda path: was_written(database, workspace, path))
        known = Remembered(digests=lambda wanted: digests.find(database, map(identity, wanted)),
                           datasets=lambda stamps: digests.find_datasets(database, stamps),
                           inner=lambda uid: _find_inner(database, workspace, uid),
                           committed=lambda seen: _read_committed(pending, seen),
                           others_within=lambda but: _find_others_within(database, workspace, pending.uid, but),
                           made_since=lambda: _list_written(database, workspace, since=rfc3339(pending.started_ns)))
        analysis = analyze(trace, around, known, progress)
        patch = _patch(pending, analysis)
        job = _job(workspace, pending, trace, analysis, patch)
        written = write_job(database, job, payloads=analysis.payloads, datasets=analysis.datasets,
                            blobs={} if patch is None else {patch[0]: patch[1]}, left_out=analysis.left_out,
                            symlinks=analysis.links, made_links=analysis.made_links, left_links=analysis.left_links,
                            folders=analysis.folders,
                            deleted=analysis.deleted, given=analysis.given, ages=analysis.ages, inner=analysis.inner,
                            gaps=_without_library_s(database, analysis.seen_whole),
                            outer=find_outer(workspace.pending, pending),
                            tracker_updates=analysis.tracker_analysis.updates if analysis.tracker_analysis else (),
                            follow=_follow(workspace, analysis))
        digests.remember(database, ((identity(signature), digest) for signature, digest in analysis.digests))
        if analysis.corrected:
            digests.forget_datasets(database)
        digests.remember_datasets(database, analysis.stamps)
    finally:
        database.close()
    pending.remove()
    return Recorded(job=written, analysis=analysis, recording_s=time.monotonic() - began)


def _follow(workspace: Workspace, analysis: Analysis) -> Callable[[str, str], tuple[str, str]] | None:
    """How the references to earlier tracker runs follow what this job moved; None where it moved nothing."""
    if not analysis.moved:
        return None
    from roar.analyze.trackers.moves import followed  # noqa: PLC0415  only where something was moved

    return lambda run_id, command: followed(run_id, command, analysis.moved, workspace.root)


def running_job(workspace: Workspace, pending: Pending) -> Job:
    """What is known of a job whose command still runs; its step is 0."""
    return Job(uid=pending.uid, step=0, name=pending.name, command=pending.command,
               cwd=workspace.relative(os.path.realpath(pending.cwd)), started_at=rfc3339(pending.started_ns),
               duration_s=None, exit_code=None, state=JobState.RUNNING, git=_git(pending, None), host=pending.host,
               tracer=Tracer(mode=pending.mode or "none", gaps=pending.gaps), labels=pending.labels)


def _with_end(pending: Pending, trace: Trace) -> Pending:
    """The command's end as the tracer has noted it: `roar run` may see it later, or not have lived to see it."""
    if pending.exit_code is not None:
        seen_s = ((trace.ended_ns or 0) - pending.began_ns) / 1e9
        if pending.began_ns and pending.duration_s is not None and 0 < seen_s < pending.duration_s:
            return replace(pending, duration_s=round(seen_s, 6))
        return pending
    ended = load_ended(pending.log)
    if ended is None:
        return pending
    duration_s = trace.duration_s
    if duration_s is not None and not 0 <= duration_s <= (time.time_ns() - pending.started_ns) / 1e9 + 1:
        duration_s = None  # the log was damaged
    return replace(pending, exit_code=ended.exit_code, signal=ended.signal,
                   duration_s=None if duration_s is None else round(duration_s, 6))


def _load(pending: Pending) -> Trace:
    """What the tracer saw; a log that is missing is a gap, not a failure."""
    if not os.path.exists(pending.log):
        return Trace(mode="none", gaps=pending.gaps or ("the event log is missing",))
    trace = load_trace(pending.log, by_folder=True)
    return load_trace(pending.log) if may_have_inner(trace) else trace


def _surroundings(workspace: Workspace, settings: Settings, pending: Pending, made: Callable[[str], bool]
                  ) -> Surroundings:
    ended_ns = pending.started_ns + int((pending.duration_s or 0) * 1e9)
    return Surroundings(
        root=workspace.root, cwd=pending.cwd, home=pending.home, tmpdir=pending.tmpdir,
        repository=pending.repository if pending.git is not None else None,
        environment=pending.environment, started_ns=pending.started_ns,
        ended_ns=ended_ns if pending.duration_s is not None else time.time_ns(),
        is_late=pending.duration_s is not None and not pending.is_own(),
        trackers=tracker_switches(settings), made=made,
        filter_add=settings.texts("filters.add"), filter_remove=settings.texts("filters.remove"),
        threshold=settings.number("datasets.threshold"),
        streams=tuple(stream for stream in pending.streams if stream.was_used()), caches=pending.caches,
        clock_ns=pending.started_ns - pending.began_ns if pending.began_ns else 0)


def _is_as_printed(database: sqlite3.Connection, workspace: Workspace, stream: Stream) -> bool:
    """Whether a file was at the start as the last job that wrote it had left it, which had it as standard output."""
    key = identity(stream.signature)
    row = database.execute(_LAST_PRINTED, (encoded(workspace.relative(stream.path)), OUTPUT)).fetchone()
    return (row is not None and row[0] in {AS_STDOUT, AS_STDOUT_APPENDED} and row[1] is not None
            and digests.find(database, [key]).get(key) == row[1].hex())


_LAST_PRINTED = """
SELECT note, digest FROM file_use JOIN path ON path.id = path_id LEFT JOIN artifact ON artifact.id = artifact_id
WHERE path.path = CAST(? AS TEXT) AND role = ? ORDER BY job_id DESC LIMIT 1
"""


def was_written(database: sqlite3.Connection, workspace: Workspace, path: str) -> bool:
    """Whether a recorded job wrote a file at this absolute path: source code that was generated is data."""
    return database.execute(
        "SELECT 1 FROM file_use JOIN path ON path.id = path_id WHERE path.path = CAST(? AS TEXT) AND role = ? LIMIT 1",
        (encoded(workspace.relative(path)), OUTPUT)).fetchone() is not None


def _list_written(database: sqlite3.Connection, workspace: Workspace, *, since: str) -> set[str]:
    """The absolute paths of the files that jobs wrote which started then (RFC 3339) or later."""
    rows = database.execute(
        "SELECT path.path, dataset_member.path FROM job JOIN file_written ON job_id = job.id"
        " JOIN path ON path.id = path_id LEFT JOIN dataset_member ON dataset_id = file_written.artifact_id"
        " WHERE started_at >= ?", (since,))
    return {_place(workspace, path, name) for path, name in rows}


def _place(workspace: Workspace, path: str, member: str | None) -> str:
    """Where what is recorded at a path lies, or a member of the dataset that is."""
    return workspace.absolute(path if member is None else members_folder(path) + member)


def _find_inner(database: sqlite3.Connection, workspace: Workspace, uid: str) -> InnerJob | None:
    row = database.execute("SELECT id, tracer_mode FROM job WHERE uid = ?", (uid,)).fetchone()
    if row is None:
        return None
    uses: dict[bool, set[str]] = {False: set(), True: set()}
    streams: set[str] = set()
    continued: set[str] = set()
    for role, note, digest, path, name in database.execute(
            "SELECT role, note, digest, path.path, dataset_member.path FROM file_use JOIN path ON path.id = path_id"
            " LEFT JOIN artifact ON artifact.id = file_use.artifact_id"
            " LEFT JOIN dataset_member ON dataset_id = file_use.artifact_id WHERE job_id = ?", (row[0],)).fetchall():
        place = _place(workspace, path, name)
        if note == AS_STDIN:
            streams.add(place)
        if note != AS_STDOUT_APPENDED or _is_still(database, place, digest):
            uses[role >= OUTPUT].add(place)
        else:
            continued.add(place)
    deleted = database.execute("SELECT path FROM deleted_file WHERE job_id = ?", (row[0],)).fetchall()
    uses[False].update(workspace.absolute(path) for (path,) in deleted)  # they may be in no list of members
    runs = database.execute("SELECT tracker, run_id FROM tracker_run WHERE job_id = ?", (row[0],)).fetchall()
    return InnerJob(mode=row[1], written=uses[True], read=uses[False], streams=streams, continued=continued,
                    runs=frozenset(runs))


def _without_library_s(database: sqlite3.Connection, seen_whole: Iterable[str]) -> dict[str, list[str]]:
    """What could have been missed of inner jobs that only their library saw, now that the one around them saw more."""
    gaps = {uid: json.loads(gaps) for uid, gaps in database.execute(
        "SELECT uid, tracer_gaps FROM job WHERE tracer_mode = 'preload' AND uid IN (SELECT value FROM json_each(?))",
        (json.dumps(list(seen_whole)),))}
    return {uid: [gap for gap in known if gap != NO_LIBRARY and not gap.endswith(OTHER_LISTENS)]
            for uid, known in gaps.items() if NO_LIBRARY in known}


def _find_others_within(database: sqlite3.Connection, workspace: Workspace, uid: str, but: Collection[str]
                        ) -> list[InnerJob]:
    """Those jobs of the record that said that this one runs them."""
    uids = database.execute("SELECT uid FROM inner_job WHERE outer = ?", (uid,)).fetchall()
    jobs = (_find_inner(database, workspace, inner) for (inner,) in uids if inner not in but)
    return [job for job in jobs if job is not None]


def _is_still(database: sqlite3.Connection, path: str, digest: bytes | None) -> bool:
    """Whether a file is known to have this content now."""
    try:
        key = identity(signature_of(os.stat(path)))
    except OSError:
        return False
    return digest is not None and digests.find(database, [key]).get(key) == digest.hex()


def _read_committed(pending: Pending, seen: Mapping[str, Signature]) -> Mapping[str, str]:
    """Digests of files that lay there at the start as the commit has them, where that is certain."""
    if pending.git is None or pending.git.commit is None or pending.repository is None or (
            pending.code_note is not None or not pending.compared):
        return {}
    below = os.path.join(pending.repository, "")
    return read_committed(pending.repository, pending.git.commit, pending.patch or b"",
                          {path: signature for path, signature in seen.items() if path.startswith(below)},
                          started_ns=pending.started_ns)


def _patch(pending: Pending, analysis: Analysis) -> tuple[str, bytes] | None:
    """The uncommitted changes with the untracked sources that were read, and their digest."""
    if pending.git is None or pending.repository is None:
        return None
    before = pending.patch or b""
    new = untracked(pending.repository, analysis.sources, commit=pending.git.commit, patch=before)
    patch = bytearray(before)
    for number, path in enumerate(new):
        patch += addition_patch(pending.repository, path, pending.git.commit)
        if len(patch) > PATCH_LIMIT and number + 1 < len(new):
            analysis.gaps += (f"{PATCH_TOO_LARGE} more than {PATCH_LIMIT >> 20} MB and were not kept in full",)
            break
    if not patch:
        return None
    from blake3 import blake3  # noqa: PLC0415  only a dirty tree needs it here

    return blake3(patch).hexdigest(), bytes(patch)


def _job(workspace: Workspace, pending: Pending, trace: Trace, analysis: Analysis, patch: tuple[str, bytes] | None
         ) -> Job:
    gaps = tuple(dict.fromkeys((*trace.gaps, *pending.gaps, *_gaps_of(pending), *analysis.gaps)))
    return Job(
        uid=pending.uid, step=0, name=pending.name, command=pending.command,
        cwd=workspace.relative(os.path.realpath(pending.cwd)), started_at=rfc3339(pending.started_ns),
        duration_s=pending.duration_s, exit_code=pending.exit_code, state=_state(pending),
        git=_git(pending, patch, analysis.sources), host=pending.host, python=analysis.python,
        tracer=Tracer(mode=trace.mode, gaps=gaps),
        inputs=analysis.inputs, outputs=analysis.outputs, tracker_runs=analysis.tracker_runs,
        trackers=analysis.trackers, labels=pending.labels)


def _gaps_of(pending: Pending) -> tuple[str, ...]:
    ended = () if pending.exit_code is not None else ("roar itself was stopped before the command ended",)
    unread = pending.repository is not None and pending.git is None
    note = pending.code_note or (f"{UNKNOWN_VERSION}roar was stopped before git told it" if unread else None)
    return ended + ((note,) if note else ())


def _git(pending: Pending, patch: tuple[str, bytes] | None, sources: Sequence[str] = ()) -> Git | None:
    if pending.git is None:
        return None
    inner = () if pending.repository is None else find_inner(
        pending.repository, sources, started_ns=pending.started_ns, patch=patch[1] if patch else b"")
    return replace(pending.git, dirty=pending.git.dirty or patch is not None, patch=patch[0] if patch else None,
                   repositories=inner)


def _state(pending: Pending) -> JobState:
    if pending.exit_code is None or pending.signal in INTERRUPTING:
        return JobState.INTERRUPTED
    by_signal = pending.exit_code - 128 in INTERRUPTING  # a shell or a handler that passes the signal on as a status
    return JobState.INTERRUPTED if by_signal else JobState.DONE
