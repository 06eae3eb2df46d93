"""What puts the code of a job in a commit: the files that it needs by their names, and no others."""

import os
import re
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from roar.analyze.sources import is_source
from roar.model import Job
from roar.observe.code import find_repository
from roar.observe.patches import name_of, sections_of
from roar.observe.redaction import redact_patch, redact_text
from roar.query.jobs import files_of, load_patch
from roar.query.repository import APPLY, find_submodules, find_work_tree, is_inside, run_git, without_submodules
from roar.record.evidence import was_written
from roar.shell import quoted, quoted_path
from roar.workspace import Workspace

_UNFINISHED = {
    "rebase-merge": "rebase", "rebase-apply/applying": "am", "rebase-apply": "rebase", "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick", "REVERT_HEAD": "revert", "BISECT_START": "bisect"}
"""What git keeps in its own folder while something is not finished, by the command that began it; a rebase picks, and
merges, commits itself."""
_MEANS_MORE = frozenset("*?[\\")
_BEFORE = re.compile(rb"^index ([0-9a-f]+)\.\.", re.MULTILINE)
"""The content of a file before a change, in one section of a patch."""
_ARGUMENTS = 500  # paths that fit one command line with room to spare
_LONGEST = 16_000_000
"""So many bytes at most are looked through for secrets."""


class Commit(NamedTuple):
    """What to type.

    Attributes:
        command: "" where all is in a commit by now.
        obstacle: why there is nothing to type; None where there is.
        undone: a file whose changes, which the job ran with, are not there any more, be it source code or what the job
            read, and made by no job; None where all are, or where more was changed since. The step would run with
            other code.
    """

    command: str
    obstacle: str | None = None
    undone: str | None = None


class _ObstacleError(Exception):
    """Why nothing can be typed."""


def find_commit(database: sqlite3.Connection, workspace: Workspace, job: Job) -> Commit:
    """What puts a job's code in a commit, with a repository first where it has none.

    Of what git does not track that is the sources that the job read. git passes over what lies in a submodule or in
    another repository, unless asked to take that. What it is told to ignore, what seems to hold a secret, code that is
    not there any more, and how to go on with a merge or the like is for nobody but the user.
    """
    try:
        commit = _find_commit(database, workspace, job)
        return commit._replace(undone=_find_undone(database, workspace, job))
    except _ObstacleError as error:
        return Commit("", obstacle=str(error))


def _find_commit(database: sqlite3.Connection, workspace: Workspace, job: Job) -> Commit:
    tree = find_work_tree(workspace, job)
    if tree is None and job.git is not None:
        return Commit("")
    root = tree or workspace.root
    code = _code_names(database, workspace, job, root)
    names = [name for name in code if os.path.lexists(os.path.join(root, name))]
    if tree is None:
        _refuse_secrets(root, names)
        folder = quoted_path(os.path.relpath(root))
        git = "git" if folder == "." else f"git -C {folder}"
        return Commit(_and("git init" if folder == "." else f"git init {folder}", *_add(root, names, git),
                           f"{git} commit" if names else f"{git} commit --allow-empty"))
    head = run_git(tree, "rev-parse", "--verify", "-q", "HEAD")
    submodules = [one.name for one in find_submodules(tree, head, None)] if head is not None else []
    inside = {place: _below(place, names) for place in sorted(submodules, reverse=True)}
    taken = {name for found in inside.values() for name in found}
    own = [name for name in names if name not in taken]
    nested = sorted({place for name in own if (place := _nested_repository(tree, name))})
    others = {place: _below(place, own) for place in nested}
    own = [name for name in own if not any(name in found for found in others.values())]
    wanted = {**inside, **others}
    repositories = (tree, *(os.path.join(tree, place) for place, found in wanted.items() if found))
    unfinished = next(filter(None, map(_find_unfinished, repositories)), None)
    if unfinished is not None:
        raise _ObstacleError(unfinished)
    done: dict[str, list[str]] = {}
    for place, found in wanted.items():
        around = any(is_inside(other, place) for other in done)
        commands = _commit_in(os.path.join(tree, place), [os.path.relpath(name, place) for name in found],
                              more=around) if found or around else []
        commands += [_make_submodule(tree, place)] if place in others else []
        if commands:
            done[place] = commands
    commands = [*chain.from_iterable(done.values()), *_commit_in(tree, own, more=bool(done))]
    _refuse_lost_code(tree, [name for name in code if name not in names])
    return Commit(_and(*commands))


