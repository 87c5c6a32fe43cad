"""`/v1/actions`: what was done for a tenant, in its own units."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from spanmeter.console.web.actions import actions as read_actions
from spanmeter.console.web.asked_period import Asked
from spanmeter.console.web.problems import documented
from spanmeter.console.web.views import AnyView

router = APIRouter(tags=["usage"])


class Action(BaseModel):
    """How often one action was done."""

    day: date | None = Field(
        description="The day that it was done, UTC; null: all, or it never was."
    )
    name: str = Field(description="Its label for customers, else its name.")
    feature: str | None
    done: int = Field(
        description="Once for each idempotency key, and only if an attempt succeeded."
    )
    failed: int = Field(description="Those tried of which no attempt succeeded.")
    attempts: int = Field(description="Requests to providers that they took.")


class Actions(BaseModel):
    """The actions of a period: as many as there are names and days."""

    data: list[Action]


@router.get("/actions", responses=documented())
def actions(
    view: AnyView,
    asked: Asked,
    by_day: Annotated[bool, Query(description="By day as well.")] = False,  # noqa: FBT002
) -> Actions:
    """What was done, in the units that a customer understands."""
    rows = read_actions(view, asked, by_day=by_day)
    return Actions(data=[Action.model_validate(row._asdict()) for row in rows])
