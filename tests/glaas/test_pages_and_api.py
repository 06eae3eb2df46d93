"""The API says everything that the pages show.

Every page is taken apart into the words that a person can read or follow on it. Words of the templates' own are left
out; each of the others has to stand in what the API answers about the same thing, as it is or as pages write it (a
digest cut short, a size with its unit). A page that learns to show something new fails here until the API says it too.
"""

import dataclasses
import json
import re
from html.parser import HTMLParser
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from jinja2 import ChoiceLoader, DictLoader
from registrations import SESSION, body, dataset_of, digest, digits, grown, job, mlflow_run, uid, use, wandb_run
from starlette.testclient import TestClient

from glaas import accounts, models
from glaas.access import create_project, set_member
from glaas.app import create_app
from glaas.db import open_engine, writing
from glaas.pages.rendering import environment
from glaas.pages.routes import router
from glaas.settings import Settings
from glaas.words import command_text, duration_text, plural, time_text
from roar import model
from roar.wire import DatasetMember, Payload, Registration, size_text

JSON = {"content-type": "application/json"}
READ_ATTRIBUTES = {"title", "datetime", "data-copy", "aria-label", "placeholder", "value"}
WORD = re.compile(r"[^\s,;:()\[\]{}“”\u2018\u2019\"'·…|=/?&#@]+")
CUT = re.compile(r"(\S+)…")


class Page(HTMLParser):
    """The texts, the attributes that people read, and the links of a page's main part."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.links, self._depth = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "main":
            self._depth = 1
        if not self._depth:
            return
        given = dict(attributes)
        self.texts += [text for name, text in given.items() if name in READ_ATTRIBUTES and text]
        if tag == "a":
            self.links.append(given["href"])

    def handle_endtag(self, tag):
        if tag == "main":
            self._depth = 0

    def handle_data(self, data):
        if self._depth:
            self.texts.append(data)


def words_of(text):
    return {word.strip(".!") for word in WORD.findall(text)} - {""}


def linked_words(href):
    """What a link names: the tracker's address as it is, of our own the things in its path and its query."""
    parts = urlsplit(href)
    if parts.scheme:
        return {href}
    texts = [unquote(part) for part in parts.path.split("/")] + [value for _, value in parse_qsl(parts.query)]
    return set().union(*map(words_of, texts)) if parts.path != "" else set()


def template_words():
    """The words that the templates and the code behind them write by themselves."""
    env = environment()
    texts = []
    for name in env.list_templates(filter_func=lambda name: name.endswith(".html")):
        source, _, _ = env.loader.get_source(env, name)
        for _, kind, text in env.lex(source):
            if kind == "data":
                texts += re.sub(r"<[^>]*?(?:>|$)|^[^<]*?>", " ", text).split("\n") + re.findall(r'="([^"]*)', text)
            elif kind == "string":
                texts.append(text)
    return set().union(*map(words_of, texts))


OF_THE_CODE = words_of("Step Command Folder Ended exit code Took Commit Branch Uncommitted changes yes none System"
                       " Processor unknown CPUs GPUs Python Observed Label file files job jobs package packages"
                       " artifact artifacts member members rerun reruns earlier in out and more times runs size")
COUNTED = re.compile(r"cursor=\d+|\d+ to \d+ of|\u00d7\d+")  # places in a list, and how often a step is in one


def scalars(value):
    """Every scalar in an answer, and how long each list in it is."""
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from scalars(inner)
    elif isinstance(value, list):
        yield len(value)
        if value and all(isinstance(one, str) for one in value):
            yield command_text(tuple(value))
        for inner in value:
            yield from scalars(inner)
    else:
        yield value


def written(value):
    """A scalar in all the ways in which pages write one."""
    if value is None or isinstance(value, bool):
        return
    yield str(value)
    if isinstance(value, int):
        yield from (size_text(value), plural(value, ""), duration_text(value))
    elif isinstance(value, float):
        yield duration_text(value)
    elif re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", value):
        yield value[:10]
    elif re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
        yield time_text(value)


def unsaid(page, answers):
    """The words of a page that no answer has."""
    known = template_words() | OF_THE_CODE
    strings = set()
    for text in (text for value in scalars(answers) for text in written(value)):
        strings.add(text)
        known |= words_of(text)
    whole = "\n".join(strings)
    found = Page(page)
    missing = set()
    for text in found.texts:
        for word in words_of(COUNTED.sub("", CUT.sub(" ", text))) - known:
            missing.add(word)
        missing |= {word for word in CUT.findall(text) if WORD.findall(word)[-1] not in whole}
    for href in found.links:
        missing |= {word for word in linked_words(COUNTED.sub("", href)) - known - strings if word not in whole}
    return missing


