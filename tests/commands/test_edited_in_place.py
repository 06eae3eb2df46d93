"""The hints of the checklist where steps edit one file, one after the other, or only add to it."""

import pytest
from checklists import checklist, follow

CODE, FRESH = "the code is in a commit", "the outputs are up to date"
NORM = """import sys
name, factor = sys.argv[1], open(sys.argv[2]).read().strip()
text = open("data").read().strip()
open("data", "w").write(f"{name}({text},{factor})")
"""
CHAIN = "rm data && roar run @1 && roar run @2 && roar run @3"


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
        chain.write(changed, "y")
        assert mend(chain, FRESH) == [CHAIN, "roar run @4"]
        assert (chain.root / "out").read_text() == wanted.replace("x", "y")
        assert checklist(chain)[FRESH]["passed"]
        chain.write(changed, "x")
        assert mend(chain, FRESH) == [CHAIN, "roar run @4"]
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


def test_data_in_a_commit_are_brought_back_before_they_are_edited_again(chain):
    chain.write("data", "d")
    chain.git("add", "-f", "data")
    chain.git("commit", "-qm", "data")
    commit = chain.git("rev-parse", "HEAD").strip()[:12]
    chain.write("norm.py", f"{NORM}# changed\n")
    chain.roar("run", "python", "norm.py", "A", "one")
    assert mend(chain, CODE) == [f"git checkout {commit} -- data && git commit -a && roar run @1"]
    assert (chain.root / "data").read_text() == "A(d,o)"
    chain.write("one", "x")
    commit = chain.git("rev-parse", "HEAD").strip()[:12]
    assert mend(chain, FRESH) == [f"git checkout {commit} -- data && roar run @1"]
    assert (chain.root / "data").read_text() == "A(d,x)"


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
    assert sorted(mend(user, FRESH)) == ["roar run @1", "roar run @2", "roar run @3"]
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
    desk.write(".gitignore", ".roar\nckpt\n")
    desk.write("raw", "1")
    desk.write("t.py", "import os\nold = open('ckpt').read() if os.path.exists('ckpt') else 'new'\n"
                       "open('ckpt', 'w').write(f\"t({old},{open('raw').read()})\")\n")
    desk.init()
    for _ in range(2):
        desk.roar("run", "python", "t.py")
    desk.write("raw", "2")
    assert mend(desk, FRESH) == ["rm ckpt && roar run @1 && roar run @1"]
    assert (desk.root / "ckpt").read_text() == "t(t(new,2),2)"


def test_a_folder_of_data_that_is_edited_in_place(desk):
    desk.write(".gitignore", ".roar\nd\n")
    desk.write("raw", "1\n")
    desk.write("size", "1\n")
    desk.init()
    desk.roar("run", "sh", "-c", "mkdir -p d; for i in $(seq 120); do cat raw > d/$i; done")
    desk.roar("run", "sh", "-c", "for f in d/*; do cat size >> $f; done")
    desk.write("size", "2\n")
    assert mend(desk, FRESH) == ["roar run @1 && roar run @2"]
    assert (desk.root / "d" / "7").read_text() == "1\n2\n"
