"""Corrections by hand: what they say, and what was booked."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid5

import click

from spanmeter.console.failures import JobFailed
from spanmeter.console.listing import Column, Listing
from spanmeter.storage.adjustments import Adjustment, adjustment_of
from spanmeter.storage.booked_events import BookedEvent, find
from spanmeter.storage.connection import Connection
from spanmeter.storage.corrections import all_references

BY_HAND: Final = UUID("6b1f3c52-7a40-5d0e-9a53-2f6f2b1d8c11")
"""The namespace of the ids of these corrections."""


def the_event(connection: Connection, name: str) -> BookedEvent:
    """The one call that a name means. Raises `JobFailed`."""
    found = find(connection, name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise JobFailed(f"no call is booked under {name!r}")
    names = ", ".join(each.name for each in found[:5])
    raise JobFailed(f"{name!r} is {len(found)} calls: name one of {names}")


def correction(
    connection: Connection,
    *,
    reason: str,
    reference: str,
    event: str | None,
    tenant: str | None,
    when: datetime | None,
    provider: str | None,
    model: str | None,
    feature: str | None,
    state: Any,
    cost: Decimal | None,
    currency: str,
    requests: int,
    input_tokens: int | None,
    output_tokens: int | None,
) -> Adjustment:
    """The adjustment that these flags ask for. Raises `JobFailed`, UsageError."""
    if not (cost or requests or input_tokens or output_tokens):
        raise click.UsageError(
            "say what to add: --cost, --requests, --input-tokens or --output-tokens"
        )
    if event is not None:
        base = adjustment_of(the_event(connection, event).event, BY_HAND, reason, reference)
    elif when is None or provider is None:
        raise click.UsageError("name the call with --event, or give --time and --provider")
    else:
        base = Adjustment(
            time=when,
            adjustment_id=BY_HAND,
            reason=reason,
            reference=reference,
            provider=provider,
            operation="adjustment",
            billable_state="billable",
            billable_reason="as adjusted",
            currency=currency,
        )
    told: dict[str, Any] = {
        "tenant_id": tenant,
        "response_model": model,
        "feature": feature,
        "billable_state": state,
        "time": when,
        "provider": provider,
    }
    changed = replace(
        base,
        **{name: value for name, value in told.items() if value is not None},
        cost=cost,
        currency=currency,
        requests=requests,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    return replace(changed, adjustment_id=uuid5(BY_HAND, repr(changed)))


def one_correction(adjustment: Adjustment, *, applied: bool, new: bool) -> Listing:
    """What a correction says, and whether it is booked."""
    if not applied:
        notes = ["Nothing is booked yet: --apply does it."]
    elif new:
        notes = [f"Booked. To take it back: spanmeter adjust undo {adjustment.reference!r}"]
    else:
        notes = ["It is booked already: nothing was added."]
    shown = ("time", "tenant_id", "provider", "response_model", "feature", "billable_state")
    amounts = ("requests", "input_tokens", "output_tokens", "cost", "currency")
    return Listing(
        columns=[Column(name, name.replace("_", " ")) for name in (*shown, *amounts)],
        rows=[[getattr(adjustment, name) for name in (*shown, *amounts)]],
        about={"reason": adjustment.reason, "reference": adjustment.reference},
        notes=notes,
    )


def references(connection: Connection, since: datetime) -> Listing:
    """What was booked since then, by what it rests on."""
    rows = all_references(connection, since)
    names = ("reference", "reason", "adjustments", "requests", "cost", "currency", "booked_at")
    return Listing(
        columns=[Column(name, name.replace("_", " ")) for name in names],
        rows=rows,
        notes=[] if rows else ["No correction was booked in this time."],
    )
