"""A folder that is no dataset itself: the answer is that of what is recorded in it."""

import random

import pytest
from recording import dataset, digest, file

from roar.query import folders
from roar.query.folders import load_folder, load_parts
from roar.query.lineage import Direction, load_lineage
from roar.query.references import ArtifactReference, FolderReference, resolve_or_folder
from roar.query.roots import find_roots, jobs_behind

NAMES = ("d/a", "d/b", "d/s/a", "d/s/b", "d/s/t/a", "e/a")
FOLDERS = ("d/", "d/s/", "e/")


def near(recorder, root, direction):
    return {hop.job.uid for hop in load_lineage(recorder.database, root, direction=direction, depth=1).hops}


def answer_of_files(recorder, parts, direction):
    found = set()
    for path, row_id in parts.places:
        root = ArtifactReference(row_id, parts.artifacts[row_id].digest, path)
        found |= near(recorder, root, direction)
    return found


def record_at_random(recorder, dice):
    """No job writes alone what another writes within a dataset: so it is plain who wrote something last."""
    for number in range(dice.randint(1, 9)):
        uses, datasets = ([], []), []
        for path in dice.sample([*NAMES, *FOLDERS], dice.randint(1, 4)):
            is_output = dice.random() < 0.5
            versions = ("wxyz" if path.endswith("/") else "uv") if is_output else "uvwxyz"
            inside = {name.removeprefix(path): dice.choice(versions) + name for name in NAMES
                      if name.startswith(path) and dice.random() < 0.8}
            if not path.endswith("/"):
                uses[is_output].append(file(path, dice.choice(versions) + path))
            elif inside:
                whole, members = dataset(path, inside)
                uses[is_output].append(whole)
                datasets.append(members)
        recorder.job(f"job {number}", *uses, datasets=datasets)


