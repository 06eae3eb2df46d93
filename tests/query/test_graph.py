"""Lineage, the DAG, roots and staleness on hand-made records."""

import pytest
from recording import dataset, digest, file, unknown

from roar.model import TrackerRun
from roar.query.artifacts import load_artifact
from roar.query.differences import Change, compare
from roar.query.graph import load_graph, load_steps
from roar.query.history import JobFilter, find_jobs, load_lines
from roar.query.jobs import load_job
from roar.query.lineage import Direction, load_lineage
from roar.query.references import ArtifactReference, JobReference
from roar.query.roots import find_roots
from roar.query.sessions import load_publishable
from roar.record.writer import start_session


def _artifact(recorder, name):
    row = recorder.one("SELECT id FROM artifact WHERE digest = ?", bytes.fromhex(digest(name)))
    return ArtifactReference(row, digest(name))


@pytest.fixture
def pipeline(recorder):
    """raw → prepare → data → train → model → evaluate → scores, and an unrelated job."""
    return {
        "prepare": recorder.job("python prepare.py", [file("raw")], [file("data")]),
        "other": recorder.job("python other.py", [file("else")], [file("elsewhere")]),
        "train": recorder.job("python train.py --lr 0.1", [file("data"), file("config")], [file("model")]),
        "evaluate": recorder.job("python evaluate.py", [file("model"), file("data")], [file("scores")]),
    }


def test_lineage_up(recorder, pipeline):
    found = load_lineage(recorder.database, _artifact(recorder, "scores"))
    assert [(hop.job.uid, hop.distance) for hop in found.hops] == [
        (pipeline["evaluate"].uid, 1), (pipeline["train"].uid, 2), (pipeline["prepare"].uid, 2)]
    train = found.hops[1]
    assert {source.artifact.path: source.makers for source in train.sources} == {
        "data": (pipeline["prepare"].uid,), "config": ()}
    assert not found.cut


def test_lineage_depth_is_said_to_be_cut(recorder, pipeline):
    found = load_lineage(recorder.database, _artifact(recorder, "scores"), depth=1)
    assert [hop.job.uid for hop in found.hops] == [pipeline["evaluate"].uid]
    assert found.cut
    assert not load_lineage(recorder.database, _artifact(recorder, "scores"), depth=2).cut


def test_lineage_down_and_both(recorder, pipeline):
    down = load_lineage(recorder.database, _artifact(recorder, "data"), direction=Direction.DOWN)
    assert [(hop.job.uid, hop.distance) for hop in down.hops] == [
        (pipeline["train"].uid, -1), (pipeline["evaluate"].uid, -1)]
    assert {artifact.path for hop in down.hops for artifact in hop.outputs} == {"model", "scores"}
    both = load_lineage(recorder.database, JobReference(3, pipeline["train"].uid), direction=Direction.BOTH)
    assert {hop.job.uid for hop in both.hops} == {pipeline[name].uid for name in ("prepare", "train", "evaluate")}


def test_lineage_graph_is_closed(recorder, pipeline):
    graph = load_lineage(recorder.database, _artifact(recorder, "scores"), direction=Direction.BOTH).graph
    names = {artifact.digest for artifact in graph.artifacts} | {job.uid for job in graph.jobs}
    assert all(edge.source in names and edge.target in names for edge in graph.edges)
    assert {artifact.path for artifact in graph.artifacts} == {"raw", "data", "config", "model", "scores"}


def test_a_long_chain_is_walked_to_its_end(recorder):
    for number in range(1500):
        recorder.job(f"step {number}", [file(f"f{number}")], [file(f"f{number + 1}")])
    found = load_lineage(recorder.database, _artifact(recorder, "f1500"))
    assert len(found.hops) == 1500
    assert found.hops[-1].sources[0].artifact.path == "f0"


def test_two_jobs_that_feed_each_other_are_walked_once(recorder):
    recorder.job("a", [file("x")], [file("y")], minute=1, duration_s=600)
    recorder.job("b", [file("y")], [file("x")], minute=2, duration_s=600)
    assert len(recorder.edges()) == 2
    assert len(load_lineage(recorder.database, _artifact(recorder, "x"), direction=Direction.BOTH).hops) == 2


