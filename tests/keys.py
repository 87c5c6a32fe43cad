"""API keys of a test's own, and export requests that carry one."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import json
from contextlib import closing
from typing import Any
from urllib import error, request

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otlp import EXPORT
from spanmeter.storage.api_keys import NewKey, Scope, create_key
from spanmeter.storage.connection import connect


def make_key(
    dsn: str, *tenants: str, scopes: tuple[Scope, ...] = ("ingest",), name: str = "test"
) -> NewKey:
    """A key, bound to these tenants if there are any."""
    with closing(connect(dsn)) as connection:
        return create_key(connection, name, scopes=scopes, tenants=tenants or None)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a request with this key."""
    return (("authorization", f"Bearer {token}"),)


def send(
    address: str, body: bytes, *metadata: tuple[str, str], timeout: float = 20
) -> ExportTraceServiceResponse:
    """The answer to an export request over gRPC. Raises grpc.RpcError."""
    with grpc.insecure_channel(address) as channel:
        export = channel.unary_unary(EXPORT, None, ExportTraceServiceResponse.FromString)
        answer: ExportTraceServiceResponse = export(body, metadata=metadata, timeout=timeout)
        return answer


def code_over(channel: grpc.Channel, body: bytes, *metadata: tuple[str, str]) -> grpc.StatusCode:
    """The code that an export request over this connection is answered with."""
    export = channel.unary_unary(EXPORT, None, None)
    code: grpc.StatusCode = export.future(body, metadata=metadata, timeout=20).code()
    return code


def code_of(address: str, body: bytes, *metadata: tuple[str, str]) -> grpc.StatusCode:
    """The code that an export request over gRPC is answered with."""
    with grpc.insecure_channel(address) as channel:
        return code_over(channel, body, *metadata)


def post(address: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of the answer to an export request over HTTP, with JSON for protobuf."""
    asked = request.Request(
        f"http://{address}/v1/traces",
        body,
        {"content-type": "application/x-protobuf", **headers},
    )
    try:
        with request.urlopen(asked, timeout=20) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except error.HTTPError as refused:
        return refused.code, dict(refused.headers), json.dumps(refused.read().decode("latin-1"))
