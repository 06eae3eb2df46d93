"""What `deploy/` declares, started by hand as declared: only ports, host names and folders are others."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import psycopg
import pytest
import yaml

ROOT = Path(__file__).parents[2]
GLAAS = [sys.executable, "-m", "glaas.cli"]
PASSWORD = "0123456789abcdef" * 3  # as `openssl rand -hex 24` makes one


def instructions():
    """(name, rest) of each line of the container file; continued lines are one."""
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line and not line.startswith("#")]


def last(name):
    return [rest for one, rest in instructions() if one == name][-1]


def copied():
    """Files and folders of the repository that go into the container."""
    return [path for name, rest in instructions() if name == "COPY" and not rest.startswith("--from")
            for path in rest.split()[:-1]]


@pytest.fixture(scope="module")
def compose():
    """The compose file, with the one variable that it wants."""
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    wanted = set(re.findall(r"\$\{(\w+)", text))
    assert wanted == {"POSTGRES_PASSWORD"}
    return yaml.safe_load(re.sub(r"\$\{POSTGRES_PASSWORD[^}]*\}", PASSWORD, text))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_the_image_is_made_of_the_sources_alone():
    assert set(copied()) == {"CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml", "native", "src"}
    assert all((ROOT / path).exists() for path in copied())
    ignored = (ROOT / ".dockerignore").read_text().split("\n")[1:]
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [project["project"]["readme"], *project["project"]["license-files"], "CMakeLists.txt",
             *project["tool"]["scikit-build"]["wheel"]["packages"],
             project["tool"]["scikit-build"]["metadata"]["version"]["input"],
             *re.findall(r"native/[\w.]+", (ROOT / "CMakeLists.txt").read_text())]
    assert [path for path in named if Path(path).parts[0] not in copied() or not (ROOT / path).exists()] == []


def test_the_image_holds_no_secret_and_does_not_run_as_root(compose):
    names = [name for name, _ in instructions()]
    final = len(names) - names[::-1].index("FROM")
    assert "USER" in names[final:]
    assert last("USER") not in {"root", "0"}
    assert f"useradd --system --create-home --home-dir {last('WORKDIR')} {last('USER')}" in last("RUN")
    assert "ARG" not in names
    assert not re.search("password|secret|token", str(instructions()), re.IGNORECASE)
    glaas = compose["services"]["glaas"]
    assert "args" not in glaas["build"]
    assert (ROOT / "deploy" / glaas["build"]["context"]).resolve() == ROOT
    assert (ROOT / glaas["build"]["dockerfile"]).is_file()
    assert PASSWORD not in (ROOT / "deploy" / "compose.yaml").read_text()


def test_ports_and_volumes_are_those_that_are_there(compose):
    (address,) = compose["services"]["glaas"]["ports"]
    assert address == f"127.0.0.1:8420:{last('EXPOSE')}"
    assert f":{last('EXPOSE')}/" in last("HEALTHCHECK")
    (volume,) = compose["services"]["database"]["volumes"]
    assert volume.partition(":")[0] in compose["volumes"]


class Database:
    """PostgreSQL as its image starts it: first for itself, to make user and database, then for all."""

    def __init__(self, service, programs):
        self.environment, self.health = service["environment"], service["healthcheck"]["test"]
        self.programs, self.port, self.process = programs, free_port(), None
        self.folder = Path(tempfile.mkdtemp(prefix="glaas-deploy-"))
        self.user = "pgserver" if os.geteuid() == 0 else None
        secret = self.folder / "password"
        secret.write_text(self.environment["POSTGRES_PASSWORD"])
        if self.user:
            for path in (self.folder, secret):
                shutil.chown(path, self.user)
        self.run("initdb", "--username", self.environment["POSTGRES_USER"], "--pwfile", str(secret), "--auth-local",
                 "trust", "--auth-host", "scram-sha-256", "--no-sync")

    def run(self, program, *arguments):
        subprocess.run([self.programs / program, "--pgdata", str(self.folder / "data"), *arguments], check=True,
                       user=self.user, cwd=self.folder, capture_output=True)

    def start(self, addresses):
        self.process = subprocess.Popen(
            [self.programs / "postgres", "-D", str(self.folder / "data"), "-c", f"listen_addresses={addresses}",
             "-c", f"port={self.port}", "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off"],
            user=self.user, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            if (self.folder / f".s.PGSQL.{self.port}").exists() and self.answers():
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL did not start")

    def answers(self):
        try:
            psycopg.connect(self.socket()).close()
        except psycopg.OperationalError:
            return False
        return True

    def socket(self):
        return f"host={self.folder} port={self.port} user={self.environment['POSTGRES_USER']} dbname=postgres"

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)

    def is_healthy(self):
        """What the declared command says; the socket's folder and the port are not those of a container."""
        kind, command = self.health
        assert kind == "CMD-SHELL"
        return subprocess.run(["/bin/sh", "-c", command], check=False, capture_output=True, env={
            "PATH": f"{self.programs}:/usr/bin:/bin", "PGHOST": str(self.folder), "PGPORT": str(self.port)}
            ).returncode == 0


