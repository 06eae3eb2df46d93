"""Which printed lines prove a run: those of a client that the job loaded, and those that a launcher passed on."""

import pytest

MLFLOW = "🏃 View run calm-owl at: http://127.0.0.1:5000/#/experiments/1/runs/0123456789abcdef0123456789abcdef"
OLD_LOG = f"""{MLFLOW}
[neptune] [info   ] Neptune initialized. Open in the app: https://app.neptune.ai/w/p/e/P-42
ClearML results page: https://app.clear.ml/projects/{"a" * 32}/experiments/{"b" * 32}/output/log
COMET INFO: Experiment is live on comet.com https://www.comet.com/w/p/0123456789abcdef0123456789abcdef
pluto: View run calm-owl at https://pluto.trainy.ai/o/w/projects/p/abc123
* Trackio project initialized: p
* Trackio metrics will be sent to self-hosted server: http://127.0.0.1:7860
"""
TRACKERS = {"mlflow", "neptune", "clearml", "comet", "pluto", "trackio"}


def trackers(world):
    return {run.tracker for run in world.analyze().runs}


@pytest.fixture
def world(world):
    world.clients = False
    return world


def test_a_program_that_prints_an_old_log_made_none_of_its_runs(world):
    world.load("json")
    world.say(OLD_LOG)
    assert trackers(world) == set()


def test_the_clients_that_were_loaded_are_believed(world):
    world.clients = True
    world.say(OLD_LOG)
    assert trackers(world) == TRACKERS


def test_one_client_says_nothing_of_the_others(world):
    world.load("mlflow")
    world.say(OLD_LOG)
    assert trackers(world) == {"mlflow"}


@pytest.mark.parametrize("place", ["/src/mlflow/__init__.py", "/opt/mlflow/__pycache__/__init__.cpython-313.pyc"])
def test_a_client_is_known_wherever_it_lies(world, place):
    world.touch(place, read=True)
    world.say(MLFLOW)
    assert trackers(world) == {"mlflow"}


def test_a_launcher_passes_on_what_was_printed_elsewhere(world):
    world.process("/usr/bin/srun", pid=7)
    world.process("/usr/bin/python3", pid=8)
    world.say(MLFLOW, pid=7)
    world.say(MLFLOW.replace("0123", "ffff"), pid=8)
    assert [run.run_id[:4] for run in world.analyze().runs] == ["0123"]


def test_a_part_of_another_package_is_not_the_package(world):
    world.load("wandb", "wandb/docker", "integrations/mlflow", "integrations")
    world.say(OLD_LOG)
    assert trackers(world) == set()


def test_a_package_that_reaches_other_machines_passes_on_theirs(world):
    world.load("ray")
    world.say(MLFLOW)
    assert trackers(world) == {"mlflow"}
