"""Hand-made jobs, written through the real writer."""

import hashlib
import itertools
import os
from datetime import UTC, datetime, timedelta

from roar.model import FileUse, Git, Host, Job, JobState, Kind, Package, Python, Tracer
from roar.record.database import open_database
from roar.record.writer import write_job
from roar.wire import Dataset, DatasetMember
from roar.workspace import Workspace

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def digest(content):
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def file(path, content=None, size=10, **more):
    return FileUse(path=path, digest=digest(path if content is None else content), size=0 if content == "" else size,
                   **more)


def unknown(path, note="it was gone"):
    return FileUse(path=path, digest=None, size=3, note=note)


def dataset(path, members):
    """A dataset use and its members; `members` maps names to contents."""
    rows = tuple(DatasetMember(path=name, digest=digest(content), size=10 if content else 0)
                 for name, content in sorted(members.items()))
    whole = digest("".join(f"{row.digest}  {row.path}\n" for row in rows))
    return (FileUse(path=path, digest=whole, size=sum(row.size for row in rows), kind=Kind.DATASET, files=len(rows)),
            Dataset(digest=whole, members=rows))


class Recorder:
    """A workspace in `root` whose jobs are one minute apart."""

    def __init__(self, root):
        (root / ".roar").mkdir(parents=True)
        self.workspace = Workspace(str(root))
        self.database = open_database(self.workspace.database)
        self._minutes = itertools.count()

    def job(self, command, inputs=(), outputs=(), *, exit_code=0, state=JobState.DONE, minute=None, duration_s=1.5,
            uid=None, name=None, cwd=".", git=None, labels=None, tracker_runs=(), python=None, host=None, gaps=(),
            **more):
        minute = next(self._minutes) if minute is None else minute
        started = (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        words = tuple(command.split()) if isinstance(command, str) else tuple(command)
        job = Job(uid=uid or os.urandom(16).hex(), step=0, name=name, command=words, cwd=cwd, started_at=started,
                  duration_s=duration_s, exit_code=exit_code, state=state, git=git, host=host, python=python,
                  tracer=Tracer(mode="full", gaps=gaps), inputs=tuple(inputs), outputs=tuple(outputs),
                  tracker_runs=tuple(tracker_runs), labels=labels or {})
        return write_job(self.database, job, **more)

    def one(self, sql, *values):
        return self.database.execute(sql, values).fetchone()[0]

    def edges(self):
        """(consumer, producer) pairs of uids."""
        return set(self.database.execute(
            "SELECT c.uid, p.uid FROM dependency JOIN job AS c ON c.id = consumer_id"
            " JOIN job AS p ON p.id = producer_id"))


GIT = Git(commit="a" * 40, branch="main", remote="https://example.org/r.git", dirty=True, patch=digest("patch"))
HOST = Host(os="Linux 6.18", machine="x86_64", cpu="Some CPU", cpus=2, memory=25_000_000_000, gpus=("A100",))
PYTHON = Python(version="3.11.7", packages=(Package(name="numpy", version="2.1.0"),))
