"""A made-up world of machine learning teams, as the registrations that their clients would have sent.

Everything follows from the number of a session alone, so parts of the world can be made in any order and in several
processes, and are the same each time. What makes it like a real registry, and hard to serve:

* projects of very different size (Zipf);
* sessions of three kinds: pipelines that prepare a dataset and fan out, chains in which each job goes on from the
  checkpoint of the one before (8 to 30 jobs deep), and sweeps of 20 to 50 trials over the same files;
* popular artifacts: scripts, settings, tokenizers and base models that thousands of jobs read;
* sessions that start from what an earlier session of the same project released, so lineage crosses sessions;
* datasets, tracker runs of three trackers, labels, names, commits, packages.
"""

import bisect
import functools
import itertools
import random
from collections.abc import Iterator

import blake3

from roar import model
from roar.wire import Dataset, DatasetMember, Registration

PROJECTS = 40
ENVIRONMENTS = 200
PACKAGES = 30
BASE_MODELS = 12
SCRIPTS = 25
MEMBERS = 24
MOST_JOBS = 60  # in one session
JOBS_PER_SESSION = 20.2  # on average, as measured, a little less
_NAMES = ("baseline", "ablation", "long context", "distill", "lora", "rerun", "final", "no dropout")
_PEOPLE = ("ada", "grace", "emmy", "alan", "edsger", "barbara", "donald", "margaret", "linus", "frances")
_LIBRARIES = ("numpy", "pandas", "torch", "scikit-learn", "transformers", "pyarrow", "scipy", "pillow", "tqdm",
              "pyyaml")


@functools.lru_cache(maxsize=100_000)
def digest(text: str) -> str:
    """The digest of the artifact that the world calls `text`."""
    return blake3.blake3(text.encode()).hexdigest()


@functools.lru_cache(maxsize=100_000)
def size_of(text: str) -> int:
    """Bytes of the artifact that the world calls `text`: some small, some large, none empty."""
    number = int(digest(text)[:8], 16)
    return 1 + number % (10 ** (3 + number % 7))


def use(path: str, content: str) -> model.FileUse:
    """A file that holds what the world calls `content`."""
    return model.FileUse(path=path, digest=digest(content), size=size_of(content))


_SHARES = list(itertools.accumulate(1 / (rank + 1) for rank in range(PROJECTS)))


def project_of(session: int) -> str:
    """The project of a session; the first has a quarter of them."""
    where = random.Random(f"project {session}").random() * _SHARES[-1]
    return f"team-{bisect.bisect(_SHARES, where):02}"


def _earlier(session: int) -> int | None:
    """An earlier session of the same project, whose release this one starts from."""
    project = project_of(session)
    return next((other for other in range(session - 1, max(session - 200, -1), -1) if project_of(other) == project),
                None)


@functools.cache
def environment(number: int) -> tuple[model.Host, model.Python]:
    """One of the machines with the packages on it."""
    rng = random.Random(f"environment {number}")
    packages = [model.Package(name=name, version=f"{rng.randrange(1, 4)}.{rng.randrange(20)}.{rng.randrange(9)}")
                for name in _LIBRARIES]
    packages += [model.Package(name=f"lib-{rng.randrange(400):03}-{n:02}", version=f"0.{rng.randrange(30)}")
                 for n in range(PACKAGES - len(_LIBRARIES))]
    return (model.Host(os="Linux 6.12", machine="x86_64", cpu="AMD EPYC 9654", cpus=rng.choice((8, 32, 96)),
                       memory=rng.choice((64, 256, 1024)) * 2**30, gpus=("NVIDIA H100",) * rng.choice((0, 1, 8))),
            model.Python(version=f"3.{rng.randrange(11, 14)}.{rng.randrange(9)}", packages=tuple(packages)))


