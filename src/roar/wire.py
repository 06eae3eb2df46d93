"""What travels between roar and glaas: the nouns as JSON, and the registration of a session.

glaas validates requests against these same dataclasses, so client and server cannot drift apart unnoticed.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from roar.model import (
    REDACTED,
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
    "find_secret",
    "iter_secrets",
    "parameters_of",
    "to_json",
    "without_secrets",
]

WIRE_VERSION = 1
_KIB = 1024
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_ROUNDED_UP = 0.05  # what would be written as 1024.0 goes up a unit
_REACH = 300  # characters before a word that it can be a secret with
_T = TypeVar("_T")


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


def size_text(size: int | None) -> str:
    """A number of bytes for a person: `512 B`, `1.2 MiB`."""
    if size is None:
        return "size unknown"
    if size < _KIB:
        return f"{size} B"
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


# ------------------------------------------------------------------------------ what both sides read alike

_OPTION = re.compile(r"(--?[A-Za-z][^=\s]*|\+{0,2}[A-Za-z_][\w.@/]*)=(.*)", re.DOTALL)
_SWITCH = re.compile(r"--?[A-Za-z]")
_PYTHON = re.compile(r"(?:.*/)?(?:python|pypy)[\d.]*")
_PYTHON_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})  # of the options that stand before the script
_PYTHON_PROGRAM = frozenset({"-c", "-m"})


def parameters_of(command: Sequence[str]) -> dict[str, str]:
    """A command's words by option name (`--lr`, `data.lr`), or by their place (`program`, `word 1`).

    An option without a value is `given`; one that comes again is `--lr (2)`. Python's own options, before the script,
    do not count as places: `word 1` is the script.
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


def _parameter_pairs(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    place, at = 0, 0
    script = _script_place(command)
    while at < len(command):
        word, onward = command[at], command[at + 1] if at + 1 < len(command) else None
        at += 1
        option = _OPTION.fullmatch(word)
        if option and place:
            yield option[1], option[2]
        elif at <= script and word not in _PYTHON_PROGRAM and _SWITCH.match(word):
            yield word, onward or "" if word in _PYTHON_WITH_VALUE else "given"
            at += word in _PYTHON_WITH_VALUE
            continue
        elif _SWITCH.match(word):
            if onward is None or _SWITCH.match(onward) or _OPTION.fullmatch(onward):
                yield word, "given"
            else:
                yield word, onward
                at += 1
        else:
            yield f"word {place}" if place else "program", word
        place += 1


def _script_place(command: Sequence[str]) -> int:
    """Where in a call of Python its script, `-c` or `-m` stands; 0 for another program."""
    if not command or not _PYTHON.fullmatch(command[0]):
        return 0
    at = 1
    while at < len(command) and command[at] not in _PYTHON_PROGRAM and _SWITCH.match(command[at]):
        at += 1 + (command[at] in _PYTHON_WITH_VALUE)
    return at


# --------------------------------------------------------------------------------- what must not travel


class _Rule(NamedTuple):
    """What a kind of secret looks like. The group `hide` is what has to go, where it is not all of it."""

    kind: str
    pattern: re.Pattern[str]
    instead: str = REDACTED


_STAND_IN = r"(?:\*+|…|<redacted>|\[redacted\]|redacted|x{3,}|\$\{?\w+\}?)"
_TELLING = ("private key", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "hf_",
            "sk-", "xox", "aiza", "eyj")
_NAMES = ("key", "secret", "passw", "pwd", "token", "sig", "credential")


@functools.cache
def _rules() -> tuple[_Rule, ...]:
    """Each takes time in proportion to the text, whatever the text is: no run of characters is begun twice.

    The shapes follow the issuers' own documentation.
    """
    return (
        _Rule("a password in a URL", re.compile(rf"://(?P<hide>[^/\s:@]*:(?!{_STAND_IN}@)[^/\s@]+@)"), ""),
        _Rule("a private key", re.compile(
            r"-----BEGIN (?:[A-Z]{1,20} ){0,4}PRIVATE KEY-----(?:[^-]*-----END [A-Z ]{0,60}PRIVATE KEY-----)?")),
        _Rule("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
        _Rule("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})\b")),
        _Rule("a GitLab token", re.compile(r"\bglpat-[\w-]{20,}")),
        _Rule("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")),
        _Rule("an API key", re.compile(  # `sk-learn-calibrated-2026…` has no such run of letters and digits
            r"\bsk-(?=[\w-]{0,200}\d)(?=[\w-]{0,200}[A-Za-z0-9]{16})[\w-]{32,}")),
        _Rule("a Slack token", re.compile(r"\bxox[abposr]-[\w-]{10,}")),
        _Rule("a Google API key", re.compile(r"\bAIza[\w-]{35}\b")),
        _Rule("a JSON Web Token", re.compile(
            r"(?:(?<![\w-])eyJ[\w-]{10,}+|\beyJ[\w-]{10,300}+)\.eyJ[\w-]{10,}+\.[\w-]{10,}")),
        _Rule("a secret in a URL's query", re.compile(
            rf"[?&;#](?:[\w.-]{{0,60}}[_.-])?(?:token|sig|signature|secret|passw(?:or)?d|pwd|api[_-]?key|access[_-]?key|"
            rf"credentials?)=(?!{_STAND_IN}(?:[&;#\s'\"/]|$))(?P<hide>[^&;#\s'\"]{{6,}})", re.IGNORECASE)),
        _Rule("a secret in a setting", re.compile(
            rf"(?:api[_-]?key|secret|passw(?:or)?d|access[_-]?token|auth[_-]?token|write_token)\s{{0,8}}[=:]\s{{0,8}}"
            rf"(?!{_STAND_IN}(?:\W|$))(?=\S{{0,200}}\d)(?=\S{{0,200}}[a-z])(?P<hide>[\w./+=~!@#$%^*:-]{{12,}})",
            re.IGNORECASE)),
    )


