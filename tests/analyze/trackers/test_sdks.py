"""The real SDKs under the real `roar run`: online against servers of our own on loopback, offline, local."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "fakes"))

pytestmark = pytest.mark.sdk
KEY = "k" * 40

WANDB = """
import os, wandb
from pathlib import Path
run = wandb.init(project="demo", name="first", config={"lr": 0.1})
for step in range(3):
    run.log({"loss": 1 / (step + 1)})
Path("model.txt").write_text("model")
wandb.save("model.txt", policy="now")
Path(run.dir, "mine.txt").write_text("mine")
"""
MLFLOW = """
import mlflow
from pathlib import Path
mlflow.set_experiment("digits")
with mlflow.start_run(run_name="calm-owl") as run:
    mlflow.log_metric("loss", 0.5)
    Path("model.txt").write_text("model")
    mlflow.log_artifact("model.txt")
    Path("run-id.txt").write_text(run.info.run_id)
"""


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def outputs(job):
    return {output["path"] for output in job["outputs"]}


def only(job):
    [run] = job["tracker_runs"]
    return run


# W&B

@needs("wandb")
def test_wandb_offline(train):
    job = train(WANDB + "run.finish()\n", WANDB_MODE="offline")
    run = only(job)
    assert (run["tracker"], run["state"], run["project"], run["name"]) == ("wandb", "offline", "demo", "first")
    folder = run["how_to_view"].removeprefix("wandb sync ")
    assert os.path.isdir(folder)
    assert outputs(job) == {"model.txt", f"wandb/{os.path.basename(folder)}/files/mine.txt"}
    assert job["trackers"]["wandb"]["filtered_files"] > 5


@needs("wandb")
@pytest.mark.parametrize(("move", "place"), [
    ("os.makedirs('archive'); os.rename(folder, 'archive/run1')", "archive/run1"),
    ("os.makedirs('archive'); shutil.move('wandb', 'archive/w')", "archive/w/RUN"),
    ("shutil.copytree('wandb', 'old/wandb', symlinks=True); shutil.rmtree('wandb')", "old/wandb/RUN"),
    ("shutil.copytree('wandb', 'archive/w'); shutil.rmtree('wandb')", "archive/w/RUN"),
], ids=["run renamed", "all renamed", "copied with links", "copied"])
def test_wandb_offline_run_that_the_script_moves(train, move, place):
    finish = "run.finish()\nwandb.teardown()"  # the service may write the end of the log later
    script = f"import glob, shutil\n{WANDB}{finish}\n[folder] = glob.glob('wandb/offline-run-*')\n{move}\n"
    job = train(script, WANDB_MODE="offline")
    run = only(job)
    folder = run["how_to_view"].removeprefix("wandb sync ")
    assert (run["state"], run["project"], run["name"]) == ("offline", "demo", "first")
    assert os.path.exists(f"{folder}/run-{run['run_id']}.wandb")
    assert folder.endswith(place.replace("RUN", os.path.basename(folder)))
    assert {path.rpartition("/")[2] for path in outputs(job)} == {"model.txt", "mine.txt"}


@needs("wandb")
@pytest.mark.parametrize(("start", "end", "evidence"), [
    ("", "run.finish()", "console"), ("", "", "console"), ("", "raise SystemExit(3)", "console"),
    ("import os; os.environ |= {'WANDB_BASE_URL': '@', 'WANDB_SILENT': 'true'}", "run.finish()", "child environment"),
])
def test_wandb_online(train, wandb_server, start, end, evidence):
    given = {} if start else {"WANDB_BASE_URL": wandb_server.url}
    script = start.replace("@", wandb_server.url) + WANDB + end
    job = train(script, status=3 if "raise" in end else 0, WANDB_API_KEY=KEY, **given)
    run = only(job)
    assert run["url"] == f"{wandb_server.url}/acme-team/demo/runs/{run['run_id']}"
    assert (run["entity"], run["project"], run["state"], run["evidence"]) == ("acme-team", "demo", "online", evidence)
    assert "model.txt" in outputs(job)
    assert not [path for path in outputs(job) if path.startswith("wandb/") and not path.endswith("files/mine.txt")]


@needs("wandb")
def test_wandb_several_runs_each_once(train, wandb_server):
    job = train("""
import wandb
for number in range(2):
    run = wandb.init(project="demo", id="same"); run.log({"a": number}); run.finish()
