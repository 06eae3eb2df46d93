"""What git knows of a job's code now, and what a new clone of it brings."""

import contextlib
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from subprocess import run
from typing import NamedTuple

from roar.analyze.digest import digest_files
from roar.model import Job, Kind, is_location
from roar.observe.code import GIT, find_repository, git_environment
from roar.observe.patches import name_of, sections_of
from roar.observe.trace import signature_of
from roar.query.roots import Root, members_of
from roar.workspace import Workspace

APPLY = ("apply", "-p1", "--whitespace=nowarn", "--no-ignore-whitespace")
"""Arguments of git by which a patch is applied as it is, with any settings of the user."""


_MODE = re.compile(rb"^(?:index \S+|new file mode|deleted file mode)(?: (\d+))?$", re.MULTILINE)
_MOVED_TO = re.compile(rb"^\+Subproject commit ([0-9a-f]+)(-dirty)?$", re.MULTILINE)


class _Source(NamedTuple):
    """The root of a git work tree, a commit of its repository, and the submodules there, each with its commit."""

    work_tree: str
    commit: str
    submodules: "tuple[Submodule, ...]"


def run_git(folder: str, *arguments: str, content: bytes | None = None) -> str | None:
    """What git says in `folder`, without the end of its last line; None where there is no such folder or git fails."""
    if not os.path.isdir(folder):
        return None
    try:
        done = run([*GIT, *arguments], cwd=folder, env=git_environment(), input=content or b"", capture_output=True,
                   check=False)
    except OSError:
        return None
    return os.fsdecode(done.stdout).rstrip("\n") if done.returncode == 0 else None


def find_work_tree(workspace: Workspace, job: Job) -> str | None:
    """The root of the git work tree that a job ran in; None where it is not there any more."""
    return find_repository(workspace.absolute(job.cwd))


def find_work_trees(workspace: Workspace, jobs: Iterable[Job]) -> list[str]:
    """The roots of the work trees that these jobs ran in, those that lie around others first."""
    trees = {find_work_tree(workspace, job) for job in jobs if job.git is not None}
    return sorted((tree for tree in trees if tree is not None), key=len)


def find_around(workspace: Workspace, work_trees: Iterable[str]) -> str:
    """The folder that a reproduction stands for: the workspace, or of the work trees the first around it."""
    return next((tree for tree in work_trees if is_inside(workspace.root, tree)), workspace.root)


