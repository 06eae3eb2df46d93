"""The hints of the checklist, followed as they stand, and what it looks at."""

import shutil
import subprocess
import sys
import time

import pytest
from checklists import checklist, follow

CODE, ENDED, PUSHED = "the code is in a commit", "every step ended well", "the commits are on a remote"
COPY = "import sys\nopen(sys.argv[2], 'w').write(open(sys.argv[1]).read() + 'x')\n"


def test_the_hint_commits_nothing_that_the_record_does_not_need(user):
    user.write("t.py", COPY)
    user.write(".gitignore", ".roar/\n__pycache__/\n")
    user.write("in", "1")
    user.init()
    user.write("t.py", f"import new\n{COPY}")
    user.write("new.py", "")
    user.write("other.py", "")
    user.write(".env", "TOKEN=abc\n")
    user.roar("run", "python", "t.py", "in", "model")
    assert checklist(user)[CODE]["hint"] == "git add new.py && git commit -a && roar run @1"
    follow(user, checklist(user)[CODE]["hint"])
    assert checklist(user)[CODE]["passed"]
    assert user.git("ls-files").split() == [".gitignore", "in", "new.py", "t.py"]


def test_where_all_code_is_in_a_commit_by_now_only_the_step_runs_again(user):
    user.write("t.py", COPY)
    user.write("in", "1")
    user.init()
    user.write("t.py", f"{COPY}\n")
    user.roar("run", "python", "t.py", "in", "model")
    user.git("commit", "-qam", "code")
    assert checklist(user)[CODE]["hint"] == "roar run @1"


def test_outside_git_the_hint_commits_the_sources_that_were_read(user):
    user.write("t.py", COPY)
    user.write("odd *.py", "")
    user.write("lib/a.py", "import sys\nsys.path[:0] = ['..']\n")
    user.write("in", "1")
    user.roar("run", "sh", "-c", "cat 'odd *.py' lib/a.py > /dev/null; python t.py in model")
    hint = checklist(user)[CODE]["hint"]
    assert hint == ("git init && git --literal-pathspecs add lib/a.py 'odd *.py' t.py && git commit"
                    " && roar run @1")
    follow(user, hint)
    assert checklist(user)[CODE]["passed"]
    assert user.git("ls-files").splitlines() == ["lib/a.py", "odd *.py", "t.py"]


UNFINISHED = "a {0} is not finished: `git {0} --continue` once its conflicts are resolved, or `git {0} --abort`"


@pytest.mark.parametrize(("command", "said"), [
    *((command, UNFINISHED.format(command)) for command in ("merge", "rebase", "cherry-pick", "revert")),
    ("stash", "conflicts are not resolved: `git status` names the files, `git add` each once it is right")])
def test_what_git_has_not_finished_is_for_the_user_to_end(user, command, said):
    user.write("t.py", COPY)
    user.write("notes.md", "a\n")
    user.write("in", "1")
    user.init()
    user.git("checkout", "-qb", "side")
    user.write("notes.md", "b\n")
    user.git("commit", "-qam", "b") if command != "stash" else user.git("stash")
    user.git("checkout", "-q", "main")
    user.write("notes.md", "c\n")
    user.git("commit", "-qam", "c")
    with pytest.raises(subprocess.CalledProcessError):
        user.git(*{"stash": ("stash", "pop")}.get(command, (command, "side")))
    user.roar("run", "python", "t.py", "in", "model")
    item = checklist(user)[CODE]
    assert (item["hint"], item["problems"]) == (
        None, ["@1 ran with uncommitted changes", f"no command mends it: {said}"])
    user.git("checkout", "--theirs", "notes.md")
    user.git("add", "notes.md")
    if command != "stash":
        user.git(command, "--continue")
    assert checklist(user)[CODE]["hint"] == (
        "git commit -a && roar run @1" if command == "stash" else "roar run @1")


def test_nothing_is_committed_while_a_bisect_is_not_finished(user):
    user.write("t.py", COPY)
    user.write("in", "1")
    user.init()
    user.git("bisect", "start")
    user.write("t.py", f"{COPY}# more\n")
    user.roar("run", "python", "t.py", "in", "model")
    assert checklist(user)[CODE]["problems"] == [
        "@1 ran with uncommitted changes",
        "no command mends it: a bisect is not finished: `git bisect reset` ends it"]
    user.git("bisect", "reset")
    assert checklist(user)[CODE]["hint"] == "git commit -a && roar run @1"


@pytest.mark.parametrize("marks", [["skip-worktree"], ["assume-unchanged"], ["skip-worktree", "assume-unchanged"]])
def test_what_git_is_told_to_pass_over_is_for_the_user_to_show(user, marks):
    user.write("conf", "1\n")
    user.write("c.py", "open('o', 'w').write(open('conf').read())\n")
    user.init()
    for mark in marks:
        user.git("update-index", f"--{mark}", "conf")
    user.write("conf", "2\n")
    user.roar("run", "-q", "python", "c.py")
    code = checklist(user)[CODE]
    assert (code["passed"], code["hint"]) == (False, None)
    shows = " && ".join(f"git update-index --no-{mark} conf" for mark in marks)
    assert code["problems"][-1] == (
        f"no command mends it: git is told to pass over conf: `{shows}` lets its changes be committed")
    follow(user, shows)
    follow(user, checklist(user)[CODE]["hint"])
    assert checklist(user)[CODE]["passed"] is True


