"""One request and the answer to it: whole, streamed, refused or broken off, and booked once."""

import gzip
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from simulated_provider.connection import Connection
from simulated_provider.exchange import JSON, Call, Endpoint, Event, Exchange, RefusedError
from simulated_provider.prices import Tokens
from simulated_provider.prompt_cache import PromptCache
from simulated_provider.reply import Reply
from simulated_provider.served import Record, Served
from simulated_provider.sse import Encoder, encode, to_json

# Statuses with which a provider says when to come back.
_BUSY = frozenset({429, 503, 529})
_SOON = 0.01


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says: its body, which may be refused, and what its path names."""

    body: Callable[[], JSON]
    deployed: str | None
    path: Mapping[str, str]


class Attempt:
    """One request, answered as its reply says."""

    def __init__(
        self,
        endpoint: Endpoint,
        reply: Reply,
        connection: Connection,
        record: Record,
        *,
        accepts_gzip: bool,
    ) -> None:
        self._endpoint = endpoint
        self._reply = reply
        self._connection = connection
        self._record = record
        self._accepts_gzip = accepts_gzip
        self._request_id = endpoint.wire.request_id()
        self._model = ""
        self._streams = False
        self._headers: Mapping[str, str] = {}

    async def answer(self, asked: Asked, cache: PromptCache, kept: dict[str, JSON]) -> None:
        """Answer what is asked. What is wrong with it is told to the client, not raised."""
        try:
            call = Call(
                asked.body(),
                self._reply,
                cache,
                self._request_id,
                asked.deployed,
                path=asked.path,
                kept=kept,
            )
            self._model, self._streams = (
                str(call.deployed or call.body.get("model", "")),
                call.streams or self._endpoint.streams,
            )
            exchange = self._endpoint.answer(call) if self._reply.status == 200 else None
            self._streams |= exchange is not None and exchange.streams
        except RefusedError as refusal:
            await self._refuse(refusal.status, refusal.message)
            return
        if self._reply.hang:
            await self._connection.silence()
        elif not self._reply.drop and await self._connection.pause(self._reply.delay):
            await self._speak(exchange)
            return
        self._book(exchange, status=self._reply.status, completed=False)
        await self._connection.cut()

    async def _speak(self, exchange: Exchange | None) -> None:
        if exchange is None:
            await self._refuse(self._reply.status)
            return
        self._headers = exchange.headers
        if self._streams and exchange.events:
            await self._stream(exchange)
        else:
            await self._whole(exchange)

    async def _refuse(self, status: int, message: str | None = None) -> None:
        """An error body; it is booked, and costs nothing."""
        self._book(None, status=status, completed=True)
        self._headers = self._endpoint.wire.error_headers(status)
        error = self._endpoint.wire.error(status, self._request_id, message, self._reply.error)
        await self._send_body(error, status)

    async def _whole(self, exchange: Exchange) -> None:
        """The answer as one JSON body, or as much of it as the reply lets through."""
        reply = self._reply
        if reply.error_after is not None:
            await self._refuse(500)
        elif reply.abort_after is None and reply.hang_after is None:
            self._book(exchange, completed=True)
            if exchange.media is None:
                await self._send_body(exchange.body, 200)
            else:
                await self._start(200, {"content-type": exchange.media})
                await self._connection.finish(exchange.content)
        else:
            data = to_json(exchange.body).encode()
            length = {"content-type": "application/json", "content-length": str(len(data))}
            await self._start(200, length)
            await self._connection.write(data[: len(data) // 2] if reply.abort_after else b"")
            await self._fall_silent(exchange)

    async def _stream(self, exchange: Exchange) -> None:
        """The answer event by event, to its end or to the break that the reply asks for."""
        packed = self._reply.gzip is True and self._accepts_gzip
        wire = self._endpoint.wire
        encoder = Encoder(self._reply.framing, gzip=packed, encode=wire.encode or encode)
        stop = _break(self._reply, exchange.events)
        headers = {
            "content-type": wire.stream_type,
            "cache-control": "no-cache",
        }
        await self._start(200, headers | ({"content-encoding": "gzip"} if packed else {}))
        for event in exchange.events[:stop]:
            if not await self._connection.pause(self._reply.chunk_delay if event.delta else 0):
                self._book(exchange, completed=False)
                await self._connection.cut()
                return
            if event is exchange.events[-1]:
                self._book(exchange, completed=True)
            await self._write(encoder, event)
        if stop is not None and self._reply.error_after is None:
            await self._connection.write(encoder.flush())
            await self._fall_silent(exchange)
            return
        if stop is not None:
            self._book(exchange, completed=False)
            for event in exchange.failure(stop):
                await self._write(encoder, event)
        await self._connection.finish(encoder.finish())

    async def _write(self, encoder: Encoder, event: Event) -> None:
        for piece in encoder.feed(event):
            await self._connection.write(piece)

    async def _fall_silent(self, exchange: Exchange) -> None:
        """End without an end: hang if the reply says so, then cut."""
        if self._reply.hang_after is not None:
            await self._connection.silence()
        self._book(exchange, completed=False)
        await self._connection.cut()

    async def _send_body(self, body: JSON, status: int) -> None:
        data = to_json(body).encode()
        headers = {"content-type": "application/json"}
        if self._reply.gzip is not False and self._accepts_gzip:
            data = gzip.compress(data, mtime=0)
            headers["content-encoding"] = "gzip"
        await self._start(status, headers | {"content-length": str(len(data))})
        await self._connection.finish(data)

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        await self._connection.start(
            status,
            {
                **headers,
                **self._endpoint.wire.headers(self._request_id),
                **self._headers,
                **_retry_headers(self._reply, status),
                **self._reply.headers,
            },
        )

    def _book(self, exchange: Exchange | None, *, completed: bool, status: int = 200) -> None:
        for each in exchange.further if exchange is not None else ():
            self._book(each, completed=completed, status=status)
        if exchange is not None and not exchange.billed:
            return
        self._record.add_served(
            Served(
                api=self._endpoint.api,
                model=self._model,
                response_model=exchange.price.response_model if exchange else None,
                response_id=exchange.response_id if exchange else None,
                status=status,
                streamed=self._streams,
                completed=completed,
                usage=exchange.usage if exchange else {},
                tokens=exchange.tokens if exchange else Tokens(),
                cost=_cost(exchange),
            )
        )


def _cost(exchange: Exchange | None) -> Decimal:
    if exchange is None:
        return Decimal(0)
    return exchange.price.cost(exchange.tokens) + exchange.beyond


def _break(reply: Reply, events: Sequence[Event]) -> int | None:
    """Index of the first event that is not sent; None where the stream runs to its end."""
    given = [reply.abort_after, reply.error_after, reply.hang_after]
    after = next((count for count in given if count is not None), None)
    if after is None:
        return None
    deltas = [index for index, event in enumerate(events) if event.delta]
    if not deltas:
        return 0
    return deltas[0] if after == 0 else deltas[min(after, len(deltas)) - 1] + 1


def _retry_headers(reply: Reply, status: int) -> Mapping[str, str]:
    after = reply.retry_after
    if after is None and status in _BUSY:
        after = _SOON
    if after is None:
        return {}
    return {"retry-after": str(math.ceil(after)), "retry-after-ms": str(round(after * 1000))}
