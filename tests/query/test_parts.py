"""Files and the datasets that they are part of: who made and who used the one through the other."""

import pytest
from recording import dataset, digest, file

from roar.present.artifacts import render_artifact
from roar.present.cut import cut_of
from roar.query.artifacts import load_artifact
from roar.query.lineage import Direction, find_maker, load_lineage
from roar.query.references import ArtifactReference

IMAGES = {"a.png": "a", "b.png": "b", "c.png": "c"}

SHOWN = cut_of("roar show x", everything=False)


def artifact(recorder, name, path=None):
    row = recorder.one("SELECT id FROM artifact WHERE digest = ?", bytes.fromhex(digest(name)))
    return ArtifactReference(row, digest(name), path)


def at(recorder, whole):
    row = recorder.one("SELECT id FROM artifact WHERE digest = ?", bytes.fromhex(whole.digest))
    return ArtifactReference(row, whole.digest, whole.path)


def hops(recorder, root, direction=Direction.UP):
    return [hop.job.uid for hop in load_lineage(recorder.database, root, direction=direction).hops]


def uses(found):
    return [(use.job, use.path, use.used_as) for use in found]


@pytest.fixture
def images(recorder):
    """A folder that one job makes; others read one file of it, all of it, or make copies."""
    whole, members = dataset("images/", IMAGES)
    copy, _ = dataset("copy/", IMAGES)
    jobs = {
        "make": recorder.job("make", [], [whole], datasets=[members]),
        "count": recorder.job("count", [file("images/b.png", "b")], [file("n")]),
        "pick": recorder.job("pick", [file("images/a.png", "a")], [file("one.png", "a")]),
        "copy": recorder.job("copy", [whole], [copy], datasets=[members]),
        "look": recorder.job("look", [file("copy/a.png", "a")], [file("seen")]),
    }
    return whole, copy, {name: job.uid for name, job in jobs.items()}


@pytest.mark.parametrize(("path", "maker"), [
    ("images/a.png", "make"), ("one.png", "pick"), ("copy/a.png", "copy"), ("images/b.png", "make"), (None, "make")])
def test_who_made_a_file_is_who_wrote_it_there_also_within_a_dataset(recorder, images, path, maker):
    root = artifact(recorder, "b" if path == "images/b.png" else "a", path)
    assert find_maker(recorder.database, root) == list(images[2]).index(maker) + 1
    assert hops(recorder, root)[0] == images[2][maker]


def test_who_only_copied_a_file_of_a_folder_did_not_make_the_folder(recorder, images):
    whole, copy, jobs = images
    assert hops(recorder, at(recorder, whole)) == [jobs["make"]]
    assert hops(recorder, at(recorder, copy)) == [jobs["copy"], jobs["make"]]


def test_others_that_wrote_the_content_are_named_once(recorder, images):
    found = load_lineage(recorder.database, artifact(recorder, "a", "images/a.png"))
    assert found.same_content == (images[2]["copy"], images[2]["pick"])


def test_a_folder_was_used_by_who_read_one_file_of_it(recorder, images):
    whole, _, jobs = images
    assert set(hops(recorder, at(recorder, whole), Direction.DOWN)) == {
        jobs[name] for name in ("count", "pick", "copy", "look")}
    graph = load_lineage(recorder.database, at(recorder, whole), direction=Direction.DOWN).graph
    edges = {(edge.source, edge.target) for edge in graph.edges if edge.role == "member"}
    assert edges == {(whole.digest, digest("a")), (whole.digest, digest("b"))}
    assert {edge.source for edge in graph.edges} | {edge.target for edge in graph.edges} <= {
        node.digest for node in graph.artifacts} | {job.uid for job in graph.jobs}


def test_show_names_makers_and_users_by_way_of_a_dataset(recorder, images):
    whole, _, jobs = images
    part = load_artifact(recorder.database, artifact(recorder, "b").row_id)
    assert uses(part.produced_by) == [(jobs["copy"], "copy/b.png", whole.digest),
                                      (jobs["make"], "images/b.png", whole.digest)]
    assert uses(part.used_by) == [(jobs["copy"], "images/b.png", whole.digest), (jobs["count"], "images/b.png", None)]
    assert f"as images/b.png (in dataset {whole.digest[:12]})" in render_artifact(part, session=None, shown=SHOWN)
    folder = load_artifact(recorder.database, at(recorder, whole).row_id)
    assert uses(folder.used_by) == [
        (jobs["copy"], "images/", None), (jobs["look"], "copy/a.png", digest("a")),
        (jobs["pick"], "images/a.png", digest("a")), (jobs["count"], "images/b.png", digest("b"))]
    assert "part of it: images/b.png" in render_artifact(folder, session=None, shown=SHOWN)
    assert set(folder.names) == {"images/", "copy/"}


