"""Clients that register all at once while server processes are killed: what was said to be there must be, once.

The servers are real `glaas serve` processes behind a real HAProxy with `deploy/haproxy.cfg`; the clients send as
`roar register` sends, which sends again what was cut short. Two clients each send the same growing sessions, and all
sessions hold one job of another session, so that they race for the same rows.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import blake3
from sqlalchemy import func, select

from glaas import models
from glaas.db import open_engine
from roar import model
from roar.errors import PublishError
from roar.publish.register import encode, register
from roar.publish.server import parse_server
from roar.wire import Registration, dag_digest

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "haproxy.cfg"
CLIENTS = 8
JOBS = 4  # by which a session grows until the next one begins
READY_S = 60


def _digest(text: str) -> str:
    return blake3.blake3(text.encode()).hexdigest()


def _use(path: str, content: str) -> model.FileUse:
    return model.FileUse(path=path, digest=_digest(content), size=100 + len(content))


def _job(name: str, step: int, inputs: tuple[model.FileUse, ...]) -> model.Job:
    run = model.TrackerRun(tracker="wandb", label="W&B", run_id=_digest(f"run {name}")[:8], project="p", entity="e",
                           url=f"https://wandb.ai/e/p/runs/{_digest(f'run {name}')[:8]}",
                           state=model.TrackerRunState.ONLINE)
    return model.Job(
        uid=_digest(f"job {name}")[:32], step=step, command=("python", "train.py", name), cwd=".", exit_code=0,
        started_at=f"2026-11-22T10:00:{step % 60:02}.000000Z", duration_s=1.0, state=model.JobState.DONE,
        tracer=model.Tracer(mode="full"), inputs=inputs, outputs=(_use("model.pt", f"model {name}"),),
        tracker_runs=(run,), labels={"owner": "ada"})


def registration(writer: int, number: int) -> Registration:
    """The `number`th registration of a writer: its session has one job more than before, or a new one begins."""
    session, grown = divmod(number, JOBS)
    shared = tuple(_use(f"data/{n}.parquet", f"data {n}") for n in range(20))
    # every few seconds another job that all writers come to know at the same time
    jobs = [_job(f"base {number // (2 * JOBS)}", 0, shared)]
    jobs += [_job(f"{writer} {session} {step}", step, (*shared, _use("base.pt", "model base 0")))
             for step in range(1, grown + 2)]
    return Registration(version=1, client="roar ordeal", session=_digest(f"session {writer} {session}")[:32],
                        jobs=tuple(jobs))


@dataclass(slots=True)
class Outcome:
    """What clients were told, by registration.

    Attributes:
        sent: registrations that were answered.
        answered: how often an answer came, one for each client.
        killed: how often a server process was.
        troubles: what clients or servers said that they should not have.
        slowest_s: the longest that a client waited for an answer.
    """

    sent: dict[str, Registration] = field(default_factory=dict)
    answered: int = 0
    killed: int = 0
    troubles: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return answer.status == 200  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_S
    while not _is_ready(url):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} is not ready after {READY_S} s")
        time.sleep(0.05)


class Balanced:
    """Two `glaas serve` behind a balancer; `url` is the balancer's."""

    def __init__(self, database: str, errors: Path) -> None:
        self._database = database
        self._errors = errors
        balancer, *self._ports = _free_ports(3)
        self.url = f"http://127.0.0.1:{balancer}"
        self.addresses = [f"http://127.0.0.1:{port}" for port in self._ports]
        self._servers: list[subprocess.Popen[bytes]] = []
        self._balancer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        self._servers = [self._start(port) for port in self._ports]
        for address in self.addresses:
            _wait_until_ready(address)
        one, two = (f"127.0.0.1:{port}" for port in self._ports)
        self._balancer = subprocess.Popen(
            ["haproxy", "-db", "-q", "-f", str(CONFIGURATION)],
            env=os.environ | {"GLAAS_BIND": self.url.removeprefix("http://"), "GLAAS_ONE": one, "GLAAS_TWO": two})
        _wait_until_ready(self.url)

    def __exit__(self, *_: object) -> None:
        for process in (*self._servers, self._balancer):
            if process is not None:
                process.terminate()
                process.wait(40)

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        with self._errors.open("ab") as errors:
            return subprocess.Popen([sys.executable, "-m", "glaas.cli", "serve", "--port", str(port), "--database",
                                     self._database], stdout=subprocess.DEVNULL, stderr=errors)

    def kill(self, which: int) -> None:
        """SIGKILL one server process, and start it again once it is gone."""
        self._servers[which].send_signal(signal.SIGKILL)
        self._servers[which].wait()
        self._servers[which] = self._start(self._ports[which])
        _wait_until_ready(self.addresses[which])


def _client(url: str, number: int, deadline: float, outcome: Outcome, lock: threading.Lock) -> None:
    """Register one thing after the other until the deadline; the first of each pair sends some twice."""
    server = parse_server(url)
    writer, twin = divmod(number, 2)
    count = 0
    while time.monotonic() < deadline:
        sending = registration(writer, count)
        start = time.monotonic()
        try:
            published = register(server, encode(sending))
            if twin and count % 3 == 0:
                published = register(server, encode(sending))
        except PublishError as error:
            with lock:
                outcome.troubles.append(str(error))
            return
        with lock:
            outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - start)
            outcome.answered += 1
            outcome.sent[published.dag] = sending
            if published.dag != dag_digest(sending):
                outcome.troubles.append(f"{published.dag} is not what was sent")
        count += 1


def endure(database: str, folder: Path, *, seconds: float, every_s: float) -> Outcome:
    """Register with CLIENTS clients for `seconds`, while every `every_s` one or the other server is killed."""
    outcome, lock = Outcome(), threading.Lock()
    errors = folder / "errors"
    with Balanced(database, errors) as servers:
        deadline = time.monotonic() + seconds
        threads = [threading.Thread(target=_client, args=(servers.url, n, deadline, outcome, lock))
                   for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while time.monotonic() + every_s < deadline:
            time.sleep(every_s)
            servers.kill(outcome.killed % 2)
            outcome.killed += 1
        for thread in threads:
            thread.join()
    text = errors.read_text()
    outcome.troubles += [line for line in text.splitlines() if line]
    return outcome


def lost_or_doubled(database: str, outcome: Outcome) -> list[str]:
    """Where the database differs from what the clients were told is there."""
    jobs = {job.uid: job for sent in outcome.sent.values() for job in sent.jobs}
    uses = [use for job in jobs.values() for use in (*job.inputs, *job.outputs)]
    expected = {
        models.dag: len(outcome.sent), models.session: len({sent.session for sent in outcome.sent.values()}),
        models.job: len(jobs), models.dag_job: sum(len(sent.jobs) for sent in outcome.sent.values()),
        models.file_use: len(uses), models.artifact: len({use.digest for use in uses}),
        models.tracker_run: sum(len(job.tracker_runs) for job in jobs.values()), models.label: len(jobs)}
    engine = open_engine(database)
    with engine.connect() as connection:
        found = {table: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in expected}
        dags = {digest.hex() for digest in connection.execute(select(models.dag.c.digest)).scalars()}
        runs = Counter(connection.execute(select(models.tracker_run.c.url)).scalars())
    engine.dispose()
    flaws = [f"{table.name}: {found[table]} rows, not {count}" for table, count in expected.items()
             if found[table] != count]
    flaws += [f"DAG {digest} is lost" for digest in outcome.sent.keys() - dags]
    return flaws + [f"{url} is there {count} times" for url, count in runs.items() if count > 1]

