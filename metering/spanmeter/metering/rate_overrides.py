"""Rates of one's own: the organisation's, and those of tenants' contracts, as people write them in TOML or CSV."""

import csv
import io
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, cast

from spanmeter.metering.card_rate import ORGANISATION_CARD, CardRate, contract_card
from spanmeter.metering.model_match import named
from spanmeter.metering.prices import BadPrice, Price
from spanmeter.metering.providers import canonical_provider

FIELDS: Final = (
    *("tenant_id", "provider", "model", "region", "service_tier"),
    *("effective_from", "currency"),
)
"""What tells one rate from another, in TOML and in the columns of CSV."""

MAX_RATES: Final = 20_000
MAX_NAME: Final = 512
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_UNIT: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class BadOverrides(ValueError):
    """A file of rates that cannot be read. The message says which of them, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A rate that somebody set; without a tenant it is the organisation's. Raises `BadOverrides`."""

    provider: str
    model: str
    prices: Mapping[str, Price]
    tenant_id: str | None = None
    region: str | None = None
    service_tier: str | None = None
    effective_from: datetime | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        for text in (self.provider, self.model, self.tenant_id, self.region, self.service_tier):
            if text is not None and not (0 < len(text) <= MAX_NAME and text.isprintable()):
                raise BadOverrides(
                    f"{text[:40]!r} names no provider, model, tenant, region or tier"
                )
        if _CURRENCY.fullmatch(self.currency) is None:
            raise BadOverrides(f"{self.currency[:40]!r} is no currency; write USD, EUR ...")
        for unit in self.prices:
            if _UNIT.fullmatch(unit) is None:
                raise BadOverrides(f"{unit[:40]!r} is no name of a unit")

    @property
    def card(self) -> str:
        """The card that it belongs to."""
        return ORGANISATION_CARD if self.tenant_id is None else contract_card(self.tenant_id)

    def as_rate(self, version: str, *, withdrawn: bool = False) -> CardRate:
        """It as the rate of a version of its card."""
        tier = None if self.service_tier is None else self.service_tier.lower()
        since = self.effective_from
        return CardRate(
            card=self.card,
            version=version,
            scope="organisation" if self.tenant_id is None else "contract",
            tenant_id=self.tenant_id,
            provider=canonical_provider(self.provider),
            model=self.model.lower(),
            matches=named(self.model.lower()),
            prices=self.prices,
            region=self.region,
            service_tier=tier,
            effective_from=since and since.astimezone(UTC).replace(second=0, microsecond=0),
            currency=self.currency,
            withdrawn=withdrawn,
        )


def read_toml(text: str) -> list[Override]:
    """The rates of a file with a table `[[rate]]` for each. Raises `BadOverrides`."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadOverrides(f"is no TOML: {error}") from None
    listed: object = document.get("rate")
    if document.keys() != {"rate"} or not isinstance(listed, list):
        raise BadOverrides("has no tables [[rate]], or something else beside them")
    return [_of_table(number, each) for number, each in enumerate(cast("list[object]", listed), 1)]


def read_csv(text: str) -> list[Override]:
    """The rates of a file with a line for the price of each unit, as `spanmeter rates list --format csv` prints them.

    Lines that say the same but for unit and price make up one rate. Raises `BadOverrides`.
    """
    grouped: defaultdict[tuple[str, ...], dict[str, object]] = defaultdict(dict)
    for number, line in enumerate(_lines(text), 2):
        unit = line.get("unit") or ""
        prices = grouped[tuple((line.get(name) or "").strip() for name in FIELDS)]
        if unit in prices:
            raise BadOverrides(f"line {number}: the price of {unit!r} is there twice")
        prices[unit] = line.get("price") or ""
    if len(grouped) > MAX_RATES:
        raise BadOverrides(f"has more than {MAX_RATES} rates")
    return [
        _override(f"rate {number}", dict(zip(FIELDS, key, strict=True)), prices)
        for number, (key, prices) in enumerate(grouped.items(), 1)
    ]


def _lines(text: str) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        missing = {"provider", "model", "unit", "price"} - {*(reader.fieldnames or ())}
        if missing:
            raise BadOverrides(f"has no column {min(missing)!r}")
        yield from reader
    except csv.Error as error:
        raise BadOverrides(f"is no CSV: {error}") from None


def _of_table(number: int, table: object) -> Override:
    where = f"rate {number}"
    if not isinstance(table, Mapping):
        raise BadOverrides(f"{where} is no table")
    stated = dict(cast("Mapping[str, object]", table))
    prices = stated.pop("prices", None)
    if not isinstance(prices, Mapping):
        raise BadOverrides(f"{where} has no table of prices")
    if number > MAX_RATES:
        raise BadOverrides(f"has more than {MAX_RATES} rates")
    return _override(where, stated, cast("Mapping[str, object]", prices))


def _override(where: str, stated: Mapping[str, object], prices: Mapping[str, object]) -> Override:
    if unknown := stated.keys() - set(FIELDS):
        raise BadOverrides(f"{where} has {min(unknown)!r}; there are {', '.join(FIELDS)}, prices")
    values: dict[str, Any] = {name: value for name, value in stated.items() if value != ""}
    if missing := {"provider", "model"} - values.keys():
        raise BadOverrides(f"{where} has no {min(missing)}")
    if "effective_from" in values:
        values["effective_from"] = _moment(where, values["effective_from"])
    if not all(isinstance(value, str | datetime) for value in values.values()):
        raise BadOverrides(f"{where} has something that is no text")
    try:
        # A line without a unit is that of a rate without prices.
        stated_prices = {
            unit: Price.parsed(str(price), unit) for unit, price in prices.items() if unit or price
        }
        return Override(prices=stated_prices, **values)
    except (BadPrice, BadOverrides) as error:
        raise BadOverrides(f"{where}: {error}") from None


def _moment(where: str, value: object) -> datetime:
    """A date is its beginning, UTC."""
    try:
        moment = value if isinstance(value, date) else datetime.fromisoformat(str(value))
    except ValueError:
        raise BadOverrides(f"{where}: effective_from {str(value)[:40]!r} is no date") from None
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
