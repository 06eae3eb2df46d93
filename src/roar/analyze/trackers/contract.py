"""What an experiment tracker is to roar: the contract that built-in trackers and third-party packages meet.

A tracker is one object, named in the entry-point group `roar.trackers`:

    [project.entry-points."roar.trackers"]
    mytracker = "mypackage.roar:TRACKER"

It declares what it reads and which environment variables it wants to see, and turns evidence into findings: which
paths belong to the tracker, and which of its runs the job made. It opens nothing itself; `Evidence` opens for it what
it declared, and nothing else. `roar.testing.check_tracker` checks a tracker the way the built-in ones are checked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from roar.model import TrackerRun

if TYPE_CHECKING:
    from roar.analyze.trackers.evidence import Evidence


class Ownership(StrEnum):
    """What a tracker's file is to lineage.

    `noise` never appears. A `payload` holds content worth keeping (a logged model): it stays out of the graph until
    another job reads it, and then the edge from its producer appears.
    """

    NOISE = "noise"
    PAYLOAD = "payload"


class Proof(StrEnum):
    """What proved a reference, the strongest first (`TrackerRun.evidence`)."""

    CONSOLE = "console"
    FILE = "file"
    ENVIRONMENT = "environment"
    CHILD_ENVIRONMENT = "child environment"
    CONFIG_FILE = "config file"


class Owned(NamedTuple):
    """A path that belongs to a tracker."""

    tracker: str
    ownership: Ownership


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """A kind of file that a tracker opens, and how much of it.

    Attributes:
        pattern: shell pattern over the absolute path, as in `*/run-*.wandb`; `*` also matches `/`.
        part: what is taken from it, for people: `the first two records`.
        limit: at most this many bytes are read per call.
        tables: for a SQLite database the tables, and of each the columns, that may be selected.
        member: for a zip archive the one member that may be read.
    """

    pattern: str
    part: str
    limit: int = 4096
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    member: str | None = None


class TokenHost(NamedTuple):
    """A host that is hidden inside a secret: only the host ever leaves it.

    Attributes:
        variable: the environment variable that holds the secret.
        name: the made-up variable under which the host is kept.
        decode: secret → base URL, or None.
    """

    variable: str
    name: str
    decode: Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate:
    """What this job changed in a tracker run that an earlier job made, such as an upload of an offline run.

    Attributes:
        tracker: settings key of the tracker.
        run_id: the run's id as the earlier job recorded it.
        becomes: the reference as it is now.
    """

    tracker: str
    run_id: str
    becomes: TrackerRun


@dataclass(slots=True)
class Findings:
    """What one tracker made of the evidence."""

    owned: dict[str, Ownership] = field(default_factory=dict)
    runs: list[TrackerRun] = field(default_factory=list)
    updates: list[RunUpdate] = field(default_factory=list)

    def noise(self, *paths: str) -> None:
        """Keep these paths out of lineage."""
        for path in paths:
            self.owned[path] = Ownership.NOISE

    def payload(self, *paths: str) -> None:
        """Keep these paths out of lineage until another job reads them."""
        for path in paths:
            self.owned[path] = Ownership.PAYLOAD


class Tracker(Protocol):
    """One experiment tracker. Subclass it to inherit the defaults, or just have its members."""

    @property
    def name(self) -> str:
        """Settings key: lower case, as in `[analyzers.experiment_trackers] NAME = false`."""
        ...

    @property
    def label(self) -> str:
        """Its name for people, as in `View in LABEL`."""
        ...

    @property
    def environment(self) -> tuple[str, ...]:
        """Environment variables to look at; one that ends in `*` is a prefix. Secret-looking ones are never given."""
        return ()

    @property
    def token_hosts(self) -> tuple[TokenHost, ...]:
        """Hosts to take out of secrets."""
        return ()

    @property
    def reads(self) -> tuple[Reads, ...]:
        """Everything that may be opened."""
        return ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Its client's Python packages. Where given, printed lines count only if the job loaded one of them.

        A script that prints an old log again is so told from one that trains. What a launcher (`docker`, `srun`, …)
        prints for a program elsewhere counts all the same.
        """
        return ()

    @property
    def takes_files(self) -> bool:
        """Whether the command in `how_to_view` takes a file that it knows its folders by in place of the folder."""
        return False

    @property
    def last(self) -> bool:
        """True for a format that other trackers write too: analysed when they have claimed what is theirs."""
        return False

    def analyze(self, evidence: "Evidence") -> Findings:
        """Recognise the tracker's files and runs. Its folder counts only once its anchor is confirmed."""
        ...

    def refresh(
        self, run: TrackerRun, evidence: "Evidence", environ: Mapping[str, str],  # noqa: ARG002  a default
    ) -> TrackerRun | None:
        """An offline run that was uploaded since, with its URL as far as proven; None where nothing is known.

        The user asks for this by name (`roar trackers refresh`), so it may ask the tracker's server, with credentials
        from `environ`, the user's whole environment. They must go to that server only.
        """
        return None
