import dataclasses
import gzip
import json

import pytest
from registrations import GIT, HOST, INNER, SESSION, body, dataset_of, digest, digits, grown, job, uid, use, wandb_run
from sqlalchemy import select

from glaas import ingest, models
from glaas.db import open_engine, reading
from roar import model
from roar.wire import Age, DatasetMember, Payload, dag_digest, to_json

JSON = {"content-type": "application/json"}


def test_registering_answers_with_the_digest_that_the_client_computes(post):
    response = post(digits())
    assert response.status_code == 201
    assert response.json() == {
        "dag": dag_digest(digits()), "url": f"/dag/{dag_digest(digits())}", "created": True,
        "jobs": [{"uid": uid(n), "url": f"/jobs/{uid(n)}"} for n in (1, 2, 3)]}


def test_registering_twice_equals_once(client, post):
    first = post(digits())
    pages = [client.get(path).text for path in ("/api/v1/jobs", f"/api/v1/sessions/{first.json()['dag']}")]
    again = post(digits())
    assert again.status_code == 200
    assert again.json() == first.json() | {"created": False}
    other_client = dataclasses.replace(digits(), client="roar 9.9.9")
    assert post(other_client).json() == again.json()
    assert [client.get(path).text for path in ("/api/v1/jobs", f"/api/v1/sessions/{first.json()['dag']}")] == pages


def test_a_job_comes_back_as_it_was_sent(client, registered):
    for sent in digits().jobs:
        got = client.get(f"/api/v1/jobs/{sent.uid}").json()
        assert {key: got[key] for key in to_json(sent)} == to_json(sent)


def test_a_session_that_grows_keeps_its_frozen_dags(client, post, registered):
    bigger = post(grown(digits(), job(4, inputs=(use("report.json"),)))).json()
    assert bigger["created"] is True
    assert len(client.get(f"/api/v1/sessions/{registered}").json()["jobs"]) == 3
    assert len(client.get(f"/api/v1/sessions/{bigger['dag']}").json()["jobs"]) == 4
    assert client.get(f"/api/v1/jobs/{uid(1)}").json()["dags"] == [bigger["dag"], registered]


HIDDEN_OTHERWISE = {
    "a number for a secret in a path": (
        {"inputs": (use("data/?token=[redacted]", "x"),)}, {"inputs": (use("data/?token=[redacted]#5f0c9a3e", "x"),)}),
    "another number, for the key was lost": (
        {"inputs": (use("data/?token=[redacted]#5f0c9a3e", "x"),)},
        {"inputs": (use("data/?token=[redacted]#00000000", "x"),)}),
    "a path that sorts elsewhere": (
        {"outputs": (use("a/token=x1/m", "m"), use("b", "b"), use("c", "m"))},
        {"outputs": (use("b", "b"), use("c", "m"), use("[redacted]#5f0c9a3e", "m"))}),
    "a word of the command": (
        {"command": ("train.py", "--name", "hf_m", "-v")}, {"command": ("train.py", "--name", "[redacted]", "-v")}),
    "several words": (
        {"command": ("train.py", "--user", "ada", "pw")}, {"command": ("train.py", "[redacted]")}),
    "words that each hide another one": (
        {"command": ("train.py", "--key=[redacted]", "--name=x")},
        {"command": ("train.py", "--key=k", "--name=[redacted]")}),
    "alike files of which one path fits both": (
        {"outputs": (use("t=aa/b/a.txt", "m"), use("t=zz/a.txt", "m"))},
        {"outputs": (use("t=[redacted]#00000001/a.txt", "m"), use("t=[redacted]#00000002/b/a.txt", "m"))}),
    "hundreds of files in one folder": (
        {"outputs": tuple(use(f"r=x/{n}", "m") for n in range(300))},
        {"outputs": tuple(use(f"r=[redacted]#00000001/{n}", "m") for n in range(300))}),
    "a part of a word": (
        {"name": "run key=[redacted] of [redacted]"}, {"name": "run key=of of ada"}),
}


