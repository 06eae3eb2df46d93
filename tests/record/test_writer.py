"""Writing jobs: what goes in comes out, once, lean, and with the right edges."""

import contextlib
import dataclasses
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from recording import GIT, HOST, PYTHON, START, Recorder, dataset, digest, file, unknown

from roar.analyze.trackers.contract import RunUpdate
from roar.errors import WorkspaceError
from roar.model import JobState, TrackerRun, TrackerRunState, TrackerSummary
from roar.query.jobs import load_blob, load_job, load_left_out, load_payloads, load_symlinks
from roar.query.sessions import load_session
from roar.query.within import find_around
from roar.record.database import SCHEMA_VERSION, open_database
from roar.record.dependencies import makers_at
from roar.record.writer import pop_job, replace_tracker_run, set_label, start_session, write_job


def test_a_job_comes_back_as_it_was_written(recorder):
    run = TrackerRun(tracker="wandb", label="W&B", run_id="abc", project="p", entity="e", name="n", group="g",
                     server="https://wandb.ai", url="https://wandb.ai/e/p/runs/abc", state=TrackerRunState.ONLINE,
                     evidence="console")
    whole, members = dataset("images/", {"a.png": "a", "b.png": "b"})
    written = recorder.job(["python", "train.py", "it's", "ü\udcff\n"], [file("raw.csv"), unknown("lost"), whole],
                           [file("model.pt", note="a note")], name="näme", git=GIT, host=HOST, python=PYTHON,
                           tracker_runs=[run], labels={"owner": "alice"}, gaps=("io_uring",), datasets=[members])
    written = dataclasses.replace(written, trackers={})
    assert load_job(recorder.database, 1) == written
    assert written.step == 1


@pytest.mark.parametrize("path", ["plain", "with\nnewline", "ünïcode/日本", "odd\udcff\udc80bytes", "x" * 4000])
def test_paths_of_any_bytes_come_back(recorder, path):
    job = recorder.job("true", [file(path)], symlinks={path: "to\udcfe"})
    assert load_job(recorder.database, 1).inputs[0].path == path
    assert load_symlinks(recorder.database, job.uid) == {path: "to\udcfe"}
    raw = recorder.database.execute("SELECT CAST(path AS BLOB) FROM path").fetchone()[0]
    assert raw == path.encode("utf-8", "surrogateescape")


def test_a_step_is_its_command_in_its_folder(recorder):
    steps = [recorder.job("python a.py").step, recorder.job("python b.py").step, recorder.job("python a.py").step,
             recorder.job("python a.py", cwd="sub").step, recorder.job("python b.py").step]
    assert steps == [1, 2, 1, 3, 2]
    start_session(recorder.database)
    assert recorder.job("python b.py").step == 1


def test_writing_the_same_job_twice_changes_nothing(recorder):
    first = recorder.job("true", [file("a")], uid="ab" * 16)
    again = recorder.job("false", [file("b")], uid="ab" * 16)
    assert again.step == first.step
    assert recorder.one("SELECT count(*) FROM job") == 1
    assert load_job(recorder.database, 1).inputs == (file("a"),)


def test_a_running_job_is_replaced_by_its_end(recorder):
    recorder.job("sleep 9", uid="cd" * 16, state=JobState.RUNNING, exit_code=None)
    recorder.job("sleep 9", [file("a")], uid="cd" * 16)
    assert recorder.one("SELECT state FROM job") == "done"
    assert recorder.one("SELECT count(*) FROM step") == 1


def test_what_belongs_to_a_job_is_stored_beside_it(recorder):
    job = dataclasses.replace(recorder.job("true"), uid="ee" * 16,
                              trackers={"wandb": TrackerSummary(filtered_files=7)})
    write_job(recorder.database, job, payloads=[file("mlruns/model.pkl")], blobs={digest("p"): b"patch" * 100},
              left_out={"system": 19, "libraries": 3})
    assert load_left_out(recorder.database, job.uid) == {"system": 19, "libraries": 3}
    assert load_blob(recorder.database, digest("p")) == b"patch" * 100
    loaded = load_job(recorder.database, 2)
    assert loaded.trackers == {"wandb": TrackerSummary(filtered_files=7)}
    assert loaded.outputs == ()
    assert [payload.path for payload in load_payloads(recorder.database, [2])] == ["mlruns/model.pkl"]


