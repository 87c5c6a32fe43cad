"""What linting finds."""

from collections.abc import Sequence
from typing import Final, NamedTuple

UNCOVERED: Final = "uncovered"
UNEXPLAINED_IGNORE: Final = "unexplained-ignore"
UNREADABLE: Final = "unreadable"

RULES: Final = {
    UNCOVERED: "An LLM call that no usage context covers: it will be booked as unattributed.",
    UNEXPLAINED_IGNORE: "A comment that would leave a call be, without its rule or a reason.",
    UNREADABLE: "A file that Python cannot read, and in which calls may be.",
}


class Place(NamedTuple):
    """Where in a file; lines and columns count from 1, columns in characters."""

    file: str
    line: int
    column: int = 1


class Step(NamedTuple):
    """A function on the way to a call: where it calls the next, and why the way begins with it."""

    place: Place
    function: str
    why: str = ""


class Finding(NamedTuple):
    """One thing to mend, or to leave be where `ignored` is a reason.

    `way` leads to an uncovered call: through these functions it is reached without a usage context.
    """

    rule: str
    place: Place
    message: str
    way: tuple[Step, ...] = ()
    ignored: str = ""


class Findings(NamedTuple):
    """All that was found, in the order of files and lines, and how much was looked at."""

    found: Sequence[Finding]
    ignored: Sequence[Finding]
    files: int
    call_sites: int
