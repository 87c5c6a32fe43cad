"""What a usage event amounts to by now: the row and all adjustments of it, by whose it is and what state it is in."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from spanmeter.metering.costing import EXACT
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage.adjustments import Adjustment, adjustment_of
from spanmeter.storage.booked_events import BookedEvent
from spanmeter.storage.corrections import opposite

_TOKENS: Final = (
    *("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "output_tokens"),
    *("reasoning_output_tokens", "audio_input_tokens", "audio_output_tokens"),
    *("image_input_tokens", "image_output_tokens"),
)
_COUNTS: Final = ("requests", "unpriced_requests", *_TOKENS)

_WHOSE: Final = (
    *(
        "tenant_id",
        "workspace_id",
        "project_id",
        "user_id",
        "feature",
        "workflow",
        "action",
        "label",
    ),
    *("idempotency_key", "account_type", "environment", "service_name", "callsite", "provider"),
    *("operation", "request_model", "response_model", "region", "service_tier", "byok", "status"),
    *("billable_state", "currency"),
)
"""What amounts are told apart by, beside the dimensions of the application's own."""

NOWHERE: Final = UUID(int=0)
"""The id of what is no adjustment, but a sum of some."""


def positions(booked: BookedEvent, adjustments: Iterable[Adjustment]) -> list[Adjustment]:
    """The sums of the row and its adjustments, as if each were one; those that are nothing are left out.

    Reason, reference and rate version are those of the first part.
    """
    sums: dict[tuple[Any, ...], Adjustment] = {}
    for part in (_of_row(booked), *adjustments):
        key = (*(getattr(part, name) for name in _WHOSE), *sorted(part.dimensions.items()))
        sums[key] = _sum(sums[key], part) if key in sums else part
    return [each for each in sums.values() if _counts(each)]


def as_event(event: UsageEvent, position: Adjustment) -> UsageEvent:
    """The event as if it had been booked where the position is: by its adjustments, of another tenant for one."""
    own = {
        name: getattr(position, name)
        for name in _WHOSE
        if name not in {"billable_state", "currency"}
    }
    return event._replace(**own, dimensions=position.dimensions)


def moved(
    position: Adjustment, state: Any, reason: str, reference: str, turn: int
) -> Iterator[Adjustment]:
    """The two adjustments that move a position to another billable state, for that reason.

    `turn` is how many adjustments there were before: to move the same back and forth again is another correction.
    """
    taken = opposite(replace(position, adjustment_id=NOWHERE))
    given = replace(position, billable_state=state, billable_reason=reason)
    for side, each in ((b"taken", taken), (b"given", given)):
        yield replace(
            each,
            adjustment_id=_identity(position, side, reason, turn),
            reason="billable rules",
            reference=reference,
        )


def _identity(position: Adjustment, side: bytes, reason: str, turn: int) -> UUID:
    whose = [str(getattr(position, name)) for name in _WHOSE]
    said = repr((position.adjusted, whose, sorted(position.dimensions.items()), reason, turn))
    return UUID(bytes=blake2b(said.encode(), digest_size=16, person=b"state" + side).digest())


def _of_row(booked: BookedEvent) -> Adjustment:
    event = booked.event
    tokens = {name: getattr(event, name) for name in _TOKENS}
    return replace(
        adjustment_of(event, NOWHERE, "as booked"),
        requests=int(booked.duplicate_of is None),
        unpriced_requests=int(event.cost is None),
        quantities=event.quantities,
        cost=event.cost,
        rate_version=event.rate_version,
        **tokens,
    )


def _sum(one: Adjustment, other: Adjustment) -> Adjustment:
    counts: dict[str, Any] = {
        name: _added(getattr(one, name), getattr(other, name)) for name in _COUNTS
    }
    cost = (
        None
        if one.cost is None and other.cost is None
        else EXACT.add(one.cost or 0, other.cost or 0)
    )
    quantities: dict[str, Decimal] = dict(one.quantities)
    for unit, amount in other.quantities.items():
        quantities[unit] = EXACT.add(quantities.get(unit, Decimal(0)), amount)
    return replace(one, cost=cost, quantities=quantities, **counts)


def _added(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def _counts(position: Adjustment) -> bool:
    return (
        any(getattr(position, name) for name in _COUNTS)
        or bool(position.cost)
        or any(position.quantities.values())
    )
