"""What git knows of a job's code now, and what a new clone of it brings."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from subprocess import run
from typing import NamedTuple

from roar.analyze.digest import digest_files, signature_of
from roar.model import Job, Kind, is_location
from roar.observe.code import find_repository
from roar.query.jobs import load_blob
from roar.query.roots import Root, members_of
from roar.workspace import Workspace

_PLACES = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
                     "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_NAMESPACE"})


class _Source(NamedTuple):
    """The root of a git work tree, a commit of its repository, and the digest of the changes on top, if any."""

    work_tree: str
    commit: str
    patch: str | None


def git_environment() -> dict[str, str]:
    """The environment for git, without what binds it to one repository, as inside a hook.

    Large files (git-lfs-config(5)) stay pointers: what a server would have to be asked for is no part of a clone.
    """
    return {name: value for name, value in os.environ.items() if name not in _PLACES} | {"GIT_LFS_SKIP_SMUDGE": "1"}


def run_git(folder: str, *arguments: str, content: bytes | None = None) -> str | None:
    """What git says in `folder`, without the end of its last line; None where there is no such folder or git fails."""
    if not os.path.isdir(folder):
        return None
    try:
        done = run(["git", *arguments], cwd=folder, env=git_environment(), input=content or b"", capture_output=True,
                   check=False)
    except OSError:
        return None
    return os.fsdecode(done.stdout).rstrip("\n") if done.returncode == 0 else None


def find_work_tree(workspace: Workspace, job: Job) -> str | None:
    """The root of the git work tree that a job ran in; None where it is not there any more."""
    return find_repository(workspace.absolute(job.cwd))


def find_around(workspace: Workspace, jobs: Iterable[Job]) -> str:
    """The folder that a reproduction of these jobs stands for: the workspace, or the work tree around it."""
    trees = {find_work_tree(workspace, job) for job in jobs if job.git is not None}
    return min((tree for tree in trees if tree is not None and is_inside(workspace.root, tree)), key=len,
               default=workspace.root)


def is_inside(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def lacks_commit(work_tree: str, commit: str) -> bool:
    """Whether git can tell that a commit is not in the repository any more."""
    return (run_git(work_tree, "rev-parse", "--git-dir") is not None
            and run_git(work_tree, "cat-file", "-e", f"{commit}^{{commit}}") is None)


def roots_from_commits(database: sqlite3.Connection, workspace: Workspace, roots: Sequence[Root], jobs: Iterable[Job]
                       ) -> tuple[str, ...]:
    """Paths of the root inputs that a new clone, at the commit of each job that reads them, brings as they were read.

    A path that was read with more than one content is among them where each of these comes so.
    """
    sources = {job.uid: source for job in jobs if (source := _source(workspace, job)) is not None}
    wanted: dict[_Source, list[Root]] = {}
    for root in roots:
        for source in {sources[uid] for uid in root.used_by if uid in sources}:
            wanted.setdefault(source, []).append(root)
    brought = {source: _brought(database, workspace, source, found) for source, found in wanted.items()}
    answer: dict[str, bool] = {}
    for root in roots:
        answer[root.path] = answer.get(root.path, True) and all(
            uid in sources and (root.path, root.digest) in brought[sources[uid]] for uid in root.used_by)
    return tuple(path for path, comes in answer.items() if comes)


def links_from_code(database: sqlite3.Connection, workspace: Workspace, jobs: Iterable[Job]
                    ) -> dict[str, frozenset[str]]:
    """By the uid of each job the symlinks that its commit and its uncommitted changes bring, absolute."""
    found: dict[_Source, frozenset[str]] = {}
    answer = {}
    for job in jobs:
        source = _source(workspace, job)
        if source is None or job.git is None:
            continue
        source = source._replace(patch=job.git.patch)
        if source not in found:
            found[source] = _links(database, source)
        answer[job.uid] = found[source]
    return answer


def _links(database: sqlite3.Connection, source: _Source) -> frozenset[str]:
    patch = load_blob(database, source.patch) if source.patch else None
    with _index(source.work_tree, source.commit, patch) as folder:
        listed = (run_git(folder, "ls-files", "--stage", "-z") or "").split("\0")
    return frozenset(os.path.join(source.work_tree, entry.partition("\t")[2]) for entry in listed
                     if entry.startswith("120000 "))


def _source(workspace: Workspace, job: Job) -> _Source | None:
    work_tree = find_work_tree(workspace, job)
    if work_tree is None or job.git is None or job.git.commit is None:
        return None
    return _Source(work_tree, job.git.commit, None)


def _brought(database: sqlite3.Connection, workspace: Workspace, source: _Source, roots: Iterable[Root]
             ) -> set[tuple[str, str | None]]:
    """Path and digest of those of `roots` that a clone of this commit holds."""
    work_tree, commit, _ = source
    listed = run_git(work_tree, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit) or ""
    tracked = frozenset(listed.split("\0"))
    files = {(root.path, root.digest): found for root in roots
             if (found := _files(database, workspace, work_tree, root)) and tracked.issuperset(found)}
    if not files:
        return set()
    names = {name for found in files.values() for name in found}
    with _clone(work_tree, commit, names) as folder:
        now = _digests(folder, names)
    return {key for key, found in files.items() if all(now.get(name) == digest for name, digest in found.items())}


def _files(database: sqlite3.Connection, workspace: Workspace, work_tree: str, root: Root) -> Mapping[str, str]:
    """The digests of a root input's files by their names in the work tree; none where it is not all inside."""
    if root.digest is None or is_location(root.path):
        return {}
    place = os.path.relpath(workspace.absolute(root.path), work_tree)
    if place.startswith("../"):
        return {}
    if root.kind is Kind.FILE:
        return {place: root.digest}
    folder = place if root.path.endswith("/") else os.path.dirname(place)
    return {os.path.normpath(os.path.join(folder, member.path)): member.digest
            for member in members_of(database, root)}


