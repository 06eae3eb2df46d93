"""Comparing the record with the files as they are now."""

import contextlib
import errno
import json
import os
import sqlite3
import stat
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from roar.errors import NotFoundError
from roar.model import members_folder
from roar.observe.folders import FolderFiles, StatInBackground, stamp, stat_files
from roar.observe.trace import signature_of
from roar.record import digests
from roar.record.database import watched
from roar.shell import quoted_path
from roar.workspace import Workspace

_CANDIDATES = 10


class ChangedFolderError(NotFoundError):
    """What lies in a folder is no longer any of the datasets that were recorded there."""


def find_at_path(database: sqlite3.Connection, workspace: Workspace, path: str, versions: list[tuple[int, str]]
                 ) -> tuple[int, str]:
    """Row and digest of the artifact that now lies at `path`, which the record knows.

    Args:
        database: the record.
        workspace: whose record it is.
        path: as recorded.
        versions: row and digest of what was recorded there, the latest first.

    Raises:
        NotFoundError: nothing lies there, or content that was never recorded; the recorded versions are candidates.
            Of a folder it is a ChangedFolderError.
    """
    if path.endswith("/") or _are_datasets(database, versions):
        return _find_dataset(database, workspace, path, versions)
    absolute = workspace.absolute(path)
    try:
        digest = digest_now(database, absolute)
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read now: {error.strerror}.", hint=_show(versions),
                            candidates=_described(workspace, path, versions)) from error
    row = database.execute("SELECT id FROM artifact WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
    if row is None:
        if not versions:  # of a job that was forgotten
            raise NotFoundError(f"{path} is in no job that is still recorded.", hint="roar log")
        raise NotFoundError(f"{path} has changed since it was recorded; what lies there now was never recorded.",
                            hint=_show(versions), candidates=_described(workspace, path, versions))
    return row[0], digest


def find_elsewhere(database: sqlite3.Connection, absolute: str) -> tuple[int, str] | None:
    """The artifact with the content of a file whose path the record does not know; one of another size is not read."""
    try:
        if database.execute("SELECT 1 FROM artifact WHERE size = ? LIMIT 1", (os.stat(absolute).st_size,)
                            ).fetchone() is None:
            return None
        digest = digest_now(database, absolute)
    except OSError:
        return None
    row = database.execute("SELECT id FROM artifact WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
    return None if row is None else (row[0], digest)


def find_folder_elsewhere(database: sqlite3.Connection, absolute: str) -> tuple[int, str] | None:
    """The recorded dataset that a folder is a copy of, whose path the record does not know."""
    most = database.execute("SELECT max(files) FROM artifact").fetchone()[0] or 0
    sizes: list[int] = []
    try:
        for place, _, names in os.walk(absolute):
            if len(sizes) + len(names) > most:
                return None  # a home folder, or all of a disk, is not walked through
            sizes += [os.stat(os.path.join(place, name)).st_size for name in names]
        datasets = database.execute("SELECT id, digest FROM artifact WHERE files = ? AND size = ? ORDER BY id DESC",
                                    (len(sizes), sum(sizes))).fetchall()
        return next(((row_id, digest.hex()) for row_id, digest in datasets
                     if DatasetLook(database, absolute, row_id).find_change() is None), None)
    except OSError:
        return None


def digest_now(database: sqlite3.Connection, absolute: str) -> str:
    """The digest of a file's present content, from the cache where it is unchanged; 64 hex.

    Raises:
        OSError: it is not a file or cannot be read.
    """
    status = os.stat(absolute)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "it is not a regular file")
    key = key_of(status)
    known = digests.find(database, [key]).get(key)
    if known is not None:
        return known
    from roar.analyze.digest import digest_files  # noqa: PLC0415  most files are as they were

    with watched(database) as progress:
        done = digest_files({absolute: signature_of(status)}, {}, progress=progress)[absolute]
    if done.digest is None:
        raise OSError(0, (done.note or "it cannot be read").removeprefix("could not be read: "))
    if done.settled and not _is_read_only(database):
        digests.remember(database, [(key, done.digest)])
    return done.digest


def holds(database: sqlite3.Connection, absolute: str, wanted: Container[str | None]) -> bool:
    """Whether a file that can be read lies at a path, with one of these digests."""
    try:
        return digest_now(database, absolute) in wanted
    except OSError:
        return False


def lies_at(database: sqlite3.Connection, workspace: Workspace, path: str, artifact_id: int) -> bool:
    """Whether an artifact of the record, by its row, lies at a recorded path, be it a file or a dataset."""
    digest, files = database.execute("SELECT digest, files FROM artifact WHERE id = ?", (artifact_id,)).fetchone()
    if files is not None:
        return dataset_is_unchanged(database, workspace.absolute(members_folder(path)), artifact_id)
    return holds(database, workspace.absolute(path), {digest.hex()})


def is_absence(error: OSError) -> bool:
    """Whether an error says that nothing lies there; others leave open what does."""
    return error.errno in {errno.ENOENT, errno.ENOTDIR}


def key_of(status: os.stat_result) -> digests.Key:
    """The digest cache's key of a file."""
    return signature_of(status)[:5]


def _is_read_only(database: sqlite3.Connection) -> bool:
    """A record that is open for reading only keeps no digests."""
    path = database.execute("PRAGMA database_list").fetchone()[2]
    return not os.access(path, os.W_OK)


def _find_dataset(database: sqlite3.Connection, workspace: Workspace, path: str,
                  versions: list[tuple[int, str]]) -> tuple[int, str]:
    """The recorded dataset whose members are all unchanged in the folder at `path`: of several the largest.

    A part of it that was read later is the smaller one; of those that have the same number of files it is the latest.
    """
    folder = members_folder(path)
    error_class: type[NotFoundError] = ChangedFolderError
    message = f"The files below {path} are no longer those of any recorded dataset"
    reasons = []
    for row_id, digest in _largest_first(database, versions):
        try:
            change = DatasetLook(database, workspace.absolute(folder), row_id).find_change()
        except OSError as error:
            message, reasons = f"{folder}{error.filename} cannot be read now", [str(error.strerror)]
            error_class = NotFoundError
            continue
        if change is None:
            return row_id, digest
        if change.gone is not None:
            reasons.append(f"{folder}{change.gone} of {digest[:12]} is gone")
    raise error_class(": ".join([message, *reasons[:1]]) + ".", hint=_show(versions),
                      candidates=_described(workspace, path, versions))


def _are_datasets(database: sqlite3.Connection, versions: list[tuple[int, str]]) -> bool:
    """Whether a path stands for several files, as the pattern of shards does."""
    return bool(versions) and None not in _files(database, versions).values()


def _largest_first(database: sqlite3.Connection, versions: list[tuple[int, str]]) -> list[tuple[int, str]]:
    files = _files(database, versions)
    return sorted(versions, key=lambda version: files[version[0]] or 0, reverse=True)


def _files(database: sqlite3.Connection, versions: list[tuple[int, str]]) -> dict[int, int | None]:
    """By row how many files each version has, None for a file."""
    return dict(database.execute("SELECT id, files FROM artifact WHERE id IN (SELECT value FROM json_each(?))",
                                 (json.dumps([row_id for row_id, _ in versions]),)).fetchall())


def dataset_is_unchanged(database: sqlite3.Connection, folder: str, dataset_id: int) -> bool:
    """Whether every member of a dataset lies in `folder` with the recorded content, and can be read."""
    try:
        return DatasetLook(database, folder, dataset_id).find_change() is None
    except OSError:
        return False


class Change(NamedTuple):
    """What is no longer as it was recorded; `gone` names a file that is not there, where no other differs."""

    gone: str | None = None


class DatasetLook:
    """A look at the members of a dataset in `folder`, which goes on while others are begun."""

    def __init__(self, database: sqlite3.Connection, folder: str, dataset_id: int) -> None:
        self._database = database
        self._folder = folder
        self._dataset_id = dataset_id
        names: bytes | None = database.execute(
            "SELECT CAST(group_concat(path, char(0)) AS BLOB) FROM dataset_member WHERE dataset_id = ?",
            (dataset_id,)).fetchone()[0]
        self._names = names + b"\0" if names else b""
        self._begun = StatInBackground(folder, self._names) if names else None

    def find_change(self) -> Change | None:
        """What is no longer as recorded; None where every member lies there with its content. Called once.

        Raises:
            OSError: a member, `filename`, cannot be read, and no other is known to be changed or gone.
        """
        database = self._database
        files = self._begun.files() if self._begun is not None else None
        if files is None:
            return _find_change_of_members(database, self._folder, self._dataset_id)
        recorded: bytes = database.execute("SELECT digest FROM artifact WHERE id = ?",
                                           (self._dataset_id,)).fetchone()[0]
        now = stamp("", files)
        known = digests.find_datasets(database, [now]).get(now)
        if known is not None:
            return None if known.digest == recorded.hex() else Change()
        change = _find_change_of_members(database, self._folder, self._dataset_id)
        if change is None and not _is_read_only(database) and _are_settled(database, files):
            after = stat_files(self._folder, self._names)
            if after is not None and stamp("", after) == now:
                digests.remember_datasets(database, [(now, recorded.hex())])
        return change


def _are_settled(database: sqlite3.Connection, folders: Iterable[FolderFiles]) -> bool:
    """Whether the digest cache knows all these files by their signatures."""
    keys = {signature[:5] for files in folders for _, _, signature in files.iter_files()}
    return len(digests.find(database, keys)) == len(keys)


def _find_change_of_members(database: sqlite3.Connection, folder: str, dataset_id: int) -> Change | None:
    """The same, member by member.

    Raises:
        OSError: as `DatasetLook.find_change`.
    """
    return find_change_of_files(database, folder, recorded_members(database, dataset_id))


def recorded_members(database: sqlite3.Connection, dataset_id: int) -> list[tuple[str, int, bytes]]:
    """Path, size and digest of each file of a dataset."""
    return database.execute("SELECT path, size, digest FROM dataset_member JOIN artifact ON artifact.id = artifact_id"
                            " WHERE dataset_id = ?", (dataset_id,)).fetchall()


def find_change_of_files(database: sqlite3.Connection, folder: str, members: Sequence[tuple[str, int, bytes]]
                         ) -> Change | None:
    """What is no longer so of files that are each given as its path in `folder`, its size and its digest.

    Raises:
        OSError: as `DatasetLook.find_change`.
    """
    prefix = folder.rstrip("/") + "/"
    keys: dict[str, digests.Key] = {}
    gone: str | None = None
    unreadable: OSError | None = None
    for name, size, _ in members:
        try:
            status = os.stat(prefix + name)
        except OSError as error:
            if is_absence(error):
                gone = gone or name
            else:
                unreadable = unreadable or OSError(error.errno, error.strerror, name)
            continue
        if status.st_size != size:
            return Change()
        keys[name] = key_of(status)
    known = digests.find(database, keys.values())
    for name, _, digest in members:
        try:
            if name in keys and (known.get(keys[name]) or digest_now(database, prefix + name)) != digest.hex():
                return Change()
        except OSError as error:
            unreadable = unreadable or OSError(error.errno, error.strerror, name)
    if gone is not None:
        return Change(gone=gone)
    if unreadable is not None:
        raise unreadable
    return None


def find_changed(database: sqlite3.Connection, files: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """Those of files, each an absolute path with its size and digest, that lie there with other content.

    One that cannot be read may be as it was: it is not among them.
    """
    found = {path: status for path in files if (status := _status(path)) is not None}
    known = digests.find(database, map(key_of, found.values()))
    for path, status in found.items():
        size, digest = files[path]
        with contextlib.suppress(OSError):
            if status.st_size != size or (known.get(key_of(status)) or digest_now(database, path)) != digest:
                yield path


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _described(workspace: Workspace, path: str, versions: list[tuple[int, str]]) -> tuple[str, ...]:
    shown = [f"recorded as {digest[:12]}" for _, digest in versions[:_CANDIDATES]]
    if len(versions) > _CANDIDATES:
        more = len(versions) - _CANDIDATES
        place = quoted_path(os.path.relpath(workspace.absolute(path)))
        shown.append(f"… and {more:,} earlier {'version' if more == 1 else 'versions'}:"
                     f" roar log --all -n 0 --path {place}")
    return tuple(shown)


def _show(versions: list[tuple[int, str]]) -> str | None:
    return f"roar show {versions[0][1][:12]}" if versions else None
