"""Lineage by way of datasets: whole ones, single files of them, and what shares files with them."""

import dataclasses
import re

import pytest
from registrations import dataset_of, digest, digits, job, uid, use

from glaas import makers
from roar.wire import DatasetMember, FileUse, Kind


def at(number, minute, **more):
    """A job that started at that minute of the hour, and is a step of its own."""
    return job(number, step=number, started_at=f"2026-11-22T10:{minute:02}:00.000000Z", **more)


def folder(path, names, version=""):
    """A dataset of files with a content of their own each, and its use at `path`."""
    whole = dataset_of(tuple(DatasetMember(path=name, digest=digest(f"content of {name}{version}"), size=10)
                             for name in names))
    return whole, FileUse(path=path, digest=whole.digest, size=10 * len(names), kind=Kind.DATASET, files=len(names))


def one(path, name=None, version=""):
    return use(path, f"content of {name or path.rpartition('/')[2]}{version}", 10)


NAMES = tuple(f"f{n:03}.bin" for n in range(150))


@pytest.fixture
def send(post):
    numbers = iter(range(1, 50))

    def register(*jobs, datasets=(), **more):
        answer = post(dataclasses.replace(digits(), session=f"{next(numbers):02x}" * 16, jobs=jobs, datasets=datasets,
                                          payloads=(), **more))
        assert answer.status_code == 201, answer.text
        return answer.json()["dag"]
    return register


def written_by(client, number):
    told = client.get(f"/api/v1/jobs/{uid(number)}/inputs?limit=1000").json()["inputs"]
    return {use["path"]: use["written_by"] and int(use["written_by"]["uid"], 16) for use in told}


def read_by(client, number):
    told = client.get(f"/api/v1/jobs/{uid(number)}/outputs?limit=1000").json()["outputs"]
    return {use["path"]: use["read_by"] and int(use["read_by"]["uid"], 16) for use in told}


def around(client, key, way, depth=9):
    found = client.get(f"/api/v1/artifacts/{key}/lineage?direction={way}&depth={depth}").json()
    assert not found["truncated"]
    known = {node["digest"] for node in found["artifacts"]} | {line["uid"] for line in found["jobs"]}
    assert {end for edge in found["edges"] for end in (edge["source"], edge["target"])} <= known | {key}
    return [int(line["uid"], 16) for line in found["jobs"]]


def lines_of(page):
    return len(re.findall("<path d=", page[page.index("<svg xmlns"):page.index("</figure>")])) - 1  # the arrow's head


def columns_of(page):
    """How far to the right the box of each step is drawn."""
    return {name: float(x) for x, name in re.findall(
        r'<g class="box job[^"]*" transform="translate\(([\d.]+) .*?Step (\d)', page, re.DOTALL)}


def test_one_file_of_a_dataset_came_from_who_wrote_that(client, send, few_looked_at):
    whole, written = folder("a/", NAMES)
    dag = send(at(1, 1, outputs=(written,)), at(2, 2, inputs=(one("a/f020.bin"),), outputs=(use("n"),)),
               datasets=(whole,))
    assert written_by(client, 2) == {"a/f020.bin": 1}
    assert read_by(client, 1) == {"a/": 2}
    assert around(client, digest("n"), "up") == [1, 2]
    assert around(client, whole.digest, "down") == around(client, digest("content of f020.bin"), "down") == [2]
    assert around(client, digest("content of f020.bin"), "up") == [1]
    assert around(client, digest("content of f021.bin"), "up") == [1]
    assert around(client, digest("content of f021.bin"), "down") == []
    drawing = client.get(f"/dag/{dag}").text
    assert drawing.count('<g class="box ') == 4  # two jobs, the folder, and what came of it
    assert lines_of(drawing) == 3


