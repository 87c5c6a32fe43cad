"""Usage and cost as a listing: the ledger's sums by any dimensions, with what is not in them said plainly."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.storage.connection import Connection
from spanmeter.storage.errors import UnknownDimension
from spanmeter.storage.reports import (
    DIMENSIONS,
    OWN_DIMENSION,
    PERIODS,
    ReportRow,
    estimated_requests,
    usage_report,
)

# What people type for short; the ledger's own names work as well.
_SHORT: Final = {
    "tenant": "tenant_id",
    "workspace": "workspace_id",
    "project": "project_id",
    "user": "user_id",
    "service": "service_name",
}
_HEADINGS: Final = {column: short for short, column in _SHORT.items()}

_SUMS: Final = (
    Column("requests", "requests"),
    Column("failed_requests", "failed"),
    Column("unpriced_requests", "unpriced"),
    Column("input_tokens", "input"),
    Column("cache_read_input_tokens", "cache read"),
    Column("cache_write_input_tokens", "cache write"),
    Column("output_tokens", "output"),
    Column("reasoning_output_tokens", "reasoning"),
    Column("cost", "cost", missing="unpriced"),
    Column("currency", "currency"),
)


NAMES: Final = (*(_HEADINGS.get(name, name) for name in DIMENSIONS), *PERIODS)
"""What a report can be by, as people type it, beside dimensions of their own."""


def dimensions(text: str) -> list[str]:
    """The ledger's dimensions in a comma-separated list of their names, long or short. Raises `UnknownDimension`."""
    names = [name for each in text.split(",") if (name := each.strip())]
    for name in names:
        if name not in (*NAMES, *DIMENSIONS) and not name.startswith(OWN_DIMENSION):
            raise UnknownDimension(
                f"there is no dimension {name!r}; there are {', '.join(NAMES)}, {OWN_DIMENSION}NAME"
            )
    return list(dict.fromkeys(_SHORT.get(name, name) for name in names))


def usage_listing(
    connection: Connection,
    by: Sequence[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tenant: str | None = None,
) -> Listing:
    """The sums by `by`, and their totals by currency from the same snapshot of the ledger.

    Raises `UnknownDimension`. The totals are the database's own, so that they are exact.
    """
    rows = usage_report(connection, by, since, until, tenant)
    totals = usage_report(connection, (), since, until, tenant) if by else []
    about: dict[str, Value] = {"since": since, "until": until, "tenant_id": tenant}
    return Listing(
        columns=[*map(_dimension, by), *_SUMS],
        rows=[[*row.dimensions.values(), *_sums(row)] for row in rows],
        totals=[_sums(total) for total in totals],
        about={name: value for name, value in about.items() if value is not None},
        notes=_notes(rows, estimated_requests(connection, since, until, tenant)),
    )


def _dimension(name: str) -> Column:
    missing = "(unattributed)" if name == "tenant_id" else "-"
    return Column(name, _HEADINGS.get(name, name.removeprefix("dimension:")), missing)


def _sums(row: ReportRow) -> Sequence[Value]:
    _, *sums = row
    return sums


def _notes(rows: Sequence[ReportRow], estimated: int) -> list[str]:
    unpriced = sum(row.unpriced_requests for row in rows)
    unattributed = sum(row.requests for row in rows if row.dimensions.get("tenant_id", "") is None)
    notes = [] if rows else ["Nothing is booked in this period."]
    if unpriced:
        notes.append(f"Requests without a known rate: {unpriced:,}. Their cost is in no sum.")
    if estimated:
        notes.append(
            f"Requests whose tokens the provider did not count: {estimated:,}. They are estimated in every sum."
        )
    if unattributed:
        notes.append(
            f"Requests without a tenant: {unattributed:,}. Where they come from: --by callsite."
        )
    return notes
