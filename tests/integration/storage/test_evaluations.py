"""Evaluations find their calls, whichever of the two comes first and however many spans describe the call."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from booking import NOON, adjust, event, metered, query
from spanmeter.metering.evaluation import evaluation
from spanmeter.storage.connection import connect
from spanmeter.storage.evaluations import Scored, quality
from spanmeter.storage.ledger import LedgerWriter

CALLS = "SELECT score, trace_id, span_id, cost FROM evaluated_calls ORDER BY score"

RESPONSE = "chatcmpl-0123456789abcdefghij"


def scored(score: int, **fields: Any) -> Scored:
    """A score of what is named, given an hour after noon."""
    return Scored(
        evaluation(
            "relevance",
            score=Decimal(score),
            label=None,
            error_type=None,
            time=NOON + timedelta(hours=1),
            **{"span": None, "response_id": None, **fields},
        ),
        "otlp",
    )


@pytest.mark.parametrize("first", ["calls", "evaluations"])
def test_an_evaluation_finds_its_call_whichever_comes_first(dsn: str, first: str) -> None:
    by_span, by_response = event(cost=Decimal("0.1")), event(response_id=RESPONSE)
    told = [
        scored(1, span=(by_span.trace_id, by_span.span_id)),
        scored(2, response_id=RESPONSE),
        scored(3, span=(bytes(16), bytes(8))),
        scored(4, response_id="short"),
    ]
    calls = metered(by_span, by_response)
    with LedgerWriter(dsn) as writer:
        if first == "calls":
            writer.write(calls)
        assert writer.write((), evaluations=told).evaluations == 4
        writer.write(calls)
    assert query(dsn, CALLS) == [
        (1, by_span.trace_id, by_span.span_id, Decimal("0.1")),
        (2, by_response.trace_id, by_response.span_id, by_response.cost),
    ]
    known = 2 if first == "calls" else 0
    assert query(dsn, "SELECT count(call_time) FROM evaluations") == [(known,)]


def test_a_call_costs_the_same_by_whichever_of_its_spans_it_is_evaluated(dsn: str) -> None:
    ours = event(response_id=RESPONSE, cost=Decimal("0.25"))
    other = event(
        response_id=RESPONSE,
        trace_id=ours.trace_id,
        cost=Decimal("0.25"),
        dialect="openllmetry",
        scope_name="opentelemetry.instrumentation.openai",
    )
    with LedgerWriter(dsn) as writer:
        writer.write(metered(ours))
        writer.write(metered(other))
        told = [scored(1, span=(each.trace_id, each.span_id)) for each in (ours, other)]
        writer.write((), evaluations=told)
    assert query(dsn, "SELECT sum(requests), sum(cost) FROM ledger") == [(1, Decimal("0.25"))]
    assert {row[3] for row in query(dsn, CALLS)} == {Decimal("0.25")}


def test_a_cost_is_the_one_that_is_corrected_exactly(dsn: str) -> None:
    call = event(cost=None, rate_version=None, cost_quality="unpriced")
    least = Decimal("0.000000000000000001")
    with LedgerWriter(dsn) as writer:
        writer.write(metered(call), evaluations=[scored(5, span=(call.trace_id, call.span_id))])
    assert query(dsn, CALLS)[0][3] is None
    adjust(
        dsn,
        adjusted_trace_id=call.trace_id,
        adjusted_span_id=call.span_id,
        adjusted_time=call.time,
        cost=least,
    )
    assert query(dsn, CALLS)[0][3] == least
    with connect(dsn) as connection:
        (row,) = quality(connection, "relevance", (), NOON, NOON + timedelta(days=1))
    assert (row.cost, row.cost_per_point, row.scored) == (least, least / 5, 1)


def test_evaluations_are_only_ever_added(dsn: str) -> None:
    with LedgerWriter(dsn) as writer:
        writer.write((), evaluations=[scored(1, response_id=RESPONSE)])
    for change in (
        "UPDATE evaluations SET score = 2",
        "DELETE FROM evaluations",
        "TRUNCATE evaluations",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            query(dsn, change)
