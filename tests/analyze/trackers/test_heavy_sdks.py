"""Old and heavy SDKs, each in an environment of its own. `make test-trackers` runs these."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.sdk, pytest.mark.heavy]
TESTS = Path(__file__).parents[2]
KEY = "k" * 40
WANDB = """
import wandb
from pathlib import Path
run = wandb.init(project="demo", name="first")
run.log({"loss": 0.5})
Path("model.txt").write_text("model")
Path(run.dir, "mine.txt").write_text("mine")
run.finish()
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


def environment(name, made_once):
    """The interpreter of an environment with what tests/requirements-NAME.txt lists, made for all workers."""
    ready = os.environ.get(f"ROAR_TEST_{name.upper().replace('-', '_')}")  # one that is there already
    if ready:
        return ready

    def make(folder):
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        subprocess.run([sys.executable, TESTS.parent / "tools/install.py", "--into", folder / "bin/python",
                        "-r", TESTS / f"requirements-{name}.txt"], check=True, timeout=1200)

    return str(made_once(name, make) / "bin/python")


@pytest.fixture(scope="module")
def old(made_once):
    return environment("old-trackers", made_once)


@pytest.fixture(scope="module")
def ray(made_once):
    return environment("ray", made_once)


@pytest.fixture(scope="module")
def lightning(made_once):
    return environment("lightning", made_once)


LIGHTNING = """
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from torch.utils.data import DataLoader, TensorDataset

class Model(LightningModule):
    def __init__(self, size=2):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(size, 1)
    def training_step(self, batch, _):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

data = DataLoader(TensorDataset(torch.randn(8, 2)), batch_size=4)
trainer = Trainer(max_epochs=1, logger=LOGGER, enable_progress_bar=False, accelerator="cpu", log_every_n_steps=1)
trainer.fit(Model(), data)
"""


def outputs(job):
    return {output["path"] for output in job["outputs"]}


def only(job):
    [run] = job["tracker_runs"]
    return run


def test_old_wandb_online(train, old, wandb_server):
    job = train(WANDB, python=old, WANDB_BASE_URL=wandb_server.url, WANDB_API_KEY=KEY)
    run = only(job)
    assert run["url"] == f"{wandb_server.url}/acme-team/demo/runs/{run['run_id']}"
    assert {path for path in outputs(job) if not path.endswith("files/mine.txt")} == {"model.txt"}


def test_old_wandb_offline_and_then_uploaded(desk, train, old, wandb_server):
    folder = only(train(WANDB, python=old, WANDB_MODE="offline"))["how_to_view"].removeprefix("wandb sync ")
    wandb = os.path.join(os.path.dirname(old), "wandb")
    desk.roar("run", wandb, "sync", folder, env={"WANDB_BASE_URL": wandb_server.url, "WANDB_API_KEY": KEY})
    run = only(desk.job("@1"))
    assert run["url"] == f"{wandb_server.url}/acme-team/demo/runs/{run['run_id']}"


def test_old_mlflow_file_store(desk, train, old):
    job = train(MLFLOW, python=old)
    assert only(job)["run_id"] == (desk.root / "run-id.txt").read_text()
    assert only(job)["how_to_view"] == f"mlflow ui --backend-store-uri {desk.root}/mlruns"
    assert outputs(job) == {"model.txt", "run-id.txt"}


def test_old_mlflow_with_a_new_server(desk, train, old, mlflow_server):
    job = train(MLFLOW, python=old, MLFLOW_TRACKING_URI=mlflow_server)
    urls = {run["name"]: run["url"] for run in job["tracker_runs"]}
    assert urls["calm-owl"].endswith((desk.root / "run-id.txt").read_text())


def test_neptune_scale_offline(train, old):
    job = train("""
from neptune_scale import Run
if __name__ == "__main__":
    run = Run(project="acme/demo", run_id="exp-1", mode="offline")
    run.log_metrics({"loss": 0.5}, step=1)
    run.close()
""", python=old)
    run = only(job)
    assert (run["run_id"], run["project"], run["state"], outputs(job)) == ("exp-1", "acme/demo", "offline", set())


def test_ray_tune(train, ray):
    job = train("""
import os
from ray import tune
def trial(config):
    with open("mine.txt", "w") as file:
        file.write("mine")
    tune.report({"loss": config["lr"]})
tune.Tuner(
    trial, param_space={"lr": tune.grid_search([0.1, 0.2])},
    run_config=tune.RunConfig(storage_path=os.path.abspath("results"), name="search"),
).fit()
""", python=ray, TMPDIR="/tmp")
    assert [(run["tracker"], run["run_id"]) for run in job["tracker_runs"]] == [("ray", "search")]
    assert not [path for path in outputs(job) if path.startswith("results/") and not path.endswith("mine.txt")]


@pytest.mark.parametrize(("logger", "tracker"), [
    ('TensorBoardLogger(".")', "tensorboard"), ('CSVLogger(".")', None), ('MLFlowLogger("exp")', "mlflow"),
    ('WandbLogger(project="demo", offline=True)', "wandb"),
])
def test_lightning_checkpoints_are_the_users_wherever_a_logger_puts_them(train, lightning, logger, tracker):
    job = train(LIGHTNING.replace("LOGGER", logger), python=lightning, MLFLOW_ALLOW_FILE_STORE="true")
    assert [run["tracker"] for run in job["tracker_runs"]] == ([tracker] if tracker else [])
    [checkpoint] = outputs(job)
    assert checkpoint.endswith(".ckpt")
    assert "/checkpoints/" in checkpoint
