"""What the fake tracker servers share: JSON over HTTP on loopback, with a list of the requests that came in."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    """One request; `json` is its body where that is a JSON object, else {}."""

    method: str
    path: str
    body: bytes
    json: dict[str, Any]


class FakeServer:
    """A server on a free port of 127.0.0.1 for use in a `with` statement. Subclasses implement `answer`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, request: Request) -> tuple[int, object]:
        """Status and JSON body for a request."""
        raise NotImplementedError

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __str__(self) -> str:
        return self.url


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """The requests are kept, not printed."""

        def _serve(self) -> None:
            body = self._body()
            try:
                parsed = json.loads(body)
            except ValueError:
                parsed = {}
            request = Request(self.command, self.path, body, parsed if isinstance(parsed, dict) else {})
            server.requests.append(request)
            status, content = server.answer(request)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                parts = []
                while size := int(self.rfile.readline().strip(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                body = b"".join(parts)
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815  http.server's names

    return Handler
