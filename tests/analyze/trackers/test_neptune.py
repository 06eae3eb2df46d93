import base64
import json
import sqlite3

import pytest

from roar.analyze.trackers import initial_environment

ONE, TWO = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
APP = "https://neptune.corp.example/acme/proj/e"


def container(world, uuid=ONE, mode="async", pid=10, *, remains=False):
    folder = f".neptune/{mode}/run__{uuid}__{pid}__abcdefgh"
    world.write(f"{folder}/metadata.json", b"{}", remains=remains)
    return world.write(f"{folder}/data-1.log", remains=remains)


def say(world, short_id, pid):
    world.say(f"[neptune] [info   ] Neptune initialized. Open in the app: {APP}/{short_id}", pid=pid)


def scale(world, run_id="exp-1", *, remains=True):
    path = world.write(f".neptune/acme_proj_{run_id}_1795390630381263872/run_operations.sqlite3", remains=remains)
    if remains:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE metadata (version, project, run_id)")
        connection.execute("INSERT INTO metadata VALUES ('1', 'acme/proj', ?)", (run_id,))
        connection.execute("CREATE TABLE run_operations (operation)")
        connection.commit()
        connection.close()
    return path


def test_online_run_has_the_printed_address(world):
    path = container(world)
    say(world, "PROJ-42", 10)
    analysis = world.analyze()
    [run] = analysis.runs
    assert (run.url, run.run_id, run.entity, run.project) == (f"{APP}/PROJ-42", "PROJ-42", "acme", "proj")
    assert path in analysis.owned


def test_two_processes_keep_their_addresses_apart(world):
    container(world, ONE, pid=10)
    container(world, TWO, pid=11, remains=True)
    say(world, "PROJ-2", 11)
    runs = {run.run_id: run for run in world.analyze().runs}
    assert runs["PROJ-2"].url == f"{APP}/PROJ-2"
    assert (runs[ONE].state, runs[ONE].url) == ("partial", None)
    assert len(runs) == 2


def test_offline_run_says_how_to_upload_it(world):
    container(world, mode="offline", remains=True)
    world.environment["NEPTUNE_PROJECT"] = "acme/proj"
    [run] = world.analyze().runs
    assert run.state == "offline"
    assert run.how_to_view == f"neptune sync --path {world.cwd} --object offline/{ONE} --project acme/proj"


def test_unsent_scale_run_is_offline_although_it_printed_an_address(world):
    scale(world)
    world.say("View your run in the app:\nhttps://neptune.corp.example/acme/proj/-/run/?customId=exp-1")
    [run] = world.analyze().runs
    assert (run.run_id, run.project, run.state, run.url) == ("exp-1", "acme/proj", "offline", None)


def test_sent_scale_run_has_the_address_of_the_line_below(world):
    scale(world, remains=False)
    world.say("\x1b[94mneptune\x1b[0m:INFO: View your run in the app:\nhttps://n.example/acme/proj/-/run/?customId=exp-1")
    [run] = world.analyze().runs
    assert (run.state, run.url) == ("online", "https://n.example/acme/proj/-/run/?customId=exp-1")


def test_only_the_host_leaves_the_token():
    content = {"api_address": "https://neptune.corp.example", "api_key": "topsecret"}
    token = base64.b64encode(json.dumps(content).encode()).decode()
    environment = initial_environment({"NEPTUNE_API_TOKEN": token, "NEPTUNE_PROJECT": "acme/proj"})
    assert environment == {"NEPTUNE_API_ADDRESS": "https://neptune.corp.example", "NEPTUNE_PROJECT": "acme/proj"}


@pytest.mark.parametrize("token", ["", "***", "bm90IGpzb24=", "W10=", "e30="])
def test_broken_tokens_give_nothing(token):
    assert initial_environment({"NEPTUNE_API_TOKEN": token}) == {}


@pytest.mark.parametrize("path", [
    ".neptune/notes.txt", ".neptune/async/mine.txt", "run_operations.sqlite3", "neptune/async/run__x/data.log",
])
def test_look_alikes_stay(world, path):
    world.write(path)
    assert not world.analyze().owned