@contextlib.contextmanager
def _clone(work_tree: str, commit: str, names: Collection[str]) -> Iterator[str]:
    """A folder with these files of a commit as a clone has them; without those that git cannot write.

    Filters and line ends are those of the user's and the machine's settings and of the commit's own attributes: the
    repository's `.git/config`, which may name others, is not cloned.
    """
    with _index(work_tree, commit, None) as folder:
        run_git(folder, "checkout-index", "--quiet", "-z", "--stdin",
                content=b"".join(os.fsencode(name) + b"\0" for name in names))
        yield folder


@contextlib.contextmanager
def _index(work_tree: str, commit: str, patch: bytes | None) -> Iterator[str]:
    """A new repository whose index holds a commit and a patch on top; objects are read where they lie."""
    objects = run_git(work_tree, "rev-parse", "--git-path", "objects")
    kind = run_git(work_tree, "rev-parse", "--show-object-format") or "sha1"
    with tempfile.TemporaryDirectory(prefix="roar-") as folder:
        if objects is not None and run_git(folder, "init", "--quiet", f"--object-format={kind}") is not None:
            link = os.path.join(folder, ".git", "lent")  # in a list of alternates some letters would mean something
            os.symlink(os.path.join(work_tree, objects), link)
            with open(os.path.join(folder, ".git", "objects", "info", "alternates"), "w", encoding="ascii") as file:
                file.write("../lent\n")
            if run_git(folder, "read-tree", commit) is not None and patch is not None:
                run_git(folder, "apply", "--cached", "--whitespace=nowarn", "-", content=patch)
        yield folder


def _digests(folder: str, names: Iterable[str]) -> dict[str, str | None]:
    """The digest of each of these files that is there."""
    places = {os.path.join(folder, name): name for name in names if os.path.isfile(os.path.join(folder, name))}
    done = digest_files({place: signature_of(os.stat(place)) for place in places}, {})
    return {name: done[place].digest for place, name in places.items()}
