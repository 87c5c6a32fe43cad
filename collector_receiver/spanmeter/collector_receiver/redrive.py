"""Rejected spans are metered again, after a fix: of the meter, of the rates, of the window of time."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from spanmeter.collector_receiver.decode import Undecodable, decode
from spanmeter.collector_receiver.meter_in_force import meter_now
from spanmeter.collector_receiver.rows import Rows, rows_of
from spanmeter.collector_receiver.sender import Grant
from spanmeter.collector_receiver.settings import CollectorSettings
from spanmeter.metering.meter import Meter
from spanmeter.storage.api_keys import bindings
from spanmeter.storage.connection import Connection, connect, database_errors
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.rejected import OpenSpan, RejectedSpan, close_spans, open_spans

PAGE: Final = 500
"""Spans at a time; each page is durable before the next one is begun."""

BOOKED: Final = "booked"
NOT_LLM: Final = "not_llm"
UNDECODABLE: Final = "undecodable"


class Outcome(NamedTuple):
    """What a span became, or the reason why it is rejected again."""

    became: str | None
    reason: str | None = None


@dataclass
class Redriven:
    """What became of the spans so far. `still` are rejected again, by reason."""

    booked: int = 0
    not_llm: int = 0
    still: Counter[str] = field(default_factory=Counter[str])

    @property
    def spans(self) -> int:
        """All that were tried."""
        return self.booked + self.not_llm + self.still.total()


def redrive(
    settings: CollectorSettings,
    *,
    reason: str | None = None,
    since: datetime | None = None,
    dry_run: bool = False,
    progress: Callable[[Redriven], object] = lambda _: None,
) -> Redriven:
    """Send the open rejected spans of this reason, rejected `since`, through the meter into the ledger again.

    What is booked now, or turns out to be no call, is open no more; all else stays as it is. Doing so again changes
    nothing. A `dry_run` changes nothing at all. Raises DatabaseUnavailable.
    """
    redriven = Redriven()
    dsn = settings.dsn
    with closing(connect(dsn)) as connection, LedgerWriter(dsn) as ledger, database_errors():
        meter, bound = meter_now(settings, connection), bindings(connection)
        for page in open_spans(connection, reason=reason, since=since, size=PAGE):
            rows = [_rows(meter, span, bound) for span in page]
            refused = {} if dry_run else _booked(ledger, rows)
            outcomes = [_outcome(each, refused.get(at)) for at, each in enumerate(rows)]
            if not dry_run:
                _close(connection, page, outcomes)
            _count(redriven, outcomes)
            progress(redriven)
    return redriven


def _rows(meter: Meter, span: OpenSpan, bound: Mapping[str, frozenset[str]]) -> Rows:
    """The span as it would be received now, with the key that it came with, but judged by the time it came."""
    try:
        received = decode(span.payload, max_spans=1)
    except Undecodable as error:
        return Rows([], [RejectedSpan(UNDECODABLE, str(error), b"", b"", None, span.payload)])
    grant = None if span.key_id is None else Grant(span.key_id, bound.get(span.key_id))
    return rows_of(meter, received, span.rejected_at, grant)


def _booked(ledger: LedgerWriter, rows: list[Rows]) -> dict[int, str]:
    """Book what can be; the reasons of what the ledger refuses, by its place in the page."""
    batch = [(at, metered) for at, each in enumerate(rows) for metered in each.batch]
    written = ledger.write([metered for _, metered in batch])
    return {batch[each.index][0]: each.reason for each in written.refused}


def _outcome(rows: Rows, refused: str | None) -> Outcome:
    if rows.rejected:
        return Outcome(None, rows.rejected[0].reason)
    if refused is not None:
        return Outcome(None, refused)
    return Outcome(BOOKED if rows.batch else NOT_LLM)


def _close(connection: Connection, page: list[OpenSpan], outcomes: list[Outcome]) -> None:
    for became in (BOOKED, NOT_LLM):
        spans = [span for span, each in zip(page, outcomes, strict=True) if each.became == became]
        if spans:
            close_spans(connection, spans, became)


def _count(redriven: Redriven, outcomes: list[Outcome]) -> None:
    for became, reason in outcomes:
        redriven.booked += became == BOOKED
        redriven.not_llm += became == NOT_LLM
        if reason is not None:
            redriven.still[reason] += 1
