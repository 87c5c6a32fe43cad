"""What happens to one export request: decode, meter, commit."""

import sys
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from threading import Semaphore
from typing import Final, NamedTuple

from spanmeter.collector_receiver.committer import Committer
from spanmeter.collector_receiver.counters import Counters, Counts
from spanmeter.collector_receiver.decode import decode
from spanmeter.collector_receiver.journal_segment import Entry
from spanmeter.collector_receiver.meter_in_force import MeterInForce
from spanmeter.collector_receiver.numbered_records import producers_of
from spanmeter.collector_receiver.received import Received
from spanmeter.collector_receiver.rows import rows_of
from spanmeter.collector_receiver.sender import Sender
from spanmeter.collector_receiver.submission import Rejection, Submission
from spanmeter.metering.dialects import is_tracing_copy
from spanmeter.metering.meter import Meter

AT_ONCE: Final = 4
"""Requests that are decoded at the same time. Decoded, one can take twenty times the memory that it came in."""

JOURNAL: Final = "journal"
"""Takes turns like a sender."""


class Accepted(NamedTuple):
    """A request that was decoded and metered, and is on its way to the database."""

    spans: int
    confirmed: Callable[[float], list[Rejection]]
    """Waits until all of the request is durable, for so many seconds (see Committer); what of it was rejected."""


class Ingest:
    """Takes the bytes of export requests; what they held is committed in groups with that of others."""

    def __init__(
        self,
        meter: MeterInForce,
        committer: Committer,
        counters: Counters,
        *,
        max_spans: int,
        max_attributes: int,
    ) -> None:
        self._meter = meter
        self._committer = committer
        self._counters = counters
        self._max_spans = max_spans
        self._max_attributes = max_attributes
        self._at_once = Semaphore(AT_ONCE)

    def __call__(self, body: bytes, sender: Sender) -> Accepted:
        """Decode and meter a serialized export request, and queue it to be committed in its sender's turn.

        Raises `Undecodable`, `QueueFull` or `NotCommitted`, and then nothing of it is stored.
        """
        with self._at_once:
            received = decode(body, max_spans=self._max_spans, max_attributes=self._max_attributes)
            entry = Entry(body, datetime.now(UTC), sender.grant)
            submission = self._metered(self._meter.now, received, entry, sender.turn)
        self._submit(submission)
        copies = sum(is_tracing_copy(span) for span, _ in received)
        others = len(received) - submission.rows - copies
        self._counters.add(Counts(received=len(received), not_llm=others, tracing_copies=copies))
        return Accepted(len(received), partial(self._committer.confirmed, submission))

    def replay(self, entry: Entry) -> Future[list[Rejection]]:
        """Queue a request of the journal, to be metered as when it came; set when it is committed. Raises the same."""
        # It was acknowledged within the limits of that day, which may have been others.
        received = decode(entry.body, max_spans=sys.maxsize, max_attributes=sys.maxsize)
        submission = self._metered(self._meter.at(entry.received_at), received, entry, JOURNAL)
        submission.replayed = True
        self._submit(submission)
        return submission.committed

    def _submit(self, submission: Submission) -> None:
        if submission.rows or submission.producers:
            self._committer.submit(submission)
        else:
            submission.settle([])

    def _metered(
        self, meter: Meter, received: list[Received], entry: Entry, turn: str
    ) -> Submission:
        batch, rejected = rows_of(meter, received, entry.received_at, entry.grant)
        return Submission(
            batch,
            rejected,
            entry.body,
            turn,
            producers_of(received),
            entry.received_at,
            entry.grant,
        )
