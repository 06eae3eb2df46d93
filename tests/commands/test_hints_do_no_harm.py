"""What the hints of the checklist leave behind when they are followed: what a rebuild gives, and nothing is lost."""

import os
import shutil
import subprocess

import pytest
from checklists import checklist, follow

CODE, FRESH, ENDED = "the code is in a commit", "the outputs are up to date", "every step ended well"
IGNORED = ".roar\nraw*\nm*\nout*\n*.log\ndata*\ntoday\nall\nres*\n*.cache\nimg\ntok\non\nhist\n"


def read(desk, name):
    return (desk.root / name).read_text()


def mend(desk, title=FRESH):
    """Follow the hint of one line until there is none; the hints, and what is left to say."""
    given = []
    while (item := checklist(desk)[title])["hint"] is not None:
        assert len(given) < 8, given
        given.append(item["hint"])
        follow(desk, item["hint"])
    return given, item["problems"]


@pytest.fixture
def scripts(user):
    """A function that puts scripts in a commit, by their names."""
    def write(**texts):
        user.write(".gitignore", IGNORED)
        for name, text in texts.items():
            user.write(f"{name}.py", text)
        if (user.root / ".git").exists():
            user.git("add", "-A")
            user.git("commit", "-qm", "more")
        else:
            user.init()
        return user
    return write


TRAIN = "import sys\nopen('m', 'w').write(sys.argv[1] + ':' + open('raw').read())\n"
EVALUATE = "open('out', 'w').write(open('m').read())\n"
CACHED = ("import os\nif os.path.exists('x.cache'): text = open('x.cache').read()\nelse:\n"
          "    text = open('raw').read()\n    open('x.cache', 'w').write(text)\n")


@pytest.mark.parametrize("more", ["open('t.log', 'a').write(sys.argv[1])", "open('m-' + sys.argv[1], 'w').write('1')"])
@pytest.mark.parametrize("back", [False, True])
def test_the_model_that_lies_there_stays_that_of_its_parameters(scripts, more, back):
    """Where each run also adds to a log, or writes a file of its own; also after going back to the first ones."""
    desk = scripts(train=TRAIN + more, ev=EVALUATE)
    desk.write("raw", "a")
    for rate in ("1", "2"):
        desk.roar("run", "python", "train.py", rate)
        desk.roar("run", "python", "ev.py")
    if back:
        desk.roar("run", "@1")
        desk.roar("run", "@2")
    present = "1" if back else "2"
    assert read(desk, "out") == f"{present}:a"
    desk.write("raw", "b")
    mend(desk)
    assert checklist(desk)[FRESH]["passed"]
    assert (read(desk, "m"), read(desk, "out")) == (f"{present}:b", f"{present}:b")


@pytest.mark.parametrize("way", ["stash", "branch"])
def test_a_model_of_changes_that_were_undone_is_not_made_of_other_code(scripts, way):
    """Also where another branch is checked out, in which the script differs elsewhere."""
    rest = "# 1\n# 2\n# 3\n# 4\n# 5\n"
    desk = scripts(train=f"{TRAIN}{rest}")
    desk.write("raw", "a")
    desk.git("checkout", "-qb", "side")
    scripts(train=f"{TRAIN}{rest}# 6\n")
    desk.git("checkout", "-q", "main")
    desk.write("train.py", f"{TRAIN.replace('raw', 'raw2')}{rest}")
    desk.write("raw2", "idea")
    desk.roar("run", "python", "train.py", "1")
    desk.git("stash", "-q")
    if way == "branch":
        desk.git("checkout", "-q", "side")
    assert mend(desk, CODE) == ([], [
        "@1 ran with uncommitted changes",
        "no command mends it: the changes of train.py that @1 ran with were undone"])
    assert read(desk, "m") == "1:idea"
    desk.git("stash", "pop", "-q")
    assert checklist(desk)[CODE]["hint"] == "git commit -a && roar run @1"


@pytest.mark.parametrize("is_read", [False, True])
def test_notes_that_the_step_did_not_read_may_be_undone(scripts, is_read):
    scripts().write("notes.md", "")
    desk = scripts(train=TRAIN + ("open('notes.md').read()\n" if is_read else ""))
    desk.write("raw", "a")
    desk.write("notes.md", "idea\n")
    desk.roar("run", "python", "train.py", "1")
    desk.git("checkout", "-q", "notes.md")
    said = ["@1 ran with uncommitted changes",
            "no command mends it: the changes of notes.md that @1 ran with were undone"]
    assert mend(desk, CODE) == (([], said) if is_read else (["roar run @1"], []))


def test_what_was_made_of_changes_that_were_undone_runs_again_where_the_model_has(scripts):
    desk = scripts(train=TRAIN, ev=EVALUATE)
    desk.write("raw", "a")
    desk.write("train.py", TRAIN.replace("':'", "' idea '"))
    desk.roar("run", "python", "train.py", "1")
    desk.git("checkout", "-q", "train.py")
    desk.roar("reset")
    desk.roar("run", "python", "ev.py")
    assert mend(desk, CODE)[0] == []
    desk.roar("run", "python", "train.py", "1")
    assert mend(desk, CODE) == (["roar run @1"], [])
    assert read(desk, "out") == "1:a"


@pytest.mark.parametrize("edited", ["train", "ev", "notes"])
def test_what_runs_again_runs_once_with_its_code_in_a_commit(scripts, edited):
    """Where something that git tracks was changed since: the command of the code's line would run it once more."""
    desk = scripts(train=TRAIN, ev=EVALUATE, notes="")
    desk.write("raw", "a")
    desk.roar("run", "python", "train.py", "1")
    desk.roar("run", "python", "ev.py")
    desk.write("raw", "b")
    with (desk.root / f"{edited}.py").open("a") as file:
        file.write("# more\n")
    given = []
    while (hint := next((item["hint"] for title, item in checklist(desk).items()
                         if title in {CODE, FRESH, ENDED} and item["hint"]), None)) is not None:
        given.append(hint)
        follow(desk, hint)
    assert given == ["git commit -a && roar run @1", "roar run @2"]
    assert all(checklist(desk)[title]["passed"] for title in (CODE, FRESH, ENDED))
    assert read(desk, "out") == "1:b"


def test_what_runs_again_waits_for_no_merge(scripts):
    """Whether its code is to be committed in the middle of that is not known: the line of the code says so then."""
    desk = scripts(train=TRAIN, notes="")
    desk.write("raw", "a")
    desk.roar("run", "python", "train.py", "1")
    desk.git("checkout", "-qb", "side")
    for branch in ("side", "main"):
        desk.git("checkout", "-q", branch)
        desk.write("notes.py", f"# {branch}\n")
        desk.git("commit", "-qam", branch)
    with pytest.raises(subprocess.CalledProcessError):
        desk.git("merge", "side")
    desk.write("raw", "b")
    assert mend(desk) == (["roar run @1"], [])
    assert checklist(desk)[CODE]["problems"][-1].startswith("no command mends it: a merge is not finished: ")


