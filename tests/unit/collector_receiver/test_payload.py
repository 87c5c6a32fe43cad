"""What is kept of a span that could not be metered: enough to meter it again, and no prompt."""

from datetime import UTC, datetime

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

import otlp
from spanmeter.collector_receiver.decode import decode
from spanmeter.collector_receiver.received import Received
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates
from spanmeter.metering.unmeterable import Unmeterable

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


def test_an_attribute_of_ours_that_no_row_takes_is_kept_in_part_and_refused_again() -> None:
    sent = otlp.llm_span({"tenant.id": "é" * 5_000_000})

    payload = _received(otlp.request([sent])).payload()

    assert len(payload) < 100_000
    with pytest.raises(Unmeterable, match="bad_text"):
        Meter(Rates.pinned()).meter(_received(payload).span, datetime.now(UTC))


def test_a_large_attribute_of_another_type_is_refused_again_too() -> None:
    sent = otlp.llm_span()
    sent.attributes.add(key="tenant.id", value=AnyValue(bytes_value=bytes(100_000)))

    payload = _received(otlp.request([sent])).payload()

    assert len(payload) < 10_000
    with pytest.raises(Unmeterable, match="bad_text"):
        Meter(Rates.pinned()).meter(_received(payload).span, datetime.now(UTC))


def test_a_resource_of_many_attributes_does_not_come_with_every_span_of_it() -> None:
    resource = {f"attribute {n}": "x" * 1000 for n in range(1000)} | {"tenant.id": "acme"}

    received = decode(otlp.request([otlp.llm_span(), otlp.llm_span()], resource), max_spans=2)

    for each in received:
        payload = each.payload()
        assert len(payload) < 70_000
        assert _received(payload).span.resource["tenant.id"] == "acme"


def test_of_an_attribute_given_twice_the_later_is_kept() -> None:
    sent = otlp.llm_span()
    sent.attributes.add(key="tenant.id", value=AnyValue(string_value="globex"))

    payload = _received(otlp.request([sent])).payload()

    assert _received(payload).span.attributes["tenant.id"] == "globex"
