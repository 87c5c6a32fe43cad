"""The catalogue bundled with the installed genai-prices, in the JSON that genai-prices publishes.

Only what is bundled: it never changes while a process runs, and is never refreshed from the network.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final, cast

from spanmeter.metering.catalogue import Catalogue, read_catalogue

_CLAUSES: Final = (
    *(("equals", "equals"), ("starts_with", "starts_with"), ("ends_with", "ends_with")),
    *(("contains", "contains"), ("regex", "regex"), ("or_", "or"), ("and_", "and")),
)


def installed_version() -> str:
    """The version of the installed package."""
    return version("genai-prices")


@cache
def installed_catalogue() -> Catalogue:
    """The card that it states."""
    # Takes most of a second, and is not needed where a ledger has rates.
    from genai_prices.data import providers

    return read_catalogue([_provider(provider) for provider in providers], installed_version())


def _provider(provider: Any) -> dict[str, object]:
    return {
        "id": provider.id,
        "fallback_model_providers": provider.fallback_model_providers,
        "models": [_model(model) for model in provider.models],
    }


def _model(model: Any) -> dict[str, object]:
    prices: Any = model.prices
    return {
        "id": model.id,
        "match": _clause(model.match),
        "prices": _prices(prices) if hasattr(prices, "calc_price") else list(map(_part, prices)),
        "price_variants": [
            _part(each) | {"when": each.when} for each in model.price_variants or ()
        ],
    }


def _part(part: Any) -> dict[str, object]:
    return {"prices": _prices(part.prices), "constraint": _constraint(part.constraint)}


def _constraint(constraint: Any) -> dict[str, str] | None:
    if constraint is None:
        return None
    stated = cast("Mapping[str, Any]", vars(constraint))
    return {key: value.isoformat() for key, value in stated.items()}


def _prices(prices: Any) -> dict[str, object]:
    stated = cast("Mapping[str, Any]", vars(prices))
    return {key: _price(value) for key, value in stated.items() if value is not None}


def _price(value: Any) -> object:
    if not hasattr(value, "tiers"):
        return value
    tiers = [{"start": tier.start, "price": tier.price} for tier in value.tiers]
    return {"base": value.base, "tiers": tiers}


def _clause(clause: Any) -> dict[str, object]:
    ((kind, told),) = ((kind, getattr(clause, of)) for of, kind in _CLAUSES if hasattr(clause, of))
    return {kind: list(map(_clause, told)) if kind in {"or", "and"} else told}
