"""The folder `.roar/` and what lies in it. Found by reading files alone: git itself is never started."""

import os
from dataclasses import dataclass
from errno import EACCES, EDQUOT, ELOOP, ENOSPC, EROFS

from roar.errors import WorkspaceError

FOLDER = ".roar"
ASIDE = ".old"
"""What is put behind the name of what is put aside, and a number where there is one of that name already."""
_TOP = "/"
_ASKED_FOR = "here"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder whose jobs are recorded together.

    Attributes:
        root: absolute path of the folder that holds `.roar/`; paths in the record are relative to it.
    """

    root: str

    @property
    def folder(self) -> str:
        """The `.roar/` folder."""
        return os.path.join(self.root, FOLDER)

    @property
    def database(self) -> str:
        """The SQLite file with the record."""
        return os.path.join(self.folder, "roar.db")

    @property
    def config_file(self) -> str:
        """The workspace's own settings."""
        return os.path.join(self.folder, "config.toml")

    @property
    def pending(self) -> str:
        """The folder that holds one folder of evidence for each job that is not yet recorded."""
        return os.path.join(self.folder, "pending")

    def pending_job(self, uid: str) -> str:
        """The folder for the evidence of job `uid`."""
        return os.path.join(self.pending, uid)

    def pending_uids(self) -> list[str]:
        """The uids of jobs with evidence that is not yet recorded, sorted.

        Raises:
            WorkspaceError: that cannot be found out.
        """
        try:
            return sorted(entry.name for entry in os.scandir(self.pending) if entry.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unreadable(self.pending, error) from error

    def relative(self, path: str) -> str:
        """`path` (absolute, normalised) as it is recorded: relative to the root, absolute outside it."""
        if path == self.root:
            return "."
        return path.removeprefix(self.root.rstrip("/") + "/")

    def absolute(self, path: str) -> str:
        """Where a recorded path lies on this machine."""
        return os.path.normpath(os.path.join(self.root, path))


def find_workspace(start: str | None = None) -> Workspace:
    """The workspace that `start` (default: the current folder) belongs to; its `.roar/` need not exist yet.

    It is the nearest folder upwards that holds `.roar/`. The search ends at the root of the git work tree, which is
    the workspace if nothing was found below it; it goes on from a submodule, which belongs to its superproject.
    Outside any work tree it is `start` itself. A `.roar/` in the root of the file system, which is above every folder,
    counts only where it was asked for.
    """
    start = os.path.realpath(start if start is not None else _current_folder())
    submodule, held = start, ""
    for folder in _upwards(start):
        if os.path.isdir(os.path.join(folder, FOLDER)) and (folder != _TOP or _is_asked_for(folder)):
            return Workspace(folder)
        gitdir = _gitdir(folder)
        if gitdir is None:
            continue
        place = os.path.realpath(os.path.join(folder, gitdir))
        if held and not held.startswith(f"{place}/modules/"):
            break
        if not _is_submodule(gitdir):
            return Workspace(folder)
        submodule, held = folder, place
    return Workspace(submodule)


def open_workspace(start: str | None = None, *, create: bool = False) -> Workspace:
    """The workspace of `start` with its `.roar/` in place.

    Args:
        start: where to look from, default the current folder.
        create: make `.roar/` where it is missing.

    Raises:
        WorkspaceError: there is none and `create` is off, or it cannot be made, or must be asked for.
    """
    workspace = find_workspace(start)
    check_root(workspace)
    check_folder(workspace)
    if create:
        make_folder(workspace)
    elif not os.path.isdir(workspace.folder):
        raise WorkspaceError(f"Nothing has been recorded in {workspace.root} yet.", hint="roar run COMMAND")
    return workspace


def check_root(workspace: Workspace) -> None:
    """Look whether this would be a workspace that all folders of the machine are in, and nobody asked for it.

    Raises:
        WorkspaceError: so it is; names the command that asks for it.
    """
    root = workspace.root
    if root == _TOP and not _is_asked_for(root) and _gitdir(root) is None:
        raise WorkspaceError(f"{root} becomes no workspace by itself: every folder below would belong to it.",
                             hint="cd FOLDER, or roar init --here")


def ask_for(workspace: Workspace) -> None:
    """Make a workspace also where none is made otherwise.

    Raises:
        WorkspaceError: it cannot be made.
    """
    check_folder(workspace)
    make_folder(workspace)
    if workspace.root == _TOP:
        path = os.path.join(workspace.folder, _ASKED_FOR)
        try:
            open(path, "wb").close()
        except OSError as error:
            raise unwritable(path, error) from error


def _is_asked_for(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, FOLDER, _ASKED_FOR))


