"""Exports, read by the formats' own libraries and validators."""

import contextlib
import dataclasses
import json
import re

import pytest
from export_readers import FORMATS, READERS, as_list, ro_crate_issues, tasks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prov.model import ProvActivity, ProvEntity, ProvMembership, ProvSpecialization
from registrations import MLFLOW_URL, WANDB_URL, body, digest, digits, grown, job, mlflow_run, uid, use, wandb_run

from glaas.api.exports import LARGE_AT_ONCE, _turns
from glaas.exports import MEDIA_TYPES, Format, Noun, Subject, export, make_lineage
from glaas.exports.lineage import package_ref, repository_url
from glaas.offline import export_registration
from roar import model
from roar.errors import RoarError
from roar.wire import dag_digest

OFFLINE = "wandb sync wandb/offline-run-20261122_100000-offl1ne0"


def sent():
    """The digits session, a job that failed and one that was cut short."""
    failed = job(4, exit_code=3, git=None, host=None, python=None, inputs=(use("model.pt"),), outputs=(
        use("report.json"),), tracker_runs=(mlflow_run(url=None, state=model.TrackerRunState.PARTIAL),))
    cut = job(5, state=model.JobState.INTERRUPTED, exit_code=130, duration_s=None, outputs=(
        model.FileUse(path="secret", digest=None, size=None, note="could not be read"),))
    return grown(digits(), failed, cut)


@pytest.fixture
def fetch(client, post):
    """Registers a session and returns what is at an address of the API, below `sessions/DAG` for `.`."""
    dag = post(sent()).json()["dag"]

    def get(path, name, **query):
        path = path.replace(".", f"sessions/{dag}") if path == "." else path
        return client.get(f"/api/v1/{path}/export/{name}", params=query)

    return get


@pytest.fixture
def read(fetch):
    """Fetches an export and reads it with the format's own library."""
    def get(path, name, **query):
        answer = fetch(path, name, **query)
        assert answer.status_code == 200, answer.text
        return READERS[name](answer.text)

    return get


def crate_of(registration, name="session", subject=None, **more):
    return export_registration(body(registration), name, subject, "ro-crate", **more)


# ------------------------------------------------------------------------------------------- each format


def test_cyclonedx_names_files_datasets_models_and_packages(read):
    bom = read(".", "cyclonedx")
    kinds = {component["name"]: component["type"] for component in bom["components"]}
    assert (kinds["model.pt"], kinds["data/digits"], kinds["train.py"], kinds["numpy"]) == (
        "machine-learning-model", "data", "file", "library")
    model_card = next(component for component in bom["components"] if component["name"] == "model.pt")["modelCard"]
    folder = digits().datasets[0].digest
    assert model_card == {"modelParameters": {"datasets": [{"ref": f"blake3:{folder}"}]}}
    parts = next(entry["dependsOn"] for entry in bom["dependencies"] if entry["ref"] == f"blake3:{folder}")
    assert sorted(parts) == sorted(f"blake3:{digest(f'member {n}')}" for n in range(5))


def test_a_module_without_a_version_is_no_package_of_an_index():
    assert package_ref(model.Package(name="part", version="1.0")) == "pkg:pypi/part@1.0"
    assert package_ref(model.Package(name="part", version="blake3:aaf0e2d0f3b7ab93")).startswith("urn:roar:package:")


def test_cyclonedx_has_tracker_runs_as_external_references(read):
    bom = read(".", "cyclonedx")
    references = bom["metadata"]["component"]["externalReferences"]
    assert {reference["url"]: reference["type"] for reference in references} == {
        WANDB_URL: "log", MLFLOW_URL: "log", "https://example.com/acme/digits.git": "vcs"}
    task = tasks(bom)[1]
    assert [reference["externalReference"]["url"] for reference in task["resourceReferences"]] == [
        MLFLOW_URL, WANDB_URL]
    properties = [(entry["name"], entry["value"]) for entry in task["properties"]]
    assert ("roar:trackerRun:wandb", "offl1ne0") in properties
    assert ("roar:trackerRun:wandb:howToView", OFFLINE) in properties


def test_a_model_is_what_its_own_bill_of_materials_is_about(read):
    bom = read(f"artifacts/{digest('model.pt')}", "cyclonedx")
    about = bom["metadata"]["component"]
    assert (about["type"], about["name"], about["hashes"][0]["alg"]) == (
        "machine-learning-model", "model.pt", "BLAKE3")
    assert WANDB_URL in {reference["url"] for reference in about["externalReferences"]}
    assert [task["uid"] for task in tasks(bom)] == [uid(1), uid(2)]