def test_a_new_file_in_a_submodule_is_committed_there(user, tmp_path):
    inner = tmp_path / "inner"
    subprocess.run(["git", "init", "-q", "-b", "main", str(inner)], check=True)
    (inner / "s.py").write_text("y = 1\n")
    subprocess.run(["git", "add", "."], cwd=inner, check=True)
    subprocess.run(["git", "commit", "-qm", "1"], cwd=inner, env=user.env, check=True)
    user.write("t.py", "import sys\nsys.path[:0] = ['sub']\nimport zz\nopen('o', 'w').write('x')\n")
    user.write(".gitignore", ".roar/\no\n__pycache__\n")
    user.init()
    user.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    user.git("commit", "-qam", "with a submodule")
    user.write("sub/zz.py", "z = 1\n")
    user.write("sub/data", "not read\n")
    user.roar("run", "python", "t.py")
    assert checklist(user)[CODE]["hint"] == ("git -C sub add zz.py && git -C sub commit && git commit -a"
                                             " && roar run @1")
    follow(user, checklist(user)[CODE]["hint"])
    assert checklist(user)[CODE]["passed"]


CACHED = "import os\nif not os.path.exists('o1'):\n    open('o1', 'w').write(open('raw').read() + 'v1')\n"


@pytest.fixture
def cached(user):
    """A step that makes nothing where its output is there, run with code that was changed since, and once more."""
    user.write("feat.py", CACHED)
    user.write("raw", "1")
    user.write(".gitignore", ".roar/\no*\nm*\n")
    user.init()
    user.write("feat.py", CACHED.replace("v1", "v2"))
    user.roar("run", "python", "feat.py")
    user.write("feat.py", CACHED.replace("v1", "v3"))
    user.git("commit", "-qam", "v3")
    assert checklist(user)[CODE]["hint"] == "roar run @1"
    first = user.job()["uid"][:8]
    user.roar("run", "@1")
    return first


def test_a_rerun_that_made_nothing_ticks_nothing_of_the_one_that_did(user, cached):
    item = checklist(user)[CODE]
    assert item["problems"] == [f"@1 {cached} ran with uncommitted changes"]
    assert item["hint"] == "mv o1 .roar/o1.old && roar run @1"
    assert checklist(user, "register", "--dry-run", "o1")[CODE] == item
    follow(user, item["hint"])
    assert checklist(user)[CODE]["passed"]


def test_what_was_changed_by_hand_is_not_to_be_removed(user, cached):
    user.write("o1", "mine")
    item = checklist(user)[CODE]
    assert (item["passed"], item["hint"]) == (False, None)


def test_a_rerun_that_failed_ticks_nothing_of_the_one_that_made_what_is_there(user, cached):
    user.git("mv", "feat.py", "train.py")
    user.git("commit", "-qm", "moved")
    user.roar("run", "@1", status=2)
    item = checklist(user)[CODE]
    assert item["problems"] == [f"@1 {cached} ran with uncommitted changes",
                                "no command mends it: feat.py is gone, which the code needs"]
    assert item["hint"] is None


def test_what_came_by_a_pipe_is_asked_no_more_once_it_came_from_a_file(user):
    user.init()
    for words in ("echo 1 | roar run -q sh -c 'cat > o'", "echo 1 > raw; roar run -q sh -c 'cat > o' < raw"):
        follow(user, words)
    assert checklist(user)["every job was observed without gaps"]["passed"]


@pytest.fixture
def yesterday(user):
    """A session whose step @1 ran with code that is in no commit, and one that takes up what it made as its own @1."""
    user.write("t.py", COPY)
    user.write("ext", "e")
    user.write(".gitignore", ".roar/\no*\nm*\next\n")
    user.write("sub/keep", "")
    user.init()
    user.write("t.py", f"{COPY}#\n")
    user.roar("run", "python", "../t.py", "../ext", "../m1", cwd=user.root / "sub")
    first = user.job()["uid"][:8]
    user.git("commit", "-qam", "changed")
    user.roar("run", "cp", "m1", "m2")
    user.roar("reset")
    user.roar("run", "python", "t.py", "m2", "o1")
    return first


@pytest.mark.parametrize("arguments", [
    ("status", "--checklist"), ("register", "--dry-run"), ("register", "--dry-run", "o1")])
def test_a_job_of_another_session_is_asked_and_never_called_by_number(user, yesterday, arguments):
    items = checklist(user, *arguments)
    assert items[CODE]["problems"] == [f"{yesterday} ran with uncommitted changes"]
    assert items["every root input has a source"]["problems"] == ["ext has no known source"]
    hints = []
    while not (item := checklist(user, *arguments)[CODE])["passed"]:
        hints.append(item["hint"])
        follow(user, item["hint"])
    assert hints == ["(cd sub && roar run python ../t.py ../ext ../m1)", "roar run cp m1 m2", "roar run @1"]


def test_what_would_be_published_of_other_sessions_has_no_number(user, yesterday):
    lines = user.roar("register", "--dry-run", "o1").stdout.splitlines()
    assert lines[0].startswith(f"{yesterday}  python ")
    assert lines[2].startswith("@1  ")


