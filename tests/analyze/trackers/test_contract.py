"""What holds for every tracker, and for the layer around them."""

import sqlite3
import time
from pathlib import Path

import pytest

from roar.analyze.fold import PathUse, Uses
from roar.analyze.trackers import Owned, Ownership, analyze_trackers, environment_names, known_trackers
from roar.analyze.trackers.analysis import analyze_with, is_secret, merge_runs
from roar.analyze.trackers.contract import Findings, Reads, Tracker
from roar.analyze.trackers.discovery import load_trackers
from roar.analyze.trackers.environment import ENVIRONMENT, TOKENS
from roar.model import TrackerRun, TrackerRunState
from roar.testing import Recording, TrackerCheckError, check_tracker

TRACKERS = {tracker.name: tracker for tracker in load_trackers({}).trackers if tracker.name in ENVIRONMENT}
SAMPLES = {
    "aim": "aim-local", "clearml": "clearml-offline", "comet": "comet-offline", "determined": "determined-local",
    "dvc": "dvclive-nogit", "dvclive": "dvclive-nogit", "goodseed": "goodseed-local", "guild": "guildai",
    "mlflow": "mlflow3-sqlite-model", "neptune": "neptunescale-offline", "pluto": "pluto-online",
    "polyaxon": "polyaxon-offline", "ray": "ray-tune",
    "sacred": "sacred-file", "swanlab": "swanlab-local", "tensorboard": "tensorboard-torch_tb",
    "trackio": "trackio-local", "visualdl": "visualdl", "wandb": "wandb-online",
}


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_built_in_trackers_pass_the_checks_for_plugins(name, replay):
    found = check_tracker(TRACKERS[name], replay(SAMPLES[name]))
    assert found.runs or name in {"determined", "dvc", "pluto"}


def test_every_built_in_tracker_is_known():
    assert {tracker.name for tracker in known_trackers()} >= ENVIRONMENT.keys()
    assert all(tracker.problem is None for tracker in known_trackers() if tracker.name in ENVIRONMENT)


def test_declared_environment_is_what_the_tracer_is_told_and_holds_no_secret():
    for name, tracker in TRACKERS.items():
        assert tuple(tracker.environment) == ENVIRONMENT[name]
        assert tuple(host.variable for host in tracker.token_hosts) == TOKENS.get(name, ())
    names = environment_names({})
    assert not [name for name in names if is_secret(name)]
    assert "WANDB_BASE_URL" in names
    assert environment_names({"*": False}) == ()
    assert set(environment_names({"*": False, "mlflow": True})) == set(ENVIRONMENT["mlflow"])


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_switched_off_means_off(name, replay):
    world = replay(SAMPLES[name])
    analysis = analyze_trackers(world.facts(), {name: False})
    assert name not in {run.tracker for run in analysis.runs}
    assert name not in {owned.tracker for owned in analysis.owned.values()}


def test_everything_off_finds_nothing(replay):
    world = replay("wandb-online")
    analysis = analyze_trackers(world.facts(), {"*": False})
    assert not analysis.owned
    assert not analysis.runs


class Fake(Tracker):
    name = "fake"
    label = "Fake"

    def __init__(self, **given):
        self.given = given

    def analyze(self, evidence):
        findings = Findings()
        for path in self.given.get("noise", ()):
            findings.noise(path)
        findings.runs += self.given.get("runs", ())
        if "reads" in self.given:
            evidence.head(self.given["reads"])
        if "opens" in self.given:
            Path(self.given["opens"]).read_bytes()
        return findings


def run(**given):
    return TrackerRun(**{"tracker": "fake", "label": "Fake", "run_id": "r1", **given})


def test_tracker_that_raises_is_named_and_the_others_go_on(world):
    class Bad(Fake):
        def analyze(self, evidence):
            raise ZeroDivisionError("oops")

    path = world.write("x")
    analysis = analyze_with([Bad(), Fake(noise=[path])], world.facts())
    assert analysis.warnings == ("The tracker fake failed and was skipped: ZeroDivisionError: oops.",)
    assert analysis.owned == {path: Owned("fake", Ownership.NOISE)}


@pytest.mark.parametrize("given", [{"noise": ["/never/used"]}, {"runs": [run(tracker="wandb")]}])
def test_tracker_that_claims_what_it_cannot_is_skipped(world, given):
    assert analyze_with([Fake(**given)], world.facts()).warnings


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "https://", "ftp://x/y", "https://a b"])
def test_address_that_is_none_never_gets_out(world, url):
    analysis = analyze_with([Fake(runs=[run(url=url, state=TrackerRunState.ONLINE)])], world.facts())
    assert [(run.url, run.state) for run in analysis.runs] == [(None, "partial")]


def test_what_is_not_declared_cannot_be_opened(world):
    path = world.write("secret.txt", b"s")
    analysis = analyze_with([Fake(reads=path)], world.facts())
    assert "is not declared to be read" in analysis.warnings[0]


def test_a_declared_file_is_read_up_to_its_limit(world):
    class Reader(Fake):
        reads = (Reads(pattern="*.log", part="the start", limit=5),)

        def analyze(self, evidence):
            findings = Findings()
            findings.runs.append(run(run_id=evidence.text(next(iter(evidence.paths.with_extension("log"))), 100)))
            return findings

    world.write("a.log", b"0123456789")
    assert analyze_with([Reader()], world.facts()).runs[0].run_id == "01234"


