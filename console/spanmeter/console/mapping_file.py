"""Whose usage is, as somebody says it: a TOML or CSV file of tenants by values of dimensions."""

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from spanmeter.console.bounded_file import content_of
from spanmeter.console.failures import JobFailed
from spanmeter.console.usage import dimensions
from spanmeter.storage.attributing import Mapped

TENANT: Final = "tenant"

MAX_BYTES: Final = 16 * 1024 * 1024
"""A mapping of a hundred thousand call sites has some 10 MiB."""


def read_mapping(path: Path) -> list[Mapped]:
    """What the file says, in its order.

    TOML has a table `[[map]]` for each, CSV a line under the headings: `tenant`, and the dimensions that have to have
    these values (callsite, service, environment, dimension:NAME ...). Raises `JobFailed`.
    """
    try:
        return list((_csv if path.suffix.lower() == ".csv" else _toml)(path))
    except OSError as error:
        raise JobFailed(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise JobFailed(f"{path} is no mapping: {error}") from error


def _csv(path: Path) -> Iterator[Mapped]:
    rows = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    for row in rows:
        place = f"{path.name}:{rows.line_num}"
        values = {str(name): value for name, value in row.items() if value}
        yield _mapped(values, place)


def _toml(path: Path) -> Iterator[Mapped]:
    document = tomllib.loads(_text(path))
    tables = document.pop("map", None)
    if document or not isinstance(tables, list):
        raise ValueError("it has tables [[map]] and nothing else")
    for number, table in enumerate(cast("Sequence[Any]", tables), 1):
        yield _mapped(table, f"{path.name} [[map]] {number}")


def _text(path: Path) -> str:
    return content_of(path, MAX_BYTES).decode("utf-8-sig")


def _mapped(table: Any, place: str) -> Mapped:
    if not isinstance(table, Mapping):
        raise ValueError(f"{place} is no table")
    values = dict(cast("Mapping[str, object]", table))
    tenant = values.pop(TENANT, None)
    told = {name: value for name, value in values.items() if isinstance(value, str) and value}
    if not isinstance(tenant, str) or not tenant:
        raise ValueError(f"{place} names no tenant")
    if not told or len(told) < len(values):
        raise ValueError(f"{place} needs dimensions with texts as values, beside the tenant")
    return Mapped(tenant, {_column(name): value for name, value in told.items()}, place)


def _column(name: str) -> str:
    (column,) = dimensions(name) or [name]
    return column