def test_a_sweep_whose_runs_evaluate_one_model_file_keeps_its_results(scripts):
    desk = scripts(train="import sys\nopen('m', 'w').write(sys.argv[1])\n",
                   ev="import sys\nopen('res-' + sys.argv[1], 'w').write(open('m').read())\n")
    for rate in "123":
        desk.roar("run", "python", "train.py", rate)
        desk.roar("run", "python", "ev.py", rate)
    given, problems = mend(desk)
    assert given == []
    assert problems[-1].startswith("no command mends it: m is what @")
    assert [read(desk, f"res-{rate}") for rate in "123"] == ["1", "2", "3"]


def test_a_table_that_grows_by_what_is_overwritten_each_day_is_not_made_again(scripts):
    desk = scripts(ingest="import os\nold = open('all').read() if os.path.exists('all') else ''\n"
                          "open('all', 'w').write(old + open('today').read())\n", ev="open('out', 'w').write("
                          "open('all').read())\n")
    for day in "123":
        desk.write("today", day)
        desk.roar("run", "python", "ingest.py")
        desk.roar("run", "python", "ev.py")
    desk.write("today", "4")
    assert mend(desk) == (["roar run @1", "roar run @2"], [])
    assert (read(desk, "all"), read(desk, "out")) == ("1234", "1234")


def test_training_that_was_killed_goes_on_from_where_it_was(scripts):
    desk = scripts(train="import os\nold = open('m').read() if os.path.exists('m') else ''\n"
                         "open('m', 'w').write(old + '+')\nif os.path.exists('on'): os.kill(os.getpid(), 9)\n")
    for on in (False, False, True):
        if on:
            desk.write("on", "")
        desk.roar("run", "python", "train.py", status=None)
    (desk.root / "on").unlink()
    assert {checklist(desk)[title]["hint"] for title in (ENDED, FRESH)} == {"roar run @1"}


def test_what_looked_at_the_data_before_they_were_cleaned_is_made_again_of_those(scripts):
    desk = scripts(load="open('data', 'w').write(open('raw').read())\n",
                   look="open('hist', 'w').write(open('data').read())\n",
                   clean="text = open('data').read()\nopen('data', 'w').write(text.upper())\n", ev="open('out', 'w')"
                   ".write(open('data').read())\n")
    desk.write("raw", "a")
    for name in ("load", "look", "clean", "ev"):
        desk.roar("run", "python", f"{name}.py")
    desk.write("raw", "b")
    given, problems = mend(desk)
    assert given == ["mv data .roar/data.old && roar run @1 && roar run @2 && roar run @3 && rm .roar/data.old",
                     "roar run @4"]
    assert [read(desk, name) for name in ("hist", "data", "out")] == ["b", "B", "B"]
    assert problems[0] == "hist: its input data was edited in place by @3"
    desk.write("raw", "c")
    desk.roar("run", "@1")
    desk.roar("run", "@3")
    assert mend(desk)[0] == given
    assert [read(desk, name) for name in ("hist", "data", "out")] == ["c", "C", "C"]


@pytest.mark.parametrize("again", [True, False])
def test_what_is_made_of_what_a_failed_job_edited_is_not_up_to_date(scripts, again):
    desk = scripts(load="open('data', 'w').write(open('raw').read())\n", ev="open('out', 'w').write("
                   "open('data').read())\n", clean="import os\nrows = open('data').read()\nwith open('data', 'w') as"
                   " file:\n    file.write(rows[:2].upper())\n    if os.path.exists('on'): exit(1)\n"
                   "    file.write(rows[2:].upper())\n")
    desk.write("raw", "abcd")
    desk.roar("run", "python", "load.py")
    desk.write("on", "")
    desk.roar("run", "python", "clean.py", status=1)
    (desk.root / "on").unlink()
    if again:
        desk.roar("run", "@2")
    desk.roar("run", "python", "ev.py")
    said = {output["path"]: output["reason"] for output in desk.json("status")["outputs"]}
    assert said == ({"data": "a run of it that did not end well had edited data before",
                     "out": "@2, which it took inputs from, is stale"} if again else
                    {"data": "@2, which wrote it, ended with exit status 1",
                     "out": "@2, which it took inputs from, did not end well"})
    if again:
        assert mend(desk) == (["mv data .roar/data.old && roar run @1 && roar run @2 && rm .roar/data.old",
                               "roar run @3"], [])
        assert read(desk, "out") == "ABCD"


def test_a_script_with_a_cache_of_its_own_is_run_without_it_where_it_passed_over_new_data(scripts):
    desk = scripts(train=CACHED + "open('m', 'w').write(text)\n")
    desk.write("raw", "a")
    desk.roar("run", "python", "train.py")
    desk.write("raw", "b")
    given, problems = mend(desk)
    assert given[0] == "roar run @1"
    assert given[1:] == ["mv x.cache .roar/x.cache.old && roar run @1"]
    assert (read(desk, "m"), problems) == ("b", [])


def test_a_folder_of_checkpoints_is_put_aside_as_a_whole(scripts):
    desk = scripts(train="import glob, os\nos.makedirs('data', exist_ok=True)\nold = sorted(glob.glob('data/*'))\n"
                         "text = open(old[-1]).read() if old else open('raw').read()\n"
                         "for epoch in range(len(old), len(old) + 4):\n    open(f'data/{epoch}', 'w').write(text)\n"
                         "open('m', 'w').write(text)\n")
    desk.write("raw", "a")
    for _ in range(2):
        desk.roar("run", "python", "train.py")
    desk.write("raw", "b")
    given, problems = mend(desk)
    assert given[-1] == "mv data .roar/data.old && roar run @1"
    assert read(desk, ".roar/data.old/0") == "a"
    assert (read(desk, "m"), problems) == ("b", [])


EPOCHS = ("import glob, os, sys\nos.makedirs('data', exist_ok=True)\nraw = open('raw').read()\n"
          "old = sorted(glob.glob('data/epoch*'))\ntext = open(old[-1]).read() if old else ''\n"
          "for epoch in range(len(old), 4):\n    text += raw\n    open(f'data/epoch{epoch}', 'w').write(text)\n"
          "    if os.path.lexists('data/latest'): os.remove('data/latest')\n"
          "    if len(sys.argv) > 1: os.symlink(f'epoch{epoch}', 'data/latest')\n"
          "    if os.path.exists(f'on/{epoch}'): os.kill(os.getpid(), 9)\nopen('m', 'w').write(text)\n")


@pytest.fixture
def resumed(scripts):
    """A function that trains on some text, in two runs of four epochs together, and then has other data there."""
    def train(*words, stop=2, text=EPOCHS):
        desk = scripts(train=text)
        desk.write("raw", "a")
        (desk.write(f"on/{stop}", "")).parent.mkdir(exist_ok=True)
        desk.roar("run", "python", "train.py", *words, status=None)
        (desk.root / "on" / str(stop)).unlink()
        desk.roar("run", "python", "train.py", *words)
        return desk
    return train


