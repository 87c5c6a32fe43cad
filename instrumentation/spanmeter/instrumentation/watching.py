"""Reading usage from the bytes of a body as they go by: server-sent events, or JSON in pieces.

Nothing is held back but, where the usage event of a stream was asked for by us, that one event.
"""

import json
from typing import Final

from spanmeter.instrumentation.call import Attempt
from spanmeter.instrumentation.endpoint import Endpoint, Json, Reading, mapping
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.sse import Events

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes kept of a body that is read piecemeal, so as to parse it at its end. Beyond, its usage is
not read."""


class EventWatcher:
    """Watches server-sent events."""

    def __init__(self, attempt: Attempt, endpoint: Endpoint, *, hides_usage: bool) -> None:
        self._attempt = attempt
        self._endpoint = endpoint
        self._hides_usage = hides_usage
        self._events = Events()
        self._begun = False
        self._identified = False

    def passed(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Watches a chunk; returns what goes on to the application, and what is held back."""
        if not self._begun:
            self._begun = True
            self._attempt.first_chunk()
        whole = self._events.whole(chunk)
        kept = self._read(whole) if whole and self._tells(whole) else whole
        # Only where an event may have to be hidden is one held back until it is whole.
        return (kept, self._events.rest) if self._hides_usage else (chunk, b"")

    def finished(self) -> bytes:
        """Reads what is left; returns what of it goes on to the application."""
        # A stream may end without the blank line that would have closed its last event.
        rest = self._events.rest
        kept = self._read(rest) if rest else rest
        return kept if self._hides_usage else b""

    def _tells(self, events: bytes) -> bool:
        # Until one says which response this is, every event may be worth reading.
        if not self._identified:
            return True
        for word in self._endpoint.telling:  # noqa: SIM110 - for every chunk: `any` takes twice as long
            if word in events:
                return True
        return False

    def _read(self, whole: bytes) -> bytes:
        """Reads the events that may tell something; returns all but the one that we asked for."""
        kept: list[bytes] = []
        for event, data in self._events.split(whole):
            if data and self._tells(event):
                parsed = _parsed(data)
                self._take(data, parsed)
                if self._hides_usage and parsed.get("choices") == [] and parsed.get("usage"):
                    continue
            kept.append(event)
        return b"".join(kept)

    @guarded
    def _take(self, data: bytes, parsed: Json) -> None:
        reading = Reading(last=True) if data == b"[DONE]" else self._endpoint.read_event(parsed)
        self._identified = self._identified or bool(reading.response_id)
        self._attempt.took(reading)
        if reading.last:
            # Not every SDK reads on to the end of the body, or closes it in time.
            self._attempt.end()


class BodyWatcher:
    """Watches a JSON body that is read piecemeal."""

    def __init__(self, attempt: Attempt, endpoint: Endpoint) -> None:
        self._attempt = attempt
        self._endpoint = endpoint
        self._body = bytearray()

    def passed(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Keeps a copy of the chunk."""
        if len(self._body) + len(chunk) <= MAX_BODY:
            self._body += chunk
        return chunk, b""

    def finished(self) -> bytes:
        """Reads the whole body."""
        read_body(self._attempt, self._endpoint, bytes(self._body))
        return b""


@guarded
def read_body(attempt: Attempt, endpoint: Endpoint, body: bytes) -> None:
    """Reads a whole response body."""
    attempt.took(endpoint.read(_parsed(body)))


def _parsed(data: bytes) -> Json:
    """The JSON object, or an empty one where the data is none (`[DONE]`, a proxy's page of text)."""
    try:
        return mapping(json.loads(data))
    except ValueError:
        return {}
