"""Running it: the command `glaas`, health, metrics, migrations, two processes over one database."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from registrations import body, digits, uid
from starlette.testclient import TestClient

from glaas.app import create_app
from glaas.db import open_engine
from glaas.models import metadata
from glaas.settings import Settings
from roar.errors import SettingsError


def glaas(*arguments, status=0, **more):
    done = subprocess.run([sys.executable, "-m", "glaas.cli", *arguments], capture_output=True, text=True, timeout=60,
                          check=False, **more)
    if status is None:
        assert done.returncode != 0
    else:
        assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def start(*arguments):
    process = subprocess.Popen([sys.executable, "-m", "glaas.cli", "serve", "--port", "0", *arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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
    assert [(line["method"], line["path"], line["status"]) for line in log] == [
        ("POST", "/api/v1/sessions", 401), ("POST", "/api/v1/sessions", 201), ("GET", "/", 200)]
    number = glaas("token", "list", "bot", *base).stdout.split()[0]
    glaas("token", "revoke", number, *base)
    assert "revoked" in glaas("token", "list", "bot", *base).stdout
    glaas("user", "disable", "bot", *base)
    lines = glaas("audit", *base).stdout
    assert "user added  ada" in lines
    assert token not in lines


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
