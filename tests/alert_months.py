"""Months of usage for tests of alerts: six weeks of several tenants with days, weekends, growth and noise, by a seed;
and three incidents that can be put into them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

HOUR = timedelta(hours=1)
BEGIN = datetime(2026, 9, 7, tzinfo=UTC)
"""A Monday."""

DAYS = 42

TENANTS = ("acme", "globex", "hooli", "initech", "soylent", "stark", "umbrella", "wayne")
FEATURES = ("chat", "summaries")
SERVICE = "assistant"


class Calls(NamedTuple):
    """Some calls of an hour that are alike but for their size and moment."""

    hour: datetime
    tenant: str
    feature: str
    calls: int
    cost: float
    """Of one call, in dollars."""
    tokens: int = 1200
    failed: int = 0
    model: str = "gpt-5"
    alike: bool = False
    """All of one size, and of one workflow."""


def month(seed: int, days: int = DAYS, growth: float = 0.03) -> Iterator[Calls]:
    """A steady time: more by day than by night, little on weekends, some growth each week, noise all over."""
    rng = random.Random(seed)
    sizes = {tenant: rng.lognormvariate(0, 0.7) for tenant in TENANTS}
    for n in range(days * 24):
        hour = BEGIN + n * HOUR
        season = (1.1 + math.sin(2 * math.pi * (hour.hour - 8) / 24)) * (
            0.25 if hour.weekday() >= 5 else 1
        )
        for tenant in TENANTS:
            for feature in FEATURES:
                usual = 4 * sizes[tenant] * season * (1 + growth) ** (n / 168)
                calls = _poisson(rng, usual * rng.lognormvariate(0, 0.2))
                if calls:
                    failed = _poisson(rng, 0.02 * calls)
                    cost = 0.12 * rng.lognormvariate(0, 0.1)
                    yield Calls(hour, tenant, feature, calls, cost, failed=min(failed, calls))


def loop(since: datetime, hours: int, tenant: str = "globex") -> Iterator[Calls]:
    """An agent of a tenant that asks the same again and again: twelve calls a minute."""
    for n in range(hours):
        yield Calls(since + n * HOUR, tenant, "summaries", 720, 0.12, tokens=3111, alike=True)


def shifted(calls: Iterable[Calls], since: datetime) -> Iterator[Calls]:
    """The same calls, of a model that costs 2.4 times as much from a moment on."""
    for each in calls:
        yield each if each.hour < since else each._replace(cost=2.4 * each.cost, model="gpt-5-pro")


def broken(calls: Iterable[Calls], since: datetime, until: datetime) -> Iterator[Calls]:
    """The same calls; those of one feature fail, and each is tried five times more."""
    for each in calls:
        if each.feature == "chat" and since <= each.hour < until:
            yield each._replace(calls=6 * each.calls, failed=5 * each.calls)
        else:
            yield each


def _poisson(rng: random.Random, mean: float) -> int:
    """Knuth's way; for the small means here."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
