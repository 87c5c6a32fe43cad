"""The gRPC server, as far as it is not gRPC's own: its port, its health, its limits."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

import grpc

from spanmeter.collector_receiver.grpc_service import SERVICE, GrpcService
from spanmeter.collector_receiver.health import HealthService
from spanmeter.collector_receiver.tls import Tls

CONNECTION_AGE: Final = 300
"""Seconds after which one of several workers asks its clients to connect anew: the kernel spreads connections over the
workers, not requests."""


class GrpcServer:
    """Serves `service`, and its health, on `threads`.

    `shared` lets other processes listen on the same port: without it a second collector would silently share it.
    """

    def __init__(
        self, service: GrpcService, threads: ThreadPoolExecutor, *, max_bytes: int, shared: bool
    ) -> None:
        self._health = HealthService(SERVICE)
        options: list[tuple[str, int]] = [
            ("grpc.so_reuseport", int(shared)),
            ("grpc.max_receive_message_length", max_bytes),
        ]
        if shared:
            options.append(("grpc.max_connection_age_ms", CONNECTION_AGE * 1000))
        self._server = grpc.server(
            threads, handlers=[*service.handlers(), self._health.handler()], options=options
        )

    def bind(self, address: str, tls: Tls | None) -> str:
        """Listen on HOST:PORT, and return it with the port that was really bound. Raises `OSError`."""
        try:
            if tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, tls.credentials())
        except RuntimeError:
            port = 0
        if not port:
            raise OSError("the port is taken or the host is not this machine's")
        return f"{address.rpartition(':')[0]}:{port}"

    def start(self) -> None:
        """Serve, from now on."""
        self._server.start()

    def stop(self, grace: float) -> Event:
        """Say so to who asks for health, take nothing new, and answer what is under way within `grace` seconds; the
        event is set when that is done."""
        self._health.drain()
        return self._server.stop(grace)

    def close(self) -> None:
        """Answer nothing more, health neither."""
        self._health.close()
