"""Writing to the record: one transaction for each thing that a user does."""

import dataclasses
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from roar.model import FileUse, Git, Host, Job, JobState, Kind, Python, Redirections, TrackerRun
from roar.observe.pending import Around
from roar.record.database import encoded, transaction
from roar.record.dependencies import find_dependencies, link_shared_content
from roar.record.roles import INPUT, OUTPUT, PAYLOAD
from roar.wire import Dataset

_BATCH = 30_000  # parameters of one statement, below SQLite's 32,766
_NOTHING_BETWEEN = Around(takes=False, changed=())


class RunUpdate(Protocol):
    """What a later job proved about a tracker run of an earlier one, such as its page after an upload.

    Attributes:
        tracker, run_id: as the earlier job recorded them; the upload may have given the run another id.
        becomes: the reference as it is now.
    """

    @property
    def tracker(self) -> str: ...  # noqa: D102  above
    @property
    def run_id(self) -> str: ...  # noqa: D102
    @property
    def becomes(self) -> TrackerRun: ...  # noqa: D102


def write_job(
    database: sqlite3.Connection,
    job: Job,
    *,
    payloads: Sequence[FileUse] = (),
    datasets: Sequence[Dataset] = (),
    blobs: Mapping[str, bytes] | None = None,
    left_out: Mapping[str, int] | None = None,
    symlinks: Mapping[str, str] | None = None,
    made_links: Collection[str] = (),
    left_links: Mapping[str, str] | None = None,
    folders: Iterable[str] = (),
    deleted: Iterable[str] = (),
    given: Iterable[str] = (),
    ages: Mapping[tuple[str, str], str] | None = None,
    inner: Iterable[str] = (),
    gaps: Mapping[str, Sequence[str]] | None = None,
    outer: Mapping[str, Around] | None = None,
    tracker_updates: Iterable[RunUpdate] = (),
    follow: Callable[[str, str], tuple[str, str]] | None = None,
) -> Job:
    """Record `job` with all that belongs to it, in one transaction. A job that is recorded already stays as it is.

    Args:
        database: as `open_database` gives it.
        job: its `step` is ignored. A record of it in state `running` is replaced.
        payloads: files written only in a tracker's store: no outputs, but they link to later readers.
        datasets: the members of the datasets among the uses; those recorded earlier may be left out.
        blobs: content to keep by digest (64 hex): the patch.
        left_out: category of plumbing to number of paths.
        symlinks: path of the link, as it is to be shown, to its text.
        made_links: those of them that the job made.
        left_links: those that it found and did not leave as they were, with the text that it found.
        folders: that the job made itself.
        deleted: files that the job read, or that one which it ran wrote, and then deleted or moved away itself.
        given: files that the job wrote, and one that it ran read.
        ages: by path and digest of inputs, the time by which they certainly lay there as they were read: for a
            dataset, all its files.
        inner: uids of the jobs that it ran itself, recorded or not.
        gaps: by uid of some of them, what could have been missed yet, now that this one saw them, too.
        outer: those that ran it, by their uids.
        tracker_updates: what this job's analysis proved about tracker runs of earlier jobs.
        follow: given the id of an earlier tracker run and the command that shows or uploads it, both as they are
            since this job moved files.

    Returns:
        The job with its step: that of the same command in the same folder within the session, redirected to the same
        files; else a new one.
    """
    if job.name is not None or job.labels:
        job = _without_secrets(job)
    with transaction(database):
        known = database.execute("SELECT id, state FROM job WHERE uid = ?", (job.uid,)).fetchone()
        if known is not None and known[1] != JobState.RUNNING:
            return dataclasses.replace(job, step=_step_number(database, known[0]))
        if known is not None:
            delete_job(database, known[0])
        job_id, step = _insert_job(database, job)
        _insert_uses(database, job_id, job, payloads, datasets, ages=ages or {})
        _insert_parts(database, job_id, job, left_out or {})
        _insert_symlinks(database, job_id, symlinks or {}, made_links, left_links or {})
        _insert_blobs(database, blobs or {})
        database.executemany("INSERT INTO made_folder (job_id, path) VALUES (?,CAST(? AS TEXT))",
                             ((job_id, encoded(path)) for path in folders))
        database.executemany("INSERT INTO deleted_file (job_id, path) VALUES (?,CAST(? AS TEXT))",
                             ((job_id, encoded(path)) for path in deleted))
        database.executemany("INSERT INTO given_file (job_id, path) VALUES (?,CAST(? AS TEXT))",
                             ((job_id, encoded(path)) for path in given))
        pairs = {(uid, job.uid): _NOTHING_BETWEEN for uid in inner}
        pairs |= {(job.uid, uid): around for uid, around in (outer or {}).items()}
        database.executemany("INSERT OR IGNORE INTO inner_job (uid, outer, piped, environment) VALUES (?,?,?,?)",
                             ((*pair, around.takes, json.dumps(around.changed) if around.changed else None)
                              for pair, around in pairs.items()))
        database.executemany("UPDATE job SET tracer_gaps = ? WHERE uid = ?",
                             ((json.dumps(left), uid) for uid, left in (gaps or {}).items()))
        for update in tracker_updates:
            update_tracker_run(database, update)
        if follow is not None:
            _follow_moves(database, follow)
        find_dependencies(database, job_id)
    return dataclasses.replace(job, step=step)


