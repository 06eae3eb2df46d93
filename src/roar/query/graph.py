"""A session's graph, step by step: what each step's last job took from which other step, and what has gone stale."""

import json
import os
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from roar.model import APPENDED, AS_STDOUT_APPENDED, Kind
from roar.query.counted import Counted, StepJob, follows, load_counted
from roar.query.history import JobLine, load_lines
from roar.query.pointed import load_pointed
from roar.query.staleness import Reason, Stale
from roar.query.within import Given, find_printing, load_printed
from roar.record.dependencies import content_below


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step by its last job.

    Attributes:
        number: N of @N.
        job: its last job.
        earlier: uids of its earlier jobs, the latest first.
        sources: numbers of the steps that it took inputs from.
        foreign: uids of jobs of other sessions that it took inputs from.
        outputs: names of its first outputs (`job.outputs` counts all), or of all: datasets end in `/`.
        stale: why its outputs are no longer what a rerun would give, or None.
    """

    number: int
    job: JobLine
    earlier: tuple[str, ...] = ()
    sources: tuple[int, ...] = ()
    foreign: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    stale: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphArtifact:
    """An artifact in a graph, under a path that it has there."""

    digest: str
    path: str
    kind: Kind
    size: int
    files: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEdge:
    """What came from where.

    Attributes:
        source, target: digests of artifacts and uids of jobs.
        role: `input` from an artifact to the job that read it; `output` or `payload` from a job to what it wrote;
            `member` from what a job wrote to what another read where the one is part of the other; `printed` from a
            job to one that ran it and took by a pipe what it printed; `linked` from a job to one that found files
            through a symlink which that had made.
    """

    source: str
    target: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Jobs, artifacts and the edges between them, each once."""

    jobs: tuple[JobLine, ...] = ()
    artifacts: tuple[GraphArtifact, ...] = ()
    edges: tuple[GraphEdge, ...] = ()


@dataclass(slots=True)
class _Links:
    """Where some jobs of a session took their inputs from."""

    sources: dict[int, set[int]] = field(default_factory=dict)
    foreign: dict[int, set[str]] = field(default_factory=dict)


def load_steps(database: sqlite3.Connection, session: int, *, every_output: bool = False,
               stale: Mapping[int, str] | None = None) -> list[Step]:
    """The steps of a session in their order, with the names of their first outputs, or of all.

    stale: by step, why it is so, as the files are now; None for what the record alone can tell.
    """
    jobs = _jobs_by_step(database, session)
    lines = dict(zip(jobs, load_lines(database, [rows[0].row_id for rows in jobs.values()]), strict=True))
    stale = _stale_by_the_record(database, jobs) if stale is None else stale
    links = _links(database, {rows[0].row_id: number for number, rows in jobs.items()}, session)
    return [Step(number=number, job=lines[number], earlier=tuple(job.uid for job in rows[1:]),
                 sources=tuple(sorted(links.sources.get(number, ()))),
                 foreign=tuple(sorted(links.foreign.get(number, ()))),
                 outputs=_output_names(database, rows[0].row_id, -1 if every_output else _FIRST),
                 stale=stale.get(number))
            for number, rows in jobs.items()]


def _stale_by_the_record(database: sqlite3.Connection, jobs: Mapping[int, Sequence[StepJob]]) -> dict[int, str]:
    counted = load_counted(database, jobs)
    found = Stale(database, counted)
    found.add(find_rewritten(database, counted))
    found.add_failed()
    return found.of_steps()


def load_bare_steps(database: sqlite3.Connection, session: int) -> tuple[list[Step], Counted]:
    """The steps of a session, with nothing of what they took, made, or of what is stale, and the jobs that count."""
    jobs = _jobs_by_step(database, session)
    lines = load_lines(database, [rows[0].row_id for rows in jobs.values()])
    return ([Step(number=number, job=line) for number, line in zip(jobs, lines, strict=True)],
            load_counted(database, jobs))


def load_earlier(database: sqlite3.Connection, steps: Iterable[Step]) -> dict[int, list[JobLine]]:
    """By number of a step its earlier jobs, the latest first."""
    found: dict[int, list[JobLine]] = {}
    for step in steps:
        rows = [database.execute("SELECT id FROM job WHERE uid = ?", (uid,)).fetchone()[0] for uid in step.earlier]
        found[step.number] = load_lines(database, rows)
    return found


