"""The whole way, as a person goes it: train under roar, register, open the job page, click the link, be there."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import sync_playwright

pytestmark = [pytest.mark.browser, pytest.mark.sdk]

TRAIN = """
import mlflow
mlflow.set_experiment("clicks")
with mlflow.start_run(run_name="the-run-to-find") as run:
    mlflow.log_param("lr", 0.1)
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
open("model.bin", "wb").write(open("data.txt", "rb").read())
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(command, ready, cwd, env):
    with open(cwd / f"{os.path.basename(command[0])}.log", "w+b") as log:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + 90
            while True:
                try:
                    with urllib.request.urlopen(ready, timeout=5):
                        break
                except OSError:
                    log.seek(0)
                    assert process.poll() is None, log.read()
                    assert time.monotonic() < deadline, log.read()
                    time.sleep(0.2)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def tool(name):
    return os.path.join(os.path.dirname(sys.executable), name)


@pytest.fixture
def browser():
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Debian's chromium is not installed: apt-get install chromium")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=executable, args=[
            "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"])
        yield chromium
        chromium.close()


def test_clicking_view_in_mlflow_opens_that_very_run(desk, browser):
    env = {**desk.env, "MLFLOW_DISABLE_TELEMETRY": "true"}
    mlflow, glaas = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    desk.write("train.py", TRAIN)
    desk.write("data.txt", "data\n")
    desk.init()
    with server([tool("mlflow"), "server", "--host", "127.0.0.1", "--port", mlflow.rpartition(":")[2],
                 "--workers", "1", "--backend-store-uri", f"sqlite:///{desk.tmp}/server.db", "--artifacts-destination",
                 str(desk.tmp / "artifacts")], f"{mlflow}/health", desk.tmp, env):
        desk.roar("run", "python", "train.py", env={"MLFLOW_TRACKING_URI": mlflow, "MLFLOW_DISABLE_TELEMETRY": "true"})
        job = desk.job()
        assert [run["tracker"] for run in job["tracker_runs"]] == ["mlflow"]
        run = job["tracker_runs"][0]
        assert (run["state"], run["evidence"]) == ("online", "console")
        assert [use["path"] for use in job["outputs"]] == ["model.bin"]
        with server([tool("glaas"), "serve", "--port", glaas.rpartition(":")[2], "--database",
                     f"sqlite:///{desk.tmp}/glaas.db"], f"{glaas}/", desk.tmp, env):
            printed = desk.roar("register", "--server", glaas).stdout
            assert re.search(rf"{glaas}/dag/[0-9a-f]{{64}}\s*$", printed)
            context = browser.new_context()
            page = context.new_page()
            problems = []
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(f"{glaas}/jobs/{job['uid']}")
            link = page.get_by_role("link", name="View in MLflow")
            assert link.get_attribute("rel") == "noopener noreferrer"
            with context.expect_page() as opened:
                link.click()
            there = opened.value
            there.wait_for_load_state()
            assert there.url.startswith(mlflow)
            assert run["run_id"] in there.url
            there.get_by_text("the-run-to-find").first.wait_for(timeout=60_000)
            assert problems == []
            page.get_by_role("link", name=job["outputs"][0]["digest"][:8]).first.click()
            page.get_by_text("model.bin").first.wait_for()