one, other = (wandb.init(project=name, reinit="create_new") for name in ("p1", "p2"))
one.log({"x": 1}); other.log({"x": 1}); one.finish(); other.finish()
with wandb.init(project="demo", id="same", resume="must") as run:
    run.log({"z": 1})
""", WANDB_BASE_URL=wandb_server.url, WANDB_API_KEY=KEY)
    assert sorted(run["project"] for run in job["tracker_runs"]) == ["demo", "p1", "p2"]
    assert all(run["url"].startswith(wandb_server.url) for run in job["tracker_runs"])
    assert outputs(job) == set()


@needs("wandb")
def test_wandb_offline_run_gains_its_address_when_a_later_job_uploads_it(desk, train, wandb_server):
    first = train(WANDB + "run.finish()\n", WANDB_MODE="offline")
    folder = only(first)["how_to_view"].removeprefix("wandb sync ")
    wandb = os.path.join(os.path.dirname(sys.executable), "wandb")
    desk.roar("run", wandb, "sync", folder, env={"WANDB_BASE_URL": wandb_server.url, "WANDB_API_KEY": KEY})
    run = only(desk.job("@1"))
    assert (run["state"], run["url"]) == ("online", f"{wandb_server.url}/acme-team/demo/runs/{run['run_id']}")
    assert desk.job()["tracker_runs"] == []


@needs("wandb")
def test_wandb_secrets_are_nowhere(desk, train, wandb_server):
    train(WANDB, WANDB_BASE_URL=wandb_server.url, WANDB_API_KEY="topsecret" * 5)
    for path in (desk.root / ".roar").rglob("*"):
        if path.is_file():
            assert b"topsecret" not in path.read_bytes(), path


# MLflow

@needs("mlflow")
def test_mlflow_default_store_and_a_second_job_in_it(desk, train):
    first = train(MLFLOW)
    second = train(MLFLOW)
    assert only(first)["run_id"] != only(second)["run_id"] == (desk.root / "run-id.txt").read_text()
    assert (only(second)["state"], only(second)["project"]) == ("local", "digits")
    assert only(second)["how_to_view"] == f"mlflow ui --backend-store-uri sqlite:///{desk.root}/mlflow.db"
    assert outputs(second) == {"model.txt", "run-id.txt"}


@needs("mlflow")
def test_mlflow_file_store(desk, train):
    job = train(MLFLOW, MLFLOW_TRACKING_URI="file:./store", MLFLOW_ALLOW_FILE_STORE="true")
    assert only(job)["run_id"] == (desk.root / "run-id.txt").read_text()
    assert outputs(job) == {"model.txt", "run-id.txt"}


@needs("mlflow")
def test_mlflow_logged_model_leads_to_the_job_that_reads_it(desk, train):
    train("""
import mlflow
class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
with mlflow.start_run():
    open("uri.txt", "w").write(mlflow.pyfunc.log_model(name="echo", python_model=Echo()).model_uri)
""")
    producer = desk.job()
    assert outputs(producer) == {"uri.txt"}
    job = train("""
import mlflow
model = mlflow.pyfunc.load_model(open("uri.txt").read())
open("prediction.txt", "w").write(str(model.predict([1])))
""")
    assert any(entry["path"].endswith("artifacts/python_model.pkl") for entry in job["inputs"])
    lineage = desk.json("lineage", "prediction.txt")
    assert producer["uid"] in {job["uid"] for job in lineage["jobs"]}


@needs("mlflow")
@pytest.mark.parametrize("user_info", ["", "user:topsecret@"])
def test_mlflow_server(desk, train, mlflow_server, user_info):
    job = train(MLFLOW, MLFLOW_TRACKING_URI=mlflow_server.replace("//", f"//{user_info}"))
    runs = {run["name"]: run for run in job["tracker_runs"]}
    run = runs["calm-owl"]
    assert run["url"].startswith(f"{mlflow_server}/#/experiments/")
    assert run["url"].endswith(f"/runs/{(desk.root / 'run-id.txt').read_text()}")
    assert (run["state"], run["server"]) == ("online", mlflow_server)
    assert outputs(job) == {"model.txt", "run-id.txt"}
    stored = (path for path in (desk.root / ".roar").rglob("*") if path.is_file())
    assert b"topsecret" not in b"".join(path.read_bytes() for path in stored)


# Neptune, TensorBoard

@needs("neptune")
def test_neptune_offline(train):
    job = train("""
