"""Every value that is registered may be hostile: nothing of it may act on a page."""

import dataclasses
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from registrations import SESSION, dataset_of, digest, digits, job, uid, use, wandb_run
from starlette.testclient import TestClient

from glaas.app import create_app
from glaas.pages.rendering import environment, link_or_none
from glaas.settings import Settings
from glaas.urls import is_web_url, url_key
from roar import model
from roar.wire import DatasetMember, Registration

HOSTILE = ("\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{% raw %}</title></textarea></svg>"
           "javascript:alert(1)\u202e\x1b[31m&lt;!--")
TAGS = {
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "div", "svg", "path", "circle", "form",
    "input", "nav", "main", "ol", "li", "h1", "h2", "code", "span", "p", "section", "ul", "b", "time", "table",
    "thead", "tr", "th", "tbody", "td", "pre", "button", "dl", "dt", "dd", "details", "summary", "footer", "figure",
    "figcaption", "defs", "marker", "g", "rect", "text", "strong", "label", "select", "option", "br"}


class Page(HTMLParser):
    """Collects what a page can do."""

    def __init__(self, text):
        super().__init__()
        self.links, self.wrong, self._script = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in TAGS:
            self.wrong.append(tag)
        given = dict(attributes)
        self.wrong += [name for name in given if name.startswith("on") or name in {"style", "srcdoc", "xlink:href"}]
        if tag == "script":
            self._script = True
            if not given["src"].startswith("/static/glaas.js"):
                self.wrong.append(given)
        if tag == "a":
            self.links.append(given)
        if tag == "form" and not given["action"].startswith("/"):
            self.wrong.append(given)

    def handle_data(self, data):
        if self._script and data.strip():
            self.wrong.append(data)

    def handle_endtag(self, tag):
        self._script = self._script and tag != "script"


def hostile_registration():
    folder = dataset_of((DatasetMember(path=HOSTILE, digest=digest("m"), size=1),))
    files = (use(HOSTILE, note=HOSTILE), model.FileUse(path=f"{HOSTILE}/", digest=folder.digest, size=1, files=1,
                                                      kind=model.Kind.DATASET))
    runs = (
        wandb_run(label=HOSTILE, name=HOSTILE, project=HOSTILE, entity=HOSTILE, group=HOSTILE, evidence=HOSTILE,
                  note=HOSTILE),
        wandb_run(run_id=HOSTILE, tracker="x" * 50, label=HOSTILE, url=None, state=model.TrackerRunState.OFFLINE,
                  how_to_view=HOSTILE, note=HOSTILE, server="javascript:alert(1)"),
        wandb_run(run_id="p", url=None, state=model.TrackerRunState.PARTIAL, server=HOSTILE, note=HOSTILE),
    )
    bad = job(
        1, inputs=files, outputs=(use("out" + HOSTILE),), name=HOSTILE, command=("python", HOSTILE), cwd=HOSTILE,
        kind="<script>", tracker_runs=runs, labels={HOSTILE: HOSTILE},
        git=model.Git(commit=HOSTILE, branch=HOSTILE, remote="javascript:alert(1)", dirty=True, patch=HOSTILE),
        host=model.Host(os=HOSTILE, machine=HOSTILE, cpu=HOSTILE, cpus=1, memory=1, gpus=(HOSTILE,)),
        python=model.Python(version=HOSTILE, packages=(model.Package(name=HOSTILE, version=HOSTILE),)),
        tracer=model.Tracer(mode=HOSTILE, gaps=(HOSTILE,)), trackers={HOSTILE: model.TrackerSummary(filtered_files=3)})
    return Registration(version=1, client=HOSTILE, session=SESSION, jobs=(bad,), datasets=(folder,))


