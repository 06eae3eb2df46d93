import dataclasses
import re
import subprocess
from importlib.resources import files

import pytest
from registrations import MLFLOW_URL, WANDB_URL, dataset_of, digest, digits, grown, job, uid, use, wandb_run

from glaas.words import command_text
from roar import model
from roar.wire import DatasetMember, FileUse, Kind


def test_the_job_page_leads_with_the_trackers(client, registered):
    text = client.get(f"/jobs/{uid(2)}").text
    wandb = f'href="{WANDB_URL}" target="_blank" rel="noopener noreferrer">View in W&amp;B'
    mlflow = f'href="{MLFLOW_URL}" target="_blank" rel="noopener noreferrer">View in MLflow'
    sync = "wandb sync wandb/offline-run-20261122_100000-offl1ne0"
    assert wandb in text
    assert mlflow in text
    assert f'data-copy="{sync}"' in text
    assert max(text.index(wandb), text.index(mlflow), text.index(sync)) < text.index('id="command"')
    assert "812 files of wandb" in text
    assert "owner=alice" in text


@pytest.mark.parametrize("path", [
    "/", "/search", "/search?q=python", "/search?q=nothing+like+this", "/tracker-runs", "/tracker-runs?tracker=wandb",
    f"/jobs/{uid(1)}", f"/jobs/{uid(3)}", f"/jobs/{uid(1)}/outputs", f"/jobs/{uid(1)}/inputs?cursor=100",
    f"/artifacts/{digits().datasets[0].digest}", f"/artifacts/{digest('model.pt')}",
    f"/artifacts/{digest('member 2')}",
    f"/artifacts/{digits().datasets[0].digest}?within=3"])
def test_pages(client, registered, path):
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")


def test_the_dag_page_draws_every_job_as_a_link(client, registered):
    text = client.get(f"/dag/{registered}").text
    svg = text[text.index("<svg xmlns"):text.index("</figure>")]
    assert [f'<a href="/jobs/{uid(n)}">' in svg for n in (1, 2, 3)] == [True] * 3
    assert f'/artifacts/{digest("model.pt")}' in svg


def test_a_payload_is_drawn_once_a_job_reads_it(client, post):
    first = dataclasses.replace(digits(), jobs=digits().jobs[:2])
    for registration, drawn in ((first, False), (digits(), True)):
        text = client.get(f"/dag/{post(registration).json()['dag']}").text
        svg = text[text.index("<svg xmlns"):text.index("</figure>")]
        assert (f'/artifacts/{digest("best.pt")}' in svg) is drawn


def test_unknown_things_are_a_page_that_says_so(client):
    for path in ("/jobs/xyz", f"/jobs/{uid(7)}", f"/dag/{'0' * 64}", f"/artifacts/{'0' * 64}", "/nowhere"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/html")
        api = client.get("/api/v1" + path.replace("/dag/", "/sessions/"))
        assert api.status_code == 404
        assert api.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", [
    WANDB_URL, WANDB_URL + "/logs?nw=nwuseracme", MLFLOW_URL + "/artifacts", "abc123xy", "epochs", "owner=alice",
    uid(2), digits().jobs[1].command[1] + " 3"])
def test_the_way_back_to_the_one_job(client, registered, query):
    response = client.get("/search", params={"q": query}, follow_redirects=False)
    if response.status_code == 200:  # several things found: the job is among them
        assert f"/jobs/{uid(2)}" in response.text
        assert query in ("epochs", "train.py 3", uid(2))
    else:
        assert response.headers["location"] == f"/jobs/{uid(2)}"


def test_the_same_run_id_elsewhere_is_no_proof(client, registered):
    text = client.get("/search", params={"q": "https://elsewhere.example/x/y/runs/abc123xy"}).text
    assert "not proven" in text
    assert f"/jobs/{uid(2)}" in text


def links(text, start):
    return re.findall(rf'href="({start}[^"]*)"', text)


def test_home_shows_recent_jobs_sessions_and_the_search_box(client, post, registered):
    post(dataclasses.replace(digits(), session="11" * 16, jobs=tuple(job(n) for n in range(10, 50)), datasets=(),
                             payloads=()))
    text = client.get("/").text
    assert '<form class="find" action="/search" role="search">' in text
    assert links(text, "/jobs/") == [f"/jobs/{uid(n)}" for n in range(49, 19, -1)]
    assert links(text, "/dag/")[1:] == [f"/dag/{registered}"]
    older = client.get(re.search(r'href="(/\?cursor=\d+)">Older jobs', text)[1]).text
    assert links(older, "/jobs/") == [f"/jobs/{uid(n)}" for n in [*range(19, 9, -1), 3, 2, 1]]
    assert "Older jobs" not in older


