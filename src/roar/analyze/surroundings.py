"""What an analysis must know besides the trace."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from roar.model import FileUse
from roar.observe.streams import Stream
from roar.observe.trace import Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerJob:
    """A job that another one started within itself.

    Attributes:
        mode: in which it was observed.
        written, read: absolute paths, the members of datasets, too; but for outputs that others may have continued.
        streams: what it read as standard input, absolute.
        continued: what it wrote as standard output, and what others who had it open may have written on, absolute.
        runs: tracker and id of each of its tracker runs.
    """

    mode: str
    written: AbstractSet[str]
    read: AbstractSet[str]
    streams: AbstractSet[str]
    continued: AbstractSet[str] = frozenset()
    runs: AbstractSet[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What earlier jobs have left to look up.

    Attributes:
        digests: by the identity of signatures, the digests of content; those not known are absent.
        datasets: by stamp (roar.observe.folders), a dataset of the record; its path is empty.
        committed: by absolute path, the digests of files that lay there as the commit has them when the command
            started, of those that were read with these signatures; those not known are absent.
        inner: by uid, what is recorded of a job; None where there is none.
        others_within: lists the jobs that said themselves that this one runs them, but for these, by uid.
        made_since: lists the files, absolute, that jobs of the record wrote which started since this one did.
    """

    digests: Callable[[Iterable[Signature]], Mapping[tuple[int, int, int, int, int], str]]
    datasets: Callable[[Iterable[bytes]], Mapping[bytes, FileUse]]
    committed: Callable[[Mapping[str, Signature]], Mapping[str, str]] = lambda _: {}
    inner: "Callable[[str], InnerJob | None]" = lambda _: None
    others_within: "Callable[[Collection[str]], Collection[InnerJob]]" = lambda _: ()
    made_since: Callable[[], Collection[str]] = tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where and when the command ran, and what the settings say.

    Attributes:
        root: the workspace's root folder, symlinks resolved.
        cwd: the command's working folder.
        repository: root of the git work tree, or None.
        environment: what the trackers asked to see of the initial environment; never a secret.
        started_ns, ended_ns: wall clock, nanoseconds since the epoch.
        is_late: whether another process than the one that ran it analyses this: others may have changed its outputs.
        clock_ns: what the time of an event lacks to the wall clock; 0 where it is not known.
        trackers: by name, whether a tracker is analysed; `*` stands for all others.
        made: whether a recorded job wrote a file at this absolute path.
        threshold: how many files below one folder make a dataset; 0 for never.
        streams: the files that the command used as its standard input and output.
        caches: those that lie elsewhere than below `home`, and where they would there.
    """

    root: str
    cwd: str
    home: str
    tmpdir: str
    repository: str | None
    environment: Mapping[str, str]
    started_ns: int
    ended_ns: int
    trackers: Mapping[str, bool]
    made: Callable[[str], bool] = lambda _: False
    filter_add: Sequence[str] = ()
    filter_remove: Sequence[str] = ()
    threshold: int = 0
    streams: Sequence[Stream] = ()
    caches: Mapping[str, str] = field(default_factory=dict)
    clock_ns: int = 0
    is_late: bool = False
    _below: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_below", os.path.join(self.root, ""))

    def shown(self, path: str) -> str:
        """A path as it is recorded: relative to the workspace where it lies inside."""
        if path.startswith(self._below):
            return path[len(self._below):]
        return "" if path == self.root else path

    def whole(self) -> tuple[str, ...]:
        """Folders that are never one dataset."""
        return (self.home, self.tmpdir, "/tmp", "/var/tmp", os.path.dirname(self.home))  # noqa: S108  compared only
