"""One call to a provider counts once: in whatever order, batch, or number of times its spans arrive."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

import calls_described
from booking import event, metered, payload, query
from calls_described import Described, framework, inside, ours
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.calls import forget_calls
from spanmeter.storage.connection import connect
from spanmeter.storage.ledger import LedgerWriter
from spanmeter.storage.metered import CONFLICT
from spanmeter.storage.reports import usage_report

SUMS = """
SELECT tenant_id, provider, sum(requests)::int, sum(coalesce(input_tokens, 0))::int, sum(cost)
FROM ledger GROUP BY 1, 2 HAVING sum(requests) <> 0 OR sum(cost) <> 0 OR sum(input_tokens) <> 0
"""

Sums = dict[tuple[str | None, str], tuple[int, int, Decimal]]


def booked_sums(dsn: str) -> Sums:
    return {row[:2]: row[2:] for row in query(dsn, SUMS)}


def sums_of(counted: Sequence[UsageEvent]) -> Sums:
    sums: Sums = {}
    for each in counted:
        requests, tokens, cost = sums.get((each.tenant_id, each.provider), (0, 0, Decimal(0)))
        assert each.input_tokens is not None
        assert each.cost is not None
        total = requests + 1, tokens + each.input_tokens, cost + each.cost
        sums[each.tenant_id, each.provider] = total
    return sums


@pytest.mark.parametrize("kind", calls_described.KINDS)
def test_a_call_counts_once_in_whatever_order_its_spans_arrive(
    dsn: str, kind: Callable[[], Described]
) -> None:
    """One by one; then all of it again, which changes nothing."""
    first = kind().spans
    counted: list[UsageEvent] = []
    with LedgerWriter(dsn) as writer:
        for order in permutations(range(len(first))):
            described = _of_its_own(kind())
            counted += described.counted
            for place in order:
                writer.write(metered(described.spans[place]))
            assert booked_sums(dsn) == sums_of(counted), order
            assert writer.write(metered(*described.spans)).duplicates == len(first)
            assert booked_sums(dsn) == sums_of(counted), order


@pytest.mark.parametrize("kind", calls_described.KINDS)
def test_a_call_counts_once_in_one_batch(dsn: str, kind: Callable[[], Described]) -> None:
    """Each span twice in it; nothing needs to be reversed then."""
    described = [_of_its_own(kind()) for _ in range(20)]
    spans = [span for each in described for span in each.spans] * 2
    random.Random(1).shuffle(spans)
    with LedgerWriter(dsn) as writer:
        written = writer.write(metered(*spans))
    assert (written.inserted, written.duplicates) == (len(spans) // 2, len(spans) // 2)
    counted = [span for each in described for span in each.counted]
    assert booked_sums(dsn) == sums_of(counted)
    assert query(dsn, "TABLE adjustments") == []


def test_a_call_counts_once_between_receivers(dsn: str) -> None:
    """Four at once, each with all spans in an order of its own."""
    described = [_of_its_own(kind()) for kind in calls_described.KINDS * 8]
    spans = [span for each in described for span in each.spans]
    counted = [span for each in described for span in each.counted]

    def deliver(seed: int) -> None:
        mine = random.Random(seed).sample(spans, len(spans))
        with LedgerWriter(dsn) as writer:
            for start in range(0, len(mine), 7):
                writer.write(metered(*mine[start : start + 7]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, range(4)))
    assert query(dsn, "SELECT count(*) FROM usage_events") == [(len(spans),)]
    assert booked_sums(dsn) == sums_of(counted)


def test_a_further_description_shows_what_it_said_and_what_counts(dsn: str) -> None:
    parent = framework()
    child = ours(**inside(parent))
    with LedgerWriter(dsn) as writer:
        assert writer.write(metered(parent, child)).same_call == 1
    (row,) = query(
        dsn,
        "SELECT billable_state, billable_reason, cost, cost_quality, input_tokens, raw_usage,"
        " duplicate_of_trace_id, duplicate_of_span_id, duplicate_of_time"
        " FROM usage_events WHERE billable_state = 'ignored'",
    )
    assert row[:5] == ("ignored", "duplicate-1", 0, "exact", None)
    assert row[5] == {"input_tokens": 1000, "output_tokens": 50}
    assert row[6:] == (child.trace_id, child.span_id, child.time)


def test_what_counts_nothing_is_in_no_report(dsn: str) -> None:
    """The framework's spans had no tenant: what is unattributed adds up to nothing, and is not shown."""
    described = [kind() for kind in (calls_described.by_id, calls_described.parent_and_child)]
    with LedgerWriter(dsn) as writer:
        for each in described:
            for span in reversed(each.spans):
                writer.write(metered(span))
    with closing(connect(dsn)) as connection:
        (row,) = usage_report(connection, ["tenant_id"])
    assert (row.dimensions["tenant_id"], row.requests) == ("acme", 2)
    assert query(dsn, "TABLE unattributed_usage") == []


