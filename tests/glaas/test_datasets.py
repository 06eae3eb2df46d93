"""Looking into a dataset: folder by folder, by text, whatever its size and its names."""

import dataclasses
import os
import random
import re

import pytest
from registrations import dataset_of, digest, digits, job

from roar import model
from roar.wire import Dataset, DatasetMember

NASTY = ["a", "a.txt", "a/b", "a/c/d", "a0", "a b/é", "A/x", "a/b.txt", "a/\U0001f600/y", "a/ z", "%/_", "_",
         "z" * 300]


def members_of(paths):
    return tuple(DatasetMember(path=path, digest=digest(path), size=len(path)) for path in paths)


@pytest.fixture
def dataset(post):
    """Registers a dataset of these paths; its digest."""
    def register(paths):
        folder = dataset_of(members_of(paths))
        whole = model.FileUse(path="data", digest=folder.digest, size=9, kind=model.Kind.DATASET, files=len(paths))
        answer = post(dataclasses.replace(digits(), jobs=(job(1, inputs=(whole,)),), datasets=(folder,), payloads=()))
        assert answer.status_code == 201, answer.text
        return folder.digest
    return register


def entries(client, digest, folder, limit=1000):
    """Everything directly in a folder, page by page."""
    found, cursor = [], None
    while True:
        page = client.get(f"/api/v1/artifacts/{digest}/members", params={
            "folder": folder, "limit": limit} | ({"cursor": cursor} if cursor else {})).json()
        found += [(one["path"], one["files"]) for one in page["folders"]]
        found += [(one["path"], None) for one in page["members"]]
        cursor = page["next"]
        if cursor is None:
            return sorted(found)


def expected(paths, folder):
    counts = {}
    for path in paths:
        if path.startswith(folder):
            name, slash, _ = path[len(folder):].partition("/")
            counts[folder + name + slash] = counts.get(folder + name + slash, 0) + 1
    return sorted((path, count if path.endswith("/") else None) for path, count in counts.items())


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_every_folder_holds_what_it_should(client, dataset, limit):
    key = dataset(NASTY)
    for folder in ("", "a/", "a/c/", "a b/", "A/", "a/\U0001f600/", "%/", "nothing/", "a"):
        assert entries(client, key, folder, limit) == expected(NASTY, folder), folder


def test_names_that_are_not_utf_8(client, post):
    """Each is sent as it is shown, with its bytes; the digest is that of the bytes."""
    names = [os.fsdecode(name) for name in (b"\xff", rb"\xff", b"a/\xe9", b"a/z", "\uffee".encode())]
    folder = dataset_of(members_of(names))
    whole = model.FileUse(path="d/", digest=folder.digest, size=9, kind=model.Kind.DATASET, files=len(names))
    sent = dataclasses.replace(digits(), jobs=(job(1, inputs=(whole,)),), datasets=(folder,), payloads=())
    assert post(sent).status_code == 201
    shown = [r"\xff", r"\xff", r"a/\xe9", "a/z", "\uffee"]
    assert entries(client, folder.digest, "") == [*[(r"\xff", None)] * 2, ("a/", 2), ("\uffee", None)]
    assert entries(client, folder.digest, "a/") == [(r"a/\xe9", None), ("a/z", None)]
    found = client.get(f"/api/v1/artifacts/{folder.digest}/members").json()["members"]
    assert [member["path"] for member in found] == sorted(shown)
    assert client.get(f"/artifacts/{folder.digest}").text.count(r">\xff<") == 2


@pytest.mark.parametrize(("path", "raw_path"), [
    (r"\xff", "fe"), (r"\xff", "FF"), (r"\xff", "f"), (r"\xff", ""), ("a", "61"), (r"\xff", "5c786666")])
def test_bytes_that_the_path_does_not_show_are_refused(post, path, raw_path):
    folder = dataset_of((DatasetMember(path=path, digest=digest("x"), size=1, raw_path=raw_path),))
    answer = post(dataclasses.replace(digits(), datasets=(folder,)))
    assert answer.status_code == 422
    assert "/datasets/0/members/0/raw_path" in [flaw["pointer"] for flaw in answer.json()["errors"]]


def older_digest(members):
    """As a roar wrote it for which each path was as it is, a newline and a backslash too."""
    return digest("".join(f"{one.digest}  {one.path}\n" for one in sorted(members, key=lambda one: one.path)))


@pytest.mark.parametrize("digest_of", [lambda members: dataset_of(members).digest, older_digest])
def test_names_with_a_newline_or_a_backslash(client, post, digest_of):
    names = ["a\nb", "a\\nb", "c", "two\nlines  of\n", f"\n{'0' * 64} x"]
    key = digest_of(members_of(names))
    whole = model.FileUse(path="d/", digest=key, size=9, kind=model.Kind.DATASET, files=len(names))
    folder = Dataset(digest=key, members=members_of(names))
    assert post(dataclasses.replace(digits(), jobs=(job(1, inputs=(whole,)),), datasets=(folder,), payloads=())
                ).status_code == 201
    assert entries(client, key, "") == sorted((name, None) for name in names)


