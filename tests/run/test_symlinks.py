"""Symlinks that a job removes, moves or points elsewhere: what it read and wrote is where they led at the time."""

import os
import sys

import pytest
from blake3 import blake3

MODES = ("full", "seccomp", "preload")
TRAIN = """import os, sys
start = open("ck/latest/state").read() if os.path.exists("ck/latest") else "0"
step = int(start.split()[0]) + 1
os.makedirs(f"ck/step-{step}")
open(f"ck/step-{step}/state", "w").write(f"{step} after {start}")
if os.path.lexists("ck/latest"):
    os.unlink("ck/latest")
os.symlink(f"step-{step}", "ck/latest")
"""


def used(desk):
    job = desk.job()
    return {use["path"] for use in job["inputs"]}, {use["path"] for use in job["outputs"]}


@pytest.fixture
def folders(desk):
    """Two folders with a file each, and a link to the first."""
    for name in ("one", "two"):
        desk.write(f"{name}/f", f"{name}\n")
    (desk.root / "link").symlink_to("one")
    desk.init()
    return desk


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("command", "inputs", "outputs"), [
    ("cat link/f > o; ln -sfn two link", {"one/f"}, {"o"}),
    ("cat link/f > o; ln -sfn two link; cat link/f > p", {"one/f", "two/f"}, {"o", "p"}),
    ("cat link/f > o; rm link", {"one/f"}, {"o"}),
    ("cat link/f > o; rm link; mkdir link; echo > link/g", {"one/f"}, {"o", "link/g"}),
    ("cat link/f > o; mv link other; cat other/f > p", {"one/f"}, {"o", "p"}),
    ("cat link/f > o; mv link other; ln -s two link; cat link/f other/f > p", {"one/f", "two/f"}, {"o", "p"}),
    ("echo a > link/a; ln -sfn two link; echo b > link/b", set(), {"one/a", "two/b"}),
    ("echo a >> link/f; ln -sfn two link", {"one/f"}, {"one/f"}),
    ("cat one/f > o; mv one old; ln -s two one; cat one/f > p", {"one/f", "two/f"}, {"o", "p", "old/f"}),
    ("ln -s one/f file; cat file > o; ln -sfn two/f file; cat file > p", {"one/f", "two/f"}, {"o", "p"}),
    ("ln -s link deep; cat deep/f > o; ln -sfn two link; cat deep/f > p", {"one/f", "two/f"}, {"o", "p"}),
    ("mkdir d; ln -s ../one d/l; cat d/l/f > o; mv d e; ln -sfn ../two e/l; cat e/l/f > p", {"one/f", "two/f"},
     {"o", "p"}),
    ("cat one/f > o; echo a > link/f; rm link", {"one/f"}, {"o", "one/f"}),
    ("ln -s nowhere link 2> /dev/null; cat link/f > o", {"one/f"}, {"o"}),
    ("cat link/f > o; ln -sfn two link; ln -sfn one link", {"one/f"}, {"o"}),
    ("ln -P link hard; ln -sfn two link; cat hard/f > o", {"one/f"}, {"o"}),
    ("ln -s one l; ln -P l m; ln -sfn two l; cat m/f l/f > o", {"one/f", "two/f"}, {"o"}),
    ("ln -s one/f l; ln -L l m; ln -sfn two/f l; cat m > o", {"one/f"}, {"o", "m"}),
    ("mkdir -p a/b; ln -s $PWD/one a/b/l; mv a c; mv c/b d; cat d/l/f > o; ln -sfn $PWD/two d/l; mv d e;cat e/l/f > p",
     {"one/f", "two/f"}, {"o", "p"}),
    ("mkdir -p a/b; ln -s $PWD/one a/b/l; mv a c; rm c/b/l; ln -s $PWD/two c/b/l; mv c a; cat a/b/l/f > o",
     {"two/f"}, {"o"}),
])
def test_a_file_is_where_its_name_led_then(folders, mode, command, inputs, outputs):
    folders.roar("run", "sh", "-c", command, env={"ROAR_TRACER_MODE": mode})
    assert used(folders) == (inputs, outputs)
    assert all(use["digest"] for use in folders.job()["outputs"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("command", "inputs", "outputs"), [
    ("mv file store; ln -s store file", {"file"}, {"store"}),
    ("cat file > o; mv file store; ln -s store file", {"file"}, {"o", "store"}),
    ("cp file store; rm file; ln -s store file", {"file"}, {"store"}),
    ("ln file store; rm file; ln -s store file", {"file"}, {"store"}),
    ("mv data store; ln -s store data", {"data/"}, {"store/"}),
    ("cat data/* > o; mv data store; ln -s store data; cat data/7 > p", {"data/"}, {"o", "p", "store/"}),
    ("mkdir v1; mv data/* v1/; rmdir data; ln -s v1 data", {"data/"}, {"v1/"}),
    ("mv file file.bak; echo new > file", {"file"}, {"file", "file.bak"}),
    ("sed -i.bak s/5/6/ file", {"file"}, {"file", "file.bak"}),
    ("mv file f.1; mv f.1 f.2; echo new > file; mv file f.1; echo newer > file", {"file"}, {"file", "f.1", "f.2"}),
])
def test_what_moved_away_from_a_name_that_is_used_again_was_read_there(desk, mode, command, inputs, outputs):
    for number in range(150):
        desk.write(f"data/{number}", f"data {number}\n")
    desk.write("file", "5\n")
    desk.init()
    if mode == "preload" and "sed" in command:
        mode = "seccomp"  # the C library opens its temporary file unseen
    desk.roar("run", "sh", "-c", command, env={"ROAR_TRACER_MODE": mode})
    assert used(desk) == (inputs, outputs)
    if "rm file" not in command:
        assert all(use["digest"] for use in desk.job()["inputs"])
    mine = {path for path in outputs if path not in {"o", "p", "file", "f.1"}}
    gone = desk.roar("pop", "--delete-outputs").stdout
    assert not any(f"deleted {path}" in gone for path in mine), "the last copy stays"


@pytest.mark.parametrize("mode", MODES)
def test_a_working_folder_that_is_renamed_has_its_new_name(desk, mode):
    desk.write("other", "untouched\n")
    desk.init()
    desk.roar("run", sys.executable, "-c", "import os; os.mkdir('d'); os.chdir('d'); open('a', 'w').write('1');"
              " os.rename('../d', '../e'); open('b', 'w').write('2'); os.symlink('../other', 'l');"
              " os.rename('l', 'm')",
              env={"ROAR_TRACER_MODE": mode})
    assert used(desk) == (set(), {"e/a", "e/b"})


@pytest.mark.parametrize("mode", MODES)
def test_two_dots_lead_up_from_where_a_symlink_leads(desk, mode):
    desk.write("a/b/f", "deep\n")
    desk.write("f", "here\n")
    desk.write("o", "mine\n")
    (desk.root / "a" / "b" / "c").mkdir()
    (desk.root / "link").symlink_to("a/b/c")
    desk.init()
    desk.roar("run", "sh", "-c", "cat link/../f > link/../o; cat a/b/c/../../../f > p", env={"ROAR_TRACER_MODE": mode})
    assert used(desk) == ({"a/b/f", "f"}, {"a/b/o", "p"})
    assert {line.split()[1] for line in desk.roar("pop", "--delete-outputs").stdout.splitlines()
            if line.startswith("deleted ")} == {"a/b/o", "p"}
    assert (desk.root / "o").read_text() == "mine\n"


def test_what_lies_behind_the_link_since_is_not_deleted_with_the_job(folders):
    folders.roar("run", "sh", "-c", "echo new > link/new; ln -sfn two link")
    (folders.root / "two" / "new").write_text("new\n")
    folders.roar("pop", "--delete-outputs")
    assert (folders.root / "two" / "new").exists()
    assert not (folders.root / "one" / "new").exists()


def test_training_resumes_from_where_the_link_led(desk):
    desk.write("train.py", TRAIN)
    desk.write(".gitignore", "ck\n")
    desk.init()
    for step in (1, 2, 3):
        desk.roar("run", "python", "train.py")
        assert used(desk) == ({f"ck/step-{step - 1}/state"} if step > 1 else set(), {f"ck/step-{step}/state"})
    assert len(desk.json("lineage", "ck/step-3/state")["jobs"]) == 3
    assert {output["path"]: output["reason"] for output in desk.json("status")["outputs"]} == {
        f"ck/step-{step}/state": None for step in (1, 2, 3)}


def test_the_first_text_of_the_link_is_put_in_place_for_a_reproduction(folders, tmp_path):
    folders.roar("run", "sh", "-c", "cat link/f > o; ln -sfn two link")
    folders.roar("run", "sh", "-c", "cat link/f > p")
    done = folders.roar("reproduce", "@", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout
    assert os.readlink(tmp_path / "again" / "link") == "two"


@pytest.fixture
def trees(desk):
    """A folder with a link to a file and one to a folder, both outside of it."""
    desk.write("data/f", "1\n")
    (desk.root / "tree" / "inner").mkdir(parents=True)
    (desk.root / "tree" / "file").symlink_to("../data/f")
    (desk.root / "tree" / "inner" / "folder").symlink_to("../../data")
    desk.init()
    return desk


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("command", [
    "cp -al tree new; cat tree/file > o", "cp -al tree new; cat new/file > o",
    "cp -al tree new; rm -r tree; cat new/file > o",
    "mv tree new; cat new/file > o", "mv tree new; mv new newer; cat newer/inner/folder/f > o",
    "mv tree/file tree/new; cat tree/new > o", "cat tree/file > o; mv tree new; cat new/inner/folder/f >> o",
    "cp -al tree new; cat new/inner/folder/f > o"])
def test_what_a_link_led_to_that_got_another_name(trees, mode, command):
    """The link that is moved or linked is no file, and what lies behind it has nothing to do with that."""
    trees.roar("run", "-q", "sh", "-c", command, env={"ROAR_TRACER_MODE": mode})
    assert used(trees) == ({"data/f"}, {"o"})
    job = trees.job()
    assert job["inputs"][0]["digest"] == job["outputs"][0]["digest"] is not None or ">>" in command
    assert not any("symlink" in gap for gap in job["tracer"]["gaps"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("names", ["real link", "link real"])
def test_a_folder_and_a_link_that_are_exchanged_in_one_step(desk, mode, names):
    """What the link leads to has neither moved nor been read."""
    desk.write("real/old", "old\n")
    desk.write("v2/new", "new\n")
    (desk.root / "link").symlink_to("v2")
    desk.init()
    one, other = names.split()
    desk.roar("run", "-q", sys.executable, "-c",
              f"import ctypes; assert not ctypes.CDLL(None).renameat2(-100, b'{one}', -100, b'{other}', 2)\n"
              "open('o', 'w').write(open('real/new').read())", env={"ROAR_TRACER_MODE": mode})
    assert used(desk) == ({"real/old", "v2/new"}, {"link/old", "o"})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("command", "inputs", "outputs"), [
    ("echo m > link/m.tmp; mv one/m.tmp one/m", {}, {"one/m": "m\n"}),
    ("echo m > one/m.tmp; mv link/m.tmp link/m", {}, {"one/m": "m\n"}),
    ("echo m > link/m.tmp; cat one/m.tmp > o; rm link/m.tmp", {}, {"o": "m\n"}),
    ("echo m > one/m.tmp; cat link/m.tmp > o; rm one/m.tmp", {}, {"o": "m\n"}),
    ("mkdir link/ck; echo m > link/ck/a; mv one/ck one/ck-1", {}, {"one/ck-1/a": "m\n"}),
    ("mkdir one/ck; echo m > one/ck/a; mv link/ck link/ck-1", {}, {"one/ck-1/a": "m\n"}),
    ("cat link/f > o; mv one/f one/g", {"one/f": "one\n"}, {"o": "one\n", "one/g": "one\n"}),
    ("cat one/f > o; echo x > link/f", {"one/f": "one\n"}, {"o": "one\n", "one/f": "x\n"}),
    ("echo x > link/f; mv one/f one/g", {}, {"one/g": "x\n"}),
    ("echo x >> link/f; mv one/f one/g", {"one/f": "one\n"}, {"one/g": "one\nx\n"}),
    ("rm link/f; echo new > one/f; cat link/f > o", {}, {"o": "new\n", "one/f": "new\n"}),
    ("mv link/f g; mv g link/f", {"one/f": "one\n"}, {}),
    ("cat link/f > o; mv one/f t; mv t one/f", {"one/f": "one\n"}, {"o": "one\n"}),
    ("cat link/f > o; mv one t; mv t one", {"one/f": "one\n"}, {"o": "one\n"}),
    ("ln -s $PWD/one own; echo m > own/m; mv link/m link/n; cat one/n own/f > o", {"one/f": "one\n"},
     {"one/n": "m\n", "o": "m\none\n"}),
])
def test_one_file_by_several_names(folders, mode, command, inputs, outputs):
    """As by `latest/` and the run's own folder, or by $HOME/scratch and the disk that this leads to."""
    folders.roar("run", "-q", "sh", "-c", command, env={"ROAR_TRACER_MODE": mode})
    job = folders.job()
    contents = [{use["path"]: use["digest"] for use in job[side]} for side in ("inputs", "outputs")]
    assert [{path: blake3(text.encode()).hexdigest() for path, text in side.items()}
            for side in (inputs, outputs)] == contents


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("command", "inputs", "outputs"), [
    ("echo x > cur; mv one/f one/g", {}, {"one/g": "x\n"}),
    ("echo x >> cur; mv one/f one/g", {"one/f": "one\n"}, {"one/g": "one\nx\n"}),
    ("mv one/f one/g; echo x > cur; mv one/f one/h", {"one/f": "one\n"}, {"one/g": "one\n", "one/h": "x\n"}),
    ("echo x > cur; mv one/f one/g; cat one/g > o; mv one/g one/f", {}, {"one/f": "x\n", "o": "x\n"}),
    ("echo x > cur; mv one three", {}, {"three/f": "x\n"}),
    ("echo x > cur; ln one/f g; rm one/f", {}, {"g": "x\n"}),
    ("echo x > cur; cat one/f > o; rm one/f", {}, {"o": "x\n"}),
    ("cat cur > o; mv one/f one/g", {"one/f": "one\n"}, {"o": "one\n", "one/g": "one\n"}),
    ("cat cur > o; ln one/f g; rm one/f", {"one/f": "one\n"}, {"o": "one\n", "g": "one\n"}),
    ("echo x > new; mv one/n n", {}, {"n": "x\n"}),
    ("echo x > new; cat one/n > o; mv one/n n", {}, {"o": "x\n", "n": "x\n"}),
    ("echo x > one/n; mv one/n n; cat n > new; mv n m", {}, {"one/n": "x\n", "m": "x\n"}),
    ("echo x > one/f; cat cur > o; mv one/f g", {}, {"o": "x\n", "g": "x\n"}),
    ("echo x > far; mv one/f one/g", {}, {"one/g": "x\n"}),
    ("echo x > far; mv link/f link/g", {}, {"one/g": "x\n"}),
    ("ln -L cur g; rm one/f; echo x > cur", {"one/f": "one\n"}, {"one/f": "x\n", "g": "one\n"}),
])
def test_a_file_that_is_written_by_its_symlink_and_moved_by_its_name(folders, mode, command, inputs, outputs):
    """As a training that writes to `latest.ckpt`, a link to the run's own file."""
    for name, target in (("cur", "one/f"), ("far", "link/f"), ("new", "one/n")):
        (folders.root / name).symlink_to(target)
    folders.roar("run", "-q", "sh", "-c", command, env={"ROAR_TRACER_MODE": mode})
    job = folders.job()
    contents = [{use["path"]: use["digest"] for use in job[side]} for side in ("inputs", "outputs")]
    assert contents[1] == {path: blake3(text.encode()).hexdigest() for path, text in outputs.items()}
    assert contents[0] == {path: blake3(text.encode()).hexdigest() for path, text in inputs.items()}
    assert not any("gone" in gap for gap in job["tracer"]["gaps"])


def test_the_symlink_by_which_a_file_was_written_is_noted_although_it_was_moved_by_its_name(folders, tmp_path):
    (folders.root / "cur").symlink_to("one/n")
    folders.roar("run", "-q", "sh", "-c", "echo x > cur; mv one/n one/m")
    assert used(folders) == (set(), {"one/m"})
    assert "cur → one/n" in folders.roar("show", "@1").stdout
    done = folders.roar("reproduce", "@", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_the_link_by_which_a_file_was_named_is_noted_although_the_job_used_its_real_name_too(folders, tmp_path):
    command = "cat link/f > o; cat one/f >> o; echo x > link/x; mv one/x one/y"
    folders.roar("run", "-q", "sh", "-c", command)
    assert used(folders) == ({"one/f"}, {"o", "one/y"})
    assert "link → one" in folders.roar("show", "@1").stdout
    done = folders.roar("reproduce", "@", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout
    assert os.readlink(tmp_path / "again" / "link") == "one"
