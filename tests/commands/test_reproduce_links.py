"""Making things again that were read through symlinks, for real."""

import os
import sqlite3
import subprocess
import sys

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


def without_protection(desk):
    """Set up a desk where the kernel gives nobody a mount namespace, as in most containers."""
    desk.program = ["unshare", "--user", "--map-root-user", "sh", "-c",
                    'echo 0 > /proc/sys/user/max_mnt_namespaces && exec "$@"', "sh", *desk.program]


@pytest.mark.parametrize("where", ["out/w", "{out}/w", "out/many", "out/p-0000$i-of-00003"])
def test_no_file_outside_is_written_over_that_the_job_did_not_leave_there(desk, outside, tmp_path, where):
    """By a link that leads outside, or by an absolute path."""
    (desk.root / "out").symlink_to(outside)
    where = where.format(out=outside)
    if "many" in where:
        desk.roar("run", "sh", "-c",
                  f"mkdir '{where}'; for i in $(seq 200); do echo $i > '{where}'/$i; done; echo o > o")
        place = outside / "many" / "7"
    elif "$i" in where:
        desk.roar("run", "sh", "-c", f"for i in 1 2 3; do echo $i > {where}; done; echo o > o")
        place = outside / "p-00002-of-00003"
    else:
        desk.roar("run", "sh", "-c", f"echo first > '{where}'; echo o > o")
        place = outside / "w"
    name = f"@1 {desk.job()['uid'][:8]}"
    assert f"note: {name} writes again over " in desk.roar("reproduce", "o").stdout
    place.write_text("later work")
    told = f"{name} would write over {place}, which no job of the plan left so: move that away first."
    assert f"cannot: {told}\n" in desk.roar("reproduce", "o", status=1).stdout
    assert told in desk.roar("reproduce", "o", "--run", "--into", str(tmp_path / "again"), status=1).stderr
    assert place.read_text() == "later work"
    assert not (tmp_path / "again").exists()
    place.rename(tmp_path / "kept")
    assert "cannot: " not in desk.roar("reproduce", "o").stdout
    folder = tmp_path / "again"
    desk.roar("reproduce", "o", "--run", "--into", str(folder), status=None)
    assert (folder / "o").read_text() == "o\n"
    assert (tmp_path / "kept").read_text() == "later work"


ROUND = [("echo first > '{root}/my folder/w'", "my folder/w"), ("echo first > '{root}/lr=0.1,bs=32'", "lr=0.1,bs=32"),
         ("cd {root} && echo first > w", "w"), ("echo first > {root}/sub/../w", "w"),
         ("echo first > ../project/w", "w"), ("cd ..; cd project; echo first > w", "w"),
         ("echo first > ~/project/w", "w"), ('echo first > "$HOME/project/w"', "w"),
         ("echo first > {root}/../near/w", "w"), ("echo first > absolute/w", "sub/w"),
         ("echo first > back/w", "sub/w"), ("echo first > file", "sub/k"), ("echo first > hop/w", "sub/w")]


@pytest.fixture
def roundabout(desk):
    """A repository with links out of it and back, some of them of the code."""
    desk.env["HOME"] = str(desk.root.parent)
    desk.write("sub/k", "k")
    desk.write("my folder/k", "k")
    (desk.root.parent / "near").symlink_to(desk.root)
    (desk.root.parent / "hop").symlink_to(desk.root / "sub")
    (desk.root / "absolute").symlink_to(desk.root / "sub")
    (desk.root / "back").symlink_to("../project/sub")
    (desk.root / "file").symlink_to(desk.root / "sub" / "k")
    desk.init()
    (desk.root / "hop").symlink_to("../hop")
    return desk


@pytest.mark.parametrize(("command", "place", "into"), [
    *((command, place, "../again") for command, place in ROUND),
    (*ROUND[4], "again")])
def test_the_original_stays_as_it_is_however_a_command_comes_there(roundabout, command, place, into):
    roundabout.roar("run", "sh", "-c", command.format(root=roundabout.root) + "; echo o > o")
    assert place in [use["path"] for use in roundabout.job()["outputs"]]
    (roundabout.root / place).write_text("later work")
    before = sorted(path for path in roundabout.root.rglob("*") if ".roar/" not in f"{path}/")
    roundabout.roar("reproduce", "o", "--run", "--into", into, status=None)
    assert (roundabout.root / place).read_text() == "later work"
    folder = roundabout.root / into
    assert "cd " in command or (folder / "o").read_text() == "o\n"
    assert before == sorted(path for path in roundabout.root.rglob("*") if ".roar/" not in f"{path}/"
                            and not path.is_relative_to(folder))


def test_a_script_that_writes_beside_itself_does_not_come_to_the_original(desk):
    desk.write("src/g.py", "import os.path\nopen(os.path.dirname(__file__) + '/w', 'w').write('first')\n")
    desk.init()
    desk.roar("run", sys.executable, str(desk.root / "src" / "g.py"))
    desk.write("src/w", "later work")
    told = f"@1 {desk.job()['uid'][:8]} ended with 1 instead of 0"
    assert told in desk.roar("reproduce", "@1", "--run", status=1).stderr
    assert (desk.root / "src" / "w").read_text() == "later work"