def test_a_folder_made_in_parts_names_who_made_them(recorder):
    extra = recorder.job("extra", [], [file("in/extra", "e")])
    part, members = dataset("in/", IMAGES)
    most = recorder.job("most", [], [part], datasets=[members])
    whole, all_members = dataset("in/", IMAGES | {"extra": "e"})
    reader = recorder.job("read", [whole], datasets=[all_members])
    found = load_artifact(recorder.database, at(recorder, whole).row_id)
    assert uses(found.produced_by) == [(most.uid, "in/", part.digest), (extra.uid, "in/extra", digest("e"))]
    assert hops(recorder, at(recorder, whole)) == [most.uid, extra.uid]
    assert hops(recorder, artifact(recorder, "e", "in/extra"), Direction.DOWN) == [reader.uid]
    assert hops(recorder, at(recorder, part), Direction.DOWN) == [reader.uid]


def test_who_made_a_folder_is_asked_for_the_place_that_was_named(recorder):
    raw, members = dataset("raw/", IMAGES)
    copy, _ = dataset("copy/", IMAGES)
    recorder.job("read", [raw], datasets=[members])
    part = recorder.job("part", [], [file("copy/a.png", "a")])
    recorder.job("read copy", [copy], datasets=[members])
    row_id = at(recorder, raw).row_id
    assert load_artifact(recorder.database, row_id, "raw/").produced_by == ()
    for path in ("copy/", None):
        assert [use.job for use in load_artifact(recorder.database, row_id, path).produced_by] == [part.uid]
    assert hops(recorder, at(recorder, raw)) == []


def test_a_raw_folder_was_used_by_who_read_one_file_where_it_lies(recorder):
    whole, members = dataset("raw/", IMAGES)
    first = recorder.job("all", [whole], datasets=[members])
    one = recorder.job("one", [file("raw/a.png", "a")])
    recorder.job("other", [file("elsewhere/a.png", "a")])
    some, some_members = dataset("raw/", {"b.png": "b", "c.png": "c"})
    two = recorder.job("two", [some], datasets=[some_members])
    assert set(hops(recorder, at(recorder, whole), Direction.DOWN)) == {first.uid, one.uid, two.uid}
    assert [use.path for use in load_artifact(recorder.database, at(recorder, whole).row_id).used_by] == [
        "raw/", "raw/", "raw/a.png"]


def test_what_was_made_anew_in_a_folder_is_no_use_of_what_lay_there_before(recorder):
    old, old_members = dataset("data/", {"a": "a", "b": "b"})
    first = recorder.job("make 1", [], [old], datasets=[old_members])
    new, new_members = dataset("data/", {"a": "a", "b": "B"})
    second = recorder.job("make 2", [], [new], datasets=[new_members])
    recorder.job("read", [file("data/a", "a")])
    assert hops(recorder, at(recorder, old), Direction.DOWN) == []
    assert hops(recorder, artifact(recorder, "a", "data/a")) == [second.uid]
    assert hops(recorder, at(recorder, old)) == [first.uid]


@pytest.fixture
def classes(recorder):
    """A folder of several that one job makes; others read all of it, or one of its folders, or a file."""
    names = {f"c{number}/{name}": f"{number}{name}" for number in (3, 5) for name in "ab"}
    parts = {key: dataset(f"data/{key}/", {name[3:]: text for name, text in names.items() if name.startswith(key)})
             for key in ("c3", "c5")}
    whole, members = dataset("data/", names)
    jobs = {
        "make": recorder.job("make", [], [whole], datasets=[members]),
        "train": recorder.job("train", [whole], datasets=[members]),
        **{key: recorder.job(key, [part], datasets=[inside]) for key, (part, inside) in parts.items()},
        "file": recorder.job("file", [file("data/c3/a", "3a")]),
        "other": recorder.job("other", [file("elsewhere/a", "3a")]),
    }
    return names, parts, {name: job.uid for name, job in jobs.items()}


def test_a_folder_in_a_folder_was_used_by_who_read_all_of_it(recorder, classes):
    _, parts, jobs = classes
    assert set(hops(recorder, at(recorder, parts["c3"][0]), Direction.DOWN)) == {
        jobs[name] for name in ("train", "c3", "file")}
    assert set(hops(recorder, at(recorder, parts["c5"][0]), Direction.DOWN)) == {jobs["train"], jobs["c5"]}


