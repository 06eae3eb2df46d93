"""A server that goes away in the middle of a request is asked again; one that was never there is not."""

import os
import signal
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


def test_on_a_terminal_it_is_told_who_does_not_answer(desk):
    """The kernel takes the connection, and nobody ever reads from it."""
    desk.roar("run", "true")
    terminal, its_other_end = os.openpty()
    with listen() as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = desk.start("register", "--server", url, stderr=its_other_end)
        os.close(its_other_end)
        try:
            assert os.read(terminal, 1000).decode().startswith(
                f"roar: waiting for {url}, which has not answered yet; after {server.TIMEOUT_S} s")
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            os.close(terminal)
