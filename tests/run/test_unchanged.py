"""A dataset that is read as before is recognised as a whole; whatever changed since is looked at file by file."""

import os
import sqlite3

import pytest

COUNT = 240
READ = """
import os, sys
for place, _, names in os.walk('in', followlinks=True):
    for name in sorted(names):
        if os.path.exists(f'{place}/{name}'):
            open(f'{place}/{name}', 'rb').read()
"""


def execute(desk, statement):
    with sqlite3.connect(desk.root / ".roar" / "roar.db") as database:
        found = database.execute(statement).fetchall()
    database.close()
    return found


@pytest.fixture
def read(desk):
    """A workspace with 240 files in three folders; running the job gives its inputs."""
    for number in range(COUNT):
        desk.write(f"in/{number % 3}/{number}.bin", f"content {number}")
    desk.write("read.py", READ)
    desk.init()

    def run(*more):
        desk.roar("run", "python", "read.py", *more)
        return desk.job()

    return run


def test_it_is_taken_from_what_was_remembered(desk, read):
    first = read()
    (use,) = first["inputs"]
    assert (use["path"], use["kind"], use["files"]) == ("in/", "dataset", COUNT)
    assert read()["inputs"] == first["inputs"]
    other = "ab" * 32  # proves where the answer comes from: another dataset under the same stamp
    execute(desk, f"INSERT INTO artifact (digest, size, files) VALUES (x'{other}', 5, 240)")
    execute(desk, f"INSERT INTO dataset_member (dataset_id, artifact_id, path)"
                  f" SELECT id, id, 'x' FROM artifact WHERE digest = x'{other}'")
    execute(desk, f"UPDATE dataset_cache SET digest = x'{other}'")
    assert [use["digest"] for use in read()["inputs"]] == [other]


def test_the_second_job_adds_little_to_the_record(desk, read):
    read()
    members = execute(desk, "SELECT count(*) FROM dataset_member")
    uses = execute(desk, "SELECT count(*) FROM file_use")[0][0]
    read()
    assert execute(desk, "SELECT count(*) FROM dataset_member") == members
    assert execute(desk, "SELECT count(*) FROM file_use")[0][0] == uses + 1


def replaced(desk):
    path = desk.root / "in" / "1" / "1.bin"
    path.write_text(path.read_text()[::-1])


def replaced_keeping_its_time(desk):
    path = desk.root / "in" / "1" / "1.bin"
    before = path.stat()
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchanged(desk):
    one, other = desk.root / "in" / "1" / "1.bin", desk.root / "in" / "1" / "4.bin"
    one.rename(desk.root / "x")
    other.rename(one)
    (desk.root / "x").rename(other)


def folder_behind_a_link(desk):
    (desk.root / "in" / "2").rename(desk.root / "elsewhere")
    (desk.root / "in" / "2").symlink_to("../elsewhere")


def file_behind_a_link(desk):
    path = desk.root / "in" / "1" / "1.bin"
    path.rename(desk.root / "1.bin")
    path.symlink_to("../../1.bin")


def added_link_into_the_folder(desk):
    (desk.root / "in" / "0" / "link").symlink_to("../1/1.bin")


def source_among_them(desk):
    desk.write("in/1/make.py", "print()")


def setting(text):
    def change(desk):
        desk.write(".roar/config.toml", text)
    change.__name__ = f"setting {text!r}"
    return change


def run_of_a_tracker(desk):
    desk.write("in/1/events.out.tfevents.1795390710.host.1.0", "")


def others(desk):
    for number in range(150):
        desk.write(f"in/new/{number}", "new")


@pytest.mark.parametrize("change", [
    replaced, replaced_keeping_its_time, exchanged, folder_behind_a_link, file_behind_a_link,
    added_link_into_the_folder, source_among_them, run_of_a_tracker, others,
    lambda desk: (desk.root / "in/1/1.bin").unlink(),
    lambda desk: desk.write("in/1/new.bin", "new"),
    lambda desk: desk.write("in/top.bin", "new"),
    lambda desk: (desk.root / "in/1/1.bin").touch(),
    lambda desk: (desk.root / "in/1").rename(desk.root / "in/9"),
    lambda desk: (desk.root / "in/1/1.bin").chmod(0o600),
    setting("[filters]\nremove = ['in/1']\n"), setting("[filters]\nremove = ['*1.bin']\n"),
    setting("[datasets]\nthreshold = 1000\n"), setting("[datasets]\nthreshold = 0\n"),
    setting("[datasets]\nthreshold = 60\n"), lambda _: None,
])
def test_after_any_change_it_says_what_a_first_look_says(change, desk, read):
    read()
    read()
    change(desk)
    then = read()
    execute(desk, "DELETE FROM dataset_cache")
    execute(desk, "DELETE FROM digest_cache")
    anew = read()
    assert then["inputs"] == anew["inputs"]
    assert then["trackers"] == anew["trackers"]


def test_a_job_that_changes_one_of_the_files_itself(desk, read):
    desk.write("change.py", READ + "open('in/1/1.bin', 'a').write('!')\n")
    before = read()["inputs"][0]["digest"]
    desk.roar("run", "python", "change.py")
    job = desk.job()
    assert [use["digest"] for use in job["inputs"]] == [before]
    assert [use["path"] for use in job["outputs"]] == ["in/1/1.bin"]
    assert read()["inputs"][0]["digest"] != before


def test_a_dataset_that_an_earlier_job_wrote_is_its_output(desk):
    desk.write("make.py", f"import os; os.mkdir('in')\nfor n in range({COUNT}): open(f'in/{{n}}', 'w').write(str(n))")
    desk.write("read.py", READ)
    desk.init()
    desk.roar("run", "python", "make.py")
    made = desk.job()["outputs"]
    for _ in range(2):
        desk.roar("run", "python", "read.py")
        assert [use["digest"] for use in desk.job()["inputs"]] == [made[0]["digest"]]
    lineage = desk.json("lineage", "@2")
    assert [job["step"] for job in lineage["jobs"]] == [2, 1]


def test_status_and_lineage_by_folder_see_a_change(desk, read):
    digest = read()["inputs"][0]["digest"]
    for _ in range(2):
        assert desk.json("lineage", "in/")["root"] == digest
    replaced_keeping_its_time(desk)
    assert desk.roar("lineage", "in/").stderr == "roar: 1/1.bin in in/ is no longer as recorded.\n"


def test_popping_the_job_forgets_the_dataset(desk, read):
    first = read()["inputs"]
    desk.roar("pop")
    assert execute(desk, "SELECT count(*) FROM dataset_member") == [(0,)]
    assert read()["inputs"] == first
    assert execute(desk, "SELECT count(*) FROM dataset_member") == [(COUNT,)]
