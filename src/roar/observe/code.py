"""The code as it was when the command started: commit, branch, remote, and the patch of uncommitted changes.

git itself is asked, with its optional locks off, so that nothing in the repository changes.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from roar.model import PATCH_TOO_LARGE, Git
from roar.observe.environ import environment
from roar.observe.redaction import redact_patch, redact_text, redact_url

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from roar.observe.comparison import Comparison
    from roar.observe.trace import Signature

PATCH_LIMIT = 16 * 1024 * 1024  # bytes; a larger patch is data rather than code
TIMEOUT_S = 60.0
ARGUMENTS = 500  # paths that fit one command line with room to spare

DIFF = ("-c", "diff.autoRefreshIndex=false", "-c", "core.quotePath=true", "-c", "diff.suppressBlankEmpty=false",
        "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3",
        "--full-index", "--inter-hunk-context=0", "--diff-algorithm=default", "--indent-heuristic", "--find-renames",
        "-O/dev/null", "--submodule=short", "--ignore-submodules=untracked")
"""Arguments of git for a difference that is the same with any settings of the user."""
GIT = ("git", "-c", "core.trustctime=true", "-c", "core.checkStat=default", "-c", "core.fsmonitor=false")
"""git, with its own look at every file, whatever the user's settings let it pass over (git-config(1))."""

