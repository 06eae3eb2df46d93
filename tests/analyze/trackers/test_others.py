"""The rules of the other trackers: what is a run, what is filtered, what stays the user's."""

import base64
import io
import json
import sqlite3
import zipfile

import pytest

from roar.analyze.trackers import Ownership, initial_environment

HEX24, HEX32 = "0123456789abcdef01234567", "0123456789abcdef0123456789abcdef"
UUID = "6e299364-dff0-4eef-8885-825951ffa1ce"
EVENTS = b"\x18" + b"\0" * 11 + b"\x09" + b"\0" * 8 + b"\x1a\x0dbrain.Event:2" + b"\0" * 4


def one(analysis):
    [run] = analysis.runs
    return run


def kept(world, analysis):
    return {path.removeprefix(f"{world.cwd}/") for path in world.uses.keys() - analysis.owned.keys()}


# TensorBoard

@pytest.mark.parametrize("name", [
    "events.out.tfevents.1795390710.vm.8850.0", "events.out.tfevents.1795390716.vm",
    "events.out.tfevents.1795390716.vm.1.2.v2",
])
@pytest.mark.parametrize("content", [EVENTS, b""])
def test_event_files_are_payloads_and_make_one_run_per_log_folder(world, name, content):
    path = world.write(f"runs/a b/{name}", content)
    world.write(f"runs/a b/hparam_1/{name}", content)
    analysis = world.analyze()
    run = one(analysis)
    assert (run.run_id, run.state) == ("runs/a b", "local")
    assert run.how_to_view == f"tensorboard --logdir '{world.cwd}/runs/a b'"
    assert analysis.owned[path] == ("tensorboard", Ownership.PAYLOAD)


def test_train_and_validation_are_one_run(world):
    for part in ("train", "validation"):
        world.write(f"logs/fit/{part}/events.out.tfevents.1795390710.vm.1.2.v2", EVENTS)
    assert one(world.analyze()).run_id == "logs/fit"


def test_lightning_files_go_and_checkpoints_stay(world):
    folder = "lightning_logs/version_0"
    world.write(f"{folder}/events.out.tfevents.1795390710.vm.1.0", EVENTS)
    for name in ("hparams.yaml", "metrics.csv", "checkpoints/epoch=0.ckpt"):
        world.write(f"{folder}/{name}")
    world.write("results/metrics.csv")
    world.write("config/hparams.yaml")
    analysis = world.analyze()
    checkpoint = f"{folder}/checkpoints/epoch=0.ckpt"
    assert kept(world, analysis) == {checkpoint, "results/metrics.csv", "config/hparams.yaml"}


@pytest.mark.parametrize(("name", "content"), [
    ("events.out.tfevents.1700000000.host", b"these are not the events you are looking for"),
    ("events.out.tfevents.txt", EVENTS), ("runs/exp1/weights.pt", b"x"), ("runs/detect/train/results.csv", b"x"),
])
def test_what_only_looks_like_tensorboard_stays(world, name, content):
    world.write(name, content)
    assert not world.analyze().owned


def test_event_file_that_is_only_read_is_an_input(world):
    path = world.read("runs/a/events.out.tfevents.1795390716.vm", EVENTS)
    analysis = world.analyze()
    assert path not in analysis.owned
    assert not analysis.runs


def test_event_file_in_another_trackers_folder_belongs_to_that(world):
    for name in ("result.json", "params.json", "params.pkl", "events.out.tfevents.1795391549.vm"):
        world.write(f"ray/exp/trial/{name}", EVENTS)
    world.write("ray/exp/trial/checkpoint_000001/model.pt")
    analysis = world.analyze()
    assert [run.tracker for run in analysis.runs] == ["ray"]
    assert kept(world, analysis) == {"ray/exp/trial/checkpoint_000001/model.pt"}


# ClearML

def session(world, entry, server="http://127.0.0.1:8008", **given):
    key = f"<{server}>:<demo>:<t1>:<training>"
    content = json.dumps({"<class 'clearml.task.Task'>": {key: entry}})
    path = world.write(f"{world.home}/.clearml/.session.json", content.encode())
    world.touch(path, **given)


