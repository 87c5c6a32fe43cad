"""`/v1/limits`: what limits a tenant, and what is left."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from spanmeter.console.web.limits import TenantLimit, tenant_limits
from spanmeter.console.web.money import Money
from spanmeter.console.web.problems import documented

router = APIRouter(tags=["budgets"])


class ALimit(BaseModel):
    """One limit of a tenant. Amounts are in `unit`; null: the tenant is not shown its cost."""

    scope: dict[str, str] = Field(
        description="What it is for, inside the tenant; empty: all its usage."
    )
    window: str = Field(description="hour ... year, `rolling 24h`, lifetime.")
    resets_at: datetime | None = Field(description="Null: it moves on, or never ends.")
    metric: str
    unit: str = Field(description="A currency, or what is counted.")
    limit: Money | None
    spent: Money | None
    left: Money | None = Field(description="Neither spent, nor held for calls under way.")
    used: float = Field(description="The part that is spent; 1: all of it.")


class Limits(BaseModel):
    """Limits of a tenant, what is used most first."""

    data: list[ALimit]


@router.get("/limits", responses=documented())
def limits(found: Annotated[list[TenantLimit], Depends(tenant_limits)]) -> Limits:
    """What stops a tenant's calls once it is used up: budgets of the tenant, or of a part of it."""
    return Limits(data=[ALimit.model_validate(each._asdict()) for each in found])
