"""OTLP over gRPC.

Not by grpcio: a process that forks while one of its threads is in a call of grpcio leaves it unusable
to its children, and preforking servers are where most Python applications run. A unary call is little
more than a request of HTTP/2 whose status comes in its trailers.
Source: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md.
"""

import gzip
import struct
from base64 import b64decode
from collections.abc import Callable
from http.client import HTTPException
from typing import Final
from urllib.parse import unquote

from h2.exceptions import H2Error

from spanmeter.instrumentation.pipeline.answers import (
    Answer,
    Misconfigured,
    TryAgain,
    of_grpc,
    of_http,
    retry_delay,
    retry_delay_in_status,
)
from spanmeter.instrumentation.pipeline.connecting import connection, proxy_for
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.pipeline.exchange import (
    GZIP_LEVEL,
    MAX_ANSWER,
    RECORDS,
    USER_AGENT,
    Exchange,
    Form,
)
from spanmeter.instrumentation.pipeline.http2 import Headers, Http2Connection, Response
from spanmeter.instrumentation.pipeline.protobuf import Malformed

_prefix: Final = struct.Struct(">BI")
"""Before each message: whether it is compressed, and its length."""


class GrpcExchange(Exchange):
    """Unary calls to a destination of protocol `grpc`."""

    broken = (OSError, H2Error, HTTPException)

    def __init__(self, destination: Destination, form: Form = RECORDS) -> None:
        self._destination = destination
        self._form = form
        self._connection: Http2Connection | None = None
        self._headers = _headers(destination, form.method)

    def is_open(self) -> bool:
        return self._connection is not None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, body: bytes) -> Answer:
        compressed = self._destination.gzip
        if compressed:
            body = gzip.compress(body, GZIP_LEVEL)
        response = self._connected().request(
            self._headers,
            _prefix.pack(compressed, len(body)) + body,
            timeout=self._destination.timeout,
            max_answer=MAX_ANSWER,
        )
        return _answer(response, self._form.read)

    def _connected(self) -> Http2Connection:
        if self._connection is not None and not self._connection.is_open():
            self.close()
        if self._connection is None:
            opened = connection(
                self._destination, alpn="h2", proxy=proxy_for(self._destination), tunnel=True
            )
            opened.connect()
            self._connection = Http2Connection(opened.sock)
        return self._connection


def _headers(destination: Destination, method: str) -> Headers:
    authority = destination.url.partition("://")[2]
    return (
        (":method", "POST"),
        (":scheme", "https" if destination.secure else "http"),
        (":authority", authority),
        (":path", method),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", USER_AGENT),
        ("grpc-timeout", f"{int(destination.timeout * 1000)}m"),
        *((("grpc-encoding", "gzip"),) if destination.gzip else ()),
        *((name.lower(), value) for name, value in destination.headers),
    )


def _answer(response: Response, read: Callable[[bytes], Answer]) -> Answer:
    headers = response.headers
    if "grpc-status" not in headers:
        # Something between us and the collector has answered in its place.
        status = headers.get(":status", "")
        if status in {"", "200"}:
            return Misconfigured("the answer is none of a gRPC server")
        return of_http(int(status), bytes(response.body), headers.get("retry-after"))
    code, message = headers["grpc-status"], unquote(headers.get("grpc-message", ""))
    body = bytes(response.body)
    # Without `grpc-accept-encoding` no answer is compressed.
    if body and (len(body) < _prefix.size or body[0]):
        return TryAgain("the answer is no message of gRPC")
    return of_grpc(int(code), message, body[_prefix.size :], _asked_delay(headers), read)


def _asked_delay(headers: dict[str, str]) -> float | None:
    """The seconds of a `RetryInfo`, in the standard trailer or in the one of Python's SDK."""
    try:
        if (status := headers.get("grpc-status-details-bin")) is not None:
            return retry_delay_in_status(_binary(status))
        if (retry_info := headers.get("google.rpc.retryinfo-bin")) is not None:
            return retry_delay(_binary(retry_info))
    except (Malformed, ValueError):
        pass
    return None


def _binary(value: str) -> bytes:
    """A binary header, which is Base64 with its padding or without."""
    return b64decode(value + "=" * (-len(value) % 4))
