from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from spanmeter.metering.span import Attributes, Span
from spanmeter.metering.usage_event import UsageEvent

LAYOUT: str

def bind(
    event: type[UsageEvent],
    epoch: datetime,
    timedelta: type[timedelta],
    decimal: type[Decimal],
    raw_usage: Callable[[Attributes], str | None],
    is_known: Callable[[bytes], bool | None],
    fields: int,
    places: tuple[int, ...],
    bounds: tuple[int, ...],
    /,
) -> None: ...
def events(
    spans: list[Span],
    at: int,
    most: int,
    earliest: int,
    latest: int,
    origin_of: Callable[[Attributes, str, str], tuple[str, ...] | None],
    also_of: Callable[[Attributes], tuple[Any, ...]] | None,
    layouts: dict[Any, Any],
    templates: dict[Any, Any],
    /,
) -> list[UsageEvent]: ...