import neptune
run = neptune.init_run(mode="offline", project="acme/demo")
run["loss"] = 1
run.stop()
""")
    run = only(job)
    assert (run["state"], outputs(job)) == ("offline", set())
    assert f"--object offline/{run['run_id']}" in run["how_to_view"]


@needs("tensorboardX")
def test_tensorboard(desk, train):
    job = train("""
from tensorboardX import SummaryWriter
writer = SummaryWriter("runs/a")
writer.add_scalar("x", 1, 1)
writer.add_hparams({"lr": 0.1}, {"accuracy": 1})
writer.close()
open("model.txt", "w").write("model")
""")
    run = only(job)
    assert (run["run_id"], run["how_to_view"]) == ("runs/a", f"tensorboard --logdir {desk.root}/runs/a")
    assert outputs(job) == {"model.txt"}


# ClearML, Comet, SwanLab: online against servers of our own

@needs("clearml")
def test_clearml_online(desk, train):
    from clearml_server import FakeClearMl  # noqa: PLC0415  from the folder that was put on the path above

    # the SDK's reporting process is forked with threads running, which hangs it now and then, with roar or without
    (desk.home / "clearml.conf").write_text("sdk { development { report_use_subprocess: false } }\n")
    with FakeClearMl() as server:
        job = train("""
from clearml import Task
task = Task.init(project_name="demo", task_name="first", auto_connect_frameworks=False)
open("model.txt", "w").write("model")
open("id.txt", "w").write(task.id)
task.close()
""", CLEARML_API_HOST=server.url, CLEARML_WEB_HOST="http://clearml.example:8080", CLEARML_FILES_HOST=server.url,
                    CLEARML_API_ACCESS_KEY="AK", CLEARML_API_SECRET_KEY="topsecret")
        run = only(job)
        task = f"{server.project}/experiments/{next(iter(server.tasks))}/output/log"
    assert run["url"] == f"http://clearml.example:8080/projects/{task}"
    assert (run["project"], run["name"], outputs(job)) == ("demo", "first", {"model.txt", "id.txt"})


@needs("comet_ml")
def test_comet_online(train):
    from comet_server import FakeComet  # noqa: PLC0415  from the folder that was put on the path above

    with FakeComet() as server:
        job = train("""
import comet_ml
experiment = comet_ml.Experiment(api_key="x" * 25, project_name="demo", workspace="acme")
experiment.log_metric("a", 1)
open("model.txt", "w").write("model")
experiment.end()
""", COMET_URL_OVERRIDE=f"{server.url}/clientlib/")
    run = only(job)
    assert run["url"] == f"{FakeComet.pages}/acme/demo/{run['run_id']}"
    assert outputs(job) == {"model.txt"}


@needs("comet_ml")
def test_comet_offline(train):
    job = train("""
import comet_ml
experiment = comet_ml.OfflineExperiment(project_name="demo", workspace="acme")
experiment.log_metric("a", 1)
experiment.end()
""")
    run = only(job)
    assert (run["state"], run["project"], run["entity"], outputs(job)) == ("offline", "demo", "acme", set())
    assert os.path.isfile(run["how_to_view"].removeprefix("comet upload "))


@needs("swanlab")
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_swanlab(train, mode):
    from swanlab_server import FakeSwanLab  # noqa: PLC0415  from the folder that was put on the path above

    with FakeSwanLab() as server:
        job = train(f"""
import swanlab
swanlab.init(project="demo", workspace="acme", experiment_name="first", mode="{mode}")
swanlab.log({{"a": 1}})
open("model.txt", "w").write("model")
swanlab.finish()
""", SWANLAB_API_HOST=server.url, SWANLAB_WEB_HOST="http://swan-lab.corp.example", SWANLAB_API_KEY="k" * 21)
    run = only(job)
    assert (run["entity"], run["project"], run["name"]) == ("acme", "demo", "first")
    page = f"http://swan-lab.corp.example/@acme/demo/runs/{run['run_id']}"
    assert (run["state"], run["url"]) == (mode, page if mode == "online" else None)
    assert outputs(job) == {"model.txt"}


# Aim, Trackio, DVCLive, Sacred: local

@needs("aim")
def test_aim(desk, train):
    script = """
from aim import Run
run = Run(experiment="e"); run.track(1.0, name="loss"); run.close()
open("hash.txt", "w").write(run.hash)
"""
    for _ in range(2):
        job = train(script)
        assert only(job)["run_id"] == (desk.root / "hash.txt").read_text()
        assert outputs(job) == {"hash.txt"}


@needs("trackio")
def test_trackio(train):
    for name in ("one", "two"):
        job = train(f"""