@pytest.fixture
def remote(user, tmp_path):
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "remote.git")], check=True)
    user.write("t.py", COPY)
    user.write(".gitignore", ".roar/\no*\n")
    user.init()
    user.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    user.git("push", "-q", "-u", "origin", "main")
    return user


SOURCE = "every root input has a source"


def test_data_that_were_committed_after_the_run_have_a_source(remote, tmp_path):
    remote.write("d/in", "1")
    remote.roar("run", "python", "t.py", "d/in", "o")
    assert checklist(remote)[SOURCE]["problems"] == ["d/in has no known source"]
    assert "git brings" not in remote.roar("reproduce", "o").stdout
    remote.git("add", "d")
    remote.git("commit", "-qm", "data")
    commit = remote.git("rev-parse", "HEAD")
    item = checklist(remote)[SOURCE]
    assert item["problems"] == [f"d/in is in {commit[:12]}, which is in no branch of a remote"]
    follow(remote, item["hint"])
    assert checklist(remote)[SOURCE]["passed"]
    said = remote.roar("reproduce", "o").stdout
    assert "d/in" in said.partition("git brings these inputs\n")[2].splitlines()[0]
    assert f"\n  git checkout {commit[:12]} -- d/in\n" in said
    remote.write("d/in", "changed, and git has it")
    done = remote.roar("reproduce", "o", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout
    remote.git("commit", "-qam", "other content")
    assert checklist(remote)[SOURCE]["problems"] == ["d/in has no known source"]


def test_of_a_commit_that_is_gone_nobody_knows_what_it_brings(remote):
    remote.write("in", "1")
    remote.git("add", "in")
    remote.git("commit", "-qm", "data")
    remote.roar("run", "python", "t.py", "in", "o")
    first = remote.git("rev-parse", "HEAD")
    remote.git("commit", "-q", "--amend", "-m", "better words")
    remote.git("push", "-q")
    for words in (("reflog", "expire", "--expire=now", "--all"), ("gc", "-q", "--prune=now")):
        remote.git(*words)
    assert checklist(remote)[SOURCE]["passed"]
    remote.git("rm", "-q", "in")
    remote.git("commit", "-qm", "no data")
    item = checklist(remote)[SOURCE]
    assert item["passed"] is None
    assert item["problems"] == [f"in may come with {first[:12]} of @1, which is not in the repository here"]
    assert item["hint"].startswith("roar label ")


def test_a_folder_that_git_has_with_more_files_is_not_checked_out_as_what_was_read(remote):
    remote.write("count.py", "import os\nprint(*(open(f'd/{n}').read() for n in os.listdir('d')),"
                             " file=open('o', 'w'))\n")
    remote.git("add", "count.py")
    remote.git("commit", "-qm", "count")
    remote.git("push", "-q")
    for number in range(150):
        remote.write(f"d/{number}", str(number))
    remote.roar("run", "python", "count.py")
    remote.git("add", "d")
    remote.git("commit", "-qm", "data")
    remote.git("push", "-q")
    assert checklist(remote)[SOURCE]["passed"]
    remote.write("d/more", "x")
    remote.git("add", "d")
    remote.git("commit", "-qm", "more data")
    remote.git("push", "-q")
    assert not checklist(remote)[SOURCE]["passed"]


def test_where_git_is_missing_nothing_is_said_of_it(remote, tmp_path):
    """As before, but for what only git can tell; nothing is tried that needs it."""
    remote.write("in", "1")
    remote.git("add", "in")
    remote.git("commit", "-qm", "data")
    remote.git("push", "-q")
    remote.roar("run", "sh", "-c", "cat in > o")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "cat"):
        (programs / name).symlink_to(f"/bin/{name}")
    path, remote.env["PATH"] = remote.env["PATH"], str(programs)
    items = checklist(remote)
    assert items[CODE]["passed"]
    for title in ("the commits are on a remote", SOURCE):
        assert (items[title]["passed"], items[title]["problems"], items[title]["hint"]) == (
            None, ["git is missing"], None)
    remote.roar("run", "sh", "-c", "cat in > o2")
    item = checklist(remote)[CODE]
    assert (item["passed"], item["hint"]) == (None, None)
    assert item["problems"] == ["@2 has code of which git did not tell the version"]
    remote.env["PATH"] = path
    for title in (CODE, "every job was observed without gaps"):
        assert checklist(remote)[title]["hint"] == "roar run @2"
    remote.roar("run", "@2")
    assert all(item["passed"] for item in checklist(remote).values())


def test_no_hint_commits_where_git_refuses(remote):
    remote.env |= {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "GIT_CONFIG_GLOBAL": str(remote.home / ".gitconfig")}
    remote.roar("run", "true")
    item = checklist(remote)[CODE]
    assert item["passed"] is None
    assert item["hint"] == f"git config --global --add safe.directory {remote.root}"


def test_no_hint_runs_a_stale_step_of_another_session_by_its_number(user):
    user.write("in", "1")
    user.init()
    user.roar("run", "cp", "in", "o")
    session = user.json("log", "--all")["jobs"][0]["uid"]
    user.roar("reset")
    user.roar("run", "echo", "x")
    user.write("in", "2")
    item = checklist(user, "register", "--dry-run", session)["the outputs are up to date"]
    assert (item["passed"], item["hint"]) == (False, None)
    assert item["problems"][-1] == "no command mends it: what has to run again are steps of another session"


