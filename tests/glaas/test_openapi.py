"""The API against its own description, with thousands of odd requests: no answer is a bug's."""

import dataclasses
from urllib.parse import parse_qsl, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from registrations import SESSION, body, digest, digits, grown, job, uid, use, wandb_run
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance
from starlette.testclient import TestClient

from glaas.app import create_app
from glaas.db import open_engine
from glaas.schema import migrate
from glaas.settings import Settings


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('openapi')}/glaas.db"
    migrate(open_engine(url))
    app = create_app(Settings(database=url))
    with TestClient(app) as client:
        client.post("/api/v1/sessions", content=body(digits()), headers={"content-type": "application/json"})
    return app


OPERATIONS = ["POST /api/v1/sessions", "GET /api/v1/sessions", "GET /api/v1/sessions/{dag}",
              "GET /api/v1/jobs", "GET /api/v1/jobs/{uid}", "GET /api/v1/jobs/{uid}/similar",
              "GET /api/v1/jobs/{uid}/{role}", "GET /api/v1/artifacts/{digest}",
              "GET /api/v1/artifacts/{digest}/members", "GET /api/v1/artifacts/{digest}/lineage",
              "GET /api/v1/artifacts/{digest}/uses", "GET /api/v1/trackers", "GET /api/v1/account",
              "GET /api/v1/tracker-runs", "GET /api/v1/compare", "GET /api/v1/whoami", "POST /api/v1/device",
              "GET /api/v1/sessions/{dag}/export/{name}", "GET /api/v1/jobs/{uid}/export/{name}",
              "GET /api/v1/artifacts/{digest}/export/{name}",
              "POST /api/v1/device/token", "GET /api/v1/search", "GET /api/v1/uploads/{digest}",
              "PUT /api/v1/uploads/{digest}"]


@pytest.fixture(scope="module")
def operations(application):
    description = schemathesis.openapi.from_asgi("/api/v1/openapi.json", application)
    return {result.ok().label: result.ok() for result in description.get_all_operations()}


def test_every_operation_is_tried(operations):
    assert sorted(operations) == sorted(OPERATIONS)


ANY_TEXT_FITS = {"POST /api/v1/device", "GET /api/v1/whoami", "GET /api/v1/account", "GET /api/v1/trackers",
                 "GET /api/v1/sessions/{dag}", "GET /api/v1/jobs/{uid}",
                 "GET /api/v1/artifacts/{digest}", "GET /api/v1/uploads/{digest}"}
CASES = [(operation, mode) for operation in OPERATIONS for mode in schemathesis.GenerationMode
         if mode.is_positive or operation not in ANY_TEXT_FITS]


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_no_request_finds_a_bug(operations, operation, mode):
    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operations[operation].as_strategy(generation_mode=mode))
    def send(case):
        response = case.call()
        case.validate_response(response, checks=[
            not_a_server_error, status_code_conformance, content_type_conformance])

    send()


def test_the_description_names_every_noun(application):
    with TestClient(application) as client:
        description = client.get("/api/v1/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    assert {"Job", "Registration", "FileUse", "TrackerRun", "Git", "Host"} <= set(description["components"]["schemas"])


FOLDER = digits().datasets[0].digest
GETS = ["jobs", "sessions", "trackers", f"artifacts/{digest('model.pt')}/uses?role=input",
        f"jobs/{uid(2)}", f"jobs/{uid(2)}/inputs", f"artifacts/{digest('model.pt')}",
        f"artifacts/{FOLDER}/members", f"artifacts/{FOLDER}/members?folder=", "tracker-runs", "search?q=train",
        f"artifacts/{digest('model.pt')}/lineage", f"compare?a={uid(1)}&b={uid(2)}", "sessions/DAG",
        "sessions/DAG/export/prov"]


@pytest.mark.parametrize("path", GETS)
def test_entity_tags(application, path):
    with TestClient(application) as client:
        path = f"/api/v1/{path.replace('DAG', client.get('/api/v1/sessions').json()['sessions'][0]['dag'])}"
        first = client.get(path)
        assert first.status_code == 200
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"old", {tag}', "*"):
            again = client.get(path, headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get(path, headers={"if-none-match": '"old"'}).text == first.text


def test_an_entity_tag_changes_with_what_it_names(client, post):
    post(digits())
    before = client.get(f"/api/v1/jobs/{uid(2)}").headers["etag"]
    post(dataclasses.replace(digits(), jobs=tuple(
        dataclasses.replace(one, labels={"new": "label"}) for one in digits().jobs)))
    after = client.get(f"/api/v1/jobs/{uid(2)}", headers={"if-none-match": before})
    assert after.status_code == 200
    assert after.headers["etag"] != before


@pytest.mark.parametrize(("path", "name"), [
    ("jobs", "jobs"), ("sessions", "sessions"), (f"jobs/{uid(2)}/inputs", "inputs"),
    (f"jobs/{uid(1)}/outputs", "outputs"), (f"artifacts/{FOLDER}/members", "members"),
    (f"artifacts/{FOLDER}/members?folder=", "members"), (f"artifacts/{FOLDER}/members?within=npy", "members"),
    (f"artifacts/{digest('raw.csv')}/uses?role=input", "uses"),
    ("tracker-runs", "tracker_runs"), ("tracker-runs?tracker=wandb", "tracker_runs"),
    (f"sessions?session={SESSION}", "sessions")])
def test_every_list_page_by_page(client, post, path, name):
    more = job(4, inputs=(use("raw.csv"), use("again.csv", "raw.csv")))
    for registration in (digits(), grown(digits(), more), grown(digits(), more, job(5))):
        post(registration)
    parts = urlsplit(f"/api/v1/{path}")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    whole = client.get(parts.path, params=given).json()[name]
    for limit in (1, 2):
        seen, cursor = [], None
        while True:
            page = client.get(parts.path, params=given | {"limit": limit} | ({"cursor": cursor} if cursor else {}))
            seen += page.json()[name]
            cursor = page.json()["next"]
            if cursor is None:
                break
        assert seen == whole
        assert len(whole) > 1
    for wrong in ("x", "-1", "1.5", "2026-11-22", "9" * 30):
        refused = client.get(parts.path, params=given | {"cursor": wrong})
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"


def test_new_jobs_do_not_shift_the_pages(client, post):
    """A cursor names the last thing seen, not how many: what is registered meanwhile is neither shown twice nor lost.
    """
    post(digits())
    first = client.get("/api/v1/jobs?limit=2").json()
    post(grown(digits(), job(4), job(5)))
    second = client.get("/api/v1/jobs", params={"limit": 2, "cursor": first["next"]}).json()
    assert [one["uid"] for one in first["jobs"] + second["jobs"]] == [uid(3), uid(2), uid(1)]


def test_tracker_runs_are_filtered(application):
    with TestClient(application) as client:
        wanted = {"tracker": "wandb", "state": "offline"}
        runs = client.get("/api/v1/tracker-runs", params=wanted).json()["tracker_runs"]
        assert [run["run_id"] for run in runs] == ["offl1ne0"]
        assert runs[0]["label"] == wandb_run().label
