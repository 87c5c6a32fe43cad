"""Rates as listings: those in force, those that wait, and where two catalogues differ."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from spanmeter.console.listing import Column, Listing, Value
from spanmeter.metering.card_rate import CardRate
from spanmeter.metering.rate_changes import RateChange, UnitChange
from spanmeter.metering.second_catalogue import SecondOpinion
from spanmeter.storage.rates import Opinion, Pending

_RATE: Final = (
    Column("tenant_id", "tenant"),
    Column("provider", "provider"),
    Column("model", "model"),
    Column("region", "region"),
    Column("service_tier", "tier"),
    Column("effective_from", "from"),
    Column("currency", "currency"),
    Column("unit", "unit"),
    Column("price", "price", missing="none"),
)
_LISTED: Final = (*_RATE, Column("hours", "hours"), Column("rate_version", "rate"))
_CHANGED: Final = (
    Column("card", "card"),
    Column("name", "rate"),
    Column("change", "change"),
    Column("unit", "unit"),
    Column("before", "before"),
    Column("after", "after"),
    Column("per", "per"),
    Column("percent", "percent"),
    Column("second", "second catalogue"),
)
_DISPUTED: Final = (
    Column("name", "rate"),
    Column("unit", "unit"),
    Column("price", "for one"),
    Column("second", "second catalogue, for one"),
    Column("percent", "percent"),
)


def rates_listing(rates: Iterable[CardRate], about: Mapping[str, Value]) -> Listing:
    """A line for each price; the columns are those that `rates import` reads."""
    ordered = sorted(rates, key=lambda rate: (rate.card, rate.provider, rate.model, rate.name))
    rows = [_priced(rate, unit) for rate in ordered for unit in sorted(rate.prices) or (None,)]
    notes = [] if rows else ["No rate is in force for that."]
    return Listing(_LISTED, rows, about=about, notes=notes)


def changes_listing(
    changes: Sequence[tuple[RateChange, Pending]], money: Sequence[str] = ()
) -> Listing:
    """A line for each price that the approval of what waits would change."""
    rows = [
        [*_change(change, waiting), *_prices(unit), _second(waiting.opinion, unit)]
        for change, waiting in changes
        for unit in change.units or (None,)
    ]
    kinds = [change.kind for change, _ in changes]
    told = ", ".join(
        f"{kinds.count(kind)} {kind}" for kind in ("added", "changed", "removed") if kind in kinds
    )
    disputed = sum(bool(each.opinion and not each.opinion.agrees) for _, each in changes)
    notes = [f"Rates that wait for approval: {told}." if kinds else "No rate waits for approval."]
    if disputed:
        notes.append(
            f"Disputed by the second catalogue: {disputed}. Each is approved by its name only:"
            " `spanmeter rates approve --accept NAME`."
        )
    return Listing(_CHANGED, rows, notes=[*notes, *money])


def disputes_listing(
    opinions: Sequence[tuple[CardRate, SecondOpinion]], source: str, known: int
) -> Listing:
    """A line for each price that the second catalogue has otherwise."""
    disputed = [(rate, each) for rate, each in opinions if not each.agrees]
    rows: list[Sequence[Value]] = []
    for rate, opinion in disputed:
        for unit, theirs in sorted(opinion.differences.items()):
            ours = _for_one(rate, unit)
            percent = None if not ours else _rounded((theirs / ours - 1) * 100)
            rows.append([rate.name, unit, _text(ours), _text(theirs), percent])
    note = (
        f"Of {known} rates in force today both know a price of {len(opinions)}; {len(disputed)} differ by more"
        " than 1 %."
    )
    return Listing(_DISPUTED, rows, about={"second": source}, notes=[note])


def _priced(rate: CardRate, unit: str | None) -> Sequence[Value]:
    return [
        rate.tenant_id,
        rate.provider,
        rate.model,
        rate.region,
        rate.service_tier,
        _moment(rate.effective_from),
        rate.currency,
        unit,
        None if unit is None else str(rate.prices[unit]),
        None if rate.hours is None else "-".join(f"{each:%H:%M}" for each in rate.hours),
        rate.rate_version,
    ]


def _moment(at: datetime | None) -> Value:
    return at and at.astimezone(UTC)


def _change(change: RateChange, waiting: Pending) -> Sequence[Value]:
    return [waiting.rate.card, waiting.rate.name, change.kind]


def _prices(unit: UnitChange | None) -> Sequence[Value]:
    if unit is None:
        return [None] * 5
    name = unit.unit if unit.tier_start is None else f"{unit.unit} >{unit.tier_start}"
    percent = None if unit.percent is None else _rounded(unit.percent)
    return [name, _text(unit.before), _text(unit.after), unit.per, percent]


def _second(opinion: Opinion | None, unit: UnitChange | None) -> Value:
    if opinion is None:
        return None
    if opinion.agrees:
        return "agrees"
    theirs = None if unit is None else opinion.differences.get(unit.unit)
    if unit is None or theirs is None:
        return "disputes it"
    return _text(Decimal(theirs) * unit.per)


def _for_one(rate: CardRate, unit: str) -> Decimal:
    name, _, start = unit.partition(" >")
    price = rate.prices[name]
    due = dict(price.tiers)[int(start)] if start else price.price
    return due / price.per


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


def _rounded(percent: Decimal) -> str:
    return f"{percent:+.1f}"
