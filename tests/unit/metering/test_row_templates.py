"""A span like an earlier one becomes the row that it would have become without it."""

import gc
import sys
from collections.abc import Mapping
from datetime import timedelta
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card_rates import override
from spanmeter.metering import attributes as names
from spanmeter.metering.attribution import Attribution
from spanmeter.metering.billable_rules import DEFAULTS, read_rules
from spanmeter.metering.call_cost import CallCosts
from spanmeter.metering.called import read_called
from spanmeter.metering.meter import Meter
from spanmeter.metering.rates import Rates
from spanmeter.metering.row_templates import AT_ONCE, REMEMBERED, RowTemplates
from spanmeter.metering.span import AttributeValue, Span
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import CHAT, NOW, RATES, RESOURCE, metered, span
from unit.metering.test_fuzz_any_span import VALUES, WIRE

USUAL: Mapping[str, AttributeValue] = {
    **CHAT,
    "tenant.id": "acme",
    "user.id": "u-1",
    "usage.feature": "chat",
    "usage.attempt": 1,
    "usage.dimension.region": "emea",
    "usage.service_tier": "default",
    "usage.source": "provider",
    "usage.raw": '{"prompt_tokens":1000}',
    "usage.producer.sequence": 1,
    "http.response.status_code": 200,
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.usage.cache_read.input_tokens": 300,
    "gen_ai.usage.reasoning.output_tokens": 50,
    "gen_ai.usage.audio.input_tokens": 0,
}
"""What our own instrumentation says of nearly every call."""

CHANGES = st.dictionaries(
    st.sampled_from(sorted(USUAL)) | st.sampled_from(WIRE),
    VALUES | st.integers(0, 2000) | st.sampled_from(["", "acme", "gpt-4o", "batch", "trial"]),
    max_size=3,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "trace_id": st.binary(max_size=17) | st.binary(min_size=16, max_size=16),
        "span_id": st.sampled_from([bytes(8), b"", b"12345678"]),
        "parent_span_id": st.sampled_from([bytes(8), b"", b"1234", b"12345678"]),
        "start_ns": st.integers(0, 2**64 - 1),
        "end_ns": st.integers(0, 2**64 - 1),
        "failed": st.booleans(),
        "dropped_attributes": st.sampled_from([0, 3]),
        "scope_name": st.sampled_from(["spanmeter.openai", "spanmeter.\ud800", "somebody's", ""]),
        "scope_version": st.text(max_size=3),
        "resource": st.dictionaries(
            st.sampled_from([*RESOURCE, "deployment.environment", "tenant.id"]), VALUES
        ),
    },
)


def outcome(meter: Meter, one: Span) -> UsageEvent | tuple[str, str] | None:
    """What comes of a span, a refusal included: by a template where it has one."""
    usual = meter.usual([one], NOW)
    if usual:
        return usual[0]
    try:
        return meter.meter(one, NOW)
    except Unmeterable as refusal:
        return refusal.reason, refusal.detail


@given(CHANGES, CHANGES, FIELDS)
def test_what_came_before_changes_nothing(
    earlier: dict[str, Any], changes: dict[str, Any], fields: dict[str, Any]
) -> None:
    first = span({**USUAL, **earlier})
    then = span({**USUAL, **earlier, **changes})._replace(**fields)
    experienced = Meter(RATES)
    outcome(experienced, first)

    # Spelled out: 1, 1.0 and True are equal.
    assert repr(outcome(experienced, then)) == repr(outcome(Meter(RATES), then))


@given(CHANGES, st.lists(st.tuples(CHANGES, FIELDS), max_size=3))
def test_the_compiled_way_is_no_other(
    earlier: dict[str, Any], several: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    meter = Meter(RATES)
    first = span({**USUAL, **earlier})
    outcome(meter, first)
    spans = [first]
    spans += [
        span({**USUAL, **earlier, **changes})._replace(**fields) for changes, fields in several
    ]
    known = meter._templates  # pyright: ignore[reportPrivateUsage]
    expected = [*takewhile(bool, (known.event(one, NOW) for one in spans))]

    assert repr(known.events(spans, NOW)) == repr(expected)
    assert repr(known.events(spans, NOW, len(expected))) == "[]"


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 300), st.integers(0, 300))
def test_counts_cost_the_same_either_way(whole: int, output: int, read: int, thought: int) -> None:
    counts = {
        names.INPUT_TOKENS: whole,
        names.OUTPUT_TOKENS: output,
        names.CACHE_READ_INPUT_TOKENS: read,
        names.REASONING_OUTPUT_TOKENS: thought,
    }
    experienced = Meter(RATES)
    outcome(experienced, span(USUAL))

    found = outcome(experienced, span({**USUAL, **counts}))

    assert repr(found) == repr(outcome(Meter(RATES), span({**USUAL, **counts})))


