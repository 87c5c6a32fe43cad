"""What all of them share: HTTP on a port of its own, and faults that are injected one request after the other."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

When = Literal["before", "after"]


class Request(NamedTuple):
    """What was asked: the path without its query, headers in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


class Fault(NamedTuple):
    """What goes wrong with a request, before it is taken or after: an answer, none at all, or what is `done` then."""

    when: When
    reply: Reply | None = None
    done: Callable[[], object] = lambda: None

    def __str__(self) -> str:
        """The name of a test: the same in every process that runs some of them."""
        return f"{self.when}-{self.reply.status if self.reply else 'no answer'}"


@dataclass
class BillingServer:
    """One system: `take` is what it does with a request; the next requests meet `faults`."""

    faults: deque[Fault | None] = field(default_factory=deque[Fault | None])
    requests: list[Request] = field(default_factory=list[Request])
    offset: float = 0.0
    """Seconds that its clock is ahead."""
    url: str = ""
    lock: Lock = field(default_factory=Lock)

    def take(self, request: Request) -> Reply:
        raise NotImplementedError

    def now(self) -> datetime:
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() + self.offset, UTC)

    def answer(self, request: Request) -> Reply | None:
        """What becomes of a request; None: the connection is closed."""
        with self.lock:
            self.requests.append(request)
            fault = self.faults.popleft() if self.faults else None
            if fault is None:
                return self.take(request)
            if fault.when == "after":
                self.take(request)
            fault.done()
            return fault.reply


@contextmanager
def served(server: BillingServer) -> Generator[None]:
    """It answers as long as the context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            split = urlsplit(self.path)
            length = int(self.headers.get("content-length", 0))
            query = {name: values[0] for name, values in parse_qs(split.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, split.path, query, headers, self.rfile.read(length))
            self._write(server.answer(request))

        def _write(self, reply: Reply | None) -> None:
            if reply is None:
                self.close_connection = True
                return
            content = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            self.handle_any()

        def do_POST(self) -> None:
            self.handle_any()

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed."""

    with Quiet(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield
        finally:
            http.shutdown()