def test_a_part_of_a_session_registered_later_does_not_hide_the_whole(client, post):
    """As `roar register model.pkl` does; a session that has grown is shown by its newest registration."""
    dags = {}
    for name, registration in (("first", dataclasses.replace(digits(), jobs=digits().jobs[:1], payloads=())),
                               ("whole", digits()),
                               ("part", dataclasses.replace(digits(), jobs=digits().jobs[1:2]))):
        dags[name] = post(registration).json()["dag"]
    assert links(client.get("/").text, "/dag/") == [f"/dag/{dags['whole']}"]
    for path in (f"/jobs/{uid(2)}", f"/jobs/{uid(2)}/inputs"):
        crumbs = client.get(path).text.partition('class="crumbs"')[2].partition("</nav>")[0]
        assert links(crumbs, "/dag/") == [f"/dag/{dags['whole']}"], path
    notes = {name: re.findall(r'<p class="note block">(.*?)</p>', client.get(f"/dag/{dag}").text)
             for name, dag in dags.items()}
    assert notes["whole"] == []
    assert "as it was then" in notes["first"][0]
    assert "a part of the session" in notes["part"][0]
    assert links(notes["first"][0], "/dag/") == links(notes["part"][0], "/dag/") == [f"/dag/{dags['whole']}"]
    post(grown(digits(), job(4)))
    assert f"/dag/{dags['whole']}" not in client.get("/").text


def test_the_artifact_page_tells_where_from_where_to_and_every_name(client, post, registered):
    other = job(4, inputs=(use("copy/of/it.pt", "model.pt"),), outputs=(use("again.pt", "model.pt"),))
    post(grown(digits(), other))
    text = client.get(f"/artifacts/{digest('model.pt')}").text
    origin, _, rest = text.partition('id="from"')[2].partition('id="into"')
    into, _, rest = rest.partition('id="names"')
    assert set(links(origin, "/jobs/")) == {f"/jobs/{uid(2)}", f"/jobs/{uid(4)}"}
    assert set(links(into, "/jobs/")) == {f"/jobs/{uid(3)}", f"/jobs/{uid(4)}"}
    names = rest.partition("</section>")[0]
    assert {"model.pt", "copy/of/it.pt", "again.pt"} == set(re.findall(r'<code class="wrap">([^<]+)</code>', names))
    member = client.get(f"/artifacts/{digest('member 2')}").text
    assert f'href="/artifacts/{digits().datasets[0].digest}"' in member.partition("Part of")[2]


RUNS = tuple(wandb_run(run_id=f"run{tracker}{project}{entity}{state}".lower(), tracker=tracker, label=tracker.upper(),
                       project=project, entity=entity, name=None,
                       url=f"https://{tracker}.example/{entity}/{project}/{state}" if state == "online" else None,
                       state=model.TrackerRunState(state))
             for tracker in ("wandb", "comet") for project in ("digits", "faces") for entity in ("acme", "beta")
             for state in ("online", "offline", "local", "partial"))


@pytest.mark.parametrize("wanted", [
    {}, {"tracker": "comet"}, {"project": "faces"}, {"entity": "beta"}, {"state": "offline"}, {"state": "partial"},
    {"tracker": "wandb", "project": "digits", "entity": "acme", "state": "local"},
    {"tracker": "nothing"}, {"project": "Faces"}])
def test_tracker_runs_are_filtered(client, post, wanted):
    post(dataclasses.replace(digits(), jobs=(job(1, tracker_runs=RUNS),), datasets=(), payloads=()))
    right = [run.run_id for run in reversed(RUNS)
             if all(str(getattr(run, field)) == value for field, value in wanted.items())]
    text = client.get("/tracker-runs", params=wanted).text
    assert re.findall(r'<tr><td class="path"><code class="wrap">(\w+)</code>', text) == right
    api = client.get("/api/v1/tracker-runs", params=wanted).json()["tracker_runs"]
    assert [run["run_id"] for run in api] == right
    assert re.findall(r'<option value="(\w+)"', text) == ["comet", "wandb"]
    for field in ("project", "entity"):  # the form keeps what was asked for
        assert f'name="{field}" value="{wanted.get(field, "")}"' in text
    if "state" in wanted:
        assert f"<option selected>{wanted['state']}</option>" in text
    if not right:
        assert "No tracker runs like that are registered." in text