@pytest.mark.parametrize("words", [(), ("--link",)])
@pytest.mark.parametrize("notes", [True, False])
def test_a_training_in_two_runs_begins_anew_on_other_data(resumed, words, notes):
    """Without any checkpoint of the old ones, be they the newest or never read; what else lies there stays."""
    desk = resumed(*words)
    if notes:
        desk.write("data/notes", "looks good")
    desk.write("raw", "b")
    [hint], problems = mend(desk)
    assert hint == (" && ".join([*(f"mv data/{name} .roar/{name}.old" for name in (
        "epoch0", "epoch1", "epoch2", "epoch3", *(["latest"] if words else []))), "roar run @1"])
        if notes else "mv data .roar/data.old && roar run @1")
    assert ([read(desk, f"data/epoch{epoch}") for epoch in range(4)], problems) == (["b", "bb", "bbb", "bbbb"], [])
    assert not notes or read(desk, "data/notes") == "looks good"


def test_a_training_in_two_runs_with_more_checkpoints_than_a_few_has_no_command(resumed):
    desk = resumed(text=EPOCHS.replace("(len(old), 4)", "(len(old), 7)"))
    desk.write("data/notes", "looks good")
    desk.write("raw", "b")
    assert mend(desk) == ([], [*(f"{name}: its input raw has changed since" for name in (
        *(f"data/epoch{epoch}" for epoch in range(7)), "m")),
        "no command mends it: @1 goes on from what it left, and what that was made of has changed"])


def test_checkpoints_that_somebody_has_a_link_to_are_not_put_aside(resumed):
    """The step finds them by it."""
    desk = resumed()
    (desk.root / "data-link").symlink_to("data")
    desk.write("train.py", EPOCHS.replace("glob('data/", "glob('data-link/"))
    desk.git("commit", "-qam", "by the link")
    desk.roar("run", "@1")
    desk.write("raw", "b")
    assert mend(desk)[1][-1] == ("no command mends it: data-link leads to what @1 left, which would have to be put"
                                 " aside")


@pytest.mark.parametrize("stop", [0, 2])
def test_a_training_that_failed_does_not_go_on_with_other_data(scripts, stop):
    desk = scripts(train=EPOCHS)
    desk.write("raw", "a")
    desk.write(f"on/{stop}", "").parent.mkdir(exist_ok=True)
    desk.roar("run", "python", "train.py", status=None)
    (desk.root / "on" / str(stop)).unlink()
    assert checklist(desk)[FRESH]["hint"] == checklist(desk)[ENDED]["hint"] == "roar run @1"
    desk.write("raw", "b")
    assert checklist(desk)[ENDED]["hint"] == "mv data .roar/data.old && roar run @1"
    assert mend(desk)[1] == []
    assert (read(desk, "m"), read(desk, ".roar/data.old/epoch0")) == ("bbbb", "a")


def test_results_of_earlier_runs_stay_where_the_last_one_failed(scripts):
    desk = scripts(train="import os\nplace = f'data/{len(os.listdir(\"data\"))}'\nos.makedirs(place)\n"
                         "text = open('raw').read()\nopen(place + '/m', 'w').write(text)\n"
                         "if text == 'b': os.kill(os.getpid(), 9)\n")
    (desk.root / "data").mkdir()
    for text in "ab":
        desk.write("raw", text)
        desk.roar("run", "python", "train.py", status=None)
    desk.write("raw", "c")
    assert mend(desk)[0][0] == "mv data/1 .roar/1.old && roar run @1"
    assert [read(desk, f"data/{number}/m") for number in range(2)] == ["a", "c"]


def test_a_table_of_several_days_is_not_put_aside_with_a_cache_beside_it(scripts):
    desk = scripts(train="import os\nos.makedirs('data', exist_ok=True)\nold = ''\n"
                         "if os.path.exists('data/all'): old = open('data/all').read()\n"
                         "open('data/all', 'w').write(old + open('today').read())\n"
                         + CACHED.replace("x.cache", "data/x"))
    desk.write("raw", "a")
    for day in "12":
        desk.write("today", day)
        desk.roar("run", "python", "train.py")
    desk.write("raw", "b")
    desk.roar("run", "@1")
    assert mend(desk)[1][-1] == "no command mends it: data/all is what runs of @1 made with several versions of today"
    assert read(desk, "data/all") == "122"


def test_a_cache_that_was_made_anew_is_not_put_aside_again(scripts):
    """What it was made of at first is not there any more; what the present one was made of is."""
    desk = scripts(train=CACHED + "open('m', 'w').write(text + open('raw2').read())\n")
    desk.write("raw", "a")
    desk.write("raw2", "1")
    desk.roar("run", "python", "train.py")
    desk.write("raw", "b")
    desk.roar("run", "@1")
    follow(desk, checklist(desk)[FRESH]["hint"])
    desk.roar("run", "@1")
    desk.write("raw2", "2")
    assert mend(desk) == (["roar run @1"], [])
    assert read(desk, "m") == "b2"


def test_a_step_whose_script_is_gone_is_not_run_again(scripts):
    desk = scripts(train="open('m', 'w').write(open('raw').read())\nopen('t.log', 'a').write('1')\n")
    desk.write("raw", "a")
    desk.roar("run", "python", "train.py")
    (desk.root / "src").mkdir()
    desk.git("mv", "train.py", "src/train.py")
    desk.git("commit", "-qm", "moved")
    desk.write("raw", "b")
    assert mend(desk) == ([], ["m: its input raw has changed since", "t.log: its input raw has changed since",
                               "no command mends it: train.py, which @1 ran, is gone"])


def test_what_git_puts_back_is_not_edited_by_hand(scripts):
    desk = scripts(train="text = open('params.json').read()\nopen('scores.json', 'w').write(text)\n")
    desk.write("params.json", "1")
    desk.roar("run", "python", "train.py")
    desk.git("add", "-A")
    desk.git("commit", "-qm", "one")
    desk.git("checkout", "-qb", "side")
    desk.write("params.json", "2")
    desk.git("commit", "-qam", "two")
    desk.roar("run", "python", "train.py")
    desk.git("commit", "-qam", "scores")
    desk.git("checkout", "-q", "main")
    assert mend(desk) == (["roar run @1"], [])
    desk.write("params.json", "3")
    desk.write("scores.json", "by hand")
    assert mend(desk)[0] == []


def test_a_correction_by_hand_that_was_committed_is_not_undone(scripts):
    desk = scripts(train="text = open('params.json').read()\nopen('scores.json', 'w').write(text)\n")
    desk.write("params.json", "1")
    desk.roar("run", "python", "train.py")
    desk.write("scores.json", "by hand")
    desk.git("add", "-A")
    desk.git("commit", "-qm", "corrected")
    assert mend(desk)[0] == []
    assert (desk.root / "scores.json").read_text() == "by hand"