def test_the_same_content_from_several_jobs_takes_the_last(recorder):
    first = recorder.job("make 1", [], [file("a", "same")])
    last = recorder.job("make 2", [], [file("b", "same")])
    found = load_lineage(recorder.database, _artifact(recorder, "same"))
    assert [hop.job.uid for hop in found.hops] == [last.uid]
    assert found.same_content == (first.uid,)


def test_a_member_of_a_dataset_leads_to_its_maker_and_readers(recorder):
    whole, members = dataset("images/", {"a.png": "a", "b.png": "b"})
    maker = recorder.job("make", [file("archive")], [whole], datasets=[members])
    reader = recorder.job("read", [whole], [file("model")], datasets=[members])
    found = load_lineage(recorder.database, _artifact(recorder, "a"), direction=Direction.BOTH)
    assert {hop.job.uid for hop in found.hops} == {maker.uid, reader.uid}
    artifact = load_artifact(recorder.database, _artifact(recorder, "a").row_id)
    assert artifact.names == ("images/a.png",)
    assert artifact.datasets == (whole.digest,)


def test_part_of_a_dataset_is_an_edge_of_its_own(recorder):
    part = recorder.job("make a", [], [file("parts/a", "a")])
    whole, members = dataset("parts/", {"a": "a", "b": "b"})
    merge = recorder.job("merge", [whole], datasets=[members])
    edges = {(edge.source, edge.target, edge.role) for edge in load_graph(recorder.database, [1, 2]).edges}
    assert edges == {(part.uid, digest("a"), "output"), (whole.digest, merge.uid, "input"),
                     (digest("a"), whole.digest, "member")}


def test_steps_fold_reruns_and_know_their_sources(recorder, pipeline):
    again = recorder.job("python prepare.py", [file("raw")], [file("data")])
    steps = {step.number: step for step in load_steps(recorder.database, 1)}
    assert steps[1].job.uid == again.uid
    assert steps[1].earlier == (pipeline["prepare"].uid,)
    assert steps[3].sources == (1,)
    assert steps[4].sources == (1, 3)
    assert all(step.stale is None for step in steps.values()), "the rerun wrote the same content"


def test_a_rewritten_input_makes_stale_all_that_follows(recorder, pipeline):
    recorder.job("python prepare.py", [file("raw")], [file("data", "new data")])
    steps = {step.number: step.stale for step in load_steps(recorder.database, 1)}
    assert steps[1] is None
    assert steps[2] is None
    assert steps[3] == "its input data was written again by @1"
    assert steps[4] == "its input data was written again by @1"
    recorder.job("python train.py --lr 0.1", [file("data", "new data"), file("config")], [file("model", "new")])
    steps = {step.number: step.stale for step in load_steps(recorder.database, 1)}
    assert steps[3] is None
    assert steps[4] is not None


def test_an_edit_in_place_is_not_stale_by_its_own_doing(recorder):
    recorder.job("edit", [file("data", "old")], [file("data", "new")])
    assert load_steps(recorder.database, 1)[0].stale is None


def test_roots(recorder, pipeline):
    roots = find_roots(recorder.database, [1, 3, 4])
    assert [(root.path, root.made_by) for root in roots] == [("config", None), ("raw", None)]
    start_session(recorder.database)
    recorder.job("report", [file("scores"), unknown("lost")])
    roots = {root.path: root.made_by for root in find_roots(recorder.database, [5])}
    assert roots == {"scores": pipeline["evaluate"].uid, "lost": None}


def test_publishable_holds_the_jobs_in_order_with_datasets_and_payloads(recorder):
    whole, members = dataset("images/", {"a.png": "a"})
    recorder.job("b", [whole], datasets=[members], minute=5, payloads=[file("mlruns/m")])
    recorder.job("a", minute=1)
    found = load_publishable(recorder.database, 1)
    assert [job.command for job in found.jobs] == [("a",), ("b",)]
    assert found.datasets == (members,)
    assert [(payload.job, payload.path) for payload in found.payloads] == [(found.jobs[1].uid, "mlruns/m")]