def start_session(database: sqlite3.Connection) -> str:
    """Begin a new session and return its uid."""
    with transaction(database):
        return _new_session(database)[1]


def pop_job(database: sqlite3.Connection, uid: str) -> bool:
    """Forget a job with everything that only it brought; False where it is forgotten already."""
    with transaction(database):
        row = database.execute("SELECT id, step_id FROM job WHERE uid = ?", (uid,)).fetchone()
        if row is None:
            return False
        delete_job(database, row[0])
        database.execute("DELETE FROM step WHERE id = ? AND NOT EXISTS (SELECT 1 FROM job WHERE step_id = step.id)",
                         (row[1],))
    return True


def delete_job(database: sqlite3.Connection, job_id: int) -> None:
    """Remove a job's rows within the open transaction; its step stays. Its consumers find their next producer."""
    consumers = [row[0] for row in database.execute(
        "SELECT DISTINCT consumer_id FROM dependency WHERE producer_id = ?", (job_id,))]
    used = [row[0] for row in database.execute(
        "SELECT DISTINCT artifact_id FROM file_use WHERE job_id = ? AND artifact_id IS NOT NULL", (job_id,))]
    for table in ("file_use", "symlink", "made_folder", "deleted_file", "given_file", "tracker_run", "tracker_summary",
                  "left_out", "label"):
        database.execute(f"DELETE FROM {table} WHERE job_id = ?", (job_id,))  # noqa: S608  names of our own
    database.execute("DELETE FROM dependency WHERE consumer_id = ? OR producer_id = ?", (job_id, job_id))
    database.execute("DELETE FROM inner_job WHERE uid = (SELECT uid FROM job WHERE id = ?)", (job_id,))
    database.execute("DELETE FROM job WHERE id = ?", (job_id,))
    for consumer in consumers:
        find_dependencies(database, consumer)
    _delete_unused_artifacts(database, used)


def update_tracker_run(database: sqlite3.Connection, update: RunUpdate) -> int:
    """Put a proven page in the place of references that had none, within the open transaction; returns how many.

    Of several runs with this id those of the same project are meant. Where none is, an upload may have moved the run
    to another project: then the only one with this id is meant. One with a URL stays as it is.
    """
    run = update.becomes
    if run.url is None:
        return 0
    rows = database.execute(
        "SELECT id, project, name, run_group, label FROM tracker_run"
        " WHERE tracker = ? AND run_id = ? AND url IS NULL", (update.tracker, update.run_id)).fetchall()
    same = [row for row in rows if run.project is None or row[1] in {None, run.project}]
    chosen = same or (rows if len({row[1] for row in rows}) == 1 else [])
    for row_id, project, name, group, label in chosen:
        replace_tracker_run(database, row_id, dataclasses.replace(
            run, label=label, project=run.project or project, name=run.name or name, group=run.group or group))
    return len(chosen)