def test_openlineage_events_follow_the_jobs(read):
    events = read(".", "openlineage")
    assert [event.eventType.value for event in events] == [
        *["START", "COMPLETE"] * 3, "START", "FAIL", "START"]
    runs = events[3].run.facets["roar_trackerRuns"].runs
    assert [run.url for run in runs] == [MLFLOW_URL, WANDB_URL, None]
    assert runs[2].howToView == OFFLINE
    assert {tag.key: tag.value for tag in events[3].run.facets["tags"].tags} == {"owner": "alice"}
    assert events[3].job.facets["sourceCodeLocation"].version == digits().jobs[1].git.commit
    written = {dataset.name for dataset in events[1].outputs}
    assert "data/digits" in written  # what the second job reads: events are joined by such names
    assert "data/digits" in {dataset.name for dataset in events[3].inputs}
    model = next(dataset for dataset in events[3].outputs if dataset.name == "model.pt")
    assert model.facets["version"].datasetVersion == f"blake3:{digest('model.pt')}"
    assert model.outputFacets["outputStatistics"].size == 1234


def test_openlineage_jobs_of_several_sessions_stay_apart(post, client):
    first = dataclasses.replace(digits(), session="aa" * 16, jobs=(
        job(11, step=1, command=("make", "raw"), outputs=(use("raw.csv"),)),), datasets=(), payloads=())
    post(first)
    dag = post(digits()).json()["dag"]
    answer = client.get(f"/api/v1/jobs/{uid(1)}/export/openlineage")
    names = {event.job.name for event in READERS["openlineage"](answer.text)}
    assert names == {"step-1", "prepare"}
    assert dag
    unnamed = dataclasses.replace(digits().jobs[0], name=None)
    lineage = make_lineage(Subject(noun=Noun.JOB, name=uid(1)), "aa" * 16, (first.jobs[0], unnamed), (), ())
    events = READERS["openlineage"](export(lineage, Format.OPENLINEAGE).body.decode())
    assert {event.job.name for event in events} == {"step-1", f"step-1-{uid(1)[:8]}"}


def test_prov_tells_entities_activities_and_the_parts_of_datasets(read):
    document = read(".", "prov")
    entities = {str(entity.identifier): entity for entity in document.get_records(ProvEntity)}
    assert {str(activity.identifier) for activity in document.get_records(ProvActivity)} == {
        f"roar:job_{uid(n)}" for n in range(1, 6)}
    assert f"roar:artifact_{digest('model.pt')}" in entities
    members = {str(record.args[1]) for record in document.get_records(ProvMembership)}
    assert members == {f"roar:artifact_{digest(f'member {n}')}" for n in range(5)}
    runs = [entity for name, entity in entities.items() if name.startswith("roar:trackerRun_")]
    places = {place.uri for run in runs for place in run.get_attribute("prov:location")}
    assert (len(runs), places) == (4, {WANDB_URL, MLFLOW_URL})


def test_prov_lets_nothing_be_generated_twice(read):
    document = read(".", "prov")  # report.json was written by two jobs; the reader looks at the generations
    again = [str(record.args[1]) for record in document.get_records(ProvSpecialization)]
    assert again == [f"roar:artifact_{digest('report.json')}"]


def test_ro_crate_tells_actions_files_and_code(read):
    crate = read(".", "ro-crate")
    train = crate.get(f"urn:uuid:{'0' * 8}-0000-0000-0000-{2:012}")
    assert (train["@type"], train["actionStatus"]) == ("CreateAction", "http://schema.org/CompletedActionStatus")
    # the last is a file in a tracker's store that a later job read
    assert {file["localPath"] for file in train["result"]} == {"model.pt", "log.txt", "mlruns/1/model/best.pt"}
    assert {file["localPath"] for file in train["object"]} == {"train.py", "data/digits"}
    code = train["instrument"]
    assert (code["name"], code["version"], code["codeRepository"]) == (
        "train.py", digits().jobs[1].git.commit, "https://example.com/acme/digits.git")
    assert code["programmingLanguage"]["version"] == "3.11.7"
    assert {package["name"] for package in code["softwareRequirements"]} == {"numpy", "scikit-learn"}
    failed = crate.get(f"urn:uuid:{'0' * 8}-0000-0000-0000-{4:012}")
    assert (failed["actionStatus"], failed["error"]) == (
        "http://schema.org/FailedActionStatus", "failed, exit code 3")
    assert crate.get(f"urn:uuid:{'0' * 8}-0000-0000-0000-{5:012}")["@type"] == "ActivateAction"


