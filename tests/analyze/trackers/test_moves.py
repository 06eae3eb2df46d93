"""A tracker's run that the job moved: its files stay the tracker's, and the reference names where it is now."""

import shlex
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from roar.analyze.trackers import analyze_trackers

sys.path.insert(0, str(Path(__file__).parents[2] / "fakes"))
from wandb_files import OFFLINE, log, run_folder

SERVER = "http://wandb.example:8080"
EVENTS = bytes(21) + b"\x1a\x0dbrain.Event:2" + bytes(8)


def only(analysis):
    [run] = analysis.runs
    return run


def outputs(world, analysis):
    """What remains of the written files, relative to the job's folder."""
    return {path.removeprefix(world.cwd + "/") for path, use in world.uses.items()
            if use.written and use.exists and path not in analysis.owned}


def whole_run(world):
    run_folder(world, OFFLINE, name="calm")
    world.write(f"{OFFLINE}/files/requirements.txt", b"numpy\n")
    world.write(f"{OFFLINE}/files/mine.txt", b"mine")
    world.write("model.txt", b"model")
    world.symlink(f"{OFFLINE}/files/model.txt", f"{world.cwd}/model.txt")
    world.symlink("wandb/latest-run", OFFLINE.removeprefix("wandb/"))
    world.symlink("wandb/debug.log", f"{OFFLINE.removeprefix('wandb/')}/logs/debug.log")


@pytest.mark.parametrize(("old", "new", "place"), [
    (OFFLINE, "archive/run1", "archive/run1"),
    (OFFLINE, "a b/run 1", "a b/run 1"),
    ("wandb", "archive/w", f"archive/w/{OFFLINE.removeprefix('wandb/')}"),
    ("wandb", "old/wandb", f"old/{OFFLINE}"),
])
def test_renamed_run_of_wandb(world, old, new, place):
    whole_run(world)
    world.move(old, new)
    found = world.analyze()
    run = only(found)
    assert (run.state, run.project, run.name) == ("offline", "demo", "calm")
    assert shlex.split(run.how_to_view) == ["wandb", "sync", f"{world.cwd}/{place}"]
    assert outputs(world, found) == {"model.txt", f"{place}/files/mine.txt"}


def test_run_that_is_renamed_on_and_on(world):
    whole_run(world)
    world.move(OFFLINE, "staging/x")
    world.move("staging", "archive")
    found = world.analyze()
    assert only(found).how_to_view == f"wandb sync {world.cwd}/archive/x"
    assert outputs(world, found) == {"model.txt", "archive/x/files/mine.txt"}


@pytest.mark.parametrize("symlinks", [False, True])
@pytest.mark.parametrize(("new", "place"), [
    ("archive/w", f"archive/w/{OFFLINE.removeprefix('wandb/')}"), ("old/wandb", f"old/{OFFLINE}"),
])
def test_run_of_wandb_that_is_copied_and_removed(world, new, place, symlinks):
    whole_run(world)
    world.copy_away("wandb", new, symlinks=symlinks)
    found = world.analyze()
    run = only(found)
    assert (run.state, run.project, run.name) == ("offline", "demo", "calm")
    assert run.how_to_view == f"wandb sync {world.cwd}/{place}"
    left = outputs(world, found)
    assert {"model.txt", f"{place}/files/mine.txt"} <= left
    assert {path.rpartition("/")[2] for path in left} == {"model.txt", "mine.txt"}


def test_one_of_two_runs_is_moved(world):
    whole_run(world)
    other = "wandb/offline-run-20261122_231800-def67890"
    run_folder(world, other, "def67890")
    world.move(OFFLINE, "archive/run1")
    found = world.analyze()
    assert {run.run_id: run.how_to_view for run in found.runs} == {
        "abc12345": f"wandb sync {world.cwd}/archive/run1", "def67890": f"wandb sync {world.cwd}/{other}",
    }


@pytest.mark.parametrize("take", ["move", "copy_away"])
def test_part_that_is_taken_out_of_a_run_is_the_users(world, take):
    whole_run(world)
    world.write(f"{OFFLINE}/files/media/images/a.png", b"a")
    world.write(f"{OFFLINE}/files/media/images/b.png", b"b")
    getattr(world, take)(f"{OFFLINE}/files/media", "plots")
    found = world.analyze()
    assert {"plots/images/a.png", "plots/images/b.png"} <= outputs(world, found)
    assert only(found).how_to_view == f"wandb sync {world.cwd}/{OFFLINE}"