def load_graph(database: sqlite3.Connection, job_ids: Sequence[int]) -> Graph:
    """The graph of these jobs with all that they read and wrote."""
    lines = load_lines(database, job_ids)
    uids = {line.row_id: line.uid for line in lines}
    artifacts: dict[int, GraphArtifact] = {}
    edges: dict[GraphEdge, None] = {}
    for job_id, uid in uids.items():
        for row_id, role, artifact in iter_graph_uses(database, job_id):
            artifacts[row_id] = artifact
            edges[_edge(uid, role, artifact.digest)] = None
    for edge in _member_edges(database, uids, artifacts):
        edges[edge] = None
    for taker, printer in load_printed(database, uids):
        if printer in uids:
            edges[GraphEdge(source=uids[printer], target=uids[taker], role="printed")] = None
    for pointed in load_pointed(database, uids):
        if pointed.maker in uids:
            edges[GraphEdge(source=uids[pointed.maker], target=uids[pointed.reader], role="linked")] = None
    return Graph(jobs=tuple(lines), artifacts=tuple(artifacts.values()), edges=tuple(edges))


def iter_graph_uses(database: sqlite3.Connection, job_id: int) -> list[tuple[int, int, GraphArtifact]]:
    """What a job read and wrote and that has a digest: row of the artifact, role, and the artifact."""
    rows = database.execute(
        "SELECT artifact.id, role, digest, path.path, artifact.size, artifact.files FROM file_use"
        " JOIN artifact ON artifact.id = artifact_id JOIN path ON path.id = path_id WHERE job_id = ?"
        " ORDER BY role, ordinal", (job_id,))
    return [(row_id, role, graph_artifact(digest, path, size, files))
            for row_id, role, digest, path, size, files in rows]


def graph_artifact(digest: bytes, path: str, size: int, files: int | None) -> GraphArtifact:
    """An artifact from the columns of its row."""
    return GraphArtifact(digest=digest.hex(), path=path, size=size, files=files,
                         kind=Kind.FILE if files is None else Kind.DATASET)


def _edge(uid: str, role: int, digest: str) -> GraphEdge:
    if role == 1:
        return GraphEdge(source=digest, target=uid, role="input")
    return GraphEdge(source=uid, target=digest, role="output" if role == 2 else "payload")  # noqa: PLR2004  roles.py


def _member_edges(database: sqlite3.Connection, jobs: Mapping[int, str],
                  artifacts: Mapping[int, GraphArtifact]) -> Iterable[GraphEdge]:
    """Where a job read only part of what another wrote, or more than that."""
    for job_id in jobs:
        rows = database.execute(
            "SELECT produced_id, artifact_id, producer_id FROM dependency WHERE consumer_id = ?"
            " AND produced_id <> artifact_id", (job_id,))
        for produced_id, artifact_id, producer_id in rows:
            if producer_id in jobs and produced_id in artifacts and artifact_id in artifacts:
                yield GraphEdge(source=artifacts[produced_id].digest, target=artifacts[artifact_id].digest,
                                role="member")


def last_jobs(database: sqlite3.Connection, session: int) -> list[int]:
    """The rows of the last job of each step of a session."""
    return [rows[0].row_id for rows in _jobs_by_step(database, session).values()]


def _jobs_by_step(database: sqlite3.Connection, session: int) -> dict[int, list[StepJob]]:
    """By step number its jobs, the latest first."""
    jobs: dict[int, list[StepJob]] = {}
    for number, *job in database.execute(
            "SELECT number, job.id, uid, state = 'done' AND exit_code IS 0 FROM step JOIN job ON job.step_id = step.id"
            " WHERE session_id = ? ORDER BY number, started_at DESC, job.id DESC", (session,)):
        jobs.setdefault(number, []).append(StepJob(*job))
    return jobs