@pytest.mark.parametrize(("kept", "gone"), [(".gitkeep", ()), ("other", (7,)), ("other", (7, 140))])
def test_a_file_of_a_dataset_that_was_corrected_by_hand(scripts, kept, gone):
    """In a folder of which git knows another file; or where one more file was deleted."""
    desk = scripts(make="for n in range(150): open(f'labels/{n}', 'w').write(str(n))\n")
    desk.write(f"labels/{kept}", "")
    desk.write(".gitignore", f"labels/*\n!labels/{kept}\n.roar\n")
    desk.git("add", "-A")
    desk.git("commit", "-qm", "keep")
    desk.roar("run", "python", "make.py")
    desk.write("labels/100", "by hand")
    for number in gone:
        (desk.root / f"labels/{number}").unlink()
    assert mend(desk)[0] == []
    assert (desk.root / "labels/100").read_text() == "by hand"


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("word", ["{root}/sub/x", "--out={root}/sub/x", "{root}/sub"])
def test_a_command_that_names_where_the_project_lay_before_it_was_copied(scripts, copied, word):
    desk = scripts(prep="import os, sys\nplace = sys.argv[1].partition('=')[2] or sys.argv[1]\n"
                        "if os.path.isdir(place): place += '/x'\nopen(place, 'w').write(open('raw').read())\n")
    desk.write("raw", "a")
    desk.write("sub/kept", "")
    desk.roar("run", "python", "prep.py", word.format(root=desk.root))
    old = desk.root
    desk.root = old.with_name("another")
    (shutil.copytree if copied else shutil.move)(old, desk.root)
    desk.write("raw", "b")
    given, problems = mend(desk)
    place = "sub" if word.endswith("sub") else "sub/x"
    assert given == []
    assert problems[-1] == (f"no command mends it: the command of @1 names {old}/{place}, where {place} of this"
                            " workspace lay before")
    assert not copied or (old / "sub/x").read_text() == "a"


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_a_command_that_names_code_where_the_project_lay_before_it_was_copied(scripts, copied, tracked):
    code = "open('out', 'w').write(open('raw').read())\n"
    desk = scripts(**{"pkg/prep": code} if tracked else {"other": ""})
    desk.write("pkg/prep.py", code)
    desk.write("raw", "a")
    desk.roar("run", "python", str(desk.root / "pkg/prep.py"))
    old = desk.root
    desk.root = old.with_name("another")
    (shutil.copytree if copied else shutil.move)(old, desk.root)
    desk.write("raw", "b")
    given, problems = mend(desk)
    assert given == []
    assert problems[-1] == (f"no command mends it: the command of @1 names {old}/pkg/prep.py, where pkg/prep.py"
                            " of this workspace lay before")


def test_a_command_that_names_code_of_another_project_has_a_hint(scripts, tmp_path):
    desk = scripts(prep="raise SystemExit(1)\n")
    desk.write("raw", "a")
    other = tmp_path / "else"
    (other / ".git").mkdir(parents=True)
    (other / "prep.py").write_text("open('out', 'w').write(open('raw').read())\n")
    desk.roar("run", "python", str(other / "prep.py"))
    desk.write("raw", "b")
    assert mend(desk) == (["roar run @1"], [])


@pytest.mark.parametrize("dirty", [True, False])
def test_a_step_whose_inputs_are_stale_does_not_run_before_these_are_made(scripts, dirty):
    desk = scripts(prep="open('m', 'w').write(open('raw').read())\n", ev=EVALUATE + "raise SystemExit(0)\n")
    desk.write("raw", "a")
    desk.roar("run", "python", "prep.py")
    desk.write("ev.py", EVALUATE)
    desk.roar("run", "python", "ev.py")
    if not dirty:
        desk.git("commit", "-qam", "by hand")
    desk.write("raw", "b")
    given = []
    for title in ("the code is in a commit", FRESH):
        while (hint := checklist(desk)[title]["hint"]) is not None:
            assert len(given) < 8, given
            given.append(hint)
            follow(desk, hint)
    assert [hint.rpartition(" && ")[2] for hint in given] == ["roar run @1", "roar run @2"]
    assert (desk.root / "out").read_text() == "b"


def test_a_folder_that_output_was_redirected_into_is_made_again(scripts):
    desk = scripts(train="print(open('raw').read())\n")
    desk.write("raw", "a")
    (desk.root / "logs").mkdir()
    with (desk.root / "logs/one").open("w") as file:
        subprocess.run([*desk.program, "run", "python", "train.py"], cwd=desk.root, env=desk.env, stdout=file,
                       stderr=subprocess.DEVNULL, check=True)
    shutil.rmtree(desk.root / "logs")
    desk.roar("run", "@1")
    assert (desk.root / "logs/one").read_text() == "a\n"


def test_what_is_asked_about_is_not_failed_by_other_outputs(scripts):
    desk = scripts(one="open('m', 'w').write(open('raw').read())\n",
                   two="open('out', 'w').write(open('other').read())\n")
    for name in ("raw", "other"):
        desk.write(name, "a")
    for name in ("one", "two"):
        desk.roar("run", "python", f"{name}.py")
    desk.write("other", "b")
    assert checklist(desk, "register", "--dry-run", "m")[FRESH]["passed"] is True
    assert checklist(desk, "register", "--dry-run", "out")[FRESH]["hint"] == "roar run @2"
    assert checklist(desk)[FRESH]["passed"] is False


TRAIN_ONCE = "import os\ntext = open('raw').read()\nif not os.path.exists('m'):\n    open('m', 'w').write(text)\n"


def test_a_training_that_found_all_done_is_not_ticked_on_other_data(scripts):
    desk = scripts(train=TRAIN_ONCE, ev=EVALUATE)
    desk.write("raw", "a")
    desk.roar("run", "python", "train.py")
    desk.roar("run", "python", "ev.py")
    assert checklist(desk)[FRESH]["passed"] is True
    desk.write("raw", "b")
    given, problems = mend(desk)
    assert given[0] == "roar run @1"
    assert (desk.root / "m").read_text() == (desk.root / "out").read_text() == "b"
    assert checklist(desk)[FRESH]["passed"] is True
    assert problems == []


CHECKPOINTS = ("import os\nos.makedirs('ck', exist_ok=True)\nepochs, raw = open('cfg').read(), open('raw').read()\n"
          "for epoch in range(int(epochs)):\n    open(f'ck/{epoch}', 'w').write(f'{epoch} {epochs} {raw}')\n")
AVERAGE = "import glob\nopen('out', 'w').write(''.join(open(name).read() for name in sorted(glob.glob('ck/*'))))\n"


@pytest.mark.parametrize(("before", "after"), [(3, 2), (70, 60), (150, 140)], ids=["few", "many", "datasets"])
def test_checkpoints_of_epochs_that_there_are_no_more_are_not_ticked(scripts, before, after):
    desk = scripts(train=CHECKPOINTS, ev=AVERAGE)
    desk.write("raw", "a")
    for epochs in (before, after):
        desk.write("cfg", str(epochs))
        desk.roar("run", "python", "train.py")
        desk.roar("run", "python", "ev.py")
    fresh = checklist(desk)[FRESH]
    if before == 150:  # what was there before is an earlier version of the dataset
        assert fresh["passed"] is False
        return
    assert (fresh["passed"], fresh["problems"][0]) == (None, (
        f"ck/{after}: @1 left it as it was, though it read a changed cfg, and @2 took it beside what it made then"))
    if before == 70:
        assert (fresh["hint"], fresh["problems"][-1]) == (None, (
            "no command mends it: nobody can tell what is left over. If it is that: move it away, then roar run @1"))
        (desk.root / "ck").rename(desk.root / "away")
        desk.roar("run", "@1")
    assert mend(desk)[0][-1] == "roar run @2"
    assert {path.name for path in (desk.root / "ck").iterdir()} == {str(epoch) for epoch in range(after)}
    assert checklist(desk)[FRESH]["passed"] is True
    left = read(desk, "out")
    desk.roar("run", "@2")
    assert read(desk, "out") == left


