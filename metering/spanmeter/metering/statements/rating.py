"""What was counted at its prices: the lines of a period, unrounded."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from spanmeter.metering.costing import EXACT
from spanmeter.metering.plans.plan import NOTHING, Charge, PlanVersion
from spanmeter.metering.plans.tier_prices import Part, at, by_volume, graduated
from spanmeter.metering.prices import Price
from spanmeter.metering.statements.counting import INCLUDED_USAGE, Cell, Counts
from spanmeter.metering.statements.course import Course
from spanmeter.metering.statements.line import Kind, Line


class _Due(NamedTuple):
    """Where an amount is due: in a slice, to be paid by these grants of money."""

    slice: int
    paid_by: tuple[int, ...]


def lines_of(course: Course, counts: Counts) -> list[Line]:
    """The lines of a period. The grants of the course are used up by it."""
    return list(_Rating(course, counts).lines())


class _Rating:
    def __init__(self, course: Course, counts: Counts) -> None:
        self._course, self._counts = course, counts
        self._due: defaultdict[_Due, Decimal] = defaultdict(Decimal)
        self._net: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._begun: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._totals = self._totals_by_charge()
        self._cells: defaultdict[tuple[int, int], list[Cell]] = defaultdict(list)
        for cell in sorted(counts.cells, key=_in_order):
            self._cells[cell.span, cell.charge].append(cell)
        self._anything = tuple(
            place for place, pot in enumerate(course.money) if not pot.grant.when.conditions
        )

    def lines(self) -> Iterator[Line]:
        """What is charged, from span to span; then minimums, and what grants of money pay."""
        for place, span in enumerate(self._course.spans):
            if span.version is None:
                yield from self._without_plan(place)
            else:
                yield from self._of_span(place, span.version)
        yield from self._minimums()
        yield from self._credits()

    def _of_span(self, span: int, version: PlanVersion) -> Iterator[Line]:
        discounted: defaultdict[str, Decimal] = defaultdict(Decimal)
        for place, charge in enumerate(version.plan.charges):
            yield from self._free(span, place, charge, version)
            yield from self._charged(span, place, charge, version, discounted)
            yield from self._unpriced(span, place, charge, version)
        for discount in version.plan.discounts:
            if amount := discounted[discount.name]:
                yield self._line(
                    "discount", discount.name, span, version, amount=EXACT.minus(amount)
                )
        if version.plan.fee:
            fee = self._course.share(version.plan.fee, [span])
            self._owe(span, fee)
            yield self._line("fee", "fee", span, version, amount=fee)

    def _charged(
        self,
        span: int,
        place: int,
        charge: Charge,
        version: PlanVersion,
        discounted: defaultdict[str, Decimal],
    ) -> Iterator[Line]:
        by_price: dict[str, tuple[Decimal, Decimal]] = {}
        for cell in self._cells[span, place]:
            for part in self._parts(charge, version, cell):
                self._owe_part(charge, version, cell, part, discounted)
                price = str(part.price) if charge.factor is None else _markup(charge.factor)
                quantity, amount = by_price.get(price, (NOTHING, NOTHING))
                by_price[price] = (
                    EXACT.add(quantity, part.quantity),
                    EXACT.add(amount, part.amount),
                )
        calls = self._counts.calls[span, place]
        for price, (quantity, amount) in by_price.items():
            if quantity or amount:
                yield self._line(
                    *("usage", charge.name, span, version),
                    unit=charge.action or charge.unit,
                    quantity=quantity,
                    price=price,
                    amount=amount,
                    calls=calls,
                )

    def _parts(self, charge: Charge, version: PlanVersion, cell: Cell) -> Iterable[Part]:
        quantity = self._counts.cells[cell]
        key = version.plan.name, charge.name
        if charge.factor is not None:
            return [at(Price(charge.factor, 1), quantity)]
        if not charge.tiers:
            price = cell.price or charge.price
            return [] if price is None else [at(price, quantity)]
        if charge.volume:
            return [by_volume(charge, self._totals[key], quantity)]
        begin = self._begun[key]
        self._begun[key] = EXACT.add(begin, quantity)
        return graduated(charge, begin, quantity)

    def _owe_part(
        self,
        charge: Charge,
        version: PlanVersion,
        cell: Cell,
        part: Part,
        discounted: defaultdict[str, Decimal],
    ) -> None:
        net = part.amount
        for discount in version.plan.discounts:
            if discount.is_for(charge.name):
                off = EXACT.multiply(part.amount, discount.factor)
                discounted[discount.name] = EXACT.add(discounted[discount.name], off)
                net = EXACT.subtract(net, off)
        due = _Due(cell.slice, cell.paid_by)
        self._due[due] = EXACT.add(self._due[due], net)
        self._net[version.plan.name] = EXACT.add(self._net[version.plan.name], net)

    def _free(self, span: int, place: int, charge: Charge, version: PlanVersion) -> Iterator[Line]:
        calls = self._counts.calls[span, place]
        for (at_span, at_charge, source), quantity in sorted(self._counts.free.items()):
            if (at_span, at_charge) == (span, place) and quantity:
                kind: Kind = "included" if source == INCLUDED_USAGE else "granted"
                named = charge.name if kind == "included" else f"{charge.name} ({source})"
                yield self._line(
                    *(kind, named, span, version),
                    unit=charge.action or charge.unit,
                    quantity=quantity,
                    price="0",
                    amount=NOTHING,
                    calls=calls,
                )

    def _unpriced(
        self, span: int, place: int, charge: Charge, version: PlanVersion
    ) -> Iterator[Line]:
        for (at_span, at_charge, currency), calls in sorted(self._counts.unpriced.items()):
            if (at_span, at_charge) == (span, place) and calls:
                named = f"{charge.name}: no rate is known"
                yield self._line("unpriced", named, span, version, unit=currency, calls=calls)
        for (at_span, at_charge, currency), cost in sorted(self._counts.foreign.items()):
            if (at_span, at_charge) == (span, place) and cost:
                named = f"{charge.name}: the cost is in {currency}"
                yield self._line("unpriced", named, span, version, unit=currency, quantity=cost)

    def _without_plan(self, span: int) -> Iterator[Line]:
        calls = self._counts.without_plan[span]
        if calls:
            at = self._course.spans[span]
            yield Line("no_plan", "no plan", calls=calls, since=at.since, until=at.until)

    def _minimums(self) -> Iterator[Line]:
        last = {version.plan.name: version for version in self._course.versions()}
        for version in last.values():
            spans = self._course.spans_of(version.plan.name)
            minimum = self._course.share(version.plan.minimum, spans)
            missing = EXACT.subtract(minimum, self._net[version.plan.name])
            if missing > 0:
                self._owe(spans[-1], missing)
                yield self._line("minimum", "minimum", spans[-1], version, amount=missing)

    def _credits(self) -> Iterator[Line]:
        for place, begin in enumerate(self._course.slices):
            for number, pot in enumerate(self._course.money):
                for due in sorted(self._due):
                    owed = self._due[due]
                    if (
                        due.slice == place
                        and number in due.paid_by
                        and owed > 0
                        and pot.active(begin)
                    ):
                        self._due[due] = EXACT.subtract(owed, pot.take(owed))
        for pot in self._course.money:
            if pot.used:
                name = f"{pot.grant.kind} {pot.grant.grant_id}"
                yield Line(
                    "credit", name, since=pot.since, until=pot.until, amount=EXACT.minus(pot.used)
                )

    def _owe(self, span: int, amount: Decimal) -> None:
        """What is no usage is due when the span begins, and grants pay for it that are for anything."""
        due = _Due(self._course.slice_at(self._course.spans[span].since), self._anything)
        self._due[due] = EXACT.add(self._due[due], amount)

    def _totals_by_charge(self) -> dict[tuple[str, str], Decimal]:
        totals: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for cell, quantity in self._counts.cells.items():
            version = self._course.spans[cell.span].version
            if version is not None:
                key = version.plan.name, version.plan.charges[cell.charge].name
                totals[key] = EXACT.add(totals[key], quantity)
        return totals

    def _line(self, kind: Kind, name: str, span: int, version: PlanVersion, **told: Any) -> Line:
        at_span = self._course.spans[span]
        return Line(kind, name, plan=version.name, since=at_span.since, until=at_span.until, **told)


def _in_order(cell: Cell) -> tuple[int, int, int, tuple[int, ...], str]:
    return *cell[:4], str(cell.price or "")


def _markup(factor: Decimal) -> str:
    percent = EXACT.multiply(EXACT.subtract(factor, Decimal(1)), Decimal(100)).normalize()
    return f"cost {percent:+f}%"
