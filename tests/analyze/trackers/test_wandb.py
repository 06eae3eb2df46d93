import sys
from pathlib import Path

import pytest

from roar.analyze.trackers import Ownership
from roar.analyze.trackers.analysis import refresh

sys.path.insert(0, str(Path(__file__).parents[2] / "fakes"))
from server import FakeServer
from wandb_files import OFFLINE, ONLINE, chunk, field, log, run_folder

SERVER = "http://wandb.example:8080"


def only(analysis):
    [run] = analysis.runs
    return run


def test_run_without_any_proof_of_the_host_is_partial(world):
    run_folder(world, entity="team")
    run = only(world.analyze())
    assert (run.state, run.url, run.server) == ("partial", None, None)
    assert (run.run_id, run.project, run.entity) == ("abc12345", "demo", "team")
    assert "server" in run.note


@pytest.mark.parametrize(("base", "pages"), [
    ("https://api.wandb.ai", "https://wandb.ai"),
    ("https://api.forge.coreweave.com", "https://forge.coreweave.com/wandb"),
    ("https://api.wandb.corp.example", "https://wandb.corp.example"),
    ("https://api.corp.example", "https://app.corp.example"),
    ("https://wandb.corp.example/", "https://wandb.corp.example"),
    ("http://user:pw@wandb.example:8080", "http://wandb.example:8080"),
])
def test_host_from_the_environment(world, base, pages):
    run_folder(world, entity="my team", project="demo proj")
    world.environment["WANDB_BASE_URL"] = base
    run = only(world.analyze())
    assert run.url == f"{pages}/my%20team/demo%20proj/runs/abc12345"
    assert (run.state, run.evidence) == ("online", "environment")


def test_host_that_the_script_set_shows_in_its_children(world):
    run_folder(world, entity="team")
    world.process("/usr/bin/git", WANDB_BASE_URL=SERVER)
    run = only(world.analyze())
    assert (run.url, run.evidence) == (f"{SERVER}/team/demo/runs/abc12345", "child environment")


def test_run_that_never_reached_its_server_has_no_link(world):
    run_folder(world, entity="team")
    world.write(f"{ONLINE}/logs/debug.log", b"INFO communicating run to backend with 90.0 second timeout\n")
    world.environment["WANDB_BASE_URL"] = SERVER
    run = only(world.analyze())
    assert (run.state, run.url, run.server) == ("partial", None, SERVER)


def test_processes_that_disagree_prove_nothing(world):
    run_folder(world, entity="team")
    world.environment["WANDB_BASE_URL"] = "http://one.example"
    world.process("/usr/bin/git", WANDB_BASE_URL="http://other.example")
    assert only(world.analyze()).state == "partial"


def test_the_service_process_decides_when_others_disagree(world):
    run_folder(world, entity="team")
    world.environment["WANDB_BASE_URL"] = "http://one.example"
    world.process("/usr/bin/git", WANDB_BASE_URL="http://one.example")
    world.process("/site-packages/wandb/bin/wandb-core", WANDB_BASE_URL=SERVER)
    assert only(world.analyze()).server == SERVER


def test_settings_file_counts_only_when_the_job_opened_it(world):
    run_folder(world, entity="team")
    settings = f"{world.home}/.config/wandb/settings"
    world.write("elsewhere.txt")
    path = world.read(settings, f"[default]\nbase_url = {SERVER}\n".encode())
    assert only(world.analyze()).evidence == "config file"
    world.uses[path].read = False
    assert only(world.analyze()).url is None


def test_console_line_wins_and_gives_entity_and_name(world):
    run_folder(world)
    world.environment["WANDB_BASE_URL"] = "http://other.example"
    url = f"\x1b[34m{SERVER}/t/p/runs/abc12345\x1b[0m"
    world.say(f"\x1b[34m\x1b[1mwandb\x1b[0m: 🚀 View run \x1b[33mmy name\x1b[0m at: {url}")
    run = only(world.analyze())
    assert (run.url, run.entity, run.project, run.name) == (f"{SERVER}/t/p/runs/abc12345", "t", "p", "my name")
    assert run.evidence == "console"


