"""Usage events as the API and the pages list them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final, NamedTuple

from psycopg import sql

from spanmeter.console.web.asked_period import AskedPeriod
from spanmeter.console.web.problems import Problem
from spanmeter.console.web.view import View
from spanmeter.storage import statements

FILTERS: Final = ("tenant_id", "feature", "user_id", "model", "provider", "status", "callsite")
_OPERATORS: Final = ("tenant_id", "callsite")
_MODELS: Final = ("model", "provider")

_FIRST_LOOK: Final = timedelta(minutes=15)
_FURTHER: Final = 8

_SQL: Final = statements.load_file(files("spanmeter.console.web").joinpath("sql", "events.sql"))


class EventRow(NamedTuple):
    """One row of usage; `duration` is in seconds. `described_elsewhere`: another row counts its call."""

    time: datetime
    trace_id: bytes
    span_id: bytes
    tenant_id: str | None
    workspace_id: str | None
    project_id: str | None
    user_id: str | None
    feature: str | None
    workflow: str | None
    action: str | None
    label: str | None
    idempotency_key: str | None
    account_type: str | None
    environment: str | None
    dimensions: Mapping[str, str]
    service_name: str | None
    callsite: str | None
    provider: str | None
    operation: str | None
    model: str | None
    status: str
    error_type: str | None
    duration: float | None
    input_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    output_tokens: int | None
    reasoning_output_tokens: int | None
    usage_source: str | None
    billable_state: str
    cost: Decimal | None
    currency: str
    cost_quality: str | None
    described_elsewhere: bool

    @property
    def event(self) -> str:
        """The name that `explain` takes."""
        return f"{self.trace_id.hex()}:{self.span_id.hex()}"


@dataclass(frozen=True, slots=True)
class EventsAsked:
    """Of which period, only where FILTERS have these values; `limit` rows after a key of time, trace and span."""

    period: AskedPeriod
    only: Mapping[str, str] = field(default_factory=dict[str, str])
    limit: int = 100
    after: tuple[datetime, bytes, bytes] | None = None


def list_events(view: View, asked: EventsAsked) -> list[EventRow]:
    """The rows, the latest first. Raises Problem 403, DatabaseUnavailable."""
    if view.own:
        _check_shown(view, asked)
    time, trace, span = asked.after or (None, None, None)
    values: dict[str, Any] = {
        "since": asked.period.since,
        "until": asked.period.until,
        "limit": asked.limit,
        "after_time": time,
        "after_trace": trace,
        "after_span": span,
        "tenant": view.tenant,
        **{f"only_{at}": value for at, value in enumerate(asked.only.values())},
    }
    query = _query(view, asked)
    rows: list[EventRow] = []
    for since in _widening(asked):
        found = view.connection.execute(query, {**values, "since": since})
        rows = [EventRow._make(row) for row in found]
        if len(rows) >= asked.limit:
            break
    return rows


def _widening(asked: EventsAsked) -> Iterator[datetime]:
    """Beginnings further and further back: the latest rows are found without sorting all those of a month."""
    period = asked.period
    latest = min(period.until, asked.after[0] if asked.after else datetime.now(UTC))
    back = _FIRST_LOOK
    while latest - back > period.since:
        yield latest - back
        back *= _FURTHER
    yield period.since


def _check_shown(view: View, asked: EventsAsked) -> None:
    for name in asked.only:
        if name in _OPERATORS:
            raise Problem.forbidden(f"a tenant is not shown {name}")
        if name in _MODELS and not view.models:
            raise Problem.forbidden("this tenant is not shown its models")


def _query(view: View, asked: EventsAsked) -> sql.Composed:
    conditions: list[sql.Composable] = [
        sql.SQL("{} = {}").format(_column(view, name), sql.Placeholder(f"only_{at}"))
        for at, name in enumerate(asked.only)
    ]
    if view.own:
        conditions.append(sql.SQL("kind = 'usage' AND requests > 0"))
    elif view.tenant is not None:
        conditions.append(sql.SQL("tenant_id = %(tenant)s"))
    return _SQL["events"].format(
        columns=_SQL["own_columns" if view.own else "operators_columns"],
        relation=sql.Identifier("own_shown_ledger" if view.own else "usage_events"),
        conditions=sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
    )


def _column(view: View, name: str) -> sql.Composable:
    return _SQL["model"] if name == "model" and not view.own else sql.Identifier(name)
