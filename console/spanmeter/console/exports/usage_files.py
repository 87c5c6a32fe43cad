"""Plain files of usage: a row for each combination of the dimensions that are asked for."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from spanmeter.console.exports.configuration import Configured
from spanmeter.console.exports.table_content import Cell, Kind, TableOf
from spanmeter.storage.connection import Connection
from spanmeter.storage.reports import ReportRow, usage_report

BY: Final = ("tenant_id", "feature", "provider", "model", "billable_state")
"""What rows are by, unless the file of exports says it."""

_COUNTS: Final = ReportRow._fields[1:-2]


def table(
    connection: Connection, configured: Configured, since: datetime, until: datetime
) -> TableOf:
    """The usage of a window, unattributed usage included."""
    by: Sequence[str] = configured.options.get("by", BY)
    found = usage_report(connection, by, since, until)
    columns: dict[str, Kind] = {"window_start": datetime, "window_end": datetime}
    columns |= dict.fromkeys(by, str) | dict.fromkeys(_COUNTS, int)
    columns |= {"cost": Decimal, "currency": str}
    totals = {"requests": sum((Decimal(row.requests) for row in found), Decimal())}
    for row in found:
        name = f"cost {row.currency}"
        totals[name] = totals.get(name, Decimal()) + (row.cost or 0)
    return TableOf(columns, [_row(row, since, until) for row in found], totals, {})


def _row(row: ReportRow, since: datetime, until: datetime) -> list[Cell]:
    dimensions, *sums = row
    told = [None if value is None else str(value) for value in dimensions.values()]
    return [since, until, *told, *sums]