def _links(database: sqlite3.Connection, step_of: Mapping[int, int], session: int) -> _Links:
    links = _Links()
    rows = database.execute(
        "SELECT DISTINCT consumer_id, job.uid, step.number, step.session_id FROM dependency"
        " JOIN job ON job.id = producer_id JOIN step ON step.id = job.step_id"
        " WHERE consumer_id IN (SELECT value FROM json_each(?))", (json.dumps(list(step_of)),)).fetchall()
    pointed = load_pointed(database, step_of)
    makers = {row_id: row for row_id, *row in database.execute(
        "SELECT job.id, job.uid, step.number, step.session_id FROM job JOIN step ON step.id = step_id"
        " WHERE job.id IN (SELECT value FROM json_each(?))", (json.dumps([one.maker for one in pointed]),))}
    rows += [(one.reader, *makers[one.maker]) for one in pointed]
    for consumer_id, uid, number, producer_session in rows:
        consumer = step_of[consumer_id]
        if producer_session != session:
            links.foreign.setdefault(consumer, set()).add(uid)
        elif number != consumer:
            links.sources.setdefault(consumer, set()).add(number)
    for taker in {taker for taker, _ in load_printed(database, step_of)}:
        links.sources.setdefault(step_of[taker], set()).update(find_printing(database, taker) - {step_of[taker]})
    return links


# Inputs whose path was written again, by a job recorded later, with other content; not by the reader itself. Begins
# with what was written since the first of the readers: of that there is less than of what was read.
_REWRITTEN = """
WITH made AS MATERIALIZED (
    SELECT path_id, max(job_id) AS job_id, artifact_id FROM job
    CROSS JOIN file_use ON job_id = job.id AND role >= 2 WHERE job.id > :first GROUP BY path_id)
SELECT used.job_id, used.path_id, path.path, used.artifact_id, made.artifact_id FROM made
CROSS JOIN file_read AS used ON used.path_id = made.path_id AND used.job_id < made.job_id AND used.job_id >= :first
JOIN path ON path.id = used.path_id
WHERE used.job_id IN (SELECT value FROM json_each(:jobs))
AND used.artifact_id IS NOT NULL AND made.artifact_id IS NOT used.artifact_id
AND NOT EXISTS (SELECT 1 FROM file_use WHERE job_id = used.job_id AND role = 2 AND path_id = used.path_id)
ORDER BY used.job_id, used.ordinal
"""


def find_rewritten(database: sqlite3.Connection, counted: Counted) -> list[Reason]:
    """Why jobs are stale where an input was written again since.

    Not where the job that wrote it took something from the reader: that had to be before it. Nor where the job around
    the reader had made it, and makes it again.
    """
    jobs = [job_id for job_id in counted.step_of if job_id not in counted.idle]
    found: dict[tuple[int, bool], Reason] = {}
    rows = [(*row, row[0]) for row in database.execute(
        _REWRITTEN, {"first": min(jobs, default=0), "jobs": json.dumps(jobs)}).fetchall()]
    rows += [(*row, writer - 1) for writer, *row in database.execute(
        _REWRITTEN_MEANWHILE, (json.dumps(_at_the_same_time(database, jobs)),)).fetchall()]
    for job_id, path_id, path, read, written, since in rows:
        settled = (job_id, path_id) in counted.settled
        before = found.get((job_id, settled))
        if (job_id, path_id) in counted.nesting.anew:
            continue
        if ((before is None or EDITED in before.text) and (not settled or job_id in counted.superseded)
                and overwrites(database, written, read)
                and (how := _find_writer(database, counted, (path_id, job_id, read), since))
                and (before is None or EDITED not in how)):
            found[job_id, settled] = Reason(job_id, f"its input {path}{how}", settled, path)
    place = {job_id: at for at, job_id in enumerate(jobs)}
    return sorted(found.values(), key=lambda reason: (place[reason.job], reason.settled))


def _at_the_same_time(database: sqlite3.Connection, jobs: Sequence[int]) -> list[tuple[int, int]]:
    """Each of some jobs with those that ended while it ran, and so were recorded before it.

    Only with such as wrote where a job recorded later read something else: side by side there may be very many.
    """
    if not jobs:
        return []
    times = database.execute("SELECT id, started_at, ended_at FROM job WHERE id BETWEEN ? AND ? ORDER BY ended_at, id",
                             (min(jobs), max(jobs))).fetchall()
    ends = [ended_at for _, _, ended_at in times]
    wanted = set(jobs)
    beside = {job_id: [other for other, *_ in times[bisect_right(ends, started_at):at] if other < job_id]
              for at, (job_id, started_at, _) in enumerate(times) if job_id in wanted}
    writers = {job_id for job_id, in database.execute(
        _REPLACING, (json.dumps(list({other for others in beside.values() for other in others})),))}
    return [(job_id, other) for job_id, others in beside.items() for other in others if other in writers]