def test_what_may_be_left_over_is_told_only_where_another_step_took_it(scripts):
    desk = scripts(train=CHECKPOINTS, ev=AVERAGE)
    desk.write("raw", "a")
    desk.write("cfg", "3")
    desk.roar("run", "python", "train.py")
    desk.write("cfg", "2")
    desk.roar("run", "python", "train.py")
    (desk.root / "ck" / "2").rename(desk.root / "old")
    desk.roar("run", "python", "ev.py")
    (desk.root / "old").rename(desk.root / "ck" / "2")
    assert checklist(desk)[FRESH]["passed"] is True


COPY = ("import os, shutil\nshutil.rmtree('tok', True)\nos.mkdir('tok')\nfor path, _, names in os.walk('img'):\n"
        "    for name in names:\n        shutil.copyfile(f'{path}/{name}', 'tok/' + os.path.basename(path) + name)\n")
SPLIT = ("import glob, os, shutil\nshutil.rmtree('ck', True)\nos.mkdir('ck')\nfor path in glob.glob('tok/*[0-4]*'):\n"
         "    shutil.copyfile(path, path.replace('tok', 'ck'))\n")
LIST = ("import glob\nopen('{}', 'w').write(''.join(name + open(name).read() for name in sorted(glob.glob("
        "'{}', recursive=True)) if name[-1].isdigit()))\n")
TURN = "mv img/cat/1 tmp; mv img/dog/3 img/cat/1; mv tmp img/dog/3"


@pytest.mark.parametrize("change", ["mv img/cat/1 img/cat/14", "mv img/cat/1 img/dog/14", TURN, "rm img/cat/1"])
@pytest.mark.parametrize("count", [12, 60])
def test_a_file_that_was_renamed_is_followed_through_all_steps(scripts, count, change):
    desk = scripts(copy=COPY, split=SPLIT, table=LIST.format("m", "img/**"), train=LIST.format("out", "ck/*"))
    for number in range(count):
        desk.write(f"img/cat/{number}", f"cat {number}")
        desk.write(f"img/dog/{number}", f"dog {number}")
    for name in ("copy", "table", "split", "train"):
        desk.roar("run", "python", f"{name}.py")
    follow(desk, change)
    given, problems = mend(desk)
    assert (sorted(given), problems) == ([f"roar run @{step}" for step in (1, 2, 3, 4)], [])
    assert checklist(desk)[FRESH]["passed"] is True
    made = {name: read(desk, name) for name in ("m", "out")}
    assert {root["path"] for root in desk.json("inputs", "out")["inputs"] if "img" not in root["path"]} == set()
    for name in ("copy", "table", "split", "train"):
        desk.roar("run", "python", f"{name}.py")
    assert made == {name: read(desk, name) for name in ("m", "out")}


@pytest.mark.parametrize("export", ["open('e', 'w').write('same')\n", "open('log', 'a').write('x')\n"])
def test_what_is_exported_again_with_the_same_content_is_not_made_of_other_data(scripts, export):
    desk = scripts(train=TRAIN_ONCE + export)
    desk.write("raw", "a")
    desk.roar("run", "python", "train.py")
    desk.write("raw", "b")
    desk.roar("run", "python", "train.py")
    fresh = checklist(desk)[FRESH]
    assert (fresh["passed"], fresh["problems"]) == (None, ["m: @1 left it as it was, though it read a changed raw"])
    assert "roar run @1" in fresh["hint"]


@pytest.mark.parametrize(("train", "made"), [
    (TRAIN_ONCE + "open('m').read()\n", "m"),
    (TRAIN_ONCE.replace("'m'", "'ck/m'").replace("import os", "import os; os.makedirs('ck', exist_ok=True)")
     + "open('ck/m').read()\nopen('ck/n', 'a')\n", "ck/m"),
    (("import os\nraw = open('raw').read()\nif open('mode').read() == 'train':\n    open('m', 'w').write(raw)\n"
      "else:\n    assert open('m').read()\n"), "m")], ids=["goes on", "from a folder", "uses it"])
def test_what_uses_its_own_output_is_not_told_to_do_without(scripts, train, made):
    """Whether it goes on from that, and found all done, or tests it, as a setting says, nobody can tell."""
    desk = scripts(train=train)
    desk.write("raw", "a")
    desk.write("mode", "train")
    desk.roar("run", "python", "train.py")
    desk.write("mode", "test")
    desk.write("raw", "b")
    desk.roar("run", "python", "train.py")
    fresh = checklist(desk)[FRESH]
    assert (fresh["passed"], fresh["hint"]) == (None, None)
    assert fresh["problems"][-1] == (
        f"no command mends it: @1 read {made} itself, to go on from it or to use it; without it that run might do"
        " something else. If not: move it away, then roar run @1")


def test_what_was_made_of_an_earlier_model_that_was_put_back(scripts):
    desk = scripts(train="open('m', 'w').write(open('raw').read())\n", ev=EVALUATE)
    desk.write("raw", "a")
    for text in "ab":
        desk.write("raw", text)
        desk.roar("run", "python", "train.py")
        desk.roar("run", "python", "ev.py")
    desk.write("m", "a")
    desk.roar("run", "python", "ev.py")
    given, problems = mend(desk)
    assert given == []
    assert problems[1:] == [
        "out: what it took from @1 is of an earlier run of it, from inputs that have changed since",
        "no command mends it: what @1 wrote was changed since, and would be written over"]


def test_a_step_that_failed_by_itself_hides_no_other_command(scripts):
    desk = scripts(train="open('m', 'w').write(open('raw').read())\n", plot="open('out', 'w').write('1')\n1 / 0\n")
    desk.write("raw", "a")
    desk.roar("run", "python", "plot.py", status=1)
    desk.roar("run", "python", "train.py")
    desk.write("raw", "b")
    assert mend_once(desk) == "roar run @2"
    assert checklist(desk)[FRESH]["hint"] == "roar show @1"


def mend_once(desk):
    hint = checklist(desk)[FRESH]["hint"]
    follow(desk, hint)
    return hint


@pytest.mark.parametrize("first", ["os.makedirs('tok', exist_ok=True)", "shutil.rmtree('tok', True); os.mkdir('tok')"])
@pytest.mark.parametrize("part", ["tok/*", "tok/1*"])
def test_one_file_less_in_a_dataset_that_was_made_of_many(scripts, first, part):
    desk = scripts(tok=f"import glob, os, shutil\n{first}\nfor path in glob.glob('img/*'):\n"
                       "    open('tok/' + os.path.basename(path), 'w').write(open(path).read())\n",
                   train="import glob\nopen('m', 'w').write(','.join(sorted(open(path).read() for path in"
                         f" glob.glob('{part}'))))\n")
    for number in range(150):
        desk.write(f"img/{number}", str(number))
    desk.roar("run", "python", "tok.py")
    desk.roar("run", "python", "train.py")
    (desk.root / "img" / "17").unlink()
    if "rmtree" not in first:
        subprocess.run(["rm", "-r", "tok"], cwd=desk.root, check=True)
    assert mend(desk) == (["roar run @1", "roar run @2"], [])
    assert "17" not in read(desk, "m").split(",")


