"""OpenTelemetry's own Python SDK and exporter, end to end."""

from __future__ import annotations

import pytest
from grpc import Compression
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import StatusCode

import otlp
from collecting import Ledger
from spanmeter.collector_receiver import Collector


def _provider(collector: Collector, compression: Compression) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"service.name": "answers"}))
    exporter = OTLPSpanExporter(
        f"http://{collector.grpc_address}", insecure=True, compression=compression
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_of_the_sdk_are_rows_after_a_flush(
    collector: Collector, ledger: Ledger, compression: Compression
) -> None:
    provider = _provider(collector, compression)
    tracer = provider.get_tracer("spanmeter.openai", "0.1.0")

    with tracer.start_as_current_span("POST /ask"):
        for _ in range(700):
            with tracer.start_as_current_span("chat gpt-4o", attributes=otlp.CALL):
                pass
        with tracer.start_as_current_span("chat gpt-4o", attributes=otlp.CALL) as failed:
            failed.set_attribute("error.type", "RateLimitError")
            failed.set_status(StatusCode.ERROR)
    provider.shutdown()

    statuses = ledger.column("status")
    assert (statuses.count("ok"), statuses.count("error")) == (700, 1)
    assert set(ledger.column("service_name")) == {"answers"}
    assert collector.counts.not_llm == 1


def test_a_partial_success_is_no_failure_to_the_exporter(
    collector: Collector, ledger: Ledger
) -> None:
    provider = TracerProvider()
    tracer = provider.get_tracer("spanmeter.openai")
    exporter = OTLPSpanExporter(f"http://{collector.grpc_address}", insecure=True)
    good = tracer.start_span("chat", attributes=otlp.CALL)
    bad = tracer.start_span("chat", attributes={**otlp.CALL, "gen_ai.usage.input_tokens": -1})
    for span in (good, bad):
        span.end()

    result = exporter.export([good, bad])  # type: ignore[list-item]
    exporter.shutdown()  # pyright: ignore[reportUnknownMemberType]

    assert result is SpanExportResult.SUCCESS
    assert (len(ledger.spans()), len(ledger.rejected())) == (1, 1)