def test_a_secret_in_a_name_or_label_is_not_stored(recorder):
    address = "https://user:hunter2@example.org/"
    job = recorder.job("true", name=address, labels={"at": address})
    assert "hunter2" not in repr(job)
    recorder.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(recorder.workspace.database, "rb") as stored:
        assert b"hunter2" not in stored.read()


def test_environments_are_stored_once(recorder):
    for number in range(20):
        recorder.job(f"python {number}.py", git=GIT, host=HOST, python=PYTHON)
    assert [recorder.one(f"SELECT count(*) FROM {table}") for table in ("git", "host", "python")] == [1, 1, 1]


def test_members_are_stored_once_however_many_jobs_use_the_dataset(recorder):
    whole, members = dataset("images/", {f"{n:05}.png": f"image {n}" for n in range(2000)})
    recorder.job("python a.py", [whole], datasets=[members])
    before = recorder.one("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
    for _ in range(3):
        recorder.job("python b.py", [whole], datasets=[members])
    after = recorder.one("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
    assert recorder.one("SELECT count(*) FROM dataset_member") == 2000
    assert after - before <= 20_000


def test_recording_stays_linear_in_the_number_of_files(recorder):
    """Each of these took time in proportion to files times files where one index was missed: minutes."""
    contents = {f"{n:05}.png": f"image {n}" for n in range(20_000)}
    whole, members = dataset("images/", contents)
    changed, changed_members = dataset("images/", contents | {"one": "more"})
    began = time.monotonic()
    recorder.job("unfolded", [file(f"images/{name}", content) for name, content in contents.items()])
    recorder.job("folded", [whole], datasets=[members])
    recorder.job("changed", [], [changed], datasets=[changed_members])
    last = recorder.job("unfolded again", [file(f"images/{name}", content) for name, content in contents.items()])
    pop_job(recorder.database, last.uid)
    assert time.monotonic() - began < 20


# ---------------------------------------------------------------------------------------------- dependencies


def test_an_input_depends_on_the_last_job_that_wrote_it_at_that_path(recorder):
    first = recorder.job("make data", [], [file("data", "same")])
    recorder.job("make copy", [], [file("copy", "same")])
    reader = recorder.job("read", [file("data", "same")])
    elsewhere = recorder.job("read elsewhere", [file("moved", "same")])
    uids = dict(recorder.edges())
    assert uids[reader.uid] == first.uid
    assert uids[elsewhere.uid] != first.uid  # no such path: the last that wrote the content


def test_another_version_at_the_same_path_is_no_dependency(recorder):
    recorder.job("make", [], [file("data", "old")])
    recorder.job("read", [file("data", "new")])
    assert recorder.edges() == set()


def test_empty_files_connect_only_at_the_same_path(recorder):
    made = recorder.job("make", [], [file("pkg/__init__.py", "empty", size=0)])
    recorder.job("other", [file("other/__init__.py", "empty", size=0)])
    reader = recorder.job("reader", [file("pkg/__init__.py", "empty", size=0)])
    assert recorder.edges() == {(reader.uid, made.uid)}


def test_a_root_is_not_made_by_who_copied_it(recorder):
    first = recorder.job("copy", [file("raw", "same")], [file("copy", "same")])
    second = recorder.job("copy again", [file("copy", "same")], [file("copy 2", "same")])
    recorder.job("copy", [file("raw", "same")], [file("copy", "same")])
    assert recorder.edges() == {(second.uid, first.uid)}


def test_a_job_that_started_after_the_reader_ended_made_nothing_for_it(recorder):
    late = recorder.job("late", [], [file("data")], minute=50)
    recorder.job("early", [file("data")], minute=10)  # recorded later: it was recovered
    assert recorder.edges() == set()
    reader = recorder.job("reader", [file("data")], minute=60)
    assert recorder.edges() == {(reader.uid, late.uid)}


def test_a_producer_recorded_after_its_reader_still_counts(recorder):
    reader = recorder.job("evaluate", [file("checkpoint")], minute=10)
    trainer = recorder.job("train", [], [file("checkpoint")], minute=5, duration_s=600)
    assert recorder.edges() == {(reader.uid, trainer.uid)}


def test_payload_links_who_reads_that_content_later(recorder):
    train = recorder.job("train", [], [], payloads=[file("mlruns/0/model.pkl", "model")])
    serve = recorder.job("serve", [file("served/model.pkl", "model")])
    assert recorder.edges() == {(serve.uid, train.uid)}


def test_a_file_out_of_a_dataset_depends_on_who_wrote_the_dataset(recorder):
    whole, members = dataset("images/", {"a.png": "a", "b.png": "b"})
    maker = recorder.job("make", [], [whole], datasets=[members])
    reader = recorder.job("read", [file("images/a.png", "a")])
    assert recorder.edges() == {(reader.uid, maker.uid)}


def test_a_dataset_depends_on_every_job_that_wrote_one_of_its_files(recorder):
    parts = [recorder.job(f"make {name}", [], [file(f"parts/{name}", name)]) for name in "abc"]
    whole, members = dataset("parts/", {"a": "a", "b": "b", "c": "c", "d": "downloaded"})
    reader = recorder.job("merge", [whole], datasets=[members])
    assert recorder.edges() == {(reader.uid, part.uid) for part in parts}


def test_a_dataset_depends_on_the_last_version_that_holds_its_files(recorder):
    first, members_1 = dataset("d/", {"a": "a", "b": "b"})
    second, members_2 = dataset("d/", {"a": "a", "b": "b", "c": "c"})
    third, members_3 = dataset("d/", {"a": "a", "b": "b", "c": "c", "x": "own"})
    recorder.job("make 1", [], [first], datasets=[members_1])
    latest = recorder.job("make 2", [], [second], datasets=[members_2])
    reader = recorder.job("read", [third], datasets=[members_3])
    assert recorder.edges() == {(reader.uid, latest.uid)}


def test_a_member_depends_on_who_wrote_it_there_not_on_who_wrote_the_same_elsewhere(recorder):
    recorder.job("unrelated", [], [file("unrelated.txt", "a")])
    whole, members = dataset("images/", {"deep/a.png": "a", "b.png": "b"})
    maker = recorder.job("make", [], [whole], datasets=[members])
    recorder.job("unrelated again", [], [file("other.txt", "a")])
    copy, members = dataset("copy/", {"a.png": "a", "c.png": "c"})
    recorder.job("copy", [], [copy], datasets=[members])
    reader = recorder.job("read", [file("images/deep/a.png", "a")])
    assert recorder.edges() == {(reader.uid, maker.uid)}


def test_the_last_writer_at_the_path_counts_whether_it_wrote_a_dataset_or_a_file(recorder):
    recorder.job("make one", [], [file("images/a.png", "a"), file("images/b.png", "b")])
    whole, members = dataset("images/", {"a.png": "a", "b.png": "b"})
    made = recorder.job("make", [], [whole], datasets=[members])
    again = recorder.job("make one again", [], [file("images/b.png", "b")])
    reader = recorder.job("read", [file("images/a.png", "a"), file("images/b.png", "b")])
    assert recorder.edges() == {(reader.uid, made.uid), (reader.uid, again.uid)}


def test_a_shard_depends_on_who_wrote_the_shards(recorder):
    recorder.job("unrelated", [], [file("unrelated.txt", "a")])
    whole, members = dataset("data/part-*-of-2", {"part-1-of-2": "a", "part-2-of-2": "b"})
    maker = recorder.job("make", [], [whole], datasets=[members])
    reader = recorder.job("read", [file("data/part-1-of-2", "a")])
    assert recorder.edges() == {(reader.uid, maker.uid)}


def test_an_empty_member_depends_on_who_wrote_it_there_also_when_recorded_later(recorder):
    recorder.job("unrelated", [], [file("empty.txt", "nothing", size=0)])
    reader = recorder.job("read", [file("pkg/__init__.py", "nothing", size=0),
                                     file("x/__init__.py", "nothing", size=0)], minute=5)
    whole, members = dataset("pkg/", {"__init__.py": "nothing", "b": "b"})
    maker = recorder.job("make", [], [whole], datasets=[members], minute=2)
    assert recorder.edges() == {(reader.uid, maker.uid)}


def test_a_dataset_depends_on_nobody_who_wrote_the_same_content_elsewhere(recorder):
    whole, members = dataset("images/", {"a.png": "a", "b.png": "b"})
    maker = recorder.job("make", [], [whole], datasets=[members])
    recorder.job("unrelated", [], [file("unrelated.txt", "a")])
    more, members = dataset("images/", {"a.png": "a", "b.png": "b", "c.png": "downloaded"})
    reader = recorder.job("read", [more], datasets=[members])
    assert recorder.edges() == {(reader.uid, maker.uid)}


def test_a_dataset_that_was_there_is_not_made_by_who_copied_one_of_its_files(recorder):
    recorder.job("copy", [file("images/a.png", "a")], [file("copy.png", "a")])
    whole, members = dataset("images/", {"a.png": "a", "b.png": "b"})
    recorder.job("read and copy", [whole], [file("copy2.png", "b")], datasets=[members])
    recorder.job("read again", [whole], [])
    assert recorder.edges() == set()


def test_a_file_that_was_found_within_a_dataset_is_not_made_by_who_wrote_the_same_elsewhere_later(recorder):
    first = recorder.job("write one before", [], [file("first", "b")])
    whole, members = dataset("labels/", {"ä/1": "a", "ä/2": "b", "c": "c"})
    everything = recorder.job("read all", [whole], [], datasets=[members])
    copy, copied = dataset("copy/", {"1": "a", "2": "b"})
    recorder.job("write the same", [], [file("flag", "a"), file("flag2", "b")])
    recorder.job("write the same together", [], [copy], datasets=[copied])
    reader = recorder.job("read two", [file("labels/ä/1", "a"), file("labels/ä/2", "b")], [])
    assert recorder.edges() == {(everything.uid, first.uid), (reader.uid, first.uid)}
    artifact_id = recorder.one("SELECT id FROM artifact WHERE digest = ?", bytes.fromhex(digest("a")))
    assert makers_at(recorder.database, artifact_id, "labels/ä/1") == []


def test_a_file_that_was_found_within_a_dataset_elsewhere_may_be_made_by_a_later_job(recorder):
    whole, members = dataset("labels/", {"1": "a", "2": "b"})
    recorder.job("read all", [whole], [], datasets=[members])
    maker = recorder.job("write the same", [], [file("flag", "a")])
    reader = recorder.job("read elsewhere", [file("labels/2", "a"), file("other/labels/1", "a")], [])
    assert recorder.edges() == {(reader.uid, maker.uid)}


def test_a_shard_that_was_found_with_the_others_is_not_made_by_a_later_copy(recorder):
    whole, members = dataset("data/part-*-of-2", {"part-1-of-2": "a", "part-2-of-2": "b"})
    recorder.job("read all", [whole], [], datasets=[members])
    recorder.job("write the same", [], [file("copy", "a")])
    recorder.job("read one", [file("data/part-1-of-2", "a")], [])
    assert recorder.edges() == set()


def uses_of(names):
    """A file, or a dataset where the first name is that of a folder: as a use, and the datasets to store."""
    folder, *files = names.split()
    if not files:
        return file(folder, folder[-1]), []
    whole, members = dataset(folder, {name: name[-1] for name in files})
    return whole, [members]


@pytest.mark.parametrize(("read", "wrote", "found", "made"), [
    ("raw/ 1a 2b", "copy/ 1a 2b", "raw/ 1a 3b", False),
    ("raw/ 1a 2b", "copy/ 1a 2b", "raw/3b", False),
    ("raw/2b", "copy/2b", "raw/3b", False),
    ("raw/2b", "copy/2b", "raw/ 1a 3b", False),
    ("raw/ cat/1a dog/2b", "copy/ 1a 2b", "raw/ dog/1a dog/2b", False),  # another label
    ("raw/ cat/1a dog/2b", "copy/ 1a 2b", "raw/dog/ 1a 2b", False),
    ("raw/ cat/1a dog/2b", "copy/ 1a 2b", "raw/dog/1a", False),
    ("raw/cat/2b", "copy/2b", "raw/dog/2b", False),
    ("data/raw/2b", "data/out/2b", "data/new/2b", True),
    ("raw/ 1a 2b", "train/ 1a", "data/train/ 1a", True),  # the folder that was written was moved
    ("raw/ 1a 2b", "train/ 1a", "data/train/1a", True),
    ("raw/1a", "train/1a", "data/1a", True),
    ("raw-a", "copy-a", "data-a", True),  # either may have been renamed
    ("raw/1a", "raw/2a", "raw/3a", True),
    ("raw/ 1a 2b", "raw/new/ 1a 2b", "raw/3a", True),
    ("raw/ 1a 2b", "raw/new/ 1a 2b", "raw/ 1a 3b", True),
    ("raw/", "x-a", "raw/2a", True)])
def test_what_a_job_had_copied_was_renamed_unless_it_wrote_it_into_that_folder(recorder, read, wrote, found, made):
    uses = [uses_of(names) for names in (read, wrote, found)]
    copy = recorder.job("copy", [uses[0][0]], [uses[1][0]], datasets=uses[0][1] + uses[1][1])
    reader = recorder.job("read", [uses[2][0]], datasets=uses[2][1])
    assert recorder.edges() == ({(reader.uid, copy.uid)} if made else set())
    artifact_id = recorder.one("SELECT id FROM artifact WHERE digest = ?", bytes.fromhex(uses[2][0].digest))
    assert [maker.job_id for maker in makers_at(recorder.database, artifact_id, uses[2][0].path)] == [1] * made


@pytest.mark.parametrize(("raw", "renamed"), [("raw/ 1a 2b", "raw/ 1a 3b"), ("raw/cat/2b", "raw/dog/3b")])
def test_a_file_that_was_renamed_is_not_made_by_who_got_a_copy_of_it(recorder, raw, renamed):
    uses = [uses_of(names) for names in (raw, "copy/ 1a 2b", "train/ 1b", renamed)]
    copy = recorder.job("copy", [uses[0][0]], [uses[1][0]], datasets=uses[0][1] + uses[1][1])
    split = recorder.job("split", [uses[1][0]], [uses[2][0]], datasets=uses[2][1])
    recorder.job("read", [uses[3][0]], datasets=uses[3][1])
    assert recorder.edges() == {(split.uid, copy.uid)}
    moved = recorder.job("read what was moved", [file("elsewhere/1b", "b")])
    assert recorder.edges() == {(split.uid, copy.uid), (moved.uid, split.uid)}


def at(minute):
    return (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read(recorder, use, since, minute, **more):
    """A job that reads what lay there since a minute."""
    return recorder.job(f"read {use.path}", [use], minute=minute, ages={(use.path, use.digest): at(since)}, **more)


def test_what_lay_there_before_a_job_started_is_not_made_by_it(recorder):
    recorder.job("write", [], [file("out/names", "n")], minute=10)
    read(recorder, file("data/classes", "n"), 9, 11)
    copied = read(recorder, file("copy", "n"), 12, 13)
    same_path = read(recorder, file("out/names", "n"), 9, 14)
    unknown_age = recorder.job("read another", [file("old", "n")], minute=15)
    assert {consumer for consumer, _ in recorder.edges()} == {copied.uid, same_path.uid, unknown_age.uid}
    artifact_id = recorder.one("SELECT id FROM artifact WHERE digest = ?", bytes.fromhex(digest("n")))
    assert makers_at(recorder.database, artifact_id, "data/classes") == []


def test_what_lay_there_is_made_by_the_last_job_that_had_started_by_then(recorder):
    first = recorder.job("write", [], [file("out", "n")], minute=1)
    recorder.job("write again elsewhere", [], [file("other", "n")], minute=5)
    reader = read(recorder, file("copy", "n"), 3, 6)
    assert recorder.edges() == {(reader.uid, first.uid)}


def test_what_lay_there_before_is_not_made_by_a_job_that_ran_meanwhile_also_after_it_was_touched(recorder):
    recorder.job("write", [], [file("out", "n")], minute=2, duration_s=600)
    read(recorder, file("data", "n"), 1, 3)
    read(recorder, file("data", "n"), 20, 21)
    assert recorder.edges() == set()


def test_a_dataset_of_older_files_is_not_made_by_who_wrote_the_same(recorder):
    whole, members = dataset("images/", {"a": "a", "b": "b"})
    recorder.job("write both", [], [replace(whole, path="copy/")], datasets=[members], minute=5)
    recorder.job("write one", [], [file("x", "a")], minute=6)
    read(recorder, whole, 4, 7, datasets=[members])
    recorder.job("read one", [file("images/a", "a")], minute=8)
    assert recorder.edges() == set()
    copied = read(recorder, replace(whole, path="later/"), 9, 10)
    assert {consumer for consumer, _ in recorder.edges()} == {copied.uid}


def test_a_file_that_is_older_is_not_made_by_who_wrote_a_dataset_with_it(recorder):
    whole, members = dataset("images/", {"a": "a", "b": "b"})
    recorder.job("write both", [], [whole], datasets=[members], minute=5)
    read(recorder, file("data/a", "a"), 4, 7)
    assert recorder.edges() == set()


# ------------------------------------------------------------------------------------------- changing things


def test_pop_forgets_all_that_only_this_job_brought(recorder):
    whole, members = dataset("images/", {"a.png": "a", "b.png": "b"})
    recorder.job("keep", [], [file("a.png", "a")])
    before = {table: recorder.one(f"SELECT count(*) FROM {table}")
              for table in ("job", "step", "file_use", "artifact", "dataset_member", "shared_content", "dependency")}
    job = recorder.job("forget", [whole], [file("new")], datasets=[members], labels={"a": "b"}, left_out={"x": 1})
    pop_job(recorder.database, job.uid)
    assert before == {table: recorder.one(f"SELECT count(*) FROM {table}") for table in before}


def test_pop_gives_readers_back_to_the_producer_before(recorder):
    first = recorder.job("make", [], [file("data")], minute=1)
    reader = recorder.job("read", [file("data")], minute=20, duration_s=6000)
    second = recorder.job("make again", [], [file("data")], minute=30)
    assert recorder.edges() == {(reader.uid, second.uid)}
    pop_job(recorder.database, second.uid)
    assert recorder.edges() == {(reader.uid, first.uid)}


def changed(tracker, run_id, becomes):
    return RunUpdate(tracker=tracker, run_id=run_id, becomes=becomes)


def test_an_upload_recorded_later_gives_the_earlier_run_its_page(recorder):
    offline = TrackerRun(tracker="wandb", label="W&B", run_id="abc", project="p", state=TrackerRunState.OFFLINE,
                         how_to_view="wandb sync wandb/offline-run-abc")
    job = recorder.job("train", tracker_runs=[offline])
    online = dataclasses.replace(offline, url="https://wandb.ai/e/p/runs/abc", entity="e", how_to_view=None,
                                 server="https://wandb.ai", state=TrackerRunState.ONLINE, evidence="console")
    recorder.job("wandb sync wandb/offline-run-abc", tracker_updates=[changed("wandb", "abc", online)])
    assert load_job(recorder.database, 1).tracker_runs == (online,)
    other = dataclasses.replace(online, url="https://evil.example/abc")
    recorder.job("again", tracker_updates=[changed("wandb", "abc", other)])
    assert load_job(recorder.database, 1).tracker_runs == (online,), "a page once proven stays"
    replace_tracker_run(recorder.database, 1, dataclasses.replace(online, note="checked"))
    assert load_job(recorder.database, 1).tracker_runs[0].note == "checked"
    assert load_job(recorder.database, 1).uid == job.uid


def test_an_upload_may_give_the_run_another_id_or_project(recorder):
    offline = TrackerRun(tracker="clearml", label="ClearML", run_id="offline-1", project="p", name="n",
                         state=TrackerRunState.OFFLINE, how_to_view="upload it")
    recorder.job("train", tracker_runs=[offline])
    online = TrackerRun(tracker="clearml", label="ClearML", run_id="77", project="q", url="https://app.clear.ml/77",
                        state=TrackerRunState.ONLINE, evidence="console")
    recorder.job("import", tracker_updates=[changed("clearml", "offline-1", online)])
    assert load_job(recorder.database, 1).tracker_runs == (dataclasses.replace(online, name="n"),)


def test_an_upload_of_one_project_leaves_the_same_id_of_another_alone(recorder):
    runs = [TrackerRun(tracker="wandb", label="W&B", run_id="same", project=project, state=TrackerRunState.OFFLINE)
            for project in ("p", "q")]
    recorder.job("train", tracker_runs=runs)
    online = dataclasses.replace(runs[1], url="https://wandb.ai/e/q/runs/same", state=TrackerRunState.ONLINE)
    recorder.job("sync", tracker_updates=[changed("wandb", "same", online)])
    assert load_job(recorder.database, 1).tracker_runs == (runs[0], online)
    elsewhere = dataclasses.replace(online, project="r", url="https://wandb.ai/e/r/runs/same")
    recorder.job("train again", tracker_runs=runs)
    recorder.job("sync", tracker_updates=[changed("wandb", "same", elsewhere)])
    assert load_job(recorder.database, 3).tracker_runs == tuple(runs), "which of the two it was is not proven"


def test_labels_are_set_changed_and_removed(recorder):
    recorder.job("true")
    assert set_label(recorder.database, ("job", 1), "owner", "alice")
    assert not set_label(recorder.database, ("job", 1), "owner", "alice")
    assert set_label(recorder.database, ("job", 1), "owner", "bob")
    assert load_job(recorder.database, 1).labels == {"owner": "bob"}
    assert set_label(recorder.database, ("job", 1), "owner", None)
    assert load_job(recorder.database, 1).labels == {}


def test_a_failing_write_leaves_nothing(recorder):
    recorder.job("true")
    broken = file("x")
    object.__setattr__(broken, "digest", "not hex")
    with pytest.raises(ValueError, match="hexadecimal"):
        recorder.job("false", [broken])
    assert recorder.one("SELECT count(*) FROM job") == 1
    assert recorder.one("SELECT count(*) FROM step") == 1


def _write_many(root, number):
    mine = Recorder.__new__(Recorder)
    database = open_database(f"{root}/.roar/roar.db")
    mine.database, mine._minutes = database, iter(range(100))
    for turn in range(20):
        mine.job(f"process {number} turn {turn}", [file("shared")], [file(f"out-{number}-{turn}")])
    database.close()


def test_processes_that_record_at_the_same_time_all_succeed(recorder):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(recorder.workspace.root, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert recorder.one("SELECT count(*) FROM job") == 80
    assert recorder.one("SELECT count(DISTINCT number) FROM step") == 80


# ------------------------------------------------------------------------------------------------- the file


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "roar.db"
    path.write_bytes(b"nonsense " * 1000)
    with pytest.raises(WorkspaceError, match=r"roar\.db is broken") as caught:
        open_database(str(path))
    assert caught.value.hint == f"mv {path} {path}.broken"


def test_an_empty_file_becomes_a_record(tmp_path):
    path = tmp_path / "roar.db"
    path.write_bytes(b"")
    database = open_database(str(path))
    assert database.execute("SELECT count(*) FROM job").fetchone() == (0,)
    database.close()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_record_of_an_earlier_version_is_brought_up_to_date(version, tmp_path, recorder):
    path = tmp_path / "old.db"
    old_record(path, version).close()
    database = open_database(str(path))
    assert database.execute("SELECT uid FROM session").fetchall() == [("u",)]
    assert shape(database) == shape(recorder.database)
    database.close()


def test_the_jobs_that_a_job_of_version_7_ran_are_known(tmp_path):
    path = tmp_path / "old.db"
    with contextlib.closing(old_record(path, 7)) as old:
        old.executescript("""
            INSERT INTO step VALUES (1, 1, 1, x'00', '[]', '.');
            INSERT INTO job SELECT value + 1, substr('abc', value + 1, 1), 1, 'run', NULL, 't', 't', NULL, 0, 'done',
                NULL, NULL, NULL, 'full', '[]' FROM json_each('[0,1,2]');
            INSERT INTO inner_job (job_id, uid) VALUES (3, 'a'), (3, 'b'), (3, 'unrecorded'), (2, 'a')""")
    with contextlib.closing(open_database(str(path))) as database:
        assert database.execute("SELECT * FROM inner_job").fetchall() == [
            ("a", "b", 0, None), ("a", "c", 0, None), ("b", "c", 0, None), ("unrecorded", "c", 0, None)]
        assert find_around(database, 1) == {2, 3}


def old_record(path, version):
    """Make a record of an earlier version with one session; its connection."""
    old = sqlite3.connect(path)
    old.executescript(f"""{Path(__file__).parent.parent.joinpath("data", f"record-{version}.sql").read_text()};
        PRAGMA user_version = {version}; PRAGMA journal_mode = WAL;
        INSERT INTO session (uid, started_at) VALUES ('u', 't')""")
    return old


def shape(database):
    """Every table and index with its columns."""
    names = [row[0] for row in database.execute("SELECT name FROM sqlite_schema ORDER BY name")]
    return {name: [database.execute(f"PRAGMA {what}({name!r})").fetchall()
                   for what in ("table_xinfo", "index_xinfo", "index_list", "foreign_key_list")] for name in names}


def test_a_newer_record_is_refused(recorder):
    recorder.database.execute("PRAGMA user_version = 999")
    with pytest.raises(WorkspaceError, match="newer roar"):
        open_database(recorder.workspace.database)


def test_another_program_s_database_is_refused(tmp_path):
    path = tmp_path / "roar.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    with pytest.raises(WorkspaceError, match="not a record of roar"):
        open_database(str(path))


def test_the_record_is_in_write_ahead_mode_and_strict(recorder):
    assert recorder.one("PRAGMA journal_mode") == "wal"
    tables = recorder.database.execute(
        "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        " AND name NOT LIKE 'sqlite_%'").fetchall()
    assert tables
    assert all(strict for _, strict in tables)


def test_a_record_that_may_only_be_read_is_read(recorder):
    recorder.job("true")
    recorder.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert read_without_rights(recorder.workspace.database, "load_job(database, 1).command[0]") == "true"


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
@pytest.mark.parametrize("is_open", [False, True])
def test_an_older_record_that_may_only_be_read_is_read(version, is_open, tmp_path):
    path = tmp_path / "old.db"
    with contextlib.closing(old_record(path, version)) as old:
        if not is_open:
            old.close()
        assert path.with_name("old.db-wal").exists() is is_open
        query = "database.execute('SELECT uid, (SELECT count(*) FROM inner_job) FROM session').fetchall()"
        assert read_without_rights(path, query) == "[('u', 0)]"
        said = read_without_rights(path, "open_transaction()")
        assert said == f"{path} cannot be used: attempt to write a readonly database."


def read_without_rights(path, expression):
    """What a process says of a record that it may only read; the sentence where that is refused."""
    os.chmod(path, 0o444)
    code = f"""if True:
        import os, sys
        from roar.errors import RoarError
        from roar.query.jobs import load_job
        from roar.record.database import open_database, transaction
        def open_transaction():
            with transaction(database):
                database.execute("DELETE FROM session")
        assert not os.access(sys.argv[1], os.W_OK)
        try:
            database = open_database(sys.argv[1])
            print({expression})
        except RoarError as error:
            print(error)
        """
    as_others = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []  # root may write everywhere
    done = subprocess.run([*as_others, sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.removesuffix("\n")


def _expected_edges(jobs):
    """The rule of `dependency` by brute force, for single files: (reader, maker) pairs of places in `jobs`."""
    edges = set()
    for reader, (_, ended, inputs, _) in enumerate(jobs):
        for use in inputs:
            makers = [place for place, (started, _, _, outputs) in enumerate(jobs) if place != reader
                      and started <= ended and any(out.digest == use.digest for out in outputs)]
            same_path = [place for place in makers if any((out.digest, out.path) == (use.digest, use.path)
                                                          for out in jobs[place][3])]
            def reads_it(place, use=use):
                return any((seen.digest, seen.path) == (use.digest, use.path) for seen in jobs[place][2])

            first = next(place for place in range(len(jobs)) if reads_it(place))
            elsewhere = [place for place in makers if jobs[place][0] <= jobs[first][1] and not reads_it(place)]
            found = same_path or ([] if use.size == 0 else elsewhere)
            if found:
                edges.add((reader, max(found)))
    return edges


@pytest.mark.parametrize("seed", range(20))
def test_edges_do_not_depend_on_when_jobs_are_recorded(recorder, seed):
    """Jobs overlap, are recorded late, and the last is forgotten again: what remains is what the rule says of all."""
    chance = random.Random(seed)

    def uses():
        drawn = {(chance.choice("abcd"), chance.choice(["x", "y", "z", "empty"])) for _ in range(chance.randrange(3))}
        return [file(path, content, size=0 if content == "empty" else 10) for path, content in sorted(drawn)]

    jobs, uids = [], []
    for number in range(40):
        minute, minutes = chance.randrange(60), chance.randrange(1, 20)
        inputs, outputs = uses(), uses()
        uids.append(recorder.job(f"job {number}", inputs, outputs, minute=minute, duration_s=60 * minutes).uid)
        jobs.append((minute, minute + minutes, inputs, outputs))
        if chance.random() < 0.2:
            pop_job(recorder.database, uids.pop())
            jobs.pop()
    assert recorder.edges() == {(uids[reader], uids[maker]) for reader, maker in _expected_edges(jobs)}


def test_a_session_began_when_its_first_job_started(recorder):
    recorder.job("slow", [], [file("a")], duration_s=3600)
    first = recorder.job("first", [], [file("b")], minute=-90)
    session = load_session(recorder.database, 1)
    assert (session.started_at, session.jobs) == (recorder.one("SELECT started_at FROM job WHERE uid = ?", first.uid),
                                                  2)
    start_session(recorder.database)
    assert load_session(recorder.database, 2).started_at == recorder.one(
        "SELECT started_at FROM session WHERE id = 2")
