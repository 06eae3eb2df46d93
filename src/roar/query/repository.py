"""What git knows of a job's code now, and what its commit brings."""

import os
import sqlite3
import subprocess
from collections.abc import Iterable, Sequence

from roar.model import Job, Kind, is_location
from roar.query.files_now import dataset_is_unchanged
from roar.query.jobs import iter_members
from roar.query.roots import Root
from roar.workspace import Workspace

_CHUNK = 1 << 20


def run_git(folder: str, *arguments: str) -> str | None:
    """What git says in `folder`, without the end of its last line; None where there is no such folder or git fails."""
    if not os.path.isdir(folder):
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except OSError:
        return None
    return os.fsdecode(done.stdout).rstrip("\n") if done.returncode == 0 else None


def roots_from_commits(database: sqlite3.Connection, workspace: Workspace, roots: Sequence[Root], jobs: Iterable[Job]
                       ) -> tuple[str, ...]:
    """Paths of the root inputs that a checkout of the commit of each job that reads them brings as they were read.

    A path that was read with more than one content is among them where each of these comes so.
    """
    commits = {job.uid: job.git.commit if job.git is not None else None for job in jobs}
    tracked = {commit: _tracked(workspace.root, commit) for commit in set(commits.values()) if commit is not None}
    brought: dict[str, bool] = {}
    for root in roots:
        wanted = {commits.get(uid) for uid in root.used_by}
        brought[root.path] = brought.get(root.path, True) and all(
            commit is not None and _brings(database, workspace, root, commit, tracked[commit]) for commit in wanted)
    return tuple(path for path, comes in brought.items() if comes)


def _tracked(folder: str, commit: str) -> frozenset[str]:
    """The paths below `folder` in a commit, relative to it."""
    listed = run_git(folder, "ls-tree", "-r", "-z", "--name-only", commit)
    return frozenset((listed or "").split("\0"))


def _brings(database: sqlite3.Connection, workspace: Workspace, root: Root, commit: str, tracked: frozenset[str]
            ) -> bool:
    if root.digest is None or os.path.isabs(root.path) or is_location(root.path):
        return False
    if root.kind is Kind.FILE:
        return root.path in tracked and _digest_in(workspace.root, commit, root.path) == root.digest
    row = database.execute("SELECT id FROM artifact WHERE digest = ?", (bytes.fromhex(root.digest),)).fetchone()
    folder = os.path.dirname(root.path)
    below = f"{folder}/" if folder else ""
    difference = ("--literal-pathspecs", "diff", "--quiet", commit, "--", folder or ".")
    return (all(below + member.path in tracked for member in iter_members(database, row[0]))
            and run_git(workspace.root, *difference) is not None
            and dataset_is_unchanged(database, workspace.absolute(folder), row[0]))


def _digest_in(folder: str, commit: str, path: str) -> str | None:
    """The digest of what a checkout of `commit` would write at `path`; None where git cannot tell."""
    from blake3 import blake3  # noqa: PLC0415  only where a commit holds the path

    try:
        process = subprocess.Popen(["git", "cat-file", "--filters", f"{commit}:./{path}"], cwd=folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    digest = blake3()
    with process:
        assert process.stdout is not None
        while chunk := process.stdout.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() if process.returncode == 0 else None