def test_of_several_versions_of_a_dataset_it_is_the_last_before(client, send, few_looked_at):
    first, written_first = folder("a/", NAMES)
    names = (*NAMES, "more.bin")
    second, written_second = folder("a/", names)
    send(at(1, 1, outputs=(written_first,)), at(2, 3, outputs=(written_second,)),
         at(3, 2, inputs=(one("a/f020.bin"),)), at(4, 4, inputs=(one("a/f020.bin"),)),
         datasets=(first, second))
    assert (written_by(client, 3), written_by(client, 4)) == ({"a/f020.bin": 1}, {"a/f020.bin": 2})
    if few_looked_at > 1:
        assert (read_by(client, 1), read_by(client, 2)) == ({"a/": 3}, {"a/": 4})
    assert around(client, first.digest, "down") == [3]
    assert around(client, second.digest, "down") == [4]


def test_a_copy_of_one_file_made_neither_it_nor_its_folder(client, send, few_looked_at):
    whole, written = folder("a/", NAMES)
    dag = send(at(1, 1, outputs=(written,)),
               at(2, 2, inputs=(one("a/f010.bin"),), outputs=(one("one.txt", "f010.bin"),)),
               at(3, 3, inputs=(one("a/f010.bin"),), outputs=(use("n"),)),
               at(4, 4, inputs=(one("one.txt", "f010.bin"),), outputs=(use("m"),)), datasets=(whole,))
    assert written_by(client, 3) == {"a/f010.bin": 1}
    assert written_by(client, 4) == {"one.txt": 2}
    assert around(client, digest("n"), "up") == [1, 3]
    assert around(client, digest("m"), "up") == [1, 2, 4]
    assert around(client, whole.digest, "up") == [1]
    columns = columns_of(client.get(f"/dag/{dag}?reruns=all").text)
    assert columns["1"] < columns["2"] == columns["3"] < columns["4"]


def test_what_only_has_the_same_content_is_not_walked(client, send, few_looked_at):
    whole, written = folder("a/", NAMES)
    copied = dataclasses.replace(written, path="c/")
    send(at(1, 1, outputs=(written,)), at(2, 2, inputs=(one("a/f020.bin"),)),
         at(3, 3, inputs=(written,), outputs=(copied,)),
         at(4, 4, inputs=(one("c/f010.bin"),), outputs=(one("two", "f010.bin"),)),
         at(5, 5, inputs=(one("a/f010.bin"),), outputs=(use("n"),)), datasets=(whole,))
    assert around(client, digest("content of f020.bin"), "down") == [2, 3, 4]
    assert around(client, digest("content of f010.bin"), "down") == [3, 4, 5]


def test_a_walk_goes_on_through_a_copy(client, send, few_looked_at):
    send(at(1, 1, inputs=(use("raw"),), outputs=(use("m"),)), at(2, 2, inputs=(use("m"),), outputs=(use("n", "m"),)),
         at(3, 3, inputs=(use("n", "m"),), outputs=(use("o", "raw"),)), at(4, 4, inputs=(use("o", "raw"),)))
    assert around(client, digest("raw"), "down") == [1, 2, 3, 4]
    assert around(client, digest("m"), "down") == [2, 3, 4]


def test_a_dataset_read_with_a_file_that_another_job_added(client, send, few_looked_at):
    part, written = folder("b/", NAMES)
    whole, read = folder("b/", (*NAMES, "extra"))
    dag = send(at(1, 1, outputs=(one("b/extra"),)), at(2, 2, outputs=(written,)),
               at(3, 3, inputs=(read,), outputs=(use("all"),)), datasets=(part, whole))
    assert around(client, digest("all"), "up") == [1, 2, 3]
    assert around(client, whole.digest, "up") == [1, 2]
    assert around(client, part.digest, "down") == around(client, digest("content of extra"), "down") == [3]
    assert written_by(client, 3) == {"b/": 2}
    assert lines_of(client.get(f"/dag/{dag}").text) == 4


