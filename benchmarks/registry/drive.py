"""Open-loop load on real servers: requests go out when they are due, whether or not the ones before were answered.

A latency counts from the moment at which its request was due, so a server that falls behind is charged for the waiting
that it causes (what closed-loop clients leave out). The gaps are those of independent visitors (Poisson).
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg

TIMEOUT_S = 30
IDLE_S = 3
ROWS_SAMPLED = 20_000
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A kind of page, its share of the requests, and the paths to draw from.

    Attributes:
        bound_ms: what its 99th percentile may be; None where nothing is promised.
    """

    name: str
    share: float
    paths: Sequence[str]
    bound_ms: float | None = None


@dataclass(slots=True)
class Answers:
    """What came back for one kind of page: milliseconds, bytes on the wire, and what was not as it should be."""

    ms: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The latency that `share` of the requests did not exceed."""
        ordered = sorted(self.ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def pages_of(url: str, seed: int = 1) -> list[Page]:
    """What visitors of the filled database at `url` ask for.

    Half of the artifacts are drawn by use, as links on job pages are: popular files come up as often as they are read.
    """
    rng = random.Random(seed)
    with psycopg.connect(url) as connection:
        def column(query: str) -> list[Any]:
            return [row[0] for row in connection.execute(query, {"n": ROWS_SAMPLED})]

        size = column("SELECT greatest(reltuples, 1) FROM pg_class WHERE relname = 'job'")[0]
        share = min(100.0, 100.0 * ROWS_SAMPLED / size)
        sample = f"TABLESAMPLE BERNOULLI ({share}) REPEATABLE ({seed})"
        uids = column(f"SELECT encode(uid, 'hex') FROM job {sample} LIMIT %(n)s")
        thin = f"TABLESAMPLE BERNOULLI ({share / 10}) REPEATABLE ({seed})"
        used = column(f"SELECT encode(digest, 'hex') FROM file_use {thin} LIMIT %(n)s")
        any_artifact = column(f"SELECT encode(digest, 'hex') FROM artifact {thin} LIMIT %(n)s")
        dags = column(f"SELECT encode(digest, 'hex') FROM dag {sample} LIMIT %(n)s")
        runs = column(f"SELECT url FROM tracker_run {sample} WHERE url IS NOT NULL LIMIT %(n)s")
    for values in (uids, used, any_artifact, dags, runs):
        rng.shuffle(values)
    artifacts = [pair for both in zip(used, any_artifact, strict=False) for pair in both]
    prefixes = [value[:rng.randrange(4, 13)] for value in (*any_artifact[:3000], *uids[:3000])]
    words = ["trai", "eval", "sweep.p", "ada", "grace/", "team-0", "check", "model.", "part-000", "silver", "zzz",
             "rele", "owner=ad", "stage=f", "--lr=0", "numpy", "torch==2", "report.j", "config/base.yaml",
             "data/raw/01.parquet"]
    rng.shuffle(prefixes)
    return [
        Page(name="job page", share=30, paths=[f"/jobs/{uid}" for uid in uids], bound_ms=100),
        Page(name="artifact page", share=25, paths=[f"/artifacts/{digest}" for digest in artifacts], bound_ms=100),
        Page(name="search by digest prefix", share=12, paths=[f"/search?q={text}" for text in prefixes], bound_ms=100),
        Page(name="search by prefix of a word or path", share=8, paths=[f"/search?q={quote(text)}" for text in words],
             bound_ms=100),
        Page(name="search by a tracker run's URL", share=5, paths=[f"/search?q={quote(text)}" for text in runs]),
        Page(name="lineage of depth 10", share=10, bound_ms=300,
             paths=[f"/api/v1/artifacts/{digest}/lineage?depth=10" for digest in reversed(artifacts)]),
        Page(name="DAG page", share=4, paths=[f"/dag/{digest}" for digest in dags]),
        Page(name="home", share=3, paths=["/"]),
        Page(name="tracker runs", share=3, paths=["/tracker-runs", "/tracker-runs?tracker=mlflow",
                                                  "/tracker-runs?project=team-07"]),
    ]


# ---------------------------------------------------------------------------------------------------- sending


class _Server:
    """Connections to one server that are kept and used again, as a balancer's are."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str) -> tuple[int, int]:
        """Status, and bytes of head and body on the wire."""
        reader, writer = self._fresh() or await asyncio.open_connection(self.host, self.port, limit=2**20)
        request = f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAccept-Encoding: gzip\r\n\r\n"
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        size = len(head)
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        if b"content-length" in headers:
            size += len(await reader.readexactly(int(headers[b"content-length"])))
        else:
            while length := int(await reader.readline(), 16):
                size += len(await reader.readexactly(length + 2))
            await reader.readline()
        self.idle.append((time.monotonic(), reader, writer))
        return int(head.split(b" ", 2)[1]), size

    def _fresh(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection that was in use a moment ago; the server closes those that are idle for some seconds."""
        while self.idle:
            since, reader, writer = self.idle.pop()
            if time.monotonic() - since < IDLE_S and not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    def close(self) -> None:
        """Close what is idle; the rest has timed out."""
        for _, _, writer in self.idle:
            writer.close()


async def _one(server: _Server, path: str, due: float, into: Answers) -> None:
    try:
        status, size = await asyncio.wait_for(server.get(path), TIMEOUT_S)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        into.troubles.append(f"{path}: {error!r}")
    else:
        if status >= 400:  # noqa: PLR2004
            into.troubles.append(f"{path}: {status}")
        into.sizes.append(size)
    into.ms.append(1000 * (time.perf_counter() - due))


async def _drive(urls: Sequence[str], plan: Iterable[tuple[float, Page, str]]) -> dict[str, Answers]:
    servers = [_Server(url) for url in urls]
    answers: dict[str, Answers] = {}
    under_way = set()
    start = time.perf_counter()
    for number, (at, page, path) in enumerate(plan):
        due = start + at
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(_one(servers[number % len(servers)], path, due,
                                        answers.setdefault(page.name, Answers())))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    for server in servers:
        server.close()
    return answers


def drive(urls: Sequence[str], pages: Sequence[Page], *, rate: float, seconds: float, seed: int) -> dict[str, Answers]:
    """Send `rate` requests a second for `seconds` to the servers in turn; answers by page.

    Each page's paths are drawn without repetition until all were asked for.
    """
    rng = random.Random(seed)
    decks = {page.name: iter(()) for page in pages}

    def draw(page: Page) -> str:
        path = next(decks[page.name], None)
        if path is None:
            decks[page.name] = iter(rng.sample(page.paths, len(page.paths)))
            path = next(decks[page.name])
        return path

    plan, at = [], 0.0
    shares = [page.share for page in pages]
    while (at := at + rng.expovariate(rate)) < seconds:
        page = rng.choices(pages, shares)[0]
        plan.append((at, page, draw(page)))
    return asyncio.run(_drive(urls, plan))


# ----------------------------------------------------------------------------------------------------- looking


def processor_s(pid: int) -> float:
    """Seconds of processor time of a process, its children, and those of them that have ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        own = sum(int(ticks) for ticks in fields[11:15]) / _TICKS
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return own + sum(processor_s(int(child)) for child in children)
    return 0.0


def forget_files(folder: Path) -> None:
    """Let the kernel drop what it keeps of the files below `folder`, and of no others."""
    for path in folder.rglob("*"):
        if path.is_file():
            with suppress(FileNotFoundError), path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def table(pages: Sequence[Page], answers: dict[str, Answers]) -> str:
    """Percentiles by page, as a table in Markdown."""
    lines = ["| page | requests | p50 ms | p95 ms | p99 ms | at most | kB, median |", "|---|--:|--:|--:|--:|--:|--:|"]
    for page in pages:
        got = answers.get(page.name)
        if got is None:
            continue
        p50, p95, p99 = (f"{got.percentile(share):.0f}" for share in (.5, .95, .99))
        lines.append(f"| {page.name} | {len(got.ms)} | {p50} | {p95} | {p99} | {page.bound_ms or ''}"
                     f" | {statistics.median(got.sizes or [0]) / 1000:.1f} |")
    return "\n".join(lines)
