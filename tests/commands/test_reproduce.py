"""Making recorded things again, for real."""

import re
import sys

import pytest

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
    desk.write("b.csv", "changed, and not committed")
    desk.write("c.csv", "not in git")
    desk.roar("run", "python", "join.py")
    before, _, brought = desk.roar("reproduce", "all.out").stdout.partition("git brings these inputs\n")
    assert re.findall(r"\S+$", before.partition("in place\n")[2], re.MULTILINE) == ["b.csv", "c.csv"]
    assert re.findall(r"[0-9a-f]{12} .* (\S+)$", brought, re.MULTILINE) == ["a.csv", "parts/x", "parts/y"]
    assert desk.json("reproduce", "all.out")["from_commits"] == ["a.csv", "parts/x", "parts/y"]
    desk.write("a.csv", "changed since: the commit still has it")
    assert "a.csv" in desk.json("reproduce", "all.out")["from_commits"]


def test_a_file_that_was_read_with_two_contents_is_brought_only_if_both_are(desk):
    desk.write("use.py", "import sys\nopen(sys.argv[1], 'w').write(open(' data.csv').read())\n")
    desk.write(" data.csv", "first")
    desk.write(".gitignore", "*.out\n")
    desk.init()
    desk.roar("run", "python", "use.py", "1.out")
    assert desk.json("reproduce", "@")["from_commits"] == [" data.csv"]
    desk.write(" data.csv", "second, and not committed")
    desk.roar("run", "python", "use.py", "2.out")
    assert len(desk.json("reproduce", "@")["roots"]) == 2
    assert desk.json("reproduce", "@")["from_commits"] == []
    assert "git brings" not in desk.roar("reproduce", "@").stdout


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


def test_without_outputs_the_exit_status_is_what_is_compared(desk, tmp_path):
    desk.roar("run", "sh", "-c", "exit 3", status=3)
    done = desk.roar("reproduce", "@1", "--run", "--into", str(tmp_path / "again"))
    assert "ended with exit status 3 again" in done.stdout
    assert "0 of 0" not in done.stdout


def test_a_folder_that_cannot_be_made_is_named(desk):
    desk.roar("run", "sh", "-c", "echo a > a")
    done = desk.roar("reproduce", "@1", "--run", "--into", "/proc/roar", status=1)
    assert done.stderr.startswith("roar: /proc/roar cannot be made: ")
