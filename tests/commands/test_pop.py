"""`roar pop --delete-outputs`: what it must not delete."""

import json
import os
import subprocess
import sys
import time

import pytest

from roar.query.birth import born_at

MANY = "for i in $(seq {}); do echo $i > {}/$i; done"


def popped(desk, **more):
    """How many files went with the last job."""
    before = {os.path.join(place, name) for place, _, names in os.walk(desk.tmp.parent) for name in names}
    deleted = desk.roar("pop", "--delete-outputs", **more).stdout.count("\ndeleted ")
    assert deleted == sum(not os.path.lexists(path) for path in before if "/.roar/" not in path)
    return deleted


@pytest.mark.parametrize("command", [
    "mv data.csv raw/data.csv",
    f"{sys.executable} -c \"import shutil; shutil.move('data.csv', 'raw')\"",
    "sed -i.bak s/p/q/ data.csv",
    "gzip data.csv",
    "mv set other",
    "mkdir all; mv set/* data.csv all/",
    "cp -r set other; rm -r set",
    "cp set/7 seven; rm set/7",
])
def test_the_last_copy_of_what_the_job_read_stays(desk, command):
    for folder in ("raw", "set"):
        (desk.root / folder).mkdir()
    desk.write("data.csv", "precious\n")
    subprocess.run(["sh", "-c", MANY.format(150, "set")], cwd=desk.root, check=True)
    desk.roar("run", "sh", "-c", command)
    assert popped(desk) == 0


@pytest.mark.parametrize("command", ["mv g.py h.py", "mv pkg other", "cp g.py h.py; rm g.py",
                                     f"{sys.executable} g.py > o; mv g.py h.py"])
@pytest.mark.parametrize("tracked", [True, False])
def test_code_that_the_job_moved_stays(desk, command, tracked):
    desk.write("pkg/g.py", "print(1)\n")
    desk.write("g.py", "print(1)\n")
    desk.init()
    desk.write("g.py" if tracked else "new.py", "print(2)\n")
    desk.write("pkg/g.py", "print(2)\n")
    desk.roar("run", "sh", "-c", command if tracked else command.replace("g.py", "new.py"))
    code = set(desk.root.rglob("*.py"))
    assert popped(desk) == ("> o" in command)
    assert code == set(desk.root.rglob("*.py"))


@pytest.mark.parametrize("command", ["echo same > cfg", "printf 'same\\n' | dd of=cfg conv=notrunc status=none"])
def test_a_file_that_stood_there_before_with_the_same_content_stays(desk, command):
    desk.write("cfg", "same\n")
    if born_at(str(desk.root / "cfg")) is None:
        pytest.skip("the file system does not tell when a file was made")
    time.sleep(0.1)
    desk.roar("run", "sh", "-c", f"{command}; echo new > new")
    assert {use["path"] for use in desk.job()["outputs"]} == {"cfg", "new"}
    assert popped(desk) == 1
    assert (desk.root / "cfg").read_text() == "same\n"


def test_what_an_earlier_job_had_made_goes_with_the_job_that_wrote_it_anew(desk):
    for word in ("one", "two"):
        time.sleep(0.1)
        many = MANY.format(150, "d").replace("$i >", f"{word}$i >")
        desk.roar("run", "sh", "-c", f"echo {word} > out; mkdir -p d; {many}")
    assert popped(desk) == 151


def test_a_copy_goes_as_long_as_the_content_lies_elsewhere(desk):
    desk.write("data", "d")
    copies = "cp data a; cp data b; echo c > c"
    desk.roar("run", "sh", "-c", copies)
    assert popped(desk) == 3
    desk.roar("run", "sh", "-c", copies)
    desk.write("data", "edited")
    assert popped(desk) == 1
    assert not (desk.root / "c").exists()


def test_files_in_another_job_s_dataset_stay(desk):
    (desk.root / "out").mkdir()
    desk.roar("run", "sh", "-c", MANY.format(200, "out"))
    desk.roar("run", "sh", "-c", "echo 5 > out/5")
    assert popped(desk) == 0
    desk.roar("run", "sh", "-c", MANY.format("100 300", "out"))
    assert popped(desk) == 100
    assert "1 output up to date" in desk.roar("status").stdout
    shards = "for i in 1 2 3; do echo $i > m-0000$i-of-00003.bin; done"
    desk.roar("run", "sh", "-c", shards)
    desk.roar("run", "sh", "-c", "echo 2 > m-00002-of-00003.bin")
    assert popped(desk) == 0


