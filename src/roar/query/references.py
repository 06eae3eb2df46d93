"""What a REF on the command line names.

`@N` (step N of the current session), `@-N` (the Nth job from the end), a job's uid or its start (4 or more), an
artifact's digest or its start (6 or more), a path (the artifact now at that path), a tracker run's URL or id, an
object's URL (the artifact that was last recorded there), a session's uid or its start (4 or more), `@` for the current
session. For the verbs that tell of a folder also a folder in which files are recorded, or which is part of a dataset.
A path that is not known as typed is taken as answers show it: from the workspace's root, with escapes.
"""

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from roar.errors import NotFoundError, RoarError
from roar.model import is_location
from roar.record.database import encoded
from roar.shell import joined, quoted, quoted_path
from roar.workspace import Workspace, kind_of

SHORTEST_UID = 4
SHORTEST_DIGEST = 6
_CANDIDATES = 10
_STEPS = 5
_LOOKS = 20  # so many files and folders of an unknown folder are looked at for an error
_COMMAND = 80
_LATEST_PATHS = 2000  # those that are compared letter by letter with a misspelt one
_ESCAPED = re.compile(r"\\(?:([ntr\\])|x([0-9a-f]{2})|u(20[0-9a-f]{2}))")
_MEANT = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_ODD = 0xDC00  # a byte that is not UTF-8 is this lone surrogate and more


@dataclass(frozen=True, slots=True)
class JobReference:
    """A job. `row_id` is its row in the record, `uid` its name anywhere."""

    row_id: int
    uid: str


@dataclass(frozen=True, slots=True)
class ArtifactReference:
    """An artifact; `path` where it was named by one."""

    row_id: int
    digest: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class SessionReference:
    """A session."""

    row_id: int
    uid: str


@dataclass(frozen=True, slots=True)
class TrackerRunReference:
    """A tracker run and the rows of the jobs that wrote to it, the first one first.

    `url` is what it was named by, None where that was its id: many runs have no address yet.
    """

    url: str | None
    job_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FolderReference:
    """A folder with recorded files in it that no job used as one dataset: `a/b/`, or `./` for the workspace.

    `place` is where it lies now, None where there is no such folder.
    """

    path: str
    place: str | None = field(default=None, compare=False)


Reference = JobReference | ArtifactReference | SessionReference | TrackerRunReference


def resolve_or_folder(database: sqlite3.Connection, workspace: Workspace, ref: str) -> Reference | FolderReference:
    """What `ref` names, which may be a folder with recorded files in it: more than those of one dataset.

    Raises:
        NotFoundError: as `resolve`.
    """
    try:
        found = resolve(database, workspace, ref)
    except FolderError as error:
        return error.folder
    if isinstance(found, ArtifactReference) and found.path is not None and found.path.endswith("/"):
        from roar.query.folders import holds_more  # noqa: PLC0415  only for a folder

        folder = _folder_at(workspace, found.path)
        return folder if holds_more(database, folder, found.row_id) else found
    return found


def _folder_at(workspace: Workspace, path: str) -> FolderReference:
    place = workspace.absolute(path)
    return FolderReference(path, place if os.path.isdir(place) else None)


class FolderError(NotFoundError):
    """What was named is a folder with recorded files in it, where one artifact, job or session is wanted."""

    def __init__(self, folder: FolderReference, message: str, *, hint: str | None,
                 candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint, candidates=candidates)
        self.folder = folder


def resolve(database: sqlite3.Connection, workspace: Workspace, ref: str) -> Reference:
    """What `ref` names.

    Raises:
        NotFoundError: nothing, or more than one thing; with candidates.
    """
    if not ref:
        raise NotFoundError("The reference is empty, as a variable that is not set is.", hint="roar log")
    if ref.startswith("@"):
        return _resolve_step(database, ref)
    if "://" in ref:
        return _resolve_url(database, ref)
    found = list(iter_named(database, ref))
    if not found or _is_path(database, workspace, ref):
        at_path = _find_at_path(database, workspace, ref)
        found += [] if at_path is None else [at_path]
    if len(found) == 1:
        return found[0]
    if not found:
        by_id = _jobs_of_run(database, ref)
        if by_id:
            return TrackerRunReference(None, by_id)
        return _find_as_printed(database, workspace, ref)
    raise NotFoundError(f"{ref!r} names more than one thing.", hint="more characters, or ./NAME for a path",
                        candidates=_first_of([_candidate(database, match) for match in found]))


