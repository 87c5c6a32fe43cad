"""Requests that come in over gRPC have the tenant that the application decides, and no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider

from spanmeter.instrumentation import UsageContext, current_usage, usage
from spanmeter.instrumentation.grpc_interceptor import AsyncUsageInterceptor, UsageInterceptor
from spanmeter.instrumentation.trust import TRUST_INBOUND

# OpenTelemetry's package has no types, and gRPC's stubs not all of them.
rpc: Any = grpc
tracing: Any = import_module("opentelemetry.instrumentation.grpc")

HEADERS = {"tenant_id": "X-Tenant-Id", "feature": "x-feature"}
BAGGAGE = (("baggage", "tenant.id=mallory,usage.feature=free"),)
SERVICE = "test.Who"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def who() -> bytes:
    """The tenant in force, and its feature."""
    found = current_usage()
    return b"- -" if found is None else f"{found.tenant_id} {found.feature or '-'}".encode()


class Plain:
    """A service whose methods are functions."""

    def unary_unary(self, request: bytes, context: Any) -> bytes:
        return who()

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        for _ in range(3):
            yield who()

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        assert list(requests)
        return who()

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        return iter([who() for _ in requests])


class Async:
    """A service whose methods are coroutines, and async generators."""

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        await asyncio.sleep(0)
        return who()

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield who()

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        assert [each async for each in requests]
        return who()

    async def stream_stream(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        async for _ in requests:
            yield who()


class Writing:
    """A service whose streams are coroutines that write."""

    unary_unary = Async.unary_unary
    stream_unary = Async.stream_unary

    async def unary_stream(self, request: bytes, context: Any) -> None:
        await context.write(who())

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        async for _ in requests:
            await context.write(who())


def handler_of(service: object) -> Any:
    return rpc.method_handlers_generic_handler(
        SERVICE,
        {
            kind: getattr(rpc, f"{kind}_rpc_method_handler")(getattr(service, kind))
            for kind in KINDS
        },
    )


@contextmanager
def plain_server(**options: Any) -> Generator[str]:
    extracted: Any = tracing.server_interceptor(TracerProvider(shutdown_on_exit=False))
    with ThreadPoolExecutor(4) as pool:
        server = rpc.server(pool, interceptors=[extracted, UsageInterceptor(**options)])
        server.add_generic_rpc_handlers((handler_of(Plain()),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


@contextmanager
def async_server(service: object, **options: Any) -> Generator[str]:
    interceptors: list[Any] = [AsyncUsageInterceptor(**options)]
    if type(service) is Async:  # OpenTelemetry's knows no other handlers
        interceptors.insert(
            0, tracing.aio_server_interceptor(TracerProvider(shutdown_on_exit=False))
        )

    async def serve() -> None:
        server = rpc.aio.server(
            interceptors=interceptors,
            migration_thread_pool=ThreadPoolExecutor(2),
        )
        server.add_generic_rpc_handlers((handler_of(service),))
        addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        stopping.append((asyncio.get_running_loop(), stopped := asyncio.Event()))
        started.set()
        await stopped.wait()
        await server.stop(None)

    addresses: list[str] = []
    stopping: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    try:
        yield addresses[0]
    finally:
        [(loop, stopped)] = stopping
        loop.call_soon_threadsafe(stopped.set)
        thread.join(30)


Serve = Callable[..., str]
SERVERS: dict[str, Callable[..., Any]] = {
    "sync": plain_server,
    "aio": partial(async_server, Async()),
    "aio, writing": partial(async_server, Writing()),
    "aio, plain handlers": partial(async_server, Plain()),
}


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest) -> Generator[Serve]:
    """Serves behind OpenTelemetry's interceptor, where it knows such handlers, and ours."""
    with ExitStack() as stack:

        def start(**options: Any) -> str:
            address: str = stack.enter_context(SERVERS[request.param](**options))
            return address

        yield start


def method_of(channel: Any, kind: str) -> Any:
    return getattr(channel, kind, channel.unary_unary)(f"/{SERVICE}/{kind}")


