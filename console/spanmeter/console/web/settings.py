"""What the console is told."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

_COLOUR: Final = re.compile(r"#?([0-9a-fA-F]{6})")

GRACE: Final = 5
"""Seconds for requests that are under way when the console ends."""

LINK_LASTS: Final = timedelta(hours=1)
"""For so long a login link can be used, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """One console. `dsn` and `secrets` are left out of the repr.

    `frame_ancestors` are the origins whose pages may embed a tenant's page. `secrets` sign tokens in place of those in
    the database, the first one first. `name`, `accent` and `logo` dress the pages of tenants.
    """

    dsn: str = field(repr=False)
    name: str = "Usage"
    accent: str | None = None
    logo: Path | None = None
    frame_ancestors: tuple[str, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)


def colour(text: str) -> str:
    """`#rrggbb` of a colour in hex, with or without its mark. Raises ValueError."""
    found = _COLOUR.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no colour such as #4f46e5")
    return f"#{found[1].lower()}"
