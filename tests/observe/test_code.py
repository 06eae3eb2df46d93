"""What is told of the code, against real git repositories."""

import os
import subprocess
import time

import pytest

from roar.observe.code import addition_patch, find_repository, read_code, read_head, untracked


def git(folder, *arguments):
    done = subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True,
                          capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "a.py").write_text("x = 1\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    return root


def test_a_clean_tree(repository):
    git(repository, "remote", "add", "origin", "https://ann:pw@host/r.git")
    code = read_code(str(repository))
    assert code.git.commit == git(repository, "rev-parse", "HEAD")
    assert (code.git.branch, code.git.remote, code.git.dirty) == ("main", "https://host/r.git", False)
    assert code.patch is None


def test_a_dirty_tree_has_a_patch_that_applies(repository):
    (repository / "a.py").write_text("x = 2\n")
    (repository / "sub").mkdir()
    code = read_code(str(repository / "sub"))
    assert code.git.dirty
    git(repository, "checkout", "-q", "a.py")
    subprocess.run(["git", "-C", repository, "apply"], input=code.patch, check=True)
    assert (repository / "a.py").read_text() == "x = 2\n"


def test_a_secret_in_the_changes_is_not_in_the_patch(repository):
    (repository / "a.py").write_text("api_key = 'hf_abcdefghijklmnopqrstuvwxyz'\n")
    assert b"hf_abc" not in read_code(str(repository)).patch


def test_a_private_key_in_the_changes_is_gone_and_the_patch_still_applies(repository):
    body = ["MIIEpAIBAAKCAQEAq83vEjRWeJCrze8S", "NFZ4kKvN7xI0VniQq83vEjRWeJCrze8S"]
    key = ["-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----"]
    (repository / "a.py").write_text("\n".join(["x = 1", *key, "y = 2", ""]))
    patch = read_code(str(repository)).patch
    assert not any(line.encode() in patch for line in body)
    git(repository, "checkout", "-q", "a.py")
    subprocess.run(["git", "-C", repository, "apply"], input=patch, check=True)
    assert (repository / "a.py").read_text() == "x = 1\n" + "[redacted]\n" * 4 + "y = 2\n"


def test_a_secret_in_a_new_file_is_not_in_its_patch(repository):
    (repository / "b.py").write_text('os.environ["API_KEY"] = "geheim"\n')
    assert b'+os.environ["API_KEY"] = "[redacted]"\n' in addition_patch(str(repository), str(repository / "b.py"))


def test_before_the_first_commit(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    code = read_code(str(tmp_path))
    assert (code.git.commit, code.git.branch) == (None, "main")


def test_no_repository(tmp_path):
    assert find_repository(str(tmp_path)) is None
    assert read_code(str(tmp_path)) is None


def test_head_is_read_without_git_in_every_layout(repository, tmp_path):
    head = git(repository, "rev-parse", "HEAD")
    assert read_head(str(repository)) == head
    git(repository, "pack-refs", "--all")
    assert read_head(str(repository)) == head
    git(repository, "worktree", "add", "-q", tmp_path / "tree")
    git(tmp_path / "tree", "commit", "-q", "--allow-empty", "-m", "two")
    assert read_head(str(tmp_path / "tree")) == git(tmp_path / "tree", "rev-parse", "HEAD") != head
    git(repository, "checkout", "-q", "--detach")
    assert read_head(str(repository)) == head


def test_files_with_other_times_are_no_change_and_the_index_stays(repository):
    names = ("a.py", "b b.py", "c.bin")
    (repository / "b b.py").write_text("y = 1\n")
    (repository / "c.bin").write_bytes(b"\0\1")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    for name in names:
        os.utime(repository / name, (1, 1))
    index = (repository / ".git/index").read_bytes()
    code = read_code(str(repository))
    assert (code.git.dirty, code.patch) == (False, None)
    (repository / "b b.py").write_text("y = 2\n")
    code = read_code(str(repository))
    assert code.patch.count(b"diff --git") == 1
    assert b"+y = 2" in code.patch
    assert (repository / ".git/index").read_bytes() == index


def test_head_on_a_branch_that_is_another_name_of_one(repository):
    head = read_head(str(repository))
    for name, target in (("refs/heads/alias", "refs/heads/main"), ("HEAD", "refs/heads/alias")):
        git(repository, "symbolic-ref", name, target)
    assert head == git(repository, "rev-parse", "HEAD")
    assert read_head(str(repository)) == head



def test_a_commit_made_meanwhile_changes_nothing(repository):
    head = read_head(str(repository))
    (repository / "a.py").write_text("x = 3\n")
    git(repository, "commit", "-qam", "meanwhile")
    code = read_code(str(repository), head=head)
    assert code.git.commit == head


def test_the_repository_is_left_as_it_was(repository):
    (repository / "a.py").write_text("x = 2\n")
    index = repository / ".git" / "index"

    def state():
        return index.read_bytes(), index.stat().st_mtime_ns, sorted(p.name for p in index.parent.iterdir())

    before = state()
    read_code(str(repository))
    assert state() == before


def test_untracked_sources_become_patches_of_their_own(repository):
    new = repository / "new.py"
    new.write_text("y = 1\n")
    paths = [str(repository / "a.py"), str(new)]
    assert untracked(str(repository), paths) == [str(new)]
    patch = addition_patch(str(repository), str(new))
    new.unlink()
    subprocess.run(["git", "-C", repository, "apply"], input=patch, check=True)
    assert new.read_text() == "y = 1\n"


@pytest.mark.parametrize("text", [b"", b"x", b"x\n", b"a\nb", b"\n", b"\n\n", b"a\r\nb\r\n", b"\x0c\r\n \t\n",
                                  b"\xff\xfe\n", b"x" * 9000 + b"\0y\n", b"\0", b"--- a\n+++ b\n@@ -1 +1 @@\n"])
@pytest.mark.parametrize("name", ["new.py", "d/new-1.py", "d d/new.py", "\u00fc.py", 'q".py', "$x.py"])
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_a_patch_for_a_new_file_is_gits(repository, name, text, mode):
    new = repository / name
    new.parent.mkdir(exist_ok=True)
    new.write_bytes(text)
    new.chmod(mode)
    words = ["git", "diff", "--full-index", "--binary", "--no-index", "/dev/null", name]
    theirs = subprocess.run(words, cwd=repository, check=False, capture_output=True).stdout
    ours = addition_patch(str(repository), str(new))
    assert theirs == ours
    new.unlink()
    subprocess.run(["git", "-C", repository, "apply"], input=ours, check=True)
    assert (new.read_bytes(), new.stat().st_mode & 0o100) == (text, mode & 0o100)


def test_a_pipe_is_no_new_file(repository):
    os.mkfifo(repository / "pipe.py")
    assert addition_patch(str(repository), str(repository / "pipe.py")) == b""


SETTINGS = {"diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.srcPrefix": "x/", "diff.dstPrefix": "y/",
            "diff.context": "0", "diff.interHunkContext": "9", "diff.renames": "copies", "diff.external": "/bin/true",
            "diff.py.textconv": "sed s/1/7/", "diff.py.command": "/bin/true", "diff.algorithm": "patience",
            "diff.suppressBlankEmpty": "true", "diff.relative": "true", "diff.ignoreSubmodules": "all",
            "diff.submodule": "log", "color.ui": "always", "core.quotePath": "false", "core.safecrlf": "true",
            "apply.whitespace": "error", "apply.ignoreWhitespace": "change"}


@pytest.fixture(params=["all", "diff.noprefix", "diff.context", "GIT_DIFF_OPTS"])
def user(request, monkeypatch, tmp_path):
    """One of the settings that the user may have, all of them, or an environment."""
    if request.param.startswith("GIT_"):
        monkeypatch.setenv(request.param, "-u0")
        return
    config = tmp_path / "gitconfig"
    for name, value in SETTINGS.items():
        if request.param in {name, "all"}:
            subprocess.run(["git", "config", "--file", config, name, value], check=True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))


def changed(repository):
    """What is told of changes that the settings have to do with."""
    lines = [f"line {number}" for number in range(40)]
    for name in ("g.py", "ü.py", "old.py"):
        (repository / name).write_text("\n".join(["", *lines, ""]))
    (repository / ".gitattributes").write_text("*.py diff=py\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    git(repository, "mv", "old.py", "new.py")
    (repository / "sub").mkdir()
    for name in ("g.py", "ü.py"):
        (repository / name).write_text("\n".join(["", *lines[:10], "1 and \t ", *lines[12:20], *lines[21:], ""]))
    (repository / "sub" / "more.py").write_text("1\n\n")
    return read_code(str(repository / "sub")).patch, addition_patch(str(repository),
                                                                    str(repository / "sub" / "more.py"))


@pytest.fixture
def usual(tmp_path):
    """The same without any settings."""
    root = tmp_path / "usual"
    root.mkdir()
    git(root, "init", "-q")
    return changed(root)


def test_the_user_s_settings_change_no_patch(usual, repository, user):
    assert changed(repository) == usual
    assert b"rename from old.py" in usual[0]
    assert b"\n+1 and \t \n" in usual[0]
    assert b"\n+1\n" in usual[1]


def test_the_variables_of_another_repository_do_not_count(repository, tmp_path, monkeypatch):
    """As in a hook of that one."""
    (repository / "a.py").write_text("x = 2\n")
    here = read_code(str(repository))
    other = tmp_path / "other"
    git(tmp_path, "init", "-q", "-b", "theirs", other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert read_code(str(repository)) == here


def test_a_change_that_kept_size_and_time_is_seen_whatever_git_is_told_to_trust(repository):
    """As by `rsync --inplace --times`; git-config(1) has the setting for tools that touch every file."""
    git(repository, "config", "core.trustctime", "false")
    file = repository / "a.py"
    os.utime(file, (1_600_000_000, 1_600_000_000))
    git(repository, "add", ".")
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    before = file.read_bytes()
    time.sleep(1.1)  # git compares seconds
    with open(file, "r+b") as opened:
        opened.write(before.replace(b"1", b"2"))
    os.utime(file, (1_600_000_000, 1_600_000_000))
    assert file.read_bytes() != before
    assert read_code(str(repository)).git.dirty


@pytest.mark.parametrize("marks", [["--skip-worktree"], ["--assume-unchanged"],
                                   ["--skip-worktree", "--assume-unchanged"]])
def test_files_that_git_is_told_not_to_look_at(repository, marks):
    for name in ("marked.py", "sparse.py"):
        (repository / name).write_text("x = 1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    for mark in marks:
        git(repository, "update-index", mark, "marked.py", "sparse.py")
    (repository / "sparse.py").unlink()
    assert read_code(str(repository)).patch is None
    (repository / "marked.py").write_text("x = 2\n")
    index = (repository / ".git" / "index").read_bytes()
    code = read_code(str(repository))
    assert code.git.dirty
    assert b"+x = 2" in code.patch
    assert b"sparse.py" not in code.patch
    assert (repository / ".git" / "index").read_bytes() == index
    clone = repository.parent / "clone"
    git(repository, "clone", "-q", repository, clone)
    subprocess.run(["git", "-C", clone, "apply"], input=code.patch, check=True)
    assert (clone / "marked.py").read_text() == "x = 2\n"


def test_changes_in_submodules_have_their_names_from_the_root(repository, tmp_path, monkeypatch):
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    (library / "m.py").write_text("x = 1\n")
    git(library, "add", ".")
    git(library, "commit", "-q", "-m", "one")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, "lib é")
    git(repository, "commit", "-q", "-m", "two")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    git(repository, "config", "--file", tmp_path / "gitconfig", "diff.ignoreSubmodules", "all")
    (repository / "lib é" / "new.py").write_text("untracked\n")
    assert read_code(str(repository)).patch is None
    (repository / "a.py").write_text("x = 2\n")
    (repository / "lib é" / "m.py").write_text("x = 2\n")
    patch = read_code(str(repository)).patch.decode()
    commit = git(library, "rev-parse", "HEAD")
    assert [line.rstrip("\t") for line in patch.splitlines() if line.startswith("+")] == [
        "+++ b/a.py", "+x = 2", r'+++ "b/lib \303\251"', f"+Subproject commit {commit}-dirty",
        r'+++ "b/lib \303\251/m.py"', "+x = 2"]
    (repository / "lib é" / "m.py").write_text("x = 2\n" * 3_000_000)
    assert b"m.py" not in read_code(str(repository)).patch
