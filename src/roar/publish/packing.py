"""Files as they were recorded, packed into a folder or a ZIP archive beside the document that describes them."""

import contextlib
import os
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple
from urllib.parse import quote

from roar.errors import WorkspaceError
from roar.model import Kind
from roar.query.files_now import digest_now
from roar.wire import Registration, find_secret
from roar.workspace import Workspace

DOCUMENT = "ro-crate-metadata.json"  # https://www.researchobject.org/ro-crate/specification/1.2/structure
OUTSIDE = "outside"
_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a ZIP archive can name: the same files make the same archive


class Recorded(NamedTuple):
    """A file as a job read or wrote it. `path` is as in FileUse, `size` None where it is not known."""

    path: str
    digest: str
    size: int | None


class Packable(NamedTuple):
    """A file that is still as it was recorded: where it lies, and where it goes in the package."""

    source: str
    inside: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What goes into a package.

    Attributes:
        files: sorted by their place in it.
        names: by digest of a file or a dataset, the URI path of its place; a dataset's ends with `/`.
        left_out: recorded paths, and why what was recorded there cannot be packed.
    """

    files: tuple[Packable, ...]
    names: dict[str, str]
    left_out: tuple[tuple[str, str], ...]


def plan_packing(database: sqlite3.Connection, workspace: Workspace, registration: Registration) -> Packing:
    """Look which of the files of these jobs lie where they were recorded, with the same content."""
    found: dict[str, Packable] = {}
    names: dict[str, str] = {}
    taken: dict[str, str] = {}
    why: dict[str, tuple[str, str]] = {}
    for recorded in _iter_recorded(registration):
        if recorded.path in found and found[recorded.path].digest == recorded.digest:
            continue
        reason = _reason_against(database, workspace, recorded)
        inside = _place(recorded.path)
        if reason is None and taken.setdefault(inside, recorded.path) != recorded.path:
            reason = "another file has its place"
        if reason is None:
            found[recorded.path] = Packable(workspace.absolute(recorded.path), inside, recorded.digest)
            names.setdefault(recorded.digest, quote(inside))
        else:
            why.setdefault(recorded.digest, (recorded.path, reason))
    for digest, folder, members in _iter_folders(registration):
        if all(folder + path in found and found[folder + path].digest == member for path, member in members):
            names.setdefault(digest, quote(_place(folder)))
    left_out = sorted({place for digest, place in why.items() if digest not in names})
    return Packing(files=tuple(sorted(found.values(), key=lambda file: file.inside)), names=names,
                   left_out=tuple(left_out))


def _iter_recorded(registration: Registration) -> Iterator[Recorded]:
    members = {dataset.digest: dataset.members for dataset in registration.datasets}
    for job in registration.jobs:
        for use in (*job.inputs, *job.outputs):
            if use.digest is None:
                continue
            if use.kind is Kind.FILE:
                yield Recorded(use.path, use.digest, use.size)
            else:
                folder = use.path[:use.path.rfind("/") + 1]  # also of shards, `in/part-*-of-8`
                for member in members.get(use.digest, ()):
                    yield Recorded(folder + member.path, member.digest, member.size)


def _iter_folders(registration: Registration) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Digest, path and members of the datasets that are whole folders."""
    members = {dataset.digest: [(member.path, member.digest) for member in dataset.members]
               for dataset in registration.datasets}
    for job in registration.jobs:
        for use in (*job.inputs, *job.outputs):
            if use.digest in members and use.path.endswith("/"):
                yield use.digest, use.path, members[use.digest]


def _reason_against(database: sqlite3.Connection, workspace: Workspace, recorded: Recorded) -> str | None:
    """Why a file cannot be packed, or None."""
    try:
        recorded.path.encode()
    except UnicodeEncodeError:
        return "its name is no text"
    absolute = workspace.absolute(recorded.path)
    try:
        if recorded.size is not None and os.stat(absolute).st_size != recorded.size:
            return "it has changed"
        if digest_now(database, absolute) != recorded.digest:
            return "it has changed"
        return "it seems to hold a secret" if _holds_secret(absolute) else None
    except FileNotFoundError:
        return "it is gone"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


_LONGEST = 1 << 20
"""Up to so many bytes a text is looked through for secrets: settings are shorter."""


def _holds_secret(path: str) -> bool:
    """Whether a short text holds what the rules of redaction take for a secret.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read(_LONGEST + 1)
    return len(content) <= _LONGEST and b"\0" not in content and find_secret(
        content.decode("utf-8", "surrogateescape")) is not None


def _place(path: str) -> str:
    """Where a file goes: its path in the workspace, or below `outside/`; never the document's place, nor elsewhere."""
    parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
    if path.startswith("/") or ".." in path.split("/") or parts == [DOCUMENT]:
        parts.insert(0, OUTSIDE)
    return "/".join(parts) + ("/" if path.endswith("/") else "")


# ------------------------------------------------------------------------------------------------- writing


def write_package(path: str, document: bytes, packing: Packing) -> None:
    """Make the folder `path`, or the archive if it ends with `.zip`.

    Raises:
        WorkspaceError: something lies there already, it cannot be written, or a file changed meanwhile.
    """
    try:
        if path.endswith(".zip"):
            _write_archive(path, document, packing)
        else:
            _write_folder(path, document, packing)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}.") from error


def _write_folder(path: str, document: bytes, packing: Packing) -> None:
    if os.path.lexists(path) and not (os.path.isdir(path) and not os.listdir(path)):
        raise WorkspaceError(f"{path} is there already, and a package needs a folder of its own.")

    def open_inside(inside: str) -> IO[bytes]:
        target = os.path.join(path, inside)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return open(target, "xb")

    _write(open_inside, document, packing)


def _write_archive(path: str, document: bytes, packing: Packing) -> None:
    """Written beside its place and moved there when it is whole."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    unfinished = f"{path}.{os.getpid()}.part"
    try:
        with zipfile.ZipFile(unfinished, "x", zipfile.ZIP_DEFLATED) as archive:

            def open_inside(inside: str) -> IO[bytes]:
                entry = zipfile.ZipInfo(inside, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                return archive.open(entry, "w", force_zip64=True)

            _write(open_inside, document, packing)
        os.replace(unfinished, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)


def _write(open_inside: Callable[[str], IO[bytes]], document: bytes, packing: Packing) -> None:
    with open_inside(DOCUMENT) as target:
        target.write(document)
    for file in packing.files:
        with open(file.source, "rb") as source, open_inside(file.inside) as target:
            if _copy(source, target) != file.digest:
                raise WorkspaceError(f"{file.source} changed while it was packed.")


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    from blake3 import blake3  # noqa: PLC0415  only where something is packed

    digest = blake3()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()
