"""OTLP's JSON: what it becomes is what protobuf would have said, and whatever else is sent is refused by name."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import fuzzing
from spanmeter.collector_receiver.otlp_json import to_protobuf
from spanmeter.collector_receiver.refusals import Unusable

MAX_OBJECTS = 100_000
IDS = {"traceId": "trace_id", "spanId": "span_id", "parentSpanId": "parent_span_id"}

MEMBERS = st.sampled_from(
    [
        *("resourceSpans", "resource_spans", "scopeSpans", "spans", "attributes", "resource"),
        *("traceId", "span_id", "links", "events", "key", "value", "intValue", "stringValue"),
        *("arrayValue", "kvlistValue", "values", "startTimeUnixNano", "kind", "status", "flags"),
    ]
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=20,
)


def as_json(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """The request in OTLP's form: protobuf's own, but for the ids."""
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    for resource, its in zip(
        document.get("resourceSpans", ()), request.resource_spans, strict=True
    ):
        for scope, scopes in zip(resource.get("scopeSpans", ()), its.scope_spans, strict=True):
            for span, known in zip(scope.get("spans", ()), scopes.spans, strict=True):
                _with_ids(span, known)
                for link, known_link in zip(span.get("links", ()), known.links, strict=True):
                    _with_ids(link, known_link)
    return document


def _with_ids(item: dict[str, Any], known: Any) -> None:
    for name in IDS.keys() & item.keys():
        item[name] = getattr(known, IDS[name]).hex()


@pytest.mark.parametrize("seed", range(2))
def test_what_protobuf_says_json_says_too(seed: int) -> None:
    rng = random.Random(seed)
    compared = 0
    for body in fuzzing.requests(seed):
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError:
            continue
        request.DiscardUnknownFields()
        text = json.dumps(as_json(request))
        parsed = ExportTraceServiceRequest.FromString(
            to_protobuf(text.encode(), max_objects=MAX_OBJECTS)
        )
        assert parsed.SerializeToString(deterministic=True) == request.SerializeToString(
            deterministic=True
        ), text
        compared += 1
        _is_refused_or_taken(fuzzing.mutated(rng, text.encode()))
    assert compared > 20


@given(ANYTHING)
def test_any_json_is_refused_or_taken(document: Any) -> None:
    _is_refused_or_taken(json.dumps(document).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_taken(body: bytes) -> None:
    _is_refused_or_taken(body)


def _is_refused_or_taken(body: bytes) -> None:
    """Anything but a refusal passes through, and fails the test."""
    try:
        taken = to_protobuf(body, max_objects=MAX_OBJECTS)
    except Unusable:
        return
    ExportTraceServiceRequest.FromString(taken)
