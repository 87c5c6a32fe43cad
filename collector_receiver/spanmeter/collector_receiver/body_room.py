"""Memory for the bodies of HTTP requests, from their first byte to their answer: they may all wait for a thread."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from spanmeter.collector_receiver.refusals import TryAgain


class BodyRoom:
    """At most `most` bytes at once, but for one body, which is taken whatever its size. Not thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @contextmanager
    def for_body(self) -> Generator[Callable[[int], None]]:
        """To be told of each piece of a body by its bytes; they are held until the block ends. Raises `TryAgain`."""
        own = 0

        def hold(size: int) -> None:
            nonlocal own
            if self._held > own and self._held + size > self._most:
                raise TryAgain(f"{self._held} bytes of requests are being taken already")
            own += size
            self._held += size

        try:
            yield hold
        finally:
            self._held -= own
