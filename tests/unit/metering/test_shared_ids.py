"""An id that many calls have proves nothing: what else must be the same for two events to be one call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls_described import ID, framework, ours
from spanmeter.metering.same_call import SLACK, shared_key, shares_call
from spanmeter.metering.usage_event import UsageEvent

seconds = st.integers(0, 3600).map(lambda number: timedelta(seconds=number))
counts = st.integers(0, 3)


@st.composite
def calls(draw: st.DrawFn) -> UsageEvent:
    """A call by a gateway that gives all its responses one id."""
    return ours(
        response_id=ID,
        time=ours().time + draw(seconds),
        duration=draw(seconds),
        input_tokens=draw(counts),
        output_tokens=draw(counts),
    )


def used(event: UsageEvent) -> tuple[int | None, int | None]:
    return event.input_tokens, event.output_tokens


def nested(one: UsageEvent, other: UsageEvent) -> bool:
    first, second = sorted((one, other), key=lambda each: (each.time, -each.duration))
    return second.time + second.duration <= first.time + first.duration


@given(calls(), calls())
def test_calls_of_one_instrumentation_are_one_only_inside_each_other_and_alike(
    one: UsageEvent, other: UsageEvent
) -> None:
    assert shares_call(one, other) is (used(one) == used(other) and nested(one, other))
    assert shares_call(other, one) is shares_call(one, other)


@given(calls(), seconds)
def test_another_instrumentation_tells_of_the_same_call_at_the_same_time(
    call: UsageEvent, later: timedelta
) -> None:
    told = framework(response_id=ID, time=call.time + later, **counts_of(call))
    assert shares_call(call, told) is (later <= call.duration + SLACK)
    assert not shares_call(call, told._replace(output_tokens=9))


@given(calls(), seconds)
def test_what_is_kept_can_be_fetched_again_at_any_time(call: UsageEvent, later: timedelta) -> None:
    of_a_batch = call._replace(service_tier="batch")
    for first in (of_a_batch, call._replace(response_id=f"resp_{ID}")):
        again = first._replace(time=first.time + 100 * later, duration=timedelta(0))
        assert shares_call(first, again)
        assert not shares_call(first, again._replace(input_tokens=9))


@pytest.mark.parametrize(
    ("other", "one_call"),
    [
        ({"usage_source": "estimate", "input_tokens": 900}, True),
        ({"usage_source": "none", "input_tokens": None, "output_tokens": None}, True),
        ({"input_tokens": 900}, False),
        ({"response_model": "openai/GPT-5-2025-08-07"}, True),
        ({"response_model": None}, True),
        ({"response_model": "gpt-5-nano"}, False),
        ({"response_model": "gpt-5-nano", "provider": "openai_compatible"}, True),
    ],
)
def test_what_a_further_description_may_say_otherwise(
    other: dict[str, Any], *, one_call: bool
) -> None:
    call, told = ours(response_id=ID), framework(response_id=ID, **other)
    assert shares_call(call, told) is one_call


def test_calls_that_share_an_id_are_told_apart_by_what_they_used() -> None:
    call = ours(response_id=ID)
    assert shared_key(call) == shared_key(framework(response_id=ID, **counts_of(call)))
    assert shared_key(call) != shared_key(call._replace(output_tokens=9))
    assert shared_key(call) != shared_key(call._replace(response_id="another id of 20+"))


def counts_of(call: UsageEvent) -> dict[str, Any]:
    return {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