def _find_undone(database: sqlite3.Connection, workspace: Workspace, job: Job) -> str | None:
    tree = find_work_tree(workspace, job)
    patch = without_submodules(load_patch(database, job) or b"")
    if tree is None or not patch or _applies(tree, patch, "--reverse"):
        return None
    read = {workspace.absolute(use.path) for use in job.inputs}
    sections = {name: section for section in sections_of(patch) if (name := name_of(section))}
    places = {name: os.path.join(tree, name) for name in sections}
    return next((name for name, place in places.items() if (is_source(name) or place in read)
                 and os.path.lexists(place) and not was_written(database, workspace, place)
                 and _is_undone(tree, name, sections[name])), None)


def _is_undone(tree: str, name: str, section: bytes) -> bool:
    """Whether a file is as it was before the changes of a section, or has at their places what was there before.

    The latter is so in another branch; the content itself tells where a secret was taken out of the patch.
    """
    before = _BEFORE.search(section)
    now = run_git(tree, "hash-object", "--", name) if before is not None else None
    if before is not None and now is not None and now.startswith(before[1].decode()):
        return True
    return _applies(tree, section) and not _applies(tree, section, "--reverse")


def _applies(tree: str, patch: bytes, *options: str) -> bool:
    return run_git(tree, *APPLY, "--check", *options, content=patch) is not None


def _refuse_lost_code(tree: str, gone: Sequence[str]) -> None:
    """Without a source that is gone, and that git does not have, a step would only fail."""
    tracked = set((run_git(tree, "ls-files", "-z") or "").split("\0")) if gone else set()
    lost = next((name for name in gone if name not in tracked), None)
    if lost is not None:
        raise _ObstacleError(f"{lost} is gone, which the code needs")


def _refuse_secrets(folder: str, names: Iterable[str], patch: str = "") -> None:
    """What seems to hold a secret is in no command that commits it: files that git does not track, and a patch."""
    texts = {name: section.decode("utf-8", "surrogateescape") for section in sections_of(os.fsencode(patch))
             if (name := name_of(section))}
    texts |= {name: _as_patch(os.path.join(folder, name)) for name in names}
    held = next((name for name, text in texts.items() if _adds_secret(text)), None)
    if held is not None:
        raise _ObstacleError(f"{held} seems to hold a secret: it has to go before the file is committed")


def _adds_secret(patch: str) -> bool:
    return any(line != kept for line, kept in zip(patch.split("\n"), redact_patch(patch).split("\n"), strict=True)
               if line.startswith("+"))


