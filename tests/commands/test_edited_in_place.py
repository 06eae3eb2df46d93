"""The hints of the checklist where steps edit one file, one after the other, or only add to it."""

import shlex
import subprocess

import pytest
from checklists import checklist, follow

CODE, FRESH = "the code is in a commit", "the outputs are up to date"
NORM = """import sys
name, factor = sys.argv[1], open(sys.argv[2]).read().strip()
text = open("data").read().strip()
open("data", "w").write(f"{name}({text},{factor})")
"""
CHAIN = "mv data .roar/data.old && roar run @1 && roar run @2 && roar run @3 && rm .roar/data.old"


def mend(desk, title):
    """Follow the hint of one line until there is none; the hints."""
    given = []
    while (hint := checklist(desk)[title]["hint"]) is not None:
        assert len(given) < 8, given
        given.append(hint)
        follow(desk, hint)
    return given


@pytest.fixture
def chain(user):
    """Data that two steps edit in place, and a step that reads them."""
    user.write(".gitignore", ".roar\ndata\nout\n")
    user.write("norm.py", NORM)
    for name in ("raw", "one", "two"):
        user.write(name, name[0])
    user.init()
    return user


def run_chain(desk):
    desk.roar("run", "cp", "raw", "data")
    desk.roar("run", "python", "norm.py", "A", "one")
    desk.roar("run", "python", "norm.py", "B", "two")
    desk.roar("run", "cp", "data", "out")


@pytest.mark.parametrize(("changed", "wanted"), [
    ("raw", "B(A(x,o),t)"), ("one", "B(A(r,x),t)"), ("two", "B(A(r,o),x)")])
def test_several_steps_that_edit_one_file_run_again_in_their_order(chain, changed, wanted):
    run_chain(chain)
    for _ in range(2):
        chain.write(changed, "y")  # which git tracks
        assert mend(chain, FRESH) == [f"git commit -a && {CHAIN}", "roar run @4"]
        assert (chain.root / "out").read_text() == wanted.replace("x", "y")
        assert checklist(chain)[FRESH]["passed"]
        chain.write(changed, "x")
        assert mend(chain, FRESH) == [f"git commit -a && {CHAIN}", "roar run @4"]
        assert (chain.root / "out").read_text() == wanted


def test_several_steps_that_edit_one_file_with_code_in_no_commit(chain):
    chain.write("norm.py", f"{NORM}# changed\n")
    run_chain(chain)
    assert mend(chain, CODE) == [f"git commit -a && {CHAIN}", "roar run @4"]
    assert (chain.root / "out").read_text() == "B(A(r,o),t)"


def test_steps_that_edit_go_on_where_the_file_was_made_anew(chain):
    run_chain(chain)
    chain.roar("run", "@1")
    assert mend(chain, FRESH) == ["roar run @2 && roar run @3"] or (chain.root / "data").read_text() == "B(A(r,o),t)"
    assert checklist(chain)[FRESH]["passed"]


def test_no_hint_where_nothing_makes_again_what_is_edited(chain):
    chain.write("data", "d")
    chain.roar("run", "python", "norm.py", "A", "one")
    chain.write("one", "x")
    item = checklist(chain)[FRESH]
    assert (item["passed"], item["hint"]) == (False, None)


def test_no_command_edits_tracked_data_again(chain):
    """To check them out before would take them from where they were changed by hand, or committed since."""
    chain.write("data", "2\n1\n")
    chain.git("add", "-f", "data")
    chain.git("commit", "-qm", "data")
    chain.roar("run", "sort", "-o", "data", "data")
    chain.roar("run", "sort", "-r", "-o", "data", "data")
    item = checklist(chain)[CODE]
    assert item["hint"] is None
    assert item["problems"] == ["@2 ran with uncommitted changes",
                                "no command mends it: data is edited in place, and no step has made it"]


def test_a_log_to_which_runs_only_add(user):
    user.write(".gitignore", ".roar\nout\nlog.csv\n")
    user.write("raw", "1")
    user.write("t.py", "import sys\nopen('log.csv', 'a').write(f\"{sys.argv[1]},{open('raw').read()}\\n\")\n")
    user.init()
    user.write("t.py", (user.root / "t.py").read_text() + "# changed\n")
    for name in "ab":
        user.roar("run", "python", "t.py", name)
    user.roar("run", "cp", "log.csv", "out")
    assert [use["note"] for use in user.json("show", "@1")["outputs"]] == ["written by appending"]
    assert mend(user, CODE) == ["git commit -a && roar run @1", "roar run @2", "roar run @3"]
    user.write("raw", "2")
    first, *others = mend(user, FRESH)
    assert sorted([first.removeprefix("git commit -a && "), *others]) == ["roar run @1", "roar run @2", "roar run @3"]
    assert sorted((user.root / "out").read_text().split()) == ["a,1", "a,1", "a,2", "b,1", "b,1", "b,2"]
    assert checklist(user)[FRESH]["passed"]


