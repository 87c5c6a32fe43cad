"""What other billable rules change, as figures: requests and cost that move from one state to another."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.costing import EXACT
from spanmeter.storage.redeciding import Move

_COLUMNS = (
    Column("from", "from"),
    Column("to", "to"),
    Column("by", "by"),
    Column("requests", "requests"),
    Column("unpriced_requests", "unpriced"),
    Column("cost", "cost"),
    Column("currency", "currency"),
)

_EVERY = 100_000
"""Moves between two signs of life."""


class Changes:
    """Sums of moves, by where from, where to, why, and currency."""

    def __init__(self) -> None:
        self.moves = 0
        self._sums: dict[tuple[str, str, str, str], tuple[int, int, Decimal]] = {}

    def counted(
        self, moves: Iterable[Move], progress: Callable[[int], object] = lambda count: None
    ) -> Iterator[Move]:
        """The moves, counted as they pass."""
        for move in moves:
            self._add(move)
            if self.moves % _EVERY == 0:
                progress(self.moves)
            yield move

    def listing(self, version: str, notes: Iterable[str]) -> Listing:
        """The sums, the greatest cost first."""
        rows: list[tuple[Value, ...]] = [
            (from_, to, by, requests, unpriced, cost, currency)
            for (from_, to, by, currency), (requests, unpriced, cost) in sorted(
                self._sums.items(), key=lambda each: (-each[1][2], each[0])
            )
        ]
        same = [] if rows else ["Nothing would be decided otherwise."]
        return Listing(columns=_COLUMNS, rows=rows, about={"rules": version}, notes=[*same, *notes])

    def _add(self, move: Move) -> None:
        position = move.position
        key = position.billable_state, move.state, move.reason, position.currency
        requests, unpriced, cost = self._sums.get(key, (0, 0, Decimal(0)))
        self._sums[key] = (
            requests + position.requests,
            unpriced + position.unpriced_requests,
            EXACT.add(cost, position.cost or Decimal(0)),
        )
        self.moves += 1