def test_nothing_hostile_acts_on_a_page(client, post):
    response = post(hostile_registration())
    assert response.status_code == 201, response.text
    for path in ("/", f"/jobs/{uid(1)}", f"/jobs/{uid(1)}/inputs", f"/dag/{response.json()['dag']}", "/tracker-runs",
                 f"/artifacts/{digest(HOSTILE)}", f"/artifacts/{hostile_registration().datasets[0].digest}",
                 f"/artifacts/{digest('m')}"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        page = Page(answer.text)
        assert page.wrong == [], path
        assert "\u202e" not in answer.text
        assert "\x1b" not in answer.text
        for link in page.links:
            target = urlsplit(link["href"])
            assert target.scheme in {"http", "https"} or link["href"].startswith(("/", "#", "?")), link
            if target.scheme:
                assert (link["target"], link["rel"]) == ("_blank", "noopener noreferrer")


@pytest.mark.parametrize("path", ["/search", "/tracker-runs", "/nowhere"])
def test_nothing_hostile_in_an_address_acts_on_a_page(client, registered, path):
    names = ("q", "tracker", "project", "entity", "state")
    page = Page(client.get(path, params=dict.fromkeys(names, HOSTILE)).text)
    assert page.wrong == []


@pytest.mark.parametrize("url", [
    "javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "data:text/html,x", "vbscript:x",
    "file:///etc/passwd", "//evil.example/x", "http:evil", "http://", "https://user:pw@host/", "http://a b/", "ftp://x/",
    "http://a\\@b/", "http://x\n/", "", "http://[::1", "http://host:99999999/", 'http://host/"onclick=',
    "http://x/<script>", "h\0ttp://x"])
def test_what_is_no_web_url_never_becomes_a_link(url):
    assert not is_web_url(url)
    assert url_key(url) is None
    assert link_or_none(url) is None


@pytest.mark.parametrize("url", ["http://localhost:5000/#/experiments/1/runs/2", "https://wandb.ai/a/b/runs/c?x=y&z",
                                 "https://xn--bcher-kva.example/ü", "http://[::1]:80/"])
def test_what_is_a_web_url_does(url):
    assert link_or_none(url) == url


@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", "/nowhere", "/static/glaas.js", "/api/v1/nowhere"])
def test_every_answer_keeps_the_browser_in_bounds(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_only_what_never_changes_is_kept_by_caches(client, registered):
    page = client.get(f"/jobs/{uid(2)}")
    assert page.headers["cache-control"] == "private, no-cache"
    script = page.text.partition('<script src="')[2].partition('"')[0]
    assert "immutable" in client.get(script).headers["cache-control"]
    assert "immutable" not in client.get("/static/nothing.js?v=1").headers["cache-control"]


def test_templates_escape_everything_and_allow_nothing_inline():
    env = environment()
    assert env.autoescape is True
    for name in env.list_templates():
        source, _, _ = env.loader.get_source(env, name)
        assert "|safe" not in source.replace(" ", "")
        assert "style=" not in source
        assert "onclick" not in source
        assert "http://" not in source.replace("http://www.w3.org", "")
        assert "https://" not in source


def test_a_server_without_accounts_answers_only_to_its_own_names(database):
    app = create_app(Settings(database=database, hosts=frozenset({"localhost", "127.0.0.1", "::1"})))
    for base, status in (("http://localhost:8420", 200), ("http://127.0.0.1", 200), ("http://[::1]:8420", 200),
                         ("http://evil.example", 421), ("http://127.0.0.1.evil.example", 421)):
        with TestClient(app, base_url=base) as client:
            assert client.get("/api/v1/jobs").status_code == status


def test_another_sites_form_cannot_register(client):
    for media_type in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""):
        answer = client.post("/api/v1/sessions", content=b"{}", headers={"content-type": media_type})
        assert answer.status_code == 415


def test_too_large_a_body_is_refused_before_it_is_read_whole(database):
    import gzip  # noqa: PLC0415
    with TestClient(create_app(Settings(database=database, max_body=1000))) as client:
        headers = {"content-type": "application/json"}
        assert client.post("/api/v1/sessions", content=b"x" * 1001, headers=headers).status_code == 413
        bomb = gzip.compress(b" " * 50_000_000)
        assert client.post("/api/v1/sessions", content=bomb, headers=headers | {"content-encoding": "gzip"}
                           ).status_code == 413


@pytest.mark.parametrize("text", [
    "https://bob:hunter2x@host/x", "ghp_" + "a1" * 20, "hf_" + "b2" * 17, "AKIAABCDEFGHIJKLMNOP", "sk-" + "c3" * 20,
    "-----BEGIN RSA PRIVATE KEY-----", "?write_token=abcdef123456789", "SECRET: 1234567890abc"])
def test_what_looks_like_a_secret_is_refused_and_not_repeated(client, post, text):
    for values in ({"command": ("run", text)}, {"labels": {"x": text}}, {"name": text},
                   {"tracker_runs": (wandb_run(how_to_view=text),)}):
        sent = dataclasses.replace(digits(), jobs=(job(1, **values),), payloads=(), datasets=())
        answer = post(sent)
        assert answer.status_code == 422
        assert text not in answer.text


@pytest.mark.parametrize("text", [
    "--api-key=[redacted]", "tokenizer=bert", "--max-tokens 1000000", "password=$PASSWORD", "https://host:8080/a@b",
    "secret_santa.py", "data/password=changeme/x.csv"])
def test_what_only_sounds_like_a_secret_passes(post, text):
    assert post(dataclasses.replace(digits(), jobs=(job(1, command=("run", text)),), payloads=(), datasets=())
                ).status_code == 201
