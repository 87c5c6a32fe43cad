"""The OTLP TraceService over gRPC: the code that each refusal is answered with."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Final, NoReturn

import grpc

from spanmeter.collector_receiver.counters import Counters
from spanmeter.collector_receiver.exports import Exports
from spanmeter.collector_receiver.refusals import Refused, Unusable
from spanmeter.collector_receiver.retry import retry_trailers

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"


class GrpcService:
    """Answers `Export`. The answer leaves `deadline_margin` seconds before the client's own deadline, or after
    half of the time if that is later."""

    def __init__(self, exports: Exports, counters: Counters, *, deadline_margin: float) -> None:
        self._exports = exports
        self._counters = counters
        self._deadline_margin = deadline_margin

    def handler(self) -> "grpc.GenericRpcHandler[bytes, bytes]":
        """What a gRPC server registers. Bytes in and out: bytes that gRPC failed to parse it would answer INTERNAL."""
        export = grpc.unary_unary_rpc_method_handler(self.export)
        return grpc.method_handlers_generic_handler(SERVICE, {"Export": export})

    def export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        """Store what a serialized `ExportTraceServiceRequest` holds; the response, serialized."""
        left = context.time_remaining()
        # Of a short deadline half is for the commit: it would be none of it.
        patience = max(left - self._deadline_margin, left / 2)
        try:
            return self._exports(body, _host(context.peer()), patience=patience)
        except Refused as refusal:
            self._counters.refuse(refusal)
            if isinstance(refusal, Unusable):
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refusal))
            _ask_again(context, str(refusal))


def _ask_again(context: grpc.ServicerContext, message: str) -> NoReturn:
    code = grpc.StatusCode.UNAVAILABLE
    context.set_trailing_metadata(retry_trailers(code, message))
    context.abort(code, message)


def _host(peer: str) -> str:
    """The sender: `ipv4:10.0.0.7:52344` without its port, which each of its processes has another of."""
    return peer.rpartition(":")[0] or peer
