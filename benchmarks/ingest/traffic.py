"""The load: an export request of metering records as our instrumentation sends them; its ids are renewed in place."""

import os
import time
from struct import Struct

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TENANTS = 50

MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
)

RESOURCE = {
    "service.name": "answers",
    "service.version": "1.42.0",
    "deployment.environment.name": "production",
    "host.name": "answers-7d9f8-x2x9z",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "usage.producer.id": "0b8f6f0e7a0c4b1f9d3e5a7c9b1d3f5a",
}

RAW_USAGE = (
    '{"prompt_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d,'
    '"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0}}'
)


class Traffic:
    """A serialized request of `spans` calls. `renewed` gives it new trace ids and response ids."""

    def __init__(self, spans: int) -> None:
        self._pieces = _serialized(spans)
        self._ids = Struct("16s" * spans)
        self._spelled_ids = Struct("32s" * spans)

    def renewed(self) -> bytes:
        """The request as new calls. It takes 0.2 µs a span, so that the load leaves the machine to what is measured."""
        fresh = os.urandom(self._ids.size)
        pieces = self._pieces.copy()
        pieces[1::4] = self._ids.unpack(fresh)
        pieces[3::4] = self._spelled_ids.unpack(fresh.hex().encode())
        return b"".join(pieces)


def _serialized(count: int) -> list[bytes]:
    """The request in pieces: of every four the second is a trace id and the fourth the same one spelled out."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(_attribute(*each) for each in RESOURCE.items())
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = "spanmeter.openai", "0.1.0"
    ids = [os.urandom(16) for _ in range(count)]
    scope_spans.spans.extend(_span(number, each) for number, each in enumerate(ids))
    body = message.SerializeToString()
    pieces: list[bytes] = []
    end = 0
    for spelling in (spelling for each in ids for spelling in (each, each.hex().encode())):
        start = body.index(spelling, end)
        pieces += (body[end:start], spelling)
        end = start + len(spelling)
    return [*pieces, body[end:]]


def _span(number: int, trace_id: bytes) -> Span:
    start = time.time_ns() - 1_000_000 * (number + 1)
    return Span(
        trace_id=trace_id,
        span_id=os.urandom(8),
        name="chat gpt-4o",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 1_234_567_890,
        attributes=[_attribute(*each) for each in _call(number, trace_id).items()],
    )


def _call(number: int, trace_id: bytes) -> dict[str, str | int | float]:
    """Twenty attributes of one call."""
    provider, asked, answered = MODELS[number % len(MODELS)]
    tokens = (1000 + number % 97, 200 + number % 89, number % 83, number % 79)
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": asked,
        "gen_ai.response.model": answered,
        "gen_ai.response.id": f"chatcmpl-{trace_id.hex()}",
        "gen_ai.response.finish_reasons": "stop",
        "gen_ai.response.time_to_first_chunk": 0.1 + number % 71 / 1000,
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        "gen_ai.usage.cache_read.input_tokens": tokens[2],
        "gen_ai.usage.reasoning.output_tokens": tokens[3],
        "server.address": "api.openai.com",
        "tenant.id": f"tenant-{number % TENANTS}",
        "user.id": f"user-{number % 211}",
        "usage.feature": ("search", "summaries", "chat")[number % 3],
        "usage.workflow": "answer-a-question",
        "usage.source": "provider",
        "usage.service_tier": "default",
        "usage.producer.sequence": number + 1,
        "usage.raw": RAW_USAGE % tokens,
    }


def _attribute(name: str, value: str | float) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=name, value=AnyValue(string_value=value))
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    return KeyValue(key=name, value=AnyValue(double_value=value))