@pytest.mark.parametrize("count", [8, 150])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_was_made_of_one_file_less_is_made_again_once_that_is_tidied_away(scripts, count, at_once):
    """As long as it lies there, what is made of all in the folder would be of that, too."""
    desk = scripts(tok="import glob, os\nos.makedirs('tok', exist_ok=True)\nfor path in glob.glob('img/*'):\n"
                       "    open('tok/' + os.path.basename(path), 'w').write(open(path).read())\n",
                   train="import glob\nopen('m', 'w').write(','.join(sorted(open(path).read() for path in"
                         " glob.glob('tok/*'))))\n", ev=EVALUATE)
    for number in range(count):
        desk.write(f"img/{number}", str(number))
    for name in ("tok", "train", "ev"):
        desk.roar("run", "python", f"{name}.py")
    (desk.root / "img" / "7").unlink()
    if not at_once:
        given, problems = mend(desk)
        assert given in (["roar run @1"], ["roar run @1", "roar run @2"])
        assert problems[-1].startswith("no command mends it: ")
    (desk.root / "tok" / "7").unlink()
    assert mend(desk) == (["roar run @1"] * at_once + ["roar run @2", "roar run @3"], [])
    assert "7" not in read(desk, "out").split(",")
    assert checklist(desk)[FRESH]["passed"]


def test_one_file_less_of_those_that_were_made_one_by_one(scripts):
    desk = scripts(tok="import sys\nopen('tok/' + sys.argv[1], 'w').write(open('img/' + sys.argv[1]).read())\n",
                   train="import glob\nopen('m', 'w').write(','.join(open(path).read() for path in"
                         " sorted(glob.glob('tok/*'))))\n", ev=EVALUATE)
    (desk.root / "tok").mkdir()
    for name in "abcde":
        desk.write(f"img/{name}", name)
        desk.roar("run", "python", "tok.py", name)
    desk.roar("run", "python", "train.py")
    desk.roar("run", "python", "ev.py")
    for gone in "dc":
        for folder in ("img", "tok"):
            (desk.root / folder / gone).unlink()
        desk.write("img/b", f"not {gone}")
        assert mend(desk) == (["roar run @2", "roar run @6", "roar run @7"], [])
    assert read(desk, "out") == "a,not c,e"
    (desk.root / "img" / "e").unlink()
    assert mend(desk)[1][-1] == "no command mends it: img/e is gone, which @5 needs"


def test_what_the_last_of_many_models_led_to_is_made_again_in_its_turn(scripts):
    """Each is in a folder of its own, to which a symlink leads; the earlier ones are stale then, and stay so."""
    desk = scripts(train="import os, time\nplace = str(time.time_ns())\nos.makedirs('mm/' + place)\n"
                         "open(f'mm/{place}/x', 'w').write(open('raw').read())\n"
                         "if os.path.lexists('mm/latest'):\n    os.remove('mm/latest')\n"
                         "os.symlink(place, 'mm/latest')\n",
                   ev="open('out', 'w').write(open('mm/latest/x').read())\n",
                   plot="open('res', 'w').write(open('out').read())\n")
    desk.write("raw", "a")
    for name in ("train", "ev", "plot"):
        desk.roar("run", "python", f"{name}.py")
    first = os.readlink(desk.root / "mm" / "latest")
    desk.write("raw", "b")
    assert mend(desk) == (["roar run @1", "roar run @2", "roar run @3"], [])
    assert read(desk, "res") == "b"
    (desk.root / "mm" / "latest").unlink()
    (desk.root / "mm" / "latest").symlink_to(first)
    given, problems = mend(desk)
    assert (given, problems[-1]) == (
        ["roar run @2"], "no command mends it: @3 would read out, which is not up to date")


def test_a_pipeline_keeps_what_it_made_after_one_of_its_steps_was_tried_by_hand(scripts):
    desk = scripts(train="import sys\nopen('m', 'w').write(sys.argv[1] + ':' + open('data').read())\n", ev=EVALUATE)
    desk.write("all.sh", "set -e\ncat raw > data\npython train.py 1\npython ev.py\n")
    desk.git("add", "all.sh")
    desk.git("commit", "-qm", "more")
    desk.write("raw", "a")
    desk.roar("run", "sh", "all.sh")
    desk.roar("run", "python", "train.py", "2")
    desk.write("raw", "b")
    desk.roar("run", "sh", "all.sh")
    assert mend(desk) == ([], [])
    assert (read(desk, "m"), read(desk, "out")) == ("1:b", "1:b")


def test_what_is_gone_and_would_be_another_now_is_not_ticked(scripts):
    desk = scripts(one="open('out', 'w').write(open('raw').read())\n", two="open('m', 'w').write('1')\n")
    desk.write("raw", "a")
    desk.roar("run", "python", "one.py")
    desk.roar("run", "python", "two.py")
    (desk.root / "out").unlink()
    assert checklist(desk)[FRESH]["passed"]
    desk.write("raw", "b")
    item = checklist(desk)[FRESH]
    assert (item["passed"], item["problems"], item["hint"]) == (
        None, ["out is gone; of @1: its input raw has changed since"], "roar run @1")
    follow(desk, item["hint"])
    assert (checklist(desk)[FRESH]["passed"], read(desk, "out")) == (True, "b")


def test_what_was_made_of_an_earlier_folder_that_was_tidied_away_is_made_again(scripts):
    desk = scripts(train="import os, sys\nplace = 'm-' + open('raw').read()\nos.makedirs(place)\n"
                         "open(place + '/x', 'w').write(open('raw').read())\n",
                   ev="import glob\nopen('out', 'w').write(','.join(map(str.strip, map("
                      "lambda path: open(path).read(), glob.glob('m-*/x')))))\n")
    for text in "ab":
        desk.write("raw", text)
        desk.roar("run", "python", "train.py")
        desk.roar("run", "python", "ev.py")
    assert mend(desk)[0] == []
    subprocess.run(["rm", "-r", "m-a"], cwd=desk.root, check=True)
    assert mend(desk) == (["roar run @2"], [])
    assert read(desk, "out") == "b"


def test_a_cache_is_put_aside_without_the_results_of_earlier_runs(scripts):
    """Be they in folders of their own, or in a table that the script reads and writes again."""
    desk = scripts(train=CACHED + "old = open('all').read() if os.path.exists('all') else ''\n"
                         "open('all', 'w').write(old + text)\n"
                         "place = f'm-{len(old)}'\nos.makedirs(place)\nopen(place + '/m', 'w').write(text)\n")
    desk.write("raw", "a")
    for _ in range(2):
        desk.roar("run", "python", "train.py")
    desk.write("raw", "b")
    desk.roar("run", "@1")
    follow(desk, checklist(desk)[FRESH]["hint"])
    assert read(desk, "all") == "aaab"
    assert [read(desk, f"m-{number}/m") for number in range(4)] == ["a", "a", "a", "b"]