@pytest.mark.parametrize("made", [True, False])
def test_a_step_that_edits_in_place_is_not_run_on_its_own_result(desk, made):
    desk.write(".gitignore", ".roar\ndata\n")
    desk.write("raw", "1\n")
    desk.write("norm.sh", "echo more >> data\n")
    desk.init()
    if made:
        desk.roar("run", "-q", "cp", "raw", "data")
    else:
        desk.write("data", "1\n")
    desk.write("norm.sh", "echo more >> data # changed\n")
    desk.roar("run", "-q", "sh", "norm.sh")
    hint = checklist(desk)["the code is in a commit"]["hint"]
    assert hint == ("git commit -a && mv data .roar/data.old && roar run @1 && roar run @2 && rm .roar/data.old"
                    if made else None)


def test_a_job_whose_outputs_another_step_has_written_over_is_not_asked(desk):
    desk.write(".gitignore", ".roar\nmodel\n")
    desk.write("t.sh", "echo $1 > model\n")
    desk.init()
    desk.write("t.sh", "echo $1 > model # changed\n")
    desk.roar("run", "-q", "sh", "t.sh", "1")
    desk.git("commit", "-qam", "changed")
    assert not checklist(desk)["the code is in a commit"]["passed"]
    desk.roar("run", "-q", "sh", "t.sh", "2")
    assert checklist(desk)["the code is in a commit"]["passed"]
    assert (desk.root / "model").read_text() == "2\n"


KEY = "sk-proj-" + "AbCdEf0123456789" * 3


@pytest.mark.parametrize(("name", "ignored", "said"), [
    ("helper.py", False, "seems to hold a secret: it has to go before the file is committed"),
    ("config.yaml", False, "seems to hold a secret: it has to go before the file is committed"),
    ("helper.py", True, "is ignored by git: `git add -f` adds it, if it may be seen")])
def test_no_hint_commits_a_secret_or_what_git_ignores(user, name, ignored, said):
    user.write("t.py", f"import os\nfor name in ('helper.py', 'config.yaml'):\n    open(name).read()\n{COPY}")
    user.write("helper.py" if name == "config.yaml" else "config.yaml", "")
    user.write("config.yaml", "")
    user.write("in", "1")
    user.write(".gitignore", ".roar/\nmodel\n" + ("helper.py\n" if ignored else ""))
    user.init()
    user.write(name, f"api_key: {KEY}\n" if name == "config.yaml" else f"API_KEY = '{KEY}'\n")
    user.roar("run", "python", "t.py", "in", "model")
    items = checklist(user)
    assert items[CODE]["hint"] is None
    assert items[CODE]["problems"] == ["@1 ran with uncommitted changes", f"no command mends it: {name} {said}"]
    if not ignored:
        secrets = items["no secrets that the rules of redaction know"]
        assert secrets["problems"] == [
            "@1 ran code with what seems to be a secret, which is not in the record",
            "no command mends it: nothing brings back what was left out of the code of @1"]


def test_a_file_less_in_a_folder_is_no_root_input_that_is_gone(user):
    user.write(".gitignore", ".roar/\nmodel\nimg\n")
    user.init()
    for number in range(120):
        user.write(f"img/{number}.txt", str(number))
    user.roar("run", "sh", "-c", "cat img/*.txt > model")
    (user.root / "img" / "9.txt").unlink()
    item = checklist(user)["the outputs are up to date"]
    assert (item["problems"], item["hint"]) == (
        ["model: its input img/ has changed since: img/9.txt is gone"], "roar run @1")


def test_no_hint_puts_an_older_model_over_the_present_one(user):
    user.write(".gitignore", ".roar/\nmodel\nscore\n")
    user.init()
    user.write("t.py", "import sys\nopen('model', 'w').write(sys.argv[1])\n")
    user.write("e.py", "open('score', 'w').write(open('model').read())\n")
    for words in (("t.py", "1"), ("e.py",), ("t.py", "3")):
        user.roar("run", "python", *words)
    for _ in range(8):
        hint = next((item["hint"] for item in checklist(user).values()
                     if item["hint"] and item["title"] in {CODE, "the outputs are up to date"}), None)
        if hint is None:
            break
        follow(user, hint)
        assert (user.root / "model").read_text() == "3"
    assert (user.root / "score").read_text() == "3"
    assert checklist(user)[CODE]["passed"]


def test_what_is_interrupted_again_and_again_is_looked_at(user):
    user.init()
    user.roar("run", "sh", "-c", "echo half > o; kill -9 $$", status=None)
    assert checklist(user)["every step ended well"]["hint"] == "roar run @1"
    user.roar("run", "@1", status=None)
    assert checklist(user)["every step ended well"]["hint"] == "roar show @1"


