import contextlib
import gzip
import http.server
import json
import re
import threading
import urllib.error
import urllib.request

import pytest

from roar.errors import PublishError
from roar.model import Job, JobState, Tracer, TrackerRun, TrackerRunState
from roar.publish import server
from roar.publish.registration import make_registration
from roar.publish.server import parse_server
from roar.query.sessions import Publishable
from roar.wire import dag_digest
from roar.workspace import Workspace


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


@pytest.fixture
def recorded(desk):
    desk.init()
    desk.python("open('a.txt', 'w').write('a')")
    desk.python("open('b.txt', 'w').write(open('a.txt').read() + 'b')")
    desk.python("open('other.txt', 'w').write('o')")
    return desk


def test_registering_prints_the_pages_and_last_the_dag(recorded, glaas):
    printed = recorded.roar("register", "--server", glaas.url).stdout.splitlines()
    jobs = recorded.json("log")["jobs"]
    assert printed[:-1] == [f"@{job['step']}  {glaas.url}/jobs/{job['uid']}" for job in reversed(jobs)]
    assert re.fullmatch(re.escape(glaas.url) + "/dag/[0-9a-f]{64}", printed[-1])
    for line in printed:
        assert "<h1>" in fetch(line.split()[-1])


def test_the_server_shows_what_the_record_holds(recorded, glaas):
    recorded.roar("register", "--server", glaas.url)
    for job in recorded.json("log")["jobs"]:
        there = json.loads(fetch(f"{glaas.url}/api/v1/jobs/{job['uid']}"))
        assert {key: there[key] for key in job} == job


def test_a_folder_of_many_files_is_a_dataset_there(desk, glaas):
    desk.init()
    desk.python("import os; os.mkdir('d')\nfor n in range(150): open(f'd/{n} \u00fc.txt', 'w').write(str(n))")
    desk.python("print(sum(len(open(f'd/{n} \u00fc.txt').read()) for n in range(150)))")
    desk.roar("register", "--server", glaas.url)
    folder = desk.job()["inputs"][0]
    assert folder["files"] == 150
    page = fetch(f"{glaas.url}/artifacts/{folder['digest']}")
    assert "149 \u00fc.txt" in page
    members = json.loads(fetch(f"{glaas.url}/api/v1/artifacts/{folder['digest']}/members?limit=1000"))["members"]
    assert len(members) == 150


