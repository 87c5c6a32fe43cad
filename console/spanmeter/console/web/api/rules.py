"""`/v1/rules`: what is billable, every version of it."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from spanmeter.console.web.problems import documented
from spanmeter.console.web.views import OperatorView
from spanmeter.storage.rules import rules_history, rules_in_force

router = APIRouter(tags=["rules"])


class RulesVersion(BaseModel):
    """One version of the rules, as it was set."""

    version: str
    text: str = Field(description="The rules as they were written.")
    set_at: datetime
    set_by: str
    note: str | None


class RulesHistory(BaseModel):
    """Which version decides now, and every one that was set, the latest first."""

    in_force: str
    data: list[RulesVersion]


@router.get("/rules", responses=documented())
def rules(view: OperatorView) -> RulesHistory:
    """The billable rules: without any that were set, those of the release are in force."""
    history = rules_history(view.connection)
    return RulesHistory(
        in_force=rules_in_force(view.connection).version,
        data=[
            RulesVersion(
                version=each.version,
                text=each.text,
                set_at=each.set_at,
                set_by=each.set_by,
                note=each.note,
            )
            for each in history
        ],
    )
