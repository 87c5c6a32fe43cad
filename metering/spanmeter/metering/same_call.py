"""When two usage events describe one call to a provider, and which of them counts.

A framework's span and the SDK's, two instrumentations side by side, a client and its gateway, a result that is
fetched twice: each is metered, and the provider charges once. An id alone proves nothing: some gateways give all
responses the same, and some the id of the request that they were made for.
"""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

from spanmeter.metering import attributes as names
from spanmeter.metering.usage_event import UsageEvent

RULE: Final = "duplicate-1"
"""The rule that a further description of a call is booked by: ignored, and nothing of it counted."""

WRAPPERS: Final = frozenset({names.INVOKE_AGENT})
"""Operations whose usage is that of the calls made inside them, wherever those have spans of their own."""

LONG_ID: Final = 20
"""Characters. Ids as long as providers' own are unique whoever tells them: a gateway names another provider."""

NUMBERED: Final = re.compile(r"[A-Za-z]*[-_]?[0-9]{1,9}")
"""Ids that are a word and a number come round again: Ollama draws `chatcmpl-0` to `chatcmpl-998`."""

KEPT: Final = re.compile(r"(resp|run|video|batch|v1)_.*")
"""Ids of what providers keep to be fetched, then and later: OpenAI's responses, runs of assistants and videos,
Google's interactions. So they keep the results of batches, whose ids are like all others."""

BATCH: Final = "batch"
"""The service tier of the results of batches."""

SLACK: Final = timedelta(seconds=10)
"""How far the clocks of a client's and a gateway's machines may be apart."""

SOURCES: Final = {"none": 0, "estimate": 1, "tokenizer": 2, "provider": 3}

# What a further description may say otherwise, and still be no better: where it stands, and how it went.
_IMMATERIAL: Final = frozenset(
    {
        *("time", "span_id", "parent_span_id", "trace_id", "callsite", "response_id", "attempt"),
        *("error_type", "duration", "time_to_first_token", "raw_usage", "usage_source"),
        *("dialect", "scope_name", "scope_version", "billable_reason", "attributed_by"),
    }
)
_MATERIAL: Final = tuple(
    place for place, name in enumerate(UsageEvent._fields) if name not in _IMMATERIAL
)
_NO_COUNTS: Final[dict[str, Any]] = {
    name: None for name in UsageEvent._fields if name.endswith("_tokens")
}


def call_key(event: UsageEvent) -> bytes:
    """The identity of the call, 16 bytes: what the provider calls it, or without that the span that it has."""
    response_id = event.response_id
    if response_id is None:
        # Without the time: a span that is sent again with another start is the same call.
        return blake2b(event.trace_id + event.span_id, digest_size=16).digest()
    if len(response_id) < LONG_ID:
        response_id = _qualified(event, response_id)
    return _response_digest(response_id)


def response_key(response_id: str) -> bytes | None:
    """`call_key` of any call whose response has this id; `None` where that takes more than the id."""
    return None if len(response_id) < LONG_ID else _response_digest(response_id)


def shared_key(event: UsageEvent) -> bytes:
    """The identity of a call whose id another call has too, 16 bytes: the id, and what was used."""
    told = f"{event.response_id}\0{event.input_tokens}\0{event.output_tokens}"
    return blake2b(told.encode(), digest_size=16, person=b"shared id").digest()


def shares_call(one: UsageEvent, other: UsageEvent) -> bool:
    """Whether two events with the same id, neither directly inside the other, are one call: they used the same, and at
    the same time unless it is what can be fetched again.

    Without an id they are: it is the same span, sent with another start.
    """
    if one.response_id is None:
        return True
    if _used_otherwise(one, other) or _ran_otherwise(one, other):
        return False
    if _is_kept(one) and _is_kept(other):
        return True
    if one.scope_name == other.scope_name:
        # One instrumentation tells of an attempt once: it is the client's and the gateway's, or two calls.
        return _spans(one, other) or _spans(other, one)
    return one.time <= _end(other) + SLACK and other.time <= _end(one) + SLACK


def is_ours(event: UsageEvent) -> bool:
    """Whether our own instrumentation made the span: it describes each attempt once."""
    return event.scope_name.startswith(names.SCOPE_PREFIX)


def is_wrapper(event: UsageEvent) -> bool:
    """Whether the event counts only while no call inside it is known."""
    return event.operation in WRAPPERS