@pytest.mark.parametrize("command", [["python", "ev.py", "{}"], ["sh", "-c", "python ev.py {} > /dev/null"]])
@pytest.mark.parametrize("rates", ["12", "123"])
def test_a_sweep_with_one_model_file_keeps_its_results_when_the_data_change(scripts, rates, command):
    desk = scripts(train="import sys\nopen('m', 'w').write(open('raw').read() + sys.argv[1])\n",
                   ev="import sys\nopen('res-' + sys.argv[1], 'w').write(open('m').read())\n")
    desk.write("raw", "a")
    for rate in rates:
        desk.roar("run", "python", "train.py", rate)
        desk.roar("run", *(word.format(rate) for word in command))
    desk.write("raw", "b")
    problems = mend(desk)[1]
    assert [read(desk, f"res-{rate}")[1] for rate in rates] == [*rates]
    assert "no command mends it" in problems[-1]


def test_a_log_that_several_steps_write_anew_is_no_reason_to_run_them_in_turn(scripts):
    text = "open('t.log', 'w').write(__file__)\nopen('{}', 'w').write(open('{}').read())\n"
    desk = scripts(one=text.format("data", "raw"), two=text.format("m", "data"))
    desk.write("raw", "a")
    desk.roar("run", "python", "one.py")
    desk.roar("run", "python", "two.py")
    desk.roar("run", "@1")
    assert mend(desk) == ([], [])


def test_a_module_that_is_gone_is_not_run_again(scripts):
    desk = scripts()
    desk.write("pkg/prep.py", "open('data', 'w').write(open('raw').read())\n")
    desk.git("add", "-A")
    desk.git("commit", "-qm", "pkg")
    desk.write("raw", "a")
    desk.roar("run", "python", "-m", "pkg.prep")
    desk.git("mv", "pkg", "pkg2")
    desk.git("commit", "-qm", "moved")
    desk.write("raw", "b")
    assert mend(desk)[1][-1] == "no command mends it: pkg/prep.py, which @1 ran, is gone"


def test_a_job_in_the_place_of_whose_input_there_is_a_folder_now_is_not_run_again(scripts):
    desk = scripts()
    desk.write("raw", "a")
    desk.roar("run", "sh", "-c", "cat raw > sum; rm raw; mkdir raw")
    told = desk.roar("status", "--checklist", status=1).stdout
    assert "no command mends it: raw, which @1 read, is gone" in told


def test_why_there_is_no_command_is_told_however_long_the_list(scripts):
    desk = scripts(train="import sys\nopen('m' + sys.argv[1], 'w').write(open('raw').read())\n")
    desk.write("raw", "a")
    for number in range(7):
        desk.roar("run", "python", "train.py", str(number))
    desk.git("mv", "train.py", "fit.py")
    desk.git("commit", "-qm", "renamed")
    desk.write("raw", "b")
    told = desk.roar("status", "--checklist", status=1).stdout
    assert "no command mends it: train.py, which @1 ran, is gone" in told


def test_commits_are_found_where_the_folder_of_a_step_is_gone(scripts):
    desk = scripts()
    desk.write("part/t.py", "open('../m', 'w').write('1')\n")
    desk.git("add", "-A")
    desk.git("commit", "-qm", "part")
    desk.roar("run", "python", "t.py", cwd=desk.root / "part")
    desk.git("mv", "part", "whole")
    desk.git("commit", "-qm", "renamed")
    [problem] = checklist(desk)["the commits are on a remote"]["problems"]
    assert problem.endswith(" of @1 is in no branch of a remote")


def test_what_read_a_file_that_its_step_goes_on_with_is_made_again_by_itself(scripts):
    desk = scripts(train="import os\nbest = open('m').read() if os.path.exists('m') else ''\n"
                         "open('m', 'w').write(max(best, open('raw').read()))\n", ev=EVALUATE)
    desk.write("raw", "a")
    desk.roar("run", "python", "train.py")
    desk.roar("run", "python", "ev.py")
    desk.write("raw", "b")
    desk.roar("run", "@1")
    assert mend(desk) == (["roar run @2"], [])


def test_one_file_less_in_a_folder_of_few(scripts):
    desk = scripts(tok="import glob, os, shutil\nshutil.rmtree('tok', True)\nos.mkdir('tok')\n"
                       "for path in glob.glob('img/*'):\n"
                       "    open('tok/' + os.path.basename(path), 'w').write(open(path).read())\n",
                   train="import glob\nopen('m', 'w').write(''.join(sorted(open(path).read() for path in"
                         " glob.glob('tok/*'))))\n")
    for number in range(5):
        desk.write(f"img/{number}", str(number))
    desk.roar("run", "python", "tok.py")
    desk.roar("run", "python", "train.py")
    (desk.root / "img" / "3").unlink()
    assert mend(desk) == (["roar run @1", "roar run @2"], [])
    assert read(desk, "m") == "0124"


@pytest.mark.parametrize(("name", "said"), [("raw", "raw cannot be read, which @1 needs"),
                                            ("m", "m, which @1 wrote, cannot be read")])
def test_no_step_runs_where_its_files_cannot_be_read(scripts, name, said):
    """It would empty its output, or fail: as for a file of another user."""
    desk = scripts(train="open('m', 'w').write(open('raw').read())\n")
    desk.write("raw", "a")
    desk.roar("run", "python", "train.py")
    (desk.root / name).unlink()
    (desk.root / name).symlink_to(name)
    assert mend(desk)[1][-1] == f"no command mends it: {said}"


@pytest.mark.parametrize("back", ["copy('t', 'm')", "move('t', 'm')"])
def test_what_is_made_of_a_file_and_put_in_its_place_runs_behind_it(scripts, back):
    desk = scripts(prep="open('m', 'w').write(open('raw').read())\n",
                   clean="open('t', 'w').write('c' + open('m').read())\n",
                   back=f"import shutil\nshutil.{back}\n",
                   train="open('out', 'w').write(open('m').read())\n")
    desk.write(".git/info/exclude", "t\n")
    desk.write("raw", "a")
    for name in ("prep", "clean", "back", "train"):
        desk.roar("run", "python", f"{name}.py")
    desk.write("raw", "b")
    assert mend(desk) == (["roar run @1 && roar run @2 && roar run @3", "roar run @4"], [])
    assert (read(desk, "m"), read(desk, "out")) == ("cb", "cb")


def test_what_read_a_file_before_it_was_replaced_by_what_that_led_to_does_not_read_that(scripts):
    """Statistics of the data, by which outliers are taken out of them."""
    desk = scripts(prep="open('data', 'w').write(open('raw').read())\n",
                   stats="open('m', 'w').write(open('data').read() + open('raw2').read())\n",
                   out="open('data', 'w').write('o' + open('m').read())\n")
    desk.write("raw", "a")
    desk.write("raw2", "1")
    for name in ("prep", "stats", "out"):
        desk.roar("run", "python", f"{name}.py")
    desk.write("raw2", "2")
    assert mend(desk) == (["roar run @1 && roar run @2 && roar run @3"], [])
    assert (read(desk, "m"), read(desk, "data")) == ("a2", "oa2")


