"""One export request on its way into the database, and the answer that its sender waits for."""

import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

from spanmeter.collector_receiver.evaluation_events import NO_EVALUATIONS, Evaluations
from spanmeter.collector_receiver.sender import Grant
from spanmeter.storage.metered import Metered
from spanmeter.storage.producers import Producer
from spanmeter.storage.rejected import RejectedSpan

ROW_BYTES: Final = 2048
"""Memory of one metered row, roughly: a span of few bytes on the wire becomes one of some fifty columns."""


class Rejection(NamedTuple):
    """Why a span of the request is in `rejected_spans` and not in the ledger."""

    reason: str
    detail: str


@dataclass(slots=True, eq=False)
class Submission:
    """What one export request asks to have committed, all of it or nothing."""

    batch: list[Metered]
    rejected: list[RejectedSpan]
    body: bytes
    """The request as it came in; its spans can be replayed from it."""
    sender: str = ""
    """Who sent it: senders take turns."""
    producers: Mapping[str, Producer] = field(default_factory=dict[str, Producer])
    """Which of their numbered records it holds."""
    evaluations: Evaluations = NO_EVALUATIONS
    """Scores of calls, its own or earlier ones."""
    received_at: datetime = field(default_factory=partial(datetime.now, UTC))
    """When the collector received it; what lies in the journal was received earlier than it arrives here."""
    grant: Grant | None = None
    """The key it was sent with."""
    replayed: bool = False
    """Whether it comes from the journal, and so is durable already."""
    arrived: float = field(default_factory=time.monotonic)
    committed: Future[list[Rejection]] = field(default_factory=Future[list[Rejection]])
    """Set when all of it is durable, in the database or in the journal, to what of it was rejected."""

    def settle(self, rejections: list[Rejection]) -> None:
        """It is durable. What a request is told first holds: it may become durable in two places."""
        with suppress(InvalidStateError):
            self.committed.set_result(rejections)

    def fail(self, error: Exception) -> None:
        """It will not become durable, unless it is already."""
        with suppress(InvalidStateError):
            self.committed.set_exception(error)

    @property
    def rejections(self) -> list[Rejection]:
        """What metering rejected of it."""
        return [Rejection(span.reason, span.detail) for span in self.rejected]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.rows or self.producers or self.evaluations.scored)

    @property
    def rows(self) -> int:
        """Rows to write, of both kinds."""
        return len(self.batch) + len(self.rejected)

    @property
    def size(self) -> int:
        """Bytes of memory that it holds while it waits, roughly."""
        kept = sum(len(span.payload) for span in self.rejected)
        return len(self.body) + ROW_BYTES * (self.rows + len(self.evaluations.scored)) + kept
