"""Web servers: an object is got by its address, which may be a signed one. Nothing is listed there, nor sent."""

import base64
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from roar import __version__
from roar.errors import TransferError, UsageError
from roar.transfer.locations import Location
from roar.transfer.stores import BLOCK, PAUSES_S, Found, Opened

TIMEOUT_S = 60
_DIGESTS = ("x-amz-meta-blake3", "x-goog-meta-blake3", "x-ms-meta-blake3")
_NOT_FOUND = frozenset({404, 410})
_DENIED = frozenset({401, 403, 407})
_BUSY = frozenset({429, 500, 502, 503, 504})
_PARTIAL = 206


class WebStore:
    """The one object of a web address."""

    def __init__(self, location: Location) -> None:
        self._location = location

    def find(self, key: str) -> Found | None:
        """Begin to get it: an address that is signed for getting answers nothing else."""
        try:
            with self._ask({}) as answer:
                return _found(answer, key)
        except FileNotFoundError:
            return None

    def iter_below(self, folder: str) -> Iterator[Found]:
        """Nothing: no web server tells."""
        del folder
        return iter(())

    def open(self, key: str, *, offset: int = 0, version: str | None = None) -> Opened:
        """Get it, from `offset` on if the server can. RFC 9110, sections 13.1.5 and 14.2."""
        headers = {"Range": f"bytes={offset}-", "If-Range": version or ""} if offset else {}
        try:
            answer = self._ask(headers)
        except FileNotFoundError:
            raise TransferError(f"There is nothing at {self._location.url}.") from None
        if offset and answer.status != _PARTIAL:
            answer.close()
            raise TransferError(f"{self._location.url} has changed while it was fetched.", hint="once more")
        return Opened(_found(answer, key), self._blocks(answer))

    def send(self, key: str, blocks: Iterable[bytes], *, size: int, digest: str) -> None:
        """Refuse."""
        del key, blocks, size, digest
        raise UsageError("roar does not put files on web servers.", hint="s3://, gs://, az:// or file://")

    def _ask(self, headers: dict[str, str]) -> Any:
        address, credentials = _without_user(self._location.address)
        request = urllib.request.Request(address, headers={  # noqa: S310  http and https alone come here
            "User-Agent": f"roar/{__version__}", "Accept-Encoding": "identity", **headers})
        if credentials:
            request.add_unredirected_header("Authorization", f"Basic {credentials}")  # for this server alone
        for pause_s in (*PAUSES_S, None):
            try:
                return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
            except urllib.error.HTTPError as error:
                with error:
                    if error.code in _NOT_FOUND:
                        raise FileNotFoundError from None
                    if pause_s is None or error.code not in _BUSY:
                        hint = "a signed address may have expired" if error.code in _DENIED else None
                        raise TransferError(f"{self._location.url} answers {error.code}: {error.reason}.", hint=hint,
                                            denied=error.code in _DENIED) from None
                time.sleep(pause_s)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._broken(error) from None  # its text may hold the address
        raise AssertionError("the last attempt returns or raises")

    def _blocks(self, answer: IO[bytes]) -> Iterator[bytes]:
        try:
            with answer:
                while block := answer.read(BLOCK):
                    yield block
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> TransferError:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
        return TransferError(f"{self._location.url} cannot be reached, or broke off: {text}.", passing=True)


def _without_user(address: str) -> tuple[str, str]:
    """An address without user and password, and these as HTTP's Basic scheme sends them (RFC 7617); "" without any."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    pair = f"{unquote(name)}:{unquote(password)}".encode()
    return urlunsplit(parts._replace(netloc=host)), base64.b64encode(pair).decode() if at else ""


def _found(answer: Any, key: str) -> Found:
    """What the headers say. A weak ETag may stand for other bytes as well (RFC 9110, section 8.8.1)."""
    tag, span, length = (answer.headers.get(name) for name in ("ETag", "Content-Range", "Content-Length"))
    total = (span or length or "").rpartition("/")[2]
    digest = next((value for name in _DIGESTS if (value := answer.headers.get(name))), None)
    return Found(key=key, size=int(total) if total.isdecimal() else None, digest=digest,
                 version=None if tag is None or tag.startswith("W/") else tag)
