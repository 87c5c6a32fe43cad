"""An export request, whatever it came over: taken, committed, and answered, or refused with a reason.

The choice of refusal decides whether a client keeps its spans. `TryAgain` is the answer to all that is not the sender's
fault, surprises of our own included: nothing else is sent again by every exporter that retries at all.
"""

import logging
import math
import time
from collections.abc import Generator
from contextlib import contextmanager

from spanmeter.collector_receiver.committer import SLOW, NotCommitted
from spanmeter.collector_receiver.counters import Counters, Counts
from spanmeter.collector_receiver.decode import Undecodable
from spanmeter.collector_receiver.fair_queue import QueueFull
from spanmeter.collector_receiver.handler_shares import HandlerShares, TooManyAtOnce
from spanmeter.collector_receiver.ingest import Ingest
from spanmeter.collector_receiver.redeliveries import Delivery, Redeliveries
from spanmeter.collector_receiver.refusals import TryAgain, Unusable
from spanmeter.collector_receiver.refused_attempts import AttemptCounts
from spanmeter.collector_receiver.responses import MAX_MESSAGE, response
from spanmeter.collector_receiver.sender import WRONG_TENANT, Sender
from spanmeter.collector_receiver.submission import Rejection

logger = logging.getLogger(__name__)


class Exports:
    """Takes export requests, and answers after the commit. A request waits for it at most `hold` seconds.

    `at_once` is how many requests can be under way; one sender may have three quarters of them. One that its sender
    sends again is not taken a second time (see Redeliveries). Spans of tenants that their key is not bound to are among
    the `attempts`.
    """

    def __init__(
        self,
        ingest: Ingest,
        counters: Counters,
        attempts: AttemptCounts,
        *,
        at_once: int,
        hold: float,
    ) -> None:
        self._ingest = ingest
        self._counters = counters
        self._attempts = attempts
        self._redeliveries = Redeliveries()
        self._shares = HandlerShares(at_once)
        self._hold = hold

    def __call__(
        self, body: bytes, sender: Sender, peer: str, *, patience: float = math.inf
    ) -> bytes:
        """Store what a serialized `ExportTraceServiceRequest` holds; the response, serialized.

        `patience` is how many seconds this client can be kept waiting; past it, its spans are committed all the same.
        Raises `Refused`.
        """
        with _refusals(len(body)), self._shares.taken_by(sender.turn):
            known = self._redeliveries.known(body, sender.turn)
            if isinstance(known, bytes):
                self._counters.add(Counts(answered_again=1))
                return known
            delivery = self._joined(known) if known else self._begun(body, sender)
            rejected = self._confirmed(delivery, max(0.0, min(patience, self._hold)))
        if known is None:
            self._note_wrong_tenants(rejected, sender, peer)
        return response(rejected, delivery.accepted.spans)

    def _begun(self, body: bytes, sender: Sender) -> Delivery:
        return self._redeliveries.begin(body, sender.turn, self._ingest(body, sender))

    def _joined(self, delivery: Delivery) -> Delivery:
        self._counters.add(Counts(joined=1))
        return delivery

    def _confirmed(self, delivery: Delivery, seconds: float) -> list[Rejection]:
        began = time.monotonic()
        try:
            return delivery.accepted.confirmed(seconds)
        finally:
            # Who is told to try again will, and who was kept for this long may have given up by itself.
            if time.monotonic() - began >= min(seconds, SLOW):
                self._redeliveries.expect(delivery)

    def _note_wrong_tenants(self, rejected: list[Rejection], sender: Sender, peer: str) -> None:
        wrong = sum(reason == WRONG_TENANT for reason, _ in rejected)
        if wrong and sender.grant is not None:
            self._attempts.add(WRONG_TENANT, sender.grant.key_id, peer, wrong)


@contextmanager
def _refusals(size: int) -> Generator[None]:
    try:
        yield
    except Undecodable as error:
        raise Unusable(str(error)[:MAX_MESSAGE]) from error
    except TimeoutError as error:
        raise TryAgain("the database has not confirmed the spans yet") from error
    except (QueueFull, NotCommitted, TooManyAtOnce) as error:
        raise TryAgain(str(error)[:MAX_MESSAGE]) from error
    except Exception as error:
        logger.exception("could not take an export request of %d bytes", size)
        raise TryAgain("an internal error; see the collector's log") from error
