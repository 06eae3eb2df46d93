"""What travels between roar and glaas: the nouns as JSON, and the registration of a session.

glaas validates requests against these same dataclasses, so client and server cannot drift apart unnoticed.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from roar.model import (
    FileUse,
    Git,
    Host,
    Job,
    JobState,
    Kind,
    Package,
    Python,
    Tracer,
    TrackerRun,
    TrackerRunState,
    TrackerSummary,
)

__all__ = [
    "Dataset",
    "DatasetMember",
    "FileUse",
    "Git",
    "Host",
    "Job",
    "JobState",
    "Kind",
    "Package",
    "Payload",
    "Python",
    "Registration",
    "Tracer",
    "TrackerRun",
    "TrackerRunState",
    "TrackerSummary",
    "canonical_json",
    "dag_digest",
    "to_json",
]

WIRE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetMember:
    """One file of a dataset; `path` is relative to the dataset's folder."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The members of one dataset artifact, sorted by path."""

    digest: str
    members: tuple[DatasetMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A file that a job wrote only inside a tracker's store: no output, but it links to a later reader of `digest`."""

    job: str
    path: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The body of `POST /api/v1/sessions`: one session, frozen.

    Attributes:
        version: WIRE_VERSION of the sender.
        client: name and version of the sender (`roar 0.1.0`).
        session: the session's uid, 32 hex.
        jobs: in the order they started.
    """

    version: int
    client: str
    session: str
    jobs: tuple[Job, ...]
    datasets: tuple[Dataset, ...] = ()
    payloads: tuple[Payload, ...] = ()


def shown(text: str) -> str:
    r"""`text` with bytes that were not UTF-8 (lone surrogates) written as ``\xNN``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def to_json(value: Any) -> Any:
    """A noun, or a container of nouns, as JSON-ready dictionaries, lists and scalars in the shapes of the contract."""
    if isinstance(value, str):
        return shown(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, FileUse):
        return _file_use(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {shown(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _file_use(use: FileUse) -> dict[str, Any]:
    """`files` and `note` appear only where they say something."""
    shape: dict[str, Any] = {"path": shown(use.path), "digest": use.digest, "size": use.size, "kind": str(use.kind)}
    if use.files is not None:
        shape["files"] = use.files
    if use.note is not None:
        shape["note"] = shown(use.note)
    return shape


def canonical_json(value: Any) -> bytes:
    """`value` as the one JSON text that digests are taken of: sorted keys, no white space, ASCII."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def dag_digest(registration: Registration) -> str:
    """The digest that names a registered DAG: BLAKE3 over its canonical JSON, without who sent it.

    The same session with the same jobs has the same digest whatever client version sends it.
    """
    import blake3  # noqa: PLC0415  only publishing and serving need it

    body = to_json(registration)
    body.pop("client")
    body.pop("version")
    return blake3.blake3(canonical_json(body)).hexdigest()
