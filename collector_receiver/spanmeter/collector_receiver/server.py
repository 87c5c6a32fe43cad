"""The life of a collector: start, serve, drain, stop."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

from spanmeter.collector_receiver.authentication import Anybody, Authentication, Senders
from spanmeter.collector_receiver.budgets.counted import Counted
from spanmeter.collector_receiver.budgets.service import BudgetService
from spanmeter.collector_receiver.committer import Committer
from spanmeter.collector_receiver.counters import Counters, Counts
from spanmeter.collector_receiver.database_watch import DatabaseWatch
from spanmeter.collector_receiver.decode import DECODER
from spanmeter.collector_receiver.exports import Exports
from spanmeter.collector_receiver.folding import Folding
from spanmeter.collector_receiver.grpc_server import GrpcServer
from spanmeter.collector_receiver.grpc_service import GrpcService
from spanmeter.collector_receiver.housekeeping import Housekeeping
from spanmeter.collector_receiver.http_server import HttpServer
from spanmeter.collector_receiver.http_service import HttpService
from spanmeter.collector_receiver.ingest import Ingest
from spanmeter.collector_receiver.instruments import Readings
from spanmeter.collector_receiver.journal import Journal
from spanmeter.collector_receiver.key_ring import KeyRing
from spanmeter.collector_receiver.log_exports import LogExports
from spanmeter.collector_receiver.meter_in_force import MeterInForce
from spanmeter.collector_receiver.refused_attempts import AttemptCounts
from spanmeter.collector_receiver.replaying import Replaying
from spanmeter.collector_receiver.sealing import Sealing
from spanmeter.collector_receiver.settings import CollectorSettings
from spanmeter.collector_receiver.telemetry import Telemetry
from spanmeter.storage.ledger import LedgerWriter

logger = logging.getLogger(__name__)


class CannotListen(OSError):
    """The address is taken, or is none of this machine's."""


class Addresses(NamedTuple):
    """HOST:PORT that spans can be sent to, with the ports that were really bound."""

    grpc: str
    http: str | None

    def __str__(self) -> str:
        return f"gRPC {self.grpc}" if self.http is None else f"gRPC {self.grpc}, HTTP {self.http}"