import trackio
trackio.init(project="demo proj", name="{name}"); trackio.log({{"a": 1}}); trackio.finish()
""")
        assert (only(job)["name"], only(job)["project"], outputs(job)) == (name, "demoproj", set())


@needs("dvclive")
def test_dvclive(train):
    job = train("""
from dvclive import Live
with Live(save_dvc_exp=False) as live:
    live.log_param("lr", 0.1); live.log_metric("loss", 0.5); live.next_step()
open("model.txt", "w").write("model")
""")
    assert only(job)["tracker"] == "dvclive"
    assert not [path for path in outputs(job) if path.startswith(("dvclive/", ".dvc/tmp", ".dvc/cache"))]
    assert "model.txt" in outputs(job)


@pytest.fixture
def dvc(desk, request):
    """A pipeline of DVC's of one stage, with one type of cache; `dvc` alone, and as a job."""
    quiet = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": os.fspath(desk.home / "site")}
    program = [sys.executable, "-m", "dvc"]

    def alone(*arguments):
        subprocess.run([*program, *arguments, "-q"], cwd=desk.root, env=desk.env | quiet, check=True)

    def job(*arguments):
        desk.roar("run", *program, *arguments, "-q", env=quiet)
        return desk.job()

    desk.init()
    alone("init")
    alone("config", "cache.type", request.param)
    alone("remote", "add", "-d", "far", os.fspath(desk.tmp / "far"))
    desk.write("data/a", "1\n")
    desk.write("data/b", "2\n")
    alone("add", "data")
    desk.write("dvc.yaml", "stages: {train: {cmd: cat data/* > model.bin, deps: [data], outs: [model.bin]}}")
    return SimpleNamespace(desk=desk, alone=alone, job=job)


def place(desk, name):
    return os.path.relpath(os.path.realpath(desk.root / name), desk.root)


def what_made(desk, name):
    """What a job reads that reads a file, and the jobs before it."""
    desk.roar("run", "sh", "-c", f"wc -c {name} > o")
    return [use["path"] for use in desk.job()["inputs"]], {job["uid"] for job in desk.json("lineage", "o")["jobs"]}


@needs("dvc")
@pytest.mark.parametrize("dvc", ["symlink", "hardlink", "copy"], indirect=True)
def test_what_dvc_makes_and_fetches_is_an_output_where_it_lies(dvc):
    desk = dvc.desk
    made = dvc.job("repro")
    model, data = place(desk, "model.bin"), {place(desk, "data/a"), place(desk, "data/b")}
    assert model.startswith(".dvc/cache/") == (desk.root / "model.bin").is_symlink()
    assert outputs(made) == {model, "dvc.lock"}
    assert made["trackers"].keys() == {"dvc"}
    assert data <= {use["path"] for use in made["inputs"]}
    read, jobs = what_made(desk, "model.bin")
    assert (read, made["uid"] in jobs) == ([model], True)

    dvc.alone("push")
    for name in (".dvc/cache", "data"):
        shutil.rmtree(desk.root / name)
    (desk.root / "model.bin").unlink()
    fetched = dvc.job("pull")
    assert outputs(fetched) == {model, *data}
    read, jobs = what_made(desk, "data/a")
    assert (read, fetched["uid"] in jobs) == ([place(desk, "data/a")], True)


@needs("dvc")
@pytest.mark.parametrize("dvc", ["symlink"], indirect=True)
def test_a_cache_of_dvc_that_lies_elsewhere_by_a_symlink(dvc):
    desk = dvc.desk
    (desk.root / ".dvc/cache").rename(desk.tmp / "cache")
    (desk.root / ".dvc/cache").symlink_to(desk.tmp / "cache")
    made = dvc.job("repro")
    model = os.path.realpath(desk.root / "model.bin")
    assert outputs(made) == {model, "dvc.lock"}
    read, jobs = what_made(desk, "model.bin")
    assert (read, made["uid"] in jobs) == ([model], True)


@needs("sacred")
def test_sacred(train):
    job = train("""
from sacred import Experiment
from sacred.observers import FileStorageObserver
experiment = Experiment("demo", save_git_info=False)
experiment.observers.append(FileStorageObserver("my_runs"))
@experiment.main
def main():
    open("model.txt", "w").write("model")
    experiment.add_artifact("model.txt")
experiment.run()
""")
    assert (only(job)["tracker"], only(job)["run_id"], outputs(job)) == ("sacred", "1", {"model.txt"})
