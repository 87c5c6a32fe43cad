"""What an examination found."""

from typing import Literal, NamedTuple

Level = Literal["ok", "warning", "problem"]


class Finding(NamedTuple):
    """One thing looked at: `what` is so, and what there is `to_do` about it, if anything."""

    subject: str
    level: Level
    what: str
    to_do: str = ""
