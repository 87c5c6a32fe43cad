"""ASGI middleware: every call made while serving a request is metered for the request's tenant.

app.add_middleware(UsageMiddleware, resolve=tenant_of)      # Starlette, FastAPI
application = UsageMiddleware(application, headers={"tenant_id": "x-tenant-id"})
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from spanmeter.instrumentation.context import UsageContext
from spanmeter.instrumentation.edge import Edge, Protocol
from spanmeter.instrumentation.trust import Trust

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
        trust_inbound: bool | Trust[Scope] | None = None,
    ) -> None:
        self._app = app
        self._edge = Edge(_ASGI, resolve, headers, trust_inbound)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        entry = await self._edge.enter_async(scope)
        try:
            await self._app(scope, receive, send)
        finally:
            entry.leave()


def _headers(scope: Scope) -> Mapping[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


_ASGI: Final = Protocol(_headers, _peer)