def test_parts_in_folders_of_a_dataset(client, send, few_looked_at):
    left, written_left = folder("in/left/", NAMES)
    right, written_right = folder("in/right/", NAMES, " right")
    whole = dataset_of(tuple(DatasetMember(path=f"{side}/{name}", digest=digest(f"content of {name}{end}"), size=10)
                             for side, end in (("left", ""), ("right", " right")) for name in NAMES))
    read = FileUse(path="in/", digest=whole.digest, size=3000, kind=Kind.DATASET, files=300)
    send(at(1, 1, outputs=(written_left,)), at(2, 2, outputs=(written_right,)),
         at(3, 3, outputs=(one("elsewhere", "f000.bin"),)), at(4, 4, inputs=(read,), outputs=(use("n"),)),
         datasets=(left, right, whole))
    assert around(client, digest("n"), "up") == [1, 2, 4]
    assert around(client, right.digest, "down") == [4]


def test_shards_beside_their_pattern(client, send, few_looked_at):
    whole, written = folder("out/model-*-of-2", ("model-1-of-2", "model-2-of-2"))
    send(at(1, 1, outputs=(written,)), at(2, 2, outputs=(one("copy", "model-2-of-2"),)),
         at(3, 3, inputs=(one("out/model-2-of-2"),)), datasets=(whole,))
    assert written_by(client, 3) == {"out/model-2-of-2": 1}


def test_a_raw_dataset_went_into_who_read_a_file_where_it_lies(client, send, few_looked_at):
    whole, read = folder("raw/", NAMES)
    some, read_some = folder("raw/", NAMES[:120])
    send(at(1, 1, inputs=(read,)), at(2, 2, inputs=(one("raw/f003.bin"),)),
         at(3, 3, inputs=(one("other/f004.bin"),)), at(4, 4, inputs=(read_some,)), datasets=(whole, some))
    assert around(client, whole.digest, "down") == [1, 2, 4]
    assert around(client, digest("content of f004.bin"), "down") == [1, 3, 4]
    page = client.get(f"/artifacts/{whole.digest}").text
    assert "part of it: <a" in page


def test_who_read_parts_or_more_of_a_dataset_that_no_job_wrote_as_such(client, send, few_looked_at):
    whole, written = folder("sh/", NAMES[:10])
    half, read_half = folder("sh/", NAMES[:5])
    send(at(1, 1, outputs=(written,)), at(2, 2, inputs=(read_half,)), at(3, 3, inputs=(written,)),
         at(4, 4, inputs=(one("sh/f003.bin"),)), at(5, 5, inputs=(one("sh/f007.bin"),)),
         at(6, 6, inputs=(one("sh/f003.bin", version="2"),)), datasets=(whole, half))
    send(at(11, 11, outputs=(written,)), at(12, 12, inputs=(one("sh/f003.bin"),)), datasets=(whole,))
    assert around(client, half.digest, "down") == [2, 3, 4]
    used_as = client.get(f"/api/v1/artifacts/{half.digest}").json()["used_as"]
    assert [int(used["job"]["uid"], 16) for used in used_as] == [4, 3]
    assert f'href="/jobs/{uid(4)}"' in client.get(f"/artifacts/{half.digest}").text
    assert around(client, whole.digest, "down") == [2, 3, 4, 5, 12]


def test_who_read_what_several_jobs_wrote_in_part(client, send, few_looked_at):
    first, second = (tuple(one(f"d/{name}") for name in names) for names in (NAMES[:9], NAMES[9:12]))
    nine, read_nine = folder("d/", NAMES[:9])
    whole, read = folder("d/", NAMES[:12])
    send(at(1, 1, outputs=first), at(2, 2, inputs=(read_nine,)), at(3, 3, outputs=second), at(4, 4, inputs=(read,)),
         datasets=(nine, whole))
    assert around(client, whole.digest, "down") == [2, 4]
    assert around(client, nine.digest, "down") == [2, 4]


