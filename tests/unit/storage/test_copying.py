"""The compiled packer writes what psycopg writes, byte for byte, or refuses as it does."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg._copy_base import BinaryFormatter
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.pq import Format

from spanmeter.storage.copying import HEAD, PACKER, TAIL, packed, prepare_copying

if PACKER != "compiled":
    pytest.skip("the compiled packer is not here", allow_module_level=True)

ADAPTERS = AdaptersMap(psycopg.adapters)
prepare_copying(ADAPTERS)

Row = tuple[Any, ...]

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.just(["a", "list"]),
)


def decimal(sign: int, digits: list[int], exponent: int) -> Decimal:
    return Decimal((sign, tuple(digits), exponent))


DECIMALS = st.decimals() | st.builds(
    decimal,
    st.sampled_from([0, 1]),
    st.lists(st.integers(0, 9), max_size=40) | st.just([0] * 130),
    st.integers(-60, 40) | st.sampled_from([-1200, 1200]),
)
EMPTY: dict[str, Any] = {}
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(exclude_categories=[]), max_size=20),
    "bytea": st.binary(max_size=40) | st.binary(max_size=3).map(bytearray),
    "bigint": st.integers(-(2**63) - 1, 2**63),
    "integer": st.integers(-(2**31) - 1, 2**31),
    "boolean": st.booleans(),
    "timestamp with time zone": st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=30))])
    ),
    "interval": st.timedeltas(),
    "numeric": DECIMALS | st.integers(),
    "jsonb": st.sampled_from([EMPTY, '{"a":1}', "é"])
    | st.dictionaries(st.text(max_size=3), DECIMALS),
    "uuid": st.uuids(),
    "double precision": st.floats(),
}


def by_psycopg(types: Sequence[str], rows: Sequence[Row]) -> bytes:
    """What `write_row` sends."""
    connection_less: Any = type("Adapted", (), {"adapters": ADAPTERS, "connection": None})()
    transformer = Transformer(connection_less)
    transformer.set_dumper_types([ADAPTERS.types.get_oid(name) for name in types], Format.BINARY)
    formatter = BinaryFormatter(transformer)
    return b"".join([*(bytes(formatter.write_row(row)) for row in rows), bytes(formatter.end())])


def compiled(types: Sequence[str], rows: Sequence[Row]) -> bytes:
    return b"".join(packed(ADAPTERS, types, rows))


def outcome(way: Any, types: Sequence[str], rows: Sequence[Row]) -> bytes | type[Exception]:
    try:
        written: bytes = way(types, rows)
    except (psycopg.Error, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return type(error)
    return written


@given(st.data(), st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=6))
def test_values_of_their_columns_types(data: st.DataObject, types: list[str]) -> None:
    rows = data.draw(
        st.lists(st.tuples(*(st.none() | COLUMNS[name] for name in types)), max_size=4)
    )

    assert outcome(compiled, types, rows) == outcome(by_psycopg, types, rows)


@given(st.sampled_from(sorted(COLUMNS)), ANYTHING)
def test_values_of_any_type(column: str, value: object) -> None:
    rows = [(value,), (None,)]

    assert outcome(compiled, [column], rows) == outcome(by_psycopg, [column], rows)


@pytest.mark.parametrize(
    "number",
    [
        *("0", "-0", "0.00", "1", "10", "10000", "123456789.000100020003", "0.0001", "0.00010"),
        *("1E+9", "1.5E-7", "-1E-30", "99999999999999999999.9999", "NaN", "Infinity", "1E-1500"),
    ],
)
def test_decimal_numbers(number: str) -> None:
    rows = [(Decimal(number),)]

    assert compiled(["numeric"], rows) == by_psycopg(["numeric"], rows)


def test_more_rows_than_are_packed_at_once() -> None:
    rows = [(number, "x" * (number % 7)) for number in range(2000)]

    assert compiled(["bigint", "text"], rows) == by_psycopg(["bigint", "text"], rows)


def test_no_rows() -> None:
    assert compiled(["bigint"], []) == HEAD + TAIL


@pytest.mark.parametrize("row", [(), (1, 2), [1]], ids=repr)
def test_a_row_of_another_form_is_refused(row: Any) -> None:
    with pytest.raises(TypeError, match="a tuple of 1 values"):
        compiled(["bigint"], [row])


def test_packing_leaves_nothing_behind() -> None:
    types = ["timestamptz", "interval", "numeric", "jsonb", "text", "bigint", "uuid"]
    now = datetime.now(UTC)
    row = (now, timedelta(1, 2, 3), Decimal("1.25"), {"a": 1}, "é", 2**40, UUID(int=7))
    rows: list[Row] = [row] * 50
    refused: list[Row] = [(*row[:5], 2**70, None)]

    def pack_all() -> int:
        for _ in range(50):
            outcome(compiled, types, rows)
            outcome(compiled, types, refused)
        gc.collect()
        return sys.getallocatedblocks()

    pack_all()
    before = pack_all()

    # A single object lost at each row would be 2,500 blocks.
    assert max(pack_all() for _ in range(4)) - before < 200
