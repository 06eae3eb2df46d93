"""Exports, read by the formats' own libraries."""

import dataclasses
import io
import json

import attr
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from openlineage.client import event_v2
from prov.model import ProvActivity, ProvDocument, ProvEntity
from registrations import MLFLOW_URL, WANDB_URL, digest, digits, job, mlflow_run, uid, use

from roar import model


@pytest.fixture
def export(client, post):
    """Registers a session and returns one of its exports as text."""
    failed = job(4, exit_code=3, git=None, host=None, python=None, inputs=(use("model.pt"),),
                 tracker_runs=(mlflow_run(url=None, state=model.TrackerRunState.PARTIAL),))
    cut = job(5, state=model.JobState.INTERRUPTED, exit_code=130, duration_s=None, outputs=(
        model.FileUse(path="secret", digest=None, size=None, note="could not be read"),))
    sent = dataclasses.replace(digits(), jobs=(*digits().jobs, failed, cut))
    dag = post(sent).json()["dag"]

    def get(name):
        response = client.get(f"/api/v1/sessions/{dag}/export/{name}")
        assert response.status_code == 200
        assert f'filename="{dag[:12]}.{name}.json"' in response.headers["content-disposition"]
        return response.text

    return get


def test_cyclonedx_is_valid_by_its_own_validator(export):
    text = export("cyclonedx")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    kinds = {component["name"]: component["type"] for component in bom["components"]}
    assert (kinds["model.pt"], kinds["data/digits"], kinds["train.py"], kinds["numpy"]) == (
        "machine-learning-model", "data", "file", "library")
    refs = {component["bom-ref"] for component in bom["components"]}
    tasks = bom["formulation"][0]["workflows"][0]["tasks"]
    assert {end["resource"]["ref"] for task in tasks for end in (*task.get("inputs", ()), *task.get("outputs", ()))
            } <= refs
    links = [reference["externalReference"]["url"] for reference in tasks[1]["resourceReferences"]]
    assert links == [WANDB_URL, MLFLOW_URL]


def test_openlineage_is_accepted_by_its_clients_models(export):
    events = json.loads(export("openlineage"))
    for event in events:
        made = event_v2.RunEvent(
            eventType=event_v2.RunState(event["eventType"]), eventTime=event["eventTime"], producer=event["producer"],
            run=event_v2.Run(**event["run"]), job=event_v2.Job(**event["job"]),
            inputs=[event_v2.InputDataset(**dataset) for dataset in event["inputs"]],
            outputs=[event_v2.OutputDataset(**dataset) for dataset in event["outputs"]])
        assert attr.asdict(made)["run"]["runId"] == event["run"]["runId"]
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"] * 3 + ["START", "FAIL", "START"]
    facet = events[3]["run"]["facets"]["roar_trackerRuns"]
    assert [run["url"] for run in facet["runs"]] == [WANDB_URL, MLFLOW_URL, None]
    assert {"namespace": "file", "name": "model.pt"}.items() <= events[3]["outputs"][0].items()


def test_prov_is_read_by_its_library(export):
    document = ProvDocument.deserialize(io.StringIO(export("prov")), format="json")
    activities = list(document.get_records(ProvActivity))
    entities = {str(entity.identifier): entity for entity in document.get_records(ProvEntity)}
    assert {str(activity.identifier) for activity in activities} == {f"roar:job_{uid(n)}" for n in range(1, 6)}
    assert f"roar:artifact_{digest('model.pt')}" in entities
    assert WANDB_URL in str(entities[f"roar:trackerRun_{uid(2)}_0"].attributes)
    assert document.deserialize(io.StringIO(document.serialize(format="json")), format="json") == document


def test_there_is_no_other_format(client, registered):
    assert client.get(f"/api/v1/sessions/{registered}/export/word").status_code == 422
    assert client.get(f"/api/v1/sessions/{'0' * 64}/export/prov").status_code == 404
