"""A real glaas server in a process of its own, to publish to."""

import contextlib
import signal
import sys
from pathlib import Path

import pytest

import warm

# importlib mode does not look beside a test module by itself: fake trackers, and what reads exports
sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("fakes", "glaas")]


class Glaas:
    """One server over one database file; it may be stopped and started again on the same port."""

    def __init__(self, file):
        self.file, self.port, self.process, self.url, self.options = file, 0, None, "", []

    def start(self):
        self.process = warm.start_server("serve", "--port", str(self.port), "--database", f"sqlite:///{self.file}",
                                         *self.options)
        line = self.process.stdout.readline()
        assert line.startswith("glaas is at http://127.0.0.1:"), line
        self.url = line.split()[-1].rstrip("/")
        self.port = int(self.url.rpartition(":")[2])

    def stop(self, with_signal=signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(with_signal)
        status = self.process.wait(30)
        self.process.stdout.close()
        return status


@pytest.fixture
def glaas(tmp_path):
    server = Glaas(tmp_path / "glaas.db")
    server.start()
    yield server
    if server.process.poll() is None:
        server.stop()
