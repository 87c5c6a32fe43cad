"""Export requests as exporters send them, and a client that keeps account of what was acknowledged."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

RECONNECT_SOON = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 300),
)
"""A client waits no longer than it takes until the collector that it talked to is there again."""

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

Value = str | bool | int | float

CALL: Mapping[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "tenant.id": "acme",
    "usage.feature": "search",
    "usage.source": "provider",
}
"""The attributes of one LLM call, but for the id of its response."""


def attribute(name: str, value: Value) -> KeyValue:
    """A plain attribute on the wire."""
    if isinstance(value, bool):
        return KeyValue(key=name, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    if isinstance(value, float):
        return KeyValue(key=name, value=AnyValue(double_value=value))
    return KeyValue(key=name, value=AnyValue(string_value=value))


def span(attributes: Mapping[str, Value], *, age: float = 1.0) -> Span:
    """A span of new ids that began `age` seconds ago and took a quarter of a second."""
    start = time.time_ns() - int(age * 1e9)
    return Span(
        trace_id=os.urandom(16),
        span_id=os.urandom(8),
        name="chat gpt-4o",
        start_time_unix_nano=start,
        end_time_unix_nano=start + 250_000_000,
        attributes=[attribute(name, value) for name, value in attributes.items()],
    )


def llm_span(attributes: Mapping[str, Value] | None = None, *, age: float = 1.0) -> Span:
    """A span of one LLM call of its own, with these attributes on top of the usual."""
    response = {"gen_ai.response.id": f"chatcmpl-{os.urandom(12).hex()}"}
    return span({**CALL, **response, **(attributes or {})}, age=age)


def request(spans: Iterable[Span], resource: Mapping[str, Value] | None = None) -> bytes:
    """A serialized export request of one resource and scope."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    for name, value in (resource or {"service.name": "answers"}).items():
        resource_spans.resource.attributes.append(attribute(name, value))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = "spanmeter.openai", "0.1.0"
    scope_spans.spans.extend(spans)
    return message.SerializeToString()


def llm_request(count: int) -> bytes:
    """A serialized export request of so many LLM calls."""
    return request(llm_span() for _ in range(count))


class Client:
    """One gRPC connection to a collector."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address, options=RECONNECT_SOON)
        self._export = self.channel.unary_unary(EXPORT, None, ExportTraceServiceResponse.FromString)

    def export(self, body: bytes, *, timeout: float = 10.0) -> ExportTraceServiceResponse:
        """The answer to one request. Raises grpc.RpcError."""
        response: ExportTraceServiceResponse = self._export(body, timeout=timeout)
        return response

    def call(self, method: str, body: bytes, *, timeout: float = 5.0) -> bytes:
        """Call any method with bytes. Raises grpc.RpcError."""
        response: bytes = self.channel.unary_unary(method, None, None)(body, timeout=timeout)
        return response

    def error_of(self, body: bytes, *, timeout: float = 10.0) -> grpc.RpcError:
        """The error that a request is answered with."""
        try:
            self.export(body, timeout=timeout)
        except grpc.RpcError as error:
            return error
        raise AssertionError("the request was answered OK")

    def health(self, service: str = "", *, timeout: float = 5.0) -> int:
        """The status that the standard health service gives. Raises grpc.RpcError."""
        answer: HealthCheckResponse = self._health().Check(
            HealthCheckRequest(service=service), timeout=timeout
        )
        return int(answer.status)

    def watch_health(self, service: str = "") -> Iterator[int]:
        """The status now, and every change of it until the server ends the stream."""
        answers: Iterator[HealthCheckResponse] = self._health().Watch(
            HealthCheckRequest(service=service)
        )
        return (int(answer.status) for answer in answers)

    def _health(self) -> Any:
        return HealthStub(self.channel)

    def deliver(self, body: bytes, *, patience: float = 60.0) -> None:
        """Send until it is acknowledged, as an exporter with a patient retry does."""
        deadline = time.monotonic() + patience
        while True:
            try:
                self.export(body)
            except grpc.RpcError as error:
                retryable = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
                if error.code() not in retryable or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.channel.close()