def test_what_others_wrote_at_the_same_path_is_another_matter(client, send):
    """Two people run the same steps in folders of their own."""
    whole, written = folder("a/", NAMES)
    send(at(1, 1, outputs=(written,)), at(2, 5, inputs=(one("a/f001.bin"),)), datasets=(whole,))
    send(at(3, 3, outputs=(written,)), at(4, 7, inputs=(one("a/f001.bin"),)), datasets=(whole,))
    assert (written_by(client, 2), written_by(client, 4)) == ({"a/f001.bin": 1}, {"a/f001.bin": 3})


def test_what_lay_there_before_was_not_brought_by_a_later_job(client, send):
    send(at(1, 1, inputs=(use("x"),)), at(2, 2, outputs=(use("z", "x"),)), at(3, 3, inputs=(use("x"),)),
         at(4, 4, inputs=(use("w", "x"),)))
    assert (written_by(client, 3), written_by(client, 4)) == ({"x": None}, {"w": 2})


def test_what_lay_in_a_folder_before_was_not_brought_by_a_later_job(client, send, few_looked_at):
    whole, read = folder("raw/", NAMES)
    shards, read_shards = folder("sh/m-*-of-00002", ("m-00001-of-00002", "m-00002-of-00002"))
    others = [folder("other/", (*NAMES[:3], *(f"m-0000{n}-of-00002" for n in (1, 2)), f"more {n}")) for n in range(3)]
    copies, written = zip(*others, strict=True)
    picked = [one(f"picked/{n}", name) for n, name in enumerate(("f001.bin", "f002.bin", "m-00001-of-00002"))]
    send(at(1, 1, inputs=(read, read_shards)), *(at(n, n, outputs=(use,)) for n, use in enumerate(written, 2)),
         at(5, 5, outputs=tuple(picked)),
         at(6, 6, inputs=(one("raw/f001.bin"), one("sh/m-00001-of-00002"), one("cooked/f002.bin"))),
         datasets=(whole, shards, *copies))
    assert written_by(client, 6) == {"raw/f001.bin": None, "sh/m-00001-of-00002": None, "cooked/f002.bin": 5}
    assert read_by(client, 5) == {"picked/0": None, "picked/1": 6, "picked/2": None}


def test_what_lay_in_a_folder_of_another_session_may_be_brought_by_a_later_job(client, send):
    whole, read = folder("raw/", NAMES)
    send(at(1, 1, inputs=(read,)), datasets=(whole,))
    send(at(2, 2, outputs=(one("picked", "f001.bin"),)), at(3, 3, inputs=(one("raw/f001.bin"),)))
    assert written_by(client, 3) == {"raw/f001.bin": 2}


def test_an_empty_file_of_a_dataset_leads_nowhere_else(client, send):
    whole = dataset_of((DatasetMember(path="done", digest=digest(""), size=0),
                        DatasetMember(path="n", digest=digest("n"), size=1)))
    written = FileUse(path="a/", digest=whole.digest, size=1, kind=Kind.DATASET, files=2)
    send(at(1, 1, outputs=(written,)), at(2, 2, inputs=(use("b/done", "", 0),), outputs=(use("m"),)),
         at(3, 3, inputs=(use("a/done", "", 0),), outputs=(use("k"),)), at(4, 4, outputs=(use("a/done", "", 0),)),
         at(5, 5, inputs=(use("a/done", "", 0),)), datasets=(whole,))
    assert written_by(client, 2) == {"b/done": None}
    assert around(client, digest("m"), "up") == [2]
    assert (written_by(client, 3), written_by(client, 5)) == ({"a/done": 1}, {"a/done": 4})
    assert (read_by(client, 1), read_by(client, 4)) == ({"a/": 3}, {"a/done": 5})
    assert around(client, digest("k"), "up") == [1, 3]
    assert around(client, whole.digest, "down") == [3]


