"""`roar put`: from files to objects."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from blake3 import blake3

from roar.analyze.digest import Digested, digest_files
from roar.errors import NotFoundError, TransferError, UsageError
from roar.observe.trace import Signature, signature_of
from roar.transfer.locations import WEB, Location
from roar.transfer.moving import Moved, Progress, State, for_each
from roar.transfer.part import is_part
from roar.transfer.stores import BLOCK, Found, Store
from roar.workspace import FOLDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One file and the object it is to become.

    Attributes:
        path: absolute.
        signature: what stat(2) said when it was listed.
        target: the object.
        digest: of its content; empty until it is known.
    """

    path: str
    signature: Signature
    target: Location
    digest: str = ""


def list_files(paths: Sequence[str], location: Location,
               members: Mapping[str, frozenset[str]]) -> list[list[Sending]]:
    """What is to be sent where: a list for the single files among `paths`, and one for each folder.

    A file or folder becomes `location` itself; where that is a folder (with `/` at its end, or a bucket), or there are
    several paths, it goes into it under its own name. An existing folder of this machine counts as one for a file.

    Args:
        paths: files and folders.
        location: where to.
        members: by folder, the files below it that are meant; all of them where it is not named.

    Raises:
        NotFoundError: there is nothing at a path.
        UsageError: two files would become one object, or a name cannot be that of an object.
    """
    if location.scheme in WEB:
        raise UsageError("roar does not put files on web servers.", hint="s3://, gs://, az:// or file://")
    into = location.is_folder or len(paths) > 1
    single: list[Sending] = []
    groups = [single]
    for path in paths:
        absolute = os.path.realpath(path)
        if os.path.isdir(absolute):
            group = _list_folder(path, absolute, location.below(_name(absolute)) if into else location)
            wanted = {os.path.join(absolute, name) for name in members.get(path, ())}
            groups.append([item for item in group if not wanted or item.path in wanted])
        else:
            inside = into or (location.scheme == "file" and os.path.isdir(f"/{location.key}"))
            single.append(_sending(path, location.below(_name(os.path.abspath(path))) if inside else location))
    _check(groups)
    return [group for group in groups if group]


def _name(path: str) -> str:
    return os.path.basename(path) or "root"


def _list_folder(shown: str, folder: str, target: Location) -> list[Sending]:
    """All files below; symlinks are followed, roar's own folder is left out."""
    found: list[Sending] = []
    seen: set[tuple[int, int]] = set()
    for path, folders, names in os.walk(folder, followlinks=True, onerror=_unreadable):
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:  # a symlink that leads back up
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if name != FOLDER)
        for name in sorted(names):
            file = os.path.join(path, name)
            if not is_part(name) and (os.path.isfile(file) or os.path.islink(file)):
                found.append(_sending(file, target.below(file[len(folder.rstrip("/")) + 1:])))
    if not found:
        raise NotFoundError(f"{shown} holds no files.")
    return found


