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
from spanmeter.collector_receiver.decode import decode, decode_resources
from spanmeter.collector_receiver.evaluation_events import evaluations_in
from spanmeter.collector_receiver.journal_segment import Entry
from spanmeter.collector_receiver.meter_in_force import MeterInForce
from spanmeter.collector_receiver.numbered_records import producers_of, tellers_among
from spanmeter.collector_receiver.received import Received
from spanmeter.collector_receiver.rows import rows_of
from spanmeter.collector_receiver.sender import Sender
from spanmeter.collector_receiver.submission import Rejection, Submission
from spanmeter.metering.dialects import is_tracing_copy
from spanmeter.metering.meter import Meter

AT_ONCE: Final = 2
"""Requests that are decoded and metered at the same time. Python does so with one at a time: of more, all would be
ready late and together, and the database would have nothing to do until then. Two, so that a small one need not wait
for a large one. Decoded, a request can take twenty times the memory that it came in."""

JOURNAL: Final = "journal"
"""Takes turns like a sender."""


class Accepted(NamedTuple):
    """A request that was decoded and metered, and is on its way to the database."""

    spans: int
    committed: Future[list[Rejection]]
    """Set when all of the request is durable, to what of it was rejected."""
    confirmed: Callable[[float], list[Rejection]]
    """Waits for that, for so many seconds (see Committer)."""


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
        self._counters.add(
            Counts(
                received=len(received),
                not_llm=others,
                tracing_copies=copies,
                unusable_evaluations=submission.evaluations.unusable,
            )
        )
        confirmed = partial(self._committer.confirmed, submission)
        return Accepted(len(received), submission.committed, confirmed)

    def replay(self, entry: Entry) -> Future[list[Rejection]]:
        """Queue a request of the journal, to be metered as when it came; set when it is committed. Raises the same."""
        # It was acknowledged within the limits of that day, which may have been others.
        received = decode(entry.body, max_spans=sys.maxsize, max_attributes=sys.maxsize)
        submission = self._metered(self._meter.at(entry.received_at), received, entry, JOURNAL)
        submission.replayed = True
        self._submit(submission)
        return submission.committed

    def _submit(self, submission: Submission) -> None:
        if submission.empty:
            submission.settle([])
        else:
            self._committer.submit(submission)

    def _metered(
        self, meter: Meter, received: list[Received], entry: Entry, turn: str
    ) -> Submission:
        batch, rejected = rows_of(meter, received, entry.received_at, entry.grant)
        # Without spans it may still tell what its sender had to give up.
        producers = (
            producers_of(received) if received else tellers_among(decode_resources(entry.body))
        )
        return Submission(
            batch,
            rejected,
            entry.body,
            turn,
            producers,
            evaluations_in(entry.body, entry.grant),
            entry.received_at,
            entry.grant,
        )
