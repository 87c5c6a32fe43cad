"""Rows of spans that are like one that was metered before: its row, with what differs put in.

Nearly all spans of an application say the same but for who called, when, and how much was used. What else they say
decides about the row in ways that only the meter knows, so it has to be the same; then the row of the first is the
template for all. A span that is out of the ordinary in any way has none, and is metered from the ground up.
"""

import logging
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from spanmeter.metering import attributes as names
from spanmeter.metering.attribution import Attribution
from spanmeter.metering.billable import Rules
from spanmeter.metering.outcome import time_to_first_token
from spanmeter.metering.rates import MINUTE, Rates
from spanmeter.metering.raw_usage import MAX_KNOWN_LENGTH, is_block_of_form, raw_usage
from spanmeter.metering.reading import MAX_COUNT, MAX_TEXT
from spanmeter.metering.row_layouts import (
    BUDGET_LEASES_COLUMN,
    COUNTS,
    RESPONSE_ID_COLUMN,
    WHO,
    WHO_COLUMNS,
    Layout,
)
from spanmeter.metering.span import Attributes, Span
from spanmeter.metering.token_costs import TokenCosts
from spanmeter.metering.usage_event import UsageEvent
from spanmeter.metering.when import EPOCH, LONGEST_NS, NO_SPAN, NO_TRACE
from spanmeter.metering.who import TOLD_BY_RESOURCE

logger = logging.getLogger(__name__)

LONGEST_NAMES: Final = 2048
"""Characters of the names of all attributes of a span that has a template; those of ours have some 800."""

REMEMBERED: Final = 4096
"""Templates that are kept; each has one or two KiB."""

AT_ONCE: Final = 32
"""Spans that are filled in in one go, a tenth of a millisecond; then a thread that feeds the database may go on."""

MINUTE_NS: Final = MINUTE * 10**9
MICROSECOND: Final = timedelta(microseconds=1)

_NUMBER: Final = frozenset({int})
_COUNT: Final = frozenset({int, type(None)})

_place = UsageEvent._fields.index
_DIMENSIONS: Final = _place("dimensions")
_DURATION: Final = _place("duration")
_TIME_TO_FIRST_TOKEN: Final = _place("time_to_first_token")
_INPUT: Final = slice(_place("input_tokens"), _place("cache_write_input_tokens") + 1)
_CACHE_WRITE_BY_TTL: Final = _place("cache_write_by_ttl")
_OUTPUT: Final = slice(_place("output_tokens"), _place("reasoning_output_tokens") + 1)
_QUANTITIES: Final = _place("quantities")
_RAW_USAGE: Final = _place("raw_usage")
_COST: Final = _place("cost")

_Origin = tuple[str, ...]

_Key = tuple[_Origin, Layout, tuple[Any, ...], tuple[Any, ...], tuple[Any, ...], int]
"""What spans with the same template have in common: origin, layout, texts and numbers that decide, what else rates and
rules go by, and the minute, within which no rate changes."""


class _Template(NamedTuple):
    """A row, and what the tokens of such a call cost."""

    row: tuple[Any, ...]
    costs: TokenCosts


def _bound() -> bool:
    """Whether the compiled way is here, and wanted."""
    if os.environ.get("SPANMETER_PURE_PYTHON", "0") not in {"", "0"}:
        return False
    try:
        from spanmeter.metering import _row_templates
    except ImportError:
        return False
    layout = ", ".join(" ".join(one._fields) for one in (Span, TokenCosts, _Template))
    if layout != _row_templates.LAYOUT:
        logger.warning("the compiled templates are of another version, unused; install again")
        return False
    _row_templates.bind(
        UsageEvent,
        EPOCH,
        timedelta,
        Decimal,
        raw_usage,
        is_block_of_form,
        len(UsageEvent._fields),
        (
            *(_DIMENSIONS, _DURATION, _TIME_TO_FIRST_TOKEN, _INPUT.start, _CACHE_WRITE_BY_TTL),
            *(_OUTPUT.start, _QUANTITIES, _RAW_USAGE, _COST),
        ),
        (MAX_TEXT, MAX_COUNT, LONGEST_NS, MINUTE_NS, MAX_KNOWN_LENGTH),
    )
    return True


