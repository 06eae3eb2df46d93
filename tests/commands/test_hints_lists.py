"""Hints for steps of which one chooses what another one reads: lists of files, symlinks."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not look beside a test module
from checklists import checklist, follow

FRESH = "the outputs are up to date"
SPLIT = """
import os
names = sorted(os.listdir("raw"))
texts = {name: open(f"raw/{name}").read() for name in names}
for part, chosen in (("train", names[::2]), ("test", names[1::2])):
    open(f"{part}.txt", "w").write("\\n".join(chosen))
"""
USE = """
import sys
part, out = sys.argv[1:]
open(out, "w").write("".join(open(f"raw/{name}").read() for name in open(part).read().split()))
"""


@pytest.fixture
def lists(desk):
    """Files that are listed by one step, and read by two others as the lists say."""
    desk.write("split.py", SPLIT)
    desk.write("use.py", USE)
    desk.write(".gitignore", "raw\n*.txt\nmodel\nscores\nnamed\n")
    for number in range(6):
        desk.write(f"raw/n{number}", f"number {number}\n")
    desk.init()
    for command in (["split.py"], ["use.py", "train.txt", "model"], ["use.py", "test.txt", "scores"]):
        desk.roar("run", sys.executable, *command)
    return desk


def mend(desk):
    """The hints, each followed, until the outputs are up to date."""
    hints = []
    while (item := checklist(desk)[FRESH])["passed"] is not True:
        assert len(hints) < 5, hints
        assert item["hint"], (item, hints)
        hints.append(item["hint"])
        follow(desk, item["hint"])
    return hints


def test_what_is_gone_is_not_missed_by_who_reads_what_a_list_says(lists):
    (lists.root / "raw/n3").unlink()
    assert mend(lists) == ["roar run @1", "roar run @2", "roar run @3"]
    assert (lists.root / "scores").read_text() == "number 1\nnumber 4\n"


def test_a_step_that_ran_again_since_comes_before_those_that_it_feeds(lists):
    lists.write("raw/n6", "number 6\n")
    lists.roar("run", "@1")  # later now than the last jobs of those that it feeds
    (lists.root / "raw/n0").unlink()
    assert mend(lists) == ["roar run @1", "roar run @2", "roar run @3"]
    assert (lists.root / "model").read_text() == "number 1\nnumber 3\nnumber 5\n"


def test_what_a_command_names_is_missed(lists):
    lists.roar("run", "sh", "-c", "cat train.txt raw/n3 > named")
    (lists.root / "raw/n3").unlink()
    hints = []
    while (hint := checklist(lists)[FRESH]["hint"]) and len(hints) < 5:
        hints.append(hint)
        follow(lists, hint)
    assert hints == ["roar run @1", "roar run @2", "roar run @3"]
    assert checklist(lists)[FRESH]["problems"][-1] == "no command mends it: raw/n3, which @4 read, is gone"
