"""What is told of the code, against real git repositories."""

import subprocess

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