def test_empty_files_lead_from_step_to_step_where_they_lie(client, send):
    """Pipelines mark by `touch x.done` that a step is through; all such files have one digest."""
    def flag(name):
        return use(f"{name}.done", "", 0)

    dag = send(at(1, 1, inputs=(use("raw"),), outputs=(flag("a"),)), at(2, 2, outputs=(flag("b"),)),
               at(3, 3, inputs=(flag("a"),), outputs=(use("x"), flag("c"))), at(4, 4, inputs=(flag("nobody's"),)),
               at(5, 5, inputs=(flag("c"), flag("b"))))
    send(at(6, 6, outputs=(flag("a"),)), at(7, 7, inputs=(flag("c"),), outputs=(use("y"),)))
    assert [written_by(client, number) for number in (3, 4, 5, 7)] == [
        {"a.done": 1}, {"nobody's.done": None}, {"c.done": 3, "b.done": 2}, {"c.done": None}]
    assert [read_by(client, number) for number in (1, 2, 3, 6)] == [
        {"a.done": 3}, {"b.done": 5}, {"x": None, "c.done": 5}, {"a.done": None}]
    assert around(client, digest("x"), "up") == [1, 3]
    assert around(client, digest("y"), "up") == [7]
    assert around(client, digest("raw"), "down") == [1, 3, 5]
    assert around(client, digest(""), "both") == []
    assert client.get(f"/artifacts/{digest('')}").status_code == 200
    page = client.get(f"/dag/{dag}").text
    assert [page.count(f">{name}.done</text>") for name in ("a", "b", "c", "nobody&#39;s")] == [1, 1, 1, 1]
    assert lines_of(page) == 9  # 1→a→3→c→5, 2→b→5, raw→1, nobody's→4, 3→x
    shown = client.get(f"/api/v1/sessions/{dag}").json()
    assert [node["path"] for node in shown["artifacts"] if node["size"] == 0] != []
    assert len({node["digest"] for node in shown["artifacts"]}) == len(shown["artifacts"])


def test_an_empty_file_of_a_session_that_reads_very_many(client, send):
    """Every job reads the same empty files of packages; what the first one wrote is found all the same."""
    packages = tuple(use(f"pkg/{n}/__init__.py", "", 0) for n in range(300))
    send(at(1, 1, outputs=(use("a.done", "", 0),)), *(at(n, n, inputs=packages) for n in range(2, 10)),
         at(10, 10, inputs=(use("a.done", "", 0),)))
    assert written_by(client, 10) == {"a.done": 1}
    assert read_by(client, 1) == {"a.done": 10}


def test_a_folder_of_nothing_but_empty_files(client, send):
    whole = dataset_of(tuple(DatasetMember(path=name, digest=digest(""), size=0) for name in "ab"))
    here = FileUse(path="a/", digest=whole.digest, size=0, kind=Kind.DATASET, files=2)
    there = dataclasses.replace(here, path="b/")
    other = dataclasses.replace(here, path="c/")
    send(at(1, 1, outputs=(here, other)), at(2, 2, inputs=(there,)), at(3, 3, inputs=(here,)), datasets=(whole,))
    assert [written_by(client, number) for number in (2, 3)] == [{"b/": None}, {"a/": 1}]
    assert read_by(client, 1) == {"a/": 3, "c/": None}