def test_a_folder_that_was_made_anew_in_part_was_used_by_who_read_a_part(recorder, classes):
    names, parts, jobs = classes
    patch, patch_members = dataset("data/c5/", {"a": "A", "b": "B"})
    recorder.job("fix", [], [patch], datasets=[patch_members])
    now, members = dataset("data/", names | {"c5/a": "A", "c5/b": "B"})
    train = recorder.job("train", [now], datasets=[members])
    after = recorder.job("c5", [patch], datasets=[patch_members])
    assert set(hops(recorder, at(recorder, now), Direction.DOWN)) == {
        train.uid, after.uid, *(jobs[name] for name in ("train", "c3", "file"))}
    again = recorder.job("make c3 again", [], [parts["c3"][0]], datasets=[parts["c3"][1]])
    later = recorder.job("c3", [parts["c3"][0]], datasets=[parts["c3"][1]])
    assert later.uid not in hops(recorder, at(recorder, now), Direction.DOWN), "these came from another job"
    assert later.uid in hops(recorder, at(recorder, parts["c3"][0]), Direction.DOWN)
    assert hops(recorder, at(recorder, parts["c3"][0])) == [again.uid]


def test_shards_lie_beside_their_pattern(recorder):
    shards, members = dataset("out/model-*-of-2", {"model-1-of-2": "one", "model-2-of-2": "two"})
    recorder.job("train", [], [shards], datasets=[members])
    one = recorder.job("look", [file("out/model-1-of-2", "one")])
    assert load_artifact(recorder.database, artifact(recorder, "two").row_id).names == ("out/model-2-of-2",)
    assert hops(recorder, at(recorder, shards), Direction.DOWN) == [one.uid]


def test_an_empty_file_is_made_only_where_it_was_written(recorder):
    whole, members = dataset("marks/", {"done": "", "n": "n"})
    members = type(members)(digest=members.digest, members=tuple(
        type(one)(path=one.path, digest=one.digest, size=0 if one.path == "done" else one.size)
        for one in members.members))
    maker = recorder.job("make", [], [whole], datasets=[members])
    recorder.job("look", [file("other/done", "", size=0)])
    assert hops(recorder, artifact(recorder, "", "marks/done")) == [maker.uid]
    assert hops(recorder, artifact(recorder, "", "other/done")) == []


def test_an_empty_file_was_read_only_where_it_lies(recorder):
    whole, members = dataset("marks/", {"done": "", "n": "n"})
    members = type(members)(digest=members.digest, members=tuple(
        type(one)(path=one.path, digest=one.digest, size=0 if one.path == "done" else one.size)
        for one in members.members))
    recorder.job("make", [], [file("marks/done", "", size=0)])
    recorder.job("mark", [], [file("other/done", "", size=0)])
    alone = recorder.job("look", [file("marks/done", "", size=0)])
    within = recorder.job("all", [whole], datasets=[members])
    elsewhere = recorder.job("look elsewhere", [file("other/done", "", size=0)])
    there = artifact(recorder, "", "marks/done")
    assert set(hops(recorder, there, Direction.DOWN)) == {alone.uid, within.uid}
    assert load_lineage(recorder.database, there).same_content == ()
    assert hops(recorder, artifact(recorder, "", "other/done"), Direction.DOWN) == [elsewhere.uid]
    assert len(hops(recorder, artifact(recorder, ""), Direction.DOWN)) == 3


def test_a_copy_made_by_hand_of_one_file_came_from_who_made_the_folder(recorder):
    whole, members = dataset("data/", IMAGES)
    maker = recorder.job("make", [], [whole], datasets=[members])
    assert hops(recorder, artifact(recorder, "a", "copied by hand")) == [maker.uid]


def test_a_job_that_made_a_folder_file_by_file_is_named_once_in_lineage_and_with_each_file_in_show(recorder):
    maker = recorder.job("make", [], [file("in/a", "same"), file("in/b", "same"), file("in/c", "c")])
    whole, members = dataset("in/", {"a": "same", "b": "same", "c": "c"})
    recorder.job("read", [whole], [file("out")], datasets=[members])
    first = load_lineage(recorder.database, artifact(recorder, "out")).hops[0]
    assert [source.makers for source in first.sources] == [(maker.uid,)]
    found = load_artifact(recorder.database, at(recorder, whole).row_id)
    assert sorted(use.path for use in found.produced_by) == ["in/a", "in/b", "in/c"]


def test_each_of_several_copies_is_told_with_who_wrote_it_there(recorder):
    first = recorder.job("first", [], [file("a.done", ""), file("x", "same")])
    second = recorder.job("second", [], [file("b.done", ""), file("y", "same")])
    recorder.job("look", [file("a.done", ""), file("b.done", ""), file("c.done", ""), file("x", "same"),
                          file("y", "same"), file("z", "same")], [file("seen")])
    *_, last = [hop for hop in load_lineage(recorder.database, artifact(recorder, "seen")).hops if hop.sources]
    assert {source.artifact.path: source.makers for source in last.sources} == {
        "a.done": (first.uid,), "b.done": (second.uid,), "c.done": (), "x": (first.uid,), "y": (second.uid,),
        "z": (first.uid, second.uid)}