def _as_patch(path: str) -> str:
    """The text of a file as a patch adds it; "" for what is no text, or too long to be source."""
    try:
        with open(path, "rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError:
        return ""
    if b"\0" in content or len(content) > _LONGEST:
        return ""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    return "\n".join((f"@@ -0,0 +1,{len(lines)} @@", *(f"+{line}" for line in lines)))


def _find_unfinished(folder: str) -> str | None:
    """What git has begun in a work tree and not ended, be it only conflicts, and what ends it; None without that."""
    kept = run_git(folder, "rev-parse", *(word for name in _UNFINISHED for word in ("--git-path", name))) or ""
    verb = next((verb for path, verb in zip(kept.splitlines(), _UNFINISHED.values(), strict=False)
                 if os.path.lexists(os.path.join(folder, path))), None)
    git = git_in(folder)
    has_conflicts = bool(run_git(folder, "ls-files", "--unmerged"))
    if verb is None or (verb == "bisect" and has_conflicts):
        return f"conflicts are not resolved: `{git} status` names the files, `{git} add` each once it is right" if (
            has_conflicts) else None
    if verb == "bisect":
        return f"a bisect is not finished: `{git} bisect reset` ends it"
    resolved = " once its conflicts are resolved" if has_conflicts else ""
    return (f"{'an' if verb == 'am' else 'a'} {verb} is not finished: `{git} {verb} --continue`{resolved},"
            f" or `{git} {verb} --abort`")


def _code_names(database: sqlite3.Connection, workspace: Workspace, job: Job, root: str) -> list[str]:
    """The files that hold a job's code and were in no commit, by their names below `root`.

    Where git was not asked, the sources are among the inputs.
    """
    if job.git is not None:
        return list(filter(None, map(name_of, sections_of(load_patch(database, job) or b""))))
    paths = [workspace.absolute(file.path) for use in job.inputs for file in files_of(database, use)
             if is_source(file.path)]
    return [os.path.relpath(path, root) for path in paths if is_inside(path, root)]


def _below(place: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(f"{place}/")]


def _commit_in(folder: str, names: Sequence[str], *, more: bool) -> list[str]:
    """The commands that commit these files in one repository, and the changes of those that it tracks.

    Args:
        folder: its work tree.
        names: of files there, relative to it.
        more: whether there will be changes of what it tracks, when these commands run.
    """
    tracked = set((run_git(folder, "ls-files", "-z") or "").split("\0"))
    new = [name for name in names if name not in tracked]
    ignored = set((run_git(folder, "check-ignore", "-z", "--stdin", content=os.fsencode("\0".join(new))) or "")
                  .split("\0")) if new else set()
    changed = more or bool(run_git(folder, "status", "--porcelain", "--untracked-files=no",
                                   "--ignore-submodules=dirty"))
    _refuse_hidden(folder, [name for name in names if name in tracked])
    kept_back = [name for name in new if name in ignored]
    if kept_back:
        raise _ObstacleError(f"{kept_back[0]} is ignored by git: `git add -f` adds it, if it may be seen")
    _refuse_secrets(folder, new, (run_git(folder, "diff", "HEAD") or "") if changed else "")
    git = git_in(folder)
    adding = _add(folder, new, git)
    if adding or changed:
        return [*adding, f"{git} commit -a" if changed else f"{git} commit"]
    has_commit = run_git(folder, "rev-parse", "--verify", "-q", "HEAD") is not None
    return [] if has_commit else [f"{git} commit --allow-empty"]


def _refuse_hidden(folder: str, names: Sequence[str]) -> None:
    """What git is told to pass over is in no commit, however often the step runs again (git-update-index(1))."""
    for start in range(0, len(names), _ARGUMENTS):
        some = names[start:start + _ARGUMENTS]
        listed = run_git(folder, "--literal-pathspecs", "ls-files", "-v", "-z", "--", *some) or ""
        hidden = {line[2:]: line[0] for line in listed.split("\0") if line and (line[0].islower() or line[0] == "S")}
        for name, mark in hidden.items():
            now, committed = run_git(folder, "hash-object", "--", name), run_git(folder, "rev-parse", f"HEAD:{name}")
            if now is not None and now != committed:
                marks = ["--no-skip-worktree"] * (mark in "Ss") + ["--no-assume-unchanged"] * mark.islower()
                commands = _and(*(f"{git_in(folder)} update-index {option} {quoted_path(name)}" for option in marks))
                raise _ObstacleError(f"git is told to pass over {name}: `{commands}` lets its changes be committed")


def _add(folder: str, names: Sequence[str], git: str) -> list[str]:
    """The command that adds files to what will be committed, with git as it is typed for their work tree."""
    if not names:
        return []
    literally = any(_MEANS_MORE.intersection(name) or name.startswith(":") for name in names)
    paths = [os.path.relpath(os.path.join(folder, name)) if git == "git" else name for name in names]
    return [f"{git}{' --literal-pathspecs' if literally else ''} add {' '.join(map(quoted_path, paths))}"]


def git_in(folder: str) -> str:
    """How git is typed for a work tree, in the folder that one is in."""
    if find_repository(os.getcwd()) == os.path.realpath(folder):
        return "git"
    return f"git -C {quoted_path(os.path.relpath(folder))}"


def _nested_repository(tree: str, name: str) -> str | None:
    """The highest repository within a work tree that a file lies in, of which git takes nothing by `git add`."""
    folders = name.split("/")[:-1]
    places = ("/".join(folders[:end]) for end in range(1, len(folders) + 1))
    return next((place for place in places if os.path.lexists(os.path.join(tree, place, ".git"))), None)


def _make_submodule(tree: str, place: str) -> str:
    folder = os.path.join(tree, place)
    url = (run_git(folder, "remote", "get-url", "origin") or "").strip()
    known = quoted(url) if url and redact_text(url) == url else "URL"
    git = git_in(tree)
    return f"{git} submodule add --force {known} {quoted_path(os.path.relpath(folder) if git == 'git' else place)}"


def _and(*commands: str) -> str:
    return " && ".join(filter(None, commands))
