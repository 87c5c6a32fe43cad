"""The life of a collector: start, serve, drain, stop."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

import grpc

from spanmeter.collector_receiver.committer import Committer
from spanmeter.collector_receiver.counters import Counters, Counts
from spanmeter.collector_receiver.decode import DECODER
from spanmeter.collector_receiver.exports import Exports
from spanmeter.collector_receiver.grpc_service import SERVICE, GrpcService
from spanmeter.collector_receiver.health import HealthService
from spanmeter.collector_receiver.ingest import Ingest
from spanmeter.collector_receiver.settings import CollectorSettings
from spanmeter.metering.attribution import Attribution
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates
from spanmeter.storage.ledger import LedgerWriter

logger = logging.getLogger(__name__)


class CannotListen(OSError):
    """The address is taken, or is none of this machine's."""


class Collector:
    """Receives spans over OTLP/gRPC and books them in the ledger. A context manager; it can be started once.

    A database that is away keeps nothing from starting: requests are held, then refused to be sent again.
    """

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        self._address: str | None = None
        self._counters = Counters()
        self._committer = Committer(
            partial(LedgerWriter, settings.dsn),
            self._counters,
            writers=settings.writers,
            rows=settings.commit_rows,
            linger=settings.commit_linger,
            queue_bytes=settings.queue_bytes,
        )
        meter = Meter(
            Rates.pinned(),
            attribution=Attribution(settings.attribution),
            max_age=settings.max_age,
            max_ahead=settings.max_ahead,
        )
        ingest = Ingest(
            meter,
            self._committer,
            self._counters,
            max_spans=settings.max_request_spans,
            max_attributes=settings.max_request_attributes,
        )
        exports = Exports(ingest, self._counters, at_once=settings.handlers, hold=settings.hold)
        traces = GrpcService(exports, deadline_margin=settings.deadline_margin)
        self._health = HealthService(SERVICE)
        self._threads = ThreadPoolExecutor(
            settings.handlers, thread_name_prefix="spanmeter-handler"
        )
        self._server = grpc.server(
            self._threads,
            handlers=[traces.handler(), self._health.handler()],
            options=[
                # By default a second collector would silently share the port.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", settings.max_request_bytes),
            ],
        )

    @property
    def grpc_address(self) -> str:
        """HOST:PORT that spans can be sent to, with the port that was really bound. Known once started."""
        if self._address is None:
            raise RuntimeError("the collector has not been started")
        return self._address

    @property
    def counts(self) -> Counts:
        """What was received so far, and what became of it."""
        return self._counters.read()

    def start(self) -> None:
        """Listen and serve. Raises `CannotListen`."""
        self._address = self._bind(self._settings.grpc)
        self._committer.start()
        self._server.start()
        logger.info("receiving OTLP over gRPC on %s; decoder: %s", self._address, DECODER)

    def stop(self, grace: float) -> None:
        """Take nothing new, answer what is under way within `grace` seconds, commit what is queued, stop.

        With a grace of 0 what is under way is cut off.
        """
        deadline = time.monotonic() + grace
        self._health.drain()
        self._server.stop(grace).wait()
        self._committer.close(max(0.0, deadline - time.monotonic()))
        self._threads.shutdown()
        self._health.close()
        logger.info("stopped; spans: %s", self.counts)

    def hurry(self) -> None:
        """Cut a `stop` short that waits in another thread."""
        self._server.stop(0)
        self._committer.abandon()

    def _bind(self, address: str) -> str:
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            port = 0
        if not port:
            raise CannotListen(
                f"cannot listen on {address}: the port is taken or the host is not this machine's; "
                "choose another with --grpc"
            )
        return f"{address.rpartition(':')[0]}:{port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(self._settings.grace)
