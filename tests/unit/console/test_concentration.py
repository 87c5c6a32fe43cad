"""Heavy against normal, of amounts whose quantiles are known."""

from __future__ import annotations

from decimal import Decimal

from spanmeter.console.web.breakdown import Line
from spanmeter.console.web.concentration import Concentration, concentration
from spanmeter.console.web.usage_sums import UsageRow


def line(name: str | None, cost: str | None) -> Line:
    amount = None if cost is None else Decimal(cost)
    row = UsageRow({}, 1, 0, 0, 0, 0, 0, 0, 0, amount, "USD", Decimal(), "")
    return Line(name, row, None, Decimal(), None)


def test_quantiles_are_amounts_of_somebody() -> None:
    """The first that a part of all does not exceed, as percentile_disc has it."""
    told = concentration(line(f"t{n}", str(n)) for n in range(1, 101))
    assert told.names == 100
    assert [told.median, told.ninth_decile, told.ninety_ninth] == [Decimal(n) for n in (50, 90, 99)]
    assert told.greatest == 100
    assert told.top_tenth == Decimal(955) / Decimal(5050)
    # 45 + 46 + ... + 100 is the first sum from the top that reaches 80 % of 5050.
    assert told.drive_most == 56
    assert told.heaviest_to_median == 2


def test_who_has_no_name_or_costs_nothing_does_not_count() -> None:
    others = [line(None, "1000"), line("free", "0"), line("unpriced", None), line("credit", "-5")]
    told = concentration([*others, line("one", "3"), line("two", "1")])
    assert (told.names, told.drive_most) == (2, 2)
    assert [told.median, told.greatest] == [Decimal(1), Decimal(3)]
    assert concentration(others) == Concentration(0)
