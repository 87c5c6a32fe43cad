"""The watchers: each reads one kind of response body while it goes by, and lets it pass."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

from spanmeter.instrumentation.attempt import Attempt
from spanmeter.instrumentation.call import Call
from spanmeter.instrumentation.endpoint import READ_MEMBERS, Endpoint, Json, Reading, mapping
from spanmeter.instrumentation.framing import Framing, Lines, framing_of
from spanmeter.instrumentation.guard import guarded
from spanmeter.instrumentation.json_codec import decoded, members

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes kept of a body that is read piecemeal, so as to parse it at its end. Beyond, its usage is
not read."""

MAX_KEPT: Final = 1024 * 1024
"""Bytes of a stream kept in case its usage never comes: some 4,000 events, of a token or more each.
"""

MEDIA: Final = ("audio/", "image/", "video/")
"""Starts of content types of bodies that are what the model made, and nothing else."""

BYTES: Final = "application/octet-stream"
"""Start of the content type of what the model made, or of a file of results."""

JSON: Final = "application/json"
"""Start of the content type of most answers, and of none that is framed."""


class Watcher(Protocol):
    """Watches what a body says, and lets it pass."""

    def passed(self, chunk: bytes) -> tuple[bytes, bytes]:
        """Watches a chunk; returns what goes on to the application, and what is held back."""
        ...

    def finished(self) -> bytes:
        """The body has ended; returns what of what was held back goes on to the application."""
        ...


class EventWatcher:
    """Watches a streamed body, event by event."""

    def __init__(
        self, attempt: Attempt, endpoint: Endpoint, framing: Framing, *, hides_usage: bool
    ) -> None:
        self._attempt = attempt
        self._endpoint = endpoint
        self._telling = endpoint.telling
        self._framing = framing
        self._hides_usage = hides_usage
        self._begun = False
        # Until one says which response this is, every event may be worth reading.
        self._identified = False
        self._reads_all = True
        self._kept: list[bytes] = []
        self._kept_size = 0
        attempt.said = self._said

    def passed(self, chunk: bytes) -> tuple[bytes, bytes]:
        if not self._begun:
            self._begun = True
            self._attempt.first_chunk()
        framing = self._framing
        # Most chunks are whole events.
        alone = not framing.rest and chunk.endswith(framing.ends)
        kept = whole = chunk if alone else framing.whole(chunk)
        if whole:
            if self._kept_size < MAX_KEPT:
                self._kept.append(whole)
                self._kept_size += len(whole)
            if self._reads_all:
                kept = self._read(whole)
            else:
                for word in self._telling:
                    if word in whole:
                        kept = self._read(whole)
                        break
        # Only where an event may have to be hidden is one held back until it is whole.
        return (kept, framing.rest) if self._hides_usage else (chunk, b"")

    def finished(self) -> bytes:
        # A stream may end without what would have closed its last event.
        rest = self._framing.rest
        kept = self._read(rest) if rest else rest
        return kept if self._hides_usage else b""

    def _read(self, whole: bytes) -> bytes:
        """Reads the events that may tell something; returns all but the one that we asked for."""
        kept: list[bytes] = []
        for event, data in self._framing.split(whole):
            if data and (not self._identified or any(word in data for word in self._telling)):
                parsed = _parsed(data)
                self._take(data, parsed)
                if self._hides_usage and parsed.get("choices") == [] and parsed.get("usage"):
                    continue
            kept.append(event)
        return b"".join(kept)

    @guarded
    def _take(self, data: bytes, parsed: Json) -> None:
        reading = Reading(last=True) if data == b"[DONE]" else self._endpoint.read_event(parsed)
        if reading.response_id:
            self._identified = True
            self._reads_all = self._framing.opaque
        self._attempt.took(reading)
        if reading.last:
            # Not every SDK reads on to the end of the body, or closes it in time.
            self._attempt.end()
            self._kept_size = MAX_KEPT

    def _said(self) -> Iterable[str]:
        """The texts of the events that have passed."""
        for whole in self._kept:
            for _, data in self._framing.split(whole):
                yield from self._endpoint.said(_parsed(data))


class BodyWatcher:
    """Watches a JSON body that is read piecemeal."""

    def __init__(self, attempt: Attempt, endpoint: Endpoint) -> None:
        self._attempt = attempt
        self._endpoint = endpoint
        self._body = bytearray()

    def passed(self, chunk: bytes) -> tuple[bytes, bytes]:
        if len(self._body) + len(chunk) <= MAX_BODY:
            self._body += chunk
        return chunk, b""

    def finished(self) -> bytes:
        _read_body(self._attempt, self._endpoint, bytes(self._body))
        return b""


class MediaWatcher:
    """Watches nothing: sound and pictures say nothing of usage, and are not worth keeping."""

    def passed(self, chunk: bytes) -> tuple[bytes, bytes]:
        return chunk, b""

    def finished(self) -> bytes:
        return b""


class ResultsWatcher:
    """Watches a file of results: each line is a call of its own."""

    def __init__(self, call: Call, read: Callable[[Json], Reading]) -> None:
        self._call = call
        self._read_result = read
        self._lines = Lines()

    def passed(self, chunk: bytes) -> tuple[bytes, bytes]:
        self._read(self._lines.whole(chunk))
        return chunk, b""

    def finished(self) -> bytes:
        self._read(self._lines.rest)
        return b""

    @guarded
    def _read(self, lines: bytes) -> None:
        for _, line in self._lines.split(lines):
            reading = self._read_result(_parsed(line))
            if reading.usage:
                self._call.result(reading)


def _read_body(attempt: Attempt, endpoint: Endpoint, body: bytes) -> None:
    """Reads a body that is one JSON document."""
    attempt.said = partial(_said, endpoint, body)
    names = READ_MEMBERS.get(endpoint.read)
    attempt.took(endpoint.read(_parsed(body) if names is None else _members(body, names)))


def _members(data: bytes, names: tuple[str, ...]) -> Json:
    """As `_parsed`, but perhaps without the members of other names."""
    try:
        return mapping(members(data, names))
    except ValueError:
        return {}


def _said(endpoint: Endpoint, body: bytes) -> Iterable[str]:
    """The texts of a body, which is parsed anew: few have to be counted here."""
    return endpoint.said(_parsed(body))


def _parsed(data: bytes) -> Json:
    """The JSON object, or an empty one where the data is none (`[DONE]`, a proxy's page of text)."""
    try:
        return mapping(decoded(data))
    except ValueError:
        return {}


def read_whole(content_type: str, body: bytes, attempt: Attempt, call: Call) -> None:
    """Reads a body that has come as a whole, and ends the attempt."""
    try:
        if call.endpoint.results is None and content_type.startswith(JSON):
            _read_body(attempt, call.endpoint, body)
        else:
            watcher = watcher_for(content_type, attempt, call)
            watcher.passed(body)
            watcher.finished()
    finally:
        attempt.end()


def watcher_for(content_type: str, attempt: Attempt, call: Call) -> Watcher:
    """The watcher for a body of this content type."""
    if content_type.startswith(MEDIA):
        return MediaWatcher()
    if call.endpoint.results is not None:
        return ResultsWatcher(call, call.endpoint.results)
    stated = call.endpoint.framing
    framing = stated() if stated is not None else framing_of(content_type)
    if framing is None:
        said_nothing = content_type.startswith(BYTES)
        return MediaWatcher() if said_nothing else BodyWatcher(attempt, call.endpoint)
    return EventWatcher(attempt, call.endpoint, framing, hides_usage=call.hides_usage)