def test_symlinks_are_not_followed(world):
    class Reader(Fake):
        reads = (Reads(pattern="*.log", part="the start"),)

        def analyze(self, evidence):
            assert evidence.head(f"{evidence.cwd}/a.log") == b""
            return Findings()

    world.write("target", b"private")
    world.symlink("a.log", f"{world.cwd}/target")
    assert not analyze_with([Reader()], world.facts()).warnings


@pytest.mark.parametrize(("table", "columns", "where"), [
    ("metrics", ("value",), ""), ("runs", ("secret",), ""), ("runs", ("id",), "secret = 1"),
    ("runs", ("id",), "id IN (SELECT value FROM metrics)"),
])
def test_undeclared_tables_and_columns_cannot_be_selected(world, table, columns, where):
    class Reader(Fake):
        reads = (Reads(pattern="*.db", part="ids", tables={"runs": ("id",)}),)

        def analyze(self, evidence):
            findings = Findings()
            rows = evidence.rows(f"{evidence.cwd}/a.db", table, columns, where)
            findings.runs += [run(run_id=str(row)) for row in rows]
            return findings

    connection = sqlite3.connect(world.write("a.db"))
    connection.executescript("""
        CREATE TABLE runs (id, secret); CREATE TABLE metrics (value);
        INSERT INTO runs VALUES (1, 1); INSERT INTO metrics VALUES (1);
    """)
    connection.close()
    assert analyze_with([Reader()], world.facts()).runs == ()


def test_runs_are_merged_when_nothing_contradicts():
    one = run(project="p")
    other = run(entity="e", url="https://a.example/r1", state=TrackerRunState.ONLINE, evidence="console")
    [merged] = merge_runs([one, other])
    assert (merged.project, merged.entity, merged.url) == ("p", "e", "https://a.example/r1")
    assert len(merge_runs([one, run(project="q")])) == 2
    assert len(merge_runs([run(url="https://a.example/r1"), run(url="https://b.example/r1")])) == 2


@pytest.mark.parametrize(("given", "what"), [
    ({"opens": "model.pt"}, "does not declare"), ({"noise": ["/other"]}, "did not use"),
    ({"runs": [run(state=TrackerRunState.LOCAL)]}, "how_to_view"), ({"runs": [run(run_id="")]}, "without an id"),
    ({"runs": [run(label="Other")]}, "labels"),
])
def test_the_checks_find_what_is_wrong(tmp_path, given, what):
    recording = Recording(tmp_path)
    path = recording.write("model.pt", b"x")
    if "opens" in given:
        given = {"opens": path}
    with pytest.raises(TrackerCheckError, match=what):
        check_tracker(Fake(**given), recording)


def test_the_checks_find_a_tracker_that_takes_the_users_folder(tmp_path):
    class Greedy(Fake):
        def analyze(self, evidence):
            findings = Findings()
            findings.noise(*(path for folder in evidence.paths.folders_named("runs")
                             for path in evidence.paths.below(folder)))
            return findings

    with pytest.raises(TrackerCheckError, match="takes a user's file"):
        check_tracker(Greedy(), Recording(tmp_path))


def test_names_that_are_not_utf8_or_hold_line_ends(world):
    odd = f"{world.cwd}/od\udcffd\n dir"
    connection = sqlite3.connect(f"file:{world.cwd}/plain.db", uri=True)
    connection.executescript("""
        CREATE TABLE alembic_version (v); CREATE TABLE latest_metrics (v);
        CREATE TABLE experiments (experiment_id, name);
        CREATE TABLE runs (run_uuid, name, experiment_id, start_time, end_time);
        INSERT INTO runs VALUES ('0123', 'x', 1, 1, 1);
    """)
    connection.close()
    world.write(f"{odd}/store.db", Path(world.cwd, "plain.db").read_bytes())
    world.write(f"{odd}/wandb/run-20261122_231729-abc12345/run-abc12345.wandb")
    world.write(f"{odd}/runs/a/events.out.tfevents.1795390710.vm")
    world.write(f"{odd}/.neptune/offline/run__11111111-2222-3333-4444-555555555555__1__abcdefgh/data-1.log")
    world.write(f"{odd}/model.pt")
    analysis = world.analyze()
    assert {run.tracker for run in analysis.runs} == {"mlflow", "neptune", "tensorboard", "wandb"}
    assert f"{odd}/model.pt" not in analysis.owned


def test_cost_grows_linearly(world):
    def cost(count):
        run = f"{world.cwd}/wandb/run-20261122_231729-abc12345"
        paths = [f"{run}/files/media/images/{number}.png" for number in range(count)]
        paths += [f"{world.cwd}/data/{number}/x.csv" for number in range(count // 10)]
        uses = {path: PathUse(path=path, written=True) for path in (*paths, f"{run}/run-abc12345.wandb")}
        facts = world.facts(uses=Uses(uses))
        times = []
        for _ in range(3):
            start = time.perf_counter()
            assert len(analyze_trackers(facts, {}).owned) == count + 1
            times.append(time.perf_counter() - start)
        return min(times)

    cost(100)
    assert cost(40_000) < 20 * cost(4_000) + 0.1