def _first_of(found: Sequence[str], whole: str = "") -> tuple[str, ...]:
    """The first candidates, and that there are more, with the command that tells of all."""
    how = f": {whole}" if whole else ""
    return tuple(found) if len(found) <= _CANDIDATES else (*found[:_CANDIDATES], f"… and more{how}")


def resolve_job(database: sqlite3.Connection, workspace: Workspace, ref: str) -> JobReference:
    """The job that `ref` names.

    Raises:
        NotFoundError: `ref` names no job.
    """
    found = resolve(database, workspace, ref)
    if isinstance(found, TrackerRunReference) and len(found.job_ids) == 1:
        return _job_reference(database, found.job_ids[0])
    if not isinstance(found, JobReference):
        raise NotFoundError(f"{ref!r} is not a job.", hint="roar log")
    return found


def find_current_session(database: sqlite3.Connection) -> SessionReference | None:
    """The session that the next job will belong to; None before the first job."""
    row = database.execute("SELECT id, uid FROM session ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else SessionReference(*row)


_DIGITS = 19  # so many no number of SQLite has


def _resolve_step(database: sqlite3.Connection, ref: str) -> Reference:
    session = find_current_session(database)
    if session is None:
        raise NotFoundError("No job has been recorded yet.", hint="roar run COMMAND")
    if ref == "@":
        return session
    number = ref[1:]
    if not (number.isascii() and number.removeprefix("-").isdecimal()) or int(number) == 0:
        raise NotFoundError(f"{ref!r} is not a step: steps are @1, @2, … and @-1 is the last job.", hint="roar log")
    job_id = _find_step_job(database, session, int(number)) if len(number) < _DIGITS else None
    if job_id is None:
        last = database.execute("SELECT max(number) FROM step WHERE session_id = ?", (session.row_id,)).fetchone()[0]
        steps = f"its steps are @1 to @{last}" if last else "it has no jobs yet"
        raise NotFoundError(f"This session has no {ref}: {steps}.", hint="roar log",
                            candidates=_last_steps(database, session))
    return _job_reference(database, job_id)


def _last_steps(database: sqlite3.Connection, session: SessionReference) -> tuple[str, ...]:
    """The last steps of a session, as candidates for a mistyped one."""
    rows = database.execute("SELECT number, command FROM step WHERE session_id = ? ORDER BY number DESC LIMIT ?",
                            (session.row_id, _STEPS)).fetchall()
    count, = database.execute("SELECT count(*) FROM step WHERE session_id = ?", (session.row_id,)).fetchone()
    more = count - len(rows)
    return (*(f"@{number}  {_words(command)}" for number, command in reversed(rows)),
            *([f"… and {more:,} earlier step{'' if more == 1 else 's'}: roar dag --all"] if more else []))


def _find_step_job(database: sqlite3.Connection, session: SessionReference, number: int) -> int | None:
    """The latest job of step `number`, or for a negative one that job counted from the end of the session."""
    if number > 0:
        row = database.execute(
            "SELECT job.id FROM step JOIN job ON job.step_id = step.id WHERE session_id = ? AND number = ?"
            " ORDER BY started_at DESC, job.id DESC LIMIT 1", (session.row_id, number)).fetchone()
    else:
        row = database.execute(
            "SELECT job.id FROM job CROSS JOIN step ON step.id = job.step_id WHERE session_id = ?"
            " ORDER BY started_at DESC, job.id DESC LIMIT 1 OFFSET ?", (session.row_id, -number - 1)).fetchone()
    return None if row is None else row[0]


def _job_reference(database: sqlite3.Connection, job_id: int) -> JobReference:
    return JobReference(job_id, database.execute("SELECT uid FROM job WHERE id = ?", (job_id,)).fetchone()[0])


def find_at_location(database: sqlite3.Connection, url: str) -> ArtifactReference | None:
    """The artifact that was last recorded at an object's URL, or at that of a folder of objects."""
    forms = [encoded(url), encoded(url.rstrip("/") + "/")]
    row = database.execute(
        "WITH here AS MATERIALIZED (SELECT id FROM path WHERE path IN (CAST(? AS TEXT), CAST(? AS TEXT)))"
        " SELECT artifact.id, digest, path.path FROM ("
        " SELECT job_id, artifact_id, path_id FROM here CROSS JOIN file_written ON path_id = id UNION ALL"
        " SELECT job_id, artifact_id, path_id FROM here CROSS JOIN file_read ON path_id = id"
        ") JOIN path ON path.id = path_id JOIN artifact ON artifact.id = artifact_id"
        " ORDER BY job_id DESC LIMIT 1", forms).fetchone()
    return None if row is None else ArtifactReference(row[0], row[1].hex(), row[2])


def _resolve_url(database: sqlite3.Connection, ref: str) -> TrackerRunReference | ArtifactReference:
    """Trackers give one run several addresses (`…/runs/ID`, `…/runs/ID/overview`, `…?workspace=…`)."""
    at_location = find_at_location(database, ref)
    if at_location is not None:
        return at_location
    known = [row[0] for row in database.execute("SELECT DISTINCT url FROM tracker_run WHERE url IS NOT NULL")]
    exact = [url for url in known if url.rstrip("/") == ref.rstrip("/")]
    bare = _without_query(ref)
    found = exact or [url for url in known if f"{bare}/".startswith(url.rstrip("/") + "/")]
    if found:
        url = max(found, key=len)
        jobs = database.execute("SELECT DISTINCT job_id FROM tracker_run WHERE url = ? ORDER BY job_id", (url,))
        return TrackerRunReference(url, tuple(job_id for (job_id,) in jobs))
    from difflib import get_close_matches  # noqa: PLC0415  only for an error

    same_id = [run_id for (run_id,) in database.execute("SELECT DISTINCT run_id FROM tracker_run WHERE url IS NULL")
               if run_id in re.split("[/?#&=]", ref)]
    if same_id:
        raise NotFoundError(f"No recorded run is known to be at {ref}. One without an address has the same id.",
                            hint=f"roar show {quoted(same_id[0])}, and after an upload: roar trackers refresh")
    close = get_close_matches(ref, sorted(known), n=_CANDIDATES, cutoff=0.7)
    raise NotFoundError(f"No recorded job wrote to a tracker run or an object at {ref}.", hint="roar log",
                        candidates=tuple(close))


def _jobs_of_run(database: sqlite3.Connection, run_id: str) -> tuple[int, ...]:
    """The rows of the jobs that wrote to the run with this id, in any tracker."""
    rows = database.execute("SELECT DISTINCT job_id FROM tracker_run WHERE run_id = CAST(? AS TEXT) ORDER BY job_id",
                            (encoded(run_id),))
    return tuple(job_id for (job_id,) in rows)


def _without_query(url: str) -> str:
    """`url` up to a query at its end; one before the fragment (`/?o=1#/…`) says which run it is and stays."""
    head, _, tail = url.rpartition("?")
    return url.rstrip("/") if not head or "#" in tail else head.rstrip("/")


def iter_named(database: sqlite3.Connection, ref: str) -> Iterator[Reference]:
    """Recorded jobs, sessions and artifacts whose name starts with `ref`."""
    text = ref.lower()
    if not re.fullmatch(f"[0-9a-f]{{{SHORTEST_UID},64}}", text):
        return
    for row_id, uid in _prefixed(database, "job", text):
        yield JobReference(row_id, uid)
    for row_id, uid in _prefixed(database, "session", text):
        yield SessionReference(row_id, uid)
    if len(text) >= SHORTEST_DIGEST:
        for row_id, digest in _prefixed_digests(database, text):
            yield ArtifactReference(row_id, digest)


def find_patch(database: sqlite3.Connection, ref: str) -> str | None:
    """The digest of the one recorded patch that `ref` is or begins; None where anything else is called so, too."""
    if not re.fullmatch(f"[0-9a-f]{{{SHORTEST_DIGEST},64}}", ref.lower()) or any(iter_named(database, ref)):
        return None
    found = database.execute("SELECT DISTINCT patch FROM git WHERE patch >= ? AND patch < ?",
                             (ref.lower(), ref.lower() + "g")).fetchall()
    return found[0][0] if len(found) == 1 else None


def _prefixed(database: sqlite3.Connection, table: str, prefix: str) -> list[tuple[int, str]]:
    return database.execute(
        f"SELECT id, uid FROM {table} WHERE uid >= ? AND uid < ? LIMIT {_CANDIDATES + 1}",  # noqa: S608  names of our own
        (prefix, prefix + "g")).fetchall()


def _prefixed_digests(database: sqlite3.Connection, prefix: str) -> list[tuple[int, str]]:
    rows = database.execute(
        f"SELECT id, digest FROM artifact WHERE digest BETWEEN ? AND ? LIMIT {_CANDIDATES + 1}",  # noqa: S608  a number of our own
        (bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))))
    return [(row_id, digest.hex()) for row_id, digest in rows]


