"""The reference, from the code itself: commands, settings, metrics, routes, tables and columns, in Markdown."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import MISSING, Field, fields
from typing import Any, Final

import click
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from spanmeter.collector_receiver.committer import Waiting
from spanmeter.collector_receiver.counters import Counters
from spanmeter.collector_receiver.database_watch import Gaps
from spanmeter.collector_receiver.instruments import CommitInstruments, Readings, observe
from spanmeter.collector_receiver.refusals import TryAgain
from spanmeter.console.cli import main
from spanmeter.console.settings import ENVIRONMENT_PREFIX, Settings
from spanmeter.console.web.app import console_app
from spanmeter.console.web.settings import ConsoleSettings
from spanmeter.storage.connection import connect

_VARIABLE: Final = re.compile(rf"\[({ENVIRONMENT_PREFIX}\w+)\]")

_RELATIONS: Final = """
SELECT relname, CASE relkind WHEN 'v' THEN 'view' ELSE 'table' END, obj_description(oid, 'pg_class')
FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
    AND NOT relispartition
ORDER BY relname
"""

_COLUMNS: Final = """
SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""


def commands() -> str:
    """Every command with its flags, as `--help` has them."""
    parts = ["# Commands\n\nWhat `spanmeter COMMAND --help` says."]
    for name, command, context in _commands(main, click.Context(main, info_name="spanmeter")):
        parts += [f"## {name}", command.get_usage(context).removeprefix("Usage: ").join("``")]
        parts += [_unwrapped(command.help), _flags(command, context)]
    return "\n\n".join(filter(None, parts)) + "\n"


def settings() -> str:
    """Every setting with its variable, its key in the file, its default, and what its flag says of it."""
    told = dict(_settings_told())
    rows = [
        (
            f"`{each.name}`",
            f"`{_variable(each)}`",
            told.get(_variable(each), "A secret: it has no flag."),
            _default(each),
        )
        for each in fields(Settings)
    ]
    heads = ("key in the file", "variable", "meaning", "default")
    return "# Settings\n\nA flag wins over a variable, which wins over the file.\n\n" + _table(
        heads, rows
    )


def metrics() -> str:
    """Every metric of a collector."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("documentation")
    readings = Readings(
        counters=Counters(),
        waiting=lambda: Waiting(0, 0),
        journal_bytes=lambda: 0,
        available=lambda: True,
        gaps=lambda: Gaps(0, 0),
    )
    readings.counters.reject(["bad_count"])
    readings.counters.refuse(TryAgain("an example"))
    observe(meter, readings)
    CommitInstruments(meter)(0.001, 1)
    data = reader.get_metrics_data()
    assert data is not None
    rows = [
        (f"`{each.name}`", f"`{each.unit}`", each.description or "")
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for each in scope.metrics
    ]
    told = "Prometheus shows dots as underscores, and the unit at the end.\n\n"
    return "# Metrics\n\n" + told + _table(("name", "unit", "what it tells"), sorted(rows))


def routes() -> str:
    """Every route of the HTTP API with its parameters."""
    document = console_app(ConsoleSettings(dsn="")).openapi()
    parts = ["# Routes of the API\n\nFrom `/v1/openapi.json`, which has the answers as well."]
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            rows = [
                (f"`{each['name']}`", each["in"], each.get("description", ""))
                for each in told.get("parameters", ())
            ]
            parts += [f"## {method.upper()} {path}", _unwrapped(told.get("description"))]
            parts.append(_table(("parameter", "in", "meaning"), rows) if rows else "")
    return "\n\n".join(filter(None, parts)) + "\n"


def tables(dsn: str) -> str:
    """Every table and view of a migrated ledger, with its columns."""
    parts = ["# Tables and views\n\nWhat `psql` shows with `\\d+`."]
    with closing(connect(dsn)) as connection:
        for name, kind, comment in connection.execute(_RELATIONS).fetchall():
            columns = connection.execute(_COLUMNS, (name,)).fetchall()
            rows = [(f"`{column}`", f"`{of}`", told or "") for column, of, told in columns]
            parts += [f"## {name}", f"A {kind}. {comment or ''}".strip()]
            parts.append(_table(("column", "type", "meaning"), rows))
    return "\n\n".join(parts) + "\n"


def pages(dsn: str) -> Mapping[str, str]:
    """All of it, by the path of the page."""
    made: Mapping[str, Callable[[], str]] = {
        "commands": commands,
        "settings": settings,
        "metrics": metrics,
        "routes": routes,
        "tables": lambda: tables(dsn),
    }
    return {f"reference/{name}.md": make() for name, make in made.items()}


def _commands(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    if not isinstance(command, click.Group):
        yield context.command_path, command, context
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from _commands(inner, click.Context(inner, info_name=name, parent=context))


def _flags(command: click.Command, context: click.Context) -> str:
    records = (each.get_help_record(context) for each in command.params)
    rows = [(f"`{flag}`", _unwrapped(told)) for flag, told in filter(None, records)]
    return _table(("flag", "meaning"), rows) if rows else ""


def _settings_told() -> Iterator[tuple[str, str]]:
    """What flags say of the settings that they give, by the variable that their help names."""
    for _, command, _ in _commands(main, click.Context(main)):
        for option in command.params:
            told = getattr(option, "help", None) or ""
            if (found := _VARIABLE.search(told)) is not None:
                yield found[1], _unwrapped(told.partition(found[0])[0])


def _variable(each: Field[Any]) -> str:
    return f"{ENVIRONMENT_PREFIX}{each.name.upper()}"


def _default(each: Field[Any]) -> str:
    if each.name == "data":
        return "a directory of the user's"
    return "none" if each.default in (MISSING, None, ()) else f"`{each.default}`"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = ([each.replace("|", "\\|").replace("\n", " ") for each in row] for row in rows)
    lines = [heads, ["---"] * len(heads), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _unwrapped(text: str | None) -> str:
    return " ".join((text or "").split())
