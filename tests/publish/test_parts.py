"""A large session goes in parts: a connection that breaks costs one of them, whoever sends the rest and when."""

import dataclasses
import http.server
import json
import socket
import sys
import threading
from pathlib import Path

import pytest

from roar import model
from roar.errors import PublishError
from roar.publish import register as publishing
from roar.publish.register import encode, register
from roar.publish.server import Server
from roar.wire import Registration

sys.path.insert(0, str(Path(__file__).parent.parent / "glaas"))
from registrations import digest, digits, job

PART = 20_000


class Relay:
    """Passes bytes on to a server, and is gone for good once `most` of them went there."""

    def __init__(self, url, most):
        host, _, port = url.removeprefix("http://").partition(":")
        self.target, self.left, self.passed, self.stopped = (host, int(port)), most, 0, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while self.left > 0:
            near, _ = self.listener.accept()
            if self.stopped:
                near.close()
                return
            with near, socket.create_connection(self.target) as far:
                back = threading.Thread(target=self.pass_on, args=(far, near))
                back.start()
                while self.left > 0 and (part := near.recv(min(4096, self.left))):
                    far.sendall(part)
                    self.left -= len(part)
                    self.passed += len(part)
                if self.left <= 0:
                    self.listener.close()
                    near.shutdown(socket.SHUT_RDWR)
                far.shutdown(socket.SHUT_WR)
                back.join()
        self.listener.close()

    @staticmethod
    def pass_on(far, near):
        try:
            while part := far.recv(4096):
                near.sendall(part)
        except OSError:
            return

    def stop(self):
        """After the connection that is being passed on, whose answer its client may have had already."""
        self.stopped = True
        with socket.socket() as last:
            last.connect_ex(self.address)  # refused where it is gone by itself
        self.thread.join()
        self.listener.close()


@pytest.fixture
def large(monkeypatch) -> Registration:
    monkeypatch.setattr(publishing, "PART_BYTES", PART)
    uses = tuple(model.FileUse(path=f"{n:05}", digest=digest(str(n)), size=n + 1) for n in range(3000))
    return dataclasses.replace(digits(), jobs=(job(1, inputs=uses),), datasets=(), payloads=())


def test_it_goes_on_where_it_broke_off(glaas, large):
    broken = Relay(glaas.url, 75_000)
    with pytest.raises(PublishError):
        register(Server(url=broken.url), encode(large))
    broken.stop()
    rest = Relay(glaas.url, 10**9)
    done = register(Server(url=rest.url), encode(large))
    rest.stop()
    assert done.created is True
    again = Relay(glaas.url, 10**9)
    assert register(Server(url=again.url), encode(large)).created is False
    again.stop()
    assert broken.passed >= 75_000
    assert rest.passed < again.passed - 2 * PART  # at least two parts had arrived


def test_an_older_server_takes_it_in_one_piece(large):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(404, {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "Nothing."})

        def do_POST(self):
            seen.append((self.path, self.headers["content-encoding"]))
            self.rfile.read(int(self.headers["content-length"]))
            self.answer(201, {"dag": "d", "url": "/dag/d", "created": True, "jobs": []})

        def answer(self, status, shape):
            content = json.dumps(shape).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert register(Server(url=url), encode(large)).created is True
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert seen == [("/api/v1/sessions", "gzip")]
