"""The script: how the provider shall answer its next request."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Framing:
    """How a stream's bytes are laid out. Every form here is legal server-sent events.

    `split` writes pieces of that many bytes whatever the event boundaries, so that a character
    or a line end may be cut in two; `comments` puts keep-alive lines between the events.
    """

    line_end: Literal["\n", "\r\n", "\r"] = "\n"
    split: int | None = None
    comments: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer. What is left out is made up from the request, the same every time.

    A "delta" is one streamed piece of the text. For an answer that is not streamed,
    `abort_after` cuts half-way through the body, `hang_after` stops after the headers and
    `error_after` is a plain status 500.
    """

    status: int = 200
    """Anything but 200 answers with an error body and charges nothing."""
    error: Mapping[str, Any] | None = None
    """Replaces the `error` object of an error body or of a mid-stream error event."""
    text: str | None = None
    chunks: int | None = None
    """The number of deltas; by default one for each word."""
    usage: Mapping[str, Any] | None = None
    """Replaces the usage block, in the words of the API that is called; this is billed."""
    start_usage: Mapping[str, Any] | None = None
    """Anthropic streams: the usage of `message_start`, where it differs from the final one."""
    without_usage: bool = False
    """Send no usage at all, as some compatible servers do. It is billed all the same."""
    service_tier: str | None = None
    delay: float = 0.0
    """Seconds before the headers."""
    chunk_delay: float = 0.0
    """Seconds before each delta."""
    abort_after: int | None = None
    """Cut the connection after this many deltas."""
    error_after: int | None = None
    """Send an error event after this many deltas, and end."""
    hang_after: int | None = None
    """Fall silent after this many deltas, until the client leaves."""
    drop: bool = False
    """Cut the connection before the headers."""
    hang: bool = False
    """Never answer; wait until the client leaves."""
    gzip: bool | None = None
    """None compresses whole answers for clients that accept it; True streams too; False nothing."""
    retry_after: float | None = None
    """Seconds, sent as `retry-after` and `retry-after-ms`; 429, 503 and 529 send 10 ms unasked."""
    framing: Framing = field(default_factory=Framing)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further response headers; they win."""

    def __post_init__(self) -> None:
        ends = [self.abort_after, self.error_after, self.hang_after, self.drop or None]
        if sum(end is not None for end in (*ends, self.hang or None)) > 1:
            raise ValueError("a reply can end in one way only")


class Script:
    """The replies still to be given, first come first served. Safe to use from any thread."""

    def __init__(self, otherwise: Reply) -> None:
        self._otherwise = otherwise
        self._lock = threading.Lock()
        self._replies: deque[Reply] = deque()

    def add(self, *replies: Reply) -> None:
        """Give `replies` to the next requests, in this order."""
        with self._lock:
            self._replies.extend(replies)

    def next(self) -> Reply:
        """The reply for the request at hand; with nothing scripted, the one given at the start."""
        with self._lock:
            return self._replies.popleft() if self._replies else self._otherwise
