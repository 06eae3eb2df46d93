"""Making recorded things again, for real."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zlib

import pytest
from blake3 import blake3

from roar.query.protection import can_protect

PREPARE = "open('mid.txt', 'w').write(open('raw.txt').read().upper())\n"
TRAIN = "import sys\nopen('model.txt', 'w').write(open('mid.txt').read() * int(sys.argv[1]))\n"


@pytest.fixture
def trained(desk):
    desk.write("prepare.py", PREPARE)
    desk.write("train.py", TRAIN)
    desk.write(".gitignore", "*.txt\n")
    desk.init()
    desk.write("raw.txt", "data")
    desk.roar("run", "python", "prepare.py")
    desk.write("train.py", TRAIN + "# not committed\n")
    desk.roar("run", "python", "train.py", "3")
    return desk


def test_the_plan_names_code_inputs_and_commands(trained):
    said = trained.roar("reproduce", "model.txt").stdout
    assert "2 jobs to run again" in said
    assert "raw.txt" in said
    assert f"git checkout {trained.git('rev-parse', 'HEAD')[:12]}\n" in said
    assert "then the recorded patch" in said
    assert said.index("python prepare.py") < said.index("python train.py 3")
    plan = trained.json("reproduce", "model.txt")
    assert [job["command"][1] for job in plan["jobs"]] == ["prepare.py", "train.py"]
    assert [root["path"] for root in plan["roots"]] == ["raw.txt"]


def test_the_plan_asks_only_for_inputs_that_git_does_not_bring(desk):
    desk.write("join.py", "print(*(open(f).read() for f in ('a.csv', 'b.csv', 'c.csv', 'parts/x', 'parts/y')),"
                          " file=open('all.out', 'w'))\n")
    for name in ("a.csv", "b.csv", "parts/x", "parts/y"):
        desk.write(name, name)
    desk.write(".gitignore", "c.csv\n*.out\n")
    desk.init()
    desk.write("b.csv", "changed, and in the patch")
    desk.write("c.csv", "not in git")
    desk.roar("run", "python", "join.py")
    before, _, brought = desk.roar("reproduce", "all.out").stdout.partition("git brings these inputs\n")
    assert re.findall(r"\S+$", before.partition("in place\n")[2], re.MULTILINE) == ["c.csv"]
    assert re.findall(r"[0-9a-f]{12} .* (\S+)$", brought, re.MULTILINE) == ["a.csv", "b.csv", "parts/x", "parts/y"]
    assert desk.json("reproduce", "all.out")["from_commits"] == ["a.csv", "b.csv", "parts/x", "parts/y"]
    desk.write("a.csv", "changed since: the commit still has it")
    assert "a.csv" in desk.json("reproduce", "all.out")["from_commits"]


def test_a_file_that_was_read_with_two_contents_is_brought_only_if_both_are(desk):
    desk.write("use.py", "import sys\nopen(sys.argv[1], 'w').write(open(' data.csv').read())\n")
    desk.write(" data.csv", "first")
    desk.write(".gitignore", "*.out\n")
    desk.init()
    desk.roar("run", "python", "use.py", "1.out")
    assert desk.json("reproduce", "@")["from_commits"] == [" data.csv"]
    desk.git("rm", "-q", "--cached", " data.csv")
    desk.git("commit", "-q", "-m", "it is ours alone from now on")
    desk.write(" data.csv", "second, and not committed")
    desk.roar("run", "python", "use.py", "2.out")
    assert len(desk.json("reproduce", "@")["roots"]) == 2
    assert desk.json("reproduce", "@")["from_commits"] == []
    assert "git brings" not in desk.roar("reproduce", "@").stdout


def test_data_in_the_uncommitted_changes_comes_with_them(desk, tmp_path):
    desk.write("use.py", "import sys\nopen(sys.argv[1], 'w').write(open('lr.yaml').read())\n")
    desk.write("lr.yaml", "lr: 1")
    desk.write(".gitignore", "*.out\n")
    desk.init()
    desk.write("lr.yaml", "lr: 2")
    desk.roar("run", "python", "use.py", "1.out")
    desk.write("lr.yaml", "lr: 3")
    assert desk.json("reproduce", "1.out")["from_commits"] == ["lr.yaml"]
    assert "lr.yaml has no known source" not in desk.roar("status", "--checklist", status=None).stdout
    done = desk.roar("reproduce", "1.out", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_without_git_nothing_is_made_again(trained, tmp_path):
    done = trained.roar("reproduce", "model.txt", "--run", "--into", str(tmp_path / "again"), status=1,
                        env={"PATH": "/nonexistent"})
    assert done.stderr == "roar: git cannot be started: No such file or directory.\n  try: git --version\n"


def test_a_dataset_in_git_is_brought_by_the_checkout(desk):
    desk.write("count.py", "import os\nprint(sum(len(open(f'data/{n}').read()) for n in os.listdir('data')),"
                           " file=open('n.out', 'w'))\n")
    for number in range(150):
        desk.write(f"data/{number}", str(number))
    desk.write(".gitignore", "*.out\n")
    desk.init()
    desk.roar("run", "python", "count.py")
    assert [root["kind"] for root in desk.json("reproduce", "@1")["roots"]] == ["dataset"]
    assert desk.json("reproduce", "@1")["from_commits"] == ["data/"]
    desk.write("data/more", "more")
    desk.roar("run", "python", "count.py")
    assert desk.json("reproduce", "@1")["from_commits"] == []


def test_carrying_it_out_gives_the_same_digests(trained, tmp_path):
    trained.write("train.py", "raise SystemExit('changed since')\n")
    (trained.root / "model.txt").unlink()
    digest = trained.job("@2")["outputs"][0]["digest"]
    done = trained.roar("reproduce", digest[:12], "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout
    assert (tmp_path / "again" / "model.txt").read_text() == "DATADATADATA"


def test_a_command_finds_the_folder_where_it_is_made_again_in_pwd(desk, tmp_path):
    desk.write("t.py", "import os; open(os.environ['PWD'] + '/out', 'w').write(open('raw').read())")
    desk.write("raw", "data")
    desk.write(".gitignore", "out\n")
    desk.init()
    desk.roar("run", "python", "t.py", env={"PWD": str(desk.root)})
    (desk.root / "out").unlink()
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"), env={"PWD": str(desk.root)})
    assert "came out the same" in done.stdout
    assert (tmp_path / "again" / "out").read_text() == "data"
    assert not (desk.root / "out").exists()


def test_a_virtual_environment_in_the_workspace_is_used_where_it_lies(desk, tmp_path):
    if not can_protect(str(desk.root)):
        pytest.skip("no mount namespaces here: without them no environment is linked")
    desk.write("sub/train.py", "open('model.out', 'w').write('x')\n")
    desk.write(".gitignore", ".venv/\nenv\n*.out\n")
    for name in (".venv", "sub/env"):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", desk.root / name], check=True)
    desk.init()
    jobs = ["../.venv/bin/python", "env/bin/python"]
    for python in jobs:
        desk.roar("run", python, "train.py", cwd=desk.root / "sub")
    plan = desk.roar("reproduce", "@").stdout
    assert [plan.count(f"ln -sfn {desk.root}/{name} {name}\n") for name in (".venv", "sub/env")] == [1, 1]
    done = desk.roar("reproduce", "@", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_what_a_job_has_of_its_own_in_an_environment_does_not_come_from_the_original(desk, tmp_path):
    if not can_protect(str(desk.root)):
        pytest.skip("no mount namespaces here: without them no environment is linked")
    desk.write("train.py", "text = open('.venv/src/part.py').read() + open('.venv/data/x').read()\n"
                           "open('.venv/data/model.out', 'w').write(text)\n")
    desk.write(".gitignore", ".venv/\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", desk.root / ".venv"], check=True)
    for name in ("src/part.py", "src/other", "data/x", "data/y"):
        desk.write(f".venv/{name}", name)
    desk.init()
    desk.roar("run", ".venv/bin/python", "-B", "train.py")
    desk.write(".venv/src/part.py", "edited since")
    plan = desk.roar("reproduce", "@").stdout
    parts = ("bin", "data/y", "include", "lib", "lib64", "pyvenv.cfg", "src/other")
    assert [line.split()[-1] for line in plan.splitlines() if "ln -sfn" in line] == [f".venv/{part}" for part in parts]
    done = desk.roar("reproduce", "@", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_an_environment_that_git_tracks_or_a_job_made_is_not_taken_from_the_original(desk):
    desk.write("tracked/pyvenv.cfg", "home = /usr/bin\n")
    desk.write(".gitignore", "made\n")
    desk.init()
    desk.roar("run", sys.executable, "-m", "venv", "--without-pip", "made")
    assert (desk.root / "made" / "pyvenv.cfg").exists()
    assert "ln -s" not in desk.roar("reproduce", "@1").stdout


def test_what_a_command_names_in_the_original_is_noted(trained):
    trained.roar("run", "python", str(trained.root / "train.py"), "3")
    trained.roar("run", "cp", str(trained.root / "raw.txt"), str(trained.root / "copy.txt"))
    notes = trained.json("reproduce", "@")["doubts"]
    assert [note.partition(" by its absolute path: ")[0].partition(" names ")[2] for note in notes
            if "by its absolute path" in note] == [str(trained.root / "train.py"), str(trained.root / "raw.txt")]
    assert not any("by its absolute path" in note for note in trained.json("reproduce", "@1")["doubts"])


def test_an_output_that_differs_is_named(desk, tmp_path):
    desk.write("roll.py", "import os\nopen('dice.txt', 'w').write(os.urandom(8).hex())\n")
    desk.init()
    desk.roar("run", "python", "roll.py")
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"), status=1)
    assert "differs" in done.stdout
    assert "0 of 1 output" in done.stdout


def test_without_a_repository_the_script_is_an_input(desk):
    desk.write("a.py", "open('o', 'w').write('x')\n")
    desk.roar("run", "python", "a.py")
    done = desk.roar("reproduce", "o", "--run")
    assert "1 of 1 output came out the same" in done.stdout
    assert (desk.root.parent / "project-reproduced" / "o").read_text() == "x"


def test_an_input_that_is_no_longer_the_recorded_one_stops_it(trained, tmp_path):
    trained.write("raw.txt", "other")
    done = trained.roar("reproduce", "@2", "--run", "--into", str(tmp_path / "again"), status=1)
    assert "raw.txt no longer holds the content that was read" in done.stderr


def test_a_secret_that_was_not_stored_stops_it(desk):
    desk.roar("run", sys.executable, "-c", "open('o', 'w').write('x')", "--token", "hunter2hunter2")
    done = desk.roar("reproduce", "@1", status=1)
    assert "holds a secret that was not stored" in done.stdout
    done = desk.roar("reproduce", "@1", "--run", status=1)
    assert "cannot be reproduced" in done.stderr
    done = desk.roar("run", "@1", status=2)
    assert "held a secret, which is not stored" in done.stderr
    desk.roar("run", "@1", "--token", "again")


def test_what_no_job_made(desk):
    desk.write("a", "x")
    desk.roar("run", "cat", "a")
    assert "No recorded job made it" in desk.roar("reproduce", "a", status=1).stdout


def test_an_input_that_the_commit_holds_needs_no_copy(desk, tmp_path):
    desk.write("data.csv", "1\n")
    desk.init()
    desk.roar("run", "cp", "data.csv", "one.txt")
    desk.write("data.csv", "2\n")
    desk.git("commit", "-qam", "more data")
    desk.roar("run", "sh", "-c", "cat one.txt data.csv > two.txt")
    desk.write("data.csv", "3\n")
    done = desk.roar("reproduce", "two.txt", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout
    assert (tmp_path / "again" / "two.txt").read_text() == "1\n2\n"


def test_an_input_that_the_next_commit_would_replace_is_put_back(desk, tmp_path):
    desk.write("a", "x")
    desk.init()
    desk.write("data.csv", "1\n")
    desk.roar("run", "cp", "data.csv", "one.txt")
    (desk.root / "data.csv").rename(desk.root / "kept")
    desk.write("data.csv", "in git\n")
    desk.git("add", "data.csv")
    desk.git("commit", "-qm", "data")
    (desk.root / "kept").replace(desk.root / "data.csv")
    desk.roar("run", "sh", "-c", "cat one.txt data.csv > two.txt")
    done = desk.roar("reproduce", "two.txt", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout


def test_only_the_members_of_an_input_dataset_are_copied(desk, tmp_path):
    desk.write(".roar/config.toml", "[datasets]\nthreshold = 3\n")
    for name in "abcd":
        desk.write(f"in/{name}", name)
    desk.roar("run", "sh", "-c", "cat in/a in/b in/c in/d > all")
    desk.write("in/later", "x")
    done = desk.roar("reproduce", "all", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout
    assert sorted(path.name for path in (tmp_path / "again" / "in").iterdir()) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("command", "path"), [
    ("mkdir data; for i in $(seq 6); do echo $i > data/f$i; done", "data/"),
    ("mkdir a; for i in 1 2 3; do echo $i > a/model-0000$i-of-00003.bin; done", "a/model-*-of-00003.bin")])
@pytest.mark.parametrize("known", [True, False])
def test_an_output_that_is_a_dataset_is_compared_as_one(desk, tmp_path, command, path, known):
    setting = {"ROAR_DATASETS_THRESHOLD": "5"}
    desk.roar("run", "bash", "-c", command, env=setting)
    assert [use["path"] for use in desk.job()["outputs"]] == [path]
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"), env=setting if known else {})
    assert f"same     {desk.job()['outputs'][0]['digest'][:12]} {path}\n1 of 1 output" in done.stdout


def test_a_dataset_that_differs_is_told(desk, tmp_path):
    desk.roar("run", "bash", "-c", "mkdir d; for i in $(seq 6); do echo $RANDOM$RANDOM > d/f$i; done",
              env={"ROAR_DATASETS_THRESHOLD": "5"})
    for setting, place in (({"ROAR_DATASETS_THRESHOLD": "5"}, "one"), ({}, "two")):
        done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / place), env=setting, status=1)
        assert "differs" in done.stdout
        assert "0 of 1 output" in done.stdout


@pytest.fixture
def mixed(desk):
    """A folder that a job filled, with files in it that nothing recorded made."""
    desk.roar("run", "bash", "-c", "mkdir data; for i in $(seq 120); do echo $i > data/f$i; done")
    desk.write("data/x1", "mine")
    desk.write("data/sub/empty", "")
    return desk


def test_the_files_of_a_dataset_that_no_job_made_are_inputs_of_their_own(mixed, tmp_path):
    mixed.roar("run", "bash", "-c", "find data -type f | LC_ALL=C sort | xargs cat > o2")
    said = mixed.roar("inputs", "o2").stdout
    assert said.startswith("2 root inputs that nothing recorded produced\n")
    assert [root["path"] for root in mixed.json("inputs", "o2")["inputs"]] == ["data/sub/empty", "data/x1"]
    assert "data/x1 has no known source" in mixed.roar("status", "--checklist", status=None).stdout
    done = mixed.roar("reproduce", "o2", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout
    mixed.roar("label", "data/x1", "source=https://example.org/x1")
    assert "data/x1" not in mixed.roar("status", "--checklist", status=None).stdout


def test_a_file_that_may_have_been_deleted_before_it_could_be_read_is_a_doubt(mixed):
    mixed.roar("run", "bash", "-c", "cat data/f? data/f?? > few")
    assert mixed.json("reproduce", "few")["doubts"] == [], "all that was not read is still there"
    for name in ("f7", "f8"):
        (mixed.root / "data" / name).unlink()
    mixed.roar("run", "bash", "-c", "find data -type f | LC_ALL=C sort | xargs cat > all")
    [doubt] = mixed.json("reproduce", "all")["doubts"]
    assert " makes data/f7 and 1 more again, which @3 " in doubt
    mixed.roar("run", "bash", "-c", "cat data/f9; rm data/f9")
    mixed.roar("run", "bash", "-c", "find data -type f | LC_ALL=C sort | xargs cat > most")
    assert not any("data/f9" in doubt for doubt in mixed.json("reproduce", "@")["doubts"]), "a job deletes it again"


def test_many_files_of_a_dataset_that_no_job_made_are_one_part_of_it(mixed, tmp_path):
    for number in range(30):
        mixed.write(f"data/x{number}", f"mine {number}")
    mixed.roar("run", "bash", "-c", "find data -type f | LC_ALL=C sort | xargs cat > o2")
    said = mixed.roar("inputs", "o2").stdout
    assert "data/  (151 files)  — 31 of its 151 files were made by no recorded job" in said
    assert len(mixed.json("inputs", "o2")["inputs"][0]["members"]) == 31
    mixed.write("data/f7", "changed since, but a job makes it")
    done = mixed.roar("reproduce", "@2", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout
    mixed.write("data/x7", "changed since")
    done = mixed.roar("reproduce", "@2", "--run", "--into", str(tmp_path / "third"), status=1)
    assert "data/ no longer holds the content that was read" in done.stderr


def test_what_was_copied_by_hand_is_put_where_it_was_read(mixed, tmp_path):
    shutil.copytree(mixed.root / "data", mixed.root / "data2")
    shutil.copy(mixed.root / "data" / "f7", mixed.root / "seven")
    mixed.roar("run", "bash", "-c", "find data2 seven -type f | LC_ALL=C sort | xargs cat > o2")
    assert [root["path"] for root in mixed.json("inputs", "o2")["inputs"]] == ["data2/sub/empty", "data2/x1"]
    plan = mixed.json("reproduce", "o2")
    assert {(root["path"], len(root["members"])) for root in plan["roots"]} == {
        ("data2/", 120), ("data2/sub/empty", 0), ("data2/x1", 0), ("seven", 0)}
    done = mixed.roar("reproduce", "o2", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout


def test_every_dataset_of_a_folder_is_compared(desk, tmp_path):
    desk.roar("run", "sh", "-c", "mkdir d; for i in $(seq 150); do date +%N > d/$i; done")
    desk.roar("run", "sh", "-c", "for i in $(seq 151 300); do echo $i > d/$i; done")
    desk.roar("run", "sh", "-c", "cat d/* | wc -l > o")
    done = desk.roar("reproduce", "o", "--run", "--into", str(tmp_path / "again"), status=1)
    assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith(("d/", " o"))] == [
        "differs", "same", "same"]
    assert "2 of 3 outputs" in done.stdout


def test_a_dataset_that_was_written_anew_is_compared_once(desk, tmp_path):
    for text in "ab":
        desk.roar("run", "sh", "-c", f"mkdir -p d; for i in $(seq 150); do echo {text} > d/$i; done")
    desk.roar("run", "sh", "-c", "cat d/* | wc -l > o")
    plan = desk.json("reproduce", "o")
    assert len([use for use in plan["wanted"] if use["path"] == "d/"]) == 1


def test_a_job_that_calls_roar_itself(desk, tmp_path):
    desk.roar("run", "sh", "-c", "echo o > o; roar run sh -c 'echo z > z'; roar run sh -c 'cat z > y'")
    done = desk.roar("reproduce", "o", "--run", "--into", str(tmp_path / "again"))
    assert "came out the same" in done.stdout
    assert "missing" not in done.stdout


def test_without_outputs_the_exit_status_is_what_is_compared(desk, tmp_path):
    desk.roar("run", "sh", "-c", "exit 3", status=3)
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))
    assert "ended with exit status 3 again" in done.stdout
    assert "0 of 0" not in done.stdout


def test_a_folder_that_cannot_be_made_is_named(desk):
    desk.roar("run", "sh", "-c", "echo a > a")
    done = desk.roar("reproduce", "@1", "--run", "--into", "/proc/roar", status=1)
    assert done.stderr.startswith("roar: /proc/roar cannot be made: ")


@pytest.fixture
def inner(desk):
    """A workspace in a folder of a git repository, with inputs in it and beside it."""
    desk.write("sub/join.py", "open('o.txt', 'w').write(open('a.csv').read() + open('../b.csv').read()"
                              " + open('../c.csv').read() + open('d.csv').read())\n"
                              "open('../p.txt', 'w').write('p')\n")
    for name in ("sub/a.csv", "b.csv", "c.csv", "sub/d.csv"):
        desk.write(name, name)
    desk.write(".gitignore", "c.csv\nd.csv\n*.txt\n")
    desk.init()
    desk.roar("init", "--here", cwd=desk.root / "sub")
    desk.roar("run", "python", "join.py", cwd=desk.root / "sub")
    return desk


@pytest.mark.parametrize("into", [None, "far/off"])
def test_a_workspace_in_a_folder_of_the_repository_is_reproduced_in_that_folder_of_a_clone(inner, into, tmp_path):
    where = ["--into", str(tmp_path / into)] if into else []
    done = inner.roar("reproduce", "@1", "--run", *where, cwd=inner.root / "sub")
    clone = tmp_path / (into or "project-reproduced")
    assert "2 of 2 outputs came out the same" in done.stdout
    assert done.stdout.endswith(f"in {clone}/sub\n")
    assert (clone / "sub" / "o.txt").read_text() == "sub/a.csvb.csvc.csvsub/d.csv"
    assert (clone / "p.txt").read_text() == "p"
    assert sorted(path.name for path in (inner.root / "sub").iterdir()) == [".roar", "a.csv", "d.csv", "join.py",
                                                                            "o.txt"]


def test_the_plan_of_a_workspace_in_a_folder_knows_what_git_brings(inner):
    done = inner.roar("reproduce", "@1", "--json", cwd=inner.root / "sub")
    assert json.loads(done.stdout)["from_commits"] == [f"{inner.root}/b.csv", "a.csv"]


def test_a_submodule_is_cloned_where_it_lies(desk, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    (library / "tool.py").write_text("open('../o.txt', 'w').write(open('../raw.csv').read())\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        desk.git("-C", str(library), *words)
    desk.init()
    desk.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "code")
    desk.write("raw.csv", "raw")
    desk.roar("init")
    desk.roar("run", "python", "tool.py", cwd=desk.root / "code")
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout
    assert (tmp_path / "again" / "o.txt").read_text() == "raw"


@pytest.fixture(params=[".", "exp/one"])
def nested(desk, request, tmp_path):
    """A repository with a submodule in a submodule, and a workspace in it; code of all three is imported."""
    desk.env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    for name, content in (("inner", "X = 1\n"), ("lib", "from inner.m import X\n")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "m.py").write_text(content)
        desk.git("-C", str(folder), "init", "-q")
        if name == "lib":
            desk.git("-C", str(folder), "submodule", "--quiet", "add", str(tmp_path / "inner"), "inner")
        desk.git("-C", str(folder), "add", "-A")
        desk.git("-C", str(folder), "commit", "-q", "-m", "start")
    desk.top = desk.root
    desk.write("g.py", "import sys; sys.path.append('lib'); import m; open(sys.argv[1], 'w').write(str(m.X))\n")
    desk.git("init", "-q", "-b", "main")
    desk.git("submodule", "--quiet", "add", str(tmp_path / "lib"), "lib")
    desk.git("submodule", "--quiet", "update", "--init", "--recursive")
    desk.init()
    desk.root = desk.top / request.param
    desk.root.mkdir(parents=True, exist_ok=True)
    desk.roar("init", "--here")
    desk.made = os.path.join(request.param, "o")
    up = os.path.relpath(desk.top, desk.root)
    desk.imports = ["sh", "-c", f"cd {up} && {sys.executable} -B g.py {desk.made}"]
    return desk


def test_code_in_submodules_comes_as_it_was(nested, tmp_path):
    inner = nested.top / "lib" / "inner"

    def edit(text):
        (inner / "m.py").write_text(text)

    def commit():
        nested.git("-C", str(inner), "commit", "-qam", "change")

    changes = [lambda: None, lambda: edit("X = 2\n"), lambda: edit("X = 3\n"), commit,
               lambda: edit("from new import X\n")]
    for change, made in zip(changes, "12334", strict=True):
        change()
        (nested.top / "lib" / "new.py").write_text("X = 4\n")
        nested.roar("run", *nested.imports)
        job = nested.job()
        folder = tmp_path / job["uid"]
        done = nested.roar("reproduce", job["uid"], "--run", "--into", str(folder))
        assert "1 of 1 output came out the same" in done.stdout
        assert "note: " not in nested.roar("reproduce", job["uid"]).stdout
        assert (folder / nested.made).read_text() == (nested.top / nested.made).read_text() == made
    jobs = [job["uid"] for job in nested.json("log")["jobs"]]
    assert "likely cause: code" in nested.roar("diff", jobs[3], jobs[2]).stdout
    assert "\n-X = 2\n+X = 3\n" in nested.roar("diff", jobs[3], jobs[2], "--code").stdout
    for uid in jobs:
        nested.roar("reproduce", uid)


def test_a_submodule_that_is_not_here_is_told(nested, tmp_path):
    nested.roar("run", *nested.imports)
    commit = nested.git("-C", str(nested.top / "lib"), "rev-parse", "HEAD")
    (nested.top / "lib").rename(tmp_path / "away")
    name = f"@1 {nested.job()['uid'][:8]}"
    told = f"The submodule lib of {name} does not come with its code: it is not here with commit {commit[:12]}."
    assert f"note: {told}\n" in nested.roar("reproduce", "@1").stdout


def test_changes_in_a_submodule_that_an_older_roar_did_not_record_are_told(nested):
    (nested.top / "lib" / "m.py").write_text("X = 2\n")
    nested.roar("run", *nested.imports)
    patch = nested.git("-C", str(nested.top), "diff", "--submodule=short", "HEAD").encode() + b"\n"
    with sqlite3.connect(nested.root / ".roar" / "roar.db") as database:
        database.execute("UPDATE blob SET content = ?", (zlib.compress(patch),))
    name = f"@1 {nested.job()['uid'][:8]}"
    assert (f"note: The uncommitted changes in the submodule lib of {name} were not recorded.\n"
            in nested.roar("reproduce", "@1").stdout)


@pytest.mark.parametrize("into", [None, "some/where"])
def test_what_cannot_begin_leaves_nothing_behind(trained, into, tmp_path):
    trained.write("raw.txt", "other")
    before = sorted(tmp_path.iterdir())
    where = ["--into", str(tmp_path / into)] if into else []
    trained.roar("reproduce", "@2", "--run", *where, status=1)
    assert sorted(tmp_path.iterdir()) == before


def test_what_a_job_left_that_ended_otherwise_is_kept_for_a_look(desk, tmp_path):
    desk.write("once.py", f"import os\nopen('{tmp_path}/lock', 'x')\nopen('o', 'w').write('x')\n")
    desk.init()
    desk.roar("run", "python", "once.py")
    again = tmp_path / "with a blank"
    done = desk.roar("reproduce", "o", "--run", "--into", str(again), status=1)
    assert done.stderr.endswith(f"  try: cd '{again}' && roar show @-1\n")
    assert again.is_dir()


def test_a_commit_that_git_has_deleted_is_told_in_the_plan(desk, tmp_path):
    desk.write("a.py", "open('o', 'w').write('x')\n")
    desk.init()
    desk.git("commit", "-q", "--allow-empty", "-m", "soon gone")
    commit = desk.git("rev-parse", "HEAD")
    desk.roar("run", "python", "a.py")
    other = tmp_path / "other clone"
    desk.git("clone", "-q", str(desk.root), str(other))
    desk.git("reset", "-q", "--hard", "HEAD~1")
    desk.git("reflog", "expire", "--expire=now", "--all")
    assert "cannot" not in desk.roar("reproduce", "o").stdout, "it is unreachable, but still there"
    desk.git("gc", "-q", "--prune=now")
    said = desk.roar("reproduce", "o", status=1).stdout
    assert f"cannot: The commit {commit[:12]} of @1 " in said
    assert "is no longer in the repository" in said
    command = said.partition("another clone may have it: ")[2].strip()
    assert command == f"git -C {desk.root} fetch OTHER_CLONE {commit}"
    done = desk.roar("reproduce", "o", "--run", status=1)
    assert f"It cannot be reproduced: The commit {commit[:12]} of @1 " in done.stderr
    assert not (tmp_path / "project-reproduced").exists()
    subprocess.run(["sh", "-c", command.replace("OTHER_CLONE", f"'{other}'")], check=True, capture_output=True)
    assert "1 of 1 output came out the same" in desk.roar("reproduce", "o", "--run").stdout


def test_a_repository_that_is_gone_is_told_in_the_plan(desk):
    desk.write("a.py", "open('o', 'w').write('x')\n")
    desk.init()
    desk.roar("run", "python", "a.py")
    shutil.rmtree(desk.root / ".git")
    assert "its folder is in no git repository any more" in desk.roar("reproduce", "o", status=1).stdout


@pytest.mark.parametrize("setting", [("core.autocrlf", "true"), ("filter.shout.smudge", "tr a-z A-Z")])
def test_what_git_brings_is_what_a_clone_without_our_own_settings_gives(desk, setting, tmp_path):
    desk.write("a.csv", "one\n")
    desk.write("plain.csv", "ONE")
    desk.write("use.py", "open('o.out', 'w').write(open('a.csv', newline='').read() + open('plain.csv').read())\n")
    desk.write(".gitattributes", "a.csv filter=shout\n")
    desk.write(".gitignore", "*.out\n")
    desk.init()
    desk.git("config", *setting)
    desk.git("config", "filter.shout.clean", "tr A-Z a-z")
    (desk.root / "a.csv").unlink()
    desk.git("checkout", "-q", "--", "a.csv")
    assert (desk.root / "a.csv").read_bytes() != b"one\n"
    desk.roar("run", "python", "use.py")
    assert desk.json("reproduce", "o.out")["from_commits"] == ["plain.csv"]
    done = desk.roar("reproduce", "o.out", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout
    desk.git("config", "--unset", setting[0])
    desk.env["GIT_CONFIG_GLOBAL"] = str(tmp_path / "gitconfig")
    desk.git("config", "--global", *setting)
    assert desk.json("reproduce", "o.out")["from_commits"] == ["a.csv", "plain.csv"], "every clone has it"


@pytest.mark.parametrize(("recorded", "reproduced"), [
    (("diff.noprefix", "true"), ("diff.noprefix", "false")),
    (("diff.context", "0"), ("apply.whitespace", "error")),
    (("diff.external", "/bin/true"), ("apply.ignoreWhitespace", "change")),
    (("core.autocrlf", "true"), ("core.autocrlf", "true")),
])
def test_uncommitted_changes_are_kept_and_applied_whatever_the_user_s_settings(desk, recorded, reproduced, tmp_path):
    config = desk.env["GIT_CONFIG_GLOBAL"] = str(tmp_path / "gitconfig")
    desk.write("src/g.py", "print(1)\n")
    desk.write("g.py", "print(1)\n")
    desk.init()
    desk.git("config", "--file", config, *recorded)
    desk.write("src/g.py", "import sys; sys.path[0] = 'src'; import new\nprint(2) \n")
    (desk.root / "src" / "new.py").write_bytes(b"print(open('src/new.py', 'rb').read())\r\n")
    desk.roar("run", "sh", "-c", f"{sys.executable} -B src/g.py > o")
    desk.git("config", "--file", config, *reproduced)
    done = desk.roar("reproduce", "o", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


@pytest.mark.parametrize("known", [True, False])
def test_a_folder_in_the_commit_that_the_job_changes_before_it_was_known(desk, tmp_path, known):
    """What the files held is told by the commit, but where git may convert them."""
    for number in range(120):
        desk.write(f"in/{number}.csv", f"{number}\n")
    if not known:
        desk.write(".gitattributes", "in/* ident\n")
    desk.init()
    desk.roar("run", "sh", "-c", "for f in in/*; do echo $(cat $f)! > new; cat new > $f; done; rm new")
    [use] = desk.job()["inputs"]
    assert (use["path"], use["digest"] is not None) == ("in/", known)
    assert desk.json("reproduce", "in")["from_commits"] == ["in/"]
    done = desk.roar("reproduce", "in", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_a_large_file_that_git_holds_as_a_pointer_is_copied(desk, tmp_path):
    """A stand-in for git-lfs, which asks a server unless this variable forbids it."""
    desk.env["GIT_CONFIG_GLOBAL"] = str(tmp_path / "gitconfig")
    desk.git("config", "--global", "filter.lfs.clean", "cat > /dev/null; echo pointer")
    desk.git("config", "--global", "filter.lfs.smudge", 'test "$GIT_LFS_SKIP_SMUDGE" = 1 && cat')
    desk.git("config", "--global", "filter.lfs.required", "true")
    desk.write(".gitattributes", "*.csv filter=lfs\n")
    desk.write("a.csv", "large")
    desk.init()
    assert desk.git("cat-file", "-p", "HEAD:a.csv") == "pointer"
    desk.roar("run", "cp", "a.csv", "b.txt")
    assert desk.json("reproduce", "b.txt")["from_commits"] == []
    done = desk.roar("reproduce", "b.txt", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_inside_a_hook_the_repository_of_the_hook_is_left_alone(trained):
    trained.write("data.csv", "1\n")
    trained.git("add", "data.csv")
    trained.git("commit", "-q", "-m", "data")
    trained.roar("run", "cp", "data.csv", "copy.txt")
    before = (trained.root / ".git" / "index").read_bytes()
    hook = {"GIT_DIR": str(trained.root / ".git"), "GIT_INDEX_FILE": str(trained.root / ".git" / "index")}
    done = trained.roar("reproduce", "copy.txt", "--json", env=hook)
    assert json.loads(done.stdout)["from_commits"] == ["data.csv"]
    assert (trained.root / ".git" / "index").read_bytes() == before


def test_a_plan_can_be_pasted_into_a_shell(desk):
    folder = desk.root / os.fsdecode(b"-a\xff\nb's")
    folder.mkdir()
    desk.roar("init")
    (folder / "in").write_text("x")
    desk.roar("run", "cp", "in", "o\tut", cwd=folder)
    (line,) = (line for line in desk.roar("reproduce", "@1").stdout.splitlines() if "cp in" in line)
    (folder / "o\tut").unlink()
    subprocess.run(["bash", "-c", line], cwd=desk.root, check=True)
    assert (folder / "o\tut").read_text() == "x"


def test_an_input_that_cannot_be_read_is_not_told_as_changed(desk):
    desk.roar("init")
    desk.write("in", "in")
    for number in range(3):
        desk.write(f"data/{number}", str(number))
    env = {"ROAR_DATASETS_THRESHOLD": "3"}
    desk.roar("run", "sh", "-c", "cat in in > out")
    desk.roar("run", "sh", "-c", "cat data/* > all", env=env)
    desk.be_anybody()
    for name, made in (("in", "out"), ("data/1", "all")):
        path = desk.root / name
        path.chmod(0)
        done = desk.roar("reproduce", made, "--run", status=1)
        assert done.stderr == f"roar: {name} cannot be read now: Permission denied.\n  try: ls -ld {path}\n"
        path.chmod(0o644)
        path.write_text("!")
        assert "no longer holds the content" in desk.roar("reproduce", made, "--run", status=1).stderr


def test_a_folder_to_reproduce_into_means_nothing_for_a_plan(desk):
    desk.roar("run", "sh", "-c", "echo > out")
    done = desk.roar("reproduce", "out", "--into", "a b", status=2)
    assert done.stderr == ("roar: --into has no effect without --run, which carries the plan out.\n"
                           "  try: roar reproduce out --run --into 'a b'\n")
    assert not (desk.root / "a b").exists()


FOLDER_THERE = "open('out/model.bin', 'w').write('x')\n"
FOLDERS_MADE = ("import os\nos.mkdir('out')\nos.makedirs('out/a/b')\nopen('out/a/b/x', 'w').write('x')\n"
                "os.mkdir('kept/new')\nopen('kept/new/y', 'w').write('y')\n")


@pytest.mark.parametrize("known", [True, False])
def test_a_folder_that_the_job_found_is_there_before_its_step(desk, known, tmp_path):
    desk.write("train.py", FOLDER_THERE)
    desk.init()
    (desk.root / "out").mkdir()
    desk.roar("run", "python", "train.py")
    if not known:
        with sqlite3.connect(desk.root / ".roar" / "roar.db") as database:
            database.execute("DELETE FROM made_folder")
    assert "  mkdir -p out\n  python train.py" in desk.roar("reproduce", "@1").stdout
    assert desk.json("reproduce", "@1")["steps"][0]["folders"] == ["out"]
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_a_folder_that_the_job_made_is_left_to_it(desk, tmp_path):
    desk.write("train.py", FOLDERS_MADE)
    desk.init()
    (desk.root / "kept").mkdir()
    desk.roar("run", "python", "train.py")
    assert desk.json("reproduce", "@1")["steps"][0]["folders"] == ["kept"]
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout


@pytest.mark.parametrize(("command", "folders"), [
    ("mkdir t && echo x > t/x && mv t out", []),
    ("rm -rf kept && mkdir kept && echo x > kept/x", ["kept"]),
    ("rmdir kept && mkdir kept && echo x > kept/x", ["kept"]),
    ("mkdir -p kept/sub && echo x > kept/sub/x", ["kept"]),
    ("mkdir -p a/b/c && cp -r a/b kept/b && echo x > kept/b/c/x && echo y > a/b/y", ["kept"]),
    ("mkdir many && for i in $(seq 150); do echo $i > many/$i; done", []),
    ("for i in $(seq 150); do mkdir -p kept/$((i % 3)); echo $i > kept/$((i % 3))/$i; done", ["kept"]),
    ("for i in 1 2 3; do echo $i > kept/model-0000$i-of-00003.bin; done", ["kept"]),
    ("echo x > x", [])])
@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_which_folders_have_to_be_there(desk, command, folders, mode, tmp_path):
    (desk.root / "kept").mkdir()
    desk.roar("run", "bash", "-ec", command, env={"ROAR_TRACER_MODE": mode})
    assert desk.json("reproduce", "@1")["steps"][0]["folders"] == folders
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))
    assert "came out the same" in done.stdout


def placements(plan):
    """Step by step what is to be put in place, and the number of the step after which; 0 from the start."""
    steps = {job["uid"]: job["step"] for job in plan["jobs"]}
    return [[(placed["root"]["path"], steps.get(placed["after"], 0)) for placed in step["placements"]]
            for step in plan["steps"]]


def test_what_an_earlier_step_writes_is_put_in_place_after_it(desk, tmp_path):
    desk.roar("run", "sh", "-c", "echo made > data.csv; echo more > more.csv")
    desk.write("data.csv", "by hand")
    desk.write("b.csv", "b")
    desk.roar("run", "sh", "-c", "cat data.csv b.csv more.csv > o.txt")
    plan = desk.json("reproduce", "o.txt")
    assert placements(plan) == [[], [("b.csv", 0), ("data.csv", 1)]]
    before, first, second = desk.roar("reproduce", "o.txt").stdout.split("\n@")
    assert ("b.csv" in before, "data.csv\n" in before) == (True, False)
    assert f"  now, and not before @1 {first[2:10]} is done: put these inputs in place\n" in second
    assert second.index("  data.csv\n") < second.index("  sh -c")
    done = desk.roar("reproduce", "o.txt", "--run", "--into", str(tmp_path / "again"))
    assert "3 of 3 outputs came out the same" in done.stdout


def test_a_root_input_that_was_read_before_and_after_a_change_by_hand(desk):
    for text, out in (("one", "1.txt"), ("two", "2.txt"), ("two", "3.txt")):
        desk.write("data.csv", text)
        desk.roar("run", "cp", "data.csv", out)
    desk.roar("run", "sh", "-c", "cat 1.txt 2.txt 3.txt > all.txt")
    plan = desk.json("reproduce", "all.txt")
    assert placements(plan) == [[("data.csv", 0)], [("data.csv", 1)], [], []]


def test_an_input_that_its_reader_edits_is_put_back_for_the_next_reader(desk, tmp_path):
    desk.write("log", "start\n")
    desk.roar("run", "cat", "log")
    desk.roar("run", "sh", "-c", "cat log > 1.txt; echo more >> log")
    desk.write("log", "start\n")
    desk.roar("run", "sh", "-c", "cat log 1.txt > 2.txt")
    assert placements(desk.json("reproduce", "2.txt")) == [[("log", 0)], [("log", 2)]]
    done = desk.roar("reproduce", "2.txt", "--run", "--into", str(tmp_path / "again"))
    assert "3 of 3 outputs came out the same" in done.stdout


def test_what_a_step_made_and_another_replaced_is_put_back_for_a_later_reader(desk, tmp_path):
    desk.roar("run", "sh", "-c", "echo one > data.csv")
    desk.roar("run", "sh", "-c", "cat data.csv data.csv > was.txt; echo two > data.csv")
    desk.write("data.csv", "one\n")
    desk.roar("run", "sh", "-c", "cat data.csv was.txt > o.txt")
    plan = desk.json("reproduce", "o.txt")
    assert plan["roots"] == []
    assert placements(plan) == [[], [], [("data.csv", 2)]]
    done = desk.roar("reproduce", "o.txt", "--run", "--into", str(tmp_path / "again"))
    assert "3 of 3 outputs came out the same" in done.stdout
    desk.write("data.csv", "three\n")
    done = desk.roar("reproduce", "o.txt", "--run", "--into", str(tmp_path / "third"), status=1)
    assert "data.csv no longer holds the content that was read" in done.stderr


@pytest.mark.parametrize("changed", [1, 30])
def test_files_of_a_dataset_that_were_changed_by_hand_are_put_in_place_after_its_maker(desk, changed, tmp_path):
    desk.roar("run", "bash", "-c", "mkdir data; for i in $(seq 120); do echo $i > data/f$i; done")
    for number in range(1, changed + 1):
        desk.write(f"data/f{number}", "by hand")
    desk.write("data/new", "new")
    desk.roar("run", "bash", "-c", "cat data/* > o.txt")
    desk.roar("run", "bash", "-c", "cat data/f1?? o.txt > p.txt")
    found = placements(desk.json("reproduce", "p.txt"))
    assert found == [[], [("data/f1", 1), ("data/new", 0)] if changed == 1 else [("data/", 1)], []]
    done = desk.roar("reproduce", "p.txt", "--run", "--into", str(tmp_path / "again"))
    assert "o.txt" in done.stdout.partition("same     ")[2]
    assert (tmp_path / "again" / "o.txt").read_bytes() == (desk.root / "o.txt").read_bytes()


def test_jobs_that_only_read_the_same_inputs_ask_for_them_once(desk):
    desk.roar("run", "bash", "-c", "mkdir data; for i in $(seq 120); do echo $i > data/f$i; done")
    desk.write("c.csv", "c")
    for name in "abc":
        desk.roar("run", "bash", "-c", f"cat data/* c.csv > {name}.txt; cat data/f7 > {name}7")
    assert placements(desk.json("reproduce", "@")) == [[], [("c.csv", 0)], [], []]


def test_the_next_step_reads_what_a_step_before_moved_away(desk, tmp_path):
    desk.write("in/a", "a")
    desk.roar("run", "sh", "-c", "mv in/a b")
    desk.write("in/a", "a")
    desk.roar("run", "sh", "-c", "cat in/a b > c")
    done = desk.roar("reproduce", "c", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout


def asked_for(plan):
    return [placed["root"]["path"] for step in plan["steps"] for placed in step["placements"]]


@pytest.mark.parametrize("pause", ["", "sleep 0.5; "])
@pytest.mark.parametrize("dirty", [False, True])
def test_a_tracked_file_that_a_job_edits_comes_from_git(desk, pause, dirty, tmp_path):
    """git is asked while the job runs: what it says of a quick one may hold the edit."""
    desk.write("sub/log", "start\n")
    desk.write("other", "x")
    desk.init()
    desk.write("sub/log" if dirty and pause else "other", "by hand\n" if dirty else "x")
    desk.roar("run", "sh", "-c", f"{pause}echo more >> sub/log")
    desk.write("sub/log", "changed since\n")
    known = None if dirty and pause else blake3(b"start\n").hexdigest()
    assert desk.job()["inputs"][0]["digest"] == known
    plan = desk.json("reproduce", "@1")
    assert (plan["from_commits"], plan["obstacles"], asked_for(plan)) == (["sub/log"], [], [])
    said = desk.roar("reproduce", "@1").stdout
    assert "before: have these inputs in place" not in said
    restored = plan["steps"][0]["restored"]
    assert restored == [] if pause else restored in ([], ["sub/log"])
    assert said.count(" -- sub/log\n") == len(restored)
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


@pytest.fixture
def slow_git(desk):
    """Surroundings in which git is so slow that the command starts before it has compared the work tree."""
    path = desk.tmp / "bin" / "git"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\ncase \"$*\" in *--binary*) sleep 0.6;; esac\nexec {shutil.which('git')} \"$@\"\n")
    path.chmod(0o755)
    return {"PATH": f"{path.parent}:{os.environ['PATH']}"}


def test_a_patch_that_holds_the_edit_of_the_job_itself_is_not_taken_for_what_it_read(desk, slow_git, tmp_path):
    desk.write("log", "start\n")
    desk.write("known", "start\n")
    desk.init()
    desk.roar("run", "cat", "known")
    desk.roar("run", "sh", "-c", "echo more >> log; echo more >> known; sleep 0.5", env=slow_git)
    assert [use["digest"] is None for use in desk.job()["inputs"]] == [False, True]
    plan = desk.json("reproduce", "@-1")
    assert plan["steps"][0]["restored"] == ["known", "log"]
    assert (plan["from_commits"], asked_for(plan)) == (["known", "log"], [])
    done = desk.roar("reproduce", "@-1", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout


def test_what_no_commit_nor_patch_can_have_held_stays_unknown(desk, slow_git):
    desk.write("log", "start\n")
    desk.init()
    desk.write("log", "by hand, and not committed\n")
    desk.roar("run", "sh", "-c", "echo more >> log; sleep 0.5", env=slow_git)
    assert "cannot: The content of log when it was read is not known." in desk.roar("reproduce", "@1", status=1).stdout


def test_what_the_job_changed_comes_with_the_patch_as_it_was_before(desk, tmp_path):
    desk.write("log", "start\n")
    desk.init()
    desk.write("log", "by hand, and not committed\n")
    desk.roar("run", "sh", "-c", "echo more >> log")
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout
    assert (tmp_path / "again" / "log").read_text() == "by hand, and not committed\nmore\n"


def test_what_each_checkout_brings_is_not_asked_for(desk, tmp_path):
    desk.write("conf/a", "a\n")
    desk.write(".gitignore", "*.out\n")
    before = ""
    for number, text in enumerate(("one", "two", "three", "one"), 1):
        desk.write("conf/b", f"{text}\n")
        desk.init() if number == 1 else desk.git("commit", "-qam", text)
        desk.roar("run", "sh", "-c", f"cat {before} conf/a conf/b > {number}.out")
        before = f"{number}.out"
    desk.write("conf/b", "changed since\n")
    plan = desk.json("reproduce", "4.out")
    assert plan["from_commits"] == ["conf/a", "conf/b"]
    assert asked_for(plan) == []
    assert "in place" not in desk.roar("reproduce", "4.out").stdout
    done = desk.roar("reproduce", "4.out", "--run", "--into", str(tmp_path / "again"))
    assert "4 of 4 outputs came out the same" in done.stdout


def test_an_earlier_version_that_a_job_made_comes_with_a_later_checkout(desk, tmp_path):
    desk.write(".gitignore", "*.out\n")
    desk.init()
    for text in ("one", "two"):
        desk.roar("run", "sh", "-c", f"echo {text} > conf; echo > {text}.out")
        desk.git("add", "conf")
        desk.git("commit", "-qm", text)
    desk.git("revert", "--no-edit", "HEAD")
    desk.roar("run", "sh", "-c", "cat conf one.out two.out > 3.out")
    assert asked_for(desk.json("reproduce", "3.out")) == []
    done = desk.roar("reproduce", "3.out", "--run", "--into", str(tmp_path / "again"))
    assert "came out the same" in done.stdout


def test_an_untracked_source_that_several_steps_read(desk, tmp_path):
    desk.write(".gitignore", "*.out\n")
    desk.init()
    desk.write("lib/tool.py", "import sys\nopen(sys.argv[1], 'w').write('x')\n")
    desk.roar("run", "python", "lib/tool.py", "1.out")
    desk.write("lib/tool.py", "import sys\nopen(sys.argv[1], 'w').write(open('1.out').read() * 2)\n")
    desk.roar("run", "python", "lib/tool.py", "2.out")
    done = desk.roar("reproduce", "2.out", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout


@pytest.mark.parametrize("now", [None, "changed since"])
def test_an_input_that_is_gone_from_its_path_is_taken_from_another_recorded_one(desk, now, tmp_path):
    desk.write("raw.csv", "raw")
    desk.roar("run", "sh", "-c", "cat raw.csv raw.csv > 1.out")
    desk.roar("run", "cp", "raw.csv", "copy of raw.csv")
    desk.write("raw.csv", now) if now else (desk.root / "raw.csv").unlink()
    done = desk.roar("reproduce", "1.out", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout
    assert (tmp_path / "again" / "raw.csv").read_text() == "raw"
    os.utime(desk.write("copy of raw.csv", "bad"), (1, 1))
    done = desk.roar("reproduce", "1.out", "--run", "--into", str(tmp_path / "third"), status=1)
    assert f"raw.csv {'no longer holds' if now else 'is gone, with'} the content" in done.stderr


@pytest.mark.parametrize("whole", [True, False])
def test_files_of_a_dataset_are_taken_from_where_they_were_recorded(desk, tmp_path, whole):
    env = {"ROAR_DATASETS_THRESHOLD": "3"}
    for number in range(5):
        desk.write(f"data/{number}", str(number))
    desk.roar("run", "sh", "-c", "cat data/* > all.out", env=env)
    if whole:
        (desk.root / "data").rename(desk.root / "moved")
        desk.roar("run", "sh", "-c", "cat moved/* > /dev/null", env=env)
    else:
        (desk.root / "data" / "3").rename(desk.root / "three")
        desk.roar("run", "cat", "three")
        desk.write("data/3", "changed since")
    done = desk.roar("reproduce", "all.out", "--run", "--into", str(tmp_path / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_an_input_outside_is_used_where_it_lies_or_not_at_all(desk, tmp_path):
    (tmp_path / "raw.csv").write_text("raw")
    desk.roar("run", "sh", "-c", "cat ../raw.csv > 1.out")
    (tmp_path / "raw.csv").write_text("changed since")
    assert desk.roar("reproduce", "1.out", "--run", status=1).stderr.startswith(
        f"roar: {tmp_path}/raw.csv no longer holds the content that was read")


def test_a_patch_that_a_secret_keeps_from_applying_is_told_in_the_plan(desk, tmp_path):
    desk.write("conf.py", 'password = "hunter2hunter2"\n')
    desk.init()
    desk.write("conf.py", 'password = "hunter3hunter3"\nprint(1)\n')
    desk.roar("run", "python", "conf.py")
    said = desk.roar("reproduce", "@1", status=1).stdout
    assert re.search(r"cannot: The uncommitted changes of @1 \w{8} do not apply to its commit: they hold a secret",
                     said)
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"), status=1)
    assert "It cannot be reproduced: The uncommitted changes of @1 " in done.stderr


def test_a_patch_with_a_secret_is_a_doubt(desk, tmp_path):
    desk.write("conf.py", "print(1)\n")
    desk.init()
    desk.write("conf.py", 'password = "hunter3hunter3"\nprint(1)\n')
    desk.roar("run", "python", "conf.py")
    assert re.search(r"note: The uncommitted changes of @1 \w{8} hold a secret that was not stored\.",
                     desk.roar("reproduce", "@1").stdout)
    desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))


@pytest.fixture
def redirected(desk):
    """Two jobs below the workspace's root, which a shell redirected."""
    desk.write("raw/in.csv", "b\na\n")
    desk.write("sub/note", "")
    desk.roar("init")
    script = "roar run sort < ../raw/in.csv > out.csv; roar run echo end >> out.csv; roar run wc -l < out.csv > 'n o'"
    subprocess.run(["bash", "-c", script], cwd=desk.root / "sub", env=desk.env, check=True, capture_output=True)
    return desk


