"""Buckets in the cloud, or of a server of one's own: Amazon's S3 and what speaks its protocol, Google's and Azure's.

The library is obstore. Digests stand in the objects' own metadata (`x-amz-meta-blake3`, `x-goog-meta-blake3`,
`x-ms-meta-blake3`): all three stores keep it, it comes and goes with the content in one step, costs no request of its
own, and puts no other objects between the user's.
"""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from roar.errors import TransferError, install_hint
from roar.observe.redaction import redact_text
from roar.transfer.locations import Location
from roar.transfer.stores import BLOCK, Found, Opened

try:
    import obstore
    from obstore import exceptions
    from obstore.store import AzureStore, GCSStore, S3Store
except ModuleNotFoundError as missing:
    raise TransferError("Buckets need a library that is not installed.",
                        hint=install_hint("storage")) from missing

DIGEST = "blake3"
"""The metadata's name. Azure allows no hyphen in one, and headers with underscores are dropped by some proxies."""
WHOLE = 8 * 1024 * 1024  # bytes up to which an object is sent in one piece
PARTS = 9_000  # of the 10,000 that S3 allows
TOGETHER = 4  # parts of one object under way at once

WHERE = {
    "s3": "aws configure, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS=FILE",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or az login and AZURE_USE_AZURE_CLI=true",
}
"""What to do where there are no credentials."""

_CLIENT: Any = {"timeout": timedelta(days=1), "read_timeout": timedelta(seconds=60),
                "connect_timeout": timedelta(seconds=10), "allow_http": True}
_RETRY: Any = {"max_retries": 6, "retry_timeout": timedelta(minutes=3),
               "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=4),
                           "base": 2}}
_HEX = re.compile(r"[0-9a-f]{64}")


def open_bucket(location: Location) -> "BucketStore":
    """The bucket of a location, with the credentials that the store's own tools would find.

    Raises:
        TransferError: there are no credentials.
    """
    more: dict[str, Any] = {"client_options": _CLIENT, "retry_config": _RETRY}
    try:
        if location.scheme == "s3":
            return BucketStore(location, S3Store(location.bucket, **_amazon(os.environ), **more))
        if location.scheme == "gs":
            return BucketStore(location, GCSStore(location.bucket, **more))
        return BucketStore(location, AzureStore(location.bucket, **more))
    except (exceptions.BaseError, ValueError, OSError) as error:
        raise _translated(error, location) from error


