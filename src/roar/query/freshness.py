"""Whether the session's outputs are still what a rerun would give, and still what was recorded."""

import os
import sqlite3
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from roar.model import is_location
from roar.query.files_now import dataset_is_unchanged, digest_now, key_of
from roar.query.graph import Step, load_steps, spread
from roar.record import digests
from roar.workspace import Workspace


class Freshness(StrEnum):
    """What an output is worth now."""

    FRESH = "fresh"
    STALE = "stale"  # an input of its job has changed since, or that of a job before it
    CHANGED = "changed"  # no longer what the job wrote
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of the session as it lies there now. `reason` says why it is not fresh."""

    path: str
    digest: str
    step: int
    freshness: Freshness
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The session's steps, with what is stale by the files as they are now, and its outputs."""

    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class _Use:
    """An input or output with a digest, of the last job of a step."""

    step: int
    role: int
    path: str
    artifact_id: int
    digest: str
    is_dataset: bool


def load_status(database: sqlite3.Connection, workspace: Workspace, session: int) -> Status:
    """Compare the last job of each step with the files as they are now. Files are read only where stat(2) differs.

    Objects in a store are not asked for: they count neither as changed nor as up to date.
    """
    steps = load_steps(database, session)
    uses = [use for step in steps for use in _uses(database, step)]
    files = _FilesNow(database, workspace, uses)
    reasons = {step.number: step.stale for step in steps if step.stale is not None}
    own = {(use.step, use.path) for use in uses if use.role != 1}
    made = {use.path for use in uses if use.role != 1}
    for use in uses:
        if use.role == 1 and use.step not in reasons and (use.step, use.path) not in own:
            state = files.state(use)
            if state is Freshness.GONE and use.path in made:
                continue  # an intermediate file that a step can make again is not missed
            if state is not Freshness.FRESH:
                reasons[use.step] = f"its input {use.path} {_WORDS[state]}"
    stale = spread(reasons, {step.number: step.sources for step in steps})
    written = _last_writes(use for use in uses if use.role == 2)  # noqa: PLR2004  roles.py
    return Status(steps=tuple(_with_reason(step, stale.get(step.number)) for step in steps),
                  outputs=tuple(_output(use, files.state(use), stale.get(use.step)) for use in written))


_WORDS = {Freshness.CHANGED: "has changed since", Freshness.GONE: "is gone"}


def _with_reason(step: Step, reason: str | None) -> Step:
    return replace(step, stale=reason)


def _output(use: _Use, state: Freshness, stale: str | None) -> Output:
    reason = {Freshness.CHANGED: f"no longer what @{use.step} wrote", Freshness.GONE: "no longer there"}.get(state)
    if state is Freshness.FRESH and stale is not None:
        state, reason = Freshness.STALE, stale
    return Output(path=use.path, digest=use.digest, step=use.step, freshness=state, reason=reason)


def _uses(database: sqlite3.Connection, step: Step) -> list[_Use]:
    rows = database.execute(
        "SELECT role, path.path, artifact.id, digest, artifact.files IS NOT NULL FROM file_use"
        " JOIN path ON path.id = path_id JOIN artifact ON artifact.id = artifact_id"
        " WHERE job_id = ? AND role < 3 ORDER BY role, ordinal", (step.job.row_id,))
    return [_Use(step.number, role, path, artifact_id, digest.hex(), bool(is_dataset))
            for role, path, artifact_id, digest, is_dataset in rows if not is_location(path)]


def _last_writes(uses: Iterable[_Use]) -> list[_Use]:
    """Of the outputs with the same path the one of the latest step, sorted by path."""
    last: dict[str, _Use] = {}
    for use in uses:
        if use.path not in last or last[use.path].step < use.step:
            last[use.path] = use
    return [last[path] for path in sorted(last)]


class _FilesNow:
    """The present content of recorded paths; looks the whole lot up in the digest cache at once."""

    def __init__(self, database: sqlite3.Connection, workspace: Workspace, uses: Iterable[_Use]) -> None:
        self._database = database
        self._workspace = workspace
        self._datasets: dict[tuple[str, int], bool] = {}
        self._keys: dict[str, digests.Key | None] = {}
        for use in uses:
            if not use.is_dataset and use.path not in self._keys:
                self._keys[use.path] = _stat_key(workspace.absolute(use.path))
        self._digests = digests.find(database, (key for key in self._keys.values() if key is not None))

    def state(self, use: _Use) -> Freshness:
        """Whether the recorded content still lies at its path."""
        if use.is_dataset:
            return self._dataset_state(use)
        key = self._keys[use.path]
        if key is None:
            return Freshness.GONE
        if key not in self._digests:
            try:
                self._digests[key] = digest_now(self._database, self._workspace.absolute(use.path))
            except OSError:
                return Freshness.GONE
        return Freshness.FRESH if self._digests[key] == use.digest else Freshness.CHANGED

    def _dataset_state(self, use: _Use) -> Freshness:
        folder = self._workspace.absolute(use.path)
        if not os.path.isdir(folder):
            return Freshness.GONE
        found = self._datasets.get((folder, use.artifact_id))
        if found is None:
            found = dataset_is_unchanged(self._database, folder, use.artifact_id)
            self._datasets[folder, use.artifact_id] = found
        return Freshness.FRESH if found else Freshness.CHANGED


def _stat_key(path: str) -> digests.Key | None:
    """The digest cache's key of the regular file at `path`, None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return key_of(status) if stat.S_ISREG(status.st_mode) else None
