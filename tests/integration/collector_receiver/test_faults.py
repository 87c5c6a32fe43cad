"""Faults of our own: they reach no client as a loss, and no span but the one that brought them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import grpc
import pytest

import otlp
from collecting import Ledger
from otlp import Client
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.metering.meter import Meter
from spanmeter.metering.span import Span
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.evaluations import Scored
from spanmeter.storage.ledger import LedgerWriter, Written
from spanmeter.storage.metered import Metered
from spanmeter.storage.producers import Producer
from spanmeter.storage.rejected import RejectedSpan

TROUBLE = "trouble"


class FaultyMeter(Meter):
    """Breaks on one tenant's spans."""

    def meter(self, span: Span, now: datetime) -> UsageEvent | None:
        if span.attributes.get("tenant.id") == TROUBLE:
            raise ZeroDivisionError("a fault in the meter")
        return super().meter(span, now)

    def usual(self, spans: list[Span], now: datetime, at: int = 0) -> list[UsageEvent]:
        if any(span.attributes.get("tenant.id") == TROUBLE for span in spans[at:]):
            raise ZeroDivisionError("a fault in the meter")
        return super().usual(spans, now, at)


class FaultyWriter(LedgerWriter):
    """Breaks on a batch that holds one tenant's rows."""

    def write(
        self,
        batch: Sequence[Metered],
        rejected: Sequence[RejectedSpan] = (),
        producers: Mapping[str, Producer] | None = None,
        evaluations: Sequence[Scored] = (),
    ) -> Written:
        if any(metered.event.tenant_id == TROUBLE for metered in batch):
            raise ZeroDivisionError("a fault in the writer")
        return super().write(batch, rejected, producers or {}, evaluations)


def test_a_span_that_breaks_the_meter_is_kept_for_replay_and_its_neighbours_are_stored(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = otlp.llm_span({"tenant.id": TROUBLE})
    monkeypatch.setattr("spanmeter.collector_receiver.meter_in_force.Meter", FaultyMeter)
    with (
        Collector(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0")) as collector,
        Client(collector.grpc_address) as client,
    ):
        response = client.export(otlp.request([otlp.llm_span(), trouble, otlp.llm_span()]))

    assert response.partial_success.rejected_spans == 1
    (kept,) = Ledger(plain_dsn).rejected()
    assert (kept.reason, kept.span_id) == ("meter_failed", trouble.span_id)
    assert len(Ledger(plain_dsn).spans()) == 2


def test_a_request_that_breaks_the_writer_is_unavailable_and_takes_no_other_down(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = otlp.request([otlp.llm_span({"tenant.id": TROUBLE})])
    good = [otlp.llm_request(1) for _ in range(5)]
    monkeypatch.setattr("spanmeter.collector_receiver.server.LedgerWriter", FaultyWriter)
    # Long enough for all six to be of one group.
    settings = CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", commit_linger=0.5)
    with (
        Collector(settings) as collector,
        Client(collector.grpc_address) as client,
        ThreadPoolExecutor(6) as threads,
    ):
        error = threads.submit(client.error_of, trouble)
        answers = list(threads.map(client.export, good))

    assert error.result().code() is grpc.StatusCode.UNAVAILABLE
    assert not any(answer.HasField("partial_success") for answer in answers)
    assert len(Ledger(plain_dsn).spans()) == 5
