"""The comparison of two bills: what the provider says it served, and what the ledger booked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from spanmeter.console.listing import Column, Listing, Value

COUNTS: Final = (
    "requests",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)


@dataclass(frozen=True, slots=True)
class Bill:
    """The sums of one side; `cost` is exact."""

    counts: Mapping[str, int]
    cost: Decimal

    @classmethod
    def nothing(cls) -> "Bill":
        """The bill of a ledger in which nothing is booked."""
        return cls(dict.fromkeys(COUNTS, 0), Decimal(0))

    @classmethod
    def of(cls, sums: Mapping[str, object]) -> "Bill":
        """A bill from named sums, such as the provider's JSON, whose `cost` is decimal text."""
        return cls({name: int(str(sums[name])) for name in COUNTS}, Decimal(str(sums["cost"] or 0)))


def comparison(served: Bill, booked: Bill) -> Listing:
    """Both bills side by side; a line that differs shows by how much."""
    columns = [
        Column("sum", "sum"),
        Column("provider", "provider served"),
        Column("ledger", "ledger booked"),
        Column("difference", "difference", missing="equal"),
    ]
    lines = [
        _line(name.replace("_", " "), served.counts[name], booked.counts[name]) for name in COUNTS
    ]
    return Listing(columns, [*lines, _line("cost in USD", served.cost, booked.cost)])


def _line(name: str, served: int | Decimal, booked: int | Decimal) -> Sequence[Value]:
    return name, served, booked, None if served == booked else booked - served
