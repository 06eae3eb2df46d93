"""What the graph of a session looks like: folded where it can be, and usable with thousands of boxes."""

import dataclasses
import re
import time

import pytest
from registrations import dataset_of, digest, digits, job, uid, use

from roar import model
from roar.wire import DatasetMember


def session(*jobs, **more):
    return dataclasses.replace(digits(), jobs=jobs, **({"datasets": (), "payloads": ()} | more))


@pytest.fixture
def drawn(client, post):
    """The SVG of a session, as the page has it, and the whole page."""
    def draw(registration, query=""):
        answer = post(registration)
        assert answer.status_code in {200, 201}, answer.text[:500]
        page = client.get(f"/dag/{answer.json()['dag']}{query}").text
        return page[page.index("<svg xmlns"):page.index("</figure>")], page
    return draw


def titles(svg):
    return re.findall(r"<title>(.*?)</title>", svg, re.DOTALL)


def test_the_files_of_a_dataset_are_one_box(drawn):
    members = tuple(DatasetMember(path=f"{n}.npy", digest=digest(f"m{n}"), size=10) for n in range(400))
    folder = dataset_of(members)
    whole = model.FileUse(path="data", digest=folder.digest, size=4000, kind=model.Kind.DATASET, files=400)
    make = job(1, outputs=tuple(use(f"data/{m.path}", f"m{n}", 10) for n, m in enumerate(members)))
    svg, _ = drawn(session(make, job(2, inputs=(whole,)), datasets=(folder,)))
    assert svg.count('<g class="box ') == 3
    assert ">400 files · " in svg
    assert len(re.findall("<path d=", svg)) == 3  # two lines, and the arrow's head


def test_files_that_the_same_jobs_wrote_and_read_are_one_box(drawn):
    svg, _ = drawn(session(job(1, outputs=tuple(use(f"{n}.txt") for n in range(50))),
                           job(2, inputs=tuple(use(f"{n}.txt") for n in range(50)))))
    assert svg.count('<g class="box ') == 3
    assert ">50 files<" in svg


def test_the_boxes_of_a_sweep_say_what_differs(drawn):
    jobs = [job(1, outputs=(use("data"),))]
    for n, rate in enumerate(("0.1", "0.01", "0.001")):
        command = ("python", "src/train.py", "--epochs", "40", "--data", "data/train.csv", "--lr", rate)
        jobs.append(job(2 + n, command=command, inputs=(use("data"),), outputs=(use(f"{n}.pt"),)))
    jobs += [job(9, name="final", command=("python", "src/train.py", "--lr", "1"), inputs=(use("data"),))]
    svg, _ = drawn(session(*jobs))
    for text in ("train.py --lr 0.1", "train.py --lr 0.01", "train.py --lr 0.001", "step1.py --lr 0.1", "final"):
        assert f'y="19">{text}</text>' in svg, text


def test_reruns_are_one_box_until_asked_for(drawn):
    runs = [job(n, step=1, started_at=f"2026-11-22T10:00:0{n}.000000Z", outputs=(use("out", f"out{n}"),))
            for n in range(1, 6)]
    svg, page = drawn(session(*runs))
    assert svg.count('<g class="box job') == 1
    assert f'href="/jobs/{uid(5)}"' in svg
    assert "@1 \N{MULTIPLICATION SIGN}5" in svg
    assert "4 earlier reruns folded" in page
    svg, page = drawn(session(*runs), "?reruns=all")
    assert svg.count('<g class="box job') == 5
    assert "Every rerun is shown" in page


def sweep(count):
    """One dataset, many trainings with an evaluation each, one report."""
    jobs = [job(1, outputs=(use("data.npz"),))]
    for n in range(count):
        jobs += [job(2 + 2 * n, inputs=(use("train.py"), use("data.npz")), outputs=(use(f"{n}.pt"),)),
                 job(3 + 2 * n, inputs=(use("eval.py"), use(f"{n}.pt")), outputs=(use(f"{n}.json"),))]
    return [*jobs, job(2 + 2 * count, inputs=tuple(use(f"{n}.json") for n in range(count)))]


def chain(count):
    """Each step reads what the one before wrote, and all read one more file."""
    return [job(n + 1, inputs=(use(f"s{n}"), use("settings.toml")), outputs=(use(f"s{n + 1}"),))
            for n in range(count)]


def dense(count):
    """Each step reads what all before wrote."""
    return [job(n + 1, inputs=tuple(use(f"s{k}") for k in range(n)), outputs=(use(f"s{n}"),)) for n in range(count)]