def is_inside(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def lacks_commit(work_tree: str, commit: str) -> bool:
    """Whether git can tell that a commit is not in the repository any more."""
    return (run_git(work_tree, "rev-parse", "--git-dir") is not None
            and run_git(work_tree, "cat-file", "-e", f"{commit}^{{commit}}") is None)


class Submodule(NamedTuple):
    """A submodule as a job found it.

    Attributes:
        name: its path from the root of the work tree.
        commit: that was checked out in it.
        is_kept: whether its work tree is there, and its repository has the commit.
        lacks_changes: whether it held uncommitted changes that were not recorded.
    """

    name: str
    commit: str
    is_kept: bool
    lacks_changes: bool


def find_submodules(work_tree: str, commit: str, patch: bytes | None) -> tuple[Submodule, ...]:
    """The submodules of a commit and of uncommitted changes on top, those that lie around others first."""
    sections = {name_of(section): section for section in sections_of(patch or b"")}
    moved = {name: _MOVED_TO.search(section) for name, section in sections.items() if _is_submodule(section)}
    found: list[Submodule] = []
    todo = [*_gitlinks(work_tree, commit), *((name, "") for name in moved)]
    while todo:
        name, at = todo.pop(0)
        change = moved.get(name)
        if name in {other.name for other in found} or (name in moved and change is None):
            continue  # known, or deleted
        at = at if change is None else change[1].decode()
        folder = os.path.join(work_tree, name)
        found.append(Submodule(
            name, at, os.path.lexists(os.path.join(folder, ".git")) and not lacks_commit(folder, at),
            change is not None and change[2] is not None
            and not any(other != name and is_inside(other, name) for other in sections)))
        if found[-1].is_kept:
            todo += [(f"{name}/{inner}", its) for inner, its in _gitlinks(folder, at)]
    return tuple(sorted(found))


@cache
def _gitlinks(work_tree: str, commit: str) -> tuple[tuple[str, str], ...]:
    """Name and commit of each submodule that a commit has itself."""
    if run_git(work_tree, "cat-file", "-e", f"{commit}:.gitmodules") is None:
        return ()
    listed = (run_git(work_tree, "ls-tree", "-r", "-z", "--full-tree", commit) or "").split("\0")
    return tuple((name, facts.split()[2]) for facts, _, name in (entry.partition("\t") for entry in listed)
                 if facts.startswith("160000 "))


def without_submodules(patch: bytes) -> bytes:
    """A patch without what it says of the commits of submodules: those are checked out."""
    return b"".join(section for section in sections_of(patch) if not _is_submodule(section))


def _is_submodule(section: bytes) -> bool:
    """Whether one section of a patch says which commit a submodule has; it has no mode where only `-dirty` is new."""
    mode = _MODE.search(section)
    return _MOVED_TO.search(section) is not None if mode is None else mode[1] == b"160000"


def find_lost_submodules(workspace: Workspace, jobs: Iterable[Job], patches: Mapping[str, bytes]
                         ) -> Iterator[tuple[Job, Submodule]]:
    """The submodules that do not come as jobs found them, each once."""
    known = set()
    for job in jobs:
        source = _source(workspace, job, patches)
        for submodule in source.submodules if source is not None else ():
            if (not submodule.is_kept or submodule.lacks_changes) and submodule not in known:
                known.add(submodule)
                yield job, submodule


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A root input that the commit of its job does not bring, but the one that is checked out now."""

    path: str
    commit: str


class FromCommits(NamedTuple):
    """What new clones bring, at the commits of the jobs of a plan.

    Attributes:
        brought: the uid of a job, and a root input that comes as that job read it.
        later: by the uid of a job what of that comes with the commit that is checked out now, not with its own.
        restored: by the uid of a job the files that come so although its uncommitted changes hold them otherwise: git
            was asked for these while the job ran, which may have changed the files by then.
    """

    brought: frozenset[tuple[str, Root]]
    later: Mapping[str, tuple[Later, ...]]
    restored: Mapping[str, tuple[str, ...]]

    def lacks(self, root: Root) -> bool:
        """Whether one of the jobs that read a root input does not get it so."""
        return any((uid, root) not in self.brought for uid in root.used_by)

    def paths(self, roots: Iterable[Root]) -> tuple[str, ...]:
        """The paths of root inputs that come so; one that was read with several contents where each of these does."""
        answer: dict[str, bool] = {}
        for root in roots:
            answer[root.path] = answer.get(root.path, True) and not self.lacks(root)
        return tuple(path for path, comes in answer.items() if comes)


def inputs_of(roots: Iterable[Root]) -> dict[str, list[Root]]:
    """The root inputs of each job, by its uid."""
    found: dict[str, list[Root]] = {}
    for root in roots:
        for uid in root.used_by:
            found.setdefault(uid, []).append(root)
    return found


def find_in_commits(database: sqlite3.Connection, workspace: Workspace, jobs: Iterable[Job],
                    inputs: Mapping[str, Sequence[Root]], patches: Mapping[str, bytes]) -> FromCommits:
    """What of the inputs of jobs, by uid, their commits and uncommitted changes bring, or the commit that is HEAD now.

    `patches` has the changes by their digest.
    """
    sources = {job.uid: source for job in jobs if (source := _source(workspace, job, patches)) is not None}
    wanted: dict[_Source, list[Root]] = {}
    for uid, source in sources.items():
        wanted.setdefault(source, []).extend(root for root in inputs.get(uid, ()) if root.digest is not None)
    found = {source: _brought(database, workspace, source, None, roots) for source, roots in wanted.items()}
    brought: set[tuple[str, Root]] = set()
    restored = {}
    for job in jobs:
        if job.uid not in sources:
            continue
        source = sources[job.uid]
        roots = inputs.get(job.uid, ())
        patch = patches.get(job.git.patch or "") if job.git is not None else None
        changed = set(patched_names(source.work_tree, patch)) if patch is not None else set()
        known = [root for root in roots if root in found[source]]
        others = [root for root in roots if root not in found[source] and not changed.isdisjoint(
            _files(database, workspace, source.work_tree, root))]
        patched = _brought(database, workspace, source, patch, others) if others else ()
        edited, unpatched = _edited(workspace, source, job, patch, [root for root in roots if root.digest is None])
        brought |= {(job.uid, root) for root in (*known, *patched, *edited)}
        names = [name for root in known for name in _files(database, workspace, source.work_tree, root)]
        restored[job.uid] = tuple(sorted((*(workspace.relative(os.path.join(source.work_tree, name))
                                            for name in changed.intersection(names)),
                                          *(root.path for root in unpatched))))
    left = {uid: [root for root in inputs.get(uid, ()) if root.digest is not None and (uid, root) not in brought]
            for uid in sources}
    later: dict[str, tuple[Later, ...]] = {}
    for uid, commits in _find_later(database, workspace, sources, left).items():
        brought |= {(uid, root) for root in commits}
        later[uid] = tuple(Later(path=root.path, commit=commit) for root, commit in commits.items())
    return FromCommits(frozenset(brought), later, restored)


def _find_later(database: sqlite3.Connection, workspace: Workspace, sources: Mapping[str, _Source],
                left: Mapping[str, Sequence[Root]]) -> dict[str, dict[Root, str]]:
    """By the uid of a job the root inputs that the commit brings which is checked out now, with that."""
    wanted: dict[str, set[Root]] = {}
    for uid, source in sources.items():
        wanted.setdefault(source.work_tree, set()).update(left[uid])
    found: dict[str, dict[Root, str]] = {}
    for tree, roots in wanted.items():
        head = run_git(tree, "rev-parse", "--verify", "-q", "HEAD") if roots else None
        if head is not None:
            source = _Source(tree, head, ())
            found[tree] = {root: head for root in _brought(database, workspace, source, None, roots)
                           if _is_alone(database, workspace, source, root)}
    return {uid: {root: found[source.work_tree][root] for root in left[uid] if root in found[source.work_tree]}
            for uid, source in sources.items() if source.work_tree in found}


def _is_alone(database: sqlite3.Connection, workspace: Workspace, source: _Source, root: Root) -> bool:
    """Whether nothing else comes along when git is told to check out the path of a root input."""
    if root.kind is Kind.FILE:
        return True
    place = _name(workspace, source.work_tree, root.path)
    if not root.path.endswith("/") or place is None:
        return False
    return {name for name in _tracked(source) if is_inside(name, place)} <= _files(
        database, workspace, source.work_tree, root).keys()


def _edited(workspace: Workspace, source: _Source, job: Job, patch: bytes | None, roots: Sequence[Root]
            ) -> tuple[list[Root], list[Root]]:
    """Which of a job's inputs, whose content it changed before it was known, come with its code; which without patch.

    The patch may hold what the job itself wrote, where git was slow: that has another size than what was read, or,
    where this is not known, is the job's output.
    """
    names = {root: inside for root in roots if (inside := _names_of(workspace, source, root))}
    if not names:
        return [], []
    left = {use.path: use.digest for use in job.outputs}
    sizes = {use.path: use.size for use in job.inputs}

    def fits(root: Root, places: Sequence[str], digests: Sequence[str | None]) -> bool:
        size = sizes.get(root.path)
        if size is None:
            return root.kind is Kind.FILE and digests[0] != left.get(root.path)
        return len(places) == (root.files or 1) and size == sum(map(os.path.getsize, places))

    found = []
    for content in (patch, None) if patch is not None else (None,):
        wanted = [name for inside in names.values() for name in inside]
        with _clone(source, content, wanted) as folder:
            now = _digests(folder, wanted)
            found.append([root for root, inside in names.items() if now.keys() >= set(inside)
                          and fits(root, [os.path.join(folder, name) for name in inside], [now[n] for n in inside])])
    unpatched = [root for root in found[-1] if root not in found[0]]
    return [*found[0], *unpatched], unpatched


def _names_of(workspace: Workspace, source: _Source, root: Root) -> list[str]:
    """The files that a root input stands for in its work tree; of a folder those of the commit."""
    name = _name(workspace, source.work_tree, root.path)
    if name is None or root.kind is Kind.FILE:
        return [] if name is None else [name]
    above = "" if name == "." else f"{name}/"
    return [tracked for tracked in _tracked(source) if tracked.startswith(above)] if root.path.endswith("/") else []


def patched_names(work_tree: str, patch: bytes) -> list[str]:
    """The names of the files that a patch changes or adds, relative to the root of the work tree."""
    listed = run_git(work_tree, *APPLY, "--numstat", "-z", "-", content=patch) or ""
    return [entry.split("\t", 2)[2] for entry in listed.split("\0") if entry.count("\t") > 1]


def find_unpatchable(workspace: Workspace, patches: Mapping[str, bytes], jobs: Iterable[Job]) -> Iterator[Job]:
    """The jobs whose patch, by its digest, does not apply to their commit as a clone has it."""
    wanted: dict[_Source, dict[str, list[Job]]] = {}
    for job in jobs:
        source = _source(workspace, job, patches)
        if source is not None and job.git is not None and job.git.patch is not None and job.git.patch in patches:
            wanted.setdefault(source, {}).setdefault(job.git.patch, []).append(job)
    for source, found in wanted.items():
        if run_git(source.work_tree, "cat-file", "-e", f"{source.commit}^{{commit}}") is None:
            continue  # nothing can be said without it
        with _index(source, None) as folder:
            for patch, users in found.items():
                files = without_submodules(patches[patch])
                if files and run_git(folder, *APPLY, "--cached", "--check", "-", content=files) is None:
                    yield from users


def links_from_code(workspace: Workspace, jobs: Iterable[Job], patches: Mapping[str, bytes]
                    ) -> dict[str, frozenset[str]]:
    """By the uid of each job the symlinks that its commit and its uncommitted changes bring, absolute."""
    found: dict[tuple[_Source, str | None], frozenset[str]] = {}
    answer = {}
    for job in jobs:
        source = _source(workspace, job, patches)
        if source is None or job.git is None:
            continue
        key = source, job.git.patch
        if key not in found:
            found[key] = _links(source, patches.get(job.git.patch or ""))
        answer[job.uid] = found[key]
    return answer


def _links(source: _Source, patch: bytes | None) -> frozenset[str]:
    with _index(source, patch) as folder:
        listed = (run_git(folder, "ls-files", "--stage", "-z") or "").split("\0")
    return frozenset(os.path.join(source.work_tree, entry.partition("\t")[2]) for entry in listed
                     if entry.startswith("120000 "))


def _source(workspace: Workspace, job: Job, patches: Mapping[str, bytes]) -> _Source | None:
    work_tree = find_work_tree(workspace, job)
    if work_tree is None or job.git is None or job.git.commit is None:
        return None
    patch = patches.get(job.git.patch or "")
    return _Source(work_tree, job.git.commit, find_submodules(work_tree, job.git.commit, patch))


def _without_commit(workspace: Workspace, job: Job) -> _Source | None:
    """A repository in which nothing was committed yet: its uncommitted changes are all."""
    work_tree = find_work_tree(workspace, job)
    return None if work_tree is None or job.git is None or job.git.commit else _Source(work_tree, "", ())


def _brought(database: sqlite3.Connection, workspace: Workspace, source: _Source, patch: bytes | None,
             roots: Iterable[Root]) -> set[Root]:
    """Those of `roots` that a clone of this commit holds, with a patch."""
    tracked = frozenset((*_tracked(source), *(patched_names(source.work_tree, patch) if patch is not None else ())))
    files = {root: found for root in roots
             if (found := _files(database, workspace, source.work_tree, root)) and tracked.issuperset(found)}
    if not files:
        return set()
    names = {name for found in files.values() for name in found}
    with _clone(source, patch, names) as folder:
        now = _digests(folder, names)
    return {root for root, found in files.items() if all(now.get(name) == digest for name, digest in found.items())}


def _tracked(source: _Source) -> Iterator[str]:
    """The names of the files that a commit and its submodules have."""
    for name, commit in (("", source.commit), *((f"{inner.name}/", inner.commit) for inner in source.submodules)):
        folder = os.path.join(source.work_tree, name)
        listed = run_git(folder, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit) or ""
        yield from (name + found for found in listed.split("\0"))


def _files(database: sqlite3.Connection, workspace: Workspace, work_tree: str, root: Root) -> Mapping[str, str]:
    """The digests of a root input's files by their names in the work tree; none where it is not all inside."""
    place = _name(workspace, work_tree, root.path)
    if root.digest is None or place is None:
        return {}
    if root.kind is Kind.FILE:
        return {place: root.digest}
    folder = place if root.path.endswith("/") else os.path.dirname(place)
    return {os.path.normpath(os.path.join(folder, member.path)): member.digest
            for member in members_of(database, root)}


def _name(workspace: Workspace, work_tree: str, path: str) -> str | None:
    """The name in the work tree of what was recorded at a path; None where it is not inside."""
    place = workspace.absolute(path)
    return os.path.relpath(place, work_tree) if not is_location(path) and is_inside(place, work_tree) else None


@contextlib.contextmanager
def _clone(source: _Source, patch: bytes | None, names: Iterable[str]) -> Iterator[str]:
    """A folder with these files of a commit, and a patch, as a clone has them; without those that git cannot write.

    Filters and line ends are those of the user's and the machine's settings and of the commit's own attributes: the
    repository's `.git/config`, which may name others, is not cloned.
    """
    with _index(source, patch) as folder:
        run_git(folder, "checkout-index", "--quiet", "-z", "--stdin",
                content=b"".join(os.fsencode(name) + b"\0" for name in names))
        yield folder


@contextlib.contextmanager
def _index(source: _Source, patch: bytes | None) -> Iterator[str]:
    """A new repository whose index holds a commit, its submodules as folders, and a patch on top."""
    with _repository([source]) as folder:
        _fill(folder, source, patch)
        yield folder


@contextlib.contextmanager
def _repository(sources: Sequence[_Source]) -> Iterator[str]:
    """A new repository that has the objects of others and of their submodules."""
    kind = run_git(sources[0].work_tree, "rev-parse", "--show-object-format") or "sha1"
    with tempfile.TemporaryDirectory(prefix="roar-") as folder:
        if run_git(folder, "init", "--quiet", f"--object-format={kind}") is not None:
            _lend(folder, dict.fromkeys(place for source in sources for place in (
                source.work_tree,
                *(os.path.join(source.work_tree, inner.name) for inner in source.submodules if inner.is_kept))))
        yield folder


def _fill(folder: str, source: _Source, patch: bytes | None) -> bool:
    """Put a commit, its submodules as folders, and a patch into the index; whether git could."""
    if run_git(folder, "read-tree", source.commit or "--empty") is None:
        return False
    for inner in source.submodules:
        if inner.is_kept:
            run_git(folder, "update-index", "--force-remove", "--", inner.name)
            run_git(folder, "read-tree", f"--prefix={inner.name}/", inner.commit)
    files = without_submodules(patch or b"")
    return not files or run_git(folder, *APPLY, "--cached", "-", content=files) is not None


class Trees(NamedTuple):
    """The code of two jobs as git trees, in a repository that has both."""

    folder: str
    before: str
    after: str


@contextlib.contextmanager
def code_trees(workspace: Workspace, jobs: Sequence[Job], patches: Sequence[bytes]) -> Iterator[Trees | None]:
    """The code of two jobs, each with its uncommitted changes on its commit; None where git cannot tell."""
    sources = [_source(workspace, job, {job.git.patch or "": patch} if job.git is not None else {})
               or _without_commit(workspace, job) for job, patch in zip(jobs, patches, strict=True)]
    known = [source for source in sources if source is not None
             and all(inner.is_kept and not inner.lacks_changes for inner in source.submodules)]
    if len(known) < len(jobs):
        yield None
        return
    with _repository(known) as folder:
        trees = [tree for source, patch in zip(known, patches, strict=True) if _fill(folder, source, patch)
                 and (tree := run_git(folder, "write-tree", "--missing-ok")) is not None]
        yield Trees(folder, *trees) if len(trees) == len(jobs) else None


def _lend(folder: str, work_trees: Iterable[str]) -> None:
    """Let a new repository read the objects of others where they lie."""
    with open(os.path.join(folder, ".git", "objects", "info", "alternates"), "w", encoding="ascii") as file:
        for number, work_tree in enumerate(work_trees):
            objects = run_git(work_tree, "rev-parse", "--git-path", "objects")
            if objects is not None:
                link = f"lent{number}"  # in a list of alternates some letters would mean something
                os.symlink(os.path.join(work_tree, objects), os.path.join(folder, ".git", link))
                file.write(f"../{link}\n")


def _digests(folder: str, names: Iterable[str]) -> dict[str, str | None]:
    """The digest of each of these files that is there."""
    places = {os.path.join(folder, name): name for name in names if os.path.isfile(os.path.join(folder, name))}
    done = digest_files({place: signature_of(os.stat(place)) for place in places}, {})
    return {name: done[place].digest for place, name in places.items()}