def test_ro_crate_mentions_tracker_runs(read):
    crate = read(".", "ro-crate")
    runs = {run["name"]: run for run in crate.root_dataset["mentions"] if run.id.startswith("#tracker-run-")}
    assert runs["W&B run silver-fox-3"]["url"] == WANDB_URL
    assert "url" not in runs["W&B run offl1ne0"]
    assert OFFLINE in runs["W&B run offl1ne0"]["description"]
    train = crate.get(f"urn:uuid:{'0' * 8}-0000-0000-0000-{2:012}")
    assert len(as_list(train["subjectOf"])) == 3


def test_ro_crate_is_valid_by_its_own_validator(tmp_path):
    document = json.loads(crate_of(sent()).body)
    given = {"metadata_dict": document, "packaging_mode": "detached"}
    assert ro_crate_issues(tmp_path, "ro-crate-1.2", **given) == set()
    # who ran a job is not recorded; the last one is about a class, not about anything in the document
    assert {issue.partition(" ")[2] for issue in ro_crate_issues(
        tmp_path, "process-run-crate-0.5", "RECOMMENDED", **given)} == {
        "The Action SHOULD have an agent that is a Person or Organization",
        "The Action SHOULD have an endTime in ISO 8601 format",  # the job that was cut short
        "The Application SHOULD have a url",  # the job outside of git
        "The SoftwareSourceCode or ComputationalWorkflow SHOULD have a version",
        "The SoftwareApplication id SHOULD be an absolute URI"}


def test_the_validator_would_find_what_is_wrong(tmp_path):
    document = json.loads(crate_of(sent()).body)
    for entity in document["@graph"]:
        entity.pop("instrument", None)
    assert ro_crate_issues(tmp_path, "process-run-crate-0.5", metadata_dict=document, packaging_mode="detached")


# ------------------------------------------------------------------------------------------- what is exported


@pytest.mark.parametrize("name", FORMATS)
def test_every_page_links_to_sound_documents(client, read, fetch, name):
    model_pt = digest("model.pt")
    pages = {f"/jobs/{uid(2)}": f"jobs/{uid(2)}", f"/artifacts/{model_pt}": f"artifacts/{model_pt}",
             f"/dag/{dag_digest(sent())}": f"sessions/{dag_digest(sent())}"}
    for page, path in pages.items():
        assert f'href="/api/v1/{path}/export/{name}"' in client.get(page).text
        read(path, name)
        answer = fetch(path, name)
        assert answer.headers["content-type"] == MEDIA_TYPES[Format(name)]
        assert re.search(r'attachment; filename="[\w-]{12}[\w.-]+json"', answer.headers["content-disposition"])


def test_only_what_was_made_has_a_link(client, fetch):
    page = client.get(f"/artifacts/{digest('raw.csv')}").text
    assert "/export/" not in page
    assert fetch(f"artifacts/{digest('raw.csv')}", "prov").status_code == 404


@pytest.mark.parametrize(("path", "jobs"), [
    (f"jobs/{uid(3)}", [1, 2, 3]),  # by way of a tracker's store, of model.pt and of a dataset's members
    (f"jobs/{uid(2)}", [1, 2]), (f"jobs/{uid(1)}", [1]), (f"artifacts/{digest('best.pt')}", [1, 2]),
    (f"artifacts/{digits().datasets[0].digest}", [1]), (f"artifacts/{digest('member 3')}", [1]),
])
def test_what_something_came_from_is_exported_with_it(read, path, jobs, few_looked_at):
    assert [task["uid"] for task in tasks(read(path, "cyclonedx"))] == [uid(n) for n in jobs]


def test_a_file_of_a_dataset_that_was_written_as_one(post, client):
    folder = digits().jobs[1].inputs[1]
    written = job(21, outputs=(folder,))
    read = job(22, inputs=(use("elsewhere/3.npy", "member 3", 100),))
    post(dataclasses.replace(digits(), jobs=(written, read), payloads=()))
    bom = READERS["cyclonedx"](client.get(f"/api/v1/jobs/{uid(22)}/export/cyclonedx").text)
    assert [task["uid"] for task in tasks(bom)] == [uid(21), uid(22)]


