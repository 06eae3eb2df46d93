"""What a session rests on that an earlier one made: whether that is still what it would be."""

import pytest
from checklists import checklist, follow

FRESH = "the outputs are up to date"


@pytest.fixture
def earlier(user):
    """clean.csv is made of raw.csv, m.txt of that; s.txt of m.txt in the next session, with `begin` in between."""
    user.write("prep.py", "import sys; open('clean.csv', 'w').write(open('raw.csv').read() * int(sys.argv[1]))")
    user.write("tr.py", "open('m.txt', 'w').write(open('clean.csv').read())")
    user.write("ev.py", "open('s.txt', 'w').write(open('m.txt').read() + '!')")
    user.write("raw.csv", "1\n2\n")
    user.write(".gitignore", "clean.csv\nm.txt\ns.txt\n")
    user.init()
    user.roar("run", "python", "prep.py", "1")
    user.roar("run", "python", "tr.py")
    made = user.job()["uid"][:8]

    def begin():
        user.roar("reset")
        user.roar("run", "python", "ev.py")
        return made

    return begin


def test_it_is_ticked_where_nothing_has_changed(earlier, user):
    earlier()
    item = checklist(user)[FRESH]
    assert (item["passed"], item["problems"], item["hint"]) == (True, [], None)


def test_an_intermediate_file_that_somebody_edited(earlier, user):
    made = earlier()
    prep = user.json("log", "--all")["jobs"][-1]["uid"][:8]
    user.write("clean.csv", "5\n6\n")
    item = checklist(user)[FRESH]
    assert (item["passed"], item["hint"]) == (None, None)
    assert item["problems"] == [
        f"{made}, of another session: its input clean.csv has changed since",
        f"no command mends it: what {prep} wrote was changed since, and would be written over"]


def test_an_intermediate_file_that_was_made_with_another_parameter(earlier, user):
    user.roar("run", "python", "prep.py", "2")
    again = user.job()["uid"][:8]
    made = earlier()
    item = checklist(user)[FRESH]
    assert item["passed"] is None
    assert item["problems"] == [f"{made}, of another session: its input clean.csv was written again by {again}"]
    hints = []
    while not (item := checklist(user)[FRESH])["passed"]:
        hints.append(item["hint"])
        follow(user, item["hint"])
    assert hints == ["roar run python tr.py", "roar run @1"]
    assert (user.root / "s.txt").read_text() == "1\n2\n1\n2\n!"


def test_data_that_a_step_had_cleaned_and_that_came_anew(user):
    """To train again on what is not cleaned would be no mend."""
    user.write("fix.py", "text = open('raw.csv').read(); open('raw.csv', 'w').write(text.replace('x', '0'))")
    user.write("tr.py", "open('m.txt', 'w').write(open('raw.csv').read())")
    user.write("raw.csv", "1\nx\n")
    user.write(".gitignore", "raw.csv\nm.txt\ns.txt\n")
    user.init()
    user.roar("run", "python", "fix.py")
    user.roar("run", "python", "tr.py")
    user.roar("reset")
    user.roar("run", "cp", "m.txt", "s.txt")
    user.write("raw.csv", "5\nx\n")
    item = checklist(user)[FRESH]
    assert (item["passed"], item["hint"]) == (None, None)
    assert "its input raw.csv has changed since" in item["problems"][0]


def test_a_training_that_finds_all_done_is_not_run_for_ever(user):
    user.write("train.py", """
import json, os
os.makedirs("ck", exist_ok=True)
data = sum(map(int, open("raw.csv")))
state = json.load(open("ck/state.json")) if os.path.exists("ck/state.json") else {"epoch": 0, "weight": 0}
while state["epoch"] < 3:
    state = {"epoch": state["epoch"] + 1, "weight": state["weight"] + data}
    json.dump(state, open("ck/state.json", "w"))
""")
    user.write("raw.csv", "1\n2\n")
    user.write(".gitignore", "ck\nmodel.txt\n")
    user.init()
    user.roar("run", "python", "train.py")
    made = user.job()["uid"][:8]
    user.roar("reset")
    user.roar("run", "cp", "ck/state.json", "model.txt")
    user.write("raw.csv", "100\n")
    user.git("commit", "-qam", "more data")
    item = checklist(user)[FRESH]
    assert item["problems"] == [f"{made}, of another session: its input raw.csv has changed since"]
    assert item["hint"] == "roar run python train.py"
    follow(user, item["hint"])
    item = checklist(user)[FRESH]
    assert (item["passed"], item["hint"]) == (None, None)
    assert f"@2, the command of {made} once more, found all done and made nothing" in item["problems"][1]
    user.git("clean", "-fdxq", "ck")
    user.roar("run", "@2")
    follow(user, checklist(user)[FRESH]["hint"])
    assert checklist(user)[FRESH]["passed"]
    assert (user.root / "model.txt").read_text() == '{"epoch": 3, "weight": 300}'


