"""A real S3 server (SeaweedFS, from PyPI) for the whole run, and a proxy before it that can count and misbehave."""

import contextlib
import http.client
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import warm

ALICE = {"AWS_ACCESS_KEY_ID": "ALICEKEY", "AWS_SECRET_ACCESS_KEY": "alicesecret"}
ACCOUNTS = {"identities": [
    {"name": "alice", "credentials": [{"accessKey": "ALICEKEY", "secretKey": "alicesecret"}],
     "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
    {"name": "writer", "credentials": [{"accessKey": "WRITERKEY", "secretKey": "writersecret"}], "actions": ["Write"]},
    {"name": "reader", "credentials": [{"accessKey": "READERKEY", "secretKey": "readersecret"}],
     "actions": ["Read", "List"]}]}


def free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """The address of the server."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    (folder / "accounts.json").write_text(json.dumps(ACCOUNTS))
    (folder / "data").mkdir()
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
             "s3.port", "s3.port.grpc")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    weed = shutil.which("weed", path=f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
    assert weed, "pip install -r tests/requirements.txt"
    log = open(folder / "log", "wb")  # noqa: SIM115  as long as the server
    process = subprocess.Popen(
        [weed, "server", f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
         "-master.volumeSizeLimitMB=64", "-volume.max=2000", "-filer", "-s3", f"-s3.config={folder}/accounts.json",
         "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
         *(f"-{name}={port}" for name, port in ports.items())], stdout=log, stderr=log, cwd=folder)
    address = f"http://127.0.0.1:{ports['s3.port']}"
    yield wait_for(address, process, folder)
    process.kill()  # it takes its time to end well, and nothing of it is kept
    process.wait()
    log.close()


def client(address):
    return boto3.client("s3", endpoint_url=address, aws_access_key_id="ALICEKEY", aws_secret_access_key="alicesecret",
                        region_name="us-east-1", config=Config(retries={"max_attempts": 1}))


def wait_for(address, process, folder):
    """Until it keeps a first object."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "log").read_text(errors="replace")[-3000:]
        try:
            with contextlib.closing(client(address)) as asking:
                asking.create_bucket(Bucket="first")
                asking.put_object(Bucket="first", Key="x", Body=b"x")
                return address
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
    raise AssertionError((folder / "log").read_text(errors="replace")[-3000:])


class Bucket:
    """A new bucket, looked at with Amazon's own library."""

    def __init__(self, address, name):
        self.address, self.name, self.url = address, name, f"s3://{name}"
        self.client = client(address)
        self.client.create_bucket(Bucket=name)
        self.env = {**ALICE, "AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1",
                    "AWS_EC2_METADATA_DISABLED": "true"}

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {item["Key"] for page in pages for item in page.get("Contents", ())}

    def read(self, key):
        answer = self.client.get_object(Bucket=self.name, Key=key)
        return answer["Body"].read(), answer["Metadata"]

    def write(self, key, content, **metadata):
        self.client.put_object(Bucket=self.name, Key=key, Body=content, Metadata=metadata)


@pytest.fixture
def bucket(s3, request, desk):
    made = Bucket(s3, f"bucket-{os.urandom(6).hex()}")
    desk.env |= made.env
    yield made
    made.client.close()


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on to the server as they are (so that their signatures hold), and notes them.

    Attributes:
        requests: method, path with query, and headers of each.
        refuse: how many of the next requests are answered with `status`; only those with `part` in their path.
        cut: after so many bytes of the next large answer but `spared` the connection is cut, once.
        slow: bytes a second of every body, either way; None for as fast as it goes.
        moved: bytes of bodies that went through.
        busy: requests that are being passed on.
    """

    daemon_threads = True

    def __init__(self, address):
        super().__init__(("127.0.0.1", 0), Passing)
        self.upstream = urllib.parse.urlsplit(address).netloc
        self.requests, self.refuse, self.cut, self.slow, self.moved, self.busy = [], 0, None, None, 0, 0
        self.status, self.part, self.spared = 503, "", 0
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    def paced(self, file, length):
        while length:
            block = file.read(min(length, 65536 if self.slow else 1 << 20))
            if not block:
                return
            length -= len(block)
            self.moved += len(block)
            if self.slow:
                time.sleep(len(block) / self.slow)
            yield block

    def count(self, method, part=""):
        return sum(one == method and part in path for one, path, _ in self.requests)

    def handle_error(self, *_):
        """A client that was killed is what some tests are about."""

    def stop(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Passing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def pass_on(self):
        with self.server.lock:
            self.server.requests.append((self.command, self.path, dict(self.headers)))
            self.server.busy += 1
        try:
            self.ask(self.server.paced(self.rfile, int(self.headers.get("Content-Length") or 0)))
        finally:
            with self.server.lock:
                self.server.busy -= 1

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815  http.server's names

    def ask(self, body):
        if self.server.refuse > 0 and self.server.part in self.path:
            self.server.refuse -= 1
            b"".join(body)
            self.send_response(self.server.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with contextlib.closing(http.client.HTTPConnection(self.server.upstream, timeout=60)) as upstream:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders()
            for block in body:
                upstream.send(block)
            self.answer(upstream.getresponse())

    def answer(self, answer):
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "date", "server"}:
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            self.send_header("Content-Length", "0")
        self.end_headers()
        if self.command == "HEAD":
            return
        for block in self.server.paced(answer, int(answer.getheader("Content-Length") or 0)):
            if self.server.cut is not None and len(block) > 1000 and self.server.spared:
                self.server.spared -= 1
                self.close_connection = True
                self.wfile.write(block)
                return
            if self.server.cut is not None and len(block) > 1000:
                self.wfile.write(block[:self.server.cut])
                self.server.cut = None
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(block)

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy(bucket, desk):
    made = Proxy(bucket.address)
    desk.env["AWS_ENDPOINT_URL"] = made.address
    yield made
    made.stop()


def wait_until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def until():
    return wait_until


@pytest.fixture
def glaas(tmp_path):
    """The address of a glaas server."""
    process = warm.start_server("serve", "--port", "0", "--database", f"sqlite:///{tmp_path}/glaas.db")
    line = process.stdout.readline()
    assert line.startswith("glaas is at http://127.0.0.1:"), line
    yield line.split()[-1].rstrip("/")
    process.terminate()
    process.wait(30)
    process.stdout.close()


@pytest.fixture
def at():
    """Amazon's own client for the server at an address, as a context."""
    return lambda address: contextlib.closing(client(address))
