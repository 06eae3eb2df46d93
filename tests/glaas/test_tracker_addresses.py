"""Pasting the address of a tracker run finds the job that wrote to it, in whatever form, and never another job."""

import dataclasses

import pytest
from registrations import digits, job, uid
from sqlalchemy import update

from glaas import models
from glaas.db import open_engine, writing
from glaas.urls import former_url_keys, url_key, url_keys
from roar import model

A, B, C, D = ("0123456789abcdef" * 2, "a1" * 16, "b2" * 16, "e" * 32)
LONG = f"https://wandb.ai/{'p' * 250}/{'q' * 250}/{'r' * 100}/runs"
RUNS = (
    ("abc123xy", "https://wandb.ai/acme/digits/runs/abc123xy"),
    (A, f"http://127.0.0.1:5000/#/experiments/1/runs/{A}"),
    ("exp-1", "https://n.example/acme/proj/-/run/?customId=exp-1"),
    ("DIG-12", "https://app.neptune.ai/acme/digits/e/DIG-12"),
    (B, f"https://www.comet.com/acme/digits/{B}"),
    (C, f"https://app.clear.ml/projects/{'f' * 32}/experiments/{C}/output/log"),
    ("run-zebra", "http://127.0.0.1:7860/?project=zoo"),
    (D, f"https://dbc-1.cloud.databricks.com/ml/experiments/7/runs/{D}"),
    ("one1234", f"{LONG}/one1234"),
)
FOUND = (
    (1, "https://www.wandb.ai/acme/digits/runs/abc123xy/logs"), (1, "https://app.wandb.ai/acme/digits/runs/abc123xy"),
    (1, "wandb.ai/acme/digits/runs/abc123xy"), (1, "<https://wandb.ai/acme/digits/runs/abc123xy>"),
    (1, "https://wandb.ai/acme/digits/runs/abc123xy)."), (1, "https://user@wandb.ai//acme/digits/runs/abc123xy"),
    (1, "https://wandb.ai/acme/digits/workspace?nw=1&peekPath=%2Facme%2Fdigits%2Fruns%2Fabc123xy"),
    (2, f"http://localhost:5000/?o=1#/experiments/1/runs/{A}/artifacts?x=1"), (2, RUNS[1][1]),
    (2, f"http://127.0.0.1:5000/#/metric?runs=[%22{A}%22]&metric=loss&experiments=[%221%22]"),
    (3, "https://n.example/acme/proj/-/run/?tab=charts&customId=exp-1"),
    (4, "https://app.neptune.ai/o/acme/org/digits/e/DIG-12/charts"), (4, RUNS[3][1]),
    (5, f"https://comet.com/acme/digits/{B}?tab=x"), (5, f"https://www.comet.ml/acme/digits/{B}"), (5, RUNS[4][1]),
    (6, f"https://app.clear.ml/projects/*/experiments/{C}/execution"), (6, RUNS[5][1]),
    (6, f"https://app.clear.ml/projects/{'f' * 32}/tasks/{C}/info-output/metrics/scalar?columns=x"),
    (7, "http://127.0.0.1:7860/?project=zoo"), (7, "http://localhost:7860/runs?x=1&project=zoo"),
    (8, f"https://dbc-1.cloud.databricks.com/?o=1#mlflow/experiments/7/runs/{D}"),
    (9, f"{LONG}/one1234"), (9, f"{LONG}/one1234/overview?nw=1"),
)
NOT_FOUND = (
    "https://n.example/acme/proj/-/run/?customId=exp-2", "https://n.example/acme/proj/-/run/",
    "http://127.0.0.1:7860/?project=animals", "http://127.0.0.1:7860/", "https://wandb.ai/acme/digits/runs/abc123xyz",
    "https://wandb.ai/acme/digits", f"{LONG}/two5678", f"http://127.0.0.1:5001/#/experiments/1/runs/{A}",
    "https://wandb.ai/other/digits/runs/abc123xy", "https://app.neptune.ai/acme/digits/e/DIG-123",
)


def run_at(run_id, url):
    return model.TrackerRun(tracker="any", label="Any", run_id=run_id, url=url, evidence="console",
                            state=model.TrackerRunState.ONLINE)


@pytest.mark.parametrize("former", [False, True])
def test_an_address_in_any_form_leads_to_its_job_and_to_no_other(client, post, database, former):
    jobs = tuple(job(n, tracker_runs=(run_at(*run),)) for n, run in enumerate(RUNS, 1))
    assert post(dataclasses.replace(digits(), jobs=jobs, datasets=(), payloads=())).status_code == 201
    if former:  # registered by a glaas that kept other keys
        engine = open_engine(database)
        with writing(engine) as connection:
            for run_id, url in RUNS:
                connection.execute(update(models.tracker_run).where(models.tracker_run.c.run_id == run_id),
                                   {"url_key": former_url_keys(url)[0]})
        engine.dispose()
    led = {text: client.get("/search", params={"q": text}, follow_redirects=False).headers.get("location")
           for _, text in FOUND}
    assert led == {text: f"/jobs/{uid(number)}" for number, text in FOUND}
    for text in NOT_FOUND:
        answer = client.get("/api/v1/search", params={"q": text}).json()
        assert not answer["tracker_runs"] or not answer["exact"], text


def test_a_key_fits_an_index_and_holds_the_whole_address():
    one, two = url_key(f"{LONG}/one1234"), url_key(f"{LONG}/two5678")
    assert one != two
    assert max(map(len, url_keys(f"{LONG}/one1234/{'x' * 900}"))) <= 600
    assert one in url_keys(f"{LONG}/one1234/logs")


@pytest.mark.parametrize("url", ["http://a/\u202eb", "http://a/\u200bb", "http://a/\ufeffb", "http://a/\x07b"])
def test_an_address_with_what_is_not_seen_is_refused(post, url):
    jobs = (job(1, tracker_runs=(run_at("x", url),)),)
    assert post(dataclasses.replace(digits(), jobs=jobs, datasets=(), payloads=())).status_code == 422