def test_tracker_runs_page_by_page_keep_the_filter(client, post):
    runs = tuple(wandb_run(run_id=f"run{n}", url=None, state=model.TrackerRunState.LOCAL, project=f"p&{n % 2}")
                 for n in range(210))
    post(dataclasses.replace(digits(), jobs=(job(1, tracker_runs=runs),), datasets=(), payloads=()))
    seen, path = [], "/tracker-runs?project=p%261&state=local"
    while path:
        text = client.get(path).text
        seen += re.findall(r'<code class="wrap">(run\d+)</code>', text)
        onward = re.search(r'rel="next" href="([^"]+)"', text)
        path = onward and onward[1].replace("&amp;", "&")
    assert seen == [f"run{n}" for n in range(209, 0, -2)]


@pytest.mark.parametrize(("query", "found"), [
    (digest("model.pt")[:10], [("artifacts", digest("model.pt"))]),
    (digest("member 3")[:12], [("artifacts", digest("member 3"))]),
    ("data/digits/3.npy", [("artifacts", digest("member 3"))]),
    ("raw.c", [("artifacts", digest("raw.csv"))]),
    ("digits/3.npy", [("artifacts", digest("member 3"))]),
    ("--epochs", [("jobs", uid(2))]),
    ("TRAIN.PY 3", [("jobs", uid(2))]),
    ("owner=alice", [("jobs", uid(2))]),
    ("alice", [("jobs", uid(2))]),
    ("silver-fox", [("jobs", uid(2))]),
    ("offl1ne0", [("tracker_runs", uid(2))]),
    ("prepare", [("jobs", uid(1)), ("artifacts", digest("prepare.py"))]),
    ("numpy", [("jobs", uid(n)) for n in (3, 2, 1)]),
    ("numpy==2.1.0", [("jobs", uid(n)) for n in (3, 2, 1)]),
    ("NumPy==2.1.0", [("jobs", uid(n)) for n in (3, 2, 1)]),
    ("numpy==2.1", []),
    ("scikit-learn", [("jobs", uid(n)) for n in (3, 2, 1)]),
    ("c0ffee", [("jobs", uid(n)) for n in (3, 2, 1)]),
    (uid(3), [("jobs", uid(3))]),
    ("no such thing", []),
])
def test_one_box_searches_for_everything(client, registered, query, found):
    shape = client.get("/api/v1/search", params={"q": query}).json()
    seen = [("tracker_runs", run["job"]["uid"]) for run in shape["tracker_runs"]]
    seen += [("jobs", one["uid"]) for one in shape["jobs"]]
    seen += [("artifacts", one["digest"]) for one in shape["artifacts"]]
    assert seen == found
    page = client.get("/search", params={"q": query}, follow_redirects=True).text
    for noun, key in found:
        assert f"/{'jobs' if noun == 'tracker_runs' else noun}/{key}" in page or key in page


@pytest.mark.parametrize(("url", "pasted"), [
    ("https://www.comet.com/acme/digits/0123456789abcdef0123456789abcdef",
     "https://www.comet.com/acme/digits/0123456789abcdef0123456789abcdef?experiment-tab=panels&showOutliers=true"),
    ("https://app.clear.ml/projects/aa11/experiments/bb22/output/log",
     "https://app.clear.ml/projects/aa11/experiments/bb22/output/log/"),
    ("http://clearml.lab:8080/projects/*/experiments/bb22cc33/output/log",
     "http://clearml.lab:8080/projects/*/experiments/bb22cc33/output/log?columns=selected"),
    ("https://app.neptune.ai/o/acme/org/digits/runs/details?viewId=standard-view&runId=DIG-7",
     "https://app.neptune.ai/o/acme/org/digits/runs/details?viewId=standard-view&runId=DIG-7"),
    ("http://127.0.0.1:5000/#/experiments/1/runs/0123456789abcdef0123456789abcdef",
     "http://127.0.0.1:5000/#/experiments/1/runs/0123456789abcdef0123456789abcdef/model-metrics"),
    ("https://wandb.ai/acme/digits/runs/k2v9x1qd", "http://wandb.ai/acme/digits/runs/k2v9x1qd/overview?nw=nwuser"),
])
def test_a_trackers_address_leads_to_the_job(client, post, url, pasted):
    run = wandb_run(run_id=re.findall(r"[\w-]{4,}", url.removesuffix("/output/log"))[-1], url=url)
    post(dataclasses.replace(digits(), jobs=(job(1, tracker_runs=(run,)), job(2)), datasets=(), payloads=()))
    answer = client.get("/search", params={"q": pasted}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{uid(1)}")


# ------------------------------------------------------------------------------------------------------ colours


def colours():
    """By scheme, the custom properties of the style sheet."""
    style = (files("glaas") / "static" / "glaas.css").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part))
                   for part in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2])
    return {"light": light, "dark": light | dark}


