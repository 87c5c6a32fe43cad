"""Log records that are evaluations, as an export request of spans: so they take the one way into the ledger.

OpenTelemetry's events are log records with a name. Of all that are sent here only evaluations are read; each becomes
an event of a span that is nothing else: it has the ids of the span that the record is about, and no attributes.
"""

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from spanmeter.collector_receiver.evaluation_events import MARK
from spanmeter.collector_receiver.received import Malformed
from spanmeter.collector_receiver.refusals import BodyTooLarge, Unusable
from spanmeter.collector_receiver.wire_count import MAX_DEPTH, fields
from spanmeter.metering import attributes as names

NOTHING_KEPT: Final = ExportLogsServiceResponse(
    partial_success=ExportLogsPartialSuccess(
        error_message=f"log records are not kept here, but for events named {names.EVALUATION_RESULT}"
    )
).SerializeToString()
"""The response to a request without evaluations: OTLP has a message without a number for what a sender should know."""

EVENT_NAME: Final = "event.name"
"""The attribute that named an event before log records had a field for it."""

MAX_RECORD: Final = 256 * 1024
"""Bytes of a log record that is looked into. An evaluation has some hundreds, and its explanation."""

_NO_SPAN: Final = (bytes(16), bytes(8))
"""The ids that OpenTelemetry has for no span."""

_TO_RECORDS: Final = (1, 2, 2)
"""Numbers of the fields that lead to a log record: resource_logs, scope_logs, log_records."""

_READ: Final = frozenset(
    {
        names.EVALUATION_NAME,
        names.EVALUATION_SCORE_VALUE,
        names.EVALUATION_SCORE_LABEL,
        names.RESPONSE_ID,
        names.ERROR_TYPE,
    }
)


def as_spans(body: bytes, *, max_records: int) -> bytes:
    """A serialized `ExportTraceServiceRequest` with the evaluations of a serialized `ExportLogsServiceRequest`.

    It is empty if there are none. The explanation of a score is left out, and no other record is parsed. Raises
    `Unusable`, and `BodyTooLarge` where more than `max_records` are evaluations.
    """
    if MARK not in body:
        return b""
    spans = ExportTraceServiceRequest()
    inside = spans.resource_spans.add().scope_spans.add()
    for record in _evaluations(body):
        if len(inside.spans) == max_records:
            raise BodyTooLarge(f"the request holds more than {max_records} evaluations")
        known = record.trace_id and record.span_id
        trace_id, span_id = (record.trace_id, record.span_id) if known else _NO_SPAN
        inside.spans.add(trace_id=trace_id, span_id=span_id).events.add(
            name=names.EVALUATION_RESULT,
            time_unix_nano=record.time_unix_nano or record.observed_time_unix_nano,
            attributes=[each for each in record.attributes if each.key in _READ],
        )
    return spans.SerializeToString() if inside.spans else b""


def _evaluations(body: bytes) -> Iterator[LogRecord]:
    try:
        for start, end in _records(body, 0, len(body), 0):
            if end - start <= MAX_RECORD and body.find(MARK, start, end) != -1:
                record = LogRecord.FromString(body[start:end])
                if names.EVALUATION_RESULT in (record.event_name, _named(record)):
                    yield record
    except (DecodeError, Malformed, IndexError) as error:
        raise Unusable(f"the request is no ExportLogsServiceRequest: {error}") from error


def _records(body: bytes, at: int, end: int, level: int) -> Iterator[tuple[int, int]]:
    """Where each log record starts and ends."""
    for number, start, stop in fields(body, at, end, MAX_DEPTH):
        if number == _TO_RECORDS[level]:
            if level == len(_TO_RECORDS) - 1:
                yield start, stop
            else:
                yield from _records(body, start, stop, level + 1)


def _named(record: LogRecord) -> str:
    found = (each.value.string_value for each in record.attributes if each.key == EVENT_NAME)
    return next(found, "")
