"""A statement as people and programs get it."""

import csv
import io
import json
from collections.abc import Sequence

from spanmeter.console.listing import Column, Listing, Value, as_table
from spanmeter.metering.statements.line import Line
from spanmeter.metering.statements.statement import Statement, total_of
from spanmeter.storage.closings import Closing

_COLUMNS = (
    Column("kind", "kind"),
    Column("name", "for"),
    Column("plan", "plan"),
    Column("unit", "unit"),
    Column("calls", "calls"),
    Column("quantity", "quantity"),
    Column("price", "price"),
    Column("amount", "amount", "not known"),
    Column("rounded", "to pay", "not known"),
)


def as_statement_table(
    statement: Statement, closing: Closing | None, changed: Sequence[Line]
) -> str:
    """Aligned text: whose it is and of when, the lines, the total, and what to know."""
    rows: list[Sequence[Value]] = [
        (
            *(line.kind, line.name, line.plan, line.unit, line.calls),
            *(_count(line), line.price, line.amount, _paid(due)),
        )
        for line, due in zip(statement.lines, statement.rounded, strict=True)
    ]
    about: dict[str, Value] = {
        "tenant": statement.tenant_id,
        "period": statement.month,
        "since": statement.own.since,
        "until": statement.own.until,
        "state": _state(statement),
        "as_of": statement.as_of,
        "currency": statement.currency,
        "cost": ", ".join(f"{cost:f} {name}" for name, cost in statement.own.cost.items()),
        "sha256": statement.digest.hex(),
    }
    total = [[statement.unrounded, _paid(statement.total)]] if statement.total is not None else []
    notes = notes_of(statement, closing, changed)
    return as_table(Listing(columns=_COLUMNS, rows=rows, totals=total, about=about, notes=notes))


def as_statement_json(
    statement: Statement, closing: Closing | None, changed: Sequence[Line]
) -> str:
    """The document that the hash is of, the hash, and what to know beside it."""
    told = {
        "statement": statement.document(),
        "sha256": statement.digest.hex(),
        "state": "open" if statement.revision is None else "closed",
        "revision": statement.revision,
        "changed_since": None if statement.revision is None else f"{total_of(changed):f}",
        "notes": notes_of(statement, closing, changed),
    }
    return json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def as_statement_csv(statement: Statement, closing: Closing | None, changed: Sequence[Line]) -> str:
    """A heading line and the lines, exactly."""
    text = io.StringIO()
    lines = statement.document()["lines"]
    heading = ["kind", "name", "plan", "unit", "quantity", "price", "amount", "rounded", "calls"]
    writer = csv.DictWriter(
        text, [*heading, "since", "until"], extrasaction="raise", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


STATEMENT_FORMATS = {
    "table": as_statement_table,
    "json": as_statement_json,
    "csv": as_statement_csv,
}


def _state(statement: Statement) -> str:
    if statement.revision is None:
        return "open, to date"
    revision = "" if statement.revision == 1 else f", revision {statement.revision}"
    return f"closed {statement.closed_at:%Y-%m-%d %H:%M}{revision}"


def _count(line: Line) -> str | None:
    return None if line.quantity is None else f"{line.quantity.normalize():,f}"


def _paid(due: object) -> str | None:
    return None if due is None else f"{due:,f}"


def notes_of(statement: Statement, closing: Closing | None, changed: Sequence[Line]) -> list[str]:
    """What an operator should know beside the lines."""
    own, notes = statement.own, list[str]()
    if not statement.lines:
        notes.append("Nothing is charged for this period.")
    if own.unpriced_calls:
        notes.append(
            f"Calls without a known rate: {own.unpriced_calls:,}. A markup on them is in no amount."
        )
    if own.uncharged_calls:
        notes.append(f"Calls that no charge of the plan is for: {own.uncharged_calls:,}.")
    if any(line.kind == "no_plan" for line in statement.lines):
        notes.append("Without a plan nothing has a price: `spanmeter plan assign` gives one.")
    if closing is not None and closing.digest != statement.digest:
        notes.append(
            "IT DIFFERS from what was closed: worked out again, its hash is another than"
            f" {closing.digest.hex()}."
        )
    if changed:
        notes.append(
            f"Since it was closed, {total_of(changed):f} {statement.currency} came late: in the next"
            " statement, unless it is restated."
        )
    return notes