@pytest.mark.parametrize(("jobs", "boxes"), [(sweep(1000), 4000), (chain(1500), 3000)], ids=["sweep", "chain"])
def test_thousands_of_boxes_are_drawn_in_seconds(drawn, client, jobs, boxes):
    svg, page = drawn(session(*jobs))
    started = time.monotonic()
    client.get(re.search(r'href="/api/v1/sessions/(\w+)"', page)[1].join(("/dag/", "")))
    assert time.monotonic() - started < 15  # about one on an idle machine; minutes if lines lead around every box
    assert boxes <= svg.count('<g class="box ') < 1.3 * boxes
    assert len(page) < 4_000_000
    drawn_jobs = set(re.findall(r'<a href="/jobs/(\w+)">\s*<g class="box job', svg))
    assert drawn_jobs == {one.uid for one in jobs}
    assert page.count("<tr>") < 300  # the list of jobs is cut into pages
    assert 'rel="next"' in page


def level_stretches(path):
    """(x, x, y) of each part of a line that goes straight across."""
    stretches, x, y = [], 0.0, 0.0
    for command, numbers in re.findall(r"([MHC])([-\d ]+)", path):
        values = [float(number) for number in numbers.split()]
        if command == "H":
            stretches.append((x, values[0], y))
            x = values[0]
        else:
            x, y = values[-2:]
    return stretches


def places(svg):
    """(x, y) of the upper left corner of each box."""
    found = re.findall(r'<g class="box [^"]*" transform="translate\(([\d.]+) ([\d.]+)\)', svg)
    return [(float(x), float(y)) for x, y in found]


def lines(svg):
    return re.findall(r'<path d="([^"]+)" marker-end', svg)


@pytest.mark.parametrize("jobs", [chain(30), dense(12)], ids=["chain", "dense"])
def test_no_line_goes_through_a_box(drawn, jobs):
    svg, _ = drawn(session(*jobs))
    stretches = [stretch for line in lines(svg) for stretch in level_stretches(line)]
    assert len(stretches) >= 10
    through = [(stretch, box) for stretch in stretches for box in places(svg)
               if stretch[0] < box[0] + 195 and stretch[1] > box[0] + 1 and box[1] - 2 < stretch[2] < box[1] + 46]
    assert through == []
    assert all(abs(x - other_x) > 195 or abs(y - other_y) >= 44
               for n, (x, y) in enumerate(places(svg)) for other_x, other_y in places(svg)[:n])


def test_lines_from_one_box_are_one_until_they_branch(drawn):
    """A file that every step reads is one line along the chain, and a branch to each step, each with its arrow."""
    svg, _ = drawn(session(*chain(30)))
    stretches = [stretch for line in lines(svg) for stretch in level_stretches(line)]
    assert len(set(stretches)) == len(stretches)
    assert len(lines(svg)) == 30 * 3
    widest = max(x for x, _ in places(svg))
    assert sum(stop - start for start, stop, _ in stretches) < 2.2 * widest


def test_a_file_that_far_steps_read_is_drawn_near_them(drawn):
    svg, page = drawn(session(*chain(150)))
    again = svg.count('<g class="box artifact again"')
    assert 5 < again < 40
    assert titles(svg).count("settings.toml") == again + 1
    assert "drawn elsewhere too" in page
    svg, page = drawn(dataclasses.replace(session(*chain(10)), session="11" * 16))
    assert "again" not in svg
    assert "drawn elsewhere too" not in page


def test_of_what_no_browser_could_show_the_last_jobs_are_drawn(drawn):
    svg, page = drawn(session(*dense(260)))
    count = svg.count('<g class="box job')
    assert 50 < count < 260
    assert f"The last {count} jobs are drawn" in page
    assert f'href="/jobs/{uid(260)}"' in svg
    assert f'href="/jobs/{uid(1)}"' not in svg
    assert svg.count("<path d=") < 21_000


def test_jobs_are_listed_page_by_page(client, drawn):
    _, page = drawn(session(*chain(450)))
    seen = []
    while True:
        table = page[page.index('<table class="jobs">'):]
        seen += re.findall(r'<td class="what"><a href="/jobs/(\w+)"', table)
        more = re.search(r'rel="next" href="([^"]+)#jobs"', page)
        if more is None:
            break
        page = client.get(more[1]).text
    assert seen == [uid(n + 1) for n in range(450)]


