"""Paths that differ in their secrets alone stay apart, and nobody without the key learns which secret it was."""

import os
import re

from hypothesis import given
from hypothesis import strategies as st

from roar.model import FileUse, Job, JobState, Tracer
from roar.publish.path_key import KEY_LENGTH, load_path_key
from roar.wire import Registration, iter_secrets, without_path_numbers, without_secrets
from roar.workspace import open_workspace

DIGEST = "0" * 64
TOKEN = "ghp_" + "Zq7" * 12
# What a server of the version before refuses in a path, as far as a number behind `[redacted]` could matter to it.
REFUSED_BEFORE = [
    re.compile(r"[?&;#](?:[\w.-]{0,60}[_.-])?(?:token|sig|signature|secret|passw(?:or)?d|pwd|api[_-]?key|access[_-]?key|"
               r"credentials?)=(?!\[redacted\](?:[&;#\s'\"/]|$))[^&;#\s'\"]{6,}", re.IGNORECASE),
    re.compile(r"(?:api[_-]?key|secret|passw(?:or)?d|access[_-]?token|auth[_-]?token|write_token)\s{0,8}[=:]\s{0,8}"
               r"(?!\[redacted\](?:\W|$))(?=\S{0,200}\d)(?=\S{0,200}[a-z])[\w./+=~!@#$%^*:-]{12,}", re.IGNORECASE),
]


def sent(*paths, key=b"k" * KEY_LENGTH):
    """The paths as they are sent."""
    job = Job(uid="0" * 32, step=1, command=("x",), cwd=".", started_at="2026-11-22T10:00:00.000000Z", duration_s=1,
              exit_code=0, state=JobState.DONE, tracer=Tracer(mode="full"),
              inputs=tuple(FileUse(path=path, digest=DIGEST, size=1) for path in paths))
    made = without_secrets(Registration(version=1, client="roar", session="1" * 32, jobs=(job,)), lambda: key)
    assert list(iter_secrets(made)) == []
    return [use.path for use in made.jobs[0].inputs]


def test_paths_with_different_secrets_stay_apart():
    a, b, c = sent("data/?token=AAAA1", "data/?token=BBBB1", "data/?token=AAAA1&x=2")
    assert a != b
    assert c == f"{a}&x=2"  # the same secret, the same number
    assert {without_path_numbers(path) for path in (a, b)} == {"data/?token=[redacted]"}


def test_the_number_depends_on_the_key_alone_and_the_secret():
    path = f"data/{TOKEN}.csv"
    assert sent(path) == sent(path)
    assert sent(path) != sent(path, key=b"l" * KEY_LENGTH)


def test_ordinary_paths_ask_for_no_key():
    def refuse():
        raise AssertionError("asked")

    registration = Registration(version=1, client="roar", session="1" * 32, jobs=())
    assert without_secrets(registration, refuse) is registration


@given(secrets=st.lists(st.from_regex(r"[a-z0-9/.]{0,3}[A-Z]{2}[0-9][a-z][A-Z0-9]{8}", fullmatch=True), min_size=2,
                        max_size=4, unique=True),
       form=st.sampled_from(["data/?token={}", "a/?sig={}&b=1", "x?api_key={}&sig={}", "q?password={}#x"]))
def test_no_two_paths_become_one_and_older_servers_take_them(secrets, form):
    paths = sent(*(form.format(secret, secret) for secret in secrets))
    assert len(set(paths)) == len(secrets)
    for path in paths:
        assert not any(rule.search(path) for rule in REFUSED_BEFORE)
        assert not any(secret in path for secret in secrets)
        assert sent(path) == [path]


def test_the_key_is_made_once_and_for_its_owner(tmp_path):
    workspace = open_workspace(str(tmp_path), create=True)
    key = load_path_key(workspace)
    assert len(key) == KEY_LENGTH
    assert load_path_key(workspace) == key
    assert sorted(os.listdir(workspace.folder)) == [".gitignore", "path.key"]
    assert os.stat(f"{workspace.folder}/path.key").st_mode & 0o777 == 0o600


def test_a_workspace_that_cannot_keep_a_key_has_one_for_the_time(tmp_path):
    workspace = open_workspace(str(tmp_path), create=True)
    os.mkdir(f"{workspace.folder}/path.key")
    assert len(load_path_key(workspace)) == KEY_LENGTH
    assert load_path_key(workspace) != load_path_key(workspace)
