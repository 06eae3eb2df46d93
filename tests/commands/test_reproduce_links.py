"""Making things again that were read through symlinks, for real."""

import os
import sqlite3
import subprocess

import pytest


@pytest.fixture
def outside(tmp_path):
    """A folder beside the workspace."""
    folder = tmp_path / "out side"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a\n")
    (folder / "sub" / "c.txt").write_text("c\n")
    return folder


def links(plan):
    """Step by step the links as they are to be, with their text."""
    return [{link["path"]: link["target"] for link in step["links"]} for step in plan["steps"]]


def again(desk, tmp_path, ref="@", same=None):
    """Carry the plan out and return the new folder."""
    folder = tmp_path / "again"
    done = desk.roar("reproduce", ref, "--run", "--into", str(folder))
    if same is not None:
        assert f"{same} of {same} output" in done.stdout
    return folder


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("git", [False, True])
@pytest.mark.parametrize(("name", "target", "read", "text"), [
    ("in.csv", "{out}/a.txt", "in.csv", "{out}/a.txt"),
    ("in.csv", "../out side/a.txt", "in.csv", "{out}/a.txt"),
    ("data", "{out}", "data/sub/c.txt", "{out}"),
    ("in.csv", "here/x.csv", "in.csv", "here/x.csv"),
    ("deep/er/in.csv", "{root}/here/x.csv", "deep/er/in.csv", "../../here/x.csv"),
    ("deep/er", "../here", "deep/er/x.csv", "../here"),
    (os.fsdecode(b"-a \n\xff"), "here/x.csv", os.fsdecode(b"./-a \n\xff"), "here/x.csv")])
def test_a_link_that_was_read_through_is_there_before_its_step(desk, outside, tmp_path, name, target, read, text, git,
                                                               gone):
    if git:
        desk.init()
    desk.roar("init")
    desk.write("here/x.csv", "x\n")
    link = desk.root / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target.format(out=outside, root=desk.root))
    desk.roar("run", "sh", "-c", 'cat "$1" > o', "sh", read)
    text = text.format(out=outside)
    ((path, found),) = links(desk.json("reproduce", "o"))[0].items()
    assert found == text
    assert path == name.replace("\udcff", "\\xff")
    if gone:
        link.unlink()
    folder = again(desk, tmp_path, "o", same=1)
    assert os.readlink(folder / name) == text
    plan = desk.roar("reproduce", "o").stdout.splitlines()
    made = "\n".join(line for line in plan[plan.index(next(line for line in plan if line.startswith("@"))) + 1:]
                     if "git checkout" not in line)
    by_hand = tmp_path / "by hand"
    (by_hand / "here").mkdir(parents=True)
    (by_hand / "here" / "x.csv").write_text("x\n")
    subprocess.run(["bash", "-ec", made], cwd=by_hand, check=True)
    assert (by_hand / "o").read_bytes() == (desk.root / "o").read_bytes()


def test_links_that_lead_to_links_are_all_there(desk, outside, tmp_path):
    (desk.root / "one").symlink_to("two")
    (desk.root / "two").symlink_to(outside)
    desk.roar("run", "sh", "-c", "cat one/a.txt > o")
    assert links(desk.json("reproduce", "o")) == [{"one": "two", "two": str(outside)}]
    again(desk, tmp_path, same=1)


def test_a_link_in_git_comes_with_the_checkout(desk, outside, tmp_path):
    (desk.root / "in.csv").symlink_to(outside / "a.txt")
    (desk.root / "data").symlink_to("here")
    desk.write("here/x", "x\n")
    desk.init()
    (desk.root / "new").symlink_to("here/x")
    desk.git("add", "new")
    desk.roar("run", "sh", "-c", "cat in.csv data/x new > o")
    assert links(desk.json("reproduce", "o")) == [{}]
    folder = again(desk, tmp_path, same=1)
    assert os.readlink(folder / "in.csv") == str(outside / "a.txt")


def test_a_link_that_the_job_makes_is_left_to_it(desk, outside, tmp_path):
    desk.write("x", "x\n")
    desk.roar("run", "sh", "-c", f"ln -s '{outside}' data; ln -s x y; ln -s y z; cat data/a.txt z > o; ln -s p w; > w")
    assert [use["path"] for use in desk.job()["inputs"]] == [str(outside / "a.txt"), "x"]
    assert links(desk.json("reproduce", "@1")) == [{}]
    again(desk, tmp_path, same=2)


def test_a_link_that_another_job_made_is_there(desk, tmp_path):
    desk.write("x", "x\n")
    desk.roar("run", "sh", "-c", "ln -s x y")
    desk.roar("run", "sh", "-c", "cat y > o")
    assert links(desk.json("reproduce", "o")) == [{"y": "x"}]
    assert links(desk.json("reproduce", "@")) == [{}, {}]
    again(desk, tmp_path, "o", same=1)


