"""The repositories within the work tree that a job ran in, of which it read sources: submodules, and nested ones.

git says nothing of a nested one: to the repository around, what lies in it is neither tracked nor untracked. Which a
command uses is known when it has ended; their commits are those of when it started, as far as git's own files tell
(gitrepository-layout(5)).
"""

import os
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from roar.model import Repository
from roar.observe.code import ask_git, find_branch, find_git_folder, find_remote, read_head, untracked
from roar.observe.patches import name_of, sections_of
from roar.observe.redaction import redact_text

_CLOCK_NS = 20_000_000
"""By so much a file's time may lie before the moment at which it was written."""
_APART_S = 2
"""By so many seconds at most the time of the last entry in a log differs from the time of its file."""


class _Move(NamedTuple):
    """The commit before HEAD moved, all zeros before the first one, and when it moved, seconds since 1970."""

    before: bytes
    second: int


def find_inner(root: str, sources: Iterable[str], *, started_ns: int, patch: bytes = b""
               ) -> tuple[Repository, ...]:
    """The repositories below `root` that hold any of the sources, those that lie around others first.

    Args:
        root: of the work tree that the job ran in.
        sources: absolute paths below it.
        started_ns: when the command started, nanoseconds since 1970.
        patch: the uncommitted changes of the job, with names from `root`.
    """
    files = _by_repository(root, sources)
    if not files:
        return ()
    submodules = set(_find_submodules(root, files))
    changed = set(map(name_of, sections_of(patch))) if submodules else set()
    found = []
    for place, paths in sorted(files.items()):
        commit = _read_head_at(place, started_ns)
        name = os.path.relpath(place, root)
        found.append(Repository(
            path=redact_text(name), kind="submodule" if place in submodules else "nested", commit=commit,
            remote=find_remote(place, find_branch(place)),
            dirty=any(one.startswith(f"{name}/") for one in changed) if place in submodules
            else _differ(place, paths, commit)))
    return tuple(found)


def _by_repository(root: str, sources: Iterable[str]) -> dict[str, list[str]]:
    """Sources by the root of the repository that they lie in, without those of the one at `root`."""
    around = {root: root}
    files: dict[str, list[str]] = {}
    for path in sources:
        folder, passed = os.path.dirname(path), []
        while folder not in around and len(folder) > len(root):
            passed.append(folder)
            if _is_repository(folder):
                break
            folder = os.path.dirname(folder)
        place = around.get(folder, folder if passed and folder == passed[-1] else root)
        around.update(dict.fromkeys(passed, place))
        if place != root:
            files.setdefault(place, []).append(path)
    return files


def _is_repository(folder: str) -> bool:
    if not os.path.lexists(os.path.join(folder, ".git")):
        return False
    try:
        return os.path.exists(os.path.join(find_git_folder(folder), "HEAD"))
    except OSError:
        return False


def _find_submodules(root: str, places: Collection[str]) -> Iterator[str]:
    """Those that the repository around names as its submodules (gitmodules(5))."""
    for parent in {_find_parent(root, place) for place in places}:
        listed = ask_git(parent, "config", "--file", ".gitmodules", "--get-regexp", "-z", r"^submodule\..*\.path$")
        yield from (os.path.normpath(os.path.join(parent, os.fsdecode(entry.partition(b"\n")[2])))
                    for entry in (listed or b"").split(b"\0") if entry)


def _find_parent(root: str, place: str) -> str:
    """The root of the repository around one that lies below `root`."""
    parent = os.path.dirname(place)
    while len(parent) > len(root) and not _is_repository(parent):
        parent = os.path.dirname(parent)
    return parent


def _read_head_at(root: str, moment_ns: int) -> str | None:
    """The commit that was checked out at some moment; None before the first one, or where that is not certain.

    HEAD is taken where nothing has moved it since, else the log of how it moved (git-reflog(1)): each line has the
    commit before, the one after, who, and when in seconds.
    """
    try:
        log = os.path.join(find_git_folder(root), "logs", "HEAD")
        moved_ns = os.stat(log).st_mtime_ns
        if moved_ns < moment_ns - _CLOCK_NS:
            return read_head(root)
        with open(log, "rb") as file:
            moves = [_Move(line.partition(b" ")[0], int(line.partition(b"\t")[0].split()[-2])) for line in file]
    except (OSError, ValueError, IndexError):
        return None
    is_by_clock = bool(moves) and abs(moves[-1].second - moved_ns // 1_000_000_000) <= _APART_S
    return _find_before(moves, moment_ns // 1_000_000_000) if is_by_clock else None


def _find_before(moves: Sequence[_Move], second: int) -> str | None:
    """What was checked out before the first of the moves after a second; None where one was made in that second."""
    seconds = [move.second for move in moves]
    first = bisect_right(seconds, second)
    if seconds != sorted(seconds) or first == len(moves) or second in seconds:
        return None
    return moves[first].before.decode() if moves[first].before.strip(b"0") else None


def _differ(root: str, paths: Sequence[str], commit: str | None) -> bool:
    """Whether any of these sources is not as a commit has it, or is in none."""
    if commit is None or untracked(root, paths, commit=commit):
        return True
    changed = ask_git(root, "diff", "--name-only", "--no-relative", "-z", commit)
    wanted = {os.fsencode(os.path.relpath(path, root)) for path in paths}
    return changed is None or not wanted.isdisjoint(changed.split(b"\0"))