_REPLACING = """
SELECT value FROM json_each(?) WHERE EXISTS (
    SELECT 1 FROM file_written AS made JOIN file_read AS used ON used.path_id = made.path_id
    WHERE made.job_id = value AND used.job_id > made.job_id AND used.artifact_id IS NOT made.artifact_id)
"""
# Inputs whose path was written again by a job that ended while the reader ran, which had read before that. Whoever
# wrote there last before the reader ended is asked. What was made only while the reader ran is a round of its own: a
# script takes what each `roar run` in it makes, one after another.
_REWRITTEN_MEANWHILE = """
SELECT made.job_id, used.job_id, used.path_id, path.path, used.artifact_id, made.artifact_id FROM json_each(?) AS pair
CROSS JOIN file_written AS made ON made.job_id = json_extract(pair.value, '$[1]') AND made.role = 2
CROSS JOIN file_read AS used ON used.path_id = made.path_id AND used.job_id = json_extract(pair.value, '$[0]')
JOIN path ON path.id = used.path_id
WHERE used.artifact_id IS NOT NULL AND made.artifact_id IS NOT used.artifact_id
AND NOT EXISTS (SELECT 1 FROM file_written AS own WHERE own.job_id = used.job_id AND own.path_id = used.path_id)
AND NOT EXISTS (SELECT 1 FROM dependency JOIN job AS maker ON maker.id = producer_id
    JOIN job AS reader ON reader.id = consumer_id WHERE consumer_id = used.job_id
    AND dependency.artifact_id = used.artifact_id AND maker.started_at > reader.started_at)
AND NOT EXISTS (SELECT 1 FROM file_written AS later WHERE later.path_id = used.path_id
    AND later.job_id > made.job_id AND later.job_id < used.job_id)
ORDER BY used.job_id, used.ordinal
"""


def _find_writer(database: sqlite3.Connection, counted: Counted, used: tuple[int, int, int], since: int) -> str | None:
    """What the last job did that wrote other content at the path after `since`, having taken nothing from the reader.

    Of what was read the rows of path, reader and content are given. A job that ran the reader, and gave it that, is no
    other one.

    It is named by its step, one of another session by its uid.

    Not one that edited the file before a job that took something from both: the reader was before that one, too. Where
    the file was edited all the time, and not only added to, it says that, unless the step has read it edited before,
    or it is the step that made it which goes on with it. To put in its place what was made of it is to edit it.
    """
    path_id, job_id, read = used
    after: list[int] = []
    rows = database.execute(_WRITERS, {"path": path_id, "job": job_id, "since": since, "read": read,
                                       "first": APPENDED, "second": AS_STDOUT_APPENDED}).fetchall()
    for writer, written, number, edits, _, uid in rows:
        if follows(database, writer, job_id) or Given(writer, job_id, path_id) in counted.nesting.given:
            after.append(writer)
        elif overwrites(database, written, read) and not (
                edits and any(follows(database, later, writer) for later in after)):
            maker = database.execute(_MADE_BY, (path_id, read, job_id)).fetchone() or (None, None)
            is_edited = {own for _, _, own, *_ in rows} != {maker[1]} and all(
                changes or (not edits and maker[0] is not None and is_made_of(
                    database, later, [maker[0]], (path_id, read)))
                for later, _, _, edits, changes, _ in rows) and database.execute(
                READ_EDITED.format(job=":job", path=":path"), {"path": path_id, "job": job_id}).fetchone() is None
            return f"{EDITED if is_edited else ' was written again by '}{uid or f'@{number}'}"
    return None


