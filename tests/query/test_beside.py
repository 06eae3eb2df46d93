"""One more file beside those that a step had read all of."""

import sys
from pathlib import Path

import pytest
from blake3 import blake3

from roar.model import FileUse
from roar.query.freshness import load_status

sys.path.insert(0, str(Path(__file__).parents[1] / "commands"))  # importlib mode does not look beside a test module
from checklists import checklist


def file(path):
    return FileUse(path=path, digest=blake3(path.encode()).hexdigest(), size=len(path))


@pytest.fixture
def run(recorder):
    """Records a job that reads and writes files, and leaves these in the workspace."""
    def record(command, inputs=(), outputs=(), **more):
        for path in (*inputs, *outputs):
            place = Path(recorder.workspace.root) / path
            place.parent.mkdir(exist_ok=True)
            place.write_text(path)
        return recorder.job(command, list(map(file, inputs)), list(map(file, outputs)), **more)
    return record


def stale(recorder):
    return [step.stale for step in load_status(recorder.database, recorder.workspace, 1).steps]


def numbered(count, name="shards/{}.txt"):
    return [name.format(number) for number in range(count)]


def with_one_more(run, name="shards/{}.txt", *, read=3):
    """Three files are written, some of them read, and then four written by the same step."""
    run("shard", ["raw"], numbered(3, name))
    run("train", numbered(3, name)[-read:], ["model"])
    run("shard", ["raw"], numbered(4, name))


@pytest.mark.parametrize("name", ["shards/{}.txt", "{}.txt", "shards/part-{}"])
def test_a_step_that_read_all_is_stale_where_there_is_one_more(recorder, run, name):
    with_one_more(run, name)
    assert stale(recorder) == [None, f"{name.format(3)} was written beside its inputs by @1 since"]
    run("train", numbered(4, name), ["model"])
    assert stale(recorder) == [None, None]


def test_what_is_made_of_it_is_stale_too(recorder, run):
    with_one_more(run)
    run("test", ["model"], ["score"])
    _, _, downstream = stale(recorder)
    assert downstream == "@2, which it took inputs from, is stale"
    outputs = load_status(recorder.database, recorder.workspace, 1).outputs
    assert {output.path for output in outputs if output.freshness == "stale"} == {"model", "score"}


@pytest.mark.parametrize("read", [1, 2])
def test_who_read_only_some_as_the_last_checkpoint_is_not_stale(recorder, run, read):
    with_one_more(run, "ckpt/{}.pt", read=read)
    assert stale(recorder) == [None, None]


def test_who_left_it_alone_when_it_ran_again_is_not_stale(recorder, run):
    with_one_more(run)
    run("train", numbered(3), ["model"])
    assert stale(recorder) == [None, None]


def test_a_failed_run_is_none(recorder, run):
    with_one_more(run)
    run("train", numbered(3), [], exit_code=1)
    assert stale(recorder)[1] is not None


@pytest.mark.parametrize("other", ["shards/3.json", "other/3.txt", "shards/sub/3.txt", "3.txt"])
def test_a_file_of_another_kind_or_elsewhere_is_not_meant(recorder, run, other):
    Path(recorder.workspace.root, "shards/sub").mkdir(parents=True)
    run("shard", ["raw"], numbered(3))
    run("train", numbered(3), ["model"])
    run("shard", ["raw"], [*numbered(3), other])
    assert stale(recorder) == [None, None]


def test_one_file_alone_makes_no_kind(recorder, run):
    run("shard", ["raw"], numbered(1))
    run("train", numbered(1), ["model"])
    run("shard", ["raw"], numbered(2))
    assert stale(recorder) == [None, None]


def test_what_another_step_wrote_there_is_not_meant(recorder, run):
    run("shard", ["raw"], numbered(3))
    run("train", numbered(3), ["model"])
    run("other", ["raw"], ["shards/3.txt"])
    assert stale(recorder) == [None, None, None]


def test_what_was_there_already_is_not_meant(recorder, run):
    run("shard", ["raw"], numbered(4))
    run("shard", ["raw"], numbered(3))
    run("train", numbered(3), ["model"])
    run("shard", ["raw"], numbered(4))
    assert stale(recorder) == [None, None]