def find_secret(text: str) -> str | None:
    """What kind of secret `text` seems to hold (`a GitHub token`), or None. glaas keeps no text that does."""
    if not _may_hold(text):
        return None
    return next((rule.kind for rule in _rules() if rule.pattern.search(text)), None)


def _may_hold(text: str) -> bool:
    """Whether any rule can apply: a look at a hundred thousand paths has to be quick."""
    if "://" in text and "@" in text:
        return True
    lowered = text.lower()
    if any(telling in lowered for telling in _TELLING):
        return True
    return ("=" in text or ":" in text) and any(name in lowered for name in _NAMES)


def _cleaned(text: str) -> str:
    """`text` so that `find_secret` finds none; the same text where there was none."""
    for _ in range(8):
        if find_secret(text) is None:
            return text
        for rule in _rules():
            text = rule.pattern.sub(functools.partial(_hidden, rule), text)
    return REDACTED


def _hidden(rule: _Rule, match: re.Match[str]) -> str:
    if "hide" not in rule.pattern.groupindex:
        return rule.instead
    start, end = (place - match.start() for place in match.span("hide"))
    return match[0][:start] + rule.instead + match[0][end:]


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
        if value and all(isinstance(one, str) for one in value):
            yield from iter_secrets(" ".join(value), pointer)
        elif _may_hold_any(value):
            for index, one in enumerate(value):
                yield from iter_secrets(one, f"{pointer}/{index}")
    elif dataclasses.is_dataclass(value):
        for name in _fields_of(value.__class__):
            yield from iter_secrets(getattr(value, name), f"{pointer}/{name}")


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
    return _may_hold("\n".join(texts))


def without_secrets(registration: Registration) -> Registration:
    """The registration with every text in it as `find_secret` wants it; the same one where it holds no secret.

    A path stays what it is apart from the secret. The members of a dataset are not sent where one of their paths holds
    a secret, for the digest is that of their paths too; a tracker run goes without an address that holds one.
    """
    if next(iter_secrets(registration), None) is None:
        return registration
    kept = tuple(dataset for dataset in registration.datasets if next(iter_secrets(dataset), None) is None)
    return _clean(dataclasses.replace(registration, datasets=kept))


def _clean(value: _T) -> _T:
    return _clean_any(value)  # type: ignore[no-any-return]


def _clean_any(value: Any) -> Any:
    if isinstance(value, str):
        return _cleaned(value) if type(value) is str else value
    if isinstance(value, dict):
        return dict(_clean_setting(key, inner) for key, inner in value.items())
    if isinstance(value, tuple):
        cleaned = tuple(map(_clean_any, value))
        if all(isinstance(one, str) for one in cleaned) and find_secret(" ".join(cleaned)) is not None:
            cleaned = tuple(_clean_words(cleaned))
            return cleaned if find_secret(" ".join(cleaned)) is None else (REDACTED,)
        return cleaned
    if isinstance(value, TrackerRun):
        value = _without_secret_url(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {name: cleaned for name in _fields_of(value.__class__)
                   if (cleaned := _clean_any(before := getattr(value, name))) is not before}
        return dataclasses.replace(value, **changed) if changed else value
    return value


def _clean_setting(key: str, value: Any) -> tuple[str, Any]:
    """A key and its value. The value of a label `api_key` is a secret only together with its key."""
    key, value = _cleaned(key), _clean_any(value)
    if isinstance(value, str) and find_secret(f"{key}={value}") is not None:
        value = REDACTED
        key = key if find_secret(f"{key}={value}") is None else REDACTED
    return key, value


def _clean_words(words: tuple[str, ...]) -> Iterator[str]:
    """Words that are a secret only side by side: `password: X`. What completes one goes."""
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
