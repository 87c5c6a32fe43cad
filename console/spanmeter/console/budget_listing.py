"""Budgets, their counters and their changes as listings."""

import json
from collections.abc import Mapping, Sequence

from spanmeter.console.budget_files import Change
from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.budgets.scopes import EACH, values_of
from spanmeter.storage.budget_standing import MAX_COUNTERS, Standing
from spanmeter.storage.budgets import BudgetVersion

_STANDING = (
    Column("budget", "budget"),
    Column("scope", "scope"),
    Column("metric", "metric"),
    Column("window", "window"),
    Column("limit", "limit"),
    Column("spent", "spent"),
    Column("lent", "lent"),
    Column("left", "left"),
    Column("reached", "reached %"),
    Column("action", "action"),
    Column("resets_at", "resets at"),
    Column("currency", "currency"),
)

_CHANGES = (
    Column("budget", "budget"),
    Column("member", "member"),
    Column("before", "before"),
    Column("after", "after"),
)

_MONEY = ("cost", "price")


def standing_listing(
    found: Sequence[Standing], about: Mapping[str, Value] | None = None
) -> Listing:
    """How far counters have come. `lent` is held by processes for their next calls."""
    notes = [] if found else ["No budget holds: `spanmeter budget set` makes one."]
    if len(found) >= MAX_COUNTERS:
        notes.append(f"Of one budget, {MAX_COUNTERS:,} counters are listed at most.")
    return Listing(_STANDING, list(map(_row, found)), about=about or {}, notes=notes)


def definition_of(name: str, history: Sequence[BudgetVersion]) -> dict[str, Value]:
    """The definition in force, and who has set it when."""
    latest = history[0]
    members: dict[str, Value] = {
        member: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for member, value in (latest.definition or {}).items()
    }
    return {
        "budget": name,
        **members,
        "set_at": latest.set_at,
        "set_by": latest.set_by,
        "versions": len(history),
    }


def change_listing(changes: Sequence[Change], *, dry_run: bool) -> Listing:
    """What a file changes."""
    notes = [] if changes else ["Nothing changes."]
    if changes and dry_run:
        notes = ["Nothing was changed: --dry-run."]
    return Listing(_CHANGES, changes, notes=notes)


def _row(standing: Standing) -> list[Value]:
    budget = standing.budget
    reached = standing.reached
    return [
        budget.name,
        _scope(standing),
        budget.metric,
        budget.window.name,
        standing.limit,
        standing.spent,
        standing.lent,
        standing.left,
        f"{reached[-1]:f}" if reached else None,
        budget.action,
        standing.window.end,
        budget.currency if budget.metric in _MONEY else None,
    ]


def _scope(standing: Standing) -> str:
    values = values_of(standing.counter)
    parts = [
        f"{name}={values.get(name, value) if value == EACH else value}"
        for name, value in standing.budget.scope.items()
    ]
    return " ".join(parts) or "everything"
