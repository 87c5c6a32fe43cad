"""How numbers, times and subjects read in a message."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

from spanmeter.metering.alerts.finding import Contributor, Subject

_NAMES: Final = {
    "tenant_id": "tenant",
    "service_name": "service",
    "account_type": "account type",
}

_LONGEST: Final = 120
"""Characters of a name: whoever sends spans chooses it."""


def money(amount: Decimal, currency: str) -> str:
    """An amount for reading: cents, and of what is below one unit more digits."""
    return f"{amount:,.2f} {currency}" if abs(amount) >= 1 else f"{amount:.6f} {currency}"


def times(factor: Decimal) -> str:
    """How many times: 2.1 with a cross."""
    return "many times" if factor > 1000 else f"{factor:.1f}\N{MULTIPLICATION SIGN}"


def share(part: Decimal) -> str:
    """A part as percent."""
    return f"{part * 100:.1f} %"


def moment(at: datetime) -> str:
    """A time, UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def name(value: str | None, missing: str = "unattributed") -> str:
    """A name that a sender chose, made safe to print and not too long."""
    if value is None:
        return missing
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def about(subject: Subject) -> str:
    """Whom an alert is about: `tenant acme, feature chat`."""
    told = [
        f"{_NAMES.get(dimension, dimension.replace('_', ' '))} {name(value, 'unknown')}"
        for dimension, value in subject.items()
        if dimension not in {"currency", "threshold"}
    ]
    return ", ".join(told) or "everybody"


def largest(contributors: Iterable[Contributor], currency: str) -> str:
    """Who adds most, in a sentence; nothing where nobody is named."""
    told = [
        f"{name(each.name)} {money(each.actual, currency)} instead of {money(each.expected, currency)}"
        for each in contributors
    ]
    return f" Most of it: {'; '.join(told)}." if told else ""


def sentence(text: str) -> str:
    """The same, beginning with a capital."""
    return text[:1].upper() + text[1:]
