"""Booked calls costed again at other rates, and the adjustments that make up the difference: rows never change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import sql

from spanmeter.metering.call_cost import REFUSED_RULE, CallCost, CallCosts
from spanmeter.metering.called import Called
from spanmeter.metering.costing import EXACT, NO_MONEY, priced_quantities
from spanmeter.metering.rates import Rates
from spanmeter.metering.same_call import RULE as DUPLICATE_RULE
from spanmeter.metering.tokens import Tokens
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.adjustments import Adjustment, adjustment_of
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.corrections import booked_against
from spanmeter.storage.errors import StorageError

REASON: Final = "reprice"
PAGE: Final = 2000
"""Rows in memory at a time."""

# "spanrepr" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spanrepr")
_RULES: Final = [REFUSED_RULE, DUPLICATE_RULE]
"""What stands in a rate's place where no rate decides: a change of rates is nothing to these rows."""

_SQL = statements.load("repricing")
_BOOKED: Final = _SQL["booked"].format(
    columns=sql.SQL(", ").join(sql.Identifier("booked", name) for name in UsageEvent._fields)
)
_CALLED: Final = Called._fields
_TOKENS: Final = Tokens._fields
_COUNTS: Final = tuple(each.name for each in fields(Adjustment) if each.name.endswith("_tokens"))
_IDENTITY: Final = frozenset(
    {"adjustment_id", "reason", "reference", "rate_version", "cost", "time", "adjusted"}
)
_AMOUNTS: Final = frozenset({"requests", "unpriced_requests", "quantities", *_COUNTS})
_HOLDING: Final = tuple(
    each.name for each in fields(Adjustment) if each.name not in _IDENTITY | _AMOUNTS
)
"""What tells whose call it is, in which state and currency: corrections may have moved it."""


class Busy(StorageError):
    """Another process reprices this ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which calls are to be costed again. `rate_versions`: of those with a cost only what these made."""

    since: datetime
    until: datetime | None = None
    model: str | None = None
    tenant: str | None = None
    rate_versions: Sequence[str] | None = None


class Standing(NamedTuple):
    """What a call counts for now, with all that corrects it: to whom, its cost, and whether that is not known.

    `holder` has the dimensions, the state and the currency; `corrections` is how many there are.
    """

    event: UsageEvent
    holder: Adjustment
    cost: Decimal
    unpriced: int
    corrections: int


class Repriced(NamedTuple):
    """A call whose cost another rate changes: what it counts for now, and what it costs at that rate."""

    standing: Standing
    cost: CallCost

    @property
    def before(self) -> Decimal | None:
        """The cost as it is now; `None` where it is not known."""
        return None if self.standing.unpriced else self.standing.cost

    @property
    def currencies(self) -> tuple[str, str]:
        """The currency of the cost as it is now, and of the other."""
        held = self.standing.holder.currency
        return held, held if self.cost.cost.amount is None else self.cost.currency


def only_one(connection: Connection) -> None:
    """Keep others from repricing for as long as the connection lives. Raises Busy."""
    with database_errors():
        if connection.execute(_SQL["one_at_a_time"], (_LOCK,)).fetchone() != (True,):
            raise Busy("this ledger is being repriced already; wait for that to end")


def costed_again(
    connection: Connection, rates: Rates, asked: Asked
) -> Iterator[tuple[int, list[Repriced]]]:
    """Yield, page by page, how many calls were looked at and those whose cost is another at `rates`.

    In a transaction, which has to stay open meanwhile. A call that was taken out of every sum is left out. Raises
    DatabaseUnavailable.
    """
    costs = CallCosts(rates)
    parameters: dict[str, Any] = {
        "since": asked.since,
        "until": asked.until,
        "model": asked.model,
        "tenant": asked.tenant,
        "rate_versions": None if asked.rate_versions is None else list(asked.rate_versions),
        "rules": _RULES,
    }
    with database_errors(), connection.cursor("spanmeter_repricing") as cursor:
        cursor.execute(_BOOKED, parameters)
        while rows := cursor.fetchmany(PAGE):
            standing = _standing(connection, [_event(row) for row in rows])
            wanted = [each for each in standing if asked.tenant in {None, each.holder.tenant_id}]
            found = (Repriced(each, _cost(costs, each)) for each in wanted)
            yield len(wanted), [each for each in found if _differs(each)]