@pytest.mark.parametrize("count", [None, 150])
def test_what_a_job_of_yesterday_read_has_changed_since(user, count):
    """Today's outputs are as its own session has it, and made of what was made of other data."""
    for number in range(count or 1):
        user.write(f"raw/{number}", str(number))
    user.write("t.py", "import glob, sys\nsource, target = sys.argv[1:]\n"
                       "open(target, 'w').write(''.join(open(path).read() for path in sorted(glob.glob(source))))\n")
    user.init()
    user.roar("run", "-q", "python", "t.py", "raw/*", "clean")
    user.roar("reset")
    user.roar("run", "-q", "python", "t.py", "clean", "model")
    fresh = "the outputs are up to date"
    assert checklist(user)[fresh]["passed"] is True
    user.write("raw/0", "new")
    item = checklist(user)[fresh]
    assert item["passed"] is None
    assert "of another session: its input raw/" in item["problems"][0]
    for _ in range(3):
        if item["hint"] is None:
            break
        follow(user, item["hint"])
        item = checklist(user)[fresh]
    assert (item["passed"], item["problems"]) == (True, [])
    assert "new" in (user.root / "model").read_text()


def test_a_checklist_of_nothing_is_not_passed(user):
    user.init()
    user.roar("init")
    assert user.roar("status", "--checklist", status=1).stdout == "No job has been recorded yet: roar run COMMAND\n"


def test_a_job_without_a_command_hides_no_other_ones(user):
    user.write(".gitignore", ".roar/\ndata\nmodel\n")
    user.write("data", "1\n")
    user.write("sort.sh", "sort -o data data\n")
    user.write("t.py", "open('model', 'w').write(open('data').read())\n")
    user.init()
    for name in ("sort.sh", "t.py"):
        user.write(name, (user.root / name).read_text() + "# changed\n")
    user.write("data", "2\n1\n")
    user.roar("run", "sh", "sort.sh")
    user.roar("run", "python", "t.py")
    item = checklist(user)[CODE]
    assert (item["problems"], item["hint"]) == (
        ["@1 ran with uncommitted changes", "@2 ran with uncommitted changes"], "git commit -a && roar run @2")


def test_no_hint_runs_a_command_that_held_a_secret(user):
    user.write(".gitignore", ".roar/\nmodel\n")
    user.write("in", "1")
    user.write("t.py", COPY)
    user.init()
    user.write("t.py", f"{COPY}# changed\n")
    user.roar("run", "python", "t.py", "in", "model", "--api-key", KEY)
    user.write("in", "2")
    items = checklist(user)
    assert (items[CODE]["hint"], items["the outputs are up to date"]["hint"]) == (None, None)


def test_a_rerun_that_wrote_its_log_alone_ticks_nothing_of_the_one_that_made_the_rest(user):
    user.write("b.sh", "test -e o1 || python t.py\ndate +%N > o.log\n")
    user.write("t.py", "open('o1', 'w').write('v1')\n")
    user.write(".gitignore", ".roar/\no*\n")
    user.init()
    user.write("t.py", "open('o1', 'w').write('v2')\n")
    user.roar("run", "sh", "b.sh")
    first = user.job()["uid"][:8]
    user.git("commit", "-qam", "changed")
    user.roar("run", "@1")
    item = checklist(user)[CODE]
    assert item["problems"] == [f"@1 {first} ran with uncommitted changes"]
    assert item["hint"] == "mv o1 .roar/o1.old && roar run @1"
    follow(user, item["hint"])
    assert checklist(user)[CODE]["passed"]


def test_a_branch_that_is_behind_is_brought_up_before_it_is_pushed(remote, tmp_path):
    remote.write("in", "1")
    remote.roar("run", "python", "t.py", "in", "model")
    other, url = tmp_path / "other", str(tmp_path / "remote.git")
    subprocess.run(["git", "clone", "-q", "-b", "main", url, str(other)], env=remote.env, check=True)
    for words in (["commit", "--allow-empty", "-qm", "other"], ["push", "-q"]):
        subprocess.run(["git", *words], cwd=other, env=remote.env, check=True)
    remote.git("commit", "--allow-empty", "-qm", "mine")
    remote.roar("run", "@1")
    remote.git("fetch", "-q")
    assert checklist(remote)[PUSHED]["hint"] == "git pull --no-rebase && git push"
    follow(remote, checklist(remote)[PUSHED]["hint"])
    assert checklist(remote)[PUSHED]["passed"]


def test_a_commit_that_was_pushed_and_then_amended_gets_a_branch_of_its_own(remote):
    for option in (), ("--amend",):
        remote.write("t.py", f"{COPY}# {len(option)}\n")
        remote.git("commit", "-q", *option, "-am", "changed")
        if not option:
            remote.git("push", "-q")
    remote.write("in", "1")
    remote.roar("run", "python", "t.py", "in", "o")
    commit = remote.git("rev-parse", "HEAD")[:12]
    assert checklist(remote)[PUSHED]["hint"] == f"git push -u origin {commit}:refs/heads/run-{commit}"
    follow(remote, checklist(remote)[PUSHED]["hint"])
    assert checklist(remote)[PUSHED]["passed"]


@pytest.mark.parametrize("is_other", [False, True])
def test_what_ran_of_a_commit_that_no_fetch_brings_runs_again(remote, is_other):
    """Of this session: of another one it may be that somebody else has it."""
    remote.write("in", "1")
    remote.git("commit", "-q", "--allow-empty", "-m", "first words")
    remote.roar("run", "python", "t.py", "in", "o")
    remote.git("commit", "-q", "--amend", "--allow-empty", "-m", "better words")
    remote.git("push", "-q")
    for words in (("reflog", "expire", "--expire=now", "--all"), ("gc", "-q", "--prune=now")):
        remote.git(*words)
    if is_other:
        remote.roar("reset")
        remote.roar("run", "cp", "o", "o2")
    assert checklist(remote)[PUSHED]["hint"] == "git fetch --all"
    follow(remote, "git fetch --all")
    assert checklist(remote)[PUSHED]["hint"] == ("git fetch --all" if is_other else "roar run @1")
    if not is_other:
        follow(remote, "roar run @1")
        assert checklist(remote)[PUSHED]["passed"]


