"""Running it: the command `glaas`, health, metrics, migrations, two processes over one database."""

import http.client
import json
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from importlib.resources import files

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from registrations import SESSION, body, digits, job, uid, use
from sqlalchemy import text
from starlette.testclient import TestClient

import warm
from glaas.app import create_app
from glaas.db import MANY_ROWS, open_engine, writing
from glaas.models import metadata
from glaas.operation import JsonLines
from glaas.schema import migrate, schema_versions
from glaas.settings import Settings
from glaas.state import AT_ONCE, LONGEST_WAIT_S, Turns
from roar.errors import SettingsError
from roar.wire import Registration

JSON = {"content-type": "application/json"}


def glaas(*arguments, status=0, **more):
    env = {name: value for name, value in more.pop("env", os.environ).items() if not name.startswith("PYTHON")}
    done = warm.run("glaas.cli", [sys.executable, "-m", "glaas.cli"], arguments, env=env,
                    cwd=more.pop("cwd", os.getcwd()), timeout=60, **more)
    if status is None:
        assert done.returncode != 0
    else:
        assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def start(*arguments):
    process = warm.start_server("serve", "--port", "0", *arguments, stderr=subprocess.PIPE)
    line = process.stdout.readline()
    assert line.startswith("glaas is at http://127.0.0.1:"), (line, process.stderr.read())
    return process, line.split()[-1]


def stop(process, with_signal=signal.SIGTERM):
    process.send_signal(with_signal)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    return errors


def fetch(url, content=None):
    request = urllib.request.Request(url, data=content, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def test_the_models_are_what_the_migrations_make(database):
    engine = open_engine(database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


RELEASED = [script.revision for script in ScriptDirectory(str(files("glaas") / "migrations")).walk_revisions()]


@pytest.mark.parametrize("revision", sorted(RELEASED))
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_released_schema_is_brought_up_to_date(request, tmp_path, kind, revision):
    url = f"sqlite:///{tmp_path}/old.db"
    if kind == "postgresql":
        server = request.getfixturevalue("postgresql")
        server.psql(f"CREATE DATABASE old{revision}")
        url = server.get_uri(f"old{revision}")
    engine = open_engine(url)
    migrate(engine, revision)
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO user_account (id, name, admin, active, created_at)"
                                " VALUES (7, 'ada', :yes, :yes, '2026-11-22T10:00:00.000000Z')"), {"yes": True})
        connection.execute(text("INSERT INTO session (uid, project_id, registered_at)"
                                " VALUES (:uid, 1, '2026-11-22T10:00:00.000000Z')"), {"uid": bytes(16)})
    assert schema_versions(engine)[0] == revision
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert connection.execute(text("SELECT name FROM user_account WHERE id = 7")).scalar() == "ada"
    engine.dispose()
    with TestClient(create_app(Settings(database=url))) as client:
        assert client.post("/api/v1/sessions", content=body(digits()), headers=JSON).status_code == 201
        assert client.get(f"/jobs/{uid(2)}").status_code == 200


def test_two_processes_serve_one_database(database):
    first, one = start("--database", database)
    second, other = start("--database", database)
    try:
        dag = json.loads(fetch(f"{one}api/v1/sessions", body(digits())))["dag"]
        assert json.loads(fetch(f"{other}api/v1/sessions", body(digits())))["created"] is False
        assert dag in fetch(f"{other}jobs/{uid(2)}")
        assert fetch(f"{other}readyz") == "ready\n"
    finally:
        stop(first)
        stop(second)


def test_health_and_metrics(client, registered):
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ready\n"
    client.get(f"/jobs/{uid(2)}")
    text = client.get("/metrics").text
    assert re.search(r'glaas_requests_total\{method="GET",route="/jobs/\{uid\}",status="200"\} 1\n', text)
    assert re.search(r'glaas_request_seconds_bucket\{route="/jobs/\{uid\}",le="\+Inf"\} 1\n', text)
    assert uid(2) not in text


def test_not_ready_without_tables(tmp_path):
    with TestClient(create_app(Settings(database=f"sqlite:///{tmp_path}/empty.db", metrics=False))) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics").status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/"])
def test_a_database_that_went_away_is_a_problem_and_no_traceback(tmp_path, path):
    url = f"postgresql://nobody@/x?host={tmp_path}"
    with TestClient(create_app(Settings(database=url)), raise_server_exceptions=False) as client:
        answer = client.get(path)
    assert answer.status_code == 503
    assert "database" in answer.text


