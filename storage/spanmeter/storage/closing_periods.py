"""Closing a tenant's period: what was booked by then is in its statement, and all that comes later is late."""

from datetime import date, datetime

from spanmeter.metering.plans.billing_periods import following
from spanmeter.metering.statements.statement import canonical, exact
from spanmeter.storage.closings import Closing, add_closing
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.definitions import one_at_a_time
from spanmeter.storage.errors import StorageError
from spanmeter.storage.seals import close_window
from spanmeter.storage.statement_usage import clock
from spanmeter.storage.tenant_statements import Statements


class CannotClose(StorageError):
    """A period that cannot be closed now; the message says why."""


def settled_moment(connection: Connection) -> datetime:
    """A moment, just past, as of which nothing can be booked or recorded any more.

    Raises NotSealed, DatabaseUnavailable.
    """
    with one_at_a_time(connection):
        moment = clock(connection)
    with database_errors():
        close_window(connection, moment)
    return moment


def close_period(
    connection: Connection,
    tenant_id: str,
    month: date,
    as_of: datetime,
    closed_by: str,
    *,
    restate: bool = False,
    even_empty: bool = True,
) -> Closing | None:
    """Close a period as of a settled moment, and return it. Periods are closed in their order.

    With `restate` the one that was closed last is closed again, with what came late by now. Unless `even_empty`, the
    period of a tenant who has used nothing and owes nothing is left as it is, if none was closed before. Raises
    CannotClose, ClosedMeanwhile, and what `Statements` raises.
    """
    with database_errors(), connection.transaction():
        statements = Statements(connection, as_of)
        revision = _revision(statements, tenant_id, month, restate=restate)
        statement = statements.restated(tenant_id, month)
        if not (
            even_empty or statement.lines or statement.own.cost or statements.closed(tenant_id)
        ):
            return None
        closing = Closing(
            tenant_id=tenant_id,
            month=month,
            revision=revision,
            since=statement.own.since,
            until=statement.own.until,
            as_of=as_of,
            currency=statement.currency,
            total=statement.total,
            cost={name: exact(cost) or "0" for name, cost in statement.own.cost.items()},
            digest=statement.digest,
            document=canonical(statement.document()).decode(),
            closed_by=closed_by,
        )
        add_closing(connection, closing)
    return closing


def _revision(statements: Statements, tenant_id: str, month: date, *, restate: bool) -> int:
    closed = statements.closed(tenant_id)
    last = closed[-1] if closed else None
    period = statements.period(tenant_id, month)
    if period.until > statements.moment:
        raise CannotClose(
            f"the period {period.name} of tenant {tenant_id!r} is not over before {period.until.isoformat()}"
        )
    if last is None:
        if restate:
            raise CannotClose(f"no period of tenant {tenant_id!r} is closed, so none is restated")
        return 1
    if month == last.month and restate:
        return last.revision + 1
    if month <= last.month:
        what = "restated" if restate else "closed again, but with --restate"
        raise CannotClose(
            f"the last closed period of tenant {tenant_id!r} is {last.month:%Y-%m}: no earlier one can be {what};"
            " what comes late is in the next statement"
        )
    if restate or month != following(last.month):
        raise CannotClose(
            f"after {last.month:%Y-%m} the next period of tenant {tenant_id!r} to be closed is"
            f" {following(last.month):%Y-%m}"
        )
    return 1
