"""Providers' bills beside the ledger, and how one leads to the other."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spanmeter.console.web.api.reconciliations import Step, find, steps
from spanmeter.console.web.rendering import page
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.reconciliations import Made, made, variances

router = APIRouter()

_SHOWN = 200


class Bar(NamedTuple):
    """One bar of the waterfall: what it is called, adds, and where it begins and ends."""

    name: str
    amount: Decimal
    begins: Decimal
    ends: Decimal
    meaning: str


@router.get("/reconciliations")
def reconciliations(request: Request, view: OperatorView) -> Response:
    """The bills that were compared."""
    return page(request, "reconciliations.html", found=made(view.connection))


@router.get("/reconciliations/{reconciliation_id}")
def waterfall(request: Request, view: OperatorView, reconciliation_id: UUID) -> Response:
    """One bill: cause by cause from what tenants were charged with to what the provider wants."""
    kept = find(view, reconciliation_id)
    found = variances(view.connection, reconciliation_id)
    greatest = sorted(found, key=lambda each: (-abs(each.amount), each.cell[0]))
    return page(
        request,
        "reconciliation.html",
        kept=kept,
        bars=bars(kept, steps(found)),
        variances=greatest[:_SHOWN],
        left_out=max(0, len(greatest) - _SHOWN),
    )


def bars(kept: Made, found: Sequence[Step]) -> list[Bar]:
    """The waterfall: from nothing to what is booked, from there step by step to the bill."""
    told = [
        Bar(
            "booked for tenants",
            kept.attributed,
            Decimal(),
            kept.attributed,
            "in time, with their cost",
        )
    ]
    for step in found:
        at = told[-1].ends
        told.append(
            Bar(step.cause.replace("_", " "), step.amount, at, at + step.amount, step.meaning)
        )
    return [*told, Bar("the bill", kept.billed, Decimal(), kept.billed, "the sum of all above")]
