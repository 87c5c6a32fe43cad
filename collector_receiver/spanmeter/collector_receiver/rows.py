"""What becomes of spans: rows to book, or the spans themselves with the reason why they cannot be."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from spanmeter.collector_receiver.received import Received
from spanmeter.collector_receiver.sender import Grant, granted
from spanmeter.metering.meter import Meter
from spanmeter.metering.reads import READS
from spanmeter.metering.span import Span
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.metered import Metered
from spanmeter.storage.rejected import RejectedSpan

logger = logging.getLogger(__name__)

MAX_DETAIL: Final = 500
"""Characters; the detail of a span that broke the meter is the text of any exception."""


class Rows(NamedTuple):
    """What is to be written for some spans. One that is in neither is no call to a provider."""

    batch: list[Metered]
    rejected: list[RejectedSpan]


def rows_of(
    meter: Meter,
    received: Sequence[Received],
    received_at: datetime,
    grant: Grant | None = None,
) -> Rows:
    """Meter spans that were received at this moment, with this key."""
    rows = Rows([], [])
    usual_reads = meter.reads is READS
    spans = [span for span, _ in received]
    payloads = [
        payload if usual_reads else partial(payload, meter.reads) for _, payload in received
    ]
    at = 0
    while at < len(spans):
        usual = _usual(meter, spans, received_at, at)
        if grant is None:
            rows.batch.extend(map(Metered, usual, payloads[at : at + len(usual)]))
        else:
            for place, event in enumerate(usual, start=at):
                _add(rows, meter, spans[place], payloads[place], grant, partial(_made, event))
        at += len(usual)
        if not usual:
            metered = partial(meter.meter, spans[at], received_at)
            _add(rows, meter, spans[at], payloads[at], grant, metered)
            at += 1
    if grant is not None:
        rows.rejected[:] = [span._replace(key_id=grant.key_id) for span in rows.rejected]
    return rows


def _usual(meter: Meter, spans: list[Span], received_at: datetime, at: int) -> list[UsageEvent]:
    """What the meter makes of spans like earlier ones. Where that fails each span is metered by itself."""
    try:
        return meter.usual(spans, received_at, at)
    except Exception:
        logger.exception("the meter failed on spans like earlier ones")
        return []


def _made(event: UsageEvent) -> UsageEvent:
    return event


def _add(
    rows: Rows,
    meter: Meter,
    span: Span,
    payload: Callable[[], bytes],
    grant: Grant | None,
    metered: Callable[[], UsageEvent | None],
) -> None:
    """Add what a span is `metered` as, or the span with the reason why it cannot be."""
    try:
        event = metered()
        if event is not None:
            rows.batch.append(Metered(granted(event, grant), payload))
    except Unmeterable as error:
        tenant = meter.tenant_of(span)
        rows.rejected.append(_rejected(span, tenant, error.reason, error.detail, payload))
    except Exception as error:
        # A span that breaks the meter is kept too: refusing the request would block its neighbours for ever.
        logger.exception("the meter failed on a span of scope %r", span.scope_name)
        rows.rejected.append(_rejected(span, None, "meter_failed", repr(error), payload))


def _rejected(
    span: Span, tenant: str | None, reason: str, detail: str, payload: Callable[[], bytes]
) -> RejectedSpan:
    return RejectedSpan(
        reason=reason,
        detail=detail[:MAX_DETAIL],
        trace_id=span.trace_id,
        span_id=span.span_id,
        tenant_id=tenant,
        payload=payload(),
    )
