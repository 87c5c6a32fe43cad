"""Quality beside cost: what calls scored, what they cost, and which way of doing the same beats which."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.frontier import Better, Standing, dominating
from spanmeter.storage.attributing import Period
from spanmeter.storage.connection import Connection
from spanmeter.storage.evaluations import Quality, quality

# What people type for short; the ledger's own names work as well.
_SHORT: Final = {"tenant": "tenant_id", "service": "service_name"}
LONG: Final = {column: short for short, column in _SHORT.items()}

SAME_WORK: Final = "feature"
"""Only what does the same can be compared: within a feature, where features are told apart."""


_COLUMNS: Final = (
    Column("calls", "calls"),
    Column("score", "mean score"),
    Column("cost", "cost", missing="unpriced"),
    Column("cost_per_call", "cost per call"),
    Column("cost_per_point", "cost per point"),
    Column("currency", "currency"),
    Column("dominated_by", "dominated by", missing=""),
)


class Ranked(NamedTuple):
    """A row of quality, and the one that dominates it, if one does."""

    quality: Quality
    dominated_by: Quality | None


def dimensions(text: str) -> list[str]:
    """The ledger's names in a comma-separated list, each once."""
    names = (name for each in text.split(",") if (name := each.strip()))
    return list(dict.fromkeys(_SHORT.get(name, name) for name in names))


def ranked_quality(
    connection: Connection,
    name: str,
    by: Sequence[str],
    period: Period,
    *,
    tenant: str | None = None,
    feature: str | None = None,
    better: Better = "higher",
) -> list[Ranked]:
    """What calls scored in the evaluations of a period, greatest cost first. Raises UnknownDimension,
    DatabaseUnavailable."""
    within = period.since, period.until
    rows = quality(connection, name, by, *within, tenant=tenant, feature=feature)
    compared: dict[tuple[str, str | None], list[Quality]] = defaultdict(list)
    for row in rows:
        compared[_work(row)].append(row)
    beaten: dict[int, Quality | None] = {}
    for group in compared.values():
        others: list[Quality | None] = dominating(group, standing, better)
        beaten.update(zip(map(id, group), others, strict=True))
    return [Ranked(row, beaten[id(row)]) for row in rows]


def standing(row: Quality) -> Standing | None:
    """Where it stands, if its score and its cost are known."""
    if row.score is None or row.cost_per_call is None:
        return None
    return Standing(row.score, row.cost_per_call)


def quality_listing(found: Sequence[Ranked], by: Sequence[str], name: str) -> Listing:
    """The rows for a terminal."""
    return Listing(
        columns=[*(Column(each, LONG.get(each, each)) for each in by), *_COLUMNS],
        rows=[[*each.quality.dimensions.values(), *_values(each)] for each in found],
        about={"evaluation": name},
        notes=[] if found else ["no evaluation of this name is of a call of the ledger"],
    )


def _values(ranked: Ranked) -> list[Value]:
    row, other = ranked
    dominated_by = (
        None
        if other is None
        else ", ".join(
            value or "(none)" for name, value in other.dimensions.items() if name != SAME_WORK
        )
    )
    return [
        *(row.calls, row.score, row.cost, row.cost_per_call, row.cost_per_point, row.currency),
        dominated_by,
    ]


def _work(row: Quality) -> tuple[str, str | None]:
    return row.currency, row.dimensions.get(SAME_WORK)
