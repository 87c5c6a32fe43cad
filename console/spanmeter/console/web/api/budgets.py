"""`/v1/budgets`: limits on what a scope may use, how far each counter has come, and more for a time."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from spanmeter.console.budget_scopes import scope_of
from spanmeter.console.web.budgets import Budgets, the_budgets, unit_of
from spanmeter.console.web.money import Amount, Money
from spanmeter.console.web.paging import Cursor, Limit, Page, page_of, read
from spanmeter.console.web.principals import Operator, administrator
from spanmeter.console.web.problems import documented
from spanmeter.console.web.whole import Whole
from spanmeter.metering.budgets.budget import Action, Fail
from spanmeter.storage.budget_standing import Standing
from spanmeter.storage.budgets import BudgetVersion

router = APIRouter(tags=["budgets"])

TheBudgets = Annotated[Budgets, Depends(the_budgets)]
Administrator = Annotated[Operator, Depends(administrator)]
BudgetName = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="The name of a budget.")
]
_Value = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00]+$")]

LONGEST = timedelta(days=3660)
"""More than a limit is granted for so long at most."""


class Lasting(BaseModel):
    """Something for a time."""

    seconds: Whole = Field(
        86_400, ge=60, le=int(LONGEST.total_seconds()), description="For so long."
    )


class BudgetCounter(BaseModel):
    """How far one counter of a budget has come. Amounts are in `unit`."""

    budget: str
    scope: dict[str, str] = Field(description="What it counts; empty: everything.")
    metric: str
    unit: str = Field(description="A currency, or what is counted.")
    window: str
    since: datetime = Field(description="The window began.")
    resets_at: datetime | None = Field(description="Null: it moves on, or never ends.")
    limit: Money = Field(description="With what is added to it now.")
    spent: Money = Field(description="The sum over the ledger at this moment.")
    lent: Money = Field(description="Held by processes for calls that are under way.")
    left: Money = Field(description="Neither spent nor lent; negative: more was spent.")
    reached: Money | None = Field(description="The highest threshold that was reached, per cent.")
    action: str = Field(description="What becomes of a call that does not fit.")


BudgetCounters = Page[BudgetCounter]


class Version(BaseModel):
    """A definition as it was set."""

    version: int
    definition: dict[str, Any] | None = Field(description="Null: the budget was removed.")
    set_at: datetime
    set_by: str


class BudgetShown(BaseModel):
    """A budget: its definition, every version of it, and how far its counters have come."""

    budget: str
    definition: dict[str, Any]
    versions: list[Version] = Field(description="The latest first.")
    counters: list[BudgetCounter]


class Unpriced(BaseModel):
    """What a model without a rate counts as, per million tokens and per request."""

    model_config = ConfigDict(extra="forbid")

    input_per_million: Amount = "15"
    output_per_million: Amount = "75"
    per_request: Amount = "0"


class BudgetWanted(BaseModel):
    """A budget to be in force. What is left out has its default."""

    model_config = ConfigDict(extra="forbid")

    scope: dict[str, _Value] = Field(
        max_length=8, description="tenant, feature, user ...; * for one counter of each."
    )
    limit: Amount
    metric: _Value = Field(
        "cost",
        description="cost, price, tokens, input_tokens, output_tokens, requests, unit:NAME.",
    )
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "USD"
    window: _Value = Field(
        "month", description="hour ... year, `rolling 24h`, `rolling 7d`, lifetime."
    )
    timezone: _Value = Field("UTC", description="An IANA name, or `tenant`.")
    thresholds: list[Amount] = Field(["50", "80", "100"], max_length=16)
    action: Action = "block"
    fail: Fail = "open"
    per_request: Amount | None = None
    unpriced: Unpriced | Literal["refuse"] = Field(default_factory=Unpriced)
    output_tokens: Whole = Field(4096, ge=1, le=10_000_000)
    max_wait: Whole = Field(30, ge=1, le=300, description="Seconds, of throttle.")
    least_output: Whole = Field(256, ge=1, le=10_000_000)
    models: dict[str, _Value] = Field(default_factory=dict[str, str], max_length=64)


class IncreaseWanted(Lasting):
    """More than the limit, for a time."""

    amount: Amount
    of: dict[str, _Value] = Field(
        default_factory=dict[str, str],
        max_length=8,
        description="One counter, by its values: {tenant: acme}. Empty: each.",
    )
    reason: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] | None = None


class Increased(BaseModel):
    """What was added to a limit."""

    amount: Money
    until: datetime


class Laid(BaseModel):
    """Whether what was asked for is any different from what was."""

    changed: bool


@router.get("/budgets", responses=documented())
def budgets(
    request: Request,
    kept: TheBudgets,
    tenant: Annotated[
        str | None, Query(max_length=1024, pattern=r"^[^\x00]+$", description="Only its counters.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> BudgetCounters:
    """Every counter of every budget in force, by name: what is spent, lent and left at this moment."""
    found = sorted(
        (each for each in kept.standings() if tenant in (None, scope_of(each).get("tenant"))),
        key=_key,
    )
    if (after := read(cursor, str, str)) is not None:
        found = [each for each in found if _key(each) > after]
    shown, following = page_of(request, found[: limit + 1], limit, _key)
    return BudgetCounters(data=[counter(each) for each in shown], next=following)


@router.get("/budgets/{budget}", responses=documented(HTTPStatus.NOT_FOUND))
def budget_shown(kept: TheBudgets, budget: BudgetName) -> BudgetShown:
    """One budget; up to 10,000 of its counters."""
    history = kept.history(budget)
    return BudgetShown(
        budget=budget,
        definition=dict(history[0].definition or {}),
        versions=[_version(each) for each in history],
        counters=[counter(each) for each in kept.standings(budget)],
    )


@router.put("/budgets/{budget}", responses=documented())
def set_budget(
    kept: TheBudgets, budget: BudgetName, wanted: BudgetWanted, who: Administrator
) -> Laid:
    """Put a budget in force, for what was used of its window until now too; applications follow within seconds."""
    return Laid(changed=kept.put(budget, wanted.model_dump(), who.name))


@router.delete(
    "/budgets/{budget}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=documented(HTTPStatus.NOT_FOUND),
)
def remove_budget(kept: TheBudgets, budget: BudgetName, who: Administrator) -> None:
    """Let a budget hold no more. Its versions are kept."""
    kept.remove(budget, who.name)


@router.post(
    "/budgets/{budget}/increases",
    status_code=HTTPStatus.CREATED,
    responses=documented(HTTPStatus.NOT_FOUND),
)
def increase(
    kept: TheBudgets, budget: BudgetName, wanted: IncreaseWanted, who: Administrator
) -> Increased:
    """Add to the limit of one counter of a budget, or of each, for a time."""
    lasting = timedelta(seconds=wanted.seconds)
    until = kept.increase(
        budget, wanted.amount, lasting, of=wanted.of, by=who.name, reason=wanted.reason
    )
    return Increased.model_validate({"amount": wanted.amount, "until": until})


def counter(standing: Standing) -> BudgetCounter:
    """The counter as the API shows it."""
    reached = standing.reached
    return BudgetCounter(
        budget=standing.budget.name,
        scope=scope_of(standing),
        metric=standing.budget.metric,
        unit=unit_of(standing.budget),
        window=standing.budget.window.name,
        since=standing.window.start,
        resets_at=standing.window.end,
        limit=standing.limit,
        spent=standing.spent,
        lent=standing.lent,
        left=standing.left,
        reached=reached[-1] if reached else None,
        action=standing.budget.action,
    )


def _key(standing: Standing) -> tuple[str, str]:
    return standing.budget.name, standing.counter


def _version(version: BudgetVersion) -> Version:
    return Version(
        version=version.version,
        definition=None if version.definition is None else dict(version.definition),
        set_at=version.set_at,
        set_by=version.set_by,
    )