def test_what_was_superseded_is_reversed_with_a_reference(dsn: str) -> None:
    first = framework(response_id=calls_described.ID, quantities={"pages": Decimal("1.5")})
    better = ours(response_id=calls_described.ID)
    with LedgerWriter(dsn) as writer:
        writer.write(metered(first))
        assert writer.write(metered(better)).same_call == 0
    (row,) = query(
        dsn,
        "SELECT reason, reference, adjusted_span_id, requests, cost, quantities FROM adjustments",
    )
    reference = f"span {better.trace_id.hex()} {better.span_id.hex()} {better.time.isoformat()}"
    assert first.cost is not None
    assert row == ("superseded", reference, first.span_id, -1, -first.cost, {"pages": "-1.5"})


@pytest.mark.parametrize(
    "other", [{"input_tokens": 5000}, {"tenant_id": "globex"}, {"response_id": "another"}]
)
def test_other_numbers_under_a_known_key_are_set_aside(dsn: str, other: dict[str, object]) -> None:
    """In a later batch and in the same; the first stays as it is, and a true span of that id is booked."""
    first = event(response_id=None)
    changed = first._replace(**other)  # type: ignore[arg-type]
    neighbour = event()
    with LedgerWriter(dsn) as writer:
        writer.write(metered(first))
        written = writer.write(metered(neighbour, changed))
        assert (written.inserted, written.duplicates, written.rejected) == (1, 0, 1)
        assert [(each.index, each.reason) for each in written.refused] == [(1, CONFLICT)]
        assert writer.write(metered(changed)).rejected == 0
        kept = query(dsn, "SELECT reason, span_id, payload FROM rejected_spans")
        assert kept == [(CONFLICT, first.span_id, payload(changed))]
        true = event(response_id=changed.response_id)
        assert writer.write(metered(true)).same_call == 0
    assert booked_sums(dsn) == sums_of([first, neighbour, true])


@pytest.mark.parametrize(
    "kind",
    [
        calls_described.by_id,
        calls_described.parent_and_child,
        calls_described.an_estimate_and_a_count,
    ],
)
@pytest.mark.parametrize("other", [{"input_tokens": 5000}, {"tenant_id": "globex"}])
def test_a_further_description_with_other_numbers_is_set_aside(
    dsn: str, kind: Callable[[], Described], other: dict[str, Any]
) -> None:
    """What counts stays as it is, and so does a description that is sent again as it was."""
    spans, counted = kind()
    (described,) = [span for span in spans if span not in counted]
    changed = described._replace(**other)
    with LedgerWriter(dsn) as writer:
        for span in spans:
            writer.write(metered(span))
        again = writer.write(metered(*spans))
        assert (again.inserted, again.duplicates, again.refused) == (0, len(spans), ())
        written = writer.write(metered(changed))

    assert [each.reason for each in written.refused] == [CONFLICT]
    assert (written.inserted, written.rejected) == (0, 1)
    assert booked_sums(dsn) == sums_of(counted)


def test_a_row_is_booked_once_even_when_its_identity_was_forgotten(dsn: str) -> None:
    """The calls of the batch look new; the ledger's own key tells which are not."""
    booked, fresh = event(), event()
    with LedgerWriter(dsn) as writer, closing(connect(dsn)) as connection:
        writer.write(metered(booked))
        assert forget_calls(connection, booked.time + timedelta(days=1)) == 1
        written = writer.write(metered(booked, fresh))
    assert (written.inserted, written.duplicates, written.rejected) == (1, 1, 0)
    assert booked_sums(dsn) == sums_of([booked, fresh])


def test_a_batch_that_brings_one_call_again_books_the_others(dsn: str) -> None:
    known, fresh = ours(), [ours() for _ in range(3)]
    with LedgerWriter(dsn) as writer:
        writer.write(metered(known))
        written = writer.write(metered(fresh[0], known, *fresh[1:]))
    assert (written.inserted, written.duplicates, written.rejected) == (3, 1, 0)
    assert booked_sums(dsn) == sums_of([known, *fresh])
    assert query(dsn, "SELECT count(*) FROM provider_calls") == [(4,)]


def test_a_span_is_found_to_be_around_one_of_very_many_calls_of_its_trace(plain_dsn: str) -> None:
    """All of them within its time, and booked before it; and an agent that began when they were under way."""
    around = framework(duration=timedelta(seconds=30))
    calls = [ours(trace_id=around.trace_id) for _ in range(600)]
    child = ours(**inside(around))
    agent = framework(
        operation="invoke_agent",
        trace_id=around.trace_id,
        parent_span_id=b"handler!",
        time=around.time + timedelta(seconds=1),
        input_tokens=7,
    )
    beside = [
        ours(trace_id=around.trace_id, parent_span_id=b"handler!", input_tokens=6)
        for _ in range(300)
    ]
    with LedgerWriter(plain_dsn) as writer:
        writer.write(metered(*beside, *calls, child))
        assert writer.write(metered(around, agent)).same_call == 2
    assert booked_sums(plain_dsn) == sums_of([*beside, *calls, child])


def _of_its_own(described: Described) -> Described:
    """With an id that no other has, where it has the one that all share."""
    own = random.Random().randbytes(16).hex()

    def renamed(each: UsageEvent) -> UsageEvent:
        renamed = each.response_id and each.response_id.replace(calls_described.ID, own)
        return each._replace(response_id=renamed)

    return Described(
        [renamed(each) for each in described.spans], [renamed(each) for each in described.counted]
    )


def test_the_kinds_are_all_different() -> None:
    assert max(Counter(calls_described.KINDS).values()) == 1
