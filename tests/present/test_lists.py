"""Lists that are cut say so, and what shows the rest."""

import os
import socket
import threading
from dataclasses import replace

import pytest
from blake3 import blake3
from recording import file

from roar.commands.doctor import _record
from roar.errors import NotFoundError, PublishError
from roar.present.artifacts import render_folder
from roar.present.checklist import render_checklist
from roar.present.closing import render_closing
from roar.present.cut import cut_of
from roar.present.jobs import render_log
from roar.present.transfer import render_transfer
from roar.publish.server import get, parse_server
from roar.query.checklist import check_reproducibility
from roar.query.files_now import find_at_path
from roar.query.folders import load_folder
from roar.query.history import load_lines
from roar.query.jobs import load_job
from roar.query.references import FolderReference, resolve
from roar.query.versions import find_versions


@pytest.fixture
def there(recorder, monkeypatch):
    monkeypatch.chdir(recorder.workspace.root)
    return recorder


def files(name, count):
    return [file(f"{name}{number}") for number in range(count)]


def candidates(recorder, ref):
    with pytest.raises(NotFoundError) as caught:
        resolve(recorder.database, recorder.workspace, ref)
    return caught.value.candidates


def test_the_closing_report_says_what_shows_all_files(recorder):
    for inputs, outputs, cut in ((6, 2, "read"), (2, 6, "wrote"), (6, 6, "wrote")):
        job = recorder.job("train", files("in", inputs), files("out", outputs))
        fetched = render_transfer(replace(job, kind="get"), files=0, size=0, there=1)
        for text in (render_closing(job, {}, 0.1), fetched):
            told = [line.split()[0] for line in text.splitlines() if line.endswith(
                f" and 2 more: roar show {job.uid[:8]} --all")]
            assert told == [cut]
    assert "roar show" not in render_closing(recorder.job("train", files("in", 4), files("out", 4)), {}, 0.1)


def test_a_step_that_does_not_exist_says_how_many_there_are_beside_those_listed(there):
    for number in range(8):
        there.job(f"step {number}")
        if number == 4:
            assert candidates(there, "@99") == tuple(f"@{at + 1}  step {at}" for at in range(5))
    assert candidates(there, "@99") == (*(f"@{at + 1}  step {at}" for at in range(3, 8)),
                                        "… and 3 earlier steps: roar dag --all")


def test_many_paths_of_one_name(there):
    there.job("make", [], [file(f"d{number}/train.csv") for number in range(12)])
    *listed, more = candidates(there, "train.csv")
    assert len(listed) == 10
    assert more == "… and more: roar log --all -n 0 --path '*/train.csv'"


def test_a_folder_that_is_no_artifact_lists_only_some_of_what_is_in_it(there):
    there.job("make", [], [file(f"d/{number:02}") for number in range(12)])
    *listed, more = candidates(there, "d")
    assert listed == [f"d/{number:02}" for number in range(10)]
    assert more == "… and more: roar show d --all"


def test_a_folder_of_copies_says_how_much_of_it_was_looked_at(there):
    there.job("make", [], [file("made", size=1)])
    there.database.execute("UPDATE artifact SET digest = ?", (blake3(b"x").digest(),))
    os.mkdir("copies")
    for number in range(25):
        with open(f"copies/{number:02}", "w") as stream:
            stream.write("x")
    *listed, more = candidates(there, "copies")
    assert listed == [f"copies/{number:02}" for number in range(20)]
    assert more == "… and perhaps more: 5 of 25 there were not looked at"


def test_earlier_versions_of_a_file(there):
    for number in range(12):
        there.job("make", [], [file("d/o", f"content {number}")])
    os.mkdir("d")
    with open("d/o", "w") as stream:
        stream.write("never recorded")
    os.chdir("d")
    with pytest.raises(NotFoundError) as caught:
        find_at_path(there.database, there.workspace, "d/o", find_versions(there.database, "d/o"))
    assert caught.value.candidates[-1] == "… and 2 earlier versions: roar log --all -n 0 --path o"


def test_what_a_job_made_in_a_folder_is_all_listed_when_asked(there):
    there.job("make", [], [file("d/a"), file("d/b"), file("d/c")])
    there.job("other", [file("d/a")], [file("o")])
    folder = load_folder(there.database, FolderReference("d/"))

    def lines(everything):
        return render_folder(folder, session=None, shown=cut_of("roar show d", everything=everything)).splitlines()

    assert "    of what a job made or used the first is named; all: roar show d --all" in lines(everything=False)
    assert sum("as d/" in line for line in lines(everything=False)) == 2
    assert sum("as d/" in line for line in lines(everything=True)) == 4
    assert not any("--all" in line or " other" in line for line in lines(everything=True))


def test_the_tries_of_a_checklist_are_all_named_when_asked(there):
    for number in range(9):
        there.job(f"try-{number} {number}", exit_code=1)
    there.job("train", [], [file("model")])
    ids = [row_id for (row_id,) in there.database.execute("SELECT id FROM job ORDER BY id").fetchall()]
    items = check_reproducibility(there.database, there.workspace, [load_job(there.database, one) for one in ids])
    cut, whole = (render_checklist(items, more=more).splitlines() for more in ("roar status --all", None))
    assert cut[0].endswith("that left nothing: @1, @2, @3, @4, @5 and 4 more: roar status --all")
    assert whole[0].endswith("that left nothing: @1, @2, @3, @4, @5 and 4 more")
    assert whole[1] == "      @6, @7, @8, @9"


def test_a_damaged_record_says_that_there_is_more(recorder):
    recorder.job("make", files("in", 9), files("out", 9))
    recorder.database.execute("PRAGMA foreign_keys = OFF")
    recorder.database.execute("DELETE FROM path")
    recorder.database.commit()
    try:
        assert "18 dangling rows" in next(_record(recorder.workspace)).text
    finally:
        recorder.database.execute("DELETE FROM file_use")
        recorder.database.commit()


def test_what_a_server_finds_wrong_is_counted():
    flaws = b",".join(b'{"pointer": "/jobs/%d", "detail": "no"}' % number for number in range(8))
    body = b'{"detail": "This is wrong.", "errors": [' + flaws + b"]}"
    answer = (b"HTTP/1.1 422 No\r\nContent-Type: application/problem+json\r\nConnection: close\r\nContent-Length: "
              + str(len(body)).encode() + b"\r\n\r\n" + body)

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(PublishError) as caught:
            get(parse_server(f"http://127.0.0.1:{listener.getsockname()[1]}"), "/")
        thread.join()
    assert caught.value.details[4:] == ("/jobs/4: no", "… and 3 more, to be told when these are mended")


@pytest.mark.parametrize(("columns", "shown"), [
    (20, "@2  ok  train.p….002"), (40, "@2  ok  train.py --epochs 1…0 --lr 0.002"),
    (65, "  2.0 s  ok  train.py --epoch…--lr 0.002"), (80, "  2.0 s  ok  train.py --epochs 1000 --lr 0.002")])
def test_the_list_of_jobs_shows_how_commands_end_on_a_terminal_of_few_columns(recorder, monkeypatch, columns, shown):
    for rate in (1, 2):
        recorder.job(f"train.py --epochs 1000 --lr 0.00{rate}", duration_s=2.0)
    monkeypatch.setattr("roar.present.jobs.width", lambda: columns)
    lines = render_log(load_lines(recorder.database, [1, 2])).splitlines()
    assert lines[1].endswith(shown)
    assert all(len(line) <= columns for line in lines)
    assert len(set(lines)) == 2