class _Session:
    """One session as it comes to be, job by job."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.rng = random.Random(f"session {number}")
        self.project = project_of(number)
        self.jobs: list[model.Job] = []
        self.datasets: list[Dataset] = []
        self.host, self.python = environment(self.rng.randrange(ENVIRONMENTS))
        self.version = self.rng.randrange(SCRIPTS)
        self.person = self.rng.choice(_PEOPLE)
        commit = digest(f"commit {self.project} {self.version} {number % 500}")[:40]
        self.git = model.Git(commit=commit, branch=self.rng.choice(("main", f"{self.person}/try", "release")),
                             remote=f"https://git.example.com/{self.project}/models.git", dirty=number % 3 == 0,
                             patch=digest(f"patch {number}") if number % 3 == 0 else None)

    def code(self, script: str) -> tuple[model.FileUse, ...]:
        """What every job reads: popular files."""
        base = f"{self.project} {self.version}"
        return (use(script, f"{script} {base}"), use("src/model.py", f"model.py {base}"),
                use("src/data.py", f"data.py {base}"), use("config/base.yaml", f"base.yaml {self.project}"))

    def base_model(self) -> tuple[model.FileUse, ...]:
        """Files that jobs of all projects read."""
        number = min(int(self.rng.expovariate(0.5)), BASE_MODELS - 1)
        return (use(f"/models/base-{number}/model.safetensors", f"base model {number}"),
                use(f"/models/base-{number}/tokenizer.json", f"tokenizer {number % 3}"))

    def add(self, script: str, reads: tuple[model.FileUse, ...], writes: tuple[model.FileUse, ...], *words: str,
            tracked: bool = False) -> None:
        """One more job."""
        step = len(self.jobs) + 1
        minutes = self.number * MOST_JOBS + step
        failed = self.rng.random() < 0.03
        self.jobs.append(model.Job(
            uid=digest(f"job {self.number} {step}")[:32], step=step, command=("python", script, *words), cwd=".",
            name=self.rng.choice(_NAMES) if step % 4 == 0 else None, started_at=_time(minutes),
            duration_s=round(self.rng.expovariate(1 / 600), 3), exit_code=int(failed), state=model.JobState.DONE,
            git=self.git, host=self.host, python=self.python, tracer=model.Tracer(mode="full"),
            inputs=self.code(script) + reads, outputs=writes, labels=self._labels(step),
            tracker_runs=self._runs(step) if tracked else (),
            trackers={"wandb": model.TrackerSummary(filtered_files=self.rng.randrange(900))} if tracked else {}))

    def _labels(self, step: int) -> dict[str, str]:
        return {"owner": self.person} | ({"stage": self.rng.choice(("draft", "final"))} if step % 3 == 0 else {})

    def _runs(self, step: int) -> tuple[model.TrackerRun, ...]:
        run_id = digest(f"run {self.number} {step}")[:8]
        kind = self.rng.random()
        if kind < 0.6:
            return (model.TrackerRun(
                tracker="wandb", label="W&B", run_id=run_id, project=self.project, entity="acme",
                name=f"{self.rng.choice(_NAMES).replace(' ', '-')}-{step}", state=model.TrackerRunState.ONLINE,
                url=f"https://wandb.ai/acme/{self.project}/runs/{run_id}", evidence="console"),)
        if kind < 0.85:
            run_id = digest(f"run {self.number} {step}")[:32]
            return (model.TrackerRun(
                tracker="mlflow", label="MLflow", run_id=run_id, project=str(self.number % 90), evidence="console",
                url=f"https://mlflow.example.com/#/experiments/{self.number % 90}/runs/{run_id}",
                state=model.TrackerRunState.ONLINE),)
        return (model.TrackerRun(
            tracker="tensorboard", label="TensorBoard", run_id=run_id, state=model.TrackerRunState.LOCAL,
            how_to_view=f"tensorboard --logdir runs/{run_id}", evidence="files"),)

    def start(self) -> tuple[model.FileUse, ...]:
        """What an earlier session released, or raw data."""
        before = _earlier(self.number)
        if before is None or self.rng.random() < 0.3:
            return tuple(use(f"data/raw/{n:02}.parquet", f"raw {self.project} {n}") for n in range(4))
        return (use("release/model.pt", f"release {before}"),)

    def dataset(self, name: str) -> model.FileUse:
        """A folder of files that this session wrote."""
        members = tuple(DatasetMember(path=f"part-{n:05}.parquet", digest=digest(f"{name} {self.number} {n}"),
                                      size=size_of(f"{name} {self.number} {n}")) for n in range(MEMBERS))
        lines = "".join(f"{member.digest}  {member.path}\n" for member in members)
        self.datasets.append(Dataset(digest=digest(lines), members=members))
        return model.FileUse(path=f"data/{name}", digest=digest(lines), size=sum(member.size for member in members),
                             kind=model.Kind.DATASET, files=MEMBERS)

    def release(self, *models: model.FileUse) -> None:
        """The last job of every session: what a later session may start from."""
        self.add("release.py", models, (use("release/model.pt", f"release {self.number}"),
                                        use("release/card.md", f"card {self.number}")))


def _time(minutes: int) -> str:
    """A moment, `minutes` after the start of the world."""
    days, minute = divmod(minutes, 24 * 60)
    years, day = divmod(days, 336)
    return f"{1990 + years}-{day // 28 + 1:02}-{day % 28 + 1:02}T{minute // 60:02}:{minute % 60:02}:00.000000Z"


def _pipeline(session: _Session) -> None:
    parts = tuple(use(f"data/train/part-{n:05}.parquet", f"train {session.number} {n}") for n in range(MEMBERS))
    session.add("prepare.py", session.start(), parts)
    folder = session.dataset("train")
    width = session.rng.randrange(2, 10)
    models = []
    for n in range(width):
        model_file = use(f"runs/{n}/model.pt", f"model {session.number} {n}")
        log = use(f"runs/{n}/train.log", f"log {session.number} {n}")
        session.add("train.py", (folder, *session.base_model()), (model_file, log), "--seed", str(n), tracked=True)
        models.append(model_file)
    for n, model_file in enumerate(models):
        session.add("evaluate.py", (model_file, use("data/test.parquet", f"test {session.project}")),
                    (use(f"runs/{n}/report.json", f"report {session.number} {n}"),))
    session.release(*models)


def _chain(session: _Session) -> None:
    length = session.rng.randrange(8, 31)
    last = session.start()
    for n in range(length):
        written = use(f"checkpoints/{n:03}.pt", f"checkpoint {session.number} {n}")
        session.add("train.py", (*last, *session.base_model()),
                    (written, use(f"logs/{n:03}.txt", f"log {session.number} {n}"),
                     use(f"logs/{n:03}.json", f"metrics {session.number} {n}")), "--resume", tracked=n % 2 == 0)
        last = (written,)
    session.release(*last)


def _sweep(session: _Session) -> None:
    data = tuple(use(f"data/shared/{n}.parquet", f"shared {session.project} {n}") for n in range(3))
    found = []
    for n in range(session.rng.randrange(20, 51)):
        metrics = use(f"sweep/{n:03}/metrics.json", f"sweep {session.number} {n}")
        session.add("sweep.py", (*data, *session.base_model()),
                    (metrics, use(f"sweep/{n:03}/model.pt", f"sweep model {session.number} {n}")),
                    f"--lr={session.rng.choice((1, 3)) * 10.0 ** -session.rng.randrange(2, 6):g}", tracked=True)
        found.append(metrics)
    session.add("select.py", tuple(found), (use("sweep/best.json", f"best {session.number}"),))
    session.release(use("sweep/best.json", f"best {session.number}"))


def make_session(number: int) -> tuple[str, Registration]:
    """The project of session `number`, and the registration that its client would send."""
    session = _Session(number)
    kind = session.rng.random()
    (_pipeline if kind < 0.45 else _chain if kind < 0.8 else _sweep)(session)
    return session.project, Registration(
        version=1, client="roar benchmark", session=digest(f"session {number}")[:32], jobs=tuple(session.jobs),
        datasets=tuple(session.datasets))


def make_sessions(start: int, stop: int) -> Iterator[tuple[int, str, Registration]]:
    """Sessions from `start` to before `stop`: number, project, registration."""
    for number in range(start, stop):
        yield number, *make_session(number)
