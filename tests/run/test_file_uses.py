"""What really happens to files, from the system call to the record: each case one real command."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile

import pytest
from blake3 import blake3

from roar.query.jobs import load_blob
from roar.record.database import open_database


def names(uses):
    return [use["path"] for use in uses]


def digest(text):
    return blake3(text.encode()).hexdigest()


def files(desk, code, **given):
    """Inputs and outputs (path → digest) of a few lines of Python, after writing the files in `given`."""
    for name, text in given.items():
        desk.write(name, text)
    desk.python(f"import os, shutil, ctypes, subprocess, sys\n{code}")
    job = desk.job()
    return tuple({use["path"]: use["digest"] for use in job[side]} for side in ("inputs", "outputs"))


def test_a_temporary_name_that_is_renamed(desk):
    assert files(desk, "open('a.tmp','w').write('x'); os.replace('a.tmp', 'a')") == ({}, {"a": digest("x")})


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_what_is_made_only_where_nothing_was_is_no_input(desk, mode):
    """`tempfile` opens so, and so do writers that put a whole file in place; HDF5 makes its files so."""
    desk.env["ROAR_TRACER_MODE"] = mode
    code = ("import tempfile; f = tempfile.NamedTemporaryFile('w', dir='.', delete=False); f.write('x'); f.close();"
            "os.replace(f.name, 'a'); open('b', 'x+').write('y'); open('c', 'w').close(); os.unlink('c')\n"
            "open('c', 'x+').write('z')\ntry: open('d', 'x+')\nexcept OSError: pass")
    assert files(desk, code, c="c", d="d") == ({}, {"a": digest("x"), "b": digest("y"), "c": digest("z")})
    assert desk.job()["tracer"]["mode"] == mode


def test_what_lay_there_before_a_job_is_not_made_by_it_but_a_copy_of_what_it_wrote_is(desk):
    desk.write("old.txt", "cat dog")
    time.sleep(.3)  # longer than file times may lag behind
    desk.python("open('names.txt', 'w').write('cat dog')")
    subprocess.run(["cp", "-p", "names.txt", "copy.txt"], cwd=desk.root, check=True)
    desk.python("open('old.txt').read(); open('a.txt', 'w').write('a')")
    assert sources(desk) == []
    (desk.root / "old.txt").chmod(0o600)
    desk.python("open('old.txt').read(); open('b.txt', 'w').write('b')")
    assert sources(desk) == []
    desk.python("open('copy.txt').read(); open('c.txt', 'w').write('c')")
    assert sources(desk) == [1]


def test_of_what_was_read_at_two_paths_nobody_made_the_one_that_is_older(desk):
    desk.write("expected.txt", "42")
    time.sleep(.3)
    desk.python("open('out.txt', 'w').write('42')")
    desk.roar("run", "sh", "-c", "cmp expected.txt out.txt && echo same > report")
    said = {line.split()[1]: line for line in desk.roar("lineage", "report").stdout.splitlines() if "    from" in line}
    assert "nothing recorded made it" in said["expected.txt"]
    assert "← @1" in said["out.txt"]
    assert [root["path"] for root in desk.json("inputs", "report")["inputs"]] == ["expected.txt"]


def test_a_dataset_that_lay_there_before_a_job_is_not_made_by_it_when_it_is_known_as_a_whole_too(desk):
    for number in range(120):
        desk.write(f"in/{number}", f"{number}")
    time.sleep(.3)
    desk.python("import shutil; shutil.copytree('in', 'backup')")
    code = "import os; [open(f'in/{name}').read() for name in sorted(os.listdir('in'))]; open('n{}', 'w').write('{}')"
    for number in range(2):
        desk.python(code.replace("{}", str(number)))
        assert [use["kind"] for use in desk.job()["inputs"]] == ["dataset"]
        assert sources(desk) == []


def sources(desk):
    """The steps that the last job took something from."""
    with sqlite3.connect(desk.root / ".roar" / "roar.db") as database:
        found = database.execute(
            "SELECT DISTINCT number FROM dependency JOIN job ON job.id = producer_id JOIN step ON step.id = step_id"
            " WHERE consumer_id = (SELECT max(id) FROM job)").fetchall()
    database.close()
    return [number for (number,) in found]


def test_renaming_over_an_input_that_was_read(desk):
    code = "t = open('a').read(); open('b','w').write(t + '!'); os.replace('b', 'a')"
    desk.python("open('a', 'w').write('x')")
    assert files(desk, code) == ({"a": digest("x")}, {"a": digest("x!")})


def test_moving_a_file_is_reading_it_and_writing_it(desk):
    assert files(desk, "os.rename('a', 'b')", a="x") == ({"a": digest("x")}, {"b": digest("x")})


def test_moving_on_and_on_is_still_the_same_content(desk):
    code = "os.rename('a', 'b'); os.rename('b', 'c'); os.rename('c', 'd')"
    assert files(desk, code, a="x") == ({"a": digest("x")}, {"d": digest("x")})


def test_moving_and_then_changing_is_not(desk):
    code = "os.rename('a', 'b'); open('b', 'w').write('y')"
    assert files(desk, code, a="x") == ({"a": None}, {"b": digest("y")})


AS_IT_WAS = "was moved and opened for writing by this job, and no earlier record proves what it held"


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize(("code", "content", "note"), [
    ("time.sleep(.1); open('b', 'r+').read()", "x", None),
    ("time.sleep(.1); open('b', 'a').close()", "x", None),
    ("os.rename('b', 'c'); os.rename('c', 'b'); time.sleep(.1); open('b', 'r+').read()", "x", None),
    ("time.sleep(.1); open('b', 'r+').read(); os.rename('b', 'c')", None, AS_IT_WAS),
    ("time.sleep(.1); subprocess.run(['touch', 'b'], check=True)", None, AS_IT_WAS),
    ("s = os.stat('b'); time.sleep(.1); open('b', 'r+').write('y'); os.utime('b', ns=(s.st_atime_ns, s.st_mtime_ns))",
     None, AS_IT_WAS),
    ("s = os.stat('b'); open('b', 'r+').write('y'); os.utime('b', ns=(s.st_atime_ns, s.st_mtime_ns))",
     None, AS_IT_WAS)])
def test_moving_and_then_opening_for_writing(desk, code, content, note, mode):
    """Nobody can tell that nothing was written where the change time is that of a later rename, or of touch(1)."""
    desk.env["ROAR_TRACER_MODE"] = mode
    left = files(desk, f"import time\nos.rename('a', 'b'); {code}", a="x")[0]
    assert left == {"a": content and digest(content)}
    assert desk.job()["inputs"][0].get("note") == note


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize("code", [
    "open('a').read(); os.chmod('a', 0o444)", "open('a').read(); os.utime('a', ns=(1, os.stat('a').st_mtime_ns))",
    "os.link('a', 'b'); open('b').read(); os.unlink('b')",
    "os.chmod('a', 0o600); open('a').read(); os.chmod('a', 0o644)"])
def test_what_changes_only_the_change_time_of_an_input_hides_nothing(desk, code, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    assert files(desk, code, a="x") == ({"a": digest("x")}, {})
    assert "note" not in desk.job()["inputs"][0]


def test_what_something_else_writes_over_an_input_hides_it(desk):
    desk.write("a", "x" * 8)
    run = desk.start("run", "-q", sys.executable, "-c", "import os, time\nopen('a').read()\nos.mkdir('read')\n"
                     "while not os.path.exists('go'): time.sleep(.01)\n")
    deadline = time.monotonic() + 20
    while not (desk.root / "read").exists() and time.monotonic() < deadline:
        time.sleep(.01)
    with open(desk.root / "a", "r+") as file:
        file.write("y" * 8)
    os.chmod(desk.root / "a", 0o600)
    desk.write("go", "on")
    assert run.wait() == 0
    used = {use["path"]: (use["digest"], use.get("note")) for use in desk.job()["inputs"]}
    assert used["a"] == (None, "changed after it was read, and no earlier record proves what it held")


def test_an_unnamed_file_that_is_given_a_name(desk):
    code = ("f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o644); os.write(f, b'x')\n"
            "os.link(f'/proc/self/fd/{f}', 'a', src_dir_fd=0, follow_symlinks=True)")
    assert files(desk, code) == ({}, {"a": digest("x")})


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_a_file_that_is_gone_cannot_be_given_a_name_again(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    code = ("f = os.open('b', os.O_RDWR | os.O_CREAT, 0o644); os.write(f, b'x'); os.unlink('b')\n"
            "try:\n    os.link(f'/proc/self/fd/{f}', 'a', src_dir_fd=0, follow_symlinks=True)\n"
            "except FileNotFoundError:\n    open('c', 'w').write('y')")
    assert files(desk, code) == ({}, {"c": digest("y")})


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize(("before", "after"), [
    ("os.rename('d', 'e')", "pass"), ("os.rename('d', 'f'); os.rename('f', 'd')", "os.rename('d', 'e')"),
    ("pass", "os.rename('d', 'e')")])
def test_an_unnamed_file_that_is_given_a_name_in_a_folder_that_is_renamed(desk, before, after, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    (desk.root / "d").mkdir()
    code = (f"{before}\nfolder = 'd' if os.path.isdir('d') else 'e'\n"
            "f = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o644); os.write(f, b'x')\n"
            f"os.link(f'/proc/self/fd/{{f}}', f'{{folder}}/a', src_dir_fd=0, follow_symlinks=True)\n{after}")
    assert files(desk, code) == ({}, {"e/a": digest("x")})


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize(("code", "made"), [
    ("os.unlink('a'); os.mkdir('a'); open('a/b', 'w').write('y')", {"a/b": "y"}),
    ("os.unlink('a'); os.mkdir('d'); open('d/b', 'w').write('y'); os.rename('d', 'a')", {"a/b": "y"}),
    ("os.rename('a', 'b'); os.mkdir('a'); os.rename('b', 'a/b')", {"a/b": "x"}),
    ("os.unlink('a'); os.makedirs('a/b/c')", {}),
    ("os.unlink('a'); os.mkdir('a'); os.rmdir('a'); open('a', 'w').write('y')", {"a": "y"})])
def test_a_file_that_is_read_and_makes_room_for_a_folder_is_an_input(desk, code, made, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.python("open('a', 'w').write('x')")
    assert files(desk, f"open('a').read(); {code}") == (
        {"a": digest("x")}, {name: digest(text) for name, text in made.items()})


def test_a_file_that_makes_room_for_a_folder_and_was_not_read_is_no_input(desk):
    assert files(desk, "os.unlink('a'); os.mkdir('a')", a="x") == ({}, {})
    assert files(desk, "open('b', 'w').write('x'); open('b').read(); os.unlink('b'); os.mkdir('b')") == ({}, {})


def test_a_file_in_whose_place_somebody_else_puts_a_folder_is_an_input(desk):
    def change():
        (desk.root / "in/0").unlink()
        (desk.root / "in/0").mkdir()
    desk.write("in/0", "x")
    [use] = while_it_waits(desk, "input()", change)["inputs"]
    assert (use["path"], use["digest"], use["note"][:11]) == ("in/0", None, "was deleted")


def test_a_hard_link_to_an_old_file(desk):
    assert files(desk, "os.link('a', 'b')", a="x") == ({"a": digest("x")}, {"b": digest("x")})


def test_a_hard_link_to_a_new_file(desk):
    assert files(desk, "open('a','w').write('x'); os.link('a', 'b')") == ({}, {"a": digest("x"), "b": digest("x")})


@pytest.mark.parametrize(("code", "left"), [
    ("os.link('a', 'b'); open('b', 'a').write('x')", {"a": "oldx", "b": "oldx"}),
    ("os.link('a', 'b'); open('a', 'r+').write('x')", {"a": "xld", "b": "xld"}),
    ("os.link('a', 'b'); open('b', 'w').write('x')", {"a": "x", "b": "x"}),
    ("os.link('a', 'b'); os.truncate('b', 1)", {"a": "o", "b": "o"}),
    ("os.link('a', 'b'); os.rename('b', 'c'); open('c', 'a').write('x')", {"a": "oldx", "c": "oldx"}),
    ("os.mkdir('d'); os.link('a', 'd/b'); os.rename('d', 'e'); open('e/b', 'a').write('x')",
     {"a": "oldx", "e/b": "oldx"}),
    ("os.link('a', 'b'); os.unlink('a'); open('b', 'a').write('x')", {"b": "oldx"}),
    ("os.link('a', 'b'); open('t', 'w').write('new'); os.rename('t', 'a'); open('b', 'a').write('x')",
     {"a": "new", "b": "oldx"}),
    (("os.link('a', 'b'); open('t', 'w').write('new')\n"
      "ctypes.CDLL(None).renameat2(-100, b'a', -100, b't', 2); open('b', 'a').write('x')"),
     {"a": "new", "b": "oldx", "t": "oldx"}),
    ("os.link('a', 'b'); os.rename('a', 'b')", {"b": "old"}),
])
def test_what_is_written_by_one_name_changes_under_those_that_the_job_gave_the_file(desk, code, left):
    desk.write("a", "old")
    desk.python("open('a').read()")
    assert files(desk, code) == ({"a": digest("old")}, {path: digest(text) for path, text in left.items()})


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_a_rename_between_two_older_names_of_one_file_does_nothing(desk, mode):
    os.link(desk.write("a", "old"), desk.root / "b")
    desk.env["ROAR_TRACER_MODE"] = mode
    assert files(desk, "os.rename('a', 'b'); open('c', 'w').write('x')") == ({}, {"c": digest("x")})
    assert files(desk, "os.rename('a', 'b'); open('a').read()")[1] == {}


def test_reading_through_a_symlink_reads_its_target(desk):
    (desk.root / "link").symlink_to("a")
    assert files(desk, "open('link').read()", a="x") == ({"a": digest("x")}, {})
    shown = desk.roar("show", "@-1", "--all").stdout
    assert "link" in shown


def test_writing_through_a_symlink_writes_its_target(desk):
    (desk.root / "link").symlink_to("a")
    assert files(desk, "open('link', 'w').write('y')", a="x") == ({}, {"a": digest("y")})


def test_a_new_symlink_is_no_artifact(desk):
    assert files(desk, "os.symlink('a', 'link')", a="x") == ({}, {})


def test_truncating(desk):
    desk.python("open('a', 'w').write('xyz')")
    assert files(desk, "os.truncate('a', 1)") == ({"a": digest("xyz")}, {"a": digest("x")})


TO_WRITE = "f = os.open('a', os.O_WRONLY | os.O_CREAT, 0o644); "


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize("content", ["new", "old"])
@pytest.mark.parametrize("code", [
    TO_WRITE + "os.ftruncate(f, 0); os.write(f, b'{}')",
    TO_WRITE + "g = os.dup(f); os.close(f); subprocess.run(['sh', '-c', 'true'], pass_fds=[g]); os.truncate(g, 0);"
    " os.write(g, b'{}')",
    "os.truncate('a', 0); f = os.open('a', os.O_WRONLY); os.write(f, b'{}')",
    "os.symlink('a', 'l'); os.truncate('l', 0); open('l', 'a').write('{}'); os.unlink('l')",
])
def test_what_is_emptied_before_anything_was_read_is_written_anew(desk, code, content, mode):
    desk.write("a", "old")
    desk.env["ROAR_TRACER_MODE"] = mode
    assert files(desk, code.format(content)) == ({}, {"a": digest(content)})


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize("code", [
    "f = open('a', 'r+'); t = f.read(); f.seek(0); f.truncate(0); f.write('new')",
    TO_WRITE + "t = open('a').read(); os.ftruncate(f, 0); os.write(f, b'new')",
    "t = open('a').read(); " + TO_WRITE + "os.ftruncate(f, 0); os.write(f, b'new')",
    TO_WRITE + "os.write(f, b'new'); os.ftruncate(f, 3)",
])
def test_what_was_read_before_it_was_emptied_is_an_input(desk, code, mode):
    desk.write("a", "old")
    desk.python("open('a').read()")
    desk.env["ROAR_TRACER_MODE"] = mode
    assert files(desk, code) == ({"a": digest("old")}, {"a": digest("new")})


def test_a_file_that_is_read_and_written_anew_beside_those_of_hdf5(desk):
    """What opens it as HDF5 opens its own is not HDF5."""
    desk.write("state", "1")
    desk.write("model.h5", "")
    desk.init()
    desk.python("import h5py\nopen('model.h5').read()\nwith open('state', 'r+') as f: text = f.read()\n"
                "with open('state', 'w+') as f: f.write(text + '2')")
    assert {use["path"]: use["digest"] for use in desk.job()["inputs"]} == {
        "model.h5": digest(""), "state": digest("1")}


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize("code", ["open('a.h5')", "h5py.File('a.h5', 'r')", "h5py.File('a.h5', 'r+')", None])
def test_a_file_of_hdf5_that_is_made_anew(desk, code, mode):
    """h5py opens it for changes before it opens it with O_TRUNC; what is read before that is an input."""
    desk.env["ROAR_TRACER_MODE"] = mode
    make = "import h5py\nwith h5py.File('a.h5', 'w') as f: f['x'] = [{}]"
    desk.python(make.format(1))
    before = desk.job()["outputs"][0]["digest"]
    desk.python((f"import h5py\n{code}.close()\n" if code else "") + make.format(2))
    job = desk.job()
    assert [(use["path"], use["digest"]) for use in job["inputs"]] == ([("a.h5", before)] if code else [])
    assert names(job["outputs"]) == ["a.h5"]


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_what_is_opened_to_be_changed_and_then_made_anew_is_an_input(desk, mode):
    desk.write("a", "old")
    desk.python("open('a').read()")
    desk.env["ROAR_TRACER_MODE"] = mode
    assert files(desk, "t = open('a', 'r+').read(); open('a', 'w+').write('new')") == (
        {"a": digest("old")}, {"a": digest("new")})


def test_a_reader_of_sqlite_leaves_nothing(desk):
    desk.python("import sqlite3; c = sqlite3.connect('x.db'); c.execute('pragma journal_mode=wal');"
                " c.execute('create table t(a)'); c.commit(); c.close()")
    assert names(desk.job()["outputs"]) == ["x.db"]
    desk.python("import sqlite3; c = sqlite3.connect('file:x.db?mode=ro', uri=True);"
                " c.execute('select * from t').fetchall(); c.close()")
    assert (names(desk.job()["inputs"]), names(desk.job()["outputs"])) == (["x.db"], [])
    assert {path.name for path in desk.root.iterdir()} >= {"x.db-wal", "x.db-shm"}


def test_copy_file_range(desk):
    code = "i = os.open('a', 0); o = os.open('b', os.O_WRONLY | os.O_CREAT); os.copy_file_range(i, o, 9)"
    assert files(desk, code, a="x") == ({"a": digest("x")}, {"b": digest("x")})


def test_what_one_process_writes_and_another_reads_is_no_input(desk):
    code = "subprocess.run(['sh', '-c', 'echo x > mid']); subprocess.run(['sh', '-c', 'cat mid > out'])"
    assert files(desk, code) == ({}, {"mid": digest("x\n"), "out": digest("x\n")})


def test_a_folder_renamed_with_its_files(desk):
    code = "os.makedirs('d.tmp/sub'); open('d.tmp/sub/a','w').write('x'); os.rename('d.tmp', 'd')"
    assert files(desk, code) == ({}, {"d/sub/a": digest("x")})


def test_a_folder_renamed_with_files_that_the_job_never_named(desk):
    assert files(desk, "os.rename('old', 'new')", **{"old/a": "x", "old/deep/b": "y"}) == (
        {"old/a": digest("x"), "old/deep/b": digest("y")}, {"new/a": digest("x"), "new/deep/b": digest("y")})


@pytest.mark.parametrize("text", ["../f/x", "l", "n" * 300, "../nothing"])
def test_a_renamed_folder_that_holds_a_symlink_which_leads_nowhere(desk, text):
    desk.write("f", "f")
    desk.write("d/x", "x")
    (desk.root / "d" / "l").symlink_to(text)
    desk.init()
    desk.roar("run", "-q", "mv", "d", "e")
    assert [use["path"] for use in desk.job()["outputs"]] == ["e/x"]


def test_what_a_renamed_folder_held_and_the_job_then_put_there_anew(desk):
    desk.write("out/log", "first")
    desk.python("open('out/log').read()")
    code = "os.rename('out', 'old'); os.mkdir('out'); open('out/log', 'w').write('second')"
    assert files(desk, code) == (
        {"out/log": digest("first")}, {"old/log": digest("first"), "out/log": digest("second")})


def test_a_folder_that_is_renamed_in_order_to_be_removed_was_not_read(desk):
    assert files(desk, "os.rename('old', 'gone'); shutil.rmtree('gone')", **{"old/a": "x"}) == ({}, {})


def test_a_link_to_what_the_job_made_and_removed_is_no_input(desk):
    (desk.root / "link").symlink_to("made")
    assert files(desk, "open('made', 'w').write('x'); open('link').read(); os.remove('made')") == ({}, {})


def test_a_folder_removed_with_its_files(desk):
    assert files(desk, "os.mkdir('d'); open('d/a','w').write('x'); shutil.rmtree('d')") == ({}, {})


def test_an_input_deleted_afterwards_is_known_from_the_job_that_made_it(desk):
    desk.python("open('a', 'w').write('x')")
    assert files(desk, "open('a').read(); os.remove('a')") == ({"a": digest("x")}, {})


def test_an_input_overwritten_afterwards_by_another_program_has_no_wrong_digest(desk):
    code = "open('a').read(); subprocess.run(['sh', '-c', 'echo new > a'])"
    assert files(desk, code, a="x") == ({"a": None}, {"a": digest("new\n")})


READ_AGAIN = {
    "by one process": "input(); open(path).read()",
    "by another process": "input(); subprocess.run(['cat', path], stdout=subprocess.DEVNULL)",
    "and replaced afterwards": "input(); open(path).read(); open(path, 'w').write('mine')",
}


def while_it_waits(desk, code, change, *, mode="auto"):
    """The job of a few lines of Python; `change` is made by nobody of it when they ask for a line."""
    code = f"import subprocess, time; path = 'in/0'; open(path).read(); time.sleep(.05); print(flush=True); {code}"
    job = desk.start("run", "--", sys.executable, "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     stderr=subprocess.DEVNULL, env={"ROAR_TRACER_MODE": mode})
    job.stdout.readline()
    change()
    assert job.communicate(b"\n", timeout=60) is not None
    assert job.returncode == 0
    return desk.job()


@pytest.mark.parametrize("again", READ_AGAIN.values(), ids=READ_AGAIN)
@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_an_input_that_somebody_else_changes_between_two_reads_says_so(desk, again, mode):
    desk.write("in/0", "first")
    desk.python("open('in/0').read()")
    (use,) = while_it_waits(desk, again, lambda: desk.write("in/0", "second"), mode=mode)["inputs"]
    assert use["path"] == "in/0"
    assert use["digest"] == digest("first")
    assert use["note"] == "was read with more than one content; this is the first"
    assert "more than one content" in desk.roar("show", "@-1").stdout


def test_a_content_that_is_gone_is_not_said_to_be_there(desk):
    desk.write("in/0", "first")
    (use,) = while_it_waits(desk, READ_AGAIN["by one process"], lambda: desk.write("in/0", "second"))["inputs"]
    assert use["digest"] is None
    assert "changed after it was read" in use["note"]


def test_a_dataset_names_the_file_that_was_read_with_two_contents(desk):
    for number in range(150):
        desk.write(f"in/{number}", f"content {number}")
    desk.python("import os; [open(f'in/{n}').read() for n in os.listdir('in')]")
    (before,) = desk.job()["inputs"]
    again = "input(); import os; [open(f'in/{n}').read() for n in os.listdir('in')]"
    (use,) = while_it_waits(desk, again, lambda: desk.write("in/0", "second"))["inputs"]
    assert (use["files"], use["digest"]) == (150, before["digest"])
    assert use["note"] == "0: was read with more than one content; this is the first"


EDITED = "for n in os.listdir('in'): open(f'in/{n}', 'r+').write(open(f'in/{n}').read() + '!')"
READ_AND_DELETED = "open('sum', 'w').writelines(open(f'in/{n}').read() for n in os.listdir('in')); shutil.rmtree('in')"
MOVED_AND_EDITED = "os.rename('in', 'old'); [open(f'old/{n}', 'r+').write('?') for n in os.listdir('old')]"


@pytest.mark.parametrize(("code", "output"), [(EDITED, "in/"), (READ_AND_DELETED, "sum"), (MOVED_AND_EDITED, "old/")])
def test_many_files_that_nobody_had_recorded_and_the_job_changes_are_one_input(desk, code, output):
    for number in range(150):
        desk.write(f"in/{number}", f"text {number}")
    desk.python(f"import os, shutil\n{code}")
    job = desk.job()
    (use,) = job["inputs"]
    assert (use["path"], use["kind"], use["files"], use["digest"]) == ("in/", "dataset", 150, None)
    assert use["note"].endswith("and no earlier record proves what it held")
    assert names(job["outputs"]) == [output]
    assert "in/  (150 files)" in desk.roar("inputs").stdout
    assert "no digest" in desk.roar("lineage", output).stdout
    assert "The content of in/ when it was read is not known." in desk.roar("reproduce", "@1", status=1).stdout


PUT_BACK = ("s = os.stat('a'); t = open('a').read()\n{}\nos.utime([n for n in 'ab' if os.path.exists(n)][-1],"
            " ns=(s.st_atime_ns, s.st_mtime_ns))")


@pytest.mark.parametrize(("change", "content", "outputs"), [
    ("open('a', 'w').write('six')", "two", {"a": "six"}),
    ("open('a', 'r+').write('six')", "two", {"a": "six"}),
    ("os.truncate('a', 0); open('a', 'a').write('six')", "two", {"a": "six"}),
    ("os.unlink('a'); open('a', 'x').write('six')", "two", {"a": "six"}),
    ("os.unlink('a'); open('b', 'x').write('six')", "two", {"b": "six"}),
    ("open('a', 'w').write('six'); os.rename('a', 'b')", "two", {"b": "six"}),
    ("os.unlink('a'); open('c', 'x').write('six'); os.rename('c', 'b')", "two", {"b": "six"}),
    ("os.link('a', 'b'); open('a', 'w').write('six')", "two", {"a": "six", "b": "six"}),
    ("os.link('a', 'b'); open('b', 'w').write('six')", "two", {"a": "six", "b": "six"}),
    ("os.link('a', 'b'); os.link('a', 'c'); open('c', 'w').write('six'); os.unlink('c')", "two",
     {"a": "six", "b": "six"}),
    ("os.rename('a', 'b')", "two", {"b": "two"}),
    ("os.rename('a', 'c'); open('a', 'w').write('new'); os.rename('c', 'b')", "two", {"a": "new", "b": "two"}),
])
@pytest.mark.parametrize("known", [False, True])
def test_an_input_that_the_job_changes_and_dates_back_has_no_other_digest(desk, change, content, outputs, known):
    """Size, time of change and often the inode are as they were: only what happened tells the contents apart."""
    desk.write("a", content)
    if known:
        desk.python("open('a').read()")
    inputs, written = files(desk, PUT_BACK.format(change))
    assert inputs.pop("a") in ({digest(content)} if known or "two" in outputs.values() else {digest(content), None})
    assert inputs == {}
    assert written == {path: digest(text) for path, text in outputs.items()}


def test_another_name_or_other_rights_are_no_other_content(desk):
    desk.write("in/0", "first")
    desk.python("open('in/0').read()")
    (use,) = while_it_waits(desk, READ_AGAIN["by one process"], lambda: (desk.root / "in/0").chmod(0o600))["inputs"]
    assert (use["digest"], use.get("note")) == (digest("first"), None)


def test_opening_for_appending_without_writing_changes_nothing(desk):
    assert files(desk, "open('a', 'a').close()", a="x")[1] == {}


@pytest.mark.parametrize("code", ["subprocess.run(['touch', 'a'], check=True)", "open('a', 'r+').write('x')"])
def test_what_is_edited_in_place_to_what_it_was_is_only_read(desk, code):
    desk.write("a", "x")
    desk.python("open('a').read()")
    assert files(desk, code) == ({"a": digest("x")}, {})


def test_what_is_moved_away_and_back_is_only_read(desk):
    desk.write("d/x", "in a folder")
    code = ("os.rename('a', 't'); open('t').read(); os.rename('t', 'a');"
            "os.rename('d', 'e'); open('e/x').read(); os.rename('e', 'd')")
    assert files(desk, code, a="x") == ({"a": digest("x"), "d/x": digest("in a folder")}, {})


def test_what_is_written_anew_as_it_was_is_an_output(desk):
    desk.write("a", "x")
    desk.python("open('a').read()")
    assert files(desk, "open('a', 'w').write('x')") == ({}, {"a": digest("x")})


def test_looking_for_a_file_that_is_not_there(desk):
    assert files(desk, "os.path.exists('a')\ntry: open('a')\nexcept OSError: pass") == ({}, {})


def test_writing_to_a_mapped_file(desk):
    code = "import mmap; f = open('a', 'r+b'); m = mmap.mmap(f.fileno(), 0); m[0:1] = b'y'; m.flush()"
    desk.python("open('a', 'w').write('xx')")
    assert files(desk, code) == ({"a": digest("xx")}, {"a": digest("yx")})


MAPPED = """
import mmap, os
{}
n = os.dup(f.fileno()); m = mmap.mmap(n, 8192); f.close(); m[0:5] = b'first'
{}
print(flush=True); input(); m[0:6] = b'second'; m.close()
"""


@pytest.fixture
def mapping(desk):
    """A job that changes what it has mapped; `meanwhile`, another one, is run between two changes."""
    def run(before, after, meanwhile, mode="full"):
        job = desk.start("run", "-q", "--", sys.executable, "-c", MAPPED.format(before, after), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, env={"ROAR_TRACER_MODE": mode})
        job.stdout.readline()
        time.sleep(.05)
        meanwhile()
        job.communicate(b"\n", timeout=60)
        assert job.returncode == 0
        return desk.job("@2")
    return run


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize(("before", "after"), [
    ("f = open('m', 'w+b'); f.truncate(8192)", ""),
    ("f = open('old', 'r+b'); os.rename('old', 'm')", ""),
    ("f = open('t', 'w+b'); f.truncate(8192)", "os.rename('t', 'm')"),
    ("f = open('t', 'w+b'); f.truncate(8192)", "os.link('t', 'm')"),
    ("os.mkdir('t'); f = open('t/m', 'w+b'); f.truncate(8192)", "os.rename('t', 'd'); os.rename('d/m', 'm')"),
    ("f = os.fdopen(os.open('.', os.O_TMPFILE | os.O_RDWR, 0o644), 'r+b'); f.truncate(8192)",
     "os.link(f'/proc/self/fd/{n}', 'm', src_dir_fd=0, follow_symlinks=True)")])
def test_what_another_job_reads_of_a_mapped_file_is_not_what_is_left_of_it(desk, mapping, before, after, mode):
    """The kernel gives a page that is changed once more no new times, unless it was written back in between."""
    (desk.root / "old").write_bytes(bytes(8192))
    job = mapping(before, after, lambda: desk.roar("run", "cp", "m", "first"), mode)
    left = {use["path"]: use["digest"] for use in job["outputs"]}
    assert left["m"] == blake3(b"second".ljust(8192, b"\0")).hexdigest()
    [read] = desk.job("@1")["inputs"]
    assert read["digest"] == blake3(b"first".ljust(8192, b"\0")).hexdigest()
    desk.roar("run", "cp", "m", "second")
    assert [use["digest"] for side in ("inputs", "outputs") for use in desk.job()[side]] == [left["m"]] * 2


def test_a_dataset_that_was_read_while_one_of_its_files_was_mapped_is_another_afterwards(desk, mapping):
    desk.env["ROAR_DATASETS_THRESHOLD"] = "3"
    for name in "abcd":
        (desk.root / "in" / name).parent.mkdir(exist_ok=True)
        (desk.root / "in" / name).write_bytes(name.encode() * 8192)
    seen = []

    def read():
        desk.roar("run", "cat", "in/a", "in/b", "in/c", "in/d")
        [use] = desk.job("@1")["inputs"]
        seen.append((use["path"], use["digest"]))
    mapping("f = open('in/a', 'r+b')", "", read)
    read()
    assert [path for path, _ in seen] == ["in/", "in/"]
    assert seen[0] != seen[1]


def test_exchanging_two_files(desk):
    code = "ctypes.CDLL(None).renameat2(-100, b'a', -100, b'b', 2)"
    desk.python("open('a', 'w').write('x'); open('b', 'w').write('y')")
    assert files(desk, code) == ({"a": digest("x"), "b": digest("y")}, {"a": digest("y"), "b": digest("x")})


def test_a_very_long_path(desk):
    code = ("for n in range(18):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\n"
            "open('deep', 'w').write('x'); os.chdir('/'); sys.exit(0)")
    inputs, outputs = files(desk, code)
    assert inputs == {}
    assert outputs == {"/".join(["d" * 200] * 18) + "/deep": digest("x")}


def test_names_with_newlines_and_without_utf8(desk):
    code = "open(b'a\\nb', 'w').write('x'); open(b'\\xff\\xfe', 'w').write('y')"
    assert files(desk, code) == ({}, {"a\nb": digest("x"), "\\xff\\xfe": digest("y")})
    assert desk.roar("show", "@-1").stdout


def test_many_files_are_one_dataset_and_each_still_finds_it(desk):
    code = ("for s in ('cat', 'dog', 'eel', 'fox', 'gnu'):\n    os.makedirs(f'data/{s}')\n"
            "    for n in range(40):\n        open(f'data/{s}/{n}.png', 'w').write(f'{s}{n}')")
    _, outputs = files(desk, code)
    assert list(outputs) == ["data/"]
    use = desk.job()["outputs"][0]
    assert (use["kind"], use["files"]) == ("dataset", 200)
    desk.python("import os\nfor d, _, fs in os.walk('data'):\n    for f in fs: open(f'{d}/{f}').read()")
    assert desk.job()["inputs"] == [use]
    found = desk.roar("show", digest("fox7")).stdout
    assert use["digest"][:12] in found or "data/" in found
    desk.write(".roar/config.toml", "[datasets]\nthreshold = 0\n")
    desk.python("import os\nfor d, _, fs in os.walk('data'):\n    for f in fs: open(f'{d}/{f}').read()")
    assert len(desk.job()["inputs"]) == 200


def test_filters_of_the_settings(desk):
    desk.write(".roar/config.toml", "[filters]\nremove = ['scratch/']\nadd = ['/etc/hostname']\n")
    code = "os.mkdir('scratch'); open('scratch/a', 'w').write('x'); open('/etc/hostname').read()"
    inputs, outputs = files(desk, code)
    assert (list(inputs), list(outputs)) == (["/etc/hostname"], [])


def test_imported_distributions_are_known_by_version(desk):
    desk.python("import blake3, rich.text")
    packages = {p["name"].lower(): p["version"] for p in desk.job()["python"]["packages"]}
    from importlib.metadata import version  # noqa: PLC0415

    assert packages["blake3"] == version("blake3")
    assert packages["rich"] == version("rich")
    assert "pytest" not in packages


@pytest.mark.parametrize("kind", ["worktree", "submodule", "nested"])
def test_the_code_is_that_of_the_innermost_work_tree(desk, kind):
    desk.write("top.py", "print(1)\n")
    desk.init()
    inner = desk.root / "inner"

    def git(*arguments, cwd):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always",
                        *arguments], cwd=cwd, env=desk.env, check=True, capture_output=True)

    if kind == "worktree":
        git("worktree", "add", "-q", str(inner), cwd=desk.root)
    else:
        source = desk.tmp / "source"
        source.mkdir()
        git("init", "-q", "-b", "main", cwd=source)
        git("commit", "-q", "--allow-empty", "-m", "one", cwd=source)
        if kind == "submodule":
            git("submodule", "add", "-q", str(source), "inner", cwd=desk.root)
        else:
            git("clone", "-q", str(source), str(inner), cwd=desk.root)
    git("commit", "-q", "--allow-empty", "-m", "inside", cwd=inner)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=inner, env=desk.env, check=True, capture_output=True,
                          text=True).stdout.strip()
    desk.roar("run", sys.executable, "-c", "open('o', 'w').write('x')", cwd=inner)
    shown = desk.roar("show", "@-1", "--json", cwd=inner).stdout
    assert f'"commit": "{head}"' in shown


def test_a_commit_made_by_the_command_changes_nothing(desk):
    desk.write("a.py", "x = 1\n")
    desk.init()
    before = desk.git("rev-parse", "HEAD")
    desk.write("a.py", "x = 2\n")
    desk.roar("run", "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "two")
    assert desk.git("rev-parse", "HEAD") != before
    assert desk.job()["git"]["commit"] == before


@pytest.fixture
def compiling(desk):
    """Python keeps what it compiles, as it does by default."""
    desk.env.pop("PYTHONDONTWRITEBYTECODE", None)
    return desk


def test_a_source_counts_although_python_opens_what_was_compiled_from_it(compiling, tmp_path):
    compiling.write("t.py", "import u\nopen('o.out', 'w').write(u.Y)\n")
    compiling.write(".gitignore", "*.out\n__pycache__/\n.roar/\n")
    compiling.init()
    compiling.write("u.py", "Y = 'new'\n")
    for _ in range(3):
        compiling.roar("run", "python", "t.py")
        assert compiling.job()["git"]["patch"]
    assert (compiling.root / "__pycache__").exists()
    done = compiling.roar("reproduce", "o.out", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


@pytest.mark.parametrize("how", ["variable", "option", "relative"])
def test_a_source_counts_although_what_was_compiled_lies_in_a_tree_of_its_own(compiling, tmp_path, how):
    compiling.write("t.py", "import p.u\nopen('o', 'w').write(p.u.Y)\n")
    compiling.write("p/u.py", "Y = 'new'\n")
    prefix = "compiled" if how == "relative" else str(tmp_path / "compiled")
    options = ["-X", f"pycache_prefix={prefix}"] if how == "option" else []
    env = {} if options else {"PYTHONPYCACHEPREFIX": prefix}
    for _ in range(2):
        compiling.roar("run", "python", *options, "t.py", env=env)
        assert names(compiling.job()["inputs"]) == ["p/u.py", "t.py"]
    assert not (compiling.root / "p" / "__pycache__").exists()


@pytest.mark.parametrize("mode", ["full", "preload"])
def test_a_time_that_64_bits_of_nanoseconds_do_not_hold(desk, mode):
    """They end in the year 2262; file systems go on for two hundred years or more."""
    late = 13_570_000_000
    desk.write("a", "1\n")
    os.utime(desk.root / "a", (late, late))
    desk.init()
    desk.roar("run", "-q", "sh", "-c", f"cat a > o; touch -d @{late} o", env={"ROAR_TRACER_MODE": mode})
    job = desk.job()
    assert [use["digest"] for use in (*job["inputs"], *job["outputs"])] == [digest("1\n")] * 2
    assert desk.json("status")["outputs"][0]["state"] == "fresh"
    desk.roar("run", "-q", "sh", "-c", "cat o > p")
    os.utime(desk.root / "p", (late, late))
    assert {one["state"] for one in desk.json("status")["outputs"]} == {"fresh"}


def test_a_compiled_source_outside_any_repository_is_an_input(compiling):
    compiling.write("t.py", "import conf\nopen('o', 'w').write(str(conf.LR))\n")
    compiling.write("conf.py", "LR = 1\n")
    for _ in range(2):
        compiling.roar("run", "python", "t.py")
        assert names(compiling.job()["inputs"]) == ["conf.py", "t.py"]
    compiling.write("conf.py", "LR = 22\n")
    assert "its input conf.py has changed since" in compiling.roar("status").stdout


def test_a_source_that_changes_after_the_start_is_an_input(desk):
    desk.write("lib.py", "Y = 1\n")
    desk.write("t.py", "import os, time\nopen('begun', 'w').close()\nwhile os.path.exists('begun'): time.sleep(0.01)\n"
                       "import lib\n")
    desk.init()
    process = subprocess.Popen([*desk.program, "run", "python", "t.py"], cwd=desk.root, env=desk.env)
    while not (desk.root / "begun").exists():
        assert process.poll() is None
    desk.write("lib.py", "Y = 222\n")
    (desk.root / "begun").unlink()
    assert process.wait(60) == 0
    assert [(use["path"], use["digest"]) for use in desk.job()["inputs"]] == [("lib.py", digest("Y = 222\n"))]


@pytest.mark.parametrize("after", ["git add u.py", "git add u.py && git commit -qm 2"])
@pytest.mark.parametrize("staged", [False, True])
def test_a_source_that_the_job_commits_itself_is_in_the_patch_once(desk, after, staged):
    desk.write("t.py", "import u\n")
    desk.init()
    desk.write("u.py", "Y = 'untracked at the start'\n")
    if staged:
        desk.git("add", "u.py")
    desk.git("config", "user.name", "a")
    desk.git("config", "user.email", "a@b")
    desk.roar("run", "sh", "-c", f"python t.py && {after}")
    git = desk.job()["git"]
    assert (git["dirty"], bool(git["patch"])) == (True, True)
    database = open_database(desk.root / ".roar" / "roar.db")
    assert load_blob(database, git["patch"]).count(b"+Y = 'untracked at the start'") == 1
    database.close()


def test_sources_that_are_staged_are_in_the_patch_once(desk, tmp_path):
    desk.write("t.py", "import empty, café, with_text\nopen('o.out', 'w').write('x')\n")
    desk.write(".gitignore", "*.out\n__pycache__/\n.roar/\n")
    desk.init()
    for name, text in (("empty.py", ""), ("café.py", "X = 1\n"), ("with_text.py", "Y = 1\n")):
        desk.write(name, text)
    desk.git("add", ".")
    desk.roar("run", "python", "t.py")
    database = open_database(desk.root / ".roar" / "roar.db")
    assert load_blob(database, desk.job()["git"]["patch"]).count(b"diff --git") == 3
    database.close()
    done = desk.roar("reproduce", "o.out", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_a_source_that_is_gone_is_an_input(desk):
    desk.init()
    desk.write("new.py", "print(1)\n")
    desk.write("moved.py", "print(2)\n")
    desk.roar("run", "sh", "-c", "python new.py; rm new.py; python moved.py; mv moved.py old.py")
    job = desk.job()
    assert {use["path"]: use["digest"] for use in job["inputs"]} == {"new.py": None, "moved.py": digest("print(2)\n")}
    assert names(job["outputs"]) == ["old.py"]


def test_packages_that_are_one_file_are_known_when_they_are_compiled(desk):
    site = desk.root / "site-packages"
    for name in ("one", "two"):
        desk.write(f"site-packages/{name}.py", "")
    desk.write("site-packages/one-1.5.dist-info/RECORD", "one.py,,\n")
    desk.write("site-packages/two-1.5-py3.11.egg-info/top_level.txt", "two\n")
    desk.env.pop("PYTHONDONTWRITEBYTECODE", None)
    for _ in range(2):
        desk.python("import one, two", env={"PYTHONPATH": os.fspath(site)})
        packages = {package["name"]: package["version"] for package in desk.job()["python"]["packages"]}
        assert (packages["one"], packages["two"]) == ("1.5", "1.5")


def test_a_module_that_no_metadata_name_is_known_by_its_content(desk):
    for name in ("named", "listed", "_virtualenv", "unused"):
        desk.write(f"site-packages/{name}.py", "")
    desk.write("site-packages/part/lib.py", "K = 1\n")
    desk.write("site-packages/named-1.5.dist-info/RECORD", "named.py,,\nlisted.py,,\n")
    desk.write("site-packages/named-1.5.dist-info/top_level.txt", "named\n")
    jobs = []
    for value in (1, 1, 22):
        desk.write("site-packages/part/lib.py", f"K = {value}\n")
        desk.python("import named, listed, _virtualenv, part.lib", env={"PYTHONPATH": "site-packages"})
        jobs.append(desk.job())
    versions = [dict(one.values() for one in job["python"]["packages"]) for job in jobs]
    assert [found.keys() & {"named", "listed", "_virtualenv", "unused", "part"} for found in versions] == (
        [{"named", "part"}] * 3)
    assert versions[0]["part"] == versions[1]["part"] != versions[2]["part"]
    assert all(found["part"].startswith("blake3:") for found in versions)
    changes = desk.json("diff", jobs[1]["uid"], jobs[2]["uid"])["packages"]
    assert [change["name"] for change in changes] == ["part"]
    assert ", without a version: part: roar show " in desk.roar("show").stdout
    told = json.loads(desk.roar("status", "--checklist", "--json", status=None).stdout)["checklist"]
    item = next(item for item in told if item["title"] == "the environment is known")
    assert (item["passed"], item["problems"]) == (
        None, ["@1 imported modules that no installed package names, without a version: part"])


def test_a_module_without_metadata_that_is_not_there_any_more_has_no_digest(desk):
    desk.write("site-packages/part.py", "K = 1\n")
    desk.python("import part; open('site-packages/part.py', 'w').write('K = 22')", env={"PYTHONPATH": "site-packages"})
    assert ("part", "blake3:?") in packages(desk)
    desk.python("import part, shutil; shutil.rmtree('site-packages')", env={"PYTHONPATH": "site-packages"})
    assert "part" not in dict(packages(desk))


def packages(desk):
    return sorted((package["name"], package["version"]) for package in desk.job()["python"]["packages"]
                  if package["name"] not in {"pip", "setuptools"})


@pytest.fixture
def environment(tmp_path, made_once):
    """A virtual environment with what pip needs to build packages, which it would fetch anew for each of them."""
    def make(folder):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", "setuptools>=77"], check=True)

    return shutil.copytree(made_once("environment", make), tmp_path / "env", symlinks=True)


PIP_INSTALL = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation")


@pytest.mark.parametrize("layout", ["src", "named otherwise", "mapped", "by a symlink"])
def test_what_is_installed_as_a_link_to_its_sources(desk, tmp_path, environment, layout):
    """By pip itself: `pip install -e`."""
    desk.init()
    module = "other" if layout == "named otherwise" else "part_one"
    for name in (module, "unused"):
        folder = tmp_path / "libs" / name
        inside = folder / ("src" if layout == "src" else "code/here" if layout == "mapped" else ".") / (
            "" if layout == "mapped" else name)
        inside.mkdir(parents=True)
        (inside / "__init__.py").write_text("x = 1\n")
        project = "part-one" if name == module else name
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{project}"\nversion = "1.2"\n[build-system]\nrequires = ["setuptools>=77"]\n'
            'build-backend = "setuptools.build_meta"\n' + (
                f'[tool.setuptools]\npackages = ["{name}"]\npackage-dir = {{{name} = "code/here"}}\n'
                if layout == "mapped" else ""))
    (tmp_path / "link").symlink_to("libs")
    place = tmp_path / ("link" if layout == "by a symlink" else "libs")
    python = f"{environment}/bin/python"
    subprocess.run([python, *PIP_INSTALL, *(word for name in (module, "unused") for word in ("-e", place / name))],
                   check=True)
    for _ in range(2):
        desk.roar("run", python, "-c", f"import {module}")
        assert packages(desk) == [("part-one", "1.2")]
    desk.roar("run", python, "-c", "import json")
    assert packages(desk) == []


def test_a_link_of_older_installations(desk, tmp_path):
    for name in ("used", "unused"):
        (tmp_path / f"{name}.egg-info").mkdir()
        (tmp_path / f"{name}.egg-info/PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3\n")
        (tmp_path / f"{name}.egg-info/top_level.txt").write_text(f"{name}\n")
        (tmp_path / f"{name}.py").write_text("")
        desk.write(f"site-packages/{name}.egg-link", f"{tmp_path}\n.")
    desk.write("site-packages/easy-install.pth", f"{tmp_path}\n")
    desk.python("import site; site.addsitedir('site-packages'); import used")
    assert [name for name in packages(desk) if name[0].endswith("used")] == [("used", "0.3")]


@pytest.mark.parametrize("committed", [False, True])
def test_packages_installed_in_a_folder_of_the_project(desk, tmp_path, environment, committed):
    """By pip itself: `pip install --target`."""
    for name, module in (("used-one", "used"), ("space-part", "space/part"), ("unused", "unused")):
        inside = tmp_path / name / module
        inside.mkdir(parents=True)
        (inside / "__init__.py").write_text("from . import deep\n")
        (inside / "deep.py").write_text("")
        (tmp_path / name / "pyproject.toml").write_text(
            f'[project]\nname = "{name}"\nversion = "1.2"\n[build-system]\nrequires = ["setuptools>=77"]\n'
            f'build-backend = "setuptools.build_meta"\n[tool.setuptools]\npackages = ["{module.replace("/", ".")}"]\n')
    subprocess.run([environment / "bin/python", *PIP_INSTALL, "--target", desk.root / "libs",
                    *(tmp_path / name for name in ("used-one", "space-part", "unused"))], check=True)
    desk.write("t.py", "import used, space.part\n")
    desk.env["PYTHONPATH"] = "libs"
    if committed:
        desk.init()
    for _ in range(2):
        desk.roar("run", sys.executable, "t.py")
        assert packages(desk) == [("space-part", "1.2"), ("used-one", "1.2")]


def test_the_projects_own_folders_in_a_workspace_that_is_its_environment(desk):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", desk.root], check=True)
    for name in ("lib/lookup.csv", "etc/config.yaml", "share/table.csv"):
        desk.write(name, name)
    desk.roar("run", "bin/python", "-c", "import json; open('lib/m.pt', 'w').write(''.join(open(name).read()"
                                         " for name in ('lib/lookup.csv', 'etc/config.yaml', 'share/table.csv')))")
    assert names(desk.job()["inputs"]) == ["etc/config.yaml", "lib/lookup.csv", "share/table.csv"]
    assert names(desk.job()["outputs"]) == ["lib/m.pt"]


def test_a_source_that_no_patch_would_hold_is_an_input(desk):
    desk.init()
    with (desk.root / "video.ts").open("wb") as file:
        file.truncate(17 << 20)
    desk.write("a.ts", "1")
    desk.roar("run", "sh", "-c", "head -c 9 video.ts a.ts > out")
    assert names(desk.job()["inputs"]) == ["video.ts"]


def test_what_the_settings_add_is_data_whatever_its_name(desk):
    desk.write(".gitignore", "data/\nout\n")
    desk.write("data/X_TRAIN.ts", "@data\n1,2:a\n")
    for number in range(120):
        desk.write(f"data/corpus/{number}.py", f"print({number})\n")
    desk.write("t.py", "import glob\nopen('out', 'w').write(''.join(open(name).read() for name in"
                       " ['data/X_TRAIN.ts', *glob.glob('data/corpus/*.py')]))\n")
    desk.init()
    desk.roar("config", "filters.add", "data/")
    desk.roar("run", "python", "t.py")
    job = desk.job()
    assert [(use["path"], use["files"]) for use in job["inputs"]] == [("data/", 121)]
    assert job["git"]["patch"] is None


def test_what_is_binary_is_no_source_whatever_its_name(desk):
    desk.write(".gitignore", "data/\nout\n")
    desk.write("data/model.ts", "PK\3\4\0\0code")
    desk.write("data/a.ts", "let a = 1\n")
    desk.init()
    desk.roar("run", "sh", "-c", "cat data/model.ts data/a.ts > out")
    assert names(desk.job()["inputs"]) == ["data/model.ts"]


def test_untracked_sources_that_are_too_much_for_a_patch(desk):
    desk.init()
    for number in range(19):
        desk.write(f"corpus/{number:02}.py", ("x" * 63 + "\n") * (1 << 14))
    desk.roar("run", "sh", "-c", "cat corpus/*.py | wc -c > out")
    job = desk.job()
    assert job["tracer"]["gaps"] == ["the uncommitted changes are more than 16 MB and were not kept in full"]
    database = open_database(desk.root / ".roar" / "roar.db")
    assert 16 << 20 < len(load_blob(database, job["git"]["patch"])) < 25 << 20
    database.close()


def test_an_empty_lock_is_no_input(desk):
    desk.write("uv-143188b3a77a51e8.lock", "")
    desk.write("uv.lock", "version = 1")
    desk.write("empty.csv", "")
    desk.roar("run", "sh", "-c", "cat *.lock empty.csv > out")
    assert names(desk.job()["inputs"]) == ["empty.csv", "uv.lock"]


def test_packages_that_setup_py_installed_as_eggs(desk):
    desk.write("site-packages/folder_one-0.9-py3.11.egg/folder_one/__init__.py", "")
    desk.write("site-packages/unused-0.9-py3.11.egg/unused/__init__.py", "")
    with zipfile.ZipFile(desk.root / "site-packages/zipped-1.2.post1-py3.11-linux-x86_64.egg", "w") as file:
        file.writestr("zipped.py", "")
    desk.python("import sys, glob; sys.path += [f for f in glob.glob('site-packages/*.egg') if 'unused' not in f];"
                " import folder_one, zipped")
    found = [one for one in packages(desk) if one[0] in {"folder-one", "zipped", "unused"}]
    assert found == [("folder-one", "0.9"), ("zipped", "1.2.post1")]


def test_a_package_that_the_job_itself_removes_again(desk):
    """As a test session in an environment of its own does."""
    install = "mkdir -p v/site-packages/one-1.5.dist-info; echo 1 > v/site-packages/one-1.5.dist-info/METADATA"
    desk.roar("run", "sh", "-c", f"{install}; echo > v/site-packages/one.py; PYTHONPATH=v/site-packages "
                                 f"{sys.executable} -c 'import one'; rm -r v")
    assert packages(desk) == [("one", "1.5")]


def test_two_versions_of_a_package_in_one_job(desk):
    for version in ("1.0", "2.0"):
        desk.write(f"{version}/site-packages/one.py", "")
        desk.write(f"{version}/site-packages/one-{version}.dist-info/RECORD", "one.py,,\n")
        desk.write(f"{version}.sh", f"PYTHONPATH={version}/site-packages {sys.executable} -c 'import one'\n")
    desk.roar("run", "sh", "1.0.sh")
    desk.roar("run", "sh", "-c", ". ./1.0.sh; . ./2.0.sh")
    assert packages(desk) == [("one", "1.0"), ("one", "2.0")]
    changes = desk.json("diff", "@1", "@2")["packages"]
    assert [(change["name"], change["before"], change["after"]) for change in changes] == [("one", "1.0", "1.0, 2.0")]


def test_a_workspace_within_its_virtual_environment(desk):
    desk.write("pyvenv.cfg", "home = /usr/bin\n")
    desk.write("bin/python-of-it", "")
    desk.write("data/d.csv", "1")
    desk.init()
    inputs, outputs = files(desk, "open('pyvenv.cfg'); open('bin/python-of-it');"
                                  "open('m', 'w').write(open('data/d.csv').read())")
    assert (set(inputs), set(outputs)) == ({"data/d.csv"}, {"m"})


def test_data_beside_the_parts_of_an_environment(desk):
    desk.init()
    for folder, mark in (("sub", "pyvenv.cfg"), ("conda", "conda-meta/history"), (".venv", "pyvenv.cfg")):
        desk.write(f"{folder}/{mark}", "")
        desk.write(f"{folder}/data/x.csv", "1")
        tool = f"#!/bin/sh\ncat {folder}/data/x.csv > {folder}/out.bin\n"
        desk.write(f"{folder}/bin/tool", tool, 0o755)
        desk.roar("run", f"./{folder}/bin/tool")
        job = desk.job()
        assert (names(job["inputs"]), names(job["outputs"])) == ([f"{folder}/data/x.csv"], [f"{folder}/out.bin"])


@pytest.mark.parametrize("kind", ["repository", "folder", "outside any repository"])
def test_what_is_edited_inside_a_hidden_environment_is_code(desk, kind):
    """As by `pip install -e git+URL`, which clones into `src/` there and leaves a link to it."""
    python = f"python3.{sys.version_info[1]}"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", desk.root / ".venv"], check=True)
    module = desk.write(".venv/src/part-one/src/part_one.py", "X = 1\n")
    desk.write(f".venv/lib/{python}/site-packages/__editable__.part.pth", f"{module.parent}\n")
    desk.write(".venv/share/part/rule.py", "")
    desk.write("t.py", "import part_one\nopen('.venv/share/part/rule.py')\nopen('o', 'w').write(str(part_one.X))\n")
    desk.write(".gitignore", ".venv\no\n")
    if kind == "repository":
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
            desk.git("-C", ".venv/src/part-one", *words)
    if kind != "outside any repository":
        desk.init()
    jobs = []
    for text in ("X = 1\n", "X = 22\n"):
        module.write_text(text)
        desk.roar("run", "-q", ".venv/bin/python", "-B", "t.py")
        jobs.append(desk.job())
    name = ".venv/src/part-one/src/part_one.py"
    if kind == "repository":
        found = [[(one["path"], one["kind"], one["dirty"]) for one in job["git"]["repositories"]] for job in jobs]
        assert found == [[(".venv/src/part-one", "nested", dirty)] for dirty in (False, True)]
    elif kind == "folder":
        assert all(job["git"]["patch"] for job in jobs)
        assert jobs[0]["git"]["patch"] != jobs[1]["git"]["patch"]
    else:
        inputs = [{use["path"]: use["digest"] for use in job["inputs"]} for job in jobs]
        assert [found.keys() for found in inputs] == [{name, "t.py"}] * 2
        assert [found[name] for found in inputs] == [digest("X = 1\n"), digest("X = 22\n")]


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_the_python_of_a_script_with_a_first_line_is_known(desk, mode):
    desk.write("tool", f"#!{sys.executable}\nimport blake3\n")
    (desk.root / "tool").chmod(0o755)
    desk.roar("run", "./tool", env={"ROAR_TRACER_MODE": mode})
    python = desk.job()["python"]
    assert python["version"] == ".".join(map(str, sys.version_info[:3]))
    assert "blake3" in {package["name"] for package in python["packages"]}
    assert "roar-lineage" not in {package["name"] for package in python["packages"]}


def test_outside_any_repository_a_script_is_an_input(desk):
    desk.write("a.py", "print(1)\n")
    desk.roar("run", "python", "a.py")
    assert (desk.job()["git"], names(desk.job()["inputs"])) == (None, ["a.py"])


def test_data_in_a_model_cache_is_data_and_its_locks_are_not(desk):
    hub = desk.home / ".cache" / "huggingface" / "hub" / "models--bert"
    (hub / "blobs").mkdir(parents=True)
    (hub / "blobs" / "0a1b").write_text("weights")
    (hub / "snapshots" / "r1").mkdir(parents=True)
    (hub / "snapshots" / "r1" / "model.bin").symlink_to("../../blobs/0a1b")
    (hub.parent / ".locks").mkdir()
    (hub.parent / ".locks" / "0a1b.lock").touch()
    code = (f"h = {os.fspath(hub)!r}; open(h + '/snapshots/r1/model.bin').read(); open(h + '/../.locks/0a1b.lock')")
    inputs, _ = files(desk, code)
    assert inputs == {os.fspath(hub / "blobs" / "0a1b"): digest("weights")}


@pytest.mark.parametrize(("data", "lock"), [("set/data.mdb", "set/lock.mdb"), ("set.lmdb", "set.lmdb-lock")])
def test_who_has_an_lmdb_data_set_open_is_no_lineage(desk, data, lock):
    desk.write(data, "rows")
    desk.write(lock, "")
    for _ in range(2):
        inputs, outputs = files(desk, f"f = open({lock!r}, 'r+'); f.read(); f.write('pid'); open({data!r}).read()")
        assert (inputs, outputs) == ({data: digest("rows")}, {})


def test_a_workspace_inside_what_is_plumbing_elsewhere(desk):
    for place in (desk.home / ".cache" / "project", desk.home / ".local" / "src" / "project"):
        place.mkdir(parents=True)
        desk.roar("run", "sh", "-c", "echo 1 > data.csv; cp data.csv libmodel.so", cwd=place)
        job = json.loads(desk.roar("show", "@-1", "--json", cwd=place).stdout)
        assert names(job["outputs"]) == ["data.csv", "libmodel.so"]


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_a_cache_that_a_script_has_moved(desk, tmp_path, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    hub = tmp_path / "scratch" / "hf"
    (hub / "hub/models--a/refs").mkdir(parents=True)
    for name in ("token", "hub/models--a/refs/main", "hub/models--a/model.bin"):
        (hub / name).write_text(name)
    desk.write("job.sh", f"export HF_HOME={hub}\n"
                         "cat $HF_HOME/token $HF_HOME/hub/*/refs/main $HF_HOME/hub/*/model.bin > out\n")
    desk.roar("run", "sh", "job.sh")
    job = desk.job()
    assert job["tracer"]["mode"] == mode
    assert names(job["inputs"]) == [f"{hub}/hub/models--a/model.bin", "job.sh"]


def test_a_workspace_that_is_the_home_folder_keeps_its_caches_out(desk):
    (desk.home / ".cache").mkdir()
    desk.roar("run", "sh", "-c", "echo 1 > .cache/x; echo 1 > y", cwd=desk.home)
    assert names(json.loads(desk.roar("show", "@-1", "--json", cwd=desk.home).stdout)["outputs"]) == ["y"]


def test_source_that_a_job_generated_is_an_input(desk):
    desk.init()
    desk.roar("run", "sh", "-c", "echo 'print(5)' > made.py")
    desk.roar("run", "python", "made.py")
    assert names(desk.job()["inputs"]) == ["made.py"]


def test_where_git_does_not_answer_scripts_are_inputs_and_the_job_says_so(desk):
    desk.write("a.py", "print(1)\n")
    desk.init()
    (desk.root / ".git" / "HEAD").write_text("nonsense\n")
    desk.roar("run", "python", "a.py")
    job = desk.job()
    assert (job["git"], names(job["inputs"])) == (None, ["a.py"])
    assert "the code's version: git says: not a git repository" in " ".join(job["tracer"]["gaps"])


def test_the_files_of_a_submodule_are_not_additions(desk):
    source = desk.tmp / "source"
    source.mkdir()
    (source / "s.py").write_text("print(1)\n")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run([*git, *command], cwd=source, env=desk.env, check=True)
    desk.init()
    desk.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source), "sub")
    desk.git("commit", "-qm", "sub")
    desk.roar("run", "python", "sub/s.py")
    assert (desk.job()["git"]["dirty"], desk.job()["git"]["patch"]) == (False, None)


def uses(job, direction):
    return {use["path"]: use["digest"] for use in job[direction]}


def test_a_folder_that_a_job_renames_is_recorded_file_by_file(desk):
    for name in ("a", "b/c", "d"):
        desk.write(f"old/{name}", name)
    (desk.root / "old" / "link").symlink_to("a")
    desk.write("keep/x", "x")
    desk.roar("run", "mv", "old", "new")
    job = desk.job()
    assert set(uses(job, "inputs")) == {"old/a", "old/b/c", "old/d"}
    assert {f"old/{path[4:]}": digest for path, digest in uses(job, "outputs").items()} == uses(job, "inputs")
    assert None not in uses(job, "inputs").values()
    assert desk.roar("status").stdout.endswith("\n3 outputs up to date\n")
    assert "stale" not in desk.roar("status").stdout
    desk.roar("run", "cat", "new/b/c")
    assert [hop["uid"] for hop in desk.json("lineage", "@2")["jobs"]].count(job["uid"]) == 1


def test_what_a_job_reads_in_a_folder_that_it_renamed_came_from_the_old_one(desk):
    for name in ("a", "b", "later"):
        desk.write(f"old/{name}", name)
    desk.python("import os; open('old/a').read(); os.rename('old', 'mid'); open('mid/b').read();"
                " open('mid/mine', 'w').write('mine'); os.makedirs('far'); os.rename('mid', 'far/new');"
                " open('far/new/later', 'a').write('!'); open('made', 'w').write('x')")
    job = desk.job()
    assert {path.partition("/")[0] for path in uses(job, "inputs")} <= {"old", "mid", "far"}
    assert {"old/a", "old/b"} <= set(uses(job, "inputs"))
    assert set(uses(job, "outputs")) == {"far/new/a", "far/new/b", "far/new/later", "far/new/mine", "made"}


def test_an_empty_folder_that_is_renamed_is_no_file(desk):
    (desk.root / "old").mkdir()
    desk.roar("run", "mv", "old", "new")
    assert (desk.job()["inputs"], desk.job()["outputs"]) == ([], [])


def test_a_large_folder_that_is_renamed_is_a_dataset_under_both_names(desk):
    for number in range(150):
        desk.write(f"old/{number}", str(number))
    desk.roar("run", "mv", "old", "new")
    [before], [after] = desk.job()["inputs"], desk.job()["outputs"]
    assert (before["path"], after["path"], before["files"]) == ("old/", "new/", 150)
    assert before["digest"] == after["digest"]


def test_folders_that_change_places_twice_are_told_apart(desk):
    desk.write("one/a", "1")
    desk.write("two/a", "2")
    desk.roar("run", "sh", "-c", "mv one tmp; mv two one; mv tmp two")
    job = desk.job()
    assert set(uses(job, "outputs")) == {"one/a", "two/a"}
    assert set(uses(job, "inputs").values()) == set(uses(job, "outputs").values())


@pytest.mark.parametrize("mode", ["full", "seccomp"])
@pytest.mark.parametrize("name", ["a (deleted)", "#12 (deleted)"])
@pytest.mark.parametrize("command", ["mv", "ln"])
def test_a_name_that_ends_as_that_of_a_nameless_file(desk, command, name, mode):
    desk.write(name, "1\n")
    desk.init()
    desk.roar("run", "-q", command, name, "b", env={"ROAR_TRACER_MODE": mode})
    assert [use["path"] for use in desk.job()["inputs"]] == [name]
    assert [use["path"] for use in desk.job()["outputs"]] == ["b"]


@pytest.mark.parametrize("mode", ["full", "preload"])
@pytest.mark.parametrize(("command", "inputs"), [
    ("echo 2 >> a; cat more/b > o", {"a": "1\n"}), ("cat more/b > o; echo 2 >> a", {"a": "1\n", "more/b": "1\n"}),
    ("echo 2 > a; cat more/b more/c > o", {"more/c": "c\n"})])
def test_what_was_written_by_another_name_of_the_file_is_no_input(desk, mode, command, inputs):
    for name, text in (("a", "1\n"), ("more/c", "c\n")):
        desk.write(name, text)
    os.link(desk.root / "a", desk.root / "more" / "b")
    desk.init()
    desk.roar("run", "-q", "sh", "-c", "cat a more/b > /dev/null")  # the digests are known
    desk.roar("run", "-q", "sh", "-c", command, env={"ROAR_TRACER_MODE": mode})
    assert {use["path"]: use["digest"] for use in desk.job()["inputs"]} == {
        name: digest(text) for name, text in inputs.items()}


def test_folders_that_are_exchanged_in_one_step(desk):
    """As what is published in the place of an earlier version, which is then removed."""
    exchange = "import ctypes; assert not ctypes.CDLL(None).renameat2(-100, b'live', -100, b'next', 2)\n"
    desk.write("live/a", "1")
    desk.write("next/a", "2")
    desk.write("next/b", "3")
    desk.python(exchange + "open('out', 'w').write(open('live/a').read())")
    job = desk.job()
    assert uses(job, "inputs") == {"live/a": digest("1"), "next/a": digest("2"), "next/b": digest("3")}
    assert uses(job, "outputs") == {"live/a": digest("2"), "live/b": digest("3"), "next/a": digest("1"),
                                    "out": digest("2")}
    assert "temporary" not in desk.roar("show", "@1", "--all").stdout
    desk.python("import os, shutil; [os.mkdir(name) for name in ('old', 'new')]; open('new/x', 'w').write('x')\n"
                + exchange.replace("live", "old").replace("next", "new") + "shutil.rmtree('new')")
    assert (uses(desk.job(), "inputs"), uses(desk.job(), "outputs")) == ({}, {"old/x": digest("x")})


def test_what_came_to_the_name_of_an_output_with_a_folder_was_an_input(desk):
    desk.write("one/a", "1")
    desk.write("two/b", "2")
    desk.roar("run", "sh", "-c", "echo x > two/a; mv two three; mv one two")
    assert uses(desk.job(), "inputs") == {"one/a": digest("1"), "two/b": digest("2")}
    assert uses(desk.job(), "outputs") == {"two/a": digest("1"), "three/a": digest("x\n"), "three/b": digest("2")}


def test_a_file_written_by_a_link_after_its_folder_moved_away_and_back(desk):
    for name in ("e/over", "e/more"):
        desk.write(name, "1")
        (desk.root / name[2:]).symlink_to(name)
    desk.python("import os; os.rename('e', 'g'); os.rename('g', 'e'); open('over', 'w').write('2');"
                " open('more', 'a').write('2')")
    assert set(uses(desk.job(), "inputs")) == {"e/more"}
    assert uses(desk.job(), "outputs") == {"e/over": digest("2"), "e/more": digest("12")}


WAITING = """import os, time
text = open('cfg').read()
open('begun', 'w').close()
while not os.path.exists('go'):
    time.sleep(0.02)