@pytest.mark.parametrize(("before", "after"), HIDDEN_OTHERWISE.values(), ids=HIDDEN_OTHERWISE)
@pytest.mark.parametrize("order", [1, -1])
def test_a_job_in_which_other_texts_are_hidden_is_the_same_job(client, post, before, after, order):
    """A newer client, or an older one, takes other texts for secrets. What is there stays as it is."""
    before, after = (before, after)[::order]
    assert post(changed(1, **before)).status_code == 201
    kept = client.get(f"/api/v1/jobs/{uid(1)}").json()
    bigger = post(grown(changed(1, **after), job(4, inputs=(use("report.json"),))))
    assert bigger.status_code == 201
    assert client.get(f"/api/v1/jobs/{uid(4)}").status_code == 200
    got = client.get(f"/api/v1/jobs/{uid(1)}").json()
    assert got.pop("dags") == [bigger.json()["dag"], *kept.pop("dags")]
    del got["registrations"], kept["registrations"]
    assert got == kept


@pytest.mark.parametrize("order", [1, -1])
def test_a_job_of_which_less_is_known_of_the_code_is_the_same_job(client, post, order):
    """A server of before dropped what it did not know; a client of before did not record it."""
    codes = [GIT, dataclasses.replace(GIT, worktree="tree", repositories=INNER)][::order]
    for code, number in zip(codes, (4, 5), strict=True):
        assert post(grown(changed(1, git=code), job(number))).status_code == 201
    other = dataclasses.replace(codes[0], branch="other")
    assert post(grown(changed(1, git=other), job(6))).status_code == 409


OTHER = {
    "another file": ({"inputs": (use("data/?token=[redacted]", "x"),)},
                     {"inputs": (use("data/?token=[redacted]", "y"),)}),
    "another place": ({"inputs": (use("data/?token=[redacted]/a", "x"),)}, {"inputs": (use("data/a/b", "x"),)}),
    "one file more": ({"inputs": (use("q?token=[redacted]", "x"),)},
                      {"inputs": (use("q?token=[redacted]", "x"), use("q?token=[redacted]#5f0c9a3e", "x"))}),
    "another command": ({"command": ("train.py", "--key", "[redacted]", "a")},
                        {"command": ("train.py", "--key", "[redacted]", "b")}),
    "less than what is around what is hidden": ({"name": "ab[redacted]ba"}, {"name": "aba"}),
    "parts that come in another order": ({"name": "a[redacted]b[redacted]c[redacted]d"}, {"name": "a1c1b1d"}),
    "a gap more": ({"tracer": model.Tracer(mode="full")}, {"tracer": model.Tracer(mode="full", gaps=("[redacted]",))}),
    "gaps in another order": ({"tracer": model.Tracer(mode="full", gaps=("a", "b"))},
                              {"tracer": model.Tracer(mode="full", gaps=("b", "a"))}),
    "another exit status": ({"exit_code": 0, "name": "[redacted]"}, {"exit_code": 1, "name": "x"}),
}


@pytest.mark.parametrize(("before", "after"), OTHER.values(), ids=OTHER)
@pytest.mark.parametrize("order", [1, -1])
def test_what_is_hidden_excuses_nothing_else(client, post, before, after, order):
    before, after = (before, after)[::order]
    assert post(changed(1, **before)).status_code == 201
    kept = client.get(f"/api/v1/jobs/{uid(1)}").text
    assert post(changed(1, **after)).status_code == 409
    assert client.get(f"/api/v1/jobs/{uid(1)}").text == kept


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_kept_is_what_is_searched(client, post, order):
    before, after = [("a.py", "--k=[redacted]"), ("a.py", "--k=zebraquux")][::order]
    assert post(changed(1, command=before)).status_code == 201
    found = client.get("/api/v1/search?q=zebraquux").json()
    for number in (4, 5):  # again, when that form is known
        bigger = grown(changed(1, command=after), job(number, inputs=(use("report.json"),)))
        assert post(bigger).status_code == 201
        assert client.get("/api/v1/search?q=zebraquux").json() == found


@pytest.fixture
def without_checks(monkeypatch):
    """As a glaas that knew no secret."""
    with monkeypatch.context() as patched:
        patched.setattr("glaas.ingest._secret_flaws", lambda _: iter(()))
        yield patched


TOLD = "hf_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3f"


@pytest.mark.parametrize(("before", "after"), [
    ({"url": f"https://wandb.ai/a/b/runs/abc?token={TOLD}"}, {"url": None, "state": "partial"}),
    ({"how_to_view": f"WANDB_API_KEY={TOLD} wandb sync x"}, {"how_to_view": "WANDB_API_KEY=[redacted] wandb sync x"}),
])
def test_a_secret_in_a_tracker_run_goes_too(client, post, without_checks, before, after):
    runs = [wandb_run(run_id="abc", **more) for more in (before, after)]
    assert post(changed(1, tracker_runs=runs[:1])).status_code == 201
    assert TOLD in client.get(f"/api/v1/jobs/{uid(1)}").text
    without_checks.undo()
    assert post(changed(1, tracker_runs=runs[1:])).status_code == 201
    [run] = client.get(f"/api/v1/jobs/{uid(1)}").json()["tracker_runs"]
    assert TOLD not in str(run)
    assert {name: run[name] for name in after} == after


