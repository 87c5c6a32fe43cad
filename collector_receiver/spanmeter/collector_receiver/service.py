"""The OTLP TraceService over gRPC: what each outcome is answered with.

The choice of status decides whether a client keeps its spans. Only UNAVAILABLE is tried again by every exporter that
retries at all, so it is the answer to all that is not the sender's fault, surprises of our own included.
"""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import logging
from collections import Counter
from typing import Final, NoReturn

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from spanmeter.collector_receiver.committer import NotCommitted
from spanmeter.collector_receiver.counters import Counters, Counts
from spanmeter.collector_receiver.decode import Undecodable
from spanmeter.collector_receiver.fair_queue import QueueFull
from spanmeter.collector_receiver.handler_shares import HandlerShares, TooManyAtOnce
from spanmeter.collector_receiver.ingest import Ingest
from spanmeter.collector_receiver.retry import retry_trailers
from spanmeter.collector_receiver.submission import Rejection

logger = logging.getLogger(__name__)

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"

MAX_MESSAGE: Final = 1000
"""Characters of an answer's text; it travels in the response or in HTTP/2 trailers."""

FULL_SUCCESS: Final = ExportTraceServiceResponse().SerializeToString()


class TraceService:
    """Answers `Export`, after the commit. A request waits for it at most `hold` seconds."""

    def __init__(
        self,
        ingest: Ingest,
        counters: Counters,
        *,
        handlers: int,
        hold: float,
        deadline_margin: float,
    ) -> None:
        self._ingest = ingest
        self._shares = HandlerShares(handlers)
        self._counters = counters
        self._hold = hold
        self._deadline_margin = deadline_margin

    def handler(self) -> "grpc.GenericRpcHandler[bytes, bytes]":
        """What a gRPC server registers. Bytes in and out: bytes that gRPC failed to parse it would answer INTERNAL."""
        export = grpc.unary_unary_rpc_method_handler(self.export)
        return grpc.method_handlers_generic_handler(SERVICE, {"Export": export})

    def export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        """Store what a serialized `ExportTraceServiceRequest` holds; the response, serialized."""
        try:
            with self._shares.taken_by(sender := _host(context.peer())):
                accepted = self._ingest(body, sender)
                rejected = accepted.committed.result(self._patience(context))
        except Undecodable as error:
            self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TimeoutError:
            self._ask_again(context, "the database has not confirmed the spans yet")
        except (QueueFull, NotCommitted, TooManyAtOnce) as error:
            self._ask_again(context, str(error))
        except Exception:
            logger.exception("could not take an export request of %d bytes", len(body))
            self._ask_again(context, "an internal error; see the collector's log")
        return _response(rejected, accepted.spans) if rejected else FULL_SUCCESS

    def _patience(self, context: grpc.ServicerContext) -> float:
        """Seconds that this client can be kept waiting. Past its deadline its spans are committed all the same."""
        return max(0.0, min(context.time_remaining() - self._deadline_margin, self._hold))

    def _ask_again(self, context: grpc.ServicerContext, message: str) -> NoReturn:
        code, message = grpc.StatusCode.UNAVAILABLE, message[:MAX_MESSAGE]
        context.set_trailing_metadata(retry_trailers(code, message))
        self._refuse(context, code, message)

    def _refuse(
        self, context: grpc.ServicerContext, code: grpc.StatusCode, message: str
    ) -> NoReturn:
        self._counters.add(Counts(refused=1))
        context.abort(code, message[:MAX_MESSAGE])


def _host(peer: str) -> str:
    """The sender: `ipv4:10.0.0.7:52344` without its port, which each of its processes has another of."""
    return peer.rpartition(":")[0] or peer


def _response(rejected: list[Rejection], spans: int) -> bytes:
    """A partial success that says how many, why, and that they are not lost. The client must not send them again."""
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
