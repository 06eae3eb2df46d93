"""What travels between roar and glaas: the nouns as JSON, and the registration of a session.

glaas validates requests against these same dataclasses, so client and server cannot drift apart unnoticed.
"""

import dataclasses
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from roar.model import (
    REDACTED,
    UNVERSIONED,
    FileUse,
    Git,
    Host,
    Job,
    JobState,
    Kind,
    Package,
    Python,
    Repository,
    Tracer,
    TrackerRun,
    TrackerRunState,
    TrackerSummary,
    folder_of_use,
    git_of,
    members_folder,
    shards_path,
)

__all__ = [
    "REDACTED",
    "UNDIGESTED",
    "UNVERSIONED",
    "Age",
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
    "Repository",
    "Tracer",
    "TrackerRun",
    "TrackerRunState",
    "TrackerSummary",
    "canonical_json",
    "dag_digest",
    "find_secret",
    "folder_of_use",
    "git_of",
    "iter_secrets",
    "members_folder",
    "number_of_secret",
    "order_between",
    "parameters_of",
    "raw",
    "shards_path",
    "to_json",
    "without_path_numbers",
    "without_secrets",
]

WIRE_VERSION = 1
_KIB = 1024
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_ROUNDED_UP = 0.05  # what would be written as 1024.0 goes up a unit
_PATH_NUMBER_LENGTH = 8  # hexadecimal digits
_PATH_NUMBER = re.compile(rf"{re.escape(REDACTED)}#[0-9a-f]{{{_PATH_NUMBER_LENGTH}}}")
_REACH = 300  # characters before a word that it can be a secret with
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetMember:
    """One file of a dataset.

    Attributes:
        path: relative to the dataset's folder.
        raw_path: where the bytes of the path are not UTF-8 and `path` only shows them, these bytes in hexadecimal
            digits; None inside the client, where `path` holds them itself.
    """

    path: str
    digest: str
    size: int
    raw_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The members of one dataset artifact, sorted by the bytes of their paths."""

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
class Age:
    """By when what a job read certainly lay there as it was read: who started later did not make it elsewhere.

    Attributes:
        job: its uid.
        input: the place among its inputs, from 0.
        unchanged_since: as `Job.started_at`; of a dataset, when that is true of all its files.
    """

    job: str
    input: int
    unchanged_since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """The body of `POST /api/v1/sessions`: one session, frozen.

    Attributes:
        version: WIRE_VERSION of the sender.
        client: name and version of the sender (`roar 0.1.0`).
        session: the session's uid, 32 hex.
        jobs: in the order they started.
        ages: of inputs, as far as they are known; the DAG's digest is not of them.
    """

    version: int
    client: str
    session: str
    jobs: tuple[Job, ...]
    datasets: tuple[Dataset, ...] = ()
    payloads: tuple[Payload, ...] = ()
    ages: tuple[Age, ...] = ()


def shown(text: str) -> str:
    r"""`text` with bytes that were not UTF-8 (lone surrogates) written as ``\xNN``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def raw(path: str) -> bytes:
    """The bytes of a path, those too that are not UTF-8 (lone surrogates)."""
    return path.encode("utf-8", "surrogateescape")