def make_files(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


@pytest.mark.parametrize(("seed", "there"), [
    *((seed, there) for seed in range(100) for there in (False, True)), (924, True), (1141, False), (1273, True)])
def test_the_answer_for_a_folder_is_that_of_all_that_is_recorded_in_it(recorder, tmp_path, seed, there):
    record_at_random(recorder, random.Random(seed))
    make_files(tmp_path, NAMES if there else ())
    for path in ("./", "d/", "d/s/", "d/s/t/"):
        folder = FolderReference(path, str(tmp_path / path) if there else None)
        parts = load_parts(recorder.database, path, folder.place)
        for direction in (Direction.UP, Direction.DOWN):
            found = near(recorder, folder, direction)
            assert found == answer_of_files(recorder, parts, direction), path
        graph = load_lineage(recorder.database, folder, direction=Direction.BOTH).graph
        known = {artifact.digest for artifact in graph.artifacts} | {job.uid for job in graph.jobs}
        assert all(edge.source in known and edge.target in known for edge in graph.edges)


@pytest.fixture
def images(recorder):
    """A dataset of two folders, each read by another job; and a raw file beside it."""
    whole, members = dataset("data/images/", {"cats/1": "c1", "cats/2": "c2", "dogs/1": "d1"})
    jobs = {"make": recorder.job("make", [], [whole], datasets=[members]),
            "cats": recorder.job("cats", [file("data/images/cats/1", "c1")], [file("n")]),
            "dogs": recorder.job("dogs", [file("data/images/dogs/1", "d1"), file("data/raw")], [file("data/m")])}
    return {name: job.uid for name, job in jobs.items()}


@pytest.mark.parametrize(("path", "up", "down"), [
    ("data/images/cats/", {"make"}, {"cats"}),
    ("data/images/dogs/", {"make"}, {"dogs"}),
    ("data/", {"make", "dogs"}, {"cats", "dogs"}),
    ("./", {"make", "cats", "dogs"}, {"cats", "dogs"}),
])
def test_a_folder_of_a_dataset_and_a_folder_above_one(recorder, images, path, up, down):
    for direction, names in ((Direction.UP, up), (Direction.DOWN, down)):
        assert near(recorder, FolderReference(path), direction) == {images[name] for name in names}


def test_a_folder_is_told_as_a_dataset_is(recorder, images):
    found = load_folder(recorder.database, FolderReference("data/"))
    assert [(member.path, member.kind, member.files) for member in found.members] == [
        ("images/", "dataset", 3), ("m", "file", None), ("raw", "file", None)]
    assert [(use.job, use.path) for use in found.produced_by] == [
        (images["dogs"], "data/m"), (images["make"], "data/images/")]
    assert (found.kind, found.digest, found.truncated) == ("folder", None, False)


def test_what_lies_behind_a_folder(recorder, images):
    roots = find_roots(recorder.database, jobs_behind(recorder.database, FolderReference("data/")))
    assert [root.path for root in roots] == ["data/raw"]


def test_a_copy_read_elsewhere_is_named_where_it_was_read(recorder):
    recorder.job("make", [], [file("here/a", "a"), file("there/a", "a")])
    reader = recorder.job("read", [file("there/a", "a")])
    found = load_folder(recorder.database, FolderReference("here/"))
    assert [use.path for use in found.produced_by] == ["here/a"]
    assert [(use.job, use.path, use.used_as) for use in found.used_by] == [(reader.uid, "there/a", digest("a"))]


def test_an_empty_file_was_read_where_it_lies(recorder):
    recorder.job("make", [], [file("here/e", "", size=0), file("here/a"), file("there/e", "", size=0)])
    recorder.job("read there", [file("there/e", "", size=0)])
    here = recorder.job("read here", [file("here/e", "", size=0)])
    assert near(recorder, FolderReference("here/"), Direction.DOWN) == {here.uid}


def test_a_folder_with_very_many_paths_says_so(recorder, monkeypatch):
    monkeypatch.setattr(folders, "MOST", 3)
    recorder.job("make", [], [file(f"many/{number}") for number in range(5)])
    assert load_folder(recorder.database, FolderReference("many/")).truncated
    assert load_lineage(recorder.database, FolderReference("many/")).folder_cut


def test_the_number_of_questions_does_not_depend_on_the_number_of_files(recorder):
    asked = []
    for count in (3, 300):
        recorder.job(f"make {count}", [], [file(f"f{count}/{number}") for number in range(count)])
        recorder.job(f"read {count}", [file(f"f{count}/{number}") for number in range(count)])
        questions = []
        recorder.database.set_trace_callback(questions.append)
        load_folder(recorder.database, FolderReference(f"f{count}/"))
        recorder.database.set_trace_callback(None)
        asked.append(len(questions))
    assert asked[0] == asked[1]


def test_a_folder_is_found_from_where_one_stands_and_without_its_files(recorder, images, monkeypatch, tmp_path):
    monkeypatch.chdir(recorder.workspace.root)
    for ref, path in ((".", "./"), (recorder.workspace.root, "./"), ("data", "data/"),
                      ("data/images/cats", "data/images/cats/")):
        assert resolve_or_folder(recorder.database, recorder.workspace, ref) == FolderReference(path)


def two_halves(recorder):
    """Two jobs that each wrote files of one folder, and a third that wrote over one of the first's."""
    first, members = dataset("d/", {"a": "a", "b": "b"})
    second, more = dataset("d/", {"c": "c", "d": "d"})
    return [recorder.job("first", [file("source")], [first], datasets=[members]).uid,
            recorder.job("second", [], [second], datasets=[more]).uid,
            recorder.job("third", [], [file("d/b", "B")]).uid]


def test_a_folder_that_several_jobs_filled_is_made_by_all_of_them(recorder, tmp_path):
    jobs = two_halves(recorder)
    make_files(tmp_path, ["d/a", "d/b", "d/c"])
    folder = FolderReference("d/", str(tmp_path / "d"))
    assert near(recorder, folder, Direction.UP) == set(jobs)
    assert [root.path for root in find_roots(recorder.database, jobs_behind(recorder.database, folder))] == ["source"]
    found = load_folder(recorder.database, folder)
    assert (found.files, found.size, found.gone) == (4, 40, ("d",))
    assert sorted(member.path for member in found.members) == ["./", "./", "b"]


def test_what_was_cleared_away_before_a_folder_was_filled_again_is_not_told(recorder, tmp_path):
    _, *left = two_halves(recorder)
    make_files(tmp_path, ["d/b", "d/c"])
    assert near(recorder, FolderReference("d/", str(tmp_path / "d")), Direction.UP) == set(left)


def test_a_dataset_within_another_is_counted_once(recorder):
    whole, members = dataset("d/", {"s/a": "a", "s/b": "b", "c": "c"})
    part, more = dataset("d/s/", {"a": "a", "b": "b"})
    recorder.job("make", [], [whole], datasets=[members])
    reader = recorder.job("read", [part], [file("o")], datasets=[more])
    found = load_folder(recorder.database, FolderReference("./"))
    assert (found.files, [member.path for member in found.members]) == (4, ["d/", "o"])
    assert [use.job for use in found.used_by] == [reader.uid]
