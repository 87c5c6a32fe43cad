"""Revenue of other systems as CSV: tenant, period, amount, currency, and a source if there are several."""

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from spanmeter.console.bounded_file import content_of
from spanmeter.console.failures import JobFailed
from spanmeter.metering.plans.billing_periods import month_named
from spanmeter.storage.revenue import Revenue

MAX_BYTES: Final = 64 * 1024 * 1024
IMPORTED: Final = "imported"
"""The source of what names none."""

_COLUMNS: Final = ("tenant", "period", "amount", "currency")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_DIGITS: Final = 40


def read_revenue(path: Path) -> list[Revenue]:
    """What the file says, in its order. Raises `JobFailed`, which names the line."""
    try:
        text = content_of(path, MAX_BYTES).decode("utf-8-sig")
        return list(_rows(text))
    except OSError as error:
        raise JobFailed(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise JobFailed(f"{path} is no revenue: {error}") from error


def _rows(text: str) -> Iterator[Revenue]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
        raise ValueError(
            f"there is no column {missing[0]!r}; there are to be {', '.join(_COLUMNS)}"
        )
    for row in reader:
        values = {name: (row.get(name) or "").strip() for name in (*_COLUMNS, "source")}
        try:
            yield _revenue(values)
        except ValueError as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None


def _revenue(values: dict[str, str]) -> Revenue:
    if not values["tenant"]:
        raise ValueError("there is no tenant")
    if _CURRENCY.fullmatch(values["currency"]) is None:
        raise ValueError(f"{values['currency'][:40]!r} is no currency; write USD")
    try:
        amount = Decimal(values["amount"])
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount.adjusted()) > _DIGITS:
        raise ValueError(f"{values['amount'][:40]!r} is no amount")
    return Revenue(
        values["tenant"],
        # A period may be told by any day of its month.
        month_named(values["period"][:7]),
        amount,
        values["currency"],
        values["source"] or IMPORTED,
    )