def test_part_that_is_saved_before_the_rest_is_removed_is_the_users(world):
    whole_run(world)
    world.write(f"{OFFLINE}/files/media/images/a.png", b"a")
    world.move(f"{OFFLINE}/files/media", "plots")
    world.copy_away("wandb", "trash")
    for path in list(world.uses):
        if "/trash/" in path:
            world.touch(path, exists=False)
    assert "plots/images/a.png" in outputs(world, world.analyze())


def test_file_that_takes_the_place_of_a_moved_one_is_the_users(world):
    folder = "swanlog/run-20261122_231729-abc12345"
    world.write(f"{folder}/run-abc12345.swanlab", b":SWL")
    world.write(f"{folder}/files/config.yaml", b"x")
    world.move(folder, "archive/run1")
    world.touch(f"{world.cwd}/archive/run1/files/config.yaml", last_ns=world.clock + 1)
    assert outputs(world, world.analyze()) == {"archive/run1/files/config.yaml"}


def test_folder_of_the_users_beside_the_log_is_not_lost(world):
    whole_run(world)
    world.move(f"{OFFLINE}/run-abc12345.wandb", "results/run-abc12345.wandb")
    for path in ("results/logs/train.log", "results/code/net.py", "results/files/best.pt", "results/model.pt"):
        world.write(path, b"x")
    assert outputs(world, world.analyze()) >= {
        "results/logs/train.log", "results/code/net.py", "results/files/best.pt", "results/model.pt"}


def test_upload_of_a_moved_run_in_a_later_job(world):
    world.read("archive/run1/run-abc12345.wandb", log())
    world.write("archive/run1/run-abc12345.wandb.synced")
    world.say(f"wandb: [demo/abc12345] View run calm at {SERVER}/t/demo/runs/abc12345")
    found = world.analyze()
    assert found.runs == ()
    [update] = found.updates
    assert (update.run_id, update.becomes.url) == ("abc12345", f"{SERVER}/t/demo/runs/abc12345")
    assert outputs(world, found) == set()


def test_log_of_another_format_proves_no_run(world):
    world.write("archive/run1/run-abc12345.wandb", b"WAND, an adventure")
    world.write("archive/run1/logs/debug.log", b"mine")
    assert outputs(world, world.analyze()) == {"archive/run1/run-abc12345.wandb", "archive/run1/logs/debug.log"}


def test_runs_of_earlier_jobs_that_are_moved_are_not_this_jobs(world):
    run_id = "a" * 32
    world.read(f"mlruns/0/{run_id}/meta.yaml", f"run_id: {run_id}\nrun_name: calm\n".encode())
    world.move("mlruns", "archive/mlruns")
    assert world.analyze().runs == ()


@pytest.mark.parametrize("take", ["move", "copy_away"])
def test_mlflow_file_store(world, take):
    run_id = "a" * 32
    world.write("mlruns/0/meta.yaml", b"experiment_id: '0'\nname: Default\n")
    world.write(f"mlruns/0/{run_id}/meta.yaml", f"run_id: {run_id}\nrun_name: calm\nexperiment_id: '0'\n".encode())
    world.write(f"mlruns/0/{run_id}/metrics/loss", b"1 0.5 0\n")
    world.write(f"mlruns/0/{run_id}/checkpoints/best.ckpt", b"best")
    getattr(world, take)("mlruns", "archive/store")
    found = world.analyze()
    run = only(found)
    assert (run.run_id, run.name) == (run_id, "calm")
    assert f"{world.cwd}/archive/store" in run.how_to_view
    assert outputs(world, found) == {f"archive/store/0/{run_id}/checkpoints/best.ckpt"}


