"""An export request, whatever it came over: taken, committed, and answered, or refused with a reason.

The choice of refusal decides whether a client keeps its spans. `TryAgain` is the answer to all that is not the sender's
fault, surprises of our own included: nothing else is sent again by every exporter that retries at all.
"""

# The stubs leave the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import logging
import math
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from spanmeter.collector_receiver.committer import NotCommitted
from spanmeter.collector_receiver.decode import Undecodable
from spanmeter.collector_receiver.fair_queue import QueueFull
from spanmeter.collector_receiver.handler_shares import HandlerShares, TooManyAtOnce
from spanmeter.collector_receiver.ingest import Ingest
from spanmeter.collector_receiver.refusals import TryAgain, Unusable
from spanmeter.collector_receiver.refused_attempts import AttemptCounts
from spanmeter.collector_receiver.sender import WRONG_TENANT, Sender
from spanmeter.collector_receiver.submission import Rejection

logger = logging.getLogger(__name__)

MAX_MESSAGE: Final = 1000
"""Characters of an answer's text; over gRPC a refusal's travels in HTTP/2 trailers."""

FULL_SUCCESS: Final = ExportTraceServiceResponse().SerializeToString()


class Exports:
    """Takes export requests, and answers after the commit. A request waits for it at most `hold` seconds.

    `at_once` is how many requests can be under way; one sender may have three quarters of them. Spans of tenants that
    their key is not bound to are among the `attempts`.
    """

    def __init__(
        self, ingest: Ingest, attempts: AttemptCounts, *, at_once: int, hold: float
    ) -> None:
        self._ingest = ingest
        self._attempts = attempts
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
            accepted = self._ingest(body, sender)
            rejected = accepted.confirmed(max(0.0, min(patience, self._hold)))
        if not rejected:
            return FULL_SUCCESS
        wrong = sum(reason == WRONG_TENANT for reason, _ in rejected)
        if wrong and sender.grant is not None:
            self._attempts.add(WRONG_TENANT, sender.grant.key_id, peer, wrong)
        return _response(rejected, accepted.spans)


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


def _response(rejected: list[Rejection], spans: int) -> bytes:
    """A partial success that says how many, why, and that they are not lost. The client must not send them again."""
    first_detail = dict(reversed(rejected))
    reasons = "; ".join(
        f"{count} {reason} ({first_detail[reason]})"
        for reason, count in Counter(reason for reason, _ in rejected).most_common()
    )
    message = (
        f"{len(rejected)} of {spans} spans could not be metered and are kept in rejected_spans: "
        f"{reasons}"
    )
    return ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(
            rejected_spans=len(rejected), error_message=message[:MAX_MESSAGE]
        )
    ).SerializeToString()
