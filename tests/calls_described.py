"""Calls to a provider as several spans describe them, and the events that must be left in the sums."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from booking import NOON, event
from spanmeter.metering.usage_event import UsageEvent

ID = "chatcmpl-C8pXhWqDJ2Pe6vYJ0R1"
USAGE: dict[str, Any] = {"cache_read_input_tokens": None, "reasoning_output_tokens": None}


class Described(NamedTuple):
    """Events of spans, in the order they ended in, and those that must be counted."""

    spans: list[UsageEvent]
    counted: list[UsageEvent]


def framework(**fields: Any) -> UsageEvent:
    """A span of another library: it knows no tenant, and no id unless it is told."""
    return event(
        **{
            **USAGE,
            "scope_name": "openinference.instrumentation.langchain",
            "tenant_id": None,
            "duration": timedelta(seconds=3),
            **fields,
        }
    )


def ours(**fields: Any) -> UsageEvent:
    """A span of our own, inside the time of a framework's."""
    later = NOON + timedelta(seconds=1)
    return event(**{**USAGE, "time": later, "response_id": os.urandom(16).hex(), **fields})


def inside(parent: UsageEvent) -> dict[str, bytes]:
    """The ids of a span directly inside of another."""
    return {"trace_id": parent.trace_id, "parent_span_id": parent.span_id}


def by_id() -> Described:
    """Two instrumentations side by side; the better comes first or last."""
    one = framework(response_id=ID)
    other = ours(trace_id=one.trace_id, response_id=ID)
    return Described([other, one], [other])


def client_and_gateway() -> Described:
    """Another trace, another provider's name."""
    client = ours(response_id=ID, provider="openai_compatible", cost=Decimal("0.5"))
    gateway = framework(response_id=ID, provider="azure.ai.openai")
    return Described([gateway, client], [client])


def an_estimate_and_a_count() -> Described:
    """The provider's numbers count, whoever has the tenant."""
    one = ours(response_id=ID, usage_source="estimate", input_tokens=900)
    other = framework(response_id=ID, tenant_id="acme", input_tokens=1000)
    return Described([one, other], [other])


def fetched_twice() -> Described:
    """The result of a batch, read again two days later: nothing new is known by then."""
    first = ours(response_id=ID, service_tier="batch")
    again = ours(response_id=ID, service_tier="batch", time=first.time + timedelta(days=2))
    return Described([first, again], [first])


def polled_by_two() -> Described:
    """A response that was made in the background, and that two processes wait for."""
    kept = {"response_id": f"resp_{ID}"}
    first = ours(**kept)
    return Described([first, ours(**kept, time=first.time + timedelta(hours=1))], [first])


def one_id_for_all() -> Described:
    """A gateway gives all its responses one id: they differ in what they used, or in when."""
    calls = [
        ours(response_id=ID),
        ours(response_id=ID, time=NOON + timedelta(minutes=5)),
        ours(response_id=ID, input_tokens=999),
        ours(response_id=ID, response_model="gpt-5-nano"),
    ]
    return Described(calls, calls)


def one_id_for_all_told_of_twice() -> Described:
    """... and each is told of by the framework as well, around it or beside it."""
    around, beside = framework(response_id=ID), framework(response_id=ID, input_tokens=7)
    calls = [ours(response_id=ID, **inside(around)), ours(response_id=ID, input_tokens=7)]
    return Described([*calls, beside, around], calls)


def one_id_for_a_request() -> Described:
    """A gateway calls all attempts of a request by the request's id; the framework's span is around both."""
    outer = framework(response_id=ID)
    attempts = [
        ours(response_id=ID, time=NOON + timedelta(seconds=1.5 * n), **inside(outer))
        for n in (0, 1)
    ]
    return Described([*attempts, outer], attempts)


def parent_and_child() -> Described:
    """Embeddings have no id."""
    parent = framework()
    child = ours(response_id=None, **inside(parent))
    return Described([child, parent], [child])


def a_chain() -> Described:
    """Three layers; the outermost and the innermost are only linked by the one between."""
    outer = framework()
    middle = framework(**inside(outer))
    inner = ours(**inside(middle))
    return Described([inner, middle, outer], [inner])


def two_equal_calls_in_one_span() -> Described:
    """The span around them describes the last of two attempts: two calls, all the same."""
    outer = framework()
    attempts = [ours(**inside(outer)) for _ in range(2)]
    return Described([*attempts, outer], attempts)


def an_agent_and_its_calls() -> Described:
    """The agent's usage is the sum of its calls', which are not directly inside."""
    agent = framework(operation="invoke_agent", input_tokens=2000, output_tokens=100)
    calls = [ours(trace_id=agent.trace_id, parent_span_id=os.urandom(8)) for _ in range(2)]
    return Described([*calls, agent], calls)


def an_agent_in_an_agent() -> Described:
    """Only the innermost is known to hold a call."""
    outer = framework(operation="invoke_agent", input_tokens=2000)
    inner = framework(operation="invoke_agent", time=outer.time + timedelta(1e-6), **inside(outer))
    call = ours(**inside(inner))
    return Described([call, inner, outer], [call])


def a_hosted_agent() -> Described:
    """It has no calls inside; the call beside it is another."""
    root = os.urandom(8)
    agent = framework(operation="invoke_agent", parent_span_id=root, tenant_id="acme")
    beside = ours(trace_id=agent.trace_id, parent_span_id=root)
    return Described([beside, agent], [agent, beside])


def numbered_ids() -> Described:
    """Ollama's ids come round again."""
    calls = [ours(response_id="chatcmpl-7") for _ in range(2)]
    return Described(calls, calls)


def a_moved_start() -> Described:
    """A span without an id that is sent again with another start."""
    one = ours(response_id=None, time=NOON)
    return Described([one, one._replace(time=NOON + timedelta(microseconds=1))], [one])


def unequal_usage() -> Described:
    """A call inside another's span that is not the same."""
    outer = framework(tenant_id="acme")
    call = ours(input_tokens=7, **inside(outer))
    return Described([call, outer], [call, outer])


KINDS = (
    by_id,
    client_and_gateway,
    an_estimate_and_a_count,
    fetched_twice,
    polled_by_two,
    one_id_for_all,
    one_id_for_all_told_of_twice,
    one_id_for_a_request,
    parent_and_child,
    a_chain,
    two_equal_calls_in_one_span,
    an_agent_and_its_calls,
    an_agent_in_an_agent,
    a_hosted_agent,
    numbered_ids,
    a_moved_start,
    unequal_usage,
)