def test_mlflow_database(world):
    path = world.write("mlflow.db")
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE alembic_version (v); CREATE TABLE latest_metrics (v);
        CREATE TABLE experiments (experiment_id, name); CREATE TABLE tags (run_uuid, key, value);
        CREATE TABLE runs (run_uuid, name, experiment_id, start_time, end_time);
        INSERT INTO runs VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'calm', 1, 1, 2)""")
    connection.close()
    world.move("mlflow.db", "archive/old runs.db")
    found = world.analyze()
    assert only(found).how_to_view.endswith(f"sqlite:///{world.cwd}/archive/old%20runs.db")
    assert outputs(world, found) == set()


@pytest.mark.parametrize("take", ["move", "copy_away"])
@pytest.mark.parametrize("new", ["archive/.neptune", "archive/n1"])
def test_neptune_offline(world, take, new):
    folder = ".neptune/offline/run__12345678-1234-1234-1234-123456789abc"
    world.write(f"{folder}/data-1.log", b"x")
    world.write(f"{folder}/last_put_version", b"1")
    world.write("model.txt", b"model")
    getattr(world, take)(".neptune", new)
    found = world.analyze()
    run = only(found)
    assert outputs(world, found) == {"model.txt"}
    if new.endswith(".neptune"):
        assert f"--path {world.cwd}/archive " in run.how_to_view
    else:
        assert f"{world.cwd}/archive/n1/" in run.note


@pytest.mark.parametrize("take", ["move", "copy_away"])
def test_swanlab_folder(world, take):
    folder = "swanlog/run-20261122_231729-abc12345"
    world.write(f"{folder}/run-abc12345.swanlab", b":SWL")
    world.write(f"{folder}/files/config.yaml", b"x")
    getattr(world, take)(folder, "archive/run1")
    found = world.analyze()
    assert only(found).how_to_view == f"swanlab sync {world.cwd}/archive/run1"
    assert outputs(world, found) == set()


def test_comet_archive(world):
    key = "ab" * 16
    world.write(f".cometml-runs/{key}.zip", b"PK")
    world.move(f".cometml-runs/{key}.zip", f"archive/{key}.zip")
    found = world.analyze()
    assert only(found).how_to_view == f"comet upload {world.cwd}/archive/{key}.zip"
    assert outputs(world, found) == set()


@pytest.mark.parametrize("take", ["move", "copy_away"])
def test_tensorboard_folder_is_referenced_once(world, take):
    world.write("runs/one/events.out.tfevents.1800000000.host.1.0", EVENTS)
    world.write("runs/one/notes.txt", b"mine")
    getattr(world, take)("runs/one", "archive/one")
    found = world.analyze()
    run = only(found)
    assert (run.run_id, run.how_to_view) == ("archive/one", f"tensorboard --logdir {world.cwd}/archive/one")
    assert outputs(world, found) == {"archive/one/notes.txt"}


OFFLINE_JOB = """
import os, struct, sys
folder = "wandb/offline-run-20261122_231729-abc12345"
os.makedirs(f"{folder}/files")
open(f"{folder}/run-abc12345.wandb", "wb").write(bytes.fromhex(sys.argv[1]))
open(f"{folder}/files/config.yaml", "w").write("x")
open("model.txt", "w").write("model")
"""


@pytest.mark.parametrize("steps", [
    [["mv", "wandb/offline-run-20261122_231729-abc12345", "a b/run's"]], [["mv", "wandb", "a b/w"]],
    [["mv", "wandb", "x"], ["mv", "x", "a b/w"]],
])
def test_a_later_job_that_moves_a_run_takes_the_earlier_reference_along(desk, steps):
    (desk.root / "a b").mkdir()
    desk.write("train.py", OFFLINE_JOB)
    desk.roar("run", sys.executable, "train.py", log().hex())
    [run] = desk.job("@1")["tracker_runs"]
    assert run["how_to_view"] == f"wandb sync {desk.root}/{OFFLINE}"
    for words in steps:
        desk.roar("run", *words)
    [run] = desk.job("@1")["tracker_runs"]
    place = shlex.split(run["how_to_view"])[-1]
    assert place.startswith(f"{desk.root}/a b/")
    assert (Path(place) / "run-abc12345.wandb").exists()
    job = desk.job()
    assert (job["tracker_runs"], job["inputs"], job["outputs"]) == ([], [], [])
    assert job["trackers"]["wandb"]["filtered_files"] > 0


TENSORBOARD_JOB = """
import os, sys
if os.path.exists("runs"):
    os.rename("runs", "runs-old")