def test_commands_are_redirected_again(redirected, tmp_path):
    said = redirected.roar("reproduce", "sub/n o", "--run", "--into", tmp_path / "copy").stdout
    assert "2 of 2 outputs came out the same" in said
    assert (tmp_path / "copy" / "sub" / "out.csv").read_text() == "a\nb\nend\n"
    assert (tmp_path / "copy" / "sub" / "n o").read_text() == "3\n"
    assert (redirected.root / "sub" / "n o").read_text() == "3\n"


def test_the_plan_shows_redirections(redirected, tmp_path):
    plan = redirected.roar("reproduce", "sub/n o").stdout
    commands = [line.strip() for line in plan.splitlines() if "(cd " in line]
    assert commands == ["(cd sub && sort) < raw/in.csv > sub/out.csv", "(cd sub && echo end) >> sub/out.csv",
                        "(cd sub && wc -l) < sub/out.csv > 'sub/n o'"]
    copy = tmp_path / "copy"
    shutil.copytree(redirected.root / "raw", copy / "raw")
    (copy / "sub").mkdir()
    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=copy, check=True)
    assert (copy / "sub" / "n o").read_text() == "3\n"


def test_a_file_outside_is_read_where_it_lies(desk, tmp_path):
    (tmp_path / "elsewhere").write_text("1\n")
    desk.roar("init")
    subprocess.run(["bash", "-c", "roar run cat < ../elsewhere > out"], cwd=desk.root, env=desk.env, check=True,
                   capture_output=True)
    assert f"cat < {tmp_path}/elsewhere > out\n" in desk.roar("reproduce", "out").stdout
    said = desk.roar("reproduce", "out", "--run", "--into", tmp_path / "copy").stdout
    assert "1 of 1 output came out the same" in said


