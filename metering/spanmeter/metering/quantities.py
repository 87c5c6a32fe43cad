"""Usage that is counted in other units than the token columns: images, pages, audio seconds."""

from decimal import Decimal
from typing import Final

from spanmeter.metering import attributes as names
from spanmeter.metering.dialects import Dialect
from spanmeter.metering.reading import first_count, quantity, shown, text
from spanmeter.metering.span import Attributes
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


def read_quantities(attributes: Attributes, dialect: Dialect) -> dict[str, Decimal]:
    """Amounts by unit, beside the counts that have columns.

    The catalogue's unit names are used for what it prices (`audio_seconds`), the emitter's for the
    rest.
    """
    quantities: dict[str, Decimal] = {}
    audio = first_count(attributes, dialect.audio_cache_read_input_tokens)
    if audio is not None:
        quantities["cache_audio_read_tokens"] = Decimal(audio)
    image = first_count(attributes, dialect.image_cache_read_input_tokens)
    if image is not None:
        quantities["cache_image_read_tokens"] = Decimal(image)
    unit = text(attributes, names.USAGE_UNIT)
    amount = quantity(attributes, names.USAGE_QUANTITY)
    if unit is not None or amount is not None:
        quantities.update(_declared(unit, amount))
    return quantities


def _declared(unit: str | None, amount: Decimal | None) -> dict[str, Decimal]:
    if unit is None or amount is None:
        missing = names.USAGE_UNIT if unit is None else names.USAGE_QUANTITY
        raise Unmeterable(
            "bad_quantity", f"{missing} is missing; a quantity needs both a unit and an amount"
        )
    if unit in IN_COLUMNS:
        raise Unmeterable(
            "bad_quantity", f"usage.unit is {shown(unit)}, which has an attribute of its own"
        )
    return {unit: amount}
