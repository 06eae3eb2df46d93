"""What a tracker may know of a job: paths, console lines, environment, and the files that it declared to read."""

import os
import re
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from typing import NamedTuple

from roar.analyze.fold import Made, PathUse, Uses, is_link
from roar.analyze.symlinks import Places
from roar.analyze.trackers.console import Console, iter_values
from roar.analyze.trackers.contract import Owned, Proof, Reads, Tracker
from roar.analyze.trackers.moves import Moves
from roar.analyze.trackers.paths import PathIndex
from roar.analyze.trackers.tables import is_regular, select, table_names
from roar.analyze.trackers.urls import without_user_info
from roar.observe.trace import ConsoleLine, Process

_SECOND_NS = 1_000_000_000
_RELAYS = ("asyncssh", "distributed", "docker", "fabric", "kubernetes", "modal", "paramiko", "ray", "sagemaker", "sky")
"""Python packages that print the lines of programs on other machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerFacts:
    """Everything about one job that trackers may be told.

    Attributes:
        uses: by absolute path, everything that was read or written, with what was gone at the end.
        environment: the job's initial one, as `initial_environment` gives it.
        started_at: wall clock, nanoseconds since the epoch; `ended_at` likewise.
        workspace: root of the workspace, absolute.
    """

    uses: Uses
    processes: Sequence[Process] = ()
    console: Sequence[ConsoleLine] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: str
    home: str
    tmpdir: str
    started_at: int
    ended_at: int
    workspace: str


class Setting(NamedTuple):
    """The value of an environment variable, and where it was seen: `environment` or `child environment`."""

    value: str
    source: Proof


class JobEvidence:
    """The facts of one job with their indexes, shared by all trackers.

    Attributes:
        claimed: by path, what trackers that were asked before own.
        moves: where files went that the job moved.
    """

    def __init__(self, facts: TrackerFacts, claimed: Mapping[str, Owned]) -> None:
        self.facts = facts
        self.claimed = claimed
        self.moves = Moves(facts.uses.opened)
        self.places = Places()

    @cached_property
    def paths(self) -> PathIndex:
        """All files and symlinks; folders that were made count as folders."""
        uses = self.facts.uses.opened
        folders = [path for path, use in uses.items() if use.made is Made.DIRECTORY]
        files = uses if not folders else [path for path, use in uses.items() if use.made is not Made.DIRECTORY]
        return PathIndex(files, folders, self.facts.uses.closed.values())

    @cached_property
    def console(self) -> Console:
        """What was printed."""
        return Console(self.facts.console, self.facts.processes)

    @cached_property
    def linked(self) -> frozenset[str]:
        """Where the symlinks that the job made, or named files by, lead now."""
        uses = [use for use in self.facts.uses.opened.values() if use.exists]
        made = (os.path.join(os.path.dirname(use.path), use.target or "") for use in uses if use.made is Made.SYMLINK)
        found = (use.path for use in uses if use.made is not Made.SYMLINK and is_link(use))
        return frozenset((*map(self.places.of, map(os.path.normpath, made)), *map(os.path.realpath, found)))

    def console_of(self, packages: Collection[str]) -> Console:
        """What was printed, as far as a client in one of these Python packages can have printed it; all for none."""
        if not packages or not self.console.lines or self._loaded(packages):
            return self.console
        return self._console_from_elsewhere

    @cached_property
    def _console_from_elsewhere(self) -> Console:
        """What launchers printed; all where the job loaded a package that prints the lines of other machines."""
        if self._loaded(_RELAYS):
            return self.console
        return Console([line for line in self.facts.console if self.console.is_from_elsewhere(line)],
                       self.facts.processes)

    def _loaded(self, packages: Collection[str]) -> bool:
        """Whether one of these packages was imported; `wandb.docker` is no `docker`."""
        return any(
            self._is_package(folder) and not self._is_package(os.path.dirname(folder))
            for package in packages for folder in self.paths.folders_named(package)
        )

    def _is_package(self, folder: str) -> bool:
        """Whether a process read the folder's `__init__`, as source or compiled (PEP 3147)."""
        return any(name.startswith("__init__.") for place in (folder, f"{folder}/__pycache__")
                   for name in self.paths.files_in(place))