@pytest.mark.parametrize("url", ["mysql://x/y", "not a url", "sqlite"])
def test_databases_that_cannot_be(url):
    with pytest.raises(SettingsError):
        open_engine(url)


def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path):
    (tmp_path / "g.db").write_bytes(b"nonsense" * 1000)
    url = f"sqlite:///{tmp_path}/g.db"
    for verb in (["serve", "--port", "0"], ["migrate"], ["user", "list"], ["token", "list", "ada"],
                 ["backup", str(tmp_path / "copy.db")], ["doctor"]):
        done = glaas(*verb, "--database", url, status=1)
        assert done.stderr.startswith("glaas: The database "), verb
        assert "file is not a database" in done.stderr
        assert len(done.stderr.splitlines()) <= 2
    assert (tmp_path / "g.db").read_bytes() == b"nonsense" * 1000
    assert "is not a URL" in glaas("backup", str(tmp_path / "copy.db"), "--database", "x", status=1).stderr


def test_postgresql_is_migrated_only_on_demand(postgresql):
    postgresql.psql("CREATE DATABASE fresh")
    url = postgresql.get_uri("fresh")
    assert "try: glaas migrate" in glaas("serve", "--port", "0", "--database", url, status=1).stderr
    assert glaas("doctor", "--database", url, status=1).stdout
    glaas("migrate", "--database", url)
    glaas("migrate", "--database", url)
    assert re.search(r"^job +0$", glaas("doctor", "--database", url).stdout, re.MULTILINE)


def test_other_addresses_need_accounts(tmp_path):
    database = f"sqlite:///{tmp_path}/g.db"
    refused = glaas("serve", "--host", "0.0.0.0", "--port", "0", "--database", database, status=2)
    assert "--no-accounts" in refused.stderr
    assert "glaas user add" in refused.stderr


def test_a_databases_password_is_never_shown(postgresql):
    postgresql.psql("CREATE DATABASE shown TEMPLATE template")
    url = postgresql.get_uri("shown").replace("postgres:@", "postgres:hunter22@")
    assert "hunter22" in url
    refused = glaas("serve", "--host", "0.0.0.0", "--port", "0", "--database", url, status=2)
    assert "glaas user add" in refused.stderr
    wrong = [glaas("serve", "--port", "0", "--database", other, status=None) for other in (
        url.replace("/shown", "/nowhere"), "postgresql//ada:hunter22@db", url.replace("postgresql:", "mysql:"))]
    for done in (refused, *wrong):
        assert "hunter22" not in done.stdout + done.stderr


def test_a_port_that_is_taken(tmp_path):
    process, url = start("--database", f"sqlite:///{tmp_path}/g.db")
    try:
        port = url.rstrip("/").rpartition(":")[2]
        taken = glaas("serve", "--port", port, "--database", f"sqlite:///{tmp_path}/h.db", status=1)
        assert f"port {port}" in taken.stderr
    finally:
        stop(process)


