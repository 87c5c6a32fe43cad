"""Scores that calls were given: kept once, and read beside what the calls cost."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from spanmeter.metering.evaluation import Evaluation
from spanmeter.metering.same_call import response_key
from spanmeter.storage import statements
from spanmeter.storage.connection import Connection, database_errors
from spanmeter.storage.errors import UnknownDimension

Source = Literal["otlp", "api"]

DIMENSIONS: Final = (
    *("feature", "model", "provider", "tenant_id", "workflow", "environment", "service_name"),
)
"""What quality can be told by."""

_SQL = statements.load("evaluations")


class Scored(NamedTuple):
    """An evaluation with how it came: with which key, and the tenants whose calls that may score (None: any)."""

    evaluation: Evaluation
    source: Source
    key_id: str | None = None
    tenants: frozenset[str] | None = None


class Quality(NamedTuple):
    """What calls that share `dimensions` and currency scored and cost.

    Of the `calls`, `scored` have a score, and `unpriced` no known cost. `score` is the mean of the calls' scores;
    `cost_per_call` and `cost_per_point` (cost by the sum of scores) are of calls that have both. `labels` are the ten
    most frequent, with how often each was given.
    """

    dimensions: Mapping[str, str | None]
    currency: str
    evaluations: int
    failed: int
    calls: int
    scored: int
    unpriced: int
    score: Decimal | None
    cost: Decimal | None
    cost_per_call: Decimal | None
    cost_per_point: Decimal | None
    labels: Mapping[str, int]


def add_evaluations(connection: Connection, told: Sequence[Scored]) -> int:
    """Keep evaluations; how many were not known before. In the transaction under way, if there is one."""
    of = [each.evaluation for each in told]
    return connection.execute(
        _SQL["add_evaluations"],
        {
            "evaluation_ids": [each.evaluation_id for each in of],
            "times": [each.time for each in of],
            "trace_ids": [each.trace_id for each in of],
            "span_ids": [each.span_id for each in of],
            "response_ids": [each.response_id for each in of],
            "response_calls": [
                None if each.response_id is None else response_key(each.response_id) for each in of
            ],
            "names": [each.name for each in of],
            "scores": [each.score for each in of],
            "labels": [each.label for each in of],
            "error_types": [each.error_type for each in of],
            "sources": [each.source for each in told],
            "key_ids": [each.key_id for each in told],
            "tenants": [
                None if each.tenants is None else Jsonb(sorted(each.tenants)) for each in told
            ],
        },
    ).rowcount


def evaluated_names(
    connection: Connection, since: datetime, until: datetime
) -> list[tuple[str, int]]:
    """What was evaluated in a period and how often, the most frequent first. Raises DatabaseUnavailable."""
    with database_errors():
        rows = connection.execute(_SQL["names"], {"since": since, "until": until})
        return [(name, count) for name, count in rows]


def quality(
    connection: Connection,
    name: str,
    by: Sequence[str],
    since: datetime,
    until: datetime,
    *,
    tenant: str | None = None,
    feature: str | None = None,
    limit: int = 10_000,
) -> list[Quality]:
    """What calls scored, in evaluations made in the period, and what they cost: greatest cost first.

    Raises UnknownDimension, DatabaseUnavailable.
    """
    if unknown := [each for each in by if each not in DIMENSIONS]:
        raise UnknownDimension(
            f"there is no dimension {unknown[0]!r} of quality; there are {', '.join(DIMENSIONS)}"
        )
    # By nothing is by one that all have alike: an empty array would be of no type.
    columns: list[sql.Composable] = [sql.Identifier(each) for each in by] or [sql.NULL]
    told = sql.SQL(", ").join([sql.SQL("{}::text").format(each) for each in columns])
    asked = {
        "name": name,
        "since": since,
        "until": until,
        "tenant": tenant,
        "feature": feature,
        "limit": limit,
    }
    with database_errors():
        rows = connection.execute(_SQL["quality"].format(dimensions=told), asked).fetchall()
    return [
        Quality._make((dict(zip(by, row[0], strict=False)), *row[1:-1], row[-1] or {}))
        for row in rows
    ]


def evaluations_of(connection: Connection, name: str, since: datetime, until: datetime) -> int:
    """How many evaluations of this name a period has, those of calls that are not known included.

    Raises DatabaseUnavailable.
    """
    with database_errors():
        asked = {"name": name, "since": since, "until": until}
        row = connection.execute(_SQL["count"], asked).fetchone()
    return 0 if row is None else int(row[0])