def test_a_rerun_that_started_later_is_no_source(post, client, few_looked_at):
    """The last job that wrote the content before the reader ended made what it read; a later one did not."""
    first, second = (job(n, step=1, started_at=f"2026-11-22T10:0{n}:00.000000Z", outputs=(use("a.bin"),))
                     for n in (1, 2))
    reader = job(3, step=2, started_at="2026-11-22T10:03:00.000000Z", inputs=(use("a.bin"),))
    late = job(4, step=1, started_at="2026-11-22T10:04:00.000000Z", outputs=(use("a.bin"),))
    elsewhere = job(5, step=3, started_at="2026-11-22T10:02:30.000000Z", outputs=(use("copy.bin", "a.bin"),))
    post(dataclasses.replace(digits(), jobs=(first, second, elsewhere, reader, late), datasets=(), payloads=()))
    bom = READERS["cyclonedx"](client.get(f"/api/v1/jobs/{uid(3)}/export/cyclonedx").text)
    assert [task["uid"] for task in tasks(bom)] == [uid(2), uid(3)]
    bom = READERS["cyclonedx"](client.get(f"/api/v1/artifacts/{digest('a.bin')}/export/cyclonedx").text)
    assert [task["uid"] for task in tasks(bom)] == [uid(4)]


@pytest.mark.parametrize("name", FORMATS)
def test_members_of_datasets_are_told_on_demand(post, client, name):
    evaluate = dataclasses.replace(digits().jobs[1], outputs=())
    dag = post(dataclasses.replace(digits(), jobs=(evaluate,), payloads=())).json()["dag"]
    few, all_ = (client.get(f"/api/v1/sessions/{dag}/export/{name}", params={"members": members}).text
                 for members in (False, True))
    READERS[name](few), READERS[name](all_)
    assert digest("member 3") not in few
    assert (digest("member 3") in all_) == (name != "openlineage")  # it has no word for a part of a dataset


def test_the_same_lineage_has_the_same_bytes(fetch):
    for name in FORMATS:
        one = fetch(".", name)
        assert export_registration(body(sent()), "session", None, name).body == one.content
        again = fetch(".", name)
        assert (again.content, again.headers["etag"]) == (one.content, one.headers["etag"])


def test_other_content_has_another_serial_number():
    texts = {json.loads(export_registration(body(registration), "session", None, "cyclonedx").body)["serialNumber"]
             for registration in (digits(), sent(), dataclasses.replace(digits(), session="ab" * 16))}
    assert len(texts) == 3


def test_there_is_no_other_format(client, fetch):
    assert fetch(".", "word").status_code == 422
    for path in (f"sessions/{'0' * 64}", f"jobs/{'0' * 32}", f"artifacts/{'0' * 64}", "sessions/x", "jobs/x"):
        assert fetch(path, "prov").status_code == 404


def test_too_much_is_refused_with_a_way_out(fetch, monkeypatch):
    monkeypatch.setattr("glaas.origins.MOST_JOBS", 1)
    assert "export a session instead" in fetch(f"jobs/{uid(3)}", "prov").json()["detail"]
    monkeypatch.setattr("glaas.origins.MOST_MEMBERS", 4)
    assert "ask for it without them" in fetch(".", "prov", members=True).json()["detail"]
    monkeypatch.setattr("glaas.origins.MOST_USES", 5)
    assert "roar export" in fetch(".", "prov").json()["detail"]
    assert fetch(f"jobs/{uid(3)}", "prov").status_code == 422


def test_large_exports_wait_for_each_other(fetch, monkeypatch):
    monkeypatch.setattr("glaas.api.exports.LARGE", 5)
    with contextlib.ExitStack() as turns:
        for _ in range(LARGE_AT_ONCE):
            turns.enter_context(_turns)
        busy = fetch(".", "prov")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "30")
        assert fetch(f"artifacts/{digest('member 3')}", "prov").status_code == 503
    assert fetch(".", "prov").status_code == 200


# ------------------------------------------------------------------------------------------- hostile values


HOSTILE = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30) | st.sampled_from([
    "javascript:alert(1)", "a\nb", "\x1b[31mred", "../../etc/passwd", "-->]]><script>", "%00", "{{7*7}}", "\u202egnp",
    "http://[::1", "https://wandb.ai/a b", "file:///etc/passwd", "#", "./", "ro-crate-metadata.json", "_:b0", "\ufffe",
    "prov:type", "@id", "\u2028", "https://user@example.com/", "\x85", "//evil.example/x", "C:\\x", "*", "/", "\x7f"])