def _follow_moves(database: sqlite3.Connection, follow: Callable[[str, str], tuple[str, str]]) -> None:
    """Let the commands of earlier tracker runs name the places where these are now, within the open transaction."""
    rows = database.execute("SELECT id, run_id, how_to_view FROM tracker_run WHERE how_to_view IS NOT NULL").fetchall()
    for row_id, *before in rows:
        after = follow(*before)
        if after != tuple(before):
            database.execute("UPDATE tracker_run SET run_id = CAST(? AS TEXT), how_to_view = CAST(? AS TEXT)"
                             " WHERE id = ?", (*map(encoded, after), row_id))


def replace_tracker_run(database: sqlite3.Connection, row_id: int, run: TrackerRun) -> None:
    """Put what is known now in the place of the tracker run in row `row_id`, within the open transaction."""
    texts = _tracker_run_texts(run)
    columns = ", ".join(f"{name} = CAST(? AS TEXT)" for name in _TRACKER_RUN_COLUMNS)
    database.execute(f"UPDATE tracker_run SET {columns} WHERE id = ?", (*texts, row_id))  # noqa: S608  names of our own


def set_label(database: sqlite3.Connection, target: tuple[str, int], key: str, value: str | None) -> bool:
    """Set (or with None: remove) one label of `target`, a pair of `job`, `artifact` or `session` and its row id.

    Returns:
        Whether anything changed.
    """
    column = f"{target[0]}_id"
    where = f"WHERE {column} = ? AND key = CAST(? AS TEXT)"
    with transaction(database):
        old = database.execute(f"SELECT value FROM label {where}", (target[1], encoded(key))).fetchone()  # noqa: S608  our own column names
        if (old[0] if old else None) == value:
            return False
        database.execute(f"DELETE FROM label {where}", (target[1], encoded(key)))  # noqa: S608
        if value is not None:
            _insert_label(database, column, target[1], key, value)
    return True


def now() -> str:
    """This moment as the record writes it."""
    return _rfc3339(datetime.now(UTC))


def _without_secrets(job: Job) -> Job:
    """The job with what looks like a secret taken out of the words that the user typed for it."""
    from roar.observe.redaction import redact_text  # noqa: PLC0415  most jobs have neither name nor labels

    return dataclasses.replace(job, name=None if job.name is None else redact_text(job.name),
                               labels={key: redact_text(value) for key, value in job.labels.items()})


def _insert_job(database: sqlite3.Connection, job: Job) -> tuple[int, int]:
    step_id, number = _find_or_insert_step(database, job)
    git_id = None if job.git is None else _intern(database, "git", _git_columns(job.git))
    host_id = None if job.host is None else _intern(database, "host", {"content": _host_json(job.host)})
    python_id = None if job.python is None else _intern(database, "python", _python_columns(job.python))
    cursor = database.execute(
        "INSERT INTO job (uid, step_id, kind, name, started_at, ended_at, duration_s, exit_code, state, git_id,"
        " host_id, python_id, tracer_mode, tracer_gaps) VALUES (?,?,?,CAST(? AS TEXT),?,?,?,?,?,?,?,?,?,?)",
        (job.uid, step_id, job.kind, None if job.name is None else encoded(job.name), job.started_at, _ended_at(job),
         job.duration_s, job.exit_code, str(job.state), git_id, host_id, python_id, job.tracer.mode,
         json.dumps(job.tracer.gaps)))
    assert cursor.lastrowid is not None
    return cursor.lastrowid, number


def _find_or_insert_step(database: sqlite3.Connection, job: Job) -> tuple[int, int]:
    session_id = _current_session(database)
    command = json.dumps(job.command)
    again = Redirections.of(job)
    files = () if again == Redirections() else (again.stdin, again.stdout, int(again.appends))
    identity = _identity((command, job.cwd, *files))
    row = database.execute("SELECT id, number FROM step WHERE session_id = ? AND identity = ?",
                           (session_id, identity)).fetchone()
    if row is not None:
        return row[0], row[1]
    last = database.execute("SELECT max(number) FROM step WHERE session_id = ?", (session_id,)).fetchone()[0]
    number = (last or 0) + 1
    cursor = database.execute(
        "INSERT INTO step (session_id, number, identity, command, cwd) VALUES (?,?,?,?,CAST(? AS TEXT))",
        (session_id, number, identity, command, encoded(job.cwd)))
    assert cursor.lastrowid is not None
    return cursor.lastrowid, number


