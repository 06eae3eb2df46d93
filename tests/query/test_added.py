"""What somebody puts into a folder after a step had read all that was there."""

import json
import os
import sys

import pytest

READS = "import os; [open(f'{d}/{f}').read() for d, _, fs in os.walk('raw') for f in fs if f.endswith('.png')]; "
TITLE = "the outputs are up to date"


@pytest.fixture
def reader(desk):
    """A step that has read a folder of images."""
    desk.init()
    for number in range(70):
        desk.write(f"raw/cat/{number}.png", f"cat {number}")
        desk.write(f"raw/dog/{number}.png", f"dog {number}")
    desk.write("raw/notes.txt", "of both")
    desk.roar("run", sys.executable, "-c", READS + "open('o', 'w').write('x')")
    return desk


def added(desk):
    return [(one["folder"], one["step"], one["files"]) for one in desk.json("status")["added"]]


def item(desk):
    items = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)["checklist"]
    return next(one for one in items if one["title"] == TITLE)


def test_what_is_put_beside_what_a_step_has_read_is_told_until_it_has_read_it(reader):
    assert added(reader) == []
    assert item(reader)["passed"]
    reader.write("raw/cat/new.png", "new")
    reader.write("raw/bird/1.png", "another class")
    reader.write("raw/more.txt", "of another kind")
    reader.write("raw/cat/.hidden.png", "hidden")
    assert added(reader) == [("raw/", 1, ["bird/1.png", "cat/new.png"])]
    text = reader.roar("status").stdout
    assert "not read\n    raw/bird/1.png and 1 more  @1  put there since it read raw/\n" in text, text
    assert item(reader) == {"title": TITLE, "passed": None, "hint": "roar run @1", "rest": [], "problems": [
        "@1 has not read raw/bird/1.png and 1 more, put there since"]}
    reader.roar("run", "@1")
    assert added(reader) == []
    assert item(reader)["passed"]


def test_a_step_that_had_left_a_file_of_the_kind_chooses(reader):
    """It reads what it is told to: nothing says that it would read what is new."""
    reader.write("raw/left.png", "not read")
    code = READS.replace("if f", "if f != 'left.png' and f") + "open('more', 'w').write('x')"
    reader.roar("run", sys.executable, "-c", code)
    reader.write("raw/cat/new.png", "new")
    assert [one[:2] for one in added(reader)] == [("raw/", 1)]


def test_what_a_recorded_job_wrote_there_is_told_of_as_its_output(reader):
    reader.roar("run", sys.executable, "-c", "open('raw/cat/made.png', 'w').write('made')")
    reader.roar("run", sys.executable, "-c",
                "import os; os.mkdir('raw/fox'); [open(f'raw/fox/{n}.png', 'w').write(str(n)) for n in range(80)]")
    assert added(reader) == []


def test_what_cannot_be_looked_at_stops_nothing(reader):
    reader.write("raw/cat/new.png", "new")
    os.symlink("nowhere", reader.root / "raw/cat/dangling.png")
    os.rename(reader.root / "raw/dog", reader.root / "more")
    assert [one[2] for one in added(reader)] == [["cat/new.png"]]
    os.rename(reader.root / "raw", reader.root / "moved")
    assert added(reader) == []


@pytest.mark.parametrize(("number", "told"), [(7, []), (8, [("raw/", 1, ["new.csv"])])])
def test_files_by_themselves_are_many_from_eight_on(desk, number, told):
    desk.init()
    for name in range(number):
        desk.write(f"raw/{name}.csv", f"table {name}")
    desk.write("raw/left.txt", "of another kind")
    desk.roar("run", "sh", "-c", "cat raw/*.csv > o")
    desk.write("raw/new.csv", "new")
    desk.write("raw/below/new.csv", "in another folder")
    desk.write("raw/new.txt", "of another kind")
    assert added(desk) == told


def test_what_a_command_names_it_would_read_again_and_nothing_else(desk):
    """The shell has put the names in the place of `raw/*.csv`."""
    desk.init()
    names = [desk.write(f"raw/{name}.csv", f"table {name}").relative_to(desk.root) for name in range(9)]
    desk.roar("run", "cat", *map(str, names))
    desk.write("raw/new.csv", "new")
    assert added(desk) == []