def _unreadable(error: OSError) -> None:
    raise TransferError(f"{error.filename} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def _sending(path: str, target: Location) -> Sending:
    try:
        status = os.stat(path)
    except OSError as error:
        raise NotFoundError(f"There is no file or folder {path}: {(error.strerror or str(error)).lower()}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise TransferError(f"{path} is neither a file nor a folder.")
    return Sending(path=os.path.abspath(path), signature=signature_of(status), target=target)


def _check(groups: Iterable[Iterable[Sending]]) -> None:
    taken: dict[str, str] = {}
    for item in (item for group in groups for item in group):
        if item.target.scheme != "file":
            try:
                item.target.key.encode()
            except UnicodeEncodeError:
                raise UsageError(f"{item.path} cannot be sent: its name is not UTF-8, as the names of objects are.",
                                 hint="mv it to another name") from None
        other = taken.setdefault(item.target.key, item.path)
        if other != item.path:
            raise UsageError(f"{other} and {item.path} would both become {item.target.url}.",
                             hint="one `roar put` for each")


def with_digests(groups: Sequence[Sequence[Sending]], known: Mapping[tuple[int, int, int, int, int], str],
                 progress: Callable[[int, int], None] | None) -> tuple[list[list[Sending]], list[Digested]]:
    """The same with the digests of the files, and what was digested anew.

    Raises:
        TransferError: a file cannot be read, or is being written.
    """
    wanted = {item.path: item.signature for group in groups for item in group}
    digested = digest_files(wanted, known, progress=progress)
    for path, result in digested.items():
        if result.digest is None:
            raise TransferError(f"{path} {result.note}.")
    return ([[replace(item, digest=digested[item.path].digest or "") for item in group] for group in groups],
            list(digested.values()))


def send(store: Store, items: Sequence[Sending], *, force: bool, progress: Progress,
         done: Callable[[Moved], None]) -> None:
    """Send what is not there yet.

    Args:
        store: of the targets.
        items: with digests.
        force: replace objects that have other content, and send where one may not look.
        progress: told of every byte.
        done: told of every file that is there now.

    Raises:
        TransferError: nothing is sent where an object with other content is in the way; else the first failure.
    """
    there = _find_present(store, items, force=force, progress=progress)
    blocked = [item for item in items if there.get(item.path) is False]
    if blocked and not force:
        more = f", and {len(blocked) - 1:,} more of these" if len(blocked) > 1 else ""
        raise TransferError(f"{blocked[0].target.url} is there already with other content{more}; nothing was sent.",
                            hint="the same with --force replaces it")
    for item in items:
        if there.get(item.path):
            done(_moved(item, State.THERE))
    rest = [item for item in items if not there.get(item.path)]
    progress.total = sum(item.signature.size for item in rest)
    for_each(rest, lambda item: _send(store, item, progress), progress, done)


def _moved(item: Sending, state: State) -> Moved:
    return Moved(path=item.path, location=item.target, digest=item.digest, size=item.signature.size, state=state)


def _find_present(store: Store, items: Sequence[Sending], *, force: bool, progress: Progress) -> dict[str, bool]:
    """By path, whether the target has the same content; targets that are not there are absent."""
    try:
        found = _list(store, items) if len(items) > 1 else None
        suspects = [item for item in items if found is None or item.target.key in found]
        answers = for_each(suspects, lambda item: _is_same(store, item, progress), progress)
    except TransferError as error:
        if force and error.denied:
            return {}  # whoever may write but not look
        if error.denied:
            error.hint = "the credentials must allow to look, too; --force sends without"
        raise
    return {item.path: same for item, same in zip(suspects, answers, strict=True) if same is not None}


def _list(store: Store, items: Sequence[Sending]) -> set[str]:
    """The objects in the folder that all targets have in common: one question instead of one for each."""
    keys = [item.target.key for item in items]
    folder = os.path.commonpath([os.path.dirname(key) for key in keys])
    return {found.key for found in store.iter_below(f"{folder}/" if folder else "")}


def _is_same(store: Store, item: Sending, progress: Progress) -> bool | None:
    """Whether the target has the file's content; None where it is not there. One without a digest is read."""
    found = store.find(item.target.key)
    if found is None:
        return None
    if found.size != item.signature.size:
        return False
    return (found.digest or digest_of(store, found, progress)) == item.digest


def digest_of(store: Store, found: Found, progress: Progress) -> str:
    """The digest of an object's content, by reading it."""
    hasher = blake3()
    for block in store.open(found.key, version=found.version).blocks:
        hasher.update(block)
        progress.add(0)
    return hasher.hexdigest()


def _send(store: Store, item: Sending, progress: Progress) -> Moved:
    def blocks() -> Iterator[bytes]:
        for block in _checked(item):
            yield block
            progress.add(len(block))

    store.send(item.target.key, blocks(), size=item.signature.size, digest=item.digest)
    return _moved(item, State.MOVED)


def _checked(item: Sending) -> Iterator[bytes]:
    """The bytes of a file; an error at the end, before the object stands, if they are not those that were digested."""
    hasher = blake3()
    try:
        with open(item.path, "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                hasher.update(block)
                yield block
    except OSError as error:
        raise TransferError(f"{item.path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    if hasher.hexdigest() != item.digest:
        raise TransferError(f"{item.path} was changed while it was sent; the object was not made.", hint="once more")