def test_in_a_folder_of_the_workspace_the_repository_is_made_around_all(user):
    user.roar("init")
    user.write("my exp/-t.py", f"import sys\nsys.path[:0] = ['..']\nimport lib\n{COPY}")
    user.write("lib.py", "")
    user.write("my exp/in", "1")
    user.roar("run", "python", "./-t.py", "in", "o", cwd=user.root / "my exp")
    hint = checklist(user, folder="my exp")[CODE]["hint"]
    assert hint == "git init .. && git -C .. add lib.py 'my exp/-t.py' && git -C .. commit && roar run @1"
    follow(user, hint, "my exp")
    assert checklist(user, folder="my exp")[CODE]["passed"]


def test_in_a_folder_the_source_is_given_to_what_is_meant(user):
    user.write("raw", "1")
    user.write("exp/raw", "2")
    user.write(".gitignore", ".roar/\nraw\nmodel\n")
    user.init()
    user.roar("run", "cp", "raw", "model")
    hint = checklist(user, folder="exp")[SOURCE]["hint"]
    assert hint == "roar label ../raw source=URL"
    follow(user, hint.replace("URL", "https://example.com/raw"), "exp")
    assert checklist(user)[SOURCE]["passed"]


def test_in_a_folder_a_submodule_is_pushed_from_there(user, tmp_path):
    inner, bare = tmp_path / "inner", tmp_path / "inner.git"
    subprocess.run(["git", "init", "-q", "-b", "main", str(inner)], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "1"], cwd=inner, env=user.env, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(inner), str(bare)], check=True)
    user.write("exp/t.py", COPY)
    user.write("exp/in", "1")
    user.write(".gitignore", ".roar/\no\n")
    user.init()
    user.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(bare), "sub")
    user.git("-C", "sub", "commit", "-q", "--allow-empty", "-m", "2")
    user.git("add", "sub")
    user.git("commit", "-qm", "with a submodule")
    user.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    user.git("remote", "add", "legit", str(tmp_path / "remote.git"))
    user.roar("run", "python", "t.py", "in", "o", cwd=user.root / "exp")
    hint = checklist(user, folder="exp")[PUSHED]["hint"]
    assert hint == "git -C ../sub push && git push -u legit main"
    follow(user, hint, "exp")
    assert checklist(user)[PUSHED]["passed"]


@pytest.mark.parametrize("kind", ["submodule", "nested repository", "submodule without a log"])
def test_what_is_checked_out_within_has_to_be_on_a_remote_too(user, tmp_path, kind):
    """Of a submodule that is the commit that the job found there, not only the one that the code's commit names."""
    within, bare = user.root / "lib", tmp_path / "inner.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    user.write("t.py", "import sys\nsys.path[:0] = ['lib']\nimport s\nopen('o', 'w').write('x')\n")
    user.write(".gitignore", ".roar/\no\n__pycache__/\n" + "lib/\n" * (kind == "nested repository"))
    user.init()
    user.git("clone", "-q", str(bare), "lib")
    for text in ("s = 1\n", "s = 2\n"):
        (within / "s.py").write_text(text)
        user.git("-C", "lib", "add", ".")
        user.git("-C", "lib", "commit", "-qm", text)
        if text == "s = 1\n":
            user.git("-C", "lib", "push", "-q")
            if kind != "nested repository":
                user.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(bare), "lib")
                user.git("commit", "-qam", "with a submodule")
    if kind == "submodule without a log":
        for log in user.root.glob("**/.git/**/logs/HEAD"):
            log.unlink()
    user.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    user.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    user.git("push", "-qu", "origin", "main")
    user.roar("run", "python", "-B", "t.py")
    item = checklist(user)[PUSHED]
    commit = user.git("-C", "lib", "rev-parse", "HEAD").strip()
    assert (item["passed"], item["problems"]) == (
        False, [f"{commit[:12]} of {kind.removesuffix(' without a log')} lib of @1 is in no branch of a remote"])
    assert item["hint"] == "git -C lib push"
    follow(user, item["hint"])
    assert checklist(user)[PUSHED]["passed"]


@pytest.fixture
def around(user, tmp_path):
    """A repository on a remote whose code reads that of one within, which is ignored and has no commit yet."""
    user.write("t.py", "import sys\nsys.path[:0] = ['lib']\nimport s\nopen('o', 'w').write('x')\n")
    user.write(".gitignore", ".roar/\no\n__pycache__/\nlib/\n")
    user.init()
    user.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    user.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    user.git("push", "-qu", "origin", "main")
    user.write("lib/s.py", "s = 1\n")
    user.git("init", "-q", "lib")
    return user


