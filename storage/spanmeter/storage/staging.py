"""A batch into a table, by way of a staging table: COPY is the fastest, but has no ON CONFLICT."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from psycopg import sql

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection
from spanmeter.storage.copying import copy_rows, listed
from spanmeter.storage.errors import SchemaOutOfDate

NO_NOTES: Final[Mapping[str, str]] = MappingProxyType({})

_SCHEMA = statements.load("schema")
_LEDGER = statements.load("ledger")


class Staging:
    """The session's staging table for `columns` of `table`, and the way from there into it.

    `insert` names the statement that moves the rows. The columns' types are read from the database; `notes` are columns
    of the staging table alone, with theirs. Raises SchemaOutOfDate if the table lacks a column.
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        insert: str,
        notes: Mapping[str, str] = NO_NOTES,
    ) -> None:
        self._connection = connection
        self._types = {**_types(connection, table, columns), **notes}
        self._table, self._staging = table, f"staged_{table}"
        staging = sql.Identifier(self._staging)
        self._insert = _LEDGER[insert].format(staging=staging, columns=listed(columns))
        definitions = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), statements.trusted(type_))
            for name, type_ in self._types.items()
        )
        create = _LEDGER["create_staging"]
        connection.execute(create.format(staging=staging, columns=definitions))

    def stage(self, rows: Iterable[tuple[object, ...]], columns: Sequence[str]) -> None:
        """Stage `rows` of these columns, notes among them; the end of the transaction clears them."""
        self._copy(self._staging, rows, columns)

    def copy(self, rows: Iterable[tuple[object, ...]], columns: Sequence[str]) -> None:
        """Copy `rows` into the table itself, past the staging table: it must have none of them.

        Raises UniqueViolation where it has.
        """
        self._copy(self._table, rows, columns)

    def insert(self) -> int:
        """Move what is staged into the table, once in a transaction; return how many rows were new."""
        return self._connection.execute(self._insert).rowcount

    def _copy(self, table: str, rows: Iterable[tuple[object, ...]], columns: Sequence[str]) -> None:
        copy_rows(self._connection, table, {name: self._types[name] for name in columns}, rows)


def _types(connection: Connection, table: str, columns: Sequence[str]) -> dict[str, str]:
    types: dict[str, str] = dict(connection.execute(_SCHEMA["columns"], (table,)).fetchall())
    if missing := [name for name in columns if name not in types]:
        raise SchemaOutOfDate(
            f"the database has no {table}.{missing[0]}; run `spanmeter db migrate`"
        )
    return {name: types[name] for name in columns}
