"""The writer: every event one row, whatever is delivered, how often, and next to what."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from booking import NOON, event, metered, payload, query
from spanmeter.metering.same_call import call_key
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.ledger import LedgerWriter, Written
from spanmeter.storage.metered import REFUSED
from spanmeter.storage.rejected import RejectedSpan

_COLUMNS = ", ".join((*UsageEvent._fields, "ingested_at"))
EVENTS = f"SELECT {_COLUMNS} FROM usage_events"  # noqa: S608 - names of ours
COUNT = "SELECT count(*) FROM usage_events"


# What PostgreSQL or the driver refuses, and what is then said of it.
REFUSALS: list[tuple[dict[str, object], str]] = [
    ({"feature": "a\0b"}, 'invalid byte sequence for encoding "UTF8": 0x00'),
    ({"feature": "\ud800"}, "surrogates not allowed"),
    ({"dimensions": {"a": "\0"}}, "unsupported Unicode escape sequence"),
    ({"dimensions": {"a": "\ud800"}}, "invalid input syntax for type json"),
    ({"raw_usage": "{"}, "invalid input syntax for type json"),
    ({"raw_usage": '{"a": NaN}'}, "invalid input syntax for type json"),
    ({"input_tokens": 2**63}, "OverflowError"),
    ({"audio_input_tokens": -1}, "usage_events_audio_input_tokens_check"),
    ({"input_tokens": 100}, "usage_events_input_includes_cache"),
    ({"cache_read_input_tokens": 2**63 - 1, "cache_write_input_tokens": 1}, "out of range"),
    ({"output_tokens": 1}, "usage_events_output_includes_reasoning"),
    ({"tenant_id": ""}, "usage_events_tenant_id_check"),
    ({"tenant_id": "".join(chr(n) for n in range(256, 9000))}, "maximum size"),
    ({"trace_id": b"short"}, "usage_events_trace_id_check"),
    ({"status": "unheard of"}, "usage_events_status_check"),
    ({"cost": None}, "usage_events_unpriced_has_no_cost"),
    ({"cost": Decimal("NaN")}, "usage_events_cost_check"),
    ({"cost": Decimal(-1)}, "usage_events_cost_check"),
    ({"cost": Decimal("1E-20000")}, "decimal too precise"),
    ({"rate_version": None}, "usage_events_cost_names_its_rates"),
    ({"time": NOON.replace(tzinfo=None)}, "TypeError"),
]


@pytest.fixture
def writer(dsn: str) -> Generator[LedgerWriter]:
    with LedgerWriter(dsn) as writer:
        yield writer


def rejected_span(**fields: Any) -> RejectedSpan:
    known = RejectedSpan("no_model", "the span names no model", b"t", b"s", "acme", b"payload")
    return known._replace(**fields)


def test_an_event_is_its_row(dsn: str, writer: LedgerWriter) -> None:
    """Nothing is rounded, dropped or moved to another column."""
    full = UsageEvent(
        time=NOON + timedelta(microseconds=1),
        trace_id=bytes(range(16)),
        span_id=bytes(range(8)),
        parent_span_id=bytes(range(8, 16)),
        tenant_id="tenant",
        workspace_id="workspace",
        project_id="project",
        user_id="user",
        feature="feature",
        workflow="workflow",
        action="action",
        label="label",
        idempotency_key="idempotency key",
        account_type="trial",
        dimensions={"region": "Zürich", "quote": 'it\'s "so"'},
        environment="production",
        service_name="service",
        callsite="app.py:1",
        attributed_by="tenant.id",
        provider="anthropic",
        operation="chat",
        request_model="asked",
        response_model="ran",
        response_id="response",
        region="eu",
        service_tier="batch",
        byok=True,
        attempt=2,
        status="timeout",
        error_type="timeout",
        duration=timedelta(days=1, microseconds=1),
        time_to_first_token=timedelta(milliseconds=3),
        input_tokens=2**63 - 1,
        cache_read_input_tokens=1,
        cache_write_input_tokens=2,
        cache_write_by_ttl={"5m": 1, "1h": 1},
        output_tokens=5,
        reasoning_output_tokens=4,
        audio_input_tokens=6,
        audio_output_tokens=7,
        image_input_tokens=8,
        image_output_tokens=9,
        quantities={"audio_seconds": Decimal("1.0000000000000000000000000001")},
        usage_source="estimate",
        raw_usage='{"input_tokens": 1}',
        billable_state="ignored",
        billable_reason="reason",
        cost=Decimal("12345678901234567890.123456789012345678901234567890"),
        currency="EUR",
        rate_version="rates",
        cost_quality="partial",
        dialect="dialect",
        scope_name="scope",
        scope_version="version",
    )
    writer.write(metered(full))
    (row,) = query(dsn, EVENTS)
    *values, ingested_at = row
    assert dict(zip(UsageEvent._fields, values, strict=True)) == {
        **full._asdict(),
        "quantities": {"audio_seconds": "1.0000000000000000000000000001"},
        "raw_usage": {"input_tokens": 1},
    }
    assert abs(datetime.now(UTC) - ingested_at) < timedelta(minutes=1)


def test_what_is_not_known_is_null(dsn: str, writer: LedgerWriter) -> None:
    bare = UsageEvent(time=NOON, trace_id=bytes(16), span_id=bytes(8))
    writer.write(metered(bare))
    (row,) = query(dsn, EVENTS)
    assert UsageEvent._make(row[:-1]) == bare


def test_an_event_delivered_again_is_a_duplicate(dsn: str, writer: LedgerWriter) -> None:
    """Again in the same batch, in a later one, or by a route that cuts what describes it."""
    first, second = metered(event(callsite="app.py:1"), event())
    cut = first._replace(event=first.event._replace(callsite="app", raw_usage=None))
    assert writer.write([first, first]) == Written(1, 1, 0, ())
    assert writer.write([first, second, cut]) == Written(1, 2, 0, ())
    assert query(dsn, COUNT) == [(2,)]
    assert query(dsn, "TABLE rejected_spans") == []


def test_writers_that_race_book_each_event_once(dsn: str) -> None:
    """In opposite order, so that unsorted inserts would wait for each other in a circle."""
    batch = metered(*(event(time=NOON + timedelta(seconds=n)) for n in range(2000)))

    def deliver(order: int) -> int:
        with LedgerWriter(dsn) as writer:
            return sum(writer.write(batch[::order]).inserted for _ in range(3))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(deliver, [1, -1, 1, -1])) == len(batch)
    assert query(dsn, COUNT) == [(len(batch),)]


def test_bad_events_are_set_aside_and_their_neighbours_booked(
    dsn: str, writer: LedgerWriter
) -> None:
    """Each bad event among good ones, in one batch; delivered again, nothing changes."""
    bad = [event(**fields) for fields, _ in REFUSALS]
    batch = metered(*(each for refused in bad for each in (event(), refused, event())))
    written = writer.write(batch, [rejected_span()])
    assert (written.inserted, written.duplicates) == (2 * len(bad), 0)
    assert [refused.index for refused in written.refused] == list(range(1, len(batch), 3))
    for refused, (_, detail) in zip(written.refused, REFUSALS, strict=True):
        assert detail in refused.detail
    kept = query(dsn, "SELECT reason, span_id, payload FROM rejected_spans")
    expected = [(REFUSED, each.span_id, payload(each)) for each in bad]
    assert sorted(kept) == sorted([("no_model", b"s", b"payload"), *expected])
    assert written.rejected == len(kept)
    again = writer.write(batch, [rejected_span()])
    assert again == Written(0, 2 * len(bad), 0, written.refused)


def test_a_batch_of_bad_events_is_set_aside_whole(writer: LedgerWriter) -> None:
    written = writer.write(metered(*(event(feature="\0") for _ in range(9))))
    assert (written.inserted, written.duplicates, written.rejected) == (0, 0, 9)
    assert [refused.index for refused in written.refused] == list(range(9))


def test_a_row_that_breaks_the_writer_is_set_aside_alone(
    dsn: str, writer: LedgerWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours loses nothing either, and its connection works on."""
    trouble = event(tenant_id="trouble")

    def faulty(event: UsageEvent) -> bytes:
        if event.tenant_id == "trouble":
            raise ZeroDivisionError
        return call_key(event)

    monkeypatch.setattr("spanmeter.storage.staged_events.call_key", faulty)
    written = writer.write(metered(event(), trouble, event()))
    assert (written.inserted, [each.index for each in written.refused]) == (2, [1])
    assert query(dsn, "SELECT span_id FROM rejected_spans") == [(trouble.span_id,)]


