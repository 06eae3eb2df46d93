import dataclasses

import pytest
from registrations import MLFLOW_URL, PYTHON, WANDB_URL, digest, digits, job, uid, use

from roar import model


def test_the_job_page_leads_with_the_trackers(client, registered):
    text = client.get(f"/jobs/{uid(2)}").text
    wandb = f'href="{WANDB_URL}" target="_blank" rel="noopener noreferrer">View in W&amp;B'
    mlflow = f'href="{MLFLOW_URL}" target="_blank" rel="noopener noreferrer">View in MLflow'
    sync = "wandb sync wandb/offline-run-20261122_100000-offl1ne0"
    assert wandb in text
    assert mlflow in text
    assert f'data-copy="{sync}"' in text
    assert max(text.index(wandb), text.index(mlflow), text.index(sync)) < text.index('id="command"')
    assert "812 files of wandb" in text
    assert "owner=alice" in text


@pytest.mark.parametrize("path", [
    "/", "/search", "/search?q=python", "/search?q=nothing+like+this", "/tracker-runs", "/tracker-runs?tracker=wandb",
    f"/jobs/{uid(1)}", f"/jobs/{uid(3)}", f"/jobs/{uid(1)}/outputs", f"/jobs/{uid(1)}/inputs?cursor=100",
    f"/artifacts/{digits().datasets[0].digest}", f"/artifacts/{digest('model.pt')}",
    f"/artifacts/{digest('member 2')}",
    f"/artifacts/{digits().datasets[0].digest}?within=3"])
def test_pages(client, registered, path):
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")


def test_the_dag_page_draws_every_job_as_a_link(client, registered):
    text = client.get(f"/dag/{registered}").text
    svg = text[text.index("<svg xmlns"):text.index("</figure>")]
    assert [f'<a href="/jobs/{uid(n)}">' in svg for n in (1, 2, 3)] == [True] * 3
    assert f'/artifacts/{digest("model.pt")}' in svg


def test_a_payload_is_drawn_once_a_job_reads_it(client, post):
    first = dataclasses.replace(digits(), jobs=digits().jobs[:2])
    for registration, drawn in ((first, False), (digits(), True)):
        text = client.get(f"/dag/{post(registration).json()['dag']}").text
        svg = text[text.index("<svg xmlns"):text.index("</figure>")]
        assert (f'/artifacts/{digest("best.pt")}' in svg) is drawn


def test_unknown_things_are_a_page_that_says_so(client):
    for path in ("/jobs/xyz", f"/jobs/{uid(7)}", f"/dag/{'0' * 64}", f"/artifacts/{'0' * 64}", "/nowhere"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/html")
        api = client.get("/api/v1" + path.replace("/dag/", "/sessions/"))
        assert api.status_code == 404
        assert api.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", [
    WANDB_URL, WANDB_URL + "/logs?nw=nwuseracme", MLFLOW_URL + "/artifacts", "abc123xy", "epochs", "owner=alice",
    uid(2), digits().jobs[1].command[1] + " 3"])
def test_the_way_back_to_the_one_job(client, registered, query):
    response = client.get("/search", params={"q": query}, follow_redirects=False)
    if response.status_code == 200:  # several things found: the job is among them
        assert f"/jobs/{uid(2)}" in response.text
        assert query in ("epochs", "train.py 3", uid(2))
    else:
        assert response.headers["location"] == f"/jobs/{uid(2)}"


def test_the_same_run_id_elsewhere_is_no_proof(client, registered):
    text = client.get("/search", params={"q": "https://elsewhere.example/x/y/runs/abc123xy"}).text
    assert "not proven" in text
    assert f"/jobs/{uid(2)}" in text


def test_two_runs_of_a_step_are_compared(client, post):
    first = job(1, inputs=(use("a"), use("same")), outputs=(use("out", "old"),))
    later = job(2, step=1, started_at="2026-11-22T12:00:00.000000Z", command=("python", "step1.py", "--lr", "0.2"),
                inputs=(use("a", "changed"), use("same")), outputs=(use("out", "new"), use("more")),
                python=dataclasses.replace(PYTHON, packages=(model.Package(name="numpy", version="2.2.0"),)))
    post(dataclasses.replace(digits(), jobs=(first, later), datasets=(), payloads=()))
    page = client.get(f"/jobs/{uid(2)}").text
    assert f'href="/compare?a={uid(1)}&amp;b={uid(2)}"' in page
    text = client.get(f"/compare?a={uid(1)}&b={uid(2)}").text
    assert "python step1.py --lr 0.2" in text
    assert "2 differ, 0 the same" in text
    found = client.get(f"/api/v1/compare?a={uid(1)}&b={uid(2)}").json()
    assert [d["name"] for d in found["inputs"]] == ["a"]
    assert (found["same_inputs"], found["same_outputs"]) == (1, 0)
    assert found["packages"] == [{"name": "numpy", "a": "2.1.0", "b": "2.2.0"},
                                 {"name": "scikit-learn", "a": "1.7.2", "b": None}]
    assert client.get("/compare").status_code == 200
    assert client.get("/compare?a=zz&b=zz").status_code == 404