def test_no_name_makes_the_digest_of_another_dataset(post):
    two = dataset_of(members_of(["a", "b"]))
    first, second = two.members
    as_one = DatasetMember(path=f"a\n{second.digest}  b", digest=first.digest, size=1)
    assert older_digest((as_one,)) == two.digest
    answer = post(dataclasses.replace(digits(), datasets=(Dataset(digest=two.digest, members=(as_one,)),)))
    assert answer.status_code == 422
    assert ("/datasets/0/digest", "the digest is not that of the members") in [
        (flaw["pointer"], flaw["detail"]) for flaw in answer.json()["errors"]]


def test_a_large_tree(client, dataset):
    dice = random.Random(4)
    paths = sorted({"/".join(f"{dice.choice('abc')}{dice.randrange(4)}" for _ in range(dice.randrange(1, 7)))
                    + f"/{n}.npy" for n in range(6000)})
    key = dataset(paths)
    for folder in ("", "a1/", "b2/c3/", dice.choice(paths).rpartition("/")[0] + "/"):
        assert entries(client, key, folder, 7) == expected(paths, folder)


def test_a_person_walks_through_the_folders(client, dataset):
    key = dataset([f"train/{label}/{n:05}.png" for label in ("cat", "dog") for n in range(250)] + ["README.md"])
    page = client.get(f"/artifacts/{key}").text
    assert re.findall(r'<a class="wrap" href="([^"]+)">([^<]+)</a>', page) == [
        (f"/artifacts/{key}?folder=train/#members", "train/")]
    assert "500 files" in page
    assert ">README.md<" in page
    page = client.get(f"/artifacts/{key}?folder=train/cat/").text
    assert page.count(".png</span>") == 200
    assert f'href="/artifacts/{key}?folder=train/#members">train</a>' in page
    onward = re.search(r'rel="next" href="([^"#]+)', page)[1].replace("&amp;", "&")
    assert client.get(onward).text.count(".png</span>") == 50


def test_searching_within(client, dataset):
    key = dataset([f"train/{label}/{n:05}.PNG" for label in ("cat", "dog") for n in range(30)] + ["100%_sure.txt"])
    for text, folder, count in (("0001", "", 22), ("0001", "train/dog/", 11), ("dog/00002.png", "", 1), ("%", "", 1),
                                ("_", "", 1), ("cow", "", 0), ("CAT", "", 30)):
        found = client.get(f"/api/v1/artifacts/{key}/members", params={"within": text, "folder": folder}).json()
        assert len(found["members"]) == count, (text, folder)
        page = client.get(f"/artifacts/{key}", params={"within": text, "folder": folder}).text
        assert page.count('<td class="path">') == count
    assert "No files with “cow” in their path are known." in client.get(f"/artifacts/{key}?within=cow").text


def test_a_dataset_of_nothing_that_is_known(client, post):
    whole = model.FileUse(path="data", digest=digest("data"), size=9, kind=model.Kind.DATASET, files=3)
    post(dataclasses.replace(digits(), jobs=(job(1, inputs=(whole,)),), datasets=(), payloads=()))
    assert "No files are known." in client.get(f"/artifacts/{digest('data')}").text
    assert entries(client, digest("data"), "") == []


@pytest.mark.parametrize(("folder", "names"), [
    ("data/digits/", ["train/cat/1.png", "train/dog/1.png", "README.md"]), ("data/digits", ["a b/é.png", "a/b", "z"]),
    ("out/w-*-of-00002", ["w-00001-of-00002", "w-00002-of-00002"]), ("/data/", ["x/y", "z"]),
    ("*", ["1.png", "cat/2.png"]), ("/tmp/*", ["1.png", "cat/2.png"])])
def test_a_file_of_a_dataset_is_found_by_its_path(client, post, folder, names):
    members = dataset_of(members_of(names))
    whole = model.FileUse(path=folder, digest=members.digest, size=9, kind=model.Kind.DATASET, files=len(names))
    post(dataclasses.replace(digits(), jobs=(job(1, inputs=(whole,)),), datasets=(members,), payloads=()))
    start = model.members_folder(folder)
    for name in names:
        hits = client.get("/api/v1/search", params={"q": start + name}).json()["artifacts"]
        assert [(hit["digest"], hit["path"]) for hit in hits] == [(digest(name), start + name)]
    for nothing in (start + "nothing.png", start + names[0] + "/more", start + names[0][:-1]):
        assert client.get("/api/v1/search", params={"q": nothing}).json()["artifacts"] == []


def test_a_file_of_an_older_version_of_a_dataset_is_found_behind_many_uses_of_the_newer(client, post):
    versions = [dataset_of(members_of(names)) for names in (["cat/1.png", "dog/1.png"], ["dog/1.png"])]
    old, new = (model.FileUse(path="data/", digest=one.digest, size=9, kind=model.Kind.DATASET,
                              files=len(one.members)) for one in versions)
    jobs = (job(1, inputs=(old,)), *(job(number, inputs=(new,)) for number in range(2, 20)))
    post(dataclasses.replace(digits(), jobs=jobs, datasets=tuple(versions), payloads=()))
    for name in ("cat/1.png", "dog/1.png"):
        hits = client.get("/api/v1/search", params={"q": f"data/{name}"}).json()["artifacts"]
        assert [hit["digest"] for hit in hits] == [digest(name)]