def _is_path(database: sqlite3.Connection, workspace: Workspace, ref: str) -> bool:
    return os.path.lexists(ref) or any(
        _path_id(database, path) is not None for path in recorded_forms(workspace, ref))


def recorded_forms(workspace: Workspace, ref: str) -> list[str]:
    """How the path `ref`, as a user types it, may stand in the record: itself and with symlinks resolved."""
    if is_location(ref):
        return [ref, ref.rstrip("/") + "/"]
    absolute = os.path.abspath(ref)
    real = os.path.realpath(ref)
    forms = [workspace.relative(real), workspace.relative(absolute)]
    return list(dict.fromkeys([*forms, *(form.rstrip("/") + "/" for form in forms)]))


def _path_id(database: sqlite3.Connection, path: str) -> int | None:
    row = database.execute("SELECT id FROM path WHERE path = CAST(? AS TEXT)", (encoded(path),)).fetchone()
    return None if row is None else row[0]


def _find_at_path(database: sqlite3.Connection, workspace: Workspace, ref: str) -> ArtifactReference | None:
    """The recorded artifact that now lies at the path `ref`; None where the record does not know the path.

    Raises:
        NotFoundError: the path is recorded, but what lies there now is not.
    """
    from roar.query.files_now import ChangedFolderError, find_at_path  # noqa: PLC0415  digests; a uid needs none of it
    from roar.query.versions import find_versions, iter_around  # noqa: PLC0415

    forms = recorded_forms(workspace, ref)
    for path in forms:
        versions = find_versions(database, path)
        link_to_folder = not versions and not path.endswith("/") and os.path.isdir(ref)
        if versions or (_path_id(database, path) is not None and not link_to_folder):
            try:
                row_id, digest = find_at_path(database, workspace, path, versions)
            except ChangedFolderError as error:
                folder = _folder_at(workspace, path)
                if folder.place is None:
                    raise
                raise FolderError(folder, error.message, hint=error.hint, candidates=error.candidates) from error
            return ArtifactReference(row_id, digest, path)
    from roar.query.files_now import find_elsewhere, find_folder_elsewhere  # noqa: PLC0415

    real = os.path.realpath(ref)
    if os.path.isdir(ref):
        if any(True for form in forms if form.endswith("/") for _ in iter_around(database, form)):
            return None
        found = find_folder_elsewhere(database, real)
        return None if found is None else ArtifactReference(*found, path=workspace.relative(real) + "/")
    found = find_elsewhere(database, real) if os.path.isfile(ref) else None
    return None if found is None else ArtifactReference(*found, path=workspace.relative(real))