open('model', 'w').write(text)
"""


def changed_meanwhile(desk, change):
    """The job of a command whose input is changed by `change` after it was read."""
    run = desk.start("run", "-q", "python", "-c", WAITING)
    until = time.monotonic() + 60
    while not (desk.root / "begun").exists() and time.monotonic() < until:
        time.sleep(0.02)
    change()
    desk.write("go", "")
    assert run.wait(60) == 0
    return desk.job()


def replace(desk, text):
    desk.write("cfg.new", text).rename(desk.root / "cfg")


@pytest.mark.parametrize("how", ["in place", "by a rename", "and committed", "removed"])
def test_what_others_change_while_a_job_runs_has_the_digest_that_its_commit_proves(desk, how):
    desk.write("cfg", "lr=1\n")
    desk.init()

    def change():
        if how == "removed":
            (desk.root / "cfg").unlink()
        elif how == "by a rename":
            replace(desk, "lr=2\n")
        else:
            desk.write("cfg", "lr=2\n")
        if how == "and committed":
            desk.git("commit", "-qam", "next")

    [use] = changed_meanwhile(desk, change)["inputs"]
    assert (use["path"], use["digest"], use.get("note")) == ("cfg", digest("lr=1\n"), None)
    reason = "its input cfg is gone" if how == "removed" else "its input cfg has changed since"
    assert [(one["state"], one["reason"]) for one in desk.json("status")["outputs"] if one["path"] == "model"] == [
        ("stale", reason)]


def test_what_git_does_not_look_at_and_is_gone_has_no_digest_of_a_commit(desk):
    desk.write("cfg", "lr=0\n")
    desk.init()
    desk.git("update-index", "--assume-unchanged", "cfg")
    desk.write("cfg", "lr=1\n")
    desk.roar("run", "-q", "sh", "-c", "cat cfg > o; rm cfg")
    assert desk.job()["inputs"][0]["digest"] is None


@pytest.mark.parametrize("why", ["dirty", "untracked", "marked", "converted", "no repository"])
def test_what_others_change_is_not_known_where_no_commit_proves_it(desk, why):
    desk.write("cfg", "lr=0\n" if why != "untracked" else "")
    if why == "converted":
        desk.write(".gitattributes", "cfg ident\n")
    if why == "untracked":
        (desk.root / "cfg").unlink()
    if why != "no repository":
        desk.init()
    if why == "marked":
        desk.git("update-index", "--assume-unchanged", "cfg")
    desk.write("cfg", "lr=1\n" if why != "converted" else "lr=0\n")
    [use] = changed_meanwhile(desk, lambda: replace(desk, "lr=2\n"))["inputs"]
    assert (use["path"], use["digest"]) == ("cfg", None)
    assert use["note"].startswith("changed after it was read")
    output = next(one for one in desk.json("status")["outputs"] if one["path"] == "model")
    assert (output["state"], output["reason"]) == ("stale", "its input cfg was changed while it ran")
    desk.roar("run", "-q", "@1")
    assert {one["state"] for one in desk.json("status")["outputs"]} == {"fresh"}


def test_what_a_job_edits_in_place_has_the_digest_that_its_commit_proves(desk):
    desk.write("table", "1\n")
    desk.init()
    time.sleep(0.02)
    desk.roar("run", "-q", "sh", "-c", "cat table > copy; echo 2 >> table")
    job = desk.job()
    assert [(use["path"], use["digest"]) for use in job["inputs"]] == [("table", digest("1\n"))]
    assert {use["path"] for use in job["outputs"]} == {"copy", "table"}


@pytest.fixture
def repointed(desk):
    """`repointed(code)`: a job of a few lines of Python, during whose pause something else turns both links to `b`."""
    for name in "ab":
        desk.write(f"runs/{name}/old", f"old {name}")
        desk.write(f"data/{name}/f", f"data {name}")
    for folder in ("runs", "data"):
        (desk.root / folder / "latest").symlink_to("a")

    def run(code):
        desk.write("job.py", f"import os, time\ndef pause():\n    open('paused', 'w').close()\n"
                             f"    while not os.path.exists('go'): time.sleep(0.01)\n{code}\n")
        desk.init()
        process = desk.start("run", sys.executable, "-B", "job.py")
        while not (desk.root / "paused").exists():
            time.sleep(0.01)
        for folder in ("runs", "data"):
            (desk.root / folder / "new").symlink_to("b")
            (desk.root / folder / "new").rename(desk.root / folder / "latest")
        time.sleep(0.05)
        desk.write("go", "")
        assert process.wait(60) == 0
        return desk.job()

    return run


LED_ELSEWHERE = "was named through a symlink that something else changed meanwhile: where it lies is not known"


def test_a_link_that_something_else_changes_after_a_file_was_named_through_it(desk, repointed):
    job = repointed("open('data/latest/f').read(); open('runs/latest/old', 'w').write('x')\n"
                    "open('runs/latest/m', 'w').write('m')\npause()")
    found = {use["path"]: (use["digest"], use.get("note")) for use in (*job["inputs"], *job["outputs"])}
    assert found.pop("paused")[0] is not None
    assert found == dict.fromkeys(("data/latest/f", "runs/latest/old", "runs/latest/m"), (None, LED_ELSEWHERE))
    assert job["tracer"]["gaps"] == ["3 files named through symlinks that something else changed meanwhile"]


def test_a_link_that_something_else_changed_before_a_file_was_named_through_it(desk, repointed):
    job = repointed("pause()\nopen('data/latest/f').read(); open('runs/latest/m', 'w').write('m')")
    assert {use["path"]: use["digest"] for use in job["inputs"]} == {"data/b/f": digest("data b")}
    assert {use["path"]: use["digest"] for use in job["outputs"] if use["path"] != "paused"} == {
        "runs/b/m": digest("m")}
    assert job["tracer"]["gaps"] == []


def test_what_was_read_is_known_by_an_earlier_record_wherever_the_link_leads_now(desk, repointed):
    desk.roar("run", "cp", "data/a/f", "copy")
    time.sleep(0.05)
    job = repointed("open('data/latest/f').read(); pause()")
    assert {use["path"]: use["digest"] for use in job["inputs"]} == {"data/latest/f": digest("data a")}


@pytest.fixture
def meanwhile(desk):
    """`meanwhile(code, *changes)`: a job in Python; during its first pause the first change is made, and so on.

    Beside it lie `runs/a`, `runs/b`, and the links `runs/latest` to the one and `runs/early` to the other.
    """
    for name in "ab":
        desk.write(f"runs/{name}/old", f"old {name}")
    (desk.root / "runs" / "latest").symlink_to("a")
    (desk.root / "runs" / "early").symlink_to("b")
    time.sleep(0.05)

    def run(code, *changes):
        desk.write("job.py", "import os, time\ndef write(path, text):\n    with open(path, 'w') as file:\n"
                             "        file.write(text)\ndef pause(number):\n    write(f'paused{number}', '')\n"
                             f"    while not os.path.exists(f'go{{number}}'): time.sleep(0.01)\n{code}\n")
        process = desk.start("run", sys.executable, "-B", "job.py")
        for number, change in enumerate(changes):
            until = time.monotonic() + 60
            while not (desk.root / f"paused{number}").exists() and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.05)
            subprocess.run(["sh", "-ec", change], cwd=desk.root, check=True)
            time.sleep(0.05)
            desk.write(f"go{number}", "")
        assert process.wait(60) == 0
        job = desk.job()
        return job, {use["path"]: (use["digest"], use.get("note")) for use in job["outputs"]
                     if not use["path"].startswith("paused")}

    return run


WRITTEN = """echo m > runs/latest/m; echo more >> runs/latest/old; echo t > runs/latest/t.tmp
mv runs/latest/t.tmp runs/latest/t; mkdir runs/latest/k.tmp; echo f > runs/latest/k.tmp/f
mv runs/latest/k.tmp runs/latest/k; sleep 0.05
"""
FOUND = {"runs/a/m": digest("m\n"), "runs/a/old": digest("old amore\n"), "runs/a/t": digest("t\n"),
         "runs/a/k/f": digest("f\n")}


@pytest.mark.parametrize("how", ["chown -R $(id -u) runs", "touch -h runs/latest", "cp -al runs backup",
                                 "ln -sfn a runs/latest", "rm runs/latest; ln -s a runs/latest", "mv runs moved"])
@pytest.mark.parametrize("observer", ["library", "supervisor"])
def test_what_a_job_does_itself_to_a_link_takes_no_digest(desk, how, observer):
    desk.write("runs/a/old", "old a")
    (desk.root / "runs" / "latest").symlink_to("a")
    time.sleep(0.05)
    desk.write("job.sh", WRITTEN + how)
    desk.roar("run", *(("env", "-u", "LD_PRELOAD") if observer == "supervisor" else ()), "sh", "job.sh")
    job = desk.job()
    found = {use["path"]: use["digest"] for use in job["outputs"] if not use["path"].startswith("backup/")}
    assert found == {path.replace("runs", "moved" if how.startswith("mv") else "runs"): known
                     for path, known in FOUND.items()}
    assert job["tracer"]["gaps"] == []


@pytest.mark.parametrize("how", ["chown -h $(id -u) runs/latest", "cp -al runs/latest backup", "ln -sfn a runs/latest",
                                 "ln -sfn b runs/latest; ln -sfn a runs/latest"])
def test_a_link_that_something_else_touches_and_that_leads_where_it_led_takes_no_digest(meanwhile, how):
    job, found = meanwhile("write('runs/latest/m', 'm'); write('runs/latest/t.tmp', 't')\n"
                           "os.replace('runs/latest/t.tmp', 'runs/latest/t'); pause(0)", how)
    assert found == {"runs/a/m": (digest("m"), None), "runs/a/t": (digest("t"), None)}
    assert job["tracer"]["gaps"] == []


def test_a_link_that_was_made_early_and_is_put_in_the_place_of_another(meanwhile):
    job, found = meanwhile("write('runs/latest/m', 'm'); write('runs/latest/t.tmp', 't')\n"
                           "os.replace('runs/latest/t.tmp', 'runs/latest/t'); pause(0)\n"
                           "os.lchown('runs/latest', os.getuid(), os.getgid())",
                           "mv -T runs/early runs/latest; echo m > runs/latest/m; echo t > runs/latest/t")
    assert found == dict.fromkeys(("runs/latest/m", "runs/latest/t"), (None, LED_ELSEWHERE))
    assert job["tracer"]["gaps"] == ["2 files named through symlinks that something else changed meanwhile"]


def test_a_link_that_is_turned_and_turned_back(meanwhile):
    job, found = meanwhile("write('runs/latest/m', 'm'); pause(0)\nwrite('runs/latest/n', 'n')\n"
                           "write('runs/latest/old', 'x'); pause(1)\nwrite('runs/latest/o', 'o')",
                           "ln -sfn b runs/latest", "ln -sfn a runs/latest; echo n > runs/a/n")
    assert found == {"runs/a/m": (digest("m"), None), "runs/a/o": (digest("o"), None),
                     "runs/latest/n": (None, LED_ELSEWHERE), "runs/latest/old": (None, LED_ELSEWHERE)}
    assert job["tracer"]["gaps"] == ["2 files named through symlinks that something else changed meanwhile"]


def test_a_link_that_something_else_turned_before_the_job_turned_it_itself(meanwhile):
    job, found = meanwhile("write('runs/latest/m', 'm'); pause(0)\nos.unlink('runs/latest')\n"
                           "os.symlink('a', 'runs/latest')", "ln -sfn b runs/latest; echo m > runs/b/m")
    assert set(found.values()) == {(None, LED_ELSEWHERE)}
    assert job["tracer"]["gaps"] == ["1 file named through symlinks that something else changed meanwhile"]


@pytest.mark.parametrize("files", ["m t", ""])
def test_a_link_that_something_else_replaces_by_a_folder(meanwhile, files):
    change = f"rm runs/latest; mkdir runs/latest; cd runs/latest; for name in {files}; do echo > $name; done"
    job, found = meanwhile("write('runs/latest/m', 'm'); write('runs/latest/t.tmp', 't')\n"
                           "os.replace('runs/latest/t.tmp', 'runs/latest/t'); pause(0)", change)
    assert found == dict.fromkeys(("runs/latest/m", "runs/latest/t"), (None, LED_ELSEWHERE))
    assert job["tracer"]["gaps"] == ["2 files named through symlinks that something else changed meanwhile"]


def test_a_link_that_something_else_replaces_by_a_file(desk, meanwhile):
    (desk.root / "model").symlink_to("runs/a/old")
    job, found = meanwhile("write('model', 'm'); pause(0)", "rm model; echo x > model")
    assert found == {"model": (None, LED_ELSEWHERE)}
    assert job["tracer"]["gaps"] == ["1 file named through symlinks that something else changed meanwhile"]


def test_what_is_written_to_a_folder_that_something_else_put_in_the_place_of_a_link(meanwhile):
    job, found = meanwhile("pause(0)\nwrite('runs/latest/m', 'm')", "rm runs/latest; mkdir runs/latest")
    assert found == {"runs/latest/m": (digest("m"), None)}
    assert job["tracer"]["gaps"] == []


def test_a_commit_does_not_tell_what_was_read_while_another_file_lay_there(desk):
    """As in a container that has another folder at that place; here two folders change places and back again."""
    desk.write("one/f", "1")
    desk.write("two/f", "2")
    desk.init()
    for words in (("one", "x"), ("two", "one"), ("x", "two")):
        os.rename(desk.root / words[0], desk.root / words[1])
    swap = "mv one x && mv two one && mv x two"
    (desk.root / "swap.sh").write_text(f"until [ -s out ]; do sleep 0.01; done; {swap}; mkdir swapped")
    outside = subprocess.Popen(["sh", "swap.sh"], cwd=desk.root)
    desk.roar("run", "sh", "-c", "cat one/f > out; until [ -d swapped ]; do sleep 0.01; done")
    outside.wait()
    assert (desk.root / "out").read_text() == "2"
    assert {use["path"]: use["digest"] for use in desk.job()["inputs"]} == {"one/f": None}


@pytest.mark.parametrize("committed", [False, True])
def test_a_commit_does_not_tell_what_was_read_in_a_folder_that_was_moved_there(desk, committed):
    desk.write("data/sub/f", "AAAA")
    desk.write(".gitignore", "new\nold\n")
    desk.init()
    desk.write("new/sub/f", "BBBB")
    time.sleep(0.05)
    then = "git -c user.name=a -c user.email=a@b commit -qam next" if committed else "true"
    swap = f"mv data old && mv new data && {then}"
    desk.write("swap.sh", f"until [ -e begun ]; do sleep 0.01; done; {swap}; mkdir swapped")
    outside = subprocess.Popen(["sh", "swap.sh"], cwd=desk.root, env=desk.env)
    desk.roar("run", "sh", "-c", "touch begun; until [ -d swapped ]; do sleep 0.01; done; "
                                 "cat data/sub/f > out; echo C > data/sub/f")
    assert outside.wait(60) == 0
    assert (desk.root / "out").read_text() == "BBBB"
    [use] = desk.job()["inputs"]
    assert (use["path"], use["digest"]) == ("data/sub/f", None)
    assert use["note"].startswith("was changed by this job after it was read")


@pytest.mark.parametrize("change", ["rm -r data", "echo 2 >> data/sub/[f]", "mv data/sub data/x; rm data/x/*",
                                    "echo 2 > data/sub/[f]; git -c user.name=a -c user.email=a@b commit -qam next"])
def test_what_a_job_changes_in_a_folder_has_the_digest_that_its_commit_proves(desk, change):
    desk.write("data/sub/[f]", "1\n")
    desk.init()
    time.sleep(0.05)
    desk.roar("run", "-q", "sh", "-c", f"cat data/sub/* > copy; {change}")
    assert [(use["path"], use["digest"]) for use in desk.job()["inputs"]] == [("data/sub/[f]", digest("1\n"))]


@pytest.mark.parametrize("named", ["data/x", "folder/x"])
def test_what_a_symlink_in_the_workspace_leads_to_in_a_cache_is_data(desk, named):
    """As DVC has it with a cache in the home folder."""
    place = desk.home / ".cache" / "dvc" / "files" / "ab"
    place.mkdir(parents=True)
    (place / "x").write_text("x")
    (desk.root / "data").mkdir()
    (desk.root / "data" / "x").symlink_to(place / "x")
    (desk.root / "folder").symlink_to(place)
    desk.init()
    desk.roar("run", "-q", "cp", named, "out")
    assert [(use["path"], use["digest"]) for use in desk.job()["inputs"]] == [(str(place / "x"), digest("x"))]
    desk.roar("run", "-q", "cp", str(place / "x"), "other")
    assert desk.job()["inputs"] == []