def test_login_line_proves_the_server_of_a_silent_run(world):
    run_folder(world, entity="team")
    world.say(f"wandb: [wandb.login()] Loaded credentials for {SERVER} from WANDB_API_KEY.")
    assert only(world.analyze()).url == f"{SERVER}/team/demo/runs/abc12345"


def test_api_key_in_a_printed_address_is_dropped(world):
    run_folder(world)
    world.say(f"wandb: 🚀 View run at {SERVER}/t/p/runs/abc12345?apiKey=deadbeef")
    assert only(world.analyze()).url == f"{SERVER}/t/p/runs/abc12345"


@pytest.mark.parametrize("line", [
    f"wandb: 🚀 View run at {SERVER}/t/p/runs/another1",  # an earlier run's line
    f"see {SERVER}/t/p/runs/abc12345",  # not W&B's line
    "wandb: 🚀 View run at javascript:alert(1)/t/p/runs/abc12345",
])
def test_lines_that_prove_nothing(world, line):
    run_folder(world)
    world.say(line)
    assert only(world.analyze()).url is None


def test_old_log_shown_again_proves_nothing(world):
    run_folder(world)
    world.process("/usr/bin/cat", pid=7)
    world.say(f"wandb: 🚀 View run at {SERVER}/t/p/runs/abc12345", pid=7)
    assert only(world.analyze()).url is None


def test_run_that_a_launcher_started_elsewhere(world):
    world.process("/usr/bin/docker", pid=7)
    world.say(f"wandb: 🚀 View run at {SERVER}/t/p/runs/faraway1", pid=7)
    assert only(world.analyze()).run_id == "faraway1"


def test_line_of_an_unknown_run_without_folder_is_ignored(world):
    world.process("/usr/bin/python3", pid=7)
    world.say(f"wandb: 🚀 View run at {SERVER}/t/p/runs/faraway1", pid=7)
    assert world.analyze().runs == ()


def test_entity_from_the_debug_log(world):
    run_folder(world)
    world.write(f"{ONLINE}/logs/debug.log", b"2026 INFO finishing run acme/my project/abc12345\n")
    world.environment["WANDB_BASE_URL"] = SERVER
    run = only(world.analyze())
    assert (run.entity, run.url) == ("acme", f"{SERVER}/acme/demo/runs/abc12345")


@pytest.mark.parametrize("content", [b"", b":W&B\xe1\xbe\x00", log()[:40], log()[:20] + b"\xff" * 50])
def test_log_of_a_killed_run_gives_the_id_at_least(world, content):
    world.write(f"{ONLINE}/run-abc12345.wandb", content)
    run = only(world.analyze())
    assert (run.run_id, run.state) == ("abc12345", "partial")


def test_record_that_is_longer_than_a_block(world):
    run = field(1, "abc12345") + field(4, b"x" * 40_000) + field(3, "demo")
    record = field(17, run)
    head = chunk(field(21, b""))
    room = 32768 - 7 - len(head) - 7
    content = b":W&B\xe1\xbe\x00" + head + chunk(record[:room], 2) + chunk(record[room:], 4)
    world.write(f"{ONLINE}/run-abc12345.wandb", content)
    assert only(world.analyze()).project == "demo"


@pytest.mark.parametrize(("folder", "run_id"), [
    ("wandb/run-20261122_231729-sameid-1", "sameid"),
    ("wandb/run-20261122_231729-with-dash", "with-dash"),
    (".wandb/run-20261122_231729-a b.c", "a b.c"),
    ("deep/er/wandb/run-20261122_231729-x", "x"),
])
def test_id_comes_from_the_log_not_from_the_folder(world, folder, run_id):
    run_folder(world, folder, run_id)
    assert only(world.analyze()).run_id == run_id