def luminance(colour):
    """Relative luminance, as WCAG 2.1 defines it."""
    parts = [int(colour[n:n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_of_a_graph_can_be_read(scheme):
    """axe-core does not look at text and lines inside an SVG; WCAG AA asks for 4.5 for text and 3 for edges."""
    known = colours()[scheme]
    for text, grounds in (("text", ("job", "file", "set", "bad-soft", "live-soft")),
                          ("muted", ("job", "file", "set", "bad-soft", "live-soft", "card", "page")),
                          ("link", ("page", "card", "code")), ("bad", ("bad-soft",)), ("live", ("live-soft",)),
                          ("good", ("good-soft",))):
        for ground in grounds:
            assert contrast(known[text], known[ground]) >= 4.5, (text, ground)
    for line in ("job-line", "file-line", "set-line", "bad", "live", "accent"):  # of boxes and of input fields
        for ground in ("card", "page"):
            assert contrast(known[line], known[ground]) >= 3, (line, ground)


@pytest.mark.parametrize("words", [
    ("python", "train.py", "--lr", "0.1"), ("python", "-c", "import x\n\tprint('a')\n"), ("", "a b", "it's", "$HOME"),
    ("\x1b[31m", "\u202eabc", "a\x07b", "\x7f1", "äß🙂"), ("a\rb", "\x0b", "\u2028\n")])
def test_a_command_on_a_page_can_be_pasted_and_hides_nothing(words):
    text = command_text(words)
    assert all(letter.isprintable() or letter in "\n\t" for letter in text)
    told = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True).stdout
    assert tuple(told.decode().split("\0")[:-1]) == words


def test_the_lines_of_a_command_stay_lines():
    assert command_text(("python", "-c", "import x\nx.run()")) == "python -c 'import x\nx.run()'"


@pytest.mark.parametrize(("path", "shown"), [
    ("out/model-*-of-00002.bin", "out/model-*-of-00002.bin"), ("out/", "out/"), ("out", "out/")])
def test_a_folder_ends_in_a_slash_and_shards_do_not(client, post, path, shown):
    wholes = [dataset_of(tuple(DatasetMember(path=f"model-0000{n}-of-00002.bin", digest=digest(f"{version}.{n}"),
                                             size=10) for n in (1, 2))) for version in (1, 2)]
    made = [FileUse(path=path, digest=whole.digest, size=20, kind=Kind.DATASET, files=2) for whole in wholes]
    dag = post(dataclasses.replace(digits(), jobs=(job(1, outputs=(made[0],)), job(2, outputs=(made[1],))),
                                   datasets=tuple(wholes), payloads=())).json()["dag"]
    assert f'<span class="wrap">{shown}</span>' in client.get(f"/jobs/{uid(1)}").text
    assert client.get(f"/search?q={path}").text.count(f'<span class="wrap">{shown}</span>') == 2
    assert f">{shown.removeprefix('out/') or shown}</text>" in client.get(f"/dag/{dag}").text


@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", f"/jobs/{uid(2)}", f"/jobs/{uid(99)}", "/static/glaas.css"])
def test_head_is_get_without_the_body(client, registered, path):
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers == get.headers


def test_long_texts_and_long_lists_of_one_job_make_no_long_page(client, post):
    long, line, rows = "lo ng" * 20_000, "lo ng" * 2_000, 3000
    runs = tuple(wandb_run(run_id=f"run{n}", url=f"https://wandb.ai/a/b/runs/run{n}", name=long if n == 1 else None,
                           label=long if n == 2 else "W&B", note=long if n == 3 else None) for n in range(rows))
    one = job(1, command=("python", "-c", long), name=long, cwd=long, tracker_runs=runs,
              labels={"long": long} | {f"key{n}": "value" for n in range(rows)},
              git=model.Git(commit=line, branch=line, remote=long, dirty=True, patch=line, worktree=line,
                            repositories=rows * (model.Repository(path=long[:5000], kind="nested", commit=None,
                                                                  remote=None, dirty=True),)),
              host=model.Host(os=line, machine=line, cpu=line, cpus=2, memory=1, gpus=(line,) * 3),
              tracer=model.Tracer(mode=line, gaps=(line,)))
    assert post(dataclasses.replace(digits(), jobs=(one,), datasets=(), payloads=())).status_code == 201
    assert client.get(f"/api/v1/jobs/{uid(1)}").json()["name"] == long
    page = client.get(f"/jobs/{uid(1)}").text
    assert "…" in page
    assert f"50 of {rows // 1000}\N{NARROW NO-BREAK SPACE}000 tracker runs" in page
    for path in (f"/jobs/{uid(1)}", "/", "/tracker-runs", "/search?q=key7"):
        assert len(client.get(path).content) < 100_000, path
    received = client.get(f"/jobs/{uid(1)}")
    assert int(received.headers["content-length"]) < 60_000  # over the wire
