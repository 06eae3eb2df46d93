"""`roar get`: from objects to files."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blake3 import blake3

from roar.analyze.digest import digest_files, find_regular
from roar.errors import NotFoundError, TransferError, UsageError
from roar.transfer.locations import Location, file_name
from roar.transfer.moving import Moved, Progress, State, for_each
from roar.transfer.part import Part, tidy
from roar.transfer.stores import PAUSES_S, Found, Store
from roar.transfer.upload import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """One object and the file it is to become: `source` is its location, `path` absolute."""

    found: Found
    source: Location
    path: str


def list_objects(store: Store, location: Location, path: str | None) -> list[Fetching]:
    """What is to be fetched where.

    An object becomes the file `path`, or goes into it under its own name where that is a folder, is written as one, or
    is not given (the current one). What lies in a folder of objects comes into the folder `path`; where that ends with
    `/` or `.`, or is not given, into a folder of its own name there. So the same command twice does the same twice.

    Raises:
        NotFoundError: there is neither such an object nor such a folder.
        TransferError: the names of the objects cannot be those of files.
    """
    into = path is None or path.endswith("/") or os.path.basename(path) in {".", ".."}
    base = os.path.realpath(path or ".")
    if not location.is_folder or location.address:
        found = store.find(location.key)
        if found is not None:
            inside = into or os.path.isdir(base)
            name = location.name
            if inside and (name in {".", ".."} or "\0" in name or not location.key.strip("/")):
                raise UsageError(f"{location.url} does not say how the file is called.", hint="roar get URL PATH")
            return [Fetching(found=found, source=location, path=os.path.join(base, name) if inside else base)]
    start = f"{location.key.rstrip('/')}/" if location.key.rstrip("/") else ""
    objects = list(store.iter_below(start))
    if not objects:
        raise NotFoundError(f"There is nothing at {location.url}.")
    folder = os.path.join(base, location.name) if into else base
    folders = {name for found in objects for name in _folders(found.key)}
    return _with_names([Fetching(found=found, source=location.at(found.key),
                                 path=os.path.join(folder, _local_name(found.key[len(start):], location)))
                        for found in objects if found.size or found.key not in folders])


def _folders(key: str) -> list[str]:
    """The folders that a key names; some tools make an empty object for each."""
    parts = key.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _local_name(name: str, location: Location) -> str:
    """The path below the folder; nothing in it can lead out of it."""
    local = name if location.scheme == "file" else "/".join(map(file_name, name.split("/")))
    if "\0" in local or any(part in {"", ".", ".."} for part in local.split("/")):
        raise TransferError(f"The object {name!r} of {location.url} cannot be a file: its name has an empty part, '.'"
                            " or '..'.")
    return local


def _with_names(items: list[Fetching]) -> list[Fetching]:
    taken: dict[str, str] = {}
    for item in items:
        other = taken.setdefault(item.path, item.source.url)
        if other != item.source.url:
            raise TransferError(f"{other} and {item.source.url} would both become {item.path}.")
    return items


def fetch(store: Store, items: Sequence[Fetching], *, force: bool, wanted: str | None, progress: Progress,
          done: Callable[[Moved], None]) -> None:
    """Fetch what is not there yet.

    Args:
        store: of the objects.
        items: what and where to.
        force: replace files that have other content.
        wanted: the digest that the one object must have, if it is known.
        progress: told of every byte.
        done: told of every file that is there now.

    Raises:
        TransferError: nothing is fetched where a file with other content is in the way, or could not be told from it;
            else the first failure. A file whose content is not what it should be is not put into place.
    """
    present = [item for item in items if os.path.lexists(item.path)]
    answers = dict(zip((item.path for item in present),
                       for_each(present, lambda item: _compare(store, item, wanted, progress), progress), strict=True))
    blocked = [item for item in present if answers[item.path] is None]
    if blocked and not force:
        more = f", and {len(blocked) - 1:,} more of these" if len(blocked) > 1 else ""
        raise TransferError(f"{blocked[0].path} is there already with other content{more}; nothing was fetched.",
                            hint="the same with --force replaces it")
    for item in present:
        if (digest := answers[item.path]) is not None:
            done(_moved(item, digest, os.path.getsize(item.path), State.THERE))
    rest = [item for item in items if answers.get(item.path) is None]
    progress.total = sum(item.found.size or 0 for item in rest)
    fetched: list[str] = []

    def note(moved: Moved) -> None:
        fetched.append(moved.path)
        done(moved)

    try:
        for_each(rest, lambda item: _fetch(store, item, wanted, progress), progress, note)
    finally:
        tidy(fetched)


def _moved(item: Fetching, digest: str, size: int, state: State) -> Moved:
    return Moved(path=item.path, location=item.source, digest=digest, size=size, state=state)


def _compare(store: Store, item: Fetching, wanted: str | None, progress: Progress) -> str | None:
    """The digest of the file that stands at the target if it has the object's content, else None."""
    signature = find_regular(item.path)
    if signature is None:
        if os.path.isdir(item.path):
            raise TransferError(f"{item.path} is a folder, {item.source.url} an object.", hint="roar get URL PATH")
        if os.path.islink(item.path) and not os.path.exists(item.path):
            return None
        raise TransferError(f"{item.path} is no regular file.")
    if item.found.size not in {None, signature.size}:
        return None
    mine = digest_files({item.path: signature}, {})[item.path].digest
    found = item.found if item.found.digest else store.find(item.found.key) or item.found
    theirs = found.digest or digest_of(store, found, progress)
    if wanted is not None and theirs != wanted:
        raise _other_content(item, theirs, wanted, "it should be")
    return mine if mine == theirs else None