def _current_session(database: sqlite3.Connection) -> int:
    row = database.execute("SELECT max(id) FROM session").fetchone()
    return _new_session(database)[0] if row[0] is None else row[0]


def _new_session(database: sqlite3.Connection) -> tuple[int, str]:
    uid = os.urandom(16).hex()
    cursor = database.execute("INSERT INTO session (uid, started_at) VALUES (?,?)", (uid, now()))
    assert cursor.lastrowid is not None
    return cursor.lastrowid, uid


def _step_number(database: sqlite3.Connection, job_id: int) -> int:
    number: int = database.execute("SELECT number FROM step WHERE id = (SELECT step_id FROM job WHERE id = ?)",
                                   (job_id,)).fetchone()[0]
    return number


def _insert_uses(database: sqlite3.Connection, job_id: int, job: Job, payloads: Sequence[FileUse],
                 datasets: Sequence[Dataset], *, ages: Mapping[tuple[str, str], str]) -> None:
    roles = ((INPUT, job.inputs), (OUTPUT, job.outputs), (PAYLOAD, payloads))
    uses = [use for _, group in roles for use in group]
    first_new = _next_id(database, "artifact")
    artifacts = _intern_artifacts(database, uses)
    paths = _intern_paths(database, [use.path for use in uses])
    database.executemany(
        "INSERT INTO file_use (job_id, role, ordinal, path_id, artifact_id, size, files, note, unchanged_since)"
        " VALUES (?,?,?,?,?,?,?,CAST(? AS TEXT),?)",
        ((job_id, role, ordinal, paths[use.path], *_content_columns(use, artifacts),
          ages.get((use.path, use.digest or "")) if role == INPUT else None)
         for role, group in roles for ordinal, use in enumerate(group)))
    shared = _insert_members(database, datasets, artifacts)
    old_files = {artifacts[use.digest] for use in uses if use.digest is not None and use.kind is Kind.FILE}
    link_shared_content(database, new_datasets=shared, known_files={i for i in old_files if i < first_new})


def _content_columns(use: FileUse, artifacts: Mapping[str, int]) -> tuple[object, ...]:
    """The columns artifact_id, size, files and note of a use."""
    note = None if use.note is None else encoded(use.note)
    if use.digest is None:
        files = use.files if use.files is not None else (0 if use.kind is Kind.DATASET else None)
        return None, use.size, files, note
    return artifacts[use.digest], None, None, note


def _insert_members(database: sqlite3.Connection, datasets: Sequence[Dataset],
                    artifacts: Mapping[str, int]) -> list[int]:
    """Store the members of datasets that have none yet; returns the ids of those that have content known before."""
    shared = []
    for dataset in datasets:
        dataset_id = artifacts.get(dataset.digest)
        if dataset_id is None or _has_members(database, dataset_id):
            continue
        first_new = _next_id(database, "artifact")
        members = _intern_digests(database, {member.digest: (member.size, None) for member in dataset.members})
        database.executemany(
            "INSERT INTO dataset_member (dataset_id, artifact_id, path) VALUES (?,?,CAST(? AS TEXT))",
            ((dataset_id, members[member.digest], encoded(member.path)) for member in dataset.members))
        if min(members.values(), default=first_new) < first_new:
            shared.append(dataset_id)
    return shared


def _has_members(database: sqlite3.Connection, dataset_id: int) -> bool:
    return database.execute("SELECT 1 FROM dataset_member WHERE dataset_id = ? LIMIT 1",
                            (dataset_id,)).fetchone() is not None


def _intern_artifacts(database: sqlite3.Connection, uses: Iterable[FileUse]) -> dict[str, int]:
    contents = {use.digest: (use.size or 0, (use.files or 0) if use.kind is Kind.DATASET else None)
                for use in uses if use.digest is not None}
    return _intern_digests(database, contents)