def test_one_flag_out_of_a_folder_of_flags(client, send):
    whole = dataset_of(tuple(DatasetMember(path=name, digest=digest(""), size=0) for name in "ab"))
    flags = FileUse(path="flags/", digest=whole.digest, size=0, kind=Kind.DATASET, files=2)
    copied = dataclasses.replace(flags, path="copied/")
    dag = send(at(1, 1, inputs=(use("raw"),), outputs=(flags, copied)),
               at(2, 2, inputs=(use("flags/a", "", 0),), outputs=(use("x"),)),
               at(3, 3, inputs=(copied,), outputs=(use("y"),)),
               at(4, 4, inputs=(use("flags/c", "", 0),)), datasets=(whole,))
    send(at(5, 5, outputs=(flags,)), at(6, 6, inputs=(use("flags/b", "", 0),)), datasets=(whole,))
    assert (written_by(client, 2), written_by(client, 4)) == ({"flags/a": 1}, {"flags/c": None})
    assert read_by(client, 1) == {"flags/": 2, "copied/": 3}
    assert around(client, digest("x"), "up") == [1, 2]
    assert around(client, digest("raw"), "down") == [1, 2, 3]
    assert around(client, whole.digest, "up") == [1, 5]
    assert around(client, whole.digest, "down") == [2, 3, 6]
    shown = client.get(f"/api/v1/sessions/{dag}").json()
    assert [(edge["source"], edge["target"]) for edge in shown["edges"] if edge["role"] == "member"] == [
        (whole.digest, digest(""))]
    assert lines_of(client.get(f"/dag/{dag}").text) == 8  # raw→1→flags/→2→x, 1→copied/→3→y, flags/c→4; no more
    page = client.get(f"/artifacts/{whole.digest}").text
    assert re.search(r'Where it came from <span class="count">3<.*?What it went into <span class="count">3<', page,
                     re.DOTALL)
    assert "part of it: <a href" in page
    assert "same artifact wherever" not in page
    assert 'class="box dataset root' in page
    made = client.get(f"/api/v1/artifacts/{whole.digest}/export/prov").json()
    assert [key for key in made["activity"] if uid(5) in key]
    told = client.get(f"/api/v1/artifacts/{digest('')}/export/prov")
    assert told.status_code == 404
    assert told.json()["detail"] == "All empty files are one artifact, whoever wrote them: export a job or a session."


def test_a_walk_says_where_it_left_empty_files_out(client, send, monkeypatch):
    monkeypatch.setattr(makers, "SESSION_EMPTIES", 3)
    makers._empties_of_session.cache_clear()
    send(at(1, 1, outputs=tuple(use(f"{n}.done", "", 0) for n in range(4))),
         at(2, 2, inputs=(use("3.done", "", 0),), outputs=(use("x"),)))
    found = client.get(f"/api/v1/artifacts/{digest('x')}/lineage?direction=up").json()
    makers._empties_of_session.cache_clear()
    assert found["truncated"]


def test_its_page_names_who_made_it_and_used_it_by_way_of_the_dataset(client, send):
    whole, written = folder("a/", NAMES)
    send(at(1, 1, outputs=(written,)), at(2, 2, inputs=(one("a/f020.bin"),)), at(3, 3, inputs=(written,)),
         datasets=(whole,))
    page = client.get(f"/artifacts/{digest('content of f020.bin')}").text
    assert re.search(rf'Where it came from <span class="count">1.*?/jobs/{uid(1)}.*?in: <a', page, re.DOTALL)
    assert re.search(rf'What it went into <span class="count">2.*?/jobs/{uid(2)}.*?/jobs/{uid(3)}', page, re.DOTALL)
    assert "<h1>f020.bin</h1>" in page
    page = client.get(f"/artifacts/{digest('content of f021.bin')}").text
    assert "<h1>f021.bin</h1>" in page
    page = client.get(f"/artifacts/{whole.digest}").text
    assert re.search(r'What it went into <span class="count">2.*?part of it: <a href="[^"]*">a/f020.bin', page,
                     re.DOTALL)


def test_both_directions_are_the_default(client, send):
    send(at(1, 1, outputs=(one("x"),)), at(2, 2, inputs=(one("x"),), outputs=(one("y"),)))
    address = f"/api/v1/artifacts/{one('x').digest}/lineage"
    found = client.get(address, params={"direction": "both"}).json()
    assert len(found["jobs"]) == 2
    assert client.get(address).json() == found
    assert client.get(address, params={"direction": "sideways"}).status_code == 422


