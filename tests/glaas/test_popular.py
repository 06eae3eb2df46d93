"""Artifacts that very many jobs read: what is around them stays small, right and quick."""

import dataclasses
import itertools

import psycopg
import pytest
from registrations import body, digest, digits, job, uid, use
from sqlalchemy import Column, MetaData, Table, select
from sqlalchemy.exc import DBAPIError

from glaas import models
from glaas.db import ForEach, Query, open_engine, reading
from glaas.graph import MOST_JOBS
from glaas.pages.routes import JOBS_DRAWN

READERS = MOST_JOBS + 50


@pytest.fixture
def popular(post):
    """A base model that a job made of data, and that many jobs read, each for a model of its own."""
    maker = job(1, inputs=(use("data.csv"),), outputs=(use("base.pt"),))
    readers = tuple(job(n + 2, inputs=(use("base.pt"),), outputs=(use(f"model-{n}.pt"),)) for n in range(READERS))
    assert post(dataclasses.replace(digits(), jobs=(maker, *readers), payloads=(), datasets=())).status_code == 201


def lineage(client, text, more=""):
    return client.get(f"/api/v1/artifacts/{digest(text)}/lineage?depth=10{more}").json()


def test_lineage_is_bounded_by_its_newest_jobs_and_says_so(client, popular):
    around = lineage(client, "base.pt")
    assert around["truncated"] is True
    newest = {uid(n) for n in range(READERS + 2 - MOST_JOBS, READERS + 2)}
    assert {line["uid"] for line in around["jobs"]} == newest | {uid(1)}
    everything = lineage(client, "base.pt", "&jobs=1000")
    assert everything["truncated"] is False
    assert len(everything["jobs"]) == READERS + 1
    assert len(everything["edges"]) == 2 * READERS + 2


def test_lineage_of_one_of_many_is_whole(client, popular):
    around = lineage(client, "model-7.pt")
    assert [line["uid"] for line in around["jobs"]] == [uid(1), uid(9)]
    assert around["truncated"] is False


def test_its_page_draws_some_and_says_that_there_is_more(client, popular):
    page = client.get(f"/artifacts/{digest('base.pt')}").text
    assert page.count('<g class="box job') == JOBS_DRAWN + 1
    assert "There is more" in page
    assert len(page.encode()) < 120_000


def test_a_digest_that_is_everywhere_does_not_hide_others(client, popular):
    shared = digest("base.pt")[:4]
    other = next(text for text in (f"other {n}" for n in itertools.count()) if digest(text).startswith(shared))
    lonely = job(9000, outputs=(use("other.bin", other),))
    sent = dataclasses.replace(digits(), session="0a" * 16, jobs=(lonely,), payloads=(), datasets=())
    client.post("/api/v1/sessions", content=body(sent), headers={"content-type": "application/json"})
    found = client.get(f"/api/v1/search?q={shared}").json()["artifacts"]
    assert {digest("base.pt"), digest(other)} <= {hit["digest"] for hit in found}


def test_the_limit_counts_for_each_value(database, client, popular):
    engine = open_engine(database)
    table = models.file_use
    wanted = [bytes.fromhex(digest(text)) for text in ("base.pt", "data.csv", "unknown")]
    query = select(table.c.job_id, table.c.path).where(table.c.role == 0).order_by(table.c.job_id.desc()).limit(3)
    with reading(engine) as connection:
        rows = [(value, row.path) for value, row in ForEach(query, table.c.digest).rows(connection, wanted)]
        assert list(ForEach(query, table.c.digest).rows(connection, [])) == []
    engine.dispose()
    assert sorted(rows) == sorted([(wanted[0], "base.pt")] * 3 + [(wanted[1], "data.csv")])


def test_what_a_database_refuses_is_told_as_sqlalchemy_tells_it(database):
    """The application knows its errors, whoever asked: a database that goes away is a 503."""
    table = Table("nowhere", MetaData(), Column("digest", models.DIGEST))
    engine = open_engine(database)
    for ask in (Query(select(table)).all, lambda connection: list(
            ForEach(select(table), table.c.digest).rows(connection, [b"x"]))):
        with pytest.raises(DBAPIError, match="nowhere"), reading(engine) as connection:
            ask(connection)
    engine.dispose()


def test_a_page_asks_as_often_for_many_files_as_for_few(client, post, database, monkeypatch):
    """SQLite, which has no LATERAL, is asked once for each file within this very process."""
    counts = []
    for number, files in ((1, 2), (2, 45)):
        inputs, outputs = (tuple(use(f"{way}/{number}/{n}") for n in range(files)) for way in ("in", "out"))
        sent = dataclasses.replace(digits(), session=f"{number:02x}" * 16, payloads=(), datasets=(), jobs=(
            job(100 * number, outputs=inputs), job(100 * number + 1, inputs=inputs, outputs=outputs),
            job(100 * number + 2, inputs=outputs)))
        assert post(sent).status_code == 201
        asked = []

        def note(cursor, statement, *given, asked=asked, execute=psycopg.Cursor.execute, **more):
            asked.append(statement)
            return execute(cursor, statement, *given, **more)

        with monkeypatch.context() as watched:
            watched.setattr(psycopg.Cursor, "execute", note)
            assert client.get(f"/jobs/{uid(100 * number + 1)}").text.count(f"@{100 * number}") >= files
        counts.append(len(asked))
    if database.startswith("postgresql"):
        assert 8 < counts[0] == counts[1] <= 20, counts