def _fetch(store: Store, item: Fetching, wanted: str | None, progress: Progress) -> Moved:
    try:
        with Part(item.path, f"{item.source.url}\0{item.found.version}") as part:
            digest, expected = _receive(store, item, part, progress)
            for other, what in ((wanted, "it should be"), (expected, "its store says it is")):
                if other is not None and digest != other:
                    part.discard()
                    raise _other_content(item, digest, other, what)
            size = part.size
            part.finish()
    except OSError as error:
        raise TransferError(f"{item.path}: {(error.strerror or str(error)).lower()}.") from error
    return _moved(item, digest, size, State.MOVED)


def _other_content(item: Fetching, digest: str, other: str, what: str) -> TransferError:
    return TransferError(f"{item.source.url} is not what {what}: its content is {digest[:12]}…, not {other[:12]}…;"
                         f" {item.path} is left as it was.", hint="who put another object there, and is it complete?")


def _receive(store: Store, item: Fetching, part: Part, progress: Progress) -> tuple[str, str | None]:
    """Write the content; its digest, and the one that the store tells.

    What an earlier attempt left is taken up where the store can tell that the object is still the same.
    """
    version = item.found.version
    hasher = blake3()
    if version is not None and 0 < part.size <= (item.found.size or 0):
        part.take_up(hasher)
        progress.add(part.size)
        if part.size == item.found.size:
            found = store.find(item.found.key)
            return hasher.hexdigest(), found.digest if found is not None else None
    else:
        part.restart()
    for pause_s in (*PAUSES_S, None):
        try:
            opened = store.open(item.found.key, offset=part.size, version=version)
            for block in opened.blocks:
                part.write(block)
                hasher.update(block)
                progress.add(len(block))
            if opened.found.size in {None, part.size}:
                return hasher.hexdigest(), opened.found.digest
            error = TransferError(f"{item.source.url} broke off after {part.size:,} bytes.", passing=True)
        except TransferError as raised:
            error = raised
        if pause_s is None or not error.passing:
            raise error
        progress.pause(pause_s)
        if version is None:
            progress.add(-part.size)
            part.restart()
            hasher = blake3()
    raise AssertionError("the last attempt returns or raises")