def test_an_administrators_day(tmp_path):
    base = ("--database", f"sqlite:///{tmp_path}/g.db")
    glaas("user", "add", "ada", "--admin", "--password-stdin", *base, input="correct horse battery\n")
    asked = glaas("user", "add", "eve", *base, status=2, input="", start_new_session=True)  # no terminal at all
    assert asked.stderr == "glaas: There is no terminal to ask for the password on.\n  try: --password-stdin\n"
    glaas("user", "add", "bot", "--no-password", *base)
    assert "There is a user ada already" in glaas("user", "add", "ada", "--no-password", *base, status=2).stderr
    assert glaas("user", "list", *base).stdout.splitlines() == ["ada  admin", "bot"]
    token = glaas("token", "add", "bot", "--name", "ci", *base).stdout.strip()
    glaas("project", "add", "secret", *base)
    glaas("project", "member", "secret", "bot", "--write", *base)
    assert "secret  private" in glaas("project", "list", *base).stdout
    process, url = start("--accounts", "--access-log", *base)
    try:
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            fetch(f"{url}api/v1/sessions", body(digits()))
        refused.value.close()
        request = urllib.request.Request(f"{url}api/v1/sessions?project=secret", data=body(digits()), headers={
            "content-type": "application/json", "authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201
        assert uid(2) not in fetch(url)
    finally:
        log = [json.loads(line) for line in stop(process).splitlines()]
    assert [(line["method"], line["path"], line["status"], line["user"]) for line in log] == [
        ("POST", "/api/v1/sessions", 401, None), ("POST", "/api/v1/sessions", 201, "bot"), ("GET", "/", 200, None)]
    assert {line["level"] for line in log} == {"info"}
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in log)
    number = glaas("token", "list", "bot", *base).stdout.split()[0]
    glaas("token", "revoke", number, *base)
    assert "revoked" in glaas("token", "list", "bot", *base).stdout
    glaas("user", "disable", "bot", *base)
    lines = glaas("audit", *base).stdout
    assert "user added  ada" in lines
    assert token not in lines


def test_a_member_is_removed_again(tmp_path):
    base = ("--database", f"sqlite:///{tmp_path}/g.db")
    glaas("user", "add", "ada", "--no-password", *base)
    token = glaas("token", "add", "ada", *base).stdout.strip()
    glaas("project", "add", "secret", *base)
    glaas("project", "member", "secret", "ada", "--write", *base)
    with TestClient(create_app(Settings(database=base[1], accounts=True)), headers={
            "authorization": f"Bearer {token}"}) as client:
        register = ("/api/v1/sessions?project=secret", body(digits()))
        assert client.post(register[0], content=register[1], headers=JSON).status_code == 201
        removed = glaas("project", "member", "secret", "ada", "--remove", *base)
        assert removed.stdout == "ada is no member of secret any more.\n"
        assert client.post(register[0], content=register[1], headers=JSON).status_code == 404
        assert client.get(f"/api/v1/jobs/{uid(2)}").status_code == 404
    assert "no member" in glaas("project", "member", "secret", "ada", "--remove", *base, status=1).stderr
    lines = glaas("audit", *base).stdout
    assert "member set  secret ada: see and write" in lines
    assert "member removed  secret ada" in lines


def test_a_backup_while_it_serves(tmp_path):
    base = ("--database", f"sqlite:///{tmp_path}/g.db")
    process, url = start(*base)
    try:
        fetch(f"{url}api/v1/sessions", body(digits()))
        glaas("backup", str(tmp_path / "copy.db"), *base)
    finally:
        stop(process, signal.SIGINT)
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT count(*) FROM job").fetchone() == (3,)
    copy.close()
    assert "exists" in glaas("backup", str(tmp_path / "copy.db"), *base, status=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("g.db")) == ["copy.db"]


def test_a_stop_answers_what_has_begun(database):
    """The process is told to stop when half of a registration has arrived."""
    process, url = start("--database", database)
    sent = body(digits())
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=30)
    connection.putrequest("POST", "/api/v1/sessions")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(sent)))
    connection.endheaders(sent[:len(sent) // 2])
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with pytest.raises(urllib.error.URLError, match="refused"):
        fetch(url)
    connection.send(sent[len(sent) // 2:])
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["created"]) == (201, True)
    connection.close()
    process.communicate(timeout=30)
    process, url = start("--database", database)
    try:
        assert len(json.loads(fetch(f"{url}api/v1/jobs"))["jobs"]) == 3
    finally:
        stop(process)


def test_a_load_balancer_is_told_before_a_process_stops(tmp_path):
    process, url = start("--database", f"sqlite:///{tmp_path}/g.db", "--drain", "1.5")
    assert fetch(f"{url}readyz") == "ready\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.4)
    with pytest.raises(urllib.error.HTTPError, match="503") as stopping:
        fetch(f"{url}readyz")
    stopping.value.close()
    assert json.loads(fetch(f"{url}api/v1/sessions", body(digits())))["created"] is True
    assert fetch(f"{url}healthz") == "ok\n"
    process.communicate(timeout=30)
    with pytest.raises(urllib.error.URLError, match="refused"):
        fetch(f"{url}healthz")


def test_a_bug_is_one_line_of_the_log(tmp_path, capsys):
    """Whatever is logged is a line of JSON: a traceback too, and what a value holds cannot begin a line of its own."""
    log = logging.getLogger("glaas.test")
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    log.addHandler(handler)
    try:
        int("two\nlines")
    except ValueError:
        log.exception("it failed: %s", 'a "quoted"\nvalue')
    finally:
        log.removeHandler(handler)
    (line,) = capsys.readouterr().err.splitlines()
    shape = json.loads(line)
    assert (shape["level"], shape["logger"], shape["message"]) == (
        "error", "glaas.test", 'it failed: a "quoted"\nvalue')
    assert "Traceback" in shape["exception"]


def test_trouble_with_the_database_is_logged_as_json(tmp_path):
    database = tmp_path / "g.db"
    process, url = start("--database", f"sqlite:///{database}", "--access-log")
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE term")
    connection.close()
    with pytest.raises(urllib.error.HTTPError) as broken:
        fetch(f"{url}search?q=word")
    broken.value.close()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert any(line["level"] == "error" for line in lines)
    assert any(line.get("path") == "/search" and line["status"] == broken.value.code for line in lines)


def test_where_a_request_comes_from_behind_a_proxy(tmp_path):
    for more, address in ((["--trusted-proxy", "127.0.0.1"], "203.0.113.7"), ([], "127.0.0.1")):
        process, url = start("--database", f"sqlite:///{tmp_path}/g.db", "--access-log", *more)
        request = urllib.request.Request(f"{url}healthz", headers={"X-Forwarded-For": "203.0.113.7"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
        (line,) = [json.loads(line) for line in stop(process).splitlines()]
        assert line["address"] == address


def test_a_rush_is_answered(database):
    """More requests at once than there are threads, and more threads than connections to the database."""
    process, url = start("--database", database)
    try:
        fetch(f"{url}api/v1/sessions", body(digits()))
        pages = [f"{url}jobs/{uid(2)}", f"{url}api/v1/jobs", f"{url}search?q=train.py", f"{url}tracker-runs"] * 40
        with ThreadPoolExecutor(len(pages)) as pool:
            answers = list(pool.map(fetch, pages))
        assert len(answers) == len(pages)
    finally:
        stop(process)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # readers of SQLite wait for nothing
def test_requests_that_wait_for_the_database_hold_up_no_others(database):
    """Searches hang at a locked table, more of them than are worked on at a time; a job's page needs no such table."""
    process, url = start("--database", database)
    engine = open_engine(database)
    try:
        fetch(f"{url}api/v1/sessions", body(digits()))
        with ThreadPoolExecutor(4) as pool:
            with engine.connect() as connection:
                connection.execute(text("LOCK TABLE term IN ACCESS EXCLUSIVE MODE"))
                searches = [pool.submit(fetch, f"{url}search?q=train.py") for _ in range(4)]
                time.sleep(1)
                assert "train.py" in fetch(f"{url}jobs/{uid(2)}")
                assert not any(search.done() for search in searches)
            assert all("train.py" in search.result() for search in searches)
    finally:
        engine.dispose()
        stop(process)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_nothing_is_done_for_clients_that_have_gone(database):
    """More requests than there are threads wait for a locked table; nobody waits for their answers any more."""
    process, url = start("--database", database)
    engine = open_engine(database)
    try:
        fetch(f"{url}api/v1/sessions", body(digits()))
        with engine.connect() as connection:
            connection.execute(text("LOCK TABLE term IN ACCESS EXCLUSIVE MODE"))
            waiting = [http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc) for _ in range(100)]
            for client in waiting:
                client.request("GET", "/search?q=train.py")
            time.sleep(1)
            for client in waiting:
                client.close()
        answers = {}
        while sum(answers.values()) < len(waiting):
            time.sleep(0.1)
            answers = {status: int(count) for status, count in re.findall(
                r'glaas_requests_total{method="GET",route="/search",status="(\d+)"} (\d+)', fetch(f"{url}metrics"))}
        assert answers.keys() == {"200", "499"}
        assert answers["499"] >= 40
    finally:
        engine.dispose()
        stop(process)


def test_few_requests_are_worked_on_at_a_time():
    turns, order, finish = Turns(), [], threading.Event()

    def work(number):
        with turns.wait():
            order.append(number)
            finish.wait(10)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(AT_ONCE + 1)]
    for thread in threads:
        thread.start()
    time.sleep(LONGEST_WAIT_S / 4)
    assert len(order) == AT_ONCE
    finish.set()
    for thread in threads:
        thread.join()
    assert sorted(order) == list(range(AT_ONCE + 1))


@pytest.mark.parametrize(("arguments", "words"), [
    (("serve", "--port", "99999"), "99999 is no port"), (("serve", "--port", "-1"), "-1 is no port"),
    (("serve", "--host", "300.1.1.1", "--no-accounts"), "300.1.1.1: it is no address"),
    (("migrate", "--database", "postgresql://u:hush@[::1/x"), "not a URL"),
    (("backup", "no/such/folder/x.db"), "There is no folder"),
    (("token", "revoke", "99999999999999999999"), "There is no token 99999999999999999999"),
    *((("serve", "--port", "0", "--no-accounts", *more), words) for more, words in (
        (("--drain", "-1"), "--drain takes 0 to 3600 seconds, and -1 is not among them"),
        (("--drain", "nan"), "--drain takes 0 to 3600 seconds, and nan"),
        (("--writes-per-minute", "-1"), "--writes-per-minute is a number from 0, and -1 is none"),
        (("--sign-ins-per-minute", "-1"), "--sign-ins-per-minute is a number from 0, and -1 is none"),
        (("--trusted-proxy", "10.0.0.0/99"), "'10.0.0.0/99' is neither"),
        (("--trusted-proxy", "127.0.0.1,proxy.example"), "'proxy.example' is neither"),
        (("--trusted-proxy", ","), "'' is neither"),
        (("--public-url", "javascript:alert(1)"), "'javascript:alert(1)' is no address of a server"),
        (("--public-url", "glaas.example"), "'glaas.example' is no address of a server"))),
])
def test_what_cannot_be_is_one_sentence(tmp_path, arguments, words):
    environment = {**os.environ, "GLAAS_DATABASE": f"sqlite:///{tmp_path}/glaas.db"}
    glaas("migrate", env=environment)
    done = glaas(*arguments, env=environment, cwd=tmp_path, status=None)
    assert done.returncode in ({2} if "--no-accounts" in arguments and "--host" not in arguments else {1, 2})
    assert done.stderr.startswith("glaas: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr


def test_looking_at_a_database_that_is_not_there_makes_none(tmp_path):
    said = glaas("doctor", "--database", f"sqlite:///{tmp_path}/lost.db", status=1)
    assert f"There is no database {tmp_path}/lost.db" in said.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("DELETE", "/", {"GET", "HEAD"}), ("POST", "/healthz", {"GET", "HEAD"}), ("PUT", "/api/v1/jobs", {"GET", "HEAD"}),
    ("GET", "/api/v1/device", {"POST"}),
])
def test_a_method_that_is_not_there(client, method, path, allowed):
    response = client.request(method, path)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_that_may_only_be_read_for_now(database):
    engine = open_engine(database)
    with TestClient(create_app(Settings(database=database))) as client, engine.begin() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
        connection.commit()
        refused = client.post("/api/v1/sessions", content=body(digits()), headers=JSON)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert client.get("/").status_code == 200
    engine.dispose()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_that_cannot_take_many_rows_for_now(database):
    outputs = tuple(use(f"out/{number}") for number in range(MANY_ROWS))
    many = body(Registration(version=1, client="roar 0.1.0", session=SESSION, jobs=(job(1, outputs=outputs),)))
    engine = open_engine(database)
    with engine.begin() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(f'ALTER DATABASE "{name}" SET lock_timeout = 200'))
    with TestClient(create_app(Settings(database=database)), raise_server_exceptions=False) as client:
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE file_use IN EXCLUSIVE MODE"))
            refused = client.post("/api/v1/sessions", content=many, headers=JSON)
        assert (refused.status_code, refused.headers.get("retry-after")) == (503, "5")
        assert client.get("/api/v1/jobs").json()["jobs"] == []
        assert client.post("/api/v1/sessions", content=many, headers=JSON).status_code == 201
    engine.dispose()


def test_trouble_with_the_database_puts_nothing_of_what_was_sent_into_the_log(tmp_path, caplog):
    url = f"sqlite:///{tmp_path}/g.db"
    glaas("migrate", "--database", url)
    with sqlite3.connect(tmp_path / "g.db") as connection:
        connection.execute("ALTER TABLE environment RENAME TO gone")
    with TestClient(create_app(Settings(database=url))) as client:
        assert client.post("/api/v1/sessions", content=body(digits()), headers=JSON).status_code == 503
    assert "no such table" in caplog.text
    assert "AMD EPYC" not in caplog.text