def test_clearml_task_from_the_session_file(world):
    session(world, {"time": 1.0, "project": "demo", "name": "t1", "id": HEX32})
    run = one(world.analyze())
    assert run.url == f"http://127.0.0.1:8080/projects/*/experiments/{HEX32}/output/log"
    assert (run.project, run.name, run.evidence) == ("demo", "t1", "file")


def test_clearml_task_of_an_earlier_job_is_not_taken(world):
    session(world, {"time": 1.0, "project": "demo", "name": "t1", "id": HEX32}, read=True)
    assert not world.analyze().runs


def test_clearml_web_server_from_the_settings_that_the_job_opened(world):
    session(world, {"time": 1.0, "project": "demo", "name": "t1", "id": HEX32}, server="http://10.0.0.1:9999")
    assert one(world.analyze()).url is None
    world.read(f"{world.home}/clearml.conf", b'api {\n web_server: "http://ml.example:8080"\n secret_key = "SK" }\n')
    run = one(world.analyze())
    assert (run.server, run.evidence) == ("http://ml.example:8080", "config file")
    assert "SK" not in repr(run)


def test_clearml_console_line_wins_over_the_lock_file(world):
    path = world.write(f"{world.tmp}/clearml_{HEX32}.lock", remains=False)
    url = f"https://app.clear.ml/projects/{HEX32[::-1]}/experiments/{HEX32}/output/log"
    world.say(f"ClearML results page: {url}")
    analysis = world.analyze()
    assert (one(analysis).url, one(analysis).run_id) == (url, HEX32)
    assert path in analysis.owned


def test_clearml_task_id_from_the_environment_of_children(world):
    world.process("/usr/bin/python3", CLEARML_PROC_MASTER_ID=f"123:{HEX32}")
    assert (one(world.analyze()).run_id, one(world.analyze()).state) == (HEX32, "partial")


def test_clearml_offline_session_says_how_to_upload_it(world):
    place = f"{world.home}/.clearml/cache/offline"
    world.write(f"{place}/offline-{HEX32}/task.json", b"{}")
    copy = world.write(f"{place}/offline-{HEX32}/data/demo/t1.{HEX32}/artifacts/m/model.txt")
    archive = world.write(f"{place}/offline-{HEX32}.zip")
    analysis = world.analyze()
    assert one(analysis).how_to_view == f"clearml-task --import-offline-session {archive}"
    assert analysis.owned[copy].ownership is Ownership.PAYLOAD


# Comet