def _find_as_printed(database: sqlite3.Connection, workspace: Workspace, ref: str) -> ArtifactReference:
    """What is recorded at a path as answers show it, where neither that nor a folder is known or lies there as typed.

    Raises:
        NotFoundError: nothing; or what was recorded there is no artifact by itself, or not what lies there now.
    """
    if not os.path.lexists(ref) and _unknown_folder(database, workspace, ref) is None:
        for path in meant_paths(workspace, ref):
            found = _find_at_path(database, workspace, path)
            if found is not None:
                return found
            if (folder := _unknown_folder(database, workspace, path)) is not None:
                raise folder
    raise _unknown(database, workspace, ref)


def meant_paths(workspace: Workspace, ref: str) -> list[str]:
    r"""Paths that answers show as `ref`: control characters as `\n`, and all from the workspace's root."""
    meant = [ref, _unescaped(ref, _ODD), _unescaped(ref, 0)]
    if ref and not {".", ".."}.intersection(ref.split("/")):
        meant += map(workspace.absolute, tuple(meant))
    here = os.path.abspath(ref)
    return [path for path in dict.fromkeys(meant) if "\0" not in path and os.path.abspath(path) != here]


def _unescaped(text: str, odd: int) -> str:
    r"""`text` without escapes; of `\x80` to `\xff` each is the letter so much higher."""
    return _ESCAPED.sub(
        lambda escape: _MEANT.get(escape[1]) or _letter(int(escape[2] or escape[3], 16), odd), text)


