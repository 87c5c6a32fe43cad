"""Whatever a span holds, it becomes an event, or none, or is refused by name."""

import json
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering import attributes as names
from spanmeter.metering.attribution import PLACES
from spanmeter.metering.dialects import DIALECTS, TELLTALES
from spanmeter.metering.reading import MAX_COUNT
from spanmeter.metering.span import AttributeValue
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import CHAT, METER, NOW, span

ANY_TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["chat", "openai", "gpt-4o-mini", "anthropic", "batch", "provider", "\0", "\ud800", "{}", "1e9"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 5000)
    | st.floats()
    | ANY_TEXT
    | st.binary(max_size=20)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
WIRE = sorted(
    {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    | {"anthropic.usage.cache_creation.ephemeral_1h_input_tokens", "openai.response.service_tier"}
)
FAMILIES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(
            [
                names.USAGE_DIMENSION_PREFIX,
                names.USAGE_CACHE_WRITE_PREFIX,
                names.USAGE_QUANTITY_PREFIX,
            ]
        ),
        ANY_TEXT | st.sampled_from(["5m", "web_searches", "cache_audio_read_tokens"]),
        st.sampled_from(["", names.USAGE_CACHE_WRITE_SUFFIX]),
    ),
)
ATTRIBUTES: st.SearchStrategy[dict[str, AttributeValue]] = st.dictionaries(
    st.sampled_from(WIRE) | FAMILIES, VALUES, max_size=12
)
COUNTS = st.integers(0, 10**6)

SCOPES = ["somebody's", *(scope for dialect in DIALECTS for scope in dialect.scopes)]
KINDS = sorted({kind for dialect in DIALECTS for kind in dialect.calls} | {"invoke_agent"})
NAMES_OF_ANYBODY = sorted(
    TELLTALES
    | {
        place.partition("/")[0]
        for dialect in DIALECTS
        for places in (*dialect.places.values(), dialect.total, *PLACES.values())
        for place in places
    }
)
FOREIGN_ATTRIBUTES: st.SearchStrategy[dict[str, AttributeValue]] = st.dictionaries(
    st.sampled_from(NAMES_OF_ANYBODY),
    VALUES | st.sampled_from(KINDS) | VALUES.map(partial(json.dumps, default=str)),
    max_size=14,
)


def outcome_of(attributes: dict[str, AttributeValue], /, **fields: Any) -> UsageEvent | None:
    """The event, if there is one. Anything but `Unmeterable` passes through, and fails the test."""
    try:
        return METER.meter(span(attributes)._replace(**fields), NOW)
    except Unmeterable as raised:
        refusal = raised
    assert refusal.reason.isidentifier()
    assert len(refusal.detail) < 3000
    return None


def check_row(event: UsageEvent) -> None:
    """What the ledger's constraints, and those of PostgreSQL's types, demand."""
    assert (event.cost is None) == (event.cost_quality == "unpriced")
    assert event.cost is None or (event.rate_version is not None and event.cost >= 0)
    cached = (event.cache_read_input_tokens or 0) + (event.cache_write_input_tokens or 0)
    assert cached <= (event.input_tokens or 0)
    for value in event:
        if isinstance(value, str):
            assert "\0" not in value
            assert len(value.encode()) <= 16_384
        elif isinstance(value, int):
            assert 0 <= value <= 3 * MAX_COUNT
        elif isinstance(value, dict):
            encoded = json.dumps(value, default=str, ensure_ascii=False)
            assert "\\u0000" not in encoded
            encoded.encode()


@given(ATTRIBUTES)
def test_any_attributes_are_an_event_or_are_refused_by_name(
    attributes: dict[str, AttributeValue],
) -> None:
    event = outcome_of(attributes)
    if event is not None:
        check_row(event)


@given(st.sampled_from(SCOPES), st.sampled_from(["", "0.1.2", "x"]), FOREIGN_ATTRIBUTES)
def test_any_attributes_of_any_emitter_are_an_event_or_none_or_are_refused_by_name(
    scope: str, version: str, attributes: dict[str, AttributeValue]
) -> None:
    event = outcome_of({}, attributes=attributes, scope_name=scope, scope_version=version, kind=3)
    if event is not None:
        check_row(event)


@given(
    st.binary(max_size=20),
    st.binary(max_size=10),
    st.binary(max_size=10),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    ANY_TEXT,
)
def test_any_ids_and_times_are_an_event_or_are_refused_by_name(
    trace_id: bytes, span_id: bytes, parent: bytes, start_ns: int, end_ns: int, scope: str
) -> None:
    event = outcome_of(
        {},
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        start_ns=start_ns,
        end_ns=end_ns,
        scope_name=scope,
    )
    if event is not None:
        check_row(event)


@given(st.dictionaries(st.sampled_from(["service.name", "deployment.environment.name"]), VALUES))
def test_any_resource_is_an_event_or_is_refused_by_name(resource: dict[str, Any]) -> None:
    event = outcome_of({}, resource=resource)
    if event is not None:
        check_row(event)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_consistent_counts_are_always_booked_and_cost_the_sum_of_their_parts(
    read: int, five: int, hour: int, rest: int, output: int
) -> None:
    """Claude Opus 4.6, without tiers: 0.50 read, 6.25 and 10 written, 5 in, 25 out for a million."""
    event = outcome_of(
        {
            **CHAT,
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-opus-4-6",
            names.INPUT_TOKENS: read + five + hour + rest,
            names.CACHE_READ_INPUT_TOKENS: read,
            names.cache_write("5m"): five,
            names.cache_write("1h"): hour,
            names.OUTPUT_TOKENS: output,
        }
    )
    assert event is not None
    check_row(event)
    millions = read * 50 + five * 625 + hour * 1000 + rest * 500 + output * 2500
    assert event.cost == Decimal(millions).scaleb(-8)
