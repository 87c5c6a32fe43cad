"""Definitions of budgets: as written, as stored, and what can be none."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanmeter.metering.budgets.budget import Budget, BudgetError, FallbackRate
from spanmeter.metering.budgets.documents import as_document, read_budget, read_file
from spanmeter.metering.budgets.scopes import Scopes, counter_of, values_of

FILE = """
[budgets.acme-monthly]
scope = { tenant = "acme", feature = "*" }
limit = "500.000000000000000001"
window = "rolling 7d"
timezone = "tenant"
thresholds = ["50", 90]
action = "downgrade"
models = { "gpt-5" = "gpt-5-mini" }
unpriced = { input_per_million = "3", output_per_million = "15.5" }
fail = "closed"
max_wait = 2.5

[timezones]
acme = "Europe/Berlin"
"""


def test_a_file_says_what_it_says() -> None:
    read = read_file(FILE)
    assert read.timezones == {"acme": "Europe/Berlin"}
    budget = read.budgets["acme-monthly"]
    assert budget.scope == {"tenant.id": "acme", "usage.feature": "*"}
    assert budget.limit == Decimal("500.000000000000000001")
    assert budget.window.length == timedelta(days=7)
    assert budget.thresholds == (Decimal(50), Decimal(90))
    assert budget.unpriced == FallbackRate(Decimal(3), Decimal("15.5"), Decimal(0))
    assert budget.max_wait == timedelta(seconds=2.5)


@pytest.mark.parametrize("text", [FILE, '[budgets.a]\nscope={}\nlimit=0\nunpriced="refuse"\n'])
def test_what_is_stored_is_read_again_as_it_was(text: str) -> None:
    for name, budget in read_file(text).budgets.items():
        stored = json.loads(json.dumps(as_document(budget)))
        assert read_budget(name, stored) == budget


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"limit": None}, "limit"),
        ({"limit": 0.1}, "exact number"),
        ({"limit": "NaN"}, "no number"),
        ({"limit": "-1"}, "limit is no amount"),
        ({"limit": "1e400"}, "limit is no amount"),
        ({"scope": {"planet": "mars"}}, "is no dimension"),
        ({"scope": {"tenant": ""}}, "each value"),
        ({"metric": "unit:"}, "metric 'unit:'"),
        ({"currency": "usd"}, "currency"),
        ({"window": "fortnight"}, "window"),
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"thresholds": ["0"]}, "thresholds"),
        ({"action": "explode"}, "action 'explode'"),
        ({"fail": "half"}, "neither open nor closed"),
        ({"action": "downgrade"}, "needs `models`"),
        ({"max_wait": 9000}, "max_wait"),
        ({"unpriced": {"dollars": 3}}, "dollars"),
        ({"output_tokens": True}, "whole number"),
        ({"colour": "red"}, "'colour' is none of"),
    ],
)
def test_what_can_be_no_budget_is_told(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(BudgetError, match=told):
        read_budget("b", {"scope": {"tenant": "acme"}, "limit": "1", **changed})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("budgets = 3", "no table"),
        ("[budget.a]", "only \\[budgets.NAME\\]"),
        ("[budgets.a]\nlimit = 1", "has no scope"),
        ("[budgets.A]\nscope={}\nlimit=1", "a name has"),
        ("[timezones]\nacme = 3", "time zone of 'acme'"),
        ("x = [", "no TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_of(text: str, told: str) -> None:
    with pytest.raises(BudgetError, match=told):
        read_file(text)


DIMENSIONS = ("tenant.id", "usage.feature", "user.id", "usage.dimension.region")
scopes = st.dictionaries(st.sampled_from(DIMENSIONS), st.sampled_from(["*", "a", "b"]), max_size=4)
calls = st.dictionaries(st.sampled_from(DIMENSIONS), st.sampled_from([None, "a", "b", "c"]))


@given(st.lists(scopes, max_size=12), calls)
def test_a_call_falls_under_every_budget_whose_scope_it_is_in(
    given_scopes: list[dict[str, str]], call: dict[str, str | None]
) -> None:
    budgets = [
        Budget(name=f"b{n}", scope=scope, limit=Decimal(1)) for n, scope in enumerate(given_scopes)
    ]
    expected = {
        budget.name: counter_of({k: str(call[k]) for k, v in budget.scope.items() if v == "*"})
        for budget in budgets
        if all(
            call.get(name) is not None and value in ("*", call[name])
            for name, value in budget.scope.items()
        )
    }
    found = Scopes(budgets).of(call)
    assert {budget.name: counter for budget, counter in found} == expected


@given(st.dictionaries(st.sampled_from(DIMENSIONS), st.text()))
def test_a_counter_is_told_by_its_values(values: dict[str, str]) -> None:
    assert values_of(counter_of(values)) == values