@pytest.mark.parametrize("text", ["cat log.csv > /dev/null; echo 1 >> log.csv", "echo 1 >> log.csv; cat log.csv",
                                  "echo 1 1<> log.csv", "echo 1 > log.csv; echo 2 >> log.csv"])
def test_what_is_read_or_written_otherwise_too_is_not_written_by_appending(desk, text):
    desk.write("log.csv", "0\n")
    desk.roar("run", "sh", "-c", text)
    (use,) = desk.job()["outputs"]
    assert (use["path"], use.get("note")) == ("log.csv", None)


def test_training_that_goes_on_from_its_checkpoint_begins_anew(desk):
    desk.write(".gitignore", ".roar\nckpt\nraw\n")
    desk.write("raw", "1")
    desk.write("t.py", "import os\nold = open('ckpt').read() if os.path.exists('ckpt') else 'new'\n"
                       "open('ckpt', 'w').write(f\"t({old},{open('raw').read()})\")\n")
    desk.init()
    for _ in range(2):
        desk.roar("run", "python", "t.py")
    desk.write("raw", "2")
    assert mend(desk, FRESH) == ["mv ckpt .roar/ckpt.old && roar run @1 && roar run @1 && rm .roar/ckpt.old"]
    assert (desk.root / "ckpt").read_text() == "t(t(new,2),2)"


def test_a_folder_of_data_that_is_edited_in_place(desk):
    """What made it may pass over what is there."""
    desk.write(".gitignore", ".roar\nd\n")
    desk.write("raw", "1\n")
    desk.write("size", "1\n")
    desk.init()
    desk.roar("run", "sh", "-c", "mkdir -p d; for i in $(seq 120); do test -e d/$i || cat raw > d/$i; done")
    desk.roar("run", "sh", "-c", "for f in d/*; do cat size >> $f; done")
    desk.write("size", "2\n")
    item = checklist(desk)[FRESH]
    assert (item["passed"], item["hint"]) == (False, None)


def test_no_command_writes_over_what_was_edited_by_hand(chain):
    chain.write("raw", "?")
    chain.write("init.py", "open('out', 'w').write(open('raw').read())\n")
    chain.roar("run", "python", "init.py")
    chain.write("out", "by hand")
    chain.roar("run", "cp", "out", "data")
    for title in (CODE, FRESH):
        assert "@1" not in (checklist(chain)[title]["hint"] or "")
    mend(chain, CODE)
    chain.write("raw", "!")
    mend(chain, FRESH)
    assert (chain.root / "out").read_text() == "by hand"


TRAIN = """import glob, os
os.makedirs("data", exist_ok=True)
for epoch in range(len(glob.glob("data/*")), 6):
    state = open(f"data/e{epoch - 1}").read() if epoch else open("raw").read()
    open(f"data/e{epoch}", "w").write(state + "+")
    if os.path.exists("on") and epoch in {1, 3}:
        os.remove("on")
        os.kill(os.getpid(), 9)
open("train.log", "a").write("done")
"""


def test_a_training_that_went_on_from_its_checkpoints_until_it_was_done(chain):
    chain.write(".gitignore", ".roar\ndata\nout\ntrain.log\non\n")
    chain.write("train.py", TRAIN)
    chain.init()
    for _ in range(2):
        chain.write("on", "")
        chain.roar("run", "python", "train.py", status=None)
        item = checklist(chain)[FRESH]
        assert (item["passed"], item["hint"]) == (False, "roar run @1")
    chain.roar("run", "python", "train.py")
    assert (chain.root / "data" / "e5").read_text() == "r++++++"
    assert checklist(chain)[FRESH]["passed"]


def test_no_command_takes_back_what_was_never_committed(chain):
    chain.write("data", "d")
    chain.git("add", "-f", "data")
    chain.git("commit", "-qm", "data")
    chain.write("data", "mine")
    chain.roar("run", "python", "norm.py", "A", "one")
    assert checklist(chain)[CODE]["hint"] is None
    chain.write("one", "x")
    assert checklist(chain)[FRESH]["hint"] is None
    assert (chain.root / "data").read_text() == "A(mine,o)"


@pytest.mark.parametrize("take", [["mv", "raw", "data"], ["cp", "raw", "data"]])
def test_no_command_where_what_was_read_first_is_gone(chain, take):
    chain.write(".gitignore", ".roar\ndata\nout\nraw\n")
    chain.git("rm", "-q", "--cached", "raw")
    chain.git("commit", "-qam", "raw")
    chain.roar("run", *take)
    (chain.root / "raw").unlink(missing_ok=True)
    chain.write("norm.py", f"{NORM}# changed\n")
    chain.roar("run", "python", "norm.py", "A", "one")
    assert checklist(chain)[CODE]["hint"] is None
    chain.write("one", "x")
    assert checklist(chain)[FRESH]["hint"] is None


