"""The OTLP TraceService over gRPC: the code that each refusal is answered with."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Final, NoReturn

import grpc

from spanmeter.collector_receiver.authentication import Senders
from spanmeter.collector_receiver.counters import Counters
from spanmeter.collector_receiver.exports import Exports
from spanmeter.collector_receiver.refusals import Forbidden, Refused, Unauthenticated, Unusable
from spanmeter.collector_receiver.retry import retry_trailers

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"


class GrpcService:
    """Answers `Export`. The answer leaves `deadline_margin` seconds before the client's own deadline, or after
    half of the time if that is later."""

    def __init__(
        self, exports: Exports, senders: Senders, counters: Counters, *, deadline_margin: float
    ) -> None:
        self._exports = exports
        self._senders = senders
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
            peer = _host(context.peer())
            sender = self._senders.sender(_authorization(context), peer, patience)
            return self._exports(body, sender, peer, patience=patience)
        except Refused as refusal:
            self._counters.refuse(refusal)
            for kind, code in _FINAL:
                if isinstance(refusal, kind):
                    context.abort(code, str(refusal))
            _ask_again(context, str(refusal))


_FINAL: Final = (
    # Exporters of OpenTelemetry give up for these; ours keeps its records until the key is mended.
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (Unusable, grpc.StatusCode.INVALID_ARGUMENT),
)


def _authorization(context: grpc.ServicerContext) -> list[str]:
    return [
        value if isinstance(value, str) else ""
        for name, value in context.invocation_metadata() or ()
        if name == "authorization"
    ]


def _ask_again(context: grpc.ServicerContext, message: str) -> NoReturn:
    code = grpc.StatusCode.UNAVAILABLE
    context.set_trailing_metadata(retry_trailers(code, message))
    context.abort(code, message)


def _host(peer: str) -> str:
    """The sender: `ipv4:10.0.0.7:52344` without its port, which each of its processes has another of."""
    return peer.rpartition(":")[0] or peer