def test_a_refused_row_says_nothing_of_what_it_holds(writer: LedgerWriter) -> None:
    """PostgreSQL's detail quotes the whole row; the ledger's errors must not."""
    secret = event(user_id="secret@example.com", input_tokens=-1)
    (refused,) = writer.write(metered(secret)).refused
    assert "secret" not in refused.detail


def test_a_rejected_span_is_kept_once_whatever_it_holds(dsn: str, writer: LedgerWriter) -> None:
    odd = rejected_span(detail="NUL \0 and \ud800", tenant_id="\0", trace_id=b"", span_id=b"x" * 99)
    assert writer.write([], [odd, odd]) == Written(0, 0, 1, ())
    assert writer.write(metered(event()), [odd, rejected_span(payload=b"2")]).rejected == 1
    kept = query(dsn, "SELECT detail, tenant_id, trace_id, span_id FROM rejected_spans")
    assert ("NUL \ufffd and ?", "\ufffd", b"", b"x" * 99) in kept
    assert len(kept) == 2


def test_nothing_to_write_needs_no_database() -> None:
    with LedgerWriter("postgresql://127.0.0.1:1/nowhere") as writer:
        assert writer.write([]) == Written(0, 0, 0, ())


def test_the_schema_need_not_be_first_in_the_search_path(dsn: str) -> None:
    query(dsn, "CREATE SCHEMA elsewhere")
    path = make_conninfo(dsn, options="-c search_path=elsewhere,public")
    with LedgerWriter(path) as writer:
        assert writer.write(metered(event())).inserted == 1
