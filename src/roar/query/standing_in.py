"""Scripts that ran jobs of a plan themselves, by `roar run`: they run these again, and so stand for them."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from blake3 import blake3

from roar.model import AS_STDIN, AS_STDOUT, AS_STDOUT_APPENDED, FileUse, Job
from roar.observe.patches import name_of, sections_of
from roar.query.jobs import files_of, load_patch
from roar.query.references import FolderReference, JobReference, Reference
from roar.query.roots import Root, jobs_behind
from roar.query.within import find_beginners, find_inner, find_removed, is_typed, load_given, load_pairs


def jobs_to_run(database: sqlite3.Connection, found: Reference | FolderReference) -> list[int]:
    """The rows of the jobs that led to something, the scripts among them that gave others what they read.

    With a script come all that it ran, and what led to these. Nobody types again what was typed in a shell that gave
    something to a job in it. Symlinks are put where a job had them: who made them need not run for that.
    """
    whole = {*jobs_behind(database, found, given=True, links=False)}
    typed = _typed(database, whole.difference(jobs_behind(database, found, links=False)))
    whole -= typed
    while inner := find_inner(database, whole) - whole:
        for row in sorted(inner):
            behind = () if row in whole else jobs_behind(database, JobReference(row, ""), given=True, links=False)
            more = {*behind} - whole
            whole |= more - _typed(database, more)
    return sorted(whole)


def _typed(database: sqlite3.Connection, rows: Iterable[int]) -> set[int]:
    commands = database.execute("SELECT job.id, command FROM job JOIN step ON step.id = step_id"
                                " WHERE job.id IN (SELECT value FROM json_each(?))", (json.dumps(list(rows)),))
    return {row for row, command in commands if is_typed(command)}


class StandingIn:
    """Which of some jobs stand for others that they ran themselves.

    Args:
        database: the record.
        again: the jobs by their rows.

    Attributes:
        again: all of them.
        outer: by the row of a job the outermost one among them that ran it.
        gave: by the row of a job the rows of those among them from which it got what these have not left.
    """

    def __init__(self, database: sqlite3.Connection, again: Mapping[int, Job]) -> None:
        self._database = database
        self.again = again
        self.outer: dict[int, int] = {}
        for inner, around in load_pairs(database, again):
            self.outer.setdefault(inner, around)
        self.gave: dict[int, set[int]] = {}
        self._given: set[tuple[int, str, str | None]] = set()  # by row of the reader
        for given, artifact in load_given(database, self.outer).items():
            path, digest = database.execute(
                "SELECT path.path, digest FROM path JOIN artifact ON artifact.id = ? WHERE path.id = ?",
                (artifact, given.path)).fetchone()
            self._note_given(given.reader, given.outer, path, digest.hex())
        for inner in self.outer:
            for path, outer in find_beginners(database, inner).items():
                self._note_given(inner, outer, path, None)

    def _note_given(self, inner: int, outer: int, path: str, digest: str | None) -> None:
        if outer in self.again:
            self.gave.setdefault(inner, set()).add(outer)
            self._given.add((inner, path, digest))

    def jobs(self, patches: dict[str, bytes]) -> dict[int, Job]:
        """The jobs to run, by their rows: each with what those read and wrote for which it stands.

        What is in their uncommitted changes, and not in its own, comes into `patches` with these, by a digest.
        """
        found = {}
        for row, job in self.again.items():
            if row not in self.outer:
                inner = self.inside(row)
                found[row] = self._joined(row, inner, patches) if inner else job
        return found

    def inside(self, row: int) -> dict[int, Job]:
        """The jobs for which another one stands, by their rows."""
        return {inner: self.again[inner] for inner, outer in self.outer.items() if outer == row}

    def _joined(self, row: int, inner: Mapping[int, Job], patches: dict[str, bytes]) -> Job:
        job = self.again[row]
        every = dict.fromkeys([*(_not_redirected(use) for one in inner.values() for use in one.outputs), *job.outputs])
        removed = find_removed(self._database, [row, *inner])
        outputs = [use for use in every if not removed or not self._is_removed(use, removed)]
        made = {(use.path, use.digest) for use in every}
        inputs = dict.fromkeys([*job.inputs, *(_not_redirected(use) for row, one in inner.items() for use in one.inputs
                                               if (row, use.path, use.digest) not in self._given)])
        git = job.git
        own = (one.git.patch for one in (job, *inner.values()) if one.git is not None)
        whole = _joined_patch([patches.get(patch or "") for patch in own])
        if git is not None and git.commit is not None and whole is not None:
            digest = blake3(whole).hexdigest()
            patches[digest] = whole
            git = replace(git, patch=digest)
        return replace(job, git=git, outputs=tuple(outputs),
                       inputs=tuple(use for use in inputs if (use.path, use.digest) not in made))

    def _is_removed(self, use: FileUse, removed: AbstractSet[str]) -> bool:
        """Whether nothing is left of an output, as of temporary files."""
        files = {file.path for file in files_of(self._database, use)}
        return bool(files) and files <= removed

    def roots(self, roots: Iterable[Root]) -> Iterator[Root]:
        """Root inputs as those need them that run: without what came to lie there while they ran."""
        row_of = {job.uid: row for row, job in self.again.items()}
        made = {(row, use.path, use.digest) for row in set(self.outer.values())
                for one in (self.again[row], *self.inside(row).values()) for use in one.outputs}
        for root in roots:
            users = dict.fromkeys(
                self.again[outer].uid for row in map(row_of.__getitem__, root.used_by)
                if (row, root.path, root.digest) not in self._given
                and ((outer := self.outer.get(row, row)), root.path, root.digest) not in made)
            if users:
                yield replace(root, used_by=tuple(users))


def _not_redirected(use: FileUse) -> FileUse:
    """A use of an inner job: what that was redirected from and to, the one around it is not."""
    return replace(use, note=None) if use.note in _REDIRECTED else use


_REDIRECTED = {AS_STDIN, AS_STDOUT, AS_STDOUT_APPENDED}


def patch_to_apply(database: sqlite3.Connection, job: Job, within: Iterable[Job]) -> bytes | None:
    """The uncommitted changes that a job needs, with those of the jobs that it runs itself."""
    return _joined_patch([load_patch(database, one) for one in (job, *within)])


def _joined_patch(patches: Sequence[bytes | None]) -> bytes | None:
    """One patch of several, in which each file is as the first of them has it; None where there is none."""
    whole: bytes | None = None
    names: set[str] = set()
    for patch in filter(None, dict.fromkeys(patches)):
        sections = {name: section for section in sections_of(patch) if (name := name_of(section))}
        more = (section for name, section in sections.items() if name not in names)
        whole = patch if whole is None else whole + b"".join(more)
        names.update(sections)
    return whole


def run_by(database: sqlite3.Connection, job: Job, jobs: Iterable[Job]) -> list[Job]:
    """Those of some jobs that one ran itself."""
    uids = {uid for (uid,) in database.execute("SELECT uid FROM inner_job WHERE outer = ?", (job.uid,))}
    return [one for one in jobs if one.uid in uids]
