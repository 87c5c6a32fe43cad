"""Budgets: what is spent and left of each, and requests to raise a limit."""

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from spanmeter.console.budget_scopes import short_scope
from spanmeter.console.periods import duration
from spanmeter.console.web.api.budgets import LONGEST, BudgetCounter, BudgetName, counter
from spanmeter.console.web.budgets import Budgets, the_budgets, used
from spanmeter.console.web.forms import SentForm, amount_in
from spanmeter.console.web.principals import Operator, administrator, operator
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.rendering import page
from spanmeter.metering.budgets.budget import Budget
from spanmeter.metering.budgets.scopes import values_of
from spanmeter.storage.budget_approvals import Approval
from spanmeter.storage.budget_standing import Standing

router = APIRouter()

TheBudgets = Annotated[Budgets, Depends(the_budgets)]
Administrator = Annotated[Operator, Depends(administrator)]
ApprovalId = Annotated[int, Path(ge=1, le=2**63 - 1)]

_OF_EACH: Final = 3
"""Counters of one budget that the list shows; its own page has the others."""

_ON_A_PAGE: Final = 25


class Counter(NamedTuple):
    """A counter as the pages show it; `used` is the part that is spent."""

    budget: Budget
    shown: BudgetCounter
    used: float


class Group(NamedTuple):
    """A budget with the counters that are used most, and how many more there are."""

    budget: Budget
    counters: Sequence[Counter]
    more: int


class Asked(NamedTuple):
    """A request, and the budget that it is about; None: it is gone meanwhile."""

    request: Approval
    budget: Budget | None
    of: str


@router.get("/budgets")
def budgets(
    request: Request, kept: TheBudgets, who: Annotated[Operator, Depends(operator)]
) -> Response:
    """All budgets, those that are used most first, and what waits for approval."""
    return _page(request, kept, who)


@router.get("/budgets/{budget}")
def budget_page(
    request: Request,
    kept: TheBudgets,
    budget: BudgetName,
    who: Annotated[Operator, Depends(operator)],
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """One budget: its counters, its definition, and who has set it."""
    return _budget_page(request, kept, budget, who, start=start)


@router.post("/budgets/{budget}/increase")
def increase(
    request: Request, kept: TheBudgets, budget: BudgetName, form: SentForm, who: Administrator
) -> Response:
    """Add to the limit of the budget for a time."""
    try:
        kept.increase(
            budget,
            amount_in(form, "amount"),
            _lasting(form),
            of={},
            by=who.name,
            reason=form.get("reason", "")[:500],
        )
    except Problem as problem:
        if problem.status == HTTPStatus.NOT_FOUND:
            raise
        return _budget_page(request, kept, budget, who, wrong=problem)
    return RedirectResponse(f"/budgets/{budget}", HTTPStatus.SEE_OTHER)


@router.post("/approvals/{approval_id}/approve")
def approve(
    request: Request,
    kept: TheBudgets,
    approval_id: ApprovalId,
    form: SentForm,
    who: Administrator,
) -> Response:
    """Raise the limit that a request ran into."""
    try:
        kept.approve(approval_id, amount_in(form, "amount"), _lasting(form), who.name)
    except Problem as problem:
        return _page(request, kept, who, wrong=problem)
    return RedirectResponse("/budgets", HTTPStatus.SEE_OTHER)


@router.post("/approvals/{approval_id}/deny")
def deny(
    request: Request, kept: TheBudgets, approval_id: ApprovalId, form: SentForm, who: Administrator
) -> Response:
    """Turn a request down."""
    try:
        kept.deny(approval_id, who.name)
    except Problem as problem:
        return _page(request, kept, who, wrong=problem)
    return RedirectResponse("/budgets", HTTPStatus.SEE_OTHER)


def _page(
    request: Request, kept: Budgets, who: Operator, *, wrong: Problem | None = None
) -> Response:
    found = kept.standings()
    known = {each.budget.name: each.budget for each in found}
    requests = kept.approvals(decided=True)
    return page(
        request,
        "budgets.html",
        HTTPStatus.OK if wrong is None else wrong.status,
        groups=_groups(found),
        waiting=[_asked(each, known) for each in requests if each.decision is None],
        decided=[_asked(each, known) for each in requests if each.decision is not None][:20],
        admin=who.admin,
        wrong=None if wrong is None else wrong.detail,
    )


def _budget_page(
    request: Request,
    kept: Budgets,
    budget: str,
    who: Operator,
    *,
    start: int = 0,
    wrong: Problem | None = None,
) -> Response:
    history = kept.history(budget)
    found = _most_used(kept.standings(budget))
    return page(
        request,
        "budget.html",
        HTTPStatus.OK if wrong is None else wrong.status,
        budget=budget,
        definition=history[0].definition,
        history=history,
        counters=found[start : start + _ON_A_PAGE],
        count=len(found),
        start=start,
        following=start + _ON_A_PAGE if len(found) > start + _ON_A_PAGE else None,
        admin=who.admin,
        wrong=None if wrong is None else wrong.detail,
    )


def _groups(found: Sequence[Standing]) -> list[Group]:
    by_name: dict[str, list[Standing]] = {}
    for each in found:
        by_name.setdefault(each.budget.name, []).append(each)
    groups = [
        Group(of_it[0].budget, _most_used(of_it)[:_OF_EACH], max(0, len(of_it) - _OF_EACH))
        for of_it in by_name.values()
    ]
    return sorted(groups, key=lambda each: -each.counters[0].used)


def _most_used(found: Sequence[Standing]) -> list[Counter]:
    counters = [Counter(each.budget, counter(each), float(used(each))) for each in found]
    return sorted(counters, key=lambda each: -each.used)


def _asked(request: Approval, known: dict[str, Budget]) -> Asked:
    budget = known.get(request.budget)
    scope = (
        values_of(request.counter) if budget is None else short_scope(budget.scope, request.counter)
    )
    return Asked(request, budget, " · ".join(scope.values()))


def _lasting(form: dict[str, str]) -> timedelta:
    try:
        lasting = duration(form.get("lasting", ""))
    except (ValueError, OverflowError) as error:
        raise Problem.meaningless(str(error)) from error
    if not timedelta() < lasting <= LONGEST:
        raise Problem.meaningless("a limit is raised for ten years at most")
    return lasting
