"""ASGI middleware: every call made while serving a request is metered for the request's tenant.

app.add_middleware(UsageMiddleware, resolve=tenant_of)      # Starlette, FastAPI
application = UsageMiddleware(application, headers={"tenant_id": "x-tenant-id"})
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from spanmeter.instrumentation.context import UsageContext
from spanmeter.instrumentation.edge import Edge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Resolve = Callable[[Scope], Awaitable[UsageContext | None] | UsageContext | None]


class UsageMiddleware:
    """Sets the usage context of each HTTP request and websocket; see `edge.Edge` for the
    parameters.

    `resolve` is given the ASGI scope and may be a coroutine function. Place it inside
    OpenTelemetry's own middleware (the default), so that it has the last word on baggage that came
    in.
    """

    def __init__(
        self,
        app: Application,
        *,
        resolve: Resolve | None = None,
        headers: Mapping[str, str] | None = None,
        trust_inbound: bool = False,
    ) -> None:
        self._app = app
        self._edge = Edge[Scope](resolve, headers, trust_inbound=trust_inbound)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        entry = self._edge.entered(await self._resolved(scope), _header_reader(scope))
        try:
            await self._app(scope, receive, send)
        finally:
            entry.leave()

    async def _resolved(self, scope: Scope) -> UsageContext | None:
        if self._edge.resolve is None:
            return None
        try:
            found: UsageContext | None = self._edge.resolve(scope)
            return await found if inspect.isawaitable(found) else found
        except Exception as exc:  # noqa: BLE001 - metering is never in the way of a request
            self._edge.failed(exc)
            return None


def _header_reader(scope: Scope) -> Callable[[str], str | None]:
    def read(name: str) -> str | None:
        wanted = name.encode("latin-1")
        return next(
            (value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted),
            None,
        )

    return read
