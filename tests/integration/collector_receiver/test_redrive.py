"""Rejected spans are metered again after a fix; what time they are judged by, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

import otlp
from booking import query
from collecting import Ledger
from otlp import Client, Value
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.collector_receiver.redrive import redrive
from spanmeter.metering.meter import Meter
from spanmeter.metering.span import Span
from spanmeter.metering.usage_event import UsageEvent

OPEN = "SELECT reason FROM rejected_spans WHERE redriven_at IS NULL ORDER BY reason"
CLOSED = "SELECT reason, redriven_as FROM rejected_spans WHERE redriven_at IS NOT NULL"


class Faulty(Meter):
    """The meter before the fix."""

    def meter(self, span: Span, now: datetime) -> UsageEvent | None:
        raise ZeroDivisionError("a fault in the meter")


@pytest.fixture
def settings(dsn: str) -> CollectorSettings:
    return CollectorSettings(dsn=dsn, grpc="127.0.0.1:0")


@pytest.fixture
def faulty(settings: CollectorSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three calls and something else have been received by a faulty meter, and a call with a bad count by another."""
    spans = [otlp.llm_span() for _ in range(3)] + [otlp.span({"http.route": "/"})]
    with monkeypatch.context() as before:
        before.setattr("spanmeter.collector_receiver.meter_in_force.Meter", Faulty)
        receive(settings, otlp.request(spans))
    receive(settings, bad({"gen_ai.usage.input_tokens": -1}))


def receive(settings: CollectorSettings, body: bytes) -> None:
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        client.export(body)


def bad(attributes: Mapping[str, Value], age: float = 1.0) -> bytes:
    return otlp.request([otlp.llm_span(attributes, age=age)])


@pytest.mark.usefixtures("faulty")
def test_what_a_fault_rejected_is_booked_after_the_fix(
    dsn: str, settings: CollectorSettings
) -> None:
    redriven = redrive(settings)
    assert (redriven.booked, redriven.not_llm, redriven.still) == (3, 1, {"bad_count": 1})
    assert len(Ledger(dsn).spans()) == 3
    assert query(dsn, OPEN) == [("bad_count",)]
    closed = [("meter_failed", "booked")] * 3 + [("meter_failed", "not_llm")]
    assert sorted(query(dsn, CLOSED)) == closed
    again = redrive(settings)
    assert (again.spans, again.still) == (1, {"bad_count": 1})


@pytest.mark.usefixtures("faulty")
def test_a_dry_run_tells_and_changes_nothing(dsn: str, settings: CollectorSettings) -> None:
    redriven = redrive(settings, dry_run=True)
    assert (redriven.booked, redriven.not_llm, redriven.still) == (3, 1, {"bad_count": 1})
    assert Ledger(dsn).spans() == []
    assert len(query(dsn, OPEN)) == 5


@pytest.mark.usefixtures("faulty")
def test_only_what_is_asked_for_is_sent_again(settings: CollectorSettings) -> None:
    assert redrive(settings, reason="no_model").spans == 0
    assert redrive(settings, since=datetime.now(UTC)).spans == 0
    assert redrive(settings, reason="bad_count").spans == 1
    assert redrive(settings, since=datetime.now(UTC) - timedelta(hours=1)).spans == 5


@pytest.mark.usefixtures("faulty")
def test_many_are_sent_in_pages(
    settings: CollectorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spanmeter.collector_receiver.redrive.PAGE", 2)
    seen: list[int] = []
    redrive(settings, progress=lambda so_far: seen.append(so_far.spans))
    assert seen == [2, 4, 5]


def test_one_that_was_stored_in_the_meantime_is_open_no_more(
    dsn: str, settings: CollectorSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two commits, or delivered again by its sender after the fix."""
    body = otlp.llm_request(1)
    with monkeypatch.context() as before:
        before.setattr("spanmeter.collector_receiver.meter_in_force.Meter", Faulty)
        receive(settings, body)
    receive(settings, body)
    assert redrive(settings).booked == 1
    assert len(Ledger(dsn).spans()) == 1
    assert query(dsn, OPEN) == []


def test_a_conflict_stays_for_a_person_to_decide(dsn: str, settings: CollectorSettings) -> None:
    span = otlp.llm_span()
    receive(settings, otlp.request([span]))
    span.attributes.append(otlp.attribute("usage.account_type", "trial"))
    receive(settings, otlp.request([span]))
    assert redrive(settings).still == {"conflict": 1}
    assert query(dsn, OPEN) == [("conflict",)]


@pytest.mark.parametrize("age", [86_400 * 365.25 * 56, -86_400 * 365.25 * 74], ids=["1970", "2100"])
def test_a_wrong_clock_makes_no_chunk_and_is_kept_until_the_window_takes_it(
    dsn: str, settings: CollectorSettings, age: float
) -> None:
    with Collector(settings) as collector, Client(collector.grpc_address) as client:
        answer = client.export(otlp.request([otlp.llm_span(age=age), otlp.llm_span()]))
        counts = collector.counts
    assert answer.partial_success.rejected_spans == 1
    assert (counts.received, counts.rejected, counts.stored) == (2, 1, 1)
    assert _chunks(dsn) in {0, 1}
    assert redrive(settings).still == {"bad_time": 1}
    day = timedelta(days=1)
    wide = CollectorSettings(dsn=dsn, max_age=70 * 366 * day, max_ahead=90 * 366 * day)
    assert redrive(wide).booked == 1


def _chunks(dsn: str) -> int:
    ((count,),) = query(
        dsn, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'usage_events'::regclass"
    )
    return int(count)
