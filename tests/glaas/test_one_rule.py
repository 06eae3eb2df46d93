"""The server finds the makers that the client's own record has, for made-up sessions of all kinds."""

import random
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from registrations import digest
from sqlalchemy import select

from glaas import models
from glaas.access import OWNER
from glaas.db import open_engine, reading
from glaas.graph import dag_graph
from glaas.makers import Reading, find_makers, reader_of
from glaas.models import Role
from roar.model import FileUse, Kind
from roar.query.references import find_current_session
from roar.query.sessions import load_publishable
from roar.wire import Registration

sys.path.insert(0, str(Path(__file__).parent.parent / "record"))  # importlib mode does not
import recording
from recording import Recorder, dataset, file

FOLDERS = ("a/", "b/", "a/sub/")
NAMES = ("x", "y", "z", "w")
CONTENTS = ("1", "2", "3", "4", "5", "")
FLAGS = ("", "", "", "1")
MANY = tuple(map(str, range(50)))


def some_uses(rng, contents):
    """Files and datasets, none of which lies in another."""
    uses, datasets = [], []
    for folder in rng.sample(FOLDERS[:2], rng.randrange(3)):
        names = rng.sample([*NAMES, "sub/x", "sub/y"], rng.randrange(2, 6))
        whole, members = dataset(folder, {name: rng.choice(contents) for name in names})
        uses.append(whole)
        datasets.append(members)
    free = [folder for folder in (*FOLDERS, "") if not any(folder.startswith(use.path) for use in uses)]
    for folder in free:
        uses += [file(folder + name, rng.choice(contents)) for name in rng.sample(NAMES, rng.randrange(3))]
    return uses, datasets


def single_files(use, datasets):
    """The files of a dataset as they are used by themselves."""
    return [FileUse(path=use.path + member.path, digest=member.digest, size=member.size)
            for members in datasets for member in members.members]


def some_ages(rng, uses, number):
    """Times by which some of these lay there, which the job `number` reads in that minute."""
    return {(use.path, use.digest): (recording.START + timedelta(minutes=rng.uniform(-1, number))).strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ") for use in uses if rng.random() < .5}


def record(recorder, rng, contents=CONTENTS, *, aged=False):
    """Jobs one after the other; what one read is mostly what lay there, or a single file of it."""
    lies: dict[str, object] = {}
    for number in range(rng.randrange(3, 14)):
        inputs, sets_in = some_uses(rng, contents)
        if lies and rng.random() < .7:
            known = rng.sample(sorted(lies), min(len(lies), rng.randrange(1, 4)))
            inputs = [lies[path][0] for path in known if not any(
                path != other and path.startswith(other) for other in known)]
            sets_in = [members for path in known for members in lies[path][1]]
        outputs, sets_out = some_uses(rng, contents) if rng.random() < .7 else ([], [])
        singles = [one for use, sets in lies.values() for one in single_files(use, sets)]
        if singles and rng.random() < .5:
            outputs.append(replace(rng.choice(singles), path="picked"))
        recorder.job(f"step {number}", inputs, outputs, datasets=[*sets_in, *sets_out],
                     ages=some_ages(rng, inputs, number) if aged else {})
        found = [use for use in inputs if use.path not in lies]
        for use in (*found, *outputs):
            lies[use.path] = use, [members for members in (*sets_in, *sets_out) if members.digest == use.digest]
        if rng.random() < .6:  # a single file out of a folder
            for files in [single_files(*one) for one in lies.values()]:
                for one in rng.sample(files, min(len(files), 1)):
                    lies[one.path] = one, []


def makers_in_record(recorder):
    """By job and digest of what it read, the jobs that it came from."""
    found = {}
    for reader, read, maker in recorder.database.execute(
            "SELECT c.uid, r.digest, p.uid FROM dependency JOIN job AS c ON c.id = consumer_id"
            " JOIN job AS p ON p.id = producer_id JOIN artifact AS r ON r.id = artifact_id"):
        found.setdefault((reader, read.hex()), set()).add(maker)
    return found


def makers_on_server(database):
    engine = open_engine(database)
    use, job = models.file_use.c, models.job.c
    with reading(engine) as connection:
        rows = connection.execute(select(
            use.job_id, use.digest, use.path, use.kind, use.files, use.unchanged_since, job.session, job.started_at,
            job.duration_s).join_from(models.file_use, models.job).where(use.role == 0)).all()
        uids = dict(tuple(row) for row in connection.execute(select(job.id, job.uid)))
        readings = [Reading(reader_of(row), row.digest, row.path, Kind(row.kind), row.files,
                            since=row.unchanged_since) for row in rows]
        found = {}
        for read, makers in find_makers(connection, OWNER, readings).items():
            found.setdefault((uids[read.reader.key].hex(), read.digest.hex()), set()).update(
                uids[maker.key].hex() for maker in makers)
    engine.dispose()
    return found


def drawn_on_server(database, dag):
    """By job and digest of what it read, the jobs that the graph of the session connects it with."""
    engine = open_engine(database)
    with reading(engine) as connection:
        graph = dag_graph(connection, OWNER, dag)
    engine.dispose()
    uids = {line.key: line.uid for line in graph.jobs}
    makers, found = {}, {}
    for edge in graph.edges:
        if edge.role is not Role.INPUT:
            makers.setdefault(edge.artifact, set()).add(uids[edge.job])
    for edge in graph.edges:
        if edge.role is Role.INPUT:
            for key in (edge.artifact, *graph.taken.get((edge.job, edge.artifact), ())):
                found.setdefault((uids[edge.job], graph.artifacts[edge.artifact].digest.hex()), set()).update(
                    makers.get(key, ()))
    return found


@pytest.mark.parametrize("aged", [False, True])
@pytest.mark.parametrize("contents", [CONTENTS, FLAGS, MANY])
@pytest.mark.parametrize(("database", "seed"), [
    *(("sqlite", seed) for seed in range(20)), *(("postgresql", seed) for seed in range(20, 27)),
], indirect=["database"])
def test_the_server_finds_what_the_record_has(tmp_path, post, database, seed, contents, aged, monkeypatch):
    monkeypatch.setattr(recording, "digest", digest)  # those that a server accepts
    recorder = Recorder(tmp_path / "workspace")
    record(recorder, random.Random(seed), contents, aged=aged)
    session = find_current_session(recorder.database)
    sent = load_publishable(recorder.database, session.row_id)
    answer = post(Registration(version=1, client="roar 0.1.0", session=sent.session, jobs=sent.jobs,
                               datasets=sent.datasets, payloads=sent.payloads, ages=sent.ages))
    assert answer.status_code == 201
    here, there = makers_in_record(recorder), makers_on_server(database)
    recorder.database.close()
    assert {key: there.get(key) for key in here} == here
    assert there == here
    drawn = drawn_on_server(database, answer.json()["dag"])
    assert [key for key, makers in here.items() if not makers <= drawn[key]] == []