def test_registering_again_changes_nothing(recorded, glaas):
    first = recorded.roar("register", "--server", glaas.url, "--json")
    again = recorded.roar("register", "--server", glaas.url, "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout) | {"created": False}
    assert "had all of it already" in recorded.roar("register", "--server", glaas.url).stderr


def test_the_address_comes_from_the_settings(recorded, glaas):
    printed = recorded.roar("register", env={"ROAR_GLAAS_URL": glaas.url}).stdout
    assert printed.splitlines()[-1].startswith(f"{glaas.url}/dag/")


def test_a_jobs_lineage_without_the_rest_of_the_session(recorded, glaas):
    for ref in ("@2", "b.txt"):
        answer = json.loads(recorded.roar("register", ref, "--server", glaas.url, "--json").stdout)
        jobs = {job["uid"]: job["step"] for job in recorded.json("log")["jobs"]}
        assert sorted(jobs[job["uid"]] for job in answer["jobs"]) == [1, 2]


def test_a_dry_run_sends_nothing(recorded, glaas):
    text = recorded.roar("register", "--dry-run", "--server", glaas.url).stdout
    assert "3 jobs" in text
    assert glaas.url in text
    assert "[x] every job was observed" in text or "[ ] every job was observed" in text
    shape = json.loads(recorded.roar("register", "--dry-run", "--json").stdout)
    assert [job["step"] for job in shape["jobs"]] == [1, 2, 3]
    assert json.loads(fetch(f"{glaas.url}/api/v1/jobs"))["jobs"] == []
    sent = json.loads(recorded.roar("register", "--server", glaas.url, "--json").stdout)
    assert sent["dag"] == shape["dag"]


def test_a_server_that_is_down(recorded, glaas):
    glaas.stop()
    failed = recorded.roar("register", "--server", glaas.url, status=1)
    assert failed.stdout == ""
    assert "cannot be reached: connection refused" in failed.stderr
    assert "\n  Not published: 3 jobs. The record here is complete; nothing is lost.\n" in failed.stderr
    assert f"try: roar register --server {glaas.url}" in failed.stderr
    assert "Traceback" not in failed.stderr
    glaas.start()
    assert len(recorded.json("log")["jobs"]) == 3
    recorded.roar("register", "--server", glaas.url)


def test_no_server_is_set(recorded):
    failed = recorded.roar("register", status=1)
    assert "No glaas server is set" in failed.stderr
    assert "try:" in failed.stderr


def test_nothing_is_recorded(desk, glaas):
    assert "try: roar run" in desk.roar("register", "--server", glaas.url, status=1).stderr


@pytest.fixture
def odd_server():
    """A web server that is no glaas: answers as it is told."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            status, headers, content = self.server.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.server.seen.append((self.path, self.headers.get("authorization")))

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("answer", "words"), [
    ((200, {}, b"<html>hello</html>"), "not as a glaas server does"),
    ((200, {}, b'{"dag": 1}'), "not as a glaas server does"),
    ((404, {}, b"<html>"), "answered 404"),
    ((500, {}, b""), "answered 500"),
    ((302, {"location": "http://127.0.0.1:9/"}, b""), "answered 302"),
    ((422, {}, b'{"detail": "No.", "errors": [{"pointer": "/jobs/0", "detail": "odd"}]}'), "/jobs/0: odd"),
    ((401, {}, b'{"detail": "Who are you?"}'), "roar login"),
])
def test_a_server_that_is_no_glaas_or_refuses(recorded, odd_server, answer, words):
    odd_server.answer = answer
    failed = recorded.roar("register", "--server", f"127.0.0.1:{odd_server.server_port}", status=1,
                           env={"ROAR_GLAAS_TOKEN": "the-token"})
    assert words in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "the-token" not in failed.stderr
    assert odd_server.seen == [("/api/v1/sessions", "Bearer the-token")]


def passed_on(glaas, path, body):
    """What a server of today answers: status and JSON."""
    request = urllib.request.Request(glaas.url + path, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as taken:
            return taken.status, json.load(taken)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@contextlib.contextmanager
def older_server(answer):
    """A server that answers what is posted as `answer(path, body)` says; its address."""

    class Older(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body
            status, said = answer(self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Older) as older:
        threading.Thread(target=older.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{older.server_port}"
        older.shutdown()


def test_an_older_server_gets_no_list_of_files_whose_names_are_not_utf_8(desk, glaas):
    """It passes over the field `raw_path`, and so finds that the digest is another."""
    desk.init()
    desk.python("import os; os.mkdir('d'); os.mkdir('e')\n"
                "for n in range(150): open(b'd/%d\\xff' % n, 'w').write(str(n)); open(f'e/{n}', 'w').write(str(n))")

    def answer(path, body):
        return passed_on(glaas, path, re.sub(rb',"raw_path":"[0-9a-f]+"', b"", body))

    with older_server(answer) as url:
        done = desk.roar("register", "--server", url)
    assert "is older and takes no names that are not UTF-8, or with a backslash" in done.stderr
    told = [json.loads(fetch(f"{glaas.url}/api/v1/artifacts/{use['digest']}/members"))["members"]
            for use in desk.job()["outputs"]]
    assert [bool(members) for members in told] == [False, True]


def test_an_older_server_gets_what_it_takes(desk, glaas):
    """It refuses folders and names that only look like secrets to it, and takes them redacted and numbered."""
    desk.init()
    desk.python("import os; os.makedirs('data/secret=group_a_2024'); os.makedirs('data/secret=group_b_2024')\n"
                "for one in 'ab': open(f'data/secret=group_{one}_2024/x.csv', 'w').write(one)", "hf_" + "Bert" * 8)
    job = desk.job()
    assert "hf_" + "Bert" * 8 in job["command"]
    refused = []

    def answer(path, body):
        if b"group_a_2024/" in body or b"BertBert" in body:
            refused.append(body)
            return 422, {"detail": "No.", "errors": [{"pointer": "/jobs/0/outputs/0/path", "detail": (
                "the text holds what looks like a secret in a setting; redact it before it is sent")}]}
        return passed_on(glaas, path, body)

    with older_server(answer) as url:
        done = desk.roar("register", "--server", url)
    assert len(refused) == 1
    assert "is older and takes some names for secrets" in done.stderr
    there = json.loads(fetch(f"{glaas.url}/api/v1/jobs/{job['uid']}"))
    paths = {use["path"] for use in there["outputs"]}
    assert len(paths) == 2
    assert all(re.fullmatch(r"data/secret=\[redacted\]#[0-9a-f]{8}", path) for path in paths)


def test_an_answer_that_is_cut_short_is_asked_for_again(odd_server, monkeypatch):
    odd_server.answer = (200, {"content-length": "100"}, b'{"dag": "half')
    monkeypatch.setattr(server, "PAUSES_S", (0.0, 0.0))
    here = server.parse_server(f"127.0.0.1:{odd_server.server_port}")
    with pytest.raises(PublishError, match="cannot be reached"):
        server.post(here, "/api/v1/sessions", b"{}")
    assert len(odd_server.seen) == 3
    whole = b'{"dag": "whole"}'
    odd_server.answer = (200, {"content-length": str(len(whole))}, whole)
    assert server.post(here, "/api/v1/sessions", b"{}") == {"dag": "whole"}


@pytest.mark.parametrize(("text", "url"), [
    ("http://localhost:8420/", "http://localhost:8420"), ("localhost:8420", "http://localhost:8420"),
    ("glaas.example.com", "https://glaas.example.com"), ("https://a.example/glaas/", "https://a.example/glaas"),
    ("127.0.0.1:1", "http://127.0.0.1:1"), ("[::1]:80", "http://[::1]:80")])
def test_addresses_of_servers(text, url):
    assert parse_server(text).url == url


@pytest.mark.parametrize("text", ["ftp://x", "http://", "http://user:pw@x", "http://x:port", "file:///etc", "javascript://x"])
def test_what_is_no_address_of_a_server(text):
    with pytest.raises(PublishError):
        parse_server(text)


def test_a_token_never_travels_in_clear_text():
    with pytest.raises(PublishError, match="clear text"):
        parse_server("http://glaas.example.com", "secret")
    assert parse_server("http://127.0.0.1:8420", "secret").token == "secret"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://", "file:///x", "https://u:p@host/", "http://a b"])
def test_an_address_that_is_none_is_not_sent(url, tmp_path):
    run = TrackerRun(tracker="x", label="X", run_id="1", url=url, state=TrackerRunState.ONLINE)
    job = Job(uid="0" * 32, step=1, command=("x",), cwd=".", started_at="2026-11-22T10:00:00.000000Z", duration_s=1,
              exit_code=0, state=JobState.DONE, tracer=Tracer(mode="full"), tracker_runs=(run,))
    made = make_registration(Publishable(session="1" * 32, jobs=(job,), datasets=(), payloads=()),
                             Workspace(str(tmp_path)))
    assert (made.jobs[0].tracker_runs[0].url, made.jobs[0].tracker_runs[0].state) == (None, "partial")
    assert dag_digest(made)


def test_a_path_with_a_secret_is_published_without_it(desk, glaas, tmp_path):
    """The record here still leads to the file; the server takes the rest, and the secret reaches no part of it."""
    desk.init()
    token, key = "ghp_" + "Zq7" * 12, "Zq7Zq7Zq7"
    desk.python(f"import os; os.makedirs('data'); os.makedirs('many')\n"
                f"open('data/?token={key}', 'w').write('a'); open('{token}.csv', 'w').write('b')\n"
                f"open('data/?token={key}8', 'w').write('c')\n"
                f"for n in range(150): open(f'many/{{n}}?token={key}', 'w').write(str(n))")
    desk.python(f"open('data/?token={key}').read(); open('data/?token={key}8').read(); open('{token}.csv').read()\n"
                f"import os\nfor name in os.listdir('many'): open('many/' + name).read()")
    desk.roar("register", "--server", glaas.url)
    there = json.loads(fetch(f"{glaas.url}/api/v1/jobs/{desk.job()['uid']}"))
    inputs = {use["path"]: use for use in there["inputs"]}
    numbered = sorted(path for path in inputs if re.fullmatch(r"data/\?token=\[redacted\]#[0-9a-f]{8}", path))
    (table,) = (path for path in inputs if re.fullmatch(r"\[redacted\]#[0-9a-f]{8}\.csv", path))
    here = {use["digest"]: use["path"] for use in desk.job()["inputs"]}
    assert {here[inputs[path]["digest"]] for path in numbered} == {f"data/?token={key}", f"data/?token={key}8"}
    assert here[inputs[table]["digest"]] == f"{token}.csv"
    assert set(here) == {use["digest"] for use in there["inputs"]}
    desk.python("print(1)")
    desk.roar("register", "--server", glaas.url)  # the same paths again: jobs never change
    fetch(f"{glaas.url}/jobs/{desk.job()['uid']}")
    glaas.stop()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("glaas.db*"))
    assert b"token=[redacted]#" in kept
    assert token.encode() not in kept
    assert key.encode() not in kept
