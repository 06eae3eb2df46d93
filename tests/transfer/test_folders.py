"""file:// locations: the same without any server or library."""

import json
import os

import pytest


def test_there_and_back(desk):
    store = desk.tmp / "sto re"
    for number in range(150):
        desk.write(f"d/sub/{number}\nü", str(number))
    desk.write("one", "1")
    desk.roar("put", "d", "one", f"file://{desk.tmp}/sto%20re/")
    put = desk.job()
    assert {use["path"]: use.get("files") for use in put["outputs"]} == {
        f"file://{desk.tmp}/sto%20re/d/sub/": 150, f"file://{desk.tmp}/sto%20re/one": None}
    assert {use["digest"] for use in put["inputs"]} == {use["digest"] for use in put["outputs"]}
    assert (store / "d/sub/149\nü").read_text() == "149"
    assert "151 files there already" in desk.roar("put", "d", "one", f"file://{desk.tmp}/sto%20re/").stderr
    desk.roar("get", f"file://{desk.tmp}/sto%20re/d", "back")
    assert (desk.root / "back/sub/149\nü").read_text() == "149"
    got = desk.job()
    assert got["outputs"][0]["digest"] == got["inputs"][0]["digest"]
    assert desk.json("lineage", "back/sub")["jobs"][1]["uid"] == desk.job("@1")["uid"]


def test_other_content_stays(desk):
    desk.write("a", "mine")
    (desk.tmp / "a").write_text("theirs")
    for words in (("put", "a", f"file://{desk.tmp}/a"), ("get", f"file://{desk.tmp}/a", "a")):
        assert "is there already with other content" in desk.roar(*words, status=1).stderr
    assert ((desk.root / "a").read_text(), (desk.tmp / "a").read_text()) == ("mine", "theirs")
    desk.roar("get", f"file://{desk.tmp}/a", "--force")
    assert (desk.root / "a").read_text() == "theirs"


def test_a_file_into_a_folder_that_is_there(desk):
    desk.write("a", "a")
    desk.roar("put", "a", f"file://{desk.tmp}")
    assert (desk.tmp / "a").read_text() == "a"


@pytest.mark.parametrize(("words", "sentence"), [
    (["get", "file:///nowhere/x"], "There is nothing at file:///nowhere/x."),
    (["put", "a", "file://host/x"], "is no absolute path on this machine"),
    (["put", "a", "file://relative"], "is no absolute path on this machine"),
    (["put", "a", "file:///dev/null/x"], "file:///dev/null/x: a part of its path is a file"),
])
def test_what_is_wrong_is_said(desk, words, sentence):
    desk.write("a", "a")
    done = desk.roar(*words, status=None)
    assert sentence in done.stderr
    assert done.returncode in {1, 2}


def test_a_folder_that_leads_back_to_itself(desk):
    desk.write("d/a", "a")
    os.symlink("..", desk.root / "d/up")
    os.symlink("a", desk.root / "d/link")
    desk.roar("put", "d", f"file://{desk.tmp}/d")
    files = json.loads(desk.roar("put", "d", f"file://{desk.tmp}/d", "--json").stdout)["files"]
    assert {"d/a", "d/link"} <= {file["path"] for file in files}


def test_a_symlink_to_nothing_is_told(desk):
    desk.write("d/a", "a")
    os.symlink("gone", desk.root / "d/link")
    said = desk.roar("put", "d", f"file://{desk.tmp}/d", status=1).stderr
    assert "d/link" in said
    assert not (desk.tmp / "d").exists()


def test_names_as_long_as_the_file_system_allows(desk):
    name = "n" * 255
    desk.write(name, "x")
    desk.roar("put", name, f"file://{desk.tmp}/")
    desk.roar("get", f"file://{desk.tmp}/{name}", "back/")
    assert (desk.root / "back" / name).read_text() == "x"
