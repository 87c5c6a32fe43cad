"""An HTTP server in a thread of its own, beside the gRPC server."""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from spanmeter.collector_receiver.tls import Tls

logger = logging.getLogger(__name__)

IDLE: Final = 75
"""Seconds that a connection may stay open between two requests: longer than exporters wait between two batches."""

HEADERS_TIMEOUT: Final = 15.0
"""Seconds until the first request of a connection has to have begun: one that says nothing only takes up room."""


BACKLOG: Final = 4096
"""Connections that may wait to be accepted: many exporters connect at once when a collector comes back."""


class HttpServer:
    """Serves an ASGI application. `shared` lets other processes listen on the same port."""

    def __init__(self, app: Callable[..., Awaitable[None]], *, shared: bool) -> None:
        self._config = uvicorn.Config(
            app,
            http=ImpatientProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=IDLE,
        )
        self._config.load()
        self._server = uvicorn.Server(self._config)
        self._shared = shared
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="spanmeter-http", daemon=True)

    def bind(self, address: str, tls: Tls | None) -> str:
        """Listen on HOST:PORT, and return it with the port that was really bound. Raises `OSError`, and
        `UnusableCertificate`."""
        if tls is not None:
            self._config.ssl = tls.context()
        self._socket = bound(address, shared=self._shared)
        self._socket.listen(BACKLOG)
        return address_of(self._socket)

    def start(self) -> None:
        """Serve, from now on."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Take nothing new; answer what is under way within `grace` seconds."""
        self._config.timeout_graceful_shutdown = max(1, round(grace))
        self._server.should_exit = True

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has stopped."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def hurry(self) -> None:
        """Cut off what is under way."""
        self._server.force_exit = True
        self._server.should_exit = True

    def _run(self) -> None:
        try:
            asyncio.run(
                self._server.serve(sockets=[self._socket] if self._socket is not None else None)
            )
        except Exception:
            logger.exception("the HTTP server has failed")


class ImpatientProtocol(H11Protocol):
    """Closes connections whose next request does not begin in time. uvicorn waits without end for a
    first one, and for one that has begun to come."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        if self._answering():
            self._settle()
        elif self._due is None:
            self._due = self.loop.call_later(HEADERS_TIMEOUT, self.transport.close)

    def _settle(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _answering(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete


def bound(address: str, *, shared: bool) -> socket.socket:
    """A socket bound to HOST:PORT; port 0 picks a free one. `shared` lets others have the same. Raises `OSError`."""
    host, _, port = address.rpartition(":")
    family, kind, protocol, _, target = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(target)
        made.settimeout(0)
    except OSError:
        made.close()
        raise
    return made


def address_of(bound_socket: socket.socket) -> str:
    """HOST:PORT that a socket was really bound to."""
    name: Any = bound_socket.getsockname()
    host = f"[{name[0]}]" if bound_socket.family is socket.AF_INET6 else name[0]
    return f"{host}:{name[1]}"
