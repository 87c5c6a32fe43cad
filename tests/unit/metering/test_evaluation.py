"""What an evaluation's event tells, and which of several ways to do the same are beaten by another."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.evaluation import MAX_LABEL, evaluation_told
from spanmeter.metering.frontier import Better, Standing, dominating
from spanmeter.metering.span import AttributeValue
from spanmeter.metering.unmeterable import Unmeterable

TRACE, SPAN = b"t" * 16, b"s" * 8
NOON = 1_795_000_000_000_000_000
NAME = {"gen_ai.evaluation.name": "relevance"}

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


def test_a_score_is_the_number_that_was_sent() -> None:
    told = evaluation_told(
        {
            **NAME,
            "gen_ai.evaluation.score.value": 0.1 + 0.2,
            "gen_ai.evaluation.score.label": "y" * 999,
        },
        trace_id=TRACE,
        span_id=SPAN,
        time_ns=NOON,
    )
    assert told.score == Decimal("0.3")
    assert told.label == "y" * MAX_LABEL


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "gen_ai.evaluation.name",
                "gen_ai.evaluation.score.value",
                "gen_ai.evaluation.score.label",
                "gen_ai.response.id",
                "error.type",
            ]
        ),
        VALUES,
    ),
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.integers(0, 2**64 - 1),
)
def test_whatever_is_sent_is_an_evaluation_or_unmeterable(
    attributes: dict[str, AttributeValue], trace_id: bytes, span_id: bytes, time_ns: int
) -> None:
    ids = {"trace_id": trace_id, "span_id": span_id}
    try:
        told = evaluation_told(attributes, **ids, time_ns=time_ns)
    except Unmeterable:
        return
    assert told == evaluation_told(attributes, **ids, time_ns=time_ns)
    assert told.response_id or (len(told.trace_id or b""), len(told.span_id or b"")) == (16, 8)
    assert not {told.score, told.label, told.error_type} <= {None}


def test_no_span_is_named_by_ids_of_zeros() -> None:
    attributes: dict[str, AttributeValue] = {**NAME, "gen_ai.evaluation.score.value": 1}
    with pytest.raises(Unmeterable, match="names a span"):
        evaluation_told(attributes, trace_id=bytes(16), span_id=bytes(8), time_ns=NOON)


def at(score: str, cost: str) -> Standing:
    return Standing(Decimal(score), Decimal(cost))


@pytest.mark.parametrize(
    ("better", "beaten_by"),
    [("higher", [None, "a", None, None, "c"]), ("lower", ["b", None, "b", None, "b"])],
)
def test_what_another_beats_in_both_is_dominated(
    better: Better, beaten_by: list[str | None]
) -> None:
    ways = {
        "a": at("0.9", "2"),
        "b": at("0.5", "2"),
        "c": at("0.95", "9"),
        "d": at("0.5", "1"),
        "e": at("0.9", "10"),
    }
    if better == "lower":
        ways["b"] = at("0.4", "2")
    assert dominating(list(ways), ways.get, better) == beaten_by


def test_equals_do_not_dominate_each_other_and_what_has_no_standing_is_aside() -> None:
    ways = {"a": at("1", "1"), "b": at("1", "1"), "c": None}
    assert dominating(list(ways), ways.get) == [None, None, None]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1))
def test_somebody_is_on_the_frontier_and_nobody_on_it_is_beaten(
    pairs: list[tuple[int, int]],
) -> None:
    ways = [Standing(Decimal(score), Decimal(cost)) for score, cost in pairs]
    found = dominating(range(len(ways)), lambda place: ways[place])
    assert None in found
    for place, other in enumerate(found):
        if other is not None:
            assert found[other] is None
            assert (ways[other].score, -ways[other].cost) >= (ways[place].score, -ways[place].cost)