@pytest.fixture
def database(compose, postgresql):
    database = Database(compose["services"]["database"], Path(postgresql.bin_path))
    yield database
    database.stop()
    shutil.rmtree(database.folder)


def in_order(services):
    """The services by what each waits for."""
    done = []
    while len(done) < len(services):
        done.append(next(name for name, one in services.items()
                         if name not in done and set(one.get("depends_on", ())) <= set(done)))
    return done


def test_the_services_start_as_declared(compose, database, tmp_path):
    services = compose["services"]
    assert in_order(services) == ["database", "glaas"]
    assert services["glaas"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    environment = {**os.environ, "GLAAS_DATABASE": services["glaas"]["environment"]["GLAAS_DATABASE"].replace(
        "@database/", f"@127.0.0.1:{database.port}/")}
    port = str(free_port())
    entry, command = json.loads(last("ENTRYPOINT")), json.loads(last("CMD"))
    assert entry == ["glaas"]
    serve = [*GLAAS, *command, "--port", port]
    kind, check = last("HEALTHCHECK").split(None, 1)
    assert kind == "CMD"
    program, *arguments = json.loads(check)
    assert program == "python"

    def run(*words, **more):
        return subprocess.run([*GLAAS, *words], check=False, env=environment, cwd=tmp_path, capture_output=True,
                              text=True, timeout=60, **more)

    def is_healthy():
        return subprocess.run([sys.executable, *(word.replace(":8420/", f":{port}/") for word in arguments)],
                              check=False, capture_output=True).returncode == 0

    assert not database.is_healthy()
    database.start("")
    with psycopg.connect(database.socket(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database.environment['POSTGRES_DB']}")
    assert not database.is_healthy(), "glaas would start while the image still makes the database, and find it gone"
    database.stop()
    database.start("127.0.0.1")
    assert database.is_healthy()

    early = run(*command, "--port", port)
    assert early.returncode == 1
    assert "glaas migrate" in early.stderr
    documented = re.findall(r"run --rm glaas (.*)", (ROOT / "deploy" / "compose.yaml").read_text())
    assert documented == ["migrate", "user add NAME --admin"]
    assert run(documented[0]).returncode == 0
    words = shlex.split(documented[1].replace("NAME", "ada"))
    added = run(*words, "--password-stdin", input="correct horse battery\n")
    assert added.returncode == 0, added.stderr
    assert not is_healthy()
    server = subprocess.Popen(serve, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
    try:
        assert server.stdout.readline().startswith("glaas is at ")
        assert is_healthy()
        environment["GLAAS_DATABASE"] = environment["GLAAS_DATABASE"].replace(PASSWORD, "another")
        assert run("migrate").returncode != 0, "the password of the file counts"
    finally:
        server.send_signal(getattr(signal, last("STOPSIGNAL")))
        _, errors = server.communicate(timeout=30)
    assert server.returncode == -signal.SIGTERM  # it ends its work, then itself by the signal
    assert PASSWORD not in errors
    assert not is_healthy()