def member_line(path: bytes, digest: str) -> bytes:
    r"""A dataset's member as its line in what the dataset's digest is of: `DIGEST  PATH`, as `b3sum` prints it.

    As there and in GNU coreutils, a path with a backslash or a newline has them as `\\` and `\n`, and the line begins
    with a backslash, so that no name looks like two lines. Bytes that are not UTF-8, in whose place `b3sum` prints
    others, stay as they are.
    """
    if b"\\" in path or b"\n" in path:
        return b"\\%s  %s\n" % (digest.encode(), path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n"))
    return b"%s  %s\n" % (digest.encode(), path)


def size_text(size: int | None) -> str:
    """A number of bytes for a person: `512 B`, `1.2 MiB`."""
    if size is None:
        return "size unknown"
    if size < _KIB:
        return f"{size} B"
    if size >= _KIB ** (len(_UNITS) + 1):
        return f"more than 1024 {_UNITS[-1]}"
    number = float(size)
    for unit in _UNITS:
        number /= _KIB
        if number < _KIB - _ROUNDED_UP or unit == _UNITS[-1]:
            break
    return f"{number:.1f} {unit}"


def to_json(value: Any) -> Any:
    """A noun, or a container of nouns, as JSON-ready dictionaries, lists and scalars in the shapes of the contract."""
    if isinstance(value, str):
        return shown(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (FileUse, DatasetMember, Git)):
        return _SHAPES[type(value)](value)
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


def _git(git: Git) -> dict[str, Any]:
    """`worktree` and `repositories` appear only where they say something."""
    shape = {field.name: to_json(getattr(git, field.name)) for field in dataclasses.fields(git)}
    for name in ("worktree", "repositories"):
        if not shape[name]:
            del shape[name]
    return shape


def _dataset_member(member: DatasetMember) -> dict[str, Any]:
    """`raw_path` appears only where it says something."""
    path = shown(member.path)
    shape: dict[str, Any] = {"path": path, "digest": member.digest, "size": member.size}
    raw_path = member.raw_path if path == member.path else raw(member.path).hex()
    if raw_path is not None:
        shape["raw_path"] = raw_path
    return shape


_SHAPES: dict[type, Callable[[Any], dict[str, Any]]] = {
    FileUse: _file_use, DatasetMember: _dataset_member, Git: _git}
"""How those become JSON that leave out what says nothing."""


def canonical_json(value: Any) -> bytes:
    """`value` as the one JSON text that digests are taken of: sorted keys, no white space, ASCII."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


UNDIGESTED = ("client", "version", "ages")
"""What of a registration is not in the digest of its DAG."""


def dag_digest(registration: Registration) -> str:
    """The digest that names a registered DAG: BLAKE3 over its canonical JSON, without who sent it, and ages.

    The same session with the same jobs has the same digest whatever client version sends it.
    """
    import blake3  # noqa: PLC0415  only publishing and serving need it

    body = to_json(registration)
    for name in UNDIGESTED:
        body.pop(name)
    return blake3.blake3(canonical_json(body)).hexdigest()


# ------------------------------------------------------------------------------ what both sides read alike

_OPTION = re.compile(r"(--?[A-Za-z][^=\s]*|\+{0,2}[A-Za-z_][\w.@/]*)=(.*)", re.DOTALL)
_SWITCH = re.compile(r"--?(?!(?:inf|infinity|nan)$)[A-Za-z]", re.IGNORECASE)


def ends_value(word: str) -> bool:
    """Whether a word is no value of the option before it: an option itself, or the end of options.

    Negative numbers, `-inf` and `-` are values.
    """
    return word == "--" or bool(_SWITCH.match(word))


def parameters_of(command: Sequence[str]) -> dict[str, str]:
    """A command's words by option name (`--lr`, `data.lr`), or by their place (`program`, `word 1`).

    An option without a value is `given`; one that comes again is `--lr (2)`. Options of the interpreter in front of a
    Python script are `python -O`, and shift no place.
    """
    parameters: dict[str, str] = {}
    seen: dict[str, int] = {}
    for name, value in _parameter_pairs(command):
        key = name
        while key in parameters:
            seen[name] = seen.get(name, 1) + 1
            key = f"{name} ({seen[name]})"
        parameters[key] = value
    return parameters


ORDER = "order of the words"
"""What differs between two commands that have the same parameters in another order (`a=1 b=2`, `b=2 a=1`)."""


def order_between(before: Sequence[str], after: Sequence[str]) -> tuple[str, str] | None:
    """The words that stand in another order in the one and the other command, where their parameters are the same.

    It is left open whether the order says anything to the program: to Hydra it may. None where it is the same order.
    """
    pairs, others = list(_parameter_pairs(before)), list(_parameter_pairs(after))
    if pairs == others or parameters_of(before) != parameters_of(after):
        return None
    import shlex  # noqa: PLC0415  only where the order differs

    front = _alike(before, after)
    behind = min(_alike(before[::-1], after[::-1]), len(before) - front, len(after) - front)
    return shlex.join(before[front:len(before) - behind]), shlex.join(after[front:len(after) - behind])


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words are the same from the first on."""
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


_PYTHON = re.compile(r"(?:.*/)?(?:python|pypy)[\d.]*t?", re.DOTALL)
_PYTHON_SWITCHES = re.compile(r"-[bBdEhiIOPqRsStuvVx]+")
_PYTHON_OPTION = re.compile(r"(-[bBdEhiIOPqRsStuvVx]*[WX]|--check-hash-based-pycs)(.*)", re.DOTALL)


def _interpreter_options(command: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Name, value and number of words of each option between Python and its script, module or code."""
    at = 1 if command and _PYTHON.fullmatch(command[0]) else len(command)
    while at < len(command):
        option = _PYTHON_OPTION.fullmatch(command[at])
        if option and (option[2] or at + 1 < len(command)):
            name, value, words = option[1], option[2] or command[at + 1], 1 if option[2] else 2
        elif _PYTHON_SWITCHES.fullmatch(command[at]):
            name, value, words = command[at], "given", 1
        else:
            return
        yield f"python {name}", value, words
        at += words


def _parameter_pairs(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    place, at = 0, 0
    while at < len(command):
        word, onward = command[at], command[at + 1] if at + 1 < len(command) else None
        at += 1
        option = _OPTION.fullmatch(word)
        if option and place:
            yield option[1], option[2]
        elif _SWITCH.match(word):
            if onward is None or _SWITCH.match(onward) or _OPTION.fullmatch(onward):
                yield word, "given"
            else:
                yield word, onward
                at += 1
        else:
            yield f"word {place}" if place else "program", word
        if not place:
            for name, value, words in _interpreter_options(command):
                yield name, value
                at += words
        place += 1


# --------------------------------------------------------------------------------- what must not travel


def find_secret(text: str) -> str | None:
    """What kind of secret `text` seems to hold (`a GitHub token`), or None. glaas keeps no text that does."""
    from roar.credentials.text import find_secret as find  # noqa: PLC0415  only publishing and serving look for secrets

    return find(text)


def _find_in_words(words: Sequence[str]) -> str | None:
    """What kind of secret the words of a command hold, each by itself or side by side."""
    from roar.credentials.text import may_hold_secret  # noqa: PLC0415  as above
    from roar.credentials.words import redact_words  # noqa: PLC0415  as above

    together = " ".join(words)
    if not may_hold_secret(together):
        return None
    if (kind := find_secret(together)) is not None:
        return kind
    return "a secret on a command line" if redact_words(words) != tuple(words) else None


def iter_secrets(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """A JSON pointer and the kind of each secret in a noun or a container of nouns: every text of it is looked at.

    A key that holds one is not in the pointer.
    """
    if isinstance(value, str):
        if (kind := find_secret(value)) is not None:
            yield pointer, kind
    elif isinstance(value, dict):
        yield from _secrets_of_settings(value, pointer)
    elif isinstance(value, (list, tuple)):
        yield from _secrets_of_list(value, pointer)
    elif dataclasses.is_dataclass(value):
        for name in _fields_of(value.__class__):
            yield from iter_secrets(getattr(value, name), f"{pointer}/{name}")


def _secrets_of_list(values: Sequence[Any], pointer: str) -> Iterator[tuple[str, str]]:
    if values and all(isinstance(one, str) for one in values):
        if (kind := _find_in_words(values)) is not None:
            yield pointer, kind
    elif _may_hold_any(values):
        for index, one in enumerate(values):
            yield from iter_secrets(one, f"{pointer}/{index}")


def _secrets_of_settings(settings: dict[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if (kind := find_secret(key)) is not None:
            yield pointer, kind
        else:
            text = f"{key}={value}" if isinstance(value, str) else value
            yield from iter_secrets(text, f"{pointer}/{key}")


@functools.cache
def _fields_of(noun: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(noun))


def _may_hold_any(values: Iterable[Any]) -> bool:
    """Whether any rule can apply to any of these nouns, where all are of texts and numbers alone."""
    from roar.credentials.text import may_hold_secret  # noqa: PLC0415  as above

    texts: list[str] = []
    for value in values:
        if not dataclasses.is_dataclass(value):
            return True
        for name in _fields_of(value.__class__):
            inner = getattr(value, name)
            if isinstance(inner, str):
                texts.append(inner)
            elif inner is not None and not isinstance(inner, (int, float)):
                return True
    return may_hold_secret("\n".join(texts))


def without_secrets(registration: Registration, path_key: Callable[[], bytes] | None = None) -> Registration:
    """The registration with every text in it as `find_secret` wants it; the same one where it holds no secret.

    A path stays what it is apart from the secret. The members of a dataset are not sent where one of their paths holds
    a secret, for the digest is that of their paths too; a tracker run goes without an address that holds one.

    Args:
        registration: what is to be sent.
        path_key: gives 32 bytes that stay on this machine. With them, paths that differ in their secrets alone stay
            apart: `data/token=[redacted]#5f0c9a3e/x`, where the number is a keyed hash of the secret.
    """
    if next(iter_secrets(registration), None) is None:
        return registration
    kept = tuple(dataset for dataset in registration.datasets if next(iter_secrets(dataset), None) is None)
    return _clean(dataclasses.replace(registration, datasets=kept), path_key)


def without_path_numbers(path: str) -> str:
    """A path as a client sent it that did not keep paths with secrets apart."""
    return _PATH_NUMBER.sub(REDACTED, path) if REDACTED in path else path


def _clean(value: _T, path_key: Callable[[], bytes] | None) -> _T:
    return _clean_any(value, path_key)  # type: ignore[no-any-return]


def _clean_any(value: Any, path_key: Callable[[], bytes] | None) -> Any:
    if isinstance(value, str):
        return _cleaned(value) if type(value) is str else value
    if isinstance(value, dict):
        return dict(_clean_setting(key, inner, path_key) for key, inner in value.items())
    if isinstance(value, tuple):
        if value and all(isinstance(one, str) for one in value):
            return _clean_words(value)
        return tuple(_clean_any(one, path_key) for one in value)
    if isinstance(value, TrackerRun):
        value = _without_secret_url(value)
    if isinstance(value, (FileUse, Payload)) and path_key and (cleaned := _cleaned(value.path)) != value.path:
        value = dataclasses.replace(value, path=_told_apart(value.path, cleaned, path_key()))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {name: cleaned for name in _fields_of(value.__class__)
                   if (cleaned := _clean_any(before := getattr(value, name), path_key)) is not before}
        return dataclasses.replace(value, **changed) if changed else value
    return value


def _cleaned(text: str) -> str:
    """`text` so that `find_secret` finds none; the same text where there was none."""
    from roar.credentials.text import redact_text  # noqa: PLC0415  as above

    for _ in range(8):
        if find_secret(text) is None:
            return text
        text = redact_text(text)
    return REDACTED


def _told_apart(path: str, cleaned: str, key: bytes) -> str:
    """A cleaned path with a number behind each `[redacted]`: the same secret has the same one, another has another.

    A plain hash would tell a short secret to whoever tries all; this one is keyed with what never leaves the machine.
    """
    first, *rest = cleaned.split(REDACTED)
    if not rest:
        return cleaned
    at = len(first)
    numbered = first
    for place, piece in enumerate(rest):
        end = len(path) - len(piece) if place == len(rest) - 1 else path.find(piece, at)
        numbered += f"{REDACTED}#{number_of_secret(path[at:max(at, end)], key)}{piece}"
        at = max(at, end) + len(piece)
    if path.startswith(first) and path.endswith(rest[-1]) and find_secret(numbered) is None:
        return numbered
    return f"{REDACTED}#{number_of_secret(path, key)}"


def number_of_secret(secret: str, key: bytes) -> str:
    """What stands for a secret in a path: the same for the same secret and key, and no way back without the key."""
    import blake3  # noqa: PLC0415  only publishing needs it

    return blake3.blake3(shown(secret).encode(), key=key).hexdigest()[:_PATH_NUMBER_LENGTH]


def _clean_setting(key: str, value: Any, path_key: Callable[[], bytes] | None) -> tuple[str, Any]:
    """A key and its value. The value of a label `api_key` is a secret only together with its key."""
    key, value = _cleaned(key), _clean_any(value, path_key)
    if isinstance(value, str) and find_secret(f"{key}={value}") is not None:
        value = REDACTED
        key = key if find_secret(f"{key}={value}") is None else REDACTED
    return key, value


def _clean_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command; what is a secret only side by side with others (`password: X`) goes as well."""
    from roar.credentials.words import redact_words  # noqa: PLC0415  as above

    if _find_in_words(words) is None:
        return words
    cleaned = redact_words(tuple(map(_cleaned, words)))
    if _find_in_words(cleaned) is not None:
        cleaned = tuple(_completing_words(cleaned))
    return cleaned if _find_in_words(cleaned) is None else (REDACTED,)


def _completing_words(words: tuple[str, ...]) -> Iterator[str]:
    before = ""
    for word in words:
        kept = word if find_secret(f"{before} {word}") is None else REDACTED
        before = f"{before} {kept}"[-_REACH:]
        yield kept


def _without_secret_url(run: TrackerRun) -> TrackerRun:
    if run.url is None or find_secret(run.url) is None:
        return run
    state = TrackerRunState.PARTIAL if run.state is TrackerRunState.ONLINE else run.state
    return dataclasses.replace(run, url=None, state=state,
                               note=run.note or "its address holds what looks like a secret")