def test_offline_run_says_how_to_upload_it(world):
    folder = OFFLINE.replace("wandb/", "a b/wandb/", 1)
    run_folder(world, folder)
    world.environment["WANDB_BASE_URL"] = SERVER
    run = only(world.analyze())
    assert (run.state, run.url) == ("offline", None)
    assert run.how_to_view == f"wandb sync '{world.cwd}/{folder}'"


def test_offline_and_synced_in_one_job_is_online(world):
    run_folder(world, OFFLINE)
    world.write(f"{OFFLINE}/run-abc12345.wandb.synced")
    world.say(f"wandb: [demo/abc12345] View run calm at {SERVER}/t/other/runs/newid")
    run = only(world.analyze())
    assert (run.state, run.run_id, run.project, run.how_to_view) == ("online", "newid", "other", None)


@pytest.mark.parametrize("line", [
    f"wandb: [demo/abc12345] View run calm at {SERVER}/t/demo/runs/abc12345",
    f"Syncing: {SERVER}/t/demo/runs/abc12345 ... done.",
])
def test_upload_in_a_later_job_updates_the_earlier_run(world, line):
    world.read(f"{OFFLINE}/run-abc12345.wandb", log())
    world.write(f"{OFFLINE}/run-abc12345.wandb.synced")
    world.say(line)
    analysis = world.analyze()
    assert analysis.runs == ()
    [update] = analysis.updates
    assert (update.tracker, update.run_id) == ("wandb", "abc12345")
    assert (update.becomes.url, update.becomes.state) == (f"{SERVER}/t/demo/runs/abc12345", "online")


def test_upload_outside_roar_is_found_with_proof(world):
    run_folder(world, OFFLINE, entity="team")
    run = only(world.analyze())
    given = {"home": world.home, "workspace": world.cwd}
    assert refresh(run, environ={"WANDB_BASE_URL": SERVER}, **given) is None
    world.write(f"{OFFLINE}/run-abc12345.wandb.synced")
    assert refresh(run, environ={"WANDB_BASE_URL": SERVER}, **given).url == f"{SERVER}/team/demo/runs/abc12345"
    unproven = refresh(run, environ={}, **given)
    assert (unproven.state, unproven.url) == ("partial", None)


def test_same_run_twice_is_listed_once(world):
    run_folder(world, "wandb/run-20261122_231729-abc12345", entity="team")
    run_folder(world, "wandb/run-20261122_231800-abc12345", entity="team")
    world.environment["WANDB_BASE_URL"] = SERVER
    assert len(world.analyze().runs) == 1


def test_same_id_in_two_projects_is_two_runs(world):
    run_folder(world, "wandb/run-20261122_231729-abc12345", entity="team", project="one")
    run_folder(world, "wandb/run-20261122_231800-abc12345", entity="team", project="two")
    world.environment["WANDB_BASE_URL"] = SERVER
    assert {run.project for run in world.analyze().runs} == {"one", "two"}


def test_what_is_filtered_and_what_stays(world):
    run_folder(world)
    noise = [
        f"{ONLINE}/files/media/images/a.png", f"{ONLINE}/files/code/train.py", f"{ONLINE}/files/diff_abc123.patch",
        f"{ONLINE}/tmp/code/x", f"{ONLINE}/run-abc12345.wandb.syncstate", "wandb/wandb-resume.json",
        "wandb/debug-cli.alice.log", "wandb/sweep-xyz/config-abc.yaml", "wandb/logs/debug-sync.20261122.1.log",
        f"{world.home}/.cache/wandb/logs/core-debug-1.log", f"{world.home}/.netrc",
        f"{world.tmp}/wandb-symon-portfile-12",
    ]
    kept = [
        "model.pt", f"{ONLINE}/files/mine.csv", f"{ONLINE}/files/checkpoints/a.ckpt", "artifacts/data:v3/x.csv",
        "wandb/README.md", "wandb/model.pt", f"{ONLINE}/checkpoints/last.ckpt", "demo/abc12345/checkpoints/e.ckpt",
        f"{world.tmp}/tmpmine/result.csv",
    ]
    for path in (*noise, *kept):
        world.write(path)
    world.symlink(f"{ONLINE}/files/model.pt", f"{world.cwd}/model.pt")
    world.symlink("wandb/latest-run", ONLINE)
    owned = world.analyze().owned
    absolute = {path if path.startswith("/") else f"{world.cwd}/{path}" for path in kept}
    assert not absolute & owned.keys()
    assert {path if path.startswith("/") else f"{world.cwd}/{path}" for path in noise} <= owned.keys()
    assert owned[f"{world.cwd}/{ONLINE}/files/model.pt"] == ("wandb", Ownership.NOISE)
    assert f"{world.cwd}/wandb/latest-run" in owned


