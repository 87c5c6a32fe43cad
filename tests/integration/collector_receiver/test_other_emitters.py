"""What becomes of spans that are not our own metering records: acknowledged, and each in its place."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import otlp
from collecting import Ledger
from otlp import Client
from spanmeter.collector_receiver import Collector
from spanmeter.metering import attributes as names


def of_scope(scope: str, *spans: Span) -> bytes:
    """An export request of a scope's spans."""
    message = ExportTraceServiceRequest.FromString(otlp.request(spans))
    message.resource_spans[0].scope_spans[0].scope.name = scope
    return message.SerializeToString()


def test_the_tracing_of_a_metered_call_is_acknowledged_and_counted_and_not_stored(
    collector: Collector, client: Client, ledger: Ledger
) -> None:
    """The application's own tracing keeps a span with the ids of our record, whichever comes first."""
    call = otlp.llm_span()
    copy = of_scope(names.TRACING_SCOPE_PREFIX + "openai", call)
    for body in (copy, otlp.request([call]), copy):
        assert not client.export(body).HasField("partial_success")
    assert ledger.spans() == [call.span_id]
    assert ledger.rejected() == []
    counts = collector.counts
    assert (counts.tracing_copies, counts.stored, counts.not_llm) == (2, 1, 0)


def test_a_span_without_room_for_its_counts_is_kept_and_never_booked_as_nothing(
    client: Client, ledger: Ledger
) -> None:
    full = otlp.span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "traceloop.association.properties.tenant_id": "acme",
        }
    )
    full.dropped_attributes_count = 5
    answer = client.export(of_scope("opentelemetry.instrumentation.openai.v1", full))
    assert answer.partial_success.rejected_spans == 1
    assert ledger.spans() == []
    [kept] = ledger.rejected()
    assert (kept.reason, kept.tenant_id) == ("dropped_attributes", "acme")


def test_a_row_says_which_library_told_it_and_by_which_attribute_the_tenant_is_known(
    client: Client, ledger: Ledger
) -> None:
    told = otlp.span(
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "openai",
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 1000,
            "metadata": '{"tenant_id": "acme"}',
        }
    )
    client.export(of_scope("openinference.instrumentation.openai", told))
    assert ledger.column("dialect") == ["openinference"]
    assert ledger.column("tenant_id") == ["acme"]
    assert ledger.column("attributed_by") == ["metadata/tenant_id"]