def test_an_output_that_is_up_to_date_already_is_the_same(desk):
    desk.write("Makefile", "o: d stamp\n\tcat d > o\nstamp: d\n\ttouch stamp\n")
    desk.write("d", "1\n")
    desk.roar("run", "make")
    os.utime(desk.root / "d", (2**31, 2**31))  # newer than what was made of it
    desk.roar("run", "make")
    os.utime(desk.root / "d", (1, 1))  # as it will be in the reproduction
    done = desk.roar("reproduce", "--run", "o")
    assert re.search(r"^  same +[0-9a-f]{12} o - lay there already, not written again$", done.stdout, re.MULTILINE)
    assert "2 of 2 outputs came out the same" in done.stdout
    outputs = desk.json("reproduce", "--run", "o")["outputs"]
    assert [(one["path"], one["outcome"], one["written"]) for one in outputs] == [
        ("o", "same", False), ("stamp", "same", True)]
    assert all(one["found"] == one["digest"] for one in outputs)


def test_an_output_that_is_not_written_and_lies_there_with_other_content_is_missing(desk):
    desk.write("append.py", "import os, sys\ntext = open('o').read()\n"
               "if not os.path.exists(sys.argv[1]): open('o', 'w').write(text + '!')\n")
    desk.roar("run", "sh", "-c", "echo 1 > o")
    desk.roar("run", "python", "append.py", f"{desk.root}/flag")
    desk.write("flag", "")
    done = desk.roar("reproduce", "--run", "@2", status=1)
    assert (desk.root.parent / "project-reproduced" / "o").read_text() == "1\n"
    assert re.search(r"^  missing +[0-9a-f]{12} o$", done.stdout, re.MULTILINE)
    assert "0 of 1 output came out the same" in done.stdout


