"""Sessions over a websocket in which each turn of the model is a call, billed where it ends.

A turn begins with the model's first words, and ends with the message that has its usage. Sound, the
most of the traffic, is not parsed.
"""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

from opentelemetry.context import get_current

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.endpoint import Reading, mapping
from spanmeter.instrumentation.entering import Entry
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.instrumentor import Begin, Request, may_begin


class Turns:
    """The turns of one session, metered for whoever opened it.

    `answers` are byte strings of which a message holds one in which the model has begun a turn,
    `bills` those of a message that is worth parsing, by the endpoint's `read_event`. `further` gives
    what the session itself knows of a turn that is over. Raises `MissingTenant` where whoever opens
    it is nobody and that is refused.
    """

    def __init__(
        self,
        begin: Begin,
        request: Request,
        answers: tuple[bytes, ...],
        bills: tuple[bytes, ...],
        further: Callable[[], Reading] | None = None,
    ) -> None:
        may_begin(begin, request.endpoint)
        self._begin = begin
        self._request = request._replace(is_sent=True)
        self._answers = answers
        self._bills = bills
        self._further = further
        self._context = get_current()
        self._open: Attempt | None = None

    @guarded
    def received(self, message: str | bytes) -> None:
        """Watches a message of the provider's."""
        data = message.encode() if isinstance(message, str) else message
        bills = any(telling in data for telling in self._bills)
        if not bills and not any(telling in data for telling in self._answers):
            return
        if self._open is None:
            self._open = self._start()
        if self._open is None or not bills:
            return
        reading = self._request.endpoint.read_event(mapping(json.loads(data)))
        self._open.took(reading)
        if reading.usage or reading.error:
            self._close(self._open).end()

    @guarded
    def ended(self, exc: BaseException | None = None) -> None:
        """The session is over: a turn that was not billed ends with it."""
        if self._open is None:
            return
        attempt = self._close(self._open)
        if exc is None:
            attempt.closed()
        else:
            attempt.failed(exc)

    def _close(self, attempt: Attempt) -> Attempt:
        self._open = None
        if self._further is not None:
            attempt.took(self._further())
        return attempt

    def _start(self) -> Attempt | None:
        entry = Entry(self._context)
        try:
            call = self._begin(self._request)
        finally:
            entry.leave()
        return None if call is None else call.attempt()


class WatchedSocket:
    """A session's websocket; what comes in is watched."""

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

    async def __aiter__(self) -> AsyncGenerator[Any]:
        try:
            async for message in self._websocket:
                self._turns.received(message)
                yield message
        except BaseException as exc:
            self._turns.ended(exc)
            raise

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Closes the websocket."""
        try:
            await self._websocket.close(*args, **kwargs)
        finally:
            self._turns.ended()