COMPILED: Final = _bound()
"""Whether `_row_templates.c` fills templates in. The rows are the same."""


class RowTemplates:
    """Makes rows of spans from those of earlier ones, where our own instrumentation made them. Thread-safe.

    It has to be given the meter's own `attribution`, `rates`, `rules`, `max_age` and `max_ahead`.
    """

    def __init__(
        self,
        attribution: Attribution,
        rates: Rates,
        rules: Rules,
        max_age: timedelta,
        max_ahead: timedelta,
    ) -> None:
        self._attribution = attribution
        self._contract_of = rates.contract_of if rates.has_contracts else None
        columns = zip(WHO, UsageEvent._fields[WHO_COLUMNS], strict=True)
        self._ruled_by = [name for name, column in columns if column in rules.fields]
        self._max_age = max_age
        self._max_ahead = max_ahead
        self._layouts: dict[tuple[str, ...], Layout | None] = {}
        self._templates: dict[_Key, _Template] = {}
        self._latest_origin: tuple[Attributes, str, str, _Origin | None] = ({}, "", "", None)
        self._latest_window = (EPOCH, 0, 0)

    def events(self, spans: list[Span], now: datetime, at: int = 0) -> list[UsageEvent]:
        """What the meter makes of spans received `now`: of the one at a place and some after it, up to the first where
        only the meter can tell. None, if that is the first of them."""
        if COMPILED:
            from spanmeter.metering import _row_templates

            also = self._also if self._contract_of or self._ruled_by else None
            window = self._window(now)
            known = self._layouts, self._templates
            return _row_templates.events(spans, at, AT_ONCE, *window, self._origin, also, *known)
        found: list[UsageEvent] = []
        for span in spans[at : at + AT_ONCE]:
            event = self.event(span, now)
            if event is None:
                break
            found.append(event)
        return found

    def event(self, span: Span, now: datetime) -> UsageEvent | None:
        """What the meter makes of a span received `now`; `None` where only the meter can tell."""
        key = self._key(span)
        template = None if key is None else self._templates.get(key)
        return None if template is None else self._filled(template, span, now)

    def learn(self, span: Span, event: UsageEvent, costs: TokenCosts | None, now: datetime) -> None:
        """Keep what the meter made of a span, whose tokens have these `costs`, for others like it."""
        key = None if costs is None or event.status != "ok" else self._key(span)
        if key is None or costs is None:
            return
        # Its usage block has up to 16 KiB, and each span has its own.
        template = _Template(event._replace(raw_usage=None), costs)
        # The cost of one that used more than tokens, for one, does not come out the same.
        if self._filled(template, span, now) != event:
            return
        if len(self._templates) >= REMEMBERED:
            self._templates.clear()
        self._templates[key] = template

    def __len__(self) -> int:
        """How many there are."""
        return len(self._templates)

    def _key(self, span: Span) -> _Key | None:
        """What the span's template is found by, if it can have one."""
        origin = self._origin(span.resource, span.scope_name, span.scope_version)
        if origin is None or span.failed or span.dropped_attributes:
            return None
        attributes = span.attributes
        layout = self._layout(tuple(attributes))
        if layout is None:
            return None
        texts, numbers = layout.texts(attributes), layout.numbers(attributes)
        if not (_are_plain(texts) and _NUMBER.issuperset(map(type, numbers))):
            return None
        minute = span.start_ns // MINUTE_NS
        return origin, layout, texts[layout.deciding :], numbers, self._also(attributes), minute

    def _also(self, attributes: Attributes) -> tuple[Any, ...]:
        """Whether there was output, and who called, as far as rules look at it; and whose contract holds."""
        produced = bool(attributes.get(names.OUTPUT_TOKENS))
        if self._contract_of is None and not self._ruled_by:
            return (produced,)
        tenant: Any = attributes.get(names.TENANT_ID)
        contract = self._contract_of and self._contract_of(tenant)
        return (produced, contract, *map(attributes.get, self._ruled_by))

    def _layout(self, present: tuple[str, ...]) -> Layout | None:
        layout = self._layouts.get(present)
        if layout is not None:
            return layout
        if len("".join(present)) > LONGEST_NAMES or not self._attribution.is_usual(present, ()):
            return None
        if len(self._layouts) >= REMEMBERED:
            self._layouts.clear()
        return self._layouts.setdefault(present, Layout(present))

    def _origin(self, resource: Attributes, scope: str, version: str) -> _Origin | None:
        """What the spans of one scope of one process have in common. They come one after the other."""
        latest_resource, latest_scope, latest_version, origin = self._latest_origin
        if resource is latest_resource and scope == latest_scope and version == latest_version:
            return origin
        told = [name for name in TOLD_BY_RESOURCE if name in resource]
        texts: list[Any] = [scope, version, *map(resource.get, told)]
        usual = scope.startswith(names.SCOPE_PREFIX) and self._attribution.is_usual((), resource)
        origin = (*told, *texts) if usual and _are_plain(texts) else None
        self._latest_origin = resource, scope, version, origin
        return origin

    def _filled(self, template: _Template, span: Span, now: datetime) -> UsageEvent | None:
        """The row with what is the span's own; `None` where that is out of the ordinary."""
        trace_id, span_id, parent, _, start_ns, end_ns, *_ = span
        began, lasted = start_ns // 1000, end_ns - start_ns
        attributes = span.attributes
        counts: list[Any] = [*map(attributes.get, COUNTS)]
        earliest, latest = self._window(now)
        if not (
            _are_ids(trace_id, span_id, parent)
            and earliest <= began <= latest
            and 0 <= lasted <= LONGEST_NS
            and _agree(*counts)
        ):
            return None
        cost = template.costs.amount(*counts)
        if cost is None:
            return None
        row = [*template.row]
        row[:4] = EPOCH + timedelta(0, 0, began), trace_id, span_id, parent or None
        row[WHO_COLUMNS] = map(attributes.get, WHO)
        row[RESPONSE_ID_COLUMN] = attributes.get(names.RESPONSE_ID)
        row[_DURATION] = timedelta(0, 0, lasted // 1000)
        row[_TIME_TO_FIRST_TOKEN] = time_to_first_token(attributes)
        row[_INPUT], row[_OUTPUT] = counts[:3], counts[3:]
        # No two rows share a mapping. The other two are empty, or the cost would be another.
        row[_DIMENSIONS] = row[_DIMENSIONS].copy()
        row[_CACHE_WRITE_BY_TTL], row[_QUANTITIES] = {}, {}
        row[_RAW_USAGE] = raw_usage(attributes)
        row[_COST] = cost
        row[BUDGET_LEASES_COLUMN] = attributes.get(names.USAGE_BUDGET_LEASES)
        return UsageEvent._make(row)

    def _window(self, now: datetime) -> tuple[int, int]:
        """Microseconds after the epoch that spans received `now` may have begun at: the first, and the last."""
        asked, earliest, latest = self._latest_window
        if asked is not now:
            earliest = (now - self._max_age - EPOCH) // MICROSECOND
            latest = (now + self._max_ahead - EPOCH) // MICROSECOND
            self._latest_window = now, earliest, latest
        return earliest, latest


def _are_ids(trace_id: bytes, span_id: bytes, parent: bytes) -> bool:
    return (
        len(trace_id) == 16
        and len(span_id) == 8
        and trace_id != NO_TRACE
        and span_id != NO_SPAN
        and (not parent or (len(parent) == 8 and parent != NO_SPAN))
    )


def _agree(whole: Any, read: Any, written: Any, output: Any, reasoning: Any) -> bool:
    """Whether these are counts, and none of a part exceeds that of its whole."""
    if not _COUNT.issuperset(map(type, (whole, read, written, output, reasoning))):
        return False
    if whole is None and output is None:
        return False
    read, written, reasoning = read or 0, written or 0, reasoning or 0
    return bool(
        min(read, written, reasoning) >= 0
        and read + written <= (whole or 0) <= MAX_COUNT
        and reasoning <= (output or 0) <= MAX_COUNT
    )


def _are_plain(texts: Sequence[Any]) -> bool:
    """Whether all are texts that a row takes as they are."""
    try:
        whole = "".join(texts)
    except TypeError:
        return False
    return len(whole) <= MAX_TEXT and whole.isascii() and "\0" not in whole and "" not in texts
