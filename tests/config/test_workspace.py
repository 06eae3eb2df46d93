"""Finding the workspace, with the real git."""

import subprocess

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
    assert _root(tmp_path / "main" / "sub") == str(tmp_path / "main" / "sub")


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


def no_folder(folder, kind):
    if kind == "a file":
        (folder / ".roar").write_text("in the way")
    elif kind == "a link to a file":
        (folder / "file").write_text("")
        (folder / ".roar").symlink_to("file")
    else:
        (folder / ".roar").symlink_to(".roar")


NO_FOLDERS = {"a file": "is a file, not a folder", "a link to a file": "/file, which is no folder",
              "a link to itself": "cannot be followed: Too many levels of symbolic links"}


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("kind", NO_FOLDERS)
def test_what_is_no_folder_is_named_with_the_command_that_mends_it(tmp_path, kind, create):
    no_folder(tmp_path, kind)
    with pytest.raises(WorkspaceError) as caught:
        open_workspace(str(tmp_path), create=create)
    assert NO_FOLDERS[kind] in caught.value.message
    subprocess.run(["sh", "-c", caught.value.hint], check=True)
    assert open_workspace(str(tmp_path), create=True).root == str(tmp_path)


@pytest.mark.parametrize("kind", NO_FOLDERS)
def test_the_command_runs_where_nothing_can_be_recorded(desk, kind):
    no_folder(desk.root, kind)
    done = desk.roar("run", "sh", "-c", "echo ran; exit 3", status=3)
    assert done.stdout == "ran\n"
    assert f"this job was not recorded: {desk.root}/.roar is a" in done.stderr
    assert NO_FOLDERS[kind] in done.stderr
    assert f"try: mv {desk.root}/.roar " in done.stderr
    assert NO_FOLDERS[kind] in desk.roar("doctor", status=1).stdout


@pytest.mark.parametrize("create", [False, True])
def test_a_link_to_nowhere_is_named_with_the_command_that_mends_it(tmp_path, create):
    (tmp_path / ".roar").symlink_to("on a disk/that is away")
    with pytest.raises(WorkspaceError) as caught:
        open_workspace(str(tmp_path), create=create)
    target = tmp_path / "on a disk" / "that is away"
    assert caught.value.message == f"{tmp_path}/.roar is a link to {target}, which is not there."
    subprocess.run(["sh", "-c", caught.value.hint], check=True)
    assert open_workspace(str(tmp_path), create=True).root == str(tmp_path)
