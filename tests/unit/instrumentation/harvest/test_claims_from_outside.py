"""Spans of others inside a request are never for whoever the request merely claims to be from."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import context as contexts
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, get_current_span, set_span_in_context, use_span

from spanmeter.instrumentation.asgi import UsageMiddleware
from unit.instrumentation.harvest.application import CHAT, Application, said
from unit.instrumentation.harvest.conftest import MakeApplication

REQUEST = {
    "type": "http",
    "headers": [(b"baggage", b"tenant.id=mallory")],
    "client": ("10.0.0.1", 1),
}


async def never(*_: Any) -> Any:
    raise AssertionError("nobody asks for it")


async def serve(app: Application, *, starts_fresh: bool, trust_inbound: bool) -> None:
    """Serves a request behind OpenTelemetry's own middleware, which is first to see it."""

    async def call_model(*_: object) -> None:
        fresh = set_span_in_context(get_current_span(), Context()) if starts_fresh else None
        app.tracer().start_span("chat gpt-4o", fresh, attributes=CHAT).end()

    middleware = UsageMiddleware(call_model, trust_inbound=trust_inbound)
    extracted = propagate.extract({"baggage": "tenant.id=mallory"}, Context())
    token = contexts.attach(extracted)
    try:
        tracer = app.tracer("opentelemetry.instrumentation.asgi")
        with use_span(tracer.start_span("GET /", extracted, SpanKind.SERVER), end_on_exit=True):
            await middleware(dict(REQUEST), never, never)
    finally:
        contexts.detach(token)


@pytest.mark.parametrize("starts_fresh", [False, True])
def test_what_is_not_believed_pays_for_nothing(
    application: MakeApplication,
    starts_fresh: bool,  # noqa: FBT001 (parametrized)
) -> None:
    app = application()
    asyncio.run(serve(app, starts_fresh=starts_fresh, trust_inbound=False))
    assert "tenant.id" not in said(app.record())


def test_what_is_believed_pays(application: MakeApplication) -> None:
    app = application()
    asyncio.run(serve(app, starts_fresh=False, trust_inbound=True))
    assert said(app.record())["tenant.id"] == "mallory"