@st.composite
def hostile_registrations(draw):
    run = wandb_run(run_id=draw(HOSTILE), name=draw(HOSTILE), project=draw(HOSTILE), label=draw(HOSTILE),
                    url=None, how_to_view=draw(HOSTILE), tracker=draw(HOSTILE))
    git = dataclasses.replace(digits().jobs[0].git, remote=draw(HOSTILE), branch=draw(HOSTILE), commit=draw(HOSTILE))
    python = model.Python(version=draw(HOSTILE), packages=(model.Package(name=draw(HOSTILE), version=draw(HOSTILE)),))
    members = digits().datasets[0]
    folder = model.FileUse(path=draw(HOSTILE), digest=members.digest, size=500, kind=model.Kind.DATASET, files=5)
    first = job(1, command=(draw(HOSTILE), draw(HOSTILE)), cwd=draw(HOSTILE), name=draw(HOSTILE), git=git,
                python=python, inputs=(folder, use(draw(HOSTILE), "x")), outputs=(use(draw(HOSTILE), "y"),),
                labels={draw(HOSTILE): draw(HOSTILE)}, tracker_runs=(run,), exit_code=draw(st.integers(-9, 255)),
                host=model.Host(os=draw(HOSTILE), machine=draw(HOSTILE), cpu=None, cpus=1, memory=None),
                tracer=model.Tracer(mode="full", gaps=(draw(HOSTILE),)))
    return dataclasses.replace(digits(), jobs=(first,), datasets=(members,), payloads=())


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_values_break_no_document(name):
    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(hostile_registrations())
    def check(registration):
        lineage = make_lineage(Subject(noun=Noun.SESSION, name="ab" * 32), registration.session, registration.jobs,
                               registration.datasets, registration.payloads, members=True)
        text = export(lineage, Format(name)).body.decode()
        READERS[name](text)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe\uffff]", text)
        assert not re.search(r'"(url|prov:location|codeRepository|repoUrl|@id)": ?"(javascript|file):', text)

    check()


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://user:pw@wandb.ai/x", "https://wandb.ai/\u202ex y",
                                 "data:text/html,x", "//evil.example"])
@pytest.mark.parametrize("name", FORMATS)
def test_an_address_that_is_none_is_no_link_even_where_it_was_stored(name, url):
    """The server refuses to store one; what was stored is looked at again all the same."""
    hostile = job(1, tracker_runs=(wandb_run(url=url),), git=dataclasses.replace(digits().jobs[0].git, remote=url))
    lineage = make_lineage(Subject(noun=Noun.JOB, name=uid(1)), "5e" * 16, (hostile,), (), ())
    text = export(lineage, Format(name)).body.decode()
    READERS[name](text)
    assert url not in text
    assert "abc123xy" in text


def test_bytes_that_are_no_text_are_shown_as_such():
    written = job(1, outputs=(use("caf\udce9.csv", "odd"),))
    odd = dataclasses.replace(digits(), jobs=(written,), datasets=(), payloads=())
    for name in FORMATS:
        text = export_registration(body(odd), "session", None, name).body.decode()
        READERS[name](text)
        assert "caf\\\\xe9.csv" in text


def test_a_secret_is_refused_by_its_place_and_not_repeated():
    secret = "ghp_" + "a1B2" * 10
    leaked = dataclasses.replace(digits(), jobs=(job(1, command=("push", secret)),), datasets=(), payloads=())
    with pytest.raises(RoarError) as error:
        export_registration(body(leaked), "session", None, "prov")
    assert "/jobs/0/command" in error.value.message
    assert secret not in error.value.message


@pytest.mark.parametrize(("remote", "url"), [
    ("https://example.com/a.git", "https://example.com/a.git"),
    ("git@example.com:acme/a.git", "ssh://git@example.com/acme/a.git"),
    ("ssh://git@example.com:22/acme/a.git", "ssh://git@example.com:22/acme/a.git"),
    ("/srv/git/a.git", None), ("C:\\a", None), ("file:///srv/a.git", None), ("javascript:x", None),
    ("ssh://git:pw@example.com/a", None), ("git@example.com:a b", None),
    ("https://u:p@example.com/a", None), (None, None),
])
def test_remotes_as_addresses(remote, url):
    assert repository_url(remote) == url
