"""Reconciliations as listings: the waterfall, its details, and those that were made."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.reconciliation.waterfall import CAUSES, Variance, total
from spanmeter.storage.reconciliations import Made

IN_WORDS: Final = {
    "unattributed": "booked, but for no tenant",
    "late": "booked after the books were closed, or counted on the day the call ended",
    "unpriced": "booked without a cost, at the provider's price",
    "rate_drift": "the same usage at another price",
    "tier_mismatch": "the same usage at another service tier",
    "cache_mismatch": "the same input tokens, cached or not",
    "duplicate": "in the ledger more than once",
    "missing": "billed, and not in the ledger",
    "not_billed": "in the ledger, and not billed",
    "rounding": "what the provider rounded by",
    "unexplained": "none of these",
}

_HUNDREDTH: Final = Decimal("0.01")


def waterfall(kept: Made, variances: Sequence[Variance]) -> Listing:
    """From what tenants were charged with to the bill, a line for each cause that adds something."""
    by_cause = {cause: [each for each in variances if each.cause == cause] for cause in CAUSES}
    rows: list[Sequence[Value]] = [
        [cause, total(each.amount for each in found), len(found), IN_WORDS[cause]]
        for cause, found in by_cause.items()
        if found
    ]
    return Listing(
        columns=[
            Column("cause", "cause"),
            Column("amount", "amount"),
            Column("cells", "cells"),
            Column("meaning", "meaning"),
        ],
        rows=[
            ["booked for tenants", kept.attributed, None, "in time, with their cost"],
            *rows,
            ["the bill", kept.billed, None, "the sum of all above"],
        ],
        about=_about(kept),
        notes=_notes(kept, by_cause),
    )


def details(kept: Made, variances: Iterable[Variance]) -> Listing:
    """Every variance, by day, account, model and tier; the greatest first."""
    greatest_first = sorted(variances, key=lambda each: (-abs(each.amount), each.cell[0]))
    return Listing(
        columns=[
            Column("day", "day"),
            Column("account", "account"),
            Column("model", "model", "(no model)"),
            Column("tier", "tier"),
            Column("cause", "cause"),
            Column("quantities", "provider counts more by"),
            Column("amount", "amount"),
        ],
        rows=[[*each.cell, each.cause, _words(each), each.amount] for each in greatest_first],
        about=_about(kept),
        totals=[[total(each.amount for each in greatest_first)]],
    )


def all_made(found: Iterable[Made]) -> Listing:
    """What was compared, latest first."""
    return Listing(
        columns=[
            Column("reconciliation_id", "reconciliation"),
            Column("provider", "provider"),
            Column("since", "since"),
            Column("until", "until"),
            Column("billed", "billed"),
            Column("attributed", "booked for tenants"),
            Column("posted", "posted"),
            Column("currency", "currency"),
            Column("made_at", "made"),
        ],
        rows=[
            [
                *(str(each.reconciliation_id), each.provider, each.since, each.until),
                *(each.billed, each.attributed, each.posted, each.currency, each.made_at),
            ]
            for each in found
        ],
        notes=[] if found else ["No bill was compared yet."],
    )


def _about(kept: Made) -> dict[str, str]:
    return {
        "reconciliation_id": str(kept.reconciliation_id),
        "provider": kept.provider,
        "since": f"{kept.since}",
        "until": f"{kept.until}",
        "currency": kept.currency,
    }


def _notes(kept: Made, by_cause: dict[str, list[Variance]]) -> list[str]:
    if not kept.billed:
        return []
    sums = {cause: total(each.amount for each in found) for cause, found in by_cause.items()}
    captured = 1 - sums["missing"] / kept.billed
    attributed = kept.attributed / kept.billed
    notes = [
        f"Captured: {_percent(captured)} of the bill. Charged to tenants: {_percent(attributed)}."
    ]
    if sums["unexplained"]:
        notes.append(
            "Part of the bill has no quantities, so that it cannot be explained: give the usage report too."
        )
    return notes


def _percent(part: Decimal) -> str:
    return f"{(part * 100).quantize(_HUNDREDTH)} %"


def _words(variance: Variance) -> str:
    return ", ".join(f"{amount:+,f} {kind}" for kind, amount in variance.quantities.items())
