"""Plans as listings: what there is, and how it came about."""

from collections.abc import Sequence
from datetime import UTC, datetime

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.plans.plan_book import PlanBook
from spanmeter.storage.plans import RecordedAssignment, RecordedPlan

_PLANS = (
    Column("plan", "plan"),
    Column("version", "version", "none yet"),
    Column("effective_from", "from"),
    Column("currency", "currency"),
    Column("time_zone", "zone"),
    Column("charges", "charges"),
    Column("tenants", "tenants"),
    Column("default", "default"),
)

_HISTORY = (
    Column("recorded_at", "recorded"),
    Column("what", "what"),
    Column("tenant_id", "tenant", "(everybody else)"),
    Column("plan", "plan", "(none)"),
    Column("effective_from", "from"),
    Column("by", "by"),
    Column("login", "login"),
    Column("note", "note"),
)


def plans_listing(book: PlanBook, at: datetime | None = None) -> Listing:
    """The plans in force at a moment, and how many tenants have them by their own assignment."""
    moment = at or datetime.now(UTC)
    tenants = [book.plan_of(tenant, moment) for tenant in book.tenants()]
    default = book.plan_of("", moment)
    rows: list[Sequence[Value]] = []
    for name in sorted({each.plan.name for each in book.versions}):
        version = book.version_of(name, moment)
        told: Sequence[Value] = (None, None, None, None, None)
        if version is not None:
            plan = version.plan
            told = (
                *(version.name, version.effective_from, plan.currency, plan.time_zone),
                len(plan.charges),
            )
        rows.append((name, *told, tenants.count(name), name == default))
    notes = [] if default else ["There is no default plan: who has none of their own has no plan."]
    return Listing(columns=_PLANS, rows=rows, notes=notes)


def history_listing(
    versions: Sequence[RecordedPlan],
    assignments: Sequence[RecordedAssignment],
    plan: str | None,
    tenant: str | None,
) -> Listing:
    """All that was recorded, the latest first."""
    found: list[tuple[datetime, Sequence[Value]]] = [
        (
            each.recorded_at,
            (
                *(each.recorded_at, "version", "-", each.name, each.effective_from),
                *(each.recorded_by, each.login, each.note),
            ),
        )
        for each in versions
        if tenant is None and plan in {None, each.plan}
    ]
    found += [
        (
            each.recorded_at,
            (
                *(each.recorded_at, "assigned", each.tenant_id, each.plan, each.effective_from),
                *(each.recorded_by, each.login, each.note),
            ),
        )
        for each in assignments
        if plan in {None, each.plan} and tenant in {None, each.tenant_id}
    ]
    found.sort(key=lambda each: each[0], reverse=True)
    return Listing(columns=_HISTORY, rows=[row for _, row in found])
