"""OTLP's JSON form into its binary form, which is the one that is decoded.

It is protobuf's own JSON mapping but for the ids, which are hexadecimal instead of base64 (OTLP specification, "JSON
Protobuf Encoding").
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from spanmeter.collector_receiver.refusals import BodyTooLarge, Unusable


class Signal(NamedTuple):
    """What is exported: its messages, and the members of a request in JSON that lead to what has ids."""

    request: type[Message]
    response: type[Message]
    members: tuple[tuple[str, ...], ...]


TRACES: Final = Signal(
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
    (("resourceSpans", "resource_spans"), ("scopeSpans", "scope_spans"), ("spans",)),
)
LOGS: Final = Signal(
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
    (("resourceLogs", "resource_logs"), ("scopeLogs", "scope_logs"), ("logRecords", "log_records")),
)

_IDS: Final = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


def to_protobuf(body: bytes, *, max_objects: int, signal: Signal = TRACES) -> bytes:
    """The serialized request of this signal that this JSON describes.

    Unknown members are ignored. Raises `Unusable` for what is none, `BodyTooLarge` where it holds more JSON objects and
    arrays than `max_objects`: three bytes of text may become a hundred of memory.
    """
    objects = body.count(b"{") + body.count(b"[")
    if objects > max_objects:
        raise BodyTooLarge(
            f"the request holds {objects} JSON objects and at most {max_objects} are taken at once"
        )
    try:
        parsed = json.loads(body)
        if not isinstance(parsed, dict):
            raise Unusable(f"the request is JSON, but no object: {type(parsed).__name__}")
        request = cast("dict[str, Any]", parsed)
        for item in _items_with_ids(request, signal.members):
            _recode_ids(item)
        message = json_format.ParseDict(request, signal.request(), ignore_unknown_fields=True)
    except (ValueError, RecursionError, json_format.ParseError, TypeError, AttributeError) as error:
        kind = signal.request.DESCRIPTOR.name
        raise Unusable(f"the request is no {kind} in JSON: {error}") from error
    return message.SerializeToString()


def _items_with_ids(
    parent: dict[str, Any], members: tuple[tuple[str, ...], ...]
) -> Iterator[dict[str, Any]]:
    if not members:
        yield parent
        yield from _objects(parent, "links")
        return
    for item in _objects(parent, *members[0]):
        yield from _items_with_ids(item, members[1:])


def _objects(parent: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    for name in names:
        for item in parent.get(name) or ():
            if not isinstance(item, dict):
                raise Unusable(f"an item of {name} is no JSON object: {type(item).__name__}")
            yield cast("dict[str, Any]", item)


def _recode_ids(item: dict[str, Any]) -> None:
    for name in _IDS:
        if (value := item.get(name)) is not None:
            item[name] = base64.b64encode(_unhex(name, value)).decode()


def _unhex(name: str, value: object) -> bytes:
    try:
        return bytes.fromhex(cast("str", value))
    except (TypeError, ValueError):
        raise Unusable(f"{name} is no hexadecimal text: {str(value)[:40]!r}") from None
