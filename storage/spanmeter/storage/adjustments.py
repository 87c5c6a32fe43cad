"""The one way to correct the ledger: differences with a reason, since a booked row is never changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from psycopg import errors, sql

from spanmeter.metering.resolution import Key
from spanmeter.metering.usage_event import BillableState, Status, UsageEvent
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors, summary
from spanmeter.storage.errors import AdjustmentRefused

__all__ = ["Adjustment", "AdjustmentRefused", "adjustment_of", "book"]

_PAGE: Final = 5000
"""Adjustments to a statement: a document of some 5 MB."""

# "spancorr" as a number: advisory locks of all programs share one namespace per database.
_LOCK: Final = int.from_bytes(b"spancorr")

_SQL = statements.load("adjustments")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A difference to add to the ledger: the fields are the columns of `adjustments`, in the same order.

    `time` is the time of service that is corrected. Counts and `cost` are signed; None adds nothing. `adjusted` names
    the usage event that is corrected by trace id, span id and time, where it is one in particular. The same
    `adjustment_id` is the same correction: derive it from what the correction rests on, so that it is booked once.
    """

    time: datetime
    adjustment_id: UUID
    reason: str
    reference: str | None = None
    adjusted: Key | None = None

    tenant_id: str | None = None
    workspace_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    feature: str | None = None
    workflow: str | None = None
    action: str | None = None
    label: str | None = None
    idempotency_key: str | None = None
    account_type: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: str | None = None
    service_name: str | None = None
    callsite: str | None = None

    provider: str
    operation: str
    request_model: str | None = None
    response_model: str | None = None
    region: str | None = None
    service_tier: str | None = None
    byok: bool = False
    status: Status = "ok"

    requests: int = 0
    unpriced_requests: int = 0
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    quantities: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    billable_state: BillableState
    billable_reason: str
    cost: Decimal | None = None
    currency: str
    rate_version: str | None = None


_ADJUSTED: Final = ("adjusted_trace_id", "adjusted_span_id", "adjusted_time")
_PLAIN: Final = tuple(each.name for each in fields(Adjustment) if each.name != "adjusted")

_NAMES: Final = [sql.Identifier(name) for name in (*_PLAIN, *_ADJUSTED)]
_INSERT: Final = _SQL["insert"].format(columns=sql.SQL(", ").join(_NAMES))
_CONTRADICTED: Final = _SQL["contradicted"].format(
    booked=sql.SQL(", ").join(sql.SQL("booked.{}").format(name) for name in _NAMES),
    given=sql.SQL(", ").join(sql.SQL("given.{}").format(name) for name in _NAMES),
)

_COPIED: Final = tuple(
    name for name in _PLAIN[: _PLAIN.index("requests")] if name in UsageEvent._fields
)
"""What an adjustment of a usage event has in common with it: whose call of what it was."""


def adjustment_of(
    event: UsageEvent, adjustment_id: UUID, reason: str, reference: str | None = None
) -> Adjustment:
    """An adjustment of `event` that changes nothing yet: same dimensions, no differences.

    `dataclasses.replace` gives it those.
    """
    return Adjustment(
        adjustment_id=adjustment_id,
        reason=reason,
        reference=reference,
        adjusted=(event.trace_id, event.span_id, event.time),
        billable_state=event.billable_state,
        billable_reason=event.billable_reason,
        currency=event.currency,
        **{name: getattr(event, name) for name in _COPIED},
    )


def book(connection: Connection, adjustments: Sequence[Adjustment]) -> int:
    """Book all of them in one transaction, or in the one under way; return how many were not booked before.

    Raises AdjustmentRefused, and books none, where one is booked already with another content, or the ledger does not
    take it; DatabaseUnavailable.
    """
    distinct = _distinct(adjustments)
    pages = [distinct[at : at + _PAGE] for at in range(0, len(distinct), _PAGE)]
    with database_errors():
        try:
            with connection.transaction():
                connection.execute(_SQL["one_at_a_time"], (_LOCK,))
                return sum(_book(connection, _document(page)) for page in pages)
        except (errors.DataError, errors.IntegrityError) as error:
            raise AdjustmentRefused(
                f"the ledger does not take these adjustments: {summary(error)}"
            ) from error


def _distinct(adjustments: Sequence[Adjustment]) -> list[Adjustment]:
    by_id: dict[UUID, Adjustment] = {}
    for each in adjustments:
        if each.time.tzinfo is None:
            raise AdjustmentRefused(f"the adjustment {each.adjustment_id} has a time without zone")
        if by_id.setdefault(each.adjustment_id, each) != each:
            raise AdjustmentRefused(
                f"the adjustment {each.adjustment_id} is there twice, differently"
            )
    return list(by_id.values())


def _book(connection: Connection, document: str) -> int:
    known = connection.execute(_CONTRADICTED, (document,)).fetchone()
    if known is not None:
        raise AdjustmentRefused(
            f"the adjustment {known[0]} is booked already, with another content"
        )
    return connection.execute(_INSERT, (document,)).rowcount


def _document(adjustments: Sequence[Adjustment]) -> str:
    """JSON that PostgreSQL makes rows of: every value in the text form of its type."""
    return json.dumps([_as_row(each) for each in adjustments], default=_as_text)


def _as_row(adjustment: Adjustment) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(adjustment, name) for name in _PLAIN}
    row["dimensions"] = dict(adjustment.dimensions)
    row["quantities"] = dict(adjustment.quantities)
    adjusted = adjustment.adjusted or (None, None, None)
    return row | dict(zip(_ADJUSTED, adjusted, strict=True))


def _as_text(value: object) -> str:
    match value:
        case bytes():
            return f"\\x{value.hex()}"
        case datetime():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)
