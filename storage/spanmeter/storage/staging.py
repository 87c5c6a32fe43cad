"""A batch into a table, by way of a staging table: COPY is the fastest, but has no ON CONFLICT."""

from collections.abc import Iterable, Sequence

from psycopg import sql

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection
from spanmeter.storage.errors import SchemaOutOfDate

_SCHEMA = statements.load("schema")
_LEDGER = statements.load("ledger")


class Staging:
    """The session's staging table for `columns` of `table`, and the way from there into it.

    `insert` names the statement that moves the rows. The columns' types are read from the database.
    Raises SchemaOutOfDate if the table lacks a column.
    """

    def __init__(
        self, connection: Connection, table: str, columns: Sequence[str], insert: str
    ) -> None:
        self._types = _types(connection, table, columns)
        staging = sql.Identifier(f"staged_{table}")
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        self._copy = _LEDGER["copy"].format(staging=staging, columns=names)
        self._insert = _LEDGER[insert].format(staging=staging, columns=names)
        definitions = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), statements.trusted(type_))
            for name, type_ in zip(columns, self._types, strict=True)
        )
        create = _LEDGER["create_staging"]
        connection.execute(create.format(staging=staging, columns=definitions))

    def add(self, connection: Connection, rows: Iterable[Sequence[object]]) -> int:
        """Add `rows`, in the order of the columns, and return how many were new.

        To be called once in a transaction, which then empties the staging table.
        """
        with connection.cursor() as cursor:
            with cursor.copy(self._copy) as copy:
                copy.set_types(self._types)
                for row in rows:
                    copy.write_row(row)
            return cursor.execute(self._insert).rowcount


def _types(connection: Connection, table: str, columns: Sequence[str]) -> list[str]:
    types: dict[str, str] = dict(connection.execute(_SCHEMA["columns"], (table,)).fetchall())
    if missing := [name for name in columns if name not in types]:
        raise SchemaOutOfDate(
            f"the database has no {table}.{missing[0]}; run `spanmeter db migrate`"
        )
    return [types[name] for name in columns]
