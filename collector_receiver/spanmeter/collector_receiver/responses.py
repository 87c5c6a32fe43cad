"""What a sender is told of a request that was taken: all of it, or that a part was kept aside and why."""

# The stubs leave the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections import Counter
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from spanmeter.collector_receiver.submission import Rejection

MAX_MESSAGE: Final = 1000
"""Characters of an answer's text; over gRPC a refusal's travels in HTTP/2 trailers."""

FULL_SUCCESS: Final = ExportTraceServiceResponse().SerializeToString()


def response(rejected: list[Rejection], spans: int) -> bytes:
    """The serialized response to a request of so many spans, all of which are durable, these as rejected.

    A partial success says how many, why, and that they are not lost: the client must not send them again.
    """
    if not rejected:
        return FULL_SUCCESS
    first_detail = dict(reversed(rejected))
    reasons = "; ".join(
        f"{count} {reason} ({first_detail[reason]})"
        for reason, count in Counter(reason for reason, _ in rejected).most_common()
    )
    message = (
        f"{len(rejected)} of {spans} spans could not be metered and are kept in rejected_spans: "
        f"{reasons}"
    )
    return ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(
            rejected_spans=len(rejected), error_message=message[:MAX_MESSAGE]
        )
    ).SerializeToString()
