"""The kinds of targets there are: where each lives, and what only it can be told."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from spanmeter.console.exports.toml_table import length, names, one_of, text, truth

Read = Callable[[object], object]

_API: Final[Mapping[str, Read]] = {"address": text, "key_env": text}
_FILES: Final[Mapping[str, Read]] = {"directory": text, "by": names}


class KindOfTarget(NamedTuple):
    """`place` is MODULE:NAME. The first of its `periods` is the default; `required` are options that it needs."""

    place: str
    periods: tuple[str, ...]
    options: Mapping[str, Read]
    required: frozenset[str]
    files: bool = False
    """It writes files, and has no meters."""


_HERE: Final = "spanmeter.console.exports."

KINDS: Final[Mapping[str, KindOfTarget]] = {
    "stripe": KindOfTarget(
        _HERE + "stripe:Stripe",
        ("hour", "day"),
        {**_API, "api": one_of("v1", "v2")},
        frozenset({"key_env"}),
    ),
    "chargebee": KindOfTarget(
        _HERE + "chargebee:Chargebee",
        ("day",),
        {**_API, "site": text},
        frozenset({"key_env", "site"}),
    ),
    "lago": KindOfTarget(_HERE + "lago:Lago", ("hour", "day"), _API, frozenset({"key_env"})),
    "openmeter": KindOfTarget(
        _HERE + "openmeter:OpenMeter",
        ("hour", "day"),
        {**_API, "source": text, "deduplicates": truth, "visible_after": length},
        frozenset({"address"}),
    ),
    "cloudevents": KindOfTarget(
        _HERE + "cloudevents:CloudEvents",
        ("hour", "day"),
        {**_API, "source": text},
        frozenset({"address"}),
    ),
    "csv": KindOfTarget(
        _HERE + "usage_files:table", ("day", "hour"), _FILES, frozenset({"directory"}), files=True
    ),
    "parquet": KindOfTarget(
        _HERE + "usage_files:table", ("day", "hour"), _FILES, frozenset({"directory"}), files=True
    ),
    "focus": KindOfTarget(
        _HERE + "focus:table",
        ("day", "hour"),
        {
            "directory": text,
            "format": one_of("csv", "parquet"),
            "billing_account": text,
            "billing_account_name": text,
        },
        frozenset({"directory", "format", "billing_account"}),
        files=True,
    ),
}
"""By the name that a file of exports has for it."""