def _letter(code: int, odd: int) -> str:
    return chr(odd + code if 0x80 <= code <= 0xFF else code)  # noqa: PLR2004  what is no letter as one byte


def _candidate(database: sqlite3.Connection, match: Reference) -> str:
    if isinstance(match, JobReference):
        command = database.execute("SELECT command FROM job JOIN step ON step.id = step_id WHERE job.id = ?",
                                   (match.row_id,)).fetchone()[0]
        return f"job {match.uid[:12]}  {_words(command)}"
    if isinstance(match, SessionReference):
        return f"session {match.uid[:12]}"
    if isinstance(match, ArtifactReference):
        row = database.execute(
            "SELECT path FROM path WHERE id = coalesce("
            "(SELECT path_id FROM file_written WHERE artifact_id = :artifact LIMIT 1),"
            " (SELECT path_id FROM file_read WHERE artifact_id = :artifact LIMIT 1))",
            {"artifact": match.row_id}).fetchone()
        return f"artifact {match.digest[:12]}  {row[0] if row else ''}".rstrip()
    return match.url or ""


def _words(command: str) -> str:
    import json  # noqa: PLC0415  only for an error

    text = joined(json.loads(command))
    return text if len(text) <= _COMMAND else f"{text[:_COMMAND]}…"


def _unknown(database: sqlite3.Connection, workspace: Workspace, ref: str) -> RoarError:
    from difflib import get_close_matches  # noqa: PLC0415  only for an error

    if (linked := _reached_by_links(database, workspace, ref)) is not None:
        return linked
    if (there := _unknown_folder(database, workspace, ref) or _folder_of_links(database, workspace, ref)
            or _unrecorded(workspace, ref) or _folder_of_copies(database, ref)) is not None:
        return there
    name = os.path.basename(ref.rstrip("/"))
    if name and os.path.lexists(ref):
        return NotFoundError(f"No recorded job read or wrote {ref!r} as data: code is recorded with its commit, and a"
                             " tracker's own files are left out.", hint=f"roar log {quoted_path(name)}")
    if re.fullmatch(r"[0-9a-fA-F]{1,3}", ref):
        return NotFoundError(f"{ref!r} is too short: {SHORTEST_UID} characters of a job's uid or {SHORTEST_DIGEST} of"
                             " a digest are the least.", hint="roar log")
    if re.fullmatch(r"[0-9a-fA-F]{4,64}", ref):
        what = ("No job, session or artifact has a name that starts with" if len(ref) >= SHORTEST_DIGEST else
                f"A digest is named by {SHORTEST_DIGEST} characters or more, and no job or session starts with")
        return NotFoundError(f"{what} {ref!r}.",
                             hint="roar log --all", candidates=_names_like(database, ref))
    close = [row[0] for row in database.execute(
        "SELECT path FROM path WHERE substr(rtrim(path, '/'), -length(:name) - 1) = '/' || :name LIMIT :most",
        {"name": name, "most": _CANDIDATES + 1})] if name.isascii() else []
    if not close:
        latest = database.execute("SELECT path FROM path ORDER BY id DESC LIMIT ?", (_LATEST_PATHS,))
        close = get_close_matches(ref, [row[0] for row in latest], n=_CANDIDATES)
    return NotFoundError(f"The record knows no job, artifact or path {ref!r}.", hint="roar log",
                         candidates=_first_of(close, f"roar log --all -n 0 --path {quoted(f'*/{name}')}"))


def _reached_by_links(database: sqlite3.Connection, workspace: Workspace, ref: str) -> NotFoundError | None:
    """What to say of a path that led elsewhere when jobs went through its symlinks."""
    from roar.query.linked import find_through_links  # noqa: PLC0415  only for an error

    led = [form for path in find_through_links(database, workspace, ref) for form in (path, f"{path}/")
           if _path_id(database, form) is not None]
    if not led:
        return None
    now = "what lies there now, no recorded job read or wrote" if os.path.exists(ref) else "nothing lies there now"
    return NotFoundError(f"{ref!r} led to {led[-1]!r} by a symlink when a job used it; {now}.",
                         hint=f"roar lineage {quoted_path(led[-1])}",
                         candidates=_first_of(led, _jobs_through(ref)) if len(led) > 1 else ())


def _jobs_through(ref: str) -> str:
    """The command that lists the jobs which went through the symlinks of a path, each of which can be shown."""
    return f"roar log --all -n 0 --path {quoted_path(ref)}"


