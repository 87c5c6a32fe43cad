"""A network that a test can make bad: latency, silence, connections reset in the middle of an answer."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes the end of a connection a RST."""

T = TypeVar("T")

HTTP2_HEADERS = 1
"""Type of the frame that an answer over HTTP/2 begins with (RFC 9113, 6.2)."""


class Proxy:
    """Connects whoever connects to `address` to the server at `target`. A context manager."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._requests, self._answers = _Gate(), _Gate()
        self._connections: set[asyncio.Task[None]] = set()
        self.latency = 0.0
        """Seconds that whatever passes is late, each way."""
        self.answers_to_cut = 0
        """So many answers more end in the middle, with a RST to the client."""
        self.cut = 0
        """How many did."""
        self.address = ""

    def hold_answers(self) -> None:
        """Requests arrive, answers do not, until `heal`."""
        self._loop.call_soon_threadsafe(self._answers.shut)

    def black_hole(self) -> None:
        """Nothing arrives, neither way, and nobody is told, until `heal`."""
        self._loop.call_soon_threadsafe(self._requests.shut)
        self._loop.call_soon_threadsafe(self._answers.shut)

    def heal(self) -> None:
        """What was kept back arrives."""
        self._loop.call_soon_threadsafe(self._requests.open)
        self._loop.call_soon_threadsafe(self._answers.open)

    def break_connections(self) -> None:
        """End those that there are."""
        self._run(self._end_connections())

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        await self._end_connections()

    async def _end_connections(self) -> None:
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _run(self, task: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(30)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self._loop.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._target.rpartition(":")
        try:
            server_reader, server_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        directions = (self._requested(reader, server_writer), self._answered(server_reader, writer))
        both = [self._loop.create_task(direction) for direction in directions]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in both:
                direction.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            for end in (writer, server_writer):
                end.transport.abort()

    async def _requested(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._requests.passed(self.latency)
                server.write(data)
                await server.drain()

    async def _answered(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await server.read(65536):
                await self._answers.passed(self.latency)
                if self.answers_to_cut and (at := _answer_at(data)) is not None:
                    self.answers_to_cut -= 1
                    self.cut += 1
                    await _reset(writer, data[: at + 12])
                    return
                writer.write(data)
                await writer.drain()


class _Gate:
    """Lets pass what comes, or keeps it until it is opened."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()
        self.shut = self._opened.clear
        self.open = self._opened.set

    async def passed(self, latency: float) -> None:
        if latency:
            await asyncio.sleep(latency)
        await self._opened.wait()


def _answer_at(data: bytes) -> int | None:
    """Where in these bytes an answer begins, over HTTP/1 or HTTP/2."""
    if data.startswith(b"HTTP/1.1 "):
        return 0
    at = 0
    while at + 9 <= len(data):
        if data[at + 3] == HTTP2_HEADERS:
            return at
        at += 9 + int.from_bytes(data[at : at + 3])
    return None


async def _reset(writer: asyncio.StreamWriter, last: bytes) -> None:
    """Send these bytes and no more."""
    writer.write(last)
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
