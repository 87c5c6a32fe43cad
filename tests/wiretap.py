"""A proxy that keeps every byte that clients send: what leaves the machine, not what a server made of it."""

from __future__ import annotations

import re
import socket
import threading
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_HEAD_END: Final = b"\r\n\r\n"
# Or what is sent over a websocket could not be read.
_COMPRESSION: Final = re.compile(rb"Sec-WebSocket-Extensions: [^\r]*\r\n", re.IGNORECASE)


class Wiretap:
    """Passes connections on to a server, for as long as the `with` block lasts."""

    def __init__(self, server: str) -> None:
        address = urlsplit(server)
        self._server = (str(address.hostname), int(address.port or 80))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._connections: list[bytearray] = []
        self._sockets: list[socket.socket] = []

    @property
    def sent(self) -> bytes:
        """All that has been sent, messages of websockets unmasked."""
        return b"\n".join(_unmasked(bytes(each)) for each in list(self._connections))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            kept = bytearray()
            self._connections.append(kept)
            for source, target, keep in ((client, server, kept), (server, client, None)):
                passing = (source, target, keep)
                threading.Thread(target=_pass_on, args=passing, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    try:
        while chunk := source.recv(65536):
            if kept is not None:
                chunk = _COMPRESSION.sub(b"", chunk)
                kept += chunk
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of the two has gone


def _unmasked(sent: bytes) -> bytes:
    head, end, frames = sent.partition(_HEAD_END)
    if b"upgrade: websocket" not in head.lower():
        return sent
    texts = [head, end]
    while len(frames) >= 2:
        length, start = frames[1] & 0x7F, 2
        if length >= 126:  # the length is in the next 2 or 8 bytes (RFC 6455, 5.2)
            start = 4 if length == 126 else 10
            length = int.from_bytes(frames[2:start])
        mask = frames[start : start + 4]
        body = frames[start + 4 : start + 4 + length]
        texts.append(bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)))
        frames = frames[start + 4 + length :]
    return b"".join(texts)