def ask(address: str, kind: str, *metadata: tuple[str, str]) -> set[bytes]:
    """All that a method says."""
    with rpc.insecure_channel(address) as channel:
        method = method_of(channel, kind)
        sent = iter([b"a", b"b"]) if kind.startswith("stream") else b"a"
        said = method(sent, metadata=(*BAGGAGE, *metadata), timeout=30)
        return set(said) if kind.endswith("stream") else {said}


each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_headers(serve: Serve, kind: str) -> None:
    address = serve(headers=HEADERS)
    tenant = ("x-tenant-id", "acme")
    assert ask(address, kind, tenant, ("x-feature", "search")) == {b"acme search"}
    assert ask(address, kind, tenant) == {b"acme -"}
    assert ask(address, kind, ("x-feature", "search")) == {b"- -"}
    # Of two, one is not the gateway's.
    assert ask(address, kind, tenant, ("x-tenant-id", "mallory")) == {b"- -"}


def by_metadata(context: Any) -> UsageContext | None:
    named = dict(context.invocation_metadata()).get("x-customer")
    return UsageContext(tenant_id=named) if named else None


@each_kind
def test_resolve(serve: Serve, kind: str) -> None:
    address = serve(resolve=by_metadata, headers=HEADERS)
    assert ask(address, kind, ("x-customer", "acme")) == {b"acme -"}
    assert ask(address, kind, ("x-tenant-id", "globex")) == {b"globex -"}


@each_kind
def test_resolve_that_waits(kind: str) -> None:
    async def resolve(context: Any) -> UsageContext | None:
        await asyncio.sleep(0)
        return by_metadata(context)

    with async_server(Async(), resolve=resolve) as address:
        assert ask(address, kind, ("x-customer", "acme")) == {b"acme -"}


def test_resolve_that_raises(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def fail(context: Any) -> UsageContext | None:
        raise LookupError("no such session")

    assert ask(serve(resolve=fail), "unary_unary") == {b"- -"}
    assert "resolve failed" in caplog.text


@pytest.mark.filterwarnings("error")
def test_resolve_that_cannot_be_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def resolve(context: Any) -> UsageContext | None:
        return by_metadata(context)

    with async_server(Plain(), resolve=resolve) as address:
        assert ask(address, "unary_unary", ("x-customer", "acme")) == {b"- -"}
    assert "resolve failed" in caplog.text


@each_kind
def test_inbound_baggage_is_believed_only_where_that_is_asked_for(serve: Serve, kind: str) -> None:
    assert ask(serve(), kind) == {b"- -"}
    assert ask(serve(trust_inbound=True), kind) == {b"mallory free"}


def test_it_may_depend_on_the_peer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_local(context: Any) -> bool:
        return "127" in context.peer()

    assert ask(serve(trust_inbound=is_local), "unary_unary") == {b"mallory free"}
    monkeypatch.setenv(TRUST_INBOUND, "10.0.0.0/8, 127.0.0.0/8")
    assert ask(serve(), "unary_unary") == {b"mallory free"}
    monkeypatch.setenv(TRUST_INBOUND, "10.0.0.0/8")
    assert ask(serve(), "unary_unary") == {b"- -"}


def test_a_tenant_travels_from_service_to_service(serve: Serve) -> None:
    """By OpenTelemetry's instrumentation of the client, which writes what the propagators do."""
    instrumentor = tracing.GrpcInstrumentorClient()
    instrumentor.instrument(tracer_provider=TracerProvider(shutdown_on_exit=False))
    try:
        address = serve(trust_inbound=True)
        with rpc.insecure_channel(address) as channel, usage(tenant_id="acme", feature="search"):
            said = method_of(channel, "unary_unary")(b"a", timeout=30)
    finally:
        instrumentor.uninstrument()
    assert said == b"acme search"


def test_an_applications_own_error_is_its_own(serve: Serve) -> None:
    with (
        rpc.insecure_channel(serve(headers=HEADERS)) as channel,
        pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"),
    ):
        method_of(channel, "nothing")(b"a", timeout=30)
