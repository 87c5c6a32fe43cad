"""All budgets of a ledger at some moment, with the time zones of tenants and what was added to limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from spanmeter.metering import attributes as names
from spanmeter.metering.budgets.budget import OF_TENANT, PRICE, UNIT, Budget
from spanmeter.metering.budgets.scopes import EACH, Scopes, values_of
from spanmeter.metering.budgets.windows import Span, zone_named
from spanmeter.metering.costing import EXACT


class Increase(NamedTuple):
    """An amount added to a limit for a time; `counter` None: to that of each counter."""

    budget: str
    counter: str | None
    amount: Decimal
    effective_from: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class BudgetBook:
    """`version` is another one whenever a budget or a zone has changed."""

    version: str
    budgets: Mapping[str, Budget]
    zones: Mapping[str, str]
    increases: Sequence[Increase] = ()
    scopes: Scopes[Budget] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scopes", Scopes(self.budgets.values()))

    @property
    def units(self) -> tuple[str, ...]:
        """The units that some budget counts by."""
        metrics = {budget.metric for budget in self.budgets.values()}
        return tuple(sorted(each.removeprefix(UNIT) for each in metrics if each.startswith(UNIT)))

    def by_price(self, *, wanted: bool) -> "BudgetBook":
        """The budgets on price alone, or all others."""
        chosen = {
            name: each for name, each in self.budgets.items() if (each.metric == PRICE) is wanted
        }
        # To find what calls fall under takes long to prepare where there are many.
        whole = len(chosen) == len(self.budgets)
        return self if whole else BudgetBook(self.version, chosen, self.zones)

    def zone(self, budget: Budget, counter: str) -> ZoneInfo:
        """Where the budget's windows begin; UTC where that is a tenant's and nobody has said."""
        if budget.timezone != OF_TENANT:
            return zone_named(budget.timezone)
        tenant = budget.scope.get(names.TENANT_ID)
        if tenant == EACH:
            tenant = values_of(counter).get(names.TENANT_ID)
        return zone_named(self.zones.get(tenant or "", "UTC"))

    def window(self, budget: Budget, counter: str, now: datetime) -> Span:
        """The budget's window now."""
        return budget.window.at(now, self.zone(budget, counter))

    def bucket(self, budget: Budget, counter: str, moment: datetime) -> datetime:
        """Where something used at this moment is counted."""
        return budget.window.bucket(moment, self.zone(budget, counter))

    def limit(self, budget: Budget, counter: str, now: datetime) -> Decimal:
        """The limit, with what is added to it now."""
        limit = budget.limit
        for each in self.increases:
            held = each.effective_from <= now < each.expires_at
            if held and each.budget == budget.name and each.counter in (None, counter):
                limit = EXACT.add(limit, each.amount)
        return limit