@pytest.mark.parametrize("edit", ["sed -i s/foo/bar/ cfg.yaml", "cp cfg.yaml t; cat t > cfg.yaml; rm t",
                                  "read x < cfg.yaml; echo 0 > cfg.yaml; echo $x > cfg.yaml"])
def test_an_uncommitted_change_that_the_job_writes_again_as_it_was_is_kept(desk, edit, tmp_path):
    desk.write("cfg.yaml", "lr=1\n")
    desk.init()
    desk.write("cfg.yaml", "lr=5\n")
    desk.roar("run", "sh", "-c", f"{edit}; cat cfg.yaml > o")
    said = desk.roar("reproduce", "o", "--run", "--into", tmp_path / "copy").stdout
    assert (tmp_path / "copy/o").read_text() == "lr=5\n"
    assert "came out the same" in said


def test_what_jobs_within_a_job_make_is_not_to_be_put_in_place_before_it(desk, tmp_path):
    for number in "12":
        desk.write(f"in{number}", number)
    desk.write("s.sh", "for i in 1 2; do\n"
                       f'  {sys.executable} -m roar run -q sh -c "tr 1-6 a-f < in$i > m"; mv m m-$i\n'
                       "done\n")
    desk.init()
    desk.roar("run", "sh", "s.sh")
    plan = desk.json("reproduce", "m-1")
    assert [job["command"][:2] for job in plan["jobs"]][-1] == ["sh", "s.sh"]
    assert [step["placements"] for step in plan["steps"]] == [[]] * len(plan["steps"])
    assert "put these inputs in place" not in desk.roar("reproduce", "m-1").stdout
    done = desk.roar("reproduce", "m-1", "--run", "--into", str(tmp_path / "again"))
    assert "differs" not in done.stdout


