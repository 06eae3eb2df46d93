"""Symlinks that one job made and through which others found what they read: who chose that is in the lineage."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not look beside a test module
from checklists import checklist, follow

FRESH = "the outputs are up to date"
CHOOSE = "ln -sfn runs/$(sort -n scores | tail -n 1 | cut -d' ' -f2) best"


@pytest.fixture
def chosen(desk):
    """Two runs of which the second one is chosen, by what somebody has noted, and read."""
    desk.write("scores", "1 a\n2 b\n")
    desk.write("runs/README", "")
    for run in "ab":
        desk.write(f"data-{run}", run)
    desk.init()
    for run in "ab":
        desk.roar("run", "cp", f"data-{run}", f"runs/{run}")
    desk.roar("run", "sh", "-c", CHOOSE)
    desk.roar("run", "cp", "best", "out")
    return desk


def lineage(desk, *words):
    """By step those that it took symlinks from, of all in a lineage."""
    graph = desk.json("lineage", *words)
    steps = {job["uid"]: job["step"] for job in graph["jobs"]}
    linked = {(steps[edge["target"]], steps[edge["source"]]) for edge in graph["edges"] if edge["role"] == "linked"}
    return sorted(steps.values()), linked


def test_who_made_the_symlink_is_in_the_lineage(chosen):
    assert lineage(chosen, "out") == ([2, 3, 4], {(4, 3)})
    assert re.search("    from  symlink best → runs/b +← @3", chosen.roar("lineage", "out").stdout)
    assert lineage(chosen, "scores", "--down") == ([3, 4], {(4, 3)})
    assert "    took  symlink best → runs/b by @3" in chosen.roar("lineage", "scores", "--down").stdout
    assert lineage(chosen, "out", "--depth", "1") == ([4], set())
    assert {"data-b", "scores"} == {root["path"] for root in chosen.json("inputs", "out")["inputs"]}
    assert "↳ @4 cp best out → out  (also from @2)" in chosen.roar("dag").stdout
    assert {(edge["source"], edge["target"]) for edge in chosen.json("dag")["edges"] if edge["role"] == "linked"} == {
        tuple(job["uid"] for job in chosen.json("log")["jobs"] if job["step"] in {3, 4})[::-1]}


def test_what_was_found_through_it_is_stale_with_who_made_it(chosen):
    chosen.write("scores", "1 a\n3 b\n")
    assert [(output["path"], output["reason"]) for output in chosen.json("status")["outputs"]
            if output["state"] == "stale" and output["path"] == "out"] == [
        ("out", "@3, which it took inputs from, is stale")]
    chosen.roar("run", "@3")
    assert [output["state"] for output in chosen.json("status")["outputs"] if output["path"] == "out"] == ["fresh"]
    chosen.write("scores", "4 a\n3 b\n")
    chosen.write("data-b", "again")
    chosen.git("commit", "-qam", "again")
    for _ in range(5):
        if hint := checklist(chosen)[FRESH]["hint"]:
            follow(chosen, hint)
    assert checklist(chosen)[FRESH]["passed"] is True
    assert (chosen.root / "out").read_text() == "a"


def test_who_makes_the_symlink_runs_before_who_follows_it(chosen):
    chosen.write("scores", "1 a\n3 b\n")
    chosen.write("data-b", "again")
    chosen.git("commit", "-qam", "again")
    chosen.roar("run", "@2")
    hints = []
    while (hint := checklist(chosen)[FRESH]["hint"]) and len(hints) < 5:
        hints.append(hint)
        follow(chosen, hint)
    assert hints == ["roar run @3", "roar run @4"]


def test_a_symlink_that_is_gone_is_made_again_before_somebody_follows_it(chosen):
    (chosen.root / "best").unlink()
    assert checklist(chosen)[FRESH]["passed"]
    chosen.write("data-b", "again")
    chosen.git("commit", "-qam", "again")
    hints = []
    while (hint := checklist(chosen)[FRESH]["hint"]) and len(hints) < 5:
        hints.append(hint)
        follow(chosen, hint)
    assert hints == ["roar run @2", "roar run @3", "roar run @4"]
    assert checklist(chosen)[FRESH]["passed"]


@pytest.mark.parametrize(("command", "path"), [
    (CHOOSE, "best"), ("mkdir -p d; for run in a b; do ln -sf ../runs/$run d/$run; done; cat scores", "d/")])
def test_a_symlink_that_nothing_was_found_through_yet_is_stale(desk, command, path):
    desk.write("scores", "1 a\n2 b\n")
    for run in "ab":
        desk.write(f"runs/{run}", run)
    desk.init()
    desk.roar("run", "sh", "-c", command)
    assert desk.json("status")["outputs"] == []
    desk.write("scores", "3 a\n2 b\n")
    desk.git("commit", "-qam", "more")
    assert desk.json("status")["outputs"] == [{"path": path, "digest": None, "step": 1, "state": "stale",
                                               "reason": "its input scores has changed since"}]
    assert "0 outputs up to date" in desk.roar("status").stdout
    item = checklist(desk)[FRESH]
    assert (item["passed"], item["hint"]) == (False, "roar run @1")
    follow(desk, item["hint"])
    assert checklist(desk)[FRESH]["passed"] is True


def test_a_symlink_that_somebody_has_turned_since_is_nobodys(chosen):
    best = chosen.root / "best"
    best.unlink()
    best.symlink_to("runs/a")
    chosen.roar("run", "cp", "best", "other")
    assert lineage(chosen, "other") == ([1, 5], set())
    chosen.roar("run", "ln", "-sfn", "runs/a", "best")
    chosen.roar("run", "cp", "best", "another")
    assert lineage(chosen, "another") == ([1, 6, 7], {(7, 6)})


def test_who_wrote_the_file_and_the_symlink_is_named_once(desk):
    desk.init()
    desk.roar("run", "sh", "-c", "echo 1 > checkpoint-1; ln -s checkpoint-1 last")
    desk.roar("run", "cp", "last", "out")
    assert lineage(desk, "out") == ([1, 2], set())


def test_a_folder_of_symlinks_is_one_line(desk):
    for name in "abcd":
        desk.write(f"all/{name}", name)
    desk.init()
    desk.roar("run", "sh", "-c", "mkdir chosen; for i in a b d; do ln -s ../all/$i chosen/$i; done")
    desk.roar("run", "sh", "-c", "cat chosen/* > out")
    assert "symlink chosen/a → ../all/a and 2 more" in desk.roar("lineage", "out").stdout


def test_a_reproduction_puts_the_symlink_where_it_was(chosen, tmp_path):
    plan = chosen.roar("reproduce", "out").stdout
    assert "ln -sfn runs/b best" in plan
    assert "sort" not in plan
    done = chosen.roar("reproduce", "out", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout


PICKED = "cat $(find pick -type l | sort) > out"
LACKS = "no command mends it: {}, which @1 read, is gone"


@pytest.mark.parametrize(("count", "change", "reason", "told"), [
    (300, "ln -sfn ../raw/8 pick/7", "its symlink pick/7 leads to ../raw/8 now", None),
    (30, "rm pick/7", "its symlink pick/7 is gone", None),
    (3, "rm pick/2", "its symlink pick/2 is gone", LACKS.format("pick/2")),
    (30, "rm raw/7", "its input raw/7 is gone", LACKS.format("raw/7")),
    (300, "rm raw/7", "its input raw/ has changed since: raw/7 is gone", LACKS.format("raw/7"))])
def test_a_symlink_of_many_that_somebody_has_turned_or_taken_away(desk, count, change, reason, told):
    desk.write(".gitignore", "raw\npick\nout\n")
    (desk.root / "pick").mkdir()
    for number in range(count):
        desk.write(f"raw/{number}", str(number))
        (desk.root / "pick" / str(number)).symlink_to(f"../raw/{number}")
    desk.init()
    desk.roar("run", "sh", "-c", PICKED)
    assert checklist(desk)[FRESH]["passed"] is True
    follow(desk, change)
    fresh = checklist(desk)[FRESH]
    assert fresh["problems"] == [f"out: {reason}", *([told] if told else [])]
    assert fresh["hint"] == (None if told else "roar run @1")
    if not told:
        follow(desk, fresh["hint"])
        assert checklist(desk)[FRESH]["passed"] is True