# ------------------------------------------------------------------------------------------- rich data

MEMBERS = (*(DatasetMember(path=f"qtrain/{n}.npy", digest=digest(f"qmember{n}"), size=7000 + n) for n in range(3)),
           DatasetMember(path="qreadme.md", digest=digest("qreadme"), size=4321))
FOLDER = dataset_of(MEMBERS)
GIT = model.Git(commit="5eed" * 10, branch="qbranch", remote="https://git.example/qremote", dirty=True,
                patch="ba" * 32, worktree="qtree", repositories=(
                    model.Repository(path="qnested", kind="nested", commit="feed" * 10, dirty=True,
                                     remote="https://git.example/qinner"),
                    model.Repository(path="qsub", kind="submodule", commit=None, dirty=False, remote=None)))
HOST = model.Host(os="qos", machine="qmachine", cpu="qcpu", cpus=37, memory=93_000_000_000, gpus=("qgpu",))
PYTHON = model.Python(version="3.77.1", packages=(model.Package(name="qpackage", version="41.5"),))
RUNS = (wandb_run(name="qname", entity="qentity", project="qproject", group="qgroup", evidence="qevidence",
                  note="qnote"),
        mlflow_run(name="qother", server="https://qserver.example/"),
        wandb_run(run_id="q0ffline", name=None, url=None, state=model.TrackerRunState.OFFLINE,
                  how_to_view="wandb sync qfolder"),
        mlflow_run(run_id="qpartial", url=None, state=model.TrackerRunState.PARTIAL, note="qreason",
                   server="https://qproven.example/"))


def rich(number, step, **more):
    values = {
        "step": step, "git": GIT, "host": HOST, "python": PYTHON, "cwd": "qcwd", "labels": {"qkey": "qvalue"},
        "tracer": model.Tracer(mode="preload", gaps=("qgap",)), "duration_s": 47.3,
        "started_at": f"2026-10-{number:02}T21:17:{number:02}.123456Z"}
    return job(number, **(values | more))


def rich_registration():
    """Rerun steps, files with makers and readers, a dataset, a payload, tracker runs of every kind, failures."""
    folder = model.FileUse(path="qdata/", digest=FOLDER.digest, size=sum(m.size for m in MEMBERS), files=4,
                           kind=model.Kind.DATASET)
    fetch = rich(11, 81, kind="get", name="qfetch", command=("roar", "get", "s3://qbucket/"), outputs=(folder,))
    train = [rich(n, 82, command=("python", "qtrain.py", "--qlr", f"0.{n}"), exit_code=code, tracker_runs=runs,
                  inputs=(use("qtrain.py", f"code {n}", size=5551), folder, use("qlost", note="qwhy", size=66),
                          model.FileUse(path="qgone", digest=None, size=None, note="qunreadable"),
                          model.FileUse(path="qedited/", digest=None, size=71, kind=model.Kind.DATASET, files=313,
                                        note="qchanged")),
                  outputs=(use(f"qmodel{n}.pt", size=881_234),),
                  trackers={"wandb": model.TrackerSummary(filtered_files=719)})
             for n, code, runs in ((12, 3, ()), (13, 0, RUNS))]
    serve = rich(14, 83, name="qserve", inputs=(use("qcopy.pt", "qmodel13.pt", size=881_234), use("qbest", size=717)),
                 outputs=(use("qreport.json", size=909),), exit_code=None, state=model.JobState.INTERRUPTED)
    payload = Payload(job=uid(13), path="mlruns/qbest", digest=digest("qbest"), size=717)
    return dataclasses.replace(digits(), jobs=(fetch, *train, serve), datasets=(FOLDER,), payloads=(payload,))


def again():
    """The session when it has grown."""
    return grown(rich_registration(), rich(15, 84, command=("qlast",), inputs=(use("qreport.json", size=909),)))


# ------------------------------------------------------------------------------- which answer says what

