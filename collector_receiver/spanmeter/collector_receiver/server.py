"""The life of a collector: start, serve, drain, stop."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

from spanmeter.collector_receiver.committer import Committer
from spanmeter.collector_receiver.counters import Counters, Counts
from spanmeter.collector_receiver.decode import DECODER
from spanmeter.collector_receiver.exports import Exports
from spanmeter.collector_receiver.grpc_server import GrpcServer
from spanmeter.collector_receiver.grpc_service import GrpcService
from spanmeter.collector_receiver.http_server import HttpServer
from spanmeter.collector_receiver.http_service import HttpService
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
    """Receives spans over OTLP and books them in the ledger. A context manager; it can be started once.

    A database that is away keeps nothing from starting: requests are held, then refused to be sent again.
    """

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
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
        self._threads = ThreadPoolExecutor(
            settings.handlers, thread_name_prefix="spanmeter-handler"
        )
        self._grpc = GrpcServer(
            GrpcService(exports, deadline_margin=settings.deadline_margin),
            self._threads,
            max_bytes=settings.max_request_bytes,
            shared=settings.shared,
        )
        self._http_service = HttpService(
            exports,
            self._threads,
            max_bytes=settings.max_request_bytes,
            max_objects=2 * settings.max_request_attributes,
        )
        self._http = HttpServer(self._http_service, shared=settings.shared)
        self._grpc_address: str | None = None
        self._http_address: str | None = None

    @property
    def grpc_address(self) -> str:
        """HOST:PORT for OTLP over gRPC, with the port that was really bound. Known once started."""
        return _known(self._grpc_address)

    @property
    def http_address(self) -> str:
        """HOST:PORT for OTLP over HTTP, with the port that was really bound. Known once started, if there is one."""
        return _known(self._http_address)

    @property
    def counts(self) -> Counts:
        """What was received so far, and what became of it."""
        return self._counters.read()

    def start(self) -> None:
        """Listen and serve. Raises `CannotListen`, and `UnusableCertificate`."""
        settings = self._settings
        try:
            self._grpc_address = self._grpc.bind(settings.grpc, settings.tls)
        except OSError as error:
            raise _cannot_listen(settings.grpc, error, "--grpc") from error
        if settings.http is not None:
            try:
                self._http_address = self._http.bind(settings.http, settings.tls)
            except OSError as error:
                self._grpc.stop(0)
                raise _cannot_listen(settings.http, error, "--http") from error
        self._committer.start()
        self._grpc.start()
        if settings.http is not None:
            self._http.start()
        logger.info(
            "receiving OTLP over gRPC on %s, over HTTP on %s; decoder: %s",
            self._grpc_address,
            self._http_address or "no port",
            DECODER,
        )

    def stop(self, grace: float) -> None:
        """Take nothing new, answer what is under way within `grace` seconds, commit what is queued, stop.

        With a grace of 0 what is under way is cut off.
        """
        deadline = time.monotonic() + grace
        self._http_service.drain()
        self._http.stop(grace)
        self._grpc.stop(grace).wait()
        self._http.join()
        self._committer.close(max(0.0, deadline - time.monotonic()))
        self._threads.shutdown()
        self._grpc.close()
        logger.info("stopped; spans: %s", self.counts)

    def hurry(self) -> None:
        """Cut a `stop` short that waits in another thread."""
        self._grpc.stop(0)
        self._http.hurry()
        self._committer.abandon()

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


def _known(address: str | None) -> str:
    if address is None:
        raise RuntimeError("the collector has not been started")
    return address


def _cannot_listen(address: str, error: OSError, flag: str) -> CannotListen:
    reason = error.strerror or str(error)
    return CannotListen(f"cannot listen on {address}: {reason}; choose another with {flag}")