@pytest.mark.parametrize(("payloads", "status"), [([("best.pt", "p")], 201), ([], 409), ([("best.pt", "q")], 409)])
def test_payloads_are_part_of_what_never_changes(client, post, without_checks, payloads, status):
    def sent(command, files):
        alone = dataclasses.replace(job(1), command=("a.py", command))
        return dataclasses.replace(digits(), jobs=(alone,), datasets=(), payloads=tuple(
            Payload(job=uid(1), path=path, digest=digest(content), size=9) for path, content in files))

    assert post(sent(TOLD, [("best.pt", "p")])).status_code == 201
    without_checks.undo()
    assert post(sent("[redacted]", payloads)).status_code == status
    uses = client.get(f"/api/v1/artifacts/{digest('p')}").json()["produced_by"]
    assert [one["path"] for one in uses] == ["best.pt"]
    assert (TOLD in client.get(f"/api/v1/jobs/{uid(1)}").text) == (status == 409)


def test_a_secret_that_got_in_before_goes_when_the_job_is_registered_again(client, post, monkeypatch):
    told = "hf_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3f"
    with monkeypatch.context() as patched:  # as a glaas that did not know such tokens
        patched.setattr("glaas.ingest.iter_secrets", lambda _: iter(()))
        assert post(changed(1, command=("train.py", told), inputs=(use(f"in/{told}", "x"),))).status_code == 201
    assert told in client.get(f"/api/v1/jobs/{uid(1)}").text
    clean = changed(1, command=("train.py", "[redacted]"), inputs=(use("in/[redacted]#5f0c9a3e", "x"),))
    assert post(clean).status_code == 201
    got = client.get(f"/api/v1/jobs/{uid(1)}").json()
    assert (got["command"], got["inputs"][0]["path"]) == (["train.py", "[redacted]"], "in/[redacted]#5f0c9a3e")
    for page in (f"/jobs/{uid(1)}", f"/artifacts/{digest('x')}", "/", "/search?q=hf_a"):
        assert told not in client.get(page).text
    assert post(clean).status_code == 200


def test_an_environment_with_a_secret_goes_with_the_last_job_that_had_it(client, post, without_checks, database):
    def kept():
        engine = open_engine(database)
        with reading(engine) as connection:
            rows = connection.execute(select(models.environment.c.body)).scalars().all()
            packages = connection.execute(select(models.package.c.version)).scalars().all()
        engine.dispose()
        return str(rows) + str(packages)

    def sent(version, *numbers):
        python = model.Python(version="3.11.7", packages=(model.Package(name="mine", version=version),))
        return dataclasses.replace(digits(), datasets=(), payloads=(), session=f"{numbers[0]:02x}" * 16,
                                   jobs=tuple(job(n, python=python) for n in numbers))

    assert post(sent(f"1+{TOLD}", 1)).status_code == post(sent(f"1+{TOLD}", 2)).status_code == 201
    without_checks.undo()
    assert post(sent("1+[redacted]", 1)).status_code == 201
    assert TOLD in kept()
    assert post(sent("1+[redacted]", 2)).status_code == 201
    assert TOLD not in kept()
    assert "1+[redacted]" in kept()


def changed(number, **values):
    sent = digits()
    jobs = tuple(dataclasses.replace(j, **values) if j.uid == uid(number) else j for j in sent.jobs)
    return dataclasses.replace(sent, jobs=jobs)


def test_a_tracker_runs_url_may_be_learned_later(client, post, registered):
    runs = digits().jobs[1].tracker_runs
    synced = wandb_run(run_id="offl1ne0", url="https://wandb.ai/acme/digits/runs/offl1ne0")
    assert post(changed(2, tracker_runs=(*runs[:2], synced))).status_code == 201
    got = client.get(f"/api/v1/jobs/{uid(2)}").json()["tracker_runs"]
    assert [(run["run_id"], run["state"]) for run in got] == [
        ("abc123xy", "online"), (runs[1].run_id, "online"), ("offl1ne0", "online")]
    assert post(digits()).status_code == 200
    assert len(client.get(f"/api/v1/jobs/{uid(2)}").json()["tracker_runs"]) == 3


