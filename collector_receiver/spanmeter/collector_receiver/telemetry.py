"""The collector's own telemetry: OpenTelemetry metrics, as a page for Prometheus and, where asked for, pushed."""

import threading
import uuid
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from spanmeter.collector_receiver.instruments import CommitInstruments, Readings, observe
from spanmeter.collector_receiver.metrics_page import SharedPages
from spanmeter.collector_receiver.metrics_push import pushing_readers
from spanmeter.collector_receiver.settings import CollectorSettings

SERVICE: Final = "spanmeter-collector"

PUSH_TIMEOUT: Final = 2.0
"""Seconds that the last push may take: a backend that is away must not keep a collector from ending."""


class Telemetry:
    """Meters one collector, apart from whatever else the process meters."""

    def __init__(self, settings: CollectorSettings) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        page = PrometheusMetricReader(scope_info_enabled=False, registry=self._registry)
        self._provider = MeterProvider(
            [page, *pushing_readers()], _resource(), shutdown_on_exit=False
        )
        self._meter: Meter = self._provider.get_meter(
            "spanmeter.collector_receiver", version("spanmeter")
        )
        self._collecting = threading.Lock()
        worker = settings.worker
        self._shared = None if worker is None else SharedPages(worker, self._own_page)
        self.commits = CommitInstruments(self._meter)
        """To be told of each commit."""

    def start(self, readings: Readings) -> None:
        """Read from these, from now on."""
        observe(self._meter, readings)
        if self._shared is not None:
            self._shared.start()

    def page(self) -> bytes:
        """All metrics in Prometheus' text format, those of other workers included."""
        return self._own_page() if self._shared is None else self._shared()

    def stop(self) -> None:
        """Push and publish for the last time."""
        if self._shared is not None:
            self._shared.stop()
        self._provider.shutdown(PUSH_TIMEOUT * 1000)

    def _own_page(self) -> bytes:
        # The reader keeps what it collects until it is asked for: two at once would take it from each other.
        with self._collecting:
            return generate_latest(self._registry)


def _resource() -> Resource:
    return Resource.create(
        {
            "service.name": SERVICE,
            "service.version": version("spanmeter"),
            "service.instance.id": str(uuid.uuid4()),
        }
    )