class Collector:
    """Receives spans over OTLP and books them in the ledger. A context manager; it can be started once.

    A database that is away keeps nothing from starting: requests are journaled, or held and then refused to be sent
    again. Raises `CannotJournal` where there is to be a journal and cannot be.
    """

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        self._counters = Counters()
        self._telemetry = Telemetry(settings)
        self._journal = (
            None
            if settings.journal is None
            else Journal(settings.journal, max_bytes=settings.journal_bytes)
        )
        self._committer = self._committing()
        self._meter = MeterInForce(settings)
        ingest = Ingest(
            self._meter,
            self._committer,
            self._counters,
            max_spans=settings.max_request_spans,
            max_attributes=settings.max_request_attributes,
        )
        self._replaying = None if self._journal is None else Replaying(self._journal, ingest.replay)
        self._housekeeping = Housekeeping(settings.dsn, settings.max_age)
        self._folding = Folding(settings.dsn) if _is_first(settings) else None
        self._sealing = _sealing(settings)
        self._watch = DatabaseWatch(settings.dsn, counting=_is_first(settings))
        attempts = AttemptCounts()
        self._keys = KeyRing(settings.dsn, attempts) if settings.needs_key else None
        senders = self._senders(attempts)
        self._counted = Counted(settings.dsn)
        budgets = BudgetService(self._counted, lambda: self._meter.now)
        exports = Exports(
            ingest, self._counters, attempts, at_once=settings.handlers, hold=settings.hold
        )
        logs = LogExports(exports, max_records=settings.max_request_spans)
        self._threads = ThreadPoolExecutor(
            settings.handlers, thread_name_prefix="spanmeter-handler"
        )
        self._grpc = self._serving_grpc(exports, logs, budgets, senders)
        self._http_service = HttpService(
            exports,
            logs,
            budgets,
            senders,
            self._telemetry.page,
            self._counters,
            self._threads,
            max_bytes=settings.max_request_bytes,
            max_waiting=settings.queue_bytes,
            max_objects=2 * settings.max_request_attributes,
        )
        self._http = HttpServer(self._http_service, shared=settings.shared)
        self._addresses: Addresses | None = None

    def _serving_grpc(
        self, exports: Exports, logs: LogExports, budgets: BudgetService, senders: Senders
    ) -> GrpcServer:
        settings = self._settings
        service = GrpcService(
            exports,
            logs,
            budgets,
            senders,
            self._counters,
            deadline_margin=settings.deadline_margin,
        )
        return GrpcServer(
            service, self._threads, max_bytes=settings.max_request_bytes, shared=settings.shared
        )

    def _committing(self) -> Committer:
        settings = self._settings
        return Committer(
            partial(LedgerWriter, settings.dsn),
            self._counters,
            writers=settings.writers,
            rows=settings.commit_rows,
            linger=settings.commit_linger,
            queue_bytes=settings.queue_bytes,
            journal=self._journal,
            on_commit=self._telemetry.commits,
        )

    @property
    def addresses(self) -> Addresses:
        """Where it listens. Known once started."""
        if self._addresses is None:
            raise RuntimeError("the collector has not been started")
        return self._addresses

    @property
    def grpc_address(self) -> str:
        """HOST:PORT for OTLP over gRPC. Known once started."""
        return self.addresses.grpc

    @property
    def counts(self) -> Counts:
        """What was received so far, and what became of it."""
        return self._counters.read()

    def start(self) -> None:
        """Listen and serve. Raises `CannotListen`, and `UnusableCertificate`."""
        self._addresses = addresses = self._listening()
        self._meter.start()
        self._committer.start()
        if self._keys is not None:
            self._keys.start()
        if self._replaying is not None:
            self._replaying.start()
        self._housekeeping.start()
        if self._folding is not None:
            self._folding.start()
        if self._sealing is not None:
            self._sealing.start()
        self._counted.start()
        self._watch.start()
        self._telemetry.start(self._readings())
        self._grpc.start()
        if addresses.http is not None:
            self._http.start()
        logger.info("receiving OTLP on %s; decoder: %s", addresses, DECODER)

    def _senders(self, attempts: AttemptCounts) -> Senders:
        settings = self._settings
        if self._keys is not None:
            waiting = settings.handlers // 4
            return Authentication(self._keys, attempts, at_once=waiting, hold=settings.hold)
        if settings.auth is False:
            logger.warning(
                "no key is asked for: whoever reaches %s can write usage of any tenant",
                " or ".join(filter(None, (settings.grpc, settings.http))),
            )
        return Anybody()

    def _readings(self) -> Readings:
        journal = self._journal
        return Readings(
            counters=self._counters,
            waiting=lambda: self._committer.waiting,
            journal_bytes=lambda: None if journal is None else journal.bytes,
            available=lambda: self._committer.available and self._watch.available,
            gaps=lambda: self._watch.gaps,
        )

    def _listening(self) -> Addresses:
        settings = self._settings
        try:
            grpc = self._grpc.bind(settings.grpc, settings.tls)
        except OSError as error:
            raise _cannot_listen(settings.grpc, error, "--grpc") from error
        if settings.http is None:
            return Addresses(grpc, None)
        try:
            return Addresses(grpc, self._http.bind(settings.http, settings.tls))
        except OSError as error:
            self._grpc.stop(0)
            raise _cannot_listen(settings.http, error, "--http") from error

    def stop(self, grace: float) -> None:
        """Take nothing new, answer what is under way within `grace` seconds, commit what is queued, stop.

        With a grace of 0 what is under way is cut off.
        """
        deadline = time.monotonic() + grace
        self._housekeeping.stop()
        if self._folding is not None:
            self._folding.stop()
        if self._sealing is not None:
            self._sealing.stop()
        self._watch.stop()
        self._meter.stop()
        self._http_service.drain()
        self._http.stop(grace)
        self._grpc.stop(grace).wait()
        self._http.join()
        self._counted.stop()
        if self._keys is not None:
            self._keys.stop()
        if self._replaying is not None:
            self._replaying.stop()
        self._committer.close(max(0.0, deadline - time.monotonic()))
        self._threads.shutdown()
        if self._journal is not None:
            self._journal.close()
        self._grpc.close()
        self._telemetry.stop()
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


def _is_first(settings: CollectorSettings) -> bool:
    """Of several workers one alone tells what all would see alike."""
    return settings.worker is None or settings.worker.number == 0


def _cannot_listen(address: str, error: OSError, flag: str) -> CannotListen:
    reason = error.strerror or str(error)
    return CannotListen(f"cannot listen on {address}: {reason}; choose another with {flag}")


def _sealing(settings: CollectorSettings) -> Sealing | None:
    if settings.seal_after is None or not _is_first(settings):
        return None
    return Sealing(settings.dsn, settings.seal_after, settings.seal_key)
