"""No text of a registration may hold a secret: the client takes it out, and the server refuses what still holds one.

Which texts there are is read from the registration's own schema, so that a new field is looked at without being named
here.
"""

import json
import time
import uuid

import blake3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registrations import SESSION, dataset_of, digest, digits, job, use
from sqlalchemy import select
from test_pages_and_api import MEMBERS, rich_registration

from glaas import models
from glaas.errors import ProblemError
from glaas.ingest import REGISTRATION, parse_registration
from roar.wire import DatasetMember, Registration, find_secret, iter_secrets, to_json, without_secrets

EACH, KEY, VALUE = object(), object(), object()
SCHEMA = REGISTRATION.json_schema()


def texts_of(schema, place=()):
    """The place of every free text in a JSON schema."""
    schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for choice in schema.get("anyOf", ()):
        yield from texts_of(choice, place)
    for name, inner in schema.get("properties", {}).items():
        yield from texts_of(inner, (*place, name))
    if "items" in schema:
        yield from texts_of(schema["items"], (*place, EACH))
    if isinstance(schema.get("additionalProperties"), dict):
        yield (*place, KEY)
        yield from texts_of(schema["additionalProperties"], (*place, VALUE))
    if schema.get("type") == "string" and "enum" not in schema:
        yield place


SHAPED = {"uid", "digest", "session", "started_at", "job", "raw_path",
          "unchanged_since"}  # of these the server checks every character
NAMES = {place: ".".join("*" if part in (EACH, KEY, VALUE) else part for part in place)
         + (" (key)" if place[-1] is KEY else "") for place in texts_of(SCHEMA)}
PLACES = sorted(NAMES, key=NAMES.get)


def test_the_places_are_those_of_the_schema():
    """The reading of the schema itself: what it must find, by name."""
    assert {"jobs.*.inputs.*.path", "jobs.*.command.*", "jobs.*.labels.*", "jobs.*.labels.* (key)", "client",
            "jobs.*.git.branch", "jobs.*.git.commit", "jobs.*.host.cpu", "jobs.*.host.gpus.*",
            "jobs.*.python.packages.*.name", "jobs.*.tracker_runs.*.run_id", "jobs.*.tracker_runs.*.evidence",
            "jobs.*.tracer.gaps.*", "jobs.*.trackers.* (key)", "datasets.*.members.*.path", "payloads.*.path",
            "jobs.*.outputs.*.note"} <= set(NAMES.values())
    assert len(PLACES) == len(set(NAMES.values())) >= 45


def full():
    """A registration with something in every list and under every key."""
    registration = rich_registration()
    shape = to_json(registration)
    for one in shape["jobs"]:
        one["trackers"] = {"wandb": {"filtered_files": 3}}
    reader = next(one for one in shape["jobs"] if one["inputs"])
    shape["ages"] = [{"job": reader["uid"], "input": 0, "unchanged_since": reader["started_at"]}]
    return shape


def places_in(value, place):
    """The container and the key or index of every text at this place."""
    step, *rest = place
    if step is KEY or step is VALUE:
        found = list(value.items())
    elif step is EACH:
        found = list(enumerate(value))
    else:
        found = [(step, value.get(step))]
    for name, inner in found:
        if not rest:
            yield value, name
        elif inner is not None:
            yield from places_in(inner, rest)


def planted(place, change):
    """A full registration, one text of which was changed."""
    shape = full()
    container, name = list(places_in(shape, place))[-1]
    if place[-1] is KEY:
        container[change(name)] = container.pop(name)
    else:
        container[name] = change((container.get(name) if isinstance(container, dict) else container[name]) or "")
    if place[0] == "datasets":
        members = tuple(DatasetMember(**one) for one in shape["datasets"][0]["members"])
        old, new = shape["datasets"][0]["digest"], dataset_of(members).digest
        shape = json.loads(json.dumps(shape).replace(old, new)) if place[-1] != "digest" else shape
    return shape


SECRETS = ["https://bob:hunter2x@host/x", "s3://key:secret@bucket/x", "ghp_" + "a1" * 20, "hf_" + "b2" * 17,
           "AKIAABCDEFGHIJKLMNOP", "sk-" + "c3" * 20, "sk-proj-Ab1_" + "d4E" * 20, "-----BEGIN RSA PRIVATE KEY-----",
           "?token=abcdef", "data/?token=1234abcd&x=1", "x?X-Amz-Signature=0123456789abcdef",
           "?write_token=abcdef123456789", "SECRET: 1234567890abc", "glpat-" + "e5" * 12, "xoxb-1234567890-ab",
           "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"]
ORDINARY = [digest("x"), f"objects/{digest('x')[:2]}/{digest('x')[2:]}", f"cache/{uuid.UUID(int=7**40)}/part-0.npy",
            "c0ffee" * 7 + ".bin", "tokenizer/key=value", "models/sk-learn-calibrated-classifier-20240101/m.pkl",
            "https://host:8080/a@b", "s3://bucket/key/secret.txt", "data/token=eng/part-0.parquet",
            "--api-key=[redacted]", "?token=[redacted]", "task-" + digest("y"), "sk-" + str(uuid.UUID(int=3**60)),
            "key: value", "secret_santa.py", "/home/bob@host/x", "a=b?c=d", "sha256:" + digest("z"), "\u202esecret"]


