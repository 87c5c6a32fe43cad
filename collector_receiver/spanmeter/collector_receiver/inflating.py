"""Unpacking a request body that arrives compressed, never into more than is allowed."""

import zlib
from typing import Final

from spanmeter.collector_receiver.refusals import BodyTooLarge, Unusable

# 32 + 15: a gzip or a zlib header, whichever it is, and the largest window.
_WINDOW_BITS: Final = 47
ENCODINGS: Final = frozenset({"gzip", "deflate"})


class Inflating:
    """One compressed body, fed piece by piece. `most` is how many bytes it may unpack to."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stream = zlib.decompressobj(_WINDOW_BITS)
        self._size = 0

    def feed(self, piece: bytes) -> bytes:
        """What this piece unpacks to.

        Raises `Unusable` for bytes that are not compressed, `BodyTooLarge` beyond the limit: then no
        more than the limit has been unpacked.
        """
        unpacked: list[bytes] = []
        while piece:
            try:
                # One byte over the limit is enough to know.
                part = self._stream.decompress(piece, self._most - self._size + 1)
            except zlib.error as error:
                raise Unusable(f"the body is not compressed as its header says: {error}") from error
            self._size += len(part)
            if self._size > self._most:
                raise BodyTooLarge(f"the body unpacks to more than {self._most} bytes")
            unpacked.append(part)
            piece = self._stream.unconsumed_tail
            if self._stream.eof and (piece := self._stream.unused_data):
                # A gzip file may be several, one after the other.
                self._stream = zlib.decompressobj(_WINDOW_BITS)
        return b"".join(unpacked)

    def finish(self) -> None:
        """The body has ended. Raises `Unusable` if it ended too early."""
        if not self._stream.eof:
            raise Unusable("the compressed body is cut off")
