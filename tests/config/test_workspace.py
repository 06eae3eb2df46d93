"""Finding the workspace, with the real git."""

import os
import shutil
import subprocess
import sys

import pytest

from roar.errors import WorkspaceError
from roar.workspace import find_workspace, open_workspace


@pytest.fixture
def git(tmp_path):
    def run(*arguments, cwd=tmp_path):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always",
                        *arguments], cwd=cwd, check=True, capture_output=True)

    return run


def _folder(path):
    path.mkdir(parents=True, exist_ok=True)
    return path


def _root(path):
    return find_workspace(str(path)).root


def test_outside_any_work_tree_it_is_the_folder_itself(tmp_path):
    assert _root(_folder(tmp_path / "a" / "b")) == str(tmp_path / "a" / "b")


def test_in_a_work_tree_it_is_its_root(tmp_path, git):
    git("init", "-q")
    assert _root(_folder(tmp_path / "a" / "b")) == str(tmp_path)


def test_the_nearest_roar_folder_wins(tmp_path, git):
    git("init", "-q")
    _folder(tmp_path / "a" / ".roar")
    assert _root(_folder(tmp_path / "a" / "b")) == str(tmp_path / "a")
    assert _root(_folder(tmp_path / "c")) == str(tmp_path)


def test_a_repository_inside_a_workspace_is_its_own(tmp_path, git):
    _folder(tmp_path / ".roar")
    git("init", "-q", "inner")
    assert _root(_folder(tmp_path / "inner" / "deep")) == str(tmp_path / "inner")
    assert _root(_folder(tmp_path / "plain")) == str(tmp_path)


def test_linked_work_tree_and_submodule(tmp_path, git):
    for name in ("main", "library"):
        git("init", "-q", name)
        git("commit", "-q", "--allow-empty", "-m", "start", cwd=tmp_path / name)
    git("worktree", "add", "-q", str(tmp_path / "linked"), cwd=tmp_path / "main")
    git("submodule", "--quiet", "add", str(tmp_path / "library"), "sub", cwd=tmp_path / "main")
    _folder(tmp_path / "main" / ".roar")
    assert _root(tmp_path / "linked") == str(tmp_path / "linked")
    assert _root(tmp_path / "main" / "sub") == str(tmp_path / "main"), "the superproject records"
    (tmp_path / "main" / ".roar").rmdir()
    assert _root(_folder(tmp_path / "main" / "sub" / "deep")) == str(tmp_path / "main")
    assert _root(tmp_path / "linked") == str(tmp_path / "linked")


def test_a_submodule_belongs_to_the_outermost_superproject(tmp_path, git):
    for name in ("main", "library", "part"):
        git("init", "-q", name)
        git("commit", "-q", "--allow-empty", "-m", "start", cwd=tmp_path / name)
    git("submodule", "--quiet", "add", str(tmp_path / "part"), "part", cwd=tmp_path / "library")
    git("commit", "-q", "-a", "-m", "part", cwd=tmp_path / "library")
    git("submodule", "--quiet", "add", "--name", "worktrees", str(tmp_path / "library"), "libs/sub",
        cwd=tmp_path / "main")
    git("commit", "-q", "-a", "-m", "sub", cwd=tmp_path / "main")
    git("worktree", "add", "-q", "../linked", cwd=tmp_path / "main")
    for root in ("main", "linked"):
        git("submodule", "--quiet", "update", "--init", "--recursive", cwd=tmp_path / root)
        assert _root(tmp_path / root / "libs/sub/part") == str(tmp_path / root)
    git("worktree", "add", "-q", "own", cwd=tmp_path / "main/libs/sub")
    assert _root(tmp_path / "main/libs/sub/own") == str(tmp_path / "main/libs/sub/own")
    (tmp_path / "main/libs").rename(tmp_path / "moved")
    (tmp_path / "moved/sub/.git").write_text(f"gitdir: {tmp_path}/main/.git/modules/worktrees\n")
    assert _root(tmp_path / "moved/sub") == str(tmp_path / "moved/sub")