@pytest.mark.parametrize(("command", "place"), ROUND[::2])
def test_where_the_original_cannot_be_protected_its_later_files_are_in_the_way(roundabout, command, place):
    without_protection(roundabout)
    roundabout.roar("run", "sh", "-c", command.format(root=roundabout.root) + "; echo o > o")
    assert "may write again over" in roundabout.roar("reproduce", "o").stdout
    (roundabout.root / place).write_text("later work")
    told = f"@1 {roundabout.job()['uid'][:8]} may write over {roundabout.root / place}, which no job of the plan left"
    assert told in roundabout.roar("reproduce", "o", "--run", status=1).stderr
    assert (roundabout.root / place).read_text() == "later work"
    assert not os.path.lexists(f"{roundabout.root}-reproduced")


@pytest.mark.parametrize(("command", "told"), [
    ("mkdir a && cd {root}/a && echo x > w", True), ("mkdir a; sh make.sh --to={root}/a/", True),
    ("cd {root} && mkdir a && echo x > a/w", True), ("mkdir a; PLACE={root} sh make.sh", True),
    ("mkdir a; echo x > a/w; ls -d {root}-other || true", False),
    ("mkdir a; echo x > a/w; cat {root}/way {root}/aa", False)])
@pytest.mark.parametrize("protected", [True, False])
def test_a_folder_that_the_command_names_is_taken_as_written_to(desk, command, told, protected):
    desk.write("way", "way")
    desk.write("aa", "aa")
    desk.write("make.sh", "echo x > a/w")
    desk.init()
    if not protected:
        without_protection(desk)
    desk.roar("run", "sh", "-c", command.format(root=desk.root))
    desk.write("a/w", "later work")
    said = desk.roar("reproduce", "@", status=None).stdout
    name = f"@1 {desk.job()['uid'][:8]}"
    fails = f"note: {name} may write into {desk.root} itself by its path, which fails: a reproduction leaves"
    assert (fails in said) is (told and protected)
    assert (f"cannot: {name} may write over {desk.root}/a/w" in said) is (told and not protected)


def test_a_symlink_that_came_into_the_way_outside_is_not_followed(desk, tmp_path):
    near = desk.root.parent / "near"
    desk.roar("run", "sh", "-c", "mkdir ../near; echo x > ../near/w; echo o > o")
    name = f"@1 {desk.job()['uid'][:8]}"
    kept = tmp_path / "kept"
    near.rename(kept)
    for link in (near, near / "w"):
        if link.parent == near:
            near.unlink()
            near.mkdir()
        link.symlink_to(kept / os.path.relpath(link, near))
        told = f"{name} would write over {link}, which no job of the plan left so: move that away first."
        assert f"cannot: {told}\n" in desk.roar("reproduce", "o", status=1).stdout
        assert told in desk.roar("reproduce", "o", "--run", status=1).stderr


def test_a_folder_outside_that_a_job_makes_is_not_taken_from_others_files(desk, tmp_path):
    """Its command may remove what is there."""
    near = desk.root.parent / "near"
    desk.roar("run", "sh", "-c", "rm -rf ../near; mkdir -p ../near/sub; touch ../near/.log; echo x > ../near/w;"
              " cp ../near/w o; echo t > ../near/t; rm ../near/t; ln -s w ../near/link")
    for folder in ("first", "second"):
        desk.roar("reproduce", "o", "--run", "--into", str(desk.root.parent / folder))
    mine = near / "sub" / "notes"
    mine.write_text("mine")
    name = f"@1 {desk.job()['uid'][:8]}"
    told = f"{name} makes {near} anew, in which no job of the plan left {mine}: move that away first."
    assert f"cannot: {told}\n" in desk.roar("reproduce", "o", status=1).stdout
    assert told in desk.roar("reproduce", "o", "--run", status=1).stderr
    mine.rename(desk.root / "kept")
    desk.roar("reproduce", "o")
    far = tmp_path / "far" / "near"
    far.mkdir(parents=True)
    (far / "theirs").write_text("another's")
    said = desk.roar("reproduce", "o", "--run", "--into", str(tmp_path / "far" / "again"), status=1).stderr
    assert f"the jobs may write over {far}/theirs, which none of them left so." in said


def test_no_file_near_another_folder_is_written_over(desk, tmp_path):
    """A relative way out leads elsewhere from there."""
    near = desk.root.parent / "near"
    near.mkdir()
    desk.roar("run", "sh", "-c", "echo x > ../near/w; echo o > o")
    (tmp_path / "far" / "near").mkdir(parents=True)
    foreign = tmp_path / "far" / "near" / "w"
    foreign.write_text("another's")
    arguments = ["reproduce", "o", "--run", "--into", str(tmp_path / "far" / "again")]
    said = desk.roar(*arguments, status=1).stderr
    assert f"From {tmp_path}/far/again the jobs may write over {foreign}, which none of them left so." in said
    assert foreign.read_text() == "another's"
    assert not (tmp_path / "far" / "again").exists()
    foreign.unlink()
    desk.roar(*arguments, status=None)
    assert foreign.read_text() == "x\n"


def test_what_a_later_job_of_the_plan_left_outside_is_its_own(desk, outside):
    (desk.root / "out").symlink_to(outside)
    desk.roar("run", "sh", "-c", "echo first > out/w; echo o > o")
    desk.roar("run", "sh", "-c", "cat o; echo second > out/w; echo p > p")
    assert "cannot: " not in desk.roar("reproduce", "p").stdout
    assert "cannot: @1 " in desk.roar("reproduce", "o", status=1).stdout


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