os.makedirs(f"runs/{sys.argv[1]}/plugins/profile/x")
open(f"runs/{sys.argv[1]}/events.out.tfevents.1800000000.host.1.0", "wb").write(bytes.fromhex(sys.argv[2]))
open(f"runs/{sys.argv[1]}/plugins/profile/x/host.xplane.pb", "w").write("profile")
open("model.txt", "w").write("model")
"""


def paths(job, side):
    return {use["path"] for use in job[side]}


def test_tensorboard_files_that_a_later_job_moves_are_no_files_of_that_job(desk):
    desk.write("train.py", TENSORBOARD_JOB)
    desk.roar("run", sys.executable, "train.py", "one", EVENTS.hex())
    desk.write("runs/one/mine.csv", "mine")
    desk.roar("run", "mv", "runs", "old-runs")
    job = desk.job()
    assert (paths(job, "inputs"), paths(job, "outputs")) == ({"runs/one/mine.csv"}, {"old-runs/one/mine.csv"})
    assert (job["tracker_runs"], job["trackers"]["tensorboard"]["filtered_files"]) == ([], 2)
    [run] = desk.job("@1")["tracker_runs"]
    assert run["how_to_view"] == f"tensorboard --logdir {desk.root}/old-runs/one"
    assert {step["stale"] for step in desk.json("status")["steps"]} == {None}
    desk.roar("run", "cat", "old-runs/one/events.out.tfevents.1800000000.host.1.0")
    lineage = desk.json("lineage", "@3")
    assert {" ".join(one["command"][1:3]) for one in lineage["jobs"]} >= {"train.py one"}


def test_a_script_that_moves_the_tensorboard_files_of_earlier_jobs_out_of_its_way(desk):
    desk.write("train.py", TENSORBOARD_JOB)
    for name in ("one", "two"):
        desk.roar("run", sys.executable, "train.py", name, EVENTS.hex() + name.encode().hex())
    job = desk.job()
    assert (paths(job, "inputs"), paths(job, "outputs")) == ({"train.py"}, {"model.txt"})
    assert [run["run_id"] for run in job["tracker_runs"]] == ["runs/two"]
    assert [run["run_id"] for run in desk.job("@1")["tracker_runs"]] == ["runs-old/one"]
    assert {step["stale"] for step in desk.json("status")["steps"]} == {None}


@pytest.mark.parametrize("code", [
    "os.rename('runs', 'old'); open('old/one/{0}', 'rb').read()",
    "open('runs/one/{0}', 'rb').read(); os.rename('runs', 'old')",
    "shutil.copytree('runs', 'old'); shutil.rmtree('runs')",
], ids=["read there", "read before", "copied"])
def test_a_tensorboard_file_that_is_read_and_moved_is_an_input_that_is_not_missed(desk, code):
    event_file = "events.out.tfevents.1800000000.host.1.0"
    desk.write("train.py", TENSORBOARD_JOB)
    desk.roar("run", sys.executable, "train.py", "one", EVENTS.hex())
    desk.python(f"import os, shutil; {code.format(event_file)}; open('plot.txt', 'w').write('x')")
    job = desk.job()
    assert f"runs/one/{event_file}" in paths(job, "inputs")
    assert paths(job, "outputs") == {"plot.txt"}
    assert {step["stale"] for step in desk.json("status")["steps"]} == {None}


def test_a_run_whose_old_place_is_taken_again_keeps_its_reference(desk):
    desk.write("train.py", OFFLINE_JOB)
    desk.roar("run", sys.executable, "train.py", log().hex())
    desk.roar("run", "sh", "-c", "cp -r wandb copy; mv wandb gone; mv copy wandb")
    [run] = desk.job("@1")["tracker_runs"]
    assert run["how_to_view"] == f"wandb sync {desk.root}/{OFFLINE}"


def test_run_that_is_moved_away_and_back_by_copies(world):
    whole_run(world)
    world.copy_away(OFFLINE, "../tmp/shm")
    world.copy_away("../tmp/shm", "archive/x")
    found = world.analyze()
    assert only(found).how_to_view == f"wandb sync {world.cwd}/archive/x"
    assert {path.rpartition("/")[2] for path in outputs(world, found)} == {"model.txt", "mine.txt"}


def test_run_that_the_job_deletes_has_no_command(world):
    whole_run(world)
    gone = [path for path in world.uses if "/wandb/" in path]
    shutil.rmtree(f"{world.cwd}/wandb")
    for path in gone:
        world.touch(path, exists=False, last_ns=world.clock)
    run = only(world.analyze())
    assert (run.run_id, run.state, run.how_to_view) == ("abc12345", "partial", None)
    assert run.note == "The job deleted the files of this run."


@pytest.mark.parametrize("new", ["archive/run-abc12345.wandb", "run-abc12345.wandb", "a b/backup.wandb"])
def test_log_that_is_taken_out_alone_is_what_the_command_names(world, new):
    whole_run(world)
    world.move(f"{OFFLINE}/run-abc12345.wandb", new)
    run = only(world.analyze())
    assert shlex.split(run.how_to_view) == ["wandb", "sync", f"{world.cwd}/{new}"]


def test_folder_of_the_users_that_takes_the_place_of_a_moved_run_is_theirs(world):
    whole_run(world)
    world.move("wandb", "archive/w")
    world.write("wandb/mine.csv", b"mine")
    world.write("wandb/more/mine.csv", b"mine")
    world.move("wandb", "results")
    found = world.analyze()
    assert {"results/mine.csv", "results/more/mine.csv"} <= outputs(world, found)
    assert only(found).how_to_view == f"wandb sync {world.cwd}/archive/w/{OFFLINE.removeprefix('wandb/')}"


def test_folder_that_is_renamed_into_the_place_of_a_moved_run_and_out_again_is_the_users(world):
    whole_run(world)
    world.write("mine/files/requirements.txt", b"mine")
    world.write("mine/files/mine.csv", b"mine")
    world.move(OFFLINE, "archive/run1")
    world.move("mine", OFFLINE)
    world.move(OFFLINE, "results")
    found = world.analyze()
    assert {"results/files/requirements.txt", "results/files/mine.csv"} <= outputs(world, found)
    assert only(found).how_to_view == f"wandb sync {world.cwd}/archive/run1"
    assert "archive/run1/files/requirements.txt" not in outputs(world, found)


@pytest.mark.parametrize("born", ["elsewhere", "there"])
@pytest.mark.parametrize(("folder", "anchor", "content", "name"), [
    ("swanlog/run-20261122_231729-abc12345", "run-abc12345.swanlab", b":SWL", "files/config.yaml"),
    (OFFLINE, "run-abc12345.wandb", log(), "files/requirements.txt"),
    ("mlruns/0/" + "a" * 32, "meta.yaml", f"run_id: {'a' * 32}\nexperiment_id: '0'\n".encode(), "metrics/loss"),
])
def test_folder_that_takes_the_place_of_a_moved_run_does_not_swap_with_it(world, folder, anchor, content, name, born):
    if folder.startswith("mlruns"):
        world.write("mlruns/0/meta.yaml", b"experiment_id: '0'\nname: Default\n")
    world.write(f"{folder}/{anchor}", content)
    world.write(f"{folder}/{name}", b"the tracker's")
    if born == "elsewhere":
        world.write(f"mine/{name}", b"mine")
    world.move(folder, "archive/run1")
    if born == "elsewhere":
        world.move("mine", folder)
    else:
        world.touch(world.write(f"{folder}/{name}", b"mine"), exists=True, moved_to=None, last_ns=world.clock)
    world.move(folder, "results")
    found = world.analyze()
    assert outputs(world, found) == {f"results/{name}"}


def many_runs(world, count):
    for number in range(count):
        world.write(f"runs/exp{number}/events.out.tfevents.1795390710.host.{number}.0", EVENTS)


def many_renames(world, count):
    run_folder(world, OFFLINE, name="calm")
    for number in range(count):
        world.write(f"{OFFLINE}/files/media/images/{number}.png", b"png")
        world.move(f"{OFFLINE}/files/media/images/{number}.png", f"plots/{number}.png")


def moved_runs(world, count):
    many_runs(world, count)
    for number in range(count):
        world.move(f"runs/exp{number}", f"archive/exp{number}")


def runs_of_one_store(world, count):
    """Each of them names the store in its command."""
    for number in range(count):
        world.write(f"mlruns/0/{number:032x}/meta.yaml", f"run_id: {number:032x}\nexperiment_id: '0'\n".encode())
        world.write(f"mlruns/0/{number:032x}/metrics/loss", b"1 0.5 0\n")


def moved_store(world, count):
    runs_of_one_store(world, count)
    world.move("mlruns", "archive/mlruns")


@pytest.mark.parametrize("job", [many_runs, many_renames, moved_runs, runs_of_one_store, moved_store])
def test_the_cost_grows_with_the_number_of_files_and_not_with_its_square(tmp_path, make_world, job):
    calls = {}
    for count in (1, 50, 400):  # the first one loads the trackers
        world = make_world(tmp_path / str(count))
        job(world, count)
        facts = world.facts()
        calls[count] = 0

        def count_call(frame, event, argument, count=count):
            calls[count] += event in {"call", "c_call"}

        sys.setprofile(count_call)
        try:
            analyze_trackers(facts, {})
        finally:
            sys.setprofile(None)
    assert calls[400] < 12 * calls[50]  # eight times as many files
