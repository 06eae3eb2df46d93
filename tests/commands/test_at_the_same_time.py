"""Jobs that run at the same time: one reads what another one writes."""

import contextlib
import os
import sqlite3

import pytest
from checklists import checklist, follow

from roar.model import CHANGED_AT_LAST


class Waiting:
    """A job that stops where its command says `wait`, until it may go on; a rerun does not stop."""

    def __init__(self, desk, command):
        self.folder = desk.tmp
        here, on = self.folder / "here", self.folder / "on"
        os.mkfifo(here)
        waits = f"if [ -e {here} ]; then echo > {here}; until [ -e {on} ]; do sleep .05; done; fi"
        self.job = desk.start("run", "-q", "sh", "-c", command.replace("wait", waits))
        here.read_text()

    def go_on(self):
        (self.folder / "on").touch()
        assert self.job.wait(60) == 0
        for name in ("here", "on"):
            (self.folder / name).unlink()


@pytest.mark.parametrize(("write", "how"), [
    ("echo 2 > in", "written again"), ("echo 2 > new; mv new in", "written again"),
    ("sed -i s/1/2/ in", "edited in place")])
def test_an_input_that_a_job_writes_again_while_another_one_has_read_it(desk, write, how):
    desk.roar("run", "-q", "sh", "-c", "echo 1 > in")
    reading = Waiting(desk, "cat in > out; wait")
    desk.roar("run", "-q", "sh", "-c", write)
    reading.go_on()
    desk.roar("run", "-q", "cp", "out", "copy")
    status = desk.json("status")
    stale = {step["step"]: step["stale"] for step in status["steps"] if step["stale"]}
    assert stale == {3: f"its input in was {how} by @2", 4: "@3, which it took inputs from, is stale"}
    assert {output["path"] for output in status["outputs"] if output["state"] == "stale"} == {"out", "copy"}
    if how == "edited in place":
        return
    for _ in range(2):
        follow(desk, checklist(desk)["the outputs are up to date"]["hint"])
    assert checklist(desk)["the outputs are up to date"]["passed"] is True
    assert (desk.root / "copy").read_text() == (desk.root / "in").read_text()


def test_what_was_read_after_it_was_written_again_is_up_to_date(desk):
    desk.roar("run", "-q", "sh", "-c", "echo 1 > in")
    reading = Waiting(desk, "wait; cat in > out")
    desk.roar("run", "-q", "sh", "-c", "echo 2 > in")
    reading.go_on()
    assert [step["stale"] for step in desk.json("status")["steps"]] == [None] * 3


def test_what_a_job_reads_of_another_one_that_leaves_something_else_in_the_end(desk):
    training = Waiting(desk, "echo 1 > best; wait; echo 2 > new; mv new best")
    desk.roar("run", "-q", "sh", "-c", "cat best > score")
    training.go_on()
    uid = desk.job("@2")["uid"][:8]
    assert f"job {uid} wrote there meanwhile, and has not left that" in desk.roar("lineage", "score").stdout
    assert f"job {uid} wrote there meanwhile, and has not left that" in desk.roar("inputs", "score").stdout
    item = checklist(desk)["every root input has a source"]
    assert item["problems"] == [f"best was read while job {uid} wrote there, and has not left that"]
    follow(desk, item["hint"])
    assert (desk.root / "score").read_text() == "2\n"
    assert checklist(desk)["every root input has a source"]["passed"] is True


def test_an_input_that_was_older_than_the_job_that_writes_it_is_nobodys(desk):
    desk.write("in", "1")
    desk.roar("run", "-q", "sh", "-c", "cat in; sleep .3")
    reading = Waiting(desk, "cat in > out; wait")
    desk.roar("run", "-q", "sh", "-c", "echo 2 > in")
    reading.go_on()
    assert "nothing recorded made it" in desk.roar("lineage", "out").stdout
    assert checklist(desk)["every root input has a source"]["problems"] == ["in has no known source"]


def test_no_hint_adds_again_to_a_table_that_others_have_added_to(desk):
    first = Waiting(desk, "echo 1 >> table; wait")
    desk.roar("run", "-q", "sh", "-c", "echo 2 >> table; sleep .5")
    first.go_on()
    desk.roar("run", "-q", "sh", "-c", "sort table > sorted")
    before = (desk.root / "table").read_text()
    for item in checklist(desk).values():
        if item["hint"] and "git" not in item["hint"] and "label" not in item["hint"]:
            follow(desk, item["hint"], check=False)
    assert (desk.root / "table").read_text() == before == "1\n2\n"


def forget(desk, path, job):
    """Record a job's uses of a path as if that had changed while it was digested, which a test cannot time."""
    with contextlib.closing(sqlite3.connect(desk.root / ".roar/roar.db")) as database:
        done = database.execute("UPDATE file_use SET artifact_id = NULL, size = 2, note = ? WHERE job_id = ? AND"
                                " path_id = (SELECT id FROM path WHERE path = ?)", (CHANGED_AT_LAST, job, path))
        assert done.rowcount > 0
        database.commit()


def test_what_changed_while_it_was_digested_is_not_known_to_be_as_it_was(desk):
    desk.roar("run", "-q", "sh", "-c", "echo 1 > best")
    desk.roar("run", "-q", "sh", "-c", "cat best > score")
    forget(desk, "best", job=2)
    desk.roar("run", "-q", "@1")
    [output] = [output for output in desk.json("status")["outputs"] if output["path"] == "score"]
    assert (output["state"], output["reason"]) == ("stale", "its input best was changed while it ran")
    follow(desk, checklist(desk)["the outputs are up to date"]["hint"])
    assert checklist(desk)["the outputs are up to date"]["passed"] is True


@pytest.mark.parametrize("is_lost", [False, True])
def test_no_hint_goes_on_with_a_table_of_jobs_that_ran_side_by_side(desk, is_lost):
    """Each would add one more line to those of all; what one of them found there need not be known either."""
    desk.write("data", "1")
    first = Waiting(desk, 'read d < data || true; echo "$d a" >> table; wait')
    for name in "bc":
        desk.roar("run", "-q", "sh", "-c", f'read d < data || true; echo "$d {name}" >> table; sleep .1')
    first.go_on()
    if is_lost:
        forget(desk, "table", job=1)
    desk.roar("run", "-q", "sh", "-c", "sort table > best")
    desk.write("data", "2")
    item = checklist(desk)["the outputs are up to date"]
    assert (item["passed"], item["hint"]) == (False, None)
    assert "table was edited by jobs that ran at the same time" in desk.roar("status", "--checklist", status=1).stdout
