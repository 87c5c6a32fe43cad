"""Metrics pushed over OTLP, where OpenTelemetry's own variables ask for it."""

import logging
import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)

logger = logging.getLogger(__name__)

EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""By protocol, the exporter's name among the entry points."""

EXTRA: Final = "spanmeter[otlp-grpc]"


def pushing_readers(environ: Mapping[str, str] = os.environ) -> list[MetricReader]:
    """A reader that pushes, if OTEL_METRICS_EXPORTER names otlp and its exporter is installed; else none.

    Where to, and how often, the exporter and the reader read from OTEL_EXPORTER_OTLP_* and OTEL_METRIC_EXPORT_*.
    """
    named = environ.get("OTEL_METRICS_EXPORTER", "").split(",")
    if "otlp" not in [name.strip() for name in named]:
        return []
    exporter = _exporter(_protocol(environ))
    return [] if exporter is None else [PeriodicExportingMetricReader(exporter)]


def _protocol(environ: Mapping[str, str]) -> str:
    return (
        environ.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")
        or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "grpc"
    )


def _exporter(protocol: str) -> MetricExporter | None:
    name = EXPORTERS.get(protocol)
    if name is None:
        known = ", ".join(EXPORTERS)
        logger.warning("metrics are not pushed: protocol %r is not one of %s", protocol, known)
        return None
    for entry_point in entry_points(group="opentelemetry_metrics_exporter", name=name):
        exporter: MetricExporter = entry_point.load()()
        return exporter
    logger.warning("metrics are not pushed: install %s for OTLP over %s", EXTRA, protocol)
    return None