def test_log_filters(recorder):
    run = TrackerRun(tracker="wandb", label="W&B", run_id="abc")
    whole, members = dataset("images/", {"deep/a.png": "a"})
    recorder.job("python prepare.py", [file("raw.csv")], [file("out/data.npz")], minute=0)
    recorder.job("python train.py --lr 0.1", [whole], exit_code=1, tracker_runs=[run], minute=10, datasets=[members])
    recorder.job("python train.py --lr 0.2", name="best ever", labels={"owner": "alice"}, minute=20)

    def found(**wanted):
        return [line.command[1:] for line in load_lines(recorder.database,
                                                        find_jobs(recorder.database, JobFilter(**wanted)))]

    prepare, low, high = ("prepare.py",), ("train.py", "--lr", "0.1"), ("train.py", "--lr", "0.2")
    assert found() == [high, low, prepare]
    assert found(status="ok") == [high, prepare]
    assert found(status="failed") == [low]
    assert found(status="interrupted") == []
    assert found(tracker="wandb") == [low]
    assert found(since="2026-11-22T10:10:00.000000Z") == [high, low]
    assert found(until="2026-11-22T10:10:00.000000Z") == [prepare]
    assert found(text=["TRAIN", "0.2"]) == [high]
    assert found(text=["best"]) == [high]
    assert found(text=["owner=alice"]) == [high]
    assert found(labels=[("owner", None)]) == [high]
    assert found(labels=[("owner", "bob")]) == []
    assert found(paths=["raw.csv"]) == [prepare]
    assert found(paths=["out"]) == [prepare]
    assert found(paths=["*.npz"]) == [prepare]
    assert found(paths=["images/deep/a.png"]) == [low], "within a dataset"
    assert found(paths=["images/deep/b.png"]) == []


def test_differences_name_the_likely_causes_first(recorder):
    recorder.job("python train.py --lr 0.1 --epochs 3 data.lr=5", [file("data")], [file("model", "one")])
    recorder.job("python train.py --lr 0.2 --epochs 3 data.lr=6", [file("data", "changed"), file("more")],
                 [file("model", "two")], exit_code=1)
    found = compare(load_job(recorder.database, 1), load_job(recorder.database, 2))
    assert found.parameters == (Change(name="--lr", before="0.1", after="0.2"),
                                Change(name="data.lr", before="5", after="6"))
    assert found.inputs == (Change(name="data", before=digest("data"), after=digest("changed")),
                            Change(name="more", before=None, after=digest("more")))
    assert found.causes() == ["parameters", "inputs"]
    assert found.outputs == (Change(name="model", before=digest("one"), after=digest("two")),)
    assert found.result == (Change(name="exit code", before="0", after="1"),)


@pytest.mark.parametrize(("before", "after", "told"), [
    ("a=1 b=2", "b=2 a=1", ("a=1 b=2", "b=2 a=1")),
    ("in -P a=1 -P b=2 c=3", "in -P b=2 -P a=1 c=3", ("a=1 -P b=2", "b=2 -P a=1")),
    ("a=1 a=1 b=2", "a=1 b=2 a=1", ("a=1 b=2", "b=2 a=1")), ("--lr=1 --b", "--lr 1 --b", None), ("a=1", "a=1", None)])
def test_the_order_of_the_words_is_a_difference_where_it_is_the_only_one(recorder, before, after, told):
    recorder.job(f"python train.py {before}", [file("data")], [file("model", "one")])
    recorder.job(f"python train.py {after}", [file("data")], [file("model", "two")])
    recorder.job(f"python train.py {after}", [file("data", "changed")], [file("model", "two")])
    found = compare(load_job(recorder.database, 1), load_job(recorder.database, 2))
    order = () if told is None else (Change(name="order of the words", before=told[0], after=told[1]),)
    assert found.parameters == order
    assert found.causes() == ["parameters"][:len(order)]
    assert compare(load_job(recorder.database, 1), load_job(recorder.database, 3)).causes() == ["inputs"]
