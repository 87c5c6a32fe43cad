"""Typed reading of span attributes.

Each function returns a clean value or `None`, or raises `Unmeterable` naming the attribute. The
first lines of each are the way that a well-formed attribute takes: every span has some forty.
"""

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from spanmeter.metering.span import Attributes, AttributeValue
from spanmeter.metering.unmeterable import Unmeterable

MAX_TEXT: Final = 1024
"""Bytes of UTF-8 in any one dimension, name or id: an index entry of PostgreSQL takes 2704.

Longer is refused, not cut: a cut tenant id is another tenant.
"""

MAX_COUNT: Final = 10**12
"""Tokens in one call. The largest context windows are near 10**7; more is a broken emitter."""

MAX_DECIMALS: Final = 30
"""Decimal places of a quantity. A double as small as 1e-13 is written with 30."""

MAX_DIGITS: Final = 15
"""Digits of a count that was sent as text: those of `MAX_COUNT`, and a few leading zeros."""


INTEGERS: Final = frozenset({int})


def text(attributes: Attributes, name: str) -> str | None:
    """The attribute as text; empty is `None`. Numbers, which some SDKs send as ids, are spelled out."""
    value = attributes.get(name)
    if value is None:
        return None
    if type(value) is str and len(value) <= MAX_TEXT and value.isascii() and "\0" not in value:
        return value or None
    return storable(name, _spelled(name, value)) or None


def texts(attributes: Attributes, names: tuple[str, ...]) -> list[str | None]:
    """`text` of several attributes at once: one look at all of them nearly always finds all in order."""
    values: list[Any] = [*map(attributes.get, names)]
    given = [value for value in values if value is not None]
    try:
        whole = "".join(given)
    except TypeError:
        whole = "\0"
    if "\0" not in whole and whole.isascii() and len(whole) <= MAX_TEXT and "" not in given:
        return values
    return [text(attributes, name) for name in names]


def storable(name: str, value: str) -> str:
    """The text itself, if a database takes it. Raises `Unmeterable` for what none does."""
    if "\0" in value:
        raise Unmeterable("bad_text", f"{name} holds a NUL character, which no database text can")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise Unmeterable("bad_text", f"{name} holds half of a surrogate pair") from None
    if size > MAX_TEXT:
        raise Unmeterable("bad_text", f"{name} has {size} bytes; at most {MAX_TEXT} are accepted")
    return value


def descriptive(attributes: Attributes, name: str) -> str | None:
    """Text that nothing is grouped or charged by (an error, a call site), and so may be mended."""
    value = attributes.get(name)
    if value is None:
        return None
    return mended(value if type(value) is str else shown(value)) or None


def mended(value: str) -> str:
    """The text cut to `MAX_TEXT` characters, and without what a database does not take."""
    value = value[:MAX_TEXT]
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "�").encode(errors="replace").decode()


def count(attributes: Attributes, name: str) -> int | None:
    """A whole number of tokens, or of anything else that is counted, from 0 to `MAX_COUNT`."""
    value = attributes.get(name)
    if value is None:
        return None
    if type(value) is not int:
        value = _whole(name, value)
    if 0 <= value <= MAX_COUNT:
        return value
    raise Unmeterable(
        "bad_count", f"{name} is {shown(value)}; a count lies between 0 and {MAX_COUNT}"
    )


def counts(attributes: Attributes, names: tuple[str, ...]) -> list[int | None]:
    """`count` of several attributes at once."""
    values: list[Any] = [*map(attributes.get, names)]
    given = [value for value in values if value is not None]
    if INTEGERS.issuperset(map(type, given)) and (
        not given or (min(given) >= 0 and max(given) <= MAX_COUNT)
    ):
        return values
    return [count(attributes, name) for name in names]


def flag(attributes: Attributes, name: str) -> bool:
    """A boolean; baggage carries it as text."""
    value = attributes.get(name)
    return value is True or (isinstance(value, str) and value.lower() in {"true", "1"})


def quantity(attributes: Attributes, name: str) -> Decimal | None:
    """A decimal number of some unit, exact when it was sent as text."""
    value = attributes.get(name)
    if value is None:
        return None
    number = _decimal(value)
    if number is None:
        raise Unmeterable(
            "bad_quantity",
            f"{name} is {shown(value)}; a quantity is a decimal number between 0 and {MAX_COUNT}, "
            f"of at most {MAX_DECIMALS} decimal places",
        )
    return number


def shown(value: AttributeValue) -> str:
    """A value for a message: short, whatever it is."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() < 128):
        return repr(value)
    # Python refuses to spell out numbers of thousands of digits; nested values have no bound.
    return f"a {type(value).__name__}"


def _spelled(name: str, value: AttributeValue) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        # Emitters that know only doubles send the id 42 as 42.0.
        return str(int(value))
    if isinstance(value, int) or (isinstance(value, float) and value - value == 0):
        return shown(value)
    raise Unmeterable("bad_text", f"{name} is {shown(value)}; text is needed")


def _whole(name: str, value: AttributeValue) -> int:
    """JavaScript emitters send counts as doubles; a few send digits as text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
        return int(value)
    raise Unmeterable("bad_count", f"{name} is {shown(value)}; a whole number is needed")


def _decimal(value: AttributeValue) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return None
    try:
        number = Decimal(value if isinstance(value, int) else str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or not 0 <= number <= MAX_COUNT:
        return None
    if not number:
        return Decimal(0)
    exponent = number.as_tuple().exponent
    return number if isinstance(exponent, int) and exponent >= -MAX_DECIMALS else None
