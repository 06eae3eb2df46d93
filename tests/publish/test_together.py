"""Several clients at once, while the server is killed and comes back: nothing is lost, nothing is doubled."""

import json
import signal
import threading
import time
import urllib.request

import pytest

from roar.errors import PublishError
from roar.model import FileUse, Job, JobState, Tracer
from roar.publish.register import encode, register
from roar.publish.server import parse_server
from roar.wire import Registration

CLIENTS = 8
SECONDS = 6


def registration(client, number):
    job = Job(uid=f"{client:016x}{number:016x}", step=number + 1, command=("work", str(number)), cwd=".",
              started_at="2026-11-22T10:00:00.000000Z", duration_s=1.0, exit_code=0, state=JobState.DONE,
              tracer=Tracer(mode="full"),
              inputs=(FileUse(path="shared.txt", digest="ab" * 32, size=7),),
              outputs=tuple(FileUse(path=f"{n}.txt", digest=f"{client:02x}{number:04x}{n:058x}", size=n + 1)
                            for n in range(50)))
    return Registration(version=1, client="roar test", session=f"{client:016x}{number:016x}", jobs=(job,))


def keep_registering(server, client, until, done):
    number = 0
    while time.monotonic() < until:
        body = encode(registration(client, number))
        while True:  # what a person does: type it again
            try:
                done.append(register(server, body).dag)
                break
            except PublishError:
                time.sleep(0.2)
        number += 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_lost_and_nothing_doubled(glaas, how):
    done = [[] for _ in range(CLIENTS)]
    until = time.monotonic() + SECONDS
    threads = [threading.Thread(target=keep_registering, args=(parse_server(glaas.url), client, until, done[client]))
               for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS / 3)
    status = glaas.stop(how)
    assert how is signal.SIGKILL or status in {0, -how}
    glaas.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    uids, cursor = [], ""
    while cursor is not None:
        with urllib.request.urlopen(f"{glaas.url}/api/v1/jobs?limit=1000{cursor}") as answer:
            page = json.load(answer)
        uids += [job["uid"] for job in page["jobs"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    expected = {f"{client:016x}{number:016x}" for client in range(CLIENTS) for number in range(len(done[client]))}
    assert len(expected) > CLIENTS
    assert sorted(uids) == sorted(expected)
