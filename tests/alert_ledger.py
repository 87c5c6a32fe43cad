"""Months of usage in a real ledger, through the real writer: each call one row, at its moment of the hour."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

from alert_months import SERVICE, Calls
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.metered import Metered
from spanmeter.storage.rollups import fold

_BATCH = 8000


def book(dsn: str, calls: Iterable[Calls], seed: int = 1) -> None:
    """Book the calls, and fold them into the rollups as a collector would."""
    rng = random.Random(seed)
    with LedgerWriter(dsn) as writer:
        for batch in _batches(_events(calls, rng)):
            writer.write([Metered(event, bytes) for event in batch])
    with closing(connect(dsn)) as connection:
        while fold(connection):
            pass


def _batches(events: Iterator[UsageEvent]) -> Iterator[list[UsageEvent]]:
    while batch := list(itertools.islice(events, _BATCH)):
        yield batch


def _events(calls: Iterable[Calls], rng: random.Random) -> Iterator[UsageEvent]:
    for each in calls:
        for n in range(each.calls):
            at = (n + 0.5) * 3600 / each.calls if each.alike else rng.uniform(0, 3599)
            yield _event(each, n, timedelta(seconds=at), rng)


def _event(each: Calls, n: int, at: timedelta, rng: random.Random) -> UsageEvent:
    failed = n < each.failed
    tokens = each.tokens if each.alike else round(each.tokens * rng.lognormvariate(0, 0.2))
    return UsageEvent(
        time=each.hour + at,
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        tenant_id=each.tenant,
        feature=each.feature,
        workflow="agent-7" if each.alike else f"run-{rng.randrange(10**6)}",
        account_type="paid",
        service_name=SERVICE,
        provider="openai",
        operation="chat",
        request_model=each.model,
        response_model=each.model,
        status="error" if failed else "ok",
        error_type="500" if failed else None,
        duration=timedelta(milliseconds=900),
        input_tokens=tokens,
        output_tokens=0 if failed else tokens // 5,
        usage_source="provider",
        cost=Decimal(str(round(each.cost, 6))),
        rate_version="test",
        cost_quality="exact",
        dialect="otel",
        scope_name="spanmeter.openai",
    )
