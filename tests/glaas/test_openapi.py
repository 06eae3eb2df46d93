"""The API against its own description, with thousands of odd requests: no answer is a bug's."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from registrations import body, digits, uid, wandb_run
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


OPERATIONS = ["POST /api/v1/sessions", "GET /api/v1/sessions/{dag}", "GET /api/v1/jobs", "GET /api/v1/jobs/{uid}",
              "GET /api/v1/jobs/{uid}/{role}", "GET /api/v1/artifacts/{digest}",
              "GET /api/v1/artifacts/{digest}/members", "GET /api/v1/artifacts/{digest}/lineage",
              "GET /api/v1/tracker-runs", "GET /api/v1/compare", "GET /api/v1/whoami", "POST /api/v1/device",
              "GET /api/v1/sessions/{dag}/export/{name}", "GET /api/v1/jobs/{uid}/export/{name}",
              "GET /api/v1/artifacts/{digest}/export/{name}",
              "POST /api/v1/device/token", "GET /api/v1/search"]


@pytest.fixture(scope="module")
def operations(application):
    description = schemathesis.openapi.from_asgi("/api/v1/openapi.json", application)
    return {result.ok().label: result.ok() for result in description.get_all_operations()}


def test_every_operation_is_tried(operations):
    assert sorted(operations) == sorted(OPERATIONS)


ANY_TEXT_FITS = {"POST /api/v1/device", "GET /api/v1/whoami", "GET /api/v1/sessions/{dag}", "GET /api/v1/jobs/{uid}",
                 "GET /api/v1/artifacts/{digest}"}
CASES = [(operation, mode) for operation in OPERATIONS for mode in schemathesis.GenerationMode
         if mode.is_positive or operation not in ANY_TEXT_FITS]


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_no_request_finds_a_bug(operations, operation, mode):
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
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


def test_entity_tags(application):
    with TestClient(application) as client:
        first = client.get(f"/api/v1/jobs/{uid(2)}")
        again = client.get(f"/api/v1/jobs/{uid(2)}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(f"/api/v1/jobs/{uid(2)}", headers={"if-none-match": '"old"'}).status_code == 200


def test_pages_of_a_list(application):
    with TestClient(application) as client:
        seen, cursor = [], None
        while True:
            page = client.get("/api/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
            seen += [job["uid"] for job in page["jobs"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == [uid(3), uid(2), uid(1)]
        wanted = {"tracker": "wandb", "state": "offline"}
        runs = client.get("/api/v1/tracker-runs", params=wanted).json()["tracker_runs"]
        assert [run["run_id"] for run in runs] == ["offl1ne0"]
        assert runs[0]["label"] == wandb_run().label
