"""OpenAI's wire over websockets: realtime, responses, live sessions.

Source: the websocket mode of the Responses API and the events of live sessions, at
developers.openai.com/api.
"""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulated_provider.exchange import JSON, Call, new_id
from simulated_provider.openai_realtime import Realtime
from simulated_provider.openai_responses import responses
from simulated_provider.prompt_cache import PromptCache
from simulated_provider.reply import Script
from simulated_provider.served import Record, Served
from simulated_provider.sse import to_json


class Books(Protocol):
    """What a provider's websockets share with the rest of it."""

    script: Script
    cache: PromptCache
    record: Record


def routes(books: Books) -> list[WebSocketRoute]:
    """The websockets of a provider."""

    def route(path: str, talk: Callable[[WebSocket, Books], Awaitable[None]]) -> WebSocketRoute:
        async def endpoint(socket: WebSocket) -> None:
            await socket.accept()
            with suppress(WebSocketDisconnect):
                await talk(socket, books)

        return WebSocketRoute(path, endpoint)

    return [
        route("/v1/realtime", _realtime),
        route("/v1/responses", _responses),
        route("/v1/live/sessions", _live),
    ]


async def _realtime(socket: WebSocket, books: Books) -> None:
    await Realtime(socket, books.script, books.record).talk()


async def _responses(socket: WebSocket, books: Books) -> None:
    """Each `response.create` is answered with the events that a stream has."""
    while True:
        event: JSON = json.loads(await socket.receive_text())
        reply = books.script.next()
        body = {name: value for name, value in event.items() if name != "type"}
        exchange = responses(Call(body, reply, books.cache, new_id("req_", 32)))
        books.record.add_served(
            Served(
                api="openai.responses",
                model=str(body["model"]),
                response_model=exchange.price.response_model,
                response_id=exchange.response_id,
                status=200,
                streamed=True,
                completed=reply.abort_after is None,
                usage=exchange.usage,
                tokens=exchange.tokens,
                cost=exchange.price.cost(exchange.tokens),
            )
        )
        for made in exchange.events:
            if made.delta and reply.abort_after is not None:
                await socket.close(1011)
                return
            await socket.send_text(to_json(made.data))


async def _live(socket: WebSocket, books: Books) -> None:
    """A session counts its seconds as it goes; a response that it delegates counts tokens."""
    session: JSON = {}

    async def send(event: JSON) -> None:
        await socket.send_text(to_json({"event_id": new_id("event_", 21), **event}))

    while True:
        event: JSON = json.loads(await socket.receive_text())
        if event["type"] == "session.start":
            session = {"id": new_id("live_", 24), **event["session"]}
            await send({"type": "session.started", "session": session})
            for seconds in (1.5, 3.0):
                await send({"type": "session.usage.updated", "usage": {"seconds": seconds}})
        elif event["type"] == "session.close":
            usage = {"seconds": 4.25}
            closed = {"reason": "close_requested", "session": session, "usage": usage}
            await send({"type": "session.closed", **closed})
