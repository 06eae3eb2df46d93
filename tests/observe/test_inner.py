"""Submodules and nested repositories, real ones: which they are, and at which commit when a command started."""

import os
import subprocess
import time

import pytest

from roar.observe.inner import find_inner

A_SECOND = 1_000_000_000


def git(folder, *arguments, **environment):
    done = subprocess.run(["git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b",
                           "-c", "protocol.file.allow=always", *arguments],
                          check=True, capture_output=True, text=True, env=os.environ | environment)
    return done.stdout.strip()


def make(folder):
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "m.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path):
    make(tmp_path / "root")
    return tmp_path / "root"


def inner_of(root, *names, changed=(), started_ns=None):
    patch = "".join(f"diff --git a/{name} b/{name}\n" for name in changed).encode()
    return find_inner(str(root), [str(root / name) for name in names], patch=patch,
                      started_ns=time.time_ns() + A_SECOND if started_ns is None else started_ns)


def set_times(repository, *seconds):
    """Let HEAD have moved then, as its log says; the log's own time is that of the last move."""
    log = repository / ".git" / "logs" / "HEAD"
    lines = log.read_text().splitlines(keepends=True)
    assert len(lines) == len(seconds)
    moved = []
    for line, second in zip(lines, seconds, strict=True):
        who, tab, what = line.partition("\t")
        words = who.split(" ")
        moved.append(" ".join([*words[:-2], str(second), words[-1]]) + tab + what)
    log.write_text("".join(moved))
    os.utime(log, (seconds[-1], seconds[-1]))


def test_a_repository_without_others_has_none(root):
    assert inner_of(root, "m.py", "some/where.py") == ()


def test_nested_ones_and_submodules(root, tmp_path):
    library = make(tmp_path / "library")
    git(root, "submodule", "--quiet", "add", tmp_path / "library", "sub")
    nested = make(root / "a" / "nested")
    deeper = make(root / "a" / "nested" / "deeper")
    git(root / "a" / "nested", "remote", "add", "origin", "https://ann:pw@host/r.git")
    (root / "none" / ".git").mkdir(parents=True)
    found = inner_of(root, "m.py", "sub/m.py", "a/nested/m.py", "a/nested/deeper/m.py", "none/m.py")
    assert [(one.path, one.kind, one.commit, one.dirty) for one in found] == [
        ("a/nested", "nested", nested, False), ("a/nested/deeper", "nested", deeper, False),
        ("sub", "submodule", library, False)]
    assert [one.remote for one in found] == ["https://host/r.git", None, str(tmp_path / "library")]


def test_a_commit_alone_makes_no_submodule(root):
    """`git add` of a nested repository takes its commit, and no word of where it can be had."""
    make(root / "nested")
    git(root, "add", "nested")
    git(root, "commit", "-q", "-m", "embedded")
    assert inner_of(root, "nested/m.py")[0].kind == "nested"


@pytest.mark.parametrize("name", ["m.py", "new.py"])
def test_what_was_read_differs_from_the_commit(root, name):
    make(root / "nested")
    (root / "nested" / "other.py").write_text("not read\n")
    assert not inner_of(root, "nested/m.py")[0].dirty
    (root / "nested" / name).write_text("x = 2\n")
    assert inner_of(root, f"nested/{name}")[0].dirty


def test_a_submodule_is_as_it_was_at_the_start(root, tmp_path):
    make(tmp_path / "library")
    git(root, "submodule", "--quiet", "add", tmp_path / "library", "sub")
    assert inner_of(root, "sub/m.py", changed={"sub/m.py"})[0].dirty
    assert not inner_of(root, "sub/m.py", changed={"sub.py", "subs/m.py"})[0].dirty


def test_the_commit_is_that_of_the_start(root):
    nested = root / "nested"
    first = make(nested)
    git(nested, "commit", "-q", "--allow-empty", "-m", "two")
    second = git(nested, "rev-parse", "HEAD")
    now = int(time.time())
    for times, at, commit in (((now - 60, now - 50), now - 40, second), ((now - 60, now - 20), now - 40, first),
                              ((now - 60, now - 60), now - 40, second), ((now - 30, now - 20), now - 40, None)):
        set_times(nested, *times)
        assert inner_of(root, "nested/m.py", started_ns=at * A_SECOND)[0].commit == commit


def test_no_commit_where_it_is_not_certain(root):
    nested = root / "nested"
    make(nested)
    git(nested, "commit", "-q", "--allow-empty", "-m", "two")
    now = int(time.time())
    for times in ((now - 60, now - 40), (now - 40, now - 20), (now - 20, now - 60)):
        set_times(nested, *times)
        os.utime(nested / ".git" / "logs" / "HEAD", (now - 20, now - 20))
        assert inner_of(root, "nested/m.py", started_ns=(now - 40) * A_SECOND)[0].commit is None
    (nested / ".git" / "logs" / "HEAD").unlink()
    assert inner_of(root, "nested/m.py")[0].commit is None


def test_times_that_are_not_those_of_the_clock_prove_nothing(root):
    make(root / "nested")
    started_ns = time.time_ns()
    git(root / "nested", "commit", "-q", "--allow-empty", "-m", "two",
        GIT_COMMITTER_DATE="2005-04-07T22:13:13", GIT_AUTHOR_DATE="2005-04-07T22:13:13")
    assert inner_of(root, "nested/m.py", started_ns=started_ns)[0].commit is None


def test_a_repository_without_a_commit(root):
    (root / "nested").mkdir()
    git(root / "nested", "init", "-q")
    (root / "nested" / "m.py").write_text("x = 1\n")
    found = inner_of(root, "nested/m.py")[0]
    assert (found.commit, found.dirty) == (None, True)


def test_a_secret_in_an_address_stays_out(root):
    make(root / "nested")
    git(root / "nested", "remote", "add", "origin", "https://host/r.git?token=abcdefgh12345678")
    assert "abcdefgh" not in inner_of(root, "nested/m.py")[0].remote
