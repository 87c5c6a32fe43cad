"""Tenants for usage that had none: told by its trace, by a dimension, or by somebody, and never guessed.

What is attributed is moved by pairs of adjustments that say why; the rows stay as they are.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from psycopg import sql

from spanmeter.metering.resolution import Key
from spanmeter.storage import statements
from spanmeter.storage.adjustments import Adjustment
from spanmeter.storage.booked_events import with_keys
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.corrections import booked_against, opposite
from spanmeter.storage.positions import NOWHERE, positions
from spanmeter.storage.reports import dimension

REASON: Final = "attributed"
REFERENCE: Final = "attribution:"
"""Before the id of a run, in the reference of its adjustments."""

TRACE: Final = "trace"

_PAGE: Final = 2000

_SQL = statements.load("attributing")


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` until before `until`."""

    since: datetime
    until: datetime

    def parameters(self) -> dict[str, datetime]:
        """For the statements."""
        return {"since": self.since, "until": self.until}


class Found(NamedTuple):
    """Whose a call is, by which rule, and what says so."""

    tenant_id: str
    rule: str
    source: str


class Mapped(NamedTuple):
    """What somebody says: calls with these values of these dimensions are this tenant's; and where it is said."""

    tenant_id: str
    values: Mapping[str, str]
    place: str


class Ambiguous(NamedTuple):
    """A call of which two rules of one kind say two tenants: it stays without one."""

    key: Key
    tenants: tuple[str, ...]


def by_trace(connection: Connection, period: Period) -> dict[Key, Found]:
    """Calls in traces all of whose other calls are of one tenant. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["of_trace"], period.parameters()).fetchall()
    return _found(rows, TRACE)


def by_dimension(connection: Connection, period: Period, name: str) -> dict[Key, Found]:
    """Calls whose value of a dimension is one tenant's in this period, and no other's. Raises UnknownDimension too."""
    query = _SQL["of_dimension"].format(dimension=dimension(name))
    with database_errors():
        rows = connection.execute(query, period.parameters()).fetchall()
    return _found(rows, name)


def by_mapping(
    connection: Connection, period: Period, mapping: Iterable[Mapped]
) -> tuple[dict[Key, Found], list[Ambiguous]]:
    """Calls that fit what somebody says, and those that fit two tenants. Raises the same."""
    fitting: dict[Key, list[Found]] = {}
    for each in mapping:
        fits = sql.SQL(" AND ").join(
            sql.SQL("{}::text = {}").format(dimension(name), sql.Placeholder(f"value_{at}"))
            for at, name in enumerate(each.values)
        )
        values = {f"value_{at}": value for at, value in enumerate(each.values.values())}
        query = _SQL["of_mapping"].format(fits=fits)
        with database_errors():
            rows = connection.execute(query, {**period.parameters(), **values}).fetchall()
        for trace, span, time in rows:
            found = Found(each.tenant_id, "mapping", each.place)
            fitting.setdefault((trace, span, time), []).append(found)
    clear = {key: found[0] for key, found in fitting.items() if len(_tenants(found)) == 1}
    torn = [Ambiguous(key, _tenants(found)) for key, found in fitting.items() if key not in clear]
    return clear, torn


def attributed(
    connection: Connection, run: UUID, found: Mapping[Key, Found]
) -> Iterator[Adjustment]:
    """The pairs of adjustments that move what has no tenant yet to where it belongs; none for what was moved before.

    Raises DatabaseUnavailable.
    """
    keys = sorted(found, key=lambda key: (key[2], key[0], key[1]))
    for at in range(0, len(keys), _PAGE):
        page = keys[at : at + _PAGE]
        corrections = booked_against(connection, page)
        for booked in with_keys(connection, page):
            for position in positions(booked, corrections.get(booked.key, ())):
                if position.tenant_id is None:
                    yield from _pair(run, position, found[booked.key])


def _pair(run: UUID, position: Adjustment, found: Found) -> Iterator[Adjustment]:
    taken = opposite(replace(position, adjustment_id=NOWHERE))
    given = replace(position, tenant_id=found.tenant_id)
    for side, each in (("taken", taken), ("given", given)):
        identity = (
            f"{position.adjusted}\x1f{position.billable_state}\x1f{position.currency}\x1f{side}"
        )
        yield replace(
            each,
            adjustment_id=uuid5(run, f"{identity}\x1f{_whose(position)}"),
            reason=f"{REASON}: {found.rule} {found.source}",
            reference=f"{REFERENCE}{run}",
        )


def _whose(position: Adjustment) -> str:
    """Tells the positions of one event apart, where corrections have split it."""
    return repr((position.workspace_id, position.feature, position.response_model, position.status))


class Open(NamedTuple):
    """What of a place in the code has no tenant by now. `requests` are 0 where all of it has got one."""

    callsite: str | None
    service_name: str | None
    currency: str
    requests: int
    unpriced_requests: int
    input_tokens: int
    output_tokens: int
    cost: Decimal
    first_seen: datetime
    last_seen: datetime


def still_open(connection: Connection, period: Period) -> list[Open]:
    """Usage without a tenant by the place that caused it, greatest cost first. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["still_open"], period.parameters())
        return [Open(*row) for row in rows]


def all_costs(connection: Connection, period: Period) -> dict[str, Decimal]:
    """What everything of the period costs, by currency. Raises DatabaseUnavailable."""
    with database_errors():
        return dict(connection.execute(_SQL["all_costs"], period.parameters()).fetchall())


def _found(rows: Iterable[Sequence[Any]], rule: str) -> dict[Key, Found]:
    return {
        (trace, span, time): Found(tenant, rule, source)
        for trace, span, time, tenant, source in rows
    }


def _tenants(found: Iterable[Found]) -> tuple[str, ...]:
    return tuple(sorted({each.tenant_id for each in found}))