SUBJECT = digest("qmodel13.pt")
CASES = {
    "home": ("/", ["jobs", "sessions"]),
    "session": ("/dag/{first}", ["sessions/{first}", f"sessions?session={SESSION}"]),
    "session, reruns": ("/dag/{last}?reruns=all", ["sessions/{last}", f"sessions?session={SESSION}"]),
    **{f"job {n}": (f"/jobs/{uid(n)}", [f"jobs/{uid(n)}", f"jobs/{uid(n)}/inputs", f"jobs/{uid(n)}/outputs"])
       for n in (11, 12, 13, 14, 15)},
    "inputs": (f"/jobs/{uid(13)}/inputs", [f"jobs/{uid(13)}", f"jobs/{uid(13)}/inputs"]),
    "outputs": (f"/jobs/{uid(13)}/outputs", [f"jobs/{uid(13)}", f"jobs/{uid(13)}/outputs"]),
    "artifact": (f"/artifacts/{SUBJECT}", [f"artifacts/{SUBJECT}", f"artifacts/{SUBJECT}/lineage"]),
    "payload": (f"/artifacts/{digest('qbest')}", [f"artifacts/{digest('qbest')}",
                                                  f"artifacts/{digest('qbest')}/lineage"]),
    "member": (f"/artifacts/{digest('qmember1')}", [f"artifacts/{digest('qmember1')}",
                                                    f"artifacts/{digest('qmember1')}/lineage"]),
    "dataset": (f"/artifacts/{FOLDER.digest}", [f"artifacts/{FOLDER.digest}", f"artifacts/{FOLDER.digest}/lineage",
                                                f"artifacts/{FOLDER.digest}/members?folder="]),
    "folder": (f"/artifacts/{FOLDER.digest}?folder=qtrain/",
               [f"artifacts/{FOLDER.digest}", f"artifacts/{FOLDER.digest}/lineage",
                f"artifacts/{FOLDER.digest}/members?folder=qtrain/"]),
    "search within": (f"/artifacts/{FOLDER.digest}?within=READ",
                      [f"artifacts/{FOLDER.digest}", f"artifacts/{FOLDER.digest}/lineage",
                       f"artifacts/{FOLDER.digest}/members?within=READ"]),
    "tracker runs": ("/tracker-runs", ["tracker-runs", "trackers"]),
    **{f"tracker runs by {key}": (f"/tracker-runs?{key}={value}", [f"tracker-runs?{key}={value}", "trackers"])
       for key, value in (("tracker", "wandb"), ("project", "qproject"), ("entity", "qentity"), ("state", "partial"))},
    **{f"search {query}": (f"/search?q={query}", [f"search?q={query}&limit=50"])
       for query in ("qtrain", "qmodel", "qkey=qvalue", "qpackage", "00000000", "qbranch", "abc123xy",
                     "https://elsewhere.example/runs/abc123xy", "qnothing")},
    "search a digest": (f"/search?q={SUBJECT[:4]}", [f"search?q={SUBJECT[:4]}&limit=50"]),
    "search a session": ("/search?q={first:.9}", ["search?q={first:.9}&limit=50", "sessions/{first}"]),
    "compare": (f"/compare?a={uid(12)}&b={uid(14)}", [f"compare?a={uid(12)}&b={uid(14)}"]),
    "compare reruns": (f"/compare?a={uid(12)}&b={uid(13)}", [f"compare?a={uid(12)}&b={uid(13)}"]),
    "compare one": (f"/compare?a={uid(13)}", [f"jobs/{uid(13)}", f"jobs/{uid(13)}/similar"]),
    "compare by words": (f"/compare?a={uid(13)}&b=qvalue", [f"jobs/{uid(13)}", "search?q=qvalue"]),
}
ECHOED = {"READ", "qvalue", "qnothing", "https", "elsewhere.example", "abc123xy"}  # what was searched for


@pytest.fixture
def registered_rich(client, post):
    dags = []
    for registration in (rich_registration(), again()):
        answer = post(registration)
        assert answer.status_code == 201, answer.text
        dags.append(answer.json()["dag"])
    return dict(zip(("first", "last"), dags, strict=True))


def compare_page(client, case, dags, **more):
    path, api = CASES[case]
    page = client.get(path.format(**dags), follow_redirects=False, **more)
    if page.status_code == 303:  # a search that finds one thing leads there
        text = f'<main><a href="{page.headers["location"]}"></a></main>'
    else:
        assert page.status_code == 200, page.text
        text = page.text
    answers = [client.get("/api/v1/" + one.format(**dags), **more) for one in api]
    assert [answer.status_code for answer in answers] == [200] * len(api)
    return text, [answer.json() for answer in answers]


def test_the_api_says_what_the_pages_show(client, registered_rich):
    found = {case: unsaid(*compare_page(client, case, registered_rich)) - ECHOED for case in CASES}
    assert {case: words for case, words in found.items() if words} == {}


# ------------------------------------------------------------------------- the comparison finds what is missing

