"""Numbers and times as people read them; beside each the page keeps the exact value."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

_SYMBOLS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CHF": "CHF ", "INR": "₹"}

_SCALES: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))

MINUS: Final = "\u2212"
DASH: Final = "\u2013"


def money(amount: Decimal | None, currency: str) -> str:
    """`$1,234.50`; below one unit with two significant digits more: `$0.0123`."""
    if amount is None:
        return DASH
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    sign = MINUS if amount < 0 else ""
    size = abs(amount)
    if size and size < Decimal("0.0001"):
        return f"{sign}<{symbol}0.0001"
    return f"{sign}{symbol}{_rounded(size)}"


def _rounded(size: Decimal) -> str:
    places = 2 if size >= 1 or not size else 4
    return f"{size:,.{places}f}"


def number(count: int | Decimal | None) -> str:
    """`12,345`."""
    return DASH if count is None else f"{count:,}".replace("-", MINUS)


def quantity(amount: Decimal) -> str:
    """An exact amount of a unit, without zeros at its end: `1,234.5`."""
    return f"{amount.normalize():,f}".replace("-", MINUS)


def short_quantity(amount: Decimal) -> str:
    """The same as nobody reads digit by digit: `12.3M`; what is small, exactly."""
    return compact(amount) if abs(amount) >= 10_000 else quantity(amount)


def compact(count: int | Decimal | None) -> str:
    """`12.3M`, for counts that nobody reads digit by digit."""
    if count is None:
        return DASH
    for scale, letter in _SCALES:
        scaled = Decimal(count) / scale
        if abs(scaled) >= 1:
            return f"{scaled:.{0 if abs(scaled) >= 100 else 1}f}{letter}".replace("-", MINUS)
    return number(count)


def percent(part: Decimal | float | None, places: int = 1) -> str:
    """`12.3 %` of a part from 0 to 1."""
    if part is None:
        return DASH
    told = f"{Decimal(part) * 100:,.{places}f}\u00a0%"
    return told.replace("-", MINUS)


def change(now: Decimal | int | None, before: Decimal | int | None) -> Decimal | None:
    """By which part a sum has grown; None where there was nothing to grow from."""
    if not now or not before or before < 0:
        return None
    return Decimal(now) / Decimal(before) - 1


def growth(part: Decimal | None) -> str:
    """`+12 %`."""
    if part is None:
        return ""
    if part > 10:
        return f"\u00d7{part + 1:,.0f}"
    return f"{'+' if part >= 0 else MINUS}{abs(part) * 100:.0f}\u00a0%"


def moment(at: datetime | None) -> str:
    """`20 Nov 2026, 08:30`, UTC."""
    return DASH if at is None else f"{at.astimezone(UTC):%-d %b %Y, %H:%M}"


def day(at: date | datetime) -> str:
    """`20 Nov 2026`."""
    return f"{at:%-d %b %Y}"


def month(at: date) -> str:
    """`November 2026`."""
    return f"{at:%B %Y}"


def month_number(at: date) -> str:
    """`2026-11`."""
    return f"{at:%Y-%m}"


def moment_of(text: str) -> str:
    """`moment` of ISO 8601, as documents have it."""
    return moment(datetime.fromisoformat(text))


def decimal(text: str | None) -> Decimal | None:
    """The amount that a document holds as text."""
    return None if text is None else Decimal(text)


def day_before(at: date) -> str:
    """The last day of a period that ends before this one."""
    return day(at - timedelta(days=1))


def short_day(text: str) -> str:
    """`20 Nov` of an ISO date; a month's name of an ISO month; anything else as it is."""
    try:
        if len(text) == 7:
            return f"{date.fromisoformat(text + '-01'):%b %Y}"
        return f"{date.fromisoformat(text):%-d %b}"
    except ValueError:
        return text


def ago(at: datetime | None, now: datetime) -> str:
    """`5 min ago`, for what was lately."""
    if at is None:
        return "never"
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:,}\u00a0{unit} ago"
    return "just now"


def second(at: datetime) -> str:
    """`20 Nov 08:30:12`, UTC."""
    return f"{at.astimezone(UTC):%-d %b %H:%M:%S}"


def polyline(values: Sequence[Decimal]) -> str:
    """The points of a line of these values, in a box of 100 by 30."""
    greatest = max([*values, Decimal()]) or Decimal(1)
    step = Decimal(100) / max(len(values) - 1, 1)
    return " ".join(
        f"{at * step:.2f},{28 - max(value, Decimal()) / greatest * 25:.2f}"
        for at, value in enumerate(values)
    )


def area(values: Sequence[Decimal]) -> str:
    """The path of the area below that line."""
    return f"M0,30 L{polyline(values).replace(' ', ' L')} L100,30 Z"


def words(name: str) -> str:
    """A column's name as people say it."""
    return name.removesuffix("_id").replace("_", " ")
