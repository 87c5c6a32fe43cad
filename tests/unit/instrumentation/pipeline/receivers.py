"""Collectors that answer as a test says and remember what they were sent: real gRPC, real HTTP."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import gzip
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import grpc
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otlp import EXPORT

Plain = str | int | bool | float


class Arrived(NamedTuple):
    """A span with what it lay in."""

    span: Span
    scope: str
    resource: Mapping[str, Plain]


@dataclass(slots=True)
class Reply:
    """What to answer with: a status of gRPC by name or of HTTP by number, and what goes along."""

    code: str | int = "OK"
    message: str = ""
    response: ExportTraceServiceResponse = field(default_factory=ExportTraceServiceResponse)
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    delay: float = 0.0


Script = Callable[[ExportTraceServiceRequest], Reply | None]


class Receiver:
    """What was acknowledged, and how the next requests are answered."""

    def __init__(self, unavailable: str | int) -> None:
        self.address = ""
        self._unavailable = unavailable
        self._is_away = False
        self.script: Script | None = None
        self.replies: deque[Reply] = deque()
        """Given first, one each."""
        self.requests: list[ExportTraceServiceRequest] = []
        """Those that were acknowledged."""
        self.headers: list[dict[str, Any]] = []
        self.asked = 0
        self._changed = threading.Condition()
        self.ending = threading.Event()
        """Nobody waits any longer for an answer that is delayed."""

    def reply_to(self, body: bytes, headers: Mapping[str, Any]) -> Reply:
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.asked += 1
            self.headers.append(dict(headers))
            reply = Reply(self._unavailable) if self._is_away else None
            reply = reply or (self.replies.popleft() if self.replies else None)
            reply = reply or (self.script(request) if self.script else None) or Reply()
            if reply.code in {"OK", 200}:
                self.requests.append(request)
            self._changed.notify_all()
        self.ending.wait(reply.delay)
        return reply

    @contextmanager
    def away(self) -> Generator[None]:
        """Takes nothing meanwhile."""
        self._is_away = True
        try:
            yield
        finally:
            self._is_away = False

    @property
    def arrived(self) -> list[Arrived]:
        """The spans of the requests that were acknowledged, as often as they came."""
        return [
            Arrived(span, scope_spans.scope.name, plain(resource_spans.resource.attributes))
            for request in self.requests
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @property
    def span_ids(self) -> list[int]:
        return [
            int.from_bytes(span.span_id, "big")
            for request in self.requests
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @property
    def dropped(self) -> dict[str, int]:
        """How many records each producer said that it had to give up, at the most."""
        told: dict[str, int] = {}
        for request in self.requests:
            for resource_spans in request.resource_spans:
                resource = plain(resource_spans.resource.attributes)
                if "usage.producer.dropped" in resource:
                    producer = str(resource["usage.producer.id"])
                    count = int(resource["usage.producer.dropped"])
                    told[producer] = max(told.get(producer, 0), count)
        return told

    def wait_for(self, fulfilled: Callable[[], bool], seconds: float = 60.0) -> None:
        """Waits until requests have made something true."""
        with self._changed:
            assert self._changed.wait_for(fulfilled, seconds), f"{self.asked} requests came"


def plain(attributes: Any) -> dict[str, Plain]:
    """Attributes as a dict; those that are no scalars are left out."""

    def value(attribute: KeyValue) -> Plain:
        kind = attribute.value.WhichOneof("value")
        found: Plain = getattr(attribute.value, kind) if kind else ""
        return found

    return {attribute.key: value(attribute) for attribute in attributes}


@contextmanager
def grpc_receiver(port: int = 0, credentials: Any = None) -> Generator[Receiver]:
    receiver = Receiver("UNAVAILABLE")

    def export(body: bytes, context: Any) -> bytes:
        reply = receiver.reply_to(body, dict(context.invocation_metadata()))
        context.set_trailing_metadata(reply.metadata)
        if reply.code != "OK":
            context.abort(grpc.StatusCode[str(reply.code)], reply.message)
        return reply.response.SerializeToString()

    service, method = EXPORT.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(export)
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(
            threads,
            handlers=[grpc.method_handlers_generic_handler(service, {method: handler})],
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 16 << 20)],
        )
        address = f"127.0.0.1:{port}"
        bound = (
            server.add_secure_port(address, credentials)
            if credentials
            else server.add_insecure_port(address)
        )
        server.start()
        receiver.address = f"{'https' if credentials else 'http'}://localhost:{bound}"
        try:
            yield receiver
        finally:
            receiver.ending.set()
            server.stop(0).wait()


@contextmanager
def http_receiver(port: int = 0, tls: Any = None) -> Generator[Receiver]:
    receiver = Receiver(503)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.reply_to(body, {**headers, ":path": self.path})
            status = 200 if reply.code == "OK" else int(reply.code)
            answer = reply.response if status == 200 else Status(message=reply.message)
            payload = answer.SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(payload)))
            for name, value in reply.metadata:
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
            """Not to stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.address = f"{'https' if tls else 'http'}://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()