def test_a_repository_that_only_looks_like_a_submodule_is_its_own(tmp_path, git):
    git("init", "-q")
    _folder(tmp_path / "modules")
    git("init", "-q", "--separate-git-dir", str(tmp_path / "modules/x"), "inner")
    assert _root(tmp_path / "inner") == str(tmp_path / "inner")


def test_the_first_job_in_a_submodule_is_recorded_with_those_around_it(desk):
    desk.init()
    desk.git("init", "-q", os.fspath(desk.tmp / "library"))
    desk.git("-C", os.fspath(desk.tmp / "library"), "commit", "-q", "--allow-empty", "-m", "start")
    desk.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", os.fspath(desk.tmp / "library"), "sub")
    desk.roar("run", "sh", "-c", "echo > o", cwd=desk.root / "sub")
    assert [use["path"] for use in desk.job()["outputs"]] == ["sub/o"]
    assert not (desk.root / "sub/.roar").exists()


def test_an_empty_dot_git_folder_is_no_work_tree(tmp_path):
    _folder(tmp_path / ".git")
    assert _root(_folder(tmp_path / "a")) == str(tmp_path / "a")


def test_opening(tmp_path, git):
    git("init", "-q")
    with pytest.raises(WorkspaceError, match="Nothing has been recorded"):
        open_workspace(str(tmp_path))
    workspace = open_workspace(str(tmp_path), create=True)
    assert (tmp_path / ".roar" / ".gitignore").read_text() == "*\n"
    assert open_workspace(str(tmp_path)) == workspace
    status = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert status.stdout == ""


def test_paths_inside_and_outside(tmp_path):
    workspace = open_workspace(str(tmp_path), create=True)
    assert workspace.relative(f"{tmp_path}/a/b") == "a/b"
    assert workspace.relative(str(tmp_path)) == "."
    assert workspace.relative(f"{tmp_path}-other/a") == f"{tmp_path}-other/a"
    assert workspace.absolute("a/b") == f"{tmp_path}/a/b"
    assert workspace.absolute("/x") == "/x"
    assert workspace.pending_uids() == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / ".roar" / ".gitignore").mkdir(parents=True)
    (tmp_path / ".roar" / ".gitignore").rmdir()
    (tmp_path / ".roar" / ".gitignore").symlink_to("nowhere/at all")
    with pytest.raises(WorkspaceError, match=r"\.roar cannot be written"):
        open_workspace(str(tmp_path), create=True)


@pytest.mark.parametrize("create", [False, True])
def test_a_link_to_nowhere_is_named_with_the_command_that_mends_it(tmp_path, create):
    (tmp_path / ".roar").symlink_to("on a disk/that is away")
    with pytest.raises(WorkspaceError) as caught:
        open_workspace(str(tmp_path), create=create)
    target = tmp_path / "on a disk" / "that is away"
    assert caught.value.message == f"{tmp_path}/.roar is a link to {target}, which is not there."
    subprocess.run(["sh", "-c", caught.value.hint], check=True)
    assert open_workspace(str(tmp_path), create=True).root == str(tmp_path)


