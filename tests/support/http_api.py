"""A small real HTTP server that answers like a Kubernetes API server, and can be told to misbehave.

Collections are served in pages with continue tokens; everything else is what a test scripts. It is for tests of the
code that speaks HTTP; the simulated cluster is for everything that needs behaviour.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

DATE = "Sun, 01 Mar 2026 12:30:05 GMT"
CAPTURED_AT = "2026-03-01T12:30:05Z"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer; C(body) may be a document, text or bytes. C(drop): close the connection instead of answering.
    C(lines): events of a watch, one line each; C(cut): text that is sent after them before the connection breaks."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    lines: Iterable[Any] | None = None
    cut: str | None = None


Handler = Callable[[Request], Reply | None]


def status(code: int, reason: str, message: str, **details: Any) -> Reply:
    """The error answer of an API server."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }
    return Reply(code, body)


NOT_SERVED = Reply(404, "404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"})


class HttpApi:
    """The server. C(script) holds answers (or functions that may return one) for the next requests, whatever they are;
    C(routes) answers by path; C(collections) lists by path. What is left is 404."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.script: list[Reply | Handler] = []
        self.routes: dict[str, Reply | Handler] = {
            "/version": Reply(body={"kind": "Info", "major": "1", "minor": "31", "gitVersion": "v1.31.4"}),
            "/api": Reply(body={"kind": "APIVersions", "versions": ["v1"]}),
            "/apis": Reply(body={"kind": "APIGroupList", "apiVersion": "v1", "groups": []}),
        }
        self.collections: dict[str, list[dict[str, Any]]] = {}
        self.resource_version = "1000"
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            scripted = self.script.pop(0) if self.script else None
        for found in (scripted, self.routes.get(request.path)):
            reply = found(request) if callable(found) else found
            if reply is not None:
                return reply
        if request.path in self.collections and request.method == "GET":
            return self._page(request)
        return NOT_SERVED

    def _page(self, request: Request) -> Reply:
        found = self.collections[request.path]
        start = int(request.query.get("continue") or 0)
        end = start + int(request.query.get("limit") or len(found) or 1)
        metadata = {"resourceVersion": self.resource_version, "continue": str(end) if end < len(found) else ""}
        return Reply(body={"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": found[start:end]})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class RequestHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits for the client's delayed acknowledgement

            def handle_any(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers: dict[str, str] = {}
                for name, value in self.headers.items():
                    headers[name] = f"{headers[name]},{value}" if name in headers else value
                request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
                self.reply(api.answer(request))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def reply(self, reply: Reply) -> None:
                if reply.drop:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(reply.status)
                if reply.lines is not None:
                    self.stream(reply.lines, reply.cut)
                    return
                text = reply.body if isinstance(reply.body, (str, bytes)) else json.dumps(reply.body)
                content = text if isinstance(text, bytes) else text.encode()
                headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def stream(self, lines: Iterable[Any], cut: str | None) -> None:
                self.send_header("Content-Type", "application/json")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in lines:
                    self.chunk((line if isinstance(line, str) else json.dumps(line)) + "\n")
                if cut is not None:
                    if cut:
                        self.chunk(cut)
                    self.close_connection = True
                    self.connection.close()
                    return
                self.wfile.write(b"0\r\n\r\n")

            def chunk(self, text: str) -> None:
                content = text.encode()
                self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
                self.wfile.flush()

            def date_time_string(self, timestamp: float | None = None) -> str:
                return DATE

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return RequestHandler


@contextmanager
def http_api() -> Iterator[HttpApi]:
    """Serve on a free port of the loopback address while the context lasts."""
    api = HttpApi()
    api.start()
    try:
        yield api
    finally:
        api.stop()
