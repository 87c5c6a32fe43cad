"""The HTTP side: an ASGI application that gives each request the answer its script asks for."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from simulated_provider import (
    anthropic_later,
    anthropic_wire,
    bedrock_guardrails,
    bedrock_invoke,
    bedrock_wire,
    cohere_wire,
    gemini_batches,
    gemini_interactions,
    gemini_live,
    gemini_predict,
    gemini_wire,
    groq_wire,
    mistral_batches,
    mistral_conversations,
    mistral_sockets,
    mistral_wire,
    ollama_wire,
    openai_chat,
    openai_embeddings,
    openai_later,
    openai_media,
    openai_responses,
    openai_sockets,
    together_wire,
)
from simulated_provider.attempt import Asked, Attempt
from simulated_provider.bodies import asked
from simulated_provider.connection import Connection
from simulated_provider.exchange import JSON, Endpoint
from simulated_provider.prompt_cache import PromptCache
from simulated_provider.reply import Reply, Script
from simulated_provider.served import Received, Record, summary

ENDPOINTS: Sequence[Endpoint] = (
    *gemini_wire.ENDPOINTS,
    *gemini_predict.ENDPOINTS,
    *gemini_interactions.ENDPOINTS,
    *gemini_batches.ENDPOINTS,
    *openai_chat.ENDPOINTS,
    *openai_responses.ENDPOINTS,
    *openai_embeddings.ENDPOINTS,
    *openai_media.ENDPOINTS,
    *openai_later.ENDPOINTS,
    *anthropic_wire.ENDPOINTS,
    *anthropic_later.ENDPOINTS,
    *bedrock_wire.ENDPOINTS,
    *bedrock_invoke.ENDPOINTS,
    *bedrock_guardrails.ENDPOINTS,
    *groq_wire.ENDPOINTS,
    *together_wire.ENDPOINTS,
    *ollama_wire.ENDPOINTS,
    *mistral_wire.ENDPOINTS,
    *mistral_conversations.ENDPOINTS,
    *mistral_batches.ENDPOINTS,
    *cohere_wire.ENDPOINTS,
)


class Provider:
    """What the endpoints share: the script, the caches, the record, and the end of it all."""

    def __init__(self, otherwise: Reply, deployments: Mapping[str, str]) -> None:
        self.stopping = asyncio.Event()
        self._otherwise = otherwise
        self._deployments = deployments
        self.reset()

    def reset(self) -> None:
        """Begin anew. Answers still on their way are booked in the record that they began in."""
        self.script = Script(self._otherwise)
        self.cache = PromptCache()
        self.record = Record()
        self.kept: dict[str, JSON] = {}

    def app(self) -> Starlette:
        """The ASGI application."""
        routes: list[BaseRoute] = [
            Route(each.path, _Answering(self, each), methods=[each.method]) for each in ENDPOINTS
        ]
        routes.extend(openai_sockets.routes(self))
        routes.extend(gemini_live.routes(self))
        routes.extend(mistral_sockets.routes(self))
        routes.append(Route("/_served", self._show_served))
        routes.append(Route("/_requests", self._show_requests))
        return Starlette(routes=routes)

    def deployed(self, request: Request) -> str | None:
        """The model behind Azure's deployment in the path, which may bear the model's own name."""
        name: str | None = request.path_params.get("deployment")
        return None if name is None else self._deployments.get(name, name)

    async def _show_served(self, request: Request) -> Response:
        return JSONResponse(summary(self.record.served))

    async def _show_requests(self, request: Request) -> Response:
        return JSONResponse({"requests": len(self.record.requests)})


class _Answering:
    """One endpoint as an ASGI application."""

    def __init__(self, provider: Provider, endpoint: Endpoint) -> None:
        self._provider = provider
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        provider, request = self._provider, Request(scope, receive)
        record = provider.record
        body = await request.body()
        record.add_request(_received(scope, body))
        client_left = asyncio.create_task(_disconnect(receive))
        stopping = asyncio.create_task(provider.stopping.wait())
        try:
            attempt = Attempt(
                self._endpoint,
                provider.script.next(),
                Connection(send, scope["transport"], client_left, stopping),
                record,
                accepts_gzip="gzip" in request.headers.get("accept-encoding", ""),
            )
            content_type = request.headers.get("content-type", "")
            asks = Asked(
                body=partial(asked, content_type, request.url.query, body),
                deployed=provider.deployed(request),
                path=request.path_params,
            )
            await attempt.answer(asks, provider.cache, provider.kept)
        finally:
            client_left.cancel()
            stopping.cancel()


async def _disconnect(receive: Receive) -> None:
    # Cancelled when the answer is complete and the client still there.
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass


def _received(scope: Scope, body: bytes) -> Received:
    query = scope["query_string"].decode("ascii")
    path = scope["path"] + (f"?{query}" if query else "")
    return Received(scope["method"], path, tuple(scope["headers"]), body)
