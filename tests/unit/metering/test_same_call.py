"""Which events describe one call, and which of two descriptions is worth more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from calls_described import framework, inside, ours
from spanmeter.metering.same_call import (
    RULE,
    as_duplicate,
    call_key,
    describes_child,
    encloses,
    supersedes,
)

LONG = "msg_01XFDUDYJgAACzvnptvVoYEL"


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether the identities of two calls are one."""
    return call_key(ours(**one)) == call_key(ours(**other))


def test_a_providers_id_is_a_call_whoever_tells_it() -> None:
    assert same({"response_id": LONG}, {"response_id": LONG, "provider": "azure.ai.openai"})
    assert not same({"response_id": LONG}, {"response_id": LONG[:-1] + "M"})


def test_a_short_id_is_the_providers_own() -> None:
    assert same({"response_id": "resp-a1b2"}, {"response_id": "resp-a1b2"})
    assert not same({"response_id": "resp-a1b2"}, {"response_id": "resp-a1b2", "provider": "groq"})


@pytest.mark.parametrize("number", ["chatcmpl-7", "7", "chatcmpl-998", "cmpl_0"])
def test_a_number_is_a_call_only_among_the_equal_ones_of_a_trace(number: str) -> None:
    trace = {"trace_id": bytes(range(16)), "response_id": number}
    assert same(trace, trace)
    assert not same(trace, {"response_id": number})
    assert not same(trace, {**trace, "input_tokens": 5000})


def test_without_an_id_a_call_is_its_span() -> None:
    span = {"trace_id": bytes(range(16)), "span_id": bytes(range(8)), "response_id": None}
    assert same(span, {**span, "input_tokens": 7})
    assert not same(span, {**span, "span_id": bytes(8)})


@pytest.mark.parametrize(
    ("other", "one_call"),
    [
        ({}, True),
        ({"input_tokens": 999}, False),
        ({"output_tokens": 51}, False),
        ({"time": framework().time + timedelta(seconds=4)}, False),
        ({"parent_span_id": bytes(8)}, False),
    ],
)
def test_a_span_and_the_one_inside_it_are_one_call_if_they_used_the_same(
    other: dict[str, Any], *, one_call: bool
) -> None:
    parent = framework()
    child = ours(**inside(parent))._replace(**other)
    assert describes_child(parent, child) is one_call
    assert not describes_child(child, parent)


def test_two_ids_are_two_calls() -> None:
    parent = framework(response_id=LONG)
    assert not describes_child(parent, ours(**inside(parent)))
    assert describes_child(parent, ours(response_id=LONG, **inside(parent)))


def test_calls_without_usage_are_not_taken_for_one() -> None:
    parent = framework(input_tokens=None, output_tokens=None)
    child = ours(input_tokens=None, output_tokens=None, **inside(parent))
    assert not describes_child(parent, child)


def test_an_agent_encloses_what_is_made_during_it() -> None:
    agent = framework(operation="invoke_agent", parent_span_id=b"handler!")
    assert encloses(agent, ours(trace_id=agent.trace_id))
    assert not encloses(agent, ours())
    assert not encloses(agent, ours(trace_id=agent.trace_id, parent_span_id=b"handler!"))
    assert not encloses(agent, ours(trace_id=agent.trace_id, span_id=b"handler!"))
    late = agent.time + timedelta(seconds=4)
    assert not encloses(agent, ours(trace_id=agent.trace_id, time=late))
    assert not encloses(framework(), ours())


def test_a_description_supersedes_one_that_knows_less_and_says_otherwise() -> None:
    counted = framework()
    assert supersedes(ours(), counted)
    assert not supersedes(counted, ours())
    assert not supersedes(ours(tenant_id=None), counted), "it says the same"
    assert supersedes(ours(tenant_id=None, input_tokens=7), counted)
    assert not supersedes(ours(usage_source="estimate"), counted)


def test_a_duplicate_counts_nothing_and_shows_what_was_reported() -> None:
    event = as_duplicate(ours(cache_read_input_tokens=200))
    assert event.input_tokens is None
    assert event.output_tokens is None
    assert event.cost == 0
    assert (event.billable_state, event.billable_reason) == ("ignored", RULE)
    assert event.raw_usage is not None
    assert '"cache_read_input_tokens": 200' in event.raw_usage
    assert as_duplicate(ours(raw_usage="{}")).raw_usage == "{}"