def test_labels_follow_the_last_registration(client, post, registered):
    assert post(changed(2, labels={"owner": "bob", "stage": "final"})).status_code == 201
    assert client.get(f"/api/v1/jobs/{uid(2)}").json()["labels"] == {"owner": "bob", "stage": "final"}


def test_a_job_that_is_over_never_changes(client, post, registered):
    before = client.get(f"/api/v1/jobs/{uid(2)}").text
    response = post(changed(2, exit_code=1))
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert uid(2) in response.json()["detail"]
    assert client.get(f"/api/v1/jobs/{uid(2)}").text == before


def test_a_dataset_is_what_its_digest_says(post):
    false = dataclasses.replace(digits().datasets[0], digest=digest("false"))
    response = post(dataclasses.replace(digits(), datasets=(false,)))
    assert response.status_code == 422
    assert [flaw["pointer"] for flaw in response.json()["errors"]] == ["/datasets/0/digest"]


def test_a_running_job_may_finish(client, post):
    running = job(1, state=model.JobState.RUNNING, exit_code=None, duration_s=None, outputs=())
    registration = dataclasses.replace(digits(), jobs=(running,), payloads=(), datasets=())
    assert post(registration).status_code == 201
    done = job(1, outputs=(use("late.txt"),))
    assert post(dataclasses.replace(registration, jobs=(done,))).status_code == 201
    got = client.get(f"/api/v1/jobs/{uid(1)}").json()
    assert (got["state"], [o["path"] for o in got["outputs"]]) == ("done", ["late.txt"])


def test_one_digest_has_one_size(client, post, registered):
    other = dataclasses.replace(digits(), session="77" * 16, jobs=(job(9, inputs=(use("raw.csv", size=99),)),),
                                payloads=(), datasets=())
    response = post(other)
    assert response.status_code == 422
    assert digest("raw.csv") in response.json()["detail"]
    assert client.get(f"/api/v1/jobs/{uid(9)}").status_code == 404


def folder(members, size):
    """A registration of a job that read a dataset of this size with these members."""
    told = dataset_of(tuple(DatasetMember(path=path, digest=digest(content), size=length)
                            for path, content, length in members))
    read = model.FileUse(path="data", digest=told.digest, size=size, kind=model.Kind.DATASET, files=len(members))
    return dataclasses.replace(digits(), jobs=(job(1, inputs=(read,)),), datasets=(told,), payloads=())


@pytest.mark.parametrize(("registration", "pointer"), [
    (changed(2, outputs=(use("flag", "", 5),)), "/jobs/1/outputs/0/size"),
    (changed(2, inputs=(use("full", "full", 0),)), "/jobs/1/inputs/0/size"),
    (dataclasses.replace(digits(), payloads=(Payload(job=uid(2), path="p", digest=digest(""), size=1),)),
     "/payloads/0/size"),
    (folder([("a", "", 5)], 5), "/datasets/0/members/0/size"),
    (folder([("a", "a", 0)], 0), "/datasets/0/members/0/size"),
    (folder([("a", "a", 3)], 0), "/jobs/0/inputs/0/size"),
    (folder([("a", "", 0)], 7), "/jobs/0/inputs/0/size"),
    (folder([], 7), "/jobs/0/inputs/0/size"),
])
def test_nothing_but_what_is_empty_has_the_digest_of_nothing(client, post, registration, pointer):
    response = post(registration)
    assert response.status_code == 422
    assert pointer in [flaw["pointer"] for flaw in response.json()["errors"]]
    assert client.get("/api/v1/jobs").json()["jobs"] == []
    empty = folder([("a", "", 0), ("b", "", 0)], 0)
    done = job(2, outputs=(use("DONE", "", 0), use("unknown", size=None)))
    assert post(dataclasses.replace(empty, jobs=(*empty.jobs, done))).status_code == 201


@pytest.mark.parametrize(("age", "pointer"), [
    (Age(job=uid(2), input=1000, unchanged_since="2026-11-22T10:00:00.000000Z"), "/ages/0/input"),
    (Age(job=uid(2), input=-1, unchanged_since="2026-11-22T10:00:00.000000Z"), "/ages/0/input"),
    (Age(job=uid(99), input=0, unchanged_since="2026-11-22T10:00:00.000000Z"), "/ages/0/input"),
    (Age(job=uid(2), input=0, unchanged_since="yesterday"), "/ages/0/unchanged_since"),
])
def test_an_age_is_a_time_of_an_input_of_one_of_the_jobs(post, age, pointer):
    response = post(dataclasses.replace(digits(), ages=(age,)))
    assert response.status_code == 422
    assert [flaw["pointer"] for flaw in response.json()["errors"]] == [pointer]


