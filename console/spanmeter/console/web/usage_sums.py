"""Usage by any dimensions: the sums of the narrowest rollup that can tell them, else of the ledger; always the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final, Literal, NamedTuple

from psycopg import sql

from spanmeter.console.web.asked_period import AskedPeriod
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.view import View
from spanmeter.storage import statements
from spanmeter.storage.errors import UnknownDimension
from spanmeter.storage.report_parts import LEDGER, narrowest
from spanmeter.storage.reports import OWN_DIMENSION, dimension

Grain = Literal["day", "hour", "time"]

PERIODS: Final = ("month", "day", "hour")

MOST_DIMENSIONS: Final = 6

_SHOWN: Final = (
    *("workspace_id", "project_id", "feature", "workflow", "account_type", "environment"),
    *("billable_state", "provider", "model"),
)
_SHOWN_OF_ROWS: Final = (
    *_SHOWN,
    *("user_id", "action", "label", "idempotency_key", "status", "kind"),
)
_MODELS: Final = ("provider", "model")

_SQL: Final = statements.load_file(files("spanmeter.console.web").joinpath("sql", "usage.sql"))


_GRAINS: Final[Sequence[Grain]] = ("day", "hour")


class Relation(NamedTuple):
    """Where sums can be read, and how fine its periods are."""

    name: str
    grain: Grain


class UsageRow(NamedTuple):
    """Sums of what shares `dimensions` and currency, and where the row stands in the listing."""

    dimensions: Mapping[str, str | None]
    requests: int
    failed_requests: int
    unpriced_requests: int
    input_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    cost: Decimal | None
    currency: str
    rank: Decimal
    key: str


@dataclass(frozen=True, slots=True)
class UsageAsked:
    """By what, of which period, and only where dimensions have these values."""

    by: Sequence[str]
    period: AskedPeriod
    only: Mapping[str, str] = field(default_factory=dict[str, str])
    limit: int = 1000
    after: tuple[Decimal, str] | None = None


def usage_sums(view: View, asked: UsageAsked) -> list[UsageRow]:
    """The sums, greatest cost first, or in order of time where periods are asked for; `limit` of them.

    Raises Problem 400 and 403, DatabaseUnavailable.
    """
    _check(view, asked)
    relation = _relation(view, asked)
    rows = view.connection.execute(
        _query(asked, relation, view.tenant), _values(view, asked)
    ).fetchall()
    return [UsageRow(dict(zip(asked.by, row[0], strict=True)), *row[1:]) for row in rows]


def _check(view: View, asked: UsageAsked) -> None:
    if len(asked.by) > MOST_DIMENSIONS or len(set(asked.by)) < len(asked.by):
        raise Problem.meaningless(f"by takes {MOST_DIMENSIONS} different dimensions at most")
    named = [name for name in (*asked.by, *asked.only) if name not in PERIODS]
    try:
        for name in named:
            dimension(name)
    except UnknownDimension as error:
        raise Problem.meaningless(str(error)) from error
    if view.own:
        _check_shown(view, named)


def _check_shown(view: View, named: Sequence[str]) -> None:
    for name in named:
        if name in _MODELS and not view.models:
            raise Problem.forbidden("this tenant is not shown its models")
        if name not in (*_SHOWN_OF_ROWS, "tenant_id") and not name.startswith(OWN_DIMENSION):
            raise Problem.forbidden(f"a tenant is not shown {name}")


def _relation(view: View, asked: UsageAsked) -> Relation:
    wanted = {name for name in (*asked.by, *asked.only) if name not in PERIODS}
    if view.own:
        shown = wanted - {"tenant_id"} <= set(_SHOWN) and _fits("day", asked)
        return Relation("own_shown_daily", "day") if shown else Relation("own_shown_ledger", "time")
    if view.tenant is not None:
        wanted.add("tenant_id")
    for grain in _GRAINS:
        rollup = narrowest(grain, wanted) if _fits(grain, asked) else None
        if rollup is not None:
            return Relation(rollup, grain)
    return Relation(LEDGER, "time")


def _fits(grain: Grain, asked: UsageAsked) -> bool:
    if grain == "day":
        return asked.period.whole_days and "hour" not in asked.by
    return asked.period.whole_hours


def _query(asked: UsageAsked, relation: Relation, tenant: str | None) -> sql.Composed:
    own = relation.name.startswith("own_")
    told = [_told(name, relation.grain, own=own) for name in asked.by]
    conditions: list[sql.Composable] = [_SQL[f"since_{relation.grain}"]]
    conditions += [
        sql.SQL("{}::text = {}").format(_column(name, own=own), sql.Placeholder(f"only_{at}"))
        for at, name in enumerate(asked.only)
    ]
    if tenant is not None and not own:
        conditions.append(sql.SQL("tenant_id = %(tenant)s"))
    return _SQL["usage"].format(
        dimensions=sql.SQL(", ").join(told),
        groups=sql.Composed([sql.SQL("{}, ").format(each) for each in told]),
        failed=_SQL["failed_of_ledger" if relation.grain == "time" else "failed"],
        relation=sql.Identifier(relation.name),
        conditions=sql.SQL(" AND ").join(conditions),
    )


def _told(name: str, grain: Grain, *, own: bool) -> sql.Composable:
    if name in PERIODS:
        return _SQL[f"{name}_of_{grain}"]
    return sql.SQL("{}::text").format(_column(name, own=own))


def _column(name: str, *, own: bool) -> sql.Composable:
    if own and name == "tenant_id":
        return sql.SQL("own_tenant()")
    return dimension(name)


def _values(view: View, asked: UsageAsked) -> dict[str, Any]:
    period = asked.period
    rank, key = asked.after or (None, None)
    return {
        "since": period.since,
        "until": period.until,
        "first": period.since.date(),
        "end": period.until.date(),
        "tenant": view.tenant,
        # What may not be seen may not be told by the order either; what is by time is in its order.
        "by_cost": view.cost and not any(name in PERIODS for name in asked.by),
        "limit": asked.limit,
        "after_rank": rank,
        "after_key": key,
        **{f"only_{at}": value for at, value in enumerate(asked.only.values())},
    }