def test_staged_copies_of_artifacts_are_payloads(world):
    run_folder(world)
    path = world.write(f"{world.home}/.local/share/wandb/artifacts/staging/tmpabcdefgh", b"model")
    assert world.analyze().owned[path] == ("wandb", Ownership.PAYLOAD)


@pytest.mark.parametrize("path", [
    "wandb/run-1/out.csv", "wandb/run-20240101_000000/model.pt", "wandb/run-20240101_000000-x/model.pt",
    "wandb/settings", "wandb/debug.log", "wandb/latest-run", "src/wandb/run-20240101_000000-x/run-y.wandb",
    "notwandb/run-20240101_000000-x/run-x.wandb",
])
def test_look_alikes_stay(world, path):
    world.write(path, b"mine")
    analysis = world.analyze()
    assert not analysis.owned
    assert not analysis.runs


def test_folder_with_a_foreign_log_is_not_a_run(world):
    world.write(f"{ONLINE}/run-abc12345.wandb", b"something else")
    assert not world.analyze().owned


def test_settings_written_by_wandb_init_are_filtered(world):
    path = world.write("wandb/settings", b"[default]\nentity = acme\nproject = demo\n")
    assert path in world.analyze().owned


def test_switched_off_neither_filters_nor_references(world):
    run_folder(world)
    analysis = world.analyze({"wandb": False})
    assert not analysis.owned
    assert not analysis.runs


@pytest.mark.parametrize(("answer", "entity"), [
    ({"viewer": {"entity": "alice"}, "project": {"entity": {"name": "team"}, "run": {"name": "abc12345"}}}, "team"),
    ({"viewer": {"entity": "alice"}, "project": {"entity": {"name": "team"}, "run": None}}, None),
    ({"viewer": {"entity": "alice"}, "project": None}, None),
    ({"viewer": {"entity": "alice"}}, "alice"), ({}, None), (None, None), ("nonsense", None),
])
def test_after_an_upload_outside_roar_the_server_says_whose_run_it_is(world, answer, entity):
    run_folder(world, OFFLINE)
    run = only(world.analyze())
    world.write(f"{OFFLINE}/run-abc12345.wandb.synced")

    class Server(FakeServer):
        def answer(self, request):
            assert (request.json["variables"], request.path) == ({"project": "demo", "run": "abc12345"}, "/graphql")
            return 200, {"data": answer}

    with Server() as server:
        environ = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "topsecret"}
        found = refresh(run, environ=environ, home=world.home, workspace=world.cwd)
        assert len(server.requests) == 1
        assert found.url == (f"{server.url}/{entity}/demo/runs/abc12345" if entity else None)
        assert "topsecret" not in repr(found)


def test_without_a_key_or_server_nobody_is_asked(world):
    run_folder(world, OFFLINE)
    run = only(world.analyze())
    world.write(f"{OFFLINE}/run-abc12345.wandb.synced")
    with FakeServer() as server:
        for environ in ({"WANDB_BASE_URL": server.url}, {"WANDB_API_KEY": "k"}):
            assert refresh(run, environ=environ, home=world.home, workspace=world.cwd).url is None
        assert server.requests == []
