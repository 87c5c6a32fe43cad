"""Statements of one tenant, for an operator, or for the tenant itself without what reveals its cost."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, NamedTuple

from spanmeter.console.statement_listing import notes_of
from spanmeter.console.web.problems import Problem
from spanmeter.metering.plans.billing_periods import following, month_named
from spanmeter.metering.plans.charge_units import COST
from spanmeter.metering.statements.course import TwoCurrencies
from spanmeter.metering.statements.statement import Statement, exact, total_of
from spanmeter.storage.closings import Closing
from spanmeter.storage.connection import Connection
from spanmeter.storage.errors import LedgerIncomplete
from spanmeter.storage.tenant_statements import Statements

_INTERNAL: Final = ("unpriced", "no_plan")
"""Lines that are for whoever looks after rates and plans."""


@dataclass(frozen=True, slots=True)
class Told:
    """A statement: its document, and what there is to know beside it."""

    document: dict[str, Any]
    digest: str
    closing: Closing | None
    changed_since: str | None
    notes: list[str]
    now: date
    """The month that the period of now begins in."""
    closed: list[Closing]
    """The closed periods, in their order."""

    @property
    def month(self) -> date:
        """The month that its period begins in."""
        return month_named(self.document["period"])

    @property
    def before(self) -> date:
        """The month before."""
        return following(self.month, -1)

    @property
    def after(self) -> date | None:
        """The month after, unless that is to come."""
        return following(self.month) if self.month < self.now else None

    def costless(self) -> "Told":
        """As a tenant is told it that is not shown what its usage costs."""
        hidden = {"cost": None, "calls": None, "unpriced_calls": None, "uncharged_calls": None}
        lines = [
            _costless(line) for line in self.document["lines"] if line["kind"] not in _INTERNAL
        ]
        return replace(self, document={**self.document, **hidden, "lines": lines}, notes=[])

    @property
    def charged(self) -> bool:
        """Whether a plan was in force, so that there are amounts."""
        return self.document["currency"] is not None


class StatementAsked(NamedTuple):
    """Whose, of which month; None: the one that is now."""

    tenant: str
    month: date | None


@dataclass(frozen=True, slots=True)
class TenantStatements:
    """A tenant's statements."""

    statements: Statements
    tenant: str

    @property
    def month(self) -> date:
        """The month that the period of now begins in."""
        return self.statements.current(self.tenant).month

    def closed(self) -> list[Closing]:
        """Its closed periods, in their order."""
        return self.statements.closed(self.tenant)

    def told(self, month: date) -> Told:
        """The statement of a month: of a closed one as it was closed, of an open one to date. Raises Problem 409."""
        closing = next((each for each in self.closed() if each.month == month), None)
        try:
            found = self.statements.of(self.tenant, month)
            return self._worked_out(found, closing)
        except LedgerIncomplete:
            if closing is None:
                raise
            return self._as_kept(closing)
        except TwoCurrencies as error:
            raise Problem.conflict(str(error)) from error

    def _worked_out(self, found: Statement, closing: Closing | None) -> Told:
        changed = [] if closing is None else self.statements.changed_since(self.tenant, closing)
        return Told(
            found.document(),
            found.digest.hex(),
            closing,
            exact(total_of(changed)) if changed else None,
            notes_of(found, closing, changed),
            self.month,
            self.closed(),
        )

    def _as_kept(self, closing: Closing) -> Told:
        note = "Rows of that time have left the ledger: this is what was kept when it was closed."
        digest, closed = closing.digest.hex(), self.closed()
        return Told(closing.read(), digest, closing, None, [note], self.month, closed)


def _costless(line: dict[str, Any]) -> dict[str, Any]:
    """Of a markup, quantity and price are the cost and what is added to it."""
    if line["unit"] != COST:
        return line
    return {**line, "unit": None, "quantity": None, "price": None}


def told_statement(connection: Connection, asked: StatementAsked) -> Told:
    """The statement that is asked for. Raises Problem 409, DatabaseUnavailable."""
    kept = TenantStatements(Statements(connection), asked.tenant)
    return kept.told(kept.month if asked.month is None else asked.month)
