"""Where objects lie: the URLs that `roar get` and `roar put` take, and the names of files as names of objects."""

import os
import re
from dataclasses import dataclass, field
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit, urlunsplit

from roar.errors import UsageError
from roar.observe.redaction import redact_text, redact_url

BUCKETS = {"s3": "s3", "gs": "gs", "gcs": "gs", "az": "az"}
"""Schemes of object stores, by how they may be written."""
WEB = frozenset({"http", "https"})
KNOWN = "s3://, gs://, az://, file://, or https:// to get"

_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
_CONTROL = "0[1-9A-F]|1[0-9A-F]|7F"
_CONTROLS = re.compile(r"[\x01-\x1f\x7f]")
_TO_ESCAPE = re.compile(rf"{_CONTROLS.pattern}|%(?=(?:25)*(?:{_CONTROL}))")
_ESCAPED = re.compile(rf"%((?:25)*)({_CONTROL})")
_SIGNATURE = re.compile(r"^(?:X-(?:Amz|Goog|Ms)-.*|AWSAccessKeyId|GoogleAccessId|Signature|Expires|Policy|Key-Pair-Id"
                        r"|s[vtepirsk]|sig|sk\w+|spr|ss|srt)$", re.IGNORECASE)
_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9_\-+/=.~%]{12,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """An object, or a folder of objects.

    Attributes:
        scheme: `s3`, `gs`, `az`, `file`, `http` or `https`.
        bucket: the bucket or container, the web server's host and port, nothing for `file`.
        key: the object's name within it; empty or with `/` at its end for a folder. For `file` the path after `/`.
        query: of a web address, the part that may be recorded.
        address: a web address as it is asked for, secrets and all; empty for the others. Never shown.
    """

    scheme: str
    bucket: str
    key: str
    query: str = ""
    address: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The URL as it is shown and recorded: without anything secret."""
        if self.scheme == "file":
            return f"file:///{quote_from_bytes(os.fsencode(self.key), safe='/!$&()*+,;=:@~')}"
        if self.scheme in WEB:
            return urlunsplit((self.scheme, self.bucket, self.key, self.query, ""))
        return f"{self.scheme}://{self.bucket}/{self.key}" if self.key else f"{self.scheme}://{self.bucket}"

    @property
    def is_folder(self) -> bool:
        """Whether it was written as a folder: a bucket, or with `/` at its end."""
        return not self.key or self.key.endswith("/")

    @property
    def name(self) -> str:
        """The last component, as a file is called: that of the bucket for a bucket as a whole."""
        key = unquote_to_bytes(self.key).decode("utf-8", "surrogateescape") if self.scheme in WEB else self.key
        return file_name(key.rstrip("/").rpartition("/")[2]) or self.bucket.partition(":")[0]

    @property
    def plain(self) -> str:
        """The URL with every name as the file is called: what the members of a dataset are named by, on both sides."""
        if self.scheme in WEB:
            return self.url
        return f"{self.scheme}://{self.bucket}/{self.key if self.scheme == 'file' else file_name(self.key)}"

    def of_plain(self, plain: str) -> "Location":
        """The location in the same bucket whose `plain` this is."""
        name = plain.removeprefix(f"{self.scheme}://{self.bucket}/")
        return self.at(name if self.scheme == "file" else object_name(name))

    def below(self, name: str) -> "Location":
        """The object in this folder that stands for the file `name` (relative, with `/`)."""
        start = f"{self.key.rstrip('/')}/" if self.key else ""
        key = start + (name if self.scheme == "file" else object_name(name))
        return Location(scheme=self.scheme, bucket=self.bucket, key=key)

    def at(self, key: str) -> "Location":
        """The object `key` of the same bucket."""
        return Location(scheme=self.scheme, bucket=self.bucket, key=key, query=self.query, address=self.address)


def parse_location(text: str) -> Location:
    """The location that a URL names.

    An object's name is taken as it is typed, as `aws s3 cp` does; in `file` and web addresses `%20` is a space.

    Raises:
        UsageError: it is no URL that roar knows, or it holds a secret. The message does not repeat one.
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise UsageError(f"{redact_text(text)!r} is no URL.", hint=KNOWN)
    if scheme == "file":
        return _parse_file(rest)
    if scheme in WEB:
        return _parse_web(text)
    if scheme not in BUCKETS:
        raise UsageError(f"roar cannot move files to or from {scheme}:// addresses.", hint=KNOWN)
    if redact_url(text) != text or "@" in rest.partition("/")[0]:
        raise UsageError("The URL seems to hold a secret: credentials do not belong there.",
                         hint="the environment, or the settings of the store's own tools")
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"{text!r} names no bucket.", hint=f"{scheme}://BUCKET/NAME")
    _check_key(text, key)
    return Location(scheme=BUCKETS[scheme], bucket=bucket, key=_CONTROLS.sub(_escape_control, key))


def _parse_file(rest: str) -> Location:
    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        raise UsageError(f"'file://{rest}' is no absolute path on this machine.", hint="file:///absolute/path")
    key = os.fsdecode(unquote_to_bytes(path))
    if "\0" in key:
        raise UsageError(f"'file://{rest}' is no path.", hint="file:///absolute/path")
    normal = os.path.normpath(f"/{key}").lstrip("/")
    return Location(scheme="file", bucket="", key=f"{normal}/" if normal and key.endswith(("/", "/.")) else normal)


def _parse_web(text: str) -> Location:
    try:
        parts = urlsplit(text)
        host = parts.hostname
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise UsageError(f"This is no web address: {error}.", hint="https://HOST/NAME") from None
    if not host or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise UsageError("This is no web address.", hint="https://HOST/NAME")
    host = f"[{host}]" if ":" in host else host
    return Location(scheme=parts.scheme.lower(), bucket=host + port, key=parts.path, query=_harmless(parts.query),
                    address=urlunsplit(parts._replace(fragment="")))


def _harmless(query: str) -> str:
    """A query that may be recorded; none at all where any part of it may be a signature or a token."""
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if _SIGNATURE.match(name) or _RANDOM.fullmatch(value) or redact_url(f"?{part}") != f"?{part}":
            return ""
    return "" if redact_text(query) != query else query


def _check_key(text: str, key: str) -> None:
    parts = key.removesuffix("/").split("/") if key else []
    if any(part in {"", ".", ".."} for part in parts):
        raise UsageError(f"{text!r} holds an empty part, '.' or '..': no object is called so.")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!r} is not UTF-8, as the names of objects are.") from None


def object_name(name: str) -> str:
    r"""A file's name as an object's: control characters as `%0A`, all else as it is.

    Google forbids line breaks in names (cloud.google.com/storage/docs/objects), Azure control characters, and XML, in
    which S3 lists objects, cannot carry most of them. A name that looks so already gets `%25` for its `%`, so that
    `file_name` gives each name back.
    """
    return _TO_ESCAPE.sub(_escape_control, name)


def _escape_control(match: re.Match[str]) -> str:
    return "%25" if match[0] == "%" else f"%{ord(match[0]):02X}"


def file_name(name: str) -> str:
    """The file's name that `object_name` made this of; any other is itself."""
    return _ESCAPED.sub(lambda match: f"%{match[1][2:]}{match[2]}" if match[1] else chr(int(match[2], 16)), name)
