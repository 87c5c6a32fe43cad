"""What became known of a closed period after it was closed: the difference, charge by charge."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.plan import NOTHING
from spanmeter.metering.statements.line import Line


def late_lines(month: str, before: Sequence[Line], now: Sequence[Line]) -> list[Line]:
    """One line for each charge, grant or fee of the period whose amount is another now than it was before.

    Amounts that are not known are left out here; they are lines of the period itself.
    """
    sums: defaultdict[tuple[str, str, str], tuple[Decimal, Decimal, int]] = defaultdict(
        lambda: (NOTHING, NOTHING, 0)
    )
    units: dict[tuple[str, str, str], str | None] = {}
    for sign, add, lines in ((-1, EXACT.subtract, before), (1, EXACT.add, now)):
        for key, of_key in _by_key(lines).items():
            amount, quantity, calls = sums[key]
            units[key] = of_key[0].unit
            for line in of_key:
                amount = add(amount, line.amount or NOTHING)
                quantity = add(quantity, line.quantity or NOTHING)
            calls += sign * max(line.calls or 0 for line in of_key)
            sums[key] = amount, quantity, calls
    return [
        Line(
            "late",
            f"{month}: {name}",
            plan=plan or None,
            unit=units[kind, name, plan],
            quantity=quantity,
            amount=amount,
            calls=calls,
        )
        for (kind, name, plan), (amount, quantity, calls) in sorted(sums.items())
        if amount
    ]


def _by_key(lines: Sequence[Line]) -> dict[tuple[str, str, str], list[Line]]:
    found: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        found.setdefault((line.kind, line.name, line.plan or ""), []).append(line)
    return found