def test_ages_do_not_change_what_a_dag_is(post):
    age = Age(job=uid(2), input=0, unchanged_since="2026-11-22T10:00:00.000000Z")
    known = dataclasses.replace(digits(), ages=(age,))
    assert post(digits()).json()["dag"] == post(known).json()["dag"] == dag_digest(known)
    older = to_json(digits())
    del older["ages"]
    assert post(older).status_code == 200


def test_who_has_an_old_record_of_a_file_without_a_size_is_told_what_to_do(post):
    (flaw,) = post(changed(2, inputs=(use("full", "full", 0),))).json()["errors"]
    assert "`roar reset`, run the steps again" in flaw["detail"]


@pytest.mark.parametrize(("values", "pointer"), [
    ({"uid": "ABC"}, "/jobs/1/uid"),
    ({"uid": uid(1)}, "/jobs/1/uid"),
    ({"started_at": "yesterday"}, "/jobs/1/started_at"),
    ({"started_at": "2026-13-22T10:00:00.123456Z"}, "/jobs/1/started_at"),
    ({"command": ()}, "/jobs/1/command"),
    ({"step": -1}, "/jobs/1/step"),
    ({"exit_code": 2**40}, "/jobs/1/exit_code"),
    ({"duration_s": -1.0}, "/jobs/1/duration_s"),
    ({"inputs": (use("x", size=2**63),)}, "/jobs/1/inputs/0/size"),
    ({"inputs": (use("x", size=-1),)}, "/jobs/1/inputs/0/size"),
    ({"outputs": (model.FileUse(path="x", digest="12", size=1),)}, "/jobs/1/outputs/0/digest"),
    ({"outputs": (model.FileUse(path="", digest=None, size=1),)}, "/jobs/1/outputs/0/path"),
    ({"labels": {"a": "nul \0"}}, "/jobs/1/labels/a"),
    ({"tracker_runs": (wandb_run(url="javascript:alert(1)"),)}, "/jobs/1/tracker_runs/0/url"),
    ({"tracker_runs": (wandb_run(url="https://user:pw@wandb.ai/x"),)}, "/jobs/1/tracker_runs/0/url"),
    ({"host": dataclasses.replace(HOST, memory=2**63)}, "/jobs/1/host/memory"),
    ({"host": dataclasses.replace(HOST, memory=10**400)}, "/jobs/1/host/memory"),
    ({"host": dataclasses.replace(HOST, cpus=-1)}, "/jobs/1/host/cpus"),
    ({"trackers": {"wandb": model.TrackerSummary(filtered_files=10**400)}}, "/jobs/1/trackers/wandb/filtered_files"),
    ({"command": ("curl", "-H", "Authorization: ghp_" + "a" * 36)}, "/jobs/1/command"),
])
def test_what_is_not_sound_is_refused_and_named(client, post, values, pointer):
    response = post(changed(2, **values))
    assert response.status_code == 422
    assert pointer in [flaw["pointer"] for flaw in response.json()["errors"]]
    assert "ghp_" not in response.text
    assert client.get("/api/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize("version", [0, 2**31, 10**30])
def test_a_wire_version_has_room_in_its_column(client, post, version):
    response = post(dataclasses.replace(digits(), version=version))
    assert response.status_code == 422
    assert [flaw["pointer"] for flaw in response.json()["errors"]] == ["/version"]


def test_a_machine_with_too_much_memory_that_got_in_before_has_a_page(client, post, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(ingest, "iter_flaws", lambda _registration: ())
        assert post(changed(2, host=dataclasses.replace(HOST, memory=10**400))).status_code == 201
    page = client.get(f"/jobs/{uid(2)}")
    assert page.status_code == 200
    assert "more than 1024 EiB" in page.text


@pytest.mark.parametrize("name", ["cyclonedx", "openlineage", "prov", "ro-crate"])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"])
def test_the_first_and_the_last_time_are_exported(client, post, name, time):
    assert post(changed(2, started_at=time)).status_code == 201
    assert client.get(f"/api/v1/jobs/{uid(2)}/export/{name}").status_code == 200
    assert client.get(f"/jobs/{uid(2)}").status_code == 200


@pytest.mark.parametrize("path", ["/search?q={}", "/api/v1/search?q={}", f"/compare?a={uid(1)}&b={{}}"])
def test_a_search_for_nothing_but_space_and_nul(client, registered, path):
    assert client.get(path.format("%00%20%00")).status_code == 200


@pytest.mark.parametrize(("content", "headers", "status"), [
    (b"{}", JSON, 422),
    (b"[]", JSON, 422),
    (b"not json", JSON, 422),
    (b'{"version": "\\ud800"}', JSON, 422),
    (b"{}", {"content-type": "text/plain"}, 415),
    (b"{}", JSON | {"content-encoding": "br"}, 415),
    (b"{}", JSON | {"content-encoding": "gzip"}, 400),
    (gzip.compress(b"{}", mtime=0)[:-4], JSON | {"content-encoding": "gzip"}, 400),
])
def test_a_body_that_cannot_be_read(client, content, headers, status):
    response = client.post("/api/v1/sessions", content=content, headers=headers)
    assert response.status_code == status
    assert response.json()["status"] == status


def test_a_compressed_body(client):
    response = client.post("/api/v1/sessions", content=gzip.compress(body(digits())),
                           headers=JSON | {"content-encoding": "gzip"})
    assert response.status_code == 201


def test_a_newer_client_may_say_more(client):
    shape = json.loads(body(digits()))
    shape["version"] = 2
    shape["weather"] = "fine"
    shape["jobs"][0]["mood"] = "good"
    assert client.post("/api/v1/sessions", json=shape).status_code == 201


def test_an_older_client_may_say_less(client):
    shape = json.loads(body(digits()))
    del shape["datasets"], shape["payloads"], shape["jobs"][0]["git"], shape["jobs"][0]["labels"]
    assert client.post("/api/v1/sessions", json=shape).status_code == 201
    assert client.get(f"/api/v1/jobs/{uid(1)}").json()["git"] is None


def test_a_job_may_be_part_of_another_sessions_lineage(client, post, registered):
    other = post(dataclasses.replace(digits(), session="11" * 16))
    assert other.status_code == 201
    assert len(client.get("/api/v1/jobs").json()["jobs"]) == 3


def test_an_empty_session(client, post):
    response = post(dataclasses.replace(digits(), jobs=(), payloads=(), datasets=()))
    assert response.status_code == 201
    assert client.get(response.json()["url"]).status_code == 200
    assert client.get(f"/api/v1{response.json()['url'].replace('dag', 'sessions')}").json()["session"] == SESSION


def test_texts_of_any_length_have_a_place_or_are_refused(client, post):
    import random  # noqa: PLC0415
    text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=6000))  # does not compress well
    members = (DatasetMember(path=f"d/{text}", digest=digest("long"), size=3),)
    long = job(1, name=text, command=("run", text), cwd=text, inputs=(use(f"a/{text}"), use(text, "b", note=text)),
               labels={"k": text}, tracker_runs=(wandb_run(url="https://wandb.ai/" + text[:3900], name=text),))
    sent = dataclasses.replace(digits(), jobs=(long,), payloads=(), datasets=(dataset_of(members),))
    assert post(sent).status_code == 201
    assert client.get(f"/jobs/{uid(1)}").status_code == 200
    for query in (f"a/{text}"[:4000], text[:4000], "https://wandb.ai/" + text[:3900]):
        assert client.get("/search", params={"q": query}).status_code == 200
    assert client.get(f"/artifacts/{dataset_of(members).digest}").status_code == 404
    for values in ({"labels": {text: "x"}}, {"tracker_runs": (wandb_run(run_id=text),)},
                   {"tracker_runs": (wandb_run(project=text),)}, {"kind": text},
                   {"python": model.Python(version="3", packages=(model.Package(name=text, version="1"),))},
                   *({"git": dataclasses.replace(GIT, **{name: 2 * text})} for name in ("commit", "branch", "patch")),
                   *({"host": dataclasses.replace(HOST, **{name: 2 * text})} for name in ("os", "machine", "cpu")),
                   {"host": dataclasses.replace(HOST, gpus=(2 * text,))}, {"tracer": model.Tracer(mode=2 * text)},
                   {"python": model.Python(version=2 * text)},
                   {"tracker_runs": (wandb_run(name=200 * text),)}):
        other = dataclasses.replace(digits(), jobs=(job(2, **values),), payloads=(), datasets=())
        assert post(other).status_code == 422