def test_a_disk_that_is_full_leaves_no_empty_gitignore(tmp_path):
    code = ("import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
            "from roar.errors import WorkspaceError; from roar.workspace import open_workspace\n"
            "try: open_workspace(sys.argv[1], create=True)\n"
            "except WorkspaceError as error: print(error.message)\n")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=True)
    assert "File too large" in done.stdout
    assert list((tmp_path / ".roar").iterdir()) == []
    open_workspace(str(tmp_path), create=True)
    assert (tmp_path / ".roar" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(("kind", "message"), [
    ("file", "{0} is in the way: it is a file, and should be a folder."),
    ("fifo", "{0} is in the way: it is a fifo, and should be a folder."),
    ("link to a file", "{0} is a link to {1}/it's, which is a file and should be a folder."),
    ("loop", "{0} is a link to {1}/.roar, which leads back to itself."),
])
@pytest.mark.parametrize("create", [False, True])
def test_what_stands_in_its_place_is_named_with_the_command_that_mends_it(tmp_path, kind, message, create):
    base = tmp_path / "a b"
    base.mkdir()
    folder = base / ".roar"
    if kind == "file":
        folder.write_text("mine")
        (base / ".roar.old").write_text("another")
    elif kind == "fifo":
        os.mkfifo(folder)
    else:
        (base / "it's").write_text("mine")
        folder.symlink_to("it's" if kind == "link to a file" else ".roar")
    with pytest.raises(WorkspaceError) as caught:
        open_workspace(str(base), create=create)
    assert caught.value.message == message.format(folder, base)
    subprocess.run(["sh", "-c", caught.value.hint], check=True)
    assert open_workspace(str(base), create=True).root == str(base)
    assert (base / (".roar.old2" if kind == "file" else "it's")).exists() or kind in {"loop", "fifo"}
    assert kind != "file" or (base / ".roar.old2").read_text() == "mine"


@pytest.fixture
def machine(desk, tmp_path):
    """`roar` on a machine whose root is a new folder, `machine.root`, with the programs of this one, read-only."""
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    desk.root = tmp_path / "machine"
    desk.root.mkdir()
    places = ["--bind", str(desk.root), "/", "--dev", "/dev", "--proc", "/proc"]
    for name in ("bin", "etc", "lib", "lib64", "sbin", "usr"):
        if os.path.islink(f"/{name}"):
            (desk.root / name).symlink_to(os.readlink(f"/{name}"))
        elif os.path.isdir(f"/{name}"):
            places += ["--ro-bind", f"/{name}", f"/{name}"]
    for folder in (sys.base_prefix, sys.prefix):
        places += ["--ro-bind", folder, folder]
    places += ["--bind", str(desk.home), "/home", "--setenv", "HOME", "/home", "--unsetenv", "TMPDIR"]

    def roar(folder, *arguments, status=0):
        desk.program = ["bwrap", *places, "--chdir", folder, sys.executable, "-m", "roar"]
        return desk.roar(*arguments, status=status)

    roar.root = desk.root
    return roar


REFUSAL = "/ becomes no workspace by itself: every folder below would belong to it."
ADVICE = "cd FOLDER, or roar init --here"


def test_the_root_of_the_file_system_becomes_no_workspace_by_itself(machine):
    done = machine("/", "run", "-q", "sh", "-c", "echo x > made; exit 3", status=3)
    assert done.stderr == f"roar: this job was not recorded: {REFUSAL} Try: {ADVICE}\n"
    assert (machine.root / "made").read_text() == "x\n", "the command ran"
    for words in (["init"], ["log"], ["config", "glaas.url", "https://x"], ["run", "@1"]):
        assert machine("/", *words, status=1).stderr == f"roar: {REFUSAL}\n  try: {ADVICE}\n"
    assert f"wrong workspace: {REFUSAL}\n        try: {ADVICE}\n" in machine("/", "doctor", status=1).stdout
    assert not (machine.root / ".roar").exists()


def test_a_folder_does_not_join_a_workspace_in_the_root_of_the_file_system_that_nobody_asked_for(machine):
    (machine.root / ".roar").mkdir()
    (machine.root / "data").mkdir()
    machine("/data", "run", "-q", "true")
    assert (machine.root / "data" / ".roar" / "roar.db").exists()
    assert list((machine.root / ".roar").iterdir()) == []
    assert REFUSAL in machine("/", "run", "-q", "true").stderr


def test_the_root_of_the_file_system_is_a_workspace_where_that_is_asked_for(machine):
    (machine.root / "data").mkdir()
    assert machine("/", "init", "--here").stdout == "/.roar is ready.\n"
    assert machine("/", "run", "-q", "sh", "-c", "echo x > made").stderr == ""
    assert "echo x > made" in machine("/data", "log").stdout
    assert not (machine.root / "data" / ".roar").exists()


def test_a_work_tree_in_the_root_of_the_file_system_is_a_workspace(machine, git):
    git("init", "-q", str(machine.root))
    assert machine("/", "run", "-q", "true").stderr == ""
    assert (machine.root / ".roar" / "roar.db").exists()
