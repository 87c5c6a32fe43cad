"""Google's Live API: a session over a websocket, in which each turn of the model is a call.

Each `usageMetadata` that the server sends is the bill of one turn, the whole context of the session
included: the sum over them is what is charged (ai.google.dev/gemini-api/docs/live-api
/best-practices, "Pricing and billing"). It may come with any message; sound, the most of the
traffic, is not parsed.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from spanmeter.instrumentation.clients.google_usage import (
    generated_attributes,
    model_named,
    searches,
    tier_of,
)
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading, mapping
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import Arguments, Begin, Keywords, Request, Tap
from spanmeter.instrumentation.turns import Turns, WatchedSocket
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
        return _session(connecting, Turns(begin, request, ANSWERS, BILLS))

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
        region=client.location if client.vertexai else None,
    )


LIVE: Final = (Tap("google.genai.live", "AsyncLive.connect", _connecting),)
