"""The standard gRPC health service, answered by a thread of its own.

The threads that take export requests may all be waiting for the database; an orchestrator that got no answer then
would restart the collector, and lose what it holds.
"""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

SERVER: Final = health.OVERALL_HEALTH

Send = Callable[[HealthCheckResponse | None], None]


class HealthService:
    """SERVING for the server as a whole and for each of `services`, until it drains."""

    def __init__(self, *services: str) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="spanmeter-health")
        self._servicer = health.HealthServicer()
        self._watchers: set[_Watcher] = set()
        for service in (SERVER, *services):
            self._servicer.set(service, HealthCheckResponse.SERVING)

    def handler(self) -> "grpc.GenericRpcHandler[HealthCheckRequest, HealthCheckResponse]":
        """What a gRPC server registers."""
        return grpc.method_handlers_generic_handler(
            health.SERVICE_NAME,
            {
                "Check": grpc.unary_unary_rpc_method_handler(
                    _OnThread(self._threads, self._check),
                    HealthCheckRequest.FromString,
                    HealthCheckResponse.SerializeToString,
                ),
                "Watch": grpc.unary_stream_rpc_method_handler(
                    _OnThread(self._threads, self._watch),
                    HealthCheckRequest.FromString,
                    HealthCheckResponse.SerializeToString,
                ),
            },
        )

    def drain(self) -> None:
        """NOT_SERVING from now on. Watchers are told, and let go: their streams would keep the server from stopping."""
        self._servicer.enter_graceful_shutdown()
        for watcher in list(self._watchers):
            watcher(None)

    def close(self) -> None:
        """Answer nothing more."""
        self._threads.shutdown(wait=False)

    def _check(
        self, request: HealthCheckRequest, context: grpc.ServicerContext
    ) -> HealthCheckResponse:
        return self._servicer.Check(request, context)

    def _watch(
        self, request: HealthCheckRequest, context: grpc.ServicerContext, send: Send
    ) -> None:
        watcher = _Watcher(send)
        self._watchers.add(watcher)
        context.add_callback(lambda: self._watchers.discard(watcher))
        self._servicer.Watch(request, context, watcher)


class _Watcher:
    """Sends to one watcher, and ends its stream (with None) once: gRPC does not take a second end."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._ended = False

    def __call__(self, response: HealthCheckResponse | None) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = response is None
        self._send(response)


class _OnThread:
    """A method that gRPC runs on `threads`, not on the server's own; a stream is fed by callback and holds none."""

    experimental_non_blocking = True

    def __init__(self, threads: ThreadPoolExecutor, method: Callable[..., object]) -> None:
        self.experimental_thread_pool = threads
        self._method = method

    def __call__(self, *arguments: object) -> object:
        return self._method(*arguments)