class Evidence:
    """One tracker's view of a job. Opens what the tracker declared, and nothing else.

    A file that the job moved is opened where it is now, under the path at which it was written.

    Attributes:
        paths: the index over all paths.
        console: the lines that were printed.
        home, cwd, tmpdir, workspace: absolute folders of the job.
    """

    def __init__(self, job: JobEvidence, tracker: Tracker) -> None:
        self._job = job
        self._reads = [(re.compile(translate(reads.pattern)), reads) for reads in tracker.reads]
        known_by = [pattern.pattern for pattern, reads in self._reads if reads.pattern != "*"]
        self._anchor = re.compile("|".join(known_by)) if known_by else None
        self._tables: dict[str, frozenset[str]] = {}
        self.paths = job.paths
        self.console = job.console_of(getattr(tracker, "packages", ()))
        self.home, self.cwd, self.tmpdir = job.facts.home, job.facts.cwd, job.facts.tmpdir
        self.workspace = job.facts.workspace

    def from_workspace(self, path: str) -> str:
        """A path as people write it: relative to the workspace where it lies inside."""
        return path[len(self.workspace) + 1:] if path.startswith(self.workspace + "/") else path

    # What was seen

    def use(self, path: str) -> PathUse | None:
        """All that the job did with a path."""
        return self._job.facts.uses.get(path)

    def __contains__(self, path: str) -> bool:
        return path in self._job.facts.uses

    def was_written(self, path: str) -> bool:
        """Whether the job created or changed it; moving alone is neither."""
        use = self.use(path)
        before = self._job.moves.came_from(path)
        return use is not None and use.written and (before is None or before.written)

    def was_moved_away(self, path: str) -> bool:
        """Whether the job took to another name what lay there before it, and put nothing in its place."""
        use = self.use(path)
        return use is not None and use.read and not use.written and use.moved_to is not None and not use.exists

    def was_read(self, path: str) -> bool:
        """Whether the job read content there that it had not written itself."""
        use = self.use(path)
        return use is not None and use.read

    def was_made(self, path: str) -> bool:
        """Whether the job wrote it and nothing that the job read had been there before."""
        return self.was_written(path) and not (self.was_read(path) or self._was_read_before(path))

    def _was_read_before(self, path: str) -> bool:
        before = self._job.moves.came_from(path)
        return before is not None and before.read

    def is_symlink(self, path: str) -> bool:
        """Whether the job made a symlink here."""
        use = self.use(path)
        return use is not None and use.made is Made.SYMLINK

    def is_linked(self, path: str) -> bool:
        """Whether a symlink that the job made, or found and named a file by, leads to it in the end."""
        return path in self._job.linked or (bool(self._job.linked) and self._job.places.of(path) in self._job.linked)

    def owner(self, path: str) -> str | None:
        """The tracker that has claimed a path before this one was asked."""
        claim = self._job.claimed.get(path)
        return claim.tracker if claim else None

    def first_seen(self, paths: Collection[str]) -> int:
        """The time of the first event on any of these paths."""
        return min((use.first_ns for path in paths if (use := self.use(path))), default=0)

    def in_job_ms(self, milliseconds: object) -> bool:
        """Whether a wall-clock time, in milliseconds since the epoch, falls into the job."""
        if not isinstance(milliseconds, (int, float)):
            return False
        facts = self._job.facts
        return facts.started_at // 1_000_000 <= milliseconds <= (facts.ended_at + _SECOND_NS) // 1_000_000

    @property
    def arguments(self) -> Sequence[tuple[str, ...]]:
        """The argument vectors of all processes."""
        return [process.argv for process in self._job.facts.processes]

    # Settings

    def setting(self, *names: str, program: str | None = None) -> Setting | None:
        """The value of the first of these variables that has one; None where processes disagree.

        A script's own changes show in the environment of the children that it starts. Where `program` is given and
        was started, its environment alone decides.
        """
        for name in names:
            processes = self._job.facts.processes
            if program:
                own = [process for process in processes if os.path.basename(process.executable) == program]
                processes = own if any(iter_values(own, name)) else processes
            initial = self._job.facts.environment.get(name, "")
            children = {without_user_info(value) for value in iter_values(processes, name)}
            if program and children and processes is not self._job.facts.processes:
                values = children
            else:
                values = children | ({without_user_info(initial)} if initial else set())
            if len(values) == 1:
                value = values.pop()
                initially = value == without_user_info(initial)
                return Setting(value, Proof.ENVIRONMENT if initially else Proof.CHILD_ENVIRONMENT)
            if values:
                return None
        return None

    def settings(self, name: str) -> list[str]:
        """Every value that a variable had in any process."""
        values = [self._job.facts.environment.get(name, ""), *iter_values(self._job.facts.processes, name)]
        return [without_user_info(value) for value in dict.fromkeys(values) if value]

    # Files

    def is_anchor(self, path: str) -> bool:
        """Whether a path is one of those that the tracker knows its folders by: a kind of file that it reads."""
        return self._anchor is not None and self._anchor.match(path) is not None

    def _now(self, path: str) -> str:
        return self._job.moves.place(path) or path

    def head(self, path: str, size: int | None = None) -> bytes:
        """The first bytes of a declared file, at most its declared limit; empty where there is none."""
        return _read(self._now(path), 0, self._declared(path, size))

    def tail(self, path: str, size: int | None = None) -> bytes:
        """The last bytes of a declared file."""
        limit, place = self._declared(path, size), self._now(path)
        try:
            return _read(place, max(0, os.lstat(place).st_size - limit), limit)
        except OSError:
            return b""

    def text(self, path: str, size: int | None = None) -> str:
        """The first bytes as text; what is no UTF-8 is replaced."""
        return self.head(path, size).decode("utf-8", "replace")

    def tables(self, path: str) -> frozenset[str]:
        """The tables of a declared database."""
        if path not in self._tables:
            self._require(path)
            self._tables[path] = table_names(self._now(path))
        return self._tables[path]

    def rows(
        self, path: str, table: str, columns: Sequence[str], where: str = "", values: Sequence[object] = (),
    ) -> list[tuple[object, ...]]:
        """Rows of a declared database, declared columns only; empty where there are none."""
        reads = [reads for reads in self._require(path) if table in reads.tables]
        return select(self._now(path), table, columns, reads[0].tables if reads else {}, where=where, values=values)

    def member(self, path: str) -> bytes:
        """The declared member of a declared zip archive; empty where there is none."""
        import zipfile  # noqa: PLC0415  8 ms that few jobs need

        place = self._now(path)
        for reads in self._require(path):
            if reads.member and is_regular(place):
                try:
                    with zipfile.ZipFile(place) as archive, archive.open(reads.member) as member:
                        return member.read(reads.limit)
                except (OSError, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
                    return b""
        return b""

    def _require(self, path: str) -> list[Reads]:
        matching = [reads for pattern, reads in self._reads if pattern.match(path)]
        if not matching:
            raise PermissionError(f"{path} is not declared to be read.")
        return matching

    def _declared(self, path: str, size: int | None) -> int:
        limit = max(reads.limit for reads in self._require(path))
        return limit if size is None else min(size, limit)


def _read(path: str, offset: int, size: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return os.pread(descriptor, size, offset)
    except OSError:
        return b""
    finally:
        os.close(descriptor)