def _intern_digests(database: sqlite3.Connection, contents: Mapping[str, tuple[int, int | None]]) -> dict[str, int]:
    """The row ids of artifacts by digest; those that are new are inserted with size and number of files."""
    digests = sorted(contents)  # in the order of the index
    first = _next_id(database, "artifact")
    rows = [(number, bytes.fromhex(digest), *contents[digest]) for number, digest in enumerate(digests, first)]
    before = database.total_changes
    database.executemany("INSERT INTO artifact (id, digest, size, files) VALUES (?,?,?,?)"
                         " ON CONFLICT (digest) DO NOTHING", rows)
    if database.total_changes - before == len(rows):  # a search for each first would cost as much as to insert it
        return dict(zip(digests, range(first, first + len(rows)), strict=True))
    ids = _select_ids(database, "artifact", "digest", [row[1] for row in rows])
    return {digest: ids[row[1]] for digest, row in zip(digests, rows, strict=True)}


def _intern_paths(database: sqlite3.Connection, paths: Iterable[str]) -> dict[str, int]:
    raw = {encoded(path): path for path in paths}
    ids = _select_ids(database, "path", "path", list(raw))
    fresh = sorted((key for key in raw if key not in ids), key=_as_bytes)
    first = _next_id(database, "path")
    numbered = {key: first + place for place, key in enumerate(fresh)}
    database.executemany("INSERT INTO path (id, path) VALUES (?, CAST(? AS TEXT))",
                         ((number, key) for key, number in numbered.items()))
    ids.update(numbered)
    return {path: ids[key] for key, path in raw.items()}


def _as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _select_ids(database: sqlite3.Connection, table: str, column: str,
                keys: Sequence[str | bytes]) -> dict[str | bytes, int]:
    """Row ids by a unique column, for the keys that are there."""
    place = "CAST(? AS TEXT)" if table == "path" else "?"
    ids: dict[str | bytes, int] = {}
    for start in range(0, len(keys), _BATCH):
        batch = keys[start:start + _BATCH]
        places = ",".join([place] * len(batch))
        rows = database.execute(f"SELECT id, {column} FROM {table} WHERE {column} IN ({places})", batch)  # noqa: S608  names of our own
        ids.update((encoded(value) if isinstance(value, str) else value, number) for number, value in rows)
    return ids


def _next_id(database: sqlite3.Connection, table: str) -> int:
    last: int | None = database.execute(f"SELECT max(id) FROM {table}").fetchone()[0]  # noqa: S608  names of our own
    return (last or 0) + 1


def _insert_parts(database: sqlite3.Connection, job_id: int, job: Job, left_out: Mapping[str, int]) -> None:
    for run in job.tracker_runs:
        _insert_tracker_run(database, job_id, run)
    for key, value in job.labels.items():
        _insert_label(database, "job_id", job_id, key, value)
    database.executemany("INSERT INTO tracker_summary (job_id, tracker, filtered_files) VALUES (?,?,?)",
                         ((job_id, name, summary.filtered_files) for name, summary in job.trackers.items()))
    database.executemany("INSERT INTO left_out (job_id, category, files) VALUES (?,?,?)",
                         ((job_id, category, files) for category, files in left_out.items()))


def _insert_symlinks(database: sqlite3.Connection, job_id: int, symlinks: Mapping[str, str],
                     made_links: Collection[str], left_links: Mapping[str, str]) -> None:
    texts = {**symlinks, **left_links}
    paths = _intern_paths(database, texts)
    database.executemany("INSERT INTO symlink (job_id, path_id, target, made) VALUES (?,?,CAST(? AS TEXT),?)",
                         ((job_id, paths[path], encoded(text), 2 if path in left_links else path in made_links)
                          for path, text in texts.items()))


def _insert_tracker_run(database: sqlite3.Connection, job_id: int, run: TrackerRun) -> None:
    texts = _tracker_run_texts(run)
    places = ",".join(["CAST(? AS TEXT)"] * len(texts))
    database.execute(f"INSERT INTO tracker_run (job_id, {', '.join(_TRACKER_RUN_COLUMNS)}) VALUES (?,{places})",  # noqa: S608  names of our own
                     (job_id, *texts))


_TRACKER_RUN_COLUMNS = ("tracker", "label", "run_id", "project", "entity", "name", "run_group", "server", "url",
                        "state", "how_to_view", "evidence", "note")


