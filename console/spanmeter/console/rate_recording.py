"""What is recorded in the rate cards, and what is approved of it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from spanmeter.console.failures import JobFailed
from spanmeter.console.rate_files import Second
from spanmeter.metering.card_rate import CATALOGUE_CARD, CardRate
from spanmeter.metering.catalogue import Catalogue
from spanmeter.metering.costing import EXACT
from spanmeter.metering.prices import Price
from spanmeter.metering.rate_changes import changed
from spanmeter.metering.rate_overrides import Override
from spanmeter.metering.second_catalogue import second_opinions
from spanmeter.storage import rates as cards
from spanmeter.storage.connection import Connection
from spanmeter.storage.rates import CardVersion, Opinion, Pending


class Approved(NamedTuple):
    """How many rates came into force, and what still waits."""

    approved: int
    waiting: Sequence[Pending]


def import_catalogue(
    connection: Connection, catalogue: Catalogue, version: str, source: str, by: str
) -> int:
    """Record what a catalogue changes, to be approved; return how many rates that are. Raises AlreadyRecorded."""
    in_force = [
        rate for rate in cards.read_book(connection).in_force() if rate.card == CATALOGUE_CARD
    ]
    rates = list(changed(in_force, catalogue.rates))
    recorded = CardVersion(
        card=CATALOGUE_CARD,
        version=version,
        scope="catalogue",
        recorded_by=by,
        source=source,
        complete=True,
        fallbacks=catalogue.fallbacks,
    )
    cards.record(connection, recorded, rates)
    return len(rates)


def import_overrides(
    connection: Connection,
    overrides: Iterable[Override],
    source: str,
    by: str,
    *,
    withdrawn: bool = False,
) -> list[CardVersion]:
    """Record rates of one's own, to be approved: those that say something new, a version for each card."""
    in_force = {(rate.card, rate.name): rate for rate in cards.read_book(connection).in_force()}
    by_card: defaultdict[str, list[Override]] = defaultdict(list)
    for each in overrides:
        by_card[each.card].append(each)
    recorded: list[CardVersion] = []
    for card, stated in by_card.items():
        version = cards.next_version(connection, card)
        rates = [each.as_rate(version, withdrawn=withdrawn) for each in stated]
        new = [rate for rate in rates if not _known(in_force.get((card, rate.name)), rate)]
        if len({rate.name for rate in rates}) < len(rates):
            raise JobFailed(f"{source} has a rate twice; no two may be for the same calls")
        if new:
            first = rates[0]
            told = CardVersion(
                card=card,
                version=version,
                scope=first.scope,
                tenant_id=first.tenant_id,
                recorded_by=by,
                source=source,
            )
            cards.record(connection, told, new)
            recorded.append(told)
    return recorded


def completed(connection: Connection, override: Override, factor: Decimal | None) -> Override:
    """An override with the prices that it leaves out, from the list price in force for its model: all of a call is
    charged at one rate. With a `factor`, at so much of them."""
    rates = cards.read_book(connection).rates()
    at = override.effective_from or datetime.now(UTC)
    base = rates.find(
        override.as_rate("").provider, override.model, override.service_tier, at,
        region=override.region, contract=rates.contract_of(override.tenant_id),
    )  # fmt: skip
    if base is None:
        return override
    prices = {
        unit.unit: Price(unit.price, unit.per, tuple(reversed(unit.tiers))) for unit in base.units
    }
    if factor is not None:
        prices = {unit: _scaled(price, factor) for unit, price in prices.items()}
    if base.currency != override.currency:
        raise JobFailed(
            f"the rate in force is in {base.currency}, and this one in {override.currency}: give all"
            " of its prices, and --only"
        )
    return replace(override, prices={**prices, **override.prices})


def ask_second(connection: Connection, second: Second) -> int:
    """Keep what a second catalogue says of the rates that wait; return how many it knows."""
    waiting = {each.rate.rate_version: each for each in cards.pending(connection)}
    opinions = {
        waiting[rate.rate_version].rate_id: Opinion(
            opinion.agrees,
            {unit: f"{price:f}" for unit, price in opinion.differences.items()},
            second.source,
        )
        for rate, opinion in second_opinions(
            (each.rate for each in waiting.values()), second.catalogue, datetime.now(UTC)
        )
    }
    if opinions:
        cards.give_opinions(connection, opinions)
    return len(opinions)


def approve(
    connection: Connection, by: str, *, accepted: Collection[str] = (), auto: bool = False
) -> Approved:
    """Bring what waits into force: what is accepted by name, whoever disputes it; with `auto` what the second
    catalogue confirms; and otherwise, unless names are given, all that it does not dispute."""
    waiting = cards.pending(connection)
    names = {each.rate.name for each in waiting} | {each.rate.rate_version for each in waiting}
    if unknown := sorted(set(accepted) - names):
        raise JobFailed(
            f"no rate {unknown[0]!r} waits for approval; `spanmeter rates diff` lists them"
        )
    chosen = [
        each
        for each in waiting
        if {each.rate.name, each.rate.rate_version} & set(accepted)
        or _by_itself(each, auto=auto, named=bool(accepted))
    ]
    approved = cards.approve(connection, chosen, by)
    return Approved(approved, [each for each in waiting if each not in chosen])


def _by_itself(each: Pending, *, auto: bool, named: bool) -> bool:
    if auto:
        return each.opinion is not None and each.opinion.agrees
    return not named and (each.opinion is None or each.opinion.agrees)


def _known(in_force: CardRate | None, rate: CardRate) -> bool:
    if in_force is None:
        return rate.withdrawn
    return in_force.says_the_same(rate)


def _scaled(price: Price, factor: Decimal) -> Price:
    tiers = tuple((start, EXACT.multiply(due, factor)) for start, due in price.tiers)
    return Price(EXACT.multiply(price.price, factor), price.per, tiers)