def _amazon(environ: "os._Environ[str]") -> dict[str, Any]:
    """What obstore does not find by itself: profiles, single sign-on, assumed roles, by way of Amazon's own library.

    Raises:
        TransferError: there are no credentials.
    """
    if environ.get("AWS_SKIP_SIGNATURE", "").lower() in {"1", "true"}:
        return {}
    files = (environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
             environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
    if "AWS_ACCESS_KEY_ID" in environ and not any(os.path.exists(os.path.expanduser(file)) for file in files):
        return {}
    import boto3  # noqa: PLC0415  a quarter of a second, only where the environment holds no key
    from botocore.configprovider import ConfiguredEndpointProvider  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    found: dict[str, Any] = {}
    try:
        session = boto3.Session()
        if session.get_credentials() is None:
            raise TransferError("No credentials for S3 were found.", hint=WHERE["s3"])
        found["credential_provider"] = Boto3CredentialProvider(session)
        found["credential_provider"]()  # an expired login is told now, and by the library that knows how
        full, scoped = session._session.full_config, session._session.get_scoped_config()  # noqa: SLF001  no other way
        endpoint = ConfiguredEndpointProvider(full, scoped, "s3").provide()
    except BotoCoreError as error:
        raise TransferError(f"The credentials for S3 cannot be had: {redact_text(str(error)).rstrip('.')}.",
                            hint="aws sso login, or aws configure") from error
    if endpoint:
        found["endpoint"] = endpoint
    return found


class BucketStore:
    """One bucket. A key is an object's name."""

    def __init__(self, location: Location, store: Any) -> None:
        self._location = location
        self._store = store

    def find(self, key: str) -> Found | None:
        """Ask for the object's head."""
        try:
            return _found(obstore.get(self._store, key, options={"head": True}), key)
        except FileNotFoundError:
            return None
        except exceptions.PermissionDeniedError:
            return self.open(key).found  # an answer about the head alone cannot say what is wrong; this one does
        except (exceptions.BaseError, ValueError) as error:
            raise _translated(error, self._location.at(key)) from error

    def iter_below(self, folder: str) -> Iterator[Found]:
        """List the objects. The one that stands for the folder itself in some tools (`folder/`, empty) is none."""
        try:
            for batch in obstore.list(self._store, folder.rstrip("/") or None):
                for meta in batch:
                    if meta["path"] != folder.rstrip("/"):
                        yield Found(key=meta["path"], size=meta["size"], version=_version(meta))
        except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
            raise _translated(error, self._location.at(folder)) from error

    def open(self, key: str, *, offset: int = 0, version: str | None = None) -> Opened:
        """Ask for the object, or for the rest of it."""
        options: Any = {"if_match": version} if version else {}
        if offset:
            options["range"] = {"offset": offset}
        try:
            answer = obstore.get(self._store, key, options=options)
            return Opened(_found(answer, key), self._blocks(answer, key))
        except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
            raise _translated(error, self._location.at(key)) from error

    def _blocks(self, answer: "obstore.GetResult", key: str) -> Iterator[bytes]:
        try:
            for block in answer.stream(min_chunk_size=BLOCK):
                yield bytes(block)
        except (exceptions.BaseError, OSError) as error:
            raise _translated(error, self._location.at(key), passing=True) from error

    def send(self, key: str, blocks: Iterable[bytes], *, size: int, digest: str) -> None:
        """A small object in one piece, a large one in parts that become an object only when all are there."""
        try:
            if size <= WHOLE:
                obstore.put(self._store, key, b"".join(blocks), attributes={DIGEST: digest}, use_multipart=False)
            else:
                obstore.put(self._store, key, iter(blocks), attributes={DIGEST: digest}, use_multipart=True,
                            chunk_size=max(WHOLE, -(-size // PARTS)), max_concurrency=TOGETHER)
        except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
            raise _translated(error, self._location.at(key)) from error


def _found(answer: "obstore.GetResult", key: str) -> Found:
    digest = str(answer.attributes.get(DIGEST, ""))
    return Found(key=key, size=answer.meta["size"], version=_version(answer.meta),
                 digest=digest if _HEX.fullmatch(digest) else None)


def _version(meta: Any) -> str | None:
    tag: str | None = meta["e_tag"]
    return tag


_SAYINGS: tuple[tuple[str, str, str | None], ...] = (  # what stores write, the sentence for it, what to do
    (r"NoSuchBucket|ContainerNotFound|specified bucket does not exist",
     "There is no bucket {bucket}.", "check its name, and the server and account that the credentials are for"),
    (r"InvalidBucketName|InvalidResourceName", "{bucket} is no name of a bucket.", None),
    (r"InvalidAccessKeyId", "{place} does not know the access key.", "check AWS_ACCESS_KEY_ID, or aws configure"),
    (r"SignatureDoesNotMatch|AuthenticationFailed", "{place} does not accept the secret key.",
     "check AWS_SECRET_ACCESS_KEY, or the key of the account"),
    (r"ExpiredToken|TokenRefreshRequired|RequestExpired|invalid_grant", "The credentials for {place} have expired.",
     "log in again: aws sso login, gcloud auth application-default login, az login"),
    (r"AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint|Redirect",
     "The bucket {bucket} lies in another region.", "AWS_REGION=REGION"),
    ((r"169\.254\.169\.254|169\.254\.170\.2|metadata\.google|[Mm]etadata server|Account must be specified|"
      r"Missing.*(?:credential|account)|application_default_credentials"),
     "No credentials for {place} were found.", "{where}"),
)
_KINDS: tuple[tuple[type[Exception], str, str | None], ...] = (  # the same by the library's own classes
    (FileNotFoundError, "There is no object {url}.", None),
    (exceptions.PreconditionError, "{url} has changed while it was fetched.", "once more"),
    (exceptions.InvalidPathError,
     "{url} holds an object whose name roar cannot take: it has control characters, or an empty part.", None),
)
_DENIED = re.compile(r"status code: 40[13]")  # a list that is refused has no class of its own
_BUSY = re.compile(r"status code: (5\d\d|429)")


def _translated(error: Exception, location: Location, *, passing: bool = False) -> TransferError:
    """What a store, or the library, says about an object, as a sentence without secrets (Azure's URLs hold one).

    Args:
        error: the library's.
        location: of the object.
        passing: whether to try again is of use: the library has done so itself, but for a body that broke off.
    """
    text = str(error).partition("\n\nDebug source")[0]
    for pattern, sentence, hint in _SAYINGS:
        if re.search(pattern, text):
            return TransferError(sentence.format(bucket=location.bucket, place=_place(location)),
                                 hint=hint and hint.format(where=WHERE[location.scheme]))
    if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)) or _DENIED.search(text):
        return TransferError(f"Permission denied for {location.url}.", denied=True,
                             hint="the credentials must allow to list the bucket, and to read or write its objects")
    for kind, sentence, hint in _KINDS:
        if isinstance(error, kind):
            return TransferError(sentence.format(url=location.url), hint=hint)
    if busy := _BUSY.search(text):
        return TransferError(f"{location.url}: the store is out of order, it answers {busy[1]}.", passing=passing)
    if "HTTP error" in text or "error sending request" in text:
        return TransferError(f"{_place(location)} cannot be reached, or broke off.", passing=passing,
                             hint="check the network; AWS_ENDPOINT_URL names a server of one's own")
    said = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    return TransferError(f"{location.url}: {redact_text(said[1] if said else text.splitlines()[0]).strip(' .')}.")


def _place(location: Location) -> str:
    """What the bucket lies in, for a person."""
    name = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure"}[location.scheme]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return redact_text(endpoint) if endpoint and location.scheme == "s3" else name
