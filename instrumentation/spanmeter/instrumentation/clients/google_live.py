"""Google's Live API: a session over a websocket, in which each turn of the model is a call.

Each `usageMetadata` that the server sends is the bill of one turn, the whole context of the session
included: the sum over them is what is charged (ai.google.dev/gemini-api/docs/live-api
/best-practices, "Pricing and billing"). It may come with any message; sound, the most of the
traffic, is not parsed.
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context, get_current

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.clients.google_usage import (
    generated_attributes,
    model_named,
    searches,
    tier_of,
)
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading, mapping
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import (
    Arguments,
    Begin,
    Keywords,
    Request,
    Tap,
    may_open,
)
from spanmeter.metering import attributes as names

ANSWERS: Final = (b'"modelTurn"', b'"toolCall"')
"""What a message holds in which the model has begun a turn."""

BILLS: Final = (b'"usageMetadata"', b'"webSearchQueries"')
"""What a message that is worth parsing holds."""


def read_message(message: Json) -> Reading:
    """A message of the server's."""
    usage = mapping(message.get("usageMetadata"))
    content = mapping(message.get("serverContent"))
    return Reading(service_tier=tier_of(usage), usage=usage, quantities=searches(None, [content]))


TURN: Final = Endpoint(names.REALTIME, read_message, read_message, generated_attributes)


class Turns:
    """The turns of one session, metered for whoever opened it. Raises `MissingTenant` where that
    is nobody, and switched on."""

    def __init__(self, begin: Begin, request: Request, context: Context) -> None:
        may_open(begin, request)
        self._begin = begin
        self._request = request
        self._context = context
        self._open: Attempt | None = None

    @guarded
    def received(self, message: str | bytes) -> None:
        """Watches a message of the server's."""
        data = message.encode() if isinstance(message, str) else message
        bills = any(telling in data for telling in BILLS)
        if not bills and not any(telling in data for telling in ANSWERS):
            return
        if self._open is None:
            self._open = self._start()
        if self._open is None or not bills:
            return
        reading = read_message(mapping(json.loads(data)))
        self._open.took(reading)
        if reading.usage:
            self._open.end()
            self._open = None

    @guarded
    def ended(self, exc: BaseException | None = None) -> None:
        """The session is over: a turn that was not billed ends with it."""
        attempt, self._open = self._open, None
        if attempt is not None and exc is not None:
            attempt.failed(exc)
        elif attempt is not None:
            attempt.closed()

    def _start(self) -> Attempt | None:
        entry = Entry(self._context)
        try:
            call = self._begin(self._request)
        finally:
            entry.leave()
        return None if call is None else call.attempt()


class WatchedSocket:
    """The session's websocket; what comes in is watched."""

    def __init__(self, websocket: Any, turns: Turns) -> None:
        self._websocket = websocket
        self._turns = turns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._websocket, name)

    async def recv(self, *args: Any, **kwargs: Any) -> Any:
        """The next message."""
        message = await self._websocket.recv(*args, **kwargs)
        self._turns.received(message)
        return message


def _connecting(begin: Begin) -> Callable[..., AbstractAsyncContextManager[Any]]:
    def wrapper(
        wrapped: Callable[..., AbstractAsyncContextManager[Any]],
        instance: Any,
        args: Arguments,
        kwargs: Keywords,
    ) -> AbstractAsyncContextManager[Any]:
        request = _describe(instance, str(kwargs.get("model")))
        connecting = wrapped(*args, **kwargs)
        if request is None:
            return connecting
        return _session(connecting, Turns(begin, request, get_current()))

    return wrapper


@asynccontextmanager
async def _session(
    connecting: AbstractAsyncContextManager[Any], turns: Turns
) -> AsyncGenerator[Any]:
    async with connecting as session:
        session._ws = WatchedSocket(session._ws, turns)  # noqa: SLF001 - the same name in every major
        try:
            yield session
        except BaseException as exc:
            turns.ended(exc)
            raise
        finally:
            turns.ended()


@guarded
def _describe(live: Any, model: str) -> Request:
    client = live._api_client  # noqa: SLF001 - the same name in every major
    url = urlsplit(str(client._http_options.base_url))  # noqa: SLF001 - as above
    return Request(
        endpoint=TURN,
        provider="gcp.vertex_ai" if client.vertexai else "gcp.gemini",
        model=model_named(model),
        http_client=None,
        server_address=url.hostname or "",
        server_port=url.port or 443,
        body={},
        streamed=True,
        is_sent=True,
        region=client.location if client.vertexai else None,
    )


LIVE: Final = (Tap("google.genai.live", "AsyncLive.connect", _connecting),)
