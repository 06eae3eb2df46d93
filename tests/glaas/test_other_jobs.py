"""Which other job a page and the API name beside what a job read or wrote."""

import dataclasses
import re

import pytest
from databases import plan_of
from registrations import dataset_of, digest, digits, job, uid, use

from glaas import makers, models
from glaas.access import Viewer
from roar import model
from roar.wire import DatasetMember, Payload


def at(number, minute, **more):
    """A job that started at that minute of the hour."""
    return job(number, started_at=f"2026-11-22T10:{minute:02}:00.000000Z", **more)


@pytest.fixture
def send(post):
    """Register jobs as a session of its own."""
    numbers = iter(range(1, 50))

    def register(*jobs, **more):
        answer = post(dataclasses.replace(digits(), session=f"{next(numbers):02x}" * 16, jobs=jobs, **(
            {"datasets": (), "payloads": ()} | more)))
        assert answer.status_code == 201, answer.text
    return register


def told(client, number, role="inputs"):
    """By path who is named on the job page, on the page of all files, and by the API, which all have to agree."""
    said = []
    for path in (f"/jobs/{uid(number)}", f"/jobs/{uid(number)}/{role}"):
        page = client.get(path).text
        if path == f"/jobs/{uid(number)}":
            page = page[page.index(f'id="{role}"'):]
            page = page[:page.index("</section>")]
        rows = {}
        for row in re.findall(r"<tr>\s*<td.*?</tr>", page, re.DOTALL):
            cells = re.findall(r"<td.*?</td>", row, re.DOTALL)
            other = re.search(r"/jobs/(\w+)", cells[3])
            rows[re.search(r'class="wrap">([^<]+)', cells[0])[1].rstrip("/")] = (
                other and int(other[1], 16), "later written by" in cells[3])
        said.append(rows)
    rows = {}
    for one in client.get(f"/api/v1/jobs/{uid(number)}/{role}").json()[role]:
        other, later = (one["read_by"], None) if role == "outputs" else (one["written_by"], one["written_later_by"])
        assert other is None or later is None
        rows[one["path"].rstrip("/")] = (int((other or later)["uid"], 16) if other or later else None,
                                         later is not None)
    said.append(rows)
    assert said[0] == said[1] == said[2]
    return rows


def test_a_copy_made_later_did_not_write_what_was_read(client, send):
    send(at(1, 1, outputs=(use("data"),)), at(2, 5, inputs=(use("data"),)))
    send(at(3, 9, outputs=(use("copy", "data"),)))
    assert told(client, 2) == {"data": (1, False)}


def test_of_several_makers_it_is_the_last_before(client, send):
    """Whatever order they were registered in."""
    send(at(1, 3, outputs=(use("original", "data"),)), at(2, 5, inputs=(use("data"),)))
    send(at(3, 4, outputs=(use("again", "data"),)))
    send(at(4, 1, outputs=(use("first", "data"),)))
    assert told(client, 2) == {"data": (1, False)}, "its own session before others"
    send(at(5, 6, inputs=(use("data"),)))
    assert told(client, 5) == {"data": (3, False)}


def test_only_a_later_one_is_named_as_such(client, send):
    send(at(1, 1, inputs=(use("data"), use("unknown"))))
    send(at(2, 7, outputs=(use("copy", "data"),)))
    send(at(3, 9, outputs=(use("another", "data"),)))
    assert told(client, 1) == {"data": (3, True), "unknown": (None, False)}


def test_a_maker_registered_long_after_is_found(client, send, monkeypatch):
    monkeypatch.setattr(makers, "REGISTERED_LATER", 2)
    send(at(1, 5, inputs=(use("data"),)))
    send(*(at(n, n, outputs=(use(f"{n}"),)) for n in range(2, 5)))
    send(at(9, 1, outputs=(use("data"),)))
    assert told(client, 1) == {"data": (9, False)}


