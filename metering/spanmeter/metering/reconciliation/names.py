"""A bill's names of models as the ledger's: providers bill under other names than they answer with."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from spanmeter.metering.reconciliation.bill import Bill

_MAKER: Final = re.compile(
    r"^(?:[a-z]{2,6}\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai)[./]"
)
_VERSION: Final = re.compile(r"-v\d+(?::\d+)?(?::\d+k)?$")
_FILLING: Final = re.compile(r"[^a-z0-9]+")


def renamed(bill: Bill, models: Iterable[str], names: Mapping[str, str]) -> Bill:
    """The bill with its models named as in the ledger: as `names` says, else by the one that reads the same.

    A name that reads like none of the ledger's `models`, or like several, stays as it is.
    """
    known = set(models)
    alike: defaultdict[str, set[str]] = defaultdict(set)
    for model in known:
        alike[_read(model)].add(model)

    def of(model: str | None) -> str | None:
        if model is None or model in names:
            return names.get(model or "", model)
        same = alike.get(_read(model), set())
        return next(iter(same)) if model not in known and len(same) == 1 else model

    return bill._replace(lines=tuple(line._replace(model=of(line.model)) for line in bill.lines))


def _read(model: str) -> str:
    """What is left of a name without its maker, its version, and all that only separates."""
    bare = _VERSION.sub("", _MAKER.sub("", model.lower()))
    return _FILLING.sub("", bare)