@pytest.mark.parametrize("place", PLACES, ids=map(NAMES.get, PLACES))
def test_a_secret_is_refused_wherever_it_is(client, place):
    secret = "ghp_" + "Zq" * 20
    answer = client.post("/api/v1/sessions", json=planted(place, lambda text: f"{text} {secret}"))
    assert answer.status_code == 422, answer.text
    assert secret not in answer.text
    with client.app.state.engine.connect() as connection:
        kept = str([list(connection.execute(select(table))) for table in models.metadata.sorted_tables])
    assert secret not in kept


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(place=st.sampled_from(PLACES), secret=st.sampled_from(SECRETS), before=st.sampled_from(["", "a ", "x/", "\n"]),
       after=st.sampled_from(["", " b", "/y", "'"]))
def test_every_kind_of_secret_is_refused_and_can_be_taken_out(place, secret, before, after):
    shape = planted(place, lambda text: f"{before}{secret}{after}")
    with pytest.raises(ProblemError) as refused:
        parse_registration(json.dumps(shape).encode())
    assert secret not in str(refused.value.document())
    cleaned = without_secrets(REGISTRATION.validate_python(shape))
    assert list(iter_secrets(cleaned)) == []
    assert secret not in json.dumps(to_json(cleaned))
    if place[-1] not in SHAPED and NAMES[place] != "jobs.*.kind":
        parse_registration(json.dumps(to_json(cleaned)).encode())


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(place=st.sampled_from([place for place in PLACES if place[-1] not in SHAPED | {"kind", "url", "tracker"}]),
       text=st.one_of(st.sampled_from(ORDINARY), st.uuids().map(str), st.binary(min_size=1, max_size=40).map(
           lambda data: f"a/{data.hex()}"), st.integers(0, 9**30).map(lambda n: f"{digest(str(n))[:20]}/{n}")))
def test_ordinary_names_pass_unchanged(place, text):
    shape = planted(place, lambda _: text)
    assert parse_registration(json.dumps(shape).encode()) is not None
    registration = REGISTRATION.validate_python(shape)
    assert without_secrets(registration) is registration


@settings(max_examples=500, deadline=None, database=None)
@given(parts=st.lists(st.one_of(st.sampled_from([*SECRETS, *ORDINARY, "://", "@", ":", "secret=", "?token=", " ", "-",
                                                 "[redacted]", "eyJ", "sk-", "/"]), st.text(max_size=12)), max_size=8))
def test_whatever_the_text_nothing_is_left_of_what_is_refused(parts):
    words = job(1, command=("run", *parts, "".join(parts)), labels={"".join(parts): "x", "api_key": "".join(parts)},
                name=" ".join(parts))
    cleaned = without_secrets(Registration(version=1, client="roar", session=SESSION, jobs=(words,)))
    assert list(iter_secrets(cleaned)) == []


def test_a_dataset_with_a_secret_in_a_path_goes_without_its_members():
    """Their paths are part of its digest, which says what it is."""
    folder = dataset_of((*MEMBERS, DatasetMember(path="q?token=abcdef123", digest=digest("q"), size=1)))
    whole = use("data/")
    sent = Registration(version=1, client="roar", session=SESSION, datasets=(folder, digits().datasets[0]), jobs=(
        job(1, inputs=(whole,), outputs=(use("a/?token=abcdef123"),)),))
    cleaned = without_secrets(sent)
    assert cleaned.datasets == (digits().datasets[0],)
    assert cleaned.jobs[0].inputs == (whole,)
    assert cleaned.jobs[0].outputs[0] == use("a/?token=[redacted]", "a/?token=abcdef123")


def test_a_refused_upload_is_not_kept(client):
    content = json.dumps(planted(("jobs", EACH, "inputs", EACH, "path"), lambda _: SECRETS[0])).encode()
    name = blake3.blake3(content).hexdigest()
    client.put(f"/api/v1/uploads/{name}", params={"offset": 0}, content=content,
               headers={"content-type": "application/octet-stream"})
    assert client.get(f"/api/v1/uploads/{name}").json() == {"received": len(content)}
    assert client.post(f"/api/v1/sessions?upload={name}", headers={"content-type": "application/json"}
                       ).status_code == 422
    assert client.get(f"/api/v1/uploads/{name}").json() == {"received": 0}


def test_a_project_is_not_named_like_a_secret(client):
    answer = client.post("/api/v1/sessions", params={"project": SECRETS[2]}, json=full())
    assert (answer.status_code, SECRETS[2] in answer.text) == (422, False)


@pytest.mark.parametrize("part", [
    "a", "secret=", "password:", "eyJ-", "sk-", "://a:", "token=", "?token=", "?a_", "-----BEGIN ", "hf_", "ghp_",
    "://", "api_key ", "xox", "-----BEGIN PRIVATE KEY", "glpat"])
def test_no_text_takes_long_to_look_through(part):
    """What one sender can send must not keep the server busy for all others."""
    text = part * (300_000 // len(part)) + " = @ ://"
    start = time.process_time()
    find_secret(text)
    assert time.process_time() - start < 3