def test_a_member_of_a_dataset_that_the_job_read_and_wrote_stays(desk):
    (desk.root / "set").mkdir()
    subprocess.run(["sh", "-c", MANY.format(150, "set")], cwd=desk.root, check=True)
    desk.roar("run", "sh", "-c", "cat set/* > sum; cp sum set/5")
    assert popped(desk) == 1
    assert (desk.root / "set" / "5").exists()


def test_what_was_in_a_folder_that_the_job_changed_before_it_was_known_stays(desk):
    (desk.root / "set").mkdir()
    subprocess.run(["sh", "-c", MANY.format(150, "set")], cwd=desk.root, check=True)
    desk.write("copy", "5!\n")
    desk.roar("run", "sh", "-c", "for f in set/*; do echo $(cat $f)! > new; mv new $f; done")
    assert desk.job()["inputs"][0]["digest"] is None
    desk.roar("run", "sh", "-c", "cat copy > /dev/null")
    desk.roar("pop")
    assert popped(desk) == 0
    assert len(os.listdir(desk.root / "set")) == 150


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_INDEX_FILE"])
def test_git_is_asked_for_the_repository_of_the_file(desk, name):
    """A hook, or `git rebase --exec`, runs with the variables of another one."""
    desk.write("tracked", "t")
    desk.init()
    desk.git("init", "-q", str(desk.tmp / "other"))
    desk.roar("run", "sh", "-c", "echo changed > tracked")
    place = desk.tmp / "other" / ".git" / ("" if name == "GIT_DIR" else "index")
    assert popped(desk, env={name: str(place)}) == 0


def test_nothing_is_deleted_through_a_symlink(desk):
    desk.roar("run", "sh", "-c", "mkdir out; echo x > out/a")
    (desk.root / "out").rename(desk.tmp / "kept")
    (desk.root / "out").symlink_to(desk.tmp / "kept")
    assert popped(desk) == 0


def test_what_get_found_stays(desk):
    store = desk.tmp / "store"
    for folder, names in ((store, "abc"), (desk.root / "store", "a")):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
    desk.roar("get", f"file://{store}")
    assert {use["path"]: use.get("note") for use in desk.job()["outputs"]} == {
        "store/a": "was there already, and was not fetched", "store/b": None, "store/c": None}
    assert popped(desk) == 2
    assert (desk.root / "store" / "a").exists()


def test_nothing_is_deleted_while_a_job_runs_that_may_read_it(desk):
    desk.roar("run", "sh", "-c", "echo data > data")
    first = desk.job()["uid"]
    desk.roar("run", "sh", "-c", "echo more > more")
    last = desk.job()["uid"]
    with desk.start("run", "-q", "sh", "-c", "echo > there; read line; cat more", stdin=subprocess.PIPE) as running:
        deadline = time.monotonic() + 60
        while not (desk.root / "there").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        uid = desk.json("status")["running"][0]["job"][:8]
        told = f"Job {uid} (sh -c 'echo > there; read line; cat more') still runs"
        refused = desk.roar("pop", "--delete-outputs", status=1).stderr
        assert refused.startswith(f"roar: {told} and may read what @2 wrote: nothing is deleted or forgotten")
        assert "  try: roar pop" in refused
        assert (desk.job()["uid"], (desk.root / "more").exists()) == (last, True)
        done = desk.roar("pop", "--json")
        assert json.loads(done.stdout) == {"popped": last, "deleted": [], "kept": ["more"]}
        assert done.stderr == (f"roar: {told}: it is not recorded yet, and stays."
                               " Forgotten is the last job before it.\n")
        running.communicate(b"go\n", timeout=60)
    assert desk.json("log")["jobs"][1]["uid"] == first
    assert desk.json("pop", "--delete-outputs")["deleted"] == ["there"]


def test_what_was_left_in_place_is_in_the_json(desk):
    desk.write("kept", "by hand\n")
    desk.roar("run", "sh", "-c", "echo a >> kept; echo b > gone; echo c > new")
    (desk.root / "gone").unlink()
    found = desk.json("pop", "--delete-outputs")
    assert (found["deleted"], found["kept"]) == (["new"], ["kept"])


def test_several_at_once_forget_each_job_once(desk):
    desk.init()
    for number in range(6):
        desk.roar("run", "-q", "touch", f"f{number}")
    running = [subprocess.Popen([sys.executable, "-m", "roar", "pop", "--json"], cwd=desk.root, env=desk.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    answers = [(process.communicate(), process.returncode) for process in running]
    popped = [json.loads(out)["popped"] for (out, _), status in answers if status == 0]
    assert len(set(popped)) == len(popped)
    assert len(desk.json("log")["jobs"]) == 6 - len(popped)
    for (_, error), status in answers:
        assert status == 0 or error.startswith(("roar: Another roar pop has just forgotten",
                                                "roar: This session has no")), error