def archive(content=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        if content is not None:
            file.writestr("experiment.json", json.dumps(content))
            file.writestr("messages.json", "{}")
    return out.getvalue()


def test_comet_offline_archive(world):
    path = world.write(f".cometml-runs/{HEX32}.zip", archive({"project_name": "demo", "workspace": "acme"}))
    world.write(f".cometml-runs/demo/{HEX32}/checkpoints/a.ckpt")
    analysis = world.analyze()
    run = one(analysis)
    assert (run.run_id, run.project, run.entity, run.how_to_view) == (HEX32, "demo", "acme", f"comet upload {path}")
    assert kept(world, analysis) == {f".cometml-runs/demo/{HEX32}/checkpoints/a.ckpt"}


def test_comet_archive_of_a_killed_job(world):
    world.write(f".cometml-runs/{HEX32}.zip", archive())
    run = one(world.analyze())
    assert (run.state, run.project) == ("offline", None)
    assert "killed" in run.note


def test_comet_archive_in_a_folder_of_its_own(world):
    world.write(f"out/{HEX32}.zip", archive({"offline_id": HEX32, "project_name": "demo"}))
    assert one(world.analyze()).project == "demo"


def test_comet_foreign_archive_stays(world):
    world.write(f"data/{HEX32}.zip", archive())
    world.write("data/photos.zip", b"PK")
    assert not world.analyze().owned


@pytest.mark.parametrize("line", [
    f"COMET INFO: Experiment is live on comet.com http://comet.example/acme/demo/{HEX32}",
    f"COMET INFO:     url                   : http://comet.example/acme/demo/{HEX32}",
])
def test_comet_online_from_the_console(world, line):
    world.say(line)
    run = one(world.analyze())
    assert (run.url, run.run_id) == (f"http://comet.example/acme/demo/{HEX32}", HEX32)
    assert (run.entity, run.project, run.server) == ("acme", "demo", "http://comet.example")


def test_comet_only_the_host_leaves_the_key():
    secret = base64.b64encode(json.dumps({"baseUrl": "https://comet.corp.example/"}).encode()).decode()
    assert initial_environment({"COMET_API_KEY": f"abcdefghijklm*{secret}"}) == {
        "COMET_BASE_ADDRESS": "https://comet.corp.example",
    }
    assert initial_environment({"COMET_API_KEY": "abcdefghijklm"}) == {}


# Aim, Trackio

def test_aim_runs_are_those_whose_chunks_were_written(world):
    world.write(".aim/run_metadata.sqlite")
    world.write(f".aim/meta/chunks/{HEX24}/000001.log")
    world.write(f".aim/meta/chunks/{HEX24[::-1]}/LOCK")
    world.write("aim/notes.txt")
    analysis = world.analyze()
    run = one(analysis)
    assert (run.run_id, run.how_to_view) == (HEX24, f"aim up --repo {world.cwd}")
    assert kept(world, analysis) == {"aim/notes.txt"}


def trackio(world, rows, place=None):
    path = world.write(f"{place or world.home + '/.cache/huggingface/trackio'}/demo.db")
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE metrics (run_id, metrics)")
    connection.execute("CREATE TABLE configs (run_id, run_name, config, created_at)")
    connection.executemany("INSERT INTO configs VALUES (?, ?, 'secret-config', ?)", rows)
    connection.commit()
    connection.close()
    return path


def test_trackio_runs_are_rows_of_the_jobs_time(world):
    rows = [("old", "run one", "2020-01-01T00:00:00+00:00"), ("new", "run two", "2027-01-15T08:00:10+00:00")]
    path = trackio(world, rows)
    assert {run.run_id for run in world.analyze().runs} == {"old", "new"}
    world.uses[path].read = True
    analysis = world.analyze()
    assert (one(analysis).run_id, one(analysis).name, one(analysis).project) == ("new", "run two", "demo")
    assert "secret-config" not in repr(analysis)


def test_trackio_in_a_folder_of_its_own(world):
    world.environment["TRACKIO_DIR"] = "tracks"
    trackio(world, [("new", "run", "2027-01-15T08:00:10")], f"{world.cwd}/tracks")
    assert one(world.analyze()).how_to_view == f"TRACKIO_DIR={world.cwd}/tracks trackio show --project demo"


def test_trackio_server_without_its_write_token(world):
    world.say(
        "* Trackio project initialized: demo proj\n"
        "* Trackio metrics will be sent to self-hosted server: http://127.0.0.1:7860/?write_token=s3cret\n"
        "* Created new run: run one",
    )
    run = one(world.analyze())
    assert (run.run_id, run.url) == ("run one", "http://127.0.0.1:7860/?project=demo%20proj")
    assert "s3cret" not in repr(run)


# SwanLab

def swan(world, run_id="q70mc969"):
    folder = f"swanlog/run-20261122_234813-{run_id}"
    world.write(f"{folder}/run-{run_id}.swanlab")
    world.write(f"{folder}/files/config.yaml")
    return folder


def test_swanlab_address_that_is_wrapped_in_the_middle(world):
    swan(world)
    world.say("swanlab: 🚀 View run exp1 at \nhttp://swan.corp.example/@acme/demo-proj/ru\nns/q70mc969")
    run = one(world.analyze())
    assert run.url == "http://swan.corp.example/@acme/demo-proj/runs/q70mc969"
    assert (run.entity, run.project, run.server) == ("acme", "demo-proj", "http://swan.corp.example")


def test_swanlab_offline_and_local(world):
    folder = swan(world)
    assert one(world.analyze()).how_to_view == f"swanlab sync {world.cwd}/{folder}"
    world.write("swanlog/runs.swanlab")
    assert one(world.analyze()).how_to_view == f"swanlab watch {world.cwd}/swanlog"


def test_swanlab_old_layout_and_look_alike(world):
    world.write("logs/run-20261122_234813-abcdefghijklmnopqrstu/backup.swanlab")
    world.write("logs/run-20261122_234813-other/model.pt")
    analysis = world.analyze()
    assert one(analysis).run_id == "abcdefghijklmnopqrstu"
    assert kept(world, analysis) == {"logs/run-20261122_234813-other/model.pt"}


@pytest.mark.parametrize("said", [
    "swanlab: 🚀 View synced run at http://swan.example/@acme/demo/runs/newid123\nswanlab: Upload complete: 14",
    "swanlab: 🚀 View synced run at \nhttp://swan.example/@acme/demo/runs/newid123\nDone",
    "swanlab: 🚀 View synced run at \nhttp://swan.example/@acme/demo/ru" + "\nns/newid123",
])
def test_swanlab_upload_in_a_later_job_updates_the_earlier_run(world, said):
    folder = "swanlog/run-20261122_234813-q70mc969"
    world.read(f"{folder}/run-q70mc969.swanlab")
    if said.endswith("ns/newid123"):
        said = said.replace("/demo/ru", "/demo-" + "x" * 44 + "/ru")
    world.say(said)
    analysis = world.analyze()
    assert not analysis.runs
    [update] = analysis.updates
    assert (update.run_id, update.becomes.run_id, update.becomes.state) == ("q70mc969", "newid123", "online")


def test_comet_upload_in_a_later_job_updates_the_earlier_run(world):
    world.read(f".cometml-runs/{HEX32}.zip", archive({"project_name": "demo"}))
    world.say(f"COMET INFO: The offline experiment has been uploaded on comet.com http://c.example/acme/demo/{HEX32}")
    analysis = world.analyze()
    assert not analysis.runs
    assert [(update.run_id, update.becomes.url) for update in analysis.updates] == [
        (HEX32, f"http://c.example/acme/demo/{HEX32}"),
    ]


def test_comet_copy_of_the_archive_that_the_job_read_changes_nothing(world):
    world.read(f"backup/.cometml-runs/{HEX32}.zip", archive({"project_name": "demo"}))
    world.write(f".cometml-runs/{HEX32}.zip", archive({"project_name": "demo"}))
    analysis = world.analyze()
    assert (one(analysis).run_id, analysis.updates) == (HEX32, ())


def test_clearml_import_in_a_later_job_updates_the_earlier_run(world):
    world.read(f"{world.home}/.clearml/cache/offline/offline-{HEX32}.zip")
    other = HEX32[::-1]
    world.say(f"ClearML results page: https://app.clear.ml/projects/x/experiments/{other}/output/log")
    analysis = world.analyze()
    assert not analysis.runs
    [update] = analysis.updates
    assert (update.run_id, update.becomes.run_id) == (f"offline-{HEX32}", other)


# DVCLive, Sacred, Polyaxon, Guild AI, Determined

def test_dvclive_needs_the_whole_trio(world):
    world.write("out/metrics.json")
    world.write("out/plots/metrics/loss.tsv")
    assert not world.analyze().owned
    world.write("out/params.yaml")
    world.write("dvc.yaml")
    world.write("model.pt.dvc")
    analysis = world.analyze()
    assert one(analysis).run_id == "out"
    assert kept(world, analysis) == {"dvc.yaml", "model.pt.dvc"}
    assert analysis.owned[f"{world.cwd}/out/metrics.json"].ownership is Ownership.PAYLOAD


def test_dvclive_experiment_has_the_name_of_its_ref(world):
    for name in ("metrics.json", "params.yaml", "plots/metrics/loss.tsv"):
        world.write(f"dvclive/{name}")
    world.write(f".git/refs/exps/ab/{'c' * 38}/metal-kite")
    run = one(world.analyze())
    assert (run.run_id, run.how_to_view) == ("metal-kite", "dvc exp show")


def test_sacred_run_with_copies_of_its_artifacts(world):
    content = {"artifacts": ["model.txt"], "experiment": {"name": "demo"}}
    world.write("my_runs/2/run.json", json.dumps(content).encode())
    for name in ("config.json", "cout.txt", "metrics.json", "model.txt", "mine.txt"):
        world.write(f"my_runs/2/{name}")
    world.write(f"my_runs/_sources/train_{HEX32}.py")
    world.write("other/run.json", b"{}")
    analysis = world.analyze()
    assert (one(analysis).run_id, one(analysis).name) == ("2", "demo")
    assert kept(world, analysis) == {"my_runs/2/mine.txt", "other/run.json"}


@pytest.mark.parametrize("content", [
    b"[" * 400_000, b"7", b"\xff", b'{"experiment": 3, "artifacts": 4}', b'{"experiment": {"name": []}}'])
def test_a_sacred_file_of_nonsense_only_leaves_the_name_open(world, content):
    world.write("my_runs/2/run.json", content)
    for name in ("config.json", "cout.txt"):
        world.write(f"my_runs/2/{name}")
    analysis = world.analyze()
    assert (one(analysis).run_id, one(analysis).name) == ("2", None)
    assert analysis.warnings == ()


def test_polyaxon_offline_and_in_a_cluster(world):
    folder = f"plx/runs/{HEX32}"
    content = {"uuid": HEX32, "owner": "acme", "project": "demo", "inputs": {"secret": 1}}
    world.write(f"{folder}/run.plx.json", json.dumps(content).encode())
    world.write(f"{folder}/events/metric/loss.plx")
    copy = world.write(f"{folder}/outputs/model.txt")
    analysis = world.analyze()
    assert (one(analysis).project, one(analysis).state) == ("demo", "offline")
    assert analysis.owned[copy].ownership is Ownership.PAYLOAD
    world.environment |= {
        "POLYAXON_RUN_INSTANCE": f"acme.demo.runs.{HEX32}", "POLYAXON_PLATFORM_HOST": "https://plx.example",
    }
    assert one(world.analyze()).url == f"https://plx.example/ui/acme/demo/runs/{HEX32}"


def test_guild_outputs_lie_in_the_run_folder_and_stay(world):
    folder = f"{world.home}/.guild/runs/{HEX32}"
    world.write(f"{folder}/.guild/opref")
    world.write(f"{folder}/.guild/manifest", b"s train.py 2ca1 train.py\n")
    world.write(f"{folder}/.guild/events.out.tfevents.1795391298.vm.1.0", EVENTS)
    world.write(f"{folder}/train.py")
    model = world.write(f"{folder}/model.txt")
    analysis = world.analyze()
    assert [run.tracker for run in analysis.runs] == ["guild"]
    assert kept(world, analysis) == {model}


def test_determined_filters_nothing_and_links_by_its_environment(world):
    world.write(f"ckpts/{UUID}/metadata.json")
    world.environment |= {"DET_MASTER": "https://det.example:8080", "DET_EXPERIMENT_ID": "12"}
    analysis = world.analyze()
    assert one(analysis).url == "https://det.example:8080/det/experiments/12"
    assert not analysis.owned


# VisualDL, GoodSeed, Pluto

def test_visualdl_goodseed_and_pluto(world):
    world.write("log/vdlrecords.1795391524.log")
    world.write(f"{world.home}/.goodseed/projects/acme/demo/runs/vivid-mantis.sqlite")
    world.write(".pluto/demo/n1/pluto.log")
    world.write(".pluto/demo/n1/model.pt")
    world.clients = False
    client = world.touch("/opt/pluto/__init__.py", read=True)
    world.say("pluto: 🚀 23:53:56 | Operation: View run DEM-1 at http://pluto.example/o/acme/projects/demo/42")
    analysis = world.analyze()
    assert {(run.tracker, run.run_id) for run in analysis.runs} == {
        ("visualdl", "log"), ("goodseed", "vivid-mantis"), ("pluto", "42"),
    }
    assert kept(world, analysis) == {".pluto/demo/n1/model.pt", client}
