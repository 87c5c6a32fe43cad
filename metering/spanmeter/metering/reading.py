"""Typed reading of span attributes: each returns a clean value or `None`, or raises `Unmeterable` naming the attribute."""

from decimal import Decimal, InvalidOperation

from spanmeter.metering.span import Attributes, AttributeValue
from spanmeter.metering.unmeterable import Unmeterable

MAX_TEXT = 1024
"""Characters in any one dimension, name or id. Longer is refused, not cut: a cut tenant id is another tenant."""

MAX_COUNT = 10**12
"""Tokens in one call. The largest context windows are near 10**7; more than this is a broken emitter."""


def text(attributes: Attributes, name: str) -> str | None:
    """The attribute as text; empty text is `None`. Numbers and booleans, which some SDKs send as ids, are spelled out."""
    value = attributes.get(name)
    if type(value) is not str:
        if value is None:
            return None
        value = _spelled(name, value)
    if not value:
        return None
    if len(value) > MAX_TEXT:
        raise Unmeterable(
            "bad_text", f"{name} has {len(value)} characters; at most {MAX_TEXT} are accepted"
        )
    if "\0" in value:
        raise Unmeterable("bad_text", f"{name} holds a NUL character, which no database text can")
    return value


def clipped(attributes: Attributes, name: str) -> str | None:
    """Descriptive text (an error, a call site), which may be cut and cleaned: nothing is grouped or charged by it."""
    value = attributes.get(name)
    if value is None:
        return None
    cleaned = str(value).replace("\0", "�")[:MAX_TEXT]
    return cleaned or None


def count(attributes: Attributes, name: str) -> int | None:
    """A whole number of tokens, or of anything else that is counted, from 0 to `MAX_COUNT`."""
    value = attributes.get(name)
    if value is None:
        return None
    if type(value) is not int:
        value = _whole(name, value)
    if not 0 <= value <= MAX_COUNT:
        raise Unmeterable("bad_count", f"{name} is {value}; a count lies between 0 and {MAX_COUNT}")
    return value


def first_count(attributes: Attributes, names: tuple[str, ...]) -> int | None:
    """The first of `names` that is present: newest name first."""
    for name in names:
        value = count(attributes, name)
        if value is not None:
            return value
    return None


def first_text(attributes: Attributes, names: tuple[str, ...]) -> str | None:
    """The first of `names` that is present: newest name first."""
    for name in names:
        value = text(attributes, name)
        if value is not None:
            return value
    return None


def flag(attributes: Attributes, name: str) -> bool:
    """A boolean; baggage carries it as text."""
    value = attributes.get(name)
    return value is True or (isinstance(value, str) and value.lower() in {"true", "1"})


def quantity(attributes: Attributes, name: str) -> Decimal | None:
    """A decimal number of some unit, exact when it was sent as text."""
    value = attributes.get(name)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Unmeterable(
            "bad_quantity", f"{name} is {value!r}; a decimal number is needed"
        ) from None
    if not number.is_finite() or not 0 <= number <= MAX_COUNT:
        raise Unmeterable(
            "bad_quantity", f"{name} is {number}; a quantity lies between 0 and {MAX_COUNT}"
        )
    return number


def _spelled(name: str, value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise Unmeterable("bad_text", f"{name} is a {type(value).__name__}; text is needed")


def _whole(name: str, value: AttributeValue) -> int:
    """JavaScript emitters send counts as doubles; a few send digits as text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    raise Unmeterable("bad_count", f"{name} is {str(value)[:60]!r}; a whole number is needed")
