"""`/v1/reconciliations`: providers' bills beside the ledger."""

from datetime import date, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from spanmeter.console.waterfall_listing import IN_WORDS
from spanmeter.console.web.money import Money
from spanmeter.console.web.problems import Problem, documented
from spanmeter.console.web.views import OperatorView, View
from spanmeter.metering.reconciliation.waterfall import CAUSES, Variance, total
from spanmeter.storage.reconciliations import Made, made, variances

router = APIRouter(tags=["reconciliations"])


class Reconciliation(BaseModel):
    """A bill that was compared with the ledger."""

    reconciliation_id: UUID
    provider: str
    since: date
    until: date = Field(description="The day after the last.")
    currency: str
    billed: Money
    attributed: Money = Field(description="Booked for tenants in time.")
    posted: Money = Field(description="What was posted to the ledger because of it.")
    made_at: datetime


class Step(BaseModel):
    """What one cause adds between the ledger and the bill."""

    cause: str
    amount: Money
    cells: int = Field(description="Days, accounts, models and tiers that it is of.")
    meaning: str


class Waterfall(Reconciliation):
    """The comparison, cause by cause: `attributed` and all steps add up to `billed`."""

    steps: list[Step]


class Reconciliations(BaseModel):
    """All that were made, the latest first."""

    data: list[Reconciliation]


@router.get("/reconciliations", responses=documented())
def reconciliations(view: OperatorView) -> Reconciliations:
    """Bills that were compared, the latest first."""
    return Reconciliations(data=[Reconciliation(**_facts(each)) for each in made(view.connection)])


@router.get("/reconciliations/{reconciliation_id}", responses=documented(HTTPStatus.NOT_FOUND))
def waterfall(view: OperatorView, reconciliation_id: UUID) -> Waterfall:
    """One of them: from what tenants were charged with to the bill."""
    kept = find(view, reconciliation_id)
    return Waterfall(**_facts(kept), steps=steps(variances(view.connection, reconciliation_id)))


def find(view: View, reconciliation_id: UUID) -> Made:
    """The comparison of this id. Raises Problem 404."""
    found = (each for each in made(view.connection) if each.reconciliation_id == reconciliation_id)
    kept = next(found, None)
    if kept is None:
        raise Problem.not_found("there is no reconciliation of this id")
    return kept


def steps(found: list[Variance]) -> list[Step]:
    """A step for each cause that adds something, in their order."""
    by_cause = {cause: [each for each in found if each.cause == cause] for cause in CAUSES}
    return [
        Step(
            cause=cause,
            amount=total(each.amount for each in of_it),
            cells=len(of_it),
            meaning=IN_WORDS[cause],
        )
        for cause, of_it in by_cause.items()
        if of_it
    ]


def _facts(kept: Made) -> dict[str, Any]:
    told = kept._asdict()
    return {name: told[name] for name in Reconciliation.model_fields}
