"""Whether a row is charged to its tenant, and the rule that decided."""

from typing import get_args

import pytest

from spanmeter.metering.billable import NOT_CUSTOMERS, RULES, Facts, billable_state
from spanmeter.metering.unmeterable import Unmeterable
from spanmeter.metering.usage_event import BillableState

PAID = Facts(
    declared=None,
    status="ok",
    produced_output=True,
    account_type="paid",
    environment="production",
)


@pytest.mark.parametrize(
    ("facts", "state", "rule"),
    [
        (PAID, "billable", "otherwise"),
        (PAID._replace(account_type=None, environment=None), "billable", "otherwise"),
        (PAID._replace(status="error"), "ignored", "failed"),
        (PAID._replace(status="timeout", produced_output=False), "ignored", "no_output"),
        (PAID._replace(status="cancelled", produced_output=False), "ignored", "no_output"),
        (PAID._replace(status="cancelled"), "billable", "otherwise"),
        (PAID._replace(produced_output=False), "billable", "otherwise"),
        (PAID._replace(account_type="internal"), "ignored", "internal"),
        (PAID._replace(environment="Staging"), "ignored", "environment"),
        (PAID._replace(account_type="trial"), "included", "trial"),
        (PAID._replace(account_type="free"), "included", "free"),
        (PAID._replace(account_type="trial", environment="dev"), "ignored", "environment"),
        (PAID._replace(account_type="internal", status="error"), "ignored", "failed"),
    ],
)
def test_the_first_rule_that_applies_decides(facts: Facts, state: str, rule: str) -> None:
    assert billable_state(facts) == (state, f"defaults-1/{rule}")


@pytest.mark.parametrize("state", get_args(BillableState))
def test_what_the_application_declares_overrides_the_rules(state: str) -> None:
    facts = PAID._replace(declared=state, status="error", account_type="internal")
    assert billable_state(facts) == (state, "declared")


def test_a_state_that_is_not_known_is_refused() -> None:
    with pytest.raises(Unmeterable, match="bad_billable_state"):
        billable_state(PAID._replace(declared="Billable"))


def test_rules_have_names_of_their_own_and_environments_are_lower_case() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert {name.lower() for name in NOT_CUSTOMERS} == NOT_CUSTOMERS
