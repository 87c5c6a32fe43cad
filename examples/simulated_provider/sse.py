"""Server-sent events as bytes: framed, compressed and cut as a reply asks."""

import json
import zlib
from collections.abc import Callable, Iterator

from simulated_provider.exchange import Event
from simulated_provider.reply import Framing


def encode(event: Event, framing: Framing) -> bytes:
    """One event with its closing blank line (WHATWG HTML, section 9.2.6)."""
    lines = [": keep-alive", ""] if framing.comments else []
    if event.name is not None:
        lines.append(f"event: {event.name}")
    lines.append(f"data: {event.data if isinstance(event.data, str) else to_json(event.data)}")
    return "".join(line + framing.line_end for line in [*lines, ""]).encode()


def to_json(data: object) -> str:
    """Compact, with text as it is: providers do not escape what is not ASCII."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


class Encoder:
    """The writes of one stream: every event at once, or pieces of one size across the events."""

    def __init__(
        self,
        framing: Framing,
        *,
        gzip: bool,
        encode: Callable[[Event, Framing], bytes] = encode,
    ) -> None:
        self._framing = framing
        self._encode = encode
        # 16 + 15: a gzip header and the largest window.
        self._gzip = zlib.compressobj(wbits=31) if gzip else None
        self._left = b""

    def feed(self, event: Event) -> Iterator[bytes]:
        """What can be written now that `event` happened."""
        yield from self._cut(self._compress(self._encode(event, self._framing)))

    def flush(self) -> bytes:
        """What is left to write, without ending the stream."""
        left, self._left = self._left, b""
        return left

    def finish(self) -> bytes:
        """The last bytes of a stream that ends in order."""
        return self.flush() + (self._gzip.flush() if self._gzip else b"")

    def _compress(self, data: bytes) -> bytes:
        if self._gzip is None:
            return data
        # A sync flush, or the client would see nothing before the compressor's block is full.
        return self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)

    def _cut(self, data: bytes) -> Iterator[bytes]:
        size = self._framing.split
        if size is None:
            yield data
            return
        data = self._left + data
        whole = len(data) - len(data) % size
        for start in range(0, whole, size):
            yield data[start : start + size]
        self._left = data[whole:]