SAID_ONCE = {  # what a page shows of which only this field of the answer tells
    "job 13": ["name", "run_before", "written_by", "read_by", "registered_at", "gpus", "cpu", "memory", "gaps", "note",
               "evidence", "group", "how_to_view", "server", "entity", "url", "filtered_files", "labels", "branch",
               "packages", "path", "size", "cwd", "duration_s", "started_at", "patch", "remote"],
    "artifact": ["size", "started_at"],
    "dataset": ["folders", "members"],
    "session": ["registered_at", "artifacts", "session", "paths"],
    "home": ["sessions", "labels", "duration_s"],
    "tracker runs": ["project", "entity", "run_id", "url", "command"],
    "compare": ["jobs", "inputs", "outputs", "parameters"],
    "compare one": ["jobs"],
    "search qmodel": ["artifacts"],
}


def without(value, field):
    if isinstance(value, dict):
        return {key: without(inner, field) for key, inner in value.items() if key != field}
    return [without(one, field) for one in value] if isinstance(value, list) else value


def test_an_answer_that_says_less_is_found_out(client, registered_rich):
    overlooked = []
    for case, fields in SAID_ONCE.items():
        page, answers = compare_page(client, case, registered_rich)
        overlooked += [(case, field) for field in fields if not unsaid(page, without(answers, field)) - ECHOED]
    assert overlooked == []


@pytest.mark.parametrize(("template", "case", "addition"), [
    ("job.html", "job 13", "<p>row {{ stored.key + 55000 }}</p>"),
    ("artifact.html", "artifact", "<p title='{{ artifact.digest[20:40] }}Z'></p>"),
    ("dag.html", "session", "<a href='/jobs/{{ graph.jobs[0].uid|upper }}x'>first</a>"),
    ("home.html", "home", "<p>{{ jobs|map(attribute='duration_s')|sum }} s in all</p>"),
    ("compare.html", "compare", "<p>{{ a.job.host.memory }}</p>"),
])
def test_a_page_that_shows_more_is_found_out(client, registered_rich, monkeypatch, template, case, addition):
    env = environment()
    source, _, _ = env.loader.get_source(env, template)
    more = source.replace("{% block main %}", "{% block main %}" + addition)
    known = template_words()
    monkeypatch.setattr(env, "loader", ChoiceLoader([DictLoader({template: more}), env.loader]))
    monkeypatch.setattr(env, "cache", None)
    page, answers = compare_page(client, case, registered_rich)
    assert unsaid(page, answers) - known - ECHOED


def test_no_page_is_left_out():
    """Every page of the application is in the cases above, or shows nothing that is registered."""
    def kinds(routes):
        return {re.sub(r"[{][^}]*[}]", "*", route.path) for route in routes if "GET" in (route.methods or ())}

    shown_here = {re.sub(r"\?.*", "", path) for path, _ in CASES.values()}
    matched = {kind for kind in kinds(router.routes) for path in shown_here
               if re.fullmatch(kind.replace("*", "[^/]+"), path)}
    assert matched == kinds(router.routes)


# ------------------------------------------------------------------------------------------- who sees what


def test_the_api_says_what_a_viewer_sees_and_no_more(database):
    """What alice made in private is in no page and no answer for others; what a page shows them the API tells them."""
    engine = open_engine(database)
    with writing(engine) as connection:
        ids = {name: accounts.add_user(connection, name, "correct horse battery") for name in ("alice", "bob")}
        for project, who, visibility in (("hush", "alice", "private"), ("open", "bob", "public")):
            set_member(connection, create_project(connection, project, visibility), ids[who], can_write=True)
        tokens = {name: accounts.add_token(connection, number, f"q{name}") for name, number in ids.items()}
    secret = rich(31, 31, name="hush", command=("hush.py",), labels={"hush": "hush"},
                  inputs=(use("hush/copy", "qmodel13.pt", size=881_234), use("hush/report", "qreport.json", size=909)),
                  outputs=(use("hush/train.py", "code 13", size=5551), use("hush/lost", "qlost", size=66)),
                  tracker_runs=(wandb_run(tracker="hushtracker", label="hush", run_id="hush0run"),))
    private = Registration(version=1, client="roar", session="7e" * 16, jobs=(secret,))
    with TestClient(create_app(Settings(database=database, accounts=True)), base_url="https://testserver") as client:
        dags = {}
        for name, registration, who, project in (
                ("first", rich_registration(), "bob", "open"), ("last", again(), "bob", "open"),
                ("private", private, "alice", "hush")):
            answer = client.post("/api/v1/sessions", content=body(registration), params={"project": project},
                                 headers=JSON | {"authorization": f"Bearer {tokens[who]}"})
            assert answer.status_code == 201, answer.text
            dags[name] = answer.json()["dag"]
        uses = [f"/api/v1/artifacts/{SUBJECT}/uses?role={role}" for role in ("input", "output", "payload")]
        for who in (None, "bob", "alice"):
            headers = {"authorization": f"Bearer {tokens[who]}"} if who else {}
            said = [client.get(path, headers=headers).text for path in uses]
            for case in CASES:
                page, answers = compare_page(client, case, dags, headers=headers)
                assert unsaid(page, answers) - ECHOED == set(), (who, case)
                said += [page, json.dumps(answers)]
            marks = {mark for mark in ("hush", uid(31), "7e7e7e7e7e", dags["private"]) if mark in "".join(said)}
            assert bool(marks) == (who == "alice"), marks
    engine.dispose()