def test_what_is_gone_is_not_meant(recorder, run):
    with_one_more(run)
    Path(recorder.workspace.root, "shards/3.txt").unlink()
    assert stale(recorder) == [None, None]


def test_what_the_reader_writes_itself_is_not_meant(recorder, run):
    run("shard", ["raw"], numbered(3))
    run("train", numbered(3), ["shards/3.txt"])
    run("shard", ["raw"], numbered(4))
    assert stale(recorder)[1] is None


WRITE = """import os, sys
os.makedirs("d", exist_ok=True)
count = int(open("count").read())
for number in range(count):
    open("d/" + sys.argv[1].format(number, count), "w").write(str(number))
"""
READ = """import glob
open("total", "w").write(str(len([open(path).read() for path in sorted(glob.glob("d/*.part"))])))
"""


@pytest.mark.parametrize(("name", "counts"), [
    ("{:05}-of-{:05}.part", (3, 4)), ("{:05}-of-{:05}.part", (1, 2)), ("{:05}-of-{:05}.part", (8, 12)),
    ("{:03}.part", (8, 12)), ("{:03}.part", (12, 15))])
def test_files_are_files_whether_they_are_recorded_as_a_dataset_or_not(desk, name, counts):
    """Shards have their number in their names, and a dataset begins where files are many."""
    few, many = counts
    desk.write("write.py", WRITE)
    desk.write("read.py", READ)
    desk.env["ROAR_DATASETS_THRESHOLD"] = "10"
    desk.write("count", str(few))
    for command in (["write.py", name], ["read.py"]):
        desk.roar("run", "-q", sys.executable, *command)
    desk.write("count", str(many))
    desk.roar("run", "-q", "@1")
    if few == 1:  # who read a single file need not want its neighbours
        assert "was written beside" not in desk.roar("status").stdout
        return
    stale = [step["stale"] for step in desk.json("status")["steps"]]
    assert stale[0] is None
    assert stale[1].endswith("written again by @1" if few > 10 else "is of an earlier run of it, from inputs that have"
                             " changed since" if "of" in name else "written beside its inputs by @1 since")
    if "of" in name:
        old = f"d/*-of-{few:05}.part"
        problem = f"no command mends it: @2 would read {old}, which an earlier run of @1 left: move that away first"
        assert checklist(desk)["the outputs are up to date"]["problems"][-1] == problem
        if few == 3:  # what somebody does all the same
            desk.roar("run", "-q", "@2")
            assert (desk.root / "total").read_text() == str(few + many)
            assert checklist(desk)["the outputs are up to date"]["problems"][-1] == problem
        for path in desk.root.glob(old):
            path.unlink()
    assert checklist(desk)["the outputs are up to date"]["hint"].endswith("roar run @2")
    desk.roar("run", "-q", "@2")
    assert (desk.root / "total").read_text() == str(many)
    assert "stale" not in desk.roar("status").stdout


@pytest.mark.parametrize(("few", "many"), [(3, 4), (8, 12), (4, 3)])
def test_shards_of_another_number_by_another_code(desk, few, many):
    """No input has changed, and the earlier shards lie there yet: only what is beside them says so."""
    desk.env["ROAR_DATASETS_THRESHOLD"] = "10"
    desk.write("read.py", READ)
    desk.write(".gitignore", "d\ntotal\n")
    for count in (few, many):
        desk.write("write.py", WRITE.replace('open("count").read()', str(count)))
        desk.init()
        desk.roar("run", "-q", sys.executable, "write.py", "{:05}-of-{:05}.part")
        if count == few:
            desk.roar("run", "-q", sys.executable, "read.py")
    stale = [step["stale"] for step in desk.json("status")["steps"]]
    assert stale == [None, f"d/00000-of-{many:05}.part was written beside its inputs by @1 since"]
    item = checklist(desk)["the outputs are up to date"]
    assert (item["passed"], item["hint"]) == (False, "roar run @2")
    desk.roar("run", "-q", "@2")
    assert (desk.root / "total").read_text() == str(few + many)
    assert "stale" not in desk.roar("status").stdout
