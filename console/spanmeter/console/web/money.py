"""Exact amounts in JSON: decimal text, since no float holds them."""

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer, StringConstraints, WithJsonSchema


def plain(amount: Decimal) -> str:
    """The amount with all its digits, and no exponent."""
    return f"{amount:f}"


Money = Annotated[
    Decimal,
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "format": "decimal", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}),
]

Amount = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,15}(\.[0-9]{1,30})?$", max_length=46)]
"""An exact amount as it is sent: decimal text, 0 or more."""
