"""Rows into a table by COPY, in PostgreSQL's binary form: the fastest way, which knows no ON CONFLICT."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from types import NoneType
from typing import Final, Literal

from psycopg import Copy, sql
from psycopg.adapt import AdaptersMap
from psycopg.postgres import types as known_types
from psycopg.pq import Format
from psycopg.types.string import BytesBinaryDumper

from spanmeter.storage import statements
from spanmeter.storage.connection import Connection
from spanmeter.storage.usage_json import UsageJsonDumper

_LEDGER: Final = statements.load("ledger")

HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL: Final = b"\xff\xff"
"""What the binary form of COPY begins and ends with."""

TURN: Final = 64
"""Rows that are packed in one go, a tenth of a millisecond; then another thread may go on."""

TURNS: Final = 8
"""As many make a piece for the database, of some 400 KB."""

KINDS: Final = {
    known_types[name].oid: letter
    for name, letter in {
        "text": b"s",
        "bytea": b"b",
        "int8": b"q",
        "int4": b"l",
        "bool": b"?",
        "timestamptz": b"t",
        "interval": b"v",
        "numeric": b"n",
        "jsonb": b"j",
    }.items()
}
"""The types that `_copying.c` knows, by what it calls them; values of others are psycopg's to write."""

OTHER: Final = b"-"


def _bound() -> bool:
    """Whether the compiled packer is here, and wanted."""
    if os.environ.get("SPANMETER_PURE_PYTHON", "0") not in {"", "0"}:
        return False
    try:
        from spanmeter.storage import _copying
    except ImportError:
        return False
    _copying.bind(datetime(2000, 1, 1, tzinfo=UTC), timedelta, Decimal)
    return True


PACKER: Final[Literal["compiled", "psycopg"]] = "compiled" if _bound() else "psycopg"
"""Which of the two writes rows in this process. They differ in nothing but speed."""


def prepare_copying(adapters: AdaptersMap) -> None:
    """Choose how a session writes values: ours for mappings, and for bytes the one that is compiled."""
    adapters.register_dumper(dict, UsageJsonDumper)
    adapters.register_dumper(bytes, BytesBinaryDumper)


def copy_rows(
    connection: Connection,
    table: str,
    types: Mapping[str, str],
    rows: Iterable[tuple[object, ...]],
) -> None:
    """Copy `rows` into a table, whose columns are the names of `types`, in their order.

    Raises UniqueViolation where the table has one of them.
    """
    copying = _LEDGER["copy"].format(target=sql.Identifier(table), columns=listed(types))
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        if PACKER == "compiled" and connection.info.encoding == "utf-8":
            for data in packed(connection.adapters, [*types.values()], rows):
                copy.write(data)
        else:
            _write_rows(copy, [*types.values()], rows)


def packed(
    adapters: AdaptersMap, types: Sequence[str], rows: Iterable[tuple[object, ...]]
) -> Iterator[bytes]:
    """Rows of columns of these types as COPY takes them, piece by piece; text in UTF-8."""
    from spanmeter.storage._copying import pack

    oids = [adapters.types.get_oid(name) for name in types]
    kinds = b"".join(KINDS.get(oid, OTHER) for oid in oids)
    dumpers = (adapters.get_dumper_by_oid(oid, Format.BINARY) for oid in oids)
    dumps = tuple(dumper(NoneType, None).dump for dumper in dumpers)
    left = iter(rows)
    yield HEAD
    while turns := [pack(batch, kinds, dumps) for batch in _turns(left)]:
        yield b"".join(turns)
    yield TAIL


def _turns(rows: Iterator[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    """The rows that are packed for one piece, by turns."""
    for _ in range(TURNS):
        if not (batch := [*islice(rows, TURN)]):
            return
        yield batch


def _write_rows(copy: Copy, types: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    copy.set_types(types)
    write = copy.write_row
    for row in rows:
        write(row)


def listed(names: Iterable[str]) -> sql.Composed:
    """The names of columns, for a statement."""
    return sql.SQL(", ").join(map(sql.Identifier, names))