def is_inside(inner: UsageEvent, outer: UsageEvent) -> bool:
    """Whether a span is directly inside another."""
    return inner.trace_id == outer.trace_id and inner.parent_span_id == outer.span_id


def describes_child(parent: UsageEvent, child: UsageEvent) -> bool:
    """Whether a span and the span directly inside it are one call: equal usage, at the same time, and not two
    ids."""
    return (
        is_inside(child, parent)
        and bool(child.input_tokens or child.output_tokens)
        and parent.input_tokens == child.input_tokens
        and parent.output_tokens == child.output_tokens
        and parent.time <= child.time + child.duration
        and child.time <= parent.time + parent.duration
        and (
            None in {parent.response_id, child.response_id}
            or parent.response_id == child.response_id
        )
    )


def encloses(wrapper: UsageEvent, call: UsageEvent) -> bool:
    """Whether the call was made inside the wrapper, as far as its trace tells."""
    return (
        is_wrapper(wrapper)
        and wrapper.trace_id == call.trace_id
        and wrapper.span_id != call.span_id
        and wrapper.time <= call.time <= wrapper.time + wrapper.duration
        # A span beside the wrapper is not inside it, and neither is the one around it.
        and (call.parent_span_id is None or call.parent_span_id != wrapper.parent_span_id)
        and call.span_id != wrapper.parent_span_id
    )


def rank(event: UsageEvent) -> tuple[int, bool, bool]:
    """Descriptions of one call in order of worth: who counted, whether the tenant is known, whether it is ours."""
    return SOURCES[event.usage_source], event.tenant_id is not None, is_ours(event)


def supersedes(event: UsageEvent, counted: UsageEvent) -> bool:
    """Whether a later description of a call must replace the one that counts: it knows more, and says otherwise."""
    return rank(event) > rank(counted) and any(
        event[place] != counted[place] for place in _MATERIAL
    )


def as_duplicate(event: UsageEvent) -> UsageEvent:
    """The event as a further description: it counts nothing and costs nothing; what it reported stays to be seen."""
    return event._replace(
        **_NO_COUNTS,
        cache_write_by_ttl={},
        quantities={},
        raw_usage=reported_usage(event),
        billable_state="ignored",
        billable_reason=RULE,
        cost=Decimal(0),
        rate_version=RULE,
        cost_quality="exact",
    )


def reported_usage(event: UsageEvent) -> str:
    """What stays to be seen of the usage of a further description: the provider's own block, or else the counts."""
    if event.raw_usage is not None:
        return event.raw_usage
    counts = {name: getattr(event, name) for name in _NO_COUNTS}
    known = {name: count for name, count in counts.items() if count is not None}
    return json.dumps(known | {unit: str(amount) for unit, amount in event.quantities.items()})


def _end(event: UsageEvent) -> datetime:
    return event.time + event.duration


def _spans(outer: UsageEvent, inner: UsageEvent) -> bool:
    return outer.time <= inner.time and _end(inner) <= _end(outer)


def _is_kept(event: UsageEvent) -> bool:
    kept = event.response_id is not None and KEPT.fullmatch(event.response_id) is not None
    return kept or event.service_tier == BATCH


def _used_otherwise(one: UsageEvent, other: UsageEvent) -> bool:
    """Whether both have counts of the provider's, and these differ."""
    if {one.usage_source, other.usage_source} != {names.SOURCE_PROVIDER}:
        return False
    return (one.input_tokens, one.output_tokens) != (other.input_tokens, other.output_tokens)


def _ran_otherwise(one: UsageEvent, other: UsageEvent) -> bool:
    """Whether one provider ran two models. A gateway may have names of its own for them."""
    models = {_model(one), _model(other)}
    return one.provider == other.provider and None not in models and len(models) > 1


def _model(event: UsageEvent) -> str | None:
    model = event.response_model
    return None if model is None else model.rpartition("/")[2].lower()


def _response_digest(response_id: str) -> bytes:
    return blake2b(response_id.encode(), digest_size=16).digest()


def _qualified(event: UsageEvent, response_id: str) -> str:
    """A short id is the provider's own; a mere number is unique at best among the equal calls of one trace."""
    qualified = f"{response_id}\0{event.provider}"
    if NUMBERED.fullmatch(response_id) is None:
        return qualified
    return f"{qualified}\0{event.trace_id.hex()}\0{event.input_tokens}\0{event.output_tokens}"