def test_parts_of_a_dataset_and_payloads_count_alike(client, send):
    members = tuple(DatasetMember(path=f"{n}.npy", digest=digest(f"m{n}"), size=10) for n in range(3))
    folder = dataset_of(members)
    whole = model.FileUse(path="data", digest=folder.digest, size=30, kind=model.Kind.DATASET, files=3)
    payload = Payload(job=uid(3), path="store/best.pt", digest=digest("best"), size=1234)
    send(at(1, 1, outputs=(use("0.npy", "m0", 10),)), at(2, 2, outputs=(use("1.npy", "m1", 10),)), at(3, 3),
         at(4, 5, inputs=(whole, use("best.pt", "best"))), datasets=(folder,), payloads=(payload,))
    send(at(5, 8, outputs=(use("2.npy", "m2", 10), use("copy.pt", "best"))))
    assert told(client, 4) == {"data": (2, False), "best.pt": (3, False)}


def test_readers_are_named_by_who_started_last(client, send):
    send(at(1, 1, outputs=(use("model"), use("unread"))), at(2, 9, inputs=(use("model"),)))
    send(at(3, 5, inputs=(use("model"),)))
    assert told(client, 1, "outputs") == {"model": (2, False), "unread": (None, False)}
    for path in (f"/jobs/{uid(1)}", f"/jobs/{uid(1)}/outputs"):
        assert "<th>Last read by</th>" in client.get(path).text


def test_a_copy_made_in_between_did_not_write_what_was_read_at_the_first_path(client, send):
    send(at(1, 1, outputs=(use("m"),)), at(2, 2, inputs=(use("m"),), outputs=(use("n", "m"),)),
         at(3, 3, inputs=(use("m"),)), at(4, 4, inputs=(use("n", "m"),)), at(5, 5, inputs=(use("m"), use("n", "m"))),
         at(6, 6, inputs=(use("elsewhere", "m"),)))
    assert told(client, 2) == told(client, 3) == {"m": (1, False)}
    assert told(client, 4) == {"n": (2, False)}
    assert told(client, 5) == {"m": (1, False), "n": (2, False)}
    assert told(client, 6) == {"elsewhere": (2, False)}
    assert told(client, 1, "outputs") == {"m": (5, False)}
    send(at(7, 7, inputs=(use("n", "m"),)))
    assert told(client, 1, "outputs") == {"m": (5, False)}
    assert told(client, 2, "outputs") == {"n": (7, False)}


def test_a_copy_of_a_datasets_file_did_not_write_it(client, send):
    members = tuple(DatasetMember(path=f"{n}.npy", digest=digest(f"m{n}"), size=10) for n in range(3))
    folder = dataset_of(members)
    whole = model.FileUse(path="data", digest=folder.digest, size=30, kind=model.Kind.DATASET, files=3)
    send(at(1, 1, outputs=tuple(use(f"data/{n}.npy", f"m{n}", 10) for n in range(3))),
         at(2, 2, outputs=(use("copy/0.npy", "m0", 10),)), at(3, 3, inputs=(whole,)),
         at(4, 4, inputs=(use("copy/0.npy", "m0", 10),)), datasets=(folder,))
    assert told(client, 3) == {"data": (1, False)}
    assert told(client, 1, "outputs")["data/0.npy"] == (3, False)
    assert told(client, 2, "outputs") == {"copy/0.npy": (4, False)}


def test_of_very_many_copies_the_one_at_the_path_is_found(client, send, monkeypatch):
    monkeypatch.setattr(makers, "REGISTERED_LATER", 0)
    send(at(1, 1, outputs=(use("m"),)))
    copies = range(100, 101 + makers.WRITERS_LOOKED_AT)
    send(*(at(n, 2, outputs=(use(f"copy{n}", "m"),)) for n in copies))
    send(at(2, 3, inputs=(use("m"),)))
    assert told(client, 2) == {"m": (1, False)}
    send(*(at(200 + n, 4, inputs=(use(f"copy{n}", "m"),)) for n in copies))
    assert told(client, 1, "outputs") == {"m": (2, False)}


def test_uses_of_a_path_are_found_by_index(database):
    """The rows come in the order of the index, so a limit ends the look-up however often the path was used."""
    query = makers._uses_before(Viewer()).where(models.file_use.c.path_key == 1).limit(9)
    plan = plan_of(database, query)
    assert "ix_file_use_path_key_job_id" in plan
    assert "temp b-tree" not in plan.lower()
    assert "sort" not in plan.lower()