def adjustments_for(repriced: Repriced, run: str) -> list[Adjustment]:
    """The corrections that make the call's cost what it is at the other rate.

    One, or where the currency is another, two: the call leaves the sums of the one and enters those of the other. The
    same difference has the same identity, however often it is found.
    """
    standing, cost = repriced
    amount, unpriced = cost.cost.amount, int(cost.cost.amount is None)
    before, after = repriced.currencies
    told: dict[str, Any] = {
        "reason": REASON,
        "reference": f"{run} {cost.rate_version or 'unpriced'}",
        "rate_version": cost.rate_version,
    }
    if before == after:
        difference = EXACT.subtract(amount or NO_MONEY, standing.cost)
        return [
            replace(
                standing.holder,
                adjustment_id=_identity(repriced, "difference"),
                unpriced_requests=unpriced - standing.unpriced,
                cost=difference,
                **told,
            )
        ]
    return [
        replace(
            _whole(standing, -1),
            adjustment_id=_identity(repriced, "out"),
            unpriced_requests=-standing.unpriced,
            cost=-standing.cost,
            **told,
        ),
        replace(
            _whole(standing, 1),
            adjustment_id=_identity(repriced, "in"),
            unpriced_requests=unpriced,
            cost=amount,
            currency=after,
            **told,
        ),
    ]


def _event(row: tuple[Any, ...]) -> UsageEvent:
    event = UsageEvent._make(row)
    amounts = {unit: Decimal(amount) for unit, amount in event.quantities.items()}
    return event._replace(quantities=amounts)


def _standing(connection: Connection, events: Sequence[UsageEvent]) -> list[Standing]:
    corrections = booked_against(
        connection, [(each.trace_id, each.span_id, each.time) for each in events]
    )
    found = (
        _stands(each, corrections.get((each.trace_id, each.span_id, each.time), []))
        for each in events
    )
    return [each for each in found if each is not None]


def _stands(event: UsageEvent, corrections: Sequence[Adjustment]) -> Standing | None:
    booked = adjustment_of(event, UUID(int=0), REASON)
    if not corrections:
        cost = event.cost or NO_MONEY
        return Standing(event, booked, cost, int(event.cost is None), 0)
    whole = replace(booked, requests=1, unpriced_requests=int(event.cost is None), cost=event.cost)
    requests: dict[object, int] = {}
    holders: dict[object, Adjustment] = {}
    for each in (whole, *corrections):
        place = _place(each)
        requests[place] = requests.get(place, 0) + each.requests
        holders.setdefault(place, each)
    held = [place for place, count in requests.items() if count > 0]
    if len(held) != 1:
        return None
    holder = holders[held[0]]
    same = [each for each in (whole, *corrections) if each.currency == holder.currency]
    cost = NO_MONEY
    for each in same:
        cost = EXACT.add(cost, each.cost or NO_MONEY)
    unpriced = sum(each.unpriced_requests for each in same)
    nothing: dict[str, Any] = {**dict.fromkeys(_COUNTS), "quantities": {}, "cost": None}
    bare = replace(holder, time=event.time, requests=0, unpriced_requests=0, **nothing)
    return Standing(event, bare, cost, unpriced, len(corrections))


def _place(adjustment: Adjustment) -> tuple[object, ...]:
    values = ((name, getattr(adjustment, name)) for name in _HOLDING)
    return tuple(
        tuple(sorted(value.items())) if name == "dimensions" else value for name, value in values
    )


def _cost(costs: CallCosts, standing: Standing) -> CallCost:
    event = standing.event
    called = Called._make(getattr(event, name) for name in _CALLED)
    tokens = Tokens._make(getattr(event, name) for name in _TOKENS)
    tenant = standing.holder.tenant_id
    counted = tokens.reported or bool(event.quantities)
    quantities = priced_quantities(tokens, event.quantities) if counted else {}
    return costs.of(called, quantities, event.time, by_model=False, tenant=tenant)


def _differs(repriced: Repriced) -> bool:
    standing, cost = repriced
    before, after = repriced.currencies
    return (
        before != after
        or standing.cost != (cost.cost.amount or NO_MONEY)
        or standing.unpriced != int(cost.cost.amount is None)
    )


def _whole(standing: Standing, sign: int) -> Adjustment:
    """All that the call counts for, to be taken out of the sums or added to them."""
    event = standing.event
    counts: dict[str, Any] = {
        name: None if (count := getattr(event, name)) is None else sign * count for name in _COUNTS
    }
    quantities = {unit: sign * amount for unit, amount in event.quantities.items()}
    return replace(standing.holder, requests=sign, quantities=quantities, **counts)


def _identity(repriced: Repriced, part: str) -> UUID:
    """Of what the call counted for and what it is to count for, after so many corrections: it is corrected so once."""
    standing, cost = repriced
    event = standing.event
    told = (
        *(event.trace_id.hex(), event.span_id.hex(), event.time.isoformat(), part),
        *(standing.cost, standing.unpriced, standing.corrections, standing.holder.currency),
        *(cost.cost.amount, cost.rate_version, cost.currency),
    )
    digest = blake2b("\0".join(map(str, told)).encode(), digest_size=16, person=b"reprice")
    return UUID(bytes=digest.digest())
