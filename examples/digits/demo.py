"""The whole way once: train under `roar run`, register the session, open the job page.

usage: demo.py [--check]

Runs prepare.py, train.py and evaluate.py in the folder `work/` beside this file, with a real MLflow server on
loopback and W&B offline (no account is needed), then serves the lineage until Ctrl-C. With --check it fetches the
pages, follows the links, and stops; exit status 1 when one of them is wrong.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from html import unescape
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE / "work"
BIN = Path(sys.executable).parent
SCRIPTS = ("prepare.py", "train.py", "evaluate.py")
PATIENCE_S = 120


def say(text: str) -> None:
    """A heading between the programs' own output."""
    print(f"\n\033[1m── {text}\033[0m" if sys.stdout.isatty() else f"\n── {text}", flush=True)


def free_port(preferred: int) -> int:
    """The preferred port where it is free, else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise SystemExit("no free port on 127.0.0.1")


def fetch(url: str) -> str:
    """A page as text."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def serve(command: list[str], ready: str, log: Path, env: dict[str, str]) -> subprocess.Popen:
    """Start a server and wait until `ready` answers."""
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=WORK, env=env, stdout=output, stderr=subprocess.STDOUT,
                                  start_new_session=True)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            fetch(ready)
            return server
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    stop(server)
    raise SystemExit(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def stop(server: subprocess.Popen) -> None:
    """End a server and all its children."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def prepare_folder() -> None:
    """A fresh project folder under git, as a user would have."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    for script in SCRIPTS:
        shutil.copy(HERE / script, WORK / script)
    (WORK / ".gitignore").write_text("data/\nwandb/\ntensorboard/\n*.pkl\n*.db\n*.log\nmlruns/\nmlartifacts/\n")
    git = ["git", "-c", "user.name=demo", "-c", "user.email=demo@localhost"]
    subprocess.run([*git, "init", "-q", "-b", "main"], cwd=WORK, check=True)
    subprocess.run([*git, "add", "."], cwd=WORK, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "digits: prepare, train, evaluate"], cwd=WORK, check=True)


def roar(*arguments: str, env: dict[str, str]) -> None:
    """Run one `roar` command where the user would, and show it."""
    print(f"$ roar {' '.join(arguments)}", flush=True)
    done = subprocess.run([BIN / "roar", *arguments], cwd=WORK, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"roar {arguments[0]} ended with {done.returncode}")


def environment(mlflow_url: str) -> dict[str, str]:
    """The environment of a person who uses MLflow's server and has no W&B account."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "MLFLOW_", "ROAR_"))}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "MLFLOW_TRACKING_URI": mlflow_url,
                   "WANDB_MODE": "offline", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1",
                   "GIT_CEILING_DIRECTORIES": str(HERE)}


def job_page(glaas: str, env: dict[str, str]) -> str:
    """The address of the page of the training job."""
    log = subprocess.run([BIN / "roar", "log", "--json"], cwd=WORK, env=env, check=True, stdout=subprocess.PIPE)
    jobs = json.loads(log.stdout)["jobs"]
    train = next(job for job in jobs if "train.py" in job["command"])
    return f"{glaas}/jobs/{train['uid']}"


def check(page: str, glaas: str, mlflow_url: str) -> list[str]:
    """What is wrong with the pages; empty when all is right."""
    html = unescape(fetch(page))
    wrong = []
    link = re.search(rf'href="({re.escape(mlflow_url)}/#/experiments/(\d+)/runs/([0-9a-f]{{32}})[^"]*)"', html)
    if not link or "View in MLflow" not in html:
        wrong.append("the job page has no link to the MLflow run")
    else:
        run = json.loads(fetch(f"{mlflow_url}/api/2.0/mlflow/runs/get?run_id={link[3]}"))["run"]
        if run["info"]["experiment_id"] != link[2] or run["info"]["status"] != "FINISHED":
            wrong.append(f"the link leads to another MLflow run: {run['info']}")
        if "<title>MLflow</title>" not in fetch(link[1].partition("#")[0]):
            wrong.append("the MLflow link does not open MLflow's page")
    if "wandb sync" not in html:
        wrong.append("the job page does not say how to upload the offline W&B run")
    if "tensorboard --logdir" not in html:
        wrong.append("the job page does not say how to see the TensorBoard run")
    wrong += [f"the job page does not show {name}" for name in ("data/train.npz", "model.pkl") if name not in html]
    job = json.loads(fetch(page.replace("/jobs/", "/api/v1/jobs/")))
    strays = [use["path"] for use in job["outputs"] if use["path"] != "model.pkl"]
    if strays:
        wrong.append(f"files of trackers are among the outputs: {strays}")
    model = job["outputs"][0]["digest"]
    lineage = json.loads(fetch(f"{glaas}/api/v1/artifacts/{model}/lineage?direction=up&depth=5"))
    if not any("prepare.py" in other["command"] for other in lineage["jobs"]):
        wrong.append("the model's lineage does not reach prepare.py")
    return wrong


def main() -> int:
    """Run everything; with --check look at the result, else serve it until Ctrl-C."""
    checking = "--check" in sys.argv[1:]
    prepare_folder()
    mlflow_url = f"http://127.0.0.1:{free_port(5000)}"
    glaas = f"http://127.0.0.1:{free_port(8420)}"
    env = environment(mlflow_url)
    servers = []
    try:
        say("an MLflow server, as a team would have")
        servers.append(serve([BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", mlflow_url.rpartition(":")[2],
                              "--backend-store-uri", "sqlite:///server.db", "--workers", "1",
                              "--artifacts-destination", "server-artifacts"],
                             f"{mlflow_url}/health", WORK / "mlflow-server.log", env))
        for script in SCRIPTS:
            say(script)
            roar("run", "python", script, env=env)
        say("the session goes to glaas, the lineage server")
        servers.append(serve([BIN / "glaas", "serve", "--port", glaas.rpartition(":")[2], "--database",
                              "sqlite:///glaas.db"], f"{glaas}/", WORK / "glaas-server.log", env))
        roar("config", "glaas.url", glaas, env=env)
        roar("register", env=env)
        page = job_page(glaas, env)
        if checking:
            wrong = check(page, glaas, mlflow_url)
            print(*(f"WRONG: {line}" for line in wrong), sep="\n")
            say("all links are right" if not wrong else f"{len(wrong)} of the checks failed")
            return bool(wrong)
        say("open the training job's page")
        print(f"\n    {page}\n\nCtrl-C stops the servers.", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print()
    finally:
        for server in servers:
            stop(server)
    return 0


if __name__ == "__main__":
    sys.exit(main())
