"""One HTTP/2 connection on which one request is made after the other."""

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

_READ: Final = 64 * 1024

Headers = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Response:
    """The headers, the trailers among them, and the body of an answer."""

    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False


class Http2Connection:
    """Owns the socket. Raises `OSError`, `TimeoutError` among them, and `h2.exceptions.H2Error`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._http2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._going_away = False
        self._http2.initiate_connection()
        self._flush()

    def is_open(self) -> bool:
        """Whether the other side has not said, meanwhile, that it takes no more requests."""
        # Not `select`, which knows no descriptors from 1024 on.
        said = select.poll()
        said.register(self._socket, select.POLLIN)
        while not self._going_away and said.poll(0):
            self._receive(None, Response())
        return not self._going_away

    def request(
        self, headers: Headers, body: bytes, *, timeout: float, max_answer: int
    ) -> Response:
        """The whole answer, which may take `timeout` seconds and `max_answer` bytes."""
        deadline = time.monotonic() + timeout
        stream = self._http2.get_next_available_stream_id()
        response = Response()
        self._http2.send_headers(stream, headers)
        remaining = memoryview(body)
        while remaining and not response.ended:
            remaining = remaining[self._send_some(stream, remaining) :]
            if remaining:
                self._await(deadline)
                self._receive(stream, response)
        while not response.ended:
            self._await(deadline)
            self._receive(stream, response)
            if len(response.body) > max_answer:
                raise ConnectionError("the answer is larger than an answer may be")
        return response

    def close(self) -> None:
        self._socket.close()

    def _send_some(self, stream: int, remaining: memoryview) -> int:
        """Sends as much as the other side has room for; how much that was."""
        sent = 0
        while sent < len(remaining):
            window = self._http2.local_flow_control_window(stream)
            part = remaining[sent : sent + min(window, self._http2.max_outbound_frame_size)]
            if not part:
                break
            sent += len(part)
            self._http2.send_data(stream, bytes(part), end_stream=sent == len(remaining))
        self._flush()
        return sent

    def _await(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def _receive(self, stream: int | None, response: Response) -> None:
        received = self._socket.recv(_READ)
        if not received:
            self._going_away = True
            raise ConnectionError("the collector closed the connection")
        for event in self._http2.receive_data(received):
            self._understand(event, stream, response)
        self._flush()

    def _understand(self, event: Event, stream: int | None, response: Response) -> None:
        if isinstance(event, ConnectionTerminated):
            self._going_away = True
            return
        if getattr(event, "stream_id", None) != stream:
            return
        match event:
            case ResponseReceived() | TrailersReceived():
                response.headers.update((str(name), str(value)) for name, value in event.headers)
            case DataReceived():
                response.body += event.data
                self._http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                response.ended = True
            case StreamReset():
                raise ConnectionError(f"the collector ended the request: {event.error_code!r}")
            case _:
                pass

    def _flush(self) -> None:
        if waiting := self._http2.data_to_send():
            self._socket.sendall(waiting)