def test_a_dataset_read_by_many_jobs_file_by_file_is_cut_short(client, send):
    whole, written = folder("a/", NAMES)
    send(at(1, 1, outputs=(written,)), *(at(n + 2, 2, inputs=(one(f"a/{name}"),)) for n, name in enumerate(NAMES)),
         datasets=(whole,))
    found = client.get(f"/api/v1/artifacts/{whole.digest}/lineage?direction=down&jobs=10").json()
    assert found["truncated"]
    assert [int(line["uid"], 16) for line in found["jobs"]] == list(range(142, 152))


CLASSES = {f"class_{n:03}/{i}": f"{n} {i}" for n in range(100) for i in range(3)}


def of(path, contents):
    """A dataset with these contents by path, and its use."""
    whole = dataset_of(tuple(DatasetMember(path=name, digest=digest(content), size=10)
                             for name, content in contents.items()))
    return whole, FileUse(path=path, digest=whole.digest, size=10 * len(contents), kind=Kind.DATASET,
                          files=len(contents))


def test_a_small_folder_of_a_large_dataset_that_a_job_wrote_anew(client, send, few_looked_at):
    old, written = of("data/", CLASSES)
    seven, mended = of("data/class_007/", {str(i): f"new {i}" for i in range(3)})
    new, read = of("data/", CLASSES | {f"class_007/{i}": f"new {i}" for i in range(3)})
    eight, part = of("data/class_008/", {str(i): f"8 {i}" for i in range(3)})
    dag = send(at(1, 1, outputs=(written,)), at(2, 2, outputs=(mended,)),
               at(3, 3, inputs=(read,), outputs=(use("m"),)), at(4, 4, inputs=(part,)),
               at(5, 5, inputs=(dataclasses.replace(read, path="copy/"),)), datasets=(old, seven, new, eight))
    assert around(client, digest("m"), "up") == [1, 2, 3]
    assert around(client, seven.digest, "down") == [3, 5]
    if few_looked_at > 1:
        assert around(client, old.digest, "down") == [3, 4, 5]
    assert (read_by(client, 1), read_by(client, 2)) == ({"data/": 3}, {"data/class_007/": 5})
    columns = columns_of(client.get(f"/dag/{dag}").text)
    assert columns["1"] == columns["2"] < columns["3"] == columns["4"] == columns["5"]


def test_a_folder_of_a_dataset_is_part_of_it(client, send, few_looked_at):
    whole, written = of("many/", {f"c{n}/{i}": f"{n} {i}" for n in range(8) for i in range(6)})
    part, read = of("many/c7/", {str(i): f"7 {i}" for i in range(6)})
    send(at(1, 1, outputs=(written,)), at(2, 2, inputs=(read,)), datasets=(whole, part))
    assert written_by(client, 2) == {"many/c7/": 1}
    assert read_by(client, 1) == {"many/": 2}
    assert around(client, whole.digest, "down") == [2]
    assert "No registered job read it" not in client.get(f"/artifacts/{whole.digest}").text


def test_a_session_with_a_copy_of_a_dataset_is_drawn_from_its_makers_on(client, send, few_looked_at):
    whole, read = folder("data/", NAMES[:12])
    copied = dataclasses.replace(read, path="data2/")
    dag = send(at(1, 1, outputs=tuple(one(f"data/{name}") for name in NAMES[:6])),
               at(2, 2, outputs=tuple(one(f"data/{name}") for name in NAMES[6:12])),
               at(3, 3, inputs=(read,), outputs=(copied,)), at(4, 4, inputs=(read,), outputs=(use("m"),)),
               at(5, 5, inputs=(copied,)), datasets=(whole,))
    columns = columns_of(client.get(f"/dag/{dag}").text)
    assert columns["1"] == columns["2"] < columns["3"] == columns["4"] < columns["5"]


