"""Statements for requests: at once where they are quick, else as they were last, or as under way."""

from http import HTTPStatus
from typing import Annotated, Final, NamedTuple

from fastapi import Depends

from spanmeter.console.web.problems import Problem
from spanmeter.console.web.services import Services, services_of
from spanmeter.console.web.statements import StatementAsked, Told
from spanmeter.console.web.views import OneTenant
from spanmeter.console.web.worked_out import PATIENCE, BeingWorkedOut
from spanmeter.metering.plans.billing_periods import month_named
from spanmeter.storage.console_access import tenant_view
from spanmeter.storage.errors import StorageError

_PATIENCE_OF_PROGRAMS: Final = 10.0


class Beside(NamedTuple):
    """A statement beside other things: None where it is being worked out, or cannot be."""

    told: Told | None
    working: bool


class AskedStatements:
    """The statements of the tenant that a request is about, as whoever asks may see them."""

    def __init__(self, services: Services, tenant: str, *, own: bool) -> None:
        self._services, self.tenant, self._own = services, tenant, own

    def told(self, month: str | None = None) -> Told:
        """For a program: it waits. Raises Problem 409, and 503 while there is no answer yet."""
        try:
            return self._read(month, _PATIENCE_OF_PROGRAMS)
        except BeingWorkedOut as error:
            again = {"Retry-After": "5"}
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), again) from error

    def at_once(self, month: str | None = None) -> Told | None:
        """For a page; None: it is being worked out. Raises Problem 409."""
        try:
            return self._read(month, PATIENCE)
        except BeingWorkedOut:
            return None

    def beside(self, month: str | None = None) -> "Beside":
        """For a page that has more to show, whatever becomes of the statement."""
        try:
            told = self.at_once(month)
            return Beside(told, working=told is None)
        except (Problem, StorageError):
            return Beside(None, working=False)

    def _read(self, month: str | None, patience: float) -> Told:
        asked = StatementAsked(self.tenant, None if month is None else month_named(month))
        told = self._services.statements.read(asked, patience)
        return told if self._shows_cost() else told.costless()

    def _shows_cost(self) -> bool:
        """Whether whoever asks may see the cost now, however old the answer is."""
        if not self._own:
            return True
        with self._services.snapshot() as connection:
            return tenant_view(connection, self.tenant).shows_cost


def asked_statements(
    services: Annotated[Services, Depends(services_of)], asked: OneTenant
) -> AskedStatements:
    """Of the tenant that is asked for."""
    return AskedStatements(services, asked.tenant, own=asked.own)


StatementsOfTenant = Annotated[AskedStatements, Depends(asked_statements)]
