"""A booked row computed again: it agrees as it was metered, and what was changed since is said."""

from decimal import Decimal
from typing import Any

import pytest

from spanmeter.metering.billable_rules import BUILT_IN
from spanmeter.metering.rechecking import recheck
from spanmeter.metering.same_call import as_duplicate
from spanmeter.metering.usage_event import UsageEvent
from unit.metering.spans import RATES, event_of


class Book:
    def named(self, version: str) -> Any:
        return BUILT_IN.get(version)


def differences(event: UsageEvent) -> tuple[str, ...]:
    return recheck(event, RATES, Book()).differences


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"gen_ai.usage.cache_read.input_tokens": 300, "usage.account_type": "trial"},
        {"gen_ai.request.model": "nobody-knows-it"},
        {"usage.billable_state": "included"},
        {"error.type": "500", "http.response.status_code": 500},
        {"usage.unit": "images", "usage.quantity": "2"},
        {"gen_ai.provider.name": "azure.ai.openai"},
        {"gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 300_000},
    ],
)
def test_a_row_as_it_was_metered_agrees(attributes: dict[str, Any]) -> None:
    assert differences(event_of(attributes)) == ()


def test_a_further_description_of_a_call_agrees() -> None:
    assert differences(as_duplicate(event_of())) == ()


def test_the_lines_add_up_to_the_cost() -> None:
    event = event_of({"gen_ai.usage.cache_read.input_tokens": 300})
    again = recheck(event, RATES, Book())
    assert sum(line.amount for line in again.cost.components) == event.cost
    assert [line.unit for line in again.cost.components] == [
        "cache_read_tokens",
        "input_tokens",
        "output_tokens",
    ]
    assert again.rule is not None
    assert again.rule.name == "otherwise"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cost": Decimal("0.00027001")}, "its cost is 0.00027001, and computed again 0.00027"),
        ({"input_tokens": 999}, "its cost is 0.00027, and computed again 0.00026985"),
        ({"cost": None, "cost_quality": "unpriced"}, "its cost is unpriced, and computed"),
        ({"cost_quality": "partial"}, "its cost quality is partial, and computed again exact"),
        ({"currency": "EUR"}, "its cost is in EUR, and its rate in USD"),
        ({"rate_version": "genai-prices/0#openai/x"}, "which no rate card has"),
        ({"rate_version": "refused-1"}, "computed again 0"),
        ({"billable_state": "ignored"}, "and decided again billable by defaults-1/otherwise"),
        ({"account_type": "trial"}, "and decided again included by defaults-1/trial"),
        ({"billable_reason": "rules-7/pilot"}, "this ledger has no such rules"),
        ({"billable_reason": ""}, "this ledger has no such rules"),
        ({"billable_reason": "duplicate-1"}, "it is billable by duplicate-1, which ignores"),
    ],
)
def test_what_was_changed_is_told(changed: dict[str, Any], told: str) -> None:
    (said,) = differences(event_of()._replace(**changed))
    assert told in said


def test_a_quantity_that_a_database_gave_back_as_text_counts_the_same() -> None:
    event = event_of({"usage.unit": "images", "usage.quantity": "2"})
    as_text: Any = {unit: str(amount) for unit, amount in event.quantities.items()}
    assert differences(event._replace(quantities=as_text)) == ()
