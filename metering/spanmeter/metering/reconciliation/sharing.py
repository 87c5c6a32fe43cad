"""Whose account a variance is posted to: in proportion to what each has in the cell, exactly."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from spanmeter.metering.allocation import allocate
from spanmeter.metering.reconciliation.bill import Quantities
from spanmeter.metering.reconciliation.waterfall import PLACES, Variance


class Sharer(NamedTuple):
    """Somebody whose usage is in a cell: the dimensions that an adjustment is booked under."""

    tenant_id: str | None = None
    workspace_id: str | None = None
    project_id: str | None = None
    feature: str | None = None
    account_type: str | None = None
    environment: str | None = None
    billable_state: str = "billable"


NOBODY: Final = Sharer()
"""Whose calls they were is not known, and not guessed."""


class Share(NamedTuple):
    """What one of them has in a cell: cost, tokens without a cost, requests, and the cost of calls counted again."""

    sharer: Sharer
    cost: Decimal = Decimal()
    unpriced_tokens: Decimal = Decimal()
    requests: int = 0
    unpriced_requests: int = 0
    duplicated: Decimal = Decimal()

    def plus(self, more: "Share") -> "Share":
        """Both together."""
        return Share(
            self.sharer,
            self.cost + more.cost,
            self.unpriced_tokens + more.unpriced_tokens,
            self.requests + more.requests,
            self.unpriced_requests + more.unpriced_requests,
            self.duplicated + more.duplicated,
        )


class Posting(NamedTuple):
    """What a variance adds to the account of one of them."""

    variance: Variance
    sharer: Sharer
    amount: Decimal
    quantities: Quantities
    unpriced_requests: int = 0


Weight = Callable[[Share], Decimal | int]


def _cost(share: Share) -> Decimal:
    return share.cost


def _requests(share: Share) -> int:
    return share.requests


def _unpriced_tokens(share: Share) -> Decimal:
    return share.unpriced_tokens


def _duplicated(share: Share) -> Decimal:
    return share.duplicated


_WEIGHTS: Final[Mapping[str, Weight]] = {
    "unpriced": _unpriced_tokens,
    "rate_drift": _cost,
    "tier_mismatch": _cost,
    "cache_mismatch": _cost,
    "duplicate": _duplicated,
    "not_billed": _cost,
    "rounding": _cost,
}
"""By what each is shared out. `missing` is nobody's; what is in the ledger already, late or without a tenant, and what
is not explained, is not posted."""

POSTED: Final = (*_WEIGHTS, "missing")


def postings(variance: Variance, shares: Sequence[Share]) -> list[Posting]:
    """A variance shared out: the amounts add up to it, and so does each quantity. None where it is not to be posted."""
    if variance.cause not in POSTED:
        return []
    pricing = variance.cause == "unpriced"
    sharing = [share for share in shares if share.unpriced_requests] if pricing else list(shares)
    weights = _weights(variance.cause, sharing)
    if not weights:
        return [Posting(variance, NOBODY, variance.amount, variance.quantities)]
    amounts = allocate(variance.amount, weights, PLACES)
    by_kind = {kind: allocate(n, weights, 0) for kind, n in variance.quantities.items()}
    posted = [
        Posting(
            variance,
            share.sharer,
            amounts[at],
            {kind: parts[at] for kind, parts in by_kind.items() if parts[at]},
            -share.unpriced_requests if pricing else 0,
        )
        for at, share in enumerate(sharing)
    ]
    return [each for each in posted if each.amount or each.quantities or each.unpriced_requests]


def _weights(cause: str, shares: Sequence[Share]) -> list[Decimal | int]:
    """How much each has; by cost or by requests where nobody has any of what it is shared out by."""
    if cause not in _WEIGHTS:
        return []
    for weight in (_WEIGHTS[cause], _cost, _requests):
        if any(weights := [max(weight(share), 0) for share in shares]):
            return weights
    return []
