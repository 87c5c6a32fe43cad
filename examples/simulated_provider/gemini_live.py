"""Google's wire over a websocket: live sessions.

Source: ai.google.dev/api/live. Each turn is billed for the whole context of the session, and told
with the message that completes it. An `abort_after` cuts the connection in the middle of a turn.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulated_provider.answers import Answer, compose, prompt_of, tokens
from simulated_provider.exchange import JSON, new_id, section
from simulated_provider.gemini_wire import PRICES
from simulated_provider.prices import ListPrice, Tokens
from simulated_provider.reply import Reply, Script
from simulated_provider.served import Record, Served
from simulated_provider.sse import to_json

PATHS = (
    "/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent",
    "/ws/google.cloud.aiplatform.{version}.LlmBidiService/BidiGenerateContent",
)
"""Where the Gemini API serves, and where Vertex AI does."""

_SOUND = base64.b64encode(bytes(96)).decode()


class Books(Protocol):
    """What the sessions share with the rest of the provider."""

    script: Script
    record: Record


def routes(books: Books) -> list[WebSocketRoute]:
    """The websockets of live sessions."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        with suppress(WebSocketDisconnect):
            await _Session(socket, books).talk()

    return [WebSocketRoute(path, endpoint) for path in PATHS]


class _Session:
    """One session: its first message sets it up, and each turn of the client's is answered."""

    def __init__(self, socket: WebSocket, books: Books) -> None:
        self._socket = socket
        self._books = books
        self._context = 0

    async def talk(self) -> None:
        setup = section(await self._next(), "setup")
        model = str(setup["model"]).rpartition("/")[2]
        price = PRICES.prices[model]
        speaks = section(setup, "generationConfig").get("responseModalities") == ["AUDIO"]
        await self._send({"setupComplete": {"sessionId": new_id("", 22)}})
        while True:
            message = await self._next()
            content = message.get("client_content") or message.get("clientContent")
            if content:
                await self._turn(price, prompt_of(content.get("turns")), speaks=speaks)

    async def _turn(self, price: ListPrice, prompt: str, *, speaks: bool) -> None:
        reply = self._books.script.next()
        answer = compose(prompt, text=reply.text, chunks=reply.chunks)
        self._context += len(tokens(prompt))
        usage = _usage(reply, self._context, answer, "AUDIO" if speaks else "TEXT")
        self._context += answer.text_tokens
        self._book(price, usage, completed=reply.abort_after is None)
        for count, part in enumerate(_parts(answer, speaks=speaks)):
            if count == reply.abort_after:
                await self._socket.close(1011)
                raise WebSocketDisconnect(1011)
            await self._send({"serverContent": {"modelTurn": {"role": "model", "parts": [part]}}})
        await self._send({"serverContent": {"generationComplete": True}})
        await self._send({"serverContent": {"turnComplete": True}, "usageMetadata": usage})

    async def _next(self) -> JSON:
        message: JSON = json.loads(await self._socket.receive_text())
        return message

    async def _send(self, message: JSON) -> None:
        # Google sends JSON in binary frames.
        await self._socket.send_bytes(to_json(message).encode())

    def _book(self, price: ListPrice, usage: JSON, *, completed: bool) -> None:
        counted = Tokens(input=usage["promptTokenCount"], output=usage["responseTokenCount"])
        self._books.record.add_served(
            Served(
                api="gemini.live",
                model=price.response_model,
                response_model=price.response_model,
                response_id=None,
                status=200,
                streamed=True,
                completed=completed,
                usage=usage,
                tokens=counted,
                cost=price.cost(counted),
            )
        )


def _usage(reply: Reply, context: int, answer: Answer, modality: str) -> JSON:
    if reply.usage is not None:
        return dict(reply.usage)
    said = answer.text_tokens
    return {
        "promptTokenCount": context,
        "responseTokenCount": said,
        "totalTokenCount": context + said,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": context}],
        "responseTokensDetails": [{"modality": modality, "tokenCount": said}],
    }


def _parts(answer: Answer, *, speaks: bool) -> Iterator[JSON]:
    sound = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": _SOUND}}
    for piece in answer.deltas:
        yield sound if speaks else {"text": piece}