def test_of_very_many_reruns_each_is_linked_to_its_own_readers(client, send):
    whole, written = folder("data/", NAMES[:6])
    runs = range(1, 47, 2)
    send(*(each for n in runs for each in (at(n, n, outputs=(written,)),
                                           at(n + 1, n + 1, inputs=(one("data/f002.bin"),), outputs=(use(f"o{n}"),)))),
         datasets=(whole,))
    for n in runs:
        assert written_by(client, n + 1) == {"data/f002.bin": n}
        assert read_by(client, n) == {"data/": n + 1}
        assert around(client, digest(f"o{n}"), "up") == [n, n + 1]


def test_of_jobs_side_by_side_it_is_the_one_that_ended_last(client, send):
    send(at(1, 1, outputs=(use("a"),), duration_s=600.0), at(2, 2, outputs=(use("a"),), duration_s=1.0),
         at(3, 20, inputs=(use("a"),)))
    assert written_by(client, 3) == {"a": 1}


def test_it_was_read_by_who_read_what_this_job_made(client, send):
    """Not by who read the same content as another one wrote it."""
    send(at(1, 1, outputs=(use("m"),)), at(2, 2, inputs=(use("m"),)))
    send(at(3, 3, outputs=(use("m"),)), at(4, 4, inputs=(use("m"),)))
    assert (read_by(client, 1), read_by(client, 3)) == ({"m": 2}, {"m": 4})


def test_content_of_unknown_size_is_followed_like_any_other(client, send):
    unknown = dataclasses.replace(use("m"), size=None)
    send(at(1, 1, outputs=(unknown,)), at(2, 2, inputs=(unknown,), outputs=(use("n"),)))
    assert written_by(client, 2) == {"m": 1}
    assert around(client, digest("m"), "down") == [2]
    assert around(client, digest("n"), "up") == [1, 2]


def test_a_page_names_a_job_once_that_made_a_folder_file_by_file_and_says_where_it_ends(client, send):
    whole, read = folder("in/", NAMES[:60])
    files = tuple(one(f"in/{name}") for name in NAMES[:60])
    send(at(1, 1, outputs=files), at(2, 2, inputs=(read,)), datasets=(whole,))
    assert 'Where it came from <span class="count">1</span>' in client.get(f"/artifacts/{whole.digest}").text
    many, written = folder("a/", NAMES)
    send(at(3, 3, outputs=(written,)), *(at(n + 4, 4, inputs=(one(f"a/{name}"),)) for n, name in enumerate(NAMES)),
         datasets=(many,))
    page = client.get(f"/artifacts/{many.digest}").text
    assert 'What it went into <span class="count">20+</span>' in page
    assert "There is more than is drawn." in page


def test_a_dataset_that_several_jobs_made_says_how_many_and_the_api_names_uses_by_way_of_datasets(client, send):
    whole, read = folder("in/", NAMES[:3])
    send(*(at(n + 1, n + 1, outputs=(one(f"in/{name}"),)) for n, name in enumerate(NAMES[:3])),
         at(9, 9, inputs=(read,)), datasets=(whole,))
    told = client.get(f"/api/v1/jobs/{uid(9)}/inputs").json()["inputs"][0]
    assert (int(told["written_by"]["uid"], 16), told["written_by_others"]) == (3, 2)
    assert '@3</a> <span class="muted">and 2 others</span>' in client.get(f"/jobs/{uid(9)}").text
    found = client.get(f"/api/v1/artifacts/{whole.digest}").json()
    assert [(use["path"], int(use["job"]["uid"], 16)) for use in found["produced_as"]] == [
        ("in/f002.bin", 3), ("in/f001.bin", 2), ("in/f000.bin", 1)]
    file = client.get(f"/api/v1/artifacts/{one('in/f001.bin').digest}").json()
    assert [(use["digest"], use["path"], int(use["job"]["uid"], 16)) for use in file["used_as"]] == [
        (whole.digest, "in/", 9)]
    assert (file["produced_as"], found["used_as"]) == ([], [])
