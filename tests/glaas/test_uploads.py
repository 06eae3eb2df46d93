"""Large registrations that arrive in parts: resumable, idempotent, and everyone's own."""

import gzip
import random

import blake3
import pytest
from registrations import body, digits, uid
from sqlalchemy import select, update
from starlette.testclient import TestClient

from glaas import accounts, models
from glaas.app import create_app
from glaas.db import open_engine, writing
from glaas.settings import Settings

PART = {"content-type": "application/octet-stream"}
JSON = {"content-type": "application/json"}


def name_of(content):
    return blake3.blake3(content).hexdigest()


def send(client, content, offset, length, **more):
    return client.put(f"/api/v1/uploads/{name_of(content)}", params={"offset": offset},
                      content=content[offset:offset + length], headers=PART | more)


def finish(client, content, **more):
    return client.post(f"/api/v1/sessions?upload={name_of(content)}", headers=JSON | more)


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_what_arrives_in_parts_is_what_arrives_at_once(client, post, pack):
    content = pack(body(digits()))
    address = f"/api/v1/uploads/{name_of(content)}"
    assert client.get(address).json() == {"received": 0}
    for offset in range(0, len(content), 700):
        answer = send(client, content, offset, 700)
        assert answer.json() == {"received": min(offset + 700, len(content))} == client.get(address).json()
    done = finish(client, content)
    assert done.status_code == 201
    assert client.get(address).json() == {"received": 0}
    assert post(digits()).json() == done.json() | {"created": False}


def test_a_part_that_is_sent_again_changes_nothing(client):
    content = body(digits())
    for offset, here in ((0, 1000), (0, 1000), (500, 1000), (1000, 2000), (0, 2000), (1000, 2000)):
        assert send(client, content, offset, 1000).json() == {"received": here}
    early = send(client, content, 3000, 1000)
    assert early.status_code == 409
    assert "2000 bytes of this upload are here" in early.json()["detail"]
    send(client, content, 2000, len(content))
    assert finish(client, content).status_code == 201
    for offset in range(0, len(content), 1000):
        send(client, content, offset, 1000)
    assert finish(client, content).status_code == 200


def test_any_process_takes_the_next_part(database):
    content = gzip.compress(body(digits()))
    apps = [create_app(Settings(database=database)) for _ in range(2)]
    with TestClient(apps[0]) as one, TestClient(apps[1]) as other:
        for turn, offset in enumerate(range(0, len(content), 300)):
            assert send((one, other)[turn % 2], content, offset, 300).status_code == 200
        assert finish(other, content).status_code == 201
        assert one.get(f"/jobs/{uid(2)}").status_code == 200


def test_what_is_not_what_its_digest_says_begins_again(client):
    content = body(digits())
    client.put(f"/api/v1/uploads/{name_of(content)}?offset=0", content=b"x" * len(content), headers=PART)
    assert finish(client, content).status_code == 409
    assert finish(client, content).status_code == 404
    send(client, content, 0, len(content))
    assert finish(client, content).status_code == 201


@pytest.mark.parametrize(("content", "status"), [
    (b"{}", 422), (b"\x1f\x8b nonsense", 400), (gzip.compress(body(digits()))[:-9], 400),
    (gzip.compress(b" " * 3_000_000), 413)], ids=["not packed", "nonsense", "cut", "too large"])
def test_an_upload_is_looked_at_as_any_other_body(database, content, status):
    with TestClient(create_app(Settings(database=database, max_body=2_000_000))) as client:
        assert send(client, content, 0, len(content)).status_code == 200
        answer = finish(client, content)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_uploads_are_limited(database):
    noise = random.Random(1).randbytes(5000)
    with TestClient(create_app(Settings(database=database, max_body=2000))) as client:
        assert client.put(f"/api/v1/uploads/{name_of(noise)}?offset=0", content=noise, headers=PART).status_code == 413
        assert send(client, noise, 0, 1500).status_code == 200
        assert send(client, noise, 1500, 501).status_code == 413
        for n in range(5):
            answer = send(client, bytes([n]) * 1600, 0, 1600)
            assert answer.status_code == (200 if n < 4 else 413), n
        engine = open_engine(database)
        with writing(engine) as connection:
            connection.execute(update(models.upload_part), {"expires_at": "2020-01-01T00:00:00.000000Z"})
        assert send(client, b"new", 0, 3).status_code == 200
        with engine.connect() as connection:
            assert len(connection.execute(select(models.upload_part.c.size)).all()) == 1
        engine.dispose()


@pytest.mark.parametrize(("method", "path", "headers", "status"), [
    ("PUT", f"/api/v1/uploads/{'0' * 64}?offset=0", JSON, 415),
    ("PUT", f"/api/v1/uploads/{'0' * 64}?offset=0", {"content-type": "text/plain"}, 415),
    ("PUT", f"/api/v1/uploads/{'0' * 64}?offset=-1", PART, 422),
    ("PUT", f"/api/v1/uploads/{'0' * 64}", PART, 422),
    ("PUT", "/api/v1/uploads/xyz?offset=0", PART, 404),
    ("GET", "/api/v1/uploads/xyz", {}, 404),
    ("POST", "/api/v1/sessions?upload=xyz", JSON, 404),
    ("POST", f"/api/v1/sessions?upload={'0' * 64}", JSON, 404),
    ("POST", f"/api/v1/sessions?upload={'0' * 64}", PART, 415)])
def test_what_is_no_part_is_refused(client, method, path, headers, status):
    answer = client.request(method, path, headers=headers, content=b"part" if method == "PUT" else None)
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_an_upload_belongs_to_who_sends_it(database):
    content = body(digits())
    engine = open_engine(database)
    with writing(engine) as connection:
        ids = [accounts.add_user(connection, name, None) for name in ("ada", "bob")]
        ada, bob = ({"authorization": f"Bearer {accounts.add_token(connection, number, 'x')}"} for number in ids)
        reader = {"authorization": f"Bearer {accounts.add_token(connection, ids[0], 'x', scope='read')}"}
    engine.dispose()
    address = f"/api/v1/uploads/{name_of(content)}"
    with TestClient(create_app(Settings(database=database, accounts=True))) as client:
        for who, status in (({}, 401), (reader, 403)):
            assert send(client, content, 0, 100, **who).status_code == status
            assert client.get(address, headers=who).status_code == status
            assert finish(client, content, **who).status_code == status
        assert send(client, content, 0, len(content), **ada).status_code == 200
        assert client.get(address, headers=bob).json() == {"received": 0}
        assert finish(client, content, **bob).status_code == 404
        assert finish(client, content, **ada).status_code == 201