RULED = """
otherwise = "billable"

[[rule]]
name = "silent"
state = "ignored"
when = { produced_output = false }

[[rule]]
name = "pilot"
state = "included"
when = { user = ["u-2"], feature = { glob = "cha*" } }
"""


@given(
    st.sampled_from(["acme", "globex", "initech", None]),
    st.sampled_from(["u-1", "u-2"]),
    st.sampled_from(["chat", "search"]),
    st.sampled_from([0, 100]),
)
def test_contracts_and_rules_that_look_at_who_called_are_kept_apart(
    tenant: str | None, user: str, feature: str, output: int
) -> None:
    contract = override(
        model="gpt-4o*", tenant_id="globex", input_tokens="1/1M", output_tokens="2/1M"
    )
    rates = Rates((*RATES.in_force, contract), version="test")
    rules = read_rules("ruled-1", RULED)
    other = {
        **USUAL,
        "tenant.id": tenant or "",
        "user.id": user,
        "usage.feature": feature,
        "gen_ai.usage.output_tokens": output,
        "gen_ai.usage.reasoning.output_tokens": 0,
    }
    if tenant is None:
        del other["tenant.id"]
    experienced = Meter(rates, rules)
    for seen in (USUAL, {**USUAL, "tenant.id": "globex"}, {**USUAL, "user.id": "u-2"}, other):
        outcome(experienced, span(seen))

    assert repr(outcome(experienced, span(other))) == repr(
        outcome(Meter(rates, rules), span(other))
    )


def templates(attribution: Attribution | None = None) -> RowTemplates:
    """Templates that have learnt the usual span."""
    found = RowTemplates(
        attribution or Attribution(), RATES, DEFAULTS, timedelta(days=400), timedelta(minutes=10)
    )
    learn(found, span(USUAL))
    return found


def learn(found: RowTemplates, one: Span) -> None:
    """Have the templates see what the meter makes of a span."""
    costs = CallCosts(RATES).token_costs(read_called(one.attributes, names.CHAT), NOW)
    found.learn(one, metered(one), costs, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tenant.id": "globex", "user.id": "u-2", "usage.feature": "search"},
        {"gen_ai.response.id": "chatcmpl-2", "usage.producer.sequence": 2},
        {names.INPUT_TOKENS: 5000, names.OUTPUT_TOKENS: 1, names.REASONING_OUTPUT_TOKENS: 0},
    ],
    ids=["the same", "another tenant", "another response", "other counts"],
)
def test_usual_spans_have_a_template(changes: dict[str, AttributeValue]) -> None:
    one = span({**USUAL, **changes})

    assert templates().event(one, NOW) == metered(one)


@pytest.mark.parametrize(
    "changes",
    [
        {"gen_ai.request.model": "gpt-4o"},
        {"usage.account_type": "trial"},
        {"usage.dimension.region": "apac"},
        {"usage.attempt": True},
        {"tenant.id": ""},
        {"metadata.tenant_id": "globex"},
        {names.INPUT_TOKENS: 10},
        {names.OUTPUT_TOKENS: 200.0},
    ],
    ids=" ".join,
)
def test_spans_that_say_something_else_have_none(changes: dict[str, AttributeValue]) -> None:
    assert templates().event(span({**USUAL, **changes}), NOW) is None


def test_a_tenant_looked_for_elsewhere_is_the_meters_affair() -> None:
    attribution = Attribution({"tenant": ["usage.feature"]})

    assert templates(attribution).event(span(USUAL), NOW) is None


def test_no_more_templates_are_kept_than_there_is_room_for() -> None:
    found = templates()
    for number in range(REMEMBERED):
        learn(found, span({**USUAL, "usage.dimension.region": f"region-{number}"}))

    assert 0 < len(found) <= REMEMBERED


def test_only_so_many_are_filled_in_at_once() -> None:
    assert len(templates().events([span(USUAL)] * (2 * AT_ONCE), NOW, AT_ONCE // 2)) == AT_ONCE


def test_filling_in_leaves_nothing_behind() -> None:
    found = templates()
    spans = [span({**USUAL, "user.id": f"u-{number}"}) for number in range(30)]
    spans.append(span({**USUAL, "usage.attempt": True}))
    assert len(found.events(spans, NOW)) == 30

    def fill_all() -> int:
        for _ in range(30):
            found.events(spans, NOW)
        gc.collect()
        return sys.getallocatedblocks()

    fill_all()
    before = fill_all()

    # A single object lost at each row would be 900 blocks.
    assert max(fill_all() for _ in range(4)) - before < 200
