"""A steady time raises nothing, whatever its noise; incidents are told with their cause, whatever they come upon."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_months import BEGIN, HOUR, Calls, broken, loop, month, shifted
from spanmeter.metering.alerts.alert_rules import Anomaly
from spanmeter.metering.alerts.anomalies import anomalies, lasting
from spanmeter.metering.alerts.finding import Finding
from unit.metering.alerts.remembered import Remembered

# Months of hours for each example.
pytestmark = pytest.mark.timeout(300)

RULE = Anomaly(name="spikes")
DAY = 24 * HOUR
MONDAY = BEGIN + 35 * DAY

seeds = st.integers(0, 2**32 - 1)


def found(history: Remembered, at: timedelta) -> list[Finding]:
    return anomalies(history, MONDAY + at, RULE)


def causes(history: Remembered, at: timedelta) -> list[tuple[str | None, str | None]]:
    return [(each.cause, each.subject.get("tenant_id")) for each in found(history, at)]


@settings(max_examples=8, deadline=None)
@given(seed=seeds, growth=st.floats(-0.05, 0.15), hours=st.lists(st.integers(0, 600), max_size=12))
def test_a_steady_time_raises_nothing(seed: int, growth: float, hours: list[int]) -> None:
    """From the third week on, at any hour, with growth of up to 15 percent a week."""
    history = Remembered(month(seed, growth=growth))
    for hour in (0, 101, 202, 303, 404, 505, 600, *hours):
        assert anomalies(history, BEGIN + 16 * DAY + hour * HOUR, RULE) == []


@settings(max_examples=6, deadline=None)
@given(seed=seeds, hour=st.integers(0, 120), tenant=st.sampled_from(["acme", "globex", "wayne"]))
def test_a_loop_is_one_tenants_at_any_hour(seed: int, hour: int, tenant: str) -> None:
    history = Remembered([*month(seed), *loop(MONDAY + hour * HOUR, 3, tenant)])
    for after in (2.5, 3):
        assert causes(history, (hour + after) * HOUR) == [("tenant_looping", tenant)]
    assert causes(history, (hour + 9) * HOUR) == []


@settings(max_examples=6, deadline=None)
@given(seed=seeds, day=st.integers(0, 4))
def test_a_dearer_model_is_everybodys(seed: int, day: int) -> None:
    since = day * DAY + 9 * HOUR
    history = Remembered(shifted(month(seed), MONDAY + since))
    assert causes(history, since + 6 * HOUR) == [("platform_shifted", None)]


@settings(max_examples=6, deadline=None)
@given(seed=seeds, day=st.integers(0, 4))
def test_calls_that_fail_are_an_integrations(seed: int, day: int) -> None:
    since = day * DAY + 10 * HOUR
    history = Remembered(broken(month(seed), MONDAY + since, MONDAY + since + 5 * HOUR))
    assert causes(history, since + 4 * HOUR) == [("integration_broken", None)]
    assert causes(history, since + 12 * HOUR) == []


def test_a_loop_amid_a_dearer_model_is_told_beside_it() -> None:
    since = MONDAY + 9 * HOUR
    history = Remembered([*shifted(month(5), since), *loop(since + 2 * HOUR, 3)])
    told = causes(history, 14 * HOUR)
    assert ("tenant_looping", "globex") in told
    assert all(cause in {"tenant_looping", "platform_shifted"} for cause, _ in told)


def test_more_of_everything_without_a_pattern_is_a_busier_tenant() -> None:
    since = MONDAY + 2 * HOUR
    busy = [Calls(since + n * HOUR, "acme", "chat", 300, 0.12) for n in range(3)]
    (told,) = found(Remembered([*month(3), *busy]), 5 * HOUR)
    assert (told.cause, told.subject["tenant_id"]) == ("tenant_busier", "acme")
    assert Decimal(told.figures["actual_cost"]) > Decimal(told.figures["expected_cost"])
    assert told.contributors[0].name == "assistant"


def test_cents_and_newcomers_raise_nothing() -> None:
    cents = [Calls(MONDAY + n * HOUR, "acme", "chat", 300, 0.001) for n in range(3)]
    assert found(Remembered([*month(3), *cents]), 3 * HOUR) == []
    newcomer = [
        Calls(MONDAY - 5 * DAY + n * HOUR, "newcomer", "chat", 2 + n // 10, 0.12)
        for n in range(5 * 24)
    ]
    history = Remembered([*month(3), *newcomer])
    told = anomalies(history, MONDAY, RULE)
    assert [each for each in told if each.subject.get("tenant_id") == "newcomer"] == []


def test_a_batch_of_every_week_is_no_news() -> None:
    """Two hours every Sunday night, fifty dollars each: judged against itself, it is as always."""
    weekly = [
        Calls(BEGIN + (7 * week + 6) * DAY + n * HOUR, "acme", "batch", 400, 0.12)
        for week in range(6)
        for n in range(2)
    ]
    assert found(Remembered([*month(3), *weekly]), 6 * DAY + 2 * HOUR) == []
    thrice = [each if each.hour < MONDAY else each._replace(calls=2000) for each in weekly]
    told = causes(Remembered([*month(3), *thrice]), 6 * DAY + 2 * HOUR)
    assert ("tenant_busier", "acme") in told


@pytest.mark.parametrize("hours", [14, 17, 20, 26])
def test_what_was_told_is_not_over_while_it_is_half_as_bad(hours: int) -> None:
    since = MONDAY + 9 * HOUR
    history = Remembered(shifted(month(4), since))
    assert {"currency": "USD"} in lasting(history, since + hours * HOUR, RULE)