def _folder_of_links(database: sqlite3.Connection, workspace: Workspace, ref: str) -> NotFoundError | None:
    """What to say of a folder whose symlinks jobs went through: what they led to is recorded where it lies."""
    from roar.query.linked import find_led_from  # noqa: PLC0415  only for an error

    for folder in (form for form in recorded_forms(workspace, ref) if form.endswith("/")):
        if led := find_led_from(database, workspace, folder):
            more = f" and {len(led) - 1:,} more" if len(led) > 1 else ""
            return NotFoundError(f"{ref!r} holds symlinks through which jobs used {led[0]}{more}.",
                                 hint=f"roar lineage {quoted_path(led[0])}",
                                 candidates=_first_of(led, _jobs_through(ref)) if len(led) > 1 else ())
    return None


def _folder_of_copies(database: sqlite3.Connection, ref: str) -> NotFoundError | None:
    """What to say of a folder that is no dataset by itself, but in which copies of recorded data lie."""
    from roar.query.files_now import find_elsewhere, find_folder_elsewhere  # noqa: PLC0415  only for an error

    try:
        entries = sorted((entry for entry in os.scandir(ref) if entry.stat().st_size),
                         key=lambda entry: (not entry.is_dir(), entry.name))
    except OSError:
        return None
    known = [entry.path for entry in entries[:_LOOKS]
             if (find_folder_elsewhere if entry.is_dir() else find_elsewhere)(database, entry.path)]
    if not known:
        return None
    unseen = len(entries) - _LOOKS
    more = [f"… and perhaps more: {unseen:,} of {len(entries):,} there were not looked at"] if unseen > 0 else []
    return NotFoundError(f"No recorded job read or wrote {ref!r} as a whole, but it holds copies of recorded data.",
                         hint=f"roar lineage {quoted_path(known[0])}", candidates=(*known, *more))


def _unrecorded(workspace: Workspace, ref: str) -> NotFoundError | None:
    """What to say of what lies there and no job can have used as data."""
    if not os.path.isdir(ref):
        kind = kind_of(ref) if os.path.exists(ref) else "a file"
        return None if kind == "a file" else NotFoundError(f"{ref!r} is {kind}, whose content is not recorded.",
                                                           hint="roar log")
    if workspace.root.startswith(os.path.realpath(ref).rstrip("/") + "/"):
        return NotFoundError(f"{ref!r} is a folder above the workspace {workspace.root}, and no recorded job read or"
                             " wrote anything else in it.", hint=f"roar show {quoted_path(workspace.root)}")
    with contextlib.suppress(OSError):
        if not os.listdir(ref):
            return NotFoundError(f"{ref!r} is an empty folder, of which nothing is recorded.", hint="roar log")
    return None


def _unknown_folder(database: sqlite3.Connection, workspace: Workspace, ref: str) -> FolderError | None:
    """What to say of a folder that is recorded only in part, or as part of more."""
    from roar.query.versions import find_below, iter_around  # noqa: PLC0415  only for a folder

    for folder in (form for form in recorded_forms(workspace, ref) if form.endswith("/")):
        if (around := next(iter_around(database, folder), None)) is not None:
            return FolderError(_folder_at(workspace, folder), f"No recorded job read or wrote {ref!r} by itself; it is"
                               f" part of the dataset {around.path}.", hint=f"roar show {quoted_path(around.path)}")
        if below := find_below(database, folder, _CANDIDATES + 1):
            return FolderError(_folder_at(workspace, folder), f"No recorded job read or wrote {ref!r} as a whole, but"
                               " what is below it.", hint=f"roar show {quoted_path(below[0][1])}",
                               candidates=_first_of([path for _, path in below],
                                                    f"roar show {quoted_path(ref)} --all"))
    return None


def _names_like(database: sqlite3.Connection, ref: str) -> tuple[str, ...]:
    """What shares the longest start with `ref`, at least three characters of it: one of the others was mistyped."""
    for length in range(len(ref) - 1, 2, -1):
        start = ref[:length].lower()
        found: list[Reference] = [JobReference(*row) for row in _prefixed(database, "job", start)]
        found += [SessionReference(*row) for row in _prefixed(database, "session", start)]
        found += [ArtifactReference(*row) for row in _prefixed_digests(database, start)]
        if found:
            return _first_of([_candidate(database, match) for match in found])
    return ()