_UNTOUCHED = re.compile(rb"^diff --git .*\n(?=diff --git |\Z)", re.MULTILINE)
"""A file with other times and the same content: to refresh the index, as git does by default, locks it to others."""
_ORDINARY = re.compile(r"(?:[A-Za-z0-9_.@+=,~-]+/)*[A-Za-z0-9_.@+=,~-]+")  # a name that a patch has as it is
_SHA1 = 40  # characters of an object's name, in repositories that do not take SHA-256
_ALIASES = 5  # symbolic references behind each other that git follows
_FOREIGN = frozenset({
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_DIFF_OPTS", "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What git says.

    Attributes:
        root: the work tree's root folder, absolute.
        git: the facts that the job keeps.
        patch: the patch against `git.commit`, with secrets replaced; None for a clean tree.
        note: why something is missing, or None.
    """

    root: str
    git: Git
    patch: bytes | None
    note: str | None


def find_repository(start: str) -> str | None:
    """The root of the git work tree that `start` lies in, or None. Reads folders only; runs nothing."""
    folder = os.path.abspath(start)
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


class Refusal(NamedTuple):
    """What git says where it does not answer for a repository.

    Attributes:
        reason: its own words, such as `detected dubious ownership in repository at '/srv/code'`.
        hint: the command that it names to mend that, or None.
    """

    reason: str
    hint: str | None


def find_refusal(root: str) -> Refusal | None:
    """Why git does not answer for the repository with this root; None where it does, or is missing."""
    done = _run(root, "rev-parse", "--git-dir")
    return None if done is None or done.returncode == 0 else refusal_of(done.stderr)


def refusal_of(stderr: bytes) -> Refusal:
    """What git said when it failed; what it calls fatal, before the last that it said."""
    said = [line.strip() for line in os.fsdecode(stderr).strip().splitlines()] or ["gives no reason"]
    reason = next((line for line in said if line.startswith("fatal: ")), said[-1])
    hint = next((line for line in said if line.startswith("git config ")), None)
    return Refusal(reason.removeprefix("fatal: "), hint)


def git_environment() -> dict[str, str]:
    """The environment for git, without what binds it to one repository, as inside a hook, or changes its answers.

    Large files (git-lfs-config(5)) stay pointers: what a server would have to be asked for is no part of a clone.
    """
    return {name: value for name, value in environment().items() if name not in _FOREIGN} | {
        "GIT_LFS_SKIP_SMUDGE": "1"}


def _own_environment() -> dict[str, str]:
    return git_environment() | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}


def ask_git(root: str, *arguments: str, index: str | None = None) -> bytes | None:
    """The output of one git command at the root of a work tree, None where it failed."""
    done = _run(root, *arguments, index=index)
    return done.stdout if done is not None and done.returncode == 0 else None


def _run(root: str, *arguments: str, index: str | None = None, content: bytes = b""
         ) -> "CompletedProcess[bytes] | None":
    """One git command; None where it cannot be run. Apart from the terminal: Ctrl-C is the command's."""
    import subprocess  # noqa: PLC0415  only inside a repository

    environment = _own_environment()
    if index is not None:
        environment["GIT_INDEX_FILE"] = index
    try:
        return subprocess.run([*GIT, "-C", root, *arguments], env=environment, input=content, capture_output=True,
                              timeout=TIMEOUT_S, start_new_session=True, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None


def read_head(root: str) -> str | None:
    """The commit that HEAD names now, read from git's own files in microseconds; None where that is not plain.

    Taken before the command starts, so that a commit made by the command changes nothing
    (formats: gitrepository-layout(5)).
    """
    try:
        git_dir = find_git_folder(root)
        common = git_dir
        link = os.path.join(git_dir, "commondir")
        if os.path.exists(link):
            common = os.path.normpath(os.path.join(git_dir, _first_line(link)))
        text: str | None = _first_line(os.path.join(git_dir, "HEAD"))
        for _ in range(_ALIASES):
            if text is None or not text.startswith("ref: "):
                return text
            text = _read_reference(text[5:], git_dir, common)
        return None
    except OSError:
        return None


def _read_reference(name: str, git_dir: str, common: str) -> str | None:
    """What a reference holds: a commit, or `ref: ` and another one."""
    for folder in (git_dir, common):
        if os.path.exists(os.path.join(folder, name)):
            return _first_line(os.path.join(folder, name))
    with open(os.path.join(common, "packed-refs"), encoding="utf-8", errors="surrogateescape") as packed:
        return next((line.split()[0] for line in packed if line.rstrip("\n").endswith(" " + name)), None)


def find_git_folder(root: str) -> str:
    """Where git keeps what it knows of a work tree: `.git`, or the folder that such a file names.

    Raises:
        OSError: neither is there.
    """
    path = os.path.join(root, ".git")
    if os.path.isdir(path):
        return path
    return os.path.normpath(os.path.join(root, _first_line(path).removeprefix("gitdir: ")))


def _first_line(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.readline().rstrip("\n")


def begin_comparison(root: str, commit: str) -> "Comparison | None":
    """Have git find out what is uncommitted, for `read_code`; None where it cannot be started.

    Args:
        root: of the work tree.
        commit: to compare with.
    """
    from roar.observe.comparison import Comparison  # noqa: PLC0415  only inside a repository

    try:
        return Comparison([*GIT, "-C", root, *DIFF, "--binary", commit], _own_environment(), timeout_s=TIMEOUT_S)
    except OSError:
        return None


def read_code(start: str, *, head: str | None = None, comparison: "Comparison | None" = None) -> Code | None:
    """The facts about the repository around `start`; None where there is none, or no git program.

    Args:
        start: absolute path of a folder.
        head: the commit read before the command started; git is asked when None.
        comparison: with that commit, begun before the command started; done now when None.
    """
    root = find_repository(start)
    if root is None:
        return None
    commit = head or _line(ask_git(root, "rev-parse", "--verify", "-q", "HEAD"))
    inside = ask_git(root, "rev-parse", "--is-inside-work-tree")
    if inside is None:
        return None
    branch = find_branch(root)
    patch, note = _read_patch(root, commit, comparison)
    facts = Git(commit=commit, branch=branch, remote=find_remote(root, branch), dirty=bool(patch) or note is not None,
                worktree=_find_link(root))
    return Code(root=root, git=facts, patch=patch, note=note)


def _find_link(root: str) -> str | None:
    """The name that git gave a linked work tree; None in the main one (gitrepository-layout(5))."""
    try:
        folder = find_git_folder(root)
    except OSError:
        return None
    above, name = os.path.split(folder)
    is_linked = os.path.basename(above) == "worktrees" and os.path.exists(os.path.join(folder, "commondir"))
    return redact_text(name) if is_linked else None


def _line(output: bytes | None) -> str | None:
    text = os.fsdecode(output).strip() if output else ""
    return text or None


def find_branch(root: str) -> str | None:
    """The branch that is checked out; None where HEAD is detached."""
    return _line(ask_git(root, "symbolic-ref", "-q", "--short", "HEAD"))


def find_remote(root: str, branch: str | None) -> str | None:
    """The URL of a branch's remote, of `origin`, or of the first there is, without user info (git-config(1))."""
    listed = ask_git(root, "config", "--get-regexp", "-z", r"^(branch|remote)\..*\.(remote|url)$") or b""
    values = dict(entry.split("\n", 1) for entry in os.fsdecode(listed).split("\0") if "\n" in entry)
    name = values.get(f"branch.{branch}.remote") or None
    url = values.get(f"remote.{name or 'origin'}.url")
    if url is None and name is None:
        url = next((values[key] for key in sorted(values) if key.startswith("remote.") and key.endswith(".url")), None)
    return redact_url(url.strip()) if url and url.strip() else None


def _read_patch(root: str, commit: str | None, comparison: "Comparison | None" = None
                ) -> tuple[bytes | None, str | None]:
    """The uncommitted changes of tracked files, and a note where they could not be had."""
    against = commit or "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's empty tree, before the first commit
    patch = None if comparison is None else comparison.result()
    if patch is None or _marked(root):
        with _full_index(root) as index:
            patch = ask_git(root, *DIFF, "--binary", against, index=index)
    patch = None if patch is None else _UNTOUCHED.sub(b"", patch)
    if patch is not None and b"+Subproject commit " in patch:
        inner = _patch_in_submodules(root, against)
        patch += inner if len(patch) + len(inner) <= PATCH_LIMIT else b""
    if patch is None:
        return None, "git could not tell what is uncommitted"
    if len(patch) > PATCH_LIMIT:
        return None, f"{PATCH_TOO_LARGE} {len(patch) // 1_000_000} MB and were not kept"
    return (_without_secrets(patch), None) if patch else (None, None)


def _patch_in_submodules(root: str, against: str, above: str = "") -> bytes:
    """The uncommitted changes in changed submodules, each against its own HEAD; their names start from `root`."""
    listed = ask_git(root, "diff-index", "-z", "--ignore-submodules=untracked", against) or b""
    fields = os.fsdecode(listed).split("\0")
    patches = b""
    for modes, name in zip(fields[::2], fields[1::2], strict=False):
        inner, place = os.path.join(root, name), f"{above}{name}/"
        if modes.split()[1] != "160000" or not os.path.lexists(os.path.join(inner, ".git")):
            continue
        patch = ask_git(inner, *DIFF, f"--src-prefix=a/{place}", f"--dst-prefix=b/{place}", "--binary", "HEAD") or b""
        patch = _UNTOUCHED.sub(b"", patch)
        patches += patch
        if b"+Subproject commit " in patch:
            patches += _patch_in_submodules(inner, "HEAD", place)
    return patches


def _marked(root: str, *, gone: bool = False) -> list[bytes]:
    """The files that git takes for unchanged without a look, on request also those that are not there."""
    listed = ask_git(root, "ls-files", "-v", "-z") or b""
    return [entry[2:] for entry in listed.split(b"\0") if entry and (entry[:1] == b"S" or entry[:1].islower())
            and (gone or os.path.lexists(os.path.join(os.fsencode(root), entry[2:])))]


@contextmanager
def _full_index(root: str) -> Iterator[str | None]:
    """A copy of the index in which git looks at all files; None where its own does.

    Those marked with `git update-index --skip-worktree` or `--assume-unchanged` count as unchanged for git, whatever
    they hold. One that is not there (a sparse checkout) is left out on purpose.
    """
    names = _marked(root)
    place = _line(ask_git(root, "rev-parse", "--git-path", "index")) if names else None
    if place is None:
        yield None
        return
    import shutil  # noqa: PLC0415  hardly any repository has such files
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="roar-") as folder:
        # with its time, by which git tells the files that changed in the second in which it was written
        index = shutil.copy2(os.path.join(root, place), os.path.join(folder, "index"))
        for mark in ("--no-skip-worktree", "--no-assume-unchanged"):
            _run(root, "-c", "core.splitIndex=false", "update-index", mark, "-z", "--stdin", index=index,
                 content=b"".join(name + b"\0" for name in names))
        yield index


def _without_secrets(patch: bytes) -> bytes:
    return redact_patch(patch.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def untracked(root: str, paths: Sequence[str], *, commit: str | None = None, patch: bytes = b"") -> list[str]:
    """Those of `paths` (absolute, below `root`) that git does not track, or only since a commit and a patch on top."""
    if not paths:
        return []
    asked = paths if len(paths) <= ARGUMENTS else ()
    tracked = _named(root, "ls-files", "-z", "--full-name", "--recurse-submodules", "--", *asked)
    if commit is not None:
        added = _named(root, "diff", "--cached", "--name-only", "--diff-filter=A", "-z", "--no-relative", commit, "--",
                       *asked)
        tracked -= added - _patched(root, patch) if added and patch else added
    return [path for path in paths if path not in tracked]


def _patched(root: str, patch: bytes) -> set[str]:
    """The absolute paths of the files that a patch changes or adds, empty ones and those with odd names, too."""
    done = _run(root, "apply", "--numstat", "-z", "-", content=patch)
    return {os.path.join(root, os.fsdecode(entry.split(b"\t", 2)[2]))
            for entry in (done.stdout if done is not None else b"").split(b"\0") if entry.count(b"\t") > 1}


def _named(root: str, *arguments: str) -> set[str]:
    """The absolute paths that git lists."""
    return {os.path.join(root, os.fsdecode(name)) for name in (ask_git(root, *arguments) or b"").split(b"\0") if name}


def read_committed(root: str, commit: str, patch: bytes, seen: "Mapping[str, Signature]", *, started_ns: int
                   ) -> dict[str, str]:
    """Digests of files as they were when the command started, from the commit: for those that were as it has them.

    Not where git converts between the two, nor of files that it takes for unchanged without a look, nor where another
    file may have been moved to the path since.

    Args:
        root: of the work tree.
        commit: that HEAD was.
        patch: the uncommitted changes at the start.
        seen: by absolute path below `root` what was read there.
        started_ns: when the command started, nanoseconds since 1970.
    """
    if not seen or _marked(root, gone=True):
        return {}
    changed = _patched(root, patch) if patch else set()
    names = {path: os.fsencode(os.path.relpath(path, root)) for path in seen
             if path not in changed and "\n" not in path}
    converted = _converted(root, names.values())
    wanted = {path: commit.encode() + b":" + name for path, name in names.items() if name not in converted}
    told = _objects(root, "--batch-check", list(wanted.values())) or b""
    objects = {path: line.split()[0] for path, line in zip(wanted, told.splitlines(), strict=False)
               if line.split()[1:] == [b"blob", str(seen[path].size).encode()]}
    indexed = _indexed(root, [names[path] for path in objects])
    known = {path: entry for path, blob in objects.items()
             if (entry := indexed.get(names[path])) is not None and entry.blob == blob}  # else git has it anew by now
    fitting = [path for path in objects if (_is_same(known[path], seen[path]) if path in known
                                            else _are_folders_unchanged(root, path, started_ns))]
    if not fitting or sum(seen[path].size for path in fitting) > _COMMITTED_LIMIT:
        return {}
    content = _objects(root, "--batch", [wanted[path] for path in fitting])
    return {} if content is None else dict(_digests(content, [(path, seen[path].size) for path in fitting]))


class _Indexed(NamedTuple):
    """A file as git last saw it: the object, the time in seconds and nanoseconds, and the inode, each of 32 bits."""

    blob: bytes
    second: int
    nanosecond: int
    inode: int


_DEBUG = re.compile(rb"\d+ ([0-9a-f]+) 0\t([^\0]+)\0  ctime: \d+:\d+\n  mtime: (\d+):(\d+)\n  dev: \d+\tino: (\d+)\n")
_32_BITS = 0xFFFF_FFFF
_TICK_NS = 20_000_000
"""By so much the clock of a file system may be behind."""


def _indexed(root: str, names: Sequence[bytes]) -> dict[bytes, _Indexed]:
    """What git's index has of files, by their names from the root (git-ls-files(1), `--debug`)."""
    if not names:
        return {}
    asked = list(map(os.fsdecode, names)) if len(names) <= ARGUMENTS else ()
    listed = ask_git(root, "--literal-pathspecs", "ls-files", "--stage", "--debug", "-z", "--full-name", "--", *asked)
    return {name: _Indexed(blob, *map(int, numbers)) for blob, name, *numbers in _DEBUG.findall(listed or b"")}


def _is_same(indexed: _Indexed, read: "Signature") -> bool:
    """Whether what was read is the very file that git saw, not one in a folder that was moved to the place since."""
    second, nanosecond = divmod(read.mtime_ns, 1_000_000_000)
    return ((indexed.inode, indexed.second) == (read.inode & _32_BITS, second & _32_BITS)
            and indexed.nanosecond in {0, nanosecond})  # 0 where another program than git wrote the index


def _are_folders_unchanged(root: str, path: str, since_ns: int) -> bool:
    """Whether no folder between the root and a file can have been moved there since: that changes their time."""
    folder = os.path.dirname(path)
    while len(folder) > len(root):
        try:
            if os.lstat(folder).st_ctime_ns >= since_ns - _TICK_NS:
                return False
        except OSError:
            return False
        folder = os.path.dirname(folder)
    return True


_COMMITTED_LIMIT = 256 * 1024 * 1024  # bytes that are taken from git's objects at once


def _objects(root: str, how: str, names: Sequence[bytes]) -> bytes | None:
    if not names:
        return b""
    done = _run(root, "--no-replace-objects", "cat-file", how, content=b"".join(name + b"\n" for name in names))
    return done.stdout if done is not None and done.returncode == 0 else None


def _digests(content: bytes, files: Iterable[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    """Of objects as git-cat-file(1) prints them: a line, the content and the end of a line for each."""
    from blake3 import blake3  # noqa: PLC0415  only where something is gone that git has

    at = 0
    for path, size in files:
        at = content.index(b"\n", at) + 1
        yield path, blake3(memoryview(content)[at:at + size]).hexdigest()
        at += size + 1


def _converted(root: str, names: Iterable[bytes]) -> set[bytes]:
    """The files whose content is another in the work tree than in a commit, whatever its size (gitattributes(5))."""
    done = _run(root, "check-attr", "--stdin", "-z", "filter", "ident", "working-tree-encoding",
                content=b"".join(name + b"\0" for name in names))
    fields = done.stdout.split(b"\0") if done is not None and done.returncode == 0 else []
    return {name for name, value in zip(fields[::3], fields[2::3], strict=False)
            if value not in {b"unspecified", b"unset"}}


def addition_patch(root: str, path: str, commit: str | None = None) -> bytes:
    """A patch that adds one untracked file, in git's own form (git-diff(1)); empty where it cannot be made.

    Asking git takes milliseconds, too long for each of a thousand: of text with an ordinary name the form is plain.

    Args:
        root: of the work tree.
        path: of the file, absolute.
        commit: any of the repository, which tells how it names objects.
    """
    if not os.path.isfile(path):
        return b""  # a pipe of that name would wait for its other end
    name = os.path.relpath(path, root)
    plain = _ORDINARY.fullmatch(name) and (commit is None or len(commit) == _SHA1)
    found = _read_text(path) if plain else None
    if found is not None:
        return _without_secrets(_adding(name, *found))
    done = _run(root, "-c", "core.autocrlf=false", *DIFF, "--binary", "--no-index", "--", "/dev/null", name)
    if done is None or done.returncode != 1 or len(done.stdout) > PATCH_LIMIT:
        return b""
    return _without_secrets(done.stdout)


def _read_text(path: str) -> tuple[bytes, int] | None:
    """Content and mode of a file that git takes for text, and that is small enough for a patch."""
    try:
        with open(path, "rb") as file:
            text, mode = file.read(PATCH_LIMIT // 2), os.fstat(file.fileno()).st_mode
    except OSError:
        return None
    return (text, mode) if len(text) < PATCH_LIMIT // 2 and b"\0" not in text else None


def _adding(name: str, text: bytes, mode: int) -> bytes:
    import hashlib  # noqa: PLC0415  only where there are new sources

    kept = "100755" if mode & stat.S_IXUSR else "100644"
    blob = hashlib.sha1(b"blob %d\0" % len(text) + text, usedforsecurity=False).hexdigest()
    head = f"diff --git a/{name} b/{name}\nnew file mode {kept}\nindex {'0' * _SHA1}..{blob}\n".encode()
    if not text:
        return head
    lines = text.split(b"\n")
    unfinished = lines.pop() or None
    count = len(lines) + (unfinished is not None)
    head += f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1{f',{count}' if count > 1 else ''} @@\n".encode()
    body = b"".join(b"+" + line + b"\n" for line in lines)
    return head + body + (b"" if unfinished is None else b"+" + unfinished + b"\n\\ No newline at end of file\n")