def test_of_a_nested_repository_without_a_commit_nothing_is_ticked(around):
    around.roar("run", "python", "-B", "t.py")
    item = checklist(around)[PUSHED]
    assert (item["passed"], item["problems"]) == (None, ["the commit of nested repository lib of @1 is not known"])
    assert item["hint"] == checklist(around)[CODE]["hint"]
    assert item["hint"].startswith("git -C lib add s.py && git -C lib commit && ")


def test_of_a_nested_repository_that_is_gone_nothing_is_ticked(around):
    around.git("-C", "lib", "add", ".")
    around.git("-C", "lib", "commit", "-qm", "1")
    commit = around.git("-C", "lib", "rev-parse", "HEAD").strip()
    time.sleep(0.1)  # git's log tells what HEAD was before the job's second, or that nothing has moved it since
    around.roar("run", "python", "-B", "t.py")
    shutil.rmtree(around.root / "lib")
    item = checklist(around)[PUSHED]
    assert (item["passed"], item["hint"], item["problems"]) == (None, None, [
        f"{commit[:12]} of nested repository lib of @1 is not in the repository here",
        "no command mends it: there is no repository in lib any more"])


SWEEP = ("import sys\nopen('o.log', 'w').write(sys.argv[1])\nopen('o' + sys.argv[1], 'w').write('half')\n"
         "open('o' + str(int(sys.argv[1])), 'w').write('all')\n")


def test_a_try_of_which_something_lies_there_is_one_once_that_is_gone(user):
    """And once another step has written the rest over. No command removes what may be of use."""
    user.write("t.py", SWEEP)
    user.write(".gitignore", ".roar/\no*\n")
    user.init()
    user.roar("run", "python", "t.py", "1x", status=1)
    assert checklist(user)[ENDED]["hint"] == "roar show @1"
    user.roar("run", "python", "t.py", "1")
    item = checklist(user)[ENDED]
    assert (item["passed"], item["hint"]) == (False, None)
    assert item["problems"][-1] == "no command mends it: what @1 left, o1x, is still there"
    (user.root / "o1x").unlink()
    assert checklist(user)[f"{ENDED}, but for tries of which nothing is left: @1"]["passed"]


def test_what_another_step_took_something_from_is_no_try(user):
    user.write("t.py", SWEEP)
    user.write(".gitignore", ".roar/\no*\n")
    user.init()
    user.roar("run", "python", "t.py", "1x", status=1)
    user.roar("run", "cp", "o1x", "o2")
    user.roar("run", "python", "t.py", "1")
    (user.root / "o1x").unlink()
    assert checklist(user)[ENDED]["hint"] == "roar show @1"


def test_git_is_asked_once_about_one_commit(user, tmp_path):
    user.write(".gitignore", ".roar\nin\no*\n")
    user.write("in", "1")
    user.init()
    for number in range(6):
        user.roar("run", "cp", "in", f"o{number}")
    counted = tmp_path / "bin" / "git"
    counted.parent.mkdir()
    counted.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec {shutil.which("git")} "$@"\n')
    counted.chmod(0o755)
    user.env["PATH"] = f"{counted.parent}:{user.env['PATH']}"
    assert checklist(user)["every root input has a source"]["problems"] == ["in has no known source"]
    commit = user.git("rev-parse", "HEAD").strip()
    asked = [line for line in (tmp_path / "calls").read_text().splitlines() if line.endswith(f"{commit}^{{commit}}")]
    assert len(asked) == 1


def test_what_is_done_elsewhere_is_a_gap(user):
    script = user.write("bin/docker", "#!/bin/sh\necho done\n", mode=0o755)
    user.init()
    user.roar("run", str(script), "run", "--rm", "image", "python", "train.py")
    item = checklist(user)["every job was observed without gaps"]
    assert item["problems"] == ["@1 may have missed what docker started elsewhere",
                                "no command mends it: what is done elsewhere is observed only where roar runs there"]


SOURCED = "every root input has a source"


@pytest.mark.parametrize(("nothing", "problem"), [
    ("", "d has no known source"), (" ", "d has no known source"),
    ("URL", "d has the label source=URL, which names no place"),
    ("TODO: ask", "d has the label source='TODO: ask', which names no place"),
    ("1", "d has the label source=1, which names no place")])
def test_a_label_that_says_nothing_is_no_source(desk, nothing, problem):
    desk.init()
    desk.write("d", "data")
    desk.roar("run", "cp", "d", "o")
    desk.roar("label", "d", f"source={nothing}")
    assert checklist(desk)[SOURCED]["problems"] == [problem]
    for place in ("https://example.com/d", "s3://b/d", "doi:10.5281/zenodo.1", "10.5281/zenodo.1", "/mnt/nas/d",
                  "~ann/d/e", "nas.example.com:/d", "www.kaggle.com/d", "ann@example.com"):
        desk.roar("label", "d", f"source={place}")
        assert checklist(desk)[SOURCED]["passed"], place


WELL = "every step ended well"


@pytest.fixture
def failing(user):
    """A step that fails as its data and its code are; the command of either line."""
    user.write("t.py", "text = open('d').read()\nopen('o', 'w').write(text)\nassert 'bad' not in text\n")
    user.write(".gitignore", "o\nd\n")
    user.write("d", "bad")
    user.init()
    user.roar("run", "python", "t.py", status=1)

    def hints():
        items = checklist(user)
        return {items[title]["hint"] for title in (WELL, "the outputs are up to date")}

    assert hints() == {"roar show @1"}
    return hints