def test_files_that_steps_edit_with_each_other_are_not_made_in_an_order_that_cannot_work(chain):
    chain.write(".gitignore", ".roar\nd1\nd2\nout\n")
    chain.write("ed.py", "import sys\na, b = sys.argv[1:]\nt = open(a).read()\nu = open(b).read()\n"
                         "open(a, 'w').write(f'({t}<{u})')\n")
    chain.git("add", "-A")
    chain.git("commit", "-qm", "ed")
    for words in (["cp", "raw", "d1"], ["cp", "one", "d2"], ["python", "ed.py", "d1", "d2"],
                  ["python", "ed.py", "d2", "d1"], ["sh", "-c", "cat d1 d2 > out"]):
        chain.roar("run", *words)
    chain.write("raw", "3")
    mend(chain, FRESH)
    if checklist(chain)[FRESH]["passed"]:
        assert (chain.root / "out").read_text() == "(3<o)(o<(3<o))"
    assert {"d1", "d2"} <= {path.name for path in chain.root.iterdir()}


MODE = "data has rights of its own (mode 600), which it would not have once made anew"
LINK = "data has another name (a hard link), under which it would stay as it is"


@pytest.mark.parametrize(("guard", "reason"), [("chmod 600 data", MODE), ("ln data out-too", LINK)])
def test_no_command_where_a_new_file_would_not_be_what_the_old_one_is(chain, guard, reason):
    run_chain(chain)
    subprocess.run(guard.split(), cwd=chain.root, check=True)
    chain.write("one", "y")
    assert mend(chain, FRESH) == []
    assert f"no command mends it: {reason}" in checklist(chain)[FRESH]["problems"]


def test_a_private_file_of_one_who_makes_all_files_private_is_made_anew(chain):
    chain.program = ["sh", "-c", 'umask 077; exec "$@"', "-", *chain.program]
    run_chain(chain)
    (chain.root / "data").chmod(0o600)
    chain.write("one", "y")
    assert checklist(chain)[FRESH]["hint"] == f"git commit -a && {CHAIN}"


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_file_with_a_long_name_is_put_aside(chain, letter):
    size = len(letter.encode())
    name = letter * (252 // size) + ".pt"
    chain.write("norm.py", NORM.replace('"data"', f'"{name}"'))
    chain.write(".gitignore", f".roar\n{name}\n")
    chain.git("commit", "-qam", "longer")
    chain.roar("run", "cp", "raw", name)
    chain.roar("run", "python", "norm.py", "A", "one")
    chain.write("one", "y")
    hint = mend(chain, FRESH)[0]
    words = shlex.split(hint.removeprefix("git commit -a && "))
    assert words[:3] == ["mv", name, f".roar/{letter * (240 // size)}.old"]
    assert (chain.root / name).read_text() == "A(r,y)"


def test_what_fails_loses_nothing(chain):
    """As a download whose server is not there any more."""
    chain.write("on", "")
    chain.roar("run", "sh", "-c", "test -e on && cp raw data")
    chain.roar("run", "python", "norm.py", "A", "one")
    (chain.root / "on").unlink()
    chain.write("one", "x")
    hint = checklist(chain)[FRESH]["hint"]
    with pytest.raises(subprocess.CalledProcessError):
        follow(chain, hint)
    assert (chain.root / ".roar" / "data.old").read_text() == "A(r,o)"


def test_what_was_made_of_data_before_they_were_edited_is_not_made_of_the_edited_ones(chain):
    """As a plot of the raw data: it is told of, and more than that nobody knows."""
    chain.roar("run", "cp", "raw", "data")
    chain.roar("run", "cp", "data", "out")
    chain.roar("run", "python", "norm.py", "A", "one")
    item = checklist(chain)[FRESH]
    assert item["hint"] is None
    assert item["problems"] == ["out: its input data was edited in place by @3",
                                "no command mends it: @2 would read what was edited since, and not what it had read"]


def test_a_step_that_reads_what_is_edited_is_made_again_of_that(chain):
    """Also where it ran in between."""
    for words in (["cp", "raw", "data"], ["python", "norm.py", "A", "one"], ["cp", "data", "out"]):
        chain.roar("run", *words)
    for step in ("@1", "@3", "@2"):
        chain.roar("run", step)
    assert mend(chain, FRESH) == ["roar run @3"]
    assert (chain.root / "out").read_text() == "A(r,o)"


WALED = """import os, sqlite3, sys
store = sqlite3.connect("f.db")
store.execute("pragma journal_mode=wal")
store.execute("create table if not exists t (a)")
store.execute(sys.argv[1])
store.commit()
if os.path.exists("on"):
    os.kill(os.getpid(), 9)
store.close()
"""


def test_no_command_edits_a_database_twice_whose_job_was_killed_after_its_end(chain):
    chain.write(".gitignore", ".roar\nf.db*\nout\non\n")
    chain.write("sql.py", WALED)
    chain.init()
    chain.roar("run", "python", "sql.py", "insert into t values (1)")
    chain.write("on", "")
    chain.roar("run", "python", "sql.py", "update t set a = a + 1", status=None)
    (chain.root / "on").unlink()
    for item in checklist(chain).values():
        assert "@" not in (item["hint"] or "")
    assert checklist(chain)["every step ended well"]["problems"][1] == (
        "no command mends it: f.db-wal holds changes that are not in the database yet")
