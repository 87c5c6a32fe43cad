"""One batch on its way: until the collector has it, or will never have it."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from spanmeter.instrumentation.pipeline.answers import (
    Accepted,
    Answer,
    Misconfigured,
    Refused,
    TooLarge,
    TryAgain,
)
from spanmeter.instrumentation.pipeline.backoff import Backoff
from spanmeter.instrumentation.pipeline.batch import Batch
from spanmeter.instrumentation.pipeline.dead_letters import Refusal
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.pipeline.exchange import Exchange, exchange_with
from spanmeter.instrumentation.pipeline.rarely import Rarely

_logger: Final = logging.getLogger(__name__)


class PutOff(Exception):
    """The batch stays where it is; it is to be taken again."""


SMALL: Final = 64 * 1024
"""Bytes of a request that no collector finds too large."""


@dataclass(slots=True)
class Tally:
    """What became of the records that this process has delivered, its own and adopted ones."""

    delivered: int = 0
    rejected: int = 0
    """The collector has these, and could not meter them."""
    dead: int = 0
    """The collector refused these; they are in `dead/`."""
    failure: str | None = None
    """Why the last request failed; `None` where it did not."""
    failing_since: float | None = None
    """`time.time()`"""


class Delivery:
    """Offers batches to a collector for as long as it takes."""

    def __init__(self, destination: Destination | str, wait: Callable[[float], bool]) -> None:
        """The destination, or why there is none. `wait` waits so many seconds, or less, and tells
        whether to go on."""
        self.tally = Tally()
        self._destination = destination
        self._exchange: Exchange | None = None
        self._wait = wait
        self._backoff = Backoff()
        self._complaints = Rarely()

    def deliver(self, batch: Batch, on_failure: Callable[[], bool]) -> list[Refusal]:
        """The records of the batch that the collector refuses; all others are with it.

        `on_failure` is called after each failed request, and tells whether the batch is to be taken
        anew. Raises `PutOff` then, and when it is time to stop.
        """
        while True:
            answer = self._ask(batch)
            match answer:
                case Accepted():
                    self._succeeded(batch, answer)
                    return []
                case Refused(reason) | TooLarge(reason):
                    return self._narrow_down(batch, reason, on_failure)
                case TryAgain() | Misconfigured():
                    self._failed(answer)
                    moved = on_failure()
                    if not self._wait(self._pause(answer)) or moved:
                        raise PutOff

    def close(self) -> None:
        """Closes the connection; the next batch opens another."""
        if self._exchange is not None:
            self._exchange.close()

    def _ask(self, batch: Batch) -> Answer:
        if isinstance(self._destination, str):
            return Misconfigured(self._destination)
        self._exchange = self._exchange or exchange_with(self._destination)
        request = batch.request()
        answer = self._exchange.send(request)
        if isinstance(answer, TooLarge) and len(batch.records) < 2 and len(request) < SMALL:
            # A gateway that limits rates says the same.
            return TryAgain(answer.reason)
        return answer

    def _narrow_down(
        self, batch: Batch, reason: str, on_failure: Callable[[], bool]
    ) -> list[Refusal]:
        """One record that is refused must not take its neighbours along."""
        if len(batch.records) < 2:
            return [Refusal(record, reason) for record in batch.records]
        return [refusal for half in batch.halves() for refusal in self.deliver(half, on_failure)]

    def _succeeded(self, batch: Batch, answer: Accepted) -> None:
        self._backoff.reset()
        tally = self.tally
        if tally.failure is not None:
            _logger.info("usage records are delivered again")
        tally.failure = tally.failing_since = None
        tally.delivered += len(batch.records) - answer.rejected
        tally.rejected += answer.rejected
        if answer.rejected or answer.reason:
            self._complaints.log(
                _logger,
                "of %d usage records the collector could not meter %d: %s",
                len(batch.records),
                answer.rejected,
                answer.reason,
            )

    def _failed(self, answer: TryAgain | Misconfigured) -> None:
        tally = self.tally
        tally.failure = answer.reason
        tally.failing_since = tally.failing_since or time.time()
        self._complaints.log(
            _logger, "usage records cannot be delivered and are kept: %s", answer.reason
        )

    def _pause(self, answer: TryAgain | Misconfigured) -> float:
        return self._backoff.delay(answer.after if isinstance(answer, TryAgain) else None)
