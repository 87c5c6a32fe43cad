"""`/v1/approvals`: calls that wait for somebody to raise a limit."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from spanmeter.console.web.api.budgets import Administrator, Increased, Lasting, TheBudgets
from spanmeter.console.web.money import Amount, Money
from spanmeter.console.web.problems import documented
from spanmeter.metering.budgets.scopes import values_of
from spanmeter.storage.budget_approvals import Approval as Request

router = APIRouter(tags=["budgets"])

ApprovalId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The number of a request.")]


class Approval(BaseModel):
    """A call that did not fit into a budget whose action is `approve`, and what was decided."""

    approval_id: int
    budget: str
    of: dict[str, str] = Field(description="The counter; empty: the only one.")
    amount: Money = Field(description="What the largest such call was estimated at.")
    asked_at: datetime
    asked_by: str
    decision: str | None = Field(description="approved or denied. Null: it is open.")
    decided_at: datetime | None
    decided_by: str | None


class Approvals(BaseModel):
    """Requests, the latest first: a thousand at most."""

    data: list[Approval]


class ApprovalWanted(Lasting):
    """By how much to raise the limit, and for how long."""

    amount: Amount | None = Field(None, description="Null: by what the largest call needs.")


@router.get("/approvals", responses=documented())
def approvals(
    kept: TheBudgets,
    decided: Annotated[bool, Query(description="Those that were decided, too.")] = False,  # noqa: FBT002
) -> Approvals:
    """Requests that are open."""
    return Approvals(data=[_shown(each) for each in kept.approvals(decided=decided)])


@router.post("/approvals/{approval_id}/approve", responses=documented(HTTPStatus.CONFLICT))
def approve(
    kept: TheBudgets, approval_id: ApprovalId, wanted: ApprovalWanted, who: Administrator
) -> Increased:
    """Raise the limit that a request ran into, for a time."""
    lasting = timedelta(seconds=wanted.seconds)
    added, until = kept.approve(approval_id, wanted.amount, lasting, who.name)
    return Increased(amount=added, until=until)


@router.post(
    "/approvals/{approval_id}/deny",
    status_code=HTTPStatus.NO_CONTENT,
    responses=documented(HTTPStatus.CONFLICT),
)
def deny(kept: TheBudgets, approval_id: ApprovalId, who: Administrator) -> None:
    """Turn a request down."""
    kept.deny(approval_id, who.name)


def _shown(request: Request) -> Approval:
    told = request._asdict()
    return Approval.model_validate({**told, "of": values_of(told.pop("counter"))})
