"""Several processes, many clients, and a hard end: what a client was told is there stays there, and is there once."""

import json
import re
import shutil
import sys
import urllib.request
from pathlib import Path

import pytest
from registrations import body, digits, uid

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from registry import ordeal

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None,
                                reason="Debian's haproxy is not installed: apt-get install haproxy")


def fetch(url, content=None):
    request = urllib.request.Request(url, data=content, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def test_two_processes_behind_a_balancer_are_one_server(database, tmp_path):
    with ordeal.Balanced(database, tmp_path / "errors") as servers:
        dag = json.loads(fetch(f"{servers.url}/api/v1/sessions", body(digits())))["dag"]
        pages = [fetch(f"{servers.url}/jobs/{uid(2)}") for _ in range(20)]
        assert set(pages) == {pages[0]}
        assert dag in pages[0]
        for address in servers.addresses:
            assert int(re.search(r'glaas_requests_total\{method="GET",route="/jobs/\{uid\}",status="200"\} (\d+)',
                                 fetch(f"{address}/metrics"))[1]) >= 5
    assert (tmp_path / "errors").read_text() == ""


@pytest.mark.parametrize(("seconds", "every_s"), [
    pytest.param(6, 1.5, id="briefly"), pytest.param(20, 2, id="longer", marks=pytest.mark.heavy)])
def test_eight_clients_register_while_servers_are_killed(database, tmp_path, seconds, every_s):
    outcome = ordeal.endure(database, tmp_path, seconds=seconds, every_s=every_s)
    assert outcome.troubles == []
    assert ordeal.lost_or_doubled(database, outcome) == []
    assert outcome.killed >= max(1, seconds / 20)
    assert outcome.answered > 2 * ordeal.CLIENTS
