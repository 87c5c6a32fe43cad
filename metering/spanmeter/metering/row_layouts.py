"""Where spans that have attributes of the same names say what, and what each of these is to a row."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final

from spanmeter.metering import attributes as names
from spanmeter.metering.span import Attributes
from spanmeter.metering.usage_event import UsageEvent

WHO: Final = tuple(name for name in names.TOLD_BY_SPAN if name != names.USAGE_ACCOUNT_TYPE)
"""Attributes that stand in a column as they are; `RESPONSE_ID` is one more. They decide nothing else, unless a rule
looks at them or a contract has rates of its own."""

COUNTS: Final = (
    names.INPUT_TOKENS,
    names.CACHE_READ_INPUT_TOKENS,
    names.CACHE_WRITE_INPUT_TOKENS,
    names.OUTPUT_TOKENS,
    names.REASONING_OUTPUT_TOKENS,
)

COPIED: Final = (*WHO, names.RESPONSE_ID, names.USAGE_BUDGET_LEASES)
"""Attributes whose text is the row's."""

OWN: Final = frozenset({*COPIED, *COUNTS, names.TIME_TO_FIRST_CHUNK, names.USAGE_RAW})
"""Attributes whose values are each span's own."""

UNREAD: Final = frozenset(
    {
        names.PRODUCER_SEQUENCE,
        names.USAGE_BUDGETS_OVER,
        names.RESPONSE_FINISH_REASONS,
        names.REQUEST_STREAM,
        names.SERVER_ADDRESS,
        names.SERVER_PORT,
    }
)
"""Attributes that no column is made of."""

NUMBERS: Final = frozenset(
    {
        names.USAGE_ATTEMPT,
        names.HTTP_RESPONSE_STATUS_CODE,
        names.AUDIO_INPUT_TOKENS,
        names.AUDIO_OUTPUT_TOKENS,
        names.IMAGE_INPUT_TOKENS,
        names.IMAGE_OUTPUT_TOKENS,
    }
)
"""Attributes that decide and are whole numbers. All that are not named here decide too, and are text."""

place = UsageEvent._fields.index
WHO_COLUMNS: Final = slice(place("tenant_id"), place("idempotency_key") + 1)
RESPONSE_ID_COLUMN: Final = place("response_id")
BUDGET_LEASES_COLUMN: Final = place("budget_leases")

ROLES: Final[dict[str, bytes]] = {
    **dict.fromkeys(UNREAD, b"-\0"),
    **dict.fromkeys(NUMBERS, b"n\0"),
    **{name: b"c%c" % column for column, name in enumerate(WHO, start=WHO_COLUMNS.start)},
    names.RESPONSE_ID: b"c%c" % RESPONSE_ID_COLUMN,
    names.USAGE_BUDGET_LEASES: b"c%c" % BUDGET_LEASES_COLUMN,
    **{name: b"u%c" % number for number, name in enumerate(COUNTS)},
    names.TIME_TO_FIRST_CHUNK: b"f\0",
    names.USAGE_RAW: b"r\0",
}
"""What an attribute is to a row, as `_row_templates.c` is told."""

DECIDING_TEXT: Final = b"t\0"
"""The role of all others."""

_Getter = Callable[[Attributes], tuple[Any, ...]]


class Layout:
    """Of spans whose attributes are `present`, in this order."""

    __slots__ = ("deciding", "numbers", "roles", "texts")

    def __init__(self, present: Sequence[str]) -> None:
        copied = [name for name in COPIED if name in present]
        others = [name for name in present if name not in OWN and name not in UNREAD]
        self.texts = _getter([*copied, *(name for name in others if name not in NUMBERS)])
        """What has to be text."""
        self.deciding = len(copied)
        """Where in `texts` those that decide begin."""
        self.numbers = _getter([name for name in others if name in NUMBERS])
        self.roles = b"".join(ROLES.get(name, DECIDING_TEXT) for name in present)
        """Two bytes for each: a letter, and a number that goes with some letters."""


def _getter(wanted: Sequence[str]) -> _Getter:
    """What gets the values of these attributes, which have to be there."""
    if len(wanted) > 1:
        return itemgetter(*wanted)
    return lambda attributes: tuple(attributes[name] for name in wanted)
