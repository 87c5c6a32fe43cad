"""What is kept of a span that could not be metered: enough to meter it again, and no prompt."""

from datetime import UTC, datetime

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

import otlp
from spanmeter.collector_receiver.decode import decode
from spanmeter.collector_receiver.received import Received
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates

SECRET = "the patient's name is"

CONTENT = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0.content",
    "gen_ai.tool.call.arguments",
    "input.value",
    "output.value",
    "llm.input_messages.0.message.content",
    "traceloop.entity.input",
    "ai.prompt.messages",
    "ai.response.text",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.observation.metadata.answer",
    "langfuse.trace.input",
    "embedding.embeddings.0.embedding.text",
    "embedding.text",
    "reranker.query",
    "pydantic_ai.all_messages",
)


def _received(body: bytes) -> Received:
    (received,) = decode(body, max_spans=1)
    return received


def test_a_payload_is_an_export_request_that_meters_to_the_same_event() -> None:
    body = otlp.request(
        [otlp.llm_span({"usage.dimension.region": "eu", "usage.label": "x" * 1000})],
        {"service.name": "answers", "deployment.environment.name": "production"},
    )
    received = _received(body)
    meter, now = Meter(Rates.pinned()), datetime.now(UTC)

    replayed = _received(received.payload())

    assert meter.meter(replayed.span, now) == meter.meter(received.span, now) is not None


def test_the_payload_of_one_span_of_many_is_that_span_alone() -> None:
    spans = [otlp.llm_span() for _ in range(3)]

    received = decode(otlp.request(spans), max_spans=3)

    assert _received(received[1].payload()).span.span_id == spans[1].span_id


def test_the_same_span_gives_the_same_payload_whatever_it_travels_with() -> None:
    sent = otlp.llm_span()

    alone = decode(otlp.request([sent]), max_spans=1)[0].payload()
    among = decode(otlp.request([otlp.llm_span(), sent]), max_spans=2)[1].payload()

    assert alone == among


def test_prompts_and_completions_are_not_kept() -> None:
    sent = otlp.llm_span(
        {**dict.fromkeys(CONTENT, SECRET), "of.a.library.we.do.not.know": SECRET * 100}
    )
    sent.status.message = SECRET
    sent.events.add(name="gen_ai.user.message").attributes.add(
        key="content", value=AnyValue(string_value=SECRET)
    )
    sent.links.add().attributes.add(key="content", value=AnyValue(string_value=SECRET))

    payload = _received(otlp.request([sent])).payload()

    assert SECRET.encode() not in payload


def test_a_tenant_of_any_length_is_kept_lest_the_span_be_booked_as_unattributed() -> None:
    tenant = "t" * 5000

    payload = _received(otlp.request([otlp.llm_span({"tenant.id": tenant})])).payload()

    assert _received(payload).span.attributes["tenant.id"] == tenant
