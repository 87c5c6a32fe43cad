"""`/v1/plans`: what tenants are charged by."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from spanmeter.console.plan_listing import plans_listing
from spanmeter.console.web.problems import documented
from spanmeter.console.web.views import OperatorView, View
from spanmeter.storage.plans import read_plan_book

router = APIRouter(tags=["plans"])


class PlanInForce(BaseModel):
    """A plan, and the version of it that is in force now."""

    plan: str
    version: str | None = Field(description="Null: none is in force yet.")
    effective_from: datetime | None
    currency: str | None
    time_zone: str | None
    charges: int | None
    tenants: int = Field(description="That have it by their own assignment.")
    default: bool = Field(description="Everybody has it who has none of their own.")


class Plans(BaseModel):
    """All plans, by name."""

    data: list[PlanInForce]


@router.get("/plans", responses=documented())
def plans(view: OperatorView) -> Plans:
    """The plans, as they are in force."""
    return Plans(data=in_force(view))


def in_force(view: View) -> list[PlanInForce]:
    """The plans, by name."""
    listing = plans_listing(read_plan_book(view.connection))
    names = [column.name for column in listing.columns]
    return [PlanInForce.model_validate(dict(zip(names, row, strict=True))) for row in listing.rows]
