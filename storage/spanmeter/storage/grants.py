"""Grants in the database, when they were taken back, and refunds of actions. What is left of a grant is not kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.types.json import Jsonb

from spanmeter.metering.plans.grants import Grant
from spanmeter.metering.plans.selection import selection
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.definitions import one_at_a_time
from spanmeter.storage.errors import StorageError

_FIELDS: Final = (
    *("grant_id", "tenant_id", "kind", "unit", "amount", "effective_at", "expires_at", "priority"),
    *("recurring", "rollover_min", "rollover_max"),
)

_SQL = statements.load("grants")


class UnknownGrant(StorageError):
    """A grant that was never made, or is void already."""


class NothingToRefund(StorageError):
    """No action of the key has succeeded that was not refunded before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """An action that is not to be charged after all; calls of its key from `refunded_at` on are another action."""

    tenant_id: str
    action: str
    key: str
    refunded_at: datetime
    reason: str


def add_grant(connection: Connection, grant: Grant, recorded_by: str) -> bool:
    """Grant something; return whether it was not granted before under its id. Raises DatabaseUnavailable."""
    told: dict[str, Any] = {name: getattr(grant, name) for name in _FIELDS}
    when = grant.when.wanted
    told |= {
        "applies_when": None if when is None else Jsonb(when),
        "recorded_by": recorded_by,
        "note": grant.note,
    }
    with one_at_a_time(connection):
        return connection.execute(_SQL["add"], told).rowcount == 1


def void_grant(
    connection: Connection,
    grant_id: str,
    voided_at: datetime,
    recorded_by: str,
    note: str | None = None,
) -> None:
    """Take a grant back from a moment on. Raises UnknownGrant, DatabaseUnavailable."""
    told = {
        "grant_id": grant_id,
        "voided_at": voided_at,
        "recorded_by": recorded_by,
        "note": note,
    }
    with one_at_a_time(connection):
        known = any(each.grant_id == grant_id for each in read_grants(connection))
        if not known or not connection.execute(_SQL["void"], told).rowcount:
            raise UnknownGrant(
                f"there is no grant {grant_id!r} that is not void: `spanmeter grant list` shows all"
            )


def read_grants(
    connection: Connection, tenant_id: str | None = None, as_of: datetime | None = None
) -> list[Grant]:
    """What was granted, to one tenant or to all, as known by a moment. Raises RulesError, DatabaseUnavailable."""
    asked = {"tenant": tenant_id, "as_of": as_of}
    with database_errors():
        rows = connection.execute(_SQL["grants"], asked).fetchall()
    return [_grant(row) for row in rows]


def refund_action(connection: Connection, refund: Refund, recorded_by: str) -> None:
    """Refund the last action of a key. Raises NothingToRefund, DatabaseUnavailable."""
    told = {
        "tenant": refund.tenant_id,
        "action": refund.action,
        "key": refund.key,
        "refunded_at": refund.refunded_at,
        "reason": refund.reason,
        "recorded_by": recorded_by,
    }
    with one_at_a_time(connection):
        if not connection.execute(_SQL["refund"], told).rowcount:
            raise NothingToRefund(
                f"tenant {refund.tenant_id!r} has no action {refund.action!r} with the key {refund.key!r}"
                " that succeeded and was not refunded"
            )


def _grant(row: tuple[Any, ...]) -> Grant:
    *values, when, recorded_at, note, voided_at = row
    told: dict[str, Any] = dict(zip(_FIELDS, values, strict=True))
    return Grant(
        **told,
        recorded_at=recorded_at,
        voided_at=voided_at,
        note=note,
        when=selection(when, f"grant {told['grant_id']!r}"),
    )