def check_folder(workspace: Workspace) -> None:
    """Look whether `.roar/` is closed to us, or something stands in its place that is no folder.

    Raises:
        WorkspaceError: so it is; names it, with the command that mends it or shows more of it.
    """
    folder = workspace.folder
    if os.path.isdir(folder):
        if os.access(folder, os.R_OK | os.X_OK):
            return
        raise unreadable(folder, PermissionError(EACCES, os.strerror(EACCES)))
    try:
        os.lstat(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(folder, error) from error
    from roar.shell import quoted  # noqa: PLC0415  brings `re`, which a start should not have to pay for

    if not os.path.islink(folder):
        raise WorkspaceError(f"{folder} is in the way: it is {kind_of(folder)}, and should be a folder.",
                             hint=f"mv {quoted(folder)} {quoted(_free_name(folder))}")
    target = os.path.join(workspace.root, os.readlink(folder))
    try:
        os.stat(folder)
        raise WorkspaceError(f"{folder} is a link to {target}, which is {kind_of(folder)} and should be a folder.",
                             hint=f"rm {quoted(folder)}")
    except FileNotFoundError as error:
        raise WorkspaceError(f"{folder} is a link to {target}, which is not there.",
                             hint=f"mkdir -p {quoted(target)}") from error
    except OSError as error:
        reason = "leads back to itself" if error.errno == ELOOP else f"cannot be followed: {error.strerror}"
        raise WorkspaceError(f"{folder} is a link to {target}, which {reason}.",
                             hint=f"rm {quoted(folder)}") from error


def kind_of(path: str) -> str:
    """What lies at a path that is there, symlinks followed: `a file`, `a fifo`."""
    import stat  # noqa: PLC0415  only for an error

    mode = os.stat(path).st_mode
    return {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a fifo", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
            stat.S_IFBLK: "a device"}.get(stat.S_IFMT(mode), "a file")


def unreadable(path: str, error: OSError) -> WorkspaceError:
    """Why `path` cannot be read, and a command that tells more."""
    from roar.shell import quoted  # noqa: PLC0415  only for an error

    return WorkspaceError(f"{path} cannot be read: {error.strerror}.", hint=f"ls -ld {quoted(path)}")


def unwritable(path: str, error: OSError) -> WorkspaceError:
    """Why `path` cannot be made or written, and a command that tells more."""
    from roar.shell import quoted  # noqa: PLC0415  only for an error

    there = next(folder for folder in _upwards(path) if os.path.lexists(folder))
    look = {ENOSPC: "df -h", EDQUOT: "df -h", EROFS: "findmnt -T"}.get(error.errno or 0, "ls -ld")
    verb = "written" if there == path else "made"
    return WorkspaceError(f"{path} cannot be {verb}: {error.strerror}.", hint=f"{look} {quoted(there)}")


def _free_name(path: str) -> str:
    """A name beside `path` that nothing has yet."""
    number, name = 1, f"{path}{ASIDE}"
    while os.path.lexists(name):
        number += 1
        name = f"{path}{ASIDE}{number}"
    return name


def make_folder(workspace: Workspace) -> None:
    """Make `.roar/` where it is missing.

    Raises:
        WorkspaceError: it cannot be made.
    """
    ignore = os.path.join(workspace.folder, ".gitignore")
    if os.path.exists(ignore):
        return
    ignore = os.path.realpath(ignore)
    new = f"{ignore}.{os.getpid()}"  # a full disk must leave none that is empty
    try:
        os.makedirs(workspace.folder, exist_ok=True)
        with open(new, "w", encoding="ascii") as file:
            file.write("*\n")
        os.replace(new, ignore)
    except OSError as error:
        if os.path.exists(new):
            os.unlink(new)
        raise unwritable(workspace.folder, error) from error


def _current_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise WorkspaceError("The current folder no longer exists.", hint="cd") from error


def _upwards(folder: str) -> list[str]:
    folders = [folder]
    while folder != (folder := os.path.dirname(folder)):
        folders.append(folder)
    return folders


def _gitdir(folder: str) -> str | None:
    """The git directory of a work tree whose root is `folder`, or None if it is no such root.

    gitrepository-layout(5): `.git` is that directory, or a file `gitdir: PATH` (linked work trees, submodules).
    """
    path = os.path.join(folder, ".git")
    if os.path.isdir(path):
        return path if os.path.exists(os.path.join(path, "HEAD")) else None
    try:
        with open(path, "rb") as file:
            text = os.fsdecode(file.read(4200)).strip()
    except OSError:
        return None
    return text.removeprefix("gitdir:").strip() if text.startswith("gitdir:") else None


def _is_submodule(gitdir: str) -> bool:
    """A submodule's git directory lies in `modules/` of its superproject's; a linked work tree's in `worktrees/`."""
    return gitdir.rfind("/modules/") > gitdir.rfind("/worktrees/")