def test_a_folder_that_a_step_has_edited_in_place_is_as_that_left_it(user):
    """Nothing has changed; to normalise it once more would ruin it."""
    for name, code in (
            ("prep", "import os\nos.mkdir('clean')\nfor n in range(120): open(f'clean/{n}', 'w').write(str(n))"),
            ("norm", "for n in range(120): v = open(f'clean/{n}').read(); open(f'clean/{n}', 'w').write(v + ' less')"),
            ("train", "open('m.txt', 'w').write(''.join(open(f'clean/{n}').read() for n in range(120)))")):
        user.write(f"{name}.py", code)
    user.write(".gitignore", "clean\n*.txt\n")
    user.init()
    for name in ("prep", "norm", "train"):
        user.roar("run", "python", f"{name}.py")
    user.roar("reset")
    user.roar("run", "cp", "m.txt", "s.txt")
    item = checklist(user)[FRESH]
    assert (item["passed"], item["problems"], item["hint"]) == (True, [], None)


def test_what_a_step_edits_is_made_anew_before_it_edits_that_again(user):
    for name, code in (("prep", "open('t.csv', 'w').write(open('raw.csv').read())"),
                       ("scale", "t = open('t.csv').read(); open('t.csv', 'w').write(t * int(open('times').read()))"),
                       ("train", "open('m.txt', 'w').write(open('t.csv').read())")):
        user.write(f"{name}.py", code)
    user.write("raw.csv", "x")
    user.write("times", "10")
    user.write(".gitignore", "t.csv\n*.txt\n")
    user.init()
    for name in ("prep", "scale", "train"):
        user.roar("run", "python", f"{name}.py")
    user.roar("reset")
    user.roar("run", "cp", "m.txt", "s.txt")
    user.write("times", "3")
    user.git("commit", "-qam", "three")
    hints = []
    while not (item := checklist(user)[FRESH])["passed"]:
        assert item["hint"] is not None, item["problems"]
        hints.append(item["hint"])
        follow(user, item["hint"])
    assert (user.root / "s.txt").read_text() == "xxx"
    assert hints == [
        "mv t.csv .roar/t.csv.old && roar run python prep.py && roar run python scale.py && rm .roar/t.csv.old",
        "roar run python train.py", "roar run @1"]


def test_a_step_that_refuses_to_write_over_what_it_made(user):
    user.write("make.py", "import os; os.mkdir('out'); open('out/a', 'w').write(open('raw.csv').read())")
    user.write("raw.csv", "1")
    user.write(".gitignore", "out\n*.txt\n")
    user.init()
    user.roar("run", "python", "make.py")
    user.roar("reset")
    user.roar("run", "cp", "out/a", "m.txt")
    user.write("raw.csv", "2")
    user.git("commit", "-qam", "two")
    tries = 0
    while hint := checklist(user)[FRESH]["hint"]:
        follow(user, hint, check=False)
        tries += 1
        assert tries < 4
    item = checklist(user)[FRESH]
    assert item["passed"] or "no command mends it" in item["problems"][-1], item
    assert (user.root / "out" / "a").is_file()


def test_a_training_that_finds_all_done_and_says_so_in_its_log_made_nothing(user):
    user.write("train.sh", "[ -e ck ] && cat ck >/dev/null && echo done >> t.log && exit\ncat raw > ck\n")
    user.write("raw", "1\n")
    user.write(".gitignore", "ck\n*.log\nmodel\n")
    user.init()
    user.roar("run", "sh", "train.sh")
    made = user.job()["uid"][:8]
    user.roar("reset")
    user.roar("run", "cp", "ck", "model")
    user.write("raw", "2\n")
    user.git("commit", "-qam", "more data")
    follow(user, checklist(user)[FRESH]["hint"])
    item = checklist(user)[FRESH]
    assert (item["passed"], item["hint"]) == (None, None)
    assert f"@2, the command of {made} once more, found all done and made nothing" in item["problems"][1]


def test_what_two_jobs_of_another_session_read_is_made_again_in_their_order(desk):
    desk.write("raw", "1\n")
    desk.write("prep.sh", "cat raw > train; cat raw > test\n")
    for name, command in (("prep", "sh prep.sh"), ("fit", "cat train > model"), ("eval", "cat model test > metrics")):
        if name == "eval":
            desk.roar("reset")
        desk.roar("run", "-q", "sh", "-c", command)
    desk.write("raw", "5\n")
    hints = []
    while (hint := checklist(desk)["the outputs are up to date"]["hint"]) is not None and len(hints) < 5:
        hints.append(hint)
        follow(desk, hint)
    assert [hint for hint in hints if hint != "roar run @1"] == [
        "roar run sh -c 'sh prep.sh'", "roar run sh -c 'cat train > model'"]
    assert (desk.root / "metrics").read_text() == "5\n5\n"
    assert checklist(desk)["the outputs are up to date"]["passed"] is True


def test_who_wrote_again_in_another_session_has_its_own_name(desk):
    desk.write("raw", "1\n")
    for command in ("cat raw > train", "cat train > model"):
        desk.roar("run", "-q", "sh", "-c", command)
    desk.roar("reset")
    desk.roar("run", "-q", "sh", "-c", "cat model > metrics")
    desk.write("raw", "5\n")
    follow(desk, checklist(desk)["the outputs are up to date"]["hint"])
    uid = desk.job("@2")["uid"][:8]
    problems = checklist(desk)["the outputs are up to date"]["problems"]
    assert any(problem.endswith(f"its input train was written again by {uid}") for problem in problems)
