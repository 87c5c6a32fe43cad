"""Mistral's wire over websockets: realtime transcription and realtime speech.

Source: `mistralai.extra.realtime`. Both answer with the events of their streams over HTTP, once all
has been sent. An `abort_after` cuts the connection after so many of them.
"""

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from simulated_provider import mistral_wire
from simulated_provider.exchange import JSON, Call, Exchange, new_id
from simulated_provider.openai_sockets import Books
from simulated_provider.served import Served
from simulated_provider.sse import to_json


def routes(books: Books) -> list[WebSocketRoute]:
    """The websockets of realtime sessions."""

    def route(path: str, session: type[_Session]) -> WebSocketRoute:
        async def endpoint(socket: WebSocket) -> None:
            await socket.accept()
            with suppress(WebSocketDisconnect):
                await session(socket, books).talk()

        return WebSocketRoute(f"{mistral_wire.PREFIX}/audio{path}/realtime", endpoint)

    return [route("/transcriptions", _Hearing), route("/speech", _Speaking)]


class _Session(ABC):
    """One session: what it is sent is kept until the client ends it, and then answered."""

    api: str
    answer: Callable[[Call], Exchange]

    def __init__(self, socket: WebSocket, books: Books) -> None:
        self._socket = socket
        self._books = books
        self._model = socket.query_params["model"]

    @abstractmethod
    def created(self) -> JSON:
        """What the session says of itself at its start."""

    @abstractmethod
    def sent(self, message: JSON) -> None:
        """Keeps a message."""

    @abstractmethod
    def body(self) -> JSON:
        """What was sent, as one request."""

    async def talk(self) -> None:
        session = {"request_id": new_id("", 32), "model": self._model, **self.created()}
        await self._send({"type": "session.created", "session": session})
        while True:
            message: JSON = json.loads(await self._socket.receive_text())
            self.sent(message)
            if message["type"].endswith(".end"):
                await self._answer()

    async def _answer(self) -> None:
        reply = self._books.script.next()
        body = {"model": self._model, **self.body()}
        exchange = type(self).answer(Call(body, reply, self._books.cache, new_id("", 32)))
        self._book(exchange, completed=reply.abort_after is None)
        for count, event in enumerate(exchange.events):
            if count == reply.abort_after:
                await self._socket.close(1011)
                raise WebSocketDisconnect(1011)
            await self._socket.send_text(to_json(event.data))

    async def _send(self, message: JSON) -> None:
        await self._socket.send_text(to_json(message))

    def _book(self, exchange: Exchange, *, completed: bool) -> None:
        self._books.record.add_served(
            Served(
                api=self.api,
                model=self._model,
                response_model=exchange.price.response_model,
                response_id=None,
                status=200,
                streamed=True,
                completed=completed,
                usage=exchange.usage,
                tokens=exchange.tokens,
                cost=exchange.price.cost(exchange.tokens) + exchange.beyond,
            )
        )


class _Hearing(_Session):
    api = "mistral.audio.transcriptions"
    answer = staticmethod(mistral_wire.transcription)

    def __init__(self, socket: WebSocket, books: Books) -> None:
        super().__init__(socket, books)
        self._sound = b""

    def created(self) -> JSON:
        return {"audio_format": {"encoding": "pcm_s16le", "sample_rate": 16000}}

    def sent(self, message: JSON) -> None:
        self._sound += base64.b64decode(message.get("audio", ""))

    def body(self) -> JSON:
        sound, self._sound = self._sound, b""
        return {"file": sound}


class _Speaking(_Session):
    api = "mistral.audio.speech"
    answer = staticmethod(mistral_wire.speech)

    def __init__(self, socket: WebSocket, books: Books) -> None:
        super().__init__(socket, books)
        self._text = ""

    def created(self) -> JSON:
        return {
            "is_ref_audio": False,
            "streaming_mode": "responsive",
            "response_format": "pcm",
            "expressiveness": 0.5,
            "voice": None,
        }

    def sent(self, message: JSON) -> None:
        self._text += message.get("text") or ""

    def body(self) -> JSON:
        text, self._text = self._text, ""
        return {"input": text}
