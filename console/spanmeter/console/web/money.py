"""Exact amounts in JSON: decimal text, since no float holds them."""

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer, WithJsonSchema


def plain(amount: Decimal) -> str:
    """The amount with all its digits, and no exponent."""
    return f"{amount:f}"


Money = Annotated[
    Decimal,
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "format": "decimal", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}),
]