def _tracker_run_texts(run: TrackerRun) -> list[str | bytes | None]:
    """The values of _TRACKER_RUN_COLUMNS."""
    texts = (run.tracker, run.label, run.run_id, run.project, run.entity, run.name, run.group, run.server, run.url,
             str(run.state), run.how_to_view, run.evidence, run.note)
    return [None if text is None else encoded(text) for text in texts]


def _insert_label(database: sqlite3.Connection, column: str, target_id: int, key: str, value: str) -> None:
    database.execute(
        f"INSERT INTO label ({column}, key, value) VALUES (?,CAST(? AS TEXT),CAST(? AS TEXT))",  # noqa: S608  our own column names
        (target_id, encoded(key), encoded(value)))


def _insert_blobs(database: sqlite3.Connection, blobs: Mapping[str, bytes]) -> None:
    database.executemany("INSERT OR IGNORE INTO blob (digest, content) VALUES (?,?)",
                         ((bytes.fromhex(digest), zlib.compress(content)) for digest, content in blobs.items()))


def _intern(database: sqlite3.Connection, table: str, columns: Mapping[str, str | int | None]) -> int:
    """The id of the row of `table` with this content, inserted if it is new."""
    identity = _identity(columns.values())
    row = database.execute(f"SELECT id FROM {table} WHERE identity = ?", (identity,)).fetchone()  # noqa: S608  names of our own
    if row is not None:
        return int(row[0])
    names = ", ".join(f'"{name}"' for name in columns)
    places = ",".join("CAST(? AS TEXT)" if isinstance(value, str) else "?" for value in columns.values())
    values = [encoded(value) if isinstance(value, str) else value for value in columns.values()]
    cursor = database.execute(f"INSERT INTO {table} (identity, {names}) VALUES (?,{places})", [identity, *values])  # noqa: S608  names of our own
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _identity(values: Iterable[str | int | None]) -> bytes:
    """A hash of some columns, to find equal rows by."""
    from blake3 import blake3  # noqa: PLC0415  hashlib takes three times as long to load

    return blake3(json.dumps(list(values)).encode()).digest(length=16)


def _git_columns(git: Git) -> dict[str, str | int | None]:
    return {"commit": git.commit, "branch": git.branch, "remote": git.remote, "dirty": int(git.dirty),
            "patch": git.patch, "worktree": git.worktree,
            "repositories": json.dumps(list(map(dataclasses.asdict, git.repositories))) if git.repositories else None}


def _host_json(host: Host) -> str:
    return json.dumps(dataclasses.asdict(host))


def _python_columns(python: Python) -> dict[str, str | int | None]:
    packages = json.dumps([[package.name, package.version] for package in python.packages])
    return {"version": python.version, "packages": packages}


def _ended_at(job: Job) -> str:
    started = datetime.fromisoformat(job.started_at)
    return _rfc3339(started + timedelta(seconds=job.duration_s or 0))


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _delete_unused_artifacts(database: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Remove artifacts that nothing refers to any more, datasets before their members."""
    members: list[int] = []
    for artifact_id in ids:
        if _is_used(database, artifact_id):
            continue
        members += [row[0] for row in database.execute(
            "SELECT DISTINCT artifact_id FROM dataset_member WHERE dataset_id = ?", (artifact_id,))]
        database.execute("DELETE FROM dataset_member WHERE dataset_id = ?", (artifact_id,))
        database.execute("DELETE FROM shared_content WHERE dataset_id = ? OR other_id = ?",
                         (artifact_id, artifact_id))
        database.execute("DELETE FROM artifact WHERE id = ?", (artifact_id,))
    if members:
        _delete_unused_artifacts(database, members)


def _is_used(database: sqlite3.Connection, artifact_id: int) -> bool:
    row = database.execute(
        "SELECT EXISTS (SELECT 1 FROM file_read WHERE artifact_id = :artifact)"
        " OR EXISTS (SELECT 1 FROM file_written WHERE artifact_id = :artifact)"
        " OR EXISTS (SELECT 1 FROM dataset_member WHERE artifact_id = :artifact)"
        " OR EXISTS (SELECT 1 FROM label WHERE artifact_id = :artifact)", {"artifact": artifact_id}).fetchone()
    return bool(row[0])
