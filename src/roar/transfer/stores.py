"""The kinds of stores: a folder of this machine, a bucket, a web server."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from roar.errors import TransferError
from roar.transfer.locations import BUCKETS, WEB, Location
from roar.transfer.part import Part, is_part

BLOCK = 4 * 1024 * 1024
"""Bytes that are moved at once."""
PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Before the next attempt at what may pass; what the libraries try again by themselves is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object as its store tells of it.

    Attributes:
        key: its name in the store.
        size: bytes; None where a web server does not say.
        digest: BLAKE3 of its content where the store has it, 64 hex. Never an ETag, which is no digest of the content
            where that was sent in parts or is encrypted (docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
        version: what tells one content of this name from another, as long as it is there; None where nothing does.
    """

    key: str
    size: int | None
    digest: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """An object whose content comes block by block, from where it was asked for."""

    found: Found
    blocks: Iterator[bytes]


class Store(Protocol):
    """What all stores do. Every method raises TransferError with the object's URL in its sentence."""

    def find(self, key: str) -> Found | None:
        """The object `key`, None where there is none."""

    def iter_below(self, folder: str) -> Iterator[Found]:
        """The objects of a folder (`""` or with `/` at its end) and of all below it; digests are not told."""

    def open(self, key: str, *, offset: int = 0, version: str | None = None) -> Opened:
        """The content of an object from byte `offset` on; an error where it has another `version` meanwhile."""

    def send(self, key: str, blocks: Iterable[bytes], *, size: int, digest: str) -> None:
        """Make an object of blocks that are `size` bytes in all; where they raise, nothing changes at `key`."""


def open_store(location: Location) -> Store:
    """The store that a location lies in.

    Raises:
        TransferError: what is needed to speak to it is missing: the library, or credentials.
    """
    if location.scheme == "file":
        return FolderStore()
    if location.scheme in WEB:
        from roar.transfer.web import WebStore  # noqa: PLC0415  urllib takes 56 ms to load

        return WebStore(location)
    assert location.scheme in BUCKETS.values()
    from roar.transfer.buckets import open_bucket  # noqa: PLC0415  the library is an extra

    return open_bucket(location)


class FolderStore:
    """The file system. A key is an absolute path without its first `/`."""

    def find(self, key: str) -> Found | None:
        """The regular file at this path."""
        try:
            status = os.stat(f"/{key}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed(key, error) from error
        return _found(key, status) if stat.S_ISREG(status.st_mode) else None

    def iter_below(self, folder: str) -> Iterator[Found]:
        """All regular files below."""
        def stop(error: OSError) -> None:
            raise _failed(folder, error) from error

        if not os.path.isdir(f"/{folder}"):
            return
        for path, _, names in os.walk(f"/{folder}", onerror=stop):
            for name in names:
                key = os.path.join(path, name)[1:]
                if not is_part(name) and (found := self.find(key)) is not None:
                    yield found

    def open(self, key: str, *, offset: int = 0, version: str | None = None) -> Opened:
        """The bytes of a file."""
        found = self.find(key)
        if found is None:
            raise TransferError(f"There is no file {_url(key)}.")
        if version not in {None, found.version}:
            raise TransferError(f"{_url(key)} has changed while it was read.", hint="once more")
        return Opened(found, _read(key, offset))

    def send(self, key: str, blocks: Iterable[bytes], *, size: int, digest: str) -> None:
        """Write beside the target, and put it into place when it is whole and on the disk."""
        del size
        try:
            with Part(f"/{key}", digest) as part:
                part.restart()
                for block in blocks:
                    part.write(block)
                part.finish()
        except OSError as error:
            raise _failed(key, error) from error


def _found(key: str, status: os.stat_result) -> Found:
    return Found(key=key, size=status.st_size,
                 version=f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}")


def _read(key: str, offset: int) -> Iterator[bytes]:
    try:
        with open(f"/{key}", "rb", buffering=0) as file:
            file.seek(offset)
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise _failed(key, error) from error


def _url(key: str) -> str:
    return Location(scheme="file", bucket="", key=key).url


def _failed(key: str, error: OSError) -> TransferError:
    return TransferError(f"{_url(key)}: {(error.strerror or str(error)).lower()}.",
                         denied=isinstance(error, PermissionError))
