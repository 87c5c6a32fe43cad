"""OTLP to metering: the bytes of one export request become plain spans."""

import logging
import os
from typing import Final, Literal

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanmeter.collector_receiver import parsed_spans
from spanmeter.collector_receiver.parsed_values import attributes_of
from spanmeter.collector_receiver.received import Enclosing, Malformed, Received, Replay, TooLarge
from spanmeter.metering.span import Attributes, Span

logger = logging.getLogger(__name__)

MAX_ATTRIBUTES: Final = 500_000
"""Attributes, items of lists, events and links of one request, all together. 8,192 spans have some 250,000."""


class Undecodable(ValueError):
    """The bytes are no export request of spans that can be taken. Sending them again will not help."""


def decode(body: bytes, *, max_spans: int, max_attributes: int = MAX_ATTRIBUTES) -> list[Received]:
    """The spans of a serialized `ExportTraceServiceRequest`, in the order they came in.

    Raises `Undecodable` for bytes that are none, for more than `max_spans` spans or `max_attributes` attributes (with
    list items, events and links), and for another signal sent here by mistake: log records share the field numbers of
    spans, and come out as spans without ids.
    """
    try:
        received = _decode(body, max_spans, max_attributes)
    except Malformed as error:
        raise Undecodable(f"the request is no ExportTraceServiceRequest: {error}") from error
    except TooLarge as error:
        raise Undecodable(
            f"the request holds {error}, and at most {max_spans} spans with {max_attributes} attributes are taken "
            "at once; lower the exporter's batch size"
        ) from error
    if received and not any(span.trace_id or span.span_id for span, _ in received):
        raise Undecodable(
            f"none of the {len(received)} spans has an id; were these logs sent to the trace service?"
        )
    return received


def parsed(body: bytes) -> ExportTraceServiceRequest:
    """A request that `decode` takes, and has bounded, as protobuf's own parser has it: for what few requests hold
    beside their spans. Raises `Undecodable`."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise Undecodable(f"the request is no ExportTraceServiceRequest: {error}") from error


def decode_resources(body: bytes) -> list[Attributes]:
    """The attributes of each resource of a request that `decode` takes. Raises `Undecodable`."""
    return [attributes_of(each.resource.attributes) for each in parsed(body).resource_spans]


def _bound() -> bool:
    """Whether the compiled decoder is here, made for these types, and wanted."""
    if os.environ.get("SPANMETER_PURE_PYTHON", "0") not in {"", "0"}:
        return False
    try:
        from spanmeter.collector_receiver import _otlp
    except ImportError:
        return False
    layout = ", ".join(" ".join(one._fields) for one in (Span, Received, Replay))
    if layout != _otlp.LAYOUT:
        logger.warning("the compiled decoder is of another version and is not used; install again")
        return False
    _otlp.bind(Span, Received, Replay, Enclosing, Malformed, TooLarge)
    return True


DECODER: Final[Literal["compiled", "python"]] = "compiled" if _bound() else "python"
"""Which of the two decoders this process uses. They differ in nothing but speed."""

if DECODER == "compiled":
    from spanmeter.collector_receiver._otlp import decode as _decode
else:
    _decode = parsed_spans.decode
