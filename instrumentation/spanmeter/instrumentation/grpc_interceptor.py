"""gRPC interceptors: every call made while serving a request is metered for the request's tenant.

server = grpc.server(pool, interceptors=[UsageInterceptor(resolve=tenant_of)])
server = grpc.aio.server(interceptors=[AsyncUsageInterceptor(headers={"tenant_id": "x-tenant"})])
"""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import grpc
import grpc.aio
from opentelemetry.context import get_current

from spanmeter.instrumentation.context import UsageContext
from spanmeter.instrumentation.edge import Edge, Protocol
from spanmeter.instrumentation.lazy_streams import read_async_in, read_in
from spanmeter.instrumentation.trust import Trust

Request = Any
"""The `grpc.ServicerContext` of a request, or that of `grpc.aio`."""

if TYPE_CHECKING:
    _ServerInterceptor = grpc.ServerInterceptor[Any, Any]
    _AsyncServerInterceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    _ServerInterceptor = grpc.ServerInterceptor  # which have parameters in their stubs alone
    _AsyncServerInterceptor = grpc.aio.ServerInterceptor

Behaviour = Callable[..., Any]


class UsageInterceptor(_ServerInterceptor):
    """Sets the usage context of each request; see `edge.Edge` for the parameters.

    `resolve` is given the request's `grpc.ServicerContext`, as `trust_inbound` is; `headers` are its
    metadata. Place it after OpenTelemetry's own interceptor (which puts itself first), so that it
    has the last word on baggage that came in.
    """

    def __init__(
        self,
        *,
        resolve: Callable[[Request], UsageContext | None] | None = None,
        headers: Mapping[str, str] | None = None,
        trust_inbound: bool | Trust[Request] | None = None,
    ) -> None:
        self._edge = Edge(_GRPC, resolve, headers, trust_inbound)

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The handler of a method, run in the usage context of each request."""
        handler = continuation(handler_call_details)
        return handler and _rewrapped(handler, _wrapper(self._edge))


class AsyncUsageInterceptor(_AsyncServerInterceptor):
    """`UsageInterceptor` for `grpc.aio`, where `resolve` may be a coroutine function, unless a
    handler is none."""

    def __init__(
        self,
        *,
        resolve: Callable[[Request], Awaitable[UsageContext | None] | UsageContext | None]
        | None = None,
        headers: Mapping[str, str] | None = None,
        trust_inbound: bool | Trust[Request] | None = None,
    ) -> None:
        self._edge = Edge(_GRPC, resolve, headers, trust_inbound)

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The handler of a method, run in the usage context of each request."""
        handler = await continuation(handler_call_details)
        return handler and _rewrapped(handler, _wrapper(self._edge))


def _rewrapped(handler: Any, wrap: Callable[[Behaviour, bool], Behaviour]) -> Any:
    """The same handler with its behaviour, which is one of four kinds, wrapped."""
    kind = "_".join(
        "stream" if streams else "unary"
        for streams in (handler.request_streaming, handler.response_streaming)
    )
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(
        wrap(getattr(handler, kind), handler.response_streaming),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _wrapper(edge: Edge[Request]) -> Callable[[Behaviour, bool], Behaviour]:
    """Wraps a behaviour in a function of its own kind, by which gRPC tells how to run it."""

    def wrap(behaviour: Behaviour, streams: bool) -> Behaviour:  # noqa: FBT001 - as gRPC has it
        if inspect.isasyncgenfunction(behaviour):
            return _stepping_async(edge, behaviour)
        if inspect.iscoroutinefunction(behaviour):
            # A stream too, where it writes its responses to the context itself.
            return _awaiting(edge, behaviour)
        return _stepping(edge, behaviour) if streams else _calling(edge, behaviour)

    return wrap


def _calling(edge: Edge[Request], behaviour: Behaviour) -> Behaviour:
    def respond(request: Any, context: Request) -> Any:
        with edge.enter(context):
            return behaviour(request, context)

    return respond


def _stepping(edge: Edge[Request], behaviour: Behaviour) -> Behaviour:
    def respond(request: Any, context: Request) -> Generator[Any]:
        with edge.enter(context):
            inner, responses = get_current(), iter(behaviour(request, context))
        yield from read_in(inner, responses)

    return respond


def _awaiting(edge: Edge[Request], behaviour: Behaviour) -> Behaviour:
    async def respond(request: Any, context: Request) -> Any:
        with await edge.enter_async(context):
            return await behaviour(request, context)

    return respond


def _stepping_async(edge: Edge[Request], behaviour: Behaviour) -> Behaviour:
    async def respond(request: Any, context: Request) -> AsyncGenerator[Any]:
        with await edge.enter_async(context):
            inner = get_current()
        async for response in read_async_in(inner, behaviour(request, context)):
            yield response

    return respond


def _headers(context: Request) -> Mapping[str, Sequence[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            headers.setdefault(name.lower(), []).append(value)
    return headers


def _peer(context: Request) -> str | None:
    """The address in `ipv4:10.0.0.1:5000` or `ipv6:[::1]:5000`, whose brackets may be escaped."""
    scheme, _, rest = unquote(context.peer()).partition(":")
    return rest.rpartition(":")[0].strip("[]") if scheme in {"ipv4", "ipv6"} else None


_GRPC: Final = Protocol[Request](_headers, _peer)
