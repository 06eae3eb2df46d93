"""Hand-made registrations for the server's tests."""

import dataclasses
import json
import os
from typing import Any

import blake3

from roar import model
from roar.wire import Dataset, DatasetMember, Payload, Registration, member_line, to_json

SESSION = "5e" * 16
WANDB_URL = "https://wandb.ai/acme/digits/runs/abc123xy"
MLFLOW_URL = "http://127.0.0.1:5000/#/experiments/1/runs/0123456789abcdef0123456789abcdef"
HOST = model.Host(os="Linux 6.18", machine="x86_64", cpu="AMD EPYC", cpus=2, memory=25_000_000_000, gpus=("A100",))
PYTHON = model.Python(version="3.11.7", packages=(model.Package(name="numpy", version="2.1.0"),
                                                  model.Package(name="scikit-learn", version="1.7.2")))
GIT = model.Git(commit="c0ffee" + "0" * 34, branch="main", remote="https://example.com/acme/digits.git", dirty=True,
                patch="ab" * 32)
INNER = (model.Repository(path="vendor/lib", kind="nested", commit="1ab" + "0" * 37, dirty=True,
                          remote="https://example.com/acme/lib.git"),
         model.Repository(path="third_party/net", kind="submodule", commit=None, dirty=False, remote=None))


def digest(text: str) -> str:
    return blake3.blake3(os.fsencode(text)).hexdigest()


def uid(number: int) -> str:
    return f"{number:032x}"


def use(path: str, content: str | None = None, size: int = 1234, **more: Any) -> model.FileUse:
    return model.FileUse(path=path, digest=digest(path if content is None else content), size=size, **more)


def job(number: int, *, inputs: tuple[model.FileUse, ...] = (), outputs: tuple[model.FileUse, ...] = (),
        **more: Any) -> model.Job:
    values: dict[str, Any] = {
        "uid": uid(number), "step": number, "command": ("python", f"step{number}.py", "--lr", "0.1"), "cwd": ".",
        "started_at": f"2026-11-22T10:00:{number % 60:02}.123456Z", "duration_s": 12.3, "exit_code": 0,
        "state": model.JobState.DONE, "git": GIT, "host": HOST, "python": PYTHON,
        "tracer": model.Tracer(mode="full"), "inputs": inputs, "outputs": outputs}
    return model.Job(**(values | more))


def dataset_of(members: tuple[DatasetMember, ...]) -> Dataset:
    lines = [member_line(os.fsencode(m.path), m.digest) for m in sorted(members, key=lambda m: os.fsencode(m.path))]
    return Dataset(digest=blake3.blake3(b"".join(lines)).hexdigest(), members=members)


def wandb_run(**more: Any) -> model.TrackerRun:
    values: dict[str, Any] = {
        "tracker": "wandb", "label": "W&B", "run_id": "abc123xy", "project": "digits", "entity": "acme",
        "name": "silver-fox-3", "url": WANDB_URL, "state": model.TrackerRunState.ONLINE, "evidence": "console"}
    return model.TrackerRun(**(values | more))


def mlflow_run(**more: Any) -> model.TrackerRun:
    values: dict[str, Any] = {
        "tracker": "mlflow", "label": "MLflow", "run_id": "0123456789abcdef0123456789abcdef", "project": "1",
        "url": MLFLOW_URL, "state": model.TrackerRunState.ONLINE, "evidence": "console"}
    return model.TrackerRun(**(values | more))


def digits() -> Registration:
    """Prepare, train, evaluate: a dataset, an online and an offline run, a payload."""
    members = tuple(DatasetMember(path=f"{n}.npy", digest=digest(f"member {n}"), size=100) for n in range(5))
    dataset = dataset_of(members)
    folder = model.FileUse(path="data/digits", digest=dataset.digest, size=500, kind=model.Kind.DATASET, files=5)
    prepare = job(1, inputs=(use("prepare.py"), use("raw.csv")),
                  outputs=tuple(use(f"data/digits/{m.path}", f"member {n}", 100) for n, m in enumerate(members)),
                  name="prepare")
    train = job(2, inputs=(use("train.py"), folder), outputs=(use("model.pt"), use("log.txt")),
                command=("python", "train.py", "--epochs", "3"),
                tracker_runs=(wandb_run(), mlflow_run(),
                              wandb_run(run_id="offl1ne0", name=None, url=None, entity=None,
                                        state=model.TrackerRunState.OFFLINE,
                                        how_to_view="wandb sync wandb/offline-run-20261122_100000-offl1ne0")),
                trackers={"wandb": model.TrackerSummary(filtered_files=812)}, labels={"owner": "alice"})
    evaluate = job(3, inputs=(use("evaluate.py"), use("model.pt"), use("best.pt")), outputs=(use("report.json"),),
                   tracer=model.Tracer(mode="preload", gaps=("io_uring",)))
    return Registration(
        version=1, client="roar 0.1.0", session=SESSION, jobs=(prepare, train, evaluate), datasets=(dataset,),
        payloads=(Payload(job=uid(2), path="mlruns/1/model/best.pt", digest=digest("best.pt"), size=1234),))


def grown(registration: Registration, *jobs: model.Job) -> Registration:
    return dataclasses.replace(registration, jobs=registration.jobs + jobs)


def body(registration: Registration) -> bytes:
    return json.dumps(to_json(registration)).encode()