@pytest.mark.parametrize("tracked", [True, False])
def test_what_a_commit_brings_needs_no_job_that_once_made_the_same_elsewhere(desk, tracked):
    desk.write("b.py", "open('out', 'w').write(open('config.json').read() * 2)\n")
    desk.write(".gitignore", ".roar\nout\nscratch.json\n" + ("" if tracked else "config.json\n"))
    desk.init()
    desk.roar("run", "sh", "-c", "echo '{}' > scratch.json")
    desk.write("config.json", "{}\n")
    if tracked:
        desk.git("add", "config.json")
        desk.git("commit", "-qm", "config")
    desk.roar("run", "python", "b.py")
    plan = desk.roar("reproduce", "out").stdout
    assert plan.startswith("1 job " if tracked else "2 jobs ")
    done = desk.roar("reproduce", "out", "--run")
    assert "the same" in done.stdout + done.stderr
    assert desk.roar("lineage", "out").stdout.count("scratch.json") == 1, "it still says who made it first"


def test_one_that_is_interrupted_says_where_it_worked(desk, tmp_path):
    desk.roar("run", "sh", "-c", "echo 1 > begun; sleep ${WAIT:-0}; echo 2 > made")
    process = desk.start("reproduce", "made", "--run", "--into", str(tmp_path / "again"), env={"WAIT": "60"},
                         stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "again" / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"roar: interrupted; what was made so far lies in {tmp_path / 'again'}" in said.splitlines()
