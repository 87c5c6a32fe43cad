"""Mistral over websockets: realtime transcription, and realtime speech.

Source: `mistralai.extra.realtime`. The message that ends a transcript has the seconds heard; speech
is charged by the characters that were sent to be spoken, of which its last message says nothing.
"""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from spanmeter.instrumentation.clients.mistralai_usage import SPOKEN, TRANSCRIPT
from spanmeter.instrumentation.endpoint import Endpoint, Reading, mapping
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import Arguments, Begin, Keywords, Request, Tap
from spanmeter.instrumentation.turns import Turns, WatchedSocket

HEARD: Final = (b'"transcription.text.delta"', b'"transcription.segment"')
TRANSCRIBED: Final = (b'"transcription.done"', b'"error"')
SAID: Final = (b'"speech.audio.delta"',)
DONE: Final = (b'"speech.audio.done"', b'"error"')


class SpeakingSocket(WatchedSocket):
    """The websocket of realtime speech, which counts the characters that it is sent."""

    def __init__(self, websocket: Any, begin: Begin, request: Request) -> None:
        super().__init__(websocket, Turns(begin, request, SAID, DONE, self._asked))
        self._characters = 0

    async def send(self, message: str, *args: Any, **kwargs: Any) -> None:
        """Sends a message."""
        self._count(message)
        await self._websocket.send(message, *args, **kwargs)

    @guarded
    def _count(self, message: str) -> None:
        self._characters += len(mapping(json.loads(message)).get("text") or "")

    def _asked(self) -> Reading:
        characters, self._characters = self._characters, 0
        return Reading(quantities={"input_characters": characters})


def _speaking(begin: Begin, websocket: Any, model: str) -> WatchedSocket:
    return SpeakingSocket(websocket, begin, _request(websocket, model, SPOKEN))


def _hearing(begin: Begin, websocket: Any, model: str) -> WatchedSocket:
    request = _request(websocket, model, TRANSCRIPT)
    return WatchedSocket(websocket, Turns(begin, request, HEARD, TRANSCRIBED))


def _request(websocket: Any, model: str, endpoint: Endpoint) -> Request:
    address = urlsplit(f"//{websocket.request.headers['Host']}")
    return Request(
        endpoint=endpoint,
        provider="mistral_ai",
        model=model,
        http_client=None,
        server_address=address.hostname or "",
        server_port=address.port or 443,
        body={},
        streamed=True,
    )


def _opening(
    watch: Callable[[Begin, Any, str], WatchedSocket],
) -> Callable[[Begin], Callable[..., None]]:
    def opening(begin: Begin) -> Callable[..., None]:
        @guarded
        def opened(connection: Any) -> None:
            connection._websocket = watch(begin, connection._websocket, connection.session.model)  # noqa: SLF001 - the same name in every major

        def wrapper(
            wrapped: Callable[..., None], instance: Any, args: Arguments, kwargs: Keywords
        ) -> None:
            wrapped(*args, **kwargs)
            opened(instance)

        return wrapper

    return opening


REALTIME: Final = (
    Tap("mistralai.extra.realtime.connection", "RealtimeConnection.__init__", _opening(_hearing)),
    Tap(
        "mistralai.extra.realtime.speech", "RealtimeSpeechConnection.__init__", _opening(_speaking)
    ),
)