def test_a_link_that_was_changed_between_two_steps(desk, tmp_path):
    desk.write("x1", "1\n")
    desk.write("x2", "2\n")
    for number, out in ((1, "a"), (2, "b"), (2, "c")):
        subprocess.run(["ln", "-sfn", f"x{number}", "x"], cwd=desk.root, check=True)
        desk.roar("run", "sh", "-c", f"cat x > {out}")
    assert links(desk.json("reproduce", "@")) == [{"x": "x1"}, {"x": "x2"}, {}]
    again(desk, tmp_path, same=3)


def test_a_link_only_written_through_is_there(desk, tmp_path):
    (desk.root / "store").mkdir()
    (desk.root / "out").symlink_to("store")
    desk.roar("run", "sh", "-c", "echo x > out/x")
    assert links(desk.json("reproduce", "@1")) == [{"out": "store"}]
    folder = again(desk, tmp_path, same=1)
    assert (folder / "store" / "x").read_text() == "x\n"


def test_a_link_to_what_is_no_artifact_is_there(desk, tmp_path):
    (desk.root / "host").symlink_to("/etc/hostname")
    desk.roar("run", "sh", "-c", "cat host > /dev/null; echo x > o")
    assert links(desk.json("reproduce", "o")) == [{"host": "/etc/hostname"}]
    again(desk, tmp_path, same=1)


@pytest.mark.parametrize("name", ["out.csv", "data/a.txt"])
def test_nothing_is_written_through_a_link_that_was_no_longer_there(desk, outside, tmp_path, name):
    """The user put a plain file, or a folder, in the link's place before the next job wrote there."""
    link = desk.root / name.split("/")[0]
    link.symlink_to(outside / "a.txt" if link.name == "out.csv" else outside)
    desk.roar("run", "sh", "-c", f"cat {name} > o")
    link.unlink()
    (desk.root / name).parent.mkdir(exist_ok=True)
    desk.roar("run", "sh", "-c", f"cat o o > {name}")
    assert links(desk.json("reproduce", "@"))[1] == {link.name: None}
    assert f"  rm -f {link.name}\n" in desk.roar("reproduce", "@").stdout
    folder = again(desk, tmp_path, same=2)
    assert (outside / "a.txt").read_text() == "a\n"
    assert (folder / name).read_text() == "a\na\n"


def test_an_input_is_not_copied_through_a_link_of_the_checkout(desk, outside, tmp_path):
    (desk.root / "data").symlink_to(outside)
    desk.init()
    (desk.root / "data").unlink()
    desk.write("data/a.txt", "mine\n")
    desk.git("update-index", "--assume-unchanged", "data")
    desk.roar("run", "sh", "-c", "cat data/a.txt > o")
    again(desk, tmp_path, same=1)
    assert (outside / "a.txt").read_text() == "a\n"


def test_a_link_in_the_place_of_an_earlier_folder_is_told(desk, tmp_path):
    desk.roar("run", "sh", "-c", "mkdir new; echo x > new/x")
    (desk.root / "new").rename(desk.root / "run1")
    (desk.root / "new").symlink_to("run1")
    desk.roar("run", "sh", "-c", "cat new/x > o")
    said = desk.roar("reproduce", "@", status=1).stdout
    assert "cannot: new was a folder when @1 " in said
    assert "and a symlink to run1 when @2 " in said
    desk.roar("reproduce", "@", "--run", "--into", str(tmp_path / "again"), status=1)
    assert not (tmp_path / "again").exists()


def test_a_link_from_outside_into_the_workspace_is_told(desk, tmp_path):
    desk.write("x", "x")
    (tmp_path / "way").symlink_to(desk.root)
    desk.roar("run", "sh", "-c", f"cat {tmp_path}/way/x > o")
    assert f"note: The symlink {tmp_path}/way is used where it lies" in desk.roar("reproduce", "o").stdout


def test_what_an_older_roar_recorded(desk, outside, tmp_path):
    (desk.root / "data").symlink_to(outside)
    desk.roar("run", "sh", "-c", "cat data/a.txt > o; ln -s o p")
    with sqlite3.connect(desk.root / ".roar" / "roar.db") as database:
        database.execute("INSERT INTO path (path) VALUES ('data/a.txt')")
        database.execute("UPDATE symlink SET made = NULL")
        database.execute("UPDATE symlink SET target = ?, path_id = (SELECT id FROM path WHERE path = 'data/a.txt')"
                         " WHERE target = ?", (str(outside / "a.txt"), str(outside)))
    again(desk, tmp_path, same=1)
