"""Comparing the record with the files as they are now."""

import os
import sqlite3
import stat
import time

from roar.errors import NotFoundError
from roar.record import digests
from roar.record.database import encoded
from roar.workspace import Workspace

_CANDIDATES = 10


def find_at_path(database: sqlite3.Connection, workspace: Workspace, path: str) -> tuple[int, str]:
    """Row and digest of the artifact that now lies at `path`, which the record knows.

    Raises:
        NotFoundError: nothing lies there, or content that was never recorded; the recorded versions are candidates.
    """
    versions = _versions(database, path)
    if path.endswith("/"):
        return _find_dataset(database, workspace, path, versions)
    absolute = workspace.absolute(path)
    try:
        digest = digest_now(database, absolute)
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read now: {error.strerror}.", hint=_show(versions),
                            candidates=_described(versions)) from error
    row = database.execute("SELECT id FROM artifact WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
    if row is None:
        raise NotFoundError(f"{path} has changed since it was recorded; what lies there now was never recorded.",
                            hint=_show(versions), candidates=_described(versions))
    return row[0], digest


def find_elsewhere(database: sqlite3.Connection, absolute: str) -> tuple[int, str] | None:
    """The artifact with the content of a file whose path the record does not know."""
    try:
        digest = digest_now(database, absolute)
    except OSError:
        return None
    row = database.execute("SELECT id FROM artifact WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
    return None if row is None else (row[0], digest)


def digest_now(database: sqlite3.Connection, absolute: str) -> str:
    """The digest of a file's present content, from the cache where it is unchanged; 64 hex.

    Raises:
        OSError: it is not a file or cannot be read.
    """
    with open(absolute, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a regular file")
        key = key_of(status)
        known = digests.find(database, [key]).get(key)
        if known is not None:
            return known
        from blake3 import blake3  # noqa: PLC0415  only what the cache does not know is read

        read_at_ns = time.time_ns()
        digest = blake3(max_threads=blake3.AUTO).update_mmap(absolute).hexdigest()
        if key_of(os.fstat(file.fileno())) == key and not _is_read_only(database):
            digests.remember(database, [digests.Digested(key, digest, read_at_ns)])
    return digest


def key_of(status: os.stat_result) -> digests.Key:
    """The digest cache's key of a file."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_read_only(database: sqlite3.Connection) -> bool:
    """A record that is open for reading only keeps no digests."""
    path = database.execute("PRAGMA database_list").fetchone()[2]
    return not os.access(path, os.W_OK)


def _find_dataset(database: sqlite3.Connection, workspace: Workspace, path: str,
                  versions: list[tuple[int, str]]) -> tuple[int, str]:
    """The recorded dataset whose members are all unchanged in the folder at `path`."""
    for row_id, digest in versions:
        if dataset_is_unchanged(database, workspace.absolute(path), row_id):
            return row_id, digest
    raise NotFoundError(f"The files below {path} are no longer those of any recorded dataset.", hint=_show(versions),
                        candidates=_described(versions))


def dataset_is_unchanged(database: sqlite3.Connection, folder: str, dataset_id: int) -> bool:
    """Whether every member of a dataset lies in `folder` with the recorded content."""
    members = database.execute(
        "SELECT path, size, digest FROM dataset_member JOIN artifact ON artifact.id = artifact_id"
        " WHERE dataset_id = ?", (dataset_id,)).fetchall()
    prefix = folder.rstrip("/") + "/"
    keys: list[digests.Key] = []
    for name, size, _ in members:
        try:
            status = os.stat(prefix + name)
        except OSError:
            return False
        if status.st_size != size:
            return False
        keys.append((status.st_dev, status.st_ino, size, status.st_mtime_ns, status.st_ctime_ns))
    known = digests.find(database, keys)
    try:
        return all((known.get(key) or digest_now(database, prefix + name)) == digest.hex()
                   for key, (name, _, digest) in zip(keys, members, strict=True))
    except OSError:
        return False


def _versions(database: sqlite3.Connection, path: str) -> list[tuple[int, str]]:
    """Row and digest of the artifacts recorded at `path`, the latest first."""
    rows = database.execute(
        "SELECT artifact.id, artifact.digest FROM ("
        " SELECT artifact_id, job_id FROM file_written JOIN path ON path.id = path_id WHERE path = CAST(:path AS TEXT)"
        " UNION ALL"
        " SELECT artifact_id, job_id FROM file_read JOIN path ON path.id = path_id WHERE path = CAST(:path AS TEXT)"
        ") JOIN artifact ON artifact.id = artifact_id GROUP BY artifact.id ORDER BY max(job_id) DESC",
        {"path": encoded(path)})
    return [(row_id, digest.hex()) for row_id, digest in rows]


def _described(versions: list[tuple[int, str]]) -> tuple[str, ...]:
    shown = [f"recorded as {digest[:12]}" for _, digest in versions[:_CANDIDATES]]
    if len(versions) > _CANDIDATES:
        shown.append(f"… and {len(versions) - _CANDIDATES} earlier versions")
    return tuple(shown)


def _show(versions: list[tuple[int, str]]) -> str | None:
    return f"roar show {versions[0][1][:12]}" if versions else None