def test_what_came_by_a_pipe_is_not_given_again_by_a_hint(scripts):
    desk = scripts(prep="import sys\nopen('m', 'w').write(sys.stdin.read() + open('raw').read())\n")
    desk.write("raw", "a")
    desk.roar("run", "python", "prep.py", input="data ")
    desk.write("raw", "b")
    because = "@1 read what came by a pipe or a here-document as standard input, which is not in the record"
    assert mend(desk) == ([], ["m: its input raw has changed since", f"no command mends it: {because}"])
    done = desk.roar("run", "@1", status=2, stdin=subprocess.DEVNULL)
    assert done.stderr == f"roar: {because}: it has to be given again.\n  try: roar run @1 < FILE\n"
    assert read(desk, "m") == "data a"
    desk.roar("run", "@1", input="more ")
    assert read(desk, "m") == "more b"


def test_a_step_with_another_parameter_has_what_it_made_edited_again(scripts):
    desk = scripts(prep="import sys\nopen('m', 'w').write(sys.argv[-1])\n",
                   norm="text = open('m').read()\nopen('m', 'w').write('n' + text)\n", ev=EVALUATE)
    for words in (("prep.py", "--seed", "1"), ("norm.py",), ("ev.py",)):
        desk.roar("run", "python", *words)
    desk.roar("run", "@1", "--seed", "2")
    assert mend(desk) == (["roar run @2", "roar run @3"], [])
    assert read(desk, "out") == "n2"


def test_what_lies_between_two_edits_is_made_again_between_them(scripts):
    """Be it that the first of the steps was run again by hand; then nobody knows whether it was meant to be there."""
    edit = "text = open('m').read()\nopen('m', 'w').write({!r} + text)\n"
    desk = scripts(prep="open('m', 'w').write(open('raw').read())\n", clean=edit.format("c"),
                   stats=EVALUATE, more=edit.format("a"))
    desk.write("raw", "1")
    for name in ("prep", "clean", "stats", "more"):
        desk.roar("run", "python", f"{name}.py")
    desk.write("raw", "2")
    desk.roar("run", "@1")
    for _ in range(2):
        given, problems = mend(desk)
        assert problems == ["out: its input m was edited in place by @4",
                            "no command mends it: @3 would read what was edited since, and not what it had read"]
        assert (read(desk, "m"), read(desk, "out")) == ("ac2", "c2")
    assert given == []


def test_a_training_is_not_run_before_the_data_that_it_waits_for(scripts):
    desk = scripts(prep="import sys\nopen('data', 'w').write(sys.argv[-1] + open('raw').read())\n",
                   train="open('m', 'w').write(open('data').read())\n")
    desk.write("raw", "a")
    for words in (("prep.py", "1"), ("train.py",), ("prep.py", "2")):
        desk.roar("run", "python", *words)
    desk.write("raw", "b")
    assert mend(desk) == (["roar run @3", "roar run @2"], [])
    assert read(desk, "m") == "2b"


MANY = "import os\nos.makedirs('img', exist_ok=True)\nfor n in range(150):\n    open(f'img/{n}', 'w').write(str(n))\n"
MEND = "for n in range({}):\n    text = open(f'img/{{n}}').read()\n    open(f'img/{{n}}', 'w').write('n' + text)\n"
SUM_UP = "open('m', 'w').write(' '.join(open(f'img/{n}').read() for n in range(150)))\n"


@pytest.mark.parametrize("count", [3, 120, 150])
def test_a_folder_that_was_made_again_is_edited_again(scripts, count):
    """Whether what is edited there is told as a dataset or file by file."""
    desk = scripts(make=MANY, fix=MEND.format(count), train=SUM_UP)
    for name in ("make", "fix", "train"):
        desk.roar("run", "python", f"{name}.py")
    meant = read(desk, "m")
    desk.roar("run", "@1")
    given, problems = mend(desk)
    assert (given[0], problems) == ("roar run @2", [])
    assert {*given} <= {"roar run @2", "roar run @3"}
    assert (read(desk, "img/0"), read(desk, "m")) == ("n0", meant)


def test_files_that_are_edited_as_one_folder_are_up_to_date(scripts):
    desk = scripts(make=MANY.replace("range(150)", "range(*map(int, sys.argv[1:]))").replace("os\n", "os, sys\n", 1),
                   fix=MEND.format(150), train=SUM_UP)
    for part in (("0", "60"), ("60", "120"), ("120", "150")):
        desk.roar("run", "python", "make.py", *part)
    for name in ("fix", "train"):
        desk.roar("run", "python", f"{name}.py")
    assert {output["path"]: output["state"] for output in desk.json("status")["outputs"]} == {
        "img/": "fresh", "m": "fresh"}
    assert checklist(desk)[FRESH]["passed"]


def test_a_folder_that_grows_over_the_threshold_is_told_once(scripts):
    desk = scripts(make=MANY.replace("range(150)", "range(int(open('raw').read()))"))
    for count in ("90", "150"):
        desk.write("raw", count)
        desk.roar("run", "python", "make.py")
    assert [output["path"] for output in desk.json("status")["outputs"]] == ["img/"]
    assert checklist(desk)[FRESH]["passed"]


@pytest.mark.parametrize("text", [
    "import os, sys\nif os.path.exists('m'): sys.exit()\nopen('m', 'w').write(open('raw').read())\n",
    "import subprocess\nsubprocess.run(['make', '-s', 'm'], check=True)\n"], ids=["exists", "make"])
def test_a_step_that_finds_its_output_there_makes_it_of_new_data(scripts, text):
    """For make(1) the new data are older than what it had made of the old ones."""
    desk = scripts(train=text, ev=EVALUATE)
    desk.write("Makefile", "m: raw\n\tcp raw m\n")
    desk.git("add", "Makefile")
    desk.git("commit", "-qm", "2")
    for content, time in (("a", 1_000), ("b", 2_000)):
        os.utime(desk.write("raw", content), (time, time))
        for name in ("train", "ev")[:1 if content == "b" else 2]:
            desk.roar("run", "python", f"{name}.py")
    assert mend(desk) == (["mv m .roar/m.old && roar run @1", "roar run @2"], [])
    assert (read(desk, "out"), read(desk, ".roar/m.old")) == ("b", "a")


def test_all_that_edited_a_file_does_so_again_where_it_was_made_twice_by_hand(scripts):
    edit = "text = open('m').read()\nopen('m', 'w').write({!r} + text)\n"
    desk = scripts(prep="open('m', 'w').write(open('raw').read())\n", clean=edit.format("c"), more=edit.format("a"))
    desk.write("raw", "1")
    for name in ("prep", "clean", "more"):
        desk.roar("run", "python", f"{name}.py")
    for _ in range(2):
        desk.roar("run", "@1")
    assert mend(desk) == (["roar run @2 && roar run @3"], [])
    assert read(desk, "m") == "ac1"
