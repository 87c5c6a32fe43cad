"""Usage that is counted in other units than the token columns: images, pages, audio seconds."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from spanmeter.metering import attributes as names
from spanmeter.metering.reading import count, quantity, shown, storable, text
from spanmeter.metering.span import Attributes
from spanmeter.metering.unit_rates import wholes_of
from spanmeter.metering.unmeterable import Unmeterable

IN_COLUMNS: Final = frozenset(
    {
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "output_reasoning_tokens",
        "input_audio_tokens",
        "output_audio_tokens",
        "input_image_tokens",
        "output_image_tokens",
    }
)
"""Units of the price catalogue that the ledger has token columns for."""

MAX_UNITS: Final = 64
"""Units on one span; the most that are known on one, images by size and quality, are under ten."""


def read_quantities(attributes: Attributes, prefixed: Sequence[str]) -> dict[str, Decimal]:
    """Amounts by unit, beside the counts that have columns. `prefixed` are the span's attribute
    names that may be such amounts.

    The catalogue's unit names are used for what it prices (`audio_seconds`), the emitter's for the
    rest.
    """
    quantities: dict[str, Decimal] = {}
    audio = count(attributes, names.AUDIO_CACHE_READ_INPUT_TOKENS)
    if audio is not None:
        quantities["cache_audio_read_tokens"] = Decimal(audio)
    image = count(attributes, names.IMAGE_CACHE_READ_INPUT_TOKENS)
    if image is not None:
        quantities["cache_image_read_tokens"] = Decimal(image)
    prefix = names.USAGE_QUANTITY_PREFIX
    for name in prefixed:
        if name.startswith(prefix):
            # First, so that no message of an error spells out a name that no database takes.
            unit = _unit(names.USAGE_QUANTITY_PREFIX, name[len(prefix) :])
            amount = quantity(attributes, name)
            if amount is not None:
                quantities[unit] = amount
    quantities.update(_declared(attributes))
    if len(quantities) > MAX_UNITS:
        raise Unmeterable(
            "bad_quantity",
            f"the span has {len(quantities)} units; at most {MAX_UNITS} are accepted",
        )
    return quantities


def check_parts(quantities: Mapping[str, Decimal | int], others: Mapping[str, Decimal]) -> None:
    """Raises `Unmeterable` where tokens of one kind (`others`) exceed the tokens that they are among
    (`quantities`): cached audio, all audio."""
    for unit, part in others.items():
        for whole in wholes_of(unit) if unit.endswith("_tokens") else ():
            if part > quantities[whole]:
                raise Unmeterable(
                    "inconsistent_tokens",
                    f"{unit} are {part}, but {whole}, which must include them, are "
                    f"{quantities[whole]}",
                )


def _declared(attributes: Attributes) -> dict[str, Decimal]:
    if names.USAGE_UNIT not in attributes and names.USAGE_QUANTITY not in attributes:
        return {}
    unit = text(attributes, names.USAGE_UNIT)
    amount = quantity(attributes, names.USAGE_QUANTITY)
    if unit is None and amount is None:
        return {}
    if unit is None or amount is None:
        missing = names.USAGE_UNIT if unit is None else names.USAGE_QUANTITY
        raise Unmeterable(
            "bad_quantity", f"{missing} is missing; a quantity needs both a unit and an amount"
        )
    return {_unit(names.USAGE_UNIT, unit): amount}


def _unit(attribute: str, unit: str) -> str:
    if not unit:
        raise Unmeterable("bad_quantity", f"{attribute} names no unit")
    if unit in IN_COLUMNS:
        raise Unmeterable(
            "bad_quantity", f"{attribute} is of {shown(unit)}, which has an attribute of its own"
        )
    return storable("a unit's name", unit)
