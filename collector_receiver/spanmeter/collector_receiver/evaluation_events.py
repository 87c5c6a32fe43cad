"""The evaluations that an export request holds: scores of calls, in events of spans, or in spans of their own.

Nearly no request has any, so that its bytes are searched for the event's name first: a request without pays for
one search, and is not walked through a second time.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanmeter.collector_receiver.decode import parsed
from spanmeter.collector_receiver.parsed_values import attributes_of
from spanmeter.collector_receiver.sender import Grant
from spanmeter.metering.attributes import EVALUATION_RESULT
from spanmeter.metering.evaluation import evaluation_told
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.storage.evaluations import Scored

logger = logging.getLogger(__name__)

MARK: Final = EVALUATION_RESULT.encode()


class Evaluations(NamedTuple):
    """What a request holds of evaluations, and how many more could not be used."""

    scored: Sequence[Scored]
    unusable: int


class _Told(NamedTuple):
    attributes: Iterable[KeyValue]
    trace_id: bytes
    span_id: bytes
    time_ns: int


NO_EVALUATIONS: Final = Evaluations((), 0)


def evaluations_in(body: bytes, grant: Grant | None) -> Evaluations:
    """The evaluations in a serialized `ExportTraceServiceRequest` that `decode` takes, sent with this key. Raises
    `Undecodable`."""
    if MARK not in body:
        return NO_EVALUATIONS
    key_id, tenants = grant or (None, None)
    scored: list[Scored] = []
    unusable = 0
    for told in _told_in(parsed(body)):
        try:
            evaluation = evaluation_told(
                attributes_of(told.attributes),
                trace_id=told.trace_id,
                span_id=told.span_id,
                time_ns=told.time_ns,
            )
        except Unmeterable as error:
            logger.debug("an evaluation cannot be used: %s", error.detail)
            unusable += 1
        except Exception:
            # Refusing the request for it would keep its calls from being booked for ever.
            logger.exception("could not read an evaluation")
            unusable += 1
        else:
            scored.append(Scored(evaluation, "otlp", key_id, tenants))
    return Evaluations(scored, unusable)


def _told_in(request: ExportTraceServiceRequest) -> Iterator[_Told]:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield from _of_span(span)


def _of_span(span: Span) -> Iterator[_Told]:
    if span.name == EVALUATION_RESULT:
        # Where events cannot be made, a span stands for one: a child of the span that it is about.
        yield _Told(span.attributes, span.trace_id, span.parent_span_id, span.start_time_unix_nano)
    for event in span.events:
        if event.name == EVALUATION_RESULT:
            yield _Told(event.attributes, span.trace_id, span.span_id, event.time_unix_nano)