# Whether the step of a job had read a file before as another one had edited it that has written it since, too.
READ_EDITED = """
SELECT 1 FROM job AS it JOIN job AS earlier ON earlier.step_id = it.step_id AND earlier.id < it.id
JOIN file_read AS seen ON seen.job_id = earlier.id AND seen.path_id = {path}
JOIN file_written AS edited ON edited.path_id = seen.path_id AND edited.artifact_id = seen.artifact_id
    AND edited.job_id < earlier.id
JOIN file_read AS found ON found.job_id = edited.job_id AND found.path_id = seen.path_id
JOIN job AS editor ON editor.id = edited.job_id
JOIN job AS later ON later.step_id = editor.step_id AND later.id > it.id
JOIN file_written AS since ON since.job_id = later.id AND since.path_id = seen.path_id WHERE it.id = {job}
"""
_MADE_BY = """
SELECT made.job_id, number FROM file_written AS made JOIN job ON job.id = made.job_id JOIN step ON step.id = step_id
WHERE path_id = ? AND artifact_id = ? AND made.job_id < ? AND role = 2 ORDER BY made.job_id DESC LIMIT 1
"""
EDITED = " was edited in place by "
_WRITERS = """
SELECT job.id, artifact_id, number, used.job_id IS NOT NULL,
used.job_id IS NOT NULL AND (note IS NULL OR note NOT IN (:first, :second)),
CASE WHEN session_id <> (SELECT session_id FROM step JOIN job AS reader ON step_id = step.id WHERE reader.id = :job)
    THEN substr(uid, 1, 8) END
FROM file_written AS made JOIN job ON job.id = made.job_id JOIN step ON step.id = step_id
LEFT JOIN (SELECT DISTINCT job_id FROM file_read WHERE path_id = :path) AS used ON used.job_id = made.job_id
WHERE path_id = :path AND made.job_id > :since AND made.job_id <> :job AND artifact_id IS NOT :read
ORDER BY made.job_id DESC
"""


def overwrites(database: sqlite3.Connection, written_id: int | None, before_id: int) -> bool:
    """Whether what was written at the path of something else took its place: of datasets not if no file is another."""
    before = _member_contents(database, before_id)
    written = _member_contents(database, written_id) if before and written_id is not None else {}
    return not before or not written or any(before.get(name, content) != content for name, content in written.items())


def _member_contents(database: sqlite3.Connection, dataset_id: int) -> dict[str, int]:
    return dict(database.execute("SELECT path, artifact_id FROM dataset_member WHERE dataset_id = ?", (dataset_id,)))


def is_made_of(database: sqlite3.Connection, job_id: int, makers: Sequence[int], content: tuple[int, int]) -> bool:
    """Whether a job took, directly or not, what jobs of one step had written where some content lies.

    What else it took from them does not count: to make one file of a pipeline's data anew is not to edit that file.

    Args:
        database: the record.
        job_id: row of the job.
        makers: rows of the jobs of the step.
        content: rows of a path and of an artifact that lies there.
    """
    found = database.execute(_TAKEN_OF, {
        "job": job_id, "makers": json.dumps(makers), "first": min(makers, default=0)}).fetchall()
    path, = database.execute("SELECT path FROM path WHERE id = ?", content[:1]).fetchone()
    names = {name for name, _ in content_below(database, content[1], path, "")} if found else ()
    for taken, produced, place in found:
        written = {member for name, member in content_below(database, produced, place, "") if name in names}
        if written & {member for _, member in content_below(database, taken, place, "")}:
            return True
    return False


# What a job, or one from which it took something, took from some others, with what these had written, and where.
_TAKEN_OF = """
WITH RECURSIVE maker (id) AS (SELECT value FROM json_each(:makers)),
source (id) AS (VALUES (:job) UNION SELECT producer_id FROM source JOIN dependency ON consumer_id = source.id
    WHERE producer_id >= :first AND producer_id NOT IN (SELECT id FROM maker))
SELECT DISTINCT dependency.artifact_id, produced_id, path.path FROM source
JOIN dependency ON consumer_id = source.id AND producer_id IN (SELECT id FROM maker)
JOIN file_written AS made ON made.job_id = producer_id AND made.artifact_id = produced_id AND made.role = 2
JOIN path ON path.id = made.path_id
"""


_FIRST = 8  # so many outputs of a step are named


def _output_names(database: sqlite3.Connection, job_id: int, most: int) -> tuple[str, ...]:
    """Names of a job's first outputs, at most so many, -1 for all: where several are called the same, their paths."""
    paths = [path for (path,) in database.execute(
        "SELECT path.path FROM file_use JOIN path ON path.id = path_id WHERE job_id = ? AND role = 2 ORDER BY ordinal"
        " LIMIT ?", (job_id, most))]
    names = [os.path.basename(path.rstrip("/")) + ("/" if path.endswith("/") else "") for path in paths]
    times = Counter(names)
    return tuple(path if times[name] > 1 else name for path, name in zip(paths, names, strict=True))
