import sqlite3

import pytest

from roar.analyze.trackers import Ownership

RUN = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
MODEL = "m-" + "5" * 32
SERVER = "http://127.0.0.1:5000"
NOW_MS = 1_800_000_001_000  # within the job


def file_run(world, root="mlruns", run_id=RUN, experiment="0"):
    world.write(f"{root}/{experiment}/meta.yaml", b"experiment_id: '0'\nlifecycle_stage: active\nname: Default\n")
    meta = f"experiment_id: '0'\nlifecycle_stage: active\nrun_id: {run_id}\nrun_name: calm-owl\n"
    world.write(f"{root}/{experiment}/{run_id}/meta.yaml", meta.encode())
    world.write(f"{root}/{experiment}/{run_id}/metrics/loss", b"1 0.5 0")


def database(world, rows, name="store.dat", *, existed=False, source=None, journal=True):
    path = world.write(name)
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE alembic_version (v); CREATE TABLE latest_metrics (key, value, run_uuid);
        CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, experiment_id INTEGER, start_time INTEGER,
                           end_time INTEGER);
        CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
        CREATE TABLE logged_models (model_id TEXT);
        INSERT INTO experiments VALUES (1, 'exp one');
    """)
    connection.execute("INSERT INTO logged_models VALUES (?)", (MODEL,))
    for run_id, started, ended in rows:
        connection.execute("INSERT INTO runs VALUES (?, 'calm-owl', 1, ?, ?)", (run_id, started, ended))
        if source:
            connection.execute("INSERT INTO tags VALUES ('mlflow.source.name', ?, ?)", (source, run_id))
    connection.commit()
    connection.close()
    world.uses[path].read = existed
    if journal:
        world.write(f"{name}-journal", remains=False)
    return path


def runs(analysis):
    return {run.run_id: run for run in analysis.runs}


def test_file_store_under_any_name(world):
    file_run(world, "my store")
    run = runs(world.analyze())[RUN]
    assert (run.state, run.project, run.name) == ("local", "Default", "calm-owl")
    assert run.how_to_view == f"mlflow ui --backend-store-uri '{world.cwd}/my store'"


def test_files_of_the_store_and_of_the_user(world):
    file_run(world)
    noise = [f"mlruns/0/{RUN}/{name}" for name in ("params/lr", "tags/mlflow.user", "outputs/m/meta.yaml")]
    noise += ["mlruns/0/meta.yaml", f"mlruns/0/models/{MODEL}/metrics/loss", "mlruns/models/m/version-1/meta.yaml"]
    payload = [f"mlruns/0/{RUN}/artifacts/model/MLmodel", f"mlruns/0/models/{MODEL}/artifacts/python_model.pkl"]
    kept = [f"mlruns/0/{RUN}/checkpoints/epoch=1.ckpt", "mlruns/notes.txt", f"mlruns/0/{RUN}/mine.bin", "model.pt"]
    for path in (*noise, *payload, *kept):
        world.write(path)
    owned = {path.removeprefix(f"{world.cwd}/"): owned for path, owned in world.analyze().owned.items()}
    assert all(owned[path].ownership is Ownership.NOISE for path in noise)
    assert all(owned[path].ownership is Ownership.PAYLOAD for path in payload)
    assert not set(kept) & owned.keys()


def test_payload_that_is_only_read_is_an_input(world):
    file_run(world)
    path = world.read(f"mlruns/0/models/{MODEL}/artifacts/python_model.pkl")
    assert path not in world.analyze().owned


def test_foreign_meta_yaml_is_the_users(world):
    world.write(f"mlruns/0/{RUN}/meta.yaml", b"title: mine\n")
    world.write("mlruns/0/meta.yaml", b"title: mine\n")
    world.write(f"mlruns/0/{OTHER}/meta.yaml", f"run_id: {RUN}\n".encode())
    analysis = world.analyze()
    assert not analysis.owned
    assert not analysis.runs


def test_database_under_any_name(world):
    path = database(world, [(RUN, 1, 2)])
    analysis = world.analyze()
    run = runs(analysis)[RUN]
    assert (run.state, run.project, run.how_to_view) == (
        "local", "exp one", f"mlflow ui --backend-store-uri sqlite:///{path}",
    )
    assert {path, f"{path}-journal"} <= analysis.owned.keys()


def test_database_that_was_there_gives_the_runs_of_the_jobs_time_only(world):
    database(world, [(RUN, 1, 2), (OTHER, NOW_MS, None), ("a" * 32, 1, NOW_MS)], existed=True)
    assert runs(world.analyze()).keys() == {OTHER, "a" * 32}


@pytest.mark.parametrize(("source", "argv", "mine"), [
    ("/elsewhere/other.py", ("python", "train.py"), False),
    ("/elsewhere/train.py", ("python", "train.py"), True),
    ("/pkg/train.py", ("python", "-m", "pkg.train"), True),
    (None, ("python", "train.py"), True),
])
def test_run_that_another_job_wrote_meanwhile(world, source, argv, mine):
    database(world, [(RUN, NOW_MS, None)], existed=True, source=source)
    world.process(argv=argv)
    assert bool(world.analyze().runs) is mine


def test_artifacts_of_a_database_store_lie_anywhere(world):
    database(world, [(RUN, 1, 2)])
    payload = [
        world.write(f"elsewhere/1/{RUN}/artifacts/model.txt"), world.write(f"x/models/{MODEL}/artifacts/MLmodel"),
    ]
    kept = world.write(f"elsewhere/1/{OTHER}/artifacts/model.txt")
    owned = world.analyze().owned
    assert all(owned[path].ownership is Ownership.PAYLOAD for path in payload)
    assert kept not in owned


@pytest.mark.parametrize("schema", ["CREATE TABLE runs (a)", "CREATE TABLE optuna (a)"])
def test_other_databases_are_the_users(world, schema):
    path = world.write("data.db")
    connection = sqlite3.connect(path)
    connection.execute(schema)
    connection.commit()
    connection.close()
    assert not world.analyze().owned


def test_database_in_wal_mode_is_read_without_a_trace(world):
    path = database(world, [(RUN, 1, 2)])
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT INTO runs VALUES (?, 'late', 1, 3, 4)", (OTHER,))
    connection.commit()
    before = {file.name: file.read_bytes() for file in (world.root / "cwd").iterdir()}
    assert runs(world.analyze()).keys() == {RUN, OTHER}
    assert {file.name: file.read_bytes() for file in (world.root / "cwd").iterdir()} == before
    connection.close()


LINE = f"🏃 View run calm-owl-7 at: {SERVER}/#/experiments/3/runs/{RUN}"


def test_server_is_known_from_the_console_alone(world):
    world.say(LINE)
    run = runs(world.analyze())[RUN]
    assert (run.url, run.server, run.name) == (f"{SERVER}/#/experiments/3/runs/{RUN}", SERVER, "calm-owl-7")
    assert (run.state, run.evidence) == ("online", "console")


@pytest.mark.parametrize(("printed", "url"), [
    (f"http://u:p@h:1/x/#/experiments/3/runs/{RUN}", f"http://h:1/x/#/experiments/3/runs/{RUN}"),
    (f"https://d.example/ml/experiments/3/runs/{RUN}", f"https://d.example/ml/experiments/3/runs/{RUN}"),
    (f"{SERVER}/#/experiments/3/runs/{RUN}?workspace=team", f"{SERVER}/#/experiments/3/runs/{RUN}?workspace=team"),
    (f"{SERVER}/#/experiments/3/runs/{RUN}?token=abc", f"{SERVER}/#/experiments/3/runs/{RUN}"),
    (f"https://host/?o=123&token=s#/experiments/3/runs/{RUN}", f"https://host/#/experiments/3/runs/{RUN}"),
])
def test_printed_addresses_as_they_may_be_shown(world, printed, url):
    world.say(f"View run x at: {printed}")
    assert [run.url for run in world.analyze().runs] == [url]


def test_run_in_a_local_server_of_the_same_job_is_listed_once(world):
    database(world, [(RUN, 1, 2)])
    world.say(LINE)
    [run] = world.analyze().runs
    assert (run.state, run.project) == ("online", "exp one")


def test_silent_run_on_a_server_with_a_shared_artifact_folder(world):
    world.environment["MLFLOW_TRACKING_URI"] = "http://user:pw@tracking.example/"
    path = world.write(f"/{world.cwd[1:]}/shared/3/{RUN}/artifacts/model.txt")
    analysis = world.analyze()
    [run] = analysis.runs
    assert run.url == f"http://tracking.example/#/experiments/3/runs/{RUN}"
    assert analysis.owned[path].ownership is Ownership.PAYLOAD


def test_run_id_from_the_environment_without_experiment_is_partial(world):
    world.environment |= {"MLFLOW_TRACKING_URI": SERVER, "MLFLOW_RUN_ID": RUN}
    [run] = world.analyze().runs
    assert (run.state, run.server, run.url) == ("partial", SERVER, None)


def test_nothing_of_metrics_or_parameters_is_kept(world):
    file_run(world)
    world.write(f"mlruns/0/{RUN}/params/lr", b"secret-parameter")
    assert "secret-parameter" not in repr(world.analyze())


def test_shared_artifact_folder_of_a_printed_run_is_payload(world):
    world.say(LINE)
    path = world.write(f"shared/3/{RUN}/artifacts/model.txt")
    kept = world.write(f"shared/3/{OTHER}/artifacts/model.txt")
    owned = world.analyze().owned
    assert owned[path].ownership is Ownership.PAYLOAD
    assert kept not in owned


def test_address_that_the_tracer_cut_is_not_believed(world):
    world.say(f"{'x' * 430} {LINE}?workspace=te"[:511])
    assert not world.analyze().runs


@pytest.mark.parametrize(("argv", "mine"), [
    (("/venv/bin/mlflow", "server", "--port", "1"), False), (("python3", "-m", "mlflow", "ui"), False),
    (("python3", "train.py"), True),
])
def test_runs_that_others_sent_to_a_server_are_not_its_own(world, argv, mine):
    database(world, [(RUN, NOW_MS, None)], source="/elsewhere/other.py")
    world.process(argv=argv)
    assert bool(world.analyze().runs) is mine