def test_a_step_that_failed_runs_again_once_its_data_are_others(failing, user):
    user.write("d", "good")
    assert failing() == {"mv o .roar/o.old && roar run @1"}
    user.write("d", "bad, too")
    user.roar("run", "@1", status=1)
    assert failing() == {"roar show @1"}, "it failed with these"
    user.write("d", "good")
    follow(user, "roar run @1")
    assert failing() == {None}


@pytest.mark.parametrize("commits", [True, False])
def test_a_step_that_failed_runs_again_once_its_code_is_another(failing, user, commits):
    user.write("t.py", "open('o', 'w').write(open('d').read())\n")
    if commits:
        user.git("commit", "-qam", "mended")
    assert failing() == {"roar run @1"} if commits else {"git commit -a && roar run @1"}
    while hint := next(filter(None, failing()), None):
        follow(user, hint)
    assert (user.root / "o").read_text() == "bad"


def test_what_a_failing_step_writes_itself_is_no_other_code(user):
    """It is tracked, as reports are: to commit it, and run the step again, would have no end."""
    user.write("t.py", "import sys, time\nopen('report', 'w').write(str(time.time()))\nsys.exit(1)\n")
    user.write("report", "0")
    user.init()
    user.roar("run", "python", "t.py", status=1)
    assert checklist(user)[WELL]["hint"] == "roar show @1"
    user.git("commit", "-qam", "reported")
    assert checklist(user)[WELL]["hint"] == "roar show @1"
    user.write("t.py", "open('report', 'w').write('done')\n")
    assert checklist(user)[WELL]["hint"] != "roar show @1"


def test_what_a_try_left_that_another_run_has_put_behind_is_told_alike_in_both_lines(user):
    user.write("t.py", "import sys\nopen('m', 'w').write('m')\n"
                       "if sys.argv[1:]: open('part', 'w').write('x'); sys.exit(1)\n")
    user.write(".gitignore", "m\npart\n")
    user.init()
    user.roar("run", "python", "t.py")
    user.roar("run", "python", "t.py", "--odd", status=1)
    user.roar("run", "python", "t.py")
    items = checklist(user)
    for title in (WELL, "the outputs are up to date"):
        assert items[title]["hint"] is None
        assert items[title]["problems"][-1].endswith("what @2 left, part, is still there")


@pytest.mark.parametrize("count", [3, 150])
def test_a_step_that_read_all_files_of_a_folder_runs_again_where_its_maker_has_made_one_more(user, count):
    """Be they many, a dataset, or few."""
    user.write("shard.py", "import os\nos.makedirs('shards', exist_ok=True)\n"
                           "for n in os.listdir('d'): open(f'shards/{n}.txt', 'w').write(open(f'd/{n}').read())\n")
    user.write("train.py", "import glob\n"
                           "open('model', 'w').write(str(sum(int(open(p).read()) for p in glob.glob('shards/*'))))\n")
    user.write(".gitignore", "shards\nmodel\n")
    for number in range(count):
        user.write(f"d/{number}", "1")
    user.init()
    user.roar("run", "python", "shard.py")
    user.roar("run", "python", "train.py")
    user.write(f"d/{count}", "1000")
    follow(user, "roar run @1")
    item = checklist(user)["the outputs are up to date"]
    assert item["problems"] == [f"model: shards/{count}.txt was written beside its inputs by @1 since"]
    assert item["hint"] == "roar run @2"
    follow(user, item["hint"])
    assert checklist(user)["the outputs are up to date"]["passed"]
    assert (user.root / "model").read_text() == str(1000 + count)


@pytest.mark.parametrize("more", ["", "echo '# more' >> new.py"])
def test_a_renamed_source_that_was_put_away_is_gone(user, more):
    user.write("old.py", "print(1)\n" * 9)
    user.init()
    user.git("mv", "old.py", "new.py")
    subprocess.run(["sh", "-c", f"{more}\n{sys.executable} -m roar run -q {sys.executable} new.py > out"],
                   cwd=user.root, env=user.env, check=True)
    assert checklist(user)["the code is in a commit"]["hint"] == "git commit -a && roar run @1"
    user.git("stash", "-q")
    item = checklist(user)["the code is in a commit"]
    assert (item["hint"], item["problems"][-1]) == (None, "no command mends it: new.py is gone, which the code needs")
    user.git("stash", "pop", "-q")
    follow(user, checklist(user)["the code is in a commit"]["hint"])
    assert checklist(user)["the code is in a commit"]["passed"] is True


def test_nothing_is_ticked_of_what_a_job_read_that_was_not_observed(desk):
    desk.write("train.py", "open('out', 'w').write(open('data').read())")
    desk.write("data", "d")
    desk.init()
    desk.env["ROAR_TRACER_MODE"] = "none"
    desk.roar("run", "-q", sys.executable, "train.py")
    items = checklist(desk)
    for title in ("the code is in a commit", "every root input has a source", "the outputs are up to date"):
        assert (items[title]["passed"], items[title]["problems"]) == (None, ["@1 was not observed at all"])
    assert items["every job was observed without gaps"]["passed"] is False
    del desk.env["ROAR_TRACER_MODE"]
    desk.roar("run", "-q", "@1")
    assert checklist(desk)["the outputs are up to date"]["passed"]