def boxes_of(svg, path):
    return len([title for title in titles(svg) if title == path])


@pytest.mark.parametrize("query", ["", "?reruns=all"])
def test_reruns_that_wrote_the_same_made_one_file(drawn, query):
    """The step ran again after its output was read."""
    runs = [job(1, step=1, outputs=(use("out"),)), job(2, step=2, inputs=(use("out"),), outputs=(use("end"),)),
            job(3, step=1, outputs=(use("out"),))]
    svg, _ = drawn(session(*runs), query)
    assert boxes_of(svg, "out") == boxes_of(svg, "end") == 1
    assert len(re.findall("<path d=", svg)) == 1 + (4 if query else 3)  # the arrow's head, and all lines


@pytest.mark.parametrize("order", [(3, 4), (4, 3)])
def test_a_copy_stands_between_who_made_it_and_who_read_it(drawn, order):
    original, copy = use("m"), use("n", "m")
    readers = {3: original, 4: copy}
    svg, _ = drawn(session(job(1, outputs=(original,)), job(2, inputs=(original,), outputs=(copy,)),
                           *(job(n, inputs=(readers[number],)) for n, number in enumerate(order, 3))))
    columns = {name: float(x) for x, name in re.findall(
        r'<g class="box job[^"]*" transform="translate\(([\d.]+) .*?step(\d)', svg, re.DOTALL)}
    assert columns["1"] < columns["2"] == columns[str(order.index(3) + 3)] < columns[str(order.index(4) + 3)]
    assert boxes_of(svg, "m") == boxes_of(svg, "n") == 1


@pytest.mark.parametrize("query", ["", "?reruns=all"])
def test_reruns_that_wrote_the_parts_of_a_dataset_made_one(drawn, query):
    members = tuple(DatasetMember(path=f"{n}.npy", digest=digest(f"m{n}"), size=10) for n in range(9))
    folder = dataset_of(members)
    whole = model.FileUse(path="data", digest=folder.digest, size=90, kind=model.Kind.DATASET, files=9)
    parts = tuple(use(f"data/{m.path}", f"m{n}", 10) for n, m in enumerate(members))
    svg, _ = drawn(session(job(1, step=1, outputs=parts), job(2, step=2, inputs=(whole,)),
                           job(3, step=1, outputs=parts), datasets=(folder,)), query)
    assert svg.count('<g class="box ') == (4 if query else 3)
    assert len(re.findall("<path d=", svg)) == 1 + (3 if query else 2)


def test_a_rerun_that_read_what_came_of_the_first_makes_no_circle(drawn):
    runs = [job(1, step=1, outputs=(use("a"),)), job(2, step=2, inputs=(use("a"),), outputs=(use("b"),)),
            job(3, step=1, inputs=(use("b"),), outputs=(use("a"),))]
    svg, _ = drawn(session(*runs), "?reruns=all")
    assert boxes_of(svg, "a") == 2
    places = [float(x) for x in re.findall(r'<g class="box job[^"]*" transform="translate\(([\d.]+) ', svg)]
    assert places == sorted(set(places))


@pytest.mark.parametrize("made", [True, False])
def test_a_part_of_a_dataset_is_drawn_where_one_asks_for_it(client, post, made):
    members = tuple(DatasetMember(path=f"{n}.npy", digest=digest(f"m{n}"), size=10) for n in range(3))
    folder = dataset_of(members)
    whole = model.FileUse(path="data", digest=folder.digest, size=30, kind=model.Kind.DATASET, files=3)
    written = tuple(use(f"data/{n}.npy", f"m{n}", 10) for n in range(3)) if made else ()
    assert post(session(job(1, outputs=(*written, use("other"))), job(2, inputs=(whole,)), datasets=(folder,)
                        )).status_code == 201
    page = client.get(f"/artifacts/{digest('m1')}").text
    assert page.count('<g class="box artifact root"') == 1
    svg = page[page.index("<svg xmlns"):page.index("</figure>")]
    assert boxes_of(svg, "data/1.npy" if made else "1.npy") == 1
    assert "<h1>1.npy</h1>" in page
    assert boxes_of(svg, "data") == 1
    assert f'in: <a href="/artifacts/{folder.digest}">data</a>' in page
    assert "No registered job read it" not in page
    around = client.get(f"/api/v1/artifacts/{digest('m1')}/lineage").json()
    assert digest("m1") in {node["digest"] for node in around["artifacts"]}
