"""What every request is answered with: connections, tokens, and the count of failed attempts."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final, cast

from fastapi import Request

from spanmeter.console.web.attempts import Attempts
from spanmeter.console.web.details import Details, DetailsAsked, details
from spanmeter.console.web.key_use import KeyUse
from spanmeter.console.web.margins_held import AllMargins, MarginsAsked, all_margins
from spanmeter.console.web.rates_held import RatesHeld
from spanmeter.console.web.settings import ConsoleSettings
from spanmeter.console.web.statements import StatementAsked, Told, told_statement
from spanmeter.console.web.tokens import Tokens, secrets_of
from spanmeter.console.web.view import View
from spanmeter.console.web.worked_out import Noted, WorkedOut
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.pool import connection_pool

_CONNECTIONS: Final = 12

_SNAPSHOT: Final = statements.trusted("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class Services:
    """Those of one console; opened when it starts to serve."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.settings = settings
        self.pool = connection_pool(settings.dsn, most=_CONNECTIONS)
        self.attempts = Attempts(self.pool)
        self.key_use = KeyUse(self.pool)
        self.tokens = Tokens(self._secrets)
        self.rates = RatesHeld()
        self.margins = WorkedOut(self._margins)
        self.statements = WorkedOut(self._statement)
        self.details = WorkedOut(self._details)

    def open(self) -> None:
        """Before the first request."""
        self.pool.open()

    def close(self) -> None:
        """After the last one."""
        self.margins.close()
        self.statements.close()
        self.details.close()
        self.pool.close()

    @contextmanager
    def snapshot(self) -> Generator[Connection]:
        """A connection for reading: one moment, however many queries are made. Raises DatabaseUnavailable."""
        with self.pool.connection() as connection, database_errors(), connection.transaction():
            connection.execute(_SNAPSHOT)
            yield connection

    @contextmanager
    def changing(self) -> Generator[Connection]:
        """A connection in autocommit. Raises DatabaseUnavailable."""
        with self.pool.connection() as connection, database_errors():
            yield connection

    def _margins(self, asked: MarginsAsked, noted: Noted) -> AllMargins:
        with self.snapshot() as connection:
            return all_margins(connection, asked, noted)

    def _statement(self, asked: StatementAsked, _: Noted) -> Told:
        with self.snapshot() as connection:
            return told_statement(connection, asked)

    def _details(self, asked: DetailsAsked, _: Noted) -> Details:
        with self.snapshot() as connection:
            of = View.of_own if asked.own else View.of_all
            return details(of(connection, asked.tenant), asked)

    def _secrets(self) -> Mapping[str, bytes]:
        with self.pool.connection() as connection:
            return secrets_of(self.settings.secrets, connection)


def services_of(request: Request) -> Services:
    """The services of the console that answers this request."""
    return cast("Services", request.app.state.services)