def test_an_account_page(database):
    engine = open_engine(database)
    with writing(engine) as connection:
        ids = {name: accounts.add_user(connection, name, "correct horse battery") for name in ("qalice", "qbob")}
        tokens = {name: accounts.add_token(connection, number, f"q{name}s") for name, number in ids.items()}
        accounts.add_token(connection, ids["qalice"], "qreader", scope="read", days=41)
        connection.execute(models.identity.insert(), {
            "issuer": "https://qissuer.example", "subject": "qsubject", "user_id": ids["qalice"],
            "linked_at": "2026-11-22T10:00:00.123456Z"})
    with TestClient(create_app(Settings(database=database, accounts=True)), base_url="https://testserver") as client:
        assert client.get("/api/v1/account").status_code == 401
        headers = {"authorization": f"Bearer {tokens['qalice']}"}
        page, answer = client.get("/account", headers=headers).text, client.get("/api/v1/account", headers=headers)
        assert unsaid(page, [answer.json()]) - words_of("revoke /account/tokens") <= {"1", "3"}  # the forms' addresses
        assert [token["name"] for token in answer.json()["tokens"]] == ["qreader", "qqalices"]
        for secret in (*tokens.values(), "qbob"):
            assert secret not in answer.text
        assert unsaid(page, [without(answer.json(), "identities")])
    with TestClient(create_app(Settings(database=database))) as client:
        assert client.get("/api/v1/account").status_code == 404
    engine.dispose()


# --------------------------------------------------------------------------------------- what many jobs used


def test_every_name_that_an_artifact_was_seen_under(client, post):
    """The page and the artifact's answer name the newest uses and say so; the list of uses has them all."""
    jobs = tuple(rich(100 + n, n, started_at=f"2026-10-01T21:{n // 60:02}:{n % 60:02}.000000Z",
                      inputs=(use(f"qname/{n}", "popular", size=5),),
                      outputs=(use(f"qout/{n}", "popular", size=5),) if n == 7 else ()) for n in range(130))
    assert post(Registration(version=1, client="roar", session=SESSION, jobs=jobs)).status_code == 201
    key = digest("popular")
    page = client.get(f"/artifacts/{key}").text
    assert '<span class="count">50+</span>' in page
    assert f'href="/api/v1/artifacts/{key}/uses?role=input"' in page
    seen, cursor = [], {}
    while cursor is not None:
        answer = client.get(f"/api/v1/artifacts/{key}/uses", params={"role": "input", "limit": 40} | cursor).json()
        seen += [(one["path"], one["job"]["uid"], one["role"]) for one in answer["uses"]]
        cursor = {"cursor": answer["next"]} if answer["next"] else None
    assert seen == [(f"qname/{n}", uid(100 + n), "input") for n in reversed(range(130))]
    written_once = client.get(f"/api/v1/artifacts/{key}/uses?role=output").json()["uses"]
    assert [one["path"] for one in written_once] == ["qout/7"]


@pytest.mark.parametrize("path", [
    "artifacts/{0}/uses?role=input&cursor=", f"jobs/{uid(13)}/inputs?cursor=", "jobs?cursor=", "tracker-runs?cursor=",
    "artifacts/{1}/members?cursor=", "artifacts/{1}/members?folder=&cursor="])
def test_a_cursor_of_any_size_is_no_bug(client, registered_rich, path):
    for cursor in ("9" * 18, "0", "9" * 18 + "~" + "9" * 18, "1~0", "~", "1~", "-1~0"):
        answer = client.get("/api/v1/" + path.format(digest("qmodel13.pt"), FOLDER.digest) + cursor)
        assert answer.status_code in {200, 422}, (cursor, answer.text)
