"""A server that goes away in the middle of a request is asked again; one that was never there is not."""

import socket
import threading
import time

import pytest

from roar.errors import PublishError
from roar.publish import server
from roar.publish.server import get, parse_server

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def listen(port=0):
    return socket.create_server(("127.0.0.1", port), reuse_port=False)


def serve_once(listener, answer):
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


def test_a_server_that_is_started_again_meanwhile():
    listener = listen()
    port = listener.getsockname()[1]

    def life():
        with listener:
            serve_once(listener, b"")  # killed
        time.sleep(0.7)  # nobody listens when the first pause is over
        with listen(port) as again:
            serve_once(again, ANSWER)

    thread = threading.Thread(target=life)
    thread.start()
    assert get(parse_server(f"http://127.0.0.1:{port}"), "/") == {}
    thread.join()


def test_a_server_that_was_never_there_is_told_at_once():
    with listen() as listener:
        port = listener.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(PublishError, match="cannot be reached: connection refused"):
        get(parse_server(f"http://127.0.0.1:{port}"), "/")
    assert time.monotonic() - start < server.PAUSES_S[0]
