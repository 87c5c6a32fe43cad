"""Rows into a table by COPY, in PostgreSQL's binary form: the fastest way, which knows no ON CONFLICT."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from psycopg import sql
from psycopg.types.string import BytesBinaryDumper

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection
from spanmeter.storage.usage_json import UsageJsonDumper

_LEDGER: Final = statements.load("ledger")


def prepare_copying(connection: Connection) -> None:
    """Choose how the session writes values: ours for mappings, and for bytes the one that is compiled."""
    connection.adapters.register_dumper(dict, UsageJsonDumper)
    connection.adapters.register_dumper(bytes, BytesBinaryDumper)


def copy_rows(
    connection: Connection, table: str, types: Mapping[str, str], rows: Iterable[Sequence[object]]
) -> None:
    """Copy `rows` into a table, whose columns are the names of `types`, in their order.

    Raises UniqueViolation where the table has one of them.
    """
    copying = _LEDGER["copy"].format(target=sql.Identifier(table), columns=listed(types))
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        copy.set_types([*types.values()])
        write = copy.write_row
        for row in rows:
            write(row)


def listed(names: Iterable[str]) -> sql.Composed:
    """The names of columns, for a statement."""
    return sql.SQL(", ").join(map(sql.Identifier, names))
