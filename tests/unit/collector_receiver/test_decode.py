"""Export requests become metering spans."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Status

import otlp
from spanmeter.collector_receiver.decode import Undecodable, decode


def test_a_span_keeps_its_ids_times_scope_and_resource() -> None:
    sent = otlp.llm_span()
    sent.parent_span_id = b"parentid"

    (received,) = decode(otlp.request([sent], {"service.name": "answers"}), max_spans=10)

    span = received.span
    assert (span.trace_id, span.span_id, span.parent_span_id) == (
        sent.trace_id,
        sent.span_id,
        b"parentid",
    )
    assert span.start_ns == sent.start_time_unix_nano
    assert span.end_ns == sent.end_time_unix_nano
    assert span.name == "chat gpt-4o"
    assert otlp.CALL.items() <= span.attributes.items()
    assert span.resource == {"service.name": "answers"}
    assert (span.scope_name, span.scope_version) == ("spanmeter.openai", "0.1.0")


@pytest.mark.parametrize(
    ("code", "failed"),
    [
        (Status.STATUS_CODE_UNSET, False),
        (Status.STATUS_CODE_OK, False),
        (Status.STATUS_CODE_ERROR, True),
    ],
)
def test_only_status_error_is_a_failure(code: Status.StatusCode.ValueType, *, failed: bool) -> None:
    sent = otlp.llm_span()
    sent.status.code = code

    (received,) = decode(otlp.request([sent]), max_spans=1)

    assert received.span.failed is failed


def test_every_kind_of_value_comes_in_its_own_type() -> None:
    sent = otlp.span({"text": "é", "flag": True, "count": -(2**63), "ratio": 0.5})
    nested = AnyValue(
        kvlist_value=KeyValueList(
            values=[
                KeyValue(
                    key="list",
                    value=AnyValue(
                        array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue()])
                    ),
                )
            ]
        )
    )
    sent.attributes.add(key="bytes", value=AnyValue(bytes_value=b"\xff"))
    sent.attributes.add(key="nested", value=nested)
    sent.attributes.add(key="absent")

    (received,) = decode(otlp.request([sent]), max_spans=1)

    assert received.span.attributes == {
        "text": "é",
        "flag": True,
        "count": -(2**63),
        "ratio": 0.5,
        "bytes": b"\xff",
        "nested": {"list": [1, None]},
        "absent": None,
    }


def test_spans_of_several_resources_and_scopes_come_in_order() -> None:
    message = ExportTraceServiceRequest()
    for service in ("a", "b"):
        part = ExportTraceServiceRequest.FromString(
            otlp.request([otlp.llm_span(), otlp.llm_span()], {"service.name": service})
        )
        message.MergeFrom(part)

    received = decode(message.SerializeToString(), max_spans=4)

    assert [span.resource["service.name"] for span, _ in received] == ["a", "a", "b", "b"]


def test_an_empty_request_has_no_spans() -> None:
    assert decode(b"", max_spans=1) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"not protobuf", id="text"),
        pytest.param(otlp.llm_request(2)[:-1], id="cut off"),
        pytest.param(
            otlp.request([otlp.span({"name": "chat"})]).replace(b"chat", b"\xff\xfe\xff\xfe"),
            id="invalid UTF-8",
        ),
    ],
)
def test_bytes_that_are_no_request_are_undecodable(body: bytes) -> None:
    with pytest.raises(Undecodable, match="no ExportTraceServiceRequest"):
        decode(body, max_spans=10)


def test_values_nested_without_end_are_undecodable() -> None:
    value = b""
    for _ in range(200):
        value = _field(5, _field(1, value))  # AnyValue.array_value, ArrayValue.values
    attribute = _field(9, _field(2, value))  # Span.attributes, KeyValue.value
    body = _field(1, _field(2, _field(2, attribute)))

    with pytest.raises(Undecodable):
        decode(body, max_spans=1)


def test_more_spans_than_the_limit_are_undecodable_and_the_sender_learns_both_numbers() -> None:
    with pytest.raises(Undecodable, match="3 spans, and at most 2 spans"):
        decode(otlp.llm_request(3), max_spans=2)


def test_logs_sent_to_the_trace_service_are_told_apart() -> None:
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(
        time_unix_nano=1, body=AnyValue(string_value="a line")
    )

    with pytest.raises(Undecodable, match="logs"):
        decode(logs.SerializeToString(), max_spans=10)


def _field(number: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([number << 3 | 2, length & 0x7F | 0x80, length >> 7]) + content
