"""How usage differs from what was to be expected, broken down: by whom, and by what of it: calls, tokens, prices."""

from collections.abc import Sequence
from decimal import Decimal
from statistics import median
from typing import Final, NamedTuple

import numpy as np
from scipy import stats

from spanmeter.metering.alerts.finding import Contributor
from spanmeter.metering.alerts.usage import Matched, Usage

TOLD: Final = 3
"""How many contributors a message names."""

MOST_TENANTS: Final = Decimal("0.6")
"""The part of all tenants that "most" are."""

_FEWEST: Final = 4
"""Tenants of whom "most" can be said."""

_UP: Final = Decimal("1.25")
_ALIKE: Final = 0.5
"""Of the logarithm: how far, in robust standard deviations, factors of tenants may be apart and still be alike."""

_ONE: Final = Decimal("0.6")
"""The part of an excess that one tenant alone causes."""

_APART: Final = Decimal("1.5")
"""Times the usual factor, from which on a tenant is not up like the others."""


class Shift(NamedTuple):
    """Tenants against what was expected of each: how many there are, what part is up, by what factor (the median),
    whether the factors are alike, and who causes most of the excess alone, as far as anybody does."""

    tenants: int
    up: Decimal
    factor: Decimal
    alike: bool
    culprit: str | None
    alone: bool

    @property
    def common(self) -> bool:
        """Whether most tenants are up by a like factor, and no single one makes it."""
        enough = self.tenants >= _FEWEST
        return enough and self.up >= MOST_TENANTS and self.alike and not self.alone


def shift(seen: Matched) -> Shift:
    """How the tenants of this usage have moved; those whom hardly anything was expected of are left out."""
    tenants = seen.by(lambda key: (key[1],))
    expected = {key: tenants.expected(key).cost for key in tenants.now}
    excess = {key: used.cost - expected[key] for key, used in tenants.now.items()}
    worth = sum(expected.values()) / 1000
    factors = [tenants.now[key].cost / cost for key, cost in expected.items() if cost > worth]
    culprit = max(excess, key=excess.__getitem__, default=None)
    more = sum(each for each in excess.values() if each > 0)
    usual = median(factors) if factors else Decimal(1)
    alone = (
        culprit is not None
        and excess[culprit] > 0
        and excess[culprit] >= _ONE * more
        # A large one that is up like all others has no part of its own in it.
        and tenants.now[culprit].cost >= _APART * usual * expected[culprit]
    )
    return Shift(
        tenants=len(factors),
        up=Decimal(sum(factor >= _UP for factor in factors)) / max(len(factors), 1),
        factor=usual,
        alike=_alike(factors),
        culprit=culprit[0] if culprit is not None and alone else None,
        alone=alone,
    )


def _alike(factors: Sequence[Decimal]) -> bool:
    logarithms = np.log([max(float(factor), 1e-6) for factor in factors])
    if not len(logarithms):
        return False
    return float(stats.median_abs_deviation(logarithms, scale="normal")) <= _ALIKE


class Ratios(NamedTuple):
    """How many times as many or as much as expected. 1 where nothing can be compared."""

    requests: Decimal
    cost_per_call: Decimal
    tokens_per_call: Decimal
    price_per_token: Decimal
    output_per_call: Decimal


def ratios(actual: Usage, expected: Usage) -> Ratios:
    """The actual usage against the expected."""
    return Ratios(
        _ratio(actual.requests, expected.requests),
        _ratio(_per(actual.cost, actual.requests), _per(expected.cost, expected.requests)),
        _ratio(_per(actual.tokens, actual.requests), _per(expected.tokens, expected.requests)),
        _ratio(_per(actual.cost, actual.tokens), _per(expected.cost, expected.tokens)),
        _ratio(
            _per(actual.output_tokens, actual.requests),
            _per(expected.output_tokens, expected.requests),
        ),
    )


def failed_share(used: Usage) -> Decimal:
    """The part of the requests that failed."""
    return _per(used.failed_requests, used.requests)


def contributors(seen: Matched, dimension: int) -> list[Contributor]:
    """Those who add most to the excess of cost, by a place in `Who`."""
    grouped = seen.by(lambda key: (key[dimension],))
    told = [
        Contributor(key[0] or "unattributed", used.cost, grouped.expected(key).cost)
        for key, used in grouped.now.items()
    ]
    more = [each for each in told if each.actual > each.expected]
    return sorted(more, key=lambda each: each.expected - each.actual)[:TOLD]


def _per(amount: Decimal, of: Decimal) -> Decimal:
    return amount / of if of > 0 else Decimal(0)


def _ratio(actual: Decimal, expected: Decimal) -> Decimal:
    return actual / expected if expected > 0 else Decimal(1)
