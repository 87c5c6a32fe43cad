"""Whether a row is charged to its tenant, and the rule that decided."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args

import pytest

from spanmeter.metering.billable import CACHED, Rules
from spanmeter.metering.billable_facts import Facts, facts_of
from spanmeter.metering.billable_rules import DEFAULTS, read_rules
from spanmeter.metering.called import Called
from spanmeter.metering.outcome import Outcome
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import BillableState
from spanmeter.metering.who import Who
from unit.metering.spans import event_of

PAID: Mapping[str, Any] = {
    **dict.fromkeys(Who._fields),
    **dict.fromkeys(Called._fields),
    "tenant_id": "acme",
    "account_type": "paid",
    "environment": "production",
    "dimensions": {"region": "emea"},
    "provider": "openai",
    "operation": "chat",
    "request_model": "gpt-5",
    "byok": False,
    "attempt": 1,
    "status": "ok",
    "error_type": None,
    "duration": timedelta(seconds=1),
    "time_to_first_token": None,
    "declared": None,
    "produced_output": True,
    "usage_source": "provider",
}


def facts(**changed: Any) -> Facts:
    """A call of a paying customer, but for what is `changed`."""
    told = {**PAID, **changed}
    return Facts(
        told["declared"],
        Who._make(told[name] for name in Who._fields),
        Called._make(told[name] for name in Called._fields),
        Outcome._make(told[name] for name in Outcome._fields),
        told["produced_output"],
        told["usage_source"],
    )


def rules(when: str, state: str = "ignored") -> Rules:
    """One rule that asks for `when`."""
    text = f'otherwise = "billable"\n[[rule]]\nname = "it"\nstate = "{state}"\nwhen = {when}\n'
    return read_rules("rules-1", text)


@pytest.mark.parametrize(
    ("changed", "state", "rule"),
    [
        ({}, "billable", "otherwise"),
        ({"account_type": None, "environment": None}, "billable", "otherwise"),
        ({"status": "error"}, "ignored", "failed"),
        ({"status": "timeout", "produced_output": False}, "ignored", "no_output"),
        ({"status": "cancelled", "produced_output": False}, "ignored", "no_output"),
        ({"status": "cancelled"}, "billable", "otherwise"),
        ({"produced_output": False}, "billable", "otherwise"),
        ({"account_type": "internal"}, "ignored", "internal"),
        ({"environment": "Staging"}, "ignored", "environment"),
        ({"account_type": "trial"}, "included", "trial"),
        ({"account_type": "free"}, "included", "free"),
        ({"account_type": "trial", "environment": "dev"}, "ignored", "environment"),
        ({"account_type": "internal", "status": "error"}, "ignored", "failed"),
    ],
)
def test_the_first_default_that_applies_decides(
    changed: dict[str, Any], state: str, rule: str
) -> None:
    assert DEFAULTS.decide(facts(**changed)) == (state, f"defaults-1/{rule}")


@pytest.mark.parametrize("state", get_args(BillableState))
def test_what_the_application_declares_overrides_the_rules(state: str) -> None:
    declared = facts(declared=state, status="error", account_type="internal")
    assert DEFAULTS.decide(declared) == (state, "declared")


def test_a_state_that_is_not_known_is_refused() -> None:
    with pytest.raises(Unmeterable, match="bad_billable_state"):
        DEFAULTS.decide(facts(declared="Billable"))


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ('{ tenant = "acme" }', True),
        ('{ tenant = "ACME" }', False),
        ('{ tenant = ["globex", "acme"] }', True),
        ('{ tenant = { not = ["globex", "acme"] } }', False),
        ('{ tenant = { glob = "ac*" } }', True),
        ('{ tenant = { glob = ["x*", "a?me"] } }', True),
        ('{ tenant = { glob = "a" } }', False),
        ('{ tenant = { not = { glob = "ac*" } } }', False),
        ("{ tenant = { present = true } }", True),
        ("{ user = { present = true } }", False),
        ("{ user = { present = false } }", True),
        ('{ user = "42" }', False),
        ('{ user = { not = "42" } }', True),
        ('{ user = { glob = "*" } }', False),
        ('{ environment = "PRODUCTION" }', True),
        ('{ environment = { glob = "Prod*" } }', True),
        ("{ byok = false }", True),
        ("{ byok = { not = false } }", False),
        ("{ produced_output = true, byok = true }", False),
        ('{ model = "gpt-5" }', True),
        ('{ response_model = "gpt-5" }', False),
        ('{ usage_source = "estimate" }', False),
        ('{ dimensions = { region = "emea" } }', True),
        ('{ dimensions = { region = "emea", team = { present = true } } }', False),
        ("{}", True),
    ],
)
def test_a_condition_holds_or_not(when: str, *, holds: bool) -> None:
    state, reason = rules(when).decide(facts())
    assert (state == "ignored") == holds
    assert reason == f"rules-1/{'it' if holds else 'otherwise'}"


def test_a_decision_remembered_is_not_taken_for_another_calls() -> None:
    """Equal in all that the rules look at, and nothing less, is equal for them."""
    by_region = rules('{ dimensions = { region = "emea" } }')
    for region, state in (("emea", "ignored"), ("apac", "billable"), ("emea", "ignored")):
        for user in ("1", "2"):
            call = facts(dimensions={"region": region}, user_id=user)
            assert by_region.decide(call)[0] == state


def test_however_many_calls_differ_few_decisions_are_remembered() -> None:
    by_user = rules('{ user = "7" }')
    for n in range(2 * CACHED + 10):
        state, _ = by_user.decide(facts(user_id=str(n)))
        assert (state == "ignored") == (n == 7)
    assert by_user.remembered <= CACHED


def test_a_booked_row_has_the_facts_that_it_was_booked_by() -> None:
    event = event_of({"usage.account_type": "trial", "usage.dimension.region": "emea"})
    assert DEFAULTS.decide(facts_of(event)) == (event.billable_state, event.billable_reason)
    declared = event_of({"usage.billable_state": "included", "usage.account_type": "internal"})
    assert DEFAULTS.decide(facts_of(declared)) == ("included", "declared")
