"""Comparing two jobs: from every job's page, the likely cause first, and the same as the client says."""

import dataclasses
import re

import pytest
from registrations import GIT, HOST, INNER, PYTHON, SESSION, digits, job, uid, use

from glaas.compare import compare
from roar import model
from roar.query import differences

FIRST = job(1, command=("python", "train.py", "--lr", "0.1", "data.size=5"), inputs=(use("a"), use("same")),
            outputs=(use("out", "old"), use("kept")))
LATER = job(2, step=1, started_at="2026-11-22T12:00:00.000000Z",
            command=("python", "train.py", "--lr", "0.01", "data.size=5", "--fast"),
            inputs=(use("a", "changed"), use("same")), outputs=(use("out", "new"), use("kept"), use("more")),
            git=dataclasses.replace(GIT, commit="beef" * 10),
            host=dataclasses.replace(HOST, gpus=("H100",)), cwd="work",
            python=dataclasses.replace(PYTHON, packages=(model.Package(name="numpy", version="2.2.0"),)))

SWAPPED = dataclasses.replace(FIRST, uid=uid(2), command=("python", "train.py", "data.size=5", "--lr", "0.1"),
                              outputs=(use("out", "other"),))


@pytest.fixture
def send(post):
    """Register jobs as one session."""
    def register(*jobs, session=SESSION):
        answer = post(dataclasses.replace(digits(), session=session, jobs=jobs, datasets=(), payloads=()))
        assert answer.status_code == 201, answer.text
    return register


def page_of(client, a, b):
    return client.get(f"/compare?a={uid(a)}&b={uid(b)}").text


def verdict(page):
    text = page.partition('class="verdict">')[2].partition("</section>")[0]
    return " ".join(re.sub(r"<[^>]*>", "", text).split())


def test_the_likely_cause_comes_first_and_says_what_changed(client, send):
    send(FIRST, LATER)
    assert f'href="/compare?a={uid(1)}&amp;b={uid(2)}"' in client.get(f"/jobs/{uid(2)}").text
    page = page_of(client, 1, 2)
    assert page.index('class="verdict"') < page.index("<table")
    assert verdict(page) == (
        "What made the difference Likely causes, the likeliest first: "
        "parameters --lr 0.1 → 0.01, --fast → given, folder → work inputs a "
        f"code commit {GIT.commit} → {'beef' * 10} packages numpy 2.1.0 → 2.2.0, scikit-learn 1.7.2 → none "
        "host gpus A100 → H100")
    assert "python train.py --lr 0.01" in page
    assert "2 differ, 1 the same" in page
    found = client.get(f"/api/v1/compare?a={uid(1)}&b={uid(2)}").json()
    assert found["likely_causes"] == ["parameters", "inputs", "code", "packages", "host"]
    assert found["parameters"] == [{"name": "--lr", "a": "0.1", "b": "0.01"},
                                   {"name": "--fast", "a": None, "b": "given"},
                                   {"name": "folder", "a": None, "b": "work"}]
    assert [d["name"] for d in found["inputs"]] == ["a"]
    assert (found["same_inputs"], found["same_outputs"]) == (1, 1)
    assert found["packages"] == [{"name": "numpy", "a": "2.1.0", "b": "2.2.0"},
                                 {"name": "scikit-learn", "a": "1.7.2", "b": None}]


@pytest.mark.parametrize(("later", "says"), [
    (dataclasses.replace(LATER, outputs=FIRST.outputs), "The outputs are the same."),
    (dataclasses.replace(FIRST, uid=uid(2), outputs=(use("out", "other"),)), "Nothing recorded explains it"),
    (FIRST, "That is one job."),
    (SWAPPED, "parameters order of the words --lr 0.1 data.size=5 → data.size=5 --lr 0.1"),
    (dataclasses.replace(SWAPPED, git=None), "Likely cause, the likeliest first: code"),
    (dataclasses.replace(FIRST, uid=uid(2), git=None, outputs=()), "Likely cause, the likeliest first: code"),
])
def test_what_the_verdict_can_be(client, send, later, says):
    send(*{one.uid: one for one in (FIRST, later)}.values())
    assert says in verdict(page_of(client, 1, int(later.uid, 16)))


@pytest.mark.parametrize(("before", "after"), [
    (FIRST, LATER), (LATER, FIRST), (FIRST, FIRST), (digits().jobs[0], digits().jobs[1]),
    (FIRST, dataclasses.replace(LATER, git=None, host=None, python=None)),
    (FIRST, dataclasses.replace(LATER, git=dataclasses.replace(GIT, repositories=INNER))),
    (SWAPPED, FIRST),
    (FIRST, dataclasses.replace(SWAPPED, inputs=())), (FIRST, dataclasses.replace(SWAPPED, cwd="w"))])
def test_the_server_says_the_same_as_the_client(before, after):
    here, there = compare(before, after), differences.compare(before, after)
    assert list(here.likely_causes) == there.causes()
    for section in (*there.causes(), "outputs"):
        assert [(one.name, one.a, one.b) for one in getattr(here, section)] == [
            (one.name, one.before, one.after) for one in getattr(there, section)], section


def choices(page):
    return re.findall(r'<li><a href="/compare\?a=(\w+)&amp;b=(\w+)"', page.partition('id="choices"')[2])


def test_every_job_can_be_compared_with_another(client, send):
    """Offered are the run before, jobs with the same script, and jobs of the session; the earlier one comes first."""
    send(FIRST, LATER, job(3))
    send(job(4, command=("python", "-u", "other/train.py", "--lr", "0.3")), job(5), session="11" * 16)
    for number in (1, 2, 3):
        assert f'href="/compare?a={uid(number)}"' in client.get(f"/jobs/{uid(number)}").text
    page = client.get(f"/compare?a={uid(2)}").text
    assert f'name="a" value="{uid(2)}"' in page
    assert choices(page) == [(uid(n), uid(2)) for n in (1, 4, 3)]
    assert (uid(1), uid(2)) in choices(client.get(f"/compare?a={uid(1)}").text)
    similar = client.get(f"/api/v1/jobs/{uid(2)}/similar").json()["jobs"]
    assert [one["uid"] for one in similar] == [uid(1), uid(4), uid(3)]
    assert len(client.get(f"/api/v1/jobs/{uid(2)}/similar?limit=2").json()["jobs"]) == 2
    assert choices(client.get(f"/compare?a={uid(5)}").text) == [(uid(4), uid(5))]


def test_the_other_is_found_by_words(client, send):
    send(FIRST, LATER, job(3, name="apart"))
    page = client.get(f"/compare?a={uid(1)}&b=apart").text
    assert choices(page) == [(uid(1), uid(3))]
    assert 'name="b" value="apart"' in page
    nothing = client.get(f"/compare?a={uid(1)}&b=nowhere")
    assert nothing.status_code == 200
    assert "No one job has a uid that begins with “nowhere”." in nothing.text


def test_what_cannot_be_compared(client, send):
    send(job(1))
    assert client.get("/compare").status_code == 200
    assert "No other job" in client.get(f"/compare?a={uid(1)}").text
    for path in ("/compare?a=zz&b=zz", f"/compare?a={uid(7)}", f"/api/v1/compare?a={uid(1)}&b=zz",
                 f"/api/v1/jobs/{uid(7)}/similar"):
        assert client.get(path).status_code == 404, path
    assert uid(1) not in client.get("/compare").text
