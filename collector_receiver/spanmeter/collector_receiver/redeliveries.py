"""Requests that come in once more: the same bytes from the same sender.

A sender that is told to try again does so while what it sent still waits for the database. Queued a second time it
would make the queue longer and each commit slower, until nothing is committed within anybody's patience. So it joins
what is under way, and is answered at once if that was committed meanwhile.

No sum rests on this: what is not recognised here, the ledger recognises row by row.
"""

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import Final, NamedTuple

from spanmeter.collector_receiver.ingest import Accepted
from spanmeter.collector_receiver.responses import response

MOST: Final = 4096
"""Answers that are remembered. Each has about half a KiB, one with a text about rejected spans up to two."""

SAMPLES: Final = 256
"""Bytes, spread over a body, that it is looked up by: enough to tell apart nearly all that are not the same, where to
hash every body whole would take 1 µs a span."""


class _Key(NamedTuple):
    """What a body is looked up by: one sender's requests are never compared with another's."""

    sender: str
    size: int
    sample: bytes


class Delivery:
    """A request under way, whoever waits for it."""

    def __init__(self, key: _Key, body: bytes, accepted: Accepted) -> None:
        self.key = key
        self.body = body
        self.accepted = accepted
        self.digest: bytes | None = None
        """Of the body, once it is to be remembered for longer than it is under way."""


class _Answered(NamedTuple):
    """A request that is durable, and the answer to it."""

    digest: bytes
    answer: bytes


class Redeliveries:
    """The requests under way, and the answers to the latest of those whose senders were kept waiting. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[_Key, Delivery] = {}
        self._answered: OrderedDict[_Key, _Answered] = OrderedDict()

    def known(self, body: bytes, sender: str) -> Delivery | bytes | None:
        """The same request under way, or the answer to it if it is durable already; None if it is new."""
        key = _key(body, sender)
        with self._lock:
            delivery, answered = self._under_way.get(key), self._answered.get(key)
        if delivery is not None and delivery.body == body:
            return delivery
        if answered is not None and answered.digest == _digest(body):
            return answered.answer
        return None

    def begin(self, body: bytes, sender: str, accepted: Accepted) -> Delivery:
        """Have a request that was accepted found here until it is durable, or cannot become so."""
        delivery = Delivery(_key(body, sender), body, accepted)
        with self._lock:
            self._under_way.setdefault(delivery.key, delivery)
        accepted.committed.add_done_callback(lambda _: self._end(delivery))
        return delivery

    def expect(self, delivery: Delivery) -> None:
        """Remember the answer past the end: its sender may not have waited for it, and will come again."""
        if delivery.digest is None:
            delivery.digest = _digest(delivery.body)
            if delivery.accepted.committed.done():
                self._end(delivery)

    def _end(self, delivery: Delivery) -> None:
        key, digest, (spans, committed, _) = delivery.key, delivery.digest, delivery.accepted
        durable = committed.exception() is None
        answer = response(committed.result(), spans) if durable and digest is not None else None
        with self._lock:
            if self._under_way.get(key) is delivery:
                del self._under_way[key]
            if digest is not None and answer is not None:
                self._answered[key] = _Answered(digest, answer)
                self._answered.move_to_end(key)
                if len(self._answered) > MOST:
                    self._answered.popitem(last=False)


def _key(body: bytes, sender: str) -> _Key:
    return _Key(sender, len(body), body[:: len(body) // SAMPLES + 1])


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()
