"""OTLP's services over gRPC: the code that each refusal is answered with."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn

import grpc

from spanmeter.collector_receiver.authentication import Senders
from spanmeter.collector_receiver.budgets.asked import MAX_BYTES
from spanmeter.collector_receiver.counters import Counters
from spanmeter.collector_receiver.exports import Exports
from spanmeter.collector_receiver.log_exports import LogExports
from spanmeter.collector_receiver.refusals import (
    BodyTooLarge,
    Forbidden,
    Refused,
    Unauthenticated,
    Unusable,
)
from spanmeter.collector_receiver.retry import retry_trailers
from spanmeter.collector_receiver.sender import Sender

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"

LOGS: Final = "opentelemetry.proto.collector.logs.v1.LogsService"

BUDGETS: Final = "spanmeter.v1.Budgets"
"""Its one method, `Sync`, takes and gives JSON: see docs/budgets.md."""


class GrpcService:
    """Answers `Export`. The answer leaves `deadline_margin` seconds before the client's own deadline, or after
    half of the time if that is later."""

    def __init__(
        self,
        exports: Exports,
        logs: LogExports,
        budgets: Callable[[bytes, Sender], bytes],
        senders: Senders,
        counters: Counters,
        *,
        deadline_margin: float,
    ) -> None:
        self._exports = exports
        self._logs = logs
        self._budgets = budgets
        self._senders = senders
        self._counters = counters
        self._deadline_margin = deadline_margin

    def handlers(self) -> "list[grpc.GenericRpcHandler[bytes, bytes]]":
        """What a gRPC server registers. Bytes in and out: bytes that gRPC failed to parse it would answer INTERNAL."""
        export = grpc.unary_unary_rpc_method_handler(partial(self._exported, self._exports))
        logs = grpc.unary_unary_rpc_method_handler(partial(self._exported, self._logs))
        sync = grpc.unary_unary_rpc_method_handler(self.sync)
        return [
            grpc.method_handlers_generic_handler(SERVICE, {"Export": export}),
            grpc.method_handlers_generic_handler(LOGS, {"Export": logs}),
            grpc.method_handlers_generic_handler(BUDGETS, {"Sync": sync}),
        ]

    def _exported(
        self, exports: Exports | LogExports, body: bytes, context: grpc.ServicerContext
    ) -> bytes:
        def exported(sender: Sender, peer: str, patience: float) -> bytes:
            return exports(body, sender, peer, patience=patience)

        return self._answered(exported, context)

    def sync(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer what an application asks about budgets."""

        def synced(sender: Sender, peer: str, patience: float) -> bytes:
            if len(body) > MAX_BYTES:
                raise BodyTooLarge(f"the message is larger than {MAX_BYTES} bytes")
            return self._budgets(body, sender)

        return self._answered(synced, context)

    def _answered(
        self, answer: Callable[[Sender, str, float], bytes], context: grpc.ServicerContext
    ) -> bytes:
        left = context.time_remaining()
        # Of a short deadline half is for the commit: it would be none of it.
        patience = max(left - self._deadline_margin, left / 2)
        try:
            peer = _host(context.peer())
            return answer(
                self._senders.sender(_authorization(context), peer, patience), peer, patience
            )
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
