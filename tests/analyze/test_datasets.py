"""Folding folders into datasets."""

import os

import pytest
from blake3 import blake3

from roar.analyze.datasets import dataset_digest, fold_datasets, fold_unknown
from roar.model import FileUse, Kind


def files(folder, count, start=0):
    return [FileUse(path=f"{folder}/{n:05}.png", digest=blake3(f"{folder}{n}".encode()).hexdigest(), size=2)
            for n in range(start, start + count)]


def test_many_files_below_one_folder_become_one_node():
    uses = [*files("data/cat", 60), *files("data/dog", 50), *files("data/fox", 50), *files("data/owl", 50),
            *files("data/bee", 50), FileUse(path="cfg.json", digest="a" * 64, size=1)]
    folded, datasets = fold_datasets(uses, threshold=50)
    assert [(u.path, u.kind, u.files) for u in folded] == [("cfg.json", Kind.FILE, None), ("data/", Kind.DATASET, 260)]
    assert folded[1].size == 520
    assert len(datasets[0].members) == 260
    assert datasets[0].digest == folded[1].digest


def test_splits_are_datasets_of_their_own():
    folded, _ = fold_datasets([*files("d/train", 80), *files("d/val", 60)], threshold=50)
    assert [u.path for u in folded] == ["d/train/", "d/val/"]


def test_below_the_threshold_nothing_is_folded():
    uses = files("d", 49)
    assert fold_datasets(uses, threshold=50) == (uses, [])
    assert fold_datasets(files("d", 500), threshold=0)[1] == []


def test_of_the_workspace_itself_only_what_lies_directly_in_it_is_a_dataset():
    direct = [FileUse(path=f"f{n}", digest=f"{n:064x}", size=1) for n in range(60)]
    folded, datasets = fold_datasets([*files("d", 60), *direct, *files("few", 5)], threshold=50)
    assert [(u.path, u.files) for u in folded] == [
        ("*", 60), ("d/", 60), *((f"few/{n:05}.png", None) for n in range(5))]
    assert {member.path for member in datasets[1].members} == {f"f{n}" for n in range(60)}


def test_many_small_folders_of_the_workspace_are_a_dataset():
    small = [use for n in range(50) for use in files(f"class{n}", 3)]
    table = FileUse(path="labels.csv", digest="c" * 64, size=1)
    folded, [dataset] = fold_datasets([*small, table], threshold=50)
    assert [(u.path, u.files) for u in folded] == [("*", 150), ("labels.csv", None)]
    assert dataset.members[0].path == "class0/00000.png"
    assert len(fold_datasets(small[3:], threshold=50)[0]) == 147


def test_of_a_folder_that_is_never_one_dataset_too():
    folded, _ = fold_datasets([*files("/tmp", 60), *files("/tmp/d", 60)], threshold=50, whole=["/tmp"])
    assert [u.path for u in folded] == ["/tmp/*", "/tmp/d/"]


def test_a_file_without_a_digest_stays_visible():
    lost = FileUse(path="d/lost", digest=None, size=None, note="was deleted")
    folded, _ = fold_datasets([*files("d", 60), lost], threshold=50)
    assert lost in folded


def test_the_digest_is_what_b3sum_prints_digested():
    members = [("b", "2" * 64), ("a", "1" * 64)]
    text = f"{'1' * 64}  a\n{'2' * 64}  b\n"
    assert dataset_digest(members) == blake3(text.encode()).hexdigest()
    assert dataset_digest(members[::-1]) == dataset_digest(members)


def test_a_name_with_a_newline_is_one_line():
    """As GNU coreutils and b3sum print it: nobody can name a file so that it is two for the digest."""
    one, other = blake3(b"1").hexdigest(), blake3(b"2").hexdigest()
    odd = [(f"a\n{other}  b", one), ("c\\n", other)]
    assert dataset_digest(odd) != dataset_digest([("a", one), ("b", other), ("c\\n", other)])
    text = f"\\{one}  a\\n{other}  b\n\\{other}  c\\\\n\n"
    assert dataset_digest(odd) == blake3(text.encode()).hexdigest()


def test_names_that_are_not_utf_8_are_digested_as_they_are():
    odd, typed = os.fsdecode(b"\xff"), "\\xff"
    uses = [FileUse(path=f"d/{name}", digest=n * 64, size=1)
            for name, n in ((odd, "1"), (typed, "2"), ("\uffee", "3"))]
    _, [dataset] = fold_datasets(uses, threshold=3)
    assert [member.path for member in dataset.members] == [typed, "\uffee", odd], "by their bytes"
    lines = b"".join((b"\\%s  %s\n" % (b"2" * 64, rb"\\xff"), b"%s  %s\n" % (b"3" * 64, b"\xef\xbf\xae"),
                      b"%s  %s\n" % (b"1" * 64, b"\xff")))
    assert dataset.digest == blake3(lines).hexdigest()


@pytest.mark.parametrize("ending", [".safetensors", ".tar.gz", ""])  # those of TFRecord have none
def test_the_shards_of_a_model_are_one_dataset(ending):
    uses = [FileUse(path=f"out/model-{n:05}-of-00003{ending}", digest=f"{n:064x}", size=5) for n in (1, 2, 3)]
    other = FileUse(path="out/config.json", digest="c" * 64, size=1)
    folded, datasets = fold_datasets([*uses, other], threshold=100)
    assert [(u.path, u.files, u.size) for u in folded] == [
        ("out/config.json", None, 1), (f"out/model-*-of-00003{ending}", 3, 15)]
    assert [m.path for m in datasets[0].members] == [f"model-{n:05}-of-00003{ending}" for n in (1, 2, 3)]
    assert fold_datasets(uses, threshold=0)[1] == []


def unknown(folder, count, note="was changed"):
    return [FileUse(path=f"{folder}/{n:05}.dat" if folder else f"{n:05}.dat", digest=None, size=2, note=note)
            for n in range(count)]


def test_files_that_were_changed_before_their_content_was_known_are_one_node_of_their_folder():
    uses = [*unknown("d/one", 40), *unknown("d/two", 30, "was deleted"), *unknown("few", 5), *unknown("", 60)]
    known = FileUse(path="e/", digest="a" * 64, size=1, kind=Kind.DATASET, files=50)
    beside, others = unknown("e", 50), [FileUse(path="f/x", digest=None, size=1)]
    folded = fold_unknown([*uses, known, *beside, *others], {use.path for use in [*uses, *beside]}, threshold=50)
    assert [(use.path, use.digest, use.files, use.size) for use in folded if use.kind is Kind.DATASET] == [
        ("*", None, 60, 120), ("d/", None, 70, 140), ("e/", "a" * 64, 50, 1), ("e/*", None, 50, 100)]
    assert {use.path for use in folded if use.kind is Kind.FILE} == {"f/x", *(use.path for use in unknown("few", 5))}
    assert folded[1].note == "00000.dat and 39 more: was changed; 00000.dat and 29 more: was deleted"
    assert fold_unknown(uses, {use.path for use in uses}, threshold=0) == uses
    assert fold_unknown(uses, {"d/one/00000.dat"}, threshold=50) == uses
