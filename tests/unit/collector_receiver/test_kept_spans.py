"""What is kept of a span meters to the same as the span did, in every dialect, and holds no text that is not read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otlp
from spanmeter.collector_receiver.decode import decode
from spanmeter.collector_receiver.kept_values import kept
from spanmeter.collector_receiver.received import Received
from spanmeter.metering import attributes as names
from spanmeter.metering.attribution import PLACES, RESOURCE, Attribution
from spanmeter.metering.dialects import DIALECTS, Dialect
from spanmeter.metering.meter import Meter
from spanmeter.metering.places import Place
from spanmeter.metering.rates import Rates
from spanmeter.metering.reads import WHOLE, places_of
from spanmeter.metering.unmeterable import Unmeterable

METER = Meter(Rates.pinned())
SECRET = "the patient's name is not told to anybody, and neither is what he came to the doctor for"
"""Longer than any word that a usage block may have."""

USUAL: Mapping[str, otlp.Value] = {
    names.PROVIDER_NAME: "openai",
    names.REQUEST_MODEL: "gpt-4o",
    names.INPUT_TOKENS: 7,
    names.OUTPUT_TOKENS: 7,
}

ELSEWHERE = [
    place for listed in PLACES.values() for place in listed if not place.startswith(RESOURCE)
]

VALUES = st.one_of(
    st.integers(0, 2000),
    st.sampled_from(["openai", "gpt-4o-mini", "acme", '"acme"', "12", "stop", "batch", "Acme Inc"]),
    st.sampled_from([1.5, True, -1, "x" * 1500, "x" * 5000, "\0", "é" * 900]),
)


def told(dialect: Dialect, values: Mapping[str, Any], *, printed: bool) -> dict[str, otlp.Value]:
    """Attributes with values at these places; what is JSON has a text beside each of them."""
    attributes: dict[str, Any] = {dialect.operation[0]: next(iter(dialect.calls))}
    for written, value in values.items():
        place = Place.named(written)
        *around, last = [*(member for member in place.members if member), ""]
        if not around:
            attributes[place.attribute] = value
            continue
        node = _table(attributes, place.attribute, {})
        for member in around[:-1]:
            node = _table(node, member, {"prompt": SECRET})
        node[around[-1]] = value
        node["prompt"] = SECRET + last
    write: Callable[[Any], str] = repr if printed else json.dumps
    return {
        name: write(cast("object", value)) if isinstance(value, dict) else value
        for name, value in attributes.items()
    }


def _table(within: dict[str, Any], name: str, new: dict[str, Any]) -> dict[str, Any]:
    """The table of this name, which is made if there is none."""
    if not isinstance(within.get(name), dict):
        within[name] = new
    found: dict[str, Any] = within[name]
    return found


def received(attributes: Mapping[str, otlp.Value], dialect: Dialect) -> Received:
    message = ExportTraceServiceRequest.FromString(otlp.request([otlp.span(attributes)]))
    message.resource_spans[0].scope_spans[0].scope.name = dialect.scopes[0]
    return one(message.SerializeToString())


def one(body: bytes) -> Received:
    (found,) = decode(body, max_spans=1)
    return found


def outcome(each: Received, meter: Meter = METER) -> object:
    """The event, or why there is none."""
    try:
        return meter.meter(each.span, datetime.now(UTC))
    except Unmeterable as error:
        return error.reason


@settings(max_examples=20, deadline=None)
@given(st.data())
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda of: f"{of.name}-{of.scopes[0]}")
def test_in_every_dialect_it_meters_to_the_same(dialect: Dialect, data: st.DataObject) -> None:
    places = sorted({*places_of(dialect), *ELSEWHERE})
    values = data.draw(st.dictionaries(st.sampled_from(places), VALUES, max_size=14))
    span = received(told(dialect, values, printed=data.draw(st.booleans())), dialect)

    payload = span.payload()

    assert outcome(one(payload)) == outcome(span)
    assert SECRET.encode() not in payload


def test_a_usual_call_of_every_dialect_is_one() -> None:
    """The property above is of calls, and not of nothing."""
    for dialect in DIALECTS:
        attributes = {
            dialect.operation[0]: next(iter(dialect.calls)),
            **otlp.CALL,
            **{
                place: usual
                for name, usual in USUAL.items()
                for place in dialect.places.get(name, ())
                if "/" not in place
            },
        }
        span = received(attributes, dialect)
        event = outcome(span)
        assert not isinstance(event, str), (dialect.name, event)
        assert event is not None
        assert outcome(one(span.payload())) == event


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("of.a.library.we.do.not.know", SECRET),
        ("gen_ai.usage.remark", SECRET),
        ("gen_ai.usage.raw", json.dumps({"answer": SECRET})),
        ("usage.raw", json.dumps({"answer": SECRET})),
        ("metadata", json.dumps({"tenant_id": "acme", "question": SECRET})),
        ("metadata", repr({"tenant_id": "acme", "question": SECRET})),
        ("metadata", SECRET),
        ("metadata.requester_metadata", json.dumps({"headers": {"cookie": SECRET}})),
        ("ai.response.providerMetadata", json.dumps({"openai": {"text": SECRET}})),
        ("ai.telemetry.metadata.question", SECRET),
        ("langfuse.trace.metadata.question", SECRET),
        ("traceloop.association.properties.question", SECRET),
    ],
)
def test_texts_that_are_not_read_are_not_kept(name: str, value: str) -> None:
    span = one(otlp.request([otlp.llm_span({name: value})], {"process.command_line": SECRET}))

    assert SECRET.encode() not in span.payload()


def test_where_an_operator_has_tenants_is_read_too() -> None:
    meter = Meter(
        Rates.pinned(),
        attribution=Attribution({"tenant": ["customer/name", "resource:deployment.owner"]}),
    )
    customer = json.dumps({"name": "Acme Inc", "question": SECRET})
    span = one(otlp.request([otlp.span({**otlp.CALL, "customer": customer, "tenant.id": ""})]))

    payload = span.payload(meter.reads)

    assert SECRET.encode() not in payload
    assert outcome(one(payload), meter) == outcome(span, meter)
    assert meter.tenant_of(one(payload).span) == "Acme Inc"
    assert b"Acme" not in span.payload()


def test_what_is_no_text_is_kept_as_what_metering_refuses() -> None:
    model = otlp.attribute("gen_ai.request.model", "")
    model.value.array_value.values.add(string_value=SECRET)

    part = kept(model, frozenset({WHOLE}))

    assert part is not None
    assert part.value.WhichOneof("value") == "bytes_value"
